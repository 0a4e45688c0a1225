"""The life of an operation within a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factor.errors import FactorError, Interrupted
from factor.execution.context import Engine
from factor.execution.local import Processors
from factor.flow.perform import perform
from factor.state.store import StateStore
from factor.tools.environment import Tools
from factor.workspace import Workspace


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted("stopped"), "running"), (FactorError("broken"), "failed")]
)
def test_being_stopped_is_no_failure(tmp_path: Path, error: BaseException, status: str) -> None:
    """After Ctrl-C a direction is unfinished: nobody should look for what went wrong in it."""
    workspace = Workspace(tmp_path)
    shell = Path("/bin/sh")
    engine = Engine(workspace, StateStore(workspace), Tools(shell, shell), Processors(1))

    def operate() -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)):
        perform(engine.context("facetimage", "d"), {}, operate, redo=True)
    record = engine.store.load("facetimage", "d")
    assert record is not None
    assert record.status == status
