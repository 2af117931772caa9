"""Does skmm install and work in empty environments? One per row of a table of versions.

python benchmarks/matrix.py                  # all rows; an hour on a busy machine, 7 GB of disk
python benchmarks/matrix.py "3.11 oldest"    # one of them

The sdist and the wheel are built once, and compared. A row names a Python, which must be on the
PATH as `python3.12` or the like, and the versions of the packages: the lower bounds of
pyproject.toml, those of constraints.txt, or the newest there are. A row "without extras" tests
that skmm works without them and says which extra is missing. The tests come from the sdist, the
package from the wheel. Environments lie in a temporary folder and are removed one by one.

On Linux pip takes builds of torch with several GB of CUDA libraries, unless it knows others.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("plot", "image", "benchmark", "dask", "distributed", "io")
SHOWN = ("numpy", "scipy", "scikit-learn", "pandas", "torch", "skorch")

# Some minutes: the examples of all public names, the tests of what leans most on other packages.
TESTS = (
    "tests/test_baselines.py",
    "tests/test_cca.py",
    "tests/test_compose.py",
    "tests/test_import.py",
    "tests/test_metrics.py",
    "tests/test_modalities.py",
    "tests/test_persistence.py",
    "tests/test_preprocessing.py",
    "tests/test_sklearn_tools.py",
)
LAWS = (
    "tests/test_contract.py",
    "-k",
    "test_same_seed_gives_the_same_result and not threads or test_global_generators"
    " or test_check_estimator and not (Deep or Multimodal or Conditional)",
)
README = ("tests/test_readme.py::test_python_runs_and_prints_what_is_shown[README.md]",)
EXAMPLES_OF_EXTRAS = ("inspection/_plot", "benchmark", "io")
TESTS_OF_EXTRAS = ("tests/test_persistence.py", "tests/test_preprocessing.py")

# What must say `pip install "skmm[EXTRA]"` where the extra is missing. An array of dask cannot be
# had without dask, so that nothing of skmm asks for that extra.
WITHOUT = {
    "plot": "from skmm.inspection import LoadingsDisplay as D; D.from_estimator(CCA(1).fit(X), X)",
    "image": "from skmm.preprocessing import ImageScaler as S; S(size=(2, 2)).fit(images)",
    "benchmark": "from skmm.benchmark.__main__ import main; main()",
    "distributed": "from skmm import DeepCCA; DeepCCA(1, device='accelerate').fit(X)",
    "io": "from skmm.io import dump; dump(CCA(1).fit(X), 'never-written')",
}
DATA = """
import numpy as np
from skmm import CCA
X = dict(zip("ab", np.random.RandomState(0).standard_normal((2, 30, 3))))
images = np.zeros((3, 1, 4, 4), dtype=np.uint8)
"""


@dataclass(frozen=True)
class Row:
    """An environment."""

    python: str
    versions: str  # oldest, pinned or newest
    extras: bool = True

    @property
    def name(self) -> str:
        return f"{self.python} {self.versions}" + ("" if self.extras else " without extras")


ROWS = (
    Row("3.11", "oldest"),
    Row("3.11", "pinned"),
    Row("3.11", "pinned", extras=False),
    Row("3.11", "newest"),
    Row("3.12", "oldest"),
    Row("3.12", "pinned"),
    Row("3.13", "pinned"),
    Row("3.13", "newest"),
)


class Failed(Exception):
    """A step of a row went wrong; the message is the end of what it printed."""


def lower_bounds(extras: bool) -> list[str]:
    """Return `package==version` for every lower bound of pyproject.toml."""
    required = list(PROJECT["dependencies"])
    if extras:
        required += [x for name in EXTRAS for x in PROJECT["optional-dependencies"][name]]
    return [x.replace(">=", "==") for x in required if not x.startswith("skmm[")]


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; return their paths once they are sound."""
    python = _environment(folder / "build", sys.executable)
    _call(python, "-m", "pip", "install", "--quiet", "build", "twine")
    _call(python, "-m", "build", "--outdir", str(folder / "dist"), str(ROOT))
    (sdist,), (wheel,) = (list((folder / "dist").glob(x)) for x in ("*.tar.gz", "*.whl"))
    _call(python, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
    with tarfile.open(sdist) as source, zipfile.ZipFile(wheel) as built:
        files = {name.partition("/")[2] for name in source.getnames()}
        there = {name for name in built.namelist() if ".dist-info/" not in name}
        source.extractall(folder / "sdist", filter="data")
    (unpacked,) = (folder / "sdist").iterdir()
    if there != {name for name in files if name.startswith("skmm/")}:
        raise Failed("the wheel does not have what skmm/ of the sdist has")
    if "skmm/py.typed" not in there:
        raise Failed("the wheel lacks skmm/py.typed")
    shutil.rmtree(unpacked / "skmm")  # the wheel's is meant
    return wheel, unpacked


def run(row: Row, wheel: Path, unpacked: Path, folder: Path) -> dict[str, str]:
    """Install, import and test in a new environment; return the cells of the row."""
    start = time.perf_counter()
    python = _environment(folder / row.name.replace(" ", "-"), _interpreter(row.python))
    pins = ROOT / "constraints.txt"
    pinned = ["-c", str(pins)] if row.versions == "pinned" else []
    bounds = lower_bounds(row.extras) if row.versions == "oldest" else []
    what = f"{wheel}[{','.join(EXTRAS)}]" if row.extras else str(wheel)
    pip = (python, "-m", "pip", "install", "--quiet", "--no-compile", *pinned)
    _call(*pip, what, *bounds, "pytest>=8.3")
    _call(python, "-m", "pip", "check")
    installed = time.perf_counter()
    versions = dict(
        line.split(maxsplit=1) for line in _call(python, "-m", "skmm", cwd=unpacked).splitlines()
    )
    script = str(ROOT / "benchmarks" / "import_time.py")
    times = _call(python, script, "--rounds", "3", cwd=unpacked)
    seconds = re.search(r"importtime: sklearn ([\d.]+) s, skmm ([\d.]+) s", times)
    assert seconds
    if row.extras:
        _call(str(Path(python).with_name("skmm-benchmark")), "list", cwd=unpacked)
    else:
        _extras_are_named(python, unpacked)
    return {
        "environment": row.name,
        **{name: versions[name] for name in SHOWN},
        "tests": _tests(python, row, unpacked),
        "import skmm (sklearn), s": f"{seconds[2]} ({seconds[1]})",
        "install, then test, s": f"{installed - start:.0f}, {time.perf_counter() - installed:.0f}",
    }


def _tests(python: str, row: Row, unpacked: Path) -> str:
    """Return how many examples and tests passed and were skipped, or raise Failed."""
    options = ["-q", "-p", "no:cacheprovider", "-m", "not slow", "--continue-on-collection-errors"]
    if row.versions == "oldest":  # old packages call new ones in ways that are deprecated
        options += ["-W", "default::DeprecationWarning"]
    tests = TESTS
    if not row.extras:
        folder = Path(python).parents[1]  # pytest takes a glob to be below the current folder
        options += [f"--ignore-glob={folder}/*/skmm/{x}/*" for x in EXAMPLES_OF_EXTRAS]
        tests = tuple(name for name in TESTS if name not in TESTS_OF_EXTRAS)
    counts: dict[str, int] = {}
    failed = []
    for what in (("--pyargs", "skmm", *tests), LAWS, README):
        try:
            printed = _call(python, "-m", "pytest", *options, *what, cwd=unpacked)
        except Failed as error:  # the others are worth knowing
            failed.append(str(error))
            continue
        for number, outcome in re.findall(r"(\d+) (passed|skipped)", printed.splitlines()[-1]):
            counts[outcome] = counts.get(outcome, 0) + int(number)
    if failed:
        raise Failed("\n".join(failed))
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items())


def _extras_are_named(python: str, unpacked: Path) -> None:
    for extra, code in WITHOUT.items():
        command = [python, "-c", f"{DATA}\n{code}"]
        found = subprocess.run(command, cwd=unpacked, env=_variables(), **_CAPTURED)
        if not found.returncode or f"skmm[{extra}]" not in found.stdout:
            raise Failed(f"without {extra!r} it is not named:\n{found.stdout[-1000:]}")


def _interpreter(version: str) -> str:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], **_CAPTURED).returncode:
        raise Failed(f"there is no python{version} on the PATH")
    return python


def _environment(folder: Path, interpreter: str) -> str:
    """Return the Python of a new, empty environment."""
    _call(interpreter, "-m", "venv", str(folder))
    return str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))


_CAPTURED = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "check": False}


def _variables() -> dict[str, str]:
    """Return ours without those of Python: other packages, or none of them compiled to bytecode."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "OMP_NUM_THREADS": "1"}


def _call(*command: str, cwd: Path | None = None) -> str:
    """Run a command; return what it prints, or raise Failed with the end of it."""
    found = subprocess.run(command, cwd=cwd, env=_variables(), **_CAPTURED)
    if found.returncode:
        raise Failed(f"{' '.join(command)}\n{found.stdout[-6000:]}")
    return str(found.stdout)


def _markdown(cells: list[dict[str, str]]) -> str:
    names = list(cells[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {names}; all by default")
    options = parser.parse_args()
    if unknown := sorted(set(options.rows) - set(names)):
        parser.error(f"there are no rows {unknown}; there are {names}")
    cells, failed = [], []
    with tempfile.TemporaryDirectory(prefix="skmm-matrix-") as name:
        folder = Path(name)
        wheel, unpacked = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB", flush=True)
        for row in ROWS:
            if options.rows and row.name not in options.rows:
                continue
            print(f"{row.name}: some minutes", flush=True)
            try:
                cells.append(run(row, wheel, unpacked, folder))
                print(f"  {cells[-1]['tests']}", flush=True)
            except Failed as error:
                failed.append(row.name)
                print(f"  failed: {error}", flush=True)
            shutil.rmtree(folder / row.name.replace(" ", "-"), ignore_errors=True)
    if cells:
        print(f"\n{_markdown(cells)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
