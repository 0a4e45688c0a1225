"""What a run cost, from what `measure.py` noted and from the run's own list of commands."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from factor.observation.model import Observation

_COMMAND = re.compile(r"^# .*\([\d.]+ s, CPU (?P<cpu>[\d.]+) s, [\d.]+ MB\), exit status ")
_BYTES_PER_SAMPLE = 8


@dataclass(frozen=True)
class Cost:
    """Cost of runfactor, all its parts together where it was resumed; NaN where it is not known.

    Attributes
    ----------
    cpu_s : float
        User and system time of Factor and all its children.
    own_share : float
        Part of it that was spent in other programs than DP3 and WSClean.
    parallel : float
        CPU time over cores and wall time.
    disk_ratio : float
        Largest size of the working directory over that of the chunks' data columns.
    """

    wall_s: float = math.nan
    cpu_s: float = math.nan
    own_share: float = math.nan
    parallel: float = math.nan
    peak_memory_gb: float = math.nan
    disk_gb: float = math.nan
    disk_ratio: float = math.nan
    cores: int = 0


def tools_cpu_s(commands_log: Path) -> float:
    """CPU time of all DP3 and WSClean commands of a run."""
    if not commands_log.exists():
        return math.nan
    found = (_COMMAND.match(line) for line in commands_log.read_text().splitlines())
    return sum(float(match["cpu"]) for match in found if match)


def read_cost(notes: Path, commands_log: Path, chunk_bytes: float) -> Cost:
    """Read what a run cost.

    Parameters
    ----------
    notes : Path
        What `measure.py` wrote; without it nothing is known.
    commands_log : Path
        The run's list of commands.
    chunk_bytes : float
        Size of the chunks' data columns.
    """
    entries = json.loads(notes.read_text()) if notes.exists() else []
    if not entries:
        return Cost()
    wall = sum(entry["wall_s"] for entry in entries)
    cpu = sum(entry["cpu_s"] for entry in entries)
    cores = max(entry["cores"] for entry in entries)
    disk = max((entry.get("peak_disk_gb", math.nan) for entry in entries), default=math.nan)
    return Cost(
        wall_s=wall,
        cpu_s=cpu,
        own_share=max(0.0, 1.0 - tools_cpu_s(commands_log) / cpu) if cpu else math.nan,
        parallel=cpu / (cores * wall) if wall else math.nan,
        peak_memory_gb=max(entry["peak_memory_gb"] for entry in entries),
        disk_gb=disk,
        disk_ratio=disk * 1e9 / chunk_bytes if chunk_bytes else math.nan,
        cores=cores,
    )


def chunk_data_bytes(observation: Observation) -> float:
    """Size of the data columns of all chunks, uncompressed."""
    from casacore.tables import table

    total = 0.0
    for chunk in observation.chunks:
        for file in chunk.files:
            with table(str(file.path), ack=False) as ms:
                columns = {"DATA", "CORRECTED_DATA"} & set(ms.colnames())
                cell = ms.getcell("DATA", 0)
                total += ms.nrows() * cell.size * _BYTES_PER_SAMPLE * len(columns)
    return total
