"""What is checked before anything is made of the input."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor import preparation
from factor.errors import InputError


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Compare sky models of which two are wrong, with and without leave to go on."""
    monkeypatch.setattr(preparation, "bytes_needed", lambda *_: 1)
    monkeypatch.setattr(preparation, "wrong_models", lambda *_: ["one.merge is wrong", "two.merge is wrong"])

    def call(exits: bool) -> None:
        settings = SimpleNamespace(globals=SimpleNamespace(exit_on_wrong_skymodel=exits))
        workspace = SimpleNamespace(commands_log=Path("commands.log"))
        preparation.compare_models((), workspace, None, settings, 1)  # type: ignore[arg-type]

    return call


def test_wrong_sky_models_are_refused(compare: Any) -> None:
    """No verdict could see it later; all are told at once, with what to do."""
    with pytest.raises(InputError, match=r"one\.merge is wrong\ntwo\.merge is wrong") as refused:
        compare(True)
    assert "exit_on_wrong_skymodel = False" in refused.value.hint


def test_wrong_sky_models_may_be_warned_of(compare: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Data of before may be those of another calibration."""
    compare(False)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
