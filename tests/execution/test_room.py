"""What operations need is compared with what is free, before they begin."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from factor.errors import NoRoomError
from factor.execution.room import Room, size_of

GB = 1e9


@pytest.fixture(autouse=True)
def _disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10 * GB))


def test_too_little_room(tmp_path: Path) -> None:
    """Numbers, folder, and what to do, instead of a disk that is full hours later."""
    said = r"facetimage of a needs about 12 GB more in .*one and .*two; 10 GB are free"
    with pytest.raises(NoRoomError, match=said) as told:
        Room().claim("facetimage of a", {tmp_path / "one": 7 * GB, tmp_path / "two": 5 * GB})
    assert "dir_local" in str(told.value)


def test_what_runs_beside_it_counts(tmp_path: Path) -> None:
    """Two that would fit alone do not fit together; when the first is over there is room."""
    room = Room()
    room.claim("a", {tmp_path / "a": 7 * GB})
    with pytest.raises(NoRoomError, match="of which what runs beside it needs 7 GB"):
        room.claim("b", {tmp_path / "b": 7 * GB})
    room.give_back(tmp_path / "a")
    room.claim("b", {tmp_path / "b": 7 * GB})


def test_what_is_deleted_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other operations work on in their folders while these are looked at."""
    for name in ("one", "two"):
        (tmp_path / name / "a.ms").mkdir(parents=True)
        (tmp_path / name / "a.ms/table").write_bytes(b"x" * 10_000)
    lstat = Path.lstat

    def delete_all(path: Path) -> object:
        shutil.rmtree(tmp_path / "one", ignore_errors=True)
        shutil.rmtree(tmp_path / "two", ignore_errors=True)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", delete_all)
    assert size_of(tmp_path) == 0.0


def test_what_is_there_counts(tmp_path: Path) -> None:
    """A run that goes on after it stopped has part of its data already: that room is taken."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/data").write_bytes(b"x" * 1_000_000)
    Room().claim("a", {tmp_path / "a": 10 * GB + 500_000})
    with pytest.raises(NoRoomError):
        Room().claim("b", {tmp_path / "b": 10 * GB + 500_000})
