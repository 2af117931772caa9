"""
Draws instead of means
======================

A regression answers with a mean, ConditionalGAN with draws. In the first picture the truth is
known: the cloud of possible targets splits in three as the condition grows, and the draws in the
lower row follow it, with some in between, where a mean would lie between the branches. In the
second, the progress of diabetes is drawn given body measures of new patients: the bars are
intervals of 80 %, and how many of the patients lie in theirs is printed.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from skmm import ConditionalGAN
from skmm.datasets import make_conditional
from skmm.metrics import interval_coverage

# %%
# Simulated: the first condition says how far the branches are apart.

X, y = make_conditional("branches", 2000, random_state=0, return_X_y=True)
gan = ConditionalGAN(max_epochs=100, random_state=0).fit(X, y)
exact = make_conditional("branches", 4, random_state=1)
conditions = np.array(exact.data["X"])
conditions[:, :2] = np.c_[[-0.9, -0.2, 0.4, 0.9], np.zeros(4)]

fig, axes = plt.subplots(2, 4, figsize=(10, 5), layout="constrained", sharex=True, sharey=True)
truth = exact.sample_conditional(conditions, 300, random_state=0)
drawn = gan.sample(300, given=conditions, random_state=0)
for row, (name, clouds) in zip(axes, {"truth": truth, "draws": drawn}.items(), strict=True):
    row[0].set_ylabel(name)
    for i, ax in enumerate(row):
        ax.scatter(*np.asarray(clouds)[:, i].T, s=4, alpha=0.5, color=f"C{int(name == 'draws')}")
        if name == "truth":
            ax.set_title(f"condition {conditions[i, 0]:.1f}")
plt.show()

# %%
# Real: intervals for patients that the model has not seen, in the order of their means.

X, y = load_diabetes(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
gan = ConditionalGAN(random_state=0).fit(X_train, y_train)
drawn = gan.sample(400, given=X_test, random_state=0)
print(f"patients within their 80 % interval: {interval_coverage(y_test, drawn, level=0.8):.0%}")

drawn = np.asarray(drawn).reshape(400, -1)
order = drawn.mean(axis=0).argsort()
low, high = np.quantile(drawn, [0.1, 0.9], axis=0)[:, order]
fig, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
ax.vlines(range(len(order)), low, high, color="C0", alpha=0.5, label="80 % of the draws")
ax.plot(y_test[order], ".", color="C3", label="truth")
ax.set(xlabel="patients, by predicted mean", ylabel="progress after a year")
ax.legend()
plt.show()
