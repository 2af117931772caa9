"""Read what R's ``save`` wrote: vectors, lists, S4 objects and environments."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_VECTORS = {10: ">i4", 13: ">i4", 14: ">f8", 15: ">c16", 24: "u1"}  # logical ... raw
_PAIRS = {2, 3, 5, 6, 17}  # pairlist, closure, promise, call, dots: all are stored as pairs
_CONSTANTS = {241, 242, 250, 251, 252, 253, 254}  # NULL, the standard environments, ...


@dataclass
class RObject:
    """A value of R: its data and its attributes.

    ``data`` is an ndarray for a numeric vector, a list of str or None for a character vector, a
    list of RObject for a list, a dict for an environment or a pairlist, and None otherwise.
    """

    data: Any = None
    attributes: dict[str, RObject] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the names of a list's elements."""
        return list(self.attributes["names"].data)

    def __getitem__(self, name: str) -> RObject:
        if isinstance(self.data, dict):
            return self.data[name]
        return self.data[self.names().index(name)]

    def matrix(self) -> tuple[NDArray[np.float64], list[str], list[str]]:
        """Return a matrix with its row and column names (R stores columns one after another)."""
        shape = tuple(self.attributes["dim"].data)
        rows, columns = self.attributes["dimnames"].data
        values = np.array(self.data, float).reshape(shape, order="F")
        values[np.isnan(values)] = np.nan  # R's NA is a NaN with a payload
        return values, rows.data, columns.data

    def factor(self) -> list[str]:
        """Return the labels of a factor."""
        levels = self.attributes["levels"].data
        return [levels[code - 1] for code in self.data]


def read_rdata(path: str | Path) -> dict[str, RObject]:
    """Return the variables saved in an ``.rda`` or ``.RData`` file."""
    with open(path, "rb") as file:
        opener = _OPENERS.get(file.read(2))
    with opener(path) if opener else open(path, "rb") as file:
        content = file.read()
    if content[:7] != b"RDX2\nX\n":
        raise ValueError(
            f"{str(path)!r} is not a data file of R in version 2 of the binary (XDR) format; "
            "write it in R by save(..., version = 2)."
        )
    return _Reader(content, 7).read_file()


class _Reader:
    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position
        self.references: list[RObject] = []

    def read_file(self) -> dict[str, RObject]:
        self.take(12)  # the versions of the format, of the R that wrote and that can read it
        return self.item().data

    def take(self, n_bytes: int) -> bytes:
        start, self.position = self.position, self.position + n_bytes
        return self.content[start : self.position]

    def integer(self) -> int:
        return struct.unpack(">i", self.take(4))[0]

    def item(self) -> RObject:
        flags = self.integer()
        kind, has_attributes = flags & 0xFF, bool(flags & 0x200)
        if kind in _CONSTANTS:
            return RObject()
        if kind == 255:
            return self.references[(flags >> 8 or self.integer()) - 1]
        if kind in _PAIRS:
            return self.pairs(flags)
        if kind in (1, 4, 247, 248, 249):
            return self.referable(kind)
        if kind == 9:
            return self.string()
        return self.vector(kind, has_attributes)

    def pairs(self, flags: int) -> RObject:
        """Read a pairlist into a dict from tag to value; a loop, for long lists nest deeply."""
        result: dict[str, RObject] = {}
        attributes: dict[str, RObject] = {}
        while (flags & 0xFF) in _PAIRS:
            if flags & 0x200:
                attributes |= self.item().data
            tag = self.item().data if flags & 0x400 else str(len(result))
            result[tag] = self.item()
            flags = self.integer()
        if (flags & 0xFF) != 254:
            self.position -= 4
            result["..."] = self.item()
        return RObject(result, attributes)

    def referable(self, kind: int) -> RObject:
        """Read a symbol, environment or name of a package: later mentions point back to it."""
        result = RObject()
        if kind == 4:
            self.references.append(result)
            self.integer()  # locked
            self.item()  # the enclosing environment
            result.data = dict(self.item().data or {})
            for bucket in self.item().data or []:  # the hash table
                result.data |= bucket.data or {}
            result.attributes = self.item().data or {}
            return result
        if kind == 1:
            result.data = self.item().data
        else:
            self.integer()
            result.data = [self.item().data for _ in range(self.integer())]
        self.references.append(result)
        return result

    def string(self) -> RObject:
        length = self.integer()
        return RObject(None if length == -1 else self.take(length).decode("utf-8", "replace"))

    def vector(self, kind: int, has_attributes: bool) -> RObject:
        result = RObject()
        if kind in _VECTORS:
            dtype = np.dtype(_VECTORS[kind])
            length = self.integer()
            values = np.frombuffer(self.take(length * dtype.itemsize), dtype)
            result.data = values.astype(dtype.newbyteorder("="))
        elif kind == 16:
            result.data = [self.item().data for _ in range(self.integer())]
        elif kind in (19, 20):
            result.data = [self.item() for _ in range(self.integer())]
        elif kind != 25:  # S4 objects consist of attributes alone
            raise ValueError(f"R objects of type {kind} cannot be read.")
        if has_attributes:
            result.attributes = self.item().data
        return result
