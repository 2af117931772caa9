"""The command line: ``list``, ``run``, ``report``, ``merge``, ``compare``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from skmm.benchmark._benchmark import Benchmark
from skmm.benchmark._choice import chosen_methods, keep_tasks
from skmm.benchmark._compare import compare, read_results
from skmm.benchmark._methods import _USUAL
from skmm.benchmark._own_data import load_own
from skmm.benchmark._results import Results
from skmm.benchmark._splits import RandomSplits
from skmm.benchmark._statistics import FAILED
from skmm.benchmark._suites import SUITES, find_sources, load_suite
from skmm.benchmark._task_types import TASK_TYPES
from skmm.benchmark._tasks import Task

SOME_FAILED, WRONG_CALL, NOT_AT_CHANCE, SOME_WORSE, INTERRUPTED = 1, 2, 3, 4, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Compare methods for multimodal data on the same splits.",
    pretty_exceptions_enable=False,
)
Folder = Annotated[
    Path, typer.Argument(help="A folder that `run` or `merge` wrote to, or a results.csv.")
]


@app.command("list")
def list_suites() -> None:
    """List the suites with their tasks, and the usual methods of each kind of task."""
    for suite in SUITES:
        typer.echo(f"suite {suite}")
        for source in find_sources(suite):
            there = "" if source.is_there() else " [files not found: set SKMM_DATA to their folder]"
            typer.echo(f"  {source.name}: {source.summary}{there}")
    for name, task_type in TASK_TYPES.items():
        typer.echo(f"methods for {name} ({task_type.about})")
        for method, usual in _USUAL[name].items():
            typer.echo(f"  {method} ({usual.role}): {usual.summary}")


@app.command()
def run(
    ctx: typer.Context,
    suite: Annotated[str, typer.Option(help="Which suite; see `list`.")] = "quick",
    tasks: Annotated[
        list[str] | None, typer.Option(help='Tasks of it, such as "digits*". May be repeated.')
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="Usual methods, such as CCA or DeepCCA; or MODULE:OBJECT, which adds an estimator "
            "of your own to them. May be repeated."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Your own data in place of a suite: a CSV, TSV or Parquet file, or "
            "MODULE:FUNCTION, which returns tasks, X, or (X, y)."
        ),
    ] = None,
    modalities: Annotated[
        Path | None, typer.Option(help="TOML file that describes the columns of --data.")
    ] = None,
    impute: Annotated[
        str,
        typer.Option(
            help="Empty cells of --data FILE: filled by the median or mean of the training rows, "
            "with columns that say where; drop: rows with one are left out; none: left as they are."
        ),
    ] = "median",
    splits: Annotated[int, typer.Option(min=1, help="Random splits, 80 % training.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each method on a split.")] = 1,
    random_state: Annotated[int, typer.Option(min=0, help="Determines splits and methods.")] = 0,
    jobs: Annotated[
        int, typer.Option(help="Processes, of one thread each; -1: one per processor.")
    ] = -1,
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the results and the report.")
    ] = Path("benchmark-results"),
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Take what the folder has, or run all again."),
    ] = True,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which a fit has failed.")
    ] = None,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Fit in fresh processes, to measure their memory.")
    ] = False,
) -> None:
    """Run methods on the tasks of a suite, or on your own data, and write the report.

    Finished cells are kept at once: after an interruption the same command goes on.

    Exit code: 0 if all is well, 1 if a method failed, 2 for a wrong call, 3 if a control is not at
    chance, 130 after Ctrl-C.
    """
    given = _given(ctx)
    with told_in_one_line():
        if jobs == 0:
            raise ValueError("--jobs 0 cannot run; -1 is one process per processor.")
        filled = impute if "impute" in given else None
        found, notes = _tasks(
            suite, tasks or (), data, modalities, filled, by_name="suite" in given
        )
        chosen, found, left_out = chosen_methods(methods or (), found)
        benchmark = Benchmark(
            chosen,
            found,
            cv=RandomSplits(splits, random_state),
            seeds=seeds,
            random_state=random_state,
            notes=[*notes, *left_out],
            command=shlex.join(["python", "-m", "skmm.benchmark", "run", *_typed(ctx, given)]),
        )
        for note in benchmark.notes:
            typer.echo(f"Note: {note}", err=True)
        try:
            benchmark.run(
                output,
                n_jobs=jobs,
                on_existing="only-missing" if resume else "always",
                timeout=timeout,
                isolate=isolate,
                verbose=1,
            )
        except KeyboardInterrupt:
            _interrupted(output, resume=resume)
    _write(benchmark, output, words=True)
    _judge(benchmark)


@app.command()
def report(
    folder: Folder,
    output: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where to write it; default: there.")
    ] = None,
) -> None:
    """Write the report of the results in a folder, finished or not, without running anything."""
    with told_in_one_line():
        results = read_results(folder)
        _write(results, output or (folder if folder.is_dir() else folder.parent))


@app.command()
def merge(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that `run` or `merge` wrote to, or CSV files.")
    ],
    output: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the results and the report.")
    ],
) -> None:
    """Put the results of several runs together: of other tasks, methods, splits or machines."""
    with told_in_one_line():
        first, *others = [read_results(folder) for folder in folders]
        _write(first.merge(*others), output)


@app.command("compare")
def compare_runs(
    old: Folder,
    new: Folder,
    costs: Annotated[
        bool, typer.Option("--costs", help="Compare time, memory and parameters as well.")
    ] = False,
) -> None:
    """Compare NEW with OLD, on the splits that both have.

    Exit code: 0 if nothing is surely worse, 4 if something is, 2 for a wrong call.
    """
    with told_in_one_line():
        found = compare(read_results(old), read_results(new), costs=costs)
    typer.echo(found.to_markdown())
    if len(found.worse):
        typer.echo(f"{len(found.worse)} values are worse than in {old}.", err=True)
        raise typer.Exit(SOME_WORSE)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Report a wrong call in one line, without a traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(WRONG_CALL) from error


def _tasks(
    suite: str,
    patterns: list[str] | tuple[()],
    data: str | None,
    spec: Path | None,
    impute: str | None,
    *,
    by_name: bool,
) -> tuple[list[Task], list[str]]:
    """Return the tasks that were asked for, and notes on them."""
    if data is None:
        if spec is not None:
            raise ValueError("--modalities describes the columns of --data FILE, which is missing.")
        if impute is not None:
            raise ValueError("--impute is for the gaps of --data FILE, which is missing.")
        tasks, absent = load_suite(suite, patterns)
        notes = [f"{name} was left out: {reason}" for name, reason in absent.items()]
        if not tasks:
            raise FileNotFoundError(" ".join(notes))
        return tasks, notes
    if by_name:
        raise ValueError("--data takes the place of --suite: give one of them.")
    tasks, notes = load_own(data, spec, impute)
    return keep_tasks(tasks, patterns), notes


def _given(ctx: typer.Context) -> dict[str, object]:
    """Return the options that were typed, by the name of their parameter."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    typed = {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    return {name: value for name, value in ctx.params.items() if name in typed}


def _typed(ctx: typer.Context, given: dict[str, object]) -> Iterator[str]:
    """Yield the words that give these options."""
    for option in ctx.command.params:
        value = given.get(str(option.name))
        if isinstance(value, bool):
            yield option.opts[0] if value else option.secondary_opts[0]
        elif value is not None:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                yield from (option.opts[0], str(one))


def _write(results: Results | Benchmark, folder: Path, *, words: bool = False) -> None:
    """Write the report and print its address; with `words` also its text."""
    paths = results.save(folder)
    if words:
        typer.echo(results.to_markdown())
    typer.echo(f"Report: {paths['html'].resolve().as_uri()}")
    for kind in ("markdown", "csv"):
        typer.echo(f"{kind}: {paths[kind].resolve().as_uri()}")


def _judge(results: Benchmark) -> None:
    """End with the exit code that fits the results."""
    failed = results.results_["status"].isin(FAILED).any()
    exposed = results.control_checks()["passed"].eq(False).any()
    if failed:
        typer.echo("Some methods failed: the report has their tracebacks.", err=True)
    if exposed:
        typer.echo("A control is not at chance: do not trust the values.", err=True)
    if failed or exposed:
        raise typer.Exit(SOME_FAILED if failed else NOT_AT_CHANCE)


def _interrupted(folder: Path, *, resume: bool) -> NoReturn:
    way = "the same command" if resume else "the same command with --resume in place of --fresh"
    typer.echo(
        f"Interrupted. Finished cells are kept in {folder}: {way} goes on from there.", err=True
    )
    raise typer.Exit(INTERRUPTED)
