"""The scale of slow gains, and how much solutions scatter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from factor.products.images.image import MAD_TO_SIGMA
from factor.products.solutions.soltabs import AMPLITUDE, Array, Soltab, cleaned


def normalisation_factor(
    amplitude: Soltab,
    baseline_weights: Array | None = None,
    phase: Soltab | None = None,
    cell_weights: Array | None = None,
) -> float:
    """The one number by which all amplitudes of a direction are to be divided.

    With it the mean of g_p g_q* over baselines, polarisations, times and frequencies,
    weighted as in the image, is one: an image of data that were corrected with the
    divided gains has the flux scale of one that was not corrected with them.

    Parameters
    ----------
    amplitude : Soltab
        Slow amplitudes of all chunks and bands.
    baseline_weights : ndarray, (ant, ant), optional
        Weight of each baseline in the image (imaging weight times number of unflagged
        data), symmetric, in the order of the soltab's stations; equal when not given.
        The diagonal does not count.
    phase : Soltab, optional
        Slow phases on the same axes.
    cell_weights : ndarray, (time, freq), optional
        Weight of each time and frequency in the image.

    Raises
    ------
    ValueError
        When no baseline has good solutions, or shapes do not fit.
    """
    n = len(amplitude.ants)
    between = np.ones((n, n)) if baseline_weights is None else np.asarray(baseline_weights, float)
    between = np.where(np.eye(n, dtype=bool), 0.0, between)
    good = amplitude.good
    gains: NDArray[np.complex128] = np.where(good, amplitude.values, 0.0) + 0j
    if phase is not None:
        good = good & phase.good
        gains = np.where(good, gains * np.exp(1j * np.where(good, phase.values, 0.0)), 0.0)
    if amplitude.pols is None:
        gains, good = gains[..., None], good[..., None]
    cells = np.ones(gains.shape[:2]) if cell_weights is None else np.asarray(cell_weights, float)
    present = good.astype(float)
    power = np.einsum("tfap,ab,tfbp,tf->", gains, between, gains.conj(), cells, optimize=True).real
    total = np.einsum("tfap,ab,tfbp,tf->", present, between, present, cells, optimize=True)
    if not total > 0 or not power > 0:
        raise ValueError("no baseline with good slow gains: they can't be normalised")
    return float(np.sqrt(power / total))


def scale_amplitudes(soltabs: Mapping[str, Soltab], factor: float) -> dict[str, Soltab]:
    """Divide all amplitudes by one number; everything else stays.

    Parameters
    ----------
    soltabs : mapping of name to Soltab
        All solutions of a direction.
    factor : float
        Finite and positive.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise ValueError(f"amplitudes can't be divided by {factor}")
    return {
        name: replace(s, values=s.values / factor) if s.kind == AMPLITUDE else s
        for name, s in soltabs.items()
    }


def phase_scatter(phase: Soltab) -> dict[str, float]:
    """Scatter of each station's phases from one time to the next, rad; NaN without any.

    The circular standard deviation of the differences of neighbouring times (Mardia & Jupp
    2000, Directional Statistics, 2.3), over sqrt(2): the noise of one solution where the
    ionosphere changes little within an interval. Random phases give more than 1.5.
    """
    phase = cleaned(phase)
    good = phase.good[1:] & phase.good[:-1]
    turns = np.exp(1j * np.diff(phase.values, axis=0))
    scatter = {}
    for i, ant in enumerate(phase.ants):
        own = turns[:, :, i][good[:, :, i]]
        length = float(np.clip(abs(own.mean()), 1e-12, 1.0)) if len(own) else np.nan
        scatter[ant] = float(np.sqrt(abs(np.log(length))))
    return scatter


def gain_scatter(amplitude: Soltab) -> dict[str, float]:
    """Relative scatter of each station's amplitudes; NaN without any.

    1.4826 times the median absolute deviation of the natural logarithm from the median of
    each polarisation.
    """
    good = amplitude.good
    log = np.log(np.where(good, amplitude.values, 1.0))
    scatter = {}
    for i, ant in enumerate(amplitude.ants):
        deviations = []
        for pol in range(log[0, 0, i].size):
            chosen = good[:, :, i].reshape(*good.shape[:2], -1)[..., pol]
            own = log[:, :, i].reshape(*good.shape[:2], -1)[..., pol][chosen]
            deviations.append(np.abs(own - np.median(own)) if len(own) else own)
        joined = np.concatenate(deviations)
        scatter[ant] = MAD_TO_SIGMA * float(np.median(joined)) if len(joined) else float("nan")
    return scatter
