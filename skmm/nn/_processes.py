"""Modules that see some rows of a batch, while other processes see the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skmm.nn._rows import Rows

# Types that are sent as others, since not all backends can add them.
_TRAVELS_AS = {torch.bool: torch.uint8, torch.bfloat16: torch.float32, torch.float16: torch.float32}


@dataclass(frozen=True)
class Processes:
    """The processes of torch's default group: each has rows of a batch, in order of the processes.

    All that they tell each other are sums, so rows need not be spread evenly.

    Parameters
    ----------
    index : int
        The number of this one.
    n : int
        How many there are.
    """

    index: int
    n: int

    @torch.compiler.disable
    def sum(self, x: Tensor) -> Tensor:
        """Return the sum over the processes, as a constant."""
        x = x.detach().clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(x)
        return x

    @torch.compiler.disable
    def total(self, x: Tensor) -> Tensor:
        """Return the sum over the processes; the gradient is that of the losses of all."""
        return _Total.apply(x, self)

    def first(self, value: float, device: str | torch.device) -> float:
        """Return the number that the first process has."""
        mine = value if self.index == 0 else 0.0
        return float(self.sum(torch.tensor(mine, dtype=torch.float64, device=device)))

    def place(self, n_rows: int, device: str | torch.device) -> tuple[int, int]:
        """Return how many rows stand before those of this process, and how many there are."""
        counts = torch.zeros(self.n, dtype=torch.int64, device=device)
        counts[self.index] = n_rows
        found = self.sum(counts).tolist()
        return sum(found[: self.index]), sum(found)

    def gather(self, x: Tensor, n_before: int, n_total: int) -> Tensor:
        """Return the rows of all processes; those of the others are constants.

        Where all processes compute a loss of all rows from it, the sum over processes of the
        gradients of their weights is the gradient of that loss: this needs no way back.
        """
        dtype = _TRAVELS_AS.get(x.dtype, x.dtype)
        whole = torch.zeros(n_total, *x.shape[1:], dtype=dtype, device=x.device)
        whole[n_before : n_before + len(x)] = x.detach()
        whole = self.sum(whole).to(x.dtype)
        return torch.cat([whole[:n_before], x, whole[n_before + len(x) :]])


class _Total(torch.autograd.Function):
    """The sum over processes. The losses of all depend on each summand, so gradients are summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        return processes.sum(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Total.apply(gradient, ctx.processes), None


class Shared(nn.Module):
    """A module that has to know of the rows of a batch in other processes; abstract.

    Attributes
    ----------
    processes : Processes or None
        Set by `share`. None where all rows are here.
    """

    processes: Processes | None = None

    def _anywhere(self, rows: Rows, *modalities: int) -> bool:
        """Whether any row of the batch has these: all processes have to take the same way."""
        if rows.mask is None:
            return True
        having = rows.having(*modalities)
        found = having is None or len(having) > 0
        if self.processes is None:
            return found
        return bool(self.processes.sum(torch.tensor(int(found), device=rows.device)))

    def _filled(self, empty: Tensor, fill: Callable[[Tensor], Tensor], dim: int = 0) -> Tensor:
        """Fill a tensor that has the rows of the batch along `dim` with random numbers.

        They are drawn for all rows of the batch, so that they do not depend on who has which.
        """
        if self.processes is None:
            return fill(empty)
        n_rows = empty.shape[dim]
        before, total = self.processes.place(n_rows, empty.device)
        shape = [*empty.shape[:dim], total, *empty.shape[dim + 1 :]]
        # In memory the axes follow each other as they do in what one process would fill.
        order = sorted(range(empty.dim()), key=empty.stride, reverse=True)
        whole = torch.empty_permuted(shape, order, dtype=empty.dtype, device=empty.device)
        return fill(whole).narrow(dim, before, n_rows)


def share(module: nn.Module, processes: Processes | None) -> None:
    """Let a module know that other processes have rows of the batch; None: not any more.

    Batch normalization, also in modules of users, then takes the statistics of all rows.
    """
    for part in module.modules():
        if isinstance(part, Shared):
            part.processes = processes
        elif isinstance(part, _BatchNorm):
            part.__dict__.pop("forward", None)
            if processes is not None:
                part.__dict__["forward"] = partial(_normalized, part, processes)


@torch.compiler.disable
def _normalized(layer: _BatchNorm, processes: Processes, x: Tensor) -> Tensor:
    """Apply batch normalization by the statistics of the rows of all processes."""
    if not layer.training:
        return type(layer).forward(layer, x)
    n = int(processes.sum(torch.tensor(x.numel() // x.shape[1], device=x.device)))
    if n < 2:
        raise ValueError(f"Expected more than 1 value per channel when training, got {n}.")
    values = x.to(_TRAVELS_AS.get(x.dtype, x.dtype))
    axes = [d for d in range(x.dim()) if d != 1]
    column = [1, -1, *[1] * (x.dim() - 2)]
    mean = processes.total(values.sum(dim=axes)) / n
    centred = values - mean.view(column)
    variance = processes.total(centred.square().sum(dim=axes)) / n
    _remember(layer, mean.detach(), variance.detach() * (n / (n - 1)))
    y = centred * (variance + layer.eps).rsqrt().view(column)
    if layer.affine:
        y = y * layer.weight.view(column) + layer.bias.view(column)
    return y.to(x.dtype)


def _remember(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the averages that a layer predicts with."""
    if layer.running_mean is None or layer.running_var is None:
        return
    n_batches: Any = layer.num_batches_tracked
    n_batches += 1
    weight = 1 / float(n_batches) if layer.momentum is None else layer.momentum
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), weight)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), weight)
