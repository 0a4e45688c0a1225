"""Calibrated data of directions for an archive: exported from what is kept, or made again."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factor.archive.copying import remove, size_of
from factor.directions.model import Facet
from factor.errors import InputError
from factor.execution.context import Engine
from factor.execution.local import Processors, available_cpus
from factor.flow.schedule import Schedule
from factor.flow.standing import Standing
from factor.observation.model import Observation
from factor.operations.base import Field
from factor.operations.facetimage import RestoringBeam, export_averaged
from factor.operations.imaging.facets import facet_averaging, finest_set, operation_name
from factor.operations.layout.field import lay_out
from factor.parset import Settings
from factor.state.intent import load_intent
from factor.state.store import StateStore
from factor.tools import environment
from factor.tuning.resources import total_memory_gb
from factor.workspace import FIELD, Workspace

log = logging.getLogger("factor.archive")

#: All directions that were imaged.
ALL = "all"

#: Folder in an archive in which data are made; it is deleted at the end.
_MAKING = ".making"

#: The part of a chunk that calibrated data have: one of two columns of data, weights and flags.
_COPIED = 0.6


@dataclass(frozen=True)
class Export:
    """The calibrated data that are wanted.

    Attributes
    ----------
    standing : Standing
        Of the run.
    operation : str
        The facetimage whose data they are.
    facets : tuple of Facet
        Of the directions that are wanted.
    """

    standing: Standing
    operation: str
    facets: tuple[Facet, ...]

    @property
    def beam(self) -> RestoringBeam:
        """The restoring beam with which they were imaged."""
        return field_beam(self.standing, self.operation)


def field_beam(standing: Standing, operation: str) -> RestoringBeam:
    """The restoring beam of a facetimage."""
    record = standing.engine.store.load(operation, FIELD)
    major, minor, angle = (0.0, 0.0, 0.0) if record is None else record.results["beam"]
    return major, minor, angle


def plan_export(
    settings: Settings, workspace: Workspace, observation: Observation, names: Sequence[str]
) -> Export:
    """Find the directions whose calibrated data are wanted.

    Parameters
    ----------
    settings : Settings
        The parset of the run.
    workspace : Workspace
        The working directory.
    observation : Observation
        Its chunks, which need not be there yet.
    names : sequence of str
        The directions, or ``all``.

    Raises
    ------
    InputError
        When a direction is not known, or was not imaged.
    """
    if load_intent(workspace) is not None:
        raise InputError(
            f"{workspace.root}: a reset was interrupted", "run runfactor first: it finishes the reset"
        )
    field = lay_out(settings, workspace, observation, keep=False)
    cpus = settings.cluster.ncpu or available_cpus()
    engine = Engine(
        workspace=workspace,
        store=StateStore(workspace),
        tools=environment.find_tools(),
        processors=Processors(cpus),
        threads=cpus,
        memory_gb=total_memory_gb() * settings.cluster.wsclean_fmem,
    )
    standing = Standing(engine, field)
    operation = operation_name("facetimage", finest_set(settings), settings)
    imaged = {f.name: f for f in Schedule.of(field).imaged if standing.record(operation, f) is not None}
    wanted = tuple(imaged) if ALL in names else tuple(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in imaged]
    if unknown or not imaged:
        raise InputError(
            f"-d: {', '.join(unknown) or ALL}: {operation} is not done: no calibrated data",
            f"directions that are imaged: {', '.join(imaged) or 'none; run runfactor to its end first'}",
        )
    return Export(standing, operation, tuple(imaged[name] for name in wanted))


def bytes_of(export: Export) -> int:
    """Estimate how much space the calibrated data of directions take.

    Their sizes where they are kept (three times that if they are compressed), else those of the
    chunks without one of two data columns, averaged.
    """
    workspace, field = export.standing.engine.workspace, export.standing.field
    chunks = sum(size_of(file.path) for chunk in field.observation.chunks for file in chunk.files)
    total = 0
    for facet in export.facets:
        kept = workspace.products(export.operation, facet.name).glob(f"{facet.name}.calibrated_*.ms")
        factor = 3 if field.settings.globals.use_compression else 1
        averaging = facet_averaging(field, facet, export.beam[1] / 3600.0)
        made = math.ceil(_COPIED * chunks / (averaging.freqstep * averaging.timestep))
        total += factor * sum(size_of(ms) for ms in kept) or made
    return total


def calibrated_data(folder: Path, field: Field, facet: Facet) -> list[Path]:
    """Where an archive has the calibrated data of a direction, by chunk."""
    place = folder / "calibrated_data" / facet.name
    chunks = field.observation.chunks
    return [field.workspace.calibrated_data(place, facet.name, chunk.index) for chunk in chunks]


def export_direction(export: Export, facet: Facet, folder: Path, *, clobber: bool) -> list[str]:
    """Write the calibrated data of one direction into an archive; what is there is kept.

    Parameters
    ----------
    export : Export
        What is wanted.
    facet : Facet
        The direction.
    folder : Path
        The archive.
    clobber : bool
        Make again what is there.

    Returns
    -------
    list of str
        The measurement sets, in the archive.
    """
    field = export.standing.field
    targets = calibrated_data(folder, field, facet)
    names = [str(target.relative_to(folder)) for target in targets]
    if not clobber and all(target.is_dir() for target in targets):
        log.info("%s: calibrated data are there already", facet.name)
        return names
    log.info("%s: calibrated data, %d measurement sets", facet.name, len(targets))
    engine = making_engine(export.standing.engine, folder)
    context = engine.context(export.operation, facet.name)
    context.products.mkdir(parents=True, exist_ok=True)
    made = export_averaged(
        context, field, facet, export.standing.calibration(facet), export.beam,
        field.workspace.products(export.operation, facet.name),
    )  # fmt: skip
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    for source, target in zip(made, targets, strict=True):
        remove(target)
        source.rename(target)
    remove(context.products)
    return names


def making_engine(engine: Engine, folder: Path) -> Engine:
    """An engine that makes things in a folder and leaves the working directory alone."""
    making = Workspace(folder.resolve() / _MAKING)
    return Engine(
        workspace=making,
        store=StateStore(making),
        tools=engine.tools,
        processors=engine.processors,
        threads=engine.threads,
        memory_gb=engine.memory_gb,
    )


def clear(folder: Path) -> None:
    """Delete what was used to make calibrated data."""
    remove(folder / _MAKING)
