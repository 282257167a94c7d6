"""The simulator texts a running app over HTTP, and reports what goes wrong on the way."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twilio.request_validator import RequestValidator

from convostate.errors import UsageError
from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, message, setting
from tests.listening import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.testing.reply import Reply

US, ADA = "+15550100099", "+15550100001"
TOKEN = "the-token"


@contextmanager
def answering_by_hand(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a socket that treats each of its connections in one way."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/sms"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def text_to(url: str, webhook_url: str | None = None) -> Reply:
    return TwilioSimulator(url, TOKEN, webhook_url).phone(ADA, texting=US).text("héllo")


def test_a_running_app_is_texted_at_its_own_url() -> None:
    app = Answering(message("hi", set_cookie="a=1"))
    with listening(app) as url:
        phone = TwilioSimulator(url, TOKEN).phone(ADA, texting=US)
        replies = [phone.text("hello") for _ in range(2)]
    first, second = app.asked
    signature = first.environ["HTTP_X_TWILIO_SIGNATURE"]

    assert [reply.messages for reply in replies] == [["hi"], ["hi"]]
    assert RequestValidator(TOKEN).validate(url, dict(first.form), signature)
    assert not RequestValidator("another").validate(url, dict(first.form), signature)
    assert (first.cookie, second.cookie) == ("", "a=1")
    assert first.environ["HTTP_USER_AGENT"] == "TwilioProxy/1.1"
    assert "HTTP_ACCEPT_ENCODING" not in first.environ


def test_a_running_app_is_texted_with_get_too() -> None:
    app = Answering()
    with listening(app) as url:
        TwilioSimulator(url, TOKEN, method="GET").phone(ADA, texting=US).text("a b")

    assert app.asked[0].method == "GET"
    assert dict(app.asked[0].query)["Body"] == "a b"


def test_the_url_that_twilio_was_given_may_be_another_one_than_the_servers() -> None:
    app = Answering()
    with listening(app) as url:
        text_to(url, "https://example.com/other?a=1")
    [asked] = app.asked

    assert asked.environ["HTTP_HOST"] == "example.com"
    assert (asked.path, asked.query) == ("/other", [("a", "1")])
    assert RequestValidator(TOKEN).validate(
        "https://example.com/other?a=1",
        dict(asked.form),
        asked.environ["HTTP_X_TWILIO_SIGNATURE"],
    )


def test_redirects_are_followed_at_the_same_server() -> None:
    elsewhere = Answer("", status="302 Found", headers=(("Location", "https://a.example/next"),))
    app = Answering(elsewhere, message("there"))
    with listening(app) as url:
        assert text_to(url).messages == ["there"]

    assert app.asked[1].path == "/next"


def test_only_the_cookies_of_a_running_app_age() -> None:
    app = Answering(setting("a=1"))
    with listening(app) as url:
        twilio = TwilioSimulator(url, TOKEN)
        phone = twilio.phone(ADA, texting=US)
        phone.text("one")
        twilio.clock.advance(hours=4)
        phone.text("two")

    assert [asked.cookie for asked in app.asked] == ["", ""]


def test_without_a_listener_it_is_a_connection_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    reply = text_to(f"http://127.0.0.1:{port}/sms")

    assert (reply.error, reply.status) == (11205, 0)
    # "rc" is 1 and "rp" is "ct" where the URL does not say otherwise.
    assert len(reply.exchanges) == 2
    assert len(text_to(f"http://127.0.0.1:{port}/sms#rc=0").exchanges) == 1


def test_a_host_that_does_not_exist_is_a_bad_host_name() -> None:
    assert text_to("http://does-not-exist.invalid/sms").error == 11210


def test_a_server_that_says_nothing_is_given_up() -> None:
    over = threading.Event()

    def say_nothing(_: socket.socket) -> None:
        over.wait(30)  # seconds

    with answering_by_hand(say_nothing) as url:
        reply = text_to(f"{url}#rt=100")
        over.set()

    assert (reply.error, len(reply.exchanges)) == (11205, 1)


@pytest.mark.parametrize(
    "sent",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<Response/>"],
    ids=["nothing", "nonsense", "less than it promised"],
)
def test_a_server_that_breaks_off_is_a_retrieval_failure(sent: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(sent)

    with answering_by_hand(answer) as url:
        assert text_to(url).error == 11200


def test_no_more_than_64_kib_are_read() -> None:
    with listening(Answering(Answer(b"<Response/>" + b" " * 100_000))) as url:
        reply = text_to(url)

    assert (reply.error, len(reply.body)) == (11750, 65_537)


def test_a_certificate_from_an_unknown_authority_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path_factory))

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the simulator hangs up
            context.wrap_socket(connection, server_side=True)

    with answering_by_hand(answer) as url:
        assert text_to(url.replace("http:", "https:")).error == 11237


def self_signed(paths: pytest.TempPathFactory) -> tuple[str, str]:
    """The files of a certificate for 127.0.0.1 and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    folder = paths.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000/sms",
        "ftp://127.0.0.1/",
        "http://",
        "http://[::1/sms",
        "http://127.0.0.1:abc/sms",
        "http://127.0.0.1:99999/sms",
    ],
)
def test_an_invalid_server_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"Write http://127\.0\.0\.1:8000/sms"):
        TwilioSimulator(url, TOKEN)


def test_the_password_in_an_invalid_url_is_not_shown() -> None:
    for url in ("ftp://ada:hunter2@127.0.0.1/", "http://ada:hunter2@127.0.0.1:abc/sms"):
        with pytest.raises(UsageError) as refused:
            TwilioSimulator(url, TOKEN)
        assert "hunter2" not in str(refused.value)
