"""Groups of directions: self-calibrated side by side, judged, and subtracted one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from factor.directions.model import Facet
from factor.errors import FactorError
from factor.execution.context import Engine
from factor.flow.parallel import Job, facets_side_by_side
from factor.flow.perform import perform
from factor.flow.standing import Standing
from factor.operations import facetselfcal, facetsub
from factor.operations.base import Solutions

log = logging.getLogger("factor")


def calibrate(standing: Standing, group: Sequence[Facet], earlier: Sequence[Facet]) -> None:
    """Self-calibrate a group of directions and subtract what was learned.

    Parameters
    ----------
    standing : Standing
        Of the field's directions.
    group : sequence of Facet
        The group.
    earlier : sequence of Facet
        The directions of the groups before it.

    Raises
    ------
    FactorError
        When a direction failed and the settings say to stop then.
    """
    settings = standing.field.settings
    donor = donor_of(standing, earlier)
    failures = facets_side_by_side(
        standing.engine,
        settings.cluster.ndir_per_node,
        group,
        lambda engine, facet: _selfcal_job(standing, engine, facet, donor),
    )
    for name, error in failures.items():
        log.error("%s: facetselfcal failed: %s", name, error)
    for facet in group:
        if standing.is_good(facet):
            _subtract(standing, facet)
    bad = [facet for facet in group if not standing.is_good(facet)]
    if bad and settings.calibration.exit_on_selfcal_failure:
        reasons = "\n".join(f"{facet.name}: {standing.why_bad(facet)}" for facet in bad)
        raise FactorError(
            f"self-calibration failed\n{reasons}",
            "look at its images in results/facetselfcal, then reset the direction (-r), or set "
            "exit_on_selfcal_failure = False to go on with its neighbours' solutions",
        )


def finish_subtractions(standing: Standing) -> None:
    """Finish the subtractions that a killed run left undone in some chunks.

    Whatever this run's limits are: data from which a direction is half subtracted are good
    for nothing.
    """
    begun = standing.subtracted_somewhere()
    for facet in standing.field.facets:
        if facet.name in begun and not standing.is_subtracted(facet):
            log.info("%s: its subtraction was interrupted and is finished", facet.name)
            _subtract(standing, facet)


def donor_of(standing: Standing, earlier: Sequence[Facet]) -> Solutions | None:
    """The solutions whose phases are applied before a group's directions are solved.

    They come from an earlier group, so that a run that is resumed within a group chooses
    as one that was not interrupted.
    """
    if not standing.field.settings.calibration.preapply_first_cal_phases:
        return None
    donor = next((f for f in earlier if standing.is_good(f) and not standing.preapplied(f)), None)
    return None if donor is None else standing.solutions(donor)


def _selfcal_job(standing: Standing, engine: Engine, facet: Facet, donor: Solutions | None) -> Job:
    field = standing.field
    context = engine.context("facetselfcal", facet.name)
    settings = facetselfcal.settings_of(field, facet)

    def operate() -> dict[str, Any]:
        return facetselfcal.run(context, field, facet, donor)

    return lambda: perform(context, settings, operate, redo=False)


def _subtract(standing: Standing, facet: Facet) -> None:
    context = standing.engine.context("facetsub", facet.name)
    change = standing.change(facet)
    selfcal = standing.record("facetselfcal", facet)
    fresh = selfcal is not None and selfcal.results["identity"] == change.identity()
    perform(
        context,
        {"identity": change.identity()},
        lambda: facetsub.run(context, standing.field, change, predicted=fresh),
        redo=False,
    )
