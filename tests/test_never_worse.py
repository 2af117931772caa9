"""The judge of `benchmarks/never_worse.py`: figures, verdicts, rivals, results that are kept."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score

from skmm import Modalities
from skmm.datasets import load_digits_halves

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import never_worse
import never_worse_data as data
import never_worse_rivals as rivals
from never_worse_verdicts import judge, summary, table, verdict_of

sys.path.pop(0)


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits_halves()
    rows = np.flatnonzero(bunch.target < 3)
    return data.Case(bunch.data[rows], np.asarray(bunch.target)[rows].astype(int))


def test_the_interval_is_that_of_nadeau_and_bengio():
    ours, linear = np.array([0.5, 0.6, 0.4, 0.55]), np.array([0.45, 0.5, 0.42, 0.5])
    verdict = judge(ours, {"weak": linear - 0.2, "strong": linear}, "R² a", 0.25)
    gains = ours - linear
    reach = stats.t.ppf(0.975, 3) * np.sqrt((1 / 4 + 0.25) * gains.var(ddof=1))
    assert verdict.rival == "strong"
    assert verdict.margin == 0.01
    np.testing.assert_allclose(
        [verdict.gain, verdict.low, verdict.high],
        [gains.mean(), gains.mean() - reach, gains.mean() + reach],
    )


def test_less_is_better_for_losses():
    verdict = judge([0.9, 1.0], {"high": [1.2, 1.3], "low": [1.0, 1.1]}, "log-loss", 0.3)
    assert (verdict.rival, verdict.verdict) == ("low", "better")
    assert verdict.gain == pytest.approx(0.1)
    assert verdict.margin == pytest.approx(0.03 * 1.05)


@pytest.mark.parametrize(
    ("gain", "low", "expected"),
    [
        (0.03, 0.01, "better"),
        (0.0, 0.0, "passes"),
        (-0.009, -0.029, "passes"),
        (-0.009, -0.031, "unsure"),
        (0.05, -0.031, "unsure"),
        (-0.011, -0.012, "below"),
        (np.nan, np.nan, "failed"),
        (0.0, np.nan, "unsure"),
    ],
)
def test_words_of_verdicts(gain, low, expected):
    assert verdict_of(gain, low, 0.01) == expected


def test_a_failed_split_fails_the_cell_and_the_summary_counts():
    rows = [
        ({"n": 300, "figure": "R² a"}, judge([0.5, 0.6], {"ridge": [0.3, 0.4]}, "R² a", 0.1)),
        ({"n": 30, "figure": "nats"}, judge([0.5, np.nan], {"ridge": [0.3, 0.4]}, "nats", 0.1)),
    ]
    assert [verdict.verdict for _, verdict in rows] == ["better", "failed"]
    first = summary("Model", table(rows)).splitlines()[0]
    assert first == (
        "Model: 1 of 2 cells pass; certainly better in 1 of the 1 with at least 300 rows"
    )


def test_sets_are_few_and_three_are_kept_aside():
    for task, sets in data.DATA.items():
        assert len(sets) <= 10
        aside = set(data.names_of(task, aside=True))
        assert aside == set(data.ASIDE[task])
        assert len(aside) == 3
        assert aside.isdisjoint(data.names_of(task, aside=False))


def test_splits_are_disjoint_and_their_gaps_known(digits):
    case = data.Case(Modalities({**dict(digits.X.items()), "row": np.arange(len(digits.X))}))
    found = data.split_of(case, 60, 0.3, 0)
    train, test = (np.asarray(part.X["row"]) for part in (found.train, found.test))
    assert (len(train), len(test)) == (60, len(case.X) // 4)
    hidden = found.test.X.missing.to_numpy()
    assert 0.2 < hidden.mean() < 0.4
    assert not found.truth.missing.to_numpy().any()
    assert set(found.truth["row"]).isdisjoint(train[~found.train.X.missing["row"].to_numpy()])
    again = data.split_of(case, 30, 0.3, 0)
    np.testing.assert_array_equal(again.test.X.missing, hidden)


def test_targets_of_samplers_stay(digits):
    case = data.Case(Modalities({**dict(digits.X.items()), "y": digits.y}), target="y")
    missing = data.with_gaps(case, 0.3, 0).X.missing
    assert not missing["y"].any()
    assert missing["left"].any()
    assert not missing[["left", "right"]].all(axis=1).any()


def test_sizes_end_with_all_rows(digits):
    assert len(digits.X) == 537
    assert data.sizes(digits) == [30, 60, 120, 300, 403]
    assert data.sizes(digits[np.arange(160)]) == [30, 60, 120]


def test_r2_is_that_of_standardised_columns():
    rng = np.random.default_rng(0)
    known, truth, noise = (rng.standard_normal((20, 3)) * [1, 10, 100] for _ in range(3))
    known -= known.mean(axis=0) - truth.mean(axis=0)  # so that both means are the same
    weights = truth.var(axis=0) / known.var(axis=0)
    expected = np.average(r2_score(truth, truth + noise, multioutput="raw_values"), weights=weights)
    assert rivals.r2(truth, truth + noise, known) == pytest.approx(expected)


def test_ridge_per_pattern_of_complete_rows_is_ridge(digits):
    split = data.split_of(digits, 60, 0.0, 0)
    figures = rivals.ridge_per_pattern(split)
    train, test = (np.asarray(X["left"], float) for X in (split.train.X, split.test.X))
    varies = train.std(axis=0) > 0
    scale = train.std(axis=0)[varies] * np.sqrt(varies.sum())
    A, B = ((part[:, varies] - train.mean(axis=0)[varies]) / scale for part in (train, test))
    y = np.asarray(split.train.X["right"], float)
    unit = np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0)
    guess = RidgeCV(rivals.PENALTIES).fit(A, y / unit).predict(B) * unit
    expected = rivals.r2(split.test.X["right"], guess, y)
    assert figures["R² right"] == pytest.approx(expected, abs=1e-8)
    assert expected > 0.1


def test_stacking_is_the_mean_over_the_modalities_of_a_row(digits):
    split = data.split_of(digits, 60, 0.3, 0)
    classes = np.arange(3)
    parts = [rivals.one_modality(name, classes, split) for name in ("left", "right")]
    hidden = split.test.X.missing.to_numpy()
    for column, part in enumerate(parts):
        np.testing.assert_array_equal(np.isnan(part).all(axis=1), hidden[:, column])
        np.testing.assert_allclose(np.nansum(part, axis=1)[~hidden[:, column]], 1.0)
    mean = np.where(hidden[:, [0]], parts[1], np.where(hidden[:, [1]], parts[0], sum(parts) / 2))
    assert rivals.stacking(split) == rivals.of_classes(mean, classes, split)


def test_a_class_with_one_member_has_no_folds():
    assert isinstance(rivals.tuned_logistic(np.array([0, 0, 1])), LogisticRegression)


def test_results_are_kept_and_forgotten(tmp_path, digits):
    path, calls = tmp_path / "found.jsonl", []

    def method(split):
        calls.append(split.seed)
        if split.seed == 1:
            raise ValueError("no")
        return {"accuracy": 0.5}

    cell = never_worse.Cell("classify", "digits halves", 30, 0.0)
    never_worse.run(cell, {"m": method}, never_worse.Results(path), 2)
    with path.open("a") as file:
        file.write('{"data": "torn')
    never_worse.run(cell, {"m": method}, never_worse.Results(path), 3)
    assert calls == [0, 1, 2]
    results = never_worse.Results(path)
    assert results[cell.keys("m", 3)[1]]["error"] == "ValueError: no"
    assert results[cell.keys("m", 3)[2]]["figures"] == {"accuracy": 0.5}
    results.forget(cell.keys("m", 1))
    assert [json.loads(line)["split"] for line in path.read_text("utf-8").splitlines()] == [1, 2]
    never_worse.run(cell, {"m": method}, never_worse.Results(path), 3)
    assert calls == [0, 1, 2, 0]
