"""Calibrated data from the input data: subtracted, added back, corrected as archived, not solved."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from factor.archive.archived import ArchivedRun, archived_run
from factor.archive.calibrated import bytes_of, export_direction, making_engine
from factor.archive.copying import check_space
from factor.archive.flags import flags_file, restore_flags
from factor.errors import FactorError
from factor.execution.local import available_cpus
from factor.flow.standing import Standing
from factor.observation.chunks import planned_notes, refuse_other_input
from factor.observation.plan import ChunkPlan
from factor.operations import facetsub
from factor.preparation import chunk_observation, finish_edits, plan_observation

log = logging.getLogger("factor.archive")

_OTHER_INPUT = "give the input data of the run that was archived: README.txt names them"


def restore_calibrated(folder: Path, dir_ms: Path, output: Path, names: Sequence[str]) -> None:
    """Restore the calibrated data of directions.

    Parameters
    ----------
    folder, names
        As for `archived_run`.
    dir_ms : Path
        The input data, or the chunks of an archive.
    output : Path
        Gets ``calibrated_data/``, and ``work/`` with chunks that serve for further directions.

    Raises
    ------
    FactorError
        When the archive is damaged, the input is not that of the run, or a tool fails; what is
        done is kept for the next try.
    """
    output = output.resolve()
    with archived_run(folder, output, names, dir_ms) as (run, export):
        _make_chunks(run)
        _subtract(export.standing, output)
        check_space(output, bytes_of(export))
        for facet in export.facets:
            export_direction(export, facet, output, clobber=False)
    log.info("calibrated data are in %s", output / "calibrated_data")
    log.info("%s makes further directions quicker; it can be deleted", output / "work")


def _make_chunks(run: ArchivedRun) -> None:
    """Cut the input as it was cut, and flag it as it was flagged."""
    cluster = run.settings.cluster
    jobs = cluster.nthread_io or math.ceil(math.sqrt(cluster.ncpu or available_cpus()))
    # The input's own flags, which may have become others, don't count.
    settings = replace(run.settings, globals=replace(run.settings.globals, min_fraction_per_band=0.0))
    plan = _without_others(run, plan_observation(settings, run.workspace, jobs))
    refuse_other_input(run.notes, planned_notes(plan, run.workspace), _OTHER_INPUT)
    observation = chunk_observation(plan, run.workspace, jobs)
    for path in run.notes:
        restore_flags(flags_file(run.folder, path), path)
    finish_edits(run.workspace, observation)


def _without_others(run: ArchivedRun, plan: Sequence[ChunkPlan]) -> tuple[ChunkPlan, ...]:
    """A plan without the bands that the run did not have."""
    chunk = run.workspace.chunk
    plans = [
        replace(
            part, files=tuple(f for f in part.files if chunk(f.band.name, f.ms_stem, part.index) in run.notes)
        )
        for part in plan
    ]
    return tuple(part for part in plans if part.files)


def _subtract(standing: Standing, output: Path) -> None:
    """Subtract from the chunks what stood subtracted in the run, in the same order."""
    field, engine = standing.field, making_engine(standing.engine, output)
    facets = {facet.name: facet for facet in (*field.outliers, *field.facets)}
    records = [r for r in standing.engine.store.all() if r.operation == "facetsub" and r.status == "done"]
    for record in sorted(records, key=lambda record: record.finished):
        change = standing.change(facets[record.direction], frozen=True)
        if change.identity() != record.results["identity"]:
            raise FactorError(
                f"the archived models and solutions of {record.direction} are not those that were subtracted",
                "it is of another version of Factor or was changed: run script/rerun instead",
            )
        context = engine.context(record.operation, record.direction)
        context.products.mkdir(parents=True, exist_ok=True)
        facetsub.run(context, field, change)
        context.tidy()
