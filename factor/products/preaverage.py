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
#: Visibilities in memory at once: at most about 1 GB.
_MOST_VALUES = 20_000_000
#: Rows of a baseline without a gap, and the standard deviation of their weights in slots.
_Series = tuple[NDArray[np.int64], float]


def averaging_sigma_s(length_m: float) -> float:
    """Standard deviation in time of the weights on a baseline: with 1 / sqrt(length)."""
    wanted = REFERENCE_SIGMA_S * float(np.sqrt(REFERENCE_LENGTH_M / max(length_m, 1.0)))
    return min(wanted, LONGEST_SIGMA_S)


def running_mean(
    values: NDArray[np.complex64], weights: NDArray[np.float32], sigma_slots: float
) -> NDArray[np.complex64]:
    """Weighted Gaussian mean along time (axis 0); what has no weight around it stays as it is."""
    from scipy.ndimage import gaussian_filter1d

    weighted = np.where(weights > 0, values * weights, 0.0)
    # One call for all three: most of the time of short series goes into calls.
    parts = np.stack([weighted.real, weighted.imag, weights], axis=-1).astype(np.float32)
    real, imag, total = np.moveaxis(
        gaussian_filter1d(parts, sigma_slots, axis=0, mode="constant", truncate=REACH), -1, 0
    )
    mean = (real + 1j * imag) / np.where(total > 0, total, 1.0)
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
        series = _series(main, positions, slot_s)
        channels, correlations = main.getcell("DATA", 0).shape
        at_once = max(1, _MOST_VALUES // (main.nrows() * correlations))
        for first in range(0, channels, at_once):
            last = min(first + at_once, channels) - 1
            _average_channels(main, series, (first, 0), (last, correlations - 1))


def _series(main: Any, positions: NDArray[np.float64], slot_s: float) -> list[_Series]:
    """Rows of each pair of stations, in order of time and cut at gaps, with their widths in slots."""
    first, second, times = (main.getcol(name) for name in ("ANTENNA1", "ANTENNA2", "TIME"))
    order = np.lexsort((times, second, first))
    pair = first[order] * len(positions) + second[order]
    cuts = np.flatnonzero((np.diff(pair) != 0) | (np.diff(times[order]) > 1.5 * slot_s)) + 1
    series = []
    for rows in np.split(order, cuts):
        one, other = first[rows[0]], second[rows[0]]
        if one != other:
            length = float(np.linalg.norm(positions[one] - positions[other]))
            series.append((rows, averaging_sigma_s(length) / slot_s))
    return series


def _average_channels(
    main: Any, series: list[_Series], first: tuple[int, int], last: tuple[int, int]
) -> None:
    """Average the block of visibilities between two (channel, correlation)."""
    data, flags, weights = (
        main.getcolslice(name, first, last) for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM")
    )
    weights[flags | ~np.isfinite(data)] = 0.0
    for rows, sigma in series:
        data[rows] = running_mean(data[rows], weights[rows], sigma)
    main.putcolslice("DATA", data, first, last)


def _copy(ms: Path, path: Path) -> None:
    """Copy a measurement set, uncompressed: parts of a compressed column can't be rewritten."""
    from casacore.tables import table

    with table(str(ms), ack=False) as source:
        managers = source.getdminfo()
        compressed = [m for m in managers.values() if m["TYPE"] == "DyscoStMan"]
        if not compressed:
            shutil.copytree(ms, path)
            return
        for manager in compressed:
            manager.update(TYPE="StandardStMan", SPEC={})
        source.copy(str(path), deep=True, valuecopy=True, dminfo=managers).close()
