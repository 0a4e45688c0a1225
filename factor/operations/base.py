"""What every operation works on: the field, its facets and what was subtracted from its data."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factor.directions.geometry import FieldGeometry
from factor.directions.model import Facet
from factor.execution.step import file_digest
from factor.observation.model import Chunk, ChunkFile, Observation
from factor.parset import Settings
from factor.products.models.skymodel import Components, write
from factor.tuning.averaging import Sampling
from factor.workspace import Workspace

#: Pixels across the synthesised beam, as users choose their cell sizes.
PIXELS_PER_BEAM = 4.0

#: Calibrators (or sources of a facet) larger than this are cleaned with multiscale, degrees.
MULTISCALE_DEG = 4.0 / 60.0


@dataclass(frozen=True)
class Solutions:
    """Solutions of one direction, ready to be applied.

    Attributes
    ----------
    owner : str
        The direction that they were solved for; its name in the H5parm is ``[owner]``.
    h5parm : Path
        Flagged where they are bad: for correcting data that are imaged.
    filled : Path
        The same without gaps: for corrupting models that are subtracted or added.
    soltabs : tuple of str
        Soltabs to apply, in order.
    """

    owner: str
    h5parm: Path
    filled: Path
    soltabs: tuple[str, ...]


@dataclass(frozen=True)
class InitialModels:
    """Sources of the initial sky models, one file per band's model; None where there is none."""

    files: Mapping[Path, Path | None]

    def of(self, file: ChunkFile) -> Path | None:
        return self.files[file.skymodel]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(sorted({path for path in self.files.values() if path is not None}))


@dataclass(frozen=True)
class Field:
    """The field: an observation cut into facets.

    Attributes
    ----------
    sources : mapping of facet name to (mapping of band model to components)
        The initial models' components of each facet; every component of a source is in
        the one facet that the source belongs to.
    calibrators : mapping like ``sources``
        Those of them that are added back for self-calibration.
    outliers : tuple of Facet
        Patches around sources that are peeled and nothing else.
    peel_models : mapping of direction name to path
        The sky models, true flux densities, of the outliers and of those calibrators that
        are peeled.
    """

    settings: Settings
    workspace: Workspace
    observation: Observation
    facets: tuple[Facet, ...]
    geometry: FieldGeometry
    sources: Mapping[str, Mapping[Path, Components]]
    calibrators: Mapping[str, Mapping[Path, Components]]
    outliers: tuple[Facet, ...] = ()
    peel_models: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    @property
    def beam_deg(self) -> float:
        """Rough width of the synthesised beam of the self-calibration images."""
        return PIXELS_PER_BEAM * self.settings.imaging.selfcal_cellsize_arcsec / 3600.0

    @property
    def sampling(self) -> Sampling:
        """The sampling of its data."""
        band = self.observation.bands[0]
        return Sampling(
            len(band.freqs_hz), band.chan_width_hz, band.freqs_hz[0], self.observation.interval_s
        )

    @property
    def radius_deg(self) -> float:
        """Radius of the faceting ellipse, east-west."""
        return self.geometry.radius_deg

    def facet(self, name: str) -> Facet:
        return next(facet for facet in self.facets if facet.name == name)

    def initial_models(self, facet: Facet, folder: Path) -> InitialModels:
        """Write the initial models of a facet's sources into a folder."""
        return _write_models(self.sources[facet.name], folder, f"{facet.name}.initial")

    def calibrator_models(self, facet: Facet, folder: Path) -> InitialModels:
        """Write the initial models of a facet's calibrator into a folder."""
        return _write_models(self.calibrators[facet.name], folder, f"{facet.name}.calibrator")


def _write_models(models: Mapping[Path, Components], folder: Path, stem: str) -> InitialModels:
    files: dict[Path, Path | None] = {}
    for source, components in models.items():
        files[source] = None
        if len(components):
            files[source] = folder / f"{stem}_{source.stem}.skymodel"
            write(components, folder / f"{stem}_{source.stem}.skymodel")
    return InitialModels(files)


@functools.cache
def model_digest(path: Path) -> str:
    """Fingerprint of a sky model that never changes during a run."""
    return file_digest(path)


def runs_of_one_model(chunk: Chunk, bands: tuple[str, ...] | None = None) -> list[tuple[ChunkFile, ...]]:
    """A chunk's files in runs of neighbouring bands whose initial models are the same.

    DP3 can read such a run at once, and predict one model for it.
    """
    runs: list[list[ChunkFile]] = []
    for file in chunk.files:
        if bands is not None and file.band not in bands:
            continue
        if runs and model_digest(runs[-1][-1].skymodel) == model_digest(file.skymodel):
            runs[-1].append(file)
        else:
            runs.append([file])
    return [tuple(run) for run in runs]
