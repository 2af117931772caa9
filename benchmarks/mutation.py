"""Whether the tests notice errors in the mathematics: mutants of linear algebra, losses, metrics.

A mutant is a source file with one small error: another operator, bound, constant, axis or
reduction, a lost sign or call. A copy of the package in a temporary folder gets it, and the tests
that reach its line run until one fails: then the mutant is killed. One that runs into the time
limit counts as killed, one on a line that no test reaches as survived. Texts of errors and type
annotations are left alone. A process is forked for each mutant once what skmm imports is loaded.

Explained survivors stand in ``equivalent_mutants.csv``; why there is a script of our own, and the
scores, in ``docs/decisions/mutation.md``.
"""

import argparse
import ast
import builtins
import contextlib
import csv
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VAE = "tests/test_vae.py::"
# The tests of each file, besides its own examples; the recorder finds which of them reach a line.
TESTS = {
    "skmm/_linalg.py": ["tests/test_linalg.py"],
    "skmm/nn/_losses.py": ["tests/test_losses.py"],
    "skmm/nn/_statistics.py": ["tests/test_losses.py"],
    "skmm/nn/_adversarial_losses.py": ["tests/test_adversarial.py"],
    "skmm/nn/_alignment.py": ["tests/test_alignment.py"],
    "skmm/nn/_likelihoods.py": ["tests/test_nn_likelihoods.py"],
    "skmm/nn/_experts.py": [
        VAE + "test_the_product_is_the_posterior_of_a_linear_model",
        VAE + "test_what_a_missing_expert_says_is_ignored",
        VAE + "test_divergences_are_those_of_quadrature",
        VAE + "test_log_density_is_that_of_scipy",
        VAE + "test_a_density_of_nan_is_nan_and_no_error",
        VAE + "test_subsets_start_with_single_modalities",
    ],
    "skmm/metrics/_average_precision.py": ["tests/test_metrics.py"],
    "skmm/metrics/_calibration.py": ["tests/test_sample_metrics.py"],
    "skmm/metrics/_coherence.py": ["tests/test_coherence.py", "tests/test_missing_judged.py"],
    "skmm/metrics/_correlation.py": ["tests/test_metrics.py"],
    "skmm/metrics/_draws.py": ["tests/test_sample_metrics.py"],
    "skmm/metrics/_energy.py": ["tests/test_sample_metrics.py"],
    "skmm/metrics/_matching.py": ["tests/test_metrics.py"],
    "skmm/metrics/_over_imputation.py": ["tests/test_coherence.py", "tests/test_missing_judged.py"],
    "skmm/metrics/_regression.py": ["tests/test_metrics.py"],
    "skmm/metrics/_retrieval.py": ["tests/test_metrics.py"],
    "skmm/metrics/_similarity.py": ["tests/test_metrics.py"],
    "skmm/metrics/_synthetic.py": ["tests/test_sample_metrics.py"],
    "skmm/metrics/_two_sample.py": ["tests/test_sample_metrics.py"],
}
# Mutants that no test can or need kill, by file, line and changed line: why.
with open(ROOT / "benchmarks" / "equivalent_mutants.csv", encoding="utf-8", newline="") as _file:
    EQUIVALENT = {
        (row["file"], row["before"], row["after"]): row["why"] for row in csv.DictReader(_file)
    }

OPERATORS: dict[type, tuple[str, list[str]]] = {
    ast.Add: ("+", ["-"]),
    ast.Sub: ("-", ["+"]),
    ast.Mult: ("*", ["/"]),
    ast.Div: ("/", ["*"]),
    ast.FloorDiv: ("//", ["*"]),
    ast.Mod: ("%", ["*"]),
    ast.Pow: ("**", ["*"]),
    ast.BitAnd: ("&", ["|"]),
    ast.BitOr: ("|", ["&"]),
    ast.And: ("and", ["or"]),
    ast.Or: ("or", ["and"]),
    ast.Lt: ("<", ["<=", ">"]),
    ast.LtE: ("<=", ["<", ">"]),
    ast.Gt: (">", [">=", "<"]),
    ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: ("not in", ["in"]),  # codespell:ignore
    ast.USub: ("-", [""]),
    ast.Invert: ("~", [""]),
    ast.Not: ("not ", [""]),
}
PAIRS = [
    ("mean", "sum"),
    ("min", "max"),
    ("minimum", "maximum"),
    ("any", "all"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
]
SWAPPED = dict([*PAIRS, *((b, a) for a, b in PAIRS)])
DROPPED = {"abs", "sqrt", "square", "exp", "log", "flatten", "detach"}  # f(x) becomes x
UNTOUCHED = {"strict", "check_finite", "copy"}  # keywords that choose checks or memory, no values
MEMORY, MARGIN = 12 * 2**30, (5.0, 30.0)  # bytes; a run may take factor * time + seconds
WARM = ("numpy", "scipy", "sklearn", "pandas", "torch", "skorch", "pytest", "coverage", "mpmath")


@dataclass(frozen=True)
class Mutant:
    """One change of a source file: between which bytes, and into what."""

    path: str
    start: int
    stop: int
    new: str
    lines: range  # of the statement
    text: bytes = field(repr=False)

    def source(self) -> bytes:
        return self.text[: self.start] + self.new.encode() + self.text[self.stop :]

    def texts(self) -> tuple[int, str, str]:
        """Return the number of the line, the line, and what becomes of it."""
        old, new = self.text, self.source()
        first = old.rfind(b"\n", 0, self.start) + 1
        ends = old.find(b"\n", self.stop), new.find(b"\n", self.start + len(self.new.encode()))
        before, after = (
            " ".join(text[first:end].decode().split())
            for text, end in zip((old, new), ends, strict=True)
        )
        return old.count(b"\n", 0, self.start) + 1, before, after

    def explained(self) -> str | None:
        return EQUIVALENT.get((self.path, *self.texts()[1:]))


@dataclass
class Reach:
    """What the tests of a file reach: tests by line, and their seconds; recorded while they run."""

    by_line: dict[int, list[str]]
    seconds: dict[str, float] = field(default_factory=Counter)

    def tests(self, lines: range) -> list[str]:
        """Return the tests that reach any of the lines, the quickest first."""
        found = {test for line in lines for test in self.by_line.get(line, [])}
        if "" in found:  # it runs on import, before any test
            found = set(self.seconds)
        return sorted(found, key=lambda test: (self.seconds[test], test))


class Mutations(ast.NodeVisitor):
    """Collects (start, stop, new) for all mutants of one file."""

    def __init__(self, path: str, text: bytes) -> None:
        self.path, self.text = path, text
        self.offsets = [0, *(i + 1 for i, byte in enumerate(text) if byte == 10)]
        self.found: list[Mutant] = []
        self.lines = range(0)
        self.visit(ast.parse(text))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Raise | ast.JoinedStr) or _is_alias(node):
            return
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or 0) + 1
            self.lines = range(node.lineno, max(end, node.lineno + 1))
        before = self.lines
        super().visit(node)
        for name, child in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "ctx", "op", "ops"):
                continue
            for part in child if isinstance(child, list) else [child]:
                if isinstance(part, ast.AST):
                    self.visit(part)
                    self.lines = before

    def generic_visit(self, node: ast.AST) -> None:
        """Nothing: `visit` goes on to the children."""

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._operator(node.op, self._end(node.left), self._start(node.right))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._operator(node.op, self._end(node.target), self._start(node.value))
        self._add(self._start(node), self._end(node), "pass")

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for a, b in zip(node.values, node.values[1:], strict=False):
            self._operator(node.op, self._end(a), self._start(b))

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for op, a, b in zip(node.ops, sides, sides[1:], strict=False):
            self._operator(op, self._end(a), self._start(b))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self._operator(node.op, self._start(node), self._end(node))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            news = [str(not node.value)]
        elif isinstance(node.value, int | float):
            news = [repr(node.value + 1)] + (["0"] if node.value == 1 else [])
        else:
            return
        for new in news:
            self._add(self._start(node), self._end(node), new)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if new := SWAPPED.get(node.attr):
            self._add(self._end(node) - len(node.attr), self._end(node), new)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in DROPPED:
            inner = node.args[0] if node.args else function.value
            old = self.text[self._start(inner) : self._end(inner)].decode()
            self._add(self._start(node), self._end(node), f"({old})")
        if isinstance(function, ast.Name) and hasattr(builtins, SWAPPED.get(function.id, "")):
            self._add(self._start(function), self._end(function), SWAPPED[function.id])

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg in UNTOUCHED:
            node.value = ast.Name("_")  # without a constant

    def visit_Slice(self, node: ast.Slice) -> None:
        for bound in (node.lower, node.upper):
            if bound is not None and not isinstance(bound, ast.Constant | ast.UnaryOp):
                old = self.text[self._start(bound) : self._end(bound)].decode()
                self._add(self._start(bound), self._end(bound), f"({old}) + 1")

    def visit_If(self, node: ast.If | ast.IfExp | ast.While) -> None:
        if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            old = self.text[self._start(node.test) : self._end(node.test)].decode()
            self._add(self._start(node.test), self._end(node.test), f"not ({old})")

    visit_IfExp = visit_While = visit_If

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._add(self._start(node), self._end(node), "pass")

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self.offsets[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        return self.offsets[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def _operator(self, op: ast.AST, start: int, stop: int) -> None:
        old, news = OPERATORS.get(type(op), ("", []))
        for new in news:
            at = self.text.index(old.encode(), start, stop)
            self._add(at, at + len(old), new)

    def _add(self, start: int, stop: int, new: str) -> None:
        mutant = Mutant(self.path, start, stop, new, self.lines, self.text)
        try:
            compile(mutant.source(), self.path, "exec")
        except (SyntaxError, SyntaxWarning):
            return
        self.found.append(mutant)


def _is_alias(node: ast.AST) -> bool:
    """Whether it names a type, as in ``Rule = Callable[[Tensor], Tensor]``."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Subscript)
        and node.col_offset == 0
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="parts of paths, such as _linalg; default all")
    parser.add_argument("--max-per-file", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="chooses the mutants of each file")
    parser.add_argument(
        "--unseen", type=int, nargs="*", default=[], help="leave out what these seeds chose"
    )
    parser.add_argument("--line", type=int, help="all mutants of this line only")
    args = parser.parse_args()
    if missing := [test for tests in TESTS.values() for test in tests if not _test_file(test)]:
        parser.error(f"there are no tests {missing}")
    paths = [path for path in TESTS if not args.files or any(f in path for f in args.files)]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("skmm", "tests"):
            shutil.copytree(ROOT / name, Path(folder, name))
        for name in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        _warm_up()
        total: Counter = Counter()
        for path in paths:
            total += _judge_file(folder, path, _sample(folder, path, args))
    print(f"\n{'all':38} {_summary(total)}")


def _test_file(test: str) -> bool:
    return (ROOT / test.partition("::")[0]).exists()


def _sample(folder: str, path: str, args: argparse.Namespace) -> list[Mutant]:
    """Return the chosen mutants of a file, in the order of its lines."""
    found = Mutations(path, Path(folder, path).read_bytes()).found
    if args.line is not None:
        return [mutant for mutant in found if mutant.texts()[0] == args.line]
    chosen: list[Mutant] = []
    for seed in (*args.unseen, args.seed):
        found = [mutant for mutant in found if mutant not in chosen]
        chosen = random.Random(seed).sample(found, min(args.max_per_file, len(found)))
    return sorted(chosen, key=lambda mutant: (mutant.start, mutant.new))


def _warm_up() -> None:
    """Load what skmm and its tests import."""
    sys.path.insert(0, str(ROOT / "tests"))
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    os.nice(5)
    _load(WARM)


def _load(names: Iterable[str]) -> None:
    """Import, so that the processes of the mutants need not; not skmm itself, which changes."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "skmm" in sys.modules:
        raise SystemExit("skmm was loaded before it was mutated.")


def _judge_file(folder: str, path: str, mutants: list[Mutant]) -> Counter:
    """Run the mutants of one file; print and return what became of them."""
    reach = _reach(folder, path)
    counts: Counter = Counter(mutants=len(mutants))
    begin, survivors = time.perf_counter(), []
    for mutant in mutants:
        if mutant.explained():
            counts["equivalent"] += 1
            continue
        tests = reach.tests(mutant.lines)
        end = _run(folder, mutant, tests, reach) if tests else "survived"
        counts[end] += 1
        if end == "survived":
            survivors.append((mutant, "" if tests else "  (no test)"))
    print(f"{path:38} {_summary(counts)}  {time.perf_counter() - begin:4.0f} s", flush=True)
    for mutant, note in survivors:
        number, before, after = mutant.texts()
        print(f"  {path}:{number}{note}\n      {before}\n   -> {after}", flush=True)
    return counts


def _summary(counts: Counter) -> str:
    judged = counts["mutants"] - counts["equivalent"]
    killed = counts["killed"] + counts["timed out"]
    return (
        f"{counts['mutants']:4} mutants, {counts['equivalent']:3} equivalent, {killed:4} killed "
        f"({counts['timed out']} by time), {counts['survived']:3} survived: "
        f"{100 * killed / max(judged, 1):5.1f} %"
    )


def _reach(folder: str, path: str) -> Reach:
    """Run the tests of a file unchanged, once, and note which reach what."""
    kept = Path(folder, "reach.json")

    def record() -> int:
        import coverage

        tracer = coverage.Coverage(
            data_file=None, include=[str(Path(folder, path).resolve())], config_file=False
        )
        reach = Reach({})

        class Recorder:
            def pytest_runtest_logstart(self, nodeid: str) -> None:
                tracer.switch_context(nodeid.partition("[")[0])

            def pytest_runtest_logreport(self, report: Any) -> None:
                reach.seconds[report.nodeid.partition("[")[0]] += report.duration

        tracer.start()
        code = _pytest([*TESTS[path], path], Recorder())
        tracer.stop()
        data = tracer.get_data()
        lines = data.contexts_by_lineno(next(iter(data.measured_files())))
        kept.write_text(json.dumps([lines, reach.seconds, sorted(sys.modules)]))
        return code

    if _forked(folder, record, 600.0) != 0:
        print(Path(folder, "log").read_text())
        raise SystemExit(f"The tests of {path} fail without a mutation: {TESTS[path]}.")
    lines, seconds, modules = json.loads(kept.read_text())
    _load(name for name in modules if name.partition(".")[0] in WARM)
    return Reach({int(line): tests for line, tests in lines.items()}, seconds)


def _run(folder: str, mutant: Mutant, tests: list[str], reach: Reach) -> str:
    """Return what became of a mutant; the file is as it was afterwards."""
    file = Path(folder, mutant.path)
    Path(cache_from_source(str(file))).unlink(missing_ok=True)
    file.write_bytes(mutant.source())
    limit = MARGIN[0] * sum(reach.seconds[test] for test in tests) + MARGIN[1]
    try:
        code = _forked(folder, lambda: _pytest(tests), limit)
    finally:
        file.write_bytes(mutant.text)
        Path(cache_from_source(str(file))).unlink(missing_ok=True)
    if code == 5:
        raise SystemExit(f"pytest found none of {tests}.")
    return "timed out" if code is None else "killed" if code else "survived"


def _pytest(tests: list[str], *plugins: object) -> int:
    import pytest

    arguments = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    return int(pytest.main(arguments, plugins=plugins))


def _forked(folder: str, work: Callable[[], int], limit: float) -> int | None:
    """Return the exit code of the work in a process of its own; None if it took too long."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _child(folder, work)
    end = time.monotonic() + limit
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):  # also what it started
        os.killpg(child, signal.SIGKILL)
    if done[0] == 0:
        os.waitpid(child, 0)
        return None
    return os.waitstatus_to_exitcode(done[1])


def _child(folder: str, work: Callable[[], int]) -> None:
    """Work in the folder, in a group of processes of its own; never return."""
    code = 70
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        log = os.open(Path(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        os.chdir(folder)
        sys.path.insert(0, folder)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
