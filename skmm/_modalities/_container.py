"""The container: named modalities of the same samples, sliced by row."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, Sequence, ValuesView
from html import escape
from typing import Any, NoReturn, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skmm._modalities._arguments import Mask, Parts, as_names, check_rows, read_parts
from skmm._modalities._frames import frame_to_mapping, join_frames, mapping_to_frame
from skmm._modalities._gaps import check_gaps, missing_rows_drawn, values_with_gaps
from skmm._modalities._ids import Ids, declared_ids, warn_of_other_rows
from skmm._modalities._polars import as_pandas
from skmm._modalities._values import (
    PANDAS,
    Value,
    hide_rows,
    n_bytes,
    take_rows,
)
from skmm._random import Seed


class Modalities:
    """Named modalities of the same samples: an immutable container, sliced by row.

    It passes unchanged through scikit-learn's splitters, pipelines and searches, which
    only ask it for rows: ``X[rows]`` is a new container of these rows.

    Parameters
    ----------
    mapping : dict of str to array-like, or Modalities
        Values have the samples on axis 0: ndarray (1-D, 2-D, images N x C x H x W, token
        ids N x T), sparse matrix (kept as CSR), Series or DataFrame of pandas or polars (kept
        as pandas'), an array of dask, zarr or h5py (not read here). A single column whose cells
        are arrays or lists of numbers, all of one shape, is stacked. Arrays are not copied; do
        not modify them afterwards.
    missing : DataFrame, dict of str to array-like, or array-like, default=None
        Which rows lack which modality: a boolean array or DataFrame of shape (n_samples,
        n_modalities), or a dict from modality to a boolean array of shape (n_samples,).
        A row that is NaN or None throughout is missing in any case; zeros never are.
    kinds : dict of str to str, default=None
        Kind of some modalities: ``"numeric"``, ``"binary"``, ``"count"``,
        ``"categorical"``, ``"tokens"`` or ``"image"``. By default it follows dtype and rank
        only: strings, objects, categories, and 1-D integers or booleans are categorical;
        2-D booleans are binary; 4-D is an image; all else is numeric.
    index : array-like of shape (n_samples,) or str, default=None
        Ids of the samples; or the name of the column that holds them in DataFrames of polars,
        which is then no feature, and comes back in results of polars. By default the index of
        the first pandas value that has another one than the default, 0, 1, ..., n - 1.

    Attributes
    ----------
    index : Index of shape (n_samples,)
        Ids of the samples, which results of pandas carry. Without ids the numbers of the rows.
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
        `missing` does not fit. If indexes differ, be it by their order only: default ones and
        arrays say nothing of which rows correspond.

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
    _ids: Ids

    def __init__(
        self,
        mapping: Mapping[str, Any] | Modalities,
        *,
        missing: pd.DataFrame | Mapping[str, ArrayLike] | ArrayLike | None = None,
        kinds: Mapping[str, str] | None = None,
        index: ArrayLike | str | None = None,
    ) -> None:
        before = mapping._parts() if isinstance(mapping, Modalities) else None
        self._set(*read_parts(mapping, missing, kinds, index, before))

    @classmethod
    def _make(
        cls, values: dict[str, Value], kinds: dict[str, str], mask: Mask, ids: Ids
    ) -> Modalities:
        """Build from parts that are known to fit together."""
        self = cls.__new__(cls)
        self._set(values, kinds, mask, ids)
        return self

    def _set(self, values: dict[str, Value], kinds: dict[str, str], mask: Mask, ids: Ids) -> None:
        # Of all values only frames carry ids.
        self._values = {
            name: ids.put_on(value) if isinstance(value, PANDAS) else value
            for name, value in values.items()
        }
        self._kinds, self._mask, self._ids = kinds, mask.view(), ids
        self._mask.flags.writeable = False

    def _parts(self) -> Parts:
        return Parts(self._values, self._kinds, self._mask, self._ids)

    def _with_ids(self, ids: Ids) -> Modalities:
        return self._make(self._values, self._kinds, self._mask, ids)

    def __sizeof__(self) -> int:
        # Schedulers send what is large once to each worker, instead of once with each task.
        return object.__sizeof__(self) + sum(map(n_bytes, self._values.values()))

    # Tuples, since joblib hashes a dict regardless of its order; a copy, since it hashes strides.
    def __getstate__(self) -> tuple[Any, ...]:
        names, values = zip(*self._values.items(), strict=True)
        kinds, ids = tuple(self._kinds.values()), self._ids
        mask = self._mask.copy(order="C")
        return names, values, kinds, mask, (ids.index, ids.named, ids.column)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        names, values, kinds, mask, ids = state
        values = dict(zip(names, map(_locked, values), strict=True))
        self._set(values, dict(zip(names, kinds, strict=True)), mask, Ids(*ids))

    @classmethod
    def join(
        cls,
        frames: Mapping[str, Any],
        *,
        how: str = "outer",
        kinds: Mapping[str, str] | None = None,
        index: str | None = None,
    ) -> Modalities:
        """Align DataFrames on their index; rows that one of them lacks become missing.

        Parameters
        ----------
        frames : dict of str to DataFrame or Series, of pandas or polars
            One per modality, each with a unique index. Dtypes are kept. Frames of polars
            without `index` are aligned by the numbers of their rows.
        how : {"outer", "inner", "left"}, default="outer"
            Keep the samples of any modality, of all of them, or of the first one. The
            order is that of first appearance.
        kinds : dict of str to str, default=None
            Kind of some modalities, as in :class:`~skmm.Modalities`.
        index : str, default=None
            Name of the column of ids of DataFrames of polars, which each of them has.

        Returns
        -------
        X : Modalities
            Its values carry the common index.

        Raises
        ------
        ValueError
            If a frame has duplicates in its index, if its labels equal those of the others
            only when written out, as 7 and "7" do, or if nothing is left.

        Warns
        -----
        IndexMismatchWarning
            If a frame has no sample in common with the others.

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
        values, missing, ids = join_frames(frames, how, index)
        return cls(values, missing=missing, kinds=kinds)._with_ids(ids)

    @classmethod
    def from_frame(
        cls,
        df: Any,
        modalities: Sequence[str] | Mapping[str, Any] | None = None,
        *,
        index: ArrayLike | str | None = None,
    ) -> Modalities:
        """Split one DataFrame into modalities.

        Parameters
        ----------
        df : DataFrame of shape (n_samples, n_columns)
            With two column levels, of which the first names the modality; or a flat one, of
            pandas or polars.
        modalities : list of str, or dict of str to selector, default=None
            With two column levels: the modalities to take, by default all. With a flat
            DataFrame a dict from modality to columns, selected as in
            :class:`~sklearn.compose.ColumnTransformer`.
        index : array-like of shape (n_samples,) or str, default=None
            Ids of the samples, or the name of their column in a DataFrame of polars.

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
        named, ids = declared_ids({"df": df}, index)
        return cls(frame_to_mapping(as_pandas(named["df"]), modalities), index=cast(Any, ids))

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
        return mapping_to_frame(self._values, self._mask, self.index)

    @property
    def index(self) -> pd.Index:
        """Ids of the samples; without ids the numbers of the rows."""
        return self._ids.index

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
        return pd.DataFrame(self._mask.copy(), columns=list(self.names), index=self.index)

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
        return self._with_mask(mask)

    def with_gaps(
        self,
        share: float,
        *,
        mechanism: str = "random",
        y: ArrayLike | None = None,
        random_state: Seed | np.random.Generator = None,
    ) -> Modalities:
        r"""Return a copy in which a share is missing by chance, for experiments.

        What is missing already stays missing. No row loses everything: one that would gets one
        of the modalities (of the entries, with ``mechanism="entries"``) back that it had, drawn
        at random.

        Parameters
        ----------
        share : float
            The chance p of what is observed to go missing, in [0, 1).
        mechanism : {"random", "labels", "monotone", "entries"}, default="random"
            How it is lost, see Notes.
        y : array-like of shape (n_samples,), default=None
            Classes, which ``mechanism="labels"`` needs; ignored by the others.
        random_state : int, RandomState instance, Generator or None, default=None
            Determines what goes missing.

        Returns
        -------
        X : Modalities
            The same samples and kinds. What became missing is overwritten in the copy.

        Raises
        ------
        ValueError
            If `share` is not in [0, 1) or above what `mechanism` can reach, `mechanism` is
            unknown, `y` is needed and is not a class per row, or nothing could be missing without
            emptying rows.

        Warns
        -----
        IndexMismatchWarning
            If `y` has another index, with ``mechanism="labels"``.

        See Also
        --------
        with_missing : Hide modalities in given rows.
        skmm.inspection.MissingPatternsDisplay : Draw which rows lack what.

        Notes
        -----
        For M complete modalities:

        ``"random"``
            Each modality of each row is missing with chance p, independently: missing completely
            at random. Since emptied rows get one back, the share is ``p - p ** M / M``.
        ``"labels"``
            The chance depends on the class: p + d where the number of the class among the sorted
            ones plus that of the modality is even, else p - d, with d = 0.8 min(p, 1 - p). For who
            does not know `y`, this is missing not at random.
        ``"monotone"``
            Drop-out: a row that lacks a modality lacks all later ones, too, and the first is always
            there. After each modality a row drops out with the same chance, such that the expected
            share of missing modalities is p, which is at most (M - 1) / M.
        ``"entries"``
            Each entry of each row is NaN with chance p, independently, in the modalities of the
            kinds ``"numeric"``, ``"binary"`` and ``"count"``; integers and truth values become
            floats. Labels, tokens, images, sparse matrices and what is not read yet are left as
            they are. A row whose every entry is NaN lacks the modality.

        Examples
        --------
        >>> import numpy as np
        >>> X = Modalities({"rna": np.ones((1000, 3)), "protein": np.ones((1000, 2))})
        >>> X.with_gaps(0.4, random_state=0).missing.mean().round(2)
        rna        0.31
        protein    0.32
        dtype: float64
        >>> X.with_gaps(0.4, mechanism="monotone", random_state=0).missing.mean().round(2)
        rna        0.0
        protein    0.8
        dtype: float64
        """
        rng = check_gaps(share, mechanism, random_state)
        if mechanism == "entries":
            values = values_with_gaps(self._values, self._kinds, self._mask, share, rng)
            return Modalities(values, missing=self._mask, kinds=self._kinds)._with_ids(self._ids)
        if mechanism == "labels":
            warn_of_other_rows(self, y=y)
        return self._with_mask(missing_rows_drawn(self._mask, share, mechanism, y, rng))

    def _with_mask(self, mask: Mask) -> Modalities:
        values = {n: hide_rows(v, mask[:, j]) for j, (n, v) in enumerate(self._values.items())}
        return self._make(values, self._kinds, mask, self._ids)

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
        kinds = {n: self._kinds[n] for n in names}
        return self._make(values, kinds, self._mask[:, columns], self._ids)

    def __len__(self) -> int:
        return len(self._mask)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._values:
                raise KeyError(f"no modality {key!r}; there are {list(self.names)}")
            value = self._values[key]
            return value.copy(deep=False) if isinstance(value, PANDAS) else value
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        rows = check_rows(key, len(self))
        values = {name: take_rows(value, rows) for name, value in self._values.items()}
        return self._make(values, self._kinds, self._mask[rows], self._ids.take(rows))

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


def missing_mask(X: Modalities) -> Mask:
    """Return which rows lack which modality, bool (n_samples, n_modalities); read only."""
    return X._mask


def observed_rows(X: Modalities, name: str) -> Mask:
    """Return which rows have a modality, bool (n_samples,)."""
    return ~X._mask[:, X.names.index(name)]


def with_values(
    X: Modalities,
    values: dict[str, Any],
    *,
    kinds: dict[str, str] | None = None,
    mask: Mask | None = None,
) -> Modalities:
    """Return the same samples with other values, which are known to fit the kinds and the mask."""
    mask = X._mask if mask is None else mask
    return Modalities._make(values, X._kinds if kinds is None else kinds, mask, X._ids)


def _locked(value: Value) -> Value:
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    return value


def _dtype_text(value: Value) -> str:
    if not isinstance(value, pd.DataFrame):
        return str(value.dtype)
    dtypes = {str(t) for t in value.dtypes}
    return dtypes.pop() if len(dtypes) == 1 else "mixed"
