"""MultimodalAutoencoder: the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, StrOptions

from skmm._deep._decoding import decode_draws
from skmm._deep._density import draw, fit_density, some_rows
from skmm._deep._estimator import DEEP_CONSTRAINTS, FitData
from skmm._deep._latent import LatentEstimator, weights_of
from skmm._deep._networks import fusion_network, modality_networks
from skmm._deep._split import Split
from skmm._interfaces._generative import Parts
from skmm._modalities import Modalities
from skmm._modalities._stream import check_held
from skmm._nets import build
from skmm._parameters import POSITIVE, Numbers
from skmm._random import Seed
from skmm.nn._autoencoder import AutoencoderNetwork, ReconstructionObjective

Array = np.ndarray


class MultimodalAutoencoder(LatentEstimator):
    """Autoencoder of several modalities with a joint code; any may be missing in a row.

    Each modality has an encoder; a fusion network combines their outputs into one code, from which
    each modality is decoded. In training modalities are hidden at random, so that the code of a
    row predicts the modalities that it lacks. Inputs are standardised inside.

    Parameters
    ----------
    n_components : int, default=10
        Size of the joint code.

    fusion : {"concat", "mean", "attention"}, default="concat"
        How the encoders' outputs are combined: a hidden layer on all of them side by side, their
        mean, or attention over the modalities that a row has.

    likelihoods : "auto" or dict of str to str, default="auto"
        Of the reconstructions: "gaussian", "laplace" (of standardised columns, learned scale),
        "bernoulli", "poisson"; "categorical" for labels and tokens. "auto", also for modalities
        that are not named, follows the kind: gaussian for numbers and images, bernoulli for binary
        data, poisson for counts.

    modality_weights : dict of str to float or None, default=None
        Weight of each modality's reconstruction, a mean over its columns; 1 if not named.

    modality_dropout : float, default=0.3
        Probability with which a modality is hidden from the fusion in training; at least one stays
        in each row.

    noise : float, default=0.0
        Standard deviation of normal noise on the standardised inputs in training; tokens have none.

    alignment_weight : float, default=0.0
        Weight of the disagreement of the codes from each modality alone: one minus their
        correlation when their common covariance is whitened. Above 0, codes of one modality can
        take the place of another's.

    latent_density : estimator, default=None
        Density of the codes that `sample` draws from, any with `fit` and `sample`. None is a
        Gaussian mixture. It is fitted to 100 000 random rows at most.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    encoders : "auto" or dict of str to spec or callable, default="auto"
        Networks of modalities: :class:`skmm.nn.MLP`, :class:`skmm.nn.Conv`,
        :class:`skmm.nn.Tokens`, or a function of ``(input_shape, n_outputs)`` that returns a
        module. Modalities that are not named, and all with "auto", follow their kind: images get
        `Conv`, tokens `Tokens`, all others an `MLP` of `hidden_layer_sizes`. Labels come as
        indicators of their classes.

    decoders : "auto" or dict of str to spec or callable, default="auto"
        From codes to modalities: a spec, or a function of ``(n_inputs, output_shape)``. "auto",
        also for modalities that are not named, is the mirror image of the encoder's spec, for
        labels and tokens an `MLP`.

    hidden_layer_sizes : sequence of int, default=(256,)
        Of the networks that `encoders` leaves open. Empty makes them linear.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus" or "identity", in the
        networks that `encoders` and `decoders` leave open.

    normalization : {"batch", "layer"} or None, default="layer"
        Of hidden layers, in the same networks.

    dropout : float, default=0.0
        Share of hidden units that is left out in training, in the same networks.

    optimizer : {"adam", "adamw", "sgd"} or class, default="adamw"
        A class is one of `torch.optim`'s kind.

    lr : float, default=2e-3
        Learning rate.

    lr_schedule : {"onecycle", "cosine", "constant"} or callable, default="onecycle"
        How the learning rate changes with each batch. A callable takes the share of `max_epochs`
        that is done, from 0 to 1, and returns a factor.

    weight_decay : float, default=1e-2
        Of the optimizer.

    batch_size : int or "auto", default="auto"
        Rows per step; a short last batch is left out. "auto" is a twentieth of the training rows,
        at least 32 and at most 512.

    max_epochs : int, default=40
        Passes through the training rows at most.

    early_stopping : bool, default=True
        Whether rows are held out to choose the epoch. False trains on all rows for `max_epochs`.

    cv : "auto", int, splitter, iterable or None, default="auto"
        How rows are held out, with `early_stopping`. A number of folds, a splitter of scikit-learn
        or pairs of row numbers train a network for each split, in step. None holds out
        `validation_fraction` of the rows once. "auto" is folds, stratified by labels if there are
        any, for up to 3000 rows: 5 for predictors and samplers, whose networks stay together, 3 for
        codes, where one network is then trained on all rows for as many epochs as were best. For
        more rows, data that are read in blocks and several processes it is None.

    validation_fraction : float, default=0.1
        Share of the rows that is held out.

    n_iter_no_change : int, default=20
        Epochs without a better validation score after which training stops.

    checkpoint_dir : str, Path or None, default=None
        Folder where the state is saved after each epoch, in a file of its own for each combination
        of parameters and data. With ``warm_start=True`` a fit that was killed goes on from there,
        to the same result (given an integer `random_state`).

    device : str or torch.device, default="auto"
        Where training and prediction run. "auto" is CUDA if torch sees a device, else the CPU.
        "accelerate" trains in the processes that `torchrun` or `accelerate launch` started, each
        on its device and with its share of the rows of every batch; all call `fit` alike.

    precision : {"float32", "bf16", "float64"}, default="float32"
        Of training; "bf16" runs the networks under autocast. Prediction is in that of its input.

    compile : bool, default=False
        Whether training runs through `torch.compile`.

    callbacks : list of skorch.callbacks.Callback, default=None
        Further callbacks. Most of skorch's work; the others are refused, and the message names the
        setting that replaces them.

    net_params : dict, default=None
        Further settings of the skorch net, which overrule all others: for instance
        ``{"optimizer__betas": (0.9, 0.99), "iterator_train__drop_last": False}``. Those that the
        estimator makes itself, as `train_split`, are refused.

    warm_start : bool, default=False
        Whether `fit` starts from the networks of the last one (or from a checkpoint).

    verbose : int, default=0
        1 shows a progress bar, 2 a line per epoch.

    random_state : int, RandomState instance or None, default=None
        Seeds the validation rows, initial weights, batches, dropout and `sample`.

    Attributes
    ----------
    net_ : skmm._nets.Net
        The skorch net; ``net_.module_`` is the module.

    history_ : DataFrame
        One row per epoch: each term of the objective, ``reconstruction_<modality>`` and
        ``alignment``, on training batches and on all validation rows, learning rate, seconds.
        ``valid_score`` is minus the sum. Epoch 0 is the network before training.

    linear_share_ : dict of str to float
        Share of the linear model, a normal distribution of all columns, in what is predicted of
        each modality: mean over its columns. 0 without rows held out, or where there is no such
        model.

    oof_score_ : float
        R² of each modality predicted from the others, mean over modalities, for rows held out, by
        networks and linear models that have not seen them. NaN without.

    means_ : dict of str to ndarray
        Mean of each modality in training; of labels the frequencies of the classes.

    categories_ : dict of str to ndarray
        Classes of each modality of labels.

    latent_density_ : estimator
        The fitted density.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    MultimodalVAE : The probabilistic model: likelihoods, and draws given the observed modalities.
    DeepCCA : Codes that correlate across modalities.

    Notes
    -----
    Data are standardised in double precision; the inputs of encoders are limited to a standard
    deviation outside the training range of each column, and at most ±10, and so are expectations to
    a standard deviation. Constant columns enter no likelihood and no score, and come out as they
    are.

    `sample` with `given` decodes the joint code of the observed modalities and draws from the
    likelihood; the code itself has no uncertainty.

    With `early_stopping`, `translate` and `impute` blend the network with the expectation by a
    normal distribution of all columns, fitted to all rows (:class:`skmm.compose.GaussianImputer` is
    that distribution). Rows held out choose the network's share in each column. `transform`,
    `inverse_transform` and `score` are the network's alone.

    References
    ----------
    J. Ngiam et al., "Multimodal deep learning", ICML (2011).

    S. Chandar, M. M. Khapra, H. Larochelle and B. Ravindran, "Correlational neural networks",
    Neural Computation 28 (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities, MultimodalAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 500)
    >>> a = np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.standard_normal((500, 2))
    >>> b = np.c_[np.cos(2 * angle), np.sin(2 * angle)] + 0.1 * rng.standard_normal((500, 2))
    >>> X = Modalities({"a": a, "b": b})
    >>> model = MultimodalAutoencoder(2, hidden_layer_sizes=(64,), random_state=0).fit(X[:400])
    >>> model.transform(X[400:]).shape
    (100, 2)
    >>> model.translate(X[400:].select("a"), to="b").shape
    (100, 2)
    >>> model.score(X[400:]) > 0.8
    True
    """

    _encoder = staticmethod(AutoencoderNetwork.encode)

    _is_ensemble = False
    _n_folds = 3  # before the network of all rows
    _parameter_constraints: dict[str, list[Any]] = {
        **DEEP_CONSTRAINTS,
        "n_components": [POSITIVE],
        "fusion": [StrOptions({"concat", "mean", "attention"})],
        "likelihoods": [StrOptions({"auto"}), dict],
        "modality_weights": [dict, None],
        "modality_dropout": [Numbers(Real, 0, 1, closed="left")],
        "noise": [Numbers(Real, 0, None, closed="left")],
        "alignment_weight": [Numbers(Real, 0, None, closed="left")],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "decoders": [StrOptions({"auto"}), dict],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        fusion: str = "concat",
        likelihoods: str | Mapping[str, str] = "auto",
        modality_weights: Mapping[str, float] | None = None,
        modality_dropout: float = 0.3,
        noise: float = 0.0,
        alignment_weight: float = 0.0,
        latent_density: Any = None,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        encoders: str | Mapping[str, Any] = "auto",
        decoders: str | Mapping[str, Any] = "auto",
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: str = "relu",
        normalization: str | None = "layer",
        dropout: float = 0.0,
        optimizer: str | Callable[..., Any] = "adamw",
        lr: float = 2e-3,
        lr_schedule: str | Callable[[float], float] = "onecycle",
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        max_epochs: int = 40,
        early_stopping: bool = True,
        cv: Any = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        checkpoint_dir: str | Path | None = None,
        device: str | torch.device = "auto",
        precision: str = "float32",
        compile: bool = False,
        callbacks: Sequence[Any] | None = None,
        net_params: Mapping[str, Any] | None = None,
        warm_start: bool = False,
        verbose: int | bool = 0,
        random_state: Seed = None,
    ) -> None:
        self.n_components = n_components
        self.fusion = fusion
        self.likelihoods = likelihoods
        self.modality_weights = modality_weights
        self.modality_dropout = modality_dropout
        self.noise = noise
        self.alignment_weight = alignment_weight
        self.latent_density = latent_density
        self.modalities = modalities
        self.encoders = encoders
        self.decoders = decoders
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.cv = cv
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.checkpoint_dir = checkpoint_dir
        self.device = device
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.net_params = net_params
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def score(self, X: Any, y: Any = None) -> float:
        """Return R² of the reconstructions of observed modalities, averaged over modalities.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored.

        Returns
        -------
        score : float
            At most 1; 0 is no better than the means of the training rows. Columns count by their
            variance, those that were constant in training not at all; of labels it is the R² of
            the indicators of the classes.
        """
        X = check_held(self._check(X))
        expected = self._decode(self._codes(X), X.names)
        return float(np.mean(list(self._skill(X, expected).values())))

    def _build(
        self, data: FitData, seed: int
    ) -> tuple[AutoencoderNetwork, ReconstructionObjective]:
        (spec, modalities), k = self._described(data.X), self.n_components
        n_features = k if self.fusion == "mean" else spec.last_size(k)
        hidden = [n_features] if spec.mlp.hidden_layer_sizes else []
        M = len(modalities)
        fusion = partial(fusion_network, spec, self.fusion, n_features, M, k, hidden)
        module = AutoencoderNetwork(
            fusion=build(fusion, seed + 2 * M),
            modality_dropout=self.modality_dropout,
            noise=self.noise,
            aligned=self.alignment_weight > 0 and M > 1,
            **modality_networks(spec, modalities, seed, n_features=n_features, n_codes=k),
        )
        weights = weights_of(data.X, self.modality_weights)
        names = self.modality_names_in_
        return module, ReconstructionObjective(names, weights, self.alignment_weight)

    def _finish(self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState) -> None:
        super()._finish(data, splits, rng)
        codes = self._codes(data.X, some_rows(len(data.X), rng))
        self.latent_density_ = fit_density(self.latent_density, codes, rng)

    def _expect_by(self, member: int, X: Modalities, names: Sequence[str]) -> Parts:
        return self._decode(self._codes(X, member=member), names, member=member)

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> Parts:
        return self._decode(
            draw(self.latent_density_, n_samples, rng), self.modality_names_in_, rng
        )

    def _draw_given(
        self, X: Modalities, names: Sequence[str], n_samples: int, rng: np.random.RandomState
    ) -> list[Parts]:
        codes = dict.fromkeys(names, self._codes(X))
        return decode_draws(self.net_.module_, [codes] * n_samples, self._columns, rng)
