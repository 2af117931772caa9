"""Patterns of what is missing: counted as pandas counts, drawn as counted."""

import sys
from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skmm import Modalities
from skmm.inspection import MissingPatternsDisplay, missing_patterns

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _closed_figures_and_same_settings():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def tables(n=200, names=("rna", "protein", "age"), width=2):
    rng = np.random.default_rng(0)
    return Modalities({name: rng.standard_normal((n, width)) for name in names})


def states(X):
    """Return "observed", "partly" or "missing" of each row and modality of numbers."""
    found = {}
    for name, value in X.items():
        n_gaps = np.isnan(value).sum(axis=1)
        labels = np.array(["observed", "partly", "missing"])
        found[name] = labels[np.where(n_gaps == value.shape[1], 2, np.minimum(n_gaps, 1))]
    return pd.DataFrame(found)


def gappy(n=200, **kwargs):
    X = tables(n, **kwargs).with_gaps(0.1, mechanism="entries", random_state=0)
    return X.with_gaps(0.3, random_state=1)


def test_patterns_are_counted_as_by_pandas():
    X = gappy()
    found, expected = missing_patterns(X), states(X).value_counts()
    assert found.index.names == list(X.names)
    assert found.name == "n_samples"
    assert dict(found) == dict(expected)
    assert (np.diff(found) <= 0).all()
    assert found.sum() == len(X)


def test_equally_frequent_patterns_are_in_a_fixed_order():
    X = tables(6).with_missing("rna", [0, 1]).with_missing("age", [2, 3])
    for rows in (slice(None), slice(None, None, -1)):
        assert list(missing_patterns(X[rows]).index) == [
            ("observed", "observed", "observed"),
            ("observed", "observed", "missing"),
            ("missing", "observed", "observed"),
        ]


FORMS = {
    "dict": lambda X: dict(X.items()),
    "two levels": lambda X: X.to_frame(),
    "frames": lambda X: {n: pd.DataFrame(v) for n, v in X.items()},
    "polars": lambda X: {n: pl.DataFrame(np.asarray(v), nan_to_null=True) for n, v in X.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_data_of_every_form(form):
    X = gappy()
    assert dict(missing_patterns(FORMS[form](X))) == dict(missing_patterns(X))


def test_values_of_every_kind():
    counts = sp.csr_matrix(np.array([[1.0, np.nan], [0, 0], [np.nan, np.nan], [2, 3]]))
    X = Modalities(
        {
            "text": np.array(["a", None, "b", "c"], dtype=object),
            "words": pd.DataFrame({"u": ["x", "y", None, None], "v": ["x", "y", "z", None]}),
            "counts": counts,
            "tokens": np.ones((4, 3), dtype=int),
            "image": np.ones((4, 1, 2, 2)),
        },
        missing={"tokens": [False, True, False, False]},
    )
    found = missing_patterns(X)
    o, p, m = "observed", "partly", "missing"
    assert set(found.index) == {(o, o, p, o, o), (m, o, o, m, o), (o, p, m, o, o), (o, m, o, o, o)}


def test_the_drawing_is_what_was_counted():
    X = gappy()
    found, expected = missing_patterns(X), states(X)
    display = MissingPatternsDisplay(found[::-1]).plot(max_patterns=100)
    codes = np.array(display.image_.get_array())
    names = np.array(["observed", "partly", "missing"])
    drawn = {tuple(names[row]): bar for row, bar in zip(codes, display.bars_, strict=True)}
    assert set(drawn) == set(found.index)
    widths = {pattern: bar.get_width() for pattern, bar in drawn.items()}
    for pattern, n in found.items():
        assert_allclose(widths[pattern] / max(widths.values()), n / found.max())
    for state in ("missing", "partly"):
        assert_allclose(display.shares_[state], (expected == state).mean())
    texts = [text.get_text() for text in display.ax_.texts]
    assert f"{found.iloc[0]} ({100 * found.iloc[0] / 200:.0f} %)" in texts
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == list(X.names)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["missing", "partly"]
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["observed", "partly", "missing"]


def test_patterns_that_are_not_drawn_are_summed_up():
    X = gappy()
    found = missing_patterns(X)
    whole = MissingPatternsDisplay.from_modalities(X, max_patterns=len(found))
    display = MissingPatternsDisplay.from_modalities(X, max_patterns=3)
    assert display.image_.get_array().shape == (3, 3)
    widths = np.array([bar.get_width() for bar in display.bars_])
    assert_allclose(widths / widths.sum(), [*found[:3] / 200, found[3:].sum() / 200])
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels[-1] == f"{len(found) - 3} more"
    assert display.bars_[-1].get_facecolor() != display.bars_[0].get_facecolor()
    assert_array_equal(display.shares_, whole.shares_)
    assert len(whole.bars_) == len(found)


def test_nothing_is_missing():
    display = MissingPatternsDisplay.from_modalities(tables())
    assert display.image_.get_array().tolist() == [[0, 0, 0]]
    assert not display.shares_.to_numpy().any()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["observed"]
    assert [text.get_text() for text in display.ax_.texts] == ["200 (100 %)", *["0 %"] * 3]


def test_small_shares_do_not_look_like_none():
    X = tables(1000).with_missing("rna", [0]).with_missing("age", slice(1, None))
    display = MissingPatternsDisplay.from_modalities(X)
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == ["999 (>99 %)", "1 (<1 %)", "<1 %", "0 %", ">99 %"]


@pytest.mark.parametrize(
    "names", [("a",), ("left", "right"), tuple(f"modality_{i}" for i in "abcdef")]
)
def test_texts_can_be_read(names):
    X = tables(300, names).with_gaps(0.2, mechanism="entries", random_state=0)
    display = MissingPatternsDisplay.from_modalities(X, max_patterns=6)
    figure = display.figure_
    figure.draw_without_rendering()
    ax = display.ax_
    texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), *ax.get_legend().get_texts()]
    boxes = {text.get_text(): text.get_window_extent() for text in texts}
    for box in boxes.values():
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
    for one, other in combinations(boxes.values(), 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert width <= 0 or height <= 0.2 * min(one.height, other.height)


def test_axes_are_those_that_were_passed():
    figure, axes = plt.subplots(1, 2)
    display = MissingPatternsDisplay.from_modalities(gappy(), ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].has_data()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: missing_patterns(np.ones((3, 2))), TypeError, "takes a dict"),
        (lambda: missing_patterns(tables()[:0]), ValueError, "X has no rows"),
        (lambda: MissingPatternsDisplay.from_modalities(tables(), max_patterns=0), ValueError,
         "max_patterns must be an integer from 1 on, got 0"),
        (lambda: MissingPatternsDisplay(pd.Series([1, 2], index=["observed", "odd"])).plot(),
         ValueError, "patterns must hold numbers of rows"),
        (lambda: MissingPatternsDisplay(missing_patterns(tables()) / 2).plot(), ValueError,
         "patterns must hold numbers of rows"),
        (lambda: MissingPatternsDisplay(missing_patterns(tables())[:0]).plot(), ValueError,
         "patterns must hold numbers of rows"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for call in (
        lambda: MissingPatternsDisplay.from_modalities(tables()),
        MissingPatternsDisplay(missing_patterns(tables())).plot,
    ):
        with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skmm\[plot\]"'):
            call()
