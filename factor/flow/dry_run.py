"""What a run would do, said and not done."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from factor.flow.reset import describe, reset_to_do
from factor.flow.schedule import Schedule
from factor.observation.chunks import bytes_needed, planned_observation
from factor.observation.plan import ChunkPlan
from factor.operations import facetpeel, outlierpeel
from factor.operations.facet_imaging import imaging_sets, operation_name
from factor.operations.layout import lay_out
from factor.parset import Settings
from factor.state.store import StateStore
from factor.workspace import FIELD, Workspace

log = logging.getLogger("factor")


def tell_plan(
    settings: Settings,
    workspace: Workspace,
    plan: tuple[ChunkPlan, ...],
    asked: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> None:
    """Say what a run would do; nothing is written.

    Parameters
    ----------
    settings : Settings
        The parset.
    workspace : Workspace
        The working directory.
    plan : tuple of ChunkPlan
        Its chunks.
    asked : (directions, operations)
        What is to be reset.
    """
    observation = planned_observation(plan, workspace)
    reset = reset_to_do(workspace, observation, *asked)
    for line in describe(reset, workspace):
        log.info("would be reset: %s", line)
    field = lay_out(settings, workspace, observation, keep=False)
    log.info(
        "%d bands, %d chunks, %.2f GB of chunks still to be made",
        len(observation.bands), len(observation.chunks), bytes_needed(plan, workspace) / 1e9,
    )  # fmt: skip
    schedule = Schedule.of(field)
    store = StateStore(workspace)

    def status(operation: str, direction: str) -> str:
        record = store.load(operation, direction)
        return "not run" if record is None else {"running": "unfinished"}.get(record.status, record.status)

    for outlier in schedule.outliers:
        state = status(outlierpeel.NAME, outlier.name)
        log.info("outlier: outlierpeel, facetsub: %s (%s)", outlier.name, state)
    for facet in schedule.peeled:
        state = status(facetpeel.IMAGE, facet.name)
        log.info("peeled: facetpeel, facetpeelimage, facetsub: %s (%s)", facet.name, state)
    for number, group in enumerate(schedule.groups, 1):
        states = ", ".join(f"{f.name} ({status('facetselfcal', f.name)})" for f in group)
        log.info("group %d of %d: facetselfcal, facetsub: %s", number, len(schedule.groups), states)
    for imaging in imaging_sets(settings):
        name = operation_name("facetimage", imaging, settings)
        log.info("%s: %s", name, ", ".join(f"{f.name} ({status(name, f.name)})" for f in schedule.imaged))
        if settings.imaging.make_mosaic:
            name = operation_name("fieldmosaic", imaging, settings)
            log.info("%s (%s)", name, status(name, FIELD))
