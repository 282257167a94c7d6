"""The table at the top of README.md lists what the tests share: all of it, and nothing that is gone."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
_ROW = re.compile(r"^\| `([\w.]+/?)` \|", re.MULTILINE)


def helpers(folder: Path) -> set[str]:
    """What lies in a folder of tests and is no test; folders end with a slash."""
    return {
        f"{path.name}/" if path.is_dir() else path.name
        for path in folder.iterdir()
        if not path.name.startswith(("test_", ".", "__pycache__")) and path.suffix != ".md"
    }


def listed(text: str) -> list[str]:
    """What the table lists, in order."""
    return _ROW.findall(text.partition("\n## ")[0])


def test_every_helper_is_listed_once() -> None:
    found = listed((HERE / "README.md").read_text(encoding="utf-8"))

    assert sorted(found) == sorted(helpers(HERE))


def test_a_helper_that_is_not_listed_is_found(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    for name in ("README.md", "test_this.py", "listing.py", "forgotten.py"):
        (tmp_path / name).touch()
    text = "| `listing.py` | lists |\n| `apps/` | apps |\n\n## More\n| `forgotten.py` | no helper |"

    assert helpers(tmp_path) - set(listed(text)) == {"forgotten.py"}
