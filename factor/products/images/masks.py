"""Polygons on the sky as pixel masks, and the clean masks made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from factor.errors import InputError
from factor.products.images.image import SkyGrid, write_image

if TYPE_CHECKING:
    from astropy.wcs import WCS

Vertices = Sequence[tuple[float, float]]


def polygon_pixels(vertices: Vertices, wcs: WCS) -> NDArray[np.float64]:
    """Pixel positions (x, y), counted from 0, of a polygon's corners.

    Raises
    ------
    ValueError
        When a corner is not on the projected hemisphere.
    """
    sky = np.asarray(vertices, dtype=np.float64)
    x, y = wcs.celestial.world_to_pixel_values(sky[:, 0], sky[:, 1])
    pixels = np.column_stack([x, y])
    if not np.isfinite(pixels).all():
        raise ValueError("a corner of the polygon is more than 90 degrees from the image's centre")
    return pixels


def pixel_polygon_mask(pixels: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a polygon given in pixel coordinates.

    Edges are half-open and computed in one canonical order, so that two polygons with a
    common edge hold every pixel along it exactly once between them.

    Parameters
    ----------
    pixels : ndarray, shape (n, 2)
        Corners (x, y); the middle of the first pixel is (0, 0). Not closed.
    shape : (ny, nx)
    """
    ny, nx = shape
    mask = np.zeros(shape, dtype=np.bool_)
    lowest = max(0, int(np.floor(pixels[:, 1].min())))
    highest = min(ny - 1, int(np.ceil(pixels[:, 1].max())))
    left = max(0, int(np.floor(pixels[:, 0].min())))
    right = min(nx - 1, int(np.ceil(pixels[:, 0].max())))
    if lowest > highest or left > right:
        return mask
    height, width = highest - lowest + 1, right - left + 1
    flips = np.zeros((height, width + 1), dtype=np.uint8)
    for start, end in zip(pixels, np.roll(pixels, -1, axis=0), strict=True):
        (xa, ya), (xb, yb) = sorted((tuple(start), tuple(end)), key=lambda corner: (corner[1], corner[0]))
        rows = np.arange(max(lowest, int(np.ceil(ya))), min(highest, int(np.ceil(yb)) - 1) + 1)
        if rows.size == 0:
            continue
        crossing = xa + (rows - ya) * ((xb - xa) / (yb - ya))
        columns = np.clip(np.ceil(crossing).astype(np.int64) - left, 0, width)
        flips[rows - lowest, columns] ^= 1
    inside = np.bitwise_xor.accumulate(flips[:, :width], axis=1)
    mask[lowest : highest + 1, left : right + 1] = inside.view(np.bool_)
    return mask


def polygon_mask(vertices: Vertices, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a polygon on the sky.

    Parameters
    ----------
    vertices : sequence of (ra_deg, dec_deg)
        Corners in order, not closed; RA may wrap. Edges are straight in the image.
    wcs : astropy.wcs.WCS
    shape : (ny, nx)

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    return pixel_polygon_mask(polygon_pixels(vertices, wcs), shape)


def region_mask(region_file: Path, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in any region of a ds9 or CASA region file.

    Raises
    ------
    InputError
        When the file can't be read, is empty, or has regions in pixels (which would mean
        another part of the sky in every image).
    """
    from regions import PixelRegion, Regions

    if not region_file.is_file():
        raise InputError(f"{region_file}: no such region file")
    text = region_file.read_text(errors="replace").lstrip()
    file_format = "crtf" if text.startswith("#CRTF") else "ds9"
    try:
        regions = Regions.read(str(region_file), format=file_format)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise InputError(f"{region_file}: not a {file_format} region file: {error}") from error
    if len(regions) == 0:
        raise InputError(f"{region_file}: has no region", "give regions in ds9 or CASA format")
    mask = np.zeros(shape, dtype=np.bool_)
    for region in regions:
        if isinstance(region, PixelRegion):
            raise InputError(
                f"{region_file}: has a region in pixels", "give it in sky coordinates (fk5, J2000)"
            )
        part = region.to_pixel(wcs).to_mask(mode="center").to_image(shape)
        if part is not None:
            mask |= part.astype(np.bool_)
    return mask


def write_polygon_mask(
    vertices: Vertices,
    grid: SkyGrid,
    path: Path,
    region_file: Path | None = None,
    width_deg: float | None = None,
) -> int:
    """Write the clean mask of a polygon for WSClean's ``-fits-mask``.

    Parameters
    ----------
    vertices : sequence of (ra_deg, dec_deg)
        Corners of the polygon.
    grid : SkyGrid
        The image that is to be cleaned: its phase centre, size and pixel size.
    path : Path
        FITS file to write.
    region_file : Path, optional
        A ds9 or CASA region file: only what is in the polygon and in one of its regions
        is cleaned.
    width_deg : float, optional
        Only what is in the square of this side in the middle of the image, and aligned with it.

    Returns
    -------
    int
        Number of pixels in the mask.

    Raises
    ------
    InputError
        When no pixel is left to be cleaned.
    """
    mask = polygon_mask(vertices, grid.wcs, grid.shape)
    if width_deg is not None:
        half = 0.5 * width_deg / grid.cellsize_deg
        mask &= np.abs(np.arange(grid.ny) - grid.ny // 2)[:, None] <= half
        mask &= np.abs(np.arange(grid.nx) - grid.nx // 2) <= half
    if region_file is not None:
        mask &= region_mask(region_file, grid.wcs, grid.shape)
        if not mask.any():
            raise InputError(
                f"{region_file}: no pixel of its regions lies in the facet or box around "
                f"{grid.ra_deg:.4f}, {grid.dec_deg:.4f} deg that is to be cleaned"
            )
    count = int(mask.sum())
    if count == 0:
        raise InputError(
            f"{path}: the polygon to be cleaned does not lie on the image around "
            f"{grid.ra_deg:.4f}, {grid.dec_deg:.4f} deg"
        )
    write_image(path, mask.astype(np.float32), grid.header(freq_hz=1e8))
    return count
