"""Histories: what many workers did to a few conversations, under faults (F30) and on real servers."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from convostate.testing import TwilioSimulator
from tests.conversing import ADA, TOKEN, US
from tests.history import Told, judge, run
from tests.redis_servers import redis_server
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.slow
def test_f30_o1_o2_o4_g10_with_everything_at_once_nothing_is_lost_doubled_or_overtaken() -> None:
    verdict, chaos = run(
        turns=2500, workers=3, writers=8, conversations=4, seed=1, quiet_s=1.5, longest_s=2
    )
    assert verdict[1:6] == (0, 0, 0, 0, 0), verdict
    assert verdict.acknowledged >= 2500
    assert verdict.judged >= 50
    assert verdict.stuck == 0
    assert len(chaos.counts) >= 5


@pytest.mark.slow
def test_f19_64_writers_on_the_event_loops_of_three_processes_run_in_order() -> None:
    verdict, chaos = run(
        turns=1500, workers=3, writers=22, conversations=1, seed=1, quiet_s=1000, longest_s=1,
        drivers=["loop"], max_waiting=66,
    )  # fmt: skip
    assert not chaos.counts
    assert verdict[1:6] == (0, 0, 0, 0, 0), verdict
    assert (verdict.lost, verdict.unknown, verdict.stuck) == (0, 0, 0)
    assert verdict.judged >= 100  # on a busy machine, which stands still at times


def test_f30_a_history_that_runs_out_of_time_is_judged() -> None:
    verdict, _ = run(
        turns=10**6,
        workers=1,
        writers=2,
        conversations=1,
        seed=1,
        quiet_s=60,
        longest_s=1,
        seconds=0,
    )
    assert verdict[1:6] == (0, 0, 0, 0, 0), verdict
    assert 0 < verdict.acknowledged < 10**6


def acknowledged(
    body: str, asked: float = 0.0, ran: float | None = 1.0, placed: float | None = None
) -> Told:
    writer = int(body.split(".", maxsplit=1)[0])
    return Told("text", writer, body, asked, asked if placed is None else placed, ran, 0)


@pytest.mark.parametrize(
    ("told", "log", "fault"),
    [
        ([acknowledged("0.1"), acknowledged("0.2")], ["0.1"], "missing"),
        ([acknowledged("0.1")], ["0.1", "0.1"], "doubled"),
        ([acknowledged("0.1"), acknowledged("0.2")], ["0.2", "0.1"], "out_of_order"),
        ([acknowledged("0.1", 0, 9), acknowledged("1.1", 5, 6)], ["1.1", "0.1"], "overtaken"),
        (
            [
                acknowledged("0.1", 0, 9),
                acknowledged("1.1", 5, 6),
                Told("still", -1, "", 5, 5, 6, 1),
            ],
            ["1.1", "0.1"],
            "overtaken",
        ),
        ([Told("lost", 0, "0.1.7", 0, 0, 1, 0)], ["0.1.7"], "falsely_lost"),
    ],
)
def test_f30_the_judge_finds_what_is_wrong(told: list[Told], log: list[str], fault: str) -> None:
    assert getattr(judge(told, [log], [], 0), fault) >= 1


@pytest.mark.parametrize(
    ("told", "windows"),
    [
        ([acknowledged("0.1", 0, 9), acknowledged("1.1", 5, 6)], [(7, 8)]),
        ([acknowledged("0.1", 0, 9, placed=5.5), acknowledged("1.1", 5, 6)], []),
        ([acknowledged("0.1", 0, 9), acknowledged("1.1", 5, None)], []),
        (
            [
                acknowledged("0.1", 0, 9),
                acknowledged("1.1", 5, 6),
                Told("still", -1, "", 5, 5, 6, 0),
            ],
            [],
        ),
    ],
    ids=[
        "disturbed",
        "placed after the other had asked",
        "answered with a recorded reply",
        "stood still",
    ],
)
def test_f30_the_judge_finds_nothing_in_what_is_right_or_disturbed(
    told: list[Told], windows: list[tuple[float, float]]
) -> None:
    told = [*told, Told("lost", 0, "0.1.7", 0, 0, 1, 0)]
    assert judge(told, [["1.1", "0.1"]], windows, 0)[1:6] == (0, 0, 0, 0, 0)


@pytest.fixture(params=["gunicorn sync", "gunicorn gthread", "gunicorn gevent"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    environ = {"WEB_CONCURRENCY": "2", "CONVOSTATE_MAX_WAITING": "64"}
    with (
        redis_server() as redis,
        serving(
            request.param, "convostate.demo.counter:app", CONVOSTATE_STORE=redis.url, **environ
        ) as server,
    ):
        yield server.url


@pytest.mark.slow
def test_f30_on_gunicorn_no_text_is_lost_or_counted_twice(url: str) -> None:
    def write(_: int) -> list[int]:
        phone = TwilioSimulator(url, TOKEN).phone(ADA, texting=US)
        counted = []
        for _ in range(8):
            reply = phone.text("hi", deliveries=2)
            first, second = (delivery.messages for delivery in reply.deliveries)
            assert first == second
            counted.append(int(re.findall("[0-9]+", first[0])[0]))
        return counted

    with ThreadPoolExecutor(6) as pool:
        counted = list(pool.map(write, range(6)))

    assert sorted(number for own in counted for number in own) == list(range(1, 49))
    assert all(own == sorted(own) for own in counted)
