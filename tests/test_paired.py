"""The corrected t test of Nadeau & Bengio (2003), against the formula and SciPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from skmm.metrics._paired import CorrectedMean


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("test_to_train", [0.1, 0.25, 1.0])
def test_interval_and_p_value_follow_the_formula(n, test_to_train):
    values = np.random.RandomState(n).standard_normal(n) + 0.3
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    error = np.sqrt((1 / n + test_to_train) * variance)
    found = CorrectedMean.of(values, test_to_train)
    assert_allclose([found.mean, found.error], [mean, error])
    assert_allclose(found.interval(0.9), stats.t(n - 1, mean, error).interval(0.9))
    assert_allclose(found.p_value(), 2 * stats.t(n - 1).sf(abs(mean) / error))


def test_without_overlap_it_is_the_usual_t_test():
    values = np.random.RandomState(0).standard_normal(12)
    usual = stats.ttest_1samp(values, 0)
    found = CorrectedMean.of(values, 0.0)
    assert_allclose(found.p_value(), usual.pvalue)
    assert_allclose(found.interval(), tuple(usual.confidence_interval()))


def test_columns_are_those_of_one_after_the_other():
    values = np.random.RandomState(1).standard_normal((8, 3))
    low, high = CorrectedMean.of(values, 0.5).interval()
    for j, column in enumerate(values.T):
        assert_allclose((low[j], high[j]), CorrectedMean.of(column, 0.5).interval())


@pytest.mark.parametrize("values", [[], [0.4]])
def test_fewer_than_two_splits_have_no_error(values):
    found = CorrectedMean.of(values, 0.5)
    assert np.isnan([found.error, *found.interval(), found.p_value()]).all()


def test_equal_values_are_certain():
    assert CorrectedMean.of([0.5] * 4, 0.5).p_value() == 0.0
    assert CorrectedMean.of([0.0] * 4, 0.5).p_value() == 1.0
