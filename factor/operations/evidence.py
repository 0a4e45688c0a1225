"""What a self-calibration is judged by: its images, its solutions, its model, its residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from factor.operations.base import Solutions
from factor.operations.passes import image
from factor.operations.selfcal_loop import FULL, Calibrator, Cycle
from factor.products.displacement import shift_beams, source_shift_arcsec
from factor.products.health import solution_values
from factor.products.images import image_noise, read_image
from factor.products.quality import ImageQuality, image_quality
from factor.products.skymodel import read
from factor.tuning.images import spread

#: Dynamic range to which an image may be limited by what no calibration mends.
EXPECTED_DYNAMIC_RANGE = 1000.0


def gather(
    calibrator: Calibrator, cycles: Sequence[Cycle], best: Cycle, solutions: Solutions, new_model: Path
) -> dict[str, float]:
    """Measure what the verdict needs, the residual apart.

    Parameters
    ----------
    calibrator : Calibrator
        As it was solved.
    cycles : sequence of Cycle
        All of them, the first image included.
    best : Cycle
        The one that is kept.
    solutions : Solutions
        The final ones.
    new_model : Path
        Of the whole facet.

    Returns
    -------
    dict of str to float
        By the keys of `factor.products.verdict.CRITERIA`, and ``thermal_noise_jy``.
    """
    thermal_jy = thermal_noise_jy(calibrator, best)
    # Also where another direction's phases were applied first: they may move sources, too.
    suffix = FULL if calibrator.plan.stages else ""
    first_image = calibrator.context.products / f"{calibrator.name}.wsclean_image00{suffix}.fits"
    # Images of lower resolution are not held against that which is kept.
    cycles = cycles[len(calibrator.plan.stages) :]
    initial = calibrator.middle_model_of_facet()
    if calibrator.catalogue is not None:
        # The catalogue moves sources, as it should: they must stay where the first solve put them.
        first_image = next(cycle.image for cycle in cycles if cycle.solutions is not None)
        initial = None
    values = {
        **loop_values([cycle.quality for cycle in cycles], best.quality),
        **calibrator.context.read(solution_values, solutions.h5parm),
        "flux_change": _either_way(_flux_jy(best.model), _flux_jy(cycles[0].model)),
        "position_shift_beams": shift_beams(first_image, best.image),
        "noise_over_expected": _over_expected(best.quality, thermal_jy),
        "thermal_noise_jy": thermal_jy,
    }
    if initial is not None:
        values["source_shift_arcsec"] = source_shift_arcsec(new_model, initial)
    facet_image = calibrator.context.products / f"{calibrator.name}.image_full.fits"
    if not calibrator.facet.is_patch:
        bands = len(calibrator.field.observation.bands)
        fraction = calibrator.field.settings.imaging.fractional_bandwidth_selfcal_facet_image
        scale = (bands / len(spread(bands, fraction))) ** 0.5
        values["facet_noise_over_expected"] = _over_expected(image_quality(facet_image), scale * thermal_jy)
    return values


def loop_values(cycles: Sequence[ImageQuality], best: ImageQuality) -> dict[str, float]:
    """What the calibrator's images say, from the first to the one that is kept."""
    first, last = cycles[0], cycles[-1]
    return {
        "noise_rise": best.noise_jy / first.noise_jy,
        "peak_fall": first.peak_jy / best.peak_jy,
        "dynamic_range_fall": first.dynamic_range / best.dynamic_range,
        "divergence": best.dynamic_range / last.dynamic_range,
    }


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
