"""The layout of a run: which directions, which facets around them, which sources in each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.facets import make_facets
from factor.directions.file import format_position
from factor.directions.geometry import FieldGeometry
from factor.directions.model import Direction, Facet
from factor.directions.regions import write_calimage_regions, write_facet_regions
from factor.directions.target import Target, is_cut, with_target
from factor.errors import InputError
from factor.execution.step import digest
from factor.observation.model import Observation
from factor.operations.base import Field
from factor.operations.layout.choosing import choose_directions, known_sources
from factor.operations.layout.peeled import add_outliers, peel_models
from factor.parset import Settings
from factor.products.models.catalogues import catalogue_of_field
from factor.products.models.skymodel import Components, flux_at, read, select
from factor.products.models.sources import assign_sources, calibrator_components
from factor.state.layout import Layout, load_layout, save_layout
from factor.tuning.images import INNER_FRACTION, calibrator_image_size, inner_width_deg
from factor.workspace import Workspace

log = logging.getLogger("factor.layout")

_ALL_NEW = "begin again with the new facets: runfactor -r all"

Models = Mapping[Path, Components]


def lay_out(
    settings: Settings, workspace: Workspace, observation: Observation, *, keep: bool = True
) -> Field:
    """Choose directions, divide the field among them, and give each its sources.

    Parameters
    ----------
    settings : Settings
        The parset.
    workspace : Workspace
        The working directory.
    observation : Observation
        Bands and chunks.
    keep : bool
        Write directions, regions and the layout into the working directory.

    Raises
    ------
    InputError
        When the directions or models are no good, or the layout is not that of the
        operations already done.
    """
    models = {band.skymodel: read(band.skymodel) for band in observation.bands}
    sources = known_sources(settings, observation, models)
    geometry = field_geometry(settings, observation)
    _check_catalogue(settings, geometry)
    directions = choose_directions(settings, workspace, observation, sources, geometry, keep=keep)
    directions, outlying = add_outliers(settings, directions, lambda d: image_width_deg(settings, d))
    target = target_of(settings)
    directions = _add_target(settings, directions, target, geometry)
    sizes = _widths(settings, (*outlying, *directions))
    facets = make_facets(
        directions,
        sources,
        geometry,
        check_edges=settings.directions.check_edges,
        cal_image_deg=sizes,
        target=target,
    )
    _tell_of_target(target, facets, geometry)
    outliers = make_facets(outlying, (), geometry, cal_image_deg=sizes)
    shares = _shares(models, facets, outliers)
    calibrators = {facet.name: _calibrators(settings, shares, facet) for facet in (*outliers, *facets)}
    fluxes = {name: _middle_flux_jy(observation, parts) for name, parts in calibrators.items()}
    peeled = peel_models(settings, outlying, fluxes, sizes, directions)
    field = Field(
        settings=settings,
        workspace=workspace,
        observation=observation,
        facets=facets,
        geometry=geometry,
        sources=shares,
        calibrators=calibrators,
        outliers=outliers,
        peel_models=peeled,
    )
    if keep:
        _keep_layout(field)
        _write_regions(workspace, facets, outlying, sizes)
    return field


def _check_catalogue(settings: Settings, geometry: FieldGeometry) -> None:
    """Refuse a catalogue that cannot be read or is of another field."""
    path = settings.calibration.astrometry_catalogue
    if path is not None:
        centre = (geometry.ra_deg, geometry.dec_deg)
        found = len(catalogue_of_field(path, centre, geometry.radius_north_deg))
        log.info("astrometry_catalogue: %d sources in the field", found)


def _widths(settings: Settings, directions: tuple[Direction, ...]) -> dict[str, float]:
    return {d.name: image_width_deg(settings, d) for d in directions}


def _write_regions(
    workspace: Workspace,
    facets: tuple[Facet, ...],
    outlying: tuple[Direction, ...],
    sizes: Mapping[str, float],
) -> None:
    write_facet_regions(facets, workspace.facets_region)
    directions = (*outlying, *(facet.direction for facet in facets))
    boxes = [replace(d, cal_size_deg=INNER_FRACTION * sizes[d.name]) for d in directions]
    write_calimage_regions(boxes, sizes, workspace.calimages_region)


def target_of(settings: Settings) -> Target | None:
    """The target that the parset names."""
    chosen = settings.directions
    if chosen.target_ra is None or chosen.target_dec is None or chosen.target_radius_arcmin is None:
        return None
    return Target(chosen.target_ra, chosen.target_dec, chosen.target_radius_arcmin / 60.0)


def _add_target(
    settings: Settings, directions: tuple[Direction, ...], target: Target | None, geometry: FieldGeometry
) -> tuple[Direction, ...]:
    if target is None:
        return directions
    own_facet = settings.directions.target_has_own_facet
    return with_target(directions, target, geometry, own_facet=own_facet)


def _tell_of_target(target: Target | None, facets: tuple[Facet, ...], geometry: FieldGeometry) -> None:
    """Say which facet holds the target, and whether its circle could be kept whole."""
    if target is None:
        return
    facet = next(facet for facet in facets if facet.holds_target)
    log.info("the target lies in the facet of %s", facet.name)
    if is_cut(target, facet, geometry):
        log.warning("facet edges cross the target's circle: lower target_radius_arcmin, or set check_edges")


def field_geometry(settings: Settings, observation: Observation) -> FieldGeometry:
    """The ellipse in which directions get facets."""
    radius = settings.directions.faceting_radius_deg
    if radius is None:
        radius = 1.25 * observation.fwhm_deg(observation.bands[-1].freq_hz) / 2.0
    return FieldGeometry(
        observation.ra_deg, observation.dec_deg, radius, observation.mean_elevation_rad
    )


def image_width_deg(settings: Settings, direction: Direction) -> float:
    """Side of a calibrator's image."""
    cellsize = settings.imaging.selfcal_cellsize_arcsec
    size = direction.cal_imsize or calibrator_image_size(direction.cal_size_deg or 0.0, cellsize)
    return size * cellsize / 3600.0


def _shares(
    models: Models, facets: tuple[Facet, ...], outliers: tuple[Facet, ...]
) -> dict[str, dict[Path, Components]]:
    # What is peeled as an outlier is in no facet, wherever it lies.
    facets = (*(replace(outlier, is_patch=False) for outlier in outliers), *facets)
    owners = assign_sources({str(path): model for path, model in models.items()}, facets)
    return {
        facet.name: {
            path: select(model, owners[str(path)] == index) for path, model in models.items()
        }
        for index, facet in enumerate(facets)
    }


def _calibrators(
    settings: Settings, shares: Mapping[str, Models], facet: Facet
) -> dict[Path, Components]:
    own = shares[facet.name]
    if facet.direction.is_outlier:
        return dict(own)
    if facet.direction.is_target:
        return {path: select(model, np.zeros(len(model), dtype=np.bool_)) for path, model in own.items()}
    if not any(len(model) for model in own.values()):
        raise InputError(
            f"direction {facet.name}: its facet holds no source of the initial sky models",
            "correct its position in the directions file, or remove it",
        )
    cellsize = settings.imaging.selfcal_cellsize_arcsec
    size = round(image_width_deg(settings, facet.direction) * 3600.0 / cellsize)
    chosen = calibrator_components(
        {str(path): model for path, model in own.items()},
        facet.direction,
        inner_width_deg(size, cellsize),
    )
    return {path: select(model, chosen[str(path)]) for path, model in own.items()}


def _tell_facets(facets: tuple[Facet, ...]) -> None:
    """Say where the directions are, and how large their facets."""
    for facet in facets:
        direction = facet.direction
        flux = f"{direction.cal_flux_jy:.2f} Jy" if direction.cal_flux_jy else "flux not given"
        kind = ", a patch outside the field: calibrated, not imaged" if facet.is_patch else ""
        kind = ", an outlier: peeled, not imaged" if direction.is_outlier else kind
        log.info(
            "%s: %s at %s, facet %.2f deg wide%s",
            facet.name, "a target, not calibrated" if direction.is_target else f"calibrator of {flux}",
            format_position(direction.ra_deg, direction.dec_deg), facet.width_deg, kind,
        )  # fmt: skip


def _middle_flux_jy(observation: Observation, models: Models) -> float:
    """Apparent flux of some components in the middle band."""
    middle = models[observation.bands[len(observation.bands) // 2].skymodel]
    return float(flux_at(middle, observation.mid_freq_hz).sum())


def check_layout(field: Field) -> None:
    """Refuse a layout that is not that of what was done.

    Only of directions with records are facet and sources to stay: others may come and go.

    Raises
    ------
    InputError
        Naming the directions whose facets or sources have changed.
    """
    workspace, layout = field.workspace, _layout(field)
    kept = load_layout(workspace)
    if kept is None:
        return
    shapes, sources = layout.facets, layout.sources
    # An earlier version kept no sources.
    before, held = kept.facets, kept.sources or sources
    begun = {direction for _, direction in workspace.records()} & {*shapes, *before}
    changed = sorted(
        name
        for name in begun
        if (shapes.get(name), sources.get(name)) != (before.get(name), held.get(name))
    )
    if changed:
        raise InputError(
            f"the facets are not those of what this run has done (changed: {', '.join(changed)})",
            "give back the directions and options of before (and reset these directions with them, "
            f"runfactor -r {','.join(changed)}, if they are to change), or {_ALL_NEW}",
        )


def _keep_layout(field: Field) -> None:
    """Note the layout, or refuse it; say what is new."""
    check_layout(field)
    kept, layout = load_layout(field.workspace), _layout(field)
    save_layout(field.workspace, layout)
    if kept is None or kept.facets != layout.facets:
        _tell_facets((*field.outliers, *field.facets))


def _layout(field: Field) -> Layout:
    """Fingerprints of each direction's facet, and of its sources."""
    facets = (*field.outliers, *field.facets)
    return Layout(
        facets={
            facet.name: digest(str([(round(ra, 6), round(dec, 6)) for ra, dec in facet.vertices]))
            + (" peeled" if facet.name in field.peel_models else "")
            for facet in facets
        },
        sources={
            facet.name: digest(
                *(str(name) for model in field.sources[facet.name].values() for name in model.name)
            )
            for facet in facets
        },
    )
