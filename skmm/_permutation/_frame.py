"""Results of tests as text and as frames."""

import numpy as np
import pandas as pd

Array = np.ndarray
MOST = 6  # numbers in a text


def short(values: Array) -> str:
    """Return the first numbers, in few digits."""
    texts = [f"{value:.3g}" for value in values[:MOST]]
    return f"[{', '.join([*texts, '...'] if len(values) > MOST else texts)}]"


def frame_of(**columns: Array) -> pd.DataFrame:
    """Return one row per component."""
    return pd.DataFrame(columns).rename_axis("component")
