"""Writers who all text in one conversation at once: `python -m benchmarks.writers`, one process of them.

It says ``ready``, waits for a line, lets its threads send their texts one after the other, and prints
what each of them saw. Times are those of the machine's monotonic clock, the same in every process.
"""

from __future__ import annotations

import json
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apps import CONTENT_TYPE, serve, settings
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware, state_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HANDLER_S = 0.002  # what the app itself takes: a short query


class Text(NamedTuple):
    """What became of one text; times in s.

    Attributes:
        number: The text's own, unique in a run.
        asked: When the request arrived.
        began: When the app was called, or 0.
        ended: When the app was done, or 0.
        status: Of the answer.
    """

    number: int
    asked: float
    began: float
    ended: float
    status: int


class Orders(NamedTuple):
    """What one process of writers is to do."""

    store: str
    threads: int
    turns: int
    first: int
    max_waiting: int


def appending(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Append the text's number to the conversation's list, slowly."""
    began = monotonic()
    state = state_from(environ)
    threading.Event().wait(HANDLER_S)
    state.setdefault("texts", []).append(environ["benchmarks.number"])
    start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
    environ["benchmarks.times"].extend((began, monotonic()))
    return [b"<Response/>"]


def write(orders: Orders, start: Callable[[], object]) -> list[Text]:
    """Send all texts of this process."""
    app = ConversationMiddleware(appending, settings(orders.store, max_waiting=orders.max_waiting))
    texts: list[Text] = []
    connected, go = threading.Barrier(orders.threads + 1), threading.Event()

    def warm(number: int) -> None:
        """Hold a turn of a conversation of one's own, all threads at once: each opens a connection."""
        environ = environ_of(sms(number))
        serve(app, environ | {"benchmarks.number": number, "benchmarks.times": []})
        connected.wait()
        go.wait()

    def writer(numbers: range, environs: list[dict[str, Any]]) -> None:
        warm(numbers[0] + 2)
        for number, environ in zip(numbers, environs, strict=True):
            times: list[float] = []
            environ |= {"benchmarks.number": number, "benchmarks.times": times}
            asked = monotonic()
            status, _ = serve(app, environ)
            began, ended = times or (0.0, 0.0)
            texts.append(Text(number, asked, began, ended, int(status[:3])))

    threads = []
    for thread in range(orders.threads):
        first = orders.first + thread * orders.turns
        numbers = range(first, first + orders.turns)
        environs = [environ_of(sms(1, f"text {number}")) for number in numbers]
        threads.append(threading.Thread(target=writer, args=(numbers, environs)))
    for started in threads:
        started.start()
    connected.wait()
    start()
    go.set()
    for started in threads:
        started.join()
    return texts


def main() -> None:
    """Obey the orders in the argument."""

    def start() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    print(json.dumps(write(Orders(**json.loads(sys.argv[1])), start)))


if __name__ == "__main__":
    main()
