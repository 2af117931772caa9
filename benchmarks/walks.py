"""The way of a fit through the files of skmm: how many are entered, and how often one comes back.

A profiler notes the file of every function of skmm that is called, in order. A move is a call in
another file than the call before; a return is a move to a file that has been entered already. Fits
are followed until the objective is computed first, or until the end.

python benchmarks/walks.py              # all walks, as a table
python benchmarks/walks.py DeepCCA      # one, and its moves
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import skmm
from skmm import CCA, DeepCCA, Modalities, MultimodalVAE
from skmm.nn import _alignment, _vae

ROOT = Path(skmm.__file__).parent
COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>"}
Call = tuple[str, str]


class Arrived(Exception):
    """The function that ends a walk has been called."""


def pair(n_samples: int) -> Modalities:
    """Return two modalities of 5 and 4 columns with something in common."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n_samples, 2))
    a, b = z @ rng.standard_normal((2, 5)), z @ rng.standard_normal((2, 4))
    noise = rng.standard_normal((n_samples, 9))
    return Modalities({"a": a + noise[:, :5], "b": b + noise[:, 5:]})


WALKS: dict[str, tuple[Any, type | None]] = {
    "CCA": (CCA(2), None),
    "DeepCCA": (DeepCCA(2, early_stopping=False), _alignment.AlignmentObjective),
    "MultimodalVAE": (MultimodalVAE(2, early_stopping=False), _vae.VAEObjective),
}


def walked(estimator: Any, X: Modalities, end: type | None = None) -> list[Call]:
    """Return the file and function of each call in `fit`, until an objective is computed."""
    calls: list[Call] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(ROOT)):
            return
        if code.co_name in COMPREHENSIONS:
            return
        calls.append((str(Path(code.co_filename).relative_to(ROOT)), code.co_qualname))
        if end is not None and code.co_qualname == f"{end.__name__}.forward":
            raise Arrived

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.setprofile(note)
        try:
            estimator.fit(X)
        except Arrived:
            pass
        finally:
            sys.setprofile(None)
    return calls


def summary(calls: list[Call]) -> dict[str, int]:
    """Return how many files, moves, returns and functions a walk has."""
    files = [file for file, _ in groupby(file for file, _ in calls)]
    n_files = len(set(files))
    moves = len(files) - 1
    return {
        "files": n_files,
        "moves": moves,
        "returns": moves - (n_files - 1),
        "functions": len(set(calls)),
    }


def calls_inside() -> dict[str, int]:
    """Return how often a default fit of DeepCCA to 300 rows fits a CCA and checks data."""
    counts = Counter(name for _, name in walked(DeepCCA(random_state=0), pair(300)))
    return {name: counts[name] for name in ("CCA.fit", "check_modalities")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("walk", nargs="?", choices=WALKS, help="this one only, with its moves")
    name = parser.parse_args().walk
    for walk in [name] if name else WALKS:
        estimator, end = WALKS[walk]
        calls = walked(estimator, pair(120), end)
        print(f"{walk:<14}", ", ".join(f"{n} {what}" for what, n in summary(calls).items()))
        if name:
            for file, group in groupby(calls, key=lambda call: call[0]):
                print(f"  {file:<40}", ", ".join(function for _, function in group))
    if not name:
        print("DeepCCA, 300 rows, defaults:", calls_inside())


if __name__ == "__main__":
    main()
