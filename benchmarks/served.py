"""The app of a server: `gunicorn benchmarks.served:app`, with what to serve as JSON in BENCHMARKS_APP."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from benchmarks.apps import make
from benchmarks.rivals import rival

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_what = json.loads(os.environ["BENCHMARKS_APP"])
app: WSGIApplication = (
    rival(_what["rival"]).app(_what["redis_url"], {}) if "rival" in _what else make(**_what)
)
