"""Solution intervals from the flux of a calibrator, and the baselines that slow gains are solved on."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence

#: Flux (Jy, four bands) for which the fast phases are solved every 16 s.
REFERENCE_FLUX_JY = 1.4
LONGEST_FAST_S = 16.0
SLOW_AT_REFERENCE_S = 1200.0
SHORTEST_SLOW_S = 240.0
LONGEST_SLOW_S = 1200.0
#: The core's longest baseline, 3.5 km (van Haarlem et al. 2013, A&A 556, A2), at 144 MHz.
CORE_LAMBDA = 1700.0
#: Remote stations, the fewest with which gains are solved on longer baselines alone.
FEWEST_REMOTE = 5
#: The largest calibrators for which that is done: those that are cleaned with one scale.
LARGEST_REMOTE_DEG = 4.0 / 60.0
#: Channels from which a TEC and a phase can be told apart.
FEWEST_TEC_CHANNELS = 2


def effective_flux_jy(peak_jy: float, total_jy: float) -> float:
    """Flux that counts for solving: that of a resolved source counts less than its sum."""
    if peak_jy <= 0:
        return 0.0
    return float(peak_jy * (max(total_jy, peak_jy) / peak_jy) ** (2.0 / 3.0))


def fast_interval_slots(flux_jy: float, n_bands: int, slot_s: float) -> int:
    """Interval of the fast phases in time slots: 16 s x (S_ref / S)^2, at most 16 s.

    S_ref is 1.4 Jy x sqrt(4 / n_bands), S the effective flux. No more slots than fit: what
    the ionosphere does within an interval costs more than the noise.
    """
    reference_jy = REFERENCE_FLUX_JY * math.sqrt(4.0 / n_bands)
    wanted_s = LONGEST_FAST_S * (reference_jy / max(flux_jy, 1e-6)) ** 2
    return max(1, math.floor(min(wanted_s, LONGEST_FAST_S) / slot_s + 1e-6))


def fast_smoothing_hz(flux_jy: float) -> float:
    """Width over which fast phases are smoothed in frequency, the wider the fainter.

    5 MHz for a calibrator of the reference flux or brighter: there the slope of the
    ionosphere's phases with frequency is measured; up to 15 MHz for faint ones, where noise
    costs more than the slope that such a kernel flattens.
    """
    return min(15e6, max(5e6, 5e6 * REFERENCE_FLUX_JY / max(flux_jy, 1e-6)))


def tec_block_edges_hz(lowest_hz: float, highest_hz: float, block_hz: float) -> tuple[float, ...]:
    """Edges of equal blocks of frequency, no wider than ``block_hz``, that fill a band."""
    n_blocks = max(1, math.ceil((highest_hz - lowest_hz) / block_hz - 1e-6))
    width = (highest_hz - lowest_hz) / n_blocks
    return tuple(lowest_hz + i * width for i in range(n_blocks + 1))


def tec_blocks(freqs_hz: Sequence[float], edges_hz: Sequence[float]) -> tuple[tuple[int, int], ...]:
    """First channel and number of channels of each block between edges, by its channels.

    Channels are sorted. A block with one channel alone, too few for a TEC and a phase,
    joins the one before (the first the one after); one without any is left out.
    """
    inner = edges_hz[1:-1]
    starts = [0, *(bisect_left(freqs_hz, edge) for edge in inner), len(freqs_hz)]
    blocks: list[tuple[int, int]] = []
    for start, stop in itertools.pairwise(starts):
        if blocks and (stop - start < FEWEST_TEC_CHANNELS or blocks[-1][1] < FEWEST_TEC_CHANNELS):
            first, count = blocks.pop()
            blocks.append((first, count + stop - start))
        elif stop > start:
            blocks.append((start, stop - start))
    return tuple(blocks)


def slow_interval_slots(flux_jy: float, slot_s: float, n_slots: int) -> int:
    """Interval of the slow gains in time slots: 1200 s x (1.4 Jy / S)^2 within 240-1200 s.

    The interval is stretched or shortened a little so that the last one of a chunk of
    ``n_slots`` is not short.
    """
    wanted_s = SLOW_AT_REFERENCE_S * (REFERENCE_FLUX_JY / max(flux_jy, 1e-6)) ** 2
    wanted_s = min(max(wanted_s, SHORTEST_SLOW_S), LONGEST_SLOW_S)
    pieces = max(1, round(n_slots * slot_s / wanted_s))
    return math.ceil(n_slots / pieces)


def slow_min_uv_lambda(stations: Sequence[str], size_deg: float) -> float:
    """Shortest baseline on which the slow gains of a source are solved, in wavelengths; 0 for no limit.

    Within an interval other sources of the field turn by many radians on long baselines, and by
    few on those within the core: there, what no model has of them does not average out. A large
    source has little flux elsewhere.
    """
    remote = sum(name.startswith("RS") for name in stations)
    return CORE_LAMBDA if remote >= FEWEST_REMOTE and size_deg <= LARGEST_REMOTE_DEG else 0.0
