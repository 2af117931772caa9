"""Tests of canonical correlations: brute force, closed forms, and the level under the null."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import linalg, stats
from sklearn.datasets import load_linnerud
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities
from skmm._permutation import step_down_permutation, wilks
from skmm._permutation._step_down import _Evaluation
from skmm._permutation._variates import Residuals, Variates
from skmm.compose import PerModality
from skmm.datasets import load_digits_halves
from skmm.inspection import permutation_test, wilks_test

STATISTICS = ("wilks", "pillai", "roy")


def _correlations(*blocks):
    """Textbook canonical correlations of two blocks that are centred already."""
    qx, qy = (linalg.orth(block) for block in blocks)
    return np.clip(linalg.svdvals(qx.T @ qy), 0, 1)


def _reference(rho, statistic):
    return {
        "wilks": -np.sum(np.log(1 - rho**2)),
        "pillai": np.sum(rho**2),
        "roy": rho[0],
    }[statistic]


def _pair(n, p, q, rho=(), seed=0):
    rng = np.random.RandomState(seed)
    x, y = rng.standard_normal((n, p)), rng.standard_normal((n, q))
    for k, r in enumerate(rho):
        y[:, k] = r * x[:, k] + np.sqrt(1 - r**2) * y[:, k]
    return x @ rng.standard_normal((p, p)) + 3, y @ rng.standard_normal((q, q)) - 5


def _at(n_tests, level=0.05):
    """Largest share of rejections that a test of this level has but once in 10 000 times."""
    return stats.binom.ppf(1 - 1e-4, n_tests, level) / n_tests


@pytest.mark.parametrize("statistic", STATISTICS)
def test_permuted_statistics_are_those_of_a_refitted_cca(statistic):
    """Every step, by brute force: permute, take out, fit the textbook CCA again."""
    x, y = _pair(30, 3, 5, [0.9, 0.6])
    variates = Variates.of([x, y])
    evaluate = _Evaluation.of(variates, statistic, 3)
    u, v = variates.scores
    for seed in range(5):
        permuted = v[np.random.RandomState(seed).permutation(len(v))]
        expected = []
        for k in range(3):
            fused = linalg.orth(u[:, :k] + v[:, :k]) if k else np.zeros((len(u), 0))
            rest = permuted[:, k:] - fused @ (fused.T @ permuted[:, k:])
            expected.append(_reference(_correlations(u[:, k:], rest), statistic))
        np.testing.assert_allclose(
            evaluate(variates.placed(np.random.RandomState(seed))), expected, rtol=1e-6
        )


@pytest.mark.parametrize("statistic", STATISTICS)
def test_statistics_of_the_data(statistic):
    x, y = _pair(40, 3, 4, [0.9, 0.5])
    result = step_down_permutation([x, y], n_permutations=1, statistic=statistic)
    rho = _correlations(x - x.mean(axis=0), y - y.mean(axis=0))
    np.testing.assert_allclose(result.correlations, rho, atol=1e-10)
    expected = [_reference(rho[k:], statistic) for k in range(3)]
    np.testing.assert_allclose(result.statistics, expected, rtol=1e-6)


def test_first_p_value_is_that_of_all_permutations():
    """With 6 rows all 720 permutations can be listed; random ones must agree with their share."""
    x, y = _pair(6, 1, 2, [0.9])
    every = [
        _correlations(x - x.mean(), (y - y.mean(axis=0))[list(rows)])[0]
        for rows in permutations(range(6))
    ]
    exact = np.mean(np.array(every) >= every[0] - 1e-9)
    n = 4000
    result = step_down_permutation([x, y], n_permutations=n, statistic="roy", random_state=0)
    assert abs(result.p_values[0] - exact) < 4 * np.sqrt(exact * (1 - exact) / n)


def test_permutations_within_groups_keep_groups():
    """With two rows per group and an effect between groups only, nothing is found."""
    rng = np.random.RandomState(0)
    groups = np.repeat(np.arange(40), 2)
    level = rng.standard_normal(40)[groups]
    x, y = (np.column_stack([level, rng.standard_normal(80)]) for _ in range(2))
    x[:, 0] += 0.1 * rng.standard_normal(80)
    y[:, 0] += 0.1 * rng.standard_normal(80)
    free = step_down_permutation([x, y], n_permutations=199, random_state=0)
    within = step_down_permutation([x, y], n_permutations=199, random_state=0, groups=groups)
    assert free.p_values[0] == 1 / 200
    assert within.p_values[0] > 0.05
    state = np.random.RandomState(1)
    placed = Variates.of([groups[:, None] * 1.0, y], groups=groups).placed(state)
    unmoved = Variates.of([groups[:, None] * 1.0, y], groups=groups).placed()
    for moved, still in zip(placed, unmoved, strict=True):
        sums = [pd.DataFrame(m).groupby(groups).sum().to_numpy() for m in (moved, still)]
        np.testing.assert_allclose(*sums, atol=1e-12)


@pytest.mark.parametrize("n_confounds", [1, 4])
def test_residual_basis(n_confounds):
    """Q'Q = I, QQ' forms residuals, and Q is Theil's (S R S')^(-1/2) S R."""
    rng = np.random.RandomState(0)
    z = rng.standard_normal((12, n_confounds)) * 1e3 + 1e4
    basis = Residuals.of(np.column_stack([z, z[:, :1]]))  # a duplicate changes nothing
    Z = np.column_stack([np.ones(12), z])
    R = np.eye(12) - Z @ linalg.pinv(Z)
    S = np.eye(12)[basis.kept]
    Q = basis.lift(np.eye(len(S)))
    np.testing.assert_allclose(Q.T @ Q, np.eye(11 - n_confounds), atol=1e-10)
    np.testing.assert_allclose(Q @ Q.T, R, atol=1e-8)
    np.testing.assert_allclose(basis.reduce(np.eye(12)), Q.T, atol=1e-8)
    theil = linalg.inv(np.real(linalg.sqrtm(S @ R @ S.T))) @ S @ R
    np.testing.assert_allclose(Q.T, theil, atol=1e-7)


def test_confounds_are_removed():
    """A shared confound makes two modalities correlate; without it they are independent."""
    rng = np.random.RandomState(0)
    z = rng.standard_normal((60, 1))
    x, y = (2 * z + rng.standard_normal((60, 2)) for _ in range(2))
    X = Modalities({"a": x, "b": y})
    options = {"n_permutations": 199, "random_state": 0}
    assert permutation_test(CCA(), X, **options).p_values[0] == 1 / 200
    design = np.column_stack([np.ones(60), z])
    residual = [block - design @ np.linalg.lstsq(design, block)[0] for block in (x, y)]
    partial = permutation_test(CCA(), X, confounds=z, **options)
    np.testing.assert_allclose(partial.correlations, _correlations(*residual), atol=1e-10)
    assert partial.p_values[0] > 0.05
    part = permutation_test(CCA(), X, confounds={"a": z}, **options)
    y_centred = y - y.mean(axis=0)
    np.testing.assert_allclose(part.correlations, _correlations(residual[0], y_centred), atol=1e-10)
    both = permutation_test(CCA(), X, confounds={"a": z, "b": z[:, 0]}, **options)
    np.testing.assert_allclose(both.correlations, partial.correlations, atol=1e-10)
    assert both.p_values[0] > 0.05
    grouped = permutation_test(
        CCA(), X, confounds=z, groups=np.arange(60) % 3, **options
    )  # Theil's rows keep their groups
    assert grouped.p_values[0] > 0.05


LEVELS = [
    pytest.param({"n": 30, "p": 3, "q": 4, "rho": ()}, {}, id="independent"),
    pytest.param({"n": 30, "p": 3, "q": 4, "rho": ()}, {"statistic": "roy"}, id="independent-roy"),
    pytest.param({"n": 30, "p": 20, "q": 25, "rho": ()}, {"shrinkage": 0.3}, id="shrinkage"),
    pytest.param({"n": 30, "p": 3, "q": 4, "rho": (0.9,)}, {}, id="one component"),
    pytest.param({"n": 40, "p": 15, "q": 15, "rho": (0.95,) * 3}, {}, id="three, few rows"),
]


@pytest.mark.parametrize(("data", "options"), LEVELS)
def test_level_beyond_the_true_components(data, options):
    """The first component that is not there is found in 5 % of all data sets at most.

    Permuting the remaining variates without more finds it in 25 % of the last.
    """
    n_tests, step = 200, len(data["rho"])
    options = {"statistic": "pillai", **options} if "shrinkage" in options else options
    found = 0
    for seed in range(n_tests):
        blocks = _pair(**data, seed=seed)
        result = step_down_permutation(
            blocks, n_components=step + 1, n_permutations=19, random_state=seed, **options
        )
        found += result.p_values[step] <= 0.05
    assert found / n_tests <= _at(n_tests)


def test_level_of_three_modalities():
    n_tests, found = 100, 0
    for seed in range(n_tests):
        rng = np.random.RandomState(seed)
        z = rng.standard_normal((40, 1))
        blocks = [rng.standard_normal((40, d)) for d in (2, 3, 3)]
        for block in blocks:
            block[:, :1] += 3 * z
        result = step_down_permutation(
            blocks, n_components=2, n_permutations=19, statistic="pillai", random_state=seed
        )
        assert result.p_values[0] == 1 / 20
        found += result.p_values[1] <= 0.05
    assert found / n_tests <= _at(n_tests)


def test_three_modalities_first_statistic():
    rng = np.random.RandomState(0)
    blocks = [rng.standard_normal((50, d)) for d in (2, 3, 4)]
    centred = [b - b.mean(axis=0) for b in blocks]
    joint = np.corrcoef(np.column_stack(blocks), rowvar=False)
    own = [np.linalg.slogdet(np.corrcoef(b, rowvar=False))[1] for b in blocks]
    expected = {
        "wilks": sum(own) - np.linalg.slogdet(joint)[1],
        "pillai": sum(
            np.sum(_correlations(centred[i], centred[j]) ** 2) for i, j in ((0, 1), (0, 2), (1, 2))
        ),
    }
    for statistic, value in expected.items():
        result = step_down_permutation(blocks, n_permutations=1, statistic=statistic)
        np.testing.assert_allclose(result.statistics[0], value, rtol=1e-6)
    fitted = CCA(2).fit({str(m): b for m, b in enumerate(blocks)})
    np.testing.assert_allclose(result.correlations, fitted.canonical_correlations_, atol=1e-10)


def test_components_that_are_there_are_found():
    x, y = _pair(200, 4, 5, [0.9, 0.7])
    result = step_down_permutation([x, y], n_permutations=199, random_state=0)
    assert result.n_significant() == 2
    assert result.n_significant(alpha=0.001) == 0  # 1/200 is the smallest p-value


def test_p_values_are_closed():
    x, y = _pair(40, 4, 4, seed=3)
    result = step_down_permutation([x, y], n_permutations=99, random_state=0)
    count = (result.null >= result.statistics).sum(axis=0)
    np.testing.assert_allclose(result.uncorrected_p_values, (1 + count) / 100)
    np.testing.assert_array_equal(
        result.p_values, np.maximum.accumulate(result.uncorrected_p_values)
    )
    assert (result.p_values > result.uncorrected_p_values).any()


def test_units_offsets_and_duplicates_change_nothing():
    x, y = _pair(50, 3, 4, [0.8])
    expected = step_down_permutation([x, y], n_permutations=20, random_state=0)
    x2 = np.column_stack([x * [1e6, 1e-6, 1.0] + [0.0, 0.0, 1e6], x[:, 0], np.ones(50)])
    result = step_down_permutation([x2, y], n_permutations=20, random_state=0)
    np.testing.assert_allclose(result.statistics, expected.statistics, rtol=1e-5)
    np.testing.assert_array_equal(result.p_values, expected.p_values)


def test_shared_column_has_the_smallest_p_value():
    x, y = _pair(30, 3, 3)
    for statistic in STATISTICS:
        result = step_down_permutation(
            [x, np.column_stack([y, x[:, 0]])],
            n_permutations=99, statistic=statistic, random_state=0,
        )  # fmt: skip
        assert result.p_values[0] == 1 / 100
        assert np.isfinite(result.null).all()
        assert result.correlations[0] == pytest.approx(1.0)


def test_same_seed_same_result_whatever_n_jobs():
    X = Modalities(dict(zip("ab", _pair(40, 3, 3), strict=True)))
    with parallel_config("multiprocessing"):  # forks, which need not import all again
        one, two, other = (
            permutation_test(CCA(), X, n_permutations=21, random_state=seed, n_jobs=jobs).null
            for seed, jobs in ((0, 1), (0, 2), (1, 1))
        )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_global_random_state_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    step_down_permutation(_pair(20, 2, 2), n_permutations=3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_forms_of_input_agree():
    x, y = _pair(40, 3, 2, [0.5])
    options = {"n_permutations": 30, "random_state": 0}
    expected = permutation_test(CCA(), Modalities({"a": x, "b": y}), **options).p_values
    frame = pd.concat({"a": pd.DataFrame(x), "b": pd.DataFrame(y)}, axis=1)
    selectors = {"a": slice(0, 3), "b": slice(3, 5)}
    for estimator, data in (
        (CCA(), ({"a": x, "b": y},)),
        (CCA(), (frame,)),
        (CCA(modalities=selectors), (np.column_stack([x, y]),)),
        (CCA(), (x, y)),
        (make_pipeline(PerModality(StandardScaler()), CCA()), (frame,)),
    ):
        result = permutation_test(estimator, *data, **options)
        np.testing.assert_allclose(result.p_values, expected)
        np.testing.assert_allclose(
            wilks_test(estimator, *data).correlations, result.correlations, atol=1e-10
        )


def test_estimator_is_not_changed():
    X = Modalities(dict(zip("ab", _pair(40, 3, 3, [0.9]), strict=True)))
    cca = CCA(n_components=2, shrinkage="auto")
    result = permutation_test(cca, X, n_permutations=9, random_state=0)
    assert not hasattr(cca, "weights_")
    assert result.statistic == "pillai"
    assert result.p_values.shape == (1,)
    fitted = CCA(shrinkage={"a": 0.4}).fit(X)
    shrunk = permutation_test(fitted, X, n_permutations=9, random_state=0)
    assert shrunk.correlations[0] == pytest.approx(fitted.canonical_correlations_[0])
    plain = permutation_test(CCA(n_components=2), X, n_permutations=9, random_state=0)
    assert plain.p_values.shape == (2,)
    assert permutation_test(CCA("auto"), X, n_permutations=1).p_values.shape == (3,)


def test_a_result_says_that_later_components_were_not_tested():
    X = Modalities(dict(zip("ab", _pair(40, 3, 3, [0.9]), strict=True)))
    options = {"n_permutations": 9, "random_state": 0}
    shrunk = permutation_test(CCA(3, shrinkage=0.1), X, **options)
    assert shrunk.p_values.shape == (1,)
    assert "later components have no valid reference and were not tested" in shrunk.limit
    assert shrunk.limit in repr(shrunk)
    assert permutation_test(CCA(3), X, **options).limit is None
    single = Modalities({"a": X["a"][:, :1], "b": X["b"]})
    assert permutation_test(CCA(shrinkage=0.1), single, **options).limit is None


def test_results_are_short_texts_and_frames():
    X = Modalities(dict(zip("ab", _pair(60, 8, 9, [0.9]), strict=True)))
    result = permutation_test(CCA(), X, n_permutations=99, random_state=0)
    assert repr(result).startswith("PermutationResult(8 components tested, p_values=[0.01, ")
    assert len(repr(result)) < 200
    frame = result.to_frame()
    assert list(frame) == ["correlation", "statistic", "p_value", "uncorrected_p_value"]
    assert frame.index.name == "component"
    np.testing.assert_array_equal(frame["p_value"], result.p_values)
    np.testing.assert_array_equal(frame["correlation"], result.correlations)
    np.testing.assert_array_equal(frame["statistic"], result.statistics)
    np.testing.assert_array_equal(frame["uncorrected_p_value"], result.uncorrected_p_values)
    for method, degrees in (("bartlett", 1), ("rao", 2)):
        wilks = wilks_test(CCA(), X, method=method)
        assert repr(wilks).startswith("WilksResult(8 components tested, p_values=[")
        frame = wilks.to_frame()
        assert frame.shape == (8, 5 + degrees)
        found = frame.filter(like="degrees_of_freedom").to_numpy()
        np.testing.assert_array_equal(found.squeeze(), wilks.degrees_of_freedom)
        np.testing.assert_array_equal(frame["wilks_lambda"], wilks.wilks_lambda)


@pytest.mark.parametrize("test", [permutation_test, wilks_test])
def test_missing_rows_are_refused_in_the_name_of_the_test(test):
    X = Modalities(dict(zip("ab", _pair(20, 3, 3), strict=True))).with_missing("b", [1, 5])
    message = f"^{test.__name__} needs complete rows.*'b': 2.*pass the rows that have all"
    pipeline = make_pipeline(PerModality(StandardScaler()), CCA())
    for estimator, data in ((CCA(), X), (pipeline, X), (CCA(), X.to_frame())):
        with pytest.raises(ValueError, match=message):
            test(estimator, data)
    plain = {"a": X["a"], "b": np.where(X.missing[["b"]], np.nan, X["b"])}
    for data in ((plain,), (plain["a"], plain["b"])):
        with pytest.raises(ValueError, match=message.replace("'b'", "'[by]'")):
            test(CCA(), *data)


def test_scale_matters_with_shrinkage():
    x, y = _pair(40, 3, 3, [0.9])
    X = Modalities({"a": x * [1, 10, 100], "b": y})
    for scale in (True, False):
        cca = CCA(shrinkage=0.5, scale=scale).fit(X)
        result = permutation_test(cca, X, n_permutations=1, random_state=0)
        assert result.correlations[0] == pytest.approx(cca.canonical_correlations_[0])


def _refused(**changes):
    X = Modalities(dict(zip("ab", _pair(20, 3, 3), strict=True)))
    options = {"estimator": CCA(), "X": X, "n_permutations": 3, **changes}
    return permutation_test(options.pop("estimator"), options.pop("X"), **options)


WIDE = Modalities({"a": np.eye(10)[:, :6], "b": np.eye(10)[:, 4:]})
THREE = Modalities({name: np.eye(20)[:, j : j + 3] for j, name in enumerate("abc")})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": WIDE}, "fill all 9 dimensions"),
        ({"n_permutations": 0}, "n_permutations must be an integer of at least 1"),
        ({"n_permutations": True}, "n_permutations must be an integer of at least 1"),
        ({"n_components": True}, "n_components=True must be an integer in 1..3"),
        ({"estimator": CCA(True)}, "'n_components' parameter of CCA .* Got True"),
        ({"statistic": "trace"}, "statistic must be one of"),
        ({"n_components": 4}, "must be an integer in 1..3"),
        ({"n_components": 2, "estimator": CCA(shrinkage=0.1)}, "no valid reference"),
        ({"statistic": "wilks", "estimator": CCA(shrinkage=0.1)}, "needs shrinkage=0"),
        ({"groups": np.arange(20)}, "nothing to exchange"),
        ({"groups": np.zeros(19)}, "one value per sample"),
        ({"confounds": np.ones((19, 1))}, "one row per sample"),
        ({"confounds": np.full((20, 1), np.nan)}, "finite"),
        ({"confounds": {"c": np.ones(20)}}, r"confounds names \['c'\]"),
        ({"confounds": np.eye(20)}, "leave nothing"),
        ({"X": Modalities({"a": np.ones((20, 2)), "b": np.eye(20)[:, :3]})}, "constant"),
        ({"X": THREE, "estimator": CCA(objective="sumcor")}, "sumcor"),
        ({"X": WIDE.with_missing(["a"], rows=[2])}, "missing"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _refused(**changes)


def test_other_estimators_are_refused():
    with pytest.raises(TypeError, match="must be a CCA"):
        _refused(estimator=StandardScaler())


def test_bartlett_is_the_textbook_formula():
    """Mardia, Kent and Bibby's -(n - (p + q + 3)/2) log lambda, on Linnerud's data."""
    X, y = load_linnerud(return_X_y=True)
    result = wilks_test(CCA(), X, y)
    rho = _correlations(X - X.mean(axis=0), y - y.mean(axis=0))
    np.testing.assert_allclose(result.correlations, rho, atol=1e-10)
    for k in range(3):
        wilks_lambda = np.prod(1 - rho[k:] ** 2)
        chi2 = -(20 - 0.5 * (3 + 3 + 3)) * np.log(wilks_lambda)
        assert result.wilks_lambda[k] == pytest.approx(wilks_lambda)
        assert result.statistics[k] == pytest.approx(chi2)
        assert result.degrees_of_freedom[k] == (3 - k) ** 2
        p_value = stats.chi2.sf(chi2, (3 - k) ** 2)
        assert result.uncorrected_p_values[k] == pytest.approx(p_value)


def test_rao_on_published_figures():
    """Linnerud in SAS's manual of CANCORR: lambda .35039, F(9, 34.223) = 2.05, p = .0635."""
    X, y = load_linnerud(return_X_y=True)
    result = wilks_test(CCA(), X, y, method="rao")
    assert result.wilks_lambda.round(4).tolist() == [0.3504, 0.9547, 0.9947]
    assert result.statistics[:2].round(2).tolist() == [2.05, 0.18]
    assert result.degrees_of_freedom[0].round(3).tolist() == [9, 34.223]
    assert result.uncorrected_p_values.round(4).tolist()[:2] == [0.0635, 0.9491]


@pytest.mark.parametrize("q", [1, 3])
def test_rao_of_one_column_is_the_f_test_of_regression(q):
    x, y = _pair(25, 1, q, [0.4])
    result = wilks_test(CCA(), x, y, method="rao")
    r2 = result.correlations[0] ** 2
    f = (r2 / q) / ((1 - r2) / (25 - q - 1))
    assert result.statistics[0] == pytest.approx(f)
    assert result.p_values[0] == pytest.approx(stats.f.sf(f, q, 25 - q - 1))


def test_wilks_removes_confounds():
    """Of one column on each side it is the test of a partial correlation."""
    rng = np.random.RandomState(0)
    z = rng.standard_normal((30, 2))
    x, y = (z.sum(axis=1) + rng.standard_normal(30) for _ in range(2))
    result = wilks_test(CCA(), x[:, None], y, confounds=z, method="rao")
    inverse = linalg.inv(np.cov(np.column_stack([x, y, z]), rowvar=False))
    r = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    t = r * np.sqrt((30 - 2 - 2) / (1 - r**2))
    assert result.correlations[0] == pytest.approx(abs(r))
    assert result.p_values[0] == pytest.approx(2 * stats.t.sf(abs(t), 30 - 2 - 2))


@pytest.mark.parametrize("method", ["bartlett", "rao"])
@pytest.mark.parametrize("rho", [(), (0.9,)])
def test_level_of_wilks(method, rho):
    n_tests, step = 1000, len(rho)
    found = 0
    for seed in range(n_tests):
        x, y = _pair(60, 3, 4, rho, seed=seed)
        correlations = _correlations(x - x.mean(axis=0), y - y.mean(axis=0))
        result = wilks(correlations, n_samples=60, ranks=(3, 4), method=method)
        found += result.p_values[step] <= 0.05
    assert found / n_tests <= _at(n_tests)


def test_permutation_agrees_with_wilks_on_gaussian_data():
    x, y = _pair(100, 3, 3, [0.25], seed=1)
    exact = wilks_test(CCA(), x, y, method="rao").uncorrected_p_values[0]
    n = 999
    result = permutation_test(CCA(), x, y, n_permutations=n, random_state=0)
    assert abs(result.p_values[0] - exact) < 0.02 + 4 * np.sqrt(exact * (1 - exact) / n)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilks_test(CCA(), WIDE), "more rows than columns"),
        (lambda: wilks_test(CCA(), THREE), "two modalities"),
        (lambda: wilks_test(CCA(shrinkage=0.1), np.eye(9)[:, :2], np.eye(9)[:, 2:4]), "shrinkage"),
        (lambda: wilks(np.ones(1) / 2, n_samples=9, ranks=(1, 1), method="hotelling"), "method"),
        (lambda: wilks_test(CCA(), WIDE.select(["a", "b"]), confounds={"a": 1}), "one array"),
    ],
)
def test_wilks_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_real_data():
    """The halves of digits share many components; shuffled halves none."""
    X, _ = load_digits_halves(return_X_y=True)
    paired = permutation_test(CCA(n_components=3), X, n_permutations=39, random_state=0)
    assert paired.n_significant() == 3
    rows = np.random.RandomState(0).permutation(len(X))
    shuffled = Modalities({"left": X["left"], "right": X["right"][rows]})
    result = permutation_test(CCA(n_components=3), shuffled, n_permutations=39, random_state=0)
    assert result.n_significant() == 0
