"""
What do the components of wines mean?
=====================================

Wines are described by what a laboratory measures and by what the eye sees of their colour. The
circle shows each column by its correlation with the first two components: columns in the same
direction go together, also across modalities. Hue and flavanoids point one way, the depth of
colour and alcohol another. Below, bootstrap intervals tell which loadings of the first component
are certain: those that do not touch zero.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from skmm import CCA
from skmm.inspection import LoadingsDisplay, loading_intervals

wine = load_wine(as_frame=True).data.rename(columns={"od280/od315_of_diluted_wines": "od280/od315"})
colour = ["color_intensity", "hue", "od280/od315"]
laboratory = [column for column in wine if column not in colour]
X = {"colour": wine[colour], "laboratory": wine[laboratory]}
cca = CCA(2, shrinkage=0.1).fit(X)

# %%
# The circle of correlations.

LoadingsDisplay.from_estimator(cca, X, top=8)
plt.show()

# %%
# Which loadings of the first component are certain?

table = loading_intervals(cca, X, n_bootstrap=100, random_state=0)
first = table[table["component"] == 0].iloc[::-1]
fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
ax.axvline(0, color="grey", linewidth=1)
ax.hlines(first["feature"], first["lower"], first["upper"], linewidth=2)
ax.plot(first["estimate"], first["feature"], "o")
ax.set(xlabel="loading on the first component, 95 % interval")
plt.show()
