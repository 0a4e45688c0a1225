"""Stations whose amplitudes are on another scale than those of the others, told by their noise.

The correlations of X with Y have next to no signal: where amplitudes are calibrated, all stations
are about as noisy there. What a station lacks, or has too much of, is left in its data when the
sky model is subtracted, and outshines single calibrators: their solutions do not show it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

#: A station whose noise is so many times off the array's is on another scale: with the 24 tiles of
#: core stations, 48 tiles (remote ones) have 0.7 and 96 (international ones) 0.5 of their noise.
OFF_SCALE = 3.0
#: Time slots that are looked at, spread over a chunk.
SLOTS = 20
#: Where X was correlated with Y, and Y with X.
_CROSS = slice(1, 3)


def off_scale(ms: Path) -> dict[str, float]:
    """The stations on another scale, and their noise over that of the array.

    Parameters
    ----------
    ms : Path
        A measurement set of all correlations; of another none is found.
    """
    from casacore.tables import table

    with table(str(ms), ack=False) as main, table(f"{ms}::ANTENNA", ack=False) as antennas:
        names: list[str] = antennas.getcol("NAME")
        times = main.getcol("TIME")
        slots = np.unique(times)
        chosen = slots[np.linspace(0, len(slots) - 1, min(SLOTS, len(slots))).astype(int)]
        with main.selectrows(np.flatnonzero(np.isin(times, chosen)).tolist()) as rows:
            data, flags = rows.getcol("DATA"), rows.getcol("FLAG")
            stations = np.stack([rows.getcol("ANTENNA1"), rows.getcol("ANTENNA2")])
    if data.shape[-1] != 4:
        return {}
    power = np.where(flags[..., _CROSS], np.nan, np.abs(data[..., _CROSS]) ** 2)
    power[stations[0] == stations[1]] = np.nan
    with warnings.catch_warnings():
        # Of a station without data, or an array without noise.
        warnings.simplefilter("ignore", RuntimeWarning)
        of_each = [np.nanmedian(power[(stations == k).any(axis=0)]) for k in range(len(names))]
        ratios = np.sqrt(of_each / np.nanmedian(of_each))
    return {
        name: float(ratio)
        for name, ratio in zip(names, ratios, strict=True)
        if np.isfinite(ratio) and not 1.0 / OFF_SCALE <= ratio <= OFF_SCALE
    }
