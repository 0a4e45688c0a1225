"""Clean masks from PyBDSF's islands: ``python -m factor.products.images.islands IMAGE MASK OUT``.

A program of its own, since PyBDSF takes minutes and gigabytes for a large image: in a process it
holds up no other direction, and its memory is given back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factor.products.images.image import read_image, write_image
from factor.tools.command import Command

#: Peaks of islands, and their rims, in units of the local noise.
PEAK_SIGMA = 5.0
RIM_SIGMA = 3.0


def find_islands(image: Path) -> NDArray[np.bool_]:
    """Pixels of an image that belong to islands of emission, shape (ny, nx)."""
    import bdsf

    found: Any = bdsf.process_image(
        str(image),
        thresh="hard",
        thresh_pix=PEAK_SIGMA,
        thresh_isl=RIM_SIGMA,
        mean_map="zero",
        stop_at="isl",
        ncores=1,
        quiet=True,
    )
    # Number of the island of each pixel, -1 for none; PyBDSF's axes are x, y.
    return np.asarray(found.pyrank >= 0).T


def write_island_mask(image: Path, allowed: Path, path: Path) -> None:
    """Write the clean mask of an image's islands, where another mask allows cleaning.

    Parameters
    ----------
    image : Path
        A quick image.
    allowed : Path
        The polygon of the facet, as a mask of the same pixels: nothing beyond it is cleaned.
    path : Path
        FITS file to write; without any pixel when there is no island.
    """
    inside = read_image(allowed)
    mask = find_islands(image) & (inside.data > 0)
    write_image(path, mask.astype(np.float32), inside.header)


def island_mask_command(image: Path, allowed: Path, path: Path) -> Command:
    """`write_island_mask` as a command."""
    argv = (sys.executable, "-m", __name__, str(image), str(allowed), str(path))
    return Command("PyBDSF", argv, (), (("OPENBLAS_NUM_THREADS", "1"),), (path,))


if __name__ == "__main__":
    write_island_mask(*(Path(argument) for argument in sys.argv[1:4]))
