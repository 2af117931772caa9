"""Canonical correlation analysis as a scikit-learn estimator."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import ClassNamePrefixFeaturesOutMixin, _fit_context, clone
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._base import BaseEstimator
from skmm._cca._array_api import (
    FollowsInput,
    cast_to,
    check_anywhere,
    fitted_attributes_follow,
    in_pieces,
    projections_follow,
    results_follow,
)
from skmm._cca._device import Home, to_numpy
from skmm._cca._incomplete import (
    Estimated,
    analytic_shrinkages,
    estimate,
    has_gaps,
    refuse_sparse_gaps,
    shared_rows,
    typical_rows,
)
from skmm._cca._model import Model
from skmm._cca._moments import Moments
from skmm._cca._n_components import n_beyond_chance
from skmm._cca._pairs import PairSums
from skmm._cca._pieces import Piece, check_rows, head, iterate, sum_pieces
from skmm._cca._rows import Rows
from skmm._cca._solution import (
    check_alignable,
    check_n_components,
    check_shared_rows,
    check_varying,
    choose_route,
    distribution,
    rows_of,
    solve,
)
from skmm._cca._whitening import GapsError, MomentRoute, Route
from skmm._gaussian._distribution import Gaussian
from skmm._interfaces._generative import Parts
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._check import check_weight
from skmm._modalities._columns import column_statistics
from skmm._modalities._ids import warn_of_other_rows
from skmm._modalities._output import TransformerMixin, codes_follow_output
from skmm._modalities._read import read_modalities
from skmm._parameters import POSITIVE, Numbers

Array = np.ndarray
_SHARE = Numbers(Real, 0, 1, closed="both")


class CCA(ClassNamePrefixFeaturesOutMixin, FollowsInput, TransformerMixin, BaseEstimator):
    """Canonical correlation analysis of two or more modalities.

    Finds, in each modality, the directions whose projections agree best with those of the other
    modalities. Two complete modalities give the textbook solution; more give generalised
    (multiset) CCA; `shrinkage` leads from CCA (0) to partial least squares (1). Behind the
    projections stands one normal distribution of all columns, from which come `translate`,
    `impute`, `sample` and the likelihood. Rows may lack modalities and single entries (NaN).

    Parameters
    ----------
    n_components : int, "auto" or None, default=None
        Number of components. None takes the smallest rank of a modality. "auto" takes the leading
        ones whose correlation, held out in five folds, is beyond chance (two standard errors), and
        at least one; it costs five fits more. At most the smallest rank, but for "maxvar" with more
        than two modalities the sum of ranks.

    modalities : dict, list of str or None, default=None
        Which columns of a 2-D `X` belong to which modality, ``{"left": slice(0, 32), ...}`` with
        any selector of :class:`~sklearn.compose.ColumnTransformer`; or, for `X` with named
        modalities, the names to use.

    shrinkage : float, "auto" or dict, default=0.0
        Weight c in [0, 1] of the scaled identity in each modality's covariance,
        ``(1 - c) S + c trace(S)/d I``; "auto" is the analytic value of Ledoit and Wolf (2004). A
        dict gives one per modality; those it leaves out are not shrunk.

    objective : {"maxvar", "sumcor"}, default="maxvar"
        What agreement of more than two modalities means: "maxvar" solves the eigenproblem of
        generalised CCA, "sumcor" maximises the sum of the pairwise correlations by Horst's
        iteration with restarts. They coincide for two modalities.

    scale : bool, default=True
        Whether columns are divided by their standard deviation. Without shrinkage it matters only
        where the training columns are linearly dependent: the weights are those of least norm,
        for the divided columns or for the columns as they are.

    fusion : {"mean", "posterior", "concat"}, default="mean"
        What `transform` makes of the projections: their mean over the modalities that a row has,
        the posterior mean of the latent variable, or all of them side by side (complete rows
        only).

    solver : {"auto", "covariance", "svd", "randomized"}, default="auto"
        "covariance" works on moments, or on the n x n products where a modality has more columns
        than rows; "svd" on the rows, exact for ill-conditioned data; "randomized" replaces the
        final decomposition by a Lanczos iteration from a random start, for few components of many
        columns. "auto" chooses by shape and by the estimated conditioning. The result does not
        depend on it.

        Sparse modalities stay sparse. Above 5000 rows and 5000 columns "auto" and "randomized"
        find the leading components alone, by an iteration from a random start (eigenvalues to
        1e-10, projections to about 1e-7 over the gap between eigenvalues); it needs a number of
        components and, for more columns than rows, shrinkage. The distribution is then known along
        the directions of these components alone.

    random_state : int, RandomState instance or None, default=None
        Seeds the folds of ``n_components="auto"``, the restarts of "sumcor", the "randomized"
        solver, and `sample`.

    Attributes
    ----------
    weights_ : dict of str to ndarray (d, n_components_)
        Projections are ``(x - means_) @ weights_``. They have unit variance on the training rows
        (dividing by n); if these have gaps, on complete rows as the distribution expects them.

    loadings_ : dict of str to ndarray or DataFrame (d, n_components_)
        Canonical loadings: Pearson's correlation of each column with its modality's projections,
        on the training rows, or if these have gaps on complete rows as the distribution expects
        them; 0 for constant columns. A DataFrame, by the names of the columns, where `fit` saw
        names. The column of largest loading over all modalities has a positive sign (of equally
        large ones the first by the modality's name; with ``scale=False`` and shrinkage the column
        of largest covariance).

    projection_covariances_ : dict of str to ndarray or DataFrame (d, n_components_)
        The same as covariances: loadings times the standard deviations of the columns.

    means_, scales_ : dict of str to ndarray (d,)
        Mean of each column and the number by which it was divided.

    canonical_correlations_ : ndarray of shape (n_components_,)
        Pearson's correlation of the training projections, averaged over pairs of modalities.

    pairwise_correlations_ : ndarray of shape (n_components_, n_modalities, n_modalities)
        Pearson's correlation of the training projections of each pair, on the rows that have both;
        NaN where fewer than two rows have, and the mean above leaves such a pair out.

    model_correlations_ : ndarray of shape (n_components_, n_modalities, n_modalities)
        Correlation of the projections of each pair in the normal distribution of all columns, which
        is shrunk for prediction: cautious where rows are few, and the training correlations above
        flattered. Also of pairs that no row has.

    model_shrinkage_ : dict of str to float
        Shrinkage c of that distribution when a modality is predicted: chosen by generalised
        cross-validation, whatever `shrinkage` the directions have.

    eigenvalues_ : ndarray of shape (n_components_,)
        Value by which the components are ordered: the eigenvalue of the block problem
        (1 + correlation for two complete modalities without shrinkage), or the sum of pairwise
        correlations for "sumcor".

    shrinkage_ : dict of str to float
        Shrinkage of each modality.

    n_components_ : int
        Number of components.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    Notes
    -----
    With standardised columns, S the covariance and R its shrunk form, "maxvar" solves
    ``A w = lambda B w`` where B is block-diagonal of the R and A has them on its diagonal and the
    cross-covariances off it.

    The distribution has the covariance ``(1 - c) S + c I`` of standardised columns (of columns in
    one unit per modality for ``scale=False``), so that `translate` is ridge regression; c is
    chosen by generalised cross-validation (Golub, Heath and Wahba 1979), and neither
    `n_components` nor `shrinkage` changes it.

    Where modalities or single entries are missing in `fit`, mean and S are estimated by
    expectation-maximisation (Dempster, Laird and Rubin 1977), penalised towards uncorrelated
    columns as c says. The directions are those of complete rows with these moments, unpenalised
    if more rows have all modalities than there are columns. Later, `transform` fills single gaps
    by what the modality itself tells; ``fusion="posterior"``, `translate` and `impute` take all
    that the row has.
    `partial_fit` and data in pieces need complete rows.

    Under scikit-learn's array API dispatch, arrays of other libraries (forms 3 and 4 of
    :func:`skmm.check_modalities`) give fitted attributes and results of their namespace and
    device. Those of the host are read by NumPy without a copy. On a device with float64, `fit`,
    `partial_fit`, `transform`, `transform_each` and `score` form all products over rows there, in
    float64; matrices of d x d (or, with fewer rows than columns, n x n) are decomposed by NumPy.
    Rows with NaN, ``n_components="auto"`` and the other methods are computed by NumPy. Data with
    more columns than rows are copied to NumPy once, for the likelihood and for `sample`.

    References
    ----------
    H. Hotelling, "Relations between two sets of variates", Biometrika 28 (1936).

    J. R. Kettenring, "Canonical analysis of several sets of variables", Biometrika 58 (1971).

    A. P. Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39 (1977).

    G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a
    good ridge parameter", Technometrics 21 (1979).

    F. Bach and M. Jordan, "A probabilistic interpretation of canonical correlation analysis",
    Technical Report 688, University of California, Berkeley (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import CCA, Modalities
    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal((500, 1))
    >>> image = z @ [[1.0, -1.0, 0.5]] + rng.standard_normal((500, 3))
    >>> text = z @ [[2.0, 1.0]] + rng.standard_normal((500, 2))
    >>> X = Modalities({"image": image, "text": text})
    >>> cca = CCA(n_components=1).fit(X)
    >>> cca.canonical_correlations_.round(1)
    array([0.8])
    >>> cca.transform(X).shape
    (500, 1)
    >>> cca.translate(X.select(["image"]), "text").shape
    (500, 2)
    """

    _moments: Moments | None

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [POSITIVE, StrOptions({"auto"}), None],
        "modalities": [dict, list, tuple, None],
        "shrinkage": [_SHARE, StrOptions({"auto"}), dict],
        "objective": [StrOptions({"maxvar", "sumcor"})],
        "scale": ["boolean"],
        "fusion": [StrOptions({"mean", "posterior", "concat"})],
        "solver": [StrOptions({"auto", "covariance", "svd", "randomized"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        shrinkage: float | str | Mapping[str, float | str] = 0.0,
        objective: str = "maxvar",
        scale: bool = True,
        fusion: str = "mean",
        solver: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.modalities = modalities
        self.shrinkage = shrinkage
        self.objective = objective
        self.scale = scale
        self.fusion = fusion
        self.solver = solver
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @fitted_attributes_follow
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the canonical directions.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Two or more modalities in any of the forms of :func:`skmm.check_modalities`.

        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The second modality if `X` is a 2-D array alone; ignored otherwise.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; an integer is a number of repetitions. Their sum counts as the
            number of rows where shrinkage is analytic and for that of the distribution: weights
            that add up to 1 say that there is one row.

        Returns
        -------
        self : CCA

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality), or `n_components` is above
            its bound.
        """
        warn_of_other_rows(X, sample_weight=sample_weight)
        if in_pieces(X, y):
            return self._fit_in_pieces(X, y, sample_weight)
        X = check_anywhere(
            self, X, y, reset=True, min_modalities=2, flatten=True, accept_sparse=True,
            allow_partial=True, local=self.n_components == "auto",
        )  # fmt: skip
        return self._fit_modalities(refuse_sparse_gaps(X), sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    @fitted_attributes_follow
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Add rows to those of earlier calls and find the canonical directions of all.

        What is kept are moments, so that the result equals one `fit` by the "covariance" solver.
        `fit` keeps none: after it the first call starts anew. Rows are complete.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            As in `fit`.

        y : array-like, default=None
            As in `fit`.

        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : CCA
            Not fitted yet as long as a modality has come in fewer than two rows.

        Raises
        ------
        ValueError
            For ``solver="svd"``, ``n_components="auto"`` and ``shrinkage="auto"``, which need all
            rows at once, and for rows that lack modalities or entries.
        """
        self._check_moments_serve("partial_fit keeps moments only")
        chunks = iterate(X) if isinstance(X, Iterator) else [Piece(X, y, sample_weight)]
        moments = getattr(self, "_moments", None)
        # A copy: rows that raise an error are not counted, and copies of self share nothing.
        moments = None if moments is None else moments.copy()
        for piece in chunks:
            warn_of_other_rows(piece.X, sample_weight=piece.weight)
            rows = self._piece_rows(piece, reset=moments is None)
            if moments is None:
                moments = Moments.around(rows.shifts())
            moments = rows.add_to(moments)
        if moments is None:
            raise ValueError("The iterator has no chunks: partial_fit needs one at least.")
        if moments.n_rows > 1:
            self._solve_moments(moments)
        self._moments = moments
        return self

    @projections_follow
    def transform(self, X: Any, y: Any = None) -> Array:
        """Project and fuse.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored, so that the result can be used to predict.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_) or (n_samples, n_modalities * n_components_)
            The second shape for ``fusion="concat"``.

        Raises
        ------
        ValueError
            If a row has no modality, or for ``fusion="concat"`` not all.
        """
        X = self._check(X)
        if self.fusion == "concat" and (absent := self._model.incomplete(X)):
            raise ValueError(
                f"fusion='concat' needs every modality in every row, but {absent!r} are missing "
                "in some: use fusion='mean' or 'posterior', or impute first."
            )
        return cast_to(self._model.fuse(X, self.fusion), _dtype(X))

    @codes_follow_output
    @projections_follow
    def transform_each(self, X: Any, y: Any = None) -> dict[str, Array]:
        """Project each modality by itself.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`.

        Returns
        -------
        codes : dict of str to ndarray (n_samples, n_components_)
            For each modality of `X`; NaN where it is missing.
        """
        X = self._check(X, y)
        codes = self._model.codes(X)
        return {name: cast_to(u, X[name].dtype) for name, u in codes.items()}

    @projections_follow
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the total correlation on these rows, usually held out.

        For each pair of modalities the projections are expressed in the canonical axes fitted on
        the training projections; Pearson's correlations on these rows are summed over components
        (a constant column counts 0) and averaged over pairs.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Two or more of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`; ignored otherwise.

        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        score : float
            At most `n_components_`.

        Raises
        ------
        ValueError
            If `X` has fewer than two modalities, or a pair of them fewer than two common rows.
        """
        warn_of_other_rows(X, sample_weight=sample_weight)
        X = self._check(X, y)
        if len(X.names) < 2:
            raise ValueError(f"score needs two modalities or more, got {X.names!r}.")
        weight = None if sample_weight is None else check_weight(to_numpy(sample_weight), len(X))
        return self._model.total_correlation(X, weight)

    @results_follow
    def score_samples(self, X: Any, y: Any = None) -> Array:
        """Return each row's log-likelihood in the Gaussian model, of the modalities it has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats, of the original units and of whatever the row has. Constant columns have no
            density.
        """
        X = self._check(X, y)
        return self._model.log_density(X)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; checked only.

        Returns
        -------
        names : ndarray of str
            ``cca0``, ``cca1``, ...; with the modality's name before (``image__cca0``) for
            ``fusion="concat"``.
        """
        columns = super().get_feature_names_out(input_features)
        if self.fusion != "concat":
            return columns
        names = [f"{name}__{column}" for name in self.modality_names_in_ for column in columns]
        return np.asarray(names, dtype=object)

    @property
    def model_correlations_(self) -> Array:
        """Correlation of the projections of each pair of modalities in the distribution."""
        found = self._model.correlations()
        home = Home.of(self.eigenvalues_)
        return found if home is None else home.take(found)

    @property
    def model_shrinkage_(self) -> dict[str, float]:
        """Shrinkage with which each modality is predicted from the others."""
        return dict(zip(self.modality_names_in_, self._model.gaussian.shrinkages, strict=True))

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _varies(self, name: str) -> Array:
        return self._model.varies(name)

    def _invert(self, Z: Array, names: Sequence[str]) -> Parts:
        """Regress on fused projections."""
        scale = self._model.latent_scale() if self.fusion == "posterior" else None
        decoders = self._model.solution.decoders(self.fusion, scale)
        return {
            name: self._model.in_type(name, self._model.means[name] + Z @ decoder, Z.dtype)
            for name, decoder in zip(names, decoders, strict=False)
        }

    def _expect(self, X: Modalities, names: Sequence[str]) -> Parts:
        return self._as_type(self._model.completed(X, names), X)

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> Parts:
        return self._model.draw(n_samples, rng)

    def _draw_given(
        self, X: Modalities, names: Sequence[str], n_samples: int, rng: np.random.RandomState
    ) -> list[Parts]:
        draws = (self._model.complete(X, names, rng) for _ in range(n_samples))
        return [self._as_type(parts, X) for parts in draws]

    def _as_type(self, parts: Parts, X: Modalities) -> Parts:
        dtype = _dtype(X)
        return {name: self._model.in_type(name, part, dtype) for name, part in parts.items()}

    def _fit_checked(self, X: Modalities, known: Estimated | None = None) -> Self:
        """Fit to modalities that have been checked and flattened already.

        The distribution of rows with gaps may be known already.
        """
        X = read_modalities(self, X, reset=True, min_samples=2)
        return self._fit_modalities(X, None, known)

    def _fit_modalities(
        self, X: Modalities, sample_weight: Any, known: Estimated | None = None
    ) -> Self:
        self._moments = None
        shrinkages, gaussian = self._shrinkages(), None
        rows = self._rows(X, sample_weight)
        weight, shared = rows.weight, shared_rows(X, rows.weight)
        check_alignable(X.names, shared)
        route = self._route_of_complete(X, rows, shrinkages)
        if incomplete := route is None:
            columns = column_statistics(X, self._schema, weight)  # refuses empty ones
            check_varying(list(columns), [int(one.varies.sum()) for one in columns.values()])
            known = known or estimate(X, rows, self.scale)
            gaussian = known.predicting
            shrinkages = analytic_shrinkages(X, gaussian, shrinkages, rows, self.scale)
            route = self._route(typical_rows(known.aligning), shrinkages)
        wanted = self.n_components
        if wanted == "auto":
            model = clone(self).set_params(n_components=None, modalities=None)
            wanted = n_beyond_chance(model, X, weight, self.random_state)
        self._solve(route, shared, wanted, gaussian)
        if incomplete:
            self._set_correlations(PairSums.of_rows(self._model, X, weight), shared)
        return self

    def _route_of_complete(
        self, X: Modalities, rows: Rows, shrinkages: Sequence[float | str]
    ) -> Route | None:
        """Return the route of the rows, or None if they have gaps."""
        if missing_mask(X).any():
            return None
        try:
            return self._route(rows, shrinkages)
        except GapsError:
            return None

    def _route(self, rows: Rows, shrinkages: Sequence[float | str]) -> Route:
        return choose_route(
            rows, shrinkages, self.scale, self.solver,
            n_components=self.n_components, objective=self.objective,
            random_state=self.random_state,
        )  # fmt: skip

    def _fit_in_pieces(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Fit by the moments of data that stay where they are."""
        self._check_moments_serve("Data that do not lie in memory are read once, for their moments")
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        check_rows(X, y, weight)
        first = self._piece_rows(head(X, y, weight), reset=True)
        start = Moments.around(first.shifts())
        moments = sum_pieces(X, y, weight, partial(_add_piece, self), start)
        if moments.n_rows < 2:
            raise ValueError("fit needs two rows or more.")
        self._moments = None
        return self._solve_moments(moments)

    def _piece_rows(self, piece: Piece, *, reset: bool) -> Rows:
        X = check_anywhere(
            self, piece.X, piece.y, reset=reset, min_modalities=2, flatten=True, min_samples=1,
            accept_sparse=True, allow_partial=True,
        )  # fmt: skip
        self._check_complete_set(X)
        if has_gaps(X):
            raise ValueError(
                "partial_fit and data that do not lie in memory need complete rows: leave out the "
                "incomplete ones, or give all rows to fit as arrays."
            )
        return self._rows(X, piece.weight)

    def _check_moments_serve(self, reason: str) -> None:
        if self.solver == "svd" or self.n_components == "auto":
            raise ValueError(
                f"{reason}: they cannot serve solver='svd' or n_components='auto'. Use "
                "solver='auto' and a number."
            )

    def _rows(self, X: Modalities, sample_weight: Any) -> Rows:
        if sample_weight is not None:
            options: dict[str, Any] = {"dtype": np.float64, "ensure_non_negative": True}
            sample_weight = check_weight(to_numpy(sample_weight), len(X), **options)
        return rows_of(X, sample_weight)

    def _shrinkages(self) -> list[float | str]:
        names = self.modality_names_in_
        if not isinstance(self.shrinkage, Mapping):
            return [self.shrinkage] * len(names)
        if unknown := [name for name in self.shrinkage if name not in names]:
            raise ValueError(
                f"shrinkage names {unknown!r}, but the modalities are {names!r}: use these names."
            )
        values = [self.shrinkage.get(name, 0.0) for name in names]
        for name, value in zip(names, values, strict=True):
            if value != "auto" and not _SHARE.is_satisfied_by(value):
                raise ValueError(
                    f"shrinkage of modality {name!r} must be in [0, 1] or 'auto', got {value!r}."
                )
        return values

    def _solve_moments(self, moments: Moments) -> Self:
        route = MomentRoute(moments, self._shrinkages(), self.scale)
        self._solve(route, np.full((len(route.ranks),) * 2, moments.n_rows), self.n_components)
        return self

    def _solve(
        self,
        route: Route,
        shared: Array,
        n_components: int | str | None,
        gaussian: Gaussian | None = None,
    ) -> Self:
        """Solve and set all fitted attributes."""
        names = self.modality_names_in_
        additive = self.objective == "maxvar" and len(names) > 2
        k = check_n_components(n_components, names, route.ranks, additive=additive)
        check_shared_rows(names, route.ranks, route.shrinkages, shared)
        if inexact := [names[m] for m in route.inexact]:
            warnings.warn(
                f"Modalities {inexact!r} are too ill-conditioned for covariances, which lose "
                "digits: use solver='auto' or 'svd' in fit, or shrinkage.",
                stacklevel=4,
            )
        priority = sorted(range(len(names)), key=names.__getitem__)
        solution = solve(route, k, self.objective, self.solver, self.random_state, priority)
        scales = route.scales if self.scale else [np.ones_like(s) for s in route.scales]
        self.n_components_ = k
        self.means_ = dict(zip(names, route.means, strict=True))
        self.scales_ = dict(zip(names, scales, strict=True))
        self.shrinkage_ = dict(zip(names, route.shrinkages, strict=True))
        self.weights_ = dict(zip(names, solution.weights, strict=True))
        self.eigenvalues_ = solution.eigenvalues
        self.pairwise_correlations_ = solution.correlations()
        loadings, covariances = solution.loadings(), solution.covariances()
        self.loadings_ = self._named(loadings)
        self.projection_covariances_ = self._named(covariances)
        self.canonical_correlations_ = _mean_over_pairs(self.pairwise_correlations_)
        found = gaussian or distribution(route, self.scale)
        self._model = Model(names, self.means_, solution, found)
        return self

    def _named(self, values: Sequence[Array]) -> dict[str, Any]:
        """Return what belongs to the columns of each modality, named if `fit` saw names."""
        found: dict[str, Any] = dict(zip(self.modality_names_in_, values, strict=True))
        for name, index in self._schema.columns.items():
            if index is not None:
                found[name] = pd.DataFrame(found[name], index, super().get_feature_names_out())
        return found

    def _set_correlations(self, sums: PairSums, shared: Array) -> None:
        """Set the correlations of training rows, some of which lack a modality."""
        self.pairwise_correlations_ = sums.correlations(shared)
        self.canonical_correlations_ = _mean_over_pairs(self.pairwise_correlations_)

    def _check(self, X: Any, y: Any = None, **options: Any) -> Modalities:
        check_is_fitted(self)
        X = check_anywhere(
            self, X, y, reset=False, min_modalities=2, flatten=True, accept_sparse=True,
            allow_partial=True, **options,
        )  # fmt: skip
        return refuse_sparse_gaps(X)

    def _check_complete_set(self, X: Modalities) -> None:
        if absent := [name for name in self.modality_names_in_ if name not in X]:
            raise ValueError(f"Every piece needs every modality; {absent!r} are not in X.")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _add_piece(model: CCA, piece: Piece, moments: Moments) -> Moments:
    return model._piece_rows(piece, reset=False).add_to(moments)


def _mean_over_pairs(correlations: Array) -> Array:
    """Return the mean (k,) over the pairs of modalities that have a correlation."""
    return np.nanmean(correlations[:, *np.triu_indices(correlations.shape[1], 1)], axis=1)


def _dtype(X: Modalities) -> np.dtype:
    return np.result_type(*(X[name].dtype for name in X.names))
