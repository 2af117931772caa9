"""Two recorded runs side by side: what is better now, what is worse."""

from __future__ import annotations

import re
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skmm.benchmark._metrics import Metric
from skmm.benchmark._results import Results
from skmm.benchmark._statistics import FAILED, LEVEL, Margins, holm
from skmm.benchmark._store import INDEX
from skmm.metrics._paired import CorrectedMean

BETTER, WORSE, REPAIRED, UNCLEAR = "better", "worse", "repaired", "unclear"
CHANGED = (WORSE, FAILED[0], REPAIRED, BETTER)
COLUMNS = ["task", "method", "metric", "old", "new", "difference", "low", "high", "p_value"]
COLUMNS += ["p_holm", "n_splits", "outcome"]
_KEYS = ["task", "method", "metric"]
_SPLIT = [*_KEYS, "train_size", "split", "seed"]


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Parameters
    ----------
    table : DataFrame
        One row per task, method and metric that both runs have.
    notes : list of str
        What cannot be compared, and why.
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
            lines += ["", *_table(changed.loc[order])]
        open_ = self.table[self.table["outcome"] == UNCLEAR]
        if len(open_):
            lines += ["", "Changed, but not surely:", "", *_table(open_)]
        return "\n".join([*lines, *(f"\nNote: {note}" for note in self.notes)])


def compare(old: Results, new: Results, *, costs: bool = False) -> Comparison:
    """Compare two runs on the splits and seeds that they have in common.

    The interval of the paired difference is the corrected one; p-values are corrected by Holm's
    rule over the tasks and methods of a metric. Figures that are equal to the last digit are no
    hypotheses. Controls are left out, and so are costs unless they are asked for.

    Raises
    ------
    ValueError
        If data or splits differ, or nothing is common.
    """
    _check_data(old, new)
    _check_splits(old, new)
    left_out = () if costs else [n for n, m in new.metrics_.items() if m.theme == "cost"]
    parts = [_kept(results.results_, left_out) for results in (old, new)]
    both = parts[0].merge(parts[1], on=_SPLIT, suffixes=("_old", "_new"))
    if both.empty:
        raise ValueError(
            f"The runs have nothing in common: tasks {list(old.tasks_)} and {list(new.tasks_)}, "
            f"methods {list(old.methods_)} and {list(new.methods_)}."
        )
    _check_sizes(both)
    largest = both["train_size"] == both.groupby("task")["train_size"].transform("max")
    groups = both[largest].groupby(_KEYS, sort=False)
    rows = [_row(tuple(map(str, names)), group) for names, group in groups]
    table = pd.DataFrame([row for row in rows if row], columns=COLUMNS)
    return Comparison(_decided(table, new.metrics_, Margins(new.margin or {})), _notes(*parts))


def read_results(path: Path) -> Results:
    """Return the results of a folder of cells, of a folder with results.csv, or of a CSV file."""
    if path.is_dir() and (path / INDEX).exists():
        return Results.from_folder(path)
    file = path / "results.csv" if path.is_dir() else path
    if not file.is_file():
        what = "a folder without results" if path.is_dir() else "not there"
        raise FileNotFoundError(
            f"{path} is {what}: give a folder that `run` or `merge` wrote to, or a results.csv."
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
                f"Task {name!r} has different data in the two runs, so that its figures cannot be "
                "compared: run the old version again on the new data, or leave the task out with "
                "--tasks when you run."
            )


def _check_splits(old: Results, new: Results) -> None:
    """Refuse runs whose recorded splits are different ones; what is not recorded is trusted."""
    for label, told in (("outer splits", "splits"), ("seed", "seeds")):
        a, b = (_essence(label, results.provenance_.get(label)) for results in (old, new))
        if a is not None and b is not None and a != b:
            raise ValueError(
                f"The runs have different {told} ({a} and {b}), so that they cannot be paired: "
                "run one of them again with the options of the other."
            )


def _essence(label: str, text: str | None) -> str | None:
    """Return what makes splits the same: with more of them, the first are still the same."""
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


def _kept(frame: pd.DataFrame, left_out: Container[str]) -> pd.DataFrame:
    counted = np.array([name not in left_out for name in frame["metric"]])
    kept = frame["role"].ne("control") & counted
    return frame.loc[kept, [*_SPLIT, "value", "status", "family", "n_train", "n_test"]]


def _row(names: tuple[str, ...], group: pd.DataFrame) -> dict[str, object] | None:
    """Return the comparison of one method on one task by one metric; None if neither has it."""
    failed = {when: bool(group[f"status_{when}"].isin(FAILED).any()) for when in ("old", "new")}
    done = group[group["status_old"].eq("ok") & group["status_new"].eq("ok")]
    row: dict[str, object] = {**dict(zip(_KEYS, names, strict=True)), "n_splits": 0}
    if failed["new"] or failed["old"]:
        words = {(False, True): FAILED[0], (True, False): REPAIRED}
        return {**row, "outcome": words.get((failed["old"], failed["new"]), "failed before")}
    if done.empty or (done["family_old"] != done["family_new"]).any():
        return None
    means = done.groupby("split")[["value_old", "value_new"]].mean()
    difference = means["value_new"] - means["value_old"]
    test_to_train = done["n_test_new"].mean() / done["n_train_new"].mean()
    paired = CorrectedMean.of(difference, test_to_train)
    low, high = paired.interval()
    same = bool((done["value_old"] == done["value_new"]).all())
    row |= {"old": means["value_old"].mean(), "new": means["value_new"].mean()}
    row |= {"difference": paired.mean, "low": low, "high": high, "n_splits": len(means)}
    p = np.nan if same else paired.p_value()
    return {**row, "p_value": p, "outcome": "same" if same else ""}


def _decided(table: pd.DataFrame, metrics: Mapping[str, Metric], margins: Margins) -> pd.DataFrame:
    """Fill in the corrected p-values and what they say."""
    p_holm = pd.Series(np.nan, table.index)
    for _, group in table.groupby(["method", "metric"]):
        p_holm[group.index] = holm(group["p_value"])
    rows = table.assign(p_holm=p_holm).to_dict("records")
    outcomes = [_outcome(r, metrics[r["metric"]], margins.of(metrics[r["metric"]])) for r in rows]
    return table.assign(p_holm=p_holm, outcome=outcomes)


def _outcome(row: Mapping[Hashable, Any], metric: Metric, margin: float) -> str:
    """Return the outcome if it is known already, else what the interval and p-value say."""
    if row["outcome"]:
        return str(row["outcome"])
    gain = row["difference"] if metric.higher_is_better else -row["difference"]
    sure = row["p_holm"] < LEVEL
    if sure and abs(gain) > margin:
        return BETTER if gain > 0 else WORSE
    return "within the margin" if sure or abs(row["low"]) <= margin >= abs(row["high"]) else UNCLEAR


def _notes(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Say what only one of the runs has."""
    pairs = [set(zip(part["task"], part["method"], strict=True)) for part in (old, new)]
    found = []
    for when, only in (("old", pairs[0] - pairs[1]), ("new", pairs[1] - pairs[0])):
        if only:
            listed = ", ".join(f"{task}: {method}" for task, method in sorted(only))
            found.append(f"only the {when} run has {listed}.")
    return found


def _table(rows: pd.DataFrame) -> list[str]:
    lines = ["| task | method | metric | old | new | new − old [95 %] | p (Holm) | outcome |"]
    lines.append("|---|---|---|--:|--:|--:|--:|---|")
    for row in rows.to_dict("records"):
        cells = [
            row["task"],
            row["method"],
            row["metric"],
            _number(row["old"]),
            _number(row["new"]),
        ]
        interval = f"{_number(row['difference'])} [{_number(row['low'])}, {_number(row['high'])}]"
        cells += [interval if np.isfinite(row["difference"]) else "–", _number(row["p_holm"])]
        marked = f"**{row['outcome']}**" if row["outcome"] in CHANGED else row["outcome"]
        lines.append("| " + " | ".join(str(c).replace("|", "\\|") for c in [*cells, marked]) + " |")
    return lines


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−") if np.isfinite(value) else "–"
