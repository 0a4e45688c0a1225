"""Interpolation of facet images on to the pixels of a mosaic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.products.images import Image, SkyGrid

_STRIP_ROWS = 256
_NODE_STEP = 64
_SPLINE_MARGIN = 12


def paste(data: NDArray[np.float32], inside: NDArray[np.bool_], image: Image, grid: SkyGrid) -> None:
    """Fill the pixels `inside` of `data`, which lies on `grid`, from an image.

    Cubic splines, strip by strip: little memory whatever the sizes.

    Raises
    ------
    FactorError
        When the image does not cover all these pixels.
    """
    rows = np.flatnonzero(inside.any(axis=1))
    if rows.size == 0:
        return
    columns = np.flatnonzero(inside[rows[0] : rows[-1] + 1].any(axis=0))
    x = np.arange(columns[0], columns[-1] + 1)
    position = _PixelMap(image, grid, (columns[0], columns[-1]), (rows[0], rows[-1]))
    splines = _Splines(image)
    for top in range(rows[0], rows[-1] + 1, _STRIP_ROWS):
        y = np.arange(top, min(top + _STRIP_ROWS, rows[-1] + 1))
        window = np.s_[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
        wanted = inside[window]
        if not wanted.any():
            continue
        image_x, image_y = position(x, y)
        data[window][wanted] = splines(image_x[wanted], image_y[wanted])


class _PixelMap:
    """From mosaic pixels to a facet image's pixels.

    The map is smooth: exact on coarse nodes, cubic splines between them.
    """

    def __init__(
        self, image: Image, grid: SkyGrid, x_range: tuple[int, int], y_range: tuple[int, int]
    ) -> None:
        self._x = self._nodes(*x_range)
        self._y = self._nodes(*y_range)
        sky = grid.wcs.pixel_to_world_values(*np.meshgrid(self._x, self._y))
        self._to = image.wcs.world_to_pixel_values(*sky)
        if not np.isfinite(self._to).all():
            raise FactorError(f"{image.path}: lies more than 90 degrees from its facet")

    @staticmethod
    def _nodes(low: int, high: int) -> NDArray[np.float64]:
        return np.linspace(low, max(high, low + 1), max(4, (high - low) // _NODE_STEP + 2))

    def __call__(
        self, x: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from scipy.interpolate import make_interp_spline

        along_x = make_interp_spline(self._x, np.eye(self._x.size), k=3)(x)
        along_y = make_interp_spline(self._y, np.eye(self._y.size), k=3)(y)
        return along_y @ self._to[0] @ along_x.T, along_y @ self._to[1] @ along_x.T


class _Splines:
    """Cubic-spline interpolation of an image; blank where its nearest pixel is blank."""

    def __init__(self, image: Image) -> None:
        from scipy.ndimage import spline_filter

        finite = np.isfinite(image.data)
        self._path = image.path
        self._blank = None if finite.all() else ~finite
        filled = image.data if self._blank is None else np.where(finite, image.data, 0)
        self._coefficients = spline_filter(filled, order=3, output=np.float64)

    def __call__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
        from scipy.ndimage import map_coordinates

        ny, nx = self._coefficients.shape
        if x.min() < 0 or y.min() < 0 or x.max() > nx - 1 or y.max() > ny - 1:
            raise FactorError(
                f"{self._path}: does not cover its facet", "image the facet again: it was moved"
            )
        values: NDArray[np.float32] = map_coordinates(
            self._coefficients, [y, x], order=3, output=np.float32, prefilter=False
        )
        if self._blank is not None:
            values[self._blank[np.rint(y).astype(int), np.rint(x).astype(int)]] = np.nan
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
