"""Facet images become one image without losing flux, position or a pixel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from factor.errors import FactorError
from factor.products.images.beam import PrimaryBeam
from factor.products.images.image import SkyGrid, image_noise, read_image, write_image
from factor.products.images.mosaic import (
    FacetImage,
    facet_map,
    make_mosaic,
    mosaic_grid,
    turned_position_angle,
)
from factor.products.images.mosaic_files import write_mosaic, write_provenance
from factor.products.images.seams import seam_statistics, summarise_seams

CENTRE = (0.05, 70.0)
CELL = 6.0
FIELD = SkyGrid(*CENTRE, 2, 2, 3600.0)
Sky = Callable[[np.ndarray, np.ndarray], np.ndarray]


def sky(x_deg: float, y_deg: float) -> tuple[float, float]:
    """RA and Dec of a point x degrees east, y degrees north of the centre (SIN)."""
    ra, dec = FIELD.wcs.pixel_to_world_values(1 - x_deg, 1 + y_deg)
    return float(ra), float(dec)


#: Four facets that meet at (0.03, 0.02); the last two share an edge with a corner of no one else.
POLYGONS = [
    [(0.4, -0.4), (0.4, 0.02), (0.03, 0.02), (0.03, -0.4)],
    [(0.03, -0.4), (0.03, 0.02), (-0.4, 0.02), (-0.4, -0.4)],
    [(0.4, 0.02), (0.4, 0.4), (-0.11, 0.4), (0.03, 0.02)],
    [(0.03, 0.02), (-0.11, 0.4), (-0.4, 0.4), (-0.4, 0.02)],
]


def waves(x_deg: np.ndarray, y_deg: np.ndarray) -> np.ndarray:
    """As rough as an image with a beam of four pixels along its major axis."""
    return np.sin(x_deg * 2 * np.pi / (8 * CELL / 3600)) * np.cos(y_deg * 2 * np.pi / (12 * CELL / 3600))


@pytest.fixture
def facets(tmp_path: Path) -> Callable[[Sky], list[FacetImage]]:
    """Facet images, each with its own tangent point, of a sky given in the field's plane."""

    def make(brightness: Sky) -> list[FacetImage]:
        made = []
        for i, corners in enumerate(POLYGONS):
            low, high = np.min(corners, axis=0), np.max(corners, axis=0)
            centre = sky(*((low + high) / 2))
            size = 2 * int(0.58 * (high - low).max() * 3600 / CELL)
            grid = SkyGrid(*centre, size, size, CELL)
            y, x = np.mgrid[:size, :size]
            field_x, field_y = FIELD.wcs.world_to_pixel_values(*grid.wcs.pixel_to_world_values(x, y))
            header = grid.header(144e6, 4e6)
            header["BUNIT"], header["OBJECT"] = "JY/BEAM", "P123+45"
            header["BMAJ"], header["BMIN"] = 24 / 3600, 16 / 3600
            header["BPA"] = turned_position_angle(75.0, centre, CENTRE)
            path = tmp_path / f"facet_{i}.fits"
            write_image(path, brightness(1 - field_x, field_y - 1).astype(np.float32), header)
            vertices = [sky(*c) for c in corners]
            made.append(FacetImage(f"facet_{i}", path, vertices, f"facet_{i}"))
        return made

    return make


def grid_and_plane() -> tuple[SkyGrid, np.ndarray, np.ndarray]:
    """The mosaic's grid, and its pixels in degrees east and north."""
    grid = mosaic_grid(CENTRE, [[sky(*c) for c in p] for p in POLYGONS], CELL)
    y, x = np.mgrid[: grid.ny, : grid.nx]
    return grid, (grid.nx // 2 - x) * grid.cellsize_deg, (y - grid.ny // 2) * grid.cellsize_deg


def test_grid_holds_all_facets_around_the_field_centre() -> None:
    """The tangent point is the field's centre, and no facet is cut at the border."""
    grid, _, _ = grid_and_plane()
    assert (grid.ra_deg, grid.dec_deg) == CENTRE
    numbers = facet_map([[sky(*c) for c in p] for p in POLYGONS], grid)
    border = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    assert not border.any()
    assert set(np.unique(numbers)) == {0, 1, 2, 3, 4}


def test_interpolation_keeps_the_sky(facets: Callable[[Sky], list[FacetImage]]) -> None:
    """Bilinear interpolation would lose percents of such a sky; cubic splines keep it."""
    grid, x, y = grid_and_plane()
    mosaic = make_mosaic(facets(waves), grid)
    inside = (np.abs(x) < 0.396) & (np.abs(y) < 0.396)
    assert np.abs(mosaic.data - waves(x, y))[inside].max() < 0.004
    outside = (np.abs(x) > 0.404) | (np.abs(y) > 0.404)
    assert np.isnan(mosaic.data[outside]).all()
    assert mosaic.beam.bpa_deg == pytest.approx(75.0)


def test_noise_keeps_its_level(facets: Callable[[Sky], list[FacetImage]]) -> None:
    """Noise of a beam's width is neither lowered nor raised by joining the facets."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(5)
    levels: list[float] = []

    def noise(x: np.ndarray, _: np.ndarray) -> np.ndarray:
        image = gaussian_filter(rng.normal(size=x.shape), 1.7)
        levels.append(image_noise(image))
        return image

    images = facets(noise)
    mosaic = make_mosaic(images, grid_and_plane()[0])
    assert image_noise(mosaic.data) == pytest.approx(np.mean(levels), rel=0.02)


def test_slivers_and_overlaps_belong_to_one_facet() -> None:
    """Where the corners of neighbours do not match to the last digit, still no hole."""
    grid = SkyGrid(*CENTRE, 200, 200, 10.0)
    nudge = 0.6 * grid.cellsize_deg
    left = [sky(*c) for c in [(0.2, -0.2), (0.2, 0.2), (0.0, 0.2), (nudge, 0.0), (0.0, -0.2)]]
    right = [sky(*c) for c in [(0.0, -0.2), (0.0, 0.2), (-0.2, 0.2), (-0.2, -0.2)]]
    other = [sky(*c) for c in [(nudge, -0.2), (-nudge, 0.2), (-0.2, 0.2), (-0.2, -0.2)]]
    for neighbour in (right, other):
        numbers = facet_map([left, neighbour], grid)
        rows = np.flatnonzero(numbers.any(axis=1))[2:-2]
        for row in rows:
            filled = np.flatnonzero(numbers[row])
            assert filled.size == filled[-1] - filled[0] + 1, f"hole in row {row}"


def test_seams_are_measured_on_both_sides(facets: Callable[[Sky], list[FacetImage]]) -> None:
    """A facet that is 3 mJy too high shows that step along each of its edges, with its sign."""
    images = facets(lambda x, _: 0.0 * x)
    path = images[2].path
    assert path is not None
    raised = read_image(path)
    write_image(path, raised.data + np.float32(3e-3), raised.header)
    seams = {(s.first, s.second): s for s in seam_statistics(make_mosaic(images, grid_and_plane()[0]))}
    assert seams["facet_0", "facet_2"].difference_jy == pytest.approx(-3e-3, rel=1e-4)
    assert seams["facet_2", "facet_3"].difference_jy == pytest.approx(3e-3, rel=1e-4)
    assert seams["facet_0", "facet_1"].difference_jy == pytest.approx(0.0, abs=1e-9)
    worst = summarise_seams(list(seams.values()), 5e-3)
    assert worst.visible
    assert worst.worst_sigma == pytest.approx(0.6, rel=1e-3)
    assert "facet_2" in worst.worst_edge
    assert not summarise_seams(list(seams.values()), 11e-3).visible
    assert seams["facet_0", "facet_1"].length_beams == pytest.approx(0.42 * 3600 / 24, rel=0.02)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"BMAJ": 24.6 / 3600}, "differs"),
        ({"BPA": 10.0}, "differs"),
        ({"BUNIT": "K"}, "Jy/beam"),
        ({"BMAJ": 0.0}, "no restoring beam"),
    ],
)
def test_images_that_do_not_fit_are_refused(
    facets: Callable[[Sky], list[FacetImage]], cards: dict[str, object], reason: str
) -> None:
    """One flux scale needs one beam and one unit; the file is named."""
    images = facets(waves)
    path = images[1].path
    assert path is not None
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update(cards)
    with pytest.raises(FactorError, match=reason) as error:
        make_mosaic(images, grid_and_plane()[0])
    assert "facet_1.fits" in str(error.value)


def test_image_smaller_than_its_facet_is_refused(
    facets: Callable[[Sky], list[FacetImage]],
) -> None:
    """An image of an older, smaller facet would leave a hole."""
    images = facets(waves)
    wrong = replace(images[0], path=images[1].path)
    with pytest.raises(FactorError, match="does not cover"):
        make_mosaic([wrong, *images[1:]], grid_and_plane()[0])


def test_products(facets: Callable[[Sky], list[FacetImage]], tmp_path: Path) -> None:
    """What astronomers open: true flux, flat noise cut at 40 %, beam, provenance."""
    grid, x, y = grid_and_plane()
    images = facets(lambda x, _: 0 * x + 1.0)
    images[1] = replace(images[1], kind="borrowed", solutions="facet_0")
    images[2] = replace(images[2], kind="failed", solutions="facet_0")
    images[3] = replace(images[3], path=None, kind="none", solutions="")
    mosaic = make_mosaic(images, grid)
    response = np.exp(-((x**2 + y**2) / 0.3**2)).astype(np.float32)
    beam = PrimaryBeam(response, 143.9e6, grid)
    history = ["Factor 2", "parset /home/j\u00f6rg/" + 30 * "long/"]
    files = write_mosaic(mosaic, beam, tmp_path / "out" / "field-", history)
    assert files.pbcor.name == "field-correct_mosaic.pbcor.fits"
    known = np.isin(mosaic.facet_map, (1, 2, 3))
    pbcor, pbcut, pb = (read_image(f) for f in (files.pbcor, files.pbcut, files.pb))
    good = known & (response > 0.06)
    assert (pbcor.data * pb.data)[good] == pytest.approx(1.0, rel=1e-5)
    assert np.array_equal(np.isfinite(pbcut.data), known & (response >= 0.4))
    for image in (pbcor, pbcut):
        header = image.header
        assert header["BITPIX"] == -32
        assert [header[f"CTYPE{i}"][:4] for i in range(1, 5)] == ["RA--", "DEC-", "FREQ", "STOK"]
        assert (image.freq_hz, image.bandwidth_hz) == (143.9e6, 4e6)
        assert (header["BUNIT"], header["OBJECT"]) == ("JY/BEAM", "P123+45")
        assert header["BMAJ"] == pytest.approx(24 / 3600)
        assert "Factor 2" in str(header["HISTORY"])
        assert "j\\xf6rg" in str(header["HISTORY"])
        assert "facet_2: its own calibration failed, solutions of facet_0" in str(header["COMMENT"])
    with fits.open(files.facets) as hdus:
        assert hdus[0].data.dtype.kind == "i"
        table = hdus["FACETS"].data
        assert list(table["KIND"]) == ["own", "borrowed", "failed", "none"]
        assert list(table["SOLUTIONS"]) == ["facet_0", "facet_0", "facet_0", ""]
        legend = [str(line) for line in hdus[0].header["COMMENT"]]
        assert "3 = facet_2: its own calibration failed, solutions of facet_0" in legend
    write_provenance(images, tmp_path / "provenance.txt")
    rows = [line.split() for line in (tmp_path / "provenance.txt").read_text().splitlines()]
    assert rows[0] == ["number", "facet", "kind", "solutions_of"]
    assert rows[2:5] == [
        ["2", "facet_1", "borrowed", "facet_0"],
        ["3", "facet_2", "failed", "facet_0"],
        ["4", "facet_3", "none", "-"],
    ]


def test_corrected_over_flat_is_the_beam(facets: Callable[[Sky], list[FacetImage]], tmp_path: Path) -> None:
    """At known points true over apparent flux is 1 / beam, and the flat noise stays flat under it."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(7)
    grid, x, y = grid_and_plane()
    mosaic = make_mosaic(facets(lambda x, _: gaussian_filter(rng.normal(size=x.shape), 1.7)), grid)
    response = np.exp(-((x**2 + y**2) / 0.35**2)).astype(np.float32)
    files = write_mosaic(mosaic, PrimaryBeam(response, 143.9e6, grid), tmp_path / "field.")
    pbcor, pbcut = (read_image(f).data for f in (files.pbcor, files.pbcut))
    for east, north, beam in ((0.0, 0.0, 1.0), (0.1, 0.1, 0.8494), (-0.2, 0.1, 0.6649), (0.0, -0.3, 0.4797)):
        row, column = grid.ny // 2 + round(north / CELL * 3600), grid.nx // 2 - round(east / CELL * 3600)
        assert pbcut[row, column] / pbcor[row, column] == pytest.approx(beam, abs=1e-3)
    radius = np.hypot(x, y)
    middle, rim = (image_noise(pbcut[near]) for near in (radius < 0.12, (radius > 0.25) & (radius < 0.33)))
    assert rim == pytest.approx(middle, rel=0.05)
    lifted = image_noise(pbcor[(radius > 0.25) & (radius < 0.33)])
    assert lifted > 1.5 * middle
    assert not np.isfinite(pbcut[response < 0.4]).any()


def test_files_keep_the_fits_standard(facets: Callable[[Sky], list[FacetImage]], tmp_path: Path) -> None:
    """Archives refuse files that fitsverify complains of; the program is in the package fitsverify."""
    program = shutil.which("fitsverify")
    grid, x, _ = grid_and_plane()
    beam = PrimaryBeam(np.full(x.shape, 0.9, dtype=np.float32), 143.9e6, grid)
    files = write_mosaic(make_mosaic(facets(waves), grid), beam, tmp_path / "field.", ["a \u00b5"])
    for path in (files.pbcor, files.pbcut, files.pb, files.facets):
        with fits.open(path) as hdus:
            hdus.verify("exception")
    if program is None:
        pytest.skip("fitsverify is not installed")
    for path in (files.pbcor, files.pbcut, files.pb, files.facets):
        said = subprocess.run([program, "-q", path], capture_output=True, text=True, check=False).stdout
        assert "verification OK" in said, said


def axes(ra_deg: float, dec_deg: float) -> np.ndarray:
    """Rows: east, north and the direction itself."""
    ra, dec = np.radians([ra_deg, dec_deg])
    return np.array(
        [
            [-np.sin(ra), np.cos(ra), 0.0],
            [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)],
            [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)],
        ]
    )


@pytest.mark.parametrize(
    ("facet", "field"),
    [
        ((12.0, 85.3), (3.0, 84.0)),
        ((359.0, 50.0), (1.0, 51.5)),
        ((201.0, -5.0), (200.0, -3.0)),
        ((30.0, 40.0), (30.0, 42.0)),
    ],
)
def test_beam_turns_with_north(facet: tuple[float, float], field: tuple[float, float]) -> None:
    """The uv coordinates seen from the facet are those of the field turned by the same angle."""
    between = axes(*facet) @ axes(*field).T
    # The rotation nearest to the part of the change of frame that acts on (u, v).
    turn = np.degrees(np.arctan2(between[0, 1] - between[1, 0], between[0, 0] + between[1, 1]))
    expected = (30.0 + turn + 90.0) % 180.0 - 90.0
    assert turned_position_angle(30.0, facet, field) == pytest.approx(expected, abs=1e-9)
    there = turned_position_angle(30.0, facet, field)
    assert turned_position_angle(there, field, facet) == pytest.approx(30.0)
