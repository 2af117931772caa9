"""Whether generated modalities are about the same thing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import column_or_1d

from skmm._modalities import Modalities

Array = np.ndarray


def coherence(
    generated: Mapping[str, ArrayLike], classifiers: Mapping[str, Any], y: ArrayLike | None = None
) -> float:
    """Compute how often classifiers of the modalities agree about generated samples.

    Each modality is judged by a classifier trained on real data of that modality.

    Parameters
    ----------
    generated : Modalities or dict of str to array-like (n_samples, ...)
        Generated modalities, paired by row. Missing (NaN) rows are not judged; modalities without
        a classifier are ignored.
    classifiers : dict of str to estimator
        Fitted scikit-learn classifiers, each with `predict` for flattened samples. One that was
        fitted on a DataFrame gets its modality as a DataFrame, if it is one.
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
    TypeError
        If `generated` has no names of modalities, or a classifier has no `predict`.
    ValueError
        If no modality has a classifier, numbers of rows differ, `y` has gaps or several columns,
        or no row can be judged.

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
    X = _judged(generated, classifiers)
    present = dict(zip(X.names, ~X.missing.to_numpy().T, strict=True))
    labels = None if y is None else _labels(y, len(X))
    classes = {name: _classes(classifiers[name], X, name, rows) for name, rows in present.items()}
    if labels is None:
        return _share(_agreement(classes, present))
    right = [classes[name][rows] == labels[rows] for name, rows in present.items()]
    return _share(np.concatenate(right))


def _judged(generated: Any, classifiers: Mapping[str, Any]) -> Modalities:
    """Return the modalities that have a classifier."""
    if not hasattr(generated, "items") or isinstance(generated, pd.DataFrame):
        raise TypeError(
            f"generated is a {type(generated).__name__}; pass Modalities or a dict from modality "
            "to samples."
        )
    names = [name for name in generated.keys() if name in classifiers]  # noqa: SIM118
    if not names:
        raise ValueError(
            f"No modality of {list(generated.keys())} has a classifier; there are "
            f"{list(classifiers)}."
        )
    if lacking := [name for name in names if not hasattr(classifiers[name], "predict")]:
        raise TypeError(f"The classifiers of {lacking} have no predict; pass fitted classifiers.")
    if isinstance(generated, Modalities):
        return generated.select(names)
    shapes = {name: np.shape(generated[name]) for name in names}
    if len({shape[:1] for shape in shapes.values()}) > 1:
        raise ValueError(f"Numbers of rows differ: the shapes are {shapes}.")
    return Modalities({name: generated[name] for name in names})


def _labels(y: ArrayLike, n_samples: int) -> Array:
    labels: Array = column_or_1d(y)
    if len(labels) != n_samples:
        raise ValueError(f"Numbers of rows differ: y has {len(labels)}, generated {n_samples}.")
    if n_gaps := int(np.sum(pd.isna(labels))):
        raise ValueError(f"y has no label in {n_gaps} rows: drop them.")
    return labels


def _classes(classifier: Any, X: Modalities, name: str, rows: Array) -> Array:
    """Return the predicted class of each row; values of unobserved rows mean nothing."""
    found = np.empty(len(X), dtype=object)
    if rows.any():
        found[rows] = classifier.predict(_input(classifier, X[rows][name]))
    return found


def _input(classifier: Any, value: Any) -> Any:
    """Return samples as the classifier saw them in fit: named columns, or flat ones."""
    named = isinstance(value, pd.DataFrame) and hasattr(classifier, "feature_names_in_")
    if named or sparse.issparse(value):
        return value
    return np.asarray(value).reshape(len(value), -1)


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
