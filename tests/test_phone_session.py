"""What can be done at the phones, and what is written down of it: without a browser."""

from __future__ import annotations

from typing import Any

import pytest

from convostate.testing import TwilioSimulator
from tests.phone_board import ADA, BOB, HERE, US, answering, board

FIRST, SECOND = (
    f"You've sent {count} in this conversation so far" for count in ("1 message", "2 messages")
)


def test_two_phones_have_two_conversations() -> None:
    with board() as page:
        page.text("hi")
        page.text("hi again")
        page.text("hi", phone=1)

        assert page.bodies("received") == [FIRST, SECOND]
        assert page.bodies("received", 1) == [FIRST]
        assert [row["text"] for row in page.stored()["rows"]] == ["2"]


def test_each_turn_keeps_the_state_that_it_left() -> None:
    with board() as page:
        page.text("hi")
        page.text("hi again")
        first, second = page.look()["phones"][0]["turns"]

        assert [(r["text"], r["mark"]) for r in first["rows"]] == [("1", "added")]
        assert [(r["text"], r["mark"], r["was"]) for r in second["rows"]] == [("2", "changed", "1")]
        assert (first["number"], second["number"], second["stored"]["in_progress"]) == (1, 2, True)
        assert (first["how"], second["how"]) == (["begins a conversation"], [])


def test_the_clock_moves_to_both_sides_of_the_expiry() -> None:
    with board() as page:
        page.text("hi")
        page.do("move-clock-to", phone=0, edge="before")
        assert page.stored()["in_progress"]
        page.do("move-clock-to", phone=0, edge="after")
        assert not page.stored()["in_progress"]
        assert page.do("move-clock-to", phone=0, edge="after").status_code == 409

        page.text("hi")
        assert page.bodies("received") == [FIRST, FIRST]
        page.do("move-clock", seconds=3600)
        page.text("hi")
        assert page.bodies("received") == [FIRST, FIRST, SECOND]


def test_a_lost_cookie_begins_anew_and_an_older_one_goes_back() -> None:
    with board() as page:
        page.text("hi")
        page.text("hi")
        page.do("stale-cookie", phone=0)
        page.text("hi")
        page.do("lose-cookie", phone=0)
        assert not page.stored()["in_progress"]
        page.text("hi")

        assert page.bodies("received") == [FIRST, SECOND, SECOND, FIRST]


def test_a_swapped_cookie_does_not_open() -> None:
    with board() as page:
        page.text("hi")
        page.text("hi")
        page.do("swap-cookie", phone=0, other=1)

        assert page.stored(1)["lost"] == "forged"
        assert (page.stored(0)["lost"], page.stored(0)["in_progress"]) == ("", False)
        turn = page.text("hi", phone=1)
        assert page.bodies("received", 1) == [FIRST]
        assert any("forged" in line for line in turn["log"])
        assert page.do("swap-cookie", phone=0, other=0).status_code == 409


def test_a_broken_signature_is_refused_explained_and_changes_nothing() -> None:
    with board() as page:
        page.text("hi")
        for _ in range(2):  # the log would be silent the second time
            page.do("break-signature", phone=0)
            turn = page.text("hi")
            assert (turn["status"], turn["errors"][0]["code"]) == (403, 11200)
            assert turn["explanation"].startswith("checked as https://example.com/sms: ")
            assert "TWILIO_AUTH_TOKEN" in turn["explanation"]
            assert turn["how"] == ["signature broken"]
            assert [row["mark"] for row in turn["rows"]] == ["same"]

        turn = page.text("hi")
        assert (turn["status"], turn["explanation"], turn["errors"]) == (200, "", [])
        assert page.bodies("received") == [FIRST, SECOND]


def test_an_app_that_is_not_wrapped_shows_no_state_and_takes_any_signature() -> None:
    def bare(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    with board(bare, bare=True) as page:
        page.do("break-signature", phone=0)
        turn = page.text("hi")

        assert page.bodies("received") == ["hello"]
        assert (turn["rows"], turn["stored"]["where"], turn["explanation"]) == ([], "", "")


def test_delivered_twice_on_a_cookie_runs_twice_and_in_memory_once() -> None:
    with board() as page:
        page.text("hi", twice=True)
        assert page.bodies("received") == [FIRST, FIRST]
        assert "ran twice" in page.bodies("note")[0]
    with board(store="memory") as page:
        page.text("hi", twice=True)
        assert page.bodies("received") == [FIRST, FIRST]
        assert "ran once" in page.bodies("note")[0]
        assert page.text("hi")["rows"][0]["text"] == "2"


def test_the_last_text_is_delivered_again_and_without_one_nothing_is() -> None:
    with board() as page:
        assert page.do("resend", phone=0).status_code == 409
        page.text("hi")
        page.do("resend", phone=0)
        assert page.bodies("received") == [FIRST, SECOND]


def test_of_overlapping_texts_a_cookie_loses_one_and_the_memory_store_does_not() -> None:
    texts = [{"phone": 0, "body": "a"}, {"phone": 0, "body": "b"}]
    with board() as page:
        page.do("overlap", texts=texts)
        assert page.bodies("received") == [FIRST, FIRST]
        assert "same cookie" in page.bodies("note")[0]
        assert page.text("c")["rows"][0]["text"] == "2"
    with board(store="memory") as page:
        page.do("overlap", texts=texts)
        assert sorted(page.bodies("received")) == [FIRST, SECOND]
        assert page.bodies("note") == []
        turns = page.look()["phones"][0]["turns"]
        assert sorted(turn["rows"][0]["text"] for turn in turns) == ["1", "2"]
        assert page.text("c")["rows"][0]["text"] == "3"


def test_a_dropped_reply_is_not_delivered() -> None:
    with board() as page:
        page.do("drop-reply", phone=0)
        turn = page.text("hi")

        assert turn["errors"][0]["code"] == 11205
        assert page.bodies("received") == []
        page.text("hi")
        assert page.bodies("received") == [FIRST]


def test_an_app_that_raises_is_shown_and_the_phone_goes_on() -> None:
    def moody(state: Any, body: str) -> str:
        state["texts"] = state.get("texts", 0) + 1
        if body == "raise":
            raise LookupError("nothing found")
        return "fine"

    with board(answering(moody)) as page:
        page.text("hi")
        turn = page.text("raise")
        assert turn["raised"] == "LookupError: nothing found"
        assert "in moody" in turn["traceback"]
        assert "inprocess.py" not in turn["traceback"]
        assert turn["errors"][0]["code"] == 11200
        assert [(row["text"], row["mark"]) for row in turn["rows"]] == [("1", "same")]
        assert turn["verdict"].startswith("The app raised an exception, so nothing was stored")

        turn = page.text("hi")
        assert (turn["traceback"], turn["rows"][0]["text"]) == ("", "2")


def test_an_ended_conversation_is_gone_and_what_was_there_is_struck_out() -> None:
    def until_bye(state: Any, body: str) -> str:
        state["said"] = body
        if body == "bye":
            state.end()
        return "ok"

    with board(answering(until_bye)) as page:
        page.text("hi")
        turn = page.text("bye")
        assert [(row["key"], row["mark"]) for row in turn["rows"]] == [("said", "removed")]
        assert "over" in turn["verdict"]
        assert not page.stored()["in_progress"]


@pytest.mark.parametrize(
    ("number", "texting"),
    [("", US), ("+1555 ", US), (" +1555", US), (ADA, ""), (US, US), ("x" * 65, US), ("+1\n5", US)],
)
def test_an_invalid_number_is_not_a_phone(number: str, texting: str) -> None:
    with board() as page:
        answer = page.do("add-phone", number=number, texting=texting)
        assert answer.status_code == 409
        assert answer.get_json()["error"]
        assert len(page.look()["phones"]) == 2


def test_a_phone_can_be_added_once() -> None:
    with board() as page:
        assert page.do("add-phone", number="+15550100003", texting=US).get_json() == {"done": 2}
        assert page.do("add-phone", number="+15550100003", texting=US).get_json() == {"done": 2}
        assert page.do("add-phone", number=ADA, texting="+15550100098").get_json() == {"done": 3}
        assert len(page.look()["phones"]) == 4


@pytest.mark.parametrize(
    ("action", "told", "status"),
    [
        ("text", {"phone": 7, "body": "hi"}, 409),
        ("text", {"phone": -1, "body": "hi"}, 409),
        ("text", {"phone": 0}, 400),
        ("text", {"phone": "no", "body": "hi"}, 400),
        ("text", {"phone": float("inf"), "body": "hi"}, 400),
        ("dance", {"phone": 0}, 400),
        ("move-clock", {"seconds": 1e9}, 409),
        ("move-clock", {"seconds": "nan"}, 409),
        ("overlap", {"texts": [{"phone": 0}]}, 400),
        ("swap-cookie", {"phone": 0}, 400),
        ("add-phone", {"number": "+15550100003"}, 400),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_word(
    action: str, told: dict[str, Any], status: int
) -> None:
    with board() as page:
        answer = page.do(action, **told)
        assert answer.status_code == status
        assert answer.get_json()["error"]


@pytest.mark.parametrize(
    "sent", ["[]", '"text"', "1", "{", "", "[" * 50_000, r'{"body": "\ud800"}']
)
def test_anything_but_a_json_object_is_refused_with_a_reason(sent: str) -> None:
    with board() as page:
        answer = page.client.post(
            "/do/text", data=sent, content_type="application/json", base_url=HERE
        )
        assert (answer.status_code, answer.get_json()) == (400, {"error": "Send a JSON object."})


@pytest.mark.parametrize("surprise", [KeyError, TypeError, ValueError, OverflowError])
def test_a_fault_of_the_phone_itself_is_not_laid_at_the_request_s_door(
    surprise: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with board() as page:

        def lose_cookie(_: int) -> None:
            raise surprise

        monkeypatch.setattr(page.session, "phone", lose_cookie)
        with pytest.raises(surprise):
            page.do("lose-cookie", phone=0)
        monkeypatch.undo()
        assert page.do("lose-cookie", phone=0).status_code == 200


def test_a_second_simulator_goes_on_with_what_the_first_kept() -> None:
    with board() as page:
        page.text("hi")
        page.text("STOP", phone=1)
        first = page.session.simulator
        assert first.app is not None
        second = TwilioSimulator(first.app, clock=first.clock)
        second.restore(first.export())

        assert second.phone(ADA, US).text("hi").messages == [SECOND]
        assert second.phone(BOB, US).opted_out
        assert not second.phone(ADA, US).opted_out


def test_e12_after_the_expiry_what_the_app_writes_is_new_and_not_changed() -> None:
    with board() as page:
        page.text("hi")
        page.text("hi again")
        page.do("move-clock-to", phone=0, edge="after")
        turn = page.text("anybody?")

        assert [(row["text"], row["mark"], row["was"]) for row in turn["rows"]] == [
            ("1", "added", "")
        ]


def test_e12_an_app_that_keeps_nothing_ends_no_conversation() -> None:
    with board(answering(lambda *_: "hello")) as page:
        assert [page.text("hi")["verdict"] for _ in range(2)] == ["", ""]


def test_e12_an_app_that_ends_a_conversation_is_said_to() -> None:
    def answer(state: Any, body: str) -> str:
        state["n"] = 1
        if body == "bye":
            state.end()
        return "ok"

    with board(answering(answer)) as page:
        assert page.text("hi")["verdict"] == ""
        assert page.text("bye")["verdict"].startswith("The conversation is over")


def raising(_: object = None) -> str:
    raise LookupError("no such recipe")


def flask_app() -> Any:
    import flask

    app = flask.Flask("e6")
    app.logger.disabled = True
    app.add_url_rule("/sms", view_func=raising, methods=["POST"])
    return app


def bottle_app() -> Any:
    import bottle

    app = bottle.Bottle()
    app.post("/sms", callback=raising)
    return app


def django_app() -> Any:
    from django.core.wsgi import get_wsgi_application

    from tests.apps import django_project

    django_project.configure()
    wsgi = get_wsgi_application()

    def app(environ: Any, start_response: Any) -> Any:
        return wsgi(environ | {django_project.VIEW: raising, "PATH_INFO": "/turn"}, start_response)

    return app


@pytest.mark.parametrize("make", [flask_app, bottle_app, django_app])
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "wrapped"])
def test_e6_an_app_that_raises_inside_its_framework_shows_its_traceback(
    make: Any, bare: bool
) -> None:
    with board(make(), bare=bare) as page:
        turn = page.text("hi")

        assert turn["status"] == 500
        assert turn["raised"] == "LookupError: no such recipe"
        assert 'raise LookupError("no such recipe")' in turn["traceback"]
        assert "Traceback (most recent call last)" in turn["traceback"]


def test_e6_an_app_that_answers_500_by_itself_has_no_traceback() -> None:
    def app(_: Any, start_response: Any) -> list[bytes]:
        start_response("500 Oops", [("Content-Type", "text/plain")])
        return [b""]

    with board(app, bare=True) as page:
        turn = page.text("hi")

        assert (turn["status"], turn["raised"], turn["traceback"]) == (500, "", "")


def test_e8_a_call_is_written_down_step_by_step() -> None:
    def answer(environ: Any, start_response: Any) -> list[bytes]:
        state, told = environ["convostate.state"], environ["convostate.webhook"].params
        start_response("200 OK", [("Content-Type", "text/xml")])
        state["step"] = told.get("Digits", "menu")
        if "Digits" in told:
            return [b"<Response><Say>Sales</Say></Response>"]
        return [b"<Response><Gather><Say>Press 1</Say></Gather></Response>"]

    with board(answer) as page:
        assert page.do("press", phone=0, keys="1").status_code == 409
        page.do("call", phone=0)
        assert page.look()["calls"][0] == {"waits": "Gather", "rings": False}
        assert page.do("call", phone=0).status_code == 409
        page.do("press", phone=0, keys="1")

        assert page.look()["calls"][0]["waits"] == ""
        assert page.bodies("received") == ["Press 1", "Sales"]
        assert page.bodies("sent") == ["Calls", "Presses 1"]
        assert [(r["text"], r["was"]) for r in page.turn()["rows"]] == [("1", "menu")]
        assert page.do("resend", phone=0).status_code == 409
