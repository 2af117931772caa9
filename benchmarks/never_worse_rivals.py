"""The linear side of `never_worse.py`, its figures, and two rivals that are not linear.

A method is a function of a `Split` that fits to the training rows and returns figures of the test
rows. All methods of a task return figures by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from never_worse_data import Case, Split
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmm import CCA, GroupFactorAnalysis, Modalities
from skmm.baselines import NeighborsSampler, RidgeSampler
from skmm.benchmark import BlockScaler
from skmm.benchmark._completed import GaussianModel, RBFRidge
from skmm.compose import ConcatModalities, GaussianImputer, PerModality
from skmm.compose._gaussian_imputer import MARKS
from skmm.metrics import get_scorer

Array = np.ndarray
Figures = dict[str, float]
Predict = Callable[[Modalities, str], Array]  # of a modality that the rows lack
CS = np.logspace(-2, 5, 15)  # of columns as below
PENALTIES = np.logspace(-4, 4, 25)  # columns of a modality have variances that sum to 1
SHRINKAGES = [0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9]
N_COMPONENTS = 10
INDICATORS = 0.1  # root of their variances' sum
FEWEST = 5  # rows to which a ridge regression is fitted
N_FOLDS = 5


# --- figures ---


def of_classes(proba: Array, classes: Array, split: Split) -> Figures:
    """Return log-loss and accuracy on the rows whose class was in training."""
    truth = split.test.y
    known = np.isin(truth, classes)
    found = classes[proba[known].argmax(axis=1)]
    loss = log_loss(truth[known], proba[known], labels=classes) if len(classes) > 1 else 0.0
    return {"log-loss": float(loss), "accuracy": float(accuracy_score(truth[known], found))}


def r2(truth: Array, guess: Array, known: Array) -> float:
    """Return R² relative to the means of known rows, pooled over columns in their deviations."""
    truth, guess, known = (
        np.asarray(part, dtype=float).reshape(len(part), -1) for part in (truth, guess, known)
    )
    mean, scale = known.mean(axis=0), known.std(axis=0)
    varies = scale > 1e-9 * (np.abs(mean) + 1.0)
    left, total = (
        np.sum(((truth - part)[:, varies] / scale[varies]) ** 2) for part in (guess, mean)
    )
    return float(1.0 - left / total)


def of_numbers(guess: Array, split: Split) -> Figures:
    """Return R² of predicted numbers."""
    return {"R²": r2(split.test.y, guess, split.train.y)}


def of_fills(predict: Predict, split: Split) -> Figures:
    """Return R² of each modality predicted from what else a row has, where it is hidden."""
    figures = {}
    for to in split.test.X.names:
        X = split.test.X
        rows = np.flatnonzero(X.missing[to]) if split.gappy else np.arange(len(X))
        here = np.flatnonzero(~split.train.X.missing[to])
        if not len(rows):
            continue
        guess = predict(X[rows].with_missing([to]), to)
        figures[f"R² {to}"] = r2(split.truth[to][rows], guess, split.train.X[to][here])
    return figures


def nats(model: Any, split: Split) -> Figures:
    """Return the log-likelihood per observed column that varies in training."""
    X, n = split.test.X, 0.0
    for name in X.names:
        known = split.train.X[name][np.flatnonzero(~split.train.X.missing[name])]
        n += (~X.missing[name]).mean() * np.sum(np.std(known, axis=0) > 0)
    return {"nats": float(model.score(X) / n)}


# --- rivals ---


def completed(X: Modalities) -> list[Any]:
    """Return the steps to one matrix: EM-completed, standardised, over the root of the width.

    Indicators of what is missing are made small: where they weigh as much as a modality,
    log-losses of mfeat with 120 rows are .28 instead of .23.
    """
    scaled = [PerModality(BlockScaler())]
    if X.missing.to_numpy().any():
        small = PerModality({MARKS: FunctionTransformer(made_small)})
        scaled = [GaussianImputer(add_indicator=True), *scaled, small]
    return [*scaled, ConcatModalities()]


def made_small(indicators: Array) -> Array:
    return INDICATORS * indicators


def tuned_logistic(y: Array) -> Any:
    """Return logistic regression whose penalty has the least log-loss in folds."""
    folds = min(N_FOLDS, int(np.bincount(y)[np.unique(y)].min()))
    if folds < 2:
        return LogisticRegression(C=10.0, max_iter=1000)
    cv = StratifiedKFold(folds, shuffle=True, random_state=0)
    return LogisticRegressionCV(
        Cs=CS,
        cv=cv,
        scoring="neg_log_loss",
        max_iter=1000,
        tol=1e-5,  # columns are small, and so are gradients
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )


def logistic(split: Split) -> Figures:
    X, y = split.train.X, split.train.y
    model = make_pipeline(*completed(X), tuned_logistic(y)).fit(X, y)
    return of_classes(model.predict_proba(split.test.X), model.classes_, split)


def stacking(split: Split) -> Figures:
    """Return the mean of the modalities' logistic regressions, over those that a row has."""
    classes = np.unique(split.train.y)
    parts = [one_modality(name, classes, split) for name in split.test.X.names]
    return of_classes(np.nanmean(parts, axis=0), classes, split)


def one_modality(name: str, classes: Array, split: Split) -> Array:
    """Return probabilities by one modality; NaN where it is missing."""
    rows = np.flatnonzero(~split.train.X.missing[name])
    X, y, test = split.train.X[rows].select([name]), split.train.y[rows], split.test.X
    found = np.full((len(test), len(classes)), np.nan)
    rows = np.flatnonzero(~test.missing[name])
    if len(np.unique(y)) < 2 or not len(rows):
        found[rows] = classes == y[0]
        return found
    model = make_pipeline(*completed(X), tuned_logistic(y)).fit(X, y)
    found[rows] = 0.0
    found[np.ix_(rows, np.isin(classes, model.classes_))] = model.predict_proba(
        test[rows].select([name])
    )
    return found


def observed(case: Case, name: str) -> Array:
    """Return the values of a modality on the rows that have it."""
    return np.asarray(case.X[name][np.flatnonzero(~case.X.missing[name])], dtype=float)


def ridge(split: Split) -> Figures:
    predict = regression(RidgeCV(PENALTIES), split.train.X, split.train.y)
    return of_numbers(predict(split.test.X), split)


def regression(model: Any, X: Modalities, y: Array) -> Callable[[Modalities], Array]:
    """Return predictions of targets that are fitted in units of their standard deviations."""
    scale = np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
    fitted = make_pipeline(*completed(X), model).fit(X, y / scale)
    return lambda rows: fitted.predict(rows).reshape(len(rows), -1) * scale


def sampler(make: Callable[..., Any]) -> Callable[[Split], Figures]:
    """Return a sampler on EM-completed conditions."""

    def method(split: Split) -> Figures:
        train, test = filled_conditions(split)
        model = make(target=split.train.target, random_state=split.seed).fit(train)
        return {"energy skill": float(model.score(test))}

    return method


def filled_conditions(split: Split) -> list[Modalities]:
    """Return training and test rows with conditions completed without the target."""
    cases = [split.train, split.test]
    if not split.gappy:
        return [case.X for case in cases]
    target, inputs = split.train.target, split.train.inputs
    imputer = GaussianImputer().fit(split.train.X.select(inputs))
    return [
        Modalities(
            {**dict(imputer.transform(case.X.select(inputs)).items()), target: case.X[target]}
        )
        for case in cases
    ]


def ridge_per_pattern(split: Split) -> Figures:
    """Predict from what a row has, by the training rows that have all of it and the target."""
    train = split.train.X
    observed = ~train.missing

    def predict(rows: Modalities, to: str) -> Array:
        has, guess = ~rows.missing.to_numpy(), np.empty((len(rows), train[to].shape[1]))
        guess[:] = train[to][np.flatnonzero(observed[to])].mean(axis=0)
        for pattern in np.unique(has, axis=0):
            names = [name for name, there in zip(rows.names, pattern, strict=True) if there]
            known = np.flatnonzero(observed[[*names, to]].all(axis=1))
            here = np.flatnonzero((has == pattern).all(axis=1))
            if len(known) >= FEWEST:
                fit = regression(RidgeCV(PENALTIES), train[known].select(names), train[to][known])
                guess[here] = fit(rows[here].select(names))
        return guess

    return of_fills(predict, split)


def translating(make: Callable[[], Any]) -> Callable[[Split], Figures]:
    """Return a linear model of all columns; with its likelihood, if it has one."""

    def method(split: Split) -> Figures:
        model = make().fit(split.train.X)
        figures = of_fills(lambda rows, to: model.translate(rows, to), split)
        return figures | (nats(model, split) if hasattr(model, "score_samples") else {})

    return method


def kernel(split: Split) -> Figures:
    """Predict by RBF ridge regression on what else a row has, completed without the target."""
    train = split.train.X

    def predict(rows: Modalities, to: str) -> Array:
        others = [name for name in train.names if name != to]
        known = np.flatnonzero(~train.missing[to] & ~train.missing[others].all(axis=1))
        fit = regression(RBFRidge(), train[known].select(others), train[to][known])
        return fit(rows.select(others))

    return of_fills(predict, split)


def n_components(split: Split) -> int:
    """Return the number of components of both sides: ten, or as many as every modality has.

    Shares that sum to 1 have one dimension less than columns.
    """
    known = (observed(split.train, name) for name in split.train.X.names)
    ranks = (np.linalg.matrix_rank(value - value.mean(axis=0)) for value in known)
    return min(N_COMPONENTS, *map(int, ranks))


def cca(split: Split) -> Figures:
    """Return CCA whose shrinkage has the highest total correlation in folds.

    Test rows are complete: of rows that lack one of two modalities no correlation is known.
    """
    search = GridSearchCV(
        CCA(n_components(split)),
        {"shrinkage": SHRINKAGES},
        cv=KFold(N_FOLDS, shuffle=True, random_state=0),
        scoring=get_scorer("total_correlation"),
    )
    return {"total correlation": float(search.fit(split.train.X).score(split.truth))}


Method = Callable[[Split], Figures]
RIVALS: dict[str, dict[str, Method]] = {
    "classify": {"logistic regression": logistic, "stacking": stacking},
    "regress": {"ridge": ridge},
    "transfer": {"ridge": sampler(RidgeSampler), "neighbours": sampler(NeighborsSampler)},
    "translate": {
        "ridge per pattern": ridge_per_pattern,
        "EM Gaussian": translating(GaussianModel),
        "factor analysis": translating(partial(GroupFactorAnalysis, random_state=0)),
        "RBF ridge": kernel,
    },
    "align": {"CCA": cca},
}
BESIDE = "RBF ridge"  # not linear: shown in a column of its own, and not judged against
