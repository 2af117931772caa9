"""Descriptions of networks: values that build modules."""

import copy
import dataclasses
import pickle

import joblib
import pytest
import torch
from sklearn.base import BaseEstimator, clone

from skmm.nn import MLP, Conv, ConvDecoder, ConvEncoder, TokenEncoder, Tokens, initialize

SPECS = [
    MLP((8, 4)),
    MLP((8, 8), normalization="layer", residual=True),
    Conv((4,)),
    Tokens(9),
    Tokens(9, kind="attention", n_layers=2),
]
SHAPES = {MLP: (3, 4), Conv: (2, 7, 5), Tokens: (6,)}
CHANGES = {
    MLP((5, 4)): {
        "hidden_layer_sizes": (5, 3),
        "activation": "tanh",
        "normalization": "layer",
        "dropout": 0.5,
        "residual": True,
    },
    Conv((4, 4)): {
        "channels": (4,),
        "kernel_size": 1,
        "hidden_layer_sizes": (7,),
        "activation": "tanh",
        "normalization": "layer",
        "dropout": 0.5,
    },
    Tokens(9, kind="attention", dropout=0.1): {
        "vocabulary_size": 10,
        "embedding_dim": 8,
        "kind": "gru",
        "hidden_size": 8,
        "n_layers": 2,
        "n_heads": 2,
        "padding": 1,
        "dropout": 0.5,
    },
}


class Holder(BaseEstimator):
    def __init__(self, encoder=None):
        self.encoder = encoder


def built(spec, n_outputs=3):
    return initialize(spec(SHAPES[type(spec)], n_outputs), torch.Generator().manual_seed(0)).eval()


def sample(spec, n_samples=2):
    if isinstance(spec, Tokens):
        return torch.tensor([[1, 2, 3, 1, 0, 0], [5, 6, 2, 7, 8, 1]])[:n_samples]
    return torch.randn(n_samples, *SHAPES[type(spec)], generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_specs_are_values(spec):
    copies = {
        "deepcopy": copy.deepcopy(spec),
        "pickle": pickle.loads(pickle.dumps(spec)),
        "clone": clone(Holder(spec)).encoder,
        "dict": clone(Holder({"image": spec})).encoder["image"],
    }
    for same in copies.values():
        assert same == spec
        assert hash(same) == hash(spec)
        assert joblib.hash(same) == joblib.hash(spec)
        assert repr(same) == repr(spec)
    assert eval(repr(spec)) == spec
    first = dataclasses.fields(spec)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(spec, first, None)


@pytest.mark.parametrize(
    ("spec", "change"),
    [(spec, {k: v}) for spec, changes in CHANGES.items() for k, v in changes.items()],
    ids=lambda value: str(value),
)
def test_every_field_changes_the_network(spec, change):
    other = dataclasses.replace(spec, **change)
    assert other != spec
    a, b = built(spec), built(other)
    assert repr(a) != repr(b) or not torch.allclose(a(sample(spec)), b(sample(spec)))


@pytest.mark.parametrize("cls", [MLP, Conv, Tokens])
def test_the_changes_cover_all_fields(cls):
    (changes,) = (changes for spec, changes in CHANGES.items() if isinstance(spec, cls))
    assert changes.keys() == {field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize("cls", [MLP, Conv, Tokens])
def test_fields_after_the_first_are_keywords(cls):
    with pytest.raises(TypeError, match="positional argument"):
        cls(10, 10)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_encoders_give_what_they_are_asked_for(spec):
    assert built(spec, n_outputs=7)(sample(spec)).shape == (2, 7)


@pytest.mark.parametrize("shape", [(5,), (1,), (3, 4), (2, 3, 4), (1, 2, 3, 4)])
def test_mlp_takes_and_gives_any_shape(shape):
    spec = MLP((6,))
    x = torch.ones(2, *shape)
    assert spec(shape, 4)(x).shape == (2, 4)
    assert spec.decoder(4, shape)(torch.ones(2, 4)).shape == x.shape


def test_mlp_decoder_has_the_widths_in_reverse():
    for spec in (MLP((7, 5)), MLP([7, 5])):
        network = spec.decoder(2, (3,))[0]
        assert [layer.out_features for layer in network.hidden[::2]] == [5, 7]


def test_conv_builds_both_ways():
    spec = Conv((4, 8), kernel_size=5, hidden_layer_sizes=(6,), dropout=0.2)
    assert isinstance(spec((2, 7, 5), 3), ConvEncoder)
    decoder = spec.decoder(3, (2, 7, 5))
    assert isinstance(decoder, ConvDecoder)
    assert decoder(torch.ones(4, 3)).shape == (4, 2, 7, 5)


def test_tokens_build_an_encoder_only():
    assert isinstance(Tokens(9)((6,), 3), TokenEncoder)
    with pytest.raises(ValueError, match=r"cannot be decoded .*Tokens\(vocabulary_size=9"):
        Tokens(9).decoder(3, (6,))
    with pytest.raises(ValueError, match=r"one sequence of ids per sample.* got \(6, 2\)"):
        Tokens(9)((6, 2), 3)


def test_storing_comes_first_checking_when_built():
    spec = MLP("no", activation="no")
    with pytest.raises(ValueError, match="hidden_layer_sizes must be a tuple"):
        spec((3,), 2)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be a tuple"):
        spec.decoder(3, (2,))
    with pytest.raises(ValueError, match=r"\(channels, height, width\)"):
        Conv()((28, 28), 2)
