"""The true sky: sources, their sky model file, and the patches of a list of clean components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from factor.directions.geometry import dec_texts, ra_texts
from simulation.options import FieldOptions

#: Frequency to which the sources' fluxes belong.
REFERENCE_HZ = 144e6
_COUNTS_SLOPE = 1.6
_MIN_SEPARATION_DEG = 4.0 / 60
_BRIGHT_JY = 0.3
_BRIGHT_SEPARATION_DEG = 18.0 / 60


@dataclass(frozen=True)
class Source:
    """One source: intrinsic flux, power-law spectrum, a point or a Gaussian."""

    name: str
    ra_deg: float
    dec_deg: float
    flux_jy: float
    """At `REFERENCE_HZ`."""
    spectral_index: float
    major_arcsec: float = 0.0
    """Full width at half maximum; 0 for a point."""
    minor_arcsec: float = 0.0
    angle_deg: float = 0.0
    """Position angle of the major axis, north through east."""

    def flux_at(self, freq_hz: float) -> float:
        return float(self.flux_jy * (freq_hz / REFERENCE_HZ) ** self.spectral_index)


def draw_fluxes(count: int, low: float, high: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Fluxes from counts dN/dS ~ S^-1.6, brightest first.

    One in each of ``count`` slices of equal probability, so that every field has its
    share of bright sources.
    """
    slope = 1 - _COUNTS_SLOPE
    quantiles = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
    return np.asarray((high**slope + quantiles * (low**slope - high**slope)) ** (1 / slope))


def _place(fluxes: NDArray[np.float64], options: FieldOptions, rng: np.random.Generator
           ) -> list[tuple[float, float]]:
    """Offsets (l, m) in degrees, uniform in the circle, bright ones well apart."""
    placed: list[tuple[float, float]] = []
    for i in range(len(fluxes)):
        for attempt in range(2000):
            radius = options.radius_deg * np.sqrt(rng.uniform())
            angle = rng.uniform(0, 2 * np.pi)
            l_deg, m_deg = radius * np.sin(angle), radius * np.cos(angle)
            shrink = 0.998**attempt
            free = all(
                np.hypot(l_deg - x, m_deg - y)
                > shrink * (_BRIGHT_SEPARATION_DEG if fluxes[i] > _BRIGHT_JY else _MIN_SEPARATION_DEG)
                for x, y in placed
            )
            if free:
                break
        placed.append((l_deg, m_deg))
    return placed


def offset_position(ra_deg: float, dec_deg: float, l_deg: float, m_deg: float) -> tuple[float, float]:
    """Position at orthographic (SIN) offsets from a centre."""
    x, y = np.radians([l_deg, m_deg])
    dec0 = np.radians(dec_deg)
    z = np.sqrt(1 - x * x - y * y)
    dec = np.arcsin(y * np.cos(dec0) + z * np.sin(dec0))
    ra = np.radians(ra_deg) + np.arctan2(x, z * np.cos(dec0) - y * np.sin(dec0))
    return float(np.degrees(ra)) % 360, float(np.degrees(dec))


def draw_sources(options: FieldOptions) -> list[Source]:
    """The sources of the field, brightest first."""
    rng = options.random("sky")
    fluxes = draw_fluxes(options.sources, options.flux_min_jy, options.flux_max_jy, rng)
    places = _place(fluxes, options, rng)
    n_extended = round(options.gaussians * options.sources)
    # The two brightest stay points: their errors are what the other sources are seen through.
    candidates = np.arange(min(2, options.sources), options.sources)
    extended = set(rng.permutation(candidates)[:n_extended].tolist())
    sources = []
    for i, (flux, (l_deg, m_deg)) in enumerate(zip(fluxes, places, strict=True)):
        ra, dec = offset_position(options.ra_deg, options.dec_deg, l_deg, m_deg)
        index = -0.75 + 0.15 * rng.standard_normal()
        major, ratio, angle = rng.uniform(10, 45), rng.uniform(0.4, 0.9), rng.uniform(0, 180)
        shape = (major, major * ratio, angle) if i in extended else (0.0, 0.0, 0.0)
        sources.append(Source(f"src{i:02d}", ra, dec, float(flux), float(index), *shape))
    return sources


def hms(ra_deg: float) -> str:
    """Right ascension as sky models write it, h:m:s."""
    return ":".join(ra_texts(ra_deg, 5))


def dms(dec_deg: float) -> str:
    """Declination as sky models write it, d.m.s."""
    return ".".join(dec_texts(dec_deg, 4))


def write_skymodel(path: Path, sources: Iterable[Source], reference_hz: float = REFERENCE_HZ) -> None:
    """Write a sky model with one patch per source.

    Parameters
    ----------
    path : Path
        The file; DP3 opens ``.skymodel`` and ``.txt``.
    sources : iterable of Source
        The patch of each gets the source's name.
    reference_hz : float
        Frequency to which the fluxes of these sources belong.
    """
    lines = [
        "FORMAT = Name, Type, Patch, Ra, Dec, I, SpectralIndex='[]', LogarithmicSI='true', "
        f"ReferenceFrequency='{reference_hz:.1f}', MajorAxis, MinorAxis, Orientation"
    ]
    for s in sources:
        where = f"{hms(s.ra_deg)}, {dms(s.dec_deg)}"
        kind = "GAUSSIAN" if s.major_arcsec else "POINT"
        shape = f"{s.major_arcsec:.4f}, {s.minor_arcsec:.4f}, {s.angle_deg:.3f}"
        lines.append(f", , {s.name}, {where}")
        lines.append(
            f"{s.name}c0, {kind}, {s.name}, {where}, {s.flux_jy:.8f}, "
            f"[{s.spectral_index:.6f}], true, {reference_hz:.1f}, {shape}"
        )
    path.write_text("\n".join(lines) + "\n")


def _degrees(text: str, per_unit: float) -> float:
    parts = text.replace(":", " ").replace(".", " ", 2 if ":" not in text else 0).split()
    sign = -1 if text.strip().startswith("-") else 1
    value = sum(abs(float(p)) / 60.0**i for i, p in enumerate(parts))
    return sign * value * per_unit


def write_patches(components: Path, out: Sequence[Path], linking_arcsec: float = 75.0) -> int:
    """Group WSClean's component list into one patch per source and write it to several files.

    Components closer than the linking length belong together (friends of friends).

    Returns
    -------
    int
        Number of patches.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    header, *rows = [line for line in components.read_text().splitlines() if line.strip()]
    rows = [row for row in rows if not row.startswith("#")]
    if not rows:
        msg = f"{components} holds no clean components: the field is too faint to be imaged"
        raise ValueError(msg)
    fields = [row.split(",", 5) for row in rows]
    ra = np.radians([_degrees(f[2], 15.0) for f in fields])
    dec = np.radians([_degrees(f[3], 1.0) for f in fields])
    flux = np.array([float(f[4]) for f in fields])
    xyz = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
    pairs = cKDTree(xyz).query_pairs(np.radians(linking_arcsec / 3600), output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(rows), len(rows)))
    _, label = connected_components(links, directed=False)
    order = sorted(set(label.tolist()), key=lambda k: -float(flux[label == k].sum()))
    lines = ["FORMAT = " + header.split("=", 1)[1].strip().replace("Type,", "Type, Patch,", 1)]
    for number, k in enumerate(order):
        middle = (xyz[label == k] * np.abs(flux[label == k])[:, None]).sum(axis=0)
        patch_ra = float(np.degrees(np.arctan2(middle[1], middle[0])))
        patch_dec = float(np.degrees(np.arctan2(middle[2], np.hypot(middle[0], middle[1]))))
        lines.append(f", , Patch_{number}, {hms(patch_ra)}, {dms(patch_dec)}")
        for i in np.flatnonzero(label == k):
            name, kind, _, _, flux_text, rest = fields[i]
            # WSClean writes right ascensions beyond 12h as negative ones.
            where = f"{hms(float(np.degrees(ra[i])))},{dms(float(np.degrees(dec[i])))}"
            lines.append(f"{name},{kind},Patch_{number},{where},{flux_text},{rest}")
    for path in out:
        path.write_text("\n".join(lines) + "\n")
    return len(order)
