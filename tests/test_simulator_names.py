"""What `convostate.testing` offers, and that it loads only what is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import convostate.testing

LAZY = """
import sys, convostate.testing
loaded = [name for name in sys.modules if name.startswith("convostate.testing.")]
convostate.testing.Clock
later = [name for name in sys.modules if name.startswith("convostate.testing.")]
print(loaded, later)
"""


@pytest.mark.parametrize("name", ["Clock", "Message", "Phone", "Reply", "TwilioSimulator"])
def test_a_public_name_is_there(name: str) -> None:
    assert name in convostate.testing.__all__
    assert getattr(convostate.testing, name).__name__ == name


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Fax'"):
        convostate.testing.Fax  # type: ignore[attr-defined]  # noqa: B018  # the access is what is tested


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)

    assert done.stdout == "[] ['convostate.testing.clock']\n"
