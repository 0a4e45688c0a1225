"""The chunks folder: making what is planned, keeping what is there, reading it back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from factor.errors import FactorError, InputError
from factor.files import copy_whole, place_of
from factor.observation.copy import CopyJob, copy_chunk
from factor.observation.model import Band, Chunk, ChunkFile, Observation
from factor.observation.note import ChunkNote, describe, differences, read_note
from factor.observation.plan import ChunkPlan, FilePlan
from factor.observation.pool import run_in_processes
from factor.state.ledger import Ledger
from factor.workspace import Workspace

_REMEDY = (
    "give back the input as it was, or begin again: delete chunks/, results/ and state/ of the "
    "working directory (or set another dir_working)"
)


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

    Raises
    ------
    InputError
        When chunks that are there were made from another input.
    FactorError
        When the disk is too small or a chunk can't be made.
    """
    check_made(plan, workspace)
    notes = planned_notes(plan, workspace)
    for leftover in workspace.chunks.glob("Band_*/*.ms.part"):
        shutil.rmtree(leftover)
    missing = _missing(plan, workspace)
    check_disk(plan, workspace)
    for source, copy in _skymodels(plan, workspace):
        # What was subtracted does not change during a run.
        if not copy.exists():
            copy_whole(source, copy)
    tasks = []
    for chunk, file, target in missing:
        Ledger(workspace, target).create()
        workspace.wild(target).unlink(missing_ok=True)
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
    return observation_of(notes, workspace)


def planned_notes(plan: Sequence[ChunkPlan], workspace: Workspace) -> dict[Path, ChunkNote]:
    """Give what a plan's chunks will say of themselves."""
    return {_target(workspace, chunk, file): describe(chunk, file) for chunk in plan for file in chunk.files}


def planned_observation(plan: Sequence[ChunkPlan], workspace: Workspace) -> Observation:
    """Give the observation that a plan's chunks will form, with the input's sky models."""
    planned = observation_of(planned_notes(plan, workspace), workspace)
    models = {file.band.name: file.band.skymodel for chunk in plan for file in chunk.files}
    return replace(
        planned,
        bands=tuple(replace(band, skymodel=models[band.name]) for band in planned.bands),
    )


def load_observation(workspace: Workspace) -> Observation:
    """Read the observation from the chunks that are there.

    Parameters
    ----------
    workspace : Workspace
        The working directory.

    Raises
    ------
    InputError
        When there are no chunks, or one of them can't be read.
    """
    notes = _existing_notes(workspace)
    if not notes:
        raise InputError(f"{workspace.chunks}: no chunks there", "run Factor with dir_ms set to the input")
    return observation_of(notes, workspace)


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


def bytes_needed(plan: Sequence[ChunkPlan], workspace: Workspace) -> int:
    """Estimate the size on disk of the chunks that are not there yet.

    Parameters
    ----------
    plan : sequence of ChunkPlan
        From `plan_chunks`.
    workspace : Workspace
        The working directory.
    """
    return sum(_chunk_bytes(chunk, file) for chunk, file, _ in _missing(plan, workspace))


def _chunk_bytes(chunk: ChunkPlan, file: FilePlan) -> int:
    """Two columns of data, weights, flags, 100 bytes of coordinates per row, and 10 MB of subtables."""
    n_baselines = max(info.n_baselines for info in file.sources)
    values = len(file.band.freqs_hz) * 4
    return int(chunk.n_slots * n_baselines * (values * (8 + 8 + 4 + 1 / 8) + 100)) + 10_000_000


def _missing(plan: Sequence[ChunkPlan], workspace: Workspace) -> list[tuple[ChunkPlan, FilePlan, Path]]:
    files = ((chunk, file, _target(workspace, chunk, file)) for chunk in plan for file in chunk.files)
    return [item for item in files if not item[2].exists()]


def _target(workspace: Workspace, chunk: ChunkPlan, file: FilePlan) -> Path:
    return workspace.chunk(file.band.name, file.ms_stem, chunk.index)


def _skymodel(workspace: Workspace, band: str) -> Path:
    return workspace.band(band) / f"{band}.skymodel"


def _skymodels(plan: Sequence[ChunkPlan], workspace: Workspace) -> list[tuple[Path, Path]]:
    """The sky model of each band, and where its copy is."""
    bands = {file.band.name: file.band for chunk in plan for file in chunk.files}
    return [(band.skymodel, _skymodel(workspace, name)) for name, band in bands.items()]


def _existing_notes(workspace: Workspace) -> dict[Path, ChunkNote]:
    notes, problems = {}, []
    for path in workspace.chunks_there():
        try:
            notes[path] = read_note(path)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            if Ledger(workspace, path).interrupted:
                raise InputError(
                    f"{path}: was being written when a run died, and cannot be read as it is",
                    "run runfactor (not -d or --check): it finishes that first",
                ) from error
            problems.append(f"{path}: not a readable chunk of Factor ({error})")
    if problems:
        raise InputError(problems, "delete these, Factor then makes them again from dir_ms")
    return notes


def check_made(plan: Sequence[ChunkPlan], workspace: Workspace) -> None:
    """Refuse an input that is not the one of the chunks that are there.

    Raises
    ------
    InputError
        When files, times, frequencies or sky models are others.
    """
    refuse_other_input(_existing_notes(workspace), planned_notes(plan, workspace), _REMEDY)
    for source, copy in _skymodels(plan, workspace):
        if copy.exists() and copy.read_bytes() != source.read_bytes():
            raise InputError(f"{source} differs from {copy}, with which the chunks were made", _REMEDY)


def refuse_other_input(
    known: Mapping[Path, ChunkNote], planned: Mapping[Path, ChunkNote], remedy: str
) -> None:
    """Refuse an input that is not the one of chunks that were made before, or is cut otherwise.

    Parameters
    ----------
    known, planned : mapping of Path to ChunkNote
        Of the chunks that were made, and of those that would be made now.
    remedy : str
        What the user can do.

    Raises
    ------
    InputError
        With all that is not the same.
    """
    problems = []
    for path, note in known.items():
        if path not in planned:
            problems.append(
                f"{path} is not part of the chunks that dir_ms gives now (files {note.source_names} "
                "are gone or skipped, chunk_size_sec or the bands have changed)"
            )
        else:
            problems += [f"{path}: {what}" for what in differences(note, planned[path])]
    if problems:
        raise InputError(problems, remedy)


def check_disk(plan: Sequence[ChunkPlan], workspace: Workspace) -> str:
    """Tell what the chunks that are not there yet need of the disk, and what is free.

    Raises
    ------
    FactorError
        When it is not enough, or the working directory cannot be written.
    """
    needed = bytes_needed(plan, workspace)
    there = place_of(workspace.chunks)
    if not os.access(there, os.W_OK):
        raise InputError(
            f"cannot write to {there}, for the working directory {workspace.root}",
            "give another dir_working in section [global] of the parset",
        )
    free = shutil.disk_usage(there).free
    if needed > free:
        raise FactorError(
            f"{workspace.chunks}: chunks need {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free",
            "make room there, or set dir_working to a larger disk",
        )
    return f"{needed / 1e9:.2f} GB of chunks still to be made, {free / 1e9:.3g} GB free in {there}"


def observation_of(notes: Mapping[Path, ChunkNote], workspace: Workspace) -> Observation:
    """Give the observation that chunks form which say this of themselves."""
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
