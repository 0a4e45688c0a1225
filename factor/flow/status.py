"""How every operation of a run stands: what is done, what would be done again, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from factor.directions.model import Facet
from factor.errors import FactorError
from factor.flow.schedule import Schedule
from factor.flow.shaping import beam_settings, calibration_settings, image_settings, imaged_facets
from factor.flow.standing import Standing
from factor.operations import facetpeel, fieldmosaic, outlierpeel
from factor.operations.calibration.plan import AGAIN, FIRST, RETRY
from factor.operations.imaging.facets import ImagingSet, imaging_sets, operation_name
from factor.state.resume import Status, tell_stale
from factor.state.store import StateStore
from factor.workspace import FIELD

Statuses = dict[tuple[str, str], Status]


def statuses(standing: Standing, schedule: Schedule) -> Statuses:
    """How every operation of a schedule stands now.

    Parameters
    ----------
    standing : Standing
        Of the field's directions.
    schedule : Schedule
        What the run would do.

    Returns
    -------
    dict of (operation, direction) to Status
        In the order of the run.
    """
    found: Statuses = {}
    selfcal = (FIRST.operation, AGAIN.operation, RETRY.operation)
    plans = (
        (schedule.outliers, (outlierpeel.NAME,)),
        (schedule.peeled, (facetpeel.NAME, facetpeel.IMAGE)),
        (tuple(f for group in schedule.groups for f in group), selfcal),
    )
    for facets, operations in plans:
        for facet in facets:
            for operation in operations:
                settings = calibration_settings(standing, operation, facet)
                status = _status(standing, operation, facet.name, settings)
                # A second attempt is not planned, it comes of a first one that failed.
                unplanned = operation == RETRY.operation or (
                    operation == AGAIN.operation and facet not in schedule.second_round
                )
                if not unplanned or status.state != "not run":
                    found[operation, facet.name] = status
            found["facetsub", facet.name] = _subtraction(standing, facet)
    for imaging in imaging_sets(standing.field.settings):
        _look_at_images(standing, schedule, imaging, found)
    return found


def note_statuses(store: StateStore, found: Mapping[tuple[str, str], Status]) -> None:
    """Note in the records why operations are stale, for whoever watches."""
    for (operation, direction), status in found.items():
        record = store.load(operation, direction)
        if record is not None and record.stale != status.reasons:
            store.save(replace(record, stale=status.reasons))


def stale_lines(found: Mapping[tuple[str, str], Status]) -> list[str]:
    """What is stale and why, for a person."""
    return tell_stale({key: status.reasons for key, status in found.items() if status.state == "stale"})


def _status(
    standing: Standing, operation: str, direction: str, settings: Mapping[str, Any] | None, *more: str
) -> Status:
    return standing.engine.context(operation, direction).status(settings, *more)


def _subtraction(standing: Standing, facet: Facet) -> Status:
    """A subtraction is of the calibration that was there then."""
    record = standing.record("facetsub", facet)
    operation = standing.operation(facet)
    calibration = standing.record(operation, facet)
    redone = (
        record is not None
        and calibration is not None
        and record.settings.get("identity") != calibration.results["identity"]
    )
    more = (f"{operation} {facet.name} was redone",) if redone else ()
    return _status(standing, "facetsub", facet.name, None, *more)


def _look_at_images(standing: Standing, schedule: Schedule, imaging: ImagingSet, found: Statuses) -> None:
    settings = standing.field.settings
    operation = operation_name("facetimage", imaging, settings)
    of_beam = _status(standing, operation, FIELD, beam_settings(standing, imaging))
    if of_beam.state != "not run":
        found[operation, FIELD] = of_beam
    record = standing.engine.store.load(operation, FIELD)
    waiting = tuple(f"facetsub {name} is to be done" for name in _to_subtract(standing, schedule))
    for facet in schedule.imaged:
        if of_beam.state == "done" and record is not None:
            major, minor, angle = record.results["beam"]
            shaping = image_settings(standing, facet, imaging, (major, minor, angle))
            status = _status(standing, operation, facet.name, shaping)
        else:
            status = _status(standing, operation, facet.name, None, f"{operation} {FIELD} is to be done")
        # What is to come is told where nothing has come to pass already.
        done_too_early = status.state == "done" and waiting
        found[operation, facet.name] = Status("stale", waiting) if done_too_early else status
    if settings.imaging.make_mosaic:
        _look_at_mosaic(standing, schedule, imaging, found)


def _to_subtract(standing: Standing, schedule: Schedule) -> list[str]:
    """Directions whose subtraction is still to come, as far as that is known."""
    facets = (*schedule.outliers, *schedule.calibrated)
    return [
        f.name
        for f in facets
        if not (standing.is_subtracted(f) or standing.has_failed(f))
        or (f in schedule.second_round and standing.to_calibrate_again(f))
    ]


def _look_at_mosaic(standing: Standing, schedule: Schedule, imaging: ImagingSet, found: Statuses) -> None:
    settings = standing.field.settings
    imaged_by = operation_name("facetimage", imaging, settings)
    operation = operation_name("fieldmosaic", imaging, settings)
    again = [f.name for f in schedule.imaged if found[imaged_by, f.name].state != "done"]
    shaping, more = None, [f"{imaged_by} {name} is to be done" for name in again]
    if not again:
        try:
            images = imaged_facets(standing, schedule.imaged, imaged_by)
            shaping = fieldmosaic.settings_of(standing.field, imaging, images)
        except FactorError as error:
            more = [error.message]
    found[operation, FIELD] = _status(standing, operation, FIELD, shaping, *more)
