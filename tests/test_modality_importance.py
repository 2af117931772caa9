"""Importance of modalities: closed forms of linear models, and what spoilt rows look like."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import t
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_displays import _check_legible

from skmm import CCA, Modalities
from skmm.compose import ConcatModalities, PerModality
from skmm.inspection import ModalityImportanceDisplay, modality_importance
from skmm.metrics import get_scorer

COEF = {"a": np.array([1.0, -1.0]), "b": np.array([0.5]), "c": np.array([0.0])}
COLUMNS = {"a": [0, 1], "b": [2], "c": [3]}


class Known(RegressorMixin, BaseEstimator):
    """A linear model with given coefficients; what is missing has the mean, zero."""

    def __init__(self, coef=None):
        self.coef = coef

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return sum(np.nan_to_num(X[name]) @ (self.coef or COEF)[name] for name in X.names)

    def score(self, X, y, sample_weight=None):
        return r2(y, self.predict(X), sample_weight)


class Seen(BaseEstimator):
    """Keeps what it is scored on; `refuse` makes it refuse missing modalities."""

    def __init__(self, refuse=False):
        self.refuse = refuse
        self.seen = []

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def score(self, X, y=None):
        self.seen.append((X, y))
        return 0.0


def r2(y, guess, weight=None):
    weight = np.ones(len(y)) if weight is None else weight
    mean = np.average(y, weights=weight)
    return 1 - np.sum(weight * (y - guess) ** 2) / np.sum(weight * (y - mean) ** 2)


def minus_mae(model, X, y):
    return -np.mean(np.abs(y - model.predict(X)))


def make_data(n=120, seed=0):
    """Return independent standard normal modalities and a target with noise of variance 1."""
    rng = np.random.default_rng(seed)
    X = Modalities({name: rng.standard_normal((n, len(w))) for name, w in COEF.items()})
    return X, Known().predict(X) + rng.standard_normal(n)


def flat(X):
    return np.hstack([np.asarray(value) for value in X.values()])


def mean_over_permutations(X, y, name):
    """Return the fall of R² in expectation: any row's contribution in place of the own one."""
    own = X[name] @ COEF[name]
    rest = y - (Known().predict(X) - own)
    spoilt = np.mean((rest[:, None] - own[None]) ** 2)
    return (spoilt - np.mean((rest - own) ** 2)) / np.var(y)


# What is computed


def test_permuting_costs_what_the_mean_over_all_permutations_does():
    X, y = make_data()
    table = modality_importance(Known(), X, y, n_repeats=600, random_state=0)
    for name in X.names:
        expected = mean_over_permutations(X, y, name)
        # `std` has the permutations and the rows in it: their error is smaller than this.
        assert abs(table.estimate[name] - expected) <= 4 * table["std"][name] / np.sqrt(600) + 1e-12
    assert_array_equal(table.baseline, Known().score(X, y))
    assert table.index.name == "modality"


def test_in_the_population_permuting_costs_twice_what_dropping_does():
    X, y = make_data(40_000)
    variance = sum(w @ w for w in COEF.values()) + 1
    for method, factor in (("permutation", 2), ("drop", 1)):
        table = modality_importance(Known(), X, y, method=method, n_repeats=3, random_state=0)
        expected = [factor * COEF[name] @ COEF[name] / variance for name in table.index]
        assert_allclose(table.estimate, expected, atol=0.02)


def test_dropping_costs_the_contribution_where_means_are_imputed():
    X, y = make_data()
    pipe = make_pipeline(ConcatModalities(), SimpleImputer(), LinearRegression()).fit(X, y)
    table = modality_importance(pipe, X, y, method="drop", random_state=0)
    regression = pipe[-1]
    for name, columns in COLUMNS.items():
        spoilt = flat(X)
        spoilt[:, columns] = spoilt[:, columns].mean(axis=0)
        expected = r2(y, regression.predict(flat(X))) - r2(y, regression.predict(spoilt))
        assert_allclose(table.estimate[name], expected)
        assert_allclose(table.baseline[name], pipe.score(X, y))


def test_what_the_model_does_not_use_costs_nothing():
    X, y = make_data()
    for method in ("permutation", "drop"):
        row = modality_importance(Known(), X, y, method=method, random_state=0).loc["c"]
        assert_array_equal(row[["estimate", "std", "lower", "upper"]], 0)
    fitted = make_pipeline(ConcatModalities(), LinearRegression()).fit(X[:40], y[:40])
    row = modality_importance(fitted, X[40:], y[40:], random_state=0).loc["c"]
    assert fitted[-1].coef_[3] != 0
    assert row["std"] > 0
    assert row.lower < 0 < row.upper


def test_columns_of_a_modality_move_together():
    rng = np.random.default_rng(0)
    pair = np.repeat(rng.standard_normal((60, 1)), 2, axis=1)
    X = Modalities({"a": pair, "b": rng.standard_normal((60, 1)), "c": np.zeros((60, 1))})
    y = rng.standard_normal(60)
    # The model looks at the difference of two equal columns: zero as long as they move together.
    table = modality_importance(Known({**COEF, "b": np.zeros(1)}), X, y, random_state=0)
    assert_allclose(table.estimate["a"], 0, atol=1e-12)


def test_of_single_columns_it_is_that_of_scikit_learn():
    X, y = make_data()
    array = flat(X)
    model = Ridge().fit(array, y)
    columns = {str(j): [j] for j in range(4)}
    options = {"n_repeats": 100, "scoring": minus_mae}
    own = modality_importance(model, array, y, modalities=columns, random_state=0, **options)
    other = permutation_importance(model, array, y, random_state=1, **options)
    error = other.importances_std * np.sqrt(2 / 100)
    assert (np.abs(own.estimate - other.importances_mean) <= 4 * error).all()


# Intervals


def test_standard_errors_are_those_of_a_mean_of_paired_differences():
    X, y = make_data()
    table = modality_importance(
        Known(), X, y, method="drop", scoring=minus_mae, n_repeats=1000, random_state=0
    )
    for name in ("a", "b"):
        spoilt = Known().predict(X.with_missing(name))
        falls = np.abs(y - spoilt) - np.abs(y - Known().predict(X))
        assert_allclose(table.estimate[name], falls.mean())
        # The standard deviation of 1000 figures is known to 1 / √2000 of it.
        assert_allclose(table["std"][name], falls.std() / np.sqrt(len(y)), rtol=4 / np.sqrt(2000))


def test_the_table_is_made_of_the_scores():
    scores = np.random.default_rng(0).standard_normal(1 + 4 * 3 + 4 * (1 + 3))
    calls = iter(scores)
    X, y = make_data(5)
    table = modality_importance(Known(), X, y, n_repeats=4, scoring=lambda *_: next(calls))
    permuted, samples = scores[1:13].reshape(4, 3), scores[13:].reshape(4, 4)
    assert_array_equal(table.baseline, scores[0])
    assert_allclose(table.estimate, scores[0] - permuted.mean(axis=0))
    assert_allclose(table["std"], np.std(samples[:, :1] - samples[:, 1:], axis=0, ddof=1))


@pytest.mark.parametrize(("n_repeats", "confidence"), [(4, 0.95), (10, 0.5)])
def test_intervals_are_of_student(n_repeats, confidence):
    X, y = make_data()
    table = modality_importance(
        Known(), X, y, n_repeats=n_repeats, confidence=confidence, random_state=0
    )
    margin = t.ppf(0.5 + confidence / 2, n_repeats - 1) * table["std"]
    assert_allclose(table.lower, table.estimate - margin)
    assert_allclose(table.upper, table.estimate + margin)


@pytest.mark.parametrize(("method", "factor"), [("permutation", 2), ("drop", 1)])
def test_intervals_cover_the_importance_in_the_population(method, factor):
    def loss(model, X, y):
        return -np.mean((y - model.predict(X)) ** 2)

    covered = []
    for seed in range(120):
        X, y = make_data(60, seed=seed)
        table = modality_importance(
            Known(), X, y, method=method, scoring=loss, n_repeats=6, random_state=seed
        )
        expected = np.array([factor * COEF[name] @ COEF[name] for name in ("a", "b")])
        covered.append((table.lower[:2] <= expected) & (expected <= table.upper[:2]))
    # Of 120 intervals with coverage .95, fewer than .88 cover once in a thousand times.
    assert (np.mean(covered, axis=0) >= 0.88).all()


# What is scored


def scored_on(X, y=None, n_repeats=3, **options):
    seen = Seen()
    modality_importance(seen, X, y, n_repeats=n_repeats, random_state=0, **options)
    return seen.seen


def various():
    """Return modalities of all makes that say in each row which one it is, where it is there."""
    rows = np.arange(12)
    index = pd.Index([f"row {i}" for i in rows])
    X = Modalities(
        {
            "image": np.tile(rows[:, None, None, None].astype(float), (1, 1, 2, 2)),
            "label": np.array([f"{i}" for i in rows]),
            "frame": pd.DataFrame({"u": rows, "v": [f"v{i}" for i in rows]}, index=index),
            "sparse": sp.csr_matrix(rows[:, None] + 1),
        }
    )
    return X.with_missing("image", [3, 5]).with_missing("label", [0])


def row_numbers(X):
    """Return which row each modality of each row is of, -1 where it is missing."""
    missing = X.missing
    found = {
        "image": np.nan_to_num(X["image"][:, 0, 1, 1], nan=-1).astype(int),
        "label": np.array([int(text or -1) for text in X["label"]]),
        "frame": X["frame"]["u"].to_numpy(),
        "sparse": X["sparse"].toarray()[:, 0].astype(int) - 1,
    }
    for name, numbers in found.items():
        assert_array_equal(numbers < 0, missing[name])
    return found


def test_rows_of_one_modality_are_exchanged_with_what_is_missing():
    X, y = various(), np.arange(12)
    before = row_numbers(X)
    first, *rest = scored_on(X, y)
    assert_array_equal(first[0].missing, X.missing)
    assert len(rest) == 3 * 4 + 3 * (1 + 4)
    for number, (scored, target) in enumerate(rest[: 3 * 4]):
        name = X.names[number % 4]
        assert_array_equal(target, y)
        assert scored.kinds == X.kinds
        assert list(scored["frame"].index) == list(X["frame"].index)
        found = row_numbers(scored)
        for other in X.names:
            if other == name:
                assert (found[other] != before[other]).any()
                assert_array_equal(np.sort(found[other]), np.sort(before[other]))
            else:
                assert_array_equal(found[other], before[other])
        u, v = scored["frame"]["u"], scored["frame"]["v"]
        assert list(v) == [f"v{i}" for i in u]


def test_bootstrap_samples_are_scored_as_they_are_and_spoilt():
    X, y = various(), np.arange(12)
    samples = scored_on(X, y)[1 + 3 * 4 :]
    different = set()
    for start in range(0, 15, 5):
        (whole, rows), *spoilt = samples[start : start + 5]
        different.add(tuple(rows))
        assert len(set(rows)) < 12
        for name, before in row_numbers(X).items():
            assert_array_equal(row_numbers(whole)[name], before[rows])
        for (scored, target), name in zip(spoilt, X.names, strict=True):
            assert_array_equal(target, rows)
            for other, numbers in row_numbers(scored).items():
                expected = row_numbers(whole)[other]
                if other == name:
                    numbers, expected = np.sort(numbers), np.sort(expected)
                assert_array_equal(numbers, expected)
    assert len(different) == 3


def test_a_dropped_modality_is_missing_in_every_row():
    X = various()
    _, *rest = scored_on(X, method="drop")
    assert len(rest) == 4 + 3 * (1 + 4)
    for (scored, _), name in zip(rest[:4], X.names, strict=True):
        assert scored.missing[name].all()
        assert_array_equal(scored.missing.drop(columns=name), X.missing.drop(columns=name))


def test_no_row_loses_everything_and_all_such_permutations_are_equally_likely():
    values = np.arange(5.0)[:, None]
    X = Modalities({"a": values, "b": values}).with_missing("a", [0, 4])
    X = X.with_missing("b", [1, 2])
    seen = scored_on(X, n_repeats=1000, modalities=["a"])
    drawn = [np.nan_to_num(scored["a"][:, 0], nan=-1) for scored, _ in seen[1:1001]]
    counts = pd.Series([tuple(row) for row in drawn]).value_counts()
    allowed = {
        p for p in itertools.permutations([-1, 1, 2, 3, -1]) if p[1] >= 0 and p[2] >= 0
    }  # rows 1 and 2 have nothing but "a"
    assert set(counts.index) == allowed
    expected = 1000 / len(allowed)
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()
    assert not any(scored.missing.all(axis=1).any() for scored, _ in seen)


@pytest.mark.parametrize("method", ["permutation", "drop"])
def test_frames_keep_their_index_and_what_columns_are(method):
    frame = pd.DataFrame(
        {
            ("a", "n"): np.arange(6),
            ("b", "x"): np.arange(6, dtype=np.float32),
            ("a", "c"): pd.Categorical(list("uvwuvw")),
            ("a", "s"): [f"{i}" for i in range(6)],
        },
        index=list("abcdef"),
    )
    kept = frame.copy()
    (scored, _) = scored_on(frame, method=method, modalities=["a"])[1]
    pd.testing.assert_frame_equal(frame, kept)
    assert list(scored.index) == list(frame.index)
    assert scored.columns.equals(frame.columns)
    pd.testing.assert_series_equal(scored["b", "x"], frame["b", "x"])
    assert scored["a", "c"].dtype == frame["a", "c"].dtype
    if method == "drop":
        assert scored["a"].isna().all(axis=None)
        return
    assert list(scored.dtypes) == list(frame.dtypes)
    order = scored["a", "n"].to_numpy()
    assert sorted(order) == list(range(6))
    assert list(order) != list(range(6))
    for column in "cs":
        assert list(scored["a", column]) == list(frame["a", column].iloc[order])


def test_arrays_of_integers_become_floats_only_to_be_dropped():
    array = np.arange(12).reshape(6, 2)
    array.flags.writeable = False
    columns = {"a": [1], "b": [0]}
    for method, dtype in (("permutation", array.dtype), ("drop", np.float64)):
        (scored, _) = scored_on(array, method=method, modalities=columns)[1]
        assert scored.dtype == dtype
        assert_array_equal(scored[:, 0], array[:, 0])
    assert np.isnan(scored[:, 1]).all()
    assert_array_equal(array, np.arange(12).reshape(6, 2))


# The forms of input


def pipeline(**params):
    """Return an estimator that takes all forms: with `modalities` also flat ones."""
    scaler = PerModality(StandardScaler(), **params)
    return make_pipeline(scaler, ConcatModalities(), SimpleImputer(), Ridge())


@pytest.mark.parametrize("method", ["permutation", "drop"])
def test_all_forms_give_the_same(method):
    X, y = make_data(60)
    whole = {name: np.array(value) for name, value in X.items()}
    whole["b"][[1, 4, 5]] = np.nan
    X = Modalities(whole)
    named = pd.DataFrame(flat(X), columns=list("wxyz"))
    names = {"a": ["w", "x"], "b": ["y"], "c": ["z"]}
    fitted = pipeline().fit(X, y)
    expected = modality_importance(fitted, X, y, method=method, random_state=0)
    for given, params in (
        (whole, {}),
        (X.to_frame(), {}),
        (flat(X), {"modalities": COLUMNS}),
        (named, {"modalities": names}),
    ):
        fitted = pipeline(**params).fit(given, y)
        found = modality_importance(fitted, given, y, method=method, random_state=0)
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("searched", [False, True, "inner"])
def test_the_columns_may_be_named_by_a_later_step(searched):
    X, y = make_data(60)
    array = flat(X)
    later = make_pipeline(StandardScaler(), pipeline(modalities=COLUMNS)[0], *pipeline()[1:])
    scaled = StandardScaler().fit(array)
    model = pipeline(modalities=COLUMNS)
    scoring = None
    if searched:
        scoring = "neg_mean_squared_error"
        later = GridSearchCV(later, {"ridge__alpha": [1.0]}, cv=2, scoring=scoring)
    found = modality_importance(later.fit(array, y), array, y, random_state=0)
    model.fit(scaled.transform(array), y)
    expected = modality_importance(
        model, scaled.transform(array), y, scoring=scoring, random_state=0
    )
    pd.testing.assert_frame_equal(found, expected)


def test_the_modalities_of_any_estimator_can_be_named_here():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((200, 4)), columns=list("wxyz"))
    y = (frame["x"] + frame["y"] > 0).to_numpy()
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(frame, y)
    groups = {"used": ["x", "y"], "idle": slice("z", "z")}
    for method in ("permutation", "drop"):
        table = modality_importance(model, frame, y, method=method, modalities=groups)
        assert list(table.index) == ["used", "idle"]
        assert table.lower["used"] > table.upper["idle"]


def test_some_modalities_can_be_chosen():
    X, y = make_data()
    every = modality_importance(Known(), X, y, random_state=0)
    some = modality_importance(Known(), X, y, modalities=["c", "a"], random_state=0)
    pd.testing.assert_frame_equal(some, every.loc[["c", "a"]])


def test_codes_are_scored_without_a_target():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 1))
    noise = {name: rng.standard_normal((200, 2)) for name in "ab"}
    X = Modalities({name: np.hstack([z, value]) for name, value in noise.items()})
    table = modality_importance(CCA(1).fit(X), X, random_state=0)
    # Whichever of two is permuted, nothing is in common any more.
    assert_allclose(table.estimate, table.baseline, atol=0.15)
    assert_allclose(table.estimate["a"], table.estimate["b"], atol=0.1)
    retrieval = modality_importance(
        CCA(1).fit(X), X, scoring=get_scorer("mean_reciprocal_rank"), random_state=0
    )
    assert (retrieval.estimate > 0).all()


# Laws


def test_same_seed_same_table_with_any_number_of_jobs_and_any_order():
    X, y = make_data(60)
    X = X.with_missing("b", [0, 1]).with_missing("a", [2]).with_missing("c", [2, 3])
    model = pipeline().fit(X, y)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    table = modality_importance(model, X, y, random_state=3)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for n_jobs in (1, 2):
        with parallel_config("threading"):
            again = modality_importance(model, X, y, random_state=3, n_jobs=n_jobs)
        pd.testing.assert_frame_equal(again, table)
    state = np.random.RandomState(3)
    pd.testing.assert_frame_equal(modality_importance(model, X, y, random_state=state), table)
    other = modality_importance(model, X, y, random_state=4)
    assert (other.estimate != table.estimate).all()
    swapped = X.select(["c", "b", "a"])
    swapped = modality_importance(model, swapped, y, random_state=3)
    pd.testing.assert_frame_equal(swapped.loc[table.index], table)


@pytest.mark.parametrize("method", ["permutation", "drop"])
def test_data_are_not_modified(method):
    X, y = make_data(40)
    array = flat(X)
    frame = pd.DataFrame(array.copy(), columns=list("wxyz"))
    columns = {"a": slice(0, 2), "b": [2], "c": [3]}
    for given in (array, frame):
        model = make_pipeline(SimpleImputer(), Ridge()).fit(given, y)
        modality_importance(model, given, y, method=method, modalities=columns)
    assert_array_equal(array, flat(X))
    assert_array_equal(frame, flat(X))


def test_weights_travel_with_their_rows():
    X, y = make_data()
    weight = np.random.default_rng(1).uniform(size=len(y))
    weight[:60] = 0
    table = modality_importance(Known(), X, y, method="drop", sample_weight=weight, random_state=0)
    for name in X.names:
        whole, spoilt = Known().predict(X), Known().predict(X.with_missing(name))
        assert_allclose(table.estimate[name], r2(y, whole, weight) - r2(y, spoilt, weight))
    # What rows of no weight say does not matter, in no sample.
    other = np.where(weight > 0, y, 1e3)
    pd.testing.assert_frame_equal(
        modality_importance(Known(), X, other, method="drop", sample_weight=weight, random_state=0),
        table,
    )


@pytest.mark.parametrize("make", [list, pd.Series, lambda y: np.column_stack([y, y])])
def test_targets_of_all_makes(make):
    X, y = make_data(40)
    model = make_pipeline(ConcatModalities(), Ridge()).fit(X, np.asarray(make(y)))
    table = modality_importance(model, X, make(y), random_state=0)
    expected = modality_importance(model, X, np.asarray(make(y)), random_state=0)
    pd.testing.assert_frame_equal(table, expected)


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "shuffle"}, ValueError, "method='shuffle' is unknown"),
        ({"n_repeats": 1}, ValueError, "n_repeats=1 must be an integer of at least 2"),
        ({"confidence": 1.0}, ValueError, "confidence=1.0 must be between 0 and 1"),
        ({"scoring": ["r2"]}, TypeError, r"scoring=\['r2'\] must be one score"),
        ({"scoring": {"r2": r2_score}}, TypeError, "must be one score"),
        ({"scoring": lambda *_: np.nan}, ValueError, "score of 120 rows, .* is nan, not a finite"),
        ({"scoring": lambda *_: {"r2": 1.0}}, ValueError, "not a finite"),
        ({"modalities": ["z"]}, ValueError, r"names \['z'\], but there are \['a', 'b', 'c'\]"),
        ({"modalities": COLUMNS}, ValueError, "X names its modalities. Pass a list of names"),
        ({"sample_weight": [1.0]}, ValueError, "inconsistent numbers of samples"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    X, y = make_data()
    with pytest.raises(error, match=message):
        modality_importance(Known(), X, y, **options)


def test_data_that_do_not_fit_are_refused():
    X, y = make_data()
    array = flat(X)
    model = Ridge().fit(array, y)
    with pytest.raises(ValueError, match="Ridge was not fitted with modalities="):
        modality_importance(model, array, y)
    with pytest.raises(ValueError, match="overlap"):
        modality_importance(model, array, y, modalities={"a": [0, 1], "b": [1]})
    with pytest.raises(TypeError, match="X is a sparse matrix"):
        modality_importance(model, sp.csr_matrix(array), y, modalities=COLUMNS)
    with pytest.raises(ValueError, match=r"X has shape \(120, 2, 2\): pass Modalities"):
        modality_importance(model, array.reshape(120, 2, 2), y, modalities=COLUMNS)
    with pytest.raises(ValueError, match="n_samples=2, but needs at least 3"):
        modality_importance(Known(), X[:2], y[:2])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        modality_importance(Known(), X, y[:5])
    with pytest.raises(NotFittedError):
        modality_importance(Ridge(), X, y)


def test_estimators_that_cannot_do_without_a_modality_say_so():
    X, y = make_data()
    pipe = make_pipeline(ConcatModalities(), StandardScaler(), LinearRegression()).fit(X, y)
    with pytest.raises(ValueError, match=r"with modality 'a' missing, as method='drop' .* NaN"):
        modality_importance(pipe, X, y, method="drop")


def test_classes_may_be_absent_from_a_sample():
    class OneClass(ClassifierMixin, Known):
        def score(self, X, y, sample_weight=None):
            return 1.0 if len(set(y)) == 2 else np.nan

    X, _ = make_data(5)
    with pytest.raises(ValueError, match="may be a bootstrap sample, is nan"):
        modality_importance(OneClass(), X, [0, 1, 1, 1, 1], random_state=0)


# Drawings

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_table(estimate, half=0.1, baseline=0.9, names="abcdefgh"):
    estimate = np.asarray(estimate, dtype=float)
    columns = {"estimate": estimate, "lower": estimate - half, "upper": estimate + 2 * half}
    return pd.DataFrame({**columns, "baseline": baseline}, index=list(names)[: len(estimate)])


def drawn(container):
    """Return the points and the ends of their intervals."""
    points = np.column_stack(container.lines[0].get_data())
    ends = [segment[:, 0] for segment in container.lines[2][0].get_segments()]
    return points, np.array(ends)


def labels_of(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def test_points_and_intervals_are_the_table_in_order():
    table = make_table([0.1, 0.5, -0.2])
    display = ModalityImportanceDisplay.from_importances(table)
    assert list(display.bars_) == ["importance"]
    assert labels_of(display) == ["b", "a", "c"]
    points, ends = drawn(display.bars_["importance"])
    ordered = table.loc[["b", "a", "c"]]
    assert_allclose(points, np.column_stack([ordered.estimate, [0, 1, 2]]))
    assert_allclose(ends, ordered[["lower", "upper"]])
    bottom, top = display.ax_.get_ylim()
    assert bottom > top  # the most important one above
    assert_array_equal(display.zero_line_.get_xdata(), [0, 0])
    assert display.ax_.get_legend() is None
    assert display.ax_.get_xlabel() == "Fall of the score from 0.9"


def test_tables_lie_side_by_side_in_the_order_of_the_first():
    tables = {"permutation": make_table([0.1, 0.5]), "drop": make_table([0.3, 0.2])}
    tables["drop"] = tables["drop"].iloc[::-1]
    display = ModalityImportanceDisplay.from_importances(tables)
    assert labels_of(display) == ["b", "a"]
    upper, _ = drawn(display.bars_["permutation"])
    lower, _ = drawn(display.bars_["drop"])
    assert_allclose(upper[:, 0], [0.5, 0.1])
    assert_allclose(lower[:, 0], [0.2, 0.3])
    assert (upper[:, 1] < lower[:, 1]).all()
    assert_allclose((upper[:, 1] + lower[:, 1]) / 2, [0, 1])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == list(tables)
    colours = {bars.lines[0].get_color() for bars in display.bars_.values()}
    assert len(colours) == 2


def test_the_label_says_from_where_the_score_falls_if_all_agree():
    one, other = make_table([0.1], baseline=-0.5), make_table([0.1], baseline=0.7)
    assert ModalityImportanceDisplay(one).plot().ax_.get_xlabel() == "Fall of the score from −0.5"
    both = ModalityImportanceDisplay({"one": one, "other": other}).plot()
    assert both.ax_.get_xlabel() == "Fall of the score"


def test_what_is_drawn_of_an_estimator_is_the_table():
    X, y = make_data()
    options = {"method": "drop", "n_repeats": 4, "confidence": 0.8, "random_state": 0}
    options |= {"modalities": ["a", "b"], "scoring": "r2", "n_jobs": 1}
    figure, (ax, other) = plt.subplots(1, 2)
    weight = np.arange(len(y)) + 1.0
    display = ModalityImportanceDisplay.from_estimator(
        Known(), X, y, sample_weight=weight, ax=ax, **options
    )
    expected = modality_importance(Known(), X, y, sample_weight=weight, **options)
    pd.testing.assert_frame_equal(display.importances, expected)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert not other.has_data()
    assert plt.get_fignums() == [figure.number]
    points, _ = drawn(display.bars_["importance"])
    assert_allclose(points[:, 0], expected.estimate.sort_values(ascending=False))


@pytest.mark.parametrize(
    ("importances", "message"),
    [
        ({}, "empty dict"),
        (make_table([]), "a row of finite numbers"),
        (make_table([np.nan]), "a row of finite numbers"),
        (make_table([0.1, 0.2], names="aa"), "a row of finite numbers"),
        (make_table([0.1], half=-0.1), "lower <= estimate <= upper"),
        (make_table([0.1]).drop(columns="lower"), r"no columns \['lower'\]"),
        ({"x": make_table([0.1]), "y": make_table([0.1], names="b")}, r"\['a'\] and 'y' has"),
    ],
)
def test_tables_that_cannot_be_drawn(importances, message):
    with pytest.raises(ValueError, match=message):
        ModalityImportanceDisplay(importances).plot()


@pytest.mark.parametrize("n_modalities", [1, 3, 8])
def test_texts_do_not_overlap(n_modalities):
    names = ["$x_1$", "_hidden", "a name that is far too long for a label", *"abcde"]
    table = make_table(np.linspace(-0.0123, 0.456, n_modalities), names=names)
    for importances in (table, {"permutation": table, "$drop$": table, "other": table}):
        display = ModalityImportanceDisplay.from_importances(importances)
        _check_legible(display.figure_)
        assert "_hidden" in labels_of(display) or n_modalities == 1
    _, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    for ax in axes:
        display = ModalityImportanceDisplay.from_importances({"x": table, "y": table}, ax=ax)
    _check_legible(display.figure_)


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    table = make_table([0.1])
    for call in (
        ModalityImportanceDisplay(table).plot,
        lambda: ModalityImportanceDisplay.from_importances(table),
        lambda: ModalityImportanceDisplay.from_estimator(Known(), *make_data()),
    ):
        with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skmm\[plot\]"'):
            call()
