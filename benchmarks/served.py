"""The app of a server: `gunicorn benchmarks.served:app`, with its factory as JSON in BENCHMARKS_APP."""

from __future__ import annotations

import json
import os
from importlib import import_module

_factory, _options = json.loads(os.environ["BENCHMARKS_APP"])
_module, _, _function = _factory.partition(":")

app = getattr(import_module(_module), _function)(**_options)
