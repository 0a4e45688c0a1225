"""The run: check, chunk, direct, self-calibrate, subtract, image, mosaic."""

from __future__ import annotations

import logging
import math
import socket
from dataclasses import dataclass

from factor.directions.model import Facet
from factor.errors import check_all
from factor.execution.context import Engine
from factor.execution.local import Processors, available_cpus
from factor.execution.signals import stop_on_signals
from factor.flow.calibrating import calibrate, calibrate_again, finish_subtractions, peel, try_again
from factor.flow.dry_run import tell_plan
from factor.flow.imaging import image_all
from factor.flow.plan import note_plan, tell_done
from factor.flow.reset import begin_again, carry_out, check_reset, describe, reset_to_do
from factor.flow.review import review, wants_review
from factor.flow.schedule import Schedule
from factor.flow.standing import Standing
from factor.flow.status import note_statuses, statuses
from factor.observation.chunks import planned_observation
from factor.observation.model import Observation
from factor.observation.plan import ChunkPlan
from factor.observation.wild import flag_wild
from factor.operations.imaging.facets import imaging_sets
from factor.operations.layout.choosing import check_given
from factor.operations.layout.field import lay_out
from factor.operations.visibilities.flagging import check_flags
from factor.parset import Settings
from factor.preparation import (
    chunk_observation,
    compare_models,
    finish_edits,
    make_folders,
    mend_chunks,
    plan_observation,
    settle_ledgers,
)
from factor.progress.heart import heartbeat
from factor.progress.live import display
from factor.state.intent import Reset
from factor.state.lock import run_lock
from factor.state.store import StateStore
from factor.tools import environment
from factor.tools.features import check_gridder
from factor.tools.versions import factor_version, tell_versions
from factor.tuning.resources import total_memory_gb
from factor.workspace import Workspace

log = logging.getLogger("factor")


@dataclass(frozen=True)
class RunOptions:
    """The options of the command line."""

    dry_run: bool = False
    reset: tuple[str, ...] = ()
    reset_ops: tuple[str, ...] = ()
    stop_after: int | None = None
    check: bool = False
    undo: bool = False

    @property
    def operations(self) -> tuple[str, ...]:
        """What of the directions is reset; all when empty."""
        return ("facetsub",) if self.undo else self.reset_ops


def run(settings: Settings, options: RunOptions) -> None:
    """Run Factor.

    Raises
    ------
    FactorError
        Whatever keeps the run from its end; what is done is kept.
    """
    environment.prepare()
    workspace = Workspace(settings.globals.dir_working)
    if options.reset:
        check_reset(workspace, options.reset, options.reset_ops)
    cpus = settings.cluster.ncpu or available_cpus()
    jobs = settings.cluster.nthread_io or math.ceil(math.sqrt(cpus))
    if options.dry_run or options.check:
        tools, chunk_plan = _checked(settings, workspace, jobs)
        engine = _engine(settings, workspace, tools, cpus)
        tell_plan(engine, settings, chunk_plan, (options.reset, options.operations))
        return
    asks = wants_review(settings, workspace)
    cluster = settings.cluster
    make_folders(workspace, cluster.dir_local, cluster.dir_local_selfcal)
    with run_lock(workspace), stop_on_signals(), heartbeat(workspace):
        _tell_begin(settings, cpus)
        mend_chunks(workspace)
        tools, chunk_plan = _checked(settings, workspace, jobs)
        if asks:
            # Before hours of chunking.
            review(settings, workspace, planned_observation(chunk_plan, workspace))
        with display(workspace):
            observation = chunk_observation(chunk_plan, workspace, jobs)
            engine = _engine(settings, workspace, tools, cpus)
            standing = _settle(settings, engine, observation, options)
            schedule = Schedule.of(standing.field)
            stop_after = 0 if options.undo else options.stop_after
            plan = note_plan(workspace, standing.field, schedule, stop_after)
            found = statuses(standing, schedule)
            note_statuses(engine.store, found)
            tell_done(engine.store, plan, found)
            if options.undo:
                log.info("the subtractions are undone; run again without --undo to go on")
                return
            flag_wild(observation, workspace, tools, settings.calibration.solve_min_uv_lambda, jobs)
            process(standing, schedule, options.stop_after)


def _engine(settings: Settings, workspace: Workspace, tools: environment.Tools, cpus: int) -> Engine:
    cluster = settings.cluster
    return Engine(
        workspace=workspace,
        store=StateStore(workspace),
        tools=tools,
        processors=Processors(cpus),
        dir_local=cluster.dir_local,
        dir_local_selfcal=cluster.dir_local_selfcal,
        threads=cpus,
        memory_gb=total_memory_gb() * cluster.wsclean_fmem,
    )


def _settle(settings: Settings, engine: Engine, observation: Observation, options: RunOptions) -> Standing:
    """Finish what an earlier run left half done, reset what is asked for, and lay out the field."""
    workspace = engine.workspace
    reset = reset_to_do(workspace, observation, options.reset, options.operations)
    for line in describe(reset, workspace):
        log.info("reset: %s", line)
    if reset.everything:
        # Also where ledgers are lost or damaged.
        begin_again(workspace, observation)
        reset = Reset()
    finish_edits(workspace, observation)
    settle_ledgers(workspace, observation, reset)
    standing = Standing(engine, lay_out(settings, workspace, observation))
    carry_out(standing, reset)
    return standing


def _tell_begin(settings: Settings, cpus: int) -> None:
    """Say what runs with what: the first thing that anyone asks who is sent a log."""
    machine = f"{cpus} CPUs, {total_memory_gb():.0f} GB of memory"
    log.info("Factor %s with %s, on %s, %s", factor_version(), settings.path, socket.gethostname(), machine)


def _checked(
    settings: Settings, workspace: Workspace, jobs: int
) -> tuple[environment.Tools, tuple[ChunkPlan, ...]]:
    """The tools and the plan of the chunks, after all has been checked that can be before anything runs."""
    tools: list[environment.Tools] = []
    plan: list[ChunkPlan] = []
    check_all(
        lambda: tools.append(_working_tools(settings)),
        lambda: plan.extend(plan_observation(settings, workspace, jobs)),
        lambda: check_given(settings),
    )
    first = plan[0].files[0].sources[0]
    check_flags(settings, tools[0], first.path, first.data_column)
    compare_models(tuple(plan), workspace, tools[0], settings, jobs)
    return tools[0], tuple(plan)


def _working_tools(settings: Settings) -> environment.Tools:
    tools = environment.find_tools()
    log.info("tools: %s", "; ".join(tell_versions(tools)))
    check_gridder(tools, use_idg=settings.imaging.wsclean_use_idg)
    return tools


def process(standing: Standing, schedule: Schedule, stop_after: int | None) -> None:
    """Process everything that is not done.

    Parameters
    ----------
    standing : Standing
        Of the field's directions.
    schedule : Schedule
        What is calibrated and imaged.
    stop_after : int or None
        Number of groups after which to stop.
    """
    finish_subtractions(standing)
    for outlier in schedule.outliers:
        log.info("peeling of the outlier %s", outlier.name)
        peel(standing, outlier)
    earlier: tuple[Facet, ...] = ()
    for facet in schedule.peeled:
        log.info("peeling of %s", facet.name)
        peel(standing, facet)
        earlier += (facet,)
    for number, group in enumerate(schedule.groups, 1):
        names = ", ".join(f.name + (" (done)" if standing.is_subtracted(f) else "") for f in group)
        log.info("group %d of %d: %s", number, len(schedule.groups), names)
        calibrate(standing, group, earlier)
        earlier += group
        if stop_after == number:
            log.info("stopped after group %d, as asked; run again without -s to go on", number)
            return
    for facet in schedule.second_round:
        calibrate_again(standing, facet)
    for group in schedule.groups:
        try_again(standing, group)
    for imaging in imaging_sets(standing.field.settings):
        image_all(standing, schedule.imaged, imaging)
    log.info("done: everything is in %s", standing.engine.workspace.results)
