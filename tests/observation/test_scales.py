"""Stations on another amplitude scale than the others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from factor.observation.model import Chunk, ChunkFile
from factor.observation.scales import off_scale
from factor.observation.wild import Wild, on_another_scale

N_SLOTS, N_STATIONS, N_CHAN = 30, 8, 4
PAIRS = np.array(list(itertools.combinations_with_replacement(range(N_STATIONS), 2)))


def make(path: Path, gains: Mapping[int, float], noise: float = 1.0, correlations: int = 4) -> Path:
    """A measurement set of noise, and of a source of 50 in XX and YY; station 7 is flagged."""
    from casacore import tables

    rng = np.random.default_rng(2)
    n_rows = N_SLOTS * len(PAIRS)
    shape = (n_rows, N_CHAN, correlations)
    column = tables.makearrcoldesc("DATA", 0j, shape=[N_CHAN, correlations], valuetype="complex")
    with tables.default_ms(str(path), tables.maketabdesc([column])) as main:
        main.addrows(n_rows)
        stations = np.tile(PAIRS, (N_SLOTS, 1))
        main.putcol("TIME", np.repeat(4.9e9 + 8.0 * np.arange(N_SLOTS), len(PAIRS)))
        main.putcol("ANTENNA1", stations[:, 0])
        main.putcol("ANTENNA2", stations[:, 1])
        gain = np.array([gains.get(k, 1.0) for k in range(N_STATIONS)])[stations].prod(axis=1)
        data = noise * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
        data[..., 0] += 50.0
        # Autocorrelations are of another kind, flagged data may be anything.
        data[stations[:, 0] == stations[:, 1]] *= 1e4
        flags = np.broadcast_to((stations == 7).any(axis=1)[:, None, None], shape).copy()
        data[flags] *= 1e3
        main.putcol("DATA", (gain[:, None, None] * data).astype(np.complex64))
        main.putcol("FLAG", flags)
    with tables.table(f"{path}::ANTENNA", readonly=False, ack=False) as antennas:
        antennas.addrows(N_STATIONS)
        antennas.putcol("NAME", [f"CS{k:03d}HBA0" for k in range(N_STATIONS)])
    return path


def test_deaf_and_loud_stations_are_found(tmp_path: Path) -> None:
    """What a twentieth or ten times of the signal leaves would pass for the ionosphere of all others."""
    found = off_scale(make(tmp_path / "a.ms", {2: 0.05, 5: 10.0}))
    assert found == {"CS002HBA0": pytest.approx(0.05, rel=0.2), "CS005HBA0": pytest.approx(10.0, rel=0.2)}


def test_sound_stations_differ_somewhat(tmp_path: Path) -> None:
    """Remote stations, and others with a few tiles missing, are as good as any."""
    assert off_scale(make(tmp_path / "a.ms", {2: 0.5, 5: 2.0})) == {}


@pytest.mark.parametrize(("noise", "correlations"), [(0.0, 4), (1.0, 2)])
def test_without_a_measure_nothing_is_found(tmp_path: Path, noise: float, correlations: int) -> None:
    """Simulations without noise and data of two correlations have no noise to be judged by."""
    assert off_scale(make(tmp_path / "a.ms", {2: 0.05}, noise, correlations)) == {}


@pytest.mark.parametrize(("deaf", "flagged"), [((2,), ["CS002HBA0"]), ((1, 2, 3), [])])
def test_they_are_flagged_unless_they_are_many(
    tmp_path: Path, deaf: tuple[int, ...], flagged: list[str]
) -> None:
    """Where a third of the array is off, nobody knows which scale is right."""
    ms = make(tmp_path / "a.ms", dict.fromkeys(deaf, 0.05))
    file = ChunkFile(ms, "Band_140MHz", (140e6,), 1e5, tmp_path / "a.merge")
    chunk = Chunk(0, 4.9e9, 4.9e9 + 240.0, 30, 8.0, 0, (file,))
    found = on_another_scale(chunk, N_STATIONS)
    assert found == [Wild(station, chunk.start_mjd_s, chunk.end_mjd_s) for station in flagged]
