"""The normal distribution of rows with gaps, against formulas and direct maximisation."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn import config_context

from skmm import CCA
from skmm._gaussian import _distribution, _fit
from skmm._gaussian._distribution import fit_gaussian
from skmm._gaussian._em import Prior, patterns, step
from skmm._gaussian._fit import fit_normal
from skmm._gaussian._mosaic import never_together
from skmm._gaussian._normal import shrunk
from skmm._gaussian._shrinkage import FIRST, STRENGTHS, column_errors, prediction_errors

BLOCKS = [slice(0, 2), slice(2, 4), slice(4, 7)]
TIGHT = {"max_iter": 20_000, "tol": 1e-15}


def _rows(n=60, d=7, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2)) @ rng.standard_normal((2, d)) + rng.standard_normal((n, d))
    return (X - X.mean(axis=0)) / X.std(axis=0)


def _gappy(n=60, seed=0, share=0.25, entries=0.08):
    rng = np.random.default_rng(seed + 100)
    X = _rows(n, seed=seed)
    for block in BLOCKS:
        X[rng.random(n) < share, block] = np.nan
    X[rng.random(X.shape) < entries] = np.nan
    return X


# What is maximised


def _objective(theta, rows, weights, prior):
    """Return minus the penalised log-likelihood of what rows have, and its gradient."""
    d = rows.shape[1]
    mean, L = theta[:d], np.zeros((d, d))
    L[np.tril_indices(d)] = theta[d:]
    S = L @ L.T
    inverse = np.linalg.inv(S)
    value = -prior / 2 * (np.linalg.slogdet(S)[1] + np.trace(inverse))
    by_mean, by_S = np.zeros(d), -prior / 2 * (inverse - inverse @ inverse)
    for row, weight in zip(rows, weights, strict=True):
        o = np.flatnonzero(~np.isnan(row))
        P, x = np.linalg.inv(S[np.ix_(o, o)]), row[o] - mean[o]
        value += weight * -0.5 * (len(o) * np.log(2 * np.pi) - np.linalg.slogdet(P)[1] + x @ P @ x)
        by_mean[o] += weight * P @ x
        by_S[np.ix_(o, o)] -= weight * 0.5 * (P - np.outer(P @ x, P @ x))
    return -value, -np.concatenate([by_mean, (2 * by_S @ L)[np.tril_indices(d)]])


@pytest.mark.parametrize("shrinkage", [0.0, 0.2])
def test_em_finds_the_maximum_of_the_penalised_likelihood(shrinkage):
    rows, weights = _gappy(), np.random.default_rng(1).uniform(0.5, 2.0, 60)
    found = fit_normal(rows, BLOCKS, shrinkage=shrinkage, weights=weights, **TIGHT)
    seen = ~np.isnan(rows).all(axis=1)
    prior = Prior.of(shrinkage, weights[seen].sum()).weight
    start = np.concatenate([np.zeros(7), np.eye(7)[np.tril_indices(7)]])
    options = {"gtol": 1e-9, "maxiter": 3000}
    best = minimize(_objective, start, (rows, weights, prior), jac=True, options=options)
    L = np.zeros((7, 7))
    L[np.tril_indices(7)] = best.x[7:]
    S = shrunk(found.covariance, shrinkage)
    assert_allclose(found.mean, best.x[:7], atol=1e-6)
    assert_allclose(S, L @ L.T, atol=1e-6)
    assert found.objectives[-1] == pytest.approx(-best.fun, abs=1e-6)


@pytest.mark.parametrize("shrinkage", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("n", [60, 200])
def test_the_objective_never_falls(shrinkage, n):
    found = fit_normal(_gappy(n), BLOCKS, shrinkage=shrinkage, max_iter=200, tol=0.0)
    assert np.diff(found.objectives).min() > -1e-9 * abs(found.objectives[-1])
    assert found.objectives[-1] > found.objectives[0] + 1


def test_without_gaps_the_moments_of_the_sample():
    rows = _rows() @ np.diag(np.arange(1.0, 8.0)) + 3.0
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(rows))
    found = fit_normal(rows, BLOCKS, weights=weights, tol=1e-14)
    assert_allclose(found.mean, np.average(rows, axis=0, weights=weights), atol=1e-10)
    assert_allclose(found.covariance, np.cov(rows.T, aweights=weights, ddof=0), atol=1e-10)
    assert found.converged


def test_rows_that_a_step_gathers_count_as_those_that_it_reads():
    rows = _gappy(300)
    mean, S = np.full(7, 0.1), np.eye(7) + 0.2
    at_once = step(patterns(rows, BLOCKS, np.ones(300)), mean, S, Prior(0.0))
    one_by_one = [p for row in rows for p in patterns(row[None], BLOCKS, np.ones(1))]
    each = step(one_by_one, mean, S, Prior(0.0))
    for found, expected in zip(at_once, each, strict=True):
        assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    rows = _gappy(200)
    order = np.random.default_rng(0).permutation(200)
    first, second = fit_gaussian(rows, BLOCKS), fit_gaussian(rows[order], BLOCKS)
    assert first.shrinkages == second.shrinkages
    assert_allclose(first.complete(rows), second.complete(rows), atol=1e-9)


def test_many_gaps_are_filled_some_rows_at_a_time():
    rows = np.random.default_rng(0).standard_normal((300, 200))
    rows[np.random.default_rng(1).uniform(size=rows.shape).argsort(axis=1) < 45] = np.nan
    peaks, found = [], []
    for memory in (1024, 8):
        with config_context(working_memory=memory):
            tracemalloc.start()
            found.append(fit_normal(rows, [slice(0, 200)], shrinkage=0.2, max_iter=2))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert_allclose(found[1].covariance, found[0].covariance, atol=1e-10)
    assert peaks[1] < peaks[0] / 2


def test_weights_are_repetitions():
    rows, times = _gappy(80), np.arange(80) % 4
    weighted = fit_gaussian(rows, BLOCKS, times.astype(float))
    repeated = fit_gaussian(np.repeat(rows, times, axis=0), BLOCKS)
    assert_allclose(weighted.shrinkages, repeated.shrinkages)
    assert_allclose(weighted.complete(rows), repeated.complete(rows), atol=1e-8)
    assert_allclose(weighted.log_density(rows), repeated.log_density(rows), atol=1e-8)


# What it says of rows


def _in_units(seed=0):
    """Return training rows in units, with a constant column, and other rows."""
    scales = np.array([1.0, 10.0, 0.1, 5.0, 1.0, 1e-3, 1e3])
    train, test = (_gappy(120, s) * scales + 7.0 for s in (seed, seed + 1))
    train[:, 6], test[:, 6] = np.where(np.isnan(train[:, 6]), np.nan, 4.0), np.nan
    test[0] = np.nan
    return train, test


def _covariance(gaussian, shrinkage):
    """Return the covariance in the units of the columns that vary."""
    scale = gaussian.scale[:6]
    return shrunk(gaussian.normal.covariance, shrinkage) * np.outer(scale, scale)


def test_rows_are_completed_by_their_conditional_means():
    train, test = _in_units()
    gaussian = fit_gaussian(train, BLOCKS)
    expected = test.copy()
    for row in expected:
        gap, o = np.isnan(row), np.flatnonzero(~np.isnan(row))
        for block, shrinkage in zip(BLOCKS, gaussian.shrinkages, strict=True):
            S, m = _covariance(gaussian, shrinkage), np.arange(7)[block]
            m = m[gap[m] & (m < 6)]
            slope = S[np.ix_(m, o)] @ np.linalg.inv(S[np.ix_(o, o)])
            row[m] = gaussian.mean[m] + slope @ (row[o] - gaussian.mean[o])
    expected[:, 6] = 4.0
    assert_allclose(gaussian.complete(test), expected, rtol=1e-9)
    some = gaussian.complete(test, [1])
    assert_array_equal(some[:, BLOCKS[1]], gaussian.complete(test)[:, BLOCKS[1]])
    assert_array_equal(some[:, BLOCKS[0]], test[:, BLOCKS[0]])


def test_the_density_is_that_of_what_rows_have():
    train, test = _in_units()
    gaussian = fit_gaussian(train, BLOCKS)
    S, expected = _covariance(gaussian, gaussian.shrinkage), np.zeros(len(test))
    for i, row in enumerate(test):
        o = np.flatnonzero(~np.isnan(row))
        if len(o):
            expected[i] = multivariate_normal(gaussian.mean[o], S[np.ix_(o, o)]).logpdf(row[o])
    assert_allclose(gaussian.log_density(test), expected, rtol=1e-9)


def test_draws_have_the_conditional_moments():
    train, _ = _in_units()
    gaussian = fit_gaussian(train, BLOCKS)
    row = train[~np.isnan(train).any(axis=1)][:1].copy()
    row[0, [1, 2, 3]] = np.nan
    n = 20_000
    drawn = gaussian.draw_given(np.repeat(row, n, axis=0), np.random.RandomState(0))
    gap, o = [1, 2, 3], [0, 4, 5]
    S = _covariance(gaussian, gaussian.shrinkage)
    left = S[np.ix_(gap, gap)] - S[np.ix_(gap, o)] @ np.linalg.solve(
        S[np.ix_(o, o)], S[np.ix_(o, gap)]
    )
    scale = np.sqrt(np.diag(left))
    away = (drawn[:, gap].mean(axis=0) - gaussian.complete(row)[0, gap]) / scale
    assert np.abs(away).max() < 4 / np.sqrt(n)
    assert_allclose(np.cov(drawn[:, gap].T) / np.outer(scale, scale),
                    left / np.outer(scale, scale), atol=6 / np.sqrt(n))  # fmt: skip
    assert_array_equal(drawn[:, [0, 4, 5, 6]], np.repeat(row[:, [0, 4, 5, 6]], n, axis=0))


def test_free_draws_have_its_moments():
    gaussian = fit_gaussian(_in_units()[0], BLOCKS)
    drawn = gaussian.draw(20_000, np.random.RandomState(0))
    S, scale = _covariance(gaussian, gaussian.shrinkage), gaussian.scale[:6]
    assert_array_equal(drawn[:, 6], 4.0)
    assert_allclose(np.cov(drawn[:, :6].T) / np.outer(scale, scale), S / np.outer(scale, scale),
                    atol=0.05)  # fmt: skip


# More columns than rows


def _wide(n=25, width=60):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, 2))
    X = z @ rng.standard_normal((2, 4 + width)) + rng.standard_normal((n, 4 + width))
    X[:6, 4:], X[6:10, :4] = np.nan, np.nan
    X[12, 2] = np.nan
    return X, [slice(0, 4), slice(4, 4 + width)]


@pytest.fixture
def to_the_end(monkeypatch):
    """Let EM run until rounding ends it, in either form."""
    monkeypatch.setattr(_fit, "fit_normal", partial(fit_normal, max_iter=3000, tol=1e-300))


def test_the_wide_form_is_the_dense_one(to_the_end, monkeypatch):
    X, blocks = _wide()
    wide = fit_gaussian(X, blocks)
    monkeypatch.setattr(_distribution, "_axes", lambda part, weights: None)
    dense = fit_gaussian(X, blocks)
    assert type(wide.normal) is not type(dense.normal)
    new = np.random.default_rng(1).standard_normal((8, X.shape[1]))
    new[0, 4:], new[1, :4], new[2, 10:20], new[3, [1, 7]] = np.nan, np.nan, np.nan, np.nan
    new[4, 5:] = np.nan
    assert_allclose(wide.shrinkages, dense.shrinkages)
    for rows in (X, new):
        assert_allclose(wide.complete(rows), dense.complete(rows), atol=1e-6)
        assert_allclose(wide.log_density(rows), dense.log_density(rows), rtol=1e-6)


def test_draws_of_the_wide_form_have_its_covariance(monkeypatch):
    X, blocks = _wide()
    gaussian = fit_gaussian(X, blocks)
    drawn = gaussian.draw(20_000, np.random.RandomState(0))
    monkeypatch.setattr(_distribution, "_axes", lambda part, weights: None)
    dense = fit_gaussian(X, blocks)
    S = shrunk(dense.normal.covariance, dense.shrinkage)
    found = np.cov(((drawn - gaussian.mean) / gaussian.scale).T)
    assert_allclose(found, S, atol=0.06)


# Shrinkage


def _hat_errors(X, Y, penalty):
    n = len(X)
    hat = X @ np.linalg.solve(X.T @ X + n * penalty * np.eye(X.shape[1]), X.T)
    return ((Y - hat @ Y) ** 2).sum() / n / (1 - (np.trace(hat) + 1) / n) ** 2


@pytest.mark.parametrize("t", [10, 35, 60])
def test_prediction_errors_are_those_of_the_hat_matrix(t):
    rows = _rows(40)
    X, Y = rows[:, :4], rows[:, 4:]
    found = prediction_errors(X.T @ X / 40, X.T @ Y / 40, (Y**2).sum() / 40, 40)
    assert found[t] == pytest.approx(_hat_errors(X, Y, STRENGTHS[t] / 40), rel=1e-10)


@pytest.mark.parametrize("t", [10, 35, 60])
def test_column_errors_are_those_of_the_hat_matrices(t):
    rows = _rows(40)
    others = [np.arange(7) != j for j in range(7)]
    expected = sum(_hat_errors(rows[:, o], rows[:, ~o], STRENGTHS[t] / 40) for o in others)
    assert column_errors(rows.T @ rows / 40, 40)[t] == pytest.approx(expected, rel=1e-10)


def test_each_modality_gets_the_shrinkage_that_predicts_it():
    rows = _rows(50)
    found = fit_gaussian(rows, BLOCKS)
    for block, shrinkage in zip(BLOCKS, found.shrinkages, strict=True):
        Y, X = rows[:, block], np.delete(rows, np.arange(7)[block], axis=1)
        best = min(STRENGTHS, key=lambda v, X=X, Y=Y: _hat_errors(X, Y, v / 50))
        assert shrinkage == pytest.approx(best / (50 + best))


def test_columns_judge_one_by_one_where_few_rows_have_all_of_them():
    rows = _rows(50)
    rows[:, 4:][np.random.default_rng(3).random((50, 3)) < 0.5] = np.nan
    blocks = [slice(0, 4), slice(4, 7)]
    X, known = rows[:, :4], ~np.isnan(rows[:, 4:])

    def error(v):
        total = 0.0
        for j in range(3):
            A, y = (part[known[:, j]] for part in (X, rows[:, [4 + j]]))
            scale = rows[known[:, j], 4 + j].std()
            A, y = A - A.mean(axis=0), (y - y.mean(axis=0)) / scale
            total += _hat_errors(A, y, v / len(A))
        return total

    best = min(STRENGTHS, key=error)
    assert fit_gaussian(rows, blocks).shrinkages[1] == pytest.approx(best / (50 + best))


# Where nothing can be learned


def test_modalities_that_are_never_seen_together_stay_finite():
    rows = _rows(60)
    rows[:30, BLOCKS[0]], rows[30:, BLOCKS[2]] = np.nan, np.nan
    seen = np.column_stack([~np.isnan(rows[:, block]).all(axis=1) for block in BLOCKS])
    assert never_together(seen) == [(0, 2)]
    gaussian = fit_gaussian(rows, BLOCKS)
    assert np.isfinite(gaussian.complete(rows)).all()
    # Without a third modality one says nothing of the other.
    two = rows[:, [0, 1, 4, 5, 6]]
    filled = fit_gaussian(two, [slice(0, 2), slice(2, 5)]).complete(two)
    assert_allclose(filled[30:, 2:], np.tile(two[:30, 2:].mean(axis=0), (30, 1)), atol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_few_rows_stay_finite(n):
    rows = _rows(60)[:n].copy()
    rows[0, BLOCKS[1]] = np.nan
    gaussian = fit_gaussian(rows, BLOCKS)
    new = _gappy(20)
    assert np.isfinite(gaussian.complete(new)).all()
    assert np.isfinite(gaussian.log_density(new)).all()
    assert np.isfinite(gaussian.draw_given(new, np.random.RandomState(0))).all()


def test_an_unbounded_likelihood_is_penalised():
    few = _rows(60)[:5]
    rare = _rows(50)
    rare[3:, BLOCKS[2]] = np.nan
    for rows in (few, rare):
        found = fit_normal(rows, BLOCKS, max_iter=3000)
        assert found.shrinkage == _fit.LEAST
        assert found.converged
        assert np.isfinite(found.objectives).all()
        assert np.diff(found.objectives).min() > -1e-9
    assert fit_normal(_gappy(60), BLOCKS).shrinkage == 0


def test_one_modality_and_one_that_is_constant():
    rows = _gappy(80)
    alone = fit_gaussian(rows, [slice(0, 7)])
    assert 0 < alone.shrinkage < 1
    assert np.isfinite(alone.complete(rows)).all()
    rows[:, BLOCKS[0]] = np.where(np.isnan(rows[:, BLOCKS[0]]), np.nan, 2.0)
    constant = fit_gaussian(rows, BLOCKS)
    assert_array_equal(constant.complete(rows)[:, BLOCKS[0]], 2.0)


@pytest.mark.parametrize("gaps", [False, True])
def test_weights_of_about_one_row_leave_the_usual_shrinkage(gaps):
    rng = np.random.default_rng(0)
    X = {name: rng.standard_normal((40, 3)) for name in "ab"}
    if gaps:
        X["a"][:5] = np.nan
    cca = CCA(1).fit(X, sample_weight=np.full(40, 1 / 40))
    assert cca.model_shrinkage_ == {"a": FIRST, "b": FIRST}


@pytest.mark.parametrize("repeats", [np.full(30, 2), np.r_[2, 2, np.ones(28, int)]])
def test_repeated_rows_of_many_columns_do_not_look_interpolated_well(repeats):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((30, 2))
    X = {n: z @ rng.standard_normal((2, 60)) + 2.0 * rng.standard_normal((30, 60)) for n in "ab"}
    once = CCA(1, shrinkage=0.5).fit(X).model_shrinkage_
    repeated = {name: np.repeat(x, repeats, axis=0) for name, x in X.items()}
    for cca in (
        CCA(1, shrinkage=0.5).fit(repeated),
        CCA(1, shrinkage=0.5).fit(X, sample_weight=repeats),
    ):
        for name, c in cca.model_shrinkage_.items():
            assert c > 0.5 * once[name] > 0.05
