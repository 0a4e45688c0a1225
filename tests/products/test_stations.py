"""Stations gone mad are told by the noise of their data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factor.products.stations import mad_stations, read_noise, write_noise
from tests.fakes.dp3 import Data, _write

ANTS = ("CS001HBA0", "CS002HBA0", "CS003HBA0", "RS106HBA", "RS205HBA", "DE601HBA")


@pytest.mark.parametrize(
    ("level", "mad"), [(1.8, True), (10.0, True), (0.1, True), (1.4, False), (0.5, False)]
)
def test_only_what_no_station_has_by_nature_is_mad(level: float, mad: bool) -> None:
    """International stations have half the noise, those with half of their tiles 1.4 times as much."""
    noise = {**dict.fromkeys(ANTS, 2.0), "CS003HBA0": 2.0 * level}
    assert mad_stations(noise) == (("CS003HBA0",) if mad else ())


def test_nothing_is_mad_without_data_or_noise() -> None:
    """All flagged; or a model without noise."""
    assert mad_stations({}) == ()
    assert mad_stations(dict.fromkeys(ANTS, 0.0)) == ()


def test_noise_is_the_stations_own(tmp_path: Path) -> None:
    """A mad station condemns itself, not those that share its baselines; flags and sources do not count."""
    random = np.random.default_rng(1)
    first, second = np.triu_indices(len(ANTS), 1)
    values = random.normal(0.0, 0.5, (60, len(first), 4, 4, 2)) @ np.array([1.0, 1.0j])
    values[:, (first == 2) | (second == 2)] *= 3.0
    flags = np.zeros(values.shape, dtype=bool)
    flags[30, first == 0] = True
    values[flags] = 1e3
    times, freqs = 5e9 + 8.0 * np.arange(60), 144e6 + 2e5 * np.arange(4)
    data = Data(values + 50.0, flags, times, freqs, ANTS, (217.5, 52.0))
    _write(tmp_path / "a.ms", data)
    write_noise((tmp_path / "a.ms",), tmp_path / "noise.json")
    noise = read_noise(tmp_path / "noise.json")
    assert mad_stations(noise) == ("CS003HBA0",)
    assert noise["RS106HBA"] == pytest.approx(0.5 * 2.0**0.5, rel=0.1)
    assert noise["CS003HBA0"] == pytest.approx(1.5 * 2.0**0.5, rel=0.1)
