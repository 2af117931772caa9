"""What the columns of a table hold: numbers, dates, categories, text or images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder

from skmm.preprocessing import ImageScaler

Array = np.ndarray
OWN_KINDS = ("numeric", "binary", "count", "categorical", "text", "image")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
N_SCORES = 50  # of a text
N_LEVELS = 50  # of a category that get a column each
FEW = 20  # distinct values that make categories of words
MISSING = "missing"


@dataclass(frozen=True)
class Block:
    """The values of a modality, the transformer that encodes them in each split, and notes."""

    values: Array
    kind: str | None = None
    encoder: Any = None
    notes: list[str] = field(default_factory=list)


class TextScores(TransformerMixin, BaseEstimator):
    """TF-IDF weights of words, and their scores on the first singular vectors."""

    def __init__(self, n_components: int = N_SCORES) -> None:
        self.n_components = n_components

    def fit(self, X: Any, y: Any = None) -> TextScores:
        """Learn words and singular vectors."""
        self.words_ = TfidfVectorizer(sublinear_tf=True)
        weights = self.words_.fit_transform(X)
        most = max(1, min(self.n_components, *(n - 1 for n in weights.shape)))
        self.vectors_ = TruncatedSVD(most, random_state=0).fit(weights)
        return self

    def transform(self, X: Any) -> Array:
        """Return one row of scores for each text."""
        return np.asarray(self.vectors_.transform(self.words_.transform(X)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        return tags


def read_block(
    columns: pd.DataFrame,
    name: str,
    kinds: Mapping[str, str],
    *,
    folder: Path,
    fill: bool,
    size: int,
) -> Block:
    """Return a modality of some columns; images lie relative to a folder.

    `kinds` gives the content of modalities or columns; other columns are guessed. With `fill` an
    empty category is a level of its own and an empty text has no words; else both are missing.
    """
    names = [str(column) for column in columns]
    held = {c: _held(name, columns[c], kinds.get(name, kinds.get(c))) for c in names}
    alone = [column for column, what in held.items() if what in ("text", "image")]
    if alone and len(held) > 1:
        what = held[alone[0]]
        raise ValueError(
            f"Modality {name!r} has {len(held)} columns, and {alone[0]!r} holds {_PLURAL[what]}: "
            f'make that a modality of its own, or say [kinds] {alone[0]} = "categorical".'
        )
    if alone:
        reader = _texts if held[alone[0]] == "text" else _images(folder, size)
        return reader(columns[alone[0]], name, fill)
    return _table(columns, name, kinds.get(name), held, fill)


def shown(names: Sequence[Any], most: int = 8) -> str:
    """Return a list, cut where it is long."""
    words = ", ".join(repr(name) for name in names[:most])
    return f"[{words}]" if len(names) <= most else f"[{words}, ... {len(names)} in all]"


_PLURAL = {"text": "texts", "image": "paths of images"}


def _held(name: str, column: pd.Series, said: str | None) -> str:
    """Return the content of a column: as it is given, or else guessed."""
    if said is None:
        return _guess(name, column)
    if said in ("categorical", "text", "image"):
        return said
    if not is_numeric_dtype(column.dtype):
        words = column.dropna().astype(str)
        _refuse_spoilt_numbers(name, column, words)
        raise ValueError(
            f"Modality {name!r}: {column.name!r} is not numbers, but has {words.iloc[0]!r}: leave "
            f"it out, or do not call it {said!r}."
        )
    return "numeric"


def _guess(name: str, column: pd.Series) -> str:
    """Guess the content of a column from its dtype; of words from their number and length."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categorical"
    if is_datetime64_any_dtype(column.dtype):
        return "date"
    if is_numeric_dtype(column.dtype):
        return "numeric"
    values = column.dropna()
    if strange := [v for v in values if not isinstance(v, (str, bool, int, float))][:1]:
        raise ValueError(
            f"Modality {name!r}: {column.name!r} has cells of {type(strange[0]).__name__}, such as "
            f"{strange[0]!r}: a cell is a number, a word, a text or a path."
        )
    words = values.astype(str)
    if words.str.lower().str.endswith(IMAGES).all():
        return "image"
    if pd.to_datetime(words, format="ISO8601", errors="coerce").notna().all():
        return "date"
    _refuse_spoilt_numbers(name, column, words)
    distinct, length = words.nunique(), words.map(lambda text: len(text.split())).mean()
    if distinct <= min(FEW, len(words) / 2):
        return "categorical"
    if length >= 2:
        return "text"
    if distinct <= len(words) / 2:
        return "categorical"
    raise ValueError(
        f"Modality {name!r}: {column.name!r} has {distinct} different values of one word in "
        f"{len(words)} rows, such as {words.iloc[0]!r}. Names of rows are no data: leave the "
        f'column out. Dates are written 2021-03-04. Else say: [kinds] {column.name} = "categorical"'
        ' or "text".'
    )


def _refuse_spoilt_numbers(name: str, column: pd.Series, words: pd.Series) -> None:
    """Refuse numbers among which stand signs, which would be taken for words."""
    bad = words[pd.to_numeric(words, errors="coerce").isna()]
    if len(bad) <= len(words) / 2:
        signs = list(dict.fromkeys(bad))
        raise ValueError(
            f"Modality {name!r}: {column.name!r} has numbers, but also {shown(signs, 4)} in "
            f"{len(bad)} of {len(words)} rows. If that means an empty cell say so at the top of "
            f"the TOML file: empty = {_toml(signs[:4])}. If the column is a category: [kinds] "
            f'{column.name} = "categorical".'
        )
    plain = words.str.replace(r"[\s,'%$€£]|[a-zA-Z]+$", "", regex=True)
    if words.str.contains(r"\d").all() and pd.to_numeric(plain, errors="coerce").notna().all():
        raise ValueError(
            f"Modality {name!r}: {column.name!r} looks like numbers with separators or units, such "
            f"as {words.iloc[0]!r}: write plain numbers. If the column is a category: [kinds] "
            f'{column.name} = "categorical".'
        )


def _toml(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _table(
    columns: pd.DataFrame, name: str, kind: str | None, held: Mapping[str, str], fill: bool
) -> Block:
    """Return numbers, and the numbers of the levels of categories."""
    notes: list[str] = []
    values = np.empty(columns.shape)
    levels = {}
    for j, (column, what) in enumerate(held.items()):
        if what == "categorical":
            values[:, j], levels[j] = _codes(columns[column], fill)
        elif what == "date":
            values[:, j] = _days(columns[column])
        else:
            values[:, j] = columns[column].to_numpy(dtype=float, na_value=np.nan)
    names = list(columns)
    if dates := [column for column, what in held.items() if what == "date"]:
        notes.append(f"{name!r} takes {shown(dates)} for dates: days since 1970-01-01.")
    if not levels:
        return Block(values, kind, None, notes)
    told = ", ".join(f"{names[j]!r} ({_few(words)})" for j, words in levels.items())
    notes.append(
        f"{name!r} takes {told} for categories: a column of 0 and 1 for each level"
        + (f", at most {N_LEVELS}." if max(map(len, levels.values())) > N_LEVELS else ".")
    )
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=N_LEVELS, sparse_output=False
    )
    steps = [("categories", encoder, list(levels))]
    kind = "categorical" if len(names) == 1 else None
    return Block(values, kind, ColumnTransformer(steps, remainder="passthrough"), notes)


def _codes(column: pd.Series, fill: bool) -> tuple[Array, list[str]]:
    """Return the numbers of levels in alphabetical order, and their names.

    An empty cell is the last level with `fill`, else NaN.
    """
    codes, found = pd.factorize(column.astype(object).map(str, na_action="ignore"), sort=True)
    empty = codes < 0
    levels = [*map(str, found), *([MISSING] if fill and empty.any() else [])]
    return np.where(empty, len(found) if fill else np.nan, codes), levels


def _few(words: Sequence[str], most: int = 5) -> str:
    return ", ".join(words) if len(words) <= most else f"{len(words)} levels"


def _days(column: pd.Series) -> Array:
    times = pd.to_datetime(column, format="ISO8601", utc=True)
    return ((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).to_numpy(dtype=float)


def _texts(column: pd.Series, name: str, fill: bool) -> Block:
    texts = column.astype(object).map(str, na_action="ignore")
    values = np.array([("" if fill else None) if pd.isna(t) else t for t in texts], dtype=object)
    note = (
        f"{name!r} is text: TF-IDF weights of its words, and their scores on at most {N_SCORES} "
        "singular vectors."
    )
    return Block(values, "categorical", TextScores(), [note])


def _images(folder: Path, size: int) -> Callable[[pd.Series, str, bool], Block]:
    """Return a function that reads the images at the paths of a column."""

    def read(column: pd.Series, name: str, fill: bool) -> Block:
        there = column.notna().to_numpy()
        paths = [folder / str(path) for path in column[there]]
        if lost := [path for path in paths if not path.is_file()]:
            raise FileNotFoundError(
                f"Modality {name!r}: {len(lost)} of {len(paths)} images are not there, the first "
                f"is {lost[0]}. Paths are relative to the folder of the table."
            )
        images = _pixels(name, paths, size)
        values = np.full((len(column), *images.shape[1:]), np.nan, dtype=np.float32)
        values[there] = images
        grey = " grey" if images.shape[1] == 1 else ""
        note = f"{name!r} is {len(paths)}{grey} images, each stretched to {size} x {size} pixels."
        return Block(values, "image", None, [note])

    return read


def _pixels(name: str, paths: Sequence[Path], size: int) -> Array:
    """Return images N x C x H x W in [0, 1], with one channel if none has colours."""
    scaler = ImageScaler(size=(size, size), mode="RGB")
    parts = []
    for path in paths:
        try:
            parts.append(scaler.fit_transform([path]))
        except (OSError, ValueError) as error:
            raise ValueError(f"Modality {name!r}: {path} cannot be read: {error}") from error
    images = np.concatenate(parts)
    grey = (images[:, :1] == images).all()
    return images[:, :1] if grey else images
