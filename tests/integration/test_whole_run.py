"""From measurement sets to the mosaic with the real DP3 and WSClean."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.products.images.image import image_noise, peak, read_image
from tests.integration.conftest import Ended, Place, checksum

pytestmark = pytest.mark.tools

Finished = tuple[Place, Ended]


def commands(place: Place) -> int:
    log = place.work / "commands.log"
    return len(re.findall(r"^# ", log.read_text(), re.MULTILINE)) if log.exists() else 0


def names(place: Place) -> list[str]:
    text = (place.work / "factor_directions.txt").read_text()
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")][:2]


def test_stops_after_a_group(stopped: Finished, after_first_group: Place) -> None:
    """-s 1: one direction is calibrated and subtracted, nothing imaged; -v shows steps."""
    results, (_, ended) = after_first_group.work / "results", stopped
    assert ended.status == 0, ended.said
    assert len(list((results / "facetsub").iterdir())) == 1
    assert not (results / "facetimage").exists()
    assert "solve fast phases" in ended.said


def test_reaches_the_mosaic(finished: Finished) -> None:
    """The rest of the run; without -v it does not tell every step."""
    place, ended = finished
    assert ended.status == 0, ended.said
    assert "solve fast phases" not in ended.said
    assert "Traceback" not in (place.work / "factor.log").read_text()


def test_products_are_at_their_names(finished: Finished) -> None:
    """The documented names: users' scripts, checkfactor and archives look for them."""
    place, _ = finished
    results = place.work / "results"
    for name in ("factor.log", "factor_directions.txt", "commands.log", "regions/facets_ds9.reg",
                 "regions/calimages_ds9.reg"):
        assert (place.work / name).stat().st_size > 0, name
    for kind in ("pbcor", "pbcut", "pb"):
        assert list((results / "fieldmosaic/field").glob(f"*correct_mosaic.{kind}.fits")), kind
    for direction in names(place):
        selfcal = results / "facetselfcal" / direction
        for pattern in ("*combined_solutions.h5", "*new_facet_sources*.skymodel", "*make_selfcal_plots*.png",
                        "*wsclean_image*.fits", "*wsclean_image*.png", "*image_full*.fits",
                        "*wsclean_pre-image.fits", "*wsclean_post-image.fits"):
            assert list(selfcal.glob(pattern)), pattern
        cycles = len(list(selfcal.glob("*wsclean_image*.fits")))
        assert cycles == len(list(selfcal.glob("*wsclean_image*.png"))) >= 4
        assert list((results / "facetimage" / direction).glob("*image_full*.fits"))
        for stream in ("out", "err"):
            assert (place.work / f"logs/facetselfcal/{direction}.{stream}.log").exists()
    assert not list(results.rglob("scratch"))
    chunks = sorted(path.name for path in (place.work / "chunks").rglob("*_chunk*.ms"))
    assert chunks == sorted(f"small_{band}MHz_chunk{n}.ms" for band in (143, 145) for n in (0, 1))


def test_losoto_opens_the_solutions(finished: Finished) -> None:
    """Users look at, and flag, H5parms with LoSoTo."""
    from losoto.h5parm import h5parm

    place, _ = finished
    for path in (place.work / "results").rglob("*combined_solutions.h5"):
        opened = h5parm(str(path), readonly=True)
        try:
            soltabs = {s.name: s for s in opened.getSolset("sol000").getSoltabs()}
            assert {"phase000", "phase001", "amplitude000"} <= set(soltabs)
            assert np.isfinite(soltabs["amplitude000"].getValues(retAxesVals=False)).any()
        finally:
            opened.close()


def _source(truth: dict[str, Any], direction: Any) -> dict[str, Any]:
    def distance(source: dict[str, Any]) -> float:
        east = (source["ra_deg"] - direction.ra_deg) * np.cos(np.radians(direction.dec_deg))
        return float(np.hypot(east, source["dec_deg"] - direction.dec_deg))

    return min(truth["sources"], key=distance)


def test_calibrators_have_their_flux(finished: Finished, simulated: Any) -> None:
    """Within 10 % of the truth as it appears, in the image of each facet."""
    from factor.directions.file import read_directions

    place, _ = finished
    truth = json.loads((simulated.truth / "truth.json").read_text())
    for direction in read_directions(place.work / "factor_directions.txt"):
        source = _source(truth, direction)
        (path,) = (place.work / "results/facetimage" / direction.name).glob("*image_full*.fits")
        image = read_image(path)
        x, y = (round(float(v)) for v in image.wcs.world_to_pixel_values(source["ra_deg"], source["dec_deg"]))
        assert image.beam is not None
        # Summed, since the peak may lie between pixels that are half a beam wide.
        half = round(1.2 * image.beam.bmaj_deg / image.cellsize_deg)
        box = image.data[y - half : y + half + 1, x - half : x + half + 1]
        flux = box.sum() * image.cellsize_deg**2 / image.beam.solid_angle_deg2
        assert flux == pytest.approx(np.mean(source["apparent_flux_jy"]), rel=0.1), direction.name


def test_each_direction_got_better(finished: Finished) -> None:
    """Less noise around the calibrator than with direction-independent calibration."""
    place, _ = finished
    for direction in names(place):
        images = sorted((place.work / "results/facetselfcal" / direction).glob("*wsclean_image*.fits"))
        noises = [image_noise(read_image(path).data) for path in images]
        assert noises[-1] < noises[0]
        pre, post = (
            next((place.work / "results/facetselfcal" / direction).glob(f"*wsclean_{kind}-image.fits"))
            for kind in ("pre", "post")
        )
        assert image_noise(read_image(post).data) < 1.02 * image_noise(read_image(pre).data)


def test_mosaic_is_true_flux(finished: Finished) -> None:
    """The corrected mosaic is the flat one divided by the beam, and holds the sources."""
    place, _ = finished
    pbcor = read_image(place.mosaic)
    pbcut = read_image(place.mosaic.with_name("field.correct_mosaic.pbcut.fits"))
    beam = read_image(place.mosaic.with_name("field.correct_mosaic.pb.fits"))
    good = np.isfinite(pbcut.data) & np.isfinite(pbcor.data)
    assert good.mean() > 0.4
    np.testing.assert_allclose(pbcor.data[good] * beam.data[good], pbcut.data[good], rtol=1e-3, atol=1e-5)
    assert peak(pbcor).flux_jy > 100 * image_noise(pbcut.data)


def test_input_is_unchanged(finished: Finished, simulated: Any, input_before: str) -> None:
    """The user's measurement sets may be the only ones: not a byte of them is written."""
    assert finished
    assert checksum(simulated.root / "ms") == input_before


def test_second_run_ends_at_once(finished: Finished) -> None:
    """Nothing is left to do: no command, a few seconds; -q says nothing."""
    place, _ = finished
    before = commands(place)
    ended = place.run("-q")
    assert ended.status == 0
    assert ended.cpu_s < 8
    assert commands(place) == before
    assert "done" not in ended.said


def test_dry_run_tells_the_plan(simulated: Any, tmp_path: Path) -> None:
    """-d names operations and directions, and writes nothing."""
    place = Place(tmp_path, simulated.root / "ms")
    ended = place.run("-d")
    assert ended.status == 0, ended.said
    for word in ("facetselfcal", "facetsub", "facetimage", "fieldmosaic", "group 1 of 2"):
        assert word in ended.said
    assert not place.work.exists()


def _kill_during(place: Place, step: str) -> None:
    """Kill -9 runfactor a moment after a step began."""
    process = place.start("-v")
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if re.search(step, line):
                break
        else:
            pytest.fail(f"{step} did not begin")
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_killed_and_resumed(after_first_group: Place, finished: Finished) -> None:
    """Kill -9 in a solve, an image, a prediction, and imaging of facets: the same mosaic."""
    for step in ("solve slow gains", "image .*wsclean_image03", "predict the difference",
                 r"facetsub \S+: started", r"facetimage \S+: image facet", "join facets"):
        _kill_during(after_first_group, step)
    ended = after_first_group.run()
    assert ended.status == 0, ended.said
    one, other = read_image(after_first_group.mosaic).data, read_image(finished[0].mosaic).data
    noise = image_noise(other)
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=0.05 * noise)


@pytest.mark.parametrize("variable", ["FACTOR_WSCLEAN", "FACTOR_DP3"])
def test_failing_tool_is_told_once(simulated: Any, tmp_path: Path, variable: str) -> None:
    """One readable message with step, log and command; status 1; no traceback."""
    failing = tmp_path / "failing"
    failing.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    failing.chmod(0o755)
    ended = Place(tmp_path, simulated.root / "ms").run(**{variable: str(failing)})
    assert ended.status == 1
    assert "Traceback" not in ended.said
    assert "unexpected" not in ended.said
    assert str(failing) in ended.said
    assert ".out.log" in ended.said
    assert re.search(r"step '[^']+' failed", ended.said)


def test_missing_tools(simulated: Any, tmp_path: Path) -> None:
    """Both are named at once, before anything is done; status 2."""
    place = Place(tmp_path, simulated.root / "ms")
    ended = place.run(FACTOR_WSCLEAN="/nowhere/wsclean", FACTOR_DP3="/nowhere/DP3")
    assert ended.status == 2
    assert "/nowhere/wsclean" in ended.said
    assert "/nowhere/DP3" in ended.said
    assert "Traceback" not in ended.said
    assert not list(place.work.glob("chunks/*"))


def test_read_only_input(simulated: Any, tmp_path: Path) -> None:
    """The input may be on a mount that cannot be written."""
    data = tmp_path / "data"
    shutil.copytree(simulated.root / "ms", data)
    subprocess.run(["chmod", "-R", "a-w", str(data)], check=True)
    try:
        place = Place(tmp_path, data)
        ended = place.run("-d")
        assert ended.status == 0, ended.said
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(data)], check=True)
