"""Bad input: always ValueError or TypeError, naming the modality, what was got, what to do."""

from functools import cache, partial

import dask.array
import numpy as np
import pandas as pd
import polars as pl
import pytest
from contract_cases import CASES, SLICES, WIDTHS, arrays, complete, fitted, known, with_holes
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval

from skmm import CCA, Modalities
from skmm.baselines import NeighborsSampler
from skmm.preprocessing import LogMel, Tokenizer

pytestmark = pytest.mark.filterwarnings(
    "ignore:The posterior has collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:The samples of .* have collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:Modalities .* have collapsed:sklearn.exceptions.ConvergenceWarning",
)
per_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


OTHERS = (Tokenizer(), LogMel(sampling_rate=8000.0), NeighborsSampler())


def _class_name(value):
    return type(value).__name__


def _refuses(words, call, *args, **kwargs):
    """Check that the call raises an error whose message has all the words ("a|b": one of both)."""
    assert _fault(words, call, *args, **kwargs) is None


def _fault(words, call, *args, **kwargs):
    """Return what is wrong with how the call ends, or None."""
    try:
        call(*args, **kwargs)
    except (ValueError, TypeError) as error:
        message = str(error)
    else:
        return "accepted"
    absent = [word for word in words if not any(part in message for part in word.split("|"))]
    return f"{absent} not in: {message}" if absent else None


def _faults(inputs, takes, call):
    """Return how calls with each of the inputs end that are not to be taken."""
    refused = {what: how for what, how in inputs.items() if what not in takes}
    faults = {what: _fault(words, call, X) for what, (X, words) in refused.items()}
    return {what: fault for what, fault in faults.items() if fault is not None}


def _with(name, value):
    """Return the three modalities as a dict, one of them replaced."""
    return {**arrays(), name: value}


def _entry(value, rows=3, columns=1):
    """Return the modality "text" with this value in one place."""
    text = arrays()["text"]
    text[rows, columns] = value
    return _with("text", text)


def _frame(**changes):
    frame = complete().to_frame()
    return frame.rename(columns=changes, level=0)


class Container:
    """Rows and columns that NumPy would walk through without end, as those of AnnData."""

    shape = (60, 5)

    def __len__(self):
        return 60

    def __getitem__(self, rows):
        raise AssertionError("must not be asked for items")


class AnnData(Container):
    pass


MIXED = pd.DataFrame(arrays()["text"]).add_prefix("text").assign(text3=["a", "b"] * 30)
RAGGED = pd.Series([[1] * (1 + i % 3) for i in range(60)])

# What is wrong with X, of which the words of the message must speak.
ANYWHERE = {
    "different row counts": (
        _with("text", np.ones((59, 4))),
        ["'text': 59", "'image': 60", "Modalities.join"],
    ),
    "partly NaN row": (_entry(np.nan), ["'text'", "NaN", "1 row", "impute"]),
    "inf": (_entry(np.inf), ["'text'", "infinity", "Drop|Replace|Clip|drop|replace|clip"]),
    "empty modality": (
        _with("text", np.ones((60, 0))),
        ["'text'", "(60, 0)", "Leave it out|Drop it|drop it"],
    ),
    "text": (
        _with("text", np.array([["a", "b", "c", "d"]] * 60)),
        ["'text'", "categorical|labels", "Encode|encode", "PerModality"],
    ),
    "objects": (
        _with("text", np.array([["a", 1, 2, 3]] * 60, dtype=object)),
        ["'text'", "categorical|labels", "Encode|encode", "PerModality"],
    ),
    "dates": (_with("text", pd.date_range("2020-01-01", periods=60).to_frame()), ["'text'"]),
    "a column of dates": (
        _with("text", pd.Series(pd.date_range("2020", periods=60, tz="UTC"))),
        ["'text'"],
    ),
    "cells of several shapes": (_with("text", RAGGED), ["'text'", "(1,)", "Tokenizer"]),
    "lists of several shapes": (_with("text", list(RAGGED)), ["'text'", "Tokenizer"]),
    "numbers beside labels": (_with("text", MIXED), ["'text'", "['text3']", "PerModality"]),
    "numbers beside labels in two levels": (
        pd.concat({name: pd.DataFrame(a) for name, a in _with("text", MIXED).items()}, axis=1),
        ["'text'", "['text3']", "PerModality"],
    ),
    "a container": (Container(), ["a Container", "Modalities"]),
    "a known container": (AnnData(), ["an AnnData", "adata.to_df()"]),
    "a list of containers": ([AnnData(), AnnData()], ["an AnnData", "adata.to_df()"]),
    "a container for a modality": (_with("text", AnnData()), ["'text'", "an AnnData", "to_df"]),
    "a generator": ((row for row in arrays()["text"]), ["a generator", "numpy.stack"]),
    "a generator for a modality": (_with("text", iter([1.0])), ["'text'", "numpy.stack"]),
    "a set": ({1.0, 2.0}, ["a set", "no order"]),
    "a class": (pd.DataFrame, ["the class DataFrame"]),
    "numbers for names in two levels": (
        complete().to_frame().rename(columns={"image": 0}, level=0),
        ["level", "0", "rename(columns=str, level=0)"],
    ),
    "complex numbers": (_with("text", np.ones((60, 4)) * 1j), ["'text'", "omplex"]),
    "sparse": (
        _with("text", sparse.csr_matrix(arrays()["text"])),
        ["'text'", "parse", "TruncatedSVD"],
    ),
    "a scalar": (_with("text", 3.0), ["'text'"]),
    "None for a modality": (_with("text", None), ["'text'", "None"]),
    "everything missing in a row": (
        complete().with_missing(["image", "text", "sound"], [7]),
        ["1 row", "missing", "rop"],
    ),
    "everything NaN in a row": (
        {name: np.where(np.arange(60)[:, None] == 7, np.nan, a) for name, a in arrays().items()},
        ["1 row", "missing", "rop"],
    ),
    "name that is no string": ({0: arrays()["text"], "image": arrays()["image"]}, ["0", "string"]),
    "no modalities": ({}, ["modality"]),
    "no rows": ({name: part[:0] for name, part in arrays().items()}, ["0 sample", "minimum of"]),
    "a string": ("image", ["image"]),
}
IN_FIT = {
    "one row": ({n: part[:1] for n, part in arrays().items()}, ["n_samples=1", "minimum of 2"]),
    "modality missing in every row": (
        complete().with_missing("text"),
        ["'text'", "missing", "every row", "Leave it out|Drop it|drop it|select"],
    ),
    "a 4-D array alone": (np.ones((60, 3, 4, 4)), ["dim 4", "Wrap", "Modalities"]),
    "channels last": (
        _with("image", np.ones((60, 8, 9, 3), dtype=np.uint8)),
        ["'image'", "(60, 8, 9, 3)", "moveaxis", "ImageScaler", "'numeric'"],
    ),
    "channels last in a lazy array": (
        _with("image", dask.array.ones((60, 8, 9, 1), chunks=(20, 8, 9, 1))),
        ["'image'", "(60, 8, 9, 1)", "moveaxis", "ImageScaler"],
    ),
    "cells that are no labels": (
        _with("text", pd.Series([{"a": 1}] * 60)),
        ["'text'", "a dict", "DictVectorizer"],
    ),
    "cells of texts": (_with("text", pd.Series([["a", "b"]] * 60)), ["'text'", "Tokenizer"]),
    "cells beside numbers": (
        _with("text", pd.DataFrame({"u": range(60), "v": [[1.0, 2.0]] * 60})),
        ["'text'", "'v'", "modality of its own"],
    ),
}
AFTER_FIT = {
    "unknown modality": ({**arrays(), "smell": arrays()["text"]}, ["smell", "image"]),
    "only an unknown modality": ({"smell": arrays()["text"]}, ["smell", "image"]),
    "other width": (_with("text", np.ones((60, 3))), ["'text'", "(3,)", "(4,)"]),
    "more dimensions": (_with("text", np.ones((60, 4, 1))), ["'text'", "(4, 1)", "(4,)"]),
    "unknown modality in a frame": (_frame(text="smell"), ["smell", "text"]),
    "a 4-D array alone": (np.ones((60, 3, 4, 4)), ["modalities", "image", "fit"]),
    "None alone": (None, ["modalities", "image", "fit"]),
    "no modality names": (np.ones((60, 12)), ["modalities", "image", "fit"]),
}
METHODS = ("transform", "transform_each", "score", "score_samples", "predict", "impute")


@per_case
def test_fit_refuses(case):
    inputs = {**ANYWHERE, **IN_FIT}
    assert _faults(inputs, case.takes, lambda X: clone(case.small).fit(X)) == {}
    for what in inputs.keys() & case.takes:
        X = inputs[what][0]
        assert clone(case.small).fit(X).transform(X).shape[0] == 60


@pytest.mark.parametrize(
    ("case", "method"),
    [
        pytest.param(case, method, id=f"{case.name}-{method}")
        for case in CASES
        for method in METHODS
        if hasattr(case.small, method)
    ],
)
def test_fitted_refuses(case, method):
    inputs, call = {**ANYWHERE, **AFTER_FIT}, getattr(known(case.small), method)
    assert _faults(inputs, case.takes, call) == {}
    for what in inputs.keys() & case.takes:
        assert call(inputs[what][0]) is not None


@per_case
def test_refuses_other_column_names(case):
    frames = {n: pd.DataFrame(a).add_prefix(n) for n, a in arrays().items()}
    model = fitted(case.small, frames)
    frames["text"] = frames["text"].rename(columns={"text1": "word"})
    _refuses(["'text'", "word", "text1"], model.transform, frames)


@per_case
def test_refuses_columns_in_another_order(case):
    frames = {n: pd.DataFrame(a).add_prefix(n) for n, a in arrays().items()}
    model = fitted(case.small, frames)
    frames["text"] = frames["text"][["text1", "text0", "text2", "text3"]]
    _refuses(["'text'", "order"], model.transform, frames)


@per_case
def test_refuses_columns_of_polars_in_another_order(case):
    frames = {n: pl.DataFrame(a, schema=[f"{n}{j}" for j in range(a.shape[1])])
              for n, a in arrays().items()}  # fmt: skip
    model = fitted(case.small, frames)
    frames["text"] = frames["text"].select(["text1", "text0", "text2", "text3"])
    _refuses(["'text'", "order"], model.transform, frames)


# Indexes of "text" of which the others, called "0" to "59", say something else.
ROWS = [str(i) for i in range(60)]
OTHER_ROWS = {
    "another order": (ROWS[::-1], ["another order"]),
    "other labels": ([f"row {i}" for i in range(60)], ["no label in common", "'row 0'"]),
    "partly the same": ([str(i) for i in range(10, 70)], ["50 of 60"]),
    "another type": (range(1, 61), ["type only", "astype(str)"]),
}


@cache
def _frames_with_rows():
    return {n: pd.DataFrame(a, index=ROWS).add_prefix(n) for n, a in arrays().items()}


@pytest.mark.parametrize("what", OTHER_ROWS)
@per_case
def test_refuses_rows_that_do_not_correspond(case, what):
    index, words = OTHER_ROWS[what]
    frames, model = _frames_with_rows(), known(case.small, _frames_with_rows)
    other = {**frames, "text": frames["text"].set_axis(index)}
    words = ["'image'", "'text'", "Modalities.join", *words]
    _refuses(words, clone(case.small).fit, other)
    for method in (m for m in METHODS if hasattr(model, m)):
        _refuses(words, getattr(model, method), other)
    if hasattr(model, "translate"):
        _refuses(words, model.translate, other, "sound")
    if hasattr(model, "sample"):
        _refuses(words, lambda: model.sample(given=other))
    if case.pairs:
        x, y = frames["image"], other["text"]
        small, words = clone(case.small).set_params(**case.paired), ["'X'", "'y'", *words[2:]]
        _refuses(words, small.fit, x, y)
        model = small.fit(x, frames["text"])
        for method in ("transform_each", "score", "score_samples", "impute"):
            if hasattr(model, method):
                _refuses(words, getattr(model, method), x, y)


@pytest.mark.parametrize("index", [None, ["a", "b"] * 30], ids=["default", "duplicates"])
@per_case
def test_takes_rows_that_correspond_or_say_nothing(case, index):
    parts = arrays()
    frames = {n: pd.DataFrame(a, index=index).add_prefix(n) for n, a in parts.items()}
    frames["sound"] = parts["sound"]
    frames["image"] = frames["image"].reset_index(drop=True)
    expected = known(case.small).transform(parts)
    np.testing.assert_allclose(fitted(case.small, frames).transform(frames), expected)


@per_case
def test_translate_refuses(case):
    if not hasattr(case.small, "translate"):
        pytest.skip("has no translate")
    model, X = known(case.small), complete()
    _refuses(["smell", "image", "text", "sound"], model.translate, X, "smell")
    to = getattr(model, "target", "text")
    _refuses([to, "nothing"], model.translate, X.select([to]), to)
    holes = X.with_missing([name for name in X.names if name != to], [1, 2])
    if "everything missing in a row" in case.takes:
        assert len(model.translate(holes, to)) == len(X)
    else:
        _refuses(["2 rows", to], model.translate, holes, to)


@per_case
def test_inverse_transform_refuses(case):
    if not hasattr(case.small, "inverse_transform"):
        pytest.skip("has no inverse_transform")
    model = known(case.small)
    width = model.transform(complete()).shape[1]
    _refuses([str(width), str(width + 1)], model.inverse_transform, np.ones((2, width + 1)))
    _refuses(["NaN"], model.inverse_transform, np.full((2, width), np.nan))


@pytest.mark.parametrize("n_samples", [0, -1])
@per_case
def test_sample_refuses(case, n_samples):
    if not hasattr(case.small, "sample"):
        pytest.skip("has no sample")
    model = known(case.small)
    _refuses(["n_samples", str(n_samples)], model.sample, n_samples)


@per_case
def test_refuses_parameters(case):
    faults = {
        what: _fault(words, clone(case.small).set_params(**params).fit, complete())
        for what, (params, words) in case.invalid.items()
    }
    assert {what: fault for what, fault in faults.items() if fault is not None} == {}


@pytest.mark.parametrize("estimator", [*(c.small for c in CASES), *OTHERS], ids=_class_name)
def test_refuses_bools_for_numbers(estimator):
    numbers = [
        name
        for name, constraints in estimator._parameter_constraints.items()
        if any(isinstance(each, Interval) for each in constraints)
    ]
    for name in numbers:
        for value in (True, False):
            wrong = clone(estimator).set_params(**{name: value})
            with pytest.raises(ValueError, match=f"The '{name}' parameter .* Got {value}"):
                wrong._validate_params()


@pytest.mark.parametrize(
    "variant", [variant for case in CASES for variant in case.variants], ids=str
)
def test_refuses_missing_modalities_where_it_cannot_take_them(variant):
    if not variant.missing_in_fit:
        _refuses(["missing", "'image'", "'text'"], clone(variant.estimator).fit, with_holes())
    if not variant.missing_in_transform:
        model = known(variant.estimator)
        _refuses(["missing", "'image'", "'text'"], model.transform, with_holes())
        absent = "text" if hasattr(model, "target") else "sound"
        rest = complete().select([name for name in WIDTHS if name != absent])
        _refuses(["missing", repr(absent)], model.transform, rest)


SELECTORS = {
    "overlap": ({"image": slice(0, 6), "text": slice(5, 9)}, ["image", "text", "5"]),
    "empty slice": ({"image": slice(0, 5), "text": slice(5, 5)}, ["'text'", "no column"]),
    "empty list": ({"image": slice(0, 5), "text": []}, ["'text'", "no column"]),
    "empty mask": ({"image": slice(0, 5), "text": [False] * 12}, ["'text'", "no column"]),
    "outside": ({"image": slice(0, 5), "text": [12]}, ["'text'", "12"]),
    "names of an array": ({"image": slice(0, 5), "text": ["a", "b"]}, ["'text'", "dataframe"]),
    "nothing": ({}, ["modalities"]),
    "a list": (["image", "text"], ["modalities", "image"]),
}


@per_case
def test_refuses_selectors(case):
    X = np.hstack(list(arrays().values()))
    fit = lambda modalities: clone(case.small).set_params(modalities=modalities).fit(X)  # noqa: E731
    assert _faults(SELECTORS, (), fit) == {}


@per_case
def test_refuses_selectors_and_names_that_do_not_fit_together(case):
    estimator = clone(case.small)
    _refuses(["image", "None"], estimator.set_params(modalities=SLICES).fit, complete())
    _refuses(["smell", "image"], estimator.set_params(modalities=["smell"]).fit, complete())


@per_case
def test_refuses_an_unknown_column(case):
    frame = pd.DataFrame(np.hstack(list(arrays().values()))).add_prefix("c")
    estimator = clone(case.small).set_params(modalities={"image": ["c0"], "text": ["word"]})
    _refuses(["'text'", "word"], estimator.fit, frame)


@per_case
def test_form_3_refuses_another_width(case):
    X = np.hstack(list(arrays().values()))
    model = fitted(case.small, X, modalities=SLICES)
    _refuses(["11 features", "12 features"], model.transform, X[:, :11])


@per_case
def test_form_4_without_y_says_what_to_do(case):
    if not case.pairs:
        pytest.skip("takes a single modality")
    fit = clone(case.small).set_params(**case.paired).fit
    _refuses(["y", "Modalities", "modalities="], fit, arrays()["image"])
    _refuses(["2 modalities", "image"], fit, {"image": arrays()["image"]})


@per_case
def test_form_4_warns_of_labels_and_refuses_strings(case):
    if not case.pairs:
        pytest.skip("takes no y as a modality")
    X, labels = arrays()["image"], np.arange(60) % 3
    fit = clone(case.small).set_params(**case.paired).fit
    with pytest.warns(UserWarning, match="were modality names lost"):
        fit(X, labels)
    with pytest.warns(UserWarning, match="were modality names lost"):
        _refuses(["y"], fit, X, labels.astype(str).astype(object) + "a")
    _refuses(["60", "59"], fit, X, arrays()["text"][:59])
    _refuses(["infinity", "Input y"], fit, X, _entry(np.inf)["text"])


@per_case
def test_form_4_refuses_what_is_no_array(case):
    flat = MIXED.assign(text2=1.0)
    fit = clone(case.small).set_params(**case.paired).fit
    _refuses(["'X'", "['text3']", "PerModality"], fit, flat, arrays()["image"])
    _refuses(["'X'", "(1,)", "Tokenizer"], fit, RAGGED.to_frame(), arrays()["image"])
    if case.pairs:
        _refuses(["y is", "an AnnData", "adata.to_df()"], fit, arrays()["image"], AnnData())
        _refuses(["y is", "numpy.stack"], fit, arrays()["image"], iter([1.0]))
        _refuses(["'y'", "['text3']", "PerModality"], fit, arrays()["image"], flat)
        _refuses(["'y'", "(1,)", "Tokenizer"], fit, arrays()["image"], RAGGED)


@per_case
def test_form_3_refuses_columns_of_numbers_and_labels_in_one_modality(case):
    selectors = {"image": ["text0", "text1"], "text": ["text2", "text3"], "sound": ["text4"]}
    fit = clone(case.small).set_params(modalities=selectors).fit
    _refuses(["'text'", "['text2']", "['text3']", "PerModality"], fit, MIXED.assign(text4=1.0))


def test_no_encoder_of_labels_is_advised_for_tokens():
    ids = np.arange(240).reshape(60, 4) % 7
    X = Modalities({**arrays(), "text": ids}, kinds={"text": "tokens"})
    with pytest.raises(ValueError, match=r"'text' of kind 'tokens'.*TfidfVectorizer") as caught:
        CCA().fit(X)
    assert "OneHotEncoder" not in str(caught.value)


@per_case
@pytest.mark.parametrize("n_classes", [30, 31])
def test_labels_that_nearly_all_differ_warn(case, n_classes):
    labels = [f"text {i % n_classes}" for i in range(60)]
    fit = partial(clone(case.small).fit, _with("text", labels))
    if case.name in ("CCA", "DeepCCA"):
        _refuses(["'text'", "OneHotEncoder"], fit)
    elif n_classes == 30:
        fit()
    else:
        with pytest.warns(UserWarning, match=r"'text' has 31 .* in 60 rows.*Tokenizer"):
            fit()


@pytest.mark.parametrize("estimator", [LogisticRegression(), StandardScaler()], ids=str)
def test_estimators_of_one_array_are_told_how_to_get_it(estimator):
    _refuses(
        ["ConcatModalities", "PerModality", "image"], estimator.fit, complete(), np.arange(60) % 2
    )


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if hasattr(c.default, "warm_start") and c.name != "DeepCCA"],  # of numbers
    ids=lambda case: case.name,
)
def test_warm_start_refuses_other_labels(case):
    X = {**arrays(), "text": np.tile(["a", "b", "c"], 20)}
    model = case.small.set_params(warm_start=True).fit(X)
    expected = model.transform(X)
    with pytest.raises(ValueError, match="labels of the fit before; those of 'text'"):
        model.fit({**X, "text": np.char.upper(X["text"])})
    np.testing.assert_array_equal(model.transform(X), expected)


@per_case
def test_failed_fit_leaves_a_usable_estimator(case):
    model, expected = case.small.fit(complete()), known(case.small).transform(complete())
    _refuses(["'text'"], model.fit, _entry(np.inf))
    model.fit(complete())
    np.testing.assert_allclose(model.transform(complete()), expected)


def test_the_data_of_these_tests_are_good_but_for_one_thing():
    for case in CASES:
        model = clone(case.small).fit(arrays())
        model.transform(_with("text", arrays()["text"]))
        model.fit(_frame()).transform(Modalities(arrays()).to_frame())
