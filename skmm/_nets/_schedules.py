"""Learning-rate schedules as functions of how much of the training is done."""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]
WARM_UP = 0.3  # share of the training in which "onecycle" rises


def constant(progress: float) -> float:
    """Keep the learning rate."""
    return 1.0


def cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter, 2017)."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def onecycle(progress: float) -> float:
    """Rise from 1/25 to 1, then fall to 0, both along half a cosine (Smith and Topin, 2018)."""
    if progress < WARM_UP:
        return 1 - 0.96 * cosine(progress / WARM_UP)
    return cosine((progress - WARM_UP) / (1 - WARM_UP))


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine, "onecycle": onecycle}
