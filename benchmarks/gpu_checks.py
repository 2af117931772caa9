"""What only a device can tell: laws, agreement with the processor, files, speed; at most 8 minutes.

python benchmarks/gpu_checks.py --out found.json         # `make gpu`; needs a GPU
python benchmarks/gpu_checks.py --device cpu --tiny      # tries the script itself
python benchmarks/gpu_checks.py --only laws,persist      # some of the groups
PYTHONPATH=tests python -m simulated_cuda benchmarks/gpu_checks.py --tiny

A check that fails or takes too long is noted, and the rest goes on. Tolerances stand beside the
checks; what is only measured (seconds, memory, waits) never fails. One JSON at the end has all;
the exit status is 1 if a check failed.
"""

from __future__ import annotations

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # of CCA on tensors, before SciPy is imported

import argparse
import json
import pickle
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import sklearn
import torch
from gpu_models import (
    FEW,
    Case,
    answer,
    cases,
    digits,
    double,
    far,
    on_cpu,
    replies,
    single,
    without_random_layers,
)
from skorch.callbacks import Callback

import skmm
from skmm import (
    CCA,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalVAE,
    io,
    nn,
)
from skmm._nets import _data
from skmm._nets._net import Net

Found = dict[str, Any]
GROUPS = ("names", "laws", "agree", "persist", "options", "data", "speed", "cca", "several")
MARKS = {True: "ok  ", False: "FAIL", None: "    "}
SIMULATED = "simulated_cuda" in sys.modules


class Late(Exception):
    """A check has taken too long."""


class Checks:
    """Runs checks within a budget of seconds, and keeps what they found."""

    def __init__(self, budget: float, only: set[str]) -> None:
        self.start = time.perf_counter()
        self.budget = budget
        self.only = only
        self.found: dict[str, Found] = {}

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.budget - (time.perf_counter() - self.start)

    def __call__(self, group: str, name: str, check: Callable[..., Found], *args: Any) -> None:
        """Carry out a check; it returns what it found, with "ok" if it can fail."""
        if group not in self.only:
            return
        if self.left() < 10:
            self.found[f"{group}/{name}"] = {"ok": None, "skipped": "out of time"}
            return
        began = time.perf_counter()
        signal.signal(signal.SIGALRM, _late)
        signal.alarm(int(min(120, self.left())))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = check(*args)
            except Exception as error:
                lines = traceback.extract_tb(error.__traceback__)[-4:]
                at = [f"{Path(line.filename).name}:{line.lineno}" for line in lines]
                message = f"{type(error).__name__}: {str(error)[:300]}"
                found = {"ok": False, "error": message, "at": at}
            finally:
                signal.alarm(0)
        found["s"] = round(time.perf_counter() - began, 2)
        if caught:
            texts = Counter(f"{w.category.__name__}: {str(w.message)[:110]}" for w in caught)
            found["warnings"] = dict(texts.most_common(4))
        self.found[f"{group}/{name}"] = found
        shown = {key: value for key, value in found.items() if key not in ("ok", "warnings")}
        line = json.dumps(shown, default=str)[:300]
        print(f"{MARKS[found.get('ok')]} {group}/{name:40s} {line}", flush=True)

    def summary(self) -> Found:
        """Return all results, and how many failed."""
        verdicts = {name: found.get("ok") for name, found in self.found.items()}
        failed = [name for name, ok in verdicts.items() if ok is False]
        return {
            "machine": machine(),
            "seconds": round(time.perf_counter() - self.start, 1),
            "n_ok": sum(ok is True for ok in verdicts.values()),
            "failed": failed,
            "skipped": [name for name, found in self.found.items() if "skipped" in found],
            "results": self.found,
        }


def _late(*args: Any) -> None:
    raise Late("took too long")


class Setting:
    """The device, and the sizes of what is tried on it."""

    def __init__(self, device: str, tiny: bool) -> None:
        self.device = device
        self.on_gpu = torch.device(device).type == "cuda"
        self.real = self.on_gpu and not SIMULATED
        self.tiny = tiny
        self.n_samples, self.n_epochs = (300, 2) if tiny else (1797, 8)
        self.cases = cases(self.n_samples, self.n_epochs)
        if tiny:
            self.cases = {name: self.cases[name] for name in FEW}
        self.loose = 10.0 if tiny else 1.0  # few rows and epochs leave more to chance
        self._fitted: dict[str, Any] = {}

    def fit(self, name: str, **params: Any) -> Any:
        """Return a model that is fitted on the device."""
        return self.cases[name].fit(**{"device": self.device, **params})

    def fitted(self, name: str) -> Any:
        """Return a model that was fitted on the device once."""
        if name not in self._fitted:
            self._fitted[name] = self.fit(name)
        return self._fitted[name]

    def sync(self) -> None:
        """Wait until the device has done its work."""
        if self.on_gpu:
            torch.cuda.synchronize()


def small(device: Any, **params: Any) -> Any:
    """Return an autoencoder that is trained in no time."""
    brief = {"hidden_layer_sizes": (8,), "max_epochs": 1, "random_state": 0}
    return MultimodalAutoencoder(2, device=device, **brief, **params).fit(single(digits(100)[0]))


# Names of the device


def trains(device: Any, expected: str) -> Found:
    """Whether a name of the device trains on it."""
    model = small(device)
    lies = str(next(model.net_.module_.parameters()).device)
    return {"ok": lies == expected == str(model.net_.device), "weights": lies}


def refused(device: str) -> Found:
    """Whether a device that is not here is refused."""
    try:
        small(device)
    except ValueError as error:
        return {"ok": "cannot be used" in str(error), "message": str(error)[:150]}
    return {"ok": False}


def check_names(check: Checks, s: Setting) -> None:
    lies = str(torch.empty(0, device=s.device).device)
    names = [s.device, torch.device(s.device), lies]
    for device in [*names, *(["auto", "accelerate"] if s.on_gpu else ["auto"])]:
        check("names", f"{device!r} trains", trains, device, lies)
    check("names", "cpu:0 trains", trains, "cpu:0", "cpu")
    for device in ("cuda:99", "gpu", "cpu:7"):
        check("names", f"{device} is refused", refused, device)


# Laws of the contract


def states() -> list[Any]:
    """Return the states of all global generators."""
    found = [torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].copy())]  # noqa: NPY002
    return found + ([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])


def laws(s: Setting, name: str) -> Found:
    """Seeds, rows, precision, global generators, and every method."""
    before, case = states(), s.cases[name]
    model = s.fitted(name)
    out = answer(model, case.X)
    rows = np.random.default_rng(0).permutation(len(case.X))
    # Rounding: another shape of batch may take another kernel, with TF32 that of cuDNN.
    rounding = 5e-3 if case.rounds_otherwise else 1e-4
    gaps = {
        "same seed": (far(out, answer(s.fit(name), case.X)), 1e-2 if case.rounds_otherwise else 0),
        "order of rows": (far(out[rows], answer(model, case.X[rows])), rounding),
        "some rows": (far(out[:7], answer(model, case.X[:7])), rounding),
    }
    bad = [law for law, (gap, limit) in gaps.items() if gap > limit]
    for method, ask in replies(case, model).items():
        value, again = np.asarray(ask()), np.asarray(ask())
        finite = value.dtype.kind != "f" or np.isfinite(value).all()
        if not finite or (far(value, again) > 0 and not case.rounds_otherwise):
            bad.append(method)
    if not all(torch.equal(a, b) for a, b in zip(before, states(), strict=True)):
        bad.append("global generators")
    if out.dtype == np.float64:
        bad.append("float32 in, float64 out")
    return {"ok": not bad, "bad": bad, **{law: gap for law, (gap, _) in gaps.items()}}


def any_order(s: Setting, name: str) -> Found:
    """Which operations of a fit torch knows to add in any order; for the reader."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            s.fit(name, max_epochs=1)
    finally:
        torch.use_deterministic_algorithms(False)
    texts = {str(w.message).split(" does not have")[0][:70] for w in caught}
    return {"operations": sorted(text for text in texts if "determinis" in text)}


def check_laws(check: Checks, s: Setting) -> None:
    for name, case in s.cases.items():
        check("laws", name, laws, s, name)
        if s.real and case.rounds_otherwise:
            check("laws", f"{name}, operations in any order", any_order, s, name)


# Agreement with the processor


def same_weights(s: Setting, name: str) -> Found:
    """One network on both devices: TF32 of cuDNN would show as about 1e-3."""
    model, X = s.fitted(name), s.cases[name].X
    other, wide = on_cpu(model), double(X)
    narrow = far(answer(other, X), answer(model, X))
    exact = far(answer(other, wide), answer(model, wide))
    limit = 5e-3 if s.cases[name].rounds_otherwise else 1e-4
    return {"ok": narrow < limit and exact < 1e-9, "float32": narrow, "float64": exact}


def same_training(s: Setting, case: Case) -> Found:
    """Fits without random layers: the same up to rounding, which training amplifies."""
    a, b = (answer(case.fit(device=device), case.X) for device in ("cpu", s.device))
    limit = 1e-5 if SIMULATED or not s.on_gpu else 1e-2
    limit = min(limit, 1e-6) if case.name.endswith("float64") else limit
    gap = float(np.linalg.norm(a - b) / np.linalg.norm(a))
    return {"ok": gap < limit, "gap": gap, "limit": limit}


def same_scores(s: Setting, name: str, limit: float, relative: bool) -> Found:
    """Held-out scores; random numbers differ between devices, so the mean over seeds."""
    case, found = s.cases[name], {}
    cut = int(0.8 * len(case.X))
    y = [None, None] if case.y is None else [case.y[:cut], case.y[cut:]]
    for device in ("cpu", s.device):
        scores = []
        for seed in range(1 if s.tiny else 3):
            model = case.make(device=device, random_state=seed, max_epochs=2 if s.tiny else 20)
            scores.append(model.fit(case.X[:cut], y[0]).score(case.X[cut:], y[1]))
        found[device] = float(np.mean(scores))
    gap = abs(found["cpu"] - found[s.device]) / (abs(found["cpu"]) if relative else 1.0)
    return {"ok": gap < s.loose * limit, **found, "gap": gap}


SCORES = {  # largest gaps of mean scores; True: relative
    "DeepCCA": (0.15, False),
    "Autoencoder": (0.03, False),
    "VAE": (0.03, True),
    "GAN energy": (0.03, False),
    "Classifier": (0.03, False),
}


def check_agreement(check: Checks, s: Setting) -> None:
    for name in s.cases:
        check("agree", f"same weights, {name}", same_weights, s, name)
    for case in without_random_layers(s.n_samples, s.n_epochs):
        check("agree", f"same training, {case.name}", same_training, s, case)
    for name in [name for name in SCORES if name in s.cases]:
        check("agree", f"same score, {name}", same_scores, s, name, *SCORES[name])


# Files


def load(folder: str) -> None:
    """Say how far what files answer is from what was expected; in a process without CUDA."""
    readers = {".pickle": lambda path: pickle.loads(path.read_bytes()), ".skops": io.load}
    said: Found = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix not in readers:
            continue
        expected, X = pickle.loads(path.with_suffix(".expected").read_bytes())
        try:
            said[path.name] = far(expected, answer(readers[path.suffix](path), X))
        except Exception as error:
            said[path.name] = f"{type(error).__name__}: {str(error)[:160]}"
    print(json.dumps({"CUDA": torch.cuda.is_available(), "files": said}))


def without_cuda(s: Setting) -> Found:
    """Whether files of the device load, and answer alike, in a process without CUDA."""
    limits = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, case in s.cases.items():
            model, X = s.fitted(name), case.X[:50]
            path = Path(folder) / name.replace(" ", "_")
            path.with_suffix(".expected").write_bytes(pickle.dumps((answer(model, X), X)))
            path.with_suffix(".pickle").write_bytes(pickle.dumps(model))
            io.dump(model, path.with_suffix(".skops"))
            limits[path.name] = 5e-3 if case.rounds_otherwise else 1e-4
        found = _again("--load", folder, CUDA_VISIBLE_DEVICES="")
    gaps = found["files"]
    bad = {
        file: gap
        for file, gap in gaps.items()
        if isinstance(gap, str) or gap > limits[Path(file).stem]
    }
    ok = not bad and not found["CUDA"] and len(gaps) == 2 * len(limits)
    return {"ok": ok, "n_files": len(gaps), "bad": bad}


def _again(*args: str, launcher: tuple[str, ...] = (), **environment: str) -> Any:
    """Run this script in another process; return the JSON of its last line."""
    command = [sys.executable, *launcher, __file__, *args]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    return json.loads(done.stdout.splitlines()[-1])


def round_trip(s: Setting, name: str) -> Found:
    """Whether a pickle answers the same here, and has the weights once."""
    model, X = s.fitted(name), s.cases[name].X[:50]
    data = pickle.dumps(model)
    again = pickle.loads(data)
    weights = sum(v.nbytes for v in model.net_.module_.state_dict().values())
    gap = far(answer(model, X), answer(again, X))
    ok = gap == 0 and len(data) < 1.1 * weights + 100_000
    return {"ok": ok, "bytes": len(data), "weights": weights, "lies": str(again.net_.device)}


class Killed(Exception):
    """A training was ended in its middle."""


class Kill(Callback):
    """Ends a training after its second epoch."""

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        if net.history[-1]["epoch"] == 2:
            raise Killed


class Epochs(Callback):
    """Notes the epochs."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        self.seen.append(net.history[-1]["epoch"])


def resumed(first: str, second: str, X: Modalities, room: bool) -> Found:
    """Whether a training that was killed goes on, on another device or with less room."""
    brief = {"hidden_layer_sizes": (32,), "modality_dropout": 0.0, "dropout": 0.0}
    make = partial(MultimodalAutoencoder, 3, max_epochs=5, random_state=0, **brief)
    epochs = Epochs()
    with tempfile.TemporaryDirectory() as folder:
        keep = {"checkpoint_dir": folder}
        with suppress(Killed):
            make(device=first, callbacks=[Kill()], **keep).fit(X)
        with mock.patch.object(_data, "_fits", return_value=room):
            model = make(device=second, warm_start=True, callbacks=[epochs], **keep).fit(X)
    gap = far(answer(make(device=second).fit(X), X), answer(model, X))
    return {"ok": epochs.seen == [3, 4, 5] and gap < 1e-3, "epochs": epochs.seen, "gap": gap}


def check_files(check: Checks, s: Setting) -> None:
    check("persist", "files load without CUDA", without_cuda, s)
    check("persist", "a pickle here", round_trip, s, "Autoencoder")
    X = digits(s.n_samples)[0]
    pairs = [(s.device, s.device), ("cpu", s.device), (s.device, "cpu")]
    for first, second in dict.fromkeys(pairs):
        for kind, data in (("float32", single(X)), ("float64", X)):
            label = f"goes on from {first} to {second}, {kind}"
            check("persist", label, resumed, first, second, data, True)
    check("persist", "goes on with less room", resumed, s.device, s.device, X, False)


# Options


def option(s: Setting, name: str, limit: float, params: Found) -> Found:
    """Whether a fit with other settings ends near the loss of that without."""
    model, plain = s.fit(name, **params), s.fitted(name)
    a, b = (float(m.history_["train_loss"].iloc[-1]) for m in (plain, model))
    gap, out = abs(a - b) / max(abs(a), 1e-3), answer(model, s.cases[name].X)
    return {"ok": bool(np.isfinite(out).all() and gap < limit), "gap": gap, "loss": b, "plain": a}


def recurrent_type(s: Setting) -> Found:
    """In which type cuDNN's recurrent layers run under bf16: float16 would overflow."""
    layer = torch.nn.LSTM(4, 4, batch_first=True).to(s.device)
    with torch.autocast(torch.device(s.device).type, torch.bfloat16):
        out = layer(torch.zeros(2, 3, 4, device=s.device))[0]
    return {"ok": out.dtype is not torch.float16, "dtype": str(out.dtype)}


def check_options(check: Checks, s: Setting) -> None:
    for name in s.cases:  # 8 bits
        check("options", f"bf16, {name}", option, s, name, 0.1 * s.loose, {"precision": "bf16"})
    for name in ("DeepCCA", "Autoencoder", "VAE mopoe gaps", "GAN hinge"):
        params = {"precision": "float64"}
        check("options", f"float64, {name}", option, s, name, 0.1 * s.loose, params)
    plain = {"optimizer": torch.optim.AdamW}
    check("options", "optimizer not fused", option, s, "Autoencoder", 0.1 * s.loose, plain)
    check("options", "type of LSTM under bf16", recurrent_type, s)


# Where the data lie


def batch_by_batch(s: Setting) -> Found:
    """Whether data that do not fit give the network of data that do."""
    case = s.cases["Autoencoder"]
    with mock.patch.object(_data, "_fits", return_value=False):
        model = s.fit("Autoencoder")
    gap = far(answer(s.fitted("Autoencoder"), case.X), answer(model, case.X))
    return {"ok": gap < 1e-3, "gap": gap}


def free_memory(s: Setting) -> Found:
    """Whether blocks that torch keeps for later count as free."""
    device = torch.device(s.device)
    free, _ = torch.cuda.mem_get_info(device)
    block = torch.empty(int(0.4 * free), dtype=torch.uint8, device=device)
    del block
    data = {"a": np.broadcast_to(np.float32(0), (int(0.35 * free) // 4,))}
    kept = _data._fits(data, device, torch.float32)
    torch.cuda.empty_cache()
    return {"ok": kept and _data._fits(data, device, torch.float32)}


def check_data(check: Checks, s: Setting) -> None:
    check("data", "copied batch by batch", batch_by_batch, s)
    if s.real:
        check("data", "memory that torch keeps", free_memory, s)


# Speed and memory: measured only, but for the ratio to a loop by hand


class Large:
    """Two modalities of 392 columns with common factors, and a network for them."""

    def __init__(self, tiny: bool) -> None:
        self.n, self.hidden, self.k = (2000, (32, 32), 5) if tiny else (50_000, (1024, 1024), 50)
        rng = np.random.default_rng(0)
        z = rng.standard_normal((self.n, 60))
        parts = (np.tanh(z @ rng.standard_normal((60, 392))) for _ in range(2))
        noisy = [part + rng.standard_normal(part.shape) for part in parts]
        self.X = Modalities({f"m{i}": part.astype(np.float32) for i, part in enumerate(noisy)})

    def fit(self, s: Setting, batch_size: int, **params: Any) -> Found:
        """Return seconds per epoch of DeepCCA, and memory."""
        settings = {
            **{"hidden_layer_sizes": self.hidden, "normalization": None, "dropout": 0.0},
            **{"batch_size": batch_size, "max_epochs": 4, "early_stopping": False, "lr": 1e-3},
            **{"random_state": 0, "device": s.device, **params},
        }
        found: Found = {}
        with memory(s, found):
            began = time.perf_counter()
            model = DeepCCA(self.k, **settings).fit(self.X)
            found["fit_s"] = round(time.perf_counter() - began, 2)
            epoch = float(np.median(model.history_["dur"].to_numpy()[1:]))
        steps = max(len(self.X) // batch_size, 1)
        return {"epoch_s": round(epoch, 4), "ms_per_step": round(1e3 * epoch / steps, 3), **found}

    def by_hand(self, s: Setting, batch_size: int) -> Found:
        """Return the same of a loop without a framework: same layers, loss and optimizer."""
        data = [torch.from_numpy(np.asarray(v)).to(s.device) for v in self.X.values()]
        torch.manual_seed(0)
        nets = torch.nn.ModuleList([self._network(392).to(s.device) for _ in data])
        fused = {"lr": 1e-3, "weight_decay": 1e-2, "fused": True}
        optimizer = torch.optim.AdamW(nets.parameters(), **fused)
        moments = [(v.mean(0), v.std(0)) for v in data]

        def epoch() -> float:
            began = time.perf_counter()
            order = torch.randperm(self.n, device=s.device)
            for i in range(self.n // batch_size):
                rows = order[i * batch_size : (i + 1) * batch_size]
                parts = zip(nets, data, moments, strict=True)
                codes = [net((v[rows] - mean) / scale) for net, v, (mean, scale) in parts]
                optimizer.zero_grad(set_to_none=True)
                nn.cca_loss(codes, squared=True)["correlation"].backward()
                optimizer.step()
            s.sync()
            return time.perf_counter() - began

        seconds = float(np.median([epoch() for _ in range(4)][1:]))
        steps = self.n // batch_size
        return {"epoch_s": round(seconds, 4), "ms_per_step": round(1e3 * seconds / steps, 3)}

    def _network(self, width: int) -> torch.nn.Module:
        layers: list[torch.nn.Module] = []
        for size in self.hidden:
            layers += [torch.nn.Linear(width, size), torch.nn.ReLU()]
            width = size
        return torch.nn.Sequential(*layers, torch.nn.Linear(width, self.k))


@contextmanager
def memory(s: Setting, found: Found) -> Iterator[None]:
    """Note the largest memory of the device, and what stays."""
    if not s.on_gpu:
        yield
        return
    s.sync()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield
    found["peak_MB"] = round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
    found["held_MB"] = round((torch.cuda.memory_allocated() - before) / 2**20, 1)


def ratio(check: Checks, batch_sizes: tuple[int, ...], tiny: bool) -> Found:
    """Return DeepCCA's seconds by those of the loop by hand: below 1.5."""
    found = {}
    for b in batch_sizes:
        names = (f"speed/DeepCCA, batches of {b}", f"speed/by hand, batches of {b}")
        ours, theirs = (check.found.get(name, {}).get("epoch_s") for name in names)
        if ours and theirs:
            found[str(b)] = round(ours / theirs, 2)
    ok = None if tiny or not found else all(value < 1.5 for value in found.values())
    return {"ok": ok, **found}


def waits(s: Setting, name: str) -> Found:
    """Return how often a step of training waits for the device, and in which lines of skmm."""
    lines: Counter[str] = Counter()
    steps = []
    epoch_of = Net.run_single_epoch

    def epoch(net: Net, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        if not training or net.history[-1]["epoch"] != 2:
            return epoch_of(net, iterator, training, *args, **kwargs)
        steps.append(len(iterator))
        with counted_waits(lines):
            return epoch_of(net, iterator, training, *args, **kwargs)

    with mock.patch.object(Net, "run_single_epoch", epoch):
        s.fit(name, max_epochs=2)
    each = {line: round(n / steps[0], 2) for line, n in lines.most_common(8)}
    return {"per step": round(sum(lines.values()) / steps[0], 2), "lines": each}


@contextmanager
def counted_waits(lines: Counter[str]) -> Iterator[None]:
    """Count waits: by line as torch notices them, on a simulated device as it does."""
    if SIMULATED:
        import simulated_cuda

        before = simulated_cuda.running.count_waits()
        yield
        lines["all"] += simulated_cuda.running.count_waits() - before
        return

    def show(message: Any, *args: Any, **kwargs: Any) -> None:
        frames = [f for f in traceback.extract_stack() if f"{os.sep}skmm{os.sep}" in f.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "backward"
        lines[where] += "synchroniz" in str(message)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        torch.cuda.set_sync_debug_mode(1)
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(0)


def steps(s: Setting, name: str) -> Found:
    """Return milliseconds per step on the device and on the processor."""
    found = {}
    for label, device in (("device", s.device), ("cpu", "cpu")):
        model = s.fit(name, device=device, max_epochs=3)
        per_step = float(model.history_["dur"].iloc[-1]) / model.net_.n_batches_
        found[f"{label}_ms"] = round(1e3 * per_step, 2)
    return found


def drawing(s: Setting) -> Found:
    """Return the seconds of 20 draws given 50 rows, on the device and on the processor."""
    X = single(digits(200)[0])
    hidden = (32, 32) if s.tiny else (1024, 1024)
    brief = {"max_epochs": 1, "random_state": 0, "device": s.device}
    model = MultimodalVAE(5, hidden_layer_sizes=hidden, **brief).fit(X)
    given, found = X[:50].select([X.names[0]]), {}
    for label, one in (("device", model), ("cpu", on_cpu(model))):
        began = time.perf_counter()
        one.sample(20, given=given, random_state=0)
        found[f"{label}_s"] = round(time.perf_counter() - began, 3)
    return found


def check_speed(check: Checks, s: Setting) -> None:
    large, batch_sizes = Large(s.tiny), (200, 800) if s.tiny else (800, 8192)
    for b in batch_sizes if "speed" in check.only else ():
        check("speed", f"DeepCCA, batches of {b}", large.fit, s, b)
        check("speed", f"by hand, batches of {b}", large.by_hand, s, b)
        check("speed", f"DeepCCA bf16, batches of {b}", partial(large.fit, precision="bf16"), s, b)
    check("speed", "DeepCCA by the loop by hand", ratio, check, batch_sizes, s.tiny)
    for name in s.cases:
        check("speed", f"steps, {name}", steps, s, name)
        if s.on_gpu:
            check("speed", f"waits, {name}", waits, s, name)
    check("speed", "20 draws given 50 rows", drawing, s)


# Linear CCA on tensors


def linear(s: Setting, n: int, d: int, dtype: type) -> Found:
    """Whether CCA of tensors of the device is that of arrays; seconds of both."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((n, 20))
    parts = (z @ rng.standard_normal((20, d)) + 2 * rng.standard_normal((n, d)) for _ in range(2))
    A, B = (part.astype(dtype) for part in parts)
    began = time.perf_counter()
    host = CCA(10, shrinkage=0.1).fit(A, B)
    numpy_s = time.perf_counter() - began
    a, b = (torch.from_numpy(part).to(s.device) for part in (A, B))
    with sklearn.config_context(array_api_dispatch=True):
        CCA(10, shrinkage=0.1).fit(a, b)
        s.sync()
        began = time.perf_counter()
        there = CCA(10, shrinkage=0.1).fit(a, b)
        s.sync()
        device_s = time.perf_counter() - began
        Z = there.transform(a)
        again = pickle.loads(pickle.dumps(there)).transform(a)
    theirs, ours = Z.cpu().numpy(), host.transform(A)
    limit = 1e-6 if dtype is np.float64 else 1e-2
    gap = far(ours, theirs * np.sign((ours * theirs).sum(axis=0)))
    ok = gap < limit and torch.equal(again, Z) and Z.device.type == torch.device(s.device).type
    seconds = {"numpy_s": round(numpy_s, 3), "device_s": round(device_s, 3)}
    return {"ok": bool(ok), "gap": gap, **seconds}


def check_cca(check: Checks, s: Setting) -> None:
    for n, d in ((2000, 20),) if s.tiny else ((50_000, 392), (200_000, 100), (5000, 2000)):
        for dtype in (np.float64, np.float32):
            check("cca", f"{n} x ({d} + {d}), {dtype.__name__}", linear, s, n, d, dtype)


# Several devices


def work(file: str, tiny: bool) -> None:
    """Train as one of several processes; the first one writes its codes."""
    model, X = _shared("accelerate", tiny)
    if int(os.environ["RANK"]) == 0:
        np.save(file, model.transform(X))
        print(json.dumps({"device": str(model.net_.device)}))


def _shared(device: str, tiny: bool) -> tuple[Any, Modalities]:
    X = digits(300 if tiny else 1797)[0]
    settings = {"precision": "float64", "max_epochs": 2 if tiny else 8, "random_state": 0}
    return MultimodalAutoencoder(5, device=device, **settings).fit(X), X


def several(s: Setting) -> Found:
    """Whether all devices together find what one finds."""
    n = torch.cuda.device_count()
    launcher = ("-m", "torch.distributed.run", f"--nproc_per_node={n}")
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "codes.npy")
        _again("--worker", file, *(["--tiny"] if s.tiny else []), launcher=launcher)
        found = np.load(file)
    model, X = _shared(s.device, s.tiny)
    gap = far(model.transform(X), found)
    return {"ok": gap < 1e-6, "gap": gap, "processes": n}


def check_several(check: Checks, s: Setting) -> None:
    if s.on_gpu and torch.cuda.device_count() > 1:
        check("several", "cuda:1 trains", trains, "cuda:1", "cuda:1")
        if s.real:
            check("several", "accelerate with all devices", several, s)


def check_compilation(check: Checks, s: Setting) -> None:
    """Last, for it takes a minute each."""
    for name in ("DeepCCA", "Autoencoder") if s.real and not s.tiny else ():
        check("options", f"compile, {name}", option, s, name, 0.1, {"compile": True})


def machine() -> Found:
    """Return what the results depend on."""
    has = torch.cuda.is_available()
    return {
        "skmm": skmm.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": torch.cuda.get_device_name() if has else platform.processor(),
        "threads": torch.get_num_threads(),
        "TF32 of cuDNN": torch.backends.cudnn.allow_tf32,
        "TF32 of products": torch.backends.cuda.matmul.allow_tf32,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--budget", type=float, default=450.0, help="seconds for everything")
    parser.add_argument("--only", default=",".join(GROUPS))
    parser.add_argument("--out", help="a file for the JSON")
    parser.add_argument("--load", help=argparse.SUPPRESS)  # what it starts itself
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        return load(options.load)
    if options.worker:
        return work(options.worker, options.tiny)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("There is no CUDA device: use --device cpu --tiny to try the script itself.")
    check = Checks(options.budget, set(options.only.split(",")))
    setting = Setting(options.device, options.tiny)
    for group in (
        *(check_names, check_laws, check_agreement, check_files, check_options, check_data),
        *(check_speed, check_cca, check_several, check_compilation),
    ):
        group(check, setting)
    summary = check.summary()
    text = json.dumps(summary, indent=1, default=str)
    if options.out:
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        Path(options.out).write_text(text, encoding="utf-8")
    print(text)
    sys.exit(bool(summary["failed"]))


if __name__ == "__main__":
    main()
