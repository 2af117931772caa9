"""Tasks of one's own: from a table and a description of its columns, or from a function."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype, is_numeric_dtype
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from skmm._modalities import Modalities
from skmm.benchmark._columns import OWN_KINDS, Block, TextScores, read_block, shown
from skmm.benchmark._gaps import STRATEGIES, GapFiller
from skmm.benchmark._reading import (
    EXAMPLE,
    Spec,
    did_you_mean,
    find_table,
    read_spec,
    read_table,
    told,
)
from skmm.benchmark._tasks import Task
from skmm.compose import PerModality

N_COMPONENTS = 10  # unless a modality has fewer columns
IMPUTE = {
    "median": "filled by the median of the training rows",
    "mean": "filled by the mean of the training rows",
    "drop": "left out with their rows",
    "none": "left as they are",
}
_FEWEST = 10  # rows
_IMPORTABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def load_own(
    data: str, modalities: Path | None = None, impute: str | None = None
) -> tuple[list[Task], list[str]]:
    """Return the tasks of a table and the description of its columns, or those of a function.

    The second list has notes on the data for the reader of the report.
    """
    if is_importable(data):
        if modalities is not None:
            raise ValueError(f"--modalities describes the columns of a file; {data} is a function.")
        if impute is not None:
            raise ValueError(
                f"--impute is for the gaps of a file; {data} is a function, whose tasks can have "
                "prepare=GapFiller()."
            )
        tasks = _from_function(data)
        return tasks, [note for task in tasks for note in partly_missing(task)]
    if impute not in (None, *IMPUTE):
        raise ValueError(f"--impute {impute} is unknown; valid are {list(IMPUTE)}.")
    path = find_table(Path(data))
    if modalities is None:
        raise ValueError(
            f"Say what the columns of {data} are: --modalities FILE, TOML such as {EXAMPLE}"
        )
    spec = read_spec(modalities)
    frame = read_table(path, spec.get("empty", ()))
    return as_task(
        frame, spec, name=path.name.split(".")[0], folder=path.parent, impute=impute or "median"
    )


def is_importable(text: str) -> bool:
    """Return whether a text reads ``module:object``, and not as the path of a file."""
    return bool(_IMPORTABLE.fullmatch(text)) and not Path(text).exists()


def import_object(text: str) -> Any:
    """Import ``module:object`` from the working directory or an installed package."""
    module, name = text.split(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = import_module(module)
    except Exception as error:
        raise ValueError(f"{text}: importing {module} failed: {told(error)}") from error
    if not hasattr(found, name):
        public = [known for known in vars(found) if not known.startswith("_")]
        raise ValueError(f"{text}: {found.__file__} has no {name!r}.{did_you_mean(name, public)}")
    return getattr(found, name)


def as_task(
    frame: pd.DataFrame, spec: Spec, *, name: str, folder: Path = Path(), impute: str = "median"
) -> tuple[list[Task], list[str]]:
    """Return the task of a table and the description of its columns, and notes on the data."""
    roles: dict[str, str] = {role: spec[role] for role in ("label", "groups") if role in spec}
    columns = _columns_of(frame, spec["modalities"], roles)
    _check_kinds(spec.get("kinds", {}), columns)
    name = spec.get("name", name)
    frame, notes = _usable(frame, columns, spec, impute)
    columns, without = _filled_columns(frame, columns)
    notes += without
    options: dict[str, Any] = {"fill": impute in STRATEGIES, "size": spec.get("image_size", 32)}
    blocks = {
        m: read_block(frame[chosen], m, spec.get("kinds", {}), folder=folder, **options)
        for m, chosen in columns.items()
    }
    _check_target(spec.get("target"), blocks)
    kinds = {m: block.kind for m, block in blocks.items() if block.kind is not None}
    X = Modalities({m: block.values for m, block in blocks.items()}, kinds=kinds)
    if (bare := _bare(X, spec.get("target"))).any():
        but = " but the target" if spec.get("target") in X else ""
        notes.append(f"{bare.sum()} of {len(X)} rows lack every modality{but}: left out.")
        X, frame = X[~bare], frame[~bare]
    prepare = _preparation(blocks, impute)
    task = Task(
        name,
        X,
        _labels(frame, roles["label"]) if "label" in roles else None,
        spec.get("kind"),
        spec.get("target"),
        n_components=spec.get("n_components", 0) or _n_components(X, prepare, spec.get("target")),
        standardize=spec.get("standardize", True),
        description=spec.get("description", ""),
        groups=_complete(frame, roles["groups"], "groups") if "groups" in roles else None,
        prepare=prepare,
    )
    notes += [note for block in blocks.values() for note in block.notes]
    notes += _ids(frame, columns) + _gaps(frame, columns, task, impute, blocks)
    return [task], [f"{name}: {note}" for note in notes]


def partly_missing(task: Task) -> list[str]:
    """Return a warning for each modality in which single cells of rows are missing."""
    found: list[str] = []
    if task.prepare is not None:
        return found
    for name, value in task.X.items():
        if getattr(value, "ndim", 0) != 2 or not is_float_dtype(getattr(value, "dtype", object)):
            continue
        holes = np.isnan(np.asarray(value)).any(axis=1) & ~task.X.missing[name].to_numpy()
        if holes.any():
            found.append(
                f"{task.name}: {holes.sum()} rows of {name!r} lack some of their cells. The "
                "autoencoder and the VAE can use such rows, other methods may fail. "
                "Task(..., prepare=GapFiller()) fills them inside each split."
            )
    return found


def _from_function(text: str) -> list[Task]:
    function, name = import_object(text), text.split(":")[1]
    if isinstance(function, Task):
        return [function]
    if not callable(function):
        raise ValueError(f"{text} is {function!r}, but must be a function without parameters.")
    try:
        made = function()
    except Exception as error:
        raise ValueError(f"{text} failed: {told(error)}") from error
    if isinstance(made, Task):
        return [made]
    if isinstance(made, (list, tuple)) and made and all(isinstance(one, Task) for one in made):
        return list(made)
    X, y = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    try:
        X = Modalities.from_frame(X) if isinstance(X, pd.DataFrame) else Modalities(X)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{text} returned {type(made).__name__}, but must return a Task, a list of tasks, X, "
            f"or (X, y), where X is Modalities or a dict of arrays: {error}"
        ) from error
    return [Task(name, X, y, n_components=_n_components(X))]


def _columns_of(
    frame: pd.DataFrame, modalities: Mapping[str, Any], roles: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the columns of each modality, which must be there and in no other."""
    for role, column in roles.items():
        if column not in frame:
            raise ValueError(f"{role} = {column!r} is no column.{_table_has(frame, column)}")
    reserved = {column: role for role, column in roles.items()}
    owner: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for name, asked in modalities.items():
        found[name] = _chosen(frame, name, asked, reserved)
        for column in found[name]:
            if column in owner:
                raise ValueError(
                    f"Column {column!r} belongs to {owner[column]!r} and to {name!r}: a column may "
                    "belong to one modality."
                )
            owner[column] = name
    return found


def _chosen(frame: pd.DataFrame, name: str, asked: Any, reserved: Mapping[str, str]) -> list[str]:
    """Return the columns that names and patterns choose, in the order of the table."""
    patterns = [asked] if isinstance(asked, str) else asked
    if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
        raise ValueError(
            f'Modality {name!r}: {asked!r} must be a column, a pattern such as "rna_*", or a '
            "list of these."
        )
    chosen: set[str] = set()
    for pattern in patterns:
        if pattern in reserved:
            raise ValueError(
                f"Modality {name!r} has the column {pattern!r}, which is the {reserved[pattern]}: "
                "it would give the answer away."
            )
        hits = {pattern} & set(frame) or {c for c in frame if fnmatchcase(c, pattern)}
        if not hits - set(reserved):
            raise ValueError(
                f"Modality {name!r}: no column matches {pattern!r}.{_table_has(frame, pattern)}"
            )
        chosen |= hits - set(reserved)
    if not chosen:
        raise ValueError(f"Modality {name!r} has no columns: leave it out, or name some.")
    return [column for column in frame if column in chosen]


def _table_has(frame: pd.DataFrame, wanted: str) -> str:
    names = [str(column) for column in frame]
    return f"{did_you_mean(wanted, names)} The table has {shown(names)}."


def _labels(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return class labels: whole numbers or texts."""
    values = _complete(frame, column, "label")
    if values.dtype.kind == "f":
        if (parts := values % 1 > 0).any():
            raise ValueError(
                f"label = {column!r} has numbers with fractions, such as {values[parts][0]}, but "
                "labels are classes. To predict numbers make the column a modality, the "
                'target of kind = "transfer".'
            )
        values = values.astype(int)
    return values


def _complete(frame: pd.DataFrame, column: str, role: str) -> np.ndarray:
    values = frame[column]
    if values.isna().any():
        raise ValueError(
            f"{role} = {column!r} is empty in {int(values.isna().sum())} of {len(values)} rows: "
            "fill it or leave these rows out."
        )
    if is_numeric_dtype(values) and not is_bool_dtype(values):
        return values.to_numpy()
    return values.astype(str).to_numpy(dtype=str)


def _check_kinds(kinds: Mapping[str, Any], columns: Mapping[str, Sequence[str]]) -> None:
    known = [*columns, *(column for chosen in columns.values() for column in chosen)]
    for name, kind in kinds.items():
        if name not in known:
            raise ValueError(
                f"[kinds] names {name!r}, which is no modality and no column of one."
                f"{did_you_mean(name, known)}"
            )
        if kind not in OWN_KINDS:
            raise ValueError(
                f"[kinds] {name} = {kind!r} is unknown.{did_you_mean(str(kind), OWN_KINDS)} Valid "
                f"are {list(OWN_KINDS)}."
            )


def _check_target(target: str | None, blocks: Mapping[str, Block]) -> None:
    block = None if target is None else blocks.get(target)  # Task says if there is none
    if block is not None and (block.encoder is not None or block.values.ndim > 2):
        raise ValueError(
            f"target = {target!r} must be numbers, but {block.notes[-1]} To predict classes make "
            'the column the label of kind = "classify".'
        )


def _usable(
    frame: pd.DataFrame, columns: Mapping[str, list[str]], spec: Spec, impute: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that can be used, and why the others cannot."""
    label, target = spec.get("label"), str(spec.get("target"))
    notes = []
    needed: dict[str, list[str]] = {}
    if label is not None:
        needed[f"a label ({label!r})"] = [label]
    if target in columns:
        needed[f"a part of the target {target!r}"] = columns[target]
    if impute == "drop":
        needed["a cell"] = [column for chosen in columns.values() for column in chosen]
    for what, names in needed.items():
        whole = frame[names].notna().all(axis=1)
        if not whole.all():
            notes.append(f"{int((~whole).sum())} of {len(frame)} rows lack {what}: left out.")
            frame = frame[whole]
    if len(frame) < _FEWEST:
        raise ValueError(
            f"{len(frame)} rows are too few: a fifth is held out. {' '.join(notes)}".strip()
        )
    return frame, notes


def _filled_columns(
    frame: pd.DataFrame, columns: Mapping[str, list[str]]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the columns that have any cell, and which have none."""
    empty = {column for column in frame if frame[column].isna().all()}
    kept = {m: [c for c in chosen if c not in empty] for m, chosen in columns.items()}
    if bare := [name for name, chosen in kept.items() if not chosen]:
        raise ValueError(f"Modality {bare[0]!r} is empty in every row: leave it out.")
    gone = [c for chosen in columns.values() for c in chosen if c in empty]
    return kept, [f"the columns {shown(gone)} are empty in every row: left out."] if gone else []


def _bare(X: Modalities, target: str | None) -> np.ndarray:
    """Return the rows that lack every modality but the target."""
    others = [name for name in X.names if name != target]
    return np.asarray(X.missing[others].all(axis=1)) if others else np.zeros(len(X), dtype=bool)


def _preparation(blocks: Mapping[str, Block], impute: str) -> Any:
    """Return the transformer of each split, which encodes categories and texts and fills gaps."""
    encoders = {m: block.encoder for m, block in blocks.items() if block.encoder is not None}
    steps: list[Any] = [PerModality(encoders)] if encoders else []
    numbers = [b.values for b in blocks.values() if b.values.dtype.kind == "f"]
    if impute in STRATEGIES and any(np.isnan(values).any() for values in numbers):
        steps.append(GapFiller(impute, whole_rows=False))
    return make_pipeline(*steps) if steps else None


def _ids(frame: pd.DataFrame, columns: Mapping[str, list[str]]) -> list[str]:
    """Point out whole numbers that count the rows."""
    found = [
        column
        for chosen in columns.values()
        for column in chosen
        if is_integer_dtype(frame[column].dtype) and (frame[column].diff()[1:] == 1).all()
    ]
    return [f"{shown(found)} count the rows: if they are ids leave them out."] if found else []


def _gaps(
    frame: pd.DataFrame,
    columns: Mapping[str, list[str]],
    task: Task,
    impute: str,
    blocks: Mapping[str, Block],
) -> list[str]:
    """Say how many cells are empty, and how they are treated."""
    cells = frame[[column for chosen in columns.values() for column in chosen]].isna().to_numpy()
    if not cells.any():
        return []
    found = [f"{int(cells.sum())} of {cells.size} cells ({100 * cells.mean():.1f} %) are empty"]
    if impute in STRATEGIES:
        found.append(
            f"Numbers are {IMPUTE[impute]} of each split, and columns of 0 and 1 say where"
        )
        encoders = [block.encoder for block in blocks.values()]
        if any(isinstance(encoder, ColumnTransformer) for encoder in encoders):
            found.append("Empty categories are a level of their own")
        if any(isinstance(encoder, TextScores) for encoder in encoders):
            found.append("Empty texts have no words")
    else:
        found.append(f"They are {IMPUTE[impute]}, and methods that cannot use such rows fail")
    lacking = {m: int(n) for m, n in task.X.missing.sum().items() if n}
    if lacking:
        rows = ", ".join(f"{name!r} {n}" for name, n in lacking.items())
        found.append(
            f"Rows without any cell of a modality lack it ({rows}): methods that need complete "
            "rows fill them by means of the training rows, with a column that says where, or are "
            "left out"
        )
    return [". ".join(found) + "."]


def _n_components(X: Modalities, prepare: Any = None, target: str | None = None) -> int:
    """Return a number of components that all modalities have, in half of the rows, too."""
    if target is not None:
        return N_COMPONENTS
    if prepare is not None:
        X = X[np.random.RandomState(0).permutation(len(X))[: len(X) // 2]]
        X = clone(prepare).fit_transform(X)
        ranks = [_rank(np.asarray(value)) for value in X.values()]
        return int(max(1, min([N_COMPONENTS, *ranks])))
    widths = [value.shape[1] for value in X.values() if getattr(value, "ndim", 1) == 2]
    return int(min([N_COMPONENTS, *widths]))


def _rank(value: np.ndarray) -> int:
    """Return the rank of a centred modality, as far as it matters."""
    table = value.reshape(len(value), -1)
    table = table[~np.isnan(table).any(axis=1)]
    centred = table - table.mean(axis=0)
    return int(np.linalg.matrix_rank(centred)) if table.shape[1] <= 100 else N_COMPONENTS
