"""What decides a step's result, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from factor.execution.step import Call, canonical_action, file_digest, plain
from factor.tools.command import Command


@dataclass(frozen=True)
class Grid:
    """Stand for a value among the arguments."""

    size: int
    path: Path


def work(**_: object) -> None:
    """Stand for a function of a step."""


def other(**_: object) -> None:
    """Stand for another one."""


def test_plain_values() -> None:
    """Whatever a step is called with becomes JSON, the same in every run."""
    assert plain({"b": (1, 2.5), "a": Grid(3, Path("/x"))}) == {"a": {"size": 3, "path": "/x"}, "b": [1, 2.5]}
    assert plain(None) is None
    assert list(plain({"b": 1, "a": 2})) == ["a", "b"]


def test_unknown_values_are_refused() -> None:
    """An object whose text holds its address would make a step stale in every run."""
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})


def test_function_and_arguments_count() -> None:
    """Another function, or another argument, is another step."""
    one = canonical_action(Call(work, {"x": 1}))
    assert one == canonical_action(Call(work, {"x": 1}))
    assert one != canonical_action(Call(work, {"x": 2}))
    assert one != canonical_action(Call(other, {"x": 1}))


def test_installation_does_not_count() -> None:
    """The same tool in another folder, with other threads and memory, does the same."""
    one = Command("DP3", ("/usr/bin/DP3", "steps=[a]"), ("numthreads=1",), (("A", "1"),))
    two = Command("DP3", ("/opt/DP3.py", "steps=[a]"), ("numthreads=8",), (("A", "2"),))
    assert canonical_action(one) == canonical_action(two)
    assert canonical_action(one) != canonical_action(Command("DP3", ("/usr/bin/DP3", "steps=[b]")))
    assert canonical_action(one) != canonical_action(Command("WSClean", ("/usr/bin/DP3", "steps=[a]")))


def test_digest_of_files(tmp_path: Path) -> None:
    """Content counts, not name or time; a missing file is a state of its own."""
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("same")
    two.write_text("same")
    assert file_digest(one) == file_digest(two)
    two.write_text("diff")
    assert file_digest(one) != file_digest(two)
    assert file_digest(tmp_path / "c") == "absent"


def test_digest_of_folders(tmp_path: Path) -> None:
    """A measurement set that lost a file, or grew, is another one."""
    (tmp_path / "a.ms").mkdir()
    (tmp_path / "a.ms" / "table.f0").write_text("data")
    before = file_digest(tmp_path / "a.ms")
    assert file_digest(tmp_path / "a.ms") == before
    (tmp_path / "a.ms" / "table.f0").write_text("more data")
    assert file_digest(tmp_path / "a.ms") != before
