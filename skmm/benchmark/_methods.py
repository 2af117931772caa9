"""Methods: estimators with a role and perhaps a grid; and the usual ones for each kind of task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ParameterGrid,
    RandomizedSearchCV,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmm._cca import CCA
from skmm._conditional_gan import ConditionalGAN
from skmm._deep_cca import DeepCCA
from skmm._group_factor_analysis import GroupFactorAnalysis
from skmm._multimodal_autoencoder import MultimodalAutoencoder
from skmm._multimodal_predictor import MultimodalClassifier
from skmm._multimodal_vae import MultimodalVAE
from skmm.baselines import MarginalSampler, NeighborsSampler, RidgeSampler
from skmm.benchmark._adapters import PLS, BlockScaler, OracleSampler
from skmm.benchmark._completed import GaussianModel, RBFRidge
from skmm.benchmark._gaps import GapFiller, has_gaps
from skmm.benchmark._task_types import inner_scoring
from skmm.compose import ConcatModalities, GaussianImputer, PerModality
from skmm.compose._steps import last_step

if TYPE_CHECKING:
    from skmm.benchmark._tasks import Task

N_RANDOM_FEATURES = 1000  # over all modalities
ROLES = {
    "linear": "may be the baseline",
    "nonlinear": "neither linear nor deep",
    "deep": "has a neural network",
    "floor": "ignores what there is to learn",
    "oracle": "knows the truth",
    "control": "trained on data whose relation is broken",
}
COMPETING = ("linear", "nonlinear", "deep")


@dataclass(frozen=True)
class Method:
    """An estimator, its grid, and its role in the comparison.

    Parameters
    ----------
    estimator : estimator or callable
        Any estimator, Pipeline or search object; or a function from a :class:`Task` to one,
        where it depends on the data.
    grid : dict or list of dict, default=None
        Parameters to choose from, as in :class:`~sklearn.model_selection.GridSearchCV`, by three
        inner folds of the training rows.
    role : {"linear", "nonlinear", "deep", "floor"}, default=None
        The best linear method is the baseline of the verdict; a ``"floor"`` competes with nobody.
        None: ``"deep"`` if the last step trains a network, else ``"nonlinear"``.
    summary : str, default=""
        A description for the reader of the report. By default the estimator's repr.

    Raises
    ------
    ValueError
        If the role is unknown.

    Examples
    --------
    >>> from skmm import CCA
    >>> from skmm.benchmark import Method
    >>> Method(CCA(2), {"shrinkage": [0.0, 0.1]}, role="linear").role
    'linear'
    """

    estimator: Any
    grid: Any = None
    role: str | None = None
    summary: str = ""

    def __post_init__(self) -> None:
        if self.role not in (*ROLES, None):
            raise ValueError(f"role={self.role!r} is unknown; valid are {list(ROLES)}.")

    def make(self, task: Task, *, budget: int | None = None, random_state: int = 0) -> Any:
        """Return the estimator that is fitted on a task, or a search over its grid.

        Parameters
        ----------
        task : Task
            The data and the question.
        budget : int, default=None
            How many settings may be tried; of a larger grid so many are drawn.
        random_state : int, default=0
            Determines inner splits and draws.

        Returns
        -------
        estimator : estimator
            A clone, not fitted.
        """
        given = self.estimator  # whose parameters stay as they are
        estimator = clone(given) if hasattr(given, "fit") else given(task)
        last = last_step(estimator)
        if task.kind == "transfer" and "target" in last.get_params(deep=False):
            _set_target(estimator, task)
        if self.grid is None:
            return estimator
        folds = StratifiedKFold if task.kind == "classify" else KFold
        options = {
            "cv": folds(3, shuffle=True, random_state=random_state),
            "scoring": inner_scoring(task.kind, task.X.names, task.target),
        }
        if budget is not None and len(ParameterGrid(self.grid)) > budget:
            return RandomizedSearchCV(
                estimator, self.grid, n_iter=budget, random_state=random_state, **options
            )
        return GridSearchCV(estimator, self.grid, **options)

    def role_of(self, estimator: Any) -> str:
        """Return the role that was given, or the role that follows from the last step.

        Parameters
        ----------
        estimator : estimator
            The estimator that `make` returned.

        Returns
        -------
        role : str
        """
        return self.role or ("deep" if _is_deep(last_step(estimator)) else "nonlinear")


def as_method(method: Any) -> Method:
    """Return a method from an estimator, a function, a pair with a grid, or a method."""
    if isinstance(method, Method):
        return method
    if isinstance(method, tuple) and len(method) == 2:
        return Method(*method)
    if not hasattr(method, "fit") and not callable(method):
        raise TypeError(
            f"{method!r} is no method: give an estimator, a pair (estimator, grid), a Method, or a "
            "function from a task to an estimator."
        )
    return Method(method)


def usual_methods(task: Task) -> dict[str, Method]:
    """Return the methods that a task is run with if none are given.

    These are linear ones (the best is the baseline), a cheap nonlinear one, and deep ones. For
    ``"transfer"`` and ``"classify"`` there is also one that ignores the data, and where the truth
    is known one that draws from it.

    Parameters
    ----------
    task : Task
        The data and the question.

    Returns
    -------
    methods : dict of str to Method

    Examples
    --------
    >>> from skmm.benchmark import Task, usual_methods
    >>> from skmm.datasets import load_digits_halves
    >>> X, y = load_digits_halves(return_X_y=True)
    >>> list(usual_methods(Task("digits", X, y, kind="classify")))[:2]
    ['Logistic regression', 'RFF + logistic regression']
    """
    methods = dict(_USUAL[task.kind])
    if not has_gaps(task.X):
        methods.pop("Completed + logistic regression", None)  # there is nothing to complete
    if task.oracle is not None:
        methods["Oracle"] = Method(_oracle, role="oracle", summary="draws from the truth")
    return methods


def _is_deep(estimator: Any) -> bool:
    return any(base.__name__ in ("DeepEstimator", "NeuralNet") for base in type(estimator).__mro__)


def _set_target(estimator: Any, task: Task) -> None:
    """Tell the last step its target where nothing is said."""
    last = last_step(estimator)
    if last.target is None:
        last.set_params(target=task.target)


def _scaled(task: Task) -> PerModality:
    return PerModality(BlockScaler(standardize=task.standardize))


def _random(task: Task, gamma: float = 0.1) -> PerModality:
    """Return random Fourier features; samples lie at a mean squared distance of 2."""
    n_features = N_RANDOM_FEATURES // len(task.X.names)
    features = RBFSampler(gamma=gamma, n_components=n_features)
    return PerModality(make_pipeline(BlockScaler(standardize=task.standardize), features))


def _cca(task: Task) -> Pipeline:
    # The scaler has decided about the columns' units: pixels keep their proportions.
    n_components = task.n_components
    if task.kind == "transfer":  # where their number is no part of the question
        widths = [value.shape[1] for value in task.X.values() if value.ndim == 2]
        n_components = min([n_components, *widths])
    return make_pipeline(_scaled(task), CCA(n_components, scale=False))


def _group_factors(task: Task) -> GroupFactorAnalysis:
    return GroupFactorAnalysis("auto" if task.kind == "transfer" else task.n_components)


def _random_cca(task: Task) -> Pipeline:
    return Pipeline([("features", _random(task)), ("cca", CCA(task.n_components, scale=False))])


def _pls(task: Task) -> Pipeline:
    return make_pipeline(_scaled(task), PLS(task.n_components))


def _deep_cca(task: Task) -> DeepCCA:
    return DeepCCA(
        task.n_components,
        objective="gcca" if len(task.X.names) > 2 or has_gaps(task.X) else "cca",
        hidden_layer_sizes=(256, 256, 256),
        max_epochs=20,
    )


def _autoencoder(task: Task) -> MultimodalAutoencoder:
    return MultimodalAutoencoder(
        task.n_components, hidden_layer_sizes=(128,), alignment_weight=1.0, max_epochs=40
    )


def _vae(task: Task) -> MultimodalVAE:
    return MultimodalVAE(task.n_components, hidden_layer_sizes=(128,), max_epochs=40)


def _filled(task: Task) -> list[Any]:
    """Return the first step of a method that takes complete rows only."""
    return [GapFiller("mean")] if has_gaps(task.X) else []


def _concat(task: Task, features: PerModality | None = None) -> list[Any]:
    """Return the steps to one complete matrix."""
    return [*_filled(task), features or _scaled(task), ConcatModalities()]


def _pca(task: Task) -> Pipeline:
    return make_pipeline(*_concat(task), PCA(task.n_components))


def _factor_analysis(task: Task) -> Pipeline:
    return make_pipeline(*_concat(task), FactorAnalysis(task.n_components))


def _raw(task: Task) -> Pipeline:
    return make_pipeline(*_concat(task))


def _random_pca(task: Task) -> Pipeline:
    return make_pipeline(*_concat(task, _random(task)), PCA(task.n_components))


def _random_ridge(task: Task) -> Pipeline:
    n_features = N_RANDOM_FEATURES // (len(task.X.names) - 1)
    features = make_pipeline(
        BlockScaler(standardize=task.standardize), RBFSampler(gamma=0.5, n_components=n_features)
    )
    alphas = [10.0**k for k in range(-4, 4)]
    return make_pipeline(*_concat(task, PerModality(features)), RidgeCV(alphas))


def _complete(estimator: Any, task: Task) -> Any:
    """Return an estimator that gets complete rows, by a step before it where there are gaps."""
    return make_pipeline(*_filled(task), clone(estimator)) if has_gaps(task.X) else clone(estimator)


def _completed(task: Task) -> list[Any]:
    """Return the steps to one matrix that is completed by a normal model, with indicators."""
    fill = [GaussianImputer(add_indicator=True)] if has_gaps(task.X) else []
    return [*fill, _scaled(task), ConcatModalities()]


def _kernel_ridge(task: Task) -> Pipeline:
    return make_pipeline(*_completed(task), RBFRidge())


def _completed_logistic(task: Task) -> Pipeline:
    return make_pipeline(*_completed(task), LogisticRegression(max_iter=2000))


def _logistic(task: Task) -> Pipeline:
    return make_pipeline(*_concat(task), LogisticRegression(max_iter=2000))


def _random_logistic(task: Task) -> Pipeline:
    steps = [*_concat(task, _random(task, 0.5)), StandardScaler()]
    return make_pipeline(*steps, LogisticRegression(max_iter=2000))


def _classifier(task: Task) -> MultimodalClassifier:
    return MultimodalClassifier(max_epochs=60)


def _oracle(task: Task) -> OracleSampler:
    return OracleSampler(task.oracle, target=task.target)


_SHRINKAGE = [0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 0.9]
_PENALTIES = {"logisticregression__C": [0.1, 1.0, 10.0, 100.0, 1000.0]}
_CCA = Method(
    _cca,
    {"cca__shrinkage": _SHRINKAGE},
    "linear",
    "linear CCA, shrinkage tuned in 3 inner folds",
)
_GROUP_FACTORS = Method(
    _group_factors,
    role="linear",
    summary="GroupFactorAnalysis: linear factors, shared by modalities or private to one",
)
_RFF_CCA = Method(
    _random_cca,
    {"features__transformers__rbfsampler__gamma": [0.1, 0.5], "cca__shrinkage": [0.1, 0.3, 0.9]},
    "nonlinear",
    f"{N_RANDOM_FEATURES} random Fourier features of a Gaussian kernel, shared out among the "
    "modalities, then CCA; kernel width and shrinkage tuned in 3 inner folds",
)
_DEEP_CODES = {
    "Autoencoder": Method(
        _autoencoder,
        role="deep",
        summary="MultimodalAutoencoder with one hidden layer of 128, 40 epochs, aligned codes",
    ),
    "VAE": Method(
        _vae,
        role="deep",
        summary="MultimodalVAE (product of experts) with one hidden layer of 128, 40 epochs",
    ),
}
_DEEP_CCA = Method(
    _deep_cca,
    role="deep",
    summary="networks of three hidden layers of 256, 20 epochs; linear CCA where these are not "
    "surely better on a tenth of the training rows",
)
_USUAL: dict[str, dict[str, Method]] = {
    "align": {
        "CCA": _CCA,
        "PLS": Method(_pls, None, "linear", "partial least squares (PLSCanonical), two modalities"),
        "RFF + CCA": _RFF_CCA,
        "DeepCCA": _DEEP_CCA,
        **_DEEP_CODES,
    },
    "fuse": {
        "CCA": _CCA,
        "PCA": Method(_pca, None, "linear", "principal components of all columns side by side"),
        "Factor analysis": Method(
            _factor_analysis, None, "linear", "factor analysis of all columns side by side"
        ),
        "Group factor analysis": _GROUP_FACTORS,
        "Raw data": Method(_raw, None, "floor", "all columns side by side, nothing learned"),
        "RFF + PCA": Method(
            _random_pca,
            None,
            "nonlinear",
            f"{N_RANDOM_FEATURES} random Fourier features, then principal components",
        ),
        **_DEEP_CODES,
    },
    "transfer": {
        "Ridge": Method(
            partial(_complete, RidgeSampler()),
            None,
            "linear",
            "ridge regression with Gaussian residuals; its penalty tuned by cross-validation",
        ),
        "CCA": Method(
            _cca,
            {"cca__shrinkage": _SHRINKAGE},
            "linear",
            "the Gaussian model of linear CCA, shrinkage tuned in 3 inner folds",
        ),
        "Gaussian": Method(
            GaussianModel(),
            None,
            "linear",
            "normal distribution of all columns by EM, shrinkage by generalised cross-validation",
        ),
        "Group factor analysis": _GROUP_FACTORS,
        "RBF ridge": Method(
            _kernel_ridge,
            None,
            "nonlinear",
            "kernel ridge regression by closed-form leave-one-out; what rows lack is completed by "
            "a normal model of the conditions, and indicated; no draws",
        ),
        "RFF + ridge": Method(
            _random_ridge,
            None,
            "nonlinear",
            f"{N_RANDOM_FEATURES} random Fourier features, then ridge regression; no draws",
        ),
        "Neighbours": Method(
            partial(_complete, NeighborsSampler()),
            None,
            "nonlinear",
            "targets of the nearest training rows",
        ),
        "ConditionalGAN": Method(
            partial(_complete, ConditionalGAN(max_epochs=60)),
            role="deep",
            summary="ConditionalGAN with its default loss, 60 epochs",
        ),
        **_DEEP_CODES,
        "Marginal": Method(
            partial(_complete, MarginalSampler()),
            None,
            "floor",
            "training targets whatever the condition",
        ),
    },
    "classify": {
        "Logistic regression": Method(
            _logistic,
            _PENALTIES,
            "linear",
            "logistic regression on all columns, penalty tuned in 3 inner folds",
        ),
        "Completed + logistic regression": Method(
            _completed_logistic,
            _PENALTIES,
            "linear",
            "logistic regression on columns that a normal model completes, and indicators",
        ),
        "RFF + logistic regression": Method(
            _random_logistic,
            {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]},
            "nonlinear",
            f"{N_RANDOM_FEATURES} random Fourier features, then logistic regression, penalty "
            "tuned in 3 inner folds",
        ),
        "MultimodalClassifier": Method(
            _classifier, role="deep", summary="MultimodalClassifier with default layers, 60 epochs"
        ),
        "Largest class": Method(
            DummyClassifier(strategy="prior"), None, "floor", "the frequencies of training"
        ),
    },
}
