"""How far sources have moved: between two images, and between two sky models."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from factor.products.images.image import Image, read_image
from factor.products.models.skymodel import Components, read

#: How far from its first place a source is looked for, in beams.
REACH_BEAMS = 2.0

#: Radius around a source of the initial model within which the new one's light is its own,
#: arcsec: about the resolution of the initial images.
OWN_RADIUS_ARCSEC = 30.0

#: Sources fainter than this fraction of the facet's brightest say nothing about positions.
FAINTEST = 0.1


def shift_beams(first: Path, last: Path) -> float:
    """Distance of the brightest source's centre in two images of one grid, in beams of the first.

    The centre is that of the light above half of the source's peak; a beam is the
    geometric mean of its axes.
    """
    before, after = read_image(first), read_image(last)
    beam_pixels = before.restoring_beam.mean_deg / before.cellsize_deg
    ny, nx = before.data.shape
    where = _centre(before, np.ones((ny, nx), dtype=bool))
    rows, columns = np.mgrid[0:ny, 0:nx]
    near = np.hypot(rows - where[0], columns - where[1]) <= REACH_BEAMS * beam_pixels
    there = _centre(after, near)
    return float(np.hypot(there[0] - where[0], there[1] - where[1]) / beam_pixels)


def _centre(image: Image, within: np.ndarray) -> tuple[float, float]:
    from scipy.ndimage import center_of_mass, label

    data = np.where(within, image.data, -np.inf)
    at = np.unravel_index(int(np.argmax(data)), data.shape)
    blobs, _ = label(image.data > 0.5 * data[at])
    row, column = center_of_mass(np.clip(image.data, 0.0, None), blobs, blobs[at])
    return float(row), float(column)


def source_shift_arcsec(new: Path, initial: Path) -> float:
    """Median distance of a facet's sources in its new model from where the initial one has them.

    Each source counts by its flux. NaN when the new model has nothing where the initial one
    has its sources.
    """
    after, before = read(new), read(initial)
    names = np.unique(before.patch)
    fluxes = np.array([float(before.flux_jy[before.patch == name].sum()) for name in names])
    shifts, weights = [], []
    for name, flux_jy in zip(names, fluxes, strict=True):
        shift = _shift(after, before, before.patch == name)
        if flux_jy >= FAINTEST * fluxes.max() and np.isfinite(shift):
            shifts.append(shift)
            weights.append(flux_jy)
    if not shifts:
        return float("nan")
    order = np.argsort(shifts)
    reached = np.cumsum(np.array(weights)[order])
    return float(np.array(shifts)[order][np.searchsorted(reached, 0.5 * reached[-1])])


def _shift(after: Components, before: Components, own: np.ndarray) -> float:
    ra_deg = np.average(before.ra_deg[own], weights=np.abs(before.flux_jy[own]))
    dec_deg = np.average(before.dec_deg[own], weights=np.abs(before.flux_jy[own]))
    east = ((after.ra_deg - ra_deg + 180.0) % 360.0 - 180.0) * np.cos(np.radians(dec_deg)) * 3600.0
    north = (after.dec_deg - dec_deg) * 3600.0
    near = np.hypot(east, north) <= OWN_RADIUS_ARCSEC
    flux_jy = after.flux_jy[near]
    if not flux_jy.sum() > 0:
        return float("nan")
    return float(np.hypot(east[near] @ flux_jy, north[near] @ flux_jy) / flux_jy.sum())
