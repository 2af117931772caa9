"""CCA of data that do not lie in memory: mapped files, lazy arrays, iterators of chunks, dask."""

import numpy as np
import pytest

from skmm import CCA, Modalities, MultimodalAutoencoder
from skmm._cca import _array_api, _pieces

dask = pytest.importorskip("dask", reason="the extra dask is not installed")
da = pytest.importorskip("dask.array")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(_array_api, "LARGE", 0)
    monkeypatch.setattr(_pieces, "PIECE", 2**12)


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((3000, 3))
    mix = rng.standard_normal((3, 9))
    values = shared @ mix + rng.standard_normal((3000, 9)) + 40.0
    return {"a": values[:, :5], "b": values[:, 5:]}


@pytest.fixture
def mapped(arrays, tmp_path):
    """Return the arrays as read-only files."""
    for name, value in arrays.items():
        np.save(tmp_path / f"{name}.npy", value)
    return {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}


def _lazy(arrays, rows=(700, 900)):
    """Return dask arrays whose chunks do not match."""
    chunks = zip(arrays, rows, strict=True)
    return {name: da.from_array(arrays[name], chunks=(n, 2)) for name, n in chunks}


def _assert_same(found, expected, tol=1e-8):
    np.testing.assert_allclose(
        found.canonical_correlations_, expected.canonical_correlations_, atol=tol
    )
    for name in expected.weights_:
        np.testing.assert_allclose(found.weights_[name], expected.weights_[name], atol=tol)
        np.testing.assert_allclose(found.means_[name], expected.means_[name], atol=tol)


def test_mapped_files_are_read_in_pieces(arrays, mapped, monkeypatch):
    read = []
    real = _pieces._rows
    monkeypatch.setattr(
        _pieces, "_rows", lambda X, y, w, rows: read.append(rows) or real(X, y, w, rows)
    )
    _assert_same(CCA(2).fit(mapped), CCA(2).fit(arrays))
    stops = [rows.stop for rows in read[1:]]
    assert len(stops) > 4
    assert stops[-1] == 3000
    assert max(np.diff(stops)) < 3000


def test_small_files_are_read_at_once(arrays, mapped, monkeypatch):
    monkeypatch.setattr(_array_api, "LARGE", 2**28)
    assert not _array_api.in_pieces(mapped)
    assert not _array_api.in_pieces(arrays)


def test_modalities_of_mapped_files(mapped, arrays):
    X = Modalities(mapped)
    assert _array_api.in_pieces(X)
    _assert_same(CCA(2).fit(X[100:]), CCA(2).fit(Modalities(arrays)[100:]))


def test_columns_of_one_file(arrays, tmp_path):
    whole = np.hstack(list(arrays.values()))
    np.save(tmp_path / "whole.npy", whole)
    file = np.load(tmp_path / "whole.npy", mmap_mode="r")
    columns = {"a": slice(0, 5), "b": slice(5, 9)}
    _assert_same(CCA(2, modalities=columns).fit(file), CCA(2).fit(arrays))
    _assert_same(CCA(2).fit(file[:, :5], file[:, 5:]), CCA(2).fit(whole[:, :5], whole[:, 5:]))


def test_float32_is_summed_in_float64(arrays, tmp_path):
    singles = {name: value.astype(np.float32) for name, value in arrays.items()}
    for name, value in singles.items():
        np.save(tmp_path / f"{name}.npy", value)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in singles}
    exact = {name: value.astype(np.float64) for name, value in singles.items()}
    _assert_same(CCA(2).fit(mapped), CCA(2).fit(exact))


def test_weights(arrays, mapped):
    weight = np.random.default_rng(1).integers(0, 3, 3000)
    expected = CCA(2, solver="covariance").fit(arrays, sample_weight=weight)
    _assert_same(CCA(2).fit(_lazy(arrays), sample_weight=weight), expected)
    _assert_same(CCA(2).fit(mapped, sample_weight=weight), expected)


@pytest.mark.parametrize("where", [np.s_[50:90], np.s_[2500:2600, 1]], ids=["rows", "entries"])
def test_gaps_are_refused(arrays, tmp_path, where):
    values = {name: value.copy() for name, value in arrays.items()}
    values["b"][where] = np.nan
    np.save(tmp_path / "b.npy", values["b"])
    mapped = {"a": arrays["a"], "b": np.load(tmp_path / "b.npy", mmap_mode="r")}
    chunks = ({n: v[i : i + 500] for n, v in values.items()} for i in range(0, 3000, 500))
    for fit, X in ((CCA(2).fit, mapped), (CCA(2).fit, _lazy(values)),
                   (CCA(2).partial_fit, chunks), (CCA(2).partial_fit, values)):  # fmt: skip
        with pytest.raises(ValueError, match="need complete rows"):
            fit(X)
    CCA(2).fit(values)


@pytest.mark.parametrize("named", [True, False])
def test_dask_arrays(arrays, named):
    lazy = _lazy(arrays)
    if named:
        X = Modalities(lazy)
        assert X.shape == (3000, 2)
        assert "float64" in repr(X)
        found = CCA(2).fit(X)
    else:
        found = CCA(2).fit(lazy)
    _assert_same(found, CCA(2).fit(arrays))
    np.testing.assert_allclose(found.transform(arrays), CCA(2).fit_transform(arrays), atol=1e-7)


def test_dask_in_the_other_forms(arrays):
    lazy = _lazy(arrays)
    whole = da.hstack(list(lazy.values()))
    columns = {"a": slice(0, 5), "b": slice(5, 9)}
    _assert_same(CCA(2, modalities=columns).fit(whole), CCA(2).fit(arrays))
    _assert_same(CCA(2).fit(lazy["a"], lazy["b"]), CCA(2).fit(arrays["a"], arrays["b"]))


def test_dask_declares_what_is_missing(arrays):
    missing = np.zeros((3000, 2), dtype=bool)
    missing[100:300, 1] = True
    with pytest.raises(ValueError, match="need complete rows"):
        CCA(2).fit(Modalities(_lazy(arrays), missing=missing))


def test_no_chunk_is_held_longer_than_it_is_read(arrays):
    sizes = []

    def watched(block):
        sizes.append(len(block))
        return block

    lazy = {
        name: value.map_blocks(watched, meta=np.empty((0, 0)))
        for name, value in _lazy(arrays).items()
    }
    CCA(2).fit(lazy)
    assert max(sizes) <= 1000


def test_iterators_of_chunks(arrays):
    chunks = (
        {name: value[i : i + 400] for name, value in arrays.items()} for i in range(0, 3000, 400)
    )
    _assert_same(CCA(2).partial_fit(chunks), CCA(2).fit(arrays))
    pairs = ((arrays["a"][i : i + 400], arrays["b"][i : i + 400]) for i in range(0, 3000, 400))
    _assert_same(CCA(2).partial_fit(pairs), CCA(2).fit(arrays["a"], arrays["b"]))
    with pytest.raises(ValueError, match="has no chunks"):
        CCA(2).partial_fit(iter([]))


def test_what_needs_all_rows_at_once_is_refused(arrays):
    lazy = _lazy(arrays)
    for model in (CCA(2, solver="svd"), CCA("auto")):
        with pytest.raises(ValueError, match="read once, for their moments"):
            model.fit(lazy)
    with pytest.raises(ValueError, match="shrinkage='auto' needs all rows"):
        CCA(2, shrinkage="auto").fit(lazy)


def test_lazy_data_are_not_read_in_secret(arrays):
    lazy = _lazy(arrays)
    cca = CCA(2).fit(arrays)
    with pytest.raises(TypeError, match="Modality 'a' is a Array, which CCA would have to read"):
        cca.transform(lazy)
    with pytest.raises(TypeError, match="would have to read whole"):
        MultimodalAutoencoder(2).fit(lazy["a"])


def test_bad_pieces_say_what_is_wrong(arrays):
    spoilt = {name: value.copy() for name, value in arrays.items()}
    spoilt["b"][2900, 0] = np.inf
    with pytest.raises(ValueError, match="'b'"):
        CCA(2).fit(_lazy(spoilt))
    short = {**_lazy(arrays), "b": da.from_array(arrays["b"][:2999])}
    with pytest.raises(ValueError, match="Different numbers of rows"):
        CCA(2).fit(short)
