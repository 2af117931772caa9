"""Sample ids: where they come from, what keeps them, and which rows are refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_index_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import KFold, cross_val_score, permutation_test_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skmm import CCA, DeepCCA, Modalities, MultimodalClassifier, MultimodalRegressor
from skmm.baselines import RidgeSampler
from skmm.benchmark import Task
from skmm.compose import ConcatModalities, GaussianImputer, PerModality, SelectModality
from skmm.exceptions import IndexMismatchWarning
from skmm.inspection import modality_importance, permutation_test, variance_explained, wilks_test
from skmm.metrics import coverage_per_group, get_scorer

N = 40
NAMES = [f"P{i:03d}" for i in range(N)]
ORDER = np.random.default_rng(1).permutation(N)
Z = np.random.default_rng(0).standard_normal((N, 2))


def _frame(columns="abc", index=None, seed=0):
    rng = np.random.default_rng(seed)
    values = Z @ rng.standard_normal((2, len(columns))) + 0.3 * rng.standard_normal((N, 3))
    return pd.DataFrame(values, columns=list(columns), index=index)


def _named():
    return Modalities({"a": _frame("abc", NAMES), "b": _frame("xyz", NAMES, 1), "c": Z})


def _polars(columns="abc", ids=NAMES, seed=0):
    frame = pl.from_dict(_frame(columns, seed=seed).to_dict("list"))
    return frame.with_columns(pl.Series("id", ids))


# Where they come from

INDEXES = {
    "arrays": ({"a": Z, "c": Z}, range(N)),
    "a default index": ({"a": _frame(), "c": Z}, range(N)),
    "the first that is not default": ({"a": _frame(), "b": _frame("xyz", NAMES), "c": Z}, NAMES),
    "numbers": ({"c": Z, "b": _frame("xyz", ORDER)}, ORDER),
    "a Series": ({"c": Z, "b": pd.Series(Z[:, 0], index=NAMES)}, NAMES),
    "two levels": (
        {"a": _frame("abc", pd.MultiIndex.from_product([["l"], NAMES]))},
        pd.MultiIndex.from_product([["l"], NAMES]),
    ),
}


@pytest.mark.parametrize("what", INDEXES)
def test_index_of_values(what):
    values, expected = INDEXES[what]
    X = Modalities(values)
    assert list(X.index) == list(expected)
    assert list(X.missing.index) == list(X.to_frame().index) == list(expected)
    for value in X.values():
        if not isinstance(value, np.ndarray):
            assert_index_equal(value.index, X.index)
    with pytest.raises(AttributeError):
        X.index = NAMES


@pytest.mark.parametrize("index", [NAMES, np.array(NAMES), pd.Index(NAMES), pl.Series(NAMES)])
def test_index_is_declared(index):
    X = Modalities({"a": Z, "b": _frame()}, index=index)
    assert list(X.index) == list(X["b"].index) == NAMES
    assert list(Modalities(Modalities({"a": Z}), index=index).index) == NAMES


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (NAMES[1:], ValueError, "39 ids for 40 samples"),
        (Z, ValueError, r"shape \(40, 2\)"),
        (3, ValueError, r"shape \(\)"),
        ("id", ValueError, r"none has it.*set_index\('id'\)"),
        (NAMES[::-1], ValueError, "index= and 'b' have the same index in another order"),
    ],
)
def test_index_is_refused(index, error, message):
    with pytest.raises(error, match=message):
        Modalities({"a": Z, "b": _frame("abc", NAMES).assign(id=NAMES)}, index=index)


# What keeps them

KEEP = {
    "select": lambda X: X.select(["c"]),
    "with_missing": lambda X: X.with_missing("a", [0, 3]),
    "with_gaps": lambda X: X.with_gaps(0.4, random_state=0),
    "with_gaps, entries": lambda X: X.with_gaps(0.4, mechanism="entries", random_state=0),
    "Modalities": lambda X: Modalities(X, kinds={"a": "numeric"}),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda X: pickle.loads(pickle.dumps(X)),
    "frame": lambda X: Modalities.from_frame(X.to_frame()),
    "PerModality": lambda X: PerModality(StandardScaler()).fit_transform(X),
    "PerModality, pandas": lambda X: (
        PerModality(StandardScaler())
        .set_output(transform="pandas")
        .fit_transform(X.with_missing("a", [1]))
    ),
    "PerModality, inverse": lambda X: PerModality(StandardScaler()).fit(X).inverse_transform(X),
    "GaussianImputer": lambda X: GaussianImputer(add_indicator=True).fit_transform(
        X.with_missing("b", [2])
    ),
    "impute": lambda X: CCA(1).fit(X).impute(X.with_missing("b", [2])),
    "impute what is absent": lambda X: CCA(1).fit(X).impute(X.select(["c"])),
    "inverse_transform": lambda X: (
        CCA(1).fit(X).inverse_transform(CCA(1).set_output(transform="pandas").fit_transform(X))
    ),
    "sample": lambda X: CCA(1, random_state=0).fit(X).sample(given=X.with_missing("b", [2]))[0],
}


@pytest.mark.parametrize("what", KEEP)
@pytest.mark.parametrize("rows", [slice(None), slice(5, 30, 2), ORDER[:25], ORDER % 3 > 0])
def test_ids_are_kept(what, rows):
    X = _named()[rows]
    assert list(X.index) == list(np.array(NAMES)[rows])
    kept = KEEP[what](X)
    assert_index_equal(kept.index, X.index)
    for value in kept.values():
        if not isinstance(value, np.ndarray):
            assert_index_equal(value.index, X.index)


@pytest.mark.parametrize("index", [NAMES, ORDER, ORDER + 100], ids=["strings", "order", "numbers"])
def test_integer_ids_do_not_join_the_wrong_rows(index):
    table = _frame("abc", index)
    train, test = train_test_split(Modalities({"c": Z, "a": table}), random_state=0)
    model = CCA(1).fit(train)
    translated = model.translate(test.select(["c"]), "a")
    assert_index_equal(translated.index, test.index)
    assert_array_equal(table.loc[translated.index], test["a"])
    everyone = model.translate({"c": Z}, "a").set_axis(index)  # the rows in their first order
    assert_frame_equal(translated, everyone.loc[translated.index])


def test_row_numbers_are_kept_but_name_nobody():
    X = Modalities({"a": Z, "b": _frame()})[[5, 2, 9]]
    assert list(X.index) == list(X.select(["a"]).index) == list(X["b"].index) == [5, 2, 9]
    y = pd.Series([0, 1, 0], index=list("rst"))
    MultimodalClassifier(max_epochs=1, early_stopping=False).fit(X, y)


# What results carry


def test_pandas_results_carry_ids():
    X = _named()
    rows = X[ORDER[:9]]
    model = CCA(1).fit(X).set_output(transform="pandas")
    frames = [model.transform(rows), *model.transform_each(rows).values()]
    frames += [model.translate(rows, name) for name in X.names]
    for frame in frames:
        assert isinstance(frame, pd.DataFrame)
        assert_index_equal(frame.index, rows.index)
    assert list(model.transform_each(rows)["c"]) == ["cca0"]
    assert list(model.translate(rows, "a")) == list("abc")
    assert list(model.translate(rows, "c")) == ["c__0", "c__1"]
    values = model.set_output(transform="default").translate(rows, "c")
    assert isinstance(values, np.ndarray)
    assert_array_equal(frames[-1], values)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_one_dimensional_modalities_and_images_in_containers(container):
    age = pd.Series(Z[:, 0], index=NAMES, name="years")
    X = Modalities({"age": age, "raw": Z[:, 1], "image": Z.reshape(N, 1, 1, 2), "c": Z})
    model = RidgeSampler(target="age", random_state=0).fit(X).set_output(transform=container)
    assert model.translate(X, "age").shape[0] == N
    named = model.translate(X, "age")
    if container == "pandas":
        assert named.name == "years"
        assert list(named.index) == NAMES
    else:
        assert named.columns == ["years"]
    of_image = RidgeSampler(target="image", random_state=0).fit(X).set_output(transform=container)
    assert isinstance(of_image.translate(X, "image"), np.ndarray)


def test_predictions_of_samplers_are_frames_where_the_target_was_one():
    X = _named()[ORDER]
    predicted = RidgeSampler(target="b", random_state=0).fit(X).predict(X.select(["c", "a"]))
    assert_index_equal(predicted.index, X.index)
    assert list(predicted) == list("xyz")
    x, y = X["a"], X["b"]
    in_form_4 = RidgeSampler(random_state=0).fit(x, y).predict(x[:3])
    assert_index_equal(in_form_4.index, x.index[:3])


def test_steps_of_a_pipeline_carry_ids():
    X = _named()
    joined = make_pipeline(PerModality(StandardScaler()), ConcatModalities())
    frame = joined.set_output(transform="pandas").fit_transform(X)
    assert list(frame.index) == NAMES
    assert list(joined[-1].inverse_transform(frame[::-1]).index) == NAMES[::-1]
    selected = SelectModality("c").set_output(transform="pandas").fit_transform(X)
    assert list(selected.index) == NAMES


def test_form_4_carries_ids_to_what_is_added():
    model = CCA(1).fit(_frame("abc", NAMES), _frame("xyz", NAMES, 1))
    x = _frame("abc", NAMES).iloc[ORDER[:5]]
    assert_index_equal(model.translate(x, "y").index, x.index)
    assert_index_equal(model.impute(x)[1].index, x.index)


# Frames of polars


def test_a_column_of_ids_is_no_feature_and_comes_back():
    X = Modalities({"a": _polars(), "b": _polars("xyz", seed=1), "c": Z}, index="id")
    assert list(X.index) == NAMES
    assert list(X["a"]) == list("abc")
    rows = X[ORDER[:7]]
    model = CCA(1).fit(X).set_output(transform="polars")
    found = [model.transform(rows), model.fit_transform(rows)]
    found += [*model.transform_each(rows).values(), model.translate(rows, "b")]
    for frame in found:
        assert isinstance(frame, pl.DataFrame)
        assert frame.columns[0] == "id"
        assert frame["id"].to_list() == list(rows.index)
    assert found[-1].columns == ["id", "x", "y", "z"]
    back = model.inverse_transform(model.transform(rows))
    assert list(back.index) == list(rows.index)
    joined = ConcatModalities().set_output(transform="polars").fit(rows)
    assert list(joined.inverse_transform(joined.transform(rows)).index) == list(rows.index)


def test_other_results_of_polars_have_no_column_of_ids():
    model = CCA(1).set_output(transform="polars")
    assert model.fit_transform(_named()).columns == ["cca0"]
    frames = {"a": _polars().drop("id"), "b": _polars("xyz", seed=1).drop("id")}
    assert model.fit(frames).translate(frames, "b").columns == list("xyz")
    selected = SelectModality("a").set_output(transform="polars").fit_transform(frames)
    assert selected.columns == ["a__a", "a__b", "a__c"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[::-1], "'a' and 'b' have the same index in another order"),
        (lambda b: b.with_columns(pl.Series("id", [None, *NAMES[1:]])), "'id' of ids has gaps"),
        (lambda b: b.with_columns(pl.Series("id", range(N))), "no label in common"),
    ],
)
def test_columns_of_ids_that_differ_are_refused(change, message):
    frames = {"a": _polars(), "b": change(_polars("xyz"))}
    with pytest.raises(ValueError, match=message):
        Modalities(frames, index="id")


def test_polars_columns_become_what_they_are_in_pandas():
    frame = pl.DataFrame(
        {
            "whole": [1, 2, None],
            "small": pl.Series([1.5, None, 2.0], dtype=pl.Float32),
            "truth": [True, None, False],
            "text": ["u", None, "v"],
            "class": pl.Series(["x", None, "y"], dtype=pl.Enum(["y", "x"])),
            "group": pl.Series(["x", None, "y"], dtype=pl.Categorical),
            "cells": [[1, 2], [3], None],
        }
    )
    stored = Modalities({"t": frame, "s": frame["whole"]})["t"]
    assert stored.dtypes.astype(str).to_dict() == {
        "whole": "Int64",
        "small": "float32",
        "truth": "boolean",
        "text": str(pd.Series(["u", None]).dtype),
        "class": "category",
        "group": "category",
        "cells": "object",
    }
    assert list(stored["class"].cat.categories) == ["y", "x"]
    assert stored.isna().to_numpy()[:, :6].sum() == 6
    assert stored["cells"][0] == [1, 2]


def test_a_series_of_labels_is_one_in_polars_too():
    labels = {"c": Z, "label": pl.Series("label", [1, 2] * (N // 2))}
    gaps = {"c": Z, "label": pl.Series("label", [1, None] * (N // 2))}
    assert (
        Modalities(labels).kinds
        == Modalities(gaps).kinds
        == {
            "c": "numeric",
            "label": "categorical",
        }
    )


def test_columns_of_polars_are_selected_by_name():
    table = _polars().with_columns(_polars("xyz", seed=1).drop("id"))
    by_name = {"a": ["a", "b", "c"], "b": ["x", "y", "z"]}
    model = CCA(1, modalities=by_name).fit(table)
    assert list(model.feature_names_in_) == table.columns
    expected = CCA(1).fit({"a": _frame(), "b": _frame("xyz", seed=1)})
    np.testing.assert_allclose(model.eigenvalues_, expected.eigenvalues_)
    with pytest.raises(ValueError, match="same order"):
        model.transform(table.select(table.columns[::-1]))
    X = Modalities.from_frame(table, by_name, index="id")
    assert list(X.index) == NAMES
    assert list(X["b"]) == list("xyz")
    filled = model.impute(table)
    assert isinstance(filled, pl.DataFrame)
    assert filled.columns == table.columns
    assert filled.equals(table)
    inverse = model.inverse_transform(model.transform(table))
    assert inverse.columns == table.columns


def test_pairs_of_polars_come_back_as_they_were():
    x, y = _polars().drop("id"), _polars("xyz", seed=1).drop("id")
    model = CCA(1).fit(x, y)
    for filled, given in zip(model.impute(x, y), (x, y), strict=True):
        assert filled.equals(given)
    with pytest.raises(ValueError, match="same order"):
        model.transform(x.select(["c", "b", "a"]))
    assert list(model.translate(x, "y")) == list("xyz")


def test_column_transformers_find_columns_of_polars():
    table = pl.DataFrame({"age": Z[:, 0], "sex": ["m", "f"] * (N // 2)})
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["sex"]), remainder="passthrough"
    )
    found = PerModality({"t": encode}).fit_transform({"t": table})["t"]
    assert_array_equal(found, np.c_[np.arange(N) % 2 == 1, np.arange(N) % 2 == 0, Z[:, 0]])


# Joining


def test_polars_are_joined_on_a_column():
    X = Modalities.join(
        {"a": _polars()[:30], "b": _polars("xyz", seed=1)[20:]}, index="id", kinds={"b": "numeric"}
    )
    in_pandas = Modalities.join({"a": _frame("abc", NAMES)[:30], "b": _frame("xyz", NAMES, 1)[20:]})
    assert_frame_equal(X.to_frame(), in_pandas.to_frame(), check_names=False)
    assert X.kinds == {"a": "numeric", "b": "numeric"}
    joined = ConcatModalities().set_output(transform="polars").fit_transform(X)
    assert joined["id"].to_list() == NAMES
    by_row = Modalities.join({"a": _polars().drop("id"), "b": _polars("xyz")[:30].drop("id")})
    assert list(by_row.missing["b"]) == [False] * 30 + [True] * 10
    with pytest.raises(ValueError, match="'b' has no column 'id'"):
        Modalities.join({"a": _polars(), "b": _polars("xyz").drop("id")}, index="id")


def test_join_takes_kinds():
    counts = pd.DataFrame({"n": [1.0, 2.0]}, index=["s", "t"])
    X = Modalities.join({"a": counts, "b": counts}, kinds={"b": "count"})
    assert X.kinds == {"a": "numeric", "b": "count"}
    with pytest.raises(ValueError, match="kinds= names unknown modalities"):
        Modalities.join({"a": counts}, kinds={"b": "count"})


@pytest.mark.parametrize("how", ["outer", "left", "inner"])
def test_join_refuses_labels_that_differ_by_type(how):
    numbers, strings = _frame("abc", range(100, 140)), _frame("xyz", map(str, range(100, 140)))
    for frames in ({"a": numbers, "b": strings}, {"a": strings, "b": numbers}):
        with pytest.raises(ValueError, match=r"by type only.*astype\(str\)"):
            Modalities.join(frames, how=how)


@pytest.mark.parametrize("how", ["outer", "left"])
@pytest.mark.parametrize(
    "other",
    [
        [f"Q{i}" for i in range(N)],
        range(100, 140),
        pd.date_range("2020", periods=N),
        pd.MultiIndex.from_product([["l"], NAMES]),
    ],
    ids=["strings", "numbers", "dates", "two levels"],
)
def test_join_warns_where_nothing_is_shared(how, other):
    frames = {"a": _frame("abc", NAMES), "b": _frame("xyz", other)}
    with pytest.warns(IndexMismatchWarning, match="'b'.* share no sample with") as caught:
        X = Modalities.join(frames, how=how)
    assert len(caught) == 1
    assert len(X) == (2 * N if how == "outer" else N)
    with pytest.raises(ValueError, match="share no sample"):
        Modalities.join(frames, how="inner")


def test_join_warns_of_the_one_that_shares_nothing():
    frames = {"a": _frame("abc", NAMES)[:30], "b": _frame("xyz", NAMES)[20:], "c": _frame("uvw")}
    with pytest.warns(IndexMismatchWarning, match=r"\['c'\] share no sample with any other"):
        Modalities.join(frames)
    del frames["c"]
    Modalities.join(frames)


# Rows that do not correspond

OTHER = {
    "other labels": [f"Q{i}" for i in range(N)],
    "labels of another type": range(N, 2 * N),
    "partly the same": [*NAMES[1:], "new"],
    "another order": NAMES[::-1],
    "repeated, another order": None,
    "another number of levels": pd.MultiIndex.from_product([["l"], NAMES]),
}


def _pair(what):
    if what == "repeated, another order":
        twice = NAMES[: N // 2] * 2
        return _frame("abc", twice), _frame("xyz", twice[::-1])
    return _frame("abc", NAMES), _frame("xyz", OTHER[what])


@pytest.mark.parametrize("what", OTHER)
def test_modalities_of_other_rows_are_refused(what):
    a, b = _pair(what)
    for frames in ({"a": a, "b": b}, {"b": b, "c": Z, "a": a}, {"a": a, "b": b["x"]}):
        with pytest.raises(ValueError, match=r"'a' and 'b' have|'b' and 'a' have") as caught:
            Modalities(frames)
        assert "Modalities.join" in str(caught.value)


def test_which_labels_differ_is_said():
    a, b = _pair("partly the same")
    with pytest.raises(ValueError, match="39 of 40 labels are in both"):
        Modalities({"a": a, "b": b})
    numbers = {"a": _frame("abc", range(100, 140)), "b": _frame("xyz", map(str, range(100, 140)))}
    with pytest.raises(ValueError, match=r"by type only: \[100, 101, 102, ...\] \(integer\)"):
        Modalities(numbers)


@pytest.mark.parametrize(
    ("first", "second"),
    [(NAMES, NAMES), (NAMES[:20] * 2, NAMES[:20] * 2), (None, NAMES), (NAMES, None), (None, ORDER)],
    ids=["equal", "equal duplicates", "default first", "default second", "default and numbers"],
)
def test_rows_that_correspond_pass(first, second):
    a, b = _frame("abc", first), _frame("xyz", second)
    expected = CCA(1).fit(a.to_numpy(), b.to_numpy()).eigenvalues_
    np.testing.assert_allclose(CCA(1).fit({"a": a, "b": b}).eigenvalues_, expected)
    np.testing.assert_allclose(CCA(1).fit(a, b).eigenvalues_, expected)
    CCA(1).fit(a, b.to_numpy())
    CCA(1).fit(a.to_numpy(), b)


def test_missing_of_other_rows_is_refused():
    X = _named()
    Modalities(X, missing=X.missing)
    with pytest.raises(ValueError, match="missing= have the same index in another order"):
        Modalities(X, missing=X.missing[::-1])
    with pytest.raises(ValueError, match="missing= have"):
        Modalities(X, missing={"a": X.missing["a"][::-1]})


@pytest.mark.parametrize("names_of", ["X", "y"])
def test_what_folds_leave_of_a_default_index_names_nobody(names_of):
    x, y = _frame("abc"), _frame("xyz", seed=1)
    cv = KFold(3, shuffle=True, random_state=0)
    expected = cross_val_score(CCA(1), x.to_numpy(), y.to_numpy(), cv=cv)
    named = (x.set_axis(NAMES), y) if names_of == "X" else (x, y.set_axis(NAMES))
    np.testing.assert_allclose(cross_val_score(CCA(1), *named, cv=cv), expected)


# What goes with X

LABELS = pd.Series((Z[:, 0] > 0).astype(int), index=NAMES)
ONES = pd.Series(1.0, index=NAMES)


@pytest.mark.parametrize("model", [MultimodalClassifier, MultimodalRegressor])
def test_labels_and_weights_of_other_rows_warn_once(model):
    model = model(max_epochs=1, early_stopping=False, random_state=0)
    X = _named()
    cross_val_score(model, X, LABELS.reset_index(drop=True), cv=2)
    model.fit(X, LABELS, sample_weight=ONES).score(X, LABELS, sample_weight=ONES)
    for method in ("fit", "score"):
        with pytest.warns(IndexMismatchWarning, match=r"\['y', 'sample_weight'\] and X") as caught:
            getattr(model, method)(X, LABELS[::-1], sample_weight=ONES[::-1])
        assert len(caught) == 1
    with pytest.warns(IndexMismatchWarning, match=r"\['y'\] and X"):
        model.fit(X, LABELS.set_axis([f"Q{i}" for i in range(N)]))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_weights_of_other_rows_warn(method):
    model = CCA(1).fit(_named())
    getattr(model, method)(_named(), sample_weight=ONES)
    with pytest.warns(IndexMismatchWarning, match="sample_weight"):
        getattr(model, method)(_named(), sample_weight=ONES[::-1])


def test_labels_of_other_rows_warn_in_a_pipeline_and_elsewhere():
    X, other = _named(), LABELS[::-1]
    model = MultimodalClassifier(max_epochs=1, early_stopping=False, random_state=0).fit(X, LABELS)
    confounds = ONES[::-1].to_frame()
    calls = (
        lambda: PerModality({"a": SelectKBest(k=1)}).fit(X, other),
        lambda: Task("a task", X, other, kind="classify"),
        lambda: permutation_test(CCA(1), X, n_permutations=3, groups=other, random_state=0),
        lambda: wilks_test(CCA(1), X.select(["a", "c"]), confounds=confounds),
        lambda: coverage_per_group(ONES, np.ones((19, N)), other),
        lambda: modality_importance(model, X, other, n_repeats=2, random_state=0),
    )
    for call in calls:
        with pytest.warns(IndexMismatchWarning) as caught:
            call()
        assert len(caught) == 1


def test_permutation_test_score_runs():
    model = MultimodalClassifier(max_epochs=1, early_stopping=False, random_state=0)
    with pytest.warns(IndexMismatchWarning):
        _, permuted, _ = permutation_test_score(
            model, _named(), LABELS, n_permutations=2, cv=2, random_state=0
        )
    assert permuted.shape == (2,)
    x, y = _frame("abc", NAMES), _frame("xyz", NAMES, 1)
    with pytest.raises(ValueError, match=r"'X' and 'y' have.*Modalities\.join"):
        permutation_test_score(CCA(1), x, y, n_permutations=2, cv=2, random_state=0)
    of_arrays = permutation_test_score(
        CCA(1), x, y.to_numpy(), n_permutations=2, cv=2, random_state=0
    )
    assert of_arrays[0] > of_arrays[1].max()


# Containers change no number


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize(
    "model",
    [
        CCA("auto", random_state=0),
        DeepCCA(1, objective="gcca", hidden_layer_sizes=(4,), max_epochs=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:.* validation rows are too few:UserWarning")
def test_what_computes_with_results_does_not_see_the_container(model, container):
    frames = {"a": _polars(), "b": _polars("xyz", seed=1), "c": Z}
    X, scorers = Modalities(frames, index="id"), ("total_correlation", "foscttm")
    X = X.select(["a", "b"])
    plain = clone(model).fit(X)
    with config_context(transform_output=container):
        by_default = clone(model).fit(X)
        assert by_default.score(X) == plain.score(X)
    told = clone(model).set_output(transform=container).fit(X)
    for name in scorers:
        assert get_scorer(name)(told, X) == get_scorer(name)(plain, X)
    if isinstance(model, CCA):
        assert told.n_components_ == plain.n_components_
        assert_frame_equal(variance_explained(told, X), variance_explained(plain, X))
        recovery = get_scorer("cross_reconstruction")
        assert recovery(told, X) == recovery(plain, X)


def test_declared_ids_keep_their_levels_and_stand_over_those_before():
    levels = pd.MultiIndex.from_arrays([list("aabb"), [1, 2, 1, 2]], names=["patient", "visit"])
    X = Modalities({"a": np.zeros((4, 2))}, index=levels)
    assert_index_equal(X.index, levels)
    assert list(Modalities(X, index=list("wxyz")).index) == list("wxyz")
