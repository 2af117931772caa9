"""The rivals that complete what rows lack: against refits and formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

from skmm import Modalities
from skmm.benchmark import Task, usual_methods
from skmm.benchmark._completed import (
    MOST_ROWS,
    PENALTIES,
    WIDTHS,
    GaussianModel,
    RBFRidge,
    loo_error,
    rbf,
)  # fmt: skip
from skmm.compose import GaussianImputer

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = np.column_stack([np.sin(2 * X[:, 0]), X[:, 1] * X[:, 2]]) + 0.1 * RNG.standard_normal((40, 2))


def _refit(train, y, test, width, penalty):
    """Return predictions of kernel ridge with an intercept, by its normal equations."""
    n = len(train)
    K = rbf(train, train, width)
    system = np.block([[K + penalty * np.eye(n), np.ones((n, 1))], [np.ones((1, n)), 0.0]])
    solved = np.linalg.solve(system, np.vstack([y, np.zeros((1, y.shape[1]))]))
    return rbf(test, train, width) @ solved[:n] + solved[n]


def test_the_leave_one_out_error_is_that_of_refits():
    kernel = rbf(X, X, 1.0)
    kernel = kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean()
    values, vectors = np.linalg.eigh(kernel)
    values, y = np.maximum(values, 0), Y - Y.mean(axis=0)
    errors = []
    for i in range(40):
        rest = np.arange(40) != i
        errors.append(Y[i] - _refit(X[rest], Y[rest], X[[i]], 1.0, 0.3)[0])
    found = loo_error(values, vectors, vectors.T @ y, y, 0.3)
    assert found == pytest.approx(np.mean(np.square(errors)), rel=1e-10)


def test_predictions_are_those_of_kernel_ridge_with_an_intercept():
    model = RBFRidge().fit(X, Y)
    new = RNG.standard_normal((7, 3))
    expected = _refit(X, Y, new, model.width_, model.penalty_)
    assert_allclose(model.predict(new), expected, atol=1e-8)
    assert_allclose(rbf(new, X, 2.0), rbf_kernel(new, X, gamma=0.5 / 2.0**2))


def test_width_and_penalty_of_the_least_error_are_taken():
    model, y = RBFRidge().fit(X, Y), Y - Y.mean(axis=0)
    widths = np.median(pdist(X)) * np.array(WIDTHS)
    errors = [RBFRidge._fit(model, width, y)[0] for width in widths]
    assert model.error_ == min(errors) < max(errors)
    assert model.width_ == widths[int(np.argmin(errors))]
    assert model.penalty_ in PENALTIES


def test_rows_that_are_alike_and_rows_without_target():
    alike = np.vstack([np.zeros((30, 3)), X[:10]])
    y = np.r_[RNG.standard_normal(30), Y[:10, 0]]
    y[3] = np.nan
    model = RBFRidge().fit(alike, y)
    assert 0 < model.width_ < np.inf
    assert np.isfinite(model.predict(alike)).all()
    assert np.isfinite(RBFRidge().fit(np.zeros((5, 2)), np.arange(5.0)).predict([[0, 0]])).all()


def test_of_many_rows_some_are_drawn():
    many = RNG.standard_normal((MOST_ROWS + 50, 1))
    y = np.sin(many[:, 0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skmm.benchmark._completed.MOST_ROWS", 60)
        model = RBFRidge().fit(many, y)
    assert len(model._rows) == 60
    assert np.mean((model.predict(many) - y) ** 2) < 0.02


def test_the_normal_model_predicts_and_draws():
    z = RNG.standard_normal((200, 1))
    parts = {n: z + 0.5 * RNG.standard_normal((200, k)) for n, k in (("a", 3), ("b", 2))}
    data = Modalities(parts).with_gaps(0.2, random_state=0)
    model = GaussianModel().fit(data)
    conditions = Modalities(parts).select(["a"])
    expected = GaussianImputer().fit(data).transform(conditions)["b"]
    assert_allclose(model.translate(Modalities(parts), "b"), expected)
    draws = model.sample(300, given=conditions, random_state=0)
    assert [d.names for d in draws[:2]] == [("a", "b")] * 2
    drawn = np.array([d["b"] for d in draws])
    assert np.abs(drawn.mean(axis=0) - expected).max() < 5 * drawn.std() / np.sqrt(300)


def test_gaps_decide_which_methods_there_are():
    y = np.arange(40) % 2
    whole = Modalities({"a": X, "b": Y})
    name = "Completed + logistic regression"
    assert name not in usual_methods(Task("t", whole, y, "classify"))
    holes = Task("t", whole.with_gaps(0.3, random_state=0), y, "classify")
    steps = usual_methods(holes)[name].make(holes).estimator
    assert [type(step).__name__ for step in dict(steps.steps).values()] == [
        "GaussianImputer", "PerModality", "ConcatModalities", "LogisticRegression",
    ]  # fmt: skip
    transfer = Task("t", whole, kind="transfer", target="b")
    assert {"Gaussian", "RBF ridge"} < set(usual_methods(transfer))
