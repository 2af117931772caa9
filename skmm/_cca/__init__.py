"""Canonical correlation analysis of two or more modalities.

`_estimator` holds the class. Behind it, in the order of use: `_moments` reads the rows,
`_whitening` turns each modality into uncorrelated unit-variance coordinates (three routes, one
result), `_objectives` finds the common directions there, `_solution` carries them back, and
`_gaussian` is the fitted model that `translate`, `sample` and the likelihood read. Arrays of other
libraries come in and results go out by `_array_api`; `_device` multiplies rows where they lie.
"""

from skmm._cca._estimator import CCA

__all__ = ["CCA"]
