"""The same Flask app three ways: bare, wrapped, and with RequestValidator and each rival's session.

What is compared is the overhead over the bare app: everything that proves the request and keeps the
conversation, parsing the form included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Contender, compare
from benchmarks.result import Figure, Result, beside, less, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "overhead over bare Flask: Flask + RequestValidator + a session in a cookie, and convostate"
BOUND = 0.3  # × Flask + RequestValidator + flask.session

APP = "benchmarks.apps:contender"
RIVAL = "benchmarks.rivals:contender"
OURS = "convostate, cookie"
OURS_READING = "convostate, cookie; the view reads request.form too"
NAMES = {
    "flask_cookie": "flask.session (signed)",
    "starlette_cookie": "itsdangerous as in Starlette (signed)",
    "django_cookie": "Django signed cookie (signed)",
    "fernet_cookie": "Fernet (encrypted)",
    "beaker_cookie": "Beaker cookie (encrypted)",
}


def run(scale: Scale) -> Result:
    """Measure all rivals that keep the session in a cookie."""
    contenders = [
        Contender("bare", APP, {"app": "flask"}),
        Contender(OURS, APP, {"app": "flask wrapped"}),
        Contender(OURS_READING, APP, {"app": "flask wrapped", "reads_form": True}),
        *(Contender(name, RIVAL, {"name": name}) for name in NAMES),
    ]
    us, missing = compare(contenders, scale.effort)
    overhead = {label: less(times, us["bare"]) for label, times in us.items()}
    figures: list[Figure] = [spread("bare Flask, whole request", us["bare"], "µs")]
    figures += [spread(f"{label}", overhead[label], "µs") for label in (OURS, OURS_READING)]
    figures += beside(OURS, NAMES, overhead, missing, {"flask_cookie": BOUND})
    return Result(TITLE, figures, ("SMS of 20 fields; the state is a count",))
