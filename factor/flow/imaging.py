"""All facets imaged with one set of imaging parameters, and joined to a mosaic."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from factor.directions.model import Facet
from factor.errors import FactorError
from factor.execution.context import Context
from factor.flow.parallel import Job, facets_side_by_side
from factor.flow.perform import perform
from factor.flow.shaping import beam_settings, image_settings, imaged_facets
from factor.flow.standing import Standing
from factor.operations import facetimage, fieldmosaic
from factor.operations.facetimage import RestoringBeam
from factor.operations.imaging.facets import ImagingSet, finest_set, operation_name
from factor.workspace import FIELD

log = logging.getLogger("factor")


def image_all(standing: Standing, facets: Sequence[Facet], imaging: ImagingSet) -> None:
    """Image all facets with one set of parameters, and make its mosaic.

    Raises
    ------
    FactorError
        When a facet cannot be imaged; the others are.
    """
    if not facets:
        log.warning("nothing to image: no direction lies within faceting_radius_deg")
        return
    settings = standing.field.settings
    operation = operation_name("facetimage", imaging, settings)
    log.info("%s: %d facets", operation, len(facets))
    beam = _restoring_beam(standing, operation, imaging)
    failures = facets_side_by_side(
        standing.engine,
        settings.cluster.ndir_per_node,
        facets,
        lambda engine, facet: _image_job(
            standing, engine.context(operation, facet.name), facet, imaging, beam
        ),
    )
    if failures:
        reasons = "\n".join(f"{name}: {error}" for name, error in failures.items())
        raise FactorError(f"facets could not be imaged\n{reasons}")
    if settings.imaging.make_mosaic:
        _mosaic(standing, facets, imaging, operation)


def _restoring_beam(standing: Standing, operation: str, imaging: ImagingSet) -> RestoringBeam:
    context = standing.engine.context(operation, FIELD)
    perform(
        context,
        beam_settings(standing, imaging),
        lambda: {"beam": facetimage.restoring_beam(context, standing.field, imaging)},
        redo=True,
    )
    major, minor, angle = context.record.results["beam"]
    return major, minor, angle


def _image_job(
    standing: Standing, context: Context, facet: Facet, imaging: ImagingSet, beam: RestoringBeam
) -> Job:
    field = standing.field
    calibration = standing.calibration(facet)
    settings = image_settings(standing, facet, imaging, beam)

    def operate() -> dict[str, Any]:
        return facetimage.run(context, field, facet, imaging, calibration, beam)

    def work() -> None:
        perform(context, settings, operate, redo=True)
        # The same for all sets: kept once, and also when this is asked for after the image was made.
        if field.settings.globals.keep_unavg_facet_data and imaging == finest_set(field.settings):
            facetimage.keep_unaveraged(context, field, facet, calibration)

    return work


def _mosaic(standing: Standing, facets: Sequence[Facet], imaging: ImagingSet, imaged_by: str) -> None:
    field = standing.field
    operation = operation_name("fieldmosaic", imaging, field.settings)
    context = standing.engine.context(operation, FIELD)
    images = imaged_facets(standing, facets, imaged_by)
    settings = fieldmosaic.settings_of(field, imaging, images)
    perform(
        context,
        settings,
        lambda: fieldmosaic.run(context, field, imaging, facets, images),
        redo=True,
    )
