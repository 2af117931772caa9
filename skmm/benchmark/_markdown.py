"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from skmm.benchmark._extras import require
from skmm.benchmark._tables import Table

if TYPE_CHECKING:
    from skmm.benchmark._report import Failure, Report, Section
    from skmm.benchmark._strips import Diagram


def markdown(report: Report) -> str:
    """Return verdicts, tables of each task, controls, failures, methods, provenance."""
    results = report.results
    parts = ["# Benchmark", plain(report.title), report.tally, *_verdicts(report)]
    if report.wins is not None:
        parts += ["## Wins, ties, losses", *_table(report.wins)]
    for found in report.diagrams:
        parts += [_ranks(found)]
    for section in report.sections:
        parts += _section(section)
    if report.controls is not None:
        parts += ["## Controls", *_table(report.controls)]
    if report.failures:
        parts += ["## Failures", *(_failure(failure) for failure in report.failures)]
    parts += ["## Methods", *_table(report.methods)]
    if results.notes:
        parts += ["## Notes", _list(results.notes)]
    if results.warnings_:
        parts += ["## Warnings", _pairs({k: "; ".join(v) for k, v in results.warnings_.items()})]
    if results.provenance_:
        parts += ["## Provenance", _pairs(results.provenance_)]
    return "\n\n".join(filter(None, parts)) + "\n"


def plain(text: str) -> str:
    """Return a text in one line that Markdown shows as it is written."""
    return re.sub(r"([|`*])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def _verdicts(report: Report) -> Iterator[str]:
    lines = [
        f"- {found.symbol} **{plain(found.task)}, {plain(found.theme.lower())}:** "
        f"{plain(found.text)}"
        for found in report.verdicts
    ]
    yield "\n".join(lines)
    wrong = [s for s in report.sections if s.control.passed is False]
    yield "\n".join(f"- ✗ **{plain(s.task)}:** {plain(s.control.text)}" for s in wrong)


def _section(section: Section) -> list[str]:
    parts = [f"## {plain(section.task)}", plain(section.description), plain(section.protocol)]
    parts += [plain(remark) for remark in section.remarks]
    for table in (section.means, section.differences, section.costs):
        parts += _table(table) if table is not None else []
    return [*parts, plain(section.control.text)]


def _ranks(found: Diagram) -> str:
    ranks = found.ranks
    order = ", ".join(f"{plain(name)} {rank:.2f}" for name, rank in ranks.mean.items())
    return (
        f"Mean ranks by {plain(found.metric.label)} over {ranks.n_tasks} tasks: {order}. Critical "
        f"difference {ranks.critical_difference:.2f} (Nemenyi, 5 %)."
    )


def _table(table: Table) -> list[str]:
    tabulate = require("tabulate").tabulate
    rows = [
        [f"**{plain(e.text)}**" if e.strong else plain(e.text) for e in entries]
        for entries in table.rows
    ]
    header = [plain(column.label) for column in table.columns]
    return [str(tabulate(rows, header, tablefmt="pipe", disable_numparse=True)), table.caption]


def _failure(failure: Failure) -> str:
    longest = max(map(len, re.findall("`+", failure.error)), default=0)
    fence = "`" * max(3, longest + 1)
    places = "\n".join(f"- {plain(place)}" for place in failure.places)
    return f"{places}\n\n{fence}\n{failure.error}\n{fence}"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {plain(line)}" for line in lines)


def _pairs(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"- {plain(label)}: {plain(text)}" for label, text in pairs.items())
