"""What checkfactor and factor.log tell of whole runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from factor.cli import checkfactor
from factor.execution.room import size_of
from factor.flow.plan import selfcal_steps
from factor.progress.reading import Reader
from factor.state.store import StateStore
from factor.workspace import Workspace
from tests.fakes.observation import write_parset
from tests.operations.conftest import FakeRun
from tests.progress.page import Page, sound


def report(run: FakeRun, folder: Path) -> Page:
    """The page that checkfactor writes of a run."""
    assert checkfactor.main([str(run.folder / "factor.parset"), "--html", str(folder)]) == 0
    return sound(folder / "index.html")


def test_finished_run(finished: FakeRun) -> None:
    """Everything that was planned is done, and the plan's guess of steps was about right."""
    progress = Reader(Workspace(finished.work)).read()
    assert progress.state == "done"
    assert progress.failures == ()
    assert [direction.status for direction in progress.directions] == ["imaged", "imaged"]
    assert all(tally.done == tally.total == 2 for tally in progress.tallies)
    assert [o.state for o in progress.field if o.operation == "fieldmosaic"] == ["done"]
    assert all(len(direction.planned.vertices) > 3 for direction in progress.directions)
    record = StateStore(Workspace(finished.work)).load("facetselfcal", "east")
    assert record is not None
    assert abs(selfcal_steps(2, 1) - len(record.steps)) < 12


def test_costs_are_told_before(
    finished: FakeRun, make_run: Callable[[], FakeRun], capfd: pytest.CaptureFixture[str]
) -> None:
    """Disks are filled, and days planned, by these numbers: of a new run, and of one that is done."""
    new, done = make_run(), make_run()
    shutil.copytree(finished.work, done.work)
    said, needed_gb = [], []
    for run in (new, done):
        parset = write_parset(run.folder, run.data, cluster__dir_local=str(run.folder / "local"))
        assert run.call("runfactor", "-d", str(parset)) == 0
        said.append(capfd.readouterr().out)
        told = re.search(r"disk: (\S+) and (\S+): about (\S+) GB needed, \S+ GB free", said[-1])
        assert told is not None
        assert told.group(1, 2) == (str(run.work), str(run.folder / "local")), "both on one disk"
        needed_gb.append(float(told[3]))
    taken_gb = size_of(finished.work) / 1e9
    # Ten times: subtables are taken for larger than they are in so small an observation.
    assert taken_gb < needed_gb[0] < 10.0 * taken_gb
    assert needed_gb[1] == 0.0
    assert "time: not known" in said[0]
    assert "time: about 0 s left" in said[1]


def test_report_of_finished_run(finished: FakeRun, tmp_path: Path) -> None:
    """Every picture of every direction and of the mosaic, those that are damaged drawn anew; all numbers."""
    page = report(finished, tmp_path / "report")
    for text in ("cycle 0", "before", "fast phases", "slow gains, amplitudes", "facet", "checks passed",
                 "mosaic", "fluxes and positions", "max_selfcal_loops = 1", "Versions"):  # fmt: skip
        assert text in page.text, text
    pictures = {link.rpartition("/")[2].split(".")[0] for link in page.links if link.startswith("pictures/")}
    assert pictures == {"east", "west", "field"}
    cycles = len(list((finished.work / "results/facetselfcal/east").glob("*wsclean_image*.fits")))
    plots = len(list((finished.work / "results/facetselfcal/east").glob("*make_selfcal_plots*.png")))
    east = [link for link in page.links if link.startswith("thumbs/east")]
    assert len(east) == cycles + plots + 2 + 2, "residuals, and the facet with part and all of the bandwidth"


def test_missing_pictures_are_drawn_again(finished: FakeRun, tmp_path: Path) -> None:
    """From images, solutions and the table of sources that the run has left, in the report's folder."""
    work = tmp_path / "work"
    for name in ("results/facetselfcal/east", "results/fieldmosaic", "state"):
        shutil.copytree(finished.work / name, work / name)
    parset = tmp_path / "my.parset"
    parset.write_text(f"[global]\ndir_working = {work}\n")
    missing = [path for pattern in ("*selfcal_plots*.png", "*image_full.png", "*check.png", "*pbcut.png")
               for path in work.rglob(pattern)]  # fmt: skip
    assert len(missing) >= 5
    for path in missing:
        path.unlink()
    assert checkfactor.main([str(parset), "--html", str(tmp_path / "report")]) == 0
    page = sound(tmp_path / "report/index.html")
    drawn = [link for link in page.links if link.startswith("pictures/") and link.endswith(".png")]
    assert len(drawn) == len(missing)
    assert not [path for path in missing if path.exists()]


def test_log_tells_each_decision(finished: FakeRun) -> None:
    """Directions, intervals, the cycle that is kept, the numbers of the verdict: a line each."""
    text = (finished.work / "factor.log").read_text()
    for part in (
        "input: 2 bands",
        "east: calibrator of 2.00 Jy at",
        "group 1 of 2: east",
        "east: effective flux 2.13 Jy: phases every 1 slot (60 s), gains per band every",
        "west: the phases of east are",
        "east: ends after cycle 3: max_selfcal_loops = 1 is reached; cycle 3 is kept",
        "east: self-calibration good: ",
        "east: facet image: peak",
        "nearest to their limits: ",
    ):
        assert part in text, part
    assert max(len(line) for line in text.splitlines()) < 420


def test_failed_run_and_its_resumption(make_run: Callable[[], FakeRun]) -> None:
    """The failure has the tool's error and its command; the next run says what it takes up."""
    run = make_run()
    (run.tools / "fail").write_text("cycle01.fast")
    assert run.run() == 1
    progress = Reader(Workspace(run.work)).read()
    assert progress.state == "failed"
    (failure,) = progress.failures
    assert (failure.operation, failure.direction) == ("facetselfcal", "east")
    assert failure.step.startswith("solve fast phases, chunk")
    assert failure.message == "DP3: it was told to fail"
    assert "s0.type=ddecal" in failure.command
    page = report(run, run.folder / "report")
    told = [page.text.index(text) for text in ("FAILED", "To go on: ", "1 thing went wrong", "east",
                                               failure.step, failure.message, failure.remedy,
                                               "s0.type=ddecal", "0 of 2, 1 failed")]  # fmt: skip
    assert told == sorted(told)
    assert progress.directions[0].status == "error"
    assert run.run() == 1
    text = (run.work / "factor.log").read_text()
    assert "failed before, tried again: facetselfcal 1 of 2" in text
    assert "facetselfcal east: goes on, " in text
