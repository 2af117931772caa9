"""CCA of sparse data against the same data dense: every route, every method, nothing densified."""

import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skmm import CCA, Modalities
from skmm._cca import _iterative, _sparse
from skmm._cca._sparse import SparseRows, project_sparse

SHAPES = {"tall": (250, 60, 40), "wide": (75, 200, 150), "between": (250, 200, 150)}
METHODS = ("transform", "transform_each", "score", "score_samples")


def make(n=500, p=400, q=300, seed=0, density=0.04):
    """Return two CSR matrices of counts with four latent variables."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 4))
    rates = (density * np.exp(0.5 * z @ rng.standard_normal((4, d))) for d in (p, q))
    return {
        name: sp.csr_matrix(rng.poisson(rate).astype(float))
        for name, rate in zip(("a", "b"), rates, strict=True)
    }


def dense(X):
    return {name: v.toarray() if sp.issparse(v) else v for name, v in X.items()}


@pytest.fixture
def iterated(monkeypatch):
    """Let even small products count as too large to be formed."""
    monkeypatch.setattr(_sparse, "LARGEST_PRODUCTS", 10)


def assert_same(model, other, X, tol=1e-8):
    assert_allclose(model.canonical_correlations_, other.canonical_correlations_, atol=1e-6)
    assert_allclose(model.eigenvalues_, other.eigenvalues_, atol=tol)
    assert model.shrinkage_ == pytest.approx(other.shrinkage_)
    for name, part in dense(X).items():
        assert_allclose(model.means_[name], other.means_[name], atol=1e-12)
        assert_allclose(model.scales_[name], other.scales_[name], rtol=1e-10)
        assert_allclose(model.loadings_[name], other.loadings_[name], atol=tol)
        codes = model.transform_each({name: X[name]})[name]
        assert_allclose(codes, other.transform_each({name: part})[name], atol=tol)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("shrinkage", [0.2, "auto", {"a": 0.5, "b": 0.1}])
@pytest.mark.parametrize("shape", SHAPES)
def test_same_as_dense(shape, shrinkage, scale):
    X = make(*SHAPES[shape])
    expected = CCA(5, shrinkage=shrinkage, scale=scale, solver="svd").fit(dense(X))
    for solver in ("auto", "covariance", "randomized", "svd"):
        model = CCA(5, shrinkage=shrinkage, scale=scale, solver=solver, random_state=0).fit(X)
        assert_same(model, expected, X)


@pytest.mark.parametrize("shrinkage", [0.2, "auto"])
@pytest.mark.parametrize("shape", SHAPES)
def test_iteration_finds_the_same(shape, shrinkage, iterated):
    X = make(*SHAPES[shape])
    expected = CCA(5, shrinkage=shrinkage).fit(dense(X))
    for seed in (0, 1):
        model = CCA(5, shrinkage=shrinkage, random_state=seed).fit(X)
        assert_same(model, expected, X, tol=1e-5)
        # Of eigenvalues the error is the square of the residual over the gap.
        assert_allclose(model.eigenvalues_, expected.eigenvalues_, atol=1e-10)


def test_unshrunk():
    X = make(*SHAPES["tall"])
    expected = CCA(solver="svd").fit(dense(X))
    model = CCA().fit(X)
    assert model.n_components_ == expected.n_components_ == 40
    assert_same(model, expected, X)
    wide = make(*SHAPES["wide"])
    with pytest.warns(UserWarning, match="correlations are 1 and mean nothing"):
        model = CCA(3).fit(wide)
    assert_allclose(model.canonical_correlations_, 1.0, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_unshrunk_iteration(shape, iterated):
    X = make(*SHAPES[shape])
    if shape == "tall":
        assert_same(CCA(5, random_state=0).fit(X), CCA(5, solver="svd").fit(dense(X)), X, 1e-5)
        return
    with pytest.raises(ValueError, match="correlations are 1 and mean nothing"):
        CCA(3, random_state=0).fit(X)


def test_rows_with_gaps_are_those_of_a_dense_array(monkeypatch):
    X = make(80, 12, 90)
    rng = np.random.default_rng(1)
    missing = {"a": rng.random(80) < 0.1, "b": rng.random(80) < 0.2}
    missing["a"] &= ~missing["b"]
    weight = rng.integers(0, 3, 80)
    X, full = Modalities(X, missing=missing), Modalities(dense(X), missing=missing)
    expected, model = (CCA(4, shrinkage="auto").fit(one, sample_weight=weight) for one in (full, X))
    assert_allclose(model.canonical_correlations_, expected.canonical_correlations_, atol=1e-8)
    assert model.shrinkage_ == pytest.approx(expected.shrinkage_)
    codes, others = model.transform_each(X), expected.transform_each(full)
    for name, part in codes.items():
        assert_array_equal(np.isnan(part[:, 0]), missing[name])
        assert_allclose(part, others[name], atol=1e-8)
    assert_allclose(model.transform(X), expected.transform(full), atol=1e-8)
    assert_allclose(model.score_samples(X), expected.score_samples(full), rtol=1e-8)
    filled, other = model.impute(X), expected.impute(full)
    assert sp.issparse(filled["b"])
    assert not filled.missing.to_numpy().any()
    assert_allclose(filled["b"].toarray(), other["b"], atol=1e-8)
    observed = ~missing["b"]
    assert_array_equal(filled["b"][observed].toarray(), X["b"][observed].toarray())
    monkeypatch.setattr(_sparse, "LARGEST_COPY", 80 * 102 - 1)
    with pytest.raises(ValueError, match="too large for one: 80 rows of 102 columns"):
        CCA(4, shrinkage=0.3).fit(X)
    CCA(4, shrinkage=0.3).fit(X[~X.missing.to_numpy().any(axis=1)])


@pytest.mark.parametrize("iterate", [False, True])
def test_weights(iterate, monkeypatch):
    monkeypatch.setattr(_sparse, "LARGEST_PRODUCTS", 10 if iterate else 5000)
    X, tol = make(*SHAPES["between"]), 1e-5 if iterate else 1e-8
    weight = np.random.default_rng(1).integers(0, 3, 250)
    expected = CCA(4, shrinkage=0.3, solver="svd").fit(dense(X), sample_weight=weight)
    model = CCA(4, shrinkage=0.3, random_state=0).fit(X, sample_weight=weight)
    assert_same(model, expected, X, tol)


@pytest.mark.parametrize("shape", SHAPES)
def test_methods(shape):
    X = make(*SHAPES[shape])
    full = dense(X)
    model, other = (CCA(4, shrinkage=0.2, solver="covariance").fit(part) for part in (X, full))
    for method in METHODS:
        found, expected = getattr(model, method)(X), getattr(other, method)(full)
        for a, b in zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True):
            if not isinstance(a, dict):
                assert_allclose(a, b, rtol=1e-7, atol=1e-7)
    assert_allclose(model.translate(X, "b"), other.translate(full, "b"), atol=1e-7)
    for a, b in zip(
        model.sample(3, random_state=0).values(),
        other.sample(3, random_state=0).values(),
        strict=True,
    ):
        assert_allclose(a, b, atol=1e-6)
    Z = other.transform(full)
    for name, part in other.inverse_transform(Z).items():
        assert_allclose(model.inverse_transform(Z)[name], part, atol=1e-7)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.score_samples(X), model.score_samples(X))


def test_three_modalities_some_dense(iterated, monkeypatch):
    X = make(300, 90, 70)
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((90, 6))
    X["c"] = X["a"] @ mix + 3.0 * rng.standard_normal((300, 6)) + 100.0
    expected = CCA(4, shrinkage=0.2).fit(dense(X))
    assert_same(CCA(4, shrinkage=0.2, random_state=0).fit(X), expected, X, 1e-5)
    with pytest.raises(ValueError, match="objective='sumcor' needs all directions of 300 rows"):
        CCA(4, shrinkage=0.2, objective="sumcor").fit(X)
    monkeypatch.undo()
    assert_same(CCA(4, shrinkage=0.2).fit(X), expected, X)
    expected = CCA(2, shrinkage=0.2, objective="sumcor", random_state=0).fit(dense(X))
    found = CCA(2, shrinkage=0.2, objective="sumcor", random_state=0).fit(X)
    assert_allclose(found.eigenvalues_, expected.eigenvalues_, atol=1e-8)


@pytest.mark.parametrize("iterate", [False, True])
def test_offsets_and_constants_cost_no_digits(iterate, monkeypatch):
    if iterate:
        monkeypatch.setattr(_sparse, "LARGEST_PRODUCTS", 10)
    X = dense(make(300, 40, 30))
    X["a"][:, :10] += 1e6  # stored in full
    X["a"][:, 11], X["a"][:, 12], X["b"][:, 0] = 0.0, 3.0, 1e-7 * X["b"][:, 0]
    sparse = {name: sp.csr_matrix(part) for name, part in X.items()}
    expected = CCA(4, shrinkage=0.1, solver="svd").fit(X)
    model = CCA(4, shrinkage=0.1, random_state=0).fit(sparse)
    assert_same(model, expected, sparse, 1e-5 if iterate else 1e-7)
    one_by_one = np.vstack([model.transform({"a": sparse["a"][[i]]}) for i in range(5)])
    assert_allclose(one_by_one, model.transform({"a": sparse["a"]})[:5], rtol=0, atol=1e-12)


def test_ill_conditioned_goes_back_to_the_rows():
    X = dense(make(*SHAPES["tall"]))
    rng = np.random.default_rng(0)
    X["a"][:, 1] = X["a"][:, 0] * (1 + 1e-6 * rng.standard_normal(len(X["a"])))
    sparse = {name: sp.csr_matrix(part) for name, part in X.items()}
    expected = CCA(5, solver="svd").fit(X)
    assert_same(CCA(5).fit(sparse), expected, sparse)
    with pytest.warns(UserWarning, match="too ill-conditioned for covariances"):
        CCA(5, solver="covariance").fit(sparse)


def test_formats_dtypes_and_duplicates():
    X = make(200, 60, 40)
    expected = CCA(3, shrinkage=0.2).fit(X)
    for form in ("csc", "coo", "csr"):
        other = {name: sp.coo_array(part).asformat(form) for name, part in X.items()}
        assert_allclose(CCA(3, shrinkage=0.2).fit(other).transform(other), expected.transform(X))
    csr = X["a"]
    halves = sp.csr_matrix(
        (np.repeat(csr.data / 2, 2), np.repeat(csr.indices, 2), 2 * csr.indptr), shape=csr.shape
    )
    doubled = {"a": halves, "b": X["b"].astype(np.int64)}
    before = halves.data.copy()
    assert_allclose(CCA(3, shrinkage=0.2).fit(doubled).transform(doubled), expected.transform(X))
    assert_array_equal(halves.data, before)
    single = {name: part.astype(np.float32) for name, part in X.items()}
    Z = CCA(3, shrinkage=0.2).fit(single).transform(single)
    assert Z.dtype == np.float32
    assert_allclose(Z, expected.transform(X), atol=1e-5)


def test_two_dimensional_form():
    X = make(200, 60, 40)
    columns = {"a": slice(0, 60), "b": slice(60, 100)}
    whole = sp.hstack([X["a"], X["b"]], format="csr")
    model = CCA(3, shrinkage=0.2, modalities=columns).fit(whole)
    assert_allclose(model.transform(whole), CCA(3, shrinkage=0.2).fit(X).transform(X))
    pair = CCA(3, shrinkage=0.2).fit(X["a"], X["b"].toarray())
    assert_allclose(pair.transform(X["a"]), model.transform({"a": X["a"]}), atol=1e-8)


def test_partial_fit():
    X = make(500, 60, 40)
    X["a"] = sp.csr_matrix(X["a"].toarray() + 50.0 * (np.arange(60) < 5))
    model = CCA(3, shrinkage=0.2)
    for rows in (slice(0, 200), slice(200, 201), slice(201, 500)):
        model.partial_fit({name: part[rows] for name, part in X.items()})
    assert_same(model, CCA(3, shrinkage=0.2).fit(dense(X)), X)


def test_number_of_components(iterated, monkeypatch):
    X = make(150, 60, 40)
    for wanted in (None, "auto"):
        with pytest.raises(ValueError, match="would need all components of 150 rows"):
            CCA(wanted, shrinkage=0.2).fit(X)
    with pytest.raises(ValueError, match="n_components=41 is above its bound"):
        CCA(41, shrinkage=0.2).fit(X)
    full = CCA(40, shrinkage=0.2, random_state=0).fit(X)
    monkeypatch.undo()
    assert_allclose(full.eigenvalues_, CCA(40, shrinkage=0.2).fit(dense(X)).eigenvalues_)
    chosen = CCA("auto", shrinkage=0.2, random_state=0)
    assert chosen.fit(X).n_components_ == chosen.fit(dense(X)).n_components_


def test_iteration_that_stops_early_warns(iterated, monkeypatch):
    monkeypatch.setattr(_iterative, "MAX_ITER", 2)
    with pytest.warns(ConvergenceWarning, match="The iteration stopped at a residual of"):
        CCA(3, shrinkage=0.2, random_state=0).fit(make(300, 200, 150))


def test_nan_inside_rows_is_refused():
    X = make(50, 20, 10)
    X["a"] = sp.csr_matrix(np.where(np.arange(50)[:, None] < 2, np.nan, X["a"].toarray())[:, :20])
    X["a"][:2, :3] = 1.0
    with pytest.raises(ValueError, match="'a' is sparse and has 34 entries that are NaN"):
        CCA(2).fit(X)
    with pytest.raises(ValueError, match="'a' is sparse and has 34 entries that are NaN"):
        CCA(2).fit({"a": np.eye(50, 20), "b": X["b"]}).transform(X)


@pytest.mark.parametrize(
    ("n", "d", "limit"), [(200, 20_000, 5000), (600, 4000, 10)], ids=["products", "iteration"]
)
def test_memory_stays_below_a_dense_copy(n, d, limit, monkeypatch):
    monkeypatch.setattr(_sparse, "LARGEST_PRODUCTS", limit)
    X = Modalities(make(n, d // 2, d // 2, density=5e-3))
    model = CCA(1, shrinkage=0.9, solver="randomized", random_state=0)
    model.fit(X[:50])
    tracemalloc.start()
    try:
        model.fit(X)
        for method in METHODS[:3]:
            getattr(model, method)(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n * d * 8


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_columns_against_their_formula(is_sparse, weighted):
    rng = np.random.default_rng(0)
    x = make(40, 25, 5, density=0.3)["a"].toarray()
    x[:, 3] = rng.standard_normal(40) + 1000.0
    root = np.sqrt(rng.integers(0, 3, 40)) if weighted else np.ones(40)
    mean = root**2 @ x / np.sum(root**2)
    variance = root**2 @ (x - mean) ** 2 / np.sum(root**2)
    found = SparseRows([sp.csr_array(x) if is_sparse else x], weight=root**2).columns(0)
    columns = found.divided_by(np.sqrt(np.where(found.variance > 0, found.variance, np.inf)))
    Z = root[:, None] * (x - mean) / np.sqrt(np.where(variance > 0, variance, np.inf))
    assert_allclose(found.mean, mean, rtol=1e-13)
    assert_allclose(found.variance, variance, rtol=1e-10)
    V, U = rng.standard_normal((25, 3)), rng.standard_normal((40, 2))
    assert_allclose(columns.push(V), Z @ V, atol=1e-10)
    assert_allclose(columns.pull(U), Z.T @ U, atol=1e-10)
    assert_allclose(columns.gram(), np.tril(Z @ Z.T), atol=1e-10)
    assert_allclose(columns.products(columns), Z.T @ Z, atol=1e-10)
    assert_allclose(columns.squares(), np.sum((Z.T @ Z) ** 2))
    assert_allclose(columns.row_norms(), np.sum(Z**2, axis=1), atol=1e-10)


def test_projection_against_its_formula():
    rng = np.random.default_rng(0)
    x = make(40, 25, 5, density=0.3)["a"].toarray()
    x[:, :4] += 1e8
    x[3, 0] = 0.0
    W, mean, scale = rng.standard_normal((25, 3)), np.median(x, axis=0), np.ones(25)
    expected = ((x - mean).astype(np.longdouble) @ W).astype(float)
    assert_allclose(
        project_sparse(sp.csr_array(x), mean, scale, W), expected, atol=1e-12, rtol=1e-12
    )
