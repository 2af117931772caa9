"""MultimodalVAE: the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, StrOptions

from skmm._deep._decoding import decode_draws, plausible
from skmm._deep._density import draw, fit_density, some_rows
from skmm._deep._estimator import DEEP_CONSTRAINTS, FitData, numpy_type
from skmm._deep._latent import LatentEstimator, weights_of
from skmm._deep._split import Split
from skmm._interfaces._generative import Parts
from skmm._linear._blend import share_of_densities
from skmm._modalities import Modalities, missing_mask
from skmm._modalities._chunks import LARGE, rows_within
from skmm._multimodal_vae._diagnostics import (
    contributions,
    judged_rows,
    warn_of_collapse,
)
from skmm._multimodal_vae._factors import Factors, fit_factors, is_normal
from skmm._multimodal_vae._network import POSTERIORS, balance, vae_network
from skmm._nets import plain_torch
from skmm._parameters import POSITIVE, Numbers
from skmm._random import Seed, seed_of
from skmm.nn._members import members_of
from skmm.nn._vae import VAENetwork, VAEObjective

Array = np.ndarray
ACTIVE = (
    0.01  # variance of the posterior mean from which on a component is used (Burda et al. 2016)
)
N_MEAN = 20  # draws from the posterior behind a conditional mean


class MultimodalVAE(LatentEstimator):
    """Variational autoencoder of several modalities; any may be missing in a row.

    A latent vector is standard normal; each modality is a network's function of it, with a
    likelihood. A network per modality, its expert, gives the posterior of the vector given that
    modality alone; the posterior given any subset of modalities combines the experts. Inputs are
    standardised inside.

    Parameters
    ----------
    n_components : int, default=10
        Size of the latent vector.

    posterior : {"poe", "moe", "mopoe", "mvtcae", "joint"}, default="poe"
        How the experts are combined; the prior is always one of them, so that a row without
        anything has the prior.

        - "poe": their product (Wu and Goodman 2018), with a tenth of the mean divergence from
          the posteriors of single modalities and a random subset (after Suzuki et al. 2016), and,
          where modalities weigh differently, a fifth of the bound in which that subset
          reconstructs all that the row has;
        - "moe": the mixture of the posteriors of single modalities (Shi et al. 2019);
        - "mopoe": the mixture of the products of all subsets (Sutter et al. 2021);
        - "mvtcae": the product, with divergences from the posteriors of single modalities (Hwang
          et al. 2021);
        - "joint": an encoder of its own for complete rows, to which the product of experts, which
          serves all other rows, is fitted (after Suzuki et al. 2016).

    likelihoods : "auto" or dict of str to str, default="auto"
        "gaussian", "laplace" (of standardised columns, learned scale), "bernoulli", "poisson";
        "categorical" for labels and tokens. "auto", also for modalities that are not named, follows
        the kind: gaussian for numbers and images, bernoulli for binary data, poisson for counts.

    beta : float, default=1.0
        Weight in training of the divergence from the prior, and of those that "poe" and "mvtcae"
        add.

    kl_warmup : float, default=0.1
        Share of the training in which that weight rises from 0.

    free_bits : float, default=0.0
        Nats of each component's divergence that cost nothing in training.

    modality_weights : "auto", dict of str to float or None, default="auto"
        Weight of each modality's log-likelihood in training. "auto" is the largest number of values
        in a sample of any modality over that of this one, so that a label is not lost beside an
        image; None is 1.

    n_importance_samples : int, default=100
        Draws from the posterior behind `score_samples`; rounded up to a multiple of the number of
        parts of a mixture.

    latent_density : estimator, default=None
        Density of the codes that `sample` draws from, any with `fit` and `sample`. None is the
        prior. It is fitted to 100 000 random rows at most.

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

    hidden_layer_sizes : sequence of int, default=(256, 256)
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

    lr : float, default=1e-3
        Learning rate.

    lr_schedule : {"onecycle", "cosine", "constant"} or callable, default="onecycle"
        How the learning rate changes with each batch. A callable takes the share of `max_epochs`
        that is done, from 0 to 1, and returns a factor.

    weight_decay : float, default=1e-2
        Of the optimizer.

    batch_size : int or "auto", default="auto"
        Rows per step; a short last batch is left out. "auto" is a twentieth of the training rows,
        at least 32 and at most 512.

    max_epochs : int, default=100
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
        One row per epoch: the terms of the negative bound, ``reconstruction_<modality>``,
        ``divergence``, and ``experts`` (the KL divergence from the joint encoder to the experts),
        on training batches and on all validation rows, learning rate, seconds. ``valid_score`` is
        minus the sum. Epoch 0 is the network before training.

    modality_contribution_ : DataFrame of shape (n_modalities + 1, n_components)
        Share of each expert, and of the prior, in the precision of the product, averaged over
        training rows, of which 100 000 at random are enough here and below.

    active_units_ : ndarray of bool of shape (n_components,)
        Whether the posterior mean of a component varies over training rows (by more than 0.01).

    excluded_columns_ : dict of str to ndarray
        Constant columns of numbers, which enter no likelihood.

    linear_share_ : dict of str to float
        Share of the linear model, a normal distribution of all columns, in what is predicted of
        each modality: mean over its columns. 0 without rows held out, or where there is no such
        model.

    oof_score_ : float
        R² of each modality predicted from the others, mean over modalities, for rows held out, by
        networks and linear models that have not seen them. NaN without.

    linear_density_share_ : float
        Share of :class:`GroupFactorAnalysis` in the density of `score_samples` and `sample`; of
        numbers with gaussian likelihoods alone.

    means_ : dict of str to ndarray
        Mean of each modality in training; of labels the frequencies of the classes.

    categories_ : dict of str to ndarray
        Classes of each modality of labels.

    latent_density_ : estimator or None
        The fitted density.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    MultimodalAutoencoder : Without probabilities, and simpler to train.

    Notes
    -----
    Data are standardised in double precision; the inputs of encoders, not of likelihoods, are
    limited to a standard deviation outside the training range of each column, and at most ±10, and
    so are expectations to a standard deviation. `fit` warns with `ConvergenceWarning` if no
    component is active, or if a modality is not reconstructed better than by its mean.

    With `early_stopping`, `translate` and `impute` blend the network with the expectation by a
    normal distribution of all columns, fitted to all rows (:class:`skmm.compose.GaussianImputer` is
    that distribution). Rows held out choose the network's share in each column. `transform` and
    `inverse_transform` are the network's alone. The density is a mixture of the network's and that
    of :class:`GroupFactorAnalysis`; rows that the first split holds out choose the shares.

    References
    ----------
    M. Wu and N. Goodman, "Multimodal generative models for scalable weakly-supervised learning",
    NeurIPS (2018).

    Y. Shi, N. Siddharth, B. Paige and P. Torr, "Variational mixture-of-experts autoencoders for
    multi-modal deep generative models", NeurIPS (2019).

    T. Sutter, I. Daunhawer and J. Vogt, "Generalized multimodal ELBO", ICLR (2021).

    H. Hwang, G.-H. Kim, S. Hong and K.-E. Kim, "Multi-view representation learning via total
    correlation objective", NeurIPS (2021).

    M. Suzuki, K. Nakayama and Y. Matsuo, "Joint multimodal learning with deep generative models",
    arXiv:1611.01891 (2016).

    Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders", ICLR (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities, MultimodalVAE
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 500)
    >>> a = np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.standard_normal((500, 2))
    >>> label = np.where(np.sin(angle) > 0, "up", "down")
    >>> X = Modalities({"a": a, "label": label})
    >>> vae = MultimodalVAE(2, hidden_layer_sizes=(64,), random_state=0).fit(X[:400])
    >>> vae.score_samples(X[400:]).shape
    (100,)
    >>> bool(np.mean(vae.translate(X[400:].select("a"), to="label") == label[400:]) > 0.8)
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 2)
    """

    _any_row = True

    _encoder = staticmethod(VAENetwork.codes)

    _is_ensemble = False
    _n_folds = 3  # before the network of all rows
    _parameter_constraints: dict[str, list[Any]] = {
        **DEEP_CONSTRAINTS,
        "n_components": [POSITIVE],
        "posterior": [StrOptions(set(POSTERIORS))],
        "likelihoods": [StrOptions({"auto"}), dict],
        "beta": [Numbers(Real, 0, None, closed="left")],
        "kl_warmup": [Numbers(Real, 0, 1, closed="both")],
        "free_bits": [Numbers(Real, 0, None, closed="left")],
        "modality_weights": [StrOptions({"auto"}), dict, None],
        "n_importance_samples": [POSITIVE],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "decoders": [StrOptions({"auto"}), dict],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        posterior: str = "poe",
        likelihoods: str | Mapping[str, str] = "auto",
        beta: float = 1.0,
        kl_warmup: float = 0.1,
        free_bits: float = 0.0,
        modality_weights: str | Mapping[str, float] | None = "auto",
        n_importance_samples: int = 100,
        latent_density: Any = None,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        encoders: str | Mapping[str, Any] = "auto",
        decoders: str | Mapping[str, Any] = "auto",
        hidden_layer_sizes: Sequence[int] = (256, 256),
        activation: str = "relu",
        normalization: str | None = "layer",
        dropout: float = 0.0,
        optimizer: str | Callable[..., Any] = "adamw",
        lr: float = 1e-3,
        lr_schedule: str | Callable[[float], float] = "onecycle",
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        max_epochs: int = 100,
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
        self.posterior = posterior
        self.likelihoods = likelihoods
        self.beta = beta
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.modality_weights = modality_weights
        self.n_importance_samples = n_importance_samples
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
        """Return the mean of `score_samples`: higher is better, in nats per row.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored.

        Returns
        -------
        score : float
            Compare only estimators with the same likelihoods, on the same data.
        """
        return float(np.mean(self.score_samples(X)))

    @plain_torch()
    def score_samples(self, X: Any) -> Array:
        """Return a lower bound of the log-likelihood of the modalities that each row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats and in the units of `X`: no weight and no internal scaling enters it. 0 for a
            row without anything. Exact for `n_importance_samples` without end.
        """
        X = self._check(X, allow_empty_rows=True)
        factors = self._factors
        if factors is None:
            return self._log_evidence(X)
        network = self._log_evidence(X) if factors.share else np.zeros(len(X))
        return factors.mixed(X, network).astype(numpy_type(X), copy=False)

    def _log_evidence(self, X: Modalities, *, member: int = 0) -> Array:
        """Return the lower bound of the log-likelihood (n,) by one of the networks."""
        network = members_of(self.net_.module_)[member]
        n_parts = len(network.subsets) if self.posterior in ("moe", "mopoe") else 1
        noise = self._noise(-(-self.n_importance_samples // n_parts))
        width = max(*(value[:1].size for value in X.values()), *self.hidden_layer_sizes, 1)
        return self._apply(
            _log_evidence,
            X,
            member=member,
            n_rows=rows_within(LARGE, width * n_parts * len(noise)),
            noise=noise,
        )

    def _build(self, data: FitData, seed: int) -> tuple[VAENetwork, VAEObjective]:
        weights = weights_of(data.X, self.modality_weights, balance(data.X))
        module = vae_network(
            *self._described(data.X),
            seed,
            n_components=self.n_components,
            posterior=self.posterior,
            predicts=min(weights) < max(weights),
        )
        objective = VAEObjective(
            self.modality_names_in_,
            weights,
            beta=self.beta,
            kl_warmup=self.kl_warmup,
            free_bits=self.free_bits,
        )
        return module, objective

    def _blend(
        self, data: FitData, splits: Sequence[Split], linear: Any, rng: np.random.RandomState
    ) -> None:
        self._noise_seed = seed_of(rng)
        super()._blend(data, splits, linear, rng)
        self._factors = self._fit_factors(data.X, splits[0], seed_of(rng))
        self.linear_density_share_ = 0.0 if self._factors is None else 1.0 - self._factors.share

    def _fit_factors(self, X: Modalities, split: Split, seed: int) -> Factors | None:
        """Fit factor analysis, and choose its share in the density on the first rows held out."""
        likelihoods = {one.name: str(one.likelihood) for one in self._described(X)[1]}
        if split.valid is None or not is_normal(X, likelihoods):
            return None
        held_out = X[split.valid[~missing_mask(X)[split.valid].all(axis=1)]]
        linear = Factors(fit_factors(X, split, seed), 0.0).log_density(held_out)
        share = share_of_densities(linear, self._log_evidence(held_out))
        return Factors(fit_factors(X, None, seed), share)

    def _finish(self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState) -> None:
        super()._finish(data, splits, rng)
        X = data.X
        constant = {
            name: np.flatnonzero(~known.varies)
            for name, known in self._columns.items()
            if self._schema.kinds[name] != "tokens"
        }
        self.excluded_columns_ = {name: found for name, found in constant.items() if found.size}
        self.latent_density_ = None
        rows = some_rows(len(X), rng)
        codes = self._codes(X, rows)
        if self.latent_density is not None:
            self.latent_density_ = fit_density(self.latent_density, codes, rng)
        self.active_units_ = codes.var(axis=0) > ACTIVE
        self.modality_contribution_ = contributions(self._apply(_shares, X, rows), X.names)
        few = judged_rows(X, len(codes))
        X, codes = X[np.arange(len(X))[rows][few]], codes[few]
        warn_of_collapse(self.active_units_, self._skill(X, self._decode(codes, X.names)))

    def _noise(self, n_draws: int) -> Array:
        """Return the draws behind all expectations, always the same ones: pairs of z and -z."""
        rng = np.random.default_rng(self._noise_seed)
        half = rng.standard_normal((-(-n_draws // 2), self.n_components))
        return np.concatenate([half, -half])[:n_draws]

    def _expect_by(self, member: int, X: Modalities, names: Sequence[str]) -> Parts:
        noise, index = self._noise(N_MEAN), self.modality_names_in_.index
        width = max(64, *self.hidden_layer_sizes) if len(self.hidden_layer_sizes) else 64
        n_rows = rows_within(LARGE, width * N_MEAN)
        found = {}
        for name in names:
            mean = self._apply(_mean, X, member=member, n_rows=n_rows, m=index(name), noise=noise)
            found[name] = plausible(mean, self._columns.get(name), numpy_type(X))
        return found

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> Parts:
        draws = self._draw_deep(n_samples, rng)
        if self._factors is None or self.latent_density_ is not None:
            return draws
        linear = rng.uniform(size=n_samples) >= self._factors.share
        return _exchanged(draws, linear, self._factors.draw(n_samples, rng))

    def _draw_deep(self, n_samples: int, rng: np.random.RandomState) -> Parts:
        if self.latent_density_ is None:
            Z = rng.standard_normal((n_samples, self.n_components))
        else:
            Z = draw(self.latent_density_, n_samples, rng)
        return self._decode(Z, self.modality_names_in_, rng)

    def _draw_given(
        self, X: Modalities, names: Sequence[str], n_samples: int, rng: np.random.RandomState
    ) -> list[Parts]:
        parts = self._apply(_posterior, X)  # (n, C, 2 k + 1)
        k = self.n_components
        means, scales = parts[..., :k], np.exp(0.5 * parts[..., k : 2 * k])
        weights = np.exp(parts[..., -1]).cumsum(axis=1)
        draws = []
        for _ in range(n_samples):
            chosen = (rng.uniform(size=(len(parts), 1)) > weights / weights[:, -1:]).sum(axis=1)
            rows = np.arange(len(parts)), chosen
            Z = means[rows] + scales[rows] * rng.standard_normal((len(parts), k))
            draws.append(dict.fromkeys(names, Z.astype(parts.dtype)))
        found = decode_draws(self.net_.module_, draws, self._columns, rng)
        if self._factors is None:
            return found
        # A row's draws come from the part of the mixture that what is known of it comes from.
        share = self._factors.responsibility(X, self._log_evidence(X))
        return [
            _exchanged(one, rng.uniform(size=len(X)) >= share, self._factors.draw_given(X, rng))
            for one in found
        ]


def _exchanged(draws: Parts, rows: Array, others: Mapping[str, Array]) -> Parts:
    """Return draws of which some rows are others."""
    return {
        name: np.where(rows[:, None], others[name].reshape(part.shape), part).astype(part.dtype)
        for name, part in draws.items()
    }


def _log_evidence(
    network: VAENetwork, noise: Array, inputs: Any, observed: Any = None
) -> torch.Tensor:
    return network.log_evidence(inputs, observed, noise=_like(network, noise))


def _mean(
    network: VAENetwork, m: int, noise: Array, inputs: Any, observed: Any = None
) -> torch.Tensor:
    return network.conditional_mean(inputs, observed, m=m, noise=_like(network, noise))


def _posterior(network: VAENetwork, inputs: Any, observed: Any = None) -> torch.Tensor:
    """Return means, log-variances and log-weights side by side (N, C, 2 k + 1)."""
    posterior = network.posterior(inputs, observed)
    parts = posterior.means, posterior.log_variances, posterior.log_weights[:, :, None]
    return torch.cat(parts, dim=2).transpose(0, 1)


def _shares(network: VAENetwork, inputs: Any, observed: Any = None) -> torch.Tensor:
    return network.precision_shares(inputs, observed).transpose(0, 1)


def _like(network: VAENetwork, noise: Array) -> torch.Tensor:
    weight = next(network.parameters())
    return torch.as_tensor(noise, dtype=weight.dtype, device=weight.device)
