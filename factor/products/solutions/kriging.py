"""Fast phases of the core, smoothed from station to station as far as their noise asks for it.

The lines of sight of stations that stand close together cross nearly the same ionosphere: the
variance of the difference of their phases grows with their distance r as r^(5/3) (turbulence as
Kolmogorov's; Intema et al. 2009, A&A 501, 1185, model the ionosphere with the same law, Mevius et
al. 2016, Radio Science 51, 927, see it with LOFAR). What solutions differ by at no distance at all
is noise. Both are measured on the solutions themselves, and the phases that are the most likely
ones given both (kriging, with a mean that is free) take their place. A station's mean over a night is
known well enough, may come from its electronics, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.soltabs import Array, Soltab, cleaned, wrap

Bools = NDArray[np.bool_]

#: Power of the distance with which the variance of phase differences grows.
KOLMOGOROV = 5.0 / 3.0
#: Fewest stations that are smoothed together.
FEWEST_STATIONS = 4
#: Fewest solutions that two stations must have in common for their difference to count.
FEWEST_COMMON = 10


@dataclass(frozen=True)
class Turbulence:
    """How much phases differ between stations: variance = slope r^(5/3) + 2 noise.

    Attributes
    ----------
    slope : float
        Of the variance of the difference, rad^2, with r in km.
    noise : float
        Variance of the noise of one station's phase, rad^2.
    """

    slope: float
    noise: float

    def __str__(self) -> str:
        return (
            f"smoothed over the core: noise {self.noise**0.5:.3f} rad, diffractive scale "
            f"{self.slope ** (-1.0 / KOLMOGOROV):.1f} km"
        )


def smooth_core(phases: Soltab, positions: Mapping[str, Sequence[float]]) -> tuple[Soltab, Turbulence | None]:
    """Phases with those of the core (stations ``CS``) smoothed over it; flagged ones stay flagged.

    Parameters
    ----------
    phases : Soltab
        Scalar phases.
    positions : mapping of station to (x, y, z)
        ITRF, m.

    Returns
    -------
    Soltab
        The same where there is no core, or no noise.
    Turbulence or None
        What was measured, if anything was smoothed.
    """
    phases = cleaned(phases)
    core = [i for i, ant in enumerate(phases.ants) if ant.startswith("CS") and ant in positions]
    if len(core) < FEWEST_STATIONS or phases.pols is not None:
        return phases, None
    xyz = np.array([positions[phases.ants[i]] for i in core], dtype=np.float64) / 1e3
    distances = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    values, good = phases.values[:, :, core], phases.good[:, :, core]
    phasors = np.where(good, np.exp(1j * values), 0.0)
    middle = np.angle(phasors.sum(axis=-1, keepdims=True))
    phasors *= np.exp(-1j * middle)
    steady = np.zeros(values.shape)
    for night in phases.parts:
        steady[night] = np.angle(phasors[night].sum(axis=0))
    kept = middle + steady
    left = np.where(good, wrap(values - kept), 0.0)
    rows = (left.reshape(-1, len(core)), good.reshape(-1, len(core)))
    found = measure(*rows, distances)
    if found is None or found.noise <= 0.0:
        return phases, None
    left = _smoothed(*rows, distances, found).reshape(values.shape)
    new = phases.values.copy()
    new[:, :, core] = np.where(good, wrap(kept + left), values)
    return replace(phases, values=new), found


def measure(values: Array, good: Bools, distances: Array) -> Turbulence | None:
    """Measure how phases differ, on all pairs of stations.

    Parameters
    ----------
    values, good : ndarray, (row, station)
        Phases, rad, and which of them count.
    distances : ndarray, (station, station)
        Between stations, km.

    Returns
    -------
    Turbulence or None
        None where too few pairs have phases in common.
    """
    phasors = np.where(good, np.exp(1j * values), 0.0)
    common = good.astype(float).T @ good.astype(float)
    mean = np.abs(phasors.conj().T @ phasors) / np.maximum(common, 1.0)
    first, second = np.triu_indices(len(distances), 1)
    counts = common[first, second] >= FEWEST_COMMON
    first, second = first[counts], second[counts]
    if len(first) < FEWEST_STATIONS:
        return None
    # Of a normal distribution, also where phases wrap.
    variance = -2.0 * np.log(mean[first, second].clip(1e-3, 1.0 - 1e-9))
    matrix = np.column_stack([distances[first, second] ** KOLMOGOROV, np.ones(len(first))])
    # The error of a variance is proportional to it.
    weight = 1.0 / variance
    slope, twice = np.linalg.lstsq(matrix * weight[:, None], variance * weight, rcond=None)[0]
    return Turbulence(max(float(slope), 1e-9), max(float(twice) / 2.0, 0.0))


def _smoothed(values: Array, good: Bools, distances: Array, found: Turbulence) -> Array:
    """Rows of phases (row, station) around 0, each smoothed over its good stations."""
    smoothed = values.copy()
    patterns, which = np.unique(good, axis=0, return_inverse=True)
    which = which.reshape(-1)
    groups = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    for pattern, rows in zip(patterns, groups, strict=True):
        if pattern.sum() < FEWEST_STATIONS:
            continue
        at = np.ix_(rows, np.flatnonzero(pattern))
        smoothed[at] = values[at] @ smoother(distances[np.ix_(pattern, pattern)], found).T
    return smoothed


def smoother(distances: Array, found: Turbulence) -> Array:
    """The matrix that turns noisy phases of stations into the most likely ones; their mean stays."""
    n = len(distances)
    centred = np.eye(n) - 1.0 / n
    signal = centred @ (-0.5 * found.slope * distances**KOLMOGOROV) @ centred
    shrink = found.noise * np.linalg.pinv(signal + found.noise * centred)
    return np.asarray(np.eye(n) - centred @ shrink @ centred)
