"""Facets: the cells around the directions that tile the field, and patches outside it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from factor.directions.edges import Claims, calibrator_radius_deg, make_claims
from factor.directions.geometry import FieldGeometry, Floats, Ints, to_plane, to_sky
from factor.directions.model import Direction, Facet, Source
from factor.directions.target import Target
from factor.directions.tessellation import tessellate
from factor.errors import InputError

#: A patch is this part of its calibrator's image.
PATCH_FRACTION = 0.6

#: Side of a patch when nothing is known about its calibrator.
_DEFAULT_PATCH_DEG = 0.1

#: Directions closer than this are one direction.
_MIN_SEPARATION_DEG = 1.0 / 3600.0

#: Corners of the polygon that stands for the ellipse.
_ELLIPSE_CORNERS = 360


def make_facets(
    directions: Sequence[Direction],
    sources: Sequence[Source],
    field: FieldGeometry,
    *,
    check_edges: bool = True,
    cal_image_deg: Mapping[str, float] | None = None,
    target: Target | None = None,
) -> tuple[Facet, ...]:
    """Divide the field among the directions.

    Inside the ellipse each point belongs to the nearest direction (Voronoi cells in the
    tangent plane of the field's centre); with ``check_edges`` the edges bend around sources.
    The facets tile the ellipse, each of one polygon without holes. Directions outside the
    ellipse, and outliers, become square patches.

    Parameters
    ----------
    directions : sequence of Direction
    sources : sequence of Source
        What edges avoid.
    field : FieldGeometry
        The ellipse.
    check_edges : bool
    cal_image_deg : mapping of str to float, optional
        Side of each calibrator's image, by name of the direction; a patch is 0.6 of it.
    target : Target, optional
        Its circle is kept whole with ``check_edges``, before anything else.

    Returns
    -------
    tuple of Facet
        In the order of the directions.

    Raises
    ------
    InputError
        When two directions lie in the same place.
    """
    centre = (field.ra_deg, field.dec_deg)
    distance = field.distance([d.ra_deg for d in directions], [d.dec_deg for d in directions])
    within = [k for k, d in enumerate(directions) if distance[k] <= 1.0 and not d.is_outlier]
    seeds = [directions[k] for k in within]
    x, y = to_plane([d.ra_deg for d in seeds], [d.dec_deg for d in seeds], centre)
    points = np.stack([x, y], axis=-1)
    _refuse_coincident(seeds, points)
    polygons: dict[int, Floats] = {}
    if seeds:
        claims = _claims(points, seeds, sources, field, target) if check_edges else None
        rings = tessellate(points, _ellipse(field), claims)
        polygons = dict(zip(within, _rings_on_sky(rings, centre), strict=True))
    sizes = cal_image_deg or {}
    facets = [
        _facet(direction, polygons[k], is_patch=False)
        if k in polygons
        else _patch(direction, sizes.get(direction.name))
        for k, direction in enumerate(directions)
    ]
    return _with_contents(facets, sources, target)


def _claims(
    points: Floats,
    seeds: Sequence[Direction],
    sources: Sequence[Source],
    field: FieldGeometry,
    target: Target | None,
) -> Claims:
    """What edges keep away from: the target, calibrators and sources."""
    inside, xy = _sources_in_plane(sources, field)
    radii = np.array([calibrator_radius_deg(d.cal_size_deg, d.cal_flux_jy) for d in seeds])
    return make_claims(points, radii, xy, inside, _circle(target, (field.ra_deg, field.dec_deg)))


def _circle(target: Target | None, centre: tuple[float, float]) -> tuple[float, float, float] | None:
    """The target's circle in the tangent plane, where it is a little larger than on the sky."""
    if target is None:
        return None
    x, y = to_plane(target.ra_deg, target.dec_deg, centre)
    stretch = 1.0 + np.deg2rad(np.hypot(x, y)) ** 2
    return float(x), float(y), float(target.radius_deg * stretch)


def _with_contents(
    facets: Sequence[Facet], sources: Sequence[Source], target: Target | None
) -> tuple[Facet, ...]:
    """The facets with what is known to lie in them."""
    largest = np.zeros(len(facets) + 1)
    owner = facet_of(facets, [s.ra_deg for s in sources], [s.dec_deg for s in sources])
    np.maximum.at(largest, owner, [s.size_arcmin for s in sources])
    holder = -1 if target is None else int(facet_of(facets, target.ra_deg, target.dec_deg)[0])
    return tuple(
        replace(facet, holds_target=k == holder, largest_source_arcmin=float(largest[k]))
        for k, facet in enumerate(facets)
    )


def _refuse_coincident(seeds: Sequence[Direction], points: Floats) -> None:
    from scipy.spatial import cKDTree

    if len(seeds) < 2:
        return
    pairs = sorted(cKDTree(points).query_pairs(_MIN_SEPARATION_DEG))
    if pairs:
        raise InputError(
            [
                f"directions '{seeds[i].name}' and '{seeds[j].name}' lie within 1\" of each other"
                for i, j in pairs
            ],
            "remove one of each pair from the directions file",
        )


def _sources_in_plane(sources: Sequence[Source], field: FieldGeometry) -> tuple[list[Source], Floats]:
    """The sources that lie in the ellipse, and where."""
    ra, dec = [s.ra_deg for s in sources], [s.dec_deg for s in sources]
    kept = field.distance(ra, dec) <= 1.0
    x, y = to_plane(ra, dec, (field.ra_deg, field.dec_deg))
    inside = [source for source, keep in zip(sources, kept, strict=True) if keep]
    return inside, np.stack([x[kept], y[kept]], axis=-1)


def _ellipse(field: FieldGeometry) -> Floats:
    angle = np.linspace(0.0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)
    return np.stack([field.radius_deg * np.cos(angle), field.radius_north_deg * np.sin(angle)], axis=-1)


def _rings_on_sky(rings: Sequence[Floats], centre: tuple[float, float]) -> list[Floats]:
    """Rings on the sky, in which a corner that facets share has the very same numbers."""
    corners, index = np.unique(np.concatenate(rings), axis=0, return_inverse=True)
    sky = np.stack(to_sky(corners[:, 0], corners[:, 1], centre), axis=-1)
    ends = np.cumsum([len(ring) for ring in rings])
    return [sky[part] for part in np.split(index.reshape(-1), ends[:-1])]


def _facet(direction: Direction, polygon: Floats, *, is_patch: bool) -> Facet:
    ra, dec, width = _image_square(polygon)
    return Facet(
        direction=direction,
        vertices=tuple((float(a), float(d)) for a, d in polygon),
        is_patch=is_patch,
        ra_deg=ra,
        dec_deg=dec,
        width_deg=width,
    )


def _image_square(polygon: Floats) -> tuple[float, float, float]:
    """Middle and side of the square, in its own tangent plane, that holds a polygon."""
    centre = (float(polygon[0, 0]), float(polygon[0, 1]))
    # Near a pole the directions of north at the two points differ: this takes a few rounds.
    for _ in range(20):
        x, y = to_plane(polygon[:, 0], polygon[:, 1], centre)
        ra, dec = to_sky((x.min() + x.max()) / 2, (y.min() + y.max()) / 2, centre)
        centre = (float(ra), float(dec))
    x, y = to_plane(polygon[:, 0], polygon[:, 1], centre)
    return (*centre, 2.0 * float(max(np.abs(x).max(), np.abs(y).max())))


def _patch(direction: Direction, image_deg: float | None) -> Facet:
    side = PATCH_FRACTION * image_deg if image_deg else direction.cal_size_deg
    half = (side or _DEFAULT_PATCH_DEG) / 2
    centre = (direction.ra_deg, direction.dec_deg)
    ra, dec = to_sky([half, -half, -half, half], [half, half, -half, -half], centre)
    return Facet(
        direction=direction,
        vertices=tuple((float(a), float(d)) for a, d in zip(ra, dec, strict=True)),
        is_patch=True,
        ra_deg=direction.ra_deg,
        dec_deg=direction.dec_deg,
        width_deg=2.0 * half,
    )


def polygon_in_plane(facet: Facet, centre: tuple[float, float] | None = None) -> Floats:
    """Corners of a facet in a tangent plane (default: that of its own centre).

    Returns
    -------
    numpy.ndarray
        Shape (n, 2): degrees to the east and north.
    """
    sky = np.array(facet.vertices)
    about = (facet.ra_deg, facet.dec_deg) if centre is None else centre
    return np.stack(to_plane(sky[:, 0], sky[:, 1], about), axis=-1)


def extent_deg(facet: Facet) -> tuple[float, float]:
    """Width and height, along RA and Dec, of the box about a facet's centre that holds it."""
    corners = np.abs(polygon_in_plane(facet)).max(axis=0)
    return 2.0 * float(corners[0]), 2.0 * float(corners[1])


def reach_deg(facet: Facet) -> float:
    """Distance of a facet's farthest corner from its centre."""
    return float(np.hypot(*polygon_in_plane(facet).T).max())


def facet_of(facets: Sequence[Facet], ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Ints:
    """Index of the facet that holds each position, -1 for none.

    A patch holds only what lies in no facet of the ellipse.
    """
    import shapely

    ra = np.atleast_1d(np.asarray(ra_deg, dtype=float))
    dec = np.atleast_1d(np.asarray(dec_deg, dtype=float))
    owner = np.full(ra.shape, -1, dtype=np.int64)
    for index in sorted(range(len(facets)), key=lambda k: facets[k].is_patch):
        facet = facets[index]
        polygon = shapely.Polygon(polygon_in_plane(facet))
        shapely.prepare(polygon)
        free = np.flatnonzero(owner == -1)
        x, y = to_plane(ra[free], dec[free], (facet.ra_deg, facet.dec_deg))
        near = np.maximum(np.abs(x), np.abs(y)) <= facet.width_deg / 2 * 1.001
        found = free[near][shapely.intersects_xy(polygon, x[near], y[near])]
        owner[found] = index
    return owner


def neighbours(facets: Sequence[Facet]) -> dict[tuple[int, int], list[Floats]]:
    """Edges that facets of one tessellation share.

    Returns
    -------
    dict
        For each pair of indices into ``facets``, the lower first: polylines, each of shape
        (n, 2) with RA and Dec in degrees.
    """
    sides: dict[frozenset[tuple[float, float]], list[int]] = {}
    for index, facet in enumerate(facets):
        if facet.is_patch:
            continue
        ring = (*facet.vertices, facet.vertices[0])
        for a, b in itertools.pairwise(ring):
            sides.setdefault(frozenset((a, b)), []).append(index)
    shared: dict[tuple[int, int], list[frozenset[tuple[float, float]]]] = {}
    for side, owners in sides.items():
        if len(owners) == 2:
            shared.setdefault((min(owners), max(owners)), []).append(side)
    return {pair: _join_sides(parts) for pair, parts in sorted(shared.items())}


def _join_sides(sides: Sequence[frozenset[tuple[float, float]]]) -> list[Floats]:
    import shapely

    lines = shapely.MultiLineString([sorted(side) for side in sides])
    return [shapely.get_coordinates(line) for line in shapely.get_parts(shapely.line_merge(lines))]
