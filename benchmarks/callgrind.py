"""Instructions and code, counted by valgrind's callgrind: figures that noise does not touch.

User space only. Under valgrind OpenSSL finds a processor without the newest instructions, so
encryption counts for more than it costs.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

from benchmarks.measure import ROOT, Contender, Work

WARM = 60  # calls; CPython specialises what runs often
_LINE_BYTES, _PAGE_BYTES = 64, 4096
# A client request of valgrind.h for x86-64, as a C function of a pointer to its six words.
_REQUEST = bytes.fromhex(
    "4889f8 31d2"  # mov rax, rdi; xor edx, edx
    "48c1c703 48c1c70d 48c1c73d 48c1c733 4887db"  # rol rdi, 3, 13, 61, 51; xchg rbx, rbx
    "4889d0 c3"  # mov rax, rdx; ret
)
# Of callgrind.h, whose base is "CT".
_DUMP, _TOGGLE, _START = 0x43540000, 0x43540002, 0x43540004


class Footprint(NamedTuple):
    """What one call takes: the instructions that it runs, and the distinct code that it touches, in cache lines."""

    instructions: float
    code_kb: float


def lacks() -> str:
    """Why there is no callgrind here, or ""."""
    if platform.machine() != "x86_64":
        return "counted on x86-64 only"
    return "" if shutil.which("valgrind") else "not installed: apt-get install valgrind"


def footprint(contender: Contender, calls: int) -> Footprint:
    """Count what one call of a contender takes, in a warm process.

    The instructions are the difference between three times as many calls and `calls`, without what
    starts and stops the counting.
    """
    few, many = collected(contender, (calls,), (3 * calls,))
    return many._replace(instructions=(many.instructions - few.instructions) / (2 * calls))


def parts(contender: Contender, calls: int, functions: Sequence[str]) -> list[float]:
    """The instructions of functions that a call calls once, with those of what they call.

    Each is named ``module.function`` or ``module.class.method``.
    """
    asked = [(calls, part) for part in ("__main__.nothing", *functions)]
    nothing, *each = collected(contender, *asked)
    return [(one.instructions - nothing.instructions) / calls for one in each]


def collected(contender: Contender, *asked: tuple[Any, ...]) -> list[Footprint]:
    """What callgrind counts in a warm process, for each request to `Collector.collect`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        options = ("instr-atstart=no", "collect-atstart=no", "dump-instr=yes", "compress-pos=no")
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
            + [f"--{option}" for option in options]
            + [sys.executable, "-m", "benchmarks.callgrind", json.dumps([contender, asked])],
            cwd=ROOT,
            check=True,
        )
        return [read(Path(f"{out}.{number}")) for number in range(1, len(asked) + 1)]


def read(out: Path) -> Footprint:
    """Read callgrind's file: lines of address, source line and count, below those that name a function."""
    total, lines, inclusive = 0, set(), False
    for line in out.read_text().splitlines():
        if line.startswith("calls="):
            inclusive = True  # the next line counts what was called, which has lines of its own
        elif line.startswith("0x"):
            address, _, count = line.split()
            if not inclusive:
                total += int(count)
                lines.add(int(address, 16) // _LINE_BYTES)
            inclusive = False
    return Footprint(total, len(lines) * _LINE_BYTES / 1000)


class Collector:
    """Has callgrind, which runs this process, count what runs between two calls of `toggle`.

    It counts some of these calls themselves.
    """

    def __init__(self) -> None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._page = mmap.mmap(-1, _PAGE_BYTES, prot=protection)
        self._page.write(_REQUEST)
        words = ctypes.c_uint64 * 6
        code = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        request = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(words))(code)
        self.toggle = partial(request, words(_TOGGLE))
        self.dump = partial(request, words(_DUMP))
        request(words(_START))

    def collect(self, work: Work, calls: int, inside: str = "__main__.call_all") -> None:
        """Make calls, count what runs inside a function meanwhile, and write that to a file."""
        owner, _, name = inside.rpartition(".")
        place = resolve_name(owner)
        function = getattr(place, name)
        setattr(place, name, self._around(function))
        call_all(work, work.inputs(calls))
        setattr(place, name, function)
        self.dump()

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        toggle = self.toggle

        def counted(*args: Any, **kwargs: Any) -> Any:
            toggle()
            try:
                return function(*args, **kwargs)
            finally:
                toggle()

        return counted


def call_all(work: Work, items: Iterable[Any]) -> None:
    """Make the calls."""
    for item in items:
        nothing()
        work.call(item)


def nothing() -> None:
    """What counting a function costs by itself."""


if __name__ == "__main__":
    given, asked = json.loads(sys.argv[1])
    made = Contender(*given).make()
    made.us(WARM)
    collector = Collector()
    for each in asked:
        collector.collect(made, *each)
