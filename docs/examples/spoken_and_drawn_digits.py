"""
Digits that are spoken, drawn, or both
======================================

From files to predictions in one Pipeline. Recordings of the Free Spoken Digit Dataset stand beside
images of MNIST that show the same digit. The pairs are made by label, within training and within
test. At test time either may be missing.

Both data sets are downloaded once (28 MB), so this example is not run when the site is built; it
takes about a minute.
"""

import numpy as np
from sklearn.pipeline import make_pipeline

from skmm import Modalities, MultimodalClassifier
from skmm.compose import PerModality
from skmm.datasets import fetch_fsdd, fetch_mnist
from skmm.nn import Conv
from skmm.preprocessing import ImageScaler, LogMel


def paired(subset: str) -> tuple[Modalities, np.ndarray]:
    """Return waveforms beside images (height, width), no image twice, and the digits."""
    recordings, drawings = fetch_fsdd(subset=subset), fetch_mnist("labels", subset=subset)
    digits, labels = np.asarray(recordings.target), np.asarray(drawings.target)
    rng = np.random.default_rng(0)
    rows = np.empty(len(digits), dtype=int)
    for digit in range(10):
        here = digits == digit
        rows[here] = rng.choice(np.flatnonzero(labels == digit), here.sum(), replace=False)
    images = np.asarray(drawings.data["image"])[rows].reshape(-1, 28, 28)
    return Modalities({"audio": np.asarray(recordings.data["audio"]), "image": images}), digits


def main() -> None:
    """Fit on pairs, and predict from both, from one, and from whichever is there."""
    X, y = paired("train")
    X_test, y_test = paired("test")

    # Lists of paths are fine, too: ImageScaler opens image files, and scales to size=(28, 28).
    files_to_arrays = PerModality(
        {
            "audio": LogMel(sampling_rate=8000, n_mels=24, hop_length=256, n_frames=32),
            "image": ImageScaler(),
        }
    )
    small = Conv((8, 16))
    classifier = MultimodalClassifier(
        encoders={"audio": small, "image": small}, lr=5e-3, max_epochs=10, random_state=0
    )
    model = make_pipeline(files_to_arrays, classifier).fit(X, y)

    for given in (["audio", "image"], ["audio"], ["image"]):
        accuracy = model.score(X_test.select(given), y_test)
        print(f"accuracy given {' and '.join(given)}: {accuracy:.3f}")

    rng = np.random.default_rng(0)
    silent = rng.random(len(X_test)) < 0.5
    mixed = X_test.with_missing("audio", silent).with_missing("image", ~silent)
    print(f"accuracy given one of them, row by row: {model.score(mixed, y_test):.3f}")
    print("probability of the digit told:", model.predict_proba(mixed)[:3].max(axis=1).round(2))


if __name__ == "__main__":
    main()
