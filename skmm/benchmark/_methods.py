"""The methods of the quick suite: linear ones, a cheap nonlinear one, a deep one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.kernel_approximation import RBFSampler
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline

from skmm._cca import CCA
from skmm._deep_cca import DeepCCA
from skmm._multimodal_autoencoder import MultimodalAutoencoder
from skmm._multimodal_vae import MultimodalVAE
from skmm.benchmark._adapters import PLS, BlockScaler
from skmm.benchmark._tasks import Task
from skmm.compose import ConcatModalities, PerModality

N_RANDOM_FEATURES = 1000  # over all modalities
BASELINE = "CCA"


@dataclass(frozen=True)
class Method:
    """A method of a suite: makes an estimator for a task."""

    name: str
    summary: str
    make: Callable[[Task], Any]


def _cca(task: Task) -> GridSearchCV:
    search = {"cca__shrinkage": [0.0, 0.01, 0.03, 0.1, 0.3]}
    # The scaler has decided about the columns' units: pixels keep their proportions.
    pipeline = make_pipeline(_scaled(task), CCA(task.n_components, scale=False))
    return GridSearchCV(pipeline, search, cv=KFold(3, shuffle=True, random_state=0))


def _random_features(task: Task) -> GridSearchCV:
    n_features = N_RANDOM_FEATURES // len(task.X.names)
    features = make_pipeline(
        BlockScaler(standardize=task.standardize), RBFSampler(n_components=n_features)
    )
    pipeline = Pipeline(
        [("features", PerModality(features)), ("cca", CCA(task.n_components, scale=False))]
    )
    # Samples lie at a mean squared distance of 2, so that these are widths of the order of it.
    search = {
        "features__transformers__rbfsampler__gamma": [0.1, 0.5],
        "cca__shrinkage": [0.1, 0.3],
    }
    return GridSearchCV(pipeline, search, cv=ShuffleSplit(1, test_size=0.25, random_state=0))


def _deep_cca(task: Task) -> DeepCCA:
    return DeepCCA(
        task.n_components,
        objective="cca" if len(task.X.names) == 2 else "gcca",
        hidden_layer_sizes=(256, 256, 256),
        max_epochs=20,
        random_state=0,
    )


def _autoencoder(task: Task) -> MultimodalAutoencoder:
    return MultimodalAutoencoder(
        task.n_components,
        hidden_layer_sizes=(128,),
        alignment_weight=1.0,
        max_epochs=40,
        random_state=0,
    )


def _vae(task: Task) -> MultimodalVAE:
    return MultimodalVAE(
        task.n_components, hidden_layer_sizes=(128,), max_epochs=40, random_state=0
    )


def _pls(task: Task) -> Pipeline:
    return make_pipeline(_scaled(task), PLS(task.n_components))


def _pca(task: Task) -> Pipeline:
    return make_pipeline(_scaled(task), ConcatModalities(), PCA(task.n_components))


def _factor_analysis(task: Task) -> Pipeline:
    factors = FactorAnalysis(task.n_components, random_state=0)
    return make_pipeline(_scaled(task), ConcatModalities(), factors)


def _raw(task: Task) -> Pipeline:
    return make_pipeline(_scaled(task), ConcatModalities())


def _scaled(task: Task) -> PerModality:
    return PerModality(BlockScaler(standardize=task.standardize))


METHODS = (
    Method(BASELINE, "linear CCA, shrinkage tuned in 3 inner folds", _cca),
    Method(
        "RFF + CCA",
        f"{N_RANDOM_FEATURES} random Fourier features of a Gaussian kernel, shared out among the "
        "modalities, then CCA; kernel width and shrinkage tuned in one inner split",
        _random_features,
    ),
    Method(
        "DeepCCA",
        "networks of three hidden layers of 256, 20 epochs; linear CCA where these are not surely "
        "better on a tenth of the training rows",
        _deep_cca,
    ),
    Method(
        "Autoencoder",
        "MultimodalAutoencoder with one hidden layer of 128, 40 epochs, aligned codes",
        _autoencoder,
    ),
    Method(
        "VAE",
        "MultimodalVAE (product of experts) with one hidden layer of 128, 40 epochs",
        _vae,
    ),
    Method("PLS", "partial least squares (scikit-learn's PLSCanonical), two modalities", _pls),
    Method("PCA", "principal components of all columns side by side", _pca),
    Method("Factor analysis", "factor analysis of all columns side by side", _factor_analysis),
    Method("Raw data", "all columns side by side, nothing learned", _raw),
)
