"""The report of checkfactor --html, from working directories without runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from factor.cli import checkfactor
from factor.progress.reading import Reader
from factor.progress.report.drawing import draw_image
from factor.progress.report.markup import Markup, element
from factor.progress.report.page import write_report
from factor.state.plan import PlannedDirection
from factor.state.records import StepRecord
from tests.progress.conftest import BAD, GOOD, Site
from tests.progress.hundred import hundred, make_image, with_pictures
from tests.progress.page import Page, sound
from tests.progress.test_window import write_solutions

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def report(site: Site, folder: Path) -> Page:
    reader = Reader(site.workspace)
    return sound(write_report(site.workspace, reader.read(), reader.records, folder))


def test_everything_is_escaped() -> None:
    """A name, a path or a tool's message never becomes part of the page's own language."""
    assert element("p", '<b>&"', title='a"b<') == '<p title="a&quot;b&lt;">&lt;b&gt;&amp;"</p>'
    assert element("p", element("b", "x"), None, 3, id=None, hidden=True) == "<p hidden><b>x</b>3</p>"
    assert element("img", src="a b.png") == '<img src="a b.png">'
    assert isinstance(element("p"), Markup)


def test_nasty_names(site: Site, tmp_path: Path) -> None:
    """The same in a whole page: no name opens an element, and links find it all the same."""
    name = "<script>alert(1)&\"' ü"
    site.plan((name, "b"))
    site.pulse(started=60, outcome="failed", message="x")
    failure = {"step": "<b>", "message": "<img src=x onerror=y>", "log": "a&b", "command": "DP3 '<x>'"}
    site.record("facetselfcal", "b", (30, 20), status="failed", failure=failure)
    page = report(site, tmp_path / "report")
    assert page.tags.count("script") == 1
    assert "<img src=x onerror=y>" in page.text
    assert name in page.text


def test_failures_come_first(site: Site, tmp_path: Path) -> None:
    """The first screen: which direction, which step, the tool's error, what to do, the command."""
    site.plan(tuple(f"facet_patch_{k}" for k in range(6)))
    site.pulse(started=60, outcome="failed", message="self-calibration failed")
    log = site.workspace.out_log("facetselfcal", "facet_patch_1")
    log.parent.mkdir(parents=True)
    log.write_text("line\n" * 100 + "it ran out of memory\n")
    parts = {"step": "solve", "message": "DP3: no memory", "log": str(log), "command": "DP3 x=1"}
    site.record("facetselfcal", "facet_patch_1", (30, 20), status="failed", failure=parts)
    for k in (0, 2, 3, 4):
        site.calibrated(f"facet_patch_{k}", (50, 40), verdict=BAD)
    page = report(site, tmp_path / "report")
    told = [page.text.index(text) for text in ("FAILED", "5 things went wrong", "facet_patch_1", "solve",
                                               "DP3: no memory", "What to do: ", "DP3 x=1",
                                               "it ran out of memory", "Done")]  # fmt: skip
    assert told == sorted(told)
    assert "runfactor my.parset" in page.text
    assert "2 earlier ones" in page.text
    assert "s-error" in page.classes
    assert page.classes.count("failure") == 5
    assert "flagged solutions: 0.8, at most 0.5: too few solutions are left max_flagged" in page.text


def test_begun_just_now(site: Site, tmp_path: Path) -> None:
    """A run that has neither plan nor records has a page that says so."""
    site.pulse(started=5)
    site.lock()
    page = report(site, tmp_path / "report")
    assert "checking the input and making chunks" in page.text
    assert "The facets are not known." in page.text
    assert "There is no mosaic." in page.text


def test_running(site: Site, tmp_path: Path) -> None:
    """Map, steps that run, pictures of what is done, the timeline: each where it is looked for."""
    site.middle()
    with_pictures(site, "a")
    page = report(site, tmp_path / "report")
    for text in ("running", "Now", "image wsclean_image01", "cycle 1", "before", "after",
                 "TEC", "1 of 3", "CPU"):  # fmt: skip
        assert text in page.text, text
    assert page.tags.count("polygon") == 3
    assert page.tags.count("img") == 5
    assert page.tags.count("rect") >= 3


def test_name_of_a_small_patch(site: Site, tmp_path: Path) -> None:
    """It stands beside the patch, where it can be read; those of facets stand in them."""
    corners = ((217.0, 51.0), (219.0, 51.0), (218.0, 53.0))
    square = ((220.0, 53.0), (219.9, 53.0), (219.9, 53.1), (220.0, 53.1))
    directions = (
        PlannedDirection("facet", 218.0, 52.0, corners),
        PlannedDirection("outlier", 219.95, 53.05, square, is_patch=True),
    )
    site.plan(("facet",), directions=directions)
    site.pulse(started=60)
    assert report(site, tmp_path / "report").classes.count("beside") == 1


def test_update_keeps_what_is_shown(site: Site, tmp_path: Path) -> None:
    """A page that is open meanwhile keeps its pictures; those that are old are deleted later."""
    site.middle()
    with_pictures(site, "a")
    folder = tmp_path / "report"
    first = report(site, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    make_image(site.workspace.products("facetselfcal", "a") / "a.wsclean_image00.fits", peak=2.0)
    second = report(site, folder)
    assert first.broken == []
    assert len(set(second.links) - set(first.links)) == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for path in before:
        os.utime(path, (1, 1))
    report(site, folder)
    assert len(list(folder.rglob("*.jpg"))) == len(before)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_missing_plots_are_drawn_again(site: Site, tmp_path: Path) -> None:
    """Where one of the plots that a run has made is gone, all come from the solutions."""
    site.middle()
    with_pictures(site, "a")
    folder = site.workspace.products("facetselfcal", "a")
    made = tuple(f"results/facetselfcal/a/a.make_selfcal_plots_{kind}.png" for kind in ("tec", "fast_phase"))
    step = StepRecord("x", made, "", "", 1.0, 1.0)
    site.record("facetselfcal", "a", (55, 25), steps={"plots": step}, results={"verdict": GOOD})
    assert "fast phases" not in report(site, tmp_path / "report").text
    write_solutions(folder / "combined_solutions.h5")
    assert "fast phases" in report(site, tmp_path / "report").text


def test_working_directory_is_only_read(site: Site, tmp_path: Path) -> None:
    """Not even a time changes in it: it may belong to someone else, or be an archive."""

    def look() -> dict[Path, Any]:
        paths = [site.workspace.root, *site.workspace.root.rglob("*")]
        return {path: path.stat().st_mtime_ns for path in paths}

    site.middle()
    with_pictures(site, "a")
    before = look()
    report(site, tmp_path / "report")
    assert look() == before


@pytest.mark.parametrize("place", ["work", "work/results/x", "mine", "file"])
def test_wrong_folder(site: Site, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with other things in it is refused before anything is written there."""
    site.middle()
    parset = tmp_path / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    assert checkfactor.main([str(parset), "--html", str(tmp_path / place)]) == 2
    assert "--html" in capsys.readouterr().err
    assert not list(tmp_path.rglob("index.html"))
    assert checkfactor.main([str(parset), "--html", str(tmp_path / "new/report")]) == 0
    assert (tmp_path / "new/report/index.html").is_file()


def test_images_share_their_scale(tmp_path: Path) -> None:
    """The same flux has the same colour in all cycles; north is up, east left."""
    make_image(tmp_path / "a.fits", peak=0.01)
    make_image(tmp_path / "b.fits", peak=0.01, size=1000)
    first, second = (draw_image(tmp_path / f"{name}.fits", 1e-3) for name in "ab")
    assert first.size == (432, 432)
    assert second.size == (500, 500)
    assert first.getpixel((24 * 9 + 4, 432 - 24 * 9 - 5)) == second.getpixel((250, 249))
    assert sum(first.getpixel((24 * 9 + 4, 432 - 24 * 9 - 5))) > 2 * sum(first.getpixel((4, 4)))
    outlined = draw_image(tmp_path / "a.fits", 1e-3, [(217.6, 52.1), (217.4, 52.1), (217.5, 52.2)])
    blue = np.argwhere(np.all(np.asarray(outlined) == (53, 201, 255), axis=2))
    assert blue[:, 0].max() < 216, "north of the centre is above it"


def test_beam(tmp_path: Path) -> None:
    """The beam is drawn to scale, turned from north to east: up and to the left."""
    make_image(tmp_path / "a.fits", size=400)
    with fits.open(tmp_path / "a.fits", mode="update") as hdus:
        hdus[0].header.update({"BMAJ": 40 / 60, "BMIN": 4 / 60, "BPA": 45.0})
    white = np.argwhere(np.all(np.asarray(draw_image(tmp_path / "a.fits", 1.0)) == 255, axis=2))
    rows, columns = white.T
    assert np.ptp(rows) == pytest.approx(40 / 2**0.5, abs=4)
    assert np.corrcoef(rows, columns)[0, 1] > 0.9
    assert rows.min() > 300
    assert columns.max() < 100


def test_stale_is_told(site: Site, tmp_path: Path) -> None:
    """What would come out differently now is marked on the map, in the table and with its direction."""
    site.middle()
    site.record("facetselfcal", "a", (55, 25), results={"verdict": GOOD}, stale=("maxiter went from 1 to 2",))
    page = report(site, tmp_path / "report")
    assert page.text.count("because maxiter went from 1 to 2") == 2
    assert page.text.index("would come out differently now") < page.text.index("Field", 300)
    assert "a ↻" in page.text
    assert "↻ stale: 1" in page.text


def test_hundred_facets(site: Site, tmp_path: Path) -> None:
    """A large field's page stays small enough to be sent, and is there in less than a minute."""
    hundred(site, cycles=1)
    begin = time.monotonic()
    page = report(site, tmp_path / "report")
    assert time.monotonic() - begin < 30.0
    shown = [tmp_path / "report/index.html", *(tmp_path / "report/thumbs").iterdir()]
    assert page.tags.count("img") == 400
    assert sum(path.stat().st_size for path in shown) < 10e6
    assert (tmp_path / "report/index.html").stat().st_size < 2e6


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_in_a_browser(site: Site, tmp_path: Path) -> None:
    """Its code runs: a picture opens in place, arrows go on; nothing is wider than the screen."""
    site.middle()
    with_pictures(site, "a")
    report(site, tmp_path / "report")
    probe = """<script>
      const seen = {wide: document.documentElement.scrollWidth - document.documentElement.clientWidth};
      document.querySelector("a.picture").click();
      const viewer = document.getElementById("viewer");
      seen.open = viewer.open; seen.first = viewer.querySelector("img").alt;
      viewer.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
      seen.second = viewer.querySelector("img").alt;
      viewer.close();
      seen.focus = [...document.querySelectorAll("svg.map a")].filter((a) => { a.focus();
        return document.activeElement === a; }).length;
      document.title = JSON.stringify(seen);
    </script>"""
    page = tmp_path / "report/probe.html"
    page.write_text((tmp_path / "report/index.html").read_text().replace("</body>", f"{probe}</body>"))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path / 'browser'}", "--window-size=500,900", "--dump-dom"]
    done = subprocess.run(
        [str(BROWSER), *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    assert title == (
        '{"wide":0,"open":true,"first":"cycle 0 (1 of 2)","second":"cycle 1 (2 of 2)","focus":3}'
    ), done.stderr[-2000:]
