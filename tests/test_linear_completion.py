"""Missing numbers as they are to be expected given the rest of a row."""

import numpy as np
import pytest

from skmm import Modalities, check_modalities
from skmm._linear._columns import fit_columns
from skmm._linear._completion import completed, unknown

SHAPES = {"a": (2,), "b": (), "label": ()}


class Reader:
    """Something that data can be checked for."""


def checked(values):
    X = check_modalities(Reader(), Modalities(values), reset=True, allow_partial=True)
    return X


def related(n=400, seed=0):
    """Return a, and b that is 3 + a₀ - 2 a₁ with hardly any noise."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((n, 2))
    return a, 3 + a @ [1.0, -2.0] + 1e-4 * rng.standard_normal(n)


def test_gaps_are_filled_by_the_linear_relation():
    a, b = related()
    columns = fit_columns(checked({"a": a, "b": b}), {})
    holes = {"a": a.copy(), "b": b.copy()}
    holes["b"][:5] = np.nan
    holes["a"][7, 1] = np.nan
    X = checked(holes)
    found = completed(X, columns, SHAPES)
    np.testing.assert_allclose(found["b"], b, atol=0.02)
    np.testing.assert_allclose(found["a"], a, atol=0.02)
    np.testing.assert_array_equal(found.missing, X.missing)  # it stays known what was missing
    np.testing.assert_array_equal(found["a"][~np.isnan(holes["a"])], a[~np.isnan(holes["a"])])
    assert np.isnan(X["b"][:5]).all()


def test_complete_rows_are_returned_and_absent_modalities_are_added():
    a, b = related()
    X = checked({"a": a.astype(np.float32), "b": b})
    columns = fit_columns(X, {})
    assert completed(X, columns, SHAPES) is X
    found = completed(X.select(["a"]), columns, SHAPES)
    np.testing.assert_allclose(found["b"], b, atol=0.02)
    assert found.missing["b"].all()
    assert not found.missing["a"].any()
    lacking = completed(X.with_missing("a", [0]), columns, SHAPES)
    assert lacking["a"].dtype == np.float32


def test_labels_stay_missing():
    a, b = related()
    X = checked({"a": a, "b": b, "label": (b > 3).astype(int)})
    columns = fit_columns(X, {"label": 2})
    found = completed(X.with_missing(["a", "label"], [0, 1]), columns, SHAPES)
    np.testing.assert_array_equal(found["label"], X.with_missing("label", [0, 1])["label"])
    assert not np.isnan(found["a"]).any()


@pytest.mark.parametrize("lacking", [["a"], ["b"], ["a", "b"]])
def test_what_is_not_known_has_the_conditional_covariance(lacking):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((5000, 3)) @ rng.standard_normal((3, 3))
    X = checked({"a": rows[:, :2], "b": rows[:, 2]})
    columns = fit_columns(X, {})
    Z = columns.matrix(X)
    S, hidden = np.cov(Z.T, ddof=0), np.array(["a" in lacking] * 2 + ["b" in lacking])
    expected = np.zeros((3, 3))
    expected[np.ix_(hidden, hidden)] = S[np.ix_(hidden, hidden)]
    if not hidden.all():  # the Schur complement
        B = S[np.ix_(hidden, ~hidden)]
        expected[np.ix_(hidden, hidden)] -= B @ np.linalg.inv(S[np.ix_(~hidden, ~hidden)]) @ B.T
    found = unknown(columns, lacking)
    np.testing.assert_allclose(found.T @ found, expected, atol=2e-3)


def test_of_a_complete_row_all_is_known():
    a, b = related()
    columns = fit_columns(checked({"a": a, "b": b}), {})
    assert unknown(columns, []).shape == (0, 3)
