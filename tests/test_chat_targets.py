"""What `chat`, `phone` and `doctor` take for an app: modules, factories and files, as servers do."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from convostate import UsageError
from convostate.cli.loading import is_app, load
from tests.chatting import chat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = """
def make(name="plain", *, loud=False):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [(name.upper() if loud else name).encode()]
    return app

class Holder:
    inner = staticmethod(make("held"))

app = make("app")
create_app = make

def two(config=None, debug=False):
    return make("debug" if debug else "two")

def rest(*args, **kwargs):
    return app(*args, **kwargs)
asynchronous = 5

async def make_later():
    return app
"""
FAILING = """
def create_app():
    return {}["a name of the factory's own"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project: modules at the top, in a folder, in a package; what is imported is forgotten after."""
    (tmp_path / "src" / "e5_package").mkdir(parents=True)
    places = (
        "e5_app.py",
        "my-e5-app.py",
        "my e5 app (1).py",
        "src/e5_inner.py",
        "src/e5_package/__init__.py",
    )
    for place in (*places, "src/e5_package/web.py"):
        (tmp_path / place).write_text(APP, encoding="utf-8")
    (tmp_path / "e5_failing.py").write_text(FAILING, encoding="utf-8")
    only_factory = APP.replace('app = make("app")\n', "")
    (tmp_path / "e5_factory.py").write_text(only_factory, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if "e5" in name]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("e5_app:app", "app"),
        ("e5_app:Holder.inner", "held"),
        ("e5_app:create_app", "plain"),
        ("e5_app:create_app()", "plain"),
        ("e5_app:create_app('one')", "one"),
        ('e5_app:create_app("a: b", loud=True)', "A: B"),
        ("e5_app:two", "two"),
        ("e5_app:two()", "two"),
        ("e5_app:two(debug=True)", "debug"),
        ("e5_app:rest", "app"),
        ("my-e5-app:app", "app"),
        ("my e5 app (1).py", "app"),
        ("my e5 app (1).py:create_app('x')", "x"),
        ("src/e5_inner:app", "app"),
        ("src/e5_inner.py:create_app('x')", "x"),
        ("./e5_app.py", "app"),
        ("e5_app.py", "app"),
        ("./src/e5_inner.py", "app"),
        ("./e5_factory.py", "plain"),
        ("src/e5_package:app", "app"),
        ("src/e5_package/web.py:app", "app"),
        ("./src/e5_package", "app"),
    ],
)
def test_e5_an_app_is_found_as_flask_and_gunicorn_find_it(word: str, says: str) -> None:
    result = chat(word, "hello")

    assert (result.stdout, result.exit_code) == (f"> hello\n< {says}\n", 0)


def test_e5_a_module_of_a_package_has_its_full_name() -> None:
    assert load("src/e5_package/web.py:app")[1].__name__ == "e5_package.web"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("e5_app:nothing", "There is no nothing in e5_app"),
        ("e5_app:nothing()", "There is no nothing in e5_app"),
        ("e5_app:make_later", "is not a WSGI or ASGI app"),
        ("e5_app:make_later()", "is not a WSGI or ASGI app"),
        ("e5_app:asynchronous", "is not a WSGI or ASGI app"),
        ("e5_app:Holder.nothing", r"There is no Holder\.nothing in e5_app"),
        ("e5_app:create_app(1, 2, 3)", "does not take these arguments"),
        ("e5_app:create_app(open)", "literal arguments only"),
        ("e5_app:create_app(1)(2)", "does not take|not a WSGI or ASGI app|literal"),
        ("e5_missing:app", "Cannot import e5_missing"),
        ("src/e5_missing:app", "There is no file src/e5_missing"),
        ("./e5_missing.py", "There is no file"),
    ],
)
def test_e5_what_is_not_an_app_is_an_error(word: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load(word)


def test_e5_what_a_factory_raises_itself_is_not_taken_for_a_wrong_call() -> None:
    result = chat("e5_failing:create_app()", "hello")

    assert result.exit_code == 2
    assert 'KeyError: "a name of the factory\'s own"' in result.stderr
    assert "loading e5_failing:create_app() raises KeyError" in result.stderr


@pytest.mark.parametrize(
    "word",
    [
        "hello",
        "10:30",
        "note:",
        "ratio 3:4",
        "see you at 9: ok?",
        "a:b:8",
        "is it app.py",
        "in app.py: x",
    ],
)
def test_e5_what_is_said_is_not_taken_for_an_app(word: str) -> None:
    assert not is_app(word)


@pytest.mark.parametrize(
    "word", ["e5_app", "e5_app:", "e5_app:create_app(", "src/e5_inner", "my-e5-app"]
)
def test_e5_half_an_app_is_not_texted_to_the_demo(word: str) -> None:
    result = chat(word)

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Write {word.partition(':')[0]}:app for the app" in result.stderr


def test_e8_webhooks_are_sent_with_get_and_calls_are_played() -> None:
    hotline = """
from urllib.parse import parse_qs
def app(environ, start_response):
    told = parse_qs(environ["QUERY_STRING"] or environ["wsgi.input"].read().decode())
    start_response("200 OK", [("Content-Type", "text/xml")])
    digits, words = told.get("Digits"), told.get("SpeechResult")
    if digits or words:
        return [f"<Response><Say>{(digits or words)[0]} it is</Say></Response>".encode()]
    if "CallSid" in told:
        return [b"<Response><Gather input='dtmf speech'><Say>Press 1</Say></Gather></Response>"]
    return [f"<Response><Message>{environ['REQUEST_METHOD']}</Message></Response>".encode()]
"""
    from pathlib import Path

    Path("e5_hotline.py").write_text(hotline, encoding="utf-8")
    called = chat("e5_hotline:app", "/call", "/press 1", "/call", "/say sales", "/call", "/hangup")
    got = chat("e5_hotline:app", "--method", "GET", "hello")

    assert called.stdout == (
        "> /call\n< Press 1\n> /press 1\n< 1 it is\n-- the call has ended\n"
        "> /call\n< Press 1\n> /say sales\n< sales it is\n-- the call has ended\n"
        "> /call\n< Press 1\n> /hangup\n-- the call has ended\n"
    )
    assert got.stdout == "> hello\n< GET\n"
    assert "Type /call" in chat("e5_hotline:app", "/press 1").stderr


def test_e8_a_chat_says_that_the_phone_rings_until_the_call_is_answered() -> None:
    caller = """
from urllib.parse import parse_qs
from twilio.rest import Client
def app(environ, start_response):
    told = parse_qs(environ["wsgi.input"].read().decode())
    if told.get("Body") == ["call me"]:
        ends = {"to": told["From"][0], "from_": told["To"][0]}
        Client("AC" + "1" * 32, "the-token").calls.create(twiml="<Response><Say>Hello</Say></Response>", **ends)
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [b"<Response/>"]
"""
    from pathlib import Path

    Path("e5_caller.py").write_text(caller, encoding="utf-8")
    environ = {"TWILIO_ACCOUNT_SID": "AC" + "1" * 32, "TWILIO_AUTH_TOKEN": "the-token"}
    called = chat("e5_caller:app", "hi", "call me", "/call", "bye", **environ)
    as_json = chat("e5_caller:app", "--json", "hi", "call me", **environ)

    assert called.stdout == (
        "> hi\n> call me\n-- the phone rings; /call answers it\n"
        "> /call\n< Hello\n-- the call has ended\n> bye\n"
    )
    assert [json.loads(line).get("ringing", False) for line in as_json.stdout.splitlines()] == [False, True]  # fmt: skip


ASGI = """
async def app(scope, receive, send):
    state = scope.get("session", {})
    state["n"] = state.get("n", 0) + 1
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(state["n"]).encode()})
"""


@pytest.mark.parametrize("word", ["e5_asgi:app", "./e5_asgi.py"])
def test_e5_an_asgi_app_is_found_and_wrapped_as_well(word: str, folder: Path) -> None:
    (folder / "e5_asgi.py").write_text(ASGI, encoding="utf-8")

    assert chat("--wrap", word, "hello", "again").stdout == "> hello\n< 1\n> again\n< 2\n"
    assert chat(word, "hello", "again").stdout == "> hello\n< 1\n> again\n< 1\n"
