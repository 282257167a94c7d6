"""What one process of the phone leaves to the next is as new as the last action."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convostate.phone.reload import Reload
from tests.phone_board import board

if TYPE_CHECKING:
    from pathlib import Path


class Lock:
    """A lock that, before it is had, lets another action through first."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = [meanwhile]

    def __enter__(self) -> None:
        if self._meanwhile:
            self._meanwhile.pop()()

    def __exit__(self, *_: object) -> None:
        pass


def test_what_was_collected_before_another_action_is_not_left_after_it(tmp_path: Path) -> None:
    with board() as page:
        handover: Any = Reload(tmp_path / "handover.json")

        def act() -> None:
            page.text("hi")
            handover.save(page.session)

        handover._lock = Lock(act)
        handover.save(page.session)

        (said, *_) = json.loads(handover.text())["phones"]
        assert [entry["kind"] for entry in said["entries"]] == ["sent", "received"]


def test_what_was_left_is_gone_on_with_and_without_it_nothing_is(tmp_path: Path) -> None:
    handover = Reload(tmp_path / "handover.json")
    with board() as page:
        assert not handover.resume(page.session)
        page.text("hi")
        handover.save(page.session)
    with board() as page:
        assert handover.resume(page.session)
        assert page.bodies("sent") == ["hi"]
