"""Transformers between modalities and arrays: apply to each, join, select."""

from skmm.compose._joining import ConcatModalities, SelectModality
from skmm.compose._per_modality import PerModality

__all__ = ["ConcatModalities", "PerModality", "SelectModality"]
