"""Parameters of inference and of displays, checked."""

from collections.abc import Sequence
from typing import Any

from skmm._parameters import is_integer

MIN_ROWS = 3  # two rows always correlate by 1 or -1


def check_share(name: str, value: float) -> None:
    """Raise ValueError unless a value is strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name}={value!r} must be between 0 and 1, such as 0.95 or 0.5.")


def check_count(name: str, value: int | None, least: int = 2, *, or_none: bool = False) -> None:
    """Raise ValueError unless a value is an integer of at least `least`."""
    if not is_integer(value, least) and not (or_none and value is None):
        others = ", or None" if or_none else ""
        raise ValueError(f"{name}={value!r} must be an integer of at least {least}{others}.")


def check_n_rows(what: str, n_rows: int) -> None:
    """Raise ValueError if correlations of so few rows can only be 1 or -1."""
    if n_rows < MIN_ROWS:
        raise ValueError(f"{what} has n_samples={n_rows}, but needs at least {MIN_ROWS}.")


def check_component(name: str, component: Any, n_components: int) -> int:
    """Return the number of a component that exists."""
    if not is_integer(component, 0) or component >= n_components:
        raise ValueError(
            f"{name}={component!r} is not a component: there are {n_components}, "
            f"0 to {n_components - 1}."
        )
    return int(component)


def check_modality_names(wanted: Any, known: Sequence[str]) -> list[str]:
    """Return the names asked for, by default all."""
    if wanted is None:
        return list(known)
    if isinstance(wanted, str):
        raise ValueError(f"modalities={wanted!r} must be a list of names out of {list(known)}.")
    names = list(wanted)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"modalities={wanted!r} names {unknown}, but there are {list(known)}.")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"modalities={wanted!r} must be different names out of {list(known)}.")
    return names
