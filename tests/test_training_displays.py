"""Displays of trainings and codes: what is drawn is what the estimator says."""

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

from skmm import CCA, DeepCCA, Modalities
from skmm.compose import PerModality
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


def drawn(line):
    return np.column_stack(line.get_data())


# Trainings


def test_every_term_has_a_panel_and_its_curves():
    model = small().fit(make_data())
    display = TrainingCurveDisplay.from_estimator(model)
    history = model.history_
    terms = [c.removeprefix("train_") for c in history if c.startswith("train_")]
    assert len(display.axes_) == 1 + len(terms)
    curves = [c for c in history if c.startswith(("train_", "valid_"))]
    assert set(display.lines_) == set(curves)
    for column, line in display.lines_.items():
        known = history[["epoch", column]].dropna()
        assert_allclose(drawn(line), known.to_numpy(float))
    assert 0 in display.lines_["valid_loss"].get_xdata()  # the start
    assert 0 not in display.lines_["train_loss"].get_xdata()


def test_the_best_epoch_is_marked_in_every_panel():
    history = pd.DataFrame(
        {
            "epoch": [0, 1, 2, 3],
            "train_loss": [np.nan, 3.0, 2.0, 1.0],
            "valid_loss": [5.0, 4.0, 3.0, 3.5],
            "valid_score": [-1.0, 0.5, 0.75, 0.25],
        }
    )
    display = TrainingCurveDisplay(history).plot()
    assert display.best_epoch_ == 2
    assert display.axes_[0].get_title(loc="left") == "validation score: 0.75 in epoch 2"
    for ax in display.axes_:
        (mark,) = [line for line in ax.lines if line not in display.lines_.values()]
        assert_array_equal(mark.get_xdata(), [2, 2])


def test_without_validation_only_training_is_drawn():
    display = TrainingCurveDisplay.from_estimator(
        small(early_stopping=False, objective="gcca", reconstruction_weight=0.0).fit(make_data())
    )
    assert list(display.lines_) == ["train_loss"]  # the only term is the loss
    assert display.best_epoch_ is None
    assert display.axes_[0].get_legend() is None


def test_the_title_says_that_the_linear_solution_was_kept():
    model = small(reconstruction_weight=0.0, validation_fraction=0.4, max_epochs=1)
    model.fit(make_data())
    assert model.is_linear_
    title = TrainingCurveDisplay.from_estimator(model).figure_.get_suptitle()
    assert title == "DeepCCA: the linear solution was kept"


def test_pipelines_and_searches_are_opened():
    X = make_data()
    pipe = make_pipeline(PerModality(StandardScaler()), small())
    search = GridSearchCV(pipe, {"deepcca__lr": [1e-3]}, cv=2).fit(X)
    found = TrainingCurveDisplay.from_estimator(search)
    history = search.best_estimator_[-1].history_
    assert_allclose(found.lines_["valid_score"].get_ydata(), history.valid_score)


def test_panels_take_the_place_of_the_axes():
    figure, (ax, other) = plt.subplots(1, 2)
    display = TrainingCurveDisplay.from_estimator(small().fit(make_data()), ax=ax)
    assert display.figure_ is figure
    assert not ax.axison
    assert all(panel.figure is figure for panel in display.axes_)
    assert not other.lines
    right = max(panel.get_position().x1 for panel in display.axes_)
    assert right <= other.get_position().x0


def test_histories_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="columns 'epoch' and 'train_<term>', got"):
        TrainingCurveDisplay(pd.DataFrame({"epoch": [1]})).plot()
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(DeepCCA())
    with pytest.raises(TypeError, match="CCA has no history_"):
        TrainingCurveDisplay.from_estimator(CCA().fit(make_data()))


# Codes


@pytest.mark.parametrize("components", [(0, 1), (1, 0)])
def test_points_are_the_codes(components):
    X = make_data()
    cca = CCA(2).fit(X)
    display = LatentDisplay.from_estimator(cca, X, components=components)
    (points,) = display.points_
    assert_allclose(points.get_offsets(), cca.transform(X)[:, list(components)])
    assert display.ax_.get_xlabel() == f"component {components[0]}"


def test_points_of_one_modality_leave_out_rows_without_it():
    X = make_data().with_missing("a", [0, 5])
    cca = CCA(2).fit(X)
    labels = np.array(["u", "v"] * 40)
    display = LatentDisplay.from_estimator(cca, X, modality="a", labels=labels)
    codes = np.delete(cca.transform_each(X)["a"], [0, 5], axis=0)
    kept = np.delete(labels, [0, 5])
    for points, label in zip(display.points_, "uv", strict=True):
        assert_allclose(points.get_offsets(), codes[kept == label])
    assert display.ax_.get_xlabel() == "a, component 0"


def test_points_of_a_projection():
    X = make_data()
    cca = CCA(2).fit(X)
    display = LatentDisplay.from_estimator(cca, X, projection=PCA(2, random_state=0))
    expected = PCA(2, random_state=0).fit_transform(cca.transform(X))
    assert_allclose(display.points_[0].get_offsets(), expected)
    assert display.ax_.get_ylabel() == "PCA 1"


def test_pipelines_are_followed():
    X = make_data()
    pipe = make_pipeline(PerModality(StandardScaler()), CCA(2)).fit(X)
    display = LatentDisplay.from_estimator(pipe, X)
    assert_allclose(display.points_[0].get_offsets(), pipe.transform(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": (0, 2)}, "components=2 .* there are 2"),
        ({"components": 1}, "components=1 must be two"),
        ({"modality": "z"}, "modality='z' is not in X"),
        ({"labels": [1]}, "one per row: 80, got 1"),
        ({"projection": PCA(1)}, r"gives shape \(80, 1\)"),
    ],
)
def test_bad_options_are_refused(options, message):
    X = make_data()
    with pytest.raises(ValueError, match=message):
        LatentDisplay.from_estimator(CCA(2).fit(X), X, **options)


def test_codes_are_needed():
    X = make_data()
    with pytest.raises(NotFittedError):
        LatentDisplay.from_estimator(CCA(2), X)
    with pytest.raises(TypeError, match="PCA has no transform_each"):
        LatentDisplay.from_estimator(PCA(2).fit(X["a"]), X["a"], modality="a")
    with pytest.raises(ValueError, match=r"points must be \(n_samples, 2\)"):
        LatentDisplay(np.ones((3, 3))).plot()


def test_given_axes_are_used():
    figure, (ax, other) = plt.subplots(1, 2)
    display = LatentDisplay(np.ones((3, 2))).plot(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert not other.collections


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
