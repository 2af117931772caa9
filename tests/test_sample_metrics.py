"""Metrics of draws and of generated samples against brute force, closed forms and scipy."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cdist, pdist
from scipy.special import comb
from sklearn import config_context
from sklearn.datasets import make_blobs
from sklearn.linear_model import LinearRegression, LogisticRegression

from skmm.datasets import make_conditional
from skmm.metrics import (
    _draws,
    _energy,
    _synthetic,
    _two_sample,
    coverage_per_group,
    crps,
    density_coverage,
    energy_distance,
    energy_score,
    energy_skill,
    interval_coverage,
    kernel_mmd,
    sliced_wasserstein,
    spread_error_ratio,
    synthetic_training_accuracy,
    variogram_score,
)

SEEDS = range(3)


def draws_of(seed, m=7, n=5, d=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, n, d)) + 0.3


def length(z):
    return np.sqrt(np.sum(np.square(z)))


def room_for(n_values):
    """Let chunks have so many values, instead of 2**20."""
    return config_context(working_memory=n_values / 1024)


@pytest.fixture(params=[2**20, 8])
def chunk(request):
    """Everything at once, or a few values at a time."""
    with room_for(request.param):
        yield


def test_memory_holds_a_few_values_at_once(monkeypatch):
    sizes = []

    def recorded(a, b, *metric):
        found = cdist(a, b, *metric)
        sizes.append(found.size)
        return found

    for module in (_energy, _two_sample, _synthetic):
        monkeypatch.setattr(module, "cdist", recorded)
    A, B = two_samples(0)
    calls = (
        lambda: energy_distance(A, B),
        lambda: _two_sample._kernel_sum(A, B, 1.0),
        lambda: density_coverage(A, B, n_neighbors=2),
        lambda: density_coverage(B, A, n_neighbors=2),
    )
    for call in calls:
        sizes.clear()
        with room_for(40):
            call()
        assert 20 <= max(sizes) <= 40
    with room_for(40):
        batches = list(_draws.row_batches(np.zeros((3, 10, 4), dtype=np.float32)))
    assert [rows for rows, _ in batches] == [slice(i, min(i + 3, 10)) for i in range(0, 10, 3)]
    assert {part.dtype for _, part in batches} == {np.dtype(np.float64)}
    sizes.clear()
    with room_for(4):  # one row at a time
        for call in calls:
            call()
        assert len(list(_draws.row_batches(np.zeros((3, 10, 4))))) == 10
    assert max(sizes) == 9
    # 2**20 values of 20 per row
    first, _ = next(_draws.row_batches(np.broadcast_to(0.0, (2, 100_000, 10))))
    assert first == slice(0, 52_428)


# Energy score and CRPS ----------------------------------------------------------------------------


def energy_by_loops(y, draws):
    """The definition, row by row and pair by pair."""
    m, scores = len(draws), []
    for i, target in enumerate(y):
        x = draws[:, i]
        to_target = sum(length(x[j] - target) for j in range(m)) / m
        apart = sum(length(x[j] - x[k]) for j, k in product(range(m), range(m)))
        scores.append(to_target - apart / (2 * m * (m - 1)))
    return np.array(scores)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_energy_score_is_its_definition(seed, d):
    y, draws = draws_of(seed, d=d)
    expected = energy_by_loops(y, draws)
    np.testing.assert_allclose(energy_score(y, draws, per_row=True), expected, rtol=1e-12)
    np.testing.assert_allclose(energy_score(y, draws), expected.mean())


def test_energy_score_scale_and_shapes():
    y, draws = draws_of(0, d=6)
    scale = np.array([1.0, 2.0, 0.5, 3.0, 1.0, 10.0])
    expected = energy_by_loops(y / scale, draws / scale).mean()
    images, image_draws = y.reshape(5, 2, 3), draws.reshape(7, 5, 2, 3)
    for units in (scale.reshape(2, 3), scale.reshape(2, 3).tolist()):
        np.testing.assert_allclose(energy_score(images, image_draws, scale=units), expected)
    np.testing.assert_allclose(energy_score(y, draws, scale=scale), expected)
    np.testing.assert_allclose(energy_score(y, draws, scale=2.0), energy_score(y, draws) / 2)


def test_one_column_may_lack_its_axis():
    y, draws = draws_of(0, d=1)
    expected = energy_score(y, draws)
    assert energy_score(y[:, 0], draws[..., 0]) == expected
    assert energy_score(y[:, 0], draws) == energy_score(y, draws[..., 0]) == expected
    assert energy_score(pd.Series(y[:, 0]), list(draws[..., 0]), scale=1.0) == expected


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("seed", SEEDS)
def test_crps_is_the_energy_score_of_each_column(seed):
    y, draws = draws_of(seed)
    expected = [energy_by_loops(y[:, [j]], draws[..., [j]]).mean() for j in range(3)]
    np.testing.assert_allclose(crps(y, draws, multioutput="raw_values"), expected)
    np.testing.assert_allclose(crps(y, draws), np.mean(expected))
    np.testing.assert_allclose(
        crps(y[:, :1], draws[..., :1]), energy_score(y[:, :1], draws[..., :1])
    )


def test_crps_of_a_gaussian_is_the_closed_form():
    rng, sigma, m = np.random.default_rng(0), 2.0, 20_000
    y = np.array([-5.0, 0.0, 0.7, 3.0])
    z = y / sigma
    closed = sigma * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5)
    draws = sigma * rng.standard_normal((m, 4))
    np.testing.assert_allclose(
        crps(y[:, None].T, draws[:, None], multioutput="raw_values"),
        closed,
        atol=5 * sigma / np.sqrt(m),
    )


@pytest.mark.parametrize("m", [2, 5])
def test_scores_do_not_depend_on_the_number_of_draws(m):
    """Two draws have the expectation of infinitely many: E|x − y| / 2 for x, y alike."""
    rng, n = np.random.default_rng(1), 10_000
    y, draws = rng.standard_normal((n, 2)), rng.standard_normal((m, n, 2))
    scores = energy_score(y, draws, per_row=True)
    expected = np.sqrt(np.pi) / 2  # |x − y| has a Rayleigh distribution of scale √2
    assert abs(scores.mean() - expected) < 4 * scores.std() / np.sqrt(n)


@pytest.mark.parametrize("task", ["branches", "heteroscedastic", "correlated"])
def test_the_true_conditional_scores_lowest(task):
    simulated = make_conditional(task, 600, random_state=0)
    X, y = simulated.data["X"], simulated.target
    exact = simulated.sample_conditional(X, 60, random_state=1)
    mean = simulated.conditional_mean(X)
    scores = energy_score(y, exact, per_row=True)
    error = scores - simulated.energy_score(X)
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(y))
    wide, narrow, shifted = mean + 1.5 * (exact - mean), mean + (exact - mean) / 2, exact + y.std()
    for wrong in (wide, narrow, shifted, exact[:, ::-1]):
        assert energy_score(y, wrong) > scores.mean()
        assert crps(y, wrong) > crps(y, exact)


def test_energy_score_ignores_rotation_offset_and_order():
    y, draws = draws_of(0)
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    expected = energy_score(y, draws)
    for moved, moved_draws in (
        (y @ turn, draws @ turn),
        (y + 1e6, draws + 1e6),
        (y, draws[::-1]),
        (y[::-1], draws[:, ::-1]),
    ):
        np.testing.assert_allclose(energy_score(moved, moved_draws), expected, rtol=1e-8)


@pytest.mark.parametrize("metric", [energy_score, crps, variogram_score, interval_coverage])
def test_single_precision_and_read_only_draws(metric):
    y, draws = (a.astype(np.float32) for a in draws_of(0, m=30))
    expected = metric(y.astype(float), draws.astype(float))
    draws.flags.writeable = y.flags.writeable = False
    np.testing.assert_allclose(metric(y, draws), expected, rtol=1e-12)


# Energy skill -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("d", [1, 3])
def test_energy_skill_is_one_less_the_ratio_of_means(d):
    y, draws = draws_of(0, d=d)
    train = np.random.default_rng(5).standard_normal((11, d)) * [1.0, 5.0, 0.1][:d]
    units = train.std(axis=0)
    marginal = np.repeat(train[:, None], len(y), axis=1)
    ratio = energy_by_loops(y / units, draws / units).mean()
    ratio /= energy_by_loops(y / units, marginal / units).mean()
    np.testing.assert_allclose(energy_skill(y, draws, train), 1 - ratio)
    np.testing.assert_allclose(energy_skill(y, marginal, train), 0.0, atol=1e-12)
    np.testing.assert_allclose(energy_skill(y, y[None].repeat(4, axis=0), train), 1.0)


def test_energy_skill_ignores_units_and_constant_training_columns():
    y, draws = draws_of(0)
    train = np.random.default_rng(5).standard_normal((40, 3))
    expected = energy_skill(y, draws, train)
    a, b = np.array([1e-3, 1.0, 1e3]), np.array([0.0, 5.0, -7.0])
    np.testing.assert_allclose(energy_skill(y * a + b, draws * a + b, train * a + b), expected)
    wider = [
        np.concatenate([v, np.full((*v.shape[:-1], 1), 0.1)], axis=-1) for v in (y, draws, train)
    ]
    wider[0][:, 3] = 9.0
    np.testing.assert_allclose(energy_skill(*wider), expected)


def test_energy_skill_takes_some_training_rows_where_there_are_many(monkeypatch):
    y, draws = draws_of(0, n=50)
    train = np.random.default_rng(5).standard_normal((400, 3))
    exact = energy_skill(y, draws, train)
    monkeypatch.setattr(_energy, "N_TRAIN", 100)
    some = [energy_skill(y, draws, train, random_state=seed) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]
    assert some[0] != exact
    np.testing.assert_allclose(some, exact, atol=0.1)


def test_two_thousand_training_rows_are_all_taken():
    y, draws = draws_of(0)
    train = np.random.default_rng(5).standard_normal((2001, 3))
    all_rows = [energy_skill(y, draws, train[:2000], random_state=seed) for seed in (0, 1)]
    some = [energy_skill(y, draws, train, random_state=seed) for seed in (0, 1)]
    assert all_rows[0] == all_rows[1]
    assert some[0] != some[1]


# Variogram score ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("p", [0.5, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_variogram_score_is_its_definition(p, weighted):
    y, draws = draws_of(1)
    w = np.random.default_rng(2).uniform(size=(3, 3)) if weighted else np.ones((3, 3))
    expected = [
        sum(
            w[i, j] * (abs(t[i] - t[j]) ** p - np.mean(abs(x[:, i] - x[:, j]) ** p)) ** 2
            for i, j in product(range(3), range(3))
        )
        for t, x in zip(y, draws.swapaxes(0, 1), strict=True)
    ]
    weights = w if weighted else None
    scores = variogram_score(y, draws, p=p, weights=weights, per_row=True)
    np.testing.assert_allclose(scores, expected)
    np.testing.assert_allclose(variogram_score(y, draws, p=p, weights=weights), np.mean(expected))


def test_pairs_without_weight_do_not_count():
    y, draws = draws_of(1)
    once = variogram_score(y, draws, weights=np.triu(np.ones((3, 3)), 1))
    np.testing.assert_allclose(once, variogram_score(y, draws) / 2)
    first = variogram_score(y, draws, weights=[[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(first, variogram_score(y[:, :2], draws[..., :2]) / 2)


def test_variogram_score_sees_dependence_that_crps_does_not():
    simulated = make_conditional("correlated", 500, random_state=0)
    X, y = simulated.data["X"], simulated.target
    exact = simulated.sample_conditional(X, 50, random_state=1)
    shuffled = np.random.default_rng(0).permuted(exact, axis=0)  # columns by themselves
    np.testing.assert_allclose(crps(y, shuffled), crps(y, exact))
    assert variogram_score(y, shuffled) > 1.1 * variogram_score(y, exact)
    np.testing.assert_allclose(variogram_score(y, exact + 3.0), variogram_score(y, exact))


# Calibration --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "level"), [(19, 0.9), (39, 0.9), (3, 0.5), (99, 0.8), (99, 0.98)])
def test_coverage_of_exchangeable_draws_is_exact(m, level):
    """Each of m + 1 values plays the target once, the others are its draws."""
    values = np.random.default_rng(0).standard_normal(m + 1)
    draws = np.array([np.delete(values, i) for i in range(m + 1)]).T
    np.testing.assert_allclose(interval_coverage(values, draws, level=level), level)


@pytest.mark.parametrize("m", range(19, 60, 7))
def test_coverage_is_within_one_place_of_the_level(m):
    values = np.random.default_rng(m).standard_normal(m + 1)
    draws = np.array([np.delete(values, i) for i in range(m + 1)]).T
    assert abs(interval_coverage(values, draws) - 0.9) <= 1 / (m + 1)


@pytest.mark.usefixtures("chunk")
def test_intervals_are_quantiles_between_draws():
    y, draws = draws_of(0, m=30, n=40)
    low, high = np.quantile(draws, [0.1, 0.9], axis=0, method="weibull")
    expected = ((low <= y) & (y <= high)).mean(axis=0)
    found = interval_coverage(y, draws, level=0.8, multioutput="raw_values")
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(interval_coverage(y, draws, level=0.8), expected.mean())


def test_ends_belong_to_the_interval():
    assert interval_coverage([1.0, 1.0], np.ones((19, 2))) == 1.0


def test_coverage_in_every_decile_shows_what_the_average_hides():
    simulated = make_conditional("heteroscedastic", 4000, random_state=0)
    X, y = simulated.data["X"], simulated.target
    deciles = pd.qcut(X[:, 0], 10, labels=False)
    exact = simulated.sample_conditional(X, 59, random_state=1)
    error = y - simulated.conditional_mean(X)
    same_everywhere = y - error + np.random.default_rng(0).choice(error[:, 0], (59, 4000, 1))
    right = coverage_per_group(y, exact, deciles)
    wrong = coverage_per_group(y, same_everywhere, deciles)
    assert list(right) == list(range(10))
    assert all(abs(share - 0.9) < 4 * np.sqrt(0.09 / 400) for share in right.values())
    assert abs(interval_coverage(y, same_everywhere) - 0.9) < 0.02
    assert wrong[0] == 1.0
    assert wrong[9] < 0.7


def test_coverage_per_group_is_that_of_the_rows_of_the_group():
    y, draws = draws_of(0, m=30, n=40)
    groups = np.array(["b", "a", "a", "c"] * 10)
    for average in ("raw_values", "uniform_average"):
        found = coverage_per_group(y, draws, groups, level=0.5, multioutput=average)
        assert list(found) == ["a", "b", "c"]
        for name, share in found.items():
            rows = groups == name
            expected = interval_coverage(y[rows], draws[:, rows], level=0.5, multioutput=average)
            np.testing.assert_array_equal(share, expected)


def test_groups_may_be_intervals_or_classes():
    y, draws = draws_of(0, m=30, n=40)
    numbers = pd.qcut(y[:, 0], 4, labels=False)
    expected = list(coverage_per_group(y, draws, numbers).values())
    for groups in (pd.qcut(y[:, 0], 4), pd.qcut(pd.Series(y[:, 0]), 4), numbers.astype(str)):
        assert list(coverage_per_group(y, draws, groups).values()) == expected


@pytest.mark.usefixtures("chunk")
def test_spread_error_ratio_is_its_definition():
    y, draws = draws_of(0)
    spread = np.sqrt(np.mean(np.var(draws, axis=0, ddof=1), axis=0) * 8 / 7)
    expected = spread / np.sqrt(np.mean((draws.mean(axis=0) - y) ** 2, axis=0))
    np.testing.assert_allclose(spread_error_ratio(y, draws, multioutput="raw_values"), expected)
    for unit in (1e-3, 1.0, 1e3):
        np.testing.assert_allclose(spread_error_ratio(unit * y, unit * draws), expected.mean())


@pytest.mark.parametrize("m", [2, 10])
def test_spread_error_ratio_of_exact_draws_is_one(m):
    simulated = make_conditional("correlated", 5000, random_state=0)
    X, y = simulated.data["X"], simulated.target
    draws, mean = simulated.sample_conditional(X, m, random_state=1), simulated.conditional_mean(X)
    np.testing.assert_allclose(spread_error_ratio(y, draws), 1.0, atol=0.03)
    assert spread_error_ratio(y, mean + (draws - mean) / 2) < 0.8
    assert spread_error_ratio(y, mean + (draws - mean) * 2) > 1.2


def test_spread_error_ratio_without_error():
    draws = np.array([[[1.0, 0.0]], [[1.0, 2.0]]])
    for unit in (2.0**-10, 1.0):
        y = np.full((1, 2), unit)
        found = spread_error_ratio(y, unit * draws, multioutput="raw_values")
        np.testing.assert_array_equal(found, [1.0, np.inf])


# Two samples --------------------------------------------------------------------------------------


def two_samples(seed, n=9, m=6, d=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.5


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_mmd_is_its_definition(seed):
    A, B = two_samples(seed)

    def mean_kernel(a, b, gamma, skip):
        pairs = [(i, j) for i, j in product(range(len(a)), range(len(b))) if not (skip and i == j)]
        return np.mean([np.exp(-gamma * length(a[i] - b[j]) ** 2) for i, j in pairs])

    def mmd(gamma):
        own = mean_kernel(A, A, gamma, True) + mean_kernel(B, B, gamma, True)
        return own - 2 * mean_kernel(A, B, gamma, False)

    pooled = np.concatenate([A, B])
    median = np.median([length(pooled[i] - pooled[j]) for i in range(15) for j in range(i)])
    np.testing.assert_allclose(kernel_mmd(A, B, gamma=0.3), mmd(0.3), rtol=1e-10)
    np.testing.assert_allclose(kernel_mmd(A, B), mmd(1 / (2 * median**2)), rtol=1e-10)


def test_kernel_mmd_of_gaussians_is_the_closed_form():
    rng, n, gamma, shift = np.random.default_rng(0), 4000, 0.5, np.array([1.0, 0.0, 0.5])
    A, B = rng.standard_normal((2, n, 3))

    def kernel(variance, mean):  # E exp(−γ|z|²) of z ~ N(mean, variance I)
        grown = 1 + 2 * gamma * variance
        return grown ** (-3 / 2) * np.exp(-gamma * mean @ mean / grown)

    closed = kernel(2, 0 * shift) + kernel(8, 0 * shift) - 2 * kernel(5, shift)
    np.testing.assert_allclose(kernel_mmd(A, 2 * B + shift, gamma=gamma), closed, atol=0.01)
    assert abs(kernel_mmd(A, B, gamma=gamma)) < 0.001


def test_median_distance_of_many_rows_is_that_of_some(monkeypatch):
    A, B = two_samples(0, n=600, m=300)
    whole = kernel_mmd(A, B)
    monkeypatch.setattr(_two_sample, "N_MEDIAN", 300)
    some = kernel_mmd(A, B)
    assert some == kernel_mmd(A, B) != whole
    np.testing.assert_allclose(some, kernel_mmd(B, A))
    np.testing.assert_allclose(some, whole, rtol=0.1)


@pytest.mark.parametrize(("n", "m", "rows"), [(600, 300, (200, 100)), (2, 998, (1, 299))])
def test_the_rows_of_the_median_are_shared_in_proportion(monkeypatch, n, m, rows):
    A, B = two_samples(0, n=n, m=m)
    monkeypatch.setattr(_two_sample, "N_MEDIAN", 300)
    orders = [np.random.RandomState(0).permutation(size) for size in (n, m)]
    chosen = np.concatenate([A[orders[0][: rows[0]]], B[orders[1][: rows[1]]]])
    median = np.median(pdist(chosen))
    np.testing.assert_allclose(_two_sample._median_gamma(A, B), 1 / (2 * median**2))


def test_two_thousand_rows_all_count_for_the_median():
    A, B = two_samples(0, n=1200, m=801)
    for rows, every in ((800, True), (801, False)):
        median = np.median(pdist(np.concatenate([A, B[:rows]])))
        found = _two_sample._median_gamma(A, B[:rows])
        assert (found == pytest.approx(1 / (2 * median**2), rel=1e-12)) == every


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("seed", SEEDS)
def test_energy_distance_is_scipys_squared(seed):
    A, B = two_samples(seed, d=1)
    expected = stats.energy_distance(A[:, 0], B[:, 0]) ** 2
    np.testing.assert_allclose(energy_distance(A, B, unbiased=False), expected)
    np.testing.assert_allclose(energy_distance(A[:, 0], B, unbiased=False), expected)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("seed", SEEDS)
def test_energy_distance_is_its_definition(seed):
    A, B = two_samples(seed)

    def total(a, b):
        return sum(length(p - q) for p, q in product(a, b))

    between = 2 * total(A, B) / (9 * 6)
    biased = between - total(A, A) / 9**2 - total(B, B) / 6**2
    unbiased = between - total(A, A) / (9 * 8) - total(B, B) / (6 * 5)
    np.testing.assert_allclose(energy_distance(A, B, unbiased=False), biased)
    np.testing.assert_allclose(energy_distance(A, B), unbiased)


@pytest.mark.parametrize("metric", [energy_distance, kernel_mmd])
def test_unbiased_distances_average_zero_for_one_distribution(metric):
    rng = np.random.default_rng(0)
    values = [metric(*rng.standard_normal((2, 20, 2))) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(400)


@pytest.mark.parametrize(("n", "m"), [(9, 6), (7, 7), (2, 11)])
def test_sliced_wasserstein_of_one_column_is_scipys(n, m):
    A, B = two_samples(0, n=n, m=m, d=1)
    expected = stats.wasserstein_distance(A[:, 0], B[:, 0])
    np.testing.assert_allclose(sliced_wasserstein(A, B, p=1, random_state=0), expected)


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_sliced_wasserstein_is_that_of_sorted_projections(p):
    """Rows repeated to one size are the same distribution, and sorting pairs them."""
    A, B = two_samples(1, n=4, m=6, d=3)
    axes = np.random.RandomState(3).standard_normal((20, 3))
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    a, b = (
        np.sort(np.repeat(A @ axes.T, 3, axis=0), 0),
        np.sort(np.repeat(B @ axes.T, 2, axis=0), 0),
    )
    expected = np.mean(np.abs(a - b) ** p) ** (1 / p)
    found = sliced_wasserstein(A, B, n_projections=20, p=p, random_state=3)
    np.testing.assert_allclose(found, expected)


def test_sliced_wasserstein_of_a_shift_is_its_length_over_the_root_of_d():
    A, shift = np.random.default_rng(0).standard_normal((30, 4)), np.array([1.0, 2.0, 2.0, 0.0])
    found = sliced_wasserstein(A, A + shift, n_projections=20_000, random_state=0)
    np.testing.assert_allclose(found, 3 / np.sqrt(4), rtol=0.02)
    assert sliced_wasserstein(A, A, random_state=0) == 0.0


@pytest.mark.parametrize("metric", [kernel_mmd, energy_distance, sliced_wasserstein])
def test_distances_are_symmetric_grow_and_see_the_joint_distribution(metric):
    fixed = {"random_state": 0} if metric is sliced_wasserstein else {}
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 300, 2))
    np.testing.assert_allclose(metric(A, B, **fixed), metric(B, A, **fixed), atol=1e-12)
    np.testing.assert_allclose(metric(A[::-1], B, **fixed), metric(A, B, **fixed), atol=1e-12)
    distances = [metric(A, B + shift, **fixed) for shift in (0.0, 0.5, 1.0)]
    assert distances[0] < distances[1] < distances[2]
    x = rng.standard_normal((300, 1))
    joint, broken = np.hstack([x, x]), np.hstack([x, x[::-1]])
    other = np.tile(rng.standard_normal((300, 1)), 2)
    assert metric(joint, broken, **fixed) > 3 * abs(metric(joint, other, **fixed))


# Generated samples --------------------------------------------------------------------------------


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_density_and_coverage_are_their_definitions(seed, k):
    X, Y = two_samples(seed)
    radii = [sorted(length(x - z) for z in X)[k] for x in X]
    inside = np.array([[length(x - y) <= r for y in Y] for x, r in zip(X, radii, strict=True)])
    expected = inside.sum() / (k * len(Y)), inside.any(axis=1).mean()
    np.testing.assert_allclose(density_coverage(X, Y, n_neighbors=k), expected)


def test_density_and_coverage_of_one_distribution_are_the_chance_level():
    rng, n, m, k = np.random.default_rng(0), 300, 200, 4
    found = [
        density_coverage(*np.split(rng.standard_normal((n + m, 2)), [n]), n_neighbors=k)
        for _ in range(60)
    ]
    # A ball is empty if the k nearest of the n + m − 1 other points are all real.
    chance = 1 - comb(n - 1, k) / comb(n + m - 1, k)
    density, coverage = np.mean(found, axis=0)
    errors = 4 * np.std(found, axis=0) / np.sqrt(60)
    assert abs(density - 1.0) < errors[0]
    assert abs(coverage - chance) < errors[1]


def test_density_and_coverage_tell_collapse_from_noise():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((400, 2))
    density, coverage = density_coverage(real, 0.1 * rng.standard_normal((400, 2)))
    assert density > 0.5
    assert coverage < 0.2
    density, _ = density_coverage(real, 10 * rng.standard_normal((400, 2)))
    assert density < 0.2
    repeated = np.repeat(real[:20], 20, axis=0)
    assert density_coverage(repeated, real[:20])[1] == 1.0


def test_training_on_synthetic_data():
    X, y = make_blobs(300, random_state=0)
    model = LogisticRegression(C=0.1)
    accuracy = synthetic_training_accuracy(model, X[:150], y[:150], X[150:], y[150:])
    assert accuracy == LogisticRegression(C=0.1).fit(X[:150], y[:150]).score(X[150:], y[150:])
    assert not hasattr(model, "coef_")
    permuted = np.random.default_rng(0).permutation(y[:150])
    assert synthetic_training_accuracy(model, X[:150], permuted, X[150:], y[150:]) < accuracy - 0.2
    line = synthetic_training_accuracy(LinearRegression(), X[:9], X[:9, 0], X, X[:, 0])
    assert line == pytest.approx(1.0)


def test_defaults():
    y, draws = draws_of(0, m=20)
    A, B = two_samples(0)
    for found, expected in (
        (variogram_score(y, draws), variogram_score(y, draws, p=0.5)),
        (interval_coverage(y, draws), interval_coverage(y, draws, level=0.9)),
        (energy_distance(A, B), energy_distance(A, B, unbiased=True)),
        (density_coverage(A, B), density_coverage(A, B, n_neighbors=5)),
        (
            sliced_wasserstein(A, B, random_state=0),
            sliced_wasserstein(A, B, n_projections=100, p=2.0, random_state=0),
        ),
    ):
        assert found == expected
    assert coverage_per_group(y, draws, y[:, 0] > 0) == coverage_per_group(
        y, draws, y[:, 0] > 0, level=0.9
    )
    assert sliced_wasserstein(A, B, n_projections=1, random_state=0) > 0


# What is refused ----------------------------------------------------------------------------------

OF_DRAWS = {
    "energy_score": energy_score,
    "energy_skill": lambda y, draws: energy_skill(y, draws, np.eye(3)),
    "crps": crps,
    "variogram_score": variogram_score,
    "interval_coverage": interval_coverage,
    "coverage_per_group": lambda y, draws: coverage_per_group(y, draws, [0] * 5),
    "spread_error_ratio": spread_error_ratio,
}
OF_TWO = (kernel_mmd, energy_distance, sliced_wasserstein, density_coverage)


def with_hole(array, value=np.nan):
    array = array.copy()
    array[0, 0] = value
    return array


@pytest.mark.parametrize("name", OF_DRAWS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y, x: (y, x[:, :, :2]), "n_draws"),
        (lambda y, x: (y, x[:, :4]), r"\(20, 4, 3\).*\(5, 3\)"),
        (lambda y, x: (y[:, 0], x), "n_draws"),
        (lambda y, x: (y, y), "n_draws"),
        (lambda y, x: (y, x[:1]), "1 draw of each row; 2 or more"),
        (lambda y, x: (y, x[:0]), r"samples has shape \(0, 5, 3\)"),
        (lambda y, x: (y[:0], x[:, :0]), r"y_true has shape \(0, 3\)"),
        (lambda y, x: (y[:, :0], x[..., :0]), r"y_true has shape \(5, 0\)"),
        (lambda y, x: (3.0, x), "y_true is a scalar"),
        (lambda y, x: (with_hole(y), x), "y_true contains NaN"),
        (lambda y, x: (y, with_hole(x)), "samples contains NaN"),
        (lambda y, x: (y, with_hole(x, np.inf)), "samples contains infinity"),
        (lambda y, x: (1e200 * y, x), "y_true has values up to .* too large"),
        (lambda y, x: (y, 1e200 * x), "samples has values up to .* too large"),
        (lambda y, x: (np.full((5, 3), "a"), x), "could not convert"),
    ],
)
def test_draws_that_do_not_fit_are_refused(name, change, message):
    with pytest.raises(ValueError, match=message):
        OF_DRAWS[name](*change(*draws_of(0, m=20)))


def test_rows_of_one_column_must_match():
    with pytest.raises(ValueError, match="has 4 rows on axis 1 and y_true has 5"):
        energy_score(np.zeros((5, 1)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="n_draws"):
        energy_score(np.zeros((5, 1)), np.zeros(5))


@pytest.mark.parametrize("metric", OF_TWO)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda A, B: (A, B[:, :1]), "common space"),
        (lambda A, B: (A, B[:, 0]), "common space"),
        (lambda A, B: (A[:1], B), r"shape \(1, 2\); 2 or more rows"),
        (lambda A, B: (A, B[:0]), r"shape \(0, 2\); 2 or more rows"),
        (lambda A, B: (A[:, :0], B[:, :0]), r"shape \(9, 0\)"),
        (lambda A, B: (with_hole(A), B), "contains NaN"),
        (lambda A, B: (A, with_hole(B, -np.inf)), "contains infinity"),
    ],
)
def test_samples_that_do_not_fit_are_refused(metric, change, message):
    with pytest.raises(ValueError, match=message):
        metric(*change(*two_samples(0)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, x: energy_score(y, x, scale=[1.0, 2.0]), r"scale has shape \(2,\)"),
        (lambda y, x: energy_score(y, x, scale=np.ones((5, 3))), r"scale has shape \(5, 3\)"),
        (lambda y, x: energy_score(y, x, scale=[1.0, 0.0, 1.0]), "scale must be positive"),
        (lambda y, x: energy_score(y, x, scale=np.nan), "scale must be positive"),
        (lambda y, x: energy_skill(y, x, y[:, :2]), "y_train has 2 columns"),
        (lambda y, x: energy_skill(y, x, y[:1]), r"y_train has shape \(1, 3\)"),
        (lambda y, x: energy_skill(y, x, with_hole(y)), "y_train contains NaN"),
        (lambda y, x: energy_skill(y, x, np.ones((9, 3))), "constant in every column"),
        (lambda y, x: energy_skill([0.5], [[1.0], [2.0]], [0.0, 1.0]), "not positive"),
        (lambda y, x: crps(y, x, multioutput="mean"), "multioutput='mean'"),
        (lambda y, x: variogram_score(y, x, p=0), "p must be"),
        (lambda y, x: variogram_score(y, x, p="1"), "p must be"),
        (lambda y, x: variogram_score(y[:, :1], x[..., :1]), "1 column; 2 or more"),
        (lambda y, x: variogram_score(y, x, weights=np.ones(3)), r"must be \(3, 3\)"),
        (lambda y, x: variogram_score(y, x, weights=-np.eye(3)), "non-negative"),
        (lambda y, x: variogram_score(y, x, weights=np.eye(3) * np.nan), "must be finite"),
        (lambda y, x: variogram_score(y, x, weights=np.diag([np.inf, 1, 1])), "must be finite"),
        (lambda y, x: variogram_score(y, x, weights=np.zeros((3, 3))), "not all zero"),
        (
            lambda y, x: variogram_score(y * np.c_[[1, 1, 1, 1, 1e100]], x, p=4),
            "p=4.0 makes powers",
        ),
        (lambda y, x: interval_coverage(y, x, level=1.0), "level must be"),
        (lambda y, x: interval_coverage(y, x, level=90), "level must be"),
        (lambda y, x: interval_coverage(y, x[:18]), "needs 19 draws or more"),
        (lambda y, x: interval_coverage(y, x, level=0.99), "needs 199 draws or more"),
        (lambda y, x: interval_coverage(y, x, multioutput=None), "multioutput=None"),
        (lambda y, x: coverage_per_group(y, x, [1, 2]), "groups has 2 entries"),
        (lambda y, x: coverage_per_group(y, x, [1, 2, 1, 2, np.nan]), "no label in 1 rows"),
        (lambda y, x: coverage_per_group(y, x, np.ones((5, 2))), "1d array"),
        (lambda y, x: coverage_per_group(y, x, [1] * 5, multioutput=""), "multioutput=''"),
        (lambda y, x: spread_error_ratio(y, x, multioutput="all"), "multioutput='all'"),
        (lambda y, x: kernel_mmd(y, y, gamma="scale"), "gamma='scale'"),
        (lambda y, x: kernel_mmd(y, y, gamma=-1.0), "gamma must be"),
        (lambda y, x: kernel_mmd(y, y, gamma=np.inf), "gamma must be"),
        (lambda y, x: kernel_mmd(y, y, gamma=True), "gamma must be"),
        (lambda y, x: kernel_mmd(np.ones(5), np.ones(4)), "median distance is zero"),
        (lambda y, x: sliced_wasserstein(y, y, n_projections=0), "n_projections=0"),
        (lambda y, x: sliced_wasserstein(y, y, n_projections=2.0), "n_projections=2.0"),
        (lambda y, x: sliced_wasserstein(y, y, n_projections=True), "n_projections=True"),
        (lambda y, x: sliced_wasserstein(y, y, p=0.5), "p=0.5"),
        (lambda y, x: sliced_wasserstein(y, y, p=np.inf), "p=inf"),
        (lambda y, x: sliced_wasserstein(1e100 * y, y, p=4), "p=4 makes powers"),
        (lambda y, x: sliced_wasserstein(7e76 * y, y, p=4, random_state=0), "p=4 makes powers"),
        (lambda y, x: density_coverage(y, y, n_neighbors=5), "between 1 and 4"),
        (lambda y, x: density_coverage(y, y, n_neighbors=0), "n_neighbors=0"),
    ],
)
def test_options_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*draws_of(0, m=20))


def test_flags_are_true_or_false():
    y, draws = draws_of(0)
    with pytest.raises(TypeError, match="per_row must be True or False, got 'no'"):
        energy_score(y, draws, per_row="no")
    with pytest.raises(TypeError, match="per_row must be True or False, got None"):
        variogram_score(y, draws, per_row=None)
    with pytest.raises(TypeError, match=r"unbiased must be True or False, got 0\.5"):
        energy_distance(y, y, unbiased=0.5)


def test_an_estimator_that_cannot_score_is_refused():
    with pytest.raises(TypeError, match="object has no fit and no score"):
        synthetic_training_accuracy(object(), [[0.0]], [0], [[0.0]], [0])


@pytest.mark.parametrize("metric", [*OF_DRAWS.values(), *OF_TWO])
def test_inputs_and_global_random_numbers_stay_as_they_were(metric):
    arrays = draws_of(0, m=20) if metric in OF_DRAWS.values() else two_samples(0)
    before, state = [a.copy() for a in arrays], np.random.get_state()[1].copy()  # noqa: NPY002
    metric(*arrays)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)
