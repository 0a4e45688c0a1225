"""What is fixed before a direction is solved for: intervals in time and frequency."""

from __future__ import annotations

from dataclasses import dataclass

from factor.directions.model import Direction
from factor.operations.base import Field
from factor.tuning.averaging import Averaging
from factor.tuning.intervals import fast_interval_slots, slow_interval_slots


@dataclass(frozen=True)
class SolvePlan:
    """Intervals of one direction's solutions.

    Attributes
    ----------
    flux_jy : float
        Effective flux of the calibrator.
    slot_s : float
        Length of a time slot.
    channels : int
        Channels of one band in the data that are solved.
    solint_fast : int
        Interval of the fast phases, in time slots.
    given_solint_slow : int
        Interval of the slow gains that the directions file gives; 0 for none.
    per_channel : bool
        Whether slow gains are solved for each channel rather than each band.
    """

    flux_jy: float
    slot_s: float
    channels: int
    solint_fast: int
    given_solint_slow: int
    per_channel: bool

    def solint_slow(self, n_slots: int) -> int:
        """Interval of the slow gains in a chunk of so many time slots."""
        return self.given_solint_slow or slow_interval_slots(self.flux_jy, self.slot_s, n_slots)


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
    return SolvePlan(
        flux_jy=flux_jy,
        slot_s=slot_s,
        channels=len(bands[0].freqs_hz) // averaging.freqstep,
        solint_fast=direction.solint_fast or fast_interval_slots(flux_jy, len(bands), slot_s),
        given_solint_slow=direction.solint_slow,
        per_channel=direction.dynamic_range == "HD",
    )
