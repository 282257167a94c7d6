"""Every python and console block of the README and the docs runs, and prints what it shows.

A python block starts with a comment that names its file; a console block holds commands after
``$`` and their output. The files of all pages are in one directory. Each page begins with the
settings that the first page exports, and keeps what it exports itself. ``python -m tests.test_docs``
writes what the commands print into the pages; look at the difference before you commit it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

import convostate
from convostate import ConversationMiddleware, errors
from convostate.settings import SETTINGS
from convostate.testing import TwilioSimulator
from tests.documentation import DOCUMENTS, ROOT, blocks, named, page, python_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SECONDS = re.compile(r"\bin \d+\.\d+s\b")
# Litestar logs in a thread of its own, whose last line may come after that of pytest.
LITESTAR_LOG = re.compile(r"^INFO - .* - convostate\.turns - .*\n", re.MULTILINE)
EXPORTS = (
    "export TWILIO_AUTH_TOKEN=any-token-will-do-in-a-test CONVOSTATE_KEYS=$(convostate keygen)"
)


def run(command: str, directory: Path) -> str:
    """Run one command in bash with what earlier ones exported; return what it printed, and a failure."""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"[ ! -f .exports ] || . ./.exports\nset -e\n{command}\nexport -p | grep -v PWD= > .exports",
        ],
        cwd=directory,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("CONVOSTATE_", "TWILIO_"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",  # the width that pytest fills
            # Other packages' plugins take seconds to import, for each page's tests.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "convostate.testing.plugin",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,  # seconds; the slowest takes about ten
        check=False,
    )
    return done.stdout + (f"exit status {done.returncode}\n" if done.returncode else "")


def prepare(directory: Path) -> None:
    """Write the files of all pages into a directory, and export what the first page exports."""
    for name, text in python_files().items():
        (directory / name).write_text(text, encoding="utf-8")
    assert run(EXPORTS, directory) == ""


def timeless(output: str) -> str:
    return SECONDS.sub("in TIME", LITESTAR_LOG.sub("", output))


RUNNING = [
    document for document in DOCUMENTS if any(b.language == "console" for b in blocks(document))
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as a page finds it."""
    directory = tmp_path_factory.mktemp("docs")
    prepare(directory)
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("document", RUNNING, ids=named)
def test_every_example_prints_what_the_page_shows(
    document: Path, prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    shown, printed = [], []

    for block in blocks(document):
        if block.language == "console":
            for command, output in COMMAND.findall(block.text):
                shown.append((block.place, command, timeless(output)))
                printed.append((block.place, command, timeless(run(command, tmp_path))))

    assert printed == shown
    assert printed


def test_the_first_page_exports_what_the_others_begin_with() -> None:
    assert f"$ {EXPORTS}\n" in page("index")


def test_every_python_file_of_the_docs_is_used_by_a_command() -> None:
    used = "".join(block.text for document in DOCUMENTS for block in blocks(document))

    assert len(python_files()) >= 10
    for file in python_files():
        stem = Path(file).stem
        assert re.search(rf"^(\$ .*\b|from ){stem}\b", used, re.MULTILINE), file


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_the_site_lists_every_page() -> None:
    listed = (ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    nav, _, for_agents = listed.partition("\nplugins:\n")

    pages = [named(document) for document in DOCUMENTS[1:]]
    assert sorted(re.findall(r"[\w/-]+\.md", nav)) == sorted(pages)
    assert sorted(re.findall(r"- ([\w/-]+\.md): \"", for_agents)) == sorted(pages)


def test_the_reference_has_every_public_name() -> None:
    shown = set(re.findall(r"^::: convostate\.(\w+)$", page("api"), re.MULTILINE))

    assert {"ConversationMiddleware", "errors"} <= shown
    assert [
        name for name in convostate.__all__ if name not in shown and not hasattr(errors, name)
    ] == []


def test_the_table_of_settings_is_their_declaration() -> None:
    rows = [
        f"| `{each.name}` | `{each.variable}` | {f'`{each.default}`' if each.default else ''} | {each.help} |"
        for each in SETTINGS
    ]
    table = ["| setting | environment variable | default | meaning |", "|---|---|---|---|", *rows]

    assert "\n".join(table) in page("settings")


def test_the_log_line_behind_a_proxy_is_the_shown_one(caplog: pytest.LogCaptureFixture) -> None:
    from convostate.demo import counter  # which takes its settings from the environment

    app = ConversationMiddleware(counter.count)  # another one may have logged a minute ago

    def behind_a_proxy(environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        environ |= {
            "HTTP_HOST": "10.0.0.7:8000",
            "HTTP_X_FORWARDED_HOST": environ["HTTP_HOST"],
            "wsgi.url_scheme": "http",
        }
        return app(environ, respond)

    reply = TwilioSimulator(behind_a_proxy).phone("+15550100001").text("hello")

    assert reply.status == 403
    (line,) = caplog.messages
    assert f"```text\n{line}\n```" in page("when-it-answers-403")


def floors_of(layers: list[str]) -> list[set[str]]:
    """The modules that are there, floor by floor."""
    package = ROOT / "convostate"
    return [
        {
            name
            for name in re.findall(r"\w+", layer)
            if (package / name).is_dir() or (package / f"{name}.py").is_file()
        }
        for layer in layers
    ]


def test_the_floors_of_the_house_are_the_import_contract() -> None:
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\nlayers = [")[2]
    rows = re.findall(r"^\| \d \| ([^|]+) \|", page("contributing"), re.MULTILINE)

    enforced = floors_of(re.findall(r'"([^"]+)"', contract.partition("\n]")[0]))
    assert len(enforced) == 6
    assert [set(re.findall(r"\w+", row)) for row in rows] == enforced


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_file_of_the_repository_that_is_named_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    for path in re.findall(r"`((?:convostate|tests|docs|\.ci)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


def rewrite(document: Path) -> None:
    """Put what the commands of a document print into it."""
    with TemporaryDirectory() as made:
        directory = Path(made)
        prepare(directory)

        def renewed(found: re.Match[str]) -> str:
            printed = run(found[1], directory)
            return (
                f"$ {found[1]}\n{found[2] if timeless(printed) == timeless(found[2]) else printed}"
            )

        text = document.read_text(encoding="utf-8")
        for block in blocks(document):
            if block.language == "console":
                text = text.replace(block.text, COMMAND.sub(renewed, block.text))
        document.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for each in RUNNING:
        rewrite(each)
