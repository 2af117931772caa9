"""Docstrings cannot lie: parameters, defaults and attributes are compared with the code."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap

import pytest
from contract_cases import CASES, complete, fitted, forms
from numpydoc.docscrape import ClassDoc, FunctionDoc

import skmm


def _public_modules():
    """Return skmm and its public submodules."""
    found = [skmm]
    for info in pkgutil.iter_modules(skmm.__path__, "skmm."):
        if not info.name.rpartition(".")[2].startswith("_"):
            found.append(importlib.import_module(info.name))
    return found


MODULES = _public_modules()
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
}
CALLABLES = {name: thing for name, thing in PUBLIC.items() if callable(thing)}
CLASSES = {name: thing for name, thing in CALLABLES.items() if inspect.isclass(thing)}


def _methods(cls):
    """Yield the public methods and properties that a class of skmm defines."""
    for name in dir(cls):
        attribute = inspect.getattr_static(cls, name)
        function = inspect.unwrap(_function(attribute)) if _function(attribute) else None
        if not name.startswith("_") and function and function.__module__.startswith("skmm"):
            yield name, attribute, function


def _function(attribute):
    if isinstance(attribute, property):
        return attribute.fget
    if isinstance(attribute, classmethod | staticmethod):
        return attribute.__func__
    if not callable(attribute) and hasattr(attribute, "fn"):  # what available_if makes
        return attribute.fn
    return attribute if inspect.isfunction(attribute) else None


METHODS = {
    f"{name}.{method}": (attribute, function)
    for name, cls in CLASSES.items()
    for method, attribute, function in _methods(cls)
}
FUNCTIONS = {
    **{name: f for name, f in CALLABLES.items() if inspect.isfunction(f)},
    **{name: f for name, (a, f) in METHODS.items() if not isinstance(a, property)},
}


def _documented(doc):
    """Return {name: type} of the parameters; "a, b : int" are two."""
    return {
        name.strip().lstrip("*"): entry.type
        for entry in doc["Parameters"]
        for name in entry.name.split(",")
    }


def _accepted(callable_):
    """Return {name: default} of a signature, without self."""
    parameters = dict(inspect.signature(callable_).parameters)
    for own in ("self", "cls"):
        parameters.pop(own, None)
    return {name: p.default for name, p in parameters.items()}


def _stated_default(type_):
    """Return the text after "default=" in a documented type, or None."""
    match = re.search(r"default\s*[=:]\s*(.+)$", type_)
    return match and match.group(1).strip()


def _same_default(stated, default, module):
    """Whether the text is a literal or the name of a constant that equals the default."""
    try:
        value = ast.literal_eval(stated)
    except (ValueError, SyntaxError):
        value = getattr(sys.modules[module], stated.strip("`"), None)
    return type(value) is type(default) and value == default


def _wrong_parameters(doc, callable_):
    """Yield what the documented parameters say that the signature does not."""
    documented, accepted = _documented(doc), _accepted(callable_)
    if list(documented) != list(accepted):
        yield f"documents {list(documented)}, takes {list(accepted)}"
        return
    for name, default in accepted.items():
        stated = _stated_default(documented[name])
        if default is inspect.Parameter.empty:
            if stated is not None:
                yield f"{name} has no default"
        elif documented[name] != "None":  # "y : None" is there for the sake of the interface
            if stated is None:
                yield f"{name} has the default {default!r}"
            elif not _same_default(stated, default, callable_.__module__):
                yield f"{name}: {stated} is not {default!r}"


def _wrong_function(function):
    """Yield what the docstring of a function lacks or gets wrong."""
    doc = FunctionDoc(function)
    if not doc["Summary"]:
        yield "no summary"
        return
    yield from _wrong_parameters(doc, function)
    returns = inspect.signature(function).return_annotation
    said = doc["Returns"] or doc["Yields"] or doc["Summary"][0].startswith("Return")
    if returns not in (None, "None", inspect.Signature.empty) and not said:
        yield "says nothing of what it returns"


def test_public_names_exist_once():
    for module in MODULES:
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)


def test_public_names_have_a_summary_and_an_example():
    wrong = []
    for name, thing in CALLABLES.items():
        doc = (ClassDoc if name in CLASSES else FunctionDoc)(thing)
        summary = " ".join(doc["Summary"])
        if not summary.endswith(".") or ">>>" not in "\n".join(doc["Examples"]):
            wrong.append(name)
    assert wrong == []


def test_functions_document_what_they_take_and_give():
    wrong = {name: list(_wrong_function(function)) for name, function in FUNCTIONS.items()}
    assert {name: faults for name, faults in wrong.items() if faults} == {}


def test_classes_document_their_parameters():
    wrong = {
        name: list(_wrong_parameters(ClassDoc(cls), cls))
        for name, cls in CLASSES.items()
        if not issubclass(cls, Exception)
    }
    assert {name: faults for name, faults in wrong.items() if faults} == {}


def test_properties_have_a_summary():
    properties = {n: f for n, (a, f) in METHODS.items() if isinstance(a, property)}
    assert [name for name, function in properties.items() if not function.__doc__] == []


def test_checks_of_docstrings_see_errors():
    def wrong(a, b=1, c=2):
        """Return.

        Parameters
        ----------
        a : int, default=3
            .
        b : int, default=2
            .
        c : int
            .
        """

    found = list(_wrong_function(wrong))
    assert found == ["a has no default", "b: 2 is not 1", "c has the default 2"]
    assert list(_wrong_function(lambda a: a)) == ["no summary"]


@pytest.mark.filterwarnings("ignore:.* collapsed:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_documented_attributes_are_those_of_fit(case):
    X, params = forms(complete())["flat DataFrame"]
    learned = {name for name in dir(type(case.default)) if name.endswith("_")}  # properties
    for estimator in (case.small, *(variant.estimator for variant in case.variants)):
        learned |= {name for name in vars(fitted(estimator, X, **params)) if name.endswith("_")}
    learned = {name for name in learned if not name.startswith("_")}
    documented = {
        name.strip()
        for entry in ClassDoc(type(case.default))["Attributes"]
        for name in entry.name.split(",")
    }
    assert learned == documented


def _raises_itself(function):
    """Whether the body of a function raises an error of its own, not in a function inside it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    ahead = list(tree.body[0].body)
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            ahead += ast.iter_child_nodes(node)
    return False


def test_functions_that_raise_say_so():
    raising = {name: f for name, f in FUNCTIONS.items() if _raises_itself(f)}
    assert len(raising) > 50
    assert [name for name, f in raising.items() if not FunctionDoc(f)["Raises"]] == []


DEEP = (
    "ConditionalGAN",
    "DeepCCA",
    "MultimodalAutoencoder",
    "MultimodalClassifier",
    "MultimodalRegressor",
    "MultimodalVAE",
)
OWN_TEXTS = {  # estimators in which a parameter means something of its own
    "activation": {"ConditionalGAN", "DeepCCA", "MultimodalClassifier", "MultimodalRegressor"},
    "batch_size": {"DeepCCA", "MultimodalClassifier", "MultimodalRegressor"},
    "decoders": {"ConditionalGAN"},
    "early_stopping": {"DeepCCA"},
    "encoders": {"ConditionalGAN", "DeepCCA"},
    "fusion": {"DeepCCA", "MultimodalAutoencoder"},
    "hidden_layer_sizes": {"ConditionalGAN", "MultimodalClassifier", "MultimodalRegressor"},
    "latent_density": {"MultimodalAutoencoder", "MultimodalVAE"},
    "likelihoods": {"MultimodalVAE"},
    "cv": {"DeepCCA"},
    "max_epochs": {"ConditionalGAN"},
    "modality_dropout": {"ConditionalGAN", "MultimodalAutoencoder"},
    "modality_weights": {"MultimodalVAE"},
    "n_components": {"MultimodalAutoencoder", "MultimodalVAE"},
    "normalization": {"ConditionalGAN"},
    "precision": {"DeepCCA"},
    "random_state": {"MultimodalClassifier", "MultimodalRegressor"},
    "validation_fraction": {"DeepCCA", "MultimodalClassifier"},
}


def test_deep_estimators_say_the_same_of_the_same_parameter():
    texts = {}
    for estimator in DEEP:
        for entry in ClassDoc(getattr(skmm, estimator))["Parameters"]:
            if estimator not in OWN_TEXTS.get(entry.name, ()):
                text = "\n".join(entry.desc)
                texts.setdefault(entry.name, {}).setdefault(text, []).append(estimator)
    different = {name: list(of.values()) for name, of in texts.items() if len(of) > 1}
    assert different == {}, "make the texts equal, or say in OWN_TEXTS that they are to differ"
    shared = [name for name, of in texts.items() if len(*of.values()) > 1]
    assert len(shared) >= 24
