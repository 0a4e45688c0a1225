"""What is wrong with solutions as they come from the solver: found, flagged and told in one line."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from factor.products.referencing import choose_reference, rereference
from factor.products.solutions import AMPLITUDE, PHASE, Soltab, cleaned

#: Amplitudes of a station whose median is this factor off the array's are flagged.
WILD_FACTOR = 3.0
#: Single amplitudes this factor off the array's median are flagged.
IMPOSSIBLE_FACTOR = 5.0
#: Phases of a station that turn so much from one time to the next are flagged: the length of
#: the mean phasor of the differences (1: none, 0: random).
WILD_COHERENCE = 0.3
#: Fewest differences that this is judged by.
FEWEST_DIFFERENCES = 10


@dataclass(frozen=True)
class Health:
    """What `weed` found.

    Attributes
    ----------
    dead : tuple of str
        Stations without any good solution.
    wild : tuple of str
        Stations with amplitudes far from the array's, or phases like noise: all flagged.
    impossible : tuple of (str, float)
        Stations of which single amplitudes were flagged, and the fraction of these.
    n_invalid : int
        Solutions that are no finite number (or no positive amplitude), yet had weight.
    """

    dead: tuple[str, ...]
    wild: tuple[str, ...]
    impossible: tuple[tuple[str, float], ...]
    n_invalid: int

    def __bool__(self) -> bool:
        return bool(self.dead or self.wild or self.impossible or self.n_invalid)

    def __str__(self) -> str:
        told = []
        if self.wild:
            told.append(f"flagged {', '.join(self.wild)} (wild)")
        if self.impossible:
            stations = ", ".join(f"{ant} ({100 * part:.0f} %)" for ant, part in self.impossible)
            told.append(f"flagged impossible amplitudes of {stations}")
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
    dead = tuple(a for i, a in enumerate(soltab.ants) if not soltab.good[:, :, i].any())
    off = np.zeros(soltab.shape, dtype=bool)
    if soltab.kind == AMPLITUDE:
        off = _impossible(soltab)
    wild = _wild_amplitudes(soltab) if soltab.kind == AMPLITUDE else ()
    if soltab.kind == PHASE:
        wild = _wild_phases(soltab)
    impossible = []
    for i, ant in enumerate(soltab.ants):
        if ant in wild:
            off[:, :, i] = True
        elif off[:, :, i].any():
            impossible.append((ant, float(off[:, :, i].mean())))
    weights = np.where(off, 0.0, soltab.weights)
    return replace(soltab, weights=weights), Health(dead, wild, tuple(impossible), n_invalid)


def _levels(soltab: Soltab) -> tuple[dict[str, float], float]:
    """Median logarithm of each station's amplitudes, and the median of these."""
    good = soltab.good
    levels = {
        ant: float(np.median(np.log(soltab.values[:, :, i][good[:, :, i]])))
        for i, ant in enumerate(soltab.ants)
        if good[:, :, i].any()
    }
    return levels, float(np.median(list(levels.values()))) if levels else 0.0


def _wild_amplitudes(soltab: Soltab) -> tuple[str, ...]:
    levels, middle = _levels(soltab)
    return tuple(ant for ant, level in levels.items() if abs(level - middle) > np.log(WILD_FACTOR))


def _impossible(soltab: Soltab) -> NDArray[np.bool_]:
    """Cells too far off."""
    good, (_, middle) = soltab.good, _levels(soltab)
    log = np.log(np.where(good, soltab.values, 1.0))
    return np.asarray(good & (np.abs(log - middle) > np.log(IMPOSSIBLE_FACTOR)))


def _wild_phases(soltab: Soltab) -> tuple[str, ...]:
    soltab = rereference(soltab, choose_reference(soltab))
    good, wild = soltab.good, []
    both = good[1:] & good[:-1]
    phasor = np.exp(1j * np.where(good, soltab.values, 0.0))
    turn = phasor[1:] * phasor[:-1].conj()
    for i, ant in enumerate(soltab.ants):
        pairs = turn[:, :, i][both[:, :, i]]
        if both[:, :, i].sum() > FEWEST_DIFFERENCES and abs(pairs.mean()) < WILD_COHERENCE:
            wild.append(ant)
    return tuple(wild)
