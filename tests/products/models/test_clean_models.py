"""Models made of clean components: the first solve's, and the facet's new one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from factor.products.images.image import SkyGrid
from factor.products.models.clean_models import (
    effective_flux,
    held_model,
    join_models,
    model_from_clean,
    starting_model,
)
from factor.products.models.skymodel import point_components, read, write

HEADER = (
    "Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, "
    "ReferenceFrequency='144000000', MajorAxis, MinorAxis, Orientation\n"
)


def source_list(path: Path, *sources: tuple[float, float]) -> Path:
    """Points at so many arcsec north of a place, with these fluxes."""
    lines = []
    for k, (north_arcsec, flux) in enumerate(sources):
        minutes, seconds = divmod(north_arcsec, 60.0)
        dec = f"52.{int(minutes):02d}.{seconds:06.3f}"
        lines.append(f"s0c{k},POINT,14:30:00.0,{dec},{flux},[-0.7],false,144000000,,,\n")
    path.write_text(HEADER + "".join(lines))
    return path


def test_one_patch_with_spectra(tmp_path: Path) -> None:
    """DP3 solves for a patch by its name; rule 8: the spectrum survives."""
    components = source_list(tmp_path / "a-sources.txt", (0, 1.0), (300, 0.5))
    model_from_clean(components, "d1", tmp_path / "m.skymodel")
    model = read(tmp_path / "m.skymodel")
    assert set(model.patch) == {"d1"}
    assert model.flux_jy.sum() == pytest.approx(1.5)
    assert np.allclose(model.spectral_index[:, 0], -0.7)


def picture(
    path: Path, place: tuple[float, float], *sources: tuple[float, float], beam_arcsec: float = 6.0
) -> Path:
    """An image with a round beam: sources so many arcsec north of a place."""
    grid = SkyGrid(*place, 101, 101, 1.5)
    rows, columns = np.mgrid[:101, :101] - 50
    data = np.zeros(grid.shape)
    for north_arcsec, flux in sources:
        distance2 = (1.5 * columns) ** 2 + (1.5 * rows - north_arcsec) ** 2
        data += flux * np.exp(-4.0 * np.log(2.0) * distance2 / beam_arcsec**2)
    header = grid.header(1.44e8)
    header.update(BMAJ=beam_arcsec / 3600, BMIN=beam_arcsec / 3600, BPA=0.0)
    fits.writeto(path, data.astype(np.float32), header)
    return path


PLACE = (217.5, 52.0)


@pytest.mark.parametrize(
    ("shown", "north_arcsec"),
    [(((3.1, 3.8),), 3.1), (((-20.0, 1.0), (40.0, 1.0)), 2.5)],
    ids=["whole", "in pieces"],
)
def test_first_model_is_collapsed(
    tmp_path: Path, shown: tuple[tuple[float, float], ...], north_arcsec: float
) -> None:
    """Rule 11: a compact source starts as one point where the image has it, all its flux in it."""
    model = source_list(tmp_path / "m.skymodel", (0, 1.0), (2, 1.0), (4, 2.0), (600, 0.3))
    starting_model(model, picture(tmp_path / "i.fits", PLACE, *shown), (), "d1", tmp_path / "start.skymodel")
    start = read(tmp_path / "start.skymodel")
    brightest = int(np.argmax(start.flux_jy))
    assert start.flux_jy[brightest] == pytest.approx(4.0)
    assert 3600 * (start.dec_deg[brightest] - 52.0) == pytest.approx(north_arcsec, abs=0.02)
    assert start.flux_jy.sum() == pytest.approx(4.3)
    assert set(start.patch) == {"d1"}


def test_a_faint_component_keeps_away_from_its_bright_neighbour(tmp_path: Path) -> None:
    """What remains beside a bright source must not be moved onto it."""
    model = source_list(tmp_path / "m.skymodel", (0, 4.0), (7, 0.01))
    image = picture(tmp_path / "i.fits", PLACE, (0.0, 4.0))
    starting_model(model, image, (), "d1", tmp_path / "start.skymodel")
    start = read(tmp_path / "start.skymodel")
    north = 3600 * (start.dec_deg - 52.0)
    assert sorted(np.round(north, 1)) == [0.0, 7.0] or len(start) == 1


@pytest.mark.parametrize(
    ("first", "north_arcsec"), [((0.4, 2.5), 3.0), ((30.0, 2.5), 3.4)], ids=["seen", "not seen"]
)
def test_sources_do_not_walk(tmp_path: Path, first: tuple[float, float], north_arcsec: float) -> None:
    """What a model is off by, the next image is off by too: it would add up over the cycles."""
    components = source_list(tmp_path / "m.skymodel", (3.4, 4.0))
    image = picture(tmp_path / "i.fits", PLACE, (0.8, 4.0))
    before = picture(tmp_path / "f.fits", PLACE, first)
    held_model(components, image, before, "d1", tmp_path / "held.skymodel")
    held = read(tmp_path / "held.skymodel")
    assert 3600 * (held.dec_deg[0] - 52.0) == pytest.approx(north_arcsec, abs=0.01)
    assert held.ra_deg[0] == pytest.approx(217.5, abs=0.01 / 3600)


def test_effective_flux_of_a_double(tmp_path: Path) -> None:
    """S_peak (S_tot / S_peak)^(2/3): what lies within the initial resolution counts as the peak."""
    near = read(source_list(tmp_path / "a.skymodel", (0, 1.0), (10, 1.0)))
    assert effective_flux(near, 144e6) == pytest.approx(2)
    double = read(source_list(tmp_path / "b.skymodel", (0, 1.0), (120, 1.0)))
    assert effective_flux(double, 144e6) == pytest.approx(2 ** (2 / 3))


def test_calibrator_is_not_counted_twice(tmp_path: Path) -> None:
    """The facet's image holds the calibrator as well: there its own model is taken alone."""
    calibrator = source_list(tmp_path / "cal.skymodel", (0, 2.0))
    initial = source_list(tmp_path / "initial.skymodel", (1, 1.9))
    facet = source_list(tmp_path / "f-sources.txt", (0, 1.5), (2, 0.4), (900, 0.3))
    join_models((calibrator, 1.0), [initial], facet, "d1", tmp_path / "new.skymodel")
    new = read(tmp_path / "new.skymodel")
    assert sorted(new.flux_jy) == pytest.approx([0.3, 2.0])
    assert set(new.patch) == {"d1"}
    assert len(set(new.name)) == len(new)


def test_sources_at_the_edge_of_the_calibrators_mask_are_whole(tmp_path: Path) -> None:
    """A tenth of a source that reached into the mask must not take the place of all of it."""
    calibrator = source_list(
        tmp_path / "cal.skymodel", (0, 2.0), (200, 0.3), (300, -0.02), (390, 0.01), (400, 0.02)
    )
    initial = source_list(tmp_path / "initial.skymodel", (5, 1.9))
    facet = source_list(tmp_path / "f-sources.txt", (0, 1.5), (202, 0.31), (410, 0.25), (420, 0.05))
    join_models((calibrator, 1.0), [initial], facet, "d1", tmp_path / "new.skymodel")
    assert sorted(read(tmp_path / "new.skymodel").flux_jy) == pytest.approx([-0.02, 0.05, 0.25, 0.3, 2.0])


def test_empty_facet_image(tmp_path: Path) -> None:
    """A facet with nothing but its calibrator still gets a model."""
    calibrator = source_list(tmp_path / "cal.skymodel", (0, 2.0))
    initial = source_list(tmp_path / "initial.skymodel", (0, 1.9))
    facet = source_list(tmp_path / "f-sources.txt")
    join_models((calibrator, 1.0), [initial], facet, "d1", tmp_path / "n.skymodel")
    assert list(read(tmp_path / "n.skymodel").flux_jy) == [2.0]


def test_a_resolved_source_starts_as_one_gaussian(tmp_path: Path) -> None:
    """Uneven clean components would pull a resolved calibrator onto the brightest of them."""
    rng = np.random.default_rng(1)
    along, across = rng.normal(0.0, 10.0, 200), rng.normal(0.0, 4.0, 200)
    angle = np.radians(30.0)
    east = along * np.sin(angle) + across * np.cos(angle)
    north = along * np.cos(angle) - across * np.sin(angle)
    dec = 50.0 + north / 3600.0
    ra = 100.0 + east / 3600.0 / np.cos(np.radians(50.0))
    model, start = tmp_path / "clean.skymodel", tmp_path / "start.skymodel"
    write(point_components(ra, dec, np.full(200, 0.01), 1.44e8), model, "cal")
    image = picture(tmp_path / "i.fits", (100.0, 50.0), beam_arcsec=12.0)
    starting_model(model, image, (), "cal", start)
    one = read(start)
    assert one.type.tolist() == ["GAUSSIAN"]
    assert one.flux_jy[0] == pytest.approx(2.0)
    assert one.major_arcsec[0] == pytest.approx(23.5, rel=0.15)
    assert one.minor_arcsec[0] == pytest.approx(9.4, rel=0.15)
    assert one.orientation_deg[0] == pytest.approx(30.0, abs=5.0)
    assert one.ra_deg[0] == pytest.approx(float(ra.mean()), abs=0.2 / 3600.0)


def test_rule_7_the_calibrators_model_is_put_on_the_scale_of_its_solutions(tmp_path: Path) -> None:
    """Flux and spectrum must scale together, or the band's edges keep a part of the source."""
    calibrator, empty = tmp_path / "cal.skymodel", source_list(tmp_path / "e-sources.txt", (300.0, 0.1))
    model_from_clean(source_list(tmp_path / "c-sources.txt", (0.0, 1.0)), "d1", calibrator)
    join_models((calibrator, 0.5), [calibrator], empty, "d1", tmp_path / "new.skymodel")
    before, after = read(calibrator), read(tmp_path / "new.skymodel")
    brightest = int(np.argmax(after.flux_jy))
    assert after.flux_jy[brightest] == pytest.approx(2.0 * before.flux_jy[0])
    assert after.spectral_index[brightest] == pytest.approx(2.0 * before.spectral_index[0])


@pytest.mark.parametrize("north", [4.0, 40.0], ids=["in the catalogue", "not in the catalogue"])
def test_a_catalogue_places_the_first_model(
    tmp_path: Path, north: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Rule 11: a source starts where the catalogue has it; without one there, where it is seen, and told."""
    model = tmp_path / "m.skymodel"
    write(point_components(np.array([217.5]), np.array([52.0]), np.array([1.0]), 144e6), model)
    image = picture(tmp_path / "i.fits", (217.5, 52.0), (0.0, 1.0))
    (tmp_path / "c.csv").write_text(f"ra,dec,flux\n217.5,{52.0 + north / 3600},1.3\n")
    with caplog.at_level("INFO", logger="factor.selfcal"):
        starting_model(model, image, (), "d1", tmp_path / "start.skymodel", tmp_path / "c.csv")
    start = read(tmp_path / "start.skymodel")
    assert 3600 * (start.dec_deg[0] - 52.0) == pytest.approx(4.0 if north < 12 else 0.0, abs=0.01)
    assert start.flux_jy[0] == pytest.approx(1.0)
    assert ("moved by 4.00 arcsec" if north < 12 else "has no source of its flux") in caplog.text
