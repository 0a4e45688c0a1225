"""Catalogues of sources that users give: true positions and fluxes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from factor.directions.geometry import Floats, Ints, separation_deg, weighted_centres
from factor.errors import InputError
from factor.products.models.skymodel import Bools, Components
from factor.products.models.sources import linked

#: Spectral index of sources whose index a catalogue does not give: the mean between 147 and
#: 1400 MHz (Intema et al. 2017, A&A 598, A78).
TYPICAL_SPECTRAL_INDEX = -0.73

#: A source of a catalogue is the model's when its flux is at least this part of the model's.
_ENOUGH_FLUX = 0.5

#: What columns may be called (in any case), and the units that they are brought to.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "RA": ("ra", "ra_deg", "raj2000", "_raj2000", "ra_j2000", "right_ascension"),
    "Dec": ("dec", "dec_deg", "dej2000", "_dej2000", "decj2000", "dec_j2000", "de", "declination"),
    "flux": ("flux", "flux_jy", "total_flux", "int_flux", "stotal", "sint", "i"),
    "frequency": ("frequency", "freq", "freq_hz"),
    "spectral_index": ("spectral_index", "spindex", "alpha"),
}
_UNITS = {"RA": "deg", "Dec": "deg", "flux": "Jy", "frequency": "Hz", "spectral_index": ""}


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Sources of a catalogue: arrays of one length.

    Attributes
    ----------
    ra_deg, dec_deg : numpy.ndarray
    flux_jy : numpy.ndarray
        True flux: not attenuated by a primary beam.
    freq_hz : numpy.ndarray
        Frequency of the flux; NaN where the catalogue has none.
    spectral_index : numpy.ndarray
    """

    path: Path
    ra_deg: Floats
    dec_deg: Floats
    flux_jy: Floats
    freq_hz: Floats
    spectral_index: Floats

    def __len__(self) -> int:
        return len(self.ra_deg)

    def select(self, chosen: Bools | Ints) -> Catalogue:
        """The sources that a mask or indices name."""
        arrays = [f.name for f in fields(self) if f.name != "path"]
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})

    def flux_at(self, freq_hz: float) -> Floats:
        """Fluxes at a frequency, Jy: power laws; as they are where their frequency is not known."""
        ratio = np.where(np.isfinite(self.freq_hz), freq_hz / self.freq_hz, 1.0)
        return np.asarray(self.flux_jy * ratio**self.spectral_index)


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue: FITS, VOTable, CSV or text, whatever Astropy's tables can be read from.

    Columns RA, Dec (degrees, or sexagesimal text) and flux (Jy), in any case; units that the
    file gives are honoured. A column ``frequency`` (Hz) and one ``spectral_index`` are optional.

    Raises
    ------
    InputError
        When the file cannot be read, a column is missing, or no source is left.
    """
    table = _table(path)
    columns = {name: _find(table, known) for name, known in _NAMES.items()}
    missing = [name for name in ("RA", "Dec", "flux") if columns[name] is None]
    if missing:
        raise InputError(
            f"astrometry_catalogue {path}: has no column {', '.join(missing)} "
            f"(its columns: {', '.join(table.colnames)})",
            "name the columns RA, Dec and flux (degrees, degrees, Jy, unless the file has units)",
        )
    values = {name: _values(path, table, name, column) for name, column in columns.items()}
    index = values["spectral_index"]
    catalogue = Catalogue(
        path, values["RA"] % 360.0, values["Dec"], values["flux"], values["frequency"],
        np.where(np.isfinite(index), index, TYPICAL_SPECTRAL_INDEX),
    )  # fmt: skip
    good = np.isfinite(catalogue.ra_deg) & (np.abs(catalogue.dec_deg) <= 90.0) & (catalogue.flux_jy > 0.0)
    if not good.any():
        raise InputError(f"astrometry_catalogue {path}: no row has a position and a positive flux")
    return catalogue.select(good)


def catalogue_of_field(path: Path, centre_deg: tuple[float, float], radius_deg: float) -> Catalogue:
    """The sources of a catalogue that lie in the field.

    Raises
    ------
    InputError
        As `read_catalogue`, and when none does.
    """
    catalogue = read_catalogue(path)
    distance = separation_deg(catalogue.ra_deg, catalogue.dec_deg, *centre_deg)
    if not (distance <= radius_deg).any():
        raise InputError(
            f"astrometry_catalogue {path}: none of its {len(catalogue)} sources is within "
            f"{radius_deg:.2f} deg of the field's centre ({centre_deg[0]:.4f}, {centre_deg[1]:.4f} deg); "
            f"the nearest is {distance.min():.2f} deg away",
            "give a catalogue of this field, with RA and Dec in degrees (hours are read from text "
            "like 14:30:00 only, or where the file has a unit)",
        )
    return catalogue.select(distance <= radius_deg)


def _table(path: Path) -> Any:
    from astropy.table import Table

    problems = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for how in ({}, {"format": "ascii"}):
            try:
                return Table.read(path, **how)
            # Each of Astropy's readers has errors of its own.
            except Exception as error:  # noqa: BLE001
                problems.append(str(error).strip().splitlines()[0] if str(error).strip() else repr(error))
    raise InputError(
        f"astrometry_catalogue {path}: can't be read as a table: {problems[-1]}",
        "give a FITS table, a VOTable, CSV or text with column names in its first line",
    )


def _find(table: Any, names: tuple[str, ...]) -> str | None:
    lower = {str(column).lower(): str(column) for column in table.colnames}
    return next((lower[name] for name in names if name in lower), None)


def _values(path: Path, table: Any, name: str, column: str | None) -> Floats:
    """A column as numbers in the unit that is wanted; NaN where it has none."""
    from astropy import units
    from astropy.coordinates import Angle

    if column is None:
        return np.full(len(table), np.nan)
    raw = table[column]
    try:
        if raw.dtype.kind in "USO":
            hours = name == "RA" and any(mark in str(raw[0]) for mark in ":h ")
            unit = units.hourangle if hours else units.Unit(_UNITS[name])
            texts = [str(text).strip() for text in raw]
            return np.asarray(Angle(texts, unit=unit).deg if _UNITS[name] == "deg" else texts, dtype=float)
        numbers = np.where(np.ma.getmaskarray(raw), np.nan, np.asarray(raw, dtype=float))
        unit = getattr(raw, "unit", None)
        if unit is None or not _UNITS[name]:
            return np.asarray(numbers, dtype=float)
        return np.asarray((numbers * units.Unit(unit)).to_value(_UNITS[name]), dtype=float)
    except (ValueError, TypeError, units.UnitsError) as error:
        raise InputError(f"astrometry_catalogue {path}: column {column}: {error}") from error


def anchored_to_catalogue(components: Components, catalogue: Catalogue, radius_arcsec: float) -> Components:
    """A model whose sources lie where a catalogue has them.

    Each source is moved as a whole. What the catalogue does not have moves with the rest. The
    catalogue's fluxes tell which of its sources is the model's, nothing else.

    Parameters
    ----------
    components : Components
        The model of the first solve.
    catalogue : Catalogue
    radius_arcsec : float
        Farthest that a source may be from its place in the catalogue; also how near to each
        other the components of one source are.

    Returns
    -------
    Components
        As they were, when the catalogue does not have at least half of their flux.
    """
    labels = linked(components, radius_arcsec)
    count = int(labels.max(initial=-1)) + 1
    shifts = [_shift(components, labels == k, catalogue, radius_arcsec) for k in range(count)]
    flux = np.bincount(labels, components.flux_jy.clip(min=0.0)) if len(labels) else np.zeros(0)
    known = np.array([shift is not None for shift in shifts], dtype=bool)
    if not known.any() or flux[known].sum() < 0.5 * flux.sum():
        return components
    found = np.array([shift for shift in shifts if shift is not None])
    all_shifts = np.tile(np.average(found, axis=0, weights=flux[known] + 1e-12), (len(shifts), 1))
    all_shifts[known] = found
    east, north = all_shifts[labels].T
    ra = components.ra_deg + east / np.cos(np.radians(components.dec_deg))
    return replace(components, ra_deg=ra % 360.0, dec_deg=components.dec_deg + north)


def _shift(
    components: Components, members: Bools, catalogue: Catalogue, radius_arcsec: float
) -> tuple[float, float] | None:
    """From a source's centroid to that of its sources in a catalogue, degrees east and north."""
    ra, dec, flux = (a[members] for a in (components.ra_deg, components.dec_deg, components.flux_jy))
    around = catalogue.select(separation_deg(catalogue.ra_deg, catalogue.dec_deg, ra[0], dec[0]) < 1.0)
    if not len(around) or not flux.sum() > 0.0:
        return None
    distance = separation_deg(around.ra_deg[:, None], around.dec_deg[:, None], ra, dec).min(axis=1)
    mine = around.select(distance <= radius_arcsec / 3600.0)
    # The primary beam only makes sources fainter than a catalogue has them.
    if not len(mine) or mine.flux_jy.sum() < _ENOUGH_FLUX * flux.sum():
        return None
    here = weighted_centres(ra, dec, flux, np.zeros(len(ra), dtype=np.int64))
    there = weighted_centres(mine.ra_deg, mine.dec_deg, mine.flux_jy, np.zeros(len(mine), dtype=np.int64))
    north = float(there[1][0] - here[1][0])
    east = float((there[0][0] - here[0][0] + 180.0) % 360.0 - 180.0) * float(np.cos(np.radians(here[1][0])))
    return (east, north) if np.hypot(east, north) <= radius_arcsec / 3600.0 else None
