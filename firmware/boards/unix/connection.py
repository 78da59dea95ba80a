"""Where the unix board's lines lead: sockets of virtual parts."""

import socket

from firmware.contact_line import LineLost

IPPROTO_TCP = 6
TCP_NODELAY = 1


def connect(address: str, part: str) -> socket.socket:
    """To `HOST:PORT`; `LineLost` where this part does not listen."""
    host, port = address.split(":")
    found = socket.socket()
    try:
        found.connect(socket.getaddrinfo(host, int(port))[0][-1])
    except OSError:
        raise LineLost("no " + part + " listens")  # noqa: B904 - MicroPython does not chain
    found.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return found
