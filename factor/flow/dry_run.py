"""What a run would do, said and not done."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from factor.directions.model import Facet
from factor.execution.context import Engine
from factor.flow.forecast import demands, done_for_good
from factor.flow.plan import plan_of
from factor.flow.reset import describe, reset_to_do, subtracted_from
from factor.flow.schedule import Schedule
from factor.flow.standing import Standing
from factor.flow.status import Statuses, stale_lines, statuses
from factor.observation.chunks import bytes_needed, check_disk, check_made, planned_observation
from factor.observation.plan import ChunkPlan
from factor.operations import facetpeel, outlierpeel
from factor.operations.base import Field
from factor.operations.calibration.plan import AGAIN, FIRST
from factor.operations.imaging.facets import imaging_sets, operation_name
from factor.operations.layout.field import check_layout, lay_out
from factor.parset import Settings
from factor.progress.reading import time_left_of
from factor.progress.words import time_left
from factor.state.intent import Reset
from factor.state.records import Record
from factor.state.store import StateStore
from factor.workspace import FIELD, Workspace

log = logging.getLogger("factor")


def tell_plan(
    engine: Engine,
    settings: Settings,
    plan: tuple[ChunkPlan, ...],
    asked: tuple[Sequence[str], Sequence[str]],
) -> None:
    """Say what a run would do; nothing is written.

    Parameters
    ----------
    engine : Engine
        Has the records.
    settings : Settings
        The parset.
    plan : tuple of ChunkPlan
        Its chunks.
    asked : (directions, operations)
        What is to be reset.
    """
    workspace = engine.workspace
    check_made(plan, workspace)
    observation = planned_observation(plan, workspace)
    reset = reset_to_do(workspace, observation, *asked)
    for line in describe(reset, workspace):
        log.info("would be reset: %s", line)
    field = lay_out(settings, workspace, observation, keep=False)
    if not reset.everything:
        check_layout(field)
    log.info(
        "%d bands, %d chunks: %s",
        len(observation.bands), len(observation.chunks), check_disk(plan, workspace),
    )  # fmt: skip
    schedule = Schedule.of(field)
    gone = subtracted_from(workspace, observation) if reset.everything else reset.undo
    after = replace(engine, store=StoreAfter(workspace, reset))
    found = statuses(Standing(after, field, frozenset(gone)), schedule)
    for line in _lines(settings, schedule, found):
        log.info(line)
    _tell_costs(after, field, schedule, found, bytes_needed(plan, workspace))


def _tell_costs(
    engine: Engine, field: Field, schedule: Schedule, found: Statuses, chunk_bytes: float
) -> None:
    """Say what of disks, memory and time the rest of the run takes."""
    for demand in demands(engine, field, schedule, found, chunk_bytes):
        log.info("disk: %s", demand)
        if not demand.is_met:
            log.warning("there may be too little room: dir_local and dir_local_selfcal name other disks")
    part = engine.share(len(schedule.imaged), field.settings.cluster.ndir_per_node)
    log.info("memory: at most %.3g GB for each WSClean, %d at a time", part.memory_gb, part.at_once)
    again = {key for key in found.keys() - done_for_good(found) if found[key].state == "stale"}
    left = time_left_of(engine.workspace, plan_of(field, schedule, None), engine.store.all(), again)
    log.info("time: %s", time_left(left) or "not known before a first direction is calibrated")


class StoreAfter(StateStore):
    """The records as they will be when a reset is done."""

    def __init__(self, workspace: Workspace, reset: Reset) -> None:
        super().__init__(workspace)
        self._reset = reset

    def load(self, operation: str, direction: str) -> Record | None:
        """Read one record, None when it will be gone."""
        if self._reset.everything or (operation, direction) in self._reset.delete:
            return None
        return super().load(operation, direction)


def _lines(settings: Settings, schedule: Schedule, found: Statuses) -> Iterator[str]:
    """The operations in their order, each direction with how it stands."""

    def told(facets: Iterable[Facet], *operations: str) -> str:
        brief = (f"{facet.name} ({_brief(found, operations, facet.name)})" for facet in facets)
        return f"{', '.join(operations)}: {', '.join(brief)}"

    for outlier in schedule.outliers:
        yield f"outlier: {told((outlier,), outlierpeel.NAME, 'facetsub')}"
    for facet in schedule.peeled:
        yield f"peeled: {told((facet,), facetpeel.NAME, facetpeel.IMAGE, 'facetsub')}"
    for number, group in enumerate(schedule.groups, 1):
        yield f"group {number} of {len(schedule.groups)}: {told(group, FIRST.operation, 'facetsub')}"
    if schedule.second_round:
        yield f"second round: {told(schedule.second_round, AGAIN.operation)}"
    for imaging in imaging_sets(settings):
        yield told(schedule.imaged, operation_name("facetimage", imaging, settings))
        if settings.imaging.make_mosaic:
            name = operation_name("fieldmosaic", imaging, settings)
            yield f"{name} ({_brief(found, (name,), FIELD)})"
    yield from stale_lines(found)


def _brief(found: Statuses, operations: Sequence[str], direction: str) -> str:
    """The first operation that is not done; the reasons follow, where directions can share them."""
    for operation in operations:
        state = found[operation, direction].state
        if state != "done":
            return state if operation == operations[0] else f"{operation} {state}"
    return "done"
