"""One thread in forked processes, which would wait for the threads of their parent for ever.

A child that was forked has none of its parent's threads, but OpenMP's state says that they are
there: the first parallel loop of torch or scikit-learn would wait for them for ever. So a child
computes with one thread - from the moment when it runs a network of skmm; a child that does
something else keeps the settings of its parent.
"""

from __future__ import annotations

import os

import torch
from sklearn.utils.parallel import _get_threadpool_controller

_forked = False


def settle() -> None:
    """Use one thread if this process was forked; called before anything is computed.

    Each time, for a limit ends with the context that others have set.
    """
    if _forked:
        torch.set_num_threads(1)
        _get_threadpool_controller().limit(limits=1, user_api="openmp")


def _note() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)
