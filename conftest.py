"""What tests and doctests share."""

import os
import sys

import pytest

# They state results of the processor, whose random numbers are others. `tests/simulated_cuda` and
# `make gpu` are for devices.
if "SKMM_TEST_CUDA" not in os.environ:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Close the figures that a test or an example leaves open; matplotlib warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
