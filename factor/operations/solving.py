"""Solving for a calibrator: fast phases, slow gains, and one file of solutions of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from factor.execution.step import Call, Step
from factor.operations.base import Solutions
from factor.products import combining
from factor.products.solutions import FAST_PHASE, SLOW_AMPLITUDE, SLOW_PHASE
from factor.tools.dp3 import ApplyCal, DDECal, DP3Run, dp3_command

if TYPE_CHECKING:
    from factor.operations.selfcal_loop import Calibrator

#: What is applied to the data of a direction, in order.
PHASES = (FAST_PHASE,)
ALL_SOLTABS = (FAST_PHASE, SLOW_PHASE, SLOW_AMPLITUDE)

#: Width over which fast phases are smoothed in frequency, Hz: the ionosphere changes
#: little over it, and a solve has as many free parameters as the TEC of such a block.
FAST_SMOOTHING_HZ = 5e6
#: The same for slow gains: beam errors are smooth in frequency.
SLOW_SMOOTHING_HZ = 10e6

Data = dict[str, tuple[Path, ...]]


def phases_of(soltabs: tuple[str, ...]) -> tuple[str, ...]:
    """The soltabs of phases among some."""
    return tuple(name for name in soltabs if name != SLOW_AMPLITUDE)


def solve(calibrator: Calibrator, data: Data, model: Path, number: int, *, with_gains: bool) -> Solutions:
    """Solve all chunks against a model.

    Parameters
    ----------
    calibrator : Calibrator
        The calibrator.
    data : dict of chunk name to measurement sets
        Its extracted data.
    model : Path
        Sky model with one patch, named like the direction.
    number : int
        Number of the cycle, for names.
    with_gains : bool
        Whether slow gains are solved after the fast phases.

    Returns
    -------
    Solutions
        Of this cycle, without what was preapplied.
    """
    context = calibrator.context
    fast = {name: context.scratch / f"{name}.cycle{number:02d}.fast.h5" for name in data}
    context.run(*(_fast(calibrator, mss, model, fast[name]) for name, mss in data.items()))
    slow: dict[str, Path] = {}
    if with_gains:
        slow = {name: context.scratch / f"{name}.cycle{number:02d}.slow.h5" for name in data}
        context.run(
            *(_slow(calibrator, mss, model, fast[name], slow[name]) for name, mss in data.items())
        )
    pieces = tuple(
        combining.Piece(fast[c.name], slow.get(c.name), c.start_mjd_s, c.end_mjd_s, c.night)
        for c in calibrator.chunks
    )
    return _merge(calibrator, pieces, f"cycle{number:02d}")


def finish(calibrator: Calibrator, last: Solutions) -> Solutions:
    """Write the solutions of a direction as products, what was preapplied included."""
    context, name = calibrator.context, calibrator.name
    final = Solutions(
        owner=name,
        h5parm=context.products / f"{name}.combined_solutions.h5",
        filled=context.products / f"{name}.combined_solutions_filled.h5",
        soltabs=ALL_SOLTABS,
    )
    preapplied = calibrator.preapplied
    arguments = {
        "own": last.h5parm,
        "preapplied": preapplied.filled if preapplied else None,
        "path": final.h5parm,
        "filled": final.filled,
    }
    reads = (last.h5parm,) + ((preapplied.filled,) if preapplied else ())
    outputs = (final.h5parm, final.filled)
    context.run(Step("combined solutions", Call(combining.combine_final, arguments), reads, outputs))
    return final


def _fast(calibrator: Calibrator, mss: tuple[Path, ...], model: Path, h5parm: Path) -> Step:
    settings = calibrator.field.settings.calibration
    solve_step = DDECal(
        h5parm=h5parm,
        sourcedb=model,
        mode="scalarphase",
        directions=(calibrator.name,),
        solint=calibrator.plan.solint_fast,
        nchan=1,
        smoothnessconstraint=FAST_SMOOTHING_HZ,
        uvlambdamin=settings.solve_min_uv_lambda,
        maxiter=settings.maxiter,
        tolerance=max(settings.tolerance, 1e-4),
        stepsize=0.2,
        propagatesolutions=settings.propagatesolutions,
    )
    run = DP3Run(mss, "DATA", (solve_step,), None, (h5parm,))
    return Step(
        name=f"solve fast phases, {h5parm.stem}",
        action=dp3_command(calibrator.context.tools, run),
        reads=(*mss, model),
        outputs=(h5parm,),
    )


def _slow(calibrator: Calibrator, mss: tuple[Path, ...], model: Path, fast: Path, h5parm: Path) -> Step:
    settings, plan = calibrator.field.settings.calibration, calibrator.plan
    n_channels = len(calibrator.field.observation.bands[0].freqs_hz) // plan.solve_averaging.freqstep
    solve_step = DDECal(
        h5parm=h5parm,
        sourcedb=model,
        mode="diagonal",
        directions=(calibrator.name,),
        solint=plan.solint_slow,
        nchan=n_channels if calibrator.facet.direction.dynamic_range == "LD" else 1,
        smoothnessconstraint=SLOW_SMOOTHING_HZ,
        uvlambdamin=settings.solve_min_uv_lambda,
        maxiter=settings.maxiter,
        tolerance=max(settings.tolerance, 1e-4),
        stepsize=0.2,
        propagatesolutions=settings.propagatesolutions,
    )
    run = DP3Run(mss, "DATA", (ApplyCal(fast, PHASES), solve_step), None, (h5parm,))
    return Step(
        name=f"solve slow gains, {h5parm.stem}",
        action=dp3_command(calibrator.context.tools, run),
        reads=(*mss, model, fast),
        outputs=(h5parm,),
    )


def _merge(calibrator: Calibrator, pieces: tuple[combining.Piece, ...], label: str) -> Solutions:
    context, direction = calibrator.context, calibrator.facet.direction
    path = context.scratch / f"{calibrator.name}.{label}.h5"
    arguments = {
        "pieces": pieces,
        "direction": calibrator.name,
        "position": (direction.ra_deg, direction.dec_deg),
        "spline": calibrator.field.settings.calibration.spline_smooth2d,
        "path": path,
    }
    reads = tuple(f for piece in pieces for f in (piece.fast, piece.slow) if f is not None)
    action = Call(combining.merge_cycle, arguments)
    context.run(Step(f"merge, smooth, normalise {label}", action, reads, (path,)))
    return Solutions(calibrator.name, path, path, ALL_SOLTABS if len(reads) > len(pieces) else PHASES)
