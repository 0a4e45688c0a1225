"""Sizes of images and their output channels."""

from __future__ import annotations

import itertools

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


@pytest.mark.parametrize("n_bands", [2, 3, 4, 5, 6, 8, 24])
def test_models_have_spectra(n_bands: int) -> None:
    """Rule 8: at least two output channels, also with fewer than six bands."""
    channels = images.output_channels(n_bands, 4)
    assert 2 <= channels <= n_bands
    if n_bands >= images.WIDE_BAND:
        assert channels == max(2, -(-n_bands // 4))


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
