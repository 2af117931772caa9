"""Descriptions that networks are built from: of the parameters asked for, and of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from skmm._deep._likelihoods import CLASSES, check_supports, likelihood_names
from skmm._modalities import Modalities
from skmm._modalities._columns import ColumnStatistics
from skmm.nn import MLP, Tokens


@dataclass(frozen=True)
class NetworkSpec:
    """Parameters of an estimator's networks.

    `encoders` and `decoders` are those asked for by name; the other modalities get `mlp`, or a
    network of their kind. `style` holds activation, normalization and dropout, as the networks of
    `skmm.nn` take them. Weights are of type `dtype`.
    """

    mlp: MLP
    style: Mapping[str, Any]
    encoders: Mapping[str, Any]
    decoders: Mapping[str, Any]
    dtype: torch.dtype

    @classmethod
    def of(cls, params: Mapping[str, Any], names: Sequence[str], dtype: torch.dtype) -> NetworkSpec:
        """Read the parameters of an estimator of these modalities."""
        style = {key: params[key] for key in ("activation", "normalization", "dropout")}
        return cls(
            MLP(tuple(params["hidden_layer_sizes"]), **style),
            style,
            _check_factories(names, "encoder", params["encoders"]),
            _check_factories(names, "decoder", params.get("decoders", "auto")),
            dtype,
        )

    def last_size(self, default: int) -> int:
        """Return the size of the last hidden layer, or the default where there is none."""
        sizes = self.mlp.hidden_layer_sizes
        return sizes[-1] if sizes else default


@dataclass(frozen=True)
class ModalitySpec:
    """The properties of a modality that its networks depend on.

    `shape` is that of a sample as it comes; `n_classes` is the number of labels or token ids, 0 for
    numbers; `columns` are the statistics of numbers and token ids; `likelihood` is None where
    nothing is decoded.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    n_classes: int = 0
    columns: ColumnStatistics | None = None
    likelihood: str | None = None

    @property
    def width(self) -> int:
        """Number of columns of a flattened sample."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def encoder_shape(self) -> tuple[int, ...]:
        """Shape of a scaled sample, in which a label is indicators of its classes."""
        return (self.n_classes,) if self.kind == "categorical" else self.shape

    @property
    def decoder_shape(self) -> tuple[int, ...]:
        """Shape of the parameters of a sample's likelihood."""
        return (self.width * self.n_classes,) if self.n_classes else self.shape


def describe(
    X: Modalities,
    columns: Mapping[str, ColumnStatistics],
    categories: Mapping[str, np.ndarray],
    encoders: Mapping[str, Any],
    likelihoods: str | Mapping[str, str] | None = None,
) -> list[ModalitySpec]:
    """Describe checked modalities; None for the likelihoods says that nothing is decoded."""
    kinds, chosen = X.kinds, {}
    if likelihoods is not None:
        chosen = likelihood_names(kinds, likelihoods)
        check_supports(X, chosen, columns)
    found = []
    for (name, value), kind in zip(X.items(), kinds.values(), strict=True):
        known, n_classes = columns.get(name), 0
        if kind in CLASSES:
            n_classes = _n_classes(known, categories.get(name), encoders.get(name))
        shape = tuple(value.shape[1:])
        found.append(ModalitySpec(name, kind, shape, n_classes, known, chosen.get(name)))
    return found


def _n_classes(columns: Any, labels: Any, encoder: Any) -> int:
    """Return how many labels, or how many token ids there are, up to the largest."""
    if labels is not None:
        return len(labels)
    if isinstance(encoder, Tokens):
        return encoder.vocabulary_size
    return int(columns.high.max()) + 1


def _check_factories(names: Sequence[str], role: str, asked: Any) -> Mapping[str, Any]:
    """Return the factories that `encoders` or `decoders` names; "auto" names none."""
    given: Mapping[str, Any] = {} if isinstance(asked, str) else asked
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"{role}s names {unknown!r}, but the modalities are {tuple(names)!r}.")
    sizes = "(input_shape, n_outputs)" if role == "encoder" else "(n_inputs, output_shape)"
    for name, factory in given.items():
        if not callable(factory) or isinstance(factory, nn.Module):
            raise TypeError(
                f"The {role} of modality {name!r} must be MLP, Conv or Tokens of skmm.nn, or a "
                f"function of {sizes} that returns a new module; got {factory!r}"
            )
    return given
