"""The benchmark: types of tasks, methods, cells. Statistics, store, reports, CLI: other files."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSCanonical
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm import CCA, Modalities, MultimodalVAE
from skmm.baselines import MarginalSampler, RidgeSampler
from skmm.benchmark import (
    PLS,
    Benchmark,
    BlockScaler,
    GapFiller,
    Method,
    Metric,
    NotApplicable,
    Task,
    shuffle_pairs,
    usual_methods,
)
from skmm.benchmark._cells import n_parameters, seeded
from skmm.benchmark._metrics import COSTS, METRICS
from skmm.benchmark._task_types import TASK_TYPES, likelihood_family, modality_codes
from skmm.compose import ConcatModalities, PerModality
from skmm.datasets import make_conditional, make_shared_latent
from skmm.metrics import energy_skill, foscttm, recall_at_k


class Broken(BaseEstimator):
    def fit(self, X, y=None):
        raise RuntimeError("no luck")


class OftenBroken(CCA):
    """Fails on the splits whose first training row is even."""

    def fit(self, X, y=None, sample_weight=None):
        if int(X["modality0"][0, 0] * 1e6) % 2:
            raise RuntimeError("odd")
        return super().fit(X)


class Cheat(TransformerMixin, BaseEstimator):
    """Has seen all pairs before, so that shuffling the training pairs does not matter to it."""

    def __init__(self, known):
        self.known = known

    def fit(self, X, y=None):
        self.cca_ = CCA(2).fit(self.known)
        return self

    def transform(self, X):
        return self.cca_.transform(X)

    def transform_each(self, X):
        # In-sample codes of the true pairs, whatever pairing comes in.
        rows = {tuple(row): i for i, row in enumerate(self.known["modality0"])}
        order = [rows[tuple(row)] for row in X["modality0"]]
        return self.cca_.transform_each(self.known[np.array(order)])


class Blind(BaseEstimator):
    """Notes what it was fitted on."""

    def fit(self, X, y=None):
        self.n_classes_seen_ = -1 if y is None else len(np.unique(y))
        return self

    def predict(self, X):
        return np.zeros(len(X))


@pytest.fixture(scope="module")
def data():
    return make_shared_latent(
        300,
        correlations=(0.95, 0.8),
        n_features=(5, 4),
        n_classes=3,
        random_state=0,
        return_X_y=True,
    )


@pytest.fixture(scope="module")
def task(data):
    return Task("simulated", *data, n_components=2, metrics=TASK_TYPES["align"].metrics[:-1])


@pytest.fixture(scope="module")
def conditional():
    simulated = make_conditional("branches", 300, random_state=0)
    return Modalities({"x": simulated.data["X"], "y": simulated.target}), simulated


@pytest.fixture(scope="module")
def benchmark(task):
    search = GridSearchCV(
        make_pipeline(PerModality(StandardScaler()), CCA(2)), {"cca__shrinkage": [0.0, 0.1]}, cv=2
    )
    methods = {
        "CCA": Method(search, role="linear"),
        "PLS": lambda task: PLS(task.n_components),
        "PCA": make_pipeline(ConcatModalities(), PCA(2)),
        "broken": Broken(),
    }
    benchmark = Benchmark(methods, task)
    benchmark.run()
    return benchmark


def _values(results, method, metric):
    frame = results.results_
    return frame[(frame["method"] == method) & (frame["metric"] == metric)]


# Cells: what is fitted, on what, and what is measured


def test_frame_is_tidy(benchmark, task):
    frame = benchmark.results_
    measured = [name for name in task.measured if name not in COSTS]
    quality = frame[~frame["metric"].isin(COSTS)]
    assert len(quality) == (len(benchmark.methods) + 1) * 5 * len(measured)
    assert not frame.duplicated(["task", "method", "split", "seed", "metric"]).any()
    assert set(frame["status"]) == {"ok", "undefined", "failed"}
    assert frame["value"].notna().eq(frame["status"].eq("ok")).all()


def test_values_are_those_of_the_metrics(benchmark, task):
    splits = ShuffleSplit(5, test_size=0.2, random_state=0).split(task.X["modality0"])
    for number, (train, test) in enumerate(splits):
        found = benchmark.methods["CCA"].estimator.fit(task.X[train])
        codes = modality_codes(found, task.X[test])
        a, b = codes.values()
        expected = {
            "total_correlation": found.score(task.X[test]),
            "foscttm": foscttm(a, b),
            "recall_at_1": (recall_at_k(a, b, k=1) + recall_at_k(b, a, k=1)) / 2,
        }
        for metric, value in expected.items():
            row = _values(benchmark, "CCA", metric).iloc[number]
            assert row["value"] == pytest.approx(value)
            assert (row["n_train"], row["n_test"]) == (240, 60)


def test_what_a_method_cannot_do_is_undefined(benchmark):
    assert _values(benchmark, "PCA", "foscttm")["status"].eq("undefined").all()
    assert _values(benchmark, "PCA", "probe_accuracy")["status"].eq("ok").all()


def test_failures_keep_their_traceback(benchmark):
    failed = benchmark.results_.query("method == 'broken'")
    assert failed["status"].eq("failed").all()
    assert failed["error"].str.contains("RuntimeError: no luck").all()
    summary = benchmark.summary().query("method == 'broken'")
    assert summary["n_failed"].eq(5).all()
    assert summary["outcome"].eq("failed").all()


def test_a_method_that_fails_on_some_splits_has_lost(task):
    methods = {"weak": Method(CCA(1), role="linear"), "often": OftenBroken(2)}
    benchmark = Benchmark(methods, task, control=False)
    benchmark.run()
    row = benchmark.summary().query("method == 'often' and metric == 'foscttm'").iloc[0]
    assert 0 < row["n_failed"] < 5
    assert row["status"] == row["outcome"] == "failed"
    table = benchmark.win_tie_loss().loc["often"]
    assert table["losses"] == len(benchmark.tasks_["simulated"].headline)


def test_transfer_is_scored_as_by_hand(conditional):
    X, _ = conditional
    task = Task("branches", X, target="y")
    methods = {
        "ridge": Method(RidgeSampler(), role="linear"),
        "regressor": make_pipeline(ConcatModalities(), StandardScaler(), Ridge()),
        "CCA": CCA(2),
        "marginal": Method(MarginalSampler(), role="floor"),
    }
    folds = KFold(2, shuffle=True, random_state=0)
    frame = Benchmark(methods, task, cv=folds, control=False).run()
    assert set(frame["status"]) == {"ok", "undefined"}
    train, test = next(folds.split(X["x"]))
    values = frame.query("split == 0").set_index(["method", "metric"])["value"]
    regressor = make_pipeline(StandardScaler(), Ridge()).fit(X["x"][train], X["y"][train])
    residual = X["y"][test] - regressor.predict(X["x"][test])
    total = X["y"][test] - X["y"][train].mean(axis=0)
    by_hand = 1 - (residual**2).sum() / (total**2).sum()
    assert values["regressor", "r2"] == pytest.approx(by_hand)
    assert np.isnan(values["regressor", "energy_skill"])
    ridge = RidgeSampler(target="y", random_state=0).fit(X[train])
    draws = ridge.sample(400, given=X[test], random_state=0)
    skill = energy_skill(X["y"][test], draws, X["y"][train])
    assert values["ridge", "energy_skill"] == pytest.approx(skill, abs=0.03)
    assert abs(values["marginal", "energy_skill"]) < 0.03
    assert values["CCA", "r2"] > 0.05


def test_transfer_undoes_the_scaling_of_a_pipeline(conditional):
    X, _ = conditional
    shifted = Modalities({"x": X["x"], "y": 50 + 9 * X["y"]})
    methods = {"CCA": make_pipeline(PerModality(StandardScaler()), CCA(2))}
    found = []
    for each in (X, shifted):
        frame = Benchmark(methods, Task("t", each, target="y"), cv=2, control=False).run()
        found.append(frame.query("metric in ['r2', 'energy_skill']")["value"].to_numpy())
    np.testing.assert_allclose(*found, atol=1e-8)
    assert found[0].min() > 0.05


def test_the_oracle_beats_what_is_fitted(conditional):
    X, simulated = conditional

    def oracle(conditions, n_draws, random_state):
        return simulated.sample_conditional(conditions["x"], n_draws, random_state=random_state)

    task = Task("branches", X, target="y", oracle=oracle)
    methods = usual_methods(task)
    assert methods["Oracle"].role == "oracle"
    chosen = {name: methods[name] for name in ("Ridge", "Neighbours", "Oracle")}
    benchmark = Benchmark(chosen, task, cv=3)
    benchmark.run()
    means = benchmark.summary().query("metric == 'energy_skill'").set_index("method")["mean"]
    assert means.drop("Oracle").max() < means["Oracle"]
    assert benchmark.summary().query("method == 'Oracle'")["outcome"].eq("").all()


def test_classify_is_that_of_cross_validate(data):
    X, y = data
    estimator = make_pipeline(ConcatModalities(), StandardScaler(), LogisticRegression())
    folds = StratifiedKFold(3)
    task = Task("c", X, y, kind="classify")
    frame = Benchmark({"logistic": estimator}, task, cv=folds, control=False).run()
    names = {"accuracy": 1, "balanced_accuracy": 1, "neg_log_loss": -1}
    expected = cross_validate(estimator, X, y, cv=folds, scoring=list(names))
    for name, sign in names.items():
        found = frame[frame["metric"] == name.removeprefix("neg_")]["value"]
        np.testing.assert_allclose(found, sign * expected[f"test_{name}"])


@pytest.mark.parametrize(("kind", "seen"), [("align", -1), ("fuse", -1), ("classify", 3)])
def test_only_classifiers_see_labels(kind, seen, data):
    metric = Metric("seen", "seen", function=lambda estimator, X, y: estimator.n_classes_seen_)
    task = Task(kind, *data, kind=kind, metrics=[metric])
    frame = Benchmark({"blind": Blind()}, task, cv=2, control=False).run()
    assert frame.query("metric == 'seen'")["value"].eq(seen).all()


def test_chance_is_what_guessing_gets(data):
    X, y = data
    guess = Method(DummyClassifier(strategy="prior"), role="floor")
    task = Task("c", X, y, kind="classify")
    frame = Benchmark({"guess": guess}, task, cv=3, control=False).run()
    frame = frame.query("metric in ['accuracy', 'balanced_accuracy', 'log_loss']")
    np.testing.assert_allclose(frame["value"], frame["chance"])


def test_metrics_of_ones_own(data):
    X, y = data

    def worst_class(estimator, X, y):
        predicted = estimator.predict(X)
        return min(np.mean(predicted[y == c] == c) for c in np.unique(y))

    estimator = make_pipeline(ConcatModalities(), LogisticRegression(max_iter=1000))
    task = Task("c", X, y, kind="classify")
    benchmark = Benchmark({"lr": estimator}, task, {"worst_class": worst_class}, cv=2)
    frame = benchmark.run().query("metric == 'worst_class'")
    assert frame["value"].between(0, 1).all()
    assert benchmark.tasks_["c"].headline == ["worst_class"]
    given = Metric("worst_class", "worst", higher_is_better=False, function=worst_class)
    benchmark = Benchmark({"lr": estimator}, task, ["accuracy", given], cv=2)
    assert set(benchmark.run()["metric"]) >= {"accuracy", "worst_class"}
    assert not benchmark.metrics_["worst_class"].higher_is_better


def test_likelihoods_of_other_families_are_not_ranked(data):
    X = Modalities({name: (value > 0).astype(float) for name, value in data[0].items()})
    options = {"hidden_layer_sizes": (), "max_epochs": 2, "n_importance_samples": 5}
    masses = dict.fromkeys(X.names, "bernoulli")
    methods = {
        "CCA": Method(CCA(2), role="linear"),
        "densities": MultimodalVAE(2, **options),
        "masses": MultimodalVAE(2, likelihoods=masses, **options),
        "scaled": make_pipeline(PerModality(StandardScaler()), CCA(2)),
    }
    task = Task("zeros and ones", X, metrics=["log_likelihood"])
    benchmark = Benchmark(methods, task, cv=2, control=False)
    benchmark.run()
    summary = benchmark.summary().query("metric == 'log_likelihood'").set_index("method")
    assert summary["status"].eq("ok").all()
    compared = summary["difference"].notna()
    assert compared.to_dict() == {"CCA": 0, "densities": 1, "masses": 0, "scaled": 0}
    assert "bernoulli" in summary.loc["masses", "family"]
    assert likelihood_family(methods["scaled"], X).endswith("(of transformed data)")


def test_seeds_and_sizes(task):
    methods = {"CCA": CCA(2), "VAE": MultimodalVAE(2, hidden_layer_sizes=(), max_epochs=1)}
    options = {"cv": 2, "seeds": 2, "train_sizes": (0.5, 1.0), "control": False}
    benchmark = Benchmark(methods, task, **options)
    rows = benchmark.run().query("metric == 'foscttm'")
    assert len(rows) == 2 * 2 * 2 * 2
    assert set(rows.query("train_size == 0.5")["n_train"]) == {75}
    summary = benchmark.summary().query("metric == 'foscttm'").set_index("method")
    assert summary.loc["CCA", "std_seeds"] == 0
    assert summary.loc["VAE", "std_seeds"] > 0
    full = rows.query("train_size == 1 and method == 'VAE'").groupby("split")["value"]
    assert summary.loc["VAE", "mean"] == pytest.approx(full.mean().mean())
    assert summary.loc["VAE", "std_splits"] == pytest.approx(full.mean().std())
    assert summary.loc["VAE", "std_seeds"] == pytest.approx(np.sqrt(full.var().mean()))


def test_smaller_training_sets_lie_inside_larger_ones(task):
    benchmark = Benchmark({"CCA": CCA(2)}, task, train_sizes=(0.2, 0.6), control=False)
    cells = benchmark._cells(stored=False)
    for split in range(5):
        small, large = (c.train for c in cells if c.split == split)
        assert set(small) < set(large)
        assert len(small) == 48


def test_same_seed_same_figures_in_any_number_of_processes(task):
    frames = []
    for random_state, n_jobs in ((4, 1), (4, 2), (5, 1)):
        frame = Benchmark({"CCA": CCA(2)}, task, random_state=random_state).run(n_jobs=n_jobs)
        frames.append(frame[~frame["metric"].isin(COSTS)])
    pd.testing.assert_frame_equal(*frames[:2])
    assert not frames[2]["value"].equals(frames[0]["value"])


def test_costs_are_measured(benchmark):
    costs = benchmark.results_.query("metric in ['fit_seconds', 'predict_seconds']")
    assert costs["value"].gt(0).all()
    parameters = _values(benchmark, "PCA", "parameters")["value"]
    # components 2 × 9, mean 9, variances and their shares 2 × 2, singular values 2, noise 1
    assert set(parameters) <= {18 + 9 + 4 + 2, 18 + 9 + 4 + 2 + 1}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_of_networks_are_their_weights(data):
    vae = MultimodalVAE(2, hidden_layer_sizes=(), max_epochs=1, random_state=0).fit(data[0])
    weights = sum(p.numel() for p in vae.net_.module_.parameters())
    assert n_parameters(vae) == n_parameters(make_pipeline("passthrough", vae)) == weights


# Controls


def test_control_is_at_chance(benchmark):
    checks = benchmark.control_checks()
    exact = {name for name in TASK_TYPES["align"].metrics if METRICS[name].chance == "exact"}
    assert set(checks["metric"]) == exact
    assert checks["passed"].eq(True).all()
    total = checks.set_index("metric").loc["total_correlation", "value"]
    assert abs(total) < 0.5
    assert _values(benchmark, "CCA", "total_correlation")["value"].mean() > 1.5


def test_control_exposes_figures_that_do_not_depend_on_training(task):
    benchmark = Benchmark({"cheat": Cheat(task.X)}, task)
    benchmark.run()
    checks = benchmark.control_checks().set_index("metric")["passed"]
    assert not checks["total_correlation"]
    assert not checks["foscttm"]


@pytest.mark.parametrize("in_sample", [False, True])
def test_control_exposes_in_sample_scores(in_sample):
    X, _ = make_shared_latent(60, n_features=(20, 20), random_state=0, return_X_y=True)
    shuffled = ShuffleSplit(4, test_size=15, random_state=0).split(X["modality0"])
    splits = [(train, train if in_sample else test) for train, test in shuffled]
    benchmark = Benchmark({"CCA": CCA(3)}, Task("t", X), cv=splits)
    benchmark.run()
    passed = benchmark.control_checks().set_index("metric").loc["total_correlation", "passed"]
    assert passed is not in_sample


@pytest.mark.parametrize("kind", ["transfer", "classify"])
def test_controls_of_other_kinds(kind, data, conditional):
    if kind == "transfer":
        task, method = Task("t", conditional[0], target="y"), RidgeSampler()
    else:
        task = Task("c", *data, kind="classify")
        method = make_pipeline(ConcatModalities(), LogisticRegression(max_iter=1000))
    benchmark = Benchmark({"linear": Method(method, role="linear")}, task)
    benchmark.run()
    checks = benchmark.control_checks()
    assert len(checks) == 2
    assert checks["passed"].eq(True).all()
    shuffled = {"transfer": "targets", "classify": "labels"}[kind]
    assert set(checks["method"]) == {f"linear, {shuffled} shuffled"}


def test_a_single_split_gives_no_interval(task):
    one = ShuffleSplit(1, test_size=0.5, random_state=0)
    benchmark = Benchmark({"CCA": Method(CCA(2), role="linear"), "PLS": PLS(2)}, task, cv=one)
    benchmark.run()
    assert benchmark.control_checks()["passed"].isna().all()
    assert benchmark.summary()["low"].isna().all()


# Methods


def test_grids_are_searched_inside_the_training_rows(task):
    grid = {"shrinkage": [0.0, 0.3, 0.6]}
    method = Method(CCA(2), grid)
    assert isinstance(method.make(task), GridSearchCV)
    drawn = method.make(task, budget=2)
    assert isinstance(drawn, RandomizedSearchCV)
    assert drawn.n_iter == 2
    assert method.make(task, budget=3).param_grid == grid
    frame = Benchmark({"CCA": (CCA(2), grid)}, task, cv=2, search_budget=2).run()
    assert frame["n_candidates"].eq(2).all()


def test_transfer_grids_are_chosen_by_prediction(conditional):
    X, _ = conditional
    noise = np.random.default_rng(0).standard_normal((300, 2))
    task = Task("noise", Modalities({"x": noise, "y": X["y"]}), target="y")
    ridge = make_pipeline(ConcatModalities(), Ridge())
    search = Method(ridge, {"ridge__alpha": [1e-8, 1e8]}).make(task)
    search.fit(task.X.select("x"), X["y"])
    assert search.best_params_ == {"ridge__alpha": 1e8}
    whole = Method(CCA(1), {"shrinkage": [0.0, 1.0]}).make(task).fit(task.X)
    assert np.isfinite(whole.best_score_)


def test_roles():
    vae = MultimodalVAE(2)
    assert Method(CCA(2)).role_of(CCA(2)) == "nonlinear"
    assert Method(vae).role_of(make_pipeline(PerModality(StandardScaler()), vae)) == "deep"
    assert Method(vae, role="linear").role_of(vae) == "linear"


@pytest.mark.parametrize("kind", list(TASK_TYPES))
def test_usual_methods_have_a_baseline_a_cheap_and_a_deep_one(kind, data):
    X, y = data
    target = "modality1" if kind == "transfer" else None
    task = Task("t", X, None if target else y, kind=kind, target=target, n_components=2)
    roles = set()
    for method in usual_methods(task).values():
        roles.add(method.role_of(method.make(task)))
        assert method.summary
    assert roles >= {"linear", "nonlinear", "deep"}


def test_random_states_that_are_open_are_set():
    estimator = make_pipeline(PCA(), PCA(random_state=3))
    first, second = seeded(estimator, 0), seeded(estimator, 1)
    assert first[0].random_state != second[0].random_state
    assert first[1].random_state == second[1].random_state == 3
    assert estimator[0].random_state is None


# Bad input


def test_bad_input(task, data):
    X, y = data
    with pytest.raises(ValueError, match="Nothing to run: 0 methods"):
        Benchmark({}, [task])
    for misplaced in ((task,), ([task],), (task, {"CCA": CCA()})):
        with pytest.raises(TypeError, match=r"write Benchmark\(None, task\) for the usual"):
            Benchmark(*misplaced)
    with pytest.raises(ValueError, match="the usual methods, 0 tasks"):
        Benchmark(None)
    for strange in (CCA(), [CCA()], "CCA"):
        with pytest.raises(TypeError, match="must be a dict of names and estimators"):
            Benchmark(strange, task)
    for strange in (data[0], {"simulated": task}, [task, None], None):
        with pytest.raises(TypeError, match="must be a Task or a list of tasks"):
            Benchmark(None, strange)
    with pytest.raises(ValueError, match="baseline='nope' is not a method"):
        Benchmark({"CCA": CCA()}, [task], baseline="nope")
    with pytest.raises(ValueError, match="different names"):
        Benchmark({"CCA": CCA()}, [task, task])
    with pytest.raises(ValueError, match="seeds=0"):
        Benchmark({"CCA": CCA()}, task, seeds=0)
    with pytest.raises(ValueError, match=r"train_sizes=\(2,\)"):
        Benchmark({"CCA": CCA()}, task, train_sizes=(2,))
    with pytest.raises(ValueError, match="on_existing='maybe'"):
        Benchmark({"CCA": CCA()}, task).run(on_existing="maybe")
    with pytest.raises(TypeError, match="is no method"):
        Benchmark({"CCA": 3}, task)
    with pytest.raises(ValueError, match="role='clever'"):
        Method(CCA(), role="clever")
    with pytest.raises(ValueError, match="kind='guess'"):
        Task("t", X, kind="guess")
    with pytest.raises(ValueError, match="'speed' is not a metric"):
        Task("t", X, metrics=["speed"])
    with pytest.raises(ValueError, match=r"metrics \['accuracy'\] that the kind 'align'"):
        Task("t", X, metrics=["accuracy"])
    with pytest.raises(TypeError, match="not one name"):
        Task("t", X, metrics="foscttm")
    with pytest.raises(ValueError, match="needs labels y"):
        Task("t", X, kind="fuse")
    with pytest.raises(ValueError, match="target='z'"):
        Task("t", X, target="z")
    with pytest.raises(ValueError, match="y has 3 rows"):
        Task("t", X, y[:3])
    with pytest.raises(ValueError, match="two or more modalities"):
        Task("t", X.select("modality0"), kind="align")


# Adapters


def test_broken_controls_keep_the_ids_of_the_rows():
    ids = [f"s{i}" for i in range(20)]
    frames = {n: pd.DataFrame({n: np.arange(20.0)}, index=ids) for n in "abc"}
    X = Modalities(frames)
    shuffled = shuffle_pairs(X, random_state=0)
    assert list(shuffled.index) == ids
    np.testing.assert_array_equal(shuffled["a"], X["a"])
    assert sorted(shuffled["b"]["b"]) == list(range(20))
    assert list(shuffled["b"]["b"]) != list(range(20))
    filled = GapFiller().fit_transform(X.with_missing("a", [3]))
    assert list(filled.index) == ids


def test_shuffle_pairs_keeps_rows_and_masks():
    rng = np.random.default_rng(0)
    parts = {name: rng.standard_normal((50, 2)) for name in "abc"}
    X = Modalities(parts).with_missing("b", rows=[3, 4])
    shuffled = shuffle_pairs(X, random_state=1)
    np.testing.assert_array_equal(shuffled["a"], X["a"])
    for name in "bc":
        assert not np.array_equal(shuffled[name], X[name], equal_nan=True)
        np.testing.assert_array_equal(np.sort(shuffled[name], axis=0), np.sort(X[name], axis=0))
    np.testing.assert_array_equal(shuffled.missing, X.missing)  # so no row comes to lack all
    np.testing.assert_array_equal(np.isnan(shuffled["b"]).all(axis=1), X.missing["b"])
    assert shuffled.kinds == X.kinds


def test_pls_is_that_of_sklearn(data):
    X, _ = data
    codes = PLS(2).fit(X).transform_each(X)
    reference = PLSCanonical(2).fit(*X.values()).transform(*X.values())
    for code, scores in zip(codes.values(), reference, strict=True):
        np.testing.assert_allclose(code, scores / scores.std(axis=0))
    np.testing.assert_allclose(PLS(2).fit_transform(X), sum(codes.values()) / 2)
    with pytest.raises(ValueError, match="PLS needs"):
        PLS(2).fit(X).transform(X.select("modality0"))


def test_pls_is_not_for_three_modalities():
    X, _ = make_shared_latent(40, n_features=(4, 4, 4), random_state=0, return_X_y=True)
    with pytest.raises(NotApplicable, match="two modalities"):
        PLS().fit(X)
    frame = Benchmark({"CCA": CCA(2), "PLS": PLS()}, Task("three", X), control=False).run()
    assert frame[frame["method"] == "PLS"]["status"].eq("not applicable").all()


@pytest.mark.parametrize("standardize", [True, False])
def test_block_scaler(standardize):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 3)) * [1, 10, 100] + 7
    X = np.column_stack([X, np.full(50, 0.1)])
    scaler = BlockScaler(standardize=standardize)
    Z = scaler.fit_transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    assert Z.var(axis=0).sum() == pytest.approx(1)
    shares = np.full(3, 1 / 3) if standardize else X[:, :3].var(axis=0) / X.var(axis=0).sum()
    np.testing.assert_allclose(Z[:, :3].var(axis=0), shares)
    np.testing.assert_allclose(scaler.inverse_transform(Z), X)
