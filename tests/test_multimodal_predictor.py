"""MultimodalClassifier and MultimodalRegressor: losses, tasks, missing modalities, tools."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import Modalities, MultimodalClassifier, MultimodalRegressor
from skmm._deep._split import held_out_rows
from skmm.compose import ConcatModalities, PerModality
from skmm.datasets import load_digits_halves
from skmm.nn import MLP, Conv, Tokens
from skmm.nn._prediction import Prediction, PredictionObjective, Task, row_losses

BRIEF = {
    "hidden_layer_sizes": (16,),
    "head_layer_sizes": (),
    "max_epochs": 20,
    "lr": 1e-2,
    "early_stopping": False,
    "random_state": 0,
}
FUSIONS = ("concat", "mean", "attention", "late")


def complementary(n_samples=600, seed=0):
    """Return a class that each of two modalities tells a part of: its first and second bit."""
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=n_samples)
    parts = {
        name: (2.0 * bit - 1)[:, None] + 0.4 * rng.standard_normal((n_samples, 3))
        for name, bit in (("a", y // 2), ("b", y % 2))
    }
    return Modalities(parts), y


# Losses


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_losses_are_those_of_the_formulas():
    logits, numbers = normal(6, 3), normal(6, 2, seed=1)
    classes = torch.tensor([0, 1, 2, 0, 1, 2])[:, None]
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        row_losses("classes", logits, classes), -np.log(p[np.arange(6), classes[:, 0]])
    )
    labels = (numbers > 0).long()
    q = 1 / (1 + np.exp(-numbers.numpy()[:, ::-1]))
    expected = -np.where(labels.numpy() == 1, np.log(q), np.log(1 - q)).mean(axis=1)
    np.testing.assert_allclose(row_losses("labels", numbers.flip(1), labels), expected)
    np.testing.assert_allclose(
        row_losses("numbers", numbers, 0 * numbers), (numbers.numpy() ** 2).mean(axis=1)
    )


def test_objective_weighs_rows_and_averages_tasks():
    tasks = [Task("one", "classes", 3), Task("two", "classes", 2)]
    outputs, weight = normal(6, 5), torch.arange(6.0).double()[:, None]
    target = torch.tensor([[0, 1], [1, 0], [2, 1], [0, 0], [1, 1], [2, 0]])
    terms = PredictionObjective(tasks)(Prediction(outputs, target, weight))
    for name, part, column in (("one", outputs[:, :3], 0), ("two", outputs[:, 3:], 1)):
        rows = row_losses("classes", part, target[:, [column]])
        np.testing.assert_allclose(terms[name], (rows * weight[:, 0]).mean() / 2)


# Predictions


@pytest.mark.parametrize("fusion", FUSIONS)
def test_modalities_are_fused(fusion):
    X, y = complementary()
    model = MultimodalClassifier(fusion=fusion, **BRIEF).fit(X[:400], y[:400])
    score = model.score(X[400:], y[400:])
    # Averages of predictions cannot tell more than that each modality halves the classes.
    assert score > 0.95
    p = model.predict_proba(X[400:])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X[400:]), model.classes_[p.argmax(axis=1)])
    logits = model.decision_function(X[400:])
    np.testing.assert_allclose(np.exp(logits), p, atol=1e-9)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_missing_modality_costs_what_it_tells(fusion):
    X, y = complementary()
    model = MultimodalClassifier(fusion=fusion, **BRIEF).fit(X[:400], y[:400])
    for name, bit in (("a", y // 2), ("b", y % 2)):
        found = model.predict(X[400:].select(name))
        told = found // 2 if name == "a" else found % 2
        assert (told == bit[400:]).mean() > 0.9
        p = model.predict_proba(X[400:].select(name))
        assert p.max(axis=1).mean() < 0.75  # two classes are left
    np.testing.assert_array_equal(
        model.predict_proba(X[400:].select("a")),
        model.predict_proba(X[400:].with_missing("b")),
    )


def test_late_fusion_averages_the_log_probabilities_of_single_modalities():
    X, y = complementary()
    model = MultimodalClassifier(fusion="late", **BRIEF).fit(X, y)
    single = [model.predict_proba(X.select(name)) for name in X.names]
    mean = np.sqrt(single[0] * single[1])
    mean /= mean.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), mean, atol=1e-7)
    target = np.c_[y, 2.0 * y]
    numbers = MultimodalRegressor(fusion="late", **BRIEF).fit(X, target)
    single = [numbers.predict(X.select(name)) for name in X.names]
    np.testing.assert_allclose(numbers.predict(X), np.mean(single, axis=0), atol=1e-6)
    labels = MultimodalClassifier(fusion="late", **BRIEF).fit(X, np.c_[y // 2, y % 2])
    single = [labels.decision_function(X.select(name)) for name in X.names]
    np.testing.assert_allclose(labels.decision_function(X), np.mean(single, axis=0), atol=1e-6)


def test_late_transform_is_the_mean_of_the_codes():
    X, y = complementary()
    model = MultimodalClassifier(fusion="late", **BRIEF).fit(X, y)
    single = [model.transform(X.select(name)) for name in X.names]
    np.testing.assert_allclose(model.transform(X), np.mean(single, axis=0), atol=1e-12)
    assert len(model.get_feature_names_out()) == 16


def test_attention_weights_are_of_what_is_there():
    X, y = complementary()
    model = MultimodalClassifier(fusion="attention", **BRIEF).fit(X, y)
    weights = model.attention_weights(X.with_missing("b", [0, 1]))
    assert list(weights.columns) == ["a", "b"]
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_array_equal(weights["b"][:2], 0)
    assert not hasattr(MultimodalClassifier(), "attention_weights")


def test_linear_networks_are_a_linear_regression():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 800, 3))
    y = np.c_[a @ [1.0, 2.0, 0.0] + b @ [0.0, 0.0, 3.0], 5 + a[:, 0]]
    y += 0.1 * rng.standard_normal(y.shape)
    X = Modalities({"a": a, "b": b})
    model = MultimodalRegressor(
        hidden_layer_sizes=(),
        head_layer_sizes=(),
        activation="identity",
        normalization=None,
        modality_dropout=0.0,
        weight_decay=0.0,
        max_epochs=60,
        early_stopping=False,
        random_state=0,
    ).fit(X[:600], y[:600])
    linear = Ridge(1e-6).fit(np.hstack([a, b])[:600], y[:600])
    expected = linear.predict(np.hstack([a, b])[600:])
    np.testing.assert_allclose(model.predict(X[600:]), expected, atol=0.05)
    assert model.score(X[600:], y[600:]) > 0.99


def test_all_kinds_of_modalities():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=120)
    X = Modalities(
        {
            "image": y[:, None, None, None] + rng.standard_normal((120, 1, 6, 6)),
            "text": y[:, None] + rng.integers(1, 3, size=(120, 5)),
            "label": np.array(["u", "v", "w"])[(y + rng.integers(2, size=120)) % 3],
        },
        kinds={"text": "tokens"},
    )
    spec = {"image": Conv((4,), hidden_layer_sizes=()), "text": Tokens(6, hidden_size=8)}
    model = MultimodalClassifier(encoders=spec, **BRIEF).fit(X, y)
    assert model.score(X, y) > 0.9
    with pytest.raises(ValueError, match="labels that were not in fit"):
        model.predict({"label": np.array(["x"] * 4)})


# Targets


@pytest.mark.parametrize(
    "names",
    [np.array(["n", "e", "s", "w"]), np.array([3, 5, 8, 9]), np.array([0.0, 1.0, 2.0, 3.0])],
)
def test_classes_come_back_as_they_were(names):
    X, y = complementary(200)
    model = MultimodalClassifier(**BRIEF).fit(X, names[y])
    np.testing.assert_array_equal(model.classes_, np.sort(names))
    assert model.predict(X).dtype == names.dtype
    assert model.score(X, names[y]) > 0.95


def test_two_classes_have_one_decision():
    X, y = complementary(200)
    model = MultimodalClassifier(**BRIEF).fit(X, y // 2 == 1)
    p, decision = model.predict_proba(X), model.decision_function(X)
    assert decision.shape == (200,)
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), p[:, 1])


def test_labels_are_independent():
    X, y = complementary(300)
    labels = np.c_[y // 2, y % 2, (y == 3)].astype(int)
    model = MultimodalClassifier(**BRIEF).fit(X, labels)
    assert model.predict_proba(X).shape == (300, 3)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    assert model.score(X, labels) == accuracy_score(labels, model.predict(X))
    assert model.score(X, labels) > 0.9


def test_tasks_of_mixed_classes():
    X, y = complementary(300)
    tasks = pd.DataFrame({"class": y, "side": np.where(y // 2, "left", "right")})
    model = MultimodalClassifier(**BRIEF).fit(X, tasks)
    assert [list(c) for c in model.classes_] == [[0, 1, 2, 3], ["left", "right"]]
    found = model.predict(X)
    assert found.shape == (300, 2)
    assert [p.shape for p in model.predict_proba(X)] == [(300, 4), (300, 2)]
    right = [(found[:, j] == tasks.iloc[:, j]).mean() for j in range(2)]
    np.testing.assert_allclose(model.score(X, tasks), np.mean(right))
    assert min(right) > 0.9
    assert not hasattr(model, "decision_function")
    assert {"train_cross_entropy_0", "train_cross_entropy_1"} <= set(model.history_.columns)
    numbers = MultimodalClassifier(**BRIEF).fit(X, np.c_[y, y // 2 + 5])
    assert numbers.predict(X).dtype.kind == "i"


@pytest.mark.parametrize("y", [np.linspace(0, 1, 200), np.full(200, np.nan), None])
def test_classifier_refuses_what_are_no_classes(y):
    X, _ = complementary(200)
    with pytest.raises(ValueError, match=r"Unknown label type|NaN|requires y"):
        MultimodalClassifier(**BRIEF).fit(X, y)


def test_lengths_must_agree():
    X, y = complementary(200)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MultimodalClassifier(**BRIEF).fit(X, y[:100])


# Weights


def test_class_weight_is_a_sample_weight():
    X, y = complementary(200)
    weights = np.where(y == 0, 10.0, 1.0)
    found = MultimodalClassifier(class_weight={0: 10.0}, **BRIEF).fit(X, y)
    expected = MultimodalClassifier(**BRIEF).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X))
    plain = MultimodalClassifier(**BRIEF).fit(X, y)
    assert not np.allclose(found.predict_proba(X), plain.predict_proba(X))


def test_weights_move_the_intercept():
    rng = np.random.default_rng(0)
    X, y = Modalities({"noise": rng.standard_normal((400, 2))}), np.arange(400) % 2
    model = MultimodalClassifier(**BRIEF).fit(X, y, sample_weight=np.where(y, 3.0, 1.0))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1].mean(), 0.75, atol=0.03)
    target = np.where(y, 1.0, 0.0)
    regressor = MultimodalRegressor(**BRIEF).fit(X, target, sample_weight=np.where(y, 3.0, 1.0))
    np.testing.assert_allclose(regressor.predict(X).mean(), 0.75, atol=0.05)


def test_negative_weights_are_refused():
    X, y = complementary(200)
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        MultimodalRegressor(**BRIEF).fit(X, y, sample_weight=-np.ones(200))


# Training and tools


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "roc_auc_ovr"])
def test_early_stopping_on_a_scorer(scoring):
    X, y = complementary(200)
    params = {**BRIEF, "early_stopping": True, "validation_fraction": 0.3, "max_epochs": 8}
    model = MultimodalClassifier(scoring=scoring, cv=None, **params).fit(X, y)
    best = model.history_["valid_score"].max()
    rows = held_out_rows(
        200, 60, np.random.RandomState(0), np.unique(y, return_inverse=True)[1][:, None]
    )
    np.testing.assert_array_equal(np.flatnonzero(model.held_out_[0]), rows)
    (p,) = model.predict_members(X[rows])
    if scoring == "accuracy":
        assert best == accuracy_score(y[rows], p.argmax(axis=1))
    if scoring == "neg_log_loss":
        np.testing.assert_allclose(best, -log_loss(y[rows], p), 1e-5)


def test_one_modality_is_predicted_as_by_scikit_learn():
    data = load_digits_halves()
    X, y = np.hstack([np.asarray(v) for v in data["data"].values()]), data["target"]
    model = MultimodalClassifier(random_state=0, max_epochs=30).fit(X[:1200], y[:1200])
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    linear.fit(X[:1200], y[:1200])
    assert abs(model.score(X[1200:], y[1200:]) - linear.score(X[1200:], y[1200:])) < 0.02


def test_grid_search_over_fusion_and_encoders():
    X, y = complementary(200)
    grid = {"fusion": ["concat", "late"], "encoders": ["auto", {"a": MLP((4,))}]}
    search = GridSearchCV(MultimodalClassifier(**BRIEF), grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.9


def test_members_of_ensembles():
    X, y = complementary(300)
    members = [("deep", MultimodalClassifier(**BRIEF)),
               ("linear", make_pipeline(ConcatModalities(), LogisticRegression()))]  # fmt: skip
    for ensemble in (
        VotingClassifier(members, voting="soft"),
        StackingClassifier(members, cv=2),
        CalibratedClassifierCV(MultimodalClassifier(**BRIEF), cv=2),
    ):
        assert ensemble.fit(X, y).score(X, y) > 0.9
    assert (cross_val_predict(members[0][1], X, y, cv=2) == y).mean() > 0.9


def test_pipeline_of_scaled_modalities():
    X, y = complementary(200)
    pipe = make_pipeline(PerModality(StandardScaler()), MultimodalClassifier(**BRIEF))
    assert pipe.fit(X, y).score(X, y) > 0.95
    Z = pipe[:-1].transform(X)
    assert pipe[-1].transform(Z).shape == (200, 16)


def test_warm_start_and_checkpoints(tmp_path):
    X, y = complementary(200)
    params = {**BRIEF, "max_epochs": 4}
    first = MultimodalClassifier(**params, warm_start=True).fit(X, y)
    loss = first.history_["train_loss"].iloc[-1]
    assert first.fit(X, y).history_["train_loss"].iloc[-1] < loss
    saved = MultimodalClassifier(**params, checkpoint_dir=tmp_path).fit(X, y)
    again = MultimodalClassifier(**params, checkpoint_dir=tmp_path, warm_start=True).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), saved.predict_proba(X))


# What contradicts


def test_rows_without_weight_do_not_count():
    X, y = complementary(200)
    target, weights = y.astype(float), np.ones(200)
    target[7], weights[7] = 1e6, 0.0
    model = MultimodalRegressor(**BRIEF).fit(X, target, sample_weight=weights)
    rest = np.arange(200) != 7
    assert model.score(X[rest], target[rest]) > 0.9
    with pytest.raises(ValueError, match="at least one non-zero"):
        MultimodalRegressor(**BRIEF).fit(X, target, sample_weight=0 * weights)


def test_warm_start_refuses_other_classes():
    X, y = complementary(100)
    model = MultimodalClassifier(**BRIEF, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="needs the classes of the fit before"):
        model.fit(X, y + 1)


def test_scorers_that_cannot_judge_are_named():
    X, _ = complementary(60)
    rare = (np.arange(60) == 0).astype(int)
    params = {**BRIEF, "early_stopping": True}
    with (
        pytest.warns(UserWarning, match="Only one class"),
        pytest.raises(ValueError, match=r"roc_auc.*validation rows"),
    ):
        MultimodalClassifier(scoring="roc_auc", **params).fit(X, rare)


def test_frames_of_labels_are_labels():
    X, y = complementary(100)
    labels = np.c_[y // 2, y % 2]
    frame = MultimodalClassifier(**BRIEF).fit(X, pd.DataFrame(labels))
    array = MultimodalClassifier(**BRIEF).fit(X, labels)
    np.testing.assert_array_equal(frame.predict_proba(X), array.predict_proba(X))


def test_parameters_set_after_fit_do_not_change_it():
    X, y = complementary(100)
    model = MultimodalClassifier(**BRIEF).fit(X, y).set_params(hidden_layer_sizes=(5,))
    assert len(model.get_feature_names_out()) == model.transform(X).shape[1] == 16
