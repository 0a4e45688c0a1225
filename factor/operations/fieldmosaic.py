"""fieldmosaic: join the facet images, correct the primary beam, check fluxes and positions."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.execution.step import file_digest
from factor.operations.base import Field
from factor.operations.imaging.facets import ImagingSet
from factor.operations.imaging.references import references_of
from factor.operations.needs import mosaic_needs
from factor.products.fieldcheck.check import check_mosaic
from factor.products.fieldcheck.table import read_summaries
from factor.products.images.beam import BeamWeights, primary_beam
from factor.products.images.image import SkyGrid, image_noise, read_beam
from factor.products.images.masks import Vertices
from factor.products.images.mosaic import FacetImage, make_mosaic, mosaic_grid
from factor.products.images.mosaic_files import write_mosaic, write_provenance
from factor.products.images.seams import SEAM_LIMIT_SIGMA, Seam, seam_statistics, summarise_seams
from factor.state.resume import MADE_FROM
from factor.tools.versions import factor_version, package_version, version_in_log
from factor.workspace import Workspace

log = logging.getLogger("factor.fieldmosaic")

#: Kinds of images that make up a mosaic.
KINDS = ("pbcor", "pbcut", "pb", "facets")

#: Joining, picture, check.
STEPS = 3


def settings_of(
    field: Field, imaging: ImagingSet, images: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What shapes the mosaic and its check."""
    catalogue = field.settings.calibration.astrometry_catalogue
    made_from = {f"{MADE_FROM}facetimage {name}": image["finished"] for name, image in images.items()}
    shaping = asdict(imaging) | made_from
    if catalogue is not None:
        shaping["astrometry_catalogue"] = file_digest(catalogue)
    return shaping


def run(
    context: Context,
    field: Field,
    imaging: ImagingSet,
    facets: Sequence[Facet],
    images: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Make the mosaic, and check it.

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
        What facetimage left for each, and in ``log`` what WSClean said.

    Returns
    -------
    dict
        The results for the record: files, noise, seams, fluxes and positions.
    """
    workspace = field.workspace
    members = tuple(member(workspace, facet, images[facet.name]) for facet in facets)
    prefix = context.products / "field."
    history = (
        f"parset {field.settings.path}",
        *(f"{name} = {value}" for name, value in asdict(imaging).items()),
        _versions(Path(images[facets[0].name]["log"])),
    )
    numbers = _join(context, field, imaging, members, history)
    seams = summarise_seams([Seam(**seam) for seam in numbers["seams"]], numbers["noise_jy"])
    files = {kind: prefix.with_name(f"{prefix.name}correct_mosaic.{kind}.fits") for kind in KINDS}
    log.info("mosaic: noise %.3f mJy/beam: %s", 1e3 * numbers["noise_jy"], files["pbcor"])
    log.info("mosaic: steps between facets: %s", seams)
    if seams.visible:
        log.warning(
            "mosaic: the step between %s and %s is %.2f of the noise, more than %g: look at the verdicts and "
            "the images of both; if one is worse, lengthen its solution intervals in the directions file or "
            "merge it with a neighbour", *seams.worst_edge, seams.worst_sigma, SEAM_LIMIT_SIGMA,
        )  # fmt: skip
    files["picture"] = _picture(context, files["pbcut"], facets, numbers["noise_jy"])
    check = _check(context, field, prefix, numbers)
    return {
        "files": {kind: workspace.relative(path) for kind, path in files.items()},
        **numbers,
        "seam_summary": asdict(seams),
        "check": check,
    }


def member(workspace: Workspace, facet: Facet, results: Mapping[str, Any]) -> FacetImage:
    """A facet's image as a part of the mosaic, by what facetimage left for it."""
    return FacetImage(
        name=facet.name,
        path=workspace.resolve(results["image"]),
        vertices=facet.vertices,
        solutions=results["solutions_of"],
        kind="failed" if results["failed"] else results["solutions"],
    )


def _versions(wsclean_log: Path) -> str:
    """The versions of all that made the mosaic, as far as they are known."""
    versions = {
        "Factor": factor_version(),
        "DP3": package_version("dp3"),
        "WSClean": version_in_log("WSClean", wsclean_log),
        "EveryBeam": package_version("everybeam"),
    }
    return "versions: " + ", ".join(f"{tool} {version}" for tool, version in versions.items() if version)


def _join(
    context: Context,
    field: Field,
    imaging: ImagingSet,
    members: tuple[FacetImage, ...],
    history: tuple[str, ...],
) -> dict[str, Any]:
    """Make the mosaic's images; noise, frequency and seams."""
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    prefix = context.products / "field."
    grid = mosaic_grid(centre, [m.vertices for m in members], imaging.cellsize_arcsec)
    context.require(mosaic_needs(grid, len(KINDS)))
    report, table = context.products / "field.mosaic.json", context.products / "field.provenance.txt"
    arguments = {
        "members": members,
        "grid": grid,
        "weights": BeamWeights(
            minuv_lambda=imaging.min_uv_lambda,
            robust=imaging.robust,
            field_of_view_deg=max(field.facet(m.name).width_deg for m in members),
        ),
        "chunks": tuple(f.path for chunk in field.observation.chunks for f in chunk.files),
        "prefix": prefix,
        "history": history,
    }
    files = (prefix.with_name(f"{prefix.name}correct_mosaic.{kind}.fits") for kind in KINDS)
    reads: tuple[Path, ...] = tuple(m.path for m in members if m.path is not None)
    context.call(
        "join facets, correct the primary beam", join_facets, arguments, reads, (*files, table, report)
    )
    numbers: dict[str, Any] = json.loads(report.read_text())
    return numbers


def _picture(context: Context, image: Path, facets: Sequence[Facet], noise_jy: float) -> Path:
    """Draw the mosaic with its facets."""
    path = image.with_suffix(".png")
    arguments = {
        "image": image,
        "picture": path,
        "facets": {facet.name: facet.vertices for facet in facets},
        "noise_jy": noise_jy,
    }
    context.call("picture", draw_mosaic, arguments, (image,), (path,))
    return path


def draw_mosaic(image: Path, picture: Path, facets: Mapping[str, Vertices], noise_jy: float) -> None:
    """Draw a mosaic with the outlines of its facets."""
    from factor.products.images.plot import plot_image

    beam = read_beam(image)
    size = f"{3600 * beam.bmaj_deg:.1f} x {3600 * beam.bmin_deg:.1f} arcsec"
    # In one line it would reach the colour bar.
    title = f"{image.stem}\nnoise {1e3 * noise_jy:.3g} mJy/beam, beam {size}"
    plot_image(image, picture, outlines=facets, title=title, noise=noise_jy)


def _check(context: Context, field: Field, prefix: Path, numbers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compare fluxes and positions with the initial sky model, and with a catalogue."""
    files = [prefix.with_name(f"{prefix.name}correct_mosaic.{kind}.fits") for kind in ("pbcut", "pb")]
    arguments = {
        "prefix": prefix,
        "references": references_of(field, files[0], numbers["freq_hz"]),
        "noise_jy": numbers["noise_jy"],
    }
    outputs = tuple(prefix.with_name(f"{prefix.name}check.{kind}") for kind in ("csv", "png", "json"))
    context.call("check fluxes and positions", check_mosaic, arguments, tuple(files), outputs)
    summaries = read_summaries(outputs[2])
    for summary in summaries:
        log.info("mosaic: %s", summary)
        for problem in summary.problems():
            log.warning("mosaic: compared with the %s, %s: see %s", summary.reference, problem, outputs[1])
    plain = [asdict(summary) for summary in summaries]
    return [{k: v for k, v in s.items() if not (isinstance(v, float) and math.isnan(v))} for s in plain]


def join_facets(
    members: Sequence[FacetImage],
    grid: SkyGrid,
    chunks: Sequence[Path],
    weights: BeamWeights,
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
    weights : BeamWeights
        What of them the facets' images use.
    prefix : Path
        Folder and beginning of the file names; numbers go to ``<prefix>mosaic.json``.
    history : sequence of str
        Lines for the headers.
    """
    mosaic = make_mosaic(members, grid)
    beam = primary_beam(chunks, grid, weights=weights)
    write_mosaic(mosaic, beam, prefix, history)
    write_provenance(members, prefix.with_name(f"{prefix.name}provenance.txt"))
    noise = image_noise(mosaic.data)
    seams = [asdict(seam) for seam in seam_statistics(mosaic)]
    report = prefix.with_name(f"{prefix.name}mosaic.json")
    report.write_text(json.dumps({"noise_jy": noise, "freq_hz": beam.freq_hz, "seams": seams}, indent=1))
