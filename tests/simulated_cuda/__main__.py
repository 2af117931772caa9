"""Run a script, or with -m a module, on the simulated devices."""

import runpy
import sys

import simulated_cuda

if __name__ == "__main__":
    simulated_cuda.start()
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
