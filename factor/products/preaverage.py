"""Data averaged in time by the length of their baselines, for solves of faint calibrators.

The ionosphere above two stations that are close to each other is nearly the same: their
visibilities change slowly, and may be averaged for longer than those of remote stations.
The averages keep the grid of the data, each slot the weighted mean of its surroundings, so
that a solve has an interval of one slot and yet the signal of several.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Standard deviation of the Gaussian weights in time on a baseline of `REFERENCE_LENGTH_M`, s.
#: Chosen on simulated fields (documentation, "Measurements"): with twice as much the phases
#: of stations 30 km away lag behind a screen that moves at 125 m/s.
REFERENCE_SIGMA_S = 4.0
REFERENCE_LENGTH_M = 25e3
#: Longest standard deviation, s.
LONGEST_SIGMA_S = 60.0
#: Weights end at so many standard deviations.
REACH = 3.0


def averaging_sigma_s(length_m: float) -> float:
    """Standard deviation in time of the weights on a baseline: with 1 / sqrt(length)."""
    wanted = REFERENCE_SIGMA_S * float(np.sqrt(REFERENCE_LENGTH_M / max(length_m, 1.0)))
    return min(wanted, LONGEST_SIGMA_S)


def running_mean(
    values: NDArray[np.complex64], weights: NDArray[np.float32], sigma_slots: float
) -> NDArray[np.complex64]:
    """Weighted Gaussian mean along time (axis 0); what has no weight around it stays as it is."""
    from scipy.ndimage import gaussian_filter1d

    def smooth(array: NDArray[Any]) -> NDArray[np.float64]:
        filtered = gaussian_filter1d(
            array.astype(np.float64), sigma_slots, axis=0, mode="constant", truncate=REACH
        )
        return np.asarray(filtered)

    weighted = np.where(weights > 0, values * weights, 0.0)
    total = smooth(weights)
    mean = (smooth(weighted.real) + 1j * smooth(weighted.imag)) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, mean, values), dtype=np.complex64)


def average_baselines(ms: Path, path: Path, slot_s: float) -> None:
    """Write a copy of a measurement set whose DATA are averaged by the length of the baseline.

    Parameters
    ----------
    ms : Path
        Extracted data of one direction; not changed.
    path : Path
        The copy.
    slot_s : float
        Length of a time slot.
    """
    from casacore.tables import table

    shutil.rmtree(path, ignore_errors=True)
    _copy(ms, path)
    with table(f"{path}::ANTENNA", ack=False) as antennas:
        positions = antennas.getcol("POSITION")
    with table(str(path), readonly=False, ack=False) as main:
        for first in range(len(positions)):
            # One station at a time: a fraction of the data in memory.
            rows = main.query(f"ANTENNA1=={first} && ANTENNA2!={first}", sortlist="ANTENNA2,TIME")
            if rows.nrows() > 0:
                _average_rows(rows, positions, first, slot_s)
            rows.close()


def _copy(ms: Path, path: Path) -> None:
    """Copy a measurement set, uncompressed: parts of a compressed column can't be rewritten."""
    from casacore.tables import table

    with table(str(ms), ack=False) as source:
        managers = source.getdminfo()
        for manager in managers.values():
            if manager["TYPE"] == "DyscoStMan":
                manager.update(TYPE="StandardStMan", SPEC={})
        source.copy(str(path), deep=True, valuecopy=True, dminfo=managers).close()


def _average_rows(rows: Any, positions: NDArray[np.float64], first: int, slot_s: float) -> None:
    second, times = rows.getcol("ANTENNA2"), rows.getcol("TIME")
    data, flags, weights = (rows.getcol(name) for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM"))
    weights = np.where(flags | ~np.isfinite(data), 0.0, weights)
    for other in np.unique(second):
        sigma = averaging_sigma_s(float(np.linalg.norm(positions[first] - positions[other]))) / slot_s
        own = np.flatnonzero(second == other)
        gaps = np.flatnonzero(np.diff(times[own]) > 1.5 * slot_s) + 1
        for part in np.split(own, gaps):
            data[part] = running_mean(data[part], weights[part], sigma)
    rows.putcol("DATA", data)
