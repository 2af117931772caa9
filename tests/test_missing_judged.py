"""Coherence, over-imputation and the splitter against counts by hand."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_validate

from skmm import CCA, GroupFactorAnalysis, Modalities, MultimodalAutoencoder
from skmm.metrics import coherence, get_scorer, over_imputation_score, r2_per_modality
from skmm.model_selection import MissingModalitySplit


class Sign(DummyClassifier):
    """Tells the sign of the first column."""

    def predict(self, X):
        return np.where(np.asarray(X)[:, 0] > 0, "up", "down")


SIGNS = dict.fromkeys("abc", Sign())
A, B, C = np.array([1, 1, -1, -1.0]), np.array([1, -1, -1, 1.0]), np.array([1, 1, -1, 1.0])


def test_joint_coherence_counts_rows_in_which_all_agree():
    parts = {"a": A[:, None], "b": B[:, None, None], "c": C}
    assert coherence(parts, SIGNS) == 0.5  # the first and the third row
    assert coherence(parts, {"a": Sign(), "c": Sign()}) == 0.75


def test_conditional_coherence_is_an_accuracy():
    labels = ["up", "up", "down", "down"]
    assert coherence({"a": A, "b": B}, SIGNS, labels) == pytest.approx((1 + 0.5) / 2)


def test_missing_modalities_are_not_judged():
    X = Modalities({"a": A, "b": B}).with_missing("b", [1])
    assert coherence(X, SIGNS) == pytest.approx(2 / 3)
    assert coherence(X, SIGNS, ["up", "up", "down", "down"]) == pytest.approx(6 / 7)


def test_coherence_refuses():
    with pytest.raises(ValueError, match="has a classifier"):
        coherence({"z": A}, SIGNS)
    with pytest.raises(ValueError, match="rows differ"):
        coherence({"a": A, "b": B[:2]}, SIGNS)
    with pytest.raises(ValueError, match="No row has enough"):
        coherence({"a": A}, SIGNS)


def make_data(n=200, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    W = np.random.default_rng(9).standard_normal((3, 2, 4))
    return Modalities(
        {name: z @ w + 0.3 * rng.standard_normal((n, 4)) for name, w in zip("abc", W, strict=True)}
    )


class Recorder(CCA):
    """Remembers what it was asked to impute, and gives zeros."""

    def impute(self, X, y=None):
        self.seen = X
        return {name: np.where(m[:, None], 0.0, v) for (name, v), m in
                zip(X.items(), X.missing.to_numpy().T, strict=True)}  # fmt: skip


def test_what_is_hidden_is_judged_and_nothing_else():
    X = make_data().with_missing("a", np.arange(20))
    recorder = Recorder(2).fit(X)
    scores = over_imputation_score(recorder, X, fraction=0.4, random_state=0)
    seen = recorder.seen.missing.to_numpy()
    hidden = seen & ~X.missing.to_numpy()
    assert not seen.all(axis=1).any()
    # A row keeps its largest draw: the other two are hidden with 0.4 each, given that.
    assert 0.2 < hidden[20:].mean() < 0.4
    for m, name in enumerate("abc"):
        rows = hidden[:, m]
        true = {name: np.asarray(X[name])[rows]}
        zeros = {name: np.zeros_like(true[name])}
        mean = {name: recorder.means_[name]}
        assert scores[name] == pytest.approx(r2_per_modality(true, zeros, baseline=mean)[name])


def test_over_imputation_prefers_the_better_model():
    X, test = make_data(), make_data(seed=1)
    good = CCA(2).fit(X)
    rng = np.random.default_rng(2)
    bad = CCA(2).fit({name: rng.permutation(x) for name, x in X.items()})
    scorer = get_scorer("over_imputation")
    assert scorer(good, test) > scorer(bad, test) + 0.5
    assert scorer(good, test) == scorer(good, test)


def test_over_imputation_of_labels_is_accuracy():
    X = make_data()
    label = np.where(np.asarray(X["a"])[:, 0] > 0, "up", "down")
    X = Modalities({"a": X["a"], "label": label})
    model = MultimodalAutoencoder(
        2, hidden_layer_sizes=(16,), max_epochs=30, lr=1e-2, random_state=0
    ).fit(X)
    assert over_imputation_score(model, X, random_state=0)["label"] > 0.8


def test_over_imputation_judges_the_modalities_that_are_given():
    X = make_data()
    three = Modalities({"a": X["a"], "b": X["b"], "c": np.asarray(X["a"])[:, :1]})
    model = CCA(2, shrinkage=0.1).fit(three)
    found = over_imputation_score(model, three.select(["a", "b"]), random_state=0)
    assert list(found) == ["a", "b"]
    assert min(found.values()) > 0


def test_over_imputation_does_not_judge_single_gaps():
    X = make_data(60)
    a = np.array(X["a"])
    a[::7, 0] = np.nan
    gaps = Modalities({"a": a, "b": X["b"]})
    options = {"hidden_layer_sizes": (4,), "max_epochs": 1, "random_state": 0}
    model = MultimodalAutoencoder(2, **options).fit(gaps)
    found = over_imputation_score(model, gaps, random_state=0)
    assert list(found) == ["a", "b"]
    assert np.isfinite(list(found.values())).all()


def test_over_imputation_refuses():
    X = make_data()
    with pytest.raises(TypeError, match="has no impute"):
        over_imputation_score(DummyClassifier(), X)
    with pytest.raises(ValueError, match=r"fraction must be in \(0, 1\)"):
        over_imputation_score(CCA().fit(X), X, fraction=1.0)


def test_incomplete_rows_are_always_for_training():
    X = make_data(50).with_missing("a", np.arange(10)).with_missing("b", [12])
    incomplete = {*range(10), 12}
    tests = []
    for train, test in MissingModalitySplit(4, random_state=0).split(X):
        assert incomplete <= set(train)
        assert not set(train) & set(test)
        assert len(train) + len(test) == 50
        tests.extend(test)
    assert sorted(tests) == sorted(set(range(50)) - incomplete)


def test_only_the_named_modalities_count():
    X = make_data(50).with_missing("a", np.arange(10))
    tests = [t for _, t in MissingModalitySplit(3, modalities=["b"], shuffle=False).split(X)]
    assert list(np.concatenate(tests)) == list(range(50))


def test_frames_and_searches():
    X = make_data(60).with_missing("a", np.arange(10))
    cv = MissingModalitySplit(3, random_state=0)
    same = [list(cv.split(data)) for data in (X, X.to_frame())]
    for (a, b), (c, d) in zip(*same, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    scoring = get_scorer("over_imputation")
    assert np.isfinite(cross_validate(CCA(2), X, cv=cv, scoring=scoring)["test_score"]).all()
    models = {"n_components": [1, 2]}
    search = GridSearchCV(GroupFactorAnalysis(), models, cv=cv, scoring=scoring).fit(X)
    assert search.best_params_ == {"n_components": 2}


def test_the_splitter_refuses():
    X = make_data(20).with_missing("a", np.arange(18))
    with pytest.raises(ValueError, match="there are 2"):
        list(MissingModalitySplit(5).split(X))
    with pytest.raises(ValueError, match=r"names \['z'\]"):
        list(MissingModalitySplit(2, modalities=["z"]).split(X))
    with pytest.raises(TypeError, match="names of modalities"):
        list(MissingModalitySplit(2).split(np.ones((4, 2))))
