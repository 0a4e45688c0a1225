"""The run: check, chunk, direct, self-calibrate, subtract, image, mosaic."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from factor.directions.geometry import separation_deg
from factor.directions.groups import group_directions
from factor.directions.model import Facet
from factor.errors import FactorError, Interrupted
from factor.execution.context import Context, Engine, side_by_side
from factor.execution.local import Processors, available_cpus
from factor.execution.signals import stop_on_signals
from factor.observation.chunks import bytes_needed, planned_observation
from factor.observation.plan import ChunkPlan
from factor.operations import facetimage, facetselfcal, facetsub, fieldmosaic, solving
from factor.operations.base import Field, Solutions
from factor.operations.difference import Change
from factor.operations.facet_imaging import ImagingSet, imaging_sets, operation_name
from factor.operations.facetimage import Calibration, RestoringBeam
from factor.operations.layout import lay_out
from factor.parset import Settings
from factor.preparation import chunk_observation, make_folders, plan_observation, settle_ledgers
from factor.state.lock import run_lock
from factor.state.store import StateStore
from factor.tools import environment
from factor.tuning.resources import share, total_memory_gb
from factor.workspace import FIELD, Workspace

log = logging.getLogger("factor")

Job = Callable[[], None]
Failures = dict[str, FactorError]


@dataclass(frozen=True)
class RunOptions:
    """The options of the command line."""

    dry_run: bool = False
    quiet: bool = False
    verbose: bool = False
    reset: tuple[str, ...] = ()
    reset_ops: tuple[str, ...] = ()
    stop_after: int | None = None
    test: bool = False
    check: bool = False
    undo: bool = False


def run(settings: Settings, options: RunOptions) -> None:
    """Run Factor.

    Raises
    ------
    FactorError
        Whatever keeps the run from its end; what is done is kept.
    """
    environment.prepare()
    workspace = Workspace(settings.globals.dir_working)
    tools = environment.find_tools()
    cpus = settings.cluster.ncpu or available_cpus()
    jobs = settings.cluster.nthread_io or math.ceil(math.sqrt(cpus))
    if options.dry_run or options.check:
        tell_plan(settings, workspace, plan_observation(settings, workspace, jobs))
        return
    cluster = settings.cluster
    make_folders(workspace, cluster.dir_local, cluster.dir_local_selfcal)
    with run_lock(workspace), stop_on_signals():
        plan = plan_observation(settings, workspace, jobs)
        observation = chunk_observation(plan, workspace, jobs)
        settle_ledgers(workspace, observation)
        field = lay_out(settings, workspace, observation)
        engine = Engine(
            workspace=workspace,
            store=StateStore(workspace),
            tools=tools,
            processors=Processors(cpus),
            dir_local=cluster.dir_local,
            dir_local_selfcal=cluster.dir_local_selfcal,
            threads=cpus,
            memory_gb=total_memory_gb() * settings.cluster.wsclean_fmem,
        )
        Run(engine, field).go(options.stop_after)


def tell_plan(settings: Settings, workspace: Workspace, plan: tuple[ChunkPlan, ...]) -> None:
    """Say what a run would do; nothing is written."""
    observation = planned_observation(plan, workspace)
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

    for number, group in enumerate(schedule.groups, 1):
        states = ", ".join(f"{f.name} ({status('facetselfcal', f.name)})" for f in group)
        log.info("group %d of %d: facetselfcal, facetsub: %s", number, len(schedule.groups), states)
    for imaging in imaging_sets(settings):
        name = operation_name("facetimage", imaging, settings)
        log.info("%s: %s", name, ", ".join(f"{f.name} ({status(name, f.name)})" for f in schedule.imaged))
        if settings.imaging.make_mosaic:
            name = operation_name("fieldmosaic", imaging, settings)
            log.info("%s (%s)", name, status(name, FIELD))


@dataclass(frozen=True)
class Schedule:
    """Which facets are self-calibrated, in which groups, and which are imaged."""

    groups: tuple[tuple[Facet, ...], ...]
    imaged: tuple[Facet, ...]

    @property
    def calibrated(self) -> tuple[Facet, ...]:
        return tuple(facet for group in self.groups for facet in group)

    @classmethod
    def of(cls, field: Field) -> Schedule:
        """The schedule of a field, as its settings limit it."""
        limits = field.settings.directions
        everything = field.facets[: limits.ndir_process]
        calibrated = everything if limits.ndir_selfcal is None else everything[: limits.ndir_selfcal]
        by_name = {facet.name: facet for facet in calibrated}
        groups = group_directions(
            [facet.direction for facet in calibrated],
            limits.groupings,
            allow_reordering=limits.allow_reordering,
        )
        return cls(
            groups=tuple(tuple(by_name[d.name] for d in group) for group in groups),
            imaged=tuple(facet for facet in everything if not facet.is_patch),
        )


class Run:
    """The flow of one run over the field's directions.

    Parameters
    ----------
    engine : Engine
        Where steps run.
    field : Field
        The field.
    """

    def __init__(self, engine: Engine, field: Field) -> None:
        self.engine = engine
        self.field = field
        schedule = Schedule.of(field)
        self.groups = schedule.groups
        self.calibrated = schedule.calibrated
        self.imaged = schedule.imaged

    def go(self, stop_after: int | None) -> None:
        """Process everything that is not done."""
        for number, group in enumerate(self.groups, 1):
            log.info("group %d of %d: %s", number, len(self.groups), ", ".join(f.name for f in group))
            self._group(group)
            if stop_after == number:
                log.info("stopped after %d groups, as asked; run again without -s to go on", number)
                return
        for imaging in imaging_sets(self.field.settings):
            self._image_all(imaging)
        log.info("done")

    def _side_by_side(self, facets: Sequence[Facet], job: Callable[[Engine, Facet], Job]) -> Failures:
        """Work on facets at the same time, as many as the machine and the settings allow."""
        whole = self.engine
        limit = self.field.settings.cluster.ndir_per_node
        part = share(len(facets), limit, whole.processors.total, whole.memory_gb)
        engine = replace(whole, threads=part.threads, memory_gb=part.memory_gb)
        failures = side_by_side({facet.name: job(engine, facet) for facet in facets}, part.at_once)
        for error in failures.values():
            if isinstance(error, Interrupted):
                raise error
        return failures

    # -- self-calibration ------------------------------------------------------------

    def _group(self, group: Sequence[Facet]) -> None:
        donor = self._donor(group)
        failures = self._side_by_side(group, lambda engine, facet: self._selfcal_job(engine, facet, donor))
        for name, error in failures.items():
            log.error("%s: facetselfcal failed: %s", name, error)
        for facet in group:
            if self.is_good(facet):
                self._subtract(facet)
        bad = [facet.name for facet in group if not self.is_good(facet)]
        if bad and self.field.settings.calibration.exit_on_selfcal_failure:
            reasons = "\n".join(f"{name}: {self._why_bad(name)}" for name in bad)
            raise FactorError(
                f"self-calibration failed\n{reasons}",
                "look at its images in results/facetselfcal, then reset the direction (-r), or set "
                "exit_on_selfcal_failure = False to go on with its neighbours' solutions",
            )

    def _donor(self, group: Sequence[Facet]) -> Solutions | None:
        """The solutions whose phases are applied before a group's directions are solved.

        They come from an earlier group, so that a run that is resumed within a group chooses
        as one that was not interrupted.
        """
        if not self.field.settings.calibration.preapply_first_cal_phases:
            return None
        earlier = self.calibrated[: self.calibrated.index(group[0])]
        donor = next((f for f in earlier if self.is_good(f) and not self._preapplied(f)), None)
        return None if donor is None else self.solutions_of(donor)

    def _preapplied(self, facet: Facet) -> bool:
        record = self.engine.store.load("facetselfcal", facet.name)
        return record is not None and bool(record.results.get("preapplied"))

    def _selfcal_job(self, engine: Engine, facet: Facet, donor: Solutions | None) -> Job:
        context = engine.context("facetselfcal", facet.name)
        settings = facetselfcal.settings_of(self.field, facet)

        def operate() -> dict[str, Any]:
            return facetselfcal.run(context, self.field, facet, donor)

        return lambda: perform(context, settings, operate, redo=False)

    def is_good(self, facet: Facet) -> bool:
        """Whether a direction was self-calibrated and its verdict is good."""
        record = self.engine.store.load("facetselfcal", facet.name)
        if record is None or record.status != "done":
            return False
        return bool(record.results["verdict"]["good"]) or self.field.settings.calibration.skip_selfcal_check

    def _is_subtracted(self, facet: Facet) -> bool:
        """Whether its new model stands subtracted, also if this run would not self-calibrate it."""
        record = self.engine.store.load("facetsub", facet.name)
        return record is not None and record.status == "done"

    def _why_bad(self, name: str) -> str:
        record = self.engine.store.load("facetselfcal", name)
        if record is None or record.status != "done":
            return record.error if record is not None else "it did not run"
        return facetselfcal.explain(record.results["verdict"])

    def solutions_of(self, facet: Facet) -> Solutions:
        """The final solutions of a self-calibrated direction."""
        products = self.engine.workspace.products("facetselfcal", facet.name)
        return solving.solutions_of(products, facet.name)

    def _subtract(self, facet: Facet) -> None:
        context = self.engine.context("facetsub", facet.name)
        change = self._change(facet)
        selfcal = self.engine.store.load("facetselfcal", facet.name)
        fresh = selfcal is not None and selfcal.results["identity"] == change.identity()
        perform(
            context,
            {"identity": change.identity()},
            lambda: facetsub.run(context, self.field, change, predicted=fresh),
            redo=False,
        )

    def _change(self, facet: Facet) -> Change:
        products = self.engine.workspace.products("facetselfcal", facet.name)
        return facetselfcal.change_of(self.engine, self.field, facet, products)

    # -- imaging ---------------------------------------------------------------------

    def _image_all(self, imaging: ImagingSet) -> None:
        if not self.imaged:
            log.warning("nothing to image: no direction lies within faceting_radius_deg")
            return
        settings = self.field.settings
        operation = operation_name("facetimage", imaging, settings)
        beam_context = self.engine.context(operation, FIELD)
        log.info("%s: %d facets", operation, len(self.imaged))
        perform(
            beam_context,
            asdict(imaging),
            lambda: {"beam": facetimage.restoring_beam(beam_context, self.field, imaging)},
            redo=True,
        )
        major, minor, angle = beam_context.record.results["beam"]
        failures = self._side_by_side(
            self.imaged,
            lambda engine, facet: self._image_job(
                engine.context(operation, facet.name), facet, imaging, (major, minor, angle)
            ),
        )
        if failures:
            reasons = "\n".join(f"{name}: {error}" for name, error in failures.items())
            raise FactorError(f"facets could not be imaged\n{reasons}")
        if settings.imaging.make_mosaic:
            self._mosaic(imaging, operation)

    def _image_job(
        self, context: Context, facet: Facet, imaging: ImagingSet, beam: RestoringBeam
    ) -> Job:
        calibration = self.calibration_of(facet)
        settings = facetimage.settings_of(context, self.field, facet, imaging, calibration)

        def operate() -> dict[str, Any]:
            return facetimage.run(context, self.field, facet, imaging, calibration, beam)

        return lambda: perform(context, settings, operate, redo=True)

    def calibration_of(self, facet: Facet) -> Calibration:
        """What a facet is imaged with: its own solutions, the nearest good ones, or none."""
        if self._is_subtracted(facet):
            products = self.engine.workspace.products("facetsub", facet.name)
            own = facetselfcal.change_of(self.engine, self.field, facet, products).new
            return Calibration(own, own.solutions, "own")
        good = [other for other in self.field.facets if self.is_good(other)]
        if not good:
            return Calibration(None, None, "none")
        nearest = min(good, key=lambda other: _distance_deg(facet, other))
        return Calibration(None, self.solutions_of(nearest), "borrowed")

    def _mosaic(self, imaging: ImagingSet, imaged_by: str) -> None:
        operation = operation_name("fieldmosaic", imaging, self.field.settings)
        context = self.engine.context(operation, FIELD)
        images = {}
        for facet in self.imaged:
            record = self.engine.store.load(imaged_by, facet.name)
            if record is None or record.status != "done":
                raise FactorError(f"{imaged_by} of {facet.name} is not done")
            images[facet.name] = {**record.results, "finished": record.finished}
        settings = {**asdict(imaging), "images": {n: i["finished"] for n, i in images.items()}}
        perform(
            context,
            settings,
            lambda: fieldmosaic.run(context, self.field, imaging, self.imaged, images),
            redo=True,
        )


def perform(
    context: Context,
    settings: dict[str, Any],
    operate: Callable[[], dict[str, Any]],
    *,
    redo: bool,
) -> None:
    """Do an operation unless it is done; say so when what shaped it has changed.

    Parameters
    ----------
    context : Context
        Of the operation on its direction.
    settings : dict
        What shapes it: options and fingerprints of what it is made from.
    operate : callable
        Does it, and gives the results for the record.
    redo : bool
        Whether it is done again when the settings changed; self-calibration and
        subtraction are not, until the user resets them.
    """
    name = f"{context.operation} {context.direction}"
    if context.done:
        context.tidy()
        reasons = context.stale(settings)
        if not reasons:
            log.debug("%s: done", name)
            return
        if not redo:
            log.warning("%s: done, but %s; reset it (-r) to do it again", name, "; ".join(reasons))
            return
        log.info("%s: is done again: %s", name, "; ".join(reasons))
    context.start(settings)
    try:
        context.finish(operate())
    except Interrupted:
        raise
    except FactorError as error:
        context.fail(error)
        raise


def _distance_deg(one: Facet, other: Facet) -> float:
    return float(separation_deg(one.ra_deg, one.dec_deg, other.direction.ra_deg, other.direction.dec_deg))

