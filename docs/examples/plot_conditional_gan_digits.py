"""
Digits on demand
================

ConditionalGAN draws images of a digit that is asked for. Each row shows one real image and eight
draws of the same digit. The images were made from noise and the label alone, by a network that
plays against a discriminator; no two are alike, and none is a copy: the second picture compares
how far draws and real test images are from the nearest training image of their digit.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from skmm import ConditionalGAN, Modalities
from skmm.inspection import SamplesDisplay

images, y = load_digits(return_X_y=True)
X = Modalities({"digit": y.astype(str), "image": images})
train, test = train_test_split(X, stratify=y, random_state=0)

gan = ConditionalGAN(
    target="image",
    loss="relativistic",
    hidden_layer_sizes=(128, 128),
    early_stopping=False,
    max_epochs=60,
    random_state=0,
).fit(train)

# %%
# One image of each digit, and draws.

first = [np.flatnonzero(np.asarray(test["digit"]) == str(d))[0] for d in range(8)]
SamplesDisplay.from_estimator(
    gan,
    test[first],
    n_conditions=8,
    n_samples=8,
    conditions=list("01234567"),
    image_shape=(8, 8),
    random_state=0,
)
plt.show()

# %%
# Distances to the nearest training image of the same digit.

drawn = gan.sample(1, given=test, random_state=0)[0]
distances: dict[str, list[float]] = {"real test images": [], "draws": []}
for digit in np.unique(test["digit"]):
    near = NearestNeighbors(n_neighbors=1).fit(train["image"][train["digit"] == digit])
    rows = test["digit"] == digit
    distances["real test images"] += near.kneighbors(test["image"][rows])[0].ravel().tolist()
    distances["draws"] += near.kneighbors(drawn[rows])[0].ravel().tolist()
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, values in distances.items():
    ax.hist(values, bins=np.linspace(0, 40, 41), alpha=0.6, label=name)
ax.set(xlabel="distance to the nearest training image", ylabel="images")
ax.legend()
plt.show()
