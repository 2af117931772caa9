"""ConditionalGAN: known conditional distributions, all kinds of data, both sides' training."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skmm import ConditionalGAN, Modalities
from skmm.compose import PerModality
from skmm.datasets import load_digits_halves, make_conditional
from skmm.metrics import coverage_per_group, energy_score, energy_skill
from skmm.nn import MLP, Conv, Tokens

LOSSES = ("energy", "relativistic", "wasserstein", "hinge", "standard")
BRIEF = {"hidden_layer_sizes": (8,), "max_epochs": 3, "early_stopping": False, "random_state": 0}
pytestmark = pytest.mark.filterwarnings(  # brief training often ends there
    "ignore:The samples of .* have collapsed:sklearn.exceptions.ConvergenceWarning"
)


def linear_data(n_samples=1000, seed=0):
    """Return x, and y = x A + e with correlated normal e."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_samples, 3))
    A = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    factor = np.array([[0.5, 0.4], [0.0, 0.3]])
    y = 10 + x @ A + rng.standard_normal((n_samples, 2)) @ factor
    return x, y, A, factor.T @ factor


def mixed(n_samples=90, seed=0):
    """Return modalities of all kinds that share a class."""
    rng = np.random.default_rng(seed)
    label = rng.integers(3, size=n_samples)
    return Modalities(
        {
            "vector": label[:, None] + 0.1 * rng.standard_normal((n_samples, 4)),
            "image": label[:, None, None, None] + 0.1 * rng.standard_normal((n_samples, 1, 6, 5)),
            "text": label[:, None] + rng.integers(1, 3, size=(n_samples, 5)),
            "bits": label[:, None] > np.arange(2),
            "label": np.array(["a", "b", "c"])[label],
            "count": rng.poisson(3 * label[:, None] + 1, size=(n_samples, 2)),
        },
        kinds={"text": "tokens", "count": "count"},
    )


# The distribution


def test_linear_gaussian_conditional_is_found():
    x, y, A, covariance = linear_data(2000)
    model = ConditionalGAN(max_epochs=60, cv=None, random_state=0).fit(x, y)
    x_test, *_ = linear_data(500, seed=1)
    truth = 10 + x_test @ A
    error = np.sqrt(np.mean((model.predict(x_test) - truth) ** 2, axis=0))
    assert (error < 0.25 * np.sqrt(np.diag(covariance))).all()
    draws = model.sample(100, given=x_test, random_state=0)
    within = np.mean([np.cov(draws[:, i].T) for i in range(len(x_test))], axis=0)
    np.testing.assert_allclose(within, covariance, atol=0.25 * covariance.max())
    upper = model.predict(x_test, 0.9) - model.predict(x_test)
    np.testing.assert_allclose(upper.mean(axis=0), 1.2816 * np.sqrt(np.diag(covariance)), rtol=0.15)


def test_nearly_the_exact_conditional_of_a_simulated_task():
    simulated = make_conditional("heteroscedastic", 3000, random_state=0)
    X, y = np.asarray(simulated.data["X"]), simulated.target
    model = ConditionalGAN(max_epochs=100, cv=None, random_state=0).fit(X[:2000], y[:2000])
    draws = model.sample(100, given=X[2000:], random_state=0)
    exact = simulated.sample_conditional(X[2000:], 100, random_state=0)
    assert energy_score(y[2000:], draws) < 1.1 * energy_score(y[2000:], exact)
    deciles = np.digitize(X[2000:, 0], np.quantile(X[2000:, 0], np.arange(1, 10) / 10))
    found = coverage_per_group(y[2000:], draws, deciles, level=0.8)
    assert min(found.values()) > 0.6


def test_score_is_the_energy_skill_of_its_samples():
    x, y, *_ = linear_data(600)
    model = ConditionalGAN(max_epochs=20, cv=None, random_state=0).fit(x[:400], y[:400])
    draws = model.sample(400, given=x[400:], random_state=0)
    expected = energy_skill(y[400:], draws, y[:400])
    assert abs(model.score(x[400:], y[400:]) - expected) < 0.01
    assert model.score(x[400:], y[400:]) == model.score(x[400:], y[400:])


def test_draws_of_rows_and_of_calls_are_independent():
    x, y, *_ = linear_data(300)
    model = ConditionalGAN(**BRIEF).fit(x, y)
    draws = model.sample(200, given=x[:2], random_state=0)[:, :, 0]
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.25
    same = np.repeat(x[:1], 2, axis=0)
    rows = model.sample(1, given=same, random_state=0)[0]
    assert (rows[0] != rows[1]).all()
    again = model.sample(1, given=same, random_state=0)[0]
    np.testing.assert_array_equal(rows, again)
    assert (model.sample(1, given=same, random_state=1)[0] != rows).all()


def test_statistics_are_those_of_one_set_of_draws():
    x, y, *_ = linear_data(300)
    model = ConditionalGAN(**BRIEF).fit(x, y)
    low, middle, high = (model.predict(x, s) for s in (0.05, "median", 0.95))
    assert (low < middle).all()
    assert (middle < high).all()
    np.testing.assert_array_equal(model.predict(x, 0.5), middle)
    np.testing.assert_array_equal(model.predict(x), model.transform(x))
    np.testing.assert_array_equal(model.predict(x), model.translate(x, "y"))


@pytest.mark.parametrize("statistic", ["mode", 0.0, 1.0, True, None, 2])
def test_unknown_statistics_are_refused(statistic):
    x, y, *_ = linear_data(50)
    with pytest.raises(ValueError, match="statistic must be 'mean', 'median'"):
        ConditionalGAN(**BRIEF).fit(x, y).predict(x, statistic)


# Kinds of data


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", ["vector", "image", "bits", "label", "count"])
def test_any_target_from_conditions_of_any_kind(target, loss):
    X = mixed()
    small = {"image": Conv((4,), hidden_layer_sizes=(8,))}
    model = ConditionalGAN(target=target, loss=loss, encoders=small, lr=2e-3, **BRIEF).fit(X)
    draws = model.sample(4, given=X[:7], random_state=0)
    assert draws.shape == (4, 7, *X[target].shape[1:])
    assert np.isfinite(model.score(X))
    if target == "label":
        assert set(draws.ravel()) <= {"a", "b", "c"}
        assert set(model.predict(X)) <= {"a", "b", "c"}
        np.testing.assert_allclose(model.transform(X).sum(axis=1), 1)
        assert list(model.get_feature_names_out()) == ["label__a", "label__b", "label__c"]
    if target == "bits":
        assert set(np.unique(draws)) <= {0, 1}
    if target == "count":
        assert (draws >= 0).all()
        np.testing.assert_array_equal(draws, np.round(draws))


def test_labels_are_drawn_with_their_probabilities():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2000, 1))
    p = 1 / (1 + np.exp(-3 * x[:, 0]))
    X = Modalities({"x": x, "label": np.where(rng.uniform(size=2000) < p, "yes", "no")})
    model = ConditionalGAN(target="label", max_epochs=60, cv=None, random_state=0).fit(X[:1000])
    drawn = (model.sample(200, given=X[1000:], random_state=0) == "yes").mean(axis=0)
    assert np.abs(drawn - p[1000:]).mean() < 0.06
    with pytest.raises(ValueError, match="not defined for labels"):
        model.predict(X, "median")


def test_own_networks_are_used():
    X = mixed()
    model = ConditionalGAN(
        target="image",
        loss="relativistic",
        encoders={"image": Conv((4,)), "text": Tokens(6, kind="gru"), "vector": MLP((5,))},
        decoders={"image": Conv((4,), normalization="layer")},
        **BRIEF,
    ).fit(X)
    module = model.net_.module_
    assert isinstance(module.discriminator.network.blocks[0][0], nn.Conv2d)
    assert module.discriminator.network.blocks[0][0].in_channels == 2  # the conditions are one
    kinds = {type(part) for part in module.generator.modules()}
    assert nn.GRU in kinds
    assert nn.BatchNorm2d not in kinds


def test_images_of_digits_are_completed():
    X = load_digits_halves()["data"]
    images = Modalities({n: np.asarray(v).reshape(-1, 1, 8, 4) for n, v in X.items()})
    small = Conv((8, 16), hidden_layer_sizes=(32,))
    model = ConditionalGAN(
        target="right",
        encoders={"left": small, "right": small},
        max_epochs=10,
        cv=None,
        random_state=0,
    ).fit(images[:1000])
    assert model.predict(images[1000:1200]).shape == (200, 1, 8, 4)
    assert model.score(images[1000:1200]) > 0.05


def test_frames_come_back_as_frames():
    x, y, *_ = linear_data(100)
    frame = pd.concat({"x": pd.DataFrame(x), "y": pd.DataFrame(y, columns=["u", "v"])}, axis=1)
    model = ConditionalGAN(target="y", **BRIEF).fit(frame)
    assert list(model.predict(frame).columns) == ["u", "v"]
    assert list(model.get_feature_names_out()) == ["y__u", "y__v"]
    holes = frame.copy()
    holes.loc[[3, 5], "y"] = np.nan
    filled = model.impute(holes)
    assert not filled.isna().to_numpy().any()
    np.testing.assert_allclose(filled["y"].to_numpy()[[3, 5]], model.predict(frame)[3:6:2])


# Missing parts


def test_rows_without_target_are_left_out():
    x, y, *_ = linear_data(100)
    holes = y.copy()
    holes[::4] = np.nan
    keep = ~np.isnan(holes).any(axis=1)
    found = ConditionalGAN(**BRIEF).fit(x, holes)
    expected = ConditionalGAN(**BRIEF).fit(x[keep], y[keep])
    np.testing.assert_array_equal(found.predict(x), expected.predict(x))
    np.testing.assert_allclose(found.score(x, holes), expected.score(x[keep], y[keep]))


def test_conditions_may_be_missing_if_training_hid_them():
    x, y, *_ = linear_data(1200)
    X = Modalities({"a": x[:, :1], "b": x[:, 1:], "y": y})
    params = {"modality_dropout": 0.4, "lr": 5e-3, "max_epochs": 100, "cv": None}
    model = ConditionalGAN(target="y", random_state=0, **params).fit(X)
    # y₀ depends on a alone: without it, it has the spread of the marginal.
    draws = model.sample(200, given=X.with_missing("a"), random_state=0)[:, :, 0]
    np.testing.assert_allclose(draws.std(axis=0).mean(), y[:, 0].std(), rtol=0.3)
    known = model.sample(200, given=X, random_state=0)[:, :, 0]
    assert known.std(axis=0).mean() < 0.7 * draws.std(axis=0).mean()


def test_target_in_given_is_ignored():
    x, y, *_ = linear_data(60)
    model = ConditionalGAN(target="y", **BRIEF).fit({"x": x, "y": y})
    for given in ({"x": x, "y": y + 1}, {"x": x, "y": np.full_like(y, np.nan)}):
        np.testing.assert_array_equal(model.predict(given), model.predict({"x": x}))
    with pytest.raises(ValueError, match="pass them as given=X"):
        model.sample(3)
    with pytest.raises(ValueError, match="needs the target 'y'"):
        model.score({"x": x})


def test_tokens_are_not_generated():
    with pytest.raises(ValueError, match="'text' holds tokens"):
        ConditionalGAN(target="text", **BRIEF).fit(mixed())


# Training


@pytest.mark.parametrize("loss", LOSSES)
def test_history_has_the_terms_of_both_sides(loss):
    x, y, *_ = linear_data(100)
    params = {**BRIEF, "early_stopping": True, "loss": loss}
    history = ConditionalGAN(**params).fit(x, y).history_
    sides = {"train_energy_score"}
    if loss != "energy":
        sides = {"train_generator", "train_discriminator"}
        sides |= {"train_penalty"} if loss != "hinge" else set()
    assert sides <= set(history.columns)
    assert history["valid_score"].equals(-history["valid_energy_score"])


@pytest.mark.parametrize("loss", ["energy", "relativistic"])
def test_batch_normalization_of_a_single_row_is_refused(loss):
    x, y, *_ = linear_data(20)
    encoders = {"x": MLP((4,), normalization="batch")} if loss == "energy" else "auto"
    params = {**BRIEF, "loss": loss, "normalization": "batch", "batch_size": 1}
    with pytest.raises(ValueError, match="normalization='batch' needs two rows or more"):
        ConditionalGAN(target="y", encoders=encoders, **params).fit({"x": x, "y": y})


class Steps(Callback):
    """Notes how often each parameter was changed, which a fitted net no longer knows."""

    def on_epoch_end(self, net, **kwargs):
        names = ("optimizer_", "discriminator_optimizer_")
        states = {name: getattr(net, name).state.values() for name in names}
        self.seen = {n: {float(state["step"]) for state in found} for n, found in states.items()}


def test_each_side_has_its_optimizer_and_its_steps():
    x, y, *_ = linear_data(100)
    counted = Steps()
    params = {**BRIEF, "loss": "standard", "n_critic": 3, "batch_size": 50}
    net = ConditionalGAN(callbacks=[counted], **params).fit(x, y).net_
    sides = {
        "optimizer_": net.module_.generator,
        "discriminator_optimizer_": net.module_.discriminator,
    }
    for name, side in sides.items():
        optimizer = getattr(net, name)
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        assert held == {id(p) for p in side.parameters()}
        assert counted.seen[name] == {3 * 2 * (3 if "discriminator" in name else 1)}
        assert {g["betas"] for g in optimizer.param_groups} == {(0.0, 0.99)}
    assert len({g["lr"] for s in sides for g in getattr(net, s).param_groups}) == 1


def test_average_is_that_of_the_weights():
    x, y, *_ = linear_data(100)

    class Recorder(Callback):
        def on_train_begin(self, net, **kwargs):
            self.weights = []

        def on_batch_end(self, net, training, **kwargs):
            self.weights.append(net.module_.generator.network[0].output.weight.detach().clone())

    recorder = Recorder()
    model = ConditionalGAN(callbacks=[recorder], ema_decay=0.5, **BRIEF).fit(x, y)
    average = recorder.weights[0]
    for n, weight in enumerate(recorder.weights[1:], 1):
        decay = min(0.5, n / (9 + n))
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(model.net_.module_.average.network[0].output.weight, average)


class Deaf(nn.Module):
    """A generator that does not hear the noise."""

    def __init__(self, n_inputs, output_shape):
        super().__init__()
        self.linear = nn.Linear(3, output_shape[0])

    def forward(self, x):
        return self.linear(x[:, :3])


def test_collapse_is_told():
    x, y, *_ = linear_data(200)
    with pytest.warns(ConvergenceWarning, match="samples of 'y' have collapsed.*0.00"):
        ConditionalGAN(decoders={"y": Deaf}, **BRIEF).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ConditionalGAN(max_epochs=30, cv=None, random_state=0).fit(x, y)
    assert 0.5 < model.spread_error_ratio_ < 2


@pytest.mark.parametrize("loss", ["energy", "relativistic"])
def test_interrupted_training_is_resumed_to_the_same_result(loss, tmp_path):
    x, y, *_ = linear_data(100)

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if net.history[-1]["epoch"] == 2:
                raise RuntimeError("killed")

    params = {**BRIEF, "loss": loss, "max_epochs": 5}
    expected = ConditionalGAN(**params).fit(x, y)
    killed = ConditionalGAN(**params, checkpoint_dir=tmp_path, callbacks=[Stop()])
    with pytest.raises(RuntimeError, match="killed"):
        killed.fit(x, y)
    resumed = ConditionalGAN(**params, checkpoint_dir=tmp_path, warm_start=True).fit(x, y)
    np.testing.assert_array_equal(resumed.predict(x), expected.predict(x))


def test_warm_start_goes_on():
    x, y, *_ = linear_data(300)
    params = {**BRIEF, "max_epochs": 20, "warm_start": True}
    model = ConditionalGAN(**params).fit(x, y)
    first = model.score(x, y)
    assert model.fit(x, y).score(x, y) > first


def test_warm_start_refuses_another_meaning():
    X = mixed()
    params = {**BRIEF, "warm_start": True}
    for target in ("label", "vector"):  # the labels are the target, then a condition
        model = ConditionalGAN(target=target, **params).fit(X.select(["vector", "label"]))
        expected = model.transform(X.select(["vector", "label"]))
        renamed = Modalities({"vector": X["vector"], "label": np.char.add(X["label"], "x")})
        with pytest.raises(ValueError, match="labels of the fit before; those of 'label'"):
            model.fit(renamed)
        np.testing.assert_array_equal(model.transform(X.select(["vector", "label"])), expected)
    wider = {"vector": np.repeat(X["vector"], 2, axis=1), "label": X["label"]}
    with pytest.raises(ValueError, match="networks and modalities as in the fit before"):
        model.fit(wider)
    twins = {"a": X["vector"], "b": X["vector"]}
    model = ConditionalGAN(target="a", **params).fit(twins).set_params(target="b")
    with pytest.raises(ValueError, match="the target of the fit before, 'a', but target='b'"):
        model.fit(twins)


# In scikit-learn's tools


def test_grid_search_by_the_energy_skill():
    x, y, *_ = linear_data(300)
    grid = {"loss": ["energy", "relativistic"], "gradient_penalty": [0.1, 1.0]}
    search = GridSearchCV(ConditionalGAN(**{**BRIEF, "max_epochs": 20}), grid, cv=2).fit(x, y)
    assert search.best_score_ > 0
    assert search.best_estimator_.sample(2, given=x).shape == (2, 300, 2)


def test_pipeline_with_encoded_categories_before_it():
    X = mixed()
    frame = Modalities({"label": X["label"].reshape(-1, 1), "vector": X["vector"]})
    encode = PerModality({"label": OneHotEncoder(sparse_output=False), "vector": StandardScaler()})
    pipe = make_pipeline(encode, ConditionalGAN(target="vector", max_epochs=50, cv=None))
    assert pipe.fit(frame).score(frame) > 0.3
    draws = pipe[-1].sample(3, given=pipe[:-1].transform(frame))
    assert draws.shape == (3, len(frame), 4)


def test_what_stands_in_the_target_is_not_read():
    X = mixed()
    model = ConditionalGAN(target="label", **BRIEF).fit(X)
    other = {**dict(X.items()), "label": np.full(len(X), "unseen")}
    given = Modalities(other, kinds=X.kinds)
    np.testing.assert_array_equal(model.transform(given), model.transform(X))


def test_parameters_set_after_fit_do_not_change_it():
    x, y, *_ = linear_data(60)
    model = ConditionalGAN(**BRIEF).fit(x, y)
    expected = model.sample(2, given=x, random_state=0)
    found = model.set_params(noise_dim=3).sample(2, given=x, random_state=0)
    np.testing.assert_array_equal(found, expected)
