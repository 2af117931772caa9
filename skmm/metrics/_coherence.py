"""Whether generated modalities are about the same thing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray


def coherence(
    generated: Mapping[str, ArrayLike], classifiers: Mapping[str, Any], y: ArrayLike | None = None
) -> float:
    """Compute how often classifiers of the modalities agree about generated samples.

    Each modality is judged by a classifier trained on real data of that modality.

    Parameters
    ----------
    generated : Modalities or dict of str to array-like (n_samples, ...)
        Generated modalities, paired by row. Modalities without a classifier are ignored.
    classifiers : dict of str to estimator
        Fitted scikit-learn classifiers, each with `predict` for flattened samples.
    y : array-like of shape (n_samples,), default=None
        The class that each row should have, for instance that of the row from which it was
        translated.

    Returns
    -------
    coherence : float
        Without `y` the share of rows in which all modalities that the row has are of the same
        class (joint coherence); rows with fewer than two are left out. With `y` the share of
        modalities, over all rows, whose class is that of `y` (conditional coherence).

    Raises
    ------
    ValueError
        If no modality has a classifier, numbers of rows differ, or no row can be judged.

    References
    ----------
    Y. Shi, N. Siddharth, B. Paige and P. Torr, "Variational mixture-of-experts autoencoders for
    multi-modal deep generative models", NeurIPS (2019), section 4.1.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skmm.metrics import coherence
    >>> one = DummyClassifier(strategy="constant", constant=1).fit([[0], [0]], [1, 2])
    >>> two = DummyClassifier(strategy="constant", constant=2).fit([[0], [0]], [1, 2])
    >>> generated = {"image": [[0.0], [0.0]], "text": [[0.0], [0.0]]}
    >>> coherence(generated, {"image": one, "text": two})
    0.0
    >>> coherence(generated, {"image": one, "text": two}, y=[1, 1])
    0.5
    """
    values = {name: np.asarray(v) for name, v in generated.items() if name in classifiers}
    if not values:
        raise ValueError(
            f"No modality of {list(generated.keys())} has a classifier; there are "
            f"{list(classifiers)}."
        )
    counts = {name: len(value) for name, value in values.items()}
    if y is not None:
        counts["y"] = len(np.asarray(y))
    if len(set(counts.values())) > 1:
        raise ValueError(f"Numbers of rows differ: {counts}.")
    missing = getattr(generated, "missing", None)
    present = {
        name: np.ones(len(v), dtype=bool) if missing is None else ~missing[name].to_numpy()
        for name, v in values.items()
    }
    classes = {name: _classes(classifiers[name], v, present[name]) for name, v in values.items()}
    if y is not None:
        labels = np.asarray(y)
        right = [classes[name][rows] == labels[rows] for name, rows in present.items()]
        return _share(np.concatenate(right))
    return _share(_agreement(classes, present))


def _classes(classifier: Any, value: Array, rows: Array) -> Array:
    """Return the predicted class of each row; what stands in other rows means nothing."""
    flat = value.reshape(len(value), -1)
    found = np.empty(len(value), dtype=object)
    if rows.any():
        found[rows] = classifier.predict(flat[rows])
    return found


def _agreement(classes: Mapping[str, Array], present: Mapping[str, Array]) -> Array:
    """Return for each row with two modalities or more whether all are of one class."""
    here = np.stack(list(present.values()), axis=1)
    predicted = np.stack(list(classes.values()), axis=1)
    first = predicted[np.arange(len(here)), here.argmax(axis=1)]
    same = ((predicted == first[:, None]) | ~here).all(axis=1)
    return same[here.sum(axis=1) >= 2]


def _share(right: Array) -> float:
    if not len(right):
        raise ValueError("No row has enough modalities to be judged.")
    return float(np.mean(right.astype(bool)))
