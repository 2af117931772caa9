"""Data as people have them: empty cells, categories, dates, texts, images; prepared in splits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.utils.extmath import randomized_svd
from typer.testing import CliRunner

from skmm import Modalities
from skmm.benchmark import PLS, Benchmark, GapFiller, Method, NotApplicable, Task, usual_methods
from skmm.benchmark._cli import app
from skmm.benchmark._columns import TextScores, _guess
from skmm.benchmark._fingerprint import describe, digest
from skmm.benchmark._own_data import load_own
from skmm.benchmark._reading import read_table
from skmm.benchmark._splits import RandomSplits
from skmm.compose import PerModality

NAN = np.nan
CLINICAL = 'clinical = ["age", "smoker", "city"]\nrna = "rna_*"'
EASY = ("Logistic*", "Largest*", "CCA", "PLS", "PCA", "Factor*", "Raw*", "Ridge", "RFF + ridge",
        "Neighbours", "Marginal")  # fmt: skip


def holes(seed=0, shape=(60, 5), share=0.2):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < share, NAN, rng.standard_normal(shape))


# GapFiller


@pytest.mark.parametrize("strategy", ["median", "mean"])
def test_filler_is_scikit_learns_where_all_gaps_differ(strategy):
    train, test = holes(0), holes(1)
    filler = GapFiller(strategy).fit({"a": train})
    expected = SimpleImputer(strategy=strategy, add_indicator=True).fit(train)
    for rows in (train, test):
        np.testing.assert_allclose(filler.transform({"a": rows})["a"], expected.transform(rows))
    np.testing.assert_allclose(filler.fill_values_["a"], getattr(np, f"nan{strategy}")(train, 0))


def test_columns_with_the_same_gaps_share_a_mark():
    a = np.arange(24.0).reshape(6, 4)
    a[2] = NAN
    a[4, 1] = a[5, 3] = NAN
    X = Modalities({"a": a, "b": np.ones((6, 2))})
    out = GapFiller().fit_transform(X)
    np.testing.assert_array_equal(out["a"][:, :4][np.isfinite(a)], a[np.isfinite(a)])
    np.testing.assert_array_equal(out["a"][2, :4], np.nanmedian(a, axis=0))
    gap = np.isnan(a)
    np.testing.assert_array_equal(out["a"][:, 4:], gap[:, [0, 1, 3]])  # 2 is as 0
    assert out["b"] is X["b"] or np.shares_memory(out["b"], X["b"])
    assert not out.missing.to_numpy().any()


def test_rows_without_a_modality_may_stay_missing():
    a = holes(0)
    a[:5] = NAN
    out = GapFiller(whole_rows=False).fit_transform({"a": a, "b": np.ones((60, 1))})
    assert out.missing["a"].tolist() == [True] * 5 + [False] * 55
    expected = SimpleImputer(strategy="median", add_indicator=True).fit_transform(a[5:])
    np.testing.assert_allclose(out["a"][5:], expected)


@pytest.mark.parametrize(("kind", "values", "filled"), [
    ("binary", [0, 1, 1, 0, NAN], 0.0),
    ("binary", [0, 1, 1, 1, NAN], 1.0),
    ("count", [3, 8, 1, 2, NAN], 2.0),
])  # fmt: skip
def test_filled_values_suit_the_kind(kind, values, filled):
    X = Modalities({"a": np.array(values)[:, None]}, kinds={"a": kind})
    for strategy in ("median", "mean"):
        out = GapFiller(strategy).fit_transform(X)
        assert out.kinds == {"a": kind}
        np.testing.assert_array_equal(out["a"][-1], [filled, 1])


def test_a_column_that_is_empty_in_fit_is_zero_and_unmarked():
    train, test = holes(0), holes(1)
    train[:, 2] = NAN
    out = GapFiller().fit({"a": train}).transform({"a": test})["a"]
    assert out.shape == (60, 9)
    np.testing.assert_array_equal(out[:, 2], np.where(np.isnan(test[:, 2]), 0, test[:, 2]))


def test_gaps_that_fit_did_not_see_are_filled():
    train = np.arange(10.0).reshape(5, 2)
    out = GapFiller().fit({"a": train}).transform({"a": np.array([[NAN, 7.0]])})
    np.testing.assert_array_equal(out["a"], [[4.0, 7.0]])


def test_images_are_filled_without_marks_and_labels_stay():
    images = np.random.default_rng(0).random((6, 1, 2, 2)).astype("f4")
    missing = {"image": np.arange(6) == 1, "label": np.arange(6) == 2}
    X = Modalities({"image": images, "label": list("abcabc")}, missing=missing)
    out = GapFiller("mean").fit_transform(X)
    assert (out.kinds, out["image"].dtype) == (X.kinds, np.float32)
    np.testing.assert_allclose(out["image"][1], images[np.arange(6) != 1].mean(0), rtol=1e-6)
    assert out.missing["label"].tolist() == X.missing["label"].tolist()
    assert not out.missing["image"].any()


FORMS = {
    "frame": pd.DataFrame,
    "nullable": lambda a: pd.DataFrame(a).convert_dtypes(),
    "f4": lambda a: a.astype("f4"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_other_containers(form):
    a = np.round(holes(0) * 8)
    out = GapFiller().fit_transform(Modalities({"a": form(a)}))["a"]
    np.testing.assert_allclose(out, GapFiller().fit_transform({"a": a})["a"])
    vector = GapFiller().fit_transform({"a": np.array([1.0, NAN, 3.0, 4.0])})
    np.testing.assert_array_equal(vector["a"], [[1, 0], [3, 1], [3, 0], [4, 0]])


def test_inverse_takes_the_marks_away():
    X = Modalities({"a": holes(0), "b": np.ones((60, 2))})
    filler = GapFiller().fit(X)
    out = filler.transform(X)
    back = filler.inverse_transform(out)
    np.testing.assert_array_equal(back["a"], out["a"][:, :5])
    np.testing.assert_array_equal(filler.inverse_transform({"b": out["b"]})["b"], X["b"])
    assert filler.transform(X.select("b")).names == ("b",)


def test_wrong_strategy():
    with pytest.raises(ValueError, match="strategy"):
        GapFiller("mode").fit({"a": holes()})


# Task(prepare=)


class Spy(TransformerMixin, BaseEstimator):
    """Adds the mean of its training rows as a column, and remembers how many there were."""

    def fit(self, X, y=None):
        self.mean_ = X["a"].mean()
        return self

    def transform(self, X):
        column = np.full((len(X), 1), self.mean_)
        return Modalities({"a": np.hstack([X["a"], column]), "b": X["b"]})


class Echo(BaseEstimator):
    """Says what it has seen."""

    seen = []

    def fit(self, X, y=None):
        Echo.seen.append(X)
        return self

    def predict(self, X):
        Echo.seen.append(X)
        return np.zeros(len(X), dtype=int)


def test_preparation_is_fitted_on_training_rows_alone():
    rng = np.random.default_rng(0)
    X = {"a": rng.standard_normal((40, 2)), "b": rng.standard_normal((40, 1))}
    y = np.arange(40) % 2
    task = Task("t", X, y, "classify", prepare=Spy())
    Echo.seen = []
    Benchmark({"echo": Echo()}, task, cv=RandomSplits(3), control=False).run()
    splits = list(RandomSplits(3).split(X["a"]))
    assert len(Echo.seen) == 6
    for (train, test), fitted, held_out in zip(
        splits, Echo.seen[::2], Echo.seen[1::2], strict=True
    ):
        for rows, seen in ((train, fitted), (test, held_out)):
            np.testing.assert_array_equal(seen["a"][:, :2], X["a"][rows])
            np.testing.assert_array_equal(seen["a"][:, 2], X["a"][train].mean())


def test_preparation_is_part_of_the_key_and_of_the_report(tmp_path):
    X = {"a": holes(0, (40, 3)), "b": holes(1, (40, 3), 0)}
    y = (X["b"][:, 0] > 0).astype(int)
    tasks = [Task("t", X, y, "classify", prepare=GapFiller(s)) for s in ("median", "mean")]
    assert tasks[0].fingerprint != tasks[1].fingerprint
    assert tasks[0].fingerprint == Task("t", X, y, "classify", prepare=GapFiller()).fingerprint
    methods = lambda task: {"l": usual_methods(task)["Logistic regression"]}  # noqa: E731
    frames = [Benchmark(methods, task, cv=RandomSplits(2)).run(tmp_path) for task in tasks]
    assert not set(frames[0]["key"]) & set(frames[1]["key"])
    benchmark = Benchmark(methods, tasks[1], cv=RandomSplits(2))
    benchmark.run(tmp_path, on_existing="only-cache")
    text = benchmark.to_markdown()
    assert "prepared by GapFiller(strategy='mean'), fitted on the training samples" in text
    assert (frames[0]["status"] == "ok").all()


def test_a_task_without_preparation_keeps_its_hash():
    X, y = Modalities({"a": np.ones((5, 2))}), np.arange(5) % 2
    task = Task("t", X, y, "classify")
    from skmm.benchmark._fingerprint import data_hash

    assert task.fingerprint == data_hash((task.X, task.y, "classify", None))


def test_a_preparation_must_be_a_transformer():
    with pytest.raises(TypeError, match="prepare=3 must be a transformer"):
        Task("t", {"a": np.ones((5, 2)), "b": np.ones((5, 2))}, prepare=3)


# Methods on rows that lack a modality


@pytest.fixture(scope="module")
def lacking():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((80, 2))
    values = {
        n: z @ rng.standard_normal((2, 4)) + 0.3 * rng.standard_normal((80, 4)) for n in "abc"
    }
    mask = rng.random((80, 3)) < 0.15
    mask[:, 2] = False
    mask[mask[:, :2].all(axis=1), 0] = False
    return Modalities(values, missing=mask), (z[:, 0] > 0).astype(int)


@pytest.mark.parametrize("kind", ["align", "fuse", "transfer", "classify"])
def test_usual_methods_run_where_rows_lack_a_modality(kind, lacking):
    X, y = lacking
    X = X.select(["a", "b"]) if kind == "align" else X
    task = Task("t", X, y, kind, "c" if kind == "transfer" else None, n_components=2)
    methods = {n: m for n, m in usual_methods(task).items() if m.role != "deep" and "RFF" not in n}
    frame = Benchmark(methods, task, cv=RandomSplits(2)).run()
    left_out = set(frame.loc[frame["status"] == "not applicable", "method"])
    assert set(frame["status"]) <= {"ok", "not applicable", "undefined"}
    assert left_out == ({"PLS"} if kind == "align" else set())


def test_deep_methods_are_made_for_the_gaps(lacking):
    X, y = lacking
    made = {kind: usual_methods(Task("t", X.select(["a", "b"]), y, kind)) for kind in ("align",)}
    task = Task("t", X.select(["a", "b"]), y)
    assert made["align"]["DeepCCA"].make(task).objective == "gcca"
    whole = Task("t", X.select(["a", "c"])[np.flatnonzero(~X.missing["a"])])
    assert made["align"]["DeepCCA"].make(whole).objective == "cca"
    task = Task("t", X, kind="transfer", target="c")
    gan = usual_methods(task)["ConditionalGAN"].make(task)
    assert [type(step).__name__ for _, step in gan.steps] == ["GapFiller", "ConditionalGAN"]
    assert gan[-1].target == "c"


def test_a_mark_reaches_the_linear_method():
    """Whether a cell is empty says all there is to know."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    a = rng.standard_normal((120, 3))
    a[y == 1, 1] = NAN
    task = Task("t", {"a": a}, y, "classify")
    frame = Benchmark(
        lambda task: {"l": usual_methods(task)["Logistic regression"]}, task, cv=RandomSplits(2)
    ).run()
    found = frame[(frame["metric"] == "accuracy") & (frame["role"] != "control")]["value"]
    assert found.tolist() == [1.0, 1.0]


def test_pls_is_not_for_rows_that_lack_a_modality(lacking):
    with pytest.raises(NotApplicable, match=r"PLS takes complete rows, but 2\d lack a modality"):
        PLS().fit(lacking[0].select(["a", "b"]))


def test_transfer_has_the_autoencoder_and_cca_strong_shrinkage(lacking):
    methods = usual_methods(Task("t", lacking[0], kind="transfer", target="c"))
    assert "Autoencoder" in methods
    for kind in ("align", "fuse", "transfer"):
        target = "c" if kind == "transfer" else None
        task = Task("t", lacking[0], lacking[1], kind, target)
        assert max(usual_methods(task)["CCA"].grid["cca__shrinkage"]) == 0.9


# Columns of tables


SENTENCES = [f"the patient says number {i} of many things" for i in range(40)]


@pytest.mark.parametrize(("values", "held"), [
    ([1.5, 2, None], "numeric"),
    ([True, False, True], "numeric"),
    (["yes", "no", None] * 10, "categorical"),
    ([True, None, False] * 10, "categorical"),
    (["stage one", "stage two"] * 10, "categorical"),
    (pd.Categorical([1, 2, 1]), "categorical"),
    ([f"w{i % 30}" for i in range(90)], "categorical"),
    (SENTENCES, "text"),
    ([*SENTENCES, None, None], "text"),
    (["a.png", "b/C.JPG", None, "d.jpeg"], "image"),
    (["2021-03-04", None, "2021-03-05T10:00"], "date"),
    (pd.to_datetime(["2021-03-04", None]), "date"),
])  # fmt: skip
def test_what_a_column_holds_is_guessed(values, held):
    assert _guess("m", pd.Series(values, name="c")) == held


@pytest.mark.parametrize(("values", "words"), [
    (["1", "?", "3", "4"], 'empty = ["?"]'),
    (["1,200", "3,400", "1,100"], "numbers with separators or units, such as '1,200'"),
    (["5 kg", "7 kg", "6.5 kg"], "numbers with separators or units"),
    (["12 %", "7 %", "3%"], "numbers with separators or units"),
    ([f"P{i:03}X" for i in range(40)], "40 different values of one word in 40 rows"),
    ([f"{i % 28 + 1:02}/03/20{i:02}" for i in range(40)], "Dates are written 2021-03-04"),
    ([[1, 2], [3, 4]], "cells of list, such as [1, 2]"),
])  # fmt: skip
def test_what_cannot_be_guessed_says_what_to_do(values, words):
    with pytest.raises(ValueError, match="Modality 'm': 'c' ") as raised:
        _guess("m", pd.Series(values, name="c"))
    assert words in str(raised.value)


def test_text_scores_are_those_of_the_svd():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["ab", "cd", "ef", "gh", "ij", "kl"], 6)) for _ in range(20)] + [
        ""
    ]
    weights = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
    found = TextScores(3).fit_transform(texts)
    u, s, _ = randomized_svd(weights, 3, random_state=0)
    np.testing.assert_allclose(np.abs(found), np.abs(u * s), atol=1e-8)
    np.testing.assert_array_equal(found[20], 0)  # a text without words
    assert TextScores().fit_transform(["a few words", "some few", "words"]).shape == (3, 2)


# Tables on the command line


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def patients(here):
    """Write a table with everything that tables have, and return it."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    n = 90
    z = rng.standard_normal((n, 2))
    ill = z[:, 0] > 0
    words = np.where(ill[:, None], *[[w.split()] for w in ("fever cough ache", "fine calm rested")])
    frame = pd.DataFrame({
        "id": np.arange(n),
        "day": pd.date_range("2021-01-01", periods=n).strftime("%Y-%m-%d"),
        "age": rng.integers(20, 90, n).astype(float),
        "smoker": rng.choice(["yes", "no"], n),
        "city": np.array(["Rome", "Oslo", "Bern"])[(z[:, 1] > 0).astype(int) + (z[:, 1] > 1)],
        "notes": [f"{rng.choice(w)}, {rng.choice(w)} week {i % 30}" for i, w in enumerate(words)],
        **{f"rna_{j}": z @ rng.standard_normal(2) + 0.5 * rng.standard_normal(n) for j in range(4)},
        "diagnosis": np.where(ill, "ill", "well"),
        "scan": [f"scans/{i}.png" for i in range(n)],
    })  # fmt: skip
    (here / "scans").mkdir()
    for i in range(n):
        size = (int(rng.integers(4, 9)), 6)
        pixels = np.clip(rng.normal(120 + 60 * z[i, 0], 20, size), 0, 255).astype("u1")
        image.fromarray(pixels).save(here / f"scans/{i}.png")
    for column in ("age", "smoker", "city", "notes", "scan", "rna_1", "rna_2"):
        frame.loc[rng.random(n) < 0.1, column] = None
    frame.loc[:4, [f"rna_{j}" for j in range(4)]] = NAN
    frame.to_csv("patients.csv", index=False)
    return frame


def spec(text, modalities=CLINICAL):
    Path("spec.toml").write_text(f"{text}\n[modalities]\n{modalities}\n", encoding="utf-8")
    return Path("spec.toml")


def run(text, modalities, *words, methods=EASY):
    path = spec(text, modalities)
    names = [word for name in methods for word in ("--methods", name)]
    return CliRunner().invoke(
        app,
        ["run", "--data", "patients.csv", "--modalities", str(path), "--splits", "2", "--jobs", "1",
         *names, *words],
    )  # fmt: skip


CLASSIFY = 'kind = "classify"\nlabel = "diagnosis"'
EVERYTHING = f'{CLINICAL}\nnotes = "notes"\nscan = "scan"\nwhen = "day"'


@pytest.mark.parametrize(("text", "modalities", "methods"), [
    (f"{CLASSIFY}\nimage_size = 4", EVERYTHING, EASY[:2]),
    ('kind = "fuse"\nlabel = "diagnosis"\nimage_size = 4', EVERYTHING, ("PCA", "CCA")),
    ('target = "rna"\nimage_size = 4', EVERYTHING, ("Ridge", "CCA", "Neighbours", "Marginal")),
    ('label = "diagnosis"', CLINICAL, ("CCA", "PLS")),
    ("", 'notes = "notes"\nrna = "rna_*"', ("CCA", "PLS")),
    (CLASSIFY, 'city = "city"\nage = "age"', EASY[:2]),
], ids=["classify", "fuse", "transfer", "align", "align text", "single columns"])  # fmt: skip
def test_a_messy_table_runs(patients, text, modalities, methods):
    result = run(text, modalities, methods=methods)
    frame = pd.read_csv("benchmark-results/results.csv", keep_default_na=False)
    assert set(frame["status"]) <= {"ok", "not applicable", "undefined"}, result.output
    assert result.exit_code in (0, 3)  # 3: two splits are few for a control
    assert "are empty. " in result.stderr
    report = Path("benchmark-results/report.md").read_text("utf-8")
    for note in [line for line in result.stderr.splitlines() if line.startswith("Note: ")]:
        assert note.removeprefix("Note: ") in report


@pytest.mark.slow
@pytest.mark.parametrize(("text", "modalities"), [
    (f"{CLASSIFY}\nimage_size = 16", EVERYTHING),
    ('kind = "fuse"\nlabel = "diagnosis"\nimage_size = 16', EVERYTHING),
    ('target = "rna"\nimage_size = 16', EVERYTHING),
    ('label = "diagnosis"', CLINICAL),
])  # fmt: skip
def test_every_usual_method_runs_on_a_messy_table(patients, text, modalities):
    result = run(text, modalities, methods=())
    frame = pd.read_csv("benchmark-results/results.csv", keep_default_na=False)
    assert set(frame["status"]) <= {"ok", "not applicable", "undefined"}, result.output


def test_what_is_done_is_told(patients):
    tasks, notes = load_own("patients.csv", spec(f"{CLASSIFY}\nimage_size = 4", EVERYTHING))
    n_empty = int(patients[["age", "smoker", "city", "notes", "scan", "day",
                            *(f"rna_{j}" for j in range(4))]].isna().to_numpy().sum())  # fmt: skip
    told = "\n".join(notes)
    assert (
        "'clinical' takes 'smoker' (no, yes, missing), 'city' (Bern, Oslo, Rome, missing)" in told
    )
    assert "'when' takes ['day'] for dates: days since 1970-01-01." in told
    assert "'notes' is text: TF-IDF" in told
    n_images = patients["scan"].notna().sum()
    assert f"'scan' is {n_images} grey images, each stretched to 4 x 4 pixels." in told
    assert f"{n_empty} of 900 cells" in told
    assert "filled by the median of the training rows of each split" in told
    assert f"('rna' 5, 'scan' {90 - n_images})" in told
    assert tasks[0].X["scan"].shape == (90, 1, 4, 4)
    assert tasks[0].X["when"][0, 0] == 18628  # days from 1970 to 2021
    assert all(note.startswith("patients: ") for note in notes)


def test_prepared_columns(patients):
    (task,), _ = load_own("patients.csv", spec(CLASSIFY, f'{CLINICAL}\nnotes = "notes"'))
    prepared = clone(task.prepare).fit(task.X).transform(task.X)
    dummies = pd.get_dummies(patients[["smoker", "city"]].fillna("~"))  # the empty one is last
    age = patients[["age"]]
    np.testing.assert_allclose(
        prepared["clinical"],
        np.column_stack([dummies, age.fillna(age.median()), age.isna()]),
    )
    assert prepared["notes"].shape[1] > 5
    np.testing.assert_array_equal(prepared["notes"][patients["notes"].isna()], 0)
    assert prepared.missing["rna"].tolist() == [True] * 5 + [False] * 85


@pytest.mark.parametrize(("impute", "rows", "filled"), [
    ("median", 90, True), ("mean", 90, True), ("drop", None, None), ("none", 90, False)
])  # fmt: skip
def test_impute(patients, impute, rows, filled):
    (task,), notes = load_own("patients.csv", spec(CLASSIFY), impute)
    used = patients[["age", "smoker", "city", *(f"rna_{j}" for j in range(4))]]
    assert len(task.X) == (rows or used.notna().all(axis=1).sum())
    prepared = clone(task.prepare).fit(task.X).transform(task.X)
    clinical = prepared["clinical"]
    if filled:
        expected = getattr(used["age"], impute)()
        np.testing.assert_allclose(clinical[used["age"].isna(), -2], expected)
    assert np.isnan(clinical).any() == (filled is False)
    if impute == "drop":
        assert notes[0].endswith("rows lack a cell: left out.")
    if impute == "none":
        assert "They are left as they are, and methods that cannot use such rows fail" in notes[-1]


def test_impute_is_used_on_the_command_line(patients):
    for impute in ("mean", "none"):
        result = run(CLASSIFY, CLINICAL, "--impute", impute, methods=EASY[:1])
        assert result.exit_code in (0, 3), result.output
    index = json.loads(Path("benchmark-results/benchmark.json").read_text("utf-8"))
    assert "left as they are" in index["notes"][-1]
    result = run(CLASSIFY, CLINICAL, "--impute", "medain")
    assert result.exit_code == 2
    assert "valid are ['median', 'mean', 'drop', 'none']" in result.stderr


def test_rows_without_label_or_target_are_left_out(patients):
    patients.loc[3:7, "diagnosis"] = None
    patients.to_csv("patients.csv", index=False)
    (task,), notes = load_own("patients.csv", spec(CLASSIFY))
    assert (len(task.X), len(task.y)) == (85, 85)
    assert "patients: 5 of 90 rows lack a label ('diagnosis'): left out." in notes
    (task,), notes = load_own("patients.csv", spec('target = "rna"'))
    rna = patients[[f"rna_{j}" for j in range(4)]].dropna()
    np.testing.assert_allclose(task.X["rna"], rna)
    prepared = clone(task.prepare).fit(task.X).transform(task.X)
    np.testing.assert_array_equal(prepared["rna"], task.X["rna"])  # the truth is not touched


def test_rows_without_anything_are_left_out(patients):
    patients.loc[:6, ["age", *(f"rna_{j}" for j in range(4))]] = NAN
    patients.to_csv("patients.csv", index=False)
    (task,), notes = load_own("patients.csv", spec(CLASSIFY, 'age = "age"\nrna = "rna_*"'))
    n_kept = int(patients[["age", *(f"rna_{j}" for j in range(4))]].notna().any(axis=1).sum())
    assert (len(task.X), len(task.y)) == (n_kept, n_kept)
    assert f"patients: {90 - n_kept} of 90 rows lack every modality: left out." in notes
    (task,), notes = load_own("patients.csv", spec("", 'age = "age"\ncity = "city"'))
    assert len(task.X) == 90  # an empty category is something
    patients["end"] = 1.0
    patients.to_csv("patients.csv", index=False)
    keys = 'target = "end"\ngroups = "id"'
    (task,), notes = load_own("patients.csv", spec(keys, 'end = "end"\nrna = "rna_*"'))
    assert task.groups.tolist() == list(range(7, 90))
    assert "patients: 7 of 90 rows lack every modality but the target: left out." in notes


def test_columns_can_be_told_what_they_hold(patients):
    patients["grade"] = np.arange(90) % 3
    patients["mute"] = NAN
    patients.to_csv("patients.csv", index=False)
    modalities = 'a = ["age", "grade", "mute"]\nb = "notes"\nc = "id"'
    kinds = 'kinds = {grade = "categorical", b = "categorical"}'
    (task,), notes = load_own("patients.csv", spec(f"{CLASSIFY}\n{kinds}", modalities))
    prepared = clone(task.prepare).fit(task.X).transform(task.X)
    assert prepared["a"].shape == (90, 5)  # three grades, age, its mark
    assert task.X.kinds["b"] == "categorical"
    assert prepared["b"].shape[1] <= 50
    assert any("levels" in note and "at most 50" in note for note in notes)
    assert "patients: the columns ['mute'] are empty in every row: left out." in notes
    assert "patients: ['id'] count the rows: if they are ids leave them out." in notes


def test_components_fit_every_modality(patients):
    (task,), _ = load_own("patients.csv", spec("", 'city = "city"\nrna = "rna_*"'))
    assert task.n_components == 3  # four levels with the empty one, centred
    (task,), _ = load_own("patients.csv", spec("", 'notes = "notes"\nrna = "rna_*"'))
    assert task.n_components == 6  # with the marks of two columns


@pytest.mark.parametrize(("modalities", "kinds", "words"), [
    ('a = ["age", "notes"]', "", "'notes' holds texts: make that a modality of its own"),
    ('a = ["age", "scan"]', "", "'scan' holds paths of images: make that a modality"),
    ('a = "void"', "", "Modality 'a' is empty in every row"),
    ('a = "lost"', "", "88 of 90 images are not there, the first is"),
    ('a = "notes"', 'kinds = {a = "image"}', "images are not there"),
    ('a = "broken"', "", "cannot be read: cannot identify image file"),
    ('a = "smoker"', 'kinds = {a = "numeric"}', "'smoker' is not numbers, but has "),
    ('a = "odd"', 'kinds = {a = "numeric"}', 'empty = ["?"]'),
], ids=lambda value: value[:20])  # fmt: skip
def test_what_is_wrong_with_columns_is_told(patients, modalities, kinds, words):
    Path("broken.png").write_text("no image")
    patients.assign(
        void=NAN,
        lost=["scans/1.png", "scans/2.png", *(f"far/{i}.png" for i in range(88))],
        broken="broken.png",
        odd=["?", *map(str, range(89))],
    ).to_csv("patients.csv", index=False)
    result = run(f"{CLASSIFY}\n{kinds}", modalities)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


# Reading


def test_tables_are_read_however_they_are_written(here):
    frame = pd.DataFrame({
        "n": [1.5, NAN, -2.25, 3.0],
        "word": ["a, b", None, "c; d", "e"],
        "whole": [1, 2, 3, 4],
    })  # fmt: skip
    frame.to_csv("comma.csv", index=False)
    frame.to_csv("na.csv", index=False, na_rep="NA")
    frame.to_csv("odd.csv", index=False, na_rep="?")
    frame.to_csv("semicolon.csv", index=False, sep=";")
    frame.to_csv("european.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    frame.to_csv("tab.tsv", index=False, sep="\t")
    frame.to_csv("tab.csv", index=False, sep="\t")
    frame.to_csv("pipe.csv.gz", index=False, sep="|")
    text = Path("comma.csv").read_text("utf-8").replace("n,word,whole", '"n", "word" ,whole')
    Path("spaces.csv").write_text(text.replace(",,2", ",  ,2"), "utf-8")
    for path in sorted(here.iterdir()):
        found = read_table(path, ["?"] if path.name == "odd.csv" else ())
        pd.testing.assert_frame_equal(found, frame, check_dtype=False, obj=path.name)


def test_numbers_can_mean_an_empty_cell(here):
    pd.DataFrame({"a": [1, -999, 3] * 10, "b": [*range(29), -999]}).to_csv("t.csv", index=False)
    (task,), notes = load_own("t.csv", spec("empty = [-999]", 'a = "a"\nb = "b"'))
    assert task.X.missing.sum().tolist() == [10, 1]
    assert "11 of 60 cells (18.3 %) are empty" in notes[-1]


def test_descriptions_of_encoders_are_stable():
    steps = PerModality({"a": TextScores()})
    assert digest(describe(steps)) == digest(describe(clone(steps)))
    assert digest(describe(steps)) != digest(describe(PerModality({"a": TextScores(3)})))
    assert describe(Method(steps)) == describe(Method(clone(steps)))
