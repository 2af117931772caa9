"""How long `import skmm` takes beside `import sklearn`, and whether it loads what it must not.

The processes take turns; each figure is the median of the cumulative times that
`python -X importtime` reports, in a process of its own.
"""

import argparse
import os
import subprocess
import sys
import time
from statistics import median

PACKAGES = ("sklearn", "skmm")
FORBIDDEN = ("torch", "skorch", "matplotlib", "jinja2")


def run(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, "-c", code], check=True, capture_output=True, text=True
    )


def cumulative_seconds(package: str) -> float:
    """Return what -X importtime reports for the package and all that it imports."""
    lines = run(f"import {package}", "-X", "importtime").stderr.splitlines()
    # "import time:  self [us] | cumulative | name"; sklearn is one line, whoever imports it.
    fields = [line.split("|") for line in lines if line.count("|") == 2]
    return next(int(f[1]) for f in reversed(fields) if f[2].strip() == package) / 1e6


def process_seconds(package: str) -> tuple[float, float]:
    """Return the seconds of a whole process that imports the package: by the clock, of the CPU."""
    start, before = time.perf_counter(), os.times()
    run(f"import {package}")
    after = os.times()
    used = after.children_user + after.children_system
    return time.perf_counter() - start, used - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    loaded = run(
        f"import sys, skmm; print([m for m in {FORBIDDEN} if m in sys.modules])"
    ).stdout.strip()
    print(f"of {', '.join(FORBIDDEN)} import skmm loads: {loaded}")
    times: dict[str, dict[str, list[float]]] = {
        label: {package: [] for package in PACKAGES}
        for label in ("-X importtime", "process, clock", "process, CPU")
    }
    for _ in range(options.rounds):
        for package in PACKAGES:
            seconds = (cumulative_seconds(package), *process_seconds(package))
            for found, value in zip(times.values(), seconds, strict=True):
                found[package].append(value)
    for label, found in times.items():
        base, ours = (median(found[package]) for package in PACKAGES)
        lowest = min(found["skmm"]) - min(found["sklearn"])
        print(f"{label}: sklearn {base:.3f} s, skmm {ours:.3f} s, difference {ours - base:.3f} s"
              f" (of the minima {lowest:.3f} s)")  # fmt: skip


if __name__ == "__main__":
    main()
