"""Sizes of images and their output channels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from factor.tuning import images


def _rest(number: int) -> int:
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            number //= prime
    return number


@pytest.mark.parametrize(("wanted", "size"), [(512, 512), (513, 540), (1021, 1024), (1.2, 2), (4099, 4116)])
def test_fft_sizes(wanted: float, size: int) -> None:
    """The next even product of 2, 3, 5 and 7: a prime size would be ten times as slow."""
    assert images.fft_size(wanted) == size


def test_every_size_is_near_and_even() -> None:
    """Never smaller than wanted, never odd, never much larger."""
    for wanted in range(100, 3000, 37):
        found = images.fft_size(wanted)
        assert found % 2 == 0
        assert _rest(found) == 1
        assert wanted <= found <= 1.06 * wanted


def test_the_calibrator_fits_the_inner_part() -> None:
    """Sources are added back and cleaned in the inner part alone: it must hold the calibrator."""
    for size_deg in (0.0, 0.05, 0.3):
        pixels = images.calibrator_image_size(size_deg, 1.5)
        assert pixels >= images.SMALLEST_IMAGE
        inner = images.inner_width_deg(pixels, 1.5)
        assert size_deg < inner < pixels * 1.5 / 3600


def test_the_facet_fits_its_image() -> None:
    """A facet's corner beyond its image would be a hole in the mosaic."""
    pixels = images.facet_image_size(0.7, 1.5)
    assert pixels * 1.5 / 3600 == pytest.approx(0.7 * 1.1, rel=0.05)


def _bands(n_bands: int, width_hz: float = 1.953e6) -> list[float]:
    return [144e6 + width_hz * (k - (n_bands - 1) / 2) for k in range(n_bands)]


@pytest.mark.parametrize("n_bands", [2, 3, 4, 5, 6, 8, 24, 25])
def test_models_have_spectra(n_bands: int) -> None:
    """Rule 8: at least two output channels and a slope, also with fewer than six bands."""
    channels, terms = images.spectral_setup(_bands(n_bands), 4)
    assert 2 <= terms <= channels <= n_bands


@pytest.mark.parametrize(
    ("n_bands", "factor", "channels"),
    [(4, 4, 2), (6, 4, 2), (8, 4, 2), (12, 4, 3), (24, 4, 6), (24, 24, 3), (8, 9, 2), (10, 4, 2), (7, 4, 7)],
)
def test_output_channels(n_bands: int, factor: int, channels: int) -> None:
    """Whole bands in each channel: the divisor nearest to what is asked for."""
    assert images.spectral_setup(_bands(n_bands), factor)[0] == channels


def test_one_band_has_no_spectrum_of_its_own() -> None:
    """Nothing to be fitted: models take the initial one's spectra instead."""
    assert images.spectral_setup(_bands(1), 4) == (1, 0)


@pytest.mark.parametrize("n_bands", [2, 3, 4, 6, 12, 24])
def test_the_edges_of_the_band_are_right(n_bands: int) -> None:
    """Polynomials over the channels give a power law of -0.8 within 0.5 % in the outermost bands.

    Two bands far apart have no third point, which would tell the curvature.
    """
    wide = 1.953e6 if n_bands == 2 else 48e6 / n_bands
    freqs = np.array(_bands(n_bands, wide))
    channels, terms = images.spectral_setup(list(freqs), 4)
    truth = (freqs / 144e6) ** -0.8
    middles = [part.mean() for part in np.array_split(freqs, channels)]
    fluxes = [part.mean() for part in np.array_split(truth, channels)]
    fitted = np.polyval(np.polyfit(np.array(middles) - 144e6, fluxes, terms - 1), freqs - 144e6)
    assert np.abs(fitted / truth - 1.0).max() < 0.005


@pytest.mark.parametrize("n_items", range(1, 30))
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 1.0])
def test_spread_keeps_the_lever_arm(n_items: int, fraction: float) -> None:
    """Part of the bandwidth still reaches from the lowest to the highest band."""
    chosen = images.spread(n_items, fraction)
    assert chosen[0] == 0
    assert chosen[-1] == n_items - 1
    assert len(chosen) == min(n_items, max(2, round(fraction * n_items)))
    assert list(chosen) == sorted(set(chosen))
    steps = [b - a for a, b in itertools.pairwise(chosen)]
    assert not steps or max(steps) - min(steps) <= 1
