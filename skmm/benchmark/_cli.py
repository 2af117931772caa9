"""The command line: ``list`` and ``run``."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from skmm.benchmark._methods import METHODS
from skmm.benchmark._suite import run_suite
from skmm.benchmark._tasks import SUITES, find_suite, load_suite

FAILED, NOT_AT_CHANCE = 1, 3

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Compare methods for multimodal data on the same splits.",
    pretty_exceptions_enable=False,
)


def _known_suite(value: str) -> str:
    try:
        find_suite(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return value


@app.command("list")
def list_suites() -> None:
    """List suites, their tasks, and the methods."""
    for suite, sources in SUITES.items():
        absent = load_suite(suite)[1]
        typer.echo(f"suite {suite}")
        for source in sources:
            there = "" if source.name not in absent else " [files not found: set SKMM_DATA]"
            typer.echo(f"  {source.name}: {source.summary}{there}")
    typer.echo("methods")
    for method in METHODS:
        typer.echo(f"  {method.name}: {method.summary}")


@app.command()
def run(
    suite: Annotated[str, typer.Option(callback=_known_suite, help="Which suite.")] = "quick",
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the CSV, Markdown and HTML files.")
    ] = Path("benchmark-results"),
    jobs: Annotated[
        int, typer.Option(help="Processes, of one thread each; -1: one per processor.")
    ] = -1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of splits and methods.")] = 0,
) -> None:
    """Run a suite, print its tables, write the report.

    Exit code: 0 if all is well, 1 if a method failed, 2 for a wrong call, 3 if the control with
    shuffled pairs is not at chance.
    """
    start = perf_counter()
    command = f"python -m skmm.benchmark run --suite {suite} --jobs {jobs} --seed {seed}"
    if jobs == 0:
        raise typer.BadParameter("--jobs 0 cannot run; -1 is one process per processor.")
    benchmark = run_suite(suite, random_state=seed, n_jobs=jobs, verbose=1, command=command)
    paths = benchmark.save(output)
    typer.echo(benchmark.to_markdown())
    typer.echo(f"{perf_counter() - start:.0f} s. Report: {paths['html'].resolve().as_uri()}")
    for kind in ("markdown", "csv"):
        typer.echo(f"{kind}: {paths[kind]}")
    if (benchmark.results_["status"] == "failed").any():
        typer.echo("Some methods failed: the report has their tracebacks.", err=True)
        raise typer.Exit(FAILED)
    if benchmark.control_checks()["passed"].eq(False).any():
        typer.echo("The control with shuffled pairs is not at chance.", err=True)
        raise typer.Exit(NOT_AT_CHANCE)
