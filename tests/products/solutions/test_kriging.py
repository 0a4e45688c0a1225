"""Smoothing of fast phases over the core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.products.solutions.kriging import KOLMOGOROV, Turbulence, smooth_core, smoother
from factor.products.solutions.soltabs import PHASE, Array, Soltab, wrap

N_CORE = 14
ANTS = (*(f"CS{k:03d}HBA0" for k in range(1, N_CORE + 1)), "RS106HBA", "RS305HBA")
SLOPE = 0.02  # rad^2 at 1 km


def places() -> dict[str, tuple[float, float, float]]:
    """A core of 2 km across, and two stations at 8 and 15 km."""
    rng = np.random.default_rng(3)
    xy = np.vstack([rng.uniform(-1e3, 1e3, (N_CORE, 2)), [[8e3, 0.0], [0.0, 15e3]]])
    return {ant: (float(x), float(y), 0.0) for ant, (x, y) in zip(ANTS, xy, strict=True)}


def turbulent(n_time: int = 400) -> Array:
    """Kolmogorov phases, (time, freq, ant), with a mean common to all that wraps."""
    rng = np.random.default_rng(4)
    xyz = np.array(list(places().values())) / 1e3
    distances = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    values, axes = np.linalg.eigh(-0.5 * SLOPE * distances**KOLMOGOROV + 5.0)
    phases = rng.standard_normal((n_time, len(ANTS))) * np.sqrt(values.clip(min=0.0)) @ axes.T
    return wrap(phases + np.linspace(0.0, 20.0, n_time)[:, None])[:, None, :]


def soltab(values: Array) -> Soltab:
    """Scalar phases every 8 s."""
    n_time, n_freq, _ = values.shape
    times, freqs = 5e9 + 8.0 * np.arange(n_time), 140e6 + 2e6 * np.arange(n_freq)
    return Soltab(PHASE, times, freqs, ANTS, None, values, np.ones(values.shape))


def core_error(phases: Soltab, truth: Array) -> float:
    """Rms over the core, of good phases, each time's mean apart; rad."""
    error = wrap(phases.values - truth)[:, :, :N_CORE]
    error = np.where(phases.good[:, :, :N_CORE], error, np.nan)
    error -= np.angle(np.nanmean(np.exp(1j * error), axis=-1, keepdims=True))
    return float(np.sqrt(np.nanmean(wrap(error) ** 2)))


@pytest.mark.parametrize(("noise", "at_most"), [(0.1, 0.75), (0.3, 0.5)])
def test_noise_of_the_core_falls(noise: float, at_most: float) -> None:
    """The purpose: phases nearer to the truth, the more so the noisier they were."""
    truth = turbulent()
    noisy = soltab(wrap(truth + noise * np.random.default_rng(5).standard_normal(truth.shape)))
    smooth, found = smooth_core(noisy, places())
    assert core_error(smooth, truth) < at_most * core_error(noisy, truth)
    assert found is not None
    assert found.noise**0.5 == pytest.approx(noise, rel=0.15)
    assert found.slope == pytest.approx(SLOPE, rel=0.3)


def test_phases_without_noise_are_left_alone() -> None:
    """A bright calibrator knows the ionosphere better than any prior."""
    truth = turbulent()
    smooth, _ = smooth_core(soltab(truth), places())
    assert core_error(smooth, truth) < 0.02


def test_remote_stations_and_the_mean_of_the_core_stay() -> None:
    """Stations without neighbours have nothing to be smoothed with, and nothing moves against them."""
    noisy = soltab(wrap(turbulent() + 0.2 * np.random.default_rng(5).standard_normal((400, 1, len(ANTS)))))
    smooth, _ = smooth_core(noisy, places())
    assert np.array_equal(smooth.values[..., N_CORE:], noisy.values[..., N_CORE:])
    moved = wrap(smooth.values - noisy.values)[..., :N_CORE]
    assert np.abs(moved.mean(axis=-1)).max() < 1e-9
    assert np.abs(moved).max() > 0.1


def test_what_a_station_keeps_stays() -> None:
    """A wrong phase of the first calibration is no noise: it must not spread to the stations around it."""
    offsets = np.zeros(len(ANTS))
    offsets[3] = 1.0
    truth = turbulent() + offsets
    noisy = soltab(wrap(truth + 0.2 * np.random.default_rng(5).standard_normal(truth.shape)))
    smooth, _ = smooth_core(noisy, places())
    assert core_error(smooth, truth) < 0.6 * core_error(noisy, truth)


def test_flagged_phases_neither_count_nor_come_back() -> None:
    """A bad solution must not spread over the core, and stays flagged."""
    truth = turbulent()
    noisy = soltab(wrap(truth + 0.2 * np.random.default_rng(5).standard_normal(truth.shape)))
    values, weights = noisy.values.copy(), noisy.weights.copy()
    values[::3, :, 2] = np.nan
    weights[::3, :, 2] = 0.0
    values[:, :, 5] += 2.0 * np.random.default_rng(6).standard_normal(values[:, :, 5].shape)
    weights[:, :, 5] = 0.0
    flagged = replace(noisy, values=values, weights=weights)
    smooth, _ = smooth_core(flagged, places())
    assert np.array_equal(smooth.good, flagged.good)
    assert core_error(smooth, truth) < 0.7 * core_error(flagged, truth)


def test_without_a_core_nothing_is_smoothed() -> None:
    """Arrays of other names, and three core stations, have no core to speak of."""
    phases = soltab(turbulent())
    few = replace(phases, ants=tuple(ant.replace("CS", "RS") for ant in phases.ants))
    smooth, found = smooth_core(few, {ant.replace("CS", "RS"): xyz for ant, xyz in places().items()})
    assert found is None
    assert np.array_equal(smooth.values, phases.values)


def test_noise_alone_leaves_a_plane_and_less() -> None:
    """With noise far above the ionosphere few parameters are left of those of all stations."""
    xyz = np.array(list(places().values()))[:N_CORE] / 1e3
    distances = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    free = [float(np.trace(smoother(distances, Turbulence(SLOPE, noise)))) for noise in (1e-6, 0.01, 1.0)]
    assert free[0] > N_CORE - 0.1
    assert 3.0 < free[1] < 6.0
    assert free[2] < 2.0
