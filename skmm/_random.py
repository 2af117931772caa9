"""Random numbers that leave NumPy's global generator alone."""

import numpy as np
from sklearn.utils import check_random_state as _check_random_state

Seed = int | np.random.RandomState | None


def check_random_state(random_state: Seed) -> np.random.RandomState:
    """Return a generator: of an integer seed, the given one, or for None one the OS seeds.

    Unlike scikit-learn's function, None does not mean NumPy's global generator, which threads
    share.
    """
    return np.random.RandomState() if random_state is None else _check_random_state(random_state)


def seed_of(rng: np.random.RandomState) -> int:
    """Draw a seed for something that takes an integer."""
    return int(rng.randint(2**31))
