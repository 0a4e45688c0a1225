"""``interactive``: nothing is calibrated before the user has seen the facets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.errors import InputError, Interrupted
from factor.flow import review as module
from factor.flow.review import review, wants_review
from factor.workspace import Workspace


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    file = tmp_path / "directions.txt"
    file.write_text("as they were chosen")
    return SimpleNamespace(
        path=tmp_path / "factor.parset",
        globals=SimpleNamespace(interactive=True),
        directions=SimpleNamespace(directions_file=file),
    )


def _answers(monkeypatch: Any, *answers: Any) -> list[str]:
    """Make the user answer (an answer may be something that is done first); gives what was asked."""
    asked: list[str] = []
    left: Iterator[Any] = iter(answers)

    def answer(question: str) -> str:
        asked.append(question)
        following = next(left)
        return following() if callable(following) else following

    monkeypatch.setattr("builtins.input", answer)
    return asked


def test_edited_directions_are_read_again(monkeypatch: Any, settings: Any, tmp_path: Path) -> None:
    """A mistake is told and can be mended; with it, nothing goes on."""
    file = settings.directions.directions_file

    def lay_out(*_: Any) -> Any:
        if file.read_text() == "wrong":
            raise InputError("line 3 is wrong")
        return SimpleNamespace(facets=[SimpleNamespace(is_patch=False)] * len(file.read_text()))

    def edit(text: str, answer: str) -> Any:
        return lambda: (file.write_text(text), answer)[1]

    monkeypatch.setattr(module, "lay_out", lay_out)
    asked = _answers(monkeypatch, edit("wrong", "R"), "", edit("12", "r"), "")
    review(settings, Workspace(tmp_path), SimpleNamespace())  # type: ignore[arg-type]
    assert "19 facets" in asked[0]
    assert "regions/facets_ds9.reg" in asked[0]
    assert "Enter" in asked[0]
    assert "line 3 is wrong" in asked[1]
    assert "Enter" not in asked[1]
    assert asked[2] == asked[1], "Enter must not go on with a mistake"
    assert "2 facets" in asked[3]
    assert len(asked) == 4


def _end_of_input() -> str:
    raise EOFError


@pytest.mark.parametrize("answer", ["q", _end_of_input])
def test_stopping(monkeypatch: Any, settings: Any, tmp_path: Path, answer: Any) -> None:
    """No is an answer."""
    monkeypatch.setattr(module, "lay_out", lambda *_: SimpleNamespace(facets=[]))
    _answers(monkeypatch, answer)
    with pytest.raises(Interrupted, match="before anything was calibrated"):
        review(settings, Workspace(tmp_path), SimpleNamespace())  # type: ignore[arg-type]


def test_without_a_terminal(monkeypatch: Any, settings: Any, tmp_path: Path) -> None:
    """A batch job must not hang; one that goes on with a run that was looked at has nothing to ask."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(InputError, match="interactive"):
        wants_review(settings, Workspace(tmp_path))
    record = Workspace(tmp_path).record("facetselfcal", "east")
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert not wants_review(settings, Workspace(tmp_path))
