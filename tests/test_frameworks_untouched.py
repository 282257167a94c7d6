"""Outside webhooks nothing changes: the same bytes as from the app that nobody wrapped."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from werkzeug.test import Client

from convostate import Settings
from convostate.testing import TwilioSimulator
from tests.apps import survey

NOW = 1_700_000_000.0  # Unix time in seconds
FRAMEWORKS = ["flask", "bottle", "pyramid", "django"]
REQUESTS = [
    ("GET", "/", b""),
    ("GET", "/", b""),
    ("HEAD", "/", b""),
    ("GET", "/?Body=hi&From=%2B15550100001", b""),
    ("POST", "/", b"a=1&b=%00"),
    ("DELETE", "/", b""),
    ("GET", "/not-there", b""),
    ("GET", "/smsx", b""),
    ("GET", "/%E2%82%AC", b""),
]

Answer = tuple[str, list[tuple[str, str]], bytes]


@pytest.fixture(params=FRAMEWORKS)
def apps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The app wrapped and bare, while time stands still: session cookies carry it."""
    module = import_module(f"tests.apps.survey_{request.param}")
    monkeypatch.setattr("time.time", lambda: NOW)
    settings = Settings.from_environ(paths=survey.PATHS)
    return module.make_app(settings), module.make_bare()


def answers(app: Any) -> list[Answer]:
    """What one browser gets for all the requests, its cookies included."""
    client, given = Client(app), []
    for method, path, body in REQUESTS:
        response = client.open(path, method=method, data=body, buffered=True)
        given.append((response.status, list(response.headers), response.data))
    return given


def test_a_browser_gets_the_same_bytes_and_cookies(apps: Any) -> None:
    wrapped, bare = map(answers, apps)

    assert wrapped == bare
    assert b"visit 4" in wrapped[3][2]  # the session works at all, HEAD included
    assert any(name == "Set-Cookie" for name, _ in wrapped[1][1])


def test_a_conversation_in_between_does_not_show(apps: Any) -> None:
    wrapped, bare = apps
    phone = TwilioSimulator(wrapped).phone("+15550100001")
    assert survey.converse(phone, ("Ada", "36", "yes"))[0][0] == survey.WELCOME

    assert answers(wrapped) == answers(bare)


def test_a_guarded_path_is_not_the_browsers(apps: Any) -> None:
    """The twin: if the paths are not the ones that are guarded, all of the above means nothing."""
    wrapped, bare = apps

    assert Client(wrapped).get("/sms/other", buffered=True).status_code == 403
    assert Client(bare).get("/sms/other", buffered=True).status_code == 404
