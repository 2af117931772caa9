"""The validation score, which chooses the epoch."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from skmm._deep_cca._held_out import HeldOut, total
from skmm._nets import FoldData, Net, Outputs, TensorData
from skmm.metrics._correlation import along_training_axes
from skmm.nn._alignment import Alignment
from skmm.nn._members import members_of

Array = np.ndarray
# Training rows, at most, that the axes of the score are fitted on, and of them for each component.
N_AXES, N_AXES_EACH = 2000, 100


def score(net: Net, found: list[Outputs], *, axes: TensorData | FoldData) -> float:
    """Return the total correlation of validation codes along the axes of training codes.

    With decoders the errors of reconstruction are subtracted, as in the objective. Of several
    networks all held-out rows together make one correlation.
    """
    row = net.history[-1]
    errors = sum(row[key] for key in row if key.startswith("valid_reconstruction_"))
    names = members_of(net.module_)[0].names
    folds = [
        _held_out(_arrays(names, *known), _arrays(names, *new))
        for known, new in zip(net.outputs(axes), found, strict=True)
    ]
    return total(folds) - errors


def _held_out(train: dict[str, Array], held_out: dict[str, Array]) -> HeldOut:
    rows = np.arange(len(next(iter(held_out.values()))))
    return HeldOut(rows, list(along_training_axes(train, held_out)))


def _arrays(
    names: tuple[str, ...], outputs: Alignment, observed: Tensor | None
) -> dict[str, Array]:
    codes = [code.double().cpu().numpy() for code in outputs.codes]
    if observed is not None:
        present = observed.cpu().numpy().T
        codes = [np.where(here[:, None], z, np.nan) for here, z in zip(present, codes, strict=True)]
    return dict(zip(names, codes, strict=True))
