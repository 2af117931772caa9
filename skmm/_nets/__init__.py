"""The skorch nets that train the deep estimators: fast batches, objective terms, checkpoints."""

from skmm._nets._adversarial import AdversarialNet
from skmm._nets._callbacks import BestWeights, Checkpoint, Progress, resume
from skmm._nets._data import Batches, TensorData, as_tensor
from skmm._nets._device import usable
from skmm._nets._distributed import check_agreement, join
from skmm._nets._folds import FoldData
from skmm._nets._foreign import check_callbacks, check_net_params
from skmm._nets._lazy import LazyData
from skmm._nets._modules import (
    apply_in_chunks,
    build,
    device_of,
    in_precision,
    n_rows_at_once,
    private_generator,
)
from skmm._nets._net import Net, Outputs
from skmm._nets._schedules import SCHEDULES, constant
from skmm._nets._settings import plain_torch

__all__ = [
    "SCHEDULES",
    "AdversarialNet",
    "Batches",
    "BestWeights",
    "Checkpoint",
    "FoldData",
    "LazyData",
    "Net",
    "Outputs",
    "Progress",
    "TensorData",
    "apply_in_chunks",
    "as_tensor",
    "build",
    "check_agreement",
    "check_callbacks",
    "check_net_params",
    "constant",
    "device_of",
    "in_precision",
    "join",
    "n_rows_at_once",
    "plain_torch",
    "private_generator",
    "resume",
    "usable",
]
