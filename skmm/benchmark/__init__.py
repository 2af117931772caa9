"""Compare methods on tasks with the same splits: tables, verdicts, one page of pictures.

``python -m skmm.benchmark run --suite quick`` compares the linear methods on real data.
"""

from skmm.benchmark._adapters import PLS, BlockScaler, NotApplicable
from skmm.benchmark._benchmark import Benchmark
from skmm.benchmark._cells import shuffle_pairs
from skmm.benchmark._statistics import corrected_interval
from skmm.benchmark._suite import run_suite
from skmm.benchmark._tasks import Task

__all__ = [
    "PLS",
    "Benchmark",
    "BlockScaler",
    "NotApplicable",
    "Task",
    "corrected_interval",
    "run_suite",
    "shuffle_pairs",
]
