"""Smoothing of slow gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.products.solutions.smoothing import smooth_gains
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Array, Soltab

ANTS = ("CS001HBA0", "CS002HBA0", "RS305HBA")


def soltab(kind: str, values: Array, step: float = 600.0) -> Soltab:
    """A soltab of (time, freq, ant, pol) values."""
    n_time, n_freq = values.shape[:2]
    return Soltab(
        kind,
        5e9 + step * (np.arange(n_time) + 0.5),
        120e6 + 2e6 * np.arange(n_freq),
        ANTS,
        ("XX", "YY"),
        values.astype(float),
        np.ones_like(values, dtype=float),
    )


def truth(n_time: int, n_freq: int) -> Array:
    """Amplitudes that change slowly in time and frequency."""
    t, f = np.arange(n_time)[:, None, None, None], np.arange(n_freq)[None, :, None, None]
    scale = np.array([1.0, 0.9, 1.2])[None, None, :, None] * np.array([1.0, 1.05])
    return scale * np.exp(0.08 * np.sin(t / 8.0) + 0.01 * f)


@pytest.mark.parametrize("smooth_2d", [True, False])
@pytest.mark.parametrize(("n_time", "n_freq"), [(1, 1), (1, 4), (2, 1), (2, 4), (3, 3), (30, 6)])
def test_noise_free_gains_are_left_alone(smooth_2d: bool, n_time: int, n_freq: int) -> None:
    """Smoothing must do no harm, above all on the small grids of short observations."""
    values = truth(n_time, n_freq)
    smooth, _ = smooth_gains(soltab(AMPLITUDE, values), smooth_2d=smooth_2d)
    assert np.abs(smooth.values / values - 1.0).max() < 0.01
    assert smooth.weights.min() == 1.0


def test_noise_falls_on_large_grids() -> None:
    """The purpose of smoothing: less noise than the solutions came with."""
    rng = np.random.default_rng(1)
    values = truth(40, 8)
    noisy = values * np.exp(0.05 * rng.standard_normal(values.shape))
    smooth, _ = smooth_gains(soltab(AMPLITUDE, noisy))
    after = np.std(np.log(smooth.values / values))
    assert after < 0.5 * 0.05


def test_outliers_are_flagged_and_replaced() -> None:
    """A wild solution must neither reach an image nor pull its neighbours."""
    rng = np.random.default_rng(2)
    values = truth(12, 4) * np.exp(0.01 * rng.standard_normal((12, 4, 3, 2)))
    wild = values.copy()
    wild[5, 2, 1, 0] *= 2.0
    wild[7, 1, 2, 1] = np.nan
    smooth, _ = smooth_gains(soltab(AMPLITUDE, wild))
    assert smooth.weights[5, 2, 1, 0] == 0.0
    assert smooth.weights[7, 1, 2, 1] == 0.0
    assert smooth.weights.sum() == smooth.weights.size - 2
    assert np.abs(smooth.values / truth(12, 4) - 1.0).max() < 0.04


def test_few_honest_solutions_are_flagged_in_small_noisy_grids() -> None:
    """With eight cells a station the scatter is known badly: ordinary noise is no outlier."""
    rng = np.random.default_rng(3)
    values = np.exp(0.06 * rng.standard_normal((2, 4, 3, 2)))
    smooth, _ = smooth_gains(soltab(AMPLITUDE, values))
    assert np.mean(smooth.weights == 0) < 0.05


def test_nothing_crosses_a_gap() -> None:
    """Two nights keep their own level, up to the last cell."""
    values = np.ones((20, 4, 3, 2))
    values[10:] = 1.4
    table = soltab(AMPLITUDE, values)
    times = table.times.copy()
    times[10:] += 86400.0
    split = Soltab(AMPLITUDE, times, table.freqs, ANTS, table.pols, values, table.weights)
    smooth, _ = smooth_gains(split)
    assert np.abs(smooth.values - values).max() < 1e-9
    together, _ = smooth_gains(table)
    assert np.abs(together.values - values).max() > 0.01


def test_phases_are_smoothed_across_the_wrap() -> None:
    """Phases near +-pi differ little, whatever their numbers say."""
    rng = np.random.default_rng(4)
    level = np.array([0.0, np.pi - 0.02, -2.0])[None, None, :, None]
    phases = np.angle(np.exp(1j * (level + 0.1 * rng.standard_normal((30, 6, 3, 2)))))
    _, smooth = smooth_gains(soltab(AMPLITUDE, np.ones_like(phases)), soltab(PHASE, phases))
    assert smooth is not None
    difference = np.angle(np.exp(1j * (smooth.values[:, :, 1] - smooth.values[:, :, 0] - np.pi + 0.02)))
    assert np.abs(difference).max() < 0.25
    assert np.abs(smooth.values[:, :, 0]).max() < 1e-9


def test_all_flagged_is_survived() -> None:
    """A direction without any good gain must not crash the smoothing."""
    table = soltab(AMPLITUDE, np.full((3, 4, 3, 2), np.nan))
    smooth, _ = smooth_gains(table)
    assert smooth.weights.max() == 0.0
    assert np.all(np.isfinite(smooth.values))


def test_nights_of_one_interval_are_not_mixed() -> None:
    """Rule 7: where each night has one interval, times alone do not tell that there is a gap."""
    rng = np.random.default_rng(7)
    values = np.exp(0.3 * rng.standard_normal((8, 1, 3, 2)))
    table = soltab(AMPLITUDE, values)
    nights = replace(table, times=5e9 + 86400.0 * np.arange(8), step_s=600.0)
    smooth, _ = smooth_gains(nights)
    assert np.allclose(smooth.values, values)
    assert smooth.good.all()


@pytest.mark.parametrize(("n_time", "n_freq"), [(48, 24), (48, 4), (48, 1), (16, 12), (8, 4)])
@pytest.mark.parametrize("smooth_2d", [True, False])
def test_slow_variations_stay_and_noise_goes(n_time: int, n_freq: int, smooth_2d: bool) -> None:
    """Variations of 5 % over twelve intervals are what slow gains are for: most of them is kept."""
    rng = np.random.default_rng(8)
    times = np.arange(n_time)[:, None, None, None]
    wave = 0.05 * np.sin(2 * np.pi * times / 12.0 + rng.uniform(0, 6.28, (1, 1, 3, 2)))
    values = np.exp(np.broadcast_to(wave, (n_time, n_freq, 3, 2)))
    noise = 0.03 * rng.standard_normal(values.shape)
    smooth, _ = smooth_gains(soltab(AMPLITUDE, values * np.exp(noise)), smooth_2d=smooth_2d)
    error = np.log(smooth.values / values)
    assert np.std(error) < (0.75 if smooth_2d else 0.9) * 0.03
    deviation = np.log(values) - np.log(values).mean(axis=0)
    assert np.sum(np.log(smooth.values) * deviation) / np.sum(deviation**2) > 0.75
    assert smooth.good.mean() > 0.99


def test_a_step_stays_a_step() -> None:
    """A sudden change of a station's gain is real: only the two cells beside it may blur."""
    values = np.ones((24, 6, 3, 2))
    values[12:, :, 1] = 1.3
    smooth, _ = smooth_gains(soltab(AMPLITUDE, values))
    off = np.abs(smooth.values / values - 1.0).max(axis=(1, 2, 3))
    assert np.delete(off, [11, 12]).max() < 0.02
    assert smooth.good.all()


def test_a_station_without_solutions_disturbs_nobody() -> None:
    """NaN of one station stay with it, flagged and with a finite value."""
    values = truth(12, 4)
    expected, _ = smooth_gains(soltab(AMPLITUDE, values))
    values[:, :, 1] = np.nan
    smooth, _ = smooth_gains(soltab(AMPLITUDE, values))
    assert np.isfinite(smooth.values).all()
    assert not smooth.good[:, :, 1].any()
    assert np.allclose(smooth.values[:, :, [0, 2]], expected.values[:, :, [0, 2]])
