"""Catalogues that users give, and starting models that take their positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.table import Table

from factor.errors import InputError
from factor.products.models.catalogues import (
    TYPICAL_SPECTRAL_INDEX,
    anchored_to_catalogue,
    catalogue_of_field,
    read_catalogue,
)
from factor.products.models.skymodel import point_components

ARCSEC = 1.0 / 3600.0


def points(*places: tuple[float, float, float]):
    """Points at so many arcsec east and north of (217.5, 0), with a flux."""
    east, north, flux = np.array(places).T
    return point_components(217.5 + east * ARCSEC, north * ARCSEC, flux, 144e6)


def catalogue(path: Path, *places: tuple[float, float, float]):
    """A catalogue of points, as `points`."""
    east, north, flux = np.array(places).T
    table = Table({"RA": 217.5 + east * ARCSEC, "Dec": north * ARCSEC, "flux": flux})
    table.write(path / "catalogue.csv", format="ascii.csv", overwrite=True)
    return read_catalogue(path / "catalogue.csv")


@pytest.mark.parametrize("name", ["a.fits", "a.vot", "a.csv", "a.txt"])
def test_formats_units_and_names(tmp_path: Path, name: str) -> None:
    """Users' tables have many forms; a unit of the file is honoured, without one it is deg and Jy."""
    table = Table({"raj2000": [217.5, 218.0], "DEC": [52.0, 52.5], "Total_flux": [1.5, 0.2]})
    if name.endswith(("fits", "vot")):
        table["raj2000"] = (table["raj2000"] * units.deg).to(units.rad)
        table["Total_flux"] = (table["Total_flux"] * units.Jy).to(units.mJy)
        table["Freq"] = [150.0, 150.0] * units.MHz
    form = {"fits": "fits", "vot": "votable", "csv": "csv", "txt": "ascii.basic"}[name.split(".")[1]]
    table.write(tmp_path / name, format=form)
    read = read_catalogue(tmp_path / name)
    assert read.ra_deg == pytest.approx([217.5, 218.0])
    assert read.flux_jy == pytest.approx([1.5, 0.2])
    steeper = 1.0 if np.isnan(read.freq_hz[0]) else (140 / 150) ** TYPICAL_SPECTRAL_INDEX
    assert read.flux_at(140e6) == pytest.approx(steeper * np.array([1.5, 0.2]))


def test_sexagesimal_and_empty_rows(tmp_path: Path) -> None:
    """Text positions are hours and degrees; rows without a flux are no sources."""
    path = tmp_path / "a.csv"
    path.write_text("ra,dec,flux,alpha\n14:30:00,+52:00:36,1.0,-1\n14:31:00,+52:00:00,,-1\n")
    read = read_catalogue(path)
    assert len(read) == 1
    assert (read.ra_deg[0], read.dec_deg[0]) == pytest.approx((217.5, 52.01))
    assert read.spectral_index[0] == -1.0


def test_mistakes_are_named(tmp_path: Path) -> None:
    """The user learns the file, what is missing, and what to do."""
    path = tmp_path / "bad.csv"
    path.write_text("ra,declin,s\n1,2,3\n")
    with pytest.raises(InputError, match=r"bad\.csv: has no column Dec, flux \(its columns: ra, declin, s\)"):
        read_catalogue(path)
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match=r"bad\.csv: can't be read as a table"):
        read_catalogue(path)
    path.write_text("ra,dec,flux\n14.5,52.0,1\n")
    with pytest.raises(InputError, match=r"none of its 1 sources is within 2\.00 deg .* nearest is 74"):
        catalogue_of_field(path, (217.5, 52.0), 2.0)


def test_sources_are_moved_to_the_catalogue(tmp_path: Path) -> None:
    """Rule 11: position from the catalogue, nothing else; what it lacks moves with the rest."""
    model = points((0, 0, 1.0), (5, 0, 0.5), (100, 0, -0.1))
    moved = anchored_to_catalogue(model, catalogue(tmp_path, (3, -4, 1.6), (8, -4, 0.8)), 12.5)
    assert 3600 * (moved.ra_deg - model.ra_deg) == pytest.approx([3.0] * 3, abs=1e-3)
    assert 3600 * (moved.dec_deg - model.dec_deg) == pytest.approx([-4.0] * 3, abs=1e-3)
    assert np.array_equal(moved.flux_jy, model.flux_jy)


@pytest.mark.parametrize(
    "entry", [(3.0, 0.0, 0.3), (30.0, 0.0, 2.0)], ids=["too faint to be it", "too far"]
)
def test_other_sources_are_not_taken(tmp_path: Path, entry: tuple[float, float, float]) -> None:
    """A faint neighbour, or one at a distance, must not pull a bright calibrator."""
    model = points((0, 0, 1.0), (60, 0, 0.1))
    assert anchored_to_catalogue(model, catalogue(tmp_path, entry), 12.5) is model


def test_a_companion_alone_moves_nothing(tmp_path: Path) -> None:
    """A catalogue that has a tenth of the flux does not tell where the rest is."""
    model = points((0, 0, 1.0), (60, 0, 0.1))
    assert anchored_to_catalogue(model, catalogue(tmp_path, (65, 0, 0.15)), 12.5) is model
