"""From the parameters and the data to the network of DeepCCA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import nn

from skmm._cca import CCA
from skmm._modalities import Modalities
from skmm._nets import build
from skmm.nn import LIKELIHOODS, AlignmentNetwork, Standardize

Array = np.ndarray
Factory = Callable[[tuple[int, ...], int], nn.Module]
OF_KIND = {"numeric": "gaussian", "image": "gaussian", "binary": "bernoulli", "count": "poisson"}


def deep_network(
    X: Modalities,
    encoders: Mapping[str, Factory],
    decoders: Mapping[str, Callable[[tuple[int, ...]], nn.Module]] | None,
    common: Callable[[], nn.Module] | None,
    *,
    n_outputs: int,
    likelihoods: str | Mapping[str, str],
    dtype: torch.dtype,
    seed: int,
) -> AlignmentNetwork:
    """Build the networks of all modalities.

    Parameters
    ----------
    X : Modalities
        Training data, for the shapes and for the standardisation.
    encoders : mapping of str to callable
        Called as ``encoder(shape of a sample, n_outputs)``.
    decoders : mapping of str to callable, or None
        Called as ``decoder(shape of a sample)``: the likelihoods have one parameter per value.
    common : callable or None
        Makes the common network.
    n_outputs : int
        Of each encoder.
    likelihoods : "auto" or mapping of str to str
        Of modalities; those that are not named follow their kinds.
    dtype : torch.dtype
        Of the standardisation.
    seed : int
        Of the initial weights.
    """
    shapes = [tuple(value.shape[1:]) for value in X.values()]
    heads = outward = None
    if decoders is not None:
        chosen = likelihood_names(X, likelihoods)
        heads = [
            LIKELIHOODS[chosen[name]](width(shape)).to(dtype)
            for name, shape in zip(X.names, shapes, strict=True)
        ]
        outward = [
            build(partial(decoders[name], shape), seed + 1000 + m)
            for m, (name, shape) in enumerate(zip(X.names, shapes, strict=True))
        ]
    return AlignmentNetwork(
        X.names,
        [scaler(X, name, dtype) for name in X.names],
        [
            build(partial(encoders[name], shape, n_outputs), seed + m)
            for m, (name, shape) in enumerate(zip(X.names, shapes, strict=True))
        ],
        common=None if common is None else build(common, seed + 500),
        decoders=outward,
        likelihoods=heads,
        shapes=shapes,
    )


def linear_network(X: Modalities, cca: CCA) -> AlignmentNetwork:
    """Return the projections of a fitted CCA as a network, in double precision."""
    scalers, encoders = [], []
    for name, shape in ((name, value.shape[1:]) for name, value in X.items()):
        mean, scale, weights = (getattr(cca, a)[name] for a in ("means_", "scales_", "weights_"))
        scalers.append(Standardize(*(torch.tensor(a.reshape(shape)) for a in (mean, scale))))
        linear = nn.utils.skip_init(nn.Linear, *weights.shape, bias=False, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy((weights * scale[:, None]).T))
        encoders.append(nn.Sequential(nn.Flatten(), linear))
    return AlignmentNetwork(X.names, scalers, encoders, limit=float("inf"))


def likelihood_names(X: Modalities, likelihoods: str | Mapping[str, str]) -> dict[str, str]:
    """Return the likelihood of each modality; "auto" follows the kind."""
    given: Mapping[str, str] = {} if isinstance(likelihoods, str) else likelihoods
    if unknown := [name for name in given if name not in X]:
        raise ValueError(f"likelihoods names {unknown!r}, but the modalities are {X.names!r}.")
    chosen = {}
    for name, kind in X.kinds.items():
        if (found := given.get(name, "auto")) == "auto":
            if kind not in OF_KIND:
                raise ValueError(
                    f"Modality {name!r} of kind {kind!r} cannot be reconstructed: "
                    "use reconstruction_weight=0."
                )
            found = OF_KIND[kind]
        valid = [name for name in LIKELIHOODS if name != "categorical"]
        if found not in valid:
            raise ValueError(
                f"The likelihood of modality {name!r} must be one of {valid!r} or 'auto', "
                f"got {found!r}."
            )
        _check_support(name, np.asarray(X[name]), found)
        chosen[name] = found
    return chosen


def _check_support(name: str, value: Array, likelihood: str) -> None:
    observed = value[~np.isnan(value)] if value.dtype.kind == "f" else value
    if likelihood == "bernoulli" and not ((observed >= 0) & (observed <= 1)).all():
        raise ValueError(f"Modality {name!r} has values outside [0, 1]: not for 'bernoulli'.")
    if likelihood == "poisson" and not ((observed >= 0) & (observed == np.floor(observed))).all():
        raise ValueError(f"Modality {name!r} has values that are no counts: not for 'poisson'.")


def width(shape: tuple[int, ...]) -> int:
    """Return the number of values in a sample."""
    return int(np.prod(shape, dtype=int))


def scaler(X: Modalities, name: str, dtype: torch.dtype) -> nn.Module:
    """Return the standardisation of a modality: per column, of an image per channel."""
    value, kind = np.asarray(X[name]), X.kinds[name]
    if kind == "tokens":
        return nn.Identity()
    if X._mask.any():
        value = value[~X._mask[:, X.names.index(name)]]
    mean, scale = moments(value, channels=kind == "image")
    return Standardize(torch.tensor(mean, dtype=dtype), torch.tensor(scale, dtype=dtype))


def moments(value: Array, *, channels: bool = False) -> tuple[Array, Array]:
    """Return mean and standard deviation over the rows, in float64, chunk by chunk.

    Shaped as a sample; with `channels` over the pixels too. The deviation of a constant is 1.
    """
    axes = (0, *range(2, value.ndim)) if channels else (0,)
    count = np.prod([value.shape[axis] for axis in axes])
    chunks = [value[i : i + 4096] for i in range(0, len(value), 4096)]
    mean = sum(c.sum(axis=axes, dtype=np.float64, keepdims=True)[0] for c in chunks) / count
    square = sum(((c - mean) ** 2).sum(axis=axes, keepdims=True)[0] for c in chunks) / count
    scale = np.sqrt(square)
    rounding = 1e-7 if value.dtype == np.float32 else 1e-14
    return mean, np.where(scale > rounding * np.abs(mean), scale, 1.0)
