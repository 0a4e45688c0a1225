"""Slow gains that are drawn to their mean as far as they are noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.products.solutions.referencing import rereference
from factor.products.solutions.shrinking import shrink
from factor.products.solutions.smoothing import smooth_gains
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Array, Soltab

N_ANTS = 22


def soltab(kind: str, logs: Array, good: Array | None = None, n_core: int = 14) -> Soltab:
    """A soltab of (time, freq, ant, pol) logarithms of amplitudes, or phases."""
    n_time, n_freq, n_ants, _ = logs.shape
    weights = np.ones(logs.shape) if good is None else good.astype(float)
    times, freqs = 5e9 + 1200.0 * np.arange(n_time), 140e6 + 2e6 * np.arange(n_freq)
    ants = tuple(f"CS{k:03}HBA0" if k < n_core else f"RS{k:03}HBA" for k in range(n_ants))
    values = np.exp(logs) if kind == AMPLITUDE else np.angle(np.exp(1j * logs))
    return Soltab(kind, times, freqs, ants, ("XX", "YY"), values, weights)


def logs_of(gains: Soltab) -> Array:
    """Logarithms of amplitudes, or phases."""
    return np.log(gains.values) if gains.kind == AMPLITUDE else gains.values


def gains(signal: float, noise: float, shape: tuple[int, int, int] = (2, 4, N_ANTS)) -> tuple[Array, Array]:
    """True and solved gains (logarithms, or rad): constant in frequency, the same in XX and YY."""
    rng = np.random.default_rng(1)
    true = signal * rng.standard_normal((shape[0], 1, shape[2], 1))
    true = np.broadcast_to(true - true.mean(axis=2, keepdims=True), (*shape, 2))
    return true, true + noise * rng.standard_normal(true.shape)


def rms(values: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize("kind", [AMPLITUDE, PHASE])
@pytest.mark.parametrize(
    ("signal", "noise", "at_most"),
    [(0.03, 0.001, 1.05), (0.03, 0.03, 0.5), (0.03, 0.1, 0.45), (0.0, 0.1, 0.4)],
)
def test_what_is_noise_goes(kind: str, signal: float, noise: float, at_most: float) -> None:
    """The error falls, the more the noisier the gains are; without noise they stay."""
    true, solved = gains(signal, noise)
    found = logs_of(shrink(soltab(kind, solved)))
    assert rms(found - true) < at_most * rms(solved - true) + 1e-4


@pytest.mark.parametrize("n_freq", [2, 4, 12])
def test_noise_that_polarisations_share_is_seen(n_freq: int) -> None:
    """What no model has of other sources is the same in XX and YY: two solutions, but one noise."""
    true, _ = gains(0.0, 0.0, (2, n_freq, N_ANTS))
    solved = true + 0.1 * np.random.default_rng(2).standard_normal((2, n_freq, N_ANTS, 1))
    solved = solved - solved.mean(axis=2, keepdims=True)
    found = logs_of(shrink(soltab(AMPLITUDE, solved)))
    assert rms(found) < 0.4 * rms(solved.mean(axis=1)) + 0.05 * rms(solved)


def test_what_stations_have_in_common_stays() -> None:
    """The flux scale of each time, band and polarisation is not for this to decide."""
    _, solved = gains(0.0, 0.1)
    scales = np.random.default_rng(3).uniform(-0.4, 0.4, (2, 4, 1, 2))
    solved = solved - solved.mean(axis=2, keepdims=True) + scales
    found = logs_of(shrink(soltab(AMPLITUDE, solved)))
    assert rms(found.mean(axis=2) - scales[:, :, 0]) < 0.01


def test_polarisations_and_slopes_that_differ_stay_so() -> None:
    """Dipoles, and slopes over the band, that are well above the noise; with uneven bands too."""
    true, solved = gains(0.03, 0.003)
    rng = np.random.default_rng(3)
    freqs = np.array([120e6, 122e6, 124e6, 160e6])
    dipoles = 0.05 * rng.standard_normal((1, 1, N_ANTS, 1)) * np.array([1.0, -1.0])
    slope = 0.02 * rng.standard_normal((1, 1, N_ANTS, 1)) * ((freqs - freqs.mean()) / 20e6)[:, None, None]
    table = replace(soltab(AMPLITUDE, solved + dipoles + slope), freqs=freqs)
    assert rms(logs_of(shrink(table)) - true - dipoles - slope) < 0.0035


@pytest.mark.parametrize("reference", [0, 20])
def test_phases_do_not_depend_on_their_reference(reference: int) -> None:
    """The noise of the station that all are referred to is not that of all."""
    true, solved = gains(0.05, 0.1)
    table = soltab(PHASE, solved)
    drawn = shrink(rereference(table, table.ants[reference])).values
    drawn = drawn - drawn.mean(axis=2, keepdims=True)
    unreferenced = shrink(table).values
    assert np.allclose(drawn, unreferenced - unreferenced.mean(axis=2, keepdims=True), atol=2e-3)
    assert rms(drawn - true) < 0.5 * rms(solved - true)


def test_a_station_unlike_all_others_stays_so() -> None:
    """A tenth of its tiles gone: that is eight standard deviations of its noise."""
    true, solved = gains(0.0, 0.1, (2, 4, 60))
    broken = np.where(np.arange(60) == 9, -0.3, 0.0)[:, None]
    found = logs_of(shrink(soltab(AMPLITUDE, solved + broken, n_core=46)))
    assert abs((found - broken)[:, :, 9].mean()) < 0.12
    assert rms((found - broken) - true) < 0.45 * rms(solved - true)


def test_a_noisy_station_harms_no_other() -> None:
    """Neither its noise nor its gains are held against those that are sound."""
    true, solved = gains(0.03, 0.01)
    noisy = solved.copy()
    noisy[:, :, 17] += np.random.default_rng(4).standard_normal((2, 4, 2))
    others = np.arange(N_ANTS) != 17
    off = (logs_of(shrink(soltab(AMPLITUDE, noisy))) - true)[:, :, others]
    assert rms(off - off.mean(axis=2, keepdims=True)) < 0.008
    assert rms(off) < 0.01


def test_a_phase_that_may_be_a_wrap_stays() -> None:
    """Half a turn off all others; those are drawn all the same."""
    _, solved = gains(0.0, 0.1)
    off = np.where(np.arange(N_ANTS) == 5, np.pi, 0.0)[:, None]
    found = shrink(soltab(PHASE, solved + off)).values
    assert rms(np.abs(found[:, :, 5]) - np.pi) < 0.25
    others = np.arange(N_ANTS) != 5
    assert rms(found[:, :, others]) < 0.4 * rms(solved[:, :, others])


def test_flagged_gains_do_not_count() -> None:
    """Wild values that are flagged move nothing, and stay flagged."""
    _, solved = gains(0.03, 0.03)
    good = np.ones(solved.shape, dtype=bool)
    good[:, :, 5] = False
    good[0, 1, 7] = False
    reference = soltab(AMPLITUDE, solved, good)
    wild = soltab(AMPLITUDE, np.where(good, solved, 5.0), good)
    found, expected = shrink(wild), shrink(reference)
    assert np.allclose(found.values[good], expected.values[good])
    assert np.array_equal(found.good, good)
    assert not np.allclose(expected.values, reference.values)


@pytest.mark.parametrize(("n_freq", "n_ants"), [(1, N_ANTS), (4, 3)])
def test_gains_stay_where_nothing_tells_their_noise(n_freq: int, n_ants: int) -> None:
    """One band alone; a handful of stations."""
    table = soltab(AMPLITUDE, gains(0.03, 0.1)[1][:, :n_freq, :n_ants])
    assert np.allclose(shrink(table).values, table.values)


@pytest.mark.parametrize("n_freq", [4, 12])
@pytest.mark.parametrize("smooth_2d", [True, False])
def test_noise_alone_is_all_but_gone(n_freq: int, smooth_2d: bool) -> None:
    """A faint calibrator must not spoil its facet: with few bands as with many."""
    _, solved = gains(0.0, 0.1, (2, n_freq, 60))
    smooth, _ = smooth_gains(soltab(AMPLITUDE, solved), smooth_2d=smooth_2d)
    assert rms(logs_of(smooth)) < 0.035


def test_smoothing_in_time_counts() -> None:
    """Noise that the smoothing in time has taken out is not held against the gains."""
    rng = np.random.default_rng(5)
    constant = 0.03 * rng.standard_normal((1, 1, N_ANTS, 1))
    solved = constant + 0.06 * rng.standard_normal((24, 4, N_ANTS, 2))
    smooth, _ = smooth_gains(soltab(AMPLITUDE, solved))
    found = logs_of(smooth)
    kept = np.sum(found * constant) / np.sum(np.broadcast_to(constant**2, found.shape))
    assert kept > 0.85
    assert rms(found - constant) < 0.02
