"""From which modalities the components of a probabilistic model come."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skmm.inspection._fitted import fitted_model
from skmm.inspection._plot._axes import (
    FONT,
    GREY,
    LIGHT,
    axes_for,
    legend_above,
    name_rows,
    plain_frame,
    require_pyplot,
    step_of_rows,
    style,
)

Array = np.ndarray
PRIOR = "prior"
FAINT = 0.3  # opacity of inactive components
INACTIVE = "inactive"


class ModalityContributionDisplay:
    """Stacked bars of the share that each modality has in a component.

    A component that comes from the prior has nothing from the data. Components that are inactive,
    whose codes do not vary over the rows, are faint and hatched.

    Parameters
    ----------
    table : DataFrame of shape (n_modalities + 1, n_components)
        Shares, as `modality_contribution_` of an estimator: a row per modality and one called
        "prior", a column per component. A row "prior" is drawn last, in grey.
    active : array-like of bool of shape (n_components,), default=None
        Whether a component is used; None marks none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure of the axes.
    bars_ : dict of str to matplotlib BarContainer
        The bars of each row of `table`, one per component, the first on top.

    See Also
    --------
    VarianceExplainedDisplay : How much of each modality a component explains.

    Examples
    --------
    >>> import pandas as pd
    >>> from skmm.inspection import ModalityContributionDisplay
    >>> table = pd.DataFrame([[0.5, 0.0], [0.25, 0.0], [0.25, 1.0]], ["image", "text", "prior"])
    >>> display = ModalityContributionDisplay(table, active=[True, False]).plot()
    >>> [float(bar.get_width()) for bar in display.bars_["image"]]
    [0.5, 0.0]
    """

    def __init__(self, table: pd.DataFrame, *, active: ArrayLike | None = None) -> None:
        self.table = table
        self.active = active

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the shares of a fitted estimator.

        Parameters
        ----------
        estimator : MultimodalVAE, Pipeline or search that ends in one
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ModalityContributionDisplay

        Raises
        ------
        NotFittedError
            If `estimator` is not fitted.
        TypeError
            If it has no `modality_contribution_`.

        Examples
        --------
        >>> from skmm import MultimodalVAE
        >>> from skmm.datasets import load_digits_halves
        >>> from skmm.inspection import ModalityContributionDisplay
        >>> X = load_digits_halves().data[:300]
        >>> vae = MultimodalVAE(
        ...     3, hidden_layer_sizes=(16,), max_epochs=10, lr=1e-2, random_state=0
        ... ).fit(X)
        >>> list(ModalityContributionDisplay.from_estimator(vae).bars_)
        ['left', 'right', 'prior']
        """
        require_pyplot(f"{cls.__name__}.from_estimator")
        model = fitted_model(estimator)
        if not hasattr(model, "modality_contribution_"):
            raise TypeError(
                f"{type(model).__name__} has no modality_contribution_: this display is for "
                "MultimodalVAE, or pipelines and searches ending in one."
            )
        active = getattr(model, "active_units_", None)
        return cls(model.modality_contribution_, active=active).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ModalityContributionDisplay

        Raises
        ------
        ValueError
            If `table` is empty, negative or not finite, or `active` has not an entry per component.
        """
        table, active = self._check()
        k = table.shape[1]
        ax = axes_for(f"{type(self).__name__}.plot", ax, (6.0, max(2.0, 1.2 + 0.24 * k)))
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_ = {}
        colours = _colours(list(table.index))
        left = np.zeros(k)
        for name, shares in zip(table.index, table.to_numpy(np.float64), strict=True):
            self.bars_[name] = ax.barh(
                np.arange(k), shares, left=left, height=0.75, color=colours[name], lw=0
            )
            _fade(self.bars_[name], active)
            left += shares
        _finish(ax, [str(component) for component in table], active, float(left.max()))
        _draw_legend(ax, colours, has_inactive=not active.all())
        return self

    def _check(self) -> tuple[pd.DataFrame, Array]:
        table = pd.DataFrame(self.table)
        values = table.to_numpy(np.float64)
        if not values.size or not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(
                "table must hold shares of at least 0, a row per modality and a column per "
                f"component; got {table.shape} with {table.to_numpy()!r}."
            )
        k = table.shape[1]
        active = np.ones(k, dtype=bool) if self.active is None else np.asarray(self.active)
        if active.shape != (k,) or active.dtype != bool:
            raise ValueError(f"active must be {k} bools, one per component; got {self.active!r}.")
        last = [name for name in table.index if name == PRIOR]
        return table.loc[[*(name for name in table.index if name != PRIOR), *last]], active


def _colours(names: list[str]) -> dict[str, str]:
    """Return a colour per row: modalities in that of their number, the prior in grey."""
    return {name: LIGHT if name == PRIOR else style(number)[0] for number, name in enumerate(names)}


def _fade(bars: Any, active: Array) -> None:
    for bar, is_active in zip(bars, active, strict=True):
        if not is_active:
            red, green, blue, _ = bar.get_facecolor()
            bar.set(facecolor=(red, green, blue, FAINT), hatch="////", edgecolor=GREY)


def _finish(ax: Any, components: list[str], active: Array, total: float) -> None:
    """Label the axes; of many components every second, third and so on."""
    from matplotlib.ticker import PercentFormatter

    k = len(components)
    ax.set_ylim(k - 0.5, -0.5)
    ax.set_xlim(0.0, max(total, 1.0))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    step = step_of_rows(ax, ax.get_window_extent().height / k)
    name_rows(ax, np.arange(0, k, step), components[::step])
    for label, is_active in zip(ax.get_yticklabels(), active[::step], strict=True):
        label.set(color="black" if is_active else GREY)
    ax.set_xlabel("Share in the precision of the code", fontsize=FONT + 1)
    ax.set_ylabel("Component", fontsize=FONT + 1)
    ax.tick_params(axis="x", labelsize=FONT)
    plain_frame(ax)


def _draw_legend(ax: Any, colours: dict[str, str], *, has_inactive: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour) for colour in colours.values()]
    names = list(colours)
    if has_inactive:
        handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", lw=0.5))
        names.append(INACTIVE)
    legend_above(ax, handles, names)
