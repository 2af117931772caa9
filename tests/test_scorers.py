"""The scorers: on small estimators with known answers, then inside scikit-learn's tools."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities, metrics
from skmm.compose import PerModality
from skmm.metrics import get_scorer, get_scorer_names, make_alignment_scorer

NEGATED = ("median_rank", "foscttm")
LABELLED = ("mean_average_precision", "label_transfer_accuracy")
# Each name as a function of two modalities' codes and the labels.
PAIRWISE = {
    "recall_at_1": lambda a, b, y: metrics.recall_at_k(a, b, k=1),
    "recall_at_5": lambda a, b, y: metrics.recall_at_k(a, b, k=5),
    "recall_at_10": lambda a, b, y: metrics.recall_at_k(a, b, k=10),
    "mean_reciprocal_rank": lambda a, b, y: metrics.mean_reciprocal_rank(a, b),
    "median_rank": lambda a, b, y: -metrics.median_rank(a, b),
    "foscttm": lambda a, b, y: -metrics.foscttm(a, b),
    "mean_average_precision": lambda a, b, y: np.mean(
        [metrics.mean_average_precision(*pair, y, y) for pair in ((a, b), (b, a))]
    ),
    "label_transfer_accuracy": lambda a, b, y: np.mean(
        [metrics.label_transfer_accuracy(p, y, q, y) for p, q in ((a, b), (b, a))]
    ),
}
WHOLE = ("total_correlation", "mean_correlation", "cross_reconstruction", "over_imputation")


class Codes(BaseEstimator):
    """Gives the modalities themselves as codes."""

    def fit(self, X, y=None):
        return self

    def transform_each(self, X):
        return dict(X.items())


def make_data(seed=0, n=120, names=("image", "text"), noise=1.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 4))
    X = {name: z + noise * rng.standard_normal(z.shape) for name in names}
    return Modalities(X), (z[:, 0] > 0).astype(int)


def test_every_name_is_tested():
    assert sorted([*PAIRWISE, *WHOLE]) == get_scorer_names()


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRWISE)
def test_named_scorers_are_their_metrics(name):
    X, y = make_data()
    expected = PAIRWISE[name](X["image"], X["text"], y)
    assert get_scorer(name)(Codes(), X, y) == pytest.approx(expected)


@pytest.mark.parametrize("name", PAIRWISE)
def test_named_scorers_average_over_pairs(name):
    X, y = make_data(names=("a", "b", "c"))
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    expected = np.mean([PAIRWISE[name](X[a], X[b], y) for a, b in pairs])
    assert get_scorer(name)(Codes(), X, y) == pytest.approx(expected)


@pytest.mark.parametrize("name", PAIRWISE)
def test_better_aligned_codes_score_higher(name):
    (near, y), (far, _) = make_data(noise=0.3), make_data(noise=5.0)
    scorer = get_scorer(name)
    assert scorer(Codes(), near, y) > scorer(Codes(), far, y)


def test_correlation_scorers_are_the_estimators_score():
    X, _ = make_data(names=("a", "b", "c"))
    cca = CCA(n_components=3).fit(X[:80])
    total = get_scorer("total_correlation")(cca, X[80:])
    codes = cca.transform_each(X[:80]), cca.transform_each(X[80:])
    assert total == cca.score(X[80:]) == pytest.approx(metrics.total_correlation(*codes))
    assert get_scorer("mean_correlation")(cca, X[80:]) == pytest.approx(
        metrics.mean_correlation(*codes)
    )


def test_missing_rows_are_left_out():
    X, y = make_data()
    X = X.with_missing("image", np.arange(10)).with_missing("text", np.arange(100, 120))
    kept = X[10:100]
    cca = CCA(n_components=2).fit(X)
    for name in PAIRWISE:
        if name not in LABELLED:  # which use the rows of each modality that are there
            scorer = get_scorer(name)
            assert scorer(cca, X, y) == pytest.approx(scorer(cca, kept, y[10:100]))


def test_cross_reconstruction_is_the_mean_r2_of_the_conditional_means():
    X, _ = make_data(names=("a", "b", "c"))
    X_test, _ = make_data(seed=1, names=("a", "b", "c"))
    cca = CCA(n_components=2).fit(X)
    expected = []
    for to in X.names:
        guess = cca.translate(X_test.select([n for n in X.names if n != to]), to)
        error = ((X_test[to] - guess) ** 2).sum()
        expected.append(1 - error / ((X_test[to] - X[to].mean(axis=0)) ** 2).sum())
    score = get_scorer("cross_reconstruction")(cca, X_test)
    assert score == pytest.approx(np.mean(expected))


def test_cross_reconstruction_uses_rows_with_target_and_source():
    X, _ = make_data()
    cca = CCA(n_components=2).fit(X)
    gaps = X.with_missing("image", np.arange(15)).with_missing("text", np.arange(60, 70))
    scorer = get_scorer("cross_reconstruction")
    kept = np.r_[15:60, 70:120]
    assert scorer(cca, gaps) == pytest.approx(scorer(cca, X[kept]))
    with pytest.raises(ValueError, match="No row has both modality 'image'"):
        scorer(cca, X.with_missing("image", np.arange(60)).with_missing("text", np.arange(60, 120)))


class Oracle(BaseEstimator):
    """Translates two equal modalities into each other; the third holds names."""

    def fit(self, X, y=None):
        from skmm import check_modalities

        check_modalities(self, X, y, reset=True)
        return self

    def translate(self, X, to):
        return X[next(name for name in X.names if name in ("left", "right"))]


def test_cross_reconstruction_judges_numeric_modalities_of_any_shape():
    images = np.random.default_rng(0).integers(0, 255, (9, 1, 4, 4)).astype(np.uint8)
    X = Modalities({"left": images, "right": images, "name": list("abcabcabc")})
    assert get_scorer("cross_reconstruction")(Oracle().fit(X), X) == 1.0


def test_cross_reconstruction_without_means_is_relative_to_the_rows_scored():
    class Mean(Oracle):
        def translate(self, X, to):
            return np.broadcast_to([1.0, 2.0], (len(X), 2))

    x = np.array([[0.0, 1.0], [2.0, 3.0]])
    X = Modalities({"left": x, "right": x})
    assert get_scorer("cross_reconstruction")(Mean().fit(X), X) == 0.0


# The forms of input -------------------------------------------------------------------------------


def all_forms():
    X, y = make_data()
    flat = np.hstack([X["image"], X["text"]])
    columns = {"image": slice(0, 4), "text": slice(4, 8)}
    return {
        "modalities": (CCA(n_components=2), X, y),
        "dict": (CCA(n_components=2), dict(X), y),
        "frame": (CCA(n_components=2), X.to_frame(), y),
        "columns": (CCA(n_components=2, modalities=columns), flat, y),
        "flat frame": (CCA(n_components=2, modalities=columns), pd.DataFrame(flat), y),
        "two arrays": (CCA(n_components=2), X["image"], X["text"]),
    }


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (form, name)
        for form in ("dict", "frame", "columns", "flat frame", "two arrays")
        for name in [*PAIRWISE, *WHOLE]
        if form != "two arrays" or name not in LABELLED  # y is no label there
    ],
)
def test_every_form_gives_the_same_score(form, name):
    forms = all_forms()
    scores = []
    for estimator, X, y in (forms["modalities"], forms[form]):
        scores.append(get_scorer(name)(estimator.fit(X, y), X, y))
    assert scores[1] == pytest.approx(scores[0])


def test_two_arrays_fitted_and_named_modalities_scored():
    X, _ = make_data()
    cca = CCA(n_components=2).fit(X["image"], X["text"])
    named = Modalities({"X": X["image"], "y": X["text"]})
    for name in (*WHOLE, "recall_at_1"):
        scorer = get_scorer(name)
        assert scorer(cca, named) == pytest.approx(scorer(cca, X["image"], X["text"]))


# Pipelines and searches ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PAIRWISE, *WHOLE])
def test_pipelines_and_searches_are_opened(name):
    X, y = make_data()
    scorer = get_scorer(name)
    scaler = PerModality(StandardScaler()).fit(X)
    cca = CCA(n_components=2).fit(scaler.transform(X), y)
    expected = scorer(cca, scaler.transform(X), y)
    pipe = make_pipeline(PerModality(StandardScaler()), CCA(n_components=2)).fit(X, y)
    assert scorer(pipe, X, y) == pytest.approx(expected)
    nested = make_pipeline(PerModality(StandardScaler()), make_pipeline(CCA(n_components=2)))
    assert scorer(nested.fit(X, y), X, y) == pytest.approx(expected)
    search = GridSearchCV(pipe, {"cca__n_components": [2]}, scoring=scorer, cv=2).fit(X, y)
    assert scorer(search, X, y) == pytest.approx(expected)


def test_one_step_and_passthrough_pipelines():
    X, y = make_data()
    expected = get_scorer("recall_at_1")(CCA(n_components=2).fit(X), X)
    for steps in (
        [("cca", CCA(n_components=2))],
        [("nothing", "passthrough"), ("cca", CCA(n_components=2))],
    ):
        pipe = Pipeline(steps).fit(X, y)
        assert get_scorer("recall_at_1")(pipe, X, y) == expected


@pytest.mark.parametrize("name", [*PAIRWISE, *WHOLE])
def test_grid_search_takes_every_scorer(name):
    X, y = make_data()
    scorer, cv, grid = get_scorer(name), KFold(3), [0.0, 0.5, 1.0]
    search = GridSearchCV(CCA(n_components=2), {"shrinkage": grid}, scoring=scorer, cv=cv)
    search.fit(X, y)
    expected = [
        np.mean(
            [
                scorer(CCA(n_components=2, shrinkage=c).fit(X[train]), X[test], y[test])
                for train, test in cv.split(X)
            ]
        )
        for c in grid
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], expected)
    assert search.best_params_["shrinkage"] == grid[int(np.argmax(expected))]


def test_cross_validate_takes_them_all_in_two_processes():
    X, y = make_data()
    pipe = make_pipeline(PerModality(StandardScaler()), CCA(n_components=2))
    scoring = {name: get_scorer(name) for name in get_scorer_names()}
    scoring["recall_at_3"] = make_alignment_scorer(metrics.recall_at_k, k=3)
    one = cross_validate(pipe, X, y, cv=3, scoring=scoring)
    two = cross_validate(pipe, X, y, cv=3, scoring=scoring, n_jobs=2)
    for name in scoring:
        assert np.isfinite(one[f"test_{name}"]).all()
        np.testing.assert_array_equal(two[f"test_{name}"], one[f"test_{name}"])


def test_grid_search_of_two_arrays():
    X, _ = make_data()
    search = GridSearchCV(
        CCA(n_components=2), {"shrinkage": [0.0, 1.0]}, scoring=get_scorer("recall_at_5"), cv=3
    )
    plain = search.fit(X["image"], X["text"]).cv_results_["mean_test_score"]
    named = clone(search).fit(X).cv_results_["mean_test_score"]
    np.testing.assert_allclose(plain, named)


@pytest.mark.parametrize("name", [*PAIRWISE, *WHOLE])
def test_scorers_can_be_pickled(name):
    X, y = make_data()
    cca = CCA(n_components=2).fit(X)
    scorer = get_scorer(name)
    assert pickle.loads(pickle.dumps(scorer))(cca, X, y) == scorer(cca, X, y)


# make_alignment_scorer ----------------------------------------------------------------------------


def test_pair_chooses_modalities_and_their_order():
    X, _ = make_data(names=("a", "b", "c"))
    scorer = make_alignment_scorer(
        metrics.recall_at_k, pair=("c", "a"), k=2, direction="a_to_b", similarity="euclidean"
    )
    expected = metrics.recall_at_k(X["c"], X["a"], k=2, direction="a_to_b", similarity="euclidean")
    assert scorer(Codes(), X) == expected
    with pytest.raises(ValueError, match=r"names \['c'\], but X has \['a', 'b'\]"):
        scorer(Codes(), X.select(["a", "b"]))


def test_own_metrics():
    X, y = make_data()

    def share(a, b, labels, scale):
        return scale * labels.mean() + 0 * a.sum() * b.sum()

    scorer = make_alignment_scorer(share, needs_labels=True, greater_is_better=False, scale=3.0)
    assert scorer(Codes(), X, y) == pytest.approx(-3 * y.mean())


def test_representations_say_how_to_make_them():
    for name in get_scorer_names():
        assert eval(repr(get_scorer(name))) is get_scorer(name)
    scorers = [
        make_alignment_scorer(metrics.foscttm, greater_is_better=False, similarity="cosine"),
        make_alignment_scorer(metrics.recall_at_k, pair=("a", "b"), k=3),
        make_alignment_scorer(metrics.mean_average_precision, needs_labels=True),
    ]
    namespace = {"make_alignment_scorer": make_alignment_scorer, **vars(metrics)}
    for scorer in scorers:
        assert eval(repr(scorer), namespace) == scorer
    assert "functools.partial" in repr(make_alignment_scorer(partial(metrics.foscttm)))


# Errors -------------------------------------------------------------------------------------------


def test_unknown_names_are_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match=r"'recall_at_2'.*'recall_at_1', 'recall_at_10'"):
        get_scorer("recall_at_2")


def test_make_alignment_scorer_refuses():
    with pytest.raises(TypeError, match="get_scorer"):
        make_alignment_scorer("foscttm")
    for pair in (("a", "a"), ("a",), "ab"):
        with pytest.raises(ValueError, match="two different modalities"):
            make_alignment_scorer(metrics.foscttm, pair=pair)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_demanded(name):
    X, _ = make_data()
    with pytest.raises(ValueError, match="needs labels: pass y"):
        get_scorer(name)(Codes(), X)
    cca = CCA(n_components=2).fit(X["image"], X["text"])
    with pytest.raises(ValueError, match="y is the second modality here"):
        get_scorer(name)(cca, X["image"], X["text"])


def test_estimators_without_the_methods_are_refused():
    X, _ = make_data()
    pca = PCA(2).fit(X["image"])
    with pytest.raises(TypeError, match="PCA has no transform_each"):
        get_scorer("recall_at_1")(pca, X["image"])
    with pytest.raises(TypeError, match="PCA has no translate"):
        get_scorer("cross_reconstruction")(pca, X["image"])
    for name in ("total_correlation", "mean_correlation"):
        with pytest.raises(TypeError, match="score of PCA is not a total correlation"):
            get_scorer(name)(pca, X["image"])


def test_one_modality_is_not_enough():
    X, _ = make_data()
    cca = CCA(n_components=2).fit(X)
    for name in (*WHOLE, "recall_at_1"):
        with pytest.raises(ValueError, match="two modalities"):
            get_scorer(name)(cca, X.select("image"))
