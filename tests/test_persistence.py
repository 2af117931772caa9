"""Files and copies of fitted estimators: equal answers, no code, whole or refused."""

import builtins
import copy
import errno
import importlib
import inspect
import io as standard_io
import json
import os
import pickle
import re
import types
import zipfile
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skops.io
import torch
from contract_cases import CASES, answers, assert_same, complete, deep_cca, vae
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException
from skorch.callbacks import Callback

import skmm
from skmm import (
    CCA,
    ConditionalGAN,
    DeepCCA,
    Modalities,
    MultimodalAutoencoder,
    MultimodalClassifier,
    _base,
    _interfaces,
    baselines,
    compose,
    io,
    nn,
    preprocessing,
)
from skmm.compose import GaussianImputer, PerModality, SelectModality
from skmm.inspection import variance_explained
from skmm.io import _codec, _files, _networks, parts  # noqa: F401
from skmm.io.parts import stable_name
from skmm.metrics import get_scorer, make_alignment_scorer, recall_at_k
from skmm.nn import MLP, Conv, Tokens
from skmm.preprocessing import ImageScaler, LogMel, Tokenizer

BRIEF = {"hidden_layer_sizes": (6,), "max_epochs": 2, "random_state": 0}
CONTRACT = ["contract_cases.Classifier", "contract_cases.Regressor"]  # subclasses of the tests
# Trees of scikit-learn, whose compiled code trusts indices in the file; skops says so too.
TREES = ["sklearn.neighbors._kd_tree.KDTree", "sklearn.metrics._dist_metrics.EuclideanDistance64"]

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*collapsed:sklearn.exceptions.ConvergenceWarning",
    "ignore:Batches of .* rows are too few:UserWarning",
)


def _by_pickle(model, folder, **kwargs):
    return pickle.loads(pickle.dumps(model))


def _by_joblib(model, folder, **kwargs):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def _by_io(model, folder, trusted=()):
    io.dump(model, folder / "model.skops")
    return io.load(folder / "model.skops", trusted=trusted)


WAYS = {"pickle": _by_pickle, "joblib": _by_joblib, "io": _by_io}
per_way = pytest.mark.parametrize("way", WAYS)
BY_NAME = {case.name: case for case in CASES}


@cache
def _small(name):
    return BY_NAME[name].small.fit(complete())


@cache
def _data(seed=0, n=48):
    rng = np.random.default_rng(seed)
    return Modalities(
        {
            "number": rng.standard_normal((n, 3)),
            "image": rng.random((n, 1, 8, 8)),
            "token": rng.integers(1, 6, (n, 4)),
            "class": rng.choice(["a", "b"], n),
            "count": rng.poisson(2.0, (n, 2)),
        },
        kinds={"token": "tokens", "count": "count"},
    )


@cache
def _labels(n=48):
    return np.random.default_rng(9).integers(0, 2, n)


# Equal answers


@per_way
@pytest.mark.parametrize("name", BY_NAME)
def test_every_estimator_answers_as_before(name, way, tmp_path):
    model, X = _small(name), complete(seed=1)
    again = WAYS[way](model, tmp_path, trusted=CONTRACT + TREES)
    assert type(again) is type(model)
    assert str(again.get_params()) == str(model.get_params())
    assert_same(answers(again, X), answers(model, X), 0.0)
    if hasattr(model, "history_"):
        pd.testing.assert_frame_equal(again.history_, model.history_)


class _Arrays(pickle.Pickler):
    """Collect all arrays of an object."""

    def __init__(self, model):
        super().__init__(standard_io.BytesIO())
        self.found = []
        self.dump(model)

    def reducer_override(self, value):
        if isinstance(value, np.ndarray):
            self.found.append(value)
        return NotImplemented


@pytest.mark.parametrize("name", BY_NAME)
def test_arrays_lie_as_files_keep_them(name):
    """A reversed or cut view is turned on its way through a file: other digits in its products."""
    model = _small(name)
    answers(model, complete(seed=1))  # some arrays are made when first needed
    found = _Arrays(model).found
    assert found
    assert all(array.flags.forc for array in found)


NETWORKS = {
    "convolution and LSTM": MultimodalAutoencoder(
        2,
        encoders={"image": Conv((4,)), "token": Tokens(6, kind="lstm")},
        likelihoods={"number": "laplace"},
        **BRIEF,
    ),
    "GRU and attention": MultimodalAutoencoder(
        2,
        fusion="attention",
        encoders={"token": Tokens(6, kind="gru")},
        modalities=["number", "token"],
        normalization="layer",
        **BRIEF,
    ),
    "attention over tokens": MultimodalClassifier(
        encoders={"token": Tokens(6, kind="attention")}, activation="gelu", dropout=0.1, **BRIEF
    ),
    "two labels": MultimodalClassifier(modalities=["number"], fusion="late", **BRIEF),
    "critic": ConditionalGAN(
        target="count", modalities=["count", "number"], loss="wasserstein", **BRIEF
    ),
    "double precision": DeepCCA(
        2,
        modalities=["number", "count"],
        early_stopping=False,
        precision="float64",
        device=torch.device("cpu"),
        **BRIEF,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_all_kinds(name, tmp_path):
    y = np.stack([_labels(), 1 - _labels()], axis=1) if name == "two labels" else _labels()
    model = (
        clone(NETWORKS[name]).set_params(checkpoint_dir=tmp_path / "checkpoints").fit(_data(), y)
    )
    again = _by_io(model, tmp_path)
    assert again.checkpoint_dir == tmp_path / "checkpoints"
    np.testing.assert_array_equal(again.transform(_data(1)), model.transform(_data(1)))
    for found, expected in zip(
        again.net_.module_.parameters(), model.net_.module_.parameters(), strict=True
    ):
        assert torch.equal(found, expected)
        assert found.requires_grad == expected.requires_grad
        assert found.dtype == expected.dtype


def test_training_goes_on_from_the_loaded_weights(tmp_path):
    X = complete()
    model = vae(warm_start=True).fit(X)
    again = _by_io(model, tmp_path)
    assert_same(answers(again.fit(X), X), answers(model.fit(X), X), 0.0)


COLUMNS = {
    "strings and numbers": {"a": list("xyz"), "b": [1, 5, 3]},
    "dates": {"a": pd.to_datetime(["2020-01-01", "2020-01-02", "2021-05-05"]), "b": range(3)},
}


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("name", COLUMNS)
def test_labels_of_pandas(name, levels, tmp_path):
    rng, columns = np.random.default_rng(0), COLUMNS[name]
    frames = {m: pd.DataFrame(rng.standard_normal((20, 3)), columns=c) for m, c in columns.items()}
    X = Modalities(frames) if levels == 1 else pd.concat(frames, axis=1)
    model = CCA(2).fit(X)
    Z = model.transform(X)
    found, expected = (each.inverse_transform(Z) for each in (_by_io(model, tmp_path), model))
    if levels == 2:
        return pd.testing.assert_frame_equal(found, expected)
    for m in columns:
        pd.testing.assert_frame_equal(found[m], expected[m])


def test_labels_of_other_dtypes_are_refused():
    X = pd.DataFrame(np.eye(8)[:, :3], columns=pd.CategoricalIndex(list("xyz")))
    model = CCA(1, shrinkage=0.5).fit(Modalities({"a": X, "b": np.eye(8)[:, 3:6]}))
    with pytest.raises(TypeError, match=r"dtype 'category'.*joblib"):
        io.dump(model, standard_io.BytesIO())


def _through_skops(state):
    data = _files._archive(_files._with_stable_names(dict(_files._members(skops.io.dumps(state)))))
    return skops.io.loads(data, trusted=io.TRUSTED)


def test_frames_and_series():
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", "y"], "c": [True, False]}, index=[7, 3])
    state = {"frame": frame, "series": frame["a"], "none": frame[[]], 3: {"x": (1, {2.0})}}
    found = _codec.decode(_through_skops(_codec.encode(state)))
    pd.testing.assert_frame_equal(found["frame"], frame)
    pd.testing.assert_series_equal(found["series"], frame["a"])
    pd.testing.assert_frame_equal(found["none"], frame[[]])
    assert found[3] == {"x": (1, {2.0})}


def test_tensors_of_all_dtypes_and_tied_ones():
    tied = torch.nn.Linear(3, 3)
    module = torch.nn.Sequential(tied, torch.nn.Linear(3, 3, dtype=torch.bfloat16))
    module[1].bias = tied.weight
    half = torch.tensor([1.0, -2.5], dtype=torch.float16)
    state = {"module": module.eval(), "parts": [half, half > 0, torch.float16]}
    found = _codec.decode(_through_skops(_codec.encode(state)))
    assert found["module"][1].bias is found["module"][0].weight
    assert not found["module"].training
    assert torch.equal(found["module"][1].weight, module[1].weight)
    assert torch.equal(found["parts"][0], half)
    assert found["parts"][0].dtype == half.dtype
    assert found["parts"][1].tolist() == [True, False]
    assert found["parts"][2] is torch.float16


def test_pipelines_and_searches_of_deep_estimators(tmp_path):
    X = complete()
    pipe = make_pipeline(PerModality(StandardScaler()), vae())
    model = GridSearchCV(pipe, {"multimodalvae__encoders": ["auto", {"text": MLP((4,))}]}, cv=2)
    again = _by_io(model.fit(X), tmp_path)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    assert str(again.best_params_) == str(model.best_params_)
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], model.cv_results_["mean_test_score"]
    )


def test_text_and_sparse_data(tmp_path):
    texts = np.array(["ab cd ef", "cd ef", "ab gh cd", "gh ef ab cd"] * 6)
    X = Modalities({"text": texts, "number": np.random.default_rng(0).standard_normal((24, 2))})
    model = make_pipeline(PerModality({"text": TfidfVectorizer()}), CCA(1, shrinkage=0.2)).fit(X)
    again = _by_io(model, tmp_path)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def _sparse_cca():
    rng = np.random.default_rng(0)
    a = sp.random(15, 60, 0.2, format="csr", random_state=0)
    return CCA(1, shrinkage=0.2).fit(Modalities({"a": a, "b": rng.standard_normal((15, 20))})), a


def test_sparse_parts_of_a_model(tmp_path):
    model, a = _sparse_cca()
    X = Modalities({"a": a, "b": np.ones((15, 20))})
    again = _by_io(model, tmp_path)
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert all(array.flags.forc for array in _Arrays(model).found)


def test_files_of_any_kind(tmp_path):
    model = CCA(1).fit(complete())
    buffer = standard_io.BytesIO()
    io.dump(model, buffer)
    io.dump(model, str(tmp_path / "model.skops"))
    for file in (buffer, str(tmp_path / "model.skops"), tmp_path / "model.skops"):
        assert io.load(file).n_components == 1
        assert io.get_untrusted_types(file) == []


def test_without_skops(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("skops"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for use in (io.load, io.get_untrusted_types, lambda file: io.dump(CCA(), file)):
        with pytest.raises(ImportError, match=r"pip install 'skmm\[io\]'"):
            use(standard_io.BytesIO())


# No code from files


def _file(model):
    buffer = standard_io.BytesIO()
    io.dump(model, buffer)
    return buffer


def _edited(file, change, part="schema.json", *, with_checksums=True):
    """Return a file one part of which is changed, as an attacker or an accident would."""
    buffer = standard_io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(buffer, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if with_checksums and name == _files.CONTENTS:
                continue
            archive.writestr(name, change(content) if name == part else content)
    data = buffer.getvalue()
    return _with_contents(data) if with_checksums else standard_io.BytesIO(data)


def _nodes(node):
    """Yield all nodes of a schema."""
    if isinstance(node, dict):
        if "__loader__" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _nodes(each)


def _function(module, name):
    return {"__module__": module, "__class__": name, "__loader__": "FunctionNode"}


def _text(text):
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(text),
    }


def _call(module, name, text):
    """Return a node that calls module.name(text) when it is built."""
    arguments = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": [_text(text)],
    }
    return {
        "__class__": name,
        "__module__": module,
        "__loader__": "ConstructorFromReduceNode",
        "content": arguments,
    }


def _key(module, name, text):
    """Return a node of a dict the type of whose key is module.name."""
    types = {
        "__class__": "list",
        "__module__": "builtins",
        "__loader__": "ListNode",
        "content": [_function(module, name)],
    }
    return {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "content": {text: _text("")},
        "key_types": types,
    }


ATTACKS = {
    "called": (_call, "os", "system", "echo > {}"),
    "as the type of a key": (_key, "os", "system", "echo > {}"),
    "evaluated": (_call, "builtins", "eval", "open({!r}, 'w').close()"),
    "a process": (_call, "subprocess", "getoutput", "echo > {}"),
}


def _attacked(attack, marker):
    make, module, name, text = ATTACKS[attack]

    def change(content):
        schema = json.loads(content)
        (state,) = (n for n in _nodes(schema) if "solver" in n.get("content", ()))
        state["content"]["scale"] = make(module, name, text.format(str(marker)))
        return json.dumps(schema).encode()

    return _edited(_file(CCA(1).fit(complete())), change), f"{module}.{name}"


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_in_a_file_does_not_run(attack, tmp_path):
    marker = tmp_path / "marker"
    file, name = _attacked(attack, marker)
    with pytest.raises(UntrustedTypesFoundException, match=name):
        io.load(file)
    assert io.get_untrusted_types(file) == [name]
    assert not marker.exists()
    io.load(file, trusted=[name])
    assert marker.exists()  # so the attack is a real one


class _Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo > {self.marker}",)


def test_the_pickle_inside_nets_of_skorch_is_never_read(tmp_path):
    """Their __setstate__ would, so that skops must not build them."""
    marker = tmp_path / "marker"
    data = pickle.dumps({"module_": _Bomb(marker)})
    net = type("State", (), {})()
    net.__dict__ = {"device": "cpu", "__cuda_dependent_attributes__": data}
    plain = skops.io.dumps(net)

    def change(content):
        text = content.decode().replace(type(net).__module__, "skmm._nets._net")
        return text.replace('"State"', '"Net"').encode()

    file = _edited(_with_contents(plain), change)
    with pytest.raises(UntrustedTypesFoundException, match=r"skmm\._nets\._net\.Net"):
        io.load(file)
    assert not marker.exists()
    io.load(file, trusted=["skmm._nets._net.Net"])
    assert marker.exists()


def _with_contents(data):
    return standard_io.BytesIO(_files._archive(dict(_files._members(data))))


OWN = """
import torch

class Own(torch.nn.Module):
    def __init__(self, shape, n_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(shape[0], n_outputs)

    def forward(self, x):
        return self.linear(x)
"""


def test_networks_of_ones_own_are_not_even_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_networks.py").write_text(OWN)
    own = importlib.import_module("own_networks").Own
    X, marker = complete(), tmp_path / "marker"
    model = deep_cca(encoders={"text": own}).fit(X)
    io.dump(model, tmp_path / "model.skops")
    monkeypatch.delitem(importlib.sys.modules, "own_networks")
    (tmp_path / "own_networks.py").write_text(f"open({str(marker)!r}, 'w').close()\n{OWN}")
    importlib.invalidate_caches()
    assert io.get_untrusted_types(tmp_path / "model.skops") == ["own_networks.Own"]
    with pytest.raises(UntrustedTypesFoundException, match=r"own_networks\.Own"):
        io.load(tmp_path / "model.skops")
    assert not marker.exists()
    again = io.load(tmp_path / "model.skops", trusted=["own_networks.Own"])
    assert marker.exists()
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    monkeypatch.delitem(importlib.sys.modules, "own_networks")


def test_no_module_is_imported_as_a_namespace_of_arrays(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    marker = tmp_path / "marker"
    (tmp_path / "no_library.py").write_text(f"open({str(marker)!r}, 'w').close()")
    state = CCA(1).fit(complete()).__getstate__()
    CCA.__new__(CCA).__setstate__({**state, "_home": ("no_library", "cpu")})
    assert not marker.exists()


def test_functions_have_to_be_trusted(tmp_path):
    from contract_cases import half

    model = deep_cca(lr_schedule=half).fit(complete())
    with pytest.raises(UntrustedTypesFoundException, match=r"contract_cases\.half"):
        _by_io(model, tmp_path)
    assert _by_io(model, tmp_path, ["contract_cases.half"]).lr_schedule is half


@pytest.mark.parametrize("trusted", [True, "os.system", CCA, None])
def test_trusted_is_a_list(trusted):
    with pytest.raises(TypeError, match=r"trusted=.*list of types"):
        io.load(standard_io.BytesIO(), trusted=trusted)


# The review of what is trusted


def _resolved(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _defined_by(module, base):
    classes = (value for _, value in inspect.getmembers(module, inspect.isclass))
    return {c for c in classes if issubclass(c, base) and c.__module__.startswith("skmm.")}


REVIEWED = {  # torch's fill in attributes of former versions; ours are told of in the decision
    "skmm.CCA",
    "skmm.Modalities",
    "torch.nn.modules.activation.MultiheadAttention",
    "torch.nn.modules.conv.Conv1d",
    "torch.nn.modules.conv.Conv2d",
    "torch.nn.modules.conv.ConvTranspose2d",
    "torch.nn.modules.upsampling.Upsample",
}


@pytest.mark.parametrize("name", io.TRUSTED)
def test_what_is_trusted_is_a_class_without_ways_of_its_own_to_be_made(name):
    kind = _resolved(name)
    assert inspect.isclass(kind)
    assert ".".join(stable_name(kind.__module__, kind.__name__)) == name
    plain = (torch.nn.Module, BaseEstimator, _base.BaseEstimator, object, tuple)
    special = ("__new__", "__setstate__", "__reduce__", "__reduce_ex__", "__del__")
    own = {
        method
        for parent in kind.__mro__
        if parent not in plain and not parent.__module__.startswith(("sklearn.", "abc"))
        for method in special
        if method in vars(parent)
    }
    allowed = {"__new__"} if issubclass(kind, tuple) else set()  # named tuples
    assert own <= allowed | ({"__setstate__"} if name in REVIEWED else set())


def test_all_estimators_and_networks_are_trusted():
    expected = {type(case.default) for case in CASES} | {DeepCCA}
    for module in (compose, preprocessing, baselines):
        expected |= _defined_by(module, BaseEstimator)
    folder = Path(nn.__file__).parent
    for path in folder.glob("_*.py"):
        if path.stem != "__init__":
            module = importlib.import_module(f"skmm.nn.{path.stem}")
            expected |= _defined_by(module, torch.nn.Module)
    expected = {k for k in expected if not k.__module__.startswith("contract_cases")}
    abstract = {
        _interfaces._conditional_sampler.ConditionalSampler,
        baselines._Baseline,
        nn._layers.StochasticModule,
        nn._likelihoods._Likelihood,
        nn._likelihoods._LocationScale,
        nn._generator.ConditionNetworks,
        nn._modality_networks.ModalityNetworks,
        nn._processes.Shared,
    }
    criteria = {k for k in expected if k.__name__.endswith("Objective")}  # training makes them
    stored = expected - abstract - criteria
    names = {kind: stable_name(kind.__module__, kind.__name__) for kind in stored}
    assert not {kind for kind, name in names.items() if name is None}
    assert {".".join(name) for name in names.values()} <= set(io.TRUSTED)


# Names in files


def _names(file):
    """Return module and name of each object of skmm that a file names."""
    schema = json.loads(dict(_files._members(file.getvalue()))["schema.json"])
    nodes = ((node["__module__"], node["__class__"]) for node in _nodes(schema))
    return {(module, name) for module, name in nodes if module.partition(".")[0] == "skmm"}


STORED = {
    **{name: lambda name=name: _small(name) for name in BY_NAME},
    **{name: lambda name=name: _fitted(name) for name in NETWORKS},
    "sparse": lambda: _sparse_cca()[0],
    "scorers": lambda: GridSearchCV(
        CCA(),
        {"shrinkage": [0.0, 0.1]},
        scoring={
            **{name: get_scorer(name) for name in ("total_correlation", "foscttm")},
            "own": make_alignment_scorer(recall_at_k, k=3),
        },
        refit="foscttm",
    ).fit(complete()),
    "function": lambda: make_pipeline(FunctionTransformer(variance_explained), CCA()),
}


def _fitted(name):
    y = np.stack([_labels(), 1 - _labels()], axis=1) if name == "two labels" else _labels()
    return clone(NETWORKS[name]).fit(_data(), y)


@pytest.mark.parametrize("name", STORED)
def test_files_name_nothing_by_a_private_path(name):
    file = _file(STORED[name]())
    for part, content in _files._members(file.getvalue()):
        assert not re.search(rb"skmm(\.\w+)*\._", content), part
    assert _names(file)
    for module, attribute in _names(file):
        if module == parts.__name__:
            assert attribute in parts.PATHS
        else:
            assert attribute in importlib.import_module(module).__all__


def test_a_file_loads_after_a_class_has_moved(monkeypatch):
    X, model = complete(), _small("CCA")
    file = _file(model)
    before, _, attribute = parts.PATHS["CCAModel"].rpartition(".")
    old, moved = importlib.import_module(before), types.ModuleType("skmm._elsewhere")
    moved.Model = getattr(old, attribute)
    monkeypatch.setattr(moved.Model, "__module__", moved.__name__)
    monkeypatch.setitem(importlib.sys.modules, moved.__name__, moved)
    monkeypatch.delattr(old, attribute)
    with pytest.raises(TypeError, match=r"skmm\._elsewhere\.Model.*private"):
        _file(model)
    monkeypatch.setitem(parts.PATHS, "CCAModel", "skmm._elsewhere.Model")
    np.testing.assert_array_equal(io.load(file).transform(X), model.transform(X))
    assert _names(_file(model)) == _names(file)


def test_names_in_files_are_of_one_class_each():
    assert len(set(parts.PATHS.values())) == len(parts.PATHS)
    assert list(parts.PATHS) == sorted(parts.PATHS)
    with pytest.raises(AttributeError, match="no attribute 'Net'"):
        _ = parts.Net


@pytest.mark.parametrize("path", ["skmm._cca._model.Model", "skmm._nets._net.Net"])
def test_private_paths_in_a_file_are_not_trusted(saved, path):
    module, _, name = path.rpartition(".")

    def change(content):
        schema = json.loads(content)
        node = next(n for n in _nodes(schema) if n["__module__"] == parts.__name__)
        node.update({"__module__": module, "__class__": name})
        return json.dumps(schema).encode()

    with pytest.raises(UntrustedTypesFoundException, match=re.escape(path)):
        io.load(_edited(standard_io.BytesIO(saved), change))


def test_scorers_of_a_name_need_no_trust():
    model = GridSearchCV(CCA(), {"shrinkage": [0.0, 0.1]}, scoring=get_scorer("foscttm"))
    again = io.load(_file(model.fit(complete())))
    assert again.score(complete()) == model.score(complete())
    assert io.get_untrusted_types(_file(STORED["scorers"]())) == ["skmm.metrics.recall_at_k"]


def test_functions_of_skmm_are_trusted_by_public_name():
    file = _file(STORED["function"]())
    name = "skmm.inspection.variance_explained"
    assert io.get_untrusted_types(file) == [name]
    for trusted in ([name], [variance_explained]):
        assert io.load(file, trusted=trusted).steps[0][1].func is variance_explained


# Damaged files


@pytest.fixture(scope="module")
def saved():
    return _file(CCA(1).fit(complete())).getvalue()


def _first_array(data):
    with zipfile.ZipFile(standard_io.BytesIO(data)) as archive:
        return next(name for name in archive.namelist() if name.endswith(".npy"))


def _array(value):
    buffer = standard_io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


def _without_contents(data):
    buffer = standard_io.BytesIO()
    with (
        zipfile.ZipFile(standard_io.BytesIO(data)) as source,
        zipfile.ZipFile(buffer, "w") as archive,
    ):
        for name in set(source.namelist()) - {_files.CONTENTS}:
            archive.writestr(name, source.read(name))
    return buffer.getvalue()


def _added(data, name):
    buffer = standard_io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, b"more")
    return buffer.getvalue()


def _replaced(data, content, part=None):
    part = part or _first_array(data)
    file = _edited(standard_io.BytesIO(data), lambda _: content, part, with_checksums=False)
    return file.getvalue()


DAMAGES = {
    "empty": (lambda data: b"", "BadZipFile"),
    "cut": (lambda data: data[: len(data) // 2], "BadZipFile"),
    "no archive": (lambda data: b"no archive", "BadZipFile"),
    "other shape": (lambda data: _replaced(data, _array(np.ones(99))), r"damaged.*\.npy"),
    "other dtype": (lambda data: _replaced(data, _array(np.ones(5, "f4"))), r"damaged.*\.npy"),
    "schema": (lambda data: _replaced(data, b"{}", "schema.json"), r"damaged.*schema\.json"),
    "more": (lambda data: _added(data, "more"), "damaged.*'more'"),
    "of skops": (_without_contents, r"skmm\.json.*skops\.io\.load"),
    "of later": (
        lambda data: _replaced(data, b'{"format": 3, "sha256": {}}', _files.CONTENTS),
        "format is 3",
    ),
    "contents": (lambda data: _replaced(data, b"[", _files.CONTENTS), "JSONDecodeError"),
    "no schema": (lambda data: _files._archive({"a": b""}), "cannot be loaded"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused(saved, damage, tmp_path):
    change, words = DAMAGES[damage]
    path = tmp_path / "model.skops"
    path.write_bytes(change(saved))
    for use in (io.load, io.get_untrusted_types):
        with pytest.raises(ValueError, match=words) as error:
            use(path)
        assert str(path) in str(error.value)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_part_that_occurs_twice_is_refused(saved):
    with pytest.raises(ValueError, match="twice"):
        io.load(standard_io.BytesIO(_added(saved, "schema.json")))


def test_arrays_of_another_dtype_with_new_checksums(tmp_path):
    file = _file(clone(NETWORKS["double precision"]).fit(_data()))
    with zipfile.ZipFile(file) as archive:
        parts = [n for n in archive.namelist() if n.endswith(".npy")]
        arrays = {n: np.load(standard_io.BytesIO(archive.read(n))) for n in parts}
    weight = next(n for n, a in arrays.items() if a.ndim == 2 and a.shape[0] == 6)
    file = _edited(file, lambda _: _array(arrays[weight].astype("f4")), weight)
    with pytest.raises(ValueError, match="float32 stands where an array of float64"):
        io.load(file)


def test_a_recurrent_network_of_other_shapes_with_new_checksums():
    module = torch.nn.LSTM(3, 2)
    state = _codec.encode({"module": module})
    weights = state["module"].content["weights"]
    weights["weight_hh_l0"].content["array"] = np.zeros((1, 1), np.float32)
    with pytest.raises(RuntimeError, match="weight_hh_l0"):
        _codec.decode(state)


def test_sparse_indices_outside_with_new_checksums():
    state = _codec.encode({"a": sp.csr_array(np.eye(3))})
    state["a"].content["indices"] = np.array([0, 1, 10**6], dtype=np.int32)
    with pytest.raises(ValueError, match="ind"):
        _codec.decode(state)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (_codec.Stored("code", ""), "'code' is no kind"),
        (_codec.Stored("object", {"type": dict, "state": {}}), "class of skmm"),
        (_codec.Stored("torch module", {"type": CCA, "state": {}}), "torch modules"),
        (_codec.Stored("torch dtype", "load"), "'load' is no dtype"),
        (_codec.Stored("torch recurrent", {"type": "Module"}), "'Module' is none of"),
        (_codec.Stored("sparse", {"type": "load_npz"}), "'load_npz' is no sparse"),
    ],
)
def test_kinds_that_nobody_stores(stored, words):
    with pytest.raises(ValueError, match=words):
        _codec.decode({"a": stored})


def test_skops_alone_says_what_to_use(saved):
    with pytest.raises(ValueError, match=r"skmm\.io\.load"):
        skops.io.loads(saved, trusted=io.TRUSTED)


def test_a_full_disk_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "model.skops"
    io.dump(CCA(1), path)
    before = path.read_bytes()

    def write(self, data):
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError, match="No space left"):
        io.dump(CCA(2), path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.skops"]
    assert path.read_bytes() == before


# Other versions

TRANSFORMERS = (
    GaussianImputer(),
    PerModality(StandardScaler()),
    SelectModality("a"),
    Tokenizer(),
    ImageScaler(),
    LogMel(sampling_rate=8000),
)


@per_way
@pytest.mark.parametrize(
    "estimator",
    [*(case.default for case in CASES), *TRANSFORMERS],
    ids=lambda estimator: type(estimator).__name__,
)
def test_another_version_warns(estimator, way, tmp_path, monkeypatch):
    kept = copy.deepcopy(estimator)  # no warning: these stay with one version
    copy.copy(kept), clone(kept)
    io.dump(estimator, tmp_path / "model.skops")
    joblib.dump(estimator, tmp_path / "model.joblib")
    data = pickle.dumps(estimator)
    monkeypatch.setattr(_base, "__version__", "99.0")
    load = {
        "pickle": lambda: pickle.loads(data),
        "joblib": lambda: joblib.load(tmp_path / "model.joblib"),
        "io": lambda: io.load(tmp_path / "model.skops", trusted=CONTRACT),
    }[way]
    with pytest.warns(InconsistentVersionWarning, match=skmm.__version__) as caught:
        load()
    warning = caught[0].message
    assert warning.estimator_name == type(estimator).__name__
    assert warning.original_sklearn_version == skmm.__version__
    assert warning.current_sklearn_version == "99.0"


def test_a_state_without_version_warns():
    state = CCA(3).__getstate__()
    del state["_skmm_version"]
    again = CCA.__new__(CCA)
    with pytest.warns(InconsistentVersionWarning, match="unknown"):
        again.__setstate__(state)
    assert again.n_components == 3
    assert not hasattr(again, "_skmm_version")


# Checkpoints


class _Epochs(Callback):
    """Count epochs; do something at the end of one of them."""

    def __init__(self, at=None, do=None):
        self.at = at
        self.do = do

    def on_train_begin(self, net, **kwargs):
        self.epochs = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append(net.history[-1]["epoch"])
        if self.epochs[-1] == self.at:
            self.do()


@pytest.fixture
def full_disk():
    """Return a function that lets files grow to `size` bytes only; None is no limit."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size=500):
        resource.setrlimit(resource.RLIMIT_FSIZE, limits if size is None else (size, limits[1]))

    yield limit
    limit(None)


def test_a_full_disk_does_not_end_the_training(tmp_path, full_disk):
    X, settings = complete(), {"checkpoint_dir": tmp_path, "max_epochs": 4}
    expected = vae(max_epochs=4).fit(X)
    with pytest.warns(RuntimeWarning, match="could not be written.*goes on") as caught:
        model = vae(**settings, callbacks=[_Epochs(3, full_disk)]).fit(X)
    assert len([w for w in caught if w.category is RuntimeWarning]) == 1
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))
    (path,) = tmp_path.iterdir()  # nothing but the checkpoint
    assert [row["epoch"] for row in torch.load(path)["history"]] == [1, 2]


def test_after_a_full_disk_the_former_checkpoint_is_taken_up(tmp_path, full_disk):
    X, settings = complete(), {"checkpoint_dir": tmp_path, "max_epochs": 4}
    with pytest.warns(RuntimeWarning, match="could not be written"):
        model = vae(**settings, callbacks=[_Epochs(3, full_disk)]).fit(X)
    watch = _Epochs()
    again = vae(**settings, warm_start=True, callbacks=[watch])
    full_disk(None)
    np.testing.assert_array_equal(again.fit(X).transform(X), model.transform(X))
    assert watch.epochs == [3, 4]


def test_a_folder_that_cannot_be_made_stops_at_once(tmp_path):
    (tmp_path / "file").touch()
    watch = _Epochs()
    with pytest.raises((FileExistsError, NotADirectoryError), match="file"):
        vae(checkpoint_dir=tmp_path / "file", callbacks=[watch]).fit(complete())
    assert getattr(watch, "epochs", []) == []


def _cut(path, marker):
    path.write_bytes(path.read_bytes()[:100])


def _code(path, marker):
    torch.save({**torch.load(path), "history": _Bomb(marker)}, path)


def _other_shape(path, marker):
    state = torch.load(path)
    state["module"] = {name: torch.zeros(7) for name in state["module"]}
    torch.save(state, path)


def _no_history(path, marker):
    state = torch.load(path)
    del state["history"]
    torch.save(state, path)


def _other_best(path, marker):
    state = torch.load(path)
    state["best"] = {"epoch": 1, "score": 0.0, "weights": {}}
    torch.save(state, path)


@pytest.mark.parametrize("damage", [_cut, _code, _other_shape, _no_history, _other_best])
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    X = complete()
    folder, marker = tmp_path / "checkpoints", tmp_path / "marker"
    settings = {
        "checkpoint_dir": folder,
        "warm_start": True,
        "early_stopping": damage is _other_best,
        "cv": None,
        "validation_fraction": 0.4,
    }
    vae(**settings).fit(X)
    (path,) = folder.iterdir()
    damage(path, marker)
    model = vae(**settings)
    with pytest.raises(ValueError, match="damaged or was changed: delete it") as error:
        model.fit(X)
    assert str(path) in str(error.value)
    assert not marker.exists()
    assert not hasattr(model, "net_")
    path.unlink()
    assert model.fit(X).history_["epoch"].max() == settings.get("max_epochs", 3)
