"""Errors of the API and their JSON: `{"error": {"number", "key", "zh", "en", …facts}}`, texts from the catalogue."""

import msgspec
from starlette.responses import Response

from protocols.texts.catalogue import texts

Fact = str | int | None


class ApiError(Exception):
    """Refuses one request: `key` of the catalogue, HTTP status, and the facts that fill its placeholders."""

    def __init__(self, key: str, status: int, **facts: Fact) -> None:
        super().__init__(key)
        self.key, self.status, self.facts = key, status, facts


def json_response(value: object, status: int = 200) -> Response:
    """Any msgspec value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def error_response(error: ApiError) -> Response:
    """The error in the catalogue's words."""
    text = texts()[error.key]
    filled = {name: str(fact) for name, fact in error.facts.items()}
    body = {
        "number": text.number,
        "key": text.key,
        "zh": text.zh.fill(filled),
        "en": text.en.fill(filled),
        **error.facts,
    }
    return json_response({"error": body}, error.status)
