"""What is fixed before a direction is solved for: intervals in time and frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from factor.directions.model import Direction
from factor.observation.model import Chunk
from factor.operations.base import Field
from factor.products.solutions.soltabs import Array
from factor.tuning.averaging import Averaging
from factor.tuning.intervals import (
    fast_interval_slots,
    slow_interval_slots,
    slow_min_uv_lambda,
    tec_block_edges_hz,
    tec_blocks,
)

#: Phases of TEC and phase are written every so many Hz: half of it away, 0.1 TECU at
#: 120 MHz has turned by 15 mrad.
TEC_PHASES_EVERY_HZ = 0.5e6


@dataclass(frozen=True)
class SolvePlan:
    """Intervals of one direction's solutions.

    Attributes
    ----------
    flux_jy : float
        Effective flux of the calibrator.
    slot_s : float
        Length of a time slot.
    freqstep : int
        Channels of the chunks that are one channel of the data that are solved.
    channels : int
        Channels of one band in the data that are solved.
    solint_fast : int
        Interval of the fast phases, in time slots.
    given_solint_slow : int
        Interval of the slow gains that the directions file gives; 0 for none.
    all_correlations : bool
        Whether slow gains are solved for all four correlations.
    per_channel : bool
        Whether slow gains are solved for each channel rather than each band.
    slow_min_uv_lambda : float
        Baselines that are shorter do not count for slow gains; 0 for no limit of their own.
    preaveraged : bool
        Whether the fast phases are solved on data averaged by the length of the baseline.
    tec_edges_hz : tuple of float
        Edges of the blocks of frequency with one TEC and phase each; none for phases that
        are smooth in frequency.
    """

    flux_jy: float
    slot_s: float
    freqstep: int
    channels: int
    solint_fast: int
    given_solint_slow: int
    all_correlations: bool
    per_channel: bool
    slow_min_uv_lambda: float
    preaveraged: bool
    tec_edges_hz: tuple[float, ...]

    @property
    def smoothed(self) -> bool:
        """Whether the fast phases are smoothed over the core; TEC and phase are as they were solved."""
        return self.preaveraged and not self.tec_edges_hz

    def solint_slow(self, n_slots: int) -> int:
        """Interval of the slow gains in a chunk of so many time slots."""
        return self.given_solint_slow or slow_interval_slots(self.flux_jy, self.slot_s, n_slots)

    def over_the_whole_band(self) -> SolvePlan:
        """The plan for data to which other phases were applied: one TEC and phase."""
        return replace(self, tec_edges_hz=self.tec_edges_hz[:: max(1, len(self.tec_edges_hz) - 1)])

    def tec_blocks(self, chunk: Chunk) -> tuple[TecBlock, ...]:
        """The blocks of TEC and phase of a chunk."""
        freqs = np.concatenate([_averaged(file.freqs_hz, self.freqstep) for file in chunk.files])
        blocks = tec_blocks(freqs.tolist(), self.tec_edges_hz)
        return tuple(
            TecBlock(start, count, _sampled(freqs[start : start + count])) for start, count in blocks
        )


@dataclass(frozen=True)
class TecBlock:
    """Channels of the data that are solved that have one TEC and phase together.

    Attributes
    ----------
    start, count : int
        First channel and number of channels.
    freqs_hz : tuple of float
        Frequencies at which the block's phases are written.
    """

    start: int
    count: int
    freqs_hz: tuple[float, ...]


def _averaged(freqs_hz: Sequence[float], step: int) -> Array:
    return np.asarray(np.reshape(freqs_hz, (-1, step)).mean(axis=1), dtype=float)


def _sampled(freqs_hz: Array) -> tuple[float, ...]:
    """Mean frequencies of cells of `TEC_PHASES_EVERY_HZ` that hold channels: the same for all blocks."""
    cell = np.floor(freqs_hz / TEC_PHASES_EVERY_HZ).astype(int)
    return tuple(float(freqs_hz[cell == number].mean()) for number in np.unique(cell))


def make_solve_plan(field: Field, direction: Direction, flux_jy: float, averaging: Averaging) -> SolvePlan:
    """The intervals of one direction.

    Parameters
    ----------
    field : Field
        The field.
    direction : Direction
        The direction.
    flux_jy : float
        Effective flux of its calibrator.
    averaging : Averaging
        Of the data that are solved: in frequency only.
    """
    bands, slot_s = field.observation.bands, field.observation.interval_s
    settings = field.settings.calibration
    preaveraged = flux_jy < settings.preaverage_flux_jy
    solint_fast = 1 if preaveraged else fast_interval_slots(flux_jy, len(bands), slot_s)
    edges: tuple[float, ...] = ()
    if settings.phase_solver == "tecandphase":
        half = 0.5 * bands[0].chan_width_hz
        lowest, highest = bands[0].freqs_hz[0] - half, bands[-1].freqs_hz[-1] + half
        edges = tec_block_edges_hz(lowest, highest, settings.tec_block_mhz * 1e6)
    return SolvePlan(
        flux_jy=flux_jy,
        slot_s=slot_s,
        freqstep=averaging.freqstep,
        channels=len(bands[0].freqs_hz) // averaging.freqstep,
        solint_fast=direction.solint_fast or solint_fast,
        given_solint_slow=direction.solint_slow,
        all_correlations=(
            settings.spline_smooth2d and flux_jy > settings.solve_all_correlations_flux_jy
        ),
        per_channel=direction.dynamic_range == "HD",
        # A given model may be wrong where its source is resolved, and is subtracted as it is.
        slow_min_uv_lambda=0.0
        if direction.name in field.peel_models
        else slow_min_uv_lambda(field.observation.stations, direction.cal_size_deg or 0.0),
        preaveraged=preaveraged,
        tec_edges_hz=edges,
    )
