"""The selection of directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.directions.geometry import FieldGeometry, separation_deg, to_sky
from factor.directions.model import Source
from factor.directions.select import SelectionLimits, left_out, select_directions
from factor.errors import InputError

FIELD = FieldGeometry(0.1, 60.0, 2.0, 1.0)
LIMITS = SelectionLimits(
    size_max_arcmin=2.0, separation_max_arcmin=7.5, flux_min_jy=0.3, flux_min_for_merging_jy=0.1
)


def _source(name: str, x_arcmin: float, y_arcmin: float, flux_jy: float, size_arcmin: float = 0.5) -> Source:
    ra, dec = to_sky(x_arcmin / 60, y_arcmin / 60, (FIELD.ra_deg, FIELD.dec_deg))
    return Source(name, float(ra), float(dec), flux_jy, size_arcmin)


def test_limits_in_order() -> None:
    """Size, merging flux, separation and group flux act one after the other."""
    sources = [
        _source("big", -60, 0, 5.0, size_arcmin=3.0),
        _source("alone", 60, 0, 0.4),
        _source("pair1", 0, 0, 0.25),
        _source("pair2", 0, 6, 0.2),
        _source("faint", 0, 8, 0.05),
        _source("weak", 30, 30, 0.25),
    ]
    directions = select_directions(sources, LIMITS, FIELD)
    assert [d.name for d in directions] == ["pair1", "alone"]
    assert directions[0].cal_flux_jy == pytest.approx(0.45)
    middle = _source("", 0, 3, 0)
    assert separation_deg(directions[0].ra_deg, directions[0].dec_deg, middle.ra_deg, middle.dec_deg) < 1e-4
    assert directions[0].cal_size_deg == pytest.approx(1.2 * 2 * 3.25 / 60, rel=1e-3)
    assert directions[1].cal_size_deg == pytest.approx(0.05)
    assert all(d.cal_imsize == 0 for d in directions)


def test_nearby_extended_source_enlarges_the_box() -> None:
    """An extended neighbour is calibrated whole along with the compact source."""
    sources = [_source("core", 0, 0, 1.0), _source("lobes", 2.5, 0, 0.6, size_arcmin=4.0)]
    (direction,) = select_directions(sources, LIMITS, FIELD)
    assert direction.cal_size_deg == pytest.approx(1.2 * 2 * 4.5 / 60, rel=1e-3)
    assert direction.cal_flux_jy == pytest.approx(1.6)


def test_brightest_and_most_uniform() -> None:
    """ndir_max takes the brightest; minimize_nonuniformity spreads them."""
    sources = [_source(f"c{k}", 12 * k, 0, 2.0 - 0.1 * k) for k in range(4)]
    sources.append(_source("far", -60, -60, 0.5))
    brightest = select_directions(sources, replace(LIMITS, ndir_max=2), FIELD)
    assert [d.name for d in brightest] == ["c0", "c1"]
    uniform = select_directions(sources, replace(LIMITS, ndir_max=2, minimize_nonuniformity=True), FIELD)
    assert [d.name for d in uniform] == ["c0", "far"]


def test_radius_is_an_ellipse() -> None:
    """The field is longer from north to south, as the beam is."""
    sources = [_source("east", 65, 0, 1.0), _source("north", 0, 65, 1.0)]
    directions = select_directions(sources, replace(LIMITS, max_radius_deg=1.0), FIELD)
    assert [d.name for d in directions] == ["north"]


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"size_max_arcmin": 0.1}, "size_max_arcmin"),
        ({"flux_min_for_merging_jy": 3.0}, "flux_min_for_merging_Jy"),
        ({"flux_min_jy": 3.0}, "flux_min_Jy"),
        ({"max_radius_deg": 0.1}, "max_radius_deg"),
    ],
)
def test_nothing_left_says_what_to_change(change: dict[str, float], option: str) -> None:
    """The hint names the limit that took the last source, with numbers."""
    with pytest.raises(InputError) as error:
        select_directions([_source("a", 20, 0, 1.0)], replace(LIMITS, **change), FIELD)
    assert option in error.value.hint


def test_order_of_sources_does_not_matter() -> None:
    """A resumed run chooses the same directions."""
    rng = np.random.default_rng(4)
    sources = [
        _source(f"s{k}", *rng.uniform(-80, 80, 2), float(rng.exponential(0.5)), float(rng.uniform(0, 3)))
        for k in range(200)
    ]
    first = select_directions(sources, LIMITS, FIELD)
    again = select_directions(list(reversed(sources)), LIMITS, FIELD)
    assert [d.name for d in first] == [d.name for d in again]
    fluxes = [d.cal_flux_jy for d in first]
    assert fluxes == sorted(fluxes, reverse=True)


def test_bright_sources_that_are_not_chosen() -> None:
    """A user who misses the brightest source of the field is told which limit it failed."""
    sources = [
        _source("big", -60, 0, 5.0, size_arcmin=3.0),
        _source("chosen", 0, 0, 1.0),
        _source("lobe", 1.5, 0, 0.9, size_arcmin=3.0),
        _source("too_many", 60, 0, 0.9),
        _source("out", 0, 200, 4.0),
        _source("faint", 30, 30, 0.2),
    ]
    limits = replace(LIMITS, ndir_max=1, max_radius_deg=2.0, minimize_nonuniformity=False)
    directions = select_directions(sources, limits, FIELD)
    assert [d.name for d in directions] == ["chosen"]
    fainter = [replace(d, cal_flux_jy=0.8) for d in directions]
    told = left_out(sources, fainter, limits, FIELD)
    assert [line.split(",")[0] for line in told] == ["big", "out", "too_many"]
    for line, reason in zip(told, ("size_max_arcmin", "max_radius_deg", "ndir_max"), strict=True):
        assert reason in line
