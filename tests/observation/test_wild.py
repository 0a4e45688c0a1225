"""Stations gone mad: told from what the ionosphere does, and from a sky model that is wrong."""

from __future__ import annotations

import numpy as np

from factor.observation.wild import Wild, wild_stretches
from factor.products.solutions.soltabs import PHASE, Array, Soltab

ANTS = tuple(f"CS{n:03d}HBA0" for n in range(8))
STEP_S = 8.0
TIMES = 5e9 + STEP_S * np.arange(240)


def _found(phases: Array) -> list[Wild]:
    """The stations are the farther out the later they come."""
    phase = Soltab(PHASE, TIMES, np.array([144e6]), ANTS, None, phases, np.ones(phases.shape))
    return wild_stretches(phase, {ant: 1e3 * n for n, ant in enumerate(ANTS)})


def _ionosphere(random: np.random.Generator) -> Array:
    """Phases that wander by 0.3 rad from slot to slot."""
    return np.cumsum(random.normal(0.0, 0.3, (240, 1, 8)), axis=0)


def test_the_ionosphere_is_not_mad() -> None:
    """Stations of sound data keep all of them."""
    assert _found(_ionosphere(np.random.default_rng(1))) == []


def test_mad_for_a_part_of_the_time() -> None:
    """Nothing of the random part is left, which begins and ends amid windows; most of the rest is."""
    random = np.random.default_rng(2)
    values = _ionosphere(random)
    values[80:150, :, 5] = random.uniform(-np.pi, np.pi, (70, 1))
    (found,) = _found(values)
    assert found.station == ANTS[5]
    assert TIMES[0] < found.start_mjd_s < TIMES[80]
    assert TIMES[149] < found.end_mjd_s <= TIMES[-1] + STEP_S


def test_slots_without_solutions_are_no_sign() -> None:
    """A station that is flagged, or cannot be solved for, has not gone mad."""
    values = _ionosphere(np.random.default_rng(3))
    values[60:120, :, 2] = np.nan
    assert _found(values) == []


def test_the_most_remote_stations_are_not_judged() -> None:
    """The initial model may not hold for their baselines: then their phases are noise, and they sound."""
    random = np.random.default_rng(4)
    values = _ionosphere(random)
    values[:, :, 2] = random.uniform(-np.pi, np.pi, (240, 1))
    values[:, :, 6:] = random.uniform(-np.pi, np.pi, (240, 1, 2))
    assert {wild.station for wild in _found(values)} == {ANTS[2]}
