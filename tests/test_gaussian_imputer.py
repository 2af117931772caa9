"""GaussianImputer: what it fills in, in which form, and what may follow."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils._testing import SkipTest

from skmm import CCA, Modalities, io
from skmm._gaussian._normal import shrunk
from skmm.compose import ConcatModalities, GaussianImputer
from skmm.datasets import load_digits_halves

N = 80
COLUMNS = {"a": slice(0, 2), "b": slice(2, 5)}
NAMES = ["u", "v", "x", "y", "z"]


def _flat(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, 2)) @ rng.standard_normal((2, 5)) + rng.standard_normal((N, 5))
    X = X * [1.0, 10.0, 1.0, 0.1, 1.0] + 5.0
    X[:10, COLUMNS["a"]], X[10:25, COLUMNS["b"]] = np.nan, np.nan
    X[30, 0], X[31, 3], X[32, [1, 4]] = np.nan, np.nan, np.nan
    return X


FLAT = _flat()
GAPS = np.isnan(FLAT)


def _named(X=FLAT):
    return Modalities({name: X[:, place] for name, place in COLUMNS.items()})


def _together(X):
    return np.hstack([np.asarray(X["a"]), np.asarray(X["b"])])


FILLED = _together(GaussianImputer().fit_transform(_named()))


def test_the_conditional_mean_of_each_row():
    imputer = GaussianImputer().fit(_named())
    normal, scale = imputer._gaussian.normal, imputer._gaussian.scale
    mean = np.concatenate([imputer.means_["a"], imputer.means_["b"]])
    expected = FLAT.copy()
    for row, gap in zip(expected, GAPS, strict=True):
        for name, place in COLUMNS.items():
            S = shrunk(normal.covariance, imputer.shrinkage_[name]) * np.outer(scale, scale)
            m = np.arange(5)[place][gap[place]]
            slope = S[np.ix_(m, ~gap)] @ np.linalg.inv(S[np.ix_(~gap, ~gap)])
            row[m] = mean[m] + slope @ (row[~gap] - mean[~gap])
    assert_allclose(FILLED, expected)
    assert_array_equal(FILLED[~GAPS], FLAT[~GAPS])


def test_complete_data_stay_as_they_are():
    assert_array_equal(_together(GaussianImputer().fit_transform(_named(FILLED))), FILLED)


def test_it_beats_the_means():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 2))
    X = z @ rng.standard_normal((2, 9)) + 0.3 * rng.standard_normal((300, 9))
    data = Modalities({"a": X[:, :3], "b": X[:, 3:6], "c": X[:, 6:]})
    holes = data.with_gaps(0.3, random_state=0).with_gaps(0.1, mechanism="entries", random_state=1)
    filled = GaussianImputer().fit_transform(holes)
    for name in data.names:
        gap = np.isnan(holes[name])
        error = np.square(filled[name] - data[name])[gap].mean()
        assert error < 0.4 * np.square(np.nanmean(holes[name], axis=0) - data[name])[gap].mean()


# The form of X


@pytest.mark.parametrize("form", ["dict", "levels", "array", "frame", "polars"])
def test_every_form_is_filled_alike(form):
    frame = pd.DataFrame(FLAT, columns=NAMES, index=[f"s{i}" for i in range(N)])
    levels = frame.set_axis(pd.MultiIndex.from_arrays([list("aabbb"), NAMES]), axis=1)
    X = {"dict": dict(_named()), "levels": levels, "array": FLAT, "frame": frame,
         "polars": pl.DataFrame(FLAT, NAMES)}[form]  # fmt: skip
    modalities = None if form in ("dict", "levels") else COLUMNS
    found = GaussianImputer(modalities=modalities).fit_transform(X)
    assert isinstance(found, Modalities if form == "dict" else type(X))
    assert_allclose(_together(found) if form == "dict" else np.asarray(found), FILLED)
    if form in ("levels", "frame"):
        assert_array_equal(found.index, X.index)
        assert_array_equal(found.columns, X.columns)


def test_a_flat_array_is_one_modality():
    found = GaussianImputer().fit(FLAT)
    assert list(found.shrinkage_) == ["X"]
    filled = found.transform(FLAT)
    assert_array_equal(filled[~GAPS], FLAT[~GAPS])
    assert np.isfinite(filled).all()


def test_columns_that_no_modality_covers_are_handed_on():
    X = pd.DataFrame(FLAT, columns=NAMES).assign(label=["a", "b"] * (N // 2))
    found = GaussianImputer(modalities={"a": ["u", "v"], "b": ["x", "y", "z"]}).fit_transform(X)
    assert_allclose(found[NAMES], FILLED)
    assert_array_equal(found["label"], X["label"])


def test_modalities_that_are_not_used_are_left_out():
    X = Modalities({**dict(_named()), "label": ["a", "b"] * (N // 2)})
    with pytest.raises(ValueError, match=r"'label' of kind 'categorical'.*OneHotEncoder"):
        GaussianImputer().fit(X)
    found = GaussianImputer(modalities=["a", "b"]).fit_transform(X)
    assert found.names == ("a", "b")
    assert_allclose(_together(found), FILLED)
    levels = X.to_frame()
    found = GaussianImputer(modalities=["a", "b"]).fit_transform(levels)
    assert list(found.columns.get_level_values(0).unique()) == ["a", "b"]


def test_absent_modalities_and_empty_rows_are_filled():
    imputer = GaussianImputer().fit(_named())
    X = _named().select(["b"])
    both = imputer.transform(X)
    assert both.names == ("b", "a") or both.names == ("a", "b")
    assert_allclose(both["a"][10], imputer.means_["a"])  # a row that lacks b as well
    gone = _named().with_missing("a", slice(None))
    assert_allclose(both["a"], imputer.transform(gone)["a"])


def test_kinds_shapes_dtypes_and_ids():
    images = np.random.default_rng(0).random((N, 1, 2, 2)).astype(np.float32)
    counts = np.arange(N, dtype=float) % 5
    counts[3] = np.nan
    index = pd.Index([f"s{i}" for i in range(N)])
    X = Modalities({"i": images, "c": pd.Series(counts, index=index)}, kinds={"c": "count"})
    found = GaussianImputer().fit_transform(X.with_missing("i", [0, 1]))
    assert found["i"].shape == images.shape
    assert found["i"].dtype == np.float32
    assert found.kinds == {"i": "image", "c": "numeric"}  # an expected count is none
    assert_array_equal(found.index, index)
    assert not found.missing.any(axis=None)


# Indicators


def test_indicators_are_those_of_early_fusion():
    X = _named()
    expected = ConcatModalities(add_indicator=True).fit(X)
    marks = expected.transform(X)[:, 5:]
    imputer = GaussianImputer(add_indicator=True).fit(X)
    found = imputer.transform(X)
    assert found.names == ("a", "b", "missingindicator")
    assert_array_equal(np.asarray(found["missingindicator"], dtype=float), marks)
    pipe = make_pipeline(GaussianImputer(add_indicator=True), ConcatModalities()).fit(X)
    assert_array_equal(pipe.transform(X)[:, 5:], marks)
    names = list(pipe.get_feature_names_out())
    assert names == list(imputer.get_feature_names_out())
    assert names[-2:] == ["missingindicator__b__1", "missingindicator__b__2"]
    assert_array_equal(
        np.asarray(imputer.transform(X.select(["b"]))["missingindicator"])[:, 0], True
    )


def test_indicators_are_the_last_columns_of_flat_data():
    marks = ConcatModalities(add_indicator=True).fit_transform(_named())[:, 5:]
    imputer = GaussianImputer(modalities=COLUMNS, add_indicator=True)
    assert_allclose(imputer.fit_transform(FLAT), np.hstack([FILLED, marks]))
    frame = pd.DataFrame(FLAT, columns=NAMES)
    found = imputer.fit_transform(frame)
    assert list(found.columns) == list(imputer.get_feature_names_out())
    assert list(found.columns[5:7]) == ["missingindicator_a", "missingindicator_a__u"]
    levels = _named().to_frame()
    found = GaussianImputer(add_indicator=True).fit_transform(levels)
    assert_array_equal(found["missingindicator"], marks)
    assert_array_equal(Modalities.from_frame(found).names, ["a", "b", "missingindicator"])


def test_no_gaps_no_indicators():
    found = GaussianImputer(add_indicator=True).fit_transform(_named(FILLED))
    assert found.names == ("a", "b")


def test_a_name_that_is_taken():
    X = Modalities({**dict(_named()), "missingindicator": np.arange(float(N))})
    GaussianImputer().fit(X)
    with pytest.raises(ValueError, match="'missingindicator' already"):
        GaussianImputer(add_indicator=True).fit(X)


# What it is fitted to


def test_weights_are_repetitions():
    times = 1 + np.arange(N) % 3
    weighted = GaussianImputer().fit(_named(), sample_weight=times)
    repeated = GaussianImputer().fit(_named(np.repeat(FLAT, times, axis=0)))
    assert_allclose(_together(weighted.transform(_named())),
                    _together(repeated.transform(_named())))  # fmt: skip
    assert weighted.shrinkage_ == pytest.approx(repeated.shrinkage_)


def test_pairs_that_are_never_seen_together_are_named():
    X = _named(FILLED).with_missing("a", slice(0, 40)).with_missing("b", slice(40, None))
    with pytest.warns(UserWarning, match="'a' and 'b' are never observed together"):
        filled = GaussianImputer().fit_transform(X)
    assert np.isfinite(_together(filled)).all()
    weight = np.r_[np.ones(12), np.zeros(N - 12)]
    X = _named(FILLED).with_missing("a", slice(0, 6)).with_missing("b", slice(6, 12))
    with pytest.warns(UserWarning, match="never observed together"):
        GaussianImputer().fit(X, sample_weight=weight)


def test_data_without_variation_are_refused():
    with pytest.raises(ValueError, match="constant"):
        GaussianImputer().fit({"a": np.ones((5, 2)), "b": np.ones((5, 1))})


# scikit-learn


def test_a_search_over_a_pipeline_with_gaps():
    X, y = load_digits_halves(return_X_y=True)
    holes = X[:400].with_gaps(0.3, random_state=0)
    pipe = make_pipeline(
        GaussianImputer(), ConcatModalities(), LogisticRegression(C=0.01, max_iter=2000)
    )
    grid = {"gaussianimputer__add_indicator": [False, True]}
    search = GridSearchCV(pipe, grid, cv=3).fit(holes, y[:400])
    assert len(search.cv_results_["mean_test_score"]) == 2
    assert search.best_score_ > 0.65
    by_cca = make_pipeline(GaussianImputer(), CCA(5, shrinkage=0.1), LogisticRegression())
    assert cross_val_score(by_cca, holes, y[:400], cv=3).mean() > 0.5


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_containers(container):
    imputer = GaussianImputer(modalities=COLUMNS, add_indicator=True)
    expected = imputer.fit_transform(FLAT)
    found = clone(imputer).set_output(transform=container).fit_transform(FLAT)
    assert list(found.columns) == list(imputer.get_feature_names_out())
    assert_array_equal(found.to_numpy(), expected)
    pipe = make_pipeline(GaussianImputer(), ConcatModalities()).set_output(transform=container)
    assert list(pipe.fit_transform(_named()).columns)[:2] == ["a__0", "a__1"]


def test_a_frame_keeps_its_index_in_pandas():
    frame = pd.DataFrame(FLAT, columns=NAMES, index=[f"s{i}" for i in range(N)])
    imputer = GaussianImputer(modalities=COLUMNS)
    found = imputer.set_output(transform="pandas").fit_transform(frame)
    assert_frame_equal(found, pd.DataFrame(FILLED, frame.index, NAMES))


CHECKS = [
    *estimator_checks.estimator_checks_generator(GaussianImputer()),
    *((GaussianImputer.__name__, check) for check in (
        estimator_checks.check_set_output_transform,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
    )),
]  # fmt: skip


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_checks(estimator, check):
    arguments = (estimator, GaussianImputer()) if isinstance(estimator, str) else (estimator,)
    try:
        check(*arguments)
    except SkipTest as reason:
        if "SCIPY_ARRAY_API" not in str(reason):
            pytest.fail(f"scikit-learn skipped this check: {reason}")


@pytest.mark.parametrize("width", [3, 200])
def test_what_is_loaded_fills_alike(width, tmp_path):
    rng = np.random.default_rng(0)
    X = Modalities({"a": rng.random((40, 2)), "b": rng.random((40, width))}).with_gaps(
        0.2, random_state=0
    )
    imputer = GaussianImputer().fit(X)
    io.dump(imputer, tmp_path / "model.skops")
    again = io.load(tmp_path / "model.skops")
    assert_array_equal(_together(again.transform(X)), _together(imputer.transform(X)))
