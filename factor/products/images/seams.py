"""How well neighbouring facets of a mosaic fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from factor.products.images.image import Image, read_image
from factor.products.images.mosaic import Mosaic
from factor.products.images.resample import sample_image

#: A step of more than this part of the noise can be seen.
SEAM_LIMIT_SIGMA = 0.3
#: Shorter edges are left out, in beams: there the mean is noise.
FEWEST_BEAMS = 20.0


@dataclass(frozen=True)
class Seam:
    """The step between two facets along their common edge."""

    first: str
    second: str
    length_beams: float
    difference_jy: float
    """Mean of the first facet's image minus the second's, Jy/beam."""


@dataclass(frozen=True)
class SeamSummary:
    """The steps between all facets, in units of the mosaic's noise."""

    edges: int
    median_sigma: float
    worst_sigma: float
    worst_edge: tuple[str, str]

    def __str__(self) -> str:
        if not self.edges:
            return "no edge that facets share is long enough to be measured"
        first, second = self.worst_edge
        return (
            f"{self.median_sigma:.2f} of the noise (median of {self.edges} edges), {self.worst_sigma:.2f} "
            f"at worst, between {first} and {second}"
        )

    @property
    def visible(self) -> bool:
        """Whether the worst of them is above the limit."""
        return self.worst_sigma > SEAM_LIMIT_SIGMA


def summarise_seams(seams: Sequence[Seam], noise_jy: float) -> SeamSummary:
    """Median and worst of the steps between facets."""
    if not seams or not noise_jy > 0.0:
        return SeamSummary(0, 0.0, 0.0, ("", ""))
    steps = np.abs([seam.difference_jy for seam in seams]) / noise_jy
    worst = seams[int(np.argmax(steps))]
    return SeamSummary(len(seams), float(np.median(steps)), float(steps.max()), (worst.first, worst.second))


def seam_statistics(mosaic: Mosaic) -> list[Seam]:
    """Steps between neighbouring facets: both images along their common edge.

    Divide `Seam.difference_jy` by the mosaic's noise.

    Parameters
    ----------
    mosaic : Mosaic
        The facets' images must still be there; they reach beyond their polygons.
    """
    seams = []
    beam_pixels = mosaic.beam.bmaj_deg / mosaic.grid.cellsize_deg
    images: dict[int, Image] = {}
    for (first, second), (x, y) in _edges(mosaic.facet_map).items():
        length = float(np.hypot(np.ptp(x), np.ptp(y))) / beam_pixels
        paths = [mosaic.facets[i - 1].path for i in (first, second)]
        if length < FEWEST_BEAMS or None in paths:
            continue
        values = []
        for i, path in zip((first, second), paths, strict=True):
            if i not in images and path is not None:
                images[i] = read_image(path)
            values.append(sample_image(images[i], mosaic.grid, x, y))
        difference = values[0] - values[1]
        known = np.isfinite(difference)
        if known.any():
            names = (mosaic.facets[first - 1].name, mosaic.facets[second - 1].name)
            seams.append(Seam(*names, length, float(difference[known].mean())))
    return seams


def _edges(
    numbers: NDArray[np.int16],
) -> dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Points halfway between adjacent pixels of different facets, per pair of facets."""
    pairs: list[NDArray[np.int16]] = []
    points: list[NDArray[np.float64]] = []
    for dy, dx in ((0, 1), (1, 0)):
        here = numbers[: numbers.shape[0] - dy, : numbers.shape[1] - dx]
        there = numbers[dy:, dx:]
        y, x = np.nonzero((here != there) & (here > 0) & (there > 0))
        pairs.append(np.sort(np.column_stack([here[y, x], there[y, x]]), axis=1))
        points.append(np.column_stack([x + 0.5 * dx, y + 0.5 * dy]))
    labels, where = np.concatenate(pairs), np.concatenate(points)
    found = {}
    for first, second in np.unique(labels, axis=0):
        chosen = where[(labels == (first, second)).all(axis=1)]
        found[int(first), int(second)] = (chosen[:, 0], chosen[:, 1])
    return found
