"""F30: what many workers do to a few conversations while everything goes wrong, and what must be true after it.

Workers are processes, half of them on threads and WSGI, half on an event loop and ASGI, on hosts whose clocks
differ. Their writers text a conversation, each text until it is answered, and take turns that no webhook
started. Meanwhile connections are cut and forgotten, answers are lost, Redis and workers stand still, and
workers are killed with all that waits in them.

    python -m tests.history --turns 100000 --workers 6 --seconds 3600
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import redis
from werkzeug.test import EnvironBuilder

from convostate import ConversationMiddleware, Conversations, state_from, webhook_from
from convostate.asgi import ConversationMiddleware as AsgiMiddleware
from convostate.conversations import AsyncConversations
from convostate.errors import StoreError
from convostate.stores import RedisStore
from convostate.stores.redis.aio import AsyncioClient, AsyncRedisStore
from convostate.stores.redis.client import Client
from convostate.testing.configured import ACCOUNT_SID
from convostate.twilio.signature import sign
from tests.asgi_served import Sent, receiving, scope_of
from tests.conversing import TOKEN, US, settings
from tests.redis_servers import RedisServer, redis_server
from tests.toxics import Proxy, proxied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

URL = "https://example.com/sms"
BOUNDS: dict[str, Any] = {"lease_s": 3.0, "wait_s": 6.0}
OWN_TURN_EACH = 5  # of a writer's texts is followed by a turn that no webhook started
CLOCKS_S = (0, 300, -300)
PAUSE_S = 0.03  # of a writer whose text was answered 503
# A hand-over is lost after 0.3 s, which the way to Redis, its answer and the event loop share.
BEAT_S, STILL_S = 0.02, 0.1
MARGIN_S = 1.0  # a fault is felt for as long after its end
SETTINGS = settings(store="redis://localhost", public_url="https://example.com")


def person(conversation: int) -> str:
    """The number of the person whose conversation it is."""
    return f"+1555{conversation:07d}"


class Told(NamedTuple):
    """What a worker wrote down after something was over.

    Times are monotonic seconds of this machine, and of the attempt that ran last.

    Attributes:
        what: ``text`` or ``turn``: acknowledged; ``lost``, ``unknown``: the turn's StoreError; ``still``:
            the process did not run from `asked` to `ran`.
        writer: Who.
        body: What the state's list has once, or not.
        asked: When it began; how soon after that its BEGIN arrives is up to the machine.
        placed: When the store had answered that it has a place in the queue, or when it ran.
        ran: When it ran; None if a process ran it that was killed, and the reply was a recorded one.
        worker: Which process.
    """

    what: str
    writer: int
    body: str
    asked: float
    placed: float
    ran: float | None
    worker: int


class Attempt:
    """When one attempt began, had a place, and ran."""

    def __init__(self) -> None:
        self.asked = time.monotonic()
        self.placed: float | None = None
        self.ran: float | None = None
        TRYING.set(self)


TRYING: ContextVar[Attempt] = ContextVar("TRYING")


def watch_places(client: type[Client]) -> None:
    """Have a store's client write down when a turn first waits: its place is known then."""
    wait = client.wait

    async def watched(self: Client, *args: Any) -> None:
        attempt = TRYING.get()
        attempt.placed = attempt.placed or time.monotonic()
        await wait(self, *args)

    client.wait = watched  # type: ignore[method-assign, assignment]


class Worker:
    """The part of a history that one process does.

    Args:
        orders: As `main` gives them.
    """

    def __init__(self, orders: dict[str, Any]) -> None:
        self.orders = orders
        self.ran: dict[str, Attempt] = {}
        for client in (Client, AsyncioClient):
            watch_places(client)
        self._log = os.open(orders["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        threading.Thread(target=self.watch_stillness, daemon=True).start()
        self.last = dict.fromkeys(orders["writers"], 0)
        for told in read_log(Path(orders["log"])):
            if told.what == "text":
                self.last[told.writer] = int(told.body.split(".")[1])

    def tell(self, what: str, writer: int, body: str) -> None:
        ran = self.ran.pop(body, None) or TRYING.get()
        placed = ran.placed or ran.ran or ran.asked
        self.write(Told(what, writer, body, ran.asked, placed, ran.ran, self.orders["worker"]))

    def write(self, told: Told) -> None:
        os.write(self._log, (json.dumps(told) + "\n").encode())

    def watch_stillness(self) -> None:
        """Write down when the process stood still, by a fault or because others had the processor."""
        tick, last = threading.Event(), time.monotonic()
        while True:
            tick.wait(BEAT_S)
            last = self.beat(last)

    async def watch_loop(self) -> None:
        """Write down when the event loop stood still, which a thread beside it need not notice."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            last = self.beat(last)

    def beat(self, last: float) -> float:
        now = time.monotonic()
        if now - last > STILL_S:
            self.write(Told("still", -1, "", last, last, now, self.orders["worker"]))
        return now

    def wants_more(self) -> bool:
        return not Path(self.orders["stop"]).exists()

    def handle(self, state: Any, body: str) -> None:
        attempt = self.ran[body] = TRYING.get()
        attempt.ran = time.monotonic()
        state.setdefault("log", []).append(body)

    def environ(self, writer: int, body: str) -> dict[str, Any]:
        """A text as its web server hands it over; the same for every attempt."""
        sid = "SM" + hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
        theirs = person(writer % self.orders["conversations"])
        params = {"AccountSid": ACCOUNT_SID, "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid}
        params |= {"From": theirs, "To": US, "Body": body}
        sent = urlencode(params).encode()
        headers = [("X-Twilio-Signature", sign(URL, params.items(), TOKEN))]
        builder = EnvironBuilder(
            "/sms", "https://example.com", method="POST", headers=headers, data=sent,
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip
        return builder.get_environ()

    def own(self, writer: int) -> dict[str, str]:
        return {"ours": US, "theirs": person(writer % self.orders["conversations"])}

    def run_threads(self) -> None:
        store = RedisStore.from_url(
            self.orders["url"], **BOUNDS, max_waiting=self.orders["max_waiting"]
        )

        def app(environ: Any, start_response: Any) -> list[bytes]:
            self.handle(state_from(environ), webhook_from(environ).body)
            start_response("200 OK", [("Content-Type", "text/xml")])
            return [b"<Response/>"]

        middleware = ConversationMiddleware(app, SETTINGS, store=store)
        conversations = Conversations(SETTINGS, store=store)
        pause = threading.Event()

        def write(writer: int) -> None:
            number = self.last[writer]
            while self.wants_more():
                number += 1
                body = f"{writer}.{number}"
                environ = self.environ(writer, body)
                for _ in self.attempts():
                    statuses: list[str] = []
                    environ["wsgi.input"].seek(0)
                    middleware(dict(environ), lambda status, *_: statuses.append(status))  # type: ignore[arg-type]  # noqa: B023
                    if statuses[0].startswith("200"):
                        self.tell("text", writer, body)
                        break
                    pause.wait(PAUSE_S)
                if number % OWN_TURN_EACH == 0:
                    body = f"{body}.{os.getpid()}"
                    with self.told(writer, body), conversations.turn(**self.own(writer)) as state:
                        self.handle(state, body)

        threads = [
            threading.Thread(target=write, args=(writer,)) for writer in self.orders["writers"]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.close()

    async def run_loop(self) -> None:
        store = AsyncRedisStore.from_url(
            self.orders["url"], **BOUNDS, max_waiting=self.orders["max_waiting"]
        )

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
            self.handle(state_from(scope), webhook_from(scope).body)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"<Response/>"})

        middleware = AsgiMiddleware(app, SETTINGS, store=store)
        conversations = AsyncConversations(SETTINGS, store=store)

        async def write(writer: int) -> None:
            number = self.last[writer]
            while self.wants_more():
                number += 1
                body = f"{writer}.{number}"
                environ = self.environ(writer, body)
                for _ in self.attempts():
                    environ["wsgi.input"].seek(0)
                    scope, content = scope_of(environ)
                    sent = Sent()
                    await middleware(scope, receiving(content), sent)
                    if sent.status == 200:
                        self.tell("text", writer, body)
                        break
                    await asyncio.sleep(PAUSE_S)
                if number % OWN_TURN_EACH == 0:
                    body = f"{body}.{os.getpid()}"
                    with self.told(writer, body):
                        async with conversations.turn(**self.own(writer)) as state:
                            self.handle(state, body)

        watching = asyncio.ensure_future(self.watch_loop())
        await asyncio.gather(*(write(writer) for writer in self.orders["writers"]))
        watching.cancel()
        await store.close()

    def attempts(self) -> Iterator[None]:
        """Attempts at one text: however long the faults last, it must be answered in the end."""
        for _ in range(100_000):
            Attempt()
            yield

    @contextlib.contextmanager
    def told(self, writer: int, body: str) -> Iterator[None]:
        """Write down what a turn comes to; one that never began comes to nothing."""
        Attempt()
        try:
            yield
        except StoreError as error:
            if body in self.ran:
                self.tell("lost" if error.reason == "lost" else "unknown", writer, body)
            return
        self.tell("turn", writer, body)


def read_log(path: Path) -> list[Told]:
    """What a worker wrote down; a kill may have cut the last line off."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            found.append(Told(*json.loads(line)))
    return found


class Crew:
    """The workers, as processes that can be killed, stopped and replaced."""

    def __init__(
        self,
        url: str,
        folder: Path,
        workers: int,
        writers: int,
        conversations: int,
        *,
        drivers: Sequence[str],
        max_waiting: int,
    ) -> None:
        self.folder, self.stop = folder, folder / "stop"
        self.kills = 0
        self._orders = [
            {
                "url": url, "log": str(folder / f"{worker}.log"), "stop": str(self.stop),
                "worker": worker, "conversations": conversations,
                "writers": list(range(worker * writers, (worker + 1) * writers)),
                "driver": drivers[worker % len(drivers)], "max_waiting": max_waiting,
            }
            for worker in range(workers)
        ]  # fmt: skip
        self._processes = [self._start(worker) for worker in range(workers)]

    def _start(self, worker: int) -> subprocess.Popen[bytes]:
        environ = dict(os.environ)
        ahead_s = CLOCKS_S[worker % len(CLOCKS_S)]
        if ahead_s:
            [library] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
            environ |= {"LD_PRELOAD": str(library), "FAKETIME": f"{ahead_s:+d}s"}
            environ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        command = [
            sys.executable,
            "-m",
            "tests.history",
            "--work",
            json.dumps(self._orders[worker]),
        ]
        with (self.folder / f"{worker}.err").open("ab") as errors:
            return subprocess.Popen(command, env=environ, stderr=errors)

    def __len__(self) -> int:
        return len(self._processes)

    def kill(self, worker: int) -> None:
        """Kill a worker as `kill -9` does, and start another in its place."""
        self._processes[worker].kill()
        self._processes[worker].wait()
        self.kills += 1
        self._processes[worker] = self._start(worker)

    def pause(self, worker: int) -> Callable[[], None]:
        """Stop a worker; what is returned lets it go on."""
        process = self._processes[worker]
        process.send_signal(signal.SIGSTOP)
        return lambda: process.send_signal(signal.SIGCONT)

    def told(self) -> list[Told]:
        return [told for orders in self._orders for told in read_log(Path(str(orders["log"])))]

    def acknowledged(self) -> int:
        return sum(told.what in ("text", "turn") for told in self.told())

    def errors(self) -> str:
        """The end of what the workers wrote to their standard errors, but for the log's lines."""
        texts = [path.read_text(encoding="utf-8") for path in self.folder.glob("*.err")]
        return "\n".join(
            text[text.find("Traceback") :][-2000:] for text in texts if "Traceback" in text
        )

    def end(self, patience_s: float) -> int:
        """Have every writer finish its text, and end; how many workers do not."""
        self.stop.touch()
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
        ends = time.monotonic() + patience_s
        try:
            for process in self._processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0, ends - time.monotonic()))
            codes = [process.poll() for process in self._processes]
        finally:
            for process in self._processes:
                process.kill()
                process.wait()
        assert not any(codes), self.errors()
        return codes.count(None)


class Chaos(threading.Thread):
    """Makes faults come and go, one at a time, with quiet between them.

    Attributes:
        windows: When something was wrong, or the way to Redis stood still: from and to, in monotonic seconds.
        counts: How often each fault came.
    """

    def __init__(
        self,
        server: RedisServer,
        proxy: Proxy,
        crew: Crew,
        seed: int,
        quiet_s: float,
        longest_s: float,
    ) -> None:
        super().__init__()
        self._server, self._proxy, self._crew, self._random = server, proxy, crew, Random(seed)
        self._quiet_s, self._longest_s = quiet_s, longest_s
        self.ended = threading.Event()
        self.windows: list[tuple[float, float]] = []
        self.counts: Counter[str] = Counter()

    def watch_path(self) -> None:
        """Write down when the way to Redis stood still: it or this process, in which the proxy runs, had no processor."""
        path = redis.Redis.from_url(self._proxy.url, socket_timeout=STILL_S, retry=None)
        last = time.monotonic()
        while not self.ended.wait(BEAT_S):
            with contextlib.suppress(redis.RedisError):
                path.ping()
            now = time.monotonic()
            if now - last > STILL_S:
                self.windows.append((last, now))
            last = now
        path.close()

    def run(self) -> None:
        watching = threading.Thread(target=self.watch_path)
        watching.start()
        faults = [self.forget, self.lose, self.kill, self.stall_worker, self.stall_redis, self.cut,
                  self.swallow, self.flush, self.delay, self.fill, self.hang_up]  # fmt: skip
        while not self.ended.wait(self._quiet_s):
            for fault in self._random.sample(faults, len(faults)):
                began = time.monotonic()
                self.counts[fault.__name__] += 1
                fault()
                self.windows.append((began, time.monotonic() + MARGIN_S))
                if self.ended.wait(self._quiet_s):
                    break
        watching.join()

    def some_s(self, most: float) -> float:
        return 0.4 + self._random.random() ** 3 * (min(most, self._longest_s) - 0.4)

    def worker(self) -> int:
        return self._random.randrange(len(self._crew))

    def forget(self) -> None:
        self._proxy.forget()
        self.ended.wait(self.some_s(1))

    def lose(self) -> None:
        self._proxy.lose_chance = 0.2
        self.ended.wait(self.some_s(2))
        self._proxy.lose_chance = 0

    def kill(self) -> None:
        self._crew.kill(self.worker())
        self.ended.wait(self.some_s(4))  # its lease

    def stall_worker(self) -> None:
        go_on = self._crew.pause(self.worker())
        self.ended.wait(self.some_s(20))
        go_on()

    def stall_redis(self) -> None:
        self._server.pause()
        self.ended.wait(self.some_s(4))
        self._server.go_on()

    def cut(self) -> None:
        self._proxy.cut_all()

    def hang_up(self) -> None:
        self._server.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def swallow(self) -> None:
        self._proxy.hole = True
        self.ended.wait(self.some_s(2))
        self._proxy.hole = False
        self._proxy.cut_all()

    def flush(self) -> None:
        self._server.admin.script_flush()

    def delay(self) -> None:
        self._proxy.latency_s, self._proxy.jitter = 0.03, True
        self.ended.wait(self.some_s(2))
        self._proxy.latency_s = 0

    def fill(self) -> None:
        self._server.admin.config_set("maxmemory", "1")
        self.ended.wait(0.3)
        self._server.admin.config_set("maxmemory", "0")


class Verdict(NamedTuple):
    """What was seen: `missing` to `falsely_lost`, and `stuck`, must be 0.

    Attributes:
        stuck: The workers that did not end within a minute.
        judged: The turns that waited while nothing was wrong, and might have been overtaken.
        overtakings: The turns that were overtaken, each with the one that overtook it.
    """

    acknowledged: int
    missing: int
    doubled: int
    out_of_order: int
    overtaken: int
    falsely_lost: int
    lost: int
    unknown: int
    kills: int
    stuck: int
    judged: int
    overtakings: list[tuple[Told, Told]]


def judge(
    told: list[Told],
    logs: list[list[str]],
    windows: list[tuple[float, float]],
    kills: int,
    stuck: int = 0,
) -> Verdict:
    """Compare what was acknowledged with what the conversations hold."""
    held = Counter(body for log in logs for body in log)
    acknowledged = [one for one in told if one.what in ("text", "turn")]
    lost = [one for one in told if one.what == "lost"]
    still: dict[int, list[tuple[float, float]]] = {}
    for one in told:
        if one.what == "still" and one.ran is not None:
            still.setdefault(one.worker, []).append((one.asked, one.ran))
    judged, overtakings = overtaken(acknowledged, windows, still, len(logs))
    out_of_order = 0
    for log in logs:
        last: dict[str, int] = {}
        for body in log:
            writer, number, *own = body.split(".")
            if not own:
                out_of_order += int(number) != last.get(writer, 0) + 1
                last[writer] = int(number)
    return Verdict(
        acknowledged=len(acknowledged),
        missing=sum(held[one.body] == 0 for one in acknowledged),
        doubled=sum(count - 1 for count in held.values()),
        out_of_order=out_of_order,
        overtaken=len(overtakings),
        falsely_lost=sum(held[one.body] > 0 for one in lost),
        lost=len(lost),
        unknown=sum(one.what == "unknown" for one in told),
        kills=kills,
        stuck=stuck,
        judged=judged,
        overtakings=overtakings,
    )


def overtaken(
    acknowledged: list[Told],
    windows: list[tuple[float, float]],
    still: dict[int, list[tuple[float, float]]],
    conversations: int,
) -> tuple[int, list[tuple[Told, Told]]]:
    """Find the turns that had their place before another asked, and ran after it, while nothing was wrong.

    Returns:
        How many turns waited while nothing was wrong; those that were overtaken, each with the other.
    """
    judged, found = 0, []
    for conversation in range(conversations):
        turns = [
            (one.ran, one)
            for one in acknowledged
            if one.writer % conversations == conversation and one.ran is not None
        ]
        latest: Told | None = None  # of those that have run so far, the one that had asked last
        for ran, turn in sorted(turns):
            wrong = [*windows, *still.get(turn.worker, ())]
            if turn.placed < ran and all(ran < began or turn.asked > end for began, end in wrong):
                judged += 1
                if latest is not None and latest.asked > turn.placed:
                    found.append((turn, latest))
            if latest is None or latest.asked < turn.asked:
                latest = turn
    return judged, found


def run(
    *, turns: int, workers: int, writers: int, conversations: int, seed: int, quiet_s: float,
    longest_s: float, say: Callable[[str], object] = lambda _: None,
    seconds: float = float("inf"), drivers: Sequence[str] = ("threads", "loop"), max_waiting: int = 16,
) -> tuple[Verdict, Chaos]:  # fmt: skip
    """Run a history until so many turns are acknowledged or so many seconds are over, and judge it."""
    with (
        redis_server() as server,
        proxied(server.port, seed) as proxy,
        tempfile.TemporaryDirectory() as folder,
    ):
        crew = Crew(
            proxy.url, Path(folder), workers, writers, conversations,
            drivers=drivers, max_waiting=max_waiting,
        )  # fmt: skip
        chaos = Chaos(server, proxy, crew, seed, quiet_s, longest_s)
        tick, began = threading.Event(), time.monotonic()
        while not crew.acknowledged():
            assert time.monotonic() - began < 60, crew.errors()
            tick.wait(0.1)
        chaos.start()
        try:
            while (done := crew.acknowledged()) < turns:
                assert chaos.is_alive()
                spent_s = time.monotonic() - began
                if spent_s > seconds:
                    break
                say(f"{spent_s:.0f} s: {done} acknowledged, {dict(chaos.counts)}")
                tick.wait(min(10, 0.5 + done / 5000))
        finally:
            chaos.ended.set()
            chaos.join()
            server.go_on()
            stuck = crew.end(60)
        conversation = Conversations(SETTINGS, store=RedisStore.from_url(server.url))
        logs = []
        for number in range(conversations):
            state = conversation.peek(ours=US, theirs=person(number))
            logs.append(list(state["log"]) if state else [])
        conversation.store.close()
        return judge(crew.told(), logs, chaos.windows, crew.kills, stuck), chaos


def main() -> None:
    """Work, or run a history and print what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work")
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--conversations", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet", type=float, default=1.0)
    parser.add_argument("--longest", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    given = parser.parse_args()
    if given.work:
        worker = Worker(json.loads(given.work))
        if worker.orders["driver"] == "loop":
            asyncio.run(worker.run_loop())
        else:
            worker.run_threads()
        return
    began = time.monotonic()
    verdict, chaos = run(
        turns=given.turns, workers=given.workers, writers=given.writers, seed=given.seed,
        conversations=given.conversations, quiet_s=given.quiet, longest_s=given.longest,
        say=lambda line: print(line, flush=True),  # noqa: T201  # it is a command
        seconds=given.seconds,
    )  # fmt: skip
    print(f"{time.monotonic() - began:.0f} s", dict(chaos.counts), verdict, sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
