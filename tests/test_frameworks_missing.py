"""An adapter whose framework is not installed says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest

ADAPTERS = {"flask": "flask", "bottle": "bottle", "pyramid": "pyramid", "django": "django"}


@pytest.mark.parametrize(("name", "package"), ADAPTERS.items())
def test_without_its_framework_an_adapter_says_what_to_install(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [module for module in sys.modules if module.partition(".")[0] == package]
    for module in [*loaded, f"convostate.frameworks.{name}"]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # how Python spells "not there"

    with pytest.raises(ImportError, match=f"pip install {package}$") as refused:
        import_module(f"convostate.frameworks.{name}")

    assert refused.value.name == package


@pytest.mark.parametrize("name", [*ADAPTERS, "paste"])
def test_an_adapter_imports_no_other_framework(name: str) -> None:
    others = {*ADAPTERS.values()} - {ADAPTERS.get(name)}
    code = (
        f"import sys, convostate.frameworks.{name}; "
        f"print(sorted({{module.partition('.')[0] for module in sys.modules}} & {others!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )

    assert done.stdout.strip() == "[]"
