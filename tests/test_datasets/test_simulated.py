"""Simulated data against the closed form of their population."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skmm.datasets import make_shared_latent


def canonical_correlations(cov_a, cov_b, cov_ab):
    """Textbook: singular values of the whitened cross-covariance."""
    whitened = np.linalg.solve(np.linalg.cholesky(cov_a), cov_ab)
    return np.linalg.svd(np.linalg.solve(np.linalg.cholesky(cov_b), whitened.T), compute_uv=False)


@pytest.mark.parametrize("private_scale", [0.1, 1.0, 5.0])
def test_population_correlations_are_those_given(private_scale):
    rho = [0.95, 0.6, 0.2]
    made = make_shared_latent(
        10,
        correlations=rho,
        n_features={"a": 3, "b": 7, "c": 5},
        private_scale=private_scale,
        random_state=0,
    )
    for a, b in itertools.combinations("abc", 2):
        blocks = made.covariances[a, a], made.covariances[b, b], made.covariances[a, b]
        expected = np.zeros(min(blocks[2].shape))
        expected[:3] = rho
        assert_allclose(canonical_correlations(*blocks), expected, atol=1e-10)
        assert_allclose(made.covariances[a, b], made.covariances[b, a].T)
    assert_array_equal(made.correlations, rho)


def test_samples_follow_the_population():
    made = make_shared_latent(
        100_000, n_features=(4, 6, 5), correlations=[0.9, 0.5], private_scale=2.0, random_state=1
    )
    X = made.data
    for a, b in itertools.product(X.names, X.names):
        sample = X[a].T @ X[b] / len(X)
        assert_allclose(sample, made.covariances[a, b], atol=0.06)
    for a, b in itertools.combinations(X.names, 2):
        qa, qb = (np.linalg.qr(X[name] - X[name].mean(axis=0))[0] for name in (a, b))
        found = np.linalg.svd(qa.T @ qb, compute_uv=False)
        assert_allclose(found, [0.9, 0.5, 0, 0, 0][: len(found)], atol=0.02)
        u, v = X[a] @ made.weights[a], X[b] @ made.weights[b]
        assert_allclose(u.std(axis=0), 1, atol=0.01)
        paired = [np.corrcoef(u[:, j], v[:, j])[0, 1] for j in range(2)]
        assert_allclose(paired, [0.9, 0.5], atol=0.01)
    assert_allclose(X[a].T @ made.latent / len(X), made.loadings[a], atol=0.03)
    assert_allclose(made.latent.T @ made.latent / len(X), np.eye(2), atol=0.02)


def test_correlation_one_has_no_private_noise():
    made = make_shared_latent(50, correlations=[1, 0.3], private_scale=0, random_state=0)
    u, v = (made.data[name] @ made.weights[name] for name in made.data.names)
    assert_allclose(u[:, 0], v[:, 0])
    assert_allclose(u[:, 0], made.latent[:, 0])
    assert np.linalg.matrix_rank(made.data["modality0"]) == 2


def test_correlations_are_sorted():
    made = make_shared_latent(5, correlations=[0.2, 0.8], random_state=0)
    assert_array_equal(made.correlations, [0.8, 0.2])


@pytest.mark.parametrize(
    ("nonlinearity", "function"),
    [("tanh", np.tanh), ("cube", lambda x: x**3), ("exp", np.exp), (np.sin, np.sin)],
)
def test_nonlinearity_is_applied_entry_by_entry(nonlinearity, function):
    linear = make_shared_latent(20, random_state=3)
    bent = make_shared_latent(20, nonlinearity=nonlinearity, random_state=3)
    for name in linear.data.names:
        assert_allclose(bent.data[name], function(linear.data[name]))


def test_missing_rows():
    made = make_shared_latent(
        20_000, n_features=(4, 4, 4), missing={"modality0": 0.3, "modality2": 0.1}, random_state=0
    )
    missing = made.data.missing
    assert_allclose(missing.mean(), [0.3, 0, 0.1], atol=0.02)
    both = (missing["modality0"] & missing["modality2"]).mean()
    assert both == pytest.approx(0.03, abs=0.01)  # independent of one another
    assert not made.complete.missing.any(axis=None)
    full = make_shared_latent(20_000, n_features=(4, 4, 4), random_state=0)
    for name in made.data.names:
        gone = missing[name].to_numpy()
        assert np.isnan(made.data[name][gone]).all()
        assert_array_equal(made.data[name][~gone], made.complete[name][~gone])
        assert_array_equal(full.data[name], made.complete[name])


def test_no_row_is_missing_everywhere():
    made = make_shared_latent(2000, missing=0.9, random_state=0)
    assert made.data.missing.sum(axis=1).max() == 1


def test_classes_are_quantile_bins_of_the_latent():
    made = make_shared_latent(30_000, n_classes=3, random_state=0)
    assert_allclose(np.bincount(made.target) / 30_000, 1 / 3, atol=0.01)
    bounds = [made.latent[made.target == c, 0] for c in range(3)]
    assert bounds[0].max() < bounds[1].min()
    assert bounds[1].max() < bounds[2].min()
    assert bounds[1].min() == pytest.approx(stats.norm.ppf(1 / 3), abs=1e-3)
    assert make_shared_latent(5, random_state=0).target is None


def test_simulation_follows_random_state_only():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b, c = (make_shared_latent(9, random_state=s).data["modality1"] for s in (0, 0, 1))
    assert_array_equal(a, b)
    assert not np.allclose(a, c)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_simulation_as_frame():
    kwargs = {"missing": 0.3, "n_classes": 2, "random_state": 0}
    frame, target = make_shared_latent(40, as_frame=True, return_X_y=True, **kwargs)
    made = make_shared_latent(40, **kwargs)
    assert list(frame.columns[[0, -1]]) == [("modality0", "x0"), ("modality1", "x9")]
    assert_array_equal(frame, made.data.to_frame())
    assert_array_equal(target, made.target)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an integer of at least 1, got 0"),
        ({"correlations": [1.2]}, r"correlations must be .* in \[0, 1\], got \[1.2\]"),
        ({"correlations": [-0.1]}, "correlations must be"),
        ({"correlations": []}, "correlations must be"),
        ({"correlations": 0.5}, "correlations must be"),
        ({"correlations": [np.nan]}, "correlations must be"),
        ({"n_features": (5, 2)}, "Modality 'modality1' has n_features=2, but 3 correlations"),
        ({"n_features": (5,)}, "at least two modalities"),
        ({"private_scale": -1}, "private_scale must be finite and not negative, got -1"),
        ({"nonlinearity": "sine"}, "nonlinearity must be one of .*'tanh'.* got 'sine'"),
        ({"missing": 1.0}, r"missing must be in \[0, 1\), got 1.0 for modality 'modality0'"),
        ({"missing": {"text": 0.5}}, r"missing names \['text'\]"),
        ({"n_classes": 1}, "n_classes must be an integer of at least 2, or None, got 1"),
    ],
)
def test_simulation_refuses(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_shared_latent(**parameters)
