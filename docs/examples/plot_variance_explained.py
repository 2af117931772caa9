"""
Which component is about which modality?
========================================

Three descriptions of the same tumours are reduced to six components. Each cell of the heat map is
the share of a modality's variance that one component explains by itself; the bars above are all
components together. The first component of CCA explains most of every modality, since CCA looks
for what they share. All components of the autoencoder together explain more, but single ones mean
little: networks mix them, and one that is decoded without the others can be worse than nothing.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities, MultimodalAutoencoder
from skmm.compose import PerModality
from skmm.inspection import VarianceExplainedDisplay

cells = load_breast_cancer().data
X = Modalities({"mean": cells[:, :10], "error": cells[:, 10:20], "worst": cells[:, 20:]})
X = PerModality(StandardScaler()).fit_transform(X)

# %%
# Linear, and deep.

VarianceExplainedDisplay.from_estimator(CCA(6, shrinkage=0.1).fit(X), X)
plt.show()

# %%

model = MultimodalAutoencoder(6, hidden_layer_sizes=(64,), random_state=0).fit(X)
VarianceExplainedDisplay.from_estimator(model, X)
plt.show()
