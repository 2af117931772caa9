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


def pytest_collection_modifyitems(items):
    """Run the laws estimator by estimator, so that a worker has few models to fit."""
    laws = {"test_contract.py", "test_bad_input.py"}
    where = [i for i, item in enumerate(items) if item.path.name in laws]
    by_estimator = sorted((items[i] for i in where), key=_estimator)  # stable
    for i, item in zip(where, by_estimator, strict=True):
        items[i] = item


def _estimator(item):
    """Return the place of the estimator that a test is about, by its name in the id."""
    told = getattr(item, "callspec", None)
    subject = told and (told.params.get("case") or told.params.get("variant"))
    return type(getattr(subject, "small", getattr(subject, "estimator", None))).__name__
