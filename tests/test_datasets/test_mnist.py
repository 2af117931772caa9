"""The variants of MNIST: laws on small images, and the real files."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage, stats
from sklearn.datasets import load_digits

from skmm import datasets
from skmm.datasets import _mnist


@pytest.fixture(scope="module")
def noisy():
    digits = load_digits()
    images = np.zeros((len(digits.images), 28, 28), dtype=np.float32)
    images[:, 10:18, 10:18] = digits.images / 16
    views = _mnist.noisy_views(images, digits.target, np.random.RandomState(0))
    return images, digits.target, *views


def test_noisy_partner_is_another_image_of_the_class(noisy):
    _, labels, _, _, _, partners = noisy
    assert_array_equal(labels[partners], labels)
    assert not np.any(partners == np.arange(len(labels)))


def test_noisy_partner_is_uniform_over_the_others():
    labels = np.repeat([0, 1], [4, 3])
    rng = np.random.RandomState(0)
    counts = np.zeros((7, 7))
    for _ in range(3000):
        counts[np.arange(7), _mnist._same_class_partners(labels, rng)] += 1
    expected = np.zeros((7, 7))
    expected[:4, :4], expected[4:, 4:] = 1 / 3, 1 / 2
    np.fill_diagonal(expected, 0)
    assert_allclose(counts / 3000, expected, atol=0.04)


def test_noisy_partner_needs_a_second_image():
    with pytest.raises(ValueError, match=r"class np.int64\(2\) has a single image"):
        _mnist._same_class_partners(np.array([1, 1, 2]), np.random.RandomState(0))


def test_noise_is_uniform_and_truncated(noisy):
    images, _, _, view, _, partners = noisy
    source = images[partners]
    assert view.min() >= 0
    assert view.max() == 1
    assert np.all(view >= source - 1e-6)
    background = view[source == 0][:20_000]
    assert stats.kstest(background, "uniform").pvalue > 0.01
    # Where the source is s, the noise passes the bound with probability s.
    half = view[source == 0.5]
    assert (half == 1).mean() == pytest.approx(0.5, abs=0.02)


def test_rotation_is_bilinear_about_the_centre(noisy):
    images, _, view, _, angles, _ = noisy
    assert np.abs(angles).max() <= np.pi / 4
    assert stats.kstest(angles, stats.uniform(-np.pi / 4, np.pi / 2).cdf).pvalue > 0.01
    for row in range(20):
        assert_allclose(view[row], rotate(images[row], angles[row]), atol=1e-5)
    assert view.min() >= 0
    assert view.max() <= 1


def rotate(image, angle):
    """Read each pixel where it came from, between its four neighbours; empty outside."""
    padded = np.pad(image, 20)
    i, j = np.mgrid[:28, :28] - 13.5
    row = np.cos(angle) * i + np.sin(angle) * j + 33.5
    column = -np.sin(angle) * i + np.cos(angle) * j + 33.5
    r, c = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = row - r, column - c
    top = (1 - right) * padded[r, c] + right * padded[r, c + 1]
    bottom = (1 - right) * padded[r + 1, c] + right * padded[r + 1, c + 1]
    return (1 - down) * top + down * bottom


def test_rotation_keeps_the_centre_of_mass_at_its_radius(noisy):
    images, _, view, _, _, _ = noisy
    for row in range(10):
        before = np.subtract(ndimage.center_of_mass(images[row]), 13.5)
        after = np.subtract(ndimage.center_of_mass(view[row]), 13.5)
        assert np.hypot(*after) == pytest.approx(np.hypot(*before), abs=0.1)


def test_mnist_halves_make_the_image(skmm_data):
    halves, y = datasets.fetch_mnist("halves", subset="test", as_images=True, return_X_y=True)
    whole, labels = datasets.fetch_mnist("labels", subset="test", return_X_y=True)
    joined = np.concatenate([halves["left"], halves["right"]], axis=3)
    assert_array_equal(joined.reshape(10_000, 784), whole["image"])
    assert whole.kinds["label"] == "categorical"
    assert_array_equal(whole["label"], labels)
    assert_array_equal(np.bincount(y), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])


@pytest.fixture
def short_mnist(skmm_data, monkeypatch):
    """Make the splits of MNIST 200 images long, to be quick; return the images."""
    images, labels = _mnist._read_mnist(skmm_data, False)
    rows = np.r_[0:200, 50_000:50_200, 60_000:60_200]
    splits = {name: slice(200 * i, 200 * (i + 1)) for i, name in enumerate(_mnist.SPLITS)}
    monkeypatch.setattr(_mnist, "SPLITS", splits)
    monkeypatch.setattr(_mnist, "_read_mnist", lambda *args: (images[rows], labels[rows]))
    return images[rows].reshape(600, 784)


def test_mnist_noisy_pairs_stay_in_their_class_and_split(short_mnist):
    made = datasets.fetch_mnist("noisy")
    assert_array_equal(made.target[made.partners], made.target)
    assert_array_equal(made.split[made.partners], made.split)
    added = made.data["noisy"] - short_mnist[made.partners]
    assert added.min() >= -1e-6
    assert added.max() <= 1
    assert np.abs(made.angles).max() <= np.pi / 4
    assert {values.dtype for values in made.data.values()} == {np.dtype(np.float32)}


def test_mnist_noisy_follows_random_state(short_mnist):
    made, again, other = (datasets.fetch_mnist("noisy", random_state=s).data for s in (0, 0, 1))
    for name in ("rotated", "noisy"):
        assert_array_equal(made[name], again[name])
        assert not np.array_equal(made[name], other[name])


def test_mnist_noisy_subset_is_a_part_of_all(short_mnist):
    whole = datasets.fetch_mnist("noisy")
    for name, part in _mnist.SPLITS.items():
        alone = datasets.fetch_mnist("noisy", subset=name)
        assert set(alone.split) == {name}
        assert_array_equal(whole.split[part], alone.split)
        assert_array_equal(whole.partners[part], alone.partners)
        for view in ("rotated", "noisy"):
            assert_array_equal(whole.data[view][part], alone.data[view])
