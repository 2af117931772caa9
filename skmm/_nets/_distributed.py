"""Training on several devices: a process each, with its share of the rows of every batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from skmm._nets._device import Device, canonical, resolve
from skmm._nets._fork import settle
from skmm.nn._processes import Processes


def join(device: Device) -> tuple[torch.device, Processes | None]:
    """Return the device of this process, and the processes if several train together.

    "accelerate" joins the group of those that a launcher started; without one, or with a single
    process, it is as "auto".
    """
    settle()
    if device == "auto":
        return resolve("cuda" if torch.cuda.is_available() else "cpu"), None
    if device != "accelerate":
        return resolve(device), None
    state = _state()
    several = state.num_processes > 1
    own = canonical(state.device)
    return own, Processes(state.process_index, state.num_processes) if several else None


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
    """Refuse to train together if processes differ in some numbers, or in the module's state.

    The scalers of the module know the data, so its state tells other data too. All processes see
    the same numbers and fail together, where later they would wait for each other.
    """
    state = module.state_dict().values()
    numbers["weights or data"] = float(sum(value.double().abs().sum() for value in state))
    own = torch.tensor([list(numbers.values())], dtype=torch.float64, device=device)  # (1, n)
    every = processes.gather(own, *processes.place(1, device))  # (n_processes, n)
    # Sums of weights on different devices differ by rounding; NaN agrees with NaN.
    same = torch.isclose(every, every[:1], rtol=1e-6, atol=0.0, equal_nan=True).all(dim=0).tolist()
    if differing := [name for name, agreed in zip(numbers, same, strict=True) if not agreed]:
        raise ValueError(
            f"The processes differ in their {', '.join(differing)}: each has to call fit with the "
            "same data, parameters and random_state, and to see the same checkpoint_dir."
        )


def sum_gradients(processes: Processes, parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add the gradients of all processes up; where none has one, there is none."""
    parameters = list(parameters)
    # All processes sum the same flat tensor, in one message: a parameter without a gradient here
    # adds zeros, and how many processes have one travels at the end.
    known = [p.grad is not None for p in parameters]
    flat = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
    sums = processes.sum(torch.cat([*flat, flat[0].new_tensor(known)]))
    *found, n_known = sums.split([*(p.numel() for p in parameters), len(parameters)])
    for p, gradient, n in zip(parameters, found, n_known.tolist(), strict=True):
        p.grad = gradient.view_as(p).to(p.dtype) if n else None


def _state() -> Any:
    """Return accelerate's state of this process; the group is joined the first time."""
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
