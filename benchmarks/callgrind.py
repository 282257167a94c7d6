"""Instructions and code, counted by valgrind's callgrind: figures that noise does not touch.

User space only. Under valgrind OpenSSL finds a processor without the newest instructions, so
encryption counts for more than it costs.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import Contender, Process

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_BYTES, _PAGE_BYTES = 64, 4096
# A client request of valgrind.h for x86-64, as a C function of a pointer to its six words.
_REQUEST = bytes.fromhex(
    "4889f8 31d2"  # mov rax, rdi; xor edx, edx
    "48c1c703 48c1c70d 48c1c73d 48c1c733 4887db"  # rol rdi, 3, 13, 61, 51; xchg rbx, rbx
    "4889d0 c3"  # mov rax, rdx; ret
)
_START, _STOP = 0x43540004, 0x43540005  # callgrind.h: base "CT", start and stop instrumentation


class Footprint(NamedTuple):
    """What one call takes.

    Attributes:
        instructions: That it runs.
        code_kb: Distinct code that it touches, in kB of cache lines.
        pages: That this code is on.
    """

    instructions: float
    code_kb: float
    pages: int


def lacks() -> str:
    """Why there is no callgrind here, or ""."""
    if platform.machine() != "x86_64":
        return "counted on x86-64 only"
    return "" if shutil.which("valgrind") else "not installed: apt-get install valgrind"


def footprint(contender: Contender, calls: int) -> Footprint:
    """Count what one call of a contender takes, over `calls` calls of a warm process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        options = ["--instr-atstart=no", "--dump-instr=yes", "--compress-pos=no"]
        words = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", *options]
        with Process(contender, *words) as process:
            process.ask("collect", calls)
        return read(out, calls)


def read(out: Path, calls: int) -> Footprint:
    """Read callgrind's file: lines of address, source line and count, below those that name a function."""
    total, addresses, inclusive = 0, set(), False
    for line in out.read_text().splitlines():
        if line.startswith("calls="):
            inclusive = True  # the next line counts what was called, which has lines of its own
        elif line.startswith("0x"):
            address, _, count = line.split()
            if not inclusive:
                total += int(count)
                addresses.add(int(address, 16))
            inclusive = False
    lines = {address // _LINE_BYTES for address in addresses}
    pages = {address // _PAGE_BYTES for address in addresses}
    return Footprint(total / calls, len(lines) * _LINE_BYTES / 1000, len(pages))


@contextmanager
def collecting() -> Iterator[None]:
    """Have callgrind, if it runs this process, collect within the block only."""
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    with mmap.mmap(-1, _PAGE_BYTES, prot=protection) as page:
        page.write(_REQUEST)
        code = ctypes.c_char.from_buffer(page)
        words = ctypes.c_uint64 * 6
        request = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(words))(ctypes.addressof(code))
        request(words(_START))
        yield
        request(words(_STOP))
        del code  # so that the page can be closed
