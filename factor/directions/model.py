"""Directions, the facets around them and the sources in them: values that never change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A source of the initial sky model: a group of components that belongs together.

    Fluxes are apparent (attenuated by the primary beam relative to the phase centre).
    """

    name: str
    ra_deg: float
    dec_deg: float
    flux_jy: float
    size_arcmin: float
    """Largest distance between two components, each component's own size included."""


@dataclass(frozen=True)
class Direction:
    """A direction to calibrate: one row of the directions file.

    ``None`` and 0 mean that Factor decides (the file's ``empty`` and ``0``).
    """

    name: str
    ra_deg: float
    dec_deg: float
    mscale_selfcal: bool | None = None
    mscale_facet: bool | None = None
    cal_imsize: int = 0
    solint_fast: int = 0
    """Interval of the fast phases in time slots of the unaveraged data."""
    solint_slow: int = 0
    """Interval of the slow gains in time slots of the unaveraged data."""
    dynamic_range: str = "LD"
    """``LD``: slow gains per band; ``HD``: per channel."""
    region_selfcal: str | None = None
    region_facet: str | None = None
    peel_skymodel: str | None = None
    is_outlier: bool = False
    cal_size_deg: float | None = None
    cal_flux_jy: float | None = None
    is_target: bool = False
    """Not calibrated: it stands for a target with a facet of its own, which borrows solutions."""


@dataclass(frozen=True)
class Facet:
    """The part of the sky that one direction's solutions serve.

    Attributes
    ----------
    vertices : tuple of (ra_deg, dec_deg)
        Corners of the polygon, in order, not closed.
    is_patch : bool
        True for a small square around a calibrator outside the faceting ellipse: it is
        self-calibrated and subtracted, but neither imaged nor mosaicked.
    ra_deg, dec_deg : float
        The point in the middle of the polygon's bounding box: the centre of its image.
    width_deg : float
        Side of the smallest square, aligned with RA and Dec around the centre, that
        holds the polygon.
    holds_target : bool
        Whether the target lies in it.
    largest_source_arcmin : float
        Size of the largest known source in it.
    """

    direction: Direction
    vertices: tuple[tuple[float, float], ...]
    is_patch: bool
    ra_deg: float
    dec_deg: float
    width_deg: float
    holds_target: bool = False
    largest_source_arcmin: float = 0.0

    @property
    def name(self) -> str:
        return self.direction.name
