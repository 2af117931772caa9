"""Where figures come from: versions, hardware, date, splits, seeds."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version

from joblib import cpu_count, effective_n_jobs

PACKAGES = ("skmm", "scikit-learn", "numpy", "scipy", "pandas", "torch", "skorch")


def provenance(
    *,
    command: str | None,
    splits: str,
    random_state: int,
    n_seeds: int,
    n_jobs: int | None,
) -> dict[str, str]:
    """Return label and text of everything that a reader needs to repeat a run."""
    return {
        "command": command or "from Python",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "parallel": f"{effective_n_jobs(n_jobs)} processes of one thread each",
        **_machine(),
        "outer splits": splits,
        "seed": f"{random_state}; {n_seeds} per method and split",
    }


@cache
def _machine() -> dict[str, str]:
    return {
        "hardware": f"{_processor()}, {cpu_count()} usable of {os.cpu_count()} processors{_card()}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _card() -> str:
    """Return the graphics card, if there is one."""
    import torch

    return f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""


def _processor() -> str:
    """Return the name of the processor, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
