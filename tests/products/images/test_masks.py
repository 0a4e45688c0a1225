"""Polygons become masks that tile and that WSClean's pixels fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import Voronoi

from factor.errors import InputError
from factor.products.images.image import SkyGrid, read_image
from factor.products.images.masks import (
    pixel_polygon_mask,
    polygon_mask,
    write_polygon_mask,
)


def sky_polygon(grid: SkyGrid, corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners in pixels as sky positions."""
    x, y = np.array(corners, dtype=float).T
    ra, dec = grid.wcs.pixel_to_world_values(x, y)
    return list(zip(ra.tolist(), dec.tolist(), strict=True))


def test_neighbours_hold_every_pixel_exactly_once() -> None:
    """Facets tile the field: no pixel twice, none left out, corners on pixel centres included."""
    points = np.random.default_rng(3).uniform(0, 60, (12, 2)).round()
    far = np.array([[-900.0, 30], [900, 30], [30, -900], [30, 900]])
    cells = Voronoi(np.vstack([points, far]))
    count = np.zeros((60, 60), dtype=int)
    for region in cells.point_region[: len(points)]:
        count += pixel_polygon_mask(cells.vertices[cells.regions[region]], (60, 60))
    assert (count == 1).all()


def test_shared_edges_through_pixel_centres() -> None:
    """Edges that run exactly through centres give the pixel to one side only."""
    left = np.array([[0.0, 0], [5, 0], [5, 9], [0, 9]])
    right = np.array([[5.0, 0], [9, 0], [9, 9], [5, 9]])
    both = [pixel_polygon_mask(p, (12, 12)).astype(int) for p in (left, right)]
    assert (both[0] + both[1]).max() == 1
    assert [m.sum() for m in both] == [45, 36]


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 50.0), (359.99, 2.0), (123.4, 85.0)])
def test_polygon_across_ra_zero_and_near_the_pole(ra: float, dec: float) -> None:
    """RA may wrap inside the polygon, and the pole is no special place."""
    grid = SkyGrid(ra, dec, 200, 180, 60.0)
    corners = [(20.3, 30.2), (170.4, 22.7), (150.1, 160.8), (31.6, 140.9)]
    wrapped = [(r % 360.0, d) for r, d in sky_polygon(grid, corners)]
    mask = polygon_mask(wrapped, grid.wcs, grid.shape)
    expected = pixel_polygon_mask(np.array(corners), grid.shape)
    assert (mask != expected).sum() == 0
    x, y = np.array(corners).T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert mask.sum() == pytest.approx(area, rel=0.01)


def test_polygon_outside_the_image_is_empty() -> None:
    """A polygon beyond the image masks nothing instead of failing or wrapping round."""
    square = np.array([[300.0, 300], [310, 300], [310, 310], [300, 310]])
    assert not pixel_polygon_mask(square, (50, 50)).any()
    around = np.array([[-9.0, -9], [90, -9], [90, 90], [-9, 90]])
    assert pixel_polygon_mask(around, (50, 50)).all()


def test_mask_file_has_wsclean_pixels(tmp_path: Path) -> None:
    """WSClean reads masks by pixel: centre on N/2 + 1, four axes, ones inside."""
    grid = SkyGrid(217.5, 52.0, 64, 64, 6.0)
    vertices = sky_polygon(grid, [(10, 10), (30, 10), (30, 40), (10, 40)])
    count = write_polygon_mask(vertices, grid, tmp_path / "mask.fits")
    image = read_image(tmp_path / "mask.fits")
    assert image.header["NAXIS"] == 4
    assert (image.header["CRPIX1"], image.header["CRPIX2"]) == (33, 33)
    assert image.data.sum() == count == pytest.approx(600, abs=60)


def test_square_mask_stays_inside_the_facet(tmp_path: Path) -> None:
    """The calibrator's clean box never reaches into another facet."""
    grid = SkyGrid(10.0, 40.0, 64, 64, 10.0)
    facet = sky_polygon(grid, [(-5, -5), (34.5, -5), (34.5, 80), (-5, 80)])
    write_polygon_mask(facet, grid, tmp_path / "m.fits", width_deg=20.1 * 10.0 / 3600)
    y, x = np.nonzero(read_image(tmp_path / "m.fits").data)
    assert (x.min(), x.max(), y.min(), y.max()) == (22, 34, 22, 42)


@pytest.mark.parametrize("style", ["ds9", "crtf"])
def test_user_region_limits_the_mask(tmp_path: Path, style: str) -> None:
    """Cleaning happens where both the facet and the user's region are."""
    grid = SkyGrid(10.0, 40.0, 64, 64, 10.0)
    facet = sky_polygon(grid, [(-5, -5), (32, -5), (32, 80), (-5, 80)])
    region = tmp_path / "user.reg"
    texts = {
        "ds9": 'fk5\ncircle(10.0,40.0,100")\n',
        "crtf": "#CRTF\ncircle[[10.0deg, 40.0deg], 100arcsec], coord=J2000\n",
    }
    region.write_text(texts[style])
    count = write_polygon_mask(facet, grid, tmp_path / "m.fits", region)
    assert count == pytest.approx(np.pi * 100 / 2, rel=0.1)


def test_region_beside_the_facet_is_an_error(tmp_path: Path) -> None:
    """An empty clean mask would silently clean nothing: the region file is named."""
    grid = SkyGrid(10.0, 40.0, 64, 64, 10.0)
    facet = sky_polygon(grid, [(1, 1), (60, 1), (60, 60), (1, 60)])
    region = tmp_path / "user.reg"
    region.write_text('fk5\ncircle(50.0,40.0,100")\n')
    with pytest.raises(InputError, match=r"user\.reg"):
        write_polygon_mask(facet, grid, tmp_path / "m.fits", region)
    region.write_text("image\ncircle(30,30,5)\n")
    with pytest.raises(InputError, match="pixels"):
        write_polygon_mask(facet, grid, tmp_path / "m.fits", region)
