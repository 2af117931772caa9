"""Which tasks and methods a command asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sklearn.base import BaseEstimator

from skmm.benchmark._methods import Method, as_method, usual_methods
from skmm.benchmark._own_data import import_object, is_importable
from skmm.benchmark._reading import did_you_mean
from skmm.benchmark._suites import matches
from skmm.benchmark._tasks import Task

Methods = Mapping[str, Method]


def keep_tasks(tasks: Sequence[Task], patterns: Sequence[str]) -> list[Task]:
    """Return the tasks whose names match a pattern; none take all."""
    names = [task.name for task in tasks]
    _check_patterns("task", patterns, names)
    return [t for t in tasks if not patterns or any(matches(t.name, p) for p in patterns)]


def chosen_methods(
    asked: Sequence[str], tasks: Sequence[Task]
) -> tuple[Callable[[Task], Methods], list[Task], list[str]]:
    """Return a function from a task to its methods, the tasks that have any, and notes on others.

    Patterns choose from the usual methods; ``module:object`` adds to them.
    """
    own = [text for text in asked if is_importable(text)]
    patterns = [text for text in asked if text not in own]
    names = {name: None for task in tasks for name in usual_methods(task)}
    _check_patterns("method", patterns, list(names))
    added = {name: method for text in own for name, method in _imported(text).items()}
    if taken := [name for name in added if name in names]:
        raise ValueError(f"Your methods have names of usual ones, {taken}: give them others.")
    choose = partial(_choose, patterns=patterns, added=added)
    kept = [task for task in tasks if choose(task)]
    notes = [
        f"{task.name} was left out: none of the methods {patterns} is for tasks of its kind, "
        f"{task.kind!r}."
        for task in tasks
        if task not in kept
    ]
    return choose, kept, notes


def _choose(task: Task, *, patterns: Sequence[str], added: Methods) -> Methods:
    usual = usual_methods(task)
    if patterns:
        usual = {n: m for n, m in usual.items() if any(matches(n, p) for p in patterns)}
    return {**usual, **added}


def _imported(text: str) -> dict[str, Method]:
    """Return the methods that an object is: an estimator, its class, a Method, or a dict."""
    found, name = import_object(text), text.split(":")[1]
    if isinstance(found, Mapping):
        return {str(key): _method(text, one) for key, one in found.items()}
    return {name: _method(text, found)}


def _method(text: str, value: Any) -> Method:
    if isinstance(value, type) and issubclass(value, BaseEstimator):
        value = value()
    try:
        return as_method(value)
    except TypeError as error:
        raise TypeError(f"{text}: {error}") from error


def _check_patterns(what: str, patterns: Sequence[str], names: Sequence[str]) -> None:
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            raise ValueError(
                f"No {what} matches {pattern!r}.{did_you_mean(pattern, names)} There are "
                f"{list(names)}."
            )
