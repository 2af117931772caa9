"""
Which description of a tumour does the classifier need?
=======================================================

The breast cancer data describe cells by ten measures, each as a mean over the cells, as its
standard error, and as the mean of the three worst cells: three modalities. Two questions are asked
of one classifier. If a modality is shuffled, how much accuracy is lost? And if it is missing
altogether? Shuffled values mislead: without those of the worst cells a quarter of the accuracy is
gone. A modality that is known to be missing does little harm, since the classifier was trained
with modalities hidden at random and the three descriptions say much the same.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from skmm import Modalities, MultimodalClassifier
from skmm.inspection import ModalityImportanceDisplay, modality_importance

cells, y = load_breast_cancer(return_X_y=True)
X = Modalities({"mean": cells[:, :10], "error": cells[:, 10:20], "worst": cells[:, 20:]})
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

model = MultimodalClassifier(modality_dropout=0.3, max_epochs=50, random_state=0)
model.fit(X_train, y_train)
print(f"accuracy on test rows: {model.score(X_test, y_test):.3f}")
for name in X.names:
    print(f"from {name} alone: {model.score(X_test.select([name]), y_test):.3f}")

# %%
# Points are losses of accuracy, lines their 95 % intervals.

importances = {
    "shuffled": modality_importance(model, X_test, y_test, method="permutation", random_state=0),
    "missing": modality_importance(model, X_test, y_test, method="drop", random_state=0),
}
ModalityImportanceDisplay.from_importances(importances)
plt.show()
