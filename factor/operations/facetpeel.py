"""facetpeel and facetpeelimage: a very bright calibrator inside a facet, solved with a given model.

facetpeel solves. With its normalised solutions facetpeelimage images the facet, the
calibrator taken out, and makes the new model of the facet: the calibrator's, and what the
image holds beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.operations import facetselfcal, peeling
from factor.operations.base import Field, Solutions
from factor.operations.calibration import solving
from factor.operations.imaging.new_model import make_new_model, new_model_path
from factor.operations.needs import model_needs
from factor.operations.visibilities.difference import Change
from factor.operations.visibilities.passes import CorruptedModel
from factor.products.solutions.combining import amplitude_scale

NAME = "facetpeel"
IMAGE = "facetpeelimage"


def run(context: Context, field: Field, facet: Facet) -> dict[str, Any]:
    """Solve for a calibrator: solutions on its model's flux scale, and normalised ones.

    Parameters
    ----------
    context : Context
        Of facetpeel on this direction.
    field : Field
        The field.
    facet : Facet
        The calibrator's facet.

    Returns
    -------
    dict
        The results for the record: the factor between the two kinds of amplitudes.
    """
    target, solved = peeling.solve(context, field, facet)
    weights = solving.weights_path(target)
    scale = amplitude_scale(solved.h5parm, weights=weights)
    solving.finish(target, solved, None, 1.0 / scale**2, peeling.NORMALISED)
    return {"amplitude_scale": scale}


def run_image(context: Context, field: Field, facet: Facet, scale: float) -> dict[str, Any]:
    """Image the facet without its calibrator, and look at what the subtraction would leave.

    Parameters
    ----------
    context : Context
        Of facetpeelimage on this direction.
    field : Field
        The field.
    facet : Facet
        The calibrator's facet.
    scale : float
        The factor between the two kinds of amplitudes.

    Returns
    -------
    dict
        The results for the record: verdict, identity of the change.
    """

    def folder(operation: str) -> Path:
        return context.engine.workspace.products(operation, facet.name)

    context.require(model_needs(field, facet))
    peeled = peeling.corrupted_model(folder(NAME), facet.name)
    # On the scale of the normalised solutions: both products of model and gains are the same.
    calibrator = (peeled.skymodel, 1.0 / scale**2)
    make_new_model(context, field, facet, calibrator, solutions_of(folder, facet.name), peeled)
    change = change_of(field, facet, folder)
    return peeling.look_and_judge(context, field, facet, change)


def image_settings_of(field: Field) -> dict[str, Any]:
    """What shapes the facet's image and new model, beside the peeling itself."""
    imaging = asdict(field.settings.imaging)
    return {name: imaging[name] for name in facetselfcal.IMAGING_OPTIONS}


def solutions_of(folder: Callable[[str], Path], direction: str) -> Solutions:
    """The normalised solutions of a peeled calibrator, from the folders of its products."""
    return solving.solutions_of(folder(NAME), direction, peeling.NORMALISED)


def new_model_of(folder: Callable[[str], Path], direction: str) -> CorruptedModel:
    """The new model of a facet with the normalised solutions, from the folders of its products."""
    return CorruptedModel(new_model_path(folder(IMAGE), direction), solutions_of(folder, direction))


def change_of(field: Field, facet: Facet, folder: Callable[[str], Path]) -> Change:
    """What the peeling of a calibrator changes in the data, from the folders of its products."""
    return Change(new_model_of(folder, facet.name), field.initial_models(facet, folder(IMAGE)))
