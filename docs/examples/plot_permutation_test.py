"""
How many components are there?
==============================

Twenty men, three exercises and three body measures: with so few rows, correlations arise by
chance. The dots are correlations of the data, the violins those of permuted pairs at the same step
of the test. For the twenty men the first correlation of 0.8 lies at the edge of what chance gives,
and the others well inside it. A hundred and seventy-eight wines leave no doubt: two components are
far beyond chance, two are not.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_linnerud, load_wine

from skmm import CCA, Modalities
from skmm.inspection import permutation_test

men = load_linnerud()
wine = load_wine().data
data = {
    "exercise and body, 20 men": Modalities({"exercise": men.data, "body": men.target}),
    "acids and phenols, 178 wines": Modalities({"acids": wine[:, 1:5], "phenols": wine[:, 5:9]}),
}

# %%
# The test permutes pairs, one component after the other.

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
for ax, (name, X) in zip(axes, data.items(), strict=True):
    result = permutation_test(CCA(), X, n_permutations=999, statistic="roy", random_state=0)
    k = len(result.correlations)
    null = [np.asarray(result.null)[:, i] for i in range(k)]
    print(f"{name}: p = {np.round(result.p_values, 3)}, {result.n_significant()} beyond chance")
    ax.violinplot(null, positions=range(k), showextrema=False, widths=0.7)
    ax.plot(range(k), result.correlations, "o", color="C3")
    ax.set(title=name, xlabel="component", xticks=range(k), ylim=(0, 1))
axes[0].set_ylabel("statistic of the step")
plt.show()
