"""MultimodalAutoencoder and its parts against formulas and NumPy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skmm import Modalities, MultimodalAutoencoder
from skmm._deep._split import split_rows
from skmm.metrics import get_scorer
from skmm.nn import MLP, AttentionFusion, MeanFusion
from skmm.nn._autoencoder import (
    Reconstruction,
    ReconstructionObjective,
    disagreement,
)
from skmm.nn._layers import GaussianNoise, ModalityDropout

QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0, "early_stopping": False}


def small(n_components=2, **params):
    return MultimodalAutoencoder(n_components, **{**QUICK, **params})


def make_data(n=300, seed=0):
    """Return two modalities that are functions of the same two numbers, and a label."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    W = np.random.default_rng(100).standard_normal((2, 9))
    x = z @ W
    return Modalities(
        {
            "a": 100 * x[:, :5] + 0.1 * rng.standard_normal((n, 5)),
            "b": x[:, 5:] + 0.05 * rng.standard_normal((n, 4)),
            "label": np.where(z[:, 0] > 0, "up", "down"),
        }
    )


@pytest.fixture(scope="module")
def trained():
    X = make_data(600)
    model = MultimodalAutoencoder(
        3, hidden_layer_sizes=(64,), max_epochs=80, lr=1e-2, batch_size=100, random_state=0,
        latent_density=None,
    ).fit(X[:500])  # fmt: skip
    return model, X[500:]


# Parts


@pytest.mark.parametrize("observed", [None, [[1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]])
def test_hidden_modalities(observed):
    n = 4000
    mask = None if observed is None else torch.tensor(observed, dtype=torch.bool).repeat(n // 4, 1)
    hide = ModalityDropout(0.4)
    hide.generator = torch.Generator().manual_seed(0)
    visible = hide(mask, torch.zeros(n, 1), 3)
    had = torch.ones(n, 3, dtype=torch.bool) if mask is None else mask
    assert not (visible & ~had).any()
    assert_array_equal(visible.any(dim=1), had.any(dim=1))
    if mask is None:  # one that would be hidden with the others stays instead: 0.4^3 / 3
        assert_allclose(visible.float().mean(dim=0), 0.6 + 0.4**3 / 3, atol=0.03)
    assert hide.eval()(mask, torch.zeros(n, 1), 3) is mask


def test_noise_has_its_scale_and_stops_after_training():
    noise = GaussianNoise(0.3)
    noise.generator = torch.Generator().manual_seed(0)
    x = torch.zeros(20_000)
    assert_allclose(noise(x).std(), 0.3, rtol=0.03)
    assert noise.eval()(x) is x


@pytest.mark.parametrize("holes", [False, True])
def test_disagreement_is_that_of_numpy(holes):
    rng = np.random.default_rng(0)
    codes = [rng.standard_normal((40, 3)) for _ in range(3)]
    mask = rng.uniform(size=(40, 3)) < 0.7 if holes else np.ones((40, 3), dtype=bool)
    expected = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        rows = mask[:, i] & mask[:, j]
        a, b = codes[i][rows], codes[j][rows]
        S = np.cov(np.vstack([a, b]).T, bias=True)
        gap = a - b
        expected.append(np.einsum("ij,jk,ik->i", gap, np.linalg.inv(S), gap).mean() / 6)
    observed = torch.tensor(mask) if holes else None
    found = disagreement([torch.tensor(code) for code in codes], observed, reg_covar=0.0)
    assert_allclose(float(found), np.mean(expected), rtol=1e-6)


def test_disagreement_knows_equal_independent_and_units():
    rng = np.random.default_rng(0)
    a, b = torch.tensor(rng.standard_normal((2, 5000, 2)))
    assert float(disagreement([a, a])) == pytest.approx(0, abs=1e-9)
    assert float(disagreement([a, b])) == pytest.approx(1, abs=0.05)
    T = torch.tensor([[3.0, 1.0], [0.0, 0.01]], dtype=torch.float64)
    found, expected = (
        disagreement([a @ T, b @ T], reg_covar=0.0),
        disagreement([a, b], reg_covar=0.0),
    )
    assert_allclose(float(found), float(expected), rtol=1e-6)


def test_the_objective_is_a_weighted_mean_over_observed_rows():
    outputs = Reconstruction(
        [torch.tensor([-1.0, -3.0, 0.0]), torch.tensor([-2.0, -2.0, -5.0])], []
    )
    observed = torch.tensor([[True, True], [True, True], [False, True]])
    terms = ReconstructionObjective("ab", [2.0, 1.0], 0.0)(outputs, observed)
    assert float(terms["reconstruction_a"]) == pytest.approx(4.0)
    assert float(terms["reconstruction_b"]) == pytest.approx(3.0)


def test_the_objective_of_a_fit_is_that_of_numpy():
    X = make_data(40).select(["a", "b"])
    model = small(
        max_epochs=1, early_stopping=True, cv=None, validation_fraction=0.5, alignment_weight=2.0
    )
    model.fit(X)
    module = model.net_.module_
    rows = split_rows(np.arange(40), 0.5, np.random.RandomState(0)).valid
    Z = model.transform(X[rows])
    for m, name in enumerate(("a", "b")):
        scaler, value = module.scalers[m], np.asarray(X[name])[rows]
        with torch.no_grad():
            mean = module.decoders[m](torch.tensor(Z, dtype=torch.float32)).numpy()
            scale = module.likelihoods[m].scale.numpy()
        error = (value - scaler.mean.numpy()) / scaler.scale.numpy() - mean
        expected = (error**2 / (2 * scale**2) + np.log(scale * np.sqrt(2 * np.pi))).mean()
        best = model.history_.valid_score.idxmax()
        assert_allclose(model.history_[f"valid_reconstruction_{name}"][best], expected, rtol=1e-3)
    codes = model.transform_each(X[rows])
    gap = disagreement([torch.tensor(codes[name]) for name in "ab"])
    assert_allclose(model.history_.valid_alignment[best], 2 * float(gap), rtol=1e-3)


@pytest.mark.parametrize(("fusion", "kind"), [("mean", MeanFusion), ("attention", AttentionFusion)])
def test_fusions(fusion, kind):
    model = small(fusion=fusion, hidden_layer_sizes=(6,)).fit(make_data(60))
    found = model.net_.module_.fusion
    assert isinstance(getattr(found, "fusion", found), kind)


def test_the_mean_fusion_averages_the_codes_from_each():
    X = make_data(60)
    model = small(fusion="mean").fit(X)
    each = model.transform_each(X)
    assert_allclose(model.transform(X), np.mean(list(each.values()), axis=0), rtol=1e-6)


def test_decoders_are_as_asked():
    model = small(
        decoders={"a": MLP((5, 7)), "b": lambda k, shape: torch.nn.Linear(k, *shape)}
    ).fit(make_data(60))
    a, b, label = model.net_.module_.decoders
    widths = [layer.out_features for layer in a.modules() if isinstance(layer, torch.nn.Linear)]
    assert widths == [7, 5, 5]  # the hidden sizes in reverse, then the columns
    assert isinstance(b, torch.nn.Linear)
    assert [p.shape[0] for p in label.parameters()][-1] == 2  # one logit per class


# A fitted model


def test_the_score_is_r2_relative_to_training_means(trained):
    model, X = trained
    rebuilt = model.inverse_transform(model.transform(X))
    expected = []
    for name in ("a", "b"):
        error = np.sum((np.asarray(X[name]) - rebuilt[name]) ** 2)
        expected.append(1 - error / np.sum((np.asarray(X[name]) - model.means_[name]) ** 2))
    codes = torch.tensor(model.transform(X))
    with torch.no_grad():
        p = model.net_.module_.double().expectation(2, codes).numpy()[:, 0]
    truth = (X["label"][:, None] == model.categories_["label"]).astype(float)
    error, total = (np.sum((truth - guess) ** 2) for guess in (p, model.means_["label"]))
    expected.append(1 - error / total)
    assert_allclose(model.score(X), np.mean(expected), rtol=1e-6)
    assert model.score(X) > 0.85


def test_translations_predict(trained):
    model, X = trained
    assert r2_score(X["b"], model.translate(X.select(["a"]), "b")) > 0.8
    assert r2_score(X["a"], model.translate(X.select(["b"]), "a")) > 0.8
    assert np.mean(model.translate(X.select(["a"]), "label") == X["label"]) > 0.9
    assert get_scorer("cross_reconstruction")(model, X.select(["a", "b"])) > 0.8


def test_imputation_leaves_what_is_there(trained):
    model, X = trained
    holes = np.asarray(X["a"]).copy()
    holes[::2, 1] = np.nan
    Y = Modalities({**dict(X.items()), "a": holes}).with_missing("b", [0, 1])
    filled = model.impute(Y)
    there = ~np.isnan(holes)
    assert_array_equal(np.asarray(filled["a"])[there], holes[there])
    assert r2_score(np.asarray(X["a"])[::2, 1], np.asarray(filled["a"])[::2, 1]) > 0.8
    assert_array_equal(np.asarray(filled["b"])[2:], np.asarray(X["b"])[2:])


def test_a_column_that_is_partly_unknown_counts_as_its_mean():
    X = make_data(80)
    model = small().fit(X)
    holes, filled = (np.asarray(X["a"]).copy() for _ in range(2))
    holes[3, 2], filled[3, 2] = np.nan, np.asarray(X["a"])[:, 2].mean()
    codes = [
        model.transform(Modalities({**dict(X.items()), "a": value})) for value in (holes, filled)
    ]
    assert_allclose(*codes, rtol=1e-4, atol=1e-6)


def test_numbers_at_missing_rows_do_not_matter():
    X = make_data(80)
    mask = np.zeros((80, 3), dtype=bool)
    mask[::3, 0] = True
    other = np.where(mask[:, :1], 1e6, np.asarray(X["a"]))
    both = [
        small().fit(Modalities({**dict(X.items()), "a": value}, missing=mask)).transform(X)
        for value in (np.asarray(X["a"]), other)
    ]
    assert_array_equal(*both)


def test_samples_look_like_the_data(trained):
    model, X = trained
    drawn = model.sample(4000, random_state=0)
    for name in ("a", "b"):
        scale = np.asarray(X[name]).std(axis=0)
        assert_allclose(
            (np.asarray(drawn[name]).mean(axis=0) - np.asarray(X[name]).mean(axis=0)) / scale,
            0,
            atol=0.4,
        )
        assert_allclose(np.asarray(drawn[name]).std(axis=0) / scale, 1, atol=0.35)
    assert set(drawn["label"]) == {"up", "down"}


def test_alignment_brings_codes_together():
    X = make_data(400).select(["a", "b"])
    brief, gaps = {"max_epochs": 30, "lr": 1e-2, "batch_size": 100}, []
    for weight in (0.0, 5.0):
        model = small(alignment_weight=weight, modality_dropout=0.0, **brief).fit(X)
        codes = model.transform_each(X)
        gaps.append(float(disagreement([torch.tensor(codes[name]) for name in "ab"])))
    assert gaps[1] < 0.3 * gaps[0]


def test_modality_dropout_serves_rows_that_lack_one():
    X, test = make_data(600), make_data(300, seed=1)
    scores = [
        get_scorer("cross_reconstruction")(
            small(3, modality_dropout=p, hidden_layer_sizes=(32,), max_epochs=40, lr=5e-3).fit(
                X.select(["a", "b"])
            ),
            test.select(["a", "b"]),
        )
        for p in (0.0, 0.5)
    ]
    assert scores[1] > scores[0] + 0.05


def test_grid_search_and_pipeline():
    X = make_data(120)
    grid = {"fusion": ["concat", "mean"], "modality_dropout": [0.0, 0.3]}
    search = GridSearchCV(small(), grid, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipe = Pipeline([("fuse", small(max_epochs=20, lr=1e-2)), ("tell", LogisticRegression())])
    numbers = X.select(["a", "b"])
    assert pipe.fit(numbers, X["label"]).score(numbers, X["label"]) > 0.8


def test_one_modality_alone():
    x = np.asarray(make_data(60)["a"])
    model = small().fit(x)
    assert model.modality_names_in_ == ("X",)
    assert model.inverse_transform(model.transform(x)).shape == x.shape


def test_a_modality_that_no_row_has_is_not_judged(trained):
    model, X = trained
    without = X.with_missing("a")
    assert np.isnan(model.transform_each(without)["a"]).all()
    assert model.score(without) == pytest.approx(model.score(X.select(["b", "label"])))


def test_batch_normalisation_of_a_single_row_is_explained():
    X = make_data(60).with_missing("a", np.arange(59))
    with pytest.raises(ValueError, match="normalization='batch' needs two rows or more"):
        small(normalization="batch", batch_size=20).fit(X)
