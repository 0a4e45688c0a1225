"""The target: a circle that no facet edge crosses, in one facet or with a facet of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factor.directions.geometry import FieldGeometry, separation_deg, to_plane, to_sky
from factor.directions.model import Direction, Facet
from factor.errors import InputError

#: Name of the direction that stands for a target with a facet of its own.
TARGET = "target"

#: Points of the circle at which it is checked, and the part of its radius at which they lie.
_CHECKED_POINTS, _CHECKED_RADIUS = 180, 0.999


@dataclass(frozen=True)
class Target:
    """The target's circle on the sky."""

    ra_deg: float
    dec_deg: float
    radius_deg: float

    def holds(self, directions: Sequence[Direction]) -> list[Direction]:
        """The directions that lie within the circle."""
        ra, dec = [d.ra_deg for d in directions], [d.dec_deg for d in directions]
        apart = separation_deg(self.ra_deg, self.dec_deg, ra, dec)
        return [d for d, r in zip(directions, apart, strict=True) if r <= self.radius_deg]


def with_target(
    directions: tuple[Direction, ...], target: Target, field: FieldGeometry, *, own_facet: bool
) -> tuple[Direction, ...]:
    """The directions, at their end one for the target where it is to have a facet of its own.

    Parameters
    ----------
    directions : tuple of Direction
        Those that are calibrated.
    target : Target
        Its circle.
    field : FieldGeometry
        The ellipse in which there are facets.
    own_facet : bool
        Whether the target is to have its own; a direction within its circle makes that so.

    Raises
    ------
    InputError
        When the target lies outside the facets, when its circle holds more than one
        direction, or when another direction has its name.
    """
    if field.distance(target.ra_deg, target.dec_deg) > 1.0:
        raise InputError(
            f"the target (target_ra, target_dec) lies outside the facets, which reach to "
            f"{field.radius_deg:.2f} deg east-west and {field.radius_north_deg:.2f} deg north-south",
            "raise faceting_radius_deg, or correct its position",
        )
    inside = target.holds([d for d in directions if not d.is_outlier])
    if len(inside) > 1:
        raise InputError(
            f"the target's circle holds {len(inside)} directions "
            f"({', '.join(d.name for d in inside)}), between which a facet edge must go",
            "lower target_radius_arcmin, raise separation_max_arcmin, or remove all but one of them "
            "from the directions file",
        )
    if inside or not own_facet:
        return directions
    if any(d.name == TARGET for d in directions):
        raise InputError(
            f"target_has_own_facet: the direction '{TARGET}' lies outside the target's circle, but "
            "has the name of its facet",
            "give that direction another name in the directions file",
        )
    own = Direction(
        TARGET, target.ra_deg, target.dec_deg, cal_size_deg=2.0 * target.radius_deg, is_target=True
    )
    return (*directions, own)


def is_cut(target: Target, facet: Facet, field: FieldGeometry) -> bool:
    """Whether an edge between facets crosses the circle of a facet's target.

    The rim of the ellipse may: beyond it there are no facets.
    """
    import shapely

    centre = (target.ra_deg, target.dec_deg)
    angle = np.linspace(0.0, 2.0 * np.pi, _CHECKED_POINTS, endpoint=False)
    x = _CHECKED_RADIUS * target.radius_deg * np.cos(angle)
    y = _CHECKED_RADIUS * target.radius_deg * np.sin(angle)
    corners = np.array(facet.vertices)
    polygon = shapely.Polygon(np.stack(to_plane(corners[:, 0], corners[:, 1], centre), axis=-1))
    within = field.distance(*to_sky(x, y, centre)) <= _CHECKED_RADIUS
    return not bool(np.all(shapely.intersects_xy(polygon, x[within], y[within])))
