"""Positions on the sky."""

from __future__ import annotations

import numpy as np
import pytest

from factor.directions.geometry import (
    FieldGeometry,
    friends_of_friends,
    separation_deg,
    to_plane,
    to_sky,
    weighted_centres,
)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (359.9, 60.0), (12.0, 89.5), (200.0, -89.9)])
def test_plane_and_back(centre: tuple[float, float]) -> None:
    """Whatever goes to the tangent plane comes back, at the pole and across 0h as well."""
    x, y = np.random.default_rng(1).uniform(-5, 5, (2, 100))
    back = to_plane(*to_sky(x, y, centre), centre)
    assert np.allclose(back, [x, y], atol=1e-9)


def test_plane_has_no_far_side() -> None:
    """A position on the other side of the sky must not seem to lie in the field."""
    assert np.isnan(to_plane(180.0, 0.0, (0.0, 0.0))).all()
    assert FieldGeometry(0.0, 0.0, 2.0).distance([180.0], [0.0])[0] == np.inf


def test_ellipse_is_stretched_to_the_north() -> None:
    """At 30 degrees of elevation the beam is twice as long from north to south."""
    field = FieldGeometry(10.0, 0.0, 2.0, np.deg2rad(30.0))
    assert field.radius_north_deg == pytest.approx(4.0)
    assert field.distance([12.0, 10.0], [0.0, 4.0]) == pytest.approx([1.0, 1.0], rel=2e-3)


def test_separation_across_zero_hours() -> None:
    """RA wraps."""
    assert separation_deg(359.5, 0.0, 0.5, 0.0) == pytest.approx(1.0)


def test_weighted_centre_across_zero_hours() -> None:
    """The mean of 359 and 1 degree is 0, not 180; negative fluxes do not throw it out."""
    ra, dec = weighted_centres(
        np.array([359.0, 1.0, 90.0]), np.zeros(3), np.array([1.0, 1.0, -5.0]), np.zeros(3, dtype=np.int64)
    )
    assert separation_deg(ra, dec, 0.0, 0.0) == pytest.approx([0.0], abs=1e-9)


def test_friends_are_the_same_as_by_brute_force() -> None:
    """Linking with a tree must give what comparing all pairs gives, radii included."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        n = 60
        ra, dec = (359.9 + rng.uniform(0, 0.3, n)) % 360, rng.uniform(-0.1, 0.2, n)
        radii = np.where(rng.random(n) < 0.2, rng.uniform(0, 0.02, n), 0.0)
        labels = friends_of_friends(ra, dec, 0.015, radii)
        near = separation_deg(ra[:, None], dec[:, None], ra, dec) <= 0.015 + radii[:, None] + radii
        reach = near.copy()
        for _ in range(7):
            reach = (reach.astype(int) @ reach.astype(int)) > 0
        assert np.array_equal(labels[:, None] == labels, reach)
        assert sorted(set(labels)) == list(range(labels.max() + 1))
