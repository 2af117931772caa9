"""DeepCCA by folds: what linear CCA and the networks are for rows that they have not seen."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.model_selection import KFold

from skmm import CCA, DeepCCA, Modalities
from skmm._deep_cca._closing import held_out
from skmm._deep_cca._held_out import HeldOut, total

pytestmark = pytest.mark.filterwarnings("ignore:.*too few to tell:UserWarning")


def small(n_components=2, **params):
    quick = {"hidden_layer_sizes": (16,), "max_epochs": 3, "random_state": 0}
    return DeepCCA(n_components, **{**quick, **params})


def shared(n, seed=0, widths=(6, 5), noise=0.7):
    """Return normal modalities that share two directions."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2))
    return Modalities({
        name: z @ rng.standard_normal((2, width)) + noise * rng.standard_normal((n, width))
        for name, width in zip("ab", widths, strict=True)
    })  # fmt: skip


def bent(n, seed=0):
    """Points on a circle at an angle and at twice the angle: no linear correlation."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    parts = (np.c_[np.cos(k * angle), np.sin(k * angle)] for k in (1, 2))
    a, b = (part + 0.1 * rng.standard_normal((n, 2)) for part in parts)
    return Modalities({"a": a, "b": b})


def axes(a, b):
    """Return the textbook's canonical axes, by whitening."""

    def root(z):
        values, vectors = np.linalg.eigh(np.cov(z.T, ddof=0))
        return vectors / np.sqrt(values)

    A, B = root(a), root(b)
    left, _, right = np.linalg.svd(A.T @ np.cov(a.T, b.T, ddof=0)[: len(A), len(A) :] @ B)
    return A @ left, B @ right.T


def plain_total(folds, weight):
    """Compute the total correlation of several folds, in which each is about its own mean."""
    parts = []
    for train, rest, rows in folds:
        A, B = axes(train["a"], train["b"])
        w = weight[rows][:, None]
        along = [rest["a"] @ A, rest["b"] @ B]
        parts.append([np.sqrt(w) * (c - (w * c).sum(axis=0) / w.sum()) for c in along])
    u, v = (np.concatenate(side) for side in zip(*parts, strict=True))
    return ((u * v).sum(axis=0) / np.sqrt((u**2).sum(axis=0) * (v**2).sum(axis=0))).sum()


def test_folds_make_one_correlation():
    rng = np.random.default_rng(0)
    codes = dict(shared(60, widths=(2, 2)).items())
    pairs = list(KFold(3).split(np.zeros(60)))
    folds = [held_out(codes, train, rows) for train, rows in pairs]
    plain = [
        ({n: c[train] for n, c in codes.items()}, {n: c[rows] for n, c in codes.items()}, rows)
        for train, rows in pairs
    ]
    assert_allclose(total(folds), plain_total(plain, np.ones(60)), atol=1e-10)
    weight = rng.integers(0, 3, 60).astype(float)
    assert_allclose(total(folds, weight), plain_total(plain, weight), atol=1e-10)


def test_a_fold_without_a_pair_says_nothing():
    codes = dict(shared(60, widths=(2, 2)).items())
    first, second = (
        held_out(codes, np.arange(40), np.arange(*ends)) for ends in ((40, 59), (59, 60))
    )
    assert total([first, second]) == total([first])
    assert np.isnan(total([second]))
    constant = HeldOut(np.arange(9), [(np.ones(9, dtype=bool), np.ones((9, 2)), np.eye(9)[:, :2])])
    assert total([constant]) == 0


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_where_the_truth_is_linear_all_is_that_of_cca(missing, weight):
    X, test = shared(90), shared(300, seed=0)
    if missing:
        X = X.with_missing("a", np.arange(0, 40, 2)).with_missing("b", np.arange(1, 40, 2))
    model = small(objective="gcca", reconstruction_weight=weight).fit(X)
    assert model.linear_share_ == 1
    candidates = [CCA(2, shrinkage=c).fit(X) for c in (0.0, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9)]
    apart = [abs(cca.score(test) - model.score(test)) for cca in candidates]
    expected = candidates[int(np.argmin(apart))]
    assert min(apart) < 1e-6
    assert 0.5 < model.oof_score_ < 2
    if weight:
        lacks = test.with_missing("b", np.arange(150))
        assert_allclose(
            model.translate(test, "b")[:9], expected.translate(test, "b")[:9], atol=1e-6
        )
        assert_allclose(model.impute(lacks)["b"], expected.impute(lacks)["b"], atol=1e-6)
        (ours,), (theirs,) = (m.sample(1, given=lacks, random_state=0) for m in (model, expected))
        assert_allclose(ours["b"], theirs["b"], atol=1e-6)


def test_codes_of_a_linear_solution_with_decoders_go_back_to_data():
    X = shared(90)
    for fusion in ("mean", "concat", "posterior"):
        model = small(reconstruction_weight=1.0, fusion=fusion).fit(X)
        assert model.linear_share_ == 1
        Z = model.transform(X)
        back = model.inverse_transform(Z)
        for name in X.names:  # the training regression on the fused codes
            slopes, *_ = np.linalg.lstsq(np.c_[np.ones(90), Z], X[name], rcond=None)
            assert_allclose(back[name], np.c_[np.ones(90), Z] @ slopes, atol=1e-6)


def test_where_the_truth_is_bent_the_network_is_kept_and_trained_on_all_rows():
    X = bent(300)
    model = small(hidden_layer_sizes=(32, 32), max_epochs=15).fit(X)
    assert model.linear_share_ == 0
    assert 1.2 < model.oof_score_ < 2
    assert model.score(bent(300, seed=1)) > 1.4
    history = model.history_
    assert set(history.stage) == {"folds", "all rows"}
    best = history.loc[history.valid_score.idxmax(), "epoch"]
    assert history.epoch[history.stage == "all rows"].max() == best


def test_networks_that_have_learned_nothing_are_not_kept():
    X = bent(90)
    model = small(max_epochs=1, lr=1e-12).fit(X)
    assert model.linear_share_ == 1


@pytest.mark.parametrize("n_both", [2, 5, 13])
def test_few_rows_that_have_both_keep_linear_cca(n_both):
    X, rows = shared(30), np.arange(n_both, 30)
    X = X.with_missing("a", rows[::2]).with_missing("b", rows[1::2])
    with pytest.warns(UserWarning, match="too few to tell"):
        model = small(objective="gcca").fit(X)
    assert model.linear_share_ == 1
    assert np.isfinite(model.score(shared(300)))
    assert np.isnan(model.oof_score_) == (n_both < 6)


def test_folds_lack_modalities_alike():
    X = shared(60).with_missing("a", np.arange(30)).with_missing("b", np.arange(40, 49))
    model = small(objective="gcca", max_epochs=1)
    data = model._read_fit(X, None)
    run = SimpleNamespace(processes=None, rng=np.random.RandomState(0))
    splits = model._splits(data, run)
    counts = [np.bincount(data.labels[split.valid, 0]) for split in splits]
    assert [count.tolist() for count in counts] == [[7, 3, 10]] * 3
