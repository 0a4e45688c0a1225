"""Finding measurement sets and reading what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from factor.errors import InputError
from factor.observation.pool import run_in_processes

if TYPE_CHECKING:
    from casacore.tables import table as Table  # noqa: N812

#: Names of measurement sets that the pipelines before Factor use.
MS_PATTERNS = ("*.MS", "*.ms", "*.dpppaverage", "*.ndppp_prep_target")

#: Column with the data from which the sources of the initial sky model are subtracted.
SUBTRACTED_COLUMN = "SUBTRACTED_DATA_ALL"

#: Keyword of the main table that tells Factor's own chunks, a JSON text.
CHUNK_KEYWORD = "FACTOR_CHUNK"

#: Diameter of an HBA station of 24 tiles, in m (van Haarlem et al. 2013, A&A 556, A2).
HBA_DIAMETER_M = 30.75

#: Diameters outside are not those of Dutch HBA stations (24 or 48 tiles).
_SANE_DIAMETER_M = (25.0, 50.0)

_FLAG_BLOCK_BYTES = 64_000_000
#: Blocks of rows, of one time slot each, in which it is looked whether the data are numbers.
_DATA_SAMPLES = 9
_ELEVATION_SAMPLES = 9


@dataclass(frozen=True)
class MsInfo:
    """What Factor knows of one measurement set of the input.

    Attributes
    ----------
    path : Path
        The measurement set.
    columns : tuple of str
        Columns of its main table.
    freqs_hz : tuple of float
        Channel centres, ascending as stored.
    chan_width_hz : float
        Width of the first channel.
    n_spectral_windows : int
        Number of spectral windows.
    times_mjd_s : tuple of float
        Middles of the time slots, ascending, each once (MJD in seconds, UTC).
    interval_s : float
        Length of a time slot.
    n_rows, n_baselines : int
        Rows of the main table; different pairs of antennas in it.
    ra_deg, dec_deg : float
        Phase centre.
    telescope, antenna_set : str
        From the OBSERVATION table, e.g. ``LOFAR``, ``HBA_DUAL_INNER``.
    stations : tuple of str
        Names of those that occur in the data, in the order of the ANTENNA table.
    station_diameter_m : float
        Median over the Dutch stations, where their diameters are sane, else that of 24 tiles.
    mean_elevation_rad : float
        Of the phase centre at the first station, over time.
    flagged_fraction : float
        Fraction of visibilities that are flagged or, as far as a sample tells, no numbers.
    all_zero : bool
        Whether all of its data are 0, as far as a sample tells: nobody ever wrote them.
    chunk : mapping or None
        What Factor wrote about it when it is a chunk of an earlier run.
    """

    path: Path
    columns: tuple[str, ...]
    freqs_hz: tuple[float, ...]
    chan_width_hz: float
    n_spectral_windows: int
    times_mjd_s: tuple[float, ...]
    interval_s: float
    n_rows: int
    n_baselines: int
    ra_deg: float
    dec_deg: float
    telescope: str
    antenna_set: str
    stations: tuple[str, ...]
    station_diameter_m: float
    mean_elevation_rad: float
    flagged_fraction: float
    all_zero: bool = False
    chunk: Mapping[str, Any] | None = None

    @property
    def freq_hz(self) -> float:
        """Middle of the band."""
        return 0.5 * (self.freqs_hz[0] + self.freqs_hz[-1])

    @property
    def data_column(self) -> str:
        """Name of the column with the subtracted data."""
        return _data_column(self.chunk)


def _data_column(chunk: Mapping[str, Any] | None) -> str:
    return SUBTRACTED_COLUMN if chunk is None else "DATA"


def find_measurement_sets(dir_ms: Path) -> list[Path]:
    """Find the measurement sets of a folder and of its ``Band_*`` folders.

    Parameters
    ----------
    dir_ms : Path
        The folder, which may be the chunks folder of an earlier run.

    Returns
    -------
    list of Path
        Sorted.

    Raises
    ------
    InputError
        When there is no such folder, or no measurement set in it.
    """
    if not dir_ms.is_dir():
        raise InputError(f"dir_ms = {dir_ms}: there is no such directory")
    folders = [dir_ms, *(path for path in dir_ms.glob("Band_*") if path.is_dir())]
    # Folders whose own name matches, e.g. Band_x.ms, are found as measurement sets.
    found = {
        path
        for folder in folders
        for pattern in MS_PATTERNS
        for path in folder.glob(pattern)
        # A link to nothing is a disk that is not mounted: reading it tells so.
        if not path.name.startswith(".") and (path.is_dir() or not path.exists())
    }
    if not found:
        one_itself = f"it is one itself: give the folder that holds it, {dir_ms.parent}"
        endings = ", ".join(MS_PATTERNS)
        raise InputError(
            f"dir_ms = {dir_ms}: no measurement set in it or in its Band_* folders ({endings})",
            one_itself if (dir_ms / "table.dat").exists() else "give the folder that holds them",
        )
    return sorted(found)


def read_all(
    paths: Sequence[Path], jobs: int = 1, flagged_fractions: Mapping[str, float] | None = None
) -> list[MsInfo]:
    """Read the metadata of all measurement sets.

    Parameters
    ----------
    paths : sequence of Path
        The measurement sets.
    jobs : int
        Number of them that are read at once.
    flagged_fractions : mapping of str to float, optional
        Fractions that are known already, by file name: FLAG is not read again then.

    Returns
    -------
    list of MsInfo
        In the order of `paths`.

    Raises
    ------
    InputError
        Naming every measurement set that can't be read.
    """
    known = flagged_fractions or {}
    tasks = [(path, known.get(path.name)) for path in paths]
    results = run_in_processes(_read_or_tell, tasks, jobs)
    problems = [result for result in results if isinstance(result, str)]
    if problems:
        raise InputError(problems, "repair the files, or move them out of dir_ms")
    return [result for result in results if isinstance(result, MsInfo)]


def _read_or_tell(path: Path, flagged_fraction: float | None) -> MsInfo | str:
    try:
        return read_metadata(path, flagged_fraction)
    except InputError as error:
        return error.message


def read_metadata(ms: Path, flagged_fraction: float | None = None) -> MsInfo:
    """Read what Factor needs to know of a measurement set, without changing it.

    Parameters
    ----------
    ms : Path
        The measurement set; may lie on a read-only file system.
    flagged_fraction : float, optional
        When it is known; otherwise FLAG is read, and a sample of the data.

    Raises
    ------
    InputError
        When it can't be read.
    """
    try:
        with open_readonly(ms) as main:
            return _read(ms, main, flagged_fraction)
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        raise InputError(f"{ms} can't be read as a measurement set: {error}") from error


def open_readonly(ms: Path, subtable: str = "") -> Table:
    """Open a table without asking for locks.

    Parameters
    ----------
    ms : Path
        The measurement set.
    subtable : str
        Name of one of its subtables; the main table when empty.

    Raises
    ------
    RuntimeError
        By casacore, when it can't be opened.
    """
    from casacore import tables

    name = f"{ms}::{subtable}" if subtable else str(ms)
    return tables.table(name, readonly=True, ack=False, lockoptions="usernoread")


def _read(ms: Path, main: Table, flagged_fraction: float | None) -> MsInfo:
    if main.nrows() == 0:
        raise ValueError("it has no rows")
    antennas = np.stack([main.getcol("ANTENNA1"), main.getcol("ANTENNA2")])
    times = np.unique(main.getcol("TIME"))
    freqs, width, n_windows = _spectral_window(ms)
    telescope, antenna_set = _observation(ms)
    phase = _phase_centre(ms)
    stations, diameter, position = _stations(ms, np.unique(antennas))
    n_baselines = int(np.unique(antennas, axis=1).shape[1])
    columns = tuple(main.colnames())
    chunk, all_zero = None, False
    if CHUNK_KEYWORD in main.keywordnames():
        chunk = json.loads(main.getkeyword(CHUNK_KEYWORD))
    if flagged_fraction is None:
        flagged_fraction = _flagged_fraction(main) if "FLAG" in columns else 0.0
        if {"FLAG", _data_column(chunk)} <= {*columns}:
            no_numbers, all_zero = _sample(main, _data_column(chunk), n_baselines)
            flagged_fraction += (1.0 - flagged_fraction) * no_numbers
    return MsInfo(
        path=ms,
        columns=columns,
        freqs_hz=freqs,
        chan_width_hz=width,
        n_spectral_windows=n_windows,
        times_mjd_s=tuple(float(time) for time in times),
        interval_s=float(main.getcell("INTERVAL", 0)),
        n_rows=main.nrows(),
        n_baselines=n_baselines,
        ra_deg=float(np.degrees(phase[0])) % 360.0,
        dec_deg=float(np.degrees(phase[1])),
        telescope=telescope,
        antenna_set=antenna_set,
        stations=stations,
        station_diameter_m=diameter,
        # Of a chunk: that of what it was cut from, on which the facets' shapes depend.
        mean_elevation_rad=float(chunk["mean_elevation_rad"])
        if chunk
        else _mean_elevation(phase, position, times),
        flagged_fraction=flagged_fraction,
        all_zero=all_zero,
        chunk=chunk,
    )


def _spectral_window(ms: Path) -> tuple[tuple[float, ...], float, int]:
    with open_readonly(ms, "SPECTRAL_WINDOW") as window:
        freqs = tuple(float(freq) for freq in window.getcell("CHAN_FREQ", 0))
        return freqs, abs(float(window.getcell("CHAN_WIDTH", 0)[0])), window.nrows()


def _observation(ms: Path) -> tuple[str, str]:
    with open_readonly(ms, "OBSERVATION") as observation:
        antenna_set = ""
        if "LOFAR_ANTENNA_SET" in observation.colnames():
            antenna_set = str(observation.getcell("LOFAR_ANTENNA_SET", 0))
        return str(observation.getcell("TELESCOPE_NAME", 0)), antenna_set


def _phase_centre(ms: Path) -> Any:
    with open_readonly(ms, "FIELD") as field:
        return field.getcell("PHASE_DIR", 0)[0]


def _stations(ms: Path, used: Any) -> tuple[tuple[str, ...], float, Any]:
    with open_readonly(ms, "ANTENNA") as antenna:
        all_names = antenna.getcol("NAME")
        names = tuple(str(all_names[index]) for index in used)
        diameters = np.asarray(antenna.getcol("DISH_DIAMETER"), dtype=float)[used]
        position = antenna.getcell("POSITION", int(used[0]))
    dutch = np.array([name.startswith(("CS", "RS")) for name in names])
    low, high = _SANE_DIAMETER_M
    sane = diameters[dutch & (diameters > low) & (diameters < high)]
    return names, float(np.median(sane)) if sane.size else HBA_DIAMETER_M, position


def _flagged_fraction(main: Table) -> float:
    n_rows = main.nrows()
    step = max(1, _FLAG_BLOCK_BYTES // max(1, main.getcell("FLAG", 0).size))
    flagged = total = 0
    for start in range(0, n_rows, step):
        flags = main.getcol("FLAG", start, min(step, n_rows - start))
        flagged += int(np.count_nonzero(flags))
        total += flags.size
    return flagged / total


def _sample(main: Table, column: str, block: int) -> tuple[float, bool]:
    """Of the unflagged data in some blocks of rows: the fraction of NaN and infinity; whether all are 0."""
    bad = total = nonzero = 0
    last = max(0, main.nrows() - block)
    for start in np.unique(np.linspace(0, last, _DATA_SAMPLES).round().astype(int)):
        good = ~main.getcol("FLAG", int(start), block)
        total += int(good.sum())
        data = main.getcol(column, int(start), block)[good]
        bad += int((~np.isfinite(data)).sum())
        nonzero += int(np.count_nonzero(data))
    return (bad / total, not nonzero) if total else (0.0, False)


def _mean_elevation(direction: Any, position: Any, times: Any) -> float:
    """Mean elevation (rad) of a J2000 direction at an ITRF position over times (MJD s, UTC)."""
    from casacore import measures, quanta

    frame = measures.measures()
    frame.do_frame(frame.position("ITRF", *(quanta.quantity(float(x), "m") for x in position)))
    target = frame.direction("J2000", *(quanta.quantity(float(x), "rad") for x in direction))
    chosen = np.unique(np.linspace(0, len(times) - 1, _ELEVATION_SAMPLES).round().astype(int))
    elevations = []
    for time in np.asarray(times)[chosen]:
        frame.do_frame(frame.epoch("UTC", quanta.quantity(float(time), "s")))
        elevations.append(frame.measure(target, "AZELGEO")["m1"]["value"])
    return float(np.mean(elevations))
