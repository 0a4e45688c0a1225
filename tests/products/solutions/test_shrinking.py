"""Slow gains that are drawn to their mean as far as they are noise."""

from __future__ import annotations

import numpy as np
import pytest

from factor.products.solutions.shrinking import shrink
from factor.products.solutions.smoothing import smooth_gains
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Array, Soltab

N_ANTS = 22


def soltab(kind: str, values: Array, good: Array | None = None) -> Soltab:
    """A soltab of (time, freq, ant, pol) values."""
    n_time, n_freq, n_ants, _ = values.shape
    weights = np.ones(values.shape) if good is None else good.astype(float)
    times, freqs = 5e9 + 1200.0 * np.arange(n_time), 140e6 + 2e6 * np.arange(n_freq)
    ants = tuple(f"CS{k:03}HBA0" for k in range(n_ants))
    return Soltab(kind, times, freqs, ants, ("XX", "YY"), values, weights)


def gains(signal: float, noise: float, seed: int = 1) -> tuple[Array, Array]:
    """True and solved gains (logarithms, or rad) of two intervals and four bands."""
    rng = np.random.default_rng(seed)
    true = np.broadcast_to(signal * rng.standard_normal((2, 1, N_ANTS, 1)), (2, 4, N_ANTS, 2))
    return true, true + noise * rng.standard_normal(true.shape)


def rms(values: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize("kind", [AMPLITUDE, PHASE])
@pytest.mark.parametrize(
    ("signal", "noise", "at_most"),
    [(0.03, 0.001, 1.05), (0.03, 0.03, 0.45), (0.03, 0.1, 0.3), (0.0, 0.1, 0.22)],
)
def test_what_is_noise_goes(kind: str, signal: float, noise: float, at_most: float) -> None:
    """The error falls, the more the noisier the gains are; without noise they stay."""
    true, solved = gains(signal, noise)
    make = np.exp if kind == AMPLITUDE else np.asarray
    table = soltab(kind, make(solved))
    drawn = shrink(table, table, keep_bands=False)
    found = np.log(drawn.values) if kind == AMPLITUDE else drawn.values
    assert rms(found - true) < at_most * rms(solved - true) + 1e-4
    # Never worse than the mean over bands and polarisations alone, nor much more than no gains at all.
    assert rms(found - true) < 1.1 * min(noise / np.sqrt(8.0) + 1e-4, max(signal, noise / 5))


def test_the_mean_over_the_stations_stays() -> None:
    """The scale of the flux is not for this to decide: each time keeps its own."""
    _, solved = gains(0.03, 0.1)
    solved = solved + np.array([0.5, -0.2])[:, None, None, None]
    table = soltab(AMPLITUDE, np.exp(solved))
    drawn = np.log(shrink(table, table, keep_bands=False).values)
    assert np.allclose(drawn.mean(axis=(1, 2, 3)), solved.mean(axis=(1, 2, 3)), atol=1e-3)


def test_polarisations_and_bands_that_differ_stay_so() -> None:
    """Dipoles, and slopes over the band, that are well above the noise."""
    true, solved = gains(0.03, 0.003)
    rng = np.random.default_rng(3)
    dipoles = 0.05 * rng.standard_normal((1, 1, N_ANTS, 1)) * np.array([1.0, -1.0])
    slope = 0.02 * rng.standard_normal((1, 1, N_ANTS, 1)) * np.linspace(-1, 1, 4)[:, None, None]
    table = soltab(AMPLITUDE, np.exp(solved + dipoles + slope))
    drawn = np.log(shrink(table, table, keep_bands=False).values)
    assert rms(drawn - true - dipoles - slope) < 0.0035


def test_a_station_unlike_all_others_stays_so() -> None:
    """A quarter of its tiles gone: that is not to be taken for noise."""
    true, solved = gains(0.0, 0.06)
    broken = np.where(np.arange(N_ANTS) == 9, -0.3, 0.0)[:, None]
    table = soltab(AMPLITUDE, np.exp(solved + broken))
    drawn = np.log(shrink(table, table, keep_bands=False).values)
    assert rms((drawn - broken)[:, :, 9] - true[:, :, 9]) < 0.05
    assert rms((drawn - broken) - true) < 0.5 * rms(solved - true)


def test_flagged_gains_do_not_count() -> None:
    """Wild values that are flagged move nothing, and stay flagged."""
    _, solved = gains(0.03, 0.03)
    good = np.ones(solved.shape, dtype=bool)
    good[:, :, 5] = False
    good[0, 1, 7] = False
    reference = soltab(AMPLITUDE, np.exp(solved), good)
    wild = soltab(AMPLITUDE, np.exp(np.where(good, solved, 5.0)), good)
    found, expected = (shrink(table, table, keep_bands=False) for table in (wild, reference))
    assert np.allclose(found.values[good], expected.values[good])
    assert np.array_equal(found.good, good)


@pytest.mark.parametrize(("n_freq", "n_ants"), [(1, N_ANTS), (4, 3)])
def test_gains_stay_where_nothing_tells_their_noise(n_freq: int, n_ants: int) -> None:
    """One band alone; a handful of stations."""
    table = soltab(AMPLITUDE, np.exp(gains(0.03, 0.1)[1][:, :n_freq, :n_ants]))
    assert shrink(table, table, keep_bands=False) is table


def test_large_phases_stay() -> None:
    """Phases beyond half a turn can't be drawn anywhere."""
    _, solved = gains(1.5, 0.1)
    table = soltab(PHASE, np.angle(np.exp(1j * solved)))
    assert shrink(table, table, keep_bands=False) is table


def test_smoothing_in_time_counts() -> None:
    """Noise that the smoothing in time has taken out is not held against the gains."""
    rng = np.random.default_rng(5)
    constant = 0.03 * rng.standard_normal((1, 1, N_ANTS, 1))
    solved = constant + 0.06 * rng.standard_normal((24, 4, N_ANTS, 2))
    smooth, _ = smooth_gains(soltab(AMPLITUDE, np.exp(solved)))
    found = np.log(smooth.values)
    kept = np.sum(found * constant) / np.sum(np.broadcast_to(constant**2, found.shape))
    assert kept > 0.9
    assert rms(found - constant) < 0.02
