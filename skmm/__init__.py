"""scikit-learn-compatible estimators for multimodal learning."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skmm._cca import CCA
from skmm._group_factor_analysis import GroupFactorAnalysis
from skmm._machine import show_versions
from skmm._modalities import Modalities, check_modalities
from skmm._version import __version__ as __version__

if TYPE_CHECKING:
    from skmm._conditional_gan import ConditionalGAN
    from skmm._deep_cca import DeepCCA
    from skmm._multimodal_autoencoder import MultimodalAutoencoder
    from skmm._multimodal_predictor import MultimodalClassifier, MultimodalRegressor
    from skmm._multimodal_vae import MultimodalVAE

__all__ = [
    "CCA",
    "ConditionalGAN",
    "DeepCCA",
    "GroupFactorAnalysis",
    "Modalities",
    "MultimodalAutoencoder",
    "MultimodalClassifier",
    "MultimodalRegressor",
    "MultimodalVAE",
    "check_modalities",
    "show_versions",
]

_DEEP = {  # imported at first use: they need torch
    "ConditionalGAN": "skmm._conditional_gan",
    "DeepCCA": "skmm._deep_cca",
    "MultimodalAutoencoder": "skmm._multimodal_autoencoder",
    "MultimodalClassifier": "skmm._multimodal_predictor",
    "MultimodalRegressor": "skmm._multimodal_predictor",
    "MultimodalVAE": "skmm._multimodal_vae",
}


def __getattr__(name: str) -> Any:
    if name not in _DEEP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DEEP[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_DEEP})
