"""The examples for metrics, run with the libraries that they are for."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, get_args
from urllib.request import urlopen

import prometheus_client
import pytest
from flask import Flask
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from convostate import ConversationMiddleware
from convostate.events import TurnEvent, TurnOutcome
from convostate.frameworks.flask import ConvoState
from convostate.testing import TwilioSimulator
from tests.documentation import page, python_files
from tests.served import ADA, KEY, TOKEN, counting, serve, settings, signed
from tests.serving import serving

if TYPE_CHECKING:
    from pathlib import Path


def example(name: str) -> dict[str, Any]:
    """Run a python file of the docs, and return what it defines."""
    defined: dict[str, Any] = {}
    exec(compile(python_files()[name], name, "exec"), defined)  # noqa: S102  # our own docs
    return defined


def three_requests(on_turn: Any) -> None:
    """Two texts, and one request whose signature is wrong."""
    middleware = ConversationMiddleware(counting, settings(), on_turn=on_turn)
    for environ in (signed(), signed(), signed(HTTP_X_TWILIO_SIGNATURE="A" * 27 + "=")):
        serve(middleware, environ)


def shape(line: str) -> str:
    """A line with its name and its numbers taken out."""
    return re.sub(r"\d+(\.\d+)?", "0", re.sub(r"(conversation )[\w-]{22}", r"\1NAME", line))


def test_the_shown_record_is_a_turn_s(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "convostate.turns")

    serve(ConversationMiddleware(counting, settings()), signed())

    (line,) = (line for line in page("watching").split("\n") if ": message kept, status" in line)
    assert shape(caplog.messages[0]) == shape(line)


def test_e11_prometheus_counts_turns_and_their_seconds() -> None:
    defined = example("prometheus_turns.py")
    value = prometheus_client.REGISTRY.get_sample_value
    try:
        three_requests(defined["observe"])

        kept = {"kind": "message", "outcome": "kept", "reason": ""}
        refused = {"kind": "unproven", "outcome": "refused", "reason": "signature"}
        assert value("convostate_turns_total", kept) == 2
        assert value("convostate_turns_total", refused) == 1
        for part in ("verify", "store", "app"):
            assert value("convostate_turn_seconds_count", {"part": part}) == 3
        # E11: the library's own buckets begin at 5 ms, which holds them all.
        assert (
            value("convostate_turn_seconds_bucket", {"part": "store", "le": "0.0001"}) is not None
        )
        shown = prometheus_client.generate_latest().decode()
        assert ADA not in shown
        assert TOKEN not in shown
    finally:
        prometheus_client.REGISTRY.unregister(defined["TURNS"])
        prometheus_client.REGISTRY.unregister(defined["SECONDS"])


@pytest.mark.slow
def test_e11_prometheus_adds_the_workers_up(tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(python_files()["prometheus_turns.py"], encoding="utf-8")
    (tmp_path / "metrics").mkdir()
    environ = {
        "CONVOSTATE_KEYS": KEY,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "PYTHONPATH": str(tmp_path),
        "TWILIO_AUTH_TOKEN": TOKEN,
    }

    with serving("gunicorn sync", "example:app", **environ) as server:
        phone = TwilioSimulator(server.url, TOKEN).phone(ADA)
        assert {phone.text(f"text {n}").status for n in range(20)} == {200}
        with urlopen(f"http://{server.host}/metrics") as scraped:  # our own server
            shown = scraped.read().decode()

    kept = 'convostate_turns_total{kind="message",outcome="kept",reason=""} 20.0'
    assert kept in shown.splitlines()


def test_e11_opentelemetry_counts_turns_and_their_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)

    three_requests(example("opentelemetry_turns.py")["observe"])

    data = reader.get_metrics_data()
    assert data is not None
    found = data.resource_metrics[0].scope_metrics[0].metrics
    points: dict[str, Any] = {metric.name: metric.data.data_points for metric in found}
    counts = {point.attributes["outcome"]: point.value for point in points["convostate.turns"]}
    times = {p.attributes["outcome"]: p.count for p in points["convostate.turn.duration"]}
    assert counts == times == {"kept": 2, "refused": 1}
    for point in points["convostate.turn.duration"]:
        assert 0 < point.sum < 1  # seconds
        assert point.bucket_counts[-1] == 0  # no turn is over the last boundary
    assert ADA not in repr(points)
    provider.shutdown()


def test_the_page_names_every_outcome() -> None:
    table = page("watching")

    assert get_args(TurnOutcome)
    assert [outcome for outcome in get_args(TurnOutcome) if f"`{outcome}`" not in table] == []
    assert [field for field in TurnEvent._fields if f"`{field}`" not in table] == []


def test_flask_s_adapter_takes_the_hook() -> None:
    app = Flask(__name__)
    events: list[TurnEvent] = []
    ConvoState(app, settings(), on_turn=events.append)

    serve(app, signed(HTTP_X_TWILIO_SIGNATURE="A" * 27 + "="))

    assert [event.outcome for event in events] == ["refused"]
