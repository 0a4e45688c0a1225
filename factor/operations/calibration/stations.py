"""Which stations a direction is solved for: not those whose solutions make no sense."""

from __future__ import annotations

import logging
from dataclasses import replace

from factor.errors import FactorError
from factor.operations.base import Solutions
from factor.operations.calibration.solving import Target
from factor.products.solutions.health import senseless_stations
from factor.products.solutions.soltabs import FAST_PHASE, read_soltabs

log = logging.getLogger("factor.selfcal")


def without_senseless(target: Target, solutions: Solutions) -> Target:
    """Leave out stations to which a cycle gave no solutions that make sense.

    Raises
    ------
    FactorError
        When no baseline is left: there is nothing to image.
    """
    senseless = senseless_stations(solutions.h5parm)
    fresh = sorted(set(senseless) - set(target.left_out))
    if fresh:
        log.warning(
            "%s: from here on without %s: no data, or no solutions that make sense",
            target.name, ", ".join(fresh),
        )  # fmt: skip
    left_out = (*target.left_out, *fresh)
    if len(set(read_soltabs(solutions.h5parm)[FAST_PHASE].ants) - set(left_out)) < 2:
        raise FactorError(
            "no two stations have solutions that make sense",
            "the calibrator is too faint for its solution interval, its model wrong, or its data are bad: "
            "lengthen solint_ph in the directions file, or leave the direction out",
        )
    return replace(target, left_out=left_out)
