"""MultimodalAutoencoder: a joint code of several modalities."""

from skmm._multimodal_autoencoder._estimator import MultimodalAutoencoder

__all__ = ["MultimodalAutoencoder"]
