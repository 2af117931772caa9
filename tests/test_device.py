"""Where data and networks lie, what a fitted network keeps, and what is the same on any device.

Without a device: `test_simulated_cuda.py` has one.
"""

import ast
import copy
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from contract_cases import CASES, arrays, complete, fitted
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, EarlyStopping
from torch import nn
from torch.utils.data import DataLoader

import skmm
from skmm import (
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
)
from skmm._nets import Net, TensorData, _data
from skmm._nets._device import canonical, resolve, usable
from skmm.benchmark import _isolated
from skmm.datasets import load_digits_halves
from skmm.nn import Tokens

DEEP = [case for case in CASES if hasattr(case.default, "device")]
per_deep = pytest.mark.parametrize("case", DEEP, ids=lambda case: case.name)
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* ha(s|ve) collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:.* validation rows are too few:UserWarning",
)
SOURCES = sorted(Path(skmm.__file__).parent.rglob("*.py"))
WORDS = {"auto", "accelerate"}  # that `device=` takes beside names of devices
BRIEF = {"hidden_layer_sizes": (8,), "max_epochs": 2, "early_stopping": False, "random_state": 0}


# Names of devices


def _is_device(node):
    """Whether an expression is a device, or the text of one."""
    while isinstance(node, ast.Call) and node.args and not isinstance(node.func, ast.Attribute):
        node = node.args[0]  # str(device)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("torch.device", "device_of")
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "device" or name.endswith("_device")


def _compared_devices(text):
    """Return the comparisons of devices in a module: one device has several names."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        words = [side.value for side in sides if isinstance(side, ast.Constant)]
        equal = any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops)
        if equal and any(map(_is_device, sides)) and not (words and set(words) <= WORDS):
            found.append(ast.unparse(node))
    return found


def test_devices_are_not_compared():
    found = {str(path): _compared_devices(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: compared for path, compared in found.items() if compared} == {}


@pytest.mark.parametrize(
    "text",
    [
        "value.device == self.device",
        "x.device != device",
        "device == 'cuda'",
        "str(x.device) == 'cuda:0'",
        "self.device in ('cpu', 'cuda')",
        "torch.device(name) == torch.device('cuda')",
        "net_device == a",
    ],
)
def test_the_reader_of_comparisons_sees_them(text):
    assert _compared_devices(text) == [text]


@pytest.mark.parametrize("text", ["device == 'auto'", "a.device.type == 'cpu'", "n_devices == 2"])
def test_the_reader_of_comparisons_lets_others_be(text):
    assert not _compared_devices(text)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu"), torch.device("cpu", 0)])
def test_names_of_the_processor(device):
    for found in (
        canonical(device),
        resolve(device),
        usable(device),
        TensorData(arrays(), device=device).device,
    ):
        assert (found.type, found.index) == ("cpu", None)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:5", "mps", torch.device("cuda", 1)])
def test_a_device_of_a_file_that_is_not_here_becomes_the_processor(device):
    assert str(usable(device)) == "cpu"


@per_deep
def test_accelerate_alone_is_a_device_like_others(case):
    pytest.importorskip("accelerate")
    found, expected = (
        fitted(case.small, complete(), device=device) for device in ("accelerate", "cpu")
    )
    assert str(found.net_.device) == "cpu"
    for a, b in zip(_weights(found), _weights(expected), strict=True):
        assert_array_equal(a, b)


def _weights(model):
    return [value.numpy() for value in model.net_.module_.state_dict().values()]


# What a fitted network keeps


WIDE = {"hidden_layer_sizes": (200, 200), "max_epochs": 2}


def _n_bytes(tensors):
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


@pytest.mark.parametrize("stopping", [False, True])
@per_deep
def test_a_file_has_the_weights_once(case, stopping):
    params = {"early_stopping": stopping, "cv": None, "validation_fraction": 0.4}
    model = fitted(case.small, complete(), **WIDE, **params)
    weights = _n_bytes(model.net_.module_.state_dict().values())
    assert len(pickle.dumps(model)) < weights + 60_000  # data, names and parameters


@pytest.mark.parametrize("stopping", [False, True])
@per_deep
def test_what_only_training_needs_goes(case, stopping):
    params = {"early_stopping": stopping, "cv": None, "validation_fraction": 0.4}
    net = fitted(case.small, complete(), **WIDE, **params).net_
    assert net.module is net.module_
    assert all(p.grad is None for p in net.module_.parameters())
    own = {id(p) for p in net.module_.parameters()}
    for name in net._optimizers:
        optimizer = getattr(net, f"{name}_")
        assert not optimizer.state
        assert {id(p) for group in optimizer.param_groups for p in group["params"]} <= own
    best = dict(net.callbacks_).get("best")
    assert (best is not None) == stopping
    if stopping:
        assert best.best_["weights"] == {}
        assert best.best_["epoch"] is not None


def test_the_callback_of_skorch_keeps_no_weights():
    stop = EarlyStopping(monitor="train_loss", load_best=True)
    model = MultimodalAutoencoder(2, **BRIEF, callbacks=[stop]).fit(complete())
    assert dict(model.net_.callbacks_)["EarlyStopping"].best_model_weights_ is None


def test_a_linear_solution_is_all_that_is_kept():
    X = load_digits_halves().data[:300]
    model = DeepCCA(2, hidden_layer_sizes=(64,), max_epochs=1, random_state=0).fit(X)
    assert model.linear_share_ == 1
    net, codes = model.net_, model.transform(X)
    assert net.module is net.module_
    assert len(pickle.dumps(model)) < 40_000
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again.net_.module is again.net_.module_
        assert_array_equal(again.transform(X), codes)


@per_deep
def test_training_goes_on_from_the_weights_alone(case):
    """A warm start needs the weights only: what a pickle says goes on as the original does."""
    model = fitted(case.small, complete(), warm_start=True)
    loaded = pickle.loads(pickle.dumps(model))
    before = _weights(model)
    for one in (model, loaded):
        one.fit(complete())
    for a, b in zip(_weights(model), _weights(loaded), strict=True):
        assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(before, _weights(model), strict=True))


def test_a_net_trains_on_after_it_forgot():
    X, valid = complete(), complete(seed=1)
    module = MultimodalAutoencoder(2, **{**BRIEF, "early_stopping": True, "cv": None}).fit(X).net_
    scores = [row["valid_score"] for row in module.history]
    module.set_params(train_split=lambda data: (data, TensorData(dict(valid.items()))))
    module.partial_fit(TensorData(dict(X.items())), epochs=2)
    assert len(module.history) == len(scores) + 2


# Names of checkpoints


def _name(values, folder):
    """Return the name of the checkpoint of a fit."""
    MultimodalAutoencoder(2, **BRIEF, checkpoint_dir=folder).fit(values)
    (file,) = folder.iterdir()
    file.rename(folder.parent / file.name)
    return file.name


def test_the_name_of_a_checkpoint_is_that_of_the_data(tmp_path, monkeypatch):
    values, folder = arrays(), tmp_path / "states"
    expected = _name(values, folder)
    np.save(tmp_path / "image.npy", values["image"])
    same = {
        "columns": {**values, "text": np.asfortranarray(values["text"])},
        "bytes": {**values, "text": values["text"].astype(">f8")},
        "mapped": {**values, "image": np.load(tmp_path / "image.npy", mmap_mode="r")},
        "view": {**values, "image": np.repeat(values["image"], 2, axis=0)[::2]},
    }
    for name, given in same.items():
        assert _name(given, folder) == expected, name
    other = {**values, "text": values["text"] * (1 + 1e-12)}
    assert _name(other, folder) != expected  # what single precision would not tell apart

    def placed(array, device, dtype):  # as on a device with room: in the precision of training
        return torch.tensor(np.asarray(array), dtype=dtype)

    monkeypatch.setattr(_data, "_place", placed)
    assert _name(values, folder) == expected


# Memory


@pytest.mark.parametrize(("n_bytes", "fits"), [(60, True), (68, False)])
def test_what_torch_keeps_for_later_is_free(monkeypatch, n_bytes, fits):
    """Half of 100 bytes that CUDA calls free and of 50 - 20 that torch holds unused."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    data = {"a": np.zeros(n_bytes // 4)}  # of which float32 takes as many bytes
    assert _data._fits(data, torch.device("cuda:0"), torch.float32) is fits


def test_the_start_of_cuda_is_no_memory_of_a_method(monkeypatch):
    calls = []

    class Cuda:
        def reset_peak_memory_stats(self):
            calls.append("CUDA starts")

        def max_memory_allocated(self):
            return 0

    def restart():
        calls.append("peak restarts")
        return 0

    monkeypatch.setattr(_isolated, "_cuda", Cuda)
    monkeypatch.setattr(_isolated, "_restart_peak", restart)
    monkeypatch.setattr(_isolated, "run_cell", lambda cell: {"status": "failed"})
    _isolated._run_measured(None)
    assert calls == ["CUDA starts", "peak restarts"]


# Draws


class Conversions:
    """Counts networks that are converted to another precision, a copy each."""

    def __init__(self, monkeypatch):
        self.n = 0
        convert = nn.Module.to

        def counted(module, *args):
            self.n += 1
            return convert(module, *args)

        monkeypatch.setattr(nn.Module, "to", counted)


@pytest.mark.parametrize(("dtype", "at_most"), [(np.float32, 0), (np.float64, 2)])
@pytest.mark.parametrize(
    "estimator",
    [MultimodalAutoencoder(2, **BRIEF), MultimodalVAE(2, **BRIEF)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_draws_copy_no_network_each(monkeypatch, estimator, dtype, at_most):
    """At most one for the precision of the codes, and one for that of the draws."""
    model = fitted(estimator, complete(dtype=dtype))
    given = complete(dtype=dtype, seed=1)[:5].select(["image"])
    conversions = Conversions(monkeypatch)
    draws = model.sample(20, given=given, random_state=0)
    assert (conversions.n > 0) == (at_most > 0)
    assert conversions.n <= at_most
    assert len(draws) == 20
    assert not np.array_equal(draws[0]["text"], draws[1]["text"])


def test_draws_given_rows_have_the_moments_of_the_likelihood():
    """Mean and deviation of 4000 draws: those of the decoder and its learned scale."""
    model = fitted(MultimodalAutoencoder(2, **BRIEF), complete())
    given = complete(seed=1)[:2].select(["image"])
    draws = np.stack([one["text"] for one in model.sample(4000, given=given, random_state=0)])
    network = model.net_.module_
    m = network.index("text")
    scale = (network.likelihoods[m].scale * network.scalers[m].scale).detach().numpy()
    error = 4 * scale / np.sqrt(4000)
    assert (np.abs(draws.mean(axis=0) - model.translate(given, "text")) < error).all()
    assert_allclose(draws.std(axis=0), np.tile(scale, (2, 1)), rtol=0.06)


# Losses under bf16


class Watch(Callback):
    def __init__(self):
        self.dtypes = set()
        self.first = None

    def on_batch_end(self, net, batch=None, training=True, y_pred=None, terms=None, **kwargs):
        self.dtypes |= {term.dtype for term in terms.values()}
        if self.first is None and y_pred is not None:
            self.first = y_pred, terms


@per_deep
def test_losses_are_never_in_half_precision(case):
    for variant in case.variants:
        watch = Watch()
        fitted(variant.estimator, complete(), precision="bf16", callbacks=[watch], random_state=0)
        assert watch.dtypes <= {torch.float32, torch.float64}, str(variant)


@pytest.mark.parametrize("loss", ["relativistic", "hinge", "wasserstein", "standard", "energy"])
def test_losses_of_generators_are_never_in_half_precision(loss):
    (case,) = (case for case in DEEP if case.name == "ConditionalGAN")
    watch = Watch()
    fitted(case.small, complete(), precision="bf16", loss=loss, callbacks=[watch])
    assert watch.dtypes == {torch.float32}


def test_squared_errors_keep_their_digits_under_bf16():
    """The target 1000 + noise has three digits in half precision: the noise would be lost."""
    watch, rng = Watch(), np.random.default_rng(0)
    target = rng.standard_normal(60)
    MultimodalRegressor(**BRIEF, precision="bf16", callbacks=[watch]).fit(complete(), target)
    prediction, terms = watch.first
    found, truth = (
        part.detach().double().numpy() for part in (prediction.outputs, prediction.target)
    )
    (term,) = terms.values()
    assert_allclose(term.item(), np.mean((found - truth) ** 2), rtol=1e-6)


# What would end CUDA in a process


class Words(nn.Module):
    """An encoder of one's own, whose vocabulary nobody knows."""

    def __init__(self, shape, n_outputs, n_words):
        super().__init__()
        self.words = nn.Embedding(n_words, n_outputs)

    def forward(self, x):
        return self.words(x).mean(dim=1)


def _texts(largest, seed=0):
    ids = np.random.default_rng(seed).integers(0, 10, (60, 4))
    ids[0, 0] = largest
    values = {"words": ids, "image": arrays()["image"]}
    return Modalities(values, kinds={"words": "tokens"})


OWN = {"encoders": {"words": partial(Words, n_words=10)}}
TOKENS = {
    "MultimodalAutoencoder": (MultimodalAutoencoder(2, **BRIEF, **OWN), ["transform", "score"]),
    "MultimodalVAE": (MultimodalVAE(2, **BRIEF, **OWN), ["transform", "score_samples", "score"]),
    "MultimodalClassifier": (MultimodalClassifier(**BRIEF, **OWN), ["predict", "transform"]),
    "DeepCCA": (DeepCCA(2, **BRIEF, **OWN, objective="ey"), ["transform", "score"]),
    "ConditionalGAN": (ConditionalGAN(target="image", **BRIEF, **OWN), ["predict", "score"]),
}


@pytest.mark.parametrize("name", TOKENS)
def test_token_ids_that_fit_has_not_seen_are_refused(name):
    model, methods = TOKENS[name]
    model.fit(_texts(9), np.arange(60) % 3)
    for method in methods:
        assert np.isfinite(getattr(model, method)(_texts(9, seed=1))).all()
        with pytest.raises(ValueError, match=r"'words': Token ids must be in \[0, 10\)"):
            getattr(model, method)(_texts(10, seed=1))


def test_a_known_vocabulary_may_be_larger_than_that_of_fit():
    spec = {"words": Tokens(50, embedding_dim=4, hidden_size=4)}
    model = MultimodalVAE(2, **BRIEF, encoders=spec).fit(_texts(9))
    assert np.isfinite(model.score_samples(_texts(49))).all()
    with pytest.raises(ValueError, match=r"\[0, 50\)"):
        model.score_samples(_texts(50))


def test_decoders_of_what_fit_has_seen_bound_the_vocabulary():
    """A factory's encoder knows 50 ids, but the likelihood has classes for the ids of fit."""
    known = {"words": lambda shape, k: Tokens(50, embedding_dim=4, hidden_size=4)(shape, k)}
    model = MultimodalVAE(2, **BRIEF, encoders=known).fit(_texts(9))
    with pytest.raises(ValueError, match=r"\[0, 10\)"):
        model.score_samples(_texts(30))
    predictor = MultimodalClassifier(**BRIEF, encoders=known).fit(_texts(9), np.arange(60) % 3)
    assert len(predictor.predict(_texts(30))) == 60


@pytest.mark.parametrize("role", ["iterator_train", "iterator_valid"])
def test_processes_of_a_data_loader_are_for_the_processor(role):
    options = {role: DataLoader, f"{role}__num_workers": 1}
    net = Net(nn.Linear(1, 1), nn.Identity(), device="cuda", **options)
    with pytest.raises(ValueError, match=f"{role}__num_workers .* needs device='cpu'"):
        net.get_iterator(TensorData(arrays()), training=role == "iterator_train")
    net.set_params(device="cpu")
    net.get_iterator(TensorData(arrays()), training=role == "iterator_train")


# Processes that are forked


CHILD = """
import multiprocessing, torch
from contract_cases import complete
from skmm import MultimodalAutoencoder

def child(pipe):
    found = [torch.get_num_threads()]
    model = MultimodalAutoencoder(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0)
    model.fit(complete())
    pipe.send(found + [torch.get_num_threads()])

if __name__ == "__main__":
    torch.set_num_threads(3)
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=child, args=(there,))
    process.start()
    print(here.recv(), torch.get_num_threads())
    process.join()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked")
def test_only_children_that_run_a_network_are_set_to_one_thread():
    paths = [str(Path(__file__).parent), str(Path(skmm.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path[:0] = {paths!r}\n{CHILD}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[3, 1] 3"
