"""The most that one request can cost: what an attacker sends who can sign nothing, and what a person can write.

Every request is as large as CONVOSTATE_MAX_BODY_BYTES allows, or its header as servers let through. "Told"
is the first refusal of its kind in a minute, which is also explained in the log.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from benchmarks.apps import bare, counting, serve, settings
from benchmarks.measure import Contender, started
from benchmarks.result import Figure, Result, spread
from benchmarks.webhooks import FORM, ORIGIN, PATH, TOKEN, Signed, environ_of, sms
from benchmarks.worker import Work
from convostate import ConversationMiddleware
from convostate.twilio.signature import sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.scale import Scale

TITLE = "the worst requests of 256 KiB, and the worst headers, in processor time"
BOUND_MS = 20.0
BODY_BYTES = 262_144  # CONVOSTATE_MAX_BODY_BYTES
TEXT_CHARS = 1600  # https://www.twilio.com/docs/messaging/guides/webhook-request: Body
HEADER_BYTES = 65_536  # gunicorn lets 8,190 through, waitress 262,144
MOST_FIELDS = 1000
FORGED = "A" * 27 + "="
ACCOUNTS = 40


def _filled(head: str, unit: str, tail: str = "") -> bytes:
    """A body of the largest size: head, as many units as fit, tail."""
    room = BODY_BYTES - len(head) - len(tail)
    return (head + unit * (room // len(unit)) + tail).encode()


def _fields(count: int, name: str = "") -> bytes:
    room = BODY_BYTES // count
    fields = [f"{name or f'N{index}'}=" for index in range(count)]
    return "&".join([field + "v" * (room - len(field) - 1) for field in fields]).encode()


def _names() -> bytes:
    room = BODY_BYTES // MOST_FIELDS
    return "&".join(
        [f"N{index}".ljust(room - 2, "n") + "=" for index in range(MOST_FIELDS)]
    ).encode()


BODIES = {
    "one value, plain": _filled("Body=", "a"),
    "one value, all escapes": _filled("Body=", "%C3%A9"),
    "all escapes, one in the other case": _filled("Body=", "%C3%A9", "%c3%a9"),
    "one name": _filled("", "a", "="),
    "1000 fields": _fields(MOST_FIELDS),
    "1000 times From": _fields(MOST_FIELDS, "From"),
    "1000 long names": _names(),
    "256 Ki fields": _filled("", "&"),
    "128 Ki empty fields": _filled("", "=&"),
    "many senders in one value": _filled("Body=", "From%2B1555"),
    "channels without end": _filled("Body=", "From" + "a" * 24),
    "SIDs without end": _filled("Body=", "AccountSidAC" + "0" * 31),
}


def _get(query: str, signature: str = "") -> dict[str, Any]:
    url = f"{ORIGIN}{PATH}?{query}"
    signed = Signed(url, {}, b"", "", signature or sign(url, [], TOKEN))
    return environ_of(signed) | {"REQUEST_METHOD": "GET"}


def _json() -> dict[str, Any]:
    url = f"{ORIGIN}{PATH}?bodySHA256={'0' * 64}"
    return environ_of(Signed(url, {}, b"0" * BODY_BYTES, "application/json", FORGED))


def _forged(body: bytes) -> dict[str, Any]:
    return environ_of(Signed(ORIGIN + PATH, {}, body, FORM, FORGED))


GOOD = "a good SMS"
UNNAMED = f"no account, of {ACCOUNTS} that may have signed it"
REQUESTS: dict[str, Callable[[], dict[str, Any]]] = {
    GOOD: lambda: environ_of(sms()),
    **{name: partial(_forged, body) for name, body in BODIES.items()},
    "huge signature": lambda: environ_of(sms()._replace(signature="A" * HEADER_BYTES)),
    "huge cookie": lambda: environ_of(sms(), "convostate=" + "A" * HEADER_BYTES),
    "many cookies": lambda: environ_of(sms(), "convostate=A; " * (HEADER_BYTES // 14)),
    "huge query": lambda: _get("Body=" + "%C3%A9" * (HEADER_BYTES // 6), FORGED),
    "huge JSON": _json,
    UNNAMED: partial(_forged, _filled("Body=", "a")),
    "proven: many senders in a text": lambda: environ_of(sms(1, "From+1555" * (TEXT_CHARS // 9))),
    "proven: a text of escapes": lambda: environ_of(sms(1, "é" * TEXT_CHARS)),
    "proven: many senders in a query": lambda: _get(f"A=1&Body={'From%2B1555' * 500}"),
}


def contender(told: bool = False) -> Work:
    """Make a round of all requests; call i is one of request i, modulo their number.

    Args:
        told: Each is the first one that its middleware sees, so that a refusal is explained.
    """

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return (counting({}) if environ.get("convostate.state") is not None else bare)(
            environ, start_response
        )

    one, many = settings(), settings(account_tokens={f"AC{n:032x}": TOKEN for n in range(ACCOUNTS)})
    made, of_many = ConversationMiddleware(app, one), ConversationMiddleware(app, many)

    def serving(name: str) -> ConversationMiddleware:
        if told:
            return ConversationMiddleware(app, many if name == UNNAMED else one)
        return of_many if name == UNNAMED else made

    def inputs(calls: int) -> list[tuple[Any, dict[str, Any]]]:
        turns = islice(cycle(REQUESTS.items()), calls)
        return [(serving(name), request()) for name, request in turns]

    return Work(inputs, lambda item: serve(*item))


def run(scale: Scale) -> Result:
    """Measure each."""
    me = "benchmarks.cases.worst:contender"
    figures: list[Figure] = []
    for suffix, told in (("", False), (", told", True)):
        with started(Contender("worst", me, {"told": told}), scale.effort) as process:
            process.ready()
            process.time(len(REQUESTS), 1, wall=False)
            us = process.time(len(REQUESTS) * scale.effort.rounds, 1, wall=False)
        for place, name in enumerate(REQUESTS):
            ms = [time / 1000 for time in us[place :: len(REQUESTS)]]
            bound = None if name == GOOD else BOUND_MS
            figures.append(spread(f"{name}{suffix}", ms, "ms", bound))
    return Result(TITLE, figures)
