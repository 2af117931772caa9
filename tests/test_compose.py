"""PerModality, ConcatModalities, SelectModality."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from skmm import Modalities
from skmm.compose import ConcatModalities, PerModality, SelectModality

N = 12
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(N, 1, 3, 4))
TABLE = pd.DataFrame(RNG.normal(size=(N, 2)), columns=["u", "v"], index=[f"s{i}" for i in range(N)])
TEXT = np.array(["red fox", "blue fox", "red hen"] * 4)
AGE = RNG.normal(size=N)
LABEL = np.arange(N) % 3
Y = np.arange(N) % 2
GONE = {"image": [0], "table": [1, 2], "text": [3], "age": [4], "label": [5]}


@pytest.fixture
def X():
    X = Modalities({"image": IMAGE, "table": TABLE, "text": TEXT, "age": AGE, "label": LABEL})
    for name, rows in GONE.items():
        X = X.with_missing(name, rows)
    return X


@pytest.fixture
def per():
    return PerModality(
        {
            "image": StandardScaler(),
            "table": PCA(1),
            "text": make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0)),
            "label": OneHotEncoder(sparse_output=False),
        },
        remainder=StandardScaler(),
    )


def _kept(name):
    return np.setdiff1d(np.arange(N), GONE[name])


# PerModality: what each transformer sees and what comes back


def test_each_transformer_sees_the_rows_that_have_its_modality(X, per):
    Z = per.fit_transform(X)
    assert Z.names == X.names
    assert_array_equal(Z.missing, X.missing)
    oracles = {
        "image": (StandardScaler(), IMAGE.reshape(N, -1)),
        "table": (PCA(1), TABLE),
        "text": (clone(per.transformers["text"]), TEXT),
        "age": (StandardScaler(), AGE[:, None]),
        "label": (OneHotEncoder(sparse_output=False), LABEL[:, None]),
    }
    for name, (transformer, value) in oracles.items():
        rows = _kept(name)
        value = value.iloc[rows] if name == "table" else value[rows]
        expected = transformer.fit_transform(value)
        assert_allclose(Z[name][rows].reshape(len(rows), -1), expected)
        assert np.isnan(Z[name][GONE[name]]).all()
    again = per.transform(X)
    for name in Z.names:
        assert_allclose(again[name], Z[name], atol=1e-12)


def test_inputs_and_parameters_stay_as_they_are(X, per):
    before = {name: np.array(value) for name, value in X.items()}
    per.fit(X)
    for name, value in X.items():
        assert_array_equal(pd.isna(value), pd.isna(before[name]))
    assert not hasattr(per.transformers["image"], "mean_")
    assert not hasattr(per.remainder, "mean_")


def test_images_get_their_shape_back(X):
    for transformer, shape in ((StandardScaler(), (1, 3, 4)), (PCA(5), (5,))):
        assert PerModality({"image": transformer}).fit_transform(X)["image"].shape[1:] == shape
    kinds = PerModality({"image": StandardScaler(), "table": PCA(1)}).fit_transform(X).kinds
    assert kinds["image"] == "image"
    assert kinds["label"] == "categorical"


def test_one_transformer_is_cloned_for_each():
    X = Modalities({"image": IMAGE, "table": TABLE})
    per = PerModality(StandardScaler(with_std=False)).fit(X)
    assert_allclose(per.transformers_["table"].mean_, TABLE.mean())
    assert per.transformers_["image"].mean_.shape == (12,)
    assert per.get_params()["transformers__with_std"] is False


@pytest.mark.parametrize(
    "transformer",
    [
        CountVectorizer(),
        make_pipeline(CountVectorizer(), TruncatedSVD(2, random_state=0)),
        FeatureUnion([("a", CountVectorizer()), ("b", TfidfVectorizer())]),
        OneHotEncoder(),
        OrdinalEncoder(),
    ],
)
@pytest.mark.parametrize(
    "column", [TEXT, TEXT[:, None], pd.Series(TEXT), pd.DataFrame({"w": TEXT})]
)
def test_text_goes_in_as_the_transformer_takes_it(transformer, column):
    is_encoder = isinstance(transformer, OneHotEncoder | OrdinalEncoder)
    expected = clone(transformer).fit_transform(TEXT[:, None] if is_encoder else TEXT)
    out = PerModality({"text": transformer}).fit_transform({"text": column})["text"]
    assert_allclose(_dense(out), _dense(expected))


def _dense(value):
    return value.toarray() if sp.issparse(value) else np.asarray(value)


def test_sparse_output_stays_sparse_with_its_mask(X):
    Z = PerModality({"text": TfidfVectorizer()}).fit_transform(X)
    assert Z["text"].format == "csr"
    assert Z["text"][3].nnz == 0
    assert list(np.flatnonzero(Z._mask[:, 2])) == [3]
    assert_array_equal(
        PerModality({"text": TfidfVectorizer()}).fit(X).transform(X[[3, 0]]).missing["text"],
        [True, False],
    )


def test_partly_missing_rows_reach_an_imputer():
    a = RNG.normal(size=(N, 3))
    a[0], a[1, 0] = np.nan, np.nan
    Z = PerModality(SimpleImputer()).fit_transform({"a": a})
    assert_array_equal(Z.missing["a"], np.arange(N) == 0)
    assert_allclose(Z["a"][1, 0], np.nanmean(a[:, 0]))


def test_y_reaches_supervised_transformers(X):
    X = X.select(["image", "table"])
    per = PerModality({"image": SelectKBest(k=2)}).fit(X, Y)
    rows = _kept("image")
    oracle = SelectKBest(k=2).fit(IMAGE.reshape(N, -1)[rows], Y[rows])
    assert_allclose(per.transformers_["image"].scores_, oracle.scores_)


def test_passthrough_and_drop(X):
    per = PerModality({"image": "passthrough", "table": "drop"}, remainder="drop").fit(X)
    Z = per.transform(X)
    assert Z.names == ("image",)
    assert_array_equal(Z["image"], X["image"])
    assert list(per.get_feature_names_out()) == [f"image__{i}" for i in range(12)]
    with pytest.raises(ValueError, match="drops every modality"):
        PerModality({}, remainder="drop").fit(X)


def test_absent_and_wholly_missing_modalities(X, per):
    per.fit(X)
    assert per.transform(X.select(["table", "age"])).names == ("table", "age")
    Z = per.transform(X[[0]])
    assert Z._mask[0, 0]
    assert np.isnan(Z["image"]).all()
    assert Z["image"].shape == (1, 1, 3, 4)
    sparse = PerModality({"text": CountVectorizer()}).fit(X).transform(X[[3]])["text"]
    assert sparse.shape == (1, 4)


class _Renamed(TransformerMixin, BaseEstimator):
    """Returns whatever `make` does."""

    def __init__(self, make):
        self.make = make

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.make(X)


@pytest.mark.parametrize(
    ("make", "row"),
    [
        (lambda X: X.astype(int), 0),
        (lambda X: X > 0, False),
        (lambda X: np.full(X.shape, "x", dtype=object), None),
    ],
)
def test_other_dtypes_are_neutral_where_missing(X, make, row):
    out = PerModality({"age": _Renamed(make)}).fit_transform(X)["age"]
    assert out[4, 0] == row


def test_refuses_a_transformer_that_drops_rows(X):
    with pytest.raises(ValueError, match="'age' returned 3 rows for 11"):
        PerModality({"age": _Renamed(lambda X: X[:3])}).fit(X)


@pytest.mark.parametrize(
    ("transformers", "error", "message"),
    [
        ({"sound": PCA()}, ValueError, r"unknown modalities \['sound'\]"),
        ({"image": PCA}, TypeError, "instances with fit and transform"),
        ({"image": LogisticRegression()}, TypeError, "instances with fit and transform"),
        ({"image": "skip"}, TypeError, "'passthrough' or 'drop', got 'skip'"),
        ({"remainder": PCA()}, ValueError, "conflict with constructor arguments"),
        ({"a__b": PCA()}, ValueError, "must not contain __"),
        ({"text": StandardScaler()}, ValueError, "Modality 'text': could not convert string"),
        ({"image": PCA(99)}, ValueError, "Modality 'image': n_components=99"),
    ],
)
def test_refuses(X, transformers, error, message):
    with pytest.raises(error, match=message):
        PerModality(transformers).fit(X)


def test_refuses_what_fit_has_not_seen(X, per):
    with pytest.raises(NotFittedError):
        per.transform(X)
    per.fit(X)
    with pytest.raises(ValueError, match="unknown modalities"):
        per.transform({"sound": AGE})
    with pytest.raises(ValueError, match="'table' has samples of shape"):
        per.transform({"table": np.ones((2, 3))})
    nowhere = X.with_missing("age")
    with pytest.raises(ValueError, match="'age': it is missing in every row"):
        per.fit(nowhere)


# PerModality: forms and scikit-learn's conventions


def test_forms_give_the_same():
    flat = RNG.normal(size=(N, 5))
    columns = {"a": slice(0, 2), "b": [3, 4]}
    named = Modalities({"a": flat[:, :2], "b": flat[:, 3:]})
    expected = PerModality(StandardScaler()).fit_transform(named)
    for X, modalities in (
        (named.to_frame(), None),
        (flat, columns),
        (pd.DataFrame(flat, columns=list("pqrst")), columns),
        ({"b": flat[:, 3:], "more": AGE, "a": flat[:, :2]}, ["a", "b"]),
    ):
        Z = PerModality(StandardScaler(), modalities=modalities).fit(X).transform(X)
        assert Z.names == ("a", "b")
        for name in Z.names:
            assert_allclose(Z[name], expected[name])


def test_text_in_columns_of_a_flat_frame():
    df = pd.DataFrame({"caption": TEXT, "u": AGE, "v": AGE**2})
    per = PerModality(
        {"text": CountVectorizer(), "table": StandardScaler()},
        modalities={"text": "caption", "table": ["u", "v"]},
    )
    Z = per.fit_transform(df)
    assert_array_equal(Z["text"].toarray(), CountVectorizer().fit_transform(TEXT).toarray())
    assert list(per.feature_names_in_) == ["caption", "u", "v"]


def test_a_plain_array_is_one_modality():
    Z = PerModality(StandardScaler()).fit_transform(IMAGE.reshape(N, -1), Y)
    assert Z.names == ("X",)


def test_nested_parameters(X, per):
    pipe = make_pipeline(per, ConcatModalities())
    assert pipe.get_params()["permodality__image__with_mean"] is True
    pipe.set_params(
        permodality__image__with_mean=False, permodality__text__truncatedsvd__n_components=1
    )
    assert per.transformers["image"].with_mean is False
    assert per.fit_transform(X)["text"].shape == (N, 1)
    per.set_params(image="drop", remainder__with_std=False)
    assert "image" not in per.fit_transform(X)
    per.set_params(transformers={"table": PCA(2)}, table__n_components=1)
    assert per.transformers["table"].n_components == 1
    with pytest.raises(ValueError, match="Invalid parameter"):
        per.set_params(image__with_mean=True)


def test_clone_is_unfitted_and_independent(X, per):
    per.fit(X)
    other = clone(per)
    assert not hasattr(other, "transformers_")
    assert other.transformers["image"] is not per.transformers["image"]
    assert other.set_params(image__with_mean=False).transformers["image"].with_mean is False
    assert per.transformers["image"].with_mean is True
    assert other.get_params().keys() == per.get_params().keys()


def test_pickle(X, per):
    again = pickle.loads(pickle.dumps(per.fit(X))).transform(X)
    assert_array_equal(again["image"], per.transform(X)["image"])


def test_set_output_reaches_the_inner_transformers_only(X, per):
    assert per.set_output(transform="pandas") is per
    Z = per.fit_transform(X)
    assert isinstance(Z, Modalities)
    assert list(Z["table"].columns) == ["pca0"]
    assert list(Z["table"].index) == list(TABLE.index)
    assert list(Z["text"].columns) == ["truncatedsvd0", "truncatedsvd1"]
    assert_array_equal(Z.missing, X.missing)
    concat = ConcatModalities().set_output(transform="pandas")
    assert list(concat.fit_transform(Z).columns) == list(per.get_feature_names_out())
    clone(per).set_output(transform="default").fit(X)
    per.set_output(transform="default")
    assert isinstance(per.transform(X)["table"], np.ndarray)


def test_global_pandas_output(X):
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(PerModality({"table": PCA(1)}).fit_transform(X), Modalities)


def test_feature_names(X, per):
    per.fit(X)
    names = per.get_feature_names_out()
    widths = [int(np.prod(value.shape[1:])) for value in per.transform(X).values()]
    assert len(names) == sum(widths)
    assert list(names[12:15]) == ["table__pca0", "text__truncatedsvd0", "text__truncatedsvd1"]
    unnamed = PerModality({"age": FunctionTransformer(np.abs)}, remainder="drop").fit(X)
    assert list(unnamed.get_feature_names_out()) == ["age__0"]
    through = PerModality({"table": "passthrough"}, remainder="drop").fit(X)
    assert list(through.get_feature_names_out()) == ["table__u", "table__v"]


def test_html_repr_shows_the_inner_transformers(X, per):
    for shown in (per._repr_html_(), per.fit(X)._repr_html_(), PerModality(PCA())._repr_html_()):
        assert "PCA" in shown


def test_metadata_is_refused_unless_routed(X):
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        PerModality({"table": StandardScaler()}).fit(X, sample_weight=np.ones(N))


@pytest.mark.parametrize("as_dict", [True, False])
def test_sample_weight_goes_with_its_rows(X, as_dict):
    weight = np.arange(1.0, N + 1)
    rows = _kept("table")
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        per = PerModality({"table": scaler} if as_dict else scaler)
        per.fit(X.select("table"), sample_weight=weight)
    expected = np.average(TABLE.iloc[rows], axis=0, weights=weight[rows])
    assert_allclose(per.transformers_["table"].mean_, expected)


# PerModality: and back


def test_inverse_transform_takes_any_subset(X):
    X = X.select(["image", "table", "age", "label"])
    per = PerModality({"label": OneHotEncoder(sparse_output=False)}, remainder=StandardScaler())
    Z = per.fit_transform(X)
    back = per.inverse_transform(Z)
    assert back.kinds == X.kinds
    assert_array_equal(back.missing, X.missing)
    assert_allclose(back["image"], X["image"])
    assert_allclose(back["age"], X["age"])
    assert_frame_equal(
        back["table"], X["table"].reset_index(drop=True).set_axis(back["table"].index)
    )
    assert_array_equal(np.delete(back["label"], 5), np.delete(LABEL, 5))
    for part in (Z.select(["table"]), {"table": Z["table"]}, Z.select(["table"]).to_frame()):
        only = per.inverse_transform(part)
        assert only.names == ("table",)
        assert_allclose(only["table"], X["table"])
    with pytest.raises(ValueError, match=r"Unknown modalities \['text'\]"):
        per.inverse_transform({"text": TEXT})


def test_inverse_of_a_reduction_is_that_of_the_transformer(X):
    per = PerModality({"table": PCA(1), "image": "passthrough"}, remainder="drop").fit(X)
    Z = per.transform(X)
    rows = _kept("table")
    expected = per.transformers_["table"].inverse_transform(Z["table"][rows])
    assert_allclose(per.inverse_transform(Z)["table"].iloc[rows], expected)
    assert_array_equal(per.inverse_transform(Z)["image"], X["image"])


def test_inverse_makes_numbers_of_what_was_binary():
    bits = Modalities({"a": np.arange(2 * N).reshape(N, 2) % 3 == 0})
    per = PerModality(StandardScaler()).fit(bits)
    back = per.inverse_transform(per.transform(bits))
    assert bits.kinds == {"a": "binary"}
    assert back.kinds == {"a": "numeric"}
    assert_allclose(back["a"], bits["a"])


def test_inverse_that_gives_no_columns_back_is_refused(X):
    per = PerModality({"text": TfidfVectorizer()}).fit(X)
    with pytest.raises(ValueError, match="'text': inverse_transform of TfidfVectorizer"):
        per.inverse_transform(per.transform(X).select("text"))


# ConcatModalities


def test_concat_is_early_fusion(X):
    X = X.select(["image", "table", "age"])
    concat = ConcatModalities().fit(X)
    joined = concat.transform(X)
    assert_array_equal(joined, np.c_[X["image"].reshape(N, -1), X["table"], X["age"]])
    assert np.isnan(joined[0, :12]).all()
    assert list(concat.get_feature_names_out()[-3:]) == ["table__u", "table__v", "age__0"]
    absent = concat.transform(X.select(["age", "table"]))
    assert np.isnan(absent[:, :12]).all()
    assert_array_equal(absent[:, 12:], joined[:, 12:])


@pytest.mark.parametrize("as_frame", [False, True])
def test_concat_and_back(as_frame):
    X = Modalities({"a": TABLE, "b": TABLE.to_numpy() * 2})
    X = X.to_frame() if as_frame else X
    concat = ConcatModalities().fit(X)
    back = concat.inverse_transform(concat.transform(X))
    assert type(back) is type(X)
    assert_array_equal(back["a"], X["a"])
    assert_array_equal(back["b"], X["b"])
    with pytest.raises(ValueError, match="Expected 4 columns"):
        concat.inverse_transform(np.ones((2, 3)))


def test_concat_pandas_output_and_names():
    X = Modalities({"a": TABLE, "b": TABLE.to_numpy()})
    out = ConcatModalities().set_output(transform="pandas").fit_transform(X)
    assert list(out.columns) == ["a__u", "a__v", "b__0", "b__1"]
    pipe = make_pipeline(PerModality(PCA(1)), ConcatModalities()).fit(X)
    assert list(pipe.get_feature_names_out()) == ["a__pca0", "b__pca0"]


def test_concat_keeps_single_precision():
    X = {"a": np.ones((N, 2), dtype=np.float32), "b": np.ones((N, 1), dtype=np.float32)}
    assert ConcatModalities().fit(X).transform(X).dtype == np.float32


def test_concat_is_sparse_if_anything_is(X):
    X = {"table": TABLE, "text": CountVectorizer().fit_transform(TEXT)}
    concat = ConcatModalities().fit(X)
    joined = concat.transform(X)
    assert joined.format == "csr"
    assert_array_equal(joined.toarray(), np.c_[TABLE, X["text"].toarray()])
    for holes in (Modalities(X).with_missing("table", [0]), {"text": X["text"]}):
        with pytest.raises(ValueError, match=r"\['table'\] are missing.*sparse matrix cannot say"):
            concat.transform(holes)


# Indicators

HOLES = {
    "a": np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, 4.0], [np.nan, 6.0]]),
    "b": np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0], [6.0, 7.0, np.nan], [8.0, 9.0, 1.0]]),
    "c": np.ones((4, 1)),
    "d": np.array([np.nan, 2.0, np.nan, 3.0]),
}


def test_indicators_say_which_modalities_and_entries_are_missing():
    concat = ConcatModalities(add_indicator=True).fit(HOLES)
    joined, plain = concat.transform(HOLES), ConcatModalities().fit_transform(HOLES)
    assert_array_equal(joined[:, :7], plain)
    expected = {
        "a": np.isnan(HOLES["a"]).all(axis=1),
        "a__0": np.isnan(HOLES["a"][:, 0]),
        "a__1": np.isnan(HOLES["a"][:, 1]),
        "b__2": np.isnan(HOLES["b"][:, 2]),
        "d": np.isnan(HOLES["d"]),
    }
    assert_array_equal(joined[:, 7:], np.column_stack(list(expected.values())))
    names = concat.get_feature_names_out()
    assert list(names[7:]) == [f"missingindicator_{name}" for name in expected]
    assert_array_equal(concat.get_feature_names_out(names[:7]), names)


def test_indicators_of_entries_are_those_of_sklearn():
    X = {"b": HOLES["b"]}
    found = make_pipeline(ConcatModalities(add_indicator=True), SimpleImputer()).fit_transform(X)
    assert_array_equal(found, SimpleImputer(add_indicator=True).fit_transform(X["b"]))


def test_gaps_that_fit_did_not_see_have_no_indicator():
    X = Modalities({name: HOLES[name] for name in "bcd"})
    concat = ConcatModalities(add_indicator=True).fit(X.with_missing("d", [0, 2]))
    later = X.with_missing("c", [1]).with_missing("b", [3])
    joined = concat.transform(later)
    assert_array_equal(np.isnan(joined[:, 3]), [False, True, False, False])
    assert_array_equal(joined[:, 5:], [[1, 1], [0, 0], [1, 1], [1, 0]])
    absent = concat.transform(X.select(["b", "c"]))
    assert np.isnan(absent[:, 4]).all()
    assert_array_equal(absent[:, 6], np.ones(4))
    complete = ConcatModalities(add_indicator=True).fit(X.select(["c"]))
    assert complete.transform(X.select(["c"])).shape == (4, 1)


def test_what_indicators_mark_is_missing_again():
    X = Modalities(HOLES)
    pipe = make_pipeline(ConcatModalities(add_indicator=True), SimpleImputer())
    filled = pipe.fit_transform(X)
    assert not np.isnan(filled).any()
    back = pipe[0].inverse_transform(filled)
    assert_frame_equal(back.missing, X.missing)
    for name in X.names:
        assert_array_equal(back[name], X[name])
    with pytest.raises(ValueError, match="Expected 12 columns"):
        pipe[0].inverse_transform(filled[:, :7])


def test_indicators_let_sparse_modalities_be_missing():
    counts = CountVectorizer().fit_transform(TEXT).astype(float)
    X = Modalities({"table": TABLE, "text": counts}).with_missing("text", [0, 2])
    X = X.with_missing("table", [1])
    concat = ConcatModalities(add_indicator=True).fit(X)
    joined = concat.transform(X)
    assert joined.format == "csr"
    expected = counts.toarray() * np.isin(np.arange(N), [0, 2], invert=True)[:, None]
    assert_array_equal(joined.toarray()[:, 2:-2], expected)
    assert_array_equal(np.isnan(joined.toarray()[:, :2]).all(axis=1), np.arange(N) == 1)
    assert_array_equal(joined.toarray()[:, -2:], X.missing[["table", "text"]])
    assert_array_equal(concat.inverse_transform(joined.toarray()).missing, X.missing)
    absent = concat.transform(X.select(["table"]))
    assert absent.format == "csr"
    assert_array_equal(absent.toarray()[:, 2:-2], np.zeros(counts.shape))
    assert_array_equal(absent.toarray()[:, -1], np.ones(N))
    known = ConcatModalities(add_indicator=True).fit({"table": TABLE, "text": counts})
    with pytest.raises(ValueError, match=r"\['table', 'text'\] are missing.*add_indicator"):
        known.transform(X)


def test_indicators_keep_single_precision_and_frames():
    X = Modalities({"a": HOLES["a"].astype(np.float32), "c": np.ones((4, 1), dtype=np.float32)})
    concat = ConcatModalities(add_indicator=True)
    assert concat.fit_transform(X).dtype == np.float32
    frame = clone(concat).set_output(transform="pandas").fit_transform(X)
    assert list(frame.columns[-3:]) == [f"missingindicator_a{end}" for end in ("", "__0", "__1")]
    with pytest.raises(ValueError, match="'add_indicator' parameter"):
        ConcatModalities(add_indicator="yes").fit(X)


def test_concat_refuses_labels(X):
    with pytest.raises(ValueError, match=r"'label' of kind 'categorical'.*OneHotEncoder"):
        ConcatModalities().fit(X.select(["table", "label"]))


# SelectModality


def test_select_gives_the_modality_as_stored(X):
    assert_array_equal(SelectModality("image").fit_transform(X), X["image"])
    assert_frame_equal(SelectModality("table").fit_transform(X), X["table"])
    whole = Modalities({"text": TEXT, "label": LABEL})
    pipe = make_pipeline(SelectModality("text"), CountVectorizer(), LogisticRegression())
    assert pipe.fit(whole, TEXT == "red fox").score(whole, TEXT == "red fox") == 1


def test_select_refuses_what_cannot_say_missing(X):
    for name in ("text", "label"):
        with pytest.raises(ValueError, match=f"'{name}' is missing in 1 rows"):
            SelectModality(name).fit(X)
    sparse = Modalities({"s": sp.eye(N, format="csr")}).with_missing("s", [0, 1])
    with pytest.raises(ValueError, match="'s' is missing in 2 rows"):
        SelectModality("s").fit(sparse)
    with pytest.raises(ValueError, match="no modality 'sound'"):
        SelectModality("sound").fit(X)
    select = SelectModality("table").fit(X)
    with pytest.raises(ValueError, match="no modality 'table'"):
        select.transform(X.select("age"))


def test_select_names_and_pandas_output(X):
    select = SelectModality("table").set_output(transform="pandas")
    assert list(select.fit_transform(X).columns) == ["table__u", "table__v"]
    text = SelectModality("text").set_output(transform="pandas").fit(X[6:])
    assert text.transform(X[6:]).ndim == 1
    assert not hasattr(text, "get_feature_names_out")
