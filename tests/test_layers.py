"""Imports point down only. A new module needs a floor here; docs/decisions/layers.md says why."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skmm

ROOT = Path(skmm.__file__).parent

# Within a floor a module may import another, as long as they form no circle.
FLOORS = {
    "_atomic": 0,
    "_base": 0,
    "_linalg": 0,
    "_modalities": 0,
    "_parameters": 0,
    "_permutation": 0,
    "_random": 0,
    "_version": 0,
    "compose": 0,
    "datasets": 0,
    "exceptions": 0,
    "metrics": 0,
    "model_selection": 0,
    "preprocessing": 0,
    "nn": 1,
    "_nets": 2,
    "_interfaces": 3,
    "_deep": 3,
    "_machine": 3,
    "baselines": 3,
    "_cca": 3,
    "_deep_cca": 3,
    "_multimodal_autoencoder": 3,
    "_multimodal_vae": 3,
    "_conditional_gan": 3,
    "_multimodal_predictor": 3,
    "__init__": 4,
    "__main__": 5,
    "inspection": 4,
    "benchmark": 4,
    "io": 4,
}
# What a floor must not import from outside, wherever the import stands.
FORBIDDEN = {
    0: {"torch", "skorch"},
    1: {"sklearn", "skorch", "pandas"},
}
# What no module imports when it is imported: extras, found at the time of use.
OPTIONAL = {
    *("accelerate", "matplotlib", "PIL", "jinja2", "skops", "typer", "dask"),
}
NEEDS_EXTRA = {"benchmark"}  # itself imported only by those who have the extra


def _unit(path):
    """Return the module or folder of `skmm` to which a file belongs."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(ROOT.rglob("*.py"))
UNITS = sorted({_unit(path) for path in FILES})


def _imports(path, *, at_import_only=False):
    """Yield the dotted names that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    deferred = _inside_functions(tree) if at_import_only else set()
    for node in ast.walk(tree):
        if node in deferred:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            if node.module == "skmm":
                names = (alias.name for alias in node.names)
                yield from (f"skmm.{n}" if n in FLOORS else "skmm.__init__" for n in names)
            else:
                yield str(node.module)


def _inside_functions(tree):
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node for function in functions for node in ast.walk(function)}


def _own_imports(path):
    """Return the other modules of skmm that a file imports."""
    parts = (name.split(".") for name in _imports(path))
    found = {(p[1] if len(p) > 1 else "__init__") for p in parts if p[0] == "skmm"}
    return found - {_unit(path)}


@pytest.mark.parametrize("unit", UNITS)
def test_every_module_has_a_floor(unit):
    assert unit in FLOORS, f"say in FLOORS on which floor skmm.{unit} stands"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    floor = FLOORS[_unit(path)]
    up = {name for name in _own_imports(path) if FLOORS[name] > floor}
    assert not up, f"floor {floor} imports from above: {up}"


def test_no_import_circles():
    graph = {unit: set() for unit in UNITS}
    for path in FILES:
        graph[_unit(path)] |= _own_imports(path)
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_floors_keep_to_their_libraries(path):
    used = {name.split(".")[0] for name in _imports(path)}
    assert not used & FORBIDDEN.get(FLOORS[_unit(path)], set())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_extras_are_imported_where_they_are_used(path):
    if _unit(path) in NEEDS_EXTRA:
        return
    used = {name.split(".")[0] for name in _imports(path, at_import_only=True)}
    assert not used & OPTIONAL


def test_the_reader_of_imports_sees_them(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "import torch.nn\nfrom skmm import CCA\nfrom skmm.nn import MLP\n"
        "def f():\n    import matplotlib.pyplot as plt\n"
    )
    late = {"torch.nn", "skmm.__init__", "skmm.nn"}
    assert set(_imports(file)) == late | {"matplotlib.pyplot"}
    assert set(_imports(file, at_import_only=True)) == late


def test_the_page_lists_every_module():
    page = (ROOT.parent / "docs" / "decisions" / "layers.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| ")]
    row_of = {line.split("|")[1].strip(): line for line in table}
    absent = [u for u in UNITS if u in FLOORS and f"`{u}`" not in row_of.get(str(FLOORS[u]), "")]
    assert absent == ["__main__", "_version"]
