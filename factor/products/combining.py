"""From the solutions of time chunks to the one file that a direction is corrected with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factor.products.filling import fill
from factor.products.merging import combine, concatenate_times, sum_phases
from factor.products.normalising import normalisation_factor, scale_amplitudes
from factor.products.smoothing import smooth_gains
from factor.products.solutions import (
    AMPLITUDE,
    FAST_PHASE,
    PHASE,
    SLOW_PHASE,
    Soltab,
    read_frame,
    read_soltabs,
    write_h5parm,
)


@dataclass(frozen=True)
class Piece:
    """The solve of one chunk.

    Attributes
    ----------
    fast : Path
        H5parm of fast phases.
    slow : Path or None
        H5parm of slow gains.
    start_mjd_s, end_mjd_s : float
        Times of the data.
    night : int
        Night of the chunk.
    """

    fast: Path
    slow: Path | None
    start_mjd_s: float
    end_mjd_s: float
    night: int


def merge_cycle(
    pieces: Sequence[Piece], direction: str, position: tuple[float, float], spline: bool, path: Path
) -> None:
    """Join the solves of all chunks; slow gains are smoothed and normalised.

    Parameters
    ----------
    pieces : sequence of Piece
        One per chunk.
    direction : str
        Name of the direction.
    position : (ra_deg, dec_deg)
        Where it is.
    spline : bool
        Smooth slow gains with a spline and a 2-D median rather than a 1-D median.
    path : Path
        H5parm to write.
    """
    spans = [(piece.start_mjd_s, piece.end_mjd_s) for piece in pieces]
    nights = [piece.night for piece in pieces]

    def joined(files: Sequence[Path], name: str) -> Soltab:
        return concatenate_times([read_soltabs(f)[name] for f in files], spans, nights)

    fast = joined([piece.fast for piece in pieces], FAST_PHASE)
    slow: dict[str, Soltab] = {}
    slow_files = [piece.slow for piece in pieces if piece.slow is not None]
    if slow_files:
        amplitude = joined(slow_files, "amplitude000")
        phase = joined(slow_files, "phase000")
        amplitude, smooth_phase = smooth_gains(amplitude, phase, smooth_2d=spline)
        slow = {AMPLITUDE: amplitude, PHASE: smooth_phase or phase}
        slow = scale_amplitudes(slow, normalisation_factor(amplitude))
    frame = replace(
        read_frame(pieces[0].fast), direction=direction, ra_deg=position[0], dec_deg=position[1]
    )
    combine(path, frame, fast, slow)


def combine_final(
    own: Path, preapplied: Path | None, slot_s: float, path: Path, filled: Path
) -> None:
    """Write a direction's final solutions: its own plus the phases applied before them.

    Parameters
    ----------
    own : Path
        Solutions of the last cycle.
    preapplied : Path or None
        Solutions whose phases had been applied before.
    slot_s : float
        Length of a time slot of the data.
    path : Path
        H5parm for correcting: flagged where solutions are bad.
    filled : Path
        The same without gaps, for predicting.
    """
    soltabs = read_soltabs(own)
    if preapplied is not None:
        donor = read_soltabs(preapplied)
        for name in (FAST_PHASE, SLOW_PHASE):
            if name in soltabs and name in donor:
                soltabs[name] = sum_phases(soltabs[name], donor[name], slot_s)
    frame = read_frame(own)
    write_h5parm(path, soltabs, frame)
    write_h5parm(filled, {name: fill(soltab) for name, soltab in soltabs.items()}, frame)


def flagged_fraction(path: Path) -> float:
    """Fraction of a file's solutions that are flagged."""
    soltabs = read_soltabs(path).values()
    good = sum(int(soltab.good.sum()) for soltab in soltabs)
    return 1.0 - good / max(1, sum(soltab.values.size for soltab in soltabs))
