"""DP3 calls as text: wrong text edits the wrong data, quietly."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from factor.tools.command import Command
from factor.tools.dp3 import (
    ApplyCal,
    Average,
    DDECal,
    DP3Run,
    DP3Step,
    H5ParmPredict,
    PhaseShift,
    Predict,
    PreFlag,
    dp3_command,
)
from factor.tools.environment import Tools

MODEL, H5 = Path("m.skymodel"), Path("s.h5")
SOLVE = DDECal(
    h5parm=H5, sourcedb=MODEL, mode="scalarphase", directions=("d1",), solint=2, nchan=4,
    smoothnessconstraint=4e6, uvlambdamin=80.0, maxiter=30, tolerance=1e-3, stepsize=0.2,
    propagatesolutions=True,
)
STEPS: tuple[DP3Step, ...] = (
    Predict(MODEL, "add"),
    H5ParmPredict(MODEL, "subtract", H5, ("phase000", "amplitude000"), "d1"),
    ApplyCal(H5, ("phase000", "leakage")),
    PhaseShift(217.5, -0.25),
    Average(4, 2),
    PreFlag((("a", "baseline", "[CS*]"), ("b", "freqrange", "[1..2MHz]")), "a or b"),
    SOLVE,
)


def options(command: Command) -> Mapping[str, str]:
    """The options of a command by name; each is given once."""
    pairs = [argument.split("=", 1) for argument in command.argv[1:]]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_golden_pass(tools: Tools) -> None:
    """One pass over joined bands: add back, shift, correct, average."""
    run = DP3Run(
        (Path("a.ms"), Path("b.ms")), "CORRECTED_DATA",
        (Predict(MODEL, "add"), PhaseShift(217.5, -0.25), ApplyCal(H5, ("phase000", "amplitude000")),
         Average(4, 2)),
        Path("out.ms"),
    )
    assert list(dp3_command(tools, run).full_argv) == [
        "/opt/bin/DP3", "numthreads=1",
        "msin=[a.ms,b.ms]", "msin.datacolumn=CORRECTED_DATA",
        "steps=[s0,s1,s2,s3]", "msout=out.ms", "msin.orderms=false", "msout.overwrite=true",
        "s0.type=predict", "s0.sourcedb=m.skymodel", "s0.operation=add", "s0.usebeammodel=false",
        "s1.type=phaseshifter", "s1.phasecenter=[217.500000000deg,-0.250000000deg]",
        "s2.type=applycal", "s2.parmdb=s.h5", "s2.steps=[phase000,amplitude000]",
        "s2.phase000.correction=phase000", "s2.amplitude000.correction=amplitude000",
        "s3.type=averager", "s3.freqstep=4", "s3.timestep=2",
    ]  # fmt: skip


def test_golden_solve(tools: Tools) -> None:
    """A solve reads one measurement set and leaves an H5parm alone."""
    command = dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", (SOLVE,), None, (H5,)))
    given = options(command)
    assert given["msin"] == "a.ms"
    assert "msin.orderms" not in given
    assert given["s0.type"] == "ddecal"
    assert given["s0.directions"] == "[[d1]]"
    assert given["s0.smoothnessconstraint"] == "4000000.0"
    assert given["s0.propagatesolutions"] == "true"
    assert command.outputs == (H5,)


@pytest.mark.parametrize("steps", [*itertools.combinations(STEPS, 1), STEPS])
def test_without_output_the_input_is_safe(tools: Tools, steps: tuple[DP3Step, ...]) -> None:
    """DP3 without a null step at the end, or with an empty msout, writes into its input."""
    command = dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", steps, None, (H5,)))
    given = options(command)
    last = given["steps"].strip("[]").split(",")[-1]
    assert given[f"{last}.type"] == "null"
    assert "msout" not in given


@pytest.mark.parametrize("steps", [*itertools.combinations(STEPS, 1), STEPS])
def test_output_is_never_the_input(tools: Tools, steps: tuple[DP3Step, ...]) -> None:
    """``msout=`` and ``msout=.`` mean the input: an output always has a name of its own."""
    command = dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", steps, Path("b.ms")))
    given = options(command)
    assert given["msout"] == "b.ms"
    assert given["msout"] != given["msin"]
    assert command.outputs == (Path("b.ms"),)


def test_the_sky_is_apparent(tools: Tools) -> None:
    """Rule 1: data and models have the beam in them, so no prediction applies one."""
    command = dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", STEPS, Path("b.ms")))
    given = options(command)
    predicting = [n.split(".")[0] for n, v in given.items()
                  if n.endswith(".type") and v in ("predict", "h5parmpredict", "ddecal")]
    assert len(predicting) == 3
    assert [given[f"{name}.usebeammodel"] for name in predicting] == ["false"] * 3
    assert not any("beam" in name and value != "false" for name, value in given.items())


def test_each_soltab_is_applied(tools: Tools) -> None:
    """DP3 silently applies nothing for a soltab whose correction is not named."""
    command = dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", STEPS, Path("b.ms")))
    given = options(command)
    for step in ("s1.applycal", "s2"):
        for soltab in given[f"{step}.steps"].strip("[]").split(","):
            correction = "fulljones" if soltab == "leakage" else soltab
            assert given[f"{step}.{soltab}.correction"] == correction
    assert given["s2.leakage.soltab"] == "[amplitude001,phase002]"
    assert given["s1.directions"] == "[[d1]]"


def test_models_are_corrupted_in_the_opposite_order(tools: Tools) -> None:
    """Matrices and gains do not commute: what was subtracted must be what correcting takes out."""
    steps = (H5ParmPredict(MODEL, "add", H5, ("phase000", "leakage", "amplitude000"), "d1"),)
    given = options(dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", steps, Path("b.ms"))))
    assert given["s0.applycal.steps"] == "[amplitude000,leakage,phase000]"
    assert given["s0.applycal.leakage.correction"] == "fulljones"
    # DP3 looks for a matrix's default soltabs when the correction beside the steps is one.
    assert given["s0.applycal.correction"] == "amplitude000"


def test_positions_keep_their_digits(tools: Tools) -> None:
    """A phase centre rounded to arcseconds moves all sources."""
    command = dp3_command(tools, DP3Run((Path("a.ms"),), "DATA", (PhaseShift(1e-7, -1e-7),), Path("b.ms")))
    assert options(command)["s0.phasecenter"] == "[0.000000100deg,-0.000000100deg]"


def test_compressed_output(tools: Tools) -> None:
    """Dysco on demand, and never otherwise: each compressed write costs accuracy."""
    run = DP3Run((Path("a.ms"),), "DATA", (), Path("b.ms"))
    assert not any("storagemanager" in name for name in options(dp3_command(tools, run)))
    compressed = options(dp3_command(tools, replace(run, compress=True)))
    assert compressed["msout.storagemanager"] == "dysco"
