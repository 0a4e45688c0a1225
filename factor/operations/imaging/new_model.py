"""The new sky model of a facet: image it with the direction's solutions and part of the band."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.operations.base import Field, Solutions
from factor.operations.imaging.facets import clean_facet, facet_averaging, facet_options, selfcal_set
from factor.operations.imaging.publish import publish_image
from factor.operations.visibilities.flagging import data_flags
from factor.operations.visibilities.passes import CorruptedModel, Extraction, extract
from factor.products.models.clean_models import join_models, model_from_clean
from factor.tools.dp3 import ApplyCal
from factor.tuning.images import spread


def new_model_path(products: Path, direction: str) -> Path:
    """Where the new model of a direction is left."""
    return products / f"{direction}.new_facet_sources.skymodel"


def make_new_model(
    context: Context,
    field: Field,
    facet: Facet,
    calibrator: tuple[Path, float],
    solutions: Solutions,
    peeled: CorruptedModel | None = None,
) -> Path:
    """Image the facet and write the model that replaces its initial one.

    Parameters
    ----------
    context : Context
        Of facetselfcal or facetpeelimage on this direction.
    field : Field
        The field.
    facet : Facet
        The facet.
    calibrator : (Path, float)
        The calibrator's model from self-calibration, and what its fluxes are divided by.
    solutions : Solutions
        What the facet's data are corrected with.
    peeled : CorruptedModel or None
        A model of the calibrator that is taken out of the data before they are imaged.

    Returns
    -------
    Path
        ``<direction>.new_facet_sources.skymodel``: the calibrator from self-calibration,
        and the facet's other sources from its image.
    """
    settings = field.settings.imaging
    bands = field.observation.bands
    chosen = [bands[i] for i in spread(len(bands), settings.fractional_bandwidth_selfcal_facet_image)]
    how = Extraction(
        label="facet",
        centre=(facet.ra_deg, facet.dec_deg),
        averaging=facet_averaging(field, facet, field.beam_deg),
        initial=field.initial_models(facet, context.products),
        peeled=peeled,
        correct=(ApplyCal(solutions.h5parm, solutions.soltabs),),
        bands=tuple(band.name for band in chosen),
        flags=data_flags(field.settings),
        compress=field.settings.globals.use_compression,
    )
    steps = [step for chunk in field.observation.chunks for step in extract(context, chunk, how)]
    context.run(*steps)
    options = facet_options(context, field, facet, selfcal_set(field.settings), chosen)
    options = replace(options, save_source_list=True)
    mss = [step.outputs[0] for step in steps]
    clean_facet(context, field, options, mss)
    context.release(*mss)
    if not facet.is_patch:
        publish_image(context, options.image, facet)
    return _joined(context, field, facet, calibrator, options.source_list)


def _joined(
    context: Context, field: Field, facet: Facet, calibrator: tuple[Path, float], source_list: Path
) -> Path:
    """The calibrator's model and what was cleaned in the facet's image, as one model."""
    path = new_model_path(context.products, facet.name)
    initial = field.initial_models(facet, context.products).paths
    replaced = field.calibrator_models(facet, context.products).paths
    imaged = context.scratch / f"{facet.name}.image_full.skymodel"
    taken = {"source_list": source_list, "initial": initial, "patch": facet.name, "path": imaged}
    reads = (source_list, *initial)
    context.call("model of the facet's image", model_from_clean, taken, reads, (imaged,))
    arguments = {
        "calibrator": calibrator,
        "replaced": replaced,
        "image_model": imaged,
        "patch": facet.name,
        "path": path,
    }
    reads = (calibrator[0], imaged, *replaced)
    context.call("new model of the facet", join_models, arguments, reads, (path,))
    return path
