"""The README and the pages of docs/, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "pages"
DOCUMENTS = [ROOT / "README.md", *sorted(PAGES.rglob("*.md"))]
# An indented block, as in a list, loses its indentation.
_BLOCK = re.compile(r"^( *)```([\w-]+)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code: `place` is its file and line, as editors write it."""

    place: str
    language: str
    text: str


def page(name: str) -> str:
    """The text of `docs/pages/NAME.md`."""
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """What stands under a title of a page, up to the next title of the same level."""
    text = page(name)
    start = re.search(rf"^(##+) {re.escape(title)}$", text, re.MULTILINE)
    assert start, f"{name}.md has no section {title}"
    return re.split(
        rf"^#{{2,{len(start[1])}}} ", text[start.end() :], maxsplit=1, flags=re.MULTILINE
    )[0]


def named(document: Path) -> str:
    """How a document is called in a test's id."""
    return document.relative_to(PAGES if document.is_relative_to(PAGES) else ROOT).as_posix()


def blocks(document: Path) -> list[Block]:
    """The blocks of code of a document, in their order."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            f"{document.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}",
            found[2],
            re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE),
        )
        for found in _BLOCK.finditer(text)
    ]


def file_name(block: Block) -> str:
    """The file that a python block is: its first line names it."""
    found = re.match(r"# (\w+\.py)\n", block.text)
    assert found, f"{block.place}: the first line of a python block names its file"
    return found[1]


def python_files() -> dict[str, str]:
    """Every python file that a document shows, by its name."""
    files: dict[str, str] = {}
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.language == "python":
                name = file_name(block)
                assert files.setdefault(name, block.text) == block.text, (
                    f"{block.place}: two files are named {name}"
                )
    return files
