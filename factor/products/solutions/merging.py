"""Joining solutions: over time chunks and nights, over donor and own phases, into one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.products.solutions.filling import fill
from factor.products.solutions.referencing import choose_reference, rereference
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    FAST_PHASE,
    LEAKAGE,
    LEAKAGE_NAME,
    LINEAR,
    PHASE,
    SLOW_AMPLITUDE,
    SLOW_PHASE,
    TEC,
    TEC_NAME,
    Array,
    Frame,
    Soltab,
    cleaned,
    nearest,
    nominal_step,
    segments,
    wrap,
    write_h5parm,
)

#: Times closer than this are the same, s.
SAME_TIME_S = 0.1
#: Frequencies closer than this are the same, Hz.
SAME_FREQ_HZ = 1000.0
#: A step is cut into at most so many pieces to line up with another one.
FINEST_DIVISION = 4
#: Pieces that a step of slow gains is cut into where they are interpolated.
REFINEMENT = 8


def concatenate_times(
    parts: Sequence[Soltab],
    spans: Sequence[tuple[float, float]] | None = None,
    nights: Sequence[int] | None = None,
) -> Soltab:
    """Join the solutions of time chunks (and of parts of the band) to one soltab.

    Times and frequencies become the sorted union of the parts'; what no part has is
    flagged. Stations are the union too, in the order of the first part that has them.
    Phases are referred to one station in every night: the same where it has solutions.

    Parameters
    ----------
    parts : sequence of Soltab
        Of one kind.
    spans : sequence of (start, end), optional
        MJD s, of the data of each part. DP3 centres the last interval of a run as if it
        were complete; with these it gets the middle of what it really covers.
    nights : sequence of int, optional
        The night of each part; all one night when not given.

    Raises
    ------
    ValueError
        No parts, or parts of different kinds or polarisations.
    """
    if not parts:
        raise ValueError("no solutions to join")
    if len({(part.kind, part.pols) for part in parts}) > 1:
        raise ValueError("solutions of different kinds or polarisations can't be joined")
    parts = [cleaned(part) for part in parts]
    if spans is not None:
        parts = [_true_times(part, *span) for part, span in zip(parts, spans, strict=True)]
    nights = nights if nights is not None else [0] * len(parts)
    if parts[0].kind != PHASE:
        return _union(parts)
    preferred = choose_reference(_union(parts))
    joined = []
    for night in dict.fromkeys(nights):
        own = _union([part for part, n in zip(parts, nights, strict=True) if n == night])
        joined.append(rereference(own, choose_reference(own, preferred)))
    return _union(joined)


def _true_times(part: Soltab, start: float, end: float) -> Soltab:
    """Put the last time into the middle of what is left of its interval before the end."""
    times = part.times.copy()
    if len(times) == 1:
        times[0] = 0.5 * (start + end)
    elif len(times) > 1:
        step = nominal_step(times)
        begin = times[-1] - 0.5 * step
        times[-1] = begin + 0.5 * min(step, max(end - begin, 0.0))
    step_s = part.step_s if len(times) > 1 else end - start
    return replace(part, times=times, step_s=step_s)


def _merge_axis(axes: Sequence[Array], tolerance: float) -> Array:
    joined = np.sort(np.concatenate(axes))
    fresh = np.concatenate(([True], np.diff(joined) > tolerance))
    return np.asarray(joined[fresh])


def _union(parts: Sequence[Soltab]) -> Soltab:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    times = _merge_axis([part.times for part in parts], SAME_TIME_S)
    freqs = _merge_axis([part.freqs for part in parts], SAME_FREQ_HZ)
    ants = tuple(dict.fromkeys(ant for part in parts for ant in part.ants))
    shape = (len(times), len(freqs), len(ants), *first.values.shape[3:])
    values, weights = np.full(shape, first.neutral), np.zeros(shape)
    for part in parts:
        at = np.ix_(
            nearest(times, part.times),
            nearest(freqs, part.freqs),
            np.array([ants.index(ant) for ant in part.ants]),
        )
        better = part.weights > weights[at]
        values[at] = np.where(better, part.values, values[at])
        weights[at] = np.where(better, part.weights, weights[at])
    step_s = max(part.step_s for part in parts)
    return replace(first, times=times, freqs=freqs, ants=ants, values=values, weights=weights, step_s=step_s)


def sample(soltab: Soltab, times: Array, freqs: Array) -> Soltab:
    """Solutions at other times and frequencies: the nearest ones, as DP3 takes them."""
    at = np.ix_(nearest(soltab.times, times), nearest(soltab.freqs, freqs))
    return replace(
        soltab, times=times, freqs=freqs, values=soltab.values[at], weights=soltab.weights[at], step_s=0.0
    )


def sum_phases(own: Soltab, donor: Soltab, slot_s: float | None = None) -> Soltab:
    """The total of phases (or TECs) solved on data to which other phases had been applied.

    The result is on a grid that has every edge of both grids' cells in time (its step is
    the greatest common divisor of theirs, unless that is a tiny part of both), and the
    finer one of the frequency axes. Values are the nearest ones of each, as DP3 applied
    and solved them: the total is exact. Flagged phases of the donor are filled, as they
    were when applied; the flags are those of the own phases. Stations that the donor does
    not have had nothing applied.

    Parameters
    ----------
    own, donor : Soltab
        Phases; the donor's are the total ones that were applied.
    slot_s : float, optional
        Length of the data's time slots: the step where cells do not follow each other
        evenly (after a short last interval of a chunk).
    """
    times = _common_times(own.times, donor.times, slot_s)
    freqs = own.freqs if len(own.freqs) >= len(donor.freqs) else donor.freqs
    low, high = own.freqs[0] - SAME_FREQ_HZ, own.freqs[-1] + SAME_FREQ_HZ
    if freqs is donor.freqs and (freqs[0] > high or freqs[-1] < low):
        freqs = own.freqs
    mine, other = sample(own, times, freqs), sample(fill(donor), times, freqs)
    values = mine.values.copy()
    for i, ant in enumerate(own.ants):
        if ant in other.ants:
            added = other.values[:, :, other.ants.index(ant)]
            values[:, :, i] += added if own.pols is None or added.ndim > 2 else added[..., None]
    return replace(mine, values=values if own.kind == TEC else wrap(values))


def _common_times(own: Array, donor: Array, slot_s: float | None) -> Array:
    steps = [s for s in (nominal_step(own), nominal_step(donor)) if s > 0]
    if len(steps) < 2:
        return donor if len(own) < 2 <= len(donor) else own
    step = _common_divisor(*steps)
    if slot_s is not None and not all(_even(axis) for axis in (own, donor)):
        step = slot_s
    times = []
    for part in segments(own):
        coverage = own[part]
        start, end = coverage[0] - 0.5 * steps[0], coverage[-1] + 0.5 * steps[0]
        n = max(1, round((end - start) / step))
        times.append(start + (np.arange(n) + 0.5) * step)
    return np.concatenate(times)


def _even(times: Array) -> bool:
    step = nominal_step(times)
    return all(bool(np.all(np.abs(np.diff(times[part]) - step) < SAME_TIME_S)) for part in segments(times))


def _common_divisor(a: float, b: float) -> float:
    """Greatest common divisor of two steps, s; the smaller one where theirs is far below it."""
    smaller = min(a, b)
    while b > SAME_TIME_S:
        a, b = b, a % b
        if a - b < SAME_TIME_S:
            b = 0.0
    return a if a >= smaller / FINEST_DIVISION - SAME_TIME_S else smaller


def refine(soltab: Soltab, pieces: int = REFINEMENT) -> Soltab:
    """Solutions on a finer time grid, interpolated between cells but never across a gap.

    Phases are interpolated as phasors, amplitudes in their logarithm, leakage as it is.
    Flags are those of the nearest cell; the values below them are filled.
    """
    step = soltab.step_s
    if len(soltab.times) < 2 or not step > 0:
        return soltab
    filled = fill(soltab)
    fine, values = [], []
    for part in soltab.parts:
        times = soltab.times[part]
        n = max(1, round((times[-1] - times[0] + step) / step * pieces))
        grid = times[0] - 0.5 * step + (np.arange(n) + 0.5) * step / pieces
        fine.append(grid)
        values.append(_interpolate(soltab.kind, times, filled.values[part], grid))
    times = np.concatenate(fine)
    weights = soltab.weights[nearest(soltab.times, times)]
    return replace(soltab, times=times, values=np.concatenate(values), weights=weights, step_s=step / pieces)


def _interpolate(kind: str, times: Array, values: Array, grid: Array) -> Array:
    if len(times) == 1:
        return np.repeat(values, len(grid), axis=0)
    left = np.clip(np.searchsorted(times, grid) - 1, 0, len(times) - 2)
    share = np.clip((grid - times[left]) / (times[left + 1] - times[left]), 0.0, 1.0)
    share = share.reshape((-1,) + (1,) * (values.ndim - 1))
    if kind == AMPLITUDE:
        log = np.log(values)
        return np.asarray(np.exp((1.0 - share) * log[left] + share * log[left + 1]))
    if kind in LINEAR:
        return np.asarray((1.0 - share) * values[left] + share * values[left + 1])
    turn = wrap(values[left + 1] - values[left])
    return wrap(values[left] + share * turn)


def combine(
    path: Path,
    frame: Frame,
    fast: Soltab,
    slow: Mapping[str, Soltab] | None = None,
    tec: Soltab | None = None,
) -> tuple[str, ...]:
    """Write a direction's solutions to one H5parm for correcting and for predicting.

    Parameters
    ----------
    path : Path
        E.g. ``combined_solutions.h5``.
    frame : Frame
        Direction and stations.
    fast : Soltab
        Total fast phases, written as ``phase000``.
    slow : mapping of kind to Soltab, optional
        Slow ``phase``, ``amplitude`` and ``leakage``, written as ``phase001``,
        ``amplitude000``, and ``amplitude001`` with ``phase002``; interpolated in time
        (`refine`).
    tec : Soltab, optional
        The TEC in the fast phases, written as ``tec000`` for whoever wants to see it.

    Returns
    -------
    tuple of str
        Names of the soltabs, in the order in which they are to be applied.
    """
    soltabs = {FAST_PHASE: rereference(fast, choose_reference(fast))}
    slow = slow or {}
    if LEAKAGE in slow:
        soltabs[LEAKAGE_NAME] = refine(cleaned(slow[LEAKAGE]))
    if PHASE in slow:
        phase = cleaned(slow[PHASE])
        phase = rereference(phase, choose_reference(phase))
        soltabs[SLOW_PHASE] = refine(phase)
    if AMPLITUDE in slow:
        soltabs[SLOW_AMPLITUDE] = refine(cleaned(slow[AMPLITUDE]))
    shown = {} if tec is None else {TEC_NAME: tec}
    write_h5parm(path, soltabs | shown, frame)
    return tuple(soltabs)
