"""DeepCCA: the estimator."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import TransformerMixin, _fit_context, clone
from sklearn.mixture import GaussianMixture
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_array, check_is_fitted

from skmm._base import DEEP_CONSTRAINTS, KINDS, POSITIVE, DeepEstimator
from skmm._cca import CCA
from skmm._deep_cca._linear import (
    MIN_VALIDATION,
    close,
    fit_linear,
    flat,
    is_better,
    is_cheap,
    tuned_linear,
)
from skmm._deep_cca._network import deep_network, linear_network
from skmm._deep_cca._objectives import OBJECTIVES, check_batch_size, check_objective
from skmm._modalities import Modalities, check_modalities
from skmm._nets import (
    Net,
    TensorData,
    apply_in_chunks,
    device_of,
    in_precision,
    private_generator,
)
from skmm._random import check_random_state
from skmm.metrics import total_correlation
from skmm.nn import (
    ACTIVATIONS,
    MLP,
    Alignment,
    AlignmentNetwork,
    AlignmentObjective,
    FeedForward,
)

Array = np.ndarray
Seed = int | np.random.RandomState | None
N_AXES = 10_000  # training rows that the axes of the validation score are fitted on


def _has_decoders(estimator: DeepCCA) -> bool:
    return estimator.reconstruction_weight > 0


class DeepCCA(TransformerMixin, DeepEstimator):
    """Deep canonical correlation analysis: networks whose outputs correlate across modalities.

    Each modality has a network; they are trained together so that their outputs agree. A linear
    CCA closes: `transform` gives codes that are ordered, uncorrelated and of unit variance on the
    training data. Inputs are standardised inside.

    The network has to be better than linear CCA: with `early_stopping`, the validation rows choose
    the epoch, and compare it with linear CCA whose shrinkage they choose too. Unless the gain is
    beyond doubt, the linear solution, fitted on all rows, is kept (`is_linear_`).

    Parameters
    ----------
    n_components : int, default=10
        Number of outputs of each network. Without bound, but correlations of a batch mean little
        unless `batch_size` is several times larger.

    objective : {"cca", "gcca", "ey", "barlow_twins", "vicreg", "infonce"} or callable, default="cca"
        What training maximises.

        - "cca": the sum of the squared canonical correlations of two modalities, see
          :func:`skmm.nn.cca_loss`. Complete rows only;
        - "gcca": the same of generalised CCA for two or more, :func:`skmm.nn.gcca_loss`;
        - "ey": the Eckart-Young objective, unbiased on small batches, :func:`skmm.nn.ey_loss`;
        - "barlow_twins", "vicreg", "infonce": losses of self-supervised learning, averaged over
          pairs of modalities;
        - a function of ``(codes, observed=None)``: the list of outputs (n, k) of each modality,
          and a boolean tensor (n, n_modalities) or None; it returns the loss, or a dict of terms
          whose sum it is. ``functools.partial`` sets the options of the functions of `skmm.nn`.

        All but "cca" accept missing modalities in `fit`: each pair of modalities is compared on
        the rows that have both.

    shared_layer_sizes : sequence of int, default=()
        Hidden layers of a common network on top of the networks of the modalities, which then end
        in their last hidden size.

    reconstruction_weight : float, default=0.0
        Weight of the mean error of reconstruction (minus the log-likelihood per column). Above 0
        each modality gets a decoder from its outputs (DCCAE), which brings `inverse_transform`,
        `translate`, `impute` and `sample`; the epoch is then chosen by the correlation minus the
        weighted errors, and the linear solution is no candidate.

    likelihoods : "auto" or dict of str to str, default="auto"
        Of the reconstructions: "gaussian", "laplace" (of standardised columns, learned scale),
        "bernoulli", "poisson". "auto", also for modalities that are not named, follows the kind:
        gaussian for numbers and images, bernoulli for binary data, poisson for counts.

    latent_density : estimator, default=None
        Density of the fused codes that `sample` draws from, any with `fit` and `sample`. None is a
        Gaussian mixture.

    reg_covar : float, default=1e-4
        Ridge on the covariances of "cca", "gcca" and "ey", relative to the mean variance.

    fusion : {"mean", "posterior", "concat"}, default="mean"
        What `transform` makes of the codes of the modalities, as in :class:`skmm.CCA`.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    encoders : "auto" or dict of str to spec or callable, default="auto"
        Networks of modalities: :class:`skmm.nn.MLP`, :class:`skmm.nn.Conv`,
        :class:`skmm.nn.Tokens`, or a function of ``(input_shape, n_outputs)`` that returns a
        module. Modalities that are not named, and all with "auto", follow their kind: images get
        `Conv`, tokens `Tokens`, all others an `MLP` of `hidden_layer_sizes`.

    hidden_layer_sizes : sequence of int, default=(512, 512, 512)
        Of the networks that `encoders` leaves open. Empty makes them linear.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus" or "identity", in the
        networks that `encoders` leaves open and in the common network.

    normalization : {"batch", "layer"} or None, default="layer"
        Of hidden layers, in the same networks.

    dropout : float, default=0.1
        Share of hidden units that is left out in training, in the same networks.

    optimizer : {"adam", "adamw", "sgd"} or class, default="adamw"
        A class is one of `torch.optim`'s kind.

    lr : float, default=5e-3
        Learning rate.

    lr_schedule : {"onecycle", "cosine", "constant"} or callable, default="onecycle"
        How the learning rate changes with each batch. A callable takes the share of `max_epochs`
        that is done, from 0 to 1, and returns a factor.

    weight_decay : float, default=1e-2
        Of the optimizer.

    batch_size : int or "auto", default="auto"
        Rows per step; a short last batch is left out. "auto" is a fifth of the training rows, at
        most 1000 and at least 200 or ten times `n_components`.

    max_epochs : int, default=30
        Passes through the training rows at most.

    early_stopping : bool, default=True
        Whether rows are held out to choose the epoch and to compare with linear CCA. False trains
        on all rows for `max_epochs` and keeps the network.

    validation_fraction : float, default=0.1
        Share of the rows that is held out. With fewer than 20 such rows nothing can be compared:
        the linear solution is kept, with a warning.

    n_iter_no_change : int, default=10
        Epochs without a better validation score after which training stops.

    checkpoint_dir : str, Path or None, default=None
        Folder where the state is saved after each epoch, in a file of its own for each combination
        of parameters and data. With ``warm_start=True`` a fit that was killed goes on from there,
        to the same result (given an integer `random_state`).

    device : str or torch.device, default="auto"
        Where training and prediction run. "auto" is CUDA if there is a device, else the CPU.

    precision : {"float32", "bf16", "float64"}, default="float32"
        Of training; "bf16" runs the networks under autocast. Covariances and what follows from
        them are always in double precision; prediction is in that of its input.

    compile : bool, default=False
        Whether training runs through `torch.compile`.

    callbacks : list of skorch.callbacks.Callback, default=None
        Further callbacks.

    net_params : dict, default=None
        Further settings of the skorch net, which overrule all others: for instance
        ``{"optimizer__betas": (0.9, 0.99), "iterator_train__drop_last": False}``.

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
        One row per epoch: each term of the objective on training batches and on all validation
        rows, ``valid_score`` (the total correlation along axes fitted on training codes), learning
        rate, seconds. Epoch 0 is the network before training.

    is_linear_ : bool
        Whether the linear solution was kept.

    canonical_correlations_ : ndarray of shape (n_components_,)
        Correlation of the training codes, averaged over pairs of modalities.

    pairwise_correlations_ : ndarray of shape (n_components_, n_modalities, n_modalities)
        Correlation of the training codes of each pair.

    latent_density_ : estimator
        The fitted density, with decoders.

    n_components_ : int
        Number of components: `n_components`, or fewer if the outputs are linearly dependent.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    CCA : The linear method.

    Notes
    -----
    Standardised inputs are clipped at ±10 before the networks. `translate`, `impute` and
    `inverse_transform` decode the expectation of a code, which the decoder's expectation is only
    for codes without spread.

    References
    ----------
    G. Andrew, R. Arora, J. Bilmes and K. Livescu, "Deep canonical correlation analysis", ICML
    (2013).

    W. Wang, R. Arora, K. Livescu and J. Bilmes, "On deep multi-view representation learning", ICML
    (2015).

    A. Benton et al., "Deep generalized canonical correlation analysis", arXiv:1702.02519 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import DeepCCA, Modalities
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 500)
    >>> a = np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.standard_normal((500, 2))
    >>> b = np.c_[np.cos(2 * angle), np.sin(2 * angle)] + 0.1 * rng.standard_normal((500, 2))
    >>> X = Modalities({"a": a, "b": b})
    >>> model = DeepCCA(2, hidden_layer_sizes=(64, 64), random_state=0).fit(X[:400])
    >>> model.transform(X[400:]).shape
    (100, 2)
    >>> model.score(X[400:]) > 1.5  # linear CCA: 0.1
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **DEEP_CONSTRAINTS,
        "n_components": [POSITIVE],
        "objective": [StrOptions(set(OBJECTIVES)), callable],
        "shared_layer_sizes": ["array-like"],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "likelihoods": [StrOptions({"auto"}), dict],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "fusion": [StrOptions({"mean", "posterior", "concat"})],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        objective: str | Callable[..., Any] = "cca",
        shared_layer_sizes: Sequence[int] = (),
        reconstruction_weight: float = 0.0,
        likelihoods: str | Mapping[str, str] = "auto",
        latent_density: Any = None,
        reg_covar: float = 1e-4,
        fusion: str = "mean",
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        encoders: str | Mapping[str, Any] = "auto",
        hidden_layer_sizes: Sequence[int] = (512, 512, 512),
        activation: str = "relu",
        normalization: str | None = "layer",
        dropout: float = 0.1,
        optimizer: str | Callable[..., Any] = "adamw",
        lr: float = 5e-3,
        lr_schedule: str | Callable[[float], float] = "onecycle",
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        max_epochs: int = 30,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
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
        self.objective = objective
        self.shared_layer_sizes = shared_layer_sizes
        self.reconstruction_weight = reconstruction_weight
        self.likelihoods = likelihoods
        self.latent_density = latent_density
        self.reg_covar = reg_covar
        self.fusion = fusion
        self.modalities = modalities
        self.encoders = encoders
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the networks and fit the closing linear CCA.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Two or more modalities in any of the forms of :func:`skmm.check_modalities`, of numbers,
            images or token ids.

        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The second modality if `X` is a 2-D array alone; ignored otherwise.

        Returns
        -------
        self : DeepCCA

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality), parameters contradict the
            data, or the objective becomes NaN; the estimator is then left as it was before.

        KeyboardInterrupt
            After Ctrl-C, when the estimator has been fitted with what it has.
        """
        before = vars(self).copy()
        try:
            interrupted = self._fit(X, y)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        if interrupted:
            raise KeyboardInterrupt
        return self

    def transform(self, X: Any, y: Any = None) -> Array:
        """Encode and fuse.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : None
            Ignored, so that the result can be used to predict.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_) or (n_samples, n_modalities * n_components_)
            The second shape for ``fusion="concat"``.

        Raises
        ------
        ValueError
            If a row has no modality, or for ``fusion="concat"`` not all.
        """
        return self._closing.transform(self._encode(self._check(X)))

    def transform_each(self, X: Any, y: Any = None) -> dict[str, Array]:
        """Encode each modality by itself.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`.

        Returns
        -------
        codes : dict of str to ndarray (n_samples, n_components_)
            For each modality of `X`; NaN where it is missing.
        """
        return self._closing.transform_each(self._encode(self._check(X, y)))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the total correlation on these rows, usually held out.

        For each pair of modalities the codes are expressed in the canonical axes fitted on the
        training codes; Pearson's correlations on these rows are summed over components (a constant
        column counts 0) and averaged over pairs.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Two or more of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`; ignored otherwise.

        Returns
        -------
        score : float
            At most `n_components_`.

        Raises
        ------
        ValueError
            If `X` has fewer than two modalities.
        """
        return self._closing.score(self._encode(self._check(X, y)))

    @available_if(_has_decoders)
    def inverse_transform(self, Z: Any) -> Any:
        """Return the modalities that go with fused codes: regression on them, then decoders.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features_out)
            What `transform` returns.

        Returns
        -------
        X : Modalities, DataFrame or ndarray
            In the form that X had in `fit`. For an array with `y` as the second modality, X alone.
        """
        check_is_fitted(self)
        if isinstance(Z, Modalities | Mapping):
            raise TypeError("inverse_transform takes the array that transform returns, not data.")
        Z = check_array(Z, dtype=[np.float64, np.float32])
        codes = dict(self._closing.inverse_transform(Z).items())
        names = self.modality_names_in_[:1] if self._schema.form == 4 else self.modality_names_in_
        return self._schema.restore(self._decode({name: codes[name] for name in names}))

    @available_if(_has_decoders)
    def translate(self, X: Any, to: str) -> Any:
        """Return modality `to` decoded from its expected code given whichever others a row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            At least one modality of `fit` other than `to`, which is ignored.

        to : str
            Name of the modality to predict.

        Returns
        -------
        predicted : ndarray of shape (n_samples, ...) or DataFrame
            As the modality was in `fit`.

        Raises
        ------
        ValueError
            If `to` is unknown or a row has no other modality.
        """
        check_is_fitted(self)
        if to not in self.modality_names_in_:
            raise ValueError(f"to={to!r} is not a modality of fit: {self.modality_names_in_!r}.")
        X = self._check(X, allow_empty_rows=True)
        others = [name for name in X.names if name != to]
        if not others:
            raise ValueError(f"X has nothing to translate to {to!r} from: {X.names!r}.")
        X = X.select(others)
        if (empty := X._mask.all(axis=1)).any():
            raise ValueError(
                f"In {int(empty.sum())} rows every modality but {to!r} is missing: drop them."
            )
        code = self._closing.translate(self._encode(X), to)
        return self._schema.restore_one(to, self._decode({to: code})[to])

    @available_if(_has_decoders)
    def impute(self, X: Any, y: Any = None) -> Any:
        """Fill in what is missing, decoded from its expected code given what the row has.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : array-like, default=None
            The second modality, if it was in `fit`.

        Returns
        -------
        X : Modalities, DataFrame, ndarray or tuple
            In the form of `X`; what was observed is untouched. A pair (X, y) where `y` was the
            second modality in `fit`.
        """
        checked = self._check(X, y)
        codes = self._closing.impute(self._codes(checked))
        lacking = self._lacking(checked)
        return self._schema.fill(X, y, self._decode({name: codes[name] for name in lacking}))

    @available_if(_has_decoders)
    def sample(self, n_samples: int = 1, *, given: Any = None, random_state: Seed = None) -> Any:
        """Draw codes, from `latent_density_` or given what is there, and data given the codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, or of draws per row of `given`.

        given : Modalities, dict, DataFrame or array-like, default=None
            Rows with missing modalities. Their codes are drawn from the normal distribution given
            the codes of those that are there.

        random_state : int, RandomState instance or None, default=None
            None takes the estimator's.

        Returns
        -------
        X : Modalities, DataFrame, ndarray or tuple; or list of n_samples of them
            `n_samples` rows in the form of `fit` ((X, y) where `y` was the second modality), or,
            with `given`, a list of `n_samples` completions in the form of `given`.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        rng = check_random_state(self.random_state if random_state is None else random_state)
        if given is None:
            Z = _draw(self.latent_density_, int(n_samples), rng)
            codes = dict(self._closing.inverse_transform(Z).items())
            return self._schema.restore(self._decode(codes, rng))
        X = self._check(given)
        draws = self._closing.sample(int(n_samples), given=self._codes(X), random_state=rng)
        lacking = self._lacking(X)
        return [
            self._schema.fill(given, None, self._decode({n: draw[n] for n in lacking}, rng))
            for draw in draws
        ]

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; checked only.

        Returns
        -------
        names : ndarray of str
            ``deepcca0``, ``deepcca1``, ...; with the modality's name before (``image__deepcca0``)
            for ``fusion="concat"``.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        names = [f"{type(self).__name__.lower()}{k}" for k in range(self.n_components_)]
        if self.fusion == "concat":
            names = [f"{name}__{column}" for name in self.modality_names_in_ for column in names]
        return np.asarray(names, dtype=object)

    def _fit(self, X: Any, y: Any) -> bool:
        """Fit; return whether Ctrl-C ended the training."""
        goes_on = self.warm_start and not getattr(self, "is_linear_", True)
        previous = self.net_ if goes_on else None
        X = self._read(X, y, reset=True)
        rng = check_random_state(self.random_state)
        train, valid = self._split(len(X), rng)
        linear = self._linear(X, train, valid)
        self.net_ = self._fit_net(X, train, valid, linear, previous, rng)
        codes = self._encode(X)
        self.is_linear_ = linear is not None and self._prefers(linear, X, codes, train, valid, rng)
        if self.is_linear_:
            linear = fit_linear(flat(X), self.n_components, linear.shrinkage)
            self.net_.module_ = linear_network(X, linear)
            codes = self._encode(X)
        self._close(codes, rng)
        return self.net_.interrupted_

    def _split(self, n_samples: int, rng: np.random.RandomState) -> tuple[Array, Array | None]:
        """Return training rows and validation rows."""
        if not self.early_stopping:
            return np.arange(n_samples), None
        n_valid = max(math.ceil(self.validation_fraction * n_samples), min(4, n_samples // 2))
        if n_samples - n_valid < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves {n_samples - n_valid} of "
                f"n_samples={n_samples} to train on: a minimum of 2 is required."
            )
        order = rng.permutation(n_samples)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])

    def _linear(self, X: Modalities, train: Array, valid: Array | None) -> CCA | None:
        """Return the linear solution that a network has to beat on the validation rows."""
        if valid is None or _has_decoders(self) or not is_cheap(X):
            return None
        return tuned_linear(flat(X), self.n_components, train, valid)

    def _fit_net(
        self,
        X: Modalities,
        train: Array,
        valid: Array | None,
        linear: CCA | None,
        previous: Net | None,
        rng: np.random.RandomState,
    ) -> Net:
        loss = check_objective(self.objective, X, self.reg_covar)
        batch_size = self._batch_size(len(train))
        check_batch_size(self.objective, batch_size, self.n_components)
        seed = int(rng.randint(2**31))
        module = self._network(X, seed)
        if previous is not None:
            _continue_from(previous.module_, module)
        data = self._data(X)
        axes = np.sort(rng.choice(train, min(N_AXES, len(train)), replace=False))
        return self._train(
            module,
            AlignmentObjective(loss, X.names, self.reconstruction_weight),
            data.subset(train),
            None if valid is None else data.subset(valid),
            batch_size=batch_size,
            seed=seed,
            scoring=partial(_score, axes=data.subset(axes)),
        )

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size != "auto":
            return min(self.batch_size, n_samples)
        least = max(200, 10 * self.n_components)
        return min(n_samples, max(least, min(n_samples // 5, 1000)))

    def _network(self, X: Modalities, seed: int) -> AlignmentNetwork:
        k, encoders = self.n_components, self._factories(X)
        common, n_codes = None, k
        if sizes := tuple(self.shared_layer_sizes):
            n_codes = tuple(self.hidden_layer_sizes)[-1] if len(self.hidden_layer_sizes) else k
            common = partial(self._common, n_codes, sizes)
        return deep_network(
            X,
            encoders,
            self._decoders(X, encoders) if _has_decoders(self) else None,
            common,
            n_outputs=n_codes,
            likelihoods=self.likelihoods,
            dtype=self._dtype(),
            seed=seed,
        )

    def _common(self, n_inputs: int, sizes: tuple[int, ...]) -> torch.nn.Module:
        style = {"activation": self.activation, "normalization": self.normalization}
        top = FeedForward(n_inputs, sizes, self.n_components, dropout=self.dropout, **style)
        return torch.nn.Sequential(ACTIVATIONS[self.activation](), top)

    def _decoders(self, X: Modalities, encoders: Mapping[str, Any]) -> dict[str, Any]:
        """Return, per modality, what makes a decoder from the number of its outputs."""
        plain = MLP(
            tuple(self.hidden_layer_sizes),
            activation=self.activation,
            normalization=self.normalization,
            dropout=self.dropout,
        )
        return {
            name: partial(getattr(encoders[name], "decoder", plain.decoder), self.n_components)
            for name in X.names
        }

    def _prefers(
        self,
        linear: CCA,
        X: Modalities,
        codes: dict[str, Array],
        train: Array,
        valid: Array,
        rng: np.random.RandomState,
    ) -> bool:
        """Return whether the linear solution is kept: the network is not surely better."""
        if len(valid) < MIN_VALIDATION:
            warnings.warn(
                f"{len(valid)} validation rows are too few to tell whether the network is better "
                "than linear CCA, which is kept. Use a larger validation_fraction, or "
                "early_stopping=False for the network in any case.",
                stacklevel=5,
            )
            return True
        pairs = [
            tuple({name: code[rows] for name, code in each.items()} for rows in (train, valid))
            for each in (codes, linear.transform_each(flat(X)))
        ]
        return not is_better(*pairs, seed=int(rng.randint(2**31)))

    def _close(self, codes: dict[str, Array], rng: np.random.RandomState) -> None:
        """Fit the closing linear CCA, and with decoders the density of its codes."""
        self._closing = close(codes, self.fusion)
        self.n_components_ = self._closing.n_components_
        self.canonical_correlations_ = self._closing.canonical_correlations_
        self.pairwise_correlations_ = self._closing.pairwise_correlations_
        if _has_decoders(self):
            Z = self._closing.transform(codes)
            Z = Z[np.isfinite(Z).all(axis=1)]
            density = self.latent_density
            if density is None:
                density = GaussianMixture(n_components=max(1, min(10, len(Z) // 50)))
            density = clone(density)
            if "random_state" in density.get_params():
                density.set_params(random_state=int(rng.randint(2**31)))
            self.latent_density_ = density.fit(Z)

    def _decode(
        self, codes: Mapping[str, Array], rng: np.random.RandomState | None = None
    ) -> dict[str, Array]:
        """Return modalities (n, width) that go with codes: their expectation, or with `rng` draws."""
        decoded = {}
        for name, code in codes.items():
            data = TensorData({name: code}, device=device_of(self.net_.module_), dtype=_torch(code))
            module = in_precision(self.net_.module_, data.dtype)
            if rng is None:
                decoded[name] = apply_in_chunks(partial(module.decode, name), data)
            else:
                with private_generator(int(rng.randint(2**31))):
                    decoded[name] = apply_in_chunks(partial(module.draw, name), data)
        return decoded

    def _lacking(self, X: Modalities) -> list[str]:
        """Return the modalities of fit that are absent from X or from some of its rows."""
        complete = {name for name, m in zip(X.names, X._mask.T, strict=True) if not m.any()}
        return [name for name in self.modality_names_in_ if name not in complete]

    def _codes(self, X: Modalities) -> Modalities:
        return Modalities(self._encode(X))

    def _check(self, X: Any, y: Any = None, **options: Any) -> Modalities:
        check_is_fitted(self)
        return self._read(X, y, reset=False, **options)

    def _read(self, X: Any, y: Any, **options: Any) -> Modalities:
        X = check_modalities(self, X, y, min_modalities=2, kinds=KINDS, **options)
        values = {name: v[:, None] if v.ndim == 1 else v for name, v in X.items()}
        return Modalities._make(values, X.kinds, X._mask)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_closing")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _score(net: Net, outputs: Alignment, observed: Any, *, axes: TensorData) -> float:
    """Return the total correlation of validation codes along the axes of training codes.

    With decoders the errors of reconstruction are subtracted, as in the objective.
    """
    names = net.module_.names
    row = net.history[-1]
    errors = sum(row[key] for key in row if key.startswith("valid_reconstruction_"))
    fitted = net.outputs(axes)
    return total_correlation(_arrays(names, *fitted), _arrays(names, outputs, observed)) - errors


def _arrays(names: Sequence[str], outputs: Alignment, observed: Any) -> dict[str, Array]:
    codes = [code.double().cpu().numpy() for code in outputs.codes]
    if observed is not None:
        present = observed.cpu().numpy().T
        codes = [np.where(here[:, None], z, np.nan) for here, z in zip(present, codes, strict=True)]
    return dict(zip(names, codes, strict=True))


def _continue_from(old: torch.nn.Module, new: torch.nn.Module) -> None:
    """Copy the weights of a fitted network."""
    try:
        new.load_state_dict(old.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "warm_start=True needs networks and modalities as in the fit before; with other "
            f"parameters use warm_start=False. {error}"
        ) from error


def _draw(density: Any, n_samples: int, rng: np.random.RandomState) -> Array:
    """Draw from a density; some return labels too, and some have a seed among the parameters."""
    if "random_state" in getattr(density, "get_params", dict)():
        density = copy.copy(density).set_params(random_state=int(rng.randint(2**31)))
        drawn = density.sample(n_samples)
    else:
        drawn = density.sample(n_samples, random_state=rng)
    Z = np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn)
    return Z[rng.permutation(len(Z))]  # mixtures return them component by component


def _torch(array: Array) -> torch.dtype:
    return torch.float32 if array.dtype == np.float32 else torch.float64
