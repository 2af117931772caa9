"""skorch's own callbacks and settings: they work, or are refused with what does it instead."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, make_scorer
from skorch.callbacks import (
    BatchScoring,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
)
from skorch.dataset import ValidSplit
from skorch.helper import predefined_split
from torch.optim.lr_scheduler import CyclicLR

from skmm import ConditionalGAN, MultimodalAutoencoder, MultimodalClassifier

rng = np.random.default_rng(0)
X = {"a": rng.normal(size=(80, 5)), "b": rng.normal(size=(80, 4))}
y = np.arange(80) % 2
BRIEF = {
    "max_epochs": 3,
    "hidden_layer_sizes": (8,),
    "batch_size": 32,
    "cv": None,
    "random_state": 0,
}
NEVER_BETTER = {"threshold": 1e9, "threshold_mode": "abs"}
CONSTANT = {**BRIEF, "lr_schedule": "constant", "lr": 0.1}


def classifier(*callbacks, **params):
    return MultimodalClassifier(callbacks=list(callbacks), **{**BRIEF, **params}).fit(X, y)


def n_rows(net, dataset, y=None):
    return float(len(dataset))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("policy", "options", "expected"),
    [
        ("StepLR", {"step_size": 1, "gamma": 0.5}, [0.1, 0.05, 0.025]),
        ("ExponentialLR", {"gamma": 0.1}, [0.1, 0.01, 0.001]),
        ("MultiStepLR", {"milestones": [1], "gamma": 0.5}, [0.1, 0.05, 0.05]),
        ("CosineAnnealingLR", {"T_max": 2}, [0.1, 0.05, 0.0]),
        ("ReduceLROnPlateau", {**NEVER_BETTER, "patience": 0, "factor": 0.5}, [0.1, 0.1, 0.05]),
    ],
)
def test_learning_rates_follow_a_scheduler(policy, options, expected, early_stopping):
    scheduler = LRScheduler(policy, **options)
    history = classifier(scheduler, **CONSTANT, early_stopping=early_stopping).history_
    found = history.loc[history["epoch"] > 0, "lr"]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_scheduler_can_act_at_each_batch():
    options = {"base_lr": 0.1, "max_lr": 0.2, "step_size_up": 2, "cycle_momentum": False}
    model = classifier(LRScheduler(CyclicLR, step_every="batch", **options), **CONSTANT)
    n_steps = 3 * model.net_.n_batches_
    assert n_steps == 6  # up, down, up: a cycle and a half of four steps
    assert model.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("callback", "instead"),
    [
        (LRScheduler("StepLR", step_size=1), "lr_schedule='constant'"),
        (LRScheduler, "lr_schedule='constant'"),
        (("mine", LRScheduler()), "lr_schedule='constant'"),
        (EpochScoring("accuracy"), "scoring="),
        (EpochScoring(None), "scoring="),
        (EpochScoring(accuracy_score), "scoring="),
        (EpochScoring(make_scorer(accuracy_score), on_train=True), "scoring="),
        (BatchScoring("accuracy"), "history_"),
        (PassthroughScoring("train_loss"), "history_"),
        (InputShapeSetter(), "encoders="),
        (LoadInitState(Checkpoint()), "checkpoint_dir="),
    ],
)
def test_others_are_refused_with_what_does_it_instead(callback, instead):
    with pytest.raises(TypeError, match=f"callbacks.*{instead}"):
        classifier(callback)


@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping(),
        Checkpoint(),
        LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
        WandbLogger(None),
    ],
)
def test_what_looks_at_validation_rows_needs_some(callback):
    with pytest.raises(TypeError, match=f"{type(callback).__name__}.*early_stopping=True"):
        classifier(callback, **CONSTANT, early_stopping=False)


def test_a_plateau_is_looked_for_once_an_epoch():
    with pytest.raises(TypeError, match="step_every='epoch'"):
        classifier(LRScheduler("ReduceLROnPlateau", step_every="batch"), **CONSTANT)


def test_a_scheduler_would_leave_the_discriminator():
    model = ConditionalGAN(target="b", loss="hinge", callbacks=[LRScheduler()], **CONSTANT)
    with pytest.raises(TypeError, match=r"discriminator.*lr_schedule="):
        model.fit(X)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("on_train", [False, True])
def test_functions_score_rows(on_train, early_stopping):
    scoring = EpochScoring(n_rows, on_train=on_train, lower_is_better=None)
    history = classifier(scoring, early_stopping=early_stopping).history_
    n_expected = {(True, True): 72, (True, False): 80, (False, True): 8}
    expected = n_expected.get((on_train, early_stopping))
    found = history["n_rows"].dropna().tolist() if "n_rows" in history else []
    assert found == ([] if expected is None else [expected] * 3)


@pytest.mark.parametrize("load_best", [False, True])
def test_checkpoints_are_those_of_the_best_epoch(tmp_path, load_best):
    kept = {"f_params": "{last_epoch[epoch]}.pt", "f_pickle": "net.pkl"}
    checkpoint = Checkpoint(dirname=tmp_path, load_best=load_best, **kept)
    model = classifier(checkpoint, lr=0.1)
    losses = model.history_.loc[1:, "valid_loss"]
    best = {k for k in losses.index if losses[k] == losses[:k].min()}
    assert {path.stem for path in tmp_path.glob("[0-9].pt")} == {str(k) for k in best}
    assert (tmp_path / "net.pkl").exists()
    weights = torch.load(tmp_path / f"{max(best)}.pt")
    if load_best:
        for name, weight in model.net_.module_.state_dict().items():
            assert torch.equal(weight, weights[name])


def test_checkpoint_at_the_end_has_the_weights_that_predict(tmp_path):
    model = classifier(TrainEndCheckpoint(dirname=tmp_path))
    weights = torch.load(tmp_path / "train_end_params.pt")
    for name, weight in model.net_.module_.state_dict().items():
        assert torch.equal(weight, weights[name])
    epochs = [row["epoch"] for row in json.loads((tmp_path / "train_end_history.json").read_text())]
    assert epochs == [1, 2, 3]


def test_early_stopping_of_skorch_stops():
    patient = EarlyStopping(patience=2, monitor="train_loss", **NEVER_BETTER)
    assert classifier(patient, early_stopping=False).history_["epoch"].tolist() == [1, 2, 3]
    model = classifier(patient, early_stopping=False, max_epochs=20)
    assert model.history_["epoch"].tolist() == [1, 2, 3]


def test_parameters_are_frozen_in_the_epoch_that_is_named():
    frozen = classifier(Freezer("encoders.0.*"), early_stopping=True)
    assert not next(frozen.net_.module_.encoders[0].parameters()).requires_grad
    start = classifier(max_epochs=1, lr=1e-30).net_.module_.encoders[0].state_dict()
    for name, weight in frozen.net_.module_.encoders[0].state_dict().items():
        torch.testing.assert_close(weight, start[name])
    thawed = classifier(Freezer("encoders.0.*"), Unfreezer("encoders.0.*", at=2))
    assert next(thawed.net_.module_.encoders[0].parameters()).requires_grad


@pytest.mark.filterwarnings("ignore:The samples of .b. have collapsed")
def test_a_frozen_discriminator_stays_frozen():
    frozen, at = "discriminator.network.1.hidden.0.weight", Freezer("discriminator*hidden*")
    model = ConditionalGAN(target="b", loss="standard", callbacks=[at], **BRIEF).fit(X)
    parameters = dict(model.net_.module_.named_parameters())
    assert not parameters[frozen].requires_grad
    assert parameters[frozen.replace("hidden.0", "output")].requires_grad


def test_initial_weights_are_replaced_in_the_first_epoch():
    zero = Initializer("encoders.0.*weight", fn=torch.nn.init.zeros_)
    model = classifier(zero, lr=1e-30, early_stopping=True)
    weights = [p for p in model.net_.module_.encoders[0].parameters() if p.dim() > 1]
    assert max(p.abs().max() for p in weights) < 1e-20


def test_gradients_are_clipped():
    free, clipped = (
        MultimodalAutoencoder(2, optimizer="sgd", weight_decay=0.0, callbacks=callbacks, **CONSTANT)
        for callbacks in ([], [GradientNormClipping(1e-20)])
    )
    start = MultimodalAutoencoder(2, **{**CONSTANT, "lr": 1e-30}).fit(X).transform(X)
    np.testing.assert_allclose(clipped.fit(X).transform(X), start, atol=1e-6)
    assert abs(free.fit(X).transform(X) - start).max() > 1e-3


@pytest.mark.filterwarnings("ignore:The samples of .b. have collapsed")
def test_gradients_of_the_other_side_do_not_count():
    norms = []

    class Norms(GradientNormClipping):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append({name.split(".")[0] for name, _ in named_parameters})

    ConditionalGAN(target="b", loss="standard", callbacks=[Norms()], **BRIEF).fit(X)
    assert norms[:2] == [{"discriminator"}, {"generator"}]


class Writer:
    def __init__(self):
        self.tags = set()

    def add_scalar(self, tag, scalar_value, global_step):
        self.tags.add(tag)

    def close(self):
        pass


def test_what_only_shows_shows():
    writer, lines = Writer(), []
    bars = [ProgressBar(detect_notebook=False), ProgressBar("count", detect_notebook=False)]
    model = classifier(PrintLog(sink=lines.append), TensorBoard(writer), *bars)
    assert "train_loss" in lines[0]
    assert {"Loss/train_loss", "Loss/valid_loss"} <= writer.tags
    assert len(model.predict(X)) == 80


@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_of_the_history_are_epochs_in_training_and_have_the_start_in_the_end(early_stopping):
    seen = []

    class Watch(EpochScoring):
        def on_epoch_end(self, net, **kwargs):
            seen.append([row["epoch"] for row in net.history])

    history = classifier(Watch(n_rows), early_stopping=early_stopping).history_
    assert seen == [[1], [1, 2], [1, 2, 3]]
    assert history["epoch"].tolist() == ([0, 1, 2, 3] if early_stopping else [1, 2, 3])
    assert not {"batches", "train_loss_best", "valid_loss_best"} & set(history.columns)


@pytest.mark.parametrize(
    ("params", "instead"),
    [
        ({"train_split": ValidSplit(5)}, "validation_fraction="),
        ({"train_split": predefined_split(None)}, "validation_fraction="),
        ({"train_split": None}, "early_stopping="),
        ({"module": torch.nn.Linear(1, 1)}, "encoders="),
        ({"criterion": torch.nn.MSELoss}, "objective"),
        ({"callbacks": []}, "callbacks="),
        ({"device": "cpu"}, "device="),
    ],
)
def test_settings_that_the_estimator_needs_are_refused(params, instead):
    (name,) = params
    with pytest.raises(TypeError, match=f"net_params cannot set '{name}'.*{instead}"):
        classifier(net_params=params)
