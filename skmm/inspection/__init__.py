"""Inference for alignments, and displays of them."""

from skmm.inspection._intervals import correlation_intervals, loading_intervals
from skmm.inspection._permutation_test import permutation_test, wilks_test
from skmm.inspection._plot._correlation import CorrelationDisplay
from skmm.inspection._plot._latent import LatentDisplay
from skmm.inspection._plot._loadings import LoadingsDisplay
from skmm.inspection._plot._scores import ScoresDisplay
from skmm.inspection._plot._training_curve import TrainingCurveDisplay

__all__ = [
    "CorrelationDisplay",
    "LatentDisplay",
    "LoadingsDisplay",
    "ScoresDisplay",
    "TrainingCurveDisplay",
    "correlation_intervals",
    "loading_intervals",
    "permutation_test",
    "wilks_test",
]
