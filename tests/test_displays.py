"""The displays: arrays against NumPy, drawings against the arrays, texts against each other."""

import sys
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities
from skmm.compose import PerModality
from skmm.datasets import fetch_nutrimouse, load_digits_halves
from skmm.inspection import CorrelationDisplay, LoadingsDisplay, ScoresDisplay
from skmm.inspection._correlations import unfitted_choice
from skmm.inspection._plot import _correlation
from skmm.inspection._plot._loadings import separated

mpl.use("Agg")

SPLITS = [(np.arange(20, 90), np.arange(20)), (np.arange(60), np.arange(60, 90))]


@pytest.fixture(autouse=True)
def _closed_figures_and_same_settings():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


@pytest.fixture
def two_splits(monkeypatch):
    class Fixed:
        def __init__(self, **kwargs):
            pass

        def split(self, rows):
            return SPLITS

    monkeypatch.setattr(_correlation, "RepeatedKFold", Fixed)


def _arrays(n_samples=90, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n_samples, 2)) * [1.5, 0.8]
    a = z @ rng.standard_normal((2, 4)) + rng.standard_normal((n_samples, 4))
    b = z @ rng.standard_normal((2, 3)) + rng.standard_normal((n_samples, 3))
    return a * [1.0, 10.0, 0.1, 1.0] + 5, b


def _forms(a, b):
    """Return X, y and the parameters of CCA for each form of input."""
    both = {"a": a, "b": b}
    frame = pd.concat({name: pd.DataFrame(value) for name, value in both.items()}, axis=1)
    selectors = {"a": slice(0, 4), "b": slice(4, 7)}
    return {
        "Modalities": (Modalities(both), None, {}),
        "dict": (both, None, {}),
        "two levels": (frame, None, {}),
        "columns": (np.hstack([a, b]), None, {"modalities": selectors}),
        "X and y": (a, b, {}),
    }


FORMS = ("Modalities", "dict", "two levels", "columns", "X and y")


def _textbook(a, b, k):
    """Return means and weights of CCA by QR and SVD."""
    parts = []
    for block in (a, b):
        q, r = np.linalg.qr(block - block.mean(axis=0))
        parts.append((block.mean(axis=0), q, r))
    (mean_a, qa, ra), (mean_b, qb, rb) = parts
    left, rho, right = np.linalg.svd(qa.T @ qb)
    weights = np.linalg.solve(ra, left[:, :k]), np.linalg.solve(rb, right.T[:, :k])
    return (mean_a, mean_b), weights, rho[:k]


def _columnwise(a, b):
    return np.array([np.corrcoef(u, v)[0, 1] for u, v in zip(a.T, b.T, strict=True)])


def _texts(figure):
    """Return the texts that are drawn, each with its box in pixels."""
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpl.text.Text, "draw", lambda self, renderer: drawn.append(self))
        figure.draw_without_rendering()
    texts = [artist for artist in drawn if artist.get_visible() and artist.get_text()]
    return [(a.get_text(), mpl.text.Text.get_window_extent(a)) for a in texts]


def _check_legible(figure):
    texts = _texts(figure)
    assert len(texts) > 5
    for (one, box), (other, box_2) in combinations(texts, 2):
        width = min(box.x1, box_2.x1) - max(box.x0, box_2.x0)
        height = min(box.y1, box_2.y1) - max(box.y0, box_2.y0)
        # The boxes of lines of text include the room above and below the letters.
        assert width <= 0 or height <= 0.2 * min(box.height, box_2.height), (one, other)
    frame = figure.bbox
    for text, box in texts:
        assert frame.x0 <= box.x0, text
        assert box.x1 <= frame.x1, text
        assert frame.y0 <= box.y0, text
        assert box.y1 <= frame.y1, text


# --- correlations


@pytest.mark.parametrize("form", FORMS)
def test_correlations_are_those_of_numpy_in_every_form(form, two_splits):
    a, b = _arrays()
    X, y, params = _forms(a, b)[form]
    cca = CCA(2, **params).fit(X, y)
    display = CorrelationDisplay.from_estimator(cca, X, y, n_permutations=0)
    np.testing.assert_allclose(display.train, _textbook(a, b, 2)[2])
    for (train, test), found in zip(SPLITS, display.held_out, strict=True):
        means, weights, _ = _textbook(a[train], b[train], 2)
        codes = [(v[test] - m) @ w for v, m, w in zip((a, b), means, weights, strict=True)]
        np.testing.assert_allclose(found, _columnwise(*codes), atol=1e-10)
    assert display.null is None
    assert display.band_ is None


def test_the_band_is_that_of_permuted_pairs():
    a, b = _arrays(60)
    cca = CCA().fit({"a": a, "b": b})
    display = CorrelationDisplay.from_estimator(
        cca, {"a": a, "b": b}, n_permutations=300, random_state=0
    )
    rng = np.random.default_rng(0)
    own = [_textbook(a, b[rng.permutation(60)], 1)[2][0] for _ in range(1000)]
    assert display.null.shape == (300, 3)
    np.testing.assert_allclose(
        np.quantile(display.null[:, 0], [0.5, 0.95]), np.quantile(own, [0.5, 0.95]), atol=0.04
    )
    assert display.train[0] > np.quantile(display.null[:, 0], 0.95)


def test_shrinkage_has_a_band_for_the_first_component_only():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    cca = CCA(2, shrinkage={"a": 0.5}).fit(X)
    display = CorrelationDisplay.from_estimator(cca, X, n_permutations=5, random_state=0)
    assert display.null.shape == (5, 1)
    dashed = [line for line in display.ax_.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1
    np.testing.assert_allclose(dashed[0].get_ydata(), np.quantile(display.null, 0.95))


def test_held_out_is_the_mean_over_pairs_of_rows_that_have_both(two_splits):
    a, b = _arrays()
    rng = np.random.default_rng(1)
    blocks = {"a": a, "b": b, "c": a[:, :2] + rng.standard_normal((90, 2))}
    X = Modalities(blocks).with_missing("c", [0, 5, 30]).with_missing("a", [1, 70])
    cca = CCA(2).fit(X)
    display = CorrelationDisplay.from_estimator(cca, X, n_permutations=3, random_state=0)
    for (train, test), found in zip(SPLITS, display.held_out, strict=True):
        codes = CCA(2).fit(X[train]).transform_each(X[test])
        pairs = []
        for one, other in combinations(codes.values(), 2):
            both = ~np.isnan(one[:, 0] + other[:, 0])
            pairs.append(_columnwise(one[both], other[both]))
        np.testing.assert_allclose(found, np.mean(pairs, axis=0))
    np.testing.assert_allclose(display.train, cca.canonical_correlations_)
    assert display.null.shape == (3, 2)


def test_a_component_that_a_clone_lacks_counts_zero(two_splits):
    a, b = _arrays()
    b = np.column_stack([b[:, :1], np.zeros(90)])
    b[:60, 1] = np.random.default_rng(0).standard_normal(60) * (np.arange(60) < 20)
    X = Modalities({"a": a, "b": b})  # the second column is constant without the first 20 rows
    display = CorrelationDisplay.from_estimator(CCA().fit(X), X, n_permutations=0)
    assert display.held_out.shape == (2, 2)
    assert display.held_out[0, 1] == 0
    assert display.held_out[0, 0] != 0


def test_pipelines_are_fitted_anew_and_searches_are_not_repeated(two_splits):
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    pipe = make_pipeline(PerModality(PCA(2)), CCA())
    search = GridSearchCV(pipe, {"cca__n_components": [1, 2]}, cv=2).fit(X)
    search.best_estimator_ = make_pipeline(PerModality(PCA(2)), CCA(2)).fit(X)
    display = CorrelationDisplay.from_estimator(search, X, n_permutations=0)
    reduced = [PCA(2).fit(v[SPLITS[0][0]]) for v in (a, b)]
    train, test = SPLITS[0]
    parts = [
        (p.transform(v[train]), p.transform(v[test])) for p, v in zip(reduced, (a, b), strict=True)
    ]
    means, weights, _ = _textbook(parts[0][0], parts[1][0], 2)
    codes = [(p[1] - m) @ w for p, m, w in zip(parts, means, weights, strict=True)]
    np.testing.assert_allclose(display.held_out[0], _columnwise(*codes), atol=1e-10)


def test_a_number_of_components_that_was_chosen_is_kept():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    cca = make_pipeline(PerModality(StandardScaler()), CCA("auto", random_state=0)).fit(X)
    unfitted = unfitted_choice(cca, cca[-1])
    assert unfitted[-1].n_components == cca[-1].n_components_
    assert cca[-1].n_components == "auto"


def test_same_seed_same_display_with_any_number_of_jobs():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    cca = CCA(2).fit(X)
    with parallel_config(backend="threading"):
        one, two, other = (
            CorrelationDisplay.from_estimator(
                cca, X, n_splits=3, n_repeats=1, n_permutations=4, random_state=seed, n_jobs=jobs
            )
            for seed, jobs in ((0, None), (0, 2), (1, None))
        )
    assert one.held_out.shape == (3, 2)
    np.testing.assert_allclose(one.held_out, two.held_out)
    np.testing.assert_allclose(one.null, two.null)
    assert not np.allclose(one.held_out, other.held_out)
    assert not np.allclose(one.null, other.null)


def test_correlations_drawn_are_the_arrays():
    rng = np.random.default_rng(0)
    train, held_out = np.array([0.9, 0.7, 0.4]), rng.uniform(-0.2, 0.9, (6, 3))
    null = rng.uniform(0.1, 0.5, (50, 2))
    display = CorrelationDisplay(train, held_out, null=null).plot(quantile=0.8)
    np.testing.assert_array_equal(display.train_line_.get_ydata(), train)
    points, _, (bars,) = display.held_out_bars_.lines
    mean, sd = held_out.mean(axis=0), held_out.std(axis=0)
    np.testing.assert_allclose(points.get_ydata(), mean)
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, np.column_stack([mean - sd, mean + sd]))
    outline = display.band_.get_paths()[0].vertices
    for k, level in enumerate(np.quantile(null, 0.8, axis=0)):
        over = (outline[:, 0] >= k - 0.5) & (outline[:, 0] <= k + 0.5)
        assert np.isclose(outline[over, 1], level).any()
    low, high = display.ax_.get_ylim()
    assert low < (mean - sd).min()
    assert high > 1
    assert "80 %" in " ".join(t.get_text() for t in display.ax_.get_legend().get_texts())
    assert display.plot().band_.get_paths()[0].vertices[:, 1].max() > outline[:, 1].max()


# --- loadings


@pytest.mark.parametrize("form", FORMS)
def test_loadings_are_correlations_of_columns_with_their_projections(form):
    a, b = _arrays()
    X, y, params = _forms(a, b)[form]
    cca = CCA(2, scale=False, **params).fit(X, y)
    display = LoadingsDisplay.from_estimator(cca, X, y)
    codes = cca.transform_each(X) if y is None else cca.transform_each(X, y)
    for (name, found), block in zip(display.correlations.items(), (a, b), strict=True):
        expected = np.corrcoef(block.T, codes[name].T)[: block.shape[1], block.shape[1] :]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        np.testing.assert_allclose(found, cca.loadings_[name], atol=1e-10)


def test_loadings_leave_out_missing_rows_and_constant_columns_count_zero():
    a, b = _arrays()
    b[:, 1] = 3.0
    X = Modalities({"a": a, "b": b}).with_missing("a", np.arange(10))
    cca = CCA(1, shrinkage=0.1).fit(X)
    found = LoadingsDisplay.from_estimator(cca, X, kind="bar").correlations
    code = cca.transform_each(X)["a"][10:, 0]
    np.testing.assert_allclose(found["a"][:, 0], np.corrcoef(a[10:].T, code)[-1, :-1])
    assert found["b"][1, 0] == 0


def test_one_component_is_drawn_as_bars():
    a, b = _arrays()
    display = LoadingsDisplay.from_estimator(CCA(1).fit(a, b), a, b)
    assert len(display.bars_) == 7
    assert display.ax_.get_xlabel() == "Correlation with component 0"


def test_bars_show_every_modality():
    correlations = {"a": np.linspace(0.5, 0.9, 30)[:, None], "b": [[0.1], [-0.2]], "c": [[0.01]]}
    for top, drawn in ((10, {"a": 8, "b": 1, "c": 1}), (1, {"a": 1, "b": 1, "c": 1})):
        display = LoadingsDisplay(correlations).plot(kind="bar", top=top)
        names = [label.get_text() for label in display.labels_]
        assert {m: sum(name.startswith(m) for name in names) for m in "abc"} == drawn
        assert {"a[29]", "b[1]", "c[0]"} <= set(names)  # the strongest of each
        widths = [bar.get_width() for bar in display.bars_]
        assert widths == sorted(widths, reverse=True)
    two = LoadingsDisplay(correlations).plot(kind="bar", modalities=["b", "c"], top=2)
    assert [label.get_text() for label in two.labels_] == ["c[0]", "b[1]"]


def test_circle_shows_every_column_and_names_the_strongest():
    rng = np.random.default_rng(0)
    correlations = {"a": rng.uniform(-0.7, 0.7, (30, 3)), "b": rng.uniform(-0.7, 0.7, (9, 3))}
    display = LoadingsDisplay(correlations).plot(components=(2, 0), top=7)
    size = {
        f"{name}[{j}]": np.hypot(*row[[2, 0]])
        for name, block in correlations.items()
        for j, row in enumerate(block)
    }
    for name, block in correlations.items():
        drawn = display.points_[name].get_offsets()
        np.testing.assert_array_equal(drawn, block[:, [2, 0]])
    named = {label.get_text(): label.xy for label in display.labels_}
    assert set(named) == set(sorted(size, key=size.get)[-7:])
    for text, place in named.items():
        name, j = text[0], int(text[2:-1])
        np.testing.assert_array_equal(place, correlations[name][j, [2, 0]])
    assert display.ax_.get_xlabel() == "Correlation with component 2"
    assert display.ax_.get_ylabel() == "Correlation with component 0"
    assert display.plot(top=0).labels_ == []


def test_bars_are_the_strongest_columns_in_order():
    correlations = {"a": [[0.1], [-0.9], [0.5]], "b": [[0.8], [0.05]]}
    display = LoadingsDisplay(correlations, feature_names={"b": ["$x", "_y"]})
    display.plot(kind="bar", top=3)
    assert [bar.get_width() for bar in display.bars_] == [0.8, 0.5, -0.9]
    assert [label.get_text() for label in display.labels_] == ["$x", "a[2]", "a[1]"]
    colours = [bar.get_facecolor() for bar in display.bars_]
    assert colours[0] != colours[1] == colours[2]
    only = LoadingsDisplay(correlations).plot(kind="bar", top=3, modalities=["b"])
    assert [bar.get_width() for bar in only.bars_] == [0.8, 0.05]
    assert only.bars_[0].get_facecolor() == colours[0]  # as among all modalities


def test_columns_have_their_names_where_these_are_known():
    a, b = _arrays()
    X = {"a": pd.DataFrame(a, columns=list("pqrs")), "b": b, "age": pd.Series(a[:, 1] + b[:, 0])}
    cca = CCA(1).fit(X)
    names = LoadingsDisplay.from_estimator(cca, X, kind="bar").feature_names
    assert names == {"a": ["p", "q", "r", "s"], "age": ["age"]}
    display = LoadingsDisplay.from_estimator(
        cca, X, kind="bar", feature_names={"b": ["u", "v", "w"]}
    )
    shown = {label.get_text() for label in display.labels_}
    assert shown == {"p", "q", "r", "s", "u", "v", "w", "age"}


# --- scores


@pytest.mark.parametrize("form", FORMS)
def test_scores_are_the_projections(form):
    a, b = _arrays()
    X, y, params = _forms(a, b)[form]
    cca = CCA(2, **params).fit(X, y)
    display = ScoresDisplay.from_estimator(cca, X, y, component=1)
    codes = cca.transform_each(X) if y is None else cca.transform_each(X, y)
    (one, u), (other, v) = codes.items()
    np.testing.assert_allclose(
        display.points_[0].get_offsets(), np.column_stack([u[:, 1], v[:, 1]])
    )
    assert display.ax_.get_xlabel() == f"{one}, component 1"
    assert display.ax_.get_ylabel() == f"{other}, component 1"
    r = _columnwise(u, v)[1]
    assert display.ax_.get_title(loc="left") == f"r = {r:.2f} in training (90 rows)"


def test_scores_of_other_rows_state_both_correlations():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    cca = make_pipeline(PerModality(StandardScaler()), CCA(2)).fit(X[:60])
    display = ScoresDisplay.from_estimator(cca, X[60:], modalities=["b", "a"])
    codes = cca[-1].transform_each(cca[:-1].transform(X[60:]))
    r = _columnwise(codes["b"], codes["a"])[0]
    train = _textbook(a[:60], b[:60], 1)[2][0]
    assert display.ax_.get_title(loc="left") == (
        f"r = {r:.2f} in these 30 rows, {train:.2f} in training"
    )
    assert np.isclose(display.correlation_, r)
    assert display.ax_.get_xlabel().startswith("b")


def test_rows_that_lack_a_modality_are_left_out_with_their_labels():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b}).with_missing("a", [0, 1]).with_missing("b", [2])
    labels = np.array(["left out"] * 3 + ["kept"] * 87)
    display = ScoresDisplay.from_estimator(CCA(1).fit(X), X, labels=labels)
    (points,) = display.points_
    assert len(points.get_offsets()) == 87
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["kept"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "b", None], ["no label", "a", "b"]),
        ([3, 1, 3, 1], ["1", "3"]),
        ([True, False, True, True], ["False", "True"]),
        (pd.Categorical(["x", "w", "x", "w"], categories=["x", "w", "v"]), ["x", "w"]),
        (pd.Series(["$m", "_n", "_n", 3], index=[9, 8, 7, 6]), ["$m", "3", "_n"]),
    ],
)
def test_classes_have_a_legend_and_their_own_points(labels, classes):
    x, y = np.arange(4.0), np.array([0.0, 2.0, 1.0, 3.0])
    display = ScoresDisplay(x, y, labels=labels).plot()
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == classes
    plain = pd.Series(labels).reset_index(drop=True)
    for points, name in zip(display.points_, classes, strict=True):
        own = plain.isna() if name == "no label" else plain.astype(str) == name
        np.testing.assert_array_equal(points.get_offsets()[:, 0], x[own.to_numpy()])
    assert len({tuple(p.get_facecolor()[0]) for p in display.points_}) == len(classes)


@pytest.mark.parametrize("labels", [np.linspace(0, 1, 20), np.arange(20)])
def test_quantities_have_a_colour_bar(labels):
    display = ScoresDisplay(
        np.arange(20), np.arange(20), labels=pd.Series(labels, name="ink")
    ).plot()
    np.testing.assert_array_equal(display.points_[0].get_array(), labels)
    assert display.points_[0].colorbar.ax.get_ylabel() == "ink"
    assert display.ax_.get_legend() is None


# --- all


def _displays():
    rng = np.random.default_rng(0)
    return {
        "correlation": (CorrelationDisplay([0.9, 0.2], rng.uniform(size=(3, 2))), {}),
        "circle": (LoadingsDisplay({"a": rng.uniform(-0.7, 0.7, (5, 2))}), {}),
        "bar": (LoadingsDisplay({"a": rng.uniform(-0.7, 0.7, (5, 2))}), {"kind": "bar"}),
        "scores": (ScoresDisplay(np.arange(9), rng.uniform(size=9), labels=np.arange(9)), {}),
    }


@pytest.mark.parametrize("name", _displays())
def test_given_axes_are_used(name):
    display, options = _displays()[name]
    figure, (ax, other) = plt.subplots(1, 2)
    assert display.plot(ax=ax, **options) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not other.lines
    assert display.plot(**options).ax_ is not ax


@pytest.mark.parametrize("name", _displays())
def test_without_matplotlib_the_error_names_the_extra(name, monkeypatch):
    display, options = _displays()[name]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = rf'{type(display).__name__}.* needs matplotlib: pip install "skmm\[plot\]"'
    with pytest.raises(ImportError, match=message):
        display.plot(**options)
    with pytest.raises(ImportError, match=message):
        type(display).from_estimator(CCA(), None)


@pytest.mark.parametrize("display", [CorrelationDisplay, LoadingsDisplay, ScoresDisplay])
def test_estimators_must_be_fitted_and_have_codes(display):
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    for estimator in (CCA(), make_pipeline(PerModality(PCA(2)), CCA())):
        with pytest.raises(NotFittedError):
            display.from_estimator(estimator, X)
    with pytest.raises(TypeError, match="PCA"):
        display.from_estimator(PCA(2).fit(a), a)
    with pytest.raises(ValueError, match="two modalities"):
        display.from_estimator(CCA().fit(X), X.select(["a"]))


@pytest.mark.parametrize(
    ("display", "options", "message"),
    [
        (LoadingsDisplay, {"components": (0, 2)}, r"components=2 .* there are 2, 0 to 1"),
        (LoadingsDisplay, {"components": (1, 1)}, r"components=\(1, 1\) must be two different"),
        (LoadingsDisplay, {"components": 1}, "components=1 must be two different"),
        (LoadingsDisplay, {"kind": "bar", "component": -1}, "component=-1"),
        (LoadingsDisplay, {"kind": "bar", "top": 0}, "top=0"),
        (LoadingsDisplay, {"top": True}, "top=True"),
        (LoadingsDisplay, {"kind": "pie"}, r"must be one of \('auto', 'circle', 'bar'\)"),
        (LoadingsDisplay, {"modalities": ["a", "z"]}, r"names \['z'\], but there are \['a', 'b'\]"),
        (LoadingsDisplay, {"modalities": "a"}, "must be a list"),
        (LoadingsDisplay, {"feature_names": {"b": ["u"]}}, "'b' has .* 1 feature names"),
        (ScoresDisplay, {"component": 2}, "component=2 .* there are 2, 0 to 1"),
        (ScoresDisplay, {"component": 0.5}, "component=0.5"),
        (ScoresDisplay, {"modalities": ["a", "z"]}, r"names \['z'\]"),
        (ScoresDisplay, {"modalities": ["a"]}, r"\['a'\] must be two names"),
        (ScoresDisplay, {"modalities": ["a", "a"]}, "different names"),
        (ScoresDisplay, {"labels": [1, 2]}, "one per row: 90, got 2"),
        (CorrelationDisplay, {"n_permutations": -1}, "n_permutations=-1"),
        (CorrelationDisplay, {"quantile": 1.0, "n_permutations": 2}, "quantile=1.0"),
        (CorrelationDisplay, {"n_splits": 60, "n_permutations": 0}, "use fewer splits"),
    ],
)
def test_bad_options_are_refused(display, options, message):
    a, b = _arrays()
    X = Modalities({"a": a, "b": b})
    with pytest.raises(ValueError, match=message):
        display.from_estimator(CCA(2).fit(X), X, **options)


@pytest.mark.parametrize(
    ("display", "message"),
    [
        (CorrelationDisplay([[0.5]], [[0.5]]), "train must be"),
        (CorrelationDisplay([0.5], [[0.5, 0.4]]), r"held_out must be \(n_splits, 1\)"),
        (CorrelationDisplay([0.5], [[0.5]], null=[[0.1, 0.1]]), "at most 1 steps"),
        (LoadingsDisplay({"a": [[0.1, 0.2]], "b": [[0.1]]}), "same number of components"),
        (LoadingsDisplay({"a": [0.1, 0.2]}), "'a' has correlations of shape"),
        (ScoresDisplay([1, 2], [1, 2, 3]), r"got shapes \(2,\) and \(3,\)"),
        (ScoresDisplay([1, 2], [1, 2], labels=[1]), "one per row: 2, got 1"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(display, message):
    with pytest.raises(ValueError, match=message):
        display.plot()


class _Codes(BaseEstimator):
    """Has canonical correlations and codes, but is no CCA."""

    def fit(self, X, y=None):
        self.modality_names_in_ = X.names
        self.canonical_correlations_ = np.array([0.5])
        self.n_components_ = 1
        return self

    def transform_each(self, X):
        return {name: X[name][:, :1] for name in X.names}


def test_other_estimators_have_held_out_correlations_but_no_band():
    a, b = _arrays()
    X = Modalities({"a": a, "b": b, "c": b + 1})
    model = _Codes().fit(X)
    display = CorrelationDisplay.from_estimator(model, X, n_splits=2, n_permutations=0)
    assert display.held_out.shape == (4, 1)
    with pytest.raises(TypeError, match="_Codes: pass n_permutations=0"):
        CorrelationDisplay.from_estimator(model, X)
    with pytest.raises(ValueError, match=r"X lacks the modalities \['c'\]"):
        CorrelationDisplay.from_estimator(model, X.select(["a", "b"]))


def test_texts_do_not_overlap_on_digits():
    X, y = load_digits_halves(return_X_y=True)
    cca = CCA(12).fit(X[:900])
    many = np.array([f"digit number {label}" for label in y])[900:]
    for display in (
        CorrelationDisplay.from_estimator(cca, X[:900], n_permutations=5, random_state=0),
        LoadingsDisplay.from_estimator(cca, X, top=60),
        LoadingsDisplay.from_estimator(cca, X, kind="bar", top=40),
        ScoresDisplay.from_estimator(cca, X[900:], labels=y[900:]),
        ScoresDisplay.from_estimator(cca, X[900:], labels=many),
    ):
        _check_legible(display.figure_)
    _, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    bars = LoadingsDisplay.from_estimator(cca, X, kind="bar", top=40, ax=ax)
    _check_legible(bars.figure_)
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    CorrelationDisplay(np.linspace(0.9, 0.1, 30), np.zeros((2, 30))).plot(ax=axes[0])
    LoadingsDisplay.from_estimator(cca, X, top=6, ax=axes[1])
    ScoresDisplay.from_estimator(cca, X[900:], labels=y[900:], ax=axes[2])
    _check_legible(figure)


def test_texts_do_not_overlap_on_nutrimouse(skmm_data):
    bunch = fetch_nutrimouse(as_frame=True)
    cca = CCA(6, shrinkage=0.3).fit(bunch.data)
    loadings = LoadingsDisplay.from_estimator(cca, bunch.data, top=24)
    assert "PMDCI" in {label.get_text() for label in loadings.labels_}
    for display in (
        CorrelationDisplay.from_estimator(cca, bunch.data, n_permutations=20, random_state=0),
        loadings,
        LoadingsDisplay.from_estimator(cca, bunch.data, kind="bar", top=20),
        ScoresDisplay.from_estimator(cca, bunch.data, labels=bunch.diet),
    ):
        _check_legible(display.figure_)


@pytest.mark.parametrize("seed", range(5))
def test_places_keeps_order_gap_and_bounds(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.normal(0, 0.5, 8)
    places = separated(wanted, 0.25, -1.0, 1.0)
    order = np.argsort(wanted)
    assert (np.diff(places[order]) >= 0.25 - 1e-12).all()
    assert places.min() >= -1 - 1e-12
    assert places.max() <= 1 + 1e-12


def test_places_moves_no_more_than_needed():
    np.testing.assert_allclose(separated(np.array([0.9, -0.5, 0.1]), 0.2, -1, 1), [0.9, -0.5, 0.1])
    np.testing.assert_allclose(separated(np.array([0.1, 0.1, 0.7]), 0.2, -1, 1), [0.0, 0.2, 0.7])
    np.testing.assert_allclose(separated(np.array([5.0, 1.0]), 0.2, -1, 1), [1.0, 0.8])
