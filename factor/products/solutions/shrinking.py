"""Slow gains drawn towards what all stations have in common, by as much as they are noise.

The gains of a faint calibrator are mostly noise: applied as they were solved they do harm to
every source of the facet. What stations differ by is signal and noise; the noise is measured where
bands that were solved on their own differ, and the most likely gains, given the variances of both,
take the place of what was solved (James & Stein 1961, Proc. 4th Berkeley Symp. 1, 361; with a
limit for what is unlike all others, Efron & Morris 1972, J. Am. Stat. Assoc. 67, 130). Gains of a
bright calibrator stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Array, Soltab, wrap

Bools = NDArray[np.bool_]

#: Fewest stations of a group that tell how much its stations differ.
FEWEST_STATIONS = 4
#: As many differences of bands as the usual station counts for in a station's noise.
_USUAL_DIFFERENCES = 8
#: Furthest that gains are drawn, in standard deviations of their noise.
_FURTHEST_SIGMA = 2.0
#: Squares count for at most so many times their median in a variance: three standard deviations.
_LARGEST_SQUARE = 20.0
#: Variances below are rounding.
_NO_VARIANCE = 1e-14
#: Stations whose phases are further from all others' (rms) are left alone, rad: they may be wraps.
_LARGEST_PHASE = 0.5


def shrink(gains: Soltab) -> Soltab:
    """Draw each station's gains towards the mean over the stations.

    What is drawn towards 0 are deviations from the mean over the stations, half their sum and half
    their difference of the polarisations each on its own, and of both the mean over the bands and
    what each band adds to it. Stations of the core, other Dutch ones and all others have variances
    of their own. The mean over the stations stays, in each time, band and polarisation, and so do
    weights.

    Parameters
    ----------
    gains : Soltab
        Slow amplitudes (their logarithm is what is drawn) or phases of two polarisations, with bands
        that were solved, and smoothed in time, on their own.

    Returns
    -------
    Soltab
        On the same axes; unchanged with one band alone.
    """
    if gains.pols is None or len(gains.pols) != 2 or len(gains.freqs) < 2:
        return gains
    x, good = _linear(gains), np.asarray(gains.good.all(axis=-1))
    common, off = _apart(gains, x, np.where(good, 1.0, 0.0))
    noise = _noise(off.mean(axis=-1), good, gains.freqs)
    if noise is None:
        return gains
    common, off = _apart(gains, x, good / np.maximum(noise, _NO_VARIANCE))
    if gains.kind == PHASE:
        squares = np.where(good, (off**2).mean(axis=-1), 0.0).sum(axis=(0, 1))
        good = np.asarray(good & (squares < _LARGEST_PHASE**2 * good.sum(axis=(0, 1))))
    halves = np.zeros_like(off)
    for half, part in enumerate((off.mean(axis=-1), 0.5 * (off[..., 0] - off[..., 1]))):
        halves[..., half] = part
        for group in _groups(gains.ants):
            if np.count_nonzero(good[:, :, group].any(axis=(0, 1))) >= FEWEST_STATIONS:
                found = _drawn(part[:, :, group], good[:, :, group], gains.freqs)
                halves[:, :, group, half] = found
    drawn = common + halves[..., :1] + halves[..., 1:] * np.array([1.0, -1.0])
    return replace(gains, values=np.exp(drawn) if gains.kind == AMPLITUDE else wrap(drawn))


def _apart(gains: Soltab, x: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted mean over the stations (time, freq, 1, pol), and what each station adds to it."""
    weights = np.where(weights.any(axis=-1, keepdims=True), weights, 1.0)[..., None]
    if gains.kind == AMPLITUDE:
        common = (weights * x).sum(axis=2, keepdims=True) / weights.sum(axis=2, keepdims=True)
        return common, x - common
    common = np.angle((weights * np.exp(1j * x)).sum(axis=2, keepdims=True))
    return common, wrap(x - common)


def _linear(gains: Soltab) -> Array:
    """What is drawn: logarithms of amplitudes, or phases."""
    if gains.kind == AMPLITUDE:
        return np.asarray(np.log(np.where(gains.values > 0, gains.values, 1.0)))
    return wrap(gains.values)


def _drawn(x: Array, good: Bools, freqs: Array) -> Array:
    """Deviations (time, freq, ant) of stations that are alike, drawn towards 0."""
    noise = _noise(x, good, freqs)
    if noise is None:
        return x
    seen = np.asarray(good.any(axis=1))
    weights = np.where(seen[:, None], good, True)
    means, number = np.average(x, axis=1, weights=weights), weights.sum(axis=1)
    added = x - means[:, None]
    added = _shrunk(added, good, np.broadcast_to(noise * (1.0 - 1.0 / number[:, None]), x.shape))
    drawn = _shrunk(means, seen, noise / number)[:, None] + added
    return np.asarray(np.where(good.any(axis=(0, 1)), drawn, x))


def _groups(ants: Sequence[str]) -> list[NDArray[np.int_]]:
    """Stations that are alike: of the core, other Dutch ones, and all others."""
    kinds = np.array([ant[:2] if ant.startswith(("CS", "RS")) else "" for ant in ants])
    return [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]


def _noise(x: Array, good: Bools, freqs: Array) -> Array | None:
    """Variance of each station's noise in one band, (ant,); None where nothing tells it.

    From what a band differs by from the line through its neighbours (from its neighbour alone where
    there are two): that knows nothing of a slope.
    """
    if len(freqs) == 2:
        differences, known, norm = x[:, 1:] - x[:, :-1], good[:, 1:] & good[:, :-1], np.array([2.0])
    else:
        after = (freqs[1:-1] - freqs[:-2]) / (freqs[2:] - freqs[:-2])
        line = (1.0 - after)[:, None] * x[:, :-2] + after[:, None] * x[:, 2:]
        differences, known = x[:, 1:-1] - line, good[:, 1:-1] & good[:, :-2] & good[:, 2:]
        norm = 1.0 + (1.0 - after) ** 2 + after**2
    squares = np.where(known, differences**2 / norm[:, None], 0.0).sum(axis=(0, 1))
    number = known.sum(axis=(0, 1))
    if not number.any():
        return None
    # The median of chi squared with k degrees of freedom is k (1 - 2 / 9k)^3 (Wilson & Hilferty 1931).
    middle = (1.0 - 2.0 / (9.0 * np.median(number[number > 0]))) ** 3
    usual = np.median(squares[number > 0] / number[number > 0]) / middle
    return np.asarray((squares + _USUAL_DIFFERENCES * usual) / (number + _USUAL_DIFFERENCES))


def _shrunk(deviation: Array, good: Bools, noise: Array) -> Array:
    """Deviations less what of them is noise, by the variance of all and the noise of each.

    None moves further than its noise allows: a station unlike all others stays so.
    """
    signal = max(0.0, _robust_mean(deviation[good] ** 2) - _robust_mean(noise[good]))
    excess = deviation * noise / np.maximum(signal + noise, _NO_VARIANCE)
    furthest = _FURTHEST_SIGMA * np.sqrt(noise)
    return np.asarray(deviation - np.clip(excess, -furthest, furthest))


def _robust_mean(squares: Array) -> float:
    return float(np.minimum(squares, _LARGEST_SQUARE * np.median(squares)).mean())
