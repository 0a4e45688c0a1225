"""What is fixed before a direction is self-calibrated: sizes and averaging of its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from factor.directions.model import Facet
from factor.observation.model import Chunk
from factor.operations.base import MULTISCALE_DEG, PIXELS_PER_BEAM, Field
from factor.operations.calibration.solve_plan import SolvePlan, make_solve_plan
from factor.tuning.averaging import Averaging, choose_averaging
from factor.tuning.images import (
    calibrator_image_size,
    fft_size,
    inner_width_deg,
    sharpening_arcsec,
    spectral_setup,
)
from factor.workspace import SECOND_ATTEMPT, SECOND_ROUND

#: Loss of peak that averaging in frequency, and in time, may cost at the edge of the calibrator's region.
CALIBRATOR_SMEARING = 0.02


@dataclass(frozen=True)
class Attempt:
    """How carefully a direction is self-calibrated.

    Attributes
    ----------
    operation : str
        Under which name: each attempt has products, records and logs of its own.
    stretch : int
        Factor by which the intervals of the fast phases are longer than usual.
    phases_only : bool
        Whether slow gains are left out.
    in_stages : bool
        Whether it begins at a low resolution in any case.
    """

    operation: str
    stretch: int = 1
    phases_only: bool = False
    in_stages: bool = False


FIRST = Attempt("facetselfcal")

#: For a direction that has failed: a fraction of the free parameters, when all other
#: directions have been subtracted.
RETRY = Attempt(SECOND_ATTEMPT, stretch=3, phases_only=True, in_stages=True)

#: For a direction that is good, when the others' errors are no longer in its data.
AGAIN = Attempt(SECOND_ROUND)


@dataclass(frozen=True)
class Resolution:
    """Resolution of a calibrator's image.

    Attributes
    ----------
    taper_arcsec : float
        Size of the Gaussian taper; 0 for the full resolution.
    cellsize_arcsec : float
        Pixel size.
    size : int
        Side of the image, pixels.
    """

    taper_arcsec: float
    cellsize_arcsec: float
    size: int


@dataclass(frozen=True)
class SelfcalPlan:
    """Sizes, averaging and intervals of one direction's self-calibration.

    Attributes
    ----------
    full : Resolution
        The full resolution of the calibrator's image.
    stages : tuple of Resolution
        Lower ones of the first images, one each.
    inner_width_deg : float
        Side of the part in which sources are added back and cleaned.
    solve_averaging, image_averaging : Averaging
        Of the data that are solved, and (in time, after correction) of those imaged.
    solve : SolvePlan
        Intervals of the solutions.
    multiscale : bool
        Whether the calibrator is cleaned with multiscale.
    channels_out : int
        Output channels of its images.
    spectral_terms : int
        Terms of the polynomial fitted over them.
    phases_only : bool
        Whether slow gains are left out.
    """

    full: Resolution
    stages: tuple[Resolution, ...]
    inner_width_deg: float
    solve_averaging: Averaging
    image_averaging: Averaging
    solve: SolvePlan
    multiscale: bool
    channels_out: int
    spectral_terms: int
    phases_only: bool = False

    def describe(self, chunks: Sequence[Chunk]) -> str:
        """What was chosen, for the log."""
        solve = self.solve
        slots = sorted({solve.solint_slow(chunk.n_slots) for chunk in chunks})
        spans = f"{slots[0]}" if len(slots) == 1 else f"{slots[0]}-{slots[-1]}"
        minutes = f"{slots[0] * solve.slot_s / 60.0:.3g} min"
        gains = "gains of all correlations" if solve.all_correlations else "gains"
        per = "channel" if solve.per_channel else "band"
        fast = f"{solve.solint_fast} slot{'' if solve.solint_fast == 1 else 's'}"
        return (
            f"effective flux {solve.flux_jy:.2f} Jy: phases every {fast} "
            f"({solve.solint_fast * solve.slot_s:.3g} s), {gains} per {per} every {spans} slots ({minutes}), "
            f"{solve.channels} channels a band; images of {self.full.size} pixels"
            f"{', from ' + format(self.stages[0].taper_arcsec, 'g') + ' arcsec' if self.stages else ''}"
            f"{', multiscale' if self.multiscale else ''}, averaged to "
            f"{self.image_averaging.timestep * solve.slot_s:.3g} s"
        )


def _stages(field: Field, size: int) -> tuple[Resolution, ...]:
    """The lower resolutions of images of the width of one of so many pixels."""
    width_arcsec = size * field.settings.imaging.selfcal_cellsize_arcsec
    tapers = sharpening_arcsec(3600.0 * field.beam_deg)
    cells = [taper / PIXELS_PER_BEAM for taper in tapers]
    return tuple(
        Resolution(taper, cell, fft_size(width_arcsec / cell))
        for taper, cell in zip(tapers, cells, strict=True)
    )


def image_size(field: Field, facet: Facet) -> int:
    """Side of a calibrator's image: as the directions file says, or from the calibrator's size."""
    direction = facet.direction
    if direction.cal_imsize > 0:
        return direction.cal_imsize
    return calibrator_image_size(
        direction.cal_size_deg or 0.0, field.settings.imaging.selfcal_cellsize_arcsec
    )


def make_plan(field: Field, facet: Facet, flux_jy: float, attempt: Attempt = FIRST) -> SelfcalPlan:
    """The plan of one direction.

    Parameters
    ----------
    field : Field
        The field.
    facet : Facet
        The direction's facet.
    flux_jy : float
        Effective flux of the calibrator.
    attempt : Attempt
        How carefully it is solved.
    """
    settings, direction = field.settings, facet.direction
    size = image_size(field, facet)
    inner_deg = inner_width_deg(size, settings.imaging.selfcal_cellsize_arcsec)
    averaging = choose_averaging(
        field.sampling, inner_deg / 2.0**0.5, field.beam_deg, CALIBRATOR_SMEARING
    )
    solve_averaging = Averaging(averaging.freqstep, 1)
    multiscale = direction.mscale_selfcal
    if multiscale is None:
        multiscale = (direction.cal_size_deg or 0.0) > MULTISCALE_DEG
    channels, terms = spectral_setup(
        [band.freq_hz for band in field.observation.bands], settings.imaging.wsclean_nchannels_factor
    )
    plan = make_solve_plan(field, direction, flux_jy, solve_averaging)
    return SelfcalPlan(
        full=Resolution(0.0, settings.imaging.selfcal_cellsize_arcsec, size),
        stages=_stages(field, size) if settings.calibration.multires_selfcal or attempt.in_stages else (),
        inner_width_deg=inner_deg,
        solve_averaging=solve_averaging,
        image_averaging=Averaging(1, averaging.timestep),
        solve=replace(plan, solint_fast=plan.solint_fast * attempt.stretch),
        multiscale=multiscale,
        channels_out=channels,
        spectral_terms=terms,
        phases_only=attempt.phases_only,
    )
