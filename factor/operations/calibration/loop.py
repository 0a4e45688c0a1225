"""The self-calibration of one direction: image, solve, image, until nothing improves."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factor.errors import StepError
from factor.operations.base import Solutions
from factor.operations.calibration import solving, stations
from factor.operations.calibration.calibrator import Calibrator
from factor.operations.calibration.solving import Data
from factor.operations.imaging.publish import publish_image
from factor.operations.visibilities.passes import correct, image
from factor.products.images.quality import ImageQuality, image_quality
from factor.products.models.clean_models import held_model, model_from_clean, starting_model

log = logging.getLogger("factor.selfcal")

#: Cycles with phases alone before slow gains are solved.
PHASE_CYCLES = 2

#: Marks the image at full resolution of data whose first image is at a lower one.
FULL = "_full"

#: Relative improvement of dynamic range or |min|/max below which the loop ends.
WORTHWHILE = 0.0125


@dataclass(frozen=True)
class Cycle:
    """One image of the calibrator, and how it was made.

    Attributes
    ----------
    number : int
        0 is the image before any solution of its own.
    image : Path
        The restored image.
    model : Path
        Its clean components inside the calibrator's region, as a sky model.
    quality : ImageQuality
        Noise, peak and dynamic range of the image.
    solutions : Solutions or None
        What the data were corrected with.
    data : tuple of Path
        The corrected measurement sets that were imaged.
    """

    number: int
    image: Path
    model: Path
    quality: ImageQuality
    solutions: Solutions | None
    data: tuple[Path, ...]

    @property
    def solved(self) -> Solutions:
        """The solutions of a cycle that has them: all but the first."""
        if self.solutions is None:
            raise ValueError(f"cycle {self.number} has no solutions")
        return self.solutions


@dataclass(frozen=True)
class Outcome:
    """What the loop has come to.

    Attributes
    ----------
    calibrator : Calibrator
        As it was solved: with or without another direction's phases.
    cycles, best : list of Cycle, Cycle
        All, and that after the phase-only ones whose image has the highest dynamic range.
    before : Cycle
        The calibrator before anything was applied to it, at full resolution.
    """

    calibrator: Calibrator
    cycles: list[Cycle]
    best: Cycle
    before: Cycle


def self_calibrate(calibrator: Calibrator) -> Outcome:
    """Run the loop; the cycle with the best image gives the solutions and the model.

    Another direction's phases are applied first only where they make the first image
    better: two directions can differ more from each other than each from what
    direction-independent calibration left.

    Raises
    ------
    StepError
        When a tool fails or an image or solution is no good.
    """
    calibrator, data, begun = _begin(calibrator)
    cycles, held_at = [begun.first], begun.sharp
    model = _starting_model(calibrator, begun)
    limit, target = calibrator.most_loops, calibrator.target
    for number in range(1, PHASE_CYCLES + limit + 1):
        with_gains = number > PHASE_CYCLES and not calibrator.plan.phases_only
        label = f"cycle{number:02d}"
        solutions = solving.solve(target, data, model, label, with_gains=with_gains)
        before, target = target, stations.without_senseless(target, solutions)
        cycles.append(_image_cycle(calibrator, data, number, solutions))
        best = _best(cycles)
        calibrator.context.release(*(ms for cycle in cycles if cycle is not best for ms in cycle.data))
        if number == 1 and calibrator.catalogue is not None:
            # From here on the source is where the catalogue has it, no longer where it came.
            held_at = cycles[1]
        model = _held_model(calibrator, cycles[-1], held_at)
        settled = target == before and not worthwhile(cycles[-2].quality, cycles[-1].quality)
        if number >= PHASE_CYCLES + 2 and settled:
            break
    best = _best(cycles) or cycles[-1]
    solving.release(calibrator.target, data)
    _tell_choice(calibrator, cycles, best)
    return Outcome(calibrator, cycles, best, begun.sharp)


def _best(cycles: list[Cycle]) -> Cycle | None:
    """The cycle that would be kept now; those with phases alone never are."""
    return max(cycles[PHASE_CYCLES + 1 :], key=lambda cycle: cycle.quality.dynamic_range, default=None)


def _tell_choice(calibrator: Calibrator, cycles: list[Cycle], best: Cycle) -> None:
    """Say why the loop ended, and which cycle is kept."""
    option = "target_max_selfcal_loops" if calibrator.facet.holds_target else "max_selfcal_loops"
    reason = f"{option} = {calibrator.most_loops} is reached"
    if len(cycles) > PHASE_CYCLES + 2 and not worthwhile(cycles[-2].quality, cycles[-1].quality):
        reason = f"neither dynamic range nor |min|/max got better by {100 * WORTHWHILE:g} %"
    log.info(
        "%s: ends after cycle %d: %s; cycle %d is kept: the highest dynamic range with gains (%.0f)",
        calibrator.name, cycles[-1].number, reason, best.number, best.quality.dynamic_range,
    )  # fmt: skip


@dataclass(frozen=True)
class _Beginning:
    """The images before the first solve.

    Attributes
    ----------
    first : Cycle
        Of the data that are solved.
    plain : Cycle
        Without another direction's phases.
    sharp : Cycle
        The same at full resolution: where sources are held.
    """

    first: Cycle
    plain: Cycle
    sharp: Cycle


def _begin(calibrator: Calibrator) -> tuple[Calibrator, Data, _Beginning]:
    """Take the calibrator out with and without another direction's phases; keep the better."""
    plain = replace(calibrator, preapplied=None)
    data = plain.take_out()
    first = sharp = _image_cycle(plain, data, 0, None)
    if calibrator.plan.stages:
        sharp = _image_cycle(plain, data, 0, None, FULL)
    plain.context.release(*first.data, *sharp.data)
    begun = _Beginning(first, first, sharp)
    if calibrator.preapplied is None:
        return plain, data, begun
    other = calibrator.take_out()
    second = _image_cycle(calibrator, other, 0, None, "_preapplied")
    calibrator.context.release(*second.data)
    better = second.quality.dynamic_range > first.quality.dynamic_range
    log.info(
        "%s: the phases of %s are %s first: dynamic range %.0f with them, %.0f without",
        calibrator.name, calibrator.preapplied.owner, "applied" if better else "not applied",
        second.quality.dynamic_range, first.quality.dynamic_range,
    )  # fmt: skip
    solving.release(calibrator.target, data if better else other)
    if not better:
        return plain, data, begun
    return calibrator, other, replace(begun, first=second)


def worthwhile(before: ImageQuality, after: ImageQuality) -> bool:
    """Whether dynamic range or |min|/max improved by more than `WORTHWHILE`."""
    return (
        after.dynamic_range > before.dynamic_range * (1.0 + WORTHWHILE)
        or after.min_max < before.min_max * (1.0 - WORTHWHILE)
    )


def _image_cycle(
    calibrator: Calibrator,
    data: Data,
    number: int,
    solutions: Solutions | None,
    suffix: str = "",
) -> Cycle:
    label = f"{number:02d}{suffix}"
    context = calibrator.context
    resolution = calibrator.plan.full if suffix == FULL else calibrator.resolution(number)
    options = calibrator.imaging(label, resolution)
    timestep = calibrator.plan.image_averaging.timestep
    corrected = [context.scratch / f"{name}.cycle{label}.ms" for name in data]
    h5parm = solutions.h5parm if solutions else Path()
    soltabs = solutions.soltabs if solutions else ()
    context.run(
        *(
            correct(context, mss, h5parm, soltabs, timestep, msout)
            for mss, msout in zip(data.values(), corrected, strict=True)
        )
    )
    context.run(image(context, options, corrected, context.threads))
    published = publish_image(context, options.image, calibrator.facet)
    model = context.scratch / f"{calibrator.name}.cycle{label}.skymodel"
    arguments = {
        "source_list": options.source_list,
        "patch": calibrator.name,
        "path": model,
        "initial": calibrator.middle_model(),
    }
    context.call(f"model {label}", model_from_clean, arguments, (options.source_list,), (model,))
    quality = image_quality(options.image)
    if not quality.peak_jy > 0:
        raise StepError(f"image {label}", f"the image of {calibrator.name} is empty", str(context.out_log))
    log.info("%s: cycle %s: %s", calibrator.name, f"{number}{suffix}".replace("_", ", "), quality)
    return Cycle(number, published, model, quality, solutions, tuple(corrected))


def _starting_model(calibrator: Calibrator, begun: _Beginning) -> Path:
    """The first solve's model: compact sources as points where the image without phases has them."""
    context = calibrator.context
    path = context.scratch / f"{calibrator.name}.start.skymodel"
    arguments: dict[str, Any] = {
        "model": begun.first.model,
        "image": begun.plain.image,
        "initial": calibrator.middle_model(),
        "patch": calibrator.name,
        "path": path,
    }
    reads: tuple[Path, ...] = (begun.first.model, begun.plain.image)
    if calibrator.catalogue is not None:
        arguments["catalogue"] = calibrator.catalogue
        reads = (*reads, calibrator.catalogue)
    context.call("starting model", starting_model, arguments, reads, (path,))
    return path


def _held_model(calibrator: Calibrator, cycle: Cycle, earlier: Cycle) -> Path:
    """The next solve's model: what a cycle's image holds, at the place where an earlier one has it."""
    path = calibrator.context.scratch / f"{calibrator.name}.cycle{cycle.number:02d}.held.skymodel"
    arguments = {
        "model": cycle.model,
        "image": cycle.image,
        "first": earlier.image,
        "patch": calibrator.name,
        "path": path,
    }
    reads = (cycle.model, cycle.image, earlier.image)
    calibrator.context.call(f"hold cycle {cycle.number}", held_model, arguments, reads, (path,))
    return path
