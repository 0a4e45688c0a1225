"""The health of a direction's solutions: what is flagged, and how much they scatter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.products.solutions.normalising import gain_scatter, phase_scatter
from factor.products.solutions.soltabs import FAST_PHASE, SLOW_AMPLITUDE, TEC, Soltab, read_soltabs

Bools = NDArray[np.bool_]

#: Part of a solve's solutions that may be missing before it is tried in another way.
MOSTLY = 0.5

#: Scatter of a station's phases (rad) and amplitudes (of the logarithm) beyond which they
#: are no solutions: random phases have more than 1.5.
SENSELESS_PHASES_RAD = 1.2
SENSELESS_GAINS = 0.5

#: Factor between a station's amplitudes and those of all others beyond which it is mad.
SENSELESS_SCALE = 2.0


def check_solutions(path: Path) -> None:
    """Refuse what a solve has left where most of it is no solution.

    Raises
    ------
    FactorError
        When the file cannot be read, or most values are flagged or no numbers.
    """
    for name, soltab in read_soltabs(path).items():
        bad = 1.0 - float(soltab.good.mean()) if soltab.values.size else 1.0
        if bad > MOSTLY:
            raise FactorError(f"{path}: {100 * bad:.0f} % of {name} are flagged or no numbers")


def solution_values(path: Path) -> dict[str, float]:
    """What a file of solutions says of itself, by the keys of the verdict's criteria.

    Parameters
    ----------
    path : Path
        H5parm with fast phases and, usually, slow amplitudes.
    """
    soltabs = read_soltabs(path)
    good = sum(int(soltab.good.sum()) for soltab in soltabs.values())
    total = max(1, sum(soltab.values.size for soltab in soltabs.values()))
    phases = np.array(list(phase_scatter(soltabs[FAST_PHASE]).values()))
    values = {"flagged": 1.0 - good / total, "phase_scatter_rad": _median(phases)}
    # A station without a number has no solutions left.
    senseless = ~(phases <= SENSELESS_PHASES_RAD)
    if SLOW_AMPLITUDE in soltabs:
        gains = np.array(list(gain_scatter(soltabs[SLOW_AMPLITUDE]).values()))
        values["gain_scatter"] = _median(gains)
        senseless |= ~(gains <= SENSELESS_GAINS) | _off_scale(soltabs[SLOW_AMPLITUDE])
    values["bad_stations"] = float(senseless.mean())
    return values


def stations_without_solutions(path: Path) -> tuple[str, ...]:
    """The stations of a file that have no good solution in one of the soltabs that are applied.

    Their data are flagged when they are corrected.
    """
    soltabs = [soltab for soltab in read_soltabs(path).values() if soltab.kind != TEC]
    dead = {ant for soltab in soltabs for i, ant in enumerate(soltab.ants) if not soltab.good[:, :, i].any()}
    return tuple(sorted(dead))


def _off_scale(amplitude: Soltab) -> Bools:
    """Stations whose amplitudes are on another scale than those of the others."""
    logs = np.log(np.where(amplitude.good, amplitude.values, 1.0))
    axes = (0, 1, *range(3, logs.ndim))
    scales = np.median(logs, axis=axes)
    return np.asarray(np.abs(scales - np.median(scales)) > np.log(SENSELESS_SCALE))


def _median(values: np.ndarray) -> float:
    """NaN when no station has a value."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
