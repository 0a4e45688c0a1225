"""TEC and phase of blocks of frequency: as phases on a frequency axis, and as TEC.

DP3 solves one TEC and one phase for all channels of a run. What is applied are phases on
a frequency axis, like those of any other solve, so that the sum over blocks, chunks,
nights and preapplied solutions is one soltab; the TEC itself is kept beside them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.products.solutions.soltabs import (
    FAST_PHASE,
    PHASE,
    TEC,
    TEC_NAME,
    Array,
    Soltab,
    cleaned,
    read_soltabs,
)

#: Phase of one TEC unit (1e16 electrons per square metre) at 1 Hz, rad Hz:
#: -e^2 1e16 / (4 pi epsilon_0 m_e c), as in DP3 and LoSoTo.
PHASE_PER_TECU = -8.44797245e9


def read_tec(path: Path, freqs_hz: Array) -> tuple[Soltab, Soltab]:
    """Read what DP3's tecandphase has left.

    Parameters
    ----------
    path : Path
        H5parm with the TEC and phase of one block.
    freqs_hz : ndarray
        Frequencies within the block at which phases are wanted.

    Returns
    -------
    phase, tec : Soltab
        The total phase at these frequencies, and the TEC (TECU) at the block's middle.
    """
    soltabs = read_soltabs(path)
    tec, offset = cleaned(soltabs[TEC_NAME]), cleaned(soltabs[FAST_PHASE])
    good = tec.good & offset.good
    per_tec = (PHASE_PER_TECU / freqs_hz)[:, None]
    values = np.where(good, offset.values + per_tec * tec.values, 0.0)
    weights = np.broadcast_to(np.where(good, tec.weights, 0.0), values.shape).copy()
    phase = Soltab(PHASE, tec.times, freqs_hz, tec.ants, None, values, weights)
    return phase, replace(tec, kind=TEC, freqs=np.array([freqs_hz.mean()]))


def relative(tec: Soltab, station: str) -> Soltab:
    """TEC minus that of one station; flagged where that is."""
    index = tec.ants.index(station)
    known = tec.good & tec.good[:, :, [index]]
    values = np.where(known, tec.values - tec.values[:, :, [index]], 0.0)
    return replace(tec, values=values, weights=np.where(known, tec.weights, 0.0))
