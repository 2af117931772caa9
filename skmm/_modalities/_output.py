"""What results are made of: arrays or, as `set_output` says, frames, which carry the sample ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin as SklearnTransformerMixin
from sklearn.utils._set_output import _get_output_config

from skmm._modalities._ids import Ids, ids_of
from skmm._modalities._polars import as_polars, is_polars
from skmm._modalities._values import PANDAS

F = TypeVar("F", bound=Callable[..., Any])
_arrays: ContextVar[bool] = ContextVar("arrays", default=False)


class TransformerMixin(SklearnTransformerMixin):
    """scikit-learn's, with the ids of the samples on what `transform` returns."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "transform" in vars(cls):
            cls.transform = _with_ids(vars(cls)["transform"])


# scikit-learn puts the result of `transform` into a container once more, which takes no ids.
TransformerMixin.fit_transform = SklearnTransformerMixin.fit_transform.__wrapped__


def codes_follow_output(method: F) -> F:
    """Let a dict of codes, whose columns are named as those of `transform`, follow `set_output`."""

    @wraps(method)
    def follow(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        codes = method(self, X, *args, **kwargs)
        prefix = type(self).__name__.lower()
        return {
            name: in_container(self, X, code, [f"{prefix}{k}" for k in range(code.shape[1])])
            for name, code in codes.items()
        }

    return cast(F, follow)


def translation_follows_output(method: F) -> F:
    """Let a modality, named as in fit, follow `set_output`; images stay arrays."""

    @wraps(method)
    def follow(self: Any, X: Any, to: str) -> Any:
        value = method(self, X, to)
        return in_container(self, X, value, self._schema.specs[to].names(to))

    return cast(F, follow)


@contextmanager
def arrays_only() -> Iterator[None]:
    """Let estimators of skmm give arrays, whatever `set_output` says: for what computes with them.

    Not around whole pipelines, whose steps may have been fitted to frames.
    """
    before = _arrays.set(True)
    try:
        yield
    finally:
        _arrays.reset(before)


def in_library(estimator: Any, value: Any) -> Any:
    """Return a frame of pandas as one of polars if `set_output` says so."""
    if _get_output_config("transform", estimator)["dense"] == "polars" and isinstance(
        value, PANDAS
    ):
        return as_polars(value)
    return value


def _with_ids(transform: F) -> F:
    @wraps(transform)
    def follow(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        if _arrays.get():
            return cast(Any, transform).__wrapped__(self, X, *args, **kwargs)
        out = transform(self, X, *args, **kwargs)
        return _named(out, X) if isinstance(out, PANDAS) or is_polars(out) else out

    return cast(F, follow)


def in_container(estimator: Any, X: Any, value: Any, columns: Sequence[str]) -> Any:
    """Return rows as the container that `set_output` asks for."""
    container = _get_output_config("transform", estimator)["dense"]
    if container == "default" or value.ndim > 2 or _arrays.get():
        return value
    if not isinstance(value, PANDAS) and value.ndim == 1:
        value = pd.Series(np.asarray(value), name=columns[0])
    elif not isinstance(value, PANDAS):
        value = pd.DataFrame(np.asarray(value), columns=list(columns))
    return _named(as_polars(value) if container == "polars" else value, X)


def _named(frame: Any, X: Any) -> Any:
    """Put the ids of X on a frame; on one of polars only if they were declared as a column."""
    ids = ids_of(X)
    if ids is None or len(ids.index) != len(frame):
        return frame
    if not is_polars(frame):
        return ids.put_on(frame)
    return frame if ids.column is None else frame.insert_column(0, _column(ids))


def _column(ids: Ids) -> Any:
    return as_polars(pd.Series(ids.index, name=ids.column)).to_series(0)
