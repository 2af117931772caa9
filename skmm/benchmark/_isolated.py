"""A cell in a process of its own: with a limit of time, and with its peak memory."""

from __future__ import annotations

import os
import sys
from concurrent.futures import TimeoutError as OutOfTime
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from skmm.benchmark._cells import Cell, Record, failed, run_cell

MIB = 2**20
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def run_isolated(cell: Cell, timeout: float | None = None) -> Record:
    """Run a cell in a fresh process; one that takes too long or dies is recorded as failed."""
    executor = ProcessPoolExecutor(max_workers=1)
    try:
        executor.submit(_ready).result()  # imports do not count
        return executor.submit(_run_measured, cell).result(timeout)
    except OutOfTime:
        return failed(cell, "timeout", f"Not done after {timeout:g} s, so it was ended.")
    except TerminatedWorkerError as error:
        message = f"The process died, for example for want of memory: {error}"
        return failed(cell, "failed", message)
    finally:
        executor.shutdown(wait=True, kill_workers=True)


def _ready() -> int:
    return os.getpid()


def _run_measured(cell: Cell) -> Record:
    cuda = _cuda()
    if cuda is not None:  # which starts CUDA: its part of the host's memory is no method's
        cuda.reset_peak_memory_stats()
    before = _restart_peak()
    record = run_cell(cell)
    peaks = {"peak_memory": (_peak() - before) / MIB}
    if cuda is not None:
        peaks["cuda_memory"] = cuda.max_memory_allocated() / MIB
    if record["status"] == "ok":
        record["values"] |= peaks
    return record


def _restart_peak() -> int:
    """Reset the peak to the memory that is resident now, and return that in bytes."""
    try:
        _RESET.write_text("5")
        return _from_status("VmRSS")
    except OSError:  # not Linux, or not allowed: the peak until now is what it starts from
        return _peak()


def _peak() -> int:
    try:
        return _from_status("VmHWM")
    except OSError:
        import resource  # not on Windows

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024


def _from_status(field: str) -> int:
    """Return a field of the kernel's account of this process, in bytes."""
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def _cuda() -> Any:
    import torch

    return torch.cuda if torch.cuda.is_available() else None
