"""
When modalities go missing
==========================

Every row below may have lost one half of its image, in training as in the test, and more and more
rows have. Three ways out are compared: to train on the complete rows only, to put the mean where
something is missing, or to let a classifier learn from whatever a row has. As long as most rows
are complete all do well; the more is missing, the more is gained by the last one, which also works
where no row is complete and the first has nothing to learn from.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import Modalities, MultimodalClassifier
from skmm.datasets import load_digits_halves

X, y = load_digits_halves(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)


def with_gaps(X: Modalities, share: float, seed: int) -> Modalities:
    """Let this share of the rows lose one of their halves."""
    rng = np.random.default_rng(seed)
    lacking, left = rng.random(len(X)) < share, rng.random(len(X)) < 0.5
    return X.with_missing("left", lacking & left).with_missing("right", lacking & ~left)


def side_by_side(X: Modalities) -> np.ndarray:
    """All columns in one array, NaN where they are missing."""
    gaps = {name: np.asarray(X.missing[name])[:, None] for name in X.names}
    return np.hstack([np.where(gaps[name], np.nan, X[name]) for name in X.names])


# %%
# The accuracy on test rows with gaps, for each share of rows that lack a half.

mean_imputed = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2000))
shares = [0.0, 0.3, 0.6, 0.9, 1.0]
curves: dict[str, list[float]] = {"whatever is there": [], "means": [], "complete rows only": []}
for share in shares:
    train, test = with_gaps(X_train, share, 0), with_gaps(X_test, share, 1)
    model = MultimodalClassifier(max_epochs=20, random_state=0).fit(train, y_train)
    curves["whatever is there"].append(model.score(test, y_test))
    filled = mean_imputed.fit(side_by_side(train), y_train)
    curves["means"].append(filled.score(side_by_side(test), y_test))
    complete = ~train.missing.any(axis=1).to_numpy()
    if complete.any():
        filled = mean_imputed.fit(side_by_side(train)[complete], y_train[complete])
        curves["complete rows only"].append(filled.score(side_by_side(test), y_test))

# %%

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, accuracy in curves.items():
    ax.plot(shares[: len(accuracy)], accuracy, marker="o", label=name)
ax.set(xlabel="share of rows that lack a half", ylabel="accuracy on test rows")
ax.legend()
plt.show()
