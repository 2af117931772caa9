"""Settings of torch that others of the same process have changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def plain_torch() -> Iterator[None]:
    """Run as if nobody had set anything: single precision, the CPU, gradients, no autocast.

    Settings of determinism, of checks and of threads stay as they are. All is put back.
    """
    with ExitStack() as stack:
        stack.enter_context(_single_precision)
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        default = torch.get_default_device().type
        if default != "cpu":  # it would cost a bit in each operation
            stack.enter_context(torch.device("cpu"))
        for kind in {"cpu", default, "cuda"} - {"meta"}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


class _SinglePrecision:
    """Single precision as torch's default while any thread needs it.

    The default is the process's, unlike all else: the first thread sets it, the last resets it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._before = torch.float32

    def __enter__(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                self._before = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self._n_inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                torch.set_default_dtype(self._before)


_single_precision = _SinglePrecision()
