"""fieldmosaic: join the facet images, and correct the primary beam."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import Call, Step
from factor.operations.base import Field
from factor.operations.facet_imaging import ImagingSet
from factor.products.beam import ImageWeights, primary_beam
from factor.products.images import SkyGrid, image_noise
from factor.products.mosaic import FacetImage, make_mosaic, mosaic_grid, write_mosaic
from factor.products.seams import seam_statistics
from factor.workspace import Workspace

log = logging.getLogger("factor.fieldmosaic")

#: Kinds of images that make up a mosaic.
KINDS = ("pbcor", "pbcut", "pb", "facets")


def run(
    context: Context,
    field: Field,
    imaging: ImagingSet,
    facets: Sequence[Facet],
    images: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Make the mosaic.

    Parameters
    ----------
    context : Context
        Of fieldmosaic on the field.
    field : Field
        The field.
    imaging : ImagingSet
        Pixel size and weighting of the facet images.
    facets : sequence of Facet
        The facets that were imaged.
    images : mapping of facet name to results
        What facetimage left for each.

    Returns
    -------
    dict
        The results for the record: files, noise, seams.
    """
    workspace = field.workspace
    members = tuple(_member(workspace, facet, images[facet.name]) for facet in facets)
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    grid = mosaic_grid(centre, [m.vertices for m in members], imaging.cellsize_arcsec)
    prefix = context.products / "field."
    report = context.products / "field.mosaic.json"
    chunks = tuple(f.path for chunk in field.observation.chunks for f in chunk.files)
    arguments = {
        "members": members,
        "grid": grid,
        "weights": ImageWeights(
            minuv_lambda=imaging.min_uv_lambda,
            robust=imaging.robust,
            field_of_view_deg=max(facet.width_deg for facet in facets),
        ),
        "chunks": chunks,
        "prefix": prefix,
        "history": (f"parset {field.settings.path}", *_settings_lines(imaging)),
    }
    files = {kind: prefix.with_name(f"{prefix.name}correct_mosaic.{kind}.fits") for kind in KINDS}
    reads: tuple[Path, ...] = tuple(m.path for m in members if m.path is not None)
    action = Call(join_facets, arguments)
    context.run(Step("join facets, correct the primary beam", action, reads, (*files.values(), report)))
    numbers = json.loads(report.read_text())
    log.info("mosaic: noise %.3f mJy/beam: %s", 1e3 * numbers["noise_jy"], files["pbcor"])
    return {"files": {kind: workspace.relative(path) for kind, path in files.items()}, **numbers}


def _member(workspace: Workspace, facet: Facet, results: Mapping[str, Any]) -> FacetImage:
    return FacetImage(
        name=facet.name,
        path=workspace.resolve(results["image"]),
        vertices=facet.vertices,
        solutions=results["solutions_of"],
        kind=results["solutions"],
    )


def _settings_lines(imaging: ImagingSet) -> tuple[str, ...]:
    return tuple(f"{name} = {value}" for name, value in asdict(imaging).items())


def join_facets(
    members: Sequence[FacetImage],
    grid: SkyGrid,
    chunks: Sequence[Path],
    weights: ImageWeights,
    prefix: Path,
    history: Sequence[str],
) -> None:
    """Write the mosaic's images, and its numbers as JSON.

    Parameters
    ----------
    members : sequence of FacetImage
        The facets' images.
    grid : SkyGrid
        The mosaic's pixels.
    chunks : sequence of Path
        Measurement sets from which the primary beam is computed.
    weights : ImageWeights
        What of them the facets' images use.
    prefix : Path
        Folder and beginning of the file names; numbers go to ``<prefix>mosaic.json``.
    history : sequence of str
        Lines for the headers.
    """
    mosaic = make_mosaic(members, grid)
    beam = primary_beam(chunks, grid, weights=weights)
    write_mosaic(mosaic, beam, prefix, history)
    noise = image_noise(mosaic.data)
    seams = [asdict(seam) for seam in seam_statistics(mosaic)]
    report = prefix.with_name(f"{prefix.name}mosaic.json")
    report.write_text(json.dumps({"noise_jy": noise, "freq_hz": beam.freq_hz, "seams": seams}, indent=1))
