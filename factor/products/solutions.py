"""Calibration solutions: their values, their H5parm files and their health.

A soltab is read into arrays of a fixed axis order, worked on by pure functions, and
written to a new file: a file of solutions is never edited in place. The format is that
of LoSoTo (https://losoto.readthedocs.io), which DP3 shares.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError

Array = NDArray[np.float64]

PHASE = "phase"
AMPLITUDE = "amplitude"
TEC = "tec"

#: Names of the soltabs of combined solutions.
FAST_PHASE = "phase000"
SLOW_PHASE = "phase001"
SLOW_AMPLITUDE = "amplitude000"
#: TEC of the fast phases, for users: it is part of the fast phases that are applied.
TEC_NAME = "tec000"

SOLSET = "sol000"
H5PARM_VERSION = "1.0"

#: Time steps longer than this many nominal ones are gaps.
GAP_STEPS = 1.5

#: A station whose median amplitude is this factor off the array's is wild.
WILD_FACTOR = 3.0
#: A station whose phase differs so much from slot to slot is wild: the length of the mean
#: phasor of the differences (1: none, 0: random).
WILD_COHERENCE = 0.3

_ANTENNA = np.dtype([("name", "S16"), ("position", "<f4", 3)])
_SOURCE = np.dtype([("name", "S128"), ("dir", "<f8", 2)])
_AXES = ("time", "freq", "ant", "pol")


@dataclass(frozen=True)
class Soltab:
    """Solutions of one kind in one direction.

    Attributes
    ----------
    kind : str
        ``phase`` (rad), ``amplitude`` or ``tec`` (TECU).
    times : ndarray, (time,)
        Middles of the cells, MJD in seconds, increasing.
    freqs : ndarray, (freq,)
        Hz, increasing.
    ants : tuple of str
        Names of the stations.
    pols : tuple of str or None
        ``("XX", "YY")``; None for a scalar.
    values, weights : ndarray, (time, freq, ant) or (time, freq, ant, pol)
        Weight 0 means flagged.
    """

    kind: str
    times: Array
    freqs: Array
    ants: tuple[str, ...]
    pols: tuple[str, ...] | None
    values: Array
    weights: Array

    def __post_init__(self) -> None:
        if self.values.shape != self.shape or self.weights.shape != self.shape:
            raise ValueError(
                f"{self.kind} soltab: values {self.values.shape} and weights "
                f"{self.weights.shape} do not fit axes of {self.shape}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        pols = () if self.pols is None else (len(self.pols),)
        return (len(self.times), len(self.freqs), len(self.ants), *pols)

    @property
    def good(self) -> NDArray[np.bool_]:
        """Where solutions are finite (amplitudes: and positive) and not flagged."""
        good = np.isfinite(self.values) & np.isfinite(self.weights) & (self.weights > 0)
        if self.kind == AMPLITUDE:
            with np.errstate(invalid="ignore"):
                good &= self.values > 0
        return np.asarray(good)

    @property
    def neutral(self) -> float:
        """The value that changes nothing."""
        return 1.0 if self.kind == AMPLITUDE else 0.0


@dataclass(frozen=True)
class Frame:
    """What an H5parm tells beside its solutions: one direction, and where the stations are.

    Attributes
    ----------
    direction : str
        Name, without the brackets that it gets in the file.
    ra_deg, dec_deg : float
        Where it is.
    positions : mapping of station name to (x, y, z)
        ITRF, metres.
    """

    direction: str
    ra_deg: float
    dec_deg: float
    positions: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class SolutionHealth:
    """What is wrong with solutions.

    Attributes
    ----------
    flagged : mapping of station name to fraction
        Of its solutions that are flagged or not finite.
    flagged_fraction : float
        Of all solutions of stations that have any.
    dead : tuple of str
        Stations without any good solution.
    wild : tuple of str
        Stations with amplitudes far from the array's, or phases like noise.
    n_invalid : int
        Solutions that are not finite (or no positive amplitude), yet have weight.
    """

    flagged: Mapping[str, float]
    flagged_fraction: float
    dead: tuple[str, ...]
    wild: tuple[str, ...]
    n_invalid: int


def nominal_step(times: Array) -> float:
    """The usual distance between times, 0 when there is but one."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def segments(times: Array) -> list[slice]:
    """Runs of times without a gap, a step of more than `GAP_STEPS` nominal ones."""
    if len(times) == 0:
        return []
    cuts = np.flatnonzero(np.diff(times) > GAP_STEPS * nominal_step(times)) + 1
    edges = [0, *(int(cut) for cut in cuts), len(times)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def wrap(phase: Array) -> Array:
    """Phases between -pi and pi."""
    return np.asarray(np.angle(np.exp(1j * phase)), dtype=float)


def cleaned(soltab: Soltab) -> Soltab:
    """The same with weight 0, and the neutral value, wherever a solution is no number.

    DP3 can leave NaN with a weight.
    """
    usable = np.isfinite(soltab.values) & np.isfinite(soltab.weights)
    values = np.where(usable, soltab.values, soltab.neutral)
    return replace(soltab, values=values, weights=np.where(soltab.good, soltab.weights, 0.0))


def check(soltab: Soltab) -> SolutionHealth:
    """Look for flagged, dead and wild stations, and for NaN that were given a weight."""
    good = soltab.good
    axes = tuple(axis for axis in range(good.ndim) if axis != 2)
    bad = 1.0 - good.mean(axis=axes) if good.size else np.ones(len(soltab.ants))
    dead = tuple(a for a, fraction in zip(soltab.ants, bad, strict=True) if fraction == 1.0)
    alive = bad[bad < 1.0]
    return SolutionHealth(
        flagged={a: float(f) for a, f in zip(soltab.ants, bad, strict=True)},
        flagged_fraction=float(alive.mean()) if len(alive) else 1.0,
        dead=dead,
        wild=_wild(soltab, good),
        n_invalid=int(np.sum(~good & ~(soltab.weights == 0))),
    )


def _wild(soltab: Soltab, good: NDArray[np.bool_]) -> tuple[str, ...]:
    wild = []
    if soltab.kind == AMPLITUDE:
        medians = {
            ant: float(np.median(np.log(soltab.values[:, :, i][good[:, :, i]])))
            for i, ant in enumerate(soltab.ants)
            if good[:, :, i].any()
        }
        middle = float(np.median(list(medians.values()))) if medians else 0.0
        return tuple(a for a, level in medians.items() if abs(level - middle) > np.log(WILD_FACTOR))
    both = good[1:] & good[:-1]
    phasor = np.exp(1j * np.where(good, soltab.values, 0.0))
    turn = phasor[1:] * phasor[:-1].conj()
    for i, ant in enumerate(soltab.ants):
        pairs = turn[:, :, i][both[:, :, i]]
        if len(pairs) > 10 and abs(pairs.mean()) < WILD_COHERENCE:
            wild.append(ant)
    return tuple(wild)


def read_soltabs(path: Path) -> dict[str, Soltab]:
    """Read the phases, amplitudes and TECs of an H5parm's first solset, by name of the soltab.

    Raises
    ------
    FactorError
        When the file can't be read, or a soltab has several directions.
    """
    import tables

    soltabs = {}
    try:
        with tables.open_file(str(path), "r") as h5:
            for group in _solset(h5, path)._f_iter_nodes("Group"):
                if str(group._v_title) in (PHASE, AMPLITUDE, TEC):
                    soltabs[str(group._v_name)] = _read_soltab(group, path)
    except (tables.exceptions.HDF5ExtError, tables.exceptions.NodeError, OSError) as error:
        raise FactorError(
            f"{path}: can't be read as an H5parm: {error}",
            "delete it and run again: the solve that made it is repeated",
        ) from error
    return soltabs


def read_frame(path: Path) -> Frame:
    """Read the (first) direction and the stations of an H5parm."""
    import tables

    with tables.open_file(str(path), "r") as h5:
        solset = _solset(h5, path)
        sources, antennas = solset.source[:], solset.antenna[:]
    positions = {
        _text(row["name"]): (float(row["position"][0]), float(row["position"][1]), float(row["position"][2]))
        for row in antennas
    }
    if len(sources) == 0:
        raise FactorError(f"{path}: has no direction in its table 'source'")
    ra_deg, dec_deg = (float(x) for x in np.degrees(sources[0]["dir"]))
    return Frame(_text(sources[0]["name"]).strip("[]"), ra_deg % 360.0, dec_deg, positions)


def _solset(h5: Any, path: Path) -> Any:
    groups = list(h5.root._f_iter_nodes("Group"))
    if not groups:
        raise FactorError(f"{path}: has no solset")
    return groups[0]


def _text(raw: object) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _read_soltab(group: Any, path: Path) -> Soltab:
    axes = _text(group.val._v_attrs["AXES"]).split(",")
    values = np.asarray(group.val[:], dtype=float)
    weights = np.asarray(group.weight[:], dtype=float)
    labels = {axis: group._f_get_child(axis)[:] for axis in axes}
    order = [axes.index(axis) for axis in _AXES if axis in axes]
    others = [i for i in range(len(axes)) if i not in order]
    for i in others:
        if values.shape[i] != 1:
            raise FactorError(
                f"{path}: soltab {group._v_name} has {values.shape[i]} entries on its axis "
                f"'{axes[i]}', limit 1"
            )
    order += others
    kept = tuple(len(labels[axis]) for axis in _AXES if axis in axes)
    values, weights = (a.transpose(order).reshape(kept) for a in (values, weights))
    for position, axis in enumerate(("time", "freq", "ant")):
        if axis not in axes:
            values, weights = (np.expand_dims(a, position) for a in (values, weights))
    return Soltab(
        kind=str(group._v_title),
        times=np.asarray(labels.get("time", [0.0]), dtype=float),
        freqs=np.asarray(labels.get("freq", [0.0]), dtype=float),
        ants=tuple(_text(a) for a in labels["ant"]),
        pols=tuple(_text(p) for p in labels["pol"]) if "pol" in axes else None,
        values=values,
        weights=weights,
    )


def write_h5parm(path: Path, soltabs: Mapping[str, Soltab], frame: Frame) -> None:
    """Write solutions of one direction, complete or not at all.

    Parameters
    ----------
    path : Path
        The file; DP3 wants its name to end in ``.h5``.
    soltabs : mapping of name to Soltab
        Solutions, by name of the soltab, e.g. ``phase000``.
    frame : Frame
        Direction and stations; a station without a position is put at the origin.
    """
    import tables

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.draft.h5")
    try:
        with tables.open_file(str(draft), "w") as h5:
            solset = h5.create_group("/", SOLSET)
            solset._f_setattr("h5parm_version", np.bytes_(H5PARM_VERSION))
            ants = list(dict.fromkeys(a for soltab in soltabs.values() for a in soltab.ants))
            position = {a: frame.positions.get(a, (0.0, 0.0, 0.0)) for a in ants}
            antennas = np.array([(a, position[a]) for a in ants], dtype=_ANTENNA)
            h5.create_table(solset, "antenna", obj=antennas, title="Antenna names and positions")
            where = tuple(np.radians((frame.ra_deg, frame.dec_deg)))
            sources = np.array([(f"[{frame.direction}]", where)], dtype=_SOURCE)
            h5.create_table(solset, "source", obj=sources, title="Source names and directions")
            for name, soltab in soltabs.items():
                _write_soltab(h5, solset, name, soltab, f"[{frame.direction}]")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_soltab(h5: Any, solset: Any, name: str, soltab: Soltab, direction: str) -> None:
    group = h5.create_group(solset, name, title=soltab.kind)
    group._f_setattr("h5parm_version", np.bytes_(H5PARM_VERSION))
    group._f_setattr("parmdb_type", "")
    labels: dict[str, NDArray[Any]] = {
        "time": soltab.times,
        "freq": soltab.freqs,
        "ant": np.array(soltab.ants, dtype="S"),
        "dir": np.array([direction], dtype="S128"),
    }
    if soltab.pols is not None:
        labels["pol"] = np.array(soltab.pols, dtype="S")
    for axis, label in labels.items():
        h5.create_array(group, axis, obj=label)
    for which, array, dtype in (("val", soltab.values, "<f8"), ("weight", soltab.weights, "<f4")):
        data = np.expand_dims(array, 3).astype(dtype)
        node = h5.create_array(group, which, obj=data)
        node._v_attrs["AXES"] = np.bytes_(",".join(labels))
