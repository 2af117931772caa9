"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".unfinished-"  # follows the name of the file in that of a temporary one


@contextmanager
def replacing(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Give the path of a temporary file that takes the place of `path` at the end.

    After an error `path` is as it was, and the temporary file is gone. With `durable` the content
    is on the disk before it takes the name, so that not even a power cut leaves half a file.
    """
    path = Path(path)
    # After the name, since torch writes to no file whose name begins with a dot.
    temporary = path.with_name(f"{path.name}{UNFINISHED}{uuid4().hex}")
    try:
        yield temporary
        if durable:
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
