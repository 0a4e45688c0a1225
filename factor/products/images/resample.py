"""Interpolation of facet images on to the pixels of a mosaic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.products.images.image import Image, SkyGrid

_SPLINE_MARGIN = 12


def paste(data: NDArray[np.float32], inside: NDArray[np.bool_], image: Image, grid: SkyGrid) -> None:
    """Fill the pixels `inside` of `data`, which lies on `grid`, from an image by cubic splines.

    Blank pixels of the image are blank there; they do not spread.

    Raises
    ------
    FactorError
        When the image does not cover all these pixels.
    """
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if rows.size == 0:
        return
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    known = np.isfinite(image.data)
    values = _on_window(np.where(known, image.data, 0.0), image, grid, window, "bicubic")
    wanted = inside[window]
    if np.isnan(values[wanted]).any():
        raise FactorError(f"{image.path}: does not cover its facet", "image the facet again: it was moved")
    if not known.all():
        values[_on_window(known.astype(np.float32), image, grid, window, "nearest-neighbor") < 0.5] = np.nan
    data[window][wanted] = values[wanted]


def _on_window(
    pixels: NDArray[np.float32], image: Image, grid: SkyGrid, window: tuple[slice, slice], order: str
) -> NDArray[np.float32]:
    """An image's pixels interpolated on to a part of a grid; NaN beyond the image."""
    from reproject import reproject_interp

    shape = tuple(part.stop - part.start for part in window)
    source, target = (pixels, image.wcs), grid.wcs[window]
    values: NDArray[np.float32] = reproject_interp(
        source, target, shape, order=order, roundtrip_coords=False, return_footprint=False
    )
    return values


def sample_image(
    image: Image, grid: SkyGrid, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values of an image at points (x, y) of a grid; NaN beyond its edges."""
    from scipy.ndimage import map_coordinates

    sky = grid.wcs.pixel_to_world_values(x, y)
    to_x, to_y = image.wcs.world_to_pixel_values(*sky)
    x0, y0 = (max(0, int(v.min()) - _SPLINE_MARGIN) for v in (to_x, to_y))
    x1, y1 = (int(v.max()) + _SPLINE_MARGIN for v in (to_x, to_y))
    part = image.data[y0:y1, x0:x1].astype(np.float64)
    values: NDArray[np.float64] = map_coordinates(
        np.nan_to_num(part), [to_y - y0, to_x - x0], order=3, mode="constant", cval=np.nan
    )
    return values
