"""The same Flask app bare, wrapped, and with RequestValidator and each rival's session in a cookie.

What is compared is the overhead over the bare app: everything that proves the request and keeps the
conversation, parsing the form included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, lacking, less, over, spread
from benchmarks.measure import APP, RIVAL, Contender, Scale, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TITLE = "overhead over bare Flask: convostate, and RequestValidator + a session in a cookie"
OURS = "convostate, cookie"
RIVALS = {
    "flask_session": "flask.session (signed)",
    "django_cookie": "Django's signed cookie",
    "fernet_cookie": "Fernet (encrypted)",
}
BOUNDS = {"flask_session": 0.3}


def run(scale: Scale) -> Iterator[Figure]:
    """Measure all rivals that keep the session in a cookie."""
    yield from beside(OURS, "cookie", RIVALS, BOUNDS, scale, "cpu")


def beside(
    ours: str,
    store: str,
    rivals: Mapping[str, str],
    bounds: Mapping[str, float],
    scale: Scale,
    clock: str,
) -> Iterator[Figure]:
    """Compare the overhead over bare Flask with that of rivals.

    Args:
        ours: Our label.
        store: Where both keep their state.
        rivals: What each is called in the table, by its name in `benchmarks.rivals`.
        bounds: What our overhead ÷ a rival's must not exceed, by that name.
        scale: How much is measured.
        clock: ``cpu``, or ``wall`` if it waits for a server.
    """
    contenders = [
        Contender("bare", APP, {"app": "flask"}),
        Contender(ours, APP, {"app": "flask wrapped", "store": store}),
        *(Contender(name, RIVAL, {"name": name, "store": store}) for name in rivals),
    ]
    us, missing = compare(contenders, scale, clock)
    overhead = {label: less(times, us["bare"]) for label, times in us.items()}
    yield spread("bare Flask, whole request", us["bare"], "µs")
    yield spread(ours, overhead[ours], "µs")
    for rival, name in rivals.items():
        if rival in missing:
            yield lacking(f"RequestValidator + {name}", missing[rival])
            continue
        yield spread(f"RequestValidator + {name}", overhead[rival], "µs")
        ratio = over(overhead[ours], overhead[rival])
        yield spread(f"convostate ÷ {name}", ratio, "×", bounds.get(rival))
