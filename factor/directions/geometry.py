"""Positions on the sky: tangent planes, separations, and groups of positions that touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Points further from a tangent point than this have no place in its plane.
_MIN_COSINE = 1e-3


@dataclass(frozen=True)
class FieldGeometry:
    """The part of the sky that is divided into facets: an ellipse about the field's centre.

    Parameters
    ----------
    ra_deg, dec_deg : float
        Centre of the field.
    radius_deg : float
        Half of the ellipse's axis from east to west.
    mean_elevation_rad : float
        Mean elevation of the field, which stretches the ellipse from north to south by
        1 / sin(elevation), as it does the primary beam of dipoles on the ground.
    """

    ra_deg: float
    dec_deg: float
    radius_deg: float
    mean_elevation_rad: float = np.pi / 2

    @property
    def radius_north_deg(self) -> float:
        """Half of the ellipse's axis from south to north."""
        return self.radius_deg / float(np.sin(self.mean_elevation_rad))

    def distance(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Floats:
        """Distance from the centre in units of the ellipse: 1 is on its edge."""
        x, y = to_plane(ra_deg, dec_deg, (self.ra_deg, self.dec_deg))
        scaled = np.hypot(x / self.radius_deg, y / self.radius_north_deg)
        return np.where(np.isfinite(scaled), scaled, np.inf)


def to_plane(
    ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, centre: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Gnomonic projection: great circles become straight lines.

    Parameters
    ----------
    ra_deg, dec_deg : array_like
        Positions.
    centre : tuple of float
        RA and Dec of the tangent point in degrees.

    Returns
    -------
    x, y : numpy.ndarray
        Offsets to the east and north in degrees; NaN for points that are a quarter of the
        sky or more away. Formulae: Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.3.
    """
    ra0, dec0 = np.deg2rad(centre)
    ra = np.deg2rad(np.asarray(ra_deg, dtype=float)) - ra0
    dec = np.deg2rad(np.asarray(dec_deg, dtype=float))
    cosine = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra)
    cosine = np.where(cosine > _MIN_COSINE, cosine, np.nan)
    x = np.cos(dec) * np.sin(ra) / cosine
    y = (np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra)) / cosine
    return np.rad2deg(x), np.rad2deg(y)


def to_sky(x_deg: npt.ArrayLike, y_deg: npt.ArrayLike, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Inverse of `to_plane`; RA in [0, 360)."""
    ra0, dec0 = np.deg2rad(centre)
    x = np.deg2rad(np.asarray(x_deg, dtype=float))
    y = np.deg2rad(np.asarray(y_deg, dtype=float))
    along = np.cos(dec0) - y * np.sin(dec0)
    ra = ra0 + np.arctan2(x, along)
    dec = np.arctan2(np.sin(dec0) + y * np.cos(dec0), np.hypot(x, along))
    return np.rad2deg(ra) % 360.0, np.rad2deg(dec)


def ra_texts(ra_deg: float, decimals: int) -> tuple[str, str, str]:
    """Hours, minutes and seconds of a right ascension, the seconds with so many decimals."""
    return _sexagesimal(float(ra_deg) % 360.0 / 15.0, decimals, 24)


def dec_texts(dec_deg: float, decimals: int) -> tuple[str, str, str]:
    """Degrees with their sign, minutes and seconds of a declination, likewise."""
    degrees, minutes, seconds = _sexagesimal(abs(float(dec_deg)), decimals, 360)
    return f"{'-' if dec_deg < 0 else '+'}{degrees}", minutes, seconds


def _sexagesimal(value: float, decimals: int, period: int) -> tuple[str, str, str]:
    scale = 10**decimals
    seconds, fraction = divmod(round(value * 3600 * scale) % (period * 3600 * scale), scale)
    shown = f"{seconds % 60:02d}" + (f".{fraction:0{decimals}d}" if decimals else "")
    return f"{seconds // 3600:02d}", f"{seconds // 60 % 60:02d}", shown


def unit_vectors(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Floats:
    """Unit vectors of positions, shape (n, 3)."""
    ra = np.deg2rad(np.atleast_1d(np.asarray(ra_deg, dtype=float)))
    dec = np.deg2rad(np.atleast_1d(np.asarray(dec_deg, dtype=float)))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def positions(vectors: Floats) -> tuple[Floats, Floats]:
    """RA and Dec in degrees of vectors of any length, shape (n, 3)."""
    ra = np.rad2deg(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360.0
    dec = np.rad2deg(np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1])))
    return ra, dec


def separation_deg(
    ra1_deg: npt.ArrayLike, dec1_deg: npt.ArrayLike, ra2_deg: npt.ArrayLike, dec2_deg: npt.ArrayLike
) -> Floats:
    """Angle between positions (any shapes that broadcast), in degrees."""
    ra1, dec1, ra2, dec2 = (
        np.deg2rad(np.asarray(a, dtype=float)) for a in (ra1_deg, dec1_deg, ra2_deg, dec2_deg)
    )
    half = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return np.asarray(np.rad2deg(2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))))


def weighted_centres(ra_deg: Floats, dec_deg: Floats, weights: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Weighted mean position of each label's members.

    Negative weights count as none; members that have no positive weight at all count equally.

    Parameters
    ----------
    ra_deg, dec_deg, weights : numpy.ndarray
        Positions and their weights, shape (n,).
    labels : numpy.ndarray of int
        Group of each position, 0 to the number of groups - 1.

    Returns
    -------
    ra_deg, dec_deg : numpy.ndarray
        One position per group.
    """
    groups = int(labels.max()) + 1 if labels.size else 0
    used = np.clip(weights, 0.0, None)
    total = np.bincount(labels, used, groups)
    used = np.where(total[labels] > 0.0, used, 1.0)
    vectors = unit_vectors(ra_deg, dec_deg)
    sums = [np.bincount(labels, used * vectors[:, k], groups) for k in range(3)]
    return positions(np.stack(sums, axis=-1).astype(float))


def friends_of_friends(
    ra_deg: Floats, dec_deg: Floats, link_deg: float, radii_deg: Floats | None = None
) -> Ints:
    """Labels of groups whose members are linked by gaps no longer than a given length.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray
        Positions, shape (n,).
    link_deg : float
        Positions nearer than this belong together.
    radii_deg : numpy.ndarray, optional
        Own radius of each position: gaps are counted from rim to rim.

    Returns
    -------
    labels : numpy.ndarray of int
        Shape (n,), 0 to the number of groups - 1, in order of first appearance.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    n = len(ra_deg)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    # Bands that were imaged on one grid repeat the same positions: those are linked first.
    keys = np.round(np.stack([ra_deg, dec_deg], axis=-1) * 36000.0).astype(np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    tree = cKDTree(unit_vectors(ra_deg[first], dec_deg[first]))
    pairs = tree.query_pairs(_chord(link_deg), output_type="ndarray")
    if radii_deg is not None and np.any(radii_deg > 0.0):
        radii = np.zeros(len(first))
        np.maximum.at(radii, inverse, radii_deg)
        pairs = np.concatenate([pairs, _pairs_of_extended(tree, radii, link_deg)])
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(first),) * 2)
    _, unique_labels = connected_components(links, directed=False)
    labels = unique_labels[inverse]
    _, start, back = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(start), dtype=np.int64)
    order[np.argsort(start, kind="stable")] = np.arange(len(start))
    return order[back.reshape(-1)]


def _chord(angle_deg: npt.ArrayLike) -> Floats:
    """Length of the chord between two unit vectors an angle apart."""
    half = np.deg2rad(np.asarray(angle_deg, dtype=float)) / 2
    return np.asarray(2.0 * np.sin(np.clip(half, 0.0, np.pi / 2)))


def _pairs_of_extended(tree: object, radii_deg: Floats, link_deg: float) -> Ints:
    """Pairs of positions, at least one with a radius, whose rims are within the link length."""
    vectors: Floats = tree.data  # type: ignore[attr-defined]
    extended = np.flatnonzero(radii_deg > 0.0)
    reach = _chord(link_deg + radii_deg[extended] + radii_deg.max())
    found: list[Ints] = []
    neighbours = tree.query_ball_point(vectors[extended], reach)  # type: ignore[attr-defined]
    for i, near in zip(extended, neighbours, strict=True):
        others = np.asarray(near, dtype=np.int64)
        chords = np.linalg.norm(vectors[others] - vectors[i], axis=-1)
        linked = others[chords <= _chord(link_deg + radii_deg[i] + radii_deg[others])]
        found.append(np.stack([np.full(len(linked), i), linked], axis=-1))
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)
