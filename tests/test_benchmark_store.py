"""Cells on disk: what their keys depend on, resuming, failures, killed runs, limits of time."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from killable import FITS, Logged, data, slow_benchmark
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skmm import CCA, DeepCCA
from skmm.benchmark import Benchmark, Method, Results, Task
from skmm.benchmark import _fingerprint as fingerprint
from skmm.benchmark._fingerprint import describe, digest, package_versions
from skmm.benchmark._store import Store
from skmm.compose import ConcatModalities

RUN = "from killable import slow_benchmark as b; b({0!r}).run({0!r}, n_jobs={1})"


class Patchy(CCA):
    """Fails while a file is there."""

    def __init__(self, n_components=None, *, flag=None):
        super().__init__(n_components)
        self.flag = flag

    def fit(self, X, y=None, sample_weight=None):
        if Path(self.flag).exists():
            raise RuntimeError("not today")
        return super().fit(X)


class Sleeper(CCA):
    def fit(self, X, y=None, sample_weight=None):
        time.sleep(60)


class Dying(CCA):
    def fit(self, X, y=None, sample_weight=None):
        os._exit(3)


class Greedy(CCA):
    def fit(self, X, y=None, sample_weight=None):
        np.ones((100, 2**17)).sum()  # 100 MiB
        return super().fit(X)


@dataclass(frozen=True)
class Spec:
    width: int


def _n_fits(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def _quality(frame):
    columns = ["task", "method", "split", "metric", "value", "status", "key"]
    return frame[frame["metric"].eq("foscttm")][columns].reset_index(drop=True)


# Keys


def _keys(methods=None, X=None, **options):
    methods = {"CCA": CCA(1)} if methods is None else methods
    benchmark = Benchmark(methods, Task("t", data() if X is None else X), control=False, **options)
    return [cell.key for cell in benchmark._cells(stored=True)]


def test_keys_are_those_of_the_same_cells():
    assert _keys() == _keys()
    assert len(set(_keys())) == 5
    renamed = {"another name": CCA(1)}
    assert _keys(renamed) == _keys()


def test_keys_change_with_parameters_data_splits_and_seeds(monkeypatch):
    known = set(_keys())
    assert known.isdisjoint(_keys({"CCA": CCA(2)}))
    assert known.isdisjoint(_keys(X=data(seed=1)))
    assert known.isdisjoint(_keys(cv=3))
    assert known.isdisjoint(_keys(train_sizes=[0.5]))
    assert known < set(_keys(seeds=2))
    assert known.isdisjoint(_keys({"CCA": make_pipeline("passthrough", CCA(1))}))


def test_a_new_version_of_a_package_changes_the_cells_that_use_it(monkeypatch):
    methods = {"CCA": CCA(1), "DeepCCA": DeepCCA(1)}
    before = _keys(methods)
    real = fingerprint._version
    monkeypatch.setattr(
        fingerprint, "_version", lambda name: "9.9" if name == "torch" else real(name)
    )
    after = _keys(methods)
    same = [a == b for a, b in zip(before, after, strict=True)]
    assert same == [True] * 5 + [False] * 5
    monkeypatch.setattr(
        fingerprint, "_version", lambda name: "9.9" if name == "numpy" else real(name)
    )
    assert set(before).isdisjoint(_keys(methods))


def test_packages_are_those_of_the_classes_inside():
    assert "torch" not in package_versions(make_pipeline(ConcatModalities(), PCA(2)))
    assert {"torch", "skorch", "numpy", "sklearn"} <= set(package_versions(DeepCCA(2)))


def test_a_new_version_of_a_metric_changes_cells(monkeypatch):
    from dataclasses import replace

    from skmm.benchmark._metrics import METRICS

    before = _keys()
    monkeypatch.setitem(METRICS, "foscttm", replace(METRICS["foscttm"], version=2))
    assert set(before).isdisjoint(_keys())


def test_descriptions_tell_values_apart():
    def plus(x, by=1):
        return x + by

    values = [
        None, 0, False, 1, 1.0, "1", [1], {"a": 1}, {"a": 2}, np.arange(3), np.arange(3.0),
        PCA(2), PCA(3), LogisticRegression(), KFold(3), KFold(4), slice(0, 3), Spec(1), Spec(2),
        plus, functools.partial(plus, by=2), functools.partial(plus, by=3), PCA, np.float64(0.5),
        FunctionTransformer(plus), FunctionTransformer(np.log), data(), data(seed=1),
    ]  # fmt: skip
    keys = [digest(describe(value)) for value in values]
    assert len(set(keys)) == len(keys)
    again = [digest(describe(value)) for value in values]
    assert again == keys
    json.dumps([describe(value) for value in values])


def test_code_of_ones_own_is_described_by_its_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    source = "from skmm import CCA\nclass Own(CCA):\n    factor = {factor}\n"
    found = []
    for i, factor in enumerate((1, 1, 2)):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "own_estimator.py").write_text(source.format(factor=factor))
        monkeypatch.syspath_prepend(str(folder))
        sys.modules.pop("own_estimator", None)
        import own_estimator

        found.append(digest(describe(own_estimator.Own(2))))
    assert found[0] == found[1] != found[2]


def test_what_cannot_be_told_apart_is_refused():
    lock = (i for i in range(3))
    with pytest.raises(TypeError, match="cannot be told from others"):
        describe(lock)


def test_code_without_source_is_refused():
    namespace = {"__name__": "__main__"}
    exec("def typed(x):\n    return x", namespace)
    with pytest.raises(TypeError, match="write it into a file, or run without a path"):
        describe(namespace["typed"])


# Resuming


def test_what_is_there_is_not_run_again(tmp_path):
    log = tmp_path / FITS
    methods = {"one": Logged(1, log=str(log)), "two": Logged(2, log=str(log))}
    task = Task("t", data())
    first = Benchmark(methods, task, cv=3).run(tmp_path)
    assert _n_fits(log) == 9  # and the control
    again = Benchmark(methods, task, cv=3)
    np.testing.assert_array_equal(again.run(tmp_path)["value"], first["value"])
    assert _n_fits(log) == 9
    assert again.summary().equals(Results.from_folder(tmp_path).summary())
    Benchmark({**methods, "two": Logged(2, log=str(log), seconds=0.01)}, task, cv=3).run(tmp_path)
    assert _n_fits(log) == 9 + 3
    Benchmark(methods, task, cv=3).run(tmp_path, on_existing="always")
    assert _n_fits(log) == 12 + 9


def test_failures_are_retried_unless_told_otherwise(tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    benchmark = Benchmark({"CCA": CCA(1), "patchy": Patchy(1, flag=str(flag))}, Task("t", data()))
    assert benchmark.run(tmp_path).query("method == 'patchy'")["status"].eq("failed").all()
    flag.unlink()
    assert "failed" in set(benchmark.run(tmp_path, on_existing="never")["status"])
    assert "failed" not in set(benchmark.run(tmp_path)["status"])


def test_only_cache_runs_nothing(tmp_path):
    log = tmp_path / FITS
    benchmark = Benchmark({"CCA": Logged(1, log=str(log))}, Task("t", data()), cv=3)
    with pytest.raises(FileNotFoundError, match="run them"):
        benchmark.run(tmp_path / "new", on_existing="only-cache")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="needs the path"):
        benchmark.run(on_existing="only-cache")
    benchmark.run(tmp_path)
    larger = Benchmark({"CCA": Logged(1, log=str(log))}, Task("t", data()), cv=3, seeds=2)
    frame = larger.run(tmp_path, on_existing="only-cache")
    assert set(frame["seed"]) == {0}
    assert _n_fits(log) == 6


def test_a_folder_keeps_methods_that_were_run_before(tmp_path):
    task = Task("t", data())
    for name, k in (("one", 1), ("two", 2)):
        Benchmark({name: CCA(k)}, task, control=False).run(tmp_path)
    results = Results.from_folder(tmp_path)
    assert list(results.methods_) == ["one", "two"]
    other = Task("t", data(seed=1))
    Benchmark({"three": CCA(1)}, other, control=False).run(tmp_path)
    assert set(Results.from_folder(tmp_path).results_["method"]) == {"three"}


def test_torn_files_are_run_again(tmp_path):
    benchmark = Benchmark({"CCA": CCA(1)}, Task("t", data()), cv=3, control=False)
    first = benchmark.run(tmp_path)
    path = next(tmp_path.glob("cells/*/*.json"))
    path.write_text(path.read_text()[:100])
    left = path.with_name(f"{path.name}.unfinished-1")
    left.touch()
    np.testing.assert_array_equal(_quality(benchmark.run(tmp_path)), _quality(first))
    assert not left.exists()


def test_a_cell_is_plain_json(tmp_path):
    Benchmark({"CCA": CCA(1)}, Task("t", data()), cv=3, control=False).run(tmp_path)
    paths = list(tmp_path.glob("cells/*/*.json"))
    assert len(paths) == 3
    record = json.loads(paths[0].read_text())
    assert record["key"] == paths[0].stem
    assert record["about"]["estimator"]["params"]["n_components"] == 1
    assert record["about"]["packages"]["numpy"] == np.__version__
    assert record["values"]["fit_seconds"] > 0


def test_a_folder_of_another_format_is_refused(tmp_path):
    (tmp_path / "benchmark.json").write_text('{"format": 0}')
    with pytest.raises(ValueError, match="format 0"):
        Results.from_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="give a folder that a benchmark wrote to"):
        Results.from_folder(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("n_jobs", "n_kills"), [(1, 1), (2, 2)], ids=["one process", "two workers, killed twice"]
)
def test_killed_runs_lose_only_cells_in_flight(n_jobs, n_kills, tmp_path):
    command = [sys.executable, "-c", RUN.format(str(tmp_path), n_jobs)]
    # Workers find the estimator's module by this.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    rng = np.random.default_rng(0)
    for _ in range(n_kills):
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        deadline = time.monotonic() + 300
        start = _n_fits(tmp_path / FITS)
        while _n_fits(tmp_path / FITS) == start and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*.json")}
    assert 0 < len(kept) < 24
    assert all(Store(tmp_path).read(path.stem) for path in kept)
    partial = Results.from_folder(tmp_path)
    assert any("cells are not there yet" in note for note in partial.notes)
    fits = _n_fits(tmp_path / FITS)
    frame = slow_benchmark(tmp_path).run(tmp_path)
    assert _n_fits(tmp_path / FITS) == fits + 24 - len(kept)
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in kept.items())
    assert len(list(tmp_path.glob("cells/*/*.json"))) == 24
    (tmp_path / "other").mkdir()
    whole = slow_benchmark(tmp_path / "other").run()
    columns = ["task", "method", "split", "metric", "value", "status"]
    assert _quality(frame)[columns].equals(_quality(whole.assign(key=""))[columns])


# Processes of their own


def _isolated(folder, timeout=60, **methods):
    one = ShuffleSplit(1, random_state=0)
    benchmark = Benchmark(methods, Task("t", data()), cv=one, control=False)
    frame = benchmark.run(folder, timeout=timeout)
    return frame.set_index(["method", "metric"]).sort_index()


def test_cells_that_take_too_long_have_failed(tmp_path):
    row = _isolated(tmp_path, 2, sleeps=Sleeper(1)).loc["sleeps"].iloc[0]
    assert row["status"] == "timeout"
    assert "Not done after 2 s" in row["error"]


def test_cells_whose_process_dies_have_failed(tmp_path):
    found = _isolated(tmp_path, CCA=CCA(1), dies=Dying(1))
    row = found.loc["dies"].iloc[0]
    assert row["status"] == "failed"
    assert "The process died" in row["error"]
    assert set(found.loc["CCA", "status"]) == {"ok"}


def test_fresh_processes_tell_the_peak_memory(tmp_path):
    found = _isolated(tmp_path, CCA=CCA(1), greedy=Greedy(1))
    modest = found.loc[("CCA", "peak_memory"), "value"]
    greedy = found.loc[("greedy", "peak_memory"), "value"]
    assert 0 <= modest < 60
    assert 95 < greedy < 160


def test_any_backend_of_joblib(tmp_path):
    import joblib

    benchmark = Benchmark({"CCA": Method(CCA(1))}, Task("t", data()), cv=3)
    expected = _quality(benchmark.run())
    with joblib.parallel_config(backend="threading"):
        found = _quality(benchmark.run(n_jobs=2))
    assert found.equals(expected)
