"""What a mosaic's fluxes and positions are held against: the initial models, a catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from factor.directions.geometry import Floats
from factor.operations.base import Field
from factor.products.fieldcheck.check import (
    ANNULUS,
    KnownSource,
    Reference,
    aperture_radius_deg,
    lonely_brightest,
)
from factor.products.images.image import read_beam
from factor.products.models.catalogues import catalogue_of_field
from factor.products.models.skymodel import Components, concatenate, flux_at
from factor.products.models.sources import group_sources


def references_of(field: Field, mosaic: Path, freq_hz: float) -> tuple[Reference, ...]:
    """The sources that a mosaic is checked with, their fluxes at its frequency.

    Parameters
    ----------
    field : Field
    mosaic : Path
        Its beam tells how far apart sources must be.
    freq_hz : float
        The mosaic's frequency.

    Returns
    -------
    tuple of Reference
        The initial models' compact sources (apparent fluxes; their positions are those of an
        image of low resolution), and those of ``astrometry_catalogue`` (true fluxes).
    """
    radius_deg = aperture_radius_deg(read_beam(mosaic).bmaj_deg)
    references = [_initial_models(field, freq_hz, radius_deg)]
    path = field.settings.calibration.astrometry_catalogue
    if path is not None:
        centre = (field.geometry.ra_deg, field.geometry.dec_deg)
        catalogue = catalogue_of_field(path, centre, field.geometry.radius_north_deg)
        places = (catalogue.ra_deg, catalogue.dec_deg, catalogue.flux_at(freq_hz))
        names = [f"row {k}" for k in range(len(catalogue))]
        references.append(Reference("catalogue", False, _chosen(names, places, radius_deg)))
    return tuple(references)


def _chosen(
    names: list[str], places: tuple[Floats, Floats, Floats], radius_deg: float
) -> tuple[KnownSource, ...]:
    """The brightest sources whose annulus is free of others."""
    indices = lonely_brightest(*places, ANNULUS[1] * radius_deg)
    ra, dec, flux = places
    return tuple(KnownSource(names[k], float(ra[k]), float(dec[k]), float(flux[k])) for k in indices)


def _initial_models(field: Field, freq_hz: float, radius_deg: float) -> Reference:
    bands = {band.skymodel: band.freq_hz for band in field.observation.bands}
    names: list[str] = []
    values: list[tuple[float, float, float]] = []
    compact: list[bool] = []
    for facet, models in field.sources.items():
        union = concatenate(list(models.values()))
        labels, sources = group_sources(union)
        fluxes = _fluxes_at(models, bands, labels, freq_hz)
        for k, source in enumerate(sources):
            if fluxes[k] > 0.0:
                names.append(f"{facet}/{source.name.removeprefix('facet_patch_')}")
                values.append((source.ra_deg, source.dec_deg, float(fluxes[k])))
                compact.append(source.size_arcmin / 60.0 <= radius_deg)
    if not names:
        return Reference("initial sky model", True, ())
    ra, dec, flux = np.array(values).T
    is_compact = dict(zip(names, compact, strict=True))
    chosen = _chosen(names, (ra, dec, flux), radius_deg)
    return Reference("initial sky model", True, tuple(s for s in chosen if is_compact[s.name]))


def _fluxes_at(
    models: Mapping[Path, Components], bands: Mapping[Path, float], labels: np.ndarray, freq_hz: float
) -> Floats:
    """Flux of each source at a frequency: a power law through its fluxes in the bands' models."""
    count = int(labels.max(initial=-1)) + 1
    ends = np.cumsum([len(model) for model in models.values()])
    parts = np.split(labels, ends[:-1])
    per_band = np.array(
        [
            np.bincount(part, flux_at(model, bands[path]), count)
            for part, (path, model) in zip(parts, models.items(), strict=True)
        ]
    )
    x = np.log(np.array([bands[path] for path in models]) / freq_hz)
    fluxes = np.asarray(per_band.mean(axis=0))
    fitted = (per_band > 0.0).all(axis=0)
    if np.ptp(x) > 0.0 and fitted.any():
        fluxes[fitted] = np.exp(np.polyfit(x, np.log(per_band[:, fitted]), 1)[1])
    return fluxes
