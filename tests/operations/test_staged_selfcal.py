"""A run whose self-calibration begins at a low resolution, with TEC and all correlations."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from factor.products.solutions.soltabs import read_soltabs
from factor.tuning.images import sharpening_arcsec
from tests.operations.test_rules import dp3_calls, images, steps, value


@pytest.fixture(scope="module")
def run(make_run: Callable[[], Any]) -> Any:
    """One direction, self-calibrated."""
    made = make_run()
    changes = {
        "calibration__multires_selfcal": "True",
        "calibration__phase_solver": "tecandphase",
        "calibration__tec_block_mhz": "2",
        "calibration__solve_all_correlations_flux_jy": "0.01",
        "imaging__selfcal_cellsize_arcsec": "1.5",
    }
    assert made.run("-s", "1", **changes) == 0
    return made


def test_blocks_of_tec_end_in_one_soltab(run: Any) -> None:
    """Blocks and chunks are joined, the TEC is kept beside them: two solves of each chunk and cycle."""
    soltabs = read_soltabs(run.work / "results/facetselfcal/east/combined_solutions.h5")
    assert set(soltabs) == {"phase000", "leakage", "phase001", "amplitude000", "tec000"}
    assert len(soltabs["tec000"].freqs) == 2
    assert len(soltabs["phase000"].freqs) > 2
    assert len(dp3_calls(run, "facetselfcal east: solve fast phases")) == 3 * 2 * 2


def test_leakage_goes_wherever_the_gains_go(run: Any) -> None:
    """Above solve_all_correlations_flux_Jy: solved, applied to images, in what is subtracted, plotted."""
    assert {options["s1.mode"] for options in dp3_calls(run, "facetselfcal east: solve slow gains")} == {
        "fulljones"
    }
    everything = ["phase000", "leakage", "phase001", "amplitude000"]
    last = dp3_calls(run, "facetselfcal east: correct and average")[-1]
    (correct,) = steps(last, "applycal")
    assert correct["steps"].strip("[]").split(",") == everything
    assert correct["leakage.correction"] == "fulljones"
    assert correct["leakage.soltab"] == "[amplitude001,phase002]"
    differences = dp3_calls(run, "facetsub east: predict the difference")
    assert differences
    for options in differences:
        (new,) = steps(options, "h5parmpredict")
        assert new["applycal.steps"].strip("[]").split(",") == everything[::-1]
    assert (run.work / "results/facetselfcal/east/east.make_selfcal_plots_leakage.png").exists()
    assert "gains of all correlations per band" in (run.work / "factor.log").read_text()


def test_the_first_images_are_tapered(run: Any) -> None:
    """20 arcsec, one stage between, then the full resolution; all of the same width on the sky."""
    made = {value(argv, "-name").rsplit("wsclean_image", 1)[1]: argv
            for argv in images(run, "facetselfcal east: image .*wsclean_image")}  # fmt: skip
    assert list(made) == ["00", "00_full", "01", "02", "03"]
    tapers = [float(value(argv, "-taper-gaussian").removesuffix("asec")) if "-taper-gaussian" in argv else 0.0
              for argv in made.values()]  # fmt: skip
    assert tapers == pytest.approx([20.0, 0.0, (20.0 * 6.0) ** 0.5, 0.0, 0.0], abs=1e-3)
    cells = [float(value(argv, "-scale").removesuffix("asec")) for argv in made.values()]
    assert cells[0] == 5.0
    assert cells[1] == cells[3] == 1.5
    widths = [int(value(argv, "-size")) * cell for argv, cell in zip(made.values(), cells, strict=True)]
    assert max(widths) < 1.05 * min(widths)
    masks = [value(argv, "-fits-mask") for argv in made.values()]
    assert len(set(masks)) == 3
    for options in dp3_calls(run, "facetselfcal east: solve"):
        (solve,) = steps(options, "ddecal")
        first = re.search("cycle01", solve["h5parm"]) is not None
        assert ("start.skymodel" in solve["sourcedb"]) == first


def test_no_stages_where_the_full_resolution_is_low() -> None:
    """An image at 20 arcsec gains nothing where the full resolution is 15."""
    assert sharpening_arcsec(15.0) == ()
    assert sharpening_arcsec(5.0) == pytest.approx((20.0, 10.0))
