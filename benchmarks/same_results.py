"""Whether a change keeps the results of every estimator, to the bit, for the same seed.

Fits every variant of the contract's cases, complete and with gaps, and asks all methods, with the
code of another commit and with this one. The cases are this one's. Fails where anything differs.

python benchmarks/same_results.py main
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np

ROOT = Path(__file__).parents[1]
Answers = dict[str, dict[str, Any]]  # of a fit, by what was asked


def found() -> Answers:
    """Return what every variant says about complete data and data with gaps."""
    from contract_cases import CASES, known_answers, with_holes

    answers: Answers = {}
    for case in CASES:
        for variant in case.variants:
            answers[str(variant)] = known_answers(variant.estimator)
            if variant.missing_in_fit and variant.missing_in_transform:
                answers[f"{variant}, gaps"] = known_answers(variant.estimator, with_holes)
    return answers


def run(folder: Path, tests: Path) -> Answers:
    """Return the answers of the skmm that lies in a folder, from a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "answers.joblib"
        paths = os.pathsep.join(map(str, (folder, tests)))
        environment = {**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, __file__, "--write", str(file)]
        subprocess.run(command, check=True, env=environment, cwd=directory)
        return joblib.load(file)


def differences(before: Answers, after: Answers) -> list[str]:
    """Return a line for each fit whose answers differ."""
    lines = [f"{fit}: only before" for fit in before.keys() - after.keys()]
    for fit, answers in after.items():
        old = before.get(fit, {})
        changed = {key: _change(old.get(key), value) for key, value in answers.items()}
        changed = {key: change for key, change in changed.items() if change > 0}
        if changed:
            worst = max(changed, key=changed.__getitem__)
            lines.append(
                f"{' '.join(fit.split())}: {len(changed)} of {len(answers)} answers, most "
                f"{worst!r} by {changed[worst]:.1e} of its largest value"
            )
    return lines


def _change(old: Any, new: Any) -> float:
    """Return the largest difference over the largest value; inf where it cannot be compared."""
    if old is None or np.shape(old) != np.shape(new):
        return np.inf
    if np.array_equal(old, new, equal_nan=np.asarray(new).dtype.kind == "f"):
        return 0.0
    if np.asarray(new).dtype.kind not in "fiub":
        return np.inf
    size = np.nanmax(np.abs(old), initial=np.finfo(float).tiny)
    return float(np.nanmax(np.abs(np.subtract(new, old, dtype=float))) / size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("commit", nargs="?", default="HEAD", help="to compare with")
    parser.add_argument("--write", help=argparse.SUPPRESS)  # what a process of its own does
    arguments = parser.parse_args()
    if arguments.write:
        warnings.simplefilter("ignore")
        joblib.dump(found(), arguments.write)
        return
    with tempfile.TemporaryDirectory() as directory:
        old = Path(directory) / "old"
        git = ["git", "-C", str(ROOT)]
        subprocess.run([*git, "worktree", "add", "-q", "-f", old, arguments.commit], check=True)
        try:
            before, after = run(old, ROOT / "tests"), run(ROOT, ROOT / "tests")
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", old], check=True)
    lines = differences(before, after)
    print("\n".join(lines))
    print(f"{len(after) - len(lines)} of {len(after)} fits are the same to the bit")
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
