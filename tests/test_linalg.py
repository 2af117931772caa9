"""The linear algebra of alignment against NumPy, SciPy, scikit-learn and repeated rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg
from sklearn.covariance import ledoit_wolf_shrinkage

from skmm import _linalg

EPS = np.finfo(float).eps
SEEDS = range(3)


def columns(seed, n=30, p=4, q=3):
    """Return columns that share a signal, in units and with offsets of their own."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    a, b = (
        z @ rng.standard_normal((2, k)) + rng.standard_normal((n, k)) + rng.normal(size=k)
        for k in (p, q)
    )
    return a * rng.uniform(0.1, 10, p), b * rng.uniform(0.1, 10, q)


def joint_covariance(a, b):
    S, p = np.cov(a.T, b.T, bias=True), a.shape[1]
    return S[:p, :p], S[p:, p:], S[:p, p:]


# Pieces -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "width"), [(2000, 1024), (600, 256), (3000, 256), (10**6, 1), (9, 10**6)]
)
def test_chunks_hold_a_few_mebibytes_or_512_rows(n, width):
    chunks = list(_linalg.row_chunks(n, width))
    assert [chunk.start for chunk in chunks] == [0, *(chunk.stop for chunk in chunks[:-1])]
    assert chunks[-1].stop == n
    for chunk in chunks[:-1]:
        n_rows = chunk.stop - chunk.start
        assert n_rows == 512 or 512 < n_rows <= 2**23 / (8 * width)


@pytest.mark.parametrize("order_a", "CF")
@pytest.mark.parametrize("order_b", "CF")
def test_products_are_those_of_numpy(order_a, order_b):
    a, b = np.arange(12.0).reshape(3, 4), np.arange(20.0).reshape(4, 5)
    found = _linalg.product(np.asarray(a, order=order_a), np.asarray(b, order=order_b))
    assert_array_equal(found, a @ b)


# Covariance and correlation -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_covariances_divide_by_n(seed):
    a, b = columns(seed)
    S_a, _, S_ab = joint_covariance(a, b)
    assert_allclose(_linalg.covariance(a), S_a)
    assert_allclose(_linalg.covariance(a, b), S_ab)


@pytest.mark.parametrize("seed", SEEDS)
def test_weights_are_repetitions(seed):
    a, b = columns(seed)
    w = np.random.default_rng(seed).integers(0, 4, len(a))
    a2, b2 = np.repeat(a, w, axis=0), np.repeat(b, w, axis=0)
    assert_allclose(_linalg.covariance(a, sample_weight=w), _linalg.covariance(a2))
    assert_allclose(_linalg.covariance(a, b, w), _linalg.covariance(a2, b2))
    assert_allclose(_linalg.pearson(a[:, :3], b, w), _linalg.pearson(a2[:, :3], b2))


@pytest.mark.parametrize("weighted", [False, True])
def test_a_large_offset_costs_no_digits_of_the_centre(weighted):
    a = np.random.default_rng(0).integers(-4, 5, (999, 2)).astype(float)
    w = np.arange(999.0) % 3 if weighted else None
    offset = 2.0**51  # halves are still exact
    for other in (None, a):
        found = _linalg.covariance(a + offset, other, w)
        assert_allclose(found, _linalg.covariance(a, other, w), rtol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_pearson_is_that_of_numpy(seed, unit):
    a, b = (values[:, :3] for values in columns(seed))
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)]
    assert_allclose(_linalg.pearson(a * unit, b * unit), expected)


def test_pearson_of_constant_columns_is_zero():
    x = np.array([0.0, 1.0, 2.0, 4.0])
    a = np.column_stack([x, np.full(4, 0.1), x, 1e6 + x * 1e-10, x])
    b = np.column_stack([x, x, 1e8 + x * 1e-8, x, -x])
    assert_allclose(_linalg.pearson(a, b), [1.0, 0.0, 0.0, 0.0, -1.0])
    assert _linalg.pearson(np.zeros((4, 0)), np.zeros((4, 0))).shape == (0,)


def test_rounding_is_eight_units_of_the_largest_value():
    for step, varies in ((7.0, False), (10.0, True)):  # deviations are half the step, from 1
        a = np.array([[1.0 - 2 * step * EPS], [1.0]])
        assert_allclose(_linalg.pearson(a, [[0.0], [1.0]]), [float(varies)])


def test_what_deviates_by_the_constant_or_less_is_constant():
    a = np.array([[-1.0, -1.0], [1.0, 1.0]])
    assert_array_equal(_linalg.pearson(a, a, constant=1.0), [0.0, 0.0])
    assert_allclose(_linalg.pearson(a, a, constant=0.99), [1.0, 1.0])
    skewed = np.array([[-3.0], [1.0], [1.0], [1.0]])
    assert_allclose(_linalg.pearson(skewed, -skewed, constant=2.9), [-1.0])


def test_correlations_stay_within_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = rng.standard_normal((7, 20))
        assert _linalg.pearson(x, x).max() <= 1.0
        assert _linalg.pearson(x, -x).min() >= -1.0


# Eigenvalues --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_eigenvalues_descend_and_stop_at_the_rank(seed):
    a = np.random.default_rng(seed).standard_normal((5, 3))
    S = a @ a.T
    values, vectors = _linalg.psd_eigh(S)
    assert_allclose(values, np.sort(np.linalg.eigvalsh(S))[:1:-1])
    assert_allclose(vectors * values @ vectors.T, S, atol=1e-12)
    for rank, rtol in enumerate([1.0, *(np.sqrt(values[1:] * values[:-1]) / values[0])]):
        assert len(_linalg.psd_eigh(S, rtol)[0]) == rank


def test_eigenvalues_are_zero_below_ten_roundings_per_column():
    bound = 10 * 3 * EPS
    for unit in (1e-30, 1.0, 1e30):
        for factor, rank in ((0.9, 1), (1.1, 2)):
            values, vectors = _linalg.psd_eigh(unit * np.diag([1.0, factor * bound, 0.0]))
            assert values.shape == (rank,)
            assert vectors.shape == (3, rank)


def test_matrices_without_a_positive_eigenvalue_have_rank_zero():
    for matrix in (np.zeros((2, 2)), -np.eye(2), np.zeros((0, 0))):
        values, vectors = _linalg.psd_eigh(matrix)
        assert values.shape == (0,)
        assert vectors.shape == (len(matrix), 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_whitener_whitens_in_any_units(seed):
    a = columns(seed)[0]
    S = _linalg.covariance(np.column_stack([a, a @ [1.0, 2.0, 0.5, -1.0], np.ones(len(a))]))
    units = 10.0 ** np.array([-8, 5, 0, 3, -2, 4])
    for scale in (np.ones(6), units):
        K = _linalg.whitener(S * np.outer(scale, scale))
        assert K.shape == (6, 4)
        assert_allclose(K.T @ (S * np.outer(scale, scale)) @ K, np.eye(4), atol=1e-9)
        assert_array_equal(K[5], np.zeros(4))


@pytest.mark.parametrize("seed", SEEDS)
def test_pseudo_inverse(seed):
    S = _linalg.covariance(columns(seed)[0])
    assert_allclose(_linalg.psd_pinv(S), np.linalg.inv(S))
    a = np.random.default_rng(seed).standard_normal((4, 2))
    d = np.sqrt(np.sum(a**2, axis=1))
    R = a @ a.T / np.outer(d, d)  # of unit diagonal, so that equilibration changes nothing
    assert_allclose(_linalg.psd_pinv(R), np.linalg.pinv(R), atol=1e-10)
    assert_allclose(_linalg.psd_pinv(R * np.outer(d, d)), np.linalg.pinv(R) / np.outer(d, d))


# Canonical axes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_axes_solve_the_generalised_eigenproblem(seed):
    S_a, S_b, S_ab = joint_covariance(*columns(seed))
    A, B, rho = _linalg.canonical_axes(S_a, S_b, S_ab)
    squares = linalg.eigh(S_ab @ np.linalg.inv(S_b) @ S_ab.T, S_a, eigvals_only=True)[::-1]
    assert_allclose(rho, np.sqrt(squares[:3]))
    assert_allclose(A.T @ S_a @ A, np.eye(3), atol=1e-10)
    assert_allclose(B.T @ S_b @ B, np.eye(3), atol=1e-10)
    assert_allclose(A.T @ S_ab @ B, np.diag(rho), atol=1e-10)
    loadings = A * np.sqrt(np.diag(S_a))[:, None]
    assert (loadings[np.abs(loadings).argmax(axis=0), range(3)] > 0).all()


def test_axes_stop_at_the_smaller_rank_and_correlations_at_one():
    a = columns(0)[0]
    S_a, S_b, S_ab = joint_covariance(a, a @ np.ones((4, 1)))
    A, B, rho = _linalg.canonical_axes(S_a, S_b, S_ab)
    assert (A.shape, B.shape) == ((4, 1), (1, 1))
    assert_allclose(rho, 1.0)
    assert _linalg.canonical_axes(np.eye(2), np.eye(2), 1.5 * np.eye(2))[2].tolist() == [1, 1]


def test_axes_leave_out_small_directions_by_rtol():
    S = np.array([[1.0, 0.9], [0.9, 1.0]])  # eigenvalues 1.9 and 0.1
    for rtol, rank in ((0.05, 2), (0.06, 1)):
        assert len(_linalg.canonical_axes(S, np.eye(2), 0.1 * np.eye(2), rtol=rtol)[2]) == rank
        assert len(_linalg.canonical_axes(np.eye(2), S, 0.1 * np.eye(2), rtol=rtol)[2]) == rank


def test_the_largest_entry_of_all_blocks_gives_the_sign():
    first = np.array([[-1.0, 1.0, -2.0, 0.0], [0.5, -3.0, 2.0 + 1e-9, 0.0]])
    second = np.array([[3.0, 2.0, 1.0, 0.0]])
    assert _linalg.dominant_signs([first, second]).tolist() == [1.0, -1.0, -1.0, 1.0]
    # Within a millionth the first of two counts, beyond it the larger.
    near = np.array([[-1.0, -1.0], [1.0 + 0.9e-6, 1.0 + 1.1e-6]])
    assert _linalg.dominant_signs([near]).tolist() == [-1.0, 1.0]


# Shrinkage ----------------------------------------------------------------------------------------


def moments(a):
    """Return what the shrinkage is computed from."""
    S = np.cov(a.T, bias=True)
    centred = a - a.mean(axis=0)
    return np.trace(S), np.sum(S**2), np.mean(np.sum(centred**2, axis=1) ** 2)


@pytest.mark.parametrize("n", [5, 30, 400])
def test_shrinkage_is_that_of_scikit_learn(n):
    a = np.random.default_rng(n).standard_normal((n, 6)) * [1, 2, 3, 4, 5, 6]
    assert 0 < ledoit_wolf_shrinkage(a) < 1
    for unit in (1e-6, 1.0, 1e6):
        trace, squares, fourth = moments(unit * a)
        found = _linalg.ledoit_wolf(trace, squares, fourth, 6, n)
        assert_allclose(found, ledoit_wolf_shrinkage(a), rtol=1e-10)


def test_shrinkage_has_bounds():
    assert _linalg.ledoit_wolf(6.0, 12.0, 1e9, 3 + 1, 10) == 1.0  # a noise beyond the distance
    assert _linalg.ledoit_wolf(6.0, 12.0, 11.0, 4, 10) == 0.0  # no noise
    assert _linalg.ledoit_wolf(6.0, 12.0, 1e9, 3, 10) == 0.0  # a multiple of the identity
    assert _linalg.ledoit_wolf(0.0, 0.0, 0.0, 3, 10) == 0.0  # of which zero is one
