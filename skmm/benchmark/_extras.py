"""Optional packages: imported when needed, with an error that says how to get them."""

from importlib import import_module
from typing import Any


def require(module: str) -> Any:
    """Import a module of the extra ``benchmark``."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"This part of skmm.benchmark needs {module.split('.')[0]}: "
            'pip install "skmm[benchmark]".'
        ) from error
