"""An ASGI application on a listener of its own: one uvicorn server in one thread."""

import asyncio
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from server.config import Listener
from server.errors import CentreError

GRACE_S = 1
BACKLOG = 128


class Host:
    """Binds at once, so that the address is known; serves from `start` to `stop`.

    `on_stop` runs in the server's loop and ends what would keep connections open.
    """

    def __init__(
        self, app: ASGIApp, listener: Listener, name: str, *, on_stop: Callable[[], None] = lambda: None
    ) -> None:
        family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((listener.host, listener.port))
            self._socket.listen(BACKLOG)
        except OSError as error:
            self._socket.close()
            raise CentreError("port_taken", host=listener.host, port=str(listener.port)) from error
        port = self._socket.getsockname()[1]
        host = f"[{listener.host}]" if family == socket.AF_INET6 else listener.host
        self.url = f"{'https' if listener.tls else 'http'}://{host}:{port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="on",
                ssl_certfile=listener.certificate if listener.tls else None,
                ssl_keyfile=listener.private_key if listener.tls else None,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._on_stop = on_stop
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Serve; connections that came since the bind have waited."""
        self._thread.start()

    def stop(self) -> None:
        """Let open requests end for a moment, then close."""
        self._loop.call_soon_threadsafe(self._leave)
        self._thread.join()
        self._loop.close()
        self._socket.close()

    def _leave(self) -> None:
        self._on_stop()
        self._server.should_exit = True

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve(sockets=[self._socket]))
