"""
Tune with GridSearchCV: shrinkage and fusion
============================================

A search sees multimodal data as any other: rows are split, modalities stay together. A Pipeline
standardises each modality, aligns them and classifies digits; the search chooses the shrinkage of
the alignment and what is made of its projections. The projections of both halves side by side
("concat") tell more about the digit than one projection of both, and strong shrinkage is best:
what tells digits apart are directions of large variance, not those in which the halves agree most.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA
from skmm.compose import PerModality
from skmm.datasets import load_digits_halves

X, y = load_digits_halves(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

pipe = Pipeline(
    [
        ("scale", PerModality(StandardScaler())),
        ("align", CCA(10)),
        ("classify", LogisticRegression(max_iter=2000)),
    ]
)
grid = {
    "align__shrinkage": [0.01, 0.03, 0.1, 0.3, 0.6, 0.9],
    "align__fusion": ["mean", "posterior", "concat"],
}
search = GridSearchCV(pipe, grid, cv=3).fit(X_train, y_train)
print("chosen:", search.best_params_)
print(f"accuracy on test rows: {search.score(X_test, y_test):.3f}")

# %%
# Mean accuracy of the folds, with its standard error.

table = pd.DataFrame(search.cv_results_)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for fusion, part in table.groupby("param_align__fusion"):
    error = part["std_test_score"] / 3**0.5
    ax.errorbar(
        part["param_align__shrinkage"].astype(float),
        part["mean_test_score"],
        error,
        marker="o",
        capsize=3,
        label=fusion,
    )
ax.set(xscale="log", xlabel="shrinkage", ylabel="accuracy, three folds")
ax.legend(title="fusion")
plt.show()
