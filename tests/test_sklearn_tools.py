"""Stock scikit-learn tools take multimodal data in forms 1-3, and all forms agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import resample

from skmm import CCA, Modalities
from skmm.compose import ConcatModalities, PerModality

COLUMNS = {"left": slice(0, 32), "right": slice(32, 64)}


def _digits():
    rows = slice(0, 240)
    pixels, y = load_digits(n_class=3, return_X_y=True)
    halves = pixels.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)  # halves by image columns
    return halves[rows], y[rows]


FLAT, Y = _digits()
NAMED = Modalities({"left": FLAT[:, :32], "right": FLAT[:, 32:]})
FORMS = {
    "modalities": (NAMED, None),
    "frame": (NAMED.to_frame(), None),
    "columns": (FLAT, COLUMNS),
}


def _model(modalities=None, **params):
    return Pipeline(
        [
            ("scale", PerModality(StandardScaler(), modalities=modalities)),
            ("cca", CCA(n_components=3, shrinkage=0.5)),
            ("clf", LogisticRegression(**params)),
        ]
    )


@pytest.fixture(scope="module", params=list(FORMS))
def data(request):
    X, modalities = FORMS[request.param]
    return X, _model(modalities)


def _split(X, model):
    train, test, y_train, _ = train_test_split(X, Y, test_size=0.25, random_state=0, stratify=Y)
    return model.fit(train, y_train).predict_proba(test)


def _resampled(X, model):
    X, y = resample(X, Y, n_samples=100, random_state=0, stratify=Y)
    return model.fit(X, y).predict_proba(X)


def _validated(X, model):
    out = cross_validate(model, X, Y, cv=3, n_jobs=2, return_train_score=True)
    return np.r_[out["test_score"], out["train_score"]]


def _threads(X, model):
    with parallel_config("threading", n_jobs=2):
        return cross_val_score(model, X, Y, cv=3)


def _grid(X, model, search=GridSearchCV, **params):
    grid = {"cca__n_components": [2, 4], "scale__transformers__with_std": [True, False]}
    found = search(model, grid, cv=3, n_jobs=2, **params).fit(X, Y)
    best = found.cv_results_["mean_test_score"]
    return np.r_[best, found.predict_proba(X).ravel()]


def _halving(X, model):
    return _grid(X, model, HalvingGridSearchCV, random_state=0, min_resources=120)


def _curve(X, model):
    return np.c_[learning_curve(model, X, Y, cv=3, train_sizes=[0.5, 1.0])[1:]]


def _union(X, model):
    union = FeatureUnion([("a", model[:-1]), ("b", make_pipeline(clone(model[0]), CCA(2)))])
    return make_pipeline(union, LogisticRegression()).fit(X, Y).predict_proba(X)


def _calibrated(X, model):
    return CalibratedClassifierCV(model, cv=3).fit(X, Y).predict_proba(X)


def _stacked(X, model):
    models = [("a", model), ("b", clone(model).set_params(cca__n_components=1))]
    return StackingClassifier(models, cv=3).fit(X, Y).predict_proba(X)


def _voting(X, model):
    models = [("a", model), ("b", clone(model).set_params(cca__n_components=1))]
    return VotingClassifier(models, voting="soft", n_jobs=2).fit(X, Y).predict_proba(X)


TOOLS = {
    "train_test_split": _split,
    "resample": _resampled,
    "cross_val_score, threads": _threads,
    "cross_val_predict": lambda X, m: cross_val_predict(m, X, Y, cv=3, method="predict_proba"),
    "cross_validate, processes": _validated,
    "GridSearchCV": _grid,
    "HalvingGridSearchCV": _halving,
    "learning_curve": _curve,
    "FeatureUnion": _union,
    "CalibratedClassifierCV": _calibrated,
    "StackingClassifier": _stacked,
    "VotingClassifier": _voting,
    "OneVsRestClassifier": lambda X, m: OneVsRestClassifier(m).fit(X, Y).predict_proba(X),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_all_forms_give_the_same(tool):
    results = {form: TOOLS[tool](X, _model(columns)) for form, (X, columns) in FORMS.items()}
    assert np.isfinite(results["modalities"]).all()
    for result in results.values():
        np.testing.assert_allclose(result, results["modalities"], rtol=1e-6, atol=1e-8)


def test_scores_are_those_of_a_loop_by_hand():
    """The folds hold the right rows of every modality: compare with plain arrays."""
    scores = []
    for train, test in StratifiedKFold(3).split(FLAT, Y):
        scaler = StandardScaler().fit(FLAT[train])  # column by column, as PerModality does
        a, b = scaler.transform(FLAT[train]), scaler.transform(FLAT[test])
        cca = CCA(n_components=3, shrinkage=0.5).fit({"left": a[:, :32], "right": a[:, 32:]})
        Z = cca.transform({"left": a[:, :32], "right": a[:, 32:]})
        clf = LogisticRegression().fit(Z, Y[train])
        W = cca.transform({"left": b[:, :32], "right": b[:, 32:]})
        scores.append(clf.score(W, Y[test]))
    np.testing.assert_allclose(cross_val_score(_model(), NAMED, Y, cv=3), scores)
    assert np.mean(scores) > 0.8


def _noted(values, path):
    """Leave the values as they are and note the call in a file."""
    with open(path, "a") as file:
        file.write(".")
    return values


def test_memory_serves_the_cache(data, tmp_path):
    X, model = data
    path = tmp_path / "calls"
    noting = FunctionTransformer(_noted, kw_args={"path": str(path)})
    scale = PerModality(noting, modalities=model[0].modalities)
    cached = Pipeline([("scale", scale), *model.steps[1:]], memory=str(tmp_path / "cache"))
    n_calls, proba = [], []
    for _ in range(2):
        cached.fit(X, Y)
        n_calls.append(len(path.read_text()))
        proba.append(cached.predict_proba(X))
    assert n_calls == [2, 4]  # one call per modality in the first fit and in predict, none later
    np.testing.assert_array_equal(*proba)


def test_memory_tells_orders_and_masks_apart(tmp_path):
    model = make_pipeline(
        PerModality(StandardScaler()), ConcatModalities(), "passthrough", memory=str(tmp_path)
    )
    forth, back = NAMED, NAMED.select(["right", "left"])
    assert not np.array_equal(model.fit_transform(forth), model.fit_transform(back))
    holes = NAMED.with_missing("left", [0, 1])
    assert np.isnan(model.fit_transform(holes)).any()


def test_set_output_on_the_whole_pipeline(data):
    X, model = data
    transformer = clone(model[:-1]).set_output(transform="pandas")
    Z = transformer.fit_transform(X)
    assert isinstance(Z, pd.DataFrame)
    assert list(Z.columns) == list(transformer.get_feature_names_out())
    np.testing.assert_allclose(Z, clone(model[:-1]).fit_transform(X))
    joined = make_pipeline(clone(model[0]), ConcatModalities()).set_output(transform="pandas")
    assert list(joined.fit_transform(X).columns) == list(joined.get_feature_names_out())


def test_global_pandas_output(data):
    X, model = data
    with sklearn.config_context(transform_output="pandas"):
        Z = clone(model[:-1]).fit_transform(X)
    np.testing.assert_allclose(Z, clone(model[:-1]).fit_transform(X))


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_sample_weight_is_routed(data):
    """Weights that are whole numbers are repetitions, down to the inner scaler."""
    X, _ = data
    weight = np.arange(len(Y)) % 3
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    model = make_pipeline(
        PerModality(scaler, modalities=data[1][0].modalities),
        CCA(n_components=2, shrinkage=0.5).set_fit_request(sample_weight=True),
        LogisticRegression(tol=1e-10, max_iter=1000)
        .set_fit_request(sample_weight=True)
        .set_score_request(sample_weight=True),
    )
    weighted = clone(model).fit(X, Y, sample_weight=weight)
    rows = np.repeat(np.arange(len(Y)), weight)
    repeated = X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]
    plain = clone(model).fit(repeated, Y[rows])
    means = [m[0].transformers_["left"].mean_ for m in (weighted, plain)]
    np.testing.assert_allclose(*means)
    np.testing.assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), rtol=1e-4)
    scores = cross_val_score(model, X, Y, cv=3, params={"sample_weight": np.ones(len(Y))})
    np.testing.assert_allclose(scores, cross_val_score(model, X, Y, cv=3))


class _Weighted(Pipeline):
    """A pipeline that takes sample_weight, as AdaBoost demands of its estimator."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y, clf__sample_weight=sample_weight)


NEED_COLUMNS = {
    "Bagging": lambda m: BaggingClassifier(m, n_estimators=2, random_state=0),
    "AdaBoost": lambda m: AdaBoostClassifier(_Weighted(m.steps), n_estimators=2),
    "OneVsOne": OneVsOneClassifier,
    "ClassifierChain": ClassifierChain,
    "SelfTraining": SelfTrainingClassifier,
}
TARGETS = {
    "ClassifierChain": np.c_[Y == 0, Y == 1].astype(int),
    "SelfTraining": np.where(np.arange(len(Y)) % 2, Y, -1),
}


@pytest.mark.parametrize("tool", NEED_COLUMNS)
def test_tools_that_need_columns(tool):
    """They turn X into one array: form 3 works, forms 1 and 2 say what to do."""
    make, y = NEED_COLUMNS[tool], TARGETS.get(tool, Y)
    fitted = make(_model(COLUMNS)).fit(FLAT, y)
    assert (
        np.mean(fitted.predict(FLAT) == TARGETS.get("ClassifierChain" if y.ndim == 2 else "", Y))
        > 0.9
    )
    with pytest.raises(TypeError, match="ConcatModalities"):
        make(_model()).fit(NAMED, y)
    with pytest.raises(ValueError, match="modalities="):
        make(_model()).fit(FORMS["frame"][0], y)


@pytest.mark.parametrize("form", FORMS)
def test_column_transformer_works_upstream_of_form_3(form):
    """It gives one array, whose columns form 3 selects; Modalities are not columns."""
    X, _ = FORMS[form]
    first = ColumnTransformer([("half", StandardScaler(), slice(0, 32))], remainder="passthrough")
    model = make_pipeline(first, _model(COLUMNS))
    if form == "modalities":
        with pytest.raises(TypeError, match="ColumnTransformer"):
            model.fit(X, Y)
    else:
        assert model.fit(X, Y).score(X, Y) > 0.9


def test_column_transformer_cannot_follow_per_modality():
    model = make_pipeline(
        PerModality(StandardScaler(), modalities=COLUMNS),
        ColumnTransformer([("pca", PCA(2), slice(0, 32))]),
    )
    with pytest.raises(TypeError, match="ColumnTransformer"):
        model.fit(FLAT, Y)


@pytest.mark.parametrize("estimator", [LogisticRegression(), StandardScaler(), PCA()])
def test_estimators_of_arrays_say_what_to_do(estimator):
    with pytest.raises(TypeError, match=r"ConcatModalities\(\).*PerModality"):
        estimator.fit(NAMED, Y)


def test_unsupervised_steps_ignore_y_in_forms_1_to_3(data):
    """A labelled Pipeline must not leak: the same codes for any y."""
    X, model = data
    codes = [clone(model[:-1]).fit_transform(X, y) for y in (Y, Y[::-1], None)]
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])
