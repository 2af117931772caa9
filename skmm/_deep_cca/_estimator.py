"""DeepCCA: the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, _fit_context
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._cca import CCA
from skmm._deep._decoding import decode, decode_draws, plausible
from skmm._deep._density import draw, fit_density
from skmm._deep._estimator import (
    DEEP_CONSTRAINTS,
    DeepEstimator,
    FitData,
    Run,
    best_epoch,
    numpy_type,
    of_splits,
)
from skmm._deep._spec import describe
from skmm._deep._split import Split
from skmm._deep_cca._closing import (
    check_codes,
    close,
    close_linear,
    held_out,
    linear_decoders,
)
from skmm._deep_cca._held_out import HeldOut, can_compare, compared, is_surely_better, total
from skmm._deep_cca._linear import Tuned, flat, is_cheap, patterns, project, refit, tuned_linear
from skmm._deep_cca._network import deep_network, linear_network
from skmm._deep_cca._objectives import OBJECTIVES, check_batch_size, check_objective
from skmm._deep_cca._scoring import N_AXES, N_AXES_EACH, score
from skmm._interfaces._generative import ReconstructionMixin
from skmm._modalities import Modalities, check_modalities, missing_mask, with_values
from skmm._modalities._columns import column_statistics
from skmm._modalities._output import TransformerMixin, arrays_only, codes_follow_output
from skmm._modalities._stream import is_streamed
from skmm._nets import Net, TensorData
from skmm._parameters import POSITIVE, Numbers
from skmm._random import Seed, seed_of
from skmm.nn._alignment import AlignmentNetwork, AlignmentObjective

Array = np.ndarray
KINDS = ("numeric", "binary", "count", "image", "tokens")
NEED_DECODERS = ("inverse_transform", "translate", "impute", "sample")


class DeepCCA(
    ReconstructionMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, DeepEstimator
):
    """Deep canonical correlation analysis: networks whose outputs correlate across modalities.

    Each modality has a network; they are trained together so that their outputs agree. A linear
    CCA closes: `transform` gives codes that are ordered, uncorrelated and of unit variance on the
    training data. Inputs are standardised inside.

    The network has to be better than linear CCA: with `early_stopping`, rows held out choose
    the epoch, and compare it with linear CCA whose shrinkage they choose too. Unless the gain is
    beyond doubt, the linear solution, fitted on all rows, is kept (`linear_share_`).

    Parameters
    ----------
    n_components : int, default=10
        Number of outputs of each network. Without bound, but correlations of a batch mean little
        unless `batch_size` is several times larger.

    objective : str or callable, default="cca"
        The objective that training maximises.

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
        weighted errors. Where the linear solution is kept, these methods are those of
        :class:`skmm.CCA`.

    likelihoods : "auto" or dict of str to str, default="auto"
        Of the reconstructions: "gaussian", "laplace" (of standardised columns, learned scale),
        "bernoulli", "poisson"; "categorical" for labels and tokens. "auto", also for modalities
        that are not named, follows the kind: gaussian for numbers and images, bernoulli for binary
        data, poisson for counts.

    latent_density : estimator, default=None
        Density of the fused codes that `sample` draws from, any with `fit` and `sample`. None is a
        Gaussian mixture. It is fitted to 100 000 random rows at most.

    reg_covar : float, default=1e-4
        Ridge on the covariances of "cca", "gcca" and "ey", relative to the mean variance.

    fusion : {"mean", "posterior", "concat"}, default="mean"
        How `transform` combines the codes of the modalities, as in :class:`skmm.CCA`.

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

    cv : "auto", int, splitter, iterable or None, default="auto"
        How rows are held out, with `early_stopping`. A number of folds, a splitter of scikit-learn
        or pairs of row numbers train a network for each split, in step. None holds out
        `validation_fraction` of the rows once. "auto" is 3 folds for up to 1000 rows, and None for
        more, for data that are read in blocks, and for several processes. After several splits the
        network is trained on all rows, for as many epochs as were best for the rows held out.
        Folds have alike shares of rows that lack a modality; where a split would have fewer than
        two rows with both of a pair of modalities, none are held out and linear CCA is kept.

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
        Where training and prediction run. "auto" is CUDA if torch sees a device, else the CPU.
        "accelerate" trains in the processes that `torchrun` or `accelerate launch` started, each
        on its device and with its share of the rows of every batch; all call `fit` alike.

    precision : {"float32", "bf16", "float64"}, default="float32"
        Of training; "bf16" runs the networks under autocast. Covariances and all results
        computed from them are always in double precision; prediction is in that of its input.

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
        One row per epoch: each term of the objective on training batches and on all validation
        rows, ``valid_score`` (the total correlation along axes fitted on training codes), learning
        rate, seconds. Epoch 0 is the network before training.

    linear_share_ : float
        1.0 if the linear solution was kept, 0.0 if the network was.

    oof_score_ : float
        Total correlation of what was kept, on rows held out along axes of the training rows: those
        of all splits make one correlation. NaN where none were held out.

    canonical_correlations_ : ndarray of shape (n_components_,)
        Pearson's correlation of the training codes, averaged over pairs of modalities.

    pairwise_correlations_ : ndarray of shape (n_components_, n_modalities, n_modalities)
        Pearson's correlation of the training codes of each pair, on the rows that have both; NaN
        where fewer than two rows have.

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
    Inputs are standardised in double precision; the inputs of networks are limited to a standard
    deviation outside the training range of each column, and at most ±10 (not where linear CCA is
    kept), and so are expectations to a standard deviation. `translate`, `impute` and
    `inverse_transform` decode the expected code. That is the expectation of the decoded data only
    where the code is certain, or the decoder linear.

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

    net_: Net

    _is_ensemble = False
    _n_folds = 3  # before the network of all rows
    _most_rows = 1000  # of more a tenth is enough to choose an epoch, and to compare
    _parameter_constraints: dict[str, list[Any]] = {
        **DEEP_CONSTRAINTS,
        "n_components": [POSITIVE],
        "objective": [StrOptions(set(OBJECTIVES)), callable],
        "shared_layer_sizes": [list, tuple],
        "reconstruction_weight": [Numbers(Real, 0, None, closed="left")],
        "likelihoods": [StrOptions({"auto"}), dict],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "reg_covar": [Numbers(Real, 0, None, closed="left")],
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
        cv: Any = "auto",
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the networks and fit the closing linear CCA.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Two or more modalities in any of the forms of :func:`skmm.check_modalities`, of numbers,
            images or token ids.
            Large arrays of dask, zarr or h5py are read in blocks, whose rows are mixed a buffer at
            a time: their order is not that of rows in memory.

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
            After Ctrl-C; the estimator is then fitted with the epochs so far.
        """
        return self._fit(X, y)

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
        codes = self._encode(self._check(X))
        with arrays_only():
            return self._closing.transform(codes)

    @codes_follow_output
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
        codes = self._encode(self._check(X, y))
        with arrays_only():
            return self._closing.transform_each(codes)

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
        codes = self._encode(self._check(X, y))
        return self._closing.score(codes)

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
        columns = super().get_feature_names_out(input_features)
        if self.fusion != "concat":
            return columns
        names = [f"{name}__{column}" for name in self.modality_names_in_ for column in columns]
        return np.asarray(names, dtype=object)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _read_fit(self, X: Any, y: Any) -> FitData:
        X = self._read(X, y, reset=True)
        self._columns = column_statistics(X, self._schema)
        return FitData(X, labels=patterns(X) if missing_mask(X).any() else None)

    def _has_nets(self) -> bool:
        return getattr(self, "linear_share_", 1.0) < 1

    def _splits(self, data: FitData, run: Run) -> list[Split]:
        """Hold no rows out where too few have both of a pair to be compared on."""
        splits = super()._splits(data, run)
        return splits if _pairs_are_held_out(data.X, splits) else [Split(np.arange(len(data.X)))]

    def _fit_linear(
        self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState
    ) -> Tuned | None:
        if not self.early_stopping or not is_cheap(data.X):
            return None
        return tuned_linear(data.X, self.n_components, splits, seed_of(rng))

    def _build(self, data: FitData, seed: int) -> tuple[AlignmentNetwork, AlignmentObjective]:
        X, weight, names = data.X, self.reconstruction_weight, self.modality_names_in_
        objective = AlignmentObjective(
            check_objective(self.objective, X, self.reg_covar), names, weight
        )
        spec = self._network_spec()
        likelihoods = self.likelihoods if weight > 0 else None
        modalities = describe(X, self._columns, {}, spec.encoders, likelihoods)
        layers = self.n_components, self.shared_layer_sizes
        return deep_network(spec, modalities, *layers, seed, decode=weight > 0), objective

    def _settings(
        self, data: FitData, splits: Sequence[Split], rows: TensorData, rng: np.random.RandomState
    ) -> dict[str, Any]:
        most = max(N_AXES, N_AXES_EACH * self.n_components)
        axes = [rng.choice(s.train, min(most, len(s.train)), replace=False) for s in splits]
        return {"scoring": partial(score, axes=of_splits(rows, [np.sort(part) for part in axes]))}

    def _n_rows_per_step(self, n_samples: int) -> int:
        batch_size = super()._n_rows_per_step(n_samples)
        check_batch_size(self.objective, batch_size, self.n_components)
        return batch_size

    def _auto_batch_size(self, n_samples: int) -> int:
        """Return the rows per step of "auto": several per component, and five steps or more."""
        return max(200, 10 * self.n_components, min(n_samples // 5, 1000))

    def _blend(
        self, data: FitData, splits: Sequence[Split], linear: Any, rng: np.random.RandomState
    ) -> None:
        """Keep the network if it surely is better than linear CCA."""
        X, ours = data.X, self._held_out_codes(data.X, splits)
        kept, is_linear = ours, False
        if linear is not None:
            plain = [_along(cca, X, rows) for cca, (rows, _) in zip(linear.each, ours, strict=True)]
            is_linear = not (
                can_compare(ours)
                and best_epoch(self.net_) > 0
                and is_surely_better(ours, plain, X, seed_of(rng))
            )
            kept = plain if is_linear else ours
        self._has_decoders, self.linear_share_ = self.reconstruction_weight > 0, float(is_linear)
        self.oof_score_ = total(kept) if kept else np.nan
        self._linear = refit(linear, X) if is_linear else None
        if self._linear is not None:
            self.net_.replace(linear_network(X, self._linear))

    def _held_out_codes(self, X: Modalities, splits: Sequence[Split]) -> list[HeldOut]:
        """Return what each network gives for the rows that it has not seen."""
        found = []
        for member, (train, valid) in enumerate(splits):
            codes = self._encode(X, member=member)
            check_codes(codes, X)
            if valid is not None:
                found.append(held_out(codes, train, compared(X, valid)))
        return found

    def _needs_network(self) -> bool:
        return self.linear_share_ < 1

    def _finish(self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState) -> None:
        codes = self._encode(data.X)
        check_codes(codes, data.X)
        self._close(codes, rng)

    def _close(self, codes: dict[str, Array], rng: np.random.RandomState) -> None:
        """Fit the closing linear CCA, and with decoders the density of its codes."""
        linear = self._linear
        self._closing = (
            close(codes, self.fusion)
            if linear is None
            else close_linear(linear, codes, self.fusion)
        )
        self.n_components_ = self._closing.n_components_
        self.canonical_correlations_ = self._closing.canonical_correlations_
        self.pairwise_correlations_ = self._closing.pairwise_correlations_
        if self._decodes():
            with arrays_only():
                Z = self._closing.transform(codes)
            self.latent_density_ = fit_density(self.latent_density, Z, rng)
        else:
            self._linear = None  # whose work is done

    if not TYPE_CHECKING:  # whatever else is misspelt remains an error of types

        def __getattr__(self, name: str) -> Any:
            """Say how to get the methods that need decoders."""
            if name in NEED_DECODERS:
                raise AttributeError(
                    f"{type(self).__name__} has no {name!r} without decoders: fit it with "
                    "reconstruction_weight > 0."
                )
            return self.__getattribute__(name)  # raises as ever

    def _decodes(self) -> bool:
        return self.reconstruction_weight > 0 and getattr(self, "_has_decoders", True)

    def _invert(self, Z: Array, names: Sequence[str]) -> dict[str, Array]:
        if self._linear is not None:
            decoders = linear_decoders(self._linear, self._closing)
            means = self._linear.means_
            parts = zip(self.modality_names_in_, decoders, strict=True)
            found = {name: means[name] + Z @ decoder for name, decoder in parts if name in names}
            return self._in_range(found, Z.dtype)
        codes = dict(self._closing.inverse_transform(Z).items())
        return self._decode({name: codes[name] for name in names})

    def _expect(self, X: Modalities, names: Sequence[str]) -> dict[str, Array]:
        if self._linear is not None:
            return self._in_range(self._linear._expect(flat(X), names), numpy_type(X))
        codes = self._closing.impute(Modalities(self._encode(X)))
        return self._decode({name: codes[name] for name in names})

    def _draw(self, n_samples: int, rng: np.random.RandomState) -> dict[str, Array]:
        if self._linear is not None:
            return self._linear._draw(n_samples, rng)
        Z = draw(self.latent_density_, n_samples, rng)
        return self._decode(dict(self._closing.inverse_transform(Z).items()), rng)

    def _draw_given(
        self, X: Modalities, names: Sequence[str], n_samples: int, rng: np.random.RandomState
    ) -> list[dict[str, Array]]:
        if self._linear is not None:
            return self._linear._draw_given(flat(X), names, n_samples, rng)
        given = Modalities(self._encode(X))
        draws = self._closing.sample(n_samples, given=given, random_state=rng)
        lacking = [{name: one[name] for name in names} for one in draws]
        return decode_draws(self.net_.module_, lacking, self._columns, rng)

    def _decode(
        self, codes: Mapping[str, Array], rng: np.random.RandomState | None = None
    ) -> dict[str, Array]:
        return decode(self.net_.module_, codes, self._columns, rng)

    def _in_range(self, parts: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
        return {name: plausible(part, self._columns[name], dtype) for name, part in parts.items()}

    def _encode(self, X: Modalities, member: int = 0) -> dict[str, Array]:
        """Return the codes of each modality by one of the networks, NaN where it is missing."""
        return self._apply_each(_code, X, member=member)

    def _check(self, X: Any, y: Any = None, **options: Any) -> Modalities:
        check_is_fitted(self)
        return self._read(X, y, reset=False, **options)

    def _read(self, X: Any, y: Any, **options: Any) -> Modalities:
        X = check_modalities(self, X, y, min_modalities=2, kinds=KINDS, accept_lazy=True, **options)
        values = {name: v[:, None] if v.ndim == 1 else v for name, v in X.items()}
        return with_values(X, values)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_closing")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _code(network: AlignmentNetwork, inputs: Mapping[str, Any], observed: Any = None) -> Any:
    ((name, x),) = inputs.items()
    return network.encode(network.index(name), x)


def _along(linear: CCA, X: Modalities, rows: Array) -> HeldOut:
    """Return projections of rows along the axes of the rows that a linear CCA was fitted to."""
    codes = project(linear, X) if is_streamed(X) else project(linear, X[rows])
    some = rows if is_streamed(X) else slice(None)
    return HeldOut(rows, linear._model.along_axes({n: code[some] for n, code in codes.items()}))


def _pairs_are_held_out(X: Modalities, splits: Sequence[Split]) -> bool:
    """Whether each split trains and validates on two rows or more that have both of any pair."""
    there = ~missing_mask(X)
    if there.all():
        return True
    parts = [there[part] for split in splits for part in split if part is not None]
    some = there.T.astype(int) @ there > 0
    return min((part.T.astype(int) @ part)[some].min() for part in parts) > 1
