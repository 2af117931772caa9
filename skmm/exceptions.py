"""Warnings of their own class, so that they can be filtered."""

__all__ = ["IndexMismatchWarning"]


class IndexMismatchWarning(UserWarning):
    """Rows may not belong together: what goes with `X` has another index, or frames share none.

    Warned of where an index may differ with good reason: labels, weights, groups and confounds
    (scikit-learn's `permutation_test_score` permutes a Series together with its index), and frames
    that :meth:`skmm.Modalities.join` finds no common sample in. Modalities whose indexes differ are
    an error.

    Examples
    --------
    >>> import warnings
    >>> from skmm.exceptions import IndexMismatchWarning
    >>> warnings.simplefilter("error", IndexMismatchWarning)
    """
