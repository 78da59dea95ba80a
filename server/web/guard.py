"""What every request passes: reading only, and only from this machine (design 8).

Any web page open on this machine can reach a loopback port, so the Host header decides (DNS rebinding), and
what another site embeds or fetches is refused.
"""

from ipaddress import ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.web.answers import problem

HEADERS = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """ASGI middleware: refuses foreign hosts, other sites' requests and every method that is no reading."""

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

        status = _refused(scope)
        if status is None:
            await self._app(scope, receive, send_guarded)
        else:
            await problem(scope["path"], status)(scope, receive, send_guarded)


def _refused(scope: Scope) -> int | None:
    """The status of a refusal; none where the request may pass."""
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value.decode("latin-1"))
    hosts = found.get(b"host", [])
    if len(hosts) != 1 or not _loopback(hosts[0]):
        return 403
    sites, modes = found.get(b"sec-fetch-site", []), found.get(b"sec-fetch-mode", [])
    if sites not in ([], ["same-origin"], ["none"]) and modes != ["navigate"]:
        return 403
    return None if scope["method"] in ("GET", "HEAD") else 405


def _loopback(host: str) -> bool:
    """Whether a Host header names this machine's loopback, with or without a port."""
    name, colon, port = host.rpartition(":")
    name = name if colon and port.isascii() and port.isdigit() else host
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
