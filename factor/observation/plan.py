"""Cutting the observation into chunks of time, on paper.

Files that overlap in time form a scan; a scan is cut for all bands at the same times, so
that one chunk index means the same times in every band. A scan is longer than a file
only where files of one band are interleaved or bands were cut differently before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factor.errors import InputError
from factor.observation.bands import MsInfo
from factor.observation.checks import BandInput
from factor.workspace import parse_chunk_file_name

#: A longer gap in a file is not filled with flagged time slots.
MAX_FILLED_GAP_SLOTS = 10

#: Scans further apart belong to different nights.
NIGHT_GAP_S = 4 * 3600.0

#: Times of a scan lie on one grid within this part of a slot.
_GRID_TOLERANCE = 0.2


@dataclass(frozen=True)
class FilePlan:
    """One measurement set to be made: a band's part of a chunk.

    Attributes
    ----------
    band : BandInput
        The band.
    ms_stem : str
        Its name begins with it.
    sources : tuple of MsInfo
        The files that have data of these times.
    """

    band: BandInput
    ms_stem: str
    sources: tuple[MsInfo, ...]


@dataclass(frozen=True)
class ChunkPlan:
    """A chunk to be made.

    Attributes
    ----------
    index : int
        Unique over all nights, ascending with time.
    night : int
        Number of the night, from 0.
    first_slot_mjd_s : float
        Middle of its first time slot.
    n_slots : int
        Number of time slots.
    interval_s : float
        Length of a time slot.
    files : tuple of FilePlan
        Sorted by frequency.
    """

    index: int
    night: int
    first_slot_mjd_s: float
    n_slots: int
    interval_s: float
    files: tuple[FilePlan, ...]

    @property
    def start_mjd_s(self) -> float:
        """Start of the first time slot."""
        return self.first_slot_mjd_s - 0.5 * self.interval_s

    @property
    def end_mjd_s(self) -> float:
        """End of the last time slot."""
        return self.start_mjd_s + self.n_slots * self.interval_s


@dataclass(frozen=True)
class _Segment:
    """A stretch of a file's times without a gap."""

    band: BandInput
    info: MsInfo
    times: tuple[float, ...]


def plan_chunks(bands: Sequence[BandInput], chunk_size_s: float) -> tuple[ChunkPlan, ...]:
    """Plan the chunks of an observation.

    What is longer than twice the chunk size is cut into int(length / chunk size) pieces,
    the last taking the rest; the others are one chunk each.

    Parameters
    ----------
    bands : sequence of BandInput
        The bands of `check_input`.
    chunk_size_s : float
        Wanted length.

    Returns
    -------
    tuple of ChunkPlan
        Sorted by time.

    Raises
    ------
    InputError
        When times of files that overlap do not lie on one grid.
    """
    plans: list[ChunkPlan] = []
    night, last_end = 0, None
    for scan in _scans(bands):
        interval = scan[0].info.interval_s
        first = min(segment.times[0] for segment in scan)
        _check_grid(scan, first, interval)
        n_slots = round((max(segment.times[-1] for segment in scan) - first) / interval) + 1
        if last_end is not None and first - last_end > NIGHT_GAP_S:
            night += 1
        last_end = first + n_slots * interval
        for start, count in _cut(n_slots, interval, chunk_size_s):
            begin = first + start * interval
            files = _files(scan, begin, begin + (count - 1) * interval, 0.5 * interval)
            if files:
                plans.append(ChunkPlan(len(plans), night, begin, count, interval, files))
    return tuple(plans)


def _segments(bands: Sequence[BandInput]) -> list[_Segment]:
    segments = []
    for band in bands:
        for info in band.files:
            times, begin = info.times_mjd_s, 0
            limit = (MAX_FILLED_GAP_SLOTS + 1.5) * info.interval_s
            for i in range(1, len(times) + 1):
                if i == len(times) or times[i] - times[i - 1] > limit:
                    segments.append(_Segment(band, info, times[begin:i]))
                    begin = i
    return sorted(segments, key=lambda segment: (segment.times[0], segment.band.freqs_hz[0]))


def _scans(bands: Sequence[BandInput]) -> list[list[_Segment]]:
    """Segments that overlap in time, directly or through others."""
    scans: list[list[_Segment]] = []
    end = 0.0
    for segment in _segments(bands):
        if scans and segment.times[0] < end + 0.5 * segment.info.interval_s:
            scans[-1].append(segment)
            end = max(end, segment.times[-1])
        else:
            scans.append([segment])
            end = segment.times[-1]
    return scans


def _check_grid(scan: Sequence[_Segment], first: float, interval: float) -> None:
    problems = []
    for segment in scan:
        offsets = [(time - first) / interval for time in segment.times]
        worst = max(abs(offset - round(offset)) for offset in offsets)
        if worst > _GRID_TOLERANCE:
            problems.append(
                f"{segment.info.path}: its time slots are {worst * interval:.2f} s off those of "
                f"{scan[0].info.path}, which has data of the same time (slots of {interval:.2f} s)"
            )
    if problems:
        raise InputError(problems, "average all bands to the same time slots first")


def _cut(n_slots: int, interval_s: float, chunk_size_s: float) -> list[tuple[int, int]]:
    """Start and number of slots of each piece."""
    length = n_slots * interval_s
    if length <= 2.0 * chunk_size_s:
        return [(0, n_slots)]
    pieces = int(length / chunk_size_s)
    each = int(chunk_size_s / interval_s)
    return [(piece * each, each if piece < pieces - 1 else n_slots - piece * each) for piece in range(pieces)]


def _files(scan: Sequence[_Segment], first: float, last: float, half: float) -> tuple[FilePlan, ...]:
    """What each band has between two slots."""
    found: dict[str, tuple[BandInput, list[MsInfo]]] = {}
    for segment in scan:
        inside = segment.times[0] < last + half and segment.times[-1] > first - half
        if inside and any(first - half < time < last + half for time in segment.times):
            infos = found.setdefault(segment.band.name, (segment.band, []))[1]
            if segment.info not in infos:
                infos.append(segment.info)
    return tuple(
        FilePlan(band, _stem(infos[0]), tuple(infos))
        for band, infos in sorted(found.values(), key=lambda item: item[0].freqs_hz[0])
    )


def _stem(info: MsInfo) -> str:
    """Name of a measurement set without its extension, and without an earlier chunk's index."""
    parsed = parse_chunk_file_name(info.path.name)
    return parsed[0] if parsed and info.chunk is not None else info.path.stem
