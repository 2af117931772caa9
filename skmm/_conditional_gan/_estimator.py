"""ConditionalGAN: the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy.stats import qmc
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions

from skmm._base import warn_caller
from skmm._conditional_gan._diagnostics import (
    are_labels_lost,
    columns_with_lost_values,
    marginal_ratios,
    warn_of_lost_labels,
    warn_of_lost_values,
)
from skmm._conditional_gan._linear import LinearSampler, fit_sampler
from skmm._conditional_gan._network import gan_network
from skmm._deep._estimator import (
    DEEP_CONSTRAINTS,
    DeepEstimator,
    FitData,
    numpy_type,
)
from skmm._deep._spec import describe
from skmm._deep._split import Split, held_out_mask
from skmm._interfaces._conditional_sampler import N_DRAWS, ConditionalSampler
from skmm._linear._blend import energy_distances, mixture_scores, share_of_distances
from skmm._linear._completion import completed
from skmm._modalities import Modalities, observed_rows
from skmm._modalities._stream import is_streamed
from skmm._nets import AdversarialNet, TensorData, n_rows_at_once
from skmm._parameters import POSITIVE, Numbers
from skmm._random import Seed, seed_of
from skmm.metrics import spread_error_ratio
from skmm.metrics._energy import energy_scores, marginal_scores
from skmm.nn._adversarial import (
    N_DRAWS_IN_VALIDATION,
    AdversarialObjective,
    ConditionalGANNetwork,
)
from skmm.nn._generator import Generator
from skmm.nn._members import members_of

Array = np.ndarray
LOSSES = ("energy", "relativistic", "wasserstein", "hinge", "standard")
PENALTIES = {"relativistic": 1.0, "wasserstein": 10.0, "standard": 1.0}  # of "auto"
BETAS = (0.0, 0.99)  # of Adam's averages, where a discriminator makes the gradients change
N_EPOCHS, N_EPOCHS_OF_FOLDS = 200, 40  # of "auto": the mean of several needs less
N_NOISE = 128  # draws of noise that predictions are averaged over; a power of two for Sobol points
N_JUDGED = 1000  # rows at most that draws are judged by
N_HELD_OUT = 50  # draws of either kind for each row that was held out
NOBODY = -1  # in the place of the number of a network
N_COMPARED = 20  # draws per row that their marginals are judged by
N_JUDGED_VALUES = 2**24  # and values in the draws for them
COLLAPSED = 0.5  # spread over error below which there is a warning


class ConditionalGAN(ConditionalSampler, DeepEstimator):
    """Generator of one modality given the others: draws from p(target | conditions).

    A network maps conditions and noise to the target. It is trained by the energy score of its
    draws, a proper scoring rule, or against a discriminator that sees the conditions beside true
    or generated targets. Whatever the loss, the energy score of held-out rows chooses the epoch.
    Draws are a mixture of those of the networks and of a linear model, tuned ridge regression with
    normal residuals (of labels logistic regression); the energy score of held-out rows chooses the
    shares. Conditions and target are standardised inside.

    Parameters
    ----------
    target : str, default=None
        The modality to generate. None where it is `y`, with a plain `X`.

    loss : {"energy", "relativistic", "wasserstein", "hinge", "standard"}, default="energy"
        The loss that trains the generator:

        - "energy": the energy score of four draws per row, without a discriminator [1]_; of labels
          the logarithm of their probability, the mean over four draws of the noise;
        - "relativistic": a discriminator that compares true with generated targets of the same
          conditions [2]_;
        - "wasserstein": the Wasserstein distance [3]_;
        - "hinge": the hinge loss with spectral normalization [4]_;
        - "standard": the non-saturating loss [5]_.

    noise_dim : int, default=10
        Number of normal variables that each draw is made from.

    gradient_penalty : float or "auto", default="auto"
        Weight of the penalty on the discriminator's gradient with respect to the target: squared
        distance of its norm from 1 for "wasserstein", else half the squared norm, at true and at
        generated targets. "auto" is 10 for "wasserstein", 1 for "relativistic" and "standard" and 0
        for "hinge". "energy" has none.

    n_critic : int, default=1
        Steps of the discriminator per step of the generator.

    ema_decay : float, default=0.99
        Decay per step of the moving average of the generator's weights that predicts. 0 takes
        the weights as they are.

    modality_dropout : float, default=0.0
        Probability with which a condition is hidden from the networks in training; at least one
        stays in each row. Conditions may be missing in any case. Where they are, numbers are
        replaced by their linear expectation given the rest of the row (above 0 by zero, as what is
        hidden), and the networks are told, if it was so in training. Rows that lack a condition
        which no training row lacked are drawn from the linear model, unless this is above 0.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    encoders : "auto" or dict of str to spec or callable, default="auto"
        Networks of conditions: :class:`skmm.nn.MLP`, :class:`skmm.nn.Conv`,
        :class:`skmm.nn.Tokens`, or a function of ``(input_shape, n_outputs)`` that returns a
        module. With "auto", also for modalities that are not named, images get `Conv` and tokens
        `Tokens`; vectors and indicators of labels stand beside the noise as they are. The target's
        entry is the discriminator.

    decoders : "auto" or dict of str to spec or callable, default="auto"
        The target's entry is the generator, a spec or a function of ``(n_inputs, output_shape)``.
        "auto" is an `MLP` of `hidden_layer_sizes`, for images `Conv`.

    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Of generator and discriminator, where `encoders` and `decoders` leave them open. Empty makes
        them linear.

    activation : str, default="silu"
        "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus" or "identity", in the
        networks that `encoders` and `decoders` leave open. Smooth ones follow a spread that
        changes with the condition more closely.

    normalization : {"batch", "layer"} or None, default=None
        Of the generator's hidden layers, and of encoders, in the same networks.

    dropout : float, default=0.0
        Share of hidden units that is left out in training, in the same networks.

    optimizer : {"adam", "adamw", "sgd"} or class, default="adamw"
        A class is one of `torch.optim`'s kind.

    lr : float, default=4e-3
        Learning rate.

    lr_schedule : {"onecycle", "cosine", "constant"} or callable, default="cosine"
        How the learning rate changes with each batch. A callable takes the share of `max_epochs`
        that is done, from 0 to 1, and returns a factor.

    weight_decay : float, default=1e-2
        Of the optimizer.

    batch_size : int or "auto", default="auto"
        Rows per step; a short last batch is left out. "auto" is a twentieth of the training rows,
        at least 32 and at most 512.

    max_epochs : int or "auto", default="auto"
        Passes through the training rows at most. "auto" is 40 for networks of several splits, else
        200.

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

    n_iter_no_change : int, default=50
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
    net_ : skmm._nets.AdversarialNet
        The skorch net; ``net_.module_`` has the `generator`, its `average` over the training,
        which predicts, and the `discriminator`. Of several splits ``net_.module_.members`` are the
        modules, each of which has these.

    linear_share_ : float
        Share of the draws that come from the linear model; 0 without held-out rows, and where
        conditions are read in blocks or have too many values for it. Columns of the target with
        one value in at least nine of ten rows are drawn by the networks alone.

    oof_score_ : float
        Energy skill for held-out rows (at most 1000), each drawn by a network and a linear model
        that have not seen it. NaN without held-out rows.

    held_out_ : ndarray of bool of shape (n_splits, n_samples)
        Which rows each network has not seen, of those that have a target.

    history_ : DataFrame
        One row per epoch: ``train_generator``, ``train_discriminator`` and ``train_penalty``, or
        ``train_energy_score``, of labels ``train_log_score``; the same score of 4 to 20 draws for
        each validation row (the energy score where there is a discriminator), learning rate,
        seconds. ``valid_score`` is minus the energy score. Epoch 0 is before training.

    spread_error_ratio_ : float
        Spread of the samples over the error of their mean, for rows held out (with
        `early_stopping`); 1 when the spread is right.

    marginal_ratios_ : ndarray of shape (n_targets,)
        Standard deviation of each column of the draws over that in training; of labels how often
        each is drawn over how often it was there. NaN for constant columns. A warning says where
        rare labels or values are lost.

    categories_ : dict of str to ndarray
        Classes of each modality of labels.

    modality_names_in_ : tuple of str
        Names of the modalities.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a flat DataFrame with string names.

    See Also
    --------
    MultimodalVAE : Draws of whatever is missing in a row given whatever is there.
    skmm.metrics.energy_score : The score that is minimised, and that judges the epochs.

    Notes
    -----
    `predict`, `transform`, `translate` and `impute` average over 128 draws of the networks, whose
    noise (scrambled Sobol points) is fixed in `fit` and the same for each row, and add the linear
    expectation by its share: where all is linear they give that of ridge regression. Quantiles are
    those of 128 draws, in the same shares. `sample` and `score` draw noise for each row.

    Where no training row has gaps, linear draws for rows that have some are wider, by what is not
    known of the missing conditions.

    Data are standardised in double precision; the conditions are limited to a standard
    deviation outside the training range of each column, and at most ±10, and so are means and
    quantiles to a standard deviation.

    Binary and categorical targets are relaxed to probabilities in training, and drawn with these.
    Counts are rounded.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
       estimation", JASA 102 (2007); for networks X. Shen and N. Meinshausen, "Engression",
       JRSS B 87 (2025).
    .. [2] N. Huang, A. Gokaslan, V. Kuleshov and J. Tompkin, "The GAN is dead; long live the GAN!",
       NeurIPS (2024).
    .. [3] I. Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS (2017).
    .. [4] T. Miyato, T. Kataoka, M. Koyama and Y. Yoshida, "Spectral normalization for generative
       adversarial networks", ICLR (2018).
    .. [5] I. Goodfellow et al., "Generative adversarial nets", NeurIPS (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import ConditionalGAN
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-1, 1, (600, 1))
    >>> y = np.sin(3 * x) + (0.1 + 0.4 * (x > 0)) * rng.standard_normal((600, 1))
    >>> model = ConditionalGAN(random_state=0).fit(x[:500], y[:500])
    >>> model.sample(50, given=x[500:]).shape
    (50, 100, 1)
    >>> wide = model.predict(x[500:], 0.9) - model.predict(x[500:], 0.1)
    >>> bool(wide[x[500:] > 0.2].mean() > 2 * wide[x[500:] < -0.2].mean())
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **DEEP_CONSTRAINTS,
        "target": [str, None],
        "loss": [StrOptions(set(LOSSES))],
        "noise_dim": [POSITIVE],
        "gradient_penalty": [Numbers(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "n_critic": [POSITIVE],
        "ema_decay": [Numbers(Real, 0, 1, closed="left")],
        "modality_dropout": [Numbers(Real, 0, 1, closed="left")],
        "decoders": [StrOptions({"auto"}), dict],
        "max_epochs": [POSITIVE, StrOptions({"auto"})],
    }
    _net_class = AdversarialNet
    _reads_blocks = True
    _takes_partial = True
    net_: AdversarialNet

    def __init__(
        self,
        *,
        target: str | None = None,
        loss: str = "energy",
        noise_dim: int = 10,
        gradient_penalty: float | str = "auto",
        n_critic: int = 1,
        ema_decay: float = 0.99,
        modality_dropout: float = 0.0,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        encoders: str | Mapping[str, Any] = "auto",
        decoders: str | Mapping[str, Any] = "auto",
        hidden_layer_sizes: Sequence[int] = (128, 128, 128),
        activation: str = "silu",
        normalization: str | None = None,
        dropout: float = 0.0,
        optimizer: str | Callable[..., Any] = "adamw",
        lr: float = 4e-3,
        lr_schedule: str | Callable[[float], float] = "cosine",
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        early_stopping: bool = True,
        cv: Any = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
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
        self.target = target
        self.loss = loss
        self.noise_dim = noise_dim
        self.gradient_penalty = gradient_penalty
        self.n_critic = n_critic
        self.ema_decay = ema_decay
        self.modality_dropout = modality_dropout
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Conditions, and in all forms but a plain array the target, in any of the forms of
            :func:`skmm.check_modalities`. Rows without a target are left out.
            Large arrays of dask, zarr or h5py are read in blocks, whose rows are mixed a buffer at
            a time: their order is not that of rows in memory.

        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            The target if `X` is a 2-D array alone; ignored otherwise.

        Returns
        -------
        self : ConditionalGAN

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality), parameters contradict the
            data, or the objective becomes NaN; the estimator is then left as it was before.

        KeyboardInterrupt
            After Ctrl-C; the estimator is then fitted with the epochs so far.
        """
        return self._fit(X, y)

    def _read_fit(self, X: Any, y: Any) -> FitData:
        X, values = self._read(X, y)
        conditions = self._without_target(X)
        lacked = [n for n in conditions.names if not observed_rows(conditions, n).all()]
        self._may_lack = list(conditions.names) if self.modality_dropout else lacked
        self._filler = self._linear_columns(conditions)
        labels = X[self._target].reshape(-1, 1) if self._target in self.categories_ else None
        return FitData(self._filled(X), values, labels=labels)

    def _check_continues(self, previous: Any) -> None:
        if previous._target != self._target:
            raise ValueError(
                f"warm_start=True needs the target of the fit before, {previous._target!r}, but "
                f"target={self._target!r}: use warm_start=False."
            )
        super()._check_continues(previous)

    def _build(
        self, data: FitData, seed: int
    ) -> tuple[ConditionalGANNetwork, AdversarialObjective]:
        spec = self._network_spec()
        modalities = describe(data.X, self._columns, self.categories_, spec.encoders)
        module = gan_network(
            spec,
            modalities,
            self._target,
            data.target,
            seed,
            loss=self.loss,
            noise_dim=self.noise_dim,
            modality_dropout=self.modality_dropout,
            ema_decay=self.ema_decay,
            may_lack=bool(self._may_lack),
        )
        return module, AdversarialObjective(self.loss, self._penalty())

    def _settings(
        self, data: FitData, splits: Sequence[Split], rows: TensorData, rng: np.random.RandomState
    ) -> dict[str, Any]:
        n_rows = n_rows_at_once(rows.inputs) // N_DRAWS_IN_VALIDATION
        return {
            "iterator_valid__batch_size": max(1, n_rows),
            "n_critic": self.n_critic,
            "max_epochs": self._n_epochs(len(splits)),
            **self._betas(),
        }

    def _fit_linear(
        self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState
    ) -> tuple[LinearSampler, Array] | None:
        """Fit the linear sampler, where rows are held out that can judge it."""
        self._remember(data.target, rng)
        if splits[0].valid is None or self._filler is None or is_streamed(data.X):
            return None
        kind, X = self._schema.kinds[self._target], self._without_target(data.X)
        known = self._columns[self._target]
        return fit_sampler(X, self._filler, data.target, kind, known, splits)

    def _blend(
        self,
        data: FitData,
        splits: Sequence[Split],
        linear: tuple[LinearSampler, Array] | None,
        rng: np.random.RandomState,
    ) -> None:
        """Choose the share of the linear sampler on rows that neither has seen."""
        self._share, self.oof_score_ = 1.0, np.nan
        self.held_out_ = held_out_mask(splits, len(data.X))
        self._linear = None if linear is None else linear[0]
        usable = self.held_out_.any(axis=0)
        if linear is not None:
            usable &= np.isfinite(linear[1]).all(axis=1)
        rows = np.flatnonzero(usable)
        if len(rows):
            rows = self._some_rows(rows, N_HELD_OUT, rng)
            self._judge_held_out(data, rows, None if linear is None else linear[1], rng)
        self.linear_share_ = 1.0 - self._share

    def _judge_held_out(
        self, data: FitData, rows: Array, oof: Array | None, rng: np.random.RandomState
    ) -> None:
        """Set the share, the score and the spread by draws for rows that were held out."""
        X = self._held(self._without_target(data.X), rows)
        last = len(self.held_out_) - 1 - self.held_out_[::-1, rows].argmax(axis=0)
        network = self._placed(X, np.repeat(last[:, None], N_HELD_OUT, axis=1), N_HELD_OUT, rng)
        draws = scaled = self._scaled(network)
        truth = np.asarray(data.target[rows], dtype=np.float64)[:, self._judged] / self._spread
        if self._linear is None or oof is None:
            scores = energy_scores(truth, scaled)
        else:
            drawn = self._linear.draw(X, oof[rows], N_HELD_OUT, rng)
            drawn[..., self._of_networks] = network[..., self._of_networks]
            linear = self._scaled(drawn)
            distances = energy_distances(truth, linear, scaled)
            self._share = 1.0 if self._of_networks.all() else share_of_distances(distances)
            scores = mixture_scores(distances, self._share)
            chosen = rng.uniform(size=draws.shape[:2]) < self._share
            draws = np.where(chosen[..., None], scaled, linear)
        marginal = marginal_scores(truth, self._reference / self._spread).mean()
        self.oof_score_ = float(1.0 - scores.mean() / marginal) if marginal else np.nan
        self._judge(truth, draws)

    def _scaled(self, draws: Array) -> Array:
        """Return draws (n, n_draws, width) as those (n_draws, n, width) that are scored."""
        return (draws[:, :, self._judged] / self._spread).swapaxes(0, 1)

    def _finish(self, data: FitData, splits: Sequence[Split], rng: np.random.RandomState) -> None:
        """Fix the noise of predictions, and compare draws with the targets."""
        X, values = data.X, data.target
        sobol = qmc.MultivariateNormalQMC(np.zeros(self.noise_dim), rng=seed_of(rng))
        self._noise = sobol.random(N_NOISE)[:, None]
        self._chances = (
            self._even_chances(values.shape[1], rng) if self._atoms is not None else None
        )
        self._normal = None if self._linear is None else self._linear.noise(N_NOISE, rng)
        if not self.held_out_.any():
            rows = self._some_rows(splits[0].train, N_DRAWS, rng)
            part = self._without_target(X[rows])
            draws = [self._drawn(some, N_DRAWS, rng) for _, some in self._chunks(part, N_DRAWS)]
            truth = np.asarray(values[rows], dtype=np.float64)[:, self._judged] / self._spread
            self._judge(truth, self._scaled(np.concatenate(draws)))
        self._compare(X, values)

    def _n_epochs(self, n_splits: int) -> int:
        if isinstance(self.max_epochs, str):
            return N_EPOCHS if n_splits == 1 else N_EPOCHS_OF_FOLDS
        return self.max_epochs

    def _penalty(self) -> float:
        if isinstance(self.gradient_penalty, str):
            return PENALTIES.get(self.loss, 0.0)
        return float(self.gradient_penalty)

    def _betas(self) -> dict[str, Any]:
        adam = isinstance(self.optimizer, str) and self.optimizer.startswith("adam")
        return {"optimizer__betas": BETAS} if adam and self.loss != "energy" else {}

    def _even_chances(self, width: int, rng: np.random.RandomState) -> Array:
        """Return uniform numbers (N_NOISE, 1, width), in each column evenly spaced."""
        columns = [rng.permutation(N_NOISE) for _ in range(width)]
        return ((np.column_stack(columns) + 0.5) / N_NOISE)[:, None]

    def _some_rows(
        self, rows: Array, n_draws: int, rng: np.random.RandomState, n_rows: int = N_JUDGED
    ) -> Array:
        """Return at random as many rows, at most `n_rows`, as so many draws of each allow."""
        most = max(20, N_JUDGED_VALUES // (n_draws * len(self._judged)))
        return np.sort(rng.permutation(rows)[: min(n_rows, most)])

    def _judge(self, truth: Array, draws: Array) -> None:
        """Compare the spread of draws with the error of their mean."""
        self.spread_error_ratio_ = float(spread_error_ratio(truth, draws))
        if self.spread_error_ratio_ < COLLAPSED:
            warn_caller(
                f"The samples of {self._target!r} have collapsed: their spread is "
                f"{self.spread_error_ratio_:.2f} of the error of their mean. "
                f"{self._against_collapse()}",
                ConvergenceWarning,
            )

    def _against_collapse(self) -> str:
        """Return what helps where draws have collapsed."""
        if self.loss != "energy":
            return "Use loss='energy', more epochs, or a larger gradient_penalty."
        if not self.early_stopping:
            return "Use early_stopping=True: a linear model then keeps the spread; or more epochs."
        return "Use more epochs, or more rows."

    def _compare(self, X: Modalities, values: Array) -> None:
        """Compare the marginals of draws with those of training."""
        kind, rng = self._schema.kinds[self._target], np.random.RandomState(self._seed)
        rows = self._some_rows(np.arange(len(values)), N_COMPARED, rng, 2 * N_JUDGED)
        X, truth = self._without_target(X[rows]), np.asarray(values[rows], dtype=np.float64)
        parts = [self._drawn(part, N_COMPARED, rng) for _, part in self._chunks(X, N_COMPARED)]
        draws = np.concatenate(parts)
        self.marginal_ratios_ = ratios = marginal_ratios(truth, draws, kind == "categorical")
        if kind == "categorical" and are_labels_lost(truth, draws):
            warn_of_lost_labels(self._target, self.categories_[self._target], ratios)
        elif kind not in ("categorical", "image"):
            warn_of_lost_values(self._target, columns_with_lost_values(truth, draws), ratios)

    def _draw(self, X: Modalities, n_samples: int, rng: np.random.RandomState) -> Array:
        X = self._filled(self._held(X))
        shares, chance = self._shares(X), rng.uniform(size=(len(X), n_samples))
        turns = rng.randint(self._n_members, size=chance.shape)
        turns[chance >= shares.max(axis=1, keepdims=True)] = NOBODY
        found = self._placed(X, turns, n_samples, rng)
        linear = chance >= shares.min(axis=1, keepdims=True)
        if self._linear is not None and linear.any():
            most = int(linear.sum(axis=1).max())
            draws = self._linear.draw(X, self._linear.expected(X), most, rng)
            rows, inside = np.nonzero(linear)
            own = draws[rows, linear.cumsum(axis=1)[rows, inside] - 1]
            of_network = chance[rows, inside, None] < shares[rows]
            found[rows, inside] = np.where(of_network, found[rows, inside], own)
        return found

    def _draw_again(self, X: Modalities) -> Array:
        X = self._filled(self._held(X))
        if self._linear is None or self._normal is None:
            return self._fixed_draws(X)
        shares, expected = self._shares(X), self._linear.expected(X)
        alone = ~shares.any(axis=1)
        if alone.all():
            return self._linear.draw_again(X, expected, self._normal)
        network, n_network = self._fixed_draws(X), round(self._share * N_NOISE)
        found = network.copy()
        others = np.flatnonzero(~self._of_networks)
        draws = self._linear.draw_again(X, expected, self._normal[n_network:])
        found[:, n_network:, others] = draws[..., others]
        if alone.any():
            found[alone] = self._linear.draw_again(X[alone], expected[alone], self._normal)
        return found

    def _mean(self, X: Modalities) -> Array:
        columns = self._columns[self._target]
        parts = [self._expected(part) for _, part in self._chunks(X, N_DRAWS)]
        return columns.in_type(columns.within(np.concatenate(parts)), self._precision(X))

    def _expected(self, X: Modalities) -> Array:
        """Return the mean target (n, width); where all is linear exactly the linear one."""
        X = self._filled(self._held(X))
        if self._linear is None:
            return self._fixed_draws(X).mean(axis=1)
        shares, linear = self._shares(X), self._linear.expected(X)
        if not shares.any():
            return linear
        network = self._fixed_draws(X).mean(axis=1)
        return np.where(shares > 0, linear + shares * (network - linear), linear)

    def _shares(self, X: Modalities) -> Array:
        """Return the share (n, width) of the networks in the draws of each row and column.

        None where a condition is missing that no training row lacked: the linear model knows what
        is to be expected then, the networks were never asked.
        """
        shares = np.full((len(X), len(self._judged)), self._share)
        if self._linear is None:
            return shares
        shares[:, self._of_networks] = 1.0
        for name in self.modality_names_in_:
            if name != self._target and name not in self._may_lack:
                shares[~observed_rows(X, name) if name in X else slice(None)] = 0.0
        return shares

    def _fixed_draws(self, X: Modalities) -> Array:
        """Return draws (n, N_NOISE, width) of the networks in turn, all rows by the same noise."""
        found = np.empty((len(X), N_NOISE, len(self._judged)))
        for member in range(self._n_members):
            own = np.arange(member, N_NOISE, self._n_members)
            chances = None if self._chances is None else self._chances[own]
            found[:, own] = self._values(X, member, self._noise[own], chances)
        return found

    def _placed(
        self, X: Modalities, turns: Array, n_draws: int, rng: np.random.RandomState
    ) -> Array:
        """Return draws (n, n_draws, width), each of the network whose turn it is in its row."""
        found = np.empty((len(X), n_draws, len(self._judged)))
        for member in range(self._n_members):
            own = turns == member
            rows = np.flatnonzero(own.any(axis=1))
            if not len(rows):
                continue
            shape = (int(own.sum(axis=1).max()), len(rows))
            noise = rng.standard_normal((*shape, self._noise_dim))
            chances = rng.uniform(size=(*shape, found.shape[2])) if self._discrete else None
            part = X if len(rows) == len(X) else X[rows]
            draws = self._values(part, member, noise, chances, n_rows=len(rows))
            at, inside = np.nonzero(own[rows])
            found[rows[at], inside] = draws[at, own[rows].cumsum(axis=1)[at, inside] - 1]
        return found

    def _values(
        self, X: Modalities, member: int, noise: Array, chances: Array | None, **options: Any
    ) -> Array:
        """Return draws (n, n_draws, width) of a network for noise, in the original units."""
        return self._apply(
            Generator.values,
            X,
            member=member,
            noise=torch.from_numpy(noise),
            uniform=None if chances is None else torch.from_numpy(chances),
            **options,
        )

    def _filled(self, X: Modalities) -> Modalities:
        """Return rows whose missing conditions are completed by linear expectations."""
        if self._filler is None or is_streamed(X):
            return X
        return completed(X, self._filler, self._schema.shapes)

    def _held(self, X: Modalities, rows: Array | None = None) -> Modalities:
        """Return rows, or all, in memory."""
        if rows is not None:
            return X[rows]
        return X[np.arange(len(X))] if is_streamed(X) else X

    def _precision(self, X: Modalities) -> np.dtype:
        return numpy_type(X)

    def _predictor(self, module: ConditionalGANNetwork) -> Generator:
        return module.average

    @property
    def _discrete(self) -> bool:
        return self._atoms is not None or self._schema.kinds[self._target] in (
            "binary",
            "categorical",
        )

    @property
    def _atoms(self) -> Any:
        return members_of(self.net_.module_)[0].average.atoms

    @property
    def _of_networks(self) -> Array:
        """Which columns (width,) of the target have one value in nearly all rows.

        A normal distribution knows nothing of that: networks draw them.
        """
        found, atoms = np.zeros(len(self._judged), dtype=bool), self._atoms
        found[[] if atoms is None else atoms.columns] = True
        return found

    @property
    def _noise_dim(self) -> int:
        return int(members_of(self.net_.module_)[0].average.noise_dim)

    @property
    def _takes_missing(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_noise")
