"""Region files of facets and calibrators for ds9 (and WSClean)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from factor.directions.model import Direction, Facet
from factor.files import whole

_HEADER = (
    "# Region file format: DS9 version 4.1\n"
    'global color={color} width=1 font="helvetica 10 normal" select=1 edit=1 move=1 delete=1 '
    "include=1 fixed=0 source=1\n"
    "fk5\n"
)

#: Patches are drawn in another colour than facets.
_PATCH_COLOR = "magenta"


def write_facet_regions(facets: Sequence[Facet], path: Path) -> None:
    """Write the polygon of each facet, and the point of its direction, both with its name."""
    lines = []
    for facet in facets:
        corners = ",".join(f"{ra:.9f},{dec:.9f}" for ra, dec in facet.vertices)
        color = f" color={_PATCH_COLOR}" if facet.is_patch else ""
        label = f" # text={{{facet.name}}}{color}"
        point = f"{facet.direction.ra_deg:.9f},{facet.direction.dec_deg:.9f}"
        lines += [f"polygon({corners}){label}", f"point({point}){label}"]
    _write(path, "green", lines)


def write_calimage_regions(
    directions: Sequence[Direction], image_deg: Mapping[str, float], path: Path
) -> None:
    """Write two boxes for each calibrator.

    Parameters
    ----------
    directions : sequence of Direction
        The inner box has the side ``cal_size_deg``: there sources are added back and cleaned.
    image_deg : mapping of str to float
        Side of each calibrator's image, by name of the direction: the outer box.
    path : Path
    """
    lines = []
    for direction in directions:
        centre = f"{direction.ra_deg:.9f},{direction.dec_deg:.9f}"
        label = f"text={{{direction.name}}}"
        if direction.cal_size_deg:
            lines.append(f"{_box(centre, direction.cal_size_deg)} # {label}")
        if direction.name in image_deg:
            outer = _box(centre, image_deg[direction.name])
            lines.append(f"{outer} # {label} color=yellow")
    _write(path, "cyan", lines)


def _box(centre: str, side_deg: float) -> str:
    side = f'{side_deg * 3600.0:.3f}"'
    return f"box({centre},{side},{side},0)"


def _write(path: Path, color: str, lines: Sequence[str]) -> None:
    with whole(path) as draft:
        draft.write_text(_HEADER.format(color=color) + "".join(f"{line}\n" for line in lines))
