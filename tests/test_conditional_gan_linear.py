"""The linear part of ConditionalGAN: its share, exact where it has all, and rows with gaps."""

import warnings

import numpy as np
import pytest
from scipy.special import ndtri
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from skmm import ConditionalGAN, Modalities
from skmm._conditional_gan._linear import of_probabilities
from skmm._linear._ridge import fit_ridge
from skmm.baselines import RidgeSampler
from skmm.io import dump, load
from skmm.metrics import interval_coverage

FAST = {"hidden_layer_sizes": (8,), "max_epochs": 2, "cv": 3, "random_state": 0}
USELESS = {**FAST, "lr": 1e-9}  # networks that stay at their start


def linear_data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    return x, 10 + x @ [[1.0, 0.0], [0.0, 20.0], [0.0, 0.0]] + rng.standard_normal((n, 2)) * [
        0.5,
        9,
    ]


@pytest.fixture(scope="module")
def linear():
    """Return a fit that is all linear, its data, and scikit-learn's regressions with residuals."""
    x, y = linear_data()
    model = ConditionalGAN(**USELESS).fit(x, y)
    Z = (x - x.mean(axis=0)) / x.std(axis=0) / np.sqrt(3)
    scaled = (y - y.mean(axis=0)) / y.std(axis=0)
    columns = model._linear.model.columns
    alphas = fit_ridge(columns, Z, scaled).penalties
    ridges = [Ridge(alpha).fit(Z, column) for alpha, column in zip(alphas, y.T, strict=True)]
    left = [
        column - cross_val_predict(ridge, Z, column, cv=LeaveOneOut())
        for ridge, column in zip(ridges, y.T, strict=True)
    ]
    return model, x, y, np.column_stack([r.predict(Z) for r in ridges]), np.array(left).T


def test_all_linear_predicts_as_ridge_regression(linear):
    model, x, _, expected, _ = linear
    assert model.linear_share_ == 1.0
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.transform(x), model.predict(x))


def test_all_linear_draws_have_the_residuals_of_rows_left_out(linear):
    model, x, _, expected, left = linear
    deviation = np.sqrt(np.mean(left**2, axis=0))
    at = np.quantile(ndtri((np.arange(128) + 0.5) / 128), 0.9)
    np.testing.assert_allclose(model.predict(x, 0.9), expected + at * deviation, rtol=1e-6)
    draws = model.sample(4000, given=x[:3], random_state=0)
    np.testing.assert_allclose(
        draws.mean(axis=1).mean(axis=0), expected[:3].mean(axis=0), rtol=0.02
    )
    np.testing.assert_allclose(draws.std(axis=0).mean(axis=0), deviation, rtol=0.03)


def test_a_mixture_has_the_shares_of_both(linear):
    model, x, _, expected, left = linear
    x = x[:2]
    network = model._fixed_draws(model._check(x)).mean(axis=1)
    before, model._share = model._share, 0.25
    try:
        found, median = model.predict(x), model.predict(x, "median")
        draws = model.sample(8000, given=x, random_state=0)
    finally:
        model._share = before
    np.testing.assert_allclose(found, 0.75 * expected[:2] + 0.25 * network, rtol=1e-6)
    spread = np.sqrt(np.mean(left**2, axis=0))
    assert (np.abs(draws.mean(axis=0) - found) < 0.1 * spread).all()
    assert (np.abs(np.median(draws, axis=0) - median) < 0.15 * spread).all()
    rows = model.sample(1, given=np.repeat(x[:1], 500, axis=0), random_state=0)[0]
    assert 0.9 < rows.std(axis=0)[0] / draws[:, 0].std(axis=0)[0] < 1.1  # rows are independent


def test_held_out_rows_and_their_score():
    x, y = linear_data(400)
    model = ConditionalGAN(**FAST).fit(x[:200], y[:200])
    assert model.held_out_.shape == (3, 200)
    assert (model.held_out_.sum(axis=0) == 1).all()
    assert abs(model.oof_score_ - model.score(x[200:], y[200:])) < 0.05
    assert 0.0 <= model.linear_share_ <= 1.0


def test_networks_take_over_where_they_know_more():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 1))
    y = 2 * x**2 + (0.05 + 0.2 * (x > 0)) * rng.standard_normal((600, 1))
    params = {**FAST, "hidden_layer_sizes": (32,), "max_epochs": 30, "lr": 0.02}
    model = ConditionalGAN(**params).fit(x[:400], y[:400])
    assert model.linear_share_ < 0.2
    ridge = RidgeSampler(random_state=0).fit(x[:400], y[:400])
    assert model.score(x[400:], y[400:]) > ridge.score(x[400:], y[400:]) + 0.1
    draws = model.sample(100, given=x[400:], random_state=0)
    assert abs(interval_coverage(y[400:], draws, level=0.8) - 0.8) < 0.08


def test_few_rows_of_many_columns_are_not_below_ridge():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((530, 3))
    x, y = (z @ rng.standard_normal((3, 30)) + rng.standard_normal((530, 30)) for _ in range(2))
    model = ConditionalGAN(**{**FAST, "max_epochs": 20}).fit(x[:30], y[:30])
    ridge = RidgeSampler(random_state=0).fit(x[:30], y[:30])
    assert model.score(x[30:], y[30:]) > ridge.score(x[30:], y[30:]) - 0.01


# Labels, bits and counts


def test_labels_are_those_of_logistic_regression():
    x, y = linear_data(120)
    label = np.array(["a", "b", "c"])[np.digitize(x[:, 0] + y[:, 0], [9, 11])]
    X = Modalities({"x": x, "label": label})
    model = ConditionalGAN(target="label", **USELESS).fit(X)
    share = model.linear_share_
    assert share > 0.8
    Z = (x - x.mean(axis=0)) / x.std(axis=0) / np.sqrt(3)
    chances = model._linear.expected(X)
    found = [LogisticRegression(C=C, tol=1e-8, max_iter=1000).fit(Z, label).predict_proba(Z)
             for C in np.logspace(-3, 4, 15)]  # fmt: skip
    assert min(np.abs(chances - p).max() for p in found) < 1e-4
    draws = model.sample(3000, given=X[:5], random_state=0)
    drawn = np.array([(draws == name).mean(axis=0) for name in "abc"]).T
    np.testing.assert_allclose(drawn, model.transform(X[:5]), atol=0.04)


@pytest.mark.parametrize("kind", ["binary", "categorical"])
def test_labels_are_drawn_with_their_probabilities(kind):
    p = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    uniform = np.random.default_rng(0).uniform(size=(20_000, 2, 3))
    drawn = of_probabilities(kind, p, uniform)
    np.testing.assert_allclose(drawn.mean(axis=0), p, atol=0.012)
    if kind == "categorical":
        assert (drawn.sum(axis=2) == 1).all()


def test_counts_and_bits_are_possible_values():
    x, _ = linear_data(80)
    rng = np.random.default_rng(0)
    X = Modalities(
        {"x": x, "n": rng.poisson(np.exp(x[:, :2])), "bits": x[:, :2] > 0}, kinds={"n": "count"}
    )
    counts = ConditionalGAN(target="n", **USELESS).fit(X)
    draws = counts.sample(50, given=X, random_state=0)
    np.testing.assert_array_equal(draws, np.round(draws).clip(min=0))
    assert (counts.predict(X) >= 0).all()
    bits = ConditionalGAN(target="bits", **USELESS).fit(X)
    assert set(np.unique(bits.sample(20, given=X, random_state=0))) == {0, 1}
    assert bits.transform(X).min() >= 0
    assert bits.transform(X).max() <= 1


# Gaps in the conditions


def two_conditions(n=300, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n, 1))
    return Modalities({"a": a, "b": b, "y": 2 * a + 0.1 * rng.standard_normal((n, 1))})


def test_rows_that_lack_a_condition_have_its_spread():
    X = two_conditions()
    model = ConditionalGAN(target="y", **USELESS).fit(X)
    lacking = X.with_missing("a")
    np.testing.assert_allclose(model.predict(lacking), np.mean(X["y"]), atol=0.1)
    for rows, deviation in ((X, 0.1), (lacking, np.std(X["y"]))):
        draws = model.sample(300, given=rows, random_state=0)
        np.testing.assert_allclose(draws.std(axis=0).mean(), deviation, rtol=0.1)
        width = model.predict(rows, 0.9) - model.predict(rows)
        np.testing.assert_allclose(width.mean(), 1.28 * deviation, rtol=0.1)
    both = Modalities({"a": X["a"][:2], "b": X["b"][:2]}).with_missing("a", [0])
    np.testing.assert_allclose(model.predict(both)[1], model.predict(X[:2])[1])  # row by row


def test_networks_that_never_lacked_a_condition_leave_it_to_the_linear_model():
    X = two_conditions()
    model = ConditionalGAN(target="y", **FAST).fit(X)
    model._share = 0.5
    lacking = X.with_missing("a")
    expected = model._linear.expected(model._filled(model._conditions(lacking)))
    np.testing.assert_array_equal(model.predict(lacking), expected)
    assert (model.predict(X) != model._linear.expected(X.select(["a", "b"]))).all()


def test_conditions_with_gaps_in_fit():
    X = two_conditions().select(["a", "b", "y"])
    holes = X.with_missing("a", np.arange(0, 300, 3)).with_missing("b", np.arange(1, 300, 3))
    model = ConditionalGAN(target="y", **FAST).fit(holes)
    assert model.net_.module_.members[0].generator.indicators
    truth = 2 * X["a"]
    here = ~holes.missing["a"].to_numpy()
    assert np.abs(model.predict(holes) - truth)[here].mean() < 0.3
    np.testing.assert_allclose(model.predict(holes)[~here], np.mean(X["y"]), atol=0.4)
    assert model.score(holes) > 0.3


def test_single_entries_may_be_missing():
    x, y = linear_data(100)
    model = ConditionalGAN(**FAST).fit(x, y)
    holes = x.copy()
    holes[0, 1] = np.nan
    found = model.predict(holes)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1:], model.predict(x)[1:])
    assert ConditionalGAN(**FAST).fit(holes, y).score(holes, y) > 0.2


def test_targets_with_single_gaps_are_refused():
    x, y = linear_data()
    y[3, 1] = np.nan
    with pytest.raises(ValueError, match="target 'y' contains NaN in 1 rows"):
        ConditionalGAN(**FAST).fit(x, y)


# Without a linear part


@pytest.mark.parametrize(
    ("options", "n_held"), [({"cv": None}, 10), ({"early_stopping": False}, 0)]
)
def test_one_network(options, n_held):
    x, y = linear_data(100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so brief a training
        model = ConditionalGAN(**{**FAST, **options}).fit(x, y)
    assert model.held_out_.shape == (1, 100)
    assert model.held_out_.sum() == n_held
    assert (model.linear_share_ == 0.0) == (n_held == 0)
    assert np.isfinite(model.oof_score_) == (n_held > 0)
    assert np.isfinite(model.predict(x)).all()
    holes = np.where(np.arange(3) == 0, np.nan, x)
    assert np.isfinite(model.predict(holes)).all()


def test_three_rows_are_enough():
    x, y = linear_data(3)
    model = ConditionalGAN(hidden_layer_sizes=(4,), max_epochs=2, random_state=0).fit(x, y)
    assert np.isfinite(model.sample(3, given=x)).all()


def test_files_have_the_linear_part(tmp_path):
    X = two_conditions(80)
    model = ConditionalGAN(target="y", **FAST).fit(X)
    dump(model, tmp_path / "model.skmm")
    again = load(tmp_path / "model.skmm")
    lacking = X.with_missing("b", [0, 1])
    np.testing.assert_array_equal(again.predict(lacking, 0.8), model.predict(lacking, 0.8))
    np.testing.assert_array_equal(
        again.sample(2, given=lacking, random_state=1),
        model.sample(2, given=lacking, random_state=1),
    )


def test_single_precision_stays():
    x, y = linear_data(80)
    model = ConditionalGAN(**FAST).fit(x.astype(np.float32), y.astype(np.float32))
    assert model.predict(x.astype(np.float32)).dtype == np.float32
    assert model.sample(2, given=x.astype(np.float32)).dtype == np.float32
