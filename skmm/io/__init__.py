"""Files of fitted estimators that may come from anyone: loading them executes no code."""

from skmm.io._files import dump, get_untrusted_types, load
from skmm.io._trusted import TRUSTED

__all__ = ["TRUSTED", "dump", "get_untrusted_types", "load"]
