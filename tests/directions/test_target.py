"""The target's circle stays in one facet."""

from __future__ import annotations

import numpy as np
import pytest

from factor.directions.facets import facet_of, make_facets
from factor.directions.geometry import FieldGeometry, to_sky
from factor.directions.model import Direction, Facet
from factor.directions.target import Target, is_cut, with_target
from factor.errors import InputError
from tests.directions.test_facets import FIELDS, _assert_tiles, _directions, _positions, _sources

FIELD = FieldGeometry(180.0, 40.0, 1.0)


def _place(x: float, y: float) -> tuple[float, float]:
    ra, dec = to_sky(x, y, (FIELD.ra_deg, FIELD.dec_deg))
    return float(ra), float(dec)


PAIR = tuple(
    Direction(name, *_place(x, 0.0), cal_size_deg=0.05) for name, x in (("west", -0.5), ("east", 0.5))
)


def _holder(facets: tuple[Facet, ...]) -> Facet:
    (holder,) = (facet for facet in facets if facet.holds_target)
    return holder


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("own_facet", [False, True])
def test_no_edge_crosses_the_circle(seed: int, own_facet: bool) -> None:
    """An extended target must be imaged whole, wherever it is and whatever is near it."""
    rng = np.random.default_rng(seed)
    field = FIELDS[seed % len(FIELDS)]
    directions = tuple(_directions(field, rng, 12))
    ra, dec = (float(values[0]) for values in _positions(field, rng, 1))
    apart = min(
        np.hypot((d.ra_deg - ra) * np.cos(np.radians(dec)), d.dec_deg - dec) for d in directions
    )
    target = Target(ra, dec, max(0.05, 0.9 * float(apart)))
    directions = with_target(directions, target, field, own_facet=own_facet)
    facets = make_facets(directions, _sources(field, rng, 300), field, target=target)
    _assert_tiles(facets, field)
    assert not is_cut(target, _holder(facets), field)


def test_the_edge_would_cross_it() -> None:
    """The circle bends the edge, and belongs to the facet of its centre."""
    target = Target(*_place(0.05, 0.3), 0.2)
    plain = make_facets(PAIR, [], FIELD, check_edges=False, target=target)
    assert _holder(plain).name == "east"
    assert is_cut(target, _holder(plain), FIELD)
    bent = make_facets(PAIR, [], FIELD, target=target)
    assert _holder(bent).name == "east"
    assert not is_cut(target, _holder(bent), FIELD)


def test_a_facet_of_its_own() -> None:
    """It is the last, and is not calibrated."""
    target = Target(*_place(0.0, 0.5), 0.1)
    directions = with_target(PAIR, target, FIELD, own_facet=True)
    assert [d.name for d in directions] == ["west", "east", "target"]
    facets = make_facets(directions, [], FIELD, target=target)
    assert [f.holds_target for f in facets] == [False, False, True]
    assert facet_of(facets, *_place(0.0, 0.58)).tolist() == [2]


def test_the_target_is_one_of_the_directions() -> None:
    """A calibrator in the circle gives its facet, and its solutions, to the target."""
    target = Target(*_place(0.3, 0.0), 0.25)
    assert with_target(PAIR, target, FIELD, own_facet=True) == PAIR
    facets = make_facets(PAIR, [], FIELD, target=target)
    assert _holder(facets).name == "east"
    assert not is_cut(target, _holder(facets), FIELD)


@pytest.mark.parametrize(
    ("offset", "radius", "named", "message"),
    [
        ((0.0, 1.2), 0.1, "east", "faceting_radius_deg"),
        ((0.0, 0.0), 0.6, "east", "2 directions"),
        ((0.0, 0.5), 0.1, "target", "another name"),
    ],
)
def test_impossible_targets(
    offset: tuple[float, float], radius: float, named: str, message: str
) -> None:
    """A target that no facet can hold is refused with what to change."""
    other = Direction(named, PAIR[1].ra_deg, PAIR[1].dec_deg)
    with pytest.raises(InputError, match=message):
        with_target((PAIR[0], other), Target(*_place(*offset), radius), FIELD, own_facet=True)
