"""Sound to images: spectrograms on the mel scale, in decibels."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT, get_window
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from skmm._base import BaseEstimator, fits_or_changes_nothing
from skmm._modalities._chunks import SMALL, row_chunks
from skmm._modalities._values import as_array
from skmm._parameters import POSITIVE, Numbers
from skmm.preprocessing._samples import MARK_MISSING, read_samples

Array = NDArray[Any]

_SHORTEST_WINDOW = 0.025  # seconds
_LONGEST_WINDOW = 24  # as a power of two, in samples
_LOUDEST = 1e100  # its square can be summed in double precision
_HERTZ_PER_MEL, _KNEE, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27  # Slaney 1998


class LogMel(TransformerMixin, BaseEstimator):
    r"""Turn waveforms into images: power over time and mel frequency, in decibels.

    The value of a clip in band :math:`m` and frame :math:`t` is

    .. math:: \max\Bigl(10 \log_{10} \frac{S_{mt}}{r}, \; \text{floor}\Bigr), \qquad
              S_{mt} = \sum_f W_{mf} |X_{ft}|^2,

    :math:`X` being the short-time Fourier transform with Hann windows, whose centres are at
    samples 0, `hop_length`, 2 · `hop_length`, ... of a clip with zeros around it, and :math:`W`
    triangles of equal area between frequencies that are equally far apart on Slaney's mel
    scale [1]_. Integers of 16 and 32 bits are divided by :math:`2^{15}` and :math:`2^{31}`.

    After this transformer the output of :class:`~skmm.compose.PerModality` is of kind
    ``"image"``.

    Parameters
    ----------
    sampling_rate : float
        Samples per second. It has no default, since a wrong one gives wrong frequencies and no
        error.
    n_mels : int, default=64
        Number of mel bands: the height of the image.
    n_fft : int, default=None
        Length of a window, in samples. None means the smallest power of two that lasts 25 ms:
        256 at 8 kHz, 512 at 16 kHz, 2048 at 44.1 kHz.
    hop_length : int, default=None
        Samples from one frame to the next. None means a half of the window.
    f_min : float, default=0.0
        Lower end of the lowest band, in Hz.
    f_max : float, default=None
        Upper end of the highest band, in Hz. None means half of the sampling rate.
    n_frames : int, default=None
        Number of frames: the width of the image. Longer clips are cut, shorter ones filled up
        with `floor`. None means the longest training clip.
    reference : "max" or float, default="max"
        The power :math:`r` of 0 dB. "max" is the largest :math:`S_{mt}` of the clip, so that its
        loudness does not matter; a number keeps loudness.
    floor : float, default=-80.0
        The smallest value, in dB. Silence has it.

    Attributes
    ----------
    output_kind : str
        ``"image"``; read by :class:`~skmm.compose.PerModality`.
    n_fft_ : int
        Length of a window.
    hop_length_ : int
        Samples from one frame to the next.
    n_frames_ : int
        Number of frames.
    filters_ : ndarray of shape (n_mels, n_fft_ // 2 + 1)
        The triangles :math:`W`.
    mel_frequencies_ : ndarray of shape (n_mels,)
        Frequencies at the tips of the triangles, in Hz.

    Raises
    ------
    TypeError
        If X is no array or list of waveforms.
    ValueError
        If clips are empty, not 1-D, or not finite, or if a mel band is so narrow that no frequency
        of the transform falls into it.

    See Also
    --------
    ImageScaler : The same for images.

    References
    ----------
    .. [1] M. Slaney, "Auditory Toolbox, version 2", Interval Research Corporation, technical
       report 1998-010, function `mfcc`: 200/3 Hz per mel up to 1 kHz; above, 27 mel from each
       frequency to 6.4 times it.

    Examples
    --------
    >>> import numpy as np
    >>> from skmm.preprocessing import LogMel
    >>> t = np.arange(8000) / 8000
    >>> tones = [np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 1760 * t[:4000])]
    >>> log_mel = LogMel(sampling_rate=8000).fit(tones)
    >>> images = log_mel.transform(tones)
    >>> images.shape
    (2, 1, 64, 63)
    >>> log_mel.mel_frequencies_[images[:, 0, :, 10].argmax(axis=1)].round()
    array([ 433., 1765.])
    """

    output_kind = "image"

    _parameter_constraints: dict[str, list[Any]] = {
        "sampling_rate": [Numbers(Real, 0, None, closed="neither")],
        "n_mels": [POSITIVE],
        "n_fft": [Numbers(Integral, 2, None, closed="left"), None],
        "hop_length": [POSITIVE, None],
        "f_min": [Numbers(Real, 0, None, closed="left")],
        "f_max": [Numbers(Real, 0, None, closed="neither"), None],
        "n_frames": [POSITIVE, None],
        "reference": [StrOptions({"max"}), Numbers(Real, 0, None, closed="neither")],
        "floor": [Numbers(Real, None, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        sampling_rate: float,
        n_mels: int = 64,
        n_fft: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_frames: int | None = None,
        reference: str | float = "max",
        floor: float = -80.0,
    ) -> None:
        self.sampling_rate = sampling_rate
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.f_min = f_min
        self.f_max = f_max
        self.n_frames = n_frames
        self.reference = reference
        self.floor = floor

    @_fit_context(prefer_skip_nested_validation=True)
    @fits_or_changes_nothing
    def fit(self, X: Any, y: Any = None) -> LogMel:
        """Learn the number of frames and make the filters.

        Parameters
        ----------
        X : array of shape (n_samples, n_times), or list of 1-D arrays
            Waveforms.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted transformer.

        Raises
        ------
        ValueError
            If `X` holds no waveforms, `f_min` and `f_max` are not in order and at most half of
            `sampling_rate`, or `sampling_rate` is too high for the default of `n_fft`.
        """
        clips = _read_clips(X)
        f_max = self.sampling_rate / 2 if self.f_max is None else self.f_max
        if not self.f_min < f_max <= self.sampling_rate / 2:
            raise ValueError(
                f"Expected f_min < f_max <= sampling_rate / 2 = {self.sampling_rate / 2}, got "
                f"f_min={self.f_min!r}, f_max={self.f_max!r}."
            )
        window = int(np.ceil(np.log2(max(2, _SHORTEST_WINDOW * self.sampling_rate))))
        if self.n_fft is None and window > _LONGEST_WINDOW:
            raise ValueError(
                f"sampling_rate={self.sampling_rate!r} (in Hz) asks for windows of 2**{window} "
                "samples: give n_fft."
            )
        self.n_fft_ = self.n_fft or 2**window
        self.hop_length_ = self.hop_length or self.n_fft_ // 2
        self.n_frames_ = self.n_frames or 1 + max(map(len, clips)) // self.hop_length_
        edges = _hertz(np.linspace(_mel(self.f_min), _mel(f_max), self.n_mels + 2))
        self.mel_frequencies_ = edges[1:-1]
        self.filters_ = _triangles(edges, np.fft.rfftfreq(self.n_fft_, 1 / self.sampling_rate))
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the spectrograms.

        Parameters
        ----------
        X : array of shape (n_samples, n_times), or list of 1-D arrays
            Waveforms.

        Returns
        -------
        images : ndarray of float32 of shape (n_samples, 1, n_mels, n_frames_)
            In dB; low frequencies first.
        """
        check_is_fitted(self)
        clips = _read_clips(X)
        out = np.full((len(clips), 1, self.n_mels, self.n_frames_), self.floor, dtype=np.float32)
        width = 2 * self.filters_.shape[1] * self.n_frames_  # of a complex spectrogram
        for rows in row_chunks(len(clips), width, SMALL):
            decibels = self._decibels(self._power(clips[rows]))
            out[rows, 0, :, : decibels.shape[2]] = decibels
        return out

    def _power(self, clips: list[Array]) -> Array:
        """Return S of clips, 0 after the end of each: (n_clips, n_mels, at most n_frames_)."""
        n_frames = np.array([min(1 + len(c) // self.hop_length_, self.n_frames_) for c in clips])
        n_used = (n_frames.max() - 1) * self.hop_length_ + self.n_fft_  # by any of the frames
        waves = np.zeros((len(clips), n_used))
        for wave, clip in zip(waves, clips, strict=True):
            wave[: len(clip)] = clip[:n_used]
            if clip.dtype.kind == "i":
                wave /= 2.0 ** (8 * clip.itemsize - 1)
        window = get_window("hann", self.n_fft_)
        transform = ShortTimeFFT(window, self.hop_length_, self.sampling_rate)
        spectrograms = transform.spectrogram(waves, p0=0, p1=n_frames.max())
        is_after = np.arange(n_frames.max()) >= n_frames[:, None]
        return np.where(is_after[:, None], 0.0, self.filters_ @ spectrograms)

    def _decibels(self, power: Array) -> Array:
        """Return dB relative to `reference`, at least `floor`."""
        reference: Any = self.reference
        if reference == "max":
            loudest = power.max(axis=(1, 2), keepdims=True)
            reference = np.where(loudest > 0, loudest, 1.0)  # silence stays silent
        ratio = np.maximum(power / reference, np.finfo(float).tiny)
        return np.maximum(10 * np.log10(ratio), self.floor)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False  # not only: PerModality flattens for those that say so
        return tags


def _read_clips(X: Any) -> list[Array]:
    """Return the waveforms, checked but not copied."""
    samples = read_samples(X, "LogMel", "waveforms")
    clips = [as_array(f"Waveform {i}", clip) for i, clip in enumerate(samples)]
    for i, clip in enumerate(clips):
        if clip.ndim != 1 or len(clip) == 0:
            raise ValueError(
                f"Waveform {i} has shape {clip.shape}; expected (n_times,), one or more. Average "
                "the channels of stereo sound; put a single waveform into a list."
            )
        if clip.dtype.kind != "f" and clip.dtype.str[1:] not in ("i2", "i4"):
            raise ValueError(
                f"Waveform {i} has dtype {clip.dtype}; expected floats, int16 or int32. Convert it "
                "with .astype."
            )
        if not np.isfinite(clip).all():
            raise ValueError(f"Waveform {i} contains NaN or infinity. {MARK_MISSING}")
        if clip.dtype.kind == "f" and float(np.abs(clip).max()) > _LOUDEST:
            raise ValueError(f"Waveform {i} has values beyond {_LOUDEST:g}: scale it to [-1, 1].")
    return clips


def _mel(frequency: float) -> float:
    """Return Slaney's mel of a frequency in Hz: linear up to 1 kHz, logarithmic above."""
    if frequency < _KNEE:
        return frequency / _HERTZ_PER_MEL
    return _KNEE / _HERTZ_PER_MEL + np.log(frequency / _KNEE) / _LOG_STEP


def _hertz(mel: Array) -> Array:
    above = np.maximum(mel - _KNEE / _HERTZ_PER_MEL, 0)
    return np.where(above > 0, _KNEE * np.exp(_LOG_STEP * above), mel * _HERTZ_PER_MEL)


def _triangles(edges: Array, frequencies: Array) -> Array:
    """Return filters (n_mels, n_frequencies) that rise and fall between edges, of area 1 in Hz."""
    corners = np.lib.stride_tricks.sliding_window_view(edges, 3)
    filters = np.array([np.interp(frequencies, c, [0, 2 / (c[2] - c[0]), 0]) for c in corners])
    if empty := int((filters.max(axis=1) == 0).sum()):
        raise ValueError(
            f"{empty} of {len(filters)} mel bands contain no frequency of a transform of "
            f"{2 * (len(frequencies) - 1)} samples. Lower n_mels, or raise n_fft."
        )
    return filters
