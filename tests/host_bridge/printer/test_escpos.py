"""Bytes for the printer: Kanji mode, two-byte characters only, bitmaps for the rest (ecosystem.md 4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.virtual.printer import IMAGE, Paper, Stream
from host_bridge.printer import escpos
from host_bridge.printer.escpos import escpos_bytes, in_gbk
from host_bridge.printer.layout import Line


def paper_of(data: bytes) -> str:
    """What the simulated printer makes of it."""
    paper = Paper()
    for piece in Stream().feed(data):
        if piece.kind != "cut":
            paper.put(piece)
    return paper.text


def test_kanji_mode_before_the_first_character_and_a_cut_at_the_end() -> None:
    assert escpos_bytes((Line("李"),)) == b"\x1b@\x1c&\xc0\xee\n\x1dV\x420"


def test_large_lines_are_double_height_and_back() -> None:
    assert b"\x1d!\x01\x1c!\x08\xc0\xee\n\x1d!\x00\x1c!\x00" in escpos_bytes((Line("李", large=True),))


def test_half_width_yuan_becomes_full_width() -> None:
    """Four GB18030 bytes print as "0 6"; full-width has two."""
    assert b"\xa3\xa4" + b"12.30\n" in escpos_bytes((Line("¥12.30"),))


@pytest.mark.parametrize("name", ["孙䶮", "𠮷田"])
def test_a_character_outside_gbk_is_drawn(name: str) -> None:
    data = escpos_bytes((Line(f"姓名 {name}"), Line("下一行")))
    assert paper_of(data) in {f"{IMAGE}\n下一行\n", f"姓名 {''.join(c if in_gbk(c) else '〓' for c in name)}\n下一行\n"}
    raster = data.index(escpos.RASTER)
    assert data[raster + 4 : raster + 8] == bytes((48, 0, escpos.LINE_DOTS, 0))
    assert any(data[raster + 8 : raster + 8 + 48 * escpos.LINE_DOTS])


def test_without_a_font_the_character_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escpos, "FONTS", ())
    escpos._font.cache_clear()
    try:
        assert paper_of(escpos_bytes((Line("孙䶮"),))) == "孙〓\n"
    finally:
        escpos._font.cache_clear()


def test_control_characters_of_a_name_never_reach_the_printer() -> None:
    assert paper_of(escpos_bytes((Line("李\x1b@\x1dV0\x10\x04\x01\n华"),))) == "李 @ V0    华\n"


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_makes_bytes_that_the_printer_understands(texts: list[str]) -> None:
    pieces = list(Stream().feed(escpos_bytes(tuple(Line(text) for text in texts))))
    assert {piece.kind for piece in pieces} <= {"reset", "kanji", "text", "image", "cut", "other"}
    assert [piece.kind for piece in pieces].count("cut") == 1
    for piece in pieces:
        if piece.kind == "text":
            piece.data.decode("gbk")
