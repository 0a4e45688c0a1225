"""Images of a calibration as bitmaps, several on one scale: far quicker than figures with axes."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factor.products.images.image import image_noise, read_image
from factor.products.images.masks import Vertices

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from astropy.wcs import WCS
    from PIL.Image import Image as Bitmap

#: Side of the large bitmaps, pixels: at most, and at least.
_MOST, _LEAST = 900, 400
#: The scale, in units of the noise; the middle of it is linear up to the knee.
LOW, HIGH, _KNEE = -3.0, 30.0, 3.0
_COLOURS = "inferno"
#: Pixels that the noise is measured of, about.
_SAMPLES = 200_000
_OUTLINE = (53, 201, 255)


def noise_of(path: Path) -> float:
    """Noise of an image, in its own unit; well enough for a scale."""
    data, _ = _read(path)
    step = math.ceil(math.sqrt(data.size / _SAMPLES))
    return image_noise(data[::step, ::step])


def draw_image(path: Path, noise: float, outline: Vertices = ()) -> Bitmap:
    """An image from -3 to 30 times a noise on an arcsinh scale, with its beam, as in the run's own pictures.

    Parameters
    ----------
    path : Path
        FITS image.
    noise : float
        What sets the scale, in the image's unit.
    outline : sequence of (ra_deg, dec_deg)
        A polygon to draw.

    Raises
    ------
    OSError, ValueError
        When the image can't be read.
    """
    from PIL import Image as Pillow

    pixels, header = _read(path)
    step = math.ceil(max(pixels.shape) / _MOST)
    data = _reduced(pixels, step)
    colours = _lookup()[_levels(data, noise)]
    # FITS counts rows from the bottom.
    bitmap = Pillow.fromarray(colours[::-1])
    grow = math.ceil(_LEAST / max(data.shape))
    bitmap = bitmap.resize((bitmap.width * grow, bitmap.height * grow), Pillow.Resampling.NEAREST)
    _draw_beam(bitmap, header, grow / step)
    if outline:
        _draw_outline(bitmap, read_image(path).wcs, outline, grow / step)
    return bitmap


def _read(path: Path) -> tuple[NDArray[np.float32], Header]:
    """The image and its header: coordinates, which few pictures need, take longer to make."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        data, header = hdus[0].data, hdus[0].header
    if data is None or data.ndim < 2:
        raise ValueError(f"{path} holds no image")
    pixels: NDArray[np.float32] = np.asarray(data, dtype=np.float32).reshape(-1, *data.shape[-2:])[0]
    return pixels, header


def _levels(data: NDArray[np.float32], noise: float) -> NDArray[np.uint8]:
    if not noise > 0:
        noise = (float(np.nanmax(np.abs(data), initial=0.0)) or 1.0) / HIGH
    low, high = math.asinh(LOW / _KNEE), math.asinh(HIGH / _KNEE)
    scaled = (np.arcsinh(np.nan_to_num(data) / np.float32(_KNEE * noise)) - low) * (255.0 / (high - low))
    levels: NDArray[np.uint8] = np.clip(scaled, 0.0, 255.0).astype(np.uint8)
    return levels


def _reduced(data: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Fewer pixels: of each cell the one that is furthest from zero, so that no source is lost."""
    if step <= 1:
        return data
    ny, nx = (n // step for n in data.shape)
    parts = [data[y : ny * step : step, x : nx * step : step] for y in range(step) for x in range(step)]
    high, low = parts[0].copy(), parts[0].copy()
    for part in parts[1:]:
        np.fmax(high, part, out=high)
        np.fmin(low, part, out=low)
    furthest: NDArray[np.float32] = np.where(high >= -low, high, low)
    return furthest


def _draw_beam(bitmap: Bitmap, header: Header, scale: float) -> None:
    """The restoring beam, true to scale, in the lower left corner."""
    from PIL import ImageDraw

    cell_deg = abs(float(header.get("CDELT2", 0.0)))
    axes = [0.5 * scale * float(header.get(key, 0.0)) / (cell_deg or 1.0) for key in ("BMAJ", "BMIN")]
    if not (cell_deg and 0.0 < axes[1] <= axes[0] < 0.1 * bitmap.width):
        return
    pa = math.radians(float(header.get("BPA", 0.0)))
    turn = np.linspace(0.0, 2.0 * np.pi, 33)
    # From north (up) to east (left); rows are counted from the top.
    along, across = axes[0] * np.cos(turn), axes[1] * np.sin(turn)
    margin = 0.02 * bitmap.width + axes[0]
    x = margin - along * math.sin(pa) - across * math.cos(pa)
    y = bitmap.height - margin - along * math.cos(pa) + across * math.sin(pa)
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    ImageDraw.Draw(bitmap).polygon(points, fill="white", outline="black")


def _draw_outline(bitmap: Bitmap, wcs: WCS, outline: Vertices, scale: float) -> None:
    from PIL import ImageDraw

    sky = np.asarray([*outline, outline[0]], dtype=np.float64)
    x, y = wcs.world_to_pixel_values(sky[:, 0], sky[:, 1])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return
    points = [
        (float((a + 0.5) * scale), bitmap.height - float((b + 0.5) * scale))
        for a, b in zip(x, y, strict=True)
    ]
    ImageDraw.Draw(bitmap).line(points, fill=_OUTLINE, width=2)


@cache
def _lookup() -> Any:
    from matplotlib import colormaps

    return (colormaps[_COLOURS](np.arange(256))[:, :3] * 255).astype(np.uint8)


def scale_stops() -> list[str]:
    """Colours of the scale from its lower to its upper end, as CSS has them."""
    chosen = _lookup()[np.linspace(0, 255, 12).astype(int)]
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in chosen]
