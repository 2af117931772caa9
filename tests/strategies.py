"""Hypothesis strategies: modalities of all shapes, dtypes, layouts, scales and missing patterns.

With the profile "ci", the default, the same examples are tried every time and nothing is written
to disk; "thorough", that of `make slow`, has more of them, and ``HYPOTHESIS_PROFILE=search`` tries
others.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skmm import Modalities

COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("ci", derandomize=True, max_examples=20, **COMMON)
settings.register_profile("thorough", derandomize=True, max_examples=80, **COMMON)
settings.register_profile("search", max_examples=400, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def few(n: int) -> settings:
    """Return settings for examples that take longer, in proportion to the profile's."""
    return settings(max_examples=max(1, n * settings().max_examples // 40))


# Layouts: the same numbers, laid out or wrapped in another way


def _strided(a: np.ndarray) -> np.ndarray:
    wide = np.full((2 * a.shape[0], *(3 * k for k in a.shape[1:])), np.nan, dtype=a.dtype)
    view = wide[(slice(None, None, 2), *(slice(1, None, 3) for _ in a.shape[1:]))]
    view[...] = a
    return view


def _read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def _memmap(a: np.ndarray) -> np.ndarray:
    path = Path(tempfile.mkdtemp(prefix="skmm-tests-")) / "a.npy"
    np.save(path, a)
    return np.load(path, mmap_mode="r")


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "read-only": _read_only,
    "memmap": _memmap,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "long double": lambda a: a.astype(np.longdouble),
    "objects": lambda a: a.astype(object),
    "lists": lambda a: a.tolist(),
    "DataFrame": lambda a: pd.DataFrame(a),
    "nullable DataFrame": lambda a: pd.DataFrame(a).astype("Float64"),
}
layouts = st.sampled_from(sorted(LAYOUTS))
dtypes = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int8, np.uint16, bool])


@st.composite
def arrays(draw: Any, *, n_samples: int | None = None) -> np.ndarray:
    """Return finite 2-D numbers of any dtype, floating ones with some rows of NaN."""
    dtype = np.dtype(draw(dtypes))
    shape = (n_samples or draw(st.integers(1, 9)), draw(st.integers(1, 5)))
    elements: dict[str, Any] = {"allow_nan": False, "allow_infinity": False}
    if dtype.kind == "f":
        largest = {2: 6e4, 4: 2.0**100, 8: 1e150}[dtype.itemsize]
        elements |= {"min_value": -largest, "max_value": largest}
    else:
        elements = {}
    a = draw(hnp.arrays(dtype, shape, elements=elements))
    if dtype.kind == "f":
        a[draw(hnp.arrays(bool, len(a)))] = np.nan
    return a


@dataclass(frozen=True)
class Data:
    """Modalities that share a latent variable, some of them missing in some rows."""

    parts: dict[str, np.ndarray]
    mask: np.ndarray  # (n_samples, n_modalities)

    @property
    def named(self) -> Modalities:
        """Return them as Modalities."""
        return Modalities(self.parts, missing=self.mask)

    def laid_out(self, layout: str) -> Modalities:
        """Return the same in another layout."""
        parts = {name: LAYOUTS[layout](a) for name, a in self.parts.items()}
        return Modalities(parts, missing=self.mask)


@st.composite
def data(
    draw: Any,
    *,
    names: tuple[str, ...] = ("image", "text", "sound"),
    min_samples: int = 12,
    max_samples: int = 30,
    missing: bool = True,
    degenerate: bool = True,
) -> Data:
    """Return data of one to five columns per modality; degenerate ones repeat or never vary."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(min_samples, max_samples))
    z = rng.standard_normal((n, 2))
    parts = {}
    for name in names:
        width = draw(st.integers(1, 5))
        a = z @ rng.standard_normal((2, width)) + rng.standard_normal((n, width))
        a = 10.0 ** draw(st.integers(-4, 4)) * (a + draw(st.sampled_from([0.0, 1.0, 100.0])))
        column = draw(st.integers(0, width - 1))
        form = draw(st.sampled_from(["varied", "constant", "zero", "repeated"]))
        if degenerate and width > 1 and form != "varied":
            other = a[:, (column + 1) % width]
            a[:, column] = {"constant": 3.0, "zero": 0.0, "repeated": other}[form]
        parts[name] = a
    mask = rng.random((n, len(names))) < (draw(st.sampled_from([0.0, 0.2])) if missing else 0.0)
    mask[mask.all(axis=1), 0] = False  # a row has something
    mask[:6] = False  # and a modality has rows
    return Data(parts, mask)


@st.composite
def codes(draw: Any, *, min_samples: int = 3, same_width: bool = True) -> tuple[Any, Any]:
    """Return two matrices of codes of the same rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, k = draw(st.integers(min_samples, 12)), draw(st.integers(1, 4))
    other = k if same_width else draw(st.integers(1, 4))
    scale = 10.0 ** draw(st.integers(-8, 8))
    return scale * rng.standard_normal((n, k)), scale * rng.standard_normal((n, other))
