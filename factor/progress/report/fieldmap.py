"""The map of the field: facets in the tangent plane, north up and east left, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factor.directions.geometry import to_plane
from factor.progress.looks import STALE_SIGN, is_near, offset_deg, short_names
from factor.progress.model import Direction, Progress
from factor.progress.report.markup import Content, Markup, element, joined
from factor.progress.report.states import anchor, mark, state_class
from factor.progress.words import is_bad, standing

#: Width of the drawing in its own units.
_WIDTH = 640.0
_MARGIN = 26.0
#: Size below which the name of a patch stands beside it; size of all names on phones (style.css).
_READABLE, _ON_PHONES = 11.0, 20.0

Point = tuple[float, float]


@dataclass(frozen=True)
class _Frame:
    """From the sky to the drawing."""

    centre_deg: Point
    half_width_deg: float
    half_height_deg: float

    @property
    def scale(self) -> float:
        return (_WIDTH - 2 * _MARGIN) / (2 * self.half_width_deg)

    @property
    def height(self) -> float:
        return 2 * self.half_height_deg * self.scale + 2 * _MARGIN

    def place(self, sky: Sequence[Point]) -> list[Point]:
        """Positions in the drawing of positions on the sky: the tangent plane's x grows to the east, left."""
        x, y = to_plane([p[0] for p in sky], [p[1] for p in sky], self.centre_deg)
        return [
            (_WIDTH / 2 - float(a) * self.scale, self.height / 2 - float(b) * self.scale)
            for a, b in zip(np.atleast_1d(x), np.atleast_1d(y), strict=True)
        ]


def field_map(progress: Progress) -> Markup | None:
    """The map, with links to the directions; None when facets are not known yet.

    Parameters
    ----------
    progress : Progress
        What is going on.
    """
    centre, radius = progress.centre_deg, progress.radius_deg
    known = [direction for direction in progress.directions if direction.planned.vertices]
    if centre is None or radius is None or not known:
        return None
    near = [direction for direction in known if is_near(direction, centre, max(radius))]
    frame = _frame(near, centre, radius)
    names = short_names([direction.name for direction in progress.directions])
    for direction in near:
        if progress.stale_in(direction.name):
            names[direction.name] += f" {STALE_SIGN}"
    facets = [_facet(frame, direction, names[direction.name]) for direction in near]
    middle = (_WIDTH / 2, frame.height / 2)
    drawing = element(
        "svg",
        element("title", "Map of the field, north up and east left"),
        element("defs", element("pattern", element("path", d="M-2 2l4 -4M0 10l10 -10M8 12l4 -4"), id="hatch",
                                width=10, height=10, patternUnits="userSpaceOnUse")),
        *(facet for facet in facets),
        element("ellipse", cx=middle[0], cy=middle[1], rx=radius[0] * frame.scale, ry=radius[1] * frame.scale,
                class_="field"),
        _compass(frame),
        viewBox=f"0 0 {_WIDTH:.0f} {frame.height:.0f}", role="group", class_="map",
        aria_label="Map of the field",
    )  # fmt: skip
    far = [direction for direction in known if direction not in near]
    return joined(drawing, _beside(far, centre))


def _frame(near: Sequence[Direction], centre: Point, radius: Point) -> _Frame:
    corners = [vertex for direction in near for vertex in direction.planned.vertices]
    x, y = to_plane([p[0] for p in corners] or centre[0], [p[1] for p in corners] or centre[1], centre)
    width = max(radius[0], float(np.abs(x).max()), 0.01)
    height = max(radius[1], float(np.abs(y).max()), 0.01)
    return _Frame(centre, width, height)


def _facet(frame: _Frame, direction: Direction, label: str) -> Markup:
    planned = direction.planned
    points = frame.place(planned.vertices)
    if direction.status not in ("unprocessed", "imaged") or is_bad(direction):
        label = f"{mark(direction)} {label}"
    ((x, y),) = frame.place([(planned.ra_deg, planned.dec_deg)])
    room = math.sqrt(_area(points))
    size = max(6.0, min(15.0, room / 5.5, 1.6 * room / max(len(label), 3)))
    place = (x, y - 5.0)
    beside = planned.is_patch and size < _READABLE
    if beside:
        size = _READABLE
        half = 0.3 * _ON_PHONES * len(label)
        place = (min(max(x, half), _WIDTH - half), min(top for _, top in points) - 4.0)
    told = standing(direction)
    classes = f"facet {state_class(direction)}{' patch' if planned.is_patch else ''}"
    corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    flux = f", {planned.flux_jy:.3g} Jy" if planned.flux_jy else ""
    return element(
        "a",
        element("title", f"{direction.name}: {told}{flux}"),
        element("polygon", points=corners),
        element("polygon", points=corners, class_="hatch") if "hatched" in classes else None,
        element("circle", cx=x, cy=y, r=2.0, class_="calibrator"),
        element("text", label, x=place[0], y=place[1], font_size=size, class_="beside" if beside else None),
        href=f"#{anchor(direction.name)}", class_=classes,
        aria_label=f"{direction.name}: {told}",
    )  # fmt: skip


def _area(points: Sequence[Point]) -> float:
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def _compass(frame: _Frame) -> Markup:
    """Arrows to north and east, and the length of a part of a degree."""
    length_deg = _round_below(0.5 * frame.half_width_deg)
    length, y = length_deg * frame.scale, frame.height - 8
    shown = f"{length_deg:g}°" if length_deg >= 0.1 else f"{60 * length_deg:.2g}′"
    return element(
        "g",
        element("path", d=f"M{_WIDTH - 12:.0f} 46V12M{_WIDTH - 16:.0f} 19l4 -7l4 7M{_WIDTH - 12:.0f} 46H"
                          f"{_WIDTH - 46:.0f}m7 -4l-7 4l7 4"),
        element("text", "N", x=_WIDTH - 24, y=20), element("text", "E", x=_WIDTH - 42, y=38),
        element("path", d=f"M8 {y - 4:.1f}v4h{length:.1f}v-4"),
        element("text", shown, x=14, y=y - 5, class_="left"),
        class_="compass", aria_hidden="true",
    )  # fmt: skip


def _round_below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= value)


def _beside(far: Sequence[Direction], centre: Point) -> Markup | None:
    """The directions that are too far out for the map."""
    if not far:
        return None
    places: list[Content] = ["Outside the map: "]
    for direction in far:
        x, y = offset_deg(direction, centre)
        places += [
            ", " if len(places) > 1 else None,
            element("a", direction.name, href=f"#{anchor(direction.name)}"),
            f" ({math.hypot(x, y):.1f}° {_bearing(x, y)}, {standing(direction)})",
        ]
    return element("p", *places, class_="note")


def _bearing(east: float, north: float) -> str:
    winds = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
    return winds[round(math.degrees(math.atan2(east, north)) / 45.0) % 8]
