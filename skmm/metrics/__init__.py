"""How well modalities agree, how good draws of one given others are; and scorers.

Plain functions of arrays come first; the scorers at the end put them behind the signature
``scorer(estimator, X, y=None)`` of scikit-learn's model selection.
"""

from skmm.metrics._average_precision import mean_average_precision
from skmm.metrics._calibration import (
    coverage_per_group,
    interval_coverage,
    spread_error_ratio,
)
from skmm.metrics._coherence import coherence
from skmm.metrics._correlation import (
    canonical_correlations,
    mean_correlation,
    total_correlation,
)
from skmm.metrics._energy import crps, energy_score, energy_skill, variogram_score
from skmm.metrics._matching import foscttm, label_transfer_accuracy
from skmm.metrics._over_imputation import over_imputation_score
from skmm.metrics._regression import r2_per_modality
from skmm.metrics._retrieval import (
    mean_reciprocal_rank,
    median_rank,
    recall_at_k,
    retrieval_report,
)
from skmm.metrics._scorers import get_scorer, get_scorer_names, make_alignment_scorer
from skmm.metrics._synthetic import density_coverage, synthetic_training_accuracy
from skmm.metrics._two_sample import energy_distance, kernel_mmd, sliced_wasserstein

__all__ = [
    "canonical_correlations",
    "coherence",
    "coverage_per_group",
    "crps",
    "density_coverage",
    "energy_distance",
    "energy_score",
    "energy_skill",
    "foscttm",
    "get_scorer",
    "get_scorer_names",
    "interval_coverage",
    "kernel_mmd",
    "label_transfer_accuracy",
    "make_alignment_scorer",
    "mean_average_precision",
    "mean_correlation",
    "mean_reciprocal_rank",
    "median_rank",
    "over_imputation_score",
    "r2_per_modality",
    "recall_at_k",
    "retrieval_report",
    "sliced_wasserstein",
    "spread_error_ratio",
    "synthetic_training_accuracy",
    "total_correlation",
    "variogram_score",
]
