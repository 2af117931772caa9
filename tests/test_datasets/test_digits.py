"""The bundled digits."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from skmm import Modalities
from skmm.datasets import load_digits_halves


def test_digits_halves_are_columns_of_the_image():
    digits = load_digits()
    halves = load_digits_halves()
    sides = [halves.data[name].reshape(-1, 8, 4) for name in ("left", "right")]
    assert_array_equal(np.concatenate(sides, axis=2), digits.images)
    assert_array_equal(halves.target, digits.target)
    assert halves.feature_names["right"][:5] == [
        *(f"pixel_0_{column}" for column in range(4, 8)),
        "pixel_1_4",
    ]


def test_digits_halves_as_images():
    images, _ = load_digits_halves(as_images=True, return_X_y=True)
    flat, _ = load_digits_halves(return_X_y=True)
    for name in flat.names:
        assert images[name].shape == (1797, 1, 8, 4)
        assert images.kinds[name] == "image"
        assert_array_equal(images[name].reshape(1797, 32), flat[name])
    with pytest.raises(ValueError, match="as_frame=True needs modalities of two dimensions"):
        load_digits_halves(as_images=True, as_frame=True)


def test_digits_halves_as_frame():
    frame, target = load_digits_halves(as_frame=True, return_X_y=True)
    assert frame.columns.nlevels == 2
    assert isinstance(target, pd.Series)
    X = Modalities.from_frame(frame)
    assert X.names == ("left", "right")
    assert_array_equal(X["left"], load_digits_halves().data["left"])
