"""Tasks of one's own: from a table and a file that says what its columns are, or a function."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_numeric_dtype

from skmm._modalities import Modalities
from skmm.benchmark._tasks import Task

N_COMPONENTS = 10  # unless a modality has fewer columns
EXAMPLE = 'modalities = {rna = "rna_*", lipid = ["fat1", "fat2"]}'
_KEYS: dict[str, type] = {
    "name": str,
    "kind": str,
    "target": str,
    "label": str,
    "groups": str,
    "n_components": int,
    "standardize": bool,
    "description": str,
    "modalities": dict,
    "kinds": dict,
}
_IMPORTABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

Spec = dict[str, Any]


def load_own(data: str, modalities: Path | None = None) -> list[Task]:
    """Return the tasks of a table and the description of its columns, or those of a function."""
    if is_importable(data):
        if modalities is not None:
            raise ValueError(f"--modalities describes the columns of a file; {data} is a function.")
        return _from_function(data)
    frame = read_table(Path(data))
    if modalities is None:
        raise ValueError(
            f"Say what the columns of {data} are: --modalities FILE, TOML such as {EXAMPLE}"
        )
    return [make_task(frame, read_spec(modalities), name=Path(data).name.split(".")[0])]


def is_importable(text: str) -> bool:
    """Return whether a text reads ``module:object``, and not as the path of a file."""
    return bool(_IMPORTABLE.fullmatch(text)) and not Path(text).exists()


def import_object(text: str) -> Any:
    """Return what ``module:object`` names, from the working directory or an installed package."""
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


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV, TSV or Parquet file; columns without a name are row numbers, and left out."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: give a table, or module:function.")
    if ".parquet" in suffixes or ".pq" in suffixes:
        frame = pd.read_parquet(path)
    elif ".csv" in suffixes or ".tsv" in suffixes:
        frame = pd.read_csv(path, sep="\t" if ".tsv" in suffixes else ",", low_memory=False)
    else:
        raise ValueError(f"{path} must end in .csv, .tsv or .parquet (or .csv.gz, .tsv.gz).")
    frame.columns = frame.columns.map(str)
    return frame.loc[:, ~frame.columns.str.match(r"Unnamed: \d+$")]


def read_spec(path: Path) -> Spec:
    """Return what a TOML file says of the columns, or what is wrong in it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: --modalities is TOML such as {EXAMPLE}")
    try:
        spec = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}. An example: {EXAMPLE}") from error
    for key, value in spec.items():
        if key not in _KEYS:
            raise ValueError(
                f"{path}: {key!r} is unknown.{did_you_mean(key, _KEYS)} Valid are {list(_KEYS)}; "
                "the columns of each modality stand below [modalities]."
            )
        if not isinstance(value, _KEYS[key]) or (_KEYS[key] is int and isinstance(value, bool)):
            raise ValueError(f"{path}: {key} = {value!r} must be {_WORDS[_KEYS[key]]}.")
    if not spec.get("modalities"):
        raise ValueError(f"{path} names no modality. An example: {EXAMPLE}")
    return spec


def make_task(frame: pd.DataFrame, spec: Spec, *, name: str) -> Task:
    """Return the task that a description makes of a table."""
    roles: dict[str, str] = {role: spec[role] for role in ("label", "groups") if role in spec}
    columns = _columns_of(frame, spec["modalities"], roles)
    kinds = spec.get("kinds", {})
    for modality in kinds:
        if modality not in columns:
            hint = did_you_mean(modality, columns)
            raise ValueError(f"[kinds] names {modality!r}, which is no modality.{hint}")
    values = {m: _values(frame[chosen], m, kinds.get(m)) for m, chosen in columns.items()}
    X = Modalities(values, kinds=kinds)
    return Task(
        spec.get("name", name),
        X,
        _labels(frame, roles["label"]) if "label" in roles else None,
        spec.get("kind"),
        spec.get("target"),
        n_components=spec.get(
            "n_components", N_COMPONENTS if "target" in spec else _n_components(X)
        ),
        standardize=spec.get("standardize", True),
        description=spec.get("description", ""),
        groups=_complete(frame, roles["groups"], "groups") if "groups" in roles else None,
    )


def partly_missing(task: Task) -> list[str]:
    """Return a warning for each modality in which single cells of rows are missing."""
    found = []
    for name, value in task.X.items():
        if getattr(value, "ndim", 0) != 2 or not is_float_dtype(getattr(value, "dtype", object)):
            continue
        holes = np.isnan(np.asarray(value)).any(axis=1) & ~task.X.missing[name].to_numpy()
        if holes.any():
            found.append(
                f"{task.name}: {holes.sum()} rows of {name!r} lack some of their cells. The "
                "autoencoder and the VAE can use such rows; other methods fail. Leave out the "
                "columns with gaps, or fill them."
            )
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion for a word that is not known, if one is near."""
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def told(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {error}"


_WORDS = {
    str: "a text in quotes",
    int: "a whole number",
    bool: "true or false",
    dict: "a table with a line per modality",
}


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
    return f"{did_you_mean(wanted, names)} The table has {_some(names)}."


def _values(columns: pd.DataFrame, name: str, kind: str | None) -> Any:
    """Return numbers, or the labels of a categorical modality."""
    if kind == "categorical":
        if columns.shape[1] != 1:
            raise ValueError(
                f"Modality {name!r} is categorical, which has one column, not {columns.shape[1]}: "
                "make each a modality."
            )
        return columns.iloc[:, 0].astype(object).to_numpy()
    texts = [c for c, dtype in columns.dtypes.items() if not is_numeric_dtype(dtype)]
    if texts:
        first = columns[texts[0]].dropna()
        numbers = pd.to_numeric(first, errors="coerce")
        example = first[numbers.isna()].iloc[0] if numbers.isna().any() else first.iloc[0]
        raise ValueError(
            f"Modality {name!r}: the columns {_some(texts)} are not numbers ({texts[0]!r} has "
            f"{example!r}). Leave them out, or make a column a modality of its own with "
            f'[kinds] NAME = "categorical".'
        )
    return columns.to_numpy(dtype=float, na_value=np.nan)


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


def _n_components(X: Modalities) -> int:
    widths = [value.shape[1] for value in X.values() if getattr(value, "ndim", 1) == 2]
    return int(min([N_COMPONENTS, *widths]))


def _some(names: Sequence[Any], most: int = 8) -> str:
    """Return a list, cut where it is long."""
    shown = ", ".join(repr(name) for name in names[:most])
    return f"[{shown}]" if len(names) <= most else f"[{shown}, ... {len(names)} in all]"
