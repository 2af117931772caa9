"""Dense layers and dropout against NumPy."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.special import erf, expit

from skmm.nn import ACTIVATIONS, Dropout, FeedForward, initialize, seed_draws

FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "identity": lambda x: x,
}
X = torch.randn(11, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(*args, **kwargs):
    made = initialize(FeedForward(*args, **kwargs), torch.Generator().manual_seed(1))
    return made.double()


def linear(layer, x):
    bias = 0.0 if layer.bias is None else layer.bias.detach().numpy()
    return x @ layer.weight.detach().numpy().T + bias


@pytest.mark.parametrize("activation", FORMULAS)
def test_feed_forward_is_the_formula(activation):
    model = network(3, (5, 4), 2, activation=activation)
    first, second = (part for part in model.hidden if isinstance(part, torch.nn.Linear))
    h = FORMULAS[activation](linear(first, X.numpy()))
    h = FORMULAS[activation](linear(second, h))
    np.testing.assert_allclose(model(X).detach(), linear(model.output, h), atol=1e-12)


def test_residual_layers_are_added_to_what_comes_in():
    model = network(3, (5, 5), 2, residual=True, activation="tanh")
    first, second = model.hidden
    h = linear(first.skip, X.numpy()) + np.tanh(linear(first.layers[0], X.numpy()))
    h = h + np.tanh(linear(second.layers[0], h))
    np.testing.assert_allclose(model(X).detach(), linear(model.output, h), atol=1e-12)
    assert sum(p.numel() for p in second.parameters()) == 30


def test_every_activation_has_a_formula():
    assert FORMULAS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize(("normalization", "axis"), [("batch", 0), ("layer", 1)])
def test_normalization_stands_between_linear_map_and_activation(normalization, axis):
    model = network(3, (5,), 2, normalization=normalization)
    h = linear(model.hidden[0], X.numpy())
    h = h - h.mean(axis=axis, keepdims=True)
    h = h / np.sqrt((h**2).mean(axis=axis, keepdims=True) + 1e-5)
    expected = linear(model.output, np.maximum(h, 0))
    np.testing.assert_allclose(model(X).detach(), expected, atol=1e-12)


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_a_bias_stands_where_it_has_an_effect(normalization):
    model = network(3, (5, 4), 2, normalization=normalization)
    model(X).square().sum().backward()
    biases = [part.bias for part in model.hidden if isinstance(part, torch.nn.Linear)]
    assert [bias is None for bias in biases] == [normalization == "batch"] * 2
    assert all(p.grad.abs().max() > 1e-9 for p in model.parameters())


def test_no_hidden_layer_is_a_linear_map():
    model = network(3, (), 2, dropout=0.5)
    np.testing.assert_allclose(model(X).detach(), linear(model.output, X.numpy()), atol=1e-15)


def test_dropout_acts_after_each_hidden_layer():
    kinds = [type(part).__name__ for part in network(3, (5, 4), 2, dropout=0.5).hidden]
    assert kinds == ["Linear", "ReLU", "Dropout"] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "rellu"}, "activation must be one of .*'relu'.* got 'rellu'"),
        ({"normalization": "group"}, "normalization must be one of .*'batch'.* got 'group'"),
        ({"hidden_layer_sizes": (4, 0)}, r"\(4, 0\) must be an integer of at least 1, got 0"),
        ({"hidden_layer_sizes": 4}, "hidden_layer_sizes must be a tuple .* got 4"),
        ({"n_outputs": 2.5}, "n_outputs must be an integer of at least 1, got 2.5"),
        ({"n_outputs": True}, "n_outputs must be an integer of at least 1, got True"),
        ({"dropout": 1.0}, r"\[0, 1\), got 1.0"),
        ({"dropout": -0.1}, r"\[0, 1\), got -0.1"),
    ],
)
def test_feed_forward_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        FeedForward(**({"n_inputs": 3, "hidden_layer_sizes": (4,), "n_outputs": 2} | change))


def test_dropout_is_a_mask_of_its_generator():
    dropout = Dropout(0.25)
    seed_draws(dropout, torch.Generator().manual_seed(3))
    draws = torch.Generator().manual_seed(3)
    for _ in range(2):  # the generator moves on from batch to batch
        keep = torch.empty(11, 3, dtype=torch.float64).bernoulli_(0.75, generator=draws).numpy()
        np.testing.assert_array_equal(dropout(X), X.numpy() * (keep / 0.75))


def test_dropout_keeps_the_expectation():
    dropout = Dropout(0.3)
    seed_draws(dropout, torch.Generator().manual_seed(0))
    y = dropout(torch.ones(100_000))
    # Five standard errors of the share that is kept.
    assert abs((y == 0).double().mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 1e5)
    assert abs(y.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / 1e5)


@pytest.mark.parametrize("model", [Dropout(0.0), Dropout(0.9).eval()])
def test_dropout_is_the_identity(model):
    assert model(X) is X


def test_dropout_without_a_generator_follows_the_global_one():
    dropout = Dropout(0.5)
    with torch.random.fork_rng():
        results = [dropout(X) for _ in range(2) if torch.manual_seed(0)]
    assert torch.equal(*results)


def test_seeded_dropout_leaves_the_global_generator_alone():
    model = network(3, (5, 4), 2, dropout=0.5)
    seed_draws(model, torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    model(X)
    assert torch.equal(before, torch.get_rng_state())


def test_generators_are_no_part_of_the_state():
    model = network(3, (5,), 2, dropout=0.5)
    bare = list(model.state_dict())
    seed_draws(model, torch.Generator())
    assert list(model.state_dict()) == bare
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same.hidden[2].generator is None
        assert torch.equal(same.eval()(X), copy.deepcopy(model).eval()(X))
    assert model.hidden[2].generator is not None


def test_seeding_reaches_every_dropout():
    model = torch.nn.Sequential(network(3, (5, 4), 2, dropout=0.5), Dropout(0.1))
    generator = torch.Generator()
    seed_draws(model, generator)
    found = [part.generator for part in model.modules() if isinstance(part, Dropout)]
    assert found == [generator] * 3
