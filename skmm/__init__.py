"""scikit-learn-compatible estimators for multimodal learning."""

from skmm._cca import CCA
from skmm._modalities import Modalities, check_modalities

__all__ = ["CCA", "Modalities", "check_modalities"]

__version__ = "0.1.0.dev0"
