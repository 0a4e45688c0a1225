"""Choosing the directions to calibrate among the sources of the field."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from factor.directions.file import format_position
from factor.directions.geometry import (
    FieldGeometry,
    friends_of_friends,
    separation_deg,
    to_plane,
    to_sky,
)
from factor.directions.model import Direction, Source
from factor.errors import InputError

log = logging.getLogger("factor.directions")

#: The calibrator's box is this many times as wide as what it holds.
BOX_MARGIN = 1.2

#: Smallest side of a calibrator's box: a few beams of the initial sky models.
MIN_BOX_DEG = 3.0 / 60.0


@dataclass(frozen=True)
class SelectionLimits:
    """What a calibrator must be like (options of the section [directions])."""

    size_max_arcmin: float
    """Larger sources are no calibrators."""
    separation_max_arcmin: float
    """Sources closer than this are calibrated together."""
    flux_min_jy: float
    """Groups of sources fainter than this are no calibrators."""
    flux_min_for_merging_jy: float = 0.1
    """Sources fainter than this are in no group."""
    ndir_max: int | None = None
    minimize_nonuniformity: bool = False
    max_radius_deg: float | None = None
    """Half axis, from east to west, of the ellipse that holds all calibrators."""


@dataclass(frozen=True)
class _Group:
    sources: tuple[Source, ...]
    ra_deg: float
    dec_deg: float

    @property
    def flux_jy(self) -> float:
        return sum(source.flux_jy for source in self.sources)


def select_directions(
    sources: Sequence[Source], limits: SelectionLimits, field: FieldGeometry
) -> tuple[Direction, ...]:
    """Choose the directions, the brightest first.

    Small and bright enough sources that are near each other form groups; the brightest
    groups, or those that are spread most evenly, become directions. Extended sources
    nearby are calibrated along with them.

    Parameters
    ----------
    sources : sequence of Source
        Apparent fluxes of one band.
    limits : SelectionLimits
    field : FieldGeometry
        Its centre and elevation shape the ellipse of ``limits.max_radius_deg``.

    Returns
    -------
    tuple of Direction
        Named after their brightest source.

    Raises
    ------
    InputError
        When no source is left, with what each limit did.
    """
    tried = [f"{len(sources)} sources in the sky model"]
    nearby = _within(sources, limits.max_radius_deg, field)
    if limits.max_radius_deg is not None:
        tried.append(f"{len(nearby)} within max_radius_deg = {limits.max_radius_deg:.3g}")
    small = [s for s in nearby if s.size_arcmin <= limits.size_max_arcmin]
    tried.append(f"{len(small)} of them within size_max_arcmin = {limits.size_max_arcmin:g}")
    bright = [s for s in small if s.flux_jy >= limits.flux_min_for_merging_jy]
    merging = f"flux_min_for_merging_Jy = {limits.flux_min_for_merging_jy:g}"
    tried.append(f"{len(bright)} of them above {merging}")
    merged = _merge(bright, limits.separation_max_arcmin)
    groups = [g for g in merged if g.flux_jy >= limits.flux_min_jy]
    tried.append(f"{len(groups)} of {len(merged)} groups of them above flux_min_Jy = {limits.flux_min_jy:g}")
    if not groups:
        raise _nothing_left(tried, merged, small, nearby)
    log.info("choosing directions: %s", "; ".join(tried))
    groups.sort(key=lambda g: (-g.flux_jy, g.ra_deg, g.dec_deg))
    if limits.ndir_max is not None and 0 < limits.ndir_max < len(groups):
        log.info("ndir_max: %d of these %d groups become directions", limits.ndir_max, len(groups))
        uniform = limits.minimize_nonuniformity
        groups = _most_uniform(groups, limits.ndir_max) if uniform else groups[: limits.ndir_max]
    extended = [
        s
        for s in nearby
        if s.size_arcmin > limits.size_max_arcmin and s.flux_jy >= limits.flux_min_for_merging_jy
    ]
    directions = [_with_extended(_direction(group), extended) for group in groups]
    return tuple(sorted(directions, key=lambda d: (-(d.cal_flux_jy or 0.0), d.name)))


def left_out(
    sources: Sequence[Source], directions: Sequence[Direction], limits: SelectionLimits, field: FieldGeometry
) -> list[str]:
    """Why bright sources are in no direction.

    Parameters
    ----------
    sources : sequence of Source
        All that the directions were chosen among.
    directions : sequence of Direction
        Those that were chosen.
    limits, field
        As in `select_directions`.

    Returns
    -------
    list of str
        A line for each source that is brighter than the faintest direction, the brightest
        first.
    """
    faintest = min(d.cal_flux_jy or 0.0 for d in directions)
    nearby = set(_within(sources, limits.max_radius_deg, field))
    bright = sorted((s for s in sources if s.flux_jy > faintest), key=lambda s: -s.flux_jy)
    lines = []
    for source in bright:
        boxes = ((_reach_deg(d.ra_deg, d.dec_deg, source), (d.cal_size_deg or 0.0) / 2) for d in directions)
        if any(reach <= half for reach, half in boxes):
            continue
        if source not in nearby:
            reason = f"further than max_radius_deg = {limits.max_radius_deg:.3g}"
        elif source.size_arcmin > limits.size_max_arcmin:
            reason = f"{source.size_arcmin:.1f} arcmin large (size_max_arcmin = {limits.size_max_arcmin:g})"
        else:
            reason = f"beyond ndir_max = {limits.ndir_max}"
        lines.append(
            f"{source.name}, {source.flux_jy:.2f} Jy at {format_position(source.ra_deg, source.dec_deg)}: "
            f"{reason}"
        )
    return lines


def _within(sources: Sequence[Source], radius_deg: float | None, field: FieldGeometry) -> list[Source]:
    if radius_deg is None:
        return list(sources)
    ellipse = replace(field, radius_deg=radius_deg)
    distance = ellipse.distance([s.ra_deg for s in sources], [s.dec_deg for s in sources])
    return [source for source, r in zip(sources, distance, strict=True) if r <= 1.0]


def _merge(sources: Sequence[Source], separation_arcmin: float) -> list[_Group]:
    if not sources:
        return []
    ra = np.array([s.ra_deg for s in sources])
    dec = np.array([s.dec_deg for s in sources])
    labels = friends_of_friends(ra, dec, separation_arcmin / 60.0)
    groups = []
    for label in range(int(labels.max()) + 1):
        members = [sources[k] for k in np.flatnonzero(labels == label).tolist()]
        members.sort(key=lambda s: (-s.flux_jy, s.name))
        groups.append(_Group(tuple(members), *_middle(members)))
    return groups


def _middle(members: Sequence[Source]) -> tuple[float, float]:
    """Middle of the box around some sources."""
    about = (members[0].ra_deg, members[0].dec_deg)
    if len(members) == 1:
        return about
    x, y = to_plane([s.ra_deg for s in members], [s.dec_deg for s in members], about)
    ra, dec = to_sky((x.min() + x.max()) / 2, (y.min() + y.max()) / 2, about)
    return float(ra), float(dec)


def _most_uniform(groups: Sequence[_Group], count: int) -> list[_Group]:
    """Drop the fainter of the closest pair until few enough are left.

    Parameters
    ----------
    groups : sequence of _Group
        The brightest first.
    count : int
        How many to keep.
    """
    ra = np.array([g.ra_deg for g in groups])
    dec = np.array([g.dec_deg for g in groups])
    apart = np.asarray(separation_deg(ra[:, None], dec[:, None], ra[None, :], dec[None, :]))
    np.fill_diagonal(apart, np.inf)
    kept = np.ones(len(groups), dtype=np.bool_)
    while kept.sum() > count:
        first, second = divmod(int(np.argmin(apart)), len(groups))
        dropped = max(first, second)
        kept[dropped] = False
        apart[dropped, :] = np.inf
        apart[:, dropped] = np.inf
    return [group for group, keep in zip(groups, kept, strict=True) if keep]


def _direction(group: _Group) -> Direction:
    return Direction(
        name=group.sources[0].name,
        ra_deg=group.ra_deg,
        dec_deg=group.dec_deg,
        cal_size_deg=_box(group.ra_deg, group.dec_deg, group.sources),
        cal_flux_jy=group.flux_jy,
    )


def _box(ra_deg: float, dec_deg: float, sources: Sequence[Source]) -> float:
    """Side of the box about a position that holds sources wholly."""
    reach = [_reach_deg(ra_deg, dec_deg, s) + s.size_arcmin / 120.0 for s in sources]
    return max(MIN_BOX_DEG, BOX_MARGIN * 2.0 * max(reach))


def _reach_deg(ra_deg: float, dec_deg: float, source: Source) -> float:
    x, y = to_plane(source.ra_deg, source.dec_deg, (ra_deg, dec_deg))
    return float(max(abs(x), abs(y)))


def _with_extended(direction: Direction, extended: Sequence[Source]) -> Direction:
    """Enlarge the box so that no extended source is cut by it."""
    size, flux = direction.cal_size_deg or MIN_BOX_DEG, direction.cal_flux_jy or 0.0
    box = size
    for source in extended:
        near = separation_deg(direction.ra_deg, direction.dec_deg, source.ra_deg, source.dec_deg)
        if float(near) > 2.0:
            continue
        reach = _reach_deg(direction.ra_deg, direction.dec_deg, source)
        if reach - source.size_arcmin / 120.0 < size / 2:
            box = max(box, _box(direction.ra_deg, direction.dec_deg, [source]))
            flux += source.flux_jy
    return replace(direction, cal_size_deg=box, cal_flux_jy=flux)


def _nothing_left(
    tried: Sequence[str],
    merged: Sequence[_Group],
    small: Sequence[Source],
    nearby: Sequence[Source],
) -> InputError:
    if merged:
        best = max(group.flux_jy for group in merged)
        hint = f"lower flux_min_Jy: the brightest group has {best:.3g} Jy"
    elif small:
        best = max(source.flux_jy for source in small)
        hint = f"lower flux_min_for_merging_Jy: the brightest source has {best:.3g} Jy"
    elif nearby:
        least = min(source.size_arcmin for source in nearby)
        hint = f"raise size_max_arcmin: the smallest source has {least:.3g} arcmin"
    else:
        hint = "raise max_radius_deg, or check the position of the sky model"
    return InputError("no direction to calibrate is left: " + "; ".join(tried), hint)
