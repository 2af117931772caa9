"""Group factor analysis: linear factors that some modalities share and others have alone.

`_estimator` holds the class. Behind it `_gaps` finds the patterns of what is missing,
`_variational` has one step of the updates and its bound, `_rotation` the part of it that turns the
components, `_fitting` steps until nothing raises the bound, `_residual` has what the components
leave in common, and `_model` is the Gaussian that was found: codes, expectations, draws and the
likelihood.
"""

from skmm._group_factor_analysis._estimator import GroupFactorAnalysis

__all__ = ["GroupFactorAnalysis"]
