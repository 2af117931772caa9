"""Deep estimators on data that do not lie in memory: mapped files, zarr, HDF5, dask."""

import sys
import threading

import numpy as np
import pytest
import torch

from skmm import (
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm._modalities import _stream
from skmm._nets import Batches, LazyData, TensorData, _lazy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 600
FAST = {"hidden_layer_sizes": (8,), "max_epochs": 3, "batch_size": 50, "random_state": 0}
MODELS = {
    "cca": DeepCCA(2, **FAST),
    "autoencoder": MultimodalAutoencoder(2, **FAST),
    "vae": MultimodalVAE(2, **FAST),
    "gan": ConditionalGAN(target="b", **FAST),
    "classifier": MultimodalClassifier(**FAST),
    "regressor": MultimodalRegressor(**FAST),
}


class Reader:
    """A lazy array that notes what is asked of it."""

    def __init__(self, values, rows, fail=None):
        self.values = values
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim
        self.chunks = (rows, *values.shape[1:])
        self.asked = []
        self.fail = fail

    def __getitem__(self, key):
        part = self.values[key]
        self.asked.append((key.start, len(part)))
        if self.fail is not None and len(self.asked) > self.fail[0]:
            raise self.fail[1]
        return part


def as_memmap(values, folder, rows):
    np.save(folder / "values.npy", values)
    return np.load(folder / "values.npy", mmap_mode="r")


def as_zarr(values, folder, rows):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    return zarr.create_array(folder / "values.zarr", data=values, chunks=(rows, *values.shape[1:]))


def as_h5py(values, folder, rows):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    chunks = (rows, *values.shape[1:])
    file = h5py.File(folder / "values.h5", "w")
    return file.create_dataset("values", data=values, chunks=chunks)


def as_dask(values, folder, rows):
    da = pytest.importorskip("dask.array", reason="the extra dask is not installed")
    return da.from_array(values, chunks=(rows, *values.shape[1:]))


STORES = {"memmap": as_memmap, "zarr": as_zarr, "h5py": as_h5py, "dask": as_dask}


def stored(arrays, store, folder, rows=N):
    found = {}
    for name, values in arrays.items():
        (folder / name).mkdir(exist_ok=True)
        found[name] = STORES[store](values, folder / name, rows)
    return found


def make(n=N, dtype=np.float32):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, 2))
    a = z @ rng.standard_normal((2, 6)) + 0.3 * rng.standard_normal((n, 6)) + 5.0
    b = np.tanh(z) @ rng.standard_normal((2, 4)) + 0.3 * rng.standard_normal((n, 4))
    return {"a": a.astype(dtype), "b": b.astype(dtype)}, z[:, 0]


def fitted(name, X, y, **params):
    """Return a model trained for a few epochs; rows are held out once, as of streamed ones."""
    given = {**MODELS[name].get_params(), "cv": None, **params}
    model = MODELS[name].__class__(**given)
    if name == "classifier":
        return model.fit(X, y > 0)
    return model.fit(X, y) if name == "regressor" else model.fit(X)


def weights(model):
    module = model.net_.module_
    return torch.cat([p.double().flatten() for p in module.state_dict().values()]).numpy()


@pytest.fixture
def streamed(monkeypatch):
    """Treat everything as too large to be held; a buffer holds it all."""
    monkeypatch.setattr(_stream, "HELD", 0)
    monkeypatch.setattr(_stream, "LARGE", 0)
    monkeypatch.setattr(_stream, "BLOCK", 1)


@pytest.fixture
def small_buffers(streamed, monkeypatch):
    """Buffers of 4 blocks of 50 rows of `make`; subsets of up to as many rows are held."""
    monkeypatch.setattr(_lazy, "BUFFER", 4 * 50 * 40)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", MODELS)
def test_one_chunk_trains_as_in_memory(name, store, tmp_path, streamed, monkeypatch):
    monkeypatch.setattr(_lazy, "BUFFER", N * 40 // 2)  # of two blocks at least: no subset is held
    arrays, y = make()
    # Linear CCA, which early stopping compares with, has tests of its own.
    params = {"early_stopping": False} if name == "cca" and store != "zarr" else {}
    expected = fitted(name, arrays, y, **params)
    found = fitted(name, stored(arrays, store, tmp_path), y, **params)
    np.testing.assert_allclose(weights(found), weights(expected), rtol=1e-6, atol=1e-6)
    figures = expected.history_.drop(columns="dur")
    np.testing.assert_allclose(found.history_[figures.columns], figures, rtol=1e-5, atol=1e-6)
    if name != "gan":  # whose predictions have a linear part in memory alone
        np.testing.assert_allclose(found.transform(arrays), expected.transform(arrays), atol=1e-5)


@pytest.mark.parametrize("name", ["autoencoder", "vae", "classifier"])
def test_any_chunks_learn_as_well(name, small_buffers):
    arrays, y = make(1500)
    truth = (y > 0,) if name == "classifier" else (y,) if name == "regressor" else ()
    params = {"early_stopping": False, "max_epochs": 4, "lr": 1e-2, "random_state": 2}
    expected = fitted(name, arrays, y, **params)
    scores = []
    for rows in (50, 130):
        found = fitted(name, {k: Reader(v, rows) for k, v in arrays.items()}, y, **params)
        scores.append(found.score(arrays, *truth))
    good = expected.score(arrays, *truth)
    assert min(scores) > good - 0.1 * abs(good) - 0.03


@pytest.mark.parametrize("name", MODELS)
def test_missing_rows(name, tmp_path, streamed, monkeypatch):
    monkeypatch.setattr(_lazy, "BUFFER", N * 40 // 2)
    arrays, y = make()
    arrays["b"][20:70] = np.nan
    if name != "gan":
        arrays["a"][400:420] = np.nan
    missing = np.zeros((N, 2), dtype=bool)
    missing[300:330, 1] = True
    params = {"early_stopping": False, "objective": "gcca"} if name == "cca" else {}
    expected = fitted(name, Modalities(arrays, missing=missing), y, **params)
    lazy = {k: Reader(v, N) for k, v in arrays.items()}
    found = fitted(name, Modalities(lazy, missing=missing), y, **params)
    np.testing.assert_allclose(weights(found), weights(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.float16])
def test_other_numbers(dtype, streamed, monkeypatch):
    monkeypatch.setattr(_lazy, "BUFFER", N * 80 // 2)
    arrays, y = make()
    arrays = {name: (10 * value).astype(dtype) for name, value in arrays.items()}
    found = fitted("autoencoder", {k: Reader(v, N) for k, v in arrays.items()}, y)
    np.testing.assert_allclose(weights(found), weights(fitted("autoencoder", arrays, y)), atol=1e-6)


@pytest.mark.parametrize("layout", ["F", "i2"])
def test_mapped_files_that_would_be_copied_are_streamed(layout, tmp_path, streamed):
    arrays, _ = make()
    for name, value in arrays.items():
        kept = np.asfortranarray(value) if layout == "F" else (10 * value).astype(np.int16)
        np.save(tmp_path / f"{name}.npy", kept)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}
    X = _stream.open_streams(Modalities(mapped))
    assert all(isinstance(value, _stream.Stream) for value in X.values())
    found = fitted("autoencoder", mapped, None)
    in_memory = {name: np.array(value) for name, value in mapped.items()}
    np.testing.assert_allclose(
        weights(found), weights(fitted("autoencoder", in_memory, None)), atol=1e-6
    )


def test_images_tokens_labels_and_columns(tmp_path, small_buffers):
    rng = np.random.default_rng(0)
    n = 300
    label = rng.integers(3, size=n)
    arrays = {
        "image": (label[:, None, None, None] + rng.random((n, 1, 8, 8))).astype(np.float32),
        "text": (1 + 3 * label[:, None] + rng.integers(3, size=(n, 4))).astype(np.int64),
        "label": label,
        "age": label + rng.random(n),
    }
    kinds = {"text": "tokens"}
    lazy = Modalities(stored(arrays, "zarr", tmp_path, rows=50), kinds=kinds)
    held = Modalities(arrays, kinds=kinds)
    scores = []
    for X in (lazy, held):
        model = fitted("autoencoder", X, None, max_epochs=5, lr=1e-2)
        scores.append(model.score(held))
        losses = model.history_["train_reconstruction_text"].dropna()
        assert losses.iloc[-1] < losses.iloc[0]
    assert abs(scores[0] - scores[1]) < 0.1
    codes = model.transform(lazy)
    np.testing.assert_allclose(codes, model.transform(held), atol=1e-5)


def test_small_lazy_arrays_are_simply_read(tmp_path):
    arrays, _ = make()
    readers = {name: Reader(value, 50) for name, value in arrays.items()}
    found = fitted("autoencoder", readers, None)
    assert [len(reader.asked) for reader in readers.values()] == [1, 1]
    np.testing.assert_array_equal(weights(found), weights(fitted("autoencoder", arrays, None)))


@pytest.mark.parametrize("name", MODELS)
def test_no_more_than_some_blocks_are_held(name, small_buffers):
    arrays, y = make(3000)
    readers = {k: Reader(v, 50) for k, v in arrays.items()}
    fitted(name, readers, y, max_epochs=1)
    for reader in readers.values():
        assert max(count for _, count in reader.asked) <= 50
        assert sum(count for _, count in reader.asked) > 3 * 3000


def test_rows_are_held_for_one_buffer_at_a_time(small_buffers, monkeypatch):
    arrays, _ = make(3000)
    streams = {k: _stream.Stream(k, Reader(v, 50), v.dtype) for k, v in arrays.items()}
    data = LazyData(streams)
    assert data.n_blocks == 4
    held = []
    real = LazyData._load

    def watched(self, group, blocks):
        found = real(self, group, blocks)
        held.append(len(found[1]))
        return found

    monkeypatch.setattr(LazyData, "_load", watched)
    n_rows = sum(len(target) for _, target in Batches(data, 64, shuffle=True))
    assert n_rows == 3000
    assert max(held) <= 8  # a batch may lie in two buffers


@pytest.mark.parametrize("rows", [None, np.arange(0, 3000, 3)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_row_comes_once_with_its_own_values(rows, shuffle, small_buffers):
    arrays, _ = make(3000)
    number = np.arange(3000)[:, None]
    streams = {k: _stream.Stream(k, Reader(v, 50), v.dtype) for k, v in arrays.items()}
    observed = np.random.default_rng(1).random((3000, 2)) < 0.5
    data = LazyData({**streams, "number": number}, observed)
    data = data if rows is None else data.subset(rows)
    assert isinstance(data, LazyData)
    batches = Batches(data, 64, shuffle=shuffle, seed=3)
    batches.set_epoch(2)
    parts = [batch for batch, _ in batches]
    seen = torch.cat([part["inputs"]["number"] for part in parts])[:, 0].numpy()
    for name, value in arrays.items():
        found = torch.cat([part["inputs"][name] for part in parts]).numpy()
        np.testing.assert_array_equal(found, value[seen])
    np.testing.assert_array_equal(torch.cat([p["observed"] for p in parts]), observed[seen])
    expected = np.arange(3000) if rows is None else rows
    np.testing.assert_array_equal(np.sort(seen), expected)
    assert (not shuffle) == np.array_equal(seen, expected)
    if shuffle:
        again = Batches(data, 64, shuffle=True, seed=3)
        again.set_epoch(2)
        order = [b["inputs"]["number"] for b, _ in again]
        np.testing.assert_array_equal(torch.cat(order)[:, 0], seen)
        other = torch.cat([b["inputs"]["number"] for b, _ in Batches(data, 64, True, seed=4)])
        assert not np.array_equal(other[:, 0], seen)


def test_small_subsets_are_read_once(small_buffers):
    arrays, _ = make(3000)
    streams = {k: _stream.Stream(k, Reader(v, 50), v.dtype) for k, v in arrays.items()}
    rows = np.random.default_rng(0).permutation(3000)[:100]
    data = LazyData(streams).subset(rows)
    assert type(data) is TensorData
    np.testing.assert_array_equal(data.batch(slice(None))[0]["inputs"]["a"], arrays["a"][rows])


@pytest.mark.parametrize("name", ["autoencoder", "cca"])
def test_same_seed_same_weights(name, small_buffers):
    arrays, y = make(1000)
    found = []
    for seed in (0, 0, 1):
        readers = {k: Reader(v, 50) for k, v in arrays.items()}
        model = fitted(name, readers, y, random_state=seed, early_stopping=False, max_epochs=2)
        found.append(weights(model))
    first, second, other = found
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("spoil", "name", "message"),
    [
        (np.inf, "autoencoder", "Input modality 'b' contains infinity"),
        (np.nan, "cca", "Input modality 'b' contains NaN in 1 rows that are not NaN throughout"),
    ],
)
def test_bad_values_are_refused_as_in_memory(spoil, name, message, small_buffers):
    arrays, y = make()
    arrays["b"][577, 1] = spoil
    messages = []
    for X in (arrays, {k: Reader(v, 50) for k, v in arrays.items()}):
        with pytest.raises(ValueError, match=message) as caught:
            fitted(name, X, y)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_kinds_are_checked_when_rows_are_read(small_buffers):
    arrays, _ = make()
    lazy = {k: Reader(v, 50) for k, v in arrays.items()}
    X = Modalities(lazy, kinds={"a": "count"})
    with pytest.raises(ValueError, match="Modality 'a' cannot be of kind 'count'"):
        MODELS["autoencoder"].fit(X)


def test_everything_missing(small_buffers):
    arrays, _ = make()
    for value in arrays.values():
        value[77] = np.nan
    with pytest.raises(ValueError, match=r"Every modality of \['a', 'b'\] is missing"):
        fitted("autoencoder", {k: Reader(v, 50) for k, v in arrays.items()}, None)


@pytest.mark.parametrize("name", ["autoencoder", "classifier"])
def test_an_error_of_the_reader_leaves_no_thread_and_the_estimator(name, small_buffers):
    arrays, y = make(3000)
    before = threading.active_count()
    model = fitted(name, arrays, y)
    known = weights(model)
    failing = {k: Reader(v, 50, fail=(400, OSError("the disk is gone"))) for k, v in arrays.items()}
    target = (y > 0,) if name == "classifier" else ()
    with pytest.raises(OSError, match="the disk is gone"):
        model.set_params(max_epochs=30).fit(failing, *target)
    np.testing.assert_array_equal(weights(model), known)
    assert _threads(before)


def test_an_interrupt_while_rows_are_read(small_buffers):
    arrays, y = make(3000)

    class Once(Reader):
        def __getitem__(self, key):
            part = super().__getitem__(key)
            if len(self.asked) == 700:
                raise KeyboardInterrupt
            return part

    before = threading.active_count()
    model = MODELS["regressor"].__class__(**{**FAST, "max_epochs": 50})
    with pytest.raises(KeyboardInterrupt):
        model.fit({k: Once(v, 50) for k, v in arrays.items()}, y)
    assert 0 < len(model.history_) < 50
    assert model.predict(arrays).shape == (3000,)
    assert _threads(before)


def test_batches_that_are_left_end_the_thread(small_buffers):
    arrays, _ = make(3000)
    streams = {k: _stream.Stream(k, Reader(v, 50), v.dtype) for k, v in arrays.items()}
    before = threading.active_count()
    batches = iter(Batches(LazyData(streams), 64, shuffle=True))
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_codes_and_predictions_are_read_in_blocks(small_buffers):
    arrays, y = make(1000)
    model = fitted("regressor", arrays, y)
    readers = {k: Reader(v, 50) for k, v in arrays.items()}
    np.testing.assert_allclose(model.predict(readers), model.predict(arrays), atol=1e-5)
    assert max(count for r in readers.values() for _, count in r.asked) <= 50
    vae = fitted("vae", arrays, y)
    np.testing.assert_allclose(
        vae.score_samples(readers), vae.score_samples(arrays), rtol=1e-4, atol=1e-3
    )
    each, expected = vae.transform_each(readers), vae.transform_each(arrays)
    np.testing.assert_allclose(each["a"], expected["a"], atol=1e-5)
    with pytest.raises(TypeError, match="have to be read whole here"):
        vae.impute(readers)
    with pytest.raises(TypeError, match="would have to read whole"):
        MODELS["vae"].fit(readers["a"])


@pytest.mark.parametrize("start", [True, False])
def test_checkpoints_know_the_data(start, small_buffers, tmp_path):
    arrays, _ = make(1000)
    options = {"checkpoint_dir": tmp_path, "early_stopping": False}
    for change in (0, 0, 1):
        changed = {k: v + change for k, v in arrays.items()}
        fitted("autoencoder", {k: Reader(v, 50) for k, v in changed.items()}, None, **options)
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_linear_start_by_moments_is_that_in_memory(streamed, monkeypatch):
    from skmm._deep._split import Split
    from skmm._deep_cca import _linear

    rng = np.random.default_rng(2)
    z = rng.standard_normal((2000, 2))
    arrays = {
        name: z @ rng.standard_normal((2, 5)) + rng.standard_normal((2000, 5)) for name in "ab"
    }
    arrays["a"][:60] = np.nan
    X = Modalities(arrays)
    split = Split(np.arange(0, 1500), np.arange(1500, 2000))
    # Read once, for their moments: the complete rows.
    complete = X[60:]
    kept = Split(np.arange(0, 1440), np.arange(1440, 1940))
    expected = _linear.tuned_linear(complete, 2, [kept], 0)
    lazy = Modalities._make(
        {k: _stream.Stream(k, Reader(v, 50), v.dtype) for k, v in arrays.items()},
        X._kinds, X._mask, X._ids,
    )  # fmt: skip
    found = _linear.tuned_linear(lazy, 2, [split], 0)
    assert found.shrinkage == expected.shrinkage
    for name in "ab":
        weights = (linear.each[0].weights_[name] for linear in (found, expected))
        np.testing.assert_allclose(*weights, atol=1e-8)
    codes = _linear.project(_linear.refit(found, lazy), lazy)
    known = _linear.project(_linear.refit(expected, complete), X)
    for name in "ab":
        np.testing.assert_allclose(codes[name], known[name], atol=1e-8)
    nothing = lazy.with_missing(["b"], np.arange(60, 2000))
    assert _linear.tuned_linear(nothing, 2, [split], 0) is None
    assert _linear.refit(found, nothing) is found.each[0]


def _threads(before):
    """Whether no more threads are alive than before, once errors are forgotten."""
    sys.last_value = None
    for thread in threading.enumerate():
        if thread.name == "skmm-read-ahead":
            thread.join(5)
    return threading.active_count() <= before
