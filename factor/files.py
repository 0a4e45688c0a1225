"""Files that appear whole or not at all, where they will be, and fingerprints of them."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Length of a fingerprint.
DIGEST_LENGTH = 20


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Within: where to write a file, which takes its name at the end; nothing is left when that fails.

    Parameters
    ----------
    path : Path
        The file; its folder is made when it is not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # No pattern that looks for files by their ending finds it.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that the target appears complete or not at all."""
    with whole(target) as draft:
        shutil.copyfile(source, draft)


def place_of(folder: Path) -> Path:
    """The folder, or where it would be made: the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def content_digest(path: Path) -> str:
    """A fingerprint of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGEST_LENGTH]


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
