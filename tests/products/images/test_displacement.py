"""How far self-calibration moved what it should have left in place."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.products.images.displacement import shift_beams, source_shift_arcsec
from factor.products.images.image import SkyGrid, write_image
from factor.products.models.skymodel import point_components, write

GRID = SkyGrid(218.0, 52.0, 128, 128, 2.5)
BEAM_PIXELS = 4.0


def _image(path: Path, *sources: tuple[float, float, float]) -> Path:
    """Sources (x, y, flux) in noise."""
    rows, columns = np.mgrid[0:128, 0:128]
    data = np.random.default_rng(3).normal(0.0, 0.005, (128, 128))
    for x, y, flux in sources:
        squared = (columns - x) ** 2 + (rows - y) ** 2
        data += flux * np.exp(-4 * math.log(2) * squared / BEAM_PIXELS**2)
    header = GRID.header(freq_hz=144e6)
    header["BMAJ"] = header["BMIN"] = BEAM_PIXELS * GRID.cellsize_deg
    write_image(path, data.astype(np.float32), header)
    return path


def test_a_fraction_of_a_beam(tmp_path: Path) -> None:
    """A drag of 4.6 arcsec was 0.4 beams: it must be measured much better than that."""
    first = _image(tmp_path / "first.fits", (60.0, 70.0, 0.8))
    last = _image(tmp_path / "last.fits", (61.2, 68.4, 1.0))
    assert shift_beams(first, last) == pytest.approx(0.5, abs=0.02)
    assert shift_beams(first, first) == 0.0


def test_another_source_that_gets_brighter(tmp_path: Path) -> None:
    """Of two like sources, focusing may make the other one the brightest: nothing moved."""
    first = _image(tmp_path / "first.fits", (40.0, 40.0, 1.0), (90.0, 90.0, 0.95))
    last = _image(tmp_path / "last.fits", (40.0, 40.0, 1.0), (90.0, 90.0, 1.1))
    assert shift_beams(first, last) < 0.02


def _model(path: Path, east_arcsec: float, fluxes: tuple[float, ...]) -> Path:
    ra = 218.0 + np.array([0.0, 0.1, 0.2, 0.3])[: len(fluxes)]
    dec = np.full(len(fluxes), 60.0)
    ra = ra + east_arcsec / 3600.0 / math.cos(math.radians(60.0))
    model = point_components(ra, dec, np.array(fluxes), 144e6)
    write(replace(model, patch=np.array([f"p{k}" for k in range(len(fluxes))])), path)
    return path


def test_facet_that_is_dragged(tmp_path: Path) -> None:
    """All sources 4.6 arcsec off; sources that are missing or faint have no say."""
    initial = _model(tmp_path / "initial.skymodel", 0.0, (1.0, 0.5, 0.4, 0.01))
    new = _model(tmp_path / "new.skymodel", 4.6, (1.1, 0.5))
    assert source_shift_arcsec(new, initial) == pytest.approx(4.6, abs=0.05)
    far = _model(tmp_path / "far.skymodel", 100.0, (1.1,))
    assert math.isnan(source_shift_arcsec(far, initial))


def test_a_wrong_initial_place(tmp_path: Path) -> None:
    """A source that is off in the initial model but not in the image before any solution: not dragged."""
    initial = _model(tmp_path / "initial.skymodel", 12.0, (1.0,))
    before = _model(tmp_path / "before.skymodel", 0.0, (0.8,))
    new = _model(tmp_path / "new.skymodel", 1.0, (1.1,))
    assert source_shift_arcsec(new, initial) == pytest.approx(11.0, abs=0.05)
    assert source_shift_arcsec(new, initial, before) == pytest.approx(1.0, abs=0.05)
    faint = _model(tmp_path / "faint.skymodel", 0.0, (0.3,))
    assert source_shift_arcsec(new, initial, faint) == pytest.approx(11.0, abs=0.05)
