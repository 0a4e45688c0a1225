"""Solutions without gaps, for predictions: a subtraction must not flag anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.soltabs import AMPLITUDE, LINEAR, Array, Soltab, cleaned


def fill(soltab: Soltab) -> Soltab:
    """Replace flagged and invalid solutions by what is around them; all weights become 1.

    Each station is interpolated in time (between gaps first, then across them to the
    nearest), then in frequency; one without any solution gets the neutral value: phase
    or leakage 0, amplitude 1. Phases are interpolated as phasors, amplitudes in their logarithm,
    TECs and leakage as they are.
    """
    soltab = cleaned(soltab)
    good = soltab.good
    weights = np.ones_like(soltab.weights)
    if good.all():
        return replace(soltab, weights=weights)
    work = _to_plane(soltab.kind, soltab.values)
    work[~good] = np.nan
    shape = work.shape
    grid = work.reshape(shape[0], shape[1], -1)
    for column in np.flatnonzero(np.isnan(grid).any(axis=(0, 1))):
        grid[:, :, column] = _filled(grid[:, :, column], soltab)
    return replace(soltab, values=_from_plane(soltab.kind, grid.reshape(shape)), weights=weights)


def _to_plane(kind: str, values: Array) -> NDArray[np.complex128]:
    if kind == AMPLITUDE:
        positive = np.where(values > 0, values, 1.0)
        return np.asarray(np.log(positive) + 0j)
    if kind in LINEAR:
        return np.asarray(values + 0j)
    return np.asarray(np.exp(1j * values))


def _from_plane(kind: str, work: NDArray[np.complex128]) -> Array:
    if kind == AMPLITUDE:
        return np.asarray(np.exp(np.where(np.isnan(work), 0.0, work.real)))
    if kind in LINEAR:
        return np.asarray(np.where(np.isnan(work), 0.0, work.real))
    return np.asarray(np.where(np.isnan(work), 0.0, np.angle(work)))


def _filled(grid: NDArray[np.complex128], soltab: Soltab) -> NDArray[np.complex128]:
    """One station and polarisation, (time, freq), NaN where there is nothing."""
    grid, times = grid.copy(), soltab.times
    for freq in np.flatnonzero(np.isnan(grid).any(axis=0)):
        for part in soltab.parts:
            grid[part, freq] = _line(grid[part, freq], times[part])
        grid[:, freq] = _line(grid[:, freq], times)
    for time in np.flatnonzero(np.isnan(grid).any(axis=1)):
        grid[time] = _line(grid[time], soltab.freqs)
    return grid


def _line(line: NDArray[np.complex128], axis: Array) -> NDArray[np.complex128]:
    known = ~np.isnan(line)
    if known.all() or not known.any():
        return line
    return np.asarray(np.where(known, line, np.interp(axis, axis[known], line[known])))
