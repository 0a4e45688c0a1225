"""What checkfactor and factor.log tell of whole runs."""

from __future__ import annotations

from collections.abc import Callable

from factor.flow.plan import selfcal_steps
from factor.progress.reading import Reader
from factor.state.store import StateStore
from factor.workspace import Workspace
from tests.operations.conftest import FakeRun


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
    assert progress.directions[0].status == "error"
    assert run.run() == 1
    text = (run.work / "factor.log").read_text()
    assert "failed before, tried again: facetselfcal 1 of 2" in text
    assert "facetselfcal east: goes on, " in text
