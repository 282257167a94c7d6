"""The wheel and the sdist, built from this checkout, and environments that the wheel is installed in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with nothing of this checkout in its environment; return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(cwd),
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,  # seconds; the slowest takes about ten on a machine of its own
        check=False,
    )
    return done.stdout + (f"exit status {done.returncode}\n" if done.returncode else "")


class Built(NamedTuple):
    wheel: Path
    sdist: Path


def build(source: Path, folder: Path) -> Built:
    said = run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=source)
    assert "exit status" not in said, said
    return Built(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


def closure(*names: str) -> set[str]:
    """Distributions, and what they require without extras."""
    found, open_ = set[str](), list(names)
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            wanted = [Requirement(line) for line in distribution(name).requires or ()]
            open_ += [
                one.name for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})
            ]
    return found


class Installed(NamedTuple):
    """An environment of its own, and an empty directory to stand in."""

    bin: Path
    packages: Path
    home: Path

    def add(self, *names: str) -> None:
        """Copy distributions of this environment into it, as installing them would."""
        for name in names:
            for file in distribution(name).files or ():
                source = Path(str(file.locate()))
                if ".." not in file.parts and source.is_file():
                    target = self.packages / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)

    def run(self, command: str, *words: str) -> str:
        return run(self.bin / command, *words, cwd=self.home)


def install(wheel: Path, folder: Path) -> Installed:
    """Make an environment that has the wheel, and nothing that it depends on."""
    environment, home = folder / "env", folder / "home"
    home.mkdir()
    said = run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=home)
    said += run(sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install",
                "-q", "--no-deps", "--no-index", "--disable-pip-version-check", wheel, cwd=home)  # fmt: skip
    assert "exit status" not in said, said
    packages = next(environment.glob("lib/python*/site-packages"))
    return Installed(environment / "bin", packages, home)
