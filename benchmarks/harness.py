"""The benchmark harness itself: what it costs, and what survives when it is killed.

python benchmarks/harness.py kill            # killed at 20 random moments, then resumed
python benchmarks/harness.py overhead        # beside cross_validate with the same folds
python benchmarks/harness.py cells           # 10 000 cells: start, frame, report
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities
from skmm.baselines import MarginalSampler
from skmm.benchmark import Benchmark, Method, Results, Task
from skmm.benchmark._cells import failed
from skmm.benchmark._store import Store
from skmm.compose import ConcatModalities
from skmm.datasets import load_digits_halves

LOG = "fits.log"
RUN = "from harness import killable as k; k({0!r}).run({0!r}, n_jobs=2)"


class Logged(CCA):
    """CCA that takes its time and writes down every fit that has ended."""

    def __init__(self, n_components: int | None = None, *, log: str = "") -> None:
        super().__init__(n_components)
        self.log = log

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X)
        time.sleep(0.2)
        with open(self.log, "a", encoding="utf-8") as file:
            file.write("fit\n")
        return self


def killable(folder: str) -> Benchmark:
    """Return a benchmark of 240 cells of a fifth of a second."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((100, 4))
    X = Modalities({"a": a, "b": a + rng.standard_normal((100, 4))})
    log = str(Path(folder) / LOG)
    methods = {f"CCA {k}": Logged(k, log=log) for k in (1, 2, 3)}
    tasks = [Task(f"task {i}", X[: 90 + i]) for i in range(8)]
    return Benchmark(methods, tasks, cv=ShuffleSplit(10, random_state=0), control=False)


def kill(n_kills: int) -> None:
    """Kill a parallel run with its workers at random moments, resume, compare."""
    from harness import killable  # under the name by which the killed processes know it

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        rng = np.random.default_rng(0)
        kept: dict[Path, int] = {}
        for i in range(n_kills):
            _start_and_kill(folder, rng.uniform(0, 1.0))
            found = {p: p.stat().st_mtime_ns for p in Path(folder).glob("cells/*/*.json")}
            rewritten = [p for p, mtime in kept.items() if found.get(p) != mtime]
            print(f"kill {i + 1}: {len(found)} cells, {len(rewritten)} of the old ones rewritten")
            kept = found
        unreadable = [p for p in kept if Store(folder).read(p.stem) is None]
        n_fits = _n_fits(folder)
        frame = killable(folder).run(folder, n_jobs=2)
        again = [p for p, mtime in kept.items() if p.stat().st_mtime_ns != mtime]
        whole = killable(other).run(n_jobs=2)
        columns = ["task", "method", "split", "metric", "value", "status"]
        quality = [f[~f["metric"].str.endswith("seconds")][columns] for f in (frame, whole)]
        same = quality[0].reset_index(drop=True).equals(quality[1].reset_index(drop=True))
        n_cells = len(list(Path(folder).glob("cells/*/*.json")))
        print(f"cells {n_cells} of 240; unreadable {len(unreadable)}; run twice {len(again)}")
        print(f"fits after the last kill {_n_fits(folder) - n_fits}, missing {240 - len(kept)}")
        print(f"fits in flight when killed {_n_fits(folder) - 240}")
        print(f"same table as the uninterrupted run: {same}")


def _start_and_kill(folder: str, seconds: float) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", RUN.format(folder)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    before = _n_fits(folder)
    while _n_fits(folder) == before and process.poll() is None:
        time.sleep(0.005)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _n_fits(folder: str) -> int:
    log = Path(folder) / LOG
    return len(log.read_text().splitlines()) if log.exists() else 0


def overhead(repeats: int) -> None:
    """Time a benchmark beside cross_validate: same folds, metrics, one process."""
    X, y = load_digits_halves(return_X_y=True)
    classifier = LogisticRegression(C=1e4, tol=1e-8, max_iter=2000)
    estimator = make_pipeline(ConcatModalities(), StandardScaler(), classifier)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scoring = ["accuracy", "balanced_accuracy", "neg_log_loss"]
    task = Task("digits", X, y, kind="classify")

    def by_hand() -> None:
        cross_validate(estimator, X, y, cv=folds, scoring=scoring)

    def by_harness(folder: str | None = None) -> None:
        Benchmark({"lr": estimator}, task, cv=folds, control=False).run(
            folder, on_existing="always"
        )

    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "cross_validate": by_hand,
            "Benchmark": by_harness,
            "Benchmark, cells kept": lambda: by_harness(folder),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(repeats + 1):
            for name in list(sides) if repeat % 2 else list(sides)[::-1]:
                start = time.process_time()
                sides[name]()
                if repeat:
                    seconds[name].append(time.process_time() - start)
    for name, found in seconds.items():
        ratios = [a / b for a, b in zip(found, seconds["cross_validate"], strict=True)]
        each = (median(found) - median(seconds["cross_validate"])) / folds.get_n_splits()
        print(f"{name}: {median(ratios):.3f} of cross_validate, {1000 * each:+.1f} ms per cell")


def cells(n_tasks: int, n_methods: int, n_splits: int) -> None:
    """Time the start and the report of a folder with many cells."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 3))
    methods = {f"method {i}": Method(MarginalSampler(random_state=i)) for i in range(n_methods)}
    tasks = [
        Task(f"task {i}", {"a": rows + i, "b": rows @ rng.standard_normal((3, 2))}, target="b")
        for i in range(n_tasks)
    ]
    benchmark = Benchmark(methods, tasks, cv=ShuffleSplit(n_splits, random_state=0), control=False)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        layout = benchmark._cells(stored=True)
        store.write_index(benchmark._index(layout, None))
        for cell in layout:
            values = {"energy_skill": rng.random(), "r2": rng.random(), "fit_seconds": 0.1}
            store.write({**failed(cell, "ok", ""), "values": values})
        print(f"{len(layout)} cells")
        start = time.perf_counter()
        frame = benchmark.run(folder)
        print(f"only-missing with nothing missing, frame of {len(frame)} rows: {_since(start)}")
        start = time.perf_counter()
        results = Results.from_folder(folder)
        print(f"read the folder: {_since(start)}")
        start = time.perf_counter()
        html, markdown = results.to_html(), results.to_markdown()
        size = len(html) / 1e6
        print(f"report, {size:.1f} MB of HTML, {len(markdown)} characters: {_since(start)}")


def _since(start: float) -> str:
    return f"{time.perf_counter() - start:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("kill").add_argument("--times", type=int, default=20)
    commands.add_parser("overhead").add_argument("--repeats", type=int, default=7)
    many = commands.add_parser("cells")
    for name, default in (("tasks", 20), ("methods", 10), ("splits", 50)):
        many.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.command == "kill":
        kill(args.times)
    elif args.command == "overhead":
        overhead(args.repeats)
    else:
        cells(args.tasks, args.methods, args.splits)


if __name__ == "__main__":
    main()
