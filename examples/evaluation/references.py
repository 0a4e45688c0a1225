"""The images that a run is held against: the same facets, imaged without calibration.

Both are made by Factor's own facetimage and fieldmosaic, in which no direction was
self-calibrated: every facet's initial model is added back as it was subtracted, and
nothing is corrected. *ideal* has the data without direction-dependent effects, *di* the
data that the run itself had, less a source outside the field that it peels.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from factor import log
from factor.execution.context import Engine
from factor.execution.local import Processors, available_cpus
from factor.execution.signals import stop_on_signals
from factor.execution.step import digest, file_digest
from factor.flow.imaging import image_all
from factor.flow.schedule import Schedule
from factor.flow.standing import Standing
from factor.observation.chunks import load_observation
from factor.observation.model import Observation
from factor.operations.base import Field
from factor.operations.imaging.facets import imaging_sets
from factor.operations.layout.field import lay_out
from factor.parset import Settings
from factor.preparation import chunk_observation, make_folders, plan_observation
from factor.products.models.skymodel import Components, read, select
from factor.products.models.sources import assign_sources
from factor.state.lock import run_lock
from factor.state.store import StateStore
from factor.tools.environment import find_tools
from factor.tuning.resources import total_memory_gb
from factor.workspace import Workspace

_NOTE = "made_from.json"


@dataclass(frozen=True)
class Reference:
    """One of the two: where it is made, and from which measurement sets."""

    root: Path
    data: Path


def field_of_run(settings: Settings) -> Field:
    """The field of a finished run, as the run laid it out; nothing is written."""
    workspace = Workspace(settings.globals.dir_working)
    return lay_out(settings, workspace, load_observation(workspace), keep=False)


def make_reference(reference: Reference, field: Field) -> Field:
    """Image a reference, or leave it alone when it is there.

    One that was made for other facets or from other data is deleted first.

    Parameters
    ----------
    reference : Reference
        What to make.
    field : Field
        The field of the run that is held against it.

    Returns
    -------
    Field
        The reference's field.

    Raises
    ------
    FactorError
        Whatever keeps the imaging from its end; what is done is kept.
    """
    settings = _uncalibrated(field.settings, reference)
    workspace = Workspace(reference.root)
    cpus = settings.cluster.ncpu or available_cpus()
    _drop_stale(reference, field)
    make_folders(workspace, None)
    log.setup(workspace.log, log.QUIET)
    with run_lock(workspace), stop_on_signals():
        observation = chunk_observation(plan_observation(settings, workspace, cpus), workspace, cpus)
        there = _same_facets(field, settings, workspace, observation)
        engine = Engine(
            workspace=workspace,
            store=StateStore(workspace),
            tools=find_tools(),
            processors=Processors(cpus),
            threads=cpus,
            memory_gb=total_memory_gb() * settings.cluster.wsclean_fmem,
        )
        standing, schedule = Standing(engine, there), Schedule.of(there)
        for imaging in imaging_sets(settings):
            image_all(standing, schedule.imaged, imaging)
    log.close()
    return there


def _uncalibrated(settings: Settings, reference: Reference) -> Settings:
    """The run's settings, with other folders and no direction to self-calibrate."""
    return replace(
        settings,
        globals=replace(
            settings.globals,
            dir_working=reference.root,
            dir_ms=reference.data,
            keep_avg_facet_data=False,
            keep_unavg_facet_data=False,
        ),
        directions=replace(settings.directions, ndir_selfcal=0),
        cluster=replace(settings.cluster, dir_local=None, dir_local_selfcal=None),
    )


def _same_facets(field: Field, settings: Settings, workspace: Workspace, observation: Observation) -> Field:
    """The run's facets with the sources of the reference's own sky models."""
    models = {str(band.skymodel): read(band.skymodel) for band in observation.bands}
    owners = assign_sources(models, field.facets)
    sources: dict[str, dict[Path, Components]] = {
        facet.name: {Path(path): select(model, owners[path] == number) for path, model in models.items()}
        for number, facet in enumerate(field.facets)
    }
    return replace(
        field,
        settings=settings,
        workspace=workspace,
        observation=observation,
        sources=sources,
        calibrators={},
        outliers=(),
        peel_models={},
    )


def _drop_stale(reference: Reference, field: Field) -> None:
    """Delete a reference that was made for other facets or from other data, and note these."""
    made_from = {
        "facets": digest(repr([(facet.name, facet.vertices) for facet in field.facets])),
        "data": _data_digest(reference.data.parent),
    }
    note = reference.root / _NOTE
    if note.exists() and json.loads(note.read_text()) == made_from:
        return
    if note.exists():
        shutil.rmtree(reference.root)
    reference.root.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(made_from, indent=1) + "\n")


def _data_digest(folder: Path) -> str:
    marker = folder / "complete.json"
    return file_digest(marker) if marker.exists() else ""
