"""How facets are shown, the same on the window's map and on the report's: colour, hatch, sign, name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from factor.progress.model import Direction
from factor.progress.words import cut, is_bad
from factor.workspace import base_operation

#: Longest name of a facet on a map, unless full names are asked for.
_LABEL_WIDTH = 10
#: Images whose number has a colour of its own.
_MOST_IMAGES = 3

#: What lies further out than so many radii of the field has no place of its own on a map.
_REACH = 1.6

#: Beside the name of a facet of which something is stale.
STALE_SIGN = "↻"


@dataclass(frozen=True)
class Look:
    """How facets in one state are shown; hatches and signs tell apart what paper or an eye does not."""

    colour: str
    sign: str
    hatch: str = ""


#: Colours of Okabe & Ito (2008, jfly.uni-koeln.de/color), which people with any kind of colour
#: blindness tell apart; images in darker and darker blue. Hatches as matplotlib has them.
LOOKS: dict[str, Look] = {
    "unprocessed": Look("#f0f0f0", "·"),
    "processing": Look("#56b4e9", "▶"),
    "interrupted": Look("#f0e442", "‖", "..."),
    "error": Look("#d55e00", "✖", "xx"),
    "selfcal failed": Look("#e69f00", "✖", "//"),
    "selfcal OK": Look("#009e73", "✔"),
    "image 1": Look("#0072b2", "✔"),
    "image 2": Look("#004c80", "✔"),
    "image 3": Look("#002a4d", "✔"),
}


def state_of(direction: Direction) -> str:
    """The state that is shown: the status, and of imaged facets the number of images, ``image n``."""
    if direction.status != "imaged":
        return direction.status
    images = [name for name in direction.completed if base_operation(name) == "facetimage"]
    return f"image {min(len(images), _MOST_IMAGES)}"


def look_of(direction: Direction) -> Look:
    """How a facet is shown; one that is imaged without good solutions of its own keeps the hatch."""
    look = LOOKS[state_of(direction)]
    if direction.status != "imaged":
        return look
    failed = LOOKS["selfcal failed"]
    if is_bad(direction):
        look = replace(look, sign=failed.sign)
    borrowed = direction.solutions not in ("", "own")
    return replace(look, hatch=failed.hatch) if borrowed or is_bad(direction) else look


def is_near(direction: Direction, centre_deg: tuple[float, float], radius_deg: float) -> bool:
    """Whether a direction is on the map of a field: outliers may be anywhere in the sky."""
    far_deg = math.hypot(*offset_deg(direction, centre_deg))
    return not direction.planned.is_patch or far_deg < _REACH * radius_deg


def offset_deg(direction: Direction, centre_deg: tuple[float, float]) -> tuple[float, float]:
    """How far a direction is to the east and to the north of a centre, along the great circle."""
    ra, dec = math.radians(direction.planned.ra_deg - centre_deg[0]), math.radians(direction.planned.dec_deg)
    dec0 = math.radians(centre_deg[1])
    east = math.cos(dec) * math.sin(ra)
    north = math.cos(dec0) * math.sin(dec) - math.sin(dec0) * math.cos(dec) * math.cos(ra)
    cosine = math.sin(dec0) * math.sin(dec) + math.cos(dec0) * math.cos(dec) * math.cos(ra)
    sine = math.hypot(east, north)
    scale = math.degrees(math.atan2(sine, cosine)) / sine if sine else 0.0
    return scale * east, scale * north


def counted(directions: Sequence[Direction]) -> dict[str, int]:
    """Every state with the number of facets in it; numbers of images as far as there are any."""
    counts = Counter(state_of(direction) for direction in directions)
    most = max((state for state in counts if state.startswith("image")), default="image 1")
    return {state: counts[state] for state in LOOKS if not state.startswith("image") or state <= most}


def short_names(names: Sequence[str], *, full: bool = False) -> dict[str, str]:
    """Names for where there is little room, by full names.

    Parameters
    ----------
    names : sequence of str
        Those with a number at their end lose what comes before it, where that is the same in all.
    full : bool
        Whether they are kept in full.
    """
    if full:
        return {name: name for name in names}
    numbered = [name for name in names if name.rpartition("_")[2].isdigit()]
    begins = {name.rpartition("_")[0] for name in numbered}
    begin = len(begins.pop()) + 1 if len(begins) == 1 else 0
    return {name: cut(name[begin:] if name in numbered else name, _LABEL_WIDTH) for name in names}
