"""How many directions are worked on at once, and with how many threads and how much memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Share:
    """What one of the directions that are worked on at the same time may use."""

    at_once: int
    threads: int
    memory_gb: float


def total_memory_gb() -> float:
    """Memory of this machine, GB; that of the control group where it is smaller."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return min(total, int(limit) / 1e9) if limit.isdigit() else total


def share(n_directions: int, ndir_per_node: int | None, cpus: int, memory_gb: float) -> Share:
    """Divide the machine among directions.

    Parameters
    ----------
    n_directions : int
        Directions to work on.
    ndir_per_node : int or None
        How many at once; None for as many as the processors keep busy.
    cpus : int
        Processors.
    memory_gb : float
        Memory for all of them.
    """
    wanted = cpus if ndir_per_node is None else ndir_per_node
    at_once = max(1, min(wanted, n_directions, int(memory_gb // 2) or 1))
    return Share(at_once, max(1, cpus // at_once), memory_gb / at_once)
