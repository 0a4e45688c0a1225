"""Fluxes and positions in the final mosaic against what is known of the field's sources.

Sources are measured where a reference has them: flux in an aperture, less the median of the
annulus around it, and position by a fit to the peak. A search for sources in the whole mosaic
would cost more than all else that is done with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.directions.geometry import Floats, Ints, separation_deg, unit_vectors
from factor.errors import FactorError
from factor.products.fieldcheck.plot import plot_check
from factor.products.fieldcheck.table import Row, Summary, write_rows, write_summaries
from factor.products.images.image import MAD_TO_SIGMA, Image, crop, read_image
from factor.products.images.positions import find_peak

#: Sources fainter than so many times the noise are left out.
FAINTEST_SIGMA = 30.0
#: At most so many sources of a reference are measured, the brightest.
MOST_SOURCES = 300
#: Radius of the aperture: in beams (major axis), and at least, arcsec.
APERTURE_BEAMS, APERTURE_ARCSEC = 3.0, 30.0
#: The annulus of the background, in radii of the aperture.
ANNULUS = (1.5, 2.5)
#: A neighbour matters when it has more than this part of a source's flux.
_NEIGHBOUR = 0.1
#: A source with less than this part of its flux is not there.
MISSING = 0.3


@dataclass(frozen=True)
class KnownSource:
    """A source that is known; its flux is at the mosaic's frequency."""

    name: str
    ra_deg: float
    dec_deg: float
    flux_jy: float


@dataclass(frozen=True)
class Reference:
    """What is known of the sources of the field.

    Attributes
    ----------
    name : str
        As it is called in the table and the log.
    apparent : bool
        Whether its fluxes are apparent ones, attenuated by the primary beam.
    """

    name: str
    apparent: bool
    sources: tuple[KnownSource, ...]


def lonely_brightest(ra_deg: Floats, dec_deg: Floats, flux_jy: Floats, radius_deg: float) -> Ints:
    """Indices of the brightest sources without a neighbour of more than a tenth of their flux.

    Parameters
    ----------
    ra_deg, dec_deg, flux_jy : numpy.ndarray
    radius_deg : float
        How near a neighbour matters.
    """
    from scipy.spatial import cKDTree

    order = np.argsort(-flux_jy, kind="stable")
    tree = cKDTree(unit_vectors(ra_deg, dec_deg))
    chosen: list[int] = []
    for k in order:
        near = np.asarray(tree.query_ball_point(tree.data[k], math.radians(radius_deg)))
        if (flux_jy[near] > _NEIGHBOUR * flux_jy[k]).sum() == 1:
            chosen.append(int(k))
        if len(chosen) == MOST_SOURCES:
            break
    return np.asarray(chosen, dtype=np.int64)


def aperture_radius_deg(bmaj_deg: float) -> float:
    """Radius of the aperture for a beam."""
    return max(APERTURE_BEAMS * bmaj_deg, APERTURE_ARCSEC / 3600.0)


def check_mosaic(prefix: Path, references: Sequence[Reference], noise_jy: float) -> None:
    """Measure the references' sources in a mosaic; write table, numbers and plot.

    Parameters
    ----------
    prefix : Path
        Folder and beginning of the names of the mosaic's files; ``<prefix>check.csv``,
        ``<prefix>check.json`` and ``<prefix>check.png`` are written.
    references : sequence of Reference
    noise_jy : float
        Noise of the flat-noise image.
    """
    flat = read_image(prefix.with_name(f"{prefix.name}correct_mosaic.pbcut.fits"))
    rows = [row for reference in references for row in _measure_all(flat, reference, noise_jy, prefix)]
    summaries = [summarise(reference.name, rows, flat) for reference in references]
    write_rows(prefix.with_name(f"{prefix.name}check.csv"), rows)
    plot_check(rows, summaries, prefix.with_name(f"{prefix.name}check.png"))
    write_summaries(prefix.with_name(f"{prefix.name}check.json"), summaries)


def _measure_all(flat: Image, reference: Reference, noise_jy: float, prefix: Path) -> list[Row]:
    from astropy.io import fits

    if not reference.sources:
        return []
    ra = np.array([source.ra_deg for source in reference.sources])
    dec = np.array([source.dec_deg for source in reference.sources])
    x, y = (np.rint(np.nan_to_num(v, nan=-1.0)).astype(int) for v in flat.wcs.world_to_pixel_values(ra, dec))
    distance = separation_deg(ra, dec, *flat.wcs.wcs.crval)
    ny, nx = flat.data.shape
    rows = []
    names = (prefix.with_name(f"{prefix.name}correct_mosaic.{kind}.fits") for kind in ("pb", "facets"))
    with fits.open(next(names)) as pb, fits.open(next(names)) as facets:
        for k, source in enumerate(reference.sources):
            if not (0 <= x[k] < nx and 0 <= y[k] < ny and np.isfinite(flat.data[y[k], x[k]])):
                continue
            # Only the pixels that are wanted are read.
            response = float(pb[0].section[0, 0, y[k], x[k]])
            expected = source.flux_jy * (1.0 if reference.apparent else response)
            if expected < FAINTEST_SIGMA * noise_jy:
                continue
            flux, error = aperture_flux(flat, source.ra_deg, source.dec_deg, noise_jy)
            east, north = _offset(flat, source, expected)
            facet = int(facets[0].section[y[k], x[k]])
            if not flux > MISSING * expected:
                flux, east, north = math.nan, math.nan, math.nan
            rows.append(
                Row(
                    reference=reference.name,
                    name=source.name,
                    ra_deg=source.ra_deg,
                    dec_deg=source.dec_deg,
                    facet=facet,
                    distance_deg=float(distance[k]),
                    primary_beam=response,
                    expected_apparent_jy=expected,
                    measured_apparent_jy=flux,
                    error_apparent_jy=error,
                    measured_true_jy=flux / response,
                    flux_ratio=flux / expected,
                    ra_offset_arcsec=east,
                    dec_offset_arcsec=north,
                )
            )
    return rows


def aperture_flux(image: Image, ra_deg: float, dec_deg: float, noise_jy: float) -> tuple[float, float]:
    """Flux in an aperture less the background around it, and its error by the noise, Jy.

    NaN where the aperture is not wholly on the image, or less than half of the annulus is.
    """
    beam = image.restoring_beam
    radius = aperture_radius_deg(beam.bmaj_deg)
    beams = math.pi * radius**2 / beam.solid_angle_deg2
    error = noise_jy * math.sqrt(beams)
    try:
        part = crop(image, ra_deg, dec_deg, 2.0 * ANNULUS[1] * radius)
    except FactorError:
        return math.nan, error
    x0, y0 = (float(v) for v in part.wcs.wcs_world2pix(ra_deg, dec_deg, 0))
    ny, nx = part.data.shape
    distance = np.hypot(np.arange(nx) - x0, (np.arange(ny) - y0)[:, None]) * image.cellsize_deg
    inside = part.data[distance <= radius].astype(np.float64)
    ring = part.data[(distance > ANNULUS[0] * radius) & (distance <= ANNULUS[1] * radius)]
    full = math.pi * (radius / image.cellsize_deg) ** 2
    if inside.size < 0.9 * full or not np.isfinite(inside).all() or np.isfinite(ring).mean() < 0.5:
        return math.nan, error
    total = float((inside - np.nanmedian(ring)).sum())
    return total * image.cellsize_deg**2 / beam.solid_angle_deg2, error


def _offset(flat: Image, source: KnownSource, expected_jy: float) -> tuple[float, float]:
    """Arcsec east and north from a source's place to its peak; NaN where it has no clear one."""
    reach = 3600.0 * aperture_radius_deg(flat.restoring_beam.bmaj_deg) / 2.0
    peak = find_peak(flat, source.ra_deg, source.dec_deg, reach)
    # A peak of a small part of the flux is not the source but a sidelobe or the noise.
    if peak is None or peak.flux_jy < 0.1 * expected_jy:
        return math.nan, math.nan
    east = (peak.ra_deg - source.ra_deg + 180.0) % 360.0 - 180.0
    north = peak.dec_deg - source.dec_deg
    return 3600.0 * east * math.cos(math.radians(source.dec_deg)), 3600.0 * north


def summarise(reference: str, rows: Sequence[Row], mosaic: Image) -> Summary:
    """Medians and scatter of a reference's sources."""
    own = [row for row in rows if row.reference == reference]
    measured = [row for row in own if math.isfinite(row.flux_ratio)]
    ratios = np.array([row.flux_ratio for row in measured])
    east = np.array([row.ra_offset_arcsec for row in measured])
    north = np.array([row.dec_offset_arcsec for row in measured])
    return Summary(
        reference=reference,
        expected=len(own),
        found=len(measured),
        flux_ratio=_median(ratios),
        flux_scatter=MAD_TO_SIGMA * _median(np.abs(ratios - _median(ratios))),
        ra_offset_arcsec=_median(east),
        dec_offset_arcsec=_median(north),
        offset_arcsec=_median(np.hypot(east, north)),
        freq_hz=mosaic.freq_hz,
        beam_arcsec=3600.0 * mosaic.restoring_beam.bmin_deg,
    )


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan
