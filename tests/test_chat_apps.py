"""`convostate chat` finds the app, starts it, texts it as its settings want it, and reports its errors."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from convostate import ConversationMiddleware, Settings
from convostate.demo.counter import app as counter
from tests.chatting import BOB, FIRST, SECOND, chat, unset
from tests.listening import listening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Some apps to chat with; each is a module of its own.
APPS = {
    "echo": "return [environ['wsgi.input'].read(int(environ['CONTENT_LENGTH']))]",
    "failing": "raise ZeroDivisionError('in the app')",
    "losing": "environ['convostate.state']['n'] = 1; raise ZeroDivisionError('in the app')",
    "talking": "return [b'one\\ntwo']",
    "silent": "return []",
    "counting": (
        "state = environ.get('convostate.state', {});"
        "state['n'] = state.get('n', 0) + 1;"
        "return [str(state['n']).encode()]"
    ),
}
APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    {}

text = "no app"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory that holds the apps; what a test imports from it is forgotten after."""
    for name, body in APPS.items():
        (tmp_path / f"app_{name}.py").write_text(APP.format(body), encoding="utf-8")
    (tmp_path / "app_factory.py").write_text("def make(): ...\n", encoding="utf-8")
    (tmp_path / "app_package").mkdir()
    (tmp_path / "app_package" / "bot.py").write_text(APP.format("return []"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.startswith("app_")]:
        del sys.modules[name]


@pytest.mark.usefixtures("folder")
def test_who_texts_whom_can_be_chosen() -> None:
    result = chat("app_echo:app", "--as", BOB, "--texting", "38000", "hello")

    assert "&To=38000&" in result.stdout
    assert "&From=%2B15550100002&" in result.stdout


@pytest.mark.usefixtures("folder")
def test_two_slashes_text_one() -> None:
    assert "&Body=%2Fhelp&" in chat("app_echo:app", "//help").stdout


@pytest.mark.usefixtures("folder")
def test_a_message_of_several_lines_is_indented() -> None:
    assert chat("app_talking:app", "hello").stdout == "> hello\n< one\n  two\n"


@pytest.mark.usefixtures("folder")
def test_an_error_that_twilio_reports_is_status_1_and_named() -> None:
    result = chat("app_failing:app", "hello")

    assert (result.exit_code, result.stdout) == (1, "> hello\n")
    assert "ZeroDivisionError: in the app\n" in result.stderr
    assert result.stderr.endswith(
        "convostate: Twilio reports 11200 HTTP retrieval failure: the app answered 500\n"
    )


@pytest.mark.usefixtures("folder")
def test_what_a_failing_app_wrote_is_not_kept() -> None:
    result = chat("app_losing:app", "--wrap", "hello", "/state")

    assert result.stdout == "> hello\n-- no conversation is in progress\n"


@pytest.mark.usefixtures("folder")
def test_an_empty_reply_is_an_error_without_a_status() -> None:
    assert chat("app_silent:app", "hello").stderr == (
        "convostate: Twilio reports 11770 Empty TwiML response body\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["app_missing:app", "hello"], "Cannot import app_missing: No module named 'app_missing'"),
        (["app_echo:other"], "There is no other in app_echo. Check the name"),
        (["app_echo:text"], "app_echo:text is not a WSGI or ASGI app. Write module:name"),
        (["app_factory:make"], "app_factory:make is not a WSGI or ASGI app. Write module:name"),
        (["json:dumps"], "json:dumps is not a WSGI or ASGI app. Write module:name"),
        (["http:///sms", "hello"], "Write http"),
        (["ftp://example.com/sms"], "Write http://127.0.0.1:8000/sms"),
        (["127.0.0.1:8000/sms", "hello"], "Write http://127.0.0.1:8000/sms for the URL"),
        (["localhost:8000"], "Write http://localhost:8000 for the URL"),
        (["app_echo", "hello"], "Write app_echo:app for the app"),
        (["app_echo:"], "Write app_echo:app for the app"),
        (["app_package.bot", "hello"], "Write app_package.bot:app for the app"),
        (["app_echo:make("], "Write app_echo:app for the app"),
        (["./app_missing.py"], "There is no file ./app_missing.py"),
        (["app_factory:make(1)"], "does not take these arguments"),
        (["app_factory:make(open)"], "with literal arguments only"),
        (["./app_factory.py"], "has no app or create_app"),
        (
            ["--as", "abc d ", "hello"],
            "'--as' is not an address. Write it in E.164: +1555…",
        ),
        (
            ["--as", "", "hello"],
            "'--as' is not an address. Write it in E.164: +1555…",
        ),
        (["--texting", " abc d", "hello"], "'--texting' is not an address"),
        (["--as", "+15550100099", "hello"], "The app has this number"),
        (["/as +15550100099"], "The app has this number"),
        (["/as abc\td"], "Write /as +15550100002"),
        (["app_echo:app", "/state"], "is not wrapped, so it has no state"),
        (["/wait long"], "Write /wait 90s, 30m, 4h or 2d"),
        (["/as"], "Write /as +15550100002"),
        (["/bogus"], "There is no command /bogus. Type /help, or // to text a slash"),
        (["/resend"], "There is nothing to resend."),
        (["x" * 1601], "at most 1600"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_done_is_one_line_and_status_2(words: list[str], says: str) -> None:
    result = chat(*words)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("convostate: ")
    assert says in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "word", ["10:30", "at 10:30", "app_other", "app_echo.Thanks", "a:b:8", "ratio 3:4"]
)
def test_what_may_be_a_text_is_one(word: str) -> None:
    assert chat(word).exit_code == 0


def test_an_app_that_does_not_tell_its_arguments_is_called() -> None:
    result = chat("builtins:max", "hello")

    assert (result.exit_code, result.stdout) == (1, "> hello\n")
    assert "the app answered 500" in result.stderr


def test_an_app_that_does_not_start_says_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convostate", "chat", "hello"],
        env={**unset(), "CONVOSTATE_LIFETIME": "5h"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "Set CONVOSTATE_LIFETIME=4h" in done.stderr


SECRETS: dict[str, dict[str, str]] = {
    "another token": {"CONVOSTATE_AUTH_TOKENS": "one,two"},
    "an account's token": {"CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}=one"},
    "a token beside an account's": {
        "CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}=one",
        "TWILIO_AUTH_TOKEN": "two",
    },
    "a token of an account": {
        "CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}=one",
        "TWILIO_AUTH_TOKEN": "two",
        "TWILIO_ACCOUNT_SID": f"AC{'2' * 32}",
    },
    "a shared key": {"CONVOSTATE_SHARED_KEYS": "k1=one"},
    "a public URL": {"CONVOSTATE_PUBLIC_URL": "https://sms.example/bots"},
    "a guarded path": {"CONVOSTATE_PATHS": "/v*,/twilio/sms"},
    "a guarded /sms": {"CONVOSTATE_PATHS": "/voice,/s*"},
    "a memory": {"CONVOSTATE_STORE": "memory"},
}
QUICK = {"a token of an account", "a public URL", "a guarded path"}


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param(environ, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, environ in SECRETS.items()
    ],
)
def test_it_texts_an_app_as_its_settings_want_it(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convostate", "chat", "hello", "again"],
        env={**unset(), **environ},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stderr, done.stdout) == ("", f"> hello\n{FIRST}> again\n{SECOND}")


@pytest.mark.usefixtures("folder")
def test_another_webhook_url_can_be_named() -> None:
    result = chat("--webhook-url", "http://example.com/other", "app_echo:app", "hello")

    assert result.exit_code == 0


TWO_PATHS = """
def app(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK" if path in ("/sms", "/voice") else "404 Not Found", [("Content-Type", "text/xml")])
    return [b"<Response><Say>Press 1</Say></Response>" if path == "/voice" else b"<Response/>"]
"""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("running", [False, True], ids=["an app", "a running app"])
def test_e8_calls_have_a_url_of_their_own(
    running: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app_two.py").write_text(TWO_PATHS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "any")
    with listening(importlib.import_module("app_two").app) as url:
        app, origin = (url, url.removesuffix("/sms")) if running else ("app_two:app", "https://example.com")  # fmt: skip
        named = chat(app, "--voice-url", f"{origin}/voice", "hello", "/call")
        unnamed = chat(app, "hello", "/call")

    assert (named.exit_code, unnamed.exit_code) == (0, 0)
    assert "< Press 1" in named.stdout
    assert "Press 1" not in unnamed.stdout


@pytest.mark.usefixtures("folder")
def test_an_app_that_is_not_wrapped_can_be_for_this_chat() -> None:
    bare = chat("app_counting:app", "hello", "again")
    wrapped = chat("app_counting:app", "--wrap", "hello", "again")

    assert bare.stdout == "> hello\n< 1\n> again\n< 1\n"
    assert wrapped.stdout == "> hello\n< 1\n> again\n< 2\n"
    assert wrapped.stderr == "convostate: wrapped app_counting:app for this run\n"


def test_an_app_that_is_wrapped_is_not_wrapped_again() -> None:
    result = chat("--wrap", "hello", "again")

    assert (result.stdout, result.stderr) == (f"> hello\n{FIRST}> again\n{SECOND}", "")


@pytest.fixture
def url() -> Iterator[str]:
    """The counter on a server."""
    with listening(counter) as url:
        yield url


def test_a_running_app_is_texted_too(url: str) -> None:
    result = chat(url, "hello", "/wait 1m", "again")

    assert result.stdout.startswith(f"> hello\n{FIRST}-- 1m later; only Twilio's cookies age")
    assert result.stdout.endswith(f"> again\n{SECOND}")
    assert result.stderr == ""


def plain(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answers without asking for a state."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", "max-age=0")])
    return [b"yes"]


@pytest.mark.parametrize("paths", ["/voice", None], ids=["not guarded", "not wrapped"])
def test_a_running_app_that_does_not_guard_the_path_is_noticed_once(paths: str | None) -> None:
    app: WSGIApplication = plain
    if paths is not None:
        app = ConversationMiddleware(plain, Settings.from_environ(paths=paths))

    with listening(app) as url:
        result = chat(url, "hello", "again")

    assert (result.exit_code, result.stdout) == (0, "> hello\n< yes\n> again\n< yes\n")
    assert result.stderr == (
        "convostate: /sms is probably not guarded, so the app may run without state. "
        "Add it to CONVOSTATE_PATHS of the running app, or wrap that app\n"
    )


def test_a_running_app_that_guards_the_path_is_not_suspected() -> None:
    with listening(ConversationMiddleware(plain, Settings.from_environ(paths="/sms"))) as url:
        result = chat(url, "hello", "again")

    assert (result.stdout, result.stderr) == ("> hello\n< yes\n> again\n< yes\n", "")


def test_an_error_of_a_running_app_shows_nothing_of_its_paths() -> None:
    def failing(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no"]

    with listening(failing) as url:
        assert "guarded" not in chat(url, "hello").stderr


def test_a_running_app_needs_its_own_token(url: str) -> None:
    missing = chat(url, "hello", TWILIO_AUTH_TOKEN=None)
    wrong = chat(url, "hello", TWILIO_AUTH_TOKEN="another")

    assert (missing.exit_code, wrong.exit_code) == (2, 1)
    assert "Set TWILIO_AUTH_TOKEN to the app's token" in missing.stderr
    assert "11200 HTTP retrieval failure: the app answered 403" in wrong.stderr


def test_a_running_app_cannot_be_wrapped(url: str) -> None:
    assert "leave out --wrap" in chat("--wrap", url, "hello").stderr


def test_a_running_app_keeps_its_state_to_itself(url: str) -> None:
    assert "Start the chat with module:name" in chat(url, "hello", "/state").stderr
