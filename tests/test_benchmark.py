"""The benchmark: cells, statistics, verdicts, reports, command line."""

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSCanonical
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from skmm import CCA, Modalities
from skmm.benchmark import (
    PLS,
    Benchmark,
    BlockScaler,
    NotApplicable,
    Task,
    corrected_interval,
    run_suite,
    shuffle_pairs,
)
from skmm.benchmark._cells import seeded
from skmm.benchmark._cli import app
from skmm.benchmark._methods import METHODS
from skmm.benchmark._metrics import METRICS, modality_codes
from skmm.benchmark._panels import make_panel
from skmm.benchmark._tasks import SUITES, Source, load_suite
from skmm.compose import ConcatModalities, PerModality
from skmm.datasets import make_shared_latent
from skmm.metrics import foscttm, recall_at_k


class Broken(BaseEstimator):
    def fit(self, X, y=None):
        raise RuntimeError("<b>no luck</b>")


class OftenBroken(CCA):
    """Fails on the splits whose first training row is even."""

    def fit(self, X, y=None, sample_weight=None):
        if int(X["modality0"][0, 0] * 1e6) % 2:
            raise RuntimeError("odd")
        return super().fit(X)


class Cheat(TransformerMixin, BaseEstimator):
    """Has seen all pairs before, so that shuffling the training pairs does not matter to it."""

    def __init__(self, known):
        self.known = known

    def fit(self, X, y=None):
        self.cca_ = CCA(2).fit(self.known)
        return self

    def transform(self, X):
        return self.cca_.transform(X)

    def transform_each(self, X):
        # In-sample codes of the true pairs, whatever pairing comes in.
        rows = {tuple(row): i for i, row in enumerate(self.known["modality0"])}
        order = [rows[tuple(row)] for row in X["modality0"]]
        return self.cca_.transform_each(self.known[np.array(order)])


@pytest.fixture(scope="module")
def data():
    return make_shared_latent(
        300,
        correlations=(0.95, 0.8),
        n_features=(5, 4),
        n_classes=3,
        random_state=0,
        return_X_y=True,
    )


@pytest.fixture(scope="module")
def task(data):
    return Task("simulated", *data, n_components=2, metrics=tuple(METRICS))


@pytest.fixture(scope="module")
def benchmark(task):
    methods = {
        "CCA": GridSearchCV(
            make_pipeline(PerModality(StandardScaler()), CCA(2)),
            {"cca__shrinkage": [0.0, 0.1]},
            cv=2,
        ),
        "PLS": lambda task: PLS(task.n_components),
        "PCA": make_pipeline(ConcatModalities(), PCA(2)),
        "broken": Broken(),
    }
    benchmark = Benchmark(methods, [task], notes=["<i>a note</i>"], command="run me")
    benchmark.run()
    return benchmark


def _values(benchmark, method, metric):
    frame = benchmark.results_
    return frame[(frame["method"] == method) & (frame["metric"] == metric)]


def test_frame_is_tidy(benchmark, task):
    frame = benchmark.results_
    n_methods = len(benchmark.methods) + 1  # the control
    assert len(frame) == n_methods * 5 * len(task.measured)
    assert not frame.duplicated(["task", "method", "split", "metric"]).any()
    assert (frame["n_train"] == 240).all()
    assert (frame["n_test"] == 60).all()
    assert frame.groupby("split")["seed"].nunique().eq(1).all()
    assert frame["seed"].nunique() == 5


def test_figures_are_those_of_the_parts(benchmark, data):
    X, y = data
    splits = ShuffleSplit(5, test_size=0.2, random_state=0).split(np.zeros(len(X)))
    expected = {name: [] for name in ("total_correlation", "foscttm", "recall_at_10", "probe")}
    for train, test in splits:
        search = benchmark.methods["CCA"]
        fitted = seeded(search, 0).fit(X[train])
        codes = list(modality_codes(fitted, X[test]).values())
        expected["total_correlation"].append(fitted.score(X[test]))
        expected["foscttm"].append(foscttm(*codes))
        expected["recall_at_10"].append(recall_at_k(*codes, k=10))
        probe = make_pipeline(StandardScaler(), LogisticRegression())
        probe.fit(fitted.transform(X[train]), y[train])
        expected["probe"].append(probe.score(fitted.transform(X[test]), y[test]))
    for name, values in expected.items():
        metric = "probe_accuracy" if name == "probe" else name
        np.testing.assert_allclose(_values(benchmark, "CCA", metric)["value"], values, atol=1e-12)


def test_chance(benchmark, data):
    chance = benchmark.results_.groupby("metric")["chance"].mean()
    assert chance["total_correlation"] == 0
    assert chance["recall_at_1"] == pytest.approx(1 / 60)
    assert chance["recall_at_10"] == pytest.approx(10 / 60)
    assert chance["mean_reciprocal_rank"] == pytest.approx(np.mean(1 / np.arange(1, 61)))
    assert chance["foscttm"] == pytest.approx(0.5)
    assert np.isnan(chance["fit_seconds"])
    _, y = data
    guesses = [
        DummyClassifier().fit(y[train], y[train]).score(y[test], y[test])
        for train, test in ShuffleSplit(5, test_size=0.2, random_state=0).split(y)
    ]
    np.testing.assert_allclose(_values(benchmark, "CCA", "probe_accuracy")["chance"], guesses)


def test_what_a_method_lacks_is_undefined_and_not_zero(benchmark):
    rows = _values(benchmark, "PCA", "total_correlation")
    assert (rows["status"] == "undefined").all()
    assert rows["value"].isna().all()
    assert _values(benchmark, "PCA", "probe_accuracy")["status"].eq("ok").all()
    row = next(line for line in benchmark.to_markdown().splitlines() if line.startswith("| PCA"))
    assert row.split("|")[2].strip() == "–"


def test_failures_are_recorded(benchmark):
    rows = benchmark.results_[benchmark.results_["method"] == "broken"]
    assert (rows["status"] == "failed").all()
    assert rows["error"].str.contains("RuntimeError: <b>no luck</b>").all()
    assert benchmark.summary().set_index("method").loc["broken", "n_failed"].eq(5).all()
    markdown, html = benchmark.to_markdown(), benchmark.to_html()
    assert "RuntimeError: <b>no luck</b>" in markdown
    assert "RuntimeError: &lt;b&gt;no luck&lt;/b&gt;" in html
    assert "<b>no luck" not in html
    assert "splits 1, 2, 3, 4, 5" in html


def test_a_method_that_fails_on_some_splits_cannot_win(task):
    benchmark = Benchmark({"weak": CCA(1), "often": OftenBroken(2)}, [task], control=False)
    frame = benchmark.run()
    failed = frame[(frame["method"] == "often") & (frame["metric"] == "foscttm")]["status"]
    n_failed = int((failed == "failed").sum())
    assert 0 < n_failed < 5
    assert f"({n_failed} of 5 failed)" in benchmark.to_markdown()
    assert all(v.best == "weak" for s in benchmark.report().sections() for v in s.verdicts)


def test_control_is_at_chance(benchmark):
    checks = benchmark.control_checks()
    assert set(checks["metric"]) == {name for name, m in METRICS.items() if m.exact_chance}
    assert checks["passed"].eq(True).all()
    total = checks.set_index("metric").loc["total_correlation", "value"]
    assert abs(total) < 0.5
    assert _values(benchmark, "CCA", "total_correlation")["value"].mean() > 1.5
    assert "at chance, as it must be" in benchmark.to_markdown()


def test_control_exposes_figures_that_do_not_depend_on_training(task):
    benchmark = Benchmark({"cheat": Cheat(task.X)}, [task])
    benchmark.run()
    checks = benchmark.control_checks().set_index("metric")["passed"]
    assert not checks["total_correlation"]
    assert not checks["foscttm"]
    assert "NOT at chance" in benchmark.to_markdown()
    assert "do not trust" in benchmark.to_html()


def test_shuffle_pairs_keeps_rows_and_masks():
    rng = np.random.default_rng(0)
    parts = {name: rng.standard_normal((50, 2)) for name in "abc"}
    X = Modalities(parts).with_missing("b", rows=[3, 4])
    shuffled = shuffle_pairs(X, random_state=1)
    np.testing.assert_array_equal(shuffled["a"], X["a"])
    for name in "bc":
        assert not np.array_equal(shuffled[name], X[name], equal_nan=True)
        np.testing.assert_array_equal(np.sort(shuffled[name], axis=0), np.sort(X[name], axis=0))
    missing = np.isnan(shuffled["b"]).all(axis=1)
    np.testing.assert_array_equal(shuffled.missing["b"], missing)
    assert missing.sum() == 2
    assert shuffled.kinds == X.kinds


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


def test_differences_are_paired(benchmark):
    summary = benchmark.summary().set_index(["method", "metric"])
    row = summary.loc[("PLS", "foscttm")]
    difference = (
        _values(benchmark, "PLS", "foscttm")["value"].to_numpy()
        - _values(benchmark, "CCA", "foscttm")["value"].to_numpy()
    )
    assert row["difference"] == pytest.approx(difference.mean())
    np.testing.assert_allclose(
        row[["low", "high"]].astype(float), corrected_interval(difference, 240, 60)
    )
    assert summary.loc["CCA", "difference"].isna().all()


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ([2.0, 2.1, 2.2, 2.1, 2.0], "other beats CCA"),
        ([1.3, 0.6, 1.4, 1.5, 1.1], "No clear winner. other has the best mean"),
        ([0.2, 0.1, 0.2, 0.1, 0.0], "CCA is ahead of all"),
    ],
)
def test_verdicts_are_honest(benchmark, task, other, text):
    frame = _values(benchmark, "CCA", "total_correlation").assign(value=[1.0, 1.1, 1.0, 0.9, 1.0])
    made = Benchmark({"CCA": CCA(), "other": CCA()}, [task], control=False)
    made.results_ = pd.concat([frame, frame.assign(method="other", value=other)])
    made.provenance_, made._warnings = {}, {}
    found = made.report().sections()[0].verdicts[0]
    assert found.text.startswith(text)
    assert found.decided == ("No clear" not in text)
    low = made.summary()["low"].iloc[1]
    assert METRICS["total_correlation"].text(low, sign=True) in found.text
    assert ("includes 0" in found.text) != found.decided


def test_lower_is_better_where_it_is(task):
    benchmark = Benchmark({"CCA": CCA(2), "PLS": PLS(2)}, [task], control=False)
    frame = benchmark.run()
    means = frame[frame["metric"] == "foscttm"].groupby("method")["value"].mean()
    table = benchmark.report().sections()[0].means
    column = table.header.index("FOSCTTM")
    strong = [method for method, entries in table.rows if entries[column].strong]
    assert strong == [means.idxmin()]


def test_csv_markdown_and_html_agree_with_the_frame(benchmark, tmp_path):
    paths = benchmark.save(tmp_path / "new")
    read = pd.read_csv(paths["csv"], keep_default_na=False, na_values=[""])
    expected = benchmark.results_.replace({"error": {"": np.nan}})
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)
    markdown, html, summary = benchmark.to_markdown(), benchmark.to_html(), benchmark.summary()
    assert paths["markdown"].read_text("utf-8") == markdown
    assert paths["html"].read_text("utf-8") == html
    for row in summary[summary["status"] == "ok"].itertuples():
        text = METRICS[row.metric].text(row.mean) + " ± " + METRICS[row.metric].text(row.std)
        assert text in markdown
        assert text in html


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "poster")]
        if tag not in ("meta", "line", "circle", "br", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass


def test_html_is_one_well_formed_page_without_external_files(benchmark):
    html = benchmark.to_html()
    links = Links()
    links.feed(html)
    assert links.open == []
    assert links.found == ["#failures"]
    assert not re.search(r"https?://|@import|url\(|<script|<link|<img", html)
    assert "&lt;i&gt;a note" in html
    assert "run me" in html
    assert html.index("total correlation") < html.index("<table")


def test_panels_place_values_in_proportion(benchmark):
    frame = benchmark.results_
    panel = make_panel(METRICS["total_correlation"], frame, "CCA", benchmark.control_name)
    values = _values(benchmark, "CCA", "total_correlation")["value"]
    strips = {strip.method: strip for strip in panel.strips}
    dots = strips["CCA"].dots
    np.testing.assert_allclose(np.corrcoef(values, dots)[0, 1], 1, atol=1e-4)
    assert all(0 <= dot <= 100 for strip in panel.strips for dot in strip.dots)
    assert strips["PCA"].mean is None
    assert strips["CCA"].mean == panel.baseline
    assert strips[benchmark.control_name].mean < strips["PLS"].mean
    assert 2 <= len(panel.ticks) <= 6


def test_random_states_that_are_open_are_set():
    estimator = make_pipeline(PCA(), PCA(random_state=3))
    first, second = seeded(estimator, 0), seeded(estimator, 1)
    assert first[0].random_state != second[0].random_state
    assert first[1].random_state == second[1].random_state == 3
    assert estimator[0].random_state is None


def test_same_seed_same_figures_in_any_number_of_processes(task):
    frames = []
    for n_jobs in (1, 2):
        benchmark = Benchmark({"CCA": CCA(2)}, [task], random_state=4)
        frames.append(benchmark.run(n_jobs=n_jobs).query("metric != 'fit_seconds'"))
    pd.testing.assert_frame_equal(*frames)
    other = Benchmark({"CCA": CCA(2)}, [task], random_state=5).run()
    assert not other.query("metric != 'fit_seconds'")["value"].equals(frames[0]["value"])


def test_warnings_are_shown(task):
    rng = np.random.default_rng(0)
    wide = Modalities({"a": rng.standard_normal((40, 60)), "b": task.X["modality1"][:40]})
    benchmark = Benchmark({"CCA": CCA(2)}, [Task("wide", wide)], control=False)
    benchmark.run()
    assert "UserWarning" in benchmark.to_html()
    assert "wide: CCA" in benchmark.to_html()


def test_a_single_split_gives_no_interval(task):
    benchmark = Benchmark(
        {"CCA": CCA(2), "PLS": PLS(2)}, [task], cv=ShuffleSplit(1, test_size=0.5, random_state=0)
    )
    benchmark.run()
    assert "Too few splits" in benchmark.to_markdown()
    assert benchmark.control_checks()["passed"].isna().all()
    assert "could not be checked" in benchmark.to_html()


def test_without_labels(data):
    benchmark = Benchmark({"CCA": CCA(2)}, [Task("unlabelled", data[0])])
    frame = benchmark.run()
    assert frame.query("metric == 'probe_accuracy'")["status"].eq("undefined").all()
    assert frame.query("metric == 'foscttm'")["status"].eq("ok").all()
    benchmark.to_html()


def test_bad_input(task):
    with pytest.raises(ValueError, match="Nothing to run: 0 methods"):
        Benchmark({}, [task])
    with pytest.raises(ValueError, match="baseline='nope' is not a method"):
        Benchmark({"CCA": CCA()}, [task], baseline="nope")
    with pytest.raises(ValueError, match="different names"):
        Benchmark({"CCA": CCA()}, [task, task])
    with pytest.raises(ValueError, match="call run"):
        Benchmark({"CCA": CCA()}, [task]).summary()
    with pytest.raises(ValueError, match=r"unknown metrics \['speed'\]"):
        Task("task", task.X, metrics=("speed",))
    with pytest.raises(ValueError, match=r"suite='huge' is unknown; valid suites are \['quick'\]"):
        run_suite("huge")


def test_pls_is_that_of_sklearn(data):
    X, _ = data
    codes = PLS(2).fit(X).transform_each(X)
    reference = PLSCanonical(2).fit(*X.values()).transform(*X.values())
    for code, scores in zip(codes.values(), reference, strict=True):
        np.testing.assert_allclose(code, scores / scores.std(axis=0))
    np.testing.assert_allclose(PLS(2).fit_transform(X), sum(codes.values()) / 2)
    with pytest.raises(ValueError, match="PLS needs"):
        PLS(2).fit(X).transform(X.select("modality0"))


def test_pls_is_not_for_three_modalities():
    X, _ = make_shared_latent(40, n_features=(4, 4, 4), random_state=0, return_X_y=True)
    with pytest.raises(NotApplicable, match="two modalities"):
        PLS().fit(X)
    benchmark = Benchmark({"CCA": CCA(2), "PLS": PLS()}, [Task("three", X)], control=False)
    frame = benchmark.run()
    assert frame[frame["method"] == "PLS"]["status"].eq("not applicable").all()
    assert "n/a" in benchmark.to_markdown()
    assert not benchmark.report().failures()


@pytest.mark.parametrize("standardize", [True, False])
def test_block_scaler(standardize):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3)) * [1, 10, 100] + 7
    X = np.column_stack([X, np.full(50, 0.1)])
    Z = BlockScaler(standardize=standardize).fit_transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    assert Z.var(axis=0).sum() == pytest.approx(1)
    shares = np.full(3, 1 / 3) if standardize else X[:, :3].var(axis=0) / X.var(axis=0).sum()
    np.testing.assert_allclose(Z[:, :3].var(axis=0), shares)


@pytest.fixture
def tiny_suite(monkeypatch, task):
    def absent():
        raise FileNotFoundError("far away")

    sources = (Source("simulated", "small", lambda: task), Source("gone", "files", absent))
    monkeypatch.setitem(SUITES, "tiny", sources)
    monkeypatch.setattr("skmm.benchmark._methods.N_RANDOM_FEATURES", 40)


def test_suite_without_files_leaves_tasks_out(monkeypatch, tmp_path):
    monkeypatch.delenv("SKMM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tasks, absent = load_suite("quick")
    assert [task.name for task in tasks] == ["digits halves"]
    assert set(absent) == {"mfeat", "Wikipedia"}


def test_command_line_runs(tiny_suite, tmp_path):
    result = CliRunner().invoke(
        app, ["run", "--suite", "tiny", "--output", str(tmp_path), "--jobs", "1", "--seed", "3"]
    )
    assert result.exit_code == 0, result.output
    assert "# Benchmark" in result.output
    assert (tmp_path / "report.html").as_uri() in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.md", "results.csv"}
    assert "--suite tiny" in (tmp_path / "report.md").read_text("utf-8")
    assert "gone was left out: its files are not on this machine" in (
        tmp_path / "report.html"
    ).read_text("utf-8")
    frame = pd.read_csv(tmp_path / "results.csv")
    assert frame["status"].isin(["ok", "undefined"]).all()
    assert set(frame["method"]) == {*(method.name for method in METHODS), "CCA, pairs shuffled"}


def test_command_line_says_what_failed(monkeypatch, tmp_path, task):
    def load():
        return Task("one class", task.X, np.zeros(len(task.X)), n_components=2)

    monkeypatch.setitem(SUITES, "tiny", (Source("one class", "no probe can be fitted", load),))
    monkeypatch.setattr("skmm.benchmark._methods.N_RANDOM_FEATURES", 40)
    result = CliRunner().invoke(
        app, ["run", "--suite", "tiny", "--output", str(tmp_path), "--jobs", "1"]
    )
    assert result.exit_code == 1
    assert "Some methods failed" in result.output


def test_command_line_refuses_unknown_suites(tmp_path):
    result = CliRunner().invoke(app, ["run", "--suite", "huge", "--output", str(tmp_path)])
    assert result.exit_code == 2
    assert "quick" in result.output
    result = CliRunner().invoke(app, ["run", "--jobs", "0", "--output", str(tmp_path)])
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_command_line_lists():
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    for name in ("quick", "digits halves", *(method.name for method in METHODS)):
        assert name in result.output


def test_missing_extras_say_how_to_get_them(benchmark, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'pip install "skmm\[benchmark\]"'):
        benchmark.to_html()
