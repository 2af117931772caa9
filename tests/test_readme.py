"""What the Markdown files say: their Python runs and prints that, their links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def _named(page):
    return page.relative_to(ROOT).as_posix()


def _blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


WITH_PYTHON = [page for page in PAGES if any(kind == "python" for kind, _ in _blocks(page))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=_named)
def test_python_runs_and_prints_what_is_shown(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # a page sets it: so that it is undone afterwards
    namespace, printed = {}, ""
    for kind, text in _blocks(page):
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, page.name, "exec"), namespace)
            printed = out.getvalue()
        elif kind == "text":  # the output of the Python before it
            assert printed == text


def test_links_lead_somewhere():
    absent = {}
    for page in PAGES:
        links = LINK.findall(page.read_text(encoding="utf-8"))
        absent[_named(page)] = [x for x in links if ":" not in x and not (page.parent / x).exists()]
    assert {page: links for page, links in absent.items() if links} == {}


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"^(?:\$ )?make (\w+)|`make (\w+)`", text, re.MULTILINE)
        unknown[_named(page)] = {a or b for a, b in named} - targets
    assert {page: names for page, names in unknown.items() if names} == {}


def test_every_decision_is_in_the_index():
    index = ROOT / "docs" / "decisions" / "README.md"
    pages = {page.name for page in index.parent.glob("*.md")} - {index.name}
    assert set(LINK.findall(index.read_text())) >= pages


def test_readme_shows_python():
    assert ROOT / "README.md" in WITH_PYTHON
