"""
Many answers to one question: a VAE completes digits
====================================================

Given the left half of a digit there is more than one right half that fits. The VAE has a
probability for each: every row below starts with an original, then has the left half that the
model was given and eight right halves drawn from what it learned. The label is a third modality:
it is translated from a half, with a probability, and half of the training labels were missing.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmm import Modalities, MultimodalVAE
from skmm.datasets import load_digits_halves

halves, y = load_digits_halves(return_X_y=True)
X = Modalities({**dict(halves.items()), "digit": y.astype(str)})
X_train, X_test = train_test_split(X, stratify=y, random_state=0)
X_train = X_train.with_missing("digit", np.arange(0, len(X_train), 2))

vae = MultimodalVAE(12, hidden_layer_sizes=(128,), lr=5e-3, max_epochs=25, random_state=0)
vae.fit(X_train)
for given in (["left", "right"], ["left"]):
    told = vae.translate(X_test.select(given), to="digit")
    print(f"digits told from {' and '.join(given)}: {np.mean(told == X_test['digit']):.0%}")

# %%
# Completions of six left halves, with the digit that is most probable given the left half.

rows = X_test[:6]
draws = vae.sample(8, given=rows.select(["left"]), random_state=0)
probabilities = vae.translate_proba(rows.select(["left"]), to="digit")
fig, axes = plt.subplots(6, 9, figsize=(7, 5.5), layout="constrained")
for i, row in enumerate(axes):
    pairs = [rows, *draws]
    for ax, pair in zip(row, pairs, strict=True):
        left = np.asarray(rows["left"])[i].reshape(8, 4)
        right = np.asarray(pair["right"])[i].reshape(8, 4)
        ax.imshow(np.hstack([left, right]), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(pair is rows)
    row[0].set_ylabel(
        f"{probabilities[i].argmax()}: {probabilities[i].max():.0%}", rotation=0, ha="right"
    )
axes[0, 0].set_title("original", fontsize=9)
axes[0, 1].set_title("draws", fontsize=9)
plt.show()
