"""The estimator at the end of pipelines and searches."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def chosen(estimator: Any) -> Any:
    """Return what a fitted search has chosen; any other estimator as it is."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    return estimator


def last_step(estimator: Any) -> Any:
    """Return the estimator at the end of pipelines and searches, which need not be fitted."""
    while True:
        estimator = chosen(estimator)
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "cv") and hasattr(estimator, "estimator"):  # not fitted yet
            estimator = estimator.estimator
        else:
            return estimator


def last_step_and_input(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator at the end of fitted pipelines and searches, and what X is there."""
    estimator = chosen(estimator)
    while isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = chosen(estimator[-1])
    return estimator, X
