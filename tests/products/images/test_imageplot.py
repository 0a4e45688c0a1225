"""Pictures of images: there, whole, and true to the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.operations.fieldmosaic import draw_mosaic
from factor.products.images import plot
from factor.products.images.image import SkyGrid, read_image, write_image
from factor.products.images.plot import _decimated, compare_images, plot_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Noise with two sources, larger than a picture."""
    grid = SkyGrid(359.9, 52.0, 1000, 950, 2.0)
    data = np.random.default_rng(0).normal(scale=1e-3, size=grid.shape).astype(np.float32)
    data[481, 202] = data[603, 701] = 0.5
    header = grid.header(144e6)
    header["BUNIT"] = "JY/BEAM"
    header["BMAJ"], header["BMIN"], header["BPA"] = 8 / 3600, 6 / 3600, 20.0
    write_image(tmp_path / "image.fits", data, header)
    return tmp_path / "image.fits"


def width_and_height(png: Path) -> tuple[int, int]:
    """Size of a PNG file."""
    start = png.read_bytes()[:24]
    assert start[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")


def test_pictures_are_made(image: Path) -> None:
    """One image, and two side by side; no draft is left."""
    box = [(359.8, 51.8), (0.1, 51.8), (0.1, 52.2), (359.8, 52.2)]
    plot_image(image, image.with_name("a.png"), outline=box, outlines={"cal": box}, title="x")
    compare_images(("DI", image), ("Factor", image), {"f": box}, image.with_name("b.png"))
    assert width_and_height(image.with_name("a.png"))[0] == 715
    assert width_and_height(image.with_name("b.png"))[0] == 1430
    assert {p.name for p in image.parent.iterdir()} == {"image.fits", "a.png", "b.png"}


def test_the_title_of_a_mosaic_has_room(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the long name of an imaging set it touches neither the colour bar nor the edge."""
    figures: list[Any] = []
    monkeypatch.setattr(plot, "save_figure", lambda figure, _: figures.append(figure))
    mosaic = image.rename(image.with_name("field_c15.0r-1.0t45.0u80.0.correct_mosaic.pbcut.fits"))
    draw_mosaic(mosaic, mosaic.with_suffix(".png"), {}, 1e-3)
    (axes,) = figures[0].axes
    title = axes.title.get_window_extent(figures[0].canvas.get_renderer())
    whole_axes = axes.get_window_extent()
    assert whole_axes.x0 < title.x0 < title.x1 < whole_axes.x1
    assert whole_axes.y1 < title.y1 < figures[0].bbox.y1


def test_decimation_keeps_sources_and_their_places(image: Path) -> None:
    """A point source that is one pixel wide is still there, within half a cell of its place."""
    whole = read_image(image)
    data, wcs = _decimated(whole, 1e-3)
    assert max(data.shape) <= 900
    bright = np.argwhere(data > 0.4)
    assert len(bright) == 2
    for (y, x), pixel in zip(bright, ((481, 202), (603, 701)), strict=True):
        expected = whole.wcs.pixel_to_world_values(*pixel[::-1])
        found_x, found_y = wcs.world_to_pixel_values(*expected)
        assert (found_x, found_y) == (pytest.approx(x, abs=0.51), pytest.approx(y, abs=0.51))
    assert np.std(data[data < 0.1]) == pytest.approx(1e-3, rel=0.05)


def test_image_without_signal_can_be_drawn(tmp_path: Path) -> None:
    """A picture of a failed image is still wanted: blanks and zeros are no crash."""
    grid = SkyGrid(10.0, 52.0, 40, 40, 2.0)
    for value in (0.0, np.nan):
        write_image(tmp_path / "flat.fits", np.full(grid.shape, value, np.float32), grid.header(1e8))
        plot_image(tmp_path / "flat.fits", tmp_path / "flat.png")
        assert (tmp_path / "flat.png").stat().st_size > 1000
