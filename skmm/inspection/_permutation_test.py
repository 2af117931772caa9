"""Tests of the canonical correlations of a CCA."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skmm._cca import CCA
from skmm._modalities import Modalities, check_modalities
from skmm._modalities._ids import warn_of_other_rows
from skmm._permutation import PermutationResult, WilksResult, step_down_permutation, wilks
from skmm._permutation._variates import Variates

Array = np.ndarray


def permutation_test(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    n_components: int | None = None,
    n_permutations: int = 1000,
    statistic: Literal["auto", "wilks", "pillai", "roy"] = "auto",
    confounds: Any = None,
    groups: Any = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> PermutationResult:
    """Test the canonical correlations by permuting rows, one component after the other.

    Step k asks whether the modalities are independent beyond the first k - 1 components
    (Winkler et al., 2020). The p-values are closed: rejecting where they are at most alpha keeps
    the family-wise error rate at alpha. The first step is exact if rows are exchangeable; for the
    later ones the earlier components are, differently from the paper, taken out of the permuted
    variates again: otherwise later components are found too often when rows are few.

    With more than two modalities the rows of each but one are permuted independently, and the
    components are those of ``objective="maxvar"``. With ``shrinkage > 0`` there is no valid
    reference for later components; only the first step is taken, as the result's `limit` says.

    Parameters
    ----------
    estimator : CCA or Pipeline that ends in CCA
        Its `shrinkage`, `scale` and `modalities` are used; it need not be fitted and is not
        changed. The steps before it are fitted once, which is right as long as each looks at one
        modality only.
    X : Modalities, dict, DataFrame or array-like
        Two or more modalities, without missing rows.
    y : array-like, default=None
        The second modality if `X` is one.
    n_components : int, default=None
        Number of components to test. None takes that of the estimator, if it is a number, else
        the smallest rank; one with shrinkage.
    n_permutations : int, default=1000
        Number of permutations.
    statistic : {"auto", "wilks", "pillai", "roy"}, default="auto"
        ``"wilks"`` is minus the log of Wilks' lambda of what remains (no shrinkage); ``"pillai"``
        the sum of the squared whitened cross-covariances that remain; ``"roy"`` the first
        correlation of what remains. ``"auto"`` is ``"wilks"``, or ``"pillai"`` with shrinkage.
    confounds : array-like of shape (n_samples, n_confounds) or dict of such, default=None
        Nuisance variables that are removed from every modality, or from those named. Theil's
        residuals are permuted.
    groups : array-like of shape (n_samples,), default=None
        Rows are exchanged within these groups only.
    n_jobs : int, default=None
        Number of joblib jobs; does not change the result.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    result : PermutationResult
        With `p_values`, `uncorrected_p_values`, `correlations`, `statistics`, `null`,
        `n_permutations`, `statistic`, `limit` (why later components were not tested, with
        shrinkage), and the methods `n_significant` and `to_frame`.

    Raises
    ------
    TypeError
        If the estimator is not a CCA.
    ValueError
        If modalities are missing in some rows, if without shrinkage there are more columns than
        rows, or if a parameter is out of range.

    References
    ----------
    A. M. Winkler, O. Renaud, S. M. Smith and T. E. Nichols, "Permutation inference for canonical
    correlation analysis", NeuroImage 220 (2020) 117065.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.inspection import permutation_test
    >>> X, _ = load_digits_halves(return_X_y=True)
    >>> result = permutation_test(CCA(n_components=3), X, n_permutations=99, random_state=0)
    >>> result.p_values
    array([0.01, 0.01, 0.01])
    """
    warn_of_other_rows(X, groups=groups, **_named(confounds))
    model, blocks = _read("permutation_test", estimator, X, y)
    shrinkage = _shrinkages(model, blocks)
    if model.objective == "sumcor" and len(shrinkage) > 2:
        raise ValueError(
            "permutation_test has no valid test for objective='sumcor' with more than two "
            "modalities: use objective='maxvar'"
        )
    own = model.n_components
    if n_components is None and not any(shrinkage) and isinstance(own, Integral):
        n_components = int(own)
    if statistic == "auto":
        statistic = "pillai" if any(shrinkage) else "wilks"
    return step_down_permutation(
        _arrays(blocks),
        n_components=n_components,
        n_permutations=n_permutations,
        statistic=statistic,
        shrinkage=shrinkage,
        scale=model.scale,
        confounds=_confounds(confounds, blocks),
        groups=groups,
        n_jobs=n_jobs,
        random_state=random_state,
    )


def wilks_test(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    confounds: Any = None,
    method: Literal["bartlett", "rao"] = "bartlett",
) -> WilksResult:
    """Test the canonical correlations of two modalities by Wilks' lambda.

    Step k tests that the correlations from the k-th on are zero, for Gaussian data.

    Parameters
    ----------
    estimator : CCA or Pipeline that ends in CCA
        With ``shrinkage=0``; it need not be fitted.
    X : Modalities, dict, DataFrame or array-like
        Two modalities, without missing rows.
    y : array-like, default=None
        The second modality if `X` is one.
    confounds : array-like of shape (n_samples, n_confounds), default=None
        Nuisance variables that are removed from both modalities.
    method : {"bartlett", "rao"}, default="bartlett"
        Bartlett's chi-square approximation or Rao's F.

    Returns
    -------
    result : WilksResult
        With `p_values` (closed), `uncorrected_p_values`, `correlations`, `wilks_lambda`,
        `statistics`, `degrees_of_freedom` and the method `to_frame`.

    Raises
    ------
    ValueError
        If there are not exactly two modalities, with shrinkage, if rows are too few, or if a
        modality is missing in some rows.

    References
    ----------
    K. V. Mardia, J. T. Kent and J. M. Bibby, "Multivariate Analysis" (1979), eq. 10.2.13;
    C. R. Rao, "Linear Statistical Inference" (1973), section 8c.5.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.datasets import load_digits_halves
    >>> from skmm.inspection import wilks_test
    >>> X, _ = load_digits_halves(return_X_y=True)
    >>> int((wilks_test(CCA(), X).p_values < 0.05).sum())
    17
    """
    warn_of_other_rows(X, **_named(confounds))
    model, blocks = _read("wilks_test", estimator, X, y)
    if len(blocks.names) != 2:
        raise ValueError(f"wilks_test takes two modalities, got {blocks.names!r}")
    if any(_shrinkages(model, blocks)):
        raise ValueError(f"wilks_test needs shrinkage=0, got {model.shrinkage!r}")
    if isinstance(confounds, Mapping):
        raise ValueError("wilks_test removes the same confounds from both: pass one array")
    variates = Variates.of(_arrays(blocks), confounds=_confounds(confounds, blocks))
    return wilks(
        variates.correlations,
        n_samples=variates.n_dimensions + 1,
        ranks=(variates.ranks[0], variates.ranks[1]),
        method=method,
    )


def _read(test: str, estimator: Any, X: Any, y: Any) -> tuple[CCA, Modalities]:
    """Return an unfitted CCA and complete modalities; earlier steps of a pipeline are applied."""
    model = clone(estimator)
    if isinstance(model, Pipeline):
        X = model[:-1].fit_transform(X, y)
        model = model[-1]
    if not isinstance(model, CCA):
        raise TypeError(f"estimator must be a CCA or a Pipeline that ends in one, got {model!r}")
    model._validate_params()
    blocks = check_modalities(model, X, y, reset=True, min_modalities=2, flatten=True)
    lacking = {name: int(rows.sum()) for name, rows in blocks.missing.items() if rows.any()}
    if lacking:
        raise ValueError(
            f"{test} needs complete rows, but modalities are missing (numbers of rows: {lacking}): "
            "pass the rows that have all, or impute first. CCA itself takes missing modalities."
        )
    return model, blocks


def _arrays(blocks: Modalities) -> list[Array]:
    return [np.asarray(block, dtype=np.float64) for block in blocks.values()]


def _shrinkages(model: CCA, blocks: Modalities) -> list[float]:
    if model.shrinkage == 0:
        return [0.0] * len(blocks.names)
    # Shrinkage depends on each modality by itself: it is the same for permuted rows.
    fitted = clone(model).set_params(n_components=1, modalities=None).fit(blocks)
    return [fitted.shrinkage_[name] for name in blocks.names]


def _named(confounds: Any) -> dict[str, Any]:
    if not isinstance(confounds, Mapping):
        return {"confounds": confounds}
    return {f"confounds of {name!r}": value for name, value in confounds.items()}


def _confounds(confounds: Any, blocks: Modalities) -> Any:
    if not isinstance(confounds, Mapping):
        return None if confounds is None else np.asarray(confounds, dtype=np.float64)
    if unknown := [name for name in confounds if name not in blocks]:
        raise ValueError(f"confounds names {unknown!r}, but the modalities are {blocks.names!r}")
    return [
        np.asarray(confounds[name], dtype=np.float64) if name in confounds else None
        for name in blocks.names
    ]
