"""
Does deep beat linear on your data?
===================================

A table of your own, two groups of columns and a label: the benchmark fits methods on the same
splits and answers with an interval. Here the data are the wines of scikit-learn. The differences
to the best linear method are drawn with their corrected 95 % intervals: if one contains zero, the
answer is that nothing is certain, and for 178 wines that is the honest one.
"""

from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from skmm import MultimodalClassifier
from skmm.benchmark import Benchmark, Task, usual_methods
from skmm.compose import ConcatModalities

X, y = load_wine(as_frame=True, return_X_y=True)
colour = ["color_intensity", "hue", "od280/od315_of_diluted_wines"]
task = Task("wine", {"colour": X[colour], "laboratory": X.drop(columns=colour)}, y, "classify")
methods = {
    "logistic regression": usual_methods(task)["Logistic regression"],
    "random forest": make_pipeline(ConcatModalities(), RandomForestClassifier(random_state=0)),
    "deep": MultimodalClassifier(max_epochs=40, random_state=0),
}

# %%
# Every method is fitted on the same five splits. Each fit is kept as a file: here the folder is
# thrown away, in earnest it lets a run that was stopped go on. `benchmark.to_html` writes the
# whole report.

with TemporaryDirectory() as folder:
    benchmark = Benchmark(methods, task, baseline="logistic regression", random_state=0)
    benchmark.run(folder)
table = benchmark.summary()
table = table[table["metric"].isin(["accuracy", "log_loss"])]
print(table[["method", "metric", "mean", "difference", "outcome"]].round(3).to_string(index=False))

# %%
# Differences to logistic regression. The control, trained with shuffled labels, is at chance and
# left out.

fig, axes = plt.subplots(1, 2, figsize=(10, 2.2), layout="constrained", sharey=True)
for ax, (metric, part) in zip(axes, table.groupby("metric"), strict=True):
    part = part[~part["is_baseline"] & (part["role"] != "control")]
    ax.axvline(0, color="grey", linewidth=1)
    ax.hlines(part["method"], part["low"], part["high"], linewidth=2)
    ax.plot(part["difference"], part["method"], "o")
    ax.margins(y=0.5)
    better = "higher" if metric == "accuracy" else "lower"
    ax.set(xlabel=f"difference in {metric}, {better} is better")
plt.show()
