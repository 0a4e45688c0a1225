"""What stations see of a calibrator: which are far too noisy, and for which it is resolved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.products.skymodel import Components, read
from factor.products.stations import Sight, blind_stations, expected_errors_rad, mad_stations

#: East of the core, wavelengths: a core, two remote stations, and one with nothing near it.
EAST = np.array([0.0, 100.0, 200.0, 300.0, 400.0, 3000.0, 4000.0, 15000.0])
ANTS = (*(f"CS{n:03d}HBA0" for n in range(5)), "RS106HBA", "RS205HBA", "RS307HBA")


def sight(noise_jy: float = 1.0) -> Sight:
    first, second = np.triu_indices(len(EAST), 1)
    uv = np.stack((EAST[second] - EAST[first], 0.0 * first), axis=1)
    return Sight(ANTS, np.stack((first, second), axis=1), uv, np.full(len(uv), noise_jy), 1)


def model(tmp_path: Path, flux_jy: float, major_arcsec: float) -> Components:
    path = tmp_path / "model.skymodel"
    kind = "GAUSSIAN" if major_arcsec else "POINT"
    path.write_text(
        "FORMAT = Name, Type, Patch, Ra, Dec, I, SpectralIndex='[]', LogarithmicSI='true', "
        "ReferenceFrequency='144000000.0', MajorAxis, MinorAxis, Orientation\n"
        ", , p, 14:30:00.0, +52.00.00.0\n"
        f"a, {kind}, p, 14:30:00.0, +52.00.00.0, {flux_jy}, [-0.8], true, 144000000.0, "
        f"{major_arcsec}, {major_arcsec}, 0.0\n"
    )
    return read(path)


def test_expected_error_of_a_point(tmp_path: Path) -> None:
    """Noise over flux, baselines and samples: the formula of the documentation."""
    errors = expected_errors_rad(sight(2.0), model(tmp_path, 0.5, 0.0), 100.0)
    assert errors == pytest.approx(2.0 / 0.5 / np.sqrt(2.0 * 100.0 * 7))


def test_a_resolved_calibrator_is_not_seen_from_afar(tmp_path: Path) -> None:
    """20 arcsec on 15 kilo-wavelengths leave nothing; the other stations see it."""
    samples = 200.0
    assert blind_stations(sight(), model(tmp_path, 0.5, 20.0), samples) == ("RS307HBA",)
    assert blind_stations(sight(), model(tmp_path, 0.5, 0.0), samples) == ()
    # What is bright enough is seen even so.
    assert blind_stations(sight(1e-3), model(tmp_path, 0.5, 20.0), samples) == ()


def test_a_faint_calibrator_is_no_resolved_one(tmp_path: Path) -> None:
    """Where no station sees it the verdict has to say so: leaving all out would hide it."""
    assert blind_stations(sight(), model(tmp_path, 0.01, 0.0), 200.0) == ()


def test_a_mad_station_is_noisier_than_all() -> None:
    """One station with another noise condemns itself, not those that share its baselines."""
    seen = sight()
    for level in (1.8, 0.1):
        noise = np.where((seen.pairs == 3).any(axis=1), level, 1.0)
        assert mad_stations(replace(seen, noise_jy=noise)) == ("CS003HBA0",)
    # An international station, and one with half of its tiles.
    assert mad_stations(replace(seen, noise_jy=np.where((seen.pairs == 7).any(axis=1), 0.5, 1.0))) == ()
    assert mad_stations(replace(seen, noise_jy=np.where((seen.pairs == 2).any(axis=1), 1.4, 1.0))) == ()
    assert mad_stations(seen) == ()
    assert mad_stations(replace(seen, noise_jy=np.full(len(noise), np.nan))) == ()
