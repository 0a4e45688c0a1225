"""Sizes of images, and how many output channels they get."""

from __future__ import annotations

import math

#: Part of a calibrator's image in which its sources are added back and cleaned.
INNER_FRACTION = 0.6

#: Smallest image of a calibrator, pixels.
SMALLEST_IMAGE = 512

#: Number of bands from which images are made with more than two output channels.
WIDE_BAND = 6


def fft_size(pixels: float) -> int:
    """The next even size that fast Fourier transforms like (factors 2, 3, 5 and 7)."""
    size = max(2, math.ceil(pixels))
    while True:
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and size % 2 == 0:
            return size
        size += 1


def calibrator_image_size(cal_size_deg: float, cellsize_arcsec: float) -> int:
    """Side of a calibrator's image in pixels: its sources fill the inner part, with a margin."""
    needed = 1.2 * cal_size_deg * 3600.0 / cellsize_arcsec / INNER_FRACTION
    return fft_size(max(SMALLEST_IMAGE, needed))


def inner_width_deg(image_size: int, cellsize_arcsec: float) -> float:
    """Side of the part of a calibrator's image in which its sources are added back."""
    return INNER_FRACTION * image_size * cellsize_arcsec / 3600.0


def facet_image_size(width_deg: float, cellsize_arcsec: float) -> int:
    """One side of a facet's image in pixels: the facet and a margin of 5 % on each side."""
    return fft_size(1.1 * width_deg * 3600.0 / cellsize_arcsec)


def output_channels(n_bands: int, nchannels_factor: int) -> int:
    """Output channels of an image, so that its model has a spectrum.

    At least two where there are two bands: a model with a flat spectrum leaves percents
    of a bright source at the edges of the band.
    """
    if n_bands < 2:
        return 1
    if n_bands < WIDE_BAND:
        return 2
    return max(2, math.ceil(n_bands / nchannels_factor))


def spread(n_items: int, fraction: float) -> tuple[int, ...]:
    """Indices of a fraction of items, spread evenly from the first to the last.

    Used to image with part of the bandwidth without losing the lever arm for spectra:
    at least two items where there are two.
    """
    count = min(n_items, max(2, round(fraction * n_items)))
    if count <= 1:
        return tuple(range(n_items))
    return tuple(sorted({round(i * (n_items - 1) / (count - 1)) for i in range(count)}))
