"""Solving for a calibrator: fast phases, slow gains, and one file of solutions of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from factor.execution.context import Context
from factor.execution.step import Call, Step
from factor.observation.model import Chunk
from factor.operations.base import Solutions
from factor.operations.solve_plan import SolvePlan
from factor.parset.settings import CalibrationSettings
from factor.products import combining
from factor.products.solutionplot import plot_solutions
from factor.products.solutions import FAST_PHASE, SLOW_AMPLITUDE, SLOW_PHASE
from factor.tools.dp3 import ApplyCal, DDECal, DP3Run, dp3_command
from factor.tuning.intervals import fast_smoothing_hz

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


@dataclass(frozen=True)
class Target:
    """A calibrator to solve for.

    Attributes
    ----------
    context : Context
        Where the steps run; solutions go to its scratch folder.
    name : str
        The direction's name: that of the one patch of its model.
    position : (ra_deg, dec_deg)
        Where it is.
    chunks : tuple of Chunk
        The pieces of time.
    plan : SolvePlan
        Intervals in time and frequency.
    settings : CalibrationSettings
        Options of the solves.
    """

    context: Context
    name: str
    position: tuple[float, float]
    chunks: tuple[Chunk, ...]
    plan: SolvePlan
    settings: CalibrationSettings


def phases_of(soltabs: tuple[str, ...]) -> tuple[str, ...]:
    """The soltabs of phases among some."""
    return tuple(name for name in soltabs if name != SLOW_AMPLITUDE)


def solve(target: Target, data: Data, model: Path, label: str, *, with_gains: bool) -> Solutions:
    """Solve all chunks against a model.

    Parameters
    ----------
    target : Target
        The calibrator.
    data : dict of chunk name to measurement sets
        Its extracted data.
    model : Path
        Sky model with one patch, named like the direction.
    label : str
        For names of steps and files, e.g. ``cycle01``.
    with_gains : bool
        Whether slow gains are solved after the fast phases.

    Returns
    -------
    Solutions
        Of this cycle, without what was preapplied.
    """
    fast = _solve_fast(target, data, model, label)
    if not with_gains:
        return Solutions(target.name, fast, fast, PHASES)
    gains = _solve_slow(target, data, model, fast, label)
    return Solutions(target.name, gains, gains, ALL_SOLTABS)


def _solve_fast(target: Target, data: Data, model: Path, label: str) -> Path:
    context = target.context
    solved = {name: context.scratch / f"{name}.{label}.fast.h5" for name in data}
    context.run(*(_fast(target, mss, model, solved[name]) for name, mss in data.items()))
    path = context.scratch / f"{target.name}.{label}.fast.h5"
    arguments: dict[str, object] = {
        "pieces": _pieces(target, solved),
        "direction": target.name,
        "position": target.position,
        "path": path,
    }
    merge = Call(combining.merge_fast, arguments)
    context.run(Step(f"merge fast phases, {label}", merge, tuple(solved.values()), (path,)))
    return path


def _solve_slow(target: Target, data: Data, model: Path, fast: Path, label: str) -> Path:
    context = target.context
    slow = {name: context.scratch / f"{name}.{label}.slow.h5" for name in data}
    context.run(
        *(_slow(target, chunk, data[chunk.name], model, (fast, slow[chunk.name])) for chunk in target.chunks)
    )
    path = context.scratch / f"{target.name}.{label}.h5"
    arguments: dict[str, object] = {
        "fast": fast,
        "pieces": _pieces(target, slow),
        "spline": target.settings.spline_smooth2d,
        "path": path,
    }
    reads = (fast, *slow.values())
    add = Call(combining.add_slow, arguments)
    context.run(Step(f"smooth and normalise slow gains, {label}", add, reads, (path,)))
    return path


def _pieces(target: Target, files: dict[str, Path]) -> tuple[combining.Piece, ...]:
    return tuple(
        combining.Piece(files[c.name], c.start_mjd_s, c.end_mjd_s, c.night)
        for c in target.chunks
    )


def solutions_of(products: Path, direction: str) -> Solutions:
    """The final solutions of a direction, where facetselfcal leaves them."""
    return Solutions(
        owner=direction,
        h5parm=products / "combined_solutions.h5",
        filled=products / "combined_solutions_filled.h5",
        soltabs=ALL_SOLTABS,
    )


def finish(
    target: Target, last: Solutions, preapplied: Solutions | None, flux_scale: float
) -> Solutions:
    """Write the solutions of a direction as products, what was preapplied included.

    Parameters
    ----------
    target : Target
        The calibrator.
    last : Solutions
        Of the cycle that is kept.
    preapplied : Solutions or None
        Solutions whose phases had been applied to the data before.
    flux_scale : float
        The calibrator's flux with its gains over that with phases alone: the amplitudes
        are scaled so that it becomes one.
    """
    context, name = target.context, target.name
    final = solutions_of(context.products, name)
    arguments = {
        "own": last.h5parm,
        "preapplied": preapplied.filled if preapplied else None,
        "slot_s": target.plan.slot_s,
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


def _solve_step(target: Target, name: str, run: DP3Run) -> Step:
    reads = [*run.msin]
    for step in run.steps:
        reads += [step.parmdb] if isinstance(step, ApplyCal) else []
        reads += [step.sourcedb] if isinstance(step, DDECal) else []
    return Step(
        name=f"solve {name}, {run.outputs[0].stem}",
        action=dp3_command(target.context.tools, run),
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


def _ddecal(target: Target, problem: _Problem, h5parm: Path) -> DDECal:
    settings = target.settings
    return DDECal(
        h5parm=h5parm,
        sourcedb=problem.model,
        mode=problem.mode,
        directions=(target.name,),
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


def _fast(target: Target, mss: tuple[Path, ...], model: Path, h5parm: Path) -> Step:
    plan = target.plan
    smoothing_hz = fast_smoothing_hz(plan.flux_jy)
    problem = _Problem("scalarphase", model, plan.solint_fast, plan.channels, smoothing_hz)
    run = DP3Run(mss, "DATA", (_ddecal(target, problem, h5parm),), None, (h5parm,))
    return _solve_step(target, "fast phases", run)


def _slow(target: Target, chunk: Chunk, mss: tuple[Path, ...], model: Path, h5parms: Files) -> Step:
    plan = target.plan
    nchan = 1 if plan.per_channel else plan.channels
    problem = _Problem("diagonal", model, plan.solint_slow(chunk.n_slots), nchan, SLOW_SMOOTHING_HZ)
    fast, slow = h5parms
    steps = (ApplyCal(fast, PHASES), _ddecal(target, problem, slow))
    return _solve_step(target, "slow gains", DP3Run(mss, "DATA", steps, None, (slow,)))
