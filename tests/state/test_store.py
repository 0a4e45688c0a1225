"""Records come back as they were saved, and broken ones are told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from factor.errors import FactorError, NoRoomError
from factor.state import store as store_module
from factor.state.records import Record, StepRecord
from factor.state.store import StateStore, read_json, write_json
from factor.workspace import Workspace


def _record(operation: str = "facetselfcal", direction: str = "facet_1") -> Record:
    return Record(
        operation=operation,
        direction=direction,
        status="done",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T01:00:00+00:00",
        settings={"max_selfcal_loops": 10, "robust": -0.5, "list": [1, 2]},
        inputs={"chunk0": "abc"},
        results={"verdict": {"ok": True, "reason": ""}},
    ).with_step("image, cycle 1", StepRecord("f1", ("results/a.fits",), "t0", "t1", 1.5, 200.0, "log"))


def test_round_trip(workspace: Workspace) -> None:
    """What is skipped on resume depends on every field of a record."""
    store = StateStore(workspace)
    store.save(_record())
    assert StateStore(workspace).load("facetselfcal", "facet_1") == _record()
    assert store.load("facetselfcal", "facet_2") is None


def test_all_in_the_order_of_a_run(workspace: Workspace) -> None:
    """Reports list operations as they ran, further imaging sets included."""
    store = StateStore(workspace)
    names = ["fieldmosaic", "facetimage_c15.0r-1.0t45.0u80.0", "facetsub", "outlierpeel", "facetselfcal"]
    for name in names:
        store.save(_record(name, "b"))
        store.save(_record(name, "a"))
    found = [(record.operation, record.direction) for record in store.all()]
    assert found == [(name, direction) for name in
                     ["outlierpeel", "facetselfcal", "facetsub", "facetimage_c15.0r-1.0t45.0u80.0",
                      "fieldmosaic"] for direction in "ab"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ('{"version": 1, "operation": "facets', "is damaged"),
        ('{"version": 2}', "format 2, this Factor knows formats up to 1"),
        ('{"version": 1}', "missing entry 'status'"),
        ("null", "names no version"),
    ],
)
def test_broken_record(workspace: Workspace, text: str, message: str) -> None:
    """A half-written or newer file is named with what to do, not taken for 'never run'."""
    path = workspace.record("facetselfcal", "facet_1")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(FactorError, match=message) as caught:
        StateStore(workspace).load("facetselfcal", "facet_1")
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_wrong_status(workspace: Workspace) -> None:
    """An unknown status must not count as done."""
    content = {**_record().to_json(), "status": "finished"}
    write_json(workspace.record("facetselfcal", "facet_1"), content, 1)
    with pytest.raises(FactorError, match="status 'finished'"):
        StateStore(workspace).load("facetselfcal", "facet_1")


def test_failed_write_keeps_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the previous state, and ends the run with one readable message."""
    path = tmp_path / "a.json"
    write_json(path, {"x": 1}, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(NoRoomError, match="No space left"):
        write_json(path, {"x": 2}, 1)
    content = read_json(path, 1, "")
    assert content is not None
    assert content["x"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_values_that_json_does_not_know(tmp_path: Path) -> None:
    """A NaN in a verdict or a path must not stop a run at its last step."""
    path = tmp_path / "a.json"
    write_json(path, {"x": float("nan"), "p": Path("/a"), "t": (1, 2)}, 1)
    assert read_json(path, 1, "") == {"version": 1, "x": None, "p": "/a", "t": [1, 2]}


def test_written_by_many_threads(workspace: Workspace) -> None:
    """Directions of a group save at the same time."""
    store = StateStore(workspace)
    threads = [
        threading.Thread(target=store.save, args=(_record(direction=f"facet_{i % 3}"),)) for i in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.all()) == 3
