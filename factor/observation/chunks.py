"""The chunks folder: making what is planned, keeping what is there, reading it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factor.errors import FactorError, InputError
from factor.observation.bands import CHUNK_KEYWORD, open_readonly
from factor.observation.copy import CopyJob, copy_chunk
from factor.observation.model import Band, Chunk, ChunkFile, Observation
from factor.observation.plan import ChunkPlan, FilePlan
from factor.observation.pool import run_in_processes
from factor.state.ledger import Ledger
from factor.workspace import Workspace

#: Format of what a chunk says of itself; a newer one is refused.
CHUNK_VERSION = 1

#: Relative and absolute (s, MJD) precision with which an input is recognised.
_SAME_FREQ = 1e-6
_SAME_TIME_S = 0.01

_REMEDY = (
    "give back the input as it was, or begin again: delete chunks/, results/ and state/ of the "
    "working directory (or set another dir_working)"
)


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


def make_chunks(plan: Sequence[ChunkPlan], workspace: Workspace, jobs: int = 1) -> Observation:
    """Make the chunks that are not there yet, and give the observation that they form.

    Parameters
    ----------
    plan : sequence of ChunkPlan
        From `plan_chunks`.
    workspace : Workspace
        The working directory.
    jobs : int
        Chunk files that are copied at once.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        When chunks that are there were made from another input.
    FactorError
        When the disk is too small or a chunk can't be made.
    """
    files = [(chunk, file, _target(workspace, chunk, file)) for chunk in plan for file in chunk.files]
    notes = {target: _note(chunk, file) for chunk, file, target in files}
    _refuse_other_input(notes, workspace)
    missing = [item for item in files if not item[2].exists()]
    _check_disk([(chunk, file) for chunk, file, _ in missing], workspace)
    for band in {file.band.name: file.band for _, file, _ in files}.values():
        _copy_skymodel(band.skymodel, _skymodel(workspace, band.name))
    tasks = []
    for chunk, file, target in missing:
        Ledger(workspace, target).create()
        tasks.append(
            CopyJob(
                tuple(info.path for info in file.sources),
                file.sources[0].data_column,
                target,
                chunk.first_slot_mjd_s,
                chunk.interval_s,
                chunk.n_slots,
                asdict(notes[target]),
            )
        )
    run_in_processes(copy_chunk, [(task,) for task in tasks], jobs)
    return _observation({target: notes[target] for _, _, target in files}, workspace)


def load_observation(workspace: Workspace) -> Observation:
    """Read the observation from the chunks that are there.

    Parameters
    ----------
    workspace : Workspace
        The working directory.

    Returns
    -------
    Observation

    Raises
    ------
    InputError
        When there are no chunks, or one of them can't be read.
    """
    notes = _existing_notes(workspace)
    if not notes:
        raise InputError(f"{workspace.chunks}: no chunks there", "run Factor with dir_ms set to the input")
    return _observation(notes, workspace)


def known_flagged_fractions(workspace: Workspace) -> dict[str, float]:
    """Give the flagged fractions of input files from which there are chunks, by file name.

    Parameters
    ----------
    workspace : Workspace
        The working directory.

    Returns
    -------
    dict of str to float
        Of files whose name stands for one file only.
    """
    known: dict[str, set[float]] = {}
    for note in _existing_notes(workspace).values():
        for source in note.sources:
            known.setdefault(source["name"], set()).add(source["flagged_fraction"])
    return {name: values.pop() for name, values in known.items() if len(values) == 1}


def chunk_bytes(chunk: ChunkPlan, file: FilePlan) -> int:
    """Estimate the size on disk of a chunk file.

    Parameters
    ----------
    chunk : ChunkPlan
        Its times.
    file : FilePlan
        Its band.

    Returns
    -------
    int
        Two columns of data, weights, flags and 100 bytes of coordinates per row, and 10 MB
        of subtables.
    """
    n_baselines = max(info.n_baselines for info in file.sources)
    values = len(file.band.freqs_hz) * 4
    return int(chunk.n_slots * n_baselines * (values * (8 + 8 + 4 + 1 / 8) + 100)) + 10_000_000


def bytes_needed(plan: Sequence[ChunkPlan], workspace: Workspace) -> int:
    """Estimate the size on disk of the chunks that are not there yet.

    Parameters
    ----------
    plan : sequence of ChunkPlan
        From `plan_chunks`.
    workspace : Workspace
        The working directory.

    Returns
    -------
    int
    """
    return sum(
        chunk_bytes(chunk, file)
        for chunk in plan
        for file in chunk.files
        if not _target(workspace, chunk, file).exists()
    )


def _target(workspace: Workspace, chunk: ChunkPlan, file: FilePlan) -> Path:
    return workspace.chunk(file.band.name, file.ms_stem, chunk.index)


def _skymodel(workspace: Workspace, band: str) -> Path:
    return workspace.band(band) / f"{band}.skymodel"


def _note(chunk: ChunkPlan, file: FilePlan) -> ChunkNote:
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


def _existing_notes(workspace: Workspace) -> dict[Path, ChunkNote]:
    notes, problems = {}, []
    for path in sorted(workspace.chunks.glob("Band_*/*_chunk*.ms")):
        try:
            notes[path] = _read_note(path)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            problems.append(f"{path}: not a readable chunk of Factor ({error})")
    if problems:
        raise InputError(problems, "delete these, Factor then makes them again from dir_ms")
    return notes


def _read_note(path: Path) -> ChunkNote:
    with open_readonly(path) as main:
        content: dict[str, Any] = json.loads(main.getkeyword(CHUNK_KEYWORD))
    if content["version"] > CHUNK_VERSION:
        raise InputError(
            f"{path} was made by a newer Factor (format {content['version']}, known: {CHUNK_VERSION})",
            "go on with that Factor, or use another working directory",
        )
    return ChunkNote(**content)


def _refuse_other_input(notes: Mapping[Path, ChunkNote], workspace: Workspace) -> None:
    """Raise when chunks that are there do not come from this input cut this way."""
    problems = []
    for path, note in _existing_notes(workspace).items():
        if path not in notes:
            problems.append(
                f"{path} is not part of the chunks that dir_ms gives now (files {_names(note)} "
                "are gone or skipped, chunk_size_sec or the bands have changed)"
            )
        else:
            problems += [f"{path}: {what}" for what in _differences(note, notes[path])]
    if problems:
        raise InputError(problems, _REMEDY)


def _names(note: ChunkNote) -> str:
    return ", ".join(source["name"] for source in note.sources)


def _differences(old: ChunkNote, new: ChunkNote) -> list[str]:
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


def _check_disk(missing: Sequence[tuple[ChunkPlan, FilePlan]], workspace: Workspace) -> None:
    needed = sum(chunk_bytes(chunk, file) for chunk, file in missing)
    if not needed:
        return
    workspace.chunks.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(workspace.chunks).free
    if needed > free:
        raise FactorError(
            f"{workspace.chunks}: {len(missing)} chunk files need {needed / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free",
            "make room there, or set dir_working to a larger disk",
        )


def _copy_skymodel(source: Path, target: Path) -> None:
    """Copy a sky model once: what was subtracted does not change during a run."""
    if target.exists():
        if target.read_bytes() != source.read_bytes():
            raise InputError(f"{source} differs from {target}, with which the chunks were made", _REMEDY)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, draft)
    draft.replace(target)


def _observation(notes: Mapping[Path, ChunkNote], workspace: Workspace) -> Observation:
    ordered = sorted(notes.items(), key=lambda item: (item[1].index, item[1].freqs_hz[0]))
    bands = {
        note.band: Band(
            name=note.band,
            freq_hz=0.5 * (note.freqs_hz[0] + note.freqs_hz[-1]),
            freqs_hz=tuple(note.freqs_hz),
            chan_width_hz=note.chan_width_hz,
            skymodel=_skymodel(workspace, note.band),
        )
        for _, note in reversed(ordered)
    }
    fractions = {note.band: note.band_flagged_fraction for _, note in ordered}
    first = ordered[0][1]
    elevations = {note.index: note.mean_elevation_rad for _, note in ordered}
    return Observation(
        bands=tuple(sorted(bands.values(), key=lambda band: band.freq_hz)),
        chunks=tuple(
            _chunk([(path, note) for path, note in ordered if note.index == index], workspace)
            for index in sorted(elevations)
        ),
        ra_deg=first.ra_deg,
        dec_deg=first.dec_deg,
        mean_elevation_rad=sum(elevations.values()) / len(elevations),
        station_diameter_m=first.station_diameter_m,
        stations=tuple(dict.fromkeys(name for _, note in ordered for name in note.stations)),
        flagged_fraction=sum(fractions.values()) / len(fractions),
    )


def _chunk(files: Sequence[tuple[Path, ChunkNote]], workspace: Workspace) -> Chunk:
    note = files[0][1]
    start = note.first_slot_mjd_s - 0.5 * note.interval_s
    return Chunk(
        index=note.index,
        start_mjd_s=start,
        end_mjd_s=start + note.n_slots * note.interval_s,
        n_slots=note.n_slots,
        interval_s=note.interval_s,
        night=note.night,
        files=tuple(
            ChunkFile(
                path=path,
                band=item.band,
                freqs_hz=tuple(item.freqs_hz),
                chan_width_hz=item.chan_width_hz,
                skymodel=_skymodel(workspace, item.band),
            )
            for path, item in files
        ),
    )
