"""The metrics against brute force, closed forms and NumPy formulas."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn import config_context
from sklearn.metrics import average_precision_score, r2_score

from skmm import Modalities, metrics
from skmm.metrics import (
    _average_precision,
    _correlation,
    canonical_correlations,
    foscttm,
    label_transfer_accuracy,
    mean_average_precision,
    mean_correlation,
    mean_reciprocal_rank,
    median_rank,
    r2_per_modality,
    recall_at_k,
    retrieval_report,
    total_correlation,
)
from skmm.metrics import _similarity as similarity_module

SIMILARITIES = ("cosine", "correlation", "euclidean")
SEEDS = range(5)


def noisy_pair(seed, n=60, k=4, noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, k))
    return z + noise * rng.standard_normal((n, k)), z + noise * rng.standard_normal((n, k))


def split(codes, n_train):
    return (
        {name: code[:n_train] for name, code in codes.items()},
        {name: code[n_train:] for name, code in codes.items()},
    )


# Canonical correlations ---------------------------------------------------------------------------


def textbook(a, b):
    """Cosines of the angles between the column spaces, for matrices of full rank."""
    Qa, Qb = (np.linalg.qr(x - x.mean(axis=0))[0] for x in (a, b))
    return np.linalg.svd(Qa.T @ Qb, compute_uv=False)


@pytest.mark.parametrize("n", [200, 12])  # many rows go through a triangle
@pytest.mark.parametrize("seed", SEEDS)
def test_canonical_correlations_are_the_textbook_ones(seed, n):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, 5)), rng.standard_normal((n, 3))
    b[:, 0] += a[:, 1]
    np.testing.assert_allclose(canonical_correlations(a, b), textbook(a, b), atol=1e-12)


def test_one_column_each_is_pearsons_correlation():
    a, b = noisy_pair(0, k=1)
    expected = abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1])
    np.testing.assert_allclose(canonical_correlations(a, b), [expected])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_canonical_correlations_ignore_dependent_and_constant_columns(dtype):
    a, b = (x.astype(dtype) for x in noisy_pair(1))
    wide = np.column_stack([a, a[:, 0], 3 * a[:, 1] + 7, np.full(len(a), 0.1, dtype)])
    expected = textbook(a.astype(float), b.astype(float))
    for left, right in ((wide, b), (wide, np.column_stack([b, b]))):
        np.testing.assert_allclose(canonical_correlations(left, right), expected, atol=1e-5)


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_dependent_columns_are_none_where_an_offset_makes_rounding_coarse(offset):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 3))
    a, b = z + rng.standard_normal((300, 3)), z @ rng.standard_normal((3, 6))
    b += rng.standard_normal(b.shape)
    far = np.column_stack([a, 3 * a[:, 0] + offset]).astype(np.float32)  # 1e4: rounds to 1e-3
    expected = total_correlation(*split({"a": a, "b": b}, 200))
    for left, right in ((far, b), (b, far)):
        rho = canonical_correlations(left, right)
        np.testing.assert_allclose(rho, textbook(a, b), atol=1e-5)
        train, test = split({"a": left, "b": right}, 200)
        total = total_correlation(train, test)
        assert total == pytest.approx(expected, abs=1e-3)
        assert mean_correlation(train, test) == pytest.approx(total / 3)


def test_rounding_is_that_of_the_largest_value_over_the_spread():
    x = np.array([[-1.0], [1.0]])
    eps = np.finfo(np.float64).eps
    for columns, ratio in ((x, 1), (x + 1000, 1001), (np.hstack([x, x - 1000]), 1001)):
        np.testing.assert_allclose(_correlation._rounding(1e-3 * columns), ratio * eps)
        single = _correlation._rounding(columns.astype(np.float32))
        np.testing.assert_allclose(single, ratio * np.finfo(np.float32).eps)


def test_unit_columns_have_length_one_in_any_units():
    a = noisy_pair(0)[0] * [1e-200, 1.0, 1e3, 1e150] + [0.0, 1.0, 0.0, 0.0]
    unit = _correlation._unit_columns(np.column_stack([a, np.full(60, 0.1)]))
    assert unit.shape == (60, 4)
    np.testing.assert_allclose(unit.mean(axis=0), 0.0, atol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=0), 1.0)


def test_projections_of_less_than_eight_roundings_per_column_are_zero():
    eps = np.finfo(np.float64).eps
    for z in (np.array([[-1.0], [1.0]]), np.array([[-3.0], [1.0], [1.0], [1.0]])):
        for difference, kept in ((30 * eps, False), (34 * eps, True)):  # 8 * 2 * eps * (1 + 1)
            axes = np.array([[1.0], [difference - 1.0]])
            projected = _correlation._project(np.hstack([z, z]), axes)
            np.testing.assert_array_equal(projected, difference * z * kept)


def test_columns_that_vary_by_eight_roundings_of_their_mean_are_constant():
    eps = np.finfo(np.float64).eps
    for deviation, kept in ((7 * eps, False), (9 * eps, True)):
        column = np.array([[1.0 - 2 * deviation], [1.0]])
        centred, size = _correlation._centred(column)
        np.testing.assert_array_equal(centred, deviation * kept * np.array([[-1.0], [1.0]]))
        assert size == kept


def test_small_differences_between_columns_in_single_precision_are_components():
    z, w = np.random.default_rng(0).standard_normal((2, 200, 1))
    codes = {"a": np.hstack([z, z + 1e-3 * w]).astype(np.float32), "b": w.astype(np.float32)}
    assert total_correlation(*split(codes, 120)) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(canonical_correlations(*codes.values()), [1.0], atol=1e-5)


def test_units_and_offsets_cost_no_digits():
    a, b = noisy_pair(2)
    moved = a * [1e-8, 1.0, 1e8, 1e4] + [0.0, 1e6, 1e9, -1.0]
    np.testing.assert_allclose(canonical_correlations(moved, b), textbook(a, b), atol=1e-8)


def test_more_columns_than_rows_correlate_perfectly():
    rng = np.random.default_rng(0)
    rho = canonical_correlations(rng.standard_normal((6, 10)), rng.standard_normal((6, 9)))
    np.testing.assert_allclose(rho, np.ones(5))


def test_canonical_correlations_of_a_constant_are_none():
    a, b = noisy_pair(0)
    assert canonical_correlations(np.ones_like(a), b).shape == (0,)


def test_canonical_correlations_use_rows_present_in_both():
    a, b = noisy_pair(3)
    expected = canonical_correlations(a[5:-4], b[5:-4])
    a[:5], b[-4:] = np.nan, np.nan
    np.testing.assert_allclose(canonical_correlations(a, b), expected)


# Held-out correlation -----------------------------------------------------------------------------


def held_out(train_a, train_b, test_a, test_b):
    """Correlations along the training axes, by whitening with Cholesky factors (full rank)."""
    roots = [np.linalg.cholesky(np.linalg.inv(np.cov(x.T, ddof=0))) for x in (train_a, train_b)]
    p = train_a.shape[1]
    cross = np.cov(train_a.T, train_b.T, ddof=0)[:p, p:]
    U, _, Vt = np.linalg.svd(roots[0].T @ cross @ roots[1], full_matrices=False)
    a, b = test_a @ roots[0] @ U, test_b @ roots[1] @ Vt.T
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])


@pytest.mark.parametrize("seed", SEEDS)
def test_total_correlation_is_the_formula(seed):
    a, b = noisy_pair(seed, n=120)
    b = np.column_stack([b, np.random.default_rng(seed).standard_normal(120)])
    train, test = split({"a": a, "b": b}, 80)
    expected = held_out(train["a"], train["b"], test["a"], test["b"])
    assert total_correlation(train, test) == pytest.approx(expected.sum())
    assert mean_correlation(train, test) == pytest.approx(expected.mean())


def test_total_correlation_averages_over_pairs():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((90, 3))
    codes = {
        name: z + s * rng.standard_normal(z.shape) for name, s in zip("abc", (1, 2, 3), strict=True)
    }
    train, test = split(codes, 60)
    pairs = [
        total_correlation([train[a], train[b]], [test[a], test[b]])
        for a, b in combinations(codes, 2)
    ]
    assert total_correlation(train, test) == pytest.approx(np.mean(pairs))
    assert total_correlation(list(train.values()), list(test.values())) == pytest.approx(
        np.mean(pairs)
    )


def test_in_sample_total_is_the_sum_of_canonical_correlations():
    a, b = noisy_pair(4)
    codes = {"a": a, "b": b}
    assert total_correlation(codes, codes) == pytest.approx(canonical_correlations(a, b).sum())


def test_total_correlation_does_not_see_invertible_maps():
    rng = np.random.default_rng(0)
    a, b = noisy_pair(5, n=100)
    A, B = rng.standard_normal((4, 4)), rng.standard_normal((4, 4)) * [1e-6, 1, 1e3, 1e6]
    expected = total_correlation(*split({"a": a, "b": b}, 60))
    moved = total_correlation(*split({"a": a @ A + 1e3, "b": b @ B}, 60))
    assert moved == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_duplicated_components_add_nothing(dtype):
    a, b = (x.astype(dtype) for x in noisy_pair(6, n=200))
    expected = total_correlation(*split({"a": a, "b": b}, 120))
    a2 = np.column_stack([a, a[:, :2], 3 * a[:, 3] - a[:, 0] + 5]).astype(dtype)
    b2 = np.column_stack([b, b, np.zeros(len(b), dtype)])
    for left, right in ((a2, b), (a, b2), (a2, b2)):
        train, test = split({"a": left, "b": right}, 120)
        assert total_correlation(train, test) == pytest.approx(expected, abs=1e-4)
        assert mean_correlation(train, test) == pytest.approx(expected / 4, abs=1e-4)


def test_independent_codes_score_about_zero():
    rng = np.random.default_rng(0)
    codes = {name: rng.standard_normal((1200, 50)) for name in "ab"}
    total = total_correlation(*split(codes, 1000))
    assert abs(total) < 4 * np.sqrt(50 / 200)  # four standard errors of the sum


def test_held_out_signs_are_kept():
    z = np.random.default_rng(0).standard_normal((30, 3))
    assert total_correlation([z, z], [z, -z]) == pytest.approx(-3)


@pytest.mark.parametrize("constant", [0.1, 1e6 / 3])
def test_constant_held_out_column_counts_zero(constant):
    z = np.random.default_rng(0).standard_normal((40, 1))
    assert total_correlation([z, z], [z, np.full_like(z, constant)]) == 0.0


def test_projection_that_cancels_counts_zero():
    rng = np.random.default_rng(0)
    z, shared = rng.standard_normal((50, 1)), 100 * rng.standard_normal((50, 1))
    train = [np.column_stack([z + shared, shared]), z]  # the axis is the difference
    test = [np.column_stack([shared, shared]) / 3, z]  # which is rounding only
    axis = canonical_correlations(*train)
    np.testing.assert_allclose(axis, [1.0])
    assert total_correlation(train, test) == 0.0


def test_no_axes_score_zero():
    z = np.random.default_rng(0).standard_normal((20, 2))
    codes = {"a": z, "b": np.ones((20, 2))}
    assert total_correlation(codes, codes) == 0.0
    assert mean_correlation(codes, codes) == 0.0
    codes["c"] = z + np.random.default_rng(1).standard_normal((20, 2))
    assert mean_correlation(codes, codes) == pytest.approx(
        mean_correlation([z, codes["c"]], [z, codes["c"]])
    )


def test_mean_correlation_weighs_axes_alike_over_pairs_of_different_rank():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((50, 3))
    codes = {"a": z, "b": z + rng.standard_normal(z.shape), "c": z[:, :1]}
    train, test = split(codes, 30)
    totals = {
        (a, b): total_correlation([train[a], train[b]], [test[a], test[b]])
        for a, b in combinations(codes, 2)
    }
    assert mean_correlation(train, test) == pytest.approx(sum(totals.values()) / (3 + 1 + 1))


def test_missing_rows_are_left_out_pair_by_pair():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((100, 2))
    codes = {name: z + rng.standard_normal(z.shape) for name in "abc"}
    train, test = split(codes, 60)
    train["a"], test["b"] = train["a"].copy(), test["b"].copy()
    train["a"][:7], test["b"][-5:] = np.nan, np.nan
    ab = total_correlation([train["a"][7:], train["b"][7:]], [test["a"][:-5], test["b"][:-5]])
    ac = total_correlation([train["a"][7:], train["c"][7:]], [test["a"], test["c"]])
    bc = total_correlation([train["b"], train["c"]], [test["b"][:-5], test["c"][:-5]])
    assert total_correlation(train, test) == pytest.approx(np.mean([ab, ac, bc]))


def test_scores_may_be_modalities():
    train, test = split(dict(zip("ab", noisy_pair(0), strict=True)), 40)
    expected = total_correlation(train, test)
    assert total_correlation(Modalities(train), Modalities(test)) == expected


@pytest.mark.parametrize("function", [total_correlation, mean_correlation])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z: (([z]), [z]), "train_scores has 1 modalities"),
        (lambda z: ({"a": z, "b": z[:-1]}, {"a": z, "b": z}), "differ in their numbers of rows"),
        (lambda z: ({"a": z, "b": z}, {"a": z, "c": z}), "must have the same modalities"),
        (lambda z: ({"a": z, "b": z}, {"a": z, "b": z[:, :1]}), "'b' has 3 columns"),
        (lambda z: ({"a": z, "b": z * np.inf}, {"a": z, "b": z}), r"\['b'\] contains infinity"),
        (lambda z: ([z, z], [z, z * [1, 1, np.nan]]), "NaN in 20 rows"),
        (lambda z: ([z, z], [z, np.nan * z]), "0 rows in common"),
        (lambda z: ([z, z], [z[:1], z[:1]]), "1 rows in common"),
        (lambda z: ([z, z[:, 0]], [z, z]), "Expected 2D array"),
    ],
)
def test_held_out_correlation_refuses(function, change, message):
    z = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(ValueError, match=message):
        function(*change(z))


@pytest.mark.parametrize("place", [0, 1])
def test_numbers_whose_squares_overflow_are_refused(place):
    z = np.random.default_rng(0).standard_normal((20, 3))
    scores = [[z, z], [z, z]]
    scores[place] = [z, 1e200 * z]
    with pytest.raises(ValueError, match=r"scores\['1'\] has values up to .* too large"):
        total_correlation(*scores)
    with pytest.raises(ValueError, match=r"^b has values up to .* too large"):
        canonical_correlations(*scores[place])


def test_one_matrix_is_no_pair_of_modalities():
    z = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(TypeError, match="pass a dict"):
        total_correlation(z, z)
    with pytest.raises(TypeError, match="DataFrame"):
        total_correlation(pd.DataFrame(z), pd.DataFrame(z))


# Retrieval ----------------------------------------------------------------------------------------


def brute_positions(queries, gallery, similarity):
    """For each query, the first and last rank that its match may take in the ties' orders."""
    distances = np.round(cdist(queries, gallery, similarity), 12)
    own = np.diag(distances)[:, None]
    return 1 + (distances < own).sum(axis=1), (distances <= own).sum(axis=1)


def brute(queries, gallery, similarity, gain):
    """Mean over queries of the mean gain over the ranks that the match may take."""
    first, last = brute_positions(queries, gallery, similarity)
    return np.array(
        [
            np.mean([gain(rank) for rank in range(i, j + 1)])
            for i, j in zip(first, last, strict=True)
        ]
    )


def tied_pair(seed):
    """Codes on a small lattice: many ties, no zero and no constant rows."""
    rng = np.random.default_rng(seed)
    rows = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, -1], [2, 0, 0], [-1, 0, 1]], float)
    return rows[rng.integers(len(rows), size=25)], rows[rng.integers(len(rows), size=25)]


METRICS = {
    "recall_at_1": (lambda a, b, **kw: recall_at_k(a, b, **kw), lambda r: r <= 1, np.mean),
    "recall_at_4": (lambda a, b, **kw: recall_at_k(a, b, k=4, **kw), lambda r: r <= 4, np.mean),
    "mrr": (mean_reciprocal_rank, lambda r: 1 / r, np.mean),
    "median": (median_rank, lambda r: r, np.median),
}


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("make", [noisy_pair, tied_pair])
def test_retrieval_is_brute_force(make, metric, similarity):
    function, gain, average = METRICS[metric]
    options = {"similarity": similarity}
    for seed in SEEDS:
        a, b = make(seed)
        forth = average(brute(a, b, similarity, gain))
        back = average(brute(b, a, similarity, gain))
        assert function(a, b, direction="a_to_b", **options) == pytest.approx(forth), seed
        assert function(a, b, direction="b_to_a", **options) == pytest.approx(back), seed
        assert function(a, b, **options) == pytest.approx((forth + back) / 2), seed


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_perfect_codes_are_found(similarity):
    a, _ = noisy_pair(0, n=80)
    report = retrieval_report(a, a, similarity=similarity)
    assert (report["recall_at_1"] == 1).all()
    assert (report["mean_reciprocal_rank"] == 1).all()
    assert (report["median_rank"] == 1).all()
    assert foscttm(a, a, similarity=similarity) == 0


@pytest.mark.parametrize("value", [0.0, 0.1, 1e5 / 3])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_codes_that_are_all_alike_score_at_chance(similarity, value):
    n = 37
    a, b = np.full((n, 7), value), np.full((n, 7), 2 * value)
    report = retrieval_report(a, b, k=(1, 5), similarity=similarity).loc["mean"]
    assert report["recall_at_1"] == pytest.approx(1 / n)
    assert report["recall_at_5"] == pytest.approx(5 / n)
    assert report["mean_reciprocal_rank"] == pytest.approx(np.mean(1 / np.arange(1, n + 1)))
    assert report["median_rank"] == (n + 1) / 2
    assert foscttm(a, b, similarity=similarity) == 0.5


def test_collapsed_directions_score_at_chance():
    """All codes on one ray, of different lengths: the cosine cannot tell them apart."""
    lengths = np.random.default_rng(0).uniform(1, 2, (50, 1))
    codes = lengths * np.random.default_rng(1).standard_normal((1, 9))
    assert recall_at_k(codes, codes) == pytest.approx(1 / 50)
    assert recall_at_k(codes, codes, similarity="euclidean") == 1.0


def test_codes_constant_but_for_rounding_have_no_direction():
    jitter = np.random.default_rng(0).integers(-1, 2, (50, 6)) * np.finfo(float).eps / 2
    codes = 0.3 + jitter
    assert recall_at_k(codes, codes, similarity="correlation") == pytest.approx(1 / 50)


@pytest.mark.parametrize("centre", [False, True])
def test_rows_get_unit_length_but_for_constant_ones(centre):
    eps = np.finfo(float).eps
    rows = np.array([[3e200, 4e200, 0.0], [-1e-200, 2e-200, 5e-200], [0.0, 0.0, 0.0]])
    unit = similarity_module._unit_rows(rows, centre)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), [1.0, 1.0, 0.0])
    near = np.array([[1.0 - 16 * eps, 1.0], [1.0 - 18 * eps, 1.0]])  # off the mean by 8 and 9
    lengths = np.linalg.norm(similarity_module._unit_rows(near, centre), axis=1)
    np.testing.assert_allclose(lengths, [0.0 if centre else 1.0, 1.0])
    skewed = np.array([[1.0 - 12 * eps, 1.0, 1.0, 1.0]])  # one value is off by 9, others by 3
    np.testing.assert_allclose(np.linalg.norm(similarity_module._unit_rows(skewed, centre)), 1.0)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_random_codes_score_at_chance(similarity):
    rng = np.random.default_rng(0)
    n = 400
    a, b = rng.standard_normal((n, 5)), rng.standard_normal((n, 5))
    report = retrieval_report(a, b, k=(1, 40), similarity=similarity).loc["mean"]
    assert report["recall_at_1"] < 5 / n
    assert report["recall_at_40"] == pytest.approx(0.1, abs=0.05)
    assert report["median_rank"] == pytest.approx((n + 1) / 2, rel=0.15)
    assert foscttm(a, b, similarity=similarity) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("seed", SEEDS)
def test_order_of_samples_does_not_matter(seed, similarity):
    a, b = noisy_pair(seed)
    order = np.random.default_rng(seed).permutation(len(a))
    report = retrieval_report(a, b, similarity=similarity)
    pd.testing.assert_frame_equal(
        retrieval_report(a[order], b[order], similarity=similarity), report
    )
    assert foscttm(a[order], b[order]) == pytest.approx(foscttm(a, b))


@pytest.mark.parametrize("offset", [1e6, 1e9])
def test_moving_both_does_not_change_euclidean_retrieval(offset):
    a, b = noisy_pair(0)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    expected = retrieval_report(a, b, similarity="euclidean")
    moved = retrieval_report(offset + 3 * a @ Q, offset + 3 * b @ Q, similarity="euclidean")
    pd.testing.assert_frame_equal(moved, expected)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_extreme_units_do_not_overflow(similarity, scale):
    a, b = noisy_pair(0)
    expected = retrieval_report(a, b, similarity=similarity)
    pd.testing.assert_frame_equal(
        retrieval_report(a * scale, b * scale, similarity=similarity), expected
    )


def test_one_modality_may_be_far_larger():
    a, b = np.array([[-1.0], [0.0], [1.0]]), np.array([[1.0], [2.0], [3.0]])
    for left, right in ((a, b), (b, a)):
        for x, y in ((1e200, 1.0), (1.0, 1e200)):
            found = retrieval_report(x * left, y * right, similarity="euclidean")
            expected = retrieval_report(x / 1e200 * left, y / 1e200 * right, similarity="euclidean")
            pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("of_queries", "of_gallery", "closer", "tied"),
    [
        ((0.0, 0.0), (0.2, 0.1), [0, 0], [1, 1]),
        ((0.0, 0.0), (0.125, 0.125), [0, 0], [1, 1]),
        ((0.0, 0.0), (0.1, 0.125), [0, 1], [0, 0]),
        ((0.125, 0.0), (0.0, 0.0), [0, 1], [1, 0]),
        ((0.0, 0.125), (0.0, 0.0), [0, 0], [0, 1]),
    ],
)
def test_rivals_tie_if_they_differ_by_the_bounds_of_both(
    monkeypatch, of_queries, of_gallery, closer, tied
):
    factors = np.ones((2, 1)), np.array([[1.0], [0.75]]), of_queries, of_gallery
    closeness = similarity_module.Closeness(*(np.array(factor) for factor in factors))
    monkeypatch.setattr(similarity_module.Closeness, "of", lambda *_: closeness)
    found = similarity_module.rivals(*factors[:2], "cosine")
    np.testing.assert_array_equal(found, [closer, tied])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("make", [noisy_pair, tied_pair])
def test_chunks_do_not_change_the_result(monkeypatch, make, similarity):
    a, b = make(0)
    labels = np.arange(len(a)) % 3

    def results():
        report = retrieval_report(a, b, similarity=similarity).to_numpy().ravel()
        mean_ap = mean_average_precision(a, b, labels, labels, similarity=similarity)
        return [*report, foscttm(a, b, similarity=similarity), mean_ap]

    expected = results()
    for entries in (1, 7 * len(a)):
        with config_context(working_memory=entries / 512):
            assert len(list(similarity_module.Closeness.of(a, b, "cosine").chunks())) > 1
            found = results()
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_memory_is_bounded_by_the_chunk():
    a, b = noisy_pair(0, n=3000)
    chunks = [part.size for _, part, _ in similarity_module.Closeness.of(a, b, "cosine").chunks()]
    assert max(chunks) <= 2**19 < sum(chunks) == 3000**2
    assert max(chunks) > 2**19 - 3000  # as many rows as there is room for
    few = similarity_module.Closeness.of(a[:5], b[:7], "cosine")
    with config_context(working_memory=1 / 512):
        assert [part.shape for _, part, _ in few.chunks()] == [(1, 7)] * 5


def test_float32_codes_give_the_same_figures():
    a, b = (x.astype(np.float32) for x in noisy_pair(0))
    wide = a.astype(np.float64), b.astype(np.float64)
    pd.testing.assert_frame_equal(retrieval_report(a, b), retrieval_report(*wide))
    assert foscttm(a, b) == foscttm(*wide)


def test_report_collects_the_metrics():
    a, b = noisy_pair(0)
    pd.testing.assert_frame_equal(retrieval_report(a, b), retrieval_report(a, b, k=(1, 5, 10)))
    report = retrieval_report(a, b, k=(2, 3), similarity="euclidean")
    assert report["pool_size"].tolist() == [60, 60, 60]
    for direction in ("a_to_b", "b_to_a", "mean"):
        options = {"direction": direction, "similarity": "euclidean"}
        row = report.loc[direction]
        assert row["recall_at_2"] == pytest.approx(recall_at_k(a, b, k=2, **options))
        assert row["recall_at_3"] == pytest.approx(recall_at_k(a, b, k=3, **options))
        assert row["mean_reciprocal_rank"] == pytest.approx(mean_reciprocal_rank(a, b, **options))
        assert row["median_rank"] == pytest.approx(median_rank(a, b, **options))


def test_missing_rows_leave_the_pool():
    a, b = noisy_pair(0)
    expected = retrieval_report(a[3:-2], b[3:-2])
    expected_foscttm = foscttm(a[3:-2], b[3:-2])
    a[:3], b[-2:] = np.nan, np.nan
    report = retrieval_report(a, b)
    assert report.loc["mean", "pool_size"] == 55
    pd.testing.assert_frame_equal(report, expected)
    assert foscttm(a, b) == expected_foscttm


@pytest.mark.parametrize(
    "function", [recall_at_k, mean_reciprocal_rank, median_rank, retrieval_report, foscttm]
)
def test_pairwise_metrics_refuse(function):
    a, b = noisy_pair(0)
    with pytest.raises(ValueError, match="a has 60 rows and b has 59"):
        function(a, b[:-1])
    with pytest.raises(ValueError, match="a has 4 columns and b has 3"):
        function(a, b[:, :3])
    with pytest.raises(ValueError, match="'cosine', 'correlation', 'euclidean'"):
        function(a, b, similarity="manhattan")
    with pytest.raises(ValueError, match="b contains infinity"):
        function(a, np.where(b > 2, np.inf, b))
    partly = b.copy()
    partly[0, 0] = np.nan
    with pytest.raises(ValueError, match="b contains NaN in 1 rows"):
        function(a, partly)
    with pytest.raises(ValueError, match="1 rows in common"):
        function(a[:1], b[:1])


def test_options_are_checked():
    a, b = noisy_pair(0)
    for k in (0, 1.5, "1"):
        with pytest.raises(ValueError, match="k="):
            recall_at_k(a, b, k=k)
    with pytest.raises(ValueError, match=r"got \[0\]"):
        retrieval_report(a, b, k=(1, 0))
    with pytest.raises(ValueError, match="'a_to_b', 'b_to_a'"):
        recall_at_k(a, b, direction="forth")


# Retrieval by label -------------------------------------------------------------------------------


def brute_map(queries, gallery, query_labels, gallery_labels, similarity, depth):
    """Average over all orders of the gallery that respect the distances."""
    distances = np.round(cdist(queries, gallery, similarity), 12)
    orders = [list(order) for order in permutations(range(len(gallery)))]
    scores = []
    for row, label in zip(distances, query_labels, strict=True):
        relevant = gallery_labels == label
        values = []
        for order in orders:
            if (np.diff(row[order]) >= 0).all():
                hits = relevant[order]
                precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
                gained = (precision * hits)[:depth].sum()
                values.append(gained / min(depth, relevant.sum()))
        scores.append(np.mean(values))
    return np.mean(scores)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("top_k", [None, 1, 3])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mean_average_precision_is_brute_force_over_orders_of_ties(similarity, top_k, seed):
    queries, gallery = (codes[:6] for codes in tied_pair(seed))
    query_labels, gallery_labels = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 1, 0])
    arguments = queries, gallery, query_labels, gallery_labels
    expected = brute_map(*arguments, similarity, top_k or 6)
    score = mean_average_precision(*arguments, similarity=similarity, top_k=top_k)
    assert score == pytest.approx(expected)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mean_average_precision_of_a_single_point_is_chance(similarity):
    codes, labels = np.ones((6, 2)), np.array([0, 0, 1, 1, 1, 0])
    expected = brute_map(codes, codes, labels, labels, "euclidean", 6)
    score = mean_average_precision(codes, codes, labels, labels, similarity=similarity)
    assert score == pytest.approx(expected)


@pytest.mark.parametrize(
    ("bounds", "orders"),
    [
        ([0.0, 0.2, 0.2, 0.0], [(2, 4), (3, 4)]),
        ([0.0, 0.25, 0.0, 0.0], [(2, 4), (3, 4)]),
        ([0.0, 0.0, 0.25, 0.0], [(2, 4), (3, 4)]),
        ([0.2, 0.1, 0.1, 0.2], [(2, 4)]),
        ([1.5, 0.5, 0.5, 3.0], list(combinations(range(1, 5), 2))),
    ],
)
def test_candidates_that_differ_by_their_two_bounds_are_tied(bounds, orders):
    """Of the relevant ones, the second and the last, each order of ties gives other ranks."""
    closeness, relevant = np.array([[5.0, 3.0, 2.75, 0.0]]), np.array([[False, True, False, True]])
    found = _average_precision._average_precision(closeness, np.array([bounds]), relevant, 4)
    np.testing.assert_allclose(found, [np.mean([(1 / i + 2 / j) / 2 for i, j in orders])])


@pytest.mark.parametrize("seed", SEEDS)
def test_mean_average_precision_without_ties_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    queries, gallery = rng.standard_normal((30, 4)), rng.standard_normal((70, 4))
    query_labels, gallery_labels = rng.integers(4, size=30), rng.integers(4, size=70)
    closeness = 1 - cdist(queries, gallery, "cosine")
    expected = np.mean(
        [
            average_precision_score(gallery_labels == label, row)
            for label, row in zip(query_labels, closeness, strict=True)
        ]
    )
    names = np.array(["art", "music", "sport", "war"])
    score = mean_average_precision(queries, gallery, names[query_labels], names[gallery_labels])
    assert score == pytest.approx(expected)


def test_queries_without_relevant_candidates_are_left_out():
    a, b = noisy_pair(0)
    labels = np.arange(60) % 3
    absent = np.where(np.arange(60) < 10, 9, labels)
    expected = mean_average_precision(a[10:], b, labels[10:], labels)
    assert mean_average_precision(a, b, absent, labels) == pytest.approx(expected)
    with pytest.raises(ValueError, match="No query has a label"):
        mean_average_precision(a, b, absent + 20, labels)


def test_missing_queries_and_candidates_are_left_out():
    a, b = noisy_pair(0)
    labels = np.arange(60) % 3
    expected = mean_average_precision(a[4:], b[:-6], labels[4:], labels[:-6])
    a[:4], b[-6:] = np.nan, np.nan
    assert mean_average_precision(a, b, labels, labels) == pytest.approx(expected)
    with pytest.raises(ValueError, match="Every row of gallery_codes is missing"):
        mean_average_precision(a, np.nan * b, labels, labels)


def test_mean_average_precision_refuses():
    a, b = noisy_pair(0)
    labels = np.zeros(60)
    with pytest.raises(ValueError, match="gallery_labels has 59 entries"):
        mean_average_precision(a, b, labels, labels[:-1])
    with pytest.raises(ValueError, match="query_labels contains NaN"):
        mean_average_precision(a, b, labels * np.nan, labels)
    with pytest.raises(ValueError, match="query_codes has 4 columns"):
        mean_average_precision(a, b[:, :2], labels, labels)
    with pytest.raises(ValueError, match="top_k=0"):
        mean_average_precision(a, b, labels, labels, top_k=0)
    with pytest.raises(ValueError, match="similarity='dot'"):
        mean_average_precision(a, b, labels, labels, similarity="dot")


def test_wikipedia_protocol_gives_the_published_figures(skmm_data):
    """Rasiwasia et al. (2010), table 1: correlation matching .249 / .196, random .118."""
    from skmm import CCA
    from skmm.datasets import fetch_wikipedia

    X, _ = fetch_wikipedia(subset="train", return_X_y=True)
    X_test, y_test = fetch_wikipedia(subset="test", return_X_y=True)
    codes = CCA(n_components=7, shrinkage=1e-4).fit(X).transform_each(X_test)
    image, text = codes["image"], codes["text"]
    assert mean_average_precision(image, text, y_test, y_test) == pytest.approx(0.249, abs=0.006)
    assert mean_average_precision(text, image, y_test, y_test) == pytest.approx(0.196, abs=0.006)
    alike = np.ones_like(image)
    assert mean_average_precision(alike, alike, y_test, y_test) == pytest.approx(0.118, abs=0.001)


# Matching -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("make", [noisy_pair, tied_pair])
def test_foscttm_is_brute_force(make, similarity, seed):
    a, b = make(seed)
    distances = np.round(cdist(a, b, similarity), 12)
    n, shares = len(a), []
    for D in (distances, distances.T):
        for i in range(n):
            others = np.delete(D[i], i)
            shares.append(((others < D[i, i]).sum() + (others == D[i, i]).sum() / 2) / (n - 1))
    assert foscttm(a, b, similarity=similarity) == pytest.approx(np.mean(shares))


def test_foscttm_of_opposite_order_is_one():
    a = np.array([[0.0], [10.0]])
    assert foscttm(a, a[::-1]) == 1.0


def test_label_transfer_is_brute_force():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((50, 3)), rng.standard_normal((30, 3))
    train_labels, test_labels = rng.integers(2, size=50), rng.integers(2, size=30)
    nearest = np.argsort(cdist(test, train), axis=1)
    for k in (1, 5):
        votes = train_labels[nearest[:, :k]].mean(axis=1) > 0.5
        score = label_transfer_accuracy(train, train_labels, test, test_labels, n_neighbors=k)
        assert score == pytest.approx(np.mean(votes == test_labels))
    assert label_transfer_accuracy(train, train_labels, test, test_labels) == score  # k=5
    six = label_transfer_accuracy(train, train_labels, test, test_labels, n_neighbors=6)
    assert six != score
    # All 50 vote: the most frequent class.
    everyone = label_transfer_accuracy(train, train_labels, test, test_labels, n_neighbors=50)
    assert everyone == pytest.approx(np.mean(test_labels == (train_labels.mean() > 0.5)))


def test_label_transfer_leaves_missing_rows_out_and_takes_names():
    a, b = noisy_pair(0)
    labels = np.array(["x", "y", "z"])[np.arange(60) % 3]
    expected = label_transfer_accuracy(a[2:], labels[2:], b[:-3], labels[:-3])
    a[:2], b[-3:] = np.nan, np.nan
    assert label_transfer_accuracy(a, labels, b, labels) == expected


def test_label_transfer_refuses():
    a, b = noisy_pair(0)
    labels = np.zeros(60)
    with pytest.raises(ValueError, match="n_neighbors=61"):
        label_transfer_accuracy(a, labels, b, labels, n_neighbors=61)
    with pytest.raises(ValueError, match="n_neighbors=0"):
        label_transfer_accuracy(a, labels, b, labels, n_neighbors=0)
    with pytest.raises(ValueError, match="test_labels has 3 entries"):
        label_transfer_accuracy(a, labels, b, labels[:3])
    with pytest.raises(ValueError, match="train_codes has 4 columns and test_codes has 2"):
        label_transfer_accuracy(a, labels, b[:, :2], labels)
    with pytest.raises(ValueError, match="Every row of test_codes"):
        label_transfer_accuracy(a, labels, np.nan * b, labels)


# Reconstruction -----------------------------------------------------------------------------------


def test_r2_relative_to_own_means_is_scikit_learns():
    a, b = noisy_pair(0)
    a, b = a * [1, 10, 0.1, 3], b * [1, 10, 0.1, 3]
    expected = pytest.approx(r2_score(a, b, multioutput="variance_weighted"))
    for unit in (1e-3, 1.0, 1e3):
        baseline = {"x": unit * a.mean(axis=0), "unused": [0.0]}
        assert r2_per_modality({"x": unit * a}, {"x": unit * b}, baseline=baseline) == {
            "x": expected
        }


def test_predicting_the_baseline_scores_zero_and_the_truth_one():
    a, _ = noisy_pair(0)
    mean = np.full(4, 0.3)
    guess = {"mean": np.broadcast_to(mean, a.shape), "truth": a}
    r2 = r2_per_modality({"mean": a, "truth": a}, guess, baseline={"mean": mean, "truth": mean})
    assert r2 == {"mean": pytest.approx(0.0), "truth": 1.0}


def test_r2_leaves_missing_rows_and_entries_out():
    a, b = noisy_pair(0)
    mean = np.arange(4.0)
    seen = np.random.default_rng(0).random(a.shape) < 0.7
    seen[5] = False
    expected = 1 - ((a - b)[seen] ** 2).sum() / ((a - mean)[seen] ** 2).sum()
    true, predicted = np.where(seen, a, np.nan), np.where(seen, b, np.nan)
    assert r2_per_modality({"x": true}, {"x": predicted}, baseline={"x": mean})["x"] == (
        pytest.approx(expected)
    )


def test_r2_reads_shapes_and_masks_of_modalities():
    rng = np.random.default_rng(0)
    images, series = rng.standard_normal((9, 2, 3)), np.arange(9)
    predicted = {"image": images + 0.1, "series": series + 1.0}
    X = Modalities(
        {"image": images, "series": series}, missing={"series": [True] * 2 + [False] * 7}
    )
    r2 = r2_per_modality(X, predicted, baseline={"image": np.zeros((2, 3)), "series": 4.0})
    assert r2["image"] == pytest.approx(1 - 0.01 * images.size / (images**2).sum())
    assert r2["series"] == pytest.approx(1 - 7 / ((series[2:] - 4.0) ** 2).sum())


def test_r2_of_a_modality_equal_to_its_baseline():
    ones = np.ones((4, 2))
    r2 = r2_per_modality(
        {"a": ones, "b": ones}, {"a": ones, "b": 2 * ones}, baseline={"a": [1, 1], "b": [1, 1]}
    )
    assert r2 == {"a": 1.0, "b": 0.0}


def test_r2_refuses():
    a, b = noisy_pair(0)
    mean = np.zeros(4)
    with pytest.raises(ValueError, match="true and predicted must have the same modalities"):
        r2_per_modality({"x": a}, {"y": b}, baseline={"x": mean})
    with pytest.raises(ValueError, match=r"baseline lacks the modalities \['x'\]"):
        r2_per_modality({"x": a}, {"x": b}, baseline={"y": mean})
    with pytest.raises(ValueError, match="'x' has different shapes"):
        r2_per_modality({"x": a}, {"x": b[:, :3]}, baseline={"x": mean})
    with pytest.raises(ValueError, match="'x' has different shapes"):
        r2_per_modality({"x": a}, {"x": b}, baseline={"x": mean[:3]})
    with pytest.raises(ValueError, match="'x' is NaN or infinite in predicted"):
        r2_per_modality({"x": a}, {"x": b * [1, 1, np.nan, 1]}, baseline={"x": mean})
    with pytest.raises(ValueError, match="'x' is NaN or infinite in baseline"):
        r2_per_modality({"x": a}, {"x": b}, baseline={"x": mean * np.nan})
    with pytest.raises(ValueError, match="'x' in true contains infinity"):
        r2_per_modality({"x": np.where(a == a.max(), np.inf, a)}, {"x": b}, baseline={"x": mean})
    with pytest.raises(ValueError, match="no observed entry"):
        r2_per_modality({"x": a * np.nan}, {"x": b}, baseline={"x": mean})
    with pytest.raises(ValueError, match="cannot be made numbers"):
        r2_per_modality({"x": [["red"]]}, {"x": [["red"]]}, baseline={"x": [0.0]})


# The module ---------------------------------------------------------------------------------------


def test_inputs_are_not_modified():
    a, b = noisy_pair(0)
    a[0] = np.nan
    labels = np.arange(60) % 3
    before = a.copy(), b.copy()
    a.flags.writeable = b.flags.writeable = False
    total_correlation([a, b], [a, b])
    canonical_correlations(a, b)
    for similarity in SIMILARITIES:
        retrieval_report(a, b, similarity=similarity)
        mean_average_precision(a, b, labels, labels, similarity=similarity)
    r2_per_modality({"x": a}, {"x": b}, baseline={"x": np.zeros(4)})
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


def test_data_frames_are_taken():
    a, b = noisy_pair(0)
    frames = pd.DataFrame(a), pd.DataFrame(b)
    assert recall_at_k(*frames) == recall_at_k(a, b)
    assert total_correlation(list(frames), list(frames)) == total_correlation([a, b], [a, b])


def test_public_names_are_sorted_and_documented():
    assert sorted(metrics.__all__) == metrics.__all__
    for name in metrics.__all__:
        assert "Examples" in getattr(metrics, name).__doc__
