"""The statistics of the benchmark against formulas, and results made from frames."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.model_selection import ShuffleSplit

from skmm import CCA
from skmm.benchmark import Benchmark, Results, Task, corrected_interval, holm
from skmm.benchmark._metrics import COSTS
from skmm.datasets import make_shared_latent


def _frame(values, **columns):
    """Return a frame from a dict {(task, method): values per split} of one metric."""
    rows = [
        {"task": task, "method": method, "split": i, "metric": "accuracy", "value": value}
        for (task, method), of_splits in values.items()
        for i, value in enumerate(of_splits)
    ]
    frame = pd.DataFrame(rows).assign(kind="classify", n_train=80, n_test=20)
    frame["status"] = np.where(frame["value"].isna(), "failed", "ok")
    return frame.assign(**columns)


def _new_against_old(values):
    return _frame({("t", "old"): np.zeros(len(values)), ("t", "new"): values})


@pytest.fixture(scope="module")
def X():
    return make_shared_latent(150, n_features=(4, 3), random_state=0, return_X_y=True)[0]


def test_corrected_interval():
    d, n_train, n_test = np.array([0.3, 0.1, 0.4, 0.2]), 90, 30
    scale = np.sqrt((1 / 4 + n_test / n_train) * np.sum((d - d.mean()) ** 2) / 3)
    reach = stats.t(df=3).ppf(0.95) * scale
    interval = corrected_interval(d, n_train, n_test, confidence=0.9)
    np.testing.assert_allclose(interval, (d.mean() - reach, d.mean() + reach))
    assert np.isnan(corrected_interval([0.3], 90, 30)).all()


def test_corrected_interval_covers_where_the_uncorrected_does_not():
    # Difference of two predictors of a coin, over random splits of the same 60 rows: each split
    # gives the mean of its held-out rows plus an error that all training sets share.
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(300):
        rows = rng.standard_normal(60)
        splits = ShuffleSplit(5, test_size=0.2, random_state=rng.integers(1 << 30)).split(rows)
        values = np.array([rows[test].mean() for _, test in splits])
        for i, n_test in enumerate((12, 0)):
            low, high = corrected_interval(values, 48, n_test)
            covered[i] += low <= 0 <= high
    assert covered[0] / 300 > 0.93
    assert covered[1] < covered[0]


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.2])
def test_p_value_and_interval_say_the_same(shift):
    values = shift + np.linspace(-0.1, 0.1, 6)
    summary = Results.from_frame(_new_against_old(values), baseline="old").summary()
    row = summary.query("method == 'new'").iloc[0]
    assert row["difference"] == pytest.approx(shift)
    np.testing.assert_allclose(
        row[["low", "high"]].astype(float), corrected_interval(values, 80, 20)
    )
    assert (row["p_value"] < 0.05) == (row["low"] > 0 or row["high"] < 0)
    error = np.sqrt((1 / 6 + 20 / 80) * values.var(ddof=1))
    assert row["p_value"] == pytest.approx(2 * stats.t(5).sf(abs(values.mean()) / error))


def test_holm_is_that_of_the_paper():
    # Sorted: .01 × 4, .03 × 3, .04 × 2, .2 × 1, made monotone.
    np.testing.assert_allclose(
        holm([0.01, 0.2, np.nan, 0.03, 0.04]), [0.04, 0.2, np.nan, 0.09, 0.09]
    )
    assert holm([0.9, 0.8]).max() == 1


def test_holm_runs_over_tasks():
    values = {}
    for i, shift in enumerate((0.02, 0.03, 0.04, 0.06, 0.08, 0.1)):
        values[f"t{i}", "old"] = np.zeros(5)
        values[f"t{i}", "new"] = shift + 0.02 * np.linspace(-1, 1, 5)
    rows = Results.from_frame(_frame(values), baseline="old").summary().query("method == 'new'")
    np.testing.assert_allclose(rows["p_holm"], holm(rows["p_value"]))
    sure = rows["p_holm"] < 0.05
    assert 0 < sure.sum() < (rows["p_value"] < 0.05).sum()
    assert rows["outcome"].eq("win").equals(sure)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.2, 0.21, 0.19, 0.2], "win"),
        ([-0.2, -0.21, -0.19, -0.2], "loss"),
        ([0.004, 0.004, 0.003, 0.004], "tie"),  # surely better, by less than matters
        ([0.001, -0.001, 0.0, 0.0005], "tie"),  # inside the margin of .005
        ([0.2, -0.3, 0.1, 0.0], "unclear"),
        ([0.2, np.nan, 0.2, 0.2], "failed"),
    ],
)
def test_outcomes(values, outcome):
    summary = Results.from_frame(_new_against_old(values), baseline="old").summary()
    assert summary.query("method == 'new'")["outcome"].tolist() == [outcome]


def test_margins_can_be_set():
    frame = _new_against_old([0.2, 0.21, 0.19, 0.2])
    summary = Results.from_frame(frame, baseline="old", margin={"accuracy": 0.3}).summary()
    assert summary.query("method == 'new'")["outcome"].tolist() == ["tie"]
    with pytest.raises(ValueError, match=r"margin names \['speed'\]"):
        Results.from_frame(frame, margin={"speed": 1})


def test_lower_is_better_where_it_is():
    frame = _new_against_old([-0.5, -0.51, -0.52, -0.5]).assign(metric="log_loss")
    summary = Results.from_frame(frame, baseline="old").summary()
    assert summary.query("method == 'new'")["outcome"].tolist() == ["win"]


def test_baseline_is_the_best_linear_method():
    frame = _frame(
        {
            ("t", "PLS"): [0.5] * 3,
            ("t", "CCA"): [0.7] * 3,
            ("t", "deep"): [0.8] * 3,
            ("t", "torn"): [0.9, np.nan, 0.9],
        }
    )
    frame["role"] = np.where(frame["method"] == "deep", "deep", "linear")
    summary = Results.from_frame(frame).summary().set_index("method")
    assert summary.index[summary["is_baseline"]].tolist() == ["CCA"]
    assert summary.loc["deep", "baseline"] == "CCA"
    found = Results.from_frame(frame.assign(metric="log_loss")).summary().set_index("method")
    assert found.index[found["is_baseline"]].tolist() == ["PLS"]


def test_ranks_follow_demsar():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 8, (14, 4)) / 10  # with ties
    values = {(f"t{i}", f"m{j}"): [table[i, j]] for i in range(14) for j in range(4)}
    ranks = Results.from_frame(_frame(values)).ranks("accuracy")
    assert ranks.n_tasks == 14
    expected = stats.rankdata(-table, axis=1).mean(axis=0)
    np.testing.assert_allclose([ranks.mean[f"m{j}"] for j in range(4)], expected)
    assert ranks.p_value == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    # Demšar (2006), section 3.2.2: q is 2.569 for four methods, 1.25 the critical difference.
    assert ranks.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    few = {key: v for key, v in values.items() if int(key[0][1:]) < 7}
    assert Results.from_frame(_frame(few)).ranks("accuracy") is None


def test_what_failed_shares_the_last_ranks():
    found = {"good": 0.9, "bad": 0.1, "broken": np.nan, "torn": np.nan}
    values = {(f"t{i}", name): [value] for i in range(8) for name, value in found.items()}
    mean = Results.from_frame(_frame(values)).ranks("accuracy").mean
    assert mean == {"good": 1.0, "bad": 2.0, "broken": 3.5, "torn": 3.5}


def test_win_tie_loss_counts():
    values = {(task, "old"): np.zeros(4) for task in "abc"}
    values["a", "new"] = [0.2, 0.21, 0.19, 0.2]
    values["b", "new"] = [-0.2, -0.21, -0.2, -0.2]
    values["c", "new"] = [0.1, np.nan, 0.1, 0.1]
    table = Results.from_frame(_frame(values), baseline="old").win_tie_loss()
    assert table.loc["new"].to_dict() == {"wins": 1, "ties": 0, "unclear": 0, "losses": 2}


# Frames and merging


def test_frames_go_round(X, tmp_path):
    benchmark = Benchmark({"a": CCA(1), "b": CCA(2)}, Task("t", X), baseline="a")
    benchmark.run().to_csv(tmp_path / "results.csv", index=False)
    frame = pd.read_csv(tmp_path / "results.csv", keep_default_na=False, na_values=[""])
    read = Results.from_frame(frame, baseline="a")
    pd.testing.assert_frame_equal(read.summary(), benchmark.summary(), check_dtype=False)


def test_merging(X):
    task = Task("t", X)
    parts = [Benchmark({name: CCA(k)}, task, control=False) for name, k in (("a", 1), ("b", 2))]
    for part in parts:
        part.run()
    merged = parts[0].merge(parts[1])
    frame = Benchmark({"a": CCA(1), "b": CCA(2)}, task, control=False).run()
    found, expected = (f[~f["metric"].isin(COSTS)] for f in (merged.results_, frame))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected.reset_index(drop=True))
    other = Benchmark({"a": CCA(1)}, Task("t", X[:100]), control=False)
    other.run()
    with pytest.raises(ValueError, match="different data"):
        merged.merge(other)


def test_frames_that_lack_something():
    with pytest.raises(ValueError, match=r"lacks the columns \['value'\]"):
        Results.from_frame(pd.DataFrame(columns=["task", "method", "split", "metric"]))
    frame = _frame({("t", "a"): [0.5]})
    with pytest.raises(ValueError, match="1 rows twice"):
        Results.from_frame(pd.concat([frame, frame]))
    with pytest.raises(ValueError, match="kind='guess'"):
        Results.from_frame(frame.assign(kind="guess"))
    with pytest.raises(ValueError, match="baseline='b' is not a method"):
        Results.from_frame(frame, baseline="b")


def test_results_do_not_exist_before_run(X):
    with pytest.raises(AttributeError, match=r"call run\(\) first"):
        Benchmark({"CCA": CCA()}, Task("t", X)).summary()
