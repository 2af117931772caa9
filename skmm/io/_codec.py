"""Objects that skops cannot store, as a kind and a content that it can.

`encode` turns a value into containers, strings, numbers, arrays and `Stored`; `decode` turns it
back. `_plain` and `_networks` add types to `encoder` and kinds to `DECODERS` when imported.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import singledispatch
from typing import Any

from skmm._base import BaseEstimator

Memo = dict[int, Any]
Decoder = Callable[[Any, Memo], Any]


class Stored:
    """Stands in a file for an object of some kind; never part of an estimator."""

    def __init__(self, kind: str, content: Any) -> None:
        self.kind = kind
        self.content = content


def encode(value: Any, memo: Memo | None = None) -> Any:
    """Return a value as it is stored; an object that occurs twice is stored once.

    The memo, shared by all parts of one state, maps ids to (stored, value). It holds the value so
    that no other object gets its id meanwhile.
    """
    memo = {} if memo is None else memo
    if id(value) not in memo:
        memo[id(value)] = (encoder(value, memo), value)
    return memo[id(value)][0]


def decode(value: Any, memo: Memo | None = None) -> Any:
    """Return a value from how it is stored; the memo maps ids of `Stored` to their objects."""
    memo = {} if memo is None else memo
    if isinstance(value, Stored):
        if id(value) not in memo:
            memo[id(value)] = _decoder(value.kind)(value.content, memo)
        return memo[id(value)]
    if type(value) in (dict, OrderedDict):
        return type(value)((key, decode(v, memo)) for key, v in value.items())
    if type(value) in (list, set):
        return type(value)(decode(v, memo) for v in value)
    if isinstance(value, tuple):
        return _tuple_like(value, [decode(v, memo) for v in value])
    return value


@singledispatch
def encoder(value: Any, memo: Memo) -> Any:
    """Return a value as it is stored, by its type."""
    kind = type(value)
    own = kind.__module__.partition(".")[0] == "skmm" and not isinstance(value, BaseEstimator)
    if not own or isinstance(value, Stored):
        return value  # for skops to store or to refuse
    return Stored("object", {"type": kind, "state": encode(value.__getstate__(), memo)})


@encoder.register
def _(value: dict, memo: Memo) -> Any:
    if type(value) not in (dict, OrderedDict):
        return value
    if all(type(key) is str for key in value):
        return type(value)((key, encode(v, memo)) for key, v in value.items())
    return Stored("dict", [(encode(key, memo), encode(v, memo)) for key, v in value.items()])


@encoder.register(list)
@encoder.register(set)
def _(value: Any, memo: Memo) -> Any:
    return type(value)(encode(v, memo) for v in value) if type(value) in (list, set) else value


@encoder.register
def _(value: tuple, memo: Memo) -> Any:
    return _tuple_like(value, [encode(v, memo) for v in value])


def _tuple_like(value: tuple, parts: list[Any]) -> tuple:
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def _object(content: dict[str, Any], memo: Memo) -> Any:
    kind, state = content["type"], decode(content["state"], memo)
    if not isinstance(kind, type) or kind.__module__.partition(".")[0] != "skmm":
        raise ValueError(f"{kind!r} stands where a class of skmm was expected.")
    instance: Any = object.__new__(kind)
    if hasattr(kind, "__setstate__"):
        instance.__setstate__(state)
    else:
        vars(instance).update(state)
    return instance


def _decoder(kind: str) -> Decoder:
    if kind not in DECODERS:
        raise ValueError(f"{kind!r} is no kind of stored object; they are {sorted(DECODERS)}.")
    return DECODERS[kind]


DECODERS: dict[str, Decoder] = {
    "dict": lambda pairs, memo: {decode(k, memo): decode(v, memo) for k, v in pairs},
    "object": _object,
}
