"""Where figures come from: versions, hardware, date, splits, seeds."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

from joblib import cpu_count, effective_n_jobs

PACKAGES = ("skmm", "scikit-learn", "numpy", "scipy", "pandas", "torch", "skorch")


def provenance(
    *,
    command: str | None,
    splits: str,
    random_state: int,
    n_jobs: int | None,
    seconds: float,
) -> dict[str, str]:
    """Return label and text of everything that a reader needs to repeat a run."""
    made = {
        "command": command or "from Python",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "run time": f"{seconds:.0f} s",
        "hardware": f"{_processor()}, {cpu_count()} usable of {os.cpu_count()} processors",
        "parallel": f"{effective_n_jobs(n_jobs)} processes of one thread each",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "outer splits": splits,
        "seed": str(random_state),
    }
    return made


def _processor() -> str:
    """Return the name of the processor, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
