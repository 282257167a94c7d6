"""The most that one request can cost: what an attacker sends who can sign nothing, and what a person can write.

Every request is as large as CONVOSTATE_MAX_BODY_BYTES allows, or its header as servers let through.
"Explained" is the first refusal of its kind in a minute, which the log explains.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apps import bare, counting, serve, settings
from benchmarks.figures import Figure, spread
from benchmarks.measure import Contender, Process, Scale, fastest
from benchmarks.webhooks import FORM, ORIGIN, PATH, TOKEN, Signed, environ_of, sms
from benchmarks.worker import Work
from convostate import ConversationMiddleware
from convostate.twilio.signature import sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

TITLE = "the worst requests: 256 KiB, 64 KiB of headers, 10,000 accounts; in processor time"
BOUND_MS = 20.0
BODY_BYTES = 262_144  # CONVOSTATE_MAX_BODY_BYTES
TEXT_CHARS = 1600  # https://www.twilio.com/docs/messaging/guides/webhook-request: Body
HEADER_BYTES = 65_536  # gunicorn lets 8,190 through, waitress 262,144
PATH_BYTES = 250_000  # as waitress lets through
MOST_FIELDS = 1000
FORGED = "A" * 27 + "="
ACCOUNTS = {f"AC{number:032x}": f"{TOKEN}{number}" for number in range(10_000)}
TOKENS = tuple(f"{TOKEN}{number}" for number in range(15))
PATTERNS = tuple(f"/{number}/*/[a-z]*" for number in range(50))


def _filled(head: str, unit: str, tail: str = "") -> bytes:
    """A body of the largest size: head, as many units as fit, tail."""
    room = BODY_BYTES - len(head) - len(tail)
    return (head + unit * (room // len(unit)) + tail).encode()


def _fields(name: str = "N{}", value: str = "v") -> bytes:
    room = BODY_BYTES // MOST_FIELDS
    fields = [f"{name.format(index)}=" for index in range(MOST_FIELDS)]
    units = [(room - len(field) - 1) // len(value) for field in fields]
    return "&".join([field + value * n for field, n in zip(fields, units, strict=True)]).encode()


def _forged(body: bytes) -> dict[str, Any]:
    return environ_of(Signed(ORIGIN + PATH, {}, body, FORM, FORGED))


def _get(query: str, signature: str = "") -> dict[str, Any]:
    url = f"{ORIGIN}{PATH}?{query}"
    signed = Signed(url, {}, b"", "", signature or sign(url, [], TOKEN))
    return environ_of(signed, REQUEST_METHOD="GET")


def _json() -> dict[str, Any]:
    url = f"{ORIGIN}{PATH}?bodySHA256={'0' * 64}"
    return environ_of(Signed(url, {}, b"0" * BODY_BYTES, "application/json", FORGED))


def _long_path(unit: str) -> dict[str, Any]:
    path = "/0/" + unit * (PATH_BYTES // len(unit))
    return environ_of(sms(), PATH_INFO=path, RAW_URI=path)


class Case(NamedTuple):
    """A request, and the settings that make it dearest."""

    request: Callable[[], dict[str, Any]]
    settings: Mapping[str, Any] = {}


BODIES = {
    "one value, plain": _filled("Body=", "a"),
    "one value, all escapes": _filled("Body=", "%C3%A9"),
    "all escapes, one in the other case": _filled("Body=", "%C3%A9", "%c3%a9"),
    "one name": _filled("", "a", "="),
    "1000 fields": _fields(),
    "1000 times From": _fields("From"),
    "1000 long names": _fields("N{}" + "n" * 250, "v"),
    "256 Ki fields": _filled("", "&"),
    "128 Ki empty fields": _filled("", "=&"),
    "many senders in one value": _filled("Body=", "From%2B1555"),
    "channels without end": _filled("Body=", "From" + "a" * 24),
    "SIDs without end": _filled("Body=", "AccountSidAC" + "0" * 31),
}
CASES: dict[str, Case] = {
    "a good SMS": Case(lambda: environ_of(sms())),
    **{name: Case(partial(_forged, body)) for name, body in BODIES.items()},
    "huge signature": Case(lambda: environ_of(sms()._replace(signature="A" * HEADER_BYTES))),
    "huge cookie": Case(lambda: environ_of(sms(), "convostate=" + "A" * HEADER_BYTES)),
    "many cookies": Case(lambda: environ_of(sms(), "convostate=A; " * (HEADER_BYTES // 14))),
    "huge query": Case(lambda: _get("Body=" + "%C3%A9" * (HEADER_BYTES // 6), FORGED)),
    "huge JSON": Case(_json),
    "no account, 10,000 configured": Case(
        partial(_forged, _filled("Body=", "a")), {"account_tokens": ACCOUNTS}
    ),
    "1000 escaped fields, 16 tokens": Case(
        partial(_forged, _fields(value="%C3%A9")), {"auth_tokens": TOKENS}
    ),
    "250 kB of path, 50 patterns": Case(partial(_long_path, "/a"), {"paths": PATTERNS}),
    "250 kB of escaped path, 50 patterns": Case(partial(_long_path, "%2f"), {"paths": PATTERNS}),
    "another of 10,000 accounts": Case(
        partial(_forged, f"AccountSid={max(ACCOUNTS)}&Body=hi".encode()),
        {"account_tokens": ACCOUNTS},
    ),
    "verified: 200 kB of senders that are words": Case(
        lambda: environ_of(sms(1, "Froma" * 40_000))
    ),
    "verified: 200 kB of calls": Case(
        lambda: environ_of(sms(1, f"CallSidCA{'0' * 32}Direction" * 4000))
    ),
    "verified: many senders in a text": Case(
        lambda: environ_of(sms(1, "From+1555" * (TEXT_CHARS // 9)))
    ),
    "verified: a text of escapes": Case(lambda: environ_of(sms(1, "é" * TEXT_CHARS))),
    "verified: many senders in a query": Case(lambda: _get(f"A=1&Body={'From%2B1555' * 500}")),
}


def contender() -> Work:
    """One call is one request of each case, once to a middleware that has refused its kind, once not."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inside = counting() if environ.get("convostate.state") is not None else bare
        return inside(environ, start_response)

    known = {
        name: ConversationMiddleware(app, settings(**case.settings)) for name, case in CASES.items()
    }
    for name, case in CASES.items():
        serve(known[name], case.request())

    def inputs(calls: int) -> list[tuple[Any, dict[str, Any]]]:
        return [
            (middleware, case.request())
            for _ in range(calls)
            for name, case in CASES.items()
            for middleware in (known[name], ConversationMiddleware(app, settings(**case.settings)))
        ]

    return Work(inputs, lambda item: serve(*item))


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each, the fastest of some in each process."""
    ms: dict[str, list[float]] = {}
    for _ in range(scale.repeats):
        with Process(Contender("worst", "benchmarks.cases.worst:contender")) as process:
            us = process.ask("cpu", scale.repeats)
        names = [name + more for name in CASES for more in ("", ", explained")]
        for place, name in enumerate(names):
            ms.setdefault(name, []).append(fastest(us[place :: len(names)]) / 1000)
    for name, times in ms.items():
        yield spread(name, times, "ms", None if name.startswith("a good SMS") else BOUND_MS)
