"""Several threads, one step at a time, in an order that a seed decides.

A step ends where a thread reaches `Schedule.point`. Which thread goes on is drawn from the seed, so
that a run can be repeated, and no test sleeps. The one place where a thread may wait for another is a
store's `begin`: `StepwiseStore` tells the schedule who holds the conversation. One conversation only.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

from convostate.stores import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from twilio.http.response import Response

    from convostate.stores.base import Begun, Claim, Headers, Outcome, Replay, Reply

PATIENCE_S = 60.0  # longer than any step takes; then the schedule is stuck


class Killed(BaseException):
    """A worker ends here, without another word to anyone."""


class Actor(threading.Thread):
    """One thread of a schedule.

    Attributes:
        phase: ``running``, ``ready`` for its next step, ``blocked`` in `begin`, or ``done``.
        dead: Whether it was killed: it reaches nobody any more.
        outcome: What its function returned or raised.
    """

    def __init__(self, name: str, function: Callable[[], Any], schedule: Schedule) -> None:
        super().__init__(name=name, daemon=True)
        self.function = function
        self.schedule = schedule
        self.phase = "running"
        self.dead = False
        self.outcome: Any = None

    def run(self) -> None:
        """Run the function; its start is a step."""
        try:
            self.schedule.point("starts")
            self.outcome = self.function()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            self.outcome = error
        finally:
            self.schedule.enter("done")


class Schedule:
    """Runs functions step by step.

    Args:
        seed: Decides the order.
        kill: The name of a thread and of the point where it dies, or None.

    Attributes:
        trace: Every point that was reached, in order: the thread's name and the point's.
    """

    def __init__(self, seed: int, kill: tuple[str, str] | None = None) -> None:
        self.random = random.Random(seed)
        self.trace: list[tuple[str, str]] = []
        self._kill = kill
        self._holder: Actor | None = None
        self._actors: list[Actor] = []
        self._changed = threading.Condition()

    def run(self, **functions: Callable[[], Any]) -> dict[str, Any]:
        """Run functions, each in a thread of that name, to their ends.

        Returns:
            What each returned, or raised.
        """
        self._actors = [Actor(name, function, self) for name, function in functions.items()]
        for actor in self._actors:
            actor.start()
        while self._step():
            pass
        for actor in self._actors:
            actor.join(PATIENCE_S)
        return {actor.name: actor.outcome for actor in self._actors}

    def _step(self) -> bool:
        with self._changed:
            assert self._changed.wait_for(self._settled, PATIENCE_S), self.trace
            ready = [actor for actor in self._actors if actor.phase == "ready"]
            if ready:
                self.random.choice(ready).phase = "running"
                self._changed.notify_all()
            return bool(ready)

    def _settled(self) -> bool:
        """Nobody runs, and nobody is about to."""
        phases = {actor.phase for actor in self._actors}
        return "running" not in phases and not ("blocked" in phases and self._holder is None)

    def point(self, label: str) -> None:
        """End the step here, until this thread's next one.

        Raises:
            Killed: It dies here, or did before.
        """
        actor = _actor()
        if actor is None:
            return
        with self._changed:
            actor.dead = actor.dead or self._kill == (actor.name, label)
            if actor.dead:
                raise Killed
            self.trace.append((actor.name, label))
            actor.phase = "ready"
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: actor.phase == "running", PATIENCE_S)

    def enter(self, phase: str, *, holds: bool = False) -> None:
        """Say that this thread goes to wait, or comes back, maybe with the conversation, or ends."""
        actor = _actor()
        with self._changed:
            if actor is not None:
                actor.phase = phase
            if holds:
                self._holder = actor
            self._changed.notify_all()

    def holder(self) -> Actor | None:
        """The thread that holds the conversation."""
        return self._holder

    def let_go(self, holder: Actor | None) -> None:
        """Say that this thread, if it held the conversation, does so no more."""
        with self._changed:
            if self._holder is holder:
                self._holder = None
                self._changed.notify_all()

    def happened(self, actor: str, label: str) -> float:
        """The position of a point in the trace; infinity where it was not reached."""
        step = (actor, label)
        return self.trace.index(step) if step in self.trace else float("inf")

    def is_over(self, name: str) -> bool:
        """Whether a thread has ended, by itself or killed."""
        return any(a.dead or a.phase == "done" for a in self._actors if a.name == name)

    def let_go_of(self, name: str) -> None:
        """Say that a thread's hold of the conversation has run out."""
        for actor in self._actors:
            if actor.name == name:
                self.let_go(actor)


def _actor() -> Actor | None:
    thread = threading.current_thread()
    return thread if isinstance(thread, Actor) else None


class StepwiseStore(Store):
    """A store whose every call is a step before it and one after; the dead do not reach it."""

    server_side = True

    def __init__(self, store: Store, schedule: Schedule) -> None:
        self._store = store
        self._schedule = schedule

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """Wait, where another thread holds the conversation."""
        self._schedule.point("begin")
        self._schedule.enter("blocked")
        holds = False
        try:
            found = self._store.begin(claim, cookies, now)
            holds = hasattr(found, "lease")
        finally:
            self._schedule.enter("running", holds=holds)
        self._schedule.point("begun")
        return found

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        self._schedule.point("write")
        self._store.write(begun, token, lifetime_s, now)
        self._schedule.point("written")

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        self._schedule.point("commit")
        headers = self._store.commit(begun, outcome, reply, now)
        self._schedule.let_go(_actor())
        self._schedule.point("committed")
        return headers

    def abort(self, begun: Begun) -> None:
        actor = _actor()
        if actor is not None and actor.dead:
            line = getattr(begun.lease, "line", None)
            if line is not None:
                line.close()  # as the system does for a process that is gone
            return
        self._store.abort(begun)
        self._schedule.let_go(actor)

    def peek(self, claim: Claim, now: float) -> bytes | None:
        return self._store.peek(claim, now)

    def erase(self, claim: Claim, *, replies: bool) -> None:
        self._schedule.point("erase")
        holder = self._schedule.holder()
        self._store.erase(claim, replies=replies)
        self._schedule.let_go(holder)
        self._schedule.point("erased")


def stepwise(request: Callable[..., Response], schedule: Schedule) -> Callable[..., Response]:
    """A Twilio client's `request` with a step before each and one after."""

    def stepped(*args: Any, **named: Any) -> Response:
        schedule.point("send")
        try:
            return request(*args, **named)
        finally:
            schedule.point("sent")

    return stepped
