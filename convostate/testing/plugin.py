"""The pytest plugin: the fixture `twilio`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from convostate.testing.simulator import TwilioSimulator


@pytest.fixture
def twilio() -> type[TwilioSimulator]:
    """A Twilio that texts your app: ``twilio(app).phone("+15550100001").text("hi").messages``.

    The class `convostate.testing.TwilioSimulator`, with its arguments. The token is
    TWILIO_AUTH_TOKEN, or ``auth_token=…``.
    """
    from convostate.testing import TwilioSimulator  # noqa: PLC0415  only tests that use it import it

    return TwilioSimulator
