"""Fusion: one code out of those of several modalities, of which rows may lack some.

The values in the place of a missing code, even NaN, change neither results nor gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skmm.nn._layers import AttentionBlock, FeedForward, check_heads, check_positive


class ConcatFusion(nn.Module):
    """All codes side by side, through a feed-forward network.

    A missing code becomes zeros, and each modality has a further input that is 1 where it is
    missing: the first linear map thereby learns a code to put in its place. Complete rows are as in
    a plain concatenation.

    Parameters
    ----------
    n_inputs : int
        Width of the code of each modality.
    n_modalities : int
        Number of modalities.
    n_outputs : int
        Width of the result.
    hidden_layer_sizes : sequence of int, default=()
        Widths of the hidden layers.
    activation : str, default="relu"
        A key of `ACTIVATIONS`.
    normalization : {"batch", "layer"} or None, default=None
        Between each hidden linear map and its activation.
    dropout : float, default=0.0
        Probability with which an output of a hidden layer is set to zero in training.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import ConcatFusion
    >>> fusion = ConcatFusion(4, n_modalities=2, n_outputs=3)
    >>> image, text = torch.ones(5, 4), torch.full((5, 4), torch.nan)
    >>> observed = torch.tensor([[True, False]] * 5)
    >>> fusion([image, text], observed).isfinite().all()
    tensor(True)
    """

    def __init__(
        self,
        n_inputs: int,
        n_modalities: int,
        n_outputs: int,
        *,
        hidden_layer_sizes: Sequence[int] = (),
        activation: str = "relu",
        normalization: str | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("n_inputs", n_inputs)
        check_positive("n_modalities", n_modalities)
        self.n_modalities = n_modalities
        self.network = FeedForward(
            n_modalities * (n_inputs + 1),
            hidden_layer_sizes,
            n_outputs,
            activation=activation,
            normalization=normalization,
            dropout=dropout,
        )

    def forward(self, codes: Sequence[Tensor], observed: Tensor | None = None) -> Tensor:
        """Fuse.

        Parameters
        ----------
        codes : sequence of Tensors of shape (n_samples, n_inputs)
            One per modality.
        observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
            Which rows have which modality; None means all.

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs)
            The fused codes.

        Raises
        ------
        ValueError
            If the number of codes or the shape of `observed` is not as expected.
        """
        tokens, observed = _tokens(codes, observed, self.n_modalities)
        missing = (~observed).to(tokens.dtype)
        return self.network(torch.cat([tokens.flatten(1), missing], dim=1))


class MeanFusion(nn.Module):
    """The mean of the codes that a row has; zeros for a row that has none.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import MeanFusion
    >>> codes = [torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0], [torch.nan]])]
    >>> MeanFusion()(codes, torch.tensor([[True, True], [True, False]]))
    tensor([[2.],
            [1.]])
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, codes: Sequence[Tensor], observed: Tensor | None = None) -> Tensor:
        """Fuse.

        Parameters
        ----------
        codes : sequence of Tensors of shape (n_samples, n_outputs)
            One per modality.
        observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
            Which rows have which modality; None means all.

        Returns
        -------
        y : Tensor of shape (n_samples, n_outputs)
            The fused codes.

        Raises
        ------
        ValueError
            If the shape of `observed` is not as expected.
        """
        tokens, observed = _tokens(codes, observed, len(codes))
        return tokens.sum(dim=1) / observed.sum(dim=1, keepdim=True).clamp(min=1)


class AttentionFusion(nn.Module):
    """Self-attention over the codes of a row, then a weighted mean with learned attention.

    Each modality adds a learned vector to its code, then the codes that a row has attend to each
    other. A learned query, as in pooling by multi-head attention [1]_, weighs them. A row
    that has none gets zeros.

    Parameters
    ----------
    n_inputs : int
        Width of the code of each modality, and of the result.
    n_modalities : int
        Number of modalities.
    n_heads : int, default=4
        Number of attention heads; divides `n_inputs`.
    n_layers : int, default=1
        Number of layers of self-attention before the pooling.
    dropout : float, default=0.0
        Probability with which a value that a layer gives is set to zero in training.

    Attributes
    ----------
    kinds : torch.nn.Parameter of shape (n_modalities, n_inputs)
        The vector that each modality adds.
    query : torch.nn.Parameter of shape (n_inputs,)
        The query of the pooling.

    References
    ----------
    .. [1] J. Lee et al., "Set transformer: a framework for attention-based
       permutation-invariant neural networks", ICML 2019, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from skmm.nn import AttentionFusion
    >>> fusion = AttentionFusion(8, n_modalities=2)
    >>> image, text = torch.ones(5, 8), torch.full((5, 8), torch.nan)
    >>> observed = torch.tensor([[True, False]] * 5)
    >>> fused, weights = fusion([image, text], observed, return_weights=True)
    >>> fused.shape
    torch.Size([5, 8])
    >>> weights[0].tolist()
    [1.0, 0.0]
    """

    def __init__(
        self,
        n_inputs: int,
        n_modalities: int,
        n_heads: int = 4,
        *,
        n_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(n_inputs, n_heads)
        check_positive("n_modalities", n_modalities)
        check_positive("n_layers", n_layers)
        self.n_modalities = n_modalities
        self.kinds = nn.Parameter(torch.empty(n_modalities, n_inputs))
        self.query = nn.Parameter(torch.empty(n_inputs))
        self.blocks = nn.ModuleList(
            AttentionBlock(n_inputs, n_heads, dropout) for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(n_inputs)
        self.pooling = nn.MultiheadAttention(n_inputs, n_heads, batch_first=True)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw `kinds` and `query` anew, of length about one.

        Parameters
        ----------
        generator : torch.Generator or None, default=None
            None is torch's global generator.
        """
        std = self.query.numel() ** -0.5
        nn.init.normal_(self.kinds, std=std, generator=generator)
        nn.init.normal_(self.query, std=std, generator=generator)

    def forward(
        self,
        codes: Sequence[Tensor],
        observed: Tensor | None = None,
        *,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Fuse.

        Parameters
        ----------
        codes : sequence of Tensors of shape (n_samples, n_inputs)
            One per modality.
        observed : bool Tensor of shape (n_samples, n_modalities) or None, default=None
            Which rows have which modality; None means all.
        return_weights : bool, default=False
            Whether to return the weights of the pooling too.

        Returns
        -------
        y : Tensor of shape (n_samples, n_inputs)
            The fused codes.
        weights : Tensor of shape (n_samples, n_modalities)
            Of each modality, averaged over the heads; they sum to one, and are zero where it is
            missing. Only with ``return_weights=True``.

        Raises
        ------
        ValueError
            If the number of codes or the shape of `observed` is not as expected.
        """
        tokens, observed = _tokens(codes, observed, self.n_modalities)
        some = observed.any(dim=1, keepdim=True)
        ignored = ~observed & some  # attention to nothing may be NaN
        x = tokens + self.kinds
        for block in self.blocks:
            x = block(x, ignored)
        x = self.norm(x)
        query = self.query.expand(len(x), 1, -1)
        y, weights = self.pooling(query, x, x, key_padding_mask=ignored)
        y, weights = y[:, 0] * some, weights[:, 0] * some
        return (y, weights) if return_weights else y


class Fused(nn.Module):
    """A fusion module and a map of its output.

    Parameters
    ----------
    fusion : Module
        Called with the codes and which of them are observed.
    output : Module
        Applied to the result.
    """

    def __init__(self, fusion: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion
        self.output = output

    def forward(self, codes: Sequence[Tensor], observed: Tensor | None = None) -> Tensor:
        """Fuse."""
        return self.output(self.fusion(codes, observed))


def _tokens(
    codes: Sequence[Tensor], observed: Tensor | None, n_modalities: int
) -> tuple[Tensor, Tensor]:
    """Return codes (N, M, d), zero where missing, and which are observed (N, M)."""
    if len(codes) != n_modalities:
        raise ValueError(f"Expected the codes of {n_modalities} modalities, got {len(codes)}.")
    tokens = torch.stack(list(codes), dim=1)
    if observed is None:
        return tokens, tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
    if observed.shape != tokens.shape[:2] or observed.dtype != torch.bool:
        raise ValueError(
            f"observed must be a bool tensor of shape {tuple(tokens.shape[:2])}, got "
            f"{observed.dtype} of shape {tuple(observed.shape)}."
        )
    # A choice, not a product: zero times NaN is NaN, in gradients too.
    return torch.where(observed[:, :, None], tokens, 0.0), observed
