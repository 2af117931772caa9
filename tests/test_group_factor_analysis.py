"""GroupFactorAnalysis against closed forms of the Gaussian that it stands for."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skmm import GroupFactorAnalysis, Modalities
from skmm._group_factor_analysis._fitting import Fit
from skmm._group_factor_analysis._gaps import Gaps, Members, inverse_roots
from skmm._group_factor_analysis._residual import mixture, residual_share
from skmm._group_factor_analysis._state import Data, condensed
from skmm._group_factor_analysis._variational import bound, expect_loadings, gains, step

WIDTHS = {"rna": 6, "protein": 4, "age": 1}


def simulated(n_samples=120, seed=0):
    """Return modalities of one shared component and one in all but age, in units of their own."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n_samples, 2))
    parts = {}
    for k, (name, width) in enumerate(WIDTHS.items()):
        loadings = rng.standard_normal((2, width)) * [[1.0], [name != "age"]]
        noise = 0.6 * rng.standard_normal((n_samples, width))
        parts[name] = 10.0 ** (k - 1) * (z @ loadings + noise + 3 * k)
    return parts


def with_gaps(parts, seed=1, share=0.2):
    """Return them with blocks and single entries missing; no row loses everything."""
    rng = np.random.default_rng(seed)
    parts = {name: np.array(part) for name, part in parts.items()}
    for part in parts.values():
        part[rng.uniform(size=part.shape) < share / 2] = np.nan
        part[rng.uniform(size=len(part)) < share] = np.nan
    empty = np.all([np.isnan(part).all(axis=1) for part in parts.values()], axis=0)
    parts["age"][empty] = 12.0
    return parts


def gaussian(model):
    """Return mean and covariance of all columns side by side, from the fitted attributes."""
    names = model.modality_names_in_
    side_by_side = {
        key: np.concatenate([np.asarray(getattr(model, key)[name]) for name in names])
        for key in ("means_", "scales_", "covariance_loadings_", "covariance_noise_")
    }
    L, scales = side_by_side["covariance_loadings_"], side_by_side["scales_"]
    covariance = L @ L.T + np.diag(side_by_side["covariance_noise_"])
    return side_by_side["means_"], covariance * np.outer(scales, scales)


def wide(parts):
    return np.hstack([parts[name] for name in WIDTHS])


def conditional(model, row):
    """Return the mean of all columns given the observed ones of a row."""
    mean, covariance = gaussian(model)
    seen = ~np.isnan(row)
    weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen])
    return mean + (row - mean)[seen] @ weights


def problem(parts, weight=None, *, tied=False, relevance=True):
    X = wide(parts)
    modality = np.repeat(np.arange(len(WIDTHS)), list(WIDTHS.values()))
    X = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    seen = ~np.isnan(X)
    weight = np.ones(len(X)) if weight is None else weight
    return Data(
        np.where(seen, X, 0.0), Gaps.of(seen, modality), weight, modality, 3, tied, relevance
    )


PROBLEMS = {
    "complete": {},
    "gaps": {"gaps": True},
    "weights": {"weights": True},
    "gaps and weights": {"gaps": True, "weights": True},
    "one noise": {"gaps": True, "tied": True},
    "no relevance": {"gaps": True, "relevance": False},
}


def problem_of(gaps=False, weights=False, **options):
    parts = with_gaps(simulated()) if gaps else simulated()
    weight = np.random.default_rng(0).uniform(0.1, 3.0, size=120) if weights else None
    return problem(parts, weight, **options)


@pytest.mark.parametrize("what", PROBLEMS)
def test_the_bound_never_falls(what):
    data = problem_of(**PROBLEMS[what])
    state, bounds = data.start(data.axes(5)), []
    for _ in range(40):
        state = step(data, state)
        bounds.append(state.bound)
    assert np.diff(bounds).min() > -1e-9 * abs(bounds[-1])
    run = Fit(data, data.start(data.axes(5)), 200, 1e-6, may_drop=True).run()
    assert np.diff(run.bounds).min() > -1e-9 * abs(bounds[-1])


def test_the_bound_never_falls_at_the_floor_of_the_noise():
    parts = simulated()
    parts["protein"] = parts["rna"][:, :4] * 2.0  # no noise between them
    model = GroupFactorAnalysis(8, tol=0.0, max_iter=60, relevance=True)
    with pytest.warns(ConvergenceWarning, match="max_iter=60"):
        model.fit(parts)
    assert np.diff(model.lower_bounds_).min() > -1e-6
    assert model.n_iter_ == len(model.lower_bounds_) == 60
    assert min(noise.min() for noise in model.noise_variances_.values()) >= 1e-6


@pytest.mark.parametrize("what", [name for name in PROBLEMS if name != "no relevance"])
def test_what_switching_off_gains_is_exact(what):
    data = problem_of(**PROBLEMS[what])
    state = data.start(data.axes(4))
    for _ in range(5):
        state = step(data, state)
    loose = replace(state, loadings=expect_loadings(data, state))
    found = gains(data, loose)
    for pair in ((0, 1), (2, 3), (1, 0)):
        off = np.zeros((3, 4), dtype=bool)
        off[pair] = True
        relevance = replace(state.relevance, active=~off)
        without = replace(state, relevance=relevance)
        without = replace(without, loadings=expect_loadings(data, without))
        assert bound(data, without) - bound(data, loose) == pytest.approx(found[pair], abs=1e-6)


def test_without_gaps_and_relevance_the_bound_is_the_likelihood():
    parts = {"rna": simulated()["rna"]}
    model = GroupFactorAnalysis(2, relevance=False, tol=1e-8, max_iter=5000).fit(parts)
    assert model.lower_bounds_[-1] == pytest.approx(model.score_samples(parts).sum(), abs=1e-2)


def test_it_is_factor_analysis_of_one_modality_without_relevance():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, 12))
    X = rng.standard_normal((600, 3)) @ W + rng.uniform(0.5, 2.0, 12) * rng.standard_normal(
        (600, 12)
    )
    train, test = X[:300], X[300:]
    expected = FactorAnalysis(3, tol=1e-8, max_iter=5000).fit(train).score(test)
    model = GroupFactorAnalysis(3, relevance=False, tol=1e-9, max_iter=5000).fit(train)
    assert model.score(test) == pytest.approx(expected, abs=0.005 * 12)
    assert model.score(train) == pytest.approx(
        FactorAnalysis(3, tol=1e-8, max_iter=5000).fit(train).score(train), abs=1e-3
    )
    close = GroupFactorAnalysis().fit(train)
    assert close.n_components_ == 3
    assert close.score(test) == pytest.approx(expected, abs=0.005 * 12)


@pytest.mark.parametrize("seed", range(3))
def test_shared_and_private_components_are_found(seed):
    rng = np.random.default_rng(seed)
    active = np.zeros((3, 9), dtype=bool)
    active[:, :3] = True
    for m in range(3):
        active[m, 3 + 2 * m : 5 + 2 * m] = True
    Z = rng.standard_normal((300, 9))
    X = {
        f"m{m}": (Z * active[m]) @ rng.standard_normal((9, 20)) + rng.standard_normal((300, 20))
        for m in range(3)
    }
    model = GroupFactorAnalysis().fit(X)
    found = model.relevance_.to_numpy() > 0
    assert sorted(map(tuple, found.T)) == sorted(map(tuple, active.T))
    totals = model.relevance_.sum(axis=0)
    assert (np.diff(totals) <= 0).all()
    for m in range(3):
        share = np.mean(model.loadings_[f"m{m}"] ** 2, axis=0)
        np.testing.assert_allclose(model.relevance_.loc[f"m{m}"], share)


@pytest.fixture(scope="module", params=[True, False], ids=["relevance", "no relevance"])
def model(request):
    return GroupFactorAnalysis(2, relevance=request.param, random_state=0).fit(
        with_gaps(simulated())
    )


def test_the_likelihood_is_that_of_the_gaussian(model):
    parts = with_gaps(simulated(seed=5))
    mean, covariance = gaussian(model)
    found = model.score_samples(parts)
    for row, score in zip(wide(parts), found, strict=True):
        seen = ~np.isnan(row)
        density = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
        assert score == pytest.approx(density.logpdf(row[seen]), rel=1e-8)
    assert model.score(parts) == pytest.approx(found.mean())
    weight = np.arange(len(found), dtype=float)
    weighted = model.score(parts, sample_weight=weight)
    assert weighted == pytest.approx(np.average(found, weights=weight))


def test_expectations_are_conditional_means(model):
    parts = with_gaps(simulated(seed=6))
    X = Modalities(parts)
    filled = model.impute(X)
    expected = np.array([conditional(model, row) for row in wide(parts)])
    seen = ~np.isnan(wide(parts))
    np.testing.assert_allclose(
        wide({name: filled[name] for name in WIDTHS}), np.where(seen, wide(parts), expected)
    )
    complete = simulated(seed=6)
    row = wide({**complete, "protein": np.full((120, 4), np.nan)})
    expected = np.array([conditional(model, each) for each in row])[:, 6:10]
    np.testing.assert_allclose(model.translate(complete, "protein"), expected)


def test_codes_are_posterior_means(model):
    parts = simulated(seed=7)
    Z = model.transform(parts)
    mean, _ = gaussian(model)
    scales = np.concatenate([model.scales_[name] for name in WIDTHS])
    W = np.vstack([model.loadings_[name] for name in WIDTHS]) * scales[:, None]
    noise = np.concatenate([model.noise_variances_[name] for name in WIDTHS])
    covariance = W @ W.T + np.diag(noise * scales**2)
    np.testing.assert_allclose(Z, (wide(parts) - mean) @ np.linalg.solve(covariance, W))
    centred = {name: parts[name] - model.means_[name] for name in WIDTHS}
    np.testing.assert_allclose(Z, sum(centred[n] @ model.weights_[n] for n in WIDTHS))
    decoded = model.inverse_transform(Z)
    np.testing.assert_allclose(wide({n: decoded[n] for n in WIDTHS}), mean + Z @ W.T)
    each = model.transform_each(with_gaps(parts))
    alone = model.transform({"rna": with_gaps(parts)["rna"][:1]})
    np.testing.assert_allclose(each["rna"][:1], alone)
    missing = np.isnan(with_gaps(parts)["protein"]).all(axis=1)
    np.testing.assert_array_equal(np.isnan(each["protein"]).any(axis=1), missing)


def test_draws_have_the_moments_of_the_gaussian(model):
    mean, covariance = gaussian(model)
    deviation = np.sqrt(np.diag(covariance))
    drawn = model.sample(40_000, random_state=0)
    X = (wide({n: drawn[n] for n in WIDTHS}) - mean) / deviation
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(
        X.T @ X / len(X), covariance / np.outer(deviation, deviation), atol=0.04
    )
    row = {name: part[:1] for name, part in simulated(seed=8).items()}
    given = Modalities(row).select(["rna"])
    many = np.array([draw["protein"][0] for draw in model.sample(4000, given=given)])
    joint = wide({**row, "protein": np.full((1, 4), np.nan), "age": np.full((1, 1), np.nan)})[0]
    scale = deviation[6:10]
    expected = conditional(model, joint)[6:10]
    np.testing.assert_allclose((many.mean(axis=0) - expected) / scale, 0.0, atol=0.06)
    B = np.linalg.solve(covariance[:6, :6], covariance[:6, 6:10])
    left = covariance[6:10, 6:10] - covariance[6:10, :6] @ B
    np.testing.assert_allclose(
        np.cov(many.T) / np.outer(scale, scale), left / np.outer(scale, scale), atol=0.08
    )


@pytest.mark.parametrize("relevance", [True, False])
def test_a_weight_of_two_is_a_row_twice_and_of_none_no_row(relevance):
    parts = with_gaps(simulated())
    weight = np.random.default_rng(0).integers(0, 3, size=120)
    repeated = {name: part.repeat(weight, axis=0) for name, part in parts.items()}
    model = GroupFactorAnalysis(2, relevance=relevance)
    found = clone(model).fit(parts, sample_weight=weight)
    expected = clone(model).fit(repeated)
    assert found.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(found.transform(parts), expected.transform(parts), atol=1e-7)
    np.testing.assert_allclose(found.score(parts), expected.score(parts))


def test_units_and_offsets_do_not_matter():
    parts = with_gaps(simulated())
    rng = np.random.default_rng(0)
    scales = {name: rng.choice([1e-6, 1.0, 1e9], size=width) for name, width in WIDTHS.items()}
    shifts = {name: scales[name] * rng.normal(0, 100, WIDTHS[name]) for name in WIDTHS}
    other = {name: parts[name] * scales[name] + shifts[name] for name in WIDTHS}
    plain, moved = GroupFactorAnalysis(2).fit(parts), GroupFactorAnalysis(2).fit(other)
    np.testing.assert_allclose(moved.transform(other), plain.transform(parts), atol=1e-6)
    jacobian = np.nan_to_num(
        wide({n: np.where(np.isnan(parts[n]), np.nan, np.log(scales[n])) for n in WIDTHS})
    ).sum(axis=1)
    np.testing.assert_allclose(
        moved.score_samples(other), plain.score_samples(parts) - jacobian, atol=1e-5
    )
    np.testing.assert_allclose(
        moved.lower_bounds_[-1], plain.lower_bounds_[-1] - jacobian.sum(), atol=1e-3
    )


def test_order_of_rows_does_not_matter():
    parts = with_gaps(simulated())
    order = np.random.default_rng(0).permutation(120)
    found = GroupFactorAnalysis().fit({name: part[order] for name, part in parts.items()})
    expected = GroupFactorAnalysis().fit(parts)
    np.testing.assert_allclose(found.transform(parts), expected.transform(parts), atol=1e-8)


def test_missing_entries_cost_little():
    X, holes = simulated(400), with_gaps(simulated(400))
    test = simulated(400, seed=0)
    assert set(GroupFactorAnalysis().fit(holes).relevance_.shape) == {2, 3}
    full = GroupFactorAnalysis().fit(X).score(test)
    assert GroupFactorAnalysis().fit(holes).score(test) > full - 0.3


def test_constant_columns_are_left_out():
    parts = simulated()
    parts["rna"][:, 2] = 7.0
    parts["age"][:] = -1.0  # a modality in which nothing varies
    model = GroupFactorAnalysis(2).fit(parts)
    assert (model.loadings_["rna"][2] == 0).all()
    assert (model.relevance_.loc["age"] == 0).all()
    assert model.noise_variances_["age"] == 0.0 == model.noise_variances_["rna"][2]
    np.testing.assert_array_equal(model.translate(parts, "age"), -1.0)
    with pytest.raises(ValueError, match="constant"):
        GroupFactorAnalysis().fit(np.ones((5, 2)))


def test_attributes_have_the_names_of_columns():
    parts = simulated()
    frame = pd.DataFrame(parts["rna"], columns=[f"gene{j}" for j in range(6)])
    model = GroupFactorAnalysis(2).fit({**parts, "rna": frame})
    names = ["groupfactoranalysis0", "groupfactoranalysis1"]
    assert list(model.loadings_["rna"].index) == list(frame)
    assert list(model.loadings_["rna"]) == list(model.relevance_) == names
    assert list(model.relevance_.index) == list(WIDTHS)
    assert list(model.get_feature_names_out()) == names
    stacked = np.vstack([np.asarray(model.loadings_[name]) for name in sorted(WIDTHS)])
    assert (stacked[np.abs(stacked).argmax(axis=0), [0, 1]] > 0).all()


def test_few_rows_of_many_columns():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((60, 2))
    parts = {
        name: z @ rng.standard_normal((2, 700)) + rng.standard_normal((60, 700))
        for name in ("left", "right")
    }
    train = {name: part[:30] for name, part in parts.items()}
    test = {name: part[30:] for name, part in parts.items()}
    model = GroupFactorAnalysis().fit(train)
    assert model.n_components_ == 2
    left = test["right"] - train["right"].mean(axis=0)
    wrong = test["right"] - model.translate(test, "right")
    assert 1 - np.sum(wrong**2) / np.sum(left**2) > 0.5


def test_predictions_keep_what_components_leave_in_common():
    rng = np.random.default_rng(0)
    weak = rng.standard_normal((600, 25)) @ rng.standard_normal((25, 150)) / 5.0
    X = weak + rng.standard_normal((600, 150))
    parts = {"left": X[:, :75], "right": X[:, 75:]}
    train = {name: part[:40] for name, part in parts.items()}
    model = GroupFactorAnalysis().fit(train)
    assert 0.05 < model.residual_share_ < 1.0
    left = parts["right"][40:] - train["right"].mean(axis=0)

    def r2(guess):
        return 1 - np.sum((parts["right"][40:] - guess) ** 2) / np.sum(left**2)

    test = Modalities({"left": parts["left"][40:]})
    codes = model.transform(test)
    assert r2(model.translate(test, "right")) > r2(model.inverse_transform(codes)["right"]) + 0.02


def test_the_share_of_residuals_is_the_analytic_one():
    data = problem(simulated(40), np.random.default_rng(0).uniform(0.5, 2.0, 40))
    state = data.start(data.axes(1))
    for _ in range(20):
        state = step(data, state)
    W, mu = state.loadings.mean, state.offset
    s = data.weight
    E = data.values - mu - state.codes.mean @ W.T
    groups = data.gaps.group
    precision = np.eye(1)
    for j, tau in enumerate(1.0 / state.noise):
        B, D = state.loadings.basis[groups[j]], state.loadings.dispersion[j]
        precision = precision + tau * (np.outer(W[j], W[j]) + (B * D) @ B.T)
    moments = (E.T * s) @ E / s.sum() + W @ np.linalg.inv(precision) @ W.T
    deviation = np.sqrt(np.diag(moments))
    products = E[:, :, None] * E[:, None, :] / np.outer(deviation, deviation)
    chance = np.einsum("i,ijl->jl", s, products**2) / s.sum() ** 2
    r = moments / np.outer(deviation, deviation)
    off = ~np.eye(len(r), dtype=bool)
    expected = max(0.0, 1.0 - chance[off].sum() / np.sum(r[off] ** 2))
    assert expected > 0.1
    assert residual_share(data, state) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n_rows", [12, 60])
def test_the_mixture_of_covariances_is_exact_within_its_axes(n_rows):
    data = problem(simulated(n_rows))
    state = data.start(data.axes(2))
    for _ in range(5):
        state = step(data, state)
    W, noise, share = state.loadings.mean, state.noise, 0.3
    L, left = mixture(data, state, noise, share, 100)
    X = data.values - state.offset
    expected = (1 - share) * W @ W.T + share * X.T @ X / n_rows
    off = ~np.eye(len(W), dtype=bool)
    np.testing.assert_allclose((L @ L.T)[off], expected[off], atol=1e-10)
    assert (left >= (1 - share) * noise - 1e-12).all()


@pytest.mark.parametrize("what", ["complete", "gaps and weights", "no relevance"])
def test_condensed_rows_give_the_same_steps(what):
    options = dict(PROBLEMS[what])
    rng = np.random.default_rng(3)
    n = 300
    parts = simulated(n)
    if options.pop("gaps", False):
        parts["rna"][::3] = np.nan
        parts["protein"][1::3] = np.nan
    weight = rng.uniform(0.1, 3.0, n) if options.pop("weights", False) else None
    data = problem(parts, weight, **options)
    fewer = condensed(data)
    assert len(fewer.values) <= 3 * 12 < n
    axes = data.axes(3)
    state, other = data.start(axes), fewer.start(axes)
    for _ in range(5):
        state, other = step(data, state), step(fewer, other)
    assert other.bound == pytest.approx(state.bound, rel=1e-6)
    np.testing.assert_allclose(other.loadings.mean, state.loadings.mean, atol=1e-5)


def test_sets_of_any_size_are_summed_and_multiplied():
    rng = np.random.default_rng(0)
    numbers = rng.choice([0, 0, 0, 1, 1, 2, 3, 4], size=40)
    members = Members.of(numbers, 5)
    left, right, matrices = (rng.standard_normal(s) for s in ((40, 3), (40, 3), (5, 3, 3)))
    for i in range(5):
        here = numbers == i
        np.testing.assert_allclose(members.sums(left)[i], left[here].sum(axis=0))
        np.testing.assert_allclose(members.products(left, right)[i], left[here].T @ right[here])
        np.testing.assert_allclose(
            members.times(left, matrices)[here], left[here] @ matrices[i], atol=1e-12
        )
    found = np.concatenate([sets for sets, _ in members.chunks(3)])
    np.testing.assert_array_equal(np.sort(found), np.unique(numbers))


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_roots_of_inverses(k):
    A = np.random.default_rng(0).standard_normal((4, k, 2 * k))
    positive = A @ A.transpose(0, 2, 1)
    B, log_det = inverse_roots(positive)
    np.testing.assert_allclose(B @ B.transpose(0, 2, 1), np.linalg.inv(positive), rtol=1e-8)
    np.testing.assert_allclose(log_det, -np.linalg.slogdet(positive)[1])


def test_columns_with_gaps_of_their_own_take_no_calls_of_their_own():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((40, 2))
    X = z @ rng.standard_normal((2, 3000)) + rng.standard_normal((40, 3000))
    X[rng.random(X.shape) < 0.6] = np.nan
    start = time.process_time()
    model = GroupFactorAnalysis(2, max_iter=20, tol=0.01).fit(X)
    assert time.process_time() - start < 10.0
    codes = model.transform(X)
    left = z - codes @ np.linalg.lstsq(codes, z, rcond=None)[0]
    assert np.sum(left**2) < 0.1 * np.sum(z**2)


def test_a_search_with_gaps_chooses_the_number_of_components():
    X = Modalities(with_gaps(simulated()))
    search = GridSearchCV(GroupFactorAnalysis(relevance=False), {"n_components": [1, 2]}, cv=3)
    assert search.fit(X).best_params_ == {"n_components": 2}
