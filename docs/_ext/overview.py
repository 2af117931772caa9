"""The three pictures of the start page, made from a model when the site is built.

They have no background, and colours that are seen on white and on black. Run as a script this makes
them anew, and from them the picture of README.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from sphinx.application import Sphinx

GREY = "#808890"
FOLDER = Path(__file__).parents[1] / "_static" / "generated"


def _canvas(width: float, height: float) -> tuple[plt.Figure, Axes]:
    figure, ax = plt.subplots(figsize=(width, height), layout="constrained")
    ax.axis("off")
    return figure, ax


def _save(figure: plt.Figure, name: str) -> None:
    figure.savefig(FOLDER / f"{name}.png", dpi=160, transparent=True)
    plt.close(figure)


def _align(codes: list[np.ndarray], y: np.ndarray) -> None:
    """Draw paired codes of both modalities, joined by lines."""
    figure, ax = _canvas(4, 3)
    for digit in range(5):
        left, right = (points[y == digit][:16] for points in codes)
        for a, b in zip(left, right, strict=True):
            ax.plot(*np.stack([a, b]).T, color=f"C{digit}", alpha=0.4, linewidth=1)
        ax.plot(*left.T, "o", color=f"C{digit}", markersize=5)
        ax.plot(*right.T, "o", color=f"C{digit}", markersize=5, markerfacecolor="none")
    _save(figure, "align")


def _fuse(codes: np.ndarray, lacking: np.ndarray, y: np.ndarray) -> None:
    """Draw joint codes; rows that lack a modality are open."""
    figure, ax = _canvas(4, 3)
    for digit in range(10):
        for open_, rows in enumerate([(y == digit) & ~lacking, (y == digit) & lacking]):
            face = "none" if open_ else f"C{digit}"
            points = codes[rows]
            ax.plot(*points.T, "o", color=f"C{digit}", markersize=4, markerfacecolor=face)
    _save(figure, "fuse")


def _transfer(given: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> None:
    """Draw halves that are given, what is predicted from them, and the truth."""
    figure, axes = plt.subplots(3, len(given), figsize=(4, 3), layout="constrained")
    rows = {"given": np.full_like(true, np.nan), "predicted": predicted, "true": true}
    for line, (label, rights) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(label, color=GREY, fontsize=12)
        for ax, left, right in zip(line, given, rights, strict=True):
            image = np.hstack([left.reshape(8, 4), right.reshape(8, 4)])
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color(GREY)
    _save(figure, "transfer")


def draw() -> None:
    """Fit two models to halves of digits and draw."""
    from sklearn.manifold import TSNE

    from skmm import DeepCCA, MultimodalAutoencoder
    from skmm.datasets import load_digits_halves

    FOLDER.mkdir(parents=True, exist_ok=True)
    X, y = load_digits_halves(return_X_y=True)
    train, test, y_test = X[:1300], X[1300:], y[1300:]
    aligned = DeepCCA(10, hidden_layer_sizes=(256,), random_state=0).fit(train)
    pairs = np.vstack(list(aligned.transform_each(test).values()))
    _align(np.split(TSNE(random_state=0).fit_transform(pairs), 2), y_test)

    model = MultimodalAutoencoder(16, hidden_layer_sizes=(128,), max_epochs=40, random_state=0)
    model.fit(train)
    lacking = np.random.default_rng(0).random(len(test)) < 0.3
    codes = model.transform(test.with_missing("right", lacking))
    _fuse(TSNE(random_state=0).fit_transform(codes), lacking, y_test)

    rows = [np.flatnonzero(y_test == digit)[1] for digit in (0, 2, 4, 6, 9)]
    predicted = model.translate(test[rows].select(["left"]), "right")
    _transfer(np.asarray(test[rows]["left"]), predicted, np.asarray(test[rows]["right"]))


def _combine() -> None:
    """Put the three side by side, for README."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for ax, name in zip(axes, ("align", "fuse", "transfer"), strict=True):
        ax.imshow(plt.imread(FOLDER / f"{name}.png"))
        ax.set_title(name, color=GREY, fontsize=16)
        ax.axis("off")
    figure.savefig(FOLDER.parent / "overview.png", dpi=80, transparent=True)


def _on_start(app: Sphinx) -> None:
    if not (FOLDER / "transfer.png").exists():
        draw()


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw before pages are read, unless the pictures are there."""
    app.connect("builder-inited", _on_start)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    draw()
    _combine()
