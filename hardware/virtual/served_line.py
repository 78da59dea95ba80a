"""Where a line of the unix board ends: a socket that the firmware connects to."""

import select
import socket
import threading

CHUNK = 4096
SENDS_WITHIN_S = 5.0


class ServedLine:
    """Serves one client at a time on `address`, from its own thread. What it does is for its kinds to say."""

    def __init__(self, name: str) -> None:
        """`name` of the thread."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._client: socket.socket | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the line and wait for the thread; harmless when stopped."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()

    def wait_connected(self, timeout_s: float) -> bool:
        """Whether the firmware has come to the line in time."""
        return self._connected.wait(timeout_s)

    # What the thread does

    def _go_on(self) -> float:
        """Do what is due; in so many seconds again, whatever comes."""
        raise NotImplementedError

    def _begin(self) -> None:
        """A client has come."""

    def _take(self, data: bytes) -> None:
        """What the client says."""
        raise NotImplementedError

    def _end(self) -> None:
        """The client has gone, or there was none."""

    def _send(self, data: bytes) -> None:
        """To nobody where there is no client."""
        if self._client is None:
            return
        try:
            self._client.sendall(data)
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._connected.clear()
        self._end()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            patience = self._go_on()
            if not select.select([self._client or self._listener], [], [], patience)[0]:
                continue
            if self._client is None:
                self._accept()
            else:
                self._hear(self._client)
        self._hang_up()

    def _accept(self) -> None:
        self._client, _ = self._listener.accept()
        self._client.settimeout(SENDS_WITHIN_S)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin()
        self._connected.set()

    def _hear(self, client: socket.socket) -> None:
        try:
            data = client.recv(CHUNK)
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._hang_up()
