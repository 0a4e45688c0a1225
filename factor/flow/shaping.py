"""What shapes each operation on each direction, by the settings and by what it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.errors import FactorError
from factor.flow.standing import Standing
from factor.operations import facetimage, facetpeel, facetselfcal, outlierpeel, peeling
from factor.operations.base import Solutions
from factor.operations.calibration.plan import AGAIN, FIRST, RETRY
from factor.operations.facetimage import RestoringBeam
from factor.operations.imaging.facets import ImagingSet
from factor.operations.visibilities.flagging import flag_settings
from factor.state.resume import MADE_FROM

_ATTEMPTS = {attempt.operation: attempt for attempt in (FIRST, AGAIN, RETRY)}


def calibration_settings(standing: Standing, operation: str, facet: Facet) -> dict[str, Any]:
    """What shapes a self-calibration or a peeling."""
    field = standing.field
    if operation in (outlierpeel.NAME, facetpeel.NAME):
        return peeling.settings_of(field, facet)
    if operation == facetpeel.IMAGE:
        return facetpeel.image_settings_of(field) | _made_from(standing, facetpeel.NAME, facet)
    settings = facetselfcal.settings_of(field, facet, _ATTEMPTS[operation])
    if operation != FIRST.operation:
        settings |= _made_from(standing, FIRST.operation, facet)
    return settings


def _made_from(standing: Standing, operation: str, facet: Facet) -> dict[str, str]:
    record = standing.record(operation, facet)
    return {} if record is None else {f"{MADE_FROM}{operation} {facet.name}": record.finished}


def built_on(standing: Standing, donor: Solutions) -> dict[str, str]:
    """The calibration that solutions come from, and when it was finished."""
    facet = standing.field.facet(donor.owner)
    operation = standing.operation(facet)
    record = standing.record(operation, facet)
    return {} if record is None else {f"{operation} {facet.name}": record.finished}


def beam_settings(standing: Standing, imaging: ImagingSet) -> dict[str, Any]:
    """What shapes the restoring beam."""
    return {**asdict(imaging), **flag_settings(standing.field.settings)}


def image_settings(
    standing: Standing, facet: Facet, imaging: ImagingSet, beam: RestoringBeam
) -> dict[str, Any]:
    """What shapes the image of a facet."""
    seen = {f"{MADE_FROM}facetsub {name}": identity for name, identity in standing.subtractions().items()}
    calibration = standing.calibration(facet)
    return facetimage.settings_of(standing.field, facet, imaging, calibration, beam) | seen


def imaged_facets(
    standing: Standing, facets: Sequence[Facet], operation: str
) -> dict[str, Mapping[str, Any]]:
    """What the imaging of each facet left for the mosaic.

    Raises
    ------
    FactorError
        When one is not imaged.
    """
    images: dict[str, Mapping[str, Any]] = {}
    for facet in facets:
        record = standing.record(operation, facet)
        if record is None:
            raise FactorError(f"{operation} of {facet.name} is not done")
        log: Path = standing.field.workspace.out_log(operation, facet.name)
        kind = _provenance(standing, facet, record.results["solutions"])
        images[facet.name] = {**record.results, "finished": record.finished, "solutions": kind, "log": log}
    return images


def _provenance(standing: Standing, facet: Facet, kind: str) -> str:
    """Whose solutions a facet was imaged with, and why not its own."""
    if kind != "borrowed":
        return kind
    calibrated = standing.engine.store.load("facetselfcal", facet.name)
    return "borrowed" if calibrated is None else "failed"
