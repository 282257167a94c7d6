"""The demo assistant that ``DEMO`` names, whose messages arrive in the test that runs it."""

from __future__ import annotations

import os
from importlib import import_module

from tests.sending import redirect_clients

redirect_clients()
app = import_module(f"convostate.demo.{os.environ['DEMO']}").app
