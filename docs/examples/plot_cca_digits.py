"""
Two halves of a digit: what do they agree on?
=============================================

The left and the right half of a handwritten digit are two descriptions of one thing. CCA finds the
directions in which they agree. In the first picture, training correlations are higher than those
of held-out rows, and both are above the band that shuffled pairs reach: there is agreement, and
less of it than training makes believe. In the second, test images gather by digit in the same
places whether one looks at the left half or at the right one, although the halves share no pixel.
"""

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from skmm import CCA
from skmm.datasets import load_digits_halves
from skmm.inspection import CorrelationDisplay, LatentDisplay

X, y = load_digits_halves(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

cca = CCA(10, shrinkage=0.1).fit(X_train)
print(f"held-out correlation, summed over 10 components: {cca.score(X_test):.2f}")

# %%
# How much of the correlation is there on rows that `fit` has not seen, and how much is chance?

CorrelationDisplay.from_estimator(cca, X_train, n_permutations=50, random_state=0)
plt.show()

# %%
# Two components of the test images, as seen from each half.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharex=True, sharey=True)
for ax, half in zip(axes, X.names, strict=True):
    LatentDisplay.from_estimator(cca, X_test, labels=y_test, modality=half, ax=ax)
axes[0].get_legend().remove()
plt.show()
