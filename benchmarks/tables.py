"""Recorded figures as pages: benchmarks/results/*.md, and the summary in README.md.

The figures are kept in benchmarks/results/published.csv and speed.csv, a row each, written by hand
from what the command in the row has printed. This script only lays them out; nothing is computed.

`python benchmarks/tables.py` writes the pages, `--check` says which are out of date (exit status 1
if any), `--summary` prints the rows that have a headline. README.md gets the summary between the
two comments that `MARKS` names, if it has them.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MARKS = ("<!-- summary of benchmarks/results -->", "<!-- end of summary -->")
PUBLISHED = ["data", "figure", "published", "aim", "ours", "reached", "protocol", "command"]
SPEED = ["data", "what", "ours", "beside", "ratio", "aim", "reached", "command"]
COMMON = ["date", "hardware"]
REACHED = ["yes", "tie", "no", "–"]
NONE = "–"  # nothing was asked, published or measured

INTRODUCTIONS = {
    "published": """# Published figures, and ours beside them

Each row is a figure that a paper or a package states, or that we asked of ourselves (*aim*).
*Reached* compares with the aim, where there is none with the published figure: a tie is a
difference too small to tell, – means that there is nothing to compare. "se" is the standard error
over seeds. Published values are quoted from the sources named, with their protocols, which differ
from ours where the column says so; "here" marks what we measured of others.
""",
    "speed": """# Time and memory, beside floors and peers

Each row is a comparison in one run on the same data: both sides take turns. *Ratio* is ours over
the other side's, so below 1 is faster or smaller; – where only the ratio was kept. Ratios of busy
machines swing; those of processor seconds swing less.
""",
}


def read(name: str) -> pd.DataFrame:
    """Return a recorded table; every cell is text, as it stands in the file."""
    return pd.read_csv(RESULTS / f"{name}.csv", dtype=str, keep_default_na=False)


def columns(name: str) -> list[str]:
    """Return the columns that the file must have, in order."""
    own = {"published": PUBLISHED, "speed": SPEED}[name]
    return ["area", *own, *COMMON, "headline"]


def page(name: str) -> str:
    """Return the page of a recorded table: a section for each area."""
    frame = read(name)
    parts = [INTRODUCTIONS[name], _counts(frame), _said_once(frame)]
    own = columns(name)[1:-1]
    shown = [c for c in own if c not in COMMON or _varies(frame[c])]
    for area, rows in frame.groupby("area", sort=False):
        parts.append(f"## {area}\n\n{_table(rows[shown])}\n")
    parts.append(
        f"Written by `python benchmarks/tables.py` from [{name}.csv]({name}.csv); how each is run"
        " is in [benchmarks](../README.md).\n"
    )
    return "\n".join(parts)


def summary() -> str:
    """Return the short table of all rows that have a headline."""
    published, speed = read("published"), read("speed")
    speed = speed.rename(columns={"beside": "published"})
    speed["ours"] = speed["ratio"] + " times"
    rows = pd.concat([published, speed])
    rows = rows[rows["headline"] != ""]
    shown = rows[["headline", "ours", "published", "aim", "reached"]]
    names = {"headline": "figure", "ours": "skmm", "published": "published, or beside it"}
    return _table(shown.rename(columns=names)) + "\n"


def contents() -> dict[Path, str]:
    """Return what each page should hold."""
    pages = {RESULTS / f"{name}.md": page(name) for name in INTRODUCTIONS}
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if all(mark in text for mark in MARKS):
        between = re.compile(f"({re.escape(MARKS[0])}\n).*?({re.escape(MARKS[1])})", re.DOTALL)
        inside = f"\n{summary()}\n"
        pages[readme] = between.sub(lambda found: found[1] + inside + found[2], text)
    return pages


def outdated() -> list[Path]:
    """Return the pages that do not hold what they should."""
    return [
        path
        for path, text in contents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if out of date")
    parser.add_argument("--summary", action="store_true", help="print the short table alone")
    options = parser.parse_args()
    if options.summary:
        print(summary(), end="")
    elif options.check:
        for path in (late := outdated()):
            print(f"{path.relative_to(ROOT)} is out of date: run python benchmarks/tables.py")
        sys.exit(bool(late))
    else:
        for path, text in contents().items():
            path.write_text(text, encoding="utf-8")


def _counts(frame: pd.DataFrame) -> str:
    counts = frame["reached"].value_counts()
    words = {"–": "without a comparison"}
    said = [f"{counts[key]} {words.get(key, key)}" for key in REACHED if key in counts]
    return f"{len(frame)} rows, reached: {', '.join(said)}.\n"


def _said_once(frame: pd.DataFrame) -> str:
    """Return a line for what is the same in all rows."""
    said = [f"{c}: {frame[c].iloc[0]}" for c in COMMON if not _varies(frame[c])]
    return f"Of all rows, {'; '.join(said)}.\n" if said else ""


def _varies(column: pd.Series) -> bool:
    return bool((column != column.iloc[0]).any())


def _table(frame: pd.DataFrame) -> str:
    lines = [list(frame.columns), ["---"] * frame.shape[1]]
    lines += [
        [_cell(c, text) for c, text in zip(frame.columns, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    return "\n".join(_line(line) for line in lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(column: str, text: str) -> str:
    """Return a cell as Markdown: commands as code, bars escaped."""
    text = text.replace("|", r"\|")
    if column == "command" and text != NONE:
        return "; ".join(f"`{part}`" for part in text.split("; "))
    return text


if __name__ == "__main__":
    main()
