"""Docstrings as they are written for reading in code, made into what Sphinx understands."""

import inspect
import re
from typing import Any

from sphinx.application import Sphinx

NAME = re.compile(r"(?<![\w`\\])(\w+)_(?![\w`])")  # n_components_, which would be a link
LITERAL = re.compile(r"(``.*?``|`.*?`)")


def _escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape names that end in an underscore, outside of code."""
    code = False
    for i, line in enumerate(lines):
        code = line.lstrip().startswith(">>>") or (code and bool(line.strip()))
        if not code:
            parts = LITERAL.split(line)
            parts[::2] = [NAME.sub(r"\1\\_", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that come from scikit-learn or torch; they have their own reference."""
    if name.startswith("_") or what == "module":
        return None
    function = obj.fget if isinstance(obj, property) else inspect.unwrap(getattr(obj, "fn", obj))
    return None if getattr(function, "__module__", "").startswith("skmm") else True


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both with autodoc; numpydoc comes before."""
    app.connect("autodoc-process-docstring", _escape, priority=900)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
