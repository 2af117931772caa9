"""Displays of what decoders give: what is drawn is what the estimator says."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, DeepCCA, Modalities, MultimodalAutoencoder, MultimodalVAE
from skmm.compose import PerModality
from skmm.inspection import (
    ModalityContributionDisplay,
    ReconstructionDisplay,
    VarianceExplainedDisplay,
    variance_explained,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

SMALL = {"hidden_layer_sizes": (6,), "max_epochs": 3, "lr": 1e-2, "random_state": 0}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return Modalities(
        {
            "image": (z @ rng.standard_normal((2, 6))).reshape(n, 1, 3, 2),
            "sound": z @ rng.standard_normal((2, 5)) + 0.1 * rng.standard_normal((n, 5)),
            "label": np.where(z[:, 0] > 0, "up", "down"),
        }
    )


@pytest.fixture(scope="module")
def model():
    return MultimodalAutoencoder(2, **SMALL).fit(make_data())


@pytest.fixture(scope="module")
def vae():
    return MultimodalVAE(4, **SMALL | {"max_epochs": 15}).fit(
        make_data().select(["image", "sound"])
    )


def pictures(images):
    return np.array([np.asarray(image.get_array()) for image in images])


def heights(lines):
    """Return the drawn values (n, width), upwards as on paper."""
    return -np.array([line.get_ydata() for line in lines])


def same_up_to_scale(drawn, values):
    """Whether one rising line maps all values to what is drawn; of rows, each up to a shift."""
    drawn, values = (a - a.mean(axis=1, keepdims=True) for a in (drawn, values))
    scale = np.sum(drawn * values) / np.sum(values**2)
    assert scale > 0
    assert_allclose(drawn, scale * values, atol=1e-9)
    return scale


def boxes(figure, artists):
    figure.draw_without_rendering()
    return [artist.get_window_extent() for artist in artists]


def disjoint(figure, artists):
    found = boxes(figure, artists)
    return not any(a.overlaps(b) for i, a in enumerate(found) for b in found[:i])


# Reconstructions


def test_pictures_and_lines_are_what_the_model_gives(model):
    X = make_data()
    display = ReconstructionDisplay.from_estimator(model, X, n_samples=4)
    first = X[:4]
    decoded = model.inverse_transform(model.transform(first))
    for version, expected in {
        "original": first["image"],
        "reconstruction": decoded["image"],
        "from sound": model.translate(first.select("sound"), to="image"),
        "from label": model.translate(first.select("label"), to="image"),
    }.items():
        assert_allclose(pictures(display.images_["image", version]), expected[:, 0])
    shown = [("original", first["sound"]), ("reconstruction", decoded["sound"])]
    shown.append(("from image", model.translate(first.select("image"), to="sound")))
    scales = [
        same_up_to_scale(heights(display.lines_["sound", version]), expected)
        for version, expected in shown
    ]
    assert_allclose(scales, scales[0])  # one scale for all versions
    assert set(display.images_) == {
        ("image", v) for v in ("original", "reconstruction", "from sound", "from label")
    }
    assert ("label", "original") not in display.lines_


def test_pictures_of_a_modality_share_the_scale_of_the_originals(model):
    X = make_data()
    display = ReconstructionDisplay.from_estimator(model, X, n_samples=5)
    low, high = X["image"][:5].min(), X["image"][:5].max()
    for images in display.images_.values():
        assert all(image.get_clim() == (low, high) for image in images)


def test_the_original_stands_behind_each_version():
    originals, versions = {"a": [[0.0, 4.0, 2.0]]}, {"u": {"a": [[1.0, 3.0, 2.0]]}}
    display = ReconstructionDisplay(originals, {**versions, "v": {"a": [[0.0, 4.0, 8.0]]}}).plot()
    lines = [line.get_ydata() for line in display.ax_.lines]
    assert len(lines) == 4
    original, u, again, v = lines
    assert_allclose(np.diff(original), np.diff(again))
    assert_allclose(u[2], original[2])  # both are 2
    assert_allclose(v[:2], again[:2])
    assert v[2] < v[1]  # above, as the axis points down
    assert v[0] - v[2] == pytest.approx(2 * (v[0] - v[1]))


def test_flat_images_get_their_shape():
    a, guess = np.arange(12.0).reshape(2, 6), np.arange(12.0)[::-1].reshape(2, 6)
    display = ReconstructionDisplay(
        {"a": a}, {"guess": {"a": guess}}, image_shapes={"a": (2, 3)}
    ).plot()
    assert_array_equal(pictures(display.images_["a", "original"]), a.reshape(2, 2, 3))
    assert_array_equal(pictures(display.images_["a", "guess"]), guess.reshape(2, 2, 3))
    image = display.images_["a", "original"][0]
    left, right, bottom, top = image.get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(2 / 3)  # square pixels


def test_three_channels_are_colours_and_others_their_mean():
    rng = np.random.default_rng(0)
    colour, two = rng.uniform(-1, 3, (2, 3, 4, 4)), rng.uniform(size=(2, 2, 4, 4))
    display = ReconstructionDisplay({"colour": colour, "two": two}, {}).plot()
    scaled = (colour - colour.min()) / np.ptp(colour)
    assert_allclose(
        pictures(display.images_["colour", "original"]), scaled.transpose(0, 2, 3, 1), atol=0.005
    )
    assert_allclose(pictures(display.images_["two", "original"]), two.mean(axis=1))


def test_what_is_missing_is_blank(model):
    X = make_data().with_missing("image", [1]).with_missing("sound", [2])
    display = ReconstructionDisplay.from_estimator(model, X, n_samples=3)
    assert len(display.images_["image", "original"]) == 2
    assert len(display.images_["image", "reconstruction"]) == 3
    assert len(display.images_["image", "from sound"]) == 2
    assert len(display.lines_["sound", "original"]) == 2
    assert len(display.lines_["sound", "from image"]) == 2
    (missing,) = [t for t in display.ax_.texts if t.get_text() == "missing"]
    assert missing.xy[0] == 1.5
    expected = model.translate(X[[1]].select("sound"), to="image")
    assert_allclose(pictures(display.images_["image", "from sound"])[1], expected[0, 0])


@pytest.mark.parametrize("form", ["levels", "columns", "named", "X"])
def test_all_forms_of_data_are_read(form):
    X = make_data().select("sound")
    sound, other = X["sound"], np.cumsum(X["sound"], axis=1)[:, :3]
    frame = pd.DataFrame(np.hstack([sound, other])).add_prefix("c")
    cca = CCA(2)
    data = {"named": {"a": sound, "b": other}, "columns": frame, "X": sound}
    data["levels"] = frame.set_axis(
        pd.MultiIndex.from_tuples([("a" if i < 5 else "b", c) for i, c in enumerate(frame)]), axis=1
    )
    if form == "columns":
        cca.set_params(modalities={"a": slice(0, 5), "b": slice(5, 8)})
    given = data[form]
    cca.fit(given, other if form == "X" else None)
    display = ReconstructionDisplay.from_estimator(cca, given, n_samples=2)
    if form == "X":
        assert set(display.lines_) == {("X", "original"), ("X", "reconstruction")}
        return
    expected = CCA(2).fit(data["named"]).translate({"b": other[:2]}, to="a")
    same_up_to_scale(heights(display.lines_["a", "from b"]), expected)


def test_models_without_translation_show_reconstructions():
    X = make_data()["sound"]
    pca = PCA(2).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X, n_samples=100)
    assert list(display.versions) == ["reconstruction"]
    same_up_to_scale(
        heights(display.lines_["X", "reconstruction"]), pca.inverse_transform(pca.transform(X))
    )


def test_pipelines_are_followed():
    X = make_data().select(["image", "sound"])
    pipe = make_pipeline(
        PerModality({"sound": StandardScaler()}), MultimodalAutoencoder(2, **SMALL)
    )
    display = ReconstructionDisplay.from_estimator(pipe.fit(X), X, n_samples=2)
    scaled = StandardScaler().fit(X["sound"]).transform(X["sound"])[:2]
    assert_allclose(display.originals["sound"], scaled)


def test_modalities_are_chosen(model):
    display = ReconstructionDisplay.from_estimator(model, make_data(), modalities=["sound"])
    assert {name for name, _ in display.lines_} == {"sound"}
    assert not display.images_
    assert set(display.versions) == {"reconstruction", "from image", "from label"}


def test_names_and_labels_of_rows_do_not_touch(model):
    display = ReconstructionDisplay.from_estimator(model, make_data())
    texts = display.ax_.get_yticklabels()
    assert {"image", "sound", "original", "from label"} <= {text.get_text() for text in texts}
    assert disjoint(display.figure_, texts)
    box = display.figure_.bbox
    assert all(box.x0 <= b.x0 and b.x1 <= box.x1 for b in boxes(display.figure_, texts))
    images = [image for images in display.images_.values() for image in images]
    left = min(b.x0 for b in boxes(display.figure_, images))
    assert all(b.x1 < left for b in boxes(display.figure_, texts))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples=0 must be an integer of at least 1"),
        ({"modalities": ["label"]}, r"names \['label'\], but there are \['image', 'sound'\]"),
        ({"modalities": "sound"}, "modalities='sound' must be a list"),
        ({"image_shapes": {"sound": (2, 2)}}, r"image_shapes\['sound'\]=\(2, 2\) must be"),
        ({"image_shapes": {"smell": (2, 2)}}, r"originals lack \['smell'\]"),
    ],
)
def test_bad_options_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_estimator(model, make_data(), **options)


@pytest.mark.parametrize(
    ("originals", "versions", "message"),
    [
        ({}, {}, "must hold a modality and a sample"),
        ({"a": np.ones((0, 2))}, {}, "must hold a modality and a sample"),
        ({"a": np.ones((2, 2)), "b": np.ones((3, 2))}, {}, "as many samples each"),
        ({"a": np.ones((2, 2))}, {"v": {"a": np.ones((2, 3))}}, r"has shape \(2, 3\) in 'v'"),
        ({"a": np.ones((2, 2))}, {"v": {"b": np.ones((2, 3))}}, r"originals lack \['b'\]"),
        ({"a": np.ones((2, 2))}, {"original": {}}, "'original' cannot be the name"),
    ],
)
def test_arrays_that_cannot_be_drawn(originals, versions, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay(originals, versions).plot()


def test_decoders_are_needed():
    X = make_data().select(["image", "sound"])
    with pytest.raises(NotFittedError):
        ReconstructionDisplay.from_estimator(MultimodalAutoencoder(), X)
    deep = DeepCCA(2, early_stopping=False, **SMALL).fit(X)
    for display in (ReconstructionDisplay, VarianceExplainedDisplay):
        with pytest.raises(TypeError, match="DeepCCA has no inverse_transform"):
            display.from_estimator(deep, X)


# Variance explained


def test_cells_and_bars_are_the_table():
    X = make_data().select(["image", "sound"])
    model = CCA(2, shrinkage=0.1).fit(X)
    display = VarianceExplainedDisplay.from_estimator(model, X)
    table = variance_explained(model, X)
    components, total = table.drop(index="all").to_numpy(float), table.loc["all"]
    assert_allclose(display.image_.get_array(), components)
    for place, text in np.ndenumerate(display.texts_):
        assert float(text.get_text().replace("−", "-")) == round(100 * components[place])
        assert text.get_position() == place[::-1]
    tall = np.array([abs(bar.get_height()) for bar in display.bars_])
    assert_allclose(tall / tall.max(), total / total.max())
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list(table)
    written = [t.get_text() for t in display.ax_.texts if t.get_text().endswith("%")]
    assert [int(text.split()[0].replace("−", "-")) for text in written] == [
        round(100 * value) for value in total
    ]


def test_colours_begin_with_white_and_text_can_be_read():
    table = pd.DataFrame({"a": [-0.2, 0.0, 0.1, 0.9, 0.95]}, [0, 1, 2, 3, "all"])
    display = VarianceExplainedDisplay(table).plot()
    shades = display.image_.to_rgba(display.image_.get_array())[:, 0, :3]
    assert_allclose(shades[:2], 1.0)
    luminance = shades @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance[1:]) < 0).all()
    assert [t.get_color() for t in display.texts_[:, 0]] == ["black"] * 3 + ["white"]
    assert [t.get_text() for t in display.texts_[:, 0]] == ["−20", "0", "10", "90"]


def test_text_is_readable_on_every_shade():
    table = pd.DataFrame({"a": [*np.linspace(0, 1, 41), 1.0]}, [*range(41), "all"])
    display = VarianceExplainedDisplay(table).plot()
    shades = display.image_.to_rgba(display.image_.get_array())[:, 0, :3]
    linear = np.where(shades <= 0.04045, shades / 12.92, ((shades + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    for text, here in zip(display.texts_[:, 0], luminance, strict=True):
        other = 1.0 if text.get_color() == "white" else 0.0
        high, low = max(here, other) + 0.05, min(here, other) + 0.05
        assert high / low > 4.5  # the contrast that WCAG asks for


def test_without_room_for_text_a_colour_bar_explains():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(size=(61, 3)), [*range(60), "all"], ["a", "b", "c"])
    assert VarianceExplainedDisplay(table).plot().texts_.shape == (60, 3)
    figure, ax = plt.subplots(figsize=(3, 3), layout="constrained")
    display = VarianceExplainedDisplay(table).plot(ax=ax)
    assert display.texts_.shape == (0, 3)
    assert len(figure.axes) == 2
    assert disjoint(figure, [t for t in ax.get_yticklabels() if t.get_text()])


def test_long_names_stand_upright():
    names = ["transcriptome of the tumour", "$methylation_1$"]
    table = pd.DataFrame(np.full((3, 2), 0.25), [0, 1, "all"], names)
    display = VarianceExplainedDisplay(table).plot()
    labels = display.ax_.get_xticklabels()
    assert [label.get_text() for label in labels] == names
    assert disjoint(display.figure_, labels)
    assert {label.get_rotation() for label in labels} == {90.0}


def test_worse_than_the_mean_has_no_bar():
    table = pd.DataFrame({"a": [0.1, 0.4], "b": [0.1, -0.3]}, [0, "all"])
    display = VarianceExplainedDisplay(table).plot()
    first, second = (abs(bar.get_height()) for bar in display.bars_)
    assert first > second == 0.0
    assert "−30 %" in [text.get_text() for text in display.ax_.texts]


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": [0.5]}, ["all"]),
        pd.DataFrame({"a": [0.5, 0.1]}),
        pd.DataFrame({"a": [np.nan, 0.5]}, [0, "all"]),
        pd.DataFrame(index=[0, "all"]),
    ],
)
def test_tables_that_cannot_be_drawn(table):
    with pytest.raises(ValueError, match="table must"):
        VarianceExplainedDisplay(table).plot()


# Contributions


def test_bars_are_the_shares_one_after_the_other(vae):
    display = ModalityContributionDisplay.from_estimator(vae)
    table = vae.modality_contribution_
    assert list(display.bars_) == list(table.index) == ["image", "sound", "prior"]
    left = np.zeros(4)
    for name, bars in display.bars_.items():
        assert_allclose([bar.get_width() for bar in bars], table.loc[name])
        assert_allclose([bar.get_x() for bar in bars], left)
        left += table.loc[name].to_numpy()
    assert_allclose(left, 1.0)
    bottom, top = display.ax_.get_ylim()
    assert bottom > top  # component 0 above
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:3] == ["image", "sound", "prior"]


def test_inactive_components_are_hatched():
    table = pd.DataFrame([[0.5, 0.1, 0.2], [0.5, 0.9, 0.8]], ["a", "prior"])
    active = np.array([True, False, True])
    display = ModalityContributionDisplay(table, active=active).plot()
    for bars in display.bars_.values():
        assert [bar.get_hatch() is None for bar in bars] == list(active)
        assert [bar.get_facecolor()[3] == 1 for bar in bars] == list(active)
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()][-1] == "inactive"
    display = ModalityContributionDisplay(table).plot()
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["a", "prior"]


def test_units_of_the_estimator_are_marked(vae):
    class Known(CCA):
        def __sklearn_is_fitted__(self):
            return True

    known = Known()
    known.modality_contribution_ = vae.modality_contribution_
    known.active_units_ = np.array([True, True, False, False])
    display = ModalityContributionDisplay.from_estimator(known)
    hatches = [bar.get_hatch() is not None for bar in display.bars_["image"]]
    assert_array_equal(hatches, ~known.active_units_)
    own = ModalityContributionDisplay.from_estimator(vae).bars_["image"]
    assert_array_equal([bar.get_hatch() is None for bar in own], vae.active_units_)


def test_the_prior_comes_last_and_modalities_keep_their_colours():
    table = pd.DataFrame([[0.5], [0.25], [0.25]], ["a", "prior", "b"])
    display = ModalityContributionDisplay(table).plot()
    assert list(display.bars_) == ["a", "b", "prior"]
    full = ModalityContributionDisplay(table.loc[["a", "b"]]).plot()
    for name in ("a", "b"):
        assert display.bars_[name][0].get_facecolor() == full.bars_[name][0].get_facecolor()


def test_contributions_of_pipelines_and_searches():
    X = make_data().select(["image", "sound"])
    vae = MultimodalVAE(2, **SMALL | {"max_epochs": 60})
    pipe = make_pipeline(PerModality({"sound": StandardScaler()}), vae)
    search = GridSearchCV(pipe, {"multimodalvae__beta": [1.0]}, cv=2).fit(X)
    table = search.best_estimator_[-1].modality_contribution_
    display = ModalityContributionDisplay.from_estimator(search)
    assert_allclose([bar.get_width() for bar in display.bars_["sound"]], table.loc["sound"])


@pytest.mark.parametrize(
    ("table", "active", "message"),
    [
        (pd.DataFrame(), None, "table must hold shares"),
        (pd.DataFrame([[-0.1]], ["a"]), None, "table must hold shares"),
        (pd.DataFrame([[np.nan]], ["a"]), None, "table must hold shares"),
        (pd.DataFrame([[1.0, 1.0]], ["a"]), [True], "active must be 2 bools"),
        (pd.DataFrame([[1.0, 1.0]], ["a"]), [1, 0], "active must be 2 bools"),
    ],
)
def test_shares_that_cannot_be_drawn(table, active, message):
    with pytest.raises(ValueError, match=message):
        ModalityContributionDisplay(table, active=active).plot()


def test_shares_are_needed():
    with pytest.raises(NotFittedError):
        ModalityContributionDisplay.from_estimator(MultimodalVAE())
    with pytest.raises(TypeError, match="PCA has no modality_contribution_"):
        ModalityContributionDisplay.from_estimator(PCA(1).fit(np.eye(3)))


# All of them

TABLE = pd.DataFrame({"a": [0.5, 0.5], "b": [0.1, 0.1]}, [0, "all"])
DISPLAYS = [
    VarianceExplainedDisplay(TABLE),
    ModalityContributionDisplay(TABLE),
    ReconstructionDisplay({"a": np.eye(3)}, {"reconstruction": {"a": np.ones((3, 3))}}),
]


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: type(display).__name__)
def test_given_axes_are_used(display):
    figure, (ax, other) = plt.subplots(1, 2)
    assert display.plot(ax=ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert not other.has_data()
    assert ax.has_data()


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: type(display).__name__)
def test_without_matplotlib_the_error_names_the_extra(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skmm\[plot\]"'):
        display.plot()
