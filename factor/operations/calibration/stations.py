"""Which stations a direction is solved for: not those whose solutions make no sense."""

from __future__ import annotations

import logging
from dataclasses import replace

from factor.operations.base import Solutions
from factor.operations.calibration.solving import Target
from factor.products.solutions.health import senseless_stations

log = logging.getLogger("factor.selfcal")


def without_senseless(target: Target, solutions: Solutions) -> Target:
    """Leave out stations to which a cycle gave no solutions that make sense."""
    senseless = senseless_stations(solutions.h5parm)
    fresh = sorted(set(senseless) - set(target.left_out))
    if fresh:
        log.warning(
            "%s: from here on without %s: no data, or no solutions that make sense",
            target.name, ", ".join(fresh),
        )  # fmt: skip
    return replace(target, left_out=(*target.left_out, *fresh))
