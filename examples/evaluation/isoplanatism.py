"""What the ionosphere leaves of a source that is corrected with its calibrator's true phases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.phases import Array, array_plane, read_true_phase, remove_planes, station_positions
from evaluation.truth import TrueSource
from factor.directions.geometry import separation_deg


def reachable(
    sources: Sequence[TrueSource],
    calibrators: Sequence[TrueSource],
    effects: Path,
    freq_hz: float,
) -> dict[str, float]:
    """The coherence of each source when the nearest calibrator's true phases correct it.

    No solution of the calibrator can do better. Calibrators themselves have 1.

    Parameters
    ----------
    sources, calibrators : sequence of TrueSource
        The sources to judge, and those whose directions were calibrated well.
    effects : Path
        The true effects.
    freq_hz : float
        Middle of the band.
    """
    positions = station_positions(effects)
    own = {calibrator.name for calibrator in calibrators}
    found = {}
    for source in sources:
        nearest = min(calibrators, key=lambda calibrator: _distance_deg(source, calibrator), default=None)
        if nearest is None:
            continue
        if source.name in own:
            found[source.name] = 1.0
            continue
        here = read_true_phase(effects, source.name, freq_hz)
        there = read_true_phase(effects, nearest.name, freq_hz)
        order = [there.ants.index(ant) for ant in here.ants]
        xyz = np.array([positions[ant] for ant in here.ants])
        left = there.values[:, order] - here.values
        found[source.name] = coherence(left, array_plane(positions, here.ants), xyz)
    return found


def calibrator_distances_deg(
    sources: Sequence[TrueSource], calibrators: Sequence[TrueSource]
) -> dict[str, float]:
    """How far each source is from its nearest calibrator; infinite without any."""
    return {
        source.name: min((_distance_deg(source, one) for one in calibrators), default=math.inf)
        for source in sources
    }


def _distance_deg(one: TrueSource, other: TrueSource) -> float:
    return float(separation_deg(one.ra_deg, one.dec_deg, other.ra_deg, other.dec_deg))


def coherence(phase: Array, places: Array, xyz: Array) -> float:
    """Mean visibility of a point source of 1 Jy whose stations keep a phase error.

    The mean plane over the array is taken out: it moves the source and takes nothing from
    it. Baselines count by their length, as in a uniformly weighted image of an array whose
    baselines crowd at the short end.

    Parameters
    ----------
    phase : ndarray, (time, ant)
        rad.
    places : ndarray, (ant, 2)
        East and north, m.
    xyz : ndarray, (ant, 3)
        m.
    """
    errors: NDArray[np.complex128] = np.exp(1j * (phase - phase[:, :1]))
    mean = np.angle(errors.mean(axis=0))[None]
    plane = mean - remove_planes(mean, np.ones(mean.shape, dtype=np.bool_), places)
    errors = errors * np.exp(-1j * plane)
    one, other = np.triu_indices(len(xyz), 1)
    visibility = (errors[:, one] * errors[:, other].conj()).mean(axis=0).real
    return float(np.average(visibility, weights=np.linalg.norm(xyz[one] - xyz[other], axis=-1)))
