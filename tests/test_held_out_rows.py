"""Validation rows: how many of each class."""

import numpy as np
import pytest

from skmm import MultimodalClassifier
from skmm._deep._split import held_out_rows


def column(*counts):
    return np.repeat(np.arange(len(counts)), counts)[:, None]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("counts", "n_valid", "expected"),
    [
        ((39, 6), 5, (4, 1)),  # the nearest to the shares 4.3 and .7
        ((42, 3), 5, (4, 1)),  # a share of .3 still has one
        ((50, 50, 50), 15, (5, 5, 5)),
        ((1, 44), 5, (0, 5)),  # a single row is for training
        ((2, 43), 5, (1, 4)),
        ((10, 10, 10, 10), 4, (1, 1, 1, 1)),
        ((30, 60, 10), 10, (3, 6, 1)),
    ],
)
def test_each_class_has_its_share(counts, n_valid, expected, seed):
    labels = column(*counts)
    rows = held_out_rows(len(labels), n_valid, np.random.RandomState(seed), labels)
    assert np.bincount(labels[rows, 0], minlength=len(counts)).tolist() == list(expected)
    assert (np.diff(rows) > 0).all()


def test_with_more_classes_than_rows_none_is_preferred():
    labels, n_drawn = column(*[2] * 40, 120), 0
    for seed in range(200):
        rows = held_out_rows(200, 20, np.random.RandomState(seed), labels)
        assert len(rows) == 20
        n_drawn += (labels[rows, 0] == 40).sum()
    assert abs(n_drawn / 200 - 12) < 1.5  # its share of 20


@pytest.mark.parametrize("seed", range(5))
def test_of_several_labels_each_is_in_both_parts(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((100, 4)) < [0.05, 0.1, 0.3, 0.5]).astype(int)
    labels[:2, 0] = 1
    rows = held_out_rows(100, 20, np.random.RandomState(seed), labels)
    rest = np.setdiff1d(np.arange(100), rows)
    for part in (rows, rest):
        assert ((labels[part] == 0).any(axis=0) & (labels[part] == 1).any(axis=0)).all()
    assert len(rows) == 20


def test_rows_are_random_within_a_class():
    labels, times = column(30, 10), np.zeros(40)
    for seed in range(400):
        times[held_out_rows(40, 8, np.random.RandomState(seed), labels)] += 1
    assert abs(times / 400 - 0.2).max() < 0.08  # four standard errors


def test_without_labels_rows_are_in_random_order():
    expected = np.sort(np.random.RandomState(0).permutation(50)[:7])
    np.testing.assert_array_equal(held_out_rows(50, 7, np.random.RandomState(0)), expected)


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "f1"])
def test_scores_of_a_rare_class_can_choose_the_epoch(scoring):
    X = np.random.default_rng(0).normal(size=(45, 8))
    y = np.r_[np.zeros(39, int), np.ones(6, int)]
    for seed in range(5):
        model = MultimodalClassifier(max_epochs=1, random_state=seed, scoring=scoring).fit(X, y)
        assert np.isfinite(model.history_["valid_score"]).all()


def test_scores_of_rare_labels_can_choose_the_epoch():
    rng = np.random.default_rng(0)
    y = (rng.random((60, 3)) < [0.1, 0.3, 0.5]).astype(int)
    y[:3, 0] = 1
    for seed in range(5):
        params = {"max_epochs": 1, "random_state": seed, "validation_fraction": 0.2}
        MultimodalClassifier(scoring="roc_auc", **params).fit(rng.normal(size=(60, 4)), y)
