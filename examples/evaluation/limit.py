"""The data as perfect solutions would leave them, one for each facet: the limit of facet calibration.

Each source keeps the difference between its own true effects and those of the calibrator
nearest to it; the calibrators keep nothing. Noise, flags and models are those of the ideal.
No solutions of one direction per facet can do better.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from simulation import measurementset as msets
from simulation.field import SUBTRACTED, Paths
from simulation.tools import predict_sky

from evaluation.truth import TrueSource, Truth


def make_limit_data(data: Path, calibrators: Sequence[TrueSource], truth: Truth, folder: Path) -> Path:
    """Simulate them, unless they are there for the same calibrators.

    Parameters
    ----------
    data : Path
        What ``simulate.py`` made.
    calibrators : sequence of TrueSource
        Those that were calibrated well.
    truth : Truth
        The field's sources and effects.
    folder : Path
        What to make.

    Returns
    -------
    Path
        The measurement sets.

    Raises
    ------
    FactorError
        When DP3 fails.
    """
    paths, sets, marker = Paths(data), folder / "ms", folder / "complete.json"
    made_for = {"calibrators": [source.name for source in calibrators], "field": paths.marker.read_text()}
    if marker.exists() and json.loads(marker.read_text()) == made_for:
        return sets
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(paths.ideal_ms("any").parent, sets)
    effects = folder / "effects.h5"
    shutil.copy(truth.effects, effects)
    if calibrators:
        _take_out(effects, {s.name: s.nearest(calibrators).name for s in truth.sources})

    def leave(ms: Path) -> None:
        # The models stand subtracted as in the ideal, so that only what is left differs.
        ideal, noise = (msets.read_column(ms, column) for column in ("DATA", SUBTRACTED))
        msets.forget_beam(ms)
        predict_sky(ms, paths.skymodel, effects, folder / f"{ms.stem}.log")
        left = msets.read_column(ms, "DATA") + noise
        msets.write_column(ms, "DATA", left)
        msets.write_column(ms, SUBTRACTED, left - (ideal - noise))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(leave, sorted(sets.glob("*.ms"))))
    marker.write_text(json.dumps(made_for, indent=1) + "\n")
    return sets


def _take_out(effects: Path, owners: dict[str, str]) -> None:
    """Divide the effects of each source by those of its owner."""
    import tables

    with tables.open_file(str(effects), "r+") as h5:
        solset = h5.root.sol000
        names = [name.decode().strip("[]") for name in solset.phase000.dir[:]]
        order = [names.index(owners[name]) for name in names]
        for soltab, left in ((solset.phase000, np.subtract), (solset.amplitude000, np.divide)):
            values = soltab.val[:]
            soltab.val[:] = left(values, values[:, :, :, order])
