"""What the solver leaves that nothing may use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.products.solutions.soltabs import PHASE
from factor.products.solutions.weeding import weed
from tests.products.solutions.test_solutions import ANTS, amplitudes, phases


def test_wild_stations_and_values_are_flagged_and_told() -> None:
    """Huge stations, single huge values and NaN with weight are what DP3 is known to leave."""
    values = np.ones((10, 4, 3, 2))
    values[:, :, 1] = 20.0
    values[0, 0, 0, 0] = np.nan
    values[3, 0, 2, 0] = 7.0
    values[4, 0, 2, 0] = 0.0
    good, health = weed(amplitudes(values))
    assert health.wild == ("CS002HBA0",)
    assert not good.good[:, :, 1].any()
    assert health.partly == (("RS305HBA", 1 / 80),)
    assert health.n_invalid == 2
    assert good.weights[0, 0, 0, 0] == good.weights[3, 0, 2, 0] == good.weights[4, 0, 2, 0] == 0.0
    assert good.good.sum() == 160 - 3
    told = str(health)
    assert "CS002HBA0 (wild)" in told
    assert "RS305HBA (1 %)" in told
    assert "\n" not in told


def test_stations_without_solutions_are_told() -> None:
    """A station whose data are all flagged is named, and healthy solutions give no line at all."""
    table = amplitudes(np.ones((3, 4, 3, 2)))
    assert not weed(table)[1]
    table.weights[:, :, 2] = 0.0
    health = weed(table)[1]
    assert health.dead == ("RS305HBA",)
    assert "no solutions of RS305HBA" in str(health)


def test_phases_like_noise_are_flagged() -> None:
    """Phases without memory are no solutions, whatever all stations turn by together."""
    rng = np.random.default_rng(1)
    values = rng.uniform(-np.pi, np.pi, (50, 4, 3)) * np.array([0.0, 0.05, 1.0])
    together = rng.uniform(-np.pi, np.pi, (50, 4, 1))
    good, health = weed(phases(values + together))
    assert health.wild == ("RS305HBA",)
    assert good.good[:, :, :2].all()
    assert not good.good[:, :, 2].any()


def test_a_mad_first_station_condemns_no_other() -> None:
    """Phases are referred to the first station: when that one is mad, all of them look random."""
    values = np.random.default_rng(3).uniform(-np.pi, np.pi, (100, 4, 1)) * np.array([0.0, 1.0, 1.0])
    good, health = weed(phases(values))
    assert health.wild == (ANTS[0],)
    assert good.good[:, :, 1:].all()


def test_a_station_mad_for_some_minutes() -> None:
    """What it has before and after is kept."""
    values = np.zeros((240, 4, 3))
    values[130:, :, 1] = np.random.default_rng(4).uniform(-np.pi, np.pi, (110, 4))
    values[200:, :, 1] = 0.0
    good, health = weed(phases(values))
    assert not health.wild
    ((station, part),) = health.partly
    assert station == ANTS[1]
    assert part == pytest.approx(0.25)
    assert not good.good[130:180, :, 1].any()
    assert good.good[:, :, ::2].all()


def test_few_or_slow_phases_are_left_alone() -> None:
    """Ten minutes apart, phases may be anything: with few of them nobody can tell."""
    rng = np.random.default_rng(2)
    table = replace(amplitudes(rng.uniform(-np.pi, np.pi, (3, 2, 3, 2))), kind=PHASE)
    assert not weed(table)[1].wild
    assert len(table.ants) == len(ANTS)
