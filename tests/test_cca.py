"""CCA against textbook solutions, closed forms and brute force."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale

from skmm import CCA, Modalities, check_modalities

SOLVERS = ["auto", "covariance", "svd", "randomized"]


def make_two(n=400, p=7, q=5, k=3, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, k))
    x = z @ rng.standard_normal((k, p)) + rng.standard_normal((n, p))
    y = z @ rng.standard_normal((k, q)) + rng.standard_normal((n, q))
    return x, y


def make_three(n=500, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    widths = {"a": 4, "b": 3, "c": 5}
    return {
        name: z @ rng.standard_normal((2, d)) + rng.standard_normal((n, d)) + 3.0
        for name, d in widths.items()
    }


def textbook(x, y):
    """Singular values of Q1'Q2, with Q an orthonormal basis of the centred columns."""

    def basis(a):
        a = (a - a.mean(axis=0)) / a.std(axis=0)
        u, s, _ = np.linalg.svd(a, full_matrices=False)
        return u[:, s > 1e-12 * len(a) * s[0]]

    return np.linalg.svd(basis(x).T @ basis(y), compute_uv=False)


def hard_cases():
    x, y = make_two(n=2000)
    rng = np.random.default_rng(1)
    signal = rng.standard_normal(len(x))
    almost = x.copy()
    almost[:, 1] = almost[:, 0] + 1e-6 * signal
    heard = y.copy()
    heard[:, 0] = signal + 0.3 * rng.standard_normal(len(x))
    return {
        "random": (x, y, 1e-12),
        "units": (x * 10.0 ** np.linspace(0, 8, x.shape[1]), y * 1e-8, 1e-12),
        "offset": (x + 1e6, y - 1e6, 1e-8),
        "duplicated": (np.c_[x, x[:, :3]], np.c_[y, y[:, :1]], 1e-12),
        "constant": (np.c_[x, np.full(len(x), 0.1)], y, 1e-12),
        "difference": (almost, heard, 1e-6),
    }


# Covariances square the condition number: the last case is what "auto" and "svd" are for.
@pytest.mark.parametrize(
    ("case", "solver"),
    [(c, s) for c in hard_cases() for s in SOLVERS if (c, s) != ("difference", "covariance")],
)
def test_agrees_with_the_textbook(case, solver):
    x, y, atol = hard_cases()[case]
    expected = textbook(x[:, x.std(axis=0) > 0], y)
    cca = CCA(solver=solver, random_state=0).fit(x, y)
    assert cca.n_components_ == len(expected)
    assert_allclose(cca.canonical_correlations_, expected, rtol=0, atol=atol)
    codes = cca.transform_each(x, y)
    assert_allclose(np.cov(codes["X"].T, ddof=0), np.eye(len(expected)), atol=1e-5)
    correlation = np.corrcoef(codes["X"].T, codes["y"].T)[: len(expected), len(expected) :]
    assert_allclose(np.diag(correlation), expected, atol=1e-5)


@pytest.mark.parametrize("n_components", [2, None])
@pytest.mark.parametrize("shrinkage", [0.0, 0.2, {"X": 0.5}, "auto"])
@pytest.mark.parametrize("shape", [(300, 12, 8), (40, 90, 60)], ids=["tall", "wide"])
def test_solvers_agree(shape, shrinkage, n_components):
    n, p, q = shape
    if shape[0] < shape[1] and shrinkage in (0.0, {"X": 0.5}):
        shrinkage = {"X": 0.5, "y": 0.1}
    x, y = make_two(n, p, q)
    models = [
        CCA(n_components, shrinkage=shrinkage, solver=s, random_state=0).fit(x, y) for s in SOLVERS
    ]
    reference = models[0]
    for other in models[1:]:
        for name in ("X", "y"):
            assert_allclose(other.weights_[name], reference.weights_[name], atol=1e-7)
            assert_allclose(other.loadings_[name], reference.loadings_[name], atol=1e-7)
        assert_allclose(other.score_samples(x, y), reference.score_samples(x, y), rtol=1e-7)
        assert_allclose(other.translate(x, "y"), reference.translate(x, "y"), atol=1e-7)


@pytest.mark.parametrize("shrinkage", [0.0, 0.2])
def test_dependent_columns_add_no_rank(shrinkage):
    x, y = make_two()
    x, y = np.c_[x, x[:, :3]], np.c_[y, y[:, 0] - y[:, 1]]
    models = [CCA(shrinkage=shrinkage, solver=s, random_state=0).fit(x, y) for s in SOLVERS]
    for model in models:
        assert model.n_components_ == 5
        assert_allclose(model.transform(x), models[0].transform(x), atol=1e-8)


def test_least_norm_weights_for_the_columns_as_they_are():
    x, y = make_two()
    x = np.c_[x * 10.0 ** np.arange(7), 3 * x[:, 0]]
    for solver in ("covariance", "svd"):
        scaled = CCA(2, solver=solver).fit(x, y)
        raw = CCA(2, solver=solver, scale=False).fit(x, y)
        assert_allclose(raw.transform(x), scaled.transform(x), atol=1e-8)
        basis = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:7]
        w = raw.weights_["X"]
        assert_allclose(basis.T @ (basis @ w), w, atol=1e-6 * np.abs(w).max())
        assert np.linalg.norm(w, axis=0)[0] < np.linalg.norm(scaled.weights_["X"], axis=0)[0]


def test_covariances_of_ill_conditioned_columns_warn():
    x, y, _ = hard_cases()["difference"]
    with pytest.warns(UserWarning, match="'X'.*ill-conditioned"):
        CCA(solver="covariance").fit(x, y)


def test_shrinkage_solves_the_regularised_eigenproblem():
    x, y = make_two()
    cca = CCA(3, shrinkage={"X": 0.3, "y": 0.1}).fit(x, y)
    x, y = scale(x), scale(y)
    n = len(x)
    R1 = 0.7 * x.T @ x / n + 0.3 * np.eye(x.shape[1])  # unit variances: trace/d = 1
    R2 = 0.9 * y.T @ y / n + 0.1 * np.eye(y.shape[1])
    S12 = x.T @ y / n
    A = np.block([[R1, S12], [S12.T, R2]])
    eigenvalues = linalg.eigh(A, linalg.block_diag(R1, R2))[0][::-1]
    assert_allclose(cca.eigenvalues_, eigenvalues[:3], rtol=1e-10)


def test_shrinkage_one_is_partial_least_squares():
    x, y = make_two()
    cca = CCA(3, shrinkage=1.0).fit(x, y)
    left, _, right = np.linalg.svd(scale(x).T @ scale(y))
    for name, data, expected in (("X", x, left), ("y", y, right.T)):
        found = cca.weights_[name] * data.std(axis=0)[:, None]
        found /= np.linalg.norm(found, axis=0)
        assert_allclose(np.abs(np.sum(found * expected[:, :3], axis=0)), 1.0, rtol=1e-10)


@pytest.mark.parametrize("shape", [(60, 12), (40, 90)], ids=["tall", "wide"])
@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_automatic_shrinkage_is_ledoit_wolf(shape, solver):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape), rng.standard_t(5, (shape[0], 8))
    cca = CCA(2, shrinkage="auto", solver=solver).fit(x, y)
    assert_allclose(cca.shrinkage_["X"], ledoit_wolf_shrinkage(scale(x)), rtol=1e-9)
    assert_allclose(cca.shrinkage_["y"], ledoit_wolf_shrinkage(scale(y)), rtol=1e-9)


def test_maxvar_solves_the_block_eigenproblem():
    data = make_three()
    cca = CCA(6, shrinkage=0.1).fit(data)
    blocks = [scale(data[name]) for name in "abc"]
    n = len(blocks[0])
    A = np.block([[u.T @ v / n for v in blocks] for u in blocks])
    R = [0.9 * u.T @ u / n + 0.1 * np.eye(u.shape[1]) for u in blocks]
    B = linalg.block_diag(*R)
    A = A - linalg.block_diag(*[u.T @ u / n for u in blocks]) + B
    values, vectors = linalg.eigh(A, B)
    assert_allclose(cca.eigenvalues_, values[::-1][:6], rtol=1e-10)
    edges = np.cumsum([0, *(u.shape[1] for u in blocks)])
    for m, (name, block) in enumerate(zip("abc", blocks, strict=True)):
        expected = block @ vectors[edges[m] : edges[m + 1], ::-1][:, :6]
        expected /= expected.std(axis=0)
        found = cca.transform_each(data)[name]
        signs = np.sign(np.sum(found * expected, axis=0))
        assert_allclose(found, expected * signs, atol=1e-8)
        assert_allclose(found.std(axis=0), 1.0, rtol=1e-10)


def test_maxvar_bound_is_the_sum_of_ranks():
    data = make_three()
    assert CCA().fit(data).n_components_ == 3
    assert CCA(12).fit(data).n_components_ == 12
    with pytest.raises(ValueError, match="bound 12"):
        CCA(13).fit(data)
    with pytest.raises(ValueError, match=r"bound 3.*smallest rank"):
        CCA(4, objective="sumcor").fit(data)


def test_sumcor_finds_the_global_maximum():
    """Against a grid over all pairs of directions of three two-column modalities."""
    rng = np.random.default_rng(3)
    z = rng.standard_normal((200, 2))
    data = {
        name: z + s * rng.standard_normal((200, 2))
        for name, s in zip("abc", (0.5, 1, 2), strict=True)
    }
    cca = CCA(1, objective="sumcor", random_state=0).fit(data)
    white = []
    for x in data.values():
        u = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0]
        white.append(u)
    angles = np.linspace(0, 2 * np.pi, 361)
    unit = np.stack([np.cos(angles), np.sin(angles)])
    ab, ac, bc = (unit.T @ (white[i].T @ white[j]) @ unit for i, j in ((0, 1), (0, 2), (1, 2)))
    grid = (ab[:, :, None] + ac[:, None, :] + bc[None, :, :]).max()
    assert grid <= cca.eigenvalues_[0] + 1e-12
    assert_allclose(cca.eigenvalues_[0], grid, atol=1e-3)


def test_sumcor_components():
    data = make_three()
    cca = CCA(3, objective="sumcor", random_state=0).fit(data)
    for codes in cca.transform_each(data).values():  # uncorrelated, of unit variance
        assert_allclose(np.cov(codes.T, ddof=0), np.eye(3), atol=1e-8)
    assert np.all(np.diff(cca.eigenvalues_) <= 1e-12)
    assert_allclose(cca.eigenvalues_, 3 * cca.canonical_correlations_, rtol=1e-10)
    assert cca.eigenvalues_[0] >= 3 * CCA(1).fit(data).canonical_correlations_[0] - 1e-12


def test_two_modalities_do_not_depend_on_the_objective():
    x, y = make_two()
    maxvar, sumcor = CCA().fit(x, y), CCA(objective="sumcor").fit(x, y)
    assert_allclose(maxvar.transform(x), sumcor.transform(x))
    assert_allclose(maxvar.eigenvalues_, 1 + sumcor.eigenvalues_)


@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_equals_fit(weighted):
    rng = np.random.default_rng(0)
    X = Modalities({name: x + 1e3 for name, x in make_three(n=1000).items()})
    weight = rng.uniform(size=1000) if weighted else None
    whole = CCA(4, shrinkage=0.1).fit(X, sample_weight=weight)
    parts = CCA(4, shrinkage=0.1)
    for rows in np.array_split(np.arange(1000), 100):
        parts.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
    assert_allclose(parts.canonical_correlations_, whole.canonical_correlations_, atol=1e-8)
    for name in "abc":
        assert_allclose(parts.weights_[name], whole.weights_[name], atol=1e-8)
        assert_allclose(parts.means_[name], whole.means_[name], rtol=1e-12)
    assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-8)


def test_partial_fit_needs_two_rows_and_starts_anew_after_fit():
    x, y = make_two()
    cca = CCA().partial_fit(x[:1], y[:1])
    assert not hasattr(cca, "weights_")
    cca.partial_fit(x[1:], y[1:])
    expected = CCA().fit(x, y)
    assert_allclose(cca.weights_["X"], expected.weights_["X"], atol=1e-10)
    again = CCA().fit(x[:50], y[:50]).partial_fit(x, y)
    assert_allclose(again.weights_["X"], expected.weights_["X"], atol=1e-10)


@pytest.mark.parametrize(
    "params", [{"solver": "svd"}, {"n_components": "auto"}, {"shrinkage": "auto"}]
)
def test_partial_fit_refuses_what_needs_all_rows(params):
    with pytest.raises(ValueError, match=r"partial_fit|all rows"):
        CCA(**params).partial_fit(*make_two())


@pytest.mark.parametrize("solver", ["covariance", "svd"])
@pytest.mark.parametrize("shape", [(60, 7, 5), (25, 60, 40)], ids=["tall", "wide"])
def test_weights_are_repetitions(shape, solver):
    x, y = make_two(*shape)
    repeats = np.random.default_rng(0).integers(0, 4, len(x))
    kwargs = {"n_components": 2, "shrinkage": "auto", "solver": solver}
    weighted = CCA(**kwargs).fit(x, y, sample_weight=repeats)
    repeated = CCA(**kwargs).fit(np.repeat(x, repeats, axis=0), np.repeat(y, repeats, axis=0))
    assert_allclose(weighted.shrinkage_["X"], repeated.shrinkage_["X"], rtol=1e-9)
    assert_allclose(weighted.weights_["X"], repeated.weights_["X"], atol=1e-9)
    assert_allclose(
        weighted.score(x, y, sample_weight=repeats),
        repeated.score(np.repeat(x, repeats, axis=0), np.repeat(y, repeats, axis=0)),
    )


@pytest.mark.parametrize("fusion", ["mean", "posterior", "concat"])
def test_inverse_transform_is_the_regression_on_the_fused_code(fusion):
    data = make_three()
    cca = CCA(2, fusion=fusion).fit(data)
    Z = cca.transform(data)
    back = cca.inverse_transform(Z)
    design = np.column_stack([np.ones(len(Z)), Z])
    for name, x in data.items():
        expected = design @ np.linalg.lstsq(design, x)[0]
        assert_allclose(back[name], expected, atol=1e-8)


def test_posterior_of_equally_correlated_modalities():
    """One factor with M unit-variance indicators of correlation rho has a known posterior."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal(20_000)
    data = {name: (0.8 * z + 0.6 * rng.standard_normal(20_000))[:, None] for name in "abcd"}
    cca = CCA(1, fusion="posterior").fit(data)
    rho = 0.64
    u = np.hstack([scale(x) for x in data.values()])
    expected = np.sqrt(rho) * u.sum(axis=1) / (1 + 3 * rho)
    assert_allclose(cca.transform(data)[:, 0], expected, atol=0.05)
    expected = np.sqrt(rho) * u[:, :2].sum(axis=1) / (1 + rho)
    part = {name: data[name] for name in "ab"}
    assert_allclose(cca.transform(part)[:, 0], expected, atol=0.05)


def test_mean_fusion_averages_what_the_row_has():
    data = make_three()
    cca = CCA(2).fit(data)
    codes = cca.transform_each(data)
    X = Modalities(data).with_missing(["b"], rows=[1, 2])
    expected = np.mean([codes[name] for name in "abc"], axis=0)
    expected[1:3] = (codes["a"][1:3] + codes["c"][1:3]) / 2
    assert_allclose(cca.transform(X), expected)
    assert np.isnan(cca.transform_each(X)["b"][1:3]).all()


def test_concat_fusion():
    data = make_three()
    cca = CCA(2, fusion="concat").fit(data)
    codes = cca.transform_each(data)
    assert_allclose(cca.transform(data), np.hstack([codes[name] for name in "abc"]))
    names = ["a__cca0", "a__cca1", "b__cca0", "b__cca1", "c__cca0", "c__cca1"]
    assert_array_equal(cca.get_feature_names_out(), names)
    with pytest.raises(ValueError, match=r"fusion='concat'.*'b'"):
        cca.transform(Modalities(data).with_missing(["b"], rows=[0]))


def test_score_uses_the_training_axes():
    rng = np.random.default_rng(0)
    train, test = make_two(200, 30, 20), make_two(50, 30, 20)
    cca = CCA(5, shrinkage=0.3).fit(*train)

    def axes(a, b):
        qa, ra = np.linalg.qr(a - a.mean(axis=0))
        qb, rb = np.linalg.qr(b - b.mean(axis=0))
        u, _, vt = np.linalg.svd(qa.T @ qb)
        return linalg.solve_triangular(ra, u), linalg.solve_triangular(rb, vt.T)

    codes, held_out = cca.transform_each(*train), cca.transform_each(*test)
    A, B = axes(codes["X"], codes["y"])
    a, b = held_out["X"] @ A, held_out["y"] @ B
    expected = sum(np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(5))
    assert_allclose(cca.score(*test), expected, rtol=1e-10)
    order = rng.permutation(50)
    assert_allclose(cca.score(test[0][order], test[1][order]), expected, rtol=1e-10)


def test_score_counts_each_component_once():
    """Independent data score about 0, with or without more components than signal."""
    rng = np.random.default_rng(0)
    cca = CCA().fit(rng.standard_normal((2000, 20)), rng.standard_normal((2000, 20)))
    scores = [
        cca.score(rng.standard_normal((500, 20)), rng.standard_normal((500, 20))) for _ in range(20)
    ]
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(20) + 0.1


def shared(n, rng, n_modalities=2, width=10, rho=(0.9, 0.6, 0.4)):
    """Rows with these canonical correlations between each pair of modalities, mixed at random."""
    root = np.sqrt(rho)
    z = rng.standard_normal((n, len(root)))
    blocks = []
    for _ in range(n_modalities):
        x = rng.standard_normal((n, width))
        x[:, : len(root)] = root * z + np.sqrt(1 - root**2) * x[:, : len(root)]
        blocks.append(x @ rng.standard_normal((width, width)))
    return dict(zip("abc", blocks, strict=False))


def gappy(data, rng, share=0.3):
    n = len(data["a"])
    mask = rng.uniform(size=(n, len(data))) < share
    mask[mask.all(axis=1)] = False
    return Modalities(data, missing=dict(zip(data, mask.T, strict=True)))


@pytest.mark.parametrize("n", [200, 2000])
@pytest.mark.parametrize("kind", ["complete", "three", "missing", "shrunk", "weighted"])
def test_automatic_number_of_components(n, kind):
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        # At 200 rows a correlation of .4 is at the edge of what any test can see.
        X = shared(n, rng, 3 if kind == "three" else 2, rho=(0.9, 0.8, 0.7 if n == 200 else 0.4))
        X = gappy(X, rng) if kind == "missing" else X
        weight = rng.integers(0, 4, n).astype(float) if kind == "weighted" else None
        cca = CCA("auto", shrinkage=0.1 if kind == "shrunk" else 0.0, random_state=seed)
        found.append(cca.fit(X, sample_weight=weight).n_components_)
    assert found.count(3) >= 18, found


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "sparse counts"])
def test_chance_is_not_taken_for_components(kind):
    draw = {
        "normal": lambda rng: rng.standard_normal((200, 8)),
        "heavy tails": lambda rng: rng.standard_t(3, (200, 8)),
        "sparse counts": lambda rng: rng.poisson(0.1, (200, 8)).astype(float),
    }[kind]
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found.append(CCA("auto", random_state=0).fit(draw(rng), draw(rng)).n_components_)
    # One is the least; beyond it lies what both the first and the second component pretend.
    assert found.count(1) >= 37, found


def test_automatic_number_does_not_depend_on_the_unit_of_weights():
    rng = np.random.default_rng(0)
    X, weight = shared(300, rng), rng.uniform(0.5, 2.0, 300)
    counts = {CCA("auto", random_state=0).fit(X, sample_weight=c * weight).n_components_
              for c in (1e-3, 1.0, 1e6)}  # fmt: skip
    assert len(counts) == 1


def test_too_many_columns_warn():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 15)), rng.standard_normal((20, 9))
    with pytest.warns(UserWarning, match="ranks 15 and 9, too many for 20 rows"):
        cca = CCA().fit(x, y)
    assert np.isfinite(cca.transform(x)).all()
    with pytest.warns(UserWarning, match="too many"):
        cca = CCA().fit(np.c_[x, x**2], np.c_[y, y**2, y**3])
    assert np.isfinite(cca.weights_["X"]).all()


def test_constant_modality_is_refused():
    x, _ = make_two()
    with pytest.raises(ValueError, match="'y' is constant"):
        CCA().fit(x, np.ones((len(x), 2)))


@pytest.mark.parametrize(
    ("shrinkage", "message"),
    [({"Z": 0.1}, r"'Z'.*modalities are"), ({"X": 2.0}, r"'X' must be in \[0, 1\]")],
)
def test_bad_shrinkage(shrinkage, message):
    with pytest.raises(ValueError, match=message):
        CCA(shrinkage=shrinkage).fit(*make_two())


def test_bad_requests_to_the_fitted_model():
    data = make_three()
    cca = CCA(2).fit(data)
    with pytest.raises(ValueError, match="'d' is not a modality"):
        cca.translate(data, "d")
    with pytest.raises(ValueError, match="nothing to translate to 'a'"):
        cca.translate({"a": data["a"]}, "a")
    X = Modalities(data).with_missing(["a", "b"], rows=[0])
    with pytest.raises(ValueError, match="every modality but 'c' is missing"):
        cca.translate(X, "c")
    with pytest.raises(ValueError, match="two modalities"):
        cca.score({"a": data["a"]})
    with pytest.raises(ValueError, match="3 columns"):
        cca.inverse_transform(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        cca.sample(0)


def test_image_modalities_keep_their_shape():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 4))
    image = (z @ rng.standard_normal((4, 18))).reshape(200, 2, 3, 3)
    X = Modalities({"image": image + rng.standard_normal(image.shape), "code": z})
    cca = CCA(2).fit(X)
    assert cca.translate(X.select(["code"]), "image").shape == (200, 2, 3, 3)
    assert cca.inverse_transform(cca.transform(X))["image"].shape == (200, 2, 3, 3)
    assert cca.sample(3, random_state=0)["image"].shape == (3, 2, 3, 3)


def test_fitted_models_do_not_change_with_the_data_they_saw():
    x, y = make_two(30, 50, 40)
    data = {"X": x.copy(), "y": y.copy()}
    cca = CCA(2, shrinkage=0.3).fit(x, y)
    before = cca.score_samples(data)
    x *= 100
    assert_array_equal(cca.score_samples(data), before)


def test_partial_fit_on_moments_that_cannot_be_written():
    x, y = make_two()
    expected = CCA(2).fit(x, y)
    cca = CCA(2).partial_fit(x[:200], y[:200])
    twin = copy.copy(cca)
    for array in cca._moments.products.values():
        array.flags.writeable = False  # as in a joblib worker, which reads a memmap
    cca.partial_fit(x[200:], y[200:])
    assert_allclose(cca.transform(x), expected.transform(x), atol=1e-8)
    twin.partial_fit(x[200:], y[200:])
    assert_allclose(twin.transform(x), expected.transform(x), atol=1e-8)


def test_partial_fit_does_not_count_rows_that_it_refused():
    x, y = make_two()
    cca = CCA(3)
    with pytest.raises(ValueError, match="bound 2"):
        cca.partial_fit(x[:3], y[:3])
    cca.partial_fit(x, y)
    assert_allclose(cca.transform(x), CCA(3).fit(x, y).transform(x), atol=1e-8)


def test_rows_without_weight_have_no_say():
    x, y = make_two(100)
    weight = np.r_[np.zeros(1000), np.ones(100)]
    far = np.vstack([np.zeros((1000, 7)), x + 1e8]), np.vstack([np.zeros((1000, 5)), y + 1e8])
    expected = CCA().fit(x, y).canonical_correlations_
    found = CCA().fit(*far, sample_weight=weight).canonical_correlations_
    assert_allclose(found, expected, atol=1e-6)
    wild = np.vstack([1e4 * np.random.default_rng(0).standard_normal((1000, 7)), x])
    y = np.vstack([np.random.default_rng(1).standard_normal((1000, 5)), y])
    auto = CCA("auto", random_state=0)
    chosen = auto.fit(wild, y, sample_weight=weight).n_components_
    assert chosen == auto.fit(x, y[1000:]).n_components_


def test_signs_do_not_depend_on_the_order_or_the_solver_where_they_tie():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((100, 1))
        data = {"a": x, "b": -x + rng.standard_normal((100, 1))}
        turned = dict(reversed(data.items()))
        signs = {
            float(np.sign(CCA(solver=solver).fit(X).weights_["a"][0, 0]))
            for solver in ("covariance", "svd")
            for X in (data, turned)
        }
        assert signs == {1.0}


@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_constant_columns_have_no_part_in_anything(solver):
    x, y = make_two()
    dead = np.c_[x, np.full((len(x), 20), 7.0)]
    for shrinkage in (0.3, "auto"):
        kwargs = {"n_components": 2, "shrinkage": shrinkage, "solver": solver}
        with_dead, without = CCA(**kwargs).fit(dead, y), CCA(**kwargs).fit(x, y)
        assert_allclose(with_dead.transform(dead), without.transform(x), atol=1e-10)
        assert_allclose(with_dead.score_samples(dead, y), without.score_samples(x, y), rtol=1e-8)
        assert_array_equal(with_dead.sample(5, random_state=0)[0][:, 7:], 7.0)


@pytest.mark.parametrize("method", ["score_samples", "impute", "transform", "translate"])
def test_unfitted(method):
    x, y = make_two()
    arguments = (x, "y") if method == "translate" else (x,)
    with pytest.raises(NotFittedError):
        getattr(CCA().partial_fit(x[:1], y[:1]), method)(*arguments)


def test_checked_data_are_fitted_and_scored_without_the_public_door():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((80, 1))
    X = Modalities({"a": z + rng.standard_normal((80, 3)), "b": z + rng.standard_normal((80, 2))},
                   missing={"a": np.arange(80) < 5})  # fmt: skip
    model = CCA(2, shrinkage=0.1).fit(X)
    checked = check_modalities(CCA(), X, reset=True, min_modalities=2, flatten=True)
    inner = CCA(2, shrinkage=0.1)._fit_checked(checked)
    for name in ("a", "b"):
        assert_array_equal(inner.weights_[name], model.weights_[name])
        assert_array_equal(inner.loadings_[name], model.loadings_[name])
    weight = rng.integers(0, 3, 80)
    repeated = X[np.repeat(np.arange(80), weight)]
    found = inner._model.total_correlation(checked, weight)
    assert_allclose(found, model.score(repeated), atol=1e-12)


def test_true_is_no_number_of_components():
    with pytest.raises(ValueError, match="'n_components' parameter of CCA must be"):
        CCA(True).fit({"a": np.eye(5), "b": np.eye(5)})
