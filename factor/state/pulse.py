"""That a run lives, what it takes, and how it ended, as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from factor.state.store import read_value, write_json
from factor.workspace import Workspace

#: Format of the pulse's file; a newer one is refused.
PULSE_VERSION = 1


@dataclass(frozen=True)
class Pulse:
    """The last sign of life of a run.

    Attributes
    ----------
    started, updated : str
        Begin of the run, and when this was written (ISO 8601 in UTC).
    outcome : str
        ``done``, ``failed`` or ``stopped``; empty while it runs, or when it was killed.
    message : str
        Why it failed.
    memory_mb, peak_memory_mb : float
        Memory of the run and all its tools, at the last look and at most.
    disk_bytes, peak_disk_bytes : int
        Size of the working directory, likewise.
    """

    started: str
    updated: str
    outcome: str = ""
    message: str = ""
    memory_mb: float = 0.0
    peak_memory_mb: float = 0.0
    disk_bytes: int = 0
    peak_disk_bytes: int = 0


def save_pulse(workspace: Workspace, pulse: Pulse) -> None:
    """Write a sign of life, in place of the one before."""
    write_json(workspace.pulse, asdict(pulse), PULSE_VERSION)


def load_pulse(workspace: Workspace) -> Pulse | None:
    """Read the last sign of life.

    Returns
    -------
    Pulse or None
        None when there was none.

    Raises
    ------
    FactorError
        When it is damaged or of a newer format.
    """
    remedy = f"delete {workspace.pulse}: it is only for watching"
    return read_value(workspace.pulse, PULSE_VERSION, remedy, _pulse)


def _pulse(content: Mapping[str, Any]) -> Pulse:
    return Pulse(
        started=str(content["started"]),
        updated=str(content["updated"]),
        outcome=str(content["outcome"]),
        message=str(content["message"]),
        memory_mb=float(content["memory_mb"]),
        peak_memory_mb=float(content["peak_memory_mb"]),
        disk_bytes=int(content["disk_bytes"]),
        peak_disk_bytes=int(content["peak_disk_bytes"]),
    )
