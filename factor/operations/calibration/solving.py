"""Solving for a calibrator: fast phases, slow gains, and one file of solutions of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from factor.execution.context import Context
from factor.execution.step import Call, Step
from factor.observation.model import Chunk
from factor.operations.base import Solutions
from factor.operations.calibration.solve_plan import SolvePlan, TecBlock
from factor.parset.settings import CalibrationSettings
from factor.products.preaverage import average_baselines
from factor.products.solutions import combining, imageweights
from factor.products.solutions.health import check_solutions
from factor.products.solutions.plot import plot_solutions
from factor.products.solutions.soltabs import (
    FAST_PHASE,
    LEAKAGE_NAME,
    SLOW_AMPLITUDE,
    SLOW_PHASE,
    soltab_names,
)
from factor.tools.dp3 import ApplyCal, ChannelRange, DDECal, DP3Run, DP3Step, PreFlag, dp3_command
from factor.tuning.intervals import fast_smoothing_hz

#: What is applied to the data of a direction, in order: leakage where it was solved.
PHASES = (FAST_PHASE,)
GAINS = (FAST_PHASE, SLOW_PHASE, SLOW_AMPLITUDE)
ALL_SOLTABS = (FAST_PHASE, LEAKAGE_NAME, SLOW_PHASE, SLOW_AMPLITUDE)

#: Kinds of plots of a direction's solutions.
PLOTS = ("fast_phase", "slow_phase", "slow_amplitude")

#: How DP3 iterates for phases that are smooth in frequency, and for gains; for TEC and phase
#: the parset says. With steps of this size so many iterations come within 3e-4 rad of the
#: solution; for a single direction this algorithm is as accurate as DP3's default and needs
#: a quarter of its time.
MAX_ITERATIONS = 30
TOLERANCE = 1e-3
STEP_SIZE = 0.2
ALGORITHM = "directioniterative"

#: Width over which slow gains are smoothed in frequency where matrices are solved for, Hz: errors of
#: the beam are smooth. Without matrices each band is solved on its own: what bands differ by tells
#: the noise, see `factor.products.solutions.shrinking`.
SLOW_SMOOTHING_HZ = 10e6
#: The same where they are solved for each channel, to follow what is not smooth.
CHANNEL_SMOOTHING_HZ = 1e6

#: The measurement sets of each chunk, by its name.
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
    weighting : Weighting
        Of its images.
    settings : CalibrationSettings
        Options of the solves.
    left_out : tuple of str
        Stations whose data are not used: they would disturb the solutions of the others.
    """

    context: Context
    name: str
    position: tuple[float, float]
    chunks: tuple[Chunk, ...]
    plan: SolvePlan
    weighting: imageweights.Weighting
    settings: CalibrationSettings
    left_out: tuple[str, ...] = ()


def phases_of(soltabs: tuple[str, ...]) -> tuple[str, ...]:
    """The soltabs of phases among some."""
    return tuple(name for name in soltabs if name in (FAST_PHASE, SLOW_PHASE))


def solve(
    target: Target, data: Data, model: Path, label: str, *, with_gains: bool, normalise: bool = True
) -> Solutions:
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
    normalise : bool
        Whether their mean becomes one; otherwise they keep the flux scale of the model.

    Returns
    -------
    Solutions
        Of this cycle, without what was preapplied.
    """
    fast = _solve_fast(target, data, model, label)
    if not with_gains:
        return Solutions(target.name, fast, fast, PHASES)
    gains = _solve_slow(target, data, model, (fast, label), normalise=normalise)
    soltabs = ALL_SOLTABS if target.plan.all_correlations else GAINS
    return Solutions(target.name, gains, gains, soltabs)


def _solve_fast(target: Target, data: Data, model: Path, label: str) -> Path:
    context = target.context
    if target.plan.preaveraged:
        data = _preaveraged(target, data)
    solves = [
        solve for chunk in target.chunks for solve in _fast_solves(target, chunk, data[chunk.name], label)
    ]
    context.run(*(_fast(target, solve, model) for solve in solves))
    path = context.scratch / f"{target.name}.{label}.fast.h5"
    arguments: dict[str, object] = {
        "pieces": tuple(solve.piece for solve in solves),
        "direction": target.name,
        "position": target.position,
        "path": path,
        "smooth": target.plan.smoothed,
    }
    reads = tuple(solve.piece.h5parm for solve in solves)
    context.call(f"merge fast phases, {label}", combining.merge_fast, arguments, reads, (path,))
    return path


def release(target: Target, data: Data) -> None:
    """Delete data that are neither solved nor imaged any more."""
    target.context.release(*(ms for part in (data, _copies(data)) for mss in part.values() for ms in mss))


def _copies(data: Data) -> Data:
    return {
        name: tuple(ms.with_name(f"{ms.stem}.preaveraged.ms") for ms in mss) for name, mss in data.items()
    }


def _preaveraged(target: Target, data: Data) -> Data:
    """Copies of the data for the solver alone, averaged by the length of the baselines."""
    copies = _copies(data)
    steps = []
    for name, mss in data.items():
        for ms, copy in zip(mss, copies[name], strict=True):
            average = Call(average_baselines, {"ms": ms, "path": copy, "slot_s": target.plan.slot_s})
            steps.append(Step(f"average by baseline, {copy.stem}", average, (ms,), (copy,)))
    target.context.run(*steps)
    return copies


@dataclass(frozen=True)
class _FastSolve:
    """One solve of fast phases: of a chunk, or of one of its blocks of TEC and phase."""

    mss: tuple[Path, ...]
    piece: combining.Piece
    block: TecBlock | None


def _fast_solves(
    target: Target, chunk: Chunk, mss: tuple[Path, ...], label: str
) -> tuple[_FastSolve, ...]:
    stem = target.context.scratch / f"{chunk.name}.{label}.fast"
    whole = _piece(chunk, stem.with_name(f"{stem.name}.h5"))
    if not target.plan.tec_edges_hz:
        return (_FastSolve(mss, whole, None),)
    return tuple(
        _FastSolve(
            mss,
            replace(whole, h5parm=stem.with_name(f"{stem.name}.block{k}.h5"), freqs_hz=block.freqs_hz),
            block,
        )
        for k, block in enumerate(target.plan.tec_blocks(chunk))
    )


def _solve_slow(
    target: Target, data: Data, model: Path, after: tuple[Path, str], *, normalise: bool
) -> Path:
    fast, label = after
    slow = {name: target.context.scratch / f"{name}.{label}.slow.h5" for name in data}
    target.context.run(
        *(_slow(target, chunk, data[chunk.name], model, (fast, slow[chunk.name])) for chunk in target.chunks)
    )
    path = target.context.scratch / f"{target.name}.{label}.h5"
    arguments: dict[str, object] = {
        "fast": fast,
        "pieces": tuple(_piece(chunk, slow[chunk.name]) for chunk in target.chunks),
        "spline": target.settings.spline_smooth2d,
        "weights": _image_weights(target, data),
        "path": path,
        "normalise": normalise,
    }
    reads = (fast, *slow.values())
    target.context.call(f"smooth slow gains, {label}", combining.add_slow, arguments, reads, (path,))
    return path


def weights_path(target: Target) -> Path:
    """Where the weights of a direction's image are left."""
    return target.context.scratch / f"{target.name}.weights.npz"


def _image_weights(target: Target, data: Data) -> Path:
    """What the data weigh in the image, which the scale of slow gains has to know; found once."""
    path = weights_path(target)
    mss = tuple(ms for parts in data.values() for ms in parts)
    arguments = {"mss": mss, "weighting": target.weighting, "path": path}
    target.context.call("weights of the image", imageweights.write_image_weights, arguments, mss, (path,))
    return path


def _piece(chunk: Chunk, h5parm: Path) -> combining.Piece:
    return combining.Piece(h5parm, chunk.start_mjd_s, chunk.end_mjd_s, chunk.night)


def solutions_of(products: Path, direction: str, kind: str = "") -> Solutions:
    """The final solutions of a direction: from self-calibration, or ``_norm`` and ``_unnorm`` ones."""
    h5parm, filled = _final_files(products, kind)
    leaks = h5parm.exists() and LEAKAGE_NAME in soltab_names(h5parm)
    return Solutions(direction, h5parm, filled, ALL_SOLTABS if leaks else GAINS)


def _final_files(products: Path, kind: str) -> tuple[Path, Path]:
    return products / f"combined_solutions{kind}.h5", products / f"combined_solutions{kind}_filled.h5"


def finish(
    target: Target, last: Solutions, preapplied: Solutions | None, flux_scale: float, kind: str = ""
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
    kind : str
        Of the solutions, for the names of the files.
    """
    context = target.context
    outputs = h5parm, filled = _final_files(context.products, kind)
    arguments = {
        "own": last.h5parm,
        "preapplied": preapplied.filled if preapplied else None,
        "slot_s": target.plan.slot_s,
        "gain": 1.0 / flux_scale**0.5,
        "path": h5parm,
        "filled": filled,
    }
    reads = (last.h5parm,) + ((preapplied.filled,) if preapplied else ())
    context.call(f"combined solutions{kind}", combining.combine_final, arguments, reads, outputs)
    return solutions_of(context.products, target.name, kind)


def plot(target: Target, solutions: Solutions) -> None:
    """Plot the final solutions of a direction."""
    context, name = target.context, target.name
    prefix = context.products / f"{name}."
    kinds = [*PLOTS]
    kinds += ["tec"] if target.plan.tec_edges_hz else []
    kinds += ["leakage"] if LEAKAGE_NAME in solutions.soltabs else []
    pictures = tuple(context.products / f"{name}.make_selfcal_plots_{kind}.png" for kind in kinds)
    context.call(
        "plots of the solutions", plot_solutions, {"h5parm": solutions.h5parm, "prefix": prefix},
        (solutions.h5parm,), pictures,
    )  # fmt: skip


def _solve_step(target: Target, name: str, run: DP3Run) -> Step:
    if target.left_out:
        without = PreFlag((("left_out", "baseline", f"[{','.join(target.left_out)}]"),), "left_out")
        run = replace(run, steps=(without, *run.steps))
    reads = [*run.msin]
    for step in run.steps:
        reads += [step.parmdb] if isinstance(step, ApplyCal) else []
        reads += [step.sourcedb] if isinstance(step, DDECal) else []
    (h5parm,) = run.outputs
    # One bad interval can spoil all that begin with its solutions.
    alone = replace(run, steps=tuple(_without_propagation(step) for step in run.steps))
    return Step(
        name=f"solve {name}, {h5parm.stem}",
        action=dp3_command(target.context.tools, run),
        reads=tuple(reads),
        outputs=run.outputs,
        check=Call(check_solutions, {"path": h5parm}),
        otherwise=(
            dp3_command(target.context.tools, alone),
            Call(check_solutions, {"path": h5parm, "last": True}),
        ),
    )


def _without_propagation(step: DP3Step) -> DP3Step:
    return replace(step, propagatesolutions=False) if isinstance(step, DDECal) else step


@dataclass(frozen=True)
class _Problem:
    """What is solved for: against which model, on which grid of time and frequency."""

    mode: str
    model: Path
    solint: int
    nchan: int
    smoothing_hz: float
    min_uv_lambda: float = 0.0


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
        uvlambdamin=max(settings.solve_min_uv_lambda, problem.min_uv_lambda),
        maxiter=MAX_ITERATIONS,
        tolerance=TOLERANCE,
        stepsize=STEP_SIZE,
        propagatesolutions=settings.propagatesolutions,
        solveralgorithm=ALGORITHM,
    )


def _fast(target: Target, solve: _FastSolve, model: Path) -> Step:
    plan, h5parm = target.plan, solve.piece.h5parm
    smoothing_hz = fast_smoothing_hz(plan.flux_jy)
    problem = _Problem("scalarphase", model, plan.solint_fast, plan.channels, smoothing_hz)
    steps: tuple[DP3Step, ...] = (_ddecal(target, problem, h5parm),)
    if solve.block is not None:
        # One TEC for all channels that DP3 sees, whatever nchan.
        problem = _Problem("tecandphase", model, plan.solint_fast, 1, 0.0)
        channels = ChannelRange(solve.block.start, solve.block.count)
        steps = (channels, _with_tec(target.settings, _ddecal(target, problem, h5parm)))
    return _solve_step(target, "fast phases", DP3Run(solve.mss, "DATA", steps, None, (h5parm,)))


def _with_tec(settings: CalibrationSettings, ddecal: DDECal) -> DDECal:
    """A solve with the parset's options for TEC and phase."""
    return replace(
        ddecal,
        maxiter=settings.maxiter,
        tolerance=settings.tolerance,
        stepsize=settings.stepsize,
        approximatetec=settings.approximatetec,
        maxapproxiter=settings.maxapproxiter,
    )


def _slow(target: Target, chunk: Chunk, mss: tuple[Path, ...], model: Path, h5parms: Files) -> Step:
    plan = target.plan
    mode, nchan, smoothing_hz = "diagonal", plan.channels, 0.0
    if plan.all_correlations:
        mode, smoothing_hz = "fulljones", SLOW_SMOOTHING_HZ
    if plan.per_channel:
        nchan, smoothing_hz = 1, CHANNEL_SMOOTHING_HZ
    solint = plan.solint_slow(chunk.n_slots)
    problem = _Problem(mode, model, solint, nchan, smoothing_hz, plan.slow_min_uv_lambda)
    fast, slow = h5parms
    steps = (ApplyCal(fast, PHASES), _ddecal(target, problem, slow))
    return _solve_step(target, "slow gains", DP3Run(mss, "DATA", steps, None, (slow,)))
