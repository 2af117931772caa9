"""Run a suite by its name."""

from __future__ import annotations

from skmm.benchmark._benchmark import Benchmark
from skmm.benchmark._methods import BASELINE, METHODS
from skmm.benchmark._tasks import load_suite


def run_suite(
    suite: str = "quick",
    *,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
    command: str | None = None,
) -> Benchmark:
    """Run a suite of tasks and methods.

    Parameters
    ----------
    suite : {"quick"}, default="quick"
        Name of the suite. Tasks whose files are not on this machine are left out; nothing is
        downloaded.
    random_state : int, default=0
        Determines splits and methods.
    n_jobs : int, default=None
        Number of processes.
    verbose : int, default=0
        1 shows a progress bar.
    command : str, default=None
        The command that the report names.

    Returns
    -------
    benchmark : Benchmark
        After its `run`: `results_`, `summary`, `to_markdown`, `to_html`, `save`.

    Raises
    ------
    ValueError
        If the suite is unknown.

    Examples
    --------
    >>> from skmm.benchmark import run_suite
    >>> benchmark = run_suite("quick", n_jobs=2)  # doctest: +SKIP
    >>> benchmark.to_html("report.html")  # doctest: +SKIP
    """
    tasks, absent = load_suite(suite)
    benchmark = Benchmark(
        {method.name: method.make for method in METHODS},
        tasks,
        baseline=BASELINE,
        descriptions={method.name: method.summary for method in METHODS},
        random_state=random_state,
        notes=[f"{name} was left out: {reason}" for name, reason in absent.items()],
        command=command,
    )
    benchmark.run(n_jobs=n_jobs, verbose=verbose)
    return benchmark
