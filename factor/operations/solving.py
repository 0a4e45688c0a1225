"""Solving for a calibrator: fast phases, slow gains, and one file of solutions of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factor.execution.step import Call, Step
from factor.observation.model import Chunk
from factor.operations.base import Solutions
from factor.products import combining
from factor.products.solutionplot import plot_solutions
from factor.products.solutions import FAST_PHASE, SLOW_AMPLITUDE, SLOW_PHASE
from factor.tools.dp3 import ApplyCal, DDECal, DP3Run, dp3_command
from factor.tuning.intervals import fast_smoothing_hz

if TYPE_CHECKING:
    from factor.operations.selfcal_loop import Calibrator

#: What is applied to the data of a direction, in order.
PHASES = (FAST_PHASE,)
ALL_SOLTABS = (FAST_PHASE, SLOW_PHASE, SLOW_AMPLITUDE)

#: Kinds of plots of a direction's solutions.
PLOTS = ("fast_phase", "slow_phase", "slow_amplitude")

#: How DP3 iterates. With steps of this size so many iterations come within 3e-4 rad of the
#: solution; for a single direction this algorithm is as accurate as DP3's default and needs
#: a quarter of its time.
MAX_ITERATIONS = 30
TOLERANCE = 1e-3
STEP_SIZE = 0.2
ALGORITHM = "directioniterative"

#: Width over which slow gains are smoothed in frequency, Hz: errors of the beam are smooth.
SLOW_SMOOTHING_HZ = 10e6

Data = dict[str, tuple[Path, ...]]
Files = tuple[Path, Path]


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
    context, label = calibrator.context, f"cycle{number:02d}"
    solved = {name: context.scratch / f"{name}.{label}.fast.h5" for name in data}
    context.run(*(_fast(calibrator, mss, model, solved[name]) for name, mss in data.items()))
    direction = calibrator.facet.direction
    fast = context.scratch / f"{calibrator.name}.{label}.fast.h5"
    arguments: dict[str, object] = {
        "pieces": _pieces(calibrator, solved),
        "direction": calibrator.name,
        "position": (direction.ra_deg, direction.dec_deg),
        "path": fast,
    }
    merge = Call(combining.merge_fast, arguments)
    context.run(Step(f"merge fast phases, {label}", merge, tuple(solved.values()), (fast,)))
    if not with_gains:
        return Solutions(calibrator.name, fast, fast, PHASES)
    slow = {name: context.scratch / f"{name}.{label}.slow.h5" for name in data}
    context.run(
        *(
            _slow(calibrator, chunk, data[chunk.name], model, (fast, slow[chunk.name]))
            for chunk in calibrator.chunks
        )
    )
    path = context.scratch / f"{calibrator.name}.{label}.h5"
    arguments = {
        "fast": fast,
        "pieces": _pieces(calibrator, slow),
        "spline": calibrator.field.settings.calibration.spline_smooth2d,
        "path": path,
    }
    reads = (fast, *slow.values())
    add = Call(combining.add_slow, arguments)
    context.run(Step(f"smooth and normalise slow gains, {label}", add, reads, (path,)))
    return Solutions(calibrator.name, path, path, ALL_SOLTABS)


def _pieces(calibrator: Calibrator, files: dict[str, Path]) -> tuple[combining.Piece, ...]:
    return tuple(
        combining.Piece(files[c.name], c.start_mjd_s, c.end_mjd_s, c.night)
        for c in calibrator.chunks
    )


def solutions_of(products: Path, direction: str) -> Solutions:
    """The final solutions of a direction, where facetselfcal leaves them."""
    return Solutions(
        owner=direction,
        h5parm=products / "combined_solutions.h5",
        filled=products / "combined_solutions_filled.h5",
        soltabs=ALL_SOLTABS,
    )


def finish(calibrator: Calibrator, last: Solutions, flux_scale: float) -> Solutions:
    """Write the solutions of a direction as products, what was preapplied included.

    Parameters
    ----------
    calibrator : Calibrator
        The calibrator.
    last : Solutions
        Of the cycle that is kept.
    flux_scale : float
        The calibrator's flux with its gains over that with phases alone: the amplitudes
        are scaled so that it becomes one.
    """
    context, name = calibrator.context, calibrator.name
    final = solutions_of(context.products, name)
    preapplied = calibrator.preapplied
    arguments = {
        "own": last.h5parm,
        "preapplied": preapplied.filled if preapplied else None,
        "slot_s": calibrator.field.observation.interval_s,
        "gain": 1.0 / flux_scale**0.5,
        "path": final.h5parm,
        "filled": final.filled,
    }
    reads = (last.h5parm,) + ((preapplied.filled,) if preapplied else ())
    outputs = (final.h5parm, final.filled)
    context.run(Step("combined solutions", Call(combining.combine_final, arguments), reads, outputs))
    prefix = context.products / f"{name}."
    pictures = tuple(context.products / f"{name}.make_selfcal_plots_{kind}.png" for kind in PLOTS)
    plot = Call(plot_solutions, {"h5parm": final.h5parm, "prefix": prefix})
    context.run(Step("plots of the solutions", plot, (final.h5parm,), pictures))
    return final


def _solve_step(calibrator: Calibrator, name: str, run: DP3Run) -> Step:
    reads = [*run.msin]
    for step in run.steps:
        reads += [step.parmdb] if isinstance(step, ApplyCal) else []
        reads += [step.sourcedb] if isinstance(step, DDECal) else []
    return Step(
        name=f"solve {name}, {run.outputs[0].stem}",
        action=dp3_command(calibrator.context.tools, run),
        reads=tuple(reads),
        outputs=run.outputs,
    )


@dataclass(frozen=True)
class _Problem:
    """What is solved for: against which model, on which grid of time and frequency."""

    mode: str
    model: Path
    solint: int
    nchan: int
    smoothing_hz: float


def _ddecal(calibrator: Calibrator, problem: _Problem, h5parm: Path) -> DDECal:
    settings = calibrator.field.settings.calibration
    return DDECal(
        h5parm=h5parm,
        sourcedb=problem.model,
        mode=problem.mode,
        directions=(calibrator.name,),
        solint=problem.solint,
        nchan=problem.nchan,
        smoothnessconstraint=problem.smoothing_hz,
        uvlambdamin=settings.solve_min_uv_lambda,
        maxiter=MAX_ITERATIONS,
        tolerance=TOLERANCE,
        stepsize=STEP_SIZE,
        propagatesolutions=settings.propagatesolutions,
        solveralgorithm=ALGORITHM,
    )


def _fast(calibrator: Calibrator, mss: tuple[Path, ...], model: Path, h5parm: Path) -> Step:
    plan = calibrator.plan
    smoothing_hz = fast_smoothing_hz(plan.flux_jy)
    problem = _Problem("scalarphase", model, plan.solint_fast, plan.solve_channels, smoothing_hz)
    run = DP3Run(mss, "DATA", (_ddecal(calibrator, problem, h5parm),), None, (h5parm,))
    return _solve_step(calibrator, "fast phases", run)


def _slow(calibrator: Calibrator, chunk: Chunk, mss: tuple[Path, ...], model: Path, h5parms: Files) -> Step:
    plan = calibrator.plan
    nchan = 1 if calibrator.facet.direction.dynamic_range == "HD" else plan.solve_channels
    problem = _Problem("diagonal", model, plan.solint_slow(chunk.n_slots), nchan, SLOW_SMOOTHING_HZ)
    fast, slow = h5parms
    steps = (ApplyCal(fast, PHASES), _ddecal(calibrator, problem, slow))
    return _solve_step(calibrator, "slow gains", DP3Run(mss, "DATA", steps, None, (slow,)))
