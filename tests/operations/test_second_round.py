"""The second round: the brightest directions once more, when all others are subtracted."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from factor.progress.reading import Reader
from factor.workspace import Workspace

AGAIN = "facetselfcal_again"
FIRST_ONLY = {"imaging__make_mosaic": "False"}
TWO_ROUNDS = {**FIRST_ONLY, "directions__ndir_second_round": "1"}


def spoilt() -> None:
    """The verdict on what the second round makes of any direction is bad."""
    from factor.operations import facetselfcal

    gather = facetselfcal.gather

    def gathered(outcome: Any, *arguments: Any) -> dict[str, float]:
        worse = outcome.calibrator.context.operation == AGAIN
        return gather(outcome, *arguments) | ({"phase_scatter_rad": 1.7} if worse else {})

    facetselfcal.gather = gathered


def identities(run: Any) -> dict[str, str]:
    """What stands subtracted from the chunks, each direction once."""
    found = []
    for file in (run.work / "chunks").rglob("*.ledger.json"):
        content = json.loads(file.read_text())
        assert content["intent"] is None
        found.append({entry["direction"]: entry["identity"] for entry in content["entries"]})
        assert len(found[-1]) == len(content["entries"])
    assert all(one == found[0] for one in found)
    return found[0]


def identity(run: Any, operation: str, direction: str) -> str:
    record = json.loads((run.work / f"state/{operation}/{direction}.json").read_text())
    assert record["status"] == "done"
    return str(record["results"]["identity"])


@pytest.fixture(scope="module")
def run(make_run: Callable[[], Any]) -> Any:
    """A run that was finished with one round, and given a second one."""
    run = make_run()
    assert run.run(**FIRST_ONLY) == 0
    return run


def test_a_second_round_of_a_finished_run(run: Any) -> None:
    """Announced, done for the brightest alone, subtracted in the place of the first, and imaged."""
    before = len(run.commands)
    assert run.run("-d", **TWO_ROUNDS) == 0
    log = (run.work / "factor.log").read_text()
    assert f"second round: {AGAIN}: east (not run)" in log
    assert "facetimage of east, west: stale because facetsub east is to be done" in log
    assert run.run(**TWO_ROUNDS) == 0
    titles = [title for title, _ in run.commands[before:]]
    assert {title.split(":")[0] for title in titles} == {
        f"{AGAIN} east", "facetsub east", "facetimage east", "facetimage west"
    }  # fmt: skip
    first = identity(run, "facetselfcal", "east")
    assert identities(run)["east"] == identity(run, AGAIN, "east") != first
    done = len(run.commands)
    assert run.run(**TWO_ROUNDS) == 0
    assert run.run("-d", "-r", "east", "-o", "facetselfcal", **TWO_ROUNDS) == 0
    assert len(run.commands) == done
    log = (run.work / "factor.log").read_text()
    assert f"would be reset: east: products and records of facetselfcal, {AGAIN}, facetsub are deleted" in log


def test_a_failed_second_round_changes_nothing(make_run: Callable[[], Any]) -> None:
    """The first calibration is subtracted again, for good, and nothing is told as failed."""
    run = make_run()
    assert run.run(before=spoilt, **TWO_ROUNDS) == 0
    assert identities(run)["east"] == identity(run, "facetselfcal", "east")
    assert "east: keeps its first self-calibration" in (run.work / "factor.log").read_text()
    done = len(run.commands)
    assert run.run(before=spoilt, **TWO_ROUNDS) == 0
    assert len(run.commands) == done
    progress = Reader(Workspace(run.work)).read()
    assert progress.failures == ()
    assert next(d for d in progress.directions if d.name == "east").status == "imaged"


def test_killed_in_the_second_round(make_run: Callable[[], Any], run: Any) -> None:
    """At each record, and while the first subtraction is undone: it ends as if nothing had happened."""
    killed, note = make_run(), run.folder / "note"

    def deadly() -> None:
        from factor.execution.context import Context
        from factor.flow import reset

        def die_once(key: str) -> None:
            known = note.read_text().splitlines() if note.exists() else []
            if key not in known:
                note.write_text("\n".join([*known, key]))
                os.kill(os.getpid(), signal.SIGKILL)

        save = Context._save

        def saved(self: Context, **changes: Any) -> None:
            save(self, **changes)
            if self.operation == AGAIN:
                die_once(f"record {changes.get('status')}")

        Context._save = saved  # type: ignore[method-assign]
        reset.instant = die_once

    deaths = 0
    while (status := killed.run(before=deadly, **TWO_ROUNDS)) != 0:
        assert status == -signal.SIGKILL, (killed.work / "factor.log").read_text()
        deaths += 1
    assert deaths >= 5
    assert identities(killed)["east"] == identity(killed, AGAIN, "east")
    assert set(identities(killed)) == {"east", "west"}
