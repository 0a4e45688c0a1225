"""Making a chunk: Factor's own copy of a piece of a measurement set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factor.errors import FactorError
from factor.observation.bands import CHUNK_KEYWORD, open_readonly

if TYPE_CHECKING:
    from casacore.tables import table as Table  # noqa: N812

    Rows = np.ndarray[Any, np.dtype[np.int64]]

_BLOCK_BYTES = 64_000_000
_TILE_BYTES = 1_000_000

#: Subtables of which a chunk has no need: statistics of the whole input.
_SKIPPED_SUBTABLES = ("QUALITY_",)

_SCALARS = (
    "TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "ANTENNA1", "ANTENNA2", "ARRAY_ID", "DATA_DESC_ID",
    "FEED1", "FEED2", "FIELD_ID", "FLAG_ROW", "OBSERVATION_ID", "PROCESSOR_ID", "SCAN_NUMBER", "STATE_ID",
)  # fmt: skip


@dataclass(frozen=True)
class CopyJob:
    """One chunk file to be made.

    Attributes
    ----------
    sources : tuple of Path
        The files that have data of these times.
    column : str
        Their column with the subtracted data.
    target : Path
        The chunk.
    first_slot_mjd_s, interval_s : float
        Middle of the first time slot; length of a slot.
    n_slots : int
        Number of time slots.
    keyword : mapping
        What the chunk says of itself.
    """

    sources: tuple[Path, ...]
    column: str
    target: Path
    first_slot_mjd_s: float
    interval_s: float
    n_slots: int
    keyword: Mapping[str, Any]


def copy_chunk(job: CopyJob) -> Path:
    """Make one chunk; it appears under its name when it is complete.

    Every time slot holds every baseline, in one order: what the input lacks is there,
    flagged and with weight 0. DATA and CORRECTED_DATA both get the subtracted data.

    Parameters
    ----------
    job : CopyJob
        What to copy.

    Returns
    -------
    Path
        The chunk.

    Raises
    ------
    FactorError
        When the input can't be read or the chunk not be written.
    """
    draft = job.target.with_name(job.target.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        _write(job, draft)
        draft.rename(job.target)
    except (RuntimeError, OSError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        names = ", ".join(str(path) for path in job.sources)
        raise FactorError(f"{job.target} could not be made from {names}: {error}") from error
    return job.target


def _write(job: CopyJob, draft: Path) -> None:
    sources = [_sorted_by_time(open_readonly(path)) for path in job.sources]
    rows, baselines = _row_maps(job, sources)
    first = sources[0]
    target = _create(draft, first, job, n_rows=job.n_slots * len(baselines))
    try:
        _copy_rows(job, sources, rows, target)
        _fill_missing(job, rows, baselines, target)
        target.putkeyword(CHUNK_KEYWORD, json.dumps(dict(job.keyword)))
        target.flush()
    finally:
        target.close()
        for source in sources:
            source.close()


def _sorted_by_time(main: Table) -> Table:
    times = main.getcol("TIME")
    return main if bool(np.all(np.diff(times) >= 0)) else main.sort("TIME")


def _row_maps(job: CopyJob, sources: Sequence[Table]) -> tuple[list[Rows], Rows]:
    """Source row of each target row (-1: none) for each source, and the baselines' order.

    The order is that of the first source's rows, so that a regular file is copied as it is.
    """
    pairs_of, slots_of, rows_of = [], [], []
    for source in sources:
        slots = np.rint((source.getcol("TIME") - job.first_slot_mjd_s) / job.interval_s)
        rows = np.flatnonzero((slots >= 0) & (slots < job.n_slots))
        pairs = source.getcol("ANTENNA1").astype(np.int64) * 65536 + source.getcol("ANTENNA2")
        pairs_of.append(pairs[rows])
        slots_of.append(slots[rows].astype(np.int64))
        rows_of.append(rows)
    unique, order = _baseline_order(np.concatenate(pairs_of), np.concatenate(slots_of))
    rank = np.empty(len(unique), dtype=np.int64)
    rank[order] = np.arange(len(unique))
    maps = []
    for pairs, slots, rows in zip(pairs_of, slots_of, rows_of, strict=True):
        row_map = np.full(job.n_slots * len(unique), -1, dtype=np.int64)
        row_map[slots * len(unique) + rank[np.searchsorted(unique, pairs)]] = rows
        maps.append(row_map)
    return maps, unique[order]


def _baseline_order(pairs: Rows, slots: Rows) -> tuple[Rows, Rows]:
    """Baselines, ascending, and their order in the first time slot that has all of them."""
    unique, number = np.unique(pairs, return_inverse=True)
    full = np.flatnonzero(np.bincount(slots) == len(unique))
    if not full.size:
        return unique, np.arange(len(unique))
    return unique, number[slots == full[0]]


def _create(draft: Path, source: Table, job: CopyJob, n_rows: int) -> Table:
    """Make the empty chunk: columns, storage, keywords and subtables."""
    from casacore import tables

    n_chan, n_corr = source.getcell(job.column, 0).shape
    shapes = {
        "DATA": ("complex", 8, (n_chan, n_corr)),
        "CORRECTED_DATA": ("complex", 8, (n_chan, n_corr)),
        "FLAG": ("boolean", 1 / 8, (n_chan, n_corr)),
        "WEIGHT_SPECTRUM": ("float", 4, (n_chan, n_corr)),
        "UVW": ("double", 8, (3,)),
        # Indirect arrays in an IncrementalStMan cost a second per ten thousand rows.
        "WEIGHT": ("float", 4, (n_corr,)),
        "SIGMA": ("float", 4, (n_corr,)),
    }
    description = tables.required_ms_desc()
    managers = {}
    for name, (kind, n_bytes, shape) in shapes.items():
        description[name] = tables.makearrcoldesc(
            name,
            0.0 if kind != "boolean" else False,
            shape=list(shape),
            valuetype=kind,
            options=4,
            datamanagertype="TiledColumnStMan",
            datamanagergroup=f"Tiled{name}",
        )["desc"]
        row_bytes = n_bytes * shape[0] * (shape[1] if len(shape) > 1 else 1)
        tile_rows = max(1, min(n_rows, int(_TILE_BYTES / row_bytes)))
        managers[name] = {
            "TYPE": "TiledColumnStMan",
            "NAME": f"Tiled{name}",
            "COLUMNS": [name],
            "SPEC": {"DEFAULTTILESHAPE": [*reversed(shape), tile_rows]},
        }
    managers["rest"] = {
        "TYPE": "IncrementalStMan",
        "NAME": "Incremental",
        "COLUMNS": [
            *(name for name in _SCALARS if name not in ("ANTENNA1", "ANTENNA2")),
            "FLAG_CATEGORY",
        ],
        "SPEC": {},
    }
    managers["antennas"] = {
        "TYPE": "StandardStMan",
        "NAME": "Standard",
        "COLUMNS": ["ANTENNA1", "ANTENNA2"],
        "SPEC": {"BUCKETSIZE": 32768},
    }
    info = {f"*{i + 1}": manager for i, manager in enumerate(managers.values())}
    target = tables.table(str(draft), description, nrow=n_rows, dminfo=info, ack=False)
    target.putinfo({"type": "Measurement Set", "subType": "", "readme": "A chunk made by Factor\n"})
    _copy_keywords(source, target, job.column)
    _copy_subtables(source, target, draft)
    return target


def _copy_keywords(source: Table, target: Table, column: str) -> None:
    origin = {"DATA": column, "CORRECTED_DATA": column}
    present = set(source.colnames())
    for name in target.colnames():
        origin_name = origin.get(name, name)
        if origin_name in present:
            for key, value in source.getcolkeywords(origin_name).items():
                target.putcolkeyword(name, key, value)


def _copy_subtables(source: Table, target: Table, draft: Path) -> None:
    from casacore import tables

    for key, value in source.getkeywords().items():
        if key == CHUNK_KEYWORD or key.startswith(_SKIPPED_SUBTABLES):
            continue
        if not (isinstance(value, str) and value.startswith("Table: ")):
            target.putkeyword(key, value)
            continue
        name = str(draft / key)
        with tables.table(value.removeprefix("Table: "), ack=False, lockoptions="usernoread") as part:
            part.copy(name, deep=True, valuecopy=True).close()
        target.putkeyword(key, f"Table: {name}")


def _copy_rows(job: CopyJob, sources: Sequence[Table], rows: Sequence[Rows], target: Table) -> None:
    arrays = {
        "UVW": ("UVW",),
        "FLAG": ("FLAG",),
        "WEIGHT_SPECTRUM": ("WEIGHT_SPECTRUM",),
        job.column: ("DATA", "CORRECTED_DATA"),
    }
    arrays.update({name: (name,) for name in _SCALARS})
    arrays.update({name: (name,) for name in ("WEIGHT", "SIGMA")})
    for source, row_map in zip(sources, rows, strict=True):
        example = int(row_map.max())
        for name, targets in arrays.items():
            if name in source.colnames() and source.iscelldefined(name, example):
                _copy_column(source, name, row_map, target, targets)


def _copy_column(source: Table, name: str, row_map: Rows, target: Table, targets: tuple[str, ...]) -> None:
    sample = np.asarray(source.getcell(name, int(row_map.max())))
    step = max(1, _BLOCK_BYTES // sample.nbytes) if sample.ndim else len(row_map)
    for start in range(0, len(row_map), step):
        wanted = row_map[start : start + step]
        there = np.flatnonzero(wanted >= 0)
        if not there.size:
            continue
        low, high = int(wanted[there].min()), int(wanted[there].max())
        values = source.getcol(name, low, high - low + 1)
        complete = there.size == len(wanted) and high - low + 1 == len(wanted)
        if complete and bool(np.all(np.diff(wanted) == 1)):
            block = values
        else:
            # What another source has written stays.
            block = np.zeros((len(wanted), *sample.shape), dtype=values.dtype)
            if there.size < len(wanted):
                block = _existing(target, targets[0], start, block)
            block[there] = values[wanted[there] - low]
        for column in targets:
            target.putcol(column, block, start, len(wanted))


def _existing(target: Table, name: str, start: int, block: Any) -> Any:
    try:
        return target.getcol(name, start, len(block))
    except RuntimeError:
        # A cell without a value: nothing was written yet.
        return block


def _fill_missing(job: CopyJob, rows: Sequence[Rows], baselines: Rows, target: Table) -> None:
    """Give the rows that no source has a time, a baseline, flags and plausible uvw."""
    missing = np.flatnonzero(np.max(np.stack(rows), axis=0) < 0)
    if not missing.size:
        return
    n_baselines = len(baselines)
    for name, values in (
        ("ANTENNA1", np.tile(baselines // 65536, job.n_slots)),
        ("ANTENNA2", np.tile(baselines % 65536, job.n_slots)),
        ("TIME", np.repeat(_grid(job), n_baselines)),
        ("TIME_CENTROID", np.repeat(_grid(job), n_baselines)),
        ("INTERVAL", np.full(job.n_slots * n_baselines, job.interval_s)),
        ("EXPOSURE", np.full(job.n_slots * n_baselines, job.interval_s)),
        ("UVW", _interpolated_uvw(job, missing, n_baselines, target)),
    ):
        column = target.getcol(name)
        column[missing] = values[missing]
        target.putcol(name, column)
    for slot in np.unique(missing // n_baselines):
        start = int(slot) * n_baselines
        flags = target.getcol("FLAG", start, n_baselines)
        flags[missing[missing // n_baselines == slot] - start] = True
        target.putcol("FLAG", flags, start, n_baselines)


def _grid(job: CopyJob) -> Any:
    return job.first_slot_mjd_s + job.interval_s * np.arange(job.n_slots)


def _interpolated_uvw(job: CopyJob, missing: Rows, n_baselines: int, target: Table) -> Any:
    """Give uvw of all rows, along each baseline linear in time where rows are missing."""
    uvw = target.getcol("UVW").reshape(job.n_slots, n_baselines, 3)
    rows = np.ones(job.n_slots * n_baselines, dtype=bool)
    rows[missing] = False
    there = rows.reshape(job.n_slots, n_baselines)
    slots = np.arange(job.n_slots)
    for baseline in range(n_baselines):
        known = there[:, baseline]
        if known.all() or not known.any():
            continue
        for axis in range(3):
            uvw[~known, baseline, axis] = np.interp(slots[~known], slots[known], uvw[known, baseline, axis])
    return uvw.reshape(-1, 3)
