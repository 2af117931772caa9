"""Versions of the packages, and a description of the machine."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from joblib import cpu_count

PACKAGES = ("skmm", "scikit-learn", "numpy", "scipy", "pandas", "torch", "skorch")
EXTRAS = ("matplotlib", "pillow", "dask", "zarr", "h5py", "accelerate", "skops", "pip")


def show_versions() -> None:
    """Print the system, the hardware and the versions of packages, for a bug report.

    ``python -m skmm`` prints the same.

    Examples
    --------
    >>> from skmm import show_versions
    >>> show_versions()  # doctest: +ELLIPSIS
    system       ...
    hardware     ...
    executable   ...
    skmm         ...
    """
    import torch

    lines = {**machine(), "executable": sys.executable}
    lines |= {name: found for name in (*PACKAGES, *EXTRAS) if (found := _version(name))}
    lines["threads"] = f"{torch.get_num_threads()} of torch, CUDA {torch.version.cuda or 'none'}"
    for label, text in lines.items():
        print(f"{label:<12} {text}")


@cache
def machine() -> dict[str, str]:
    """Return the system and the hardware."""
    return {
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "hardware": f"{_processor()}, {cpu_count()} usable of {os.cpu_count()} processors{_card()}",
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


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
