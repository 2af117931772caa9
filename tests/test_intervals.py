"""Intervals: the formulas against NumPy and SciPy, and coverage of known answers."""

import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities
from skmm.compose import PerModality
from skmm.datasets import make_shared_latent
from skmm.inspection import correlation_intervals, loading_intervals

BOTH = (correlation_intervals, loading_intervals)
N_TIMES = {correlation_intervals: "n_repeats", loading_intervals: "n_bootstrap"}


def _arrays(n_samples=80, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n_samples, 2)) * [1.5, 0.8]
    a = z @ rng.standard_normal((2, 4)) + rng.standard_normal((n_samples, 4))
    b = z @ rng.standard_normal((2, 3)) + rng.standard_normal((n_samples, 3))
    return a * [1.0, 10.0, 0.1, 1.0] + 5, b


def _forms():
    """Return X, y and the parameters of CCA for each form of input."""
    a, b = _arrays()
    both = {"a": a, "b": b}
    frame = pd.concat({name: pd.DataFrame(value) for name, value in both.items()}, axis=1)
    selectors = {"a": slice(0, 4), "b": slice(4, 7)}
    return {
        "Modalities": (Modalities(both), None, {}),
        "dict": (both, None, {}),
        "two levels": (frame, None, {}),
        "columns": (np.hstack([a, b]), None, {"modalities": selectors}),
        "X and y": (a, b, {}),
    }


FORMS = _forms()


def _textbook(a, b, k):
    """Return the weights and correlations of CCA by QR and SVD."""
    (qa, ra), (qb, rb) = (np.linalg.qr(x - x.mean(axis=0)) for x in (a, b))
    U, rho, Vt = np.linalg.svd(qa.T @ qb)
    return np.linalg.solve(ra, U[:, :k]), np.linalg.solve(rb, Vt[:k].T), rho[:k]


def _column_correlations(u, v):
    return np.array([np.corrcoef(p, q)[0, 1] for p, q in zip(u.T, v.T, strict=True)])


def _loadings(a, b, k):
    wa, wb, _ = _textbook(a, b, k)
    parts = [np.corrcoef(x.T, (x @ w).T)[: x.shape[1], x.shape[1] :] for x, w in ((a, wa), (b, wb))]
    return np.vstack(parts)


# Held-out correlations ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_correlation_intervals_are_those_of_the_formula(form):
    X, y, params = FORMS[form]
    a, b = _arrays()
    table = correlation_intervals(
        CCA(2, **params), X, y, n_repeats=6, test_size=0.3, confidence=0.9, random_state=3
    )
    held_out = []
    for train, test in ShuffleSplit(6, test_size=24, random_state=3).split(a):
        wa, wb, _ = _textbook(a[train], b[train], 2)
        r = _column_correlations(a[test] @ wa, b[test] @ wb)
        held_out.append([*r, r.sum()])
    mean, sd = np.mean(held_out, axis=0), np.std(held_out, axis=0, ddof=1)
    margin = stats.t(5).ppf(0.95) * sd * np.sqrt(1 / 6 + 24 / 56)
    rho = _textbook(a, b, 2)[2]
    np.testing.assert_allclose(table["estimate"], mean)
    np.testing.assert_allclose(table["lower"], np.maximum(mean - margin, [-1, -1, -2]))
    np.testing.assert_allclose(table["upper"], np.minimum(mean + margin, [1, 1, 2]))
    np.testing.assert_allclose(table["training"], [*rho, rho.sum()])
    assert list(table.index) == [0, 1, "total"]


def test_several_modalities_are_averaged_over_pairs():
    X = make_shared_latent(
        120, correlations=[0.9, 0.6], n_features=(3, 4, 3), missing=0.1, random_state=0
    ).data
    cca = CCA(2)
    table = correlation_intervals(cca, X, n_repeats=3, random_state=0)
    expected = []
    for train, test in ShuffleSplit(3, test_size=60, random_state=0).split(np.empty(120)):
        codes = cca.fit(X[train]).transform_each(X[test])
        u = pd.concat({name: pd.DataFrame(code) for name, code in codes.items()}, axis=1)
        names = list(codes)
        pairs = [(names[i], names[j]) for i in range(3) for j in range(i)]
        expected.append([np.mean([u[p][k].corr(u[q][k]) for p, q in pairs]) for k in range(2)])
    np.testing.assert_allclose(table["estimate"].iloc[:2], np.mean(expected, axis=0))


def test_bounds_stay_possible():
    a, _ = _arrays(12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with so few rows all correlations are 1 in training
        table = correlation_intervals(CCA(3), a, a[:, ::-1] ** 3, n_repeats=3, random_state=0)
    limits = np.array([1, 1, 1, 3])
    assert (table["lower"] >= -limits).all()
    assert (table["upper"] <= limits).all()


def test_a_component_that_a_clone_lacks_counts_zero():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 2))
    b = np.column_stack([a[:, 0] + rng.standard_normal(40), np.zeros(40)])
    b[7, 1] = 1.0  # constant in the halves without row 7
    table = correlation_intervals(CCA(), a, b, n_repeats=8, random_state=0)
    expected = []
    for train, test in ShuffleSplit(8, test_size=20, random_state=0).split(a):
        if 7 in train:
            wa, wb, _ = _textbook(a[train], b[train], 2)
            expected.append(_column_correlations(a[test] @ wa, b[test] @ wb)[1])
    assert 0 < len(expected) < 8
    np.testing.assert_allclose(table.loc[1, "estimate"], np.sum(expected) / 8)


def test_clones_search_anew():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    search = GridSearchCV(CCA(1), {"shrinkage": [0.0, 0.9]}, cv=3)
    table = correlation_intervals(search, X, n_repeats=2, random_state=1)
    splits = ShuffleSplit(2, test_size=40, random_state=1).split(a)
    expected = [search.fit(X[train]).score(X[test]) for train, test in splits]
    np.testing.assert_allclose(abs(table.loc[0, "estimate"]), abs(np.mean(expected)))
    np.testing.assert_allclose(
        table.loc[0, "training"], search.fit(X).best_estimator_.canonical_correlations_[0]
    )


# Loadings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_loading_intervals_are_those_of_the_formula(form):
    X, y, params = FORMS[form]
    a, b = _arrays()
    table = loading_intervals(CCA(2, **params), X, y, n_bootstrap=5, confidence=0.9, random_state=3)
    cca = CCA(2).fit(a, b)
    reference = np.vstack(list(cca.loadings_.values()))
    replicates = []
    for seed in np.random.RandomState(3).randint(2**31 - 1, size=5):
        rows = np.random.RandomState(seed).randint(len(a), size=len(a))
        replicates.append(_brute_force_match(_loadings(a[rows], b[rows], 2), reference))
    sd = np.std(np.arctanh(replicates), axis=0, ddof=1)
    margin = stats.norm.ppf(0.95) * sd
    z = np.arctanh(reference)
    np.testing.assert_allclose(table["estimate"], reference.ravel())
    np.testing.assert_allclose(table["lower"], np.tanh(z - margin).ravel())
    np.testing.assert_allclose(table["upper"], np.tanh(z + margin).ravel())
    assert table["component"].tolist() == [0, 1] * 7
    assert table["modality"].nunique() == 2


def _brute_force_match(loadings, reference):
    candidates = [
        loadings[:, order] * signs
        for order in ([0, 1], [1, 0])
        for signs in ([1, 1], [1, -1], [-1, 1], [-1, -1])
    ]
    return max(candidates, key=lambda c: np.sum(c * reference))


def test_features_have_the_names_of_fit():
    a, b = _arrays(30)
    X = {"a": pd.DataFrame(a, columns=list("wxyz")), "b": b}
    table = loading_intervals(CCA(1), X, n_bootstrap=2, random_state=0)
    assert table["feature"].tolist() == [*"wxyz", "b[0]", "b[1]", "b[2]"]
    assert table["modality"].tolist() == ["a"] * 4 + ["b"] * 3


def test_loadings_do_not_depend_on_units_in_a_pipeline():
    a, b = _arrays()
    X, options = Modalities({"a": a, "b": b}), {"n_bootstrap": 4, "random_state": 0}
    pipeline = make_pipeline(PerModality(StandardScaler()), CCA(2))
    scaled, plain = (loading_intervals(est, X, **options) for est in (pipeline, CCA(2)))
    pd.testing.assert_frame_equal(scaled, plain, check_exact=False)


def test_replicates_of_lower_rank_have_what_they_can():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 2))
    b = np.column_stack([a[:, 0] + rng.standard_normal(40), np.zeros(40)])
    b[7, 1] = 1.0  # constant in a replicate without row 7
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=20)
    drawn = [7 in np.random.RandomState(seed).randint(40, size=40) for seed in seeds]
    assert 0 < sum(drawn) < 20
    asked, default = (
        loading_intervals(CCA(k), a, b, n_bootstrap=20, random_state=0) for k in (2, None)
    )
    assert asked.notna().all(axis=None)
    pd.testing.assert_frame_equal(asked, default)


def test_a_single_column_loads_by_one():
    a, b = _arrays()
    table = loading_intervals(CCA(1), a, b[:, :1], n_bootstrap=5, random_state=0)
    bounds = table.loc[table["modality"] == "y", ["estimate", "lower", "upper"]]
    np.testing.assert_allclose(bounds, np.full((1, 3), np.sign(bounds["estimate"].iloc[0])))


def test_the_number_of_columns_must_not_change():
    class Unsteady(BaseEstimator):
        """Give as many columns as there are distinct rows, up to a point."""

        def fit(self, X, y=None):
            n_distinct = len(np.unique(X["a"], axis=0))
            self.width_ = 3 if n_distinct == len(X) else 2
            return self

        def transform(self, X):
            return Modalities({"a": X["a"][:, : self.width_], "b": X["b"]})

    a, b = _arrays()
    with pytest.raises(ValueError, match="A replicate has 5 columns, the data have 6"):
        loading_intervals(make_pipeline(Unsteady(), CCA(1)), {"a": a, "b": b}, n_bootstrap=2)


# Both ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("intervals", BOTH)
def test_results_depend_on_the_seed_and_not_on_the_jobs(intervals):
    a, b = _arrays()

    def run(**options):
        return intervals(CCA(2), a, b, **{N_TIMES[intervals]: 4}, **options)

    with parallel_config(backend="threading"):
        parallel = run(random_state=0, n_jobs=2)
    pd.testing.assert_frame_equal(run(random_state=0), parallel)
    assert not run(random_state=0).equals(run(random_state=1))


@pytest.mark.parametrize("intervals", BOTH)
def test_the_estimator_is_left_alone(intervals):
    a, b = _arrays()
    unfitted, fitted = CCA(1), CCA(1).fit(*_arrays(seed=1))
    weights = fitted.weights_["X"].copy()
    options = {N_TIMES[intervals]: 2, "random_state": 0}
    pd.testing.assert_frame_equal(
        intervals(unfitted, a, b, **options), intervals(fitted, a, b, **options)
    )
    assert not hasattr(unfitted, "weights_")
    np.testing.assert_array_equal(fitted.weights_["X"], weights)


@pytest.mark.parametrize("intervals", BOTH)
def test_more_confidence_is_wider(intervals):
    a, b = _arrays()
    options = {N_TIMES[intervals]: 4, "random_state": 0}
    low, high = (intervals(CCA(2), a, b, confidence=c, **options) for c in (0.5, 0.9))
    assert (low["upper"] - low["lower"] < high["upper"] - high["lower"]).all()


@pytest.mark.parametrize("intervals", BOTH)
@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, np.nan])
def test_confidence_is_a_share(intervals, confidence):
    with pytest.raises(ValueError, match=r"confidence=.* must be between 0 and 1"):
        intervals(CCA(1), *_arrays(), confidence=confidence)


@pytest.mark.parametrize("intervals", BOTH)
@pytest.mark.parametrize("number", [1, 0, 2.5])
def test_one_repetition_has_no_spread(intervals, number):
    with pytest.raises(ValueError, match=f"{N_TIMES[intervals]}={number} must be an integer"):
        intervals(CCA(1), *_arrays(), **{N_TIMES[intervals]: number})


@pytest.mark.parametrize("test_size", [0, 1, 5, 1.5])
def test_test_size_is_a_share(test_size):
    with pytest.raises(ValueError, match=r"test_size=.* must be between 0 and 1"):
        correlation_intervals(CCA(1), *_arrays(), test_size=test_size)


def test_too_few_rows():
    with pytest.raises(ValueError, match=r"training part of 5 rows .* n_samples=2"):
        correlation_intervals(CCA(1), *_arrays(5))
    with pytest.raises(ValueError, match=r"held-out part of 20 rows .* n_samples=2"):
        correlation_intervals(CCA(1), *_arrays(20), test_size=0.1)
    with pytest.raises(ValueError, match="bootstrap has n_samples=2"):
        loading_intervals(CCA(1), *_arrays(2))


def test_estimators_without_correlations_are_refused():
    class Codes(BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def transform_each(self, X):
            return dict(X.items())

    a, b = _arrays()
    with pytest.raises(TypeError, match="Codes has no canonical_correlations_"):
        correlation_intervals(Codes(), {"a": a, "b": b})


@pytest.mark.parametrize("intervals", BOTH)
def test_bad_data_are_named(intervals):
    a, b = _arrays()
    b[3, 1] = np.inf
    with pytest.raises(ValueError, match="inf"):
        intervals(CCA(1), a, b)


# Coverage -----------------------------------------------------------------------------------------


def _simulated(n_samples, p, rho, seed, mixing=None):
    """Draw two modalities whose leading columns, before mixing, have the correlations rho."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n_samples, p))
    b[:, : len(rho)] = rho * a[:, : len(rho)] + np.sqrt(1 - rho**2) * b[:, : len(rho)]
    return (a, b) if mixing is None else (a @ mixing[0], b @ mixing[1])


def _population_correlations(wa, wb, rho):
    cross = np.sum(wa[: len(rho)] * rho[:, None] * wb[: len(rho)], axis=0)
    return cross / np.sqrt(np.sum(wa**2, axis=0) * np.sum(wb**2, axis=0))


def _expected_correlations(n_train, p, rho, n_fits):
    fits = (_textbook(*_simulated(n_train, p, rho, (1, seed)), len(rho)) for seed in range(n_fits))
    r = np.mean([_population_correlations(wa, wb, rho) for wa, wb, _ in fits], axis=0)
    return np.append(r, r.sum())


def _check_coverage(hits, at_least=0.90):
    """Reject if so few intervals would contain the answer once in 1000 simulations at 90 %."""
    hits = np.asarray(hits, dtype=float)
    fewest = stats.binom(len(hits), at_least).ppf(0.001)
    assert (hits.sum(axis=0) >= fewest).all(), hits.mean(axis=0)


def _correlation_hits(n_samples, p, rho, n_data, n_repeats):
    truth = _expected_correlations(n_samples // 2, p, rho, n_fits=1000)
    for seed in range(n_data):
        a, b = _simulated(n_samples, p, rho, seed)
        table = correlation_intervals(CCA(len(rho)), a, b, n_repeats=n_repeats, random_state=seed)
        yield (table["lower"] <= truth) & (truth <= table["upper"])


def _loading_hits(n_samples, p, rho, n_data, n_bootstrap):
    mixing = np.random.default_rng(5).standard_normal((2, p, p))
    k = len(rho)
    truth = np.vstack([(m[:k] / np.linalg.norm(m, axis=0)).T for m in mixing])
    for seed in range(n_data):
        a, b = _simulated(n_samples, p, rho, seed, mixing)
        table = loading_intervals(CCA(k), a, b, n_bootstrap=n_bootstrap, random_state=seed)
        estimate, lower, upper = (
            table[c].to_numpy().reshape(2 * p, k) for c in ("estimate", "lower", "upper")
        )
        same_sign = truth * np.where(np.sum(truth * estimate, axis=0) < 0, -1, 1)
        yield np.mean((lower <= same_sign) & (same_sign <= upper), axis=0)


def test_correlation_intervals_cover_few_rows_per_column():
    _check_coverage(list(_correlation_hits(100, 10, np.array([0.6]), 60, n_repeats=10)))


def test_loading_intervals_cover():
    _check_coverage(list(_loading_hits(300, 3, np.array([0.8, 0.4]), 30, n_bootstrap=20)))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p", "rho"), [(100, 10, [0.6]), (300, 5, [0.8, 0.5])])
def test_correlation_intervals_cover_in_the_long_run(n, p, rho):
    _check_coverage(list(_correlation_hits(n, p, np.array(rho), 400, n_repeats=50)))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "rho"), [(300, [0.8, 0.5]), (1000, [0.8, 0.5])])
def test_loading_intervals_cover_in_the_long_run(n, rho):
    _check_coverage(list(_loading_hits(n, 5, np.array(rho), 200, n_bootstrap=200)))
