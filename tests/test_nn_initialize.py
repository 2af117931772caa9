"""Initial weights: reproducible, without global state, in the stated distributions."""

import copy
import math

import pytest
import torch
from torch import nn

from skmm.nn import (
    MLP,
    AttentionFusion,
    ConcatFusion,
    Conv,
    GaussianLikelihood,
    TokenEncoder,
    initialize,
)

MAKERS = {
    "mlp": lambda: MLP((5, 4), normalization="batch", dropout=0.1)((3,), 2),
    "mlp with layer norm": lambda: MLP((5,), normalization="layer").decoder(3, (2, 2)),
    "conv": lambda: Conv((4, 4))((2, 5, 5), 3),
    "conv with layer norm": lambda: Conv((4,), normalization="layer").decoder(3, (2, 5, 5)),
    "lstm": lambda: TokenEncoder(9, 2, kind="lstm", n_layers=2),
    "gru": lambda: TokenEncoder(9, 2, kind="gru"),
    "attention": lambda: TokenEncoder(9, 2, kind="attention", dropout=0.1),
    "concat": lambda: ConcatFusion(4, 2, 3),
    "attention fusion": lambda: AttentionFusion(4, 2),
    "gaussian": lambda: GaussianLikelihood(3),
    "torch": lambda: nn.Sequential(
        nn.Conv1d(2, 3, 3),
        nn.ConvTranspose2d(2, 3, 3),
        nn.RNN(3, 4),
        nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True),
        nn.BatchNorm2d(3),
        nn.Linear(3, 2, bias=False),
    ),
}
N_DRAWS = 40_000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def without_memory(make, seed=0):
    with torch.device("meta"):
        module = make()
    module = module.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in module.state_dict().values():  # what happens to stand there
            tensor.fill_(77)
    return initialize(module, generator(seed))


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", MAKERS)
def test_reproducible_and_complete_on_modules_without_memory(name):
    first, again, other = (without_memory(MAKERS[name], seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert name == "gaussian" or not same(first, other)
    assert all(not (t == 77).any() for t in first.state_dict().values())
    assert same(first, initialize(MAKERS[name](), generator()))


@pytest.mark.parametrize("name", MAKERS)
def test_the_global_generator_is_left_alone(name):
    before = torch.get_rng_state()
    without_memory(MAKERS[name])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", MAKERS)
def test_as_spread_as_where_torch_would_start(name):
    """Constant where torch's own start is, and of about its spread elsewhere."""
    found = without_memory(MAKERS[name])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = MAKERS[name]()
    for key, value in own.state_dict().items():
        if value.dtype.is_floating_point and value.unique().numel() > 1:
            bound = found.state_dict()[key].abs().max()
            assert value.abs().max() / 4 < bound < 4 * value.abs().max(), key
        else:
            assert torch.equal(found.state_dict()[key], value), key


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda: nn.Linear(100, 400), 1 / math.sqrt(100)),
        (lambda: nn.Conv2d(8, 600, 3), 1 / math.sqrt(8 * 9)),
        (lambda: nn.ConvTranspose2d(600, 8, 3), 1 / math.sqrt(8 * 9)),
        (lambda: nn.LSTM(50, 100), 1 / math.sqrt(100)),
        (lambda: nn.GRU(80, 100), 1 / math.sqrt(100)),
    ],
)
def test_uniform_between_bounds(make, bound):
    for value in initialize(make(), generator()).parameters():
        assert value.abs().max() <= bound
        if value.numel() >= N_DRAWS // 2:
            assert value.max() > 0.999 * bound
            assert value.min() < -0.999 * bound
        # Five standard errors of the variance of a uniform distribution.
        share = (value.var(unbiased=False) / (bound**2 / 3)).item()
        assert abs(share - 1) < 5 * math.sqrt(0.8 / value.numel())


def test_embeddings_are_standard_normal_and_padding_zero():
    weight = initialize(nn.Embedding(400, 100, padding_idx=3), generator()).weight.detach()
    assert not weight[3].any()
    rest = torch.cat([weight[:3], weight[4:]]).flatten()
    assert abs(rest.mean()) < 5 / math.sqrt(len(rest))
    assert abs(rest.var() - 1) < 5 * math.sqrt(2 / len(rest))
    assert abs((rest.abs() < 1).double().mean() - math.erf(math.sqrt(0.5))) < 0.02


def test_attention_follows_glorot():
    module = initialize(nn.MultiheadAttention(100, 4), generator())
    bound = math.sqrt(6 / (100 + 300))
    assert 0.999 * bound < module.in_proj_weight.abs().max() <= bound
    assert 0.999 / 10 < module.out_proj.weight.abs().max() <= 1 / 10
    assert not module.in_proj_bias.any()
    assert not module.out_proj.bias.any()


def test_running_statistics_are_reset():
    norm = nn.BatchNorm1d(3)
    fresh = copy.deepcopy(norm)
    norm(torch.arange(12.0).reshape(4, 3))
    assert not same(norm, fresh)
    assert same(initialize(norm, generator()), fresh)


def test_returns_the_module():
    module = nn.Linear(2, 2)
    assert initialize(module, generator()) is module


class Scaled(nn.Linear):
    """A linear map with something on top that nobody knows how to fill."""

    def __init__(self):
        super().__init__(2, 2)
        self.scale = nn.Parameter(torch.ones(()))


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))


@pytest.mark.parametrize("make", [Scaled, Counter, lambda: nn.PReLU()])
def test_unknown_layers_are_refused(make):
    module = nn.Sequential(nn.Linear(2, 2), make())
    with pytest.raises(TypeError, match=rf"of {type(module[1]).__name__}: .*reset_parameters"):
        initialize(module, generator())


def test_known_layers_with_unknown_tensors_are_refused():
    layer = nn.Linear(2, 2)
    layer.register_buffer("extra", torch.zeros(1))
    with pytest.raises(TypeError, match=r"\['extra'\] of Linear"):
        initialize(layer, generator())


def test_plain_tensors_without_memory_are_refused():
    class Plain(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.table = torch.zeros(2)

    with torch.device("meta"):
        module = Plain()
    with pytest.raises(TypeError, match=r"\['table'\] of Plain.*register them as buffers"):
        initialize(module.to_empty(device="cpu"), generator())


def test_layers_may_state_their_own_start():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(5))

        def reset_parameters(self, generator):
            nn.init.normal_(self.weight, generator=generator)

    expected = torch.empty(5).normal_(generator=generator())
    assert torch.equal(initialize(Own(), generator()).weight, expected)
