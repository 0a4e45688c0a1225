"""Values and files of solutions, their health, filling and scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.errors import FactorError
from factor.products.solutions.filling import fill
from factor.products.solutions.normalising import (
    gain_scatter,
    normalisation_factor,
    phase_scatter,
    scale_amplitudes,
)
from factor.products.solutions.plot import _limits, _numbers, _Panels, _ticks, elapsed_hours, plot_solutions
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    PHASE,
    TEC,
    Array,
    Frame,
    Soltab,
    read_frame,
    read_soltabs,
    segments,
    soltab_names,
    write_h5parm,
)

ANTS = ("CS001HBA0", "CS002HBA0", "RS305HBA")
FRAME = Frame("facet_1", 217.5, 52.0, {"CS001HBA0": (3826896.0, 460979.0, 5064658.0)})


def phases(values: Array, step: float = 16.0) -> Soltab:
    """Scalar phases of (time, freq, ant) values."""
    n_time, n_freq, n_ant = values.shape
    times, freqs = 5e9 + step * (np.arange(n_time) + 0.5), 120e6 + 2e6 * np.arange(n_freq)
    return Soltab(PHASE, times, freqs, ANTS[:n_ant], None, values, np.ones_like(values))


def amplitudes(values: Array) -> Soltab:
    """Amplitudes of (time, freq, ant, pol) values."""
    n_time, n_freq, n_ant = values.shape[:3]
    times, freqs = 5e9 + 600.0 * (np.arange(n_time) + 0.5), 120e6 + 2e6 * np.arange(n_freq)
    return Soltab(AMPLITUDE, times, freqs, ANTS[:n_ant], ("XX", "YY"), values, np.ones_like(values))


def test_file_and_back(tmp_path: Path) -> None:
    """Nothing is lost or reordered on the way through a file."""
    rng = np.random.default_rng(0)
    tables = {
        "phase000": phases(rng.normal(size=(5, 4, 3))),
        "amplitude000": amplitudes(1.0 + 0.1 * rng.normal(size=(2, 4, 3, 2))),
    }
    tables["phase000"].weights[2, 1, 0] = 0.0
    path = tmp_path / "solutions.h5"
    write_h5parm(path, tables, FRAME)
    read = read_soltabs(path)
    assert set(read) == set(tables)
    for name, soltab in tables.items():
        assert read[name].ants == ANTS
        assert read[name].pols == soltab.pols
        for field in ("times", "freqs", "values", "weights"):
            assert np.array_equal(getattr(read[name], field), getattr(soltab, field)), field
    frame = read_frame(path)
    assert frame.direction == "facet_1"
    assert frame.ra_deg == pytest.approx(217.5)
    assert frame.positions["CS001HBA0"] == FRAME.positions["CS001HBA0"]
    assert [p.name for p in tmp_path.iterdir()] == ["solutions.h5"]


def test_losoto_opens_the_file(tmp_path: Path) -> None:
    """Users look at H5parms with LoSoTo."""
    losoto = pytest.importorskip("losoto.h5parm")
    path = tmp_path / "solutions.h5"
    write_h5parm(path, {"phase000": phases(np.full((5, 4, 3), 0.5))}, FRAME)
    with losoto.h5parm(str(path)) as h5:
        solset = h5.getSolset("sol000")
        soltab = solset.getSoltab("phase000")
        assert soltab.getAxesNames() == ["time", "freq", "ant", "dir"]
        assert soltab.getType() == "phase"
        values, axes = soltab.getValues()
        assert list(axes["ant"]) == list(ANTS)
        assert np.all(values == 0.5)
        assert list(solset.getSou()) == ["[facet_1]"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A file of solutions is complete or not there."""
    path = tmp_path / "solutions.h5"
    write_h5parm(path, {"phase000": phases(np.zeros((2, 2, 3)))}, FRAME)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"[\s\S]"):
        write_h5parm(path, {"phase000": phases(np.zeros((2, 2, 3))), "a/b": None}, FRAME)  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_file_is_told_by_name(tmp_path: Path) -> None:
    """A truncated H5parm must not end in a traceback of HDF5."""
    path = tmp_path / "broken.h5"
    path.write_bytes(b"no HDF5")
    for read in (read_soltabs, soltab_names, read_frame):
        with pytest.raises(FactorError, match=r"broken\.h5: can't be read as an H5parm: Unable to open"):
            read(path)


def test_shapes_are_checked() -> None:
    """Axes and values that do not fit are a mistake of the program, found at once."""
    with pytest.raises(ValueError, match="do not fit"):
        replace(phases(np.zeros((2, 2, 3))), times=np.zeros(3))


def test_segments_split_at_gaps() -> None:
    """A gap is more than 1.5 nominal steps; a short last interval is none."""
    times = np.array([0.0, 10.0, 20.0, 27.0, 37.0, 53.0, 63.0])
    assert segments(times) == [slice(0, 5), slice(5, 7)]
    assert segments(times[:1]) == [slice(0, 1)]
    assert segments(times[:0]) == []


def test_filled_solutions_are_complete_and_near() -> None:
    """A prediction needs a finite solution with weight everywhere; good ones stay as they are."""
    t = np.arange(20)[:, None, None]
    table = phases(np.angle(np.exp(1j * (3.0 + 0.02 * t + np.zeros((20, 4, 3))))))
    true = table.values.copy()
    table.weights[4:7, :, 1] = 0.0
    table.values[4:7, :, 1] = np.nan
    table.values[:, 2, 0] = np.nan
    table.weights[:, :, 2] = 0.0
    full = fill(table)
    assert np.all(full.weights == 1.0)
    assert np.abs(np.angle(np.exp(1j * (full.values - true))))[:, :, :2].max() < 1e-3
    assert np.all(full.values[:, :, 2] == 0.0)
    assert np.array_equal(full.values[table.good], true[table.good])
    gains = amplitudes(np.full((2, 4, 3, 2), 1.2))
    gains.values[0, 0, 0, 0] = -1.0
    gains.weights[:, :, 2] = 0.0
    full = fill(gains)
    assert full.values[0, 0, 0, 0] == pytest.approx(1.2)
    assert np.all(full.values[:, :, 2] == 1.0)


def test_filling_stays_within_its_night() -> None:
    """The neighbour in one's own night counts, not one across a gap."""
    table = phases(np.zeros((20, 2, 1)))
    table.times[10:] += 86400.0
    table.values[10:] = 1.0
    table.weights[9] = 0.0
    table.weights[10] = 0.0
    full = fill(table)
    assert np.all(full.values[9] == 0.0)
    assert np.allclose(full.values[10], 1.0)


def test_normalised_gains_leave_the_flux_as_it_was() -> None:
    """Rule 7: the mean of g_p g_q over baselines, weighted as the image, becomes one."""
    rng = np.random.default_rng(5)
    table = amplitudes(rng.uniform(0.5, 2.0, (3, 4, 3, 2)))
    table.weights[1, 2, 0, 1] = 0.0
    weights = np.array([[9.0, 2.0, 1.0], [2.0, 9.0, 3.0], [1.0, 3.0, 9.0]])
    factor = normalisation_factor(table, weights)
    gains = scale_amplitudes({"amplitude000": table}, factor)["amplitude000"].values
    power = total = 0.0
    for p, q in ((0, 1), (0, 2), (1, 2)):
        both = table.good[:, :, p] & table.good[:, :, q]
        power += weights[p, q] * float((gains[:, :, p] * gains[:, :, q])[both].sum())
        total += weights[p, q] * float(both.sum())
    assert power / total == pytest.approx(1.0)


def test_one_factor_for_everything() -> None:
    """Rule 7: ratios between stations, bands, chunks and polarisations never change."""
    rng = np.random.default_rng(6)
    tables = {"amplitude000": amplitudes(rng.uniform(0.5, 2.0, (3, 4, 3, 2)))}
    tables["phase000"] = phases(np.ones((3, 4, 3)))
    scaled = scale_amplitudes(tables, 1.1)
    ratio = scaled["amplitude000"].values / tables["amplitude000"].values
    assert np.allclose(ratio, 1.0 / 1.1)
    assert scaled["phase000"] is tables["phase000"]
    with pytest.raises(ValueError, match="nan"):
        scale_amplitudes(tables, float("nan"))


def test_decorrelation_counts_in_the_scale() -> None:
    """Slow phases that the phase-only image did not correct took flux from it."""
    table = amplitudes(np.ones((1, 1, 2, 2)))
    turned = replace(table, kind=PHASE, values=np.zeros_like(table.values))
    turned.values[:, :, 1] = np.pi / 3
    assert normalisation_factor(table, phase=turned) == pytest.approx(np.sqrt(0.5))


def test_scatter_is_the_noise_put_in() -> None:
    """The verdict's numbers mean what they say."""
    rng = np.random.default_rng(7)
    noisy = phases(np.angle(np.exp(1j * (3.0 + rng.normal(size=(500, 4, 3)) * [0.0, 0.1, 0.3]))))
    scatter = phase_scatter(noisy)
    assert [scatter[ant] for ant in ANTS] == pytest.approx([0.0, 0.1, 0.3], rel=0.1, abs=1e-6)
    gains = amplitudes(np.exp(0.05 * rng.normal(size=(200, 4, 3, 2))) * [1.0, 1.3])
    gains.weights[:, :, 2] = 0.0
    result = gain_scatter(gains)
    assert result["CS001HBA0"] == pytest.approx(0.05, rel=0.1)
    assert np.isnan(result["RS305HBA"])


def test_plots_leave_gaps_out() -> None:
    """A night's hours must not shrink to a dot because another night was a day later."""
    table = phases(np.zeros((20, 1, 3)), step=360.0)
    table.times[10:] += 86400.0
    assert elapsed_hours(table) == pytest.approx(0.1 * (np.arange(20) + 0.5))


def test_plots_are_made_for_every_soltab(tmp_path: Path) -> None:
    """Each kind of solutions has its picture, flagged or not."""
    rng = np.random.default_rng(8)
    tables = {"phase000": phases(rng.normal(size=(30, 4, 3)))}
    tables["amplitude000"] = amplitudes(np.ones((2, 4, 3, 2)))
    tables["tec000"] = replace(phases(rng.normal(0.0, 0.01, (30, 1, 3))), kind=TEC)
    tables["phase000"].weights[:, :, 2] = 0.0
    tables["phase000"].weights[5:9] = 0.0
    path = tmp_path / "solutions.h5"
    write_h5parm(path, tables, FRAME)
    pictures = plot_solutions(path, tmp_path / "facet_1.")
    assert {p.name for p in pictures} == {
        "facet_1.make_selfcal_plots_fast_phase.png",
        "facet_1.make_selfcal_plots_slow_amplitude.png",
        "facet_1.make_selfcal_plots_tec.png",
    }
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in pictures)


def test_scale_of_phases() -> None:
    """Phases of a few degrees are seen, and no good one lies outside; a flagged one does not count."""
    small, large = phases(np.full((4, 1, 3), 0.1)), phases(np.full((4, 1, 3), -2.0))
    assert (_limits(small), _limits(large)) == ((-20.0, 20.0), (-180.0, 180.0))
    small.values[1, 0, 2], small.weights[1, 0, 2] = 3.0, 0.0
    assert _limits(small) == (-20.0, 20.0)


def test_points_of_a_plot_lie_in_their_station_s_panel() -> None:
    """All panels are drawn at once: a wrong offset would show one station's phases as another's."""
    panels = _Panels(10, (0.0, 2.0), (-180.0, 180.0))
    (left, low), (right, upper) = panels.corners[0], panels.corners[7]
    assert panels.corners[8][0] == left
    assert (upper, panels.corners[9][0]) == (low, panels.corners[1][0])
    assert left < right < panels.width
    assert 0 < panels.corners[8][1] < low < panels.height
    inches = panels.up(np.array([-180.0, 0.0, 180.0, 181.0, np.nan]))
    assert inches[1] == pytest.approx(0.5 * inches[2])
    assert inches[0] == 0.0
    assert np.isnan(inches[3:]).all()
    assert panels.across(np.array([0.0, 2.0]))[1] < panels.corners[1][0] - left


def test_ticks_have_the_decimals_that_they_need() -> None:
    """0.05, 0.10 and not 0.1, 0.1."""
    assert _numbers(_ticks((0.88, 1.13))) == ["0.90", "0.95", "1.00", "1.05", "1.10"]
    assert _numbers(_ticks((-180.0, 180.0)))[0] == "\N{MINUS SIGN}180"
