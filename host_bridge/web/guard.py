"""What every request passes: only this machine's own page may speak to the counter.

Any web page open on this machine can reach a loopback port, so the Host and Origin headers decide (DNS rebinding,
forged posts), and a POST has to be JSON, which no plain form can send.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from host_bridge.web.errors import ApiError, error_response

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
BODY_LIMIT = 262_144
"""Bytes of the largest body: a bill of some hundred lines."""
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, other content than JSON and bodies over `BODY_LIMIT`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            _check(scope["method"], scope["headers"])
        except ApiError as error:
            await error_response(error)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def _check(method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    found: dict[bytes, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value.decode("latin-1"))

    def only(name: bytes) -> str | None:
        values = found.get(name, [])
        return values[0] if len(values) == 1 else None

    host = only(b"host")
    if host is None or _without_port(host) not in LOOPBACK:
        raise ApiError("web_foreign", 403)
    if b"origin" in found and only(b"origin") != f"http://{host}":
        raise ApiError("web_foreign", 403)
    if only(b"sec-fetch-site") in {"cross-site", "same-site"} and only(b"sec-fetch-mode") != "navigate":
        raise ApiError("web_foreign", 403)
    if method == "POST":
        if (only(b"content-type") or "").partition(";")[0].strip().lower() != "application/json":
            raise ApiError("web_not_json", 415)
        length = only(b"content-length")
        if length is not None and length.isdigit() and int(length) > BODY_LIMIT:
            raise ApiError("web_too_large", 413)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()
