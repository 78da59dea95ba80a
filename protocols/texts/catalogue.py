"""What people read: every error and state with number, Chinese and English sentences and the next step."""

from functools import cache
from pathlib import Path

import msgspec


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One language: `title` names it, `what` says what happened and what did not change.

    `holder` is what the cardholder does next, `bill` what becomes of this bill; both may be empty.
    Placeholders such as `{tries}` are facts the error carries.
    """

    title: str
    what: str
    holder: str = ""
    bill: str = ""

    def fill(self, facts: dict[str, str]) -> "Words":
        """The same words with the placeholders replaced; a fact that is missing stays visible as `{name}`."""
        return Words(*(_fill(text, facts) for text in (self.title, self.what, self.holder, self.bill)))


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`number` is what people quote on the telephone, `key` what code says; both are unique."""

    number: str
    key: str
    zh: Words
    en: Words
    source: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    text: list[Text]


def _fill(text: str, facts: dict[str, str]) -> str:
    for name, fact in facts.items():
        text = text.replace(f"{{{name}}}", fact)
    return text


@cache
def texts() -> dict[str, Text]:
    """All texts by key."""
    found: dict[str, Text] = {}
    numbers: set[str] = set()
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for text in msgspec.toml.decode(path.read_bytes(), type=_File).text:
            if text.key in found or text.number in numbers:
                raise ValueError(f"{path.name}: {text.key} or {text.number} is there twice")
            found[text.key] = text
            numbers.add(text.number)
    return found


def sentence(key: str, **facts: str) -> str:
    """A text on one line: number, Chinese, English."""
    text = texts()[key]
    return f"{text.number} {text.zh.fill(facts).what} · {text.en.fill(facts).what}"


def text_of(number: str) -> Text:
    """The text with this number; `KeyError` where there is none."""
    for text in texts().values():
        if text.number == number:
            return text
    raise KeyError(number)
