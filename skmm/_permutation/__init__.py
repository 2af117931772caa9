"""Resampling and large-sample tests of canonical correlations, on arrays."""

from skmm._permutation._step_down import PermutationResult, step_down_permutation
from skmm._permutation._wilks import WilksResult, wilks

__all__ = ["PermutationResult", "WilksResult", "step_down_permutation", "wilks"]
