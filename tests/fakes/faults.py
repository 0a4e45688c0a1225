"""Everything that can go wrong in a run with the fake tools, at any step, at any moment of it.

To be installed in the process of the run, after `inside.install`. Each fault strikes once:
a file notes those that have struck, since most of them end the process.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOMENTS = ("before", "during", "after")
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
VANISHED = "RAM gone"
KINDS = (*SIGNALS, "fails", "no output", "disk full", VANISHED)
#: What can happen between the steps: at the turns of operations and in the edits of chunks.
OUTER_KINDS = (*SIGNALS, "disk full", VANISHED)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes
    ----------
    point : str
        Its sort (DP3, WSClean, function, turn of an operation, edit of a chunk), and which one.
    kind, moment : str
        One of `KINDS`, and one of `MOMENTS`: after a step is when its work is done but not noted.
    """

    point: str
    kind: str
    moment: str

    def __str__(self) -> str:
        return f"{self.point} | {self.kind} | {self.moment}"


def possible(point: str) -> list[Fault]:
    """All that can go wrong at a point: what is no step has but one moment."""
    if point.startswith(("turn: ", "edit: ")):
        return [Fault(point, kind, "before") for kind in OUTER_KINDS]
    return [Fault(point, kind, moment) for kind in KINDS for moment in MOMENTS]


class Faults:
    """Those of one process.

    Parameters
    ----------
    planned : sequence of Fault
        What is to go wrong.
    folder : Path
        Takes the notes: ``struck``, ``done`` (steps that were recorded) and ``passed``
        (all points, in order).
    ram : Path
        The folder for intermediate data, which may vanish.
    """

    def __init__(self, planned: Sequence[Fault], folder: Path, ram: Path) -> None:
        self._folder, self._ram = folder, ram
        struck = set(self._noted("struck"))
        self._waiting: dict[str, list[Fault]] = {}
        for fault in planned:
            if str(fault) not in struck:
                self._waiting.setdefault(fault.point, []).append(fault)
        self._lock = threading.Lock()
        self._noting = threading.Lock()
        self._here = threading.local()
        self._full = False

    def _noted(self, name: str) -> list[str]:
        path = self._folder / name
        return path.read_text().splitlines() if path.exists() else []

    def _note(self, name: str, text: str) -> None:
        with self._lock, (self._folder / name).open("a") as stream:
            stream.write(text + "\n")

    def _next(self, point: str) -> Fault | None:
        """The fault that is to strike now, which is noted; none where the run is coming to its end."""
        from factor.tools import runner

        waiting = self._waiting.get(point)
        if not waiting or self._full:
            return None
        if runner.stopping():
            self._note("missed", str(waiting[0]))
            return None
        fault = waiting.pop(0)
        self._note("struck", str(fault))
        return fault

    def _strike(self, fault: Fault) -> None:
        """Do what needs no tool: signals, the disk, the RAM directory."""
        if fault.kind in SIGNALS:
            from factor.tools import runner

            # Never between the record of a step beside this one and the note of it here.
            with self._noting:
                os.kill(os.getpid(), SIGNALS[fault.kind])
            while not runner.stopping():
                time.sleep(0.001)
        elif fault.kind == "disk full":
            self._full = True
        elif fault.kind == VANISHED:
            shutil.rmtree(self._ram, ignore_errors=True)

    def install(self) -> None:
        """Change the engine of this process."""
        from factor.execution import acting
        from factor.execution.context import Context
        from factor.state import ledger
        from factor.tools import runner

        sync = os.fsync

        def synced(descriptor: int) -> None:
            if self._full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        os.fsync = synced
        runner._wait = self._waiting_for(runner._wait)  # type: ignore[assignment]
        acting._call = self._calling(acting._call)  # type: ignore[assignment]
        Context._run_one = self._performing(Context._run_one)  # type: ignore[method-assign]
        Context._note = self._recording(Context._note)  # type: ignore[method-assign]
        Context._save = self._saving(Context._save)  # type: ignore[method-assign]
        ledger._instant = lambda name: self._outer(f"edit: {name}")

    def _performing(self, perform: Callable[..., None]) -> Callable[..., None]:
        def performed(context: Any, step: Any) -> None:
            sort = getattr(step.action, "tool", "function")
            point = f"{sort}: {context.operation} {context.direction}: {step.name}"
            self._note("passed", point)
            self._here.fault = fault = self._next(point)
            if fault is not None and fault.moment == "before":
                self._strike(fault)
            perform(context, step)

        return performed

    def _recording(self, record: Callable[..., None]) -> Callable[..., None]:
        # What is begun again is no longer in the record.
        def recorded(context: Any, change: Callable[[Any], Any]) -> None:
            with self._noting:
                before = context.record.steps
                record(context, change)
                for name in context.record.steps.keys() - before.keys():
                    self._note("done", f"{context.operation} {context.direction}: {name}")

        return recorded

    def _waiting_for(self, wait: Callable[..., Any]) -> Callable[..., Any]:
        def waited(command: Any, out: Any, err: Any) -> Any:
            def fail(message: str) -> tuple[int, float, float]:
                err.write(message)
                return 1, 0.0, 1.0

            return self._act(command.outputs, lambda: wait(command, out, err), fail, (0, 0.0, 1.0))

        return waited

    def _calling(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def fail(message: str) -> None:
            raise OSError(errno.EIO, message)

        def called(step: Any, action: Any, logs: Any) -> Any:
            def function() -> None:
                self._act(step.outputs, lambda: action.function(**action.arguments), fail, None)

            return call(step, type(action)(function, {}), logs)

        return called

    def _saving(self, save: Callable[..., None]) -> Callable[..., None]:
        def saved(context: Any, **changes: Any) -> None:
            # What is noted only for whoever watches (the reasons of staleness) is no turn.
            status = changes.get("status")
            if status is None:
                save(context, **changes)
                return
            point = f"turn: {context.operation} {context.direction} {status}"
            self._outer(f"{point}: to be noted")
            save(context, **changes)
            self._outer(f"{point}: noted")

        return saved

    def _outer(self, point: str) -> None:
        self._note("passed", point)
        fault = self._next(point)
        if fault is not None:
            self._strike(fault)

    def _act(
        self,
        outputs: Sequence[Path],
        work: Callable[[], Any],
        fail: Callable[[str], Any],
        success: Any,
    ) -> Any:
        """A step's work, with the fault that is due in it."""
        fault = getattr(self._here, "fault", None)
        self._here.fault = None  # a look at the outputs may follow, which is not the step's work
        if fault is None or (fault.moment == "before" and fault.kind not in ("fails", "no output")):
            return work()
        result = None
        if fault.moment == "after":
            result = work()
        elif fault.moment == "during" and fault.kind != VANISHED:
            _half(outputs)
        self._strike(fault)
        if fault.kind == "fails":
            return fail("RuntimeError: it was told to fail\n")
        if fault.kind == "disk full":
            return fail("OSError: [Errno 28] No space left on device\n")
        if fault.kind == "no output":
            for path in outputs:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            return success
        return result if fault.moment == "after" else work()


def _half(outputs: Sequence[Path]) -> None:
    """Leave what looks like outputs."""
    for path in outputs:
        if path.suffix == ".ms":
            path.mkdir(parents=True, exist_ok=True)
            (path / "table.dat").write_text("half of it")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("half of it")
