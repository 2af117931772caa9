"""Malformed input ends in a documented exception, and a failed fit changes nothing.

A slice of the trials of `malformed`; ``python benchmarks/fuzz.py`` carries out all of them. What
they once found stands here by name.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from contract_cases import CASES, arrays, complete, fitted
from malformed import METRICS, SUBJECTS, VALUES, Trial, draw, judge
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities, MultimodalAutoencoder, MultimodalRegressor, metrics
from skmm.compose import ConcatModalities, PerModality, SelectModality
from skmm.preprocessing import ImageScaler, LogMel, Tokenizer

N_TRIALS = 1000
PER_TEST = 100
TINY = {"hidden_layer_sizes": (4,), "max_epochs": 1, "early_stopping": False}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* ha(s|ve) collapsed:sklearn.exceptions.ConvergenceWarning"
)
per_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
COMPOSED = [PerModality(StandardScaler()), ConcatModalities(), SelectModality("text")]


@pytest.mark.parametrize("start", range(0, N_TRIALS, PER_TEST))
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
