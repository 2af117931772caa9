"""Columns with one value in nearly all rows, as numbers that have no such value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skmm.nn._layers import Drawing


class Ranks(Drawing):
    """Some columns as normal scores of their ranks, ties in random order, and back.

    What is rare in a column then is the tail of a normal variable. A generator that is judged by
    distances leaves rare values out, as they hardly cost anything; it does not leave out tails. How
    far out these begin is calibrated in the end.

    Parameters
    ----------
    columns : sequence of int
        Numbers of the columns.
    values : sequence of Tensor
        The distinct values of each column in training, in ascending order.
    counts : sequence of Tensor
        How often each occurs. Between two that occur once, values are interpolated.
    ahead : pair of Tensors, default=None
        Mean and scale (n_columns,) by which values are standardised before they come here.
    steps : bool, default=False
        Whether nothing is interpolated.
    """

    def __init__(
        self,
        columns: Sequence[int],
        values: Sequence[Tensor],
        counts: Sequence[Tensor],
        *,
        ahead: tuple[Tensor, Tensor] | None = None,
        steps: bool = False,
    ) -> None:
        super().__init__()
        self.columns = list(columns)
        # Not buffers: they keep their precision. Shorter columns end with what is never reached.
        self.known = seen = _padded(values, float("inf"))
        if ahead is not None:
            mean, scale = ahead
            seen = (self.known - mean[:, None]) / scale[:, None]
        self.cuts = (seen[:, 1:] + seen[:, :-1]) / 2  # values come rounded
        self.upper = _padded([c.cumsum(0) / c.sum() for c in counts], 2.0)
        self.share = _padded([c / c.sum() for c in counts], 1.0)
        self.edges = torch.special.ndtri(self.upper.clamp(max=1.0))  # of the scores of each value
        self.slope = _padded(
            [_slopes(v, c) * (not steps) for v, c in zip(values, counts, strict=True)], 0.0
        )
        self._copies: dict[str, tuple[Tensor, ...]] = {}  # by device

    def put_scores(self, values: Tensor, scaled: Tensor) -> Tensor:
        """Return `scaled` (n, ...) with the scores of `values` in these columns.

        Ties are broken by fresh numbers in training, and by the same ones in validation.
        """
        columns, cuts, upper, share = self._tables(values.device)
        flat = values.flatten(1).index_select(1, columns).double().T.contiguous()
        place = torch.searchsorted(cuts, flat)
        rank = upper.gather(1, place) - share.gather(1, place) * self._ties(flat.T).T
        least = share.min() / 2
        scores = torch.special.ndtri(rank.clamp(least, 1 - least)).T
        rows = scaled.flatten(1)
        return rows.index_copy(1, columns, scores.to(rows)).view_as(scaled)

    def calibrate(self, scores: Tensor) -> None:
        """Let scores (n, n_columns) of draws for training rows have the values of training."""
        ordered = scores.double().sort(dim=0).values.T.contiguous()
        last = (self.upper.clamp(max=1.0) * len(scores)).ceil().long().clamp(1, len(scores)) - 1
        edges = ordered.gather(1, last)
        self.edges = torch.where(self.upper >= 1, float("inf"), edges)

    def put_values(self, scores: Tensor, values: Tensor) -> Tensor:
        """Return `values` (..., width), on the CPU, with what `scores` stand for here."""
        known, edges, slope = self.known, self.edges, self.slope
        some = scores[..., self.columns].flatten(0, -2).cpu().double().T.contiguous()
        place = torch.searchsorted(edges, some).clamp(max=edges.shape[1] - 1)
        before, after = edges.gather(1, (place - 1).clamp(min=0)), edges.gather(1, place)
        part = ((some - before) / (after - before)).nan_to_num(0.0).clamp(0, 1)  # of the way up
        found = known.gather(1, place) + slope.gather(1, place) * part
        rows = values.flatten(0, -2)
        return rows.index_copy(1, torch.tensor(self.columns), found.T.to(rows)).view_as(values)

    @torch.inference_mode(False)  # where copies were of no use in training
    def _tables(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return what scores are made of, on a device: it is copied once, not in each step."""
        name = str(device)
        if name not in self._copies:
            tables = torch.tensor(self.columns), self.cuts, self.upper, self.share
            self._copies[name] = tuple(table.to(device) for table in tables)
        return self._copies[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_copies": {}}

    def _ties(self, like: Tensor) -> Tensor:
        generator = self.generator
        if not self.training:
            generator = torch.Generator(like.device).manual_seed(0)
        empty = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        return self._filled(empty, lambda e: e.uniform_(generator=generator))


def _padded(columns: Sequence[Tensor], value: float) -> Tensor:
    columns = [column.double() for column in columns]
    return torch.nn.utils.rnn.pad_sequence(columns, batch_first=True, padding_value=value)


def _slopes(values: Tensor, counts: Tensor) -> Tensor:
    """Return by how much values rise to the next, where both occur once."""
    rise = torch.zeros_like(values, dtype=torch.float64)
    once = counts == 1
    rise[:-1] = torch.where(once[:-1] & once[1:], values.double().diff(), 0.0)
    return rise
