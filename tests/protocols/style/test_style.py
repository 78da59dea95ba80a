"""Tokens, contrast and the rules of the shared style."""

import re
from pathlib import Path

import pytest

from protocols.style.style import STYLE

MINIMUM = 4.5
FORMS = (":root", '[data-form="dark"]')
UI_TOKENS = {
    ":root": {
        "ink": "#0f2138",
        "secondary": "#48566a",
        "tertiary": "#5f6d80",
        "paper": "#f4f6f8",
        "card": "#ffffff",
        "line": "#dfe5ec",
        "teal": "#0b7a75",
        "amber": "#955708",
        "red": "#b3261e",
        "blue": "#2457a6",
        "teal-soft": "#e2f3f1",
        "amber-soft": "#fdf1dc",
        "red-soft": "#fdeceb",
        "blue-soft": "#e8effa",
    },
    '[data-form="dark"]': {
        "paper": "#0e1726",
        "card": "#162234",
        "line": "#223048",
        "ink": "#e6ebf2",
        "secondary": "#a9b6c6",
        "teal": "#3fb8b0",
        "amber": "#e0a24a",
        "red": "#ef7d74",
        "blue": "#7fa6ea",
    },
}
"""ui/README.md, Tokens."""
TEXT_ON_SURFACE = (
    *((text, surface) for surface in ("paper", "card", "quiet") for text in ("ink", "secondary", "tertiary")),
    *((text, surface) for surface in ("paper", "card") for text in ("teal", "amber", "red", "blue")),
    *((tone, f"{tone}-soft") for tone in ("teal", "amber", "red", "blue")),
    *(("on-colour", tone) for tone in ("teal", "amber", "red", "blue")),
    *((text, "blue-soft") for text in ("ink", "secondary", "tertiary")),
)
"""Every (text, background) pair that base.css and the pages put together."""


def tokens(form: str) -> dict[str, str]:
    css = (STYLE / "tokens.css").read_text()
    block = re.search(re.escape(form) + r" \{(.*?)\n\}", css, re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block.group(1)))


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("form", FORMS)
def test_the_tokens_are_those_of_the_direction(form: str) -> None:
    found = tokens(form)
    assert {name: found[name] for name in UI_TOKENS[form]} == UI_TOKENS[form]


def test_contrast_is_computed_as_wcag_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pair", TEXT_ON_SURFACE, ids="/".join)
def test_text_can_be_read(form: str, pair: tuple[str, str]) -> None:
    found = tokens(form)
    assert contrast(found[pair[0]], found[pair[1]]) >= MINIMUM


def test_both_forms_have_every_colour_that_changes() -> None:
    light, dark = tokens(":root"), tokens('[data-form="dark"]')
    shared_by_both = {"reader", "chip-gold"}
    assert set(light) - set(dark) == shared_by_both


def test_colours_come_from_tokens_only() -> None:
    base = (STYLE / "base.css").read_text()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", base) == []
    used = set(re.findall(r"var\(--([\w-]+)", base))
    defined = set(re.findall(r"--([\w-]+):", (STYLE / "tokens.css").read_text()))
    set_by_rules = {"share", "swatch"}
    assert used - defined - set_by_rules == set()


def test_text_colours_used_by_the_base_sheet_are_in_the_pair_table() -> None:
    base = (STYLE / "base.css").read_text()
    texts = set(re.findall(r"(?<![-\w])color: var\(--([\w-]+)\)", base))
    assert texts <= {text for text, _ in TEXT_ON_SURFACE}


@pytest.mark.parametrize("name", ["tokens.css", "base.css", "events.js"])
def test_nothing_is_fetched_from_elsewhere(name: str) -> None:
    text = (STYLE / name).read_text()
    assert re.search(r"https?:|@import|url\(", text) is None


def test_the_event_script_stays_small() -> None:
    assert len((STYLE / "events.js").read_text().splitlines()) < 100


@pytest.mark.parametrize("rule", ["--target: 56px", "prefers-reduced-motion"])
def test_targets_are_large_and_motion_can_be_switched_off(rule: str) -> None:
    assert rule in Path(STYLE / "tokens.css").read_text()
