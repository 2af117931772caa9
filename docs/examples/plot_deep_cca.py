"""
DeepCCA against CCA
===================

Is a network worth it? On the halves of digits the correlations of DeepCCA are far above those of
linear CCA in every component, on images that neither has seen. The lower picture shows the
training: the score on rows that are held out from training rises within some epochs, and the best
epoch is kept. Where the network is not clearly better, `fit` keeps the linear solution instead,
and `linear_share_` tells.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmm import CCA, DeepCCA
from skmm.datasets import load_digits_halves
from skmm.inspection import TrainingCurveDisplay

X, y = load_digits_halves(return_X_y=True)
X_train, X_test = train_test_split(X, stratify=y, random_state=0)

models = {
    "CCA": CCA(10, shrinkage=0.1).fit(X_train),
    "DeepCCA": DeepCCA(10, hidden_layer_sizes=(256, 256), random_state=0).fit(X_train),
}
print("has the network been replaced by the linear solution?", models["DeepCCA"].linear_share_ == 1)

# %%
# Correlation of the paired projections of test images, component by component.

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for i, (name, model) in enumerate(models.items()):
    left, right = model.transform_each(X_test).values()
    correlations = [np.corrcoef(left[:, k], right[:, k])[0, 1] for k in range(10)]
    label = f"{name}, total {model.score(X_test):.1f}"
    ax.bar(np.arange(10) + 0.4 * i - 0.2, correlations, width=0.4, label=label)
ax.set(xlabel="component", ylabel="correlation, test images", xticks=range(10))
ax.legend(loc="lower left")
plt.show()

# %%
# How the training went.

TrainingCurveDisplay.from_estimator(models["DeepCCA"])
plt.show()
