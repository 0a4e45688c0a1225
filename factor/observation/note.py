"""What a chunk says of itself, so that it needs neither the input nor the state to be known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factor.errors import InputError
from factor.observation.bands import CHUNK_KEYWORD, open_readonly
from factor.observation.plan import ChunkPlan, FilePlan

#: Format of what a chunk says of itself; a newer one is refused.
CHUNK_VERSION = 1

#: Relative and absolute (s, MJD) precision with which an input is recognised.
_SAME_FREQ = 1e-6
_SAME_TIME_S = 0.01


@dataclass(frozen=True)
class ChunkNote:
    """What a chunk says of itself, kept in its measurement set as JSON.

    Attributes
    ----------
    version : int
        Format of the note.
    band, skymodel : str
        Name of the band; file name of its sky model beside the chunk.
    index, night : int
        Of the chunk.
    first_slot_mjd_s, interval_s : float
        Middle of the first time slot; length of a slot.
    n_slots : int
        Number of time slots.
    freqs_hz : list of float
        Channel centres.
    chan_width_hz, ra_deg, dec_deg, mean_elevation_rad, station_diameter_m : float
        Of the input.
    stations : list of str
        Of the input.
    band_flagged_fraction : float
        Of the whole band.
    sources : list of dict
        For each file of the input: name, n_rows, first and last time (MJD s), and
        flagged_fraction.
    """

    version: int
    band: str
    skymodel: str
    index: int
    night: int
    first_slot_mjd_s: float
    interval_s: float
    n_slots: int
    freqs_hz: list[float]
    chan_width_hz: float
    ra_deg: float
    dec_deg: float
    mean_elevation_rad: float
    station_diameter_m: float
    stations: list[str]
    band_flagged_fraction: float
    sources: list[dict[str, Any]]

    @property
    def source_names(self) -> str:
        """File names of the input that it was made from."""
        return ", ".join(source["name"] for source in self.sources)


def describe(chunk: ChunkPlan, file: FilePlan) -> ChunkNote:
    """Give the note for a chunk file that is planned.

    Parameters
    ----------
    chunk : ChunkPlan
        Its times.
    file : FilePlan
        Its band and sources.
    """
    first = file.sources[0]
    return ChunkNote(
        version=CHUNK_VERSION,
        band=file.band.name,
        skymodel=f"{file.band.name}.skymodel",
        index=chunk.index,
        night=chunk.night,
        first_slot_mjd_s=chunk.first_slot_mjd_s,
        interval_s=chunk.interval_s,
        n_slots=chunk.n_slots,
        freqs_hz=list(file.band.freqs_hz),
        chan_width_hz=file.band.chan_width_hz,
        ra_deg=first.ra_deg,
        dec_deg=first.dec_deg,
        mean_elevation_rad=first.mean_elevation_rad,
        station_diameter_m=first.station_diameter_m,
        stations=list(first.stations),
        band_flagged_fraction=file.band.flagged_fraction,
        sources=[
            {
                "name": info.path.name,
                "n_rows": info.n_rows,
                "first_mjd_s": info.times_mjd_s[0],
                "last_mjd_s": info.times_mjd_s[-1],
                "flagged_fraction": info.flagged_fraction,
            }
            for info in file.sources
        ],
    )


def read_note(path: Path) -> ChunkNote:
    """Read the note of a chunk that is there.

    Parameters
    ----------
    path : Path
        The chunk.

    Raises
    ------
    InputError
        When it was made by a newer Factor.
    RuntimeError, KeyError, TypeError, ValueError
        When it is not a chunk.
    """
    with open_readonly(path) as main:
        content: dict[str, Any] = json.loads(main.getkeyword(CHUNK_KEYWORD))
    if content["version"] > CHUNK_VERSION:
        raise InputError(
            f"{path} was made by a newer Factor (format {content['version']}, known: {CHUNK_VERSION})",
            "go on with that Factor, or use another working directory",
        )
    return ChunkNote(**content)


def differences(old: ChunkNote, new: ChunkNote) -> list[str]:
    """Tell in what a chunk that is there and one that is planned are not the same.

    Parameters
    ----------
    old, new : ChunkNote
        Of what is there, and of what is planned.

    Returns
    -------
    list of str
        Empty when the chunk can be kept.
    """
    found = []
    same_freqs = len(old.freqs_hz) == len(new.freqs_hz) and all(
        abs(a - b) <= _SAME_FREQ * a for a, b in zip(old.freqs_hz, new.freqs_hz, strict=True)
    )
    if not same_freqs:
        found.append(
            f"made with {len(old.freqs_hz)} channels from {old.freqs_hz[0] / 1e6:.4f} MHz, the "
            f"input now has {len(new.freqs_hz)} from {new.freqs_hz[0] / 1e6:.4f} MHz"
        )
    shift = new.first_slot_mjd_s - old.first_slot_mjd_s
    if (
        old.n_slots != new.n_slots
        or abs(shift) > _SAME_TIME_S
        or (abs(old.interval_s - new.interval_s) * old.n_slots > _SAME_TIME_S)
    ):
        found.append(
            f"made with {old.n_slots} time slots of {old.interval_s:.4f} s, now it would have "
            f"{new.n_slots} of {new.interval_s:.4f} s beginning {shift:.1f} s later "
            "(input or chunk_size_sec changed)"
        )
    before = {source["name"]: source for source in old.sources}
    for source in new.sources:
        known = before.get(source["name"])
        # Another name is a chunk of this file in place of the file, or the other way round.
        if known is not None and known["n_rows"] != source["n_rows"]:
            found.append(
                f"made from {source['name']} with {known['n_rows']} rows, it now has {source['n_rows']}"
            )
    return found
