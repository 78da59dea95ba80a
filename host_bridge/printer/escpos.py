"""Receipt lines as ESC/POS bytes: Kanji mode, strict GBK, bitmap lines for characters that no printer font has.

GB18030's four-byte characters print as garbage on receipt printers (ecosystem.md 4.1): half-width yuan signs become
full-width, and a line with any other character outside GBK is drawn.
"""

import unicodedata
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from host_bridge.printer.layout import Line, cells

DOTS = 384
"""Printing width of 58 mm paper; 32 cells of 12 dots."""
CELL_DOTS = 12
LINE_DOTS = 28
FONT_DOTS = 24

INITIALISE = b"\x1b@"
KANJI_MODE = b"\x1c&"
NORMAL_SIZE = b"\x1d!\x00\x1c!\x00"
DOUBLE_HEIGHT = b"\x1d!\x01\x1c!\x08"
FEED_AND_CUT = b"\x1dV\x42\x30"
RASTER = b"\x1dv0\x00"

CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that have no shape. Unassigned ones stay: names use characters newer than this Python."""
SUBSTITUTE = "〓"
"""Printed for a character that neither GBK nor a font on this machine has."""
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
)
SIMPLIFIED_CHINESE = 2
"""Index of the SC face in the Noto Sans CJK collection."""


def printable(text: str) -> str:
    """The text in NFC with full-width yuan signs and without control characters, which a printer would obey."""
    text = unicodedata.normalize("NFC", text).replace("¥", "￥")
    return "".join(" " if unicodedata.category(each) in CONTROLS else each for each in text)


def in_gbk(text: str) -> bool:
    """Whether every character has one or two GBK bytes."""
    try:
        text.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True


def escpos_bytes(lines: tuple[Line, ...]) -> bytes:
    """A whole receipt, cut at the end. Never fails: what cannot be encoded is drawn, or replaced by 〓."""
    parts = [INITIALISE, KANJI_MODE]
    for line in lines:
        text = printable(line.text)
        if in_gbk(text):
            body = text.encode("gbk") + b"\n"
            parts.append(DOUBLE_HEIGHT + body + NORMAL_SIZE if line.large else body)
        elif (font := _font()) is not None:
            parts.append(_raster(_drawn(text, font)))
        else:
            parts.append("".join(each if in_gbk(each) else SUBSTITUTE for each in text).encode("gbk") + b"\n")
    return b"".join([*parts, FEED_AND_CUT])


@cache
def _font() -> ImageFont.FreeTypeFont | None:
    for path in FONTS:
        if Path(path).exists():
            return ImageFont.truetype(path, FONT_DOTS, index=SIMPLIFIED_CHINESE, layout_engine=ImageFont.Layout.BASIC)
    return None


def _drawn(text: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    image = Image.new("1", (DOTS, LINE_DOTS), 1)
    draw = ImageDraw.Draw(image)
    column = 0
    for each in text:
        draw.text((column * CELL_DOTS, -4), each, font=font, fill=0)
        column += cells(each)
    return image


def _raster(image: Image.Image) -> bytes:
    """GS v 0: black is 1, eight dots a byte, rows from the top."""
    rows = bytes(each ^ 0xFF for each in image.tobytes())
    width, height = image.width // 8, image.height
    return RASTER + width.to_bytes(2, "little") + height.to_bytes(2, "little") + rows
