"""Reading, judging and writing images."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from factor.errors import FactorError
from factor.products.images.image import (
    SkyGrid,
    check_image,
    crop,
    dynamic_range,
    image_noise,
    peak,
    read_image,
    write_image,
)

GRID = SkyGrid(-142.5, 52.0, 80, 60, 2.0)


def write(path: Path, data: np.ndarray, **cards: object) -> Path:
    """An image on GRID with a 6 x 5 arcsec beam."""
    header = GRID.header(144e6, 2e6)
    header["BUNIT"] = "JY/BEAM"
    header["BMAJ"], header["BMIN"], header["BPA"] = 6 / 3600, 5 / 3600, 30.0
    for key, value in cards.items():
        header[key] = value
    write_image(path, data.astype(np.float32), header)
    return path


def test_image_survives_the_round_trip(tmp_path: Path) -> None:
    """Pixels, frequency and beam come back as they were written, with four axes on disk."""
    data = np.random.default_rng(0).normal(size=GRID.shape)
    image = read_image(write(tmp_path / "a.fits", data))
    assert image.data == pytest.approx(data, rel=1e-6)
    assert image.header["NAXIS"] == 4
    assert (image.freq_hz, image.bandwidth_hz, image.unit) == (144e6, 2e6, "JY/BEAM")
    assert image.beam is not None
    assert astuple(image.beam) == pytest.approx((6 / 3600, 5 / 3600, 30.0))
    assert image.cellsize_deg == pytest.approx(2 / 3600)


def test_write_leaves_no_draft_behind(tmp_path: Path) -> None:
    """A write that fails leaves the old file and nothing else."""
    path = write(tmp_path / "a.fits", np.ones(GRID.shape))
    with pytest.raises((KeyError, TypeError)):
        write_image(path, np.array([[object()]]), GRID.header())
    assert [p.name for p in tmp_path.iterdir()] == ["a.fits"]
    assert read_image(path).data.sum() == GRID.nx * GRID.ny


def test_noise_is_not_moved_by_sources_or_blanks() -> None:
    """Sources in a few per cent of the pixels, and blanks, leave the noise within 3 %."""
    rng = np.random.default_rng(1)
    data = rng.normal(scale=2e-3, size=(500, 500))
    data[:10] += 1.0
    data[-50:] = np.nan
    assert image_noise(data) == pytest.approx(2e-3, rel=0.03)
    assert image_noise(np.full((5, 5), np.nan)) == 0.0


def test_dynamic_range() -> None:
    """The two numbers that the self-calibration loop watches."""
    data = np.random.default_rng(2).normal(scale=1e-3, size=(300, 300))
    data[150, 150], data[10, 10] = 1.0, -0.05
    ratio, min_max = dynamic_range(data)
    assert ratio == pytest.approx(1000, rel=0.03)
    assert min_max == pytest.approx(0.05)


def test_peak_and_crop_agree_on_the_sky(tmp_path: Path) -> None:
    """Cutting an image out does not move its sources."""
    data = np.zeros(GRID.shape)
    data[40, 55] = 2.0
    image = read_image(write(tmp_path / "a.fits", data))
    whole = peak(image)
    part = crop(image, whole.ra_deg, whole.dec_deg, 21 * 2 / 3600)
    cut = peak(part)
    assert part.data.shape == (21, 21)
    assert (cut.ra_deg, cut.dec_deg) == pytest.approx((whole.ra_deg, whole.dec_deg))
    assert whole.ra_deg == pytest.approx(217.5 - 15 * 2 / 3600 / np.cos(np.radians(52)), abs=1e-5)
    with pytest.raises(FactorError, match="not on the image"):
        crop(image, 100.0, 10.0, 0.1)


@pytest.mark.parametrize(
    ("data", "cards", "reason"),
    [
        (np.full(GRID.shape, np.nan), {}, "100 % of the pixels are no numbers"),
        (np.where(np.eye(*GRID.shape) == 1, np.inf, 1.0), {}, "1.25 % of the pixels are no numbers"),
        (np.zeros(GRID.shape), {}, "zero"),
        (np.ones(GRID.shape), {"BMAJ": 0.6 / 3600}, "0.60 x 5.00 arcsec, or 0.30 x 2.50 pixels"),
        (np.ones(GRID.shape), {"BMIN": 0.6 / 3600}, "x 0.30 pixels"),
        (np.ones(GRID.shape), {"BMAJ": 0.5}, "900.00 x 2.50 pixels.*at most 20 "),
        (np.ones(GRID.shape), {"BMAJ": 0.0}, "no restoring beam"),
    ],
)
def test_wrong_images_are_refused(
    tmp_path: Path, data: np.ndarray, cards: dict[str, object], reason: str
) -> None:
    """What a failed tool run leaves behind is told apart from an image, with the reason."""
    with pytest.raises(FactorError, match=reason):
        check_image(write(tmp_path / "bad.fits", data, **cards))


def test_images_that_are_not_restored_have_no_beam(tmp_path: Path) -> None:
    """WSClean writes none where it cleans nothing: such an image is no fault."""
    path = write(tmp_path / "dirty.fits", np.ones(GRID.shape), BMAJ=0.0)
    assert check_image(path, restored=False).data.all()


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_unreadable_files_are_named(tmp_path: Path) -> None:
    """A missing or cut file is an error that names it, not a traceback."""
    with pytest.raises(FactorError, match=r"gone\.fits"):
        read_image(tmp_path / "gone.fits")
    path = write(tmp_path / "cut.fits", np.ones(GRID.shape))
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(FactorError, match=r"cut\.fits"):
        read_image(path)
