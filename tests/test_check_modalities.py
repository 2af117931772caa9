"""The one door: four forms in, the same modalities out, and the way back.

What every estimator refuses is in `test_bad_input.py`.
"""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_selector
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from skmm import Modalities
from skmm._modalities import check_modalities

N = 8
RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(size=(N, 3)), RNG.normal(size=(N, 2))
WIDE = np.c_[LEFT, np.zeros(N), RIGHT]
COLUMNS = {"left": slice(0, 3), "right": [4, 5]}
FLAT_NAMES = ["l1", "l2", "l3", "unused", "r1", "r2"]


class Door(TransformerMixin, BaseEstimator):
    """The smallest estimator behind the door."""

    def __init__(self, modalities=None, least=2, options=None):
        self.modalities = modalities
        self.least = least
        self.options = options

    def fit(self, X, y=None):
        self.X_ = self.check(X, y, reset=True, min_modalities=self.least)
        return self

    def transform(self, X, y=None):
        X = self.check(X, reset=False)
        return next(iter(X.values()))[:, :1] * 2

    def check(self, X, y=None, **options):
        return check_modalities(self, X, y, **{"flatten": True, **(self.options or {}), **options})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.least == 2
        return tags


def _two_levels():
    return Modalities({"left": LEFT, "right": RIGHT}).to_frame()


FORMS = {
    "modalities": (Modalities({"left": LEFT, "right": RIGHT}), None),
    "dict": ({"left": LEFT, "right": RIGHT}, None),
    "subset": ({"left": LEFT, "right": RIGHT, "more": RIGHT}, ["left", "right"]),
    "two levels": (_two_levels(), None),
    "columns": (WIDE, COLUMNS),
    "list": (WIDE.tolist(), COLUMNS),
    "flat frame": (
        pd.DataFrame(WIDE, columns=FLAT_NAMES),
        {"left": slice("l1", "l3"), "right": make_column_selector("^r")},
    ),
}


@pytest.fixture(params=list(FORMS))
def form(request):
    return FORMS[request.param]


# The forms


def test_all_forms_are_read_alike(form):
    X, modalities = form
    door = Door(modalities).fit(X, "y is ignored")
    assert door.X_.names == door.modality_names_in_ == ("left", "right")
    assert_array_equal(door.X_["left"], LEFT)
    assert_array_equal(door.X_["right"], RIGHT)
    assert_array_equal(door.check(X, reset=False)["right"], RIGHT)
    assert door._schema.widths == {"left": 3, "right": 2}


@pytest.mark.parametrize(
    ("name", "n_features"),
    [("modalities", 5), ("subset", 5), ("two levels", 5), ("columns", 6), ("flat frame", 6)],
)
def test_n_features_in_and_names(name, n_features):
    X, modalities = FORMS[name]
    door = Door(modalities).fit(X)
    assert door.n_features_in_ == n_features
    assert hasattr(door, "feature_names_in_") == (name == "flat frame")
    other = Door(modalities).fit(X).set_params(modalities=None)
    assert not hasattr(other.fit(FORMS["dict"][0]), "feature_names_in_")


def test_a_plain_array_takes_y_as_second_modality():
    door = Door().fit(LEFT, RIGHT)
    assert door.X_.names == ("X", "y")
    assert_array_equal(door.X_["y"], RIGHT)
    assert door.n_features_in_ == 3
    assert door.check(LEFT, reset=False).names == ("X",)
    assert door.check({"y": RIGHT}, reset=False).names == ("y",)
    assert door.check({"y": RIGHT, "X": LEFT}, reset=False).names == ("X", "y")


def test_a_plain_array_is_one_modality_where_one_is_enough():
    door = Door(least=1).fit(pd.DataFrame(LEFT, columns=list("abc")), RIGHT)
    assert door.X_.names == ("X",)
    assert list(door.feature_names_in_) == list("abc")


@pytest.mark.parametrize("y", [np.arange(N), np.arange(N) % 2 == 0, list(range(N))])
def test_labels_as_second_modality_warn(y):
    with pytest.warns(UserWarning, match=r"were modality names lost\? Use PerModality or modalit"):
        door = Door().fit(LEFT, y)
    assert_array_equal(door.X_["y"][:, 0], np.asarray(y, dtype=float))
    assert door._schema.shapes["y"] == ()


def test_text_as_second_modality_warns_and_fails():
    with (
        pytest.warns(UserWarning, match="names lost"),
        pytest.raises(ValueError, match="could not convert string"),
    ):
        Door().fit(LEFT, list("abcdefgh"))


def test_one_float_column_as_second_modality():
    door = Door().fit(LEFT, RIGHT[:, 0])
    assert door.X_["y"].shape == (N, 1)
    assert door.check({"X": LEFT, "y": RIGHT[:, 0]}, reset=False)["y"].shape == (N, 1)


SELECTORS = [
    ({"left": [0, 1, 2], "right": [-2, -1]}, None),
    ({"left": np.arange(6) < 3, "right": [False] * 4 + [True] * 2}, None),
    ({"left": lambda X: [0, 1, 2], "right": slice(4, None)}, None),
    ({"left": ["l1", "l2", "l3"], "right": slice("r1", "r2")}, FLAT_NAMES),
]


@pytest.mark.parametrize(("selectors", "names"), SELECTORS)
def test_selectors_are_those_of_column_transformer(selectors, names):
    X = WIDE if names is None else pd.DataFrame(WIDE, columns=names)
    door = Door(selectors).fit(X)
    assert_array_equal(door.X_["left"], LEFT)
    assert_array_equal(door.X_["right"], RIGHT)


def test_a_selector_may_be_one_column():
    X = pd.DataFrame(WIDE, columns=FLAT_NAMES)
    assert Door({"a": "l1", "b": 4}).fit(X).X_["b"].shape == (N, 1)


def test_callables_are_asked_in_fit_only():
    frame = pd.DataFrame(WIDE, columns=FLAT_NAMES)
    door = Door({"left": make_column_selector("^l"), "right": make_column_selector("^r")})
    assert pickle.loads(pickle.dumps(door.fit(frame))).check(frame, reset=False).shape == (N, 2)
    door.modalities = {"left": None, "right": None}
    assert_array_equal(door.check(frame, reset=False)["left"], LEFT)


def test_uncovered_columns_are_ignored():
    X = WIDE.copy()
    X[:, 3] = np.inf
    assert_array_equal(Door(COLUMNS).fit(X).X_["right"], RIGHT)


def test_check_estimator():
    """Everything that scikit-learn asks of validation holds behind the door."""
    for result in check_estimator(Door(least=1), on_fail=None, on_skip=None):
        unmet = result["status"] == "failed" or (
            result["status"] == "skipped" and "array_api" not in result["check_name"]
        )
        assert not unmet, (result["check_name"], result["exception"])


# Values


@pytest.mark.parametrize("kind", ["C", "F", "slice", "memmap"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_not_copied(kind, dtype, tmp_path):
    big = RNG.normal(size=(N, 6)).astype(dtype)
    if kind == "F":
        big = np.asfortranarray(big)
    if kind == "memmap":
        joblib.dump(big, tmp_path / "big")
        big = joblib.load(tmp_path / "big", mmap_mode="r")
    a, b = (big[:, :3], big[:, 3:]) if kind == "slice" else (big, big)
    for X, modalities in (({"a": a, "b": b}, None), (big, {"a": slice(0, 3), "b": slice(3, 6)})):
        for value in Door(modalities).fit(X).X_.values():
            assert value.dtype == dtype
            assert np.shares_memory(value, big)
    assert np.shares_memory(Door(least=1).fit(big).X_["X"], big)


def test_a_frame_of_floats_is_not_copied():
    frame = _two_levels()["left"]
    assert np.shares_memory(Door(least=1).fit({"a": frame}).X_["a"], frame.to_numpy())


@pytest.mark.parametrize(
    "value",
    [
        RNG.integers(5, size=(N, 2)),
        RNG.integers(5, size=(N, 2)).astype(np.uint8),
        RNG.random((N, 2)) < 0.5,
        RNG.normal(size=(N, 2)).astype(np.float16),
        RNG.normal(size=(N, 2)).astype(object),
        pd.DataFrame({"a": range(N), "b": [0.5] * N}),
        pd.DataFrame(
            {"a": pd.array(range(N), dtype="Int64"), "b": pd.array([True] * N, "boolean")}
        ),
        RNG.normal(size=(N, 2, 2, 2)),
    ],
)
def test_numbers_become_flat_floats(value):
    out = Door(least=1).fit({"a": value}).X_["a"]
    assert out.dtype == np.float64
    assert_array_equal(out, np.asarray(value, dtype=float).reshape(N, -1))


def test_one_column_of_floats_stays_single_precision():
    out = Door(least=1).fit({"a": LEFT[:, 0].astype(np.float32)}).X_["a"]
    assert out.shape == (N, 1)
    assert out.dtype == np.float32


def test_shapes_are_kept_without_flatten():
    X = Modalities(
        {
            "image": RNG.integers(256, size=(N, 1, 2, 2), dtype=np.uint8),
            "tokens": RNG.integers(9, size=(N, 4)),
            "counts": RNG.integers(9, size=(N, 2)),
            "label": pd.Series(list("abababab"), dtype="category"),
            "word": pd.DataFrame({"w": list("abababab")}),
            "sound": RNG.normal(size=(N, 5, 3)).astype(np.float32),
        },
        kinds={"tokens": "tokens", "counts": "count"},
        missing={"counts": np.arange(N) == 1},
    )
    out = Door(options={"flatten": False}).fit(X).X_
    assert out.kinds == X.kinds
    assert {n: (v.shape, v.dtype.kind) for n, v in out.items()} == {
        "image": ((N, 1, 2, 2), "u"),
        "tokens": ((N, 4), "i"),
        "counts": ((N, 2), "f"),
        "label": ((N,), "O"),
        "word": ((N,), "O"),
        "sound": ((N, 5, 3), "f"),
    }
    assert np.isnan(out["counts"][1]).all()
    assert list(out["label"]) == list("abababab")


def test_missing_rows_are_nan():
    X = Modalities(
        {"a": np.arange(2 * N).reshape(N, 2), "b": RIGHT.copy(), "c": LEFT},
        missing={"a": np.arange(N) == 2, "b": np.arange(N) == 3},
    )
    before = X["b"].copy()
    out = Door().fit(X).X_
    assert_array_equal(np.isnan(out["a"]).all(axis=1), np.arange(N) == 2)
    assert_array_equal(np.isnan(out["b"]).any(axis=1), np.arange(N) == 3)
    assert_array_equal(out.missing, X.missing)
    assert_array_equal(X["b"], before)


def test_whole_nan_rows_are_missing_in_every_form():
    left = LEFT.copy()
    left[4] = np.nan
    wide = np.c_[left, np.zeros(N), RIGHT]
    expected = np.arange(N) == 4
    for X, y, modalities in (
        ({"left": left, "right": RIGHT}, None, None),
        (Modalities({"left": left, "right": RIGHT}).to_frame(), None, None),
        (wide, None, COLUMNS),
        (left, RIGHT, None),
    ):
        door = Door(modalities).fit(X, y)
        assert_array_equal(door.X_._mask[:, 0], expected)
        assert not door.X_._mask[:, 1].any()


def test_infinite_sums_are_no_infinity():
    big = np.full((N, 2), 3e38, dtype=np.float32)
    assert Door(least=1).fit({"a": big, "b": np.full((N, 2), 9e149)}).X_.shape == (N, 2)


# What it refuses

NAN, INF = LEFT.copy(), LEFT.copy()
NAN[1, 0], INF[1, 0] = np.nan, np.inf
GONE = np.full((N, 2), np.nan)
TEXT = np.array(list("abcdefgh"))


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "message"),
    [
        ({"a": LEFT}, None, {}, ValueError, r"at least 2 modalities, got \['a'\].*modalities="),
        (LEFT, None, {}, ValueError, "requires y to be passed, but the target y is None"),
        (LEFT, RIGHT[:5], {}, ValueError, "inconsistent numbers of samples"),
        (np.zeros((N, 2, 2)), RIGHT, {}, ValueError, r"dim 3.*Wrap it: Modalities\("),
        (LEFT[:, 0], RIGHT, {}, ValueError, "Reshape your data"),
        (sp.csr_matrix(LEFT), RIGHT, {}, TypeError, "Sparse data was passed for X"),
        (LEFT + 1j, RIGHT, {}, ValueError, "Complex data not supported"),
        (LEFT[:1], RIGHT[:1], {}, ValueError, r"1 sample\(s\).*minimum of 2"),
        ({"a": LEFT, "b": TEXT}, None, {}, ValueError, "'b' of kind 'categorical'.*OneHotEncoder"),
        ({"a": LEFT, "b": np.arange(N)}, None, {}, ValueError, "'b' of kind 'categorical'.*kinds="),
        (LEFT, INF, {}, ValueError, r"Input y contains infinity"),
        (INF, RIGHT, {}, ValueError, r"Input X contains infinity"),
        ({"a": LEFT, "b": NAN}, None, {}, ValueError, r"'b' contains NaN in 1 rows.*impute"),
        (NAN, RIGHT, {}, ValueError, r"Input X contains NaN in 1 rows"),
        ({"a": NAN, "b": INF}, None, {"allow_partial": True}, ValueError, "'b' contains infinity"),
        (
            Modalities({"a": LEFT, "b": RIGHT}).with_missing(["a", "b"], [0, 3]),
            None,
            {},
            ValueError,
            r"Every modality of \['a', 'b'\] is missing \(NaN\) in 2 rows",
        ),
        (
            Modalities({"a": LEFT, "b": RIGHT}).with_missing("b", [0]),
            None,
            {"allow_missing": False},
            ValueError,
            "cannot take missing modalities, but 'b' is missing .* in 1 rows",
        ),
        (
            {"a": LEFT, "b": pd.DataFrame({"x": TEXT, "y": TEXT})},
            None,
            {"flatten": False},
            ValueError,
            "'b' has labels in 2 columns",
        ),
        (pd.DataFrame([[1.0]] * 3, columns=[["a"], ["b"], ["c"]]), None, {}, ValueError, "two col"),
    ],
)
def test_refuses(X, y, options, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        Door(options=options).fit(X, y)


@pytest.mark.parametrize(
    ("X", "modalities", "message"),
    [
        (FORMS["dict"][0], COLUMNS, "as a dict selects columns of a flat array"),
        (WIDE, ["left", "right"], "names modalities, but X is a flat ndarray"),
        (FORMS["dict"][0], ["left", "sound"], "distinct names out of"),
    ],
)
def test_refuses_modalities_of_the_other_form(X, modalities, message):
    with pytest.raises(ValueError, match=message):
        Door(modalities).fit(X)


def test_compares_columns_with_fit():
    frame = pd.DataFrame(LEFT, columns=list("abc"))
    door = Door(least=1).fit({"a": frame})
    assert door.check({"a": LEFT}, reset=False).shape == (N, 1)
    with pytest.raises(ValueError, match="column names of modality 'a'"):
        door.check({"a": frame[["b", "a", "c"]]}, reset=False)
    flat = Door(COLUMNS).fit(WIDE)
    with pytest.raises(ValueError, match="X has 5 features, but Door is expecting 6"):
        flat.check(WIDE[:, :5], reset=False)


def test_kinds_of_fit_rule():
    X = Modalities({"a": RNG.integers(2, size=(N, 2))}, kinds={"a": "binary"})
    door = Door(least=1).fit(X)
    assert door.check({"a": np.ones((2, 2))}, reset=False).kinds == {"a": "binary"}
    with pytest.raises(ValueError, match="'a' cannot be of kind 'binary'"):
        door.check({"a": np.full((2, 2), 3.0)}, reset=False)


def test_absent_modalities_are_not_in_the_result():
    door = Door().fit(FORMS["modalities"][0])
    assert door.check({"right": RIGHT}, reset=False).names == ("right",)
    assert door.check({"right": RIGHT, "left": LEFT}, reset=False).names == ("left", "right")


def test_empty_rows_where_allowed():
    X = Modalities({"a": LEFT, "b": RIGHT}).with_missing(["a", "b"], [0])
    door = Door(options={"allow_empty_rows": True}).fit(X)
    assert door.X_._mask[0].all()


def test_sparse_where_allowed():
    X = {"a": sp.csr_matrix(np.eye(N, dtype=int)), "b": RIGHT}
    out = Door(options={"accept_sparse": True}).fit(X).X_["a"]
    assert sp.issparse(out)
    assert out.dtype == np.float64
    X["a"] = sp.csr_matrix(np.diag(np.full(N, np.inf)))
    with pytest.raises(ValueError, match="'a' contains infinity"):
        Door(options={"accept_sparse": True}).fit(X)


def test_unfitted():
    with pytest.raises(NotFittedError):
        Door().check(LEFT, reset=False)


# The way back


def _fitted():
    X = {
        "image": RNG.normal(size=(N, 1, 2, 3)),
        "table": pd.DataFrame(RIGHT, columns=["u", "v"]),
        "age": pd.Series(RIGHT[:, 0], name="years"),
    }
    return Door().fit(X)._schema, X


def test_restore_named():
    schema, X = _fitted()
    flat = {name: np.asarray(value).reshape(N, -1) for name, value in X.items()}
    back = schema.restore(flat)
    assert isinstance(back, Modalities)
    assert_array_equal(back["image"], X["image"])
    assert_frame_equal(back["table"], X["table"])
    assert_series_equal(back["age"], X["age"])
    assert schema.restore({"table": flat["table"]}).names == ("table",)


@pytest.mark.parametrize("columns", [None, FLAT_NAMES])
def test_restore_columns(columns):
    X = WIDE if columns is None else pd.DataFrame(WIDE, columns=columns)
    back = Door(COLUMNS).fit(X)._schema.restore({"left": LEFT, "right": RIGHT})
    expected = WIDE.copy()
    expected[:, 3] = np.nan
    assert type(back) is type(X)
    assert_array_equal(back, expected)
    assert columns is None or list(back.columns) == columns


def test_restore_two_levels_in_the_order_of_fit():
    df = _two_levels().iloc[:, [3, 0, 1, 4, 2]]
    door = Door().fit(df)
    parts = {name: np.asarray(df[name]) for name in ("left", "right")}
    assert_frame_equal(door._schema.restore(parts), df)
    assert_frame_equal(door._schema.restore({"left": parts["left"]}), df[["left"]])


def test_restore_x_and_y():
    schema = Door().fit(pd.DataFrame(LEFT, columns=list("abc")), RIGHT[:, 0])._schema
    X, y = schema.restore({"X": LEFT, "y": RIGHT[:, :1]})
    assert list(X.columns) == list("abc")
    assert_array_equal(y, RIGHT[:, 0])
    assert_array_equal(schema.restore({"X": LEFT}), LEFT)


def test_restored_kinds_follow_the_dtype():
    """The mean of 0/1 is a number, not 0/1."""
    bits = np.arange(2 * N).reshape(N, 2) % 2
    schema = Door(least=1).fit(Modalities({"a": bits}, kinds={"a": "binary"}))._schema
    assert schema.restore({"a": bits}).kinds == {"a": "binary"}
    assert schema.restore({"a": bits * 0.5}).kinds == {"a": "numeric"}


PARTS = {"left": np.full((N, 3), 10.0), "right": np.full((N, 2), 20.0)}


def _holes():
    left, right = LEFT.copy(), RIGHT.copy()
    left[1], right[2], left[3, 0] = np.nan, np.nan, np.nan
    full = np.where(np.isnan(left), 10.0, left), np.where(np.isnan(right), 20.0, right)
    return left, right, *full


def test_fill_named():
    left, right, full_left, full_right = _holes()
    schema = Door().fit({"left": LEFT, "right": RIGHT})._schema
    X = Modalities({"left": left, "right": right})
    filled = schema.fill(X, None, PARTS)
    assert_array_equal(filled["left"], full_left)
    assert_array_equal(filled["right"], full_right)
    assert not filled.missing.any(axis=None)
    assert X.missing.to_numpy().sum() == 2
    added = schema.fill({"left": left}, None, PARTS)
    assert_array_equal(added["right"], PARTS["right"])


def test_fill_keeps_dtypes_shapes_and_labels():
    schema, X = _fitted()
    X = Modalities(
        {
            "image": np.ones((N, 1, 2, 3), dtype=np.float32),
            "table": X["table"].set_axis(list(TEXT)),
            "age": X["age"],
        },
        missing={"image": np.arange(N) == 0, "table": np.arange(N) == 1},
    )
    parts = {"image": np.zeros((N, 6)), "table": np.zeros((N, 2)), "age": np.zeros((N, 1))}
    filled = schema.fill(X, None, parts)
    assert filled["image"].dtype == np.float32
    assert_array_equal(filled["image"][:, 0, 0, 0], np.arange(N) > 0)
    assert list(filled["table"].index) == list(TEXT)
    assert_array_equal(filled["table"].iloc[1], [0, 0])
    assert_series_equal(filled["age"], X["age"])


def test_fill_does_not_round_to_integers():
    whole = Modalities({"a": np.arange(2 * N).reshape(N, 2)})
    schema = Door(least=1).fit(whole)._schema
    filled = schema.fill(whole.with_missing("a", [0]), None, {"a": np.full((N, 2), 0.5)})["a"]
    assert_array_equal(filled[0], [0.5, 0.5])
    assert_array_equal(filled[1:], np.arange(2 * N).reshape(N, 2)[1:])


@pytest.mark.parametrize("as_frame", [False, True])
def test_fill_columns(as_frame):
    left, right, full_left, full_right = _holes()
    X = np.c_[left, np.full(N, np.nan), right]
    expected = np.c_[full_left, np.full(N, np.nan), full_right]
    if as_frame:
        X = pd.DataFrame(X, columns=FLAT_NAMES, index=list(TEXT))
        expected = pd.DataFrame(expected, columns=FLAT_NAMES, index=list(TEXT))
    before = X.copy()
    schema = Door(COLUMNS).fit(WIDE)._schema
    filled = schema.fill(X, None, PARTS)
    if as_frame:
        assert_frame_equal(filled, expected)
        assert_frame_equal(X, before)
    else:
        assert_array_equal(filled, expected)
        assert_array_equal(X, before)


def test_fill_two_levels():
    left, right, full_left, full_right = _holes()
    df = Modalities({"left": left, "right": right}).to_frame().iloc[:, [3, 0, 1, 4, 2]]
    schema = Door().fit(_two_levels())._schema
    filled = schema.fill(df, None, PARTS)
    assert_array_equal(filled.columns, df.columns)
    assert_array_equal(filled["left"], full_left)
    assert_array_equal(filled["right"], full_right)
    added = schema.fill(df[["left"]], None, PARTS)
    assert_array_equal(added["right"], PARTS["right"])
    assert_array_equal(added["left"], full_left)


def test_fill_x_and_y():
    left, right, full_left, full_right = _holes()
    schema = Door().fit(LEFT, RIGHT)._schema
    parts = {"X": PARTS["left"], "y": PARTS["right"]}
    X, y = schema.fill(left, right, parts)
    assert_array_equal(X, full_left)
    assert_array_equal(y, full_right)
    assert_array_equal(schema.fill(left, None, parts)[1], PARTS["right"])
    alone = Door(least=1).fit(LEFT)._schema
    assert_array_equal(alone.fill(left, None, {"X": PARTS["left"]}), full_left)


def test_schema_is_pickled(form):
    X, modalities = form
    door = Door(modalities).fit(X)
    back = pickle.loads(pickle.dumps(door))._schema.restore({"left": LEFT, "right": RIGHT})
    again = door._schema.restore({"left": LEFT, "right": RIGHT})
    assert type(back) is type(again)


def test_fill_only_what_is_given():
    left, right, _, full_right = _holes()
    schema = Door(COLUMNS).fit(WIDE)._schema
    filled = schema.fill(np.c_[left, np.zeros(N), right], None, {"right": PARTS["right"]})
    assert_array_equal(filled, np.c_[left, np.zeros(N), full_right])


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_arrays_is_refused_with_the_remedy(kind):
    arrays = kind([np.zeros((5, 2)), np.ones((5, 3))])
    with pytest.raises(TypeError, match=rf"not a {kind.__name__} of 2 arrays: pass Modalities"):
        check_modalities(Door(), arrays, reset=True)
