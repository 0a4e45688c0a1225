"""What the run's own log tells a report."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factor.progress.model import Failure
from factor.workspace import FIELD, Workspace

#: The line with which a run begins, and lines that tell of the mosaic's sources.
_BEGIN = re.compile(r"^\S+ \S+ INFO +Factor \S+ with ")
_CHECK = re.compile(r"^\S+ \S+ \w+ +(.* sources of the .* found.*)$")
_LEVEL = re.compile(r"^\S+ \S+ (WARNING|ERROR)\b")
#: Warnings that are shown, and lines of a failed tool's log.
_MOST, _TAIL = 200, 25
#: As much is read of the end of a log, bytes.
_TAIL_BYTES = 20_000


@dataclass(frozen=True)
class Journal:
    """Of the last run.

    Attributes
    ----------
    versions : tuple of str
        Factor, its tools and the machine.
    warnings : tuple of str
        The latest, as they stand in the log.
    count : int
        How many there were.
    checks : tuple of str
        What was said of the mosaic's sources.
    """

    versions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    count: int = 0
    checks: tuple[str, ...] = ()


def read_journal(workspace: Workspace) -> Journal:
    """Read ``factor.log``; what can't be read is left out."""
    versions: list[str] = []
    warnings: deque[str] = deque(maxlen=_MOST)
    checks: list[str] = []
    count = 0
    try:
        with workspace.log.open(errors="replace") as lines:
            for line in lines:
                line = line.rstrip("\n")
                if _BEGIN.match(line):
                    versions, count, checks = [], 0, []
                    warnings.clear()
                if _BEGIN.match(line) or (len(versions) == 1 and " tools: " in line):
                    versions.append(line.split(None, 3)[-1])
                elif found := _CHECK.match(line):
                    checks.append(found[1])
                if _LEVEL.match(line):
                    warnings.append(line)
                    count += 1
    except OSError:
        return Journal()
    return Journal((*versions, *_mosaic_versions(workspace)), tuple(warnings), count, tuple(checks))


def _mosaic_versions(workspace: Workspace) -> list[str]:
    """The versions that a mosaic's header has."""
    for path in sorted(workspace.results.glob(f"fieldmosaic*/{FIELD}/*correct_mosaic.pbcut.fits")):
        from astropy.io import fits

        try:
            header = fits.getheader(path)
        except OSError:
            continue
        history = "\n".join(str(line) for line in header.get("HISTORY", []))
        if found := re.search(r"versions: ([^\n]*(?:\n(?![a-z]+:)[^\n]*)?)", history):
            return [found[1].replace("\n", "")]
    return []


def tails_of(workspace: Workspace, failures: Sequence[Failure]) -> dict[str, str]:
    """The ends of the logs that failures name, by the name they give."""
    return {failure.log: _tail(workspace.resolve(failure.log)) for failure in failures if failure.log}


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_TAIL:])
