"""Variance explained: PCA's own figures, regressions by hand, and brute force."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, DeepCCA, Modalities, MultimodalAutoencoder, MultimodalVAE
from skmm.compose import ConcatModalities, PerModality
from skmm.inspection import variance_explained

SMALL = {"hidden_layer_sizes": (6,), "max_epochs": 3, "lr": 1e-2, "random_state": 0}
MODELS = {
    "autoencoder": MultimodalAutoencoder(3, **SMALL),
    "vae": MultimodalVAE(3, **SMALL | {"max_epochs": 20}),
    "deep_cca": DeepCCA(2, objective="vicreg", reconstruction_weight=0.5, **SMALL),
    "concat": DeepCCA(2, objective="vicreg", reconstruction_weight=0.5, fusion="concat", **SMALL),
}


def make_data(n=150, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 3))
    a = z @ rng.standard_normal((3, 4)) + 0.3 * rng.standard_normal((n, 4))
    b = z @ rng.standard_normal((3, 3)) + 0.3 * rng.standard_normal((n, 3)) + 5.0
    return Modalities({"a": a, "b": b})


def r2(x, guess, mean):
    seen = ~np.isnan(x)
    return 1 - np.sum((x - guess)[seen] ** 2) / np.sum((x - mean)[seen] ** 2)


def by_hand(model, X, means):
    """Return the table by its definition, one replaced code after the other."""
    Z = model.transform(X)
    found = {}
    for k in [*range(Z.shape[1]), "all"]:
        codes = Z.copy()
        for j in range(Z.shape[1]):
            if k not in ("all", j):
                codes[:, j] = Z[:, j].mean()
        decoded = model.inverse_transform(codes)
        found[k] = {name: r2(X[name], decoded[name], means[name]) for name in means}
    return pd.DataFrame(found).T


def equal(found, expected, **options):
    assert list(found.index) == list(expected.index)
    assert found.index.name == "component"
    assert list(found) == list(expected)
    assert_allclose(found.to_numpy(float), expected.to_numpy(float), **options)


# Linear models, whose components add up


def test_of_pca_it_is_the_explained_variance_ratio():
    X = make_data()["a"]
    pca = PCA(3).fit(X)
    table = variance_explained(pca, X)
    assert list(table) == ["X"]
    assert_allclose(table["X"].iloc[:3], pca.explained_variance_ratio_)
    assert_allclose(table.loc["all", "X"], pca.explained_variance_ratio_.sum())


def test_of_cca_it_is_the_regression_on_each_projection():
    X = make_data()
    cca = CCA(3).fit(X)
    table = variance_explained(cca, X)
    Z = cca.transform(X)
    for name in X.names:
        x = X[name] - X[name].mean(axis=0)
        for k, z in enumerate((Z - Z.mean(axis=0)).T):
            fitted = np.outer(z, z @ x / (z @ z))
            assert_allclose(table.loc[k, name], np.sum(fitted**2) / np.sum(x**2))
        guess = Z @ np.linalg.lstsq(Z, x, rcond=None)[0]
        assert_allclose(table.loc["all", name], np.sum(guess**2) / np.sum(x**2))
    assert_allclose(table.drop(index="all").sum(), table.loc["all"])


def test_new_rows_are_compared_with_the_means_of_training():
    X, new = make_data(), make_data(seed=1)
    new = Modalities({"a": new["a"] + 1.0, "b": new["b"]})
    cca = CCA(2).fit(X)
    means = {name: X[name].mean(axis=0) for name in X.names}
    equal(variance_explained(cca, new), by_hand(cca, new, means))


def test_without_kept_means_new_rows_are_compared_with_their_own():
    X, new = make_data()["a"], make_data(seed=1)["a"] + 1.0
    pca = PCA(2).fit(X)
    guess = pca.inverse_transform(pca.transform(new))
    found = variance_explained(pca, new).loc["all", "X"]
    assert_allclose(found, r2(new, guess, new.mean(axis=0)))


# Networks, by the definition


@pytest.mark.parametrize("name", MODELS)
def test_networks_agree_with_brute_force(name):
    X = make_data()
    model = MODELS[name].fit(X)
    means = getattr(model, "means_", {m: X[m].mean(axis=0) for m in X.names})
    table = variance_explained(model, X)
    assert len(table) == model.transform(X).shape[1] + 1
    equal(table, by_hand(model, X, means), rtol=1e-6, atol=1e-7)


def test_what_is_missing_is_left_out():
    X = make_data()
    a = X["a"].copy()
    a[3, 1] = np.nan
    X = Modalities({"a": a, "b": X["b"]}).with_missing("b", [0, 7]).with_missing("a", [5])
    model = MODELS["autoencoder"].fit(X)
    assert X["b"].shape == (150, 3)  # as rows of NaN
    equal(variance_explained(model, X), by_hand(model, X, model.means_), rtol=1e-6, atol=1e-7)


def test_images_binary_data_and_counts_count_labels_do_not():
    rng = np.random.default_rng(0)
    bits = rng.random((120, 5)) < 0.5
    X = Modalities(
        {
            "image": rng.integers(0, 255, (120, 1, 3, 2), dtype=np.uint8),
            "bits": bits,
            "counts": rng.poisson(3.0, (120, 2)),
            "label": np.where(bits[:, 0], "yes", "no"),
            "age": rng.uniform(20, 80, 120),
        },
        kinds={"counts": "count"},
    )
    model = MODELS["autoencoder"].fit(X)
    table = variance_explained(model, X)
    assert list(table) == ["image", "bits", "counts", "age"]
    decoded = model.inverse_transform(model.transform(X))
    for name in table:
        true = np.asarray(X[name], float).reshape(120, -1)
        guess = np.asarray(decoded[name], float).reshape(120, -1)
        assert_allclose(table.loc["all", name], r2(true, guess, true.mean(axis=0)), rtol=1e-6)


def test_a_modality_that_is_nowhere_has_no_column():
    X = make_data()
    cca = CCA(2).fit(X)
    assert list(variance_explained(cca, X.select("b"))) == ["b"]
    assert list(variance_explained(cca, X.with_missing("a", range(len(X))))) == ["b"]


# Forms of data, and what is around the model


def frames(X):
    return {name: pd.DataFrame(X[name]).add_prefix(name) for name in X.names}


@pytest.mark.parametrize("estimator", [CCA(2), MODELS["autoencoder"]], ids=["cca", "autoencoder"])
def test_all_forms_give_the_same(estimator):
    X = make_data()
    parts = {name: X[name] for name in X.names}
    expected = variance_explained(estimator.fit(X), X)
    flat, places = (
        np.hstack([*parts.values(), np.ones((150, 1))]),
        {"a": slice(0, 4), "b": [4, 5, 6]},
    )
    equal(variance_explained(estimator.fit(parts), parts), expected)
    levels = pd.concat(frames(X), axis=1)
    equal(variance_explained(estimator.fit(levels), levels), expected)
    estimator = type(estimator)(**estimator.get_params() | {"modalities": places})
    equal(variance_explained(estimator.fit(flat), flat), expected)


def test_of_two_plain_arrays_only_the_first_is_decoded():
    X = make_data()
    table = variance_explained(CCA(2).fit(X["a"], X["b"]), X["a"], X["b"])
    named = variance_explained(CCA(2).fit(X), X.select("a"))
    equal(table, named.rename(columns={"a": "X"}))


def test_pipelines_and_searches_are_followed():
    X = make_data()
    pipe = make_pipeline(PerModality(StandardScaler()), CCA(2)).fit(X)
    inner = pipe[:-1].transform(X)
    expected = by_hand(pipe[-1], inner, {name: np.zeros(inner[name].shape[1]) for name in X.names})
    equal(variance_explained(pipe, X), expected)
    search = GridSearchCV(pipe, {"cca__n_components": [2]}, cv=2).fit(X)
    equal(variance_explained(search, X), expected)
    joined = make_pipeline(ConcatModalities(), PCA(2)).fit(X)
    assert_allclose(
        variance_explained(joined, X)["X"].iloc[:2], joined[-1].explained_variance_ratio_
    )


def test_what_cannot_be_explained():
    X = make_data()
    with pytest.raises(NotFittedError):
        variance_explained(CCA(2), X)
    with pytest.raises(TypeError, match="DeepCCA has no inverse_transform: it must encode and"):
        variance_explained(DeepCCA(2, early_stopping=False, **SMALL).fit(X), X)
    with pytest.raises(TypeError, match="LinearRegression has no transform"):
        variance_explained(LinearRegression().fit(X["a"], X["b"]), X["a"])
    labels = Modalities({"l": np.array(["u", "v"] * 75), "a": X["a"]})
    model = MODELS["autoencoder"].fit(labels)
    with pytest.raises(ValueError, match=r"no modality of numbers: its kinds are {'l': 'categ"):
        variance_explained(model, labels.select("l"))
