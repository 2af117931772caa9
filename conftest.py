"""What tests and doctests share."""

import sys

import pytest


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Close the figures that a test or an example leaves open; matplotlib warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
