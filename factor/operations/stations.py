"""Which stations a direction is solved for: not those that have no solutions."""

from __future__ import annotations

import logging
from dataclasses import replace

from factor.operations.base import Solutions
from factor.operations.solving import Target
from factor.products.solutions.health import stations_without_solutions

log = logging.getLogger("factor.selfcal")


def without_dead(target: Target, solutions: Solutions) -> Target:
    """Leave out stations that a cycle left no solutions."""
    dead = stations_without_solutions(solutions.h5parm)
    fresh = sorted(set(dead) - set(target.left_out))
    if fresh:
        log.warning(
            "%s: from here on without %s: no data, or no solutions that make sense",
            target.name, ", ".join(fresh),
        )  # fmt: skip
    return replace(target, left_out=(*target.left_out, *fresh))
