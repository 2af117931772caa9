"""The graph of MultimodalClassifier and MultimodalRegressor: encoders, fusion, heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from skmm.nn._layers import ModalityDropout
from skmm.nn._modality_networks import ModalityNetworks

Terms = dict[str, Tensor]
TARGET, WEIGHT = "target of prediction", "weight of rows"  # beside the modalities of a batch


class Task(NamedTuple):
    """The meaning of some columns of the outputs: logits of classes, of labels, or numbers.

    Attributes
    ----------
    name : str
        Of the term of the objective.
    kind : {"classes", "labels", "numbers"}
        "labels" are 0 or 1 independently of each other.
    width : int
        Number of classes, labels or numbers.
    """

    name: str
    kind: str
    width: int


class Prediction(NamedTuple):
    """Outputs (N, width) beside the targets (N, n_targets) and weights (N, 1) of a batch."""

    outputs: Tensor
    target: Tensor
    weight: Tensor | None


class PredictorNetwork(ModalityNetworks):
    """Modalities to outputs, through a fused representation.

    Parameters
    ----------
    fusion : Module or None
        From the codes of the modalities to one. None predicts from each code, learns as if each
        were alone, and averages with `modality_weights`.
    activation : Module
        Of the codes, and of the fused representation.
    heads : sequence of Module
        From the representation to outputs; without `fusion` one for each modality.
    tasks : sequence of Task
        The meaning of the outputs.
    modality_dropout : float
        Probability with which a modality is hidden in training.
    **networks : dict
        Of `ModalityNetworks`.
    """

    def __init__(
        self,
        *,
        fusion: nn.Module | None,
        activation: nn.Module,
        heads: Sequence[nn.Module],
        tasks: Sequence[Task],
        modality_dropout: float,
        **networks: Any,
    ) -> None:
        super().__init__(**networks)
        self.fusion = fusion
        self.activation = activation
        self.heads = nn.ModuleList(heads)
        self.tasks = tuple(tasks)
        self.hide = ModalityDropout(modality_dropout)
        if fusion is None:
            weights = torch.full((len(self.tasks), len(heads)), 1.0 / len(heads))
            self.register_buffer("modality_weights", weights)

    def forward(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Prediction:
        """Predict for a batch of training or validation."""
        target, weight = inputs[TARGET], inputs.get(WEIGHT)
        visible = self.hide(observed, target, len(self.names))
        if self.fusion is None and self.training:
            return self._alone(inputs, observed, visible)
        return Prediction(self._outputs(inputs, observed, visible), target, weight)

    def _alone(
        self, inputs: Mapping[str, Tensor], observed: Tensor | None, visible: Tensor | None
    ) -> Prediction:
        """Predict from each modality: a row has weight for those that it shows."""
        found = self.each(inputs, observed)
        M, weight = found.shape[1], self._present(found, visible)
        if WEIGHT in inputs:
            weight = weight * inputs[WEIGHT]
        target = inputs[TARGET].repeat_interleave(M, 0)
        return Prediction(found.flatten(0, 1), target, weight.reshape(-1, 1))

    def _present(self, like: Tensor, visible: Tensor | None) -> Tensor:
        """Return which modalities (N, M) rows show, as numbers."""
        code = {"": like[:, 0]}
        return self.presence(code, visible).to(like.dtype).expand(len(like), like.shape[1])

    def predict(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Tensor:
        """Return outputs (N, width); modalities that are not in `inputs` are missing."""
        return self._outputs(inputs, observed, observed)

    def each(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Tensor:
        """Return the outputs (N, M, width) of each modality alone, without fusion."""
        codes = self._activated(inputs, observed)
        return torch.stack([head(code) for head, code in zip(self.heads, codes, strict=True)], 1)

    def represent(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Tensor:
        """Return the fused representation (N, k); without fusion the mean of the codes."""
        return self._fused(self._activated(inputs, observed), observed)

    def attention(self, inputs: Mapping[str, Tensor], observed: Tensor | None = None) -> Tensor:
        """Return the weight (N, M) of each modality in the fusion."""
        attention: Any = self.fusion
        return attention.fusion(self._activated(inputs, observed), observed, return_weights=True)[1]

    def _outputs(
        self, inputs: Mapping[str, Tensor], observed: Tensor | None, visible: Tensor | None
    ) -> Tensor:
        codes = self._activated(inputs, observed)
        if self.fusion is not None:
            return self.heads[0](self.activation(self._fused(codes, visible)))
        found = self.each(inputs, observed)
        return self._averaged(found, self._present(found, visible))

    def _activated(self, inputs: Mapping[str, Tensor], observed: Tensor | None) -> list[Tensor]:
        return [self.activation(code) for code in self.encoded(inputs, observed)]

    def _fused(self, codes: Sequence[Tensor], visible: Tensor | None) -> Tensor:
        if self.fusion is not None:
            return self.fusion(codes, visible)
        weights = self.presence({"": codes[0]}, visible).to(codes[0].dtype)
        weights = weights / weights.sum(dim=1, keepdim=True)
        return (torch.stack(list(codes), 1) * weights[:, :, None]).sum(dim=1)

    def _averaged(self, outputs: Tensor, present: Tensor) -> Tensor:
        """Return the mean over modalities of outputs (N, M, width), of classes their logarithms.

        It is weighed anew in each row by the modalities that it has, and multiplied by the sum of
        all weights.
        """
        parts, of_modalities = [], cast(Tensor, self.modality_weights)
        for task, part, weights in zip(
            self.tasks, outputs.split(self._widths(), dim=2), of_modalities, strict=True
        ):
            logs = part.log_softmax(dim=2) if task.kind == "classes" else part
            own = present * weights.to(present.dtype)
            total = own.sum(dim=1, keepdim=True)
            parts.append(weights.sum() * ((own / total)[:, :, None] * logs).sum(dim=1))
        return torch.cat(parts, dim=1)

    def _widths(self) -> list[int]:
        return [task.width for task in self.tasks]


class PredictionObjective(nn.Module):
    """The mean loss of each task: cross-entropy of classes and labels, squared error of numbers.

    Parameters
    ----------
    tasks : sequence of Task
        The meaning of the outputs. Each counts the same.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)

    def forward(self, outputs: Prediction, observed: Tensor | None = None, **inputs: Any) -> Terms:
        """Return a term per task; the objective is their sum."""
        widths = [task.width for task in self.tasks]
        counts = [1 if task.kind == "classes" else task.width for task in self.tasks]
        terms = {}
        parts = zip(
            self.tasks,
            outputs.outputs.split(widths, dim=1),
            outputs.target.split(counts, dim=1),
            strict=True,
        )
        for task, found, target in parts:
            loss = row_losses(task.kind, found, target)
            if outputs.weight is not None:
                loss = loss * outputs.weight[:, 0]
            terms[task.name] = loss.mean() / len(self.tasks)
        return terms


def row_losses(kind: str, outputs: Tensor, target: Tensor) -> Tensor:
    """Return the loss (n,) of each row of one task."""
    if kind == "classes":
        return nn.functional.cross_entropy(outputs, target[:, 0].long(), reduction="none")
    target = target.to(outputs.dtype)
    if kind == "labels":
        loss = nn.functional.binary_cross_entropy_with_logits(outputs, target, reduction="none")
    else:
        loss = (outputs - target).square()
    return loss.mean(dim=1)
