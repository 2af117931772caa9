"""The graph of DeepCCA and its objective against matrix products and sums over rows."""

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.testing import assert_allclose
from torch import nn

from skmm.nn import GaussianLikelihood
from skmm.nn._alignment import Alignment, AlignmentNetwork, AlignmentObjective
from skmm.nn._modality_networks import Standardize

RNG = np.random.default_rng(0)
WIDTHS, K, N = {"a": 3, "b": 4}, 2, 5
X = {name: RNG.normal(size=(N, width)) for name, width in WIDTHS.items()}
ENCODE = {name: RNG.normal(size=(width, K)) for name, width in WIDTHS.items()}
DECODE = {name: RNG.normal(size=(K, width)) for name, width in WIDTHS.items()}
OBSERVED = np.array([[1, 1], [1, 0], [0, 1], [1, 1], [0, 0]], dtype=bool)


def linear(matrix):
    layer = nn.Linear(*matrix.shape, bias=False).double()
    layer.weight.data = torch.from_numpy(matrix.T.copy())
    return layer


def network(decoders=True, **options):
    identity = [Standardize(torch.zeros(1), torch.ones(1).double()) for _ in WIDTHS]
    decoding = {
        "decoders": [linear(DECODE[name]) for name in WIDTHS],
        "likelihoods": [GaussianLikelihood(width).double() for width in WIDTHS.values()],
        "shapes": [(width,) for width in WIDTHS.values()],
    }
    encoders = [linear(ENCODE[name]) for name in WIDTHS]
    return AlignmentNetwork(
        names=list(WIDTHS),
        scalers=identity,
        encoders=encoders,
        **(decoding if decoders else {}),
        **options,
    ).double()


@pytest.mark.parametrize("observed", [None, OBSERVED], ids=["all", "some"])
def test_codes_and_errors_have_zeros_where_a_modality_is_missing(observed):
    inputs = {name: torch.from_numpy(x) for name, x in X.items()}
    seen = None if observed is None else torch.from_numpy(observed)
    codes, errors = network()(inputs, seen)
    for m, name in enumerate(WIDTHS):
        here = np.ones(N) if observed is None else observed[:, m]
        z = X[name] @ ENCODE[name]
        density = scipy.stats.norm(z @ DECODE[name], 1.001)
        assert_allclose(codes[m].detach(), z * here[:, None])
        assert_allclose(errors[m].detach(), -density.logpdf(X[name]).mean(axis=1) * here)


def test_the_common_network_comes_after_the_encoders():
    mix = RNG.normal(size=(K, 3))
    inputs = {name: torch.from_numpy(x) for name, x in X.items()}
    codes, errors = network(decoders=False, common=linear(mix))(inputs)
    assert errors == []
    for name, code in zip(WIDTHS, codes, strict=True):
        assert_allclose(code.detach(), X[name] @ ENCODE[name] @ mix)


@pytest.mark.parametrize("observed", [None, OBSERVED, OBSERVED & (np.arange(N) == 1)[:, None]])
def test_reconstructions_weigh_by_the_rows_that_have_the_modality(observed):
    here = np.ones((N, 2), dtype=bool) if observed is None else observed
    errors = RNG.normal(size=(N, 2)) * here
    outputs = Alignment([torch.ones(N, 1)] * 2, list(torch.from_numpy(errors).T))
    objective = AlignmentObjective(
        lambda codes, observed: {"agreement": codes[0].sum()}, ["a", "b"], 0.3
    )
    terms = objective(outputs, None if observed is None else torch.from_numpy(observed))
    assert list(terms) == ["agreement", "reconstruction_a", "reconstruction_b"]
    assert terms["agreement"] == N
    for m, name in enumerate("ab"):
        mean = errors[here[:, m], m].mean() if here[:, m].any() else 0.0
        assert_allclose(terms[f"reconstruction_{name}"], 0.3 * mean, rtol=1e-6)


def test_by_default_reconstructions_weigh_nothing_and_a_tensor_is_the_objective():
    outputs = Alignment([torch.ones(N, 1)], [torch.ones(N)])
    terms = AlignmentObjective(lambda codes, observed: codes[0].sum(), ["a"])(outputs)
    assert {name: float(term) for name, term in terms.items()} == {
        "objective": N,
        "reconstruction_a": 0.0,
    }
