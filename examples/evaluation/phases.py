"""Phases of solutions held against the true ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.constants import speed_of_light

from factor.errors import FactorError
from factor.products.solutions.soltabs import PHASE, Soltab, read_frame, read_soltabs

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Stations with a larger thermal phase error do not count, rad.
MAX_THERMAL_RAD = 0.15
#: Slopes that are tried for a plane: so many turns over the array, in steps of.
_MAX_TURNS, _STEP_TURNS = 2.0, 0.25


@dataclass(frozen=True)
class Phases:
    """Phases of the stations over time in one direction, at one frequency.

    Attributes
    ----------
    times_s : ndarray, (time,)
        MJD in seconds.
    ants : tuple of str
    values : ndarray, (time, ant)
        rad.
    good : ndarray of bool, (time, ant)
    """

    times_s: Array
    ants: tuple[str, ...]
    values: Array
    good: Bools


@dataclass(frozen=True)
class PhaseError:
    """Rms difference of solutions from the truth, rad.

    Attributes
    ----------
    without_plane, with_plane : float
        After and before the best-fitting plane over the array was removed at each time.
    reference : str
        The station to which both were referenced.
    n_stations : int
        Stations that count.
    """

    without_plane: float
    with_plane: float
    reference: str
    n_stations: int


def total_phase(soltabs: Mapping[str, Soltab], freq_hz: float, times_s: Array) -> Phases:
    """Sum of all phases of a direction, at one frequency and some times, as applied: nearest cells.

    The mean of the polarisations is taken.
    """
    phases = [soltab for soltab in soltabs.values() if soltab.kind == PHASE]
    if not phases:
        raise FactorError("solutions without phases")
    ants = phases[0].ants
    values = np.zeros((len(times_s), len(ants)))
    good = np.ones(values.shape, dtype=np.bool_)
    for soltab in phases:
        order = [soltab.ants.index(ant) for ant in ants]
        channel = int(np.argmin(np.abs(soltab.freqs - freq_hz)))
        cells = np.abs(soltab.times[None, :] - times_s[:, None]).argmin(axis=1)
        part = soltab.values[cells][:, channel][:, order]
        known = soltab.good[cells][:, channel][:, order]
        if soltab.pols is not None:
            part = np.angle(np.exp(1j * part).mean(axis=-1))
            known = known.all(axis=-1)
        values += np.where(known, part, 0.0)
        good &= known
    return Phases(times_s, ants, values, good)


def read_true_phase(effects: Path, source: str, freq_hz: float) -> Phases:
    """The true phase towards a source, interpolated in frequency.

    Raises
    ------
    FactorError
        When the file has no such source.
    """
    import tables

    with tables.open_file(str(effects), "r") as h5:
        group = h5.root.sol000.phase000
        names = [_text(name).strip("[]") for name in group.dir[:]]
        if source not in names:
            raise FactorError(f"{effects}: has no direction {source}")
        axes = str(_text(group.val.attrs["AXES"])).split(",")
        if axes != ["time", "freq", "ant", "dir"]:
            raise FactorError(f"{effects}: axes {axes} instead of time, freq, ant, dir")
        values = np.asarray(group.val[:, :, :, names.index(source)], dtype=np.float64)
        times, freqs = np.asarray(group.time[:]), np.asarray(group.freq[:])
        ants = tuple(_text(name) for name in group.ant[:])
    position = float(np.interp(freq_hz, freqs, np.arange(len(freqs))))
    low = min(int(position), max(0, len(freqs) - 2))
    share = position - low
    at = values[:, low] if share == 0 else (1 - share) * values[:, low] + share * values[:, low + 1]
    return Phases(times, ants, at, np.isfinite(at))


def station_positions(effects: Path) -> dict[str, tuple[float, float, float]]:
    """ITRF positions of the stations in a file of true effects, m."""
    import tables

    with tables.open_file(str(effects), "r") as h5:
        return {_text(row["name"]): tuple(map(float, row["position"])) for row in h5.root.sol000.antenna[:]}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def array_plane(positions: Mapping[str, Sequence[float]], ants: Sequence[str]) -> Array:
    """Positions of stations towards east and north of their middle, m, shape (ant, 2)."""
    xyz = np.array([positions[ant] for ant in ants], dtype=np.float64)
    up = xyz.mean(axis=0) / np.linalg.norm(xyz.mean(axis=0))
    east = np.cross([0.0, 0.0, 1.0], up)
    east /= np.linalg.norm(east)
    offsets = xyz - xyz.mean(axis=0)
    return np.stack([offsets @ east, offsets @ np.cross(up, east)], axis=-1)


def remove_planes(phase: Array, good: Bools, places: Array) -> Array:
    """Phases less the best-fitting plane over the array (with a constant) of each time.

    Parameters
    ----------
    phase, good : ndarray, (time, ant)
        rad; may be wrapped.
    places : ndarray, (ant, 2)
        East and north, m.

    Returns
    -------
    ndarray, (time, ant)
        Between -pi and pi.
    """
    extent = max(float(np.ptp(places[:, 0])), float(np.ptp(places[:, 1])), 1.0)
    steps = np.arange(-_MAX_TURNS, _MAX_TURNS + _STEP_TURNS / 2, _STEP_TURNS) * 2 * np.pi / extent
    slopes = np.array(list(itertools.product(steps, steps)))
    phasor = np.where(good, np.exp(1j * phase), 0.0)
    # The slope on which the phasors agree best: a fit to wrapped phases needs a start.
    coherent = np.abs(phasor @ np.exp(-1j * places @ slopes.T))
    start = slopes[coherent.argmax(axis=1)]
    left = phase - start @ places.T
    middle = np.angle(np.where(good, np.exp(1j * left), 0.0).sum(axis=1))
    left = _wrap(left - middle[:, None])
    matrix = np.column_stack([places / extent, np.ones(len(places))])
    for row, (values, known) in enumerate(zip(left, good, strict=True)):
        if known.sum() > matrix.shape[1]:
            fit = np.linalg.lstsq(matrix[known], values[known], rcond=None)[0]
            left[row] = values - matrix @ fit
    return _wrap(left)


def _wrap(phase: Array) -> Array:
    return np.asarray(np.angle(np.exp(1j * phase)), dtype=np.float64)


def core_reference(phases: Phases) -> int:
    """The core station with the fewest flagged solutions; any station where there is no core."""
    share = phases.good.mean(axis=0)
    core = [i for i, name in enumerate(phases.ants) if name.startswith("CS")]
    return max(core or range(len(phases.ants)), key=lambda i: (share[i], -i))


def thermal_phase_error(
    flux_jy: float, visibility_noise_jy: float, n_samples: int, n_baselines: NDArray[np.int64]
) -> Array:
    """Thermal error of each station's scalar phase, rad.

    Parameters
    ----------
    flux_jy : float
        Apparent flux of the calibrator.
    visibility_noise_jy : float
        Of the real part of one correlation of one channel and slot.
    n_samples : int
        Channels times slots of one solution; both parallel hands count.
    n_baselines : ndarray, (ant,)
        Baselines of each station that take part in the solve.
    """
    together = np.sqrt(2.0 * n_samples * np.maximum(n_baselines, 1))
    return np.asarray(np.where(n_baselines > 0, visibility_noise_jy / (flux_jy * together), np.inf))


def count_baselines(
    positions: Mapping[str, Sequence[float]], ants: Sequence[str], min_length_m: float
) -> NDArray[np.int64]:
    """How many baselines of each station are longer than a limit."""
    xyz = np.array([positions[ant] for ant in ants], dtype=np.float64)
    lengths = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    return np.asarray((lengths > max(min_length_m, 1.0)).sum(axis=1), dtype=np.int64)


def phase_error(solved: Phases, true: Phases, places: Array, counts: Bools) -> PhaseError:
    """Hold solved phases against the true ones.

    Parameters
    ----------
    solved, true : Phases
        At the same times.
    places : ndarray, (ant, 2)
        Of the solved phases' stations.
    counts : ndarray of bool, (ant,)
        The stations that count.
    """
    order = [true.ants.index(ant) for ant in solved.ants]
    error = solved.values - true.values[:, order]
    good = solved.good & true.good[:, order]
    reference = core_reference(solved)
    error = _wrap(error - error[:, [reference]])
    good = good & good[:, [reference]]
    flat = remove_planes(error, good, places)
    chosen = good & counts[None, :]
    others = chosen.copy()
    # The reference has no error by definition: it would only dilute the mean.
    others[:, reference] = False
    return PhaseError(
        without_plane=_rms(flat[chosen]),
        with_plane=_rms(error[others]),
        reference=solved.ants[reference],
        n_stations=int(chosen.any(axis=0).sum()),
    )


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else math.nan


def direction_error(
    h5parm: Path, effects: Path, source: str, freq_hz: float, thermal: ThermalLimit
) -> PhaseError:
    """Phase error of one direction's H5parm at one frequency.

    Parameters
    ----------
    h5parm : Path
        Solutions, those of another direction that were applied before included.
    effects : Path
        The true effects.
    source : str
        Direction of the true effects.
    freq_hz : float
        Middle of the observation; the solutions' nearest channel counts.
    thermal : ThermalLimit
        Which stations count.
    """
    soltabs, positions = read_soltabs(h5parm), read_frame(h5parm).positions
    fast = max((s for s in soltabs.values() if s.kind == PHASE), key=lambda s: len(s.times))
    at_hz = float(fast.freqs[np.argmin(np.abs(fast.freqs - freq_hz))]) if len(fast.freqs) > 1 else freq_hz
    true = read_true_phase(effects, source, at_hz)
    solved = total_phase(soltabs, at_hz, true.times_s)
    baselines = count_baselines(positions, solved.ants, thermal.min_uv_lambda * speed_of_light / freq_hz)
    errors = thermal_phase_error(thermal.flux_jy, thermal.visibility_noise_jy, thermal.n_samples, baselines)
    return phase_error(solved, true, array_plane(positions, solved.ants), errors < MAX_THERMAL_RAD)


@dataclass(frozen=True)
class ThermalLimit:
    """What the thermal error of a direction's phases follows from; see `thermal_phase_error`."""

    flux_jy: float
    visibility_noise_jy: float
    n_samples: int
    min_uv_lambda: float
