"""Displays of trainings and codes: what is drawn is what the estimator says."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_displays import _check_legible

from skmm import CCA, DeepCCA, Modalities
from skmm.compose import PerModality
from skmm.datasets import load_digits_halves
from skmm.inspection import LatentDisplay, TrainingCurveDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_data(n=80, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return Modalities({name: z + 0.3 * rng.standard_normal((n, 2)) for name in ("a", "b")})


def small(**params):
    given = {"hidden_layer_sizes": (4,), "max_epochs": 3, "random_state": 0, "objective": "vicreg"}
    return DeepCCA(2, **{**given, "reconstruction_weight": 0.5, **params})


@pytest.fixture(scope="module")
def fits():
    """Return fitted estimators: of one term, of several, without validation, and linear."""
    X = make_data()
    return {
        "one": small(objective="gcca", reconstruction_weight=0.0, validation_fraction=0.4).fit(X),
        "several": small().fit(X),
        "training": small(early_stopping=False).fit(X),
        "linear": small(reconstruction_weight=0.0, validation_fraction=0.4, max_epochs=1).fit(X),
    }


def drawn(line):
    return np.column_stack(line.get_data())


def offsets(display):
    return [np.asarray(points.get_offsets()) for points in display.points_]


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2, 3],
        "train_loss": [np.nan, 3.0, 2.0, 1.0],
        "valid_loss": [5.0, 4.0, 3.0, 3.5],
        "valid_score": [-1.0, 0.5, 0.75, 0.25],
    }
)


# Trainings


@pytest.mark.parametrize("name", ["one", "several", "training", "linear"])
def test_every_curve_is_a_column_of_the_history(fits, name):
    history = fits[name].history_
    display = TrainingCurveDisplay.from_estimator(fits[name])
    terms = [c.removeprefix("train_") for c in history if c.startswith("train_")]
    expected = [term for term in terms if term != "loss"]
    expected = ["loss", *expected] if len(expected) > 1 else expected
    prefixes = ("train_",) if name == "training" else ("train_", "valid_")
    curves = {f"{prefix}{term}" for prefix in prefixes for term in expected}
    curves |= set() if name == "training" else {"valid_score"}
    assert set(display.lines_) == curves
    assert len(display.axes_) == len(expected) + (name != "training")
    for column, line in display.lines_.items():
        assert_array_equal(drawn(line), history[["epoch", column]].to_numpy(float))


def test_curves_of_a_term_share_a_panel_and_a_colour(fits):
    display = TrainingCurveDisplay.from_estimator(fits["several"])
    names = ["loss", "invariance", "variance", "covariance", "reconstruction_a", "reconstruction_b"]
    assert titles(display)[1:] == names
    for panel, name in zip(display.axes_[1:], names, strict=True):
        valid, train = (display.lines_[f"{kind}_{name}"] for kind in ("valid", "train"))
        assert valid.axes is train.axes is panel
        assert valid.get_color() == train.get_color()
        assert (valid.get_linestyle(), train.get_linestyle()) == ("-", "--")
    colours = [display.lines_[f"valid_{name}"].get_color() for name in ("score", *names)]
    assert len(set(colours)) == len(colours)
    assert display.lines_["valid_score"].axes is display.axes_[0]


def test_the_best_epoch_is_marked_in_every_panel():
    display = TrainingCurveDisplay(HISTORY).plot()
    assert display.best_epoch_ == 2
    assert titles(display)[0] == "training dashed\nvalidation score, best 0.75 in epoch 2"
    for ax in display.axes_:
        (mark,) = [line for line in ax.lines if line not in display.lines_.values()]
        assert_array_equal(mark.get_xdata(), [2, 2])


def test_the_best_epoch_is_that_whose_weights_were_kept(fits):
    model = fits["several"]
    display = TrainingCurveDisplay.from_estimator(model)
    (stopping,) = [c for _, c in model.net_.callbacks_ if hasattr(c, "best_")]
    assert display.best_epoch_ == stopping.best_["epoch"]


def test_the_first_of_equal_epochs_is_the_best():
    history = HISTORY.assign(valid_score=[0.0, 0.5, 0.5, np.nan])
    assert TrainingCurveDisplay(history).plot().best_epoch_ == 1


def test_another_epoch_can_be_the_best():
    display = TrainingCurveDisplay(HISTORY, best_epoch=0, title="Mine").plot()
    assert display.best_epoch_ == 0
    assert titles(display)[0] == "Mine, training dashed\nvalidation score, best −1 in epoch 0"
    display = TrainingCurveDisplay(HISTORY.drop(columns="valid_score"), best_epoch=3).plot()
    assert titles(display) == ["training dashed\nloss, best epoch 3"]
    assert_array_equal(display.axes_[0].lines[-1].get_xdata(), [3, 3])


def test_without_validation_only_training_is_drawn(fits):
    display = TrainingCurveDisplay.from_estimator(fits["training"])
    assert display.best_epoch_ is None
    assert titles(display)[:2] == ["DeepCCA\nloss, training", "invariance, training"]
    for ax in display.axes_:
        assert len(ax.lines) == 1


def test_before_the_first_epoch_there_is_validation_only():
    start = pd.DataFrame({"epoch": [0], "valid_loss": [2.0], "valid_score": [0.5]})
    display = TrainingCurveDisplay(start).plot()
    assert titles(display) == ["validation score, best 0.5 in epoch 0", "loss, held out"]
    for line in display.lines_.values():
        assert line.get_marker() == "o"  # a line needs two points to be seen


def test_scores_of_callbacks_are_no_terms():
    more = {"train_loss_best": [np.nan, True, True, True], "valid_r2": [0.1, 0.2, 0.3, 0.4]}
    display = TrainingCurveDisplay(HISTORY.assign(**more)).plot()
    assert set(display.lines_) == {"train_loss", "valid_loss", "valid_score"}


def test_the_title_says_that_the_linear_solution_was_kept(fits):
    _, axes = plt.subplots(1, 2)
    for ax in (None, axes[0]):
        for name in ("linear", "training"):
            model = fits[name]
            assert (model.linear_share_ == 1) == (name == "linear")
            display = TrainingCurveDisplay.from_estimator(
                model, ax=ax if name == "linear" else None
            )
            first = titles(display)[0].replace(",\n", ", ").split("\n")[0]
            expected = "DeepCCA: the linear solution was kept" if model.linear_share_ else "DeepCCA"
            expected += ", training dashed" if name == "linear" else ""
            assert first == expected


def test_pipelines_and_searches_are_opened():
    X = make_data()
    pipe = make_pipeline(PerModality(StandardScaler()), small())
    search = GridSearchCV(pipe, {"deepcca__lr": [1e-3]}, cv=2).fit(X)
    found = TrainingCurveDisplay.from_estimator(search)
    history = search.best_estimator_[-1].history_
    assert_allclose(found.lines_["valid_score"].get_ydata(), history.valid_score)


@pytest.mark.parametrize("layout", [None, "constrained"])
def test_panels_take_the_place_of_a_single_axes(fits, layout):
    figure, (ax, other) = plt.subplots(1, 2, figsize=(11, 6), layout=layout)
    display = TrainingCurveDisplay.from_estimator(fits["several"], ax=ax)
    figure.draw_without_rendering()
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not ax.axison
    place = ax.get_position()
    for panel in display.axes_:
        box = panel.get_position()
        assert place.x0 - 0.05 <= box.x0
        assert box.x1 <= other.get_position().x0
        assert place.y0 - 0.05 <= box.y0
        assert box.y1 <= place.y1 + 0.05
    assert not other.lines
    other.set_axis_off()
    _check_legible(figure)
    display.axes_[-1].set_xlim(1, 2)
    assert {panel.get_xlim() for panel in display.axes_} == {(1, 2)}


def test_several_axes_take_a_panel_each():
    figure, axes = plt.subplots(2, 1)
    for given in (axes, list(axes)):
        display = TrainingCurveDisplay(HISTORY).plot(ax=given)
        assert list(display.axes_) == list(axes)
        assert display.figure_ is figure
    again = TrainingCurveDisplay(HISTORY).plot(ax=display.axes_)
    assert again.lines_["valid_score"].axes is axes[0]
    assert plt.get_fignums() == [figure.number]


def test_axes_without_room_for_the_panels_are_refused():
    display = TrainingCurveDisplay(HISTORY)
    figure, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match=r"2, for \['score', 'loss'\]: got 3"):
        display.plot(ax=axes)
    with pytest.raises(TypeError, match="must be an Axes or an array of Axes, got 'x'"):
        display.plot(ax="x")
    with pytest.raises(ValueError, match="not part of a grid"):
        display.plot(ax=figure.add_axes((0, 0, 1, 1)))
    display.plot(ax=axes[0])
    with pytest.raises(ValueError, match="by an earlier display"):
        display.plot(ax=axes[0])


def test_histories_that_cannot_be_drawn():
    for columns in ({"epoch": [1]}, {"train_loss": [1.0]}, {"epoch": [1], "valid_score": [1.0]}):
        with pytest.raises(ValueError, match="columns 'epoch' and 'train_<term>', got"):
            TrainingCurveDisplay(pd.DataFrame(columns)).plot()
    with pytest.raises(ValueError, match="best_epoch=7 is not in history: its epochs are 0 to 3"):
        TrainingCurveDisplay(HISTORY, best_epoch=7).plot()
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(DeepCCA())
    with pytest.raises(TypeError, match="CCA has no history_"):
        TrainingCurveDisplay.from_estimator(CCA().fit(make_data()))


# Codes


@pytest.mark.parametrize("components", [(0, 1), (1, 0), np.array([1, 0])])
@pytest.mark.parametrize("name", ["cca", "one"])
def test_points_are_the_codes(fits, name, components):
    X = make_data()
    model = fits[name] if name in fits else CCA(2).fit(X)
    display = LatentDisplay.from_estimator(model, X, components=components)
    (points,) = offsets(display)
    assert_allclose(points, model.transform(X)[:, list(components)])
    assert display.ax_.get_xlabel() == f"component {components[0]}"
    assert display.ax_.get_ylabel() == f"component {components[1]}"


@pytest.mark.parametrize("name", ["cca", "one"])
def test_points_of_one_modality_leave_out_rows_without_it(fits, name):
    X = make_data().with_missing("a", [0, 5])
    model = fits[name] if name in fits else CCA(2).fit(X)
    labels = np.array(["u", "v"] * 40)
    display = LatentDisplay.from_estimator(model, X, modality="a", labels=labels)
    codes = np.delete(model.transform_each(X)["a"], [0, 5], axis=0)
    kept = np.delete(labels, [0, 5])
    for points, label in zip(offsets(display), "uv", strict=True):
        assert_allclose(points, codes[kept == label])
    assert legend_of(display) == ["u", "v"]
    assert display.ax_.get_xlabel() == "a, component 0"
    assert display.joins_ is None


def test_each_modality_has_a_marker_and_pairs_are_joined(fits):
    X = make_data().with_missing("a", [0, 5])
    codes = fits["one"].transform_each(X)
    display = LatentDisplay.from_estimator(fits["one"], X, modality="each")
    a, b = offsets(display)
    assert_allclose(a, np.delete(codes["a"], [0, 5], axis=0))
    assert_allclose(b, codes["b"])
    assert legend_of(display) == ["a", "b"]
    paths = [points.get_paths()[0].vertices for points in display.points_]
    assert paths[0].shape != paths[1].shape
    both = np.delete(np.stack([codes["a"], codes["b"]], axis=1), [0, 5], axis=0)
    assert_allclose(np.stack(display.joins_.get_segments()), both)
    assert display.ax_.get_xlabel() == "component 0"


def test_many_pairs_are_not_joined():
    rng = np.random.default_rng(0)
    codes = {name: rng.standard_normal((151, 2)) for name in "ab"}
    assert LatentDisplay(codes).plot().joins_ is None
    few = {name: Z[:150] for name, Z in codes.items()}
    assert len(LatentDisplay(few).plot().joins_.get_segments()) == 150


@pytest.mark.parametrize("n_classes", [2, 10, 15])
def test_classes_of_each_modality_differ_in_colour_alone(n_classes):
    rng = np.random.default_rng(0)
    codes = {name: rng.standard_normal((60, 2)) for name in "ab"}
    codes["a"][3] = np.nan
    labels = np.array([f"class {i % n_classes:02d}" for i in range(60)], dtype=object)
    labels[[1, 3]] = None
    display = LatentDisplay(codes, labels=labels).plot()
    names = sorted(set(labels) - {None})
    assert sorted(legend_of(display)) == sorted(["a", "b", "no label", *names])
    found = offsets(display)
    assert len(found) == 2 * (1 + n_classes)
    for i, (key, own) in enumerate((k, name) for k in "ab" for name in [None, *names]):
        rows = (labels == own) & ~np.isnan(codes[key]).any(axis=1)
        assert_allclose(found[i], codes[key][rows])
    colours = [tuple(points.get_facecolor()[0]) for points in display.points_]
    assert colours[: 1 + n_classes] == colours[1 + n_classes :]
    assert len(set(colours)) == 1 + n_classes
    shapes = [points.get_paths()[0].vertices.shape for points in display.points_]
    assert shapes[0] == shapes[1] != shapes[-1]


def test_quantities_of_each_modality_share_a_scale():
    codes = {"a": [[0, 1], [2, 3], [np.nan, 1]], "b": [[0, 0], [1, 1], [5, 5]]}
    labels = pd.Series([1.0, 2.0, 7.0], name="ink")
    display = LatentDisplay(codes, labels=labels).plot()
    a, b = display.points_
    assert_array_equal(a.get_array(), [1, 2])
    assert_array_equal(b.get_array(), [1, 2, 7])
    assert a.get_clim() == b.get_clim() == (1, 7)
    assert b.colorbar.ax.get_ylabel() == "ink"
    assert legend_of(display) == ["a", "b"]


def test_points_of_a_projection():
    X = make_data()
    cca = CCA(2).fit(X)
    pca = PCA(2, random_state=0)
    display = LatentDisplay.from_estimator(cca, X, projection=pca)
    assert not hasattr(pca, "components_")
    expected = PCA(2, random_state=0).fit_transform(cca.transform(X))
    assert_allclose(offsets(display)[0], expected)
    assert display.ax_.get_ylabel() == "PCA 1"
    swapped = LatentDisplay.from_estimator(cca, X, projection=pca, components=(1, 0))
    assert_allclose(offsets(swapped)[0], expected[:, ::-1])


def test_a_projection_is_fitted_on_all_codes_drawn():
    X = make_data().with_missing("a", [0, 5])
    cca = CCA(2).fit(X)
    codes = cca.transform_each(X)
    stacked = np.concatenate([np.delete(codes["a"], [0, 5], axis=0), codes["b"]])
    expected = PCA(2, random_state=0).fit_transform(stacked)
    display = LatentDisplay.from_estimator(
        cca, X, modality="each", projection=PCA(2, random_state=0)
    )
    assert_allclose(np.concatenate(offsets(display)), expected)


def test_pipelines_are_followed():
    X = make_data()
    pipe = make_pipeline(PerModality(StandardScaler()), CCA(2)).fit(X)
    display = LatentDisplay.from_estimator(pipe, X)
    assert_allclose(offsets(display)[0], pipe.transform(X))
    each = LatentDisplay.from_estimator(pipe, X, modality="b")
    scaled = PerModality(StandardScaler()).fit_transform(X)
    assert_allclose(offsets(each)[0], pipe[-1].transform_each(scaled)["b"])


@pytest.mark.parametrize("form", ["dict", "DataFrame", "X and y"])
def test_other_forms_of_input(form):
    X = make_data()
    a, b = X["a"], X["b"]
    frame = pd.concat({name: pd.DataFrame(Z) for name, Z in X.items()}, axis=1)
    given, y = {"dict": ({"a": a, "b": b}, None), "DataFrame": (frame, None)}.get(form, (a, b))
    cca = CCA(2).fit(given, y)
    each = cca.transform_each(given) if y is None else cca.transform_each(given, y)
    assert len(each) == 2
    display = LatentDisplay.from_estimator(cca, given, y)
    assert_allclose(offsets(display)[0], cca.transform(given))
    display = LatentDisplay.from_estimator(cca, given, y, modality="each")
    for points, Z in zip(offsets(display), each.values(), strict=True):
        assert_allclose(points, Z)


def test_one_component_lies_in_strips():
    X = make_data()
    cca = CCA(1).fit(X)
    display = LatentDisplay.from_estimator(cca, X)
    (found,) = offsets(display)
    assert_allclose(found[:, 0], cca.transform(X)[:, 0])
    assert np.abs(found[:, 1]).max() < 0.31
    assert not display.ax_.get_yticklabels()
    one_of_two = LatentDisplay.from_estimator(CCA(2).fit(X), X, components=1)
    assert_allclose(offsets(one_of_two)[0][:, 0], CCA(2).fit(X).transform(X)[:, 1])
    assert one_of_two.ax_.get_xlabel() == "component 1"


def test_strips_are_modalities_or_else_classes():
    X = make_data()
    cca = CCA(1).fit(X)
    each = LatentDisplay.from_estimator(cca, X, modality="each")
    assert [t.get_text() for t in each.ax_.get_yticklabels()] == ["a", "b"]
    for m, (name, found) in enumerate(zip("ab", offsets(each), strict=True)):
        assert_allclose(found[:, 0], cca.transform_each(X)[name][:, 0])
        assert np.abs(found[:, 1] - m).max() < 0.31
    labels = np.array(["low", None, "high", "low"] * 20, dtype=object)
    classes = LatentDisplay.from_estimator(cca, X, labels=labels)
    assert [t.get_text() for t in classes.ax_.get_yticklabels()] == ["high", "low"]
    rows = [np.unique(found[:, 1].round()) for found in offsets(classes)]
    assert_allclose(np.concatenate(rows), [2.0, 0.0, 1.0])  # without a label, high, low


def test_a_modality_alone_can_be_drawn(fits):
    X = make_data()
    display = LatentDisplay.from_estimator(fits["one"], X.select(["b"]), modality="b")
    assert_allclose(offsets(display)[0], fits["one"].transform_each(X)["b"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": (0, 2)}, "components=2 .* there are 2"),
        ({"components": 2}, "components=2 .* there are 2"),
        ({"components": True}, "components=True .* there are 2"),
        ({"components": (1, 1)}, r"components=\(1, 1\) must be one component or two different"),
        ({"components": (0, 1, 0)}, "must be one component or two different"),
        ({"modality": "z"}, r"modality='z' is not 'each' or one of X: \['a', 'b'\]"),
        ({"labels": [1]}, "one per row: 80, got 1"),
        ({"projection": PCA(1)}, r"gives shape \(80, 1\) for 80 rows"),
        ({"projection": PCA(2), "components": (0, 2)}, "components=2 .* there are 2"),
    ],
)
def test_bad_options_are_refused(options, message):
    X = make_data()
    with pytest.raises(ValueError, match=message):
        LatentDisplay.from_estimator(CCA(2).fit(X), X, **options)


@pytest.mark.parametrize("projection", [None, "pca", PCA, StandardScaler().fit_transform])
def test_projections_must_be_transformers(projection):
    X = make_data()
    with pytest.raises(TypeError, match="must be 'components' or an instance with fit_transform"):
        LatentDisplay.from_estimator(CCA(2).fit(X), X, projection=projection)


def test_codes_are_needed():
    X = make_data()
    with pytest.raises(NotFittedError):
        LatentDisplay.from_estimator(CCA(2), X)
    with pytest.raises(TypeError, match="PCA has no transform_each"):
        LatentDisplay.from_estimator(PCA(2).fit(X["a"]), X["a"], modality="a")
    with pytest.raises(TypeError, match="LinearRegression has no transform"):
        LatentDisplay.from_estimator(LinearRegression().fit(X["a"], X["b"]), X["a"])
    cca = CCA(2).fit(X)
    without = X.with_missing("a", np.arange(80))
    for projection in ("components", PCA(2)):
        with pytest.raises(ValueError, match="None of the 80 rows has a code"):
            LatentDisplay.from_estimator(cca, without, modality="a", projection=projection)


@pytest.mark.parametrize(
    ("codes", "got"),
    [
        (np.ones((3, 3)), r"\(3, 3\)"),
        ({"a": np.ones((3, 2)), "b": np.ones((4, 2))}, r"'b': \(4, 2\)"),
        ({}, r"\{\}"),
    ],
)
def test_codes_must_have_one_or_two_columns(codes, got):
    with pytest.raises(ValueError, match=rf"codes must be \(n_samples, 2\) or .* got .*{got}"):
        LatentDisplay(codes).plot()


def test_given_axes_are_used():
    figure, (ax, other) = plt.subplots(1, 2)
    display = LatentDisplay(np.ones((3, 2))).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert not other.collections
    assert plt.get_fignums() == [figure.number]


# Both


def test_texts_do_not_overlap(fits):
    X, y = load_digits_halves(return_X_y=True)
    cca = CCA(3, shrinkage=0.1).fit(X)
    for display in (
        *(TrainingCurveDisplay.from_estimator(model) for model in fits.values()),
        LatentDisplay.from_estimator(cca, X, labels=y),
        LatentDisplay.from_estimator(cca, X[:100], labels=y[:100], modality="each"),
        LatentDisplay.from_estimator(cca, X, labels=np.linspace(0, 1, len(y)), modality="each"),
    ):
        _check_legible(display.figure_)


@pytest.mark.parametrize(
    "display",
    [
        LatentDisplay(np.ones((3, 2))),
        TrainingCurveDisplay(pd.DataFrame({"epoch": [1], "train_loss": [1.0]})),
    ],
    ids=lambda display: type(display).__name__,
)
def test_without_matplotlib_the_error_names_the_extra(display, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skmm\[plot\]"'):
        display.plot()
    with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skmm\[plot\]"'):
        type(display).from_estimator(CCA(), *([None] if isinstance(display, LatentDisplay) else []))
