"""What holds for any valid input: of every shape, dtype, layout, scale and missing pattern."""

import numpy as np
import pandas as pd
import pytest
from contract_cases import CASES, fitted
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.preprocessing import StandardScaler
from strategies import LAYOUTS, arrays, codes, data, few, layouts

from skmm import CCA, Modalities, check_modalities, metrics
from skmm.compose import ConcatModalities, PerModality

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.* ha(s|ve) collapsed:sklearn.exceptions.ConvergenceWarning"
    ),
    pytest.mark.filterwarnings("ignore:Modalities .* have ranks:UserWarning"),
]
NAMES = ("image", "text", "sound")
DEEP = [case for case in CASES if "max_epochs" in case.quick]
SAMPLERS = [case for case in CASES if case.name.endswith("Sampler")]
per_deep_case = pytest.mark.parametrize("case", DEEP, ids=lambda case: case.name)
per_sampler = pytest.mark.parametrize("case", SAMPLERS, ids=lambda case: case.name)


class Door(BaseEstimator):
    """The smallest estimator."""

    def fit(self, X, y=None):
        self.X_ = check_modalities(self, X, reset=True, flatten=True, min_samples=1)
        return self


def _plain(a):
    return np.ascontiguousarray(a, dtype=np.float64)


def _numbers(value):
    """Return the numbers of a result as one column, whatever its form."""
    parts = list(value.values()) if isinstance(value, Modalities | dict) else [value]
    return np.concatenate([np.asarray(part, dtype=float).ravel() for part in parts])


# The door


@given(arrays(), layouts, st.booleans())
def test_layouts_mean_the_same_at_the_door(a, layout, in_a_frame):
    assume(not np.isnan(a.astype(float)).all())
    wide = len(a.T) > 1 or a.dtype.kind == "f"  # a single whole column would be labels in a list
    assume(wide or layout != "lists")
    value, before = LAYOUTS[layout](a), a.copy()
    X = Modalities({"a": value, "b": np.ones(len(a))})
    door = Door().fit(X.to_frame() if in_a_frame else X)
    missing = np.isnan(a.astype(float)).all(axis=1)
    assert_array_equal(door.X_["a"], _plain(a))
    assert_array_equal(door.X_.missing["a"], missing)
    assert_array_equal(a, before)
    keeps_single = a.dtype == np.float32 and layout not in ("long double", "objects", "lists")
    if keeps_single and not in_a_frame and "nullable" not in layout and layout != "byte-swapped":
        assert door.X_["a"].dtype == np.float32


@given(arrays(), st.data())
def test_slices_of_modalities_are_slices_of_their_parts(a, draw):
    X = Modalities({"a": a, "b": sparse.csr_array(np.nan_to_num(a.astype(float)))})
    rows = np.array(draw.draw(st.lists(st.integers(-len(a), len(a) - 1), max_size=6)), dtype=int)
    part = X[rows]
    assert_array_equal(part["a"], X["a"][rows])
    assert_array_equal(part["b"].toarray(), X["b"][rows].toarray())
    assert_array_equal(part.missing.to_numpy(), X.missing.to_numpy()[rows])
    assert part.kinds == X.kinds


@given(data(), st.data())
def test_masking_and_slicing_commute(data, draw):
    X = data.named
    gone = draw.draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    rows = np.array(draw.draw(st.lists(st.integers(0, len(X) - 1), max_size=9)), dtype=int)
    where = np.zeros(len(X), dtype=bool)
    where[: len(X) // 2] = True
    first, second = X.with_missing(gone, where)[rows], X[rows].with_missing(gone, where[rows])
    assert_array_equal(first.missing.to_numpy(), second.missing.to_numpy())
    for name in NAMES:
        assert_array_equal(first[name], second[name])


@given(data())
def test_frames_there_and_back(data):
    X = data.named
    again = Modalities.from_frame(X.to_frame())
    assert again.names == X.names
    assert_array_equal(again.missing.to_numpy(), X.missing.to_numpy())
    for name in NAMES:
        assert_array_equal(again[name].to_numpy(), X[name])


# CCA


ANY_CCA = st.sampled_from(
    [
        CCA(1, random_state=0),
        CCA(1, shrinkage="auto", fusion="posterior", random_state=0),
        CCA(1, shrinkage=0.3, random_state=0),
        CCA(1, solver="covariance", shrinkage=0.1, random_state=0),
    ]
)


@few(30)
@given(data(), ANY_CCA, layouts)
def test_cca_of_any_layout_and_its_answers(data, model, layout):
    X = data.named
    model = clone(model).fit(X)
    again = clone(model).fit(data.laid_out(layout))
    Z = model.transform(X)
    assert Z.shape == (len(X), 1)
    assert np.isfinite(Z).all()
    assert_allclose(again.transform(data.laid_out(layout)), Z, rtol=1e-7, atol=1e-7)
    filled = model.impute(X)
    for j, name in enumerate(NAMES):
        assert np.isfinite(filled[name]).all()
        observed = ~data.mask[:, j]
        assert_array_equal(filled[name][observed], data.parts[name][observed])
    for rows in (slice(None, None, 2), slice(0, 1)):
        assert_allclose(model.transform(X[rows]), Z[rows], rtol=1e-9, atol=1e-12)
    assert np.isfinite(model.score_samples(X)).all()


@few(30)
@given(
    data(degenerate=False, missing=False), st.lists(st.integers(-8, 8), min_size=15, max_size=15)
)
def test_units_of_columns_do_not_matter_to_cca(data, exponents):
    units = iter(10.0 ** np.array(exponents))
    scaled = {
        name: part * [next(units) for _ in range(part.shape[1])]
        for name, part in data.parts.items()
    }
    found = CCA(1).fit(scaled)
    expected = CCA(1).fit(data.parts)
    assert_allclose(found.canonical_correlations_, expected.canonical_correlations_, rtol=1e-6)
    U, V = found.transform(scaled), expected.transform(data.parts)
    assert_allclose(U * np.sign(U[0]), V * np.sign(V[0]), rtol=1e-4, atol=1e-4)


@few(30)
@given(data(missing=False, degenerate=False), st.permutations(NAMES))
def test_order_of_modalities_does_not_matter_to_cca(data, order):
    found = CCA(1).fit({name: data.parts[name] for name in order})
    expected = CCA(1).fit(data.parts)
    assert_allclose(found.transform(data.parts), expected.transform(data.parts), atol=1e-7)


@few(20)
@given(data(names=NAMES[:2], missing=False, degenerate=False, min_samples=20))
def test_a_repeated_or_constant_column_adds_nothing_to_cca(data):
    a = data.parts["image"]
    wider = np.column_stack([a, a[:, 0], np.full(len(a), 7.0)])
    expected = CCA(1).fit(data.parts).canonical_correlations_
    found = CCA(1).fit({**data.parts, "image": wider}).canonical_correlations_
    assert_allclose(found, expected, rtol=1e-6)


@few(10)
@given(data(names=NAMES[:2], missing=False, degenerate=False, min_samples=20))
def test_sparse_and_dense_cca_agree(data):
    thin = {name: np.where(np.abs(a) > np.abs(a).mean(), a, 0.0) for name, a in data.parts.items()}
    assume(all((a.std(axis=0) > 0).all() for a in thin.values()))
    found = CCA(1, shrinkage=0.1).fit({n: sparse.csr_array(a) for n, a in thin.items()})
    expected = CCA(1, shrinkage=0.1).fit(thin)
    assert_allclose(found.transform(thin), expected.transform(thin), rtol=1e-6, atol=1e-6)


# Networks


def _small(case):
    return clone(case.small).set_params(max_epochs=1, hidden_layer_sizes=(4,), random_state=0)


def _width(model):
    return len(model.get_feature_names_out())


@per_deep_case
@few(4)
@given(data=data(missing=False), layout=layouts)
def test_networks_take_any_layout(case, data, layout):
    model = _small(case).fit(data.parts)
    before = {name: a.copy() for name, a in data.parts.items()}
    parts = data.laid_out(layout)
    again = _small(case).fit(parts)
    Z = model.transform(data.parts)
    assert Z.shape == (len(Z), _width(model))
    assert np.isfinite(Z).all()
    assert_allclose(again.transform(parts), Z, rtol=1e-6, atol=1e-6 * np.abs(Z).max())
    for name, a in data.parts.items():
        assert_array_equal(a, before[name])


@per_deep_case
@few(4)
@given(data=data())
def test_networks_answer_row_by_row_in_the_precision_asked_for(case, data):
    absent = data.mask.copy()
    if hasattr(case.small, "target"):  # which takes no rows without conditions
        absent[:, :2] = False
    X = Modalities(data.parts, missing=absent)
    model = _small(case).fit(X)
    Z = model.transform(X)
    assert np.isfinite(Z).all()
    for rows in (slice(1, None, 3), slice(0, 1)):
        assert_allclose(model.transform(X[rows]), Z[rows], rtol=1e-9, atol=1e-12)
    single = Modalities(
        {name: a.astype(np.float32) for name, a in data.parts.items()}, missing=absent
    )
    assert model.transform(single).dtype == np.float32
    if hasattr(model, "impute"):
        filled = model.impute(X)
        for j, name in enumerate(NAMES):
            observed = ~absent[:, j]
            assert_array_equal(filled[name][observed], data.parts[name][observed])
            assert np.isfinite(filled[name]).all()


@per_sampler
@few(8)
@given(data=data(missing=False), layout=layouts)
def test_samplers_take_any_layout(case, data, layout):
    model = fitted(case.small, data.parts, random_state=0)
    again = fitted(case.small, data.laid_out(layout), random_state=0)
    Z = model.transform(data.parts)
    assert np.isfinite(Z).all()
    size = 1e-6 * np.abs(Z).max()
    assert_allclose(again.transform(data.laid_out(layout)), Z, rtol=1e-6, atol=size)
    assert model.sample(2, given=data.parts).shape == (2, *data.parts["sound"].shape)


# Composition


@given(data(), layouts)
def test_per_modality_is_each_transformer_on_the_rows_that_are_there(data, layout):
    X = data.laid_out(layout)
    found = PerModality(StandardScaler()).fit_transform(X)
    for j, name in enumerate(NAMES):
        here = ~data.mask[:, j]
        expected = StandardScaler().fit_transform(data.parts[name][here])
        assert_allclose(np.asarray(found[name], float)[here], expected, atol=1e-9)
        assert np.isnan(np.asarray(found[name], float)[~here]).all()


@given(data(), layouts)
def test_concatenation_can_be_undone(data, layout):
    X = data.laid_out(layout)
    join = ConcatModalities().fit(X)
    wide = join.transform(X)
    assert_array_equal(wide, np.hstack([np.asarray(data.named[name]) for name in NAMES]))
    again = join.inverse_transform(wide)
    assert_array_equal(again.missing.to_numpy(), data.mask)
    assert_array_equal(_numbers(again), _numbers(data.named))


# Metrics


OF_PAIRS = {
    "foscttm": (0.0, 1.0),
    "recall_at_k": (0.0, 1.0),
    "mean_reciprocal_rank": (0.0, 1.0),
    "median_rank": (1.0, np.inf),
    "energy_distance": (-np.inf, np.inf),
    "kernel_mmd": (-np.inf, np.inf),
}


@pytest.mark.parametrize("name", OF_PAIRS)
@given(pair=codes(), layout=layouts, seed=st.integers(0, 99))
def test_metrics_of_pairs_depend_on_neither_layout_nor_order(name, pair, layout, seed):
    score, (low, high) = getattr(metrics, name), OF_PAIRS[name]
    a, b = pair
    expected = score(a, b)
    assert low <= expected <= high
    order = np.random.default_rng(seed).permutation(len(a))
    assert_allclose(score(a[order], b[order]), expected, rtol=1e-6, atol=1e-9 * np.abs(a).max())
    found = score(LAYOUTS[layout](a), LAYOUTS[layout](b))
    assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * np.abs(a).max())


@given(codes(), st.integers(-6, 6))
def test_retrieval_does_not_depend_on_units(pair, exponent):
    a, b = pair
    for name in ("foscttm", "recall_at_k", "median_rank"):
        score = getattr(metrics, name)
        assert score(2.0**exponent * a, 2.0**exponent * b) == score(a, b)


@given(codes(min_samples=4, same_width=False), st.data())
def test_canonical_correlations_do_not_depend_on_the_basis(pair, draw):
    a, b = pair
    assume(len(a) > a.shape[1] + b.shape[1] + 1)
    rng = np.random.default_rng(draw.draw(st.integers(0, 99)))
    Q = np.linalg.qr(rng.standard_normal((a.shape[1],) * 2))[0] * rng.uniform(0.5, 2.0)
    found, expected = (metrics.canonical_correlations(x, b) for x in (a @ Q + 1.0, a))
    assert_allclose(found, expected, atol=1e-6)
    assert ((expected >= 0) & (expected <= 1 + 1e-12)).all()


@given(codes(), st.integers(2, 5), st.integers(0, 99))
def test_scores_of_draws_scale_with_their_units(pair, n_draws, seed):
    y, other = pair
    draws = other + np.random.default_rng(seed).standard_normal((n_draws, *y.shape))
    for name in ("crps", "energy_score"):
        score = getattr(metrics, name)
        expected = score(y, draws)
        assert_allclose(score(4.0 * y, 4.0 * draws), 4.0 * expected, rtol=1e-9)
        assert_allclose(score(y, draws[::-1]), expected, rtol=1e-6, atol=1e-9 * np.abs(y).max())


@given(data())
def test_r2_of_the_truth_is_one_and_of_the_baseline_zero(data):
    X = data.named
    means = {name: np.nanmean(X[name], axis=0) for name in NAMES}
    assert metrics.r2_per_modality(X, data.parts, baseline=means) == dict.fromkeys(NAMES, 1.0)
    constant = {name: np.broadcast_to(means[name], X[name].shape) for name in NAMES}
    for name, r2 in metrics.r2_per_modality(X, constant, baseline=means).items():
        varies = np.nanstd(X[name], axis=0).max() > 0
        assert r2 == (0.0 if varies else 1.0)


def test_the_layouts_hold_the_same_numbers():
    a = np.arange(12.0).reshape(4, 3)
    for name, lay_out in LAYOUTS.items():
        value = lay_out(a)
        assert_array_equal(np.asarray(pd.DataFrame(value), dtype=float), a, err_msg=name)
