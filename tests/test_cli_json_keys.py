"""What `--json` prints of a state whose keys JSON does not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convostate.cli.conversation import for_json


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({"step": 1, 7: "x"}, {"step": 1, "7": "x"}),
        ({1: "int", "1": "str"}, {"1 (int)": "int", "1": "str"}),
        (
            {"1": "a", "1 (int)": "b", 1: "c"},
            {"1": "a", "1 (int)": "b", "1 (int) (int)": "c"},
        ),
        ({"cart": [{1: "int", "1": "str"}]}, {"cart": [{"1 (int)": "int", "1": "str"}]}),
        ({"at": ({2: "two"},)}, {"at": [{"2": "two"}]}),
    ],
)
def test_no_key_takes_the_place_of_another(state: dict[Any, Any], shown: dict[str, Any]) -> None:
    assert json.loads(json.dumps(for_json(state))) == shown
