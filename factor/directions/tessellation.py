"""Cells around points that tile a region, with edges that bend around discs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from factor.directions.edges import CORNER_REACH, DISC_CORNERS, Claims
from factor.directions.geometry import Floats, Ints

#: Corners are put on a grid this fine (in degrees), so that cells meet exactly.
_GRID_DEG = 1e-9


def tessellate(points: Floats, outline: Floats, claims: Claims | None = None) -> list[Floats]:
    """Divide a convex region among some points.

    Parameters
    ----------
    points : numpy.ndarray
        Shape (m, 2), different points inside the outline.
    outline : numpy.ndarray
        Corners of the region, shape (n, 2).
    claims : Claims, optional
        Discs that belong wholly to one cell.

    Returns
    -------
    list of numpy.ndarray
        The ring of each point's cell, counterclockwise and not closed. Cells have no holes,
        do not overlap, and leave no gap; each consists of one piece.
        Claims that would make one cell enclose another are given up.
    """
    while True:
        cells = _divide(points, outline, claims)
        holed = [k for k, cell in enumerate(cells) if len(cell.interiors)]
        if not holed:
            return [_ring(cell) for cell in cells]
        if claims is None or not len(claims):
            raise ValueError("cells without claims cannot have holes")
        claims = _give_up(claims, {k: cells[k].interiors for k in holed})


def _give_up(claims: Claims, holes: Mapping[int, Any]) -> Claims:
    """Fewer claims, such that no cell should enclose another one.

    First those of sources on the rims of the holes, then all sources' of these cells, then
    all sources', then all.
    """
    import shapely

    discs = shapely.points(claims.x_deg, claims.y_deg)
    of_source = ~claims.is_calibrator
    owned = np.isin(claims.owner, list(holes)) & of_source
    near = np.zeros(len(claims), dtype=np.bool_)
    for cell, rims in holes.items():
        gap = shapely.distance(discs, shapely.MultiLineString(list(rims)))
        near |= (claims.owner == cell) & of_source & (gap <= 1.01 * CORNER_REACH * claims.radius_deg)
    everything = np.ones(len(claims), dtype=np.bool_)
    guilty = next(mask for mask in (near, owned, of_source, everything) if np.any(mask))
    return claims.where(~guilty)


def _ring(cell: Any) -> Floats:
    import shapely

    ring = shapely.get_coordinates(shapely.geometry.polygon.orient(cell))[:-1]
    return np.asarray(ring, dtype=float)


def _divide(points: Floats, outline: Floats, claims: Claims | None) -> list[Any]:
    import shapely

    region = shapely.Polygon(outline)
    discs = _discs(claims)
    lines = [shapely.LinearRing(outline), *(disc.exterior for disc in discs)]
    lines += _bisectors(points, outline)
    network = shapely.unary_union(lines, grid_size=_GRID_DEG)
    faces = np.array(shapely.get_parts(shapely.polygonize(shapely.get_parts(network))))
    inner = shapely.point_on_surface(faces)
    inside = shapely.contains(region, inner)
    faces, inner = faces[inside], shapely.get_coordinates(inner[inside])
    owner = _owners(inner, points, discs, claims)
    return _single_pieces(faces, owner, points)


def _discs(claims: Claims | None) -> list[Any]:
    import shapely

    if claims is None:
        return []
    angle = np.linspace(0.0, 2 * np.pi, DISC_CORNERS, endpoint=False)
    # The polygon is drawn around the disc, not into it.
    circle = CORNER_REACH * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return [
        shapely.Polygon(np.array([x, y]) + radius * circle)
        for x, y, radius in zip(claims.x_deg, claims.y_deg, claims.radius_deg, strict=True)
    ]


def _bisectors(points: Floats, outline: Floats) -> list[Any]:
    """Edges of the Voronoi cells of points, long enough to leave the outline."""
    import shapely
    from scipy.spatial import Voronoi

    if len(points) < 2:
        return []
    # Far points all around close every cell and make collinear points a regular case.
    reach = 30.0 * float(np.abs(outline).max())
    angle = 0.1 + np.linspace(0.0, 2 * np.pi, 8, endpoint=False)
    far = points.mean(axis=0) + reach * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    diagram = Voronoi(np.concatenate([points, far]))
    real = np.all(diagram.ridge_points < len(points), axis=1)
    return [
        shapely.LineString(diagram.vertices[ends])
        for ends, wanted in zip(diagram.ridge_vertices, real, strict=True)
        if wanted and min(ends) >= 0
    ]


def _owners(inner: Floats, points: Floats, discs: list[Any], claims: Claims | None) -> Ints:
    """The cell of each face: of the first claim that covers it, else of the nearest point."""
    import shapely
    from scipy.spatial import cKDTree

    owner = np.asarray(cKDTree(points).query(inner)[1], dtype=np.int64)
    if claims is None or not discs:
        return owner
    face, claim = shapely.STRtree(discs).query(shapely.points(inner), predicate="within")
    first = np.full(len(inner), len(discs), dtype=np.int64)
    np.minimum.at(first, face, claim)
    claimed = first < len(discs)
    owner[claimed] = claims.owner[first[claimed]]
    return owner


def _single_pieces(faces: Any, owner: Ints, points: Floats) -> list[Any]:
    """Join each cell's faces; pieces apart from its point go to the neighbour they touch most."""
    import shapely

    cells: list[Any] = []
    strays: list[Any] = []
    for index, point in enumerate(points):
        parts = shapely.get_parts(shapely.coverage_union_all(faces[owner == index]))
        distances = shapely.distance(parts, shapely.Point(point))
        main = int(np.argmin(distances))
        cells.append(parts[main])
        strays += [part for k, part in enumerate(parts) if k != main]
    while strays:
        left = []
        for stray in strays:
            shared = [_shared_length(stray, cell) for cell in cells]
            best = int(np.argmax(shared))
            if shared[best] > 0.0:
                joined = shapely.coverage_union(cells[best], stray)
                cells[best] = shapely.get_parts(joined)[0]
            else:
                left.append(stray)
        if len(left) == len(strays):
            raise ValueError("pieces of the tessellation touch no cell")
        strays = left
    return cells


def _shared_length(a: Any, b: Any) -> float:
    import shapely

    if not a.intersects(b):
        return 0.0
    return float(shapely.length(shapely.intersection(a.boundary, b.boundary)))
