"""Coherence and over-imputation against loops over rows and closed forms."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities, check_modalities
from skmm.compose import PerModality
from skmm.metrics import coherence, get_scorer, over_imputation_score

SEEDS = range(4)
NAMES = ("a", "b", "c")


def generated(seed, n=40, missing=0.3):
    """Return classes as data of shape (1, 2), the classes, and what is missing."""
    rng = np.random.default_rng(seed)
    classes = {name: rng.integers(0, 3, n) for name in NAMES}
    X = {name: one[:, None, None] + np.zeros((n, 1, 2)) for name, one in classes.items()}
    return X, classes, rng.random((n, len(NAMES))) < missing


def nearest():
    """Return fitted classifiers that tell the integer nearest to the two equal columns."""
    centres = np.repeat(np.arange(3.0)[:, None], 2, axis=1)
    return {name: KNeighborsClassifier(1).fit(centres, [0, 1, 2]) for name in NAMES}


# Coherence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_joint_coherence_is_a_count_over_rows(seed):
    X, classes, missing = generated(seed)
    verdicts = []
    for i, gone in enumerate(missing):
        said = [classes[name][i] for name, lost in zip(NAMES, gone, strict=True) if not lost]
        if len(said) >= 2:
            verdicts.append(len(set(said)) == 1)
    assert 0 < sum(verdicts) < len(verdicts)
    score = coherence(Modalities(X, missing=missing), nearest())
    assert score == pytest.approx(sum(verdicts) / len(verdicts))


@pytest.mark.parametrize("seed", SEEDS)
def test_conditional_coherence_is_a_count_over_modalities(seed):
    X, classes, missing = generated(seed)
    y = np.random.default_rng(99).integers(0, 3, len(missing))
    verdicts = [
        classes[name][i] == y[i]
        for i, gone in enumerate(missing)
        for name, lost in zip(NAMES, gone, strict=True)
        if not lost
    ]
    score = coherence(Modalities(X, missing=missing), nearest(), y)
    assert score == pytest.approx(sum(verdicts) / len(verdicts))


def test_missing_rows_of_a_dict_are_those_that_are_nan():
    X, _, missing = generated(0)
    masks = zip(NAMES, missing.T, strict=True)
    holes = {name: np.where(mask[:, None, None], np.nan, X[name]) for name, mask in masks}
    y = np.arange(len(missing)) % 3
    for labels in (None, y):
        expected = coherence(Modalities(X, missing=missing), nearest(), labels)
        assert coherence(holes, nearest(), labels) == expected


def test_labels_in_one_column_are_those_of_a_row():
    X, _, _ = generated(1)
    y = np.arange(len(X["a"])) % 3
    expected = coherence(X, nearest(), y)
    assert 0 < expected < 1
    assert coherence(X, nearest(), y[:, None]) == expected
    assert coherence(X, nearest(), list(y)) == expected
    assert coherence(X, nearest(), pd.Series(y, index=y + 50)) == expected


def test_classifiers_see_what_they_saw_in_fit():
    """No warning about feature names, which pytest would turn into an error."""
    X, _, _ = generated(2)
    flat = {name: value[:, 0] for name, value in X.items()}
    frame = pd.DataFrame(flat["a"], columns=["left", "right"])
    centres = pd.DataFrame({"left": [0.0, 1, 2], "right": [0.0, 1, 2]})
    named = nearest() | {"a": KNeighborsClassifier(1).fit(centres, [0, 1, 2])}
    expected = coherence(X, nearest())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert coherence(flat | {"a": frame}, named) == expected
        assert coherence(flat | {"a": frame}, nearest()) == expected
        assert coherence(flat | {"a": sparse.csr_matrix(flat["a"])}, nearest()) == expected


def test_modalities_without_a_classifier_may_be_of_any_length():
    X, _, _ = generated(3)
    two = {name: nearest()[name] for name in "ab"}
    expected = coherence({name: X[name] for name in "ab"}, two)
    assert coherence(X | {"c": X["c"][:2]}, two) == expected
    assert coherence(X, two) == expected
    assert coherence(Modalities(X), two) == expected


def test_coherence_says_what_is_wrong():
    X, _, _ = generated(0)
    y = np.zeros(len(X["a"]))
    for whole in (X["a"], pd.DataFrame(X["a"][:, 0])):
        with pytest.raises(TypeError, match="dict from modality to samples"):
            coherence(whole, nearest())
    with pytest.raises(TypeError, match=r"classifiers of \['b'\] have no predict"):
        coherence(X, nearest() | {"b": "tree"})
    with pytest.raises(ValueError, match="y has 39, generated 40"):
        coherence(X, nearest(), y[1:])
    with pytest.raises(ValueError, match="no label in 1 rows"):
        coherence(X, nearest(), np.r_[np.nan, y[1:]])
    with pytest.raises(ValueError, match="1d array"):
        coherence(X, nearest(), np.zeros((40, 2)))
    with pytest.raises(ValueError, match="No row has enough"):
        coherence(Modalities(X, missing=np.ones((40, 3), dtype=bool)), nearest(), y)


# Over-imputation ----------------------------------------------------------------------------------


def make_data(n=60, seed=0, names=NAMES):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    weights = np.random.default_rng(9).standard_normal((len(names), 2, 4))
    return Modalities(
        {
            name: 5 + z @ w + 0.3 * rng.standard_normal((n, 4))
            for name, w in zip(names, weights, strict=True)
        }
    )


class Watched(CCA):
    """Remembers what it was asked to impute."""

    def impute(self, X, y=None):
        self.asked = X
        return super().impute(X, y)


class Constant(BaseEstimator):
    """Imputes a constant."""

    def __init__(self, value=0.0):
        self.value = value

    def fit(self, X, y=None):
        check_modalities(self, X, y, reset=True)
        return self

    def impute(self, X, y=None):
        self.asked = X
        masks = X.missing.to_numpy().T
        return {
            name: [self.value if gone else one for gone, one in zip(mask, X[name], strict=True)]
            for mask, name in zip(masks, X.names, strict=True)
        }


class Alternating(Constant):
    """Imputes labels, "u" in even rows and "v" in odd ones, as a row or as a column."""

    def impute(self, X, y=None):
        self.asked = X
        guess = np.where(np.arange(len(X)) % 2, "v", "u")
        parts = {
            name: np.where(mask, guess, X[name])
            for name, mask in zip(X.names, X.missing.to_numpy().T, strict=True)
        }
        return {n: p[:, None] if self.value == "column" else p for n, p in parts.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_those_of_translations_row_by_row(seed):
    train, X = make_data(), make_data(25, seed=1).with_missing("b", [0, 3])
    cca = Watched(2).fit(train)
    scores = over_imputation_score(cca, X, fraction=0.5, random_state=seed)
    hidden = cca.asked.missing.to_numpy() & ~X.missing.to_numpy()
    for m, name in enumerate(NAMES):
        mean = train[name].mean(axis=0)
        error = total = 0.0
        for i in np.flatnonzero(hidden[:, m]):
            there = [n for n in NAMES if not cca.asked.missing[n].to_numpy()[i]]
            guess = cca.translate(X[[i]].select(there), name)[0]
            error += ((X[name][i] - guess) ** 2).sum()
            total += ((X[name][i] - mean) ** 2).sum()
        assert scores[name] == pytest.approx(1 - error / total)


@pytest.mark.parametrize("n_modalities", [2, 3])
def test_a_modality_is_hidden_with_its_probability(n_modalities):
    """A draw below f is hidden unless it is the largest of M, which has probability f^M / M."""
    n, fraction = 20_000, 0.6
    X = Modalities({name: np.arange(n, dtype=float) for name in NAMES[:n_modalities]})
    model = Constant().fit(X)
    over_imputation_score(model, X, fraction=fraction, random_state=0)
    hidden = model.asked.missing.to_numpy()
    expected = fraction - fraction**n_modalities / n_modalities
    np.testing.assert_allclose(hidden.mean(axis=0), expected, atol=4 * np.sqrt(0.25 / n))
    assert not hidden.all(axis=1).any()
    if n_modalities == 3:
        assert (hidden.sum(axis=1) == 2).any()


def test_rows_that_have_one_modality_keep_it():
    X = make_data().with_missing(["a", "b"], np.arange(30))
    cca = Watched(2).fit(make_data())
    over_imputation_score(cca, X, fraction=0.9, random_state=0)
    asked = cca.asked.missing.to_numpy()
    assert not asked[:30, 2].any()
    assert asked[30:].any(axis=1).mean() > 0.9


def test_rows_without_any_modality_are_left_out():
    X, cca = make_data(seed=1), CCA(2).fit(make_data())
    empty = X.with_missing(list(NAMES), [0, 7])
    rest = X[np.setdiff1d(np.arange(60), [0, 7])]
    scores = over_imputation_score(cca, empty, random_state=3)
    assert scores == over_imputation_score(cca, rest, random_state=3)


def test_all_forms_give_the_same_scores():
    train, X = make_data(), make_data(seed=1)
    columns = {name: list(range(4 * m, 4 * m + 4)) for m, name in enumerate(NAMES)}
    pairs = {
        "dict": (CCA(2), lambda X: dict(X.items())),
        "frame": (CCA(2), lambda X: X.to_frame()),
        "array": (CCA(2, modalities=columns), lambda X: np.hstack(list(X.values()))),
    }
    expected = over_imputation_score(CCA(2).fit(train), X, random_state=0)
    for model, form in pairs.values():
        scores = over_imputation_score(model.fit(form(train)), form(X), random_state=0)
        assert scores == pytest.approx(expected)
    two = CCA(2).fit(train["a"], train["b"])
    plain = over_imputation_score(two, X["a"], X["b"], random_state=0)
    named = CCA(2).fit(train.select(["a", "b"]))
    expected = over_imputation_score(named, X.select(["a", "b"]), random_state=0)
    assert list(plain.values()) == pytest.approx(list(expected.values()))


def test_without_training_means_the_rows_are_their_own_baseline():
    X = Modalities({"a": np.arange(40.0) % 7, "b": np.arange(40.0) % 5})
    model = Constant(2.0).fit(X)
    scores = over_imputation_score(model, X, random_state=0)
    for m, name in enumerate("ab"):
        true = X[name][model.asked.missing.to_numpy()[:, m]]
        expected = 1 - ((true - 2) ** 2).sum() / ((true - X[name].mean()) ** 2).sum()
        assert scores[name] == pytest.approx(expected)


@pytest.mark.parametrize("shape", ["row", "column"])
def test_accuracy_of_labels(shape):
    rng = np.random.default_rng(0)
    labels = {name: rng.choice(["u", "v", "w"], 30) for name in "ab"}
    X = Modalities(labels).with_missing("a", [2, 3])
    model = Alternating(shape).fit(X)
    scores = over_imputation_score(model, X, random_state=0)
    asked, missing = model.asked.missing.to_numpy(), X.missing.to_numpy()
    assert asked[missing].all()
    for name, rows in zip("ab", (asked & ~missing).T, strict=True):
        right = [labels[name][i] == "uv"[i % 2] for i in np.flatnonzero(rows)]
        assert 0 < sum(right) < len(right)
        assert scores[name] == pytest.approx(np.mean(right))


def test_what_is_hidden_follows_from_random_state_alone():
    X, cca = make_data(seed=1), CCA(2).fit(make_data())
    before = np.random.get_state()  # noqa: NPY002
    unseeded = [over_imputation_score(cca, X) for _ in range(2)]
    after = np.random.get_state()  # noqa: NPY002
    assert before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])
    assert unseeded[0] != unseeded[1]
    seeded = [over_imputation_score(cca, X, random_state=seed) for seed in (0, 0, 1)]
    assert seeded[0] == seeded[1] != seeded[2]
    rng = np.random.RandomState(0)
    assert over_imputation_score(cca, X, random_state=rng) == seeded[0]


def test_the_scorer_judges_what_the_last_step_sees():
    train, X = make_data(), make_data(seed=1)
    pipeline = make_pipeline(PerModality(StandardScaler()), CCA(2)).fit(train)
    seen = pipeline[:-1].transform(X)
    scores = over_imputation_score(pipeline[-1], seen, random_state=0)
    scorer = get_scorer("over_imputation")
    assert scorer(pipeline, X) == pytest.approx(np.mean(list(scores.values())))
    assert scorer(pipeline, X, np.arange(60) % 2) == scorer(pipeline, X)


def test_over_imputation_says_what_is_wrong():
    X = make_data()
    cca = CCA(2).fit(X)
    for fraction in (0, 1, -0.1, np.nan, "half", None):
        with pytest.raises(ValueError, match="fraction must be in"):
            over_imputation_score(cca, X, fraction=fraction)
    alone = X.with_missing(["a", "b"]), X.select("a"), X.with_missing(list(NAMES))
    for rows in alone:
        with pytest.raises(ValueError, match="Nothing was hidden: give rows with two modalities"):
            over_imputation_score(cca, rows, random_state=0)
