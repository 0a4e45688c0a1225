"""Where facet edges must not run: discs around calibrators and sources, and who owns them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factor.directions.geometry import Floats, Ints
from factor.directions.model import Source

#: Edges keep away by this many times a source's radius.
SIZE_MARGIN = 1.2

#: Resolution of the initial sky models, the unit of the smallest distances.
BEAM_ARCSEC = 25.0

#: Beams that edges keep from the faintest and from the brightest sources.
MIN_BEAMS, MAX_BEAMS = 2.0, 10.0

#: Flux from which on a source gets the largest distance; artefacts reach as far as flux^0.5.
_BRIGHT_JY = 1.0

#: A source's disc ends short of the second nearest direction, by this factor.
_SHORT_OF_DIRECTION = 0.9

#: Corners of the polygon that is drawn around a disc, and how far they reach out of it.
DISC_CORNERS = 24
CORNER_REACH = 1.0 / np.cos(np.pi / DISC_CORNERS)


@dataclass(frozen=True, eq=False)
class Claims:
    """Discs in the tangent plane that belong wholly to one facet, the most important first.

    Attributes
    ----------
    x_deg, y_deg, radius_deg : numpy.ndarray
        Shape (n,).
    owner : numpy.ndarray of int
        Index of the facet that gets the disc.
    is_calibrator : numpy.ndarray of bool
        True for the disc of a facet's own calibrator, and for the target's circle.
    """

    x_deg: Floats
    y_deg: Floats
    radius_deg: Floats
    owner: Ints
    is_calibrator: np.ndarray

    def __len__(self) -> int:
        return len(self.owner)

    def where(self, mask: np.ndarray) -> Claims:
        """Those claims that a mask names."""
        return Claims(
            self.x_deg[mask],
            self.y_deg[mask],
            self.radius_deg[mask],
            self.owner[mask],
            self.is_calibrator[mask],
        )


def avoidance_radius_deg(source: Source) -> float:
    """Radius around a source that no edge may enter."""
    return _avoidance_deg(source.size_arcmin / 60.0, source.flux_jy)


def _avoidance_deg(size_deg: float, flux_jy: float) -> float:
    beams = MAX_BEAMS * np.sqrt(max(flux_jy, 0.0) / _BRIGHT_JY)
    least = float(np.clip(beams, MIN_BEAMS, MAX_BEAMS)) * BEAM_ARCSEC / 3600.0
    return max(SIZE_MARGIN * size_deg / 2, least)


def calibrator_radius_deg(cal_size_deg: float | None, cal_flux_jy: float | None) -> float:
    """Radius around a direction that stays in its own facet."""
    return _avoidance_deg(cal_size_deg or 0.0, cal_flux_jy or 0.0)


def make_claims(
    points: Floats,
    calibrator_radii: Floats,
    xy: Floats,
    sources: Sequence[Source],
    circle: tuple[float, float, float] | None = None,
) -> Claims:
    """The discs that matter for the edges between the cells around some points.

    A disc belongs to the cell that holds its centre, unless it overlaps that of something
    more important (the target, a calibrator, a brighter source): then both go to one facet.

    Parameters
    ----------
    points : numpy.ndarray
        Directions in the tangent plane, shape (m, 2), degrees.
    calibrator_radii : numpy.ndarray
        Radius around each direction that stays in its own facet, shape (m,), degrees.
    xy : numpy.ndarray
        Sources in the tangent plane, shape (n, 2), degrees.
    sources : sequence of Source
    circle : (x, y, radius), optional
        The target's circle; it holds at most one direction.
    """
    if len(points) < 2:
        empty = np.zeros(0)
        none = np.zeros(0, dtype=np.int64)
        return Claims(empty, empty, empty, none, np.zeros(0, dtype=np.bool_))
    order = np.argsort([-s.flux_jy for s in sources], kind="stable").astype(np.int64)
    xy = xy[order]
    radii = np.array([avoidance_radius_deg(sources[k]) for k in order])
    distances = np.linalg.norm(xy[:, None, :] - points[None, :, :], axis=-1)
    second = np.partition(distances, 1, axis=1)[:, 1]
    radii = np.minimum(radii, _SHORT_OF_DIRECTION * second)
    circles = np.array([circle] if circle is not None else []).reshape(-1, 3)
    fixed = len(circles) + len(points)
    centres = np.concatenate([circles[:, :2], points, xy])
    radius = np.concatenate([circles[:, 2], _disjoint(points, calibrator_radii), radii])
    of_circle = [_nearest_rim(row, points, calibrator_radii) for row in circles]
    holder = np.concatenate([of_circle, np.arange(len(points)), distances.argmin(axis=1)]).astype(np.int64)
    pairs = _overlaps(centres, CORNER_REACH * radius)
    owner = _join_owners(holder, fixed, centres, radius, pairs)
    active = (_room(points, centres, holder) < radius) | (owner != holder)
    active[: len(circles)] = True
    fainter, brighter = pairs
    contested = owner[fainter] != owner[brighter]
    touched = active.copy()
    touched[fainter[contested & active[brighter]]] = True
    touched[brighter[contested & active[fainter]]] = True
    is_calibrator = np.arange(len(centres)) < fixed
    return Claims(centres[:, 0], centres[:, 1], radius, owner, is_calibrator).where(touched)


def _nearest_rim(circle: Floats, points: Floats, radii: Floats) -> int:
    """The direction that a circle belongs to: the one within it, else that with the nearest disc."""
    apart = np.linalg.norm(points - circle[:2], axis=-1)
    return int(np.argmin(np.where(apart <= circle[2], -np.inf, apart - radii)))


def _disjoint(points: Floats, radii: Floats) -> Floats:
    """Radii made small enough that no two discs overlap."""
    apart = np.linalg.norm(points[:, None, :] - points[None, :, :], axis=-1)
    np.fill_diagonal(apart, np.inf)
    share = 0.99 * apart / (radii[:, None] + radii[None, :])
    return np.asarray(radii * np.minimum(1.0, share.min(axis=1)))


def _overlaps(centres: Floats, radii: Floats) -> tuple[Ints, Ints]:
    """Pairs of overlapping discs: the later (fainter) and the earlier (brighter) one."""
    import shapely

    boxes = shapely.box(
        centres[:, 0] - radii, centres[:, 1] - radii, centres[:, 0] + radii, centres[:, 1] + radii
    )
    first, second = shapely.STRtree(boxes).query(boxes)
    apart = np.linalg.norm(centres[first] - centres[second], axis=-1)
    kept = (second < first) & (apart < radii[first] + radii[second])
    return first[kept].astype(np.int64), second[kept].astype(np.int64)


def _join_owners(holder: Ints, fixed: int, centres: Floats, radii: Floats, pairs: tuple[Ints, Ints]) -> Ints:
    """Give each source to the facet of the more important disc that it overlaps most."""
    owner = holder.copy()
    brighter: dict[int, list[int]] = defaultdict(list)
    for late, early in zip(*pairs, strict=True):
        brighter[int(late)].append(int(early))
    for late in sorted(brighter):
        if late < fixed:
            continue
        others = np.array(sorted(brighter[late]))
        depth = radii[others] - np.linalg.norm(centres[others] - centres[late], axis=-1)
        owner[late] = owner[others[int(np.argmax(depth))]]
    return owner


def _room(points: Floats, centres: Floats, holder: Ints) -> Floats:
    """Distance from each centre to the nearest edge of the Voronoi cell that holds it."""
    squared = ((centres[:, None, :] - points[None, :, :]) ** 2).sum(axis=-1)
    between = np.linalg.norm(points[holder][:, None, :] - points[None, :, :], axis=-1)
    rows = np.arange(len(centres))
    between[rows, holder] = np.inf
    own = squared[rows, holder][:, None]
    gaps = (squared - own) / (2.0 * between)
    gaps[rows, holder] = np.inf
    return np.asarray(gaps.min(axis=1))
