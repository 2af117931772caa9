"""Fusion: formulas, and nothing from what is missing."""

import numpy as np
import pytest
import torch

from skmm.nn import AttentionFusion, ConcatFusion, MeanFusion, initialize, seed_draws

N, M, D = 7, 3, 8
OBSERVED = torch.tensor(
    [[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]]
).bool()
MAKERS = {
    "concat": lambda: ConcatFusion(D, M, 5, hidden_layer_sizes=(6,)),
    "mean": MeanFusion,
    "attention": lambda: AttentionFusion(D, M, n_heads=2, n_layers=2),
}


def fusion(name):
    return initialize(MAKERS[name](), torch.Generator().manual_seed(0)).double()


def codes(fill=None):
    """Return codes that require gradients; `fill` stands where they are missing."""
    draws = torch.randn(M, N, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if fill is not None:
        draws = torch.where(OBSERVED.T[:, :, None], draws, fill)
    return [z.requires_grad_() for z in draws]


def gradients(model, inputs):
    y = model(inputs, OBSERVED)
    (y * torch.arange(y.numel()).reshape(y.shape)).sum().backward()
    return y.detach(), torch.cat([t.grad.flatten() for t in (*inputs, *model.parameters())])


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("fill", [torch.nan, torch.inf, 1e30])
@pytest.mark.parametrize("name", MAKERS)
def test_what_stands_in_a_missing_code_does_not_matter(name, fill, mode):
    expected = gradients(getattr(fusion(name), mode)(), codes(fill=0.0))
    found = gradients(getattr(fusion(name), mode)(), codes(fill=fill))
    for a, b in zip(found, expected, strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", MAKERS)
def test_missing_codes_have_no_gradient(name):
    inputs = codes(fill=torch.nan)
    gradients(fusion(name), inputs)
    grad = torch.stack([z.grad for z in inputs], dim=1)
    assert not grad[~OBSERVED].any()
    assert grad[OBSERVED].abs().sum(dim=1).all()


@pytest.mark.parametrize("name", MAKERS)
def test_no_mask_means_all_observed(name):
    model = fusion(name)
    full = torch.ones(N, M, dtype=torch.bool)
    assert torch.equal(model(codes()), model(codes(), full))
    assert not torch.allclose(model(codes()), model(codes(), OBSERVED))


@pytest.mark.parametrize("name", MAKERS)
def test_rows_do_not_depend_on_each_other(name):
    model = fusion(name)
    alone = [model([z[i : i + 1] for z in codes()], OBSERVED[i : i + 1]) for i in range(N)]
    together = model(codes(), OBSERVED)
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-12)


def test_mean_is_the_mean_of_the_observed():
    stacked = torch.stack(codes(fill=torch.nan)).detach().numpy()
    found = MeanFusion()(codes(), OBSERVED).detach().numpy()
    np.testing.assert_allclose(found[:-1], np.nanmean(stacked[:, :-1], axis=0), atol=1e-15)
    assert not found[-1].any()


def test_concat_is_linear_in_codes_and_indicators():
    model = ConcatFusion(D, M, 5).double()
    stacked = torch.stack(codes(fill=0.0), dim=1).detach().numpy()
    inputs = np.hstack([stacked.reshape(N, -1), ~OBSERVED.numpy()])
    linear = model.network.output
    expected = inputs @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    np.testing.assert_allclose(model(codes(), OBSERVED).detach(), expected, atol=1e-12)


def test_attention_weights():
    y, weights = fusion("attention")(codes(), OBSERVED, return_weights=True)
    assert y.shape == (N, D)
    assert not weights[~OBSERVED].any()
    assert (weights[OBSERVED] > 0).all()
    np.testing.assert_allclose(weights.sum(dim=1).detach(), [1, 1, 1, 1, 1, 1, 0], atol=1e-12)
    assert not y[-1].any()


def test_attention_without_a_modality_is_attention_over_the_others():
    model, smaller = fusion("attention"), AttentionFusion(D, 2, n_heads=2, n_layers=2).double()
    state = model.state_dict()
    smaller.load_state_dict(state | {"kinds": state["kinds"][[0, 2]]})
    image, _, text = codes()
    observed = torch.tensor([[True, False, True]]).expand(N, -1)
    y, weights = model(codes(), observed, return_weights=True)
    y_smaller, weights_smaller = smaller([image, text], return_weights=True)
    torch.testing.assert_close(y, y_smaller, rtol=0, atol=1e-12)
    torch.testing.assert_close(weights[:, [0, 2]], weights_smaller, rtol=0, atol=1e-12)


def test_attention_knows_the_modalities_apart():
    same = [codes()[0]] * M
    y = [fusion("attention")(same, torch.eye(M, dtype=torch.bool)[[m] * N]) for m in range(M)]
    assert not torch.allclose(y[0], y[1])
    assert not torch.allclose(y[0], y[2])


@pytest.mark.parametrize(
    "make",
    [
        lambda p: ConcatFusion(D, M, 5, hidden_layer_sizes=(6,), dropout=p),
        lambda p: AttentionFusion(D, M, dropout=p),
    ],
)
def test_dropout_draws_from_its_generator(make):
    model = initialize(make(0.5), torch.Generator().manual_seed(0)).double()
    results = []
    for seed in (0, 0, 1):
        seed_draws(model, torch.Generator().manual_seed(seed))
        results.append(model(codes(), OBSERVED))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("name", MAKERS)
def test_refusals(name):
    model = fusion(name)
    with pytest.raises(ValueError, match=r"observed must be a bool tensor of shape \(7, 3\)"):
        model(codes(), OBSERVED[:, :2])
    with pytest.raises(ValueError, match=r"bool tensor .* got torch.float32"):
        model(codes(), OBSERVED.float())
    if name != "mean":
        with pytest.raises(ValueError, match="codes of 3 modalities, got 2"):
            model(codes()[:2])


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match=r"n_heads must divide .* 6; got 4"):
        AttentionFusion(6, 2)
