"""Matrices of four correlations, as gains and leakage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.products.solutions.combining import Piece, add_slow
from factor.products.solutions.filling import fill
from factor.products.solutions.jones import behind, separate
from factor.products.solutions.merging import refine
from factor.products.solutions.smoothing import smooth_leakage
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    CORRELATIONS,
    LEAKAGE,
    LEAKAGE_NAME,
    LEAKAGE_PARTS,
    PHASE,
    Array,
    Frame,
    Soltab,
    read_soltabs,
    soltab_names,
    write_h5parm,
)

ANTS = ("CS001HBA0", "CS002HBA0", "CS003HBA0", "RS305HBA")
SHAPE = (3, 2, 4)
Matrices = np.ndarray


def random_matrices(seed: int) -> Matrices:
    """Gains of 10 % with any phase, 5 % of leakage, (time, freq, ant, 2, 2)."""
    rng = np.random.default_rng(seed)
    gains = np.exp(0.1 * rng.normal(size=(*SHAPE, 2)) + 1j * rng.normal(size=(*SHAPE, 2)))
    leakage = 0.05 * (rng.normal(size=(*SHAPE, 2)) + 1j * rng.normal(size=(*SHAPE, 2)))
    return joined(gains, leakage)


def joined(gains: Array, leakage: Array) -> Matrices:
    """L G."""
    matrices = np.zeros((*gains.shape[:-1], 2, 2), dtype=complex)
    matrices[..., 0, 0], matrices[..., 1, 1] = gains[..., 0], gains[..., 1]
    matrices[..., 0, 1] = leakage[..., 0] * gains[..., 1]
    matrices[..., 1, 0] = leakage[..., 1] * gains[..., 0]
    return matrices


def solved(matrices: Matrices) -> tuple[Soltab, Soltab]:
    """Amplitudes and phases as DP3 writes them."""
    elements = matrices.reshape(*matrices.shape[:3], 4)
    times = 5e9 + 600.0 * np.arange(len(elements))
    freqs = 120e6 + 2e6 * np.arange(elements.shape[1])
    weights = np.ones(elements.shape)
    amplitude = Soltab(AMPLITUDE, times, freqs, ANTS, CORRELATIONS, np.abs(elements), weights)
    return amplitude, replace(amplitude, kind=PHASE, values=np.angle(elements))


def matrices_of(parts: dict[str, Soltab]) -> Matrices:
    """The matrices that gains and leakage stand for."""
    leakage = parts[LEAKAGE].values
    gains = parts[AMPLITUDE].values * np.exp(1j * parts[PHASE].values)
    return joined(gains, leakage[..., 0::2] + 1j * leakage[..., 1::2])


def test_predictions_stay_the_same() -> None:
    """J_p J_q^H is all that data of a source without polarisation tell."""
    true = random_matrices(0)
    found = matrices_of(separate(*solved(true)))
    for p, q in ((0, 1), (2, 3), (0, 3)):
        products = [m[:, :, p] @ m[:, :, q].conj().swapaxes(-1, -2) for m in (true, found)]
        np.testing.assert_allclose(*products, atol=1e-12)


def test_what_stations_have_in_common_is_no_leakage() -> None:
    """The solver leaves another unitary matrix in every interval: smoothing must not see it."""
    rng = np.random.default_rng(1)
    true = random_matrices(0)
    noise = rng.normal(size=(3, 2, 1, 2, 2)) + 1j * rng.normal(size=(3, 2, 1, 2, 2))
    turns, _ = np.linalg.qr(np.eye(2) + 0.3 * noise)
    first, second = (separate(*solved(m))[LEAKAGE].values for m in (true, true @ turns))
    np.testing.assert_allclose(first, second, atol=0.01)
    assert np.abs(np.median(first, axis=2)).max() < 0.08


def test_one_bad_element_flags_the_matrix() -> None:
    """An inverse needs all four; the other stations keep what they have."""
    amplitude, phase = solved(random_matrices(2))
    amplitude.values[1, 0, 2, 1] = np.nan
    phase.weights[2, 1, 3, 3] = 0.0
    parts = separate(amplitude, phase)
    for part in parts.values():
        bad = ~part.good.all(axis=-1)
        assert sorted(map(tuple, np.argwhere(bad))) == [(1, 0, 2), (2, 1, 3)]
        assert np.isfinite(part.values).all()


def test_no_leakage_at_all_is_good() -> None:
    """Data without noise have none: an amplitude of nought is a solution there."""
    true = random_matrices(6) * np.eye(2)
    parts = separate(*solved(true))
    assert all(part.good.all() for part in parts.values())
    np.testing.assert_allclose(matrices_of(parts), true)


def test_a_station_whose_gains_went_wild_has_no_leakage(tmp_path: Path) -> None:
    """What is flagged in the gains must not come back through the leakage of a prediction."""
    true = random_matrices(7)
    true[:, :, 3] = 9.0 * np.array([[1.0, 5.0], [-4.0, 1.0]])
    amplitude, phase = solved(true)
    frame = Frame("d", 217.5, 52.0)
    write_h5parm(tmp_path / "solved.h5", {"amplitude000": amplitude, "phase000": phase}, frame)
    fast = replace(phase, pols=None, values=phase.values[..., 0], weights=phase.weights[..., 0])
    write_h5parm(tmp_path / "fast.h5", {"phase000": fast}, frame)
    piece = Piece(tmp_path / "solved.h5", phase.times[0] - 300.0, phase.times[-1] + 300.0, 0)
    add_slow(tmp_path / "fast.h5", [piece], True, Path("unused"), tmp_path / "slow.h5", normalise=False)
    leakage = read_soltabs(tmp_path / "slow.h5")[LEAKAGE_NAME]
    assert not leakage.good[:, :, leakage.ants.index(ANTS[3])].any()
    assert np.abs(fill(leakage).values[:, :, leakage.ants.index(ANTS[3])]).max() == 0.0
    assert leakage.good[:, :, :3].all()


def leakage_of(values: Array) -> Soltab:
    """A soltab of leakage, (time, freq, ant, part)."""
    times, freqs = 5e9 + 600.0 * np.arange(len(values)), 120e6 + 2e6 * np.arange(values.shape[1])
    return Soltab(LEAKAGE, times, freqs, ANTS, LEAKAGE_PARTS, values, np.ones_like(values))


def test_phases_that_were_applied_before_turn_leakage() -> None:
    """P L = L' P: the total solutions are what was applied, one after the other."""
    rng = np.random.default_rng(3)
    parts = separate(*solved(random_matrices(3)))
    gain = parts[PHASE]
    before = replace(gain, values=rng.uniform(-3, 3, gain.shape), ants=(*ANTS[:3], "RS999HBA"))
    total = behind(before, parts[LEAKAGE], gain)
    own = matrices_of(parts)
    turn = np.where(np.arange(4)[:, None] < 3, np.exp(1j * before.values), 1.0)
    phases = replace(gain, values=gain.values + np.angle(turn))
    found = matrices_of({**parts, PHASE: phases, LEAKAGE: total})
    np.testing.assert_allclose(found, turn[..., None] * own, atol=1e-12)


def test_a_file_has_matrices_and_memory_has_leakage(tmp_path: Path) -> None:
    """DP3 and LoSoTo know amplitudes and phases of four correlations."""
    leakage = leakage_of(0.05 * np.random.default_rng(4).normal(size=(3, 2, 4, 4)))
    leakage.weights[1, 1, 1, 2] = 0.0
    path = tmp_path / "s.h5"
    write_h5parm(path, {LEAKAGE_NAME: leakage}, Frame("d", 217.5, 52.0))
    assert soltab_names(path) == {"amplitude001", "phase002", LEAKAGE_NAME}
    read = read_soltabs(path)[LEAKAGE_NAME]
    assert read.pols == LEAKAGE_PARTS
    np.testing.assert_allclose(read.values, leakage.values, atol=1e-12)
    assert not read.good[1, 1, 1].any()
    assert read.good.sum() == read.values.size - 4


def test_smoothing_leakage_takes_noise_and_outliers_out() -> None:
    """Around nought: amplitudes and phases of it would have a bias."""
    rng = np.random.default_rng(5)
    true = np.full((40, 8, 4, 4), 0.01) * np.array([1.0, -1.0, 2.0, 0.0])
    noisy = true + 0.02 * rng.normal(size=true.shape)
    noisy[11, 3, 2, 1] = 3.0
    smooth = smooth_leakage(leakage_of(noisy))
    assert smooth.weights[11, 3, 2, 1] == 0.0
    assert np.std(smooth.values - true) < 0.5 * 0.02
    assert np.abs((smooth.values - true).mean(axis=(0, 1))).max() < 0.005


def test_leakage_is_interpolated_as_it_is() -> None:
    """A step through nought has no logarithm, and no phase."""
    values = np.zeros((2, 1, 4, 4))
    values[0], values[1] = -0.04, 0.04
    fine = refine(leakage_of(values), pieces=4)
    assert np.diff(fine.values[:, 0, 0, 0]).min() >= 0.0
    assert np.abs(fine.values).min() < 0.011
    assert fine.values[0, 0, 0, 0] == pytest.approx(-0.04)
