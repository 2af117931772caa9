"""The data and models of `gpu_checks.py`: every estimator, encoder and kind of gap, small."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skmm import (
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm.datasets import load_digits_halves
from skmm.nn import Conv, Tokens

PREDICTORS = MultimodalClassifier | MultimodalRegressor
# cuDNN and fused attention may add in any order, and in TF32.
OTHER_KERNELS = ("Conv", "LSTM", "GRU", "attention")


@dataclass(frozen=True)
class Case:
    """A model without a device, and its data."""

    name: str
    make: Callable[..., Any]
    X: Modalities
    y: np.ndarray | None = None

    def fit(self, **params: Any) -> Any:
        """Return the fitted model."""
        return self.make(**params).fit(self.X, self.y)

    @property
    def rounds_otherwise(self) -> bool:
        """Whether another device may give other digits than those of a sum in another order."""
        return any(word in self.name for word in OTHER_KERNELS)


def digits(n_samples: int) -> tuple[Modalities, np.ndarray]:
    """Return halves of digits in double precision, and which digit it is."""
    found = load_digits_halves()
    return found.data[:n_samples], np.asarray(found.target)[:n_samples]


def single(X: Modalities) -> Modalities:
    """Return modalities in single precision."""
    return Modalities({name: np.asarray(v, np.float32) for name, v in X.items()})


def double(X: Modalities) -> Modalities:
    """Return modalities whose numbers are in double precision."""
    arrays = {name: np.asarray(value) for name, value in X.items()}
    wide = {n: v.astype(np.float64) if v.dtype.kind == "f" else v for n, v in arrays.items()}
    return Modalities(wide, kinds=dict(X.kinds))


def cases(n_samples: int, max_epochs: int) -> dict[str, Case]:
    """Return all cases by name."""
    whole, y = digits(n_samples)
    X, (first, second) = single(whole), whole.names
    gaps = X.with_missing(first, np.arange(0, n_samples, 5))
    gaps = gaps.with_missing(second, np.arange(1, n_samples, 5))
    pictures = {name: np.asarray(X[name]).reshape(-1, 1, 8, 4) for name in X.names}
    images = Modalities(pictures, kinds=dict.fromkeys(pictures, "image"))
    words = {first: np.asarray(whole[first]).astype(np.int64), second: np.asarray(X[second])}
    texts = Modalities(words, kinds={first: "tokens"})
    brief = {"max_epochs": max_epochs, "random_state": 0}
    cca = partial(DeepCCA, 5, hidden_layer_sizes=(64,), **brief)
    autoencoder = partial(MultimodalAutoencoder, 5, **brief)
    vae = partial(MultimodalVAE, 5, **brief)
    gan = partial(ConditionalGAN, target=second, **brief)
    classifier = partial(MultimodalClassifier, **brief)

    def reads(kind: str) -> dict[str, Any]:
        return {"encoders": {first: Tokens(17, kind=kind, hidden_size=16)}}

    found = [
        Case("DeepCCA", partial(cca, early_stopping=False), X),
        Case("DeepCCA gcca gaps", partial(cca, objective="gcca", early_stopping=False), gaps),
        Case("DeepCCA decoders", partial(cca, objective="ey", reconstruction_weight=0.1), X),
        Case("DeepCCA infonce", partial(cca, objective="infonce", early_stopping=False), X),
        Case("Autoencoder", partial(autoencoder, alignment_weight=0.1, noise=0.1), X),
        Case("Autoencoder fusion gaps", partial(autoencoder, fusion="attention"), gaps),
        Case("VAE", vae, X),
        Case("VAE mopoe gaps", partial(vae, posterior="mopoe"), gaps),
        Case("VAE joint gaps", partial(vae, posterior="joint"), gaps),
        Case("GAN energy", gan, X),
        Case("GAN hinge", partial(gan, loss="hinge"), X),
        Case("Classifier", classifier, X, y),
        Case("Classifier late gaps", partial(classifier, fusion="late"), gaps, y),
        Case("Regressor", partial(MultimodalRegressor, **brief), X, y.astype(float)),
        Case("Conv autoencoder", partial(autoencoder, encoders={first: Conv((8, 16))}), images),
        Case("LSTM classifier", partial(classifier, **reads("lstm")), texts, y),
        Case("GRU classifier", partial(classifier, **reads("gru")), texts, y),
        Case("attention VAE", partial(vae, **reads("attention")), texts),
    ]
    return {case.name: case for case in found}


FEW = (
    *("DeepCCA", "Autoencoder", "VAE mopoe gaps", "GAN hinge", "Classifier", "Regressor"),
    *("Conv autoencoder", "LSTM classifier", "attention VAE"),
)


def without_random_layers(n_samples: int, max_epochs: int) -> list[Case]:
    """Return models whose training draws nothing on the device."""
    whole, y = digits(n_samples)
    X = single(whole)
    quiet = {"max_epochs": max_epochs, "random_state": 0, "dropout": 0.0}
    cca = partial(DeepCCA, 5, hidden_layer_sizes=(64,), early_stopping=False, **quiet)
    hidden = {"modality_dropout": 0.0, **quiet}
    autoencoder = partial(MultimodalAutoencoder, 5, **hidden)
    return [
        Case("DeepCCA", cca, X),
        Case("Autoencoder", autoencoder, X),
        Case("Autoencoder float64", partial(autoencoder, precision="float64"), whole),
        Case("Classifier", partial(MultimodalClassifier, **hidden), X, y),
        Case("Regressor", partial(MultimodalRegressor, **hidden), X, y.astype(float)),
    ]


def answer(model: Any, X: Modalities) -> np.ndarray:
    """Return what a model says first of all: codes, or of the GAN the mean target."""
    named = model.predict(X) if isinstance(model, ConditionalGAN) else model.transform(X)
    return np.asarray(named)


def on_cpu(model: Any) -> Any:
    """Return a copy whose network is on the processor."""
    model = copy.deepcopy(model)
    model.net_.module_.to("cpu")
    return model


def replies(case: Case, model: Any) -> dict[str, Callable[[], Any]]:
    """Return questions by name: all methods that the model has beside `transform`."""
    X, y = case.X, case.y
    few, (first, second) = X[20:30], X.names
    if isinstance(model, PREDICTORS):
        found = {"predict": lambda: model.predict(X), "score": lambda: model.score(X, y)}
        if hasattr(model, "predict_proba"):
            found["predict_proba"] = lambda: model.predict_proba(X)
        return found
    found = {"score": lambda: model.score(X[:200])}
    if isinstance(model, ConditionalGAN):
        return found | {"sample": lambda: model.sample(3, given=few, random_state=0)}
    whole = X[np.flatnonzero(~X.missing.to_numpy().any(axis=1))]  # NaN for what is missing
    found["transform_each"] = lambda: list(model.transform_each(whole).values())
    if hasattr(model, "score_samples"):
        found["score_samples"] = lambda: model.score_samples(X[:200])
    if hasattr(model, "translate"):
        given = few.select([first])
        found |= {
            "translate": lambda: model.translate(given, to=second),
            "sample": lambda: model.sample(4, random_state=0)[second],
            "sample given": lambda: _stacked(model.sample(3, given=given, random_state=0), second),
            "impute": lambda: model.impute(X)[second],
            "inverse_transform": lambda: model.inverse_transform(answer(model, few))[second],
        }
    return found


def _stacked(draws: Sequence[Any], name: str) -> np.ndarray:
    return np.stack([np.asarray(one[name]) for one in draws])


def far(a: Any, b: Any) -> float:
    """Return the largest difference by the largest absolute value; of labels the share."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind != "f":
        return float(np.mean(a != b))
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(np.abs(a - b)) / max(np.nanmax(np.abs(a)), 1e-300))
