"""Bad input: always ValueError or TypeError, naming the modality, what was got, what to do.

A failed fit changes nothing. The inputs are those of `malformed`: some are refused in words that
stand beside them, others are drawn as trials, of which ``python benchmarks/fuzz.py`` carries out
more. What trials once found stands here by name.
"""

from functools import cache, partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from contract_cases import (
    CASES,
    SLICES,
    WIDTHS,
    arrays,
    changed,
    complete,
    fitted,
    known,
    with_holes,
)
from malformed import (
    AFTER_FIT,
    ANYWHERE,
    IN_FIT,
    METRICS,
    MIXED,
    OTHER_ROWS,
    RAGGED,
    REFUSED_SELECTORS,
    ROWS,
    SUBJECTS,
    VALUES,
    AnnData,
    Trial,
    draw,
    judge,
    two_levels,
    with_entry,
    with_modality,
)
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval

from skmm import CCA, Modalities, MultimodalAutoencoder, MultimodalRegressor, metrics
from skmm.baselines import NeighborsSampler
from skmm.compose import ConcatModalities, GaussianImputer, PerModality, SelectModality
from skmm.preprocessing import ImageScaler, LogMel, Tokenizer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* ha(s|ve) collapsed:sklearn.exceptions.ConvergenceWarning"
)
per_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


N_TRIALS = 1000
PER_TEST = 100
BRIEFLY = 200  # of the trials; `make slow` carries out the others
TINY = {"hidden_layer_sizes": (4,), "max_epochs": 1, "early_stopping": False}
COMPOSED = [
    PerModality(StandardScaler()), ConcatModalities(), ConcatModalities(add_indicator=True),
    GaussianImputer(), SelectModality("text"),
]  # fmt: skip
OTHERS = (Tokenizer(), LogMel(sampling_rate=8000.0), NeighborsSampler())


@pytest.fixture(scope="module", autouse=True)
def shared_models_are_only_asked():
    yield
    assert changed() == []


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
        message = f"{type(error).__name__}: {error}"
    else:
        return "accepted"
    absent = [word for word in words if not any(part in message for part in word.split("|"))]
    return f"{absent} not in: {message}" if absent else None


def _faults(inputs, takes, call):
    """Return how calls with each of the inputs end that are not to be taken."""
    refused = {what: how for what, how in inputs.items() if what not in takes}
    faults = {what: _fault(words, call, X) for what, (X, words) in refused.items()}
    return {what: fault for what, fault in faults.items() if fault is not None}


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


@per_case
def test_refuses_selectors(case):
    X = np.hstack(list(arrays().values()))
    fit = lambda modalities: clone(case.small).set_params(modalities=modalities).fit(X)  # noqa: E731
    assert _faults(REFUSED_SELECTORS, (), fit) == {}


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
    _refuses(["infinity", "Input y"], fit, X, with_entry(np.inf)["text"])


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
    fit = partial(clone(case.small).fit, with_modality("text", labels))
    if case.name in ("CCA", "DeepCCA", "GroupFactorAnalysis"):
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


def test_the_data_of_these_tests_are_good_but_for_one_thing():
    for case in CASES:
        model = clone(case.small).fit(arrays())
        model.transform(with_modality("text", arrays()["text"]))
        model.fit(two_levels()).transform(Modalities(arrays()).to_frame())


# Trials


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(start, marks=[pytest.mark.slow] if start >= BRIEFLY else [])
        for start in range(0, N_TRIALS, PER_TEST)
    ],
)
def test_trials_end_as_they_may(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where odd names of files lead
    defects = {}
    for number in range(start, start + PER_TEST):
        trial = draw(0, number)
        verdict = judge(trial)
        if verdict.defect:
            defects[f"--only {number} {trial.subject} [{trial.kind}]"] = verdict
    assert not defects, f"python benchmarks/fuzz.py {next(iter(defects))}: {defects}"


def test_trials_are_the_same_every_time():
    first, second = ([draw(3, i) for i in range(50)] for _ in range(2))
    assert [(t.subject, t.kind) for t in first] == [(t.subject, t.kind) for t in second]
    assert len({(t.subject, t.kind) for t in first}) > 40


@pytest.mark.parametrize(
    ("error", "defect"),
    [
        (AttributeError("no attribute"), "other exception"),
        (RuntimeWarning("overflow"), "other exception"),
        (ValueError(""), "no message"),
        (ValueError("bare"), "bare message"),
    ],
    ids=repr,
)
def test_the_judge_sees_errors_that_should_not_be(error, defect, monkeypatch):
    def fails(*args):
        raise error

    monkeypatch.setattr("skmm._cca._estimator.solve", fails)
    model = CCA()
    assert judge(Trial("CCA.fit", "", lambda: model.fit(arrays()), model)).defect == defect


def test_the_judge_sees_what_is_left():
    model = CCA()

    def fit():
        model.half_ = 1
        model.fit({})

    assert judge(Trial("CCA.fit", "", fit, model)).defect == "left changed: ['half_']"
    assert judge(Trial("CCA.fit", "", lambda: model.fit({}), model)).defect == ""
    assert judge(Trial("CCA.fit", "", lambda: model.fit(arrays()))).outcome == "accepted"


def test_every_public_metric_and_estimator_is_tried():
    scorers = {"get_scorer_names", "make_alignment_scorer"}
    take_estimators = {"coherence", "over_imputation_score", "synthetic_training_accuracy"}
    assert METRICS.keys() | scorers | take_estimators == set(metrics.__all__)
    tried = {subject.name for subject in SUBJECTS}
    assert {case.name for case in CASES} | {type(c).__name__ for c in COMPOSED} == tried
    assert len(VALUES) > 100


# Failed and interrupted fits


def _assert_unchanged(model, before):
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def _bad():
    text = arrays()["text"]
    text[3, 1] = np.inf
    return {**arrays(), "text": text, "more": arrays()["text"]}


@pytest.mark.parametrize("was_fitted", [False, True])
@per_case
def test_failed_fit_changes_nothing(case, was_fitted):
    model = fitted(case.small, complete()) if was_fitted else clone(case.small)
    before = dict(vars(model))
    for method in ("fit", "partial_fit", "fit_transform"):
        if hasattr(model, method):
            with pytest.raises(ValueError, match=r"'text' contains infinity"):
                getattr(model, method)(_bad())
            _assert_unchanged(model, before)
    if was_fitted:
        again = model.fit(complete()).transform(complete())
        np.testing.assert_allclose(again, known(case.small).transform(complete()))


class _Fails(TransformerMixin, BaseEstimator):
    """A transformer that does not come to an end."""

    def __init__(self, error=ValueError("no")):  # noqa: B008
        self.error = error

    def fit(self, X, y=None):
        raise self.error

    def transform(self, X):
        return X


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_a_transformer_that_fails_or_is_interrupted_leaves_per_modality_as_it_was(error):
    model = PerModality({"image": StandardScaler(), "text": StandardScaler()}).fit(complete())
    before = dict(vars(model.set_params(text=_Fails(error))))
    with pytest.raises(type(error)):
        model.fit(complete().select(["image", "text"]))
    _assert_unchanged(model, before)
    assert_array_equal(model.transform(complete())["sound"], arrays()["sound"])


@pytest.mark.parametrize("model", [*COMPOSED[1:], LogMel(sampling_rate=8000)], ids=str)
def test_failed_fit_of_a_transformer_changes_nothing(model):
    X = [np.ones(4000)] if isinstance(model, LogMel) else complete()
    model = clone(model).fit(X)
    before = dict(vars(model))
    if isinstance(model, LogMel):
        before["n_mels"] = model.set_params(n_mels=5000).n_mels
    with pytest.raises(ValueError, match=r"of kind|no modality|mel bands"):
        model.fit(X if isinstance(model, LogMel) else {"smell": [["a", "b"]] * 3})
    _assert_unchanged(model, before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_interrupted_fit_of_cca_leaves_it_as_it_was(method, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    model = CCA(2).partial_fit(arrays())
    before, answer = dict(vars(model)), model.transform(arrays())
    with monkeypatch.context() as patch:
        patch.setattr("skmm._cca._estimator.solve", interrupted)
        with pytest.raises(KeyboardInterrupt):
            getattr(model, method)(arrays(seed=1))
    _assert_unchanged(model, before)
    again = CCA(2).partial_fit(arrays()).partial_fit(arrays(seed=2))
    assert_array_equal(model.transform(arrays()), answer)
    assert_array_equal(
        model.partial_fit(arrays(seed=2)).transform(arrays()), again.transform(arrays())
    )


# What the trials found


def test_refuses_what_cannot_be_squared():
    for wrap in (np.asfortranarray, sparse.csr_array, lambda a: np.repeat(a, 2, axis=1)[:, ::2]):
        X = {**arrays(), "text": wrap(arrays()["text"] + 1e200 * np.eye(60, 4))}
        with pytest.raises(ValueError, match=r"'text' contains values beyond 1e\+150 in 4 rows"):
            CCA().fit(X)


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_networks_take_units_that_single_precision_cannot_hold(unit):
    near, far = arrays(), {**arrays(), "text": unit * arrays()["text"]}
    expected = MultimodalAutoencoder(2, **TINY, random_state=0).fit(near).translate(near, "text")
    found = MultimodalAutoencoder(2, **TINY, random_state=0).fit(far).translate(far, "text") / unit
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_likelihoods_of_the_values_themselves_need_units_that_single_precision_holds():
    shares = 1e-60 * np.random.default_rng(0).uniform(size=(60, 4))
    model = MultimodalAutoencoder(2, **TINY, likelihoods={"text": "bernoulli"})
    with pytest.raises(ValueError, match=r"'text' has means .*float32 cannot hold"):
        model.fit({**arrays(), "text": shares})


def test_a_sparse_modality_without_entries_is_zero():
    model = CCA(1).fit(complete())
    X = arrays()
    expected = model.transform({**X, "text": np.zeros((60, 4))})
    found = model.transform({**X, "text": sparse.csr_array((60, 4))})
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
def test_columns_are_selected_from_every_sparse_format(fmt):
    X = np.hstack([arrays()["image"], arrays()["text"]])
    model = CCA(1, modalities={"image": slice(0, 5), "text": slice(5, 9)})
    found = model.fit(sparse.coo_array(X).asformat(fmt)).canonical_correlations_
    np.testing.assert_allclose(found, clone(model).fit(X).canonical_correlations_, rtol=1e-6)


def test_complex_columns_of_frames_do_not_lose_half():
    frame = pd.DataFrame({"a": np.ones(60) * 1j, "b": np.ones(60)})
    for X in (frame, frame["a"]):
        with pytest.raises(ValueError, match="Complex data not supported: modality 'text'"):
            Modalities({**arrays(), "text": X})
    with pytest.raises(ValueError, match="'a' in predicted cannot be made numbers: they are comp"):
        metrics.r2_per_modality({"a": [[1.0]]}, {"a": [[1j]]}, baseline={"a": [0.0]})


@pytest.mark.parametrize("dtype", [object, np.longdouble, ">f8", ">f4"])
def test_images_of_any_numbers(dtype):
    X = {"image": np.random.default_rng(0).random((20, 1, 4, 4)), "text": arrays(20)["text"]}
    model = MultimodalAutoencoder(2, **TINY, random_state=0).fit(X)
    again = clone(model).fit({**X, "image": X["image"].astype(dtype)})
    np.testing.assert_allclose(again.transform(X), model.transform(X), rtol=1e-5, atol=1e-5)


def test_tokens_of_another_byte_order_stay_whole():
    ids = np.arange(60).reshape(20, 3) % 5
    X = Modalities({"text": ids, "image": arrays(20)["image"]}, kinds={"text": "tokens"})
    model = MultimodalAutoencoder(2, **TINY, random_state=0).fit(X)
    other = Modalities({**dict(X.items()), "text": ids.astype(">i4")}, kinds=X.kinds)
    assert_array_equal(model.transform(other), model.transform(X))
    assert_array_equal(clone(model).fit(other).transform(X), model.transform(X))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones((60, 4), requires_grad=True),
        torch.ones((60, 4), device="meta"),
        torch.eye(60, 4).to_sparse(),
    ],
    ids=["gradient", "meta", "sparse"],
)
def test_tensors_that_are_no_arrays(tensor):
    with pytest.raises(ValueError, match="'text' cannot be made an array"):
        Modalities({**arrays(), "text": tensor})
    with pytest.raises((ValueError, TypeError), match=r"cannot be made an array|convert"):
        ConcatModalities().fit(complete()).inverse_transform(tensor)
    for transformer in (ImageScaler(), LogMel(sampling_rate=8000), Tokenizer()):
        with pytest.raises((ValueError, TypeError), match="cannot be made an array"):
            transformer.fit(tensor)


@pytest.mark.parametrize("device", ["odd", "cuda:99", "meta", "mps", "cpu:7"])
def test_devices_that_are_not_here(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used"):
        MultimodalAutoencoder(2, device=device, **TINY).fit(complete())


@pytest.mark.parametrize(
    ("device", "meant"),
    [
        ("gpu", "cuda"),
        ("GPU:1", "cuda:1"),
        ("cuda0", "cuda:0"),
        ("CUDA", "cuda"),
        ("nvidia", "cuda"),
    ],
)
def test_other_names_of_a_gpu_suggest_the_right_one(device, meant):
    message = f"device='{device}' cannot be used: .* Did you mean device='{meant}'"
    with pytest.raises(ValueError, match=message):
        MultimodalAutoencoder(2, device=device, **TINY).fit(complete())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"callbacks": [1]}, "callbacks holds 1"),
        ({"n_components": True}, "'n_components' parameter"),
        ({"hidden_layer_sizes": {"text": 1}}, "'hidden_layer_sizes' parameter"),
        ({"modality_weights": {"text": "odd"}}, "weight of modality 'text'"),
        ({"modalities": 3}, "'modalities' parameter"),
    ],
)
def test_parameters_of_networks(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MultimodalAutoencoder(**{**TINY, **params}).fit(complete())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: Modalities(X, kinds=["numeric"]), "kinds= takes a dict"),
        (lambda X: Modalities(X, kinds={"text": ["numeric"]}), "'text' has an unknown kind"),
        (lambda X: Modalities(X).select(3), "Expected names out of"),
        (lambda X: Modalities(X).select([["text"]]), "Expected distinct names"),
        (lambda X: Modalities(X).with_missing(np.array(1)), "Expected names out of"),
        (lambda X: Modalities(Modalities), "takes a dict"),
        (lambda X: Modalities.join([1]), "Expected a dict"),
        (lambda X: Modalities.join({}), "Expected a dict"),
        (lambda X: Modalities.from_frame(complete().to_frame(), 3), "list of names"),
        (lambda X: Modalities.from_frame(complete().to_frame(), "text"), "list of names"),
        (lambda X: CCA().fit(X).translate(X, np.array(["a", "b"])), "is not a modality"),
        (lambda X: CCA().fit(X, sample_weight=np.full(60, 1e308)), "sample_weight is up to"),
        (lambda X: MultimodalRegressor(**TINY).fit(X, ["a"] * 60), "y must be numbers|could not"),
        (lambda X: SelectModality(["text"]).fit(X), "modality= is the name"),
        (lambda X: PerModality(pd.DataFrame()).fit(X), "takes transformers"),
        (lambda X: PerModality(np.array([1, 2])).fit(X), "takes transformers"),
    ],
)
def test_arguments(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(arrays())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: metrics.foscttm(a, a, similarity=np.array([1, 2])), "similarity=array"),
        (lambda a: metrics.mean_correlation(3, {"a": a, "b": a}), "train_scores must be a dict"),
        (lambda a: metrics.r2_per_modality(a, {"a": a}, baseline={}), "true must be Modalities"),
        (lambda a: metrics.retrieval_report(a, a, k=3), "k must be a sequence"),
        (lambda a: metrics.energy_score(a, [a, a], per_row=pd.NA), "per_row must be True or"),
        (lambda a: metrics.energy_score(a, [a, a], scale="odd"), "could not convert"),
        (lambda a: metrics.variogram_score(99 * a, [a, a], p=1e300), "powers of these values"),
        (lambda a: metrics.energy_distance(1e200 * a, a), r"A has values up to .* too large"),
    ],
)
def test_arguments_of_metrics(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(arrays()["image"])
