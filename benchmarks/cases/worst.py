"""The processor time of the worst requests: an attacker's who can sign nothing, and what a person can write.

Every request is as large as CONVOSTATE_MAX_BODY_BYTES allows, or its header as servers let through.
"Explained" is the first refusal of its kind in a minute, which the log explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.apps import answer, count, serve, settings
from benchmarks.figures import Figure, figure
from benchmarks.measure import Scale, Work
from benchmarks.webhooks import FORM, ORIGIN, PATH, TOKEN, Signed, environ_of, sms
from convostate import ConversationMiddleware

TRIES = 3  # of each request in a repetition
BODY_BYTES = 262_144  # CONVOSTATE_MAX_BODY_BYTES
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


def _verified(text: str) -> dict[str, Any]:
    return environ_of(sms(1, text))


def _long_path(unit: str) -> dict[str, Any]:
    path = "/0/" + unit * (PATH_BYTES // len(unit))
    return environ_of(sms(), PATH_INFO=path, RAW_URI=path)


BODIES = {
    "one value, all escapes": _filled("Body=", "%C3%A9"),
    "one name": _filled("", "a", "="),
    "1000 fields": _fields(),
    "1000 long names": _fields("N{}" + "n" * 250, "v"),
    "many senders in one value": _filled("Body=", "From%2B1555"),
}
TEXTS = {
    "200 kB of senders that are words": "Froma" * 40_000,
    "200 kB of URLs": "ErrorUrl" * 25_000,
    "200 kB of calls": f"CallSidCA{'0' * 32}Direction" * 4000,
}
ANOTHER = f"AccountSid={max(ACCOUNTS)}&Body=hi".encode()
# What makes a request, and the settings that make it dearest.
CASES: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, Any]]] = {
    **{name: (partial(_forged, body), {}) for name, body in BODIES.items()},
    "huge cookie": (lambda: environ_of(sms(), "convostate=" + "A" * HEADER_BYTES), {}),
    "many cookies": (lambda: environ_of(sms(), "convostate=A; " * (HEADER_BYTES // 14)), {}),
    "no account, 10,000 configured": (partial(_forged, _filled("Body=", "a")), {"account_tokens": ACCOUNTS}),
    "another of 10,000 accounts": (partial(_forged, ANOTHER), {"account_tokens": ACCOUNTS}),
    "1000 escaped fields, 16 tokens": (partial(_forged, _fields(value="%C3%A9")), {"auth_tokens": TOKENS}),
    "250 kB of path, 50 patterns": (partial(_long_path, "/a"), {"paths": PATTERNS}),
    "250 kB of escaped path, 50 patterns": (partial(_long_path, "%2f"), {"paths": PATTERNS}),
    **{f"verified: {name}": (partial(_verified, body), {}) for name, body in TEXTS.items()},
}  # fmt: skip


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Count, if the request has a conversation."""
    if (state := environ.get("convostate.state")) is not None:
        count(state)
    return answer(environ, start_response)


def least_ms(apps: Sequence[ConversationMiddleware], request: Callable[[], Any]) -> float:
    """The least that a request takes of these apps."""
    work = Work(lambda _: ((each, request()) for each in apps), lambda asked: serve(*asked))
    return min(work.us(len(apps))) / 1000


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each, explained and not; the fastest of some, and the dearest first."""
    ms = {}
    tries = TRIES * scale.repeats
    for name, (request, changes) in CASES.items():
        known, *fresh = (ConversationMiddleware(app, settings(**changes)) for _ in range(1 + tries))
        serve(known, request())
        ms[name] = max(least_ms([known] * tries, request), least_ms(fresh, request))
    for name in sorted(ms, key=ms.__getitem__, reverse=True):
        yield figure(name, "ms", ms[name])
