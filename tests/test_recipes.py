"""Whatever is added is added everywhere: the recipes of CONTRIBUTING.md, as tests.

Each recipe is a registry and the pieces that every entry of it needs. A piece is described by what
to do if it is missing, so that the message of a failing test is the rest of the recipe.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import malformed
import pytest
import test_losses
import test_nn_fusion
import test_nn_likelihoods
from contract_cases import CASES
from numpydoc.docscrape import ClassDoc
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions

import skmm
from skmm import datasets, metrics, nn
from skmm._deep_cca._objectives import OBJECTIVES
from skmm.benchmark._suites import SUITES
from skmm.io._trusted import TRUSTED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CARDS = {  # the page of each estimator
    "CCA": "cca.md",
    "ConditionalGAN": "conditional_gan.md",
    "DeepCCA": "deep_cca.md",
    "GroupFactorAnalysis": "group_factor_analysis.md",
    "MultimodalAutoencoder": "multimodal_autoencoder.md",
    "MultimodalClassifier": "multimodal_prediction.md",
    "MultimodalRegressor": "multimodal_prediction.md",
    "MultimodalVAE": "multimodal_vae.md",
}
DATA_SETS, METRICS = "user_guide/data_sets.md", "user_guide/metrics.md"
HOUSEKEEPING = {"clear_data_home", "get_data_home"}  # of the downloaded files: no data sets


@dataclass(frozen=True)
class Recipe:
    """What an entry of a registry needs: by what is to be done, whether an entry has it."""

    registry: Callable[[], Iterable[str]]
    pieces: dict[str, Callable[[str], bool]]

    def missing(self) -> list[str]:
        """Return what is to be done for each entry."""
        return [
            f"{entry}: {what}"
            for entry in self.registry()
            for what, has in self.pieces.items()
            if not has(entry)
        ]


# What the pieces look at


@cache
def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def _sources_of_tests() -> str:
    files = sorted((ROOT / "tests").glob("**/test_*.py"))
    return "\n".join(f.read_text(encoding="utf-8") for f in files if f != Path(__file__))


def _says(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _on_page(page: str, entry: str) -> bool:
    return _says(_text(f"docs/{page}"), entry)


def _tested(entry: str) -> bool:
    return _says(_sources_of_tests(), entry)


def _estimators() -> list[str]:
    found = {name: getattr(skmm, name) for name in skmm.__all__}
    return [n for n, t in found.items() if inspect.isclass(t) and issubclass(t, BaseEstimator)]


def _options(estimator: str, parameter: str) -> list[str]:
    """Return the names that a parameter of an estimator may have."""
    constraints = getattr(skmm, estimator)._parameter_constraints.get(parameter, [])
    return sorted(o for c in constraints if isinstance(c, StrOptions) for o in c.options)


def _parameter_text(estimator: str, parameter: str) -> str:
    entries = ClassDoc(getattr(skmm, estimator))["Parameters"]
    return "\n".join("\n".join([e.type, *e.desc]) for e in entries if e.name == parameter)


def _law_values(estimator: str, parameter: str) -> tuple:
    """Return the values between which the laws see that a parameter has an effect."""
    (effects,) = (case.effects for case in CASES if case.name == estimator)
    return effects[parameter].values if parameter in effects else ()


# The recipes


def _loss(objective: str) -> str:
    return f"{objective}_loss"


def _formulas() -> set[str]:
    return {loss.__name__ for loss, *_ in test_losses.FORMULAS}


OBJECTIVE = Recipe(
    lambda: OBJECTIVES,
    {
        "add its function <name>_loss to skmm.nn.__all__": lambda n: _loss(n) in nn.__all__,
        "add it to FORMULAS in tests/test_losses.py": lambda n: _loss(n) in _formulas(),
        "name it in the text of `objective` of DeepCCA": lambda n: (
            f'"{n}"' in _parameter_text("DeepCCA", "objective")
        ),
        "add a row to the table of objectives in docs/deep_cca.md": lambda n: (
            f'| `"{n}"` |' in _text("docs/deep_cca.md")
        ),
        "add it to the effects of `objective` of DeepCCA in tests/contract_cases.py": lambda n: (
            n in _law_values("DeepCCA", "objective")
        ),
    },
)


def _fusions() -> list[str]:
    """Return estimator and fusion, of every estimator that has the parameter."""
    return [f"{e} {fusion}" for e in _estimators() for fusion in _options(e, "fusion")]


def _of_fusion(test: Callable[[str, str], bool]) -> Callable[[str], bool]:
    return lambda entry: test(*entry.split())


FUSION = Recipe(
    _fusions,
    {
        "name it in the text of `fusion`": _of_fusion(
            lambda e, n: _says(_parameter_text(e, "fusion"), n)
        ),
        "name it on the page of the estimator": _of_fusion(
            lambda e, n: f'"{n}"' in _text(f"docs/{CARDS[e]}")
        ),
        "add it to the effects of `fusion` in tests/contract_cases.py": _of_fusion(
            lambda e, n: n in _law_values(e, "fusion")
        ),
    },
)
FUSION_NETWORK = Recipe(
    lambda: _options("MultimodalAutoencoder", "fusion"),
    {
        "add its class <Name>Fusion to skmm.nn.__all__": lambda n: (
            f"{n.capitalize()}Fusion" in nn.__all__
        ),
        "add it to MAKERS in tests/test_nn_fusion.py": lambda n: n in test_nn_fusion.MAKERS,
        "let files name its class: skmm/io/_trusted.py": lambda n: (
            f"skmm.nn.{n.capitalize()}Fusion" in TRUSTED
        ),
        "let MultimodalClassifier take it": lambda n: (
            n in _options("MultimodalClassifier", "fusion")
        ),
    },
)


def _with_likelihoods() -> list[str]:
    return [e for e in _estimators() if "likelihoods" in getattr(skmm, e)().get_params()]


LIKELIHOOD = Recipe(
    lambda: nn.LIKELIHOODS,
    {
        "add its class <Name>Likelihood to skmm.nn.__all__": lambda n: (
            f"{n.capitalize()}Likelihood" in nn.__all__
        ),
        "add SciPy's log-density to CASES in tests/test_nn_likelihoods.py": lambda n: (
            n in test_nn_likelihoods.CASES
        ),
        "add its expectation to MEANS in tests/test_nn_likelihoods.py": lambda n: (
            n in test_nn_likelihoods.MEANS
        ),
        "name it in the text of `likelihoods` of each estimator": lambda n: all(
            _says(_parameter_text(e, "likelihoods"), n) for e in _with_likelihoods()
        ),
        "let files name its class: skmm/io/_trusted.py": lambda n: (
            f"skmm.nn.{n.capitalize()}Likelihood" in TRUSTED
        ),
        "name it in docs/multimodal_vae.md": lambda n: f'"{n}"' in _text("docs/multimodal_vae.md"),
    },
)
FROM_ESTIMATORS = {  # these are called with an estimator or a scorer
    "coherence",
    "get_scorer_names",
    "make_alignment_scorer",
    "over_imputation_score",
    "synthetic_training_accuracy",
}
METRIC = Recipe(
    lambda: metrics.__all__,
    {
        "name it in docs/user_guide/metrics.md": partial(_on_page, METRICS),
        "test it against a formula: no test names it": _tested,
        "add it to METRICS in tests/malformed.py": lambda n: (
            n in malformed.METRICS or n in FROM_ESTIMATORS
        ),
    },
)


DATA_SET = Recipe(
    lambda: [name for name in datasets.__all__ if name not in HOUSEKEEPING],
    {
        "describe it in skmm/datasets/descr/<name without its verb>.rst": lambda n: (
            Path(datasets.__file__).parent / "descr" / f"{n.partition('_')[2]}.rst"
        ).exists(),
        "add a row to docs/user_guide/data_sets.md": partial(_on_page, DATA_SETS),
        "test it in tests/test_datasets: no test names it": lambda n: (
            _tested(n) or f'"{n.partition("_")[2]}"' in _sources_of_tests()
        ),
    },
)


def _tasks() -> list[str]:
    return sorted({source.name for suite in SUITES.values() for source in suite})


def _task_is_listed(task: str) -> bool:
    """Whether a task such as "mfeat fuse" is on the page, as in "mfeat align, fuse, classify"."""
    data, _, kind = task.rpartition(" ")
    return (
        re.search(rf"{re.escape(data)}\b[\w, ]*\b{kind}\b", _text(f"docs/{DATA_SETS}")) is not None
    )


TASK = Recipe(
    _tasks,
    {
        "name it in the column of tasks in docs/user_guide/data_sets.md": _task_is_listed,
        "give its source a summary for `skmm-benchmark list`": lambda n: all(
            s.summary for suite in SUITES.values() for s in suite if s.name == n
        ),
        'put it into the suite "full"': lambda n: n in {s.name for s in SUITES["full"]},
    },
)
ESTIMATOR = Recipe(
    _estimators,
    {
        "add an entry to CASES in tests/contract_cases.py": lambda n: (
            n in {case.name for case in CASES}
        ),
        "write its card in docs/ and name the page in CARDS here": lambda n: (
            n in CARDS and _on_page(CARDS[n], n)
        ),
        "add its card to docs/models/index.md": partial(_on_page, "models/index.md"),
        "name it in README.md": lambda n: _says(_text("README.md"), n),
        "draw in docs/models/which_estimator.svg when to take it": lambda n: any(
            _says(_text("docs/models/which_estimator.svg"), name)
            for name in (n, n.replace("Multimodal", "…"))
        ),
        "let files name its class: skmm/io/_trusted.py": lambda n: f"skmm.{n}" in TRUSTED,
        "add a subject of malformed input to tests/malformed.py": lambda n: (
            n in {subject.name for subject in malformed.SUBJECTS}
        ),
        "test it against an independent answer: no test names it": _tested,
    },
)
RECIPES = {
    "a loss of DeepCCA": OBJECTIVE,
    "a fusion": FUSION,
    "a fusion network": FUSION_NETWORK,
    "a likelihood": LIKELIHOOD,
    "a metric": METRIC,
    "a data set": DATA_SET,
    "a task of the benchmark": TASK,
    "an estimator": ESTIMATOR,
}


@pytest.mark.parametrize("name", RECIPES)
def test_what_was_added_is_added_everywhere(name):
    assert RECIPES[name].missing() == []


def test_contributors_find_each_recipe():
    titles = re.findall(r"^### A(.*)$", _text("CONTRIBUTING.md"), re.M)
    assert [f"a{title}" for title in titles] == [n for n in RECIPES if n != "a fusion network"]


class Newcomer(BaseEstimator):
    """An estimator that was added to `skmm.__all__` and nowhere else."""


def _add_fusion(patch, estimator):
    cls = getattr(skmm, estimator)
    names = {*_options(estimator, "fusion"), "gated"}
    patch.setitem(cls._parameter_constraints, "fusion", [StrOptions(names)])


def _add_estimator(patch):
    patch.setattr(skmm, "__all__", [*skmm.__all__, "Newcomer"])
    patch.setattr(skmm, "Newcomer", Newcomer, raising=False)


ADDED = {  # by recipe: how to add an entry to the registry alone, and the entry
    "a loss of DeepCCA": (lambda p: p.setitem(OBJECTIVES, "triplets", None), "triplets"),
    "a fusion": (lambda p: _add_fusion(p, "DeepCCA"), "DeepCCA gated"),
    "a fusion network": (lambda p: _add_fusion(p, "MultimodalAutoencoder"), "gated"),
    "a likelihood": (lambda p: p.setitem(nn.LIKELIHOODS, "cauchy", None), "cauchy"),
    "a metric": (
        lambda p: p.setattr(metrics, "__all__", [*metrics.__all__, "new_metric"]),
        "new_metric",
    ),
    "a data set": (
        lambda p: p.setattr(datasets, "__all__", [*datasets.__all__, "fetch_new_data"]),
        "fetch_new_data",
    ),
    "a task of the benchmark": (
        lambda p: p.setitem(SUITES, "new", (SimpleNamespace(name="new fuse", summary=""),)),
        "new fuse",
    ),
    "an estimator": (_add_estimator, "Newcomer"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_each_piece_is_missed(name, monkeypatch):
    add, entry = ADDED[name]
    add(monkeypatch)
    assert RECIPES[name].missing() == [f"{entry}: {what}" for what in RECIPES[name].pieces]
