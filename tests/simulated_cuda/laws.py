"""What holds on a device: run by `tests/test_simulated_cuda.py` where one is simulated.

Not collected by itself. Whether kernels of a real device give the same numbers is the matter of
`benchmarks/gpu_checks.py`.
"""

import copy
import json
import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from contract_cases import CASES, answers, assert_same, complete, fitted, with_holes
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

from skmm import (
    CCA,
    ConditionalGAN,
    DeepCCA,
    MultimodalAutoencoder,
    MultimodalClassifier,
    MultimodalRegressor,
    MultimodalVAE,
    io,
)
from skmm._nets import TensorData, _data
from skmm.datasets import load_digits_halves

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* ha(s|ve) collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:.* validation rows are too few:UserWarning",
)
DEEP = [case for case in CASES if hasattr(case.default, "device")]
per_deep = pytest.mark.parametrize("case", DEEP, ids=lambda case: case.name)
per_variant = pytest.mark.parametrize(
    "variant", [v for case in DEEP for v in case.variants], ids=str
)
NAMES = ["auto", "cuda", "cuda:0", "cuda:1", torch.device("cuda"), torch.device("cuda", 1)]
BRIEF = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0}
TESTS = Path(__file__).parents[1]


def weights(model):
    """Return the tensors that a network computes with; others may stay on the processor."""
    return [*model.net_.module_.parameters(), *model.net_.module_.buffers()]


def where(model):
    return {str(value.device) for value in weights(model)}


def on_cpu(model):
    """Return a copy whose network is on the processor."""
    model = copy.deepcopy(model)
    model.net_.module_.to("cpu")
    return model


# Training


@per_deep
def test_the_default_is_the_device_and_every_method_answers(case):
    X = complete()
    model = fitted(case.small, X)
    assert model.device == "auto"
    assert where(model) == {"cuda:0"}
    assert str(model.net_.device) == "cuda:0"
    for name, value in answers(model, X).items():
        assert value.dtype.kind != "f" or np.isfinite(value).any(), name


@pytest.mark.parametrize("device", [*NAMES, "accelerate"], ids=repr)
@per_deep
def test_every_name_of_the_device_trains(case, device):
    pytest.importorskip("accelerate")
    model, X = fitted(case.small, complete(), device=device), complete()
    assert where(model) == {"cuda:1" if "1" in str(device) else "cuda:0"}
    expected = fitted(case.small, X, device="cuda:0")
    assert_same(answers(model, X), answers(expected, X), 1e-12)


@pytest.mark.parametrize("device", ["cuda:2", "cuda:99", "gpu"])
def test_devices_that_are_not_here_are_refused(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used"):
        MultimodalAutoencoder(2, device=device, **BRIEF).fit(complete())


@per_variant
def test_no_global_generator_is_used(variant):
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    model = fitted(variant.estimator, complete())
    answers(model, complete())
    for old, new in zip(before, (torch.cuda.get_rng_state(), torch.get_rng_state()), strict=True):
        assert torch.equal(old, new)


QUIET = {**BRIEF, "dropout": 0.0}
WITHOUT_RANDOM_LAYERS = {
    "DeepCCA": DeepCCA(2, **QUIET, early_stopping=False),
    "DeepCCA gcca": DeepCCA(2, objective="gcca", **QUIET, early_stopping=False),
    "DeepCCA decoders": DeepCCA(2, objective="ey", reconstruction_weight=0.5, **QUIET),
    "MultimodalAutoencoder": MultimodalAutoencoder(2, modality_dropout=0.0, **QUIET),
    "MultimodalClassifier": MultimodalClassifier(modality_dropout=0.0, **QUIET),
    "MultimodalRegressor": MultimodalRegressor(modality_dropout=0.0, **QUIET),
}


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", WITHOUT_RANDOM_LAYERS)
def test_without_random_layers_the_processor_agrees(name, precision, holes):
    digits = load_digits_halves()
    X, y = digits.data[:200], np.asarray(digits.target)[:200]
    if holes and name == "DeepCCA":
        pytest.skip("the objective 'cca' needs complete rows")
    if holes:
        X = X.with_missing(X.names[0], np.arange(0, 200, 5))
    found, expected = (
        copy.deepcopy(WITHOUT_RANDOM_LAYERS[name]).set_params(device=device, precision=precision)
        for device in ("cuda", "cpu")
    )
    limit = 1e-5 if precision == "float32" else 1e-9
    a, b = (model.fit(X, y).transform(X) for model in (found, expected))
    assert np.linalg.norm(a - b) < limit * np.linalg.norm(b)


@per_variant
def test_the_same_weights_answer_alike_on_the_processor(variant):
    """Draws of `sample`, too: they come from the processor's generator."""
    model, X = fitted(variant.estimator, complete()), complete(seed=1)
    assert_same(answers(model, X), answers(on_cpu(model), X), 1e-5)


@pytest.mark.parametrize("role", ["iterator_train", "iterator_valid"])
def test_processes_of_a_data_loader_are_refused(role):
    settings = {role: DataLoader, f"{role}__num_workers": 1}
    model = MultimodalAutoencoder(2, **BRIEF, net_params=settings)
    with pytest.raises(ValueError, match=f"{role}__num_workers .* needs device='cpu'"):
        model.fit(complete())


# Memory


@pytest.mark.parametrize("held", [True, False])
@per_deep
def test_data_that_do_not_fit_are_copied_batch_by_batch(case, held, monkeypatch):
    expected = fitted(case.small, complete())
    monkeypatch.setattr(_data, "_fits", lambda *args: held)
    assert_same(answers(fitted(case.small, complete()), complete()), answers(expected, complete()))


@pytest.mark.parametrize("stopping", [False, True])
@per_deep
def test_the_weights_are_all_that_is_held(case, stopping):
    settings = {"early_stopping": stopping, "hidden_layer_sizes": (300, 300), "max_epochs": 2}
    if stopping:
        settings["validation_fraction"] = 0.4
    before = torch.cuda.memory_allocated()
    model = fitted(case.small, complete(), **settings)
    held = torch.cuda.memory_allocated() - before
    assert held < 1.02 * sum(value.nbytes for value in weights(model)) + 20_000


def test_a_linear_solution_lies_where_the_net_says():
    X = load_digits_halves().data[:300]
    before = torch.cuda.memory_allocated()
    model = DeepCCA(2, max_epochs=1, random_state=0).fit(X)
    assert model.linear_share_ == 1
    assert where(model) == {str(model.net_.device)} == {"cuda:0"}
    assert torch.cuda.memory_allocated() - before < 40_000  # the discarded network: 4 MB
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.transform(X), again.transform(X))


def test_draws_do_not_copy_the_network(monkeypatch):
    model = fitted(MultimodalVAE(2, **BRIEF), complete(dtype=np.float32))
    given = complete(dtype=np.float32, seed=1)[:5].select(["image"])
    copied = []
    deepcopy = copy.deepcopy
    monkeypatch.setattr(copy, "deepcopy", lambda v, *a: copied.append(v) or deepcopy(v, *a))
    model.sample(20, given=given, random_state=0)
    assert not [value for value in copied if isinstance(value, nn.Module)]


# Files


WRITERS = {
    "pickle": lambda model, path: path.write_bytes(pickle.dumps(model)),
    "joblib": joblib.dump,
    "skops": io.dump,
}
READER = """
import json, pickle, sys, warnings
from pathlib import Path
warnings.simplefilter("error")
if "simulated" in sys.argv:
    import simulated_cuda
    simulated_cuda.start()
import joblib, numpy as np, torch
from contract_cases import assert_same, complete
from simulated_cuda.laws import replies, where
from skmm import io
readers = {"joblib": joblib.load, "skops": io.load}
readers["pickle"] = lambda path: pickle.loads(path.read_bytes())
expected = pickle.loads((Path(sys.argv[1]) / "expected").read_bytes())
said = {}
for path in sorted(Path(sys.argv[1]).glob("*.*")):
    model = readers[path.suffix[1:]](path)
    X = complete(seed=1)
    assert_same(replies(model, X), expected[path.stem], 1e-5)
    (said[path.name],) = where(model)
    assert said[path.name] == str(model.net_.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(device="auto", warm_start=True).fit(X, np.arange(60) % 3)
print(json.dumps(said))
"""


def read_elsewhere(folder, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder), *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def replies(model, X):
    """Return what a model says; of the predictors what needs no target."""
    if isinstance(model, MultimodalClassifier | MultimodalRegressor):
        return {"transform": model.transform(X), "predict": model.predict(X)}
    return answers(model, X)


def write(folder, device):
    expected = {}
    for case in DEEP:
        model = type(case.default)(**case.quick, random_state=0, device=device)
        model.fit(complete(), np.arange(60) % 3)
        expected[case.name] = replies(model, complete(seed=1))
        for suffix, dump in WRITERS.items():
            dump(model, folder / f"{case.name}.{suffix}")
    (folder / "expected").write_bytes(pickle.dumps(expected))


@pytest.mark.parametrize(
    ("device", "words", "n_devices", "lands"),
    [
        ("cuda", (), "2", "cpu"),  # no CUDA at all
        ("cuda:1", (), "2", "cpu"),
        ("cuda:1", ("simulated",), "1", "cuda:0"),
        ("cuda:1", ("simulated",), "2", "cuda:1"),
        ("cpu", ("simulated",), "2", "cpu"),
    ],
)
def test_files_load_on_other_machines(device, words, n_devices, lands, tmp_path):
    write(tmp_path, device)
    found = read_elsewhere(tmp_path, *words, SIMULATED_CUDA_DEVICES=n_devices)
    assert len(found) == len(WRITERS) * len(DEEP)
    assert set(found.values()) == {lands}


# Checkpoints


class Killed(Exception):
    pass


class Kill(Callback):
    def on_epoch_end(self, net, **kwargs):
        if net.history[-1]["epoch"] == 2:
            raise Killed


class Epochs(Callback):
    def __init__(self, seen):
        self.seen = seen

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.history[-1]["epoch"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("first", "second"),
    [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda:1"), ("cuda:1", "cuda"), ("cuda", "full")],
)
@pytest.mark.parametrize("name", ["MultimodalAutoencoder", "MultimodalClassifier", "DeepCCA gcca"])
def test_a_killed_training_goes_on_on_another_device(
    name, first, second, dtype, tmp_path, monkeypatch
):
    X, y, seen = complete(dtype=dtype), np.arange(60) % 3, []
    make = partial(
        copy.deepcopy(WITHOUT_RANDOM_LAYERS[name]).set_params, max_epochs=5, early_stopping=False
    )
    with pytest.raises(Killed):
        make(device=first, checkpoint_dir=tmp_path, callbacks=[Kill()]).fit(X, y)
    if second == "full":  # less memory is free than before
        second = first
        monkeypatch.setattr(_data, "_fits", lambda *args: False)
    model = make(
        device=second, checkpoint_dir=tmp_path, warm_start=True, callbacks=[Epochs(seen)]
    ).fit(X, y)
    assert seen == [3, 4, 5]
    assert len(list(tmp_path.iterdir())) == 1
    whole = copy.deepcopy(WITHOUT_RANDOM_LAYERS[name])
    whole.set_params(max_epochs=5, early_stopping=False, device=second).fit(X, y)
    a, b = model.transform(X), whole.transform(X)
    assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b)


# Linear CCA of tensors


@pytest.mark.skipif(os.environ.get("SCIPY_ARRAY_API") != "1", reason="needs SCIPY_ARRAY_API=1")
@pytest.mark.parametrize(("n_devices", "lands"), [("1", "cuda:0"), ("2", "cuda:1")])
def test_a_linear_cca_of_tensors_returns_to_a_device_of_its_kind(n_devices, lands, tmp_path):
    import sklearn

    rows = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)).to("cuda:1")
    with sklearn.config_context(array_api_dispatch=True):
        model = CCA(1, shrinkage=0.1).fit(rows, rows[:, :2] + 1)
        (tmp_path / "cca").write_bytes(pickle.dumps(model))
    code = (
        "import simulated_cuda, sys, pickle; simulated_cuda.start(); "
        "model = pickle.load(open(sys.argv[1], 'rb')); print(model.eigenvalues_.device)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cca")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SIMULATED_CUDA_DEVICES": n_devices,
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout.strip() == lands, done.stderr


# The device itself: it refuses what CUDA refuses


REFUSED = {
    "two devices": lambda: torch.ones(2, device="cuda:0") + torch.ones(2, device="cuda:1"),
    "device and processor": lambda: torch.ones(2, device="cuda") @ torch.ones(2),
    "no such device": lambda: torch.ones(2, device="cuda:7"),
    "pinning": lambda: torch.ones(2, device="cuda").pin_memory(),
    "NumPy": lambda: torch.ones(2, device="cuda").numpy(),
    "generator": lambda: torch.ones(2, device="cuda").normal_(generator=torch.Generator()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_simulated_device_refuses_what_cuda_refuses(name):
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        REFUSED[name]()


def test_the_simulated_device_draws_other_numbers():
    there, here = (
        torch.empty(3, device=d).normal_(generator=torch.Generator(d).manual_seed(0))
        for d in ("cuda", "cpu")
    )
    assert not torch.equal(there.cpu(), here)


def test_batches_of_the_device_are_on_it():
    X = with_holes()
    data = TensorData(dict(X.items()), ~X._mask, device="cuda")
    inputs, _ = data.batch(torch.tensor([0, 3]))
    assert {str(value.device) for value in inputs["inputs"].values()} == {"cuda:0"}
    assert str(inputs["observed"].device) == "cuda:0"


def test_a_discriminator_is_on_the_device_too():
    model = ConditionalGAN(target="sound", loss="hinge", **BRIEF).fit(complete())
    assert {str(p.device) for p in model.net_.module_.discriminator.parameters()} == {"cuda:0"}
