"""Pictures of FITS images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factor.files import whole
from factor.products.images.image import Image, image_noise, read_image
from factor.products.images.masks import Vertices

if TYPE_CHECKING:
    from astropy.wcs import WCS

_MOST_PIXELS = 900
_NOISE_SAMPLES = 40_000
_LOW_SIGMA, _HIGH_SIGMA = -3.0, 30.0
_TICKS_SIGMA = (-3, 0, 3, 10, 30)
_COLOURS = "inferno"
_WIDTH_INCH = 6.5
_DPI = 110
_OUTLINE = "#35c9ff"


def plot_image(
    image: Image | Path,
    path_png: Path,
    *,
    outline: Vertices | None = None,
    outlines: Mapping[str, Vertices] | None = None,
    title: str = "",
    noise: float | None = None,
) -> None:
    """Picture of one image, from -3 to 30 times the noise on an arcsinh scale.

    Parameters
    ----------
    image : Image or Path
        An image, or the FITS file that it is in.
    path_png : Path
    outline : sequence of (ra_deg, dec_deg), optional
        A polygon to draw, e.g. the facet.
    outlines : mapping of name to sequence of (ra_deg, dec_deg), optional
        More polygons, with their names.
    title : str
        The name of the image's file when empty.
    noise : float, optional
        Noise that sets the scale, in the image's unit; estimated when None.

    Raises
    ------
    FactorError
        When the image can't be read.
    """
    if not isinstance(image, Image):
        image = read_image(image)
    if noise is None:
        noise = _noise_for_picture(image.data)
    figure = new_figure(_WIDTH_INCH, 0.86 * _WIDTH_INCH)
    data, wcs = _decimated(image, noise)
    axes = figure.add_axes((0.13, 0.1, 0.7, 0.82), projection=wcs)
    shown = _show(axes, data, noise)
    _label_axes(axes, title or image.path.stem)
    draw_beam(axes, image, _step(image))
    if outline is not None:
        draw_outline(axes, wcs, outline)
    for name, vertices in (outlines or {}).items():
        draw_outline(axes, wcs, vertices, name)
    colour_bar(figure, shown, (0.845, 0.1, 0.025, 0.82), _unit(image))
    save_figure(figure, path_png)


def compare_images(
    left: tuple[str, Path],
    right: tuple[str, Path],
    facets: Mapping[str, Vertices],
    path_png: Path,
    *,
    noise: float | None = None,
) -> None:
    """Two images of the same field side by side, on one scale, with the facets drawn.

    Parameters
    ----------
    left, right : (title, path)
    facets : mapping of name to sequence of (ra_deg, dec_deg)
    path_png : Path
    noise : float, optional
        Noise that sets the scale of both; that of the right one when None.
    """
    images = [read_image(path) for _, path in (left, right)]
    noises = [image_noise(image.data) for image in images]
    figure = new_figure(2.0 * _WIDTH_INCH, _WIDTH_INCH)
    shown = None
    for i, ((title, _), image) in enumerate(zip((left, right), images, strict=True)):
        data, wcs = _decimated(image, noises[i])
        axes = figure.add_axes((0.06 + 0.44 * i, 0.09, 0.42, 0.83), projection=wcs)
        shown = _show(axes, data, noise if noise is not None else noises[1])
        _label_axes(axes, f"{title}: noise {1e3 * noises[i]:.3g} mJy/beam", bare_left=i > 0)
        draw_beam(axes, image, _step(image))
        for name, vertices in facets.items():
            draw_outline(axes, wcs, vertices, name)
    colour_bar(figure, shown, (0.927, 0.09, 0.012, 0.83), _unit(images[1]))
    save_figure(figure, path_png)


def new_figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Without pyplot: no global state, so pictures can be made in threads.
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _noise_for_picture(data: NDArray[np.float32]) -> float:
    """The noise as well as a scale of colours needs it: within a percent, from few pixels."""
    step = max(1, math.isqrt(data.size // _NOISE_SAMPLES))
    return image_noise(data[::step, ::step])


def _decimated(image: Image, noise: float) -> tuple[NDArray[np.float32], WCS]:
    """The image in few enough pixels for a picture, and the coordinates of these.

    Every cell shows one of its pixels, or its brightest one where that is a source: means
    would wash out the points that most sources are, maxima everywhere would lift the noise.
    """
    step = _step(image)
    if step <= 1:
        return image.data, image.wcs
    ny, nx = (n // step for n in image.data.shape)
    cells = image.data[: ny * step, : nx * step].reshape(ny, step, nx, step)
    sample = cells[:, step // 2, :, step // 2].copy()
    high = cells[:, 0, :, 0].copy()
    for y in range(step):
        for x in range(step):
            np.fmax(high, cells[:, y, :, x], out=high)
    peaks = high > 6.0 * noise
    sample[peaks] = high[peaks]
    wcs = image.wcs.deepcopy()
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5) / step + 0.5
    wcs.wcs.cdelt = wcs.wcs.cdelt * step
    wcs.wcs.set()
    return sample, wcs


def _show(axes: Any, data: NDArray[np.float32], noise: float) -> Any:
    milli = data * 1e3
    norm, colours = colour_scale(1e3 * noise, milli)
    axes.set_facecolor("#dddddd")
    return axes.imshow(
        milli, origin="lower", norm=norm, cmap=colours, interpolation="nearest", aspect="equal"
    )


def colour_scale(noise: float, data: NDArray[np.float32]) -> tuple[Any, str]:
    """How values become colours: from -3 to 30 times the noise, arcsinh; and the name of the colours.

    Parameters
    ----------
    noise : float
        In the unit of the data; 0 when there is none.
    data : ndarray
        Image; its brightest pixel sets the scale where there is no noise.
    """
    from matplotlib.colors import AsinhNorm

    unit = noise
    if not unit > 0:
        brightest = float(np.max(np.abs(np.nan_to_num(data)), initial=0.0))
        unit = (brightest or 1.0) / _HIGH_SIGMA
    return AsinhNorm(3.0 * unit, vmin=_LOW_SIGMA * unit, vmax=_HIGH_SIGMA * unit), _COLOURS


def _label_axes(axes: Any, title: str, *, bare_left: bool = False) -> None:
    axes.set_title(title, fontsize=10)
    label_sky(axes, 8, bare_left=bare_left)
    axes.coords.grid(color="white", alpha=0.15, linestyle="-", linewidth=0.5)


def label_sky(axes: Any, size: float, *, bare_left: bool = False) -> None:
    """Right ascension below and declination to the left of WCS axes, in letters of a size in points."""
    ra, dec = axes.coords[0], axes.coords[1]
    dec.set_ticklabel_visible(not bare_left)
    names = ("Right ascension (J2000)", "" if bare_left else "Declination (J2000)")
    # Else astropy may put the labels of right ascension on top, across the title.
    for axis, side, name in zip((ra, dec), "bl", names, strict=True):
        axis.set_axislabel(name)
        axis.set_ticklabel_position(side)
        axis.set_axislabel_position(side)
        axis.set_ticklabel(size=size, exclude_overlapping=True, simplify=False)
        # Raised letters are formulae to matplotlib, and cost it a third of its time.
        axis.set_separator(":")


def _step(image: Image) -> int:
    """Pixels along a side for each one that is drawn."""
    return math.ceil(max(int(n) for n in image.data.shape) / _MOST_PIXELS)


def draw_beam(axes: Any, image: Image, step: int = 1) -> None:
    """The restoring beam, true to scale, in the lower left corner.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    image : Image
        Has the beam, or none.
    step : int
        Pixels of the image for each unit of the axes.
    """
    from matplotlib.patches import Ellipse

    if image.beam is None:
        return
    scale = 1.0 / step / image.cellsize_deg
    major, minor = image.beam.bmaj_deg * scale, image.beam.bmin_deg * scale
    x, y = (0.03 * axes.get_xlim()[1] + major, 0.03 * axes.get_ylim()[1] + major)
    # A position angle counts from north (up) to east (left): counter-clockwise.
    patch = Ellipse(
        (x, y), minor, major, angle=image.beam.bpa_deg, facecolor="white", edgecolor="black", lw=0.5
    )
    axes.add_patch(patch)


def draw_outline(axes: Any, wcs: WCS, vertices: Vertices, name: str = "") -> None:
    """A polygon on the sky, and a name in its middle."""
    from shapely import Polygon

    sky = np.asarray([*vertices, vertices[0]], dtype=np.float64)
    x, y = wcs.world_to_pixel_values(sky[:, 0], sky[:, 1])
    limits = (axes.get_xlim(), axes.get_ylim())
    axes.plot(x, y, color=_OUTLINE, linewidth=0.9)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    if name:
        middle = Polygon(np.column_stack([x, y])).centroid
        axes.text(
            middle.x, middle.y, name,
            color=_OUTLINE, fontsize=7, ha="center", va="center", clip_on=True,
        )  # fmt: skip


def _unit(image: Image) -> str:
    unit = image.unit or "Jy/beam"
    return "mJy/beam" if unit.upper() == "JY/BEAM" else f"10$^{{-3}}$ {unit}"


def colour_bar(figure: Any, shown: Any, place: tuple[float, float, float, float], label: str) -> None:
    """A bar beside an image, drawn by hand: axes of its own would cost as much as the image."""
    from matplotlib.image import BboxImage
    from matplotlib.lines import Line2D
    from matplotlib.markers import TICKRIGHT, MarkerStyle
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import Bbox, TransformedBbox

    x, y, width, height = place
    box = TransformedBbox(Bbox.from_bounds(*place), figure.transFigure)
    colours = BboxImage(box, cmap=shown.cmap, origin="lower", interpolation="nearest")
    colours.set_data(np.linspace(0.0, 1.0, 256)[:, np.newaxis])
    figure.add_artist(colours)
    figure.add_artist(Rectangle((x, y), width, height, fill=False, lw=0.8, transform=figure.transFigure))
    ticks = [shown.norm.vmax / _HIGH_SIGMA * step for step in _TICKS_SIGMA]
    up = y + height * np.asarray(shown.norm(ticks))
    right = np.full(len(ticks), x + width)
    figure.add_artist(Line2D(right, up, ls="none", marker=MarkerStyle(TICKRIGHT), color="black", ms=3.5))
    inch = 1.0 / figure.get_figwidth()
    for tick, at in zip(ticks, up, strict=True):
        figure.text(x + width + 0.08 * inch, at, _number(tick), fontsize=8, va="center_baseline")
    figure.text(x + width + 0.45 * inch, y + 0.5 * height, label, fontsize=9, rotation=90, va="center")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def save_figure(figure: Any, path: Path, dpi: int = _DPI) -> None:
    """Write a figure as a PNG, whole or not at all."""
    with whole(path) as draft:
        # Strong compression costs more time than the disk is worth.
        figure.savefig(draft, dpi=dpi, format="png", pil_kwargs={"compress_level": 2})
