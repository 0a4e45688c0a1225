"""The noise of each station's data: one that is mad has another than the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions import Array

#: Time slots, one after the other in the middle of a measurement set, and channels that are looked at.
SLOTS = 40
MOST_CHANNELS = 32
#: Noise over the array's median that no station has by nature: below are international stations
#: (0.5), above those with half of their tiles (1.4).
QUIETEST, NOISIEST = 0.25, 1.6


def write_noise(mss: Sequence[Path], path: Path) -> None:
    """Measure the noise of each station in measurement sets of one direction, and keep it in a file.

    It is the median, over baselines and measurement sets, of the rms (Jy) of what changes from one time
    slot to the next; half of a difference's power.

    Parameters
    ----------
    mss : sequence of Path
        Extracted data, shifted to the calibrator, so that little else changes.
    path : Path
        File to write (JSON): the noise by name of the station.
    """
    found: dict[str, list[float]] = {}
    for ms in mss:
        for ant, noises in _baselines(ms).items():
            found.setdefault(ant, []).extend(noises)
    path.write_text(json.dumps({ant: float(np.median(own)) for ant, own in found.items() if own}))


def read_noise(path: Path) -> dict[str, float]:
    """Read what `write_noise` wrote."""
    return dict(json.loads(path.read_text()))


def mad_stations(noise_jy: Mapping[str, float]) -> tuple[str, ...]:
    """The stations whose noise is far from that of the others."""
    middle = float(np.median(list(noise_jy.values()))) if noise_jy else 0.0
    return tuple(
        ant for ant, own in noise_jy.items() if not QUIETEST * middle <= own <= NOISIEST * middle
    )


def _baselines(ms: Path) -> dict[str, list[float]]:
    """The noise of the baselines of each station, without those that have no data."""
    from casacore.tables import table

    with table(f"{ms}::ANTENNA", ack=False) as antenna:
        ants = [str(name) for name in antenna.getcol("NAME")]
    with table(str(ms), ack=False) as main:
        # Rows of one time lie together, in the same order of baselines at all times.
        n = int(np.sum(main.getcol("TIME") == main.getcell("TIME", 0)))
        n_times = main.nrows() // n
        used = min(SLOTS, n_times)
        rows = (n * ((n_times - used) // 2), n * used)
        pairs = np.stack([main.getcol(name, 0, n) for name in ("ANTENNA1", "ANTENNA2")], axis=1)
        channels, correlations = main.getcell("DATA", 0).shape
        last = [channels - 1, correlations - 1]
        step = [-(-channels // MOST_CHANNELS), max(1, correlations - 1)]
        data, flags = (
            main.getcolslice(name, [0, 0], last, step, *rows).reshape(used, n, -1)
            for name in ("DATA", "FLAG")
        )
    found: dict[str, list[float]] = {ant: [] for ant in ants}
    for (one, other), noise in zip(pairs, _noise(np.where(flags, np.nan, data)), strict=True):
        if one != other and np.isfinite(noise):
            found[ants[one]].append(float(noise))
            found[ants[other]].append(float(noise))
    return found


def _noise(data: NDArray[np.complex128]) -> Array:
    """Rms of each baseline of (time, baseline, value) from one time to the next; NaN without any."""
    power = np.abs(np.diff(data, axis=0)) ** 2
    known = np.isfinite(power)
    total = np.where(known, power, 0.0).sum(axis=(0, 2))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(0.5 * total / known.sum(axis=(0, 2))))
