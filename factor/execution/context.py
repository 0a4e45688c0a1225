"""The context of one operation on one direction: runs its steps, skips what is done."""

from __future__ import annotations

import logging
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from factor.errors import FactorError, Interrupted
from factor.execution.acting import Logs, act, delete
from factor.execution.local import Processors, wait_awake
from factor.execution.room import Needs, Room
from factor.execution.step import Call, Step, canonical_action, digest, file_digest
from factor.execution.step import plain as _plain
from factor.state.records import Record, StepRecord, now
from factor.state.resume import Status, note_products, status_of
from factor.state.store import StateStore
from factor.tools import runner
from factor.tools.environment import Tools
from factor.tuning.resources import Share, share
from factor.workspace import Workspace

log = logging.getLogger("factor.steps")

#: The folders of an absolute path in an action's text or a setting.
_FOLDER = re.compile(r'(?:(?<=["\[=,\s])|^)/(?:[^/"\[\],=\s]+/)+')


@dataclass(frozen=True)
class Engine:
    """What all operations of a run share: where they run and where they write."""

    workspace: Workspace
    store: StateStore
    tools: Tools
    processors: Processors
    dir_local: Path | None = None
    """Where intermediate data go; the working directory when None."""
    dir_local_selfcal: Path | None = None
    """The same for self-calibration."""
    threads: int = 1
    """Processors that one step may keep busy."""
    memory_gb: float = 8.0
    """Memory that one step may use."""
    room: Room = field(default_factory=Room)
    """Space on disks that operations have claimed."""

    def context(self, operation: str, direction: str) -> Context:
        """The context of one operation on one direction."""
        return Context(self, operation, direction)

    def share(self, n_directions: int, limit: int | None) -> Share:
        """What each of some directions may use, of which no more than a limit are worked on at once."""
        return share(n_directions, limit, self.processors.total, self.memory_gb)

    def scratch(self, operation: str, direction: str) -> Path:
        """Folder of the intermediate data of one operation on one direction."""
        return self.workspace.scratch(operation, direction, self.local(operation))

    def local(self, operation: str) -> Path | None:
        """Folder in which the intermediate data of an operation are; None for the working directory."""
        return self.dir_local_selfcal if operation.startswith("facetselfcal") else self.dir_local


class Context:
    """Runs the steps of one operation on one direction and keeps its record.

    Parameters
    ----------
    engine : Engine
        What it shares with the other operations.
    operation, direction : str
        What it works on.
    """

    def __init__(self, engine: Engine, operation: str, direction: str) -> None:
        self.engine = engine
        self.operation = operation
        self.direction = direction
        workspace = engine.workspace
        self.products = workspace.products(operation, direction)
        self.scratch = engine.scratch(operation, direction)
        self.out_log = workspace.out_log(operation, direction)
        self.err_log = workspace.err_log(operation, direction)
        #: Other operations that it is built on, beside its settings: name and direction, and their end.
        self.built_on: dict[str, str] = {}
        self._fingerprints: dict[Path, str] = {}
        self._makers: dict[Path, _Maker] = {}
        self._lock = threading.Lock()
        self.record = engine.store.load(operation, direction) or _new_record(operation, direction)

    @property
    def tools(self) -> Tools:
        return self.engine.tools

    @property
    def threads(self) -> int:
        """Processors that one step of this operation may keep busy."""
        return self.engine.threads

    @property
    def cpus(self) -> int:
        return self.engine.processors.total

    @property
    def done(self) -> bool:
        """Whether the operation was finished by this or an earlier run."""
        return self.record.status == "done"

    def status(self, settings: Mapping[str, Any] | None, *more: str) -> Status:
        """How the operation stands, and why it would come out differently now.

        Parameters
        ----------
        settings : mapping or None
            What would shape it now; None when nothing beside its inputs does.
        more : str
            Other reasons why it is stale.
        """
        store = self.engine.store
        record = store.load(self.operation, self.direction)
        if record is not None:
            record = replace(record, settings=self._portable_settings(record.settings))
        new = None if settings is None else self._portable_settings(settings)
        return status_of(self.engine.workspace, record, new, store.load, more)

    def note_stale(self, reasons: tuple[str, ...]) -> None:
        """Note, for whoever watches, why it would come out differently now."""
        if self.record.stale != reasons:
            self._save(stale=reasons)

    # -- the life of the operation -------------------------------------------------

    def start(self, settings: Mapping[str, Any]) -> None:
        """Open the operation: folders and record."""
        self.products.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(parents=True, exist_ok=True)
        shaping = self._portable_settings(settings)
        changes = {"settings": shaping, "error": "", "failure": {}, "running": {}, "stale": ()}
        self._save(status="running", started=now(), **changes)
        log.debug("%s %s: started", self.operation, self.direction)

    def finish(self, results: Mapping[str, Any]) -> None:
        """Close the operation: its products are good, its intermediate data go."""
        products = note_products(self.engine.workspace, self.record)
        changes = {"results": results, "inputs": self.built_on, "products": products, "running": {}}
        self._save(status="done", finished=now(), **changes)
        self.tidy()

    def require(self, needs: Needs) -> None:
        """Claim room on the disks until the operation ends, or raise `NoRoomError`."""
        wanted = {self.products: needs.products, self.scratch: needs.scratch}
        if self.products in self.scratch.parents:
            wanted = {self.products: needs.products + needs.scratch}
        self.engine.room.claim(f"{self.operation} of {self.direction}", wanted)

    def leave(self) -> None:
        """Give back the room that it claimed."""
        self.engine.room.give_back(self.scratch, self.products)

    def tidy(self) -> None:
        """Delete the intermediate data, which a death just after the end may have left."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def fail(self, error: FactorError) -> None:
        """Note why the operation failed; what is done stays for the next run."""
        self._save(status="failed", error=str(error), failure=error.parts, finished=now(), running={})

    def _save(self, **changes: Any) -> None:
        self._note(lambda record: replace(record, **changes))

    # -- steps -----------------------------------------------------------------------

    def run(self, *steps: Step) -> None:
        """Run steps that do not depend on each other; skip those that are done.

        Raises
        ------
        StepError
            The first failure, after the steps beside it have come to their end.
        Interrupted
            When the run is being stopped.
        """
        waiting = [step for step in steps if not self._is_done(step)]
        if not waiting:
            return
        with ThreadPoolExecutor(len(waiting)) as pool:
            futures = {pool.submit(self._perform, step): step for step in waiting}
            finished, pending = wait_awake(futures, FIRST_EXCEPTION)
            for future in pending:
                future.cancel()
            _raise_first(finished)
            finished, _ = wait_awake(pending)
            _raise_first(finished)

    def call(
        self,
        name: str,
        function: Callable[..., Any],
        arguments: Mapping[str, Any],
        reads: tuple[Path | str, ...],
        outputs: tuple[Path, ...],
    ) -> None:
        """Run a step that is a function of Factor's own: see `Step` and `Call`."""
        self.run(Step(name, Call(function, arguments), reads, outputs))

    def offer(self, *steps: Step) -> None:
        """Name steps that run just before the one that reads their outputs; these are deleted after it."""
        for step in steps:
            self._remember(step, offered=True)

    def release(self, *paths: Path) -> None:
        """Delete intermediate data that no later step reads; products are left alone.

        The steps that made them stay done. Where a step that reads them has to be done again
        after all, they are made again first.
        """
        gone = [path for path in paths if self.scratch in path.parents]
        with self._lock:
            names = {self._makers[path].step.name for path in gone if path in self._makers}
        if any(not step.released for name, step in self.record.steps.items() if name in names):
            self._note(lambda record: record.with_released(names))
        for path in gone:
            delete(path)

    def fingerprint(self, step: Step) -> str:
        """What decides a step's result, as a short text: options and all that it reads."""
        reads = [r if isinstance(r, str) else self._read_fingerprint(r) for r in step.reads]
        return digest(self._portable(canonical_action(step.action)), *reads)

    def _read_fingerprint(self, path: Path) -> str:
        with self._lock:
            known = self._fingerprints.get(path)
        return known if known is not None else file_digest(path)

    def _portable(self, text: str) -> str:
        """Text in which folders have names that survive a move of the run, and of what it was given."""
        workspace = self.engine.workspace
        for folder, name in (
            (self.scratch, "@scratch"), (workspace.inputs, "@elsewhere"), (workspace.root, "@work"),
        ):  # fmt: skip
            text = text.replace(str(folder), name)
        return _FOLDER.sub("@elsewhere/", text)

    def _portable_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        plain: dict[str, Any] = _plain(settings)
        return {k: self._portable(v) if isinstance(v, str) else v for k, v in plain.items()}

    def _remember(self, step: Step, *, offered: bool = False) -> str:
        fingerprint = self.fingerprint(step)
        with self._lock:
            self._fingerprints.update(dict.fromkeys(step.outputs, fingerprint))
            self._makers.update(dict.fromkeys(step.outputs, _Maker(step, threading.Lock(), offered)))
        return fingerprint

    def _is_done(self, step: Step, *, read: bool = False) -> bool:
        """Whether a step need not run: its outputs are there, or, unless they are to be read, released."""
        fingerprint = self._remember(step) if not read else self.fingerprint(step)
        earlier = self.record.steps.get(step.name)
        if earlier is None or earlier.fingerprint != fingerprint:
            return False
        if earlier.released:
            # What is there of them may be half deleted.
            return not read
        return all(path.exists() for path in step.outputs)

    def _makers_of(self, step: Step) -> list[_Maker]:
        """What makes the files that a step reads."""
        with self._lock:
            return [self._makers[p] for p in step.reads if isinstance(p, Path) and p in self._makers]

    def _perform(self, step: Step) -> None:
        """Run a step, and before it what makes its reads where they were released or only offered."""
        makers = self._makers_of(step)
        for maker in makers:
            with maker.lock:
                if not self._is_done(maker.step, read=True):
                    self._perform(maker.step)
        self._run_one(step)
        self.release(*(path for maker in makers if maker.offered for path in maker.step.outputs))

    def _run_one(self, step: Step) -> None:
        with self.engine.processors.take(step.cpus):
            if runner.stopping():
                raise Interrupted("the run is being stopped")
            started = now()
            self._note(lambda record: record.with_start(step.name, started))
            log.debug("%s %s: %s", self.operation, self.direction, step.name)
            cpu_s, memory_mb = act(step, self._logs)
        done = StepRecord(
            fingerprint=self.fingerprint(step),
            outputs=tuple(self._portable_path(path) for path in step.outputs),
            started=started,
            finished=now(),
            cpu_s=cpu_s,
            peak_memory_mb=memory_mb,
            log=self.engine.workspace.relative(self.out_log),
        )
        self._note(lambda record: record.with_step(step.name, done))

    def _note(self, change: Callable[[Record], Record]) -> None:
        with self._lock:
            self.record = change(self.record)
            self.engine.store.save(self.record)

    @property
    def _logs(self) -> Logs:
        commands = self.engine.workspace.commands_log
        return Logs(f"{self.operation} {self.direction}", self.out_log, self.err_log, commands)

    def _portable_path(self, path: Path) -> str:
        return self.engine.workspace.relative(path)


@dataclass(frozen=True)
class _Maker:
    """The step that makes a file; one at a time sees to it that the file is there."""

    step: Step
    lock: threading.Lock
    offered: bool


def _new_record(operation: str, direction: str) -> Record:
    return Record(operation=operation, direction=direction, status="running", started=now())


def _raise_first(futures: set[Future[None]]) -> None:
    for future in futures:
        if not future.cancelled():
            error = future.exception()
            if error is not None:
                raise error
