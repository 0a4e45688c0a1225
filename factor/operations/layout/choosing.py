"""The directions of a run: read from a file, or chosen among the sources of the sky model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from factor.directions.file import read_choice, read_directions, write_directions
from factor.directions.geometry import FieldGeometry
from factor.directions.model import Direction, Source
from factor.directions.select import SelectionLimits, left_out, select_directions
from factor.errors import check_all
from factor.observation.model import Observation
from factor.parset import Settings
from factor.products.models.skymodel import Components, read
from factor.products.models.sources import group_sources, sources_from_patches
from factor.workspace import Workspace

log = logging.getLogger("factor.layout")

#: The options that a choice depends on, as the parset spells them.
_CHOICE = (
    "faceting_skymodel", "max_radius_deg", "flux_min_for_merging_Jy", "size_max_arcmin",
    "separation_max_arcmin", "flux_min_Jy", "minimize_nonuniformity", "ndir_max",
)  # fmt: skip

#: Bright sources that are told of when they are not chosen.
_TOLD = 5


def known_sources(
    settings: Settings, observation: Observation, models: Mapping[Path, Components]
) -> list[Source]:
    """The sources among which directions are chosen, and around which edges bend."""
    given = settings.directions.faceting_skymodel
    if given is not None:
        return sources_from_patches(read(given))[1]
    return group_sources(models[observation.bands[-1].skymodel])[1]


def directions_file(settings: Settings, workspace: Workspace) -> Path:
    """The file that has the directions of a run, or will have them."""
    return settings.directions.directions_file or workspace.directions_file


def check_given(settings: Settings) -> None:
    """Read the user's own files of directions, for what is wrong with them.

    Raises
    ------
    InputError
        With all problems of all files.
    """
    given = settings.directions
    files = [path for path in (given.directions_file, given.outliers_file) if path is not None]
    check_all(*(partial(read_directions, path) for path in files))


def choose_directions(
    settings: Settings,
    workspace: Workspace,
    observation: Observation,
    sources: list[Source],
    field: FieldGeometry,
    *,
    keep: bool,
) -> tuple[Direction, ...]:
    """The directions that the user gives, that an earlier run chose, or that are chosen now.

    Parameters
    ----------
    settings : Settings
        The parset.
    workspace : Workspace
        The working directory.
    observation : Observation
        Bands and chunks.
    sources : list of Source
        Of the field.
    field : FieldGeometry
        The faceting ellipse.
    keep : bool
        Write what is chosen into the working directory.

    Raises
    ------
    InputError
        When a file of directions is no good, or nothing is left to choose.
    """
    file = directions_file(settings, workspace)
    chosen = _choice(settings)
    if file == settings.directions.directions_file:
        return tuple(read_directions(file))
    if file.exists():
        _tell_of_other_choice(file, chosen)
        return tuple(read_directions(file))
    limits = _limits(settings, observation)
    directions = select_directions(sources, limits, field)
    names = ", ".join(direction.name for direction in directions)
    log.info("chose %d directions: %s", len(directions), names)
    for line in left_out(sources, directions, limits, field)[:_TOLD]:
        log.warning("bright, but not chosen as a calibrator: %s", line)
    if not keep:
        return tuple(directions)
    write_directions(directions, file, chosen)
    log.info("the directions are in %s", file)
    # As the file has them: rounded as in every later run.
    return tuple(read_directions(file))


def _choice(settings: Settings) -> dict[str, str]:
    return {name: str(getattr(settings.directions, name.lower())) for name in _CHOICE}


def _tell_of_other_choice(file: Path, now: Mapping[str, str]) -> None:
    """Warn of options that would choose other directions than those that are kept."""
    earlier = read_choice(file)
    changed = [
        f"{name} = {earlier[name]} (now {value})"
        for name, value in now.items()
        if name in earlier and earlier[name] != value
    ]
    if changed:
        log.warning(
            "the directions were chosen with %s; they are used as they are: to have them chosen "
            "again, delete %s (and start over if anything has been calibrated)",
            ", ".join(changed), file,
        )  # fmt: skip


def _limits(settings: Settings, observation: Observation) -> SelectionLimits:
    chosen = settings.directions
    radius = chosen.max_radius_deg
    return SelectionLimits(
        size_max_arcmin=chosen.size_max_arcmin or 0.0,
        separation_max_arcmin=chosen.separation_max_arcmin or 0.0,
        flux_min_jy=chosen.flux_min_jy or 0.0,
        flux_min_for_merging_jy=chosen.flux_min_for_merging_jy,
        ndir_max=chosen.ndir_max,
        minimize_nonuniformity=chosen.minimize_nonuniformity,
        max_radius_deg=observation.fwhm_deg(observation.bands[-1].freq_hz) if radius is None else radius,
    )
