"""What the site says of skmm is so: names, parameters, examples, spelling; and its own tools work.

That the Python of the pages runs and prints what is shown is tested in `test_readme.py`, that
documented defaults are those of the signatures in `test_docstrings.py`. `make docs` builds the
site.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skmm

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for page in [ROOT / "README.md", *DOCS.glob("**/*.md")]
    if not {"_build", "auto_examples"} & set(page.parts)
)
EXAMPLES = sorted((DOCS / "examples").glob("plot_*.py"))
QUICK = {"plot_loadings", "plot_permutation_test", "plot_persistence"}
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
WORDS = "coo,fo,mor,nam,nd,te,twoo,winn"  # names, and words in tests


def _imported(name):
    """Return what a dotted name means; raise AttributeError where it means nothing."""
    parts = name.split(".")
    thing = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], start=2):
        if not hasattr(thing, part):
            try:
                importlib.import_module(".".join(parts[:i]))
            except ImportError:
                raise AttributeError(f"there is no {name}") from None
        thing = getattr(thing, part)
    return thing


def _exists(name):
    try:
        _imported(name)
    except AttributeError:
        return False
    return True


def _tool(path):
    """Import a module of docs/, which is no package."""
    sys.path.insert(0, str(path.parent))
    try:
        return importlib.import_module(path.stem)
    finally:
        sys.path.remove(str(path.parent))


def _modules():
    found = [info.name for info in pkgutil.iter_modules(skmm.__path__, "skmm.")]
    return {"skmm", *(name for name in found if not name.split(".")[1].startswith("_"))}


def _spans(page):
    """Yield what stands between single backticks, outside of blocks of code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    yield from SPAN.findall(text)


def _calls(span):
    """Yield (function, keywords) of the calls of plain names in a piece of code."""
    try:
        tree = ast.parse(span.replace("\\|", "|"))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, [keyword.arg for keyword in node.keywords if keyword.arg]


def test_names_exist():
    absent = []
    for page in PAGES:
        names = [n for span in _spans(page) for n in re.findall(r"^skmm(?:\.[A-Za-z_]\w*)+", span)]
        for name in names:
            if not name.endswith((".json", ".md", ".py")) and not _exists(name):  # names of files
                absent.append((page.name, name))
    assert absent == []


def test_keywords_of_public_names_exist():
    public = {
        name: getattr(_imported(m), name) for m in _modules() for name in _imported(m).__all__
    }
    absent = []
    for page in PAGES:
        for span in _spans(page):
            for name, keywords in _calls(span):
                takes = inspect.signature(public[name]).parameters if name in public else keywords
                if not set(keywords) <= set(takes):
                    absent.append((page.name, span))
    assert absent == []


def test_checks_of_names_and_keywords_see_errors():
    with pytest.raises(AttributeError):
        _imported("skmm.metrics.no_such_metric")
    assert list(_calls("PerModality(CCA(3, no=1))")) == [("PerModality", []), ("CCA", ["no"])]


def test_reference_has_every_public_module():
    listed = re.findall(r"^   (skmm[.\w]*)$", (DOCS / "api" / "index.rst").read_text(), re.M)
    assert sorted(listed) == sorted(_modules())


def test_examples_say_what_one_sees():
    assert [example.name for example in EXAMPLES if not _says_what_one_sees(example)] == []


def _says_what_one_sees(example):
    """Whether a title and three sentences stand at the top."""
    text = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8")), clean=False)
    title, underline, blank, *body = text.strip("\n").split("\n")
    underlined = len(underline) >= len(title) and set(underline) == {"="} and not blank
    return underlined and len(re.findall(r"[.?:](?:\s|$)", " ".join(body))) >= 3


def test_there_are_enough_examples_and_all_are_in_order():
    assert len(EXAMPLES) >= 12
    names = {p.stem for p in (DOCS / "examples").glob("*.py")}
    assert set(_tool(DOCS / "_ext" / "gallery_order.py").ORDER) == names


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(e, id=e.stem, marks=[] if e.stem in QUICK else [pytest.mark.slow])
        for e in EXAMPLES
    ],
)
def test_examples_run_and_draw(example, monkeypatch, tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    exec(
        compile(example.read_text(encoding="utf-8"), example.name, "exec"), {"__name__": "example"}
    )
    assert plt.get_fignums()


def test_spelling():
    checked = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "benchmarks", "skmm"]
    skipped = "*/_build,*/auto_examples,*/generated,*.csv,*.svg,__pycache__"
    command = [sys.executable, "-m", "codespell_lib", "--skip", skipped, "-L", WORDS, *checked]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_spelling_is_british():
    american = r"\b(color|normaliz|standardiz|initializ|behavior|center(?:ed)?\b|modeling|gray)\w*"
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        words = re.search(american, re.sub(r"`[^`]*`|\]\([^)]*\)|\"[^\"]*\"", "", text))
        assert words is None, (page.name, words)


def test_links_of_the_built_site(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#there">1</a> <a href="b.html#not">2</a>')
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1> <img src="no.png"> <a href="a.html">')
    (tmp_path / "c.html").write_text('<a href="https://example.org/x">out</a> <a href="#no">3</a>')
    broken = _tool(DOCS / "check_links.py").broken_links(tmp_path)
    assert broken == ["a.html: b.html#not", "b.html: no.png", "c.html: #no"]


def test_links_out_of_docs_become_links_to_pages():
    translated = _tool(DOCS / "_ext" / "repository_links.py").translated
    text = "[a](../benchmarks/results/full.md#x) [b](cca.md) [c](../LICENSE) [d](https://x.org)"
    assert translated(text, DOCS, DOCS) == "[a](results/full.md#x) [b](cca.md) c [d](https://x.org)"
    assert translated("[a](published.md)", ROOT / "benchmarks/results", DOCS / "results") == (
        "[a](published.md)"
    )


def test_names_with_an_underscore_are_no_links():
    lines = [
        "shape (n_components_,), `kept_` and ``too_``",
        ">>> cca.weights_",
        "weights_",
        "",
        "x_",
    ]
    _tool(DOCS / "_ext" / "docstrings.py")._escape(None, "", "", None, None, lines)
    escaped = r"shape (n_components\_,), `kept_` and ``too_``"
    assert lines == [escaped, ">>> cca.weights_", "weights_", "", r"x\_"]
