"""Two CUDA devices without CUDA, for the CPU build of torch: `device.cpp` says what they are.

`start` has to come before torch is imported; it builds them if need be (half a minute; a C++
compiler is needed). From the root of the repository, for a script or a module:

PYTHONPATH=tests python -m simulated_cuda benchmarks/gpu_checks.py --tiny
PYTHONPATH=tests python -m simulated_cuda -m pytest tests/test_contract.py -k Autoencoder

SIMULATED_CUDA_DEVICES=1 makes it one device.
"""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SOURCE = Path(__file__).with_name("device.cpp")
BUILD = Path(__file__).parents[2] / "build" / "simulated_cuda"
COMPILER = os.environ.get("CXX", "g++")
FREE, TOTAL = 8 << 30, 16 << 30
running: Any = None  # the library, which counts waits and bytes


def unavailable():
    """Return why the devices cannot be simulated here; None if they can."""
    if "cuda: Optional[str] = None" not in _version():
        return "this torch is no CPU build"
    if not sys.platform.startswith("linux"):
        return f"simulated on Linux only, not on {sys.platform}"
    if not library().exists() and shutil.which(COMPILER) is None:
        return f"needs a C++ compiler, and there is no {COMPILER}"
    return None


def library():
    """Return where the library for this source and this torch is, or will be."""
    made_of = _version().encode() + SOURCE.read_bytes()
    return BUILD / f"{hashlib.sha256(made_of).hexdigest()[:16]}.so"


def build():
    """Compile the library unless that was done before."""
    file = library()
    if file.exists():
        return file
    BUILD.mkdir(parents=True, exist_ok=True)
    include, lib = _torch() / "include", _torch() / "lib"
    made = file.with_suffix(f".{os.getpid()}")
    command = [COMPILER, "-O1", "-g0", "-shared", "-fPIC", "-std=c++20", "-w", str(SOURCE)]
    command += [f"-I{include}", f"-I{include / 'torch/csrc/api/include'}", "-o", str(made)]
    command += [f"-L{lib}", "-lc10", "-ltorch_cpu", "-ltorch", f"-Wl,-rpath,{lib}"]
    subprocess.run(command, check=True)
    made.replace(file)
    return file


def start():
    """Load the library into torch, and let torch's Python believe in it."""
    global running
    if "torch" in sys.modules:
        raise RuntimeError("import simulated_cuda before torch, which asks for devices only once")
    loaded = ctypes.CDLL(str(build()), mode=ctypes.RTLD_GLOBAL)
    for name in ("n_devices", "count_waits", "count_global_draws"):
        getattr(loaded, name).restype = ctypes.c_int64
    for name in ("bytes_held", "bytes_at_most"):
        getattr(loaded, name).restype = ctypes.c_uint64
    loaded.start()
    import torch

    _persuade(torch, loaded)
    running = loaded


def _torch():
    """Return the folder of torch, which is not imported."""
    return Path(importlib.util.find_spec("torch").origin).parent


def _version():
    return (_torch() / "version.py").read_text(encoding="utf-8")


def _persuade(torch, loaded):
    """Answer for what the CPU build's `torch.cuda` would deny."""
    answers = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "_lazy_call": lambda function, **kwargs: None,
        "_is_in_bad_fork": lambda: False,
        "device_count": lambda: loaded.n_devices(),
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "get_device_name": lambda device=None: "simulated",
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_properties": lambda device=None: SimpleNamespace(
            name="simulated", total_memory=TOTAL, major=9, minor=0, multi_processor_count=1
        ),
        "is_bf16_supported": lambda including_emulation=True: True,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda device=None: (FREE, TOTAL),
        "memory_allocated": lambda device=None: loaded.bytes_held(),
        "memory_reserved": lambda device=None: loaded.bytes_held(),
        "max_memory_allocated": lambda device=None: loaded.bytes_at_most(),
        "reset_peak_memory_stats": lambda device=None: loaded.restart_peak(),
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        # Of a generator that nobody may use: how often it was used.
        "get_rng_state": lambda device="cuda": torch.tensor([loaded.count_global_draws()]),
        "set_rng_state": lambda *args, **kwargs: None,
        "default_generators": (),
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    lower = {
        "_cuda_getDevice": lambda: 0,
        "_cuda_setDevice": lambda device: None,
        "_cuda_exchangeDevice": lambda device: 0,
        "_cuda_maybeExchangeDevice": lambda device: 0,
        "_cuda_getDeviceCount": lambda: loaded.n_devices(),
        "_cuda_isInBadFork": lambda: False,
        "_cuda_getCurrentRawStream": lambda device: 0,
        "_cuda_synchronize": lambda: None,
    }
    for name, answer in lower.items():
        if not hasattr(torch._C, name):
            setattr(torch._C, name, answer)
    torch.backends.cudnn.is_acceptable = lambda tensor: False
    warnings.filterwarnings("ignore", message=".*cuDNN/MIOpen.*")
    _carry_storages(torch)


def _carry_storages(torch):
    """Let storages cross between devices, as `torch.save` and `torch.load` need it."""
    kind = torch.UntypedStorage
    to, clone, cpu = kind.to, kind.clone, kind.cpu

    def copied(storage, device):
        new = torch.empty(storage.nbytes(), dtype=torch.uint8, device=device)
        return new.copy_(torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage))

    def is_there(device):
        return torch.device(device).type == "cuda"

    def new_to(self, device=None, non_blocking=False):
        if is_there(device):
            return copied(self, device).untyped_storage()
        return to(self, device=device, non_blocking=non_blocking)

    def new_clone(self):
        return copied(self, self.device).untyped_storage() if is_there(self.device) else clone(self)

    def new_cpu(self):
        return copied(self, "cpu").untyped_storage() if is_there(self.device) else cpu(self)

    kind.to, kind.clone, kind.cpu = new_to, new_clone, new_cpu
