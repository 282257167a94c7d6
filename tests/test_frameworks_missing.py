"""An adapter whose framework is not installed says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest

ADAPTERS = ["flask", "bottle", "pyramid", "django", "fastapi"]  # and the names of the packages


@pytest.mark.parametrize("name", ADAPTERS)
def test_without_its_framework_an_adapter_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [module for module in sys.modules if module.partition(".")[0] == name]
    for module in [*loaded, f"convostate.frameworks.{name}"]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)  # how Python spells "not there"

    with pytest.raises(ImportError, match=f"pip install {name}$") as refused:
        import_module(f"convostate.frameworks.{name}")

    assert refused.value.name == name


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", [*ADAPTERS, "paste"])
def test_an_adapter_imports_no_other_framework(name: str) -> None:
    others = {*ADAPTERS} - {name}
    code = (
        f"import sys, convostate.frameworks.{name}; "
        f"print(sorted({{module.partition('.')[0] for module in sys.modules}} & {others!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )

    assert done.stdout.strip() == "[]"
