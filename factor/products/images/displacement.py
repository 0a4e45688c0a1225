"""How far sources have moved: between two images, and between two sky models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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

#: Fraction of a source's initial flux that the image before any solution must have at its place
#: to say where it is.
TRUSTED = 0.5

#: RA and Dec, degrees.
Place = tuple[float, float]


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


def source_shift_arcsec(new: Path, initial: Path, before: Path | None = None) -> float:
    """Median distance of a facet's sources in its new model from where they were.

    Each source counts by its flux. NaN when the new model has nothing where its sources were.

    Parameters
    ----------
    new, initial : Path
        Models of the facet.
    before : Path, optional
        Model of the calibrator from its image before any solution. Sources that it has were
        where it has them: the initial model of a source that was found at low resolution only
        may be off by half a pixel of that, for which no solution is to blame.
    """
    after, first = read(new), read(initial)
    unsolved = None if before is None else read(before)
    names = np.unique(first.patch)
    fluxes = np.array([float(first.flux_jy[first.patch == name].sum()) for name in names])
    shifts, weights = [], []
    for name, flux_jy in zip(names, fluxes, strict=True):
        place = _place(first, first.patch == name)
        if unsolved is not None:
            place = _centre_near(unsolved, place, TRUSTED * flux_jy) or place
        found = _centre_near(after, place)
        if flux_jy >= FAINTEST * fluxes.max() and found is not None:
            shifts.append(np.hypot(*_offset_arcsec(*found, place)))
            weights.append(flux_jy)
    if not shifts:
        return float("nan")
    order = np.argsort(shifts)
    reached = np.cumsum(np.array(weights)[order])
    return float(np.array(shifts)[order][np.searchsorted(reached, 0.5 * reached[-1])])


def _place(model: Components, own: np.ndarray) -> Place:
    weights = np.abs(model.flux_jy[own])
    return (
        float(np.average(model.ra_deg[own], weights=weights)),
        float(np.average(model.dec_deg[own], weights=weights)),
    )


def _centre_near(model: Components, place: Place, least_jy: float = 0.0) -> Place | None:
    """Centre of the light within `OWN_RADIUS_ARCSEC` of a place; None where there is too little."""
    east, north = _offset_arcsec(model.ra_deg, model.dec_deg, place)
    near = np.hypot(east, north) <= OWN_RADIUS_ARCSEC
    flux_jy = model.flux_jy[near]
    if not flux_jy.sum() > least_jy:
        return None
    east_deg, north_deg = (float(v[near] @ flux_jy / flux_jy.sum()) / 3600.0 for v in (east, north))
    return place[0] + east_deg / np.cos(np.radians(place[1])), place[1] + north_deg


def _offset_arcsec(ra_deg: Any, dec_deg: Any, place: Place) -> tuple[Any, Any]:
    """East and north of a place."""
    east = ((ra_deg - place[0] + 180.0) % 360.0 - 180.0) * np.cos(np.radians(place[1])) * 3600.0
    return east, (dec_deg - place[1]) * 3600.0
