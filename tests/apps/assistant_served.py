"""A demo assistant whose Twilio client sends to another place: the server of the test that runs it.

``DEMO`` names the demo, ``SENDS_TO`` the place.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twilio.base.client_base import ClientBase

if TYPE_CHECKING:
    from collections.abc import Callable

ours = os.environ["SENDS_TO"]


def redirected(request: Callable[..., Any]) -> Callable[..., Any]:
    """A client's method that keeps a URL's path alone."""
    return lambda self, method, uri, *args, **named: request(
        self, method, f"{ours}{urlsplit(uri).path}", *args, **named
    )


ClientBase.request = redirected(ClientBase.request)
ClientBase.request_async = redirected(ClientBase.request_async)
app = import_module(f"convostate.demo.{os.environ['DEMO']}").app
