"""One knob for memory: scikit-learn's working_memory changes chunks, and no result."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn import config_context

from skmm import CCA, Modalities, MultimodalAutoencoder
from skmm._modalities import _chunks
from skmm._modalities._columns import ColumnStatistics
from skmm._modalities._stream import pieces

SMALL_MEMORY = 2**-8  # MiB: the largest budget, 2**24 numbers, becomes 64


@pytest.mark.parametrize("width", [1, 7, 10**9])
def test_usual_chunks_hold_what_the_budget_says(width):
    for budget in (_chunks.CACHE, _chunks.SMALL, _chunks.USUAL, _chunks.LARGE):
        assert _chunks.rows_within(budget, width) == max(1, budget // width)
    assert _chunks.rows_within(_chunks.CACHE, width, least=512) >= 512


@pytest.mark.parametrize(("memory", "rows"), [(512, 50), (1024, 100), (4096, 400), (1e-9, 1)])
def test_chunks_grow_with_the_working_memory(memory, rows):
    with config_context(working_memory=memory):
        assert _chunks.rows_within(1000, 10) == rows
        found = list(_chunks.row_chunks(900, 10, 1000))
    assert [r for chunk in found for r in range(900)[chunk]] == list(range(900))
    assert found[0] == slice(0, min(rows, 900))


def test_rows_of_nothing_are_one_chunk():
    assert list(_chunks.row_chunks(5, 0)) == [slice(0, 5)]


def _answers(X):
    cca = CCA(2).fit(X)
    return [*cca.transform_each(X).values(), cca.canonical_correlations_]


@pytest.fixture
def data():
    rng = np.random.RandomState(0)
    z = rng.standard_normal((700, 2))
    return {
        name: z @ rng.standard_normal((2, width)) + rng.standard_normal((700, width))
        for name, width in (("a", 5), ("b", 4))
    }


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_linear_results_do_not_depend_on_memory(data, kind):
    X = data if kind == "dense" else {n: sparse.csr_matrix(v) for n, v in data.items()}
    expected = _answers(X)
    with config_context(working_memory=SMALL_MEMORY):
        for one, other in zip(_answers(X), expected, strict=True):
            assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_statistics_and_predictions_do_not_depend_on_memory(data):
    model = MultimodalAutoencoder(
        2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0, early_stopping=False
    )
    model.fit(data)
    codes, whole = model.transform(data), ColumnStatistics.of(data["a"])
    with config_context(working_memory=SMALL_MEMORY):
        assert len(list(pieces(data["a"]))) > 100
        found = ColumnStatistics.of(data["a"])
        assert_allclose(model.transform(data), codes, rtol=1e-5, atol=1e-6)
    for name in ("count", "mean", "scale", "low", "high"):
        assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-12)


def test_partly_missing_rows_are_found_in_any_chunks(data):
    value = data["a"].copy()
    value[::3] = np.nan
    value[1::3, 0] = np.nan
    expected = Modalities({"a": value, "b": data["b"]}).missing["a"].to_numpy()
    assert expected.tolist() == np.isnan(value).all(axis=1).tolist()
    with config_context(working_memory=SMALL_MEMORY):
        found = Modalities({"a": value, "b": data["b"]}).missing["a"].to_numpy()
    assert found.tolist() == expected.tolist()
