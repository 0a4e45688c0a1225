"""What the rest of a run needs of the disks, estimated before it begins."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from factor.directions.model import Facet
from factor.execution.context import Engine
from factor.execution.room import Needs
from factor.files import place_of
from factor.flow.schedule import Schedule
from factor.flow.status import Statuses
from factor.operations import facetpeel, outlierpeel
from factor.operations.base import Field
from factor.operations.calibration.plan import AGAIN, FIRST, make_plan
from factor.operations.facetimage import keeps_averaged
from factor.operations.fieldmosaic import KINDS
from factor.operations.imaging.facets import (
    ImagingSet,
    facet_averaging,
    finest_set,
    imaging_sets,
    operation_name,
)
from factor.operations.needs import (
    calibration_needs,
    image_needs,
    mosaic_needs,
    subtraction_needs,
    unaveraged_needs,
)
from factor.products.images.mosaic import mosaic_grid
from factor.workspace import FIELD, base_operation


@dataclass(frozen=True)
class Demand:
    """What is needed of a disk, and what is free there, bytes."""

    folders: tuple[Path, ...]
    needed: float
    free: float

    @property
    def is_met(self) -> bool:
        return self.needed <= self.free

    def __str__(self) -> str:
        places = " and ".join(str(folder) for folder in self.folders)
        return f"{places}: about {self.needed / 1e9:.3g} GB needed, {self.free / 1e9:.3g} GB free"


@dataclass(frozen=True)
class _Waiting:
    """An operation that is still to be done for some directions, of which so many are worked on at once."""

    operation: str
    at_once: int
    needs: Sequence[Needs]


def demands(
    engine: Engine, field: Field, schedule: Schedule, found: Statuses, chunk_bytes: float
) -> tuple[Demand, ...]:
    """What is needed of each disk for all that is still to be done.

    Products stay; of intermediate data there are those of one operation at a time, for as many
    directions as are worked on side by side.

    Parameters
    ----------
    engine : Engine
        Where things run.
    field : Field
        The field.
    schedule : Schedule
        What the run would do.
    found : Statuses
        What of that is done.
    chunk_bytes : float
        Size of the chunks that are still to be made.
    """
    root = engine.workspace.root
    kept, peaks = chunk_bytes, {root: 0.0}
    for waiting in _still_to_do(engine, field, schedule, found):
        kept += sum(need.products for need in waiting.needs)
        folder = engine.local(waiting.operation) or root
        peak = sum(sorted(need.scratch for need in waiting.needs)[-waiting.at_once :])
        peaks[folder] = max(peaks.get(folder, 0.0), peak)
    peaks[root] += kept
    disks: dict[int, list[Path]] = {}
    for folder in peaks:
        disks.setdefault(place_of(folder).stat().st_dev, []).append(folder)
    return tuple(
        Demand(tuple(folders), sum(peaks[f] for f in folders), shutil.disk_usage(place_of(folders[0])).free)
        for folders in disks.values()
    )


def done_for_good(found: Statuses) -> set[tuple[str, str]]:
    """What will not be done again: a calibration that is stale is kept, and told; an image is not."""
    return {
        (operation, direction)
        for (operation, direction), status in found.items()
        if status.state == "done"
        or (status.state == "stale" and base_operation(operation) not in ("facetimage", "fieldmosaic"))
    }


def _still_to_do(engine: Engine, field: Field, schedule: Schedule, found: Statuses) -> Iterator[_Waiting]:
    """The operations, with what they need for each direction for which they are not done."""

    def waiting(
        operation: str, facets: Sequence[Facet], at_once: int, needs: Callable[[Facet], Needs]
    ) -> _Waiting:
        todo = [facet for facet in facets if (operation, facet.name) not in done]
        return _Waiting(operation, at_once, [needs(facet) for facet in todo])

    def calibration(facet: Facet) -> Needs:
        # The flux decides on intervals, which take no room.
        return calibration_needs(field, facet, make_plan(field, facet, 1.0))

    subtraction = subtraction_needs(field, field.observation.chunks[: engine.processors.total])
    done = done_for_good(found)
    limit = field.settings.cluster.ndir_per_node
    largest = max((len(group) for group in schedule.groups), default=1)
    calibrated = tuple(facet for group in schedule.groups for facet in group)
    yield waiting(outlierpeel.NAME, schedule.outliers, 1, calibration)
    yield waiting(facetpeel.NAME, schedule.peeled, 1, calibration)
    yield waiting(FIRST.operation, calibrated, engine.share(largest, limit).at_once, calibration)
    yield waiting(AGAIN.operation, schedule.second_round, 1, calibration)
    yield waiting("facetsub", (*schedule.outliers, *schedule.calibrated), 1, lambda _: subtraction)
    for imaging in imaging_sets(field.settings):
        operation = operation_name("facetimage", imaging, field.settings)
        at_once = engine.share(len(schedule.imaged), limit).at_once
        yield waiting(operation, schedule.imaged, at_once, partial(_image_needs, field, imaging))
        mosaic = operation_name("fieldmosaic", imaging, field.settings)
        if (mosaic, FIELD) in found.keys() - done and schedule.imaged:
            yield _Waiting(mosaic, 1, [_mosaic_needs(field, imaging, schedule.imaged)])


def _image_needs(field: Field, imaging: ImagingSet, facet: Facet) -> Needs:
    """Of an image, and of the data that are kept with it."""
    averaging = facet_averaging(field, facet, imaging.beam_arcsec / 3600.0)
    needs = image_needs(field, facet, imaging, averaging, kept=keeps_averaged(field, facet, imaging))
    if field.settings.globals.keep_unavg_facet_data and imaging == finest_set(field.settings):
        whole = unaveraged_needs(field)
        return Needs(max(needs.scratch, whole.scratch), needs.products + whole.products)
    return needs


def _mosaic_needs(field: Field, imaging: ImagingSet, facets: Sequence[Facet]) -> Needs:
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    grid = mosaic_grid(centre, [facet.vertices for facet in facets], imaging.cellsize_arcsec)
    return mosaic_needs(grid, len(KINDS))
