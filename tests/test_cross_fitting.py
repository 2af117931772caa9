"""Folds, networks in step, and the share of the linear part."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit, TimeSeriesSplit
from skorch.callbacks import Callback

from skmm import (
    GroupFactorAnalysis,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm._deep._estimator import best_epoch
from skmm._deep._split import Rows, automatic_folds, fold_splits
from skmm._linear._blend import share_of_densities
from skmm._nets import FoldData, Net, TensorData
from skmm.compose import GaussianImputer
from skmm.nn._members import Members, MembersObjective

SMALL = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}
# Three epochs teach a network nothing, which is what is wanted here.
COLLAPSES = pytest.mark.filterwarnings("ignore:.*have collapsed:")


def linear_data(n=80, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    parts = {name: z @ rng.standard_normal((2, d)) for name, d in (("a", 4), ("b", 3))}
    return Modalities(
        {name: part + noise * rng.standard_normal(part.shape) for name, part in parts.items()}
    )


# Splits


def test_folds_hold_out_each_row_once_and_are_stratified():
    labels = np.repeat([0, 1, 2], [30, 20, 10])[:, None]
    rows = Rows(60, np.arange(60), labels)
    splits = fold_splits(5, rows, np.random.RandomState(0))
    assert_array_equal(np.sort(np.concatenate([s.valid for s in splits])), np.arange(60))
    for train, valid in splits:
        assert_array_equal(np.union1d(train, valid), np.arange(60))
        assert_array_equal(np.bincount(labels[valid, 0]), [6, 4, 2])


def test_the_only_row_of_a_class_is_never_held_out():
    labels = np.r_[np.zeros(10, int), np.ones(9, int), 2][:, None]
    splits = fold_splits(4, Rows(20, np.arange(20), labels), np.random.RandomState(0))
    assert all(19 in train and 19 not in valid for train, valid in splits)


@pytest.mark.parametrize(
    ("n", "folds"), [(3, None), (4, 2), (9, 4), (10, 5), (3000, 5), (3001, None)]
)
def test_few_rows_have_few_folds_and_many_have_none(n, folds):
    assert automatic_folds(Rows(n, np.arange(n)), 5, 3000) == folds


def test_rows_without_weight_are_in_no_split():
    usable = np.arange(0, 30, 2)
    for cv in (3, KFold(3)):
        for train, valid in fold_splits(cv, Rows(30, usable), np.random.RandomState(0)):
            assert np.isin(train, usable).all()
            assert np.isin(valid, usable).all()


@pytest.mark.parametrize("cv", [3, "auto", GroupKFold(3)])
def test_groups_are_held_out_together(cv):
    X = linear_data(60)
    groups = np.arange(60) // 5
    y = X["a"][:, 0] + np.zeros(60)
    model = MultimodalRegressor(cv=cv, **SMALL).fit(X, y, groups=groups)
    for held_out in model.held_out_:
        assert not np.isin(groups[held_out], groups[~held_out]).any()


@pytest.mark.parametrize(
    ("cv", "n_members", "n_held_out"),
    [
        (TimeSeriesSplit(3), 3, 45),
        (PredefinedSplit([0] * 20 + [-1] * 40), 1, 20),
        ([(np.arange(40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))], 2, 40),
    ],
)
def test_splitters_of_users(cv, n_members, n_held_out):
    X = linear_data(60)
    model = MultimodalRegressor(cv=cv, **SMALL).fit(X, X["a"][:, 0])
    assert model.held_out_.shape == (n_members, 60)
    assert model.held_out_.any(axis=0).sum() == n_held_out
    assert len(model.predict_members(X)) == n_members


def test_splits_that_hold_out_training_rows_are_refused():
    X = linear_data(20)
    with pytest.raises(ValueError, match="own training part"):
        MultimodalRegressor(cv=[(np.arange(15), np.arange(10, 20))]).fit(X, X["a"][:, 0])
    with pytest.raises(ValueError, match="without rows"):
        MultimodalRegressor(cv=[(np.arange(20), [])]).fit(X, X["a"][:, 0])


# Networks in step


class SquaredError(torch.nn.Module):
    def forward(self, outputs, observed=None, inputs=None):
        return {"error": outputs.square().mean()}


class Linear(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        torch.nn.init.constant_(self.layer.weight, weight)
        torch.nn.init.zeros_(self.layer.bias)

    def forward(self, inputs, observed=None):
        return self.layer(inputs["a"]) - inputs["y"]


def test_networks_in_step_are_trained_as_each_would_be_alone():
    rng = np.random.default_rng(0)
    data = TensorData({"a": rng.standard_normal((40, 3)), "y": rng.standard_normal((40, 1))})
    parts = [data.subset(np.arange(20)), data.subset(np.arange(20, 40))]
    options = {"optimizer": torch.optim.SGD, "lr": 0.1, "max_epochs": 2, "batch_size": 20}
    options |= {"train_split": None, "verbose": 0}
    both = Net(
        Members([Linear(0.5), Linear(-1.0)]),
        MembersObjective([SquaredError(), SquaredError()]),
        **options,
    ).fit(FoldData(parts))
    for network, weight, rows in zip(both.module_.members, (0.5, -1.0), parts, strict=True):
        alone = Net(Linear(weight), SquaredError(), **options).fit(rows)
        assert_allclose(
            network.layer.weight.detach(), alone.module_.layer.weight.detach(), rtol=1e-5
        )


def test_validation_weighs_networks_by_their_rows():
    data = TensorData({"a": np.zeros((10, 3)), "y": np.arange(10.0)[:, None]})
    parts = FoldData([data.subset(np.arange(7)), data.subset(np.arange(7, 10))])
    net = Net(
        Members([Linear(0.0), Linear(0.0)]),
        MembersObjective([SquaredError(), SquaredError()]),
        train_split=lambda rows: (rows, rows),
        max_epochs=1,
        lr=0.0,
        verbose=0,
    ).fit(parts)
    assert_allclose(net.history[0]["valid_error"], np.mean(np.arange(10.0) ** 2))


def test_a_row_that_is_held_out_does_not_change_its_network():
    X = linear_data(40)
    y = X["a"][:, 0] + 0.0
    splits = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]
    params = {**SMALL, "max_epochs": 1, "lr": 0.03, "cv": splits}
    other = y.copy()
    other[:20] = y[19::-1]  # the same numbers: the units stay
    first, second = (MultimodalRegressor(**params).fit(X, target) for target in (y, other))
    weights = [
        [p.detach().numpy() for p in model.net_.module_.members[0].parameters()]
        for model in (first, second)
    ]
    assert best_epoch(first.net_) == best_epoch(second.net_) == 1
    for one, two in zip(*weights, strict=True):
        assert_array_equal(one, two)
    assert not np.array_equal(
        *(m.net_.module_.members[1].heads[0].output.weight.detach() for m in (first, second))
    )


def test_a_network_on_all_rows_follows_the_folds():
    X = linear_data(60)
    model = MultimodalAutoencoder(2, **SMALL).fit(X)
    stages = model.history_.stage.value_counts()
    folds = model.history_[model.history_.stage == "folds"]
    assert stages["folds"] == 4  # and the start
    assert stages["all rows"] == folds.epoch[folds.valid_score.idxmax()]
    assert not isinstance(model.net_.module_, Members)


class Interrupt(Callback):
    def on_epoch_end(self, net, **kwargs):
        if net.history[-1]["epoch"] == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalRegressor])
def test_ctrl_c_within_the_folds_leaves_a_fitted_estimator(kind):
    X = linear_data(40)
    model = kind(callbacks=[Interrupt()], **SMALL)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X["a"][:, 0])
    assert np.isfinite(model.transform(X)).all()


def test_a_fit_that_was_killed_goes_on_within_the_folds(tmp_path):
    X = linear_data(40)
    params = {**SMALL, "checkpoint_dir": tmp_path, "warm_start": True}
    with pytest.raises(KeyboardInterrupt):
        MultimodalAutoencoder(2, callbacks=[Interrupt()], **params).fit(X)
    resumed = MultimodalAutoencoder(2, **params).fit(X)
    whole = MultimodalAutoencoder(2, **SMALL).fit(X)
    assert_allclose(resumed.transform(X), whole.transform(X), rtol=1e-5, atol=1e-6)


def test_a_warm_start_takes_up_all_networks():
    X = linear_data(40)
    model = MultimodalRegressor(warm_start=True, **SMALL).fit(X, X["a"][:, 0])
    before = model.net_.history[-1]["valid_loss"]
    model.fit(X, X["a"][:, 0])
    assert model.net_.history[0]["valid_loss"] < before + 1e-6


# The linear part


def test_all_linear_is_the_normal_distribution_of_all_columns():
    X = linear_data(80)
    model = MultimodalAutoencoder(2, **SMALL).fit(X)  # three epochs: a network that knows nothing
    model._shares = {name: np.zeros(1) for name in X.names}
    imputer = GaussianImputer().fit(X)
    expected = imputer.transform(X.select(["a"]))["b"]
    inside = np.abs(expected - X["b"].mean(axis=0)) < 2 * X["b"].std(axis=0)
    assert_allclose(model.translate(X.select(["a"]), "b")[inside], expected[inside], rtol=1e-6)


@COLLAPSES
@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_what_the_network_does_not_know_is_linear(kind):
    X = linear_data(90)
    model = kind(2, **SMALL).fit(X[:60])
    assert min(model.linear_share_.values()) > 0.5
    test = X[60:]
    linear = LinearRegression().fit(X["a"][:60], X["b"][:60])
    found = model.translate(test.select(["a"]), "b")
    error, plain = (
        np.square(part - test["b"]).mean() for part in (found, linear.predict(test["a"]))
    )
    assert error < 1.15 * plain
    assert abs(model.oof_score_ - (1 - error / test["b"].var())) < 0.2


@COLLAPSES
def test_the_density_of_the_vae_is_a_mixture():
    X = linear_data(90)
    vae = MultimodalVAE(2, **SMALL).fit(X[:60])
    factors = vae._factors
    linear = factors.model.score_samples(X[60:])
    network = vae._log_evidence(X[60:])
    share = factors.share
    assert vae.linear_density_share_ == 1 - share
    expected = np.log(share * np.exp(network) + (1 - share) * np.exp(linear))
    assert_allclose(vae.score_samples(X[60:]), expected, rtol=1e-6)
    alone = GroupFactorAnalysis(random_state=0).fit(X[:60])
    assert vae.score(X[60:]) > alone.score(X[60:]) - 0.01 * 7
    drawn = vae.sample(400, random_state=0)
    assert_allclose(drawn["a"].mean(axis=0), X["a"].mean(axis=0), atol=0.4)
    given = vae.sample(50, given=X[60:62].select(["a"]), random_state=0)
    assert_allclose(
        np.mean([one["b"] for one in given], axis=0),
        vae.translate(X[60:62].select(["a"]), "b"),
        atol=0.4,
    )


def test_the_share_of_a_density_maximises_the_likelihood():
    rng = np.random.default_rng(0)
    linear, network = rng.standard_normal((2, 50))
    share = share_of_densities(linear, network)
    grid = np.linspace(0, 1, 10_001)[:, None]
    likelihood = np.log((1 - grid) * np.exp(linear) + grid * np.exp(network)).sum(axis=1)
    assert_allclose(share, grid[np.argmax(likelihood), 0], atol=1e-4)
    assert share_of_densities(linear, linear - 1) == 0
    assert share_of_densities(linear, linear + 1) == 1


def test_without_rows_held_out_there_is_no_linear_part():
    X = linear_data(30)
    model = MultimodalAutoencoder(2, early_stopping=False, **SMALL).fit(X)
    assert set(model.linear_share_.values()) == {0.0}
    assert np.isnan(model.oof_score_)


def test_three_rows_are_enough():
    X = linear_data(3)
    assert MultimodalClassifier(**SMALL).fit(X, [0, 1, 1]).predict(X).shape == (3,)
    assert MultimodalAutoencoder(2, **SMALL).fit(X).transform(X).shape == (3, 2)


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalRegressor])
def test_a_fit_says_how_linear_it_is(kind, capsys):
    X = linear_data(40)
    model = kind(verbose=1, **SMALL).fit(X, X["a"][:, 0])
    share = model.linear_share_
    mean = np.mean(list(share.values()) if isinstance(share, dict) else share)
    assert f"{mean:.0%} linear" in capsys.readouterr().out
    kind(**SMALL).fit(X, X["a"][:, 0])
    assert capsys.readouterr().out == ""
