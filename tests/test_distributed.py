"""Training in two processes is training in one: the same batches, terms, weights and codes."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skmm import (
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm._nets import Checkpoint
from skmm._nets._data import Batches, TensorData
from skmm._nets._distributed import Share, check_sizes
from skmm.nn import MLP, Conv, Tokens, ey_loss
from skmm.nn._processes import Processes

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N_ROWS = 75  # of which 67 are trained on: batches of 33 are shared as 16 and 17
TIMEOUT = 200  # seconds, after which processes that wait for each other are ended
COMMON = {
    "hidden_layer_sizes": (6,),
    "batch_size": 33,
    "max_epochs": 2,
    "lr": 1e-2,
    "early_stopping": False,
    "random_state": 0,
    "precision": "float64",
}


def modalities(*, missing=False, target=None):
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((N_ROWS, 2))
    values = {
        name: shared @ rng.standard_normal((2, width)) + rng.standard_normal((N_ROWS, width))
        for name, width in (("a", 4), ("b", 3), ("c", 2))
    }
    lacks = np.zeros((N_ROWS, 3), dtype=bool)
    if missing:
        lacks[np.arange(N_ROWS), rng.integers(0, 4, N_ROWS).clip(1) - 1] = rng.random(N_ROWS) < 0.5
        lacks[:, 2] |= rng.random(N_ROWS) < (0.95 if missing == "rare" else 0.3)
        first = 0 if target is None else 1
        lacks[:, :first] = False
        lacks[lacks[:, first:].all(axis=1), first] = False
    return Modalities(values, missing=lacks)


def pictures_and_words():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, N_ROWS)
    images = labels[:, None, None, None] + rng.standard_normal((N_ROWS, 1, 6, 6))
    words = rng.integers(1, 9, (N_ROWS, 5))
    X = Modalities({"image": images, "text": words}, kinds={"text": "tokens"})
    return X.with_missing(["text"], rng.random(N_ROWS) < 0.5), labels


def labels_of(X):
    return (np.asarray(X["a"])[:, 0] > 0).astype(int)


def deep_cca(device, *, missing=False, names=("a", "b", "c"), **params):
    X = modalities(missing=missing).select(list(names))
    model = DeepCCA(2, device=device, **COMMON | params).fit(X)
    return outcome(model, *model.transform_each(X).values())


def autoencoder(device, *, missing=False, **params):
    X = modalities(missing=missing)
    model = MultimodalAutoencoder(2, device=device, **COMMON | params).fit(X)
    return outcome(model, model.transform(X), model.sample(3, random_state=0).to_frame())


def vae(device, *, missing=False, **params):
    X = modalities(missing=missing)
    model = MultimodalVAE(2, device=device, **COMMON | params).fit(X)
    return outcome(model, model.transform(X), model.score_samples(X))


def gan(device, *, missing=False, **params):
    X = modalities(missing=missing, target="a")
    if missing:
        params = {"modality_dropout": 0.2, **params}
    model = ConditionalGAN(target="a", device=device, **COMMON | params).fit(X)
    return outcome(model, model.predict(X))


def classifier(device, *, missing=False, **params):
    X = modalities(missing=missing)
    model = MultimodalClassifier(device=device, **COMMON | params).fit(X, labels_of(X))
    return outcome(model, model.transform(X), model.predict_proba(X))


def regressor(device):
    X = modalities()
    model = MultimodalRegressor(fusion="attention", device=device, **COMMON)
    model.fit(X, np.asarray(X["a"])[:, :2], sample_weight=np.arange(N_ROWS) % 3)
    return outcome(model, model.predict(X))


def images(device):
    X, labels = pictures_and_words()
    encoders = {
        "image": Conv(channels=(3,), normalization="batch"),
        "text": Tokens(9, kind="attention", hidden_size=8, dropout=0.2),
    }
    model = MultimodalClassifier(device=device, encoders=encoders, **COMMON).fit(X, labels)
    return outcome(model, model.transform(X))


def outcome(model, *arrays):
    """Return what two fits are compared by: results, history, weights."""
    history = model.history_.drop(columns="dur").to_numpy(dtype=float)
    weights = [w.detach().double().flatten() for w in model.net_.module_.state_dict().values()]
    parts = {f"result {i}": np.asarray(array, dtype=float) for i, array in enumerate(arrays)}
    return {**parts, "history": history, "weights": torch.cat(weights).numpy()}


# Per name what is called with the device.
CASES = {
    "cca": (deep_cca, {"objective": "cca", "names": "ab"}),
    "cca, batch": (deep_cca, {"objective": "cca", "names": "ab", "normalization": "batch"}),
    "cca, no normalization": (deep_cca, {"names": "ab", "normalization": None, "dropout": 0.0}),
    "cca, single": (deep_cca, {"names": "ab", "precision": "float32"}),
    "cca, chosen": (deep_cca, {"names": "ab", "early_stopping": True, "validation_fraction": 0.3}),
    "gcca": (deep_cca, {"objective": "gcca", "missing": True}),
    "ey": (deep_cca, {"objective": "ey", "missing": True, "normalization": "batch"}),
    "ey, single": (deep_cca, {"objective": "ey", "precision": "float32", "missing": True}),
    "infonce": (deep_cca, {"objective": "infonce", "missing": True}),
    "infonce, complete": (deep_cca, {"objective": "infonce", "normalization": None}),
    "barlow_twins": (deep_cca, {"objective": "barlow_twins", "missing": True}),
    "vicreg": (deep_cca, {"objective": "vicreg", "missing": True}),
    "decoders": (
        deep_cca,
        {"objective": "gcca", "missing": True, "reconstruction_weight": 1.0}
        | {"shared_layer_sizes": (5,), "normalization": "batch"},
    ),
    "autoencoder": (autoencoder, {"alignment_weight": 1.0, "noise": 0.3, "dropout": 0.2}),
    "autoencoder, missing": (
        autoencoder,
        {"alignment_weight": 1.0, "missing": True, "normalization": "batch", "optimizer": "sgd"},
    ),
    "vae": (vae, {"posterior": "poe", "early_stopping": True, "lr": 3e-2}),
    "vae, missing": (vae, {"posterior": "poe", "missing": True, "normalization": "batch"}),
    "vae, single": (vae, {"posterior": "mopoe", "missing": True, "precision": "float32"}),
    # So rare that the share of a process may have none, which the other has.
    "vae, rare": (vae, {"posterior": "mvtcae", "missing": "rare", "dropout": 0.2}),
    "gan, rare": (gan, {"missing": "rare", "encoders": {"c": MLP((4,), dropout=0.2)}}),
    "vae, joint": (vae, {"posterior": "joint", "missing": True, "free_bits": 0.1}),
    "gan": (gan, {"loss": "energy", "early_stopping": True}),
    "gan, missing": (gan, {"loss": "energy", "missing": True, "normalization": "batch"}),
    "relativistic": (gan, {"loss": "relativistic", "n_critic": 2, "missing": True}),
    "wasserstein": (gan, {"loss": "wasserstein", "encoders": {"b": MLP((4,))}}),
    "hinge": (gan, {"loss": "hinge", "normalization": "batch"}),
    "classifier": (classifier, {"missing": True, "dropout": 0.2}),
    "classifier, single": (classifier, {"missing": True, "precision": "float32"}),
    "classifier, late": (classifier, {"fusion": "late", "missing": True, "compile": False}),
    "classifier, chosen": (classifier, {"early_stopping": True, "normalization": "batch"}),
    "regressor": (regressor, {}),
    "images and tokens": (images, {}),
}


def ey_of_own_rows(codes, observed=None):
    """Take the mean over processes of what each sees in its own rows: not what is meant."""
    half = len(codes[0]) // 2
    rows = slice(None, half) if torch.distributed.get_rank() == 0 else slice(half, None)
    return {name: term / 2 for name, term in ey_loss([z[rows] for z in codes]).items()}


def unequal_dropout(device):
    """Here masks fall on other rows than in one process; both must have the same weights."""
    return vae(device, dropout=0.2)


def without_seed(device):
    return autoencoder(device, random_state=None)


def own_rows(device):
    return deep_cca(device, objective=ey_of_own_rows, names="ab")


def killed_and_resumed(device):
    """Stop after the first epoch, by an error in all processes, and go on from the checkpoint."""
    X = modalities()
    folder = Path(os.environ["FOLDER"])
    model = MultimodalAutoencoder(2, device=device, checkpoint_dir=folder, **COMMON)
    try:
        model.set_params(callbacks=[Failure()]).fit(X)
    except RuntimeError:
        model.set_params(callbacks=None, warm_start=True, verbose=1).fit(X)
    writers = [cb for _, cb in model.net_.callbacks_ if isinstance(cb, Checkpoint)]
    return {**outcome(model, model.transform(X)), "writers": np.array(len(writers))}


class Failure(Callback):
    """Fails after the first epoch, when that is in the checkpoint."""

    def on_epoch_begin(self, net, **kwargs):
        if net.history[-1]["epoch"] == 2:
            torch.distributed.barrier()
            raise RuntimeError


def message(device, **params):
    try:
        MultimodalAutoencoder(2, device=device, **COMMON | params).fit(modalities())
    except ValueError as error:
        return {"message": np.array(str(error))}
    return {"message": np.array("no error")}


def other_seeds(device):
    return message(device, random_state=int(os.environ["RANK"]))


def small_batches(device):
    return message(device, batch_size=1)


def divergence(device):
    return message(device, lr=1e30, optimizer="sgd", normalization=None)


def kept(device):
    """Leave a fitted model behind."""
    X = modalities()
    model = DeepCCA(2, objective="gcca", device=device, **COMMON).fit(X)
    path = Path(os.environ["FOLDER"]) / f"model {os.environ['RANK']}.pickle"
    path.write_bytes(pickle.dumps(model))
    return outcome(model, model.transform(X))


# The cases of the other tests; `make slow` has the rest.
BRIEFLY = {"cca, batch", "ey", "autoencoder, missing", "vae, missing", "gan, missing"}
BRIEFLY |= {"relativistic", "classifier", "images and tokens"}
per_case = pytest.mark.parametrize(
    "name",
    [name if name in BRIEFLY else pytest.param(name, marks=pytest.mark.slow) for name in CASES],
)

OTHERS = [unequal_dropout, without_seed, own_rows, killed_and_resumed]
OTHERS += [other_seeds, small_batches, divergence, kept]


def main(names):
    """Do these cases and all others as one of two processes."""
    calls = {name: CASES[name] for name in names}
    calls |= {function.__name__: (function, {}) for function in OTHERS}
    for name, (function, params) in calls.items():
        path = Path(os.environ["FOLDER"]) / f"{name} {os.environ['RANK']}.npz"
        np.savez(path, **function("accelerate", **params))


@pytest.fixture(scope="module")
def found(request, tmp_path_factory):
    """Return what each of two processes found, and what they printed, in a folder."""
    selected = {item.callspec.params.get("name") for item in request.session.items
                if item.path == request.path and hasattr(item, "callspec")}  # fmt: skip
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"FOLDER": str(folder), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    shared |= {"ACCELERATE_USE_CPU": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    started = []
    for rank in "01":
        environment = {**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank}
        with open(folder / f"log {rank}", "w", encoding="utf-8") as log:
            command = [sys.executable, "-W", "ignore", __file__, *sorted(selected & CASES.keys())]
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    try:
        codes = [process.wait(TIMEOUT) for process in started]
    finally:
        for process in started:
            process.kill()
    logs = [(folder / f"log {rank}").read_text(encoding="utf-8") for rank in "01"]
    assert codes == [0, 0], "".join(logs)
    return folder


def of(folder, name, rank):
    with np.load(folder / f"{name} {rank}.npz") as arrays:
        return dict(arrays)


@per_case
def test_two_processes_find_what_one_finds(found, name):
    function, params = CASES[name]
    one, two = function("cpu", **params), of(found, name, 0)
    tolerance = 1e-4 if params.get("precision") == "float32" else 1e-9
    for key in set(one) - {"weights"}:  # of which the objective leaves some undetermined
        np.testing.assert_allclose(two[key], one[key], rtol=0, atol=tolerance, err_msg=key)


@per_case
def test_processes_end_with_the_same_weights(found, name):
    _assert_the_same_weights(found, name)


@pytest.mark.parametrize("name", ["unequal_dropout", "without_seed", "killed_and_resumed"])
def test_processes_end_with_the_same_weights_if_they_differ_from_one(found, name):
    _assert_the_same_weights(found, name)


def _assert_the_same_weights(found, name):
    first, second = of(found, name, 0), of(found, name, 1)
    assert np.isfinite(first["weights"]).all()
    for key in set(first) - {"writers"}:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_the_loss_of_each_share_is_another(found):
    whole = deep_cca("cpu", objective="ey", names="ab", reg_covar=0.0)
    assert np.abs(of(found, "own_rows", 0)["result 0"] - whole["result 0"]).max() > 1e-2


def test_one_process_writes_and_all_go_on(found):
    one = autoencoder("cpu")
    for rank, n_writers in ((0, 1), (1, 0)):
        two = of(found, "killed_and_resumed", rank)
        assert two["writers"] == n_writers
        np.testing.assert_allclose(two["result 0"], one["result 0"], rtol=0, atol=1e-9)
        log = (found / f"log {rank}").read_text(encoding="utf-8")
        assert ("epoch/s" in log or "s/epoch" in log) == (rank == 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "other_seeds",
            "differ in their seed, weights or data: each has to call fit with the same",
        ),
        ("small_batches", "A batch of 1 rows cannot be shared by 2 processes"),
        ("divergence", "became NaN or infinite"),
    ],
)
def test_errors_reach_all_processes(found, name, words):
    for rank in (0, 1):
        assert words in str(of(found, name, rank)["message"])


@pytest.mark.parametrize("rank", [0, 1])
def test_models_load_without_processes(found, rank, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    model = pickle.loads((found / f"model {rank}.pickle").read_bytes())
    codes = of(found, "kept", rank)["result 0"]
    np.testing.assert_allclose(model.transform(modalities()), codes, rtol=0, atol=1e-12)


def test_one_process_needs_no_launcher():
    pytest.importorskip("accelerate")
    one, other = (deep_cca(device, objective="gcca") for device in ("auto", "accelerate"))
    for key, value in one.items():
        np.testing.assert_array_equal(other[key], value, err_msg=key)


def test_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r'pip install "skmm\[distributed\]"'):
        autoencoder("accelerate")


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n_processes", [2, 3, 5])
def test_shares_are_the_batch(shuffle, n_processes):
    data = TensorData({"x": np.arange(47.0)[:, None]}, np.arange(94).reshape(-1, 2) % 3 > 0)
    shares = [Share(data, Processes(i, n_processes)) for i in range(n_processes)]
    batches = [list(Batches(part, 9, shuffle, seed=1)) for part in (data, *shares)]
    for (whole, _), *parts in zip(*batches, strict=True):
        sizes = [len(part["inputs"]["x"]) for part, _ in parts]
        assert max(sizes) - min(sizes) <= 1
        x = torch.cat([part["inputs"]["x"] for part, _ in parts])
        assert torch.equal(x, whole["inputs"]["x"])
        observed = torch.cat([part["observed"] for part, _ in parts])
        assert torch.equal(observed, whole["observed"])


@pytest.mark.parametrize(("n_samples", "drop_last", "smallest"), [(10, True, 4), (10, False, 2)])
def test_batches_need_a_row_for_each_process(n_samples, drop_last, smallest):
    check_sizes(Processes(0, smallest), n_samples, 4, drop_last)
    with pytest.raises(ValueError, match=f"A batch of {smallest} rows"):
        check_sizes(Processes(0, smallest + 1), n_samples, 4, drop_last)


if __name__ == "__main__":
    main(sys.argv[1:])
