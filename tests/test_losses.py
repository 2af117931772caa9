"""The alignment losses against NumPy formulas, brute force and finite differences."""

from functools import partial
from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from skmm.metrics import canonical_correlations
from skmm.nn._losses import (
    barlow_twins_loss,
    cca_loss,
    ey_loss,
    gcca_loss,
    infonce_loss,
    vicreg_loss,
)
from skmm.nn._statistics import ridge_cholesky

PAIRWISE = [barlow_twins_loss, vicreg_loss, infonce_loss]
SEVERAL = [gcca_loss, ey_loss, *PAIRWISE]
ALL = [cca_loss, partial(cca_loss, squared=True), *SEVERAL]


def name_of(value):
    if isinstance(value, partial):
        return f"{value.func.__name__}-{value.keywords}"
    return getattr(value, "__name__", None)


def correlated(seed, n=13, k=3, n_modalities=2):
    """Return codes that share a signal, with unequal means and scales."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, k))
    return [
        (z + (1 + m) * rng.standard_normal((n, k))) * rng.uniform(0.5, 2, k) + m
        for m in range(n_modalities)
    ]


def tensors(arrays, dtype=torch.float64):
    return [torch.tensor(array, dtype=dtype, requires_grad=True) for array in arrays]


def value(loss, arrays, **options):
    return sum(loss(tensors(arrays), **options).values()).item()


def value_and_gradients(loss, codes, **options):
    total = sum(loss(codes, **options).values())
    return total.item(), torch.autograd.grad(total, codes)


def numerical_gradients(loss, arrays, step=1e-5):
    """Return the central differences of a loss of arrays."""
    gradients = [np.empty_like(array) for array in arrays]
    for m, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            ends = [[array.copy() for array in arrays] for _ in range(2)]
            ends[0][m][index] += step
            ends[1][m][index] -= step
            gradient[index] = (loss(ends[0]) - loss(ends[1])) / (2 * step)
    return gradients


def ridged(a, reg_covar):
    S = np.cov(a.T)
    return S + reg_covar * np.trace(S) / len(S) * np.eye(len(S))


def cross(a, b):
    return (a - a.mean(0)).T @ (b - b.mean(0)) / (len(a) - 1)


def inverse_root(S):
    values, V = np.linalg.eigh(S)
    return V / np.sqrt(values) @ V.T


def cca_formula(codes, reg_covar=1e-4, squared=False):
    a, b = codes
    T = inverse_root(ridged(a, reg_covar)) @ cross(a, b) @ inverse_root(ridged(b, reg_covar))
    s = np.linalg.svd(T, compute_uv=False)
    return {"correlation": -(s**2 if squared else s).sum()}


def gcca_formula(codes, reg_covar=1e-4):
    """Through the n x n sum of projections, as Benton et al. write it."""
    n, k = codes[0].shape
    total = np.zeros((n, n))
    for code in codes:
        centred = code - code.mean(0)
        total += centred @ np.linalg.solve((n - 1) * ridged(code, reg_covar), centred.T)
    return {"correlation": len(codes) * k - np.linalg.eigvalsh(total)[-k:].sum()}


def quadruples(a, b):
    """The average over all distinct i, j, k, l."""
    terms = [
        ((a[i] - a[j]) @ (b[p] - b[q])) ** 2 / 4 for i, j, p, q in permutations(range(len(a)), 4)
    ]
    return np.mean(terms)


def ey_formula(codes, reg_covar=0.0):
    M, k = len(codes), codes[0].shape[1]
    A = sum(cross(a, b) for a, b in permutations(codes, 2)) / (M - 1)
    penalty = sum(quadruples(a, b) for a in codes for b in codes)
    trace = sum(np.trace(np.cov(code.T)) for code in codes)
    r = reg_covar * trace / k
    return {"reward": -2 * np.trace(A), "penalty": penalty + 2 * r * trace + r**2 * k}


def barlow_twins_formula(codes, off_diagonal_weight=5e-3):
    terms = []
    for a, b in combinations(codes, 2):
        z, w = ((c - c.mean(0)) / np.sqrt(c.var(0) + 1e-5) for c in (a, b))
        C = z.T @ w / len(z)
        off = C[~np.eye(len(C), dtype=bool)]
        terms.append([((1 - np.diag(C)) ** 2).sum(), off_diagonal_weight * (off**2).sum()])
    return dict(zip(("invariance", "redundancy"), np.mean(terms, axis=0), strict=True))


def vicreg_formula(codes, invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0):
    terms = []
    for a, b in combinations(codes, 2):
        hinge = [np.maximum(0, 1 - np.sqrt(c.var(0, ddof=1) + 1e-4)).mean() for c in (a, b)]
        off = [(np.cov(c.T)[~np.eye(c.shape[1], dtype=bool)] ** 2).sum() for c in (a, b)]
        terms.append([((a - b) ** 2).mean(), sum(hinge), sum(off) / a.shape[1]])
    weights = (invariance_weight, variance_weight, covariance_weight)
    names = ("invariance", "variance", "covariance")
    return dict(zip(names, weights * np.mean(terms, axis=0), strict=True))


def infonce_formula(codes, temperature=0.1):
    terms = []
    for a, b in permutations(codes, 2):
        a, b = (c / np.linalg.norm(c, axis=1, keepdims=True) for c in (a, b))
        odds = np.exp(a @ b.T / temperature)
        terms.append(-np.log(np.diag(odds) / odds.sum(1)).mean())
    return {"contrast": np.mean(terms)}


FORMULAS = [
    (cca_loss, cca_formula, 2, {}),
    (cca_loss, cca_formula, 2, {"reg_covar": 0.3}),
    (cca_loss, cca_formula, 2, {"reg_covar": 0.1, "squared": True}),
    (gcca_loss, gcca_formula, 2, {}),
    (gcca_loss, gcca_formula, 3, {"reg_covar": 0.2}),
    (ey_loss, ey_formula, 2, {}),
    (ey_loss, ey_formula, 3, {"reg_covar": 0.2}),
    (barlow_twins_loss, barlow_twins_formula, 2, {}),
    (barlow_twins_loss, barlow_twins_formula, 3, {"off_diagonal_weight": 0.4}),
    (vicreg_loss, vicreg_formula, 2, {}),
    (
        vicreg_loss,
        vicreg_formula,
        3,
        {"invariance_weight": 2.0, "variance_weight": 3.0, "covariance_weight": 5.0},
    ),
    (infonce_loss, infonce_formula, 2, {}),
    (infonce_loss, infonce_formula, 3, {"temperature": 0.7}),
]


@pytest.mark.parametrize(("loss", "formula", "n_modalities", "options"), FORMULAS, ids=name_of)
def test_terms_are_those_of_the_formula(loss, formula, n_modalities, options):
    codes = correlated(0, n=7, n_modalities=n_modalities)
    codes[0] *= 0.5  # below the standard deviation that vicreg asks for
    codes[1] *= 0.3
    terms, expected = loss(tensors(codes), **options), formula(codes, **options)
    assert list(terms) == list(expected)
    for name, term in terms.items():
        assert term.dtype == torch.float64
        assert term.ndim == 0
        assert term.item() == pytest.approx(expected[name], rel=1e-9)


@pytest.mark.parametrize(("loss", "formula", "n_modalities", "options"), FORMULAS, ids=name_of)
def test_gradients_are_central_differences(loss, formula, n_modalities, options):
    codes = correlated(1, n=7, n_modalities=n_modalities)
    codes[0] *= 0.5
    codes[1] *= 0.3
    _, gradients = value_and_gradients(loss, tensors(codes), **options)
    if loss is ey_loss:  # the formula has been compared; its quadruples are slow
        expected = numerical_gradients(lambda arrays: value(loss, arrays, **options), codes)
    else:
        expected = numerical_gradients(
            lambda arrays: sum(formula(arrays, **options).values()), codes
        )
    for found, numerical in zip(gradients, expected, strict=True):
        scale = np.abs(numerical).max()
        np.testing.assert_allclose(found.numpy(), numerical, rtol=1e-5, atol=1e-5 * scale)


def test_cca_is_minus_the_canonical_correlations():
    a, b = correlated(2, n=40)
    rho = canonical_correlations(a, b)
    assert value(cca_loss, [a, b], reg_covar=0.0) == pytest.approx(-rho.sum(), rel=1e-9)
    found = value(cca_loss, [a, b], reg_covar=0.0, squared=True)
    assert found == pytest.approx(-(rho**2).sum(), rel=1e-9)
    assert value(gcca_loss, [a, b], reg_covar=0.0) == pytest.approx(3 - rho.sum(), rel=1e-9)


@pytest.mark.parametrize(
    "loss", [cca_loss, partial(cca_loss, squared=True), gcca_loss], ids=name_of
)
def test_linear_maps_and_offsets_change_nothing(loss):
    codes = correlated(3, n=40)
    rng = np.random.default_rng(0)
    mapped = [code @ rng.standard_normal((3, 3)) + 10 * rng.standard_normal(3) for code in codes]
    expected = value(loss, codes, reg_covar=0.0)
    assert value(loss, mapped, reg_covar=0.0) == pytest.approx(expected, rel=1e-8)
    scaled = [1e-4 * codes[0] + 5, 1e3 * codes[1]]  # one scale per modality: also with a ridge
    assert value(loss, scaled) == pytest.approx(value(loss, codes), rel=1e-8)


def test_ey_is_unbiased_on_the_smallest_batches():
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((4, 4)) / 2
    Sigma = mix.T @ mix
    expected = {
        "reward": -4 * np.trace(Sigma[:2, 2:]),
        "penalty": ((Sigma[:2, :2] + Sigma[2:, 2:]) ** 2).sum(),
    }
    draws = {name: [] for name in expected}
    for _ in range(4000):
        x = torch.from_numpy((rng.exponential(size=(5, 4)) - 3) @ mix)  # skewed, off centre
        for name, term in ey_loss([x[:, :2], x[:, 2:]]).items():
            draws[name].append(term.item())
    for name, values in draws.items():
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values) - expected[name]) < 4 * error
        assert error < 0.1 * abs(expected[name])


def test_minimum_of_ey_is_minus_the_squared_correlations():
    a, b = correlated(4, n=4000)
    U, rho, Vh = np.linalg.svd(inverse_root(np.cov(a.T)) @ cross(a, b) @ inverse_root(np.cov(b.T)))
    # B = 2 diag(weights^2) and tr A = 2 tr(weights^2 rho): least for weights^2 = rho / 2
    best = [
        a @ inverse_root(np.cov(a.T)) @ U * np.sqrt(rho / 2),
        b @ inverse_root(np.cov(b.T)) @ Vh.T * np.sqrt(rho / 2),
    ]
    least = value(ey_loss, best)
    assert least == pytest.approx(-(rho**2).sum(), rel=1e-2)
    assert value(ey_loss, [1.2 * code for code in best]) > least
    assert value(ey_loss, [0.8 * code for code in best]) > least


def masked(seed, n=24, n_modalities=3):
    rng = np.random.default_rng(seed)
    observed = rng.random((n, n_modalities)) < 0.75
    observed[~observed.any(1), 0] = True
    return correlated(seed, n=n, n_modalities=n_modalities), torch.from_numpy(observed)


@pytest.mark.parametrize("loss", SEVERAL, ids=name_of)
def test_what_stands_in_unobserved_rows_changes_nothing(loss):
    codes, observed = masked(5)
    expected, gradients = value_and_gradients(loss, tensors(codes), observed=observed)
    for filling in (np.nan, np.inf, 1e30):
        filled = tensors(np.where(observed[:, [m]], code, filling) for m, code in enumerate(codes))
        found, others = value_and_gradients(loss, filled, observed=observed)
        assert found == expected
        for m, (gradient, other) in enumerate(zip(gradients, others, strict=True)):
            assert torch.equal(gradient, other)
            assert gradient[observed[:, m]].abs().max() > 0
            assert not other[~observed[:, m]].any()


@pytest.mark.parametrize("loss", SEVERAL, ids=name_of)
def test_observed_is_the_loss_of_the_rows_that_have_both(loss):
    codes, observed = masked(6, n_modalities=2)
    observed[:, 1] |= ~observed[:, 0]
    if loss in (gcca_loss, ey_loss):  # their covariances of one modality use more rows
        observed[:, 0] = observed[:, 1]
    both = observed.all(1).numpy()
    assert 4 < both.sum() < len(both)
    found = loss(tensors(codes), observed=observed)
    for name, term in loss(tensors([code[both] for code in codes])).items():
        assert found[name].item() == pytest.approx(term.item(), rel=1e-12)
    everything = torch.ones_like(observed)
    assert value(loss, codes, observed=everything) == pytest.approx(value(loss, codes), rel=1e-12)


@pytest.mark.parametrize("loss", SEVERAL, ids=name_of)
def test_gradients_with_missing_rows_are_central_differences(loss):
    codes, observed = masked(18, n=9)
    loss = partial(loss, observed=observed)
    _, gradients = value_and_gradients(loss, tensors(codes))
    expected = numerical_gradients(lambda arrays: value(loss, arrays), codes)
    for found, numerical in zip(gradients, expected, strict=True):
        scale = np.abs(numerical).max()
        np.testing.assert_allclose(found.numpy(), numerical, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("loss", PAIRWISE, ids=name_of)
def test_pairs_are_averaged_over_those_that_have_two_rows(loss):
    codes, observed = masked(7)
    observed[0] = True
    rows = [observed[:, m] & observed[:, l] for m, l in combinations(range(3), 2)]
    pairs = [
        value(loss, [codes[m][r.numpy()], codes[l][r.numpy()]])
        for r, (m, l) in zip(rows, combinations(range(3), 2), strict=True)
    ]
    assert value(loss, codes, observed=observed) == pytest.approx(np.mean(pairs), rel=1e-12)
    observed[1:, 2] = False  # one row in common with the others is not enough
    assert value(loss, codes, observed=observed) == pytest.approx(pairs[0], rel=1e-12)


def test_gcca_takes_each_covariance_from_the_rows_that_have_it():
    codes, observed = masked(8)
    seen = observed.numpy()
    L = [np.linalg.cholesky(ridged(c[seen[:, m]], 0.1)) for m, c in enumerate(codes)]
    S = [
        [
            cross(codes[m][seen[:, m] & seen[:, l]], codes[l][seen[:, m] & seen[:, l]])
            for l in range(3)
        ]
        for m in range(3)
    ]
    K = np.block(
        [
            [np.linalg.solve(L[m], S[m][l]) @ np.linalg.inv(L[l]).T for l in range(3)]
            for m in range(3)
        ]
    )
    found = value(gcca_loss, codes, observed=observed, reg_covar=0.1)
    assert found == pytest.approx(9 - np.linalg.eigvalsh(K)[-3:].sum(), rel=1e-9)


def test_ey_takes_each_product_from_the_rows_that_have_both():
    codes, observed = masked(9, n=10)
    seen = observed.numpy()
    reward = penalty = 0.0
    for m in range(3):
        for l in range(3):
            both = seen[:, m] & seen[:, l]
            if both.sum() >= 4:
                a, b = codes[m][both], codes[l][both]
                reward -= 2 * np.trace(cross(a, b)) / 2 * (m != l)
                penalty += quadruples(a, b)
    terms = ey_loss(tensors(codes), observed=observed)
    assert terms["reward"].item() == pytest.approx(reward, rel=1e-9)
    assert terms["penalty"].item() == pytest.approx(penalty, rel=1e-9)


@pytest.mark.parametrize("loss", SEVERAL, ids=name_of)
def test_no_common_row_is_a_differentiable_zero(loss):
    codes = tensors(correlated(10, n=6))
    observed = torch.zeros(6, 2, dtype=torch.bool)
    observed[:3, 0] = observed[3:, 1] = True
    terms = loss(codes, observed=observed)
    gradients = torch.autograd.grad(sum(terms.values()), codes)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    if loss is not gcca_loss:  # which still has the covariances of each modality
        assert [term.item() for term in terms.values()] == [0.0] * len(terms)
        assert not any(gradient.any() for gradient in gradients)


def white(n=16, k=3):
    """Return centred orthonormal columns, 2k of them, scaled to unit variance exactly."""
    signs = np.array([[1.0]])
    while len(signs) < n:
        signs = np.block([[signs, signs], [signs, -signs]])
    columns = signs[:, 1 : 2 * k + 1]
    return columns[:, :k], columns[:, k:]


def degenerate():
    a, b = white()
    x, y = correlated(11, n=16)
    dead = x * [1, 0, 1]
    constant = np.where([True, False, True], x, 0.1)
    duplicated = x[:, [0, 1, 1]]
    zeros = np.zeros_like(x)
    return {
        "identity": (a, a.copy()),
        "no correlation": (a, b),
        "repeated and zero": (a, np.column_stack([a[:, :2], b[:, 0]])),
        "dead unit": (dead, y),
        "dead units in both": (dead, y * [0, 1, 1]),
        "constant column": (constant, y),
        "constant columns": (np.full_like(x, 0.1), y),
        "constants": (np.full_like(x, 0.1), np.full_like(x, 1e3)),
        "duplicated column": (duplicated, y),
        "duplicated column in both": (duplicated, duplicated.copy()),
        "one collapsed": (zeros, y),
        "all zero": (zeros, zeros.copy()),
        "one sample more than columns": (x[:4], y[:4]),
        "fewer samples than columns": (np.hstack([x, y])[:4], np.hstack([y, x + y])[:4]),
    }


@pytest.mark.parametrize("case", degenerate())
@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_degenerate_codes_have_finite_values_and_gradients(loss, case):
    arrays = degenerate()[case]
    for dtype in (torch.float64, torch.float32):
        total, gradients = value_and_gradients(loss, tensors(arrays, dtype))
        assert np.isfinite(total)
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("case", degenerate())
@pytest.mark.parametrize("options", [{}, {"reg_covar": 0.0}], ids=str)
def test_correlations_stay_between_zero_and_one(case, options):
    arrays = degenerate()[case]
    k = arrays[0].shape[1]
    assert -k - 1e-9 <= value(cca_loss, arrays, **options) <= 1e-9


@pytest.mark.parametrize("case", ["constant columns", "constants", "one collapsed", "all zero"])
@pytest.mark.parametrize("loss", [cca_loss, gcca_loss], ids=name_of)
def test_collapsed_codes_get_no_exploding_gradient(loss, case):
    _, gradients = value_and_gradients(loss, tensors(degenerate()[case]))
    assert all(gradient.abs().max() < 1 for gradient in gradients)


def test_the_ridge_is_a_share_of_the_mean_variance_and_never_zero():
    S = torch.tensor([[4.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    L = ridge_cholesky(S, 0.5)
    torch.testing.assert_close(L @ L.T, S + 1.5 * torch.eye(2, dtype=torch.float64))
    L = ridge_cholesky(0 * S, 0.5)  # of constant codes
    torch.testing.assert_close(L, 1e-10 * torch.eye(2, dtype=torch.float64), rtol=1e-9, atol=0)


@pytest.mark.parametrize("k", [3, 60])
def test_the_least_ridge_is_enough_for_one_signal_in_all_columns(k):
    z, noise = np.random.default_rng(20).standard_normal((2, 100, 1))
    mix = np.random.default_rng(21).standard_normal((2, k))
    codes = z * mix[0], (z + noise) * mix[1]
    rho = np.corrcoef(z.T, (z + noise).T)[0, 1]
    assert value(cca_loss, codes, reg_covar=0.0) == pytest.approx(-rho, abs=0.05)


def test_known_values_of_white_codes():
    a, b = white()
    assert value(cca_loss, [a, a], reg_covar=0.0) == pytest.approx(-3)
    assert value(cca_loss, [a, b], reg_covar=0.0) == pytest.approx(0, abs=1e-12)
    half = (a + b) / np.sqrt(2)  # correlations 1 / sqrt(2), three times
    assert value(cca_loss, [a, half], reg_covar=0.0) == pytest.approx(-3 / np.sqrt(2))
    assert value(cca_loss, [a, half], reg_covar=0.0, squared=True) == pytest.approx(-1.5)


@pytest.mark.parametrize("squared", [False, True])
def test_gradient_at_repeated_correlations(squared):
    a, b = white()
    codes = [a, (a + 0.5 * b) / np.sqrt(1.25)]
    loss = partial(cca_loss, reg_covar=0.0, squared=squared)
    _, gradients = value_and_gradients(loss, tensors(codes))
    expected = numerical_gradients(lambda arrays: value(loss, arrays), codes)
    for found, numerical in zip(gradients, expected, strict=True):
        assert np.abs(numerical).max() > 1e-3
        np.testing.assert_allclose(found.numpy(), numerical, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_narrow_codes_give_a_float64_loss_and_narrow_gradients(loss, dtype):
    codes = tensors(correlated(12), dtype)
    wide = [code.detach().double().requires_grad_() for code in codes]
    expected, wide_gradients = value_and_gradients(loss, wide)
    with torch.autocast("cpu", torch.bfloat16):
        terms = loss(codes)
    assert {term.dtype for term in terms.values()} == {torch.float64}
    total = sum(terms.values())
    assert total.item() == pytest.approx(expected, rel=1e-12)
    for gradient, wide_gradient in zip(
        torch.autograd.grad(total, codes), wide_gradients, strict=True
    ):
        assert gradient.dtype == dtype
        assert torch.equal(gradient, wide_gradient.to(dtype))


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_codes_that_are_nan_give_nan_and_no_error(loss):
    codes = correlated(13)
    codes[0][0, 0] = np.nan
    assert np.isnan(value(loss, codes))


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_what_does_not_fit_is_refused(loss):
    a, b = tensors(correlated(14))
    with pytest.raises(ValueError, match="two or more tensors of one shape"):
        loss([a])
    with pytest.raises(ValueError, match=r"\(13, 3\), \(12, 3\)"):
        loss([a, b[1:]])
    with pytest.raises(ValueError, match=r"\(13, 3\), \(13, 2\)"):
        loss([a, b[:, 1:]])
    with pytest.raises(ValueError, match=r"\(13,\)"):
        loss([a[:, 0], b[:, 0]])
    with pytest.raises(ValueError, match=r"\(13, 0\)"):
        loss([a[:, :0], b[:, :0]])
    assert np.isfinite(value_and_gradients(loss, [a[:, :1], b[:, :1]])[0])
    with pytest.raises(ValueError, match=r"bool tensor of shape .* = \(13, 2\)"):
        loss([a, b], observed=torch.ones(13, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"torch\.float32"):
        loss([a, b], observed=torch.ones(13, 2))
    with pytest.raises(ValueError, match="use larger batches"):
        loss([a[:1], b[:1]])


def test_ey_needs_four_samples():
    a, b = tensors(correlated(15, n=4))
    assert np.isfinite(value_and_gradients(ey_loss, [a, b])[0])
    with pytest.raises(ValueError, match="4 samples or more, got 3; use larger batches"):
        ey_loss([a[:3], b[:3]])


def test_cca_needs_two_complete_modalities():
    a, b, c = tensors(correlated(16, n_modalities=3))
    with pytest.raises(ValueError, match="got 3 modalities; use gcca_loss"):
        cca_loss([a, b, c])
    observed = torch.ones(13, 2, dtype=torch.bool)
    cca_loss([a, b], observed=observed)
    observed[3, 1] = False
    with pytest.raises(ValueError, match="rows that lack one; use gcca_loss"):
        cca_loss([a, b], observed=observed)


@pytest.mark.parametrize(
    ("loss", "option"),
    [
        (cca_loss, "reg_covar"),
        (gcca_loss, "reg_covar"),
        (ey_loss, "reg_covar"),
        (barlow_twins_loss, "off_diagonal_weight"),
        (vicreg_loss, "invariance_weight"),
        (vicreg_loss, "variance_weight"),
        (vicreg_loss, "covariance_weight"),
        (infonce_loss, "temperature"),
    ],
)
def test_options_out_of_range_are_refused(loss, option):
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"{option} must"):
            loss(tensors(correlated(17)), **{option: wrong})
    if option == "temperature":
        with pytest.raises(ValueError, match="positive"):
            loss(tensors(correlated(17)), temperature=0.0)
