"""How much the score of an estimator owes to each modality, as a drawing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skmm.inspection._modality_importance import modality_importance
from skmm.inspection._plot._axes import (
    FONT,
    GREY,
    axes_for,
    legend_above,
    marks,
    name_rows,
    plain_frame,
    require_pyplot,
    style,
)

Array = np.ndarray
COLUMNS = ["estimate", "lower", "upper", "baseline"]
ONLY = "importance"  # name of a table that has none
ROOM = 0.5  # of a row, for all tables


class ModalityImportanceDisplay:
    """Points with intervals: the fall of the score if a modality is spoilt.

    The most important modality, by the first table, is on top. The line is at zero: no loss.

    Parameters
    ----------
    importances : DataFrame or dict of str to DataFrame
        What :func:`modality_importance` returns; or several such tables of the same modalities by
        name, such as one per method.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : dict of str to matplotlib ErrorbarContainer
        Points and intervals of each table; of a single one "importance".
    zero_line_ : matplotlib Line2D
        The line at zero.

    See Also
    --------
    modality_importance : Computes the table, and says how to read it.
    ModalityContributionDisplay : From which modalities a component comes.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmm.inspection import ModalityImportanceDisplay
    >>> columns = {"estimate": [0.1, 0.5], "lower": [-0.1, 0.4], "upper": [0.3, 0.6]}
    >>> table = pd.DataFrame({**columns, "baseline": 0.9}, index=["text", "image"])
    >>> display = ModalityImportanceDisplay(table).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['image', 'text']
    """

    def __init__(self, importances: pd.DataFrame | Mapping[str, pd.DataFrame]) -> None:
        self.importances = importances

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        method: Literal["permutation", "drop"] = "permutation",
        modalities: Sequence[str] | Mapping[str, Any] | None = None,
        scoring: str | Callable[..., float] | None = None,
        n_repeats: int = 10,
        sample_weight: ArrayLike | None = None,
        confidence: float = 0.95,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
    ) -> Self:
        """Spoil each modality in turn, score, and draw.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted; it is not fitted again.
        X : Modalities, dict, DataFrame or array-like of shape (n_samples, n_columns)
            Rows to score, best ones that `fit` has not seen.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target, if the score needs one.
        method : {"permutation", "drop"}, default="permutation"
            Whether the rows of a modality are exchanged, or it is missing in all of them.
        modalities : list of str, or dict of str to selector, default=None
            The modalities to spoil, or the columns of each in a flat array or DataFrame.
        scoring : str or callable, default=None
            As in scikit-learn. None is the `score` of `estimator`.
        n_repeats : int, default=10
            Number of permutations, and of bootstrap samples of the rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for a score that takes them.
        confidence : float, default=0.95
            Nominal probability that an interval contains the importance.
        n_jobs : int, default=None
            Number of joblib jobs; does not change the result.
        random_state : int, RandomState instance or None, default=None
            Seeds permutations and bootstrap.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ModalityImportanceDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If `X` is a sparse matrix or `scoring` not a single score.
        ValueError
            As :func:`modality_importance` does.

        Examples
        --------
        >>> from skmm import CCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import ModalityImportanceDisplay
        >>> X = load_digits_halves().data
        >>> cca = CCA(n_components=3, shrinkage=0.1).fit(X[:1000])
        >>> display = ModalityImportanceDisplay.from_estimator(cca, X[1000:], random_state=0)
        >>> display.importances.shape
        (2, 5)
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        importances = modality_importance(
            estimator,
            X,
            y,
            method=method,
            modalities=modalities,
            scoring=scoring,
            n_repeats=n_repeats,
            sample_weight=sample_weight,
            confidence=confidence,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        return cls(importances).plot(ax=ax)

    @classmethod
    def from_importances(
        cls, importances: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Any = None
    ) -> Self:
        """Draw tables that were computed before.

        Parameters
        ----------
        importances : DataFrame or dict of str to DataFrame
            What :func:`modality_importance` returns, or several such tables by name.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ModalityImportanceDisplay

        Raises
        ------
        ValueError
            If a table lacks a column or is not finite, or the tables differ in their modalities.

        Examples
        --------
        >>> from skmm import CCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import ModalityImportanceDisplay, modality_importance
        >>> X = load_digits_halves().data
        >>> cca = CCA(n_components=3, shrinkage=0.1).fit(X[:1000])
        >>> both = {
        ...     f"{k} samples": modality_importance(cca, X[1000:], n_repeats=k, random_state=0)
        ...     for k in (3, 10)
        ... }
        >>> list(ModalityImportanceDisplay.from_importances(both).bars_)
        ['3 samples', '10 samples']
        """
        require_pyplot(f"{cls.__name__}.from_importances")
        return cls(importances).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ModalityImportanceDisplay

        Raises
        ------
        ValueError
            If a table lacks a column or is not finite, or the tables differ in their modalities.
        """
        tables = self._check()
        n_rows = len(next(iter(tables.values())))
        height = max(2.0, 1.1 + (0.24 + 0.12 * len(tables)) * n_rows)
        ax = axes_for(f"{type(self).__name__}.plot", ax, (6.0, height))
        self.ax_, self.figure_ = ax, ax.figure
        self.zero_line_ = ax.axvline(0.0, color=GREY, lw=0.8, zorder=1)
        self.bars_ = {
            name: _draw(ax, table, number, np.arange(n_rows) + shift)
            for number, ((name, table), shift) in enumerate(
                zip(tables.items(), _shifts(len(tables)), strict=True)
            )
        }
        _finish(ax, tables)
        return self

    def _check(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name, their rows in the order of importance in the first."""
        given = self.importances
        tables = dict(given) if isinstance(given, Mapping) else {ONLY: given}
        tables = {str(name): pd.DataFrame(table) for name, table in tables.items()}
        if not tables:
            raise ValueError("importances is an empty dict; pass one table or more.")
        for name, table in tables.items():
            _check_table(name, table)
        first = next(iter(tables.values())).sort_values("estimate", ascending=False, kind="stable")
        for name, table in tables.items():
            if set(table.index) != set(first.index):
                raise ValueError(
                    "All tables must have the same modalities, but the first has "
                    f"{list(first.index)} and {name!r} has {list(table.index)}."
                )
        return {name: table.loc[first.index] for name, table in tables.items()}


def _check_table(name: str, table: pd.DataFrame) -> None:
    if absent := [column for column in COLUMNS if column not in table]:
        raise ValueError(
            f"The table {name!r} has no columns {absent}: pass a table of "
            f"modality_importance; it has {list(table)}."
        )
    values = table[COLUMNS].to_numpy(np.float64)
    is_number = values.size and np.isfinite(values).all()
    if not is_number or not table.index.is_unique or (np.diff(values[:, [1, 0, 2]]) < 0).any():
        raise ValueError(
            f"The table {name!r} must have a row of finite numbers per modality, with lower <= "
            f"estimate <= upper; got {values!r} for {list(table.index)}."
        )


def _shifts(n_tables: int) -> Array:
    """Return how far below the middle of a row each table is drawn."""
    return ROOM * ((np.arange(n_tables) + 0.5) / n_tables - 0.5)


def _draw(ax: Any, table: pd.DataFrame, number: int, places: Array) -> Any:
    colour, marker = style(number)
    estimate, lower, upper = (table[c].to_numpy(np.float64) for c in COLUMNS[:3])
    return ax.errorbar(
        estimate,
        places,
        xerr=[estimate - lower, upper - estimate],
        color=colour,
        marker=marker,
        ls="",
        ms=5,
        elinewidth=1.2,
        capsize=2.0,
        zorder=3,
    )


def _finish(ax: Any, tables: Mapping[str, pd.DataFrame]) -> None:
    names = list(next(iter(tables.values())).index)
    ax.set_ylim(len(names) - 0.5, -0.5)
    name_rows(ax, np.arange(len(names)), names)
    ax.set_xlabel(_label(tables), fontsize=FONT + 1)
    ax.tick_params(axis="x", labelsize=FONT)
    plain_frame(ax)
    if len(tables) > 1:
        legend_above(ax, marks(range(len(tables))), list(tables))


def _label(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the label of the axis, with the score of unspoilt rows if all tables agree."""
    baselines = np.concatenate([table["baseline"].to_numpy(float) for table in tables.values()])
    if not np.allclose(baselines, baselines[0], rtol=1e-6):
        return "Fall of the score"
    number = f"{baselines[0]:.3g}".replace("-", "−")
    return f"Fall of the score from {number}"
