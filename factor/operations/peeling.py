"""Peeling: one bright source, solved against a given model instead of its own images."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import file_digest
from factor.operations.base import Field, Solutions
from factor.operations.calibration import solving
from factor.operations.calibration.calibrator import Calibrator
from factor.operations.calibration.plan import make_plan
from factor.operations.imaging.residuals import look_at_residuals
from factor.operations.needs import calibration_needs
from factor.operations.visibilities.difference import Change
from factor.operations.visibilities.flagging import flag_settings
from factor.operations.visibilities.passes import CorruptedModel
from factor.products.models.apparent import write_apparent_model
from factor.products.models.clean_models import effective_flux
from factor.products.models.skymodel import read
from factor.products.solutions.health import solution_values
from factor.products.verdict import judge, residual_values

log = logging.getLogger("factor.peeling")

#: Kinds of solutions: on the flux scale of the model, and with a mean gain of one.
UNNORMALISED = "_unnorm"
NORMALISED = "_norm"

#: Options whose change makes a finished peeling stale.
_CALIBRATION_OPTIONS = (
    "solve_min_uv_lambda", "propagatesolutions", "spline_smooth2d", "solve_all_correlations_flux_jy",
)  # fmt: skip


def apparent_model_path(products: Path, direction: str) -> Path:
    """Where the model that a direction is peeled with is left."""
    return products / f"{direction}.apparent.skymodel"


def corrupted_model(products: Path, direction: str) -> CorruptedModel:
    """What is peeled: the model, with the solutions that keep its flux scale."""
    solutions = solving.solutions_of(products, direction, UNNORMALISED)
    return CorruptedModel(apparent_model_path(products, direction), solutions)


def solve(context: Context, field: Field, facet: Facet) -> tuple[solving.Target, Solutions]:
    """Solve for a source with the model that it is peeled with.

    The source's sources of the initial models, if it has any, are added back first. Fast
    phases are solved, then slow gains, which are not normalised: with them the model has
    the flux that is in the data, whatever scale it was given on.

    Parameters
    ----------
    context : Context
        Of outlierpeel or facetpeel on this direction.
    field : Field
        The field.
    facet : Facet
        The direction's facet or, of an outlier, its patch.

    Returns
    -------
    target : Target
        What was solved.
    solved : Solutions
        As they were solved; written as a product, too, with plots.
    """
    model = _apparent_model(context, field, facet)
    flux_jy = effective_flux(read(model), field.observation.mid_freq_hz)
    plan = make_plan(field, facet, flux_jy)
    log.info(
        "%s: peeled with %s, apparent flux %.2f Jy",
        facet.name, field.peel_models[facet.name].name, flux_jy,
    )  # fmt: skip
    context.require(calibration_needs(field, facet, plan))
    calibrator = Calibrator(context, field, facet, plan, None)
    target, data = calibrator.target, calibrator.take_out()
    solved = solving.solve(target, data, model, "peel", with_gains=True, normalise=False)
    solving.release(target, data)
    solving.plot(target, solving.finish(target, solved, None, 1.0, UNNORMALISED))
    return target, solved


def look_and_judge(context: Context, field: Field, facet: Facet, change: Change) -> dict[str, Any]:
    """Look at the residual with and without what a peeling changes, and judge.

    Returns
    -------
    dict
        The results for the record: verdict, identity of the change.
    """
    before, after = look_at_residuals(context, field, facet, change)
    measured = solution_values(change.new.solutions.h5parm)
    values = {"flagged": measured["flagged"], **residual_values(before, after)}
    verdict = judge(values, field.settings.verdict, skip=field.settings.calibration.skip_selfcal_check)
    if verdict.good:
        log.info("%s: peeling good: %s", facet.name, verdict.numbers())
    else:
        log.warning("%s: peeling FAILED: %s", facet.name, verdict.explain())
    log.info(
        "%s: residual of %.1f mJy/beam before, %.1f after",
        facet.name, 1e3 * before.facet_noise_jy, 1e3 * after.facet_noise_jy,
    )  # fmt: skip
    return {"verdict": verdict.to_json(), "identity": change.identity()}


def settings_of(field: Field, facet: Facet) -> dict[str, Any]:
    """What shapes the peeling of a direction."""
    calibration = asdict(field.settings.calibration)
    direction = asdict(facet.direction)
    return {
        **{name: calibration[name] for name in _CALIBRATION_OPTIONS},
        **flag_settings(field.settings),
        "selfcal_cellsize_arcsec": field.settings.imaging.selfcal_cellsize_arcsec,
        "model": file_digest(field.peel_models[facet.name]),
        **{f"direction.{name}": value for name, value in direction.items()},
    }


def _apparent_model(context: Context, field: Field, facet: Facet) -> Path:
    path = apparent_model_path(context.products, facet.name)
    true = field.peel_models[facet.name]
    chunks = [file for chunk in field.observation.chunks for file in chunk.files]
    arguments = {
        "model": true,
        "bands": tuple(
            tuple(file.path for file in chunks if file.band == band.name) for band in field.observation.bands
        ),
        "minuv_lambda": field.settings.calibration.solve_min_uv_lambda,
        "patch": facet.name,
        "path": path,
    }
    context.call("attenuate the model", write_apparent_model, arguments, (true,), (path,))
    return path
