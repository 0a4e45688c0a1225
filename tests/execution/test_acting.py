"""The tools' own faults: what crashes or is no good is done once more where that can help."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from factor.errors import FactorError, StepError
from factor.execution.context import Context
from factor.execution.step import Call, Step

Shell = Callable[..., Step]
MakeContext = Callable[..., Context]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def crashing(shell: Shell, journal: Path, output: Path, times: int) -> Step:
    """A step whose program breaks down so many times, half of its work done."""
    crash = f"test $(wc -l < {journal}) -gt {times} || kill -SEGV $$"
    return shell("one", f"echo run >> {journal}; echo half > $out; {crash}; echo whole > $out", output)


def refuse_half(path: Path) -> None:
    """Refuse what holds only half."""
    if path.read_text() == "half\n":
        raise FactorError(f"{path} is half")


def test_a_crash_is_tried_again(
    make_context: MakeContext, shell: Shell, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Tools break down by chance, e.g. in a race of their threads: once more, and told."""
    context = make_context()
    step = crashing(shell, journal, context.scratch / "out", 1)
    context.run(step)
    assert step.outputs[0].read_text() == "whole\n"
    assert "ended by SIGSEGV" in caplog.text
    assert "it is run once more" in caplog.text
    assert "exit status -11: facetselfcal d1: one" in context.engine.workspace.commands_log.read_text()


def test_a_tool_that_always_crashes(make_context: MakeContext, shell: Shell, journal: Path) -> None:
    """Twice is enough; the message names the signal and what helps, and no half is left."""
    context = make_context()
    step = crashing(shell, journal, context.scratch / "out", 9)
    with pytest.raises(StepError, match="ended by SIGSEGV") as told:
        context.run(step)
    assert "try another version of the tool" in str(told.value)
    assert len(journal.read_text().split()) == 2
    assert not step.outputs[0].exists()


def test_an_error_is_not_tried_again(make_context: MakeContext, shell: Shell, journal: Path) -> None:
    """What a tool complains of it would complain of again, after hours."""
    with pytest.raises(StepError):
        make_context().run(shell("one", f"echo run >> {journal}; exit 1", journal.with_name("out")))
    assert journal.read_text().split() == ["run"]


def test_another_way(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """Outputs that are no good are made in the step's other way, which is not another step."""
    context = make_context()
    output = context.scratch / "out"
    step = shell("one", "echo half > $out", output)
    other = shell("one", "echo whole > $out", output).action
    check = Call(refuse_half, {"path": output})
    step = replace(step, check=check, otherwise=(other, check))
    context.run(step)
    assert output.read_text() == "whole\n"
    context.run(replace(step, otherwise=None))
    assert output.read_text() == "whole\n"


def test_the_other_way_is_no_better(make_context: MakeContext, shell: Shell) -> None:
    """It has a check of its own: what that refuses is not there for the next run either."""
    context = make_context()
    output = context.scratch / "out"
    step = shell("one", "echo half > $out", output)
    check = Call(refuse_half, {"path": output})
    for _ in range(2):
        with pytest.raises(StepError, match="out is half"):
            context.run(replace(step, check=check, otherwise=(step.action, check)))


def test_no_good_and_no_other_way(make_context: MakeContext, shell: Shell) -> None:
    """The step has failed, and says why; the next run does it again instead of going on with it."""
    context = make_context()
    output = context.scratch / "out"
    step = replace(shell("one", "echo half > $out", output), check=Call(refuse_half, {"path": output}))
    for _ in range(2):
        with pytest.raises(StepError, match="out is half"):
            context.run(step)


def test_no_core_dumps(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """A tool that dies with a hundred GB of memory must not fill the disk with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        make_context().run(shell("limits", "ulimit -c > $out", tmp_path / "out"))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert (tmp_path / "out").read_text() == "0\n"
