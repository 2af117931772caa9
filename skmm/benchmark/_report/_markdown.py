"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from skmm.benchmark._metrics import Metric
from skmm.benchmark._report._sections import Failure, Report, Section
from skmm.benchmark._report._tables import Table
from skmm.benchmark._statistics import Ranks


def markdown(report: Report) -> str:
    """Return verdicts, tables of each task, controls, failures, methods, provenance."""
    content = report.content
    parts = ["# Benchmark", plain(report.title), report.tally, *_verdicts(report)]
    if report.wins is not None:
        parts += ["## Wins, ties, losses", *_table(report.wins)]
    parts += [_ranks(content.metrics[name], found) for name, found in report.ranks.items()]
    for section in report.sections:
        parts += _section(section)
    if report.controls is not None:
        parts += ["## Controls", *_table(report.controls)]
    if report.failures:
        parts += ["## Failures", *(_failure(failure) for failure in report.failures)]
    parts += ["## Methods", *_table(report.methods)]
    if content.notes:
        parts += ["## Notes", _list(content.notes)]
    if content.warnings:
        parts += ["## Warnings", _pairs({k: "; ".join(v) for k, v in content.warnings.items()})]
    if content.provenance:
        parts += ["## Provenance", _pairs(content.provenance)]
    return "\n\n".join(filter(None, parts)) + "\n"


def plain(text: str) -> str:
    """Return a text in one line that Markdown shows as it is written."""
    return re.sub(r"([|`*])", r"\\\1", " ".join(text.split())).replace("<", "&lt;")


def pipe_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, with columns of one width so that its source can be read too."""
    lines = [header, *rows]
    widths = [max(3, *(len(line[j]) for line in lines)) for j in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([t.ljust(w) for t, w in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


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


def _ranks(metric: Metric, ranks: Ranks) -> str:
    order = ", ".join(f"{plain(name)} {rank:.2f}" for name, rank in ranks.mean.items())
    return (
        f"Mean ranks by {plain(metric.label)} over {ranks.n_tasks} tasks: {order}. Critical "
        f"difference {ranks.critical_difference:.2f} (Nemenyi, 5 %)."
    )


def _table(table: Table) -> list[str]:
    rows = [
        [f"**{plain(e.text)}**" if e.strong else plain(e.text) for e in entries]
        for entries in table.rows
    ]
    return [pipe_table([plain(column.label) for column in table.columns], rows), table.caption]


def _failure(failure: Failure) -> str:
    longest = max(map(len, re.findall("`+", failure.error)), default=0)
    fence = "`" * max(3, longest + 1)
    places = "\n".join(f"- {plain(place)}" for place in failure.places)
    return f"{places}\n\n{fence}\n{failure.error}\n{fence}"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {plain(line)}" for line in lines)


def _pairs(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"- {plain(label)}: {plain(text)}" for label, text in pairs.items())
