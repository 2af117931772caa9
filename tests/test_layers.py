"""Imports point down only. A new module needs a floor here; docs/decisions/layers.md says why."""

import ast
from pathlib import Path

import pytest

import skmm

ROOT = Path(skmm.__file__).parent

# Within a floor a module may import another, as long as they form no circle.
FLOORS = {
    "_atomic": 0,
    "_base": 0,
    "_gaussian": 0,
    "_linalg": 0,
    "_linear": 0,
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
    "_group_factor_analysis": 3,
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
# Circles between modules that are still there. The list only gets shorter.
KNOWN_CIRCLES: set[tuple[str, ...]] = set()


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


def _module(path):
    """Return the dotted name of a file, as in imports: `__init__.py` is the package."""
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_module(path): path for path in FILES}


def _imported_modules(path, modules):
    """Return the modules out of `modules` that a file imports, wherever the import stands.

    ``from skmm.x import y`` imports the module ``skmm.x.y`` where there is one, else ``skmm.x``.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in modules else node.module for name in names}
    return found & set(modules)


def _circles(graph):
    """Return the sets of nodes that reach each other, found by following the arrows."""

    def reached(start):
        found, ahead = set(), [start]
        while ahead:
            new = graph[ahead.pop()] - found
            found |= new
            ahead += new
        return found

    after = {node: reached(node) for node in graph}
    return {
        frozenset(other for other in after[node] if node in after[other])
        for node in graph
        if node in after[node]
    }


def test_every_module_has_a_floor():
    assert not set(UNITS) - set(FLOORS), "say in FLOORS on which floor they stand"
    assert not set(FLOORS) - set(UNITS), "FLOORS names what is not there"


def _offenders(forbidden):
    """Return what `forbidden` finds in each file, by file, where it finds something."""
    found = {path.relative_to(ROOT).as_posix(): forbidden(path) for path in FILES}
    return {name: sorted(what) for name, what in found.items() if what}


def test_imports_point_down():
    def from_above(path):
        floor = FLOORS[_unit(path)]
        return {name for name in _own_imports(path) if FLOORS[name] > floor}

    assert _offenders(from_above) == {}


def test_no_import_circles_between_units():
    graph = {unit: set() for unit in UNITS}
    for path in FILES:
        graph[_unit(path)] |= _own_imports(path)
    assert _circles(graph) == set()


def test_no_import_circles_between_modules():
    graph = {name: _imported_modules(path, MODULES) for name, path in MODULES.items()}
    found = {tuple(sorted(circle)) for circle in _circles(graph)}
    assert found == KNOWN_CIRCLES, "open the new circles; take those that are gone off the list"


def test_floors_keep_to_their_libraries():
    def foreign(path):
        used = {name.split(".")[0] for name in _imports(path)}
        return used & FORBIDDEN.get(FLOORS[_unit(path)], set())

    assert _offenders(foreign) == {}


def test_extras_are_imported_where_they_are_used():
    def early(path):
        if _unit(path) in NEEDS_EXTRA:
            return set()
        return {name.split(".")[0] for name in _imports(path, at_import_only=True)} & OPTIONAL

    assert _offenders(early) == {}


def test_the_reader_of_imports_sees_them(tmp_path):
    file = tmp_path / "module.py"
    file.write_text(
        "import torch.nn\nfrom skmm import CCA\nfrom skmm.nn import MLP\n"
        "def f():\n    import matplotlib.pyplot as plt\n"
    )
    late = {"torch.nn", "skmm.__init__", "skmm.nn"}
    assert set(_imports(file)) == late | {"matplotlib.pyplot"}
    assert set(_imports(file, at_import_only=True)) == late


CIRCLES = {  # by name: the source of two modules of a package p, and whether they form a circle
    "deferred": (("def f():\n    from p.b import g\n", "from p.a import f\n"), True),
    "for types": (("if TYPE_CHECKING:\n    from p import b\n", "import p.a\n"), True),
    "by the package": (("from p import name\n", ""), True),
    "none": (("from p.b import g\n", "import numpy\n"), False),
}


@pytest.mark.parametrize("case", CIRCLES)
def test_circles_between_modules_are_found(tmp_path, case):
    sources, is_circle = CIRCLES[case]
    files = {"p": "from p.a import name\n", "p.a": sources[0], "p.b": sources[1]}
    modules = {name: tmp_path / f"{name}.py" for name in files}
    for name, path in modules.items():
        path.write_text(files[name])
    graph = {name: _imported_modules(path, modules) for name, path in modules.items()}
    wanted = {"by the package": {"p", "p.a"}}.get(case, {"p.a", "p.b"})
    assert _circles(graph) == ({frozenset(wanted)} if is_circle else set())


def test_the_page_lists_every_module():
    page = (ROOT.parent / "docs" / "decisions" / "layers.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| ")]
    row_of = {line.split("|")[1].strip(): line for line in table}
    absent = [u for u in UNITS if u in FLOORS and f"`{u}`" not in row_of.get(str(FLOORS[u]), "")]
    assert absent == ["__main__", "_version"]
