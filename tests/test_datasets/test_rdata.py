"""The reader of R's format, on files assembled byte by byte."""

import gzip
import lzma
import struct

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmm.datasets import _rdata


def r_int(*values):
    return struct.pack(f">{len(values)}i", *values)


def r_char(text):
    return r_int(9, len(text)) + text.encode()


def r_strings(*texts):
    return r_int(16, len(texts)) + b"".join(map(r_char, texts))


def r_pairs(**items):
    """A pairlist: nodes with a tag (a symbol) and a value, then NULL."""
    nodes = [r_int(2 | 0x400, 1) + r_char(tag) + value for tag, value in items.items()]
    return b"".join(nodes) + r_int(254)


def r_vector(kind, values, **attributes):
    flags = kind | (0x200 if attributes else 0)
    code = {13: "i", 14: "d"}[kind]
    data = struct.pack(f">{len(values)}{code}", *values)
    return r_int(flags, len(values)) + data + (r_pairs(**attributes) if attributes else b"")


def r_list(*items, **attributes):
    flags = 19 | (0x200 if attributes else 0)
    return (
        r_int(flags, len(items)) + b"".join(items) + (r_pairs(**attributes) if attributes else b"")
    )


def r_file(**variables):
    return b"RDX2\nX\n" + r_int(2, 0x30000, 0x20300) + r_pairs(**variables)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bytes])
def test_r_matrix_factor_and_list(tmp_path, compress):
    matrix = r_vector(
        14,
        [1, 2, 3, 4, 5, 6],
        dim=r_vector(13, [3, 2]),
        dimnames=r_list(r_strings("r1", "r2", "r3"), r_strings("c1", "c2")),
    )
    factor = r_vector(13, [2, 1, 2], levels=r_strings("lo", "hi"))
    both = r_list(matrix, factor, names=r_strings("m", "f"))
    path = tmp_path / "x.rda"
    path.write_bytes(compress(r_file(first=both, second=r_vector(14, [7.5]))))
    read = _rdata.read_rdata(path)
    values, rows, columns = read["first"]["m"].matrix()
    assert_array_equal(values, [[1, 4], [2, 5], [3, 6]])
    assert (rows, columns) == (["r1", "r2", "r3"], ["c1", "c2"])
    assert read["first"]["f"].factor() == ["hi", "lo", "hi"]
    assert_array_equal(read["second"].data, [7.5])


def test_r_environment_and_s4_object(tmp_path):
    frame = r_pairs(exprs=r_vector(14, [1.5, 2.5]))
    nothing = r_int(254)
    environment = r_int(4, 0) + r_int(253) + frame + nothing + nothing
    again = r_int(255 | (2 << 8))  # the symbol "data" is the first reference, the environment 2nd
    s4 = r_int(25 | 0x200) + r_pairs(data=environment, copy=again)
    path = tmp_path / "x.rda"
    path.write_bytes(b"RDX2\nX\n" + r_int(2, 0, 0) + r_int(2) + s4 + r_int(254))
    (thing,) = _rdata.read_rdata(path).values()
    assert_array_equal(thing.attributes["data"]["exprs"].data, [1.5, 2.5])
    assert thing.attributes["copy"] is thing.attributes["data"]


def test_r_missing_values(tmp_path):
    na = struct.unpack(">d", bytes.fromhex("7ff00000000007a2"))[0]
    matrix = r_vector(
        14,
        [na, 1.0],
        dim=r_vector(13, [1, 2]),
        dimnames=r_list(r_strings("r"), r_int(16, 2) + r_char("a") + r_int(9, -1)),
    )
    path = tmp_path / "x.rda"
    path.write_bytes(r_file(m=matrix))
    values, _, columns = _rdata.read_rdata(path)["m"].matrix()
    assert_array_equal(values.astype(np.float32), [[np.nan, 1]])
    assert columns == ["a", None]


@pytest.mark.parametrize("content", [b"RDX3\nX\n", b"x,y\n1,2\n", b""])
def test_other_formats_are_refused(tmp_path, content):
    path = tmp_path / "x.rda"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a data file of R in version 2"):
        _rdata.read_rdata(path)


def test_unreadable_r_type_is_refused(tmp_path):
    path = tmp_path / "x.rda"
    path.write_bytes(r_file(code=r_int(21)))
    with pytest.raises(ValueError, match="R objects of type 21 cannot be read"):
        _rdata.read_rdata(path)
