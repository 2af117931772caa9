"""The linear CCA that closes a fit, on codes of a network or projections of a linear CCA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.linalg import block_diag

from skmm._cca import CCA
from skmm._cca._incomplete import shared_rows
from skmm._cca._pairs import PairSums
from skmm._deep_cca._held_out import HeldOut
from skmm._gaussian._normal import DenseNormal
from skmm._gaussian._patterns import side_by_side
from skmm._linalg import psd_pinv
from skmm._modalities import Modalities, missing_mask, observed_rows
from skmm._modalities._check import LARGEST

Array = np.ndarray
Codes = dict[str, Array]


def check_codes(codes: Codes, X: Modalities) -> None:
    """Refuse codes that a linear CCA cannot take."""
    for name, code in codes.items():
        size = float(np.abs(code[observed_rows(X, name)]).max())
        if not size <= LARGEST:  # NaN neither
            raise ValueError(
                f"The network's codes of modality {name!r} are not finite, or beyond {LARGEST:g}: "
                "use a smaller lr, or precision='float64'."
            )


def close(codes: Codes, fusion: str = "mean") -> CCA:
    """Fit the closing linear CCA to finite codes, whose rows are NaN where a modality is missing.

    With nearly as many columns as rows a little shrinkage keeps its covariances invertible.
    """
    n_rows, n_columns = next(iter(codes.values())).shape
    crowded = 2 * n_columns > n_rows - 2
    cca = CCA(shrinkage=1e-4 if crowded else 0.0, fusion=fusion)
    # Arrays, whatever is set globally.
    return cca.set_output(transform="default")._fit_checked(Modalities(codes))


def close_linear(linear: CCA, codes: Codes, fusion: str = "mean") -> CCA:
    """Fit the closing CCA to the projections of a linear one.

    Where rows lack modalities their covariance is that of the linear CCA, which knows it from all
    columns: from few rows of projections alone it would be another, and a worse one.
    """
    X = Modalities(codes)
    if not missing_mask(X).any():
        return close(codes, fusion)
    found = linear._model.solution.codes
    blocks = side_by_side([code.shape[1] for code in codes.values()])
    rows = np.tile(DenseNormal(found, blocks).typical_rows(), (3, 1))
    closing = close({name: rows[:, b] for name, b in zip(codes, blocks, strict=True)}, fusion)
    shared = shared_rows(X, None)
    closing._set_correlations(PairSums.of_rows(closing._model, X, None), shared)
    return closing


def linear_decoders(linear: CCA, closing: CCA) -> list[Array]:
    """Return the training regressions of each modality on the fused codes of a linear CCA."""
    model, known = closing._model, linear._model.solution
    fused = model.solution.fusion_map(closing.fusion) @ block_diag(
        *(weights.T for weights in model.solution.weights)
    )
    if closing.fusion == "posterior":
        fused = model.latent_scale()[:, None] * fused
    right = psd_pinv(fused @ known.codes @ fused.T) @ fused
    return [right @ between.T for between in known.between]


def held_out(codes: Mapping[str, Array], train: Array, rows: Array) -> HeldOut:
    """Return codes of held-out rows along the axes of training rows."""
    closing = close(_rows(codes, train))
    return HeldOut(rows, closing._model.along_axes(_projected(closing, _rows(codes, rows))))


def _projected(closing: CCA, codes: Codes) -> Codes:
    return closing._model.codes(Modalities(codes))


def _rows(codes: Mapping[str, Array], rows: Array | Sequence[int]) -> Codes:
    return {name: code[rows] for name, code in codes.items()}
