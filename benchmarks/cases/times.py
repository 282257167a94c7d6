"""The time of a webhook over the same app bare, beside what convostate replaces.

What is compared is everything that proves the request and keeps the conversation, parsing the form included;
of RequestValidator alone it is the check of parameters that are already parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import sub, truediv
from typing import NamedTuple

from benchmarks.figures import Figure, figure
from benchmarks.measure import Contender, Scale, compare
from tests.redis_servers import redis_server

ALONE = "RequestValidator"


class Comparison(NamedTuple):
    """One app: bare, with what is used today, and with convostate."""

    name: str
    bare: Contender
    rival: Contender
    ours: Sequence[Contender]
    clock: str = "cpu"  # or "wall", if a blocking app waits for Redis

    def ratios(
        self, found: Mapping[str, list[float]]
    ) -> Iterator[tuple[str, list[float], list[float]]]:
        """What each of ours adds to the bare app, and that ÷ what the rival adds, of what they take."""
        bare, rival = found[self.bare.label], found[self.rival.label]
        for label in (one.label for one in self.ours):
            added = [*map(sub, found[label], bare)]
            theirs = rival if self.rival.label == ALONE else map(sub, rival, bare)
            yield (
                f"{self.name}: {label} ÷ {self.rival.label}",
                added,
                [*map(truediv, added, theirs)],
            )


def comparisons(store: str) -> Iterator[Comparison]:
    """All whose packages are installed, with the URL of a Redis."""
    proof = {"app": "apps.passing"}
    ways = [
        Contender("proof without state", proof),
        Contender("cookie", {"app": "apps.plain"}),
        Contender("Redis", {"app": "apps.plain", "store": store}),
        Contender("path not guarded", {**proof, "paths": ["/voice/*", "/texts"]}),
    ]
    for kind, name, some in (
        ("sms", "SMS, 20 fields", ways),
        ("whatsapp", "WhatsApp, 40 fields", ways[:2]),
        ("json", "JSON, 1 kB", ways[:1]),
    ):
        bare = Contender("bare", {"app": "apps.bare", "kind": kind})
        ours = [one._replace(options={**one.options, "kind": kind}) for one in some]
        alone = Contender(ALONE, {"kind": kind}, "benchmarks.apps:validator")
        yield Comparison(name, bare, alone, ours)
    for app, way, rival, theirs, clock in (
        ("Flask", "cookie", "flask.session", "signed_cookie", "cpu"),
        ("Flask", "Redis", "Flask-Session", "flask_session", "wall"),
        ("FastAPI", "Redis", "starsessions", "starsessions", "cpu"),
    ):
        module = f"{app.lower()}_apps"
        kept = {} if way == "cookie" else {"store": store}
        used = Contender(f"RequestValidator + {rival}", {"app": f"{module}.{theirs}", **kept})
        if used.is_installed:
            bare = Contender(f"bare {app}", {"app": f"{module}.bare"})
            ours = [Contender(way, {"app": f"{module}.wrapped", **kept})]
            yield Comparison(app, bare, used, ours, clock)


def run(scale: Scale) -> Iterator[Figure]:
    """Measure."""
    with redis_server() as server:
        for each in comparisons(server.url):
            us = compare([each.bare, each.rival, *each.ours], scale, each.clock)
            bare, rival = each.bare.label, each.rival.label
            yield figure(f"{each.name}: {bare}, {each.clock}", "µs", *us[bare])
            yield figure(f"{each.name}: {rival}", "µs", *us[rival])
            for label, added, ratio in each.ratios(us):
                yield figure(label.partition(" ÷")[0], "µs", *added)
                yield figure(label, "×", *ratio)
