"""What the quickstart measures, on small synthetic images and solutions whose answers are known."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import evaluate
import measure
from evaluation import costs, limit, mosaics, phases, references, results, truth

from factor.directions.geometry import FieldGeometry
from factor.errors import InputError
from factor.products.images.image import Beam, Image, SkyGrid
from factor.products.solutions.soltabs import Soltab

GRID = SkyGrid(200.0, 50.0, 400, 400, 2.5)
BEAM = Beam(12.0 / 3600, 9.0 / 3600, 40.0)
FREQ_HZ = 144e6
GEOMETRY = FieldGeometry(200.0, 50.0, 0.12)
SIGMA = 1e-3
DI = "no_worse_than_di"

Source = tuple[float, float, float]


def image(sources: Sequence[Source] = (), sigma: float = 0.0, level: float = 0.0) -> Image:
    """Point sources (x, y, Jy) behind the beam, on noise and a constant level."""
    data = level + sigma * np.random.default_rng(5).standard_normal(GRID.shape)
    rows, columns = np.ogrid[: GRID.ny, : GRID.nx]
    turn = math.radians(BEAM.bpa_deg)
    for x, y, flux in sources:
        # Columns run to the west, the position angle from north through east.
        east, north = -(columns - x) * GRID.cellsize_deg, (rows - y) * GRID.cellsize_deg
        along = east * math.sin(turn) + north * math.cos(turn)
        across = east * math.cos(turn) - north * math.sin(turn)
        data = data + flux * np.exp(
            -4 * math.log(2) * ((along / BEAM.bmaj_deg) ** 2 + (across / BEAM.bmin_deg) ** 2)
        )
    header = GRID.header(FREQ_HZ)
    return Image(Path("synthetic.fits"), data.astype(np.float32), header, GRID.wcs, BEAM, FREQ_HZ, 1.0)


def place(x: float, y: float) -> tuple[float, float]:
    """Position of a pixel."""
    ra, dec = GRID.wcs.pixel_to_world_values(x, y)
    return float(ra), float(dec)


def source(name: str, x: float, y: float, flux_jy: float, **changes: float) -> truth.TrueSource:
    """A true source at a pixel."""
    plain = truth.TrueSource(name, *place(x, y), flux_jy, FREQ_HZ, 0.0, flux_jy)
    return replace(plain, **changes)


def field(*sources: truth.TrueSource) -> truth.Truth:
    """A true field."""
    return truth.Truth(sources, 1.0, 32, 8.0, Path("effects.h5"))


def test_noise_of_gaussian_noise() -> None:
    """1.4826 x MAD is the standard deviation where there is nothing but noise."""
    noise = mosaics.field_noise(image(sigma=SIGMA), (200.0, 50.0), 0.1, [])
    assert noise == pytest.approx(SIGMA, rel=0.02)


def test_noise_leaves_out_surroundings_of_sources_and_what_is_far() -> None:
    """Artefacts within 3' of sources and beyond the radius are other numbers' business."""
    picture = image(sigma=SIGMA)
    distance = mosaics.distances_deg(picture, place(200, 200))
    picture.data[distance < 2.9 / 60] *= 50
    picture.data[distance > 0.1] *= 50
    quiet = mosaics.field_noise(picture, place(200, 200), 0.1, [place(200, 200)])
    assert quiet == pytest.approx(SIGMA, rel=0.03)
    assert mosaics.field_noise(picture, place(200, 200), 0.1, []) > 1.15 * SIGMA


def test_noise_far_from_a_bright_source() -> None:
    """What a very bright source does to the rest of the field is told apart from its own artefacts."""
    picture = image(sigma=SIGMA)
    corner = place(0, 0)
    near = mosaics.distances_deg(picture, corner) < mosaics.FAR_FROM_BRIGHTEST_DEG
    picture.data[near] *= 10
    assert mosaics.field_noise(picture, corner, 1.0, [], [corner]) == pytest.approx(SIGMA, rel=0.05)
    assert mosaics.field_noise(picture, corner, 1.0, []) > 2 * SIGMA


def test_noise_of_a_blank_image_is_unknown() -> None:
    """A mosaic without pixels must not seem noiseless."""
    assert math.isnan(mosaics.mad_noise(np.full((5, 5), np.nan)))


def test_aperture_flux_of_a_point_on_a_level() -> None:
    """The whole flux within the aperture, less the background of the annulus."""
    picture = image([(180.3, 210.7, 0.8)], level=0.01)
    flux = mosaics.aperture_flux(picture, place(180.3, 210.7), 36 / 3600, BEAM)
    assert flux == pytest.approx(0.8, rel=0.003)


def test_aperture_flux_of_two_points() -> None:
    """What is extended counts whole: the sum of pixels, not the peak."""
    picture = image([(198.0, 200.0, 0.5), (202.0, 200.0, 0.5)])
    assert mosaics.aperture_flux(picture, place(200, 200), 40 / 3600, BEAM) == pytest.approx(1.0, rel=0.004)


@pytest.mark.parametrize("x", [3.0, 900.0])
def test_aperture_beyond_the_image_is_unknown(x: float) -> None:
    """A source that is cut by the edge has no flux, rather than a part of one."""
    assert math.isnan(mosaics.aperture_flux(image(), place(x, 200.0), 36 / 3600, BEAM))


def test_aperture_with_a_blank_pixel_is_unknown() -> None:
    """A source across the edge of the facets is not measured."""
    picture = image([(200.0, 200.0, 1.0)])
    picture.data[200, 203] = np.nan
    assert math.isnan(mosaics.aperture_flux(picture, place(200, 200), 36 / 3600, BEAM))


def test_centroid_between_pixels() -> None:
    """The centroid is good to a tenth of a pixel; the threshold at half the peak leaves that."""
    found = mosaics.centroid(image([(180.37, 210.62, 0.8)]), place(180, 210), 36 / 3600)
    assert found is not None
    x, y = GRID.wcs.world_to_pixel_values(*found)
    assert (float(x), float(y)) == pytest.approx((180.37, 210.62), abs=0.1)


def test_measure_source_tells_ratio_and_offset() -> None:
    """Flux against the truth at the image's frequency; offset in arcsec."""
    picture = image([(184.0, 213.0, 0.9)])
    true = source("a", 180.0, 210.0, 1.0, spectral_index=-0.8, reference_hz=2 * FREQ_HZ)
    found = mosaics.measure_source(mosaics.Mosaic(picture, picture), true)
    assert found.flux_ratio == pytest.approx(0.9 / 2**0.8, rel=0.01)
    assert found.offset_arcsec == pytest.approx(5 * 2.5, rel=0.01)


def test_extended_sources_have_no_position() -> None:
    """Positions are those of points only."""
    picture = image([(200.0, 200.0, 1.0)])
    true = source("a", 200.0, 200.0, 1.0, major_arcsec=20.0, minor_arcsec=10.0)
    assert math.isnan(mosaics.measure_source(mosaics.Mosaic(picture, picture), true).offset_arcsec)


def test_artefacts_in_units_of_noise() -> None:
    """The rms of the ring is counted, a mean level included; the source itself is not."""
    picture = image([(200.0, 200.0, 1.0)], sigma=SIGMA, level=2 * SIGMA)
    ratio, count = mosaics.artefact_ratio(picture, field(source("a", 200, 200, 1.0)), GEOMETRY, SIGMA)
    assert count == 1
    assert ratio == pytest.approx(math.sqrt(5), rel=0.02)


def test_artefacts_only_around_lonely_sources() -> None:
    """A neighbour within 400 arcsec would count as an artefact."""
    near = field(source("a", 200, 200, 1.0), source("b", 200, 100, 0.2))
    ratio, count = mosaics.artefact_ratio(image(sigma=SIGMA), near, GEOMETRY, SIGMA)
    assert count == 0
    assert math.isnan(ratio)


def test_sample_needs_brightness_loneliness_and_the_ellipse() -> None:
    """Sources below 30 sigma, with neighbours or outside the ellipse don't count."""
    bright = source("bright", 200, 200, 0.1)
    smeared = source("smeared", 200, 330, 0.04, major_arcsec=30.0, minor_arcsec=20.0)
    pair = source("one", 80, 200, 0.1), source("other", 80, 220, 0.1)
    outside = source("outside", 200, 399, 0.1)
    chosen = field(bright, smeared, *pair, outside, source("faint", 300, 300, 0.02)).sample(
        GEOMETRY, BEAM, SIGMA
    )
    assert [one.name for one in chosen] == ["bright"]


def test_calibrator_is_the_brightest_in_its_box() -> None:
    """A direction's position is the middle of a group of sources."""
    group = source("faint", 200, 200, 0.1), source("bright", 220, 200, 0.5)
    true = field(*group, source("far", 390, 200, 3.0))
    assert true.calibrator(*place(201, 200), 0.05).name == "bright"
    assert true.calibrator(*place(390, 380), 0.0).name == "far"


def test_scatter_is_robust() -> None:
    """One wild source does not make the scatter."""
    values = np.array([0.98, 0.99, 1.0, 1.01, 1.02, 5.0])
    assert mosaics.scatter(values) == pytest.approx(1.4826 * 0.015, rel=0.01)
    assert results.excess_scatter(0.05, 0.03) == pytest.approx(0.04)
    assert results.excess_scatter(0.02, 0.03) == 0.0


# -- phases -----------------------------------------------------------------------

ANTS = ("CS001HBA0", "CS002HBA0", "CS003HBA0", "CS004HBA0", "RS106HBA", "RS205HBA", "RS307HBA", "RS503HBA")
PLACES = 1e3 * np.array(
    [[0.1, 0.2], [0, 0], [0.4, -0.3], [-0.5, 0.3], [9.0, 2.0], [-3.0, -12.0], [-14.0, 9.0], [6.0, 15.0]]
)
TIMES = 5e9 + 8.0 * np.arange(40)
ALL = np.ones(len(ANTS), dtype=bool)


def known(values: np.ndarray) -> phases.Phases:
    """Phases without flags."""
    return phases.Phases(TIMES, ANTS, values, np.ones(values.shape, dtype=bool))


def true_phases() -> np.ndarray:
    """Large phases of all stations."""
    return np.random.default_rng(1).uniform(-6, 6, (len(TIMES), len(ANTS)))


def test_phase_error_ignores_what_is_common_to_all_stations() -> None:
    """Only differences between stations can be seen, and whole turns mean nothing."""
    true = true_phases()
    common = np.linspace(0, 20, len(TIMES))[:, None]
    found = phases.phase_error(known(true + common + 4 * np.pi), known(true), PLACES, ALL)
    assert found.with_plane == pytest.approx(0, abs=1e-9)
    assert found.without_plane == pytest.approx(0, abs=1e-9)


def test_phase_error_of_independent_errors() -> None:
    """Known noise comes out, the reference's own noise on top of it where no plane is removed."""
    errors = 0.2 * np.random.default_rng(2).standard_normal((len(TIMES), len(ANTS)))
    true = true_phases()
    found = phases.phase_error(known(true + errors), known(true), PLACES, ALL)
    assert found.with_plane == pytest.approx(0.2 * math.sqrt(2), rel=0.15)
    # Three of eight degrees of freedom go into each plane.
    assert found.without_plane == pytest.approx(0.2 * math.sqrt(5 / 8), rel=0.15)


@pytest.mark.parametrize("turns", [0.1, 0.9, -1.7])
def test_planes_are_removed_even_when_phases_wrap(turns: float) -> None:
    """A shift of the source is a plane, of several turns over the array for a large one."""
    slope = np.array([turns, 0.4 * turns]) * 2 * np.pi / np.ptp(PLACES)
    true = true_phases()
    found = phases.phase_error(known(true + PLACES @ slope), known(true), PLACES, ALL)
    assert found.without_plane == pytest.approx(0, abs=1e-6)
    assert found.with_plane > 0.1


def test_flagged_and_uncounted_stations_do_not_count() -> None:
    """Neither flagged solutions nor stations with too much thermal noise spoil the number."""
    true = true_phases()
    solved = known(true.copy())
    solved.values[:, 4] += 1.5
    solved.values[:20, 5] += 1.5
    solved.good[:20, 5] = False
    counts = ALL.copy()
    counts[4] = False
    found = phases.phase_error(solved, known(true), PLACES, counts)
    assert found.with_plane == pytest.approx(0, abs=1e-9)
    assert found.n_stations == len(ANTS) - 1


def test_stations_are_matched_by_name() -> None:
    """Truth and solutions may list stations in different orders."""
    true = true_phases()
    turned = phases.Phases(TIMES, ANTS[::-1], true[:, ::-1], np.ones(true.shape, dtype=bool))
    assert phases.phase_error(known(true), turned, PLACES, ALL).with_plane == pytest.approx(0, abs=1e-9)


def soltab(kind: str, times: np.ndarray, values: np.ndarray, pols: tuple[str, ...] | None = None) -> Soltab:
    """A soltab of two frequencies."""
    return Soltab(kind, times, np.array([140e6, 148e6]), ANTS, pols, values, np.ones(values.shape))


def test_total_phase_is_the_sum_of_the_nearest_cells() -> None:
    """Fast and slow phases add up; polarisations are averaged as phasors, not as numbers."""
    fast = np.zeros((len(TIMES), 2, len(ANTS)))
    fast[:, 1] = np.arange(len(TIMES))[:, None] * 0.01
    slow = np.zeros((2, 2, len(ANTS), 2))
    slow[1, 1] = (math.pi - 0.1, -math.pi + 0.3)
    tables = {
        "phase000": soltab("phase", TIMES, fast),
        "phase001": soltab("phase", TIMES[[9, 30]], slow, ("XX", "YY")),
        "amplitude000": soltab("amplitude", TIMES[[9, 30]], np.full(slow.shape, 7.0), ("XX", "YY")),
    }
    found = phases.total_phase(tables, 147e6, TIMES)
    assert found.values[5, 3] == pytest.approx(0.05)
    assert np.exp(1j * found.values[35, 3]) == pytest.approx(np.exp(1j * (0.35 - math.pi + 0.1)))
    assert found.good.all()


def test_thermal_phase_error() -> None:
    """Noise over flux and the root of all samples; a station without baselines knows nothing."""
    errors = phases.thermal_phase_error(0.5, 1.5, 64, np.array([20, 0]))
    assert errors[0] == pytest.approx(1.5 / 0.5 / math.sqrt(2 * 64 * 20))
    assert math.isinf(errors[1])


def test_baselines_below_the_uv_limit_take_no_part() -> None:
    """Solves leave out short baselines, so neighbouring core stations constrain each other less."""
    where = {"a": (0.0, 0.0, 0.0), "b": (100.0, 0.0, 0.0), "c": (5000.0, 0.0, 0.0)}
    assert phases.count_baselines(where, ("a", "b", "c"), 160.0).tolist() == [1, 1, 2]


def test_true_phase_is_interpolated_in_frequency(tmp_path: Path) -> None:
    """The truth is known per channel, solutions at other frequencies."""
    from simulation.effects import Effects, write_h5parm

    times, freqs = TIMES[:3], np.array([140e6, 142e6, 144e6])
    values = np.broadcast_to(freqs[None, :, None, None] / 1e8, (3, 3, 2, 2)).copy()
    values[..., 1] += 1
    stations = [(name, np.zeros(3)) for name in ANTS[:2]]
    made = Effects(times, freqs, values, np.ones((3, 1, 2, 2, 2)))
    path = tmp_path / "effects.h5"
    write_h5parm(path, made, stations, [("one", 0.1, 0.2), ("two", 0.1, 0.3)])
    found = phases.read_true_phase(path, "two", 141.5e6)
    assert found.ants == ANTS[:2]
    assert found.values == pytest.approx(2.415)


# -- the report -------------------------------------------------------------------


def findings(noise: float = 1.1e-3, flux: float = 1.01, offset: float = 0.18) -> results.Findings:
    """Findings of two sources, of which one is a calibrator."""
    sources = [source("a", 200, 200, 1.0), source("b", 100, 100, 0.5)]

    def one(noise_jy: float, ratio: float, arcsec: float) -> mosaics.Measures:
        measured = {s.name: mosaics.SourceMeasure(ratio, arcsec) for s in sources}
        return mosaics.Measures(noise_jy, noise_jy, measured, {"a": measured["a"]}, {"a": noise_jy}, 1.2, 2)

    phase = phases.PhaseError(0.1, 0.2, "CS001HBA0", 8)
    ideal, di = one(1e-3, 1.0, 0.1), one(3e-3, 0.9, 0.5)
    return results.Findings(
        measures={"factor": one(noise, flux, offset), "ideal": ideal, "limit": ideal, "di": di},
        seams={kind: [0.1, -0.3] for kind in results.KINDS},
        calibrators=[results.CalibratorOf("facet_a", sources[0], True, True, phase)],
        beam=BEAM,
        cost=costs.Cost(200.0, 300.0, 0.1, 0.75, 2.0, 1.0, 3.0, 2),
        wall_s=600.0,
        calibrator_deg={"a": 0.0, "b": 0.3},
    )


def test_report_has_the_numbers_that_are_compared() -> None:
    """Other programs read these keys."""
    report = results.make_report(findings())
    wanted = (
        "noise_mjy noise_ideal_mjy noise_di_mjy flux_ratio_median flux_scatter flux_scatter_ideal "
        "position_median_arcsec position_ideal_arcsec bmin_arcsec artefact_ratio phase_error_rad cpu_s "
        "wall_s runfactor_wall_s own_share parallel peak_memory_gb"
    )
    assert {key for key in wanted.split() if not math.isfinite(report[key])} == set()
    assert report["noise_mjy"] == pytest.approx(1.1)
    assert report["runfactor_wall_s"] == 200.0
    assert report["seams"]["factor"] == {"count": 2, "median": pytest.approx(0.2), "max": pytest.approx(0.3)}
    assert set(report["targets"].values()) == {True}
    assert json.loads(json.dumps(evaluate.as_json(report)))["calibrators"][0]["direction"] == "facet_a"


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"noise": 1.3e-3}, {"noise"}),
        ({"noise": 3.3e-3}, {"noise", f"{DI}_noise", f"{DI}_noise_each_calibrator"}),
        ({"flux": 1.06}, {"flux_each_calibrator", "flux_median"}),
        ({"offset": 1.4}, {"position", f"{DI}_position", f"{DI}_position_each_calibrator"}),
    ],
)
def test_targets_that_are_missed(changes: dict[str, float], missed: set[str]) -> None:
    """Each limit is that of the definition, and nothing else is blamed."""
    answers = results.make_report(findings(**changes))["targets"]
    assert {name for name, reached in answers.items() if not reached} == missed


def test_scatter_near_calibrators_leaves_out_what_is_far() -> None:
    """Only sources within the isoplanatic patch are held to the small scatter."""
    one = findings()
    ratios = {"a": 1.0, "b": 1.1, "c": 1.5}
    measured = {name: mosaics.SourceMeasure(ratio, 0.1) for name, ratio in ratios.items()}
    level = {name: mosaics.SourceMeasure(1.0, 0.1) for name in ratios}
    measures = {kind: replace(measure, sources=level) for kind, measure in one.measures.items()}
    measures["factor"] = replace(one.measures["factor"], sources=measured)
    near = {"a": 0.0, "b": 0.39, "c": 0.41}
    report = results.make_report(replace(one, measures=measures, calibrator_deg=near))
    assert report["flux_near_excess_scatter"] == pytest.approx(1.4826 * 0.05)
    assert report["targets"]["flux_excess_scatter_near_calibrators"] is False
    assert report["flux_far_median"] == pytest.approx(1.3)


def test_calibrators_without_a_station_that_counts_have_no_phase_error() -> None:
    """The thermal error of a faint calibrator's phases says nothing of the calibration."""
    one = findings()
    faint = replace(one.calibrators[0], phase=phases.PhaseError(math.nan, math.nan, "CS001HBA0", 0))
    report = results.make_report(replace(one, calibrators=[*one.calibrators, faint]))
    assert report["phase_error_rad"] == pytest.approx(0.1)
    assert report["targets"]["phase_error_each_direction"] is True


def test_what_is_not_known_is_neither_reached_nor_missed() -> None:
    """Without notes about its cost a run gets no marks for it."""
    report = results.make_report(replace(findings(), cost=costs.Cost(), wall_s=math.nan))
    assert report["targets"]["memory"] is None
    assert evaluate.as_json(report)["peak_memory_gb"] is None


# -- cost -------------------------------------------------------------------------


def test_cost_adds_up_over_resumed_parts(tmp_path: Path) -> None:
    """Time adds up, memory and disk are the largest, what DP3 and WSClean took is not own."""
    entry = {"wall_s": 50.0, "cpu_s": 80.0, "peak_memory_gb": 1.0, "cores": 2, "exit_status": 1,
             "peak_disk_gb": 2.0}
    notes, commands = tmp_path / "cost.json", tmp_path / "commands.log"
    notes.write_text(json.dumps([entry, {**entry, "peak_memory_gb": 3.0}]))
    when = "# 2026-01-01 10:00:00 to 10:01:00"
    commands.write_text(
        f"{when} (60.0 s, CPU 40.5 s, 100 MB), exit status 0: facetimage a: image\n"
        "env A=1 wsclean -name 'x (1 s, CPU 5.0 s, 3 MB), exit status 0'\n"
        f"{when} (60.0 s, CPU 103.5 s, 100 MB), exit status 1: facetimage b: image\n"
        "wsclean\n"
    )
    cost = costs.read_cost(notes, commands, 0.5e9)
    assert (cost.wall_s, cost.cpu_s, cost.peak_memory_gb) == (100.0, 160.0, 3.0)
    assert cost.own_share == pytest.approx(0.1)
    assert cost.parallel == pytest.approx(0.8)
    assert cost.disk_ratio == pytest.approx(4.0)


def test_cost_without_notes_is_unknown(tmp_path: Path) -> None:
    """A run that was not measured costs an unknown time, not nothing."""
    assert math.isnan(costs.read_cost(tmp_path / "cost.json", tmp_path / "commands.log", 1.0).wall_s)


def test_kept_facet_data_are_no_part_of_the_size(tmp_path: Path) -> None:
    """What the user asked to keep is a product; intermediate data are Factor's own."""
    for name in ("chunks/a.ms", "results/facetimage/a/scratch/b.ms", "results/facetimage/a/a.calibrated.ms"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "table.f0").write_bytes(b"1" * 1_000_000)
    assert measure.folder_bytes(tmp_path) == pytest.approx(2_000_000, rel=0.05)


def test_measure_notes_time_and_disk(tmp_path: Path) -> None:
    """The notes have what the report needs, also when the command failed."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "data").write_bytes(b"1" * 5_000_000)
    notes = tmp_path / "cost.json"
    arguments = ["--disk", str(tmp_path / "work"), str(notes), sys.executable, "-c", "raise SystemExit(3)"]
    assert measure.main(arguments) == 3
    (entry,) = json.loads(notes.read_text())
    assert entry["exit_status"] == 3
    assert entry["peak_disk_gb"] == pytest.approx(0.005, abs=0.001)
    assert entry["cpu_s"] >= 0


# -- the program ------------------------------------------------------------------


def test_truth_is_read(tmp_path: Path) -> None:
    """The simulation's file holds fluxes per band: their mean is the apparent flux."""
    entry = {"name": "a", "ra_deg": 1.0, "dec_deg": 2.0, "flux_jy": 3.0, "reference_freq_hz": 144e6,
             "spectral_index": -0.7, "major_arcsec": 0.0, "minor_arcsec": 0.0, "angle_deg": 0.0,
             "apparent_flux_jy": [2.0, 2.5], "apparent_spectral_index": [-1.0, -1.0]}
    content = {"sources": [entry], "visibility_noise_jy": 1.5, "channel_freqs_hz": [[1.0, 2.0], [3.0, 4.0]],
               "options": {"interval_s": 8.0}}
    (tmp_path / "truth.json").write_text(json.dumps(content))
    read = truth.read_truth(tmp_path)
    assert read.sources[0].apparent_jy == pytest.approx(2.25)
    assert read.n_channels == 4


def test_missing_truth_is_told(tmp_path: Path) -> None:
    """A folder without a simulated field is the user's mistake."""
    with pytest.raises(InputError, match=r"truth\.json"):
        truth.read_truth(tmp_path)
    assert evaluate.main([str(tmp_path)]) == 2


def test_references_made_for_other_data_are_dropped(tmp_path: Path) -> None:
    """An ideal image of another field or of other facets must not be held against the run."""
    from types import SimpleNamespace

    data = tmp_path / "data"
    data.mkdir()
    (data / "complete.json").write_text("1")
    there = SimpleNamespace(facets=[SimpleNamespace(name="a", vertices=((1.0, 2.0),))])
    reference = references.Reference(tmp_path / "ideal", data / "ideal")
    references._drop_stale(reference, there)
    (reference.root / "image").touch()
    references._drop_stale(reference, there)
    assert (reference.root / "image").exists()
    (data / "complete.json").write_text("2")
    references._drop_stale(reference, there)
    assert not (reference.root / "image").exists()
    (reference.root / "image").touch()
    there.facets[0].vertices = ((1.0, 2.5),)
    references._drop_stale(reference, there)
    assert not (reference.root / "image").exists()


def test_perfect_solutions_leave_nothing_of_their_calibrators(tmp_path: Path) -> None:
    """Other sources keep what their effects differ by from those of their calibrator."""
    import tables
    from simulation.effects import Effects, write_h5parm

    rng = np.random.default_rng(3)
    phase, gain = rng.normal(size=(3, 2, 2, 3)), rng.uniform(0.5, 2.0, (3, 1, 2, 3, 2))
    path = tmp_path / "effects.h5"
    made = Effects(TIMES[:3], np.array([140e6, 144e6]), phase, gain)
    stations = [(name, np.zeros(3)) for name in ANTS[:2]]
    write_h5parm(path, made, stations, [(name, 0.1, 0.2) for name in ("one", "two", "three")])
    limit._take_out(path, {"one": "two", "two": "two", "three": "three"})
    with tables.open_file(str(path), "r") as h5:
        phases_left, gains_left = h5.root.sol000.phase000.val[:], h5.root.sol000.amplitude000.val[:]
    assert np.all(phases_left[..., 1:] == 0.0)
    assert np.all(gains_left[..., 1:, :] == 1.0)
    assert phases_left[..., 0] == pytest.approx(phase[..., 0] - phase[..., 1])
    assert gains_left[..., 0, :] == pytest.approx(gain[..., 0, :] / gain[..., 1, :])
