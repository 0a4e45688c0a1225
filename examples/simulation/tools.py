"""Calls of DP3 and WSClean for the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class InitialImage:
    """An image of the initial subtraction: which data, how fine, and how long its baselines."""

    name: str
    column: str
    cell_arcsec: float
    maxuv_lambda: float


#: As prefactor's Initial-Subtract: at about 25", then the rest at about 2'.
INITIAL_IMAGES = (
    InitialImage("high", "DATA", 7.5, 7000.0),
    InitialImage("low", "SUBTRACTED_DATA_ALL", 30.0, 1600.0),
)


def image_components(
    sets: list[Path], image: InitialImage, prefix: Path, radius_deg: float, threads: int
) -> Path:
    """Image all bands together and return WSClean's list of clean components."""
    cell_arcsec = image.cell_arcsec
    size = int(2 * (radius_deg + 0.25) * 3600 / cell_arcsec / 2) * 2
    channels = [] if len(sets) == 1 else [
        "-channels-out", str(len(sets)), "-join-channels",
        "-fit-spectral-pol", str(min(2, len(sets))), "-deconvolution-channels", str(len(sets)),
    ]
    components = prefix.with_name(f"{prefix.name}-sources.txt")
    call("WSClean", [
        "-name", str(prefix), "-j", str(threads), "-use-wgridder", "-no-update-model-required",
        "-temp-dir", str(prefix.parent), "-data-column", image.column, "-size", str(size), str(size),
        "-scale", f"{cell_arcsec}asec", "-maxuv-l", str(image.maxuv_lambda), "-minuv-l", "80",
        "-weight", "briggs", "-0.25", "-niter", "20000", "-mgain", "0.8",
        "-auto-mask", "5", "-auto-threshold", "0.5", "-local-rms", "-save-source-list", *channels,
        *(str(ms) for ms in sets),
    ], prefix.with_suffix(".log"), (components,))
    return components


def join_components(lists: Sequence[Path], joined: Path) -> None:
    """Write several of WSClean's lists as one; names are told apart by the list's own."""
    lines: list[str] = []
    for path in lists:
        header, *rows = [line for line in path.read_text().splitlines() if line.strip()]
        lines += [] if lines else [header]
        lines += [f"{path.stem}_{row}" for row in rows if not row.startswith("#")]
    joined.write_text("\n".join(lines) + "\n")
