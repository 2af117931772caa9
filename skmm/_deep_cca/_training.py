"""From training rows to a trained net."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from skmm._deep._estimator import continue_from
from skmm._deep._networks import check_tokens
from skmm._deep_cca._network import deep_network
from skmm._deep_cca._objectives import check_batch_size, check_objective
from skmm._modalities import Modalities
from skmm._nets import Net, TensorData
from skmm._random import seed_of
from skmm.metrics import total_correlation
from skmm.nn._alignment import Alignment, AlignmentObjective

if TYPE_CHECKING:
    from skmm._deep_cca import DeepCCA

Array = np.ndarray
N_AXES = 10_000  # training rows that the axes of the validation score are fitted on


def fit_net(
    model: DeepCCA,
    X: Modalities,
    train: Array,
    valid: Array | None,
    previous: nn.Module | None,
    rng: np.random.RandomState,
) -> Net:
    """Build the networks and train them, from the weights of `previous` ones if given."""
    loss = check_objective(model.objective, X, model.reg_covar)
    batch_size = n_rows_per_step(model.batch_size, model.n_components, len(train))
    check_batch_size(model.objective, batch_size, model.n_components)
    seed = seed_of(rng)
    module = deep_network(model, X, seed)
    check_tokens(X, module)
    if previous is not None:
        continue_from(previous, module)
    data = model._data(X, module)
    axes = np.sort(rng.choice(train, min(N_AXES, len(train)), replace=False))
    return model._train(
        module,
        AlignmentObjective(loss, X.names, model.reconstruction_weight),
        data.subset(train),
        None if valid is None else data.subset(valid),
        batch_size=batch_size,
        seed=seed,
        scoring=partial(score, axes=data.subset(axes)),
    )


def n_rows_per_step(batch_size: int | str, n_components: int, n_samples: int) -> int:
    """Return the batch size; "auto" gives several rows per component and some steps per epoch."""
    if isinstance(batch_size, str):
        batch_size = max(200, 10 * n_components, min(n_samples // 5, 1000))
    return min(batch_size, n_samples)


def score(net: Net, outputs: Alignment, observed: Tensor | None, *, axes: TensorData) -> float:
    """Return the total correlation of validation codes along the axes of training codes.

    With decoders the errors of reconstruction are subtracted, as in the objective.
    """
    row = net.history[-1]
    errors = sum(row[key] for key in row if key.startswith("valid_reconstruction_"))
    names, fitted = net.module_.names, net.outputs(axes)
    return total_correlation(_arrays(names, *fitted), _arrays(names, outputs, observed)) - errors


def _arrays(
    names: tuple[str, ...], outputs: Alignment, observed: Tensor | None
) -> dict[str, Array]:
    codes = [code.double().cpu().numpy() for code in outputs.codes]
    if observed is not None:
        present = observed.cpu().numpy().T
        codes = [np.where(here[:, None], z, np.nan) for here, z in zip(present, codes, strict=True)]
    return dict(zip(names, codes, strict=True))
