"""A run as small as can be: steps that are shell lines or Python functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factor.execution.context import Context, Engine
from factor.execution.local import Processors
from factor.execution.step import Call, Step
from factor.state.store import StateStore
from factor.tools import runner
from factor.tools.command import Command
from factor.tools.environment import Tools
from factor.workspace import Workspace

MakeContext = Callable[..., Context]


@pytest.fixture(autouse=True)
def _no_stop() -> Iterator[None]:
    runner.reset()
    yield
    runner.reset()


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    """A context as a new run would have it; the state is read from the disk."""

    def make(root: Path | None = None, cpus: int = 2, **options: object) -> Context:
        workspace = Workspace(root or tmp_path / "work")
        engine = Engine(
            workspace=workspace,
            store=StateStore(workspace),
            tools=Tools(Path("/bin/sh"), Path("/bin/sh")),
            processors=Processors(cpus),
            **options,  # type: ignore[arg-type]
        )
        context = engine.context("facetselfcal", "d1")
        context.start({"loops": 3})
        return context

    return make


@pytest.fixture
def shell() -> Callable[..., Step]:
    """A step whose program is a line of shell; $out is its output."""

    def make(name: str, script: str, output: Path, **options: object) -> Step:
        reads = options.pop("reads", ())
        argv = (str(options.pop("program", "/bin/sh")), "-c", f"out={output}; {script}")
        resources = options.pop("resources", ())
        outputs = options.pop("outputs", (output,))
        action = Command("DP3", argv, resources, (), outputs)  # type: ignore[arg-type]
        return Step(name, action, reads, outputs, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def call() -> Callable[..., Step]:
    """A step that is a Python function."""

    def make(name: str, function: Callable[..., object], output: Path, **arguments: object) -> Step:
        reads = arguments.pop("reads", ())
        return Step(name, Call(function, {"path": output, **arguments}), reads, (output,))  # type: ignore[arg-type]

    return make
