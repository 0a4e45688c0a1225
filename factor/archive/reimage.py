"""Facets imaged again from their calibrated data as the archived run did, and joined."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from factor.archive.archived import ArchivedRun, archived_run
from factor.archive.calibrated import ALL, Export, calibrated_data, field_beam, making_engine
from factor.archive.copying import damage
from factor.archive.manifest import NAME, read_manifest
from factor.directions.model import Facet
from factor.errors import InputError
from factor.flow.shaping import imaged_facets
from factor.flow.standing import Standing
from factor.operations.facetimage import image_facet
from factor.operations.fieldmosaic import KINDS, member
from factor.operations.imaging.facets import ImagingSet, imaging_sets, operation_name
from factor.products.images.beam import PrimaryBeam
from factor.products.images.image import read_image
from factor.products.images.mosaic import make_mosaic, mosaic_grid
from factor.products.images.mosaic_files import write_mosaic
from factor.workspace import FIELD

log = logging.getLogger("factor.archive")


def reimage(folder: Path, data: Path, output: Path, names: Sequence[str]) -> None:
    """Make images of facets again from calibrated data, and of the field when all are asked for.

    Parameters
    ----------
    folder, names
        As for `archived_run`.
    data : Path
        Has ``calibrated_data/``: an archive, or what `restore_calibrated` left.
    output : Path
        Gets ``images/``, with the archive's names; what is there already is kept.

    Raises
    ------
    FactorError
        When the archive is damaged, data are missing, or a tool fails.
    """
    output = output.resolve()
    with archived_run(folder, output, names) as (run, export):
        mss = _data(export, data.resolve())
        for imaging in imaging_sets(run.settings):
            again = _Again(run, export.standing, imaging, output)
            facets = [facet for facet in export.facets if again.was_imaged(facet)]
            images = {facet.name: again.image(facet, mss[facet.name]) for facet in facets}
            if ALL in names and facets:
                again.join(facets, images)
    log.info("images are in %s", output / "images")


def _data(export: Export, data: Path) -> dict[str, list[Path]]:
    """The calibrated data of each facet.

    Raises
    ------
    InputError
        When some are missing, or are not those that were archived.
    """
    found = {f.name: calibrated_data(data, export.standing.field, f) for f in export.facets}
    paths = [ms for mss in found.values() for ms in mss]
    missing = [str(ms) for ms in paths if not ms.is_dir()]
    if missing:
        raise InputError(
            f"{data} lacks calibrated data, e.g. {missing[0]}",
            "restore them with script/restore_calibrated, and give its folder with -i",
        )
    if (data / NAME).is_file():
        wanted = {str(ms.relative_to(data)) for ms in paths}
        problems = damage(data, [entry for entry in read_manifest(data).entries if entry.path in wanted])
        if problems:
            raise InputError(problems, "restore these data with script/restore_calibrated")
    return found


@dataclass(frozen=True)
class _Again:
    """One set of images, made again."""

    run: ArchivedRun
    standing: Standing
    imaging: ImagingSet
    output: Path

    def _operation(self, base: str) -> str:
        return operation_name(base, self.imaging, self.run.settings)

    def was_imaged(self, facet: Facet) -> bool:
        """Whether the archived run came to it."""
        return self.standing.record(self._operation("facetimage"), facet) is not None

    def image(self, facet: Facet, mss: Sequence[Path]) -> Path:
        """Image a facet, unless its image is there."""
        operation, field = self._operation("facetimage"), self.standing.field
        target = self._archived(operation, facet.name, f"{facet.name}.image_full.fits")
        if target.exists():
            log.info("%s is there already", target)
            return target
        log.info("%s: %s", facet.name, operation)
        context = making_engine(self.standing.engine, self.output).context(operation, facet.name)
        context.start({})
        beam = field_beam(self.standing, operation)
        made = image_facet(context, field, facet, self.imaging, beam, mss)
        target.parent.mkdir(parents=True, exist_ok=True)
        made.with_suffix(".png").rename(target.with_suffix(".png"))
        return made.rename(target)

    def join(self, facets: Sequence[Facet], images: Mapping[str, Path]) -> None:
        """Join the facets' images; the primary beam is the archived one."""
        operation, field = self._operation("fieldmosaic"), self.standing.field
        files = {kind: f"field.correct_mosaic.{kind}.fits" for kind in KINDS}
        targets = {kind: self._archived(operation, FIELD, file) for kind, file in files.items()}
        if all(target.exists() for target in targets.values()):
            log.info("%s is there already", targets["pbcor"])
            return
        archived = self.run.folder / targets["pb"].relative_to(self.output)
        if not archived.is_file():
            log.info("the archived run made no mosaic of these facets")
            return
        results = imaged_facets(self.standing, facets, self._operation("facetimage"))
        members = [
            member(self.run.workspace, facet, {**results[facet.name], "image": str(images[facet.name])})
            for facet in facets
        ]
        centre = (field.observation.ra_deg, field.observation.dec_deg)
        grid = mosaic_grid(centre, [m.vertices for m in members], self.imaging.cellsize_arcsec)
        beam = read_image(archived)
        making = making_engine(self.standing.engine, self.output).workspace.products(operation, FIELD)
        making.mkdir(parents=True, exist_ok=True)
        history = (f"imaged again from {self.run.folder}", f"primary beam of {archived.name}")
        response = PrimaryBeam(beam.data, beam.freq_hz, grid)
        write_mosaic(make_mosaic(members, grid), response, making / "field.", history)
        for kind, file in files.items():
            targets[kind].parent.mkdir(parents=True, exist_ok=True)
            (making / file).rename(targets[kind])

    def _archived(self, operation: str, direction: str, file: str) -> Path:
        """Where one of the run's images goes: its name in the archive."""
        own = self.run.workspace.relative(self.run.workspace.products(operation, direction) / file)
        known = {path: name for name, path in self.run.manifest.images.items()}
        return self.output / known.get(own, f"images/{own}")
