"""The residual of the whole field in the middle band, before and after a subtraction."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from factor.directions.facets import polygon_in_plane
from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import Step
from factor.observation.model import ChunkFile
from factor.operations.base import Field
from factor.operations.difference import Change
from factor.operations.passes import chunk_token, image
from factor.operations.publish import publish_image
from factor.products.images import image_noise, read_image
from factor.products.masks import polygon_mask
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
    before: list[Path] = []
    after: list[Path] = []
    tokens: list[str] = []
    steps: list[Step] = []
    for chunk in field.observation.chunks:
        for file in chunk.files:
            if file.band == band:
                msout = context.scratch / f"{chunk.name}.residual.ms"
                steps.append(_subtracted(context, file, change, msout))
                before.append(file.path)
                after.append(msout)
                tokens.append(chunk_token(context, file))
    context.run(*steps)
    pre, post = (_options(context, field, facet, f"wsclean_{kind}") for kind in ("pre", "post"))
    context.run(
        image(context, pre, before, max(1, context.threads // 2), *tokens),
        image(context, post, after, max(1, context.threads // 2), *tokens, *after),
    )
    return _measure(context, pre, facet), _measure(context, post, facet)


def half_width_deg(field: Field, facet: Facet) -> float:
    """Half of the residual images' width: they hold the field, and a facet that reaches out of it."""
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    reach = float(np.abs(polygon_in_plane(facet, centre)).max())
    return max(field.radius_deg, 1.02 * reach)


def _options(context: Context, field: Field, facet: Facet, name: str) -> WSClean:
    return WSClean(
        name=context.scratch / f"{context.direction}.{name}",
        size=fft_size(2.0 * half_width_deg(field, facet) * 3600.0 / CELLSIZE_ARCSEC),
        scale_arcsec=CELLSIZE_ARCSEC,
        robust=-0.25,
        minuv_lambda=field.settings.imaging.selfcal_min_uv_lambda,
        maxuv_lambda=MAXUV_LAMBDA,
        padding=1.2,
        data_column="CORRECTED_DATA" if name.endswith("pre") else "DATA",
    )


def _subtracted(context: Context, file: ChunkFile, change: Change, msout: Path) -> Step:
    """The step that writes one chunk as it would be after the subtraction."""
    old = change.initial.of(file)
    passes: tuple[DP3Step, ...] = (change.new.predict("subtract"),)
    if old is not None:
        passes = (*passes, Predict(old, "add"))
    run = DP3Run((file.path,), "CORRECTED_DATA", passes, msout)
    return Step(
        name=f"residual, {msout.stem}",
        action=dp3_command(context.tools, run),
        reads=(*change.files, chunk_token(context, file)),
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
