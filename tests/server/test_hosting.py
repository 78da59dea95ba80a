"""A listener of its own, plain on loopback, TLS anywhere else."""

import ssl
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from server.config import Listener
from server.errors import CentreError, number
from server.hosting import Host
from tests.server.conftest import NOW


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


def certificate(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=3650))
        .not_valid_after(NOW + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = directory / "c.pem", directory / "k.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


def test_serves_until_it_is_stopped() -> None:
    ended: list[bool] = []
    host = Host(APP, Listener(), "test", on_stop=lambda: ended.append(True))
    host.start()
    assert httpx.get(host.url).text == "hello"
    host.stop()
    assert ended == [True]
    with pytest.raises(httpx.ConnectError):
        httpx.get(host.url)


def test_tls(tmp_path: Path) -> None:
    public, private = certificate(tmp_path)
    host = Host(APP, Listener("localhost", 0, str(public), str(private)), "test")
    host.start()
    trusting = ssl.create_default_context(cafile=str(public))
    assert host.url.startswith("https://localhost:")
    assert httpx.get(host.url, verify=trusting).text == "hello"
    with pytest.raises(httpx.ConnectError):
        httpx.get(host.url)
    host.stop()


def test_port_is_taken() -> None:
    host = Host(APP, Listener(), "test")
    host.start()
    with pytest.raises(CentreError) as raised:
        Host(APP, Listener(port=int(host.url.rsplit(":", 1)[1])), "test")
    assert raised.value.number == number("port_taken")
    host.stop()
