"""Compare methods on the same splits of tasks: whether deep beats linear on these data.

``python -m skmm.benchmark run --suite quick`` compares linear, nonlinear and deep methods on the
digits that scikit-learn brings.
"""

from skmm.benchmark._adapters import PLS, BlockScaler, NotApplicable, OracleSampler
from skmm.benchmark._benchmark import Benchmark
from skmm.benchmark._controls import shuffle_pairs
from skmm.benchmark._gaps import GapFiller
from skmm.benchmark._methods import Method, usual_methods
from skmm.benchmark._metrics import Metric
from skmm.benchmark._results import Results
from skmm.benchmark._statistics import corrected_interval, holm
from skmm.benchmark._tasks import Task

__all__ = [
    "PLS",
    "Benchmark",
    "BlockScaler",
    "GapFiller",
    "Method",
    "Metric",
    "NotApplicable",
    "OracleSampler",
    "Results",
    "Task",
    "corrected_interval",
    "holm",
    "shuffle_pairs",
    "usual_methods",
]
