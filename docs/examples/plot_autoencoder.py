"""
Reconstruct and translate halves of digits
==========================================

An autoencoder makes one code of all modalities a row has, and decodes every modality from it.
Below each original stands what comes back from the code of both halves, and what follows from one
half alone. A reconstruction is sharp; the half that was not seen is a guess, blurred where several
continuations are possible.
"""

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skmm import MultimodalAutoencoder
from skmm.datasets import load_digits_halves
from skmm.inspection import LatentDisplay, ReconstructionDisplay

X, y = load_digits_halves(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

model = MultimodalAutoencoder(
    16, alignment_weight=1.0, hidden_layer_sizes=(128,), max_epochs=40, random_state=0
).fit(X_train)
print(f"R² of reconstructions of test images: {model.score(X_test):.2f}")

# %%
# Test images: originals, reconstructions, and translations from one half to the other.

shapes = {"left": (8, 4), "right": (8, 4)}
ReconstructionDisplay.from_estimator(model, X_test, n_samples=10, image_shapes=shapes)
plt.show()

# %%
# The joint codes, two principal components of sixteen: digits form groups without labels.

LatentDisplay.from_estimator(model, X_test, labels=y_test, projection=PCA(2))
plt.show()
