"""MultimodalClassifier: the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skmm._modalities._ids import warn_of_other_rows
from skmm._multimodal_predictor._base import MultimodalPredictor
from skmm._multimodal_predictor._targets import LabelTargets, read_classes
from skmm._random import Seed

Array = np.ndarray


def _has_one_task(estimator: Any) -> bool:
    return not isinstance(getattr(estimator, "classes_", None), list)


class MultimodalClassifier(ClassifierMixin, MultimodalPredictor):
    """Classifier of several modalities; any may be missing in a row.

    Each modality has an encoder; a fusion network combines their outputs into one representation,
    from which a head predicts. In training modalities are hidden at random, so that rows that lack
    some can be predicted. Inputs are standardised inside.

    With few rows a network is trained for each fold of `cv`, all in step, and all are kept. Beside
    them stand two linear models: a tuned logistic regression on all columns, with gaps filled and
    marked, and one of each modality alone, on average. Log-probabilities are added up with weights
    that are not negative and have the least loss on rows that none of them has seen, so that the
    result is as linear as these rows ask for, see `linear_share_`.

    Parameters
    ----------
    fusion : {"concat", "mean", "attention", "late"}, default="concat"
        How the encoders' outputs are combined: a hidden layer on all of them side by side, their
        mean, attention over the modalities that a row has, or not at all: "late" predicts from each
        modality and averages numbers, or log-probabilities, with weights that have the least loss
        on the rows held out, anew for the modalities that a row has.

    head_layer_sizes : sequence of int, default=()
        Hidden layers from the fused representation to the prediction.

    modality_dropout : float, default=0.2
        Probability with which a modality is hidden in training; at least one stays in each row.

    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of classes, as in scikit-learn; a list has one dict per task.

    scoring : str or callable, default=None
        The score that early stopping maximises on the held-out rows: a scorer of scikit-learn. None
        is minus the loss.

    modalities : dict, list of str or None, default=None
        Columns of each modality where `X` is an array or flat DataFrame, or the names of those to
        use; see :func:`skmm.check_modalities`.

    encoders : "auto" or dict of str to spec or callable, default="auto"
        Networks of modalities: :class:`skmm.nn.MLP`, :class:`skmm.nn.Conv`,
        :class:`skmm.nn.Tokens`, or a function of ``(input_shape, n_outputs)`` that returns a
        module. Modalities that are not named, and all with "auto", follow their kind: images get
        `Conv`, tokens `Tokens`, all others an `MLP` of `hidden_layer_sizes`. Labels come as
        indicators of their classes.

    hidden_layer_sizes : sequence of int, default=(128,)
        Of the encoders that `encoders` leaves open; empty makes them linear. The last is the width
        of the representation; 64 if there is none.

    activation : str, default="relu"
        "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "softplus" or "identity", in
        fusion and head, and in the networks that `encoders` leaves open.

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
        at least 32 (of few rows a quarter) and at most 512.

    max_epochs : int, default=60
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
        Share of the rows that is held out, stratified by `y`, also if there are several tasks or
        labels: of each class as many as its share says. If they are as many as the classes, each
        class that has two rows is among them.

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
        Seeds the validation rows, initial weights, batches and dropout.

    Attributes
    ----------
    net_ : skmm._nets.Net
        The skorch net; ``net_.module_`` is the module, which holds the network of each split.

    history_ : DataFrame
        One row per epoch: the loss of each task on training batches and on all validation rows,
        learning rate, seconds. ``valid_score`` is the score of `scoring`. Epoch 0 is before
        training.

    linear_share_ : ndarray of shape (n_tasks,)
        How much of the prediction of each task is that of the linear models: their share of the
        weights. 1 is a linear model alone, 0 the networks alone.

    oof_score_ : float
        The score of `scoring`, or of `score`, on the rows held out, each predicted by what has not
        seen it. It is a little too good: the epoch and the weights were chosen on the same rows.
        NaN if no row was held out.

    held_out_ : ndarray of bool, shape (n_members, n_samples)
        Which rows of `fit` each network has not seen; see `predict_members`.

    classes_ : ndarray of shape (n_classes,) or list of them
        The classes; a list with one array per task if there are several. Of labels their numbers.

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
    MultimodalRegressor : For numbers.
    skmm.inspection.modality_importance : The contribution of each modality.

    Notes
    -----
    Data are standardised in double precision; the inputs of encoders are limited to a standard
    deviation outside the training range of each column, and at most ±10. The loss is a mean over
    tasks and rows.

    References
    ----------
    J. Ngiam et al., "Multimodal deep learning", ICML (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from skmm import Modalities, MultimodalClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=300)
    >>> a, b = (y[:, None] + 0.7 * rng.standard_normal((300, 4)) for _ in range(2))
    >>> X = Modalities({"a": a, "b": b})
    >>> model = MultimodalClassifier(random_state=0).fit(X[:200], y[:200])
    >>> model.score(X[200:], y[200:]) > 0.9
    True
    >>> model.predict_proba(X[200:].select("a")).shape
    (100, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **MultimodalPredictor._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        fusion: str = "concat",
        head_layer_sizes: Sequence[int] = (),
        modality_dropout: float = 0.2,
        class_weight: Any = None,
        scoring: str | Callable[..., float] | None = None,
        modalities: Mapping[str, Any] | Sequence[str] | None = None,
        encoders: str | Mapping[str, Any] = "auto",
        hidden_layer_sizes: Sequence[int] = (128,),
        activation: str = "relu",
        normalization: str | None = "layer",
        dropout: float = 0.0,
        optimizer: str | Callable[..., Any] = "adamw",
        lr: float = 1e-3,
        lr_schedule: str | Callable[[float], float] = "onecycle",
        weight_decay: float = 1e-2,
        batch_size: int | str = "auto",
        max_epochs: int = 60,
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
        self.fusion = fusion
        self.head_layer_sizes = head_layer_sizes
        self.modality_dropout = modality_dropout
        self.class_weight = class_weight
        self.scoring = scoring
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
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            One modality or more, of any kind, in any of the forms of
            :func:`skmm.check_modalities`. Modalities may be missing in some rows.
            Large arrays of dask, zarr or h5py are read in blocks, whose rows are mixed a buffer at
            a time: their order is not that of rows in memory.

        y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            Classes; 2-D for several tasks, or 0 and 1 for several labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        groups : array-like of shape (n_samples,), default=None
            Rows of a group are held out together; splitters of `cv` get them. With metadata
            routing they are asked for by ``set_fit_request(groups=True)``.

        Returns
        -------
        self : MultimodalClassifier

        Raises
        ------
        ValueError
            If the data are not usable (the message names the modality), parameters contradict the
            data, or the loss becomes NaN; the estimator is then left as it was before.

        KeyboardInterrupt
            After Ctrl-C; the estimator is then fitted with the epochs so far.
        """
        return self._fit(X, y, sample_weight, groups)

    def predict(self, X: Any) -> Array:
        """Return the most probable classes.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_tasks)
            As in `fit`; of labels those with a probability above one half.
        """
        raw = self._raw(X)
        return self._target.classes_of(raw)

    def predict_proba(self, X: Any) -> Array | list[Array]:
        """Return probabilities.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or list of them
            In the order of `classes_`; a list with one array per task if there are several. Of
            several labels the probability of each.
        """
        raw = self._raw(X)
        return self._target.probabilities_of(raw)

    @available_if(_has_one_task)
    def decision_function(self, X: Any) -> Array:
        """Return logits, if there is one task.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log-odds of the second; for several labels those of each.
        """
        raw = self._raw(X)
        return self._target.decisions_of(raw)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, of several tasks their mean.

        Parameters
        ----------
        X : Modalities, dict, DataFrame or array-like
            Some or all of the modalities of `fit`.

        y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            The true classes.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of rows.

        Returns
        -------
        score : float
            At most 1. Of several labels the share of rows in which all are right.
        """
        warn_of_other_rows(X, y=y, sample_weight=sample_weight)
        found, true = self.predict(X), y.toarray() if hasattr(y, "toarray") else y
        if isinstance(self._target, LabelTargets) or found.ndim == 1:
            return float(accuracy_score(true, found, sample_weight=sample_weight))
        right = np.mean(np.asarray(true) == found, axis=1)
        return float(np.average(right, weights=sample_weight))

    def _in_units(self, raw: Array) -> Any:
        return self._target.probabilities_of(raw)

    def _read_target(self, y: Any, sample_weight: Array | None) -> Array:
        self._target, encoded = read_classes(y, self)
        self.classes_ = self._target.classes
        return encoded

    def _row_weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        balanced = compute_sample_weight(self.class_weight, y)
        return balanced if sample_weight is None else balanced * sample_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
