"""From raw data to what networks take: text to token ids, images and sound to arrays."""

from skmm.preprocessing._image_scaler import ImageScaler
from skmm.preprocessing._log_mel import LogMel
from skmm.preprocessing._tokenizer import Tokenizer

__all__ = ["ImageScaler", "LogMel", "Tokenizer"]
