"""One survey over redirects, the same in every framework, on every store, in process and on gunicorn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from convostate import Settings
from convostate.testing import TwilioSimulator
from tests.apps import survey
from tests.serving import serving

ASGI_FRAMEWORKS = ["fastapi", "django_asgi"]
FRAMEWORKS = ["flask", "bottle", "pyramid", "django", *ASGI_FRAMEWORKS]
STORES = ["cookie", "memory", "redis"]
ADA, BOB = ("Ada", "36", "yes & no"), ("Bob+", "half a century — 50", "")


@pytest.fixture(params=STORES)
def store_setting(request: pytest.FixtureRequest) -> str:
    """The value of CONVOSTATE_STORE."""
    if request.param != "redis":
        return str(request.param)
    redis = request.getfixturevalue("redis")
    redis.flushall()
    return f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}"


@pytest.fixture(params=FRAMEWORKS)
def app(request: pytest.FixtureRequest, store_setting: str) -> Any:
    name = request.param
    make_app = import_module(f"tests.apps.survey_{name}").make_app
    return make_app(Settings.from_environ(store=store_setting, paths=survey.PATHS))


def test_the_survey_remembers_who_answered_what(app: Any) -> None:
    phone = TwilioSimulator(app).phone("+15550100001")

    assert survey.converse(phone, ADA) == survey.transcript(ADA)
    assert survey.converse(phone, BOB) == survey.transcript(BOB)  # it began anew


def test_two_people_answer_in_turns_and_are_not_mixed_up(app: Any) -> None:
    twilio = TwilioSimulator(app)
    ada, bob = twilio.phone("+15550100001"), twilio.phone("+15550100002")

    replies = [
        (ada.text(ada_says).messages, bob.text(bob_says).messages)
        for ada_says, bob_says in zip(("hi", *ADA), ("hello", *BOB), strict=True)
    ]

    assert list(zip(*replies, strict=True)) == [
        tuple(survey.transcript(ADA)),
        tuple(survey.transcript(BOB)),
    ]


def test_a_forged_text_does_not_move_the_survey(app: Any) -> None:
    phone = TwilioSimulator(app).phone("+15550100001")
    phone.text("hi")

    phone.break_signature()
    assert phone.text("Mallory").status == 403

    assert phone.text("Ada").messages == [survey.QUESTIONS[1]]


def test_a_conversation_that_expired_begins_anew(app: Any) -> None:
    twilio = TwilioSimulator(app)
    phone = twilio.phone("+15550100001")
    phone.text("hi")

    twilio.clock.advance(hours=4, seconds=1)

    assert phone.text("Ada").messages == [survey.WELCOME, survey.QUESTIONS[0]]


@pytest.mark.slow
# Every framework with every store runs in process; the counters on servers keep theirs in cookies.
@pytest.mark.parametrize(
    ("name", "store_setting"),
    [*((name, "redis") for name in FRAMEWORKS), ("flask", "memory")],
    indirect=["store_setting"],
)
def test_on_a_server_the_survey_remembers_who_answered_what(name: str, store_setting: str) -> None:
    # The memory store remembers within one process; the others are asked through two workers.
    server = "gunicorn gthread" if store_setting == "memory" else "gunicorn sync"
    app = f"tests.apps.survey_{name}:make_app()"
    if name in ASGI_FRAMEWORKS:
        server, app = "uvicorn factory", app.removesuffix("()")
    environ = {"CONVOSTATE_STORE": store_setting, "CONVOSTATE_PATHS": ",".join(survey.PATHS)}
    with serving(server, app, **environ) as running:
        twilio = TwilioSimulator(running.url)

        assert survey.converse(twilio.phone("+15550100001"), ADA) == survey.transcript(ADA)
        assert survey.converse(twilio.phone("+15550100002"), BOB) == survey.transcript(BOB)
