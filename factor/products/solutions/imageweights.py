"""The weights that visibilities have in an image, by baseline and by time and frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.constants import speed_of_light

from factor.files import whole
from factor.products.solutions.soltabs import Array, Soltab, nearest

#: Times and channels that are looked at: baselines stay in a cell of the uv plane for longer.
MOST_TIMES = 240
MOST_CHANNELS = 32


@dataclass(frozen=True)
class Weighting:
    """How an image is weighted.

    Attributes
    ----------
    size : int
        Side of the image, pixels.
    scale_arcsec : float
        Side of a pixel.
    robust : float
        Of Briggs' weighting.
    minuv_lambda : float
        Shorter baselines are left out.
    """

    size: int
    scale_arcsec: float
    robust: float
    minuv_lambda: float


@dataclass(frozen=True)
class ImageWeights:
    """Weights summed over cells and over baselines.

    Attributes
    ----------
    ants : tuple of str
        Names of the stations.
    baselines : ndarray, (ant, ant)
        Symmetric, without autocorrelations.
    times, freqs : ndarray
        MJD s and Hz, sorted.
    cells : ndarray, (time, freq)
        Weight of the nearest visibilities.
    """

    ants: tuple[str, ...]
    baselines: Array
    times: Array
    freqs: Array
    cells: Array

    def of(self, soltab: Soltab) -> tuple[Array, Array]:
        """Weights on the axes of a soltab: (ant, ant), and (time, freq)."""
        known = [self.ants.index(ant) if ant in self.ants else -1 for ant in soltab.ants]
        padded = np.pad(self.baselines, (0, 1))
        between = padded[np.ix_(known, known)]
        cells = np.zeros(soltab.shape[:2])
        at = np.ix_(nearest(soltab.times, self.times), nearest(soltab.freqs, self.freqs))
        np.add.at(cells, at, self.cells)
        return between, cells


@dataclass(frozen=True)
class _Sample:
    """Some visibilities of one measurement set; arrays are (row, channel) or (row,)."""

    ants: tuple[str, ...]
    pairs: NDArray[np.int_]
    times: Array
    freqs: Array
    uvw: Array
    weights: Array

    def uv_lambda(self) -> Array:
        """(2, row, channel), in the half plane of positive v."""
        uv = self.uvw[:, :2].T[..., None] * (self.freqs / speed_of_light)
        return np.asarray(np.where(uv[1] < 0, -uv, uv))


def write_image_weights(mss: Sequence[Path], weighting: Weighting, path: Path) -> None:
    """Sum the weights that visibilities have in an image, and keep them in a file.

    Every measurement set is looked at in at most `MOST_TIMES` times (all together) and
    `MOST_CHANNELS` channels. The weight of a visibility is its natural one over that of
    its cell of the uv plane (Briggs 1995, PhD thesis, 3.2), as the imager has it; tapers
    are not known here.

    Parameters
    ----------
    mss : sequence of Path
        What is imaged, with WEIGHT_SPECTRUM and FLAG.
    weighting : Weighting
        Of the image.
    path : Path
        File to write (``.npz``).
    """
    samples = [_read(ms, max(4, MOST_TIMES // len(mss))) for ms in mss]
    total = summed(_briggs(samples, weighting))
    with whole(path) as draft, draft.open("wb") as stream:
        np.savez(
            stream, ants=np.array(total.ants), baselines=total.baselines,
            times=total.times, freqs=total.freqs, cells=total.cells,
        )  # fmt: skip


def read_image_weights(path: Path) -> ImageWeights:
    """Read what `write_image_weights` wrote."""
    with np.load(path) as kept:
        ants = tuple(str(ant) for ant in kept["ants"])
        return ImageWeights(ants, kept["baselines"], kept["times"], kept["freqs"], kept["cells"])


def _read(ms: Path, most_times: int) -> _Sample:
    from casacore.tables import table

    with table(f"{ms}::ANTENNA", ack=False) as antenna:
        ants = tuple(str(name) for name in antenna.getcol("NAME"))
    with table(f"{ms}::SPECTRAL_WINDOW", ack=False) as window:
        freqs = np.asarray(window.getcell("CHAN_FREQ", 0), dtype=float)
    every = -(-len(freqs) // MOST_CHANNELS)
    with table(str(ms), ack=False) as main:
        times = main.getcol("TIME")
        starts = np.flatnonzero(np.concatenate(([True], np.diff(times) > 0)))
        ends = np.append(starts[1:], len(times))
        step = -(-len(starts) // most_times)
        chosen = range(step // 2, len(starts), step)
        parts = [_rows(main, int(starts[i]), int(ends[i] - starts[i]), every) for i in chosen]
    pairs, time, uvw, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Sample(ants, pairs, time, freqs[::every], uvw, weights)


def _rows(main: Any, start: int, n: int, every: int) -> tuple[NDArray[Any], ...]:
    flags = main.getcol("FLAG", start, n)[:, ::every]
    weights = main.getcol("WEIGHT_SPECTRUM", start, n)[:, ::every]
    weights = np.where(flags | ~np.isfinite(weights), 0.0, weights)[..., [0, -1]].min(axis=-1)
    pairs = np.stack((main.getcol("ANTENNA1", start, n), main.getcol("ANTENNA2", start, n)), axis=1)
    weights[pairs[:, 0] == pairs[:, 1]] = 0.0
    return pairs, main.getcol("TIME", start, n), main.getcol("UVW", start, n), weights.astype(float)


def _briggs(samples: Sequence[_Sample], weighting: Weighting) -> list[_Sample]:
    width = np.radians(weighting.size * weighting.scale_arcsec / 3600.0)
    cells, natural = [], []
    for sample in samples:
        u, v = sample.uv_lambda()
        natural.append(np.where(np.hypot(u, v) < weighting.minuv_lambda, 0.0, sample.weights))
        column, row = np.rint(u * width).astype(np.int64), np.rint(v * width).astype(np.int64)
        cells.append(row * weighting.size + column + weighting.size // 2)
    n = max(1, *(int(cell.max(initial=0)) + 1 for cell in cells))
    density = np.zeros(n)
    for cell, weights in zip(cells, natural, strict=True):
        density += np.bincount(np.clip(cell, 0, None).ravel(), weights.ravel(), n)
    mean = np.sum(density**2) / max(density.sum(), 1e-300)
    strength = (5.0 * 10.0**-weighting.robust) ** 2 / max(mean, 1e-300)
    return [
        replace(sample, weights=weights / (1.0 + strength * density[np.clip(cell, 0, None)]))
        for sample, cell, weights in zip(samples, cells, natural, strict=True)
    ]


def summed(samples: Sequence[_Sample]) -> ImageWeights:
    """The weights of samples by baseline, and by time and frequency."""
    ants = tuple(dict.fromkeys(ant for sample in samples for ant in sample.ants))
    times = np.unique(np.concatenate([sample.times for sample in samples]))
    freqs = np.unique(np.concatenate([sample.freqs for sample in samples]))
    baselines, cells = np.zeros((len(ants), len(ants))), np.zeros((len(times), len(freqs)))
    for sample in samples:
        number = np.array([ants.index(ant) for ant in sample.ants])[sample.pairs]
        np.add.at(baselines, (number[:, 0], number[:, 1]), sample.weights.sum(axis=1))
        at = np.searchsorted(times, sample.times)[:, None], np.searchsorted(freqs, sample.freqs)[None]
        np.add.at(cells, at, sample.weights)
    return ImageWeights(ants, baselines + baselines.T, times, freqs, cells)
