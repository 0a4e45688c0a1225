"""The simulated field: its parts, and one tiny field made with the real tools."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from factor.directions.file import read_directions
from factor.errors import FactorError, InputError
from factor.products.models.skymodel import read
from factor.tools.environment import prepare

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import simulate
from simulation import effects, geometry, sky, tools
from simulation import field as simulated
from simulation import measurementset as msets
from simulation.options import FieldOptions

TINY = FieldOptions(
    seed=3, name="tiny", stations=8, bands=2, channels=4, minutes=2, sources=4, sefd_jy=300.0
)


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """casacore.tables, imported once its environment is there."""
    prepare()
    import casacore.tables

    return casacore.tables


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> simulate.Paths:
    """A field of two minutes and eight stations."""
    root = tmp_path_factory.mktemp("field")
    simulate.simulate(TINY, root)
    return simulate.Paths(root)


def truth(field: simulate.Paths) -> dict:
    return json.loads((field.truth / "truth.json").read_text())


def test_bands_lie_on_subbands() -> None:
    """Bands are ten whole subbands of LOFAR, so that real tools merge them like real ones."""
    options = FieldOptions(band_layout_mhz=(150.03, 124.0))
    steps = (np.array(options.band_middles_hz) - 100e6) / 195312.5
    assert np.allclose(steps, np.round(steps))
    assert options.band_names == ("field_124MHz", "field_150MHz")
    assert np.mean(options.channel_freqs_hz(150e6)) == pytest.approx(150e6)


def test_names_stay_apart() -> None:
    """Two bands must never share a file name."""
    names = FieldOptions(band_layout_mhz=(140.0, 140.3)).band_names
    assert len(set(names)) == 2


def test_default_length_gives_two_chunks() -> None:
    """The default is cut in two with the smallest chunk size: longer than twice 1200 s."""
    options = FieldOptions()
    assert options.n_times * options.interval_s > 2 * 1200


def test_wrong_options_are_told_together() -> None:
    """All problems at once, with their values."""
    with pytest.raises(InputError) as caught:
        FieldOptions(dec_deg=-60, stations=2)
    assert len(caught.value.problems) == 2
    assert "-60" in str(caught.value)


def test_fluxes_follow_the_counts() -> None:
    """S^-1.6 counts: the cumulative count falls with S^-0.6 between the limits."""
    fluxes = sky.draw_fluxes(4000, 0.1, 10.0, np.random.default_rng(1))
    expected = (0.5**-0.6 - 10**-0.6) / (0.1**-0.6 - 10**-0.6)
    assert np.mean(fluxes > 0.5) == pytest.approx(expected, abs=0.01)
    assert np.all(np.diff(fluxes) <= 0)


def test_default_field_has_calibrators() -> None:
    """Whatever the seed, at least five bright sources, well apart, inside the radius."""
    for seed in range(5):
        options = FieldOptions(seed=seed)
        sources = sky.draw_sources(options)
        bright = [s for s in sources if s.flux_jy > 0.5]
        assert len(bright) >= 5
        vectors = geometry.unit_vectors(
            np.radians([s.ra_deg for s in sources]), np.radians([s.dec_deg for s in sources])
        )
        centre = geometry.unit_vectors(np.radians(options.ra_deg), np.radians(options.dec_deg))
        assert np.degrees(np.arccos(vectors @ centre[0])).max() < 1.01 * options.radius_deg
        near = np.degrees(np.arccos(np.clip(vectors @ vectors.T, -1, 1))) + 9 * np.eye(len(sources))
        assert near[: len(bright), : len(bright)].min() > 0.15


def test_same_seed_same_sky() -> None:
    """A field can be made again; another seed is another field."""
    options = FieldOptions(seed=5)
    assert sky.draw_sources(options) == sky.draw_sources(options)
    assert sky.draw_sources(options) != sky.draw_sources(replace(options, seed=6))


@pytest.mark.parametrize(
    ("value", "text"), [(-0.5, "-00.30.00.0000"), (52.25, "+52.15.00.0000"), (89.99999999, "+90.00.00.0000")]
)
def test_declinations(value: float, text: str) -> None:
    """The sign of -0.5 deg and the carry of 59.99999 s are what goes wrong."""
    assert sky.dms(value) == text


def test_right_ascensions_wrap() -> None:
    """359.9999999 deg is 0h, not 24h."""
    assert sky.hms(359.99999999) == "00:00:00.00000"
    assert sky.hms(-142.5) == "14:30:00.00000"


@pytest.mark.parametrize(
    ("text", "degrees"), [("14h30m", 217.5), ("217.5", 217.5), ("14:30:00", 217.5)]
)
def test_right_ascension_options(text: str, degrees: float) -> None:
    """All the ways in which astronomers write a right ascension."""
    arguments = simulate._parser().parse_args(["x", "--ra", text, "--dec=-1d30m"])
    assert arguments.ra_deg == degrees
    assert arguments.dec_deg == -1.5


def test_patches_join_what_is_one_source(tmp_path: Path) -> None:
    """Components within the linking length form one patch; WSClean's negative RA is put right."""
    (tmp_path / "c.txt").write_text(
        "Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, "
        "ReferenceFrequency='144000000', MajorAxis, MinorAxis, Orientation\n"
        "a,POINT,-09:30:00.0,52.00.00.0,1.0,[0.1],false,144000000,,,\n"
        "b,POINT,-09:29:57.0,52.00.10.0,0.5,[0.1],false,144000000,,,\n"
        "c,POINT,-09:20:00.0,52.00.00.0,2.0,[0.1],false,144000000,,,\n"
    )
    out = tmp_path / "out.skymodel"
    assert sky.write_patches(tmp_path / "c.txt", [out]) == 2
    lines = out.read_text().splitlines()
    assert lines[1].startswith(", , Patch_0, 14:40:00")
    assert [line.split(",")[2] for line in lines[4:]] == ["Patch_1", "Patch_1"]


def test_stations_are_a_mix() -> None:
    """60 % core, remote ones near and far, none beyond the longest baseline."""
    stations = geometry.choose_stations(22, 55.0)
    names = [s.name for s in stations]
    assert len(set(names)) == 22
    assert sum(n.startswith("CS") for n in names) == 13
    positions = np.array([s.position for s in stations])
    lengths = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    assert 35e3 < lengths.max() < 55e3
    assert all(s.tile_used.sum() == 24 for s in stations)


def test_sky_stands_where_it_should(tables: ModuleType) -> None:
    """At transit the centre is due south; UVW keep the lengths of baselines; w points there."""
    del tables
    stations = geometry.choose_stations(6, 55.0)
    positions = np.array([s.position for s in stations])
    ra, dec = np.radians([217.5, 40.0])
    seen = geometry.Sky(positions[0], ra, dec)
    time_s = np.array([seen.time_of_hour_angle(0.0)])
    axes = geometry.local_axes(positions[0])
    rotation = seen.rotations(time_s)[0]
    east, north, up = axes @ rotation @ geometry.unit_vectors(ra, dec)[0]
    assert abs(east) < 1e-4
    assert north < 0 < up
    uvw = seen.station_uvw(time_s, positions)[0]
    offsets = positions - positions[0]
    assert np.allclose(np.linalg.norm(uvw, axis=1), np.linalg.norm(offsets, axis=1), rtol=1e-6)
    towards = rotation @ geometry.unit_vectors(ra, dec)[0]
    # Diurnal and annual aberration keep the two from agreeing better.
    assert np.allclose(uvw[:, 2], offsets @ towards, atol=2e-4 * np.linalg.norm(offsets, axis=1).max())


def test_geometry_agrees_with_a_real_observation(
    real_data: Path, tables: ModuleType, tmp_path: Path
) -> None:
    """UVW (signs and values) and tiles are those of a real LOFAR measurement set."""
    shutil.unpack_archive(
        real_data / "ms" / "NGC6338_L632475_test_midbands.ms.tgz", tmp_path, "gztar"
    )
    ms = next(tmp_path.glob("*.ms"))
    with tables.table(str(ms), ack=False) as main:
        times, first, second = (main.getcol(n) for n in ("TIME", "ANTENNA1", "ANTENNA2"))
        uvw = main.getcol("UVW")
    with tables.table(f"{ms}::ANTENNA", ack=False) as antenna:
        names, positions = antenna.getcol("NAME"), antenna.getcol("POSITION")
    with tables.table(f"{ms}::FIELD", ack=False) as where:
        ra, dec = where.getcell("PHASE_DIR", 0)[0]
    now = times == times[0]
    made = geometry.Sky(positions[0], ra, dec).station_uvw(times[:1], positions)[0]
    # The observatory predicted the Earth's orientation, the measures tables know it.
    assert np.abs(made[second[now]] - made[first[now]] - uvw[now]).max() < 0.1
    station = next(s for s in geometry.choose_stations(22, 55.0) if s.name == "RS508HBA")
    with tables.table(f"{ms}::LOFAR_ANTENNA_FIELD", ack=False) as fields:
        row = fields.getcol("ANTENNA_ID").tolist().index(names.index(station.name))
        assert np.allclose(fields.getcell("ELEMENT_OFFSET", row), station.tile_offsets, atol=1e-3)
        assert np.allclose(fields.getcell("COORDINATE_AXES", row), station.axes, atol=1e-5)
        assert np.allclose(fields.getcell("TILE_ELEMENT_OFFSET", row), station.element_offsets, atol=1e-3)
        # One real tile was broken.
        assert (fields.getcell("ELEMENT_FLAG", row)[:, 0] != ~station.tile_used).sum() <= 1


def test_screen_is_kolmogorov() -> None:
    """Rms difference as asked for at 20 km, growing with distance to the power 5/6."""
    screen = effects.kolmogorov_screen((1024, 1024), 0.03, np.random.default_rng(2))

    def rms(pixels: int) -> float:
        return float(np.sqrt(np.mean((np.roll(screen, pixels, 0) - screen) ** 2)))

    assert rms(40) == pytest.approx(0.03, rel=0.15)
    assert np.log(rms(40) / rms(5)) / np.log(8) == pytest.approx(5 / 6, abs=0.08)


def test_mean_direction_is_calibrated_out() -> None:
    """What direction-independent calibration removed is not in the effects."""
    rng = np.random.default_rng(1)
    times = np.arange(20) * 8.0
    towards = np.tile(rng.normal([0, 0, 1], 0.01, (1, 5, 3)), (20, 1, 1))
    fluxes = np.array([3.0, 1, 1, 0.5, 0.2])
    freqs = np.array([120e6, 168e6])
    options = FieldOptions(slow_gain=0.0)
    made = effects.make_effects(options, times, freqs, rng.normal(0, 1e4, (4, 3)), towards, fluxes)
    assert np.allclose(made.phase @ fluxes, 0, atol=1e-9)
    assert made.phase.std() > 0.05
    assert np.allclose(made.phase[:, 0] * 120, made.phase[:, 1] * 168)
    assert np.allclose(made.amplitude, 1)


@pytest.mark.tools
def test_field_is_complete(field: simulate.Paths, tables: ModuleType) -> None:
    """Everything Factor and the measurements need is there, with the beam's keywords."""
    for band in TINY.band_names:
        for ms in (field.ms(band), field.ideal_ms(band)):
            assert ms.with_suffix(".merge").is_file()
            with tables.table(str(ms), ack=False) as table:
                for column in ("DATA", "SUBTRACTED_DATA_ALL"):
                    assert table.getcolkeyword(column, "LOFAR_APPLIED_BEAM_MODE") == "Full"
                data, flags = table.getcol("DATA"), table.getcol("FLAG")
            assert np.isfinite(data).all()
            assert 0.01 < flags.mean() < 0.2
    assert not field.scratch.exists()


@pytest.mark.tools
def test_noise_is_shared_and_right(field: simulate.Paths) -> None:
    """Both fields have the same noise, as strong as the SEFD says."""
    noise = [msets.read_column(field.ideal_ms(b), "SUBTRACTED_DATA_ALL") for b in TINY.band_names]
    expected = 300 / np.sqrt(2 * 8 * 1.953125e6 / 4)
    assert noise[0].real.std() == pytest.approx(expected, rel=0.02)
    assert truth(field)["visibility_noise_jy"] == pytest.approx(expected)
    assert abs(np.vdot(noise[0], noise[1])) < 0.03 * np.vdot(noise[0], noise[0]).real
    difference = msets.read_column(field.ms(TINY.band_names[0]), "DATA") - msets.read_column(
        field.ideal_ms(TINY.band_names[0]), "DATA"
    )
    # With another noise the difference would hold this one whole.
    assert abs(np.vdot(difference, noise[0])) < 0.05 * np.vdot(noise[0], noise[0]).real
    assert difference.std() > 0


@pytest.mark.tools
def test_ideal_models_are_the_apparent_sky(field: simulate.Paths, tmp_path: Path) -> None:
    """Predicting the ideal's .merge without a beam leaves the noise: the mean beam is right."""
    band = TINY.band_names[0]
    ms, model = tmp_path / "copy.ms", tmp_path / "model.skymodel"
    shutil.copytree(field.ideal_ms(band), ms)
    shutil.copy(field.ideal_ms(band).with_suffix(".merge"), model)
    tools.subtract_apparent(ms, model, "RESIDUAL", tmp_path / "log")
    noise = msets.read_column(ms, "SUBTRACTED_DATA_ALL")
    left = msets.read_column(ms, "RESIDUAL") - noise
    true_sky = msets.read_column(ms, "DATA") - noise
    assert left.std() < 0.01 * true_sky.std()


@pytest.mark.tools
def test_initial_subtraction_takes_most(field: simulate.Paths) -> None:
    """SUBTRACTED_DATA_ALL holds far less than DATA, but more than the noise."""
    ms = field.ms(TINY.band_names[0])
    sums = {
        name: np.abs(msets.read_column(ms, name)[..., [0, 3]].mean(axis=(1, 2))).mean()
        for name in ("DATA", "SUBTRACTED_DATA_ALL")
    }
    assert sums["SUBTRACTED_DATA_ALL"] < 0.6 * sums["DATA"]


@pytest.mark.tools
def test_effects_open_in_losoto(field: simulate.Paths) -> None:
    """The true effects are an H5parm with the axes and names that DP3 and LoSoTo expect."""
    from losoto.h5parm import h5parm

    h5 = h5parm(str(field.effects))
    solset = h5.getSolset("sol000")
    phase, amplitude = (solset.getSoltab(n) for n in ("phase000", "amplitude000"))
    assert phase.getAxesNames() == ["time", "freq", "ant", "dir"]
    assert phase.getValues(retAxesVals=False).shape == (TINY.n_times, 8, 8, 4)
    assert amplitude.getAxesNames() == ["time", "freq", "ant", "dir", "pol"]
    assert set(solset.getSou()) == set(phase.getAxisValues("dir"))
    assert truth(field)["sources"][0]["name"] == phase.getAxisValues("dir")[0].strip("[]")
    h5.close()


@pytest.mark.tools
def test_complete_field_is_left_alone(field: simulate.Paths) -> None:
    """A second call changes nothing; other options are refused by name unless asked for."""
    before = field.marker.stat().st_mtime_ns
    simulate.simulate(TINY, field.root)
    assert field.marker.stat().st_mtime_ns == before
    with pytest.raises(FactorError, match="seed 3 instead of 4"):
        simulate.simulate(replace(TINY, seed=4), field.root)
    assert field.ms(TINY.band_names[0]).is_dir()


@pytest.mark.tools
def test_sources_are_imaged_at_their_places(field: simulate.Paths, tmp_path: Path) -> None:
    """UVW and signs: the brightest source of the ideal field is where the truth has it."""
    from astropy.io import fits
    from astropy.wcs import WCS

    prefix = tmp_path / "image"
    tools.call("WSClean", [
        "-name", str(prefix), "-j", "1", "-no-update-model-required", "-size", "1600", "1600",
        "-scale", "7.5asec", "-maxuv-l", "7000", "-quiet",
        *(str(field.ideal_ms(b)) for b in TINY.band_names),
    ], tmp_path / "log")
    with fits.open(tmp_path / "image-dirty.fits") as hdus:
        image, wcs = hdus[0].data[0, 0], WCS(hdus[0].header).celestial
    y, x = np.unravel_index(np.argmax(image), image.shape)
    brightest = max(truth(field)["sources"], key=lambda s: s["apparent_flux_jy"][0])
    at_x, at_y = wcs.all_world2pix(brightest["ra_deg"], brightest["dec_deg"], 0)
    assert np.hypot(x - at_x, y - at_y) < 1.5
    assert image.max() == pytest.approx(np.mean(brightest["apparent_flux_jy"]), rel=0.2)
    assert np.hypot(x - 800, y - 800) > 100


def test_the_brightest_source_is_made_brighter() -> None:
    """Its apparent flux density becomes the one asked for, its true one in proportion; no other changes."""
    sources = [sky.Source("near", 10.0, 50.0, 3.0, -0.7), sky.Source("far", 12.0, 50.0, 4.0, -0.7)]
    apparent = [[replace(s, flux_jy=s.flux_jy * p) for s, p in zip(sources, (0.9, 0.4), strict=True)]]
    true, seen = simulated._brighten(replace(TINY, bright_jy=40.0), sources, apparent)
    assert [s.flux_jy for s in seen[0]] == pytest.approx([40.0, 1.6])
    assert [s.flux_jy for s in true] == pytest.approx([40.0 / 0.9, 4.0])


@pytest.mark.tools
def test_an_outlier_is_in_the_data_alone(field: simulate.Paths, tmp_path: Path) -> None:
    """As bright as asked for, also after the initial subtraction; in no model, not in the ideal."""
    simulate.simulate(replace(TINY, outlier_jy=10.0), tmp_path)
    paths, band = simulate.Paths(tmp_path), TINY.band_names[0]
    for column in ("DATA", "SUBTRACTED_DATA_ALL"):
        added = msets.read_column(paths.ms(band), column) - msets.read_column(field.ms(band), column)
        assert np.abs(added[..., 0]).mean() == pytest.approx(10.0, rel=0.1)
    assert np.array_equal(msets.read_column(paths.ideal_ms(band), "DATA"),
                          msets.read_column(field.ideal_ms(band), "DATA"))
    # WSClean's sums depend on the order of its threads in the last digits.
    models = [read(one.ms(band).with_suffix(".merge")) for one in (paths, field)]
    assert models[0].flux_jy == pytest.approx(models[1].flux_jy, rel=1e-3)
    (outlier,) = read_directions(paths.outliers)
    assert outlier.is_outlier
    assert outlier.peel_skymodel == str(paths.outlier_model.resolve())
    assert truth(paths)["outlier"]["flux_jy"] > 10.0
    assert truth(field)["outlier"] is None
