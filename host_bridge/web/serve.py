"""Serving the clerk page beside the counter: one thread, loopback only, no access log."""

import ipaddress
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

_STOP_S = 5.0


class WebServer:
    """Listens on return of the constructor; port 0 takes a free one. `OSError` where the port is taken."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the clerk page has no login and stays on loopback, not {host}")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        bound = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{bound}" if family is socket.AF_INET6 else f"http://{host}:{bound}"
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="clerk page", daemon=True
        )

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and the port."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
        self._socket.close()
