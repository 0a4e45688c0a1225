"""Sizes of images, and how many output channels they get."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: Part of a calibrator's image in which its sources are added back and cleaned.
INNER_FRACTION = 0.6

#: Smallest image of a calibrator, pixels.
SMALLEST_IMAGE = 512

#: Resolution of the first image of self-calibration with several resolutions.
FIRST_RESOLUTION_ARCSEC = 20.0
#: By how much the full resolution must be better than that for stages between to be worth while.
LEAST_SHARPENING = 1.5

#: Number of bands from which wsclean_nchannels_factor decides on the output channels.
WIDE_BAND = 6

#: Half of a bandwidth over its frequency up to which spectra are straight within 0.5 %.
STRAIGHT = 0.08


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


def sharpening_arcsec(full_arcsec: float) -> tuple[float, ...]:
    """Resolutions through which self-calibration with several ones goes before the full one.

    20 arcsec, then the geometric mean of that and the full one; none where the full one is
    hardly better than 20 arcsec.
    """
    if full_arcsec > FIRST_RESOLUTION_ARCSEC / LEAST_SHARPENING:
        return ()
    return (FIRST_RESOLUTION_ARCSEC, math.sqrt(FIRST_RESOLUTION_ARCSEC * full_arcsec))


def bands_per_channel(n_bands: int, wanted: int, fewest_channels: int) -> int:
    """The divisor of the number of bands nearest to what is wanted that leaves enough channels."""
    divisors = [d for d in range(1, n_bands + 1) if n_bands % d == 0 and n_bands // d >= fewest_channels]
    return min(divisors, key=lambda divisor: (abs(divisor - wanted), divisor))


def spectral_setup(band_freqs_hz: Sequence[float], nchannels_factor: int) -> tuple[int, int]:
    """Output channels of an image, and terms of the spectra fitted over them.

    A model with a flat spectrum leaves percents of a bright source at the edges of the band,
    so there are at least two channels where there are two bands, and a slope. Over a wide band a
    slope is not enough: the curvature of a power law of index -0.8 is 0.72 x^2, with x the
    distance from the middle over the frequency, or 2 % at the edges of 120-168 MHz.

    Parameters
    ----------
    band_freqs_hz : sequence of float
        The middles of the bands, in order.
    nchannels_factor : int
        Bands that are to share a channel; the nearest divisor of their number is taken from
        `WIDE_BAND` bands on.

    Returns
    -------
    channels, terms : int
        1 and 0 for a single band.
    """
    n_bands = len(band_freqs_hz)
    if n_bands < 2:
        return 1, 0
    low, high = band_freqs_hz[0], band_freqs_hz[-1]
    curved = n_bands > 2 and (high - low) / (high + low) > STRAIGHT
    terms = 3 if curved else 2
    if n_bands < WIDE_BAND:
        # Channels of different widths would bend a curve.
        return n_bands if curved else 2, terms
    return n_bands // bands_per_channel(n_bands, nchannels_factor, terms), terms


def spread(n_items: int, fraction: float) -> tuple[int, ...]:
    """Indices of a fraction of items, spread evenly from the first to the last.

    Used to image with part of the bandwidth without losing the lever arm for spectra:
    at least two items where there are two.
    """
    count = min(n_items, max(2, round(fraction * n_items)))
    if count <= 1:
        return tuple(range(n_items))
    return tuple(sorted({round(i * (n_items - 1) / (count - 1)) for i in range(count)}))
