"""The content of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from skmm.benchmark._frames import Curve, MethodInfo, TaskInfo
from skmm.benchmark._metrics import Metric
from skmm.benchmark._statistics import Margins


@dataclass(frozen=True)
class Content:
    """Values, descriptions and notes; `summary` has the comparisons with the baseline."""

    frame: pd.DataFrame
    summary: pd.DataFrame
    baseline: str | None
    margins: Margins
    tasks: Mapping[str, TaskInfo]
    methods: Mapping[str, MethodInfo]
    metrics: Mapping[str, Metric]
    provenance: Mapping[str, str]
    notes: Sequence[str]
    warnings: Mapping[str, Sequence[str]]
    curves: Sequence[Curve]
