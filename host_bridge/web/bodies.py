"""Bodies that the page and integrators post, and how they are read."""

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request

from host_bridge.web.errors import ApiError
from host_bridge.web.guard import BODY_LIMIT
from protocols.settlement.bill import FeeLine

LINES_LIMIT = 500
PINS = {"pin": ("pin",), "change_pin": ("old", "new", "repeat")}
"""Calls whose bodies are PINs, and the names of these in order."""
_PIN = rb'"%s"\s*:\s*"([0-9]{4,16})"'
_TRIES = rb'(?:\s*,\s*"tries"\s*:\s*([0-9]{1,2}))?'
_PIN_BODIES = {
    call: re.compile(rb"\s*\{\s*%s%s\s*\}\s*" % (rb"\s*,\s*".join(_PIN % name.encode() for name in names), _TRIES))
    for call, names in PINS.items()
}

Shape = TypeVar("Shape")


class CatalogueLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A line named by its catalogue code; `cnt` with at most 4 decimals."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]
    cnt: Annotated[str, Meta(max_length=24)]


class BillBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/1/bill`: kinds of care that a counter settles (settlement.md B.6).

    Each line is a `CatalogueLine` or has the fields of `FeeLine`.
    """

    med_type: Literal["11", "12", "13", "14", "41"]
    lines: Annotated[list[msgspec.Raw], Meta(max_length=LINES_LIMIT)]


class ReasonBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/1/full_cash`."""

    reason: Annotated[str, Meta(min_length=1, max_length=64)]


class EventBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/1/refund` and `/api/1/reprint`."""

    event_id: Annotated[str, Meta(min_length=1, max_length=80)]


class SettleBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /api/1/settle`; `quote` of the split that is meant."""

    quote: Annotated[str, Meta(max_length=64)] | None = None


class EmptyBody(Struct, frozen=True, forbid_unknown_fields=True):
    """`{}`."""


class _LineKind(Struct, frozen=True):
    code: str | UnsetType = UNSET


async def read_body(request: Request) -> bytearray:
    """The body in memory that can be wiped; `ApiError` over the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            wipe(body)
            raise ApiError("web_too_large", 413)
    return body


async def read_pins(request: Request, call: str) -> tuple[list[bytearray], int | None]:
    """The digits of `{"pin": "123456"}`, or of the three of `change_pin`, never as text; the caller wipes them.

    With them `tries`, which may stand last: those that were left when this was entered.
    """
    body = await read_body(request)
    try:
        found = _PIN_BODIES[call].fullmatch(body)
        if found is None:
            raise ApiError("web_bad_pin", 400)
        tries = found[len(PINS[call]) + 1]
        pins = [body[found.start(group) : found.end(group)] for group in range(1, len(PINS[call]) + 1)]
        return pins, None if tries is None else int(tries)
    finally:
        wipe(body)


async def read_as(request: Request, shape: type[Shape]) -> Shape:
    """The body as a structure; `ApiError` where it is none."""
    return decode(bytes(await read_body(request)), shape)


def decode(data: bytes | msgspec.Raw, shape: type[Shape]) -> Shape:
    """JSON as a structure; `ApiError` naming the place where it is none."""
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError as error:
        raise ApiError("web_bad_body", 400, place=_place(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ApiError("web_bad_body", 400, place="$") from None


def bill_lines(body: BillBody) -> tuple[CatalogueLine | FeeLine, ...]:
    """The lines of a bill, each as what it is."""
    return tuple(_line(raw, number) for number, raw in enumerate(body.lines))


def wipe(secret: bytearray) -> None:
    """Overwrite with zeros."""
    secret[:] = bytes(len(secret))


def _line(raw: msgspec.Raw, number: int) -> CatalogueLine | FeeLine:
    try:
        if decode(raw, _LineKind).code is UNSET:
            return decode(raw, FeeLine)
        return decode(raw, CatalogueLine)
    except ApiError as error:
        place = str(error.facts["place"]).replace("$", f"$.lines[{number}]", 1)
        raise ApiError("web_bad_body", 400, place=place) from None


def _place(error: msgspec.ValidationError) -> str:
    found = re.search(r"`(\$[^`]*)`$", str(error))
    return found.group(1) if found else "$"
