"""The laws that every estimator keeps, each stated once over all cases of `contract_cases`."""

import copy
import inspect
import pickle
import sys
from contextlib import contextmanager
from functools import cache, partial
from unittest import SkipTest

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from contract_cases import (
    CASES,
    SLICES,
    STOPPING,
    WIDTHS,
    answers,
    arrays,
    assert_same,
    changed,
    complete,
    differ,
    fitted,
    forms,
    known,
    known_answers,
    row_by_row,
    with_holes,
)
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_checks
from sklearn.utils._param_validation import StrOptions

import skmm
from skmm import Modalities, baselines

pytestmark = pytest.mark.filterwarnings(
    "ignore:The bound still rises:sklearn.exceptions.ConvergenceWarning",
    "ignore:The posterior has collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:The samples of .* have collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:Modalities .* have collapsed:sklearn.exceptions.ConvergenceWarning",
)
per_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
per_variant = pytest.mark.parametrize(
    "variant", [variant for case in CASES for variant in case.variants], ids=str
)


def per_variant_and(name, values, briefly):
    """Run every value for the first variant of each case, and for the others those of `briefly`.

    The remaining pairs are left to `make slow`.
    """
    return pytest.mark.parametrize(
        ("variant", name),
        [
            pytest.param(
                variant,
                value,
                id=f"{variant}-{value}",
                marks=[pytest.mark.slow] if k and value not in briefly else [],
            )
            for case in CASES
            for k, variant in enumerate(case.variants)
            for value in values
        ],
    )


per_linear_variant = pytest.mark.parametrize(
    "variant", [variant for case in CASES if case.linear for variant in case.variants], ids=str
)


@pytest.fixture(scope="module", autouse=True)
def shared_models_are_only_asked():
    yield
    assert changed() == []


@per_case
def test_a_changed_model_would_be_seen(case):
    model = known(case.small, partial(complete, seed=2))
    model.more_ = 1
    assert changed(model) == [str(model)]
    del model.more_
    assert changed(model) == []


def test_every_estimator_has_a_case():
    public = {getattr(skmm, name) for name in skmm.__all__}
    public |= {getattr(baselines, name) for name in baselines.__all__}
    estimators = {c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)}
    assert estimators == {type(case.default) for case in CASES}


# Law 1: scikit-learn's own checks


def _sklearn_checks():
    """Yield the checks of each estimator; a default that takes long is checked in `make slow`."""
    for case in CASES:
        takes_long = hasattr(case.default, "max_epochs")
        for instance in ("default", "brief") if takes_long else ("default",):
            marks = [pytest.mark.slow] if takes_long and instance == "default" else []
            for estimator, check in estimator_checks.estimator_checks_generator(
                getattr(case, instance)
            ):
                name = check.func.__name__
                if instance == "brief":
                    estimator = case.brief_for(name)
                if name not in case.exempt:
                    yield pytest.param(
                        estimator, check, id=f"{case.name}-{instance}-{name}", marks=marks
                    )


@pytest.mark.parametrize(("estimator", "check"), list(_sklearn_checks()))
@pytest.mark.filterwarnings(
    "ignore:y is taken as the second modality:UserWarning",  # the checks pass class labels
    "ignore:Modalities 'X' and 'y' have ranks:UserWarning",  # and few rows
    "ignore:.* validation rows are too few:UserWarning",
    "ignore:Batches of .* rows are too few:UserWarning",
)
def test_check_estimator(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        if "array_api" in check.func.__name__:
            pytest.skip(str(reason))
        pytest.fail(f"scikit-learn skipped this check: {reason}")


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_set_output_transform,
        estimator_checks.check_set_output_transform_pandas,
        estimator_checks.check_set_output_transform_polars,
        estimator_checks.check_global_output_transform_pandas,
        estimator_checks.check_global_set_output_transform_polars,
        estimator_checks.check_transformer_get_feature_names_out,
        estimator_checks.check_transformer_get_feature_names_out_pandas,
        estimator_checks.check_dataframe_column_names_consistency,
    ],
    ids=lambda check: check.__name__,
)
@per_case
@pytest.mark.filterwarnings(
    "ignore:y is taken as the second modality:UserWarning",
    "ignore:X (has|does not have valid) feature names:UserWarning",  # they mix arrays and frames
    "ignore:.* validation rows are too few:UserWarning",
    "ignore:Batches of .* rows are too few:UserWarning",
)
def test_checks_that_check_estimator_leaves_out(case, check):
    if "transform" in check.__name__ and not hasattr(case.default, "transform"):
        pytest.skip("not a transformer")
    name = (
        f"skmm's {case.name}"  # of a class named CCA the checks expect the pairs that theirs gives
    )
    try:
        check(name, clone(case.brief))
    except SkipTest as reason:
        pytest.fail(f"scikit-learn skipped this check: {reason}")


# Law 2: randomness


def _generator_states():
    states = [np.random.get_state()[1].copy(), np.random.get_state()[2]]  # noqa: NPY002
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state().numpy().copy())
    return states


@cache
def _run(variant, random_state):
    """Return answers, and the states of the global generators before and after them."""
    before, X = _generator_states(), complete()
    found = answers(fitted(variant.estimator, X, random_state=random_state), X)
    return found, before, _generator_states()


@per_variant
def test_same_seed_gives_the_same_result(variant):
    assert variant.estimator.random_state == 0
    assert_same(_run(variant, 0)[0], known_answers(variant.estimator))


@per_variant
def test_same_seed_gives_the_same_result_in_threads(variant):
    def run(data):
        return answers(fitted(variant.estimator, data()), data())

    several = complete, CONSTANT[0.0]
    serial = [known_answers(variant.estimator, data) for data in several]
    threaded = joblib.Parallel(n_jobs=2, prefer="threads")(
        joblib.delayed(run)(data) for data in several
    )
    for found, expected in zip(threaded, serial, strict=True):
        assert_same(found, expected, variant.tolerance)


@per_variant_and("random_state", [None, 0, "RandomState"], briefly=[0, "RandomState"])
def test_global_generators_are_not_moved(variant, random_state):
    if random_state == "RandomState":
        random_state = np.random.RandomState(0)
    _, before, after = _run(variant, random_state)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@per_case
def test_global_generators_are_not_read(case):
    X, found = complete(), []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(0)
        found.append(answers(fitted(case.small, X, random_state=None), X))
    assert differ(*found), "random_state=None must seed from the operating system"


def _in_bfloat16():
    torch = sys.modules["torch"]
    return _reset(torch.set_default_dtype, torch.bfloat16, torch.float32)


def _in_float64():
    torch = sys.modules["torch"]
    return _reset(torch.set_default_dtype, torch.float64, torch.float32)


def _without_memory():
    return _reset(sys.modules["torch"].set_default_device, "meta", None)


def _without_gradients():
    return _reset(sys.modules["torch"].set_grad_enabled, False, True)


def _deterministic():
    return _reset(sys.modules["torch"].use_deterministic_algorithms, True, False)


@contextmanager
def _reset(change, value, before):
    change(value)
    try:
        yield
    finally:
        change(before)


SETTINGS = {
    "default dtype float64": _in_float64,
    "default dtype bfloat16": _in_bfloat16,
    "default device": _without_memory,
    "another device": lambda: sys.modules["torch"].device("meta"),
    "gradients off": _without_gradients,
    "no_grad": lambda: sys.modules["torch"].no_grad(),
    "inference_mode": lambda: sys.modules["torch"].inference_mode(),
    "autocast": lambda: sys.modules["torch"].autocast("cpu", sys.modules["torch"].bfloat16),
    "deterministic": _deterministic,
    "NumPy raises": lambda: np.errstate(all="raise"),
    "strings of pandas": lambda: pd.option_context("mode.string_storage", "python"),
    "pandas out": lambda: config_context(transform_output="pandas"),
    "assume_finite": lambda: config_context(assume_finite=True),
    "metadata routing": lambda: config_context(enable_metadata_routing=True),
    "little memory": lambda: config_context(working_memory=1),
}
OF_TORCH = 9  # of them, the first


def _settings():
    """Return what somebody may have set."""
    found = [np.geterr(), get_config(), pd.get_option("mode.string_storage")]
    if torch := sys.modules.get("torch"):
        found += [torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()]
        found += [torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")]
        found += [torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()]
    return found


@pytest.mark.parametrize("setting", SETTINGS)
@per_case
def test_settings_of_others_do_not_matter(case, setting):
    if setting in list(SETTINGS)[:OF_TORCH] and not hasattr(case.default, "max_epochs"):
        pytest.skip("has nothing to do with torch")
    X = complete()
    stopping = STOPPING if hasattr(case.default, "max_epochs") else {}
    expected = known_answers(case.small, **stopping)
    with SETTINGS[setting]():
        before = _settings()
        model = clone(case.small).set_params(**stopping).fit(X)
        found = _said(model, X)
        assert _settings() == before
    # Chunks of other sizes are sums in another order.
    assert_same(found, expected, tolerance=1e-14 if setting == "little memory" else 0.0)


def _said(model, X):
    """Return answers as arrays, whatever the output is set to."""
    if hasattr(model, "set_output"):
        model.set_output(transform="default")
    return answers(model, X)


# Law 3: rows


@pytest.mark.parametrize("data", [complete, with_holes], ids=lambda data: data.__name__)
@per_variant
def test_rows_do_not_depend_on_each_other(variant, data):
    if data is with_holes and not variant.missing_in_transform:
        pytest.skip("refuses rows with a missing modality")
    model = known(variant.estimator)
    X = data(seed=1)
    whole = row_by_row(answers(model, X, draws=False))
    for rows in (np.random.default_rng(0).permutation(len(X)), np.arange(0, 20, 2)):
        part = row_by_row(answers(model, X[rows], holes=False, draws=False))
        expected = {key: value[rows] for key, value in whole.items() if key in part}
        assert_same(part, expected, variant.tolerance)


@per_variant
def test_imputing_a_row_does_not_depend_on_others(variant):
    model = known(variant.estimator)
    if not hasattr(model, "impute"):
        pytest.skip("does not impute")
    X, rows = with_holes(seed=1), np.arange(30)[::-1]
    if hasattr(model, "target"):
        X = complete(seed=1).with_missing(model.target, np.arange(0, 60, 4))
    whole, part = model.impute(X), model.impute(X[rows])
    assert not whole.missing.to_numpy().any()
    for name in X.names:
        np.testing.assert_allclose(part[name], whole[name][rows], rtol=1e-9)
        observed = ~X.missing[name].to_numpy()
        np.testing.assert_array_equal(whole[name][observed], X[name][observed])


# Law 4: copies


def _joblib_mapped(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib", mmap_mode="r")


COPIES = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "oldest pickle": lambda model, _: pickle.loads(pickle.dumps(model, protocol=2)),
    "joblib": _joblib_mapped,
    "copy": lambda model, _: copy.copy(model),
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "clone and fit": lambda model, _: clone(model).fit(complete()),
}


@per_variant_and("duplicate", COPIES, briefly=["pickle", "clone and fit"])
def test_copies_answer_as_the_original(variant, duplicate, tmp_path):
    model = known(variant.estimator)
    again = COPIES[duplicate](model, tmp_path)
    assert again is not model
    assert str(again.get_params()) == str(model.get_params())
    assert_same(answers(again, complete()), known_answers(variant.estimator), 1e-12)


# Law 5: inputs

FORMS = ("Modalities", "dict", "two-level DataFrame", "array", "flat DataFrame")


@per_variant_and("form", FORMS, briefly=["two-level DataFrame", "array"])
def test_forms_agree_and_inputs_are_not_modified(variant, form):
    X, params = forms(complete())[form]
    before = copy.deepcopy(X)
    model = fitted(variant.estimator, X, **params)
    found = answers(model, X, holes=False, draws=False)
    _assert_equal_data(X, before)
    _agree_in_any_form(found, variant)


def _agree_in_any_form(found, variant):
    expected = _in_any_form(known_answers(variant.estimator))
    assert_same(_in_any_form(found), expected, variant.tolerance)


def _in_any_form(found):
    """Return the answers that are the same whatever the form of the data."""
    return _without(found, "inverse_transform", "impute", "sample")


def _without(found, *methods):
    return {key: value for key, value in found.items() if not key.startswith(methods)}


@per_variant
def test_inputs_with_missing_modalities_are_not_modified(variant):
    if not (variant.missing_in_fit and variant.missing_in_transform):
        pytest.skip("refuses rows with a missing modality")
    parts = {name: part.copy() for name, part in arrays().items()}
    parts["text"][::3] = np.nan
    before = copy.deepcopy(parts)
    answers(fitted(variant.estimator, parts), Modalities(parts))
    _assert_equal_data(parts, before)


@per_case
def test_pairs_of_arrays_are_not_modified(case):
    if not case.pairs:
        pytest.skip("takes no y as a modality")
    X, y = arrays()["image"], arrays()["text"]
    before = X.copy(), y.copy()
    small = clone(case.small).set_params(random_state=0, **case.paired)
    model = clone(small).fit(X, y)
    for method in ("transform_each", "impute", "score", "score_samples"):
        if hasattr(model, method):
            getattr(model, method)(X, y)
    model.transform(X)
    named = fitted(small, {"X": X, "y": y})
    np.testing.assert_allclose(named.score({"X": X, "y": y}), model.score(X, y), 1e-9)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


@per_variant_and("form", ["dict", "array"], briefly=["dict"])
def test_read_only_memmaps_work(variant, form, tmp_path):
    parts = {"X": forms(complete())["array"][0]} if form == "array" else arrays()
    mapped = {}
    for name, part in parts.items():
        np.save(tmp_path / f"{name}.npy", part)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    params = {"modalities": SLICES} if form == "array" else {}
    X = mapped["X"] if form == "array" else mapped
    found = answers(fitted(variant.estimator, X, **params), X, holes=False, draws=False)
    _agree_in_any_form(found, variant)


@per_variant_and("form", ["Modalities", "array"], briefly=["Modalities"])
def test_float32_stays_float32(variant, form):
    X, params = forms(complete(dtype=np.float32))[form]
    holes = form == "Modalities"
    found = answers(fitted(variant.estimator, X, **params), X, holes=holes, draws=False)
    wrong = {
        key: value.dtype
        for key, value in found.items()
        if not key.startswith("score") and value.dtype.kind == "f" and value.dtype != np.float32
    }
    assert not wrong
    expected = _without(known_answers(variant.estimator), "sample")
    if not holes:
        found, expected = _in_any_form(found), _in_any_form(expected)
    assert_same(found, expected, 1e-3)


def _assert_equal_data(X, before):
    assert type(X) is type(before)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(X, before)
    elif isinstance(X, np.ndarray):
        np.testing.assert_array_equal(X, before)
    else:
        assert list(X.keys()) == list(before.keys())
        for name in X.keys():  # noqa: SIM118 (Modalities do not iterate)
            np.testing.assert_array_equal(X[name], before[name])


# Law 9: ids

IDS = [f"sample {i}" for i in range(60)]
SOME = np.random.default_rng(0).permutation(60)[:20]


def _with_ids(form):
    """Return the data in a form that has ids, some of their rows, and the parameters needed."""
    frames = {name: pd.DataFrame(a, index=IDS).add_prefix(name) for name, a in arrays().items()}
    frames["text"] = arrays()["text"]  # says nothing
    if form == "declared":
        return Modalities(arrays(), index=IDS), Modalities(arrays(), index=IDS)[SOME], {}
    if form == "dict":
        take = {n: v.iloc[SOME] if n != "text" else v[SOME] for n, v in frames.items()}
        return frames, take, {}
    X, params = forms(Modalities(frames))[form]
    return X, X[SOME] if form == "Modalities" else X.iloc[SOME], params


@pytest.mark.parametrize(
    "form", ["declared", "Modalities", "dict", "two-level DataFrame", "flat DataFrame"]
)
@per_case
def test_ids_come_out_as_they_went_in(case, form):
    X, rows, params = _with_ids(form)
    model = clone(case.small).set_params(random_state=0, **params).set_output(transform="pandas")
    frames = {
        "fit_transform": model.fit_transform(X).iloc[SOME],
        "transform": model.transform(rows),
    }
    if hasattr(model, "transform_each"):
        frames |= {f"code of {n}": code for n, code in model.transform_each(rows).items()}
    if hasattr(model, "translate"):
        names = [model.target] if hasattr(model, "target") else model.modality_names_in_
        frames |= {f"translate to {name}": model.translate(rows, name) for name in names}
    if hasattr(model, "inverse_transform"):
        frames["inverse_transform"] = model.inverse_transform(frames["transform"])
    if hasattr(model, "impute"):
        frames["impute"] = model.impute(rows)
    if hasattr(model, "translate") and form != "declared":  # where arrays were fitted
        model.set_output(transform="default")
        frames["translate, as in fit"] = model.translate(rows, "sound")
        if hasattr(model, "target"):
            frames["predict"] = model.predict(rows)
    expected = [IDS[i] for i in SOME]
    assert [what for what, frame in frames.items() if list(frame.index) != expected] == []


@per_case
def test_a_declared_column_of_ids_comes_out_as_it_went_in(case):
    frames = {name: pl.DataFrame(a).with_columns(id=pl.Series(IDS)) for name, a in arrays().items()}
    without = {name: frame.drop("id") for name, frame in frames.items()}
    for X in (Modalities(frames, index="id"), Modalities(without)):
        model = clone(case.small).set_params(random_state=0).set_output(transform="polars")
        found = [model.fit_transform(X)]
        if hasattr(model, "translate"):
            found.append(model.translate(X, "sound"))
        for frame in found:
            has_ids = list(X.index) == IDS
            assert ("id" in frame.columns) == has_ids
            assert not has_ids or frame["id"].to_list() == IDS


# Law 6: names and order of modalities


@pytest.mark.parametrize("data", [complete, with_holes], ids=lambda data: data.__name__)
@pytest.mark.parametrize("change", ["rename", "reorder"])
@per_linear_variant
def test_names_and_order_of_modalities_do_not_matter(variant, change, data):
    if data is with_holes and not (variant.missing_in_fit and variant.missing_in_transform):
        pytest.skip("refuses rows with a missing modality")
    X = data()
    new = {"image": "zoom", "text": "about", "sound": "sound"}  # sorts the other way round
    if change == "rename":
        changed = Modalities({new[n]: X[n] for n in X.names}, missing=X.missing.rename(columns=new))
    else:
        changed = X.select(list(X.names[::-1]))
        new = {name: name for name in X.names}
    found = answers(fitted(variant.estimator, changed), changed, holes=False, draws=False)
    expected = answers(known(variant.estimator, data), X, holes=False, draws=False)
    assert_same(found, {_renamed(k, new): v for k, v in expected.items()}, variant.tolerance)


def _renamed(key, new):
    for old, name in new.items():
        key = key.replace(old, name)
    return key


# Law 7: parameters


@per_case
def test_every_parameter_is_accounted_for(case):
    parameters = set(case.default.get_params(deep=False))
    assert parameters == case.effects.keys() | case.no_effect.keys()
    constraints = getattr(case.default, "_parameter_constraints", {})
    effects = {**case.effects, **{name: effect for name, (_, effect) in case.no_effect.items()}}
    for name, allowed in constraints.items():
        options = {o for c in allowed if isinstance(c, StrOptions) for o in c.options}
        assert options <= {v for v in effects[name].values if isinstance(v, str)}, name


@pytest.mark.parametrize(
    ("case", "parameter"),
    [pytest.param(c, p, id=f"{c.name}-{p}") for c in CASES for p in c.effects],
)
def test_parameter_has_an_effect(case, parameter):
    effect = case.effects[parameter]
    given = {"random_state": 0, **effect.given}
    params = [{**given, parameter: value} for value in effect.values]
    codes = [{"": known(case.small, **p).transform(complete())} for p in params]
    for i, value in enumerate(effect.values):
        for j in range(i):
            if not differ(codes[i], codes[j]):  # then perhaps what else a model says
                found, other = (known_answers(case.small, **params[k]) for k in (i, j))
                assert differ(found, other), f"{value!r} is as good as {effect.values[j]!r}"


@pytest.mark.parametrize(
    ("case", "parameter"),
    [pytest.param(c, p, id=f"{c.name}-{p}") for c in CASES for p in c.no_effect],
)
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch.compile's own
def test_parameter_has_no_effect(case, parameter):
    reason, effect = case.no_effect[parameter]
    assert reason
    given = {"random_state": 0, **effect.given}
    expected, *others = (
        known_answers(case.small, **{**given, parameter: value}) for value in effect.values
    )
    for found in others:
        assert_same(found, expected, 1e-6)


# Cells and dtypes of pandas


@per_case
def test_cells_of_one_shape_are_columns(case):
    text = arrays()["text"]
    model = fitted(case.small, {**arrays(), "text": text})
    expected = model.transform(arrays())
    for cells in (pd.Series(list(text)), pd.Series(text.tolist()), pd.DataFrame({"a": [*text]})):
        X = {**arrays(), "text": cells}
        np.testing.assert_array_equal(fitted(case.small, X).transform(X), expected)
        np.testing.assert_array_equal(model.transform(X), expected)


@per_case
def test_impute_keeps_the_dtypes_of_columns(case):
    model, parts = case.small, arrays()
    if not hasattr(model, "impute"):
        pytest.skip("imputes nothing")
    sound = pd.DataFrame(parts["sound"], columns=["a", "b", "c"]).round(3)
    sound["b"], sound["c"] = (sound["b"] * 10).round(), sound["c"] > sound["c"].median()
    missing = {"sound": np.arange(60) < 5}
    plain = Modalities({**parts, "sound": sound.astype(float)}, missing=missing)
    expected = fitted(model, plain).impute(plain)["sound"].to_numpy()
    nullable = sound.astype({"a": "Float32", "b": "Int16", "c": "boolean"})
    nullable.iloc[:5] = pd.NA
    X = {**parts, "sound": nullable}
    model = fitted(model, X)
    found = model.impute(X)["sound"]
    assert list(found.dtypes.astype(str)) == ["Float32", "Float64", "boolean"]
    np.testing.assert_allclose(found["b"].astype(float), expected[:, 1], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found["c"].astype(bool)[5:], sound["c"][5:])
    assert found["c"][:5].equals(pd.Series(expected[:5, 2] > 0.5, dtype="boolean", name="c"))
    translated = model.translate({name: parts[name] for name in ("image", "text")}, "sound")
    assert list(translated.dtypes.astype(str)) == ["Float32", "Float64", "Float64"]


def test_the_forms_are_all():
    assert list(FORMS) == list(forms(complete()))


def test_the_slices_are_those_of_the_widths():
    assert {name: s.stop - s.start for name, s in SLICES.items()} == WIDTHS


# Law 9: numbers

CONSTANTS = {"image": 2, "sound": 1}  # a column of each


@cache
def _with_constants(value):
    X = complete()
    parts = {name: np.array(X[name]) for name in X.names}
    for name, column in CONSTANTS.items():
        parts[name][:, column] = value
    return Modalities(parts)


CONSTANT = {value: partial(_with_constants, value) for value in (0.0, 0.1, 7.5e8, 5.0)}


def _without_constants(found):
    """Leave out what is said of the constant columns themselves."""
    kept = {}
    for key, value in found.items():
        name = key.split("/")[-1] or key.removeprefix("translate to ").removesuffix("/")
        of_data = key.startswith(("inverse_transform", "translate", "impute", "sample"))
        column = CONSTANTS.get(name if name in WIDTHS else "sound")
        if of_data and column is not None and value.shape[-1] == WIDTHS.get(name, 3):
            value = np.delete(value, column, axis=-1)
        kept[key] = value
    return kept


@per_variant
def test_constant_columns_have_no_say(variant):
    model = known(variant.estimator, CONSTANT[0.0])
    expected = known_answers(variant.estimator, CONSTANT[0.0])
    for value in (0.1, 7.5e8):
        found = known_answers(variant.estimator, CONSTANT[value])
        tolerance = max(variant.tolerance, 1e-9)
        _assert_same_but_for_the_target(model, found, expected, tolerance)
    # Neither where they vary later on.
    found = answers(model, CONSTANT[5.0]())
    said = {k: v for k, v in expected.items() if k.startswith(("score", "transform", "predict"))}
    assert_same({key: found[key] for key in said}, said, 1e-12)


def _assert_same_but_for_the_target(model, found, expected, tolerance):
    """Compare all that is said, but for columns of a sampler's target that are constant."""
    found, expected = _without_constants(found), _without_constants(expected)
    if hasattr(model, "target"):
        column = f"/{CONSTANTS[model.target]}"
        for said in (found, expected):
            said.pop(f"transform{column}", None)
            for key in [key for key in said if key.startswith("predict")]:
                said[key] = np.delete(said[key], CONSTANTS[model.target], axis=-1)
    assert_same(found, expected, tolerance)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.5e8])
@per_variant
def test_constant_columns_are_drawn_and_filled_in_as_their_constant(variant, value):
    X, model = CONSTANT[value](), known(variant.estimator, CONSTANT[value])
    parts = []
    if hasattr(model, "target"):
        column = CONSTANTS[model.target]
        parts += [model.sample(3, given=X)[..., column], model.predict(X)[:, column]]
        hidden = X.with_missing(model.target, np.arange(10))
        parts.append(model.impute(hidden)[model.target][:, column])
    elif hasattr(model, "translate"):
        for name, column in CONSTANTS.items():
            others = X.select([other for other in X.names if other != name])
            parts += [
                model.translate(others, name)[:, column],
                model.sample(20, random_state=0)[name][:, column],
                model.sample(2, given=others, random_state=0)[1][name][:, column],
                model.inverse_transform(model.transform(X))[name][:, column],
                model.impute(X.with_missing(name, np.arange(10)))[name][:, column],
            ]
    for part in parts:
        np.testing.assert_array_equal(part, value)


@per_variant
def test_offsets_cost_nothing(variant):
    plain, rng = complete(), np.random.default_rng(0)
    offsets = {n: 1e8 * plain[n].std(axis=0) * rng.choice([-1, 0, 1], WIDTHS[n]) for n in WIDTHS}
    offsets["sound"][0] = 1e8 * plain["sound"][:, 0].std()
    far = Modalities({name: plain[name] + offsets[name] for name in plain.names})
    expected = _around(known(variant.estimator), plain, dict.fromkeys(WIDTHS, 0.0))
    found = _around(fitted(variant.estimator, far), far, offsets)
    for key, value in expected.items():
        size = np.ptp(value) or np.abs(value).max()
        np.testing.assert_allclose(found[key], value, rtol=0, atol=2e-3 * size, err_msg=key)


def _around(model, X, offsets):
    """Return what a model says, of data around their offsets."""
    found = {"score": np.array(model.score(X))}
    for method in ("score_samples", "predict_proba"):
        if hasattr(model, method):
            found[method] = getattr(model, method)(X)
    if hasattr(model, "target"):
        found["sample"] = model.sample(3, given=X, random_state=0) - offsets[model.target]
        found["translate"] = model.translate(X, model.target) - offsets[model.target]
    elif hasattr(model, "translate"):
        draws = model.sample(20, random_state=0)
        for name in X.names:
            found[f"translate to {name}"] = model.translate(X, name) - offsets[name]
            found[f"sample/{name}"] = draws[name] - offsets[name]
    if hasattr(model, "transform_each"):
        found |= {f"code/{name}": code for name, code in model.transform_each(X).items()}
    return found


@per_variant
def test_columns_that_are_always_nan_are_refused(variant):
    parts = arrays()
    parts["text"][:, 1] = np.nan
    with pytest.raises(ValueError, match=r"'text'.*NaN"):
        fitted(variant.estimator, parts)


@per_variant
def test_expectations_stay_near_the_training_data(variant):
    X, model = complete(), known(variant.estimator)
    if not hasattr(model, "translate") or isinstance(model, skmm.CCA | skmm.GroupFactorAnalysis):
        pytest.skip("does not predict modalities, or is linear by definition")
    to = getattr(model, "target", "sound")
    low, high, deviation = X[to].min(axis=0), X[to].max(axis=0), X[to].std(axis=0)
    for factor in (10.0, -1e4, 1e30):
        far = Modalities({name: factor * X[name] for name in X.names if name != to})
        found = model.translate(far, to)
        assert ((low - deviation <= found) & (found <= high + deviation)).all()
