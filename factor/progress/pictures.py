"""Factor's own window for images and plots, where no other program is to show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factor.directions.geometry import dec_texts, ra_texts
from factor.errors import FactorError
from factor.products.images.image import Image, image_noise, read_image
from factor.products.images.masks import Vertices
from factor.products.images.plot import colour_bar, colour_scale, draw_beam, draw_outline

if TYPE_CHECKING:
    from astropy.wcs import WCS

#: Pixels along a side up to which an image is drawn with all of them.
_MOST_PIXELS = 4096

#: Largest size of the window, inches.
_SCREEN = (14.0, 8.0)

#: Makes an empty figure of a title and a size in inches.
NewFigure = Callable[[str, tuple[float, float]], Any]


def show_images(paths: Sequence[Path], title: str, new_figure: NewFigure, outline: Vertices = ()) -> Any:
    """FITS images side by side, on one scale: that of the least noisy one.

    Images with the same pixels zoom and move together.

    Parameters
    ----------
    paths : sequence of Path
    title : str
        Of the window.
    new_figure : callable
        Makes its figure.
    outline : sequence of (ra_deg, dec_deg)
        A polygon to draw: the facet.

    Raises
    ------
    FactorError
        When an image cannot be read.
    """
    images = [read_image(path) for path in paths]
    noises = [image_noise(image.data) for image in images]
    milli = 1e3 * min((noise for noise in noises if noise > 0), default=0.0)
    norm, colours = colour_scale(milli, 1e3 * images[-1].data)
    rows, columns, side = _arrangement(len(images))
    figure = new_figure(title, (side * columns + 1.0, side * rows))
    first: Any = None
    for number, (image, noise) in enumerate(zip(images, noises, strict=True), 1):
        together = first if first is not None and image.data.shape == images[0].data.shape else None
        axes = figure.add_subplot(rows, columns, number, sharex=together, sharey=together)
        first = first or axes
        ny, nx = image.data.shape
        step = math.ceil(max(ny, nx) / _MOST_PIXELS)
        shown = axes.imshow(
            1e3 * image.data[::step, ::step], origin="lower", norm=norm, cmap=colours, aspect="equal",
            interpolation="nearest", extent=(-0.5, nx - 0.5, -0.5, ny - 0.5),
        )  # fmt: skip
        axes.set_title(f"{image.path.stem}\nnoise {1e3 * noise:.3g} mJy/beam", fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.format_coord = partial(_under, image)
        draw_beam(axes, image)
        if outline:
            draw_outline(axes, image.wcs, outline)
    place = {"left": 0.02, "right": 1.0 - 1.1 / figure.get_figwidth(), "bottom": 0.02}
    figure.subplots_adjust(**place, top=1.0 - 0.5 / figure.get_figheight(), wspace=0.04, hspace=0.2)
    colour_bar(figure, shown, (place["right"] + 0.01, 0.05, 0.012, 0.85), "mJy/beam")
    return figure


def _arrangement(count: int) -> tuple[int, int, float]:
    """Rows, columns, and the side of an image in inches, such that all fit on a screen."""
    columns = math.ceil(math.sqrt(1.6 * count)) if count > 1 else 1
    rows = math.ceil(count / columns)
    return rows, columns, min(_SCREEN[0] / columns, _SCREEN[1] / rows)


def position_under(wcs: WCS, x: float, y: float) -> str:
    """Position of a pixel as ``hh:mm:ss.s +dd:mm:ss``."""
    ra_deg, dec_deg = (float(value) for value in wcs.pixel_to_world_values(x, y))
    return f"{':'.join(ra_texts(ra_deg, 1))} {':'.join(dec_texts(dec_deg, 0))}"


def _under(image: Image, x: float, y: float) -> str:
    """Position and value under the cursor."""
    place = position_under(image.wcs, x, y)
    column, row = round(x), round(y)
    ny, nx = image.data.shape
    if not (0 <= column < nx and 0 <= row < ny):
        return place
    return f"{place}  {1e3 * float(image.data[row, column]):.3g} mJy/beam"


def show_plots(paths: Sequence[Path], title: str, new_figure: NewFigure) -> Any:
    """Plots (PNG) below each other.

    Parameters
    ----------
    paths, title, new_figure
        As for `show_images`.

    Raises
    ------
    FactorError
        When a plot cannot be read.
    """
    plots = [_read_png(path) for path in paths]
    heights = [plot.shape[0] / plot.shape[1] for plot in plots]
    width = min(12.0, 9.0 / sum(heights))
    figure = new_figure(title, (width, width * sum(heights)))
    grid = figure.add_gridspec(
        len(plots), 1, height_ratios=heights, left=0, right=1, bottom=0, top=1, hspace=0.01
    )
    for number, plot in enumerate(plots):
        axes = figure.add_subplot(grid[number])
        axes.imshow(plot, interpolation="lanczos", aspect="equal")
        axes.set_axis_off()
    return figure


def _read_png(path: Path) -> Any:
    from matplotlib.image import imread

    try:
        return np.asarray(imread(path))
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for a damaged file
        raise FactorError(f"{path} cannot be read: {error}") from error
