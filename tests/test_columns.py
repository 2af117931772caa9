"""Statistics of columns against NumPy's, and what follows from them: constants, offsets, ranges."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmm import (
    CCA,
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
    io,
)
from skmm._deep_cca import _held_out
from skmm._deep_cca._closing import held_out
from skmm._linalg import pearson
from skmm._modalities._columns import ColumnStatistics
from skmm.baselines import RidgeSampler
from skmm.metrics import get_scorer, over_imputation_score

BRIEF = {"hidden_layer_sizes": (16,), "max_epochs": 30, "random_state": 0}
BRIEFEST = {**BRIEF, "max_epochs": 10}  # where it does not matter what has been learned
pytestmark = pytest.mark.filterwarnings("ignore:.* collapsed:sklearn.exceptions.ConvergenceWarning")


def pairs(n=300, seed=0):
    """Return two modalities that share two variables."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    W = np.random.default_rng(9)
    a = z @ W.standard_normal((2, 4)) + 0.3 * rng.standard_normal((n, 4))
    b = z @ W.standard_normal((2, 3)) + 0.3 * rng.standard_normal((n, 3))
    return a, b


# The statistics


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e140])
def test_statistics_are_those_of_numpy(unit, gaps):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9000, 3))  # more than one piece
    if gaps:
        x[rng.uniform(size=x.shape) < 0.3] = np.nan
    found = ColumnStatistics.of(unit * x)
    assert_array_equal(found.count, (~np.isnan(x)).sum(axis=0))
    assert_allclose(found.mean / unit, np.nanmean(x, axis=0), atol=1e-14)
    assert_allclose(found.scale / unit, np.nanstd(x, axis=0), rtol=1e-12)
    assert_array_equal(found.low, np.nanmin(unit * x, axis=0))
    assert_array_equal(found.high, np.nanmax(unit * x, axis=0))


def test_offsets_cost_no_more_digits_than_the_data_have_lost():
    z = np.random.default_rng(0).standard_normal((9000, 2))
    found = ColumnStatistics.of(z + 1e8)
    exact = (z + 1e8) - 1e8
    assert_allclose(found.scale, exact.std(axis=0), rtol=1e-9)  # doubles near 1e8 are 1.5e-8 apart


def test_weights_are_repetitions():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((9000, 2)), rng.integers(0, 3, 9000).astype(float)
    found = ColumnStatistics.of(x, weight=weight)
    expected = ColumnStatistics.of(np.repeat(x, weight.astype(int), axis=0))
    for name in ("count", "mean", "scale", "low", "high"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -1.7e9, 1e-30, 1e30])
def test_constants_are_exact(value, dtype):
    column = np.full((10_000, 1), value, dtype=dtype)
    found = ColumnStatistics.of(column)
    assert found.mean[0] == column[0, 0]
    assert found.scale[0] == 0
    column[5] = np.nan
    assert not ColumnStatistics.of(column).varies[0]


def test_rounding_is_constant_and_what_is_more_varies():
    flicker = np.where(np.arange(100) % 2, 0.1 + 0.2, 0.3)
    assert not ColumnStatistics.of(flicker[:, None]).varies[0]
    assert ColumnStatistics.of(1e8 + np.arange(100.0)[:, None] * 1e-6).varies[0]


def test_what_varies_in_rows_of_weight_0_is_constant():
    x = np.ones((20, 1))
    x[3] = 7.0
    weight = np.ones(20)
    weight[3] = 0.0
    assert not ColumnStatistics.of(x, weight=weight).varies[0]


def test_channels_pool_their_pixels():
    images = np.random.default_rng(0).integers(0, 255, (50, 3, 4, 4)).astype(np.uint8)
    images[:, 1] = 7
    found = ColumnStatistics.of(images).of_channels()
    axes = (0, 2, 3)
    assert_allclose(found.mean.ravel(), images.mean(axis=axes))
    assert_allclose(found.scale.ravel(), images.std(axis=axes))


# Correlations


def test_a_column_that_varies_only_without_weight_has_no_correlation():
    rng = np.random.default_rng(0)
    a, b, weight = rng.standard_normal((30, 2)), rng.standard_normal((30, 2)), np.ones(30)
    a[:, 1], a[0, 1], weight[0] = 5.0, 9.0, 0.0
    found = pearson(a, b, weight)
    assert_allclose(found[0], np.corrcoef(a[1:, 0], b[1:, 0])[0, 1])
    assert found[1] == 0


def test_a_comparison_with_nan_says_so(monkeypatch):
    monkeypatch.setattr(_held_out, "total", lambda folds, weight=None: np.nan)
    codes = dict(zip("ab", np.random.default_rng(0).standard_normal((2, 60, 1)), strict=True))
    folds = [held_out(codes, np.arange(30), np.arange(30, 60))]
    with pytest.warns(UserWarning, match="no comparison"):
        assert not _held_out.is_surely_better(folds, folds, Modalities(codes), 0)


# Constants


def test_a_constant_column_changes_no_score_by_much():
    """Units far below those of the constant: its rounding would be worth more than the rest."""
    a, b = pairs()
    a = 1e-6 * a

    def scores(a):
        X = Modalities({"a": a, "b": b})
        model = MultimodalAutoencoder(2, **BRIEF).fit(X)
        names = ("cross_reconstruction", "over_imputation")
        return [model.score(X), *(get_scorer(name)(model, X) for name in names)]

    expected = scores(a)
    for offset in (0.0, 3.0):
        assert_allclose(scores(np.c_[a, np.full(len(a), offset)]), expected, atol=0.05)


@pytest.mark.parametrize(
    "model", [CCA(2), MultimodalAutoencoder(2, **BRIEFEST), MultimodalVAE(2, **BRIEFEST)]
)
def test_what_was_constant_in_training_is_not_judged_later(model):
    a, b = pairs()
    X = Modalities({"a": np.c_[a, np.zeros(len(a))], "b": b})
    later = Modalities({"a": np.c_[a, np.arange(float(len(a)))], "b": b})
    model.fit(X)
    for scorer in (get_scorer("cross_reconstruction"), lambda m, X: m.score(X)):
        assert_allclose(scorer(model, later), scorer(model, X), rtol=1e-12)
    found, expected = (over_imputation_score(model, part, random_state=0) for part in (later, X))
    assert found == pytest.approx(expected)


def test_a_constant_modality_enters_no_score():
    a, b = pairs()
    X = Modalities({"a": a, "b": b, "c": np.full((len(a), 2), 4.0)})
    model = MultimodalAutoencoder(2, **BRIEFEST).fit(X)
    skill = model._skill(X, model._decode(model._codes(X), X.names))
    assert list(skill) == ["a", "b"]
    assert_array_equal(model.sample(20)["c"], 4.0)
    assert list(over_imputation_score(model, X, random_state=0)) == ["a", "b"]


@pytest.mark.parametrize("model", [MultimodalAutoencoder, MultimodalVAE])
@pytest.mark.parametrize("kind", ["binary", "count", "image", "tokens"])
def test_constants_of_every_kind_are_drawn_as_they_are(model, kind):
    rng = np.random.default_rng(0)
    z = rng.standard_normal(200)
    if kind == "image":
        value = z[:, None, None, None] + rng.standard_normal((200, 1, 4, 4))
        value[:, :, 0, 1] = 0.1
    else:
        value = rng.integers(0, 2, (200, 3))
        value[:, 1] = 1
    X = Modalities({"a": z, "b": value}, kinds={"b": kind})
    fitted = model(1, **{**BRIEF, "max_epochs": 3}).fit(X)
    constant = value[0, 0, 0, 1] if kind == "image" else 1
    for found in (
        fitted.sample(300, random_state=0)["b"],
        fitted.translate(X.select(["a"]), "b"),
        fitted.impute(X.with_missing("b", np.arange(20)))["b"],
    ):
        assert_array_equal(found[:, 0, 0, 1] if kind == "image" else found[:, 1], constant)


@pytest.mark.parametrize("kind", ["binary", "count", "numeric", "categorical"])
def test_a_generator_draws_constants_as_they_are(kind):
    x, y = np.random.default_rng(0).standard_normal((200, 1)), np.full((200, 2), 3.0)
    y[:, 0] = np.arange(200) % 2
    value = {"binary": (y[:, :2] > -1) * 1.0, "count": y, "numeric": y}.get(kind)
    value = np.full(200, "only") if value is None else value
    X = Modalities({"x": x, "y": value}, kinds={"y": kind})
    for model in (
        ConditionalGAN(target="y", **{**BRIEF, "max_epochs": 3}),
        RidgeSampler(target="y"),
    ):
        draws = model.fit(X).sample(50, given=X, random_state=0)
        expected = value[0] if value.ndim == 1 else value[0, 1]
        assert_array_equal(draws if value.ndim == 1 else draws[..., 1], expected)


def test_constant_targets_are_predicted_exactly():
    a, _ = pairs()
    y = np.c_[a[:, 0], np.full(len(a), 0.1)]
    found = MultimodalRegressor(**BRIEFEST).fit({"a": a}, y).predict({"a": a})
    assert_array_equal(found[:, 1], 0.1)


# Offsets


@pytest.mark.parametrize("model", [MultimodalAutoencoder, MultimodalVAE])
def test_offsets_beside_gaps(model):
    a, b = pairs()
    a[np.random.default_rng(1).uniform(size=a.shape) < 0.2] = np.nan
    near, far = (model(2, **BRIEFEST).fit({"a": a + offset, "b": b}) for offset in (0.0, 1e8))
    filled = near.impute({"a": a, "b": b}), far.impute({"a": a + 1e8, "b": b})
    assert_allclose(filled[1]["a"] - 1e8, filled[0]["a"], atol=1e-3)
    assert far.score({"a": a + 1e8, "b": b}) == pytest.approx(
        near.score({"a": a, "b": b}), abs=1e-3
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_offsets_of_targets(dtype):
    a, _ = pairs()
    a = a.astype(dtype)
    y = a[:, 0].astype(np.float64)
    expected = MultimodalRegressor(**BRIEFEST).fit({"a": a}, y).predict({"a": a})
    found = MultimodalRegressor(**BRIEFEST).fit({"a": a}, y + 1.7e9).predict({"a": a})
    assert_allclose(found - 1.7e9, expected, atol=1e-4)


@pytest.mark.parametrize("model", [CCA(2), MultimodalAutoencoder(2, **BRIEFEST)])
def test_results_that_single_precision_cannot_hold_are_doubles(model):
    a, b = pairs()
    a = a.astype(np.float32)
    found = model.fit({"a": a, "b": b + 1.7e9}).translate({"a": a}, "b")
    expected = model.fit({"a": a, "b": b.astype(np.float32)}).translate({"a": a}, "b")
    assert (found.dtype, expected.dtype) == (np.float64, np.float32)
    assert_allclose(found - 1.7e9, expected, atol=1e-3)


def test_offsets_of_integer_images():
    a, b = pairs()
    images = np.round(1000 * a).astype(np.int64).reshape(-1, 1, 2, 2)
    near, far = (
        MultimodalAutoencoder(2, **BRIEFEST).fit(
            Modalities({"a": images + offset, "b": b}, kinds={"a": "image"})
        )
        for offset in (0, 10**11)
    )
    found = far.translate({"b": b}, "a") - 1e11
    assert_allclose(found, near.translate({"b": b}, "a"), atol=1.0)


def test_offsets_of_data_that_are_scattered_in_memory():
    a, _ = pairs()
    y = a[:, 0] > 0
    far = np.asfortranarray(a + 1e8)
    found = MultimodalClassifier(**BRIEFEST).fit({"a": far}, y).predict_proba({"a": far})
    expected = MultimodalClassifier(**BRIEFEST).fit({"a": a}, y).predict_proba({"a": a})
    assert_allclose(found, expected, atol=1e-3)


def test_units_of_any_size():
    a, b = pairs()
    model = MultimodalVAE(2, **BRIEFEST).fit({"a": a, "b": b})
    other = MultimodalVAE(2, **BRIEFEST).fit({"a": 1e-60 * a, "b": 1e120 * b})
    found = other.translate({"a": 1e-60 * a}, "b") / 1e120
    assert_allclose(found, model.translate({"a": a}, "b"), atol=1e-2)
    jacobian = np.log(1e-60) * a.shape[1] + np.log(1e120) * b.shape[1]
    rescaled = other.score({"a": 1e-60 * a, "b": 1e120 * b}) + jacobian
    assert rescaled == pytest.approx(model.score({"a": a, "b": b}), abs=0.05)


def test_offsets_survive_a_file(tmp_path):
    a, b = pairs()
    X = {"a": a + 1e9, "b": np.c_[b, np.full(len(b), 0.1)]}
    model = MultimodalAutoencoder(2, **BRIEFEST).fit(X)
    io.dump(model, tmp_path / "model.skmm")
    again = io.load(tmp_path / "model.skmm")
    assert_array_equal(again.translate({"b": X["b"]}, "a"), model.translate({"b": X["b"]}, "a"))
    assert_array_equal(again.sample(5, random_state=0)["b"][:, -1], 0.1)


def test_a_warm_start_keeps_the_units_of_the_fit_before():
    a, b = pairs()
    model = MultimodalAutoencoder(2, warm_start=True, **BRIEF).fit({"a": a + 1e9, "b": b})
    first = model.translate({"b": b}, "a")
    model.set_params(max_epochs=1, lr=1e-12).fit({"a": a + 1e9 + 5, "b": b})
    assert_allclose(model.translate({"b": b}, "a"), first, rtol=0, atol=1e-3 + 5)
    assert torch.equal(
        model.net_.module_.scalers[0].exact[0].round(), torch.tensor((a + 1e9).mean(axis=0)).round()
    )


# Far away


@pytest.mark.parametrize(
    "model",
    [
        MultimodalAutoencoder(2, normalization=None, random_state=0),
        MultimodalVAE(2, random_state=0),
        ConditionalGAN(target="b", max_epochs=100, cv=None, random_state=0),
        RidgeSampler(target="b", random_state=0),
    ],
)
def test_expectations_for_strange_inputs_are_no_worse_than_inputs_at_the_edge(model):
    (a, b), (later, truth) = pairs(30), pairs(300, seed=1)
    model.fit(Modalities({"a": a, "b": b}))
    for factor in (5.0, 100.0, 1e6):
        found = model.translate({"a": factor * later}, "b")
        r2 = 1 - np.sum((truth - found) ** 2) / np.sum((truth - truth.mean(axis=0)) ** 2)
        assert r2 > -4, factor


def test_a_deep_cca_with_decoders_stays_near():
    (a, b), (later, _) = pairs(), pairs(300, seed=1)
    model = DeepCCA(2, reconstruction_weight=1.0, **BRIEFEST).fit({"a": a, "b": b})
    found = model.translate({"a": 1e6 * later}, "b")
    reach = (1 + 1e-12) * b.std(axis=0)  # rounded in another order
    assert (found <= b.max(axis=0) + reach).all()
    assert (found >= b.min(axis=0) - reach).all()


def test_unscaled_cca_translates_offsets_that_single_precision_loses():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 1))
    a, b = z + 0.1 * rng.normal(size=(200, 2)), 1e8 + z + 0.1 * rng.normal(size=(200, 2))
    X = {"a": a.astype(np.float32), "b": b}
    found = CCA(scale=False, shrinkage=0.3).fit(X).translate(X, "b")
    assert found.dtype == np.float64
    assert np.corrcoef(found[:, 0], b[:, 0])[0, 1] > 0.95
