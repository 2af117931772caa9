"""Objects that are no data: refused by name, before anything iterates over them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from io import IOBase
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

FORMS = "Pass Modalities, a dict of arrays, a DataFrame or an array."
# By the name of a class or of one of its bases, so that no library is imported for it.
_OF_CLASSES = {
    "AnnData": "Name its matrices: {'rna': adata.to_df()}, or {'rna': adata.X}.",
    "MuData": "Use Modalities.join({name: part.to_df() for name, part in mdata.mod.items()}).",
    "Image": "Name a list of images and scale them: PerModality({'image': ImageScaler()}).",
    "DataLoader": "Collect what it yields, e.g. by torch.cat, one array for each modality.",
    "Dataset": "Collect what it holds, one array for each modality.",
    "LazyFrame": "Collect it: X.collect().",
}
_OF_TYPES: dict[Any, str] = {
    str | bytes | os.PathLike: "Read what it names.",
    IOBase: "Read the file.",
    Set: "A set has no order: use a list.",
    Iterator: "Collect what it yields, e.g. by numpy.stack(list(...)).",
}
_DEPTH = 64  # of axes that NumPy's arrays have at most


def refuse_foreign(what: str, value: Any, takes: str = FORMS) -> None:
    """Raise TypeError for what NumPy cannot read, or reads by asking for items without end."""
    if isinstance(value, list | tuple):
        value, what = _strange_item(value), f"An item of {what}"
    refuse_masked(what, value)
    if value is not None and not isinstance(value, Number) and not _is_readable(value):
        raise TypeError(f"{what} is {described(value)}. {remedy(value)}{takes}".rstrip())


def refuse_masked(what: str, value: Any) -> None:
    """Raise TypeError for a masked array, of which only the data would be read."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{what} is a masked array, whose mask would be lost. Pass its data, and which rows "
            "are missing as missing= of Modalities."
        )


def described(value: Any) -> str:
    """Return the name of the type, of a class or a text also which."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    text = f" {value[:40]!r}" if isinstance(value, str) else ""
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}{text}"


def remedy(value: Any) -> str:
    """Return what to do with an object that is no data, if that is known."""
    names = [kind.__name__ for kind in type(value).__mro__]
    by_class = [text for name, text in _OF_CLASSES.items() if name in names]
    by_type = [text for kind, text in _OF_TYPES.items() if isinstance(value, kind)]
    return next((f"{text} " for text in by_class + by_type), "")


def _is_readable(value: Any) -> bool:
    """Whether NumPy can make an array of a value in finite time."""
    if isinstance(value, type | str | bytes):
        return False
    known = (Sequence, pd.DataFrame, pd.Series)
    arrays = ("__array__", "__array_namespace__", "tocsr")
    is_lazy = hasattr(value, "chunks") and hasattr(value, "dtype")
    return isinstance(value, known) or is_lazy or any(hasattr(value, name) for name in arrays)


def _strange_item(items: Sequence[Any]) -> Any:
    """Return a container in a list that NumPy would walk through; of lists see the first."""
    for _ in range(_DEPTH):
        kinds = {type(item): item for item in items}.values()
        strange = (item for item in kinds if hasattr(type(item), "__getitem__"))
        for item in strange:
            if not isinstance(item, str | bytes | Mapping) and not _is_readable(item):
                return item
        nested = next((item for item in kinds if isinstance(item, list | tuple)), None)
        if nested is None:
            return None
        items = nested
    return None
