"""The command line of the benchmark: suites, own data, progress, comparison, exit codes."""

import contextlib
import io
import json
import math
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from skmm import CCA, Modalities
from skmm.benchmark import Benchmark, Method, Results, Task, corrected_interval, holm
from skmm.benchmark._cli import app
from skmm.benchmark._compare import compare, read_results
from skmm.benchmark._frames import TaskInfo
from skmm.benchmark._own_data import load_own
from skmm.benchmark._progress import progress_bar
from skmm.benchmark._splits import RandomSplits
from skmm.benchmark._suites import SUITES, Source, find_sources, load_suite
from skmm.datasets import make_conditional, make_shared_latent

DOCS = Path(__file__).parents[1] / "docs" / "benchmark.md"


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def message(*words):
    """Return the error of a wrong call, which is one line."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ")
    return result.stderr


@pytest.fixture(scope="module")
def data():
    return make_shared_latent(
        120,
        n_features=[4, 3],
        n_classes=2,
        correlations=[0.9, 0.7],
        random_state=0,
        return_X_y=True,
    )


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Work in a folder of its own, from which modules can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def tiny(monkeypatch, data):
    """Make a suite of two small tasks, and one whose files are far away."""
    X, y = data

    def absent():
        raise FileNotFoundError("far away")

    sources = (
        Source("small align", "simulated", lambda: Task("small align", X, y, n_components=2)),
        Source("small classify", "simulated", lambda: Task("small classify", X, y, "classify")),
        Source("gone", "files", absent, ("wikipedia/",)),
    )
    monkeypatch.setitem(SUITES, "tiny", sources)


ALIGN = ("run", "--suite", "tiny", "--tasks", "*align", "--methods", "PLS")
ALIGN = (*ALIGN, "--splits", "2", "--jobs", "1")


@pytest.fixture
def table(here, data):
    """Write a CSV file, and return it."""
    X, y = data
    frame = pd.DataFrame(
        np.hstack([X["modality0"], X["modality1"]]),
        columns=[*(f"rna_{i}" for i in range(4)), "fat1", "fat2", "fat3"],
    )
    frame["diet"] = np.array(["fish", "sun"])[y]
    frame["who"] = np.repeat(np.arange(30), 4)
    frame["remark"] = "fine"
    frame.to_csv("my.csv")
    return frame


def spec(text, modalities='rna = "rna_*"\nlipid = ["fat1", "fat[23]"]'):
    Path("spec.toml").write_text(f"{text}\n[modalities]\n{modalities}\n", encoding="utf-8")
    return Path("spec.toml")


# Suites


def test_quick_has_one_task_of_each_kind_and_needs_no_files(monkeypatch, tmp_path):
    monkeypatch.delenv("SKMM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tasks, absent = load_suite("quick")
    assert [task.kind for task in tasks] == ["align", "fuse", "transfer", "classify"]
    assert not absent
    for task, source in zip(tasks, SUITES["quick"], strict=True):
        assert task.name == source.name
        assert source.is_there()
        assert len(task.X) == 1797 or f"Only {len(task.X)} of them" in task.description


def test_full_leaves_out_what_is_not_there(monkeypatch, tmp_path):
    monkeypatch.delenv("SKMM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    patterns = ["nutrimouse*", "Russett*", "breast*", "ORL*", "scGEM*", "CLL*", "circle*"]
    tasks, absent = load_suite("full", patterns)
    assert [task.name for task in tasks] == ["circle transfer"]
    assert all("SKMM_DATA" in reason for reason in absent.values())
    assert {s.name for s in find_sources("full", patterns) if not s.is_there()} == set(absent)


def test_simulated_tasks_have_the_oracle_of_the_simulation():
    (task,), _ = load_suite("full", ["heteroscedastic*"])
    truth = make_conditional("heteroscedastic", 2000, random_state=0)
    np.testing.assert_array_equal(task.X["y"], truth.target)
    draws = task.oracle(task.X.select("X")[:7], 3, 1)
    np.testing.assert_array_equal(draws, truth.sample_conditional(task.X["X"][:7], 3, 1))


@pytest.mark.slow
def test_every_task_of_full_can_be_loaded(skmm_data):
    tasks, absent = load_suite("full")
    assert not absent
    assert [task.name for task in tasks] == [source.name for source in SUITES["full"]]
    assert all(source.is_there() for source in SUITES["full"])


def test_list_names_suites_tasks_and_methods(tiny, monkeypatch, tmp_path):
    monkeypatch.delenv("SKMM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(SUITES, "full", ())
    result = call("list")
    assert result.exit_code == 0
    for words in ("suite quick", "digits align", "DeepCCA (deep)", "Ridge (linear)"):
        assert words in result.output
    assert "small align: simulated\n" in result.output
    assert "gone: files [files not found: set SKMM_DATA to their folder]" in result.output


# run, report


def test_run_writes_cells_and_reports(tiny, tmp_path):
    result = call("run", *ALIGN[1:5], "--tasks", "gone", *ALIGN[5:], "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "report.html").as_uri() in result.output
    assert "Note: gone was left out: its files are not on this machine" in result.stderr
    assert "PLS" in (tmp_path / "report.md").read_text("utf-8")
    frame = pd.read_csv(tmp_path / "results.csv")
    assert set(frame["method"]) == {"PLS", "PLS, pairs shuffled"}
    assert set(frame["split"]) == {0, 1}
    folder = Results.from_folder(tmp_path)
    assert "--suite tiny --tasks '*align' --tasks gone" in folder.provenance_["command"]
    merged = frame.merge(folder.results_, on=["method", "split", "metric"])
    np.testing.assert_allclose(merged["value_x"], merged["value_y"])
    assert len(merged) == len(frame)


def _started(folder):
    cells = [json.loads(p.read_text("utf-8")) for p in folder.glob("cells/*/*.json")]
    return {cell["key"]: (folder / f"cells/{cell['key'][:2]}/{cell['key']}.json").stat().st_mtime_ns
            for cell in cells}  # fmt: skip


def test_resume_runs_what_is_missing_and_fresh_runs_all(tiny, tmp_path):
    assert call(*ALIGN, "--output", tmp_path).exit_code == 0
    before = _started(tmp_path)
    gone = next(iter(before))
    (tmp_path / f"cells/{gone[:2]}/{gone}.json").unlink()
    assert call(*ALIGN, "--output", tmp_path).exit_code == 0
    after = _started(tmp_path)
    assert {key for key in before if before[key] != after[key]} == {gone}
    assert call(*ALIGN, "--fresh", "--output", tmp_path).exit_code == 0
    fresh = _started(tmp_path)
    assert all(fresh[key] != after[key] for key in after)


def test_seeds_and_random_state_are_used(tiny, tmp_path):
    assert call(*ALIGN, "--seeds", "2", "--random-state", "1", "--output", tmp_path).exit_code == 0
    found = Results.from_folder(tmp_path)
    assert set(found.results_["seed"]) == {0, 1}
    assert "random_state=1" in found.provenance_["outer splits"]


def test_there_is_one_name_for_seeds(tiny):
    result = call(*ALIGN, "--seed", "3")
    assert result.exit_code == 2
    assert "No such option: --seed" in result.stderr
    assert "--seeds" in result.stderr.replace("--seed ", "")


def test_report_is_made_from_a_folder(tiny, tmp_path):
    assert call(*ALIGN, "--output", tmp_path / "run").exit_code == 0
    made = (tmp_path / "run" / "results.csv").read_text()
    (tmp_path / "run" / "report.html").unlink()
    assert call("report", tmp_path / "run").exit_code == 0
    assert (tmp_path / "run" / "report.html").exists()
    assert call("report", tmp_path / "run", "--output", tmp_path / "other").exit_code == 0
    assert (tmp_path / "other" / "results.csv").read_text() == made
    assert call("report", tmp_path / "other" / "results.csv").exit_code == 0
    assert "give a folder" in message("report", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "a folder without results" in message("report", tmp_path / "empty")


def test_methods_are_chosen_by_name_for_each_kind(tiny, tmp_path):
    words = ("run", "--suite", "tiny", "--tasks", "small*", "--methods", "largest*")
    words = (*words, "--methods", "PLS", "--splits", "2", "--jobs", "1", "--output", tmp_path)
    assert call(*words).exit_code == 0
    frame = pd.read_csv(tmp_path / "results.csv")
    chosen = frame[frame["role"] != "control"].groupby("task")["method"].unique().map(list)
    assert chosen.to_dict() == {"small align": ["PLS"], "small classify": ["Largest class"]}


def test_tasks_without_a_chosen_method_are_left_out(tiny, tmp_path):
    words = ("run", "--suite", "tiny", "--methods", "PLS", "--splits", "2", "--jobs", "1")
    result = call(*words, "--output", tmp_path)
    assert result.exit_code == 0
    assert "small classify was left out: none of the methods ['PLS']" in result.stderr
    assert set(pd.read_csv(tmp_path / "results.csv")["task"]) == {"small align"}


def test_wrong_calls_say_what_to_do(tiny, here):
    assert "valid suites are ['quick'" in message("run", "--suite", "huge")
    assert "No task of the suite 'tiny' matches 'x*'" in message(*ALIGN[:3], "--tasks", "x*")
    assert "Did you mean 'DeepCCA'?" in message(*ALIGN[:5], "--methods", "DeepCAC")
    assert "-1 is one process per processor" in message(*ALIGN[:-1], "0")
    assert "SKMM_DATA" in message("run", "--suite", "tiny", "--tasks", "gone")
    assert "--data FILE, which is missing" in message(*ALIGN, "--modalities", "x.toml")
    assert "give one of them" in message(*ALIGN, "--data", "x.csv")
    assert call(*ALIGN, "--splits", "0").exit_code == 2
    assert not list(here.iterdir())


def _module(text):
    Path("mine.py").write_text(text, encoding="utf-8")


def test_own_methods_are_imported_from_the_working_directory(tiny, here):
    _module(
        "from skmm import CCA\nfrom skmm.benchmark import Method\n"
        "model = Method(CCA(2, shrinkage=0.5), role='linear')\n"
        "several = {'a': CCA(1), 'b': lambda task: CCA(task.n_components)}\nnothing = 3\n"
        "class Own(CCA):\n    pass\n"
        "class PLS(CCA):\n    pass\n"
    )
    words = (
        *ALIGN,
        "--methods",
        "mine:model",
        "--methods",
        "mine:several",
        "--methods",
        "mine:Own",
    )
    assert call(*words).exit_code == 0
    frame = pd.read_csv("benchmark-results/results.csv")
    assert list(dict.fromkeys(frame["method"])) == [
        *("PLS", "model", "a", "b", "Own", "PLS, pairs shuffled")
    ]
    assert "has no 'modl'. Did you mean 'model'?" in message(*ALIGN, "--methods", "mine:modl")
    assert "No module named 'nowhere'" in message(*ALIGN, "--methods", "nowhere:model")
    assert "have names of usual ones, ['PLS']" in message(*ALIGN, "--methods", "mine:PLS")
    assert "mine:nothing: 3 is no method" in message(*ALIGN, "--methods", "mine:nothing")


def test_exit_code_of_a_failing_method(tiny, here):
    _module(
        "from skmm import CCA\nclass Broken(CCA):\n"
        "    def fit(self, X, y=None, sample_weight=None):\n        raise RuntimeError('no luck')\n"
    )
    result = call(*ALIGN, "--methods", "mine:Broken")
    assert result.exit_code == 1
    assert "Some methods failed" in result.stderr
    assert "no luck" in Path("benchmark-results/report.md").read_text("utf-8")


def test_exit_code_of_a_control_above_chance(tiny, here, monkeypatch, data):
    X, y = data
    leaky = Modalities({"a": np.column_stack([y, X["modality0"]])})
    source = Source("leak", "labels in X", lambda: Task("leak", leaky, y, "classify"))
    monkeypatch.setitem(SUITES, "tiny", (source,))
    _module(
        "from sklearn.base import BaseEstimator, ClassifierMixin\n"
        "class Peeks(ClassifierMixin, BaseEstimator):\n"
        "    def fit(self, X, y):\n        self.fitted_ = True\n        return self\n"
        "    def predict(self, X):\n        return X['a'][:, 0].astype(int)\n"
    )
    result = call(*ALIGN[:3], "--methods", "Largest*", "--methods", "mine:Peeks", "--jobs", "1",
                  "--splits", "3")  # fmt: skip
    assert result.exit_code == 0  # the control is that of the first method
    _module(Path("mine.py").read_text() + "from skmm.benchmark import Method\n"
            "model = Method(Peeks(), role='linear')\n")  # fmt: skip
    del sys.modules["mine"]
    result = call(*ALIGN[:3], "--methods", "Largest*", "--methods", "mine:model", "--jobs", "1",
                  "--splits", "3")  # fmt: skip
    assert result.exit_code == 3
    assert "not at chance" in result.stderr


@pytest.mark.parametrize(("option", "words"), [("--resume", "the same command goes"),
                                               ("--fresh", "with --resume")])  # fmt: skip
def test_interruption_says_how_to_go_on(tiny, tmp_path, monkeypatch, option, words):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Benchmark, "run", interrupted)
    result = call(*ALIGN, option, "--output", tmp_path)
    assert result.exit_code == 130
    assert words in result.stderr
    assert str(tmp_path) in result.stderr


# Progress


def test_lines_of_progress_tell_the_time_left(monkeypatch):
    now = 0.0
    monkeypatch.setattr("tqdm.std.time", lambda: now)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(4, 1) as advance:
        for label, now in zip("abcd", (10, 40, 99, 200), strict=True):  # noqa: B007
            advance(label)
    assert sys.stderr.getvalue().splitlines() == [
        "1 of 4 cells in 00:10, about 00:30 left (a)",
        "2 of 4 cells in 00:40, about 00:40 left (b)",
        "3 of 4 cells in 01:39, about 00:33 left (c)",
        "4 of 4 cells in 03:20, about 00:00 left (d)",
    ]


def test_a_log_has_ten_lines_of_progress_and_silence_none(monkeypatch):
    for verbose, expected in ((1, [math.ceil(237 * i / 10) for i in range(1, 11)]), (0, [])):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with progress_bar(237, verbose) as advance:
            for _ in range(237):
                advance("a")
        lines = sys.stderr.getvalue().splitlines()
        assert [int(line.split()[0]) for line in lines] == expected


def test_a_terminal_has_a_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(2, 1) as advance:
        for label in "ab":
            advance(label)
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "| 0/2 " in shown
    assert "\n" not in shown.strip("\n")


# Splits


def test_splits_keep_groups_together_and_begin_alike():
    X, groups = np.zeros((40, 1)), np.repeat(np.arange(10), 4)
    for given in (None, groups):
        few = list(RandomSplits(2, 3).split(X, groups=given))
        many = list(RandomSplits(5, 3).split(X, groups=given))
        assert len(many) == RandomSplits(5).get_n_splits() == 5
        for (a, b), (c, d) in zip(few, many[:2], strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)
    assert all(len(test) == 8 and not set(train) & set(test) for train, test in many)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in many)


# Own data


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "parquet"])
def test_a_table_becomes_a_task(table, suffix):
    path = Path(f"my.{suffix}")
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if suffix == "tsv" else ",")
    (task,), notes = load_own(str(path), spec('label = "diet"\ngroups = "who"'))
    assert (task.name, task.kind, task.n_components) == ("my", "align", 3)
    np.testing.assert_allclose(task.X["rna"], table.filter(like="rna_"))
    np.testing.assert_allclose(task.X["lipid"], table[["fat1", "fat2", "fat3"]])
    np.testing.assert_array_equal(task.y, table["diet"])
    np.testing.assert_array_equal(task.groups, table["who"])
    assert (notes, task.prepare) == ([], None)


def test_every_key_of_the_description_is_used(table):
    table.loc[:9, ["fat1", "fat2", "fat3"]] = np.nan
    table.to_csv("my.csv")
    path = spec(
        'name = "mice"\nkind = "transfer"\ntarget = "rna"\nn_components = 2\nstandardize = false\n'
        'description = "Of mice."\nkinds = {who = "categorical", sex = "binary"}',
        'rna = "rna_*"\nlipid = "fat?"\nwho = "who"\nsex = "sex"',
    )
    table.assign(sex=np.arange(120) % 2).to_csv("my.csv")
    (task,), _ = load_own("my.csv", path)
    assert (task.name, task.kind, task.target, task.n_components) == ("mice", "transfer", "rna", 2)
    assert (task.standardize, task.description) == (False, "Of mice.")
    assert task.X.kinds == {
        "rna": "numeric", "lipid": "numeric", "who": "categorical", "sex": "binary"
    }  # fmt: skip
    assert task.X.missing["lipid"].tolist() == [True] * 10 + [False] * 110


def test_patterns_do_not_catch_the_label(table):
    table.drop(columns=["diet", "remark"]).to_csv("my.csv")
    (task,), _ = load_own("my.csv", spec('label = "who"\nkind = "classify"', 'all = "*"'))
    np.testing.assert_allclose(task.X["all"], table.iloc[:, :7])  # nor the row numbers


WRONG = [
    ('lable = "diet"', None, "'lable' is unknown. Did you mean 'label'?"),
    ('label = "diett"', None, "label = 'diett' is no column. Did you mean 'diet'?"),
    ("n_components = 2.5", None, "n_components = 2.5 must be a whole number"),
    ("n_components = 0", None, "n_components = 0 must be a whole number greater than 0"),
    ("image_size = -1", None, "image_size = -1 must be a whole number greater than 0"),
    ("n_components = true", None, "n_components = True must be a whole number"),
    ('kind = "rank"', None, "kind='rank' is unknown; valid are"),
    ('target = "protein"', None, "target='protein' must be one of the modalities"),
    ('kind = "classify"', None, "needs labels y"),
    ("kinds = {protein = 'binary'}", None, "[kinds] names 'protein', which is no modality"),
    ("kinds = {rna = 'counts'}", None, "rna = 'counts' is unknown. Did you mean 'count'?"),
    ("kinds = {remark = 'text'}", None, "[kinds] names 'remark', which is no modality"),
    ("kinds = {note = 'numeric'}", 'note = "remark"', "'remark' is not numbers, but has 'fine'"),
    ('empty = "?"', None, "empty = '?' must be a list of words in quotes or numbers"),
    ('target = "diet"', 'diet = "diet"\nrna = "rna_*"', "target = 'diet' must be numbers"),
    ('label = "rna_0"', None, "labels are classes"),
    ("", 'rna = "rma_*"', "no column matches 'rma_*'"),
    ("", 'rna = "rna_*"\nlipid = ["fat1", "rna_1"]', "'rna_1' belongs to 'rna' and to 'lipid'"),
    ('label = "diet"', 'rna = "rna_*"\ndiet = "diet"', "it would give the answer away"),
    ("", "rna = 3", "must be a column, a pattern"),
    ("", "rna = []", "has no columns"),
    ("", "", "names no modality. An example: modalities = {"),
    ("", "rna = ", "is not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "modalities", "words"), WRONG)
def test_wrong_descriptions_say_what_to_do(table, keys, modalities, words):
    path = spec(keys) if modalities is None else spec(keys, modalities)
    assert words in message("run", "--data", "my.csv", "--modalities", path)


def test_wrong_tables_say_what_to_do(table):
    path = spec('label = "diet"')
    assert "no.csv is no file" in message("run", "--data", "no.csv", "--modalities", path)
    assert "--modalities FILE" in message("run", "--data", "my.csv")
    assert "no.toml is no file" in message("run", "--data", "my.csv", "--modalities", "no.toml")
    Path("my.xls").touch()
    assert "must end in .csv" in message("run", "--data", "my.xls", "--modalities", path)
    table.loc[3, "who"] = None
    table.to_csv("my.csv")
    assert "empty in 1 of 120 rows" in message(
        "run", "--data", "my.csv", "--modalities", spec('groups = "who"')
    )
    table[:0].to_csv("my.csv", index=False)
    assert "my.csv has no rows" in message("run", "--data", "my.csv", "--modalities", path)
    table[:9].to_csv("my.csv", index=False)
    assert "9 rows are too few" in message("run", "--data", "my.csv", "--modalities", path)
    Path("my.csv").write_text("", encoding="utf-8")
    assert "my.csv cannot be read" in message("run", "--data", "my.csv", "--modalities", path)
    Path("my.csv").write_text("a,b\n1,2\n1,2,3\n", encoding="utf-8")
    assert "Expected 2 fields in line 3, saw 3" in message(
        "run", "--data", "my.csv", "--modalities", path
    )
    Path("my.csv").write_bytes("rna_0,Größe\n1,2\n".encode("cp1252"))
    assert "is not UTF-8" in message("run", "--data", "my.csv", "--modalities", path)


def test_impute_is_for_files(tiny, here):
    assert "--data FILE, which is missing" in message(*ALIGN, "--impute", "mean")
    assert "prepare=GapFiller()" in message("run", "--data", "os:getcwd", "--impute", "mean")


def test_gaps_in_rows_of_a_function_are_pointed_out(here):
    _module(
        "import numpy as np\nfrom skmm.benchmark import GapFiller, Task\n"
        "a = np.random.default_rng(0).standard_normal((40, 3))\n"
        "X = {'a': np.where(a > 1.5, np.nan, a), 'b': a[:, :2]}\n"
        "def data():\n    return X\n"
        "def filled():\n    return Task('t', X, n_components=2, prepare=GapFiller())\n"
    )
    _, (note,) = load_own("mine:data")
    assert "data: 9 rows of 'a' lack some of their cells" in note
    assert "prepare=GapFiller()" in note
    assert load_own("mine:filled")[1] == []


def test_functions_give_tasks_or_data(here):
    _module(
        "import numpy as np\nimport pandas as pd\n"
        "from skmm.benchmark import Task\n"
        "from skmm.datasets import make_shared_latent\n"
        "X, y = make_shared_latent(50, n_features=[4, 3], n_classes=2, random_state=0,"
        " return_X_y=True)\n"
        "def only_x():\n    return dict(X.items())\n"
        "def frame():\n    return X.to_frame()\n"
        "def both():\n    return X, y\n"
        "def task():\n    return Task('one', X, y)\n"
        "def tasks():\n    return [Task('one', X, y), Task('two', X)]\n"
        "done = Task('done', X)\n"
        "def wrong():\n    return 3\n"
        "def fails():\n    return 1 / 0\n"
        "number = 3\n"
    )
    for name in ("only_x", "frame", "both"):
        (task,), _ = load_own(f"mine:{name}")
        assert (task.name, task.X.names, task.n_components) == (name, ("modality0", "modality1"), 3)
        assert (task.y is not None) == (name == "both")
    assert [task.name for task in load_own("mine:task")[0]] == ["one"]
    assert [task.name for task in load_own("mine:tasks")[0]] == ["one", "two"]
    assert [task.name for task in load_own("mine:done")[0]] == ["done"]
    assert "returned int, but must return a Task" in message("run", "--data", "mine:wrong")
    assert "ZeroDivisionError" in message("run", "--data", "mine:fails")
    assert "must be a function" in message("run", "--data", "mine:number")
    assert "mine:task is a function" in message(
        "run", "--data", "mine:task", "--modalities", "spec.toml"
    )
    assert "Did you mean 'two'" in message("run", "--data", "mine:tasks", "--tasks", "twoo")


# merge, compare


def made_up(values, *, task="t", method="m", metric="accuracy", status="ok", **columns):
    frame = pd.DataFrame({"split": range(len(values)), "value": values})
    known = {"kind": "classify", "role": "linear", "n_train": 80, "n_test": 20}
    return frame.assign(task=task, method=method, metric=metric, status=status, **known | columns)


def results(*frames, data=None, **options):
    tasks = None if data is None else {"t": TaskInfo("t", "classify", [], [], data=data)}
    return Results.from_frame(pd.concat(frames, ignore_index=True), tasks=tasks, **options)


OLD = [0.80, 0.82, 0.78, 0.81, 0.79]
RISE = np.array([0.05, 0.06, 0.05, 0.04, 0.05])


def test_comparison_is_the_paired_one():
    noise = np.array([0.2, -0.19, 0.18, -0.2, 0.02])
    old = [made_up(OLD, method=name) for name in "abc"]
    new = [made_up(OLD + RISE, method="a"), made_up(OLD - RISE, method="b")]
    found = compare(results(*old), results(*new, made_up(OLD + noise, method="c"))).table
    by_name = found.set_index("method")
    for name, change in (("a", RISE), ("b", -RISE), ("c", noise)):
        low, high = corrected_interval(change, 80, 20)
        np.testing.assert_allclose(
            by_name.loc[name, ["difference", "low", "high"]].astype(float),
            [change.mean(), low, high],
        )
    np.testing.assert_allclose(found["p_holm"], found.groupby("method")["p_value"].transform(holm))
    assert by_name["outcome"].to_dict() == {"a": "better", "b": "worse", "c": "unclear"}


def test_what_is_lower_is_better_and_what_is_small():
    old = [made_up(OLD, metric=name) for name in ("log_loss", "accuracy", "fit_seconds")]
    new = [made_up(OLD + RISE, metric=name) for name in ("log_loss", "fit_seconds")]
    new.append(made_up(OLD + RISE / 100, metric="accuracy"))
    found = compare(results(*old), results(*new)).table.set_index("metric")["outcome"]
    assert found.to_dict() == {"log_loss": "worse", "accuracy": "within the margin"}
    costs = compare(results(*old), results(*new), costs=True).table.set_index("metric")["outcome"]
    assert costs["fit_seconds"] == "worse"


def test_equal_figures_are_no_hypotheses():
    old = [made_up(OLD, method=name) for name in "abc"]
    new = [made_up(OLD, method="a"), made_up(OLD, method="b"), made_up(OLD + RISE, method="c")]
    found = compare(results(*old), results(*new)).table.set_index("method")
    assert found["outcome"].to_dict() == {"a": "same", "b": "same", "c": "better"}
    assert found.loc["c", "p_holm"] == found.loc["c", "p_value"]


def test_failures_are_compared():
    good, bad = made_up(OLD), made_up(OLD, status="failed")
    assert compare(results(good), results(bad)).table["outcome"].tolist() == ["failed"]
    assert len(compare(results(good), results(bad)).worse) == 1
    assert compare(results(bad), results(good)).table["outcome"].tolist() == ["repaired"]
    assert compare(results(bad), results(bad)).table["outcome"].tolist() == ["failed before"]
    assert not len(compare(results(bad), results(bad)).worse)


def test_a_single_split_decides_nothing():
    found = compare(results(made_up([0.5])), results(made_up([0.1]))).table
    assert found["outcome"].tolist() == ["unclear"]


def test_only_common_splits_count_and_controls_do_not():
    control = made_up(OLD, method="broken", role="control")
    old = results(made_up(OLD), made_up(OLD, method="left"), control)
    found = compare(old, results(made_up(OLD[:3] + RISE[:3]), control.assign(value=0.9)))
    assert found.table[["method", "n_splits"]].values.tolist() == [["m", 3]]
    assert found.notes == ["only the old run has t: left."]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (results(made_up(OLD), data="x"), results(made_up(OLD), data="y"), "different data"),
        (results(made_up(OLD)), results(made_up(OLD, n_test=30)), "20 and 30 rows (n_test)"),
        (results(made_up(OLD)), results(made_up(OLD, method="n")), "nothing in common"),
        (
            results(made_up(OLD), provenance={"seed": "0; 1 per method and split"}),
            results(made_up(OLD), provenance={"seed": "1; 1 per method and split"}),
            "different seeds",
        ),
        (
            results(made_up(OLD), provenance={"outer splits": "RandomSplits(n_splits=5, a=0)"}),
            results(made_up(OLD), provenance={"outer splits": "RandomSplits(n_splits=5, a=1)"}),
            "different splits",
        ),
    ],
)
def test_what_cannot_be_compared(old, new, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        compare(old, new)


def test_compare_on_the_command_line(tmp_path):
    files = {name: tmp_path / f"{name}.csv" for name in ("old", "same", "worse", "better")}
    shifts = {"old": 0.0, "same": 0.0, "worse": -RISE, "better": RISE}
    for name, shift in shifts.items():
        made_up(np.array(OLD) + shift).to_csv(files[name], index=False)
    same = call("compare", files["old"], files["same"])
    assert (same.exit_code, same.stdout) == (0, "# Comparison\n\n1 same.\n")
    assert call("compare", files["old"], files["better"]).exit_code == 0
    worse = call("compare", files["old"], files["worse"])
    assert worse.exit_code == 4
    assert "| t | m | accuracy | 0.8 | 0.75 | −0.05 [" in re.sub(" +", " ", worse.stdout)
    assert "**worse**" in worse.stdout
    assert "1 values are worse" in worse.stderr
    assert "nowhere is not there" in message("compare", files["old"], tmp_path / "nowhere")


def test_names_survive_a_file(tmp_path):
    frame = pd.concat([made_up(OLD, method="None"), made_up(OLD, method="1")])
    frame.to_csv(tmp_path / "results.csv", index=False)
    assert set(read_results(tmp_path).results_["method"]) == {"None", "1"}


def test_merge_joins_folders_and_files(tmp_path, data):
    X, y = data
    for name in ("a", "b"):
        task = Task(name, X, y, n_components=2, metrics=["total_correlation"])
        methods = {"CCA": Method(CCA(2), role="linear")}
        Benchmark(methods, task, cv=RandomSplits(2), control=False).run(tmp_path / name)
    made_up(OLD).to_csv(tmp_path / "c.csv", index=False)
    places = [tmp_path / "a", tmp_path / "b", tmp_path / "c.csv"]
    result = call("merge", *places, "--output", tmp_path / "all")
    assert result.exit_code == 0, result.output
    found = read_results(tmp_path / "all").results_
    assert set(found["task"]) == {"a", "b", "t"}
    each = [read_results(place).results_ for place in places]
    np.testing.assert_allclose(found["value"].sum(), sum(frame["value"].sum() for frame in each))
    other = Task("a", X[:100], y[:100], n_components=2, metrics=["total_correlation"])
    Benchmark(methods, other, cv=RandomSplits(2), control=False).run(tmp_path / "d")
    assert "different data" in message("merge", places[0], tmp_path / "d", "--output", tmp_path)
    assert call("merge", places[0]).exit_code == 2


# Documentation


def _blocks(kind):
    text = DOCS.read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_own_data_and_estimator_take_ten_lines_or_one(here, monkeypatch):
    """The same comparison, as the documentation shows it: in Python and on the command line."""
    table, script = _blocks("python")[:2]
    assert len([line for line in script.splitlines() if line]) <= 10
    namespace = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(table + script, "docs", "exec"), namespace)
    Path("mine.py").write_text(_blocks("python")[2], encoding="utf-8")
    Path("columns.toml").write_text(_blocks("toml")[0], encoding="utf-8")
    (line,) = _blocks("sh")[-1].splitlines()
    command = shlex.split(line)
    assert command[0] == "skmm-benchmark"
    result = call(*command[1:], "--jobs", "1")
    assert result.exit_code == 0, result.output
    told = read_results(Path("benchmark-results")).summary().set_index(["method", "metric"])
    shown = namespace["benchmark"].summary().set_index(["method", "metric"])
    key = ("model", "accuracy")
    assert told.loc[key, "n_splits"] == 5
    for column in ("mean", "std_splits"):
        assert told.loc[key, column] == pytest.approx(shown.loc[key, column])


def test_the_script_is_installed():
    text = (DOCS.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'skmm-benchmark = "skmm.benchmark.__main__:main"' in text


def test_without_the_extra_the_program_says_how_to_get_it(monkeypatch):
    from skmm.benchmark.__main__ import main

    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit, match=r'pip install "skmm\[benchmark\]"'):
        main()
