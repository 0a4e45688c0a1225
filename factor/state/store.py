"""JSON on disk that is either the old or the new one, and the records of all operations in it."""

from __future__ import annotations

import errno
import json
import math
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from factor.errors import FactorError, NoRoomError
from factor.files import sync_folder, whole
from factor.state.records import Record
from factor.workspace import Workspace, run_order

Value = TypeVar("Value")

#: Format of the records' files; a newer one is refused.
RECORD_VERSION = 1


def write_json(path: Path, content: Mapping[str, Any], version: int) -> None:
    """Write a JSON file atomically: whoever reads it finds the old or the new one, never a part.

    Parameters
    ----------
    path : Path
        The file; its folder is made when it is not there.
    content : mapping
        What to write; paths become strings, non-finite numbers null.
    version : int
        Number of the format, kept in the file as ``version``.
    """
    plain = as_json({"version": version, **content})
    text = json.dumps(plain, indent=1, allow_nan=False) + "\n"
    try:
        with whole(path) as draft, draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise NoRoomError(
            f"{path} can't be written: {error.strerror or error}",
            "make room or correct the permissions, then run again",
        ) from error
    sync_folder(path.parent)


def as_json(value: Any) -> Any:
    """What JSON can hold: paths become strings, numbers that are none become null."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def reserve(path: Path) -> None:
    """Take the disk space of a file that is to be written through memory.

    Without it a disk that fills up would end the process by a signal, with no message.

    Raises
    ------
    FactorError
        When there is not enough.
    """
    try:
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
            return
        raise FactorError(
            f"{path} can't be written: {error.strerror or error}", "make room, then run again"
        ) from error


def read_json(path: Path, version: int, remedy: str) -> dict[str, Any] | None:
    """Read a JSON file of `write_json`.

    Parameters
    ----------
    path : Path
        The file.
    version : int
        Newest format that is understood.
    remedy : str
        What the user can do when the file is broken.

    Returns
    -------
    dict or None
        The content, with ``version``; None when there is no such file.

    Raises
    ------
    FactorError
        When the file is half-written, not JSON, or of a newer format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FactorError(f"{path} can't be read: {error}", remedy) from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise FactorError(f"{path} is damaged (line {error.lineno}: {error.msg})", remedy) from error
    found = content.get("version") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(found, int):
        raise FactorError(f"{path} is not a state file of Factor: it names no version", remedy)
    if found > version:
        raise FactorError(
            f"{path} has format {found}, this Factor knows formats up to {version}",
            "go on with the newer Factor that wrote it, or start in another working directory",
        )
    return content


def read_value(
    path: Path, version: int, remedy: str, make: Callable[[dict[str, Any]], Value]
) -> Value | None:
    """Read a JSON file of `write_json` as what it stands for.

    Parameters
    ----------
    path, version, remedy
        As for `read_json`.
    make : callable
        Makes the value of the content; its KeyError, TypeError and ValueError mean damage.

    Returns
    -------
    Value or None
        None when there is no such file.

    Raises
    ------
    FactorError
        As `read_json`, and when an entry is missing or wrong.
    """
    content = read_json(path, version, remedy)
    try:
        return None if content is None else make(content)
    except (KeyError, TypeError, ValueError) as error:
        raise FactorError(f"{path} is damaged: wrong or missing entry {error}", remedy) from error


class StateStore:
    """The records of a run's operations, one JSON file per operation and direction.

    Parameters
    ----------
    workspace : Workspace
        The working directory.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()

    def load(self, operation: str, direction: str) -> Record | None:
        """Read one record.

        Parameters
        ----------
        operation, direction : str
            What it is of, e.g. ``"facetselfcal"``, ``"facet_patch_12"``.

        Returns
        -------
        Record or None
            None when the operation never started.

        Raises
        ------
        FactorError
            When the file is damaged or of a newer format.
        """
        path = self._workspace.record(operation, direction)
        remedy = f"delete {path}: the operation then starts again"
        return read_value(path, RECORD_VERSION, remedy, Record.from_json)

    def save(self, record: Record) -> None:
        """Write one record atomically, in place of an older one.

        Parameters
        ----------
        record : Record
            What to keep.
        """
        path = self._workspace.record(record.operation, record.direction)
        with self._lock:
            write_json(path, record.to_json(), RECORD_VERSION)

    def all(self) -> tuple[Record, ...]:
        """Read every record, sorted by operation in the order of a run, then direction."""
        found = (self.load(*names) for names in self._workspace.records())
        records = (record for record in found if record is not None)
        return tuple(sorted(records, key=lambda r: (run_order(r.operation), r.direction)))
