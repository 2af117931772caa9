"""CCA of rows with gaps, against expectation-maximisation row by row and a block eigenproblem."""

import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skmm import CCA, GroupFactorAnalysis, Modalities
from skmm._gaussian import _distribution, _fit

WIDTHS = {"a": 3, "b": 2, "c": 2}
BLOCKS = {"a": slice(0, 3), "b": slice(3, 5), "c": slice(5, 7)}
HOW = ["modalities", "entries", "both"]


def make(n=50, widths=None, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return {
        name: (z @ rng.standard_normal((2, d)) + rng.standard_normal((n, d))) * 10.0**m + 3.0
        for m, (name, d) in enumerate((widths or WIDTHS).items())
    }


def with_gaps(data, how, seed=1):
    """Return modalities of which something is missing, and their columns side by side."""
    rng, X = np.random.default_rng(seed), Modalities(data)
    if how in ("modalities", "both"):
        X = X.with_gaps(0.3, random_state=rng)
    if how in ("entries", "both"):
        X = X.with_gaps(0.05, mechanism="entries", random_state=rng)
    missing = zip(X.names, X.missing.to_numpy().T, strict=True)
    return X, np.hstack([np.where(gone[:, None], np.nan, X[name]) for name, gone in missing])


def units(rows, weights=None):
    """Return mean and deviation of what is observed of each column."""
    seen = ~np.isnan(rows)
    w = seen * (1.0 if weights is None else weights[:, None])
    filled = np.nan_to_num(rows)
    mean = (w * filled).sum(axis=0) / w.sum(axis=0)
    return mean, np.sqrt((w * (filled - mean) ** 2).sum(axis=0) / w.sum(axis=0))


def expectation(Z, mean, S, weights=None):
    """Return the next mean and covariance: a step of EM, a row at a time."""
    weights = np.ones(len(Z)) if weights is None else weights
    full, spread = Z.copy(), np.zeros_like(S)
    for i in np.flatnonzero(np.isnan(Z).any(axis=1)):
        z = Z[i]
        seen, gone = ~np.isnan(z), np.isnan(z)
        slope = np.linalg.solve(S[np.ix_(seen, seen)], S[np.ix_(seen, gone)])
        full[i, gone] = mean[gone] + (z[seen] - mean[seen]) @ slope
        spread[np.ix_(gone, gone)] += weights[i] * (
            S[np.ix_(gone, gone)] - S[np.ix_(gone, seen)] @ slope
        )
    new = weights @ full / weights.sum()
    return new, ((full - new).T * weights @ (full - new) + spread) / weights.sum()


def likeliest(Z, shrinkage, weights=None):
    """Return mean and S of the fixed point, of covariance (1 - c) S + c I."""
    d = Z.shape[1]
    mean, S, before = np.zeros(d), np.eye(d), np.inf
    while np.abs(S - before).max() > 1e-8:
        before = S
        mean, S = expectation(Z, mean, (1 - shrinkage) * S + shrinkage * np.eye(d), weights)
    return mean, S


def generalised_cca(S, shrinkage):
    """Return eigenvalues and weights of unit variance, of a covariance in standardised columns."""
    deviation = np.sqrt(np.diag(S))
    S = S / np.outer(deviation, deviation)
    inside = [S[block, block] for block in BLOCKS.values()]
    R = [(1 - shrinkage) * part + shrinkage * np.eye(len(part)) for part in inside]
    B = linalg.block_diag(*R)
    A = S - linalg.block_diag(*inside) + B
    values, vectors = linalg.eigh(A, B)
    weights = []
    for part, block in zip(inside, BLOCKS.values(), strict=True):
        w = vectors[block, ::-1]
        variance = np.einsum("ik,ij,jk->k", w, part, w)
        weights.append(w / np.sqrt(variance) / deviation[block, None])
    return values[::-1], weights


@pytest.fixture
def converged(monkeypatch):
    """Let EM run to the end."""
    exact = partial(_fit.fit_normal, max_iter=2000)
    for module in (_fit, _distribution):
        monkeypatch.setattr(module, "fit_normal", lambda *a, **k: exact(*a, **(k | {"tol": 1e-13})))


def same_up_to_sign(found, expected, atol):
    signs = np.sign(np.sum(found * expected, axis=0))
    assert_allclose(found, expected * signs, atol=atol * np.abs(expected).max())


# The estimate


@pytest.mark.parametrize("shrinkage", [0.0, 0.2])
@pytest.mark.parametrize("how", HOW)
def test_directions_are_those_of_the_likeliest_moments(how, shrinkage, converged):
    X, rows = with_gaps(make(), how)
    cca = CCA(2, shrinkage=shrinkage).fit(X)
    mean, unit = units(rows)
    shift, S = likeliest((rows - mean) / unit, 1e-6)
    eigenvalues, weights = generalised_cca(S, shrinkage)
    assert_allclose(cca.eigenvalues_, eigenvalues[:2], rtol=1e-5)
    means = np.hstack(list(cca.means_.values()))
    assert_allclose((means - mean) / unit, shift, atol=1e-5)
    for name, W in zip(BLOCKS, weights, strict=True):
        same_up_to_sign(cca.weights_[name], W[:, :2] / unit[BLOCKS[name], None], 1e-4)


@pytest.mark.parametrize(("how", "weighted"), [*((how, False) for how in HOW), ("both", True)])
def test_expectations_are_those_of_the_penalised_estimate(how, weighted, converged):
    X, rows = with_gaps(make(), how)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, 50) if weighted else None
    cca = CCA(2).fit(X, sample_weight=weight)
    gaussian = cca._model.gaussian
    mean, unit = units(rows, weight)
    shift, S = likeliest((rows - mean) / unit, gaussian.shrinkage, weight)
    assert_allclose(gaussian.normal.covariance, S, atol=1e-5)
    assert_allclose((gaussian.mean - mean) / unit, shift, atol=1e-5)
    filled = cca.impute(X)
    for name, block in BLOCKS.items():
        c = cca.model_shrinkage_[name]
        Z = (rows - mean) / unit
        full = expectation_of_rows(Z, shift, (1 - c) * S + c * np.eye(7))
        expected = (mean + full * unit)[:, block]
        assert_allclose(filled[name], expected, rtol=1e-4, atol=1e-4 * unit[block].max())


def expectation_of_rows(Z, mean, S):
    """Return rows with their gaps filled."""
    found = Z.copy()
    for z in found:
        seen, gone = ~np.isnan(z), np.isnan(z)
        slope = np.linalg.solve(S[np.ix_(seen, seen)], S[np.ix_(seen, gone)])
        z[gone] = mean[gone] + (z[seen] - mean[seen]) @ slope
    return found


def test_sumcor_is_that_of_complete_rows_with_these_moments(converged):
    X, rows = with_gaps(make(), "both")
    cca = CCA(2, objective="sumcor", shrinkage=0.1, random_state=0).fit(X)
    mean, unit = units(rows)
    shift, S = likeliest((rows - mean) / unit, 1e-6)
    noise = np.random.default_rng(0).standard_normal((30, 7))
    Q = np.linalg.qr(noise - noise.mean(axis=0))[0] * np.sqrt(30)
    complete = (shift + Q @ np.linalg.cholesky(S).T) * unit + mean
    data = {name: complete[:, block] for name, block in BLOCKS.items()}
    expected = CCA(2, objective="sumcor", shrinkage=0.1, random_state=0).fit(data)
    assert_allclose(cca.eigenvalues_, expected.eigenvalues_, atol=1e-5)
    for name in BLOCKS:
        same_up_to_sign(cca.weights_[name], expected.weights_[name], 1e-3)


@pytest.mark.parametrize("objective", ["maxvar", "sumcor"])
@pytest.mark.parametrize("widths", [WIDTHS, {"a": 5, "b": 40, "c": 3}], ids=["tall", "wide"])
def test_a_gap_without_weight_changes_nothing(objective, widths):
    data = make(30, widths)
    expected = CCA(2, shrinkage="auto", objective=objective, random_state=0).fit(data)
    X = Modalities({name: np.vstack([x, x[:1]]) for name, x in data.items()})
    X = X.with_missing(["a"], rows=[30])
    weight = np.r_[np.ones(30), 0.0]
    cca = clone_of(expected).fit(X, sample_weight=weight)
    assert_allclose(cca.eigenvalues_, expected.eigenvalues_, atol=1e-8)
    assert_allclose(cca.model_correlations_, expected.model_correlations_, atol=1e-6)
    assert cca.model_shrinkage_ == pytest.approx(expected.model_shrinkage_)
    assert_allclose(cca.score_samples(data), expected.score_samples(data), rtol=1e-6)
    for name in data:
        same_up_to_sign(cca.weights_[name], expected.weights_[name], 1e-5)
        assert_allclose(
            cca.translate(data, name), expected.translate(data, name),
            atol=1e-5 * np.abs(data[name]).max(),
        )  # fmt: skip


def clone_of(model):
    return CCA(**model.get_params())


def test_more_columns_than_rows_in_their_small_dimension(converged):
    """The fixed point of EM over all columns, of which none is formed in fit."""
    widths = {"a": 5, "b": 40, "c": 3}
    X, rows = with_gaps(make(24, widths), "modalities")
    cca = CCA(2, shrinkage=0.3).fit(X)
    gaussian = cca._model.gaussian
    assert gaussian.normal.core.covariance.shape[0] < 24 + 5 + 3
    c, Z = gaussian.shrinkage, (rows - gaussian.mean) / gaussian.scale
    now = gaussian.normal.along(np.eye(48), c)
    shift, S = expectation(Z, np.zeros(48), now)
    assert_allclose(shift, 0.0, atol=1e-5)
    assert_allclose((1 - c) * S + c * np.eye(48), now, atol=1e-5)


def test_mixing_the_columns_of_a_modality_costs_no_correlation():
    """A prior on columns would: their mixtures have little variance in some directions."""
    rng = np.random.default_rng(0)
    root = np.sqrt([0.9, 0.8, 0.7])
    z, parts = rng.standard_normal((1200, 3)), {}
    for name in "abc":
        x = rng.standard_normal((1200, 8))
        x[:, :3] = root * z + np.sqrt(1 - root**2) * x[:, :3]
        parts[name] = x
    mixed = {name: x @ rng.standard_normal((8, 8)) for name, x in parts.items()}
    scores = []
    for data in (parts, mixed):
        X = Modalities(data)
        holes = X[:200].with_gaps(0.3, random_state=0)
        scores.append(CCA(3).fit(holes).score(X[200:]))
        alone = CCA(3).fit(holes[~holes.missing.to_numpy().any(axis=1)]).score(X[200:])
        assert scores[-1] > alone
    assert scores[1] == pytest.approx(scores[0], abs=0.01)


def test_incomplete_rows_predict_better_than_complete_ones_alone():
    better = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((1200, 2))
        X = Modalities({name: 0.7 * z @ rng.standard_normal((2, 6))
                        + rng.standard_normal((1200, 6)) for name in "abc"})  # fmt: skip
        train, test = X[:200].with_gaps(0.4, random_state=rng), X[200:]
        kept = ~train.missing.to_numpy().any(axis=1)
        errors = [
            sum(np.mean((test[to] - CCA().fit(rows).translate(test, to)) ** 2) for to in "abc")
            for rows in (train, train[kept])
        ]
        better += errors[0] < errors[1]
    assert better == 3


# What is known of the training rows


@pytest.mark.parametrize("how", HOW)
def test_projections_have_unit_variance_in_the_distribution_of_complete_rows(how):
    X, _ = with_gaps(make(), how)
    cca = CCA(2).fit(X)
    for name, W in cca.weights_.items():
        C = cca.projection_covariances_[name]
        assert_allclose(np.diag(W.T @ C), 1.0, rtol=1e-8)
        assert np.abs(cca.loadings_[name]).max() <= 1.0


@pytest.mark.parametrize("how", HOW)
def test_posterior_expects_what_is_missing_of_the_projections(how):
    X, _ = with_gaps(make(), how)
    cca = CCA(2, fusion="posterior").fit(X)
    filled = cca.impute(X)
    codes = [(filled[name] - cca.means_[name]) @ cca.weights_[name] for name in WIDTHS]
    rho = np.clip(cca.model_correlations_[:, *np.triu_indices(3, 1)].mean(axis=1), 0, 1)
    expected = np.sqrt(rho) * np.sum(codes, axis=0) / (1 + 2 * rho)
    assert_allclose(cca.transform(X), expected, atol=1e-8)
    whole = ~X.missing.to_numpy().any(axis=1)  # whatever the other rows lack
    assert_allclose(cca.transform(X[whole]), expected[whole], atol=1e-8)


def test_units_of_columns_do_not_change_directions(converged):
    X, _ = with_gaps({n: v * np.logspace(-3, 3, v.shape[1]) for n, v in make().items()}, "both")
    divided, plain = CCA(2).fit(X), CCA(2, scale=False).fit(X)
    for name, W in divided.weights_.items():
        deviations = np.sqrt(np.nanvar(X[name], axis=0))[:, None]
        same_up_to_sign(plain.weights_[name] * deviations, W * deviations, 1e-4)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"shrinkage": "auto", "fusion": "posterior"},
        {"objective": "sumcor", "random_state": 0},
        {"n_components": "auto", "random_state": 0},
    ],
    ids=str,
)
def test_every_method_takes_gaps(params):
    X, _ = with_gaps(make(), "both")
    cca = CCA(**params).fit(X)
    assert np.isfinite(cca.transform(X)).all()
    assert np.isfinite(cca.score_samples(X)).all()
    assert np.isfinite(cca.score(X))
    filled, (drawn,) = cca.impute(X), cca.sample(1, given=X, random_state=0)
    for name in WIDTHS:
        assert np.isfinite(filled[name]).all()
        seen = ~np.isnan(X[name]) & ~X.missing[[name]].to_numpy()
        assert_array_equal(drawn[name][seen], X[name][seen])


# Refusals and warnings


def test_modalities_without_common_rows():
    X = Modalities(make(200))
    apart = X.with_missing(["b"], rows=np.arange(100)).with_missing(["a"], rows=np.arange(100, 200))
    with pytest.raises(ValueError, match="Fewer than 2 rows have both 'a' and 'b'"):
        CCA(2).fit(apart.select(["a", "b"]))
    few = X.with_missing(["b"], rows=np.arange(90)).with_missing(["a"], rows=np.arange(95, 200))
    with pytest.warns(UserWarning, match="too many for 5 rows"):
        assert CCA("auto", random_state=0).fit(few).n_components_ >= 1


def test_what_a_pair_never_seen_together_has_in_common_is_told_by_the_third():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2000, 1))
    X = Modalities({name: z + 0.3 * rng.standard_normal((2000, 2)) for name in "abc"})
    apart = X.with_missing(["b"], np.arange(1000)).with_missing(["a"], np.arange(1000, 2000))
    with pytest.warns(
        UserWarning, match="both 'a' and 'b': what they have .* other modalities tell"
    ):
        cca = CCA(1).fit(apart)
    assert cca.model_correlations_[0, 0, 1] > 0.8
    truth = X["b"]
    error = np.mean((cca.translate(X.select(["a"]), "b") - truth) ** 2) / truth.var()
    assert error < 0.2


def test_a_column_without_an_entry_is_refused():
    data = make()
    data["b"][:, 1] = np.nan
    with pytest.raises(ValueError, match="'b' is NaN in every training row in 1 of its columns: 1"):
        CCA(2).fit(data)
    data["b"][:5, 1] = 1.0
    with pytest.raises(ValueError, match="'b' is NaN in every training row in 1 of its columns: 1"):
        CCA(2).fit(data, sample_weight=np.arange(50) >= 5)


@pytest.mark.parametrize("names", ["b", "abc"])
def test_a_constant_modality_with_gaps_is_refused(names):
    data = make() | {name: np.ones((50, 2)) for name in names}
    data["b"][:5] = np.nan
    with pytest.raises(ValueError, match=f"{names[0]!r} is constant: it has nothing to align"):
        CCA(1).fit(data)


def test_a_fold_that_lacks_a_column_leaves_the_others_to_judge():
    data = make(200)
    expected = (
        CCA("auto", random_state=0).fit(Modalities(data).with_missing("c", [0])).n_components_
    )
    data["a"] = np.c_[data["a"], np.full(200, np.nan)]
    data["a"][7, 3] = 1.0
    data["c"][0] = np.nan
    assert CCA("auto", random_state=0).fit(data).n_components_ == expected == 2


@pytest.mark.parametrize("how", HOW)
def test_a_search_chooses_how_to_align_rows_with_gaps(how):
    X, _ = with_gaps(make(90), how)
    y = np.asarray(X["c"])[:, 0] > 3.0 if how == "entries" else np.arange(90) % 3
    align = [CCA(2), GroupFactorAnalysis(2, max_iter=20, tol=1e-2)]
    pipeline = Pipeline([("align", CCA()), ("classify", LogisticRegression())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(pipeline, {"align": align}, cv=3, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (90,)
