"""What the app finds in its environ, and what it is told where that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request

from convostate import State, UsageError, Webhook, state_from, webhook_from
from tests.answering import Answering
from tests.served import ACCOUNT, ADA, NOW, SID, URL, US, counting, serve, signed, text, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

CALL = {"AccountSid": ACCOUNT, "CallSid": "CA" + "1" * 32, "From": ADA, "To": US}


def asking(what: Callable[[WSGIEnvironment], Any], got: list[Any]) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
        got.append(what(environ))
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response/>"]

    return app


def test_the_app_finds_its_state_and_its_webhook() -> None:
    got: list[Any] = []
    app = asking(lambda environ: (state_from(environ), webhook_from(environ)), got)

    assert serve(wrapped(app), signed()).status == 200
    [(state, webhook)] = got
    assert type(state) is State
    assert type(webhook) is Webhook
    assert (state.pair.ours, state.pair.theirs) == (US, ADA)
    assert (webhook.kind, webhook.body, webhook.url) == ("message", "hello", URL)
    assert (webhook.message_sid, webhook.account_sid) == (SID, ACCOUNT)


def test_w11_the_webhooks_parameters_are_read_only() -> None:
    def change(environ: WSGIEnvironment) -> None:
        with pytest.raises(TypeError):
            webhook_from(environ).params["From"] = US  # type: ignore[index]
        with pytest.raises(AttributeError):
            webhook_from(environ).url = URL  # type: ignore[misc]

    assert serve(wrapped(asking(change, [])), signed()).status == 200


@pytest.mark.parametrize("ask", [state_from, webhook_from])
def test_a_request_that_was_not_wrapped_is_a_usage_error(ask: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"did not come through .*Wrap the app"):
        serve(asking(ask, []), signed())
    with pytest.raises(UsageError, match=r"did not come through .*Wrap the app"):
        ask({"type": "http", "method": "POST"})


@pytest.mark.parametrize("ask", [state_from, webhook_from])
@pytest.mark.parametrize("given", [Request({}), None, "environ", []], ids=type)
def test_the_request_itself_in_place_of_its_environ_is_a_usage_error(
    ask: Callable[..., Any], given: Any
) -> None:
    with pytest.raises(UsageError, match=f"^{type(given).__name__} is neither .*request.environ"):
        ask(given)


@pytest.mark.parametrize("ask", [state_from, webhook_from])
def test_a_state_in_place_of_the_environ_is_a_usage_error(ask: Callable[..., Any]) -> None:
    got: list[Any] = []
    assert serve(wrapped(asking(state_from, got)), signed()).status == 200
    with pytest.raises(UsageError, match=r"State is neither an environ nor a scope"):
        ask(got[0])


@pytest.mark.parametrize("ask", [state_from, webhook_from])
def test_a_path_that_is_not_guarded_is_a_usage_error(ask: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"not guarded.*CONVOSTATE_PATHS"):
        serve(wrapped(asking(ask, []), inside=False, paths="/voice"), signed())


@pytest.mark.parametrize(("params", "kind"), [
    ({"AccountSid": ACCOUNT, "RecordingSid": "RE" + "1" * 32}, "other"),
    (text(From=""), "message"), (text(From=" "), "message"), (text(AccountSid=""), "message"),
], ids=["recording", "no sender", "a blank sender", "no account"])  # fmt: skip
def test_a_webhook_without_a_pair_has_a_webhook_and_no_state(
    params: dict[str, str], kind: str
) -> None:
    got: list[Any] = []
    served = serve(wrapped(asking(webhook_from, got)), signed(params))

    assert (served.status, served.cookie) == (200, "")
    assert (got[0].kind, got[0].pair) == (kind, None)
    with pytest.raises(UsageError, match=rf"kind {kind}.*no pair of phones"):
        serve(wrapped(asking(state_from, [])), signed(params))


def test_w11_the_servers_environ_stays_as_it_was() -> None:
    environ = signed(HTTP_TRANSFER_ENCODING="identity") | {"server.own": object()}
    before = dict(environ)

    wrapped(counting, inside=False)(environ, lambda *_: lambda _: None)

    assert environ == before
    assert environ["wsgi.input"] is before["wsgi.input"]


def test_w11_every_other_key_of_the_servers_reaches_the_app() -> None:
    app = Answering()
    environ = signed(HTTP_X_OWN="1", REMOTE_ADDR="192.0.2.7") | {"server.own": "value"}
    wrapped(app, inside=False)(environ, lambda *_: lambda _: None)
    seen = app.asked[0].environ

    changed = {"wsgi.input", "convostate.state", "convostate.turn", "convostate.webhook"}
    assert {name: seen[name] for name in seen.keys() - changed} == {
        name: environ[name] for name in environ.keys() - changed
    }


@pytest.mark.parametrize("planted", ["a text", {"admin": True}, None])
def test_w11_what_stands_under_our_keys_already_is_not_believed(planted: object) -> None:
    app = Answering()
    params = {"AccountSid": ACCOUNT, "RecordingSid": "RE" + "1" * 32}
    environ = signed(params)
    environ |= {"convostate.state": planted, "convostate.webhook": planted or {}}

    assert serve(wrapped(app), environ).status == 200
    assert "convostate.state" not in app.asked[0].environ
    assert type(app.asked[0].environ["convostate.webhook"]) is Webhook
    unproven = environ | {"HTTP_X_TWILIO_SIGNATURE": "no"}
    assert serve(wrapped(app), unproven).status == 403


def test_w11_an_app_that_copies_its_environ_keeps_its_state() -> None:
    def copying(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
        return counting(dict(environ), start_response)

    middleware = wrapped(copying)
    first = serve(middleware, signed())

    assert first.body == b"1"
    assert serve(middleware, signed(HTTP_COOKIE=f"convostate={first.cookie}")).body == b"2"


def test_the_clock_in_the_environ_is_the_states_clock() -> None:
    got: list[Any] = []
    app = asking(lambda environ: state_from(environ).started_at.timestamp(), got)

    serve(wrapped(app), signed())
    serve(wrapped(app), signed() | {"convostate.clock": lambda: NOW + 5})

    assert got == [NOW, NOW + 5]


def test_without_a_clock_in_the_environ_it_is_the_systems() -> None:
    got: list[Any] = []
    app = asking(lambda environ: state_from(environ).started_at.year, got)

    environ = signed()
    del environ["convostate.clock"]

    serve(wrapped(app), environ)

    assert got[0] >= 2025


def test_no_header_can_be_mistaken_for_the_clock() -> None:
    """Headers become HTTP_…, so a client cannot move the time."""
    got: list[Any] = []
    app = asking(lambda environ: state_from(environ).started_at.timestamp(), got)

    serve(wrapped(app), signed(HTTP_CONVOSTATE_CLOCK="0"))

    assert got == [NOW]
