"""Reading what is going on from a working directory: no lock, no data, nothing is written."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from factor.errors import FactorError, InputError
from factor.products.verdict import Verdict
from factor.progress.edits import subtracted_from
from factor.progress.estimate import covered_s, estimate, moment
from factor.progress.failures import ATTEMPTS, failures_of
from factor.progress.model import (
    Direction,
    Estimate,
    Operation,
    OperationState,
    Progress,
    RunningStep,
    RunState,
    Stale,
    Status,
    Tally,
    Usage,
)
from factor.state.lock import Holder, holder
from factor.state.plan import Plan, PlannedDirection, Work, load_plan, plan_of_records
from factor.state.pulse import Pulse, load_pulse
from factor.state.records import Record
from factor.state.store import StateStore
from factor.workspace import FIELD, SECOND_ROUND, Workspace, base_operation, run_order

#: Without a sign of life for this long, a run on another machine is taken for dead, seconds.
SILENCE_S = 600.0

#: Operations that calibrate a direction.
_CALIBRATING = ("outlierpeel", "facetpeel", *ATTEMPTS)


class Reader:
    """Reads the state of a run again and again; files that have not changed are read once.

    Parameters
    ----------
    workspace : Workspace
        The working directory.
    parset : Path, optional
        The run's parset as it is known here; without it, the one that the run was started with.
    """

    def __init__(self, workspace: Workspace, parset: Path | None = None) -> None:
        self.workspace = workspace
        self._parset = str(parset.resolve()) if parset is not None else ""
        self._store = StateStore(workspace)
        self._known: dict[tuple[str, str], tuple[tuple[int, int], Record]] = {}

    def read(self) -> Progress:
        """Look what is going on.

        Raises
        ------
        InputError
            When there is no run here, or its state cannot be read: one sentence.
        """
        workspace = self.workspace
        _check_folder(workspace)
        try:
            held = holder(workspace)
            pulse = load_pulse(workspace)
            plan = load_plan(workspace)
            records = self._records()
            if plan is None:
                plan = plan_of_records(workspace, records)
        except InputError:
            raise
        except FactorError as error:
            raise InputError(error.message, error.hint) from error
        parset = self._parset or plan.parset
        return _Picture(workspace, parset, plan, pulse, held, records, time.time()).progress()

    @property
    def records(self) -> tuple[Record, ...]:
        """The records of all operations, as they were at the last look."""
        return tuple(record for _, record in self._known.values())

    def _records(self) -> tuple[Record, ...]:
        found: dict[tuple[str, str], tuple[tuple[int, int], Record]] = {}
        for key in self.workspace.records():
            try:
                stat = self.workspace.record(*key).stat()
            except OSError:  # it was deleted just now
                continue
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = self._known.get(key)
            if known is not None and known[0] == stamp:
                found[key] = known
            else:
                record = self._store.load(*key)
                if record is not None:
                    found[key] = (stamp, record)
        self._known = found
        return self.records


def _check_folder(workspace: Workspace) -> None:
    """Refuse a folder in which no run can be looked at."""
    root = workspace.root
    if not root.is_dir():
        raise InputError(f"no run has been started: there is no {root}", "start it: runfactor PARSET")
    if not (workspace.log.exists() or workspace.state.is_dir() or workspace.lock.exists()):
        raise InputError(
            f"{root} is not the working directory of a run: it has neither factor.log nor state/",
            "check dir_working in the parset, or start the run: runfactor PARSET",
        )


def time_left_of(
    workspace: Workspace, plan: Plan, records: Sequence[Record], again: Collection[tuple[str, str]]
) -> Estimate | None:
    """Time that a plan takes yet, by the rates of what was done; None as long as nothing was.

    Parameters
    ----------
    workspace, plan, records
        Of the run.
    again : collection of (operation, direction)
        What was done and will be done once more.
    """
    picture = _Picture(workspace, plan.parset, plan, None, None, tuple(records), time.time())
    return estimate(plan.work, picture.begun, again)


@dataclass(frozen=True)
class _Picture:
    """Puts together what was read."""

    workspace: Workspace
    parset: str
    plan: Plan
    pulse: Pulse | None
    held: Holder | None
    records: tuple[Record, ...]
    now: float

    @cached_property
    def begun(self) -> dict[str, list[Operation]]:
        """All operations that were begun, by their names."""
        begun: dict[str, list[Operation]] = {}
        for record in self.records:
            begun.setdefault(record.operation, []).append(self._operation(record))
        return begun

    def progress(self) -> Progress:
        running = [o for group in self.begun.values() for o in group if o.state == "running"]
        state, message = self._state()
        known = self.plan.parset != ""
        ordered = sorted(self.records, key=lambda record: run_order(record.operation))
        done = (record for record in ordered if record.stale and record.status == "done")
        stale = tuple(Stale(record.operation, record.direction, record.stale) for record in done)
        # What stands subtracted is kept, images are made again.
        again = {(s.operation, s.direction) for s in stale if _is_image(s.operation) or s.direction == FIELD}
        estimated = estimate(self.plan.work, self.begun, again)
        return Progress(
            root=str(self.workspace.root),
            parset=self.parset,
            state=state,
            message=message,
            started=self._started,
            updated=self.pulse.updated if self.pulse else self._latest,
            elapsed_s=self._elapsed_s(),
            bands=self.plan.bands,
            chunks=self.plan.chunks,
            groups=self.plan.groups,
            directions=tuple(self._direction(planned) for planned in self.plan.directions),
            tallies=tuple(self._tally(work) for work in self.plan.work if work.directions != (FIELD,)),
            field=tuple(o for group in self.begun.values() for o in group if o.direction == FIELD),
            running=tuple(sorted(running, key=_started)),
            failures=failures_of(
                self.workspace, self.records, self.parset, message if state == "failed" else "",
                goes_on=self.plan.goes_on,
            ),
            usage=self._usage(),
            estimate=None if state in ("done", "preparing") else estimated,
            stale=stale,
            centre_deg=self.plan.centre_deg if known else None,
            radius_deg=self.plan.radius_deg if known else None,
            begun=tuple(sorted((o for group in self.begun.values() for o in group), key=_started)),
        )

    @property
    def alive(self) -> bool:
        """Whether the run may be going on."""
        if self.held is None or not self.held.alive:
            return False
        if self.pulse is None:
            return True
        if self.pulse.outcome or self.pulse.started < self.held.since:
            # Another command holds the folder: it is being archived.
            return False
        if self.held.is_here:
            return True
        heard = moment(self.pulse.updated)
        return heard is None or self.now - heard < SILENCE_S

    @property
    def _started(self) -> str:
        if self.pulse is not None:
            return self.pulse.started
        return min((r.started for r in self.records), default="")

    @property
    def _latest(self) -> str:
        ends = [step.finished for record in self.records for step in record.steps.values()]
        ends += [when for record in self.records for when in (record.started, record.finished)]
        return max(ends, default="")

    def _state(self) -> tuple[RunState, str]:
        outcome = self.pulse.outcome if self.pulse else ""
        if self.alive:
            return ("preparing" if self._is_preparing() else "running"), ""
        message = self.pulse.message if self.pulse else ""
        waiting = any(len(self._done(work)) < len(work.directions) for work in self.plan.work)
        if outcome in ("failed", "stopped"):
            return ("failed" if outcome == "failed" else "stopped"), message
        if outcome == "done" and waiting and self.plan.stop_after is not None:
            last = self.plan.stop_after
            return "stopped", f"after {f'group {last}' if last else 'subtractions were undone'}, as asked"
        if self.workspace.reset_intent.exists():
            return "killed", "within a reset, which the next run finishes"
        if outcome == "done" or not (waiting or not self.plan.work):
            return "done", ""
        return "killed", "it ended without a word: killed, or the machine went down"

    def _is_preparing(self) -> bool:
        """Whether the run has not come to its plan yet; an earlier run may have left one."""
        begin = moment(self._started)
        try:
            return begin is not None and self.workspace.plan.stat().st_mtime < begin
        except OSError:
            return not self.records

    def _elapsed_s(self) -> float:
        begin = moment(self._started)
        if begin is None:
            return 0.0
        end = self.now
        if not self.alive:
            end = moment(self.pulse.updated if self.pulse else self._latest) or begin
        return max(0.0, end - begin)

    def _usage(self) -> Usage:
        try:
            free = shutil.disk_usage(self.workspace.root).free
        except OSError:
            free = 0
        pulse = self.pulse or Pulse("", "")
        return Usage(
            cpu_s=sum(step.cpu_s for record in self.records for step in record.steps.values()),
            memory_mb=pulse.memory_mb if self.alive else 0.0,
            peak_memory_mb=pulse.peak_memory_mb,
            disk_bytes=pulse.disk_bytes,
            peak_disk_bytes=pulse.peak_disk_bytes,
            disk_free_bytes=free,
        )

    def _operation(self, record: Record) -> Operation:
        state: OperationState = record.status
        # An earlier run, that was killed, may have left it so.
        if state == "running" and not (self.alive and record.started >= self._started):
            state = "interrupted"
        done, expected = len(record.steps), self._expected(record)
        if record.operation == "facetsub" and state != "done":
            done, expected = subtracted_from(self.workspace, record.direction)
        begin = moment(record.started) or self.now
        end = self.now if state == "running" else moment(record.finished or self._last_step(record)) or begin
        return Operation(
            operation=record.operation,
            direction=record.direction,
            state=state,
            started=record.started,
            finished="" if record.status == "running" else record.finished,
            elapsed_s=max(0.0, end - begin),
            steps_done=done,
            steps_expected=expected,
            steps=tuple(
                RunningStep(name, max(0.0, self.now - (moment(start) or self.now)))
                for name, start in record.running.items()
                if state == "running"
            ),
            cpu_s=sum(step.cpu_s for step in record.steps.values()),
            peak_memory_mb=max((step.peak_memory_mb for step in record.steps.values()), default=0.0),
            earlier_s=_earlier_s(record),
        )

    @staticmethod
    def _last_step(record: Record) -> str:
        return max((step.finished for step in record.steps.values()), default="")

    def _expected(self, record: Record) -> int:
        """About how many steps: as many as other directions had, else as the plan says."""
        if record.status == "done":
            return len(record.steps)
        counts = [
            len(other.steps)
            for other in self.records
            if other.operation == record.operation and other.status == "done" and other.direction != FIELD
        ]
        planned = next((w.steps for w in self.plan.work if w.operation == record.operation), 0)
        if record.direction == FIELD:
            return 1
        about = round(sum(counts) / len(counts)) if counts else planned
        return max(about, len(record.steps) + len(record.running)) if about else 0

    def _direction(self, planned: PlannedDirection) -> Direction:
        begun = [o for group in self.begun.values() for o in group if o.direction == planned.name]
        states: dict[str, OperationState] = {o.operation: o.state for o in begun}
        names = [work.operation for work in self.plan.work if planned.name in work.directions]
        names += [name for name in states if name not in names]
        open_ones = [o for o in begun if o.state != "done"]
        records = {r.operation: r for r in self.records if r.direction == planned.name}
        imaged = [r for r in records.values() if _is_image(r.operation) and r.status == "done"]
        verdict = _verdict(records)
        return Direction(
            planned=planned,
            group=next((n for n, g in enumerate(self.plan.groups, 1) if planned.name in g), 0),
            status=_status(states, verdict),
            operations={name: states.get(name, "waiting") for name in sorted(names, key=run_order)},
            current=max(open_ones, key=_started, default=None),
            verdict=verdict,
            solutions=str(imaged[-1].results.get("solutions", "")) if imaged else "",
            solutions_of=str(imaged[-1].results.get("solutions_of", "")) if imaged else "",
        )

    def _done(self, work: Work) -> list[str]:
        begun = self.begun.get(work.operation, ())
        return [o.direction for o in begun if o.state == "done" and o.direction in work.directions]

    def _tally(self, work: Work) -> Tally:
        states = [o.state for o in self.begun.get(work.operation, ()) if o.direction in work.directions]
        return Tally(
            work.operation,
            states.count("done"),
            len(work.directions),
            states.count("running"),
            states.count("failed"),
        )


def _started(operation: Operation) -> str:
    return operation.started


def _earlier_s(record: Record) -> float:
    """Time that was spent on steps which an operation found done when it was begun."""
    spans = [
        (moment(step.started), moment(step.finished))
        for step in record.steps.values()
        if step.finished < record.started
    ]
    return covered_s((begin, end) for begin, end in spans if begin is not None and end is not None)


def _is_image(operation: str) -> bool:
    return base_operation(operation) == "facetimage"


def _verdict(records: Mapping[str, Record]) -> Verdict | None:
    """The verdict on the last attempt that has one; that on the second round only where it is good."""
    found = {}
    for operation in (SECOND_ROUND, *reversed(ATTEMPTS)):
        record = records.get(operation)
        if record is not None and record.status == "done" and "verdict" in record.results:
            found[operation] = Verdict.from_json(record.results["verdict"])
    if SECOND_ROUND in found and not found[SECOND_ROUND].good:
        del found[SECOND_ROUND]
    return next(iter(found.values()), None)


def _status(states: Mapping[str, OperationState], verdict: Verdict | None) -> Status:
    done = [name for name, state in states.items() if state == "done"]
    is_imaged = any(_is_image(name) for name in done)
    # A calibration that failed is no error any more when the facet got along without it.
    forgiven = {ATTEMPTS[0]} if verdict is not None else set()
    forgiven |= {*ATTEMPTS, SECOND_ROUND} if is_imaged else set()
    found = {state for name, state in states.items() if not (state == "failed" and name in forgiven)}
    open_ones: tuple[tuple[OperationState, Status], ...] = (
        ("running", "processing"), ("failed", "error"), ("interrupted", "interrupted"),
    )  # fmt: skip
    for state, status in open_ones:
        if state in found:
            return status
    if is_imaged:
        return "imaged"
    if verdict is not None and not verdict.good:
        return "selfcal failed"
    return "selfcal OK" if any(name in _CALIBRATING for name in done) else "unprocessed"
