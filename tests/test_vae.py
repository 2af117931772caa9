"""MultimodalVAE against closed forms: linear-Gaussian models, quadrature, the papers' formulas."""

import warnings
from copy import copy, deepcopy
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import logsumexp
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skmm import Modalities, MultimodalVAE
from skmm.nn import product_of_experts
from skmm.nn._experts import all_subsets, kl_between, kl_to_prior, log_normal
from skmm.nn._posteriors import CONDITIONAL_SHARE, PREDICTION_WEIGHT, SUBSET_WEIGHT, Mixture
from skmm.nn._vae import Evidence, RandomSubset, VAEObjective

POSTERIORS = ("poe", "moe", "mopoe", "mvtcae", "joint")
QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0, "early_stopping": False}
pytestmark = pytest.mark.filterwarnings("ignore:.* collapsed:sklearn.exceptions.ConvergenceWarning")


def small(n_components=2, **params):
    return MultimodalVAE(n_components, **{**QUICK, **params})


def factor_data(n=600, widths=(4, 3, 5), k=2, seed=0, loadings_seed=0):
    """Return modalities of a linear-Gaussian model, in units of their own."""
    W = [
        np.random.default_rng([loadings_seed, m]).standard_normal((w, k))
        for m, w in enumerate(widths)
    ]
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, k))
    parts = [
        10.0**m * (z @ w.T + 0.7 * rng.standard_normal((n, len(w))) + m) for m, w in enumerate(W)
    ]
    return Modalities(dict(zip("abc", parts, strict=False)))


# Products and divergences


@pytest.mark.parametrize("subset", list(product([False, True], repeat=3)))
def test_the_product_is_the_posterior_of_a_linear_model(subset):
    """With loadings orthogonal under the precision of the noise, diagonal experts are exact."""
    rng = np.random.default_rng(0)
    k, n, widths = 2, 7, (4, 3, 5)
    W, psi, x = [], [], []
    z = rng.standard_normal((n, k))
    for width in widths:
        noise = rng.uniform(0.3, 2.0, width)
        Q = np.linalg.qr(rng.standard_normal((width, k)))[0] * rng.uniform(0.5, 2.0, k)
        W.append(np.sqrt(noise)[:, None] * Q)  # W' diag(1 / noise) W is diagonal
        psi.append(noise)
        x.append(z @ W[-1].T + np.sqrt(noise) * rng.standard_normal((n, width)))
    means, log_variances = [], []
    for w, noise, values in zip(W, psi, x, strict=True):
        precision = np.diag(w.T @ (w / noise[:, None]))
        means.append(torch.tensor(values / noise @ w / precision))
        log_variances.append(torch.tensor(-np.log(precision)).expand(n, k))
    observed = torch.tensor([subset] * n)
    mean, log_variance = product_of_experts(means, log_variances, observed)
    used = [m for m in range(3) if subset[m]]
    precision = np.eye(k) + sum((W[m].T @ (W[m] / psi[m][:, None]) for m in used), np.zeros((k, k)))
    shift = sum((x[m] / psi[m] @ W[m] for m in used), np.zeros((n, k)))
    assert_allclose(mean, shift @ np.linalg.inv(precision), atol=1e-10)
    assert_allclose(log_variance.exp()[0], np.diag(np.linalg.inv(precision)), atol=1e-10)


def test_what_a_missing_expert_says_is_ignored():
    nan = torch.full((2, 1), torch.nan, requires_grad=True)
    one = torch.ones(2, 1, requires_grad=True)
    observed = torch.tensor([[True, False], [False, False]])
    mean, log_variance = product_of_experts([one, nan], [one * 0, nan], observed)
    assert_allclose(mean.detach(), [[0.5], [0.0]])
    assert_allclose(log_variance.detach().exp(), [[0.5], [1.0]])
    (mean.sum() + log_variance.sum()).backward()
    assert one.grad.isfinite().all()


def test_divergences_are_those_of_quadrature():
    z = np.linspace(-30, 30, 60_001)
    m, s, m2, s2 = 0.7, 0.6, -0.4, 1.3
    p = stats.norm.pdf(z, m, s)
    for other, found in (
        (stats.norm(0, 1), kl_to_prior(torch.tensor(m), torch.tensor(2 * np.log(s)))),
        (
            stats.norm(m2, s2),
            kl_between(
                torch.tensor(m),
                torch.tensor(2 * np.log(s)),
                (torch.tensor(m2), torch.tensor(2 * np.log(s2))),
            ),
        ),
    ):
        expected = np.trapezoid(p * (stats.norm.logpdf(z, m, s) - other.logpdf(z)), z)
        assert_allclose(float(found), expected, rtol=1e-6)


def test_log_density_is_that_of_scipy():
    rng = np.random.default_rng(0)
    z, mean, log_variance = rng.standard_normal((3, 4, 5, 2))
    mean, log_variance = mean[0], log_variance[0]  # several draws of one normal per row
    found = log_normal(*(torch.tensor(a) for a in (z, mean, log_variance)))
    expected = stats.norm.logpdf(z, mean, np.exp(log_variance / 2)).sum(axis=2)
    assert_allclose(found, expected, rtol=1e-6)


def test_a_density_of_nan_is_nan_and_no_error():
    nan, zero = torch.full((2, 1), torch.nan), torch.zeros(2, 1)
    for arguments in ((nan, zero, zero), (zero, nan, zero), (zero, zero, nan)):
        assert log_normal(*arguments).isnan().all()


def test_subsets_start_with_single_modalities():
    a, b, c = np.eye(3, dtype=int)
    expected = [a, b, c, a + b, a + c, b + c, a + b + c]
    assert all_subsets(3).int().tolist() == [row.tolist() for row in expected]


def test_mixtures():
    rng = np.random.default_rng(0)
    means, log_variances = rng.standard_normal((2, 3, 4, 2))
    weights = rng.dirichlet(np.ones(3), size=4).T
    mixture = Mixture(*(torch.tensor(a) for a in (means, log_variances, np.log(weights))))
    assert_allclose(mixture.mean(), (weights[:, :, None] * means).sum(axis=0))
    z = rng.standard_normal((4, 2))
    parts = [
        np.log(w) + stats.norm.logpdf(z, m, np.exp(v / 2)).sum(axis=1)
        for m, v, w in zip(means, log_variances, weights, strict=True)
    ]
    assert_allclose(mixture.log_density(torch.tensor(z)), logsumexp(parts, axis=0))


@pytest.mark.parametrize("M", [1, 2, 3, 4])
def test_subsets(M):
    subsets = all_subsets(M).numpy()
    assert len({tuple(row) for row in subsets}) == 2**M - 1
    assert_array_equal(subsets[:M], np.eye(M, dtype=bool))


def test_random_subsets_are_uniform_and_never_empty():
    full = torch.tensor([[True, True, False]] * 9000 + [[False] * 3])
    hide = RandomSubset()
    hide.generator = torch.Generator().manual_seed(0)
    chosen = hide(full)
    assert not (chosen & ~full).any()
    assert chosen[:-1].any(dim=1).all()
    counts = torch.stack([(chosen[:-1] == torch.tensor(row)).all(dim=1).sum() for row in
                          ([1, 0, 0], [0, 1, 0], [1, 1, 0])])  # fmt: skip
    assert_allclose(counts / 9000, 1 / 3, atol=0.02)


# The likelihood


@cache
def linear_model():
    """Return a linear model that tests share: they only ask it."""
    return small(hidden_layer_sizes=(), max_epochs=40, lr=0.02, batch_size=100).fit(factor_data())


@cache
def trained(posterior):
    """Return a model that has learned something, which tests share."""
    return small(posterior=posterior, max_epochs=20, lr=0.01, batch_size=100).fit(factor_data())


def linear_gaussian(model, X):
    """Return the exact log-likelihood of rows under a linear model's own decoders."""
    network = model.net_.module_
    k = model.n_components
    columns, means, W, noise = [], [], [], []
    with torch.inference_mode():
        for m, name in enumerate(network.names):
            scale, shift = (
                np.asarray(a, float) for a in (network.scalers[m].scale, network.scalers[m].mean)
            )
            base = network.decoders[m](torch.zeros(1, k)).double().numpy()[0]
            slopes = network.decoders[m](torch.eye(k)).double().numpy() - base
            columns.append(np.asarray(X[name]))
            means.append(shift + scale * base)
            W.append(scale[:, None] * slopes.T)
            noise.append(scale * network.likelihoods[m].scale.double().numpy())
    W, noise = np.vstack(W), np.concatenate(noise)
    S = W @ W.T + np.diag(noise**2)
    return stats.multivariate_normal(np.concatenate(means), S), np.hstack(columns)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_bound_is_the_exact_likelihood_of_a_linear_model(posterior):
    X = factor_data()
    model = small(
        hidden_layer_sizes=(), max_epochs=60, lr=0.02, batch_size=100, posterior=posterior,
        n_importance_samples=4000, modality_weights=None, weight_decay=0.0,
    ).fit(X)  # fmt: skip
    exact, rows = linear_gaussian(model, X)
    found, expected = model.score_samples(X[:50]), exact.logpdf(rows[:50])
    assert abs(np.mean(found - expected)) < 0.05
    assert np.abs(found - expected).max() < 0.5


def test_a_linear_model_is_factor_analysis():
    train, test = factor_data(4000), factor_data(2000, seed=1)
    model = MultimodalVAE(
        2, hidden_layer_sizes=(), posterior="joint", modality_weights=None, lr=0.02,
        weight_decay=0.0, max_epochs=80, early_stopping=False, kl_warmup=0.0, random_state=0,
    ).fit(train)  # fmt: skip
    exact, rows = linear_gaussian(model, test)
    both = [np.hstack([np.asarray(v) for v in X.values()]) for X in (train, test)]
    scale = both[0].std(axis=0)
    oracle = FactorAnalysis(2).fit(both[0] / scale).score(both[1] / scale)
    found = exact.logpdf(rows).mean() + np.log(scale).sum()
    assert abs(found - oracle) / both[0].shape[1] < 0.02


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_bound_is_quadrature_of_any_model(posterior):
    """One component, nonlinear decoders, labels and binary data beside numbers."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal(200)
    X = Modalities(
        {
            "a": np.c_[np.sin(z), z**2] + 0.3 * rng.standard_normal((200, 2)),
            "b": (z[:, None] + rng.standard_normal((200, 3)) > 0),
            "label": np.where(z > 0, "up", "down"),
        }
    ).with_missing("b", np.arange(0, 200, 5))
    model = small(1, posterior=posterior, max_epochs=30, lr=0.01, n_importance_samples=3000).fit(X)
    network = model.net_.module_.double()
    points = torch.linspace(-9, 9, 3001, dtype=torch.float64)[:, None]
    rows = X[:20]
    total = stats.norm.logpdf(points.numpy()[:, 0])[:, None] + np.zeros((1, 20))
    with torch.inference_mode():
        for m, name in enumerate(network.names):
            values = rows[name]
            if name == "label":
                values = np.searchsorted(model.categories_["label"], values)
            here = ~rows.missing[name].to_numpy()
            value = torch.tensor(np.asarray(values, int if name == "label" else float))
            target = network.target(m, value)
            for i in np.flatnonzero(here):
                row = target[i : i + 1].expand(len(points), -1)
                total[:, i] += network.log_prob(m, points, row).sum(dim=1).numpy()
                if name == "a":
                    total[:, i] -= network.scalers[m].scale.log().sum().item()
    expected = np.log(np.trapezoid(np.exp(total), points.numpy()[:, 0], axis=0))
    found = model.score_samples(rows)
    assert np.abs(found - expected).max() < 0.3
    assert abs(np.mean(found - expected)) < 0.05


def test_units_shift_the_likelihood_by_the_jacobian():
    X = factor_data()
    other = Modalities({name: 100 * np.asarray(v) + 5 for name, v in X.items()})
    model, same = small().fit(X), small().fit(other)
    n_columns = sum(v.shape[1] for v in X.values())
    shift = model.score_samples(X) - same.score_samples(other)
    assert_allclose(shift, n_columns * np.log(100), rtol=1e-5)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_absent_missing_and_partly_missing_are_marginalised(posterior):
    X = factor_data()
    model = small(posterior=posterior).fit(X)
    some = X.select(["a", "b"])
    assert_allclose(model.score_samples(some), model.score_samples(X.with_missing("c")))
    assert_allclose(model.transform(some), model.transform(X.with_missing("c")))
    blank = X.with_missing(["a", "b", "c"], [3])
    assert model.score_samples(blank)[3] == pytest.approx(0.0, abs=1e-9)
    assert_allclose(model.transform(blank)[3], 0.0, atol=1e-9)
    holes = np.asarray(X["a"]).copy()
    holes[:, 1] = np.nan
    partly = Modalities({**dict(X.items()), "a": holes})
    filled = holes.copy()
    filled[:, 1] = np.mean(X["a"][:, 1])  # what the encoder sees
    at_mean = Modalities({**dict(X.items()), "a": filled})
    assert_allclose(model.transform(partly), model.transform(at_mean), rtol=1e-4, atol=1e-6)
    assert np.isfinite(model.score_samples(partly)).all()


def test_constant_columns_are_reported_and_count_nothing():
    X = factor_data()
    wide = np.c_[np.asarray(X["a"]), np.full(len(X), 3.0)]
    model = small().fit(Modalities({**dict(X.items()), "a": wide}))
    assert list(model.excluded_columns_) == ["a"]
    assert_array_equal(model.excluded_columns_["a"], [4])
    moved = wide.copy()
    moved[:, 4] = np.nan
    rows = [Modalities({**dict(X.items()), "a": a}) for a in (wide, moved)]
    assert_allclose(*(model.score_samples(r) for r in rows))


def test_more_draws_tighten_the_bound():
    X, model = factor_data(), copy(trained("poe"))
    scores = [model.set_params(n_importance_samples=n).score(X[:200]) for n in (1, 10, 1000)]
    assert scores == sorted(scores)


# The objective


def evidence(model, X):
    module = model.net_.module_.eval()
    inputs = {n: torch.tensor(np.asarray(v), dtype=torch.float32) for n, v in X.items()}
    return module, inputs, module(inputs)


def manual_draw(mean, log_variance):
    noise = torch.empty_like(mean).normal_(generator=torch.Generator().manual_seed(0))
    return mean + (0.5 * log_variance).exp() * noise


def log_likelihood(module, m, name, inputs, z):
    mean = module.decoders[m](z)
    target = (inputs[name] - module.scalers[m].mean) / module.scalers[m].scale
    normal = torch.distributions.Normal(mean, module.likelihoods[m].scale)
    return normal.log_prob(target).sum(dim=1)


@pytest.mark.parametrize(
    ("posterior", "weights"), [("poe", "auto"), ("poe", None), ("mvtcae", None), ("moe", None)]
)
def test_the_bound_of_training_is_that_of_the_paper(posterior, weights):
    X = factor_data(50, widths=(4, 3))
    model = small(posterior=posterior, modality_weights=weights).fit(X)
    module, inputs, found = evidence(model, X)
    assert module.predicts == (weights == "auto")
    with torch.no_grad():
        experts = [
            module.encoders[m](module.scaled(m, inputs[n])).chunk(2, dim=1)
            for m, n in enumerate("ab")
        ]
        single = [product_of_experts([mean], [v]) for mean, v in experts]
        joint = product_of_experts(*zip(*experts, strict=True))
        share = CONDITIONAL_SHARE / 2
        draws = single if posterior == "moe" else [joint]
        weight = {"poe": 1.0, "mvtcae": 1 - share, "moe": 0.5}[posterior]
        full = torch.ones(50, 2, dtype=torch.bool)
        some = module.hide(full)
        part = product_of_experts(*zip(*experts, strict=True), some)
        extra = PREDICTION_WEIGHT * (some != full).any(dim=1) * (weights == "auto")
        for m, name in enumerate("ab"):
            expected = weight * sum(
                log_likelihood(module, m, name, inputs, manual_draw(*q)) for q in draws
            )
            expected = expected + extra * log_likelihood(
                module, m, name, inputs, manual_draw(*part)
            )
            assert_allclose(found.log_probs[m].detach(), expected, rtol=1e-4, atol=1e-4)
        kl = [kl_to_prior(*q) for q in draws]
        expected = weight * sum(kl)
        gaps = sum(kl_between(*joint, q) for q in single)
        if posterior == "poe":
            expected = kl[0] + SUBSET_WEIGHT * gaps / 2 + extra[:, None] * kl_to_prior(*part)
        elif posterior == "mvtcae":
            expected = (1 - CONDITIONAL_SHARE) * kl[0] + share * gaps
        assert_allclose(found.kl.detach(), expected, rtol=1e-4, atol=1e-5)


def test_incomplete_rows_have_the_bound_of_what_they_have():
    """Three modalities; the gap of a row is the mean over what it has and a random subset."""
    model = small().fit(factor_data(50))
    module, inputs, _ = evidence(model, factor_data(50))
    full = torch.tensor([[True, True, False], [True, False, False], [True, True, True]] * 10)
    inputs = {name: value[:30] for name, value in inputs.items()}
    found = module(inputs, full)
    with torch.no_grad():
        experts = [
            module.encoders[m](module.scaled(m, inputs[n])).chunk(2, dim=1)
            for m, n in enumerate("abc")
        ]
        means, log_variances = zip(*experts, strict=True)
        whole = product_of_experts(means, log_variances, full)
        chosen = module.hide(full)
        some = product_of_experts(means, log_variances, chosen)
        for i, row in enumerate(full):
            n_seen = int(row.sum())
            weight = (1 - CONDITIONAL_SHARE / n_seen) / (1 - CONDITIONAL_SHARE / 3)
            normal = whole[0][i : i + 1], whole[1][i : i + 1]
            sets = [torch.eye(3, dtype=torch.bool)[m] for m in range(3) if row[m]] + [chosen[i]]
            here = [m[i : i + 1] for m in means], [v[i : i + 1] for v in log_variances]
            parts = [product_of_experts(*here, seen[None]) for seen in sets]
            gap = sum(kl_between(*normal, part) for part in parts) / len(sets)
            expected = weight * (kl_to_prior(*normal) + SUBSET_WEIGHT * gap)
            extra = PREDICTION_WEIGHT * weight * (chosen[i] != row).any()
            expected = expected + extra * kl_to_prior(*parts[-1])
            assert_allclose(found.kl[i].detach(), expected[0], rtol=1e-4, atol=1e-5)
            z, z_some = manual_draw(*whole), manual_draw(*some)
            for m, name in enumerate("abc"):
                value = weight * row[m] * log_likelihood(module, m, name, inputs, z)[i]
                value += extra * row[m] * log_likelihood(module, m, name, inputs, z_some)[i]
                assert_allclose(found.log_probs[m][i].detach(), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("posterior", ["poe", "joint"])
def test_experts_do_not_outbid_each_other(posterior):
    """Of rows that lack something the posterior is no surer than the exact one of the model."""
    X = factor_data(1000, widths=(12, 12, 12), k=1)
    lost = np.random.default_rng(0).integers(3, size=len(X))
    holes = X
    for m, name in enumerate("abc"):
        holes = holes.with_missing(name, np.flatnonzero(lost == m))
    model = small(
        1, hidden_layer_sizes=(), max_epochs=20, lr=0.02, posterior=posterior,
        modality_weights=None, weight_decay=0.0,
    ).fit(holes)  # fmt: skip
    network = model.net_.module_
    with torch.inference_mode():
        inputs = {n: torch.tensor(np.asarray(X[n][:1]), dtype=torch.float32) for n in "ab"}
        mixture = network.posterior(inputs, torch.tensor([[True, True, False]]))
        precision = 1.0
        for m in range(2):
            slopes = network.decoders[m](torch.ones(1, 1)) - network.decoders[m](torch.zeros(1, 1))
            precision += float((slopes / network.likelihoods[m].scale).square().sum())
    assert float(mixture.log_variances[0, 0, 0].exp()) > 0.9 / precision


def test_the_joint_encoder_is_not_bent_towards_the_experts():
    model = small(posterior="joint").fit(factor_data(50))
    module, _, found = evidence(model, factor_data(50))
    module.zero_grad()
    found.experts.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in module.joint.parameters())
    assert all(p.grad is not None for p in module.encoders.parameters())


def test_weights_warm_up_and_free_bits():
    outputs = Evidence(
        [torch.tensor([-2.0, -4.0]), torch.tensor([-1.0, -1.0])],
        torch.tensor([[0.5, 3.0], [0.1, 1.0]]),
        torch.zeros(2, 2),
    )
    objective = VAEObjective("ab", [1.0, 10.0], beta=2.0, kl_warmup=0.5, free_bits=0.4)
    terms = {name: float(value) for name, value in objective.eval()(outputs).items()}
    assert terms["reconstruction_a"] == pytest.approx(3.0)
    assert terms["reconstruction_b"] == pytest.approx(10.0)
    assert terms["divergence"] == pytest.approx(2 * (0.4 + 2.0))
    objective.train().progress = 0.25
    assert float(objective(outputs)["divergence"]) == pytest.approx(0.5 * terms["divergence"])


# What a fitted model says


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_draws_given_rows_have_the_conditional_mean(posterior):
    model = trained(posterior)
    rows = factor_data()[:3].select(["a"])
    draws = np.stack([one["b"] for one in model.sample(300, given=rows, random_state=0)])
    error = draws.std(axis=0) / np.sqrt(len(draws))
    expected = model.translate(rows, "b")
    assert np.abs((draws.mean(axis=0) - expected) / error).max() < 5
    assert (draws.std(axis=0) > 0).all()


def test_samples_have_the_moments_of_the_model():
    model = linear_model()
    exact, _ = linear_gaussian(model, factor_data(5))
    drawn = model.sample(20_000, random_state=0)
    values = np.hstack([np.asarray(v) for v in drawn.values()])
    scale = np.sqrt(np.diag(exact.cov))
    assert_allclose((values.mean(axis=0) - exact.mean) / scale, 0, atol=0.05)
    assert_allclose(
        np.cov(values.T) / np.outer(scale, scale), exact.cov / np.outer(scale, scale), atol=0.06
    )


def labelled(n=400, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.choice(["red", "green", "blue"], n)
    centres = {"red": (0.0, 0.0), "green": (3.0, 0.0), "blue": (0.0, 3.0)}
    x = np.array([centres[c] for c in label]) + 0.5 * rng.standard_normal((n, 2))
    return Modalities({"x": x, "label": label})


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_labels_are_a_modality(posterior):
    X, test = labelled(), labelled(seed=1)
    train = X.with_missing("label", np.arange(0, 400, 2))
    model = MultimodalVAE(
        2, posterior=posterior, hidden_layer_sizes=(32,), max_epochs=30, lr=1e-2, random_state=0
    ).fit(train)
    assert_array_equal(model.categories_["label"], ["blue", "green", "red"])
    probabilities = model.translate_proba(test.select(["x"]), to="label")
    assert_allclose(probabilities.sum(axis=1), 1)
    found = model.translate(test, to="label")
    assert_array_equal(found, model.categories_["label"][probabilities.argmax(axis=1)])
    assert np.mean(found == test["label"]) > 0.9
    filled = model.impute(test.with_missing("label", [0, 1]))
    assert_array_equal(filled["label"][2:], test["label"][2:])
    assert set(model.sample(20, random_state=0)["label"]) <= {"red", "green", "blue"}
    with pytest.raises(ValueError, match="must be a modality of labels"):
        model.translate_proba(test, to="x")


def test_unknown_labels_are_named():
    model = small().fit(labelled())
    other = Modalities({"x": np.zeros((1, 2)), "label": np.array(["pink"])})
    with pytest.raises(ValueError, match=r"'label' has labels that were not in fit: \['pink'\]"):
        model.score_samples(other)


def test_contributions_are_shares_of_precision():
    X, model = factor_data(), trained("poe")
    shares = model.modality_contribution_
    assert list(shares.index) == ["a", "b", "c", "prior"]
    assert_allclose(shares.sum(), 1)
    module = deepcopy(model.net_.module_).double()
    with torch.no_grad():
        precision = [
            (-module.encoders[m](module.scaled(m, torch.tensor(np.asarray(v)))).chunk(2, dim=1)[1])
            .exp().numpy() for m, v in enumerate(X.values())
        ]  # fmt: skip
    total = 1 + sum(precision)
    assert_allclose(shares.loc["b"], (precision[1] / total).mean(axis=0), rtol=1e-6)


def test_active_units():
    X = factor_data(1000)
    model = MultimodalVAE(
        5, beta=3.0, hidden_layer_sizes=(), max_epochs=100, lr=0.02, modality_weights=None,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert_array_equal(model.active_units_, model.transform(X).var(axis=0) > 0.01)
    assert 0 < model.active_units_.sum() < 5


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
def test_collapse_is_named():
    X = factor_data()
    with pytest.warns(ConvergenceWarning, match="posterior has collapsed"):
        small(beta=1e4, kl_warmup=0.0, max_epochs=10, lr=0.01).fit(X)
    noise = np.random.default_rng(5).standard_normal((len(X), 1))
    both = Modalities({"a": X["a"], "noise": noise})
    with pytest.warns(ConvergenceWarning, match=r"Modalities \['noise'\] have collapsed"):
        MultimodalVAE(
            1, hidden_layer_sizes=(), max_epochs=30, lr=0.02, modality_weights=None, random_state=0
        ).fit(both)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultimodalVAE(2, hidden_layer_sizes=(), max_epochs=30, lr=0.02, random_state=0).fit(X)


def test_automatic_weights_balance_columns():
    X = factor_data()
    model = small().fit(X)
    same = small(modality_weights={"a": 5 / 4, "b": 5 / 3}).fit(X)
    assert_allclose(model.transform(X), same.transform(X))
    assert not np.allclose(model.transform(X), small(modality_weights=None).fit(X).transform(X))


def test_grid_search_by_held_out_likelihood_and_a_classifier():
    X = labelled(120)
    grid = {"posterior": ["poe", "mopoe"], "n_components": [1, 2], "beta": [0.5, 1.0]}
    search = GridSearchCV(small(), grid, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipe = make_pipeline(small(max_epochs=30, lr=0.01), LogisticRegression())
    pipe.fit(X.select(["x"]), X["label"])
    assert pipe.score(X.select(["x"]), X["label"]) > 0.6


@pytest.mark.parametrize("kind", ["image", "tokens", "count", "binary"])
def test_other_kinds(kind):
    rng = np.random.default_rng(0)
    z = rng.standard_normal(60)
    value = {
        "image": rng.uniform(size=(60, 1, 5, 6)) + z[:, None, None, None],
        "tokens": np.c_[np.where(z > 0, 1, 2), rng.integers(1, 5, (60, 3))],
        "count": rng.poisson(np.exp(z[:, None] + np.zeros(3))),
        "binary": z[:, None] + rng.standard_normal((60, 3)) > 0,
    }[kind]
    X = Modalities({"x": np.c_[z, -z], kind: value}, kinds={kind: kind})
    model = small().fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    found = np.asarray(model.translate(X.select(["x"]), to=kind))
    assert found.shape == value.shape
    drawn = np.asarray(model.sample(50, random_state=0)[kind])
    assert drawn.shape == (50, *value.shape[1:])
    if kind == "tokens":
        assert set(np.unique(drawn)) <= set(range(5))
    elif kind == "count":
        assert (drawn >= 0).all()
        assert (drawn == drawn.astype(int)).all()
    elif kind == "binary":
        assert set(np.unique(drawn.astype(float))) <= {0.0, 1.0}


def test_the_prior_is_what_a_row_without_anything_has():
    X, model = factor_data(), linear_model()
    exact, _ = linear_gaussian(model, X)
    nothing = X[:2].with_missing(["a", "b", "c"])
    filled = np.hstack([np.asarray(v) for v in model.impute(nothing).values()])
    assert_allclose(filled[0], exact.mean, rtol=1e-5, atol=1e-4)
