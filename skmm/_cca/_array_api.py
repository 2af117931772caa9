"""The ways in and out under scikit-learn's array API dispatch: results follow the input.

Arrays of other libraries on the host become NumPy's, without a copy, and results go back. On other
devices the products over rows are formed (see `_device`), unless the rows have NaN or infinity:
such rows come to NumPy as well, where they are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from importlib import import_module
from inspect import signature
from itertools import chain, islice
from typing import Any, TypeVar, cast

import numpy as np
from sklearn._config import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skmm._base import fits_or_changes_nothing
from skmm._cca._device import DeviceBlock, Home, to_numpy
from skmm._interfaces._generative import ReconstructionMixin
from skmm._modalities import Modalities, check_modalities
from skmm._modalities._ids import Ids
from skmm._modalities._schema import COLUMNS
from skmm._modalities._stream import LARGE, mapping_of
from skmm._modalities._values import is_lazy

F = TypeVar("F", bound=Callable[..., Any])
_NAMESPACES = (  # those that scikit-learn supports
    "array_api_strict",
    "dpnp",
    "sklearn.externals.array_api_compat.cupy",
    "sklearn.externals.array_api_compat.torch",
)


def fitted_attributes_follow(method: F) -> F:
    """Let fitted attributes follow X in namespace and device."""

    @wraps(method)
    @fits_or_changes_nothing
    def follow(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not get_config()["array_api_dispatch"]:
            return method(self, *args, **kwargs)
        call = signature(method).bind(self, *args, **kwargs)
        X = call.arguments["X"]
        if isinstance(X, Iterator):  # of chunks: the first one decides
            first = list(islice(X, 1))
            call.arguments["X"] = chain(first, X)
            X = first[0] if first else None
            X = X[0] if isinstance(X, tuple) else X
        method(*call.args, **call.kwargs)
        if (home := _home(X)) is not None:
            vars(self).update(home.take(_public_attributes(vars(self))))
        return self

    return cast(F, follow)


def results_follow(method: F, *, local: bool = True) -> F:
    """Let the results of a method follow its first array in namespace and device.

    If `local`, the method gets NumPy's arrays.
    """

    @wraps(method)
    def follow(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not get_config()["array_api_dispatch"]:
            return method(self, *args, **kwargs)
        check_is_fitted(self)
        call = signature(method).bind(self, *args, **kwargs)
        given = [call.arguments.get(key) for key in ("X", "Z", "given")]
        of_fit = Home.of(self.eigenvalues_)
        home = next((_home(value) for value in given if value is not None), of_fit)
        if home != of_fit:
            raise ValueError(
                f"Inputs passed to {type(self).__name__}.{method.__name__}() must use the same "
                "namespace and the same device as those passed to fit(): got "
                f"{_describe(home)}, but fit got {_describe(of_fit)}. Convert them, or fit again."
            )
        if local:
            call.arguments.update(
                {k: to_numpy(v) for k, v in call.arguments.items() if k != "self"}
            )
        result = method(*call.args, **call.kwargs)
        return result if home is None else home.take(result)

    return cast(F, follow)


projections_follow = partial(results_follow, local=False)  # they can be formed on a device


def in_pieces(X: Any, y: Any = None) -> bool:
    """Return whether data are to be read in pieces: lazy arrays, and mapped files if large."""
    values = X._values if isinstance(X, Modalities) else X
    given = [*(values.values() if isinstance(values, Mapping) else [values]), y]
    mapped = sum(value.nbytes for value in given if mapping_of(value) is not None)
    return mapped > LARGE or any(is_lazy(value) for value in given)


def check_anywhere(
    estimator: Any, X: Any, y: Any = None, *, local: bool = False, **options: Any
) -> Modalities:
    """Check as `check_modalities` does; rows on a device, if finite, stay there unless `local`.

    The modalities then are `DeviceBlock` instead of arrays, and complete.
    """
    if not get_config()["array_api_dispatch"]:
        return check_modalities(estimator, X, y, **options)
    home = Home.of(X)
    if home is not None and home.computes and not local:
        blocks = _device_blocks(estimator, X, y, home, options)
        if blocks is not None:
            return blocks
    return check_modalities(estimator, to_numpy(X), to_numpy(y), **options)


def cast_to(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return an array of any library in a floating type."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype, copy=False)
    xp = cast(Home, Home.of(value)).xp
    return xp.astype(value, getattr(xp, dtype.name), copy=False)


class FollowsInput(ReconstructionMixin):
    """Reconstructions that follow their input; copies and pickles that load without a device."""

    inverse_transform = results_follow(ReconstructionMixin.inverse_transform)
    translate = results_follow(ReconstructionMixin.translate)
    impute = results_follow(ReconstructionMixin.impute)
    sample = results_follow(ReconstructionMixin.sample)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(cast(BaseEstimator, super()).__getstate__())
        if (home := Home.of(state.get("eigenvalues_"))) is None:
            return state
        state.update(to_numpy(_public_attributes(state)))
        return state | {"_home": (home.xp.__name__, home.device)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        home = _find(*state.pop("_home", (None, None)))
        if home is not None:
            state.update(home.take(_public_attributes(state)))
        cast(Any, super()).__setstate__(state)


def _home(X: Any) -> Home | None:
    """Return the home of X, of a dict that of its first array."""
    return Home.of(next(iter(X.values()), None) if type(X) is dict else X)


def _device_blocks(
    estimator: Any, X: Any, y: Any, home: Home, options: dict[str, Any]
) -> Modalities | None:
    """Return blocks on the device, or None for data that NumPy has to read to name their fault."""
    selectors = getattr(estimator, "modalities", None)
    by_content = isinstance(selectors, dict) and any(map(callable, selectors.values()))
    if X.ndim != 2 or by_content or not (y is None or _rows_match(X, y)):
        return None
    head = check_modalities(estimator, _head(X), _head(y), **options)  # sees shapes and dtypes
    schema, blocks = estimator._schema, {}
    for name in head.names:
        if schema.form == COLUMNS:
            part = _columns(X, schema.numbers[name], home)
        else:
            part = X if name == "X" else _move(y, home)
        dtype = np.dtype(head[name].dtype)
        part = home.xp.astype(part, getattr(home.xp, dtype.name), copy=False)
        part = home.xp.reshape(part, (X.shape[0], -1))
        if not bool(home.xp.isfinite(home.xp.sum(part))):
            return None
        blocks[name] = DeviceBlock(part, home, dtype)
    mask = np.zeros((X.shape[0], len(blocks)), dtype=bool)
    ids = Ids.counting(X.shape[0])
    return Modalities._make(cast(dict[str, Any], blocks), head._kinds, mask, ids)


def _rows_match(X: Any, y: Any) -> bool:
    is_array = isinstance(y, np.ndarray) or Home.of(y) is not None
    return is_array and y.ndim > 0 and y.shape[0] == X.shape[0]


def _head(value: Any) -> Any:
    """Return two rows as NumPy's, of floats without their content."""
    if value is None:
        return None
    head = to_numpy(value[: min(2, value.shape[0]), ...])
    return np.zeros_like(head) if head.dtype.kind == "f" else head


def _columns(X: Any, numbers: np.ndarray, home: Home) -> Any:
    start, stop = int(numbers[0]), int(numbers[-1]) + 1
    if np.array_equal(numbers, np.arange(start, stop)):
        return X[:, start:stop]
    return home.xp.take(X, home.xp.asarray(numbers, device=home.device), axis=1)


def _move(y: Any, home: Home) -> Any:
    return y if Home.of(y) == home else home.take(to_numpy(y))


def _public_attributes(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in state.items() if k.endswith("_") and not k.startswith("_")}


def _describe(home: Home | None) -> str:
    if home is None:
        return "numpy"
    return f"{home.xp.__name__.rpartition('.')[2]} on {home.device}"


def _find(name: str | None, device: Any) -> Home | None:
    """Return a home by its name, on a device like its own or the host, else None: NumPy's.

    The name may come from a file of anyone: nothing but libraries of arrays is imported.
    """
    if name not in _NAMESPACES:
        return None
    try:
        xp = import_module(name)
    except ImportError:
        return None
    for place in (device, getattr(device, "type", "cpu"), "cpu"):  # cuda:1, cuda, cpu
        try:
            xp.zeros(1, device=place)
        except (RuntimeError, ValueError, AssertionError):  # what libraries say of no such device
            continue
        return Home(xp, place)
    return None
