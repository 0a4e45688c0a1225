"""Sources, and the facets they belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from factor.directions.facets import make_facets
from factor.directions.geometry import FieldGeometry, to_sky
from factor.directions.model import Direction
from factor.products.models.skymodel import Components, concatenate, flux_at, point_components, select
from factor.products.models.sources import (
    assign_sources,
    calibrator_components,
    collapse_compact,
    group_sources,
    sources_from_patches,
)

CENTRE = (0.0, 60.0)


def _model(x_arcsec: list[float], y_arcsec: list[float], flux: list[float]) -> Components:
    ra, dec = to_sky(np.array(x_arcsec) / 3600, np.array(y_arcsec) / 3600, CENTRE)
    return point_components(ra, dec, np.array(flux), 144e6)


def test_groups_by_gaps() -> None:
    """Components less than 1' apart, also across 0h, are one source; the brightest comes first."""
    model = _model([-100, -55, 0, 600, 640], [0, 0, 0, 0, 0], [0.1, 0.1, 0.2, 1.0, 3.0])
    labels, sources = group_sources(model)
    assert labels.tolist() == [1, 1, 1, 0, 0]
    assert [s.name for s in sources] == ["facet_patch_0", "facet_patch_1"]
    assert sources[0].flux_jy == pytest.approx(4.0)
    assert sources[1].size_arcmin == pytest.approx(100 / 60, rel=1e-4)
    centre = to_sky(630 / 3600, 0.0, CENTRE)
    assert sources[0].ra_deg == pytest.approx(float(centre[0]), abs=1e-6)


def test_extent_includes_gaussians() -> None:
    """A component's own size counts, both for linking and for the extent."""
    model = _model([0, 150], [0, 0], [1.0, 1.0])
    wide = replace(model, major_arcsec=np.array([120.0, 80.0]))
    assert len(group_sources(model)[1]) == 2
    (source,) = group_sources(wide)[1]
    assert source.size_arcmin == pytest.approx((150 + 60 + 40) / 60, rel=1e-3)


def test_many_components_have_the_right_extent() -> None:
    """The extent of a source of many components is that of its hull."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-60, 60, (2, 400))
    (source,) = group_sources(_model(x.tolist(), y.tolist(), [1.0] * 400))[1]
    apart = np.hypot(x[:, None] - x, y[:, None] - y).max()
    assert source.size_arcmin == pytest.approx(apart / 60, rel=1e-4)


def test_order_of_components_does_not_matter() -> None:
    """A resumed run must find the same sources under the same names."""
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-3000, 3000, (2, 300))
    model = _model(x.tolist(), y.tolist(), rng.exponential(1, 300).tolist())
    turned = select(model, np.arange(300)[::-1])
    first, again = group_sources(model), group_sources(turned)
    assert np.array_equal(first[0], again[0][::-1])
    assert [s.size_arcmin for s in first[1]] == pytest.approx([s.size_arcmin for s in again[1]])


def test_patches_are_sources() -> None:
    """A faceting sky model comes in patches and is not grouped again."""
    model = replace(_model([0, 5, 900], [0, 0, 0], [1.0, 2.0, 3.0]), patch=np.array(["b", "a", "b"]))
    labels, sources = sources_from_patches(model)
    assert labels.tolist() == [1, 0, 1]
    assert [(s.name, s.flux_jy) for s in sources] == [("a", 2.0), ("b", 4.0)]


def test_no_components() -> None:
    """An empty model has no sources."""
    empty = _model([], [], [])
    assert group_sources(empty)[1] == []
    assert len(collapse_compact(empty, 25.0)) == 0
    assert sources_from_patches(empty)[1] == []


def _two_facets() -> tuple:
    ra, dec = to_sky([-0.5, 0.5], [0.0, 0.0], CENTRE)
    directions = [Direction(f"d{k}", float(ra[k]), float(dec[k]), cal_size_deg=0.1) for k in range(2)]
    return make_facets(directions, [], FieldGeometry(*CENTRE, 1.5), check_edges=False)


def test_sources_fall_to_one_facet_in_all_bands() -> None:
    """A source across an edge is not cut, though one band sees only its other half."""
    facets = _two_facets()
    low = _model([-20, 15, 3600], [0, 0, 0], [0.2, 1.0, 1.0])
    high = _model([-20], [0], [0.3])
    owners = assign_sources({"low": low, "high": high}, facets)
    assert owners["low"].tolist() == [1, 1, 1]
    assert owners["high"].tolist() == [1]
    assert assign_sources({"high": high}, facets)["high"].tolist() == [0]


def test_all_facets_together_have_all_sources() -> None:
    """The old models of all facets add up to the initial model inside them."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-7000, 7000, (2, 500))
    model = _model(x.tolist(), y.tolist(), rng.exponential(1, 500).tolist())
    owners = assign_sources({"b": model}, _two_facets())["b"]
    labels, _ = group_sources(model)
    assert all(len(set(owners[labels == k])) == 1 for k in range(labels.max() + 1))
    deep = np.hypot(x, y) < 5000
    assert set(owners[deep]) == {0, 1}
    assert set(owners[np.hypot(x, y) > 5800]) == {-1}


def test_patch_facets_get_what_is_left() -> None:
    """A square that reaches into the ellipse takes nothing from the facets there."""
    ra, dec = to_sky([0.0, 1.55], [0.0, 0.0], CENTRE)
    directions = [Direction("in", float(ra[0]), float(dec[0])), Direction("out", float(ra[1]), float(dec[1]))]
    facets = make_facets(directions, [], FieldGeometry(*CENTRE, 1.5), cal_image_deg={"out": 1.0})
    x = [1.4 * 3600, 1.6 * 3600, 1.9 * 3600]
    owners = assign_sources({"b": _model(x, [0, 0, 0], [1, 1, 1])}, facets)["b"]
    assert owners.tolist() == [0, 1, -1]


def test_calibrator_has_whole_sources() -> None:
    """The box decides by centres of sources; their components outside it come along."""
    direction = Direction("d", *CENTRE, cal_size_deg=0.05)
    models = {"a": _model([0, 70, 110, 400], [0, 0, 0, 0], [1, 1, 0.2, 1]), "b": _model([115], [0], [0.1])}
    masks = calibrator_components(models, direction)
    assert masks["a"].tolist() == [True, True, True, False]
    assert masks["b"].tolist() == [True]


def test_compact_sources_collapse_to_their_centroid() -> None:
    """One point with all the flux at the centroid, with the summed spectrum."""
    model = _model([-7.5, 0, 7.5, 500], [0, 7.5, 0, 0], [0.5, 1.0, 1.0, 0.3])
    model = replace(model, spectral_index=np.array([[-0.5], [-0.7], [-0.9], [-0.7]]))
    points = collapse_compact(model, 25.0)
    assert sorted(points.flux_jy) == pytest.approx([0.3, 2.5])
    bright = select(points, points.flux_jy > 1)
    ra, dec = to_sky((-7.5 * 0.5 + 7.5) / 2.5 / 3600, 7.5 / 2.5 / 3600, CENTRE)
    assert bright.ra_deg == pytest.approx([float(ra)], abs=1e-7)
    assert bright.dec_deg == pytest.approx([float(dec)], abs=1e-7)
    for freq in (120e6, 144e6, 168e6):
        assert flux_at(points, freq).sum() == pytest.approx(flux_at(model, freq).sum(), rel=1e-3)


def test_ordinary_spectra_are_summed_exactly() -> None:
    """Polynomials of frequency add term by term."""
    model = _model([0, 5], [0, 0], [1.0, 2.0])
    model = replace(
        model, spectral_index=np.array([[-3.0, 1.0], [2.0, 0.5]]), logarithmic_si=np.array([False, False])
    )
    points = collapse_compact(model, 25.0)
    assert len(points) == 1
    assert flux_at(points, 180e6) == pytest.approx([flux_at(model, 180e6).sum()], rel=1e-12)


def test_extended_sources_are_left_alone() -> None:
    """A double source, a chain, and a wide Gaussian keep their structure."""
    double = _model([-20, 20], [0, 0], [1.0, 1.0])
    chain = _model([20.0 * k for k in range(6)], [500.0] * 6, [1.0] * 6)
    gaussian = replace(_model([2000.0], [0.0], [1.0]), major_arcsec=np.array([60.0]))
    model = concatenate([double, chain, gaussian])
    points = collapse_compact(model, 25.0)
    assert np.array_equal(points.flux_jy, model.flux_jy)
    assert np.array_equal(points.ra_deg, model.ra_deg)
    assert points.major_arcsec.max() == 60.0


def test_a_faint_neighbour_stays() -> None:
    """What lies further than 1.5 beams from a bright point is not swallowed by it."""
    model = _model([0, 5, 22, 45], [0, 0, 0, 0], [5.0, 5.0, 0.02, 0.05])
    points = collapse_compact(model, 25.0)
    assert sorted(points.flux_jy) == pytest.approx([0.05, 10.02])
