"""`python -m tests.fuzz TARGET [RUNS]`: look for bytes that break an invariant.

With atheris, which knows what each input has reached. After RUNS (-1: without end) follow its options,
such as `-max_total_time=600`, and the folder for what it finds. Where there is no atheris, bytes of the
corpus are changed at random.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"
SEED = 1
RUNS = 20_000
WATCHED = [
    "convostate.twilio",
    "convostate.sealing",
    "convostate.stores.cookie",
    "convostate.wsgi.request",
]


def guided(name: str, runs: int, options: list[str]) -> None:
    """Fuzz with atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        target = target_of(name)
    folders = [option for option in options if not option.startswith("-")]
    found = folders[0] if folders else mkdtemp()  # the corpus itself takes nothing in
    flags = [option for option in options if option.startswith("-")]
    flags = [f"-seed={SEED}", f"-runs={runs}", f"-artifact_prefix={found}/", *flags]
    atheris.Setup([sys.argv[0], *flags, found, str(CORPUS / name)], target)
    atheris.Fuzz()


def blind(name: str, runs: int) -> None:
    """Change bytes of the corpus at random."""
    target = target_of(name)
    random = Random(SEED)
    corpus = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    for _ in range(runs):
        data = bytearray(random.choice(corpus))
        for _ in range(random.randint(1, 4)):
            at = random.randint(0, len(data))
            piece = random.choice(corpus)
            start = random.randint(0, len(piece))
            data[at : at + random.randint(0, 3)] = piece[start : start + random.randint(0, 9)]
        target(bytes(data))


def target_of(name: str) -> Callable[[bytes], None]:
    """Load a target, and with it what it tries."""
    found: Callable[[bytes], None] = importlib.import_module("tests.fuzz.targets").TARGETS[name]
    return found


if __name__ == "__main__":
    wanted, *rest = sys.argv[1:]
    count = int(rest[0]) if rest else RUNS
    if find_spec("atheris"):
        guided(wanted, count, rest[1:])
    else:
        blind(wanted, count)
