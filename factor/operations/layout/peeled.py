"""Which directions are peeled, and with which models: decided before anything runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.file import read_directions
from factor.directions.geometry import to_plane
from factor.directions.model import Direction
from factor.errors import InputError
from factor.parset import Settings
from factor.products.models.apparent import model_centre
from factor.products.models.skymodel import read
from factor.skymodels.bundled import find_bundled

log = logging.getLogger("factor.layout")

Directions = tuple[Direction, ...]


def add_outliers(
    settings: Settings, directions: Directions, width_deg: Callable[[Direction], float]
) -> tuple[Directions, Directions]:
    """The directions that get facets or patches, and the outliers, those of their own file first.

    Parameters
    ----------
    settings : Settings
        The parset.
    directions : tuple of Direction
        What was selected or given.
    width_deg : callable
        Side of a direction's image.

    Raises
    ------
    InputError
        When a name of ``outliers_file`` is that of another direction.
    """
    given = settings.directions.outliers_file
    added = () if given is None else tuple(replace(d, is_outlier=True) for d in read_directions(given))
    taken = {d.name for d in directions}
    problems = [
        f"{given}: the name '{d.name}' is that of another direction" for d in added if d.name in taken
    ]
    if problems:
        raise InputError(problems, "give these outliers other names")
    outliers = added + tuple(d for d in directions if d.is_outlier)
    others = tuple(d for d in directions if not d.is_outlier)
    return _without(others, outliers, width_deg), outliers


def _without(
    directions: Directions, outliers: Directions, width_deg: Callable[[Direction], float]
) -> Directions:
    """The directions that are not in the image of an outlier: they would be the same source."""
    kept = []
    for direction in directions:
        at = next((o for o in outliers if _inside(direction, o, width_deg(o))), None)
        if at is None:
            kept.append(direction)
        else:
            log.info("%s is left out of the directions: it is the outlier %s", direction.name, at.name)
    return tuple(kept)


def peel_models(
    settings: Settings,
    outliers: Directions,
    flux_jy: Mapping[str, float],
    width_deg: Mapping[str, float],
    directions: Sequence[Direction],
) -> dict[str, Path]:
    """The model of each direction that is peeled.

    Parameters
    ----------
    settings : Settings
        The parset.
    outliers : tuple of Direction
        They are always peeled.
    flux_jy : mapping of name to float
        Apparent flux of each calibrator in the initial models.
    width_deg : mapping of name to float
        Side of each direction's image.
    directions : sequence of Direction
        Those above ``peel_flux_Jy`` are peeled if there is a model.

    Raises
    ------
    InputError
        When an outlier has no model, or a model is that of a source elsewhere.
    """
    models = {o.name: _model(o) for o in outliers}
    missing = [o for o in outliers if models[o.name] is None]
    if missing:
        raise InputError(
            [f"{_file_of(settings, o)}, row '{o.name}': the outlier has no model" for o in missing],
            "name a sky model of true flux densities in the column peel_skymodel (there are bundled "
            "ones of 3C48, 3C147, 3C196, 3C286, 3C295 and 3C380)",
        )
    limit = settings.calibration.peel_flux_jy
    for direction in directions:
        flux = direction.cal_flux_jy or flux_jy.get(direction.name, 0.0)
        if flux > limit:
            models[direction.name] = _model(direction)
            if models[direction.name] is None:
                log.warning(
                    "%s: %.1f Jy is above peel_flux_Jy (%.1f Jy) but there is no model to peel it with: "
                    "it is self-calibrated", direction.name, flux, limit,
                )  # fmt: skip
        elif direction.peel_skymodel is not None:
            log.info(
                "%s: %.1f Jy is not above peel_flux_Jy (%.1f Jy): it is self-calibrated",
                direction.name, flux, limit,
            )  # fmt: skip
    found = {name: model for name, model in models.items() if model is not None}
    _check_places([*outliers, *directions], found, width_deg)
    return found


def _model(direction: Direction) -> Path | None:
    """The model that the directions file names, or the bundled one of that place."""
    if direction.peel_skymodel is not None:
        return Path(direction.peel_skymodel)
    return find_bundled(direction.ra_deg, direction.dec_deg)


def _check_places(
    directions: Sequence[Direction], models: Mapping[str, Path], width_deg: Mapping[str, float]
) -> None:
    problems = []
    for direction in directions:
        path = models.get(direction.name)
        if path is None:
            continue
        components = read(path)
        if not len(components):
            problems.append(f"{path}: the sky model has no components")
            continue
        ra, dec = model_centre(components)
        if not _inside(replace(direction, ra_deg=ra, dec_deg=dec), direction, width_deg[direction.name]):
            problems.append(
                f"{path}: the source of this model, at {ra:.4f} {dec:+.4f} deg, is not the direction "
                f"{direction.name}, at {direction.ra_deg:.4f} {direction.dec_deg:+.4f} deg"
            )
    if problems:
        raise InputError(problems, "correct the position or the model in the directions file")


def _inside(direction: Direction, other: Direction, width_deg: float) -> bool:
    """Whether a direction lies in the image of another one."""
    x, y = to_plane(direction.ra_deg, direction.dec_deg, (other.ra_deg, other.dec_deg))
    distance = float(np.maximum(np.abs(x), np.abs(y)))
    return np.isfinite(distance) and distance <= width_deg / 2.0


def _file_of(settings: Settings, outlier: Direction) -> Path | None:
    given = settings.directions.outliers_file
    if given is not None and any(d.name == outlier.name for d in read_directions(given)):
        return given
    return settings.directions.directions_file
