"""Facets imaged again from their calibrated data as the archived run did, and joined."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from factor.archive.archived import ArchivedRun, open_run
from factor.archive.calibrated import ALL, Export, calibrated_data, clear, making_engine, plan_export
from factor.directions.model import Facet
from factor.errors import InputError
from factor.execution.signals import stop_on_signals
from factor.flow.shaping import imaged_facets
from factor.operations.facet_imaging import finest_set, operation_name
from factor.operations.facetimage import image_facet
from factor.operations.fieldmosaic import KINDS, member
from factor.products.images.beam import PrimaryBeam
from factor.products.images.image import read_image
from factor.products.images.mosaic import make_mosaic, mosaic_grid
from factor.products.images.mosaic_files import write_mosaic
from factor.state.lock import run_lock
from factor.tools import environment
from factor.workspace import FIELD, Workspace

log = logging.getLogger("factor.archive")


def reimage(folder: Path, data: Path, output: Path, names: Sequence[str]) -> None:
    """Make images of facets again from calibrated data, and of the field when all are asked for.

    Parameters
    ----------
    folder : Path
        The archive, which may be a basic one.
    data : Path
        Has ``calibrated_data/``: an archive, or what `restore_calibrated` left.
    output : Path
        Gets ``images/``, with the archive's names; what is there already is kept.
    names : sequence of str
        The directions, or ``all`` that were imaged, and their mosaic.

    Raises
    ------
    FactorError
        When the archive is damaged, data are missing, or a tool fails.
    """
    environment.prepare()
    output = output.resolve()
    workspace = Workspace(output / "work")
    with run_lock(workspace), stop_on_signals():
        run = open_run(folder.resolve(), workspace)
        export = plan_export(run.settings, workspace, run.observation, names)
        mss = _data(export, data.resolve())
        images = {f.name: _image(run, export, output, f, mss[f.name]) for f in export.facets}
        if ALL in names:
            _mosaic(run, export, images, output)
        clear(output)
    log.info("images are in %s", output / "images")


def _data(export: Export, data: Path) -> dict[str, list[Path]]:
    """The calibrated data of each facet.

    Raises
    ------
    InputError
        When some are missing.
    """
    found = {f.name: calibrated_data(data, export.standing.field, f) for f in export.facets}
    missing = [str(ms) for mss in found.values() for ms in mss if not ms.is_dir()]
    if missing:
        raise InputError(
            f"{data} lacks calibrated data, e.g. {missing[0]}",
            "restore them with script/restore_calibrated, and give its folder with -i",
        )
    return found


def _image(run: ArchivedRun, export: Export, output: Path, facet: Facet, mss: Sequence[Path]) -> Path:
    """Image a facet, unless its image is there."""
    own = run.workspace.products(export.operation, facet.name) / f"{facet.name}.image_full.fits"
    target = output / _archived_name(run, own)
    if target.exists():
        log.info("%s is there already", target)
        return target
    log.info("%s: image", facet.name)
    context = making_engine(export.standing.engine, output).context(export.operation, facet.name)
    context.start({})
    field = export.standing.field
    made = image_facet(context, field, facet, finest_set(run.settings), export.beam, mss)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.with_suffix(".png").rename(target.with_suffix(".png"))
    return made.rename(target)


def _mosaic(run: ArchivedRun, export: Export, images: Mapping[str, Path], output: Path) -> None:
    """Join the facets' images; the primary beam is the archived one."""
    field, imaging = export.standing.field, finest_set(run.settings)
    operation = operation_name("fieldmosaic", imaging, run.settings)
    products = run.workspace.products(operation, FIELD)
    files = {kind: f"field.correct_mosaic.{kind}.fits" for kind in KINDS}
    names = {kind: _archived_name(run, products / file) for kind, file in files.items()}
    archived = run.folder / names["pb"]
    if not archived.is_file():
        log.info("the archived run made no mosaic of these facets")
        return
    results = imaged_facets(export.standing, export.facets, export.operation)
    members = [
        member(run.workspace, facet, {**results[facet.name], "image": str(images[facet.name])})
        for facet in export.facets
    ]
    centre = (field.observation.ra_deg, field.observation.dec_deg)
    grid = mosaic_grid(centre, [m.vertices for m in members], imaging.cellsize_arcsec)
    beam = read_image(archived)
    making = making_engine(export.standing.engine, output).workspace.products(operation, FIELD)
    making.mkdir(parents=True, exist_ok=True)
    history = (f"imaged again from {run.folder}", f"primary beam of {archived.name}")
    response = PrimaryBeam(beam.data, beam.freq_hz, grid)
    write_mosaic(make_mosaic(members, grid), response, making / "field.", history)
    for kind, file in files.items():
        target = output / names[kind]
        target.parent.mkdir(parents=True, exist_ok=True)
        (making / file).rename(target)


def _archived_name(run: ArchivedRun, path: Path) -> str:
    """The name of one of the run's images in its archive."""
    own = run.workspace.relative(path)
    return next((name for name, known in run.manifest.images.items() if known == own), f"images/{own}")
