"""Groups of directions: self-calibrated side by side, judged, and subtracted one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from factor.directions.model import Facet
from factor.errors import FactorError
from factor.execution.context import Engine
from factor.flow.parallel import Job, facets_side_by_side
from factor.flow.perform import perform
from factor.flow.reset import carry_out
from factor.flow.shaping import built_on, calibration_settings
from factor.flow.standing import Standing
from factor.operations import facetpeel, facetselfcal, facetsub, outlierpeel
from factor.operations.base import Solutions
from factor.operations.calibration.plan import AGAIN, FIRST, RETRY, Attempt
from factor.state.intent import Reset

log = logging.getLogger("factor")

#: What to do about a bad verdict, and about a step that failed; and what becomes of it otherwise.
_CORRECT = (
    "correct the direction or its settings (what shapes it is in the directions file and in "
    "[calibration]; limits are in [verdict]) and run again"
)
_GO_ON = "when the cause is gone, run again: it goes on with this step"
_SELFCAL_WITHOUT = (
    "it is then tried once more at the end, and imaged with its neighbours' solutions if that fails"
)
_PEELING_WITHOUT = "it is then not subtracted, and its facet, if it has one, takes its neighbours' solutions"


def calibrate(standing: Standing, group: Sequence[Facet], earlier: Sequence[Facet]) -> None:
    """Self-calibrate a group of directions and subtract what was learned.

    Parameters
    ----------
    standing : Standing
        Of the field's directions.
    group : sequence of Facet
        The group.
    earlier : sequence of Facet
        The directions of the groups before it.

    Raises
    ------
    FactorError
        When a direction failed and the settings say to stop then.
    """
    donor = donor_of(standing, earlier)
    _attempt(standing, group, FIRST, donor)
    bad = [facet for facet in group if not standing.is_good(facet)]
    if bad and standing.field.settings.calibration.exit_on_selfcal_failure:
        raise _failed(standing, bad, "self-calibration", _SELFCAL_WITHOUT)


def peel(standing: Standing, facet: Facet) -> None:
    """Peel an outlier, or the calibrator of a facet, and subtract it.

    Raises
    ------
    FactorError
        When that failed and the settings say to stop then.
    """
    job = _outlier_job if facet.direction.is_outlier else _peel_job
    failures = facets_side_by_side(
        standing.engine, 1, (facet,), lambda engine, one: job(standing, engine, one)
    )
    for name, error in failures.items():
        log.error("%s: peeling failed: %s", name, error)
    if standing.is_good(facet):
        _subtract(standing, facet)
    elif standing.field.settings.calibration.exit_on_selfcal_failure:
        raise _failed(standing, (facet,), "peeling", _PEELING_WITHOUT)


def try_again(standing: Standing, group: Sequence[Facet]) -> None:
    """Self-calibrate the directions of a group that failed once more, with safer settings.

    It is done when all other directions are subtracted. Those that fail again keep their
    initial model in the data, and their facets are imaged with borrowed solutions.
    """
    bad = [facet for facet in group if not standing.is_good(facet)]
    names = [facet.name for facet in bad if standing.record(RETRY.operation, facet) is None]
    if names:
        log.info(
            "tried again, from low resolution, with phases alone and intervals %d times as long: %s",
            RETRY.stretch, ", ".join(names),
        )  # fmt: skip
    _attempt(standing, bad, RETRY, None)
    for facet in bad:
        if not standing.is_good(facet):
            lender = standing.lender(facet)
            log.warning(
                "%s: failed again: %s; nothing is subtracted for it, and its facet takes %s",
                facet.name, standing.why_bad(facet, RETRY.operation),
                f"the solutions of {lender.name}" if lender else "no solutions",
            )  # fmt: skip


def calibrate_again(standing: Standing, facet: Facet) -> None:
    """Self-calibrate a good direction once more, when all others are subtracted.

    Its own subtraction is undone for it. If it fails now it keeps its first calibration.
    """
    if not standing.to_calibrate_again(facet):
        return
    log.info("second round, with all other directions subtracted: %s", facet.name)
    carry_out(standing, Reset((facet.name,), (("facetsub", facet.name),)))
    _attempt(standing, (facet,), AGAIN, None)
    if standing.operation(facet) != AGAIN.operation:
        log.warning("%s: keeps its first self-calibration", facet.name)


def _attempt(
    standing: Standing, facets: Sequence[Facet], attempt: Attempt, donor: Solutions | None
) -> None:
    """Self-calibrate directions side by side, and subtract those that are good one by one."""
    failures = facets_side_by_side(
        standing.engine,
        standing.field.settings.cluster.ndir_per_node,
        [facet for facet in facets if standing.operation(facet) in (FIRST.operation, attempt.operation)],
        lambda engine, facet: _selfcal_job(standing, engine, facet, (attempt, donor)),
    )
    for name, error in failures.items():
        log.error("%s: %s failed: %s", name, attempt.operation, error)
    for facet in facets:
        if standing.is_good(facet):
            _subtract(standing, facet)


def _failed(standing: Standing, bad: Sequence[Facet], what: str, without: str) -> FactorError:
    """The end of the run: which directions failed, why, where to look, and what to do."""
    lines, advice = [f"{what} failed"], _GO_ON
    for facet in bad:
        lines.append(f"{facet.name}: {standing.why_bad(facet)}")
        pictures = standing.look_at(facet)
        lines += [f"    look at {path}" for path in pictures]
        advice = _CORRECT if pictures else advice
    return FactorError("\n".join(lines), f"{advice}; or set exit_on_selfcal_failure = False: {without}")


def finish_subtractions(standing: Standing) -> None:
    """Finish the subtractions that a killed run left undone in some chunks.

    Whatever this run's limits are: data from which a direction is half subtracted are good
    for nothing.
    """
    begun = standing.subtractions()
    for facet in (*standing.field.outliers, *standing.field.facets):
        if facet.name in begun and not standing.is_subtracted(facet):
            log.info("%s: its subtraction was interrupted and is finished", facet.name)
            _subtract(standing, facet)


def donor_of(standing: Standing, earlier: Sequence[Facet]) -> Solutions | None:
    """The solutions whose phases are applied before a group's directions are solved.

    They come from an earlier group, so that a run that is resumed within a group chooses
    as one that was not interrupted.
    """
    if not standing.field.settings.calibration.preapply_first_cal_phases:
        return None
    donor = next((f for f in earlier if standing.is_good(f) and not standing.preapplied(f)), None)
    return None if donor is None else standing.solutions(donor)


def _selfcal_job(
    standing: Standing, engine: Engine, facet: Facet, how: tuple[Attempt, Solutions | None]
) -> Job:
    field, (attempt, donor) = standing.field, how
    context = engine.context(attempt.operation, facet.name)
    settings = calibration_settings(standing, attempt.operation, facet)

    def operate() -> dict[str, Any]:
        results = facetselfcal.run(context, field, facet, donor, attempt)
        if donor is not None and results["preapplied"]:
            context.built_on = built_on(standing, donor)
        return results

    # What has failed is worth another try when the user changes something.
    redo = not standing.is_good(facet) and not standing.is_subtracted(facet)
    return lambda: perform(context, settings, operate, redo=redo)


def _outlier_job(standing: Standing, engine: Engine, outlier: Facet) -> Job:
    field = standing.field
    context = engine.context(outlierpeel.NAME, outlier.name)
    settings = calibration_settings(standing, outlierpeel.NAME, outlier)
    return lambda: perform(context, settings, lambda: outlierpeel.run(context, field, outlier), redo=False)


def _peel_job(standing: Standing, engine: Engine, facet: Facet) -> Job:
    field = standing.field
    solve = engine.context(facetpeel.NAME, facet.name)
    image = engine.context(facetpeel.IMAGE, facet.name)
    settings = calibration_settings(standing, facetpeel.NAME, facet)

    def job() -> None:
        perform(solve, settings, lambda: facetpeel.run(solve, field, facet), redo=False)
        scale = float(solve.record.results["amplitude_scale"])
        made_from = calibration_settings(standing, facetpeel.IMAGE, facet)
        perform(image, made_from, lambda: facetpeel.run_image(image, field, facet, scale), redo=False)

    return job


def _subtract(standing: Standing, facet: Facet) -> None:
    context = standing.engine.context("facetsub", facet.name)
    change = standing.change(facet)
    settings = {"identity": change.identity()}
    perform(
        context,
        settings,
        lambda: facetsub.run(context, standing.field, change),
        # The same once more gives back the copies that were lost, and changes no data.
        redo=context.record.settings == settings,
    )
