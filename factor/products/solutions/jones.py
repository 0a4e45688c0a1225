"""Solutions of all four correlations: gains of two polarisations, and the leakage between them.

A matrix that was solved is written as J = L G, with the gains G on the diagonal and ones on
that of the leakage L: what is done to gains (references, scales, phases that were applied
before) is done to G alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.filling import fill
from factor.products.solutions.merging import sample
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    CORRELATIONS,
    LEAKAGE,
    LEAKAGE_PARTS,
    PHASE,
    Array,
    Soltab,
    read_soltabs,
)

Complexes = NDArray[np.complex128]


def read_gains(path: Path) -> dict[str, Soltab]:
    """Slow gains as DP3 solved them, by kind; with leakage where it solved all correlations."""
    soltabs = read_soltabs(path)
    amplitude, phase = soltabs["amplitude000"], soltabs["phase000"]
    if amplitude.pols == CORRELATIONS:
        return separate(amplitude, phase)
    return {AMPLITUDE: amplitude, PHASE: phase}


def separate(amplitude: Soltab, phase: Soltab) -> dict[str, Soltab]:
    """Gains and leakage of matrices that were solved.

    A source without polarisation leaves a unitary matrix open that all stations have in
    common, J U: it is chosen, for each time and frequency, such that the stations' median
    leakage is least (the orthogonal Procrustes problem; Schoenemann 1966, Psychometrika
    31, 1). Its phases are left to the choice of a reference station, which changes no leakage.

    Parameters
    ----------
    amplitude, phase : Soltab
        Of all four correlations, on the same axes.

    Returns
    -------
    dict
        ``amplitude`` and ``phase`` of two polarisations, and ``leakage``: weights of all are
        zero where any element of the matrix is no good.
    """
    good = _good(amplitude, phase)
    elements = np.where(good[..., None], amplitude.values * np.exp(1j * phase.values), (1, 0, 0, 1))
    jones = elements.reshape(*good.shape, 2, 2)
    jones = jones @ _common_turn(jones, good)[:, :, None]
    gains = np.diagonal(jones, axis1=-2, axis2=-1)
    leakage = np.stack((jones[..., 0, 1] / gains[..., 1], jones[..., 1, 0] / gains[..., 0]), axis=-1)
    weights = good[..., None] * amplitude.weights.min(axis=-1, keepdims=True)
    both = np.repeat(weights, 2, axis=-1)
    gain = replace(amplitude, pols=("XX", "YY"), values=np.abs(gains), weights=both)
    return {
        AMPLITUDE: gain,
        PHASE: replace(gain, kind=PHASE, values=np.angle(gains)),
        LEAKAGE: replace(
            gain,
            kind=LEAKAGE,
            pols=LEAKAGE_PARTS,
            values=_parts(leakage),
            weights=np.repeat(weights, 4, axis=-1),
        ),
    }


def _good(amplitude: Soltab, phase: Soltab) -> NDArray[np.bool_]:
    """Where a matrix can be used; without any leakage its amplitude may be nought."""
    good = phase.good & np.isfinite(amplitude.values) & (amplitude.weights > 0)
    good[..., [0, 3]] &= amplitude.good[..., [0, 3]]
    return np.asarray(good.all(axis=-1))


def _common_turn(jones: Complexes, good: NDArray[np.bool_]) -> Complexes:
    """The unitary matrix for each time and frequency, (time, freq, 2, 2)."""
    relative = jones / np.diagonal(jones, axis1=-2, axis2=-1)[..., None]
    n_times, n_freqs = good.shape[:2]
    turns = np.empty((n_times, n_freqs, 2, 2), dtype=complex)
    for cell in np.ndindex(n_times, n_freqs):
        own = relative[cell][good[cell]]
        middle = np.median(own.real, axis=0) + 1j * np.median(own.imag, axis=0) if len(own) else np.eye(2)
        left, _, right = np.linalg.svd(middle)
        turns[cell] = (left @ right).conj().T
    return turns


def _parts(leakage: Complexes) -> Array:
    return np.stack((leakage.real, leakage.imag), axis=-1).reshape(*leakage.shape[:-1], 4)


def behind(phases: Soltab, leakage: Soltab, total: Soltab) -> Soltab:
    """Leakage that was solved behind phases P, as it is before the total ones: P L = L' P.

    Parameters
    ----------
    phases : Soltab
        Of two polarisations, that were applied before, as they were applied: filled.
    leakage : Soltab
        Solved after that.
    total : Soltab
        The total phases; the result is on their axes of time and frequency, which hold the
        edges of both grids' cells.
    """
    leakage = sample(leakage, total.times, total.freqs)
    applied = sample(fill(phases), total.times, total.freqs)
    values = leakage.values[..., 0::2] + 1j * leakage.values[..., 1::2]
    for i, ant in enumerate(leakage.ants):
        if ant in applied.ants:
            own = applied.values[:, :, applied.ants.index(ant)]
            turn = np.exp(1j * (own[..., 0] - own[..., 1]))
            values[:, :, i] *= np.stack((turn, turn.conj()), axis=-1)
    return replace(leakage, values=_parts(values))
