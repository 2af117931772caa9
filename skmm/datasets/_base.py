"""What all loaders share: finding or downloading files, and the forms in which data come back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import Bunch

from skmm._modalities import Modalities

_VARIABLE = "SKMM_DATA"
_REGISTERED: dict[str, RemoteFile] = {}  # every file that a fetcher may download, by its path

Loaded: TypeAlias = Bunch | tuple[Modalities | pd.DataFrame, NDArray | pd.Series | None]
Values: TypeAlias = NDArray | pd.DataFrame | sparse.csr_array
Index: TypeAlias = pd.Index | pd.Series


@dataclass(frozen=True)
class RemoteFile:
    """A public file, and what proves that a download is that file.

    ``path`` is relative to the data home. ``sha256`` is the digest of the file, or, where the
    archive around the content may differ between mirrors, of what ``content`` makes of the file.
    """

    path: str
    url: str
    sha256: str
    content: Callable[[Path], str] | None = None


def remote_files(folder: str, base_url: str, digests: Mapping[str, str]) -> list[RemoteFile]:
    """Describe the files of one folder at ``base_url``: a mapping from file name to SHA-256."""
    files = [
        RemoteFile(f"{folder}/{name}", f"{base_url}/{name}", sha) for name, sha in digests.items()
    ]
    return register(files)


def register(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Make files known to :func:`clear_data_home`."""
    _REGISTERED.update({file.path: file for file in files})
    return list(files)


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder into which files are downloaded.

    Files are looked for in ``data_home``, where it is given, then in the folder that the
    environment variable ``SKMM_DATA`` names, then in the cache; what is in none of them is
    downloaded into the folder that this function returns. ``SKMM_DATA`` is only read.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. None means the user's cache folder, ``pooch.os_cache("skmm")``.

    Returns
    -------
    data_home : pathlib.Path
        The folder. It need not exist.

    Examples
    --------
    >>> from skmm.datasets import get_data_home
    >>> get_data_home("my_data").name
    'my_data'
    """
    if data_home is not None:
        return Path(data_home).expanduser()
    import pooch

    return Path(pooch.os_cache("skmm"))


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete the files that the fetchers downloaded.

    Only files under the names that the fetchers use are deleted, and folders that this leaves
    empty. The folder named by ``SKMM_DATA`` is not touched.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. None means the user's cache folder, ``pooch.os_cache("skmm")``.

    Examples
    --------
    >>> import tempfile
    >>> from skmm.datasets import clear_data_home
    >>> clear_data_home(tempfile.mkdtemp())
    """
    home = get_data_home(data_home)
    for file in _REGISTERED.values():
        (home / file.path).unlink(missing_ok=True)
    folders = {home / parent for path in _REGISTERED for parent in Path(path).parents}
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def find_local(path: str, data_home: str | os.PathLike[str] | None) -> Path | None:
    """Return where a file already lies: in ``data_home``, ``SKMM_DATA`` or the cache."""
    found = (folder / path for folder in _folders(data_home))
    return next((candidate for candidate in found if candidate.is_file()), None)


def fetch_files(
    files: Iterable[RemoteFile],
    *,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
) -> dict[str, Path]:
    """Return where each file lies, by file name, downloading those that are nowhere yet."""
    files = list(files)
    found = {file.path: find_local(file.path, data_home) for file in files}
    missing = [file for file in files if found[file.path] is None]
    if missing and not download_if_missing:
        raise FileNotFoundError(
            "These files are missing and download_if_missing=False: "
            + _remedy(missing, _folders(data_home))
        )
    home = get_data_home(data_home)
    located = {file.path: found[file.path] or _download(file, home) for file in files}
    return {Path(path).name: location for path, location in located.items()}


def check_option(name: str, value: object, valid: Iterable[str]) -> None:
    """Refuse a value that is not among the valid names."""
    valid = list(valid)
    if not (isinstance(value, str) and value in valid):
        raise ValueError(f"{name} must be one of {valid}, got {value!r}.")


def check_frame(as_frame: bool, as_images: bool) -> None:
    """Refuse images in a frame, whose cells are numbers."""
    if as_frame and as_images:
        raise ValueError(
            "as_frame=True needs modalities of two dimensions: leave as_images=False, or ask for "
            "as_frame=False."
        )


def sha256(content: bytes) -> str:
    """Return the SHA-256 digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def encode(labels: Iterable[str], target_names: Sequence[str]) -> NDArray[np.int64]:
    """Return the position of each label in ``target_names``."""
    codes = pd.Index(target_names).get_indexer(pd.Index(list(labels)))
    if np.any(codes < 0):
        raise ValueError(f"Labels must be among {list(target_names)}, got {set(labels)!r}.")
    return codes


def pixel_names(n_rows: int, columns: Iterable[int]) -> list[str]:
    """Name the pixels of some columns of an image, row by row."""
    columns = list(columns)
    return [f"pixel_{row}_{column}" for row in range(n_rows) for column in columns]


def package(
    parts: Mapping[str, Values],
    target: NDArray | None,
    *,
    descr: str,
    return_X_y: bool,
    as_frame: bool,
    missing: Mapping[str, NDArray[np.bool_]] | None = None,
    kinds: Mapping[str, str] | None = None,
    feature_names: Mapping[str, Sequence[str]] | None = None,
    index: Index | None = None,
    target_name: str = "target",
    **extras: object,
) -> Loaded:
    """Return data in the form that was asked for.

    A part that is a DataFrame gives its own feature names; ``feature_names`` gives the others'.
    """
    names = {name: list(columns) for name, columns in (feature_names or {}).items()}
    values: dict[str, NDArray | sparse.csr_array] = {}
    for name, part in parts.items():
        if isinstance(part, pd.DataFrame):
            names[name] = list(part.columns)
        values[name] = part.to_numpy() if isinstance(part, pd.DataFrame) else part
    data: Modalities | pd.DataFrame
    labels: NDArray | pd.Series | None = target
    if as_frame:
        data = _two_level_frame(values, names, index)
        labels = None if target is None else pd.Series(target, data.index, name=target_name)
    else:
        data = Modalities(values, missing=missing, kinds=kinds)
    if return_X_y:
        return data, labels
    return Bunch(data=data, target=labels, feature_names=names, DESCR=read_descr(descr), **extras)


def read_descr(name: str) -> str:
    """Return the description of a data set."""
    return resources.files("skmm.datasets").joinpath("descr", f"{name}.rst").read_text("utf-8")


def _two_level_frame(
    values: Mapping[str, NDArray | sparse.csr_array],
    names: Mapping[str, list[str]],
    index: Index | None,
) -> pd.DataFrame:
    frames = {}
    for name, array in values.items():
        dense = array.toarray() if isinstance(array, sparse.csr_array) else array
        columns = names.get(name) if dense.ndim == 2 else [name]
        frames[name] = pd.DataFrame(dense, index=index, columns=columns)
    return pd.concat(frames, axis=1)


def _folders(data_home: str | os.PathLike[str] | None) -> list[Path]:
    given = [] if data_home is None else [get_data_home(data_home)]
    variable = os.environ.get(_VARIABLE)
    provided = [Path(variable).expanduser()] if variable else []
    cache = [] if data_home is not None else [get_data_home()]
    return given + provided + cache


def _download(file: RemoteFile, home: Path) -> Path:
    import pooch

    destination = home / file.path
    try:
        pooch.retrieve(
            url=file.url,
            known_hash=None if file.content else f"sha256:{file.sha256}",
            fname=destination.name,
            path=destination.parent,
        )
        if file.content and file.content(destination) != file.sha256:
            destination.unlink()
            raise ValueError("its content is not what is expected (SHA-256 differs)")
    except (OSError, ValueError) as error:
        raise OSError(f"Download failed ({error}). {_remedy([file], [home])}") from error
    return destination


def _remedy(files: Sequence[RemoteFile], folders: Sequence[Path]) -> str:
    lines = "".join(f"\n  {file.path} from {file.url}" for file in files)
    places = ", ".join(repr(str(folder)) for folder in folders)
    return (
        f"{lines}\nPut them under these names into one of {places}, or into another folder that "
        f"data_home= or the environment variable {_VARIABLE} names."
    )
