"""Which modalities rows have, and how many rows have which."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skmm._modalities import Modalities, missing_mask
from skmm._modalities._values import Value, is_lazy, is_sparse, missing_entries

Mask = NDArray[np.bool_]
STATES = ("observed", "partly", "missing")


def missing_patterns(X: Any) -> pd.Series:
    """Count the rows that have the same modalities.

    Parameters
    ----------
    X : Modalities, dict, or DataFrame with two column levels
        The data.

    Returns
    -------
    patterns : Series
        Numbers of rows, called "n_samples", the largest first. The index has a level per modality,
        which says whether these rows have it: "observed", "partly" (some of its entries are NaN)
        or "missing".

    Raises
    ------
    TypeError
        If `X` has no names of modalities.
    ValueError
        If `X` has no rows.

    See Also
    --------
    MissingPatternsDisplay : Draws them.
    skmm.Modalities.with_gaps : Lets a share go missing, for experiments.

    Notes
    -----
    Of modalities that are not read yet (arrays of dask, zarr or h5py), only the rows are known that
    were declared missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities
    >>> from skmm.inspection import missing_patterns
    >>> X = Modalities({"rna": np.ones((9, 3)), "protein": np.ones((9, 2))})
    >>> missing_patterns(X.with_missing("rna", [0, 4]))
    rna       protein
    observed  observed    7
    missing   observed    2
    Name: n_samples, dtype: int64
    """
    X = Modalities.from_frame(X) if hasattr(X, "columns") else Modalities(X)
    if not len(X):
        raise ValueError("X has no rows, and so no pattern.")
    partly = np.column_stack([_rows_with_gaps(value) for value in X.values()])
    codes = np.where(missing_mask(X), 2, partly)
    patterns, counts = np.unique(codes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")  # of equally frequent ones the fuller first
    levels = [np.array(STATES)[column] for column in patterns[order].T]
    index = pd.MultiIndex.from_arrays(levels, names=X.names)
    return pd.Series(counts[order], index=index, name="n_samples")


def _rows_with_gaps(value: Value) -> Mask:
    """Return which rows hold NaN or None."""
    if is_lazy(value):
        return np.zeros(value.shape[0], dtype=bool)
    if is_sparse(value):
        gaps = type(value)((pd.isna(value.data), value.indices, value.indptr), shape=value.shape)
        return np.asarray(gaps.sum(axis=1)).ravel() > 0
    return np.asarray(missing_entries(value).any(axis=1))
