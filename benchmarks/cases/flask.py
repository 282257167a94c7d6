"""The same Flask app bare, wrapped, and with RequestValidator and a session in a cookie.

What is compared is the overhead over the bare app: everything that proves the request and keeps the
conversation, parsing the form included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, lacking, less, over, spread
from benchmarks.measure import APP, RIVAL, Contender, Scale, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "overhead over bare Flask: convostate, and RequestValidator + a session in a cookie"
BARE = Contender("bare Flask", APP, {"app": "flask"})
BOUND = 0.3  # × the overhead of Flask + RequestValidator + flask.session


def run(scale: Scale) -> Iterator[Figure]:
    """Measure both."""
    ours = Contender("convostate, cookie", APP, {"app": "flask wrapped"})
    rival = Contender("flask.session (signed)", RIVAL, {"name": "flask_session"})
    yield from beside(BARE, ours, rival, BOUND, scale)


def beside(
    bare: Contender,
    ours: Contender,
    rival: Contender,
    bound: float,
    scale: Scale,
    clock: str = "cpu",
) -> Iterator[Figure]:
    """Compare our overhead over a bare app with that of a rival, which checks with RequestValidator.

    Args:
        bare: The app that keeps nothing.
        ours: The same app with convostate.
        rival: The same app with something else.
        bound: What our overhead ÷ the rival's must not exceed.
        scale: How much is measured.
        clock: ``cpu``, or ``wall`` if it waits for a server.
    """
    us, missing = compare([bare, ours, rival], scale, clock)
    overhead = {label: less(times, us[bare.label]) for label, times in us.items()}
    yield spread(f"{bare.label}, whole request", us[bare.label], "µs")
    yield spread(ours.label, overhead[ours.label], "µs")
    theirs = f"RequestValidator + {rival.label}"
    if missing:
        yield lacking(theirs, missing[rival.label])
        return
    yield spread(theirs, overhead[rival.label], "µs")
    ratio = over(overhead[ours.label], overhead[rival.label])
    yield spread(f"convostate ÷ {rival.label}", ratio, "×", bound)
