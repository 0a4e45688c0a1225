"""Where sources are in an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factor.products.images.image import Image, SkyGrid
from factor.products.images.positions import find_peak

GRID = SkyGrid(217.5, 52.0, 81, 61, 2.5)


def gaussian(x: float, y: float, peak: float = 1.0, noise: float = 0.0) -> Image:
    """An image of one source with a beam of 15 by 9 arcsec at 30 degrees, at a pixel."""
    rows, columns = np.mgrid[:61, :81]
    dx, dy = 2.5 * (columns - x), 2.5 * (rows - y)
    angle = np.radians(30.0)
    along, across = dx * np.sin(angle) + dy * np.cos(angle), dx * np.cos(angle) - dy * np.sin(angle)
    data = peak * np.exp(-4.0 * np.log(2.0) * ((along / 15.0) ** 2 + (across / 9.0) ** 2))
    data += np.random.default_rng(1).normal(0.0, noise, data.shape)
    return Image(Path("a.fits"), data.astype(np.float32), GRID.header(1.44e8), GRID.wcs, None, 1.44e8, 1.0)


@pytest.mark.parametrize(("x", "y"), [(40.0, 30.0), (40.5, 30.5), (41.3, 28.8), (3.2, 57.9)])
def test_a_peak_between_pixels(x: float, y: float) -> None:
    """The brightest pixel is up to half a pixel off, 1.2 arcsec here; self-calibration would keep that."""
    image = gaussian(x, y)
    wanted = image.wcs.wcs_pix2world(x, y, 0)
    near = image.wcs.wcs_pix2world(round(x) + 1, round(y) - 1, 0)
    peak = find_peak(image, *(float(v) for v in near), 15.0)
    assert peak is not None
    assert 3600 * np.hypot((peak.ra_deg - wanted[0]) * 0.616, peak.dec_deg - wanted[1]) < 0.01
    assert 0.9 < peak.flux_jy <= 1.0


def test_noise_costs_what_it_must() -> None:
    """A source of a hundred times the noise is found within a twentieth of a pixel."""
    image = gaussian(40.4, 30.3, noise=0.01)
    peak = find_peak(image, 217.5, 52.0, 15.0)
    assert peak is not None
    x, y = image.wcs.wcs_world2pix(peak.ra_deg, peak.dec_deg, 0)
    assert (x, y) == pytest.approx((40.4, 30.3), abs=0.05)


@pytest.mark.parametrize("place", ["empty", "flank", "blank", "outside"])
def test_no_peak_is_made_up(place: str) -> None:
    """A flank, an empty place or blanks hold no source to be moved to."""
    image = gaussian(40.0, 30.0, peak=0.0 if place == "empty" else 1.0)
    if place == "blank":
        image.data[:] = np.nan
    north_arcsec = {"flank": 14.0, "outside": 500.0}.get(place, 0.0)
    assert find_peak(image, 217.5, 52.0 + north_arcsec / 3600.0, 6.0) is None
