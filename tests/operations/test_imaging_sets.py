"""Several sets of facet images: names, commands, averaging, pixels that suit the beam."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.errors import FactorError, InputError
from factor.operations.imaging.facets import (
    AUTO_MASK,
    ImagingSet,
    check_pixels,
    clean_facet,
    finest_set,
    imaging_sets,
    operation_name,
)
from factor.parset import load_text
from factor.tools.environment import Tools
from factor.tools.wsclean import WSClean
from tests.operations.test_rules import dp3_calls, images, steps, value

MINIMAL = """
[global]
dir_working = work
dir_ms = data
[directions]
directions_file = d.txt
[imaging]
"""
CLASSIC = """
facet_cellsize_arcsec = [1.5, 15.0]
facet_robust = [-0.5, -1.0]
facet_taper_arcsec = [0.0, 45.0]
facet_min_uv_lambda = [80.0, 80.0]
"""


def settings(imaging: str) -> Any:
    return load_text(MINIMAL + imaging, Path("factor.parset"), check_paths=False)


def test_classic_names() -> None:
    """The first set is self-calibration's and has the plain name, as users' scripts expect it."""
    parsed = settings(CLASSIC)
    names = [
        operation_name(operation, one, parsed)
        for one in imaging_sets(parsed)
        for operation in ("facetimage", "fieldmosaic")
    ]
    assert names == [
        "facetimage", "fieldmosaic", "facetimage_c15.0r-1.0t45.0u80.0", "fieldmosaic_c15.0r-1.0t45.0u80.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "tapers", "finest"),
    [([1.5, 15.0], [0.0, 45.0], 0), ([1.5, 1.5], [45.0, 0.0], 1), ([1.5, 5.0], [45.0, 0.0], 1)],
)
def test_the_set_whose_data_are_kept(cells: list[float], tapers: list[float], finest: int) -> None:
    """Data that were averaged for a blurred image would be useless for a sharp one."""
    parsed = settings(f"facet_cellsize_arcsec = {cells}\nfacet_taper_arcsec = {tapers}\n")
    assert finest_set(parsed) == imaging_sets(parsed)[finest]


def test_lists_of_unequal_length() -> None:
    """Which value goes with which is not to be guessed."""
    with pytest.raises(InputError, match=r"equal length.*facet_cellsize_arcsec has 2.*facet_robust has 1"):
        settings("facet_cellsize_arcsec = [1.5, 15.0]\nfacet_robust = -1\n")


def test_absent_lists_take_the_defaults() -> None:
    """A list that is not given is that of the selfcal values, as long as the others."""
    sets = imaging_sets(settings("facet_cellsize_arcsec = [1.5, 15.0]\nfacet_taper_arcsec = [0, 45]\n"))
    assert sets == (ImagingSet(1.5, -0.5, 0.0, 80.0), ImagingSet(15.0, -0.5, 45.0, 80.0))


def test_pixels_too_large_for_the_beam() -> None:
    """WSClean fits nonsense to a beam of a pixel: the message names the option, before any facet."""
    with pytest.raises(FactorError, match=r"facet_cellsize_arcsec = 15 .*facet_taper_arcsec = 0"):
        check_pixels(ImagingSet(15.0, -0.5, 0.0, 80.0), 0.5, 0.5)


def test_pixels_somewhat_too_large(caplog: pytest.LogCaptureFixture) -> None:
    """Between two and three pixels the images can be used, but the user should know."""
    with caplog.at_level(logging.WARNING):
        check_pixels(ImagingSet(2.0, -0.5, 0.0, 80.0), 9.0, 5.0)
        assert "facet_cellsize_arcsec = 2" in caplog.text
        caplog.clear()
        check_pixels(ImagingSet(1.5, -0.5, 0.0, 80.0), 9.0, 5.0)
        assert not caplog.text


def test_two_sets_in_one_run(make_run: Callable[[], Any]) -> None:
    """Each has images and a mosaic of its own; at low resolution the data are averaged further."""
    run = make_run()
    changes = {
        "imaging__max_peak_smearing": "0.02",
        "imaging__facet_cellsize_arcsec": "[12, 30]",
        "imaging__facet_robust": "[-0.5, -1]",
        "imaging__facet_taper_arcsec": "[0, 100]",
        "imaging__facet_min_uv_lambda": "[80, 40]",
    }
    assert run.run(**changes) == 0
    for name in ("", "_c30.0r-1.0t100.0u40.0"):
        assert (run.work / f"results/fieldmosaic{name}/field/field.correct_mosaic.pbcor.fits").exists()
        assert (run.work / f"results/facetimage{name}/east/east.image_full.fits").exists()
    (argv,) = images(run, "facetimage_c30.*east: image")
    assert value(argv, "-taper-gaussian") == "100asec"
    sharp, coarse = (
        {
            (step["freqstep"], step["timestep"])
            for call in dp3_calls(run, f"^{operation} east: take out")
            for step in steps(call, "averager")
        } or {("1", "1")}
        for operation in ("facetimage", r"facetimage_c30\S*")
    )
    assert min(int(t) for _, t in coarse) >= max(int(t) for _, t in sharp)
    assert coarse != sharp


def test_masks_of_pybdsf() -> None:
    """automask_facet_image = False: a quick image, its islands in the polygon, the image in that mask."""
    taken: list[Any] = []
    tools = Tools(Path("/opt/bin/DP3"), Path("/opt/bin/wsclean"))
    context = SimpleNamespace(
        run=lambda *steps: taken.extend(steps), scratch=Path("/s"), threads=1, tools=tools,
        engine=SimpleNamespace(memory_gb=4.0),
    )  # fmt: skip
    options = WSClean(
        name=Path("/s/east.image_full"), size=512, scale_arcsec=1.5, niter=10, auto_mask=4.0,
        fits_mask=Path("/s/facet.mask.fits"),
    )
    field: Any = SimpleNamespace(settings=settings("automask_facet_image = False\n"))
    clean_facet(context, field, options, [Path("a.ms")])  # type: ignore[arg-type]
    assert [step.name for step in taken] == [
        "image east.image_full.quick", "clean mask of PyBDSF", "image east.image_full",
    ]  # fmt: skip
    quick, islands, final = (list(step.action.argv) for step in taken)
    assert value(quick, "-fits-mask") == "/s/facet.mask.fits"
    # WSClean refuses a mask that is no deeper than the threshold.
    assert "-auto-mask" not in quick
    assert value(quick, "-auto-threshold") == f"{AUTO_MASK:g}"
    assert islands[-3:] == [
        "/s/east.image_full.quick-image.fits", "/s/facet.mask.fits", "/s/facet.islands.fits",
    ]  # fmt: skip
    assert value(final, "-fits-mask") == "/s/facet.islands.fits"
    assert "-auto-mask" not in final
