"""Processor time of a running process, from Linux's /proc."""

from __future__ import annotations

import os
from pathlib import Path

_USER, _SYSTEM = (
    11,
    12,
)  # fields behind the name, https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html


def is_known() -> bool:
    """Whether this system tells."""
    return Path("/proc/self/task").is_dir()


def children(pid: int) -> list[int]:
    """The processes that a process has started, such as gunicorn's workers."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def seconds(*pids: int) -> float:
    """What processes have used so far, in steps of 10 ms as a rule."""
    ticks = 0
    for pid in pids:
        behind_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(behind_name[_USER]) + int(behind_name[_SYSTEM])
    return ticks / os.sysconf("SC_CLK_TCK")
