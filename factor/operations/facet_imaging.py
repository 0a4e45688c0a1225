"""How facets are imaged, for their new models and for the mosaic alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from factor.directions.facets import extent_deg
from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import Call, Step
from factor.operations.base import PIXELS_PER_BEAM, Field
from factor.operations.selfcal_plan import MULTISCALE_DEG, sampling
from factor.parset import Settings
from factor.products.images import SkyGrid
from factor.products.masks import write_polygon_mask
from factor.tools.wsclean import WSClean
from factor.tuning.averaging import Averaging, choose_averaging
from factor.tuning.images import facet_image_size, output_channels

SIDEREAL_DAY_S = 86164.1

#: Cleaning goes down to AUTO_THRESHOLD times the noise inside what was found above AUTO_MASK.
AUTO_MASK = 4.0
AUTO_THRESHOLD = 0.5
MAX_COMPONENTS = 1_000_000


@dataclass(frozen=True)
class ImagingSet:
    """One set of imaging parameters, as the lists of [imaging] give them."""

    cellsize_arcsec: float
    robust: float
    taper_arcsec: float
    min_uv_lambda: float


def selfcal_set(settings: Settings) -> ImagingSet:
    """The parameters of self-calibration images."""
    imaging = settings.imaging
    return ImagingSet(
        imaging.selfcal_cellsize_arcsec, imaging.selfcal_robust, 0.0, imaging.selfcal_min_uv_lambda
    )


def imaging_sets(settings: Settings) -> tuple[ImagingSet, ...]:
    """The sets with which all facets are imaged."""
    imaging = settings.imaging
    lists = (
        imaging.facet_cellsize_arcsec,
        imaging.facet_robust,
        imaging.facet_taper_arcsec,
        imaging.facet_min_uv_lambda,
    )
    return tuple(ImagingSet(*values) for values in zip(*lists, strict=True))


def finest_set(settings: Settings) -> ImagingSet:
    """The first of the sets with the smallest pixels: its data are averaged least."""
    return min(imaging_sets(settings), key=lambda imaging: imaging.cellsize_arcsec)


def operation_name(operation: str, imaging: ImagingSet, settings: Settings) -> str:
    """Name of an imaging operation: with its parameters where they differ from self-calibration's."""
    if imaging == selfcal_set(settings):
        return operation
    return (
        f"{operation}_c{imaging.cellsize_arcsec}r{imaging.robust}"
        f"t{imaging.taper_arcsec}u{imaging.min_uv_lambda}"
    )


def is_multiscale(facet: Facet) -> bool:
    """Whether a facet is cleaned with multiscale: as asked, or for the target or a source above 4'."""
    if facet.direction.mscale_facet is not None:
        return facet.direction.mscale_facet
    largest_deg = max(facet.direction.cal_size_deg or 0.0, facet.largest_source_arcmin / 60.0)
    return facet.holds_target or largest_deg > MULTISCALE_DEG


def facet_averaging(field: Field, facet: Facet, cellsize_arcsec: float) -> Averaging:
    """How far the data of a facet may be averaged for its image."""
    return choose_averaging(
        sampling(field),
        0.5 * math.hypot(*extent_deg(facet)),
        PIXELS_PER_BEAM * cellsize_arcsec / 3600.0,
        field.settings.imaging.max_peak_smearing,
    )


def path_or_none(name: str | None) -> Path | None:
    """The region file that a direction names, if it names one."""
    return None if name is None else Path(name)


def regions_of(name: str | None) -> tuple[Path, ...]:
    """The region file as what a mask depends on: an edited one makes another mask."""
    return () if name is None else (Path(name),)


def baseline_averaging(field: Field, facet: Facet, cellsize_arcsec: float) -> float:
    """Path in the uv plane, in wavelengths, over which short baselines may be averaged.

    That of the longest baseline used within the data's own averaging, so that no source
    of the facet is smeared more by it than by the averaging of all baselines.
    """
    if not field.settings.imaging.wsclean_bl_averaging:
        return 0.0
    averaging = facet_averaging(field, facet, cellsize_arcsec)
    longest_lambda = 1.0 / math.radians(PIXELS_PER_BEAM * cellsize_arcsec / 3600.0)
    turn_rad = 2.0 * math.pi * averaging.timestep * field.observation.interval_s / SIDEREAL_DAY_S
    return longest_lambda * turn_rad


def facet_options(
    context: Context, field: Field, facet: Facet, imaging: ImagingSet, n_bands: int
) -> WSClean:
    """The options of a facet's image; its clean mask, the facet's polygon, is written by the way."""
    settings = field.settings.imaging
    width_deg, height_deg = extent_deg(facet)
    size = facet_image_size(width_deg, imaging.cellsize_arcsec)
    height = facet_image_size(height_deg, imaging.cellsize_arcsec)
    mask = context.scratch / "facet.mask.fits"
    arguments = {
        "vertices": facet.vertices,
        "grid": SkyGrid(facet.ra_deg, facet.dec_deg, size, height, imaging.cellsize_arcsec),
        "path": mask,
        "region_file": path_or_none(facet.direction.region_facet),
    }
    reads = regions_of(facet.direction.region_facet)
    context.run(Step("clean mask of the facet", Call(write_polygon_mask, arguments), reads, (mask,)))
    channels = output_channels(n_bands, settings.wsclean_nchannels_factor)
    return WSClean(
        name=context.scratch / f"{facet.name}.image_full",
        size=size,
        height=height,
        scale_arcsec=imaging.cellsize_arcsec,
        robust=imaging.robust,
        taper_arcsec=imaging.taper_arcsec,
        minuv_lambda=imaging.min_uv_lambda,
        padding=settings.wsclean_image_padding,
        channels_out=channels,
        spectral_terms=min(2, channels),
        niter=MAX_COMPONENTS,
        auto_mask=AUTO_MASK,
        auto_threshold=AUTO_THRESHOLD,
        multiscale=is_multiscale(facet),
        multiscale_scales=settings.facet_multiscale_scales_pixel or (),
        baseline_averaging=baseline_averaging(field, facet, imaging.cellsize_arcsec),
        fits_mask=mask,
    )
