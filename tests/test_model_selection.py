"""The splitter for missing modalities: laws of every split, and scikit-learn's own KFold."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv, cross_validate

from skmm import CCA, Modalities
from skmm.metrics import get_scorer
from skmm.model_selection import MissingModalitySplit

NAMES = ("a", "bee", "c")


def make_data(n=50, seed=0, missing=0.15):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 1))
    gone = rng.random((n, 3)) < missing
    gone[gone.all(axis=1), 0] = False
    values = {name: z + rng.standard_normal((n, 2)) for name in NAMES}
    return Modalities(values, missing=gone), gone


def assert_same_folds(first, second):
    for one, other in zip(first, second, strict=True):
        for rows, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    ("modalities", "columns"), [(None, [0, 1, 2]), ("bee", [1]), (["a", "c"], [0, 2])]
)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_laws_of_every_split(seed, shuffle, modalities, columns):
    X, gone = make_data(seed=seed)
    complete = {i for i in range(len(X)) if not any(gone[i, m] for m in columns)}
    assert len(complete) < len(X)
    cv = MissingModalitySplit(4, modalities=modalities, shuffle=shuffle, random_state=seed)
    folds = list(cv.split(X))
    assert len(folds) == cv.get_n_splits(X) == 4
    for train, test in folds:
        assert set(test) <= complete
        assert sorted([*train, *test]) == list(range(len(X)))
    tested = [row for _, test in folds for row in test]
    assert sorted(tested) == sorted(complete)
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shuffle", [True, False])
def test_complete_data_are_split_as_by_kfold(shuffle):
    X, _ = make_data(missing=0)
    own = MissingModalitySplit(3, shuffle=shuffle, random_state=7).split(X)
    theirs = KFold(3, shuffle=shuffle, random_state=7 if shuffle else None).split(np.zeros(50))
    assert_same_folds(own, theirs)


def test_frames_with_nan_rows_are_split_as_modalities():
    X, _ = make_data()
    frame = X.to_frame()
    frame.index = [f"sample {i}" for i in range(len(frame))][::-1]
    cv = MissingModalitySplit(3, modalities=["a", "bee"], random_state=0)
    assert_same_folds(cv.split(X), cv.split(frame))


def test_a_part_of_a_modality_is_not_missing():
    values = np.ones((6, 2))
    values[0, 0], values[1] = np.nan, np.nan
    frame = pd.concat({"a": pd.DataFrame(values), "b": pd.DataFrame(np.ones((6, 1)))}, axis=1)
    tested = [row for _, test in MissingModalitySplit(5).split(frame) for row in test]
    assert sorted(tested) == [0, 2, 3, 4, 5]


def test_the_order_follows_from_random_state_alone():
    X, _ = make_data()
    before = np.random.get_state()  # noqa: NPY002
    folds = [[t.tolist() for _, t in MissingModalitySplit(3).split(X)] for _ in range(2)]
    after = np.random.get_state()  # noqa: NPY002
    assert before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])
    assert folds[0] != folds[1]
    cv = MissingModalitySplit(3, random_state=0)
    assert_same_folds(cv.split(X), cv.split(X))
    other = MissingModalitySplit(3, random_state=np.random.RandomState(0))
    assert_same_folds(cv.split(X), other.split(X))
    plain = MissingModalitySplit(3, shuffle=False)
    tested = np.concatenate([test for _, test in plain.split(X)])
    assert (np.diff(tested) > 0).all()


def test_it_is_a_splitter_of_scikit_learn():
    X, gone = make_data(60)
    cv = MissingModalitySplit(3, modalities=["a"], random_state=0)
    assert check_cv(cv) is cv
    assert repr(cv).startswith("MissingModalitySplit(modalities=['a'], n_splits=3")
    result = cross_validate(
        CCA(1),
        X,
        np.arange(60),  # labels are not asked for
        cv=cv,
        scoring={name: get_scorer(name) for name in ("cross_reconstruction", "foscttm")},
        return_indices=True,
    )
    assert_same_folds(zip(*result["indices"].values(), strict=True), cv.split(X))
    for (train, test), score in zip(cv.split(X), result["test_foscttm"], strict=True):
        assert not gone[test, 0].any()
        model = clone(CCA(1)).fit(X[train])
        assert get_scorer("foscttm")(model, X[test]) == pytest.approx(score)


def test_too_few_complete_rows():
    X = Modalities({"a": np.ones((6, 1)), "b": np.ones((6, 1))}).with_missing("b", [0, 1, 2])
    assert [len(test) for _, test in MissingModalitySplit(3).split(X)] == [1, 1, 1]
    with pytest.raises(ValueError, match=r"n_splits=4 folds need as many .* there are 3"):
        list(MissingModalitySplit(4).split(X))
    assert len(list(MissingModalitySplit(4, modalities="a").split(X))) == 4


@pytest.mark.parametrize("n_splits", [0, 1, 2.5, "3", None])
def test_n_splits_must_be_an_integer_of_two_or_more(n_splits):
    X, _ = make_data()
    with pytest.raises(ValueError, match=r"n_splits=2 or more|must be of Integral type"):
        list(MissingModalitySplit(n_splits).split(X))


def test_names_of_modalities_are_checked():
    X, _ = make_data()
    with pytest.raises(ValueError, match=r"names \['be'\], but there are \['a', 'bee', 'c'\]"):
        list(MissingModalitySplit(3, modalities="be").split(X))
    with pytest.raises(ValueError, match="names none"):
        list(MissingModalitySplit(3, modalities=[]).split(X))


def test_data_without_names_are_refused():
    X, _ = make_data()
    for nameless in (X["a"], pd.DataFrame(X["a"]), dict(X.items()), [[1.0], [2.0]]):
        with pytest.raises(TypeError, match=r"names of modalities.*For arrays: Modalities"):
            list(MissingModalitySplit(3).split(nameless))
