"""Free Spoken Digit Dataset: waveforms of spoken digits."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import wavfile

from skmm.datasets._base import (
    Loaded,
    RemoteFile,
    check_option,
    fetch_files,
    package,
    register,
    sha256,
)

_RATE = 8000
_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"


def _recordings(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every recording in the archive."""
    with tarfile.open(path) as archive:
        for member in archive:
            place = PurePosixPath(member.name)
            stream = archive.extractfile(member)
            if place.parent.name == "recordings" and place.suffix == ".wav" and stream:
                yield place.stem, stream.read()


def _recordings_sha256(path: Path) -> str:
    """Digest of the recordings alone: archives made from a commit are not stable bytes."""
    digests = sorted(f"{name} {sha256(content)}" for name, content in _recordings(path))
    return sha256("\n".join(digests).encode())


FILES = register(
    [
        RemoteFile(
            "fsdd/fsdd_recordings.tar.gz",
            f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_COMMIT}.tar.gz",
            "892ed746fb080b9944801bb47d42e003bd2113829d94422813983e0bd5253e44",
            _recordings_sha256,
        )
    ]
)


def fetch_fsdd(
    *,
    subset: str = "all",
    duration: float | None = 1.0,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Loaded:
    """Load 3000 recordings of spoken digits: one modality, waveforms of equal length.

    The second modality is the user's to pair: images of the same digits, for instance.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="all"
        The official split: recordings 5-49 of each speaker and digit (2700), recordings 0-4
        (300), or both. Speakers are the same in both.
    duration : float or None, default=1.0
        The length of the waveforms in seconds. Shorter recordings are followed by zeros, longer
        ones are cut (20 of 3000 last longer than a second). None means the longest recording
        loaded, so that nothing is cut.
    data_home : str or path-like, default=None
        The folder of the files, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        Whether files that are found nowhere are downloaded (16 MB). If False they are an error.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Whether ``data`` is a DataFrame with two column levels and ``target`` a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : Modalities or DataFrame
            ``"audio"`` of shape (n_samples, 8000 · duration), float32 in [-1, 1).
        target : ndarray or Series of shape (n_samples,)
            The digit.
        target_names : list of int
            The ten digits.
        feature_names : dict of list of str
            Names of the points in time.
        speakers, takes, lengths : ndarray of shape (n_samples,)
            Name of the speaker, number of the recording (0-49), samples in the whole recording.
        split : ndarray of shape (n_samples,)
            ``"train"`` or ``"test"`` for each row.
        sample_rate : int
            Samples per second: 8000.
        DESCR : str
            The description of the data set.
    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    OSError
        If files are missing and must not or cannot be downloaded.

    Examples
    --------
    >>> from skmm.datasets import fetch_fsdd
    >>> X, y = fetch_fsdd(subset="test", return_X_y=True)  # doctest: +SKIP
    >>> X["audio"].shape  # doctest: +SKIP
    (300, 8000)
    """
    check_option("subset", subset, ["train", "test", "all"])
    if duration is not None and not duration > 0:
        raise ValueError(f"duration must be positive or None, got {duration!r}.")
    paths = fetch_files(FILES, data_home=data_home, download_if_missing=download_if_missing)
    waves = dict(_recordings(*paths.values()))
    table = _table(waves)
    if subset != "all":
        table = table[table["split"] == subset]
    signals = [_signal(waves[name]) for name in table.index]
    lengths = np.array([len(signal) for signal in signals])
    width = lengths.max() if duration is None else round(_RATE * duration)
    audio = np.zeros((len(signals), width), dtype=np.float32)
    for row, signal in zip(audio, signals, strict=True):
        row[: len(signal)] = signal[:width]
    return package(
        {"audio": audio},
        table["digit"].to_numpy(np.int64),
        descr="fsdd",
        return_X_y=return_X_y,
        as_frame=as_frame,
        feature_names={"audio": [f"t{i}" for i in range(width)]},
        target_names=list(range(10)),
        speakers=table["speaker"].to_numpy(object),
        takes=table["take"].to_numpy(np.int64),
        lengths=lengths,
        split=table["split"].to_numpy(str),
        sample_rate=_RATE,
    )


def _table(names: dict[str, bytes]) -> pd.DataFrame:
    """Read the names, digit_speaker_take, and sort by them."""
    rows = [name.split("_") for name in names]
    table = pd.DataFrame(rows, columns=["digit", "speaker", "take"], index=list(names))
    table[["digit", "take"]] = table[["digit", "take"]].astype(np.int64)
    table["split"] = np.where(table["take"] < 5, "test", "train")
    return table.sort_values(["digit", "speaker", "take"])


def _signal(content: bytes) -> NDArray[np.float32]:
    _, samples = wavfile.read(io.BytesIO(content))
    return np.divide(samples, 2**15, dtype=np.float32)
