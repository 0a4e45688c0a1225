"""The sources that a sky model's components make up, and the facets they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from factor.directions.facets import facet_of
from factor.directions.geometry import (
    Floats,
    Ints,
    friends_of_friends,
    positions,
    separation_deg,
    to_plane,
    unit_vectors,
    weighted_centres,
)
from factor.directions.model import Direction, Facet, Source
from factor.products.models.skymodel import Bools, Components, concatenate, flux_at, select

Values = TypeVar("Values", Ints, Bools)

#: Components of one source at the initial models' resolution lie closer than this.
SOURCE_FWHM_ARCSEC = 60.0

#: The size of a source is that of its brightest components, which hold this part of its flux.
_BULK_FRACTION = 0.95

#: A source is compact when this part of its flux lies within its collapsing radius.
_COMPACT_FRACTION = 0.9


def group_sources(components: Components) -> tuple[Ints, list[Source]]:
    """Group components into sources: discs of a diameter of `SOURCE_FWHM_ARCSEC` that overlap.

    Returns
    -------
    labels : numpy.ndarray of int
        For each component, the index of its source.
    sources : list of Source
        The brightest first, named ``facet_patch_<index>``. The flux is the sum over all
        components given: that of one band only if one band's model was given.
    """
    labels = linked(components, SOURCE_FWHM_ARCSEC)
    if not len(labels):
        return labels, []
    flux = np.bincount(labels, components.flux_jy)
    ra, dec = _centres(components, labels)
    order = np.lexsort((dec, ra, -flux))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    labels = rank[labels]
    names = [f"facet_patch_{k}" for k in range(len(order))]
    return labels, _sources(components, labels, names)


def sources_from_patches(components: Components) -> tuple[Ints, list[Source]]:
    """Sources of a model whose patches are its sources; as `group_sources`, in order of name.

    Components without a patch are sources of their own.
    """
    patches = np.where(components.patch == "", components.name, components.patch)
    names, labels = np.unique(patches, return_inverse=True)
    labels = labels.reshape(-1).astype(np.int64)
    return labels, _sources(components, labels, [str(name) for name in names])


def linked(components: Components, fwhm_arcsec: float) -> Ints:
    """Labels of components with gaps, from rim to rim, shorter than a width, in no special order."""
    return friends_of_friends(
        components.ra_deg,
        components.dec_deg,
        fwhm_arcsec / 3600.0,
        components.major_arcsec / 7200.0,
    )


def _centres(components: Components, labels: Ints) -> tuple[Floats, Floats]:
    return weighted_centres(components.ra_deg, components.dec_deg, components.flux_jy, labels)


def _sources(components: Components, labels: Ints, names: Sequence[str]) -> list[Source]:
    if not names:
        return []
    flux = np.bincount(labels, components.flux_jy, len(names))
    ra, dec = _centres(components, labels)
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(len(names) + 1))
    return [
        Source(
            name=name,
            ra_deg=float(ra[k]),
            dec_deg=float(dec[k]),
            flux_jy=float(flux[k]),
            size_arcmin=_extent_arcmin(components, _bulk(components, order[starts[k] : starts[k + 1]])),
        )
        for k, name in enumerate(names)
    ]


def _bulk(components: Components, members: Ints) -> Ints:
    """The brightest members that hold `_BULK_FRACTION` of the positive flux.

    Clean components of artefacts around a bright source must not make it look extended.
    """
    flux = components.flux_jy[members].clip(min=0.0)
    order = np.argsort(-flux, kind="stable")
    summed = np.cumsum(flux[order])
    count = int(np.searchsorted(summed, _BULK_FRACTION * summed[-1])) + 1
    return np.asarray(members[order[:count]])


def _extent_arcmin(components: Components, members: Ints) -> float:
    """Largest distance between the rims of two components."""
    from scipy.spatial.distance import pdist
    from shapely import MultiPoint, get_coordinates

    major = components.major_arcsec[members] / 60.0
    if len(members) == 1:
        return float(major[0])
    ra, dec = components.ra_deg[members], components.dec_deg[members]
    middle = positions(unit_vectors(ra, dec).sum(axis=0, keepdims=True))
    x, y = to_plane(ra, dec, (float(middle[0][0]), float(middle[1][0])))
    angles = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    rim_x = x[:, None] * 60.0 + major[:, None] / 2 * np.cos(angles)
    rim_y = y[:, None] * 60.0 + major[:, None] / 2 * np.sin(angles)
    if not np.all(np.isfinite(rim_x)):
        return 180.0 * 60.0
    points = np.unique(np.stack([rim_x.ravel(), rim_y.ravel()], axis=-1), axis=0)
    if len(points) < 2:
        return 0.0
    hull = get_coordinates(MultiPoint(points).convex_hull) if len(points) > 30 else points
    return float(pdist(hull).max())


def assign_sources(models: Mapping[str, Components], facets: Sequence[Facet]) -> dict[str, Ints]:
    """The facet that each component of some models belongs to.

    Sources, not components, belong to facets: a source is made of the components of all
    models, and its flux-weighted centre decides, so that it falls to the same facet in every
    band. A patch facet gets what lies in its square and in no facet of the ellipse.

    Parameters
    ----------
    models : mapping of str to Components
        The model of each band.
    facets : sequence of Facet

    Returns
    -------
    dict of str to numpy.ndarray of int
        For each model, the index into ``facets`` of each component, or -1 for outside all.
    """
    union = concatenate(list(models.values()))
    labels = linked(union, SOURCE_FWHM_ARCSEC)
    owner = np.zeros(0, dtype=np.int64)
    if len(labels):
        owner = facet_of(facets, *_centres(union, labels))[labels]
    return _by_model(models, owner)


def _by_model(models: Mapping[str, Components], values: Values) -> dict[str, Values]:
    """Values of all components, one model after the other, by model."""
    ends = np.cumsum([len(model) for model in models.values()])
    return dict(zip(models, np.split(values, ends[:-1]) if models else [], strict=True))


def calibrator_components(
    models: Mapping[str, Components], direction: Direction, cal_size_deg: float | None = None
) -> dict[str, Bools]:
    """The components of a facet that belong to its calibrator.

    Parameters
    ----------
    models : mapping of str to Components
        The model of each band, the facet's own components only.
    direction : Direction
    cal_size_deg : float, optional
        Side of the calibrator's box around the direction (default: the direction's own).

    Returns
    -------
    dict of str to numpy.ndarray of bool
        True for the components of sources (whole ones, over all bands) whose flux-weighted
        centre lies in the box.
    """
    size = direction.cal_size_deg if cal_size_deg is None else cal_size_deg
    if not size:
        raise ValueError(f"the size of calibrator '{direction.name}' is not known")
    union = concatenate(list(models.values()))
    labels = linked(union, SOURCE_FWHM_ARCSEC)
    inside = np.zeros(len(union), dtype=np.bool_)
    if len(labels):
        x, y = to_plane(*_centres(union, labels), (direction.ra_deg, direction.dec_deg))
        inside = (np.maximum(np.abs(x), np.abs(y)) <= size / 2)[labels]
    return _by_model(models, inside)


def collapse_compact(components: Components, beam_arcsec: float) -> Components:
    """Collapse every compact source to one point, for the first solve's model only.

    A model made at low resolution has its clean components on coarse pixels; a solve at full
    resolution would move the source onto the brightest of them. A source is compact when nine
    tenths of its flux lie within 0.75 beam of its flux-weighted centroid; what lies further
    than 1.5 beams from there stays as it is.

    Parameters
    ----------
    components : Components
    beam_arcsec : float
        Resolution of the image from which the model comes (FWHM).

    Returns
    -------
    Components
        With one point of the summed flux and the summed spectrum for each compact source.
    """
    labels = linked(components, beam_arcsec)
    kept = np.ones(len(components), dtype=np.bool_)
    points: list[Components] = []
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels) if len(labels) else np.zeros(0, dtype=np.int64)
    for members in np.split(order, np.cumsum(counts)[:-1]) if len(labels) else []:
        merged = _collapsible(components, members, beam_arcsec)
        if len(merged):
            kept[merged] = False
            points.append(_one_point(select(components, merged)))
    return concatenate([*points, select(components, kept)])


def _collapsible(components: Components, members: Ints, beam_arcsec: float) -> Ints:
    """Those of a source's components to collapse: none unless the source is compact."""
    none = np.zeros(0, dtype=np.int64)
    single = len(members) == 1
    if single and components.major_arcsec[members[0]] == 0.0:
        return none
    used = members
    for _ in range(3):
        part = select(components, used)
        centre = _centres(part, np.zeros(len(part), dtype=np.int64))
        distance = 3600.0 * separation_deg(
            components.ra_deg[members], components.dec_deg[members], centre[0], centre[1]
        )
        near = members[distance <= 1.5 * beam_arcsec]
        if not len(near) or np.array_equal(near, used):
            break
        used = near
    weight = np.abs(components.flux_jy[members])
    reach = distance + components.major_arcsec[members] / 2
    inner = weight[reach <= 0.75 * beam_arcsec].sum()
    return used if inner >= _COMPACT_FRACTION * weight.sum() > 0.0 else none


def _one_point(parts: Components) -> Components:
    """One point with the summed flux and spectrum of some components, at their centroid."""
    brightest = int(np.argmax(parts.flux_jy))
    one = select(parts, np.array([brightest]))
    ra, dec = _centres(parts, np.zeros(len(parts), dtype=np.int64))
    zero = np.zeros(1)
    point = replace(
        one,
        type=np.array(["POINT"], dtype=np.str_),
        ra_deg=ra,
        dec_deg=dec,
        major_arcsec=zero,
        minor_arcsec=zero,
        orientation_deg=zero,
    )
    freq = float(one.reference_freq_hz[0])
    same = bool(np.all(parts.reference_freq_hz == freq)) and not np.any(parts.logarithmic_si)
    if same or freq <= 0.0:
        terms = parts.spectral_index.sum(axis=0, keepdims=True)
        return replace(point, flux_jy=parts.flux_jy.sum(keepdims=True), spectral_index=terms)
    return _with_summed_spectrum(point, parts, freq)


def _with_summed_spectrum(point: Components, parts: Components, freq_hz: float) -> Components:
    """Fit the sum of spectra around a frequency: a slope and a curvature of its logarithm."""
    total = float(flux_at(parts, freq_hz).sum())
    x = np.array([0.9, 1.1])
    around = np.array([flux_at(parts, freq_hz * f).sum() for f in x])
    if total == 0.0 or np.any(around / total <= 0.0):
        terms = np.zeros((1, 2))
    else:
        # log10(S / S0) / log10(x) = c1 + c2 log10(x), at two points.
        slopes = np.log10(around / total) / np.log10(x)
        curvature = (slopes[1] - slopes[0]) / (np.log10(x[1]) - np.log10(x[0]))
        terms = np.array([[slopes[0] - curvature * np.log10(x[0]), curvature]])
    return replace(
        point,
        flux_jy=np.array([total]),
        spectral_index=terms,
        logarithmic_si=np.array([True]),
        reference_freq_hz=np.array([freq_hz]),
    )
