"""Canonical correlation analysis of two or more modalities.

`_estimator` holds the class. Behind it, in the order of use: `_array_api` lets data in, `_rows`
(dense), `_sparse` and `_device` read them behind one interface into `_moments` or products,
`_whitening` turns each modality into uncorrelated unit-variance coordinates (by covariances; other
routes with the same result are `_root`, `_gram` and `_iterative`), `_objectives` finds the common
directions there, `_solution` carries them back, and `_gaussian` is the fitted distribution that
`_model` reads for `translate`, `sample` and the likelihood.
"""

from skmm._cca._estimator import CCA

__all__ = ["CCA"]
