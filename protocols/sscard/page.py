"""Writes the reference page of the file tables: `python -m protocols.sscard.page > docs/card-files.md`."""

from collections.abc import Iterator

from protocols.sscard.files import CardFiles, Directory, File, Internal, card_files, versions
from protocols.sscard.items import Item

HEAD = """# Files and keys on the card

Every directory, file, item and key of the card versions 1.00, 2.00 and 3.00, made by `make gen` from
`protocols/sscard/tables/*.toml`.

Numbers are hexadecimal unless a unit is given. Length is that of the value; a record is tag, length, value. Types: an
is text in GBK, padded with 00; cn packed digits, padded with F; b binary; tlv a series of tag, length, value. "A and B"
needs both rights, "A or B" one. Marks: ST the text was read, MC several codes agree, OC one code, INF inferred; then
the short names of `ssc-card.md` 0. **unverified** rows are inferred or disputed; those with a question's name can be
switched on simulated cards: `choices = { holder_read = "free" }` under `[card]` of a person file. Chinese names are
ours where the sheet has none.
"""
KEY_COLUMNS = "| key | card id | PSAM usage / id | HSM address | purpose | confidence |\n|---|---|---|---|---|---|\n"
COLUMNS = "| record | tag | 名称 · name | type | length | source | confidence |\n|---|---|---|---|---|---|---|\n"


def page() -> str:
    """The page as Markdown."""
    return HEAD + "".join("".join(_version(card_files(version))) for version in versions())


def _version(tables: CardFiles) -> Iterator[str]:
    yield f"\n## Version {tables.version}\n\n"
    yield f"Algorithm {tables.algorithm:02X} in the FCI. {tables.source}; {tables.mark}."
    yield f" **unverified**: {tables.unverified}.\n" if tables.unverified else "\n"
    if tables.rewritten:
        yield f"A shorter value of version {tables.rewritten}, filled up with EE bytes, has that version's meaning.\n"
    if tables.questions:
        yield "\n| open | no. in `ssc-card.md` 10 | question | answers, the first is taken |\n|---|---|---|---|\n"
    for question in tables.questions:
        yield f"| `{question.name}` | {question.number} | {question.question} | {', '.join(question.answers)} |\n"
    if tables.base:
        yield f"\nEvery file of {tables.base} is on this version with the same rows, but for these:\n"
    same = card_files(tables.base) if tables.base else None
    for directory in tables.directories:
        known = () if same is None else tuple(file for _, file in same.all_files())
        files = tuple(file for file in directory.files if file not in known)
        if same is None or files or directory not in same.directories:
            yield from _directory(tables, directory, files)
    if same is None or tables.keys != same.keys:
        yield from _keys(tables)


def _directory(tables: CardFiles, directory: Directory, files: tuple[File, ...]) -> Iterator[str]:
    name, fid = directory.df_name or "no name", directory.fid or "no FID"
    yield f"\n### {tables.version} {directory.name} {directory.zh} · {directory.en}\n\n"
    yield f"{fid}; {name}; {directory.source}; {directory.mark}{_doubt(directory.unverified)}\n"
    for file in files:
        yield from _file(tables, directory, file)
    for internal in directory.internals:
        yield from _internal(internal)


def _file(tables: CardFiles, directory: Directory, file: File) -> Iterator[str]:
    where = f"{directory.name} {file.ef}"
    facts = [f"SFI {file.sfi:02X}", file.structure]
    facts += [f"{file.size} bytes"] if file.size else []
    facts += [f"at least {file.capacity} records of {file.record_length} bytes"] if file.capacity else []
    facts += [f"or {file.short} without the last fields"] if file.short else []
    facts += ["preset"] if file.preset else []
    facts += ["not on simulated cards"] if file.absent else []
    yield f"\n**{where} {file.zh} · {file.en}** {', '.join(facts)}; read: {file.read}; update: {file.update}; "
    yield f"{file.source}; {file.mark}{_doubt(file.unverified, *_asked(tables, where))}\n"
    if file.items:
        yield f"\n{COLUMNS}"
    number = 1
    for item in file.items:
        records = "–" if item.absent or not item.tag else str(number)
        if item.count > 1:
            records = f"{number}–{number + item.count - 1}"
        number += 0 if item.absent else item.count
        asked = _asked(tables, f"{where} {item.tag:02X}")
        yield from _item(item, records, (file.source, file.mark), _doubt(item.unverified, *asked))


def _internal(internal: Internal) -> Iterator[str]:
    yield f"\n**{internal.zh} · {internal.en}** no file, reached by commands only; "
    yield f"{internal.source}; {internal.mark}\n\n{COLUMNS}"
    for item in internal.items:
        yield from _item(item, "–", (internal.source, internal.mark), "")


def _keys(tables: CardFiles) -> Iterator[str]:
    keys = tables.keys
    yield f"\n### {tables.version} keys\n\nEach may be there in versions {', '.join(map(str, keys.versions))}, "
    yield f"which a 17th byte selects{_doubt(keys.unverified)}; {keys.source}\n\n{KEY_COLUMNS}"
    for key in keys.rows:
        numbers = ["–" if value is None else f"{value:02X}" for value in (key.id, key.usage, key.psam_id)]
        doubt = _doubt(key.unverified, *_asked(tables, key.name))
        length = ", single DES on cards with 3DES" if key.single else ""
        yield f"| {key.name} ({key.directory}) | {numbers[0]} | {numbers[1]} / {numbers[2]} | {key.hsm or '–'} | "
        yield f"{key.purpose}{length} | {key.mark}{doubt} |\n"


def _item(item: Item, records: str, said: tuple[str, str], doubt: str, depth: int = 0) -> Iterator[str]:
    """One row, and one for each part; `said` is source and mark of the rows around."""
    tag = "↳ " * depth + (f"{item.tag:02X}" if item.tag else "–")
    length = f"{'≤' if item.variable else ''}{item.length:02X}"
    source, mark = item.source or said[0], item.mark or said[1]
    yield f"| {records} | {tag} | {item.zh} · {item.en} | {item.type} | {length} | {source} | {mark}{doubt} |\n"
    for part in item.parts:
        yield from _item(part, "", (source, mark), "", depth + 1)


def _asked(tables: CardFiles, where: str) -> tuple[str, ...]:
    """The open questions about a row."""
    questions = tables.questions
    return tuple(f"`{each.name}`" for each in questions if any(where in changes for changes in each.answers.values()))


def _doubt(*reasons: str) -> str:
    found = "; ".join(filter(None, reasons))
    return f", **unverified**: {found}" if found else ""


if __name__ == "__main__":
    print(page(), end="")
