"""True flux densities made apparent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.errors import InputError
from factor.products.models.apparent import attenuated, beam_towards, model_centre
from factor.products.models.skymodel import flux_at, point_components
from tests.fakes.observation import make_observation

FREQS = np.array([120e6, 132e6, 144e6, 156e6, 168e6])
#: A Gaussian beam at a fixed place, as wide as the wavelength.
RESPONSE = 10.0 ** (-0.3 * (FREQS / 144e6) ** 2)


def source(terms: list[float], *, logarithmic: bool = True) -> object:
    """A source of 20 Jy at 150 MHz."""
    one = point_components(np.array([10.0]), np.array([50.0]), np.array([20.0]), 150e6)
    return replace(one, spectral_index=np.array([terms]), logarithmic_si=np.array([logarithmic]))


@pytest.mark.parametrize("terms", [[0.0], [-0.7], [-0.5, -0.3, 0.5, -0.3]])
@pytest.mark.parametrize("freq_hz", [120e6, 137e6, 168e6])
def test_spectra_are_multiplied(terms: list[float], freq_hz: float) -> None:
    """At every frequency the true flux times the beam there, not only in the middle of the band."""
    true = source(terms)
    expected = flux_at(true, freq_hz)[0] * 10.0 ** (-0.3 * (freq_hz / 144e6) ** 2)
    assert flux_at(attenuated(true, FREQS, RESPONSE), freq_hz)[0] == pytest.approx(expected, rel=2e-3)


def test_ordinary_spectra() -> None:
    """WSClean writes polynomials of the frequency: the product with the beam is right as well."""
    true = source([-12.0, 3.0], logarithmic=False)
    for freq_hz, response in zip(FREQS, RESPONSE, strict=True):
        apparent = flux_at(attenuated(true, FREQS, RESPONSE), freq_hz)[0]
        assert apparent == pytest.approx(flux_at(true, freq_hz)[0] * response, rel=5e-3)
    with pytest.raises(InputError, match="changes its sign"):
        attenuated(source([-400.0], logarithmic=False), FREQS, RESPONSE)


def test_one_band() -> None:
    """One frequency has no slope: the source keeps its own spectrum."""
    apparent = attenuated(source([-0.7]), FREQS[:1], RESPONSE[:1])
    assert flux_at(apparent, 120e6)[0] == pytest.approx(flux_at(source([-0.7]), 120e6)[0] * RESPONSE[0])
    assert apparent.spectral_index[0, 0] == pytest.approx(-0.7)


def test_a_null_of_the_beam() -> None:
    """A response of zero, or below through noise, still gives a finite model."""
    apparent = attenuated(source([-0.7]), FREQS, np.array([1e-3, 1e-5, 0.0, -1e-4, 1e-3]))
    assert np.isfinite(apparent.flux_jy).all()
    assert np.isfinite(apparent.spectral_index).all()


def test_the_beam_towards_a_source(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One where the data were corrected for it, lower away from there, lower at high frequency."""
    folder = tmp_path_factory.mktemp("beam") / "data"
    make_observation(folder)
    bands = [[path] for path in sorted(folder.glob("*.ms"))]
    freqs, centre = beam_towards((217.5, 52.0), bands, 80.0)
    assert centre == pytest.approx(1.0, abs=2e-3)
    assert freqs[0] < freqs[1]
    _, away = beam_towards((217.5, 54.0), bands, 80.0)
    assert 0.2 < away[1] < away[0] < 0.75


def test_the_centre_of_a_model() -> None:
    """The centre of light, by which a model and a direction are held against each other."""
    pair = point_components(np.array([10.0, 10.02]), np.array([50.0, 50.0]), np.array([3.0, 1.0]), 150e6)
    ra, dec = model_centre(pair)
    assert ra == pytest.approx(10.005, abs=1e-5)
    assert dec == pytest.approx(50.0, abs=1e-5)
