"""A run that goes on with other options than it began with."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from factor.flow.standing import Standing
from factor.parset.settings import VerdictSettings
from factor.products.verdict import judge
from factor.state.records import Record


def test_fewer_directions_to_self_calibrate(make_run: Callable[[], Any]) -> None:
    """What stands subtracted of a facet is added back, whatever this run would self-calibrate."""
    run = make_run()
    assert run.run() == 0
    before = json.loads((run.work / "state/facetimage/west.json").read_text())
    assert before["results"]["solutions"] == "own"
    assert run.run(directions__ndir_selfcal="1", imaging__facet_robust="0.0") == 0
    (again,) = run.work.glob("state/facetimage_*/west.json")
    assert json.loads(again.read_text())["results"]["solutions"] == "own"


def test_fewer_directions_after_a_kill_in_facetsub(make_run: Callable[[], Any]) -> None:
    """A direction that is half subtracted is finished, also when this run would not calibrate it.

    Both were self-calibrated side by side, from data from which neither was subtracted.
    """
    run = make_run()
    together = {"directions__groupings": "2:0", "cluster__ndir_per_node": "2"}

    def die_in_the_second_chunk() -> None:
        from factor.state import ledger

        apply = ledger.Ledger.apply

        def dying(self: ledger.Ledger, direction: str, *given: Any) -> bool:
            if direction == "west" and "chunk1" in self.chunk_ms.name:
                os.kill(os.getpid(), signal.SIGKILL)
            return apply(self, direction, *given)

        ledger.Ledger.apply = dying  # type: ignore[method-assign]

    assert run.run(before=die_in_the_second_chunk, **together) == -signal.SIGKILL
    for name in ("east", "west"):
        record = json.loads((run.work / f"state/facetselfcal/{name}.json").read_text())
        assert (record["status"], record["results"]["preapplied"]) == ("done", "")
    assert run.run("-s", "1", directions__ndir_selfcal="1") == 0
    ledgers = [json.loads(path.read_text()) for path in run.work.rglob("*.ledger.json")]
    assert [[e["direction"] for e in content["entries"]] for content in ledgers] == [["east", "west"]] * 4
    assert json.loads((run.work / "state/facetsub/west.json").read_text())["status"] == "done"


def test_a_chunk_that_is_made_again(make_run: Callable[[], Any], capfd: Any) -> None:
    """A chunk that the user deleted comes back without its subtractions: the mosaic would be wrong."""
    run = make_run()
    assert run.run(imaging__make_mosaic="False", directions__ndir_process="1") == 0
    chunk = min(run.work.rglob("*_chunk0.ms"))
    shutil.rmtree(chunk)
    capfd.readouterr()
    assert run.run() == 1
    assert f"{chunk}: " in capfd.readouterr().err


def test_other_chunks_are_refused(finished: Any, capfd: Any) -> None:
    """Also by the dry run, which must not call done what a run would refuse."""
    for options in (("-d",), ()):
        assert finished.run(*options, global__chunk_size_sec="2400") == 2
        assert "is not part of the chunks that dir_ms gives now" in capfd.readouterr().err
    # The state of the run has become that of the refused one; others look at it, too.
    assert finished.run() == 0


@pytest.mark.parametrize(
    ("skip", "limit", "good"), [(True, 1.0, True), (False, 2.0, True), (False, 1.0, False)]
)
def test_taking_a_failure_all_the_same(skip: bool, limit: float, good: bool) -> None:
    """A user who has looked at it can accept it, or loosen the limit, without doing it again."""
    names = VerdictSettings.__annotations__
    verdict = judge({"noise_rise": 1.5}, VerdictSettings(**dict.fromkeys(names, 1.0)), skip=False)
    results = {"verdict": verdict.to_json(), "identity": "that"}
    record = Record("facetselfcal", "d", "done", "", results=results)
    records = {"facetselfcal": record}
    engine: Any = SimpleNamespace(
        store=SimpleNamespace(load=lambda operation, _: records.get(operation))
    )
    field: Any = SimpleNamespace(
        settings=SimpleNamespace(
            calibration=SimpleNamespace(skip_selfcal_check=skip),
            verdict=VerdictSettings(**dict.fromkeys(names, limit)),
        ),
        peel_models={},
    )
    facet: Any = SimpleNamespace(name="d")
    assert Standing(engine, field).is_good(facet) is good
