"""Tools that need not exist, and small programs that stand for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factor.tools import runner
from factor.tools.command import Command
from factor.tools.environment import Tools


@pytest.fixture
def tools() -> Tools:
    """Two programs, without looking for them."""
    return Tools(Path("/opt/bin/DP3"), Path("/opt/bin/wsclean"), (("OPENBLAS_NUM_THREADS", "1"),))


@pytest.fixture
def shell() -> Callable[..., Command]:
    """A command whose program is a line of shell."""

    def make(script: str, *outputs: Path, tool: str = "DP3") -> Command:
        return Command(tool, ("/bin/sh", "-c", script), (), (("COLOUR", "blue green"),), outputs)

    return make


@pytest.fixture(autouse=True)
def _no_stop() -> Iterator[None]:
    """A test that stops all tools does not stop those of the next."""
    runner.reset()
    yield
    runner.reset()
