"""What CCA says of its training rows: correlations of projections, and of columns with them."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skmm import CCA, DeepCCA, Modalities

SOLVERS = ["auto", "covariance", "svd", "randomized"]


def make(n=200, widths=(6, 5, 4), offsets=(0.0, 1e5, 3.0), seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return {
        name: z @ rng.standard_normal((2, d)) + rng.standard_normal((n, d)) + offset
        for name, d, offset in zip("abc", widths, offsets, strict=False)
    }


def gappy(data, share=0.4, seed=1):
    """Leave out modalities of rows, more often where what is shared is large."""
    mask = np.random.default_rng(seed).uniform(size=(len(data["a"]), len(data))) < share
    mask[:, 0] &= data["b"][:, 0] > np.median(data["b"][:, 0])
    mask[mask.all(axis=1)] = False
    return Modalities(data, missing=dict(zip(data, mask.T, strict=True)))


def weights(n=200):
    return np.random.default_rng(2).integers(0, 4, n).astype(float)


def correlation(x, y, weight):
    C = np.cov(x, y, aweights=weight, ddof=0)
    return C[0, 1] / np.sqrt(C[0, 0] * C[1, 1])


def pearson_by_hand(cca, X, weight=None):
    """Return the correlations (k, M, M) of the projections, on the rows that have both."""
    codes = list(cca.transform_each(X).values())
    weight = np.ones(len(codes[0])) if weight is None else weight
    found = np.empty((cca.n_components_, len(codes), len(codes)))
    for k, i, j in product(*map(range, found.shape)):
        both = ~np.isnan(codes[i][:, k] + codes[j][:, k])
        found[k, i, j] = correlation(codes[i][both, k], codes[j][both, k], weight[both])
    return found


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shrinkage", [0.0, 0.3, "auto", 1.0, {"b": 0.5}])
@pytest.mark.parametrize("n_modalities", [2, 3])
@pytest.mark.parametrize("complete", [True, False])
def test_correlations_are_pearsons_of_the_training_projections(
    solver, shrinkage, n_modalities, complete
):
    data = dict(list(make().items())[:n_modalities])
    X = Modalities(data) if complete else gappy(data)
    for weight, scale in ((None, True), (weights(), True), (None, False)):
        cca = CCA(2, shrinkage=shrinkage, solver=solver, scale=scale, random_state=0)
        cca.fit(X, sample_weight=weight)
        expected = pearson_by_hand(cca, X, weight)
        assert_allclose(cca.pairwise_correlations_, expected, atol=1e-10)
        pairs = expected[:, *np.triu_indices(n_modalities, 1)]
        assert_allclose(cca.canonical_correlations_, pairs.mean(axis=1), atol=1e-10)


def test_wide_gaps():
    X = gappy(make(40, (60, 50), (0.0, 0.0)))
    cca = CCA(3, shrinkage=0.3).fit(X)
    assert_allclose(cca.pairwise_correlations_, pearson_by_hand(cca, X), atol=1e-10)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_sparse_gaps(shrinkage):
    data = {name: np.where(np.abs(x) > 1, x, 0.0) for name, x in make().items() if name != "b"}
    mask = np.random.default_rng(0).uniform(size=(200, 2)) < 0.3
    mask[mask.all(axis=1)] = False
    X = Modalities({name: sparse.csr_array(x) for name, x in data.items()}, missing=mask)
    cca = CCA(2, shrinkage=shrinkage).fit(X)
    assert_allclose(cca.pairwise_correlations_, pearson_by_hand(cca, X), atol=1e-10)


def test_deep_cca_says_the_same_of_its_codes():
    X = gappy(make(offsets=(0.0, 0.0, 0.0)))
    model = DeepCCA(2, objective="gcca", hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    model.fit(X)
    assert_allclose(model.pairwise_correlations_, pearson_by_hand(model, X), atol=1e-5)


def test_a_pair_without_common_rows_has_no_correlation():
    X = Modalities(make())
    apart = X.with_missing(["b"], np.arange(100)).with_missing(["a"], np.arange(100, 200))
    with pytest.warns(UserWarning, match="Fewer than 2 rows have both 'a' and 'b'"):
        cca = CCA(2).fit(apart)
    assert np.isnan(cca.pairwise_correlations_[:, 0, 1]).all()
    others = cca.pairwise_correlations_[:, [0, 1], 2]
    assert_allclose(cca.canonical_correlations_, others.mean(axis=1))
    assert np.all(np.abs(cca.model_correlations_[:, 0, 1]) > 0)  # by way of c


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_correlations_of_the_model_are_those_of_its_draws(complete, shrinkage):
    data = {name: x for name, x in make().items() if name != "c"}
    cca = CCA(2, shrinkage=shrinkage).fit(Modalities(data) if complete else gappy(data))
    draws = cca.sample(100_000, random_state=0)
    assert_allclose(cca.model_correlations_, pearson_by_hand(cca, draws), atol=0.01)


# --- loadings


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_loadings_are_correlations_and_covariances_have_a_name_of_their_own(solver, shrinkage):
    data = make()
    for weight, scale in ((None, True), (weights(), False)):
        cca = CCA(2, shrinkage=shrinkage, solver=solver, scale=scale, random_state=0)
        codes = cca.fit(data, sample_weight=weight).transform_each(data)
        for name, x in data.items():
            for j, k in product(range(x.shape[1]), range(2)):
                C = np.cov(x[:, j], codes[name][:, k], aweights=weight, ddof=0)
                expected = C[0, 1] / np.sqrt(C[0, 0] * C[1, 1])
                assert cca.loadings_[name][j, k] == pytest.approx(expected, abs=1e-8)
                covariance = cca.projection_covariances_[name][j, k]
                assert covariance == pytest.approx(C[0, 1], abs=1e-8)


@pytest.mark.parametrize("solver", SOLVERS)
def test_constant_columns_have_a_loading_of_zero(solver):
    data = make(offsets=(0.0, 0.0, 0.0))
    data["a"][:, 2] = 7.0
    cca = CCA(2, shrinkage=0.1, solver=solver, random_state=0).fit(data)
    assert_array_equal(cca.loadings_["a"][2], 0.0)
    assert_array_equal(cca.projection_covariances_["a"][2], 0.0)


def test_a_modality_without_part_in_a_component_has_loadings_of_zero():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((100, 2))
    X = {"a": a, "b": a + 0.1 * rng.standard_normal((100, 2)), "c": rng.standard_normal((100, 1))}
    cca = CCA(5).fit(X)  # the sum of the ranks
    for loadings in cca.loadings_.values():
        assert np.isfinite(loadings).all()
    assert np.abs(np.vstack(list(cca.loadings_.values()))).max() <= 1.0


def test_loadings_carry_the_names_of_the_columns():
    data = make()
    frame = pd.DataFrame(data["a"], columns=list("uvwxyz"))
    mixed = CCA(2).fit({"a": frame, "b": data["b"]})
    assert isinstance(mixed.loadings_["b"], np.ndarray)
    two_levels = CCA(2).fit(pd.concat({"a": frame, "b": pd.DataFrame(data["b"])}, axis=1))
    selected = {"a": ["u", "v", "w"], "b": slice(3, 6)}
    flat = CCA(2, modalities=selected).fit(frame)
    for cca, columns in (
        (mixed, list("uvwxyz")),
        (two_levels, list("uvwxyz")),
        (flat, list("uvw")),
    ):
        for found in (cca.loadings_["a"], cca.projection_covariances_["a"]):
            assert found.index.tolist() == columns
            assert found.columns.tolist() == ["cca0", "cca1"]
    plain = CCA(2).fit({"a": data["a"], "b": data["b"]})
    assert_array_equal(mixed.loadings_["a"], plain.loadings_["a"])
    assert list(CCA(1).fit(frame, data["b"]).loadings_["X"].index) == list("uvwxyz")
