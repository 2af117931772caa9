"""Transformers between modalities and arrays: apply to each, fill, join, select."""

from skmm.compose._gaussian_imputer import GaussianImputer
from skmm.compose._joining import ConcatModalities, SelectModality
from skmm.compose._per_modality import PerModality

__all__ = ["ConcatModalities", "GaussianImputer", "PerModality", "SelectModality"]
