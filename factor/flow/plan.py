"""The plan of a run, noted for whoever watches it."""

from __future__ import annotations

import logging

from factor.errors import FactorError
from factor.flow.schedule import Schedule
from factor.flow.status import Statuses, stale_lines
from factor.operations import facetpeel, outlierpeel
from factor.operations.base import Field
from factor.operations.calibration.loop import PHASE_CYCLES
from factor.operations.calibration.plan import AGAIN, FIRST
from factor.operations.fieldmosaic import STEPS as MOSAIC_STEPS
from factor.operations.imaging.facets import imaging_sets, operation_name
from factor.state.plan import Plan, PlannedDirection, Work, save_plan
from factor.state.store import StateStore
from factor.workspace import FIELD, Workspace

log = logging.getLogger("factor")

#: Cycles with slow gains after which the loop usually ends.
_USUAL_GAIN_CYCLES = 3


def note_plan(workspace: Workspace, field: Field, schedule: Schedule, stop_after: int | None) -> Plan:
    """Write what the run is about to do; a failure to do so stops nothing."""
    plan = plan_of(field, schedule, stop_after)
    try:
        save_plan(workspace, plan)
    except FactorError as error:
        log.warning("checkfactor will know less of this run: %s", error)
    return plan


def tell_done(store: StateStore, plan: Plan, found: Statuses) -> None:
    """Say what an earlier run has done, what of it failed, and what is stale."""
    for state, verb in (("done", "done already"), ("failed", "failed before, tried again")):
        counts = []
        for work in plan.work:
            records = [store.load(work.operation, direction) for direction in work.directions]
            number = sum(1 for record in records if record is not None and record.status == state)
            if number:
                counts.append(f"{work.operation} {number} of {len(work.directions)}")
        if counts:
            log.info("%s: %s", verb, ", ".join(counts))
    for line in stale_lines(found):
        log.info(line)


def plan_of(field: Field, schedule: Schedule, stop_after: int | None) -> Plan:
    """What a run is about to do."""
    observation, geometry = field.observation, field.geometry
    return Plan(
        parset=str(field.settings.path),
        centre_deg=(geometry.ra_deg, geometry.dec_deg),
        radius_deg=(geometry.radius_deg, geometry.radius_north_deg),
        bands=len(observation.bands),
        chunks=len(observation.chunks),
        directions=tuple(
            PlannedDirection(
                name=facet.name,
                ra_deg=facet.direction.ra_deg,
                dec_deg=facet.direction.dec_deg,
                vertices=facet.vertices,
                is_patch=facet.is_patch,
                is_target=facet.direction.is_target,
                flux_jy=facet.direction.cal_flux_jy or 0.0,
            )
            for facet in (*field.outliers, *field.facets)
        ),
        groups=tuple(tuple(facet.name for facet in group) for group in schedule.groups),
        work=_work(field, schedule),
        stop_after=stop_after,
        goes_on=not field.settings.calibration.exit_on_selfcal_failure,
    )


def _work(field: Field, schedule: Schedule) -> tuple[Work, ...]:
    chunks = len(field.observation.chunks)
    outliers = tuple(facet.name for facet in schedule.outliers)
    peeled = tuple(facet.name for facet in schedule.peeled)
    calibrated = tuple(facet.name for group in schedule.groups for facet in group)
    imaged = tuple(facet.name for facet in schedule.imaged)
    again = tuple(facet.name for facet in schedule.second_round)
    loops = min(_USUAL_GAIN_CYCLES, field.settings.calibration.max_selfcal_loops)
    solve, look = 3 * chunks + 6, 2 * chunks + 4
    work = [
        Work(outlierpeel.NAME, outliers, solve + look),
        Work(facetpeel.NAME, peeled, solve + 1),
        Work(facetpeel.IMAGE, peeled, chunks + 4 + look),
        Work(FIRST.operation, calibrated, selfcal_steps(chunks, loops)),
        Work(AGAIN.operation, again, selfcal_steps(chunks, loops)),
        Work("facetsub", (*outliers, *peeled, *calibrated)),
    ]
    work = [part for part in work if part.directions or part.operation in (FIRST.operation, "facetsub")]
    for imaging in imaging_sets(field.settings) if imaged else ():
        work.append(Work(operation_name("facetimage", imaging, field.settings), imaged, chunks + 3))
        if field.settings.imaging.make_mosaic:
            work.append(Work(operation_name("fieldmosaic", imaging, field.settings), (FIELD,), MOSAIC_STEPS))
    return tuple(work)


def selfcal_steps(chunks: int, gain_cycles: int) -> int:
    """About the number of steps of a self-calibration, until the first one has shown it.

    Every chunk is taken out, corrected and solved in each cycle, and each cycle has an image;
    at the end come the facet's image, the new model and the residual images.
    """
    begin, end = 2 * chunks + 5, 3 * chunks + 10
    phases, gains = 2 * chunks + 4, 3 * chunks + 5
    return begin + PHASE_CYCLES * phases + gain_cycles * gains + end
