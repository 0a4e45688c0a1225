"""The field as a map: its facets, coloured by how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factor.directions.geometry import to_plane
from factor.progress.looks import STALE_SIGN, Look, is_near, look_of, offset_deg, short_names
from factor.progress.model import Direction, Progress

if TYPE_CHECKING:
    from astropy.wcs import WCS

#: Pixels of the map for each degree: an arcmin each.
PIXELS_PER_DEG = 60.0

_OUTLINE = "#4d4d4d"
_LINE = 0.8
#: Where outliers are drawn that are too far out for the map, in radii of the field.
_EDGE = 1.25
#: Distance of name and calibrator at which they collide, in widths of the field.
_APART = 0.03


def map_wcs(centre_deg: tuple[float, float]) -> WCS:
    """Coordinates of a map about a centre; pixel (0, 0) is there."""
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ("RA---TAN", "DEC--TAN")
    wcs.wcs.crval = centre_deg
    wcs.wcs.crpix = (1.0, 1.0)
    wcs.wcs.cdelt = (-1.0 / PIXELS_PER_DEG, 1.0 / PIXELS_PER_DEG)
    wcs.wcs.set()
    return wcs


def to_map(sky: Sequence[tuple[float, float]], centre_deg: tuple[float, float]) -> NDArray[np.float64]:
    """Pixels of positions, shape (n, 2)."""
    ra_deg, dec_deg = np.asarray(sky, dtype=float).reshape(-1, 2).T
    x, y = to_plane(ra_deg, dec_deg, centre_deg)
    return np.column_stack([-x * PIXELS_PER_DEG, y * PIXELS_PER_DEG])


class FieldMap:
    """Draws the facets once, and colours them again and again.

    Parameters
    ----------
    axes : astropy.visualization.wcsaxes.WCSAxes
        With the coordinates of `map_wcs`.
    progress : Progress
        With the field's centre.
    full_names : bool
        Whether facets have their full names.
    """

    def __init__(self, axes: Any, progress: Progress, *, full_names: bool) -> None:
        from matplotlib.patches import Ellipse

        east, north = progress.radius_deg or (0.0, 0.0)
        size = (2 * east * PIXELS_PER_DEG, 2 * north * PIXELS_PER_DEG)
        names = short_names([direction.name for direction in progress.directions], full=full_names)
        self._tiles = {
            direction.name: _Tile(axes, direction, _Place(progress), names[direction.name])
            for direction in progress.directions
            if direction.planned.vertices
        }
        axes.add_patch(Ellipse((0, 0), *size, fill=False, linestyle="--", linewidth=1.2, edgecolor="black"))
        self._fit(axes, size)
        self.colour(progress)

    def colour(self, progress: Progress) -> None:
        """Fill every facet as it stands now."""
        for direction in progress.directions:
            if direction.name in self._tiles:
                stale = bool(progress.stale_in(direction.name))
                self._tiles[direction.name].fill(look_of(direction), stale=stale)

    def select(self, name: str) -> None:
        """Mark one facet; none for an empty name."""
        for other, tile in self._tiles.items():
            tile.mark(chosen=other == name)

    def at(self, x: float, y: float) -> str:
        """Name of the facet at a pixel, patches before what they lie on; empty for none."""
        found = [name for name, tile in self._tiles.items() if tile.holds(x, y)]
        return max(found, key=lambda name: self._tiles[name].height, default="")

    def _fit(self, axes: Any, size: tuple[float, float]) -> None:
        corners = [tile.corners for tile in self._tiles.values()]
        corners.append(np.array([[-0.5, -0.5], [0.5, 0.5]]) * size)
        low, high = np.min(np.concatenate(corners), axis=0), np.max(np.concatenate(corners), axis=0)
        reach = 0.54 * float(max(high - low)) or 1.0
        middle = 0.5 * (low + high)
        axes.set_aspect("equal")
        axes.set_xlim(middle[0] - reach, middle[0] + reach)
        axes.set_ylim(middle[1] - reach, middle[1] + reach)


class _Place:
    """Where directions are on the map of a field."""

    def __init__(self, progress: Progress) -> None:
        self._centre_deg = progress.centre_deg or (0.0, 0.0)
        self._radius_deg = max(progress.radius_deg or (0.0, 0.0))
        self.apart = 2 * _APART * self._radius_deg * PIXELS_PER_DEG

    def of(self, direction: Direction) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Corners, calibrator, and how far out it is in degrees if it is drawn at the edge, else 0."""
        planned = direction.planned
        position = (planned.ra_deg, planned.dec_deg)
        if is_near(direction, self._centre_deg, self._radius_deg):
            return to_map(planned.vertices, self._centre_deg), to_map([position], self._centre_deg)[0], 0.0
        east, north = offset_deg(direction, self._centre_deg)
        far_deg = float(np.hypot(east, north))
        edge = np.array([-east, north]) * (_EDGE * self._radius_deg / far_deg * PIXELS_PER_DEG)
        return to_map(planned.vertices, position) + edge, edge, far_deg


class _Tile:
    """One facet on the map: its area, its calibrator and its name."""

    def __init__(self, axes: Any, direction: Direction, place_of: _Place, label: str) -> None:
        from matplotlib.patches import Polygon

        planned = direction.planned
        self.corners, calibrator, far_deg = place_of.of(direction)
        if far_deg:
            label = f"{label}\n{far_deg:.1f}° away"
        self.height = 3 if planned.is_patch else 2
        self._patch = axes.add_patch(Polygon(self.corners, closed=True))
        self._cross = axes.plot(*calibrator, marker="+", ms=5, zorder=6)[0]
        middle = _middle(self.corners)
        place: dict[str, Any] = {"xy": middle, "xytext": (0, 0), "va": "center"}
        if planned.is_patch:  # it is smaller than its name
            top = self.corners[np.argmax(self.corners[:, 1])]
            place = {"xy": (calibrator[0], top[1]), "xytext": (0, 2), "va": "bottom"}
        elif np.hypot(*(calibrator - middle)) < place_of.apart:
            up = 1 if middle[1] >= calibrator[1] else -1
            place = {"xy": calibrator, "xytext": (0, 4 * up), "va": "bottom" if up > 0 else "top"}
        self._is_patch, self._name = planned.is_patch, label
        self._label = axes.annotate(
            label, **place, textcoords="offset points", ha="center", fontsize=8,
            annotation_clip=True, zorder=6,
        )  # fmt: skip
        self._chosen = True
        self.mark(chosen=False)

    def holds(self, x: float, y: float) -> bool:
        """Whether a pixel lies in it."""
        return bool(self._patch.get_path().contains_point((x, y)))

    def fill(self, look: Look, *, stale: bool) -> None:
        """Show how it stands, and whether something of it is stale."""
        from matplotlib.patheffects import withStroke

        ink = "white" if _is_dark(look.colour) else "black"
        self._patch.set(facecolor=look.colour, hatch=look.hatch or None, hatchcolor=ink)
        self._cross.set_color(ink)
        ground = look.colour
        if self._is_patch:
            ink, ground = "black", "white"
        # Hatches, and what a patch lies on, would run through the letters.
        halo = [withStroke(linewidth=3.0, foreground=ground)] if look.hatch or self._is_patch else []
        text = f"{self._name} {STALE_SIGN}" if stale else self._name
        self._label.set(text=text, color=ink, path_effects=halo)

    def mark(self, *, chosen: bool) -> None:
        """Show whether it is selected."""
        from matplotlib.patheffects import withStroke

        if chosen == self._chosen:
            return
        self._chosen = chosen
        if chosen:
            # Black with a white rim is seen on light facets and on dark ones.
            rim = [withStroke(linewidth=5.5, foreground="white")]
            self._patch.set(zorder=5, edgecolor="black", linewidth=2.5, path_effects=rim)
        else:
            self._patch.set(zorder=self.height, edgecolor=_OUTLINE, linewidth=_LINE, path_effects=[])
        self._label.set_fontweight("bold" if chosen else "normal")


def _middle(corners: NDArray[np.float64]) -> tuple[float, float]:
    from shapely import Polygon

    polygon = Polygon(corners)
    inside = polygon.centroid if polygon.contains(polygon.centroid) else polygon.representative_point()
    return float(inside.x), float(inside.y)


def _is_dark(colour: str) -> bool:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 130.0
