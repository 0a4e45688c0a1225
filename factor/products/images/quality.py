"""The few numbers by which a self-calibration image is judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from factor.products.images.image import Image, check_image, dynamic_range, image_noise

#: A source whose flux density is so many times its peak is wider than the beam.
WIDE = 1.5
#: Radius in which the flux density of such a source is measured, in its widths (FWHM).
APERTURE_WIDTHS = 2.0


@dataclass(frozen=True)
class ImageQuality:
    """Numbers of one restored image.

    Attributes
    ----------
    peak_jy : float
        Brightest pixel, Jy/beam.
    noise_jy : float
        Robust noise, Jy/beam.
    dynamic_range : float
        Peak over noise.
    min_max : float
        Deepest negative over peak.
    beam_arcsec : float
        Geometric mean of the axes of the restoring beam.
    """

    peak_jy: float
    noise_jy: float
    dynamic_range: float
    min_max: float
    beam_arcsec: float

    def __str__(self) -> str:
        return (
            f"peak {self.peak_jy:.3f} Jy/beam, noise {self.noise_jy * 1e3:.2f} mJy/beam, "
            f"dynamic range {self.dynamic_range:.0f}, |min|/max {self.min_max:.4f}"
        )

    def to_json(self) -> dict[str, float]:
        """Plain numbers, for the state."""
        return asdict(self)


def image_quality(path: Path) -> ImageQuality:
    """Measure a restored image.

    Raises
    ------
    FactorError
        When the image is missing, empty or has a wrongly fitted beam.
    """
    image = check_image(path)
    peak = float(image.data.max())
    noise = image_noise(image.data)
    ratio, min_max = dynamic_range(image.data)
    return ImageQuality(peak, noise, ratio, min_max, 3600.0 * image.restoring_beam.mean_deg)


def flux_ratio(path: Path, earlier: Path) -> float:
    """Flux density of the brightest source of an image over that in an earlier one.

    It is that of the peaks. Where the source is wider than the beam it is that within an aperture
    of twice its width: a peak tells nothing of what lies beside it.

    Parameters
    ----------
    path, earlier : Path
        Restored images on the same pixels.
    """
    after, before = check_image(path), check_image(earlier)
    row, column = np.unravel_index(int(before.data.argmax()), before.data.shape)
    rows, columns = np.ogrid[: before.data.shape[0], : before.data.shape[1]]
    beams = np.hypot(rows - row, columns - column) * before.cellsize_deg / before.restoring_beam.mean_deg
    peak = float(before.data.max())
    wide = _flux_jy(before, beams <= APERTURE_WIDTHS) / peak
    if wide < WIDE:
        return float(after.data.max()) / peak
    inside = beams <= APERTURE_WIDTHS * wide**0.5
    return _flux_jy(after, inside) / _flux_jy(before, inside)


def _flux_jy(image: Image, inside: np.ndarray) -> float:
    beam_pixels = image.restoring_beam.solid_angle_deg2 / image.cellsize_deg**2
    return float(image.data[inside].sum(dtype=np.float64)) / beam_pixels
