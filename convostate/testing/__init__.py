"""What an application's tests need: a Twilio that is simulated, and the contract of stores.

Nothing here is imported before it is asked for, so that the pytest plugin costs nothing unused.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convostate.testing.clock import Clock
    from convostate.testing.contract import StoreContract
    from convostate.testing.simulator import TwilioSimulator

__all__ = ["Clock", "StoreContract", "TwilioSimulator"]

_HOMES = {"Clock": "clock", "StoreContract": "contract", "TwilioSimulator": "simulator"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
