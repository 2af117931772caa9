"""Is a deep estimator ever worse than the linear model of its task? Default settings, small data.

Every estimator is fitted to 30, 60, 120, 300, 1000 and all training rows of named data sets,
complete and with 30 % of the modalities missing in training and test alike, on ten random splits,
and compared with the best linear rival of each cell: logistic regression or ridge regression on
EM-completed columns with indicators of what was missing, and the mean of single modalities'
logistic regressions; ridge with Gaussian residuals and nearest neighbours (samplers); ridge per
pattern of missing modalities, the normal distribution by EM and factor analysis (prediction of
modalities; factor analysis for likelihoods); CCA with shrinkage chosen in folds. RBF ridge on
completed columns stands in a column of its own.

A cell passes if the mean difference is within the margin (log-loss .01 or 3 % of the linear one,
accuracy .01, R² and energy skill .01, nats .01 per column, total correlation 1 %) and the lower end
of its corrected interval within three margins; the estimator is certainly better if the interval
lies above 0.

Every result is appended to a file of the cache: a run that was stopped goes on where it was, and
after a change of an estimator ``--fresh`` repeats its fits, not those of the rivals.
"""

from __future__ import annotations

import argparse
import ast
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from never_worse_data import Case, Split, load, n_tested, names_of, shares, sizes, split_of
from never_worse_rivals import (
    BESIDE,
    RIVALS,
    Figures,
    Method,
    n_components,
    nats,
    of_classes,
    of_fills,
    of_numbers,
)
from never_worse_verdicts import Verdict, judge, markdown, summary, table

from skmm import (
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)

Array = np.ndarray
Key = tuple[str, int, float, int, str]  # data, training rows, share of gaps, split, method
CACHE = Path.home() / ".cache" / "skmm-never-worse"


# --- ours ---


def classified(make: Callable[..., Any], split: Split) -> Figures:
    model = make().fit(split.train.X, split.train.y)
    return of_classes(model.predict_proba(split.test.X), model.classes_, split)


def regressed(make: Callable[..., Any], split: Split) -> Figures:
    model = make().fit(split.train.X, split.train.y)
    return of_numbers(model.predict(split.test.X), split)


def sampled(make: Callable[..., Any], split: Split) -> Figures:
    model = make(target=split.train.target).fit(split.train.X)
    return {"energy skill": float(model.score(split.test.X))}


def translated(make: Callable[..., Any], split: Split) -> Figures:
    """Translate complete rows; impute where modalities are missing."""
    model = make().fit(split.train.X)

    def predict(rows: Modalities, to: str) -> Array:
        if split.gappy:
            return model.impute(rows)[to]
        return model.translate(rows.select([name for name in rows.names if name != to]), to)

    figures = of_fills(predict, split)
    return figures | (nats(model, split) if hasattr(model, "score_samples") else {})


def aligned(make: Callable[..., Any], split: Split) -> Figures:
    model = make(n_components(split)).fit(split.train.X)
    return {"total correlation": float(model.score(split.truth))}


@dataclass(frozen=True)
class Estimator:
    """How an estimator is made and judged; `with_gaps` are parameters that gaps ask for."""

    task: str
    make: Callable[..., Any]
    measure: Callable[[Callable[..., Any], Split], Figures]
    with_gaps: Mapping[str, Any] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()  # figures of the task that it has not

    def method(self, params: Mapping[str, Any]) -> Method:
        """Return its figures as a function of a split."""

        def measured(split: Split) -> Figures:
            given = {**(self.with_gaps if split.gappy else {}), **params}
            return self.measure(partial(self.make, random_state=split.seed, **given), split)

        return measured


GCCA = {"objective": "gcca"}
ESTIMATORS = {
    "MultimodalClassifier": Estimator("classify", MultimodalClassifier, classified),
    "MultimodalRegressor": Estimator("regress", MultimodalRegressor, regressed),
    "ConditionalGAN": Estimator("transfer", ConditionalGAN, sampled),
    "MultimodalAutoencoder": Estimator(
        "translate", MultimodalAutoencoder, translated, lacks=("nats",)
    ),
    "MultimodalVAE": Estimator("translate", MultimodalVAE, translated),
    "DeepCCA": Estimator("align", DeepCCA, aligned, GCCA),
    "DCCAE": Estimator("align", partial(DeepCCA, reconstruction_weight=1.0), aligned, GCCA),
}


# --- results that are kept ---


class Results:
    """Figures and processor seconds by cell, split and method, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path, self._known = path, {}
        for found in _whole_lines(path):
            self._known[_key(found)] = found

    def __getitem__(self, key: Key) -> dict[str, Any] | None:
        return self._known.get(key)

    def add(self, key: Key, method: Method, split: Split) -> dict[str, Any]:
        """Run a method and keep what comes out, an error as well."""
        start = time.process_time()
        found: dict[str, Any] = dict(zip(FIELDS, key, strict=True))
        try:
            found["figures"] = method(split)
        except Exception as error:  # one failure must not end a run of hours
            found |= {"figures": {}, "error": f"{type(error).__name__}: {error}"}
        found["seconds"] = round(time.process_time() - start, 3)
        self._known[key] = found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * _is_torn(self.path) + json.dumps(found, ensure_ascii=False) + "\n")
        return found

    def forget(self, keys: list[Key]) -> None:
        """Leave results out, in the file as well."""
        self._known = {key: found for key, found in self._known.items() if key not in set(keys)}
        if self.path.exists():
            lines = [json.dumps(found, ensure_ascii=False) for found in self._known.values()]
            self.path.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def frame(self, keys: list[Key]) -> pd.DataFrame:
        """Return what is known: a row per split, a column per figure, and the seconds."""
        known = {key[3]: found for key in keys if (found := self[key]) is not None}
        rows = [found["figures"] | {"seconds": found["seconds"]} for found in known.values()]
        return pd.DataFrame(rows, index=list(known))


FIELDS = ("data", "n", "gaps", "split", "method")


def _key(found: Mapping[str, Any]) -> Key:
    data, n, gaps, split, method = (found[name] for name in FIELDS)
    return data, n, gaps, split, method


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the results of a file; a run that was killed may leave part of a line."""
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _is_torn(path: Path) -> bool:
    """Return whether the last line of a file has no end."""
    return path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")


# --- cells ---


@dataclass(frozen=True)
class Cell:
    """Data, a number of training rows and a share of gaps."""

    task: str
    data: str
    n: int
    gaps: float

    def keys(self, method: str, n_splits: int) -> list[Key]:
        return [(self.data, self.n, self.gaps, split, method) for split in range(n_splits)]

    @property
    def case(self) -> Case:
        return load(self.task, self.data)

    @property
    def test_to_rest(self) -> float:
        tested = n_tested(self.case)
        return tested / (len(self.case.X) - tested)


def cells(task: str, options: argparse.Namespace) -> list[Cell]:
    """Return the cells that are asked for, the smallest first."""
    found = []
    for name in names_of(task, aside=options.kept_aside, wanted=options.data):
        case = load(task, name)
        for n in sizes(case):
            wanted = not options.sizes or n in options.sizes
            if not wanted and not ("all" in options.sizes and n == sizes(case)[-1]):
                continue
            found += [
                Cell(task, name, n, gaps)
                for gaps in shares(case)
                if not options.gaps or gaps in options.gaps
            ]
    return sorted(found, key=lambda cell: cell.n)


def run(cell: Cell, methods: Mapping[str, Method], results: Results, n_splits: int) -> None:
    """Fill what the cell lacks."""
    for name, method in methods.items():
        for key in cell.keys(name, n_splits):
            if results[key] is None:
                split = split_of(cell.case, cell.n, cell.gaps, key[3])
                found = results.add(key, method, split)
                told = {name: round(value, 3) for name, value in found["figures"].items()}
                print(*key, told, found.get("error", ""), f"{found['seconds']:.1f} s", flush=True)


def verdicts(
    cell: Cell, label: str, lacks: Sequence[str], ours: Results, rivals: Results, n_splits: int
) -> Iterator[tuple[dict[str, Any], Verdict]]:
    """Yield a row of the table for each figure of a cell, on the splits that all have finished."""
    known = {name: rivals.frame(cell.keys(name, n_splits)) for name in RIVALS[cell.task]}
    mine, beside = ours.frame(cell.keys(label, n_splits)), known.pop(BESIDE, None)
    for figure in dict.fromkeys(str(column) for frame in known.values() for column in frame):
        if figure == "seconds" or figure in lacks:
            continue
        linear = pd.DataFrame({n: frame[figure] for n, frame in known.items() if figure in frame})
        linear = linear.dropna().loc[lambda found: found.index.isin(mine.index)]
        if linear.empty:
            continue
        own = mine.reindex(index=linear.index, columns=[figure, "seconds"])
        verdict = judge(
            own[figure].to_numpy(),
            {str(n): linear[n].to_numpy() for n in linear},
            figure,
            cell.test_to_rest,
        )
        about = {"data": cell.data, "n": cell.n, "gaps": cell.gaps, "figure": figure}
        about |= {"splits": len(linear), "seconds": own["seconds"].mean()}
        about["linear seconds"] = known[verdict.rival]["seconds"].mean()
        if beside is not None and figure in beside:
            about[BESIDE] = beside[figure].reindex(linear.index).mean()
        yield about, verdict


def warn_of_failures(cell: Cell, rivals: Results, n_splits: int) -> None:
    """Say which rivals failed: their splits are compared with nobody."""
    for name in RIVALS[cell.task]:
        known = [rivals[key] for key in cell.keys(name, n_splits)]
        if failed := [found for found in known if found and "error" in found]:
            print(f"{cell}: {name} failed in {len(failed)} splits: {failed[0]['error']}")


COLUMNS = ["data", "n", "gaps", "figure", "rival", "linear", "ours", "gain", "low", "high"]
COLUMNS += ["margin", "verdict", BESIDE, "splits", "seconds", "linear seconds"]


def report(name: str, frame: pd.DataFrame, out: Path | None) -> None:
    """Print the table and its summary, and write both."""
    text = f"# {name}\n\n{markdown(frame)}\n\n{summary(name, frame)}\n"
    print(text, flush=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.md").write_text(text, "utf-8")
        frame.to_csv(out / f"{name}.csv", index=False)


def parameters(given: list[str]) -> dict[str, Any]:
    """Return parameters from ``name=value``; what is no Python value is text."""
    found = {}
    for name, text in (part.split("=", 1) for part in given):
        try:
            found[name] = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            found[name] = text
    return found


def size(text: str) -> int | str:
    return text if text == "all" else int(text)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))
    parser.add_argument("--data", nargs="+", help="names of sets, see never_worse_data.py")
    parser.add_argument("--sizes", nargs="+", type=size, help="training rows, or all")
    parser.add_argument("--gaps", nargs="+", type=float, help="0, 0.3")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--params", nargs="+", default=[], help="of the estimators: fusion=late")
    parser.add_argument("--kept-aside", action="store_true", help="the sets kept aside, alone")
    parser.add_argument("--fresh", action="store_true", help="forget the estimators' results")
    parser.add_argument("--rivals-only", action="store_true", help="fill the cache of rivals")
    parser.add_argument("--report-only", action="store_true", help="from the cache alone")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of results")
    parser.add_argument("--out", type=Path, help="folder of the tables")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    warnings.simplefilter("ignore")
    for name in options.estimators:
        estimator, label = ESTIMATORS[name], name
        if options.params:
            label = f"{name}({', '.join(options.params)})"
        rivals = Results(options.cache / f"rivals-{estimator.task}.jsonl")
        ours = Results(options.cache / f"{label}.jsonl")
        todo = cells(estimator.task, options)
        if options.fresh:
            ours.forget([key for cell in todo for key in cell.keys(label, options.splits)])
        for cell in () if options.report_only else todo:
            run(cell, RIVALS[cell.task], rivals, options.splits)
            if not options.rivals_only:
                method = estimator.method(parameters(options.params))
                run(cell, {label: method}, ours, options.splits)
        for cell in todo:
            warn_of_failures(cell, rivals, options.splits)
        rows = [
            row
            for cell in todo
            for row in verdicts(cell, label, estimator.lacks, ours, rivals, options.splits)
        ]
        if rows:
            frame = table(rows)
            report(label, frame[[c for c in COLUMNS if c in frame]], options.out)


if __name__ == "__main__":
    main()
