"""Provenance of results: versions, hardware, date, splits, seeds."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

from joblib import effective_n_jobs

from skmm._machine import PACKAGES, machine


def provenance(
    *,
    command: str | None,
    splits: str,
    random_state: int,
    n_seeds: int,
    n_jobs: int | None,
) -> dict[str, str]:
    """Return label and text of everything that a reader needs to repeat a run."""
    return {
        "command": command or "from Python",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "parallel": f"{effective_n_jobs(n_jobs)} processes of one thread each",
        **machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "outer splits": splits,
        "seed": f"{random_state}; {n_seeds} per method and split",
    }
