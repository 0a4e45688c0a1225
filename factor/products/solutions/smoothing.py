"""Smoothing of slow gains in time and frequency, that does no harm to small grids.

Between the two they are shrunk by their noise, see `factor.products.solutions.shrinking`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from factor.products.images.image import MAD_TO_SIGMA
from factor.products.solutions.filling import fill
from factor.products.solutions.referencing import choose_reference, rereference
from factor.products.solutions.shrinking import shrink
from factor.products.solutions.soltabs import AMPLITUDE, LEAKAGE, Array, Soltab, cleaned

#: Solutions further than this many robust standard deviations off their surroundings are flagged.
OUTLIER_SIGMA = 5.0
#: Smallest standard deviation that is believed, in the logarithm of the amplitude, in rad, and
#: in the parts of leakage.
SMALLEST_SIGMA = 0.03
#: Side of the median's window, and of the surroundings that outliers are held against, cells.
MEDIAN_WINDOW = 3
OUTLIER_WINDOW = 5
#: Fewest cells along an axis that it is smoothed along.
FEWEST_CELLS = 5
#: Strongest smoothing of the spline: variations longer than about 2 pi s^(1/4) cells stay.
STRONGEST_SPLINE = 30.0
_SPLINE_STRENGTHS = np.geomspace(1e-3, STRONGEST_SPLINE, 25)


def smooth_gains(
    amplitude: Soltab, phase: Soltab | None = None, *, smooth_2d: bool = True
) -> tuple[Soltab, Soltab | None]:
    """Flag outliers of slow gains and smooth the rest, never across a gap.

    Amplitudes are treated in their logarithm, phases as phasors. Flagged cells get the smooth
    value and stay flagged. Each station and polarisation is smoothed on its own; what is noise in
    them, held against the other stations, is drawn to the mean of all (`shrink`).

    Parameters
    ----------
    amplitude : Soltab
        Slow amplitudes.
    phase : Soltab, optional
        Slow phases; they are referred to one station first.
    smooth_2d : bool
        A smoothing spline in time and frequency, its stiffness chosen by generalised
        cross-validation (Craven & Wahba 1978, Numer. Math. 31, 377), then a 2-D median;
        otherwise a 1-D median in time. Nothing is smoothed along an axis with fewer than
        `FEWEST_CELLS` cells: there a median takes more signal than noise.

    Returns
    -------
    amplitude, phase : Soltab
        On the same axes.
    """
    amplitude = _flag_outliers(cleaned(amplitude))
    if phase is not None:
        phase = rereference(phase, choose_reference(phase))
        phase = _flag_outliers(phase)
    smoothed = _steadied(amplitude, smooth_2d)
    return smoothed, None if phase is None else _steadied(phase, smooth_2d)


def smooth_leakage(leakage: Soltab) -> Soltab:
    """Flag outliers of leakage and smooth the rest as `smooth_gains` does in two dimensions.

    Real and imaginary parts are smoothed each on their own: a small leakage has no phase to
    speak of.
    """
    return _smooth(_flag_outliers(cleaned(leakage)), _in_both)


def _planes(soltab: Soltab) -> NDArray[np.float64]:
    """What is smoothed: (component, time, freq, column); phases have two, others one."""
    if soltab.kind == LEAKAGE:
        planes = soltab.values[None]
    elif soltab.kind == AMPLITUDE:
        planes = np.log(np.where(soltab.values > 0, soltab.values, 1.0))[None]
    else:
        planes = np.stack((np.cos(soltab.values), np.sin(soltab.values)))
    return np.asarray(planes.reshape(*planes.shape[:3], -1))


def _values(soltab: Soltab, planes: Array) -> Array:
    planes = planes.reshape(len(planes), *soltab.shape)
    if soltab.kind == LEAKAGE:
        return np.asarray(planes[0])
    if soltab.kind == AMPLITUDE:
        return np.asarray(np.exp(planes[0]))
    return np.asarray(np.arctan2(planes[1], planes[0]))


def _flag_outliers(soltab: Soltab) -> Soltab:
    """Flag what differs from the median of its surroundings by `OUTLIER_SIGMA`."""
    good = soltab.good.reshape(*soltab.shape[:2], -1)
    planes = np.where(good[None], _planes(soltab), np.nan)
    off = np.zeros_like(good)
    for part in soltab.parts:
        around = np.stack([_running_median(p[part], OUTLIER_WINDOW) for p in planes])
        if len(planes) == 2:
            off[part] = _stray(_turn(planes[:, part], around), good[part])
        else:
            off[part] = _stray(planes[0, part] - around[0], good[part])
    weights = np.where(off.reshape(soltab.shape), 0.0, soltab.weights)
    return replace(soltab, weights=weights)


def _turn(planes: Array, around: Array) -> Array:
    phasor = (planes[0] + 1j * planes[1]) * (around[0] - 1j * around[1])
    return np.asarray(np.angle(phasor))


def _stray(deviation: Array, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which deviations are too large for their column (station and polarisation).

    A small grid knows its own scatter badly: it is never taken below the columns' median.
    """
    if not good.any():
        return np.zeros_like(good)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sigma = MAD_TO_SIGMA * np.nanmedian(np.abs(np.where(good, deviation, np.nan)), axis=(0, 1))
        usual = max(float(np.nanmedian(sigma)), SMALLEST_SIGMA)
    sigma = np.maximum(np.nan_to_num(sigma), usual)
    with np.errstate(invalid="ignore"):
        return np.asarray(good & (np.abs(deviation) > OUTLIER_SIGMA * sigma))


def _steadied(soltab: Soltab, smooth_2d: bool) -> Soltab:
    """Smooth gains in time, shrink them by the noise that is left, and smooth them in frequency."""
    if not smooth_2d:
        return shrink(_smooth(soltab, _median_1d))
    return _smooth(shrink(_smooth(soltab, _in_time)), _in_frequency)


def _smooth(soltab: Soltab, how: Callable[[Array], Array]) -> Soltab:
    filled = _planes(fill(soltab))
    planes = filled.copy()
    for part in soltab.parts:
        for i in range(len(planes)):
            planes[i, part] = how(filled[i, part])
    return replace(soltab, values=_values(soltab, planes))


def _window(cells: int) -> int:
    """Width of the median's window along an axis."""
    return MEDIAN_WINDOW if cells >= FEWEST_CELLS else 1


def _running_median(grid: Array, wanted: int) -> Array:
    """Median around each cell of (time, freq, column), NaN left out; windows shrink at edges."""
    n_time, n_freq = grid.shape[:2]
    half = [min(wanted // 2, n - 1) for n in (n_time, n_freq)]
    padded = np.pad(grid, [(h, h) for h in half] + [(0, 0)], constant_values=np.nan)
    views = [
        padded[i : i + n_time, j : j + n_freq] for i in range(2 * half[0] + 1) for j in range(2 * half[1] + 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(np.stack(views), axis=0))


def _median_1d(grid: Array) -> Array:
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(grid, (_window(len(grid)), 1, 1), mode="nearest"))


def _median_2d(grid: Array) -> Array:
    """A cross-shaped median: ramps in time and in frequency pass unchanged."""
    from scipy.ndimage import median_filter

    windows = [_window(n) for n in grid.shape[:2]]
    footprint = np.zeros((*windows, 1), dtype=bool)
    footprint[windows[0] // 2, :] = True
    footprint[:, windows[1] // 2] = True
    return np.asarray(median_filter(grid, footprint=footprint, mode="nearest"))


def _in_time(grid: Array) -> Array:
    """Smoothing spline along time, where it is long enough."""
    return _spline_1d(grid) if len(grid) >= FEWEST_CELLS else grid


def _in_frequency(grid: Array) -> Array:
    """The same along frequency, then a median in both."""
    return _median_2d(np.moveaxis(_in_time(np.moveaxis(grid, 1, 0)), 0, 1))


def _in_both(grid: Array) -> Array:
    return _in_frequency(_in_time(grid))


def _spline_1d(lines: Array) -> Array:
    """Discrete smoothing spline of many lines (axis 0): minimises |y - z|^2 + s |D2 z|^2.

    The stiffness s minimises the generalised cross-validation score of all lines of a column
    (a station and polarisation) together: one line alone tells it badly. The null space
    (straight lines) is free (Whittaker 1923; Eilers 2003, Anal. Chem. 75, 3631).
    """
    n = len(lines)
    flat = lines.reshape(n, -1)
    second = np.diff(np.eye(n), n=2, axis=0)
    stiffness, modes = np.linalg.eigh(second.T @ second)
    stiffness = np.clip(stiffness, 0.0, None)
    loadings = modes.T @ flat
    best, score = np.zeros_like(lines), np.full(lines.shape[2], np.inf)
    for s in _SPLINE_STRENGTHS:
        shrink = 1.0 / (1.0 + s * stiffness)
        residual = ((1.0 - shrink)[:, None] * loadings).reshape(lines.shape)
        gcv = np.mean(residual**2, axis=(0, 1)) / (1.0 - shrink.sum() / n) ** 2
        better = gcv < score
        score = np.where(better, gcv, score)
        smooth = modes @ (shrink[:, None] * loadings)
        best = np.where(better, smooth.reshape(lines.shape), best)
    return best
