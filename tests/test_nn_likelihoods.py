"""Likelihoods against scipy.stats."""

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.special import expit, softmax

from skmm.nn import (
    LIKELIHOODS,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    PoissonLikelihood,
)

WIDTH, N_CLASSES = 3, 4
RNG = np.random.default_rng(0)
PARAMETERS = RNG.normal(size=(6, WIDTH))
LOGITS = RNG.normal(size=(6, WIDTH * N_CLASSES))
LOG_SCALE = np.array([-2.0, 0.0, 1.5])
SCALE = 1e-3 + np.exp(LOG_SCALE)


def head(name):
    options = {"n_classes": N_CLASSES} if name == "categorical" else {}
    made = LIKELIHOODS[name](WIDTH, **options).double()
    if hasattr(made, "log_scale"):
        made.log_scale.data = torch.from_numpy(LOG_SCALE)
    return made


def parameters(name):
    return torch.from_numpy(LOGITS if name == "categorical" else PARAMETERS)


def classes(x):
    shares = softmax(LOGITS.reshape(6, WIDTH, N_CLASSES), axis=2)
    return np.log(np.take_along_axis(shares, x[..., None].astype(int), axis=2))[..., 0]


CASES = {
    "gaussian": (RNG.normal(size=(6, WIDTH)), scipy.stats.norm(PARAMETERS, SCALE).logpdf),
    "laplace": (RNG.normal(size=(6, WIDTH)), scipy.stats.laplace(PARAMETERS, SCALE).logpdf),
    "bernoulli": (
        RNG.integers(2, size=(6, WIDTH)),
        scipy.stats.bernoulli(expit(PARAMETERS)).logpmf,
    ),
    "poisson": (RNG.poisson(2, size=(6, WIDTH)), scipy.stats.poisson(np.exp(PARAMETERS)).logpmf),
    "categorical": (RNG.integers(N_CLASSES, size=(6, WIDTH)), classes),
}
MEANS = {
    "gaussian": PARAMETERS,
    "laplace": PARAMETERS,
    "bernoulli": expit(PARAMETERS),
    "poisson": np.exp(PARAMETERS),
    "categorical": softmax(LOGITS.reshape(6, WIDTH, N_CLASSES), axis=2),
}


def test_names():
    assert {
        "gaussian": GaussianLikelihood,
        "laplace": LaplaceLikelihood,
        "bernoulli": BernoulliLikelihood,
        "categorical": CategoricalLikelihood,
        "poisson": PoissonLikelihood,
    } == LIKELIHOODS


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_prob_is_that_of_scipy(name):
    x, log_prob = CASES[name]
    found = head(name)(parameters(name)).log_prob(torch.from_numpy(x).double())
    np.testing.assert_allclose(found.detach(), log_prob(x), atol=1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_mean_is_the_expectation(name):
    np.testing.assert_allclose(head(name).mean(parameters(name)).detach(), MEANS[name], atol=1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_have_that_mean(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = head(name)(parameters(name)).sample((20_000,))
    if name == "categorical":
        draws = torch.nn.functional.one_hot(draws, N_CLASSES).double()
    error = draws.std(dim=0) / len(draws) ** 0.5
    assert ((draws.mean(dim=0) - torch.from_numpy(MEANS[name])).abs() < 5 * error).all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_number_of_parameters(name):
    made = head(name)
    assert made.n_parameters(WIDTH) == parameters(name).shape[1]
    assert made.n_parameters(7) == 7 * (N_CLASSES if name == "categorical" else 1)


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_the_scale_is_learned_and_stays_above_its_floor(name):
    made = LIKELIHOODS[name](WIDTH, min_scale=0.01)
    np.testing.assert_allclose(made.scale.detach(), 1.01)
    with torch.no_grad():
        made.log_scale.fill_(-200)
    loss = -made(torch.zeros(5, WIDTH)).log_prob(torch.zeros(5, WIDTH)).sum()
    np.testing.assert_allclose(made.scale.detach(), 0.01)
    assert torch.isfinite(loss)
    made = head(name)
    torch.optim.SGD(made.parameters(), lr=0.1)  # it takes them
    x = torch.from_numpy(CASES[name][0])
    (-made(parameters(name)).log_prob(x).sum()).backward()
    np.testing.assert_allclose(made.log_scale.grad, _scale_gradient(name, x.numpy()), atol=1e-6)


def _scale_gradient(name, x, eps=1e-6):
    """Differences of minus scipy's log density."""
    family = {"gaussian": scipy.stats.norm, "laplace": scipy.stats.laplace}[name]
    up, down = (
        -family(PARAMETERS, 1e-3 + np.exp(LOG_SCALE + step)).logpdf(x).sum(axis=0)
        for step in (eps, -eps)
    )
    return (up - down) / (2 * eps)


@pytest.mark.parametrize("name", ["bernoulli", "poisson", "categorical"])
def test_extreme_parameters_give_finite_values(name):
    made = LIKELIHOODS[name](2, **({"n_classes": 2} if name == "categorical" else {}))
    for value in (-1e4, 1e4):
        row = torch.tensor([[value, -value] * (made.n_parameters(2) // 2)], requires_grad=True)
        log_prob = made(row).log_prob(torch.tensor([[0.0, 1.0]]))
        log_prob.sum().backward()
        assert torch.isfinite(log_prob).all()
        assert torch.isfinite(row.grad).all()


def test_rates_stay_within_twenty_on_their_logarithmic_scale():
    log_rates = torch.tensor([[-1e4, -20.5, -19.5, 0.0, 19.5, 20.5, 1e4]], dtype=torch.float64)
    expected = np.exp([[-20.0, -20.0, -19.5, 0.0, 19.5, 20.0, 20.0]])
    np.testing.assert_allclose(PoissonLikelihood(7).mean(log_rates), expected)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_parameters_that_are_nan_give_nan_and_no_error(name):
    row = torch.full_like(parameters(name)[:1], torch.nan)
    x = torch.from_numpy(CASES[name][0])[:1].double()
    assert head(name)(row).log_prob(x).isnan().all()


def test_values_between_0_and_1_get_the_cross_entropy():
    x = np.random.default_rng(1).uniform(size=(6, WIDTH))
    p = expit(PARAMETERS)
    found = head("bernoulli")(parameters("bernoulli")).log_prob(torch.from_numpy(x))
    np.testing.assert_allclose(found, x * np.log(p) + (1 - x) * np.log1p(-p), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64])
def test_classes_of_one_column_need_no_second_axis(dtype):
    logits, classes_ = torch.from_numpy(LOGITS[:, :3]), torch.tensor([0, 1, 2, 2, 1, 0])
    density = CategoricalLikelihood(1, n_classes=3)(logits)
    expected = logits.log_softmax(dim=1)[torch.arange(6), classes_][:, None]
    for x in (classes_, classes_[:, None]):
        torch.testing.assert_close(density.log_prob(x.to(dtype)), expected)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("shape", [(6, 1), (6,), (6, WIDTH * N_CLASSES, 1)])
def test_parameters_of_another_shape_are_refused(name, shape):
    with pytest.raises(ValueError, match=r"takes parameters of shape \(n_samples, (3|12)\), got"):
        head(name)(torch.zeros(shape))


def test_which_want_standardised_data():
    wanting = {name for name, cls in LIKELIHOODS.items() if cls.standardised}
    assert wanting == {"gaussian", "laplace"}


def test_refusals():
    with pytest.raises(ValueError, match="width must be an integer of at least 1, got 0"):
        BernoulliLikelihood(0)
    with pytest.raises(ValueError, match="min_scale must be positive, got 0"):
        GaussianLikelihood(2, min_scale=0)
    with pytest.raises(ValueError, match="n_classes must be an integer of at least 1, got 0"):
        CategoricalLikelihood(2, n_classes=0)
