"""A folder of results: one file per cell, and a file that says which cells belong together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skmm._atomic import UNFINISHED, replacing

Record = dict[str, Any]
FORMAT = 1
INDEX = "benchmark.json"
CELLS = "cells"


class Store:
    """Cells by key, written so that a process that is killed leaves no half of a file.

    Parameters
    ----------
    folder : str or path-like
        It is made when something is written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def read(self, key: str) -> Record | None:
        """Return the record of a cell; None if it is not there or cannot be read."""
        try:
            record = json.loads(self._path(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return record if record.get("format") == FORMAT else None

    def write(self, record: Mapping[str, Any]) -> None:
        """Keep the record of a cell under its key."""
        _write_json(self._path(str(record["key"])), {"format": FORMAT, **record})

    def has(self, key: str) -> bool:
        """Return whether there is a file for a cell."""
        return self._path(key).exists()

    def read_index(self) -> dict[str, Any]:
        """Return the tasks and methods of the last runs, and the keys of their cells."""
        try:
            index = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if index.get("format") != FORMAT:
            raise ValueError(
                f"{self.folder / INDEX} has format {index.get('format')!r}, not {FORMAT}: run the "
                "benchmark again into another folder."
            )
        return dict(index)

    def write_index(self, index: Mapping[str, Any]) -> None:
        """Replace the index."""
        _write_json(self.folder / INDEX, {"format": FORMAT, **index})

    def sweep(self) -> None:
        """Remove the unfinished files of killed processes."""
        for path in self.folder.glob(f"{CELLS}/*/*{UNFINISHED}*"):
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / CELLS / key[:2] / f"{key}.json"


def layout_of(cells: Iterable[Any]) -> dict[str, dict[str, list[str]]]:
    """Return the keys of cells by task and method."""
    found: dict[str, dict[str, list[str]]] = {}
    for cell in cells:
        found.setdefault(cell.task.name, {}).setdefault(cell.method, []).append(cell.key)
    return found


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=True) as unfinished:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text, encoding="utf-8")
