"""CCA of torch's and other arrays under scikit-learn's dispatch, against the same rows in NumPy.

Dispatch asks for SCIPY_ARRAY_API=1, which scikit-learn looks for when dispatch is switched on and
SciPy when it is imported. CCA gives SciPy nothing but NumPy's arrays, so that here the variable is
set for the time of a test; one test sets it before anything is imported, in a new interpreter.
"""

import copy
import io
import os
import pickle
import subprocess
import sys
import warnings
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils._array_api import yield_namespace_device_dtype_combinations

from skmm import CCA
from skmm._cca import _device
from skmm._cca._device import DeviceBlock, Home

strict = pytest.importorskip("array_api_strict", reason="needs array-api-strict")

TWO = {"a": slice(0, 5), "b": slice(5, 9)}
THREE = {"a": slice(0, 4), "b": [8, 4, 6], "c": slice(9, 12)}
DEVICES = ["strict device", "torch device", "cuda"]
SOLVERS = ["auto", "covariance", "svd", "randomized"]
ARRAYS = ("weights_", "loadings_", "means_", "scales_", "shrinkage_", "canonical_correlations_",
          "pairwise_correlations_", "model_correlations_", "projection_covariances_",
          "eigenvalues_")  # fmt: skip


@pytest.fixture(autouse=True)
def dispatch(monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.fixture(params=["torch host", *DEVICES])
def there(request, monkeypatch):
    """Return what makes an array of a library; the rows of a device are multiplied there."""
    library, device = (*request.param.split(), "device")[:2]
    if library == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    if library == "torch" and device == "device":
        monkeypatch.setattr(_device, "_is_host", lambda device: False)
    if device == "device":
        monkeypatch.setattr(_device, "CHUNK", 1000)  # several chunks
    if library == "strict":
        return lambda array: strict.asarray(np.array(array), device=strict.Device("device1"))
    where = "cuda" if library == "cuda" else "cpu"
    return lambda array: torch.asarray(np.array(array), device=where)


@pytest.fixture
def on_device(monkeypatch):
    """Return what puts arrays on a device; a test fails if many rows of them come to NumPy."""

    def come(block, dtype=None, copy=None):
        assert len(block) <= 1000
        return np.asarray(_device.to_numpy(block.array), dtype=dtype)

    monkeypatch.setattr(DeviceBlock, "__array__", come)
    return lambda array: strict.asarray(array, device=strict.Device("device1"))


def rows(kind="plain", n=300, widths=12, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    X = z @ rng.standard_normal((2, widths)) + rng.standard_normal((n, widths))
    if kind == "units":
        X = X * 10.0 ** np.linspace(-6, 6, widths)
    if kind == "offset":
        X = X + 1e6
    if kind == "almost dependent":
        X[:, 1] = X[:, 0] + 1e-6 * rng.standard_normal(n)
    if kind == "dependent":
        X[:, 1], X[:, 7] = X[:, 0], 3.0
    return X.astype(dtype)


def to_numpy(value):
    if isinstance(value, dict):
        return {key: to_numpy(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(to_numpy(part) for part in value)
    if isinstance(value, torch.Tensor):
        return value.cpu().numpy()
    if isinstance(value, type(strict.asarray(0))):
        return np.asarray(strict.asarray(value, device=strict.Device("CPU_DEVICE")))
    return value


def homes(value):
    """Return the types and devices of all arrays in a value."""
    if isinstance(value, dict | tuple | list):
        parts = value.values() if isinstance(value, dict) else value
        return set().union(*map(homes, parts))
    return {(type(value), str(value.device))} if hasattr(value, "device") else set()


def assert_same(actual, expected, tolerance=1e-8):
    """Compare a value of any library with NumPy's, relative to the largest of each column."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        actual, expected = list(actual.values()), list(expected.values())
    if isinstance(expected, tuple | list):
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other, tolerance)
        return
    actual, expected = np.asarray(to_numpy(actual)), np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    size = np.max(
        np.abs(expected), axis=0, initial=np.finfo(float).tiny, where=expected == expected
    )
    assert_allclose(actual / size, expected / size, rtol=0, atol=tolerance)


def assert_same_fit(model, reference, X, tolerance=1e-8):
    """Compare the fitted attributes, those of columns in standardised columns."""
    assert model.n_components_ == reference.n_components_
    assert model.modality_names_in_ == reference.modality_names_in_
    assert model.n_features_in_ == reference.n_features_in_
    for name in ARRAYS:
        assert homes(getattr(model, name)) <= homes(X), name
        one, other = to_numpy(getattr(model, name)), getattr(reference, name)
        if name in ("weights_", "projection_covariances_", "means_"):
            power = 1 if name == "weights_" else -1
            factors = {key: value**power for key, value in reference.scales_.items()}
            one = {key: (one[key].T * factors[key]).T for key in one}
            other = {key: (other[key].T * factors[key]).T for key in other}
        assert_same(one, other, tolerance)


def fit_both(there, X, y=None, sample_weight=None, **params):
    """Fit in NumPy and where the rows are to lie; return both models and these rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of ranks
        reference = CCA(**params, random_state=0).fit(X, y, sample_weight)
        at = [None if value is None else there(value) for value in (X, y, sample_weight)]
        return reference, CCA(**params, random_state=0).fit(*at), *at


@pytest.mark.parametrize(
    "check",
    list(estimator_checks._yield_array_api_checks(CCA())),
    ids=lambda check: "-".join([check.func.__name__, *map(str, check.keywords.values())]),
)
@pytest.mark.filterwarnings("ignore:y is taken as the second modality:UserWarning")
def test_checks_of_scikit_learn(check):
    try:
        check("CCA", CCA())
    except SkipTest as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("namespace", "device", "dtype"), list(yield_namespace_device_dtype_combinations())
)
@pytest.mark.filterwarnings("ignore:y is taken as the second modality:UserWarning")
def test_values_by_scikit_learn(namespace, device, dtype, weighted):
    try:
        estimator_checks.check_array_api_input_and_values(
            "CCA", CCA(), namespace, device, dtype, check_sample_weight=weighted
        )
    except SkipTest as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("plain", np.float64), ("units", np.float64), ("offset", np.float64),
     ("almost dependent", np.float64), ("dependent", np.float64),
     ("plain", np.float32), ("offset", np.float32)],
)  # fmt: skip
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("there", DEVICES, indirect=True)
def test_fit_equals_numpy(there, solver, kind, dtype):
    if (kind, solver) == ("almost dependent", "covariance"):
        pytest.skip("a covariance loses digits here, with NumPy as well")
    X = rows(kind, dtype=dtype)
    # The weights of the last move by 1e-7 when NumPy gets the rows in another order.
    tolerance = 1e-6 if kind == "almost dependent" else 1e-8
    for params in ({"modalities": TWO}, {"modalities": THREE}):
        reference, model, at, *_ = fit_both(there, X, solver=solver, **params)
        assert_same_fit(model, reference, at, tolerance)
    reference, model, at, *_ = fit_both(there, X[:, :5], X[:, 5:], solver=solver)
    assert_same_fit(model, reference, at, tolerance)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, "auto"])
@pytest.mark.parametrize("solver", ["auto", "covariance", "svd"])
@pytest.mark.parametrize("n", [300, 8])
@pytest.mark.parametrize("there", DEVICES, indirect=True)
def test_shrinkage_and_more_columns_than_rows_equal_numpy(there, n, solver, shrinkage):
    X = rows(n=n, widths=12 if n > 12 else 40)
    modalities = THREE if n > 12 else {"a": slice(0, 20), "b": slice(20, 37)}
    params = {"shrinkage": shrinkage, "solver": solver, "modalities": modalities}
    if n < 12:
        params["n_components"] = 3
        if shrinkage == 0.0:
            params["n_components"] = None  # all correlations are 1: the directions are arbitrary
            reference, model, *_ = fit_both(there, X, **params)
            assert_same(model.canonical_correlations_, reference.canonical_correlations_)
            return
    weight = np.random.default_rng(1).integers(1, 4, size=n).astype(float)
    for sample_weight in (None, weight):
        reference, model, at, *_ = fit_both(there, X, None, sample_weight, **params)
        assert_same_fit(model, reference, at)


@pytest.mark.parametrize(
    "params",
    [
        {"objective": "sumcor"},
        {"n_components": "auto"},
        {"n_components": "auto", "shrinkage": {"a": 0.2, "c": "auto"}},
        {"scale": False, "shrinkage": 0.1},
        {"n_components": 2, "scale": False, "solver": "svd"},
    ],
    ids=str,
)
def test_other_parameters_equal_numpy(there, params):
    reference, model, at, *_ = fit_both(there, rows(), modalities=THREE, **params)
    assert_same_fit(model, reference, at, 1e-7 if "objective" in params else 1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("fusion", ["mean", "posterior", "concat"])
def test_methods_of_columns_equal_numpy(there, fusion, dtype):
    X, weight = rows(dtype=dtype), np.linspace(0, 1, 300)
    reference, model, at, *_ = fit_both(
        there, X, modalities=THREE, fusion=fusion, n_components=2, shrinkage=0.1
    )
    tolerance = 1e-8 if dtype == np.float64 else 1e-5
    Z = reference.transform(X)
    gaps = X.copy()
    gaps[::3, :4] = np.nan
    gaps[1::3, 9:] = np.nan
    for name, mine, numpys in [
        ("transform", (at,), (X,)),
        ("transform_each", (at,), (X,)),
        ("transform_each", (there(gaps),), (gaps,)),
        ("score", (at, None, there(weight)), (X, None, weight)),
        ("score", (there(gaps),), (gaps,)),
        ("score_samples", (there(gaps),), (gaps,)),
        ("inverse_transform", (there(Z),), (Z,)),
        ("translate", (at, "b"), (X, "b")),
        ("impute", (there(gaps),), (gaps,)),
        ("impute", (at,), (X,)),
    ]:
        found, expected = getattr(model, name)(*mine), getattr(reference, name)(*numpys)
        assert homes(found) <= homes(at)
        assert_same(found, expected, tolerance)
    for options in ({}, {"given": gaps}):
        mine = {key: there(value) for key, value in options.items()}
        found = model.sample(3, random_state=0, **mine)
        assert homes(found) == homes(at)
        assert_same(found, reference.sample(3, random_state=0, **options), tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_methods_of_pairs_equal_numpy(there, dtype):
    X, y = np.split(rows(dtype=dtype), [5], axis=1)
    reference, model, at, at_y, _ = fit_both(there, X, y, n_components=2)
    tolerance = 1e-8 if dtype == np.float64 else 1e-5
    for name in ("transform", "transform_each", "score", "score_samples", "impute"):
        found, expected = getattr(model, name)(at, at_y), getattr(reference, name)(X, y)
        assert homes(found) <= homes(at)
        assert_same(found, expected, tolerance)
    assert_same(model.transform(X=at), reference.transform(X), tolerance)
    assert_same(model.translate(at, to="y"), reference.translate(X, "y"), tolerance)
    assert_same(model.impute(at), reference.impute(X), tolerance)
    Z = reference.transform(X)
    assert_same(model.inverse_transform(there(Z)), reference.inverse_transform(Z), tolerance)
    assert_same(model.sample(4, random_state=1), reference.sample(4, random_state=1), tolerance)
    assert homes(model.sample(given=None)) == homes(at)
    again = clone(model).fit_transform(at, at_y)
    assert homes(again) == homes(at)
    assert_same(again, Z, tolerance)


def test_rows_stay_on_the_device(on_device):
    X = on_device(rows(n=1500))
    with pytest.raises(AssertionError):
        np.asarray(DeviceBlock(X, Home.of(X), np.dtype(np.float64)))
    for solver in SOLVERS:
        for shrinkage in (0.2, "auto"):
            model = CCA(3, modalities=THREE, solver=solver, shrinkage=shrinkage, random_state=0)
            model.fit(X, sample_weight=np.ones(1500))
    for fusion in ("mean", "posterior", "concat"):
        model.set_params(fusion=fusion).transform(X)
    model.transform_each(X)
    model.score(X)
    model.set_params(shrinkage=0.0).partial_fit(X)


def test_partial_fit_equals_numpy(there):
    X = rows("offset")
    reference = CCA(modalities=TWO).fit(X)
    chunks = [there(X[i : i + 100]) for i in range(0, 300, 100)]
    model = CCA(modalities=TWO)
    for chunk in chunks:
        model.partial_fit(chunk)
    assert_same_fit(model, reference, chunks[0])
    assert_same_fit(CCA(modalities=TWO).partial_fit(iter(chunks)), reference, chunks[0])
    with pytest.raises(ValueError, match="no chunks"):
        CCA(modalities=TWO).partial_fit(iter(()))
    pairs = ((there(X[i : i + 150, :5]), there(X[i : i + 150, 5:9])) for i in (0, 150))
    model = CCA().partial_fit(pairs)
    assert_same(list(model.weights_.values()), list(reference.weights_.values()))
    assert homes(model.weights_) == homes(chunks[0])


@pytest.mark.parametrize("objective", ["maxvar", "sumcor"])
def test_gaps_equal_numpy(there, objective):
    X = rows()
    X[:50, :4], X[50:90, [8, 4, 6]], X[90:95, 10] = np.nan, np.nan, np.nan
    reference, model, at, *_ = fit_both(there, X, modalities=THREE, objective=objective)
    assert_same_fit(model, reference, at)
    for name in ("transform", "transform_each", "impute", "score_samples", "score"):
        found = getattr(model, name)(at)
        assert homes(found) <= homes(at)
        assert_same(found, getattr(reference, name)(X))
    assert_same(model.translate(at, "b"), reference.translate(X, "b"))
    with pytest.raises(ValueError, match="need complete rows"):
        CCA(modalities=THREE).partial_fit(at)


def test_integers_and_columns_by_a_function(there):
    X = rows().round(1) * 10
    by_content = {"a": lambda X: np.flatnonzero(np.asarray(X).std(axis=0) > 0)[:4], "b": [5, 6]}
    for modalities in (TWO, by_content):
        reference, model, at, *_ = fit_both(there, X.astype(np.int64), modalities=modalities)
        assert_same_fit(model, reference, at)
        assert_same(model.transform(at), reference.transform(X.astype(np.int64)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: (np.where(np.arange(12) == 6, np.nan, X), None), "'b' is NaN in every training"),
        (lambda X: (np.where(np.arange(12) == 6, np.inf, X), None), "modality 'b' .*infinity"),
        (lambda X: (np.where(np.arange(12) < 5, np.nan, X), None), "'a' is missing"),
        (lambda X: (X[:1], None), r"1 sample\(s\)"),
        (lambda X: (X[:, :3], None), r"."),
        (lambda X: (X[:, 0], None), r"."),
    ],
    ids=["NaN", "inf", "missing", "one row", "narrow", "1-D"],
)
def test_errors_are_those_of_numpy(there, spoil, message):
    X, y = spoil(rows())
    with pytest.raises(ValueError, match=message) as expected:
        CCA(modalities=TWO).fit(X, y)
    with pytest.raises(type(expected.value), match=message) as found:
        CCA(modalities=TWO).fit(there(X), y)
    if X.ndim == 2:
        assert str(found.value) == str(expected.value)


def test_errors_of_pairs_are_those_of_numpy(there):
    X, y = np.split(rows(), [5], axis=1)
    empty, constant = y.copy(), np.ones_like(y)
    empty[:, 2] = np.nan
    for bad in (empty, y[:-1], None, constant):
        with pytest.raises(ValueError, match=r".") as expected:
            CCA().fit(X, bad)
        with pytest.raises(ValueError, match=r".") as found:
            CCA().fit(there(X), None if bad is None else there(bad))
        assert str(found.value) == str(expected.value)
    model = CCA().fit(there(X), there(y))
    with pytest.raises(ValueError, match="features"):
        model.transform(there(y))
    with pytest.raises(ValueError, match="'y'"):
        model.score(there(X), there(X))
    with pytest.raises(NotFittedError):
        CCA().transform(there(X))


def test_another_namespace_is_refused(there):
    X = rows()
    model, reference = CCA(modalities=TWO).fit(there(X)), CCA(modalities=TWO).fit(X)
    for name in ("transform", "transform_each", "score", "score_samples", "impute"):
        with pytest.raises(ValueError, match=rf"CCA.{name}\(\) must use the same namespace.*numpy"):
            getattr(model, name)(X)
        with pytest.raises(ValueError, match="but fit got numpy"):
            getattr(reference, name)(there(X))
    with pytest.raises(ValueError, match="must use the same namespace"):
        model.inverse_transform(X[:, :4])
    with sklearn.config_context(array_api_dispatch=False):
        assert_same(model.transform(X), reference.transform(X))


def test_y_and_weights_follow_X(there):
    X, y = np.split(rows(), [5], axis=1)
    weight = np.linspace(0, 1, 300)
    reference = CCA().fit(X, y, weight)
    for mine in ((there(X), y, weight), (X, there(y), there(weight))):
        model = CCA().fit(*mine)
        assert_same_fit(model, reference, mine[0])
        assert_same(model.score(*mine), reference.score(X, y, weight))


def test_dicts_come_to_numpy(there):
    X = dict(zip("ab", np.split(rows(), [5], axis=1), strict=True))
    at = {name: there(value) for name, value in X.items()}
    reference, model = CCA().fit(X), CCA().fit(at)
    assert_same_fit(model, reference, at)
    assert homes(model.transform(at)) == homes(at)
    assert_same(model.transform(at), reference.transform(X))
    assert_same(dict(model.impute({"a": at["a"]})), dict(reference.impute({"a": X["a"]})))


def test_labels_beside_columns_are_ignored(there):
    X = rows()
    reference = CCA(modalities=TWO).fit(X)
    for labels in (["yes", "no"] * 150, np.array(["yes", "no"] * 150), there(np.arange(300))):
        assert_same_fit(CCA(modalities=TWO).fit(there(X), labels), reference, there(X))


def test_copies_and_pickles(there):
    X = there(rows())
    model = CCA(modalities=TWO).fit(X)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    copies = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model),
              joblib.load(file)]  # fmt: skip
    for other in copies:
        assert homes(other.weights_) == homes(model.weights_) == homes(X)
        assert_same(other.transform(X), to_numpy(model.transform(X)))
        assert_same(to_numpy(other.loadings_), to_numpy(model.loadings_))
    assert not hasattr(clone(model), "weights_")


def test_a_pickle_loads_without_its_device():
    model = CCA(modalities=TWO).fit(torch.asarray(rows()))
    state = model.__getstate__()
    assert {type(value) for value in state["weights_"].values()} == {np.ndarray}
    other = CCA()
    other.__setstate__(state | {"_home": (state["_home"][0], torch.device("cuda:99"))})
    assert other.eigenvalues_.device == torch.device("cpu")


def test_devices_without_double_precision(monkeypatch):
    X = rows()
    reference = CCA(modalities=TWO).fit(X.astype(np.float32))
    monkeypatch.setattr(_device, "_max_precision_float_dtype", lambda xp, device: xp.float32)
    at = strict.asarray(X.astype(np.float32), device=strict.Device("device1"))
    model = CCA(modalities=TWO).fit(at)
    assert model.eigenvalues_.dtype == model.weights_["a"].dtype == strict.float32
    assert_same(to_numpy(model.weights_["a"]).astype(float), reference.weights_["a"], 1e-6)
    assert homes(model.score_samples(at)) == homes(at)


def test_tools_of_scikit_learn():
    X = rows("offset")
    pipe = make_pipeline(StandardScaler(), CCA(2, modalities=TWO))
    expected = cross_val_score(pipe, X)
    assert_allclose(cross_val_score(pipe, torch.asarray(X)), expected, atol=1e-8)
    grid = {"cca__shrinkage": [0.0, 0.5], "cca__n_components": [1, 2]}
    search = GridSearchCV(pipe, grid).fit(torch.asarray(X))
    assert search.best_params_ == GridSearchCV(pipe, grid).fit(X).best_params_
    assert isinstance(search.transform(torch.asarray(X)), torch.Tensor)


def test_without_dispatch_nothing_changes():
    X = rows()
    reference = CCA(modalities=TWO).fit(X)
    with sklearn.config_context(array_api_dispatch=False):
        model = CCA(modalities=TWO).fit(torch.asarray(X))
        assert isinstance(model.eigenvalues_, np.ndarray)
        assert isinstance(model.transform(torch.asarray(X)), np.ndarray)
    assert_array_equal(model.eigenvalues_, reference.eigenvalues_)


def test_in_a_new_interpreter():
    code = """
import numpy as np, sklearn, torch
from skmm import CCA
sklearn.set_config(array_api_dispatch=True)
X, y = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
model = CCA(2).fit(X, y)
assert isinstance(model.transform(X), torch.Tensor)
expected = CCA(2).fit(X.numpy(), y.numpy()).canonical_correlations_
np.testing.assert_allclose(model.canonical_correlations_, expected, atol=1e-12)
"""
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        check=True,
    )
