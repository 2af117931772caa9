"""How the training of a network went."""

from typing import Any, Self

import numpy as np
import pandas as pd

from skmm.inspection._fitted import fitted_model
from skmm.inspection._plot._axes import (
    COLOURS,
    FONT,
    GREY,
    plain_frame,
    require_pyplot,
    wrapped,
)

Array = np.ndarray
PANEL = (3.2, 2.0)  # inches
ALONE = 5.0  # inches, the width of a single column
MOST_COLUMNS = 3
FEW = 12  # this many epochs or fewer have a dot each: a line needs two
TITLE: dict[str, Any] = {"loc": "left", "fontsize": FONT, "parse_math": False}
KINDS = {"valid": ("held out", "-", 1.0), "train": ("training", "--", 0.7)}


class TrainingCurveDisplay:
    """Validation score and terms of the objective over the epochs of a training.

    Their scales differ, so each has a panel: the score on top, then the loss and its terms; a
    loss of a single term is shown once, under the name of the term.

    Parameters
    ----------
    history : DataFrame
        One row per epoch with the columns ``epoch``, ``train_<term>``, and, where rows were held
        out, ``valid_<term>`` and ``valid_score``, as in `history_` of the deep estimators.
    best_epoch : int, default=None
        Epoch to mark; None is the one with the highest ``valid_score``.
    title : str, default=None
        First line above the first panel.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The panels, in the order drawn: score, loss, terms.
    figure_ : matplotlib Figure
        Figure of the panels.
    best_epoch_ : int or None
        Epoch that is marked in every panel; None without validation.
    lines_ : dict of str to matplotlib Line2D
        The curves, by column of `history`.

    See Also
    --------
    LatentDisplay : The codes that come out.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmm.inspection import TrainingCurveDisplay
    >>> history = pd.DataFrame(
    ...     {"epoch": [1, 2], "train_loss": [2.0, 1.0], "valid_score": [0.25, 0.5]}
    ... )
    >>> display = TrainingCurveDisplay(history).plot()
    >>> display.axes_[0].get_title(loc="left")
    'validation score, best 0.5 in epoch 2'
    """

    def __init__(
        self, history: pd.DataFrame, *, best_epoch: int | None = None, title: str | None = None
    ) -> None:
        self.history = history
        self.best_epoch = best_epoch
        self.title = title

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the history of a fitted estimator.

        The title names the estimator, and says so if it kept the linear solution instead of the
        network (`linear_share_`).

        Parameters
        ----------
        estimator : deep estimator, Pipeline or search that ends in one
            Fitted.
        ax : matplotlib Axes or array-like of Axes, default=None
            A single one gives its place to the panels; of several, each takes a panel. None makes
            a figure.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it has no `history_`.
        ValueError
            If `ax` has no room for the panels.

        Examples
        --------
        >>> from skmm import DeepCCA
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import TrainingCurveDisplay
        >>> X, _ = load_digits_halves(return_X_y=True)
        >>> model = DeepCCA(2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0).fit(X[:200])
        >>> display = TrainingCurveDisplay.from_estimator(model)
        >>> sorted(display.lines_)
        ['train_correlation', 'valid_correlation', 'valid_score']
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        model = fitted_model(estimator)
        if not hasattr(model, "history_"):
            raise TypeError(
                f"{type(model).__name__} has no history_: only deep estimators are trained in "
                "epochs."
            )
        title = type(model).__name__
        if getattr(model, "linear_share_", None) == 1:
            title += ": the linear solution was kept"
        return cls(model.history_, title=title).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            A single one gives its place to the panels; of several, each takes a panel. None makes
            a figure.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If `history` lacks the columns, the best epoch is not in it, or `ax` has no room for
            the panels.
        TypeError
            If `ax` is something else.
        """
        plt = require_pyplot(f"{type(self).__name__}.plot")
        history = pd.DataFrame(self.history)
        terms = _terms(history)
        has_score = "valid_score" in history and bool(history["valid_score"].notna().any())
        self.best_epoch_ = self._find_best(history, has_score)
        names = [*(["score"] if has_score else []), *terms]
        self.axes_ = _panels(plt, ax, names)
        self.figure_ = self.axes_[0].figure
        self.lines_: dict[str, Any] = {}
        for number, (panel, name) in enumerate(zip(self.axes_, names, strict=True)):
            self._draw(panel, history, name, COLOURS[number % len(COLOURS)])
        for number, (panel, name) in enumerate(zip(self.axes_, names, strict=True)):
            self._caption(panel, history, name, is_first=number == 0)
        return self

    def _find_best(self, history: pd.DataFrame, has_score: bool) -> int | None:
        if self.best_epoch is not None:
            if self.best_epoch not in set(history["epoch"]):
                raise ValueError(
                    f"best_epoch={self.best_epoch!r} is not in history: its epochs are "
                    f"{history['epoch'].min()} to {history['epoch'].max()}."
                )
            return int(self.best_epoch)
        if not has_score:
            return None
        best = np.nanargmax(history["valid_score"].to_numpy(np.float64))
        return int(history["epoch"].iloc[best])

    def _draw(self, ax: Any, history: pd.DataFrame, name: str, colour: str) -> None:
        for kind, (label, dashes, alpha) in KINDS.items():
            column = f"{kind}_{name}"
            if column not in history or history[column].isna().all():
                continue
            values = history[column].to_numpy(np.float64)
            is_short = np.isfinite(values).sum() <= FEW
            (self.lines_[column],) = ax.plot(
                history["epoch"].to_numpy(), values, color=colour, ls=dashes, alpha=alpha, lw=1.4,
                marker="o" if is_short else "", ms=3, label=label,
            )  # fmt: skip
        if self.best_epoch_ is not None:
            ax.axvline(self.best_epoch_, color=GREY, lw=0.8, ls=":", zorder=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.tick_params(labelsize=FONT - 1)
        plain_frame(ax)

    def _caption(self, ax: Any, history: pd.DataFrame, name: str, *, is_first: bool) -> None:
        """Name the curves in the titles: a legend would cover small panels."""
        kinds = [kind for kind in KINDS if f"{kind}_{name}" in self.lines_]
        lines = [", ".join([name, *(KINDS[kind][0] for kind in kinds if len(kinds) == 1)])]
        if name == "score":
            value = history.loc[history["epoch"] == self.best_epoch_, "valid_score"].iloc[0]
            best = f"validation score, best {value:.4g} in epoch {self.best_epoch_}"
            lines = [best.replace("-", "−")]
        elif is_first and self.best_epoch_ is not None:
            lines[0] += f", best epoch {self.best_epoch_}"
        if is_first:
            terms = [column.removeprefix("train_") for column in self.lines_]
            has_both = any({f"valid_{t}", f"train_{t}"} <= set(self.lines_) for t in terms)
            heading = [self.title, "training dashed" if has_both else None]
            lines.insert(0, ", ".join(filter(None, heading)))
        text = "\n".join(line for line in lines if line)
        ax.set_title(wrapped(ax, text, FONT), **TITLE)


def _terms(history: pd.DataFrame) -> list[str]:
    """Return the loss and its terms; a single term is the loss."""
    columns = [str(column) for column in history]
    # Scores of skorch come with a column that says whether an epoch is the best.
    columns = [c for c in columns if not c.endswith("_best") or c[: -len("_best")] not in columns]
    for prefix in ("train_", "valid_"):  # before the first epoch there are only the latter
        names = [c.removeprefix(prefix) for c in columns if c.startswith(prefix)]
        terms = [name for name in names if name not in ("loss", "score")]
        if "epoch" in columns and (terms or "loss" in names):
            return ["loss", *terms] if "loss" in names and len(terms) != 1 else terms
    raise ValueError(
        f"history must have the columns 'epoch' and 'train_<term>', got {list(history)}."
    )


def _panels(plt: Any, ax: Any, names: list[str]) -> Array:
    """Return a panel for each name, in the place of a single axes or in those given."""
    if ax is not None and not isinstance(ax, plt.Axes):
        return _given(plt, ax, names)
    n_terms = len(names) - ("score" in names)
    n_columns = -(-n_terms // -(-n_terms // MOST_COLUMNS))
    n_rows = -(-n_terms // n_columns) + ("score" in names)
    if ax is None:
        width = PANEL[0] * n_columns if n_columns > 1 else ALONE
        figure = plt.figure(figsize=(width, PANEL[1] * n_rows + 0.5), layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    else:
        figure, grid = ax.figure, _grid_in(ax, n_rows, n_columns)
        ax.set_axis_off()
    cells = [grid[0, :]] if "score" in names else []
    cells += [grid[len(cells) + i // n_columns, i % n_columns] for i in range(n_terms)]
    panels = [figure.add_subplot(cells[0])]
    panels += [figure.add_subplot(cell, sharex=panels[0]) for cell in cells[1:]]
    for number, panel in enumerate(panels):
        if number >= len(panels) - n_columns:  # nothing below
            panel.set_xlabel("epoch", fontsize=FONT)
        elif number or n_columns == 1:  # as wide as the one below
            panel.tick_params(labelbottom=False)
    return np.array(panels, dtype=object)


def _given(plt: Any, ax: Any, names: list[str]) -> Array:
    panels = np.asarray(ax, dtype=object).ravel()
    if not all(isinstance(panel, plt.Axes) for panel in panels):
        raise TypeError(f"ax must be an Axes or an array of Axes, got {ax!r}.")
    if len(panels) != len(names):
        raise ValueError(f"ax must be one Axes or {len(names)}, for {names}: got {len(panels)}.")
    for panel in panels:
        panel.set_xlabel("epoch", fontsize=FONT)
    return panels


def _grid_in(ax: Any, n_rows: int, n_columns: int) -> Any:
    """Return a grid in the place of axes, with room between for titles and ticks."""
    spec = ax.get_subplotspec()
    if spec is None or not ax.axison:
        reason = "is off, maybe by an earlier display" if spec else "is not part of a grid"
        raise ValueError(
            f"ax {reason}, so that panels cannot take its place: pass an Axes of plt.subplots, or "
            "an array of Axes such as the axes_ of that display."
        )
    engine = ax.figure.get_layout_engine()
    if engine is not None and not engine.adjust_compatible:  # it finds the room itself
        return spec.subgridspec(n_rows, n_columns)
    box, line = ax.get_window_extent(), FONT * ax.get_figure(root=True).dpi / 72
    space = {
        name: gap / max((size - (n - 1) * gap) / n, line)
        for name, gap, size, n in (
            ("hspace", (2.4 if n_columns == 1 else 3.6) * line, box.height, n_rows),
            ("wspace", 4.5 * line, box.width, n_columns),
        )
    }
    return spec.subgridspec(n_rows, n_columns, **space)
