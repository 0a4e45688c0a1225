"""The primary beam against EveryBeam's own station responses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.errors import FactorError
from factor.products.images.beam import (
    BeamSampling,
    BeamWeights,
    beam_reference,
    primary_beam,
    stokes_i_response,
)
from factor.products.images.image import SkyGrid
from factor.tools.environment import prepare

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))
from simulation import measurementset
from simulation.geometry import Sky, choose_stations

prepare()


def small_ms(path: Path, dec_deg: float, freq_hz: float = 140e6, n_times: int = 4) -> Path:
    """Six stations, four slots a quarter of an hour apart, pointing at RA 359.5."""
    stations = choose_stations(6, 60.0)
    centre = np.radians([359.5, dec_deg])
    sky = Sky(stations[0].position, *map(float, centre))
    times = np.round(sky.time_of_hour_angle(-1.0)) + 900.0 * np.arange(n_times)
    positions = np.array([s.position for s in stations])
    uvw = sky.station_uvw(times, positions)
    observed = measurementset.Observed(tuple(stations), *map(float, centre), "TEST", times, 900.0, uvw)
    flags = np.zeros((n_times * observed.n_baselines, 2), dtype=np.bool_)
    measurementset.make_ms(path, observed, np.array([-0.5e6, 0.5e6]) + freq_hz, flags)
    return path


def table(path: Path | str) -> Any:
    """A table open for changes."""
    import casacore.tables as ct

    return ct.table(str(path), readonly=False, ack=False)


def direct(ms: Path, sky_rad: tuple[float, float], reference_rad: tuple[float, float]) -> float:
    """Mean over rows of half the trace of J_p J_q^H, J = inv(J0) J(s), one call per station."""
    import everybeam

    none = everybeam.BeamNormalisationMode.none
    telescope = everybeam.load_telescope(str(ms), beam_normalisation_mode=none)
    with table(ms) as main, table(f"{ms}::SPECTRAL_WINDOW") as windows:
        freq = float(windows.getcell("CHAN_FREQ", 0).mean())
        rows = zip(*(main.getcol(c) for c in ("TIME", "ANTENNA1", "ANTENNA2")), strict=True)
        weights = (main.getcol("WEIGHT_SPECTRUM") * ~main.getcol("FLAG")).sum(axis=(1, 2))
    jones: dict[tuple[float, int], np.ndarray] = {}
    total = 0.0
    for (time, p, q), weight in zip(rows, weights, strict=True):
        for i in (int(p), int(q)):
            if (time, i) not in jones:
                there = telescope.station_response(float(time), i, freq, *sky_rad)
                centre = telescope.station_response(float(time), i, freq, *reference_rad)
                jones[time, i] = np.linalg.inv(centre) @ there
        total += weight * 0.5 * np.trace(jones[time, p] @ jones[time, q].conj().T).real
    return float(total / weights.sum())


@pytest.mark.parametrize("dec_deg", [52.0, 85.0, 3.0])
def test_beam_is_the_mean_over_times_and_baselines(tmp_path: Path, dec_deg: float) -> None:
    """At any declination the map equals station responses point by point, weights included."""
    ms = small_ms(tmp_path / "a.ms", dec_deg)
    with table(ms) as main:
        weights = main.getcol("WEIGHT_SPECTRUM")
        main.putcol("WEIGHT_SPECTRUM", weights * np.linspace(0.1, 3, len(weights))[:, None, None])
    grid = SkyGrid(359.5, dec_deg, 400, 300, 60.0)
    sampling = BeamSampling(interval_s=100.0)
    beam = primary_beam([ms], grid, sampling=sampling)
    reference = beam_reference(ms)
    for x, y in ((200, 150), (30, 20), (380, 250), (120, 290), (310, 40)):
        ra, dec = np.radians(grid.wcs.pixel_to_world_values(x, y))
        expected = direct(ms, (float(ra), float(dec)), reference)
        assert beam.data[y, x] == pytest.approx(expected, abs=1e-3)
    assert beam.data[150, 200] == pytest.approx(1.0, abs=1e-4)
    assert beam.data[10, 10] < 0.6
    assert beam.freq_hz == pytest.approx(140e6)


def test_frequency_is_the_weighted_mean(tmp_path: Path) -> None:
    """Bands count as their weights do, in the beam and in the header's frequency."""
    mss = [small_ms(tmp_path / f"{f}.ms", 52.0, f * 1e6) for f in (120, 160)]
    with table(mss[1]) as main:
        main.putcol("WEIGHT_SPECTRUM", 3.0 * main.getcol("WEIGHT_SPECTRUM"))
    grid = SkyGrid(359.5, 52.0, 200, 200, 120.0)
    both, low, high = (primary_beam(m, grid) for m in (mss, mss[:1], mss[1:]))
    assert both.freq_hz == pytest.approx(150e6)
    assert both.data == pytest.approx(0.25 * low.data + 0.75 * high.data, abs=1e-5)
    assert high.data[20, 20] < low.data[20, 20]


def test_reference_is_where_the_beam_was_corrected(tmp_path: Path) -> None:
    """The applied direction counts, else REFERENCE_DIR; a phase shift moves nothing."""
    ms = small_ms(tmp_path / "a.ms", 52.0)
    centre = beam_reference(ms)
    with table(f"{ms}::FIELD") as fields:
        fields.putcell("PHASE_DIR", 0, np.radians([[10.0, 50.0]]))
    assert beam_reference(ms) == centre
    assert np.degrees(centre) == pytest.approx((359.5, 52.0))
    angle = {"unit": "rad", "value": 0.0}
    applied = {
        "type": "direction", "refer": "J2000",
        "m0": {**angle, "value": 6.25}, "m1": {**angle, "value": 0.9},
    }  # fmt: skip
    with table(ms) as main:
        main.putcolkeyword("DATA", "LOFAR_APPLIED_BEAM_DIR", applied)
        main.putcolkeyword("DATA", "LOFAR_APPLIED_BEAM_MODE", "None")
    assert beam_reference(ms) == centre
    with table(ms) as main:
        main.putcolkeyword("DATA", "LOFAR_APPLIED_BEAM_MODE", "Full")
    assert beam_reference(ms) == (6.25, 0.9)
    grid = SkyGrid(float(np.degrees(6.25)), float(np.degrees(0.9)), 100, 100, 120.0)
    assert primary_beam([ms], grid).data[50, 50] == pytest.approx(1.0, abs=1e-4)


def test_leakage_belongs_to_stokes_i() -> None:
    """A response that only turns the polarisation frame leaves Stokes I alone."""
    angle = 0.6
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    jones = np.broadcast_to(0.9 * turn, (3, 1, 1, 2, 2)).astype(np.complex64)
    weights = np.triu(np.ones((3, 3)), 1)
    assert stokes_i_response(jones, weights)[0, 0] == pytest.approx(3 * 0.81)


def test_flagged_data_do_not_count(tmp_path: Path) -> None:
    """Flagged baselines have no part in the mean, and all flagged is an error that names files."""
    ms = small_ms(tmp_path / "a.ms", 52.0)
    grid = SkyGrid(359.5, 52.0, 100, 100, 240.0)
    with table(ms) as main:
        flags = main.getcol("FLAG")
        flags[main.getcol("ANTENNA1") != 0] = True
        main.putcol("FLAG", flags)
    ra, dec = np.radians(grid.wcs.pixel_to_world_values(20, 30))
    expected = direct(ms, (float(ra), float(dec)), beam_reference(ms))
    beam = primary_beam([ms], grid, sampling=BeamSampling(interval_s=100.0))
    assert beam.data[30, 20] == pytest.approx(expected, abs=1e-3)
    with table(ms) as main:
        main.putcol("FLAG", np.ones_like(flags))
    with pytest.raises(FactorError, match=r"a\.ms"):
        primary_beam([ms], grid)


def test_image_weights_move_the_mean(tmp_path: Path) -> None:
    """Uniform weights shift the mean towards the higher band as the image's do; cuts leave out."""
    mss = [small_ms(tmp_path / f"{f}.ms", 52.0, f * 1e6) for f in (120, 160)]
    grid = SkyGrid(359.5, 52.0, 40, 40, 600.0)
    natural = primary_beam(mss, grid)
    briggs = primary_beam(mss, grid, weights=BeamWeights(robust=-1.0, field_of_view_deg=1.0))
    assert 141e6 < briggs.freq_hz < 160e6
    assert np.isfinite(briggs.data).all()
    assert natural.freq_hz == pytest.approx(140e6)
    with pytest.raises(FactorError):
        primary_beam(mss, grid, weights=BeamWeights(minuv_lambda=1e7))
