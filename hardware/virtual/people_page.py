"""Writes the reference page of the gallery: `python -m hardware.virtual.people_page > docs/gallery.md`."""

from hardware.virtual.people import VirtualPerson, gallery

HEAD = """# The gallery

Simulated people and their cards, one for each state a counter meets, made by `make gen` from
`hardware/virtual/people/*.toml`. Everybody is made up: citizen numbers begin with 99, PINs and keys are published.

- `ssc virtual card gallery --output DIR` makes the cards.
- `ssc server people import --config F hardware/virtual/people/*.toml` makes them known to a centre.

"PIN" is followed by the tries that are left; "insured" is place, insurance and person kind on the chip. A person file
of your own says the same things; `blocked` names directories, `choices` answer the open questions of
[card-files.md](card-files.md).

| file | version | PIN | insured | at the centre | what it is for |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return HEAD + "".join(_row(name, person) for name, person in gallery().items())


def _row(name: str, person: VirtualPerson) -> str:
    card, insurance, centre = person.card, person.insurance, person.centre
    tries = card.pin_limit if card.pin_tries is None else card.pin_tries
    cells = (
        f"`{name}`",
        card.version,
        "none" if card.pin is None else f"{card.pin}, {tries} of {card.pin_limit}",
        f"{insurance.insuplc_admdvs}, {insurance.insutype}, {insurance.psn_type}",
        centre.card_state,
        person.about,
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(page(), end="")
