"""Rows of modalities by number: what selects them, and that training never asks a device for it."""

import gc
import importlib.util
import os
import subprocess
import sys
import weakref
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import simulated_cuda
import torch
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from skmm import nn
from skmm.nn._rows import Rows, rows_of, scatter, send_mask, take
from skmm.nn._vae import subsets_of

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
aten = torch.ops.aten


def mask_of(n_rows, n_modalities, seed=0, share=0.6):
    return torch.from_numpy(np.random.default_rng(seed).random((n_rows, n_modalities)) < share)


# Numbers of rows


@pytest.mark.parametrize("modalities", [(0,), (2,), (0, 1), (2, 0), (1, 1), (0, 1, 2)])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_rows_are_those_that_have_all(modalities, share):
    mask = mask_of(40, 3, share=share)
    expected = np.flatnonzero(mask.numpy()[:, list(modalities)].all(axis=1))
    rows = Rows(mask)
    for _ in range(2):  # found, then known
        found = rows.having(*modalities)
        assert found.dtype == torch.int64
        assert_array_equal(found, expected)


def test_none_says_that_all_rows_have_it():
    mask = mask_of(20, 3)
    mask[:, 1] = True
    for rows in (Rows(mask), rows_of(mask), rows_of(send_mask(mask, CPU))):
        assert rows.having(1) is None
        assert rows.having(0) is not None
        assert rows.having(1, 0) is not None
    assert rows_of(None).having(0, 1, 2) is None


def test_no_row_is_not_all_rows():
    assert len(Rows(torch.ones(0, 2, dtype=torch.bool)).having(0, 1)) == 0


def test_a_mask_that_was_changed_is_read_again():
    observed = send_mask(mask_of(20, 2), CPU)
    before = rows_of(observed).having(0)
    assert rows_of(observed) is rows_of(observed)
    observed[:, 0] = False
    assert len(before) > 0
    assert len(rows_of(observed).having(0)) == 0


def test_masks_do_not_keep_themselves_in_memory():
    observed = send_mask(mask_of(20, 2), CPU)
    rows_of(observed).having(0, 1)
    alive = weakref.ref(observed)
    gc.disable()
    try:
        del observed
        assert alive() is None
    finally:
        gc.enable()


def test_rows_that_were_first_needed_in_inference_serve_a_gradient():
    observed, x = send_mask(mask_of(20, 2), CPU), torch.randn(20, 3, requires_grad=True)
    with torch.inference_mode():
        take(x, rows_of(observed).having(0))
    take(x, rows_of(observed).having(0)).sum().backward()
    assert_array_equal(x.grad, observed[:, :1].expand(-1, 3))


# Selecting and putting back: as with a boolean mask, bit for bit


@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_rows_are_taken_and_spread_as_by_a_mask(shape, dtype):
    x = (10 * torch.randn(30, *shape)).to(dtype)
    here = mask_of(30, 1)[:, 0]
    rows = here.nonzero()[:, 0]
    taken = take(x, rows)
    assert torch.equal(taken, x[here])
    expected = torch.zeros_like(x)
    expected[here] = x[here]
    found = scatter(taken, rows, 30)
    assert found.dtype == dtype
    assert torch.equal(found, expected)
    assert take(x, None) is x
    assert scatter(x, None, 30) is x


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_gradients_pass_rows_as_they_pass_a_mask(share):
    here = mask_of(30, 1, share=share)[:, 0]
    rows = here.nonzero()[:, 0]
    weight, up = torch.randn(30, 4), torch.randn(30, 4)
    found, expected = [], []
    for results, by_mask in ((found, False), (expected, True)):
        x = weight.clone().requires_grad_()
        part = (x[here] if by_mask else take(x, rows)) ** 3
        if by_mask:
            whole = torch.zeros(30, 4).masked_scatter(here[:, None], part)
        else:
            whole = scatter(part, rows, 30)
        (first,) = torch.autograd.grad((whole * up).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        results += [whole.detach(), first.detach(), second]
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


LOSSES = {
    "gcca": nn.gcca_loss,
    "ey": nn.ey_loss,
    "infonce": nn.infonce_loss,
    "barlow_twins": nn.barlow_twins_loss,
    "vicreg": nn.vicreg_loss,
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_the_same_however_the_mask_came(name):
    """A mask of one's own, and one whose rows are known."""
    mask = mask_of(40, 3)
    codes = [torch.randn(40, 2, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    gradients = []
    for observed in (mask, send_mask(mask, CPU)):
        total = sum(LOSSES[name](codes, observed=observed).values())
        gradients.append([total.detach(), *torch.autograd.grad(total, codes)])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


# Random subsets without rejection


@pytest.mark.parametrize("full", [[1], [1, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1, 1, 0, 1], [1] * 5])
def test_subsets_are_equally_likely(full):
    """Exactly: the first number is cut at multiples of 1 / (2^n - 1), the others at a half."""
    full = torch.tensor(full, dtype=torch.bool)
    n = int(full.sum())
    cells = (torch.arange(2**n - 1) + 0.5) / (2**n - 1)
    numbers = torch.tensor(list(product(cells, *[(0.25, 0.75)] * (len(full) - 1))))
    chosen = subsets_of(full.expand(len(numbers), -1), numbers)
    subsets, counts = chosen.unique(dim=0, return_counts=True)
    assert len(subsets) == 2**n - 1
    assert subsets.any(dim=1).all()
    assert not (subsets & ~full).any()
    assert len(set(counts.tolist())) == 1


@pytest.mark.parametrize("number", [0.0, 0.5, 1 - 2**-24])
def test_subsets_of_many_modalities_are_not_empty(number):
    full = torch.ones(3, 70, dtype=torch.bool)
    full[1, :69] = False
    full[2] = False
    chosen = subsets_of(full, torch.full(full.shape, number))
    assert chosen.any(dim=1).tolist() == [True, True, False]


# Training asks no device for a shape or a number


def _script():
    spec = importlib.util.spec_from_file_location("host_waits", ROOT / "benchmarks/host_waits.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["host_waits"] = module  # named tuples look themselves up there
    spec.loader.exec_module(module)
    return module


script = _script()
CASES = script.cases()
ASKING = {aten._local_scalar_dense, aten.masked_select, aten.masked_scatter, aten.equal}


class Asking(TorchDispatchMode, Callback):
    """Notes what in a step would make the host wait if its tensors were on a device."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.n_seen = 0

    def on_batch_begin(self, net, **kwargs):
        self.__enter__()

    def on_batch_end(self, net, **kwargs):
        self.__exit__(None, None, None)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        operation = function.overloadpacket
        indices = args[1] if operation in script.INDEXED else []
        if operation in ASKING or any(i is not None and i.dtype == torch.bool for i in indices):
            self.found.append(f"{operation} {script.place_in_skmm()}")
        self.n_seen += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n].gaps is not None])
def test_steps_ask_for_nothing(name):
    asking = Asking()
    script.fit(CASES[name], gaps=True, max_epochs=1, device="cpu", callbacks=[asking])
    assert asking.n_seen > 100
    assert not asking.found


def _simulated(*command):
    if reason := simulated_cuda.unavailable():
        pytest.skip(reason)
    paths = [str(ROOT / "tests"), str(ROOT)]
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "simulated_cuda", *command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )


@pytest.mark.slow
def test_no_step_waits_for_a_device():
    done = _simulated("benchmarks/host_waits.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1 + len(CASES)


# What is counted, with the times it has to be.
COUNTED = """
import sys
import torch
sys.path.insert(0, "benchmarks")
from host_waits import Waits

x = torch.randn(6, 3, device="cuda", requires_grad=True)
y, here = x.detach().clone(), torch.tensor([True, False] * 3)
there = here.to("cuda")
rows = there.nonzero()[:, 0]
own = torch.randn(3, 3, device="cuda", requires_grad=True)
SEEN = {
    "bool": (1, 0, lambda: bool(there.any())),
    "item": (1, 0, lambda: y.sum().item()),
    "list": (1, 0, lambda: y.tolist()),
    "to the host": (1, 0, lambda: y.cpu()),
    "to the device": (1, 0, lambda: here.to("cuda")),
    "pageable": (1, 0, lambda: here.to("cuda", non_blocking=True)),
    "pinned, waiting": (1, 0, lambda: here.pin_memory().to("cuda")),
    "pinned": (0, 0, lambda: here.pin_memory().to("cuda", non_blocking=True)),
    "made there": (1, 0, lambda: torch.tensor([1.0, 2.0], device="cuda")),
    "filled there": (0, 0, lambda: torch.full((2,), 3.0, device="cuda")),
    "copied into": (1, 0, lambda: y.copy_(torch.zeros(6, 3))),
    "mask": (1, 0, lambda: y[there]),
    "mask and gradient": (2, 0, lambda: x[there].sum().backward()),
    "rows": (0, 0, lambda: y[rows]),
    "rows and gradient": (0, 0, lambda: x.index_select(0, rows).sum().backward()),
    "rows of the host": (1, 0, lambda: y[here.nonzero()[:, 0]]),
    "list of columns": (1, 0, lambda: y[:, [0, 2]]),
    "slice": (0, 0, lambda: y[1:3]),
    "fill by mask": (0, 0, lambda: y.__setitem__(there, 0.0)),
    "put by mask": (1, 0, lambda: y.__setitem__(there, own.detach())),
    "nonzero": (1, 0, lambda: there.nonzero()),
    "spread by mask, gradient": (
        1, 0, lambda: y.masked_scatter(there[:, None], own).sum().backward()
    ),
    "choice": (0, 0, lambda: torch.where(there[:, None], y, 0.0)),
    "eigenvalues": (0, 1, lambda: torch.linalg.eigh(y.T @ y)),
    "singular values": (0, 1, lambda: torch.linalg.svd(y)),
    "unchecked factor": (0, 0, lambda: torch.linalg.cholesky_ex(y.T @ y)),
    "on the host": (0, 0, lambda: (bool(here.any()), here.nonzero(), here.tolist())),
}
for name, (n_waits, n_factors, call) in SEEN.items():
    with Waits() as waits:
        call()
    assert (waits.total(), waits.factors) == (n_waits, n_factors), (name, waits.found)
print(len(SEEN), "right")
"""


@pytest.mark.slow
def test_waits_are_counted(tmp_path):
    file = tmp_path / "counted.py"
    file.write_text(COUNTED, encoding="utf-8")
    done = _simulated(str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("right")
