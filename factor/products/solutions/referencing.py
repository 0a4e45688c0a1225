"""The station to which phases are referred."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.soltabs import Array, Soltab, cleaned, wrap

#: A station serves as reference when it has this share of the best one's solutions.
GOOD_ENOUGH = 0.9


def choose_reference(soltab: Soltab, preferred: str | None = None) -> str:
    """Choose the station that phases are referred to.

    The preferred one if it has nearly as many good solutions as the best station, else
    the first core station (``CS``) that has, else the first of all.
    """
    count = soltab.good.sum(axis=tuple(a for a in range(soltab.values.ndim) if a != 2))
    enough = GOOD_ENOUGH * count.max() if len(count) else 0.0
    able = [ant for ant, n in zip(soltab.ants, count, strict=True) if n >= enough]
    if preferred in able:
        return str(preferred)
    core = [ant for ant in able if ant.startswith("CS")]
    return (core or able)[0]


def rereference(soltab: Soltab, station: str) -> Soltab:
    """Phases minus those of one station, for every time, frequency and polarisation.

    The difference of two stations does not change. Where the station itself is flagged,
    the offset of all stations is chosen so that they continue the nearest time at which
    it is not.
    """
    soltab = cleaned(soltab)
    index = soltab.ants.index(station)
    good = soltab.good
    offset = np.where(good[:, :, index], soltab.values[:, :, index], np.nan)
    values = soltab.values - np.nan_to_num(offset)[:, :, None]
    for freq, *pol in np.argwhere(np.isnan(offset).any(axis=0)):
        at = (slice(None), freq, slice(None), *pol)
        values[at] = _continued(values[at], good[at], index)
    values = wrap(values)
    return replace(soltab, values=values)


def _continued(values: Array, good: NDArray[np.bool_], index: int) -> Array:
    """Turn the times (axis 0) without a reference so that the stations (axis 1) continue."""
    known = np.flatnonzero(good[:, index])
    values = values.copy()
    if len(known) == 0:
        known = np.flatnonzero(good.any(axis=1))[:1]
    for time in np.setdiff1d(np.flatnonzero(good.any(axis=1)), known):
        nearest = known[np.argmin(np.abs(known - time))]
        both = good[time] & good[nearest]
        if both.any():
            turn = np.exp(1j * (values[time][both] - values[nearest][both])).mean()
            values[time] -= np.angle(turn)
    return values
