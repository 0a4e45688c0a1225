"""facetselfcal: self-calibrate one direction and make the new model of its facet.

The recipe is that of van Weeren et al. 2016 (ApJS 223, 2) and Williams et al. 2016
(MNRAS 460, 2385): add the calibrator back to the residual data and shift to it; solve
fast phases against its image, then slow gains, until the image stops getting better;
image the whole facet with these solutions; predict what the new model changes; look at
the residual and give a verdict.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.errors import InputError
from factor.execution.context import Context
from factor.execution.step import file_digest
from factor.operations.base import Field, Solutions
from factor.operations.calibration import solving
from factor.operations.calibration.calibrator import Calibrator
from factor.operations.calibration.evidence import gather
from factor.operations.calibration.loop import PHASE_CYCLES, Outcome, self_calibrate
from factor.operations.calibration.plan import FIRST, Attempt, make_plan
from factor.operations.imaging.new_model import make_new_model, new_model_path
from factor.operations.imaging.residuals import look_at_residuals
from factor.operations.needs import calibration_needs
from factor.operations.visibilities.difference import Change
from factor.operations.visibilities.flagging import flag_settings
from factor.operations.visibilities.passes import CorruptedModel
from factor.products.images.quality import flux_ratio
from factor.products.models.clean_models import effective_flux
from factor.products.models.skymodel import Components
from factor.products.solutions.soltabs import SLOW_AMPLITUDE
from factor.products.verdict import Verdict, judge, moved_values, residual_values

log = logging.getLogger("factor.facetselfcal")


#: Options whose change makes a finished self-calibration stale.
_CALIBRATION_OPTIONS = (
    "max_selfcal_loops", "target_max_selfcal_loops", "preapply_first_cal_phases",
    "preaverage_flux_jy", "solve_min_uv_lambda", "propagatesolutions", "spline_smooth2d",
    "solve_all_correlations_flux_jy", "phase_solver", "tec_block_mhz", "approximatetec",
    "maxapproxiter", "maxiter", "stepsize", "tolerance", "multires_selfcal",
)  # fmt: skip
IMAGING_OPTIONS = (
    "wsclean_nchannels_factor", "fractional_bandwidth_selfcal_facet_image",
    "selfcal_cellsize_arcsec", "selfcal_robust", "selfcal_min_uv_lambda", "max_peak_smearing",
    "wsclean_image_padding", "wsclean_bl_averaging", "wsclean_use_idg", "automask_facet_image",
    "selfcal_multiscale_scales_pixel", "facet_multiscale_scales_pixel",
)  # fmt: skip


def run(
    context: Context,
    field: Field,
    facet: Facet,
    preapplied: Solutions | None,
    attempt: Attempt = FIRST,
) -> dict[str, Any]:
    """Self-calibrate one direction.

    Parameters
    ----------
    context : Context
        Of facetselfcal on this direction.
    field : Field
        The field.
    facet : Facet
        The direction's facet.
    preapplied : Solutions or None
        Solutions of another direction whose phases are applied first.
    attempt : Attempt
        How carefully it is done.

    Returns
    -------
    dict
        The results for the record: verdict, cycles, identity of the change.
    """
    _check_calibrator(field, facet)
    flux_jy = effective_flux(_middle(field, facet), field.observation.mid_freq_hz)
    plan = make_plan(field, facet, flux_jy, attempt)
    log.info("%s: %s", facet.name, plan.describe(field.observation.chunks))
    context.require(calibration_needs(field, facet, plan))
    outcome = self_calibrate(Calibrator(context, field, facet, plan, preapplied))
    calibrator, cycles, best = outcome.calibrator, outcome.cycles, outcome.best
    scale = _flux_scale(outcome)
    solutions = solving.finish(calibrator.target, best.solved, calibrator.preapplied, scale)
    solving.plot(calibrator.target, solutions)
    new_model = make_new_model(context, field, facet, (best.model, scale), solutions)
    change = change_of(field, facet, context.products)
    values = gather(outcome, solutions, new_model)
    values |= residual_values(*look_at_residuals(context, field, facet, change))
    values |= moved_values(values)
    verdict = judge(values, field.settings.verdict, skip=field.settings.calibration.skip_selfcal_check)
    _tell(facet, verdict, values["thermal_noise_jy"])
    return {
        "verdict": verdict.to_json(),
        "thermal_noise_jy": values["thermal_noise_jy"],
        "cycles": [cycle.quality.to_json() for cycle in cycles],
        "best_cycle": best.number,
        "identity": change.identity(),
        "flux_jy": flux_jy,
        "preapplied": calibrator.preapplied.owner if calibrator.preapplied else "",
    }


def _flux_scale(outcome: Outcome) -> float:
    """The calibrator's flux in the image that is kept over that of the last phase-only image."""
    if SLOW_AMPLITUDE not in outcome.best.solved.soltabs:
        return 1.0
    return flux_ratio(outcome.best.image, outcome.cycles[PHASE_CYCLES].image)


def _check_calibrator(field: Field, facet: Facet) -> None:
    if not any(len(model) for model in field.calibrators[facet.name].values()):
        raise InputError(
            f"direction {facet.name}: no source of the initial sky models lies in the inner part of "
            "its calibrator's image",
            "correct its position, cal_size_deg or cal_imsize in the directions file, or remove it",
        )


def _tell(facet: Facet, verdict: Verdict, thermal_jy: float) -> None:
    """Say how a self-calibration was judged, and by which numbers."""
    if not verdict.good:
        log.warning("%s: self-calibration FAILED: %s", facet.name, verdict.explain())
    elif verdict.failures:
        log.warning("%s: self-calibration taken for good (skip_selfcal_check), though %s",
                    facet.name, verdict.explain())  # fmt: skip
    if verdict.good:
        log.info(
            "%s: self-calibration good: %d checks; nearest to their limits: %s; thermal noise %.3g mJy/beam",
            facet.name, len(verdict.checks), verdict.numbers(3), 1e3 * thermal_jy,
        )  # fmt: skip
    log.debug("%s: all numbers of the verdict: %s", facet.name, verdict.numbers())


def new_model_of(products: Path, direction: str) -> CorruptedModel:
    """A direction's new model with its solutions, from where self-calibration left its products."""
    return CorruptedModel(new_model_path(products, direction), solving.solutions_of(products, direction))


def change_of(field: Field, facet: Facet, products: Path) -> Change:
    """What a direction's self-calibration changes in the data, from where it left its products."""
    return Change(new_model_of(products, facet.name), field.initial_models(facet, products))


def settings_of(field: Field, facet: Facet, attempt: Attempt = FIRST) -> dict[str, Any]:
    """What shapes the self-calibration of a direction."""
    settings = field.settings
    calibration, imaging = asdict(settings.calibration), asdict(settings.imaging)
    shaping = {name: calibration[name] for name in _CALIBRATION_OPTIONS}
    shaping.update({name: imaging[name] for name in IMAGING_OPTIONS})
    direction = asdict(facet.direction)
    shaping |= {**flag_settings(settings), "holds_target": facet.holds_target}
    if settings.calibration.astrometry_catalogue is not None:
        shaping["astrometry_catalogue"] = file_digest(settings.calibration.astrometry_catalogue)
    if attempt != FIRST:
        shaping.update(asdict(attempt))
    return {**shaping, **{f"direction.{name}": value for name, value in direction.items()}}


def _middle(field: Field, facet: Facet) -> Components:
    """The calibrator's initial model of the middle band."""
    bands = field.observation.bands
    return field.calibrators[facet.name][bands[len(bands) // 2].skymodel]
