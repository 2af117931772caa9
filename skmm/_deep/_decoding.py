"""From codes to data, by the decoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from skmm._modalities._columns import ColumnStatistics
from skmm._nets import (
    TensorData,
    apply_in_chunks,
    device_of,
    in_precision,
    plain_torch,
    private_generator,
)
from skmm._random import seed_of
from skmm.nn._modality_networks import ModalityNetworks

Array = np.ndarray
Parts = dict[str, Array]


@plain_torch()
def decode(
    network: ModalityNetworks,
    codes: Mapping[str, Array],
    columns: Mapping[str, ColumnStatistics],
    rng: np.random.RandomState | None = None,
) -> Parts:
    """Decode codes: to expectations, or with `rng` to draws (n, width).

    The expectation of classes is their probabilities (n, width, n_classes). `columns` are the
    statistics of modalities of numbers. Draws use the generator of the CPU on every device, so that
    a seed gives the same.
    """
    dtype = _dtype(codes)
    network = in_precision(network, dtype)
    method = network.expectation if rng is None else network.draw
    found = {}
    for name, code in codes.items():
        data = TensorData({name: code}, device=device_of(network), dtype=dtype)
        evaluate, known = partial(_of_code, method, network.index(name)), columns.get(name)
        if rng is None:
            found[name] = plausible(apply_in_chunks(evaluate, data), known, code.dtype)
            continue
        with private_generator(seed_of(rng)):
            drawn = apply_in_chunks(evaluate, data)
        if known is not None:
            drawn = known.in_type(known.with_constants(drawn), code.dtype)
        found[name] = drawn
    return found


def decode_draws(
    network: ModalityNetworks,
    draws: Sequence[Mapping[str, Array]],
    columns: Mapping[str, ColumnStatistics],
    rng: np.random.RandomState,
) -> list[Parts]:
    """Draw modalities for each of several draws of codes, which are decoded at once."""
    codes = {name: np.concatenate([one[name] for one in draws]) for name in draws[0]}
    parts = {
        name: np.split(found, len(draws))
        for name, found in decode(network, codes, columns, rng).items()
    }
    return [{name: part[i] for name, part in parts.items()} for i in range(len(draws))]


def plausible(expected: Array, columns: ColumnStatistics | None, dtype: Any) -> Array:
    """Limit expectations to a standard deviation outside the training range; keep constants."""
    if columns is None:
        return expected
    if expected.ndim < 3:
        return columns.in_type(columns.within(expected), dtype)
    constant = ~columns.varies.ravel()  # of token ids these are probabilities
    expected[:, constant] = np.eye(expected.shape[2])[columns.mean.ravel()[constant].astype(int)]
    return expected


def _dtype(codes: Mapping[str, Array]) -> torch.dtype:
    single = all(code.dtype == np.float32 for code in codes.values())
    return torch.float32 if single else torch.float64


def _of_code(
    method: Callable[[int, torch.Tensor], torch.Tensor],
    m: int,
    inputs: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    (code,) = inputs.values()
    return method(m, code)
