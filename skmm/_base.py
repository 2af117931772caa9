"""What every estimator of skmm is: its saved state, and fits that succeed or change nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

from sklearn import base
from sklearn.exceptions import InconsistentVersionWarning

from skmm._version import __version__

State = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])
VERSION, STORED = "_skmm_version", "_skmm_stored"

# What `skmm.io` does to states on their way to and from a file; None is pickle and copy.
encoding: ContextVar[Callable[[State], State] | None] = ContextVar("encoding", default=None)
decoding: ContextVar[Callable[[State], State] | None] = ContextVar("decoding", default=None)


class BaseEstimator(base.BaseEstimator):
    """scikit-learn's, whose saved state names the version of skmm; another one warns."""

    def __getstate__(self) -> State:
        state = {**super().__getstate__(), VERSION: __version__}
        encode = encoding.get()
        return state if encode is None else {STORED: encode(state)}

    def __setstate__(self, state: State) -> None:
        state = _decoded(state[STORED]) if STORED in state else dict(state)
        written_by = state.pop(VERSION, "unknown")
        if written_by != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=written_by,
                ),
                stacklevel=2,
            )
        super().__setstate__(state)


def fits_or_changes_nothing(fit: F) -> F:
    """Let a method that fits leave its estimator as it was before if it fails."""

    @wraps(fit)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            self.__dict__ = before
            raise

    return cast(F, guarded)


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called skmm, however many calls lie between."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and _is_inside(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_inside(module: str) -> bool:
    return module.partition(".")[0] in ("skmm", "sklearn", "contextlib")


def _decoded(state: State) -> State:
    decode = decoding.get()
    if decode is None:
        raise ValueError("skmm.io.dump wrote this: read it with skmm.io.load.")
    return decode(state)
