"""Which values parameters and arguments may have: numbers that are not true or false."""

from numbers import Integral
from typing import Any

from sklearn.utils._param_validation import Interval


class Numbers(Interval):
    """An interval of numbers without the bools, which Python counts among the integers."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether a value lies in it."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


POSITIVE = Numbers(Integral, 1, None, closed="left")


def is_integer(value: object, least: int = 1) -> bool:
    """Whether a value is an integer of at least `least`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
