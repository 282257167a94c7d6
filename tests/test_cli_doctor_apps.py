"""`convostate doctor APP` looks into an app: is it wrapped, what is guarded, which adapter is in use."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.chatting import unset
from tests.test_cli_doctor import FIRST, SOUND, doctor

if TYPE_CHECKING:
    from pathlib import Path


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """An app of the user's, in a file in the working directory."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    name = f"texts_{abs(hash((text, str(folder))))}"
    (folder / f"{name}.py").write_text(text)
    return f"{name}:app"


FLASK = """
from flask import Flask
from convostate import ConversationMiddleware
app = Flask(__name__)
app.add_url_rule("/sms", "sms", lambda: "", methods=["POST"])
app.add_url_rule("/call/<int:step>", "call", lambda step: "", methods=["POST"])
app.add_url_rule("/about", "about", lambda: "")
"""
WRAP = "app.wsgi_app = ConversationMiddleware(app.wsgi_app)\n"


def test_an_app_that_is_not_wrapped_is_a_fault_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill = doctor(module(tmp_path, monkeypatch, FLASK))
    assert ill.exit_code == 1
    assert "is not wrapped" in ill.stdout
    assert "guarded" not in ill.stdout

    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-token")
    monkeypatch.setenv("CONVOSTATE_KEYS", FIRST)
    well = doctor(module(tmp_path, monkeypatch, FLASK + WRAP))
    assert well.exit_code == 0
    assert "is wrapped" in well.stdout
    assert "/about, /call/<int:step>, /sms" in well.stdout


def found_if_wrapped(
    app: str, wrap: str, around: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """What doctor says of an app inside another one, which is a fault without the middleware."""
    for name, value in SOUND.items():
        monkeypatch.setenv(name, value)

    well = doctor(module(tmp_path, monkeypatch, app + wrap + around))
    ill = doctor(module(tmp_path, monkeypatch, app + around))

    assert (well.exit_code, ill.exit_code) == (0, 1)
    assert "is not wrapped: its webhooks are not verified" in ill.stdout
    return well.stdout


AROUND = {
    "WhiteNoise's name": "class Around:\n    def __init__(self, app): self.application = app\n    def __call__(self, environ, start_response): return self.application(environ, start_response)\n",
    "asgiref": "from asgiref.wsgi import WsgiToAsgi as Around\n",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_o8_an_app_that_is_wrapped_is_found_under_what_others_put_around_it(
    around: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = found_if_wrapped(FLASK, WRAP, f"{around}app = Around(app)\n", tmp_path, monkeypatch)
    assert "is wrapped" in found


IN_WERKZEUG = """
from werkzeug.middleware.dispatcher import DispatcherMiddleware
app = DispatcherMiddleware(Flask("site"), {"/bots": app})
"""
IN_FASTAPI = "site = FastAPI()\nsite.mount('/bots', app)\napp = site\n"


@pytest.mark.parametrize("mount", [IN_WERKZEUG, IN_FASTAPI], ids=["Werkzeug", "FastAPI"])
def test_o8_an_app_that_mounts_a_wrapped_one_is_not_told_to_wrap_it_again(
    mount: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, wrap = (FASTAPI, ADD) if mount == IN_FASTAPI else (FLASK, WRAP)
    found = found_if_wrapped(bare, wrap, mount, tmp_path, monkeypatch)
    assert "itself is not wrapped, but the app that it mounts at /bots is" in found


WITH_SETTINGS = """
from convostate import ConversationMiddleware, Keyring, Settings
from convostate.stores import MemoryStore
settings = Settings(auth_token="its-own", keys=Keyring.generate(), paths="/texts")
app = ConversationMiddleware(lambda environ, start_response: [], settings, store={store})
"""


@pytest.mark.parametrize(
    ("store", "said"),
    [("None", "the state travels in Twilio's cookie"), ("MemoryStore()", "the store takes a turn")],
)
def test_an_app_with_settings_of_its_own_is_judged_by_these(
    store: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = module(tmp_path, monkeypatch, WITH_SETTINGS.format(store=store))
    nothing = {"CONVOSTATE_KEYS": None, "TWILIO_AUTH_TOKEN": None}
    result = doctor(app, **nothing)

    assert (result.exit_code, result.stderr) == (0, "")
    assert said in result.stdout
    assert "guarded paths: /texts" in result.stdout
    assert ("another worker does not see them" in result.stdout) == (store != "None")
    assert doctor(**nothing).exit_code == 1


def test_an_app_that_cannot_start_without_the_settings_is_one_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = module(tmp_path, monkeypatch, FLASK + WRAP)
    result = doctor(app, CONVOSTATE_KEYS=None)

    assert result.exit_code == 1
    assert result.stdout.count("fault") == 1
    assert "convostate keygen" in result.stdout


def test_a_webhook_that_is_not_guarded_is_a_fault_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = module(tmp_path, monkeypatch, FLASK + WRAP)
    ill = doctor(app, CONVOSTATE_PATHS="/sms")
    assert ill.exit_code == 1
    assert "/call/<int:step> looks like a webhook and is not guarded" in ill.stdout
    assert "Set CONVOSTATE_PATHS=/sms,/call/*" in ill.stdout
    assert "/about looks" not in ill.stdout

    app = module(tmp_path, monkeypatch, FLASK + WRAP + "\n")
    well = doctor(app, CONVOSTATE_PATHS="/sms,/call/*")
    assert well.exit_code == 0


@pytest.mark.parametrize("name", ["counter", "counter_flask", "counter_bottle", "counter_pyramid"])
def test_the_demos_are_found_wrapped(name: str) -> None:
    result = doctor(f"convostate.demo.{name}:app")

    assert result.exit_code == 0
    assert f"convostate.demo.{name}:app is wrapped" in result.stdout
    assert ("the routes of this app are not known" in result.stdout) == (name == "counter")
    assert ("guarded by *: /sms" in result.stdout) == (name != "counter")


@pytest.mark.parametrize("paths", ["/sms", "*"])
def test_a_route_that_is_in_the_public_url_too_is_worth_one_note(
    paths: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVOSTATE_PATHS", paths)
    ill = doctor(
        module(tmp_path, monkeypatch, f"{FLASK}{WRAP}# doubled: {paths}\n"),
        CONVOSTATE_PUBLIC_URL="https://example.com/sms",
    )
    well = doctor(module(tmp_path, monkeypatch, f"{FLASK}{WRAP}# not doubled: {paths}\n"))

    assert ill.stdout.count("/sms is checked as https://example.com/sms/sms") == 1
    assert "is checked as" not in well.stdout


@pytest.mark.parametrize("store", ["cookie", "memory"])
@pytest.mark.parametrize("origin", [None, "https://example.com/bots"])
def test_the_url_to_enter_at_twilio_is_printed_for_each_guarded_route(
    store: str, origin: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = "#rc=3&rp=5xx" if store == "memory" else ""
    app = module(tmp_path, monkeypatch, f"{FLASK}{WRAP}# {store} {origin}\n")
    said = doctor(app, CONVOSTATE_STORE=store, CONVOSTATE_PUBLIC_URL=origin).stdout.splitlines()
    for route in ("/sms", "/call/<int:step>"):
        url = f"{origin or 'https://<your host>'}{route}{suffix}"
        assert f"ok    the URL of {route} to enter at Twilio: {url}" in said
    assert not any("the URL of /about" in line for line in said)


PAGES = """
app.add_url_rule("/", "home", lambda: "")
app.add_url_rule("/login", "login", lambda: "", methods=["GET", "POST"])
app.add_url_rule("/healthz", "healthz", lambda: "")
app.add_url_rule("/gather", "gather", lambda: "", methods=["POST"])
"""


def test_o10_pages_that_are_guarded_by_default_are_noted_and_the_paths_of_webhooks_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill = doctor(module(tmp_path, monkeypatch, FLASK + PAGES + WRAP))
    assert ill.exit_code == 0
    assert (
        "note  guarded as well: /, /about, /healthz, /login. Browsers and health checks get 403 there\n"
        "      → Set CONVOSTATE_PATHS=/call/*,/gather,/sms, the paths that Twilio calls\n"
    ) in ill.stdout

    app = module(tmp_path, monkeypatch, f"{FLASK}{PAGES}{WRAP}# again\n")
    well = doctor(app, CONVOSTATE_PATHS="/call/*,/gather,/sms")
    assert well.exit_code == 0
    assert "guarded as well" not in well.stdout
    assert "guarded by /call/*, /gather, /sms: /call/<int:step>, /gather, /sms" in well.stdout


PROXY_FIX = "from werkzeug.middleware.proxy_fix import ProxyFix\n"
FIX = "app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)\n"


def test_o8_proxy_fix_inside_the_middleware_is_a_fault_until_it_is_outside_or_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = module(tmp_path, monkeypatch, FLASK + PROXY_FIX + FIX + WRAP)
    outside = module(tmp_path, monkeypatch, FLASK + PROXY_FIX + WRAP + FIX)
    ill = doctor(inside, CONVOSTATE_PUBLIC_URL=None)
    assert ill.exit_code == 1
    assert "fault ProxyFix is inside the middleware" in ill.stdout
    assert "create it after ConvoState(app)" in ill.stdout

    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-token")
    well = doctor(outside, CONVOSTATE_PUBLIC_URL=None)
    assert well.exit_code == 0
    assert "is wrapped" in well.stdout
    again = module(tmp_path, monkeypatch, f"{FLASK}{PROXY_FIX}{FIX}{WRAP}# with a URL\n")
    assert doctor(again).exit_code == 0


def test_o8_logging_that_drops_the_reason_of_a_refusal_is_worth_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SOUND.items():
        monkeypatch.setenv(name, value)
    app = module(tmp_path, monkeypatch, FLASK + WRAP)
    well = doctor(app)
    # As logging.config.dictConfig leaves it.
    monkeypatch.setattr(logging.getLogger("convostate"), "disabled", True)
    ill = doctor(app)

    assert "the app's logging drops" not in well.stdout
    assert "note  the app's logging drops the warnings of convostate" in ill.stdout
    assert "Set disable_existing_loggers to False" in ill.stdout
    assert ill.exit_code == 0


OWN_STORE = """
from convostate import ConversationMiddleware
from convostate.stores import MemoryStore, Store

class Own(Store):
    server_side = True
    def __init__(self): self._kept = MemoryStore()
    def begin(self, claim, cookies, now): return self._kept.begin(claim, cookies, now)
    def write(self, begun, token, lifetime_s, now): self._kept.write(begun, token, lifetime_s, now)
    def commit(self, begun, outcome, reply, now): return self._kept.commit(begun, outcome, reply, now)
    def abort(self, begun): self._kept.abort(begun)
    def peek(self, claim, now): return self._kept.peek(claim, now)
    def erase(self, claim, *, replies): self._kept.erase(claim, replies=replies)

class Checked(Own):
    def check(self):
        return [("ok", "it has room", ""), ("fault", "its disk is old", "Buy another one")]

class Broken(Own):
    def peek(self, claim, now): raise KeyError("a value")

app = ConversationMiddleware(lambda environ, start_response: [], store={}())
"""


@pytest.mark.parametrize(
    ("store", "fault", "advice"),
    [
        ("Own", None, ""),
        ("Checked", "its disk is old", "Buy another one"),
        ("Broken", "the store raises KeyError", "Test it with convostate.testing.StoreContract"),
    ],
)
def test_e7_a_store_of_ones_own_takes_a_turn_and_its_own_check_counts(
    store: str, fault: str | None, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-token")
    monkeypatch.setenv("CONVOSTATE_KEYS", FIRST)
    result = doctor(module(tmp_path, monkeypatch, OWN_STORE.format(store)))

    assert (result.exit_code, result.stderr) == (int(fault is not None), "")
    assert ("ok    the store takes a turn" in result.stdout) == (store != "Broken")
    assert ("ok    it has room" in result.stdout) == (store == "Checked")
    assert "a value" not in result.stdout
    if fault is not None:
        assert f"fault {fault}" in result.stdout
        assert f"      → {advice}" in result.stdout


UNLISTED = """
from starlette.applications import Starlette
from convostate.asgi import ConversationMiddleware
class App(Starlette):
    @property
    def routes(self): raise KeyError("a value")
app = ConversationMiddleware(App())
"""
BARE = {
    "Flask": "from flask import Flask\napp = Flask(__name__)\n",
    "Bottle": "from bottle import Bottle\napp = Bottle()\n",
    "Pyramid": """
from pyramid.config import Configurator
config = Configurator()
config.add_request_method(lambda request: 1, "another")
""",
    "Django": """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="an example", MIDDLEWARE=[])
urlpatterns = []
app = get_wsgi_application()
""",
}
WRAPPED = """
from convostate import ConversationMiddleware
app = ConversationMiddleware({})
"""
ADAPTED: dict[str, tuple[str, str, str]] = {
    "Flask": (
        BARE["Flask"] + WRAP.join(["from convostate import ConversationMiddleware\n", ""]),
        BARE["Flask"] + "from convostate.frameworks.flask import ConvoState\nConvoState(app)\n",
        "ConvoState(app), from convostate.frameworks.flask",
    ),
    "Bottle": (
        BARE["Bottle"] + WRAPPED.format("app"),
        BARE["Bottle"]
        + "from convostate.frameworks.bottle import ConversationPlugin\n"
        + "app.install(ConversationPlugin())\n"
        + WRAPPED.format("app"),
        "ConversationPlugin(), from convostate.frameworks.bottle",
    ),
    "Pyramid": (
        BARE["Pyramid"] + WRAPPED.format("config.make_wsgi_app()"),
        BARE["Pyramid"]
        + 'config.include("convostate.frameworks.pyramid")\n'
        + WRAPPED.format("config.make_wsgi_app()"),
        'config.include("convostate.frameworks.pyramid")',
    ),
    "Django": (
        BARE["Django"] + WRAPPED.format("app"),
        BARE["Django"].replace(
            "MIDDLEWARE=[]",
            'MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", '
            '"convostate.frameworks.django.ConversationSessionMiddleware"], ALLOWED_HOSTS=[".com"]',
        )
        + WRAPPED.format("app"),
        "convostate.frameworks.django.ConversationSessionMiddleware, right after",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("framework", ADAPTED)
def test_an_adapter_that_is_not_in_use_is_worth_a_note_until_it_is(
    framework: str, tmp_path: Path
) -> None:
    without, with_it, advice = ADAPTED[framework]
    said = []
    for name, text in (("without", without), ("with_it", with_it)):
        (tmp_path / f"{name}.py").write_text(text)
        done = subprocess.run(  # Django is configured once in a process
            [sys.executable, "-m", "convostate", "doctor", f"{name}:app"],
            cwd=tmp_path,
            # What Pyramid says of a newer setuptools is not the doctor's.
            env={**unset(), **SOUND, "PYTHONWARNINGS": "ignore:pkg_resources is deprecated"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert f"{name}:app is wrapped" in done.stdout
        said.append(done.stdout)

    assert advice in said[0]
    assert "state_from(request.environ)" in said[0]
    refused = "Django answers 400 to webhooks for example.com: ALLOWED_HOSTS does not have it"
    assert [refused in each for each in said] == [framework == "Django", False]
    assert "convostate.frameworks" not in said[1]


def test_an_app_that_raises_when_it_is_imported_is_a_fault_whose_text_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = doctor(module(tmp_path, monkeypatch, "raise KeyError('a value')\n"))

    assert (result.exit_code, result.stderr) == (1, "")
    assert " raises KeyError\n      → See its traceback: convostate chat texts_" in result.stdout
    assert "a value" not in result.stdout


def test_routes_that_raise_when_they_are_listed_are_a_fault_whose_text_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = doctor(module(tmp_path, monkeypatch, UNLISTED))

    assert (result.exit_code, result.stderr) == (1, "")
    assert (
        "fault listing the app's routes raises KeyError\n      → Fix the error in" in result.stdout
    )
    assert "a value" not in result.stdout


@pytest.mark.parametrize("words", [["app"], []])
def test_deferred_paths_on_a_store_that_keeps_no_texts_are_one_fault(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = module(tmp_path, monkeypatch, OWN_STORE.partition("\napp = ")[0])
    app = module(tmp_path, monkeypatch, WRAPPED.format("lambda environ, start_response: []"))
    environ = {"CONVOSTATE_STORE": store.replace(":app", ":Own")}
    ill = doctor(*(words and [app]), **environ, CONVOSTATE_DEFER_PATHS="/sms")

    assert (ill.exit_code, ill.stderr, ill.stdout.count("fault")) == (1, "", 1)
    assert "this store does not keep texts that are answered later\n      → Set" in ill.stdout
    assert doctor(*(words and [app]), **environ).exit_code == 0


@pytest.mark.parametrize(
    "ends", ["import sys; sys.exit(0)", "import argparse; argparse.ArgumentParser().parse_args()"]
)
def test_a_program_that_ends_when_it_is_imported_is_a_fault(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["convostate", "doctor", "app:app"])
    result = doctor(module(tmp_path, monkeypatch, f"{FLASK}{WRAP}{ends}\n"))

    assert result.exit_code == 1
    assert "ends the process" in result.stdout
    assert 'if __name__ == "__main__"' in result.stdout


def test_what_an_app_prints_is_not_among_the_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "the-token")
    monkeypatch.setenv("CONVOSTATE_KEYS", FIRST)
    result = doctor(module(tmp_path, monkeypatch, f"print('hello')\n{FLASK}{WRAP}"), "--json")

    assert all(json.loads(line)["level"] for line in result.stdout.splitlines())
    assert result.stderr.startswith("hello\n")


def test_an_app_that_cannot_be_imported_is_a_fault() -> None:
    result = doctor("no_such_module_at_all:app")

    assert result.exit_code == 1
    assert "Cannot import no_such_module_at_all" in result.stdout


FASTAPI = """
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware
from convostate.asgi import ConversationMiddleware
app = FastAPI()
app.add_api_route("/sms", lambda: "", methods=["POST"])
app.add_api_route("/call/{step}", lambda step: "", methods=["POST"])
"""
ADD = "app.add_middleware(ConversationMiddleware)\n"
ADD_SESSION = 'app.add_middleware(SessionMiddleware, secret_key="an example")\n'


@pytest.mark.parametrize(
    ("added", "fault", "advice"),
    [
        ("", "is not wrapped", "app.add_middleware(ConversationMiddleware)"),
        (ADD, None, ""),
        (ADD + ADD_SESSION, None, ""),
        (
            ADD_SESSION + ADD,
            "SessionMiddleware is inside ConversationMiddleware",
            "Add ConversationMiddleware before SessionMiddleware",
        ),
    ],
)
@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_an_asgi_app_is_looked_into_alike(
    added: str,
    fault: str | None,
    advice: str,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**SOUND, "CONVOSTATE_STORE": store}.items():
        monkeypatch.setenv(name, value)
    app = module(tmp_path, monkeypatch, f"{FASTAPI}{added}# {store}\n")
    said = doctor(app, CONVOSTATE_STORE=store)

    assert (said.exit_code, said.stderr) == (int(fault is not None), "")
    if fault is not None:
        assert fault in said.stdout
        assert f"      → {advice}" in said.stdout.replace("→ Wrap it: ", "→ ")
    if added:
        assert (
            "the URL of /call/{step} to enter at Twilio: https://example.com/call/{step}"
            in said.stdout
        )
        assert (
            "guarded as well: /docs, /docs/oauth2-redirect, /openapi.json, /redoc." in said.stdout
        )
        assert "Set CONVOSTATE_PATHS=/call/*,/sms" in said.stdout
        assert "workers or threads busy" not in said.stdout


SOCKETS = {
    "fastapi": """
from fastapi import APIRouter, FastAPI, WebSocket
from convostate.asgi import ConversationMiddleware
async def stream(socket: WebSocket): ...
app, router = FastAPI(openapi_url=None), APIRouter()
app.add_middleware(ConversationMiddleware)
router.add_api_websocket_route("/stream", stream)
app.add_api_route("/sms", lambda: "", methods=["POST"])
app.include_router(router)
""",
    "litestar": """
from litestar import Litestar, WebSocket, post, websocket
from convostate.asgi import ConversationMiddleware
@post("/sms")
async def sms() -> None: ...
@websocket("/stream")
async def stream(socket: WebSocket) -> None: ...
app = ConversationMiddleware(Litestar([sms, stream], openapi_config=None, logging_config=None))
""",
    "quart": """
from quart import Quart
from convostate.asgi import ConversationMiddleware
app = Quart(__name__)
app.add_url_rule("/sms", "sms", lambda: "", methods=["POST"])
app.add_websocket("/stream", "stream", lambda: None)
app.asgi_app = ConversationMiddleware(app.asgi_app)
""",
}


@pytest.mark.parametrize("framework", SOCKETS)
def test_a_websocket_has_a_url_for_twiml_and_none_to_enter(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SOUND.items():
        monkeypatch.setenv(name, value)
    said = doctor(module(tmp_path, monkeypatch, SOCKETS[framework])).stdout

    assert "the URL of /stream for a stream in your TwiML: wss://example.com/stream\n" in said
    assert "the URL of /sms to enter at Twilio: https://example.com/sms" in said
    assert said.count("the URL of ") == 2
    assert "guarded as well" not in said


ANSWERING = """
from convostate import ConversationMiddleware, Conversations
app.wsgi_app = wrapped = ConversationMiddleware(app.wsgi_app)
conversations = Conversations(store=wrapped.store, client=lambda account_sid: None)
"""
ANSWERS = """
@conversations.answers
def answer(turn): ...
"""


@pytest.mark.parametrize(
    ("code", "paths", "noted"),
    [(ANSWERS, "", True), (ANSWERS, "/sms", False), ("", "", False)],
)
def test_an_answer_function_without_deferred_paths_is_noted(
    code: str, paths: str, noted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"CONVOSTATE_STORE": "memory", **({"CONVOSTATE_DEFER_PATHS": paths} if paths else {})}
    for name, value in {**SOUND, **changes}.items():
        monkeypatch.setenv(name, value)
    app = module(tmp_path, monkeypatch, f"{FLASK}{ANSWERING}{code}# {paths}\n")
    said = doctor(app, **changes)

    assert said.exit_code == 0, said.stdout
    assert ("the answer function gets no texts: no path is deferred" in said.stdout) is noted


INCLUDED = """
from fastapi import APIRouter, FastAPI
from convostate.asgi import ConversationMiddleware
app = FastAPI()
app.add_middleware(ConversationMiddleware)
inner, outer, mounted = APIRouter(prefix="/calls"), APIRouter(prefix="/bots"), FastAPI(openapi_url=None)
inner.add_api_route("/begin", lambda: "", methods=["POST"])
outer.include_router(inner)
app.include_router(outer, prefix="/v1")
mounted.add_api_route("/sms", lambda: "", methods=["POST"])
app.mount("/texts", mounted)
"""


def test_o10_whoever_follows_the_advice_about_one_of_several_webhooks_guards_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = module(tmp_path, monkeypatch, INCLUDED)
    ill = doctor(app, CONVOSTATE_PATHS="/other").stdout
    found = set(re.findall(r"Set CONVOSTATE_PATHS=(\S+), or rename", ill))
    assert ill.count("looks like a webhook and is not guarded") == 2
    [advised] = found

    assert "looks like a webhook" not in doctor(app, CONVOSTATE_PATHS=advised).stdout


@pytest.mark.parametrize("route", ["/v1/bots/calls/begin", "/texts/sms"])
def test_a_route_of_an_included_router_or_a_mounted_app_is_found_guarded_or_not(
    route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SOUND, "CONVOSTATE_PATHS": route}.items():
        monkeypatch.setenv(name, value)
    said = doctor(
        module(tmp_path, monkeypatch, f"{INCLUDED}# {route}\n"), CONVOSTATE_PATHS=route
    ).stdout

    assert f"ok    guarded by {route}: {route}\n" in said
    assert said.count("looks like a webhook and is not guarded") == 1  # the other one
    assert f"fault {route} " not in said


MOUNTED = """
import warnings
from bottle import Bottle
from convostate import ConversationMiddleware
hooks, app = Bottle(), Bottle()
hooks.post("/sms", callback=lambda: "")
app.get("/", callback=lambda: "")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    app.mount("/hooks", hooks)  # without a slash at the end, as all apps do before Bottle 0.13
app = ConversationMiddleware(app)
"""


def test_o10_whoever_follows_the_advice_about_a_mounted_bottle_app_guards_its_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def examined(paths: str) -> str:
        for name, value in {**SOUND, "CONVOSTATE_PATHS": paths}.items():
            monkeypatch.setenv(name, value)
        return doctor(module(tmp_path, monkeypatch, f"{MOUNTED}# {paths}\n")).stdout

    [advised] = re.findall(r"Set CONVOSTATE_PATHS=(\S+), the paths", examined("*"))
    assert advised == "/hooks/sms"
    assert "ok    guarded by /hooks/sms: /hooks/sms\n" in examined(advised)
    assert "fault /hooks/sms looks like a webhook" in examined("/sms")


def test_the_settings_that_an_asgi_app_cannot_start_without_are_one_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = doctor(module(tmp_path, monkeypatch, FASTAPI + ADD), CONVOSTATE_KEYS=None)
    assert said.exit_code == 1
    assert said.stdout.count("fault") == 1
    assert "CONVOSTATE_KEYS is not set" in said.stdout
