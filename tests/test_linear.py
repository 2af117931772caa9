"""The linear part of deep estimators, against scikit-learn and brute force."""

import pickle
from collections import namedtuple
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold

from skmm import CCA, Modalities
from skmm._gaussian._distribution import complete_gaussian, fit_gaussian
from skmm._linear import _ridge
from skmm._linear._blend import (
    energy_distances,
    share_of_distances,
    share_of_numbers,
)
from skmm._linear._columns import MARK, Columns, fit_columns
from skmm._linear._late import fit_late
from skmm._linear._logistic import fit_logistic
from skmm._linear._pool import late_outputs, modality_weights, pool_weights, pooled
from skmm._linear._residuals import residual_normal
from skmm._linear._ridge import fit_ridge
from skmm.io import dump, load
from skmm.metrics import energy_score

Task = namedtuple("Task", "kind width")
Split = namedtuple("Split", "train valid")
NO_COLUMNS = Columns({}, None)


def rng():
    return np.random.RandomState(0)


def folds(n, n_splits=3):
    return [Split(*rows) for rows in KFold(n_splits, shuffle=True, random_state=0).split(range(n))]


def all_kinds(n=60):
    r = rng()
    z = r.standard_normal((n, 2))
    values = {
        "numbers": z @ r.standard_normal((2, 5)) + 100.0,
        "labels": (z[:, 0] > 0.8).astype(int) + (z[:, 0] > 0),
        "tokens": r.randint(0, 4, (n, 6)),
        "image": (z[:, :1, None, None] + r.standard_normal((n, 1, 3, 3))).astype(np.float32),
        "counts": r.poisson(2.0, (n, 3)),
    }
    kinds = {"labels": "categorical", "tokens": "tokens", "image": "image", "counts": "count"}
    return Modalities(values, kinds=kinds), {"labels": 3, "tokens": 4}


# Columns


def test_columns_of_all_kinds():
    X, n_classes = all_kinds()
    Z = fit_columns(X, n_classes).matrix(X)
    numbers = X["numbers"] - X["numbers"].mean(axis=0)
    assert_allclose(Z[:, :5], numbers / numbers.std(axis=0) / np.sqrt(5))
    labels = np.eye(3)[X["labels"]] - np.bincount(X["labels"]) / 60
    assert_allclose(Z[:, 5:8], labels / np.sqrt((labels**2).sum() / 60))
    ids = np.log1p([[(row == i).sum() for i in (1, 2, 3)] for row in X["tokens"]])  # 0 is padding
    assert_allclose(Z[:, 8:11], (ids - ids.mean(axis=0)) / ids.std(axis=0) / np.sqrt(3))
    pixels = X["image"].reshape(60, 9).astype(float)
    assert_allclose(Z[:, 11:20], (pixels - pixels.mean(0)) / pixels.std(0) / 3, atol=1e-6)
    assert Z.shape == (60, 23)
    ends = np.cumsum([5, 3, 3, 9, 3])
    assert_allclose([(part**2).sum() / 60 for part in np.split(Z, ends[:-1], axis=1)], 1.0)


def test_constant_columns_are_left_out_and_new_rows_kept_near():
    x = rng().standard_normal((30, 3))
    x[:, 1] = 7.0
    columns = fit_columns(Modalities({"x": x}), {})
    far = columns.matrix(Modalities({"x": x[:1] + 1e9}))
    highest = (x.max(axis=0) - x.mean(axis=0))[[0, 2]] / x.std(axis=0)[[0, 2]] + 1.0
    assert_allclose(far[0], highest / np.sqrt(2))


def gaps(X):
    X = X.with_missing("labels", [0, 1, 2]).with_missing("image", [2, 3, 50])
    values = dict(X.items())
    values["numbers"] = values["numbers"].copy()
    values["numbers"][4, 2] = np.nan
    return Modalities(values, missing=X.missing.to_numpy(), kinds=X.kinds)


def test_gaps_are_filled_by_the_normal_distribution_and_marked():
    X, n_classes = all_kinds()
    holes = gaps(X)
    columns = fit_columns(holes, n_classes)
    Z = columns.matrix(holes)
    assert columns.n_columns == Z.shape[1] == 25
    assert_allclose(Z[:, 23], MARK * (holes.missing["labels"] - 3 / 60))
    assert_allclose(Z[:, 24], MARK * (holes.missing["image"] - 3 / 60))
    blocks = [slice(0, 5), slice(5, 8), slice(8, 11), slice(11, 20), slice(20, 23)]
    width = np.sqrt(np.repeat([5, 3, 3, 9, 3], [5, 3, 3, 9, 3]))
    rows = Z[:, :23] * width
    rows[:3, 5:8] = rows[[2, 3, 50], 11:20] = rows[4, 2] = np.nan
    rows[[2, 3, 50], 11:20] = np.nan
    expected = fit_gaussian(rows, blocks).complete(rows)
    assert_allclose(Z[:, :23] * width, expected, atol=1e-8)


def test_rows_with_gaps_after_complete_training_rows():
    X, n_classes = all_kinds()
    columns = fit_columns(X, n_classes)
    Z = columns.matrix(X)
    new = columns.matrix(X.select(["labels", "counts"]))
    assert_allclose(new[:, 5:8], Z[:, 5:8])
    width = np.sqrt(np.repeat([5, 3, 3, 9, 3], [5, 3, 3, 9, 3]))
    rows = Z * width
    blocks = [slice(0, 5), slice(5, 8), slice(8, 11), slice(11, 20), slice(20, 23)]
    joint = complete_gaussian(rows, blocks).shrunk()
    rows[:, :5] = rows[:, 8:20] = np.nan
    assert_allclose(new * width, joint.complete(rows), atol=1e-8)
    assert np.abs(new[:, :5]).max() > 0.05


@pytest.mark.parametrize("d", [4, 30])
def test_complete_gaussian_is_that_of_em(d):
    rows = rng().standard_normal((20, 2)) @ rng().standard_normal((2, d))
    rows += 0.5 * rng().standard_normal(rows.shape)
    blocks = [slice(0, 2), slice(2, d)]
    found, known = complete_gaussian(rows, blocks).shrunk(), fit_gaussian(rows, blocks)
    assert_allclose(found.mean, known.mean, atol=1e-10)
    assert_allclose(found.shrinkages, known.shrinkages)
    directions = np.eye(d)[:, :4]
    assert_allclose(
        found.covariance_along(directions), known.covariance_along(directions), atol=1e-8
    )


def test_too_many_columns_are_filled_by_means(monkeypatch):
    monkeypatch.setattr("skmm._gaussian._distribution.MOST_COLUMNS", 10)
    X, n_classes = all_kinds()
    holes = gaps(X)
    Z = fit_columns(holes, n_classes).matrix(holes)
    assert_array_equal(Z[:3, 5:8], 0.0)
    assert Z[4, 2] == 0.0


def test_rows_of_weight_0_are_not_learnt_from():
    X, n_classes = all_kinds()
    weight = np.r_[np.ones(40), np.zeros(20)]
    found = fit_columns(gaps(X), n_classes, weight).matrix(X)
    assert_allclose(found, fit_columns(gaps(X)[:40], n_classes).matrix(X))


@pytest.mark.parametrize("with_gaps", [False, True])
def test_models_are_stored(tmp_path, with_gaps):
    X, n_classes = all_kinds()
    seen = gaps(X) if with_gaps else X
    columns = fit_columns(seen, n_classes)
    y = np.arange(60)[:, None] % 2  # the third class has no row
    model = fit_logistic(columns, columns.matrix(seen), y, [Task("classes", 3)]).model
    holder = CCA().fit({"a": rng().standard_normal((9, 2)), "b": rng().standard_normal((9, 2))})
    holder._linear = model
    dump(holder, tmp_path / "model.skmm")
    for again in (load(tmp_path / "model.skmm")._linear, pickle.loads(pickle.dumps(model))):
        assert_array_equal(again.outputs(gaps(X)), model.outputs(gaps(X)))


# Logistic regression


def classes(n=90, p=6, k=3, seed=0):
    r = np.random.RandomState(seed)
    Z = r.standard_normal((n, p))
    return Z, (Z[:, :k] + r.gumbel(size=(n, k))).argmax(axis=1)[:, None]


@pytest.mark.parametrize(("k", "p"), [(2, 6), (3, 150)])
def test_classes_are_scikit_learns(k, p):
    Z, y = classes(p=p, k=k)
    splits, task = folds(90), [Task("classes", k)]
    fit = fit_logistic(NO_COLUMNS, Z, y, task, splits)
    C = fit.penalties[0]
    model = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(Z, y[:, 0])
    logits = model.decision_function(Z)
    if k == 2:
        logits = np.column_stack([-logits / 2, logits / 2])
    assert_allclose(fit.model.outputs_of(Z), logits, atol=1e-5)
    losses = {}
    for c in np.logspace(-3.5, 4.5, 17):  # the whole grid with the finer steps
        outputs = np.zeros((90, k))
        for train, valid in splits:
            part = LogisticRegression(C=c, tol=1e-6, max_iter=10_000).fit(Z[train], y[train, 0])
            outputs[valid] = part.predict_log_proba(Z[valid])
        losses[c] = log_loss(y[:, 0], np.exp(outputs))
        if np.isclose(c, C):
            ours = fit.oof - np.logaddexp.reduce(fit.oof, axis=1, keepdims=True)
            assert_allclose(ours, outputs, atol=2e-3)
    assert_allclose(C, min(losses, key=losses.get))


def test_labels_are_a_regression_each():
    Z, y = classes()
    y = np.hstack([y > 0, y > 1, np.ones_like(y)]).astype(float)
    fit = fit_logistic(NO_COLUMNS, Z, y, [Task("labels", 3)], folds(90))
    for j in range(2):
        model = LogisticRegression(C=fit.penalties[0], tol=1e-10).fit(Z, y[:, j])
        assert_allclose(fit.model.outputs_of(Z)[:, j], model.decision_function(Z), atol=1e-5)
    assert_allclose(fit.model.outputs_of(Z)[:, 2], np.log(91))


def test_tasks_stand_side_by_side():
    Z, y = classes()
    tasks = [Task("classes", 3), Task("labels", 1)]
    both = fit_logistic(NO_COLUMNS, Z, np.hstack([y, y > 0]), tasks, folds(90))
    for j, block in enumerate([slice(0, 3), slice(3, 4)]):
        target = y if j == 0 else (y > 0).astype(int)
        one = fit_logistic(NO_COLUMNS, Z, target, tasks[j : j + 1], folds(90))
        assert_allclose(both.oof[:, block], one.oof)
        assert_allclose(both.model.outputs_of(Z)[:, block], one.model.outputs_of(Z))
        assert both.penalties[j] == one.penalties[0]


def test_held_out_rows_are_pooled():
    Z, y = classes()
    first, second = Split(np.arange(30, 90), np.arange(30)), Split(np.arange(0, 50), None)
    third = Split(np.r_[0:20, 50:90], np.arange(20, 50))
    task = [Task("classes", 3)]
    fit = fit_logistic(NO_COLUMNS, Z, y, task, [first, second, third])
    assert_array_equal(np.isnan(fit.oof).all(axis=1), np.arange(90) >= 50)
    assert not np.isnan(fit.oof[:50]).any()
    parts = {}
    for split in (first, third):
        model = LogisticRegression(C=fit.penalties[0], tol=1e-8, max_iter=10_000)
        parts[id(split)] = model.fit(Z[split.train], y[split.train, 0]).decision_function(Z)
    mean = (parts[id(first)] + parts[id(third)])[20:30] / 2
    assert_allclose(fit.oof[20:30], mean, atol=5e-3)


def test_no_folds_and_no_classes():
    Z, y = classes()
    task = [Task("classes", 3)]
    assert fit_logistic(NO_COLUMNS, Z, y, task).penalties == 1.0
    fit = fit_logistic(NO_COLUMNS, Z, np.ones_like(y), task, folds(90))
    chances = np.exp(fit.model.outputs_of(Z))
    assert_allclose(chances / chances.sum(axis=1, keepdims=True), [[1 / 93, 91 / 93, 1 / 93]] * 90)


def test_columns_that_say_nothing_leave_the_class_frequencies():
    _, y = classes()
    X = Modalities({"a": np.ones((90, 2))})
    columns = fit_columns(X, {})
    fit = fit_logistic(columns, columns.matrix(X), y, [Task("classes", 3)], folds(90))
    assert_allclose(softmax(fit.model.outputs(X), axis=1)[0], np.bincount(y[:, 0]) / 90, atol=1e-5)


def test_classes_that_a_fold_lacks_have_a_floor():
    Z, y = classes()
    y[y == 2] = 1
    y[:2] = 2
    splits = [Split(np.arange(2, 90), np.arange(10)), Split(np.r_[0:2, 10:90], np.arange(2, 10))]
    fit = fit_logistic(NO_COLUMNS, Z, y, [Task("classes", 3)], splits)
    chances = np.exp(fit.oof[:2])
    chances /= chances.sum(axis=1, keepdims=True)
    assert_allclose(chances[:, 2], 1 / (88 + 3))


def test_weights_are_repetitions_and_0_leaves_out():
    Z, y = classes()
    weight = rng().randint(0, 3, 90).astype(float)
    task = [Task("classes", 3)]
    fit = fit_logistic(NO_COLUMNS, Z, y, task, (), weight)
    mean = weight[weight > 0].mean()
    repeated = np.repeat(np.arange(90), weight.astype(int))
    model = LogisticRegression(C=1.0 / mean, tol=1e-10).fit(Z[repeated], y[repeated, 0])
    assert_allclose(fit.model.outputs_of(Z), model.decision_function(Z), atol=1e-5)
    fit = fit_logistic(NO_COLUMNS, Z, y, task, folds(90), weight)
    assert not np.isnan(fit.oof).any()


# Ridge regression


@pytest.mark.parametrize("p", [6, 60])
def test_a_single_target_is_ridge_cvs(p):
    r = rng()
    Z = r.standard_normal((30, p))
    y = Z[:, :1] + r.standard_normal((30, 1))
    fit = fit_ridge(NO_COLUMNS, Z, y)
    grid = ((Z - Z.mean(axis=0)) ** 2).sum() * _ridge.PENALTIES
    known = RidgeCV(grid).fit(Z, y[:, 0])
    assert_allclose(fit.penalties, known.alpha_)
    assert_allclose(fit.model.outputs_of(Z)[:, 0], known.predict(Z), atol=1e-8)
    left_out = [
        Ridge(known.alpha_).fit(np.delete(Z, i, 0), np.delete(y, i, 0)).predict(Z[[i]])[0]
        for i in range(30)
    ]
    assert_allclose(fit.left_out, np.reshape(left_out, (30, 1)), atol=1e-8)


def test_penalties_of_several_targets():
    errors = rng().uniform(1.0, 2.0, (5, 4))
    relative = errors / errors[-1]
    expected = (relative + relative.mean(axis=1, keepdims=True)).argmin(axis=0)
    assert_array_equal(_ridge.best_penalties(errors), expected)
    assert len(set(expected)) > 1


def test_ridge_out_of_fold_is_nested():
    r = rng()
    Z = r.standard_normal((40, 5))
    Y = Z @ r.standard_normal((5, 3)) + r.standard_normal((40, 3))
    weight = r.uniform(0.5, 2.0, 40) * (np.arange(40) > 3)
    fit = fit_ridge(NO_COLUMNS, Z, Y, folds(40), weight)
    for train, valid in folds(40):
        train = train[train > 3]
        own = fit_ridge(NO_COLUMNS, Z[train], Y[train], (), weight[train])
        assert_allclose(fit.oof[valid], own.model.outputs_of(Z[valid]), atol=1e-8)
    assert_array_equal(np.isnan(fit.left_out).all(axis=1), weight == 0)
    scaled = weight / weight[weight > 0].mean()
    model = Ridge(fit.penalties).fit(Z, Y, scaled)
    assert_allclose(fit.model.outputs_of(Z), model.predict(Z), atol=1e-8)
    rest = np.arange(40) != 7
    left = Ridge(fit.penalties).fit(Z[rest], Y[rest], scaled[rest]).predict(Z[[7]])
    assert_allclose(fit.left_out[7], left[0], atol=1e-8)


def test_targets_and_columns_without_variance():
    Z, Y = np.zeros((10, 2)), np.ones((10, 2))
    fit = fit_ridge(NO_COLUMNS, Z, Y, folds(10))
    assert_allclose(fit.oof, 1.0)
    assert_allclose(fit.model.outputs_of(Z), 1.0)
    with_signal = fit_ridge(NO_COLUMNS, rng().standard_normal((10, 2)), Y, folds(10))
    assert_allclose(with_signal.oof, 1.0)


# Residuals


@pytest.mark.parametrize(("n", "q"), [(30, 4), (6, 20)])
def test_residual_covariance_is_ledoit_wolfs(n, q):
    R = rng().standard_normal((n, 2)) @ rng().standard_normal((2, q))
    R = np.vstack([R + rng().standard_normal((n, q)), np.full((1, q), np.nan)])
    normal = residual_normal(R)
    assert len(normal.factor) == min(n, q)
    units = np.sqrt(np.nanmean(R**2, axis=0))
    known = LedoitWolf(assume_centered=True).fit(R[:-1] / units).covariance_
    found = normal.factor.T @ normal.factor * (1 - normal.shrinkage)
    found += normal.shrinkage * np.eye(q)
    assert_allclose(found, known, atol=1e-12)
    assert_allclose(normal.scale, units)
    draws = normal.draw(np.full((2, q), 5.0), rng(), 20_000)
    assert draws.shape == (20_000, 2, q)
    assert_allclose(np.cov(draws[:, 1].T), known * np.outer(units, units), atol=0.25)
    assert_allclose(draws.mean(axis=0), 5.0, atol=0.1)


# Shares of network and linear model


def outputs(n=80, q=3, seed=0):
    """Truth, and two predictions of which each knows a part."""
    r = np.random.RandomState(seed)
    a, b, noise = r.standard_normal((3, n, q))
    return a + b + 0.5 * noise, a, b


def test_shares_of_numbers_are_of_least_error():
    y, linear, network = outputs()
    network = network * [1.0, 0.5, 2.0]

    def errors(share):
        return ((y - (1 - share) * linear - share * network) ** 2).sum(axis=0)

    best = [
        minimize_scalar(lambda s, j=j: errors(s)[j] + errors(s).mean(), bounds=(0, 1)).x
        for j in range(3)
    ]
    joint = minimize_scalar(lambda s: errors(s).sum(), bounds=(0, 1)).x
    draws = []
    for seed in range(300):  # of the rows, for the variance
        rows = np.random.RandomState(seed).randint(0, 80, 80)
        apart, left = (network - linear)[rows], (y - linear)[rows]
        draws.append(np.sum(apart * left) / np.sum(apart**2))
    found = share_of_numbers(y, linear, network)
    assert_allclose(found, np.multiply(best, 1 - np.var(draws) / joint**2), rtol=2e-3)


def test_networks_that_know_nothing_have_no_share():
    y, linear, network = outputs(n=40)
    noise = np.random.RandomState(1).standard_normal((50, *y.shape))
    shares = [share_of_numbers(y, linear, linear + one) for one in noise]
    assert np.mean(shares) < 0.02
    assert np.median(shares) == 0.0
    assert_array_equal(share_of_numbers(y, linear, linear), 0.0)
    assert_array_equal(share_of_numbers(y, y, network), 0.0)
    assert_array_equal(share_of_numbers(y, linear, y), 1.0)


def logits(kind, n=300, seed=0):
    r = np.random.RandomState(seed)
    a, b = 2.0 * r.standard_normal((2, n, 3))
    truth = a + b + r.gumbel(size=a.shape)
    y = truth.argmax(axis=1)[:, None] if kind == "classes" else (truth > 0).astype(float)
    return y, a, b


def chances(kind, outputs, y):
    """Probability of what was true."""
    if kind == "classes":
        return np.take_along_axis(softmax(outputs, axis=1), y, axis=1)
    return np.where(y > 0, expit(outputs), expit(-outputs))


def energy_share(y, linear, network):
    return share_of_distances(energy_distances(y, linear, network))


def test_energy_share_is_of_least_score():
    r = rng()
    y = r.standard_normal((40, 2))
    linear = r.standard_normal((15, 40, 2))
    network = 0.8 * y + r.standard_normal((12, 40, 2)) + [1.0, 0.0]
    to_truth, within, between = energy_distances(y, linear, network)
    assert_allclose(to_truth[0] - within[0] / 2, energy_score(y, linear, per_row=True))
    assert_allclose(to_truth[1] - within[1] / 2, energy_score(y, network, per_row=True))

    def scores(s):  # of a draw of the mixture to the truth, less half between two of its draws
        pairs = (1 - s) ** 2 * within[0] + s**2 * within[1] + 2 * s * (1 - s) * between
        return (1 - s) * to_truth[0] + s * to_truth[1] - pairs / 2

    best = minimize_scalar(lambda s: scores(s).sum(), bounds=(0, 1)).x
    assert 0.2 < best < 0.95
    slopes = (scores(best + 0.01) - scores(best - 0.01)) / 0.02
    curvature = (scores(best + 0.1) - 2 * scores(best) + scores(best - 0.1)).sum() / 0.01
    variance = 40 / 39 * (slopes**2).sum() / curvature**2
    found = energy_share(y, linear, network)
    assert_allclose(found, best * (1 - variance / best**2), rtol=1e-4)
    assert energy_share(y, linear, linear + 5.0) == 0.0
    assert energy_share(y, linear + 5.0, y + 0.01 * network) > 0.95


# Pools


def late(kind, n=300, seed=3):
    """A target and outputs of three modalities, of which rows lack some."""
    y, a, b = logits(kind, n, seed)
    parts = np.stack([a, b, np.random.RandomState(4).standard_normal(a.shape)])
    seen = np.random.RandomState(5).uniform(size=(n, 3)) < 0.7
    seen[~seen.any(axis=1), 0] = True
    if kind == "numbers":
        y = a + 0.5 * b
    return y, parts, seen


def mean_loss(kind, outputs, y, weight):
    if kind == "numbers":
        return weight @ ((outputs - y) ** 2).mean(axis=1) / weight.sum()
    return -weight @ np.log(chances(kind, outputs, y)).mean(axis=1) / weight.sum()


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_pools_are_of_least_loss(kind):
    y, parts, _ = late(kind)
    weight = rng().uniform(0.5, 2.0, 300)
    worth = weight.sum() ** 2 / (weight**2).sum()
    at = np.array([0.25, 0.25, 0.5])
    found = pool_weights(kind, y, parts, at, weight)
    columns = range(3) if kind == "numbers" else [slice(None)]
    for j, weights in zip(columns, found.T, strict=True):

        def loss(w, j=j):
            outputs = np.tensordot(w, parts, 1)[:, np.atleast_1d(np.arange(3)[j])]
            truth = y[:, [j]] if kind == "numbers" else y
            return mean_loss(kind, outputs, truth, weight) + 20 / worth * ((w - at) ** 2).sum()

        best = minimize(loss, at, bounds=[(0, None)] * 3, tol=1e-12).x
        assert_allclose(weights, best, atol=2e-4)
    assert (found >= 0).all()
    pool = pooled(kind, parts, found)
    logs = log_softmax(parts, axis=2) if kind == "classes" else parts
    assert_allclose(pool, (found[:, None] * logs).sum(axis=0))


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_modalities_are_weighed_by_what_they_know(kind):
    y, parts, seen = late(kind)
    weight = rng().uniform(0.5, 2.0, 300)
    worth = weight.sum() ** 2 / (weight**2).sum()

    def outputs(w):
        logs = log_softmax(parts, axis=2) if kind == "classes" else parts
        return w.sum() * np.stack(
            [np.average(logs[s, i], axis=0, weights=w[s]) for i, s in enumerate(seen)]
        )

    def loss(w):
        return mean_loss(kind, outputs(w), y, weight) + 5 / worth * ((w - 1 / 3) ** 2).sum()

    best = minimize(loss, [1 / 3] * 3, bounds=[(1e-6, 5)] * 3, tol=1e-12).x
    found = modality_weights(kind, y, parts, seen, weight)
    assert_allclose(found, best, atol=1e-3)
    assert found[2] < found[1]
    assert_allclose(late_outputs(kind, parts, seen, found), outputs(found), atol=1e-12)
    assert_array_equal(late_outputs(kind, parts, seen & False, found), 0.0)


def test_outputs_that_say_the_contrary_leave_the_linear_model_alone():
    y, _, _ = logits("classes", 3000)
    sure = 3.0 * np.eye(3)[y[:, 0]]
    parts = np.stack([sure, -sure, -sure])
    found = pool_weights("classes", y, parts, (0.25, 0.25, 0.5), np.ones(3000))
    assert_array_equal(found, [[1.0], [0.0], [0.0]])
    assert_allclose(pooled("classes", [sure, None, None], found), log_softmax(sure, axis=1))


def test_models_of_single_modalities_see_the_rows_that_have_them():
    X, n_classes = all_kinds()
    X = gaps(X)
    y = (X["numbers"][:, :1] > 100.0).astype(int)
    columns, splits, task = fit_columns(X, n_classes), folds(60), Task("classes", 2)
    Z, seen = columns.matrix(X), columns.seen(X)
    fit = partial(fit_logistic, columns, target=y, tasks=[task], splits=splits)
    found = fit_late(
        columns, Z, seen, y, [task], lambda Z, weight: fit(Z=Z, weight=weight), np.ones(60)
    )
    here = ~X.missing["image"].to_numpy()
    block = columns.blocks()[3]
    alone = LogisticRegression(C=1e9, tol=1e-10)
    C = fit(Z=Z[:, block], weight=here.astype(float)).penalties[0]
    alone.set_params(C=C).fit(Z[here, block], y[here, 0])
    outputs = found.model.parts[3].outputs_of(Z[:, block])
    assert_allclose(outputs[:, 1] - outputs[:, 0], alone.decision_function(Z[:, block]), atol=1e-4)
    new = columns.seen(X.select(["labels", "counts"]))
    expected = seen.copy()
    expected[:, [0, 2, 3]] = False
    assert_array_equal(new, expected)
    each = np.stack(
        [p.outputs_of(Z[:, b]) for p, b in zip(found.model.parts, columns.blocks(), strict=True)]
    )
    assert_allclose(
        found.model.outputs_of(Z, seen),
        late_outputs("classes", each, seen, found.model.weights[0]),
    )
