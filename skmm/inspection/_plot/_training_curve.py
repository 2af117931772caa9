"""How the training of a network went."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skmm.inspection._plot._axes import COLOURS, FONT, GREY, plain_frame, require_pyplot

Array = np.ndarray
PANEL = (3.2, 2.3)  # inches
MOST_COLUMNS = 3


class TrainingCurveDisplay:
    """Terms of the objective and validation score over the epochs of a training.

    One panel for each: their scales differ.

    Parameters
    ----------
    history : DataFrame
        One row per epoch with the columns ``epoch``, ``train_<term>``, and, where rows were held
        out, ``valid_<term>`` and ``valid_score``, as in `history_` of the deep estimators.
    title : str, default=None
        Above the panels, in a figure of their own.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The panels: the validation score if there is one, the loss, then its terms if there are
        several.
    figure_ : matplotlib Figure
        Figure of the panels.
    best_epoch_ : int or None
        Epoch of the highest validation score, which is marked.
    lines_ : dict of str to matplotlib Line2D
        The curves, by column of `history`.

    See Also
    --------
    LatentDisplay : The codes that come out.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmm.inspection import TrainingCurveDisplay
    >>> history = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.0, 1.0]})
    >>> display = TrainingCurveDisplay(history).plot()
    >>> display.lines_["train_loss"].get_ydata()
    array([2., 1.])
    """

    def __init__(self, history: pd.DataFrame, *, title: str | None = None) -> None:
        self.history = history
        self.title = title

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : deep estimator, Pipeline or search that ends in one
            Fitted.
        ax : matplotlib Axes, default=None
            Replaced by the panels; None makes a figure.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it has no `history_`.
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        while isinstance(estimator, Pipeline) or hasattr(estimator, "best_estimator_"):
            pipeline = isinstance(estimator, Pipeline)
            estimator = estimator[-1] if pipeline else estimator.best_estimator_
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"{type(estimator).__name__} has no history_: only deep estimators are trained "
                "in epochs."
            )
        title = type(estimator).__name__
        if getattr(estimator, "is_linear_", False):
            title += ": the linear solution was kept"
        return cls(estimator.history_, title=title).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Replaced by the panels; None makes a figure.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If `history` has no column ``epoch`` or no curve.
        """
        history = pd.DataFrame(self.history)
        terms = _terms(history)
        has_score = "valid_score" in history and history["valid_score"].notna().any()
        names = [*(["score"] if has_score else []), *terms]
        plt = require_pyplot(f"{type(self).__name__}.plot")
        figure, panels = _panels(plt, ax, len(names))
        self.axes_, self.figure_ = panels, figure
        self.lines_: dict[str, Any] = {}
        self.best_epoch_: int | None = None
        if has_score:
            best = history["valid_score"].to_numpy(np.float64)
            self.best_epoch_ = int(history["epoch"].iloc[np.nanargmax(best)])
        for panel, name in zip(panels, names, strict=True):
            self._draw(panel, history, name)
        if self.title and ax is None:
            figure.suptitle(self.title, fontsize=FONT + 1, x=0.01, ha="left", parse_math=False)
        return self

    def _draw(self, ax: Any, history: pd.DataFrame, name: str) -> None:
        for k, kind in enumerate(("valid", "train")):
            column = f"{kind}_{name}"
            if column in history and history[column].notna().any():
                rows = history[column].notna().to_numpy()
                label = "held out" if kind == "valid" else "training"
                (self.lines_[column],) = ax.plot(
                    history["epoch"].to_numpy()[rows], history[column].to_numpy()[rows],
                    color=COLOURS[k], ls="-" if kind == "valid" else "--", lw=1.3, label=label,
                )  # fmt: skip
        title = f"validation {name}" if name == "score" else name.replace("_", " ")
        if self.best_epoch_ is not None:
            ax.axvline(self.best_epoch_, color=GREY, lw=0.8, ls=":")
            if name == "score":
                value = history["valid_score"].max()
                title += f": {value:.4g} in epoch {self.best_epoch_}".replace("-", "−")
        else:
            title += ", training"
        ax.set_title(title, loc="left", fontsize=FONT, parse_math=False)
        ax.set_xlabel("epoch", fontsize=FONT)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.tick_params(labelsize=FONT - 1)
        plain_frame(ax)
        if name == "loss" and len(ax.lines) > 1 + (self.best_epoch_ is not None):
            ax.legend(fontsize=FONT - 1, frameon=False)


def _terms(history: pd.DataFrame) -> list[str]:
    """Return the loss, and its terms if there are several."""
    names = [str(c).removeprefix("train_") for c in history if str(c).startswith("train_")]
    if "epoch" not in history or not names:
        raise ValueError(
            f"history must have the columns 'epoch' and 'train_<term>', got {list(history)}."
        )
    terms = [name for name in names if name != "loss"]
    return [*(["loss"] if "loss" in names else []), *(terms if len(terms) > 1 else [])] or terms


def _panels(plt: Any, ax: Any, n_panels: int) -> tuple[Any, Array]:
    """Return a figure and its panels, in the place of the axes that are given."""
    n_columns = min(n_panels, MOST_COLUMNS)
    n_rows = -(-n_panels // n_columns)
    if ax is None:
        size = (PANEL[0] * n_columns, PANEL[1] * n_rows + 0.3)
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        figure = ax.get_figure(root=True)
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    panels = [figure.add_subplot(grid[i // n_columns, i % n_columns]) for i in range(n_panels)]
    return figure, np.array(panels)
