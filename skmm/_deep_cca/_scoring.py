"""The validation score, which chooses the epoch."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from skmm._nets import Net, TensorData
from skmm.metrics import total_correlation
from skmm.nn._alignment import Alignment

Array = np.ndarray
N_AXES = 10_000  # training rows at most that the axes of the score are fitted on


def score(net: Net, outputs: Alignment, observed: Tensor | None, *, axes: TensorData) -> float:
    """Return the total correlation of validation codes along the axes of training codes.

    With decoders the errors of reconstruction are subtracted, as in the objective.
    """
    row = net.history[-1]
    errors = sum(row[key] for key in row if key.startswith("valid_reconstruction_"))
    names, fitted = net.module_.names, net.outputs(axes)
    return total_correlation(_arrays(names, *fitted), _arrays(names, outputs, observed)) - errors


def _arrays(
    names: tuple[str, ...], outputs: Alignment, observed: Tensor | None
) -> dict[str, Array]:
    codes = [code.double().cpu().numpy() for code in outputs.codes]
    if observed is not None:
        present = observed.cpu().numpy().T
        codes = [np.where(here[:, None], z, np.nan) for here, z in zip(present, codes, strict=True)]
    return dict(zip(names, codes, strict=True))
