"""DeepCCA against linear CCA, formulas in NumPy and counts by hand."""

import math
import os
import pickle
import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback, EpochScoring
from torch import nn
from torch.utils.data import DataLoader

from skmm import CCA, DeepCCA, Modalities
from skmm._deep_cca import _held_out
from skmm._deep_cca._closing import held_out
from skmm.metrics import total_correlation
from skmm.nn import MLP, Conv, Tokens, cca_loss, vicreg_loss

SHRINKAGES = (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)  # candidates of the linear solution


def small(n_components=2, **params):
    """Return a network that is trained in no time, and kept; rows are held out once, if at all."""
    quick = {"hidden_layer_sizes": (16,), "max_epochs": 3, "early_stopping": False, "cv": None}
    return DeepCCA(n_components, **{**quick, "random_state": 0, **params})


def linear_arrays(n, widths=(12, 9), seed=0):
    """Return modalities that share two of their many directions, linearly."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return {
        name: z @ rng.standard_normal((2, width)) + 1.5 * rng.standard_normal((n, width))
        for name, width in zip("abc", widths, strict=False)
    }


def make_linear(n, **options):
    return Modalities(linear_arrays(n, **options))


def on_circle(angle):
    return np.c_[np.cos(angle), np.sin(angle)]


def make_curves(n, seed=0, noise=0.1):
    """Points on a circle at an angle and at twice the angle: no linear correlation."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    a, b = (on_circle(k * angle) + noise * rng.standard_normal((n, 2)) for k in (1, 2))
    return Modalities({"a": a, "b": b})


def make_incomplete(n=90):
    """Three modalities; of the first two some rows are missing."""
    X = Modalities(linear_arrays(n, widths=(5, 4, 3)))
    X = X.with_missing("a", np.arange(0, n, 4))
    return X.with_missing("b", np.arange(1, n, 4))


def assert_same_up_to_sign(found, expected, atol):
    assert found.keys() == expected.keys()
    first = next(iter(found))
    signs = np.sign((found[first] * expected[first]).sum(axis=0))
    for name in expected:
        assert_allclose(found[name] * signs, expected[name], atol=atol)


def assert_same_codes(first, second, X, **tolerance):
    expected = second.transform_each(X)
    for name, codes in first.transform_each(X).items():
        assert_allclose(codes, expected[name], **(tolerance or {"rtol": 0, "atol": 0}))


def differ(first, second, X, atol):
    """Whether any code differs by more."""
    expected = second.transform_each(X)
    found = first.transform_each(X)
    return any(np.abs(found[name] - expected[name]).max() > atol for name in expected)


class Watch(Callback):
    """What a training does, epoch by epoch and batch by batch."""

    def on_train_begin(self, net, **kwargs):
        self.epochs, self.batches, self.weights, self.rows = [], [], {}, None
        self._keep(net)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.rows = [None if d is None else d.rows for d in (dataset_train, dataset_valid)]
        self.epochs.append(net.history[-1]["epoch"])

    def on_batch_end(self, net, batch=None, **kwargs):
        self.batches.append(len(batch[0]["inputs"]["a"]))

    def on_epoch_end(self, net, **kwargs):
        self._keep(net)

    def _keep(self, net):
        epoch = net.history[-1]["epoch"] if net.history else 0
        self.weights[epoch] = {k: w.clone() for k, w in net.module_.state_dict().items()}


class Kill(Callback):
    """Raise at a certain point."""

    def __init__(self, error, epoch=2, hook="on_batch_end"):
        self.error = error
        self.epoch = epoch
        setattr(self, hook, self._raise)

    def _raise(self, net, *args, **kwargs):
        if net.history[-1]["epoch"] == self.epoch:
            raise self.error


@pytest.fixture(scope="module")
def curves():
    X = make_curves(800)
    return X[:500], X[500:]


@pytest.fixture(scope="module")
def bent(curves):
    """A network that is much better than any linear map."""
    model = DeepCCA(2, hidden_layer_sizes=(32, 32), cv=None, random_state=0)
    return model.fit(curves[0])


# Beside linear CCA


@pytest.mark.parametrize("objective", ["cca", partial(cca_loss, squared=False), "gcca", "ey"])
def test_linear_networks_find_linear_cca(objective):
    X = make_linear(3000)
    train, test = X[:1500], X[1500:]
    model = DeepCCA(
        2,
        objective=objective,
        hidden_layer_sizes=(),
        dropout=0.0,
        early_stopping=False,
        batch_size=500,
        max_epochs=60,
        lr=0.02,
        random_state=0,
    )
    untrained = clone(model).set_params(max_epochs=1, lr=1e-12).fit(train).score(test)
    expected = CCA(2).fit(train).score(test)
    assert untrained < 0.7 * expected
    assert_allclose(model.fit(train).score(test), expected, rtol=0.01)


def test_linear_data_keep_linear_cca():
    X = make_linear(500)
    model = small(early_stopping=True).fit(X[:400])
    assert model.linear_share_ == 1

    def closed(shrinkage):
        codes = [
            CCA(2, shrinkage=shrinkage).fit(X[:400]).transform_each(rows) for rows in (X, X[:400])
        ]
        return CCA(shrinkage=0.0).fit(codes[1]).transform_each(codes[0])

    found = model.transform_each(X)
    errors = []
    for candidate in map(closed, SHRINKAGES):
        signs = np.sign((found["a"] * candidate["a"]).sum(axis=0))
        errors.append(max(np.abs(found[m] * signs - candidate[m]).max() for m in "ab"))
    assert min(errors) < 1e-8
    assert np.median(errors) > 1e-4  # the candidates differ


def test_the_kept_linear_solution_is_shrunk_where_rows_are_few():
    X = make_linear(1100, widths=(60, 50))
    train, test = X[:120], X[120:]
    model = small(early_stopping=True, validation_fraction=0.3, max_epochs=1).fit(train)
    assert model.linear_share_ == 1
    plain, best = (
        max(CCA(2, shrinkage=c).fit(train).score(test) for c in cs) for cs in ([0.0], SHRINKAGES)
    )
    assert model.score(test) > (plain + 2 * best) / 3


def test_curves_keep_the_network(curves, bent):
    train, test = curves
    assert bent.linear_share_ == 0
    assert bent.score(test) > 1.5
    assert CCA(2).fit(train).score(test) < 0.4


def test_few_validation_rows_keep_linear_cca():
    X = make_curves(100)
    network = DeepCCA(2, hidden_layer_sizes=(32, 32), cv=None, random_state=0)
    with pytest.warns(UserWarning, match="10 validation rows are too few"):
        assert network.fit(X).linear_share_ == 1


@pytest.mark.parametrize(("fraction", "warned"), [(0.19, True), (0.2, False)])
def test_twenty_validation_rows_suffice(fraction, warned, recwarn):
    small(early_stopping=True, validation_fraction=fraction, max_epochs=1).fit(make_linear(100))
    assert bool(recwarn) == warned


def test_networks_without_comparison_are_kept():
    model = small().fit(make_linear(300))
    assert model.linear_share_ == 0
    assert np.isnan(model.oof_score_)


# The closing linear CCA


def test_training_codes_are_canonical(curves, bent):
    codes = bent.transform_each(curves[0])
    a, b = codes["a"], codes["b"]
    assert_allclose(np.c_[a, b].mean(axis=0), 0, atol=1e-9)
    for z in (a, b):
        assert_allclose(np.cov(z.T, ddof=0), np.eye(2), atol=1e-6)
    correlations = np.corrcoef(a.T, b.T)
    assert_allclose(correlations[:2, :2], np.eye(2), atol=1e-6)
    assert_allclose(correlations[2:, 2:], np.eye(2), atol=1e-6)
    assert_allclose(correlations[:2, 2:], np.diag(bent.canonical_correlations_), atol=1e-6)
    assert (np.diff(bent.canonical_correlations_) <= 0).all()


def test_the_score_is_the_total_correlation(curves, bent):
    codes = [bent.transform_each(X) for X in curves]
    assert_allclose(bent.score(curves[1]), total_correlation(*codes), rtol=1e-9)


@pytest.mark.parametrize("objective", ["gcca", "ey"])
def test_three_modalities_are_scored_over_pairs(objective):
    X = make_linear(400, widths=(5, 4, 3))
    model = small(objective=objective, normalization="batch").fit(X[:300])
    codes = [model.transform_each(rows) for rows in (X[:300], X[300:])]
    assert_allclose(model.score(X[300:]), total_correlation(*codes), rtol=1e-9)
    pairs = np.stack(
        [np.corrcoef(columns) for columns in zip(*(z.T for z in codes[0].values()), strict=True)]
    )
    assert_allclose(model.pairwise_correlations_, pairs, atol=1e-6)
    assert_allclose(model.canonical_correlations_, (pairs.sum(axis=(1, 2)) - 3) / 6, atol=1e-6)


def test_dependent_outputs_leave_fewer_components():
    X = make_linear(300, widths=(2, 9))
    model = small(4, hidden_layer_sizes=(), dropout=0.0, precision="float64").fit(X)
    assert model.n_components_ == 2  # linear maps of two columns
    assert model.transform(X).shape == (300, 2)


# Early stopping


@pytest.fixture(scope="module")
def stopped(curves):
    watch = Watch()
    model = DeepCCA(
        2,
        hidden_layer_sizes=(16,),
        cv=None,
        lr=0.2,
        dropout=0.5,
        n_iter_no_change=3,
        max_epochs=40,
        callbacks=[watch],
        random_state=0,
    )
    return model.fit(curves[0]), watch


def test_the_best_epoch_is_kept(curves, stopped):
    model, watch = stopped
    assert model.linear_share_ == 0
    scores = model.history_.valid_score
    best = scores.idxmax()
    assert model.history_.epoch[best] < model.history_.epoch.max()
    final = model.net_.module_.state_dict()
    for name, expected in watch.weights[model.history_.epoch[best]].items():
        assert torch.equal(final[name], expected)
    train, valid = (model.transform_each(curves[0][rows.numpy()]) for rows in watch.rows)
    # The axes are those of the training codes, whatever linear CCA closes.
    assert_allclose(total_correlation(train, valid), scores.max(), atol=1e-4)


def test_training_stops_after_epochs_without_a_gain(stopped):
    model, _ = stopped
    epochs, scores = model.history_.epoch, model.history_.valid_score
    assert epochs.max() < 40
    assert epochs.max() - epochs[scores.idxmax()] == 3


def test_the_history_has_all_terms(stopped):
    model, watch = stopped
    history = model.history_
    terms = ["correlation", "loss"]
    figures = [f"{part}_{term}" for part in ("train", "valid") for term in terms]
    assert set(history) == {"epoch", "lr", "dur", "valid_score", *figures}
    assert history.epoch.tolist() == list(range(len(history)))
    assert history.loc[0, ["train_loss", "lr"]].isna().all()
    assert history.loc[0, ["valid_loss", "valid_score"]].notna().all()
    assert history.loc[1:].notna().all(axis=None)
    assert [len(rows) for rows in watch.rows] == [450, 50]
    assert (history.dur.dropna() > 0).all()


def test_reconstructions_are_terms_of_the_score(curves):
    watch = Watch()
    options = {"max_epochs": 5, "early_stopping": True, "callbacks": [watch]}
    model = small(reconstruction_weight=0.3, lr_schedule="constant", **options).fit(curves[0])
    history = model.history_
    errors = [f"reconstruction_{name}" for name in "ab"]
    for part in ("train", "valid"):
        terms = history[[f"{part}_{term}" for term in ("correlation", *errors)]]
        assert_allclose(history[f"{part}_loss"][1:], terms.sum(axis=1)[1:], rtol=1e-9)
    best = history.loc[history.valid_score.idxmax()]
    train, valid = (model.transform_each(curves[0][rows.numpy()]) for rows in watch.rows)
    expected = total_correlation(train, valid) - sum(best[f"valid_{term}"] for term in errors)
    assert_allclose(best.valid_score, expected, atol=1e-4)
    assert (history.lr[1:] == model.lr).all()


def test_the_error_of_reconstruction_is_minus_the_likelihood(curves):
    X = curves[0]
    watch = Watch()
    options = {"max_epochs": 1, "early_stopping": True, "callbacks": [watch]}
    model = small(reconstruction_weight=0.3, **options).fit(X)
    rows = watch.rows[1].numpy()
    module = model.net_.module_
    for m, name in enumerate(X.names):
        x = (X[name] - X[name].mean(axis=0)) / X[name].std(axis=0)
        with torch.inference_mode():
            z = module.encoders[m](torch.tensor(x[rows], dtype=torch.float32))
            mean = module.decoders[m](z).numpy()
        scale = module.likelihoods[m].scale.detach().numpy()
        error = (x[rows] - mean) ** 2 / (2 * scale**2) + np.log(scale * np.sqrt(2 * np.pi))
        assert model.history_.valid_score.idxmax() == 1
        found = model.history_[f"valid_reconstruction_{name}"][1]
        assert_allclose(found, 0.3 * error.mean(), rtol=1e-4)


# Checkpoints and warm starts


@pytest.mark.parametrize(
    ("error", "hook"),
    [
        (RuntimeError(), "on_batch_end"),
        (SystemExit(), "on_epoch_end"),
        (KeyboardInterrupt(), "on_batch_end"),
        (KeyboardInterrupt(), "on_epoch_end"),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "params",
    [
        {"dropout": 0.5},
        {"early_stopping": True, "lr": 0.05, "normalization": "batch"},
        {"early_stopping": True, "reconstruction_weight": 0.1, "objective": "ey"},
    ],
    ids=["all rows", "early stopping", "decoders"],
)
def test_a_killed_fit_goes_on_to_the_same_codes(curves, tmp_path, params, hook, error):
    X = curves[0]
    model = small(max_epochs=5, **params)
    expected = clone(model).fit(X)
    assert expected.linear_share_ == 0
    kept = {"checkpoint_dir": tmp_path / "new folder", "warm_start": True}
    killed = clone(model).set_params(callbacks=[Kill(error, 3, hook)], **kept)
    with pytest.raises(type(error)):
        killed.fit(X)
    watch = Watch()
    found = clone(model).set_params(callbacks=[watch], **kept).fit(X)
    assert watch.epochs == ([3, 4, 5] if hook == "on_batch_end" else [4, 5])
    assert_same_codes(found, expected, X)
    columns = [name for name in expected.history_ if name != "dur"]
    assert found.history_[columns].equals(expected.history_[columns])


def test_the_interrupted_estimator_goes_on_itself(curves, tmp_path):
    X = curves[0]
    model = small(max_epochs=4, checkpoint_dir=tmp_path, warm_start=True)
    model.set_params(callbacks=[Kill(KeyboardInterrupt(), 3)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert_same_codes(model.set_params(callbacks=None).fit(X), small(max_epochs=4).fit(X), X)


def test_a_finished_fit_is_not_repeated(curves, tmp_path):
    X = curves[0]
    model = small(checkpoint_dir=str(tmp_path)).fit(X)
    watch = Watch()
    again = small(checkpoint_dir=str(tmp_path), warm_start=True, callbacks=[watch]).fit(X)
    assert watch.epochs == []
    assert_same_codes(again, model, X)


def test_without_warm_start_a_checkpoint_is_ignored(curves, tmp_path):
    small(checkpoint_dir=tmp_path).fit(curves[0])
    watch = Watch()
    small(checkpoint_dir=tmp_path, callbacks=[watch]).fit(curves[0])
    assert watch.epochs == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        {"lr": 0.01},
        {"max_epochs": 4},
        {"dropout": 0.2},
        {"objective": "gcca"},
        {"random_state": 1},
        {"encoders": {"a": MLP((16,))}},
    ],
    ids=str,
)
def test_other_parameters_do_not_take_up_a_checkpoint(curves, tmp_path, other):
    kept = {"checkpoint_dir": tmp_path, "warm_start": True}
    small(**kept).fit(curves[0])
    watch = Watch()
    found = small(**{**kept, "callbacks": [watch], **other}).fit(curves[0])
    assert watch.epochs[0] == 1
    assert_same_codes(found, small(**other).fit(curves[0]), curves[0])


def _changed_number(X):
    b = X["b"].copy()
    b[7, 1] += 1
    return Modalities({"a": X["a"], "b": b})


@pytest.mark.parametrize(
    "change",
    [
        _changed_number,
        lambda X: X[::-1],
        lambda X: X[:-1],
        lambda X: X.select(["b", "a"]),
        lambda X: X.with_missing("b", [0]),
    ],
    ids=["number", "order of rows", "rows", "order of modalities", "missing row"],
)
def test_other_data_do_not_take_up_a_checkpoint(tmp_path, change):
    X = make_curves(100)
    kept = {"objective": "ey", "checkpoint_dir": tmp_path, "warm_start": True}
    small(**kept).fit(X)
    watch = Watch()
    small(**kept, callbacks=[watch]).fit(change(X))
    assert watch.epochs == [1, 2, 3]


def test_a_missing_image_is_not_a_dark_one(tmp_path):
    """Zeros are what stands at missing rows of whole numbers."""
    rng = np.random.default_rng(0)
    b = rng.integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
    b[0] = 0
    X = Modalities({"a": rng.standard_normal((60, 2)), "b": b})
    kept = {"objective": "ey", "checkpoint_dir": tmp_path, "warm_start": True}
    small(**kept).fit(X)
    watch = Watch()
    small(**kept, callbacks=[watch]).fit(X.with_missing("b", [0]))
    assert watch.epochs == [1, 2, 3]


SCRIPT = """
import os, sys
import joblib
from skorch.callbacks import Callback

class Die(Callback):
    def on_batch_end(self, net, **kwargs):
        if net.history[-1]["epoch"] == 3:
            os._exit(9)

model, X = joblib.load(sys.argv[1])
model.set_params(callbacks=[Die()]).fit(X)
"""


def test_another_process_goes_on_where_one_was_killed(tmp_path):
    X = make_curves(100)
    functions = {
        "objective": partial(vicreg_loss, invariance_weight=10.0),
        "lr_schedule": partial(math.pow, 0.5),
        "encoders": {"a": MLP((4,))},
    }
    model = small(max_epochs=4, **functions)
    kept = clone(model).set_params(checkpoint_dir=tmp_path / "states", warm_start=True)
    joblib.dump((kept, X), tmp_path / "start")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "start")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    watch = Watch()
    kept.set_params(callbacks=[watch]).fit(X)
    assert watch.epochs == [3, 4]
    assert_same_codes(kept, model.fit(X), X)


def numpy_schedule(progress):
    return np.cos(progress)  # no float


def test_checkpoints_with_a_schedule_of_numpy(curves, tmp_path):
    model = small(lr_schedule=numpy_schedule)
    kept = {"checkpoint_dir": tmp_path, "warm_start": True}
    killed = clone(model).set_params(callbacks=[Kill(RuntimeError(), 3)], **kept)
    with pytest.raises(RuntimeError):
        killed.fit(curves[0])
    watch = Watch()
    found = clone(model).set_params(callbacks=[watch], **kept).fit(curves[0])
    assert watch.epochs == [3]
    assert_same_codes(found, model.fit(curves[0]), curves[0])


def test_a_warm_start_goes_on_from_the_last_weights(curves):
    X = curves[0]
    still = {"lr": 1e-12, "max_epochs": 1}
    model = small(hidden_layer_sizes=(32, 32), lr=0.02, max_epochs=20).fit(X)
    cold = clone(model).set_params(**still).fit(X)
    assert model.score(X) > cold.score(X) + 0.3
    warm = clone(model).fit(X).set_params(warm_start=True, random_state=1, **still).fit(X)
    assert warm.history_.epoch.tolist() == [1]
    assert_same_codes(warm, model, X, atol=1e-6)


def test_a_warm_start_with_other_widths_is_refused(curves):
    X = curves[0]
    model = small(warm_start=True).fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError, match="warm_start=True needs networks and modalities as"):
        model.set_params(hidden_layer_sizes=(8,)).fit(X)
    assert_array_equal(model.transform(X), before)
    model.set_params(warm_start=False).fit(X)


def test_a_warm_start_after_the_linear_solution_starts_anew():
    X = make_linear(300)
    model = small(early_stopping=True, warm_start=True).fit(X)
    assert model.linear_share_ == 1
    expected = model.history_.valid_score
    assert model.fit(X).history_.valid_score.equals(expected)


# Faults and Ctrl-C


class Faulty:
    """An objective that becomes NaN when told to."""

    def __init__(self, value=np.nan):
        self.value = value
        self.failing = False

    def __call__(self, codes, observed=None):
        size = sum(code.double().square().mean() for code in codes)
        return {**cca_loss(codes), "size": size * (self.value if self.failing else 0.1)}


class Fail(Callback):
    def __init__(self, objective, epoch):
        self.objective = objective
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        self.objective.failing = net.history[-1]["epoch"] == self.epoch


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"warm_start": True}], ids=str)
def test_nan_names_term_and_epoch_and_changes_nothing(curves, value, params):
    X = curves[0]
    objective = Faulty(value)
    model = small(objective=objective, callbacks=[Fail(objective, 2)], **params)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"'size' became NaN or infinite in epoch 2\b"):
        model.fit(X)
    assert vars(model) == before

    fitted = model.set_params(callbacks=None)
    objective.failing = False
    fitted.fit(X)
    codes, history = fitted.transform(X), fitted.history_
    fitted.set_params(callbacks=[Fail(objective, 3)])
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match=r"in epoch 3\b"):
        fitted.fit(X)
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())
    assert_array_equal(fitted.transform(X), codes)
    assert fitted.history_.equals(history)


def test_a_callbacks_fault_changes_nothing(curves):
    model = small(callbacks=[Kill(RuntimeError("mine"))])
    before = dict(vars(model))
    with pytest.raises(RuntimeError, match="mine"):
        model.fit(curves[0])
    assert vars(model) == before


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("epoch", [1, 2])
def test_ctrl_c_leaves_a_fitted_estimator(curves, early_stopping, epoch):
    X = curves[0]
    watch = Watch()
    options = {"reconstruction_weight": 0.1, "early_stopping": early_stopping}
    model = small(callbacks=[watch, Kill(KeyboardInterrupt(), epoch)], **options)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.transform(X).shape == (500, 2)
    assert np.isfinite(model.score(X))
    assert model.sample(3).shape == (3, 2)
    whole = [0] * early_stopping + list(range(1, epoch))
    assert model.history_.get("epoch", model.history_.index).tolist() == whole
    assert model.linear_share_ == (early_stopping and epoch == 1)  # nothing has been learned
    if early_stopping and epoch > 1:
        best = model.history_.epoch[model.history_.valid_score.idxmax()]
        for name, expected in watch.weights[best].items():
            assert torch.equal(model.net_.module_.state_dict()[name], expected)


def test_ctrl_c_keeps_the_linear_solution_if_it_is_better():
    model = small(early_stopping=True, callbacks=[Kill(KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        model.fit(make_linear(300))
    assert model.linear_share_ == 1


# Batches


def n_warnings(recwarn):
    return sum("too few for 4 components" in str(w.message) for w in recwarn)


@pytest.mark.parametrize(
    ("objective", "batch_size", "warned"),
    [
        ("cca", 8, True),
        ("gcca", 8, True),
        ("cca", 9, False),
        ("gcca", 9, False),
        ("ey", 8, False),
        ("barlow_twins", 8, False),
        ("vicreg", 8, False),
        ("infonce", 8, False),
    ],
)
def test_batches_too_small_to_whiten(recwarn, objective, batch_size, warned):
    X = make_linear(60)
    small(4, objective=objective, batch_size=batch_size, max_epochs=1).fit(X)
    assert len(recwarn) == warned == n_warnings(recwarn)


@pytest.mark.parametrize(
    ("n", "n_components", "batch_size", "expected"),
    [
        (105, 2, 50, [50, 50]),
        (100, 2, 50, [50, 50]),
        (40, 2, 50, [40]),
        (150, 2, "auto", [150]),  # at least 200, or all
        (450, 2, "auto", [200, 200]),
        (650, 30, "auto", [300, 300]),  # ten times the components
        (1255, 2, "auto", [251] * 5),  # a fifth
        (5100, 2, "auto", [1000] * 5),  # at most 1000
    ],
)
def test_batch_sizes(n, n_components, batch_size, expected):
    watch = Watch()
    options = {"batch_size": batch_size, "max_epochs": 2, "callbacks": [watch]}
    small(n_components, objective="ey", **options).fit(make_linear(n))
    assert watch.batches == expected * 2


# Missing modalities

OTHERS = ["gcca", "ey", "barlow_twins", "vicreg", "infonce"]


@pytest.mark.parametrize("objective", OTHERS)
@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": True, "reconstruction_weight": 1.0, "cv": 3}]
)
def test_what_stands_at_missing_rows_does_not_matter(objective, params):
    X = make_incomplete()
    missing = X.missing.to_numpy()
    junk = {}
    for m, name in enumerate(X.names):
        junk[name] = X[name].copy()
        junk[name][missing[:, m]] = 1e6 * np.random.default_rng(m).standard_normal()
    model = small(objective=objective, validation_fraction=0.3, **params)
    found = clone(model).fit(Modalities(junk, missing=missing))
    expected = model.fit(X)
    assert_same_codes(found, expected, X)
    assert np.isfinite(expected.transform(X)).all()
    # Arrays with NaN throughout a row's columns say the same.
    flat = np.hstack([X[name] for name in X.names])
    slices = {"a": slice(0, 5), "b": slice(5, 9), "c": slice(9, 12)}
    array = clone(model).set_params(modalities=slices).fit(flat)
    assert_array_equal(array.transform(flat), expected.transform(X))


@pytest.mark.parametrize("objective", OTHERS)
def test_missing_rows_change_the_fit(objective):
    complete = Modalities(linear_arrays(90, widths=(5, 4, 3)))
    model = small(objective=objective)
    assert differ(clone(model).fit(complete), model.fit(make_incomplete()), complete, atol=1e-3)


def test_whole_numbers_at_missing_rows_do_not_matter():
    X = make_curves(90)
    counts = np.round(np.abs(5 * X["b"])).astype(int)
    rows = np.arange(0, 90, 3)
    options = {"reconstruction_weight": 0.1, "precision": "float64"}
    variants = []
    for dtype, value in ((int, 0), (int, 1000), (float, 7)):
        b = counts.astype(dtype)
        b[rows] = value
        mask = {"b": np.isin(np.arange(90), rows)}
        X = Modalities({"a": X["a"], "b": b}, missing=mask, kinds={"b": "count"})
        variants.append(small(objective="ey", **options).fit(X))
    for model in variants[:-1]:
        assert_same_codes(model, variants[-1], X, atol=1e-5)


def test_cca_refuses_missing_modalities():
    X = make_linear(60).with_missing("b", [3])
    with pytest.raises(ValueError, match=r"complete rows in fit.*\['b'\].*'gcca'"):
        small(objective="cca").fit(X)


def test_a_row_is_transformed_by_what_it_has():
    X = make_incomplete()
    model = small(objective="gcca").fit(X)
    codes = model.transform_each(X)
    missing = X.missing.to_numpy()
    for m, name in enumerate(X.names):
        assert_array_equal(np.isnan(codes[name]), np.repeat(missing[:, [m]], 2, axis=1))
    assert_allclose(model.transform(X), np.nanmean(np.stack(list(codes.values())), axis=0))
    assert_allclose(model.transform(X.select(["c"])), codes["c"])
    assert_allclose(model.transform({"b": X["b"][2:3]}), codes["b"][2:3])
    with pytest.raises(ValueError, match="missing"):
        model.transform(X.select(["a"]))


# Decoders


def follow(a):
    """Return an invertible function of two columns."""
    return np.c_[np.exp(1.5 * a[:, 0]), a[:, 1] + 2 * a[:, 0] ** 2]


@pytest.fixture(scope="module")
def decoding():
    """DCCAE of data where b follows from a."""
    a = np.random.default_rng(0).uniform(-1, 1, (900, 2))
    X = Modalities({"a": a, "b": follow(a)})
    model = DeepCCA(
        2,
        hidden_layer_sizes=(64, 64),
        reconstruction_weight=0.1,
        early_stopping=False,
        batch_size=100,
        max_epochs=60,
        lr=0.01,
        dropout=0.0,
        random_state=0,
    )
    return model.fit(X[:600]), X[:600], X[600:]


DECODING = ("inverse_transform", "translate", "impute", "sample")


def test_decoding_follows_the_weight(curves):
    model = small(max_epochs=1)
    for weight in (0.0, 0.5, 0.0):
        model.set_params(reconstruction_weight=weight)
        if hasattr(model, "net_"):  # without decoders, whatever is asked of the next fit
            assert [hasattr(model, name) for name in DECODING] == [False] * 4
        model.fit(curves[0])
        assert [hasattr(model, name) for name in DECODING] == [weight > 0] * 4
        assert len(model.net_.module_.decoders) == 2 * (weight > 0)


def test_translate_predicts_what_follows(decoding):
    model, _, X = decoding
    assert r2_score(X["b"], model.translate(X.select(["a"]), "b")) > 0.8
    missing = X.with_missing("b")
    assert_allclose(model.translate(missing, "b"), model.translate(X.select(["a"]), "b"))
    assert_allclose(model.translate(X, "b"), model.translate(X.select(["a"]), "b"))


def test_inverse_transform_reconstructs(decoding):
    model, _, X = decoding
    found = model.inverse_transform(model.transform(X))
    assert found.names == X.names
    assert r2_score(X["b"], found["b"]) > 0.8


def test_impute_leaves_what_was_observed(decoding):
    model, _, X = decoding
    rows = np.arange(0, len(X), 3)
    found = model.impute(X.with_missing("b", rows))
    rest = np.delete(np.arange(len(X)), rows)
    assert_array_equal(found["a"], X["a"])
    assert_array_equal(found["b"][rest], X["b"][rest])
    assert_allclose(found["b"][rows], model.translate(X[rows], "b"), atol=1e-9)
    assert not found.missing.to_numpy().any()


def test_samples_have_the_moments_of_the_data(decoding):
    model, X, _ = decoding
    found = model.sample(4000)
    assert found.names == X.names
    for name in X.names:
        deviation = X[name].std(axis=0)
        assert_allclose(found[name].mean(axis=0), X[name].mean(axis=0), atol=0.2 * deviation.min())
        assert_allclose(found[name].std(axis=0), deviation, rtol=0.2)
        expected = np.corrcoef(X[name].T)[0, 1]
        assert_allclose(np.corrcoef(found[name].T)[0, 1], expected, atol=0.15)
    # Rows belong together: b follows from a, but for what each draws around its expectation.
    assert r2_score(found["b"], follow(found["a"])) > 0.5


def test_draws_follow_the_random_state(decoding):
    model, _, X = decoding
    holes = X.with_missing("b", np.arange(0, len(X), 2))
    state = torch.get_rng_state()

    def draw(seed, given=None):
        drawn = model.sample(2, given=given, random_state=seed)
        drawn = [drawn] if given is None else drawn
        return np.stack([part["b"] for part in drawn])

    for given in (None, holes):
        assert_array_equal(draw(1, given), draw(1, given))
        assert (draw(1, given) != draw(2, given)).any()
        assert_array_equal(draw(None, given), draw(0, given))  # the estimator's
        generator = np.random.RandomState(1)
        assert_array_equal(draw(generator, given), draw(1, given))
        assert (draw(generator, given) != draw(1, given)).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_given_what_is_there(decoding):
    model, _, X = decoding
    rows = np.arange(0, len(X), 2)
    draws = model.sample(30, given=X.with_missing("b", rows), random_state=0)
    assert len(draws) == 30
    others = np.delete(np.arange(len(X)), rows)
    for drawn in draws:
        assert_array_equal(drawn["a"], X["a"])
        assert_array_equal(drawn["b"][others], X["b"][others])
    found = np.stack([drawn["b"][rows] for drawn in draws])
    assert (found.std(axis=0) > 0).all()
    assert r2_score(X["b"][rows], found.mean(axis=0)) > 0.6


def whole_numbers(n):
    """A circle, and by its angle: bits, counts."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, n)
    rates = np.exp(1 + on_circle(angle))
    bits = (on_circle(angle - 1) > 0).astype(float)
    data = {"circle": on_circle(angle), "bits": bits, "counts": rng.poisson(rates).astype(float)}
    return Modalities(data, kinds={"bits": "binary", "counts": "count"}), rates


@pytest.mark.parametrize("named", [False, True])
def test_likelihoods_of_bits_and_counts(named):
    X, rates = whole_numbers(600)
    options = {"objective": "ey", "reconstruction_weight": 0.3, "dropout": 0.0}
    if named:
        X = Modalities(dict(X.items()))
        options["likelihoods"] = {"bits": "bernoulli", "counts": "poisson"}
    train, test = X[:400], X[400:]
    model = small(hidden_layer_sizes=(32, 32), max_epochs=60, lr=0.01, **options).fit(train)
    circle = test.select(["circle"])
    probabilities = model.translate(circle, "bits")
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert ((probabilities > 0.5) == test["bits"]).mean() > 0.85
    expected = model.translate(circle, "counts")
    assert (expected > 0).all()
    assert r2_score(rates[400:], expected) > 0.5
    drawn = model.sample(500)
    assert set(np.unique(drawn["bits"])) == {0, 1}
    assert (drawn["counts"] >= 0).all()
    assert_array_equal(drawn["counts"], np.round(drawn["counts"]))
    assert_allclose(drawn["counts"].mean(axis=0), train["counts"].mean(axis=0), rtol=0.25)


def test_laplace_is_another_likelihood(curves):
    gaussian = small(reconstruction_weight=1.0).fit(curves[0])
    laplace = small(reconstruction_weight=1.0, likelihoods={"a": "laplace"}).fit(curves[0])
    kinds = [type(head).__name__ for head in laplace.net_.module_.likelihoods]
    assert kinds == ["LaplaceLikelihood", "GaussianLikelihood"]
    assert differ(gaussian, laplace, curves[0], atol=1e-6)


def test_without_decoders_other_codes(curves):
    with_decoders = small(reconstruction_weight=1.0).fit(curves[0])
    assert differ(with_decoders, small().fit(curves[0]), curves[0], atol=1e-3)


# Images, tokens, factories, shared layers


def make_pictures(n, seed=0):
    """Images with a bright stripe, and a sentence that says in which row."""
    rng = np.random.default_rng(seed)
    row = rng.integers(0, 4, n)
    image = 0.3 * rng.standard_normal((n, 1, 6, 5))
    image[np.arange(n), 0, row] += 2.0
    text = np.c_[rng.integers(5, 8, n), 1 + row, rng.integers(5, 8, n), np.zeros(n, dtype=int)]
    return Modalities({"image": image, "text": text}, kinds={"text": "tokens"})


@pytest.fixture(scope="module")
def pictures():
    X = make_pictures(400)
    network = small(3, max_epochs=8, batch_size=100, early_stopping=True, dropout=0.0, lr=0.02)
    return network.fit(X[:300]), X[:300], X[300:]


def test_images_and_tokens_are_encoded_by_their_kind(pictures):
    model, train, test = pictures
    image, text = model.net_.module_.encoders
    assert type(image) is type(Conv()((1, 6, 5), 3))
    assert type(text) is type(Tokens(8)((4,), 3))
    assert text.embedding.num_embeddings == train["text"].max() + 1 == 8
    assert model.linear_share_ == 0  # token ids are no numbers
    assert model.score(test) > 2
    codes = model.transform_each(test)
    assert_allclose(total_correlation(model.transform_each(train), codes), model.score(test))
    assert_allclose(model.transform(test.select(["text"])), codes["text"])


def test_ids_outside_the_vocabulary_are_refused(pictures):
    model, _, test = pictures
    text = test["text"].copy()
    text[5, 1] = 8
    for X in ({"image": test["image"], "text": text}, {"text": text}):
        X = Modalities(X, kinds={"text": "tokens"})
        for method in (model.transform, model.transform_each):
            with pytest.raises(ValueError, match=r"'text'.*8"):
                method(X)


def test_ids_outside_a_given_vocabulary_are_refused_in_fit():
    X = make_pictures(40)
    with pytest.raises(ValueError, match=r"'text'.*7"):
        small(encoders={"text": Tokens(7)}).fit(X)
    larger = small(encoders={"text": Tokens(50)}).fit(X)
    assert larger.net_.module_.encoders[1].embedding.num_embeddings == 50


def test_images_are_scaled_per_channel():
    rng = np.random.default_rng(0)
    image = rng.standard_normal((60, 2, 4, 4)) * np.array([1, 50])[:, None, None] + 3
    X = Modalities({"image": image, "a": image.mean(axis=(2, 3))})
    scaler = small(max_epochs=1).fit(X).net_.module_.scalers[0]
    assert_allclose(scaler.mean.numpy().ravel(), image.mean(axis=(0, 2, 3)), rtol=1e-5)
    assert_allclose(scaler.scale.numpy().ravel(), image.std(axis=(0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("flat", [False, True])
def test_images_can_keep_the_linear_solution(flat):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 2))
    image = z @ rng.standard_normal((2, 12)) + 0.5 * rng.standard_normal((300, 12))
    shaped = image if flat else image.reshape(300, 1, 3, 4)
    X = Modalities({"image": shaped, "a": z + 0.5 * rng.standard_normal((300, 2))})
    model = small(early_stopping=True, max_epochs=1).fit(X)
    assert model.linear_share_ == 1
    expected = CCA(2).fit({"image": image, "a": X["a"]}).canonical_correlations_
    assert_allclose(model.canonical_correlations_, expected, atol=0.02)


def plain(input_shape, n_outputs):
    return nn.Sequential(nn.Linear(input_shape[0], 8), nn.Tanh(), nn.Linear(8, n_outputs))


def test_factories_draw_from_a_private_generator(curves):
    X = curves[0]
    model = small(encoders={"a": plain})
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = clone(model).fit(X)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(first.net_.module_.encoders[0][1]) is nn.Tanh
    torch.manual_seed(2)
    assert_same_codes(clone(model).fit(X), first, X)
    other = clone(model).set_params(random_state=1).fit(X)
    assert differ(other, first, X, atol=1e-3)


def test_factories_may_set_the_weights(curves):
    def axes(input_shape, n_outputs):
        layer = nn.Linear(input_shape[0], n_outputs, bias=False)
        nn.init.eye_(layer.weight)
        return layer

    X = curves[0]
    still = {"lr": 1e-12, "max_epochs": 1, "precision": "float64"}
    model = small(encoders={"a": axes, "b": axes}, **still).fit(X)
    expected = CCA(2).fit(X)  # of the standardised columns themselves
    assert_same_up_to_sign(model.transform_each(X), expected.transform_each(X), atol=1e-6)


def test_specs_and_factories_side_by_side(curves):
    model = small(encoders={"a": MLP((5,), activation="tanh")}, hidden_layer_sizes=(7, 6))
    a, b = model.fit(curves[0]).net_.module_.encoders
    sizes = [[w.shape for w in e.parameters() if w.dim() == 2] for e in (a, b)]
    assert sizes == [[(5, 2), (2, 5)], [(7, 2), (6, 7), (2, 6)]]


def test_shared_layers_are_one_common_network(curves):
    X = curves[0]
    shared = small(shared_layer_sizes=(8,), normalization=None).fit(X)
    module = shared.net_.module_
    # Each modality: 2 to 16, 16 to 16. Common: 16 to 8, 8 to 2. Weights and biases.
    each, common = (2 * 16 + 16) + (16 * 16 + 16), (16 * 8 + 8) + (8 * 2 + 2)
    assert sum(w.numel() for w in module.parameters()) == 2 * each + common
    assert sum(w.numel() for w in module.common.parameters()) == common
    alone = small(normalization=None).fit(X).net_.module_
    assert sum(w.numel() for w in alone.parameters()) == 2 * ((2 * 16 + 16) + (16 * 2 + 2))
    calls = []
    hook = module.common.register_forward_hook(lambda m, x, out: calls.append(len(out)))
    with torch.inference_mode():
        module({name: torch.tensor(X[name], dtype=torch.float32) for name in X.names})
    hook.remove()
    assert calls == [500, 500]


# Objectives of one's own


class Recorder:
    """A dict of terms that remembers what it was given."""

    def __init__(self):
        self.seen = []

    def __call__(self, codes, observed=None):
        self.seen.append(([tuple(c.shape) for c in codes], observed))
        terms = vicreg_loss(codes, observed=observed)
        return {"mine": terms["invariance"], "spread": terms["variance"]}


def test_an_objective_is_given_codes_and_what_is_observed(curves):
    objective = Recorder()
    options = {"max_epochs": 1, "batch_size": 50, "early_stopping": True}
    model = small(3, objective=objective, reconstruction_weight=0.1, **options).fit(curves[0])
    assert [shapes for shapes, _ in objective.seen] == (
        [[(50, 3)] * 2] + [[(50, 3)] * 2] * 9 + [[(50, 3)] * 2]
    )  # validation, batches, validation
    assert all(observed is None for _, observed in objective.seen)
    assert {"train_mine", "train_spread", "valid_mine", "valid_spread"} <= set(model.history_)

    X = make_incomplete()
    objective = Recorder()
    shuffled = {"iterator_train__shuffle": False}
    small(objective=objective, batch_size=30, max_epochs=1, net_params=shuffled).fit(X)
    found = np.concatenate([observed.numpy() for _, observed in objective.seen])
    assert_array_equal(found, ~X.missing.to_numpy())


def one_tensor(codes, observed=None):
    return (codes[0] - codes[1]).square().mean() + sum(
        (c.std(dim=0) - 1).abs().mean() for c in codes
    )


def test_an_objective_may_return_a_tensor(curves):
    history = small(objective=one_tensor, max_epochs=20).fit(curves[0]).history_
    assert set(history) == {"epoch", "lr", "dur", "train_objective", "train_loss"}
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]


def test_partial_sets_the_options_of_a_loss(curves):
    X = curves[0]
    model = small(objective=partial(vicreg_loss, covariance_weight=0.0)).fit(X)
    terms = ["invariance", "variance", "covariance"]
    assert {f"train_{term}" for term in terms} <= set(model.history_)
    assert (model.history_.train_covariance == 0).all()
    defaults = small(objective=partial(vicreg_loss)).fit(X)
    assert (defaults.history_.train_covariance > 0).all()
    assert_same_codes(defaults, small(objective="vicreg").fit(X), X)


# Precision and output


class Outputs(nn.Linear):
    """A layer that remembers of which type its outputs were in training."""

    def forward(self, x):
        z = super().forward(x)
        if self.training:
            self.seen = z.dtype
        return z


@pytest.mark.parametrize(
    ("precision", "weights", "outputs"),
    [
        ("float32", torch.float32, torch.float32),
        ("float64", torch.float64, torch.float64),
        ("bf16", torch.float32, torch.bfloat16),
    ],
)
def test_precision_of_weights_and_outputs(curves, precision, weights, outputs):
    encoders = {"a": lambda shape, k: Outputs(shape[0], k)}
    model = small(encoders=encoders, precision=precision).fit(curves[0])
    module = model.net_.module_
    assert {w.dtype for w in module.parameters()} == {weights}
    assert module.encoders[0].seen == outputs
    assert model.transform(curves[0]).dtype == np.float64


def test_bf16_learns_the_same(curves, bent):
    train, test = curves
    model = clone(bent).set_params(precision="bf16").fit(train)
    assert model.linear_share_ == 0
    assert abs(model.score(test) - bent.score(test)) < 0.1


@pytest.mark.parametrize("verbose", [0, 1, 2, False, True])
def test_output_of_training(curves, capsys, verbose):
    small(verbose=verbose).fit(curves[0])
    out, err = capsys.readouterr()
    if verbose == 2:
        assert not err
        assert "train_loss" in out
        assert (
            len([line for line in out.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])])
            == 3
        )
    else:
        assert not out
        assert ("3/3" in err and "train_loss" in err) == bool(verbose) == bool(err)


# Tools of scikit-learn and skorch


def make_classes(n, seed=0):
    """Curves, and in which quadrant the angle of the second is."""
    X = make_curves(n, seed)
    return X, 2 * (X["b"][:, 0] > 0) + (X["b"][:, 1] > 0)


GRID = [
    {"align": [CCA(2)]},
    {
        "align": [
            small(max_epochs=20, lr=0.02),
            small(early_stopping=True, validation_fraction=0.3),
        ],
        "align__hidden_layer_sizes": [(4,), (32, 32)],
    },
    {
        "align": [small()],
        "align__objective": ["ey", partial(vicreg_loss, variance_weight=10.0)],
        "align__lr": [1e-4, 1e-3],
    },
]


@pytest.mark.parametrize("form", ["Modalities", "array"])
def test_search_over_linear_and_deep(form):
    X, y = make_classes(240)
    slices = {"a": slice(0, 2), "b": slice(2, 4)}
    if form == "array":
        X = np.hstack([X["a"], X["b"]])
    pipeline = Pipeline([("align", CCA()), ("clf", LogisticRegression())])
    grid = [{**part, "align": list(map(clone, part["align"]))} for part in GRID]
    if form == "array":
        for part in grid:
            part["align__modalities"] = [slices]
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 1 + 4 + 4
    best = search.best_estimator_
    assert isinstance(best["align"], DeepCCA)
    test, labels = make_classes(200, seed=1)
    test = np.hstack([test["a"], test["b"]]) if form == "array" else test
    assert (best.predict(test) == labels).mean() > 0.6  # four classes
    linear = search.cv_results_["mean_test_score"][0]
    assert search.best_score_ > linear


@pytest.mark.parametrize("how", ["pickle", "joblib"])
def test_copies_of_a_fitted_estimator(curves, bent, pictures, decoding, tmp_path, how):
    for model, X in ((bent, curves[1]), pictures[::2], decoding[::2]):
        if how == "pickle":
            copy = pickle.loads(pickle.dumps(model))
        else:
            joblib.dump(model, tmp_path / "model")
            copy = joblib.load(tmp_path / "model")
        assert_array_equal(copy.transform(X), model.transform(X))
        assert copy.score(X) == model.score(X)
        assert copy.history_.equals(model.history_)


def test_a_clone_fits_the_same(curves, bent):
    X = curves[0]
    assert_same_codes(clone(bent).fit(X), bent, X)


def test_no_data_in_the_pickle(curves):
    train = curves[0]
    size = [len(pickle.dumps(small().fit(X))) for X in (train[:100], train)]
    assert size[1] - size[0] < 400  # 400 rows of 32 bytes more


def test_a_data_loader_can_take_the_place(curves):
    X = curves[0]
    plain = small(net_params={"iterator_train__shuffle": False, "iterator_train__drop_last": True})
    loader = small(net_params={"iterator_train": DataLoader, "iterator_train__drop_last": True})
    expected, found = plain.fit(X), loader.fit(X)
    assert_same_codes(found, expected, X, atol=1e-4)
    shuffled = small(net_params={"iterator_train__shuffle": True}).fit(X)
    assert differ(shuffled, expected, X, atol=1e-4)


def test_net_params_reach_the_optimizer(curves):
    params = {"optimizer__betas": (0.5, 0.6), "optimizer__eps": 1e-3, "lr": 0.5}
    model = small(lr_schedule="constant", net_params=params).fit(curves[0])
    (group,) = model.net_.optimizer_.param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.5, 0.6), 1e-3, 1e-2)
    assert (model.history_.lr == 0.5).all()


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
        (torch.optim.RMSprop, torch.optim.RMSprop),
    ],
)
def test_optimizers(curves, optimizer, kind):
    model = small(optimizer=optimizer, weight_decay=0.25, max_epochs=1).fit(curves[0])
    assert type(model.net_.optimizer_) is kind
    assert model.net_.optimizer_.param_groups[0]["weight_decay"] == 0.25


def test_scores_of_skorch_are_in_the_history(curves):
    def n_rows(net, X, y=None):
        return float(len(X))

    scoring = EpochScoring(n_rows, name="rows", use_caching=False, on_train=True)
    model = small(callbacks=[("rows", scoring)], max_epochs=2).fit(curves[0])
    assert model.history_.rows.tolist() == [500.0, 500.0]


# Inputs in raw units


def rescaled(X, factor, shift):
    return Modalities({name: X[name] * factor + shift for name in X.names})


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("factor", "shift"), [(1e4, 0.0), (1e-4, 0.0), (3.0, 1e3), (1e5, -1e6)])
def test_units_do_not_matter(curves, early_stopping, factor, shift):
    train, test = curves
    model = small(precision="float64", early_stopping=early_stopping)
    expected = clone(model).fit(train)
    found = model.fit(rescaled(train, factor, shift))
    codes = found.transform_each(rescaled(test, factor, shift))
    for name, code in expected.transform_each(test).items():
        assert_allclose(codes[name], code, atol=1e-5)
    assert found.linear_share_ == expected.linear_share_


def test_units_of_columns_do_not_matter_in_single_precision(curves):
    train, test = (Modalities({n: v.astype(np.float32) for n, v in X.items()}) for X in curves)
    model = small()
    columns = np.array([1024.0, 1 / 512], dtype=np.float32)  # exact
    expected = clone(model).fit(train).transform(test)
    found = model.fit(rescaled(train, columns, 0)).transform(rescaled(test, columns, 0))
    assert_allclose(found, expected, atol=1e-3)


def test_outliers_are_clipped(bent, curves):
    train, test = curves
    mean, scale = train["a"].mean(axis=0), train["a"].std(axis=0)

    def codes(deviations):
        a = test["a"][:5].copy()
        a[:, 1] = (mean + deviations * scale)[1]
        return bent.transform({"a": a})

    seen = (train["a"][:, 1] - mean[1]) / scale[1]
    for sign in (-1, 1):  # one deviation beyond the training range
        end = sign * (np.max(sign * seen) + 1.0)
        limit = codes(end)
        assert_allclose(codes(sign * 1e6), limit, atol=1e-4)
        assert_allclose(codes(end + sign * 0.5), limit, atol=1e-4)
        assert np.abs(codes(end - sign * 0.5) - limit).max() > 1e-3


def test_the_linear_solution_is_not_clipped():
    X = make_linear(400)
    model = small(early_stopping=True, max_epochs=1).fit(X)
    assert model.linear_share_ == 1
    far, farther = (model.transform({"a": k * X["a"][:5]}) for k in (1e3, 2e3))
    assert_allclose(farther / far, 2, rtol=0.01)


def test_constant_columns_do_no_harm(curves):
    train, test = curves
    options = {"precision": "float64", "max_epochs": 1, "lr": 1e-12, "hidden_layer_sizes": ()}
    wide = [
        Modalities({"a": np.c_[X["a"], np.full(len(X), 7.0)], "b": X["b"]}) for X in (train, test)
    ]
    found = small(**options).fit(wide[0]).transform_each(wide[1])
    expected = CCA(2).fit(train).transform_each(test)  # of any invertible map of two columns
    assert_same_up_to_sign(found, expected, atol=1e-6)


def test_codes_are_compared_on_some_of_many_validation_rows(monkeypatch):
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((6000, 2))

    def codes(noise):
        both = {name: shared + noise * rng.standard_normal((6000, 2)) for name in "ab"}
        place = np.arange(6000) % 200  # 30 rows have both, 15 of them held out
        both["b"][(place > 0) & (place <= 150)] = np.nan
        both["a"][place > 150] = np.nan
        return both

    near, far, rows = codes(0.1), codes(2.0), np.arange(6000)
    X = Modalities(near)
    for n_compared in (10, 100, 10_000):
        monkeypatch.setattr(_held_out, "N_COMPARED", n_compared)
        chosen = _held_out.compared(X, rows[3000:])
        place = chosen % 200
        for group, n in ((place == 0, 15), (place > 150, 15 * 49)):  # of which some are everywhere
            assert group.sum() == min(n_compared, n)
            assert chosen[group].min() < 3200
            assert chosen[group].max() >= 5800
        assert len(chosen) == sum(min(n_compared, n) for n in (15, 15 * 49, 15 * 150))
        close, other = (held_out(codes, rows[:3000], chosen) for codes in (near, far))
        for first, second, verdict in ((close, other, True), (other, close, False)):
            assert _held_out.is_surely_better([first], [second], X, 0) == verdict
        assert not _held_out.is_surely_better([close], [close], X, 0)


# One way through a fit


def test_data_are_checked_once_however_many_linear_models_are_compared():
    calls = []

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_name == "check_modalities":
            calls.append(frame.f_code.co_filename)

    model, X = small(early_stopping=True, validation_fraction=0.3), make_linear(100)
    sys.setprofile(note)
    try:
        model.fit(X)
    finally:
        sys.setprofile(None)
    assert model.linear_share_ == 1
    assert len(calls) == 1


def test_warnings_name_the_line_that_called_fit():
    with pytest.warns(UserWarning, match="too few to tell") as found:
        small(early_stopping=True).fit(make_linear(50))
    assert [warning.filename for warning in found] == [__file__]


class Endless(nn.Linear):
    """Infinite outputs for all rows at once, after training."""

    def forward(self, x):
        return super().forward(x) * (1.0 if self.training or len(x) < 3 else math.inf)


def test_codes_that_are_not_finite_are_refused():
    encoders = {"a": lambda shape, n_outputs: Endless(shape[0], n_outputs)}
    with pytest.raises(ValueError, match="codes of modality 'a' are not finite"):
        small(encoders=encoders).fit(make_linear(50))
