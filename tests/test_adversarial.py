"""The losses of conditional generators against NumPy, and the net that trains two sides."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skmm.nn._adversarial_losses import (
    ADVERSARIAL,
    energy_scores,
    log_scores,
    root,
    unit_penalty,
    zero_centred_penalty,
)
from skmm.nn._discriminator import SpectralNorm


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("m", [2, 3, 7])
@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3, 3)])
def test_energy_scores_are_those_of_the_formula(m, shape):
    target, draws = normal(5, *shape), normal(m, 5, *shape, seed=1)
    y, x = target.reshape(5, -1).numpy(), draws.reshape(m, 5, -1).numpy()
    for i, found in enumerate(energy_scores(target, draws).tolist()):
        error = np.mean([np.linalg.norm(x[a, i] - y[i]) for a in range(m)])
        pairs = [np.linalg.norm(x[a, i] - x[b, i]) for a in range(m) for b in range(m) if a != b]
        np.testing.assert_allclose(found, error - np.mean(pairs) / 2, rtol=1e-12)


def test_log_scores_are_those_of_the_mean_probability():
    logits, labels = normal(3, 5, 4), torch.tensor([0, 3, 1, 1, 2])
    p = np.exp(logits.numpy())
    p = (p / p.sum(axis=2, keepdims=True)).mean(axis=0)
    expected = -np.log(p[np.arange(5), labels])
    np.testing.assert_allclose(log_scores(labels, logits), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_root_rises_from_rounding_with_a_finite_slope(dtype):
    eps = torch.finfo(dtype).eps
    square = torch.tensor([0.0, 0.25, 9.0], dtype=dtype, requires_grad=True)
    values = root(square)
    values.sum().backward()
    torch.testing.assert_close(values.detach(), torch.tensor([eps, 0.5, 3.0], dtype=dtype))
    expected = torch.tensor([0.5 / eps, 1.0, 1 / 6], dtype=dtype)
    torch.testing.assert_close(square.grad, expected)


def test_energy_scores_have_finite_gradients_where_draws_meet_the_target():
    draws = torch.zeros(2, 3, 4, requires_grad=True)
    energy_scores(torch.zeros(3, 4), draws).sum().backward()
    assert torch.isfinite(draws.grad).all()


def log1pexp(x):
    return np.logaddexp(0, x)


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        ("relativistic", lambda r, f: log1pexp(f - r), lambda r, f: log1pexp(r - f)),
        ("wasserstein", lambda r, f: f - r, lambda r, f: -f),
        (
            "hinge",
            lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f),
            lambda r, f: -f,
        ),
        # minus log-likelihoods of "real" with probability 1 / (1 + exp(-D))
        (
            "standard",
            lambda r, f: -np.log(1 / (1 + np.exp(-r))) - np.log(1 - 1 / (1 + np.exp(-f))),
            lambda r, f: -np.log(1 / (1 + np.exp(-f))),
        ),
    ],
)
def test_adversarial_rules_are_those_of_the_papers(loss, critic, generator):
    real, fake = 3 * normal(20), 3 * normal(20, seed=1)
    for rule, expected in zip(ADVERSARIAL[loss], (critic, generator), strict=True):
        np.testing.assert_allclose(rule(real, fake), expected(real.numpy(), fake.numpy()))


def cubic(condition, y):
    """Return a critic whose gradient with respect to y is 3 c y²."""
    return (condition * y**3).sum(dim=1)


def test_penalties_are_those_of_a_critic_with_a_known_gradient():
    condition, real, fake = normal(6, 2), normal(6, 2, seed=1), normal(6, 2, seed=2)
    share = torch.linspace(0, 1, 6, dtype=torch.float64)
    c, r, f, s = (t.numpy() for t in (condition, real, fake, share[:, None]))

    def squares(y):
        return ((3 * c * y**2) ** 2).sum(axis=1)

    zero = zero_centred_penalty(cubic, condition, real, fake).detach()
    np.testing.assert_allclose(zero, (squares(r).mean() + squares(f).mean()) / 2)
    one = unit_penalty(cubic, condition, real, fake, share).detach()
    between = s * r + (1 - s) * f
    np.testing.assert_allclose(one, ((np.sqrt(squares(between)) - 1) ** 2).mean())


def test_penalties_do_not_reach_the_generator():
    condition, real, noise = normal(6, 2), normal(6, 2, seed=1), normal(6, 2, seed=2)
    weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    slope = torch.ones(2, dtype=torch.float64, requires_grad=True)

    def critic(c, y):
        return cubic(c, slope * y)

    share = torch.full((6,), 0.5, dtype=torch.float64)
    for penalty, options in ((zero_centred_penalty, ()), (unit_penalty, (share,))):
        total = penalty(critic, condition, real, weight * noise, *options)
        grads = torch.autograd.grad(total, [weight, slope], allow_unused=True)
        assert grads[0] is None
        assert grads[1].abs().min() > 0


def test_penalties_can_be_differentiated_again():
    layer = nn.Linear(2, 1).double()
    real, fake = normal(6, 2), normal(6, 2, seed=1)
    zero_centred_penalty(lambda c, y: layer(y).squeeze(1), real, real, fake).backward()
    # The gradient of D is the weight w, so that the penalty is |w|² and its derivative 2 w.
    torch.testing.assert_close(layer.weight.grad, 2 * layer.weight.detach())


@pytest.mark.parametrize("layer", [nn.Linear(6, 4), nn.Conv2d(2, 3, 3)], ids=["linear", "conv"])
def test_spectral_norm_divides_by_the_largest_singular_value(layer):
    torch.manual_seed(0)
    normed = SpectralNorm(nn.Sequential(copy.deepcopy(layer))).train()
    x = torch.randn(3, *((6,) if isinstance(layer, nn.Linear) else (2, 5, 5)))
    for _ in range(200):
        normed(x)
    sigma = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)[0]
    plain = copy.deepcopy(layer)
    with torch.no_grad():
        plain.weight /= sigma
    torch.testing.assert_close(normed(x), plain(x), rtol=1e-4, atol=1e-5)


def test_spectral_norm_can_be_copied_and_pickled_after_training():
    normed = SpectralNorm(nn.Linear(3, 2))
    normed(torch.ones(1, 3)).sum().backward()
    for again in (copy.deepcopy(normed), pickle.loads(pickle.dumps(normed))):
        torch.testing.assert_close(again.eval()(torch.ones(1, 3)), normed.eval()(torch.ones(1, 3)))


def test_spectral_norm_rests_in_evaluation():
    normed = SpectralNorm(nn.Linear(5, 4)).eval()
    before = normed.left0.clone()
    normed(torch.ones(1, 5))
    torch.testing.assert_close(normed.left0, before)
