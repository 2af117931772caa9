"""Group factor analysis as a scikit-learn estimator."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassNamePrefixFeaturesOutMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing, warn_caller
from skmm._group_factor_analysis._fitting import Fit
from skmm._group_factor_analysis._gaps import Gaps
from skmm._group_factor_analysis._model import FactorGaussian
from skmm._group_factor_analysis._residual import mixture, residual_share
from skmm._group_factor_analysis._state import Data, State, condensed
from skmm._group_factor_analysis._variational import expect_codes, shares
from skmm._interfaces._generative import Parts, ReconstructionMixin
from skmm._linalg import dominant_signs
from skmm._modalities import Modalities, check_modalities, observed_rows
from skmm._modalities._check import check_weight
from skmm._modalities._columns import column_statistics
from skmm._modalities._ids import warn_of_other_rows
from skmm._modalities._output import TransformerMixin, codes_follow_output
from skmm._parameters import POSITIVE, Numbers

Array = np.ndarray
MOST = 100  # components that "auto" starts from
AXES = 1000  # of the rows' covariance in that of predictions
WORK = 5e7  # operations for the matrices (k, k) of a step, one for each pattern of what is missing


class GroupFactorAnalysis(
    ClassNamePrefixFeaturesOutMixin, ReconstructionMixin, TransformerMixin, BaseEstimator
):
    """Linear factors behind one or more modalities, shared by some of them or private to one.

    Every column is a sum of a few latent variables, times its loadings, and of noise of its own.
    Each component has in each modality a relevance of its own that the data decide: where it is
    of no use there its loadings are exactly 0, so that shared and private components fall out. It
    is fitted to whatever entries are there, and MOFA is this model with sparse loadings besides.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components. "auto" starts from the number of principal components, at most 100
        (fewer where thousands of columns miss entries of their own), and leaves out those without
        which the bound is higher. An integer is kept.

    modalities : dict, list of str or None, default=None
        Which columns of a 2-D `X` belong to which modality, ``{"left": slice(0, 32), ...}`` with
        any selector of :class:`~sklearn.compose.ColumnTransformer`; or, for `X` with named
        modalities, the names to use.

    relevance : bool, default=True
        Whether loadings have a prior whose size is learned for each component in each modality.
        Without it this is factor analysis by maximum likelihood of all columns side by side; the
        number of components of "auto" is then that found with it.

    noise : {"column", "modality"}, default="column"
        Whether each column has its own noise variance, or each modality one, of its columns divided
        by their standard deviations.

    max_iter : int, default=1000
        Most steps.

    tol : float, default=1e-5
        Stop when a step raises the bound by less than this per observed entry, in nats.

    random_state : int, RandomState instance or None, default=None
        Seeds `sample`. `fit` draws nothing.

    Attributes
    ----------
    loadings_ : dict of str to ndarray or DataFrame (d, n_components_)
        How the columns, divided by `scales_`, depend on the components:
        ``(x - means_) / scales_ = loadings_ @ z + noise``. With the variance 1 of z, the square of
        an entry is the share of the column's variance that the component explains. A DataFrame, by
        the names of the columns, where `fit` saw names. The largest loading of a component is
        positive.

    weights_ : dict of str to ndarray (d, n_components_)
        The codes of a complete row are the sum over the modalities of
        ``(x - means_) @ weights_``.

    relevance_ : DataFrame of shape (n_modalities, n_components_)
        Share of the modality's variance that the component explains in the model, the mean over
        columns that vary; exactly 0 where the component is not active. Components are ordered by
        the sum over the modalities.

    noise_variances_ : dict of str to ndarray (d,)
        Variance of each column, divided by `scales_`, that the components leave unexplained; at
        least 1e-6 but for constant columns, where it is 0. It includes the uncertainty of the
        loadings.

    residual_share_ : float
        Share of the rows' covariance in that of the predictions, in [0, 1): nearly 0 where the
        components leave no correlations, and 0 without relevance.

    covariance_loadings_, covariance_noise_ : dict of str to ndarray (d, r), (d,)
        L and v of the covariance ``L L' + diag(v)`` of all columns side by side, divided by
        `scales_`, which predictions, draws and `score` read.

    means_, scales_ : dict of str to ndarray (d,)
        The model's mean of each column and the number by which it was divided: its standard
        deviation, or 1 where it is constant.

    lower_bounds_ : ndarray of shape (n_iter_,)
        Bound on the log-likelihood of the training data after each step, in nats, with the
        log-priors of the noise; without relevance it tends to the log-likelihood itself. It never
        falls.

    n_iter_ : int
        Number of steps.

    n_components_ : int
        Number of components.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    CCA : Directions in which modalities agree, whatever else they vary in.
    skmm.inspection.variance_explained : Shares of variance on given rows.

    Notes
    -----
    With standardised columns j of modality m: ``x_j = mu_j + w_j' z + e_j``, ``z ~ N(0, I)``,
    ``e_j ~ N(0, psi_j)``, ``w_jk ~ N(0, 1 / alpha_mk)``, a wide Gamma prior of alpha, and a prior
    of psi_j that counts as ten rows of pure noise (not without relevance). The posterior is
    approximated by variational Bayes over loadings, codes and relevances; after it has converged,
    pairs of component and modality with less than a hundredth of the modality's variance are
    switched off where the bound is higher for it. `transform` and `inverse_transform` read this
    model, of covariance ``F = W W' + diag(psi)`` with the posterior mean W of the loadings and
    their variances added to psi.

    With few rows the bound does not pay for components that predict, though none of them by itself
    for sure. `translate`, `impute`, `sample` and `score_samples` therefore read a Gaussian of
    covariance ``(1 - rho) F + rho S`` with S the second moments of the rows (completed by the
    model, at most 1000 of its axes), and rho, the share of the noise's correlations that is no
    chance (Schäfer and Strimmer 2005).

    Binary columns and counts are taken as numbers, images as flat rows.

    References
    ----------
    S. Virtanen, A. Klami, S. Khan and S. Kaski, "Bayesian group factor analysis", AISTATS (2012).

    A. Klami, S. Virtanen, E. Leppäaho and S. Kaski, "Group factor analysis", IEEE Transactions on
    Neural Networks and Learning Systems 26 (2015).

    J. Schäfer and K. Strimmer, "A shrinkage approach to large-scale covariance matrix estimation
    and implications for functional genomics", Statistical Applications in Genetics and Molecular
    Biology 4 (2005).

    R. Argelaguet et al., "Multi-Omics Factor Analysis: a framework for unsupervised integration of
    multi-omics data sets", Molecular Systems Biology 14 (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import GroupFactorAnalysis, Modalities
    >>> rng = np.random.default_rng(0)
    >>> shared, private = rng.standard_normal((2, 500, 1))
    >>> rna = shared @ rng.standard_normal((1, 8)) + rng.standard_normal((500, 8))
    >>> protein = shared @ rng.standard_normal((1, 6)) + private @ rng.standard_normal((1, 6))
    >>> X = Modalities({"rna": rna, "protein": protein + rng.standard_normal((500, 6))})
    >>> gfa = GroupFactorAnalysis().fit(X)
    >>> gfa.relevance_ > 0
             groupfactoranalysis0  groupfactoranalysis1
    rna                      True                 False
    protein                  True                  True
    >>> gfa.translate(X.select(["rna"]), "protein").shape
    (500, 6)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [POSITIVE, StrOptions({"auto"})],
        "modalities": [dict, list, tuple, None],
        "relevance": ["boolean"],
        "noise": [StrOptions({"column", "modality"})],
        "max_iter": [POSITIVE],
        "tol": [Numbers(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        relevance: bool = True,
        noise: str = "column",
        max_iter: int = 1000,
        tol: float = 1e-5,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.modalities = modalities
        self.relevance = relevance
        self.noise = noise
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the components.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            One or more modalities in any of the forms of :func:`skmm.check_modalities`. Modalities
            may be missing in rows, and single entries may be NaN.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; an integer is a number of repetitions.

        Returns
        -------
        self : GroupFactorAnalysis

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality), or `n_components` is above
            its bound.
        """
        warn_of_other_rows(X, sample_weight=sample_weight)
        X = check_modalities(self, X, y, reset=True, flatten=True, allow_partial=True)
        weight = _weights(sample_weight, X)
        used = np.flatnonzero(weight > 0)
        if len(used) < len(X):
            X, weight = X[used], weight[used]
        self._columns = column_statistics(X, self._schema, weight)
        self.means_ = {name: known.mean.copy() for name, known in self._columns.items()}
        self.scales_ = {name: known.divisor for name, known in self._columns.items()}
        data = self._data(X, weight)
        run = self._run(data)
        if not run.converged:
            warn_caller(
                f"The bound still rises after max_iter={self.max_iter} steps: raise max_iter or "
                "tol.",
                ConvergenceWarning,
            )
        self._set(data, replace(run.state, codes=expect_codes(data, run.state)), run.bounds)
        return self

    def transform(self, X: Any, y: Any = None) -> Array:
        """Return the posterior mean of the components given what each row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)

        Raises
        ------
        ValueError
            If a row has nothing.
        """
        X = self._check(X)
        return self._codes(X).astype(_dtype(X), copy=False)

    @codes_follow_output
    def transform_each(self, X: Any, y: Any = None) -> dict[str, Array]:
        """Return the posterior means of the components given each modality by itself.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored.

        Returns
        -------
        codes : dict of str to ndarray (n_samples, n_components_)
            For each modality of `X`; NaN where it is missing.
        """
        X = self._check(X)
        codes = {}
        for name in X.names:
            found = self._codes(X.select([name]))
            found[~observed_rows(X, name)] = np.nan
            codes[name] = found.astype(X[name].dtype, copy=False)
        return codes

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean of `score_samples`: higher is better, in nats per row.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        score : float
        """
        warn_of_other_rows(X, sample_weight=sample_weight)
        X = self._check(X)
        return float(np.average(self._log_density(X), weights=_weights(sample_weight, X)))

    def score_samples(self, X: Any, y: Any = None) -> Array:
        """Return the log-likelihood of what each row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            Exact, of the Gaussian behind predictions, in nats and in the units of `X`. Columns
            that were constant in `fit` do not enter.
        """
        return self._log_density(self._check(X))

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _codes(self, X: Modalities) -> Array:
        """Return E[z] of each row (n, n_components_)."""
        return self._factors.posterior_mean(self._rows(X))

    def _varying(self, name: str) -> Array:
        """Return the numbers of the columns of a modality that vary."""
        return np.flatnonzero(self._varies(name))

    def _rows(self, X: Modalities) -> Array:
        """Return the standardised columns of all modalities that vary (n, d), NaN where missing."""
        parts = []
        for name in self.modality_names_in_:
            columns = self._varying(name)
            if name not in X:
                parts.append(np.full((len(X), len(columns)), np.nan))
                continue
            value = np.asarray(X[name], dtype=np.float64)[:, columns]
            parts.append((value - self.means_[name][columns]) / self.scales_[name][columns])
        return np.hstack(parts)

    def _data(self, X: Modalities, weight: Array) -> Data:
        """Return the standardised entries of the columns that vary, 0 where there is none."""
        scaled = self._rows(X)
        if not scaled.shape[1]:
            raise ValueError(f"All columns of {X.names!r} are constant: there is nothing to learn.")
        sizes = [len(self._varying(name)) for name in X.names]
        modality = np.repeat(np.arange(len(sizes)), sizes)
        observed = ~np.isnan(scaled)
        scaled[~observed] = 0.0
        return Data(
            scaled, Gaps.of(observed, modality), weight, modality, len(sizes),
            tied=self.noise == "modality", relevance=self.relevance,
        )  # fmt: skip

    def _run(self, data: Data) -> Fit:
        """Return the run to convergence."""
        bound, wanted = min(data.values.shape), self.n_components
        if wanted != "auto":
            if wanted > bound:
                raise ValueError(
                    f"n_components={wanted} is above its bound {bound}, the number of rows or of "
                    "columns that vary, whichever is smaller."
                )
            data = condensed(data)
            return self._climb(data, data.axes(int(wanted)), may_drop=False)
        data = condensed(data)
        most = min(bound, MOST, _affordable(data))
        axes = data.axes(most)
        axes = axes[:, np.any(axes != 0, axis=0)]
        if data.relevance:
            return self._climb(data, axes, may_drop=True)
        found = self._climb(replace(data, relevance=True), axes, may_drop=True)
        return self._climb(data, axes[:, : found.state.k], may_drop=False)

    def _climb(self, data: Data, axes: Array, *, may_drop: bool) -> Fit:
        return Fit(data, data.start(axes), self.max_iter, self.tol, may_drop).run()

    def _set(self, data: Data, state: State, bounds: list[float]) -> None:
        """Set all fitted attributes, the components in their order and with their signs."""
        names = self.modality_names_in_
        self.n_components_, self.n_iter_ = state.k, len(bounds)
        explained = shares(data, state.loadings.mean)
        order = np.argsort(-explained.sum(axis=0), kind="stable")
        W = state.loadings.mean[:, order]
        by_name = sorted(range(len(names)), key=names.__getitem__)
        W = W * dominant_signs([W[data.modality == m] for m in by_name])
        noise = state.noise + state.loadings.variances(data.columns).sum(axis=1)
        self._factors = self._model = FactorGaussian(W, noise)
        self.residual_share_ = residual_share(data, state) if self.relevance else 0.0
        if self.residual_share_ > 0.0:
            self._model = FactorGaussian(*mixture(data, state, noise, self.residual_share_, AXES))
        weights = self._factors.weights()
        self.loadings_, self.weights_, self.noise_variances_ = {}, {}, {}
        self.covariance_loadings_, self.covariance_noise_ = {}, {}
        log_scales = 0.0
        for m, name in enumerate(names):
            columns, part = self._varying(name), data.modality == m
            scale = self.scales_[name][columns]
            self.means_[name][columns] += scale * state.offset[part]
            self.loadings_[name] = self._named(name, self._wide(name, W[part]))
            with np.errstate(over="ignore"):  # of columns in units below 1e-300
                own = np.nan_to_num(weights[part] / scale[:, None])
            self.weights_[name] = self._wide(name, own)
            self.covariance_loadings_[name] = self._wide(name, self._model.loadings[part])
            self.covariance_noise_[name] = self._wide(name, self._model.noise[part])
            self.noise_variances_[name] = self._wide(name, noise[part])
            log_scales += float(data.counts[part] @ np.log(scale))
        self.lower_bounds_ = np.array(bounds) - log_scales
        self.relevance_ = pd.DataFrame(
            explained[:, order], list(names), self.get_feature_names_out()
        )

    def _wide(self, name: str, values: Array) -> Array:
        """Return values of the columns that vary as those of all, 0 where they are constant."""
        found = np.zeros((len(self.means_[name]), *values.shape[1:]))
        found[self._varying(name)] = values
        return found

    def _named(self, name: str, values: Array) -> Any:
        """Return what belongs to the columns of a modality, named if `fit` saw names."""
        columns = self._schema.columns[name]
        if columns is None:
            return values
        return pd.DataFrame(values, columns, self.get_feature_names_out())

    def _log_density(self, X: Modalities) -> Array:
        rows = self._rows(X)
        log_scales = np.concatenate(
            [np.log(self.scales_[name][self._varying(name)]) for name in self.modality_names_in_]
        )
        return self._model.log_density(rows) - ~np.isnan(rows) @ log_scales

    def _decoded(
        self, model: FactorGaussian, Z: Array, names: Sequence[str], dtype: Any,
        rng: np.random.RandomState | None = None,
    ) -> Parts:  # fmt: skip
        """Return modalities that go with latent variables; with `rng` noise is drawn as well."""
        parts, start = {}, 0
        for name in self.modality_names_in_:
            columns = self._varying(name)
            part = slice(start, start := start + len(columns))
            if name not in names:
                continue
            found = np.tile(self.means_[name], (len(Z), 1))
            found[:, columns] += self.scales_[name][columns] * model.decode(Z, part, rng)
            parts[name] = self._columns[name].in_type(found, dtype)
        return parts

    def _invert(self, Z: Array, names: Sequence[str]) -> Parts:
        return self._decoded(self._factors, Z, names, Z.dtype)

    def _expect(self, X: Modalities, names: Sequence[str]) -> Parts:
        codes = self._model.posterior_mean(self._rows(X))
        return self._decoded(self._model, codes, names, _dtype(X))

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> Parts:
        Z = rng.standard_normal((n_samples, self._model.loadings.shape[1]))
        return self._decoded(self._model, Z, self.modality_names_in_, Z.dtype, rng)

    def _draw_given(
        self, X: Modalities, names: Sequence[str], n_samples: int, rng: np.random.RandomState
    ) -> list[Parts]:
        codes, dtype = self._model.posterior_draws(self._rows(X), n_samples, rng), _dtype(X)
        return [self._decoded(self._model, Z, names, dtype, rng) for Z in codes]

    def _check(self, X: Any, y: Any = None, **options: Any) -> Modalities:
        check_is_fitted(self)
        return check_modalities(
            self, X, y, reset=False, flatten=True, allow_partial=True, **options
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _affordable(data: Data) -> int:
    """Return for how many components a step takes seconds, however many patterns there are."""
    n_matrices = max(data.gaps.n_patterns, data.gaps.n_groups)
    return max(1, int((WORK / n_matrices) ** (1 / 3)))


def _weights(sample_weight: Any, X: Modalities) -> Array:
    """Return the checked weights of the rows, 1 if none are given."""
    return check_weight(sample_weight, len(X), dtype=np.float64, ensure_non_negative=True)


def _dtype(X: Modalities) -> np.dtype:
    return np.result_type(*(X[name].dtype for name in X.names))
