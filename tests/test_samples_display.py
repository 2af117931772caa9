"""The display of generated samples: what is drawn is what the estimator draws."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, ConditionalGAN, Modalities
from skmm.inspection import SamplesDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


class Known(BaseEstimator):
    """Draws the first column of the condition plus noise, in any shape."""

    def __init__(self, shape=(2,), target=None):
        self.shape = shape
        self.target = target

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def sample(self, n_samples=1, *, given=None, random_state=None):
        X = np.asarray(given["X"] if isinstance(given, Modalities | dict) else given)
        noise = np.random.RandomState(random_state).standard_normal(
            (n_samples, len(X), *self.shape)
        )
        return X[:, 0].reshape(-1, *[1] * len(self.shape)) + noise


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_data(n=9, shape=(2,), seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)), rng.standard_normal((n, *shape))


def places(points):
    return np.asarray(points.get_offsets())


def extents(figure, artists):
    figure.draw_without_rendering()
    return [artist.get_window_extent() for artist in artists]


def disjoint(figure, artists):
    found = extents(figure, artists)
    return not any(a.overlaps(b) for i, a in enumerate(found) for b in found[:i])


# Clouds


def test_clouds_are_the_draws_of_each_condition():
    X, y = make_data()
    model = Known().fit(X)
    display = SamplesDisplay.from_estimator(
        model, X, y, n_conditions=4, n_samples=7, random_state=3
    )
    expected = model.sample(7, given=X[:4], random_state=3)
    assert len(display.axes_) == len(display.points_) == len(display.truth_points_) == 4
    for i in range(4):
        assert_allclose(places(display.points_[i]), expected[:, i])
        assert_allclose(places(display.truth_points_[i]), y[[i]])
        assert display.points_[i].axes is display.axes_[i]
        assert display.axes_[i].get_title(loc="left") == f"row {i}"
    assert display.images_ == {}
    assert display.figure_ is display.axes_[0].figure


def test_panels_share_limits_that_show_everything():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((50, 5, 2)), 3 * rng.standard_normal((5, 2))
    display = SamplesDisplay(samples, truth).plot()
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in display.axes_}) == 1
    everything = np.concatenate([samples, truth[None]]).reshape(-1, 2)
    (left, right), (bottom, top) = display.axes_[0].get_xlim(), display.axes_[0].get_ylim()
    assert (everything > [left, bottom]).all()
    assert (everything < [right, top]).all()


def test_columns_are_chosen():
    _, y = make_data(shape=(5,))
    samples = np.random.default_rng(1).standard_normal((8, 9, 5))
    display = SamplesDisplay.from_samples(y, samples, columns=(3, 1), n_conditions=2)
    assert_allclose(places(display.points_[1]), samples[:, 1][:, [3, 1]])
    assert_allclose(places(display.truth_points_[1]), y[1:2, [3, 1]])
    assert display.axes_[0].get_xlabel() == display.axes_[1].get_xlabel() == "column 3"
    assert [ax.get_ylabel() for ax in display.axes_] == ["column 1", ""]
    default = SamplesDisplay.from_samples(y, samples, n_conditions=1)
    assert_allclose(places(default.points_[0]), samples[:, 0, :2])
    strips = SamplesDisplay.from_samples(y, samples, columns=[4], n_conditions=None)
    assert_allclose(places(strips.points_[0])[:, 1], samples[..., 4].ravel())
    assert strips.axes_[0].get_ylabel() == "column 4"


def test_axes_have_the_names_of_columns():
    rng = np.random.default_rng(0)
    truth = pd.DataFrame(rng.standard_normal((4, 3)), columns=["mass", "height", "age"])
    samples = rng.standard_normal((5, 4, 3))
    axes = SamplesDisplay.from_samples(truth, samples).axes_
    assert (axes[-1].get_xlabel(), axes[-2].get_ylabel()) == ("mass", "height")
    for columns in (["age", "mass"], [2, 0], ["age", 0]):
        axes = SamplesDisplay.from_samples(truth, samples, columns=columns).axes_
        assert (axes[-1].get_xlabel(), axes[-2].get_ylabel()) == ("age", "mass")
    strip = SamplesDisplay(samples, columns=["b"], column_names=["a", "b", "c"]).plot()
    assert strip.axes_[0].get_ylabel() == "b"
    one = pd.Series(rng.standard_normal(4), name="mass")
    over = pd.Series([1.0, 2.0, 3.0, 4.0], name="dose")
    strip = SamplesDisplay.from_samples(one, samples[..., 0], conditions=over)
    assert (strip.axes_[0].get_xlabel(), strip.axes_[0].get_ylabel()) == ("dose", "mass")
    with pytest.raises(ValueError, match="column_names must be one for each of 3"):
        SamplesDisplay(samples, column_names=["a"]).plot()


QUICK = {
    "hidden_layer_sizes": (16,), "lr": 0.01, "max_epochs": 20, "early_stopping": False,
    "random_state": 0,
}  # fmt: skip


def test_columns_have_the_names_of_fit():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2))
    y = pd.DataFrame(rng.standard_normal((40, 2)), columns=["mass", "height"])
    gan = ConditionalGAN(**QUICK).fit(x, y)
    axes = SamplesDisplay.from_estimator(gan, x, n_conditions=2).axes_
    assert [a.get_xlabel() for a in axes] == ["mass", "mass"]
    X = {"x": x, "price": rng.standard_normal(40)}
    gan = ConditionalGAN(target="price", **QUICK).fit(X)
    assert SamplesDisplay.from_estimator(gan, X).axes_[0].get_ylabel() == "price"
    gan = ConditionalGAN(**QUICK).fit(x, X["price"])
    assert SamplesDisplay.from_estimator(gan, x).axes_[0].get_ylabel() == "target"


def test_outer_panels_have_labels():
    samples = np.random.default_rng(0).standard_normal((4, 5, 2))  # a grid of 2 x 3, the last empty
    display = SamplesDisplay(samples).plot()
    assert [bool(ax.get_xlabel()) for ax in display.axes_] == [False, False, True, True, True]
    assert [bool(ax.get_ylabel()) for ax in display.axes_] == [True, False, False, True, False]
    assert len(display.figure_.axes) == 5


def test_several_true_values_stand_behind():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((6, 3, 2)), rng.standard_normal((11, 3, 2))
    display = SamplesDisplay(samples, truth).plot()
    single = SamplesDisplay(samples, truth[0]).plot()
    for i in range(3):
        assert_allclose(places(display.truth_points_[i]), truth[:, i])
        assert display.truth_points_[i].get_zorder() < display.points_[i].get_zorder()
        assert single.truth_points_[i].get_zorder() > single.points_[i].get_zorder()


def test_the_truth_may_be_missing():
    X, y = make_data()
    display = SamplesDisplay.from_estimator(Known().fit(X), X, n_conditions=2)
    assert display.truth_points_ == []
    assert display.figure_.legends == []
    y[0] = np.nan
    display = SamplesDisplay.from_estimator(Known().fit(X), X, y, n_conditions=2)
    assert np.ma.is_masked(display.truth_points_[0].get_offsets())
    assert_allclose(places(display.truth_points_[1]), y[[1]])
    (legend,) = display.figure_.legends
    assert [text.get_text() for text in legend.get_texts()] == ["samples", "truth"]


# Strips


@pytest.mark.parametrize("shape", [(), (1,)])
def test_strips_are_the_draws_around_each_name(shape):
    X, y = make_data(shape=shape)
    model = Known(shape).fit(X)
    names = [f"$thing_{i}" for i in range(9)]
    display = SamplesDisplay.from_estimator(
        model, X, y, n_samples=20, conditions=names, n_conditions=3, random_state=0
    )
    (points,), (truth,), (ax,) = display.points_, display.truth_points_, display.axes_
    drawn = places(points).reshape(20, 3, 2)
    expected = model.sample(20, given=X[:3], random_state=0).reshape(20, 3)
    assert_allclose(drawn[..., 1], expected)
    assert (np.abs(drawn[..., 0] - np.arange(3)) < 0.5).all()  # strips do not touch
    assert len(np.unique(drawn[:, 0, 0])) == 20
    assert_allclose(places(truth), np.column_stack([np.arange(3), y[:3].ravel()]))
    assert [label.get_text() for label in ax.get_xticklabels()] == names[:3]
    assert disjoint(display.figure_, ax.get_xticklabels())


def test_several_true_values_have_their_own_strip():
    rng = np.random.default_rng(0)
    samples, truth = rng.standard_normal((30, 4)), rng.standard_normal((25, 4))
    display = SamplesDisplay(samples, truth).plot()
    right = places(display.points_[0]).reshape(30, 4, 2)
    left = places(display.truth_points_[0]).reshape(25, 4, 2)
    assert_allclose(left[..., 1], truth)
    assert (left[..., 0].max(axis=0) < right[..., 0].min(axis=0)).all()
    assert (right[:, :-1, 0].max(axis=0) < left[:, 1:, 0].min(axis=0)).all()


def test_long_names_stand_upright():
    samples = np.random.default_rng(0).standard_normal((3, 5))
    names = [f"condition of a long name {i}" for i in range(5)]
    display = SamplesDisplay(samples, conditions=names).plot()
    labels = display.axes_[0].get_xticklabels()
    assert {label.get_rotation() for label in labels} == {90.0}
    assert disjoint(display.figure_, labels)


def test_numbers_are_places():
    X, y = make_data(shape=())
    model = Known(()).fit(X)
    display = SamplesDisplay.from_estimator(
        model, X, y, conditions=X[:, 0], n_conditions=None, n_samples=5, random_state=0
    )
    expected = model.sample(5, given=X, random_state=0)
    assert_allclose(
        places(display.points_[0]), np.column_stack([np.tile(X[:, 0], 5), expected.ravel()])
    )
    assert_allclose(places(display.truth_points_[0]), np.column_stack([X[:, 0], y]))


# Images


def pixels(image):
    return np.asarray(image.get_array())


def test_images_have_a_row_per_condition_with_the_truth_first():
    X, y = make_data(shape=(1, 3, 2))
    model = Known((1, 3, 2)).fit(X)
    names = np.arange(9) * 10
    display = SamplesDisplay.from_estimator(
        model, X, y, n_conditions=3, n_samples=4, conditions=names, random_state=1
    )
    expected = model.sample(4, given=X[:3], random_state=1)
    assert set(display.images_) == {(i, j) for i in range(3) for j in ["truth", 0, 1, 2, 3]}
    for i in range(3):
        assert_allclose(pixels(display.images_[i, "truth"]), y[i, 0])
        for j in range(4):
            assert_allclose(pixels(display.images_[i, j]), expected[j, i, 0])
        row = [display.images_[i, key].get_extent() for key in ["truth", 0, 1, 2, 3]]
        assert (np.diff([left for left, *_ in row]) > 0).all()
        assert all(a[1] < b[0] for a, b in itertools.pairwise(row))
        left, right, bottom, top = row[0]
        assert (bottom - top) / (right - left) == pytest.approx(3 / 2)
    assert all(
        display.images_[i, 0].get_extent()[2] < display.images_[i + 1, 0].get_extent()[3]
        for i in range(2)
    )
    assert {image.get_clim() for image in display.images_.values()} == {(y[:3].min(), y[:3].max())}
    texts = [*display.axes_[0].get_xticklabels(), *display.axes_[0].get_yticklabels()]
    assert {text.get_text() for text in texts} == {"truth", "samples", "0", "10", "20"}
    assert disjoint(display.figure_, texts)
    box = display.figure_.bbox
    assert all(box.x0 <= b.x0 and b.x1 <= box.x1 for b in extents(display.figure_, texts))
    assert display.points_ == []


def test_flat_images_get_their_shape():
    X, y = make_data(shape=(6,))
    model = Known((6,)).fit(X)
    display = SamplesDisplay.from_estimator(
        model, X, y, image_shape=(2, 3), n_conditions=2, random_state=0
    )
    expected = model.sample(8, given=X[:2], random_state=0)
    assert len(display.images_) == 2 * (1 + 8)
    assert_allclose(pixels(display.images_[1, 7]), expected[7, 1].reshape(2, 3))
    assert_allclose(pixels(display.images_[1, "truth"]), y[1].reshape(2, 3))


def test_images_without_channels_and_many_draws():
    samples = np.random.default_rng(0).standard_normal((30, 2, 4, 4))
    display = SamplesDisplay(samples).plot()
    assert set(display.images_) == {(i, j) for i in range(2) for j in range(12)}
    assert_allclose(pixels(display.images_[1, 3]), samples[3, 1])
    low, high = display.images_[0, 0].get_clim()
    assert (low, high) == (samples[:12].min(), samples[:12].max())
    model = Known((4, 4)).fit([[0.0]])
    assert len(SamplesDisplay.from_estimator(model, [[0.0]]).images_) == 8


def test_three_channels_are_colours_and_others_their_mean():
    rng = np.random.default_rng(0)
    truth, samples = rng.uniform(-1, 3, (2, 3, 4, 4)), rng.uniform(-2, 4, (5, 2, 3, 4, 4))
    display = SamplesDisplay(samples, truth).plot()
    scaled = np.clip((samples - truth.min()) / np.ptp(truth), 0, 1)
    assert_allclose(pixels(display.images_[1, 2]), scaled[2, 1].transpose(1, 2, 0), atol=0.005)
    two = SamplesDisplay(samples[:, :, :2], truth[:, :2]).plot()
    assert_allclose(pixels(two.images_[0, "truth"]), truth[0, :2].mean(axis=0))


def test_a_missing_image_is_blank():
    samples, truth = np.ones((2, 2, 3, 3)), np.ones((2, 3, 3))
    truth[1] = np.nan
    display = SamplesDisplay(samples, truth).plot()
    assert (1, "truth") not in display.images_
    assert (0, "truth") in display.images_
    assert "missing" in [text.get_text() for text in display.axes_[0].texts]


# The estimator and the data


def test_the_target_in_x_is_the_truth():
    X, y = make_data()
    data = Modalities({"X": X, "y": y}).with_missing("y", [1])
    model = Known(target="y").fit(data)
    display = SamplesDisplay.from_estimator(model, data, n_conditions=3)
    for i in (0, 2):
        assert_allclose(places(display.truth_points_[i]), y[[i]])
    assert np.ma.is_masked(display.truth_points_[1].get_offsets())
    other = SamplesDisplay.from_estimator(model, data, y + 1, n_conditions=3)
    assert_allclose(places(other.truth_points_[0]), y[:1] + 1)
    assert SamplesDisplay.from_estimator(model, data.select("X")).truth_points_ == []
    assert len(SamplesDisplay.from_estimator(model, {"X": X, "y": y}, n_conditions=2).axes_) == 2


def test_pipelines_and_frames():
    X, y = make_data()
    pipe = make_pipeline(StandardScaler(), Known()).fit(X)
    display = SamplesDisplay.from_estimator(
        pipe, pd.DataFrame(X), pd.DataFrame(y), n_conditions=2, random_state=0
    )
    scaled = StandardScaler().fit(X).transform(X)[:2]
    assert_allclose(display.samples, Known().sample(100, given=scaled, random_state=0))
    assert_array_equal(display.y_true, y[:2])


def test_an_estimator_that_draws_is_needed():
    X, y = make_data()
    with pytest.raises(NotFittedError):
        SamplesDisplay.from_estimator(CCA(), X)
    with pytest.raises(TypeError, match="StandardScaler has no sample"):
        SamplesDisplay.from_estimator(StandardScaler().fit(X), X)
    cca = CCA(1).fit(Modalities({"a": X, "b": y}))
    with pytest.raises(TypeError, match=r"CCA.sample\(given=X\) gives list"):
        SamplesDisplay.from_estimator(cca, Modalities({"a": X}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_conditions": 0}, "n_conditions=0 must be an integer of at least 1"),
        ({"n_samples": -1}, "n_samples=-1 must be an integer of at least 1"),
        ({"columns": (0, 2)}, r"columns=\(0, 2\) must be .* from 0 to 1"),
        ({"columns": (1, 1)}, r"columns=\(1, 1\) must be"),
        ({"columns": ()}, r"columns=\(\) must be"),
        ({"image_shape": (2, 2)}, r"image_shape=\(2, 2\) must be .* samples of shape \(2,\)"),
        ({"image_shape": (2, 1), "columns": (0,)}, "columns=.* but these are images"),
        ({"conditions": [[1]] * 9}, "conditions must be one name or number for each of 9"),
        ({"conditions": [1, 2]}, r"for each of 9, got shape \(2,\)"),
    ],
)
def test_bad_options_are_refused(options, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        SamplesDisplay.from_estimator(Known().fit(X), X, y, **options)


@pytest.mark.parametrize(
    ("samples", "truth", "message"),
    [
        (np.ones(3), None, r"samples must be .* got shape \(3,\)"),
        (np.ones((0, 3)), None, r"samples must be .* got shape \(0, 3\)"),
        (np.full((2, 3), np.nan), None, "samples must be finite"),
        (np.ones((2, 3, 2)), np.full((3, 2), np.inf), "y_true must be finite or NaN"),
        (np.ones((2, 3, 2)), np.ones((4, 2)), r"one draw, \(3, 2\), .* got \(4, 2\)"),
        (np.ones((2, 3, 2)), np.ones(3), r"one draw, \(3, 2\), .* got \(3,\)"),
    ],
)
def test_arrays_that_cannot_be_drawn(samples, truth, message):
    with pytest.raises(ValueError, match=message):
        SamplesDisplay(samples, truth).plot()
    with pytest.raises(ValueError, match=message):
        SamplesDisplay.from_samples(truth, samples)


DISPLAYS = {
    "cloud": SamplesDisplay(np.eye(2)[:, None] * np.ones((1, 1, 1)), np.ones((1, 2))),
    "strip": SamplesDisplay(np.eye(3), np.ones(3)),
    "image": SamplesDisplay(np.ones((2, 2, 3, 3)), np.zeros((2, 3, 3))),
}


@pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)
def test_given_axes_are_used(display):
    figure, (ax, other) = plt.subplots(1, 2)
    assert display.plot(ax=ax) is display
    assert list(display.axes_) == [ax]
    assert display.figure_ is figure
    assert not other.has_data()
    assert ax.has_data()
    with pytest.raises(ValueError, match="ax must be"):
        display.plot(ax=[ax, other])


def test_clouds_take_an_array_of_axes():
    samples = np.random.default_rng(0).standard_normal((9, 2, 2))
    _, axes = plt.subplots(1, 3)
    display = SamplesDisplay(samples, samples[0])
    display.plot(ax=axes[1:])
    assert list(display.axes_) == list(axes[1:])
    assert not axes[0].has_data()
    assert axes[1].get_legend() is not None
    assert [bool(ax.get_ylabel()) for ax in axes] == [False, True, True]
    with pytest.raises(ValueError, match="ax must be 2 Axes, one per condition, got 3"):
        display.plot(ax=axes)


@pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)
def test_without_matplotlib_the_error_names_the_extra(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skmm\[plot\]"'):
        display.plot()
