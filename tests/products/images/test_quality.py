"""The flux density that self-calibration keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from factor.products.images.image import SkyGrid
from factor.products.images.quality import flux_ratio

GRID = SkyGrid(217.5, 52.0, 160, 160, 2.5)
BEAM_ARCSEC = 12.0


def write(path: Path, sharp: float, broad: float, width_arcsec: float = 36.0) -> Path:
    """A restored image: a point of some Jy on a Gaussian source of some Jy, behind the beam."""
    rows, columns = np.mgrid[:160, :160]
    square = (2.5 * np.hypot(columns - 70.0, rows - 90.0)) ** 2
    wide = np.hypot(width_arcsec, BEAM_ARCSEC)
    data = sharp * np.exp(-4.0 * np.log(2.0) * square / BEAM_ARCSEC**2)
    data += broad * (BEAM_ARCSEC / wide) ** 2 * np.exp(-4.0 * np.log(2.0) * square / wide**2)
    header = GRID.header(1.44e8)
    header["BMAJ"] = header["BMIN"] = BEAM_ARCSEC / 3600.0
    header["BPA"] = 0.0
    data += np.random.default_rng(1).normal(0.0, 1e-4, data.shape)
    fits.writeto(path, data.astype(np.float32), header)
    return path


def test_the_peak_of_a_compact_source(tmp_path: Path) -> None:
    """A faint halo beside a point, an artefact, is none of its flux."""
    before, after = write(tmp_path / "a.fits", 1.0, 0.1), write(tmp_path / "b.fits", 0.9, 0.3)
    assert flux_ratio(after, before) == pytest.approx((0.9 + 0.03) / (1.0 + 0.01), rel=1e-3)


def test_the_whole_of_a_wide_source(tmp_path: Path) -> None:
    """Gains that fit noise on long baselines sharpen a wide source: the peak rises, its flux does not."""
    before, after = write(tmp_path / "a.fits", 0.05, 1.0), write(tmp_path / "b.fits", 0.10, 0.9)
    assert flux_ratio(after, before) == pytest.approx(1.00 / 1.05, rel=0.01)
