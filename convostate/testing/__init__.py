"""For an app's tests: a simulated Twilio, test clients that sign, the contract of stores.

    phone = TwilioSimulator(app).phone("+15550100001", texting="+15550100099")
    assert phone.text("hello").messages == ["Hi!"]

Every name is imported on first use: the pytest plugin alone costs nothing, and the test client of one
framework does not need the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convostate.testing.call import Call
    from convostate.testing.clients.asgi import SignedASGIApp
    from convostate.testing.clients.django import SignedDjangoClient
    from convostate.testing.clients.httpx import SignedTransport
    from convostate.testing.clients.webtest import SignedTestApp
    from convostate.testing.clients.werkzeug import SignedClient
    from convostate.testing.clock import Clock
    from convostate.testing.contract import (
        AsyncStoreContract,
        AsyncWorkStoreContract,
        StoreContract,
        WorkStoreContract,
    )
    from convostate.testing.message import Message
    from convostate.testing.phone import Phone
    from convostate.testing.reply import Reply
    from convostate.testing.simulator import TwilioSimulator

__all__ = [
    "AsyncStoreContract",
    "AsyncWorkStoreContract",
    "Call",
    "Clock",
    "Message",
    "Phone",
    "Reply",
    "SignedASGIApp",
    "SignedClient",
    "SignedDjangoClient",
    "SignedTestApp",
    "SignedTransport",
    "StoreContract",
    "TwilioSimulator",
    "WorkStoreContract",
]

_HOMES = {
    "AsyncStoreContract": "contract",
    "AsyncWorkStoreContract": "contract",
    "Call": "call",
    "Clock": "clock",
    "Message": "message",
    "Phone": "phone",
    "Reply": "reply",
    "SignedASGIApp": "clients.asgi",
    "SignedClient": "clients.werkzeug",
    "SignedDjangoClient": "clients.django",
    "SignedTestApp": "clients.webtest",
    "SignedTransport": "clients.httpx",
    "StoreContract": "contract",
    "TwilioSimulator": "simulator",
    "WorkStoreContract": "contract",
}


if not TYPE_CHECKING:  # else a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
