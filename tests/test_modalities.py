"""The container: what it stores, how it slices, what counts as missing."""

from __future__ import annotations

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, indexable, resample, shuffle
from sklearn.utils.validation import _num_samples, check_consistent_length

from skmm import Modalities

N = 6
INDEX = [f"s{i}" for i in range(N)]


@pytest.fixture
def parts():
    """One value of every type."""
    rng = np.random.default_rng(0)
    return {
        "numeric": rng.normal(size=(N, 3)),
        "single": rng.normal(size=(N, 2)).astype(np.float32),
        "image": rng.normal(size=(N, 2, 3, 4)),
        "photo": rng.integers(256, size=(N, 1, 2, 2), dtype=np.uint8),
        "tokens": rng.integers(1, 9, size=(N, 5)),
        "flags": rng.random((N, 2)) < 0.5,
        "label": rng.integers(1, 4, size=N),
        "text": np.array(["red fox", "a", "b", "c", "d", "e"]),
        "objects": np.array(["x", "y", "z", "u", "v", "w"], dtype=object),
        "counts": sp.random(N, 7, density=0.8, random_state=0, format="csr"),
        "frame": pd.DataFrame({"u": rng.normal(size=N), "n": range(1, N + 1)}, index=INDEX),
        "series": pd.Series([f"w{i}" for i in range(N)], index=INDEX, name="word"),
        "category": pd.Series(list("abcabc"), index=INDEX, dtype="category"),
    }


@pytest.fixture
def X(parts):
    return Modalities(parts, kinds={"tokens": "tokens"})


def _dense(value):
    return value.toarray() if sp.issparse(value) else np.asarray(value)


def _assert_same(a, b):
    """Equal values, NaN and None in the same places (NaN objects differ for NumPy)."""
    a, b = _dense(a), _dense(b)
    assert a.dtype == b.dtype
    assert_array_equal(pd.isna(a), pd.isna(b))
    assert_array_equal(a[~pd.isna(a)], b[~pd.isna(b)])


# What it is


def test_behaves_as_a_dict_but_counts_samples(X, parts):
    assert X.names == tuple(parts) == tuple(X.keys())
    assert X.shape == (N, len(parts))
    assert len(X) == N
    assert "text" in X
    assert "sound" not in X
    assert list(dict(X)) == list(parts)
    for (name, value), other in zip(X.items(), X.values(), strict=True):
        assert_array_equal(_dense(value), _dense(parts[name]))
        assert_array_equal(_dense(value), _dense(other))


def test_does_not_iterate(X):
    with pytest.raises(TypeError, match="not iterable"):
        list(X)


def test_is_no_array(X):
    with pytest.raises(TypeError, match=r"ConcatModalities.*PerModality"):
        np.asarray(X)


def test_keeps_types_without_copying(parts, X):
    for name in ("numeric", "image", "tokens", "text"):
        assert np.shares_memory(X[name], parts[name])
    assert isinstance(X["frame"], pd.DataFrame)
    assert isinstance(X["series"], pd.Series)
    assert sp.issparse(X["counts"])
    assert X["counts"].format == "csr"


@pytest.mark.parametrize("fmt", ["coo", "csc", "lil", "dok"])
def test_sparse_becomes_csr(fmt):
    matrix = sp.random(4, 3, density=0.5, random_state=0, format=fmt)
    stored = Modalities({"a": matrix})["a"]
    assert stored.format == "csr"
    assert_array_equal(stored.toarray(), matrix.toarray())


def test_is_immutable(X, parts):
    with pytest.raises(ValueError, match="read-only"):
        X["numeric"][0] = 0
    with pytest.raises(ValueError, match="read-only"):
        X._mask[0, 0] = True
    with pytest.raises(AttributeError):
        X.names = ()
    with pytest.raises(TypeError):
        X["new"] = 1
    frame, missing = X["frame"], X.missing
    frame["z"] = 0
    missing.iloc[0, 0] = True
    X.kinds["numeric"] = "count"
    assert list(X["frame"].columns) == ["u", "n"]
    assert not X.missing.iloc[0, 0]
    assert X.kinds["numeric"] == "numeric"
    assert parts["numeric"].flags.writeable, "the caller's array stays as it was"


def test_copies_of_modalities_keep_mask_and_kinds(X):
    Y = Modalities(X.with_missing("tokens", [1]))
    assert Y.kinds == X.kinds
    assert_array_equal(Y.missing["tokens"], np.arange(N) == 1)


def test_repr():
    X = Modalities({"<a>": np.eye(3), "b": [1.0, np.nan, 2.0]})
    assert repr(X) == (
        "Modalities of 3 samples\n"
        "  <a>  (3, 3)  float64  numeric   0.0% missing\n"
        "  b    (3,)    float64  numeric  33.3% missing"
    )
    html = X._repr_html_()
    assert "&lt;a&gt;" in html
    assert "33.3%" in html
    assert html.count("<tr>") == 3
    assert "(0, 3)" in repr(X[:0])


# Rows

ROWS = {
    "list": [3, 0, 3],
    "negative": np.array([-1, 2]),
    "mask": np.arange(N) % 2 == 0,
    "list of bool": [True] * 2 + [False] * (N - 2),
    "slice": slice(1, 5, 2),
    "reversed": slice(None, None, -1),
    "empty": [],
    "series": pd.Series([5, 1]),
    "index": pd.Index([2, 4]),
    "unsigned": np.array([1, 2], dtype=np.uint8),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("ellipsis", [False, True])
def test_slices_every_type(X, parts, rows, ellipsis):
    X = X.with_missing(["text", "image"], [0, 3])
    key = ROWS[rows]
    sliced = X[key, ...] if ellipsis else X[key]
    at = np.arange(N)[key if isinstance(key, slice) or len(key) else slice(0)]
    assert len(sliced) == len(at)
    assert sliced.kinds == X.kinds
    assert_array_equal(sliced.missing, X.missing.iloc[at])
    for name in parts:
        assert type(sliced[name]) is type(X[name])
        _assert_same(sliced[name], _dense(X[name])[at])
    assert list(sliced["frame"].index) == [INDEX[i] for i in at]


@pytest.mark.parametrize("key", [0, np.int64(1), 1.5, None, [0.5], ["text"], [[0, 1]], (0, 1)])
def test_refuses_what_selects_no_rows(X, key):
    with pytest.raises(TypeError, match="Rows are selected by"):
        X[key]


def test_refuses_wrong_lengths_and_names(X):
    with pytest.raises(IndexError, match="3 entries for 6 samples"):
        X[np.ones(3, dtype=bool)]
    with pytest.raises(IndexError):
        X[[N]]
    with pytest.raises(KeyError, match="no modality 'sound'"):
        X["sound"]


def test_a_slice_is_a_view(parts, X):
    assert np.shares_memory(X[1:3]["image"], parts["image"])


def test_scikit_learn_slices_it(X):
    assert _num_samples(X) == N
    check_consistent_length(X, np.zeros(N))
    assert indexable(X)[0] is X
    for rows in ([1, 0], np.array([1, 0]), np.array([False, True] * 3), slice(2, 4)):
        assert_array_equal(_safe_indexing(X, rows)["label"], _safe_indexing(X["label"], rows))
    train, test, row, other = train_test_split(X, np.arange(N), test_size=2, random_state=1)
    assert_array_equal(train["numeric"], X["numeric"][row])
    assert_array_equal(test["label"], X["label"][other])
    for tool in (shuffle, resample):
        Y, row = tool(X, np.arange(N), random_state=0)
        assert_array_equal(Y["tokens"], X["tokens"][row])


def test_select_and_order(X):
    Y = X.with_missing("text", [0]).select(["text", "numeric"])
    assert Y.names == ("text", "numeric")
    assert_array_equal(Y._mask[:, 0], np.arange(N) == 0)
    assert X.select("text").names == ("text",)
    for names in (["sound"], [], ["text", "text"]):
        with pytest.raises(ValueError, match="distinct names"):
            X.select(names)


# Missing


def test_missing_is_read_from_the_data():
    X = Modalities(
        {
            "whole": np.array([[np.nan, np.nan], [1, 2], [np.nan, 3]]),
            "deep": np.stack([np.full((2, 2, 2), np.nan), np.zeros((2, 2, 2)), np.ones((2, 2, 2))]),
            "zeros": np.zeros((3, 2)),
            "none": np.array(["a", None, np.nan], dtype=object),
            "frame": pd.DataFrame({"a": [None, "x", None], "b": [None, None, 1.0]}),
            "series": pd.Series([1.0, None, 3.0]),
            "sparse": sp.csr_matrix([[np.nan, np.nan], [0, np.nan], [0, 0]]),
            "empty text": ["", "", ""],
        }
    )
    assert_frame_equal(
        X.missing,
        pd.DataFrame(
            {
                "whole": [True, False, False],
                "deep": [True, False, False],
                "zeros": [False] * 3,
                "none": [False, True, True],
                "frame": [True, False, False],
                "series": [False, True, False],
                "sparse": [True, False, False],
                "empty text": [False] * 3,
            }
        ),
    )


@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, object])
def test_missing_rows_agree_with_numpy(order, dtype):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(50, 4))
    a[rng.random((50, 4)) < 0.6] = np.nan
    a = {"C": a, "F": np.asfortranarray(a), "strided": np.repeat(a, 2, axis=1)[:, ::2]}[order]
    a = a.astype(dtype, order="K") if order != "strided" else a
    expected = np.isnan(a.astype(float)).all(axis=1)
    assert 0 < expected.sum() < 50
    assert_array_equal(Modalities({"a": a}).missing["a"], expected)


MASK = np.arange(N) == 2


@pytest.mark.parametrize("how", ["dict", "frame", "array"])
def test_missing_is_declared(parts, how):
    names = list(parts)
    full = np.zeros((N, len(names)), dtype=bool)
    full[2, names.index("label")] = True
    missing = {
        "dict": {"label": MASK},
        "frame": pd.DataFrame(full, columns=names)[names[::-1]],
        "array": full,
    }[how]
    X = Modalities(parts, missing=missing)
    assert_array_equal(X.missing, full)


def test_what_is_missing_cannot_leak(parts):
    before = copy.deepcopy(parts)
    X = Modalities(parts, missing=dict.fromkeys(parts, MASK))
    Y = Modalities(parts).with_missing(list(parts), [2])
    for Z in (X, Y):
        for name in ("numeric", "single", "image"):
            assert np.isnan(Z[name][2]).all()
        for name in ("photo", "tokens", "flags", "label", "counts"):
            assert not _dense(Z[name])[2].any()
        assert Z["text"][2] == ""
        assert Z["objects"][2] is None
        for name in ("series", "category"):
            assert pd.isna(Z[name].iloc[2])
        assert np.isnan(Z["frame"]["u"].iloc[2])
        assert Z["frame"]["n"].iloc[2] == 0
        for name, value in parts.items():
            _assert_same(_dense(Z[name])[~MASK], _dense(value)[~MASK])
            _assert_same(value, before[name])  # the input is not modified
    assert_series_equal(X["series"][~MASK], parts["series"][~MASK])


def test_nothing_is_copied_when_nothing_is_hidden():
    a = np.ones((4, 2))
    a[1] = np.nan
    X = Modalities({"a": a}, missing={"a": [False, True, False, False]})
    assert np.shares_memory(X["a"], a)


def test_with_missing_takes_rows_of_every_sort(X):
    assert X.with_missing("text").missing["text"].all()
    for rows in ([1, 4], np.array([1, -2]), np.isin(np.arange(N), [1, 4]), slice(1, 5, 3)):
        assert_array_equal(
            X.with_missing("text", rows).missing["text"], np.isin(np.arange(N), [1, 4])
        )
    assert not X.missing.any(axis=None)
    with pytest.raises(ValueError, match="distinct names"):
        X.with_missing("sound")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"sound": MASK}, "unknown modalities"),
        ({"label": [True]}, r"boolean of shape \(6,\)"),
        ({"label": np.zeros(N)}, "boolean"),
        (np.zeros((N, 2), dtype=bool), r"of shape \(6, 13\)"),
        (pd.DataFrame({"sound": MASK}), "unknown modalities"),
    ],
)
def test_refuses_masks_that_do_not_fit(parts, missing, message):
    with pytest.raises(ValueError, match=message):
        Modalities(parts, missing=missing)


# Kinds


def test_kinds_follow_dtype_and_rank(X):
    assert X.kinds == {
        "numeric": "numeric",
        "single": "numeric",
        "image": "image",
        "photo": "image",
        "tokens": "tokens",
        "flags": "binary",
        "label": "categorical",
        "text": "categorical",
        "objects": "categorical",
        "counts": "numeric",
        "frame": "numeric",
        "series": "categorical",
        "category": "categorical",
    }


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([True, False], "categorical"),
        ([1, 2], "categorical"),
        ([1.0, 2.0], "numeric"),
        ([[1], [2]], "numeric"),
        ([[True], [False]], "binary"),
        (np.array([1.5, None], dtype=object), "numeric"),
        (np.array([[1, 2.5], [3, 4]], dtype=object), "numeric"),
        (np.array(["1", "2"], dtype=object), "categorical"),
        (np.array([b"a", b"b"]), "categorical"),
        (pd.Series([1, None], dtype="Int64"), "categorical"),
        (pd.Series([1.5, None], dtype="Float64"), "numeric"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "categorical"),
        (pd.DataFrame({"a": [True, False], "b": [True, True]}), "binary"),
        (pd.DataFrame({"a": [1, 2], "b": pd.Series([1, None], dtype=object)}), "numeric"),
        (np.zeros((2, 3, 4)), "numeric"),
        (np.zeros((2, 1, 3, 4), dtype=np.uint8), "image"),
    ],
)
def test_default_kind(value, kind):
    assert Modalities({"a": value}).kinds["a"] == kind


GOOD_KINDS = [
    ([[0, 1], [1, 0]], "binary"),
    ([[0.0, np.nan], [1, 0]], "binary"),
    ([True, False], "binary"),
    ([[3, 0], [1, 2]], "count"),
    ([[3.0, 0], [1, np.nan]], "count"),
    (sp.csr_matrix([[0, 2], [1, 0]]), "count"),
    ([1, 2], "numeric"),
    ([[1], [2]], "categorical"),
    ([1.0, 2.0], "categorical"),
    ([[3, 0], [1, 2]], "tokens"),
    (np.zeros((2, 1, 3, 3), dtype=bool), "image"),
    (np.zeros((2, 1, 3, 3)), "numeric"),
    (pd.DataFrame({"a": [0, 1], "b": [1, 1]}), "binary"),
]


@pytest.mark.parametrize(("value", "kind"), GOOD_KINDS)
def test_kinds_that_suit(value, kind):
    assert Modalities({"a": value}, kinds={"a": kind}).kinds["a"] == kind


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ([[0, 2]], "binary", "0 or 1"),
        ([[0, np.inf]], "binary", "0 or 1"),
        ([[0.5]], "count", "non-negative whole"),
        ([[-1]], "count", "non-negative whole"),
        ([[-1]], "tokens", "non-negative whole"),
        ([[1.0]], "tokens", "2-D integers"),
        ([1, 2], "tokens", "2-D integers"),
        (np.zeros((2, 3, 3)), "image", "N x C x H x W"),
        ([[1, 2]], "categorical", "1-D or in one column"),
        (["a"], "numeric", "holds no numbers"),
        ([1], "nominal", "valid: .*'numeric'"),
    ],
)
def test_kinds_that_do_not_suit(value, kind, message):
    with pytest.raises(ValueError, match=f"(?s)'a'.*{message}"):
        Modalities({"a": value}, kinds={"a": kind})


def test_kinds_look_at_observed_rows_only():
    X = Modalities({"a": [[-1, -1], [0, 1]]}, kinds={"a": "binary"}, missing={"a": [True, False]})
    assert X.kinds == {"a": "binary"}


def test_a_fold_cannot_change_kinds():
    X = Modalities({"a": np.array([["x", 1.0], [2.0, 3.0]], dtype=object)})
    assert X.kinds == X[[1]].kinds == {"a": "categorical"}


# What it refuses


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        ({}, ValueError, "at least one"),
        (np.eye(2), TypeError, "takes a dict"),
        (pd.DataFrame({"a": [1]}), TypeError, "from_frame"),
        ({1: np.eye(2)}, TypeError, "non-empty strings, got 1"),
        ({"": np.eye(2)}, TypeError, "non-empty strings"),
        ({"a": np.eye(2), "b": np.eye(3)}, ValueError, r"rows\): {'a': 2, 'b': 3}"),
        ({"a": np.empty((3, 0))}, ValueError, "'a' is empty"),
        ({"a": 3.0}, TypeError, "'a' is a float"),
        ({"a": np.array(3.0)}, ValueError, "'a' is a scalar"),
        ({"a": "text"}, TypeError, "'a' is a str"),
        ({"a": [[1, 2], [3]]}, ValueError, "'a' cannot be made an array"),
        ({"a": np.eye(2) * 1j}, ValueError, "Complex data not supported"),
        ({"a": np.ma.masked_array([1.0, 2.0])}, TypeError, "masked array"),
        ({"a": np.array(["2020-01-01"], dtype="M8[D]")}, TypeError, "datetime64"),
        ({"a": pd.DataFrame([[1]], columns=[["x"], ["y"]])}, ValueError, "column levels"),
    ],
)
def test_refuses(mapping, error, message):
    with pytest.raises(error, match=message):
        Modalities(mapping)


def test_refuses_the_same_index_in_another_order():
    a = pd.DataFrame({"x": [1.0, 2.0]}, index=["s1", "s2"])
    with pytest.raises(ValueError, match=r"another order.*Modalities\.join"):
        Modalities({"a": a, "b": a[::-1]})
    assert len(Modalities({"a": a, "b": a.reset_index(drop=True)})) == 2


def test_refuses_unknown_kinds():
    with pytest.raises(ValueError, match="kinds= names unknown modalities"):
        Modalities({"a": np.eye(2)}, kinds={"b": "numeric"})


# DataFrames


def _frames():
    rna = pd.DataFrame({"g1": [1, 2, 3], "g2": [4, 5, 6]}, index=["p2", "p1", "p3"])
    protein = pd.DataFrame({"c": ["x", "y"]}, index=["p4", "p1"])
    return {"rna": rna, "protein": protein, "age": pd.Series([0.5, 0.7], index=["p1", "p3"])}


@pytest.mark.parametrize(
    ("how", "expected"),
    [("outer", ["p2", "p1", "p3", "p4"]), ("inner", ["p1"]), ("left", ["p2", "p1", "p3"])],
)
def test_join(how, expected):
    frames = _frames()
    X = Modalities.join(frames, how=how)
    assert list(X.missing.index) == expected
    for name, frame in frames.items():
        assert list(X[name].index) == expected
        here = [label for label in expected if label in frame.index]
        assert_array_equal(X.missing[name], [label not in frame.index for label in expected])
        assert_array_equal(X[name].loc[here], frame.loc[here])
    assert (X["rna"].dtypes == "int64").all(), "absent rows must not make integers floats"


def test_join_refuses():
    frames = _frames()
    with pytest.raises(ValueError, match="valid: 'outer', 'inner', 'left'"):
        Modalities.join(frames, how="cross")
    with pytest.raises(TypeError, match="'a' is a ndarray"):
        Modalities.join({"a": np.eye(2)})
    with pytest.raises(ValueError, match="'rna' has duplicates"):
        Modalities.join({"rna": frames["rna"].iloc[[0, 0]]})
    with pytest.raises(ValueError, match="share no sample"):
        Modalities.join({"a": frames["rna"].iloc[[0]], "b": frames["protein"]}, how="inner")


def test_frame_round_trip():
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("b", 0), ("a", "y")])
    df = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=columns, index=["s", "t"])
    X = Modalities.from_frame(df)
    assert X.names == ("a", "b")
    assert_frame_equal(X["a"], df["a"])
    assert_frame_equal(X.to_frame(), df[["a", "b"]])
    assert Modalities.from_frame(df, ["b"]).names == ("b",)
    assert_frame_equal(Modalities.from_frame(X.to_frame()).to_frame(), X.to_frame())


def test_to_frame_shows_what_is_missing(X):
    X = X.select([n for n in X.names if n != "counts"])
    holes = X.with_missing(list(X.names), [2]).to_frame()
    assert holes.iloc[2].isna().all()
    assert not holes.drop(index="s2").isna().any(axis=None)
    assert holes["image"].shape == (N, 24)
    assert list(holes.index) == INDEX
    assert_array_equal(holes["tokens"].drop(index="s2"), np.delete(X["tokens"], 2, axis=0))
    assert_frame_equal(X.to_frame()["frame"], X["frame"], check_column_type=False)


def test_to_frame_refuses_sparse(X):
    with pytest.raises(TypeError, match="'counts' is sparse"):
        X.to_frame()


def test_from_flat_frame():
    df = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
    X = Modalities.from_frame(df, {"left": slice("a", "b"), "right": "c"})
    assert X["left"].shape == (3, 2)
    assert X["right"].shape == (3, 1)


@pytest.mark.parametrize(
    ("df", "modalities", "error", "message"),
    [
        (np.eye(2), None, TypeError, "Expected a DataFrame"),
        (pd.DataFrame(np.eye(2)), None, ValueError, "two column levels"),
        (pd.DataFrame([[1]], columns=[["a"], ["b"], ["c"]]), None, ValueError, "two column levels"),
        (pd.DataFrame([[1]], columns=[["a"], ["b"]]), ["z"], ValueError, "Unknown modality 'z'"),
    ],
)
def test_from_frame_refuses(df, modalities, error, message):
    with pytest.raises(error, match=message):
        Modalities.from_frame(df, modalities)


# Copies


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda X: pickle.loads(pickle.dumps(X))])
def test_copies(X, how):
    X = X.with_missing(["tokens", "series"], [3])
    Y = how(X)
    assert Y.names == X.names
    assert Y.kinds == X.kinds
    assert_frame_equal(Y.missing, X.missing)
    for name in X.names:
        assert type(Y[name]) is type(X[name])
        _assert_same(Y[name], X[name])
    with pytest.raises(ValueError, match="read-only"):
        Y["numeric"][0] = 0
    arrays = [name for name in X.names if name not in ("frame", "series", "category")]
    assert joblib.hash(Y.select(arrays)) == joblib.hash(X.select(arrays))


def test_hash_is_stable_and_tells_apart(X):
    before = joblib.hash(X)
    repr(X)
    assert X.missing.index.is_unique  # pandas caches this in the index
    assert X["frame"].loc["s1", "n"] == X[1:2]["frame"]["n"].iloc[0] == 2
    assert joblib.hash(X) == joblib.hash(copy.copy(X)) == before
    assert joblib.hash(X[[1, 2]]) == joblib.hash(X[[1, 2]])
    others = [
        X.select(X.names[::-1]),
        X.with_missing("tokens", [0]),
        X[::-1],
        Modalities(X, kinds={"tokens": "count"}),
        X.select(X.names[1:]),
    ]
    assert len({before, *map(joblib.hash, others)}) == 1 + len(others)


def test_joblib_dump_reads_back_as_a_memory_map(X, tmp_path):
    X = X.select(["numeric", "image", "tokens"])
    joblib.dump(X, tmp_path / "X.joblib")
    Y = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert_array_equal(Y["image"], X["image"])
    assert_array_equal(Y[1:3]["tokens"], X["tokens"][1:3])
