"""What measurement sets are found, and what is read from them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from factor.errors import InputError
from factor.observation.bands import find_measurement_sets, read_all, read_metadata


def test_found_by_pattern_and_in_band_folders(tmp_path: Path) -> None:
    """The chunks folder of an old run must serve, and nothing else be taken for data."""
    wanted = ["a.MS", "b.ms", "c.dpppaverage", "d.ndppp_prep_target", "Band_140MHz/e.ms"]
    for name in [*wanted, "other/f.ms", "g.merge", ".h.ms", "Band_140MHz/e.ms.part"]:
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file.ms").write_text("")
    found = [str(path.relative_to(tmp_path)) for path in find_measurement_sets(tmp_path)]
    assert sorted(found) == sorted(wanted)


def test_nothing_found(tmp_path: Path) -> None:
    """A wrong dir_ms is the most frequent mistake: it is named."""
    with pytest.raises(InputError, match=r"no measurement set.*\*\.dpppaverage"):
        find_measurement_sets(tmp_path)
    (tmp_path / "table.dat").touch()
    with pytest.raises(InputError, match=f"give the folder that holds it, {tmp_path.parent}"):
        find_measurement_sets(tmp_path)
    with pytest.raises(InputError, match="no such directory"):
        find_measurement_sets(tmp_path / "absent")


def test_metadata(make_ms: Callable[..., Path]) -> None:
    """Everything later comes from these numbers."""
    info = read_metadata(make_ms(slots=[0, 1, 3], flagged=0.5))
    assert info.times_mjd_s == (4.9e9, 4.9e9 + 8, 4.9e9 + 24)
    assert np.allclose(info.freqs_hz, [139.85e6, 139.95e6, 140.05e6, 140.15e6])
    assert info.freq_hz == pytest.approx(140e6)
    assert info.chan_width_hz == pytest.approx(0.1e6)
    assert (info.n_rows, info.n_baselines) == (18, 6)
    assert (info.ra_deg, info.dec_deg) == (pytest.approx(217.5), pytest.approx(52.0))
    assert (info.telescope, info.antenna_set) == ("LOFAR", "HBA_DUAL_INNER")
    assert info.flagged_fraction == pytest.approx(0.5)
    assert info.data_column in info.columns


def test_data_that_are_no_numbers(make_ms: Callable[..., Path]) -> None:
    """A band of NaNs is as good as flagged, and must not cost days; flagged NaNs are no news."""
    from casacore import tables

    path = make_ms(slots=range(40), flagged=0.5)
    for n_nan, expected in ((120, 0.5), (240, 1.0)):
        with tables.table(str(path), readonly=False, ack=False) as main:
            data = main.getcol("SUBTRACTED_DATA_ALL")
            data[:n_nan] = np.nan
            main.putcol("SUBTRACTED_DATA_ALL", data)
        assert read_metadata(path).flagged_fraction == pytest.approx(expected)


def test_data_that_are_zero(make_ms: Callable[..., Path]) -> None:
    """A column that nobody wrote is known by its unflagged data, whatever was left in the others."""
    from casacore import tables

    path = make_ms(slots=range(40), flagged=0.5)
    assert not read_metadata(path).all_zero
    for first_zero, expected in ((121, False), (120, True)):
        with tables.table(str(path), readonly=False, ack=False) as main:
            data = np.ones((240, 4, 4), np.complex64)
            data[first_zero:] = 0
            main.putcol("SUBTRACTED_DATA_ALL", data)
        assert read_metadata(path).all_zero is expected
    assert not read_metadata(make_ms("flagged.ms", flagged=1.0)).all_zero


def test_only_stations_in_the_data(make_ms: Callable[..., Path]) -> None:
    """The ANTENNA table may list stations without data, of other sizes."""
    info = read_metadata(make_ms())
    assert info.stations == ("CS001HBA0", "CS002HBA0", "RS205HBA")
    assert info.station_diameter_m == pytest.approx(31.2)


def test_insane_diameters(make_ms: Callable[..., Path]) -> None:
    """Some pipelines write 0 or 1 m: the primary beam then comes from the station's known size."""
    from casacore import tables

    path = make_ms()
    with tables.table(f"{path}::ANTENNA", readonly=False, ack=False) as antenna:
        antenna.putcol("DISH_DIAMETER", np.zeros(4))
    assert read_metadata(path).station_diameter_m == 30.75


def test_elevation_against_astropy(make_ms: Callable[..., Path]) -> None:
    """The field's size N-S and its beam depend on the elevation."""
    from astropy import units
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    info = read_metadata(make_ms(slots=range(40)))
    place = EarthLocation.from_geocentric(3826577.0, 461022.9, 5064892.8, unit="m")
    time = Time(np.array(info.times_mjd_s) / 86400.0, format="mjd", scale="utc")
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        expected = SkyCoord(217.5, 52.0, unit="deg").transform_to(AltAz(obstime=time, location=place))
    assert info.mean_elevation_rad == pytest.approx(expected.alt.to_value(units.rad).mean(), abs=1e-4)


def test_unreadable_are_all_named(make_ms: Callable[..., Path], tmp_path: Path) -> None:
    """All bad files are told at once."""
    good = make_ms()
    bad = [tmp_path / "bad/x.ms", tmp_path / "bad/y.ms"]
    bad[0].mkdir(parents=True)
    bad[1].symlink_to(tmp_path / "not mounted.ms")
    with pytest.raises(InputError) as caught:
        read_all([good, *find_measurement_sets(tmp_path / "bad")])
    assert len(caught.value.problems) == 2
    assert all(str(path) in text for path, text in zip(bad, caught.value.problems, strict=True))


def test_known_fraction_is_not_read_again(make_ms: Callable[..., Path]) -> None:
    """Reading FLAG of a whole observation at each resume would take minutes."""
    assert read_all([make_ms()], flagged_fractions={"field.ms": 0.25})[0].flagged_fraction == 0.25


def test_real_data(tmp_path: Path) -> None:
    """A real LOFAR measurement set gives plausible numbers."""
    folder = Path(os.environ.get("FACTOR_TEST_DATA", "/nonexistent"))
    archive = folder / "ms" / "NGC6338_L632475_test_midbands.ms.tgz"
    if not archive.exists():
        pytest.skip("FACTOR_TEST_DATA does not name a folder with the real data")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    info = read_metadata(tmp_path / "test_midbands.ms")
    assert (len(info.times_mjd_s), info.n_baselines, len(info.stations)) == (5, 1891, 62)
    assert info.station_diameter_m == pytest.approx(31.26, abs=0.01)
    assert info.mean_elevation_rad == pytest.approx(1.4729, abs=1e-3)
    assert 0 < info.flagged_fraction < 0.2
