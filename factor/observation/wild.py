"""Stations gone mad, found before anything is solved for a direction.

The input is calibrated without regard to direction: held against all sources of the sky model
together, the phases of a station change little from slot to slot, and its noise is that of the
others. A single faint calibrator cannot show this: what other sources leave in its data is
steadier than the station.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from factor.observation.model import Chunk, ChunkFile, Observation
from factor.observation.scales import off_scale
from factor.products.solutions.soltabs import FAST_PHASE, Soltab, read_frame, read_soltabs
from factor.products.solutions.weeding import COHERENCE_WINDOW, weed
from factor.state.store import write_json
from factor.tools import runner
from factor.tools.dp3 import ChannelRange, DP3Run, GainCal, Predict, dp3_command
from factor.tools.environment import Tools
from factor.workspace import Workspace

log = logging.getLogger("factor")

#: Format of the note beside a chunk.
WILD_VERSION = 1

#: Channels of the middle band that are looked at, in its middle.
CHANNELS = 4

#: With more of the stations mad it is rather the sky model that is wrong, or too faint.
MOST_WILD = 0.25


@dataclass(frozen=True)
class Wild:
    """A stretch of time in which a station is mad.

    Attributes
    ----------
    station : str
        Its name.
    start_mjd_s, end_mjd_s : float
        From when to when.
    """

    station: str
    start_mjd_s: float
    end_mjd_s: float


def flag_wild(
    observation: Observation, workspace: Workspace, tools: Tools, min_uv_lambda: float, jobs: int
) -> None:
    """Flag mad stations in all chunks in which nobody has looked for them yet, and say so.

    Parameters
    ----------
    observation : Observation
        The chunks.
    workspace : Workspace
        Where the commands are noted, and that a chunk was looked at.
    tools : Tools
        The programs found.
    min_uv_lambda : float
        Shortest baseline of the solve.
    jobs : int
        Solves at once.
    """
    fresh = [chunk for chunk in observation.chunks if not _is_noted(chunk, workspace)]
    with tempfile.TemporaryDirectory(prefix="factor-") as folder, ThreadPoolExecutor(jobs) as pool:
        asked = [(_middle(chunk), Path(folder, f"{chunk.name}.h5")) for chunk in fresh]
        results = pool.map(lambda one: _solve(tools, one[0], one[1], min_uv_lambda), asked)
        # Tables and HDF5 are read in this thread alone.
        for chunk, (file, phases), result in zip(fresh, asked, results, strict=True):
            runner.note(result, f"input {file.path.name}: look for mad stations", workspace.commands_log)
            if result.error:
                log.warning("%s: could not be looked at for mad stations: %s", file.path.name, result.error)
                continue
            distances_m = _distances_m(read_frame(phases).positions)
            stretches = wild_stretches(read_soltabs(phases)[FAST_PHASE], distances_m)
            found = [
                *_believed(chunk, stretches, len(observation.stations)),
                *on_another_scale(chunk, len(observation.stations)),
            ]
            for each in chunk.files:
                if found:
                    _flag(each.path, found)
                # Last: flags that are set twice do no harm.
                note = {"flagged": [asdict(wild) for wild in found]}
                write_json(workspace.wild(each.path), note, WILD_VERSION)


def _middle(chunk: Chunk) -> ChunkFile:
    return chunk.files[len(chunk.files) // 2]


def _is_noted(chunk: Chunk, workspace: Workspace) -> bool:
    return all(workspace.wild(file.path).exists() for file in chunk.files)


def _solve(tools: Tools, file: ChunkFile, phases: Path, min_uv_lambda: float) -> runner.Result:
    """Solve for one phase per station and slot."""
    count = min(CHANNELS, len(file.freqs_hz))
    steps = (
        ChannelRange((len(file.freqs_hz) - count) // 2, count),
        Predict(file.skymodel, "add"),
        GainCal(phases, file.skymodel, "scalarphase", count, min_uv_lambda),
    )
    command = dp3_command(tools, DP3Run((file.path,), "DATA", steps, None, (phases,)))
    return runner.run(command, phases.with_suffix(".out"), phases.with_suffix(".err"))


def wild_stretches(phase: Soltab, distances_m: Mapping[str, float]) -> list[Wild]:
    """Find when the phases of which stations are random.

    The initial model has the resolution of a part of the array only, so that the phases of
    remote stations may be noise: a station is judged where a more remote one is sound.

    Parameters
    ----------
    phase : Soltab
        Phases that all sources together gave.
    distances_m : mapping of str to float
        From the middle of the array, by station.

    Returns
    -------
    list of Wild
        With a window of `weed` more on each side, since a station may have gone mad in it.
    """
    lost = np.zeros((len(phase.times), len(phase.ants)), dtype=bool)
    # Windows that overlap by half: one that is only half mad is not found.
    for first in (0, COHERENCE_WINDOW // 2):
        rest = replace(
            phase, times=phase.times[first:], values=phase.values[first:], weights=phase.weights[first:]
        )
        lost[first:] |= np.any(rest.good & ~weed(rest)[0].good, axis=1)
    sound = np.any(phase.good, axis=(0, 1)) & ~lost.any(axis=0)
    reach_m = max((distances_m[phase.ants[column]] for column in np.flatnonzero(sound)), default=0.0)
    more_s = (COHERENCE_WINDOW + 0.5) * phase.step_s
    found = []
    for column, station in enumerate(phase.ants):
        edges = np.flatnonzero(np.diff(lost[:, column].astype(int), prepend=0, append=0))
        found += [
            Wild(station, float(phase.times[first] - more_s), float(phase.times[end - 1] + more_s))
            for first, end in edges.reshape(-1, 2)
            if distances_m[station] < reach_m
        ]
    return found


def _distances_m(positions: Mapping[str, tuple[float, float, float]]) -> dict[str, float]:
    """How far stations are from the middle of the array, which is in its core."""
    middle = np.median(list(positions.values()), axis=0)
    return {name: float(np.linalg.norm(np.subtract(place, middle))) for name, place in positions.items()}


def _believed(chunk: Chunk, found: list[Wild], n_stations: int) -> list[Wild]:
    """What was found, if it can be true; told in the log."""
    stations = sorted({wild.station for wild in found})
    if len(stations) > MOST_WILD * n_stations:
        log.warning(
            "%s: with the sky model %s the phases of %d of %d stations are random: is it the model of "
            "these data, and are they calibrated?",
            chunk.name, _middle(chunk).skymodel.name, len(stations), n_stations,
        )  # fmt: skip
        return []
    if stations:
        log.warning(
            "%s: flagged %s: held against the sky model, the phases are random from slot to slot",
            chunk.name, ", ".join(stations),
        )  # fmt: skip
    return found


def on_another_scale(chunk: Chunk, n_stations: int) -> list[Wild]:
    """The stations whose noise is far off the array's, for the whole chunk; told in the log."""
    noise = off_scale(_middle(chunk).path)
    told = ", ".join(f"{station} ({ratio:.2g})" for station, ratio in noise.items())
    if len(noise) > MOST_WILD * n_stations:
        log.warning(
            "%s: the noise of %d of %d stations is far off the array's (%s times it): are data calibrated?",
            chunk.name, len(noise), n_stations, told,
        )  # fmt: skip
        return []
    if noise:
        log.warning(
            "%s: flagged %s times as noisy as the array, by XY and YX: on another scale than the others",
            chunk.name, told,
        )  # fmt: skip
    return [Wild(station, chunk.start_mjd_s, chunk.end_mjd_s) for station in noise]


def _flag(ms: Path, found: Sequence[Wild]) -> None:
    """Set the flags of some stations at some times."""
    from casacore.tables import table

    with table(str(ms), readonly=False, ack=False) as main, table(f"{ms}::ANTENNA", ack=False) as antennas:
        names = antennas.getcol("NAME")
        for wild in found:
            number = names.index(wild.station)
            query = (
                f"TIME > {wild.start_mjd_s!r} && TIME < {wild.end_mjd_s!r} && "
                f"(ANTENNA1 == {number} || ANTENNA2 == {number})"
            )
            with main.query(query) as rows:
                rows.putcol("FLAG", np.ones_like(rows.getcol("FLAG")))
