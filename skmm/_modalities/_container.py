"""The container: named modalities of the same samples, sliced by row."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, Sequence, ValuesView
from html import escape
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skmm._modalities._arguments import (
    Mask,
    as_mapping,
    as_names,
    check_mapping,
    check_missing,
    check_names,
    check_rows,
)
from skmm._modalities._cells import stack_cells
from skmm._modalities._frames import frame_to_mapping, join_frames, mapping_to_frame
from skmm._modalities._kinds import check_kind, default_kind
from skmm._modalities._values import (
    Value,
    hide_rows,
    is_pandas,
    missing_rows,
    n_bytes,
    take_rows,
)


class Modalities:
    """Named modalities of the same samples: an immutable container, sliced by row.

    It passes unchanged through scikit-learn's splitters, pipelines and searches, which
    only ask it for rows: ``X[rows]`` is a new container of these rows.

    Parameters
    ----------
    mapping : dict of str to array-like, or Modalities
        Values have the samples on axis 0: ndarray (1-D, 2-D, images N x C x H x W, token
        ids N x T), sparse matrix (kept as CSR), pandas Series or DataFrame, an array of
        dask, zarr or h5py (not read here). Arrays are not copied; do not modify them
        afterwards.
    missing : DataFrame, dict of str to array-like, or array-like, default=None
        Which rows lack which modality: a boolean array or DataFrame of shape (n_samples,
        n_modalities), or a dict from modality to a boolean array of shape (n_samples,).
        A row that is NaN or None throughout is missing in any case; zeros never are.
    kinds : dict of str to str, default=None
        Kind of some modalities: ``"numeric"``, ``"binary"``, ``"count"``,
        ``"categorical"``, ``"tokens"`` or ``"image"``. By default it follows dtype and rank
        only: strings, objects, categories, and 1-D integers or booleans are categorical;
        2-D booleans are binary; 4-D is an image; all else is numeric.

    Attributes
    ----------
    names : tuple of str
        Names of the modalities.
    shape : tuple of int
        ``(n_samples, n_modalities)``.
    missing : DataFrame of shape (n_samples, n_modalities)
        True where a row lacks a modality.
    kinds : dict of str to str
        Kind of each modality.

    Raises
    ------
    TypeError
        If a value is of a type that cannot be stored.
    ValueError
        If row counts differ, a modality is empty, a kind does not suit its values, or
        `missing` does not fit.

    See Also
    --------
    skmm.compose.PerModality : Apply a transformer to each modality.
    skmm.compose.ConcatModalities : Join all modalities into one 2-D array.

    Notes
    -----
    The content of a missing row is replaced by something neutral (NaN, 0, ``""``, None or
    False), so that what is declared missing cannot leak.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> X = Modalities({"image": np.zeros((4, 1, 8, 8)), "text": ["a", "b", None, "d"]})
    >>> X
    Modalities of 4 samples
      image  (4, 1, 8, 8)  float64  image         0.0% missing
      text   (4,)          object   categorical  25.0% missing
    >>> X[:2].shape
    (2, 2)
    >>> X["text"]
    array(['a', 'b', None, 'd'], dtype=object)
    """

    __iter__ = None  # iterating over rows or over names would both surprise somebody

    _values: dict[str, Value]
    _kinds: dict[str, str]
    _mask: Mask

    def __init__(
        self,
        mapping: Mapping[str, Any] | Modalities,
        *,
        missing: pd.DataFrame | Mapping[str, ArrayLike] | ArrayLike | None = None,
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        values = check_mapping(mapping)
        mask = np.column_stack([missing_rows(value) for value in values.values()])
        for j, (name, value) in enumerate(values.items()):
            if (stacked := stack_cells(value)) is not value:
                values[name] = stacked
                mask[:, j] |= missing_rows(stacked)
        given_kinds = as_mapping(kinds, "kinds=")
        check_names(given_kinds, values, "kinds=")
        if isinstance(mapping, Modalities):
            mask |= mapping._mask
            given_kinds = {**mapping._kinds, **given_kinds}
        if missing is not None:
            mask |= check_missing(missing, tuple(values), len(mask))
        values = {n: hide_rows(v, mask[:, j]) for j, (n, v) in enumerate(values.items())}
        for j, (name, value) in enumerate(values.items()):
            if name in given_kinds:
                check_kind(name, value, given_kinds[name], mask[:, j])
        self._set(
            values, {n: given_kinds.get(n) or default_kind(v) for n, v in values.items()}, mask
        )

    @classmethod
    def _make(cls, values: dict[str, Value], kinds: dict[str, str], mask: Mask) -> Modalities:
        """Build from parts that are known to fit together."""
        self = cls.__new__(cls)
        self._set(values, kinds, mask)
        return self

    def _set(self, values: dict[str, Value], kinds: dict[str, str], mask: Mask) -> None:
        self._values, self._kinds, self._mask = values, kinds, mask.view()
        self._mask.flags.writeable = False

    def __sizeof__(self) -> int:
        # Schedulers send what is large once to each worker, instead of once with each task.
        return object.__sizeof__(self) + sum(map(n_bytes, self._values.values()))

    # Tuples, since joblib hashes a dict regardless of its order; a copy, since it hashes strides.
    def __getstate__(self) -> tuple[Any, ...]:
        names, values = zip(*self._values.items(), strict=True)
        return names, values, tuple(self._kinds.values()), self._mask.copy(order="C")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        names, values, kinds, mask = state
        values = dict(zip(names, map(_locked, values), strict=True))
        self._set(values, dict(zip(names, kinds, strict=True)), mask)

    @classmethod
    def join(
        cls, frames: Mapping[str, pd.DataFrame | pd.Series], *, how: str = "outer"
    ) -> Modalities:
        """Align DataFrames on their index; rows that one of them lacks become missing.

        Parameters
        ----------
        frames : dict of str to DataFrame or Series
            One per modality, each with a unique index. Dtypes are kept.
        how : {"outer", "inner", "left"}, default="outer"
            Keep the samples of any modality, of all of them, or of the first one. The
            order is that of first appearance.

        Returns
        -------
        X : Modalities
            Its values carry the common index.

        Examples
        --------
        >>> import pandas as pd
        >>> rna = pd.DataFrame({"g1": [1, 2]}, index=["s1", "s2"])
        >>> protein = pd.DataFrame({"p1": [.5, .7]}, index=["s2", "s3"])
        >>> Modalities.join({"rna": rna, "protein": protein}).missing
              rna  protein
        s1  False     True
        s2  False    False
        s3   True    False
        """
        values, missing = join_frames(frames, how)
        return cls(values, missing=missing)

    @classmethod
    def from_frame(
        cls, df: pd.DataFrame, modalities: Sequence[str] | Mapping[str, Any] | None = None
    ) -> Modalities:
        """Split one DataFrame into modalities.

        Parameters
        ----------
        df : DataFrame of shape (n_samples, n_columns)
            With two column levels, of which the first names the modality; or a flat one.
        modalities : list of str, or dict of str to selector, default=None
            With two column levels: the modalities to take, by default all. With a flat
            DataFrame a dict from modality to columns, selected as in
            :class:`~sklearn.compose.ColumnTransformer`.

        Returns
        -------
        X : Modalities
            One DataFrame per modality.

        Examples
        --------
        >>> import pandas as pd
        >>> df = pd.DataFrame([[1., 2., 3.]], columns=["a1", "a2", "b1"])
        >>> Modalities.from_frame(df, {"a": ["a1", "a2"], "b": ["b1"]}).to_frame()
             a         b
            a1   a2   b1
        0  1.0  2.0  3.0
        """
        return cls(frame_to_mapping(df, modalities))

    def to_frame(self) -> pd.DataFrame:
        """Return one DataFrame with two column levels: modality, column.

        Returns
        -------
        df : DataFrame of shape (n_samples, n_columns)
            Images and other N-D values are flattened; missing rows are NaN or None.

        Raises
        ------
        TypeError
            If a modality is sparse.
        """
        return mapping_to_frame(self._values, self._mask, self._index())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(self._values)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of samples, number of modalities."""
        return len(self._mask), len(self._values)

    @property
    def missing(self) -> pd.DataFrame:
        """Boolean DataFrame: True where a row lacks a modality."""
        return pd.DataFrame(self._mask.copy(), columns=list(self.names), index=self._index())

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of each modality."""
        return dict(self._kinds)

    def keys(self) -> KeysView[str]:
        """Return the names, as of a dict."""
        return self._values.keys()

    def values(self) -> ValuesView[Value]:
        """Return the values, as of a dict."""
        return dict(self.items()).values()

    def items(self) -> ItemsView[str, Value]:
        """Return pairs of name and value, as of a dict."""
        return {name: self[name] for name in self.names}.items()

    def with_missing(
        self, names: str | Sequence[str], rows: ArrayLike | slice | None = None
    ) -> Modalities:
        """Return a copy in which these modalities are missing.

        Parameters
        ----------
        names : str or list of str
            The modalities to take away.
        rows : int array, bool mask or slice, default=None
            From which rows; None means from all.

        Returns
        -------
        X : Modalities
            What became missing is overwritten in the copy.
        """
        names = as_names(names, self._values)
        at = slice(None) if rows is None else check_rows(rows, len(self))
        mask = self._mask.copy()
        for name in names:
            mask[at, self.names.index(name)] = True
        values = {n: hide_rows(v, mask[:, j]) for j, (n, v) in enumerate(self._values.items())}
        return self._make(values, self._kinds, mask)

    def select(self, names: str | Sequence[str]) -> Modalities:
        """Return a copy with only these modalities, in this order.

        Parameters
        ----------
        names : str or list of str
            The modalities to keep.

        Returns
        -------
        X : Modalities
            Shares its values with this container.
        """
        names = as_names(names, self._values)
        columns = [self.names.index(name) for name in names]
        values = {name: self._values[name] for name in names}
        return self._make(values, {n: self._kinds[n] for n in names}, self._mask[:, columns])

    def __len__(self) -> int:
        return len(self._mask)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._values:
                raise KeyError(f"no modality {key!r}; there are {list(self.names)}")
            value = self._values[key]
            return value.copy(deep=False) if is_pandas(value) else value
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        rows = check_rows(key, len(self))
        values = {name: take_rows(value, rows) for name, value in self._values.items()}
        return self._make(values, self._kinds, self._mask[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(
            f"Modalities {list(self.names)} are not one array. To get one, put ConcatModalities() "
            "or SelectModality(name) of skmm.compose before this estimator in a Pipeline; to apply "
            "an estimator to each modality use PerModality(...)."
        )

    def __repr__(self) -> str:
        cells = [tuple(map(str, row)) for row in self._describe()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [f"Modalities of {len(self)} samples"]
        for *left, share in cells:
            columns = [c.ljust(w) for c, w in zip(left, widths, strict=False)]
            lines.append("  " + "  ".join([*columns, f"{share.rjust(widths[-1])} missing"]))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{t}</th>" for t in ("", "shape", "dtype", "kind", "missing"))
        rows = ["".join(f"<td>{escape(str(c))}</td>" for c in row) for row in self._describe()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f"<table><caption>Modalities of {len(self)} samples</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _describe(self) -> list[tuple[str, tuple[int, ...], str, str, str]]:
        shares = self._mask.mean(axis=0) if len(self) else np.zeros(len(self.names))
        return [
            (name, tuple(value.shape), _dtype_text(value), self._kinds[name], f"{share:.1%}")
            for (name, value), share in zip(self._values.items(), shares, strict=True)
        ]

    def _index(self) -> pd.Index:
        """Return the index of the first pandas value, else the row numbers."""
        indexes = (value.index for value in self._values.values() if is_pandas(value))
        return next(indexes, pd.RangeIndex(len(self)))


def _locked(value: Value) -> Value:
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    return value


def _dtype_text(value: Value) -> str:
    if not isinstance(value, pd.DataFrame):
        return str(value.dtype)
    dtypes = {str(t) for t in value.dtypes}
    return dtypes.pop() if len(dtypes) == 1 else "mixed"
