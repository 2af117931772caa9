"""Reading a table, and the TOML file that describes its columns."""

from __future__ import annotations

import gzip
import re
import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
    "empty": list,
    "image_size": int,
    "modalities": dict,
    "kinds": dict,
}
_TABLES = {".csv", ".tsv", ".parquet", ".pq"}

Spec = dict[str, Any]


def find_table(path: Path) -> Path:
    """Return the path of a table, if it is one."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file: give a table, or module:function.")
    if not {suffix.lower() for suffix in path.suffixes} & _TABLES:
        raise ValueError(f"{path} must end in .csv, .tsv or .parquet (or .csv.gz, .tsv.gz).")
    return path


def read_table(path: Path, empty: Sequence[Any] = ()) -> pd.DataFrame:
    """Return a CSV, TSV or Parquet file; columns without a name are row numbers, and left out.

    Some words may mean that a cell is empty, beside those that pandas knows.
    """
    if {".parquet", ".pq"} & {suffix.lower() for suffix in path.suffixes}:
        frame = pd.read_parquet(path)
    else:
        try:
            frame = _read_text(path, empty)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8."
            ) from error
        except ValueError as error:  # of pandas
            raise ValueError(f"{path} cannot be read: {str(error).strip()}") from error
    frame.columns = frame.columns.map(lambda name: str(name).strip())
    if not len(frame):
        raise ValueError(f"{path} has no rows.")
    return frame.loc[:, ~frame.columns.str.match(r"Unnamed: \d+$")]


def read_spec(path: Path) -> Spec:
    """Return the description of columns in a TOML file, or refuse it."""
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
        whole = not isinstance(value, bool) and isinstance(value, int) and value > 0
        if not (whole if _KEYS[key] is int else isinstance(value, _KEYS[key])):
            raise ValueError(f"{path}: {key} = {value!r} must be {_WORDS[_KEYS[key]]}.")
    if not spec.get("modalities"):
        raise ValueError(f"{path} names no modality. An example: {EXAMPLE}")
    return spec


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion for a word that is not known, if one is near."""
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def told(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {error}"


_WORDS = {
    str: "a text in quotes",
    int: "a whole number greater than 0",
    list: "a list of words in quotes or numbers",
    bool: "true or false",
    dict: "a table with a line per modality",
}


def _read_text(path: Path, empty: Sequence[Any]) -> pd.DataFrame:
    """Return a table of text, whose cells are parted as in its first line."""
    if ".tsv" in {suffix.lower() for suffix in path.suffixes}:
        signs = "\t"
    else:
        signs = max(",;\t|", key=_first_line(path).count)
    options: dict[str, Any] = {"sep": signs, "low_memory": False, "skipinitialspace": True}
    options["na_values"] = ["", *empty]
    frame = pd.read_csv(path, **options)
    if signs == ";":  # where this parts cells, a comma may stand before decimals
        other = pd.read_csv(path, decimal=",", **options)
        frame = max(frame, other, key=lambda one: len(one.select_dtypes("number").columns))
    return frame.replace(r"^\s*$", np.nan, regex=True)


def _first_line(path: Path) -> str:
    """Return the names of the columns, without the parts in quotes."""
    if {suffix.lower() for suffix in path.suffixes} & {".zip", ".bz2", ".xz", ".zst"}:
        return ""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return re.sub('"[^"]*"', "", str(lines.readline()))
