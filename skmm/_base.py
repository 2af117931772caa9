"""What every estimator of skmm is: its saved state, and fits that succeed or change nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was before if its fit fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def fits_or_changes_nothing(fit: F) -> F:
    """Let a method that fits leave its estimator as it was before if it fails."""

    @wraps(fit)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        with unchanged_on_error(self):
            return fit(self, *args, **kwargs)

    return cast(F, guarded)


def _decoded(state: State) -> State:
    decode = decoding.get()
    if decode is None:
        raise ValueError("skmm.io.dump wrote this: read it with skmm.io.load.")
    return decode(state)
