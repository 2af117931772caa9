"""Parts of networks that the parameters of an estimator and the data ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from skmm._modalities import Modalities, observed_rows
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._stream import pieces
from skmm._nets import build
from skmm._nets._modules import private_generator
from skmm.nn import (
    LIKELIHOODS,
    MLP,
    CategoricalLikelihood,
    Conv,
    TokenEncoder,
    Tokens,
    check_token_ids,
)
from skmm.nn._modality_networks import ModalityNetworks, OneHot, Standardize, TokenIds

Array = np.ndarray
Factory = Callable[..., nn.Module]
OF_KIND = {
    "numeric": "gaussian",
    "image": "gaussian",
    "binary": "bernoulli",
    "count": "poisson",
    "categorical": "categorical",
    "tokens": "categorical",
}
N_FEATURES = 64  # of encoders, where no hidden layer says how many
CLASSES = ("categorical", "tokens")  # kinds whose values are numbers of classes


def modality_networks(
    model: Any, X: Modalities, seed: int, *, n_features: int, n_codes: int, decode: bool = True
) -> dict[str, Any]:
    """Return the networks of each modality, as arguments of `ModalityNetworks`.

    Encoders give `n_features` outputs, decoders take `n_codes`. Labels are numbers of classes.
    """
    factories, n_classes = encoder_factories(model, X), classes(model, X)
    chosen = likelihood_names(X, model.likelihoods) if decode else {}
    _check_supports(X, chosen, model._columns)
    shapes = [tuple(value.shape[1:]) for value in X.values()]
    networks: dict[str, Any] = {"names": X.names, "shapes": shapes}
    networks["scalers"] = [scaler(model, X, name, n_classes, chosen.get(name)) for name in X.names]
    networks["encoders"] = [
        encoder(
            factories[name],
            name,
            encoder_shape(X, name, n_classes),
            n_features,
            seed + m,
            of_tokens=X.kinds[name] == "tokens",
        )
        for m, name in enumerate(X.names)
    ]
    if not decode:
        return networks
    makers = decoder_factories(model, X, factories)
    networks["likelihoods"] = [
        likelihood(chosen[name], shape, n_classes.get(name)).to(model._dtype())
        for name, shape in zip(X.names, shapes, strict=True)
    ]
    networks["decoders"] = [
        decoder(
            makers[name],
            name,
            n_codes,
            decoder_shape(shape, n_classes.get(name)),
            seed + len(shapes) + m,
        )
        for m, (name, shape) in enumerate(zip(X.names, shapes, strict=True))
    ]
    return networks


def encoder(
    factory: Factory,
    name: str,
    shape: tuple[int, ...],
    n_outputs: int,
    seed: int,
    *,
    of_tokens: bool = False,
) -> nn.Module:
    """Return a network from samples of a shape; one that is not skmm's is tried on two of them."""
    made = _made("encoder", name, factory, (shape, n_outputs), seed)
    if not is_own(factory):
        outputs = _tried("encoder", name, made, shape, seed, of_tokens=of_tokens)
        if outputs != (2, n_outputs):
            raise ValueError(
                f"The encoder of modality {name!r} gives outputs of shape {outputs} for 2 rows, "
                f"but (2, {n_outputs}) is needed: its factory is called with (input_shape, "
                f"n_outputs) = ({shape}, {n_outputs})."
            )
    return made


def decoder(
    factory: Factory, name: str, n_inputs: int, shape: tuple[int, ...], seed: int
) -> nn.Module:
    """Return a network to samples of a shape; one that is not skmm's is tried on two codes."""
    made = _made("decoder", name, factory, (n_inputs, shape), seed)
    if not is_own(factory):
        outputs = _tried("decoder", name, made, (n_inputs,), seed)
        if outputs[:1] != (2,) or np.prod(outputs) != 2 * np.prod(shape, dtype=int):
            raise ValueError(
                f"The decoder of modality {name!r} gives outputs of shape {outputs} for 2 codes, "
                f"but {(2, *shape)} is needed: its factory is called with (n_inputs, "
                f"output_shape) = ({n_inputs}, {shape})."
            )
    return made


def classes(model: Any, X: Modalities) -> dict[str, int]:
    """Return the number of classes of each modality of labels, and of tokens."""
    given: Mapping[str, Any] = {} if isinstance(model.encoders, str) else model.encoders
    found = {}
    for name, kind in X.kinds.items():
        if kind == "categorical":
            found[name] = len(model.categories_[name])
        elif kind == "tokens":
            spec: Any = given.get(name)
            is_known = isinstance(spec, Tokens)
            found[name] = spec.vocabulary_size if is_known else _n_tokens(X[name])
    return found


def encoder_shape(X: Modalities, name: str, n_classes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of a scaled sample."""
    return (n_classes[name],) if X.kinds[name] == "categorical" else tuple(X[name].shape[1:])


def decoder_shape(shape: tuple[int, ...], n_classes: int | None) -> tuple[int, ...]:
    """Return the shape of the parameters of a sample's likelihood."""
    return shape if n_classes is None else (int(np.prod(shape, dtype=int)) * n_classes,)


def likelihood(name: str, shape: tuple[int, ...], n_classes: int | None) -> nn.Module:
    """Return the likelihood of a sample of this shape."""
    width = int(np.prod(shape, dtype=int))
    return (
        LIKELIHOODS[name](width) if n_classes is None else CategoricalLikelihood(width, n_classes)
    )


def is_own(factory: Any) -> bool:
    """Whether a factory is of skmm, so that its modules may be made without memory."""
    spec = getattr(factory, "__self__", factory)  # of the method `decoder`
    return isinstance(spec, MLP | Conv | Tokens)


def decoder_factories(
    model: Any, X: Modalities, encoders: Mapping[str, Factory]
) -> dict[str, Factory]:
    """Return what makes the decoder of each modality: as asked, or the encoder's mirror image."""
    given = given_networks(X, "decoder", getattr(model, "decoders", "auto"))
    factories = {}
    for name in X.names:
        spec: Any = given.get(name, encoders[name])
        mirrors = X.kinds[name] not in CLASSES and hasattr(spec, "decoder")
        if name in given and not isinstance(spec, MLP | Conv | Tokens):
            factories[name] = spec
        else:
            factories[name] = spec.decoder if mirrors or name in given else mlp(model).decoder
    return factories


def encoder_factories(model: Any, X: Modalities) -> dict[str, Factory]:
    """Return what makes the encoder of each modality."""
    given = given_networks(X, "encoder", model.encoders)
    return {name: given.get(name) or _factory(model, X, name) for name in X.names}


def given_networks(X: Modalities, role: str, asked: Any) -> Mapping[str, Any]:
    """Return the networks that `encoders` or `decoders` names; "auto" names none."""
    given: Mapping[str, Any] = {} if isinstance(asked, str) else asked
    if unknown := [name for name in given if name not in X]:
        raise ValueError(f"{role}s names {unknown!r}, but the modalities are {X.names!r}.")
    sizes = "(input_shape, n_outputs)" if role == "encoder" else "(n_inputs, output_shape)"
    for name, factory in given.items():
        if not callable(factory) or isinstance(factory, nn.Module):
            raise TypeError(
                f"The {role} of modality {name!r} must be MLP, Conv or Tokens of skmm.nn, or a "
                f"function of {sizes} that returns a new module; got {factory!r}"
            )
    return given


def n_features(model: Any) -> int:
    """Return how many features an encoder gives: its last hidden layer says so, if there is one."""
    return model.hidden_layer_sizes[-1] if len(model.hidden_layer_sizes) else N_FEATURES


def mlp(model: Any) -> MLP:
    """Return the fully connected network of the model's parameters."""
    return MLP(
        tuple(model.hidden_layer_sizes),
        activation=model.activation,
        normalization=model.normalization,
        dropout=model.dropout,
    )


def check_tokens(X: Modalities, networks: ModalityNetworks) -> None:
    """Refuse ids that are not in the vocabulary of their encoder.

    On a CUDA device one such id would end the use of CUDA in this process.
    """
    for name in X.names:
        n_tokens, hint = _vocabulary(networks, networks.index(name))
        if n_tokens is None:
            continue
        for observed in pieces(X[name], observed_rows(X, name)):
            ids = torch.from_numpy(np.array(observed))
            try:
                check_token_ids(ids, n_tokens)
            except ValueError as error:
                raise ValueError(f"Modality {name!r}: {error}{hint}") from error


def likelihood_names(X: Modalities, likelihoods: str | Mapping[str, str]) -> dict[str, str]:
    """Return the likelihood of each modality; "auto" follows the kind."""
    given: Mapping[str, str] = {} if isinstance(likelihoods, str) else likelihoods
    if unknown := [name for name in given if name not in X]:
        raise ValueError(f"likelihoods names {unknown!r}, but the modalities are {X.names!r}.")
    chosen = {}
    for name, kind in X.kinds.items():
        if (found := given.get(name, "auto")) == "auto":
            found = OF_KIND[kind]
        valid = [n for n in LIKELIHOODS if (n == "categorical") == (kind in CLASSES)]
        if found not in valid:
            raise ValueError(
                f"The likelihood of modality {name!r} must be one of {valid!r} or 'auto', "
                f"got {found!r}."
            )
        chosen[name] = found
    return chosen


def scaler(
    model: Any,
    X: Modalities,
    name: str,
    n_classes: Mapping[str, int],
    likelihood: str | None = None,
) -> nn.Module:
    """Return the standardisation of a modality: per column, of an image per channel."""
    kind = X.kinds[name]
    if kind == "tokens":
        return TokenIds(n_classes[name])
    if kind == "categorical":
        return OneHot(n_classes[name], model._dtype())
    # Likelihoods of counts and of 0 and 1 are of the values themselves.
    early = likelihood is None or LIKELIHOODS[likelihood].standardised
    return standardize(name, model._columns[name], model._dtype(), kind=kind, early=early)


def standardize(
    name: str,
    columns: ColumnStatistics,
    dtype: torch.dtype,
    *,
    kind: str = "numeric",
    early: bool = False,
) -> Standardize:
    """Return the standardisation of numbers, `early` where they may come standardised."""
    units = columns.of_channels() if kind == "image" else columns
    mean, scale, low, high = map(torch.tensor, (units.mean, units.divisor, *units.limits()))
    varies = None if columns.varies.all() else torch.tensor(columns.varies)
    scaler = Standardize(mean, scale, low, high, varies, dtype=dtype, early=early)
    usable = scaler.mean.isfinite() & scaler.scale.isfinite() & (scaler.scale > 0)
    if not (usable.numpy() | ~units.varies).all():
        raise ValueError(
            f"Modality {name!r} has means up to {np.abs(units.mean).max():.1e} and standard "
            f"deviations from {units.divisor.min():.1e} to {units.divisor.max():.1e}, which "
            f"{dtype} cannot hold: give it other units, e.g. by PerModality(StandardScaler())."
        )
    return scaler


def _made(role: str, name: str, factory: Factory, sizes: tuple[Any, Any], seed: int) -> nn.Module:
    """Return what a factory makes, or say whose it was that failed."""
    own = is_own(factory)
    try:
        made = build(partial(factory, *sizes), seed, own=own)
    except Exception as error:
        if own:
            raise
        raise ValueError(
            f"The {role} of modality {name!r} cannot be made: its factory, called with {sizes}, "
            f"ended in {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"The {role} of modality {name!r} is no module: its factory returned {made!r}."
        )
    return made


def _tried(
    role: str,
    name: str,
    module: nn.Module,
    shape: tuple[int, ...],
    seed: int,
    *,
    of_tokens: bool = False,
) -> tuple[int, ...]:
    """Return the shape of what a module gives for two samples of zeros."""
    weights = next((w for w in module.parameters() if w.is_floating_point()), torch.empty(0))
    zeros = torch.zeros(2, *shape, dtype=torch.int64 if of_tokens else weights.dtype)
    try:
        with private_generator(seed), torch.no_grad():
            outputs = module.eval()(zeros.to(weights.device))
    except Exception as error:
        raise ValueError(
            f"The {role} of modality {name!r} cannot take a batch of shape {tuple(zeros.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        module.train()
    if not isinstance(outputs, torch.Tensor):
        raise TypeError(
            f"The {role} of modality {name!r} must give a tensor, got {type(outputs).__name__}."
        )
    return tuple(outputs.shape)


def _factory(model: Any, X: Modalities, name: str) -> Factory:
    if X.kinds[name] == "tokens":
        return Tokens(_n_tokens(X[name]), dropout=model.dropout)
    if X.kinds[name] == "image":
        return Conv(
            activation=model.activation, normalization=model.normalization, dropout=model.dropout
        )
    return mlp(model)


def _check_supports(
    X: Modalities, chosen: Mapping[str, str], columns: Mapping[str, ColumnStatistics]
) -> None:
    """Refuse values that a likelihood gives no probability."""
    for name, likelihood in chosen.items():
        if likelihood == "bernoulli":
            known = columns[name]
            if known.low.min() < 0 or known.high.max() > 1:
                raise ValueError(
                    f"Modality {name!r} has values outside [0, 1]: not for 'bernoulli'."
                )
        elif likelihood == "poisson" and not all(map(_are_counts, pieces(X[name]))):
            raise ValueError(f"Modality {name!r} has values that are no counts: not for 'poisson'.")


def _are_counts(values: Array) -> bool:
    observed = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool(((observed >= 0) & (observed == np.floor(observed))).all())


def _n_tokens(value: Any) -> int:
    """Return how many token ids there are, up to the largest."""
    return max(int(piece.max()) for piece in pieces(value)) + 1


def _vocabulary(networks: ModalityNetworks, m: int) -> tuple[int | None, str]:
    """Return how many token ids a modality may have, and a hint; None if it is of no tokens."""
    scaler, encoder = networks.scalers[m], networks.encoders[m]
    if not isinstance(scaler, TokenIds):
        return None, ""
    if isinstance(encoder, TokenEncoder):
        n_tokens = encoder.embedding.num_embeddings
        return min(n_tokens, scaler.n_tokens) if len(networks.decoders) else n_tokens, ""
    hint = " Of an encoder of your own the vocabulary is what fit has seen; Tokens has its own."
    return scaler.n_tokens, hint
