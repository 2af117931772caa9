"""Text to sequences of token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._base import BaseEstimator
from skmm._modalities._values import as_array
from skmm._parameters import POSITIVE
from skmm.preprocessing._samples import read_samples

_PADDING, _UNKNOWN, _FIRST = 0, 1, 2
_UNKNOWN_TEXT = "<unk>"


class Tokenizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Turn texts into sequences of token ids, as :class:`skmm.nn.Tokens` takes them.

    Texts are cut into tokens by the analyser of
    :class:`~sklearn.feature_extraction.text.CountVectorizer`. Id 0 is padding, which fills short
    texts up at the end; id 1 is any token that fit did not keep. The most frequent token has id
    2, the next one 3, ...; equally frequent ones are in alphabetical order.

    An empty text, or one without any token, is padding throughout. A missing text is something
    else: it is refused here, and left out by :class:`~skmm.compose.PerModality`, whose output
    is of kind ``"tokens"`` after this transformer.

    Parameters
    ----------
    max_length : int, default=None
        The length of all sequences. Longer texts lose their end, in fit as well. None means the
        longest training text.
    max_vocabulary : int, default=None
        How many tokens, the most frequent ones, get an id of their own. None means all.
    min_frequency : int, default=1
        How often a token must occur in the training texts to get an id of its own.
    lowercase : bool, default=True
        Whether upper and lower case are the same.
    strip_accents : {"ascii", "unicode"} or callable, default=None
        How accents are taken off, as in ``CountVectorizer``.
    analyzer : {"word", "char"} or callable, default="word"
        What tokens are: words, characters (white space counts as one blank), or what a function
        of a text returns as a list of str; with a function `lowercase`, `strip_accents` and
        `token_pattern` are not used.
    token_pattern : str, default=r"(?u)\b\w+\b"
        Regular expression of a word. Unlike that of ``CountVectorizer`` the default keeps words
        of a single letter.

    Attributes
    ----------
    output_kind : str
        ``"tokens"``; read by :class:`~skmm.compose.PerModality`.
    vocabulary_ : dict of str to int
        Id of each token that was kept, without padding and unknown.
    vocabulary_size_ : int
        Number of ids, padding and unknown included: what :class:`skmm.nn.Tokens` asks for.
    max_length_ : int
        Length of the sequences.

    Raises
    ------
    TypeError
        If X is no column of texts.
    ValueError
        If a text is missing, or no token is left in fit.

    See Also
    --------
    sklearn.feature_extraction.text.CountVectorizer : Counts instead of sequences.

    Notes
    -----
    The vocabulary is that of the training texts after they were cut to `max_length`, so that
    every id but that of unknown tokens occurs in training.

    Examples
    --------
    >>> from skmm.preprocessing import Tokenizer
    >>> tokenizer = Tokenizer().fit(["A red fox", "a blue fox jumps"])
    >>> tokenizer.vocabulary_
    {'a': 2, 'fox': 3, 'blue': 4, 'jumps': 5, 'red': 6}
    >>> ids = tokenizer.transform(["a green fox", ""])
    >>> ids
    array([[2, 1, 3, 0],
           [0, 0, 0, 0]])
    >>> tokenizer.inverse_transform(ids)
    array(['a <unk> fox', ''], dtype=object)
    """

    output_kind = "tokens"

    _parameter_constraints: dict[str, list[Any]] = {
        "max_length": [POSITIVE, None],
        "max_vocabulary": [POSITIVE, None],
        "min_frequency": [POSITIVE],
        "lowercase": ["boolean"],
        "strip_accents": [StrOptions({"ascii", "unicode"}), None, callable],
        "analyzer": [StrOptions({"word", "char"}), callable],
        "token_pattern": [str],
    }

    def __init__(
        self,
        *,
        max_length: int | None = None,
        max_vocabulary: int | None = None,
        min_frequency: int = 1,
        lowercase: bool = True,
        strip_accents: str | Callable[[str], str] | None = None,
        analyzer: str | Callable[[str], list[str]] = "word",
        token_pattern: str = r"(?u)\b\w+\b",
    ) -> None:
        self.max_length = max_length
        self.max_vocabulary = max_vocabulary
        self.min_frequency = min_frequency
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.analyzer = analyzer
        self.token_pattern = token_pattern

    def fit(self, X: Any, y: Any = None) -> Tokenizer:
        """Learn the vocabulary.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,) or (n_samples, 1)
            Texts.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted transformer.
        """
        self.fit_transform(X)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.int64]:
        """Learn the vocabulary and return the ids of the training texts.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,) or (n_samples, 1)
            Texts.
        y : None
            Ignored.

        Returns
        -------
        ids : ndarray of int64 of shape (n_samples, max_length_)
            Their tokens.

        Raises
        ------
        TypeError
            If `X` does not hold texts.
        ValueError
            If no token occurs `min_frequency` times.
        """
        texts = self._tokens(X, self.max_length)
        counts = Counter(chain.from_iterable(texts))
        _check_tokens(counts)
        kept = [token for token, count in counts.items() if count >= self.min_frequency]
        if not kept:
            raise ValueError(
                f"No token of {len(texts)} texts occurs min_frequency={self.min_frequency} times; "
                f"there are {len(counts)} different ones. Lower min_frequency, or look whether "
                "analyzer and token_pattern suit the texts."
            )
        kept = sorted(kept, key=lambda token: (-counts[token], token))[: self.max_vocabulary]
        self.vocabulary_ = {token: i for i, token in enumerate(kept, start=_FIRST)}
        self.vocabulary_size_ = len(kept) + _FIRST
        self.max_length_ = int(self.max_length or max(map(len, texts)))
        return self._ids(texts)

    def transform(self, X: Any) -> NDArray[np.int64]:
        """Return the ids of the tokens of each text.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,) or (n_samples, 1)
            Texts. What is longer than `max_length_` is cut off.

        Returns
        -------
        ids : ndarray of int64 of shape (n_samples, max_length_)
            Their tokens.
        """
        check_is_fitted(self)
        return self._ids(self._tokens(X, self.max_length_))

    def inverse_transform(self, X: Any) -> NDArray[np.object_]:
        """Return the tokens as text, joined by blanks (characters by nothing).

        Parameters
        ----------
        X : array-like of int of shape (n_samples, n_tokens)
            Ids. Padding is left out wherever it stands, the unknown token is ``"<unk>"``.

        Returns
        -------
        texts : ndarray of str of shape (n_samples,)
            As far as the ids tell: case, punctuation and unknown tokens are lost.

        Raises
        ------
        NotFittedError
            If the tokenizer is not fitted.
        TypeError
            If `X` is not a 2-D array of integers.
        ValueError
            If an id is not in the vocabulary.
        """
        check_is_fitted(self)
        ids = as_array("X of Tokenizer", X)
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise TypeError(
                f"Token ids are a 2-D array of integers, got shape {ids.shape}, dtype {ids.dtype}."
            )
        if ids.size and not 0 <= ids.min() <= ids.max() < self.vocabulary_size_:
            raise ValueError(
                f"Token ids must be in [0, {self.vocabulary_size_}), got ids from {ids.min()} to "
                f"{ids.max()}."
            )
        names = np.array(["", _UNKNOWN_TEXT, *self.vocabulary_], dtype=object)
        blank = "" if self.analyzer == "char" else " "
        texts = np.empty(len(ids), dtype=object)
        texts[:] = [blank.join(names[row[row != _PADDING]]) for row in ids]
        return texts

    def _tokens(self, X: Any, max_length: int | None) -> list[list[str]]:
        """Cut texts into at most `max_length` tokens."""
        texts = read_samples(X, "Tokenizer", "texts")
        strange = [i for i, text in enumerate(texts) if not isinstance(text, str)]
        if isinstance(texts, np.ndarray) or strange:
            got = texts.dtype if isinstance(texts, np.ndarray) else repr(texts[strange[0]])
            raise TypeError(f"Tokenizer takes texts (str), got {got}.")
        analyse = CountVectorizer(
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            analyzer=self.analyzer,
            token_pattern=self.token_pattern,
        ).build_analyzer()
        return [list(analyse(text))[:max_length] for text in texts]

    def _ids(self, texts: list[list[str]]) -> NDArray[np.int64]:
        ids = np.full((len(texts), self.max_length_), _PADDING, dtype=np.int64)
        for row, tokens in zip(ids, texts, strict=True):
            row[: len(tokens)] = [self.vocabulary_.get(token, _UNKNOWN) for token in tokens]
        return ids

    @property
    def _n_features_out(self) -> int:
        return self.max_length_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _check_tokens(tokens: Counter[Any]) -> None:
    strange = next((token for token in tokens if not isinstance(token, str)), None)
    if strange is not None:
        raise TypeError(f"analyzer must return a list of str for each text, got {strange!r} in it.")
