"""Is the input what Factor can work with? All problems at once, and the bands it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from factor.directions.geometry import separation_deg
from factor.errors import InputError
from factor.observation.bands import SUBTRACTED_COLUMN, MsInfo
from factor.workspace import band_name, misread

if TYPE_CHECKING:
    from factor.parset import Settings

#: Phase centres of all measurement sets lie within this of each other.
MAX_CENTRE_DISTANCE_ARCSEC = 1.0

#: Fewer divisors of the number of channels leave little choice for averaging.
MIN_DIVISORS = 4

_GOOD_CHANNEL_COUNTS = "8, 12, 16, 18, 20, 24"
_HBA_RANGE_HZ = (100e6, 250e6)
_NEEDED_COLUMNS = ("UVW", "FLAG", "WEIGHT_SPECTRUM")


@dataclass(frozen=True)
class BandInput:
    """The measurement sets of one frequency.

    Attributes
    ----------
    name : str
        E.g. ``Band_144.3MHz``.
    freqs_hz : tuple of float
        Channel centres.
    chan_width_hz : float
        Width of a channel.
    skymodel : Path
        The band's initial sky model.
    flagged_fraction : float
        Over all its files.
    files : tuple of MsInfo
        Sorted by time.
    """

    name: str
    freqs_hz: tuple[float, ...]
    chan_width_hz: float
    skymodel: Path
    flagged_fraction: float
    files: tuple[MsInfo, ...]


@dataclass(frozen=True)
class InputCheck:
    """What an input without errors consists of.

    Attributes
    ----------
    bands : tuple of BandInput
        Sorted by frequency, without those that have too few unflagged data.
    warnings : tuple of str
        What the user should know.
    """

    bands: tuple[BandInput, ...]
    warnings: tuple[str, ...]


def check_input(infos: Sequence[MsInfo], settings: Settings) -> InputCheck:
    """Check the measurement sets and group them into bands.

    Parameters
    ----------
    infos : sequence of MsInfo
        Everything found in dir_ms.
    settings : Settings
        Uses min_fraction_per_band, exit_on_bad_band, skymodel_extension and the
        init_skymodel of each measurement set.

    Raises
    ------
    InputError
        With all problems, each naming its file.
    """
    if not infos:
        raise InputError("there is no measurement set to work on")
    problems = [text for info in infos for text in _file_problems(info)]
    problems += _common_problems(infos)
    groups = _group_by_frequency([info for info in infos if info.freqs_hz])
    problems += _band_problems(groups)
    bands, band_problems, warnings = _make_bands(groups, settings)
    problems += band_problems
    if not bands and not problems:
        problems.append(
            "no band is left: all have too few unflagged data for min_fraction_per_band = "
            f"{settings.globals.min_fraction_per_band:g}"
        )
    if problems:
        raise InputError(problems)
    warnings += _channel_warnings(bands) + _unused_sections(infos, settings.init_skymodels)
    return InputCheck(tuple(bands), tuple(warnings))


def _file_problems(info: MsInfo) -> list[str]:
    problems = []
    ms = info.path
    if info.telescope.upper() != "LOFAR" or not info.antenna_set.upper().startswith("HBA"):
        kind = f"telescope '{info.telescope}', antenna set '{info.antenna_set}'"
        problems.append(f"{ms}: not LOFAR HBA data ({kind})")
    elif not _HBA_RANGE_HZ[0] < info.freq_hz < _HBA_RANGE_HZ[1]:
        problems.append(f"{ms}: {info.freq_hz / 1e6:.1f} MHz is not within LOFAR's HBA (100-250 MHz)")
    if misread(ms):
        problems.append(f"{ms}: DP3 and WSClean misread {misread(ms)} in a name: rename it, or link it")
    missing = [name for name in _NEEDED_COLUMNS if name not in info.columns]
    if missing:
        problems.append(f"{ms}: missing column {', '.join(missing)}")
    if info.data_column not in info.columns:
        if info.data_column == SUBTRACTED_COLUMN:
            problems.append(
                f"{ms}: missing column {SUBTRACTED_COLUMN}; the initial subtraction by Factor "
                "itself (initsubtract) is not available yet: subtract the sources with "
                "prefactor's Initial-Subtract first"
            )
        else:
            problems.append(f"{ms}: missing column {info.data_column}")
    if info.all_zero:
        problems.append(
            f"{ms}: all data in {info.data_column} are 0 (as far as a sample of its times tells): "
            "the column was never filled; make it again, or move the file out of dir_ms"
        )
    if info.n_spectral_windows != 1:
        problems.append(f"{ms}: {info.n_spectral_windows} spectral windows, must be one")
    problems += _gap_problems(info)
    return problems


def _gap_problems(info: MsInfo) -> list[str]:
    steps = [b - a for a, b in pairwise(info.freqs_hz)]
    gaps = [
        f"{info.freqs_hz[i] / 1e6:.4f}-{info.freqs_hz[i + 1] / 1e6:.4f} MHz"
        for i, step in enumerate(steps)
        if abs(step - info.chan_width_hz) > 0.01 * info.chan_width_hz
    ]
    if not gaps:
        return []
    return [
        f"{info.path}: frequency gaps inside the band (at {', '.join(gaps[:3])}; channels are "
        f"{info.chan_width_hz / 1e3:.3f} kHz wide)"
    ]


def _common_problems(infos: Sequence[MsInfo]) -> list[str]:
    problems = []
    first = infos[0]
    counts = sorted({len(info.freqs_hz) for info in infos})
    if len(counts) > 1:
        # The most frequent number is taken for the right one.
        usual = max(counts, key=lambda n: sum(len(info.freqs_hz) == n for info in infos))
        problems += [
            f"{info.path}: {len(info.freqs_hz)} channels, the other bands have {usual}"
            for info in infos
            if len(info.freqs_hz) != usual
        ]
    for info in infos[1:]:
        distance = 3600.0 * float(separation_deg(first.ra_deg, first.dec_deg, info.ra_deg, info.dec_deg))
        if distance > MAX_CENTRE_DISTANCE_ARCSEC:
            problems.append(
                f'{info.path}: phase centre {distance:.1f}" from that of {first.path}, '
                f'must be within {MAX_CENTRE_DISTANCE_ARCSEC:g}"'
            )
        if abs(info.interval_s - first.interval_s) > 0.01 * first.interval_s:
            problems.append(
                f"{info.path}: time slots of {info.interval_s:.3f} s, those of {first.path} are "
                f"{first.interval_s:.3f} s"
            )
        problems += _station_problems(info, infos)
    return problems


def _station_problems(info: MsInfo, infos: Sequence[MsInfo]) -> list[str]:
    """Bands that are read together must hold the same baselines."""
    for other in infos:
        if other is info:
            return []
        together = (
            other.times_mjd_s[0] <= info.times_mjd_s[-1] and info.times_mjd_s[0] <= other.times_mjd_s[-1]
        )
        if not together:
            continue
        difference = sorted(set(other.stations) ^ set(info.stations))
        if difference:
            return [
                f"{info.path}: other stations than {other.path} at the same time "
                f"(only one of them has {', '.join(difference)})"
            ]
        if other.n_baselines != info.n_baselines:
            return [
                f"{info.path}: {info.n_baselines} baselines, {other.path} of the same time has "
                f"{other.n_baselines}"
            ]
    return []


def _group_by_frequency(infos: Sequence[MsInfo]) -> list[list[MsInfo]]:
    groups: list[list[MsInfo]] = []
    for info in sorted(infos, key=lambda item: (item.freq_hz, item.times_mjd_s[0])):
        if groups and abs(info.freq_hz - groups[-1][0].freq_hz) < 0.5 * info.chan_width_hz:
            groups[-1].append(info)
        else:
            groups.append([info])
    return [sorted(group, key=lambda item: item.times_mjd_s[0]) for group in groups]


def _band_problems(groups: Sequence[Sequence[MsInfo]]) -> list[str]:
    problems = []
    for group in groups:
        taken: dict[int, MsInfo] = {}
        begin = group[0].times_mjd_s[0]
        for info in group:
            slots = {round(2 * (time - begin) / info.interval_s) for time in info.times_mjd_s}
            twice = next((taken[slot] for slot in slots if slot in taken), None)
            if twice is not None:
                problems.append(f"{info.path}: same frequency and times as {twice.path}")
            taken.update(dict.fromkeys(slots, info))
    for lower, upper in pairwise(groups):
        low, high = lower[0], upper[0]
        half = 0.5 * (low.chan_width_hz + high.chan_width_hz)
        if high.freqs_hz[0] - low.freqs_hz[-1] < 0.99 * half:
            problems.append(
                f"{high.path}: its frequencies ({high.freqs_hz[0] / 1e6:.3f} MHz and up) overlap "
                f"those of {low.path} (up to {low.freqs_hz[-1] / 1e6:.3f} MHz)"
            )
        elif band_name(low.freq_hz) == band_name(high.freq_hz):
            problems.append(
                f"{high.path}: too close in frequency to {low.path}: both would be "
                f"{band_name(low.freq_hz)}; concatenate such narrow bands first"
            )
    return problems


def _make_bands(
    groups: Sequence[Sequence[MsInfo]], settings: Settings
) -> tuple[list[BandInput], list[str], list[str]]:
    bands, problems, warnings = [], [], []
    limit = settings.globals.min_fraction_per_band
    for group in groups:
        name = band_name(group[0].freq_hz)
        n_rows = sum(info.n_rows for info in group)
        flagged = sum(info.flagged_fraction * info.n_rows for info in group) / n_rows
        # A band of which nothing is left is not used whatever the limit is.
        if flagged == 1.0 or 1.0 - flagged < limit:
            files = ", ".join(str(info.path) for info in group)
            text = (
                f"{name} ({files}): only {1.0 - flagged:.3f} of its data are unflagged numbers, "
                f"min_fraction_per_band = {limit:g}"
            )
            if settings.globals.exit_on_bad_band:
                problems.append(f"{text} (exit_on_bad_band = True)")
            else:
                warnings.append(f"{text}: the band is skipped")
            continue
        skymodel = _find_skymodel(group, settings.init_skymodels, settings.globals.skymodel_extension)
        if isinstance(skymodel, str):
            problems.append(f"{name}: {skymodel}")
            continue
        bands.append(
            BandInput(name, group[0].freqs_hz, group[0].chan_width_hz, skymodel, flagged, tuple(group))
        )
    return bands, problems, warnings


def _unused_sections(infos: Sequence[MsInfo], named: Mapping[str, Path]) -> list[str]:
    """Sections of the parset that are named after no measurement set."""
    names = {name for info in infos for name in (info.path.name, info.path.stem)}
    return [
        f"[{key}]: there is no measurement set of this name in dir_ms; its init_skymodel has no effect"
        for key in named
        # Chunks of an earlier run have names, and sky models, of their own.
        if key not in names and all(info.chunk is None for info in infos)
    ]


def _find_skymodel(group: Sequence[MsInfo], named: Mapping[str, Path], extension: str) -> Path | str:
    """Give the band's sky model, or what is wrong."""
    for info in group:
        for key in (info.path.name, info.path.stem):
            if key in named:
                path = Path(named[key])
                problem = skymodel_problem(path)
                return f"init_skymodel of [{key}]: {problem}" if problem else path
    candidates = [
        info.path.parent / str(info.chunk["skymodel"])
        if info.chunk is not None
        else info.path.with_suffix(extension)
        for info in group
    ]
    present = [path for path in candidates if path.exists()]
    if not present:
        looked = ", ".join(str(path) for path in dict.fromkeys(candidates))
        return (
            f"no sky model (looked for {looked}); name it with init_skymodel in a section "
            f"[{group[0].path.name}], or set skymodel_extension"
        )
    return skymodel_problem(present[0]) or present[0]


def skymodel_problem(path: Path) -> str:
    """Tell why a file can't serve as a sky model; empty when it can.

    Parameters
    ----------
    path : Path
        A text in makesourcedb's format.
    """
    if path.is_dir():
        return f"sky model {path} is a directory; a text in makesourcedb's format is needed"
    try:
        with path.open(encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
    except OSError as error:
        return f"sky model {path} can't be read: {error.strerror or error}"
    except UnicodeDecodeError:
        return f"sky model {path} is not a text"
    content = [line for line in lines if line and not line.startswith("#")]
    content += [line for line in lines if line.startswith("#") and "format" in line.lower()]
    if not any("format" in line.lower() for line in content):
        return f"sky model {path} has no line 'format = ...'"
    if len(content) < 2:
        return f"sky model {path} holds no source"
    return ""


def _channel_warnings(bands: Sequence[BandInput]) -> list[str]:
    n_chan = len(bands[0].freqs_hz)
    n_divisors = sum(n_chan % n == 0 for n in range(1, n_chan + 1))
    if n_divisors >= MIN_DIVISORS:
        return []
    return [
        f"the bands have {n_chan} channels, a number with {n_divisors} divisors: averaging in "
        f"frequency has little choice; good numbers are {_GOOD_CHANNEL_COUNTS}"
    ]
