"""Keys of stored results: hashes of everything that decides their values."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator

import skmm
from skmm._modalities import Modalities

_ALWAYS = ("skmm", "sklearn", "numpy", "scipy")  # the packages of every cell
_DEEP = ("torch", "skorch")


def describe(value: Any) -> Any:
    """Return a description of parameters, estimators, splitters or functions, for JSON.

    Arrays and data are given by their hash. Two values with the same description do the same; code
    that comes with no package is described by its source.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.generic)):
        plain = value.item() if isinstance(value, np.generic) else value
        return repr(plain) if isinstance(plain, (float, complex)) else plain
    if isinstance(value, Mapping):
        pairs = [[describe(key), describe(one)] for key, one in value.items()]
        return {"items": pairs}
    if isinstance(value, (list, tuple)):
        return [describe(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(map(str, map(describe, value)))}
    if isinstance(value, partial):
        return {"partial": [describe(value.func), describe(value.args), describe(value.keywords)]}
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _code(value)
    if isinstance(value, (np.ndarray, Modalities)):
        return {"hash": data_hash(value)}
    if isinstance(value, BaseEstimator):
        return {"class": _code(type(value)), **_described(value.get_params(deep=False))}
    if is_dataclass(value):
        return {
            "class": _code(type(value)),
            **_described({f.name: getattr(value, f.name) for f in fields(value)}),
        }
    if type(value).__module__.startswith(("sklearn.", "skmm.")) and hasattr(value, "__dict__"):
        return {"class": _code(type(value)), **_described(vars(value))}
    return {"class": _code(type(value)), "hash": data_hash(value)}


def digest(value: Any) -> str:
    """Return the hash of a description."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def data_hash(value: Any) -> str:
    """Return a hash of arrays, frames, `Modalities`, or whatever can be pickled."""
    try:
        return str(joblib.hash(value, hash_name="sha1"))
    except Exception as error:
        raise TypeError(
            f"{value!r} cannot be told from others, so its results cannot be stored: use objects "
            "that can be pickled, or run without a path."
        ) from error


def package_versions(estimator: Any) -> dict[str, str]:
    """Return the versions of the packages that an estimator is computed with."""
    found = dict.fromkeys(_ALWAYS)
    for cls in _classes(estimator):
        for base in cls.__mro__:
            found[base.__module__.split(".")[0]] = None
        if any(base.__name__ in ("DeepEstimator", "NeuralNet") for base in cls.__mro__):
            found |= dict.fromkeys(_DEEP)
    known = {name: _version(name) for name in found}
    return {name: text for name, text in sorted(known.items()) if text}


@cache
def _version(package: str) -> str:
    if package == "skmm":
        # The number of a development version does not tell which code it is.
        own = version("skmm")
        return f"{own} {_sources()}" if "dev" in own else own
    names = packages_distributions().get(package, [package])
    try:
        return version(names[0])
    except PackageNotFoundError:
        return ""


@cache
def _sources() -> str:
    """Return a hash of the sources of skmm, of all that decides results."""
    root = Path(skmm.__file__).parent
    code = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in ("benchmark", "inspection"):
            code.update(path.read_bytes())
    return code.hexdigest()[:12]


def _described(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"params": {str(name): describe(one) for name, one in sorted(parameters.items())}}


def _code(value: Callable[..., Any] | type) -> Any:
    """Return the name of a class or function, and its source if it is in no package."""
    name = f"{value.__module__}.{value.__qualname__}"
    if _version(str(value.__module__).split(".")[0]) or value.__module__ == "builtins":
        return name
    parts = [value]
    if isinstance(value, type):
        parts = [base for base in value.__mro__ if base.__module__ == value.__module__]
    return {
        "name": name,
        "source": hashlib.sha256("".join(map(_source, parts)).encode()).hexdigest()[:16],
    }


def _source(value: Any) -> str:
    closure = getattr(value, "__closure__", None) or ()
    inside = "".join(str(describe(cell.cell_contents)) for cell in closure)
    try:
        return inspect.getsource(value) + inside
    except (OSError, TypeError) as error:
        raise TypeError(
            f"The source of {value!r} is not known, so that its results cannot be told from those "
            "of other code: write it into a file, or run without a path."
        ) from error


def _classes(value: Any) -> list[type]:
    """Return the classes of an estimator and of the estimators inside it."""
    found = [type(value)]
    if isinstance(value, BaseEstimator):
        inside = value.get_params(deep=True).values()
        found += [type(one) for one in inside if not isinstance(one, type)]
    return [cls for cls in found if cls.__module__ != "builtins"]
