"""Groups of directions that are self-calibrated side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from factor.directions.geometry import separation_deg
from factor.directions.model import Direction


def group_directions(
    directions: Sequence[Direction],
    groupings: Sequence[tuple[int, int]] = ((1, 0),),
    *,
    allow_reordering: bool = True,
) -> tuple[tuple[Direction, ...], ...]:
    """Cut the list of directions into groups.

    Parameters
    ----------
    directions : sequence of Direction
        In the order of their processing.
    groupings : sequence of (size, total)
        Groups of ``size`` directions for the next ``total`` ones; 0 for all the rest. Where
        no pair reaches, the last pair's size holds.
    allow_reordering : bool
        Choose the members of a group far apart, so that none disturbs another: the first is
        the next in order, then the one with the largest product of its flux and its distance
        from the members so far.
    """
    left = list(directions)
    groups: list[tuple[Direction, ...]] = []
    for k, (size, total) in enumerate(groupings):
        last = k == len(groupings) - 1
        block = list(left if total == 0 or last else left[:total])
        left = left[len(block) :]
        while block:
            count = min(size, len(block))
            group = _far_apart(block, count) if allow_reordering else block[:count]
            names = {member.name for member in group}
            block = [d for d in block if d.name not in names]
            groups.append(tuple(group))
    return tuple(groups)


def _far_apart(directions: Sequence[Direction], count: int) -> list[Direction]:
    ra = np.array([d.ra_deg for d in directions])
    dec = np.array([d.dec_deg for d in directions])
    flux = np.array([d.cal_flux_jy or 0.0 for d in directions])
    # Without fluxes, all count the same.
    flux = flux if np.all(flux > 0.0) else np.ones(len(directions))
    chosen = [0]
    nearest = np.asarray(separation_deg(ra, dec, ra[0], dec[0]))
    while len(chosen) < count:
        score = nearest * flux
        score[chosen] = -1.0
        following = int(np.argmax(score))
        chosen.append(following)
        nearest = np.minimum(nearest, separation_deg(ra, dec, ra[following], dec[following]))
    return [directions[k] for k in chosen]
