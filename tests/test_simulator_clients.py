"""An app's own test clients sign what they send: one line each for Flask, Werkzeug, WebTest and Django."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.test.client import Client as DjangoClient
from django.test.client import ClientHandler
from django.test.utils import override_settings
from flask import Flask, current_app, redirect, request, session
from flask.testing import FlaskClient
from webtest import TestApp
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from convostate import ConversationMiddleware, Keyring, Settings, UsageError, state_from
from convostate.frameworks.flask import ConvoState
from convostate.testing import SignedClient, SignedDjangoClient, SignedTestApp
from tests.apps import django_project

if TYPE_CHECKING:
    from collections.abc import Callable

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
ONE, TWO = "AC" + "1" * 32, "AC" + "2" * 32
SMS = {"MessageSid": "SM1", "AccountSid": ONE, "From": ADA, "To": US, "Body": "hi"}


def settings(**changes: Any) -> Settings:
    chosen: dict[str, Any] = {"auth_token": "the-token", "keys": Keyring.generate(), **changes}
    return Settings(**chosen)


def flask_app(**changes: Any) -> Flask:
    """A counter whose pages and webhooks are as an existing app has them."""
    app = Flask(__name__)
    app.secret_key = "an example"
    ConvoState(app, settings(**{"paths": "/sms,/voice,/events", **changes}))

    @app.route("/sms", methods=["GET", "POST"])
    def sms() -> dict[str, Any]:
        session["n"] = session.get("n", 0) + 1
        return {"n": session["n"], "values": request.values.to_dict()}

    @app.route("/voice", methods=["GET", "POST"])
    def voice() -> dict[str, Any]:
        session["n"] = session.get("n", 0) + 1
        return {"n": session["n"], "form": request.values.to_dict()}

    @app.post("/events")
    def events() -> dict[str, Any]:
        return {"json": request.get_json(), "query": request.query_string.decode()}

    @app.route("/page", methods=["GET", "POST"])
    def page() -> dict[str, Any]:
        session["seen"] = True
        return {"form": request.form.to_dict(), "signed": "X-Twilio-Signature" in request.headers}

    return app


def by_werkzeug(app: Any) -> Any:
    client = SignedClient(app)
    return client, lambda path, data: client.post(path, data=data)


def by_flask(app: Any) -> Any:
    app.test_client_class = SignedClient
    client = app.test_client()
    return client, lambda path, data: client.post(path, data=data)


def by_webtest(app: Any) -> Any:
    client = SignedTestApp(app)
    return client, client.post


@pytest.fixture(params=[by_werkzeug, by_flask, by_webtest])
def client_of(request: pytest.FixtureRequest) -> Callable[[Any], tuple[Any, Any]]:
    made: Callable[[Any], tuple[Any, Any]] = request.param
    return made


def test_e3_a_post_is_signed_and_the_state_goes_on_from_one_to_the_next(client_of: Any) -> None:
    _, post = client_of(flask_app())

    assert [post("/sms", {**SMS, "MessageSid": f"SM{n}"}).json["n"] for n in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_e16_a_client_sets_and_reads_the_state_of_its_call(client_of: Any, store: str) -> None:
    client, post = client_of(flask_app(store=store))
    client.set_state({"n": 4}, call=True)

    assert post("/voice", {"Digits": "1"}).json["n"] == 5
    assert (client.get_state(call=True), client.get_state()) == ({"n": 5}, None)
    another, post = client_of(flask_app(store=store))
    assert (another.get_state(call=True), post("/voice", {"Digits": "1"}).json["n"]) == (None, 1)


def test_e3_a_client_that_does_not_sign_is_refused() -> None:
    app = flask_app()

    assert app.test_client().post("/sms", data=SMS).status_code == 403
    assert Client(app).post("/sms", data=SMS).status_code == 403
    assert TestApp(app).post("/sms", SMS, status=403).status_int == 403


@pytest.mark.parametrize("path", ["/SMS", "/sms.json"])
def test_e3_a_spelling_that_the_app_guards_is_signed_too(path: str) -> None:
    assert SignedClient(flask_app()).post(path, data=SMS).status_code == 404


def test_e3_the_app_gets_the_form_as_the_test_sent_it(client_of: Any) -> None:
    _, post = client_of(flask_app())
    sent = {**SMS, "Body": "ä+b &=\n%", "FromCity": ""}

    assert post("/sms", sent).json["values"] == sent


def test_e3_what_a_test_leaves_out_and_twilio_always_sends_is_added(client_of: Any) -> None:
    _, post = client_of(flask_app())
    first = post("/sms", {"From": BOB, "Body": "hi"}).json
    second = post("/sms", {"From": BOB, "Body": "hi"}).json
    values = first["values"]

    assert (first["n"], second["n"]) == (1, 2)
    assert (values["From"], values["To"], values["Body"]) == (BOB, US, "hi")
    assert values["MessageSid"] != second["values"]["MessageSid"]
    one, two = (post("/voice", {"Digits": key}).json["form"] for key in "12")
    assert one["CallSid"] == two["CallSid"]
    assert (one["Digits"], one["Direction"], one["From"], one["To"]) == ("1", "inbound", ADA, US)


@pytest.mark.parametrize("first", [{}, {"From": BOB}, {"From": BOB, "To": US}], ids=str)
def test_e3_a_request_that_does_not_say_what_it_is_begins_a_call(
    client_of: Any, first: dict[str, str]
) -> None:
    _, post = client_of(flask_app())
    one = post("/voice", first).json
    two = post("/voice", {**first, "Digits": "1"}).json

    assert one["form"]["CallSid"] == two["form"]["CallSid"]
    assert one["form"]["From"] == first.get("From", ADA)
    assert (one["n"], two["n"]) == (1, 2)


def test_e3_a_get_without_parameters_begins_a_call() -> None:
    client = SignedClient(flask_app())
    calls: list[Any] = [
        client.get("/voice", query_string=query).json for query in ({}, {"Digits": "1"})
    ]

    assert [call["n"] for call in calls] == [1, 2]
    assert calls[0]["form"]["CallSid"] == calls[1]["form"]["CallSid"]


def test_e3_a_form_that_is_about_no_person_stays_as_it_is(client_of: Any) -> None:
    _, post = client_of(flask_app())

    assert post("/voice", {"RecordingSid": "RE1"}).json["form"] == {"RecordingSid": "RE1"}


def test_e3_a_path_that_is_not_guarded_gets_what_was_sent_and_no_signature(client_of: Any) -> None:
    _, post = client_of(flask_app())

    assert post("/page", {"Body": "hi"}).json == {"form": {"Body": "hi"}, "signed": False}


def test_e3_a_get_is_signed_with_its_query() -> None:
    app = flask_app()
    answered = SignedClient(app).get("/sms", query_string={**SMS, "Body": "a b+c"})
    filled = SignedTestApp(app).get("/sms?Body=hi%20there&x='y'")

    assert (answered.status_code, answered.get_json()["values"]["Body"]) == (200, "a b+c")
    assert filled.json["values"]["Body"] == "hi there"
    assert filled.json["values"]["From"] == ADA


def test_e3_json_is_signed_with_its_hash_in_the_query() -> None:
    app = flask_app()
    one = SignedClient(app).post("/events?a=1", json={"type": "sent"})
    two = SignedTestApp(app).post_json("/events", {"type": "sent"})

    assert (one.get_json()["json"], two.json["json"]) == ({"type": "sent"}, {"type": "sent"})
    assert one.get_json()["query"].startswith("a=1&bodySHA256=")


def test_e3_a_signature_of_the_test_s_own_is_left_alone() -> None:
    app = flask_app()
    forged = {"X-Twilio-Signature": "A" * 27 + "="}

    assert SignedClient(app).post("/sms", data=SMS, headers=forged).status_code == 403
    assert SignedTestApp(app).post("/sms", SMS, headers=forged, status=403).status_int == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"public_url": "https://sms.example:8443"},
        {"public_url": "https://sms.example/bots"},
        {"auth_token": None, "auth_tokens": ("other",)},
        {"auth_token": None, "account_tokens": f"{ONE}=one,{TWO}=two"},
        {"auth_token": None, "shared_keys": {"k1": "secret"}},
        {"store": "memory"},
    ],
    ids=str,
)
@pytest.mark.parametrize("account", [ONE, TWO])
def test_e3_the_app_s_settings_say_what_signs_and_which_url(
    changes: dict[str, Any], account: str, client_of: Any
) -> None:
    _, post = client_of(flask_app(**changes))
    numbers = [
        post("/sms", {**SMS, "AccountSid": account, "MessageSid": f"SM{n}"}).json["n"]
        for n in range(2)
    ]

    assert numbers == [1, 2]


def test_e3_another_token_can_be_given() -> None:
    app = flask_app()

    assert SignedClient(app, auth_token="the-token").post("/sms", data=SMS).status_code == 200
    assert SignedClient(app, auth_token="wrong").post("/sms", data=SMS).status_code == 403
    assert SignedTestApp(app, auth_token="wrong").post("/sms", SMS, status=403).status_int == 403


def test_e3_a_mounted_app_is_signed_with_its_whole_path() -> None:
    seen: list[int] = []

    def count(environ: Any, start_response: Any) -> list[bytes]:
        state = state_from(environ)
        state["n"] = state.get("n", 0) + 1
        seen.append(state["n"])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    app = DispatcherMiddleware(
        count, {"/bots": ConversationMiddleware(count, settings(paths="/sms*", store="memory"))}
    )
    client = SignedClient(app)
    client.post("/bots/sms%20in", data=SMS)
    client.set_state({"n": 5}, account_sid=ONE)
    client.post("/bots/sms", data=SMS)

    assert seen == [1, 6]
    assert client.get_state(account_sid=ONE) == {"n": 6}


@pytest.mark.parametrize("make", [by_werkzeug, by_flask])
@pytest.mark.parametrize(("code", "reached"), [(307, ["POST", "hi"]), (302, ["GET", None])])
def test_e3_a_redirect_that_a_client_follows_is_signed_anew(
    make: Any, code: int, reached: list[Any]
) -> None:
    app = Flask(__name__)
    ConvoState(app, settings(store="memory"))
    app.add_url_rule("/sms", view_func=lambda: redirect("/more", code), methods=["POST"])

    @app.route("/more", methods=["GET", "POST"])
    def more() -> list[Any]:
        return [request.method, request.form.get("Body")]

    client, _ = make(app)
    assert client.post("/sms", data=SMS, follow_redirects=True).json == reached
    own = {"X-Twilio-Signature": "mine"}
    refused = client.post("/sms", data=SMS, headers=own, follow_redirects=True)
    assert refused.status_code == 403


def test_e3_flask_s_client_keeps_what_it_can_do() -> None:
    app: Any = flask_app()
    app.test_client_class = SignedClient
    with app.test_client() as client:
        assert isinstance(client, FlaskClient)
        assert isinstance(client, SignedClient)
        client.post("/sms", data=SMS)
        assert session["n"] == 1
        with client.session_transaction() as kept:
            kept["of"] = "Flask's own"
        client.get("/page")
        assert dict(session) == {"of": "Flask's own", "seen": True}


def test_e3_a_subclass_of_a_client_is_still_one() -> None:
    class Own(SignedClient):
        def text(self, body: str) -> Any:
            return self.post("/sms", data={"Body": body})

    app: Any = flask_app()
    app.test_client_class = Own

    assert app.test_client().text("hi").json["n"] == 1


def test_e3_an_app_that_is_not_wrapped_gets_what_was_sent() -> None:
    app = Flask(__name__)
    app.add_url_rule("/sms", view_func=lambda: dict(request.headers), methods=["POST"])

    assert "X-Twilio-Signature" not in SignedClient(app).post("/sms", data=SMS).text
    with pytest.raises(UsageError, match="Wrap it"):
        SignedClient(app).set_state({})


def test_e3_twilio_sends_no_files() -> None:
    import io

    with pytest.raises(UsageError, match="MediaUrl0"):
        SignedClient(flask_app()).post("/sms", data={"f": (io.BytesIO(b"x"), "x.txt")})


@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_e16_a_client_sets_and_reads_the_state(store: str, client_of: Any) -> None:
    client, post = client_of(flask_app(store=store, public_url="https://sms.example/bots"))
    assert client.get_state() is None
    client.set_state({"n": 41})
    assert client.get_state() == {"n": 41}

    assert post("/sms", {"Body": "hi"}).json["n"] == 42
    assert client.get_state() == {"n": 42}
    client.set_state({"n": 1}, theirs=BOB)
    assert post("/sms", {"Body": "hi", "From": BOB}).json["n"] == 2
    client.set_state(None, theirs=BOB)
    assert client.get_state(theirs=BOB) is None


django_project.configure()


def django_application(changes: dict[str, Any] | None = None) -> Any:
    from django.core.wsgi import get_wsgi_application

    return ConversationMiddleware(
        get_wsgi_application(), settings(paths="/turn", **(changes or {}))
    )


application = django_application()
behind_a_prefix = django_application({"public_url": "https://sms.example/bots", "store": "memory"})


def count(kept: Any) -> str:
    kept["n"] = kept.get("n", 0) + 1
    return str(kept["n"])


@pytest.mark.parametrize("name", ["application", "behind_a_prefix"])
def test_e3_django_s_client_goes_through_the_wrapped_application(name: str) -> None:
    with override_settings(WSGI_APPLICATION=f"{__name__}.{name}"):
        client = SignedDjangoClient()
        extra = {django_project.VIEW: count}
        answers = [client.post("/turn", {"Body": "hi"}, **extra) for _ in range(2)]
        page = client.get("/visit", **extra)
        client.set_state({"n": 8})
        later = client.post("/turn", {"Body": "hi"}, **extra)

        assert [answer.content for answer in answers] == [b"1", b"2"]
        assert answers[0].wsgi_request.POST["From"] == ADA
        assert answers[0]["Cache-Control"] == "no-store"
        assert (page.content, later.content, client.get_state()) == (b"1", b"9", {"n": 9})


class OwnHandler(ClientHandler):  # type: ignore[misc]
    def get_response(self, request: Any) -> Any:
        response = super().get_response(request)
        response["X-Own"] = "yes"
        return response


class OwnClient(DjangoClient):  # type: ignore[misc]
    """A client with a handler of its own, as Django REST framework's APIClient."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handler = OwnHandler()


@pytest.mark.parametrize(
    "bases", [(SignedDjangoClient, OwnClient), (OwnClient, SignedDjangoClient)]
)
def test_e3_django_s_client_signs_with_a_client_that_has_a_handler_of_its_own(bases: Any) -> None:
    with override_settings(WSGI_APPLICATION=f"{__name__}.application"):
        client, extra = type("Both", bases, {})(), {django_project.VIEW: count}
        answers = [client.post("/turn", {"Body": "hi"}, **extra) for _ in range(2)]

        assert [(each.content, each["X-Own"]) for each in answers] == [(b"1", "yes"), (b"2", "yes")]
        assert answers[0].wsgi_request.POST["From"] == ADA


def test_e3_django_s_client_shows_what_a_view_raises_and_what_is_refused() -> None:
    def fail(_: Any) -> str:
        raise LookupError("in the view")

    with override_settings(WSGI_APPLICATION=f"{__name__}.application"):
        client = SignedDjangoClient()
        with pytest.raises(LookupError, match="in the view"):
            client.post("/turn", {"Body": "hi"}, **{django_project.VIEW: fail})
        quiet = SignedDjangoClient(raise_request_exception=False)
        failed = quiet.post("/turn", {"Body": "hi"}, **{django_project.VIEW: fail})
        stranger = SignedDjangoClient(auth_token="wrong")
        refused = stranger.post("/turn", {"Body": "hi"}, **{django_project.VIEW: count})

        assert (failed.status_code, client.get_state()) == (500, None)
        assert (refused.status_code, refused.content) == (403, b"")


def test_django_s_client_says_so_if_the_application_is_not_wrapped() -> None:
    with (
        override_settings(WSGI_APPLICATION="django.core.wsgi.get_wsgi_application"),
        pytest.raises(UsageError, match=r"no ConversationMiddleware .* Wrap it in wsgi\.py"),
    ):
        SignedDjangoClient().post("/turn", {"Body": "hi"})


def test_e3_the_log_of_a_refusal_in_a_test_names_the_clients(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "convostate")
    flask_app().test_client().post("/sms", data=SMS)
    TestApp(flask_app()).post("/sms", SMS, status=403)
    served = Client(flask_app())
    served.post("/sms", data=SMS, environ_overrides={"HTTP_USER_AGENT": "TwilioProxy/1.1"})
    by_test_client, by_webtest, by_anybody = caplog.messages

    assert "SignedClient" in by_test_client
    assert "SignedTestApp" in by_webtest
    assert "Signed" not in by_anybody


LAZY = """
import json, sys
import convostate.testing
convostate.testing.SignedClient
loaded = [name for name in ("flask", "webtest", "django", "httpx", "twilio") if name in sys.modules]
convostate.testing.SignedTestApp
print(json.dumps([loaded, "webtest" in sys.modules, "django" in sys.modules]))
"""


def test_e3_no_framework_is_loaded_before_its_client_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == [[], True, False]


class Around:
    """A middleware that names the app in a way of its own."""

    def __init__(self, app: Any) -> None:
        self.__app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.__app(environ, start_response)


def in_a_closure(app: Any) -> Any:
    def around(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return around


def beside_an_empty_cell(app: Any) -> Any:
    def around(environ: Any, start_response: Any) -> Any:
        assert app is not None or a_later
        return app(environ, start_response)

    if app is None:
        a_later = True  # never assigned, as the simulator that a test makes of the app
    return around


AROUND: dict[str, Callable[[Any], Any]] = {
    "an attribute": Around,
    "a closure": in_a_closure,
    "a closure with an empty cell": beside_an_empty_cell,
    "a method": lambda app: Around(app).__call__,
    "a partial": lambda app: partial(lambda app, *args: app(*args), app),
    "two of them": lambda app: Around(in_a_closure(app)),
    "beside a proxy": lambda app: partial(lambda _proxy, app, *args: app(*args), current_app, app),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_e3_e16_a_wrapped_app_is_found_in_whatever_is_around_it(
    around: Callable[[Any], Any],
) -> None:
    app: Any = flask_app()
    app.wsgi_app = around(app.wsgi_app)
    client, post = by_flask(app)
    client.set_state({"n": 5}, account_sid=ONE)

    assert post("/sms", SMS).json["n"] == 6
    assert client.get_state(account_sid=ONE) == {"n": 6}


def test_e3_an_app_that_is_not_wrapped_is_not_found_in_what_is_around_it() -> None:
    app = Around(in_a_closure(Flask(__name__).wsgi_app))

    with pytest.raises(UsageError, match="Wrap it"):
        SignedClient(app).get_state()
