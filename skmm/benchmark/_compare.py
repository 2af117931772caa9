"""Two recorded runs side by side: which metrics are better or worse in the new one."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skmm.benchmark._report import pipe_table
from skmm.benchmark._results import Results
from skmm.benchmark._statistics import FAILED, Margins, summarize
from skmm.benchmark._store import INDEX

BETTER, WORSE, REPAIRED, UNCLEAR, SAME = "better", "worse", "repaired", "unclear", "same"
CHANGED = (WORSE, FAILED[0], REPAIRED, BETTER)
COLUMNS = ["task", "method", "metric", "old", "new", "difference", "low", "high", "p_value"]
COLUMNS += ["p_holm", "n_splits", "outcome"]
_OUTCOMES = {"win": BETTER, "loss": WORSE, "tie": "within the margin"}
_KEYS = ["task", "method", "metric"]
_SPLIT = [*_KEYS, "train_size", "split", "seed"]


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`compare`.

    Parameters
    ----------
    table : DataFrame
        One row per task, method and metric that both runs have.
    notes : list of str
        Tasks and methods that only one of the runs has.
    """

    table: pd.DataFrame
    notes: list[str]

    @property
    def worse(self) -> pd.DataFrame:
        """The rows in which the new run is worse, or failed where the old one did not."""
        return self.table[self.table["outcome"].isin((WORSE, FAILED[0]))]

    def to_markdown(self) -> str:
        """Return the changes as a table, and how much did not change."""
        changed = self.table[self.table["outcome"].isin(CHANGED)]
        counts = self.table["outcome"].value_counts()
        lines = ["# Comparison", "", ", ".join(f"{n} {name}" for name, n in counts.items()) + "."]
        if len(changed):
            order = changed["outcome"].map(CHANGED.index).sort_values(kind="stable").index
            lines += ["", _table(changed.loc[order])]
        open_ = self.table[self.table["outcome"] == UNCLEAR]
        if len(open_):
            lines += ["", "Changed, but not surely:", "", _table(open_)]
        return "\n".join([*lines, *(f"\nNote: {note}" for note in self.notes)])


def compare(old: Results, new: Results, *, costs: bool = False) -> Comparison:
    """Compare two runs on the splits and seeds that they have in common.

    The old run of each method is the baseline of the new one: intervals, p-values and outcomes are
    those of the report. Metrics that are equal to the last digit are no hypotheses. Controls are
    left out, and so are costs unless they are asked for.

    Raises
    ------
    ValueError
        If data or splits differ, or nothing is common.
    """
    _check_data(old, new)
    _check_splits(old, new)
    left_out = [] if costs else [n for n, m in new.metrics_.items() if m.theme == "cost"]
    parts = [
        frame[frame["role"].ne("control") & ~frame["metric"].isin(left_out)]
        for frame in (old.results_, new.results_)
    ]
    both = parts[0].merge(parts[1], on=_SPLIT, suffixes=("_old", "_new"))
    if both.empty:
        raise ValueError(
            f"The runs have nothing in common: tasks {list(old.tasks_)} and {list(new.tasks_)}, "
            f"methods {list(old.methods_)} and {list(new.methods_)}."
        )
    _check_sizes(both)
    changes = [_changes(rows, new) for _, rows in both.groupby("method", sort=False)]
    return Comparison(pd.concat(changes, ignore_index=True), _notes(*parts))


def read_results(path: Path) -> Results:
    """Return the results of a folder of cells, of a folder with results.csv, or of a CSV file."""
    if path.is_dir() and (path / INDEX).exists():
        return Results.from_folder(path)
    file = path / "results.csv" if path.is_dir() else path
    if not file.is_file():
        state = "a folder without results" if path.is_dir() else "not there"
        raise FileNotFoundError(
            f"{path} is {state}: give a folder that `run` or `merge` wrote to, or a results.csv."
        )
    frame = pd.read_csv(file)
    texts = {"task", "kind", "method", "role", "metric", "family", "status", "key", "error"}
    # A method may be called "None" or "1".
    raw = pd.read_csv(file, dtype=str, keep_default_na=False, usecols=lambda c: c in texts)
    return Results.from_frame(frame.assign(**{str(name): raw[name] for name in raw}))


def _check_data(old: Results, new: Results) -> None:
    for name in [name for name in new.tasks_ if name in old.tasks_]:
        data = {old.tasks_[name].data, new.tasks_[name].data} - {""}
        if len(data) > 1:
            raise ValueError(
                f"Task {name!r} has different data in the two runs, so that its values cannot be "
                "compared: run the old version again on the new data, or leave the task out with "
                "--tasks when you run."
            )


def _check_splits(old: Results, new: Results) -> None:
    """Refuse runs whose recorded splits differ; splits that are not recorded are trusted."""
    for label, word in (("outer splits", "splits"), ("seed", "seeds")):
        a, b = (_essence(label, results.provenance_.get(label)) for results in (old, new))
        if a is not None and b is not None and a != b:
            raise ValueError(
                f"The runs have different {word} ({a} and {b}), so that they cannot be paired: "
                "run one of them again with the options of the other."
            )


def _essence(label: str, text: str | None) -> str | None:
    """Return the splits without their number: more of them begin with the same ones."""
    if text is None:
        return None
    return text.split(";")[0] if label == "seed" else re.sub(r"n_splits=\d+,? ?", "", text)


def _check_sizes(both: pd.DataFrame) -> None:
    for name in ("n_train", "n_test"):
        apart = both[f"{name}_old"].ne(both[f"{name}_new"]) & both[
            [f"{name}_old", f"{name}_new"]
        ].notna().all(axis=1)
        if apart.any():
            first = both[apart].iloc[0]
            raise ValueError(
                f"Task {first['task']!r} has {first[f'{name}_old']:g} and "
                f"{first[f'{name}_new']:g} rows ({name}) in the two runs: data or splits differ."
            )


def _changes(both: pd.DataFrame, new: Results) -> pd.DataFrame:
    """Compare the two runs of one method: a row per task and metric that has a value in a run."""
    equal = both["value_old"].eq(both["value_new"]) | both["status_old"].ne("ok")
    same = equal.groupby([both["task"], both["metric"]]).transform("all")
    frames = [_run(both, run).assign(same=same) for run in ("old", "new")]
    frame = pd.concat(frames, ignore_index=True)
    # Metrics of cost have no baseline in reports, and no role keeps a method from being compared.
    metrics = {name: replace(metric, theme="own") for name, metric in new.metrics_.items()}
    margins = Margins(new.margin or {})
    summaries = [
        summarize(rows, metrics, "old", margins).assign(same=bool(equal))
        for equal, rows in frame.groupby("same")
    ]
    summary = pd.concat(summaries).set_index(["task", "metric", "method"])
    before, after = (summary.xs(run, level="method") for run in ("old", "new"))
    table = after.assign(
        method=both["method"].iloc[0],
        old=before["mean"],
        new=after["mean"],
        outcome=[
            _outcome(*pair) for pair in zip(before.itertuples(), after.itertuples(), strict=True)
        ],
    )
    table.loc[table["outcome"].eq(SAME), ["p_value", "p_holm"]] = np.nan
    return table[table["outcome"] != ""].reset_index()[COLUMNS]


def _run(both: pd.DataFrame, run: str) -> pd.DataFrame:
    """Return the rows of one run as those of a method that is called like the run."""
    frame = both.rename(columns={name: str(name).removesuffix(f"_{run}") for name in both})
    return frame.assign(method=run, role="linear")


def _outcome(before: Any, after: Any) -> str:
    """Return the change between two rows of a summary; empty if they are not comparable."""
    failed = before.status in FAILED, after.status in FAILED
    if any(failed):
        return FAILED[0] if not failed[0] else "failed before" if failed[1] else REPAIRED
    if not np.isfinite(after.difference):
        return ""
    return SAME if after.same else _OUTCOMES.get(after.outcome, UNCLEAR)


def _notes(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Name the methods of tasks that only one of the runs has."""
    pairs = [set(zip(part["task"], part["method"], strict=True)) for part in (old, new)]
    found = []
    for when, only in (("old", pairs[0] - pairs[1]), ("new", pairs[1] - pairs[0])):
        if only:
            listed = ", ".join(f"{task}: {method}" for task, method in sorted(only))
            found.append(f"only the {when} run has {listed}.")
    return found


def _table(rows: pd.DataFrame) -> str:
    header = ["task", "method", "metric", "old", "new", "new − old [95 %]", "p (Holm)", "outcome"]
    cells = [_cells(row) for row in rows.to_dict("records")]
    return pipe_table(header, [[cell.replace("|", "\\|") for cell in line] for line in cells])


def _cells(row: Mapping[Hashable, Any]) -> list[str]:
    gap, low, high = (_number(row[name]) for name in ("difference", "low", "high"))
    interval = f"{gap} [{low}, {high}]" if np.isfinite(row["difference"]) else "–"
    marked = f"**{row['outcome']}**" if row["outcome"] in CHANGED else row["outcome"]
    numbers = [_number(row["old"]), _number(row["new"]), interval, _number(row["p_holm"])]
    return [*(row[name] for name in _KEYS), *numbers, marked]


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−") if np.isfinite(value) else "–"
