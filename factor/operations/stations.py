"""Which stations a direction is solved for: not those gone mad, nor those that see nothing of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from factor.execution.step import Call, Step
from factor.operations.base import Solutions
from factor.operations.solving import Data, Target
from factor.products.health import stations_without_solutions
from factor.products.skymodel import read
from factor.products.stations import Sight, blind_stations, mad_stations, read_sight, write_sight

log = logging.getLogger("factor.selfcal")


def look(target: Target, data: Data) -> Sight:
    """See what each station gets from the extracted data."""
    path = target.context.scratch / f"{target.name}.stations.npz"
    mss = tuple(ms for parts in data.values() for ms in parts)
    call = Call(write_sight, {"mss": mss, "path": path})
    target.context.run(Step("what stations see", call, mss, (path,)))
    return read_sight(path)


def without_noisy(target: Target, sight: Sight) -> Target:
    """Leave out stations whose data have another noise than the others': they would disturb these."""
    return _without(target, mad_stations(sight), "far more, or less, noise than the others")


def without_dead(target: Target, solutions: Solutions) -> Target:
    """Leave out stations that a cycle left no solutions."""
    dead = target.context.read(stations_without_solutions, solutions.h5parm)
    return _without(target, dead, "no data, or no solutions that make sense")


def _without(target: Target, stations: Sequence[str], why: str) -> Target:
    fresh = sorted(set(stations) - set(target.left_out))
    if fresh:
        log.warning("%s: from here on without %s: %s", target.name, ", ".join(fresh), why)
    return replace(target, left_out=(*target.left_out, *fresh))


def for_model(target: Target, sight: Sight, model: Path) -> Target:
    """Let the stations that see too little of a model keep the phases that they have."""
    samples = min(target.plan.samples(chunk) for chunk in target.chunks)
    found = blind_stations(sight, read(model), samples)
    blind = tuple(ant for ant in found if ant not in target.left_out)
    if blind and blind != target.blind:
        log.info(
            "%s: resolved for %s, which get no phases and gains of their own", target.name, ", ".join(blind)
        )
    return replace(target, blind=blind)
