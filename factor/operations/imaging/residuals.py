"""The residual of the whole field in the middle band, before and after a subtraction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.facets import polygon_in_plane
from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import Step
from factor.observation.model import ChunkFile
from factor.operations.base import Field
from factor.operations.imaging.publish import publish_image
from factor.operations.visibilities.difference import Change
from factor.operations.visibilities.flagging import data_flags
from factor.operations.visibilities.passes import chunk_token, image
from factor.products.images.image import image_noise, read_image
from factor.products.images.masks import polygon_mask
from factor.products.verdict import Residual
from factor.tools.dp3 import DP3Run, DP3Step, Predict, dp3_command
from factor.tools.wsclean import WSClean
from factor.tuning.images import fft_size

#: Resolution of the residual images: that of the initial subtraction.
CELLSIZE_ARCSEC = 7.5
MAXUV_LAMBDA = 7000.0


def look_at_residuals(
    context: Context, field: Field, facet: Facet, change: Change
) -> tuple[Residual, Residual]:
    """Image the residual data of the middle band without and with a change subtracted.

    Leaves ``<direction>.wsclean_pre-image.fits`` and ``.wsclean_post-image.fits``.
    """
    bands = field.observation.bands
    band = bands[len(bands) // 2].name
    flags = data_flags(field.settings)
    before: list[Path] = []
    after: list[Path] = []
    tokens: list[str] = []
    steps: list[Step] = []
    for chunk in field.observation.chunks:
        for file in chunk.files:
            if file.band == band:
                tokens.append(chunk_token(context, file))
                after.append(context.scratch / f"{chunk.name}.residual.ms")
                passes = (*flags, *_subtraction(change, file))
                steps.append(_written(context, file, passes, after[-1], *change.files))
                before.append(file.path)
                if flags:
                    before[-1] = context.scratch / f"{chunk.name}.flagged.ms"
                    steps.append(_written(context, file, flags, before[-1]))
    context.run(*steps)
    pre, post = (_options(context, field, facet, f"wsclean_{kind}") for kind in ("pre", "post"))
    if not flags:
        pre = replace(pre, data_column="CORRECTED_DATA")
    context.run(
        image(context, pre, before, max(1, context.threads // 2), *tokens, *(before if flags else ())),
        image(context, post, after, max(1, context.threads // 2), *tokens, *after),
    )
    context.release(*before, *after)
    return _measure(context, pre, facet), _measure(context, post, facet)


def half_width_deg(field: Field, facet: Facet) -> float:
    """Half of the residual images' width: they hold the field, and a facet that reaches out of it."""
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    reach = float(np.abs(polygon_in_plane(facet, centre)).max())
    return max(field.radius_deg, 1.02 * reach)


def image_size(field: Field, facet: Facet) -> int:
    """Side of the residual images, pixels."""
    return fft_size(2.0 * half_width_deg(field, facet) * 3600.0 / CELLSIZE_ARCSEC)


def _options(context: Context, field: Field, facet: Facet, name: str) -> WSClean:
    return WSClean(
        name=context.scratch / f"{context.direction}.{name}",
        size=image_size(field, facet),
        scale_arcsec=CELLSIZE_ARCSEC,
        robust=-0.25,
        minuv_lambda=field.settings.imaging.selfcal_min_uv_lambda,
        maxuv_lambda=MAXUV_LAMBDA,
        padding=1.2,
    )


def _subtraction(change: Change, file: ChunkFile) -> tuple[DP3Step, ...]:
    """The passes that subtract a change from one band of a chunk."""
    old = change.initial.of(file)
    passes: tuple[DP3Step, ...] = (change.new.predict("subtract"),)
    return passes if old is None else (*passes, Predict(old, "add"))


def _written(
    context: Context, file: ChunkFile, passes: tuple[DP3Step, ...], msout: Path, *reads: Path
) -> Step:
    """The step that writes one band of a chunk as it is after some passes."""
    return Step(
        name=f"residual, {msout.stem}",
        action=dp3_command(context.tools, DP3Run((file.path,), "CORRECTED_DATA", passes, msout)),
        reads=(*reads, chunk_token(context, file)),
        outputs=(msout,),
    )


def _measure(context: Context, options: WSClean, facet: Facet) -> Residual:
    publish_image(context, options.image, facet, f"{options.name.name}-image")
    picture = read_image(options.image)
    inside = polygon_mask(facet.vertices, picture.wcs, picture.data.shape)
    return Residual(
        field_peak_jy=float(np.max(np.abs(picture.data))),
        field_noise_jy=image_noise(picture.data),
        facet_noise_jy=float(np.std(picture.data[inside])),
    )
