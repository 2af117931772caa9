"""DeepCCA: networks whose outputs correlate."""

from skmm._deep_cca._estimator import DeepCCA

__all__ = ["DeepCCA"]
