"""facetimage: image one facet with the full bandwidth.

What is missing from the data now is added back as it was subtracted: the new model with
its solutions for a self-calibrated facet, the initial model uncorrupted for any other.
The data are then corrected with the facet's solutions, or with those that it borrows.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import file_digest
from factor.operations.base import Field, Solutions
from factor.operations.imaging.facets import (
    ImagingSet,
    check_pixels,
    clean_facet,
    facet_averaging,
    facet_options,
    finest_set,
    is_multiscale,
)
from factor.operations.imaging.publish import publish_image
from factor.operations.needs import beam_needs, image_needs, unaveraged_needs
from factor.operations.visibilities.flagging import data_flags, flag_settings
from factor.operations.visibilities.passes import (
    CorruptedModel,
    Extraction,
    extract,
    extract_joined,
    image,
    joined,
)
from factor.products.images.mosaic import turned_position_angle
from factor.products.images.quality import image_quality
from factor.tools.dp3 import ApplyCal
from factor.tools.wsclean import WSClean
from factor.tuning.averaging import Averaging
from factor.tuning.images import facet_image_size

log = logging.getLogger("factor.facetimage")

#: In the names of calibrated data that are kept.
_KEPT = "calibrated"

RestoringBeam = tuple[float, float, float]


@dataclass(frozen=True)
class Calibration:
    """What a facet is imaged with.

    Attributes
    ----------
    subtracted : CorruptedModel or None
        The new model that stands subtracted from the data; None when the initial one does.
    solutions : Solutions or None
        What its data are corrected with: its own, a neighbour's, or nothing.
    kind : str
        ``own``, ``borrowed`` or ``none``.
    failed : bool
        Whether the direction has no solutions of its own because its calibration failed.
    """

    subtracted: CorruptedModel | None
    solutions: Solutions | None
    kind: str
    failed: bool = False

    @property
    def whose(self) -> str:
        """Whose solutions these are, in words."""
        if self.kind == "borrowed" and self.solutions is not None:
            return f"borrowed from {self.solutions.owner}"
        return self.kind


def restoring_beam(context: Context, field: Field, imaging: ImagingSet) -> RestoringBeam:
    """The one restoring beam of the field: fitted to the point spread function at its centre.

    Returns
    -------
    (major_arcsec, minor_arcsec, position_angle_deg)
    """
    widths = sorted(facet.width_deg for facet in field.facets if not facet.is_patch)
    options = WSClean(
        name=context.scratch / "field.psf",
        size=facet_image_size(widths[len(widths) // 2], imaging.cellsize_arcsec),
        scale_arcsec=imaging.cellsize_arcsec,
        robust=imaging.robust,
        taper_arcsec=imaging.taper_arcsec,
        minuv_lambda=imaging.min_uv_lambda,
        padding=1.2,
        idg_mode=field.settings.imaging.idg,
        psf_only=True,
    )
    flagged = bool(data_flags(field.settings))
    context.require(beam_needs(field, options.size, flagged=flagged))
    mss = [file.path for chunk in field.observation.chunks for file in chunk.files]
    names: Sequence[Path | str] = [ms.name for ms in mss]
    if flagged:
        mss = _flagged(context, field)
        names = mss
    context.run(image(context, options, mss, context.cpus, *names))
    beam = beam_of(options.psf)
    check_pixels(imaging, *beam[:2])
    log.info("restoring beam of the field: %.2f x %.2f arcsec at %.0f deg", *beam)
    return beam


def _flagged(context: Context, field: Field) -> list[Path]:
    """Copies of the chunks in which is flagged what the user wants flagged."""
    how = Extraction(
        label="flagged",
        centre=(field.observation.ra_deg, field.observation.dec_deg),
        averaging=Averaging(1, 1),
        flags=data_flags(field.settings),
    )
    steps = [step for chunk in field.observation.chunks for step in extract(context, chunk, how)]
    context.run(*steps)
    return [step.outputs[0] for step in steps]


def beam_of(image_path: Path) -> RestoringBeam:
    """The restoring beam in an image's header: arcsec, arcsec, degrees.

    Rounded: WSClean's threads add up in any order, and another beam makes all facets anew.
    """
    from factor.products.images.image import read_image

    beam = read_image(image_path).restoring_beam
    return round(3600.0 * beam.bmaj_deg, 2), round(3600.0 * beam.bmin_deg, 2), round(beam.bpa_deg, 1)


def settings_of(
    field: Field, facet: Facet, imaging: ImagingSet, calibration: Calibration, beam: RestoringBeam
) -> dict[str, Any]:
    """What shapes the image of a facet, beside the data: options, beam, solutions."""
    options = field.settings.imaging
    solutions = calibration.solutions
    return {
        **asdict(imaging),
        **flag_settings(field.settings),
        "beam": beam,
        "max_peak_smearing": options.max_peak_smearing,
        "wsclean_image_padding": options.wsclean_image_padding,
        "wsclean_nchannels_factor": options.wsclean_nchannels_factor,
        "wsclean_bl_averaging": options.wsclean_bl_averaging,
        "wsclean_use_idg": options.wsclean_use_idg,
        "automask_facet_image": options.automask_facet_image,
        "facet_multiscale_scales_pixel": options.facet_multiscale_scales_pixel,
        "region_facet": facet.direction.region_facet,
        "multiscale": is_multiscale(facet),
        "kind": calibration.kind,
        "failed": calibration.failed,
        **({f"solutions of {solutions.owner}": file_digest(solutions.h5parm)} if solutions else {}),
    }


def run(
    context: Context,
    field: Field,
    facet: Facet,
    imaging: ImagingSet,
    calibration: Calibration,
    beam: RestoringBeam,
) -> dict[str, Any]:
    """Image one facet.

    Parameters
    ----------
    context : Context
        Of facetimage on this direction.
    field : Field
        The field.
    facet : Facet
        The facet.
    imaging : ImagingSet
        Pixel size, weighting and taper.
    calibration : Calibration
        What to add back and what to correct with.
    beam : (major_arcsec, minor_arcsec, position_angle_deg)
        The field's restoring beam, its angle as seen at the field's centre.

    Returns
    -------
    dict
        The results for the record: the image, its numbers, whose solutions it has.
    """
    how = _averaged(context, field, facet, calibration, beam)
    kept = keeps_averaged(field, facet, imaging)
    context.require(image_needs(field, facet, imaging, how.averaging, kept=kept))
    if kept:
        how = replace(how, label=_KEPT, folder=context.products)
    steps = [step for chunk in field.observation.chunks for step in extract(context, chunk, how)]
    context.run(*steps)
    product = image_facet(context, field, facet, imaging, beam, [step.outputs[0] for step in steps])
    quality = image_quality(product)
    log.info("%s: facet image: %s (solutions: %s)", facet.name, quality, calibration.whose)
    return {
        "image": field.workspace.relative(product),
        "quality": quality.to_json(),
        "solutions": calibration.kind,
        "failed": calibration.failed,
        "solutions_of": calibration.solutions.owner if calibration.solutions else "",
    }


def image_facet(
    context: Context,
    field: Field,
    facet: Facet,
    imaging: ImagingSet,
    beam: RestoringBeam,
    mss: Sequence[Path],
) -> Path:
    """Make the image of a facet from its calibrated data.

    Parameters
    ----------
    context : Context
        Where it is made.
    field, facet, imaging, beam
        As for `run`.
    mss : sequence of Path
        The calibrated data.

    Returns
    -------
    Path
        The image among the context's products.
    """
    options = facet_options(context, field, facet, imaging, field.observation.bands)
    options = replace(options, beam=_turned(beam, field, facet))
    clean_facet(context, field, options, mss)
    return publish_image(context, options.image, facet)


def _extraction(context: Context, field: Field, facet: Facet, calibration: Calibration) -> Extraction:
    """How a facet's calibrated data are taken out at full resolution."""
    solutions = calibration.solutions
    as_it_came = calibration.subtracted is None
    return Extraction(
        label="unaveraged",
        centre=(facet.ra_deg, facet.dec_deg),
        averaging=Averaging(1, 1),
        initial=field.initial_models(facet, context.products) if as_it_came else None,
        new=calibration.subtracted,
        flags=data_flags(field.settings),
        correct=(ApplyCal(solutions.h5parm, solutions.soltabs),) if solutions else (),
    )


def _averaged(
    context: Context, field: Field, facet: Facet, calibration: Calibration, beam: RestoringBeam
) -> Extraction:
    """How a facet's calibrated data are taken out for an image."""
    return replace(
        _extraction(context, field, facet, calibration),
        label="facet",
        averaging=facet_averaging(field, facet, beam[1] / 3600.0),
        compress=field.settings.globals.use_compression,
    )


def keeps_averaged(field: Field, facet: Facet, imaging: ImagingSet) -> bool:
    """Whether a set's averaged data are kept: those of the set with the finest resolution serve all."""
    if not (field.settings.globals.keep_avg_facet_data or facet.holds_target):
        return False
    return imaging == finest_set(field.settings)


def keep_unaveraged(context: Context, field: Field, facet: Facet, calibration: Calibration) -> None:
    """Keep the calibrated data of a facet at full resolution: one measurement set for each chunk.

    Parameters
    ----------
    context : Context
        Of facetimage on this direction; it may be done already.
    field : Field
        The field.
    facet : Facet
        The facet.
    calibration : Calibration
        What it was imaged with.
    """
    how = _extraction(context, field, facet, calibration)
    mss = [
        field.workspace.calibrated_data(context.products, facet.name, chunk.index)
        for chunk in field.observation.chunks
    ]
    if not all(ms.exists() for ms in mss):
        context.require(unaveraged_needs(field))
    context.run(
        *(
            extract_joined(context, chunk, how, msout)
            for chunk, msout in zip(field.observation.chunks, mss, strict=True)
        )
    )
    context.leave()
    context.tidy()


def export_averaged(
    context: Context,
    field: Field,
    facet: Facet,
    calibration: Calibration,
    beam: RestoringBeam,
    kept_in: Path,
) -> list[Path]:
    """Write the calibrated data of an image, uncompressed: one measurement set for each chunk.

    Parameters
    ----------
    context : Context
        Where they are made; its products are what is given back.
    field : Field
        The field.
    facet : Facet
        The facet, which was imaged.
    calibration : Calibration
        What it was imaged with.
    beam : (major_arcsec, minor_arcsec, position_angle_deg)
        The field's restoring beam.
    kept_in : Path
        The folder of facetimage's products; what it did not keep is made again.

    Returns
    -------
    list of Path
        By chunk.
    """
    how = replace(_averaged(context, field, facet, calibration, beam), compress=False)
    steps = []
    for chunk in field.observation.chunks:
        msout = field.workspace.calibrated_data(context.products, facet.name, chunk.index)
        kept = extract(context, chunk, replace(how, label=_KEPT, folder=kept_in))
        parts = [step.outputs[0] for step in kept]
        if all(part.is_dir() for part in parts):
            steps.append(joined(context, parts, msout, f"export {chunk.name}"))
        else:
            steps.append(extract_joined(context, chunk, how, msout))
    context.run(*steps)
    return [step.outputs[0] for step in steps]


def _turned(beam: RestoringBeam, field: Field, facet: Facet) -> RestoringBeam:
    """The field's restoring beam as it lies in a facet, whose north is another."""
    major, minor, angle = beam
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    return major, minor, turned_position_angle(angle, (facet.ra_deg, facet.dec_deg), centre)
