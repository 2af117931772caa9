"""Predictors of several networks and linear models: which rows they have not seen, their pool."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn import config_context
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    TimeSeriesSplit,
    cross_validate,
)

from skmm import Modalities, MultimodalClassifier, MultimodalRegressor
from skmm._multimodal_predictor._blend import averaged, linear_share, rotations
from skmm.io import dump, load
from skmm.nn._members import members_of
from skmm.nn._prediction import Task

BRIEF = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
N = 60


def data(n=N, seed=0):
    r = np.random.RandomState(seed)
    a, b = r.standard_normal((n, 4)), r.standard_normal((n, 3))
    y = a[:, 0] + b[:, 0] + 0.5 * r.standard_normal(n)
    X = Modalities({"a": a, "b": b}).with_missing("b", np.arange(0, n, 5))
    return X, y


def classes(y):
    return np.digitize(y, [-0.5, 0.5])


@pytest.fixture(scope="module")
def fitted():
    X, y = data()
    return X, y, MultimodalClassifier(**BRIEF).fit(X, classes(y))


# What is combined


def test_numbers_and_logarithms_are_averaged():
    r = np.random.RandomState(0)
    outputs = r.standard_normal((4, 5, 3 + 2 + 2))
    tasks = [Task("c", "classes", 3), Task("l", "labels", 2), Task("n", "numbers", 2)]
    found = averaged(tasks, outputs)
    geometric = np.exp(log_softmax(outputs[..., :3], axis=2).mean(axis=0))
    geometric /= geometric.sum(axis=1, keepdims=True)
    assert_allclose(softmax(found[:, :3], axis=1), geometric)
    assert_allclose(found[:, 3:], outputs[..., 3:].mean(axis=0))
    assert averaged(tasks, outputs[:1]) is not None
    assert_array_equal(averaged(tasks, outputs[:1]), outputs[0])


def test_linear_share_is_that_of_the_weights():
    assert_allclose(linear_share(np.array([[1.0, 0], [1, 2], [2, 6]])), [0.5, 0.25])
    assert_array_equal(linear_share(np.zeros((3, 1))), 1.0)


def test_rotations_undo_rotations():
    r = np.random.RandomState(0)
    Z = r.standard_normal((30, 4))
    Q = np.linalg.qr(r.standard_normal((4, 4)))[0]
    first, turn = rotations([Z, Z @ Q])
    assert first is None
    assert_allclose(Z @ Q @ turn, Z, atol=1e-12)


def test_predictions_are_the_pool_of_what_its_parts_say(fitted):
    X, _, model = fitted
    members = model.predict_members(X)
    assert len(members) == 5
    joint, late = model._linear.outputs(X)
    (weights,) = model._weights
    parts = [log_softmax(joint, axis=1), late, np.mean(np.log(members), axis=0)]
    pool = sum(w[0] * part for w, part in zip(weights, parts, strict=True))
    assert_allclose(model.predict_proba(X), softmax(pool, axis=1), atol=1e-6)
    assert_allclose(model.linear_share_, weights[:2].sum() / weights.sum())


def test_all_linear_is_scikit_learns_model(fitted):
    X, y, _ = fitted
    X = X.select("a")  # one modality: no averages of single ones
    model = MultimodalClassifier(**BRIEF).fit(X, classes(y))
    model._weights = [np.array([[1.0], [0.0]])]
    Z = (X["a"] - X["a"].mean(axis=0)) / X["a"].std(axis=0) / 2.0
    linear = model._linear.joint
    C = C_of(linear, Z, classes(y))
    expected = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(Z, classes(y))
    assert_allclose(model.predict_proba(X), expected.predict_proba(Z), atol=1e-6)
    numbers = MultimodalRegressor(**BRIEF).fit(X, y)
    numbers._weights = [np.array([[1.0], [0.0]])]
    coefficients = numbers._linear.joint.coefficients[:, 0]
    centred = (y - y.mean()) / y.std()
    left = Z.T @ (centred - Z @ coefficients)
    alpha = left @ coefficients / (coefficients @ coefficients)
    expected = Ridge(alpha).fit(Z, y)
    assert_allclose(numbers.predict(X), expected.predict(Z), atol=1e-6)


def C_of(linear, Z, y):
    """The penalty at which the coefficients are the best: the gradient of the loss over them."""
    p = softmax(Z @ linear.coefficients + linear.intercept, axis=1)
    gradient = Z.T @ (p - np.eye(p.shape[1])[y])
    W = linear.coefficients
    return -(W * W).sum() / (W * gradient).sum()


def test_waves_are_the_networks_and_what_is_not_learnt_is_linear():
    x = np.random.RandomState(0).standard_normal((150, 3))
    X = Modalities({"x": x})
    model = MultimodalRegressor(hidden_layer_sizes=(16,), lr=1e-2, max_epochs=15, random_state=0)
    assert model.fit(X, np.abs(x[:, 0])).linear_share_ < 0.4
    model.set_params(lr=1e-6, max_epochs=1)
    assert model.fit(X, x @ [1.0, 2.0, 3.0]).linear_share_ > 0.6


def test_several_targets_and_tasks_have_a_pool_each():
    X, y = data()
    target = np.c_[y, X["a"][:, 1], np.random.RandomState(1).standard_normal(N)]
    numbers = MultimodalRegressor(**BRIEF).fit(X, target)
    assert numbers.linear_share_.shape == (3,)
    tasks = MultimodalClassifier(**BRIEF).fit(X, np.c_[classes(y), X["a"][:, 1] > 0])
    assert tasks.linear_share_.shape == (2,)
    members = tasks.predict_members(X)
    assert [p.shape for p in members[0]] == [(N, 3), (N, 2)]
    labels = MultimodalClassifier(**BRIEF).fit(X, (target > 0).astype(int))
    assert labels.linear_share_.shape == (1,)
    joint, late = labels._linear.outputs(X)
    odds = [np.log(p / (1 - p)) for p in labels.predict_members(X)]
    (w,) = labels._weights
    pool = w[0] * joint + w[1] * late + w[2] * np.mean(odds, axis=0)
    assert_allclose(labels.predict_proba(X), expit(pool), atol=1e-6)


# What has not been seen


def test_each_row_is_held_out_once(fitted):
    _, y, model = fitted
    assert_array_equal(model.held_out_.sum(axis=0), 1)
    assert [set(classes(y)[rows]) for rows in model.held_out_] == [{0, 1, 2}] * 5


def test_held_out_targets_do_not_reach_their_network():
    X, y = data()
    halves = [(np.arange(N // 2), np.arange(N // 2, N)), (np.arange(N // 2, N), np.arange(N // 2))]
    params = {**BRIEF, "cv": halves, "max_epochs": 1, "lr": 1e-2}
    other = y.copy()
    other[-6:] = y[-6:][::-1]  # of the same mean and scale
    found, changed = (MultimodalRegressor(**params).fit(X, target) for target in (y, other))
    best = [int(model.history_["valid_score"].argmax()) for model in (found, changed)]
    assert best == [1, 1]
    assert_array_equal(found.predict_members(X)[0], changed.predict_members(X)[0])
    assert not np.allclose(found.predict_members(X)[1], changed.predict_members(X)[1])


def test_oof_score_is_of_unseen_rows(fitted):
    X, y, _ = fitted
    noise = np.random.RandomState(3).permutation(classes(y))
    model = MultimodalClassifier(scoring="neg_log_loss", **BRIEF).fit(X, noise)
    seen = -log_loss(noise, model.predict_proba(X))
    chance = np.bincount(noise) / N
    assert model.oof_score_ < seen
    assert model.oof_score_ < (chance * np.log(chance)).sum() + 0.02


# Splitters


GROUPS = np.repeat(np.arange(12), 5)


@pytest.mark.parametrize(
    ("cv", "n_members"),
    [
        (GroupKFold(3), 3),
        (LeaveOneGroupOut(), 12),
        (4, 4),
        ("auto", 5),
        (None, 1),
        (PredefinedSplit(np.where(np.arange(N) < 20, 0, -1)), 1),
        (TimeSeriesSplit(2), 2),
        ([(np.arange(30), np.arange(30, 60))], 1),
        ([(np.arange(N) < 40, np.arange(N) >= 40)], 1),
    ],
)
def test_splits_are_the_users(cv, n_members):
    X, y = data()
    model = MultimodalRegressor(**{**BRIEF, "max_epochs": 1, "cv": cv})
    no_groups = isinstance(cv, list | PredefinedSplit | TimeSeriesSplit)
    model.fit(X, y, groups=None if no_groups else GROUPS)
    assert len(members_of(model.net_.module_)) == len(model.held_out_) == n_members
    if not (isinstance(cv, str | int | list) or cv is None):
        expected = [valid for _, valid in cv.split(y, y, None if no_groups else GROUPS)]
        assert_array_equal([np.flatnonzero(rows) for rows in model.held_out_], expected)
    elif not isinstance(cv, list):
        for rows in model.held_out_:
            assert not set(GROUPS[rows]) & set(GROUPS[~rows])
    else:
        assert_array_equal(np.flatnonzero(model.held_out_[0]), np.arange(N)[cv[0][1]])


def test_groups_are_routed_and_checked():
    X, y = data()
    with config_context(enable_metadata_routing=True):
        model = MultimodalRegressor(**{**BRIEF, "max_epochs": 1, "cv": GroupKFold(3)})
        model.set_fit_request(groups=True)
        found = cross_validate(
            model, X, y, params={"groups": GROUPS}, cv=GroupKFold(2), return_estimator=True,
            error_score="raise",
        )  # fmt: skip
    for one in found["estimator"]:
        assert one.held_out_.shape == (3, 30)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y, groups=GROUPS[:10])
    with pytest.raises(ValueError, match="All rows are of one group"):
        MultimodalRegressor(**BRIEF).fit(X, y, groups=np.zeros(N))


def test_rare_classes_and_few_rows():
    X, y = data(9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few = MultimodalClassifier(**BRIEF).fit(X, ["u", *"vvvwwwww"])
        single = MultimodalClassifier(**BRIEF).fit(X, ["u"] * 9)
        three = MultimodalRegressor(**BRIEF).fit(X[:3], y[:3])
    assert_array_equal(few.classes_, ["u", "v", "w"])
    assert few.predict_proba(X)[:, 0].min() > 0
    assert not few.held_out_[:, 0].any()  # nobody else could tell of its class
    assert_array_equal(single.predict_proba(X), 1.0)
    assert np.isfinite(three.predict(X)).all()


# Weights, order, state


def test_weights_reach_all_parts():
    X, y = data()
    weight = np.where(np.arange(N) < 10, 0.0, 1.0)
    wrong = y.copy()
    wrong[:10] = 1e3
    model = MultimodalRegressor(**BRIEF).fit(X, y, sample_weight=weight)
    again = MultimodalRegressor(**BRIEF).fit(X, wrong, sample_weight=weight)
    assert_allclose(model.predict(X), again.predict(X), atol=1e-5)
    label = (y > 0).astype(int)
    plain = MultimodalClassifier(**BRIEF).fit(X, label).predict_proba(X)[:, 1].mean()
    heavy = MultimodalClassifier(class_weight={0: 1, 1: 9}, **BRIEF).fit(X, label)
    assert heavy.predict_proba(X)[:, 1].mean() > plain + 0.1
    by_rows = MultimodalClassifier(**BRIEF).fit(X, label, sample_weight=1 + 8 * label)
    assert_allclose(by_rows.predict_proba(X), heavy.predict_proba(X))


def test_size_of_weights_does_not_matter():
    X, y = data()
    one, ten = (
        MultimodalRegressor(**BRIEF).fit(X, y, sample_weight=np.full(N, w)).predict(X)
        for w in (1.0, 10.0)
    )
    assert_allclose(one, ten, atol=1e-6)


def test_seeds_and_order_of_rows(fitted):
    X, y, model = fitted
    again = MultimodalClassifier(**BRIEF).fit(X, classes(y))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    other = MultimodalClassifier(**{**BRIEF, "random_state": 1}).fit(X, classes(y))
    assert not np.array_equal(other.held_out_, model.held_out_)
    rows = np.random.RandomState(0).permutation(N)
    assert_allclose(model.predict_proba(X[rows]), model.predict_proba(X)[rows], atol=1e-12)
    assert_allclose(model.predict_proba(X[7:8]), model.predict_proba(X)[7:8], atol=1e-12)


def test_single_precision_and_files(fitted, tmp_path):
    X, _, model = fitted
    single = Modalities(
        {name: np.asarray(value, np.float32) for name, value in X.items()},
        missing=X.missing.to_numpy(),
    )
    assert model.predict_proba(single).dtype == np.float32
    assert_allclose(model.predict_proba(single), model.predict_proba(X), atol=1e-4)
    dump(model, tmp_path / "model.skmm")
    for again in (load(tmp_path / "model.skmm"), pickle.loads(pickle.dumps(model))):
        assert_array_equal(again.predict_proba(X), model.predict_proba(X))
        assert_array_equal(again.transform(X), model.transform(X))


def test_warm_starts_and_checkpoints_of_all_members(fitted, tmp_path):
    X, y, _ = fitted
    params = {**BRIEF, "checkpoint_dir": tmp_path, "warm_start": True}
    whole = MultimodalClassifier(**params).fit(X, classes(y))
    resumed = MultimodalClassifier(**params).fit(X, classes(y))
    assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
    assert len(resumed.history_) == len(whole.history_) == 4
    warm = MultimodalClassifier(**BRIEF, warm_start=True).fit(X, classes(y))
    before = warm.history_["train_loss"].iloc[-1]
    assert warm.fit(X, classes(y)).history_["train_loss"].iloc[-1] < before


def test_interrupted_members_predict_with_the_linear_model(fitted):
    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    X, y, _ = fitted
    model = MultimodalClassifier(callbacks=[Interrupt()], **BRIEF)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, classes(y))
    assert len(model.predict_members(X)) == 5
    assert model.score(X, classes(y)) > 0.6


def test_transform_is_the_mean_of_rotated_representations(fitted):
    X, _, model = fitted
    from skmm.nn._prediction import PredictorNetwork

    parts = model._of_members(PredictorNetwork.represent, X)
    turned = [
        parts[0],
        *(part @ R for part, R in zip(parts[1:], model._rotations[1:], strict=True)),
    ]
    assert_allclose(model.transform(X), np.mean(turned, axis=0), atol=1e-12)
    apart = [np.linalg.norm(part - parts[0]) for part in parts[1:]]
    nearer = [np.linalg.norm(part - parts[0]) for part in turned[1:]]
    assert (np.array(nearer) < apart).all()


def test_how_much_is_linear_is_said(fitted, capsys):
    X, y, model = fitted
    line = f"{model.linear_share_[0]:.0%} linear, oof_score_ {model.oof_score_:.3g}"
    assert f"<p>{line}</p>" in model._repr_html_()
    assert "linear, oof" not in MultimodalClassifier()._repr_html_()
    MultimodalClassifier(**BRIEF, verbose=1).fit(X, classes(y))
    assert capsys.readouterr().out == f"MultimodalClassifier: {line}\n"
    one = MultimodalClassifier(**BRIEF, early_stopping=False).fit(X, classes(y))
    assert "linear, oof" not in one._repr_html_()


def test_late_fusion_weighs_modalities_by_what_they_know():
    r = np.random.RandomState(0)
    y = np.arange(150) % 3
    X = Modalities(
        {
            "good": np.eye(3)[y] + 0.6 * r.standard_normal((150, 3)),
            "bad": r.standard_normal((150, 9)),
        }
    ).with_missing("good", np.arange(20))
    params = {**BRIEF, "max_epochs": 20, "lr": 1e-2, "fusion": "late"}
    train, test = X[:100], X[100:]
    model = MultimodalClassifier(**params).fit(train, y[:100])
    networks = members_of(model.net_.module_)
    for network in networks:
        good, bad = network.modality_weights[0].numpy()
        assert good > 4 * bad
    heads = [np.log(p) for p in model.predict_members(test.select("good"))]
    others = [np.log(p) for p in model.predict_members(test.select("bad"))]
    both = [np.log(p) for p in model.predict_members(test)]
    # Alone a modality has the sum of the weights.
    pool = [
        log_softmax((good * h + bad * o) / (good + bad), axis=1)
        for h, o in zip(heads, others, strict=True)
    ]
    assert_allclose(both, pool, atol=1e-6)
    alone = MultimodalClassifier(**params).fit(X[20:100].select("good"), y[20:100])
    loss = log_loss(y[100:], model.predict_proba(test))
    assert loss < log_loss(y[100:], alone.predict_proba(test.select("good"))) + 0.01
