"""Inference and displays for alignments."""

from skmm._permutation import PermutationResult, WilksResult
from skmm.inspection._correlation_intervals import CorrelationIntervals, correlation_intervals
from skmm.inspection._loading_intervals import LoadingIntervals, loading_intervals
from skmm.inspection._permutation_test import permutation_test, wilks_test

__all__ = [
    "CorrelationIntervals",
    "LoadingIntervals",
    "PermutationResult",
    "WilksResult",
    "correlation_intervals",
    "loading_intervals",
    "permutation_test",
    "wilks_test",
]
