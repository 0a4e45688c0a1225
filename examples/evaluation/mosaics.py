"""What is measured on mosaics: noise, fluxes, positions, artefacts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.truth import TrueSource, Truth
from factor.directions.geometry import FieldGeometry, separation_deg
from factor.errors import FactorError
from factor.products.images.image import MAD_TO_SIGMA, Beam, Image, crop, read_image

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Position = tuple[float, float]

#: Noise is measured so far from the centre (deg; fraction of the faceting radius), and
#: further than this from every source.
NOISE_RADIUS_DEG, NOISE_RADIUS_FRACTION, NOISE_DISTANCE_DEG = 1.2, 0.8, 3.0 / 60.0
#: Noise far from the brightest source is measured further from it than this; deg.
FAR_FROM_BRIGHTEST_DEG = 15.0 / 60.0
#: The annulus of the background, in radii of the aperture.
ANNULUS = (1.5, 2.5)
#: Where artefacts are measured, around how many sources, with no neighbour that near; deg.
ARTEFACTS_DEG, ARTEFACT_SOURCES, ARTEFACT_NEIGHBOUR_DEG = (90.0 / 3600, 300.0 / 3600), 10, 400.0 / 3600
#: Local noise: within the first distance of a calibrator, beyond the second from sources; deg.
LOCAL_NOISE_DEG = (600.0 / 3600, 90.0 / 3600)
#: An annulus of which less than this is known has no background or artefacts.
_MIN_KNOWN = 0.5


@dataclass(frozen=True)
class Mosaic:
    """The two images of a mosaic that are measured.

    Attributes
    ----------
    flat : Image
        Flat noise, not corrected for the primary beam.
    pbcor : Image
        True fluxes.
    """

    flat: Image
    pbcor: Image

    @property
    def beam(self) -> Beam:
        """The restoring beam."""
        return self.flat.restoring_beam


@dataclass(frozen=True)
class SourceMeasure:
    """One source in one mosaic.

    Attributes
    ----------
    flux_ratio : float
        Measured flux over the true one; NaN where the aperture leaves the image.
    offset_arcsec : float
        Distance of its centroid from the truth; NaN for extended sources.
    """

    flux_ratio: float
    offset_arcsec: float


@dataclass(frozen=True)
class Measures:
    """Everything that is measured on one mosaic."""

    noise_jy: float
    noise_far_jy: float
    """The noise further than 15' from the brightest source."""
    sources: dict[str, SourceMeasure]
    calibrators: dict[str, SourceMeasure]
    local_noise_jy: dict[str, float]
    artefact_ratio: float
    """Median over the sources around which artefacts are measured, in units of the noise."""
    n_artefact_sources: int

    def flux_ratios(self) -> Array:
        """Those that could be measured."""
        return _finite(measure.flux_ratio for measure in self.sources.values())

    def offsets_arcsec(self) -> Array:
        """Those that could be measured."""
        return _finite(measure.offset_arcsec for measure in self.sources.values())


def read_mosaic(folder: Path) -> Mosaic:
    """Read the mosaic of a run from the folder of its products."""
    prefix = folder / "field.correct_mosaic"
    flat, pbcor = (read_image(prefix.with_name(f"{prefix.name}.{kind}.fits")) for kind in ("pbcut", "pbcor"))
    return Mosaic(flat, pbcor)


def mad_noise(values: NDArray[np.floating]) -> float:
    """1.4826 x median absolute deviation of finite values; NaN when there are none."""
    known = values[np.isfinite(values)].astype(np.float64)
    if known.size == 0:
        return math.nan
    return MAD_TO_SIGMA * float(np.median(np.abs(known - np.median(known))))


def scatter(values: Array) -> float:
    """1.4826 x median absolute deviation, NaN without values."""
    return mad_noise(values)


def field_noise(
    flat: Image,
    centre: Position,
    radius_deg: float,
    sources: Iterable[Position],
    far_from: Iterable[Position] = (),
) -> float:
    """Noise of a flat-noise image near its middle and away from all sources, Jy/beam.

    Further than 15' from those of *far_from*.
    """
    near = distances_deg(flat, centre) <= radius_deg
    taken = _disks(flat, sources, NOISE_DISTANCE_DEG) | _disks(flat, far_from, FAR_FROM_BRIGHTEST_DEG)
    return mad_noise(flat.data[near & ~taken])


def distances_deg(image: Image, position: Position) -> Array:
    """Distance of every pixel from a position, in the image's plane."""
    x0, y0 = (float(v) for v in image.wcs.world_to_pixel_values(*position))
    ny, nx = image.data.shape
    return np.asarray(np.hypot(np.arange(nx) - x0, (np.arange(ny) - y0)[:, None]) * image.cellsize_deg)


def _disks(image: Image, centres: Iterable[Position], radius_deg: float) -> Bools:
    """The pixels within a radius of any of some positions."""
    inside = np.zeros(image.data.shape, dtype=np.bool_)
    radius = radius_deg / image.cellsize_deg
    for position in centres:
        x0, y0 = (float(v) for v in image.wcs.world_to_pixel_values(*position))
        if not (math.isfinite(x0) and math.isfinite(y0)):
            continue
        x = slice(max(0, math.floor(x0 - radius)), max(0, math.ceil(x0 + radius) + 1))
        y = slice(max(0, math.floor(y0 - radius)), max(0, math.ceil(y0 + radius) + 1))
        rows, columns = np.ogrid[y, x]
        part = inside[y, x]
        part |= np.hypot(columns[:, : part.shape[1]] - x0, rows[: part.shape[0]] - y0) <= radius
    return inside


def _cut(image: Image, position: Position, radius_deg: float) -> tuple[Image, Array] | None:
    """The part of an image within a radius, and its pixels' distances; None outside the image."""
    try:
        part = crop(image, *position, 2.0 * radius_deg)
    except FactorError:
        return None
    return part, distances_deg(part, position)


def aperture_flux(image: Image, position: Position, radius_deg: float, beam: Beam) -> float:
    """Flux in an aperture, less the median of the annulus around it.

    Returns
    -------
    float
        Jy; NaN where the aperture is not wholly on the image.
    """
    cut = _cut(image, position, ANNULUS[1] * radius_deg)
    if cut is None:
        return math.nan
    part, distance = cut
    inside = part.data[distance <= radius_deg].astype(np.float64)
    ring = part.data[(distance > ANNULUS[0] * radius_deg) & (distance <= ANNULUS[1] * radius_deg)]
    full = math.pi * (radius_deg / image.cellsize_deg) ** 2
    if inside.size < 0.9 * full or not np.isfinite(inside).all() or np.isfinite(ring).mean() < _MIN_KNOWN:
        return math.nan
    background = float(np.nanmedian(ring))
    return float((inside - background).sum()) * image.cellsize_deg**2 / beam.solid_angle_deg2


def centroid(image: Image, position: Position, radius_deg: float) -> Position | None:
    """Centroid of the pixels above half of the aperture's peak; None where it is not on the image."""
    cut = _cut(image, position, radius_deg)
    if cut is None:
        return None
    part, distance = cut
    values = np.where(distance <= radius_deg, part.data, np.nan).astype(np.float64)
    if not np.isfinite(values).any():
        return None
    y, x = np.nonzero(values > 0.5 * np.nanmax(values))
    weights = values[y, x]
    if weights.sum() <= 0:
        return None
    ra, dec = part.wcs.pixel_to_world_values(
        float((x * weights).sum() / weights.sum()), float((y * weights).sum() / weights.sum())
    )
    return float(ra) % 360.0, float(dec)


def artefact_rms(flat: Image, position: Position) -> float:
    """Rms between 90" and 300" from a source, Jy/beam; NaN where too little of it is known."""
    cut = _cut(flat, position, ARTEFACTS_DEG[1])
    if cut is None:
        return math.nan
    part, distance = cut
    full = math.pi * (ARTEFACTS_DEG[1] ** 2 - ARTEFACTS_DEG[0] ** 2) / flat.cellsize_deg**2
    values = part.data[(distance >= ARTEFACTS_DEG[0]) & (distance <= ARTEFACTS_DEG[1])]
    known = values[np.isfinite(values)].astype(np.float64)
    if known.size < _MIN_KNOWN * full:
        return math.nan
    return float(np.sqrt(np.mean(known**2)))


def artefact_ratio(flat: Image, truth: Truth, geometry: FieldGeometry, noise_jy: float) -> tuple[float, int]:
    """Artefacts around the brightest lonely sources of the ellipse, and of how many sources.

    Returns
    -------
    ratio : float
        Median of the rms around each, in units of the noise.
    count : int
    """
    lonely = [
        source
        for source in truth.sources
        if truth.neighbour_deg(source) > ARTEFACT_NEIGHBOUR_DEG
        and float(geometry.distance(source.ra_deg, source.dec_deg)) <= 1.0
    ]
    lonely.sort(key=lambda source: -source.apparent_jy)
    values = [artefact_rms(flat, (s.ra_deg, s.dec_deg)) for s in lonely[:ARTEFACT_SOURCES]]
    known = _finite(values)
    return (float(np.median(known)) / noise_jy if known.size else math.nan), int(known.size)


def local_noise(flat: Image, position: Position, sources: Iterable[Position]) -> float:
    """Noise around a position, away from sources, Jy/beam."""
    cut = _cut(flat, position, LOCAL_NOISE_DEG[0])
    if cut is None:
        return math.nan
    part, distance = cut
    return mad_noise(part.data[(distance <= LOCAL_NOISE_DEG[0]) & ~_disks(part, sources, LOCAL_NOISE_DEG[1])])


def measure_source(mosaic: Mosaic, source: TrueSource) -> SourceMeasure:
    """Flux ratio and position error of one source."""
    position = (source.ra_deg, source.dec_deg)
    radius = source.aperture_deg(mosaic.beam)
    flux = aperture_flux(mosaic.pbcor, position, radius, mosaic.beam)
    offset = math.nan
    if source.is_point:
        middle = centroid(mosaic.pbcor, position, radius)
        if middle is not None:
            offset = 3600.0 * float(separation_deg(*middle, *position))
    return SourceMeasure(flux / source.flux_at(mosaic.pbcor.freq_hz), offset)


def noise_of(
    mosaic: Mosaic, truth: Truth, geometry: FieldGeometry, far_from: Iterable[Position] = ()
) -> float:
    """The mosaic's noise, Jy/beam."""
    radius = min(NOISE_RADIUS_DEG, NOISE_RADIUS_FRACTION * geometry.radius_deg)
    centre = (geometry.ra_deg, geometry.dec_deg)
    return field_noise(mosaic.flat, centre, radius, truth.positions, far_from)


def measure(
    mosaic: Mosaic,
    truth: Truth,
    geometry: FieldGeometry,
    sample: Sequence[TrueSource],
    calibrators: Iterable[TrueSource],
) -> Measures:
    """Measure a mosaic.

    Parameters
    ----------
    mosaic : Mosaic
    truth : Truth
    geometry : FieldGeometry
        The ellipse of the facets.
    sample : sequence of TrueSource
        The sources whose fluxes and positions count.
    calibrators : iterable of TrueSource
        Sources that get a row of their own.
    """
    noise = noise_of(mosaic, truth, geometry)
    ratio, count = artefact_ratio(mosaic.flat, truth, geometry, noise)
    chosen = list(calibrators)
    brightest = max(truth.sources, key=lambda source: source.apparent_jy)
    return Measures(
        noise_jy=noise,
        noise_far_jy=noise_of(mosaic, truth, geometry, [(brightest.ra_deg, brightest.dec_deg)]),
        sources={source.name: measure_source(mosaic, source) for source in sample},
        calibrators={source.name: measure_source(mosaic, source) for source in chosen},
        local_noise_jy={
            s.name: local_noise(mosaic.flat, (s.ra_deg, s.dec_deg), truth.positions) for s in chosen
        },
        artefact_ratio=ratio,
        n_artefact_sources=count,
    )


def _finite(values: Iterable[float]) -> Array:
    array = np.asarray(list(values), dtype=np.float64)
    return array[np.isfinite(array)]
