"""Writes the reference page of all texts: `python -m protocols.texts.page > docs/texts.md`."""

from protocols.texts.catalogue import Text, texts

HEAD = """# Numbers and what to do

Every error and state that people see, made by `make gen` from `protocols/texts/*.toml`.
Numbers below zero are those of the terminal standard's drivers.

| number | 标题 · title | 说明 · what | 持卡人 · the holder | 账单 · the bill |
|---|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return HEAD + "".join(_row(text) for text in sorted(texts().values(), key=_order))


def _order(text: Text) -> tuple[str, int]:
    prefix, _, number = text.number.rpartition("-")
    return prefix, int(number)


def _row(text: Text) -> str:
    zh, en = text.zh, text.en
    pairs = ((zh.title, en.title), (zh.what, en.what), (zh.holder, en.holder), (zh.bill, en.bill))
    cells = ("<br>".join(part for part in pair if part).replace("|", "\\|") for pair in pairs)
    return f"| {text.number} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(page(), end="")
