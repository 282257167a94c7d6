"""The same Flask app bare, wrapped, and with RequestValidator and each rival's session in a cookie.

What is compared is the overhead over the bare app: everything that proves the request and keeps the
conversation, parsing the form included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, lacking, less, over, spread
from benchmarks.measure import APP, RIVAL, Contender, Scale, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TITLE = "overhead over bare Flask: convostate, and RequestValidator + a session in a cookie"
BARE = Contender("bare Flask", APP, {"app": "flask"})
RIVALS = {
    "flask.session (signed)": "flask_session",
    "Django's signed cookie": "django_cookie",
    "Fernet (encrypted)": "fernet_cookie",
}


def run(scale: Scale) -> Iterator[Figure]:
    """Measure all rivals that keep the session in a cookie."""
    ours = Contender("convostate, cookie", APP, {"app": "flask wrapped"})
    rivals = [Contender(label, RIVAL, {"name": name}) for label, name in RIVALS.items()]
    yield from beside(BARE, ours, rivals, {"flask.session (signed)": 0.3}, scale, "cpu")


def beside(
    bare: Contender,
    ours: Contender,
    rivals: Sequence[Contender],
    bounds: Mapping[str, float],
    scale: Scale,
    clock: str,
) -> Iterator[Figure]:
    """Compare our overhead over a bare app with that of rivals, which check with RequestValidator.

    Args:
        bare: The app that keeps nothing.
        ours: The same app with convostate.
        rivals: The same app with something else.
        bounds: What our overhead ÷ a rival's must not exceed, by the rival's label.
        scale: How much is measured.
        clock: ``cpu``, or ``wall`` if it waits for a server.
    """
    us, missing = compare([bare, ours, *rivals], scale, clock)
    overhead = {label: less(times, us[bare.label]) for label, times in us.items()}
    yield spread(f"{bare.label}, whole request", us[bare.label], "µs")
    yield spread(ours.label, overhead[ours.label], "µs")
    for rival in rivals:
        label = rival.label
        if label in missing:
            yield lacking(f"RequestValidator + {label}", missing[label])
            continue
        yield spread(f"RequestValidator + {label}", overhead[label], "µs")
        ratio = over(overhead[ours.label], overhead[label])
        yield spread(f"convostate ÷ {label}", ratio, "×", bounds.get(label))
