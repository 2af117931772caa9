"""Writing and reading files: skops' format, with a checksum of each part."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import skmm.io._plain  # noqa: F401, adds its types to encode and decode
from skmm._atomic import replacing
from skmm._base import decoding, encoding
from skmm._version import __version__
from skmm.io._codec import decode, encode
from skmm.io._trusted import TRUSTED
from skmm.io.parts import stable_name

File = str | Path | BinaryIO
CONTENTS = "skmm.json"  # beside the parts that skops writes
SCHEMA = "schema.json"  # of skops: the objects that the estimator consists of
FORMAT = 2


def dump(estimator: Any, file: File) -> None:
    """Write a fitted estimator to a file that others can load without trusting you.

    Parameters
    ----------
    estimator : estimator
        Of skmm, or one of scikit-learn that holds them: a pipeline, a search, an ensemble.
        Functions, callbacks and networks of one's own are stored by their name.
    file : str, pathlib.Path or binary file
        Where to; ``.skops`` is the usual suffix. A path is replaced when all has been written,
        so that a full disk leaves the former file.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If the estimator holds an object that cannot be stored, such as a lambda; the message names
        it.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    The file is a zip archive in the format of `skops.io`, with the SHA-256 of each of its parts.
    Of a deep estimator's net the module, the history and the learning rate, batch size, seed and
    device are stored. The optimizer's state is not: training goes on from the weights
    (``warm_start=True``), with a new optimizer.

    Examples
    --------
    >>> from tempfile import TemporaryFile
    >>> from skmm import CCA, io
    >>> from skmm.datasets import load_digits_halves
    >>> X, _ = load_digits_halves(return_X_y=True)
    >>> with TemporaryFile() as file:
    ...     io.dump(CCA(2).fit(X), file)
    ...     model = io.load(file)
    >>> model.transform(X).shape
    (1797, 2)
    """
    skops_io = _skops_io()
    if "torch" in sys.modules:  # else the estimator has nothing of torch
        _import_networks()
    with _hook(encoding, encode):
        data = _archive(_with_stable_names(dict(_members(skops_io.dumps(estimator)))))
    if not isinstance(file, str | Path):
        file.write(data)
        return
    with replacing(file) as temporary:
        temporary.write_bytes(data)


def load(file: File, *, trusted: Sequence[str | type] = ()) -> Any:
    """Read an estimator from a file of `dump`, which may come from anyone.

    Nothing in the file is executed, and no type is imported that is neither in `TRUSTED`, nor
    known to skops as harmless, nor in `trusted`.

    Parameters
    ----------
    file : str, pathlib.Path or binary file
        Written by `dump`; a binary file is read from its start.
    trusted : sequence of str or type, default=()
        Other types to trust, by name or type: functions, callbacks and networks of one's own.
        `get_untrusted_types` says which a file needs. Look at each before you trust it: code that
        a file makes run can do anything.

    Returns
    -------
    estimator : estimator
        As it was fitted, on the device it was fitted on; if that is not here on the first of its
        kind, else on the CPU.

    Raises
    ------
    ImportError
        If skops is not installed.
    skops.io.exceptions.UntrustedTypesFoundException
        If the file needs a type that is not trusted; a TypeError.
    ValueError
        If the file is damaged, was changed after it was written, or is no file of `dump`.

    Warns
    -----
    sklearn.exceptions.InconsistentVersionWarning
        If another version of skmm or scikit-learn has written the file.

    See Also
    --------
    dump : Write the file.

    Notes
    -----
    The checksums in the file find accidental damage. Who changes numbers on purpose can change
    the checksums too: loading such a file is harmless, trusting its predictions is not. Compare
    the file's own SHA-256 with one that its author published.

    Examples
    --------
    >>> from io import BytesIO
    >>> from skmm import CCA, io
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> file = BytesIO()
    >>> io.dump(make_pipeline(FunctionTransformer(abs), CCA()), file)
    >>> io.load(file)
    Traceback (most recent call last):
    ...
    skops.io.exceptions.UntrustedTypesFoundException: Untrusted types found in the file: ...
    >>> io.load(file, trusted=[abs])
    Pipeline(steps=[('functiontransformer', FunctionTransformer(func=<built-in function abs>)),
                    ('cca', CCA())])
    """
    if isinstance(trusted, str | type) or not isinstance(trusted, Sequence):
        raise TypeError(f"trusted={trusted!r}: expected a list of types or of their names.")
    skops_io = _skops_io()
    data = _read(file)
    _check_contents(data, file)
    with _hook(decoding, decode), _said_of(file), zipfile.ZipFile(io.BytesIO(data)) as archive:
        if b"torch" in archive.read(SCHEMA):
            _import_networks()
        return skops_io.loads(data, trusted=[*TRUSTED, *map(_name_in_files, trusted)])


def get_untrusted_types(file: File) -> list[str]:
    """Return which types `load` would not trust in a file; nothing is imported or built.

    Parameters
    ----------
    file : str, pathlib.Path or binary file
        Written by `dump`.

    Returns
    -------
    names : list of str
        Full names, in alphabetical order, as `load` takes them in `trusted`.

    Raises
    ------
    ImportError
        If skops is not installed.
    ValueError
        If the file is damaged, was changed after it was written, or is no file of `dump`.

    Examples
    --------
    >>> from io import BytesIO
    >>> from skmm import CCA, io
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> file = BytesIO()
    >>> io.dump(make_pipeline(FunctionTransformer(print), CCA()), file)
    >>> io.get_untrusted_types(file)
    ['builtins.print']
    """
    skops_io = _skops_io()
    data = _read(file)
    _check_contents(data, file)
    with _said_of(file):
        return sorted(set(skops_io.get_untrusted_types(data=data)) - set(TRUSTED))


def _skops_io() -> ModuleType:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("skmm.io needs skops: pip install 'skmm[io]'.") from error
    return skops.io


def _import_networks() -> None:
    """Let `encode` and `decode` know the types of torch."""
    import skmm.io._networks  # noqa: F401


@contextmanager
def _hook(variable: ContextVar, value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _with_stable_names(members: dict[str, bytes]) -> dict[str, bytes]:
    """Name the classes and functions of skmm as they are imported, not where they are defined."""
    schema = json.loads(members[SCHEMA], object_hook=_with_stable_name)
    return {**members, SCHEMA: json.dumps(schema).encode()}


def _with_stable_name(node: dict[str, Any]) -> dict[str, Any]:
    module, name = node.get("__module__"), node.get("__class__")
    if not (isinstance(module, str) and isinstance(name, str)):
        return node  # no object, or a dict of the estimator that has keys of these names
    stable = stable_name(module, name)
    if stable is None:
        raise TypeError(f"skmm.io.dump cannot store {module}.{name}: it is private to skmm.")
    return node | dict(zip(("__module__", "__class__"), stable, strict=True))


def _name_in_files(trusted: str | type) -> str | type:
    module = getattr(trusted, "__module__", None)
    if isinstance(trusted, str) or module is None:
        return trusted  # skops searches the module of ufuncs, which do not name it
    stable = stable_name(module, trusted.__name__)
    return trusted if stable is None else ".".join(stable)


def _archive(members: dict[str, bytes]) -> bytes:
    """Return an archive of members, with their checksums and the versions that wrote them."""
    packages = {name: version(name) for name in ("numpy", "scikit-learn", "skops")}
    contents = {
        "format": FORMAT,
        "versions": {"skmm": __version__, "python": platform.python_version(), **packages},
        "sha256": _checksums(members.items()),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            is_text = name.endswith(".json")
            kind = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
            archive.writestr(name, content, compress_type=kind)
        archive.writestr(CONTENTS, json.dumps(contents, indent=2))
    return buffer.getvalue()


def _checksums(members: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    found = {name: hashlib.sha256(content).hexdigest() for name, content in members}
    return {name: found[name] for name in sorted(found) if name != CONTENTS}


def _read(file: File) -> bytes:
    if isinstance(file, str | Path):
        return Path(file).read_bytes()
    file.seek(0)
    return file.read()


def _check_contents(data: bytes, file: File) -> None:
    """Refuse an archive that is not as it was written."""
    with _said_of(file), zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if CONTENTS not in names:
            raise ValueError(
                f"it has no {CONTENTS}; skmm.io.dump did not write it (skops.io.load reads others)."
            )
        contents = json.loads(archive.read(CONTENTS))
        if contents["format"] != FORMAT:
            raise ValueError(
                f"its format is {contents['format']!r}, this skmm {__version__} reads {FORMAT}."
            )
        found, expected = _checksums(_members(data)), contents["sha256"]
    if len(names) != len(set(names)):
        raise ValueError(f"{_name(file)} cannot be loaded: a part occurs twice.")
    wrong = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
    if wrong:
        raise ValueError(
            f"{_name(file)} is damaged or was changed after it was written: {wrong} "
            "are not what skmm.io.dump wrote."
        )


@contextmanager
def _said_of(file: File) -> Iterator[None]:
    """Name the file in errors that its contents cause, as a ValueError."""
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        yield
    except (UntrustedTypesFoundException, MemoryError, Warning):
        raise
    except Exception as error:  # skops, NumPy, torch and classes raise many types
        raise ValueError(
            f"{_name(file)} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _name(file: File) -> str:
    return str(file) if isinstance(file, str | Path) else "The file"
