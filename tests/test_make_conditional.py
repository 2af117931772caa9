"""Simulated conditions and targets against the closed form of their conditional distribution."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from skmm.datasets import make_conditional

TASKS = ["circle", "branches", "heteroscedastic", "correlated"]
WIDTHS = {"circle": (1, 2), "branches": (2, 2), "heteroscedastic": (2, 1), "correlated": (2, 10)}


def mixture(task, x):
    """Return the weights, means and covariances that DESCR states for one condition."""
    if task == "circle":
        theta = np.deg2rad(np.arange(0, 360, 45))
        w = np.exp(np.cos(x[0] - theta) / 2 + 2 * np.cos(2 * (x[0] - theta)))
        means = [[np.cos(t), np.sin(t)] for t in theta]
        covariances = [0.01 * np.eye(2)] * 8
    elif task == "branches":
        w = np.array([np.exp(-2 * x[1]), 1, np.exp(2 * x[1])])
        degrees = np.array([90, 210, 330])
        means = [(1 + x[0]) * np.array([special.cosdg(a), special.sindg(a)]) for a in degrees]
        covariances = [0.01 * np.eye(2)] * 3
    elif task == "heteroscedastic":
        w = np.ones(1)
        means = [[np.sin(np.pi * x[0]) + x[1] ** 2]]
        covariances = [[[(np.exp(2 * x[0]) / 4) ** 2]]]
    else:
        w, j = np.ones(1), np.arange(10)
        means = [0.7 * np.sin(np.pi * x[1] + 2 * np.pi * j / 10)]
        correlation = 0.95 * np.cos(np.pi * (j[:, None] - j) * (1 + x[0]) / 10)
        covariances = [np.where(np.eye(10, dtype=bool), 1, correlation)]
    return w / w.sum(), np.array(means), np.array(covariances)


def moments(task, x):
    w, means, covariances = mixture(task, x)
    mean = w @ means
    second = sum(v * (c + np.outer(m, m)) for v, m, c in zip(w, means, covariances, strict=True))
    return mean, second - np.outer(mean, mean)


def energy_scores(y, draws):
    """Return the unbiased energy score of each row, by its definition."""
    m = len(draws)
    apart = [np.linalg.norm(draws - one, axis=2).sum(axis=0) for one in draws]
    to_truth = np.linalg.norm(draws - y, axis=2).mean(axis=0)
    return to_truth - np.sum(apart, axis=0) / (2 * m * (m - 1))


def variogram_scores(y, draws):
    i, j = np.triu_indices(y.shape[1], 1)
    of_truth = np.abs(y[:, i] - y[:, j]) ** 0.5
    return ((of_truth - (np.abs(draws[..., i] - draws[..., j]) ** 0.5).mean(axis=0)) ** 2).sum(1)


@pytest.fixture(scope="module", params=TASKS)
def made(request):
    found = make_conditional(request.param, 1500, random_state=0)
    found.task = request.param
    return found


def test_moments_are_those_of_the_mixture(made):
    X = made.data["X"][:40]
    expected = [moments(made.task, x) for x in X]
    assert_allclose(made.conditional_mean(X), [mean for mean, _ in expected], atol=1e-12)
    assert_allclose(made.conditional_covariance(X), [cov for _, cov in expected], atol=1e-12)


def test_density_is_that_of_the_mixture(made):
    X, y = made.data["X"][:40], made.target[:40]
    expected = []
    for x, value in zip(X, y, strict=True):
        w, means, covs = mixture(made.task, x)
        each = [
            stats.multivariate_normal(m, c).pdf(value) for m, c in zip(means, covs, strict=True)
        ]
        expected.append(np.log(w @ each))
    assert_allclose(made.log_density(X, y), expected)


def test_draws_have_the_moments(made):
    X, n_draws = made.data["X"][:25], 20_000
    draws = made.sample_conditional(X, n_draws, random_state=1)
    assert draws.shape == (n_draws, 25, made.target.shape[1])
    for i, x in enumerate(X):
        mean, covariance = moments(made.task, x)
        spread = np.sqrt(np.diag(covariance))
        assert_allclose((draws[:, i].mean(axis=0) - mean) / spread, 0, atol=0.04)
        found = np.cov(draws[:, i], rowvar=False) / np.outer(spread, spread)
        assert_allclose(found, covariance / np.outer(spread, spread), atol=0.06)


@pytest.mark.parametrize("task", ["circle", "branches"])
def test_draws_fall_on_the_components_by_weight(task):
    made = make_conditional(task, 10, random_state=3)
    X = made.data["X"].copy()
    X[:, 0] = np.linspace(0.5, 1, 10)  # branches are far apart
    draws = made.sample_conditional(X, 10_000, random_state=0)
    for i, x in enumerate(X):
        w, means, covs = mixture(task, x)
        near = np.linalg.norm(draws[:, i, None] - means, axis=2)
        assert_allclose(np.bincount(near.argmin(axis=1), minlength=len(w)) / 1e4, w, atol=0.02)
        apart = near.min(axis=1) ** 2 / covs[0, 0, 0]  # the overlap of neighbours is negligible
        assert stats.kstest(apart, stats.chi2(2).cdf).pvalue > 1e-4


def test_data_are_draws_from_the_conditional(made):
    """Ranks of the truth among draws are uniform, column by column and by density."""
    X, y, m = made.data["X"], made.target, 99
    draws = made.sample_conditional(X, m, random_state=2)
    ranks = [(draws < y).sum(axis=0)[:, j] for j in range(y.shape[1])]
    log_densities = np.array([made.log_density(X, one) for one in draws])
    ranks.append((log_densities < made.log_density(X, y)).sum(axis=0))
    for rank in ranks:
        counts = np.bincount(rank // 5, minlength=20)
        assert stats.chisquare(counts).pvalue > 1e-3
    inside = np.mean([(rank >= 5) & (rank < 95) for rank in ranks])
    assert inside == pytest.approx(0.9, abs=0.02)  # coverage of the central interval


@pytest.mark.parametrize("task", ["circle", "branches"])
def test_energy_score_of_round_components(task):
    """E‖N(μ, s²I)‖ is s√2 Γ((d+1)/2)/Γ(d/2) · ₁F₁(−1/2; d/2; −‖μ‖²/(2s²)); here d = 2."""
    made = make_conditional(task, 30, random_state=0)
    for x, found in zip(made.data["X"], made.energy_score(made.data["X"]), strict=True):
        w, means, covs = mixture(task, x)
        variance = 2 * covs[0, 0, 0]
        squares = ((means[:, None] - means) ** 2).sum(axis=2)
        shape = special.hyp1f1(-0.5, 1.0, -squares / (2 * variance))
        lengths = np.sqrt(2 * variance) * special.gamma(1.5) * shape
        assert found == pytest.approx(w @ lengths @ w / 2, rel=1e-7)


def test_energy_score_of_one_column():
    made = make_conditional("heteroscedastic", 50, random_state=0)
    X = made.data["X"]
    expected = np.exp(2 * X[:, 0]) / 4 / np.sqrt(np.pi)  # E|y − y'|/2 of a Gaussian
    assert_allclose(made.energy_score(X), expected, rtol=1e-9)
    assert_allclose(made.energy_score(X, scale=3.0), expected / 3, rtol=1e-9)


def test_energy_score_is_that_of_draws(made):
    X, y = made.data["X"], made.target
    scale = y.std(axis=0)
    draws = made.sample_conditional(X, 50, random_state=1) / scale
    apart = np.linalg.norm(draws[::2] - draws[1::2], axis=2) / 2
    expected = made.energy_score(X, scale)
    error = np.sqrt(apart.var(axis=0).mean() / apart.size)
    assert apart.mean() == pytest.approx(expected.mean(), abs=4 * error)
    scores = energy_scores(y / scale, draws)
    standard_error = scores.std() / np.sqrt(len(scores))
    assert scores.mean() == pytest.approx(
        made.energy_score(X, scale).mean(), abs=4 * standard_error
    )


def test_simple_forecasts_lose(made):
    """The true mean with pooled residuals, and the true margins, against the truth."""
    rng = np.random.default_rng(0)
    X, scale, m = made.data["X"], made.target.std(axis=0), 60
    y = made.target / scale
    mean = made.conditional_mean(X) / scale
    draws = made.sample_conditional(X, m, random_state=1) / scale
    constant = mean + (y - mean)[rng.integers(len(y), size=(m, len(y)))]
    margins = np.stack([rng.permuted(draws[..., j], axis=0) for j in range(y.shape[1])], axis=2)
    marginal = y[rng.integers(len(y), size=(m, len(y)))]
    truth = energy_scores(y, draws)

    def worse(score, of_truth):
        loss = score - of_truth
        return loss.mean() / (loss.std() / np.sqrt(len(loss)))

    assert worse(energy_scores(y, marginal), truth) > 8
    assert worse(energy_scores(y, constant), truth) > 5
    if y.shape[1] == 1:
        assert_allclose(energy_scores(y, margins), truth)
        return
    assert worse(energy_scores(y, margins), truth) > 5
    by_pairs = variogram_scores(y, draws)
    assert worse(variogram_scores(y, constant), by_pairs) > 3
    if made.task in ("circle", "correlated"):
        assert variogram_scores(y, margins).mean() > 1.3 * by_pairs.mean()


def test_conditions(made):
    X, (relevant, _) = made.data["X"], WIDTHS[made.task]
    bound = np.pi if made.task == "circle" else 1.0
    for column in X[:, :relevant].T:
        assert stats.kstest(column, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
    for column in X[:, relevant:].T:
        assert stats.kstest(column, stats.norm.cdf).pvalue > 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_shapes_and_irrelevant_columns(task):
    relevant, width = WIDTHS[task]
    for n_irrelevant in (0, 3):
        made = make_conditional(task, 7, n_irrelevant=n_irrelevant, random_state=0)
        assert made.data.shape == (7, 2)
        assert made.data["X"].shape == (7, relevant + n_irrelevant)
        assert made.target.shape == made.data["y"].shape == (7, width)
        assert made.data["X"].dtype == made.target.dtype == np.float64
    other = made.data["X"].copy()
    other[:, relevant:] += 5
    for function in (made.conditional_mean, made.conditional_covariance, made.energy_score):
        assert_array_equal(function(other), function(made.data["X"]))
    draws = [made.sample_conditional(X, 3, random_state=0) for X in (other, made.data["X"])]
    assert_array_equal(*draws)


@pytest.mark.parametrize("task", TASKS)
def test_seeds(task):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b, c = (make_conditional(task, 9, random_state=seed) for seed in (0, 0, 1))
    for name in ("X", "y"):
        assert_array_equal(a.data[name], b.data[name])
        assert not np.isclose(a.data[name], c.data[name]).any()
    X = a.data["X"]
    once, again, other = (a.sample_conditional(X, 2, random_state=seed) for seed in (0, 0, 1))
    assert_array_equal(once, again)
    assert not np.isclose(once, other).any()
    # One population: the conditional distribution is that of the task, whatever the seed.
    assert_array_equal(c.sample_conditional(X, 2, random_state=0), once)
    assert_array_equal(pickle.loads(pickle.dumps(a)).sample_conditional(X, 2, 0), once)
    assert not np.array_equal(a.sample_conditional(X), a.sample_conditional(X))
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_forms():
    made = make_conditional("branches", 20, random_state=0)
    X, y = make_conditional("branches", 20, random_state=0, return_X_y=True)
    assert_array_equal(X, made.data["X"])
    assert_array_equal(y, made.target)
    assert X.flags.writeable
    assert made.data.names == ("X", "y")
    frame = make_conditional("branches", 20, random_state=0, as_frame=True)
    assert_array_equal(frame.data, made.data.to_frame())
    assert list(frame.data.columns) == [("X", f"x{i}") for i in range(4)] + [
        ("y", f"y{i}") for i in range(2)
    ]
    assert_array_equal(frame.target, y)
    X_frame, y_frame = make_conditional(
        "branches", 20, random_state=0, as_frame=True, return_X_y=True
    )
    pd.testing.assert_frame_equal(X_frame, frame.data["X"])
    pd.testing.assert_frame_equal(y_frame, frame.target)
    assert_allclose(frame.conditional_mean(X_frame), made.conditional_mean(X))
    assert "branches" in made.DESCR


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task": "ring"}, r"task must be one of \['circle', .*got 'ring'"),
        ({"n_samples": 0}, "n_samples must be an integer of at least 1, got 0"),
        ({"n_irrelevant": -1}, "n_irrelevant must be an integer of at least 0, got -1"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_conditional(**parameters)


def test_bad_conditions_are_refused():
    made = make_conditional("circle", 5, random_state=0)
    X = made.data["X"]
    for bad in (X[:, :2], X[0], np.hstack([X, X])):
        with pytest.raises(ValueError, match=r"X must be finite numbers of shape \(n, 3\)"):
            made.sample_conditional(bad)
    with pytest.raises(ValueError, match=r"got shape \(5, 3\) with NaN or inf"):
        made.conditional_mean(np.where(X > 0, np.nan, X))
    with pytest.raises(ValueError, match="n_samples must be an integer of at least 1, got 0"):
        made.sample_conditional(X, 0)
    with pytest.raises(ValueError, match=r"y must have shape \(5, 2\), got \(5,\)"):
        made.log_density(X, made.target[:, 0])
    with pytest.raises(ValueError, match=r"scale must be positive and finite, got 0"):
        made.energy_score(X, scale=0.0)
