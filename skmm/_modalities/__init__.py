"""Multimodal data: the container, the one door, and what fit remembers of it."""

from skmm._modalities._check import check_modalities
from skmm._modalities._container import Modalities, missing_mask, observed_rows, with_values
from skmm._modalities._read import read_modalities
from skmm._modalities._schema import Schema

__all__ = [
    "Modalities",
    "Schema",
    "check_modalities",
    "missing_mask",
    "observed_rows",
    "read_modalities",
    "with_values",
]
