"""Calibration solutions: their values and their H5parm files.

A soltab is read into arrays of a fixed axis order, worked on by pure functions, and
written to a new file: a file of solutions is never edited in place. The format is that
of LoSoTo (https://losoto.readthedocs.io), which DP3 shares.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.files import whole
from factor.tools.dp3 import MATRICES

Array = NDArray[np.float64]

#: Held by whoever has a file open: HDF5 is not safe in threads.
_hdf5 = threading.Lock()

PHASE = "phase"
AMPLITUDE = "amplitude"
TEC = "tec"
LEAKAGE = "leakage"
#: Kinds that are interpolated as they are.
LINEAR = (TEC, LEAKAGE)

#: Names of the soltabs of combined solutions.
FAST_PHASE = "phase000"
SLOW_PHASE = "phase001"
SLOW_AMPLITUDE = "amplitude000"
#: TEC of the fast phases, for users: it is part of the fast phases that are applied.
TEC_NAME = "tec000"
#: In memory one soltab; in the file the amplitudes and phases of matrices.
LEAKAGE_NAME = "leakage"

#: Parts of a soltab of leakage, and the correlations of its matrices.
LEAKAGE_PARTS = ("XY real", "XY imag", "YX real", "YX imag")
CORRELATIONS = ("XX", "XY", "YX", "YY")

SOLSET = "sol000"
H5PARM_VERSION = "1.0"

#: Time steps longer than this many nominal ones are gaps.
GAP_STEPS = 1.5

_ANTENNA = np.dtype([("name", "S16"), ("position", "<f4", 3)])
_SOURCE = np.dtype([("name", "S128"), ("dir", "<f8", 2)])
_AXES = ("time", "freq", "ant", "pol")


@dataclass(frozen=True)
class Soltab:
    """Solutions of one kind in one direction.

    Attributes
    ----------
    kind : str
        ``phase`` (rad), ``amplitude``, ``tec`` (TECU) or ``leakage`` (of the other
        polarisation into X and into Y).
    times : ndarray, (time,)
        Middles of the cells, MJD in seconds, increasing.
    freqs : ndarray, (freq,)
        Hz, increasing.
    ants : tuple of str
        Names of the stations.
    pols : tuple of str or None
        ``("XX", "YY")``, of leakage `LEAKAGE_PARTS`; None for a scalar.
    values, weights : ndarray, (time, freq, ant) or (time, freq, ant, pol)
        Weight 0 means flagged.
    step_s : float
        Length of a cell; the usual distance between times when it is not given, which few
        cells do not tell: two of them may be a night apart.
    """

    kind: str
    times: Array
    freqs: Array
    ants: tuple[str, ...]
    pols: tuple[str, ...] | None
    values: Array
    weights: Array
    step_s: float = 0.0

    def __post_init__(self) -> None:
        if self.values.shape != self.shape or self.weights.shape != self.shape:
            raise ValueError(
                f"{self.kind} soltab: values {self.values.shape} and weights "
                f"{self.weights.shape} do not fit axes of {self.shape}"
            )
        if not self.step_s > 0:
            object.__setattr__(self, "step_s", nominal_step(self.times))

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        pols = () if self.pols is None else (len(self.pols),)
        return (len(self.times), len(self.freqs), len(self.ants), *pols)

    @property
    def parts(self) -> list[slice]:
        """Runs of times without a gap."""
        return segments(self.times, self.step_s)

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


def nominal_step(times: Array) -> float:
    """The usual distance between times, 0 when there is but one."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def segments(times: Array, step_s: float = 0.0) -> list[slice]:
    """Runs of times without a gap, a distance of more than `GAP_STEPS` steps (or usual distances)."""
    if len(times) == 0:
        return []
    cuts = np.flatnonzero(np.diff(times) > GAP_STEPS * (step_s or nominal_step(times))) + 1
    edges = [0, *(int(cut) for cut in cuts), len(times)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def nearest(axis: Array, label: Array) -> NDArray[np.int_]:
    """Positions of the nearest entries of a sorted axis; the earlier one on a tie, as in DP3."""
    right = np.clip(np.searchsorted(axis, label), 1, max(len(axis) - 1, 1))
    if len(axis) == 1:
        return np.zeros(len(label), dtype=int)
    closer = label - axis[right - 1] <= axis[right] - label
    return np.where(closer, right - 1, right)


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


def read_soltabs(path: Path) -> dict[str, Soltab]:
    """Read the solutions of an H5parm's first solset, by name of the soltab.

    Raises
    ------
    FactorError
        When the file can't be read, or a soltab has several directions.
    """
    with _solset(path) as solset:
        soltabs = {
            str(group._v_name): _read_soltab(group, path)
            for group in solset._f_iter_nodes("Group")
            if str(group._v_title) in (PHASE, AMPLITUDE, TEC)
        }
    if set(MATRICES[LEAKAGE_NAME]) <= set(soltabs):
        amplitude, phase = (soltabs.pop(name) for name in MATRICES[LEAKAGE_NAME])
        soltabs[LEAKAGE_NAME] = _leakage(amplitude, phase)
    return soltabs


def soltab_names(path: Path) -> set[str]:
    """Names of what an H5parm's first solset has, as `read_soltabs` calls them.

    Raises
    ------
    FactorError
        When the file can't be read.
    """
    with _solset(path) as solset:
        names = {str(group._v_name) for group in solset._f_iter_nodes("Group")}
    return names | ({LEAKAGE_NAME} if set(MATRICES[LEAKAGE_NAME]) <= names else set())


def _matrices(leakage: Soltab) -> dict[str, Soltab]:
    """What a file has of leakage: amplitudes and phases of matrices with ones on the diagonal."""
    values = leakage.values[..., 0::2] + 1j * leakage.values[..., 1::2]
    elements = np.ones((*values.shape[:-1], 4), dtype=complex)
    elements[..., 1:3] = values
    weights = np.repeat(leakage.weights.min(axis=-1, keepdims=True), 4, axis=-1)
    parts = {AMPLITUDE: np.abs(elements), PHASE: np.angle(elements)}
    return {
        name: replace(leakage, kind=kind, pols=CORRELATIONS, values=part, weights=weights)
        for name, (kind, part) in zip(MATRICES[LEAKAGE_NAME], parts.items(), strict=True)
    }


def _leakage(amplitude: Soltab, phase: Soltab) -> Soltab:
    elements = (amplitude.values * np.exp(1j * phase.values))[..., 1:3]
    parts = np.stack((elements.real, elements.imag), axis=-1).reshape(*elements.shape[:-1], 4)
    return replace(amplitude, kind=LEAKAGE, pols=LEAKAGE_PARTS, values=parts)


def read_frame(path: Path) -> Frame:
    """Read the (first) direction and the stations of an H5parm.

    Raises
    ------
    FactorError
        When the file can't be read, or has no direction.
    """
    with _solset(path) as solset:
        sources, antennas = solset.source[:], solset.antenna[:]
    positions = {
        _text(row["name"]): (float(row["position"][0]), float(row["position"][1]), float(row["position"][2]))
        for row in antennas
    }
    if len(sources) == 0:
        raise FactorError(f"{path}: has no direction in its table 'source'")
    ra_deg, dec_deg = (float(x) for x in np.degrees(sources[0]["dir"]))
    return Frame(_text(sources[0]["name"]).strip("[]"), ra_deg % 360.0, dec_deg, positions)


@contextmanager
def _solset(path: Path) -> Iterator[Any]:
    """The first solset of an H5parm, while it is being read."""
    import tables

    # The error says it all; HDF5 would tell it at length on the terminal, unless told so in each thread.
    tables.silence_hdf5_messages()
    try:
        with _hdf5, tables.open_file(str(path), "r") as h5:
            groups = list(h5.root._f_iter_nodes("Group"))
            if not groups:
                raise FactorError(f"{path}: has no solset")
            yield groups[0]
    except (tables.exceptions.HDF5ExtError, tables.exceptions.NodeError, OSError) as error:
        # HDF5 tells the way to its error first.
        *_, reason = str(error).splitlines() or [""]
        raise FactorError(
            f"{path}: can't be read as an H5parm: {reason}",
            "delete it and run again; final solutions are made again when their direction is reset (-r)",
        ) from error


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

    if LEAKAGE_NAME in soltabs:
        others = {name: soltab for name, soltab in soltabs.items() if name != LEAKAGE_NAME}
        soltabs = others | _matrices(soltabs[LEAKAGE_NAME])
    with whole(path) as draft, _hdf5, tables.open_file(str(draft), "w") as h5:
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
