"""Where the figures come from: without this block none of them says anything."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("convostate", "cryptography", "cbor2", "werkzeug", "flask", "twilio", "redis", "hiredis"),
    *("Flask-Session", "beaker", "itsdangerous", "django", "gunicorn", "gevent"),
)


def environment() -> dict[str, str]:
    """The date, the machine and the versions."""
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{os.cpu_count()} × {_processor()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


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
