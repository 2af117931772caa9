"""MultimodalClassifier and MultimodalRegressor: predictions from several modalities."""

from skmm._multimodal_predictor._classifier import MultimodalClassifier
from skmm._multimodal_predictor._regressor import MultimodalRegressor

__all__ = ["MultimodalClassifier", "MultimodalRegressor"]
