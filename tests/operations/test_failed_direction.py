"""A direction whose self-calibration fails: contained, told, tried once more, never subtracted."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: Only the failing direction's facet and its neighbour's are of interest, not their mosaic.
GO_ON = {"calibration__exit_on_selfcal_failure": "False", "imaging__make_mosaic": "False"}


def fails(*operations: str, deadly: Path | None = None) -> Callable[[], None]:
    """Make these attempts at the direction east fail; kill the process at each turn of the second."""

    def install() -> None:
        from factor.execution.context import Context
        from factor.operations import facetselfcal

        gather = facetselfcal.gather

        def spoilt(outcome: Any, *arguments: Any) -> dict[str, float]:
            values = gather(outcome, *arguments)
            context = outcome.calibrator.context
            if context.direction == "east" and context.operation in operations:
                values["phase_scatter_rad"] = 1.7
            return values

        facetselfcal.gather = spoilt
        save = Context._save

        def dying(self: Context, **changes: Any) -> None:
            for when in ("before", "after"):
                if when == "after":
                    save(self, **changes)
                key = f"{changes.get('status')} {when}"
                known = deadly.read_text() if deadly.exists() else ""
                if self.operation == "facetselfcal_retry" and key not in known:
                    deadly.write_text(f"{known}{key}\n")
                    os.kill(os.getpid(), signal.SIGKILL)

        if deadly is not None:
            Context._save = dying  # type: ignore[method-assign]

    return install


ALWAYS = ("facetselfcal", "facetselfcal_retry")


def results(run: Any, operation: str, direction: str) -> dict[str, Any]:
    record = json.loads((run.work / f"state/{operation}/{direction}.json").read_text())
    assert record["status"] == "done"
    return dict(record["results"])


def is_subtracted(run: Any, direction: str) -> bool:
    """By the ledgers, which know the truth."""
    files = list((run.work / "chunks").rglob("*.ledger.json"))
    found = [[e["direction"] for e in json.loads(f.read_text())["entries"]].count(direction) for f in files]
    assert len(set(found)) == 1
    return found[0] == 1


@pytest.fixture(scope="module")
def stopped(make_run: Callable[[], Any]) -> Any:
    """A run that ended with the failure of one direction."""
    run = make_run()
    assert run.run(before=fails(*ALWAYS), imaging__make_mosaic="False") == 1
    return run


def test_ending_with_a_failure(stopped: Any) -> None:
    """exit_on_selfcal_failure: which direction, why, and where to look; nothing is subtracted."""
    log = (stopped.work / "factor.log").read_text()
    assert "east: scatter of the phases 1.7 rad is above 0.4 rad (max_phase_scatter_rad)" in log
    picture = stopped.work / "results/facetselfcal/east/east.make_selfcal_plots_fast_phase.png"
    assert f"look at {picture}" in log
    assert "limits are in [verdict]" in log
    assert "with pictures: checkfactor " in log
    assert picture.exists()
    assert not is_subtracted(stopped, "east")
    assert not (stopped.work / "results/facetimage").exists()
    check = next(c for c in results(stopped, "facetselfcal", "east")["verdict"]["checks"] if not c["passed"])
    assert (check["value"], check["limit"], check["unit"]) == (1.7, 0.4, "rad")
    assert check["reason"]


def test_going_on_after_a_failure(stopped: Any) -> None:
    """Not calibrated again, whether or not the run goes on; killed at each turn of the second try.

    That fails too: the facet borrows, and every product says so.
    """
    before = list(stopped.journal)
    assert stopped.run(before=fails(), imaging__make_mosaic="False") == 1
    assert stopped.journal == before
    note = stopped.folder / "note"
    killed = 0
    while (status := stopped.run(before=fails(*ALWAYS, deadly=note), **GO_ON)) != 0:
        assert status == -signal.SIGKILL, (stopped.work / "factor.log").read_text()
        killed += 1
    assert killed == 4
    assert not is_subtracted(stopped, "east")
    assert is_subtracted(stopped, "west")
    image = results(stopped, "facetimage", "east")
    assert (image["solutions"], image["solutions_of"], image["failed"]) == ("borrowed", "west", True)
    assert results(stopped, "facetimage", "west")["failed"] is False
    assert not Counter(title for title, _ in stopped.commands) - Counter({t for t, _ in stopped.commands})
    journal = list(stopped.journal)
    assert stopped.run(before=fails(*ALWAYS), **GO_ON) == 0
    assert stopped.journal == journal
    assert "the solutions of west" in (stopped.work / "factor.log").read_text()


def test_changed_settings_are_another_chance(stopped: Any) -> None:
    """A failure is calibrated again when what shapes it changes; what stands subtracted is not."""
    west = stopped.work / "state/facetselfcal/west.json"
    finished = json.loads(west.read_text())["finished"]
    assert stopped.run(**GO_ON, calibration__max_selfcal_loops="2") == 0
    record = json.loads(west.read_text())
    assert (record["finished"], record["stale"]) == (finished, ["max_selfcal_loops went from 1 to 2"])
    assert is_subtracted(stopped, "east")
    image = results(stopped, "facetimage", "east")
    assert (image["solutions"], image["failed"]) == ("own", False)


def test_the_second_try_helps(make_run: Callable[[], Any]) -> None:
    """It is subtracted and imaged with its own solutions, and later runs leave all as it is."""
    run = make_run()
    assert run.run(before=fails("facetselfcal"), **GO_ON) == 0
    image = results(run, "facetimage", "east")
    assert (image["solutions"], image["solutions_of"], image["failed"]) == ("own", "east", False)
    retry = results(run, "facetselfcal_retry", "east")
    ledger = json.loads(min((run.work / "chunks").rglob("*.ledger.json")).read_text())
    (entry,) = (e for e in ledger["entries"] if e["direction"] == "east")
    assert entry["identity"] == retry["identity"]
    solved = [title for title, _ in run.commands if "facetselfcal_retry east: solve" in title]
    assert solved
    assert not [title for title in solved if "slow gains" in title]
    journal = list(run.journal)
    assert run.run(before=fails("facetselfcal"), **GO_ON) == 0
    assert run.journal == journal
