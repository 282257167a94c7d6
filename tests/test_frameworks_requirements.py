"""The package installs beside what an app of 2024 pins."""

from __future__ import annotations

from importlib.metadata import requires
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

PINS = """
click==8.1.7 Werkzeug==3.0.4
click==8.1.3 Werkzeug==2.2.3 cryptography==41.0.7
click==8.0.4 Werkzeug==2.3.7 cryptography==3.4.8
Werkzeug==3.0.1 redis==5.0.1 hiredis==2.3.2 twilio==9.0.2
click==8.1.7 Werkzeug==3.0.3 cryptography==42.0.8 redis==5.0.8 twilio==8.13.0
"""


def bounds(extra: str) -> Iterator[Requirement]:
    """What this package requires, with an extra or without."""
    for line in requires("convostate") or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


@pytest.mark.parametrize("pins", PINS.strip().splitlines())
def test_e2_it_installs_beside_what_an_app_pins(pins: str) -> None:
    ours = {each.name.lower(): each for extra in ("", "redis", "twilio") for each in bounds(extra)}

    for pin in pins.split():
        name, _, version = pin.partition("==")
        assert ours[name.lower()].specifier.contains(version), pin


def test_e2_a_werkzeug_that_reads_a_nameless_cookie_as_another_one_does_not_do() -> None:
    (werkzeug,) = (each for each in bounds("") if each.name == "werkzeug")

    assert not werkzeug.specifier.contains("2.2.2")  # CVE-2023-23934
