"""MultimodalVAE: a probabilistic model of several modalities."""

from skmm._multimodal_vae._estimator import MultimodalVAE

__all__ = ["MultimodalVAE"]
