"""Links of the Markdown pages to files outside docs/ lead to the pages that show these files.

The pages read well in the repository and on the site alike: "../benchmarks/results/full.md" is a
file in the one and "results/full" in the other.
"""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
SHOWN = {  # file of the repository: page of the site
    "README.md": "index",
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "benchmarks/README.md": "results/commands",
    "benchmarks/results/full.md": "results/full",
    "benchmarks/results/harness.md": "results/harness",
    "benchmarks/results/published.md": "results/published",
    "benchmarks/results/speed.md": "results/speed",
}
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def translated(text: str, folder: Path, page_folder: Path) -> str:
    """Return the text with links, relative to `folder`, to files replaced by links to pages.

    Of a link to a file that the site does not show, only the words remain.
    """

    def replace(match: re.Match[str]) -> str:
        words, link, anchor = match.groups(default="")
        target = os.path.relpath(folder / link, ROOT)
        if target in SHOWN:
            page = ROOT / "docs" / f"{SHOWN[target]}.md"
        elif target.startswith("docs" + os.sep):
            page = ROOT / target
        else:
            return words
        return f"[{words}]({os.path.relpath(page, page_folder)}{anchor})"

    return LINK.sub(replace, text)


def _on_read(app: Sphinx, name: str, source: list[str]) -> None:
    page = Path(app.srcdir) / f"{name}.md"
    if page.exists():
        source[0] = translated(source[0], page.parent, page.parent)


def _on_include(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    """Translate an included file: its links are relative to where it lies."""
    page = Path(app.srcdir) / f"{app.env.docname}.md"  # `parent` is a stem only
    content[0] = translated(content[0], (Path(app.srcdir) / path).resolve().parent, page.parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the translation with reading and including."""
    app.connect("source-read", _on_read)
    app.connect("include-read", _on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
