"""FITS images: reading, writing, and the few numbers that decisions rest on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.files import whole

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from astropy.wcs import WCS

#: From the median absolute deviation to the standard deviation of Gaussian noise.
MAD_TO_SIGMA = 1.4826

#: Pixels that tell the noise: several lie in each beam, more of them tell nothing new.
_NOISE_SAMPLES = 500_000
#: How often sources are left out of it, at most.
_CLIPPINGS = 5

#: Restoring beams shorter than so many pixels, narrower than so many, or longer than this part of the
#: image are wrongly fitted.
_FEWEST_PIXELS = 2.0
_FEWEST_ACROSS = 1.0
_LARGEST_PART = 0.25


@dataclass(frozen=True)
class Beam:
    """A Gaussian restoring beam; the position angle runs from north through east."""

    bmaj_deg: float
    bmin_deg: float
    bpa_deg: float

    @property
    def mean_deg(self) -> float:
        """Geometric mean of its axes."""
        return math.sqrt(self.bmaj_deg * self.bmin_deg)

    @property
    def solid_angle_deg2(self) -> float:
        """Integral of the beam, square degrees."""
        return math.pi * self.bmaj_deg * self.bmin_deg / (4.0 * math.log(2.0))


@dataclass(frozen=True)
class SkyGrid:
    """A SIN-projected pixel grid, north up and east left, laid out as WSClean does.

    Attributes
    ----------
    ra_deg, dec_deg : float
        The tangent point, on the middle of pixel (nx // 2, ny // 2), counted from 0.
    nx, ny : int
        Number of pixels in RA and Dec.
    cellsize_arcsec : float
        Side of a pixel at the tangent point.
    """

    ra_deg: float
    dec_deg: float
    nx: int
    ny: int
    cellsize_arcsec: float

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the array: (ny, nx)."""
        return (self.ny, self.nx)

    @property
    def cellsize_deg(self) -> float:
        return self.cellsize_arcsec / 3600.0

    def header(self, freq_hz: float | None = None, bandwidth_hz: float = 1.0) -> Header:
        """Header with the axes RA and Dec, and FREQ and STOKES when a frequency is given."""
        from astropy.io.fits import Header

        header = Header()
        axes: list[tuple[str, float, float, float, str]] = [
            ("RA---SIN", self.ra_deg % 360.0, self.nx // 2 + 1.0, -self.cellsize_deg, "deg"),
            ("DEC--SIN", self.dec_deg, self.ny // 2 + 1.0, self.cellsize_deg, "deg"),
        ]
        if freq_hz is not None:
            axes.append(("FREQ", freq_hz, 1.0, bandwidth_hz, "Hz"))
            axes.append(("STOKES", 1.0, 1.0, 1.0, ""))
        for i, (ctype, value, pixel, delta, unit) in enumerate(axes, 1):
            header[f"CTYPE{i}"] = ctype
            header[f"CRVAL{i}"] = value
            header[f"CRPIX{i}"] = pixel
            header[f"CDELT{i}"] = delta
            header[f"CUNIT{i}"] = unit
        header["RADESYS"] = "FK5"
        header["EQUINOX"] = 2000.0
        if freq_hz is not None:
            header["SPECSYS"] = "TOPOCENT"
            header["RESTFRQ"] = (freq_hz, "Hz, weighted mean of the data")
        return header

    @property
    def wcs(self) -> WCS:
        """The two celestial axes."""
        from astropy.wcs import WCS

        return WCS(self.header())


@dataclass(frozen=True)
class Image:
    """One plane of a FITS image.

    Attributes
    ----------
    data : ndarray of float32, shape (ny, nx)
    header : astropy.io.fits.Header
        As it was in the file.
    wcs : astropy.wcs.WCS
        Its two celestial axes.
    beam : Beam or None
        The restoring beam, None when the header has none.
    freq_hz : float
        0 when the header has none.
    bandwidth_hz : float
        Width of the frequency axis' pixel; 0 when the header has none.
    """

    path: Path
    data: NDArray[np.float32]
    header: Header
    wcs: WCS
    beam: Beam | None
    freq_hz: float
    bandwidth_hz: float

    @property
    def cellsize_deg(self) -> float:
        return float(abs(self.wcs.wcs.cdelt[1]))

    @property
    def restoring_beam(self) -> Beam:
        """The beam of an image that must have one.

        Raises
        ------
        FactorError
            When the header has none.
        """
        return _present(self.path, self.beam)

    @property
    def unit(self) -> str:
        return str(self.header.get("BUNIT", "")).strip()


@dataclass(frozen=True)
class Peak:
    """A peak in an image.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Where it is.
    flux_jy : float
        Its brightest pixel, Jy/beam.
    """

    ra_deg: float
    dec_deg: float
    flux_jy: float


def _header_frequency(header: Header) -> tuple[float, float]:
    for i in range(1, int(header.get("NAXIS", 0)) + 1):
        if str(header.get(f"CTYPE{i}", "")).startswith("FREQ"):
            return float(header[f"CRVAL{i}"]), abs(float(header.get(f"CDELT{i}", 0.0)))
    return float(header.get("RESTFRQ", header.get("RESTFREQ", 0.0))), 0.0


def _header_beam(header: Header) -> Beam | None:
    if not (header.get("BMAJ", 0.0) > 0.0 and header.get("BMIN", 0.0) > 0.0):
        return None
    return Beam(float(header["BMAJ"]), float(header["BMIN"]), float(header.get("BPA", 0.0)))


def _present(path: Path, beam: Beam | None) -> Beam:
    if beam is None:
        raise FactorError(f"{path}: has no restoring beam (BMAJ, BMIN)")
    return beam


def read_image(path: Path) -> Image:
    """Read the first plane of a FITS image.

    Raises
    ------
    FactorError
        When the file is missing, no FITS image or cut short.
    """
    from astropy.io import fits
    from astropy.wcs import WCS

    try:
        with fits.open(path, memmap=False) as hdus:
            header = hdus[0].header.copy()
            raw = hdus[0].data
    except (OSError, TypeError, ValueError) as error:
        raise FactorError(f"{path}: can't be read as a FITS image: {error}") from error
    if raw is None or raw.ndim < 2:
        raise FactorError(f"{path}: holds no image")
    plane = raw.reshape((-1, *raw.shape[-2:]))[0]
    data = np.ascontiguousarray(plane, dtype=np.float32)
    # Without repairs of dates, which are none of its business and make it warn.
    wcs = WCS(header, fix=False).celestial
    return Image(path, data, header, wcs, _header_beam(header), *_header_frequency(header))


def read_beam(path: Path) -> Beam:
    """The restoring beam in an image's header; its pixels are not read.

    Raises
    ------
    FactorError
        When the file cannot be read or has none.
    """
    from astropy.io import fits

    try:
        header = fits.getheader(path)
    except OSError as error:
        raise FactorError(f"{path}: can't be read as a FITS image: {error}") from error
    return _present(path, _header_beam(header))


def write_image(path: Path, data: NDArray[Any], header: Header, table: Any = None) -> None:
    """Write a FITS image whole or not at all, replacing what was there.

    Parameters
    ----------
    path : Path
    data : ndarray, shape (ny, nx)
        Written with degenerate axes in front when the header describes four axes.
    header : astropy.io.fits.Header
    table : astropy.io.fits.BinTableHDU, optional
        An extension to write behind it.
    """
    from astropy.io import fits

    full = data[np.newaxis, np.newaxis] if "CTYPE4" in header else data
    hdus = fits.HDUList([fits.PrimaryHDU(full, header)])
    if table is not None:
        hdus.append(table)
    with whole(path) as draft:
        hdus.writeto(draft, output_verify="fix")


def image_noise(data: NDArray[Any]) -> float:
    """Noise of an image: 1.4826 x MAD, sources beyond 5 sigma left out, blanks ignored.

    Larger images than two million pixels are sampled. 0 when there is no finite pixel.
    """
    step = max(1, math.isqrt(data.size // _NOISE_SAMPLES))
    values = data[::step, ::step] if data.ndim == 2 else data
    values = values[np.isfinite(values)]
    noise = 0.0
    for _ in range(_CLIPPINGS):
        if values.size == 0:
            return 0.0
        middle = np.median(values)
        deviation = np.abs(values - middle)
        noise = MAD_TO_SIGMA * float(np.median(deviation))
        kept = values[deviation <= 5.0 * noise]
        if noise == 0.0 or kept.size == values.size:
            break
        values = kept
    return noise


def dynamic_range(data: NDArray[Any]) -> tuple[float, float]:
    """Tell how good a self-calibration image is.

    Returns
    -------
    peak_over_noise, min_over_max : float
        The two numbers whose improvement decides on another cycle: the peak over the
        noise (should rise) and ``abs(minimum) / maximum`` (should fall).
    """
    low, high = float(np.nanmin(data)), float(np.nanmax(data))
    noise = image_noise(data)
    ratio = high / noise if noise > 0 else math.inf
    return ratio, abs(low) / high if high > 0 else math.inf


def peak(image: Image) -> Peak:
    """The brightest pixel and where it is."""
    y, x = np.unravel_index(int(np.nanargmax(image.data)), image.data.shape)
    ra, dec = image.wcs.pixel_to_world_values(float(x), float(y))
    return Peak(float(ra) % 360.0, float(dec), float(image.data[y, x]))


def crop(image: Image, ra_deg: float, dec_deg: float, width_deg: float) -> Image:
    """The square of the given width around a position, cut at the image's edges.

    Raises
    ------
    FactorError
        When the square lies outside the image.
    """
    x, y = (float(v) for v in image.wcs.world_to_pixel_values(ra_deg, dec_deg))
    half = 0.5 * width_deg / image.cellsize_deg
    ny, nx = image.data.shape
    if not (math.isfinite(x) and math.isfinite(y)):
        raise FactorError(f"{image.path}: {ra_deg:.5f}, {dec_deg:.5f} deg is not on the image")
    x0, x1 = max(0, math.ceil(x - half)), min(nx, math.floor(x + half) + 1)
    y0, y1 = max(0, math.ceil(y - half)), min(ny, math.floor(y + half) + 1)
    if x0 >= x1 or y0 >= y1:
        raise FactorError(f"{image.path}: {ra_deg:.5f}, {dec_deg:.5f} deg is not on the image")
    header = image.header.copy()
    header["CRPIX1"] -= x0
    header["CRPIX2"] -= y0
    wcs = image.wcs[y0:y1, x0:x1]
    return replace(image, data=image.data[y0:y1, x0:x1], header=header, wcs=wcs)


def check_image(path: Path, *, restored: bool = True) -> Image:
    """Read an image that a tool has just made and refuse it when it can't be right.

    Images in which nothing was cleaned are not restored, and have no beam.

    Raises
    ------
    FactorError
        For a missing or broken file, an image with a pixel that is no number or with none that is not
        zero, and a restoring beam that cannot be: the fit fails when pixels are
        too large, and every flux measured with such a beam is wrong.
    """
    image = read_image(path)
    blank = 1.0 - float(np.isfinite(image.data).mean())
    if blank:
        raise FactorError(
            f"{path}: {100 * blank:.3g} % of the pixels are no numbers",
            "look for flagged or non-finite data in its input",
        )
    if not image.data.any():
        raise FactorError(f"{path}: every pixel is zero", "look for fully flagged or empty data in its input")
    if restored:
        _check_beam(image)
    return image


def _check_beam(image: Image) -> None:
    beam, cell_deg, largest = image.restoring_beam, image.cellsize_deg, _LARGEST_PART * max(image.data.shape)
    long, wide = beam.bmaj_deg / cell_deg, beam.bmin_deg / cell_deg
    if long < _FEWEST_PIXELS or wide < _FEWEST_ACROSS or long > largest:
        hint = "make the pixels smaller (selfcal_cellsize_arcsec, facet_cellsize_arcsec)"
        raise FactorError(
            f"{image.path}: restoring beam of {beam.bmaj_deg * 3600:.2f} x {beam.bmin_deg * 3600:.2f} "
            f"arcsec, or {long:.2f} x {wide:.2f} pixels: at least {_FEWEST_PIXELS:g} x {_FEWEST_ACROSS:g} "
            f"and at most {largest:g} can be right",
            hint if long <= largest else "",
        )
