"""Where sources are in an image, to a small part of its beam, and whether they move."""

from __future__ import annotations

import numpy as np

from factor.errors import FactorError
from factor.products.images.image import Image, Peak, crop, peak

#: Pixels above this fraction of the peak are fitted.
FITTED_FRACTION = 0.5
#: A source is where its peak is when that has so much of its flux density.
WHOLE_FRACTION = 0.5
#: How often the fit is repeated around the peak that it found.
_RECENTRED = 2
#: A parabola in two dimensions has six numbers.
_FEWEST_PIXELS = 6


def find_peak(image: Image, ra_deg: float, dec_deg: float, reach_arcsec: float) -> Peak | None:
    """Find the peak near a position, by a Gaussian fitted to what lies above half of it.

    The logarithm of a Gaussian is a parabola, so that the fit is linear (Caruana et al.
    1986, Anal. Chem. 58, 1162); pixels count by their brightness squared (Guo 2011, IEEE
    Signal Process. Mag. 28, 134), as their noise wants. Positions of clean components, which
    lie on pixels and in the sidelobes of a distorted image, are not as good.

    Parameters
    ----------
    image : Image
        A restored image.
    ra_deg, dec_deg : float
        Where to look.
    reach_arcsec : float
        How far around it.

    Returns
    -------
    Peak or None
        None where there is no peak within reach.
    """
    found = _fitted(image, ra_deg, dec_deg, reach_arcsec)
    for _ in range(_RECENTRED):
        if found is None:
            return None
        # What lies within reach of the peak itself, not of where it was looked for.
        found = _fitted(image, found.ra_deg, found.dec_deg, reach_arcsec)
    return found


def drift(image: Image, first: Image) -> tuple[float, float] | None:
    """How far the brightest source of an image has moved from where an earlier image has it.

    Returns
    -------
    (east_deg, north_deg) or None
        In angle on the sky. None where the earlier image does not show the source as one.
    """
    brightest = peak(image)
    reach_arcsec = 3600.0 * image.restoring_beam.bmaj_deg
    here = find_peak(image, brightest.ra_deg, brightest.dec_deg, reach_arcsec)
    if here is None:
        return None
    there = find_peak(first, here.ra_deg, here.dec_deg, reach_arcsec)
    if there is None or there.flux_jy < WHOLE_FRACTION * here.flux_jy:
        return None
    east = (here.ra_deg - there.ra_deg + 180.0) % 360.0 - 180.0
    return east * float(np.cos(np.radians(there.dec_deg))), here.dec_deg - there.dec_deg


def _fitted(image: Image, ra_deg: float, dec_deg: float, reach_arcsec: float) -> Peak | None:
    try:
        part = crop(image, ra_deg, dec_deg, 2.0 * reach_arcsec / 3600.0)
    except FactorError:
        return None
    rows, columns = np.mgrid[: part.data.shape[0], : part.data.shape[1]]
    x0, y0 = (float(v) for v in part.wcs.wcs_world2pix(ra_deg, dec_deg, 0))
    x, y = columns - x0, rows - y0
    reach = reach_arcsec / (3600.0 * part.cellsize_deg)
    values = part.data.astype(np.float64)
    near = np.isfinite(values) & (np.hypot(x, y) <= reach)
    if not near.any() or not values[near].max() > 0.0:
        return None
    highest = float(values[near].max())
    used = near & (values > FITTED_FRACTION * highest)
    if np.count_nonzero(used) < _FEWEST_PIXELS:
        return None
    centre = _summit(x[used], y[used], values[used])
    if centre is None or np.hypot(*centre) > reach:
        return None
    ra, dec = part.wcs.wcs_pix2world(x0 + centre[0], y0 + centre[1], 0)
    return Peak(float(ra) % 360.0, float(dec), highest)


def _summit(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> tuple[float, float] | None:
    """Centre of the Gaussian through some values; None where they do not fall off all around."""
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    weighted = terms * values[:, None]
    _, b, c, xx, xy, yy = np.linalg.lstsq(weighted, values * np.log(values), rcond=None)[0]
    hollow = 4.0 * xx * yy - xy * xy
    if not (xx < 0.0 and hollow > 0.0):
        return None
    return float((xy * c - 2.0 * yy * b) / hollow), float((xy * b - 2.0 * xx * c) / hollow)
