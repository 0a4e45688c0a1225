"""DP3 calls: each step a frozen value whose fields are the tool's options.

The names and meanings of the options are DP3's own; see its documentation,
https://dp3.readthedocs.io/en/latest/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factor.tools.command import Command
from factor.tools.environment import Tools


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | list):
        return "[" + ",".join(_text(item) for item in value) + "]"
    return str(value)


#: Corrections by matrices: the amplitudes and phases of all four correlations that make each.
MATRICES = {"leakage": ("amplitude001", "phase002")}


def _corrections(soltabs: Sequence[str], prefix: str = "") -> dict[str, object]:
    """The options that name what is applied, one after the other."""
    options: dict[str, object] = {f"{prefix}steps": tuple(soltabs)}
    for name in soltabs:
        options[f"{prefix}{name}.correction"] = "fulljones" if name in MATRICES else name
        if name in MATRICES:
            options[f"{prefix}{name}.soltab"] = MATRICES[name]
    return options


@dataclass(frozen=True)
class Predict:
    """Predict a sky model without a beam (the sky of Factor is apparent)."""

    sourcedb: Path
    operation: str
    """``add``, ``subtract`` or ``replace``."""

    def options(self) -> dict[str, object]:
        return {
            "type": "predict",
            "sourcedb": self.sourcedb,
            "operation": self.operation,
            "usebeammodel": False,
        }


@dataclass(frozen=True)
class H5ParmPredict:
    """Predict a sky model corrupted with solutions; the H5parm's direction is ``[patch]``.

    ``soltabs`` are in the order in which data are corrected: models are corrupted in the
    opposite one, because matrices do not commute with the gains of two polarisations.
    """

    sourcedb: Path
    operation: str
    parmdb: Path
    soltabs: tuple[str, ...]
    direction: str

    def options(self) -> dict[str, object]:
        soltabs = self.soltabs[::-1]
        return {
            "type": "h5parmpredict",
            "sourcedb": self.sourcedb,
            "operation": self.operation,
            "directions": f"[[{self.direction}]]",
            "usebeammodel": False,
            "applycal.parmdb": self.parmdb,
            # DP3 wants a correction beside the steps, whatever it is.
            "applycal.correction": soltabs[0],
            **_corrections(soltabs, "applycal."),
        }


@dataclass(frozen=True)
class ApplyCal:
    """Correct the data with solutions, in the order of ``soltabs``."""

    parmdb: Path
    soltabs: tuple[str, ...]

    def options(self) -> dict[str, object]:
        return {"type": "applycal", "parmdb": self.parmdb, **_corrections(self.soltabs)}


@dataclass(frozen=True)
class PhaseShift:
    """Move the phase centre, degrees J2000."""

    ra_deg: float
    dec_deg: float

    def options(self) -> dict[str, object]:
        return {
            "type": "phaseshifter",
            "phasecenter": f"[{self.ra_deg:.9f}deg,{self.dec_deg:.9f}deg]",
        }


@dataclass(frozen=True)
class Average:
    """Average over channels and time slots."""

    freqstep: int = 1
    timestep: int = 1

    def options(self) -> dict[str, object]:
        return {"type": "averager", "freqstep": self.freqstep, "timestep": self.timestep}


@dataclass(frozen=True)
class PreFlag:
    """Flag what a combination of selections names."""

    selections: tuple[tuple[str, str, str], ...]
    """Name, key of DP3's preflagger (``abstime``, ``baseline``, ``freqrange``) and value."""
    expression: str
    """The names, combined with ``and``, ``or``, ``not`` and parentheses."""

    def options(self) -> dict[str, object]:
        options: dict[str, object] = {"type": "preflagger", "expr": self.expression}
        options.update({f"{name}.{key}": value for name, key, value in self.selections})
        return options


@dataclass(frozen=True)
class ChannelRange:
    """Keep some channels only."""

    startchan: int
    nchan: int

    def options(self) -> dict[str, object]:
        return {"type": "filter", "startchan": self.startchan, "nchan": self.nchan}


@dataclass(frozen=True)
class DDECal:
    """Solve for one direction."""

    h5parm: Path
    sourcedb: Path
    mode: str
    directions: tuple[str, ...]
    solint: int
    nchan: int
    smoothnessconstraint: float
    """Width of the kernel that smooths solutions over frequency, Hz; 0 for none."""
    uvlambdamin: float
    maxiter: int
    tolerance: float
    stepsize: float
    propagatesolutions: bool
    solveralgorithm: str = "directionsolve"
    approximatetec: bool | None = None
    """Whether TEC solves begin with an approximation; None for other solves."""
    maxapproxiter: int = 0

    def options(self) -> dict[str, object]:
        options: dict[str, object] = {
            "type": "ddecal",
            "mode": self.mode,
            "h5parm": self.h5parm,
            "sourcedb": self.sourcedb,
            "directions": f"[[{','.join(self.directions)}]]",
            "usebeammodel": False,
            "solint": self.solint,
            "nchan": self.nchan,
            "uvlambdamin": self.uvlambdamin,
            "maxiter": self.maxiter,
            "tolerance": self.tolerance,
            "stepsize": self.stepsize,
            "propagatesolutions": self.propagatesolutions,
            "solveralgorithm": self.solveralgorithm,
        }
        if self.smoothnessconstraint:
            options["smoothnessconstraint"] = self.smoothnessconstraint
        if self.approximatetec is not None:
            options["approximatetec"] = self.approximatetec
            options["maxapproxiter"] = self.maxapproxiter
        return options


@dataclass(frozen=True)
class GainCal:
    """Solve every slot for stations that see all sources of a model alike."""

    parmdb: Path
    sourcedb: Path
    caltype: str
    nchan: int
    uvlambdamin: float

    def options(self) -> dict[str, object]:
        return {
            "type": "gaincal",
            "parmdb": self.parmdb,
            "sourcedb": self.sourcedb,
            "caltype": self.caltype,
            "usebeammodel": False,
            "solint": 1,
            "nchan": self.nchan,
            "uvlambdamin": self.uvlambdamin,
        }


DP3Step = (
    Predict | H5ParmPredict | ApplyCal | PhaseShift | Average | PreFlag | ChannelRange | DDECal | GainCal
)


#: Bits of a compressed visibility's real or imaginary part: its error is 7e-4 of the data's rms.
_DYSCO_BITS = 12


@dataclass(frozen=True)
class DP3Run:
    """One run of DP3.

    Attributes
    ----------
    msin : tuple of Path
        Measurement sets of one piece of time, sorted by frequency; joined in frequency.
    datacolumn : str
        Column to read.
    steps : tuple
        What is done, in order.
    msout : Path or None
        Measurement set to write; None when the run only makes solutions.
    outputs : tuple of Path
        What it leaves beside ``msout``.
    times : int
        Number of time slots to read; 0 for all.
    first_time : int
        Number of the time slot to begin with.
    compress : bool
        Compress data and weights with Dysco; flagged data become NaN. Never for data from
        which something is subtracted.
    """

    msin: tuple[Path, ...]
    datacolumn: str
    steps: tuple[DP3Step, ...]
    msout: Path | None = None
    outputs: tuple[Path, ...] = ()
    times: int = 0
    first_time: int = 0
    compress: bool = False


def dp3_command(tools: Tools, run: DP3Run) -> Command:
    """The command of a DP3 run, with one thread: runs go side by side.

    Parameters
    ----------
    tools : Tools
        The programs found.
    run : DP3Run
        Inputs, steps and outputs.
    """
    names = [f"s{i}" for i in range(len(run.steps))]
    options: dict[str, object] = {
        "msin": run.msin if len(run.msin) > 1 else run.msin[0],
        "msin.datacolumn": run.datacolumn,
    }
    if run.times:
        options |= {"msin.ntimes": run.times, "msin.starttimeslot": run.first_time}
    if run.msout is None:
        # Without an output DP3 would write the processed data into its input.
        options |= {"steps": (*names, "nowhere"), "nowhere.type": "null"}
    else:
        options |= {"steps": tuple(names), "msout": run.msout}
    if len(run.msin) > 1:
        options["msin.orderms"] = False
    if run.msout is not None:
        options["msout.overwrite"] = True
        if run.compress:
            options["msout.storagemanager"] = "dysco"
            options["msout.storagemanager.databitrate"] = _DYSCO_BITS
    for name, step in zip(names, run.steps, strict=True):
        options.update({f"{name}.{key}": value for key, value in step.options().items()})
    outputs = (*((run.msout,) if run.msout is not None else ()), *run.outputs)
    return Command(
        tool="DP3",
        argv=(str(tools.dp3), *(f"{key}={_text(value)}" for key, value in options.items())),
        resources=("numthreads=1",),
        environment=tools.environment,
        outputs=outputs,
    )
