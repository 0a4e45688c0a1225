"""The clean mask of a calibrator: the inner part of its image, inside its facet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from factor.products.images import SkyGrid, write_image
from factor.products.masks import Vertices, polygon_mask


def write_calibrator_mask(vertices: Vertices, grid: SkyGrid, width_deg: float, path: Path) -> None:
    """Write the mask of a square in the middle of an image, cut by the facet's polygon.

    Parameters
    ----------
    vertices : sequence of (ra_deg, dec_deg)
        The facet.
    grid : SkyGrid
        The calibrator's image.
    width_deg : float
        Side of the square.
    path : Path
        FITS file to write.
    """
    half = int(0.5 * width_deg / grid.cellsize_deg)
    square = np.zeros(grid.shape, dtype=np.bool_)
    y, x = grid.ny // 2, grid.nx // 2
    square[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = True
    mask = square & polygon_mask(vertices, grid.wcs, grid.shape)
    write_image(path, mask.astype(np.float32), grid.header(freq_hz=1e8))
