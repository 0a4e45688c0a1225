"""The check of the mosaic finds what is wrong with fluxes and positions, and nothing else."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from factor.products.fieldcheck.check import KnownSource, Reference, check_mosaic, lonely_brightest
from factor.products.fieldcheck.table import read_rows, read_summaries
from factor.products.images.image import SkyGrid, write_image

GRID = SkyGrid(217.5, 52.0, 800, 800, 2.5)
BEAM_ARCSEC = 10.0
PLACES = [(-500.0, -500.0), (500.0, -400.0), (0.0, 0.0), (400.0, 600.0), (-600.0, 500.0)]


def position(east_arcsec: float, north_arcsec: float) -> tuple[float, float]:
    x, y = GRID.nx // 2 - east_arcsec / 2.5, GRID.ny // 2 + north_arcsec / 2.5
    ra, dec = GRID.wcs.pixel_to_world_values(x, y)
    return float(ra), float(dec)


def write_field(prefix: Path, *, scale: float = 1.0, east: float = 0.0, beam: float = 0.5) -> None:
    """A mosaic of five points of 1 Jy of true flux, off by so much; the beam is the same everywhere."""
    rows, columns = np.mgrid[: GRID.ny, : GRID.nx]
    data = np.random.default_rng(3).normal(scale=1e-4, size=GRID.shape)
    for x, y in PLACES:
        dx, dy = 2.5 * (GRID.nx // 2 - columns) - x - east, 2.5 * (rows - GRID.ny // 2) - y
        data += scale * beam * np.exp(-4 * np.log(2) * (dx**2 + dy**2) / BEAM_ARCSEC**2)
    header = GRID.header(144e6)
    header.update(BMAJ=BEAM_ARCSEC / 3600, BMIN=BEAM_ARCSEC / 3600, BPA=0.0, BUNIT="JY/BEAM")
    write_image(prefix.with_name("field.correct_mosaic.pbcut.fits"), data.astype(np.float32), header)
    write_image(
        prefix.with_name("field.correct_mosaic.pb.fits"), np.full(GRID.shape, beam, np.float32), header
    )
    fits.writeto(prefix.with_name("field.correct_mosaic.facets.fits"), np.full(GRID.shape, 7, np.int16))


def sources(flux: float) -> tuple[KnownSource, ...]:
    return tuple(KnownSource(f"s{k}", *position(*place), flux) for k, place in enumerate(PLACES))


def test_both_references_agree_with_a_good_mosaic(tmp_path: Path) -> None:
    """Rule 1: models have apparent, catalogues true fluxes; both must come out as 1."""
    write_field(tmp_path / "field.")
    references = (
        Reference("initial sky model", True, sources(0.5)),
        Reference("catalogue", False, sources(1.0)),
    )
    check_mosaic(tmp_path / "field.", references, 1e-4)
    for summary in read_summaries(tmp_path / "field.check.json"):
        assert (summary.expected, summary.found, summary.problems()) == (5, 5, [])
        assert summary.flux_ratio == pytest.approx(1.0, abs=0.01)
        assert summary.offset_arcsec < 0.1
    assert (tmp_path / "field.check.png").stat().st_size > 1000
    rows = list(csv.DictReader((tmp_path / "field.check.csv").open()))
    assert len(rows) == 10
    assert {row["facet"] for row in rows} == {"7"}
    again = read_rows(tmp_path / "field.check.csv")
    assert [(row.name, row.facet) for row in again] == [(row["name"], 7) for row in rows]
    assert again[0].measured_true_jy == float(rows[0]["measured_true_jy"])
    assert float(rows[0]["measured_true_jy"]) == pytest.approx(1.0, abs=0.02)


def test_errors_of_scale_and_position_are_found(tmp_path: Path) -> None:
    """A wrong flux scale and a shifted field are warned of, with value and sign."""
    write_field(tmp_path / "field.", scale=0.7, east=6.0)
    check_mosaic(tmp_path / "field.", (Reference("catalogue", False, sources(1.0)),), 1e-4)
    (summary,) = read_summaries(tmp_path / "field.check.json")
    assert summary.flux_ratio == pytest.approx(0.7, abs=0.01)
    assert summary.ra_offset_arcsec == pytest.approx(6.0, abs=0.1)
    assert "0.700" in str(summary)
    problems = summary.problems()
    assert len(problems) == 2
    assert "0.70" in problems[0]
    assert "5.00" in problems[1]


def test_missing_and_faint_sources(tmp_path: Path) -> None:
    """What should be there and is not counts; what is too faint to tell does not."""
    write_field(tmp_path / "field.")
    absent = tuple(KnownSource(f"a{k}", *position(200.0 * k - 500, 250.0), 0.3) for k in range(4))
    faint = (KnownSource("faint", *position(100.0, -300.0), 0.5e-3),)
    check_mosaic(tmp_path / "field.", (Reference("model", True, sources(0.5) + absent + faint),), 1e-4)
    (summary,) = read_summaries(tmp_path / "field.check.json")
    assert (summary.expected, summary.found) == (9, 5)
    assert sum(math.isnan(row.flux_ratio) for row in read_rows(tmp_path / "field.check.csv")) == 4
    assert summary.flux_ratio == pytest.approx(1.0, abs=0.01)
    assert "only 5 of 9" in summary.problems()[0]


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    """A field without a bright lonely source is no failure, and no warning."""
    write_field(tmp_path / "field.")
    check_mosaic(tmp_path / "field.", (Reference("initial sky model", True, ()),), 1e-4)
    (summary,) = read_summaries(tmp_path / "field.check.json")
    assert summary.problems() == []
    assert str(summary).startswith("0 of 0 sources")


def test_blends_are_left_out() -> None:
    """A neighbour of more than a tenth of the flux falsifies aperture and position."""
    ra = np.array([10.0, 10.01, 20.0, 20.01, 30.0])
    flux = np.array([1.0, 0.5, 2.0, 0.1, 0.3])
    assert lonely_brightest(ra, np.zeros(5), flux, 0.05).tolist() == [2, 4]
