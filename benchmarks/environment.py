"""Where the figures come from; without it none of them means anything."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "convostate", "cryptography", "cbor2", "werkzeug", "flask", "twilio", "redis", "hiredis", "Flask-Session",
    "django", "gunicorn",
)  # fmt: skip


def environment() -> dict[str, str]:
    """The date, the machine, the Python build and the versions."""
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "python": f"{platform.python_implementation()} {platform.python_version()} ({_build()})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{os.cpu_count()} × {_processor()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def _build() -> str:
    """How this Python was compiled, as far as it says: it moves its speed by a third."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    found = [name for name in ("--enable-optimizations", "--with-lto") if name in options]
    place = "a distribution's" if sys.base_prefix == "/usr" else "compiled"
    return (
        f"{place}, {platform.python_compiler()}, {' '.join(found) or 'no optimizations configured'}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
