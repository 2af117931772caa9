"""Rare labels and values of targets: drawn as often as in training, or a warning says so."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logit
from sklearn.exceptions import ConvergenceWarning

from skmm import ConditionalGAN, Modalities
from skmm._conditional_gan._diagnostics import (
    are_labels_lost,
    columns_with_lost_values,
    marginal_ratios,
)
from skmm.io import dump, load
from skmm.nn._atoms import Atoms

N = 1200
BRIEF = {"hidden_layer_sizes": (64, 64), "max_epochs": 25, "cv": None, "random_state": 0}


def conditions(n=N, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 3))


def frequencies(labels, classes):
    return np.array([(labels == k).mean() for k in classes])


@pytest.mark.parametrize(
    "p", [np.full(50, 1 / 50), 1 / np.arange(1, 31) ** 1.2, np.array([0.97, 0.02, 0.01])]
)
def test_labels_are_drawn_as_often_as_in_training(p):
    x, p = conditions(), p / p.sum()
    labels = np.random.default_rng(1).choice(len(p), N, p=p)
    model = ConditionalGAN(target="c", **BRIEF).fit({"x": x, "c": labels})
    draws = model.sample(20, given={"x": x}, random_state=0)
    before, after = (frequencies(a, range(len(p))) for a in (labels, draws.ravel()))
    assert abs(before - after).sum() / 2 <= 0.1
    present = before > 0
    np.testing.assert_allclose(
        model.marginal_ratios_, (after / before)[present], atol=0.5, rtol=0.5
    )


def test_rare_labels_follow_the_condition():
    x = conditions(3000)
    p = 1 / (1 + np.exp(4 - 2 * x[:, 0]))
    labels = (np.random.default_rng(1).random(3000) < p).astype(int)
    model = ConditionalGAN(target="c", **BRIEF).fit({"x": x, "c": labels})
    found = model.transform({"x": x})[:, 1]
    assert abs(found - p).mean() < 0.03
    assert found[x[:, 0] > 1.5].mean() > 10 * found[x[:, 0] < 0].mean()


def zero_inflated(share, seed=1, n=N):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < share, 0.0, rng.normal(5, 1, n))


@pytest.mark.parametrize(
    ("share", "offset"), [(0.98, 0.0), (0.95, 0.0), (0.8, 0.0), (0.95, 1e9), (0.8, 1e9)]
)
def test_columns_keep_their_rare_values(share, offset):
    x, rare = conditions(), zero_inflated(share) + offset
    y = np.column_stack([rare, x[:, 0]])
    model = ConditionalGAN(target="y", **BRIEF).fit({"x": x, "y": y})
    draws = model.sample(20, given={"x": x}, random_state=0)[..., 0]
    assert draws.std() == pytest.approx(rare.std(), rel=0.25)
    assert (draws > offset + 1).mean() == pytest.approx((rare > offset + 1).mean(), rel=0.35)
    if share > 0.9:  # exactly the value, as a count of zeros needs
        assert (draws == offset).mean() == pytest.approx((rare == offset).mean(), abs=0.02)
    assert model.marginal_ratios_[0] == pytest.approx(draws.std() / rare.std(), abs=0.15)


def test_counts_keep_their_rare_values():
    x, rng = conditions(), np.random.default_rng(1)
    counts = np.column_stack([rng.poisson(0.05, N), (rng.random(N) < 0.03) * rng.poisson(9, N)])
    X = Modalities({"x": x, "n": counts}, kinds={"n": "count"})
    model = ConditionalGAN(target="n", **BRIEF).fit(X)
    draws = model.sample(20, given={"x": x}, random_state=0)
    np.testing.assert_allclose(draws.std(axis=(0, 1)), counts.std(axis=0), rtol=0.25)
    assert (draws == np.round(draws)).all()


def test_means_and_quantiles_know_of_rare_values():
    x, rare = conditions(), zero_inflated(0.95)
    model = ConditionalGAN(target="y", **BRIEF).fit({"x": x, "y": rare})
    assert model.predict({"x": x}).mean() == pytest.approx(rare.mean(), rel=0.3)
    assert (model.predict({"x": x}, "median") == 0).all()
    assert (model.predict({"x": x}, 0.99) > 2).mean() > 0.9


def test_zeros_of_columns_that_go_together_stay_together():
    x, rng = conditions(3000), np.random.default_rng(1)
    here = rng.random(3000) < 0.06
    y = np.where(here[:, None], rng.normal(5, 1, (3000, 4)), 0.0)
    model = ConditionalGAN(target="y", **BRIEF).fit({"x": x, "y": y})
    drawn = model.sample(20, given={"x": x}, random_state=0) != 0
    n_there = drawn.sum(axis=-1).ravel()
    assert np.isin(n_there, [0, 4]).mean() > 0.97
    assert (n_there == 4).mean() == pytest.approx(here.mean(), rel=0.25)


def test_an_adversary_sees_rare_values():
    x, rare = conditions(), zero_inflated(0.95)
    params = {**BRIEF, "loss": "relativistic"}
    model = ConditionalGAN(target="y", **params).fit({"x": x, "y": np.c_[rare, x[:, 0]]})
    draws = model.sample(20, given={"x": x}, random_state=0)[..., 0]
    assert (draws != 0).mean() == pytest.approx((rare != 0).mean(), rel=0.35)
    assert {"train_rare_values", "valid_rare_values"} <= set(model.history_.columns)


def test_rare_values_follow_the_condition_and_other_columns():
    x, rng = conditions(4000), np.random.default_rng(1)
    here = rng.random(4000) < np.where(x[:, 0] > 1, 0.3, 0.0)
    y = np.column_stack([np.where(here, 5.0 + rng.standard_normal(4000), 0.0), 3.0 * here])
    y[:, 1] += rng.standard_normal(4000)
    model = ConditionalGAN(target="y", **BRIEF).fit({"x": x, "y": y})
    draws = model.sample(20, given={"x": x}, random_state=0)
    rare = draws[..., 0] > 1
    assert rare[:, x[:, 0] > 1.2].mean() == pytest.approx(0.3, abs=0.05)
    assert rare[:, x[:, 0] < 0].mean() < 0.005
    others = draws[..., 1]
    assert others[rare].mean() - others[~rare].mean() > 2  # 3 in training


@pytest.mark.filterwarnings("ignore:The samples of .y. have collapsed")
def test_warm_start_goes_on_with_the_columns_of_before():
    x, y = conditions(300), np.column_stack([zero_inflated(0.95, n=300), np.arange(300.0)])
    model = ConditionalGAN(target="y", **{**BRIEF, "max_epochs": 2}).fit({"x": x, "y": y})
    before = model.net_.module_.generator.atoms.get_extra_state().clone()
    model.set_params(warm_start=True, lr=1e-30).fit({"x": x, "y": y + np.array([1.0, 0.0])})
    assert torch.equal(model.net_.module_.average.atoms.get_extra_state(), before)


def test_draws_survive_storage(tmp_path):
    x, y = conditions(300), zero_inflated(0.95, n=300)[:, None]
    model = ConditionalGAN(target="y", **{**BRIEF, "max_epochs": 2}).fit({"x": x, "y": y})
    expected = model.sample(2, given={"x": x}, random_state=0)
    dump(model, tmp_path / "model.skmm")
    found = load(tmp_path / "model.skmm").sample(2, given={"x": x}, random_state=0)
    np.testing.assert_array_equal(found, expected)


def atoms(**options):
    known = {"at": [-1.0, 0.0, 2.0], "gap": [0.5] * 3, "centre": [5.0, 0.0, -3.0]}
    known |= {"scale": [2.0, 1.0, 0.5], "offset": [0.0] * 3, "between": np.zeros((3, 3))}
    return Atoms(
        [0, 2, 3],
        torch.tensor([10.0, 20.0, 30.0]),
        network=torch.nn.Linear(2, 3),
        **{
            name: torch.tensor(value, dtype=torch.float64)
            for name, value in (known | options).items()
        },
    ).double()


def test_bits_have_the_probabilities_that_their_score_says():
    torch.manual_seed(0)
    model = atoms()
    torch.nn.init.normal_(model.between)
    condition = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)
    p = torch.exp(-model.scores(condition.expand(8, -1), every)).detach().numpy()
    assert p.sum() == pytest.approx(1)
    uniform = torch.from_numpy(np.random.default_rng(0).random((100_000, 1, 3)))
    drawn = model.draw(condition, uniform)[:, 0].detach().numpy()
    found = [(drawn == pattern.numpy()).all(axis=1).mean() for pattern in every]
    np.testing.assert_allclose(found, p, atol=0.006)  # four standard errors


def test_a_network_that_says_nothing_leaves_the_shares_of_training():
    model = atoms(offset=logit([0.1, 0.02, 0.3]))
    for parameter in model.network.parameters():
        torch.nn.init.zeros_(parameter)
    bits = torch.eye(3, dtype=torch.float64)
    found = torch.exp(-model.scores(torch.zeros(3, 2, dtype=torch.float64), bits))
    expected = [0.1 * 0.98 * 0.7, 0.9 * 0.02 * 0.7, 0.9 * 0.98 * 0.3]
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6)


def test_usual_values_are_put_where_bits_are_0():
    model = atoms()
    raw = torch.ones(1, 2, 4, dtype=torch.float64)
    bits = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]], dtype=torch.float64)
    found = model.put(raw, bits)
    expected = [[-1.0, 1.0, 1.0, 2.0], [7.0, 1.0, 0.0, -2.5]]
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(model.bits(found[0]), bits[0])
    exact = [[10.0, 1.0, 1.0, 30.0], [7.0, 1.0, 20.0, -2.5]]
    np.testing.assert_array_equal(model.exact(found, bits)[0], exact)


# What is lost is said


def test_ratios_are_those_of_spreads_and_frequencies():
    truth = np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 4.0]])
    draws = np.stack([truth, truth * [2.0, 1.0, 1.0]], axis=1)
    expected = draws.std(axis=(0, 1)) / [1.0, np.nan, 1.0]
    np.testing.assert_allclose(marginal_ratios(truth, draws, False), expected)
    labels = np.eye(2)[[0, 0, 0, 1]]
    drawn = np.eye(2)[[[0, 0], [0, 1], [0, 1], [1, 1]]]
    np.testing.assert_allclose(marginal_ratios(labels, drawn, True), [2 / 3, 2.0])


def test_chance_loses_nothing():
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = np.eye(50)[rng.integers(50, size=500)]
        assert not are_labels_lost(labels, np.eye(50)[rng.integers(50, size=(500, 20))])
        column = zero_inflated(0.98, rng.integers(1000), 500)[:, None]
        assert not len(columns_with_lost_values(column, rng.choice(column[:, 0], (500, 20, 1))))
    ordinary = rng.standard_normal((500, 2))
    assert not len(columns_with_lost_values(ordinary, np.zeros((500, 20, 2))))  # not rare


def test_what_is_lost_is_found():
    rng = np.random.default_rng(0)
    labels = np.eye(50)[rng.integers(50, size=500)]
    assert are_labels_lost(labels, np.eye(50)[rng.integers(30, size=(500, 20))])
    columns = np.column_stack([rng.standard_normal(500), zero_inflated(0.98, n=500)])
    draws = np.stack([columns[:, :1] * [1.0, 0.0] + [0.0, 0.01]] * 20, axis=1)
    assert columns_with_lost_values(columns, draws).tolist() == [1]


@pytest.mark.filterwarnings("ignore:The samples of .c. have collapsed")
def test_lost_labels_are_named():
    x, rng = conditions(), np.random.default_rng(1)
    labels = np.array([f"k{k:02}" for k in range(40)])[rng.integers(40, size=N)]
    # Without held-out rows, by which a linear model would take their place.
    params = {**BRIEF, "max_epochs": 15, "early_stopping": False}
    model = ConditionalGAN(target="c", loss="wasserstein", **params)
    with pytest.warns(
        ConvergenceWarning, match=r"labels of 'c' .* the lowest are k\d\d \(0\.\d+\)"
    ):
        model.fit({"x": x, "c": labels})
    assert model.marginal_ratios_.min() < 0.5


def test_lost_values_are_named():
    x, rng = conditions(), np.random.default_rng(1)
    # Not one value, but a narrow heap of them: nothing to be ranked.
    heap = zero_inflated(0.98) + 1e-3 * rng.standard_normal(N)
    model = ConditionalGAN(target="y", **BRIEF)
    with pytest.warns(
        ConvergenceWarning, match=r"Rare values in 1 column.* of 'y' .* 0 \(0\.\d+\)"
    ):
        model.fit({"x": x, "y": np.column_stack([heap, x[:, 0]])})
    assert model.marginal_ratios_[0] < 0.75


@pytest.mark.parametrize("seed", range(4))
def test_values_next_to_the_usual_one_do_not_hide_it(seed):
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(500) < 0.94, 0.0, rng.normal(3, 0.5, size=500))
    y[0] = 1e-9  # nearer than single precision tells
    X = {"x": rng.normal(size=(500, 2)), "y": np.c_[y, rng.normal(size=500)]}
    model = ConditionalGAN(target="y", max_epochs=2, cv=None, random_state=0).fit(X)
    drawn = model.sample(20, given=X, random_state=0)[..., 0]
    assert np.mean(drawn != 0) == pytest.approx(np.mean(y != 0), abs=0.05)
