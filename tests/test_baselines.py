"""The simple samplers against what they claim to be."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import Modalities
from skmm.baselines import MarginalSampler, NeighborsSampler, RidgeSampler
from skmm.metrics import interval_coverage


def linear_data(n_samples=2000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_samples, 3))
    noise = rng.standard_normal((n_samples, 2)) @ np.array([[0.5, 0.4], [0.0, 0.3]])
    return x, x @ np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]) + noise


def test_ridge_is_the_linear_gaussian_model():
    x, y = linear_data()
    model = RidgeSampler(random_state=0).fit(x, y)
    expected = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15))).fit(x, y)
    np.testing.assert_allclose(model.predict(x), expected.predict(x), atol=1e-9)
    truth = np.array([[0.25, 0.2], [0.2, 0.25]])
    np.testing.assert_allclose(model.covariance_, truth, atol=0.03)
    draws = model.sample(500, given=x[:50], random_state=0)
    residuals = (draws - model.predict(x[:50])).reshape(-1, 2)
    np.testing.assert_allclose(np.cov(residuals.T), model.covariance_, atol=0.01)
    x_test, y_test = linear_data(1000, seed=1)
    covered = interval_coverage(y_test, model.sample(200, given=x_test, random_state=0), level=0.8)
    assert abs(covered - 0.8) < 0.03


def test_ridge_takes_constant_and_single_columns():
    x, y = linear_data(100)
    y[:, 1] = 3.0
    draws = RidgeSampler(random_state=0).fit(x, y).sample(5, given=x)
    np.testing.assert_allclose(draws[:, :, 1], 3.0)
    assert RidgeSampler().fit(x, y[:, 0]).predict(x).shape == (100,)


def test_neighbours_are_those_of_the_regression():
    x, y = linear_data(300)
    model = NeighborsSampler(7, random_state=0).fit(x, y)
    regression = make_pipeline(StandardScaler(), KNeighborsRegressor(7)).fit(x, y)
    np.testing.assert_allclose(model.predict(x), regression.predict(x))
    nearest = regression[-1].kneighbors(regression[0].transform(x[:5]), return_distance=False)
    draws = model.sample(200, given=x[:5], random_state=0)
    for i in range(5):
        assert {tuple(d) for d in draws[:, i]} == {tuple(r) for r in y[nearest[i]]}


def test_marginal_ignores_the_condition():
    x, y = linear_data(1000)
    model = MarginalSampler(random_state=0).fit(x, y)
    draws = model.sample(50, given=x, random_state=0)
    assert {tuple(d) for d in draws[0]} <= {tuple(r) for r in y}
    np.testing.assert_allclose(draws.mean(axis=(0, 1)), y.mean(axis=0), atol=0.05)
    assert abs(model.score(x, y)) < 0.01
    assert len(np.unique(model.predict(x), axis=0)) == 1


@pytest.mark.parametrize(
    "sampler", [RidgeSampler(), NeighborsSampler(), MarginalSampler()], ids=str
)
def test_labels_and_images_as_conditions_and_targets(sampler):
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=60)
    X = Modalities(
        {
            "label": np.array(["a", "b", "c"])[label],
            "image": label[:, None, None, None] + 0.1 * rng.standard_normal((60, 1, 3, 3)),
        }
    )
    images = sampler.set_params(target="image", random_state=0).fit(X)
    assert images.sample(4, given=X).shape == (4, 60, 1, 3, 3)
    labels = sampler.set_params(target="label").fit(X)
    assert set(labels.sample(4, given=X).ravel()) == {"a", "b", "c"}
    if not isinstance(sampler, MarginalSampler):
        assert (labels.predict(X) == X["label"]).mean() > 0.9


def test_score_of_a_target_that_never_varies():
    x, y = linear_data(50)
    assert MarginalSampler().fit(x, 0 * y).score(x, 0 * y) == 1.0
    assert MarginalSampler().fit(x, 0 * y + 3).score(x, 0 * y + 3) == 1.0
    assert abs(MarginalSampler().fit(x, 0 * y).score(x, y)) < 1e-9


@pytest.mark.parametrize("kind", ["binary", "count", "categorical"])
def test_ridge_draws_what_a_discrete_target_can_be(kind):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2))
    value = {
        "binary": np.c_[x[:, 0] > 0, x[:, 1] > 0],
        "count": rng.poisson(np.exp(x)),
        "categorical": np.where(x[:, 0] > 0, "a", "b"),
    }[kind]
    X = Modalities({"x": x, "t": value}, kinds={"t": kind})
    model = RidgeSampler(target="t", random_state=0).fit(X)
    draws = model.sample(20, given=X)
    assert (
        set(np.unique(draws))
        <= {
            "binary": {0.0, 1.0},
            "count": set(np.arange(100.0)),
            "categorical": {"a", "b"},
        }[kind]
    )
    assert 0 < model.score(X) < 1
