"""Make the environments of the peers, one for each kind of comparison: build/peers/NAME.

Peers and skmm never meet in one process: each side has its own packages, and they exchange files.
NAME is "cca", "gan", "mvlearn" or "vae", by default all; its packages are those of
requirements-NAME.txt. What stands in requirements-NAME-no-deps.txt follows without what it asks
for: some of that is not needed, or can no longer be had. An environment that was made from the
same requirements is left alone.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "peers"
NO_DEPS = "-no-deps"
STAMP = ".installed"  # holds the requirements that an environment was made from


def names() -> list[str]:
    """Return the names of the environments."""
    found = (p.stem.removeprefix("requirements-") for p in HERE.glob("requirements-*.txt"))
    return sorted(name for name in found if not name.endswith(NO_DEPS))


def requirements(name: str) -> list[tuple[Path, list[str]]]:
    """Return the files of an environment, in order, with pip's options for each."""
    later = HERE / f"requirements-{name}{NO_DEPS}.txt"
    steps: list[tuple[Path, list[str]]] = [(HERE / f"requirements-{name}.txt", [])]
    return [*steps, (later, ["--no-deps"])] if later.exists() else steps


def interpreter(environment: Path) -> Path:
    """Return the Python of an environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install(name: str, folder: Path) -> bool:
    """Make an environment unless it is there; return whether it is there now."""
    environment, steps = folder / name, requirements(name)
    wanted = "".join(path.read_text(encoding="utf-8") for path, _ in steps)
    stamp = environment / STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return True
    venv.create(environment, clear=True, with_pip=True)
    pip = [str(interpreter(environment)), "-m", "pip", "install", "--quiet"]
    for path, options in steps:
        if subprocess.run([*pip, *options, "-r", str(path)], check=False).returncode:
            return False
    stamp.write_text(wanted, encoding="utf-8")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names()}; all by default")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they go")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(names())):
        parser.error(f"there are no requirements for {unknown}; there are for {names()}")
    failed = []
    for name in options.names or names():
        print(f"{name}: some minutes if it is new", flush=True)
        if install(name, options.folder):
            print(f"  --peers-python {interpreter(options.folder / name)}", flush=True)
        else:
            failed.append(name)
    if failed:
        sys.exit(f"could not install {', '.join(failed)}: pip says above what is missing")


if __name__ == "__main__":
    main()
