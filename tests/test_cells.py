"""Cells that are arrays, columns of special dtypes, and objects that are no data."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import clone
from torch.utils.data import DataLoader, TensorDataset

import skmm.io
from skmm import CCA, Modalities, MultimodalAutoencoder, MultimodalClassifier
from skmm.baselines import NeighborsSampler, RidgeSampler
from skmm.compose import PerModality
from skmm.preprocessing import ImageScaler

N = 30
RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((N, 4))
NUMBERS = VECTORS[:, :3] + RNG.standard_normal((N, 3))
IDS = RNG.integers(1, 9, (N, 5))
INDEX = [f"s{i}" for i in range(N)]


def objects(cells):
    return np.fromiter(cells, dtype=object, count=len(cells))


CELLS = {
    "Series of arrays": pd.Series(list(VECTORS)),
    "Series of lists": pd.Series(VECTORS.tolist()),
    "Series of tuples": pd.Series([tuple(row) for row in VECTORS]),
    "array of arrays": objects(VECTORS),
    "column of arrays": objects(VECTORS)[:, None],
    "DataFrame of a column": pd.DataFrame({"a": list(VECTORS)}),
    "Series of tensors": pd.Series(list(torch.from_numpy(VECTORS))),
    "Series of Series": pd.Series([pd.Series(row) for row in VECTORS]),
    "polars, lists": pl.DataFrame({"a": VECTORS.tolist()}),
    "polars, arrays": pl.Series(VECTORS.tolist(), dtype=pl.Array(pl.Float64, 4)),
}


@pytest.mark.parametrize("what", CELLS)
def test_cells_of_one_shape_are_stacked(what):
    X = Modalities({"a": CELLS[what]})
    assert_array_equal(np.asarray(X["a"]), VECTORS)
    assert X.kinds == {"a": "numeric"}
    assert not X.missing.to_numpy().any()


def test_rows_without_a_cell_are_missing():
    vectors = pd.Series(list(VECTORS), index=INDEX)
    vectors.iloc[[2, 5]] = [None, np.full(4, np.nan)]
    ids = objects(list(IDS))
    ids[3] = None
    X = Modalities({"vectors": vectors, "ids": ids}, kinds={"ids": "tokens"})
    assert_array_equal(np.flatnonzero(X.missing["vectors"]), [2, 5])
    assert_array_equal(np.flatnonzero(X.missing["ids"]), [3])
    assert list(X["vectors"].index) == INDEX
    assert X["ids"].dtype == IDS.dtype
    assert_array_equal(np.delete(X["ids"], 3, axis=0), np.delete(IDS, 3, axis=0))


def test_cells_of_images_are_images():
    images = RNG.random((N, 3, 4, 5))
    X = Modalities({"image": pd.Series(list(images), index=INDEX)})
    assert X.kinds == {"image": "image"}
    assert list(X.index) == INDEX
    assert_array_equal(X["image"], images)


@pytest.mark.parametrize(
    "cells",
    [
        [[1] * (1 + i % 3) for i in range(N)],
        [["a", "b"]] * N,
        [[]] * N,
        [[[1, 2], [3]]] * N,
        [{"a": 1}] * N,
        [np.zeros((2 + i % 2, 2)) for i in range(N)],
    ],
)
def test_other_cells_are_left_to_transformers(cells):
    value = Modalities({"a": pd.Series(cells)})["a"]
    assert value.shape == (N,)
    assert all(one is other for one, other in zip(value, cells, strict=True))


def test_ragged_tokens_name_the_tokenizer():
    ragged = pd.Series([[1] * (1 + i % 3) for i in range(N)])
    with pytest.raises(ValueError, match=r"'a' cannot be of kind 'tokens'.*shapes.*Tokenizer"):
        Modalities({"a": ragged}, kinds={"a": "tokens"})


# A column of cells in forms 2 to 4 comes back as one

WIDE = pd.DataFrame({"v": list(VECTORS), "p": NUMBERS[:, 0], "q": NUMBERS[:, 1]})
PAIRS = WIDE.set_axis(pd.MultiIndex.from_tuples([("a", "v"), ("b", "p"), ("b", "q")]), axis=1)
SELECTORS = {"a": ["v"], "b": ["p", "q"]}


@pytest.mark.parametrize(("frame", "modalities"), [(PAIRS, None), (WIDE, SELECTORS)])
def test_frames_with_cells_come_back_with_cells(frame, modalities):
    parts = {"a": VECTORS, "b": NUMBERS[:, :2]}
    model = CCA(1, shrinkage=0.1, modalities=modalities).fit(frame)
    expected = CCA(1, shrinkage=0.1).fit(parts)
    back = model.inverse_transform(model.transform(frame))
    assert back.columns.equals(frame.columns)
    codes = expected.transform(parts)
    np.testing.assert_allclose(np.stack(back.iloc[:, 0]), expected.inverse_transform(codes)["a"])
    holes = frame.copy()
    holes.isetitem(0, pd.Series([None, *VECTORS[1:]]))
    filled = model.impute(holes)
    truth = expected.impute(Modalities(parts, missing={"a": np.arange(N) == 0}))["a"]
    assert filled.columns.equals(frame.columns)
    np.testing.assert_allclose(np.stack(filled.iloc[:, 0]), truth)
    assert_array_equal(filled.iloc[:, 1:], frame.iloc[:, 1:])


def test_frames_of_polars_with_cells_come_back_with_cells():
    model = CCA(1, shrinkage=0.1, modalities=SELECTORS).fit(WIDE)
    frame = pl.DataFrame({"v": VECTORS.tolist(), "p": NUMBERS[:, 0], "q": NUMBERS[:, 1]})
    filled = clone(model).fit(frame).impute(frame[5:].vstack(frame[:5]))
    assert_array_equal(filled["v"].to_list(), np.roll(VECTORS, -5, axis=0))
    holes = frame.with_columns(v=pl.when(pl.int_range(N) > 0).then(pl.col("v")))
    expected = model.impute(WIDE.assign(v=[None, *VECTORS[1:]]))
    np.testing.assert_allclose(model.impute(holes)["v"].to_list(), np.stack(expected["v"]))


@pytest.mark.parametrize("dtype", [pl.Enum(["p", "x", "n"]), pl.Categorical])
def test_frames_of_polars_keep_their_categories(dtype):
    labels = pl.Series("k", LABELS.tolist(), dtype=dtype)
    frame = pl.DataFrame({"v": VECTORS[:, 0], "k": labels})
    model = NeighborsSampler(1, target="k", random_state=0, modalities={"v": ["v"], "k": ["k"]})
    holes = frame.with_columns(k=pl.when(pl.int_range(N) > 1).then(pl.col("k")))
    assert model.fit(frame).impute(holes).equals(frame)
    assert model.impute(holes).schema == frame.schema


def test_cells_in_form_4():
    model = CCA(1).fit(WIDE[["v"]], pd.Series(NUMBERS.tolist()))
    expected = CCA(1).fit(VECTORS, NUMBERS)
    np.testing.assert_allclose(model.transform(WIDE[["v"]]), expected.transform(VECTORS))
    ids = pd.Series([None, *IDS[1:]])
    assert CCA(1, shrinkage=0.5).fit(NUMBERS, ids).impute(NUMBERS, ids)[1].shape == IDS.shape


# Dtypes of labels

LABELS = pd.Series(np.where(VECTORS[:, 0] > 0, "p", "n"), index=INDEX, name="label")
NUMBERED = (VECTORS[:, 0] > 0) + 4
DTYPES = {
    "boolean": (VECTORS[:, 0] > 0, "boolean"),
    "bool": (VECTORS[:, 0] > 0, "bool"),
    "Int64": (NUMBERED, "Int64"),
    "UInt8": (NUMBERED, "UInt8"),
    "int64": (NUMBERED, "int64"),
    "category": (LABELS, "category"),
    "categories in order": (LABELS, pd.CategoricalDtype(["p", "x", "n"], ordered=True)),
    "categories of numbers": (NUMBERED, "category"),
    "string": (LABELS, "string"),
    "str": (LABELS, "str"),
    "object": (LABELS, "object"),
    "bins": (pd.cut(VECTORS[:, 0], [-9, 0, 9]), None),
}


@pytest.mark.parametrize("one_column", [False, True])
@pytest.mark.parametrize("what", DTYPES)
def test_labels_come_back_in_their_dtype(what, one_column):
    values, dtype = DTYPES[what]
    labels = pd.Series(np.asarray(values) if dtype else values, index=INDEX, dtype=dtype)
    labels = labels.to_frame("k") if one_column else labels
    kinds, missing = {"label": "categorical"}, {"label": np.arange(N) < 2}
    full = Modalities({"a": VECTORS, "label": labels}, kinds=kinds)
    X = Modalities(full, missing=missing)
    model = NeighborsSampler(1, target="label", random_state=0).fit(full)
    # The nearest neighbour of a training row is itself.
    for found in (model.impute(X)["label"], model.translate({"a": VECTORS}, "label")):
        if one_column:
            assert list(found.columns) == ["k"]
        compare = pd.testing.assert_frame_equal if one_column else pd.testing.assert_series_equal
        compare(found.set_axis(INDEX, axis=0), labels)
    assert list(model.impute(X)["label"].index) == INDEX


def test_a_category_that_was_not_there_is_added():
    model = NeighborsSampler(1, target="label", random_state=0)
    model.fit({"a": VECTORS, "label": LABELS.astype("category")})
    few = LABELS.where(LABELS == "p").astype("category")  # knows no "n"
    found = model.impute({"a": VECTORS, "label": few})["label"]
    assert list(found.cat.categories) == ["p", "n"]
    assert_array_equal(found.astype(str), LABELS)


def test_columns_without_holes_keep_their_dtype():
    frame = pd.DataFrame({"a": [None, *NUMBERS[1:, 0]], "b": range(N), "c": NUMBERS[:, 2]})
    frame = frame.astype({"a": "Float64", "b": "Int64", "c": "float32"})
    model = NeighborsSampler(2, target="m", random_state=0)
    model.fit({"x": VECTORS, "m": frame.fillna(0.0)})
    hidden = {"x": VECTORS, "m": frame}
    with pytest.raises(ValueError, match="not NaN throughout"):
        model.impute(hidden)
    filled = model._schema.fill(hidden, None, {"m": np.full((N, 3), 0.25)})["m"]
    assert list(filled.dtypes.astype(str)) == ["Float64", "Int64", "float32"]
    assert filled["a"][0] == 0.25
    pd.testing.assert_frame_equal(filled[1:], frame[1:])


def test_dtypes_are_kept_in_files():
    frame = pd.DataFrame({"i": range(N), "f": NUMBERS[:, 0]}).astype({"i": "Int32", "f": "Float32"})
    labels = LABELS.astype(pd.CategoricalDtype(["p", "x", "n"], ordered=True))
    X = {"x": VECTORS, "frame": frame, "label": labels}
    for target in ("frame", "label"):
        model = RidgeSampler(target=target, random_state=0)
        model.fit({name: X[name] for name in ("x", target)})
        path = Path(tempfile.mkdtemp()) / "model.skmm"
        skmm.io.dump(model, path)
        expected = model.translate({"x": VECTORS}, target)
        found = skmm.io.load(path).translate({"x": VECTORS}, target)
        compare = pd.testing.assert_frame_equal
        compare(pd.DataFrame(found), pd.DataFrame(expected))


# Objects that are no data


FOREIGN = {
    "generator": (lambda: (row for row in VECTORS), "a generator.*numpy.stack"),
    "zip": (lambda: zip(VECTORS, NUMBERS, strict=True), "a zip.*numpy.stack"),
    "set": (lambda: {1.0}, "a set.*no order"),
    "text": (lambda: "data.csv", "a str 'data.csv'.*Read"),
    "bytes": (lambda: b"abc", "a bytes.*Read"),
    "path": (lambda: Path("data.csv"), "Path.*Read"),
    "image": (lambda: Image.new("RGB", (4, 5)), "an Image.*ImageScaler"),
    "data set": (lambda: TensorDataset(torch.zeros(N, 2)), "a TensorDataset.*Collect"),
    "loader": (lambda: DataLoader(TensorDataset(torch.zeros(N, 2))), "a DataLoader.*Collect"),
    "lazy frame": (lambda: pl.LazyFrame({"a": [1.0]}), "a LazyFrame.*collect()"),
    "groups": (lambda: WIDE.groupby("p"), "a DataFrameGroupBy"),
    "object": (object, "an object"),
    "class": (lambda: np.ndarray, "the class ndarray"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_objects_are_refused_by_name(what):
    make, words = FOREIGN[what]
    for call in (
        lambda: Modalities({"a": make()}),
        lambda: Modalities(make()),
        lambda: CCA(1).fit(make(), NUMBERS),
        lambda: CCA(1).fit(NUMBERS, make()),
        lambda: CCA(1, modalities=SELECTORS).fit(make()),
        lambda: CCA(1).fit(VECTORS, NUMBERS).inverse_transform(make()),
        lambda: MultimodalClassifier(max_epochs=1).fit(VECTORS, make()),
        lambda: PerModality("passthrough").fit(make()),
    ):
        with pytest.raises(TypeError, match=words):
            call()


def test_images_of_pillow_go_through_the_scaler():
    images = [Image.new("RGB", (4, 5), color=(i, 0, 0)) for i in range(N)]
    X = Modalities({"image": images})
    with pytest.raises(ValueError, match=r"channels last.*ImageScaler"):
        MultimodalClassifier(max_epochs=1).fit(X, np.arange(N) % 2)
    scaled = PerModality({"image": ImageScaler()}).fit_transform(X)["image"]
    assert_array_equal(scaled[:, 0, 0, 0], np.arange(N, dtype=np.float32) / np.float32(255))


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 8, 8), (3, 3, 3), (4, 6, 1), (12, 5, 6)])
def test_images_with_channels_first_are_taken(shape):
    X = {"image": RNG.random((N, *shape))}
    MultimodalClassifier(max_epochs=1, random_state=0).fit(X, np.arange(N) % 2)


def test_pixels_that_look_like_channels_can_be_declared():
    X = Modalities({"image": RNG.random((N, 8, 5, 3))}, kinds={"image": "numeric"})
    model = MultimodalClassifier(max_epochs=1, random_state=0).fit(X, np.arange(N) % 2)
    assert model.predict(dict(X.items())).shape == (N,)


@pytest.mark.parametrize("model", [CCA(1), MultimodalAutoencoder(1, max_epochs=1)], ids=str)
def test_masks_and_dates_are_refused_without_names_too(model):
    x, y = np.random.default_rng(0).normal(size=(2, 30, 2))
    with pytest.raises(TypeError, match="masked array, whose mask would be lost"):
        model.fit(np.ma.masked_greater(x, 1), y)
    dates = pd.DataFrame({"from": pd.date_range("2020", periods=30)}).assign(to=lambda d: d["from"])
    for bad in (dates, dates.to_numpy()):
        with pytest.raises(TypeError, match="X holds dates or durations"):
            model.fit(bad, y)
