"""The normal distribution behind CCA of complete rows, against formulas over all columns."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg
from scipy.stats import multivariate_normal

from skmm import CCA, Modalities
from skmm._cca import _sparse

NAMES = "abc"
SHAPES = {"tall": (60, (7, 5, 4)), "wide": (14, (20, 9, 17)), "pair": (40, (6, 5))}
STRENGTHS = np.logspace(-3, 6, 73)


def make(n, widths, seed=0):
    """Return modalities with two latent variables, of other units and offsets."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return {
        name: (z @ rng.standard_normal((2, d)) + rng.standard_normal((n, d))) * 10.0**m
        + rng.standard_normal(d)
        for m, (name, d) in enumerate(zip(NAMES, widths, strict=False))
    }


def units(data, scaled=True, weight=None):
    """Return the mean and the unit of all columns side by side."""
    mean = {name: np.average(x, axis=0, weights=weight) for name, x in data.items()}
    square = {n: np.average((x - mean[n]) ** 2, axis=0, weights=weight) for n, x in data.items()}
    if not scaled:  # one for all columns of a modality
        square = {n: np.full(len(s), s.mean()) for n, s in square.items()}
    return np.hstack(list(mean.values())), np.sqrt(np.hstack(list(square.values())))


def normal(data, shrinkage, scaled=True, weight=None):
    """Return mean and shrunk covariance of all columns, in their units."""
    mean, unit = units(data, scaled, weight)
    Z = (np.hstack(list(data.values())) - mean) / unit
    S = np.cov(Z.T, ddof=0, aweights=weight)
    return mean, ((1 - shrinkage) * S + shrinkage * np.eye(len(S))) * np.outer(unit, unit)


def columns(data, names):
    """Return which columns belong to these modalities."""
    return np.flatnonzero(
        np.repeat([n in names for n in data], [x.shape[1] for x in data.values()])
    )


def given(mean, S, seen, x, wanted):
    """Return expectation and covariance of columns given others, of rows x (n, seen)."""
    slope = np.linalg.solve(S[np.ix_(seen, seen)], S[np.ix_(seen, wanted)])
    rest = S[np.ix_(wanted, wanted)] - S[np.ix_(wanted, seen)] @ slope
    return mean[wanted] + (x - mean[seen]) @ slope, rest


def log_density(rows, mean, S):
    """Return the log-density of what each row has."""
    unit, found = np.sqrt(np.diag(S)), []  # units that differ would cost SciPy its digits
    for x in (rows - mean) / unit:
        seen = np.flatnonzero(~np.isnan(x))
        R = (S / np.outer(unit, unit))[np.ix_(seen, seen)]
        density = multivariate_normal(np.zeros(len(seen)), R).logpdf(x[seen])
        found.append(density - np.log(unit[seen]).sum())
    return np.array(found)


def generalised_cross_validation(X, Y, n):
    """Return the error of ridge regression with each strength, by its hat matrix."""
    errors = []
    distinct = len(np.unique(X.round(9), axis=0))
    if X.shape[1] >= distinct:  # repeated rows would be fitted exactly, and judge themselves
        return np.array(
            [np.mean((Y - H @ Y) ** 2) * Y.shape[1] / free**2 if free > 1e-3 else np.inf
             for v in STRENGTHS
             for H in [X @ np.linalg.solve(X.T @ X + v * np.eye(X.shape[1]), X.T) + 1.0 / n]
             for free in [1.0 - np.trace(H) / distinct]]
        )  # fmt: skip
    for v in STRENGTHS:
        hat = X @ np.linalg.solve(X.T @ X + v * np.eye(X.shape[1]), X.T) + 1.0 / n
        left = len(X) - np.trace(hat)
        usable = left > 1e-3 * n
        errors.append(np.sum((Y - hat @ Y) ** 2) / (left / n) ** 2 / n if usable else np.inf)
    return np.array(errors)


# Expectations


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_translate_is_ridge_regression(shape, scaled):
    data = make(*SHAPES[shape])
    X, new = Modalities(data), Modalities(make(10, SHAPES[shape][1], seed=1))
    n = len(X)
    cca = CCA(1, shrinkage=0.5, scale=scaled).fit(X)
    mean, unit = units(data, scaled)
    for to in data:
        shrinkage = cca.model_shrinkage_[to]
        for others in ({*data} - {to}, {next(n for n in data if n != to)}):
            seen, wanted = columns(data, others), columns(data, [to])
            x = np.hstack([data[name] for name in data if name in others])
            Z = (x - mean[seen]) / unit[seen]
            ridge = Z.T @ Z + n * shrinkage / (1 - shrinkage) * np.eye(len(seen))
            slope = np.linalg.solve(ridge, Z.T @ ((data[to] - mean[wanted]) / unit[wanted]))
            at = (np.hstack([new[name] for name in data if name in others]) - mean[seen]) / unit[
                seen
            ]
            expected = mean[wanted] + at @ slope * unit[wanted]
            names = [name for name in data if name in others]
            found = cca.translate(new.select(names), to)
            assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * unit[wanted].max())
    assert_array_equal(cca.translate(new, to), cca.translate(new.select([*data][:-1]), to))


def test_directions_have_no_part_in_expectations():
    data = make(*SHAPES["tall"])
    expected = CCA().fit(data)
    for params in ({"n_components": 1}, {"shrinkage": 1.0}, {"shrinkage": "auto"},
                   {"objective": "sumcor", "random_state": 0}, {"solver": "svd"}):  # fmt: skip
        model = CCA(**params).fit(data)
        assert_allclose(model.translate(data, "a"), expected.translate(data, "a"), rtol=1e-8)
        assert_allclose(model.score_samples(data), expected.score_samples(data), rtol=1e-8)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_shrinkage_is_chosen_by_generalised_cross_validation(shape, scaled, weighted):
    n, widths = SHAPES[shape]
    data = make(n, widths, seed=2)
    repeats = np.random.default_rng(3).integers(0, 4, n) if weighted else np.ones(n, dtype=int)
    cca = CCA(1, shrinkage=0.5, scale=scaled).fit(data, sample_weight=repeats if weighted else None)
    data = {name: np.repeat(x, repeats, axis=0) for name, x in data.items()}
    n = repeats.sum()
    mean, unit = units(data, scaled)
    Z = (np.hstack(list(data.values())) - mean) / unit
    total = 0.0
    for name in data:
        own = columns(data, [name])
        errors = generalised_cross_validation(np.delete(Z, own, axis=1), Z[:, own], n)
        total = total + errors
        v = STRENGTHS[errors.argmin()]
        assert cca.model_shrinkage_[name] == pytest.approx(v / (n + v), rel=1e-9)
    v = STRENGTHS[total.argmin()]
    assert cca._model.gaussian.shrinkage == pytest.approx(v / (n + v), rel=1e-9)


def test_what_is_shared_by_chance_is_not_predicted():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 40)), rng.standard_normal((30, 20))
    cca = CCA(1, shrinkage=0.5).fit(x, y)
    assert min(cca.model_shrinkage_.values()) > 0.9
    assert np.abs(cca.translate(rng.standard_normal((5, 40)), "y") - y.mean(axis=0)).max() < 0.3


def test_impute_fills_by_translation():
    data = make(*SHAPES["tall"])
    cca = CCA(3).fit(data)
    X = Modalities(data).with_missing(["a", "b"], rows=[2]).with_missing(["c"], rows=[4, 5])
    full = cca.impute(X)
    assert_allclose(full["a"][2], cca.translate(X[[2]].select(["c"]), "a")[0])
    assert_allclose(full["c"][[4, 5]], cca.translate(X[[4, 5]].select(["a", "b"]), "c"))
    assert_array_equal(full["a"][:2], data["a"][:2])
    assert cca.impute(X.select(["a", "c"]))["b"].shape == data["b"].shape
    filled = cca.fit(data["a"], data["b"]).impute(data["a"][:3])
    assert_array_equal(filled[0], data["a"][:3])
    assert_allclose(filled[1], cca.translate(data["a"][:3], "y"))


# Single gaps


@pytest.fixture(params=SHAPES)
def gappy(request):
    """Return a model of complete rows, rows with gaps side by side, and their modalities."""
    data = make(*SHAPES[request.param], seed=4)
    new = make(6, SHAPES[request.param][1], seed=5)
    rng = np.random.default_rng(6)
    for x in new.values():
        x[rng.uniform(size=x.shape) < 0.3] = np.nan
        x[:, 0] = 0.5  # something of each is there
    new["a"][0], new["b"][1] = np.nan, np.nan
    new["b"][2, 0] = np.nan
    return data, CCA(2, shrinkage=0.5).fit(data), new


def expected_rows(data, cca, rows, wanted, seen_names):
    """Return a modality, its gaps filled given the columns that a row has of some modalities."""
    mean, S = normal(data, cca.model_shrinkage_[wanted])
    found = rows.copy()
    for x in found:
        seen = np.intersect1d(np.flatnonzero(~np.isnan(x)), columns(data, seen_names))
        lacks = np.flatnonzero(np.isnan(x))
        x[lacks] = given(mean, S, seen, x[None, seen], lacks)[0][0]
    return found[:, columns(data, [wanted])]


def test_gaps_are_imputed_from_all_that_a_row_has(gappy):
    data, cca, new = gappy
    rows = np.hstack(list(new.values()))
    filled = cca.impute(new)
    for name in data:
        expected = expected_rows(data, cca, rows, name, list(data))
        assert_allclose(filled[name], expected, rtol=1e-7)
        observed = ~np.isnan(new[name])
        assert_array_equal(filled[name][observed], new[name][observed])


def test_translate_takes_what_is_there_of_the_others(gappy):
    data, cca, new = gappy
    for to in data:
        others = [name for name in data if name != to]
        kept = ~np.all([np.isnan(new[name]).all(axis=1) for name in others], axis=0)
        rows = np.hstack(list(new.values()))[kept]
        rows[:, columns(data, [to])] = np.nan
        expected = expected_rows(data, cca, rows, to, others)
        X = Modalities(new)[kept]
        assert_allclose(cca.translate(X, to), expected, rtol=1e-7)


def test_projections_fill_gaps_from_the_modality_itself(gappy):
    data, cca, new = gappy
    rows, codes = np.hstack(list(new.values())), cca.transform_each(new)
    for name in data:
        there = ~np.isnan(new[name]).all(axis=1)
        x = expected_rows(data, cca, rows[there], name, [name])
        expected = (x - cca.means_[name]) @ cca.weights_[name]
        assert_allclose(codes[name][there], expected, rtol=1e-7, atol=1e-8)
        assert np.isnan(codes[name][~there]).all()
    assert_allclose(cca.transform(new), np.nanmean(list(codes.values()), axis=0))


def test_density_of_what_a_row_has(gappy):
    data, cca, new = gappy
    distribution = normal(data, cca._model.gaussian.shrinkage)
    expected = log_density(np.hstack(list(new.values())), *distribution)
    assert_allclose(cca.score_samples(new), expected, rtol=1e-8)


# Densities and draws


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_score_samples_is_the_normal_density(shape, scaled):
    n, widths = SHAPES[shape]
    data, weight = make(n, widths), np.random.default_rng(1).uniform(0.5, 2.0, n)
    cca = CCA(2, shrinkage=0.3, scale=scaled).fit(data, sample_weight=weight)
    distribution = normal(data, cca._model.gaussian.shrinkage, scaled, weight)
    rows = np.hstack(list(data.values()))
    assert_allclose(cca.score_samples(data), log_density(rows, *distribution), rtol=1e-8)
    rows[np.ix_([0, 5], columns(data, ["a"]))] = np.nan
    incomplete = Modalities(data).with_missing(["a"], rows=[0, 5])
    assert_allclose(cca.score_samples(incomplete), log_density(rows, *distribution), rtol=1e-8)


def assert_drawn_from(rows, mean, S):
    """Compare moments of draws with those they should have, in units in which S is the identity."""
    Z = np.linalg.solve(np.linalg.cholesky(S), (rows - mean).T)
    n = Z.shape[1]
    assert np.abs(Z.mean(axis=1)).max() < 5 / np.sqrt(n)
    assert np.abs(np.cov(Z) - np.eye(len(Z))).max() < 5.5 * np.sqrt(2 / n)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_draws_have_the_moments_of_the_distribution(shape, scaled):
    data = make(*SHAPES[shape])
    cca = CCA(2, shrinkage=0.5, scale=scaled).fit(data)
    draws = cca.sample(20_000, random_state=0)
    mean, S = normal(data, cca._model.gaussian.shrinkage, scaled)
    assert_drawn_from(np.hstack(list(draws.values())), mean, S)


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_given_rows_have_the_conditional_moments(shape):
    data = make(*SHAPES[shape])
    cca = CCA(2, shrinkage=0.5).fit(data)
    mean, S = normal(data, cca._model.gaussian.shrinkage)
    names = [name for name in data if name != "b"]
    row = {name: data[name][:1].copy() for name in names}
    if shape != "wide":
        row["a"][0, 1] = np.nan  # a single gap
    (drawn,) = cca.sample(1, given={n: np.tile(x, (20_000, 1)) for n, x in row.items()},
                          random_state=0)  # fmt: skip
    x = np.hstack([row.get(name, np.full((1, data[name].shape[1]), np.nan)) for name in data])
    seen, lacks = (np.flatnonzero(mask) for mask in (~np.isnan(x[0]), np.isnan(x[0])))
    spread = given(mean, S, seen, x[:, seen], lacks)[1]
    filled = cca.impute(row)
    center = np.hstack([filled[name] for name in data])[0, lacks]
    found = np.hstack([drawn[name] for name in data])
    assert_drawn_from(found[:, lacks], center, spread)
    assert_array_equal(found[:, seen], np.tile(x[:, seen], (20_000, 1)))


def test_sample_completes_modalities():
    data = make(*SHAPES["tall"])
    X = Modalities(data).with_missing(["b"], rows=[1])
    first, second = CCA(2).fit(data).sample(2, given=X[:3], random_state=0)
    assert_array_equal(first["a"], data["a"][:3])
    assert_array_equal(first["b"][[0, 2]], data["b"][[0, 2]])
    assert not first.missing.to_numpy().any()
    assert np.all(first["b"][1] != second["b"][1])


# Correlations, and the latent variable behind them


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_correlations_of_projections_in_the_distribution(shape, scaled):
    data = make(*SHAPES[shape])
    cca = CCA(2, shrinkage=0.2, scale=scaled).fit(data)
    _, S = normal(data, cca._model.gaussian.shrinkage, scaled)
    parts = [columns(data, [name]) for name in data]
    for k in range(2):
        W = np.zeros((len(S), len(data)))
        for m, (name, own) in enumerate(zip(data, parts, strict=True)):
            W[own, m] = cca.weights_[name][:, k]
        C = W.T @ S @ W
        deviation = np.sqrt(np.diag(C))
        expected = C / np.outer(deviation, deviation)
        assert_allclose(cca.model_correlations_[k], expected, atol=1e-9)


def test_few_rows_flatter_the_training_correlations_alone():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 12)), rng.standard_normal((40, 12))
    cca = CCA(3).fit(x, y)
    assert cca.canonical_correlations_[0] > 0.8
    assert cca.model_correlations_[0, 0, 1] < 0.1


def test_posterior_is_that_of_bach_and_jordan():
    data = make(*SHAPES["pair"])
    cca = CCA(3, fusion="posterior").fit(data)
    rho = cca.model_correlations_[:, 0, 1]
    assert np.all(rho > 0)
    codes = cca.transform_each(data)
    both = np.sqrt(rho) * (codes["a"] + codes["b"]) / (1 + rho)
    assert_allclose(cca.transform(data), both, atol=1e-10)
    # What is missing takes its expectation in the distribution.
    expected = (cca.translate({"a": data["a"]}, "b") - cca.means_["b"]) @ cca.weights_["b"]
    one = np.sqrt(rho) * (codes["a"] + expected) / (1 + rho)
    assert_allclose(cca.transform({"a": data["a"]}), one, atol=1e-10)


def test_posterior_of_one_modality_is_its_projection_where_rows_are_many():
    data = make(20_000, (6, 5))
    cca = CCA(2, fusion="posterior").fit(data)
    rho, codes = cca.canonical_correlations_, cca.transform_each(data)["a"]
    assert_allclose(cca.transform({"a": data["a"]}), np.sqrt(rho) * codes, atol=5e-3)


# Sparse rows


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((60, 2))
    return {
        name: rng.poisson(0.3 * np.exp(z @ rng.standard_normal((2, d)))).astype(float)
        for name, d in (("a", 12), ("b", 9))
    }


@pytest.mark.parametrize("scaled", [True, False])
def test_sparse_rows_give_the_same_distribution(counts, scaled):
    X = {name: sp.csr_array(x) for name, x in counts.items()}
    cca, expected = (CCA(4, shrinkage=0.2, scale=scaled).fit(one) for one in (X, counts))
    assert cca.model_shrinkage_ == pytest.approx(expected.model_shrinkage_)
    assert_allclose(cca.score_samples(X), expected.score_samples(counts), rtol=1e-8)
    assert_allclose(cca.translate({"a": X["a"]}, "b"), expected.translate({"a": counts["a"]}, "b"))


@pytest.mark.parametrize("scaled", [True, False])
def test_what_an_iteration_knows_is_the_distribution(counts, scaled, monkeypatch):
    """S is exact along weights and covariances; along all others its variance is their mean."""
    monkeypatch.setattr(_sparse, "LARGEST_PRODUCTS", 10)
    X = {name: sp.csr_array(x) for name, x in counts.items()}
    cca = CCA(1, shrinkage=0.2, scale=scaled, random_state=0).fit(X)
    mean, unit = units(counts, scaled)
    Z = (np.hstack(list(counts.values())) - mean) / unit
    codes = np.hstack(list(cca.transform_each(X).values()))
    parts = [columns(counts, [name]) for name in counts]
    P, spare = np.zeros((21, 21)), np.zeros(21)
    for own, W in zip(parts, cca.weights_.values(), strict=True):
        known = np.hstack([W * unit[own, None], Z[:, own].T @ codes / len(Z)])
        Q = linalg.orth(known, rcond=1e-6)  # the third follows from the others
        assert Q.shape[1] == 2
        P[np.ix_(own, own)] = Q @ Q.T
        outside = Z[:, own] - Z[:, own] @ Q @ Q.T
        spare[own] = np.sum(outside**2) / len(Z) / (len(own) - 2)
    S = P @ Z.T @ Z @ P / len(Z) + spare * (np.eye(21) - P)
    shrunk = {c: (1 - c) * S + c * np.eye(21)
              for c in (cca._model.gaussian.shrinkage, cca.model_shrinkage_["b"])}  # fmt: skip
    joint, predicting = shrunk.values()
    density = multivariate_normal(np.zeros(21), joint).logpdf(Z) - np.log(unit).sum()
    assert_allclose(cca.score_samples(X), density, rtol=1e-6)
    expected = given(np.zeros(21), predicting, parts[0], Z[:, parts[0]], parts[1])[0]
    expected = expected * unit[parts[1]] + mean[parts[1]]
    assert_allclose(cca.translate({"a": X["a"]}, "b"), expected, atol=1e-6)
    draws = np.hstack([x.toarray() if sp.issparse(x) else x
                       for x in cca.sample(20_000, random_state=0).values()])  # fmt: skip
    assert_drawn_from((draws - mean) / unit, np.zeros(21), joint)
