"""
When modalities go missing
==========================

Rows below lack halves of their image, in training as in the test, and more and more do. Four ways
out are compared: to train on the complete rows only, to put the mean where something is missing or
its linear expectation given the rest of the row, along with indicators of where that was, or to let
a classifier learn from whatever a row has. To drop incomplete rows costs the more, the more is
missing; to use whatever is there costs least.
"""

import matplotlib.pyplot as plt
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import MultimodalClassifier
from skmm.compose import ConcatModalities, GaussianImputer
from skmm.datasets import load_digits_halves
from skmm.inspection import MissingPatternsDisplay

X, y = load_digits_halves(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# What rows have when three of ten halves are missing at random.

MissingPatternsDisplay.from_modalities(X_train.with_gaps(0.3, random_state=0))
plt.show()

# %%
# The accuracy on test rows with gaps, for each share of halves that are missing. A row keeps one.

filled = make_pipeline(
    ConcatModalities(add_indicator=True),
    SimpleImputer(),
    StandardScaler(),
    LogisticRegression(max_iter=2000),
)
expected = make_pipeline(
    GaussianImputer(add_indicator=True),
    ConcatModalities(),
    StandardScaler(),
    LogisticRegression(max_iter=2000),
)
shares = [0.0, 0.2, 0.4, 0.6, 0.8]
names = ("whatever is there", "linear expectations", "means", "complete rows only")
curves: dict[str, list[float]] = {name: [] for name in names}
for share in shares:
    train, test = X_train.with_gaps(share, random_state=0), X_test.with_gaps(share, random_state=1)
    complete = ~train.missing.any(axis=1).to_numpy()
    model = MultimodalClassifier(max_epochs=20, random_state=0).fit(train, y_train)
    curves["whatever is there"].append(model.score(test, y_test))
    curves["linear expectations"].append(expected.fit(train, y_train).score(test, y_test))
    curves["means"].append(filled.fit(train, y_train).score(test, y_test))
    filled.fit(train[complete], y_train[complete])
    curves["complete rows only"].append(filled.score(test, y_test))

# %%

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, accuracy in curves.items():
    ax.plot(shares, accuracy, marker="o", label=name)
ax.set(xlabel="share of halves that are missing", ylabel="accuracy on test rows")
ax.legend()
plt.show()
