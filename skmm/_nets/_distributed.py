"""Training on several devices: a process each, with its share of the rows of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from sklearn.utils.parallel import _get_threadpool_controller
from torch import Tensor

from skmm.nn._processes import Processes


def _use_one_thread() -> None:
    """Let OpenMP, that of scikit-learn too, not wait for threads that a fork has left behind."""
    torch.set_num_threads(1)
    _get_threadpool_controller().limit(limits=1, user_api="openmp")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)


def join(device: str | torch.device) -> tuple[str | torch.device, Processes | None]:
    """Return the device of this process, and the processes if several train together.

    "accelerate" joins the group of those that a launcher started; without one, or with a single
    process, it is as "auto".
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu", None
    if device != "accelerate":
        _check_device(device)
        return device, None
    state = _state()
    own = torch.device("cpu") if state.device.type == "cpu" else state.device  # it may say "cpu:0"
    several = state.num_processes > 1
    return own, Processes(state.process_index, state.num_processes) if several else None


def _check_device(device: str | torch.device) -> None:
    """Refuse a device that is none, or not here; torch says so in errors of many types."""
    try:
        found = torch.empty(0, device=device).device
        if found.type == "meta" or (found.type == "cpu" and found.index):
            raise RuntimeError("it holds no numbers, or is not there.")
    except Exception as error:
        raise ValueError(
            f"device={device!r} cannot be used: {error} Use 'auto', 'cpu', or one that is here."
        ) from error


class Share:
    """The rows of each batch of a data set that one process has.

    Parameters
    ----------
    dataset : TensorData
        The same in all processes.
    processes : Processes
        They have rows in their order, as many each, or one more.
    """

    def __init__(self, dataset: Any, processes: Processes) -> None:
        self.dataset = dataset
        self.processes = processes

    def __len__(self) -> int:
        return len(self.dataset)

    def order(self, generator: torch.Generator) -> Tensor:
        """Return the numbers of all rows in a random order, the same in all processes."""
        return self.dataset.order(generator)

    def batches(self, parts: Sequence[Tensor | slice]) -> Iterator[Any]:
        """Yield the share of one batch after the other."""
        return self.dataset.batches([self._own(part) for part in parts])

    def _own(self, part: Any) -> Any:
        i, n = self.processes.index, self.processes.n
        if isinstance(part, slice):
            n_rows = part.stop - part.start
            return slice(part.start + n_rows * i // n, part.start + n_rows * (i + 1) // n)
        return part[len(part) * i // n : len(part) * (i + 1) // n]


def check_sizes(processes: Processes, n_samples: int, batch_size: int, drop_last: bool) -> None:
    """Refuse batches that have no row for each process."""
    rest = n_samples % batch_size
    smallest = batch_size if drop_last or not rest else rest
    if smallest < processes.n:
        raise ValueError(
            f"A batch of {smallest} rows cannot be shared by {processes.n} processes: use a larger "
            "batch_size, or fewer processes."
        )


def check_agreement(
    processes: Processes, device: str | torch.device, module: torch.nn.Module, **numbers: float
) -> None:
    """Refuse to train together what differs in some numbers, or in the weights of the module.

    The scalers of the module know the data. A process that fails here takes all others with it,
    where later they would wait for each other.
    """
    state = module.state_dict().values()
    numbers["weights or data"] = float(sum(value.double().abs().sum() for value in state))
    own = torch.tensor([list(numbers.values())], dtype=torch.float64, device=device)
    every = processes.gather(own, *processes.place(1, device))
    same = torch.isclose(every, every[:1], rtol=1e-6, atol=0.0, equal_nan=True).all(dim=0).tolist()
    if differing := [name for name, agreed in zip(numbers, same, strict=True) if not agreed]:
        raise ValueError(
            f"The processes differ in their {', '.join(differing)}: each has to call fit with the "
            "same data, parameters and random_state, and to see the same checkpoint_dir."
        )


def sum_gradients(processes: Processes, parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add the gradients of all processes up; where none has one, there is none."""
    parameters = list(parameters)
    known = [p.grad is not None for p in parameters]
    flat = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    sums = processes.sum(torch.cat([*flat, flat[0].new_tensor(known)]))
    *found, n_known = sums.split([*(p.numel() for p in parameters), len(parameters)])
    for p, gradient, n in zip(parameters, found, n_known.tolist(), strict=True):
        p.grad = gradient.view_as(p).to(p.dtype) if n else None


def _state() -> Any:
    """Return what accelerate knows of this process; the group is joined the first time."""
    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env
    except ImportError as error:
        raise ImportError(
            'device="accelerate" needs accelerate: pip install "skmm[distributed]".'
        ) from error
    # Without being told so, accelerate does not join processes that have no device but the CPU.
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available()
    return PartialState(cpu=cpu)
