"""Which stations a direction is solved for: not those gone mad."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from factor.execution.step import Call, Step
from factor.operations.base import Solutions
from factor.operations.solving import Data, Target
from factor.products.health import stations_without_solutions
from factor.products.stations import mad_stations, read_noise, write_noise

log = logging.getLogger("factor.selfcal")


def without_noisy(target: Target, data: Data) -> Target:
    """Leave out stations whose data have another noise than the others': they would disturb these."""
    path = target.context.scratch / f"{target.name}.stations.json"
    mss = tuple(ms for parts in data.values() for ms in parts)
    call = Call(write_noise, {"mss": mss, "path": path})
    target.context.run(Step("noise of the stations", call, mss, (path,)))
    return _without(target, mad_stations(read_noise(path)), "far more, or less, noise than the others")


def without_dead(target: Target, solutions: Solutions) -> Target:
    """Leave out stations that a cycle left no solutions."""
    dead = target.context.read(stations_without_solutions, solutions.h5parm)
    return _without(target, dead, "no data, or no solutions that make sense")


def _without(target: Target, stations: Sequence[str], why: str) -> Target:
    fresh = sorted(set(stations) - set(target.left_out))
    if fresh:
        log.warning("%s: from here on without %s: %s", target.name, ", ".join(fresh), why)
    return replace(target, left_out=(*target.left_out, *fresh))
