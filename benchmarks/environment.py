"""Where the figures come from; without it none of them means anything."""

from __future__ import annotations

import os
import platform
import re
import sys
import sysconfig
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "convostate", "cryptography", "cbor2", "werkzeug", "flask", "twilio", "redis", "hiredis", "flask_session",
    "fastapi", "starsessions", "gunicorn",
)  # fmt: skip


def environment() -> dict[str, str]:
    """The date, the machine, the Python build and the versions."""
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "python": f"{platform.python_implementation()} {platform.python_version()} ({_build()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{os.cpu_count()} × {_processor()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES if find_spec(name)),
    }


def _build() -> str:
    """How this Python was compiled, as far as it says: it moves its speed by a third."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    found = [name for name in ("--enable-optimizations", "--with-lto") if name in options]
    place = "a distribution's" if sys.base_prefix == "/usr" else "compiled"
    built = " ".join(found) or "no optimizations configured"
    return f"{place}, {platform.python_compiler()}, {built}"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor()
