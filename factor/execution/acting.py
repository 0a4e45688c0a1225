"""Doing what a step says: run its command or call its function, look at what it left, tell how it went."""

from __future__ import annotations

import logging
import resource
import shutil
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from factor.errors import FactorError, Interrupted, StepError
from factor.execution.step import Call, Step
from factor.tools import runner
from factor.tools.command import Command
from factor.tools.watchers import advice

log = logging.getLogger("factor.steps")

#: Held by whoever works in the process itself: neither casacore nor matplotlib is safe in threads,
#: and Python's own work would not be quicker in them.
_calls = threading.Lock()

#: CPU time (s) and peak memory (MB).
Taken = tuple[float, float]


@dataclass(frozen=True)
class Logs:
    """Where it is told how a step went.

    Attributes
    ----------
    title : str
        Operation and direction.
    out, err : Path
        What the tools say.
    commands : Path
        All commands of the run.
    """

    title: str
    out: Path
    err: Path
    commands: Path


def act(step: Step, logs: Logs) -> Taken:
    """Do what a step does, and look at what it left; once more where that can help.

    It can where the tool crashed, which it may not do twice, and where a step whose outputs
    are refused has another way to make them.

    Raises
    ------
    StepError
        When the step failed.
    Interrupted
        When the run is being stopped.
    """
    _make_way(step, logs)
    taken = _patiently(step, step.action, logs)
    if step.check is None:
        return taken
    try:
        _call(step, step.check, logs)
    except StepError as error:
        if step.otherwise is None:
            raise
        log.warning("%s: step '%s': %s; it is done in another way", logs.title, step.name, error.reason)
        for path in step.outputs:
            delete(path)
        action, check = step.otherwise
        taken = _patiently(step, action, logs)
        _call(step, check, logs)
    return taken


def _make_way(step: Step, logs: Logs) -> None:
    """Delete what an earlier try left of the outputs, and make their folders."""
    try:
        for path in step.outputs:
            delete(path)
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        # A disk that is full, or gone: this direction's failure only.
        raise _failed(step, str(error), logs.out) from error


def _patiently(step: Step, action: Command | Call, logs: Logs) -> Taken:
    if isinstance(action, Call):
        return _call(step, action, logs)
    try:
        return _command(step, action, logs)
    except StepError as error:
        if not error.crashed:
            raise
        log.warning("%s: step '%s': %s; it is run once more", logs.title, step.name, error.reason)
        return _command(step, action, logs)


def _call(step: Step, call: Call, logs: Logs) -> Taken:
    before = time.thread_time()
    try:
        with _calls:
            call.function(**call.arguments)
    except FactorError as error:
        raise _failed(step, error.message, logs.out, error.hint) from error
    except (OSError, ValueError, ArithmeticError, RuntimeError) as error:
        # A full disk, or data of which nothing can be made: this direction's failure only.
        logs.err.parent.mkdir(parents=True, exist_ok=True)
        with logs.err.open("a") as log_file:
            traceback.print_exception(error, file=log_file)
        raise _failed(step, str(error), logs.err) from error
    missing = [str(path) for path in step.outputs if not path.exists()]
    if missing:
        raise _failed(step, f"it left no {', '.join(missing)}", logs.out)
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return time.thread_time() - before, memory_mb


def _command(step: Step, command: Command, logs: Logs) -> Taken:
    result = runner.run(command, logs.out, logs.err, step.name)
    command.clean_up()
    runner.note(result, f"{logs.title}: {step.name}", logs.commands)
    if result.error:
        for path in step.outputs:
            delete(path)
        if runner.stopping():
            raise Interrupted("the run is being stopped")
        help_ = advice(result.error)
        raise StepError(
            step.name, result.error, str(logs.out), command.paste(), help_, crashed=result.crashed
        )
    return result.cpu_s, result.peak_memory_mb


def _failed(step: Step, message: str, log_file: Path, hint: str = "") -> StepError:
    return StepError(step.name, message, str(log_file), "", hint or advice(message))


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
