"""The few numbers by which a self-calibration image is judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from factor.products.images.image import check_image, dynamic_range, image_noise


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
