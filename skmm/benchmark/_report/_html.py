"""The report as one HTML page."""

from __future__ import annotations

from itertools import count

from skmm.benchmark._extras import require
from skmm.benchmark._report._sections import Report


def html(report: Report) -> str:
    """Return one page that needs no other file."""
    jinja2 = require("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skmm.benchmark"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = count(1)
    environment.filters["svg"] = lambda picture: picture.svg(f"figure {next(numbers)}")
    return str(environment.get_template("report.html").render(report=report))
