"""Nothing leaves this machine: an app's own Twilio clients are answered by the simulator.

Each case is a process of its own in which every socket but a loopback one is refused.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from convostate.testing import TwilioSimulator
from tests.phoning import ask, phone_server

if TYPE_CHECKING:
    from pathlib import Path

GUARD = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0] if event.startswith("socket.get") else arguments[1]
        host = host[0] if isinstance(host, tuple) else host
        if host not in ("127.0.0.1", "::1", "localhost") and not str(host).startswith("/"):
            print("LEFT THE MACHINE", event, flush=True)
            raise OSError("refused by the test")

sys.addaudithook(refuse)
"""
# An app that answers a text and sends one of its own; SEND is the case.
APP = """
import asyncio, os, threading

SID, TOKEN = "AC" + "0" * 31 + "1", os.environ["TWILIO_AUTH_TOKEN"]
MESSAGE = {"to": "+15550100001", "from_": "+15550100099", "body": "of its own"}
BEFORE

def app(environ, start_response):
    SEND
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"answered"]
"""
AT_ONCE = "from twilio.rest import Client; client = Client(SID, TOKEN)"
CASES = {
    "a client of the module's": (AT_ONCE, "client.messages.create(**MESSAGE)"),
    "a client that is made for each text": ("", f"{AT_ONCE}; client.messages.create(**MESSAGE)"),
    "a client with an API key": (
        "from twilio.rest import Client; client = Client('SK1', 'secret', SID)",
        "client.messages.create(**MESSAGE)",
    ),
    "a client with an HTTP client of its own": (
        (
            "from twilio.rest import Client; from twilio.http.http_client import TwilioHttpClient\n"
            "class Own(TwilioHttpClient): pass\n"
            "client = Client(SID, TOKEN, http_client=Own(timeout=1, max_retries=2))"
        ),
        "client.messages.create(**MESSAGE)",
    ),
    "a client of another region": (
        "from twilio.rest import Client; client = Client(SID, TOKEN, region='ie1', edge='dublin')",
        "client.messages.create(**MESSAGE)",
    ),
    "an asynchronous client": (
        (
            "from twilio.rest import Client; from twilio.http.async_http_client import AsyncTwilioHttpClient\n"
            "async def send():\n"
            "    http_client = AsyncTwilioHttpClient(pool_connections=False)\n"
            "    await Client(SID, TOKEN, http_client=http_client).messages.create_async(**MESSAGE)\n"
        ),
        "asyncio.run(send())",
    ),
    "a thread that goes on after the reply": (
        (
            f"{AT_ONCE}; answered = threading.Event()\n"
            "def send():\n"
            "    answered.wait(30)\n"
            "    client.messages.create(**MESSAGE)\n"
            "thread = threading.Thread(target=send)"
        ),
        "thread.start()",
    ),
    "another product": (
        f"{AT_ONCE}; from twilio.base.exceptions import TwilioRestException",
        (
            "client.messages.create(**MESSAGE)\n"
            "    try: client.verify.v2.services('VA1').verifications.create(to='+15550100001', channel='sms')\n"
            "    except TwilioRestException: pass"
        ),
    ),
}
SIMULATED = """
import app
from convostate.testing import TwilioSimulator

phone = TwilioSimulator(app.app).phone("+15550100001", texting="+15550100099")
reply = phone.text("hello")
if hasattr(app, "thread"):
    app.answered.set()
    app.thread.join()
print(reply.messages, [message.body for message in phone.inbox])
"""


def run(folder: Path, code: str, case: str) -> str:
    before, send = CASES[case]
    written = APP.replace("BEFORE", before).replace("SEND", send)
    (folder / "app.py").write_text(written, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", GUARD + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,  # seconds; it takes two
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


QUICK = {"a client that is made for each text", "an asynchronous client"}


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "case",
    [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
)
def test_e4_no_request_of_a_client_leaves_the_machine(case: str, tmp_path: Path) -> None:
    assert run(tmp_path, SIMULATED, case) == "['answered'] ['of its own']\n"


BY_HAND = """
import asyncio, http.client, urllib.request
import aiohttp, httpx, requests
from convostate.testing import TwilioSimulator

URL = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"

async def aiohttp_post():
    async with aiohttp.ClientSession() as session:
        await session.post(URL, data={"To": "+1"})

async def httpx_post():
    async with httpx.AsyncClient() as client:
        await client.post(URL, data={"To": "+1"})

SENDS = {
    "requests": lambda: requests.post(URL, data={"To": "+1"}),
    "httpx": lambda: httpx.post(URL, data={"To": "+1"}),
    "urllib": lambda: urllib.request.urlopen(URL, b"To=1"),
    "http.client": lambda: http.client.HTTPSConnection("API.twilio.com.").request("POST", "/"),
    "aiohttp": lambda: asyncio.run(aiohttp_post()),
    "httpx async": lambda: asyncio.run(httpx_post()),
    "another host": lambda: requests.post("http://localhost:1/"),
}

def app(environ, start_response):
    for name, send in SENDS.items():
        try:
            send()
        except Exception as error:
            print(name, "twilio.rest.Client" in str(error))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"answered"]

print(TwilioSimulator(app).phone("+15550100001").text("hello").messages)
"""


@pytest.mark.unmeasured
def test_e4_no_http_client_of_the_apps_own_reaches_twilio() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARD + BY_HAND],
        capture_output=True,
        text=True,
        timeout=60,  # seconds; it takes two
        check=False,
    )

    assert done.returncode == 0, done.stderr
    refused = ["requests", "httpx", "urllib", "http.client", "aiohttp", "httpx async"]
    assert done.stdout.splitlines() == [
        *(f"{name} True" for name in refused),
        "another host False",
        "['answered']",
    ]


def test_e4_a_tool_that_looks_names_up_by_itself_does_not_open_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[Any] = []
    phone = TwilioSimulator(Request.application(lambda _: Response("ok"))).phone("+15550100001")
    phone.text("hello")
    before = socket.getaddrinfo

    def counted(host: Any, *args: Any, **kwargs: Any) -> Any:
        looked_up.append(host)
        return before(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    phone.text("hello")
    with pytest.raises(OSError, match=r"twilio\.rest\.Client"):
        socket.getaddrinfo(b"api.twilio.com", 443)
    assert socket.getaddrinfo("127.0.0.1", 443)

    assert looked_up == ["127.0.0.1"]


CHAT = """
from convostate.cli import main

main(["chat", "app:app", "hello"])
"""


@pytest.mark.parametrize("case", ["a client of the module's", "an asynchronous client"])
def test_e4_a_chat_catches_what_the_app_sends(case: str, tmp_path: Path) -> None:
    assert run(tmp_path, CHAT, case) == "> hello\n< answered\n< of its own\n"


@pytest.mark.slow
@pytest.mark.parametrize("case", ["a client of the module's", "an asynchronous client"])
def test_e4_the_phone_page_catches_what_the_app_sends(case: str, tmp_path: Path) -> None:
    before, send = CASES[case]
    guard = GUARD.replace(
        'print("LEFT THE MACHINE", event, flush=True)', "open('left', 'w').close()"
    )
    assert guard != GUARD
    written = guard + APP.replace("BEFORE", before).replace("SEND", send)
    (tmp_path / "app.py").write_text(written, encoding="utf-8")
    sid = "AC" + "0" * 31 + "1"
    with phone_server("app:app", folder=tmp_path, TWILIO_ACCOUNT_SID=sid) as url:
        ask(url, "/do/text", {"phone": 0, "body": "hello"})
        shown = json.dumps(ask(url, "/look"))

    assert "answered" in shown
    assert "of its own" in shown
    assert not (tmp_path / "left").exists()


def test_e4_the_refusal_that_these_tests_rely_on_refuses() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARD + "import socket; socket.create_connection(('192.0.2.1', 1))"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout.startswith("LEFT THE MACHINE")
