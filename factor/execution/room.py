"""Space on disks: what operations need is compared with what is free before they begin."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from factor.errors import NoRoomError


@dataclass(frozen=True)
class Needs:
    """What an operation needs of the disks at most, bytes: for intermediate data, and for products."""

    scratch: float
    products: float


def size_of(folder: Path) -> float:
    """Bytes on disk of all that is in a folder now."""
    total = 0
    # What tools delete meanwhile is passed over, folders as well as files.
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += Path(place, name).lstat().st_blocks * 512
    return float(total)


class Room:
    """What the operations that run at the same time have said that they need."""

    def __init__(self) -> None:
        self._claims: dict[Path, float] = {}
        self._lock = threading.Lock()

    def claim(self, what: str, needs: Mapping[Path, float]) -> None:
        """Claim space in folders; what is there already counts.

        Parameters
        ----------
        what : str
            Who needs it, for the message.
        needs : dict of Path to float
            Bytes by folder.

        Raises
        ------
        NoRoomError
            When the disk of one has less than that left beside other claims.
        """
        for folder in needs:
            folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            others = {folder: size for folder, size in self._claims.items() if folder not in needs}
            for device in {_device(folder) for folder in needs}:
                need, taken = _missing(needs, device), _missing(others, device)
                ours = [folder for folder in needs if _device(folder) == device]
                free = shutil.disk_usage(ours[0]).free
                if need > free - taken:
                    beside = f", of which what runs beside it needs {taken / 1e9:.3g} GB" if taken else ""
                    raise NoRoomError(
                        f"{what} needs about {need / 1e9:.3g} GB more in {' and '.join(map(str, ours))}; "
                        f"{free / 1e9:.3g} GB are free there{beside}",
                        "make room there, or set dir_local and dir_local_selfcal to a larger disk (and "
                        "ndir_per_node lower, if it is above 1), and run again: what is done is kept",
                    )
            self._claims = {**others, **needs}

    def give_back(self, *folders: Path) -> None:
        """End the claims on folders."""
        with self._lock:
            for folder in folders:
                self._claims.pop(folder, None)


def _device(folder: Path) -> int | None:
    return folder.stat().st_dev if folder.exists() else None


def _missing(claims: Mapping[Path, float], device: int | None) -> float:
    """What of claims on a disk is not there yet."""
    here = {folder: size for folder, size in claims.items() if _device(folder) == device}
    return sum(max(0.0, size - size_of(folder)) for folder, size in here.items())
