"""How facets are imaged, for their new models and for the mosaic alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factor.directions.facets import extent_deg, reach_deg
from factor.directions.model import Facet
from factor.errors import FactorError
from factor.execution.context import Context
from factor.execution.step import Step
from factor.observation.model import Band
from factor.operations.base import MULTISCALE_DEG, PIXELS_PER_BEAM, Field
from factor.operations.visibilities.passes import image
from factor.parset import Settings
from factor.products.images.image import SkyGrid
from factor.products.images.islands import island_mask_command
from factor.products.images.masks import write_polygon_mask
from factor.tools.wsclean import WSClean
from factor.tuning.averaging import Averaging, choose_averaging, longest_path_lambda
from factor.tuning.images import facet_image_size, spectral_setup

log = logging.getLogger("factor.imaging")

#: Cleaning goes down to AUTO_THRESHOLD times the noise inside what was found above AUTO_MASK.
AUTO_MASK = 4.0
AUTO_THRESHOLD = 0.5
MAX_COMPONENTS = 1_000_000

#: Pixels across the restoring beam below which its fit, and all fluxes with it, are wrong.
FEWEST_PIXELS = 2.0
#: Pixels across it below which a warning is given.
TOO_FEW_PIXELS = 3.0


@dataclass(frozen=True)
class ImagingSet:
    """One set of imaging parameters, as the lists of [imaging] give them."""

    cellsize_arcsec: float
    robust: float
    taper_arcsec: float
    min_uv_lambda: float

    @property
    def beam_arcsec(self) -> float:
        """Rough width of the synthesised beam."""
        return max(PIXELS_PER_BEAM * self.cellsize_arcsec, self.taper_arcsec)


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
    """The set with the finest resolution: its data are averaged least."""
    return min(imaging_sets(settings), key=lambda one: one.beam_arcsec)


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


def check_pixels(imaging: ImagingSet, bmaj_arcsec: float, bmin_arcsec: float) -> None:
    """Refuse a set of parameters whose pixels are too large for its beam.

    Raises
    ------
    FactorError
        When the beam is less than `FEWEST_PIXELS` wide.
    """
    size = imaging.cellsize_arcsec
    where = (
        f"[imaging] facet_cellsize_arcsec = {size:g} (with facet_taper_arcsec = {imaging.taper_arcsec:g}): "
        f"the fitted beam of {bmaj_arcsec:.2f} x {bmin_arcsec:.2f} arcsec"
    )
    if bmaj_arcsec < FEWEST_PIXELS * size:
        raise FactorError(
            f"{where} is less than {FEWEST_PIXELS:g} pixels wide, which spoils its fit and all fluxes",
            "make the pixels smaller, or facet_taper_arcsec larger",
        )
    if bmin_arcsec < TOO_FEW_PIXELS * size:
        log.warning("%s is less than %g pixels wide: sources are poorly sampled", where, TOO_FEW_PIXELS)


def _loss_each(field: Field) -> float:
    """What averaging in frequency, in time and of short baselines may cost, in equal parts."""
    imaging = field.settings.imaging
    return imaging.max_peak_smearing / (3.0 if imaging.averages_baselines else 2.0)


def facet_averaging(field: Field, facet: Facet, beam_deg: float) -> Averaging:
    """How far the data of a facet may be averaged for an image with a beam (its minor axis)."""
    return choose_averaging(field.sampling, reach_deg(facet), beam_deg, _loss_each(field))


def baseline_averaging(field: Field, facet: Facet) -> float:
    """Path in the uv plane, in wavelengths, over which short baselines may be averaged; 0 for none."""
    if not field.settings.imaging.averages_baselines:
        return 0.0
    return longest_path_lambda(reach_deg(facet), _loss_each(field))


def path_or_none(name: str | None) -> Path | None:
    """The region file that a direction names, if it names one."""
    return None if name is None else Path(name)


def regions_of(name: str | None) -> tuple[Path, ...]:
    """The region file as what a mask depends on: an edited one makes another mask."""
    return () if name is None else (Path(name),)


def facet_options(
    context: Context, field: Field, facet: Facet, imaging: ImagingSet, bands: Sequence[Band]
) -> WSClean:
    """The options of a facet's image; its clean mask, the facet's polygon, is written by the way."""
    settings = field.settings.imaging
    width_deg, height_deg = extent_deg(facet)
    size = facet_image_size(width_deg, imaging.cellsize_arcsec)
    height = facet_image_size(height_deg, imaging.cellsize_arcsec)
    if settings.idg:
        size = height = max(size, height)
    mask = context.scratch / "facet.mask.fits"
    arguments = {
        "vertices": facet.vertices,
        "grid": SkyGrid(facet.ra_deg, facet.dec_deg, size, height, imaging.cellsize_arcsec),
        "path": mask,
        "region_file": path_or_none(facet.direction.region_facet),
    }
    reads = regions_of(facet.direction.region_facet)
    context.call("clean mask of the facet", write_polygon_mask, arguments, reads, (mask,))
    freqs_hz = [band.freq_hz for band in bands]
    channels, terms = spectral_setup(freqs_hz, settings.wsclean_nchannels_factor)
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
        spectral_terms=terms,
        niter=MAX_COMPONENTS,
        auto_mask=AUTO_MASK,
        auto_threshold=AUTO_THRESHOLD,
        multiscale=is_multiscale(facet),
        multiscale_scales=settings.facet_multiscale_scales_pixel or (),
        baseline_averaging=baseline_averaging(field, facet),
        idg_mode=settings.idg,
        fits_mask=mask,
    )


def clean_facet(context: Context, field: Field, options: WSClean, mss: Sequence[Path]) -> None:
    """Make a facet's image: with WSClean's own masks, or with PyBDSF's from a quick image."""
    if field.settings.imaging.automask_facet_image or options.fits_mask is None:
        context.run(image(context, options, mss, context.threads))
        return
    quick = replace(
        options,
        name=options.name.with_name(f"{options.name.name}.quick"),
        auto_mask=0.0,
        auto_threshold=AUTO_MASK,
        save_source_list=False,
    )
    context.run(image(context, quick, mss, context.threads))
    mask = context.scratch / "facet.islands.fits"
    command = island_mask_command(quick.image, options.fits_mask, mask)
    context.run(Step("clean mask of PyBDSF", command, (quick.image, options.fits_mask), (mask,)))
    context.run(image(context, replace(options, fits_mask=mask, auto_mask=0.0), mss, context.threads))
