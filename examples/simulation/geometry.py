"""Stations of LOFAR's HBA, and where the sky stands over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: HBA tiles of a remote station that HBA_DUAL_INNER uses: the inner 24 of 48,
#: which resemble a core station's field.
INNER_TILES = (5, 6, *range(10, 14), *range(17, 23), *range(25, 31), *range(34, 38), 41, 42)
_CORE_FIELD = "CS002HBA0"
#: 2016-02-10 0:00 UTC, MJD in seconds: the observation is at the first transit after it.
_NOT_BEFORE_S = 57428 * 86400.0
_SIDEREAL = 1.00273790935


@dataclass(frozen=True)
class Station:
    """One HBA field as a station of its own."""

    name: str
    position: Array
    """Phase centre, ITRF, m."""
    axes: Array
    """Rows are the field's axes (p, q, r) in ITRF."""
    tile_offsets: Array
    """Offsets of all tile slots of the field from the phase centre (48 x 3), ITRF, m."""
    tile_used: NDArray[np.bool_]
    """Which of the tiles observe."""
    element_offsets: Array
    """Offsets of the 16 dipoles from a tile's middle, ITRF, m."""
    tile_rotation_rad: float


def _load_station(database: object, name: str) -> Station:
    tiles = database.antenna_etrs(name) - database.phase_centres[name]  # type: ignore[attr-defined]
    used = np.zeros(48, bool)
    offsets = np.zeros((48, 3))
    if len(tiles) == 48:
        offsets[:] = tiles
        used[list(INNER_TILES)] = True
    else:
        first = 24 if name.endswith("HBA1") else 0
        offsets[first : first + 24] = tiles
        used[first : first + 24] = True
    dipoles = database.hba_dipole_etrs(name)[:16]  # type: ignore[attr-defined]
    return Station(
        name=name,
        position=np.asarray(database.phase_centres[name]),  # type: ignore[attr-defined]
        axes=np.asarray(database.pqr_to_etrs[name]).T,  # type: ignore[attr-defined]
        tile_offsets=offsets,
        tile_used=used,
        element_offsets=dipoles - dipoles.mean(axis=0),
        tile_rotation_rad=float(database.hba_rotations[name]),  # type: ignore[attr-defined]
    )


def _spread(names: list[str], positions: dict[str, Array], count: int) -> list[str]:
    """Fields far from each other: each next one is the farthest from those chosen before."""
    chosen = [_CORE_FIELD]
    while len(chosen) < min(count, len(names)):
        distances = {
            n: min(float(np.linalg.norm(positions[n] - positions[c])) for c in chosen)
            for n in names
            if n not in chosen
        }
        chosen.append(max(sorted(distances), key=lambda n: distances[n]))
    return chosen


def _within(names: list[str], positions: dict[str, Array], limit_m: float) -> list[str]:
    """Leave out stations until no baseline is longer than the limit."""
    kept = list(names)
    while True:
        too_long = {
            a: sum(float(np.linalg.norm(positions[a] - positions[b])) > limit_m for b in kept)
            for a in kept
        }
        worst = max(kept, key=lambda n: too_long[n], default="")
        if not worst or too_long[worst] == 0:
            return kept
        kept.remove(worst)


def choose_stations(count: int, max_baseline_km: float) -> list[Station]:
    """Choose HBA fields: 60 % spread over the core, the others remote ones from near to far.

    Parameters
    ----------
    count : int
        Number of stations.
    max_baseline_km : float
        Longest baseline.

    Returns
    -------
    list of Station
        Sorted by name, positions from lofarantpos.
    """
    from lofarantpos.db import LofarAntennaDatabase

    database = LofarAntennaDatabase()
    positions: dict[str, Array] = {
        n: np.asarray(p)
        for n, p in database.phase_centres.items()
        if (n[:2] == "CS" and n[-4:] in ("HBA0", "HBA1")) or (n[:2] == "RS" and n[-3:] == "HBA")
    }
    middle = positions[_CORE_FIELD]
    remote = sorted(
        (n for n in positions if n[:2] == "RS"),
        key=lambda n: float(np.linalg.norm(positions[n] - middle)),
    )
    remote = _within([n for n in remote if n in database.hba_rotations], positions,
                     max_baseline_km * 1e3)
    core = [n for n in sorted(positions) if n[:2] == "CS"]
    n_remote = min(count - round(0.6 * count), len(remote))
    picks = np.unique(np.round(np.linspace(0, len(remote) - 1, n_remote)).astype(int))
    names = [remote[i] for i in picks]
    names += _spread(core, positions, count - len(names))
    return [_load_station(database, n) for n in sorted(names)]


def unit_vectors(ra_rad: Array, dec_rad: Array) -> Array:
    """Unit vectors towards sky positions, shape (n, 3)."""
    ra, dec = np.atleast_1d(ra_rad), np.atleast_1d(dec_rad)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


class Sky:
    """Apparent motion of the sky as casacore's measures compute it, seen from one place."""

    def __init__(self, position: Array, ra_rad: float, dec_rad: float) -> None:
        from casacore.measures import measures
        from casacore.quanta import quantity

        self._quantity = quantity
        self._measures = measures()
        self.position = position
        self.ra_rad, self.dec_rad = ra_rad, dec_rad
        self._measures.do_frame(
            self._measures.position("ITRF", *[quantity(float(x), "m") for x in position])
        )
        self._measures.do_frame(self._direction(ra_rad, dec_rad))

    def _direction(self, ra_rad: float, dec_rad: float) -> dict[str, object]:
        angles = (self._quantity(float(a), "rad") for a in (ra_rad, dec_rad))
        direction: dict[str, object] = self._measures.direction("J2000", *angles)
        return direction

    def _at(self, time_s: float) -> None:
        self._measures.do_frame(self._measures.epoch("UTC", self._quantity(float(time_s), "s")))

    def station_uvw(self, times_s: Array, positions: Array) -> Array:
        """UVW (J2000) of each station relative to the first, shape (times, stations, 3), m."""
        offsets = positions - positions[0]
        quantities = [self._quantity(offsets[:, i].tolist(), "m") for i in range(3)]
        baseline = self._measures.baseline("ITRF", *quantities)
        uvw = np.empty((len(times_s), len(positions), 3))
        for i, time_s in enumerate(times_s):
            self._at(time_s)
            uvw[i] = np.reshape(self._measures.to_uvw(baseline)["xyz"].get_value(), (-1, 3))
        return uvw

    def rotations(self, times_s: Array) -> Array:
        """Matrices that turn J2000 vectors near the phase centre to ITRF, (times, 3, 3)."""
        centre = unit_vectors(np.array(self.ra_rad), np.array(self.dec_rad))[0]
        east = np.array([-np.sin(self.ra_rad), np.cos(self.ra_rad), 0.0])
        local = np.stack([centre, east, np.cross(centre, east)])
        matrices = np.empty((len(times_s), 3, 3))
        for i, time_s in enumerate(times_s):
            self._at(time_s)
            towards = self._itrf(self.ra_rad, self.dec_rad)
            step = 0.01
            near = centre + step * east
            ra, dec = np.arctan2(near[1], near[0]), np.arctan2(near[2], np.hypot(*near[:2]))
            side = self._itrf(float(ra), float(dec))
            side -= towards * (side @ towards)
            side /= np.linalg.norm(side)
            matrices[i] = np.stack([towards, side, np.cross(towards, side)]).T @ local
        return matrices

    def _itrf(self, ra_rad: float, dec_rad: float) -> Array:
        seen = self._measures.measure(self._direction(ra_rad, dec_rad), "ITRF")
        lon, lat = seen["m0"]["value"], seen["m1"]["value"]
        return np.asarray(unit_vectors(np.array(lon), np.array(lat))[0])

    def time_of_hour_angle(self, hour_angle_h: float) -> float:
        """First time (MJD, s) after the earliest date when the centre has this hour angle."""
        longitude = np.arctan2(self.position[1], self.position[0])
        time_s = _NOT_BEFORE_S
        for attempt in range(3):
            self._at(time_s)
            x, y, _ = self._itrf(self.ra_rad, self.dec_rad)
            missing = np.radians(15.0 * hour_angle_h) - (longitude - np.arctan2(y, x))
            missing = missing % (2 * np.pi) if attempt == 0 else (missing + np.pi) % (2 * np.pi) - np.pi
            time_s += missing / (2 * np.pi) * 86400 / _SIDEREAL
        return float(time_s)


def local_axes(position: Array) -> Array:
    """Rows: east, north and up (WGS84) at an ITRF position."""
    longitude = np.arctan2(position[1], position[0])
    # Geodetic from geocentric latitude with the eccentricity of WGS84 (exact at the surface).
    latitude = np.arctan2(position[2], (1 - 0.00669437999) * np.hypot(position[0], position[1]))
    up = unit_vectors(longitude, latitude)[0]
    east = np.array([-np.sin(longitude), np.cos(longitude), 0.0])
    return np.stack([east, np.cross(up, east), up])
