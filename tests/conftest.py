"""Fixtures of more than one test module."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def skmm_data():
    """Return the folder of the real data sets, or skip."""
    folder = os.environ.get("SKMM_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real data: set SKMM_DATA to their folder")
    return Path(folder)
