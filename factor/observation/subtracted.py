"""Is the sky model what was subtracted? Where the input still has the data of before, they tell."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.observation.bands import SUBTRACTED_COLUMN, MsInfo, open_readonly
from factor.observation.checks import BandInput
from factor.tools import runner
from factor.tools.dp3 import DP3Run, Predict, dp3_command
from factor.tools.environment import Tools

log = logging.getLogger("factor")

Visibilities = NDArray[np.complex64]

#: The data of before.
FULL_COLUMN = "DATA"

#: Difference (rms) between the model and what was subtracted, as a part of the model, above which they
#: are not the same; compression of the columns leaves up to some percent.
MAX_DIFFERENCE = 0.1


@dataclass(frozen=True)
class Agreement:
    """How a model compares with what was subtracted.

    Attributes
    ----------
    difference : float
        The rms of their difference over that of the model.
    scale : float
        The factor that makes the model most like what was subtracted.
    """

    difference: float
    scale: float


def wrong_models(bands: Iterable[BandInput], tools: Tools, jobs: int, commands: Path) -> list[str]:
    """Tell which bands' sky models are not what was subtracted from their data.

    One time slot of a file of each band is predicted and compared with the difference of
    its columns. Where there are no data of before, nothing can be told.

    Parameters
    ----------
    bands : iterable of BandInput
        The bands, which are only read.
    tools : Tools
        The programs found.
    jobs : int
        Predictions at once.
    commands : Path
        Where they are noted.
    """
    with tempfile.TemporaryDirectory(prefix="factor-") as folder, ThreadPoolExecutor(jobs) as pool:
        asked = [
            (info, band.skymodel, Path(folder, f"{band.name}.ms"))
            for band in bands
            for info in [file for file in band.files if _can_tell(file)][:1]
        ]
        results = pool.map(lambda one: _predict(tools, *one), asked)
        told = []
        # Tables are read in this thread alone.
        for (info, skymodel, predicted), result in zip(asked, results, strict=True):
            runner.note(result, f"input {info.path.name}: predict what was subtracted", commands)
            if result.error:
                log.warning("%s could not be held against the data: %s", skymodel, result.error)
            else:
                told.append(_told(info, skymodel, predicted))
    return [problem for problem in told if problem]


def _told(info: MsInfo, skymodel: Path, predicted: Path) -> str:
    how = agreement(info, predicted)
    if how is None or how.difference <= MAX_DIFFERENCE:
        return ""
    return (
        f"{skymodel} is not the sky model that was subtracted in {info.path}: {FULL_COLUMN} minus "
        f"{SUBTRACTED_COLUMN} has {how.scale:.2f} of its flux and differs from it by "
        f"{100 * how.difference:.0f} % (rms; at most {100 * MAX_DIFFERENCE:.0f} %). Factor adds sources back "
        "with this model, so that all their fluxes would be wrong"
    )


def _can_tell(info: MsInfo) -> bool:
    return info.chunk is None and FULL_COLUMN in info.columns


def _slot(info: MsInfo) -> tuple[int, float]:
    """Number and middle of a time slot amid the data; DP3 counts those that are not there, too."""
    times = info.times_mjd_s
    time = times[len(times) // 2]
    return round((time - times[0]) / info.interval_s), time


def _predict(tools: Tools, info: MsInfo, skymodel: Path, path: Path) -> runner.Result:
    """Predict a slot."""
    # DP3 knows a text by its name.
    model = path.with_suffix(".skymodel")
    shutil.copyfile(skymodel, model)
    run = DP3Run((info.path,), FULL_COLUMN, (Predict(model, "replace"),), path,
                 times=1, first_time=_slot(info)[0])  # fmt: skip
    command = dp3_command(tools, run)
    return runner.run(command, path.with_suffix(".out"), path.with_suffix(".err"))


def agreement(info: MsInfo, predicted: Path) -> Agreement | None:
    """Compare a predicted time slot with what was subtracted in it.

    Parameters
    ----------
    info : MsInfo
        The input, with the data of before.
    predicted : Path
        Measurement set with the model of its middle time slot.

    Returns
    -------
    Agreement or None
        Nothing when the slot is flagged.
    """
    time = _slot(info)[1]
    within = (time - 0.25 * info.interval_s, time + 0.25 * info.interval_s)
    full, rest, flags = _rows(info.path, within, (FULL_COLUMN, SUBTRACTED_COLUMN, "FLAG"))
    (model,) = _rows(predicted, within, ("DATA",))
    if model.shape != full.shape:
        return None
    good = ~flags.astype(bool) & np.isfinite(full) & np.isfinite(rest) & np.isfinite(model)
    subtracted, model = (full - rest)[good], model[good]
    power = float(np.vdot(model, model).real)
    if not power > 0:
        return None
    difference = subtracted - model
    return Agreement(
        difference=(float(np.vdot(difference, difference).real) / power) ** 0.5,
        scale=float(np.vdot(model, subtracted).real) / power,
    )


def _rows(ms: Path, times: tuple[float, float], columns: tuple[str, ...]) -> list[Visibilities]:
    """Columns of one time slot, without autocorrelations, in the order of the baselines."""
    with open_readonly(ms) as main:
        query = f"TIME > {times[0]!r} && TIME < {times[1]!r} && ANTENNA1 != ANTENNA2"
        with main.query(query, sortlist="ANTENNA1,ANTENNA2") as chosen:
            return [chosen.getcol(column) for column in columns]
