"""Inference for alignments, and displays of them."""

from skmm.inspection._intervals import correlation_intervals, loading_intervals
from skmm.inspection._missing_patterns import missing_patterns
from skmm.inspection._modality_importance import modality_importance
from skmm.inspection._permutation_test import permutation_test, wilks_test
from skmm.inspection._plot._correlation import CorrelationDisplay
from skmm.inspection._plot._latent import LatentDisplay
from skmm.inspection._plot._loadings import LoadingsDisplay
from skmm.inspection._plot._missing_patterns import MissingPatternsDisplay
from skmm.inspection._plot._modality_contribution import ModalityContributionDisplay
from skmm.inspection._plot._modality_importance import ModalityImportanceDisplay
from skmm.inspection._plot._reconstruction import ReconstructionDisplay
from skmm.inspection._plot._samples import SamplesDisplay
from skmm.inspection._plot._scores import ScoresDisplay
from skmm.inspection._plot._training_curve import TrainingCurveDisplay
from skmm.inspection._plot._variance_explained import VarianceExplainedDisplay
from skmm.inspection._variance_explained import variance_explained

__all__ = [
    "CorrelationDisplay",
    "LatentDisplay",
    "LoadingsDisplay",
    "MissingPatternsDisplay",
    "ModalityContributionDisplay",
    "ModalityImportanceDisplay",
    "ReconstructionDisplay",
    "SamplesDisplay",
    "ScoresDisplay",
    "TrainingCurveDisplay",
    "VarianceExplainedDisplay",
    "correlation_intervals",
    "loading_intervals",
    "missing_patterns",
    "modality_importance",
    "permutation_test",
    "variance_explained",
    "wilks_test",
]
