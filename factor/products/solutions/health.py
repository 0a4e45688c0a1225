"""The health of a direction's solutions: what is flagged, and how much they scatter."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.errors import FactorError
from factor.products.solutions.normalising import gain_scatter, phase_scatter
from factor.products.solutions.soltabs import FAST_PHASE, SLOW_AMPLITUDE, TEC, Soltab, read_soltabs

log = logging.getLogger("factor.solutions")

Bools = NDArray[np.bool_]

#: Part of a solve's solutions that may be missing before it is tried in another way.
MOSTLY = 0.5

#: Scatter of a station's phases (rad) and amplitudes (of the logarithm) beyond which they
#: are no solutions: random phases have more than 1.5.
SENSELESS_PHASES_RAD = 1.2
SENSELESS_GAINS = 0.5

#: Factor between a station's amplitudes and those of all others beyond which it is mad.
SENSELESS_SCALE = 2.0


def check_solutions(path: Path, *, last: bool = False) -> None:
    """Refuse what a solve has left where most of it is no solution.

    Parameters
    ----------
    path : Path
        H5parm that DP3 wrote.
    last : bool
        There is no other way to get them (the data may be no better): they are told of, and stay flagged.

    Raises
    ------
    FactorError
        When the file cannot be read, or most values are flagged or no numbers.
    """
    for name, soltab in read_soltabs(path).items():
        bad = 1.0 - float(soltab.good.mean()) if soltab.values.size else 1.0
        if bad > MOSTLY:
            message = f"{path}: {100 * bad:.0f} % of {name} are flagged or no numbers"
            if not last:
                raise FactorError(message)
            log.warning("%s: they are left out", message)


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
    stations = soltabs[FAST_PHASE].ants
    values = {
        "flagged": 1.0 - good / total,
        "phase_scatter_rad": _median(phase_scatter(soltabs[FAST_PHASE])),
        "bad_stations": len(_senseless(soltabs)) / len(stations),
    }
    if SLOW_AMPLITUDE in soltabs:
        values["gain_scatter"] = _median(gain_scatter(soltabs[SLOW_AMPLITUDE]))
    return values


def senseless_stations(path: Path) -> tuple[str, ...]:
    """The stations of a file whose solutions make no sense, or that have none.

    Stations without a good solution in one of the soltabs that are applied (their data are
    flagged when they are corrected), with phases or gains that are nothing but scatter, and
    with gains on another scale than those of the others.
    """
    return tuple(sorted(_senseless(read_soltabs(path))))


def _senseless(soltabs: Mapping[str, Soltab]) -> set[str]:
    applied = [soltab for soltab in soltabs.values() if soltab.kind != TEC]
    bad = {ant for soltab in applied for i, ant in enumerate(soltab.ants) if not soltab.good[:, :, i].any()}
    bad |= _beyond(phase_scatter(soltabs[FAST_PHASE]), SENSELESS_PHASES_RAD)
    if SLOW_AMPLITUDE in soltabs:
        amplitude = soltabs[SLOW_AMPLITUDE]
        bad |= _beyond(gain_scatter(amplitude), SENSELESS_GAINS)
        bad |= {ant for ant, off in zip(amplitude.ants, _off_scale(amplitude), strict=True) if off}
    return bad


def _beyond(values: Mapping[str, float], limit: float) -> set[str]:
    return {ant for ant, value in values.items() if value > limit}


def _off_scale(amplitude: Soltab) -> Bools:
    """Stations whose amplitudes are on another scale than those of the others."""
    logs = np.log(np.where(amplitude.good, amplitude.values, 1.0))
    axes = (0, 1, *range(3, logs.ndim))
    scales = np.median(logs, axis=axes)
    return np.asarray(np.abs(scales - np.median(scales)) > np.log(SENSELESS_SCALE))


def _median(values: Mapping[str, float]) -> float:
    """NaN when no station has a value."""
    known = [value for value in values.values() if np.isfinite(value)]
    return float(np.median(known)) if known else float("nan")
