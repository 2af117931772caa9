"""What ends a training: an early stop, and errors that say which parameter to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class EarlyStop(KeyboardInterrupt):
    """The training should end here."""


def is_early_stop(error: KeyboardInterrupt) -> bool:
    """Whether a callback ended the training, by skorch's convention with KeyboardInterrupt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    return isinstance(error, EarlyStop) or module.startswith("skorch.callbacks")


@contextmanager
def enough_rows() -> Iterator[None]:
    """Say which parameter to change where batch normalization meets a single row."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # torch's words, and skmm's own
            raise
        raise ValueError(
            "normalization='batch' needs two rows or more of each modality in every batch: use "
            "normalization='layer', a larger batch_size, more rows or fewer missing ones."
        ) from error


def diverged(term: str, epoch: int) -> ValueError:
    """Return the error of a term that is no number any more."""
    return ValueError(
        f"The objective's term {term!r} became NaN or infinite in epoch {epoch}: use a smaller lr, "
        "normalization='batch' or 'layer', a larger reg_covar or precision='float64'. The "
        "estimator is left as it was before."
    )
