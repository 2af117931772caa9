"""
Save a model, and use it elsewhere
==================================

A fitted model is an object like any other of scikit-learn: it is pickled, by joblib for instance,
and a model that was fitted on a GPU loads on a machine without one. Here a whole Pipeline is
saved, loaded, and asked for the body measures that belong to a training programme. What is
predicted before and after lies on one line: nothing has been lost on the way.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_linnerud
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities
from skmm.compose import PerModality

men = load_linnerud(as_frame=True)
X = Modalities({"exercise": men.data, "body": men.target})
pipe = make_pipeline(PerModality(StandardScaler()), CCA(1, shrinkage=0.2)).fit(X)

with TemporaryDirectory() as folder:
    file = Path(folder) / "model.joblib"
    joblib.dump(pipe, file)
    print(f"{file.name}: {file.stat().st_size / 1024:.0f} KiB")
    loaded = joblib.load(file)

# %%
# The last step translates, the first undoes the scaling.


def body(model, exercise):
    """Body measures in their own units, expected for these exercises."""
    prepared = model[:-1].transform({"exercise": exercise})
    scaled = model[-1].translate(prepared, "body")
    return np.asarray(model[0].inverse_transform(Modalities({"body": scaled}))["body"])


before, after = body(pipe, men.data), body(loaded, men.data)
print("the same, to the last digit:", np.array_equal(before, after))

fig, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
for i, (ax, name) in enumerate(zip(axes, men.target.columns, strict=True)):
    ax.axline((before[:, i].min(),) * 2, slope=1, color="grey", linewidth=1)
    ax.plot(before[:, i], after[:, i], "o", alpha=0.6)
    ax.set(title=name, xlabel="before saving", ylabel="after loading")
plt.show()
