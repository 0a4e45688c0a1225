"""Calls of DP3 and WSClean for the simulation."""

from __future__ import annotations

from pathlib import Path

from factor.errors import FactorError
from factor.tools.command import Command
from factor.tools.environment import find_tools
from factor.tools.runner import run


def call(tool: str, arguments: list[str], log: Path, outputs: tuple[Path, ...] = ()) -> None:
    """Run ``DP3`` or ``WSClean`` to its end.

    Raises
    ------
    FactorError
        With the tool's own last error when it fails.
    """
    tools = find_tools()
    program = tools.dp3 if tool == "DP3" else tools.wsclean
    command = Command(tool, (str(program), *arguments), (), tools.environment, outputs)
    result = run(command, log, log)
    if result.error:
        msg = f"{result.error}\nlog: {log}\ncommand: {command.paste()}"
        raise FactorError(msg)


def predict_sky(ms: Path, skymodel: Path, effects: Path | None, log: Path) -> None:
    """Put the sky as the stations see it, beam corrected at the phase centre, into DATA."""
    arguments = [
        f"msin={ms}", "msout=.", "numthreads=1", "steps=[predict,applybeam]",
        f"predict.sourcedb={skymodel}", "predict.operation=replace",
        "predict.usebeammodel=true", "predict.usechannelfreq=true", "predict.beammode=default",
        "applybeam.beammode=full", "applybeam.invert=true", "applybeam.updateweights=false",
    ]
    if effects is None:
        arguments += ["predict.type=predict"]
    else:
        arguments += [
            "predict.type=h5parmpredict", f"predict.applycal.parmdb={effects}",
            "predict.applycal.steps=[phase,gain]", "predict.applycal.correction=phase000",
            "predict.applycal.phase.correction=phase000",
            "predict.applycal.gain.correction=amplitude000",
        ]
    call("DP3", arguments, log)


def subtract_apparent(ms: Path, skymodel: Path, column: str, log: Path) -> None:
    """Subtract a model of apparent fluxes from DATA into another column."""
    call("DP3", [
        f"msin={ms}", "msout=.", f"msout.datacolumn={column}", "numthreads=1", "steps=[predict]",
        f"predict.sourcedb={skymodel}", "predict.operation=subtract",
        "predict.usebeammodel=false",
    ], log)


def image_components(sets: list[Path], prefix: Path, radius_deg: float, threads: int,
                     log: Path) -> Path:
    """Image all bands together at about 25" and return WSClean's list of clean components."""
    cell_arcsec = 7.5
    size = int(2 * (radius_deg + 0.25) * 3600 / cell_arcsec / 2) * 2
    channels = [] if len(sets) == 1 else [
        "-channels-out", str(len(sets)), "-join-channels",
        "-fit-spectral-pol", str(min(2, len(sets))), "-deconvolution-channels", str(len(sets)),
    ]
    components = prefix.with_name(f"{prefix.name}-sources.txt")
    call("WSClean", [
        "-name", str(prefix), "-j", str(threads), "-use-wgridder", "-no-update-model-required",
        "-temp-dir", str(prefix.parent), "-data-column", "DATA", "-size", str(size), str(size),
        "-scale", f"{cell_arcsec}asec", "-maxuv-l", "7000", "-minuv-l", "80",
        "-weight", "briggs", "-0.25", "-niter", "20000", "-mgain", "0.8",
        "-auto-mask", "5", "-auto-threshold", "1.5", "-local-rms", "-save-source-list", *channels,
        *(str(ms) for ms in sets),
    ], log, (components,))
    return components
