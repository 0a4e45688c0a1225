"""Slow gains drawn towards what all stations have in common, by as much as they are noise.

The gains of a faint calibrator are mostly noise: applied as they were solved they do harm to
every source of the facet. What stations differ by is signal and noise; the noise is measured where
bands that were solved on their own differ, and the most likely gains, given the variances of both,
take the place of what was solved (James & Stein 1961, Proc. 4th Berkeley Symp. 1, 361; with a
limit for what is unlike all others, Efron & Morris 1972, J. Am. Stat. Assoc. 67, 130). Gains of a
bright calibrator stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.soltabs import AMPLITUDE, Array, Soltab, wrap

#: Fewest stations with solutions that tell how much stations differ.
FEWEST_STATIONS = 4
#: As many differences of bands as the mean over the stations counts for in a station's noise.
_COMMON_DIFFERENCES = 8
#: Furthest that gains are drawn, in standard deviations of their noise.
_FURTHEST_SIGMA = 2.0
#: Variances below are rounding.
_NO_VARIANCE = 1e-14
#: Phases that scatter more than this are left alone: they can't be told from their wraps, rad.
_LARGEST_PHASE = 0.5


def shrink(smooth: Soltab, apart: Soltab, *, keep_bands: bool) -> Soltab:
    """Draw each station's gains towards the mean over the stations.

    Half the sum and half the difference of the polarisations are treated each on its own, the
    mean over the bands and what each band adds to it too. Differences of polarisations and bands
    are drawn towards 0. Weights stay.

    Parameters
    ----------
    smooth : Soltab
        Slow amplitudes (their logarithm is what is drawn) or phases, with a polarisation axis.
    apart : Soltab
        The same before anything was smoothed from band to band.
    keep_bands : bool
        Leave what each band adds to the mean, whose noise was smoothed away.

    Returns
    -------
    Soltab
        On the same axes; unchanged where there is one band alone, or too few stations.
    """
    noise = _noise(apart)
    good = np.asarray(smooth.good.all(axis=-1))
    if noise is None or np.count_nonzero(good.any(axis=(0, 1))) < FEWEST_STATIONS:
        return smooth
    x = _linear(smooth)
    if smooth.kind != AMPLITUDE and np.sqrt(np.mean(x[good] ** 2)) > _LARGEST_PHASE:
        return smooth
    common, opposite = x.mean(axis=-1), 0.5 * (x[..., 0] - x[..., -1])
    parts = [_Part(part, good, noise, keep_bands) for part in (common, opposite)]
    common, opposite = parts[0].drawn(parts[0].middle), parts[1].drawn(0.0)
    drawn = np.stack((common + opposite, common - opposite), axis=-1)
    return replace(smooth, values=np.exp(drawn) if smooth.kind == AMPLITUDE else wrap(drawn))


@dataclass(frozen=True)
class _Part:
    """Values (time, freq, ant), which of them are good, and the noise of each station in one band."""

    values: Array
    good: NDArray[np.bool_]
    noise: Array
    keep_bands: bool

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Times and stations with a good value, (time, ant)."""
        return np.asarray(self.good.any(axis=1))

    @cached_property
    def means(self) -> Array:
        """Over the bands, (time, ant)."""
        weights = np.where(self.seen[:, None], self.good, True)
        return np.asarray(np.average(self.values, axis=1, weights=weights))

    @property
    def middle(self) -> Array:
        """Mean of the stations at each time, (time, 1)."""
        return np.average(self.means, axis=1, weights=self.seen + 1e-9)[:, None]

    def drawn(self, centre: Array | float) -> Array:
        """The values, drawn towards a centre."""
        n_bands = self.values.shape[1]
        off = _shrunk(self.means - centre, self.seen, self.noise / n_bands)
        added = self.values - self.means[:, None]
        if not self.keep_bands:
            added = _shrunk(added, self.good, self.noise * (1.0 - 1.0 / n_bands))
        return np.asarray((centre + off)[:, None] + added)


def _linear(soltab: Soltab) -> Array:
    """What is drawn: logarithms of amplitudes, or phases."""
    if soltab.kind == AMPLITUDE:
        return np.asarray(np.log(np.where(soltab.values > 0, soltab.values, 1.0)))
    return wrap(soltab.values)


def _noise(apart: Soltab) -> Array | None:
    """Variance of each station's noise in one band, of the mean of its polarisations, (ant,).

    From differences of neighbouring bands: second ones, where there are three, which know
    nothing of a slope. None where there is one band alone, or no polarisations.
    """
    if apart.pols is None or len(apart.freqs) < 2:
        return None
    order = 2 if len(apart.freqs) > 2 else 1
    x, good = _linear(apart), apart.good
    differences = np.diff(x, n=order, axis=1) ** 2 / (6.0 if order == 2 else 2.0)
    known = good[:, order:] & good[:, :-order] & good[:, 1 : len(apart.freqs) - order + 1]
    number = known.sum(axis=(0, 1, 3))
    if not number.any():
        return None
    total = np.where(known, differences, 0.0).sum(axis=(0, 1, 3))
    usual = total.sum() / number.sum()
    return np.asarray((total + _COMMON_DIFFERENCES * usual) / (number + _COMMON_DIFFERENCES) / 2)


def _shrunk(deviation: Array, good: NDArray[np.bool_], noise: Array) -> Array:
    """Deviations (..., ant), less what of them is noise, by the variance of all and their own noise.

    None moves further than its noise allows: a station unlike all others stays so.
    """
    signal = max(0.0, float((deviation**2 - noise)[good].mean())) if good.any() else 0.0
    excess = deviation * noise / np.maximum(signal + noise, _NO_VARIANCE)
    furthest = _FURTHEST_SIGMA * np.sqrt(noise)
    return np.asarray(deviation - np.clip(excess, -furthest, furthest))
