"""The wheel and the sdist, and what somebody has who installs the wheel and never sees the checkout."""

from __future__ import annotations

import email
import re
import subprocess
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.packaged import ROOT, Built, Installed, build, closure, install

pytestmark = pytest.mark.slow

SHIPPED = {".py", ".lua", ".html", ".css", ".js", ".svg"}
TOP_OF_SDIST = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md",
    "benchmarks", "convostate", "docs", "pyproject.toml", "setup.cfg", "tests",
}  # fmt: skip
NEVER = re.compile(
    r"(^|/)(__pycache__|\.venv|\.git|dist|build|[^/]*_cache|[^/]*\.egg-info)(/|$)|\.pyc$"
)


def in_wheel(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def in_sdist(sdist: Path) -> list[str]:
    """The files, without the folder that holds them all."""
    with tarfile.open(sdist) as archive:
        return sorted(member.name.partition("/")[2] for member in archive if member.isfile())


def foreign(names: list[str]) -> list[str]:
    """What has no place in a wheel."""
    return [
        name
        for name in names
        if not re.match(r"convostate-[\w.]+\.dist-info/", name)
        and (
            not name.startswith("convostate/")
            or not (Path(name).suffix in SHIPPED or name == "convostate/py.typed")
            or NEVER.search(name)
        )
    ]


def test_the_wheel_has_the_package_whole_and_nothing_else(built: Built) -> None:
    names = in_wheel(built.wheel)
    ours = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "convostate").rglob("*"))
        if path.is_file() and not NEVER.search(str(path.relative_to(ROOT)))
    ]

    assert foreign(names) == []
    assert [name for name in names if name.startswith("convostate/")] == ours
    assert {
        "convostate/py.typed",
        "convostate/stores/redis/begin.lua",
        "convostate/phone/page/index.html",
    } <= set(names)


@pytest.mark.parametrize(
    "name",
    [
        "tests/test_it.py",
        "convostate/notes.txt",
        "convostate/__pycache__/wsgi.py",
        "convostate/sealing/token.pyc",
    ],
)
def test_what_is_foreign_would_be_found(name: str) -> None:
    assert foreign(["convostate/__init__.py", name, "convostate-0.1.0.dist-info/RECORD"]) == [name]


def test_the_sdist_has_what_the_checks_need_and_nothing_that_was_made(built: Built) -> None:
    names = in_sdist(built.sdist)

    assert {name.partition("/")[0] for name in names} == TOP_OF_SDIST
    assert [name for name in names if NEVER.search(name)] == []
    assert {"tests/conftest.py", "convostate/py.typed", "convostate/stores/redis/begin.lua"} <= set(
        names
    )


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    # Not with tarfile: Python before 3.11.4 has no filter=, and later ones ask for it.
    subprocess.run(["tar", "-xzf", built.sdist], cwd=tmp_path, check=True)

    again = build(next(tmp_path.iterdir()), tmp_path / "dist")

    with zipfile.ZipFile(built.wheel) as first, zipfile.ZipFile(again.wheel) as second:
        assert {one.filename: one.CRC for one in first.infolist()} == {
            one.filename: one.CRC for one in second.infolist()
        }


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel with what it names as its dependencies, and without anything else."""
    made = install(built.wheel, tmp_path_factory.mktemp("installed"))
    made.add(*closure("convostate") - {"convostate"})
    return made


LINK = re.compile(r"\]\((?!https://|#)([^)]*)\)|(?:src|href)=\"(?!https://|#)([^\"]*)\"")


def described(metadata: str) -> str:
    """The README as a package index gets it."""
    return str(email.message_from_string(metadata).get_payload())


def test_the_readme_of_an_index_links_to_nothing_that_is_not_there(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        found = described(archive.read(name).decode())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    titles = {re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-")
              for line in re.findall(r"^#+ (.*)$", found, re.MULTILINE)}  # fmt: skip

    assert LINK.findall(found) == []
    assert "*A phone on the left, the state after each text on the right, what is new in green.*" in found  # fmt: skip
    assert set(re.findall(r"\]\(#([^)]*)\)", found)) <= titles
    assert readme.count("![") > 0
    assert all((ROOT / path).is_file() for path, _ in LINK.findall(readme))
    assert (
        "Where the state lives says in full what each of them promises." in found
    )  # a link leaves its words


def test_the_installed_package_is_not_the_checkout(installed: Installed) -> None:
    where = installed.run("python", "-c", "import convostate; print(convostate.__file__)")

    assert Path(where.strip()) == installed.packages / "convostate" / "__init__.py"
    assert "No module named 'redis'" in installed.run("python", "-c", "import redis")


def test_the_installed_commands_work(installed: Installed) -> None:
    assert installed.run("convostate", "chat", "hello", "again") == (
        "> hello\n< You've sent 1 message in this conversation so far\n"
        "> again\n< You've sent 2 messages in this conversation so far\n"
    )
    assert installed.run("convostate", "phone", "--help").startswith("Usage: convostate phone")
    assert len(installed.run("convostate", "keygen")) == 44
    for command in (("convostate",), ("python", "-m", "convostate")):
        version = distribution("convostate").version
        assert installed.run(*command, "--version") == f"convostate, version {version}\n"


@pytest.mark.parametrize(
    "program",
    [
        "from convostate.stores import RedisStore",
        (
            "from convostate import ConversationMiddleware as M, Keyring as K, Settings as S;"
            "M(print, S(auth_token='t', keys=K.generate(), store='redis://x'))"
        ),
    ],
)
def test_an_extra_that_is_not_installed_is_named(program: str, installed: Installed) -> None:
    said = installed.run("python", "-c", program)

    assert 'needs the package redis. Run: pip install "convostate[redis]"' in said


PAGE = """
import convostate.phone, importlib.resources as resources
page = resources.files(convostate.phone) / "page" / "index.html"
print(page.read_text(encoding="utf-8")[:15])
"""


def test_the_installed_phone_has_its_page(installed: Installed) -> None:
    assert installed.run("python", "-c", PAGE).lower() == "<!doctype html>\n"


CONTRACT = """
import pytest
from convostate.stores import CookieStore
from convostate.testing import StoreContract

class Forgetful(CookieStore):
    def commit(self, *args):
        super().commit(*args)
        return []

class TestTheirs(StoreContract):
    server_side = False

    @pytest.fixture
    def store(self):
        return STORE()
"""


def test_the_installed_contract_judges_a_store_of_their_own(installed: Installed) -> None:
    installed.add(*closure("pytest"))
    for store, verdict in (("CookieStore", r"^\d+ passed"), ("Forgetful", r"^\d+ failed")):
        (installed.home / "test_theirs.py").write_text(CONTRACT.replace("STORE", store))
        said = installed.run(
            "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_theirs.py"
        )
        assert re.search(verdict, said, re.MULTILINE), said
