"""Convolutional networks: any size, and blocks against NumPy."""

import itertools

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from skmm.nn import ConvDecoder, ConvEncoder, initialize, seed_draws

SIZES = list(itertools.product(range(1, 10), repeat=2))
SMALL = {"channels": (3, 2, 4), "hidden_layer_sizes": (5,)}
PLAIN = {"channels": (2,), "hidden_layer_sizes": (), "normalization": None}


def generator():
    return torch.Generator().manual_seed(0)


def images(*shape):
    return torch.randn(*shape, generator=generator(), dtype=torch.float64)


def convolve(layer, x):
    """Return the convolutions (C, H, W) of one image, zeros around it."""
    weight = layer.weight.detach().numpy()
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().numpy()
    return np.stack(
        [
            sum(correlate2d(c, k, mode="same") for c, k in zip(x, kernels, strict=True)) + b
            for kernels, b in zip(weight, bias, strict=True)
        ]
    )


def pool(x):
    """Return maxima over 2×2 pixels, fewer at the edges."""
    rows, columns = (range(0, size, 2) for size in x.shape[1:])
    maxima = [[x[:, i : i + 2, j : j + 2].max((1, 2)) for j in columns] for i in rows]
    return np.array(maxima).transpose(2, 0, 1)


def affine(layer, x):
    return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_any_height_and_width(normalization):
    for height, width in SIZES:
        shape = (2, height, width)
        encoder = ConvEncoder(shape, 6, normalization=normalization, **SMALL)
        decoder = ConvDecoder(6, shape, normalization=normalization, **SMALL)
        x = torch.ones(3, *shape)
        assert encoder(x).shape == (3, 6)
        assert decoder(encoder(x)).shape == x.shape


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("size", [(7, 5), (6, 4), (1, 9)])
def test_encoder_is_convolution_relu_pooling_and_linear_map(size, kernel_size):
    model = ConvEncoder((2, *size), 3, kernel_size=kernel_size, **PLAIN)
    initialize(model, generator()).double()
    x = images(1, 2, *size)
    maps = pool(np.maximum(convolve(model.blocks[0][0], x[0].numpy()), 0))
    expected = affine(model.head[-1].output, maps.ravel())
    np.testing.assert_allclose(model(x)[0].detach(), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(7, 5), (6, 4), (1, 9)])
def test_decoder_is_linear_map_enlarging_and_convolution(size):
    model = initialize(ConvDecoder(3, (2, *size), **PLAIN), generator()).double()
    z = images(1, 3)
    small = tuple(-(-s // 2) for s in size)
    maps = np.maximum(affine(model.head[0].output, z[0].numpy()), 0).reshape(2, *small)
    rows, columns = (np.arange(s) * t // s for s, t in zip(size, small, strict=True))
    expected = convolve(model.blocks[-1][1], maps[:, rows][:, :, columns])
    np.testing.assert_allclose(model(z)[0].detach(), expected, atol=1e-12)


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalization_of_maps(normalization):
    model = ConvEncoder((2, 5, 5), 3, **PLAIN | {"normalization": normalization}).double()
    x = images(4, 2, 5, 5)
    maps = np.stack([convolve(model.blocks[0][0], each) for each in x.numpy()])
    axes = (0, 2, 3) if normalization == "batch" else (1, 2, 3)
    maps = maps - maps.mean(axes, keepdims=True)
    maps /= np.sqrt((maps**2).mean(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(model.blocks[0][:2](x).detach(), maps, atol=1e-12)


def test_last_convolution_of_the_decoder_stands_alone():
    model = ConvDecoder(3, (1, 8, 8), channels=(2, 4))
    kinds = [[type(part).__name__ for part in block] for block in model.blocks[2:]]
    assert kinds == [["Upsample", "Conv2d", "BatchNorm2d", "ReLU"], ["Upsample", "Conv2d"]]


@pytest.mark.parametrize("normalization", ["batch", "layer", None])
def test_images_have_a_learned_level(normalization):
    model = ConvDecoder(3, (2, 5, 5), channels=(2, 4), normalization=normalization)
    last = [part for part in model.modules() if isinstance(part, torch.nn.Conv2d)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([1.0, -2.0]))
        expected = torch.tensor([1.0, -2.0])[:, None, None].expand(4, 2, 5, 5)
        assert torch.equal(model(torch.randn(4, 3, generator=generator())), expected)


def test_no_blocks_leave_dense_networks():
    x = images(3, 2, 4, 5)
    encoder = ConvEncoder((2, 4, 5), 6, channels=()).double()
    decoder = ConvDecoder(6, (2, 4, 5), channels=()).double()
    assert torch.equal(encoder(x), encoder.head[-1](x.flatten(1)))
    assert decoder(encoder(x)).shape == x.shape


def test_dropout_acts_without_hidden_layers_too():
    style = {**PLAIN, "dropout": 0.5}
    for model, x in (
        (ConvEncoder((1, 6, 6), 3, **style), images(2, 1, 6, 6)),
        (ConvDecoder(3, (1, 6, 6), **style), images(2, 3)),
    ):
        initialize(model, generator()).double()
        seed_draws(model, generator())
        assert not torch.equal(model(x), model(x))
        model.eval()
        assert torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    "make", [lambda s, **k: ConvEncoder(s, 2, **k), lambda s, **k: ConvDecoder(2, s, **k)]
)
@pytest.mark.parametrize(
    ("shape", "change", "message"),
    [
        ((4, 5), {}, r"\(channels, height, width\), got \(4, 5\).*X\[:, None\]"),
        ((1, 0, 5), {}, r"got \(1, 0, 5\)"),
        ((1, 4, 5), {"kernel_size": 2}, "kernel_size must be odd.* got 2"),
        ((1, 4, 5), {"channels": (8, 0)}, "at least 1, got 0"),
        ((1, 4, 5), {"channels": 8}, "channels must be a tuple .* got 8"),
        ((1, 4, 5), {"hidden_layer_sizes": 8}, "hidden_layer_sizes must be a tuple .* got 8"),
        ((1, 4, 5), {"activation": "no"}, "activation must be one of"),
        ((1, 4, 5), {"normalization": "no"}, "normalization must be one of"),
    ],
)
def test_refusals(make, shape, change, message):
    with pytest.raises(ValueError, match=message):
        make(shape, **change)
