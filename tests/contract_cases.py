"""The estimators that the laws of `test_contract.py` and `test_bad_input.py` are stated over.

A new estimator is one entry of `CASES`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.mixture import GaussianMixture
from skorch.callbacks import EpochTimer
from torch import device, nn

from skmm import (
    CCA,
    ConditionalGAN,
    DeepCCA,
    GroupFactorAnalysis,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm._multimodal_predictor._base import Known
from skmm.baselines import MarginalSampler, NeighborsSampler, RidgeSampler
from skmm.nn import MLP

WIDTHS = {"image": 5, "text": 4, "sound": 3}
SLICES = {"image": slice(0, 5), "text": slice(5, 9), "sound": slice(9, 12)}


@dataclass(frozen=True)
class Variant:
    """A configuration that keeps the laws, and what it cannot take."""

    estimator: BaseEstimator
    missing_in_fit: bool = True
    missing_in_transform: bool = True
    tolerance: float = 1e-9  # relative, of two routes to the same result

    def __str__(self) -> str:
        return str(self.estimator)


@dataclass(frozen=True)
class Effect:
    """Values of a parameter that give different results, where the others are as in `given`."""

    values: tuple[Any, ...]
    given: dict[str, Any] = field(default_factory=dict)


# Checks of scikit-learn that look at how well a predictor has learned.
LEARNING = (
    "check_class_weight_classifiers",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_regressors_train",
)


@dataclass(frozen=True)
class Case:
    """What the laws need to know about an estimator."""

    default: BaseEstimator  # what a user gets without parameters
    variants: tuple[Variant, ...]
    effects: dict[str, Effect]  # law 7: parameters that must change something
    no_effect: dict[str, tuple[str, Effect]]  # and those that must not, with the reason
    invalid: dict[str, tuple[dict[str, Any], tuple[str, ...]]]  # parameters that fit refuses; words
    quick: dict[str, Any] = field(default_factory=dict)  # for three small modalities
    takes: tuple[str, ...] = ()  # what others refuse, as named in test_bad_input.py
    linear: bool = False  # law 6 holds
    pairs: bool = False  # form 4 takes y as the second modality
    paired: dict[str, Any] = field(default_factory=dict)  # parameters for that
    target: type | None = None  # as the default's class, but fit finds y by itself
    exempt: tuple[str, ...] = ()  # checks of scikit-learn that it need not pass

    @property
    def name(self) -> str:
        return type(self.default).__name__

    @property
    def small(self) -> BaseEstimator:
        kind = self.target or type(self.default)
        return kind(**self.quick, random_state=0)

    @property
    def brief(self) -> BaseEstimator:
        """Return the class that users have, for scikit-learn's checks."""
        quick = {name: value for name, value in self.quick.items() if name != "target"}
        return clone(self.default).set_params(**quick)

    def brief_for(self, check: str) -> BaseEstimator:
        """Return it trained for as long as this check of scikit-learn wants it to learn."""
        learns = self.target and check in LEARNING
        return self.brief.set_params(**{"max_epochs": 30, "lr": 0.03} if learns else {})


CHECKPOINTS = tempfile.mkdtemp(prefix="skmm-tests-")
QUICK = {
    "n_components": 2,
    "objective": "gcca",
    "hidden_layer_sizes": (8,),
    "max_epochs": 3,
    "early_stopping": False,
}
# Validation rows that suffice for a comparison with the linear solution.
STOPPING = {"early_stopping": True, "validation_fraction": 0.4}
ONE_SPLIT = {**STOPPING, "cv": None}
DECODERS = {"reconstruction_weight": 1.0}
# A network that is kept instead of the linear solution.
BETTER = {
    "n_components": 6,
    "hidden_layer_sizes": (64,),
    "max_epochs": 30,
    "normalization": None,
    "dropout": 0.0,
}


def sum_of_squares(codes: Any, *, observed: Any = None) -> Any:
    """Return an objective of one's own."""
    return sum(code.double().square().mean() for code in codes)


def half(progress: float) -> float:
    """Return a schedule of one's own."""
    return 0.5


def deep_cca(**params: Any) -> DeepCCA:
    """Return a network that is trained in no time."""
    return DeepCCA(**{**QUICK, "random_state": 0, **params})


BRIEF = {
    "n_components": 2,
    "hidden_layer_sizes": (8,),
    "max_epochs": 3,
    "early_stopping": False,
}


def autoencoder(**params: Any) -> MultimodalAutoencoder:
    """Return an autoencoder that is trained in no time."""
    return MultimodalAutoencoder(**{**BRIEF, "random_state": 0, **params})


def vae(**params: Any) -> MultimodalVAE:
    """Return a VAE that is trained in no time."""
    return MultimodalVAE(**{**BRIEF, "random_state": 0, **params})


def gan(**params: Any) -> ConditionalGAN:
    """Return a generator that is trained in no time."""
    brief = {name: value for name, value in BRIEF.items() if name != "n_components"}
    return ConditionalGAN(**{**brief, "target": "sound", "random_state": 0, **params})


class _FindsTarget:
    """fit and score without y, so that the laws are stated for predictors as for all others."""

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(X, _classes_for(X))  # type: ignore[misc]

    def score(self, X: Any, y: Any = None) -> float:
        known = isinstance(X, Known)  # outputs for rows held out, of which y is the target
        return super().score(X, y if known else _classes_for(X))  # type: ignore[misc]


class Classifier(_FindsTarget, MultimodalClassifier):
    pass


class Regressor(_FindsTarget, MultimodalRegressor):
    pass


def _classes_for(X: Any) -> np.ndarray:
    first = X
    if isinstance(X, dict) and X:
        first = next(iter(X.values()))
    shape = getattr(first, "shape", ())  # of a class it is a property
    n_samples = len(first) if isinstance(shape, tuple) and shape else 60
    return np.array([0, 0, 1, 2])[np.arange(n_samples) % 4]


PREDICTORS = {k: v for k, v in BRIEF.items() if k != "n_components"} | {"random_state": 0}


# Parameters that mean the same in every deep estimator.
DEEP_EFFECTS = {
    "modalities": Effect((None, ["image", "text"], ["image", "sound"])),
    "encoders": Effect(("auto", {"image": MLP((4,))})),
    "hidden_layer_sizes": Effect(((), (8,), (4,))),
    "activation": Effect(
        ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus", "identity")
    ),
    "normalization": Effect(("batch", "layer", None)),
    "dropout": Effect((0.0, 0.5)),
    "optimizer": Effect(("adam", "adamw", "sgd"), {"weight_decay": 0.1}),
    "lr": Effect((1e-3, 1e-2)),
    "lr_schedule": Effect(("onecycle", "cosine", "constant", half)),
    "weight_decay": Effect((0.0, 1.0)),
    "batch_size": Effect(("auto", 20, 30)),
    "max_epochs": Effect((2, 3)),
    "precision": Effect(("float32", "bf16", "float64")),
    "net_params": Effect((None, {"optimizer__betas": (0.5, 0.5)})),
    "random_state": Effect((0, 1)),
}
DEEP_NO_EFFECT = {
    "checkpoint_dir": ("files beside the fit", Effect((None, CHECKPOINTS))),
    "device": ("where, not what", Effect(("auto", "cpu", "cpu:0", device("cpu:0")))),
    "compile": (
        "how, not what; a full compilation takes long",
        Effect(
            (False, True),
            {"net_params": {"compile__backend": "eager"}, "precision": "float64"},
        ),
    ),
    "callbacks": ("this one only watches", Effect((None, [EpochTimer()]))),
    "warm_start": ("there is no earlier fit", Effect((False, True))),
    "verbose": ("only shows", Effect((0, 1, 2))),
}
DEEP_INVALID = {
    "encoder of an unknown modality": ({"encoders": {"smell": MLP()}}, ("smell", "image", "text")),
    "encoder that is a module": (
        {"encoders": {"text": nn.Linear(4, 8)}},
        ("encoder", "'text'", "Linear(", "(input_shape, n_outputs)"),
    ),
    "encoder of another width": (
        {"encoders": {"text": lambda shape, k: nn.Linear(shape[0], k + 1)}},
        ("encoder", "'text'", "2 rows", "(input_shape, n_outputs) = ((4,), "),
    ),
    "encoder that cannot be made": (
        {"encoders": {"text": nn.Linear}},
        ("encoder", "'text'", "((4,), "),
    ),
    "encoder of other inputs": (
        {"encoders": {"text": lambda shape, k: nn.Linear(shape[0] + 1, k)}},
        ("encoder", "'text'", "(2, 4)"),
    ),
    "encoder that makes no module": (
        {"encoders": {"text": lambda shape, k: None}},
        ("encoder", "'text'", "None"),
    ),
    "encoder that gives no tensor": (
        {"encoders": {"text": lambda shape, k: nn.LSTM(shape[0], k)}},
        ("encoder", "'text'", "tuple"),
    ),
    "encoder that is no spec": ({"encoders": {"text": (8,)}}, ("text", "(8,)", "MLP")),
    "validation rows leave none": (
        {"early_stopping": True, "cv": None, "validation_fraction": 0.999},
        ("0.999", "minimum of 2"),
    ),
    "folds of more rows than there are": (
        {"early_stopping": True, "cv": 10_000},
        ("10000", "rows"),
    ),
}
DECODER_INVALID = {
    "unknown likelihood": (
        {"likelihoods": {"text": "normal"}},
        ("text", "normal", "gaussian", "poisson"),
    ),
    "counts that are none": ({"likelihoods": {"text": "poisson"}}, ("text", "counts", "poisson")),
    "decoder that is a module": (
        {"decoders": {"text": nn.Linear(2, 4)}},
        ("decoder", "'text'", "Linear(", "(n_inputs, output_shape)"),
    ),
    "decoder of another width": (
        {"decoders": {"text": lambda k, shape: nn.Linear(k, 5)}},
        ("decoder", "'text'", "(2, 5)", "(2, 4)"),
    ),
    "decoder of an unknown modality": ({"decoders": {"smell": MLP()}}, ("smell", "image", "text")),
    "weight of an unknown modality": (
        {"modality_weights": {"smell": 1.0}},
        ("smell", "image", "text"),
    ),
    "negative weight": ({"modality_weights": {"text": -1.0}}, ("text", "-1.0")),
}


CONDITIONS = Effect((None, ["image", "sound"], ["text", "sound"]))  # of the target "sound"


CASES = (
    Case(
        CCA(),
        variants=(
            Variant(CCA(random_state=0)),
            Variant(CCA(2, fusion="posterior", shrinkage="auto", random_state=0)),
            Variant(CCA(2, fusion="concat", random_state=0), missing_in_transform=False),
            Variant(  # an iteration, whose end depends on where it starts
                CCA(2, objective="sumcor", shrinkage=0.1, random_state=0),
                tolerance=1e-5,
            ),
            Variant(CCA("auto", solver="svd", random_state=0)),
            Variant(CCA(2, solver="randomized", scale=False, random_state=0)),
        ),
        effects={
            "n_components": Effect((None, 1, "auto")),
            "modalities": Effect((None, ["image", "text"], ["image", "sound"])),
            "shrinkage": Effect((0.0, 0.5, 1.0, "auto", {"text": 0.5})),
            "objective": Effect(("maxvar", "sumcor")),
            "scale": Effect((True, False), {"shrinkage": 0.5}),
            "fusion": Effect(("mean", "posterior", "concat")),
            "random_state": Effect((0, 1)),  # of `sample`
        },
        no_effect={
            "solver": (
                "all solvers give the same result",
                Effect(("auto", "covariance", "svd", "randomized"), {"n_components": 2}),
            ),
        },
        invalid={
            "n_components above the bound": ({"n_components": 13}, ("13", "bound", "12", "rank")),
            "unknown objective": ({"objective": "mincor"}, ("mincor", "maxvar", "sumcor")),
            "unknown fusion": ({"fusion": "sum"}, ("sum", "mean", "posterior", "concat")),
            "unknown solver": ({"solver": "qr"}, ("qr", "covariance", "svd", "randomized")),
            "shrinkage outside [0, 1]": ({"shrinkage": {"text": 1.5}}, ("text", "1.5", "[0, 1]")),
            "shrinkage of an unknown modality": ({"shrinkage": {"smell": 0.5}}, ("smell", "text")),
        },
        linear=True,
        takes=("sparse", "partly NaN row"),
        pairs=True,
    ),
    Case(
        GroupFactorAnalysis(),
        variants=(
            Variant(GroupFactorAnalysis(random_state=0), tolerance=1e-6),
            Variant(GroupFactorAnalysis(2, noise="modality", random_state=0), tolerance=1e-6),
            Variant(GroupFactorAnalysis(2, relevance=False, random_state=0), tolerance=1e-6),
        ),
        effects={
            "n_components": Effect(("auto", 1, 5)),
            "modalities": Effect((None, ["image", "text"], ["image", "sound"])),
            "relevance": Effect((True, False)),
            "noise": Effect(("column", "modality")),
            "max_iter": Effect((2, 3, 1000), {"n_components": 2}),
            "tol": Effect((1e-1, 1e-6)),
            "random_state": Effect((0, 1)),  # of `sample`
        },
        no_effect={},
        invalid={
            "n_components above the bound": ({"n_components": 13}, ("13", "bound", "12")),
            "unknown noise": ({"noise": "row"}, ("row", "column", "modality")),
        },
        linear=True,
        takes=("partly NaN row",),
    ),
    Case(
        DeepCCA(),
        quick=QUICK,
        variants=(
            Variant(deep_cca()),
            Variant(deep_cca(objective="ey", fusion="posterior", normalization="batch")),
            Variant(
                deep_cca(objective="vicreg", fusion="concat", shared_layer_sizes=(8,)),
                missing_in_transform=False,
            ),
            Variant(deep_cca(objective="barlow_twins", **STOPPING)),  # keeps the linear solution
            Variant(deep_cca(objective="infonce", **DECODERS, **STOPPING)),
        ),
        effects={
            "n_components": Effect((1, 2)),
            "objective": Effect(
                ("cca", "gcca", "ey", "barlow_twins", "vicreg", "infonce", sum_of_squares),
                {"modalities": ["image", "text"]},
            ),
            "shared_layer_sizes": Effect(((), (8,), (4,))),
            "reconstruction_weight": Effect((0.0, 0.5, 1.0)),
            "likelihoods": Effect(("auto", {"image": "laplace"}), DECODERS),
            "latent_density": Effect((None, GaussianMixture(2)), DECODERS),
            "reg_covar": Effect((1e-4, 0.5)),
            "fusion": Effect(("mean", "posterior", "concat")),
            **DEEP_EFFECTS,
            "early_stopping": Effect((True, False), STOPPING),
            "cv": Effect(("auto", None, 2), {**STOPPING, **BETTER}),
            "validation_fraction": Effect((0.4, 0.5), {**ONE_SPLIT, **BETTER}),
            "n_iter_no_change": Effect((1, 20), {**ONE_SPLIT, **BETTER}),
        },
        no_effect=DEEP_NO_EFFECT,
        invalid={
            "unknown objective": ({"objective": "mincor"}, ("mincor", "cca", "vicreg")),
            "three modalities": ({"objective": "cca"}, ("exactly two", "sound", "gcca")),
            "unknown fusion": ({"fusion": "sum"}, ("sum", "mean", "posterior", "concat")),
            **DEEP_INVALID,
            "unknown likelihood": (
                {"likelihoods": {"text": "normal"}, **DECODERS},
                ("text", "normal", "gaussian", "poisson"),
            ),
            "counts that are none": (
                {"likelihoods": {"text": "poisson"}, **DECODERS},
                ("text", "counts", "poisson"),
            ),
            "too few rows for ey": ({"objective": "ey", "batch_size": 3}, ("ey", "at least 4")),
        },
        pairs=True,
    ),
    Case(
        MultimodalAutoencoder(),
        quick=BRIEF,
        takes=("partly NaN row",),
        variants=(
            Variant(autoencoder()),
            Variant(autoencoder(fusion="mean", alignment_weight=1.0, normalization="batch")),
            Variant(autoencoder(fusion="attention", noise=0.1, **STOPPING)),
        ),
        effects={
            **DEEP_EFFECTS,
            "n_components": Effect((1, 2)),
            "fusion": Effect(("concat", "mean", "attention")),
            "decoders": Effect(("auto", {"image": MLP((4,))})),
            "likelihoods": Effect(("auto", {"image": "laplace"})),
            "modality_weights": Effect((None, {"image": 2.0})),
            "modality_dropout": Effect((0.0, 0.5)),
            "noise": Effect((0.0, 0.5)),
            "alignment_weight": Effect((0.0, 1.0)),
            "latent_density": Effect((None, GaussianMixture(2))),
            "early_stopping": Effect((True, False), ONE_SPLIT),
            "cv": Effect(("auto", None, 2), STOPPING),
            "validation_fraction": Effect((0.4, 0.5), ONE_SPLIT),
            "n_iter_no_change": Effect((1, 20), {**ONE_SPLIT, "max_epochs": 30, "lr": 0.3}),
        },
        no_effect=DEEP_NO_EFFECT,
        invalid={
            **DEEP_INVALID,
            **DECODER_INVALID,
            "unknown fusion": ({"fusion": "sum"}, ("sum", "mean", "concat", "attention")),
        },
    ),
    Case(
        MultimodalVAE(),
        quick=BRIEF,
        takes=("partly NaN row", "everything missing in a row", "everything NaN in a row"),
        variants=(
            Variant(vae()),
            Variant(vae(posterior="moe", normalization="batch")),
            Variant(vae(posterior="mopoe", n_importance_samples=7)),
            Variant(vae(posterior="mvtcae", latent_density=GaussianMixture(2), **STOPPING)),
            Variant(vae(posterior="joint", free_bits=0.1)),
        ),
        effects={
            **DEEP_EFFECTS,
            "n_components": Effect((1, 2)),
            "posterior": Effect(("poe", "moe", "mopoe", "mvtcae", "joint")),
            "decoders": Effect(("auto", {"image": MLP((4,))})),
            "likelihoods": Effect(("auto", {"image": "laplace"})),
            "beta": Effect((1.0, 5.0)),
            "kl_warmup": Effect((0.0, 1.0)),
            "free_bits": Effect((0.0, 3.0)),
            "modality_weights": Effect(("auto", None, {"image": 2.0})),
            "n_importance_samples": Effect((2, 100)),
            "latent_density": Effect((None, GaussianMixture(2))),
            "early_stopping": Effect((True, False), ONE_SPLIT),
            "cv": Effect(("auto", None, 2), STOPPING),
            "validation_fraction": Effect((0.4, 0.5), ONE_SPLIT),
            "n_iter_no_change": Effect((1, 20), {**ONE_SPLIT, "max_epochs": 30, "lr": 0.3}),
        },
        no_effect=DEEP_NO_EFFECT,
        invalid={
            **DEEP_INVALID,
            **DECODER_INVALID,
            "unknown posterior": ({"posterior": "sum"}, ("sum", "poe", "mvtcae", "joint")),
        },
    ),
    Case(
        ConditionalGAN(),
        quick={k: v for k, v in BRIEF.items() if k != "n_components"} | {"target": "sound"},
        takes=("partly NaN row",),
        pairs=True,
        paired={"target": "y"},
        variants=(
            Variant(gan()),
            Variant(gan(modality_dropout=0.3, normalization="batch", **STOPPING)),
            Variant(gan(loss="relativistic", n_critic=2)),
            Variant(gan(loss="hinge", early_stopping=True, cv=2)),
        ),
        effects={
            **DEEP_EFFECTS,
            "precision": Effect(("float32", "bf16", "float64"), {"lr": 0.1, "max_epochs": 10}),
            "target": Effect(("sound", "text")),
            "modalities": CONDITIONS,
            "loss": Effect(("energy", "relativistic", "wasserstein", "hinge", "standard")),
            "noise_dim": Effect((4, 5)),
            "gradient_penalty": Effect(("auto", 0.0, 5.0), {"loss": "relativistic", "lr": 0.1}),
            "n_critic": Effect((1, 2), {"loss": "relativistic"}),
            "ema_decay": Effect((0.0, 0.5)),
            "modality_dropout": Effect((0.0, 0.5)),
            "decoders": Effect(("auto", {"sound": MLP((4,))})),
            "early_stopping": Effect((True, False), ONE_SPLIT),
            "cv": Effect(("auto", None, 3), STOPPING),
            "validation_fraction": Effect(
                (0.4, 0.5), {**ONE_SPLIT, "max_epochs": 30, "lr": 0.03, "hidden_layer_sizes": (32,)}
            ),
            "max_epochs": Effect((2, 3, "auto")),
            "n_iter_no_change": Effect(
                (1, 20), {**ONE_SPLIT, "ema_decay": 0.0, "max_epochs": 30, "lr": 0.3}
            ),
        },
        no_effect=DEEP_NO_EFFECT,
        invalid={
            **DEEP_INVALID,
            "unknown loss": ({"loss": "least"}, ("least", "energy", "relativistic", "hinge")),
            "unknown target": ({"target": "smell"}, ("smell", "image", "text")),
            "no target": ({"target": None}, ("None", "image", "text", "target")),
            "decoder of an unknown modality": (
                {"decoders": {"smell": MLP()}},
                ("smell", "image", "text"),
            ),
        },
    ),
    *(
        Case(
            sampler,
            quick={"target": "sound"},
            pairs=True,
            paired={"target": "y"},
            variants=(
                Variant(
                    clone(sampler).set_params(target="sound", random_state=0),
                    missing_in_fit=False,
                    missing_in_transform=False,
                ),
            ),
            effects={
                "target": Effect(("sound", "text")),
                "random_state": Effect((0, 1)),  # of `sample`
                **effects,
            },
            no_effect=no_effect,
            invalid={"unknown target": ({"target": "smell"}, ("smell", "image", "text"))},
        )
        for sampler, effects, no_effect in (
            (RidgeSampler(), {"modalities": CONDITIONS}, {}),
            (NeighborsSampler(), {"modalities": CONDITIONS, "n_neighbors": Effect((1, 5))}, {}),
            (MarginalSampler(), {"modalities": Effect((None, ["image", "sound"]))}, {}),
        )
    ),
    *(
        Case(
            default,
            quick={k: v for k, v in PREDICTORS.items() if k != "random_state"},
            target=surrogate,
            exempt=("check_sample_weight_equivalence_on_dense_data",),  # training is stochastic
            variants=(
                Variant(surrogate(**PREDICTORS)),
                Variant(surrogate(**PREDICTORS, fusion="mean", normalization="batch")),
                Variant(surrogate(**{**PREDICTORS, **STOPPING}, fusion="attention")),
                Variant(surrogate(**PREDICTORS, fusion="late")),
            ),
            effects={
                **DEEP_EFFECTS,
                "fusion": Effect(("concat", "mean", "attention", "late")),
                "head_layer_sizes": Effect(((), (4,))),
                "modality_dropout": Effect((0.0, 0.5)),
                "scoring": Effect(
                    (None, scoring), {**ONE_SPLIT, "max_epochs": 60, "lr": 0.3, "dropout": 0.5}
                ),
                "early_stopping": Effect((True, False), ONE_SPLIT),
                "cv": Effect(("auto", None, 2), STOPPING),
                "validation_fraction": Effect(
                    (0.4, 0.5),
                    {**ONE_SPLIT, "lr": 0.01, "lr_schedule": "constant", "max_epochs": 20},
                ),
                "n_iter_no_change": Effect(
                    (1, 20), {**ONE_SPLIT, "scoring": scoring, "max_epochs": 60, "lr": 0.01}
                ),
                **more,
            },
            no_effect=DEEP_NO_EFFECT,
            invalid={
                **DEEP_INVALID,
                "unknown fusion": ({"fusion": "sum"}, ("sum", "concat", "attention", "late")),
                "unknown scorer": (
                    {"scoring": "beauty"} | STOPPING,
                    ("beauty", "get_scorer_names"),
                ),
            },
        )
        for default, surrogate, scoring, more in (
            (
                MultimodalClassifier(),
                Classifier,
                "accuracy",
                {"class_weight": Effect((None, "balanced", {0: 5.0}))},
            ),
            (MultimodalRegressor(), Regressor, "neg_median_absolute_error", {}),
        )
    ),
)


def arrays(n_samples: int = 60, seed: int = 0, dtype: type = np.float64) -> dict[str, np.ndarray]:
    """Return three modalities that share a latent variable, in units and offsets of their own."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n_samples, 2))
    out = {}
    for k, (name, width) in enumerate(WIDTHS.items()):
        signal = z @ rng.standard_normal((2, width)) + 0.5 * rng.standard_normal((n_samples, width))
        out[name] = np.ascontiguousarray(10.0 ** (k - 1) * (signal + k), dtype=dtype)
    return out


@cache
def complete(**options: Any) -> Modalities:
    """Return the three modalities, all there."""
    return Modalities(arrays(**options))


@cache
def with_holes(**options: Any) -> Modalities:
    """Return the three modalities; some rows lack one, so that two are left to translate from."""
    X = complete(**options)
    X = X.with_missing("image", np.arange(0, len(X), 4))
    return X.with_missing("text", np.arange(1, len(X), 4))


def forms(X: Modalities) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Return the data in forms 1 to 3, each with the parameters that it needs."""
    frame = X.to_frame()
    flat = frame.set_axis([f"{name}_{j}" for name, j in frame.columns], axis=1)
    names = {n: [c for c in flat if c.startswith(n)] for n in X.names}
    return {
        "Modalities": (X, {}),
        "dict": (dict(X.items()), {}),
        "two-level DataFrame": (frame, {}),
        "array": (flat.to_numpy(), {"modalities": SLICES}),
        "flat DataFrame": (flat, {"modalities": names}),
    }


def fitted(estimator: BaseEstimator, X: Any, **params: Any) -> Any:
    """Return a fitted clone."""
    return clone(estimator).set_params(**params).fit(X)


_KNOWN: dict[tuple[Any, ...], Any] = {}
_STATES: dict[tuple[Any, ...], bytes] = {}


def known(estimator: BaseEstimator, data: Callable[[], Any] = complete, **params: Any) -> Any:
    """Return a fitted clone that tests share: they only ask it, see `changed`."""
    key = _key("model", estimator, data, params)
    if key not in _KNOWN:
        _KNOWN[key] = fitted(estimator, data(), **params)
        _STATES[key] = _state(_KNOWN[key])
    return _KNOWN[key]


def known_answers(
    estimator: BaseEstimator, data: Callable[[], Any] = complete, **params: Any
) -> dict[str, Any]:
    """Return everything that the shared fitted clone says about its training data."""
    key = _key("answers", estimator, data, params)
    if key not in _KNOWN:
        model, X = known(estimator, data, **params), data()
        _KNOWN[key] = answers(model, X, holes=model.modality_names_in_ == X.names)
    return _KNOWN[key]


def changed(of: Any = None) -> list[str]:
    """Return which of the shared models, or whether this one, are no longer as fit left them."""
    models = [(_KNOWN[key], state) for key, state in _STATES.items()]
    return [str(m) for m, state in models if (of is None or m is of) and _state(m) != state]


def _key(
    what: str, estimator: BaseEstimator, data: Callable[[], Any], params: dict[str, Any]
) -> tuple[Any, ...]:
    values = {**estimator.get_params(deep=False), **params}
    return what, type(estimator), data, repr(sorted(values.items()))


def _state(model: BaseEstimator) -> bytes:
    """Return parameters, numbers and weights."""
    parts = [repr(sorted(vars(model))), repr(model.get_params())]
    parts += [str(joblib.hash(value)) for value in vars(model).values() if _is_plain(value)]
    if hasattr(model, "net_"):
        weights = model.net_.module_.state_dict()
        parts += [joblib.hash([weight.float().cpu().numpy() for weight in weights.values()])]
        parts += [str(model.net_.module_.training)]
    return "".join(parts).encode()


def _is_plain(value: Any) -> bool:
    return isinstance(value, np.ndarray | dict | tuple | int | float | str)


def answers(estimator: Any, X: Any, *, holes: bool = True, draws: bool = True) -> dict[str, Any]:
    """Return everything that a fitted estimator says about `X`, as named arrays.

    The key is ``method/modality`` or ``method/column``. With `holes` the methods that fill in
    missing modalities are asked too (`X` must be `Modalities`), with `draws` also `sample`.
    """
    out: dict[str, Any] = {}

    def note(method: str, value: Any) -> None:
        for name, part in _named(value).items():
            out[f"{method}/{name}"] = part

    if hasattr(estimator, "transform"):
        Z = estimator.transform(X)
        names = estimator.get_feature_names_out()
        if hasattr(estimator, "target"):  # whose columns are named as the input
            names = [str(j) for j in range(len(names))]
        note("transform", dict(zip(names, Z.T, strict=True)))
        if hasattr(estimator, "inverse_transform"):
            note("inverse_transform", estimator.inverse_transform(Z))
    for method in ("transform_each", "score", "score_samples", "predict", "predict_proba"):
        if hasattr(estimator, method):
            note(method, getattr(estimator, method)(X))
    if hasattr(estimator, "translate"):
        for to in _translatable(estimator):
            note(f"translate to {to}", estimator.translate(X, to))
    last = _translatable(estimator)[-1]
    if holes and hasattr(estimator, "impute") and _can_be_filled(estimator, X):
        note("impute", estimator.impute(X.with_missing(last, _every_second(X))))
    if draws and hasattr(estimator, "target"):
        note("sample", estimator.sample(3, given=X))
    elif draws and hasattr(estimator, "sample"):
        note("sample", estimator.sample(3))
        if holes:
            for k, draw in enumerate(estimator.sample(2, given=X.with_missing(last))):
                note(f"sample {k} given", draw)
    return out


def _translatable(estimator: Any) -> tuple[str, ...]:
    return (estimator.target,) if hasattr(estimator, "target") else estimator.modality_names_in_


def _can_be_filled(estimator: Any, X: Modalities) -> bool:
    others = X.missing.drop(columns=getattr(estimator, "target", []))
    return not hasattr(estimator, "target") or not others.to_numpy().any()


# What is said of each row, or of each row by itself.
ROW_BY_ROW = ("transform", "translate", "impute", "score_samples", "predict")


def row_by_row(found: dict[str, Any]) -> dict[str, Any]:
    """Keep the answers that have one entry per row of X."""
    return {key: value for key, value in found.items() if key.startswith(ROW_BY_ROW)}


def assert_same(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 0.0) -> None:
    """Compare two sets of answers; the tolerance is relative to the largest entry."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        size = np.abs(value[np.isfinite(value)]).max(initial=0.0)
        np.testing.assert_allclose(
            found[key], value, rtol=0, atol=tolerance * size, err_msg=key, strict=False
        )


def differ(found: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sets of answers differ anywhere, in what is asked or in the answer."""
    return found.keys() != other.keys() or any(
        np.shape(value) != np.shape(other[key])
        or not np.allclose(value, other[key], rtol=1e-6, atol=0, equal_nan=True)
        for key, value in found.items()
    )


def _named(value: Any) -> dict[str, np.ndarray]:
    if isinstance(value, Modalities | dict):
        return {name: np.asarray(part) for name, part in value.items()}
    return {"": np.asarray(value)}


def _every_second(X: Modalities) -> np.ndarray:
    return np.arange(0, len(X), 2)
