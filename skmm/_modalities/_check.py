"""The one door for data: four forms come in, checked Modalities come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import ascii_letters
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import blas
from sklearn.utils.validation import _check_sample_weight

from skmm._modalities._chunks import SMALL, row_chunks
from skmm._modalities._container import Modalities
from skmm._modalities._kinds import check_kind, refuse_cells, refuse_mixed
from skmm._modalities._read import class_name, read_modalities
from skmm._modalities._schema import PLAIN, labels_of
from skmm._modalities._stream import Stream, open_streams
from skmm._modalities._values import (
    DENSE,
    FLOATS,
    PANDAS,
    Array,
    Value,
    flat_array,
    hide_rows,
    is_lazy,
    is_sparse,
    missing_rows,
    n_columns,
    read_only,
)

NUMBERS = ("numeric", "binary", "count", "image")
N_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
LARGEST = 1e150  # what can be squared and summed in double precision


def check_modalities(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    reset: bool,
    min_modalities: int = 1,
    kinds: Sequence[str] | None = None,
    flatten: bool = False,
    allow_missing: bool = True,
    allow_partial: bool = False,
    allow_empty_rows: bool = False,
    accept_sparse: bool = False,
    accept_lazy: bool = False,
    min_samples: int | None = None,
) -> Modalities:
    """Read X in any of the four forms and check it for an estimator.

    Parameters
    ----------
    estimator : estimator
        Its parameter `modalities`, if it has one, is honoured. With `reset` it gets
        `modality_names_in_`, `n_features_in_`, `feature_names_in_` (forms 3 and 4, a
        DataFrame) and `_schema`; without, X is compared with them.
    X : Modalities, dict, DataFrame or array-like
        The data, in one of the four forms.
    y : array-like, default=None
        The second modality in form 4 if `min_modalities` is 2; ignored otherwise.
    reset : bool
        True in fit.
    min_modalities : int, default=1
        Fewest modalities in fit.
    kinds : sequence of str, default=None
        Kinds that the estimator can use; by default all, with `flatten` all numbers.
    flatten : bool, default=False
        Return 2-D floating arrays, NaN in missing rows (the linear estimators). Without
        it shapes are kept; numeric, binary and count become floating, tokens and images
        keep their dtype, labels become 1-D.
    allow_missing : bool, default=True
        Whether a modality may be missing in some rows.
    allow_partial : bool, default=False
        Whether some entries of a modality may be NaN while others are not.
    allow_empty_rows : bool, default=False
        Whether every modality may be missing in a row.
    accept_sparse : bool, default=False
        Whether CSR matrices may pass.
    accept_lazy : bool, default=False
        Whether arrays of dask, zarr or h5py may pass. They are read once to be checked, block by
        block; what is returned reads them again when it is sliced. Small ones become arrays, as
        labels and single columns do.
    min_samples : int, default=None
        Fewest samples; by default 2 in fit and 1 elsewhere.

    Returns
    -------
    X : Modalities
        In the order of fit. A modality absent from X is not in it. Arrays that need no
        change are not copied.

    Raises
    ------
    ValueError
        For everything that the estimator cannot take, for numbers beyond 1e150, whose squares
        overflow, and for modalities whose indexes differ, of `X` and `y` in form 4 too.
    TypeError
        For sparse data where dense data is needed, and for values of a wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from skmm import check_modalities
    >>> class Widths(BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         X = check_modalities(self, X, reset=True, flatten=True)
    ...         self.widths_ = {name: value.shape[1] for name, value in X.items()}
    ...         return self
    >>> X = {"image": np.ones((5, 1, 2, 3)), "age": np.arange(5.0)}
    >>> Widths().fit(X).widths_
    {'image': 6, 'age': 1}
    """
    min_samples = (2 if reset else 1) if min_samples is None else min_samples
    X = read_modalities(
        estimator,
        X,
        y,
        reset=reset,
        min_modalities=min_modalities,
        min_samples=min_samples,
        accept_sparse=accept_sparse,
        convert=True,
    )
    if kinds is None and flatten:
        kinds = NUMBERS
    values: dict[str, Any] = {}
    X = open_streams(X) if accept_lazy else X
    for j, (name, value) in enumerate(X._values.items()):
        kind, missing = X._kinds[name], X._mask[:, j]
        _check_usable(estimator, name, value, kind, kinds, accept_sparse)
        if isinstance(value, Stream):
            values[name] = _inspect(estimator, value, kind, allow_partial)
            continue
        converted = _convert(name, value, kind, flatten)
        if converted is not value:  # stored values are read-only and hidden already
            converted = read_only(hide_rows(converted, missing))
        values[name] = converted
        _check_finite(estimator, name, converted, missing, allow_partial)
    X = Modalities._make(values, X._kinds, _mask_of(values, X._mask), X._ids)
    _check_missing(estimator, X, reset, allow_missing, allow_empty_rows)
    return X


def _check_usable(
    estimator: Any,
    name: str,
    value: Value,
    kind: str,
    kinds: Sequence[str] | None,
    accept_sparse: bool,
) -> None:
    if kind == "image":
        _check_channels(name, value.shape)
    if not isinstance(value, DENSE):
        _check_storage(estimator, name, value, accept_sparse)
    if kind == "categorical":
        _check_labels(name, value)
    if kinds is not None and kind not in kinds:
        raise ValueError(
            f"{class_name(estimator)} cannot use modality {name!r} of kind {kind!r}; it takes "
            f"{tuple(kinds)}. {_encoding(name, kind)}, or declare what it is with kinds=."
        )


def _check_storage(estimator: Any, name: str, value: Any, accept_sparse: bool) -> None:
    """Refuse lazy and sparse values where they cannot be used."""
    if is_lazy(value) and not isinstance(value, Stream):
        raise TypeError(
            f"Modality {name!r} is a {type(value).__name__}, which {class_name(estimator)} would "
            "have to read whole. Read it yourself, e.g. by numpy.asarray; fit of CCA and of the "
            "deep estimators take it as it is, partial_fit piece by piece."
        )
    if is_sparse(value) and not accept_sparse:
        raise TypeError(
            f"Sparse data was passed for modality {name!r}, but {class_name(estimator)} requires "
            f"dense data. Reduce it first, e.g. PerModality({{{name!r}: TruncatedSVD()}}), or use "
            "'.toarray()'."
        )


def _check_labels(name: str, value: Value) -> None:
    """Refuse what are no labels, and columns of which only some are."""
    refuse_cells(name, value)
    refuse_mixed(name, value)


def _check_channels(name: str, shape: tuple[int, ...]) -> None:
    """Refuse images whose last axis looks like channels, and whose second is longer than these."""
    if len(shape) == 4 and shape[3] in N_CHANNELS and shape[1] > max(N_CHANNELS):
        raise ValueError(
            f"Modality {name!r} of shape {shape} seems to have its channels last, but images are "
            "N x C x H x W. Use numpy.moveaxis(images, -1, 1), or PerModality({"
            f"{name!r}: ImageScaler()}}) of skmm.preprocessing; for {shape[1]} channels of "
            f"{shape[2]} x {shape[3]} pixels declare kinds={{{name!r}: 'numeric'}}."
        )


def _encoding(name: str, kind: str) -> str:
    """Return what makes numbers of a modality."""
    if kind == "tokens":
        return (
            "Ids have no order: use counts, e.g. TfidfVectorizer and TruncatedSVD of the texts, or "
            "an estimator with networks"
        )
    return f"Encode it first, e.g. PerModality({{{name!r}: OneHotEncoder(sparse_output=False)}})"


def _convert(name: str, value: Value, kind: str, flatten: bool) -> Value:
    if not isinstance(value, DENSE):  # a CSR matrix
        return value if value.dtype in FLOATS else value.astype(np.float64)
    if kind == "categorical":
        if (width := n_columns(value)) > 1:
            raise ValueError(
                f"Modality {name!r} has labels in {width} columns; make each a modality, "
                f"or encode them: PerModality({{{name!r}: OneHotEncoder(sparse_output=False)}})."
            )
        return labels_of(value).reshape(len(value))
    if not flatten and kind in ("tokens", "image"):
        value = np.asarray(value)
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:  # no objects, no long doubles
            return value.astype(value.dtype.newbyteorder("="), copy=False)
    array = _as_float(name, value)
    return flat_array(array) if flatten and array.ndim != 2 else array


def _as_float(name: str, value: Any) -> Array:
    """Return floats: float32 stays, everything else becomes float64, floats are not copied."""
    if value.ndim > 1 and not isinstance(value, PANDAS) and value.dtype == object:
        return _as_float(name, pd.DataFrame(flat_array(value))).reshape(value.shape)
    if not isinstance(value, PANDAS) and value.dtype != object:
        return value if value.dtype in FLOATS else value.astype(np.float64)
    frame = pd.DataFrame(value)
    if all(isinstance(t, np.dtype) and t.kind in "fiub" for t in set(frame.dtypes)):
        return _as_float(name, frame.to_numpy().reshape(value.shape))
    try:
        return frame.to_numpy(dtype=np.float64, na_value=np.nan).reshape(value.shape)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Modality {name!r} cannot be made numbers: {error}") from error


def _sum_is_finite(data: NDArray[np.floating]) -> bool:
    """Return whether a sum over the data is finite: of squares, by BLAS, where that is faster."""
    with np.errstate(over="ignore", invalid="ignore"):
        if (
            data.size
            and data.dtype == np.float64
            and (data.flags.c_contiguous or data.flags.f_contiguous)
        ):
            flat = data.ravel(order="K")
            return bool(np.isfinite(blas.ddot(flat, flat)))
        if data.dtype == np.float64:
            axes = ascii_letters[: data.ndim]
            return bool(np.isfinite(np.einsum(f"{axes},{axes}->", data, data)))
        return bool(np.isfinite(data.sum()))


def _check_finite(
    estimator: Any, name: str, value: Any, missing: NDArray[np.bool_], allow_partial: bool
) -> None:
    """Refuse infinity, and NaN in rows that are not missing. One pass when all is well."""
    is_dense = isinstance(value, np.ndarray)
    data = value if is_dense else value.data
    if data.dtype.kind != "f":
        return
    if _sum_is_finite(data):
        return
    if not is_dense:
        data, missing = _strange_entries(value), np.zeros(len(missing), dtype=bool)
    _refuse_strange(estimator, name, data.dtype, *_count_strange(data, missing, allow_partial))


def _refuse_strange(
    estimator: Any, name: str, dtype: np.dtype[Any], n_infinite: int, n_huge: int, n_partial: int
) -> None:
    label = name if estimator._schema.form == PLAIN else f"modality {name!r}"
    if n_infinite:
        raise ValueError(
            f"Input {label} contains infinity or a value too large for {dtype!r}. "
            "Replace such values, or drop their rows."
        )
    if n_huge:
        raise ValueError(
            f"Input {label} contains values beyond {LARGEST:g} in {n_huge} rows, whose squares are "
            "too large to be added. Scale them down, or drop their rows."
        )
    if n_partial:
        raise ValueError(
            f"Input {label} contains NaN in {n_partial} rows that are not NaN throughout. "
            f"{class_name(estimator)} takes a row with or without this modality, not a part of it; "
            "impute first, e.g. with PerModality(SimpleImputer())."
        )


def _inspect(estimator: Any, stream: Stream, kind: str, allow_partial: bool) -> Stream:
    """Read a stream once: refuse what it must not hold, and note the rows that are missing."""
    missing = np.array(stream.missing)
    strange = np.zeros(3, dtype=int)
    for start, block in stream.blocks():
        hidden = missing[start : start + len(block)]
        if block.dtype.kind == "f" and not _sum_is_finite(block):
            hidden |= missing_rows(block)
            strange += _count_strange(block, hidden, allow_partial)
        check_kind(stream.name, block, kind, hidden)
    _refuse_strange(estimator, stream.name, stream.dtype, *strange.tolist())
    stream.missing = missing
    return stream


def _mask_of(values: Mapping[str, Any], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows are missing, now that streams have been read."""
    if not any(isinstance(value, Stream) for value in values.values()):
        return mask
    mask = mask.copy()
    for j, value in enumerate(values.values()):
        if isinstance(value, Stream):
            mask[:, j] = value.missing
    return mask


def _strange_entries(value: Any) -> Array:
    """Return one entry (n, 1) of each sparse row: infinity before NaN before what is huge."""
    rows = np.repeat(np.arange(value.shape[0]), np.diff(value.indptr))
    entries = np.zeros((value.shape[0], 1), dtype=value.dtype)
    for test in (_is_huge, np.isnan, np.isinf):
        strange = test(value.data)
        entries[rows[strange], 0] = value.data[strange]
    return entries


def _count_strange(
    data: Array, missing: NDArray[np.bool_], allow_partial: bool
) -> tuple[int, int, int]:
    """Count the rows with infinity, with what is huge, and with NaN where it is not allowed."""
    n_partial = 0 if allow_partial else _count_rows(np.isnan, data, missing)
    return _count_rows(np.isinf, data, missing), _count_rows(_is_huge, data, missing), n_partial


def _is_huge(data: Array) -> Array:
    return np.abs(data) > np.float64(LARGEST)  # compared in double precision


def _count_rows(test: Callable[[Array], Array], data: Array, missing: NDArray[np.bool_]) -> int:
    """Count the observed rows in which `test` holds anywhere, in chunks."""
    flat = flat_array(data)
    n_rows, width = flat.shape
    chunks = row_chunks(n_rows, width, SMALL)
    return sum(int((test(flat[c]).any(axis=1) & ~missing[c]).sum()) for c in chunks)


def _check_missing(
    estimator: Any, X: Modalities, reset: bool, allow_missing: bool, allow_empty_rows: bool
) -> None:
    n_missing = X._mask.sum(axis=0)
    for name, n_rows in zip(X._values, n_missing, strict=True):
        if reset and n_rows == len(X._mask):
            raise ValueError(
                f"Modality {name!r} is missing (NaN) in every row of the training data. Leave it "
                "out, e.g. with X.select([...])."
            )
        if n_rows and not allow_missing:
            raise ValueError(
                f"{class_name(estimator)} cannot take missing modalities, but {name!r} is missing "
                f"(NaN) in {n_rows} rows. Drop these rows or impute them."
            )
    n_empty = int(X._mask.all(axis=1).sum())
    if n_empty and not allow_empty_rows:
        raise ValueError(
            f"Every modality of {list(X.names)} is missing (NaN) in {n_empty} rows; "
            f"{class_name(estimator)} needs at least one in each row. Drop these rows."
        )


def check_weight(weight: Any, n_samples: int, **options: Any) -> Array:
    """Return the weights of rows, checked by scikit-learn, which wants to see an array."""
    found = _check_sample_weight(weight, np.empty((n_samples, 0)), **options)
    if found.max() > LARGEST:
        raise ValueError(f"sample_weight is up to {found.max():g}: divide it.")
    return found
