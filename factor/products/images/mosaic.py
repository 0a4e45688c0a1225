"""Facet images joined into one image of the field, corrected for the primary beam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.products.images.image import Beam, Image, SkyGrid, read_image
from factor.products.images.masks import Vertices, pixel_polygon_mask, polygon_pixels
from factor.products.images.resample import paste

if TYPE_CHECKING:
    from astropy.io.fits import Header

#: Largest relative difference of the facets' restoring beams.
BEAM_TOLERANCE = 0.01


@dataclass(frozen=True)
class FacetImage:
    """One facet of a mosaic.

    Attributes
    ----------
    name : str
        Name of the facet.
    path : Path or None
        Its image; None when there is none: its pixels stay blank.
    vertices : sequence of (ra_deg, dec_deg)
        Corners of its polygon, not closed.
    solutions : str
        The direction whose solutions the image was made with.
    kind : str
        ``own``, ``borrowed`` (it was not calibrated itself), ``failed`` (its own calibration
        did; those of another are used) or ``none``.
    """

    name: str
    path: Path | None
    vertices: Vertices
    solutions: str = ""
    kind: str = "own"


@dataclass(frozen=True)
class Mosaic:
    """A flat-noise image of the field.

    Attributes
    ----------
    data : ndarray of float32, shape (ny, nx)
        NaN outside the facets.
    facet_map : ndarray of int16, shape (ny, nx)
        Number of the facet, counted from 1 in the order of `facets`; 0 outside.
    beam : Beam
        The restoring beam at the field's centre.
    cards : dict
        OBJECT, TELESCOP, DATE-OBS, ... of the first facet's image.
    """

    data: NDArray[np.float32]
    facet_map: NDArray[np.int16]
    grid: SkyGrid
    beam: Beam
    facets: tuple[FacetImage, ...]
    cards: dict[str, Any]
    bandwidth_hz: float = 1.0


def turned_position_angle(
    bpa_deg: float, to_ra_dec_deg: tuple[float, float], from_ra_dec_deg: tuple[float, float]
) -> float:
    """Position angle that a beam of fixed orientation on the sky has at another place.

    North differs from place to place: the angle is carried along the great circle
    between the two (parallel transport).

    Parameters
    ----------
    bpa_deg : float
        North through east at the place `from_ra_dec_deg`.
    to_ra_dec_deg, from_ra_dec_deg : (ra, dec)
        E.g. the facet's centre and the field's centre.

    Returns
    -------
    float
        In [-90, 90).
    """
    ra1, dec1 = np.radians(from_ra_dec_deg)
    ra2, dec2 = np.radians(to_ra_dec_deg)
    # How much the bearing of the great circle changes on the way (spherical excess of the
    # triangle with the pole), in a form that is exact for short distances too.
    half = 0.5 * (ra2 - ra1)
    turn = 2.0 * math.atan2(
        math.sin(half) * math.sin(0.5 * (dec1 + dec2)),
        math.cos(half) * math.cos(0.5 * (dec2 - dec1)),
    )
    return (bpa_deg + math.degrees(turn) + 90.0) % 180.0 - 90.0


def mosaic_grid(
    centre_deg: tuple[float, float], polygons: Sequence[Vertices], cellsize_arcsec: float
) -> SkyGrid:
    """The smallest grid centred on the field that holds every polygon.

    Parameters
    ----------
    centre_deg : (ra, dec)
        The field's phase centre.
    polygons : sequence of sequences of (ra_deg, dec_deg)
    cellsize_arcsec : float
    """
    point = SkyGrid(*centre_deg, 1, 1, cellsize_arcsec)
    wcs = point.wcs
    corners = np.abs(np.concatenate([polygon_pixels(p, wcs) for p in polygons]))
    half_x, half_y = np.ceil(corners.max(axis=0)).astype(int) + 4
    return SkyGrid(*centre_deg, 2 * int(half_x), 2 * int(half_y), cellsize_arcsec)


def facet_map(polygons: Sequence[Vertices], grid: SkyGrid) -> NDArray[np.int16]:
    """Number of the facet of every pixel, counted from 1; 0 outside all of them.

    Every pixel in the union of the polygons belongs to exactly one: where rounding leaves
    a sliver between two polygons it goes to a neighbour, where they overlap to the first.
    """
    from shapely import unary_union
    from shapely.geometry import Polygon

    wcs = grid.wcs
    corners = [polygon_pixels(p, wcs) for p in polygons]
    numbers = np.zeros(grid.shape, dtype=np.int16)
    for i, pixels in enumerate(corners, 1):
        inside = pixel_polygon_mask(pixels, grid.shape)
        numbers[inside & (numbers == 0)] = i
    closed = unary_union([Polygon(p).buffer(1.0) for p in corners]).buffer(-1.0)
    union = np.zeros(grid.shape, dtype=np.bool_)
    for part in getattr(closed, "geoms", [closed]):
        for ring in (part.exterior, *part.interiors):
            union ^= pixel_polygon_mask(np.asarray(ring.coords)[:-1], grid.shape)
    rows, columns = np.nonzero(union & (numbers == 0))
    for _ in range(4):
        best = np.zeros(rows.size, dtype=np.int16)
        for dy, dx in itertools.product((-1, 0, 1), repeat=2):
            y = np.clip(rows + dy, 0, grid.ny - 1)
            x = np.clip(columns + dx, 0, grid.nx - 1)
            best = np.maximum(best, numbers[y, x])
        numbers[rows, columns] = best
        rows, columns = rows[best == 0], columns[best == 0]
    return numbers


def make_mosaic(facets: Sequence[FacetImage], grid: SkyGrid) -> Mosaic:
    """Join facet images: interpolate each with cubic splines, then blank it outside its polygon.

    Raises
    ------
    FactorError
        When the images differ in restoring beam by more than 1 %, are not in Jy/beam, or
        one does not cover its polygon.
    """
    numbers = facet_map([f.vertices for f in facets], grid)
    data = np.full(grid.shape, np.nan, dtype=np.float32)
    beams: list[tuple[Path, Beam]] = []
    cards: dict[str, Any] = {}
    bandwidth_hz = 1.0
    for i, facet in enumerate(facets, 1):
        if facet.path is None:
            continue
        image = read_image(facet.path)
        beams.append((facet.path, _beam_at_centre(image, grid)))
        cards = cards or _inherited(image.header)
        bandwidth_hz = max(bandwidth_hz, image.bandwidth_hz)
        paste(data, numbers == i, image, grid)
    if not beams:
        raise FactorError("no facet has an image: there is nothing to make a mosaic of")
    return Mosaic(data, numbers, grid, _common_beam(beams), tuple(facets), cards, bandwidth_hz)


def _inherited(header: Header) -> dict[str, Any]:
    names = ("OBJECT", "TELESCOP", "OBSERVER", "INSTRUME", "DATE-OBS", "TIMESYS")
    return {name: header[name] for name in names if name in header}


def _beam_at_centre(image: Image, grid: SkyGrid) -> Beam:
    beam = image.restoring_beam
    if image.unit.upper() != "JY/BEAM":
        raise FactorError(f"{image.path}: unit is '{image.unit}', Jy/beam is needed")
    ra, dec = (float(v) for v in image.wcs.wcs.crval)
    angle = turned_position_angle(beam.bpa_deg, (grid.ra_deg, grid.dec_deg), (ra, dec))
    return replace(beam, bpa_deg=angle)


def _common_beam(beams: Sequence[tuple[Path, Beam]]) -> Beam:
    first_path, first = beams[0]
    for path, beam in beams[1:]:
        major = abs(beam.bmaj_deg / first.bmaj_deg - 1.0)
        minor = abs(beam.bmin_deg / first.bmin_deg - 1.0)
        turn = math.radians(abs((beam.bpa_deg - first.bpa_deg + 90.0) % 180.0 - 90.0))
        # What a turn does to the width across the beam's major axis.
        skew = turn * (first.bmaj_deg / first.bmin_deg - first.bmin_deg / first.bmaj_deg)
        if max(major, minor) > BEAM_TOLERANCE or skew > 5 * BEAM_TOLERANCE:
            shown = [
                f"{b.bmaj_deg * 3600:.3f} x {b.bmin_deg * 3600:.3f} arcsec, {b.bpa_deg:.1f} deg"
                for b in (first, beam)
            ]
            raise FactorError(
                f"{path}: restoring beam {shown[1]} (turned to the field's centre) differs from "
                f"{shown[0]} of {first_path} by more than {100 * BEAM_TOLERANCE:g} %",
                "image all facets again with one restoring beam",
            )
    return first
