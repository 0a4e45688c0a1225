"""Tables of casacore: opened with a message that a user can read, and brought to the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from factor.errors import FactorError

if TYPE_CHECKING:
    from casacore.tables import table as Table  # noqa: N812


def open_table(ms: Path, *, readonly: bool = True) -> Table:
    """Open a measurement set.

    Raises
    ------
    FactorError
        When it cannot be opened.
    """
    from casacore import tables

    try:
        return tables.table(str(ms), readonly=readonly, ack=False)
    except RuntimeError as error:
        raise FactorError(f"{ms} can't be opened: {error}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within: what keeps data from being written (a full disk, above all) is told in words.

    Raises
    ------
    FactorError
        With the file, and what to do.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # casacore raises the latter
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FactorError(
            f"{path} can't be written: {reason}", "make room or correct the permissions, then run again"
        ) from error


def header_of(ms: Path, column: str) -> dict[str, str]:
    """The small file that describes a tiled column, by name, as hexadecimal text.

    casacore empties it and writes it anew, the same, whenever the column was written: a death
    in between leaves a measurement set that cannot be opened.
    """
    with open_table(ms) as main:
        info = main.getdminfo(column)
    if not info["TYPE"].startswith("Tiled"):
        return {}
    path = ms / f"table.f{info['SEQNR']}"
    return {path.name: path.read_bytes().hex()}


def give_back(ms: Path, header: Mapping[str, str]) -> None:
    """Put back what `header_of` gave, where it is damaged."""
    for name, content in header.items():
        path, whole = ms / Path(name).name, bytes.fromhex(content)
        if not path.exists() or path.read_bytes() != whole:
            path.write_bytes(whole)


def sync_table(ms: Path) -> None:
    """Bring a table's files to the disk."""
    for name in sorted(ms.glob("table.*")):
        with name.open("rb") as stream:
            os.fsync(stream.fileno())
