"""From the solutions of time chunks to the one file that a direction is corrected with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factor.products.solutions.filling import fill
from factor.products.solutions.imageweights import read_image_weights
from factor.products.solutions.jones import behind, read_gains
from factor.products.solutions.kriging import smooth_core
from factor.products.solutions.merging import combine, concatenate_times, sum_phases
from factor.products.solutions.normalising import normalisation_factor, scale_amplitudes
from factor.products.solutions.referencing import choose_reference
from factor.products.solutions.smoothing import smooth_gains, smooth_leakage
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    FAST_PHASE,
    LEAKAGE,
    LEAKAGE_NAME,
    PHASE,
    SLOW_AMPLITUDE,
    SLOW_PHASE,
    TEC_NAME,
    Soltab,
    read_frame,
    read_soltabs,
    write_h5parm,
)
from factor.products.solutions.tec import read_tec, relative
from factor.products.solutions.weeding import weed

log = logging.getLogger("factor.solutions")


@dataclass(frozen=True)
class Piece:
    """The solve of one chunk, or of one block of frequency of it.

    Attributes
    ----------
    h5parm : Path
        What DP3 wrote.
    start_mjd_s, end_mjd_s : float
        Times of the data.
    night : int
        Night of the chunk.
    freqs_hz : tuple of float
        For TEC and phase: the frequencies at which the block's phases are wanted.
    """

    h5parm: Path
    start_mjd_s: float
    end_mjd_s: float
    night: int
    freqs_hz: tuple[float, ...] = ()


def _joined(pieces: Sequence[Piece], soltabs: Sequence[Soltab], what: str) -> Soltab:
    """The solutions of all chunks, without what is no good, which is told in the log."""
    joined = concatenate_times(
        soltabs,
        [(piece.start_mjd_s, piece.end_mjd_s) for piece in pieces],
        [piece.night for piece in pieces],
    )
    joined, health = weed(joined)
    if health:
        log.info("%s: %s", what, health)
    return joined


def merge_fast(
    pieces: Sequence[Piece],
    direction: str,
    position: tuple[float, float],
    path: Path,
    smooth: bool = False,
) -> None:
    """Join the fast phases of all chunks (and blocks of frequency).

    Parameters
    ----------
    pieces : sequence of Piece
        One per chunk, or per chunk and block.
    direction : str
        Name of the direction.
    position : (ra_deg, dec_deg)
        Where it is.
    path : Path
        H5parm to write.
    smooth : bool
        Whether the phases of the core are smoothed from station to station.
    """
    tec, what = None, f"{direction}: fast phases"
    if pieces[0].freqs_hz:
        parts = [read_tec(piece.h5parm, np.array(piece.freqs_hz)) for piece in pieces]
        fast = _joined(pieces, [phase for phase, _ in parts], what)
        tecs = _joined(pieces, [part for _, part in parts], f"{direction}: TEC")
        tec = relative(tecs, choose_reference(fast))
    else:
        fast = _joined(pieces, [read_soltabs(piece.h5parm)[FAST_PHASE] for piece in pieces], what)
    frame = replace(
        read_frame(pieces[0].h5parm), direction=direction, ra_deg=position[0], dec_deg=position[1]
    )
    if smooth:
        fast, turbulence = smooth_core(fast, frame.positions)
        log.debug("%s: %s", what, turbulence or "no core to smooth them over, or no noise")
    combine(path, frame, fast, tec=tec)


def add_slow(
    fast: Path,
    pieces: Sequence[Piece],
    spline: bool,
    weights: Path,
    path: Path,
    normalise: bool = True,
) -> None:
    """Join the slow gains of all chunks, smooth and normalise them, and add them to fast phases.

    Parameters
    ----------
    fast : Path
        What `merge_fast` wrote.
    pieces : sequence of Piece
        Slow gains, one per chunk, solved after these phases were applied.
    spline : bool
        Smooth gains with a spline and a 2-D median rather than a 1-D median; leakage always is.
    weights : Path
        Weights of the image, from `factor.products.solutions.imageweights`.
    path : Path
        H5parm to write.
    normalise : bool
        Divide the amplitudes by one factor; otherwise they keep the flux scale of the model.
    """
    frame = read_frame(fast)
    solved = [read_gains(piece.h5parm) for piece in pieces]
    joined = {
        kind: _joined(pieces, [gains[kind] for gains in solved], f"{frame.direction}: slow {kind}")
        for kind in solved[0]
    }
    amplitude, phase = smooth_gains(joined[AMPLITUDE], joined[PHASE], smooth_2d=spline)
    slow = {AMPLITUDE: amplitude} | ({} if phase is None else {PHASE: phase})
    if LEAKAGE in joined:
        good = (joined[AMPLITUDE].good & joined[PHASE].good).all(axis=-1, keepdims=True)
        leakage = joined[LEAKAGE]
        slow[LEAKAGE] = smooth_leakage(replace(leakage, weights=leakage.weights * good))
    if normalise:
        baselines, cells = read_image_weights(weights).of(amplitude)
        slow = scale_amplitudes(slow, normalisation_factor(amplitude, baselines, phase, cells))
    earlier = read_soltabs(fast)
    combine(path, frame, earlier[FAST_PHASE], slow, earlier.get(TEC_NAME))


def amplitude_scale(path: Path, weights: Path) -> float:
    """What a file's amplitudes would have to be divided by to be normalised.

    Parameters
    ----------
    path : Path
        H5parm with slow gains.
    weights : Path
        Weights of the image.
    """
    soltabs = read_soltabs(path)
    amplitude = soltabs[SLOW_AMPLITUDE]
    baselines, cells = read_image_weights(weights).of(amplitude)
    return normalisation_factor(amplitude, baselines, soltabs[SLOW_PHASE], cells)


def combine_final(
    own: Path, preapplied: Path | None, slot_s: float, gain: float, path: Path, filled: Path
) -> None:
    """Write a direction's final solutions: its own plus the phases applied before them.

    Where no slow gains were solved they are one, so that all files have the same soltabs.

    Parameters
    ----------
    own : Path
        Solutions of the last cycle.
    preapplied : Path or None
        Solutions whose phases had been applied before.
    slot_s : float
        Length of a time slot of the data.
    gain : float
        What amplitudes are divided by, so that the calibrator keeps its flux.
    path : Path
        H5parm for correcting: flagged where solutions are bad.
    filled : Path
        The same without gaps, for predicting.
    """
    soltabs = read_soltabs(own)
    if preapplied is not None:
        donor = read_soltabs(preapplied)
        for name in (FAST_PHASE, SLOW_PHASE, TEC_NAME):
            if name in soltabs and name in donor:
                soltabs[name] = sum_phases(soltabs[name], donor[name], slot_s)
        if LEAKAGE_NAME in soltabs and SLOW_PHASE in donor:
            leakage = soltabs[LEAKAGE_NAME]
            soltabs[LEAKAGE_NAME] = behind(donor[SLOW_PHASE], leakage, soltabs[SLOW_PHASE])
    if SLOW_AMPLITUDE not in soltabs:
        soltabs |= _unit_gains(soltabs[FAST_PHASE])
    soltabs = scale_amplitudes(soltabs, gain)
    frame = read_frame(own)
    write_h5parm(path, soltabs, frame)
    write_h5parm(filled, {name: fill(soltab) for name, soltab in soltabs.items()}, frame)


def _unit_gains(fast: Soltab) -> dict[str, Soltab]:
    """Slow gains that change nothing: one cell for all times and frequencies."""
    middle = np.array([fast.times.mean()]), np.array([fast.freqs.mean()])
    ones = np.ones((1, 1, len(fast.ants), 2))
    phase = Soltab(PHASE, *middle, fast.ants, ("XX", "YY"), 0.0 * ones, ones)
    return {SLOW_PHASE: phase, SLOW_AMPLITUDE: replace(phase, kind=AMPLITUDE, values=ones)}
