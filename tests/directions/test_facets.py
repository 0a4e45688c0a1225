"""Facets tile the field, and no source is cut."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import shapely
from astropy.wcs import WCS

from factor.directions.edges import avoidance_radius_deg, calibrator_radius_deg
from factor.directions.facets import facet_of, make_facets, neighbours, polygon_in_plane
from factor.directions.geometry import FieldGeometry, separation_deg, to_plane, to_sky
from factor.directions.model import Direction, Facet, Source
from factor.errors import InputError
from factor.products.images.masks import polygon_mask

FIELDS = [
    FieldGeometry(0.3, 52.0, 2.0, 1.1),
    FieldGeometry(123.4, 85.0, 2.5, 0.9),
    FieldGeometry(250.0, -3.0, 1.5, 0.6),
    FieldGeometry(40.0, 89.2, 1.5, 0.8),
]


def _positions(field: FieldGeometry, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    r, a = 0.98 * np.sqrt(rng.random(n)), rng.random(n) * 2 * np.pi
    x, y = field.radius_deg * r * np.cos(a), field.radius_north_deg * r * np.sin(a)
    return to_sky(x, y, (field.ra_deg, field.dec_deg))


def _directions(field: FieldGeometry, rng: np.random.Generator, n: int) -> list[Direction]:
    ra, dec = _positions(field, rng, n)
    return [
        Direction(f"d{k}", float(ra[k]), float(dec[k]), cal_size_deg=0.05, cal_flux_jy=0.5) for k in range(n)
    ]


def _sources(field: FieldGeometry, rng: np.random.Generator, n: int) -> list[Source]:
    ra, dec = _positions(field, rng, n)
    flux = np.minimum(0.02 * rng.random(n) ** -1.6, 30.0)
    size = rng.exponential(0.5, n)
    return [Source(f"s{k}", float(ra[k]), float(dec[k]), float(flux[k]), float(size[k])) for k in range(n)]


def _polygons(facets: tuple[Facet, ...], field: FieldGeometry) -> list[shapely.Polygon]:
    return [shapely.Polygon(polygon_in_plane(f, (field.ra_deg, field.dec_deg))) for f in facets]


def _assert_tiles(facets: tuple[Facet, ...], field: FieldGeometry) -> None:
    polygons = _polygons(facets, field)
    area = np.pi * field.radius_deg * field.radius_north_deg * np.sin(2 * np.pi / 360) / (2 * np.pi / 360)
    assert all(p.is_valid and p.exterior.is_ccw for p in polygons)
    assert sum(p.area for p in polygons) == pytest.approx(area, rel=1e-7)
    assert shapely.unary_union(polygons).area == pytest.approx(area, rel=1e-7)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("check_edges", [False, True])
def test_facets_tile_the_ellipse(seed: int, check_edges: bool) -> None:
    """A gap loses sky and an overlap counts it twice, whatever the layout."""
    rng = np.random.default_rng(seed)
    field = FIELDS[seed % len(FIELDS)]
    n = int(rng.integers(1, 30))
    directions = _directions(field, rng, n)
    facets = make_facets(directions, _sources(field, rng, 300), field, check_edges=check_edges)
    assert [f.name for f in facets] == [d.name for d in directions]
    _assert_tiles(facets, field)
    ra, dec = _positions(field, rng, 2000)
    assert np.all(facet_of(facets, ra, dec) >= 0)
    own = facet_of(facets, [d.ra_deg for d in directions], [d.dec_deg for d in directions])
    assert own.tolist() == list(range(n))


@pytest.mark.parametrize("seed", range(5))
def test_no_source_is_cut(seed: int) -> None:
    """A source whose circle meets no other one lies wholly in the facet of its centre."""
    rng = np.random.default_rng(100 + seed)
    field = FIELDS[seed % len(FIELDS)]
    directions = _directions(field, rng, 20)
    sources = _sources(field, rng, 400)
    facets = make_facets(directions, sources, field)
    centre = (field.ra_deg, field.dec_deg)
    x, y = to_plane([s.ra_deg for s in sources], [s.dec_deg for s in sources], centre)
    radius = np.array([avoidance_radius_deg(s) for s in sources])
    dx, dy = to_plane([d.ra_deg for d in directions], [d.dec_deg for d in directions], centre)
    bent = 0
    for k in range(len(sources)):
        apart = np.hypot(x - x[k], y - y[k])
        apart[k] = np.inf
        lonely = np.all(apart > radius + radius[k]) and np.all(
            np.hypot(dx - x[k], dy - y[k]) > 0.12 + radius[k]
        )
        if not lonely:
            continue
        angle = np.linspace(0, 2 * np.pi, 60)
        rim = to_sky(x[k] + radius[k] * np.cos(angle), y[k] + radius[k] * np.sin(angle), centre)
        inside = field.distance(*rim) <= 0.999
        owners = facet_of(facets, *rim)[inside]
        holder = facet_of(facets, sources[k].ra_deg, sources[k].dec_deg)[0]
        assert np.all(owners == holder)
        nearest = np.argmin(
            np.hypot(
                dx[:, None] - x[k] - radius[k] * np.cos(angle), dy[:, None] - y[k] - radius[k] * np.sin(angle)
            ),
            axis=0,
        )
        bent += len(set(nearest[inside])) > 1
    assert bent > 0, "no edge had to bend: the test shows nothing"


@pytest.mark.parametrize("seed", range(6))
def test_calibrators_and_sources_stay_whole(seed: int) -> None:
    """In a crowded field: calibrators always, and of the sources all but very few.

    Those few overlap several others, which belong to different facets.
    """
    rng = np.random.default_rng(200 + seed)
    field = FIELDS[seed % len(FIELDS)]
    sizes, fluxes = rng.uniform(0.02, 0.2, 40), rng.uniform(0.1, 10.0, 40)
    directions = [
        replace(d, cal_size_deg=float(size), cal_flux_jy=float(flux))
        for d, size, flux in zip(_directions(field, rng, 40), sizes, fluxes, strict=True)
    ]
    sources = _sources(field, rng, 800)
    facets = make_facets(directions, sources, field)
    polygons, centre = _polygons(facets, field), (field.ra_deg, field.dec_deg)

    def cut(ra_deg: float, dec_deg: float, radius_deg: float, holder: int) -> bool:
        x, y = to_plane(ra_deg, dec_deg, centre)
        angle = np.linspace(0, 2 * np.pi, 40)
        x, y = x + radius_deg * np.cos(angle), y + radius_deg * np.sin(angle)
        inside = np.hypot(x / field.radius_deg, y / field.radius_north_deg) < 0.999
        return not bool(np.all(shapely.intersects_xy(polygons[holder], x[inside], y[inside])))

    for k, d in enumerate(directions):
        radius = calibrator_radius_deg(d.cal_size_deg, d.cal_flux_jy)
        others = [o for o in directions if o is not d]
        room = separation_deg(d.ra_deg, d.dec_deg, [o.ra_deg for o in others], [o.dec_deg for o in others])
        reach = [radius + calibrator_radius_deg(o.cal_size_deg, o.cal_flux_jy) for o in others]
        if np.all(room > reach):
            assert not cut(d.ra_deg, d.dec_deg, 0.99 * radius, k)
    holders = facet_of(facets, [s.ra_deg for s in sources], [s.dec_deg for s in sources])
    radii = [max(s.size_arcmin / 120, 12.5 / 3600) for s in sources]
    found = [cut(s.ra_deg, s.dec_deg, r, h) for s, r, h in zip(sources, radii, holders, strict=True)]
    assert sum(found) <= 0.005 * len(sources)


def test_sources_that_touch_share_a_facet() -> None:
    """A fainter source beside a brighter one on an edge goes where the brighter one goes."""
    field = FieldGeometry(180.0, 50.0, 2.0)
    ra, dec = to_sky([-1.0, 1.0], [0.0, 0.0], (180.0, 50.0))
    directions = [Direction(f"d{k}", float(ra[k]), float(dec[k]), cal_size_deg=0.05) for k in range(2)]
    ra, dec = to_sky([-0.005, 0.012], [0.3, 0.3], (180.0, 50.0))
    sources = [
        Source("bright", float(ra[0]), float(dec[0]), 2.0, 0.0),
        Source("faint", float(ra[1]), float(dec[1]), 0.05, 0.0),
    ]
    facets = make_facets(directions, sources, field)
    assert facet_of(facets, ra, dec).tolist() == [0, 0]
    plain = make_facets(directions, sources, field, check_edges=False)
    assert facet_of(plain, ra, dec).tolist() == [0, 1]


@pytest.mark.parametrize(
    "offsets",
    [
        [(0.3, -0.4)],
        [(0.0, 0.0), (0.5, 0.5)],
        [(x, 0.0) for x in (-1.2, -0.5, 0.0, 0.4, 1.4)],
        [(0.0, y) for y in (-1.2, 0.3, 0.9)],
        [(0.5, 0.5), (0.5, 0.51), (-0.5, 0.0)],
        [(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)],
    ],
)
@pytest.mark.parametrize("field", FIELDS[:2])
def test_special_layouts(offsets: list[tuple[float, float]], field: FieldGeometry) -> None:
    """One direction, lines, close pairs and exact grids are what breaks tessellations."""
    ra, dec = to_sky(*np.array(offsets).T, (field.ra_deg, field.dec_deg))
    directions = [
        Direction(f"d{k}", float(ra[k]), float(dec[k]), cal_size_deg=0.2, cal_flux_jy=5.0)
        for k in range(len(offsets))
    ]
    facets = make_facets(directions, _sources(field, np.random.default_rng(1), 200), field)
    _assert_tiles(facets, field)
    assert facet_of(facets, ra, dec).tolist() == list(range(len(offsets)))


def test_crowded_layout_stays_whole() -> None:
    """Even huge overlapping sources and crowded directions leave single pieces without holes."""
    field = FIELDS[0]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sources = [
            Source(s.name, s.ra_deg, s.dec_deg, s.flux_jy, s.size_arcmin * 30)
            for s in _sources(field, rng, 400)
        ]
        directions = _directions(field, rng, 40)
        _assert_tiles(make_facets(directions, sources, field), field)


def test_image_square_holds_the_polygon() -> None:
    """The square around a facet is its image: too small cuts it, too large costs time."""
    field = FIELDS[1]
    for facet in make_facets(_directions(field, np.random.default_rng(3), 7), [], field):
        xy = polygon_in_plane(facet)
        assert 2 * np.abs(xy).max() == pytest.approx(facet.width_deg, rel=1e-6)
        assert np.allclose(xy.min(axis=0), -xy.max(axis=0), atol=1e-6)


def test_directions_outside_become_patches() -> None:
    """Outside the ellipse (and for outliers) there is a small square, 0.6 of the image."""
    field = FieldGeometry(10.0, 50.0, 1.0)
    inside, outside = Direction("in", 10.0, 50.0), Direction("out", 13.0, 50.0)
    outlier = Direction("a-team", 10.5, 50.1, is_outlier=True)
    facets = make_facets([outside, inside, outlier], [], field, cal_image_deg={"out": 0.5})
    assert [f.is_patch for f in facets] == [True, False, True]
    assert facets[0].width_deg == pytest.approx(0.3)
    assert facet_of(facets, [13.0, 13.2, 13.6], [50.0, 50.1, 50.0]).tolist() == [0, 0, -1]
    assert facet_of(facets, 10.5, 50.1).tolist() == [1]


def test_coincident_directions_are_refused() -> None:
    """Two directions in one place cannot both have a facet."""
    twins = [Direction("a", 10.0, 50.0), Direction("b", 10.0, 50.0)]
    with pytest.raises(InputError, match="'a' and 'b'"):
        make_facets(twins, [], FieldGeometry(10.0, 50.0, 1.0))


def test_masks_share_every_pixel_once() -> None:
    """In the mosaic each pixel of the ellipse belongs to exactly one facet."""
    for field in FIELDS[:3]:
        rng = np.random.default_rng(5)
        facets = make_facets(_directions(field, rng, 9), _sources(field, rng, 200), field)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---SIN", "DEC--SIN"]
        wcs.wcs.crval = [field.ra_deg + 0.1, field.dec_deg]
        wcs.wcs.cdelt = [-0.02, 0.02]
        wcs.wcs.crpix = [150.0, 160.0]
        shape = (330, 300)
        total = sum(polygon_mask(f.vertices, wcs, shape).astype(int) for f in facets)
        assert total.max() == 1
        y, x = np.mgrid[: shape[0], : shape[1]]
        sky = wcs.all_pix2world(x.ravel(), y.ravel(), 0)
        owner = facet_of(facets, *sky).reshape(shape)
        assert np.mean((owner >= 0) != (total == 1)) < 1e-4
        assert np.mean(polygon_mask(facets[4].vertices, wcs, shape) != (owner == 4)) < 1e-4


def test_neighbours_share_their_edges() -> None:
    """Seams are measured along shared edges, so these must be found whole."""
    field = FieldGeometry(180.0, 40.0, 1.0)
    ra, dec = to_sky([-0.5, 0.5], [0.0, 0.0], (180.0, 40.0))
    facets = make_facets([Direction("w", ra[0], dec[0]), Direction("e", ra[1], dec[1])], [], field)
    edges = neighbours(facets)
    assert list(edges) == [(0, 1)]
    x, y = to_plane(*np.concatenate(edges[0, 1]).T, (180.0, 40.0))
    assert np.allclose(x, 0.0, atol=1e-6)
    assert np.ptp(y) == pytest.approx(2.0, rel=1e-3)


def test_many_facets_are_quick() -> None:
    """A hundred facets among five thousand sources take seconds, not minutes."""
    field, rng = FIELDS[0], np.random.default_rng(0)
    directions, sources = _directions(field, rng, 100), _sources(field, rng, 5000)
    start = time.process_time()
    facets = make_facets(directions, sources, field)
    assert time.process_time() - start < 10.0
    _assert_tiles(facets, field)
