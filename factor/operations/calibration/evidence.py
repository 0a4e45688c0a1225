"""What a self-calibration is judged by: its images, its solutions, its model, its residual."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factor.operations.base import Solutions
from factor.operations.calibration.calibrator import Calibrator
from factor.operations.calibration.loop import Cycle, Outcome
from factor.operations.visibilities.passes import image
from factor.products.images.displacement import shift_beams, source_shift_arcsec
from factor.products.images.image import image_noise, read_image
from factor.products.images.quality import ImageQuality, image_quality
from factor.products.models.skymodel import read
from factor.products.solutions.health import solution_values
from factor.tuning.images import spread

#: Dynamic range to which an image may be limited by what no calibration mends.
EXPECTED_DYNAMIC_RANGE = 1000.0


def gather(outcome: Outcome, solutions: Solutions, new_model: Path) -> dict[str, float]:
    """Measure what the verdict needs, the residual apart.

    Parameters
    ----------
    outcome : Outcome
        Of the self-calibration.
    solutions : Solutions
        The final ones.
    new_model : Path
        Of the whole facet.

    Returns
    -------
    dict of str to float
        By the keys of `factor.products.verdict.CRITERIA`, and ``thermal_noise_jy``.
    """
    calibrator, best, before = outcome.calibrator, outcome.best, outcome.before
    thermal_jy = thermal_noise_jy(calibrator, best)
    # A catalogue moves sources, as it should: they must stay where the first solve put them.
    moved = calibrator.catalogue is not None
    first_sharp = outcome.cycles[max(1, len(calibrator.plan.stages))]
    held_at = first_sharp if moved else before
    values = {
        "noise_rise": best.quality.noise_jy / before.quality.noise_jy,
        "peak_fall": before.quality.peak_jy / best.quality.peak_jy,
        "dynamic_range_fall": before.quality.dynamic_range / best.quality.dynamic_range,
        "divergence": best.quality.dynamic_range / outcome.cycles[-1].quality.dynamic_range,
        "flux_change": _either_way(_flux_jy(best.model), _flux_jy(before.model)),
        "position_shift_beams": shift_beams(held_at.image, best.image),
        "noise_over_expected": _over_expected(best.quality, thermal_jy),
        "thermal_noise_jy": thermal_jy,
        **solution_values(solutions.h5parm),
    }
    initial = calibrator.middle_model_of_facet()
    if initial is not None and not moved:
        values["source_shift_arcsec"] = source_shift_arcsec(new_model, initial, before.model)
    facet_image = calibrator.context.products / f"{calibrator.name}.image_full.fits"
    if not calibrator.facet.is_patch:
        bands = len(calibrator.field.observation.bands)
        fraction = calibrator.field.settings.imaging.fractional_bandwidth_selfcal_facet_image
        scale = (bands / len(spread(bands, fraction))) ** 0.5
        values["facet_noise_over_expected"] = _over_expected(image_quality(facet_image), scale * thermal_jy)
    return values


def thermal_noise_jy(calibrator: Calibrator, cycle: Cycle) -> float:
    """Noise of the calibrator's data in Stokes V, where there are hardly any sources, Jy/beam.

    The data, grid and weights are those of a cycle's image in Stokes I.
    """
    context = calibrator.context
    name = context.scratch / f"{calibrator.name}.stokes_v"
    options = replace(
        calibrator.imaging("_v", calibrator.plan.full),
        name=name,
        pol="V",
        padding=1.2,
        channels_out=1,
        spectral_terms=0,
        niter=0,
        multiscale=False,
        fits_mask=None,
        save_source_list=False,
    )
    context.run(image(context, options, cycle.data, context.threads))
    context.release(*cycle.data)
    return image_noise(read_image(options.image).data)


def _over_expected(quality: ImageQuality, thermal_jy: float) -> float:
    limited_jy = quality.peak_jy / EXPECTED_DYNAMIC_RANGE
    return float(quality.noise_jy / (thermal_jy**2 + limited_jy**2) ** 0.5)


def _flux_jy(model: Path) -> float:
    return float(read(model).flux_jy.sum())


def _either_way(one: float, other: float) -> float:
    """The ratio of two fluxes, the larger over the smaller; infinite when one has no light."""
    low, high = sorted((one, other))
    return high / low if low > 0 else float("inf")
