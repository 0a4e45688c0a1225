"""What is wrong with solutions as they come from the solver: found, flagged and told in one line."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Soltab, cleaned

Bools = NDArray[np.bool_]

#: Amplitudes of a station whose median is this factor off the array's are flagged.
WILD_FACTOR = 3.0
#: Single amplitudes this factor off the array's median are flagged.
IMPOSSIBLE_FACTOR = 5.0
#: Phases that turn so much from one time to the next, against those of other stations, are
#: flagged: the length of the mean phasor of the differences (1: none, 0: random).
WILD_COHERENCE = 0.3
#: Fewest differences that this is judged by.
FEWEST_DIFFERENCES = 10
#: Times that it is judged over: some minutes of fast phases, so that a station may go mad and
#: recover.
COHERENCE_WINDOW = 60


@dataclass(frozen=True)
class Health:
    """What `weed` found.

    Attributes
    ----------
    dead : tuple of str
        Stations without any good solution.
    wild : tuple of str
        Stations with amplitudes far from the array's, or phases like noise: all flagged.
    partly : tuple of (str, float)
        Stations of which single amplitudes, or the phases of some minutes, were flagged, and
        the fraction of these.
    n_invalid : int
        Solutions that are no finite number (or no positive amplitude), yet had weight.
    """

    dead: tuple[str, ...]
    wild: tuple[str, ...]
    partly: tuple[tuple[str, float], ...]
    n_invalid: int

    def __bool__(self) -> bool:
        return bool(self.dead or self.wild or self.partly or self.n_invalid)

    def __str__(self) -> str:
        told = []
        if self.wild:
            told.append(f"flagged {', '.join(self.wild)} (wild)")
        if self.partly:
            stations = ", ".join(f"{ant} ({100 * part:.0f} %)" for ant, part in self.partly)
            told.append(f"flagged parts of {stations}")
        if self.dead:
            told.append(f"no solutions of {', '.join(self.dead)}")
        if self.n_invalid:
            told.append(f"{self.n_invalid} values with weight that are no number")
        return "; ".join(told)


def weed(soltab: Soltab) -> tuple[Soltab, Health]:
    """Flag what nothing may use: values that are no numbers, and stations that went wild.

    Returns
    -------
    Soltab
        The same values with flags.
    Health
        What was found.
    """
    n_invalid = int(np.sum(~soltab.good & ~(soltab.weights == 0)))
    soltab = cleaned(soltab)
    good = soltab.good
    off = np.zeros(soltab.shape, dtype=bool)
    if soltab.kind == AMPLITUDE:
        off = _impossible(soltab)
    if soltab.kind == PHASE:
        off = _random(soltab)
    dead, wild, partly = [], [], []
    for i, ant in enumerate(soltab.ants):
        own = good[:, :, i]
        lost = own & off[:, :, i]
        if not own.any():
            dead.append(ant)
        elif lost.sum() == own.sum():
            wild.append(ant)
        elif lost.any():
            partly.append((ant, float(lost.mean())))
    weights = np.where(off, 0.0, soltab.weights)
    return replace(soltab, weights=weights), Health(tuple(dead), tuple(wild), tuple(partly), n_invalid)


def _levels(soltab: Soltab) -> tuple[dict[str, float], float]:
    """Median logarithm of each station's amplitudes, and the median of these."""
    good = soltab.good
    levels = {
        ant: float(np.median(np.log(soltab.values[:, :, i][good[:, :, i]])))
        for i, ant in enumerate(soltab.ants)
        if good[:, :, i].any()
    }
    return levels, float(np.median(list(levels.values()))) if levels else 0.0


def _impossible(soltab: Soltab) -> Bools:
    """Amplitudes too far off the array's, and all of a station that is as a whole."""
    good, (levels, middle) = soltab.good, _levels(soltab)
    log = np.log(np.where(good, soltab.values, 1.0))
    off = good & (np.abs(log - middle) > np.log(IMPOSSIBLE_FACTOR))
    for i, ant in enumerate(soltab.ants):
        if abs(levels.get(ant, middle) - middle) > np.log(WILD_FACTOR):
            off[:, :, i] = True
    return np.asarray(off)


def _random(soltab: Soltab) -> Bools:
    """Phases without memory: those of a station during some minutes."""
    off = np.zeros(soltab.shape, dtype=bool)
    phasors = np.where(soltab.good, np.exp(1j * soltab.values), 0.0)
    for part in soltab.parts:
        windows = max(1, round((part.stop - part.start) / COHERENCE_WINDOW))
        edges = np.linspace(part.start, part.stop, windows + 1).round().astype(int)
        for start, stop in itertools.pairwise(edges):
            np.moveaxis(off, 2, 0)[_incoherent(phasors[start:stop]), start:stop] = True
    return off


def _incoherent(phasors: NDArray[np.complex128]) -> Bools:
    """Stations whose phasors of (time, freq, ant, ...), 0 where flagged, turn unlike those of the others.

    Each is held against every other one, since none is known to be a good reference: with the
    median of them a good station is coherent.
    """
    turns = np.moveaxis(phasors[1:] * phasors[:-1].conj(), 2, 0).reshape(phasors.shape[2], -1)
    together = (turns != 0).astype(float)
    number = together @ together.T
    np.fill_diagonal(number, 0.0)
    lengths = np.abs(turns @ turns.conj().T) / np.maximum(number, 1.0)
    wild = [
        bool(enough.any()) and float(np.median(length[enough])) < WILD_COHERENCE
        for length, enough in zip(lengths, number > FEWEST_DIFFERENCES, strict=True)
    ]
    return np.array(wild, dtype=bool)
