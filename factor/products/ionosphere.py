"""Fast phases as the ionosphere makes them: smoothed as far as their noise asks for.

The phases of a turbulent ionosphere that drifts over the array have the structure
function D(t) = D1 t^(5/3) (Kolmogorov turbulence; Mevius et al. 2016, Radio Science 51,
927), to which the noise of the solutions adds a constant. The two are told apart by the
differences of solutions one and two cells apart. A Gaussian kernel of width s (in cells)
then leaves an error of

    n^2 / (2 sqrt(pi) s) + 0.0979 D1 s^(5/3),

the noise that is left and what the kernel takes away from the phases themselves, which is
least for s = (1.73 n^2 / D1)^(3/8). Noise in phases takes flux from every source but the
calibrator, so that for faint calibrators this is worth some percent.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from factor.products.referencing import choose_reference, rereference
from factor.products.solutions import PHASE, Array, Soltab, segments

#: Structure function two cells apart over that one cell apart.
_TWO_CELLS = 2.0 ** (5.0 / 3.0)
#: Kernels narrower than this change nothing, cells; wider ones are never used.
NARROWEST, WIDEST = 0.4, 4.0
#: Fewer differences do not tell noise and ionosphere apart.
FEWEST_PAIRS = 20


def noise_and_turbulence(phase: Soltab, station: int) -> tuple[float, float]:
    """Variance of the noise and of the change from cell to cell of one station, rad^2.

    Parameters
    ----------
    phase : Soltab
        Phases relative to a reference station.
    station : int
        Index of the station.

    Returns
    -------
    noise, turbulence : float
        n^2 and D1; both 0 when there are too few solutions.
    """
    variances = []
    for lag in (1, 2):
        turns = [_turns(phase, part, station, lag) for part in segments(phase.times)]
        joined = np.concatenate(turns) if turns else np.zeros(0)
        if len(joined) < FEWEST_PAIRS:
            return 0.0, 0.0
        coherence = float(np.clip(abs(joined.mean()), 1e-6, 1.0))
        variances.append(-2.0 * np.log(coherence))
    turbulence = max((variances[1] - variances[0]) / (_TWO_CELLS - 1.0), 0.02 * variances[0])
    return max((variances[0] - turbulence) / 2.0, 0.0), turbulence


def kernel_width(noise: float, turbulence: float) -> float:
    """Width (standard deviation) of the best Gaussian kernel, cells."""
    if noise <= 0.0 or turbulence <= 0.0:
        return 0.0
    return float(min((1.73 * noise / turbulence) ** 0.375, WIDEST))


def smooth_phases(phase: Soltab) -> Soltab:
    """Smooth fast phases in time, each station as its noise asks for; never across a gap.

    Flagged phases take no part and stay flagged.

    Parameters
    ----------
    phase : Soltab
        Scalar phases.

    Returns
    -------
    Soltab
        On the same axes, relative to a reference station.
    """
    if phase.kind != PHASE or phase.pols is not None:
        raise ValueError("only scalar phases are smoothed as the ionosphere's")
    phase = rereference(phase, choose_reference(phase))
    values = phase.values.copy()
    good = phase.good
    for station in range(len(phase.ants)):
        width = kernel_width(*noise_and_turbulence(phase, station))
        if width < NARROWEST:
            continue
        for part in segments(phase.times):
            smooth = _smoothed(phase.values[part, :, station], good[part, :, station], width)
            values[part, :, station] = np.where(
                good[part, :, station], smooth, values[part, :, station]
            )
    return replace(phase, values=values)


def _turns(phase: Soltab, part: slice, station: int, lag: int) -> NDArray[np.complex128]:
    phasor = np.exp(1j * phase.values[part, :, station])
    good = phase.good[part, :, station]
    both = good[lag:] & good[:-lag]
    return np.asarray((phasor[lag:] * phasor[:-lag].conj())[both])


def _smoothed(values: Array, good: NDArray[np.bool_], width: float) -> Array:
    """Mean phasor under a Gaussian along the first axis."""
    from scipy.ndimage import gaussian_filter1d

    phasor = np.where(good, np.exp(1j * values), 0.0)
    real = gaussian_filter1d(phasor.real, width, axis=0, mode="constant")
    imaginary = gaussian_filter1d(phasor.imag, width, axis=0, mode="constant")
    return np.asarray(np.arctan2(imaginary, real))
