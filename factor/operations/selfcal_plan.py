"""What is fixed before a direction is self-calibrated: sizes, averaging, intervals."""

from __future__ import annotations

from dataclasses import dataclass

from factor.directions.model import Facet
from factor.operations.base import Field
from factor.tuning.averaging import Averaging, Sampling, choose_averaging
from factor.tuning.images import calibrator_image_size, inner_width_deg, output_channels
from factor.tuning.intervals import fast_interval_slots, slow_interval_slots

#: Calibrators (or sources of a facet) larger than this are cleaned with multiscale, degrees.
MULTISCALE_DEG = 4.0 / 60.0

#: Loss of peak flux density that averaging may cost at the edge of the calibrator's region.
CALIBRATOR_SMEARING = 0.02


@dataclass(frozen=True)
class SelfcalPlan:
    """Sizes, averaging and intervals of one direction's self-calibration.

    Attributes
    ----------
    image_size : int
        Side of the calibrator's image, pixels.
    inner_width_deg : float
        Side of the part in which sources are added back and cleaned.
    solve_averaging, image_averaging : Averaging
        Of the data that are solved, and (in time, after correction) of those imaged.
    solve_channels : int
        Averaged channels of one band: fast phases and slow gains are solved per band.
    solint_fast : int
        Interval of the fast phases, in time slots.
    flux_jy : float
        Effective flux of the calibrator.
    slot_s : float
        Length of a time slot.
    given_solint_slow : int
        Interval of the slow gains that the directions file gives; 0 for none.
    multiscale : bool
        Whether the calibrator is cleaned with multiscale.
    channels_out : int
        Output channels of its images.
    """

    image_size: int
    inner_width_deg: float
    solve_averaging: Averaging
    image_averaging: Averaging
    solve_channels: int
    solint_fast: int
    flux_jy: float
    slot_s: float
    given_solint_slow: int
    multiscale: bool
    channels_out: int

    def solint_slow(self, n_slots: int) -> int:
        """Interval of the slow gains in a chunk of so many time slots."""
        return self.given_solint_slow or slow_interval_slots(self.flux_jy, self.slot_s, n_slots)


def sampling(field: Field) -> Sampling:
    """The sampling of the field's data."""
    band = field.observation.bands[0]
    return Sampling(
        len(band.freqs_hz), band.chan_width_hz, band.freqs_hz[0], field.observation.interval_s
    )


def image_size(field: Field, facet: Facet) -> int:
    """Side of a calibrator's image: as the directions file says, or from the calibrator's size."""
    direction = facet.direction
    if direction.cal_imsize > 0:
        return direction.cal_imsize
    return calibrator_image_size(
        direction.cal_size_deg or 0.0, field.settings.imaging.selfcal_cellsize_arcsec
    )


def make_plan(field: Field, facet: Facet, flux_jy: float) -> SelfcalPlan:
    """The plan of one direction.

    Parameters
    ----------
    field : Field
        The field.
    facet : Facet
        The direction's facet.
    flux_jy : float
        Effective flux of the calibrator.
    """
    settings, direction = field.settings, facet.direction
    size = image_size(field, facet)
    inner_deg = inner_width_deg(size, settings.imaging.selfcal_cellsize_arcsec)
    averaging = choose_averaging(
        sampling(field), inner_deg / 2.0**0.5, field.beam_deg, 2.0 * CALIBRATOR_SMEARING
    )
    slot_s = field.observation.interval_s
    n_bands = len(field.observation.bands)
    multiscale = direction.mscale_selfcal
    if multiscale is None:
        multiscale = (direction.cal_size_deg or 0.0) > MULTISCALE_DEG
    return SelfcalPlan(
        image_size=size,
        inner_width_deg=inner_deg,
        solve_averaging=Averaging(averaging.freqstep, 1),
        image_averaging=Averaging(1, averaging.timestep),
        solve_channels=len(field.observation.bands[0].freqs_hz) // averaging.freqstep,
        solint_fast=direction.solint_fast or fast_interval_slots(flux_jy, n_bands, slot_s),
        flux_jy=flux_jy,
        slot_s=slot_s,
        given_solint_slow=direction.solint_slow,
        multiscale=multiscale,
        channels_out=output_channels(n_bands, settings.imaging.wsclean_nchannels_factor),
    )
