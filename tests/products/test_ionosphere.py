"""Fast phases smoothed as far as their noise asks for."""

from __future__ import annotations

import numpy as np
import pytest

from factor.products.ionosphere import kernel_width, noise_and_turbulence, smooth_phases
from factor.products.solutions import PHASE, Soltab


def _turbulent(rng: np.random.Generator, n: int, step: float) -> np.ndarray:
    """A random phase with D(t) = step^2 t^(5/3), made by the spectrum of its increments."""
    lags = np.arange(n)
    structure = step**2 * np.abs(np.subtract.outer(lags, lags)) ** (5 / 3)
    start = step**2 * lags ** (5 / 3)
    covariance = 0.5 * (start[:, None] + start[None, :] - structure)
    return np.linalg.cholesky(covariance + 1e-9 * np.eye(n)) @ rng.normal(size=n)


def _soltab(phases: np.ndarray) -> Soltab:
    """Phases of shape (time, ant), the first station the reference."""
    n_times, n_ants = phases.shape
    values = phases[:, None, :]
    names = tuple(f"CS{i:03d}HBA0" for i in range(n_ants))
    times = 8.0 * np.arange(n_times)
    return Soltab(PHASE, times, np.array([1.5e8]), names, None, values, np.ones_like(values))


@pytest.fixture
def truth() -> np.ndarray:
    """True phases of a reference station and two others."""
    rng = np.random.default_rng(3)
    columns = [np.zeros(300), _turbulent(rng, 300, 0.25), _turbulent(rng, 300, 0.25)]
    return np.stack(columns, axis=1)


def test_noise_is_told_from_turbulence(truth: np.ndarray) -> None:
    """The width of the kernel rests on these two numbers."""
    rng = np.random.default_rng(4)
    noisy = truth + np.array([0.0, 0.3, 0.05]) * rng.normal(size=truth.shape)
    noise, turbulence = noise_and_turbulence(_soltab(noisy), 1)
    assert noise == pytest.approx(0.3**2, rel=0.3)
    assert turbulence == pytest.approx(0.25**2, rel=0.4)
    assert noise_and_turbulence(_soltab(noisy), 2)[0] < 0.02


def test_smoothing_brings_noisy_phases_nearer_to_the_truth(truth: np.ndarray) -> None:
    """That is what it is for: the error falls where there is noise and does not rise elsewhere."""
    rng = np.random.default_rng(5)
    noisy = truth + np.array([0.0, 0.3, 0.05]) * rng.normal(size=truth.shape)
    smooth = smooth_phases(_soltab(noisy)).values[:, 0]

    def error(phases: np.ndarray, station: int) -> float:
        return float(np.sqrt(np.mean(np.angle(np.exp(1j * (phases - truth)[:, station])) ** 2)))

    assert error(smooth, 1) < 0.7 * error(noisy, 1)
    assert error(smooth, 2) < 1.1 * error(noisy, 2)


def test_gaps_are_not_bridged() -> None:
    """A jump across a gap must stay a jump."""
    rng = np.random.default_rng(6)
    phases = np.zeros((100, 2))
    phases[:, 1] = np.where(np.arange(100) < 50, -1.0, 1.0) + 0.2 * rng.normal(size=100)
    soltab = _soltab(phases)
    times = soltab.times + np.where(np.arange(100) < 50, 0.0, 4000.0)
    gapped = Soltab(PHASE, times, soltab.freqs, soltab.ants, None, soltab.values, soltab.weights)
    smooth = smooth_phases(gapped).values[:, 0, 1]
    assert abs(smooth[49] + 1.0) < 0.3
    assert abs(smooth[50] - 1.0) < 0.3


def test_flagged_phases_take_no_part() -> None:
    """A wild flagged value must not pull its neighbours."""
    rng = np.random.default_rng(7)
    phases = 0.2 * rng.normal(size=(100, 2))
    phases[50, 1] = 3.0
    soltab = _soltab(phases)
    weights = soltab.weights.copy()
    weights[50, 0, 1] = 0.0
    flagged = Soltab(PHASE, soltab.times, soltab.freqs, soltab.ants, None, soltab.values, weights)
    smooth = smooth_phases(flagged)
    assert abs(smooth.values[51, 0, 1]) < 0.4
    assert smooth.weights[50, 0, 1] == 0.0


def test_the_kernel_grows_with_noise() -> None:
    """Bright calibrators keep their resolution in time."""
    assert kernel_width(0.0, 0.06) == 0.0
    assert kernel_width(0.001, 0.06) < 0.4 < 1.0 < kernel_width(0.06, 0.06)
