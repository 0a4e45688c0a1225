"""What each operation needs of the disks, estimated before it begins: rather too much than too little."""

from __future__ import annotations

from collections.abc import Sequence

from factor.directions.facets import extent_deg
from factor.directions.model import Facet
from factor.execution.room import Needs
from factor.observation.model import Chunk
from factor.operations.base import Field
from factor.operations.calibration.plan import SelfcalPlan
from factor.operations.imaging.facets import ImagingSet, facet_averaging, selfcal_set
from factor.operations.imaging.residuals import image_size
from factor.products.images.image import SkyGrid
from factor.tuning.averaging import Averaging
from factor.tuning.disk import PIXEL_BYTES, data_bytes, imaging_bytes
from factor.tuning.images import facet_image_size, spectral_setup, spread

#: Copies of a calibrator's data at a time: as they are, averaged by baseline, with another
#: direction's phases; of those corrected for an image: the best and the latest.
_SOLVED, _CORRECTED = 3, 2

#: Size of what is left of an image, in units of its pixels: itself and its picture.
_PUBLISHED = 2.0

#: Images of a calibrator beside those of the loops with gains.
_MORE_IMAGES = 6


def calibration_needs(field: Field, facet: Facet, plan: SelfcalPlan) -> Needs:
    """Of facetselfcal and peeling: first the calibrator, then the facet and the residual."""
    side, solved = plan.full.size, plan.solve_averaging
    corrected = Averaging(solved.freqstep, solved.timestep * plan.image_averaging.timestep)
    images = (field.settings.calibration.max_selfcal_loops + _MORE_IMAGES) * side**2 * PIXEL_BYTES
    calibrator = _SOLVED * _data(field, solved) + _CORRECTED * _data(field, corrected)
    later = model_needs(field, facet)
    scratch = max(calibrator + imaging_bytes(side, side, plan.channels_out), later.scratch) + images
    return Needs(scratch, later.products + images)


def model_needs(field: Field, facet: Facet) -> Needs:
    """Of a facet's new model, and the residual images after it."""
    bands, fraction = field.observation.bands, field.settings.imaging.fractional_bandwidth_selfcal_facet_image
    part = len(spread(len(bands), fraction)) / len(bands)
    image, product = _image(field, facet, selfcal_set(field.settings))
    facet_data = part * _data(field, facet_averaging(field, facet, field.beam_deg))
    side = image_size(field, facet)
    residuals = 2.0 * _data(field, Averaging(1, 1)) / len(bands) + 2.0 * imaging_bytes(side, side, 1)
    return Needs(max(facet_data + image, residuals), product + _PUBLISHED * 2.0 * side**2 * PIXEL_BYTES)


def subtraction_needs(field: Field, chunks: Sequence[Chunk]) -> Needs:
    """Of facetsub: what is predicted at a time, and the new data of one band beside the chunk."""
    one = _data(field, Averaging(1, 1), chunks[:1]) / len(field.observation.bands)
    return Needs(_data(field, Averaging(1, 1), chunks), one)


def image_needs(
    field: Field, facet: Facet, imaging: ImagingSet, averaging: Averaging, *, kept: bool
) -> Needs:
    """Of facetimage: the facet's data, which may be kept, and the image."""
    data, (image, product) = _data(field, averaging), _image(field, facet, imaging)
    return Needs(image, product + data) if kept else Needs(image + data, product)


def unaveraged_needs(field: Field) -> Needs:
    """Of a facet's calibrated data at full resolution, from parts that are joined."""
    data = _data(field, Averaging(1, 1))
    return Needs(data, data)


def beam_needs(field: Field, size: int, *, flagged: bool) -> Needs:
    """Of the restoring beam: an image, and copies of the chunks where something is flagged in them."""
    copies = _data(field, Averaging(1, 1)) if flagged else 0.0
    return Needs(copies + imaging_bytes(size, size, 1), 0.0)


def mosaic_needs(grid: SkyGrid, n_images: int) -> Needs:
    """Of fieldmosaic: its images, and a picture of it."""
    return Needs(0.0, grid.nx * grid.ny * PIXEL_BYTES * (n_images + 1))


def _data(field: Field, averaging: Averaging, chunks: Sequence[Chunk] | None = None) -> float:
    chosen = field.observation.chunks if chunks is None else chunks
    pieces = [(chunk.n_slots, sum(len(file.freqs_hz) for file in chunk.files)) for chunk in chosen]
    return data_bytes(pieces, len(field.observation.stations), averaging)


def _image(field: Field, facet: Facet, imaging: ImagingSet) -> tuple[float, float]:
    """What WSClean writes while it makes the image of a facet, and what is left of it."""
    options = field.settings.imaging
    width, height = (facet_image_size(deg, imaging.cellsize_arcsec) for deg in extent_deg(facet))
    freqs_hz = [band.freq_hz for band in field.observation.bands]
    channels, _ = spectral_setup(freqs_hz, options.wsclean_nchannels_factor)
    return imaging_bytes(width, height, channels), _PUBLISHED * width * height * PIXEL_BYTES
