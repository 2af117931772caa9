"""Modalities.with_gaps: what goes missing, how often, and what stays."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from skmm import Modalities
from skmm.exceptions import IndexMismatchWarning

N = 20_000
CLASSES = np.random.default_rng(9).choice(["ash", "elm", "oak"], N)


def tables(n=N, n_modalities=3, width=2):
    rng = np.random.default_rng(0)
    return Modalities({f"m{j}": rng.standard_normal((n, width)) for j in range(n_modalities)})


def mask(X):
    return X.missing.to_numpy()


def check_shares(found, expected):
    """Compare shares of missing rows with their chances, within five standard errors."""
    error = np.sqrt(np.maximum(expected * (1 - expected), 1e-9) / len(found))
    assert (np.abs(found.mean(axis=0) - expected) <= 5 * error).all()


def by_hand(n_samples, n_modalities, share, rng, classes=None):
    """Return a mask by the same numbers, written out."""
    chance = np.full((n_samples, n_modalities), share)
    if classes is not None:
        numbers = np.unique(classes, return_inverse=True)[1]
        even = (numbers[:, None] + np.arange(n_modalities)) % 2 == 0
        chance += np.where(even, 1, -1) * 0.8 * min(share, 1 - share)
    found = rng.uniform(size=chance.shape) < chance
    empty = np.flatnonzero(found.all(axis=1))
    found[empty, rng.integers(n_modalities, size=len(empty))] = False
    return found


# How often


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_each_modality_is_missing_with_the_same_chance(share):
    missing = mask(tables().with_gaps(share, random_state=0))
    check_shares(missing, np.full(3, share - share**3 / 3))
    assert not missing.all(axis=1).any()
    rng = np.random.default_rng(4)
    found = mask(tables().with_gaps(share, random_state=np.random.default_rng(4)))
    assert_array_equal(found, by_hand(N, 3, share, rng))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_chance_depends_on_the_class(share):
    X, lean = tables(), 0.8 * min(share, 1 - share)
    for y in (CLASSES, pd.Series(CLASSES), pd.Categorical(CLASSES)):
        found = X.with_gaps(share, mechanism="labels", y=y, random_state=np.random.default_rng(1))
        assert_array_equal(mask(found), by_hand(N, 3, share, np.random.default_rng(1), CLASSES))
    for number, name in enumerate(["ash", "elm", "oak"]):
        chance = share + lean * np.array([1, -1, 1]) * (-1) ** number
        check_shares(mask(found)[name == CLASSES], chance - chance.prod() / 3)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_who_drops_out_does_not_come_back(share):
    missing = mask(tables().with_gaps(share, mechanism="monotone", random_state=0))
    assert (missing[:, :-1] <= missing[:, 1:]).all()
    step = 1.5 - np.sqrt(2.25 - 3 * share)  # h + 1 - (1 - h)² = 3 share
    check_shares(missing, np.array([0.0, step, 1 - (1 - step) ** 2]))
    check_shares(missing.mean(axis=1, keepdims=True), np.array([share]))


def test_all_may_drop_out_at_once():
    missing = mask(tables(50).with_gaps(2 / 3, mechanism="monotone", random_state=0))
    assert_array_equal(missing, np.tile([False, True, True], (50, 1)))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_single_entries_are_missing(share):
    X = tables(width=3).with_gaps(share, mechanism="entries", random_state=0)
    gaps = np.hstack([np.isnan(value) for value in X.values()])
    check_shares(gaps, np.full(9, share - share**9 / 9))
    assert not gaps.all(axis=1).any()
    assert_array_equal(mask(X), gaps.reshape(N, 3, 3).all(axis=2))


def test_entries_of_one_modality_may_be_missing():
    X = tables(400, 1).with_gaps(0.9, mechanism="entries", random_state=0)
    assert not X.missing.any(axis=None)
    assert set(np.isnan(X["m0"]).sum(axis=1)) == {0, 1}


# What stays


def test_what_is_missing_stays_so():
    before = tables().with_missing("m0", slice(None, None, 2)).with_missing("m1", slice(0, None, 4))
    before = before.with_missing(list(before.names), [5, 7])
    after = before.with_gaps(0.7, random_state=0)
    assert (mask(before) <= mask(after)).all()
    assert_array_equal(mask(after).all(axis=1), mask(before).all(axis=1))
    alone = np.flatnonzero(mask(before).sum(axis=1) == 2)
    assert_array_equal(mask(after)[alone], mask(before)[alone])
    two = mask(after)[2::4][:, 1:]  # rows that had two: one of them is lost, or none
    check_shares(two, np.full(2, 0.7 - 0.7**2 / 2))
    for name in before.names:
        observed = ~after.missing[name].to_numpy()
        assert_array_equal(after[name][observed], before[name][observed])
        assert np.isnan(after[name][~observed]).all()


def test_entries_that_are_missing_stay_so():
    values = {name: np.array(value[:200]) for name, value in tables(width=4).items()}
    values["m0"][::3, :3] = np.nan
    values["m1"][:, 1] = values["m0"][:, 0]
    X = Modalities(values).with_missing(["m1", "m2"], [0, 3])
    after = X.with_gaps(0.8, mechanism="entries", random_state=0)
    for name in X.names:
        left = ~np.isnan(after[name])
        assert_array_equal(after[name][left], X[name][left])
    observed = np.hstack([~np.isnan(value) for value in after.values()])
    assert observed.any(axis=1).all()
    assert observed[0, 3]
    assert observed[3, 3]


VALUES = {
    "numeric": np.arange(12.0).reshape(6, 2),
    "single": np.ones((6, 2), dtype=np.float32),
    "whole": np.arange(12).reshape(6, 2),
    "binary": np.ones((6, 3), dtype=bool),
    "count": sp.csr_matrix(np.arange(1, 13).reshape(6, 2)),
    "labels": ["a", "b", "a", "b", "a", "b"],
    "frame": pd.DataFrame({"u": np.arange(6), "v": np.ones(6, bool), "w": np.ones(6)}),
    "nullable": pd.DataFrame({"u": pd.array(range(6), "Int64")}),
    "series": pd.Series(np.arange(6.0)),
    "tokens": np.ones((6, 4), dtype=np.int64),
    "image": np.ones((6, 1, 2, 2), dtype=np.uint8),
}


def of_every_kind():
    kinds = {"count": "count", "tokens": "tokens"}
    return Modalities(VALUES, kinds=kinds, index=[f"s{i}" for i in range(6)])


@pytest.mark.parametrize("mechanism", ["random", "labels", "monotone"])
def test_values_of_every_kind(mechanism):
    X, y = of_every_kind(), np.arange(6) % 2
    found = X.with_gaps(0.5, mechanism=mechanism, y=y, random_state=0)
    assert found.kinds == X.kinds
    assert list(found.index) == list(X.index)
    assert mask(found).any(axis=0).sum() >= 7
    again = Modalities(X, missing=found.missing)
    assert repr(found) == repr(again)
    assert_frame_equal(found["frame"], again["frame"])
    assert_array_equal(found["count"].toarray(), again["count"].toarray())
    for name in ("numeric", "single", "whole", "binary", "labels", "tokens", "image"):
        assert_array_equal(found[name], again[name])
        assert found[name].dtype == X[name].dtype


def test_entries_of_every_kind():
    X = of_every_kind()
    found = X.with_gaps(0.5, mechanism="entries", random_state=0)
    assert found.kinds == X.kinds
    assert list(found.index) == list(found["frame"].index) == list(X.index)
    for name in ("count", "labels", "tokens", "image"):
        assert found[name] is X[name] or np.shares_memory(found[name], X[name])
        assert not found.missing[name].any()
    assert [found[n].dtype for n in ("numeric", "single", "whole", "binary", "series")] == [
        np.float64, np.float32, np.float64, np.float64, np.float64
    ]  # fmt: skip
    assert list(found["frame"].dtypes) == [np.float64] * 3
    assert found["nullable"]["u"].dtype == "Int64"
    for name in ("numeric", "single", "whole", "binary", "series", "frame", "nullable"):
        gaps, before = np.asarray(pd.isna(found[name])), np.asarray(X[name])
        assert gaps.any()
        assert not gaps.all()
        assert_array_equal(np.asarray(found[name])[~gaps].astype(float), before[~gaps])
        assert_array_equal(found.missing[name], gaps.reshape(6, -1).all(axis=1))
    assert np.array_equal(X["numeric"], VALUES["numeric"])


def test_the_seed_decides():
    X = tables(300)
    first = mask(X.with_gaps(0.4, random_state=3))
    assert_array_equal(first, mask(X.with_gaps(0.4, random_state=np.random.RandomState(3))))
    assert (first != mask(X.with_gaps(0.4, random_state=4))).any()
    assert (mask(X.with_gaps(0.4)) != mask(X.with_gaps(0.4))).any()


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 1.0}, r"share must be a number in \[0, 1\), got 1.0"),
        ({"share": -0.1}, r"share must be a number in \[0, 1\)"),
        ({"share": np.nan}, r"share must be a number in \[0, 1\)"),
        ({"share": "half"}, "got 'half'"),
        ({"share": True}, "got True"),
        ({"mechanism": "odd"}, r"mechanism must be one of \('random', 'labels', 'monotone', 'ent"),
        ({"mechanism": "labels"}, "needs the labels: pass y="),
        ({"mechanism": "labels", "y": [0, 1]}, r"10 labels, one per row, got shape \(2,\)"),
        ({"mechanism": "labels", "y": np.arange(10) + 0.5}, "takes classes"),
        ({"mechanism": "monotone", "share": 0.7}, r"first of 3 .* at most 0\.667, got 0\.7"),
    ],
)
def test_arguments_without_meaning(arguments, message):
    with pytest.raises(ValueError, match=message):
        tables(10).with_gaps(**{"share": 0.3} | arguments)


def test_nothing_could_be_missing():
    X = tables(10, 1, 1)
    for mechanism in ("random", "labels", "monotone"):
        with pytest.raises(ValueError, match="one modality: none can be missing"):
            X.with_gaps(0.3, mechanism=mechanism, y=np.arange(10) % 2)
    with pytest.raises(ValueError, match="a single column"):
        X.with_gaps(0.3, mechanism="entries")
    with pytest.raises(ValueError, match=r"X has none: its kinds are \{'a': 'categorical'"):
        Modalities({"a": ["x"] * 4, "b": ["y"] * 4}).with_gaps(0.3, mechanism="entries")


def test_labels_of_other_rows_warn():
    X = Modalities({"a": pd.DataFrame(np.ones((4, 2)), index=list("abcd")), "b": np.ones((4, 2))})
    y = pd.Series([0, 1, 0, 1], index=list("dcba"))
    with pytest.warns(IndexMismatchWarning, match=r"\['y'\] and X have indexes that differ"):
        X.with_gaps(0.3, mechanism="labels", y=y)
    X.with_gaps(0.3, y=y)
