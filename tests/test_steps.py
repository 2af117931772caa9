"""The estimator at the end of pipelines and searches, fitted and not."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skmm.compose._steps import chosen, last_step, last_step_and_input

GRID = {"logisticregression__C": [0.1, 1.0]}


@pytest.fixture
def data():
    rng = np.random.RandomState(0)
    X = 5 + 3 * rng.standard_normal((40, 2))
    return X, (X[:, 0] > 5).astype(int)


def _pipeline():
    return make_pipeline(StandardScaler(), LogisticRegression())


def test_pipelines_and_searches_of_each_other_end_in_the_same_estimator(data):
    search = GridSearchCV(_pipeline(), GRID, cv=2)
    nested = make_pipeline(MinMaxScaler(), search)
    for unfitted in (_pipeline(), search, nested):
        assert isinstance(last_step(unfitted), LogisticRegression)
    nested.fit(*data)
    best = nested[-1].best_estimator_[-1]
    assert last_step(nested) is best
    model, X = last_step_and_input(nested, data[0])
    assert model is best
    np.testing.assert_array_equal(model.predict(X), nested.predict(data[0]))
    expected = StandardScaler().fit_transform(MinMaxScaler().fit_transform(data[0]))
    np.testing.assert_allclose(X, expected, atol=1e-12)


def test_only_a_fitted_search_has_chosen(data):
    search = GridSearchCV(_pipeline(), GRID, cv=2)
    assert chosen(search) is search
    assert chosen(search.fit(*data)) is search.best_estimator_
    assert isinstance(chosen(search), Pipeline)


def test_an_estimator_alone_is_its_own_end(data):
    model = LogisticRegression().fit(*data)
    assert chosen(model) is last_step(model) is model
    found, X = last_step_and_input(model, data[0])
    assert found is model
    assert X is data[0]
