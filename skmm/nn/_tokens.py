"""Sequences of token ids to vectors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmm.nn._layers import (
    AttentionBlock,
    Dropout,
    check_choice,
    check_heads,
    check_positive,
)

_KINDS = ("lstm", "gru", "attention")
_LONGEST_WAVE = 10_000.0  # Vaswani et al. 2017, section 3.5


class TokenEncoder(nn.Module):
    """Sequences of token ids to vectors: embedding, recurrent or attention layers, linear map.

    Padding is ignored wherever it stands: real tokens move to the front first. The recurrent kinds
    give the state after the last real token, attention the mean over the real tokens. A sequence of
    padding alone gives the same finite result as any other such sequence.

    Parameters
    ----------
    vocabulary_size : int
        Ids are 0, ..., `vocabulary_size` - 1.
    n_outputs : int
        Width of the result.
    embedding_dim : int, default=64
        Width of the embeddings.
    kind : {"lstm", "gru", "attention"}, default="lstm"
        Kind of the layers. Attention layers normalize first, and know of order by
        sinusoids [1]_, so that sequences may have any length.
    hidden_size : int, default=64
        Width of the recurrent state or of the attention layers.
    n_layers : int, default=1
        Number of layers.
    n_heads : int, default=4
        Number of attention heads; divides `hidden_size`. Attention only.
    padding : int, default=0
        The id that fills up short sequences.
    dropout : float, default=0.0
        Probability with which a value is set to zero in training: of embeddings, and of what the
        layers give.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `kind` is unknown, `padding` is not an id, `dropout` is
        not in [0, 1), or `n_heads` does not divide `hidden_size`.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import TokenEncoder
    >>> encoder = TokenEncoder(vocabulary_size=20, n_outputs=3)
    >>> short, long = torch.tensor([[5, 7]]), torch.tensor([[5, 7, 0, 0]])
    >>> encoder(short).shape
    torch.Size([1, 3])
    >>> torch.allclose(encoder(short), encoder(long))
    True
    """

    def __init__(
        self,
        vocabulary_size: int,
        n_outputs: int,
        *,
        embedding_dim: int = 64,
        kind: str = "lstm",
        hidden_size: int = 64,
        n_layers: int = 1,
        n_heads: int = 4,
        padding: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("vocabulary_size", vocabulary_size)
        check_positive("n_outputs", n_outputs)
        check_positive("embedding_dim", embedding_dim)
        check_positive("hidden_size", hidden_size)
        check_positive("n_layers", n_layers)
        check_choice("kind", kind, _KINDS)
        if not 0 <= padding < vocabulary_size:
            raise ValueError(
                f"padding must be an id in [0, {vocabulary_size}), got {padding!r}: "
                "reserve an id for it."
            )
        self.padding = padding
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=padding)
        self.dropout = Dropout(dropout)
        self.body: nn.Module
        if kind == "attention":
            self.body = _Attention(embedding_dim, hidden_size, n_layers, n_heads, dropout)
        else:
            self.body = _Recurrent(kind, embedding_dim, hidden_size, n_layers, dropout)
        self.output = nn.Linear(hidden_size, n_outputs)

    def forward(self, ids: Tensor) -> Tensor:
        """Encode sequences.

        Parameters
        ----------
        ids : integer Tensor of shape (n_samples, n_tokens)
            Ids in [0, vocabulary_size); not checked here, see `check_token_ids`.

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs)
            Their codes.

        Raises
        ------
        TypeError
            If `ids` are not integers.
        """
        _check_integers(ids)
        if ids.shape[1] == 0:  # recurrent layers take no empty sequences
            ids = F.pad(ids, (0, 1), value=self.padding)
        real = ids != self.padding
        order = real.argsort(dim=1, descending=True, stable=True)  # padding goes to the end
        x = self.embedding(ids.gather(1, order).long())
        return self.output(self.body(self.dropout(x), real.sum(dim=1)))


def check_token_ids(ids: Tensor, vocabulary_size: int) -> None:
    """Refuse what are not ids of tokens.

    Parameters
    ----------
    ids : Tensor
        Of any shape.
    vocabulary_size : int
        Ids are 0, ..., `vocabulary_size` - 1.

    Raises
    ------
    TypeError
        If `ids` are not integers.
    ValueError
        If an id is outside the range.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import check_token_ids
    >>> check_token_ids(torch.tensor([[1, 2]]), vocabulary_size=2)
    Traceback (most recent call last):
    ...
    ValueError: Token ids must be in [0, 2), got ids from 1 to 2. Raise vocabulary_size, or give ...
    """
    _check_integers(ids)
    if not ids.numel():
        return
    low, high = (int(bound) for bound in torch.aminmax(ids))
    if low < 0 or high >= vocabulary_size:
        raise ValueError(
            f"Token ids must be in [0, {vocabulary_size}), got ids from {low} to {high}. "
            "Raise vocabulary_size, or give rare and unknown tokens an id of their own."
        )


class _Recurrent(nn.Module):
    """Recurrent layers (N, T, d) → state after the last of `lengths` tokens (N, hidden_size).

    Layers run one way, so what follows the last token cannot matter, and no length has to leave
    the device. torch's own stack of layers would draw its dropout from the global generator.
    """

    def __init__(
        self, kind: str, n_inputs: int, hidden_size: int, n_layers: int, dropout: float
    ) -> None:
        super().__init__()
        layer = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
        widths = [n_inputs, *[hidden_size] * (n_layers - 1)]
        self.layers = nn.ModuleList(layer(w, hidden_size, batch_first=True) for w in widths)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.dropout(layer(x)[0])  # (N, T, hidden_size)
        last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, -1, x.shape[2])
        return x.gather(1, last).squeeze(1) * (lengths > 0)[:, None]


class _Attention(nn.Module):
    """Attention layers (N, T, d) → mean over the first `lengths` tokens (N, hidden_size)."""

    def __init__(
        self, n_inputs: int, hidden_size: int, n_layers: int, n_heads: int, dropout: float
    ) -> None:
        super().__init__()
        check_heads(hidden_size, n_heads)
        self.input = nn.Linear(n_inputs, hidden_size)
        self.blocks = nn.ModuleList(
            AttentionBlock(hidden_size, n_heads, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = self.input(x)
        positions = torch.arange(x.shape[1], device=x.device)
        x = x + _sinusoids(positions, x.shape[2]).to(x.dtype)
        # Attention to nothing may be NaN: without a real token it goes to the first place.
        ignored = positions >= lengths.clamp(min=1)[:, None]
        for block in self.blocks:
            x = block(x, ignored)
        real = (positions < lengths[:, None])[:, :, None]
        total = torch.where(real, self.norm(x), 0.0).sum(dim=1)
        return total / lengths.clamp(min=1)[:, None]


def _sinusoids(positions: Tensor, width: int) -> Tensor:
    """Return sines and cosines of the positions (T, width)."""
    k = torch.arange(0, width, 2, device=positions.device, dtype=torch.float64)
    angles = positions[:, None] * torch.exp(-math.log(_LONGEST_WAVE) * k / width)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


def _check_integers(ids: Tensor) -> None:
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise TypeError(f"Token ids must be integers, got {ids.dtype}: convert them with .long().")
