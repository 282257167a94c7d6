"""The assistant demos on real servers of one process, which answer in it what their memory keeps."""

from __future__ import annotations

import pytest

from convostate.testing import TwilioSimulator
from tests.sending import sent_here
from tests.serving import serving

pytestmark = pytest.mark.slow

ADA, BOB, US = "+15550100001", "+15550100002", "+15550100099"
SERVED = [
    ("gunicorn gthread", "assistant"),
    ("waitress", "assistant"),
    ("uvicorn h11", "assistant_fastapi"),
]
APP = "tests.apps.assistant_served:app"


@pytest.mark.parametrize(("server", "demo"), SERVED)
def test_a_server_of_one_process_answers_bursts_through_twilios_client(
    server: str, demo: str
) -> None:
    fast = {"DEMO": demo, "ASSISTANT_SECONDS": "0.1", "CONVOSTATE_BURST": "3s"}
    with sent_here(US) as sent, serving(server, APP, **fast, **sent.environ) as running:
        twilio = TwilioSimulator(running.url)
        ada, bob = (twilio.phone(number, texting=US) for number in (ADA, BOB))
        for phone, body in ((ada, "one"), (ada, "two"), (bob, "hello"), (ada, "three")):
            reply = phone.text(body)
            assert (reply.status, reply.messages) == (200, [])
        first = {sent.next(), sent.next()}
        ada.text("four")
        second = sent.next()

    assert first == {(ADA, "You asked: one / two / three"), (BOB, "You asked: hello")}
    assert second == (ADA, "You asked: four Before that: one / two / three")
    assert sent.is_empty


def test_threads_that_do_not_survive_a_fork_are_named() -> None:
    environ = {"SENDS_TO": "", "DEMO": "assistant", "GUNICORN_CMD_ARGS": "--preload"}
    with serving("gunicorn gthread", APP, **environ) as running:
        assert TwilioSimulator(running.url).phone(ADA, texting=US).text("hello").status == 500
        log = "".join(running.log)
    assert "start_workers() was called before this process was forked" in log
