"""The assistant demos on real servers of one process, which answer in it what their memory keeps."""

from __future__ import annotations

import os
from queue import Queue
from urllib.parse import urlsplit

import pytest
from werkzeug.wrappers import Request, Response

from convostate.testing import TwilioSimulator
from tests.listening import listening
from tests.serving import PATIENCE_S, serving

pytestmark = pytest.mark.slow

ADA, BOB, US = "+15550100001", "+15550100002", "+15550100099"
SERVED = [
    ("gunicorn gthread", "assistant"),
    ("waitress", "assistant"),
    ("uvicorn h11", "assistant_fastapi"),
]


@pytest.mark.parametrize(("server", "demo"), SERVED)
def test_a_server_of_one_process_answers_bursts_through_twilios_client(
    server: str, demo: str
) -> None:
    sent: Queue[tuple[str, str]] = Queue()

    @Request.application
    def twilio_api(request: Request) -> Response:
        assert request.path.endswith("/Messages.json")
        assert request.authorization is not None
        assert request.authorization.password == os.environ["TWILIO_AUTH_TOKEN"]
        assert request.form["From"] == US
        sent.put((request.form["To"], request.form["Body"]))
        return Response('{"sid": "SM"}', 201, content_type="application/json")

    with listening(twilio_api) as api:
        sends_to = f"http://{urlsplit(api).netloc}"
        environ = {
            "SENDS_TO": sends_to,
            "DEMO": demo,
            "ASSISTANT_SECONDS": "0.1",
            "CONVOSTATE_BURST": "1s",
        }
        with serving(server, "tests.apps.assistant_served:app", **environ) as running:
            twilio = TwilioSimulator(running.url)
            ada, bob = (twilio.phone(number, texting=US) for number in (ADA, BOB))
            for phone, body in ((ada, "one"), (ada, "two"), (bob, "hello"), (ada, "three")):
                reply = phone.text(body)
                assert (reply.status, reply.messages) == (200, [])
            first = {sent.get(timeout=PATIENCE_S), sent.get(timeout=PATIENCE_S)}
            ada.text("four")
            second = sent.get(timeout=PATIENCE_S)

    assert first == {(ADA, "You asked: one / two / three"), (BOB, "You asked: hello")}
    assert second == (ADA, "You asked: four Before that: one / two / three")
    assert sent.empty()


def test_threads_that_do_not_survive_a_fork_are_named() -> None:
    environ = {
        "SENDS_TO": "http://127.0.0.1:1",
        "DEMO": "assistant",
        "GUNICORN_CMD_ARGS": "--preload",
    }
    with serving("gunicorn gthread", "tests.apps.assistant_served:app", **environ) as running:
        twilio = TwilioSimulator(running.url)
        assert twilio.phone(ADA, texting=US).text("hello").status == 500
        log = "".join(running.log)
    assert "start_workers() was called before this process was forked" in log
