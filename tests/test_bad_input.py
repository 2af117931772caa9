"""Bad input: always ValueError or TypeError, naming the modality, what was got, what to do."""

import numpy as np
import pandas as pd
import pytest
from contract_cases import CASES, SLICES, WIDTHS, arrays, complete, fitted, with_holes
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval

from skmm import Modalities
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
    with pytest.raises((ValueError, TypeError)) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    absent = [word for word in words if not any(part in message for part in word.split("|"))]
    assert not absent, f"{absent} not in: {message}"


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


@pytest.mark.parametrize("what", [*ANYWHERE, *IN_FIT])
@per_case
def test_fit_refuses(case, what):
    X, words = {**ANYWHERE, **IN_FIT}[what]
    if what in case.takes:
        assert clone(case.small).fit(X).transform(X).shape[0] == 60
    else:
        _refuses(words, clone(case.small).fit, X)


@pytest.mark.parametrize("what", [*ANYWHERE, *AFTER_FIT])
@pytest.mark.parametrize(
    ("case", "method"),
    [
        pytest.param(case, method, id=f"{case.name}-{method}")
        for case in CASES
        for method in METHODS
        if hasattr(case.small, method)
    ],
)
def test_fitted_refuses(case, method, what):
    X, words = {**ANYWHERE, **AFTER_FIT}[what]
    call = getattr(fitted(case.small, complete()), method)
    if what in case.takes:
        assert call(X) is not None
    else:
        _refuses(words, call, X)


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
def test_refuses_rows_in_another_order(case):
    frames = {n: pd.DataFrame(a).add_prefix(n) for n, a in arrays().items()}
    frames["text"] = frames["text"][::-1]
    _refuses(["'text'", "order", "Modalities.join"], clone(case.small).fit, frames)


@per_case
def test_translate_refuses(case):
    if not hasattr(case.small, "translate"):
        pytest.skip("has no translate")
    model, X = fitted(case.small, complete()), complete()
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
    model = fitted(case.small, complete())
    width = model.transform(complete()).shape[1]
    _refuses([str(width), str(width + 1)], model.inverse_transform, np.ones((2, width + 1)))
    _refuses(["NaN"], model.inverse_transform, np.full((2, width), np.nan))


@pytest.mark.parametrize("n_samples", [0, -1])
@per_case
def test_sample_refuses(case, n_samples):
    if not hasattr(case.small, "sample"):
        pytest.skip("has no sample")
    model = fitted(case.small, complete())
    _refuses(["n_samples", str(n_samples)], model.sample, n_samples)


@pytest.mark.parametrize(
    ("case", "what"),
    [pytest.param(c, what, id=f"{c.name}-{what}") for c in CASES for what in c.invalid],
)
def test_refuses_parameters(case, what):
    params, words = case.invalid[what]
    _refuses(words, clone(case.small).set_params(**params).fit, complete())


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
        model = fitted(variant.estimator, complete())
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


@pytest.mark.parametrize("what", SELECTORS)
@per_case
def test_refuses_selectors(case, what):
    modalities, words = SELECTORS[what]
    X = np.hstack(list(arrays().values()))
    _refuses(words, clone(case.small).set_params(modalities=modalities).fit, X)


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
    model = fitted(case.small, complete())
    expected = model.transform(complete())
    _refuses(["'text'"], model.fit, _entry(np.inf))
    model.fit(complete())
    np.testing.assert_allclose(model.transform(complete()), expected)


def test_the_data_of_these_tests_are_good_but_for_one_thing():
    for case in CASES:
        model = clone(case.small).fit(arrays())
        model.transform(_with("text", arrays()["text"]))
        model.fit(_frame()).transform(Modalities(arrays()).to_frame())
