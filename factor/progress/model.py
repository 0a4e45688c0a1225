"""What is going on in a working directory, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from factor.products.verdict import Verdict
from factor.state.plan import PlannedDirection
from factor.state.store import as_json

#: Version of what `Progress.to_json` gives; raised when an entry changes its meaning or goes.
JSON_VERSION = 1

RunState = Literal["preparing", "running", "done", "failed", "stopped", "killed"]
OperationState = Literal["waiting", "running", "interrupted", "done", "failed"]
Status = Literal[
    "unprocessed", "processing", "interrupted", "error", "selfcal failed", "selfcal OK", "imaged"
]


@dataclass(frozen=True)
class RunningStep:
    """A step that is being done."""

    name: str
    elapsed_s: float


@dataclass(frozen=True)
class Operation:
    """One operation on one direction that was begun.

    Attributes
    ----------
    operation, direction : str
        What is done to what.
    state : OperationState
        ``interrupted`` when its run ended in the middle of it.
    started, finished : str
        ISO 8601 in UTC; ``finished`` is empty when it has not come to an end.
    elapsed_s : float
        Time since its start, or from start to end.
    steps_done, steps_expected : int
        Finished steps, and about how many there will be; 0 when that is not known.
    steps : tuple of RunningStep
        Those being done now.
    cpu_s, peak_memory_mb : float
        Of its finished steps: sum, and largest.
    earlier_s : float
        Time that earlier runs spent on steps that are kept.
    """

    operation: str
    direction: str
    state: OperationState
    started: str
    finished: str
    elapsed_s: float
    steps_done: int
    steps_expected: int
    steps: tuple[RunningStep, ...]
    cpu_s: float
    peak_memory_mb: float
    earlier_s: float = 0.0

    @property
    def fraction(self) -> float:
        """Roughly the part of it that is done."""
        if self.state == "done":
            return 1.0
        return min(0.95, self.steps_done / self.steps_expected) if self.steps_expected else 0.0


@dataclass(frozen=True)
class Failure:
    """What went wrong, and what to do.

    Attributes
    ----------
    direction, operation, step : str
        Where; empty where it does not apply.
    message : str
        The tool's own last error, or the reason.
    log, command : str
        The log with all that the tool said, and the command to paste; empty if there is none.
    remedy : str
        What to do next.
    """

    direction: str
    operation: str
    step: str
    message: str
    log: str
    command: str
    remedy: str


@dataclass(frozen=True)
class Stale:
    """A finished operation that would come out differently now.

    Attributes
    ----------
    operation, direction : str
        What was done to what.
    reasons : tuple of str
        As the latest run found them.
    """

    operation: str
    direction: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Direction:
    """How a direction stands.

    Attributes
    ----------
    planned : PlannedDirection
        Position and facet.
    group : int
        Its group, from 1; 0 when it is not self-calibrated.
    status : Status
        In a word.
    operations : mapping of str to OperationState
        Every operation that is planned for it or was begun, in order.
    current : Operation or None
        The one that runs, was interrupted or failed.
    verdict : Verdict or None
        On its self-calibration.
    solutions : str
        With what its facet was imaged: ``own``, ``borrowed``, ``none``; empty before.
    solutions_of : str
        The direction that they come from.
    """

    planned: PlannedDirection
    group: int
    status: Status
    operations: Mapping[str, OperationState]
    current: Operation | None = None
    verdict: Verdict | None = None
    solutions: str = ""
    solutions_of: str = ""

    @property
    def name(self) -> str:
        return self.planned.name

    @property
    def completed(self) -> tuple[str, ...]:
        """Operations that are done."""
        return tuple(name for name, state in self.operations.items() if state == "done")


@dataclass(frozen=True)
class Usage:
    """What the run takes.

    Attributes
    ----------
    cpu_s : float
        Of all finished steps.
    memory_mb, peak_memory_mb : float
        Of the run and its tools, now and at most; 0 when it is not known.
    disk_bytes, peak_disk_bytes : int
        Size of the working directory, likewise.
    disk_free_bytes : int
        Left on its disk.
    """

    cpu_s: float
    memory_mb: float
    peak_memory_mb: float
    disk_bytes: int
    peak_disk_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True)
class Estimate:
    """When the run will end.

    Attributes
    ----------
    left_s : float
        Time from now.
    rough : bool
        Whether part of it stands on no rate of this run.
    """

    left_s: float
    rough: bool


@dataclass(frozen=True)
class Tally:
    """How far one operation is over all directions."""

    operation: str
    done: int
    total: int
    running: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Progress:
    """What is going on in a working directory.

    Attributes
    ----------
    root, parset : str
        Working directory and parset.
    state : RunState
        ``killed``: it ended without a word.
    message : str
        Why it failed or stopped.
    started, updated : str
        Begin of the (last) run and its last sign of life, ISO 8601 in UTC; may be empty.
    elapsed_s : float
        From its begin to now, or to its end.
    bands, chunks : int
        Of the input.
    groups : tuple of tuple of str
        Directions that are self-calibrated side by side.
    directions : tuple of Direction
        In the order of the directions file.
    tallies : tuple of Tally
        By operation, in the order of the run.
    field : tuple of Operation
        Operations on the whole field.
    running : tuple of Operation
        All that are being done now, the oldest first.
    failures : tuple of Failure
        The latest last.
    begun : tuple of Operation
        All operations that were begun, the oldest first.
    """

    root: str
    parset: str
    state: RunState
    message: str
    started: str
    updated: str
    elapsed_s: float
    bands: int
    chunks: int
    groups: tuple[tuple[str, ...], ...]
    directions: tuple[Direction, ...]
    tallies: tuple[Tally, ...]
    field: tuple[Operation, ...]
    running: tuple[Operation, ...]
    failures: tuple[Failure, ...]
    usage: Usage
    estimate: Estimate | None = None
    stale: tuple[Stale, ...] = ()
    centre_deg: tuple[float, float] | None = None
    radius_deg: tuple[float, float] | None = None
    begun: tuple[Operation, ...] = ()

    @property
    def group(self) -> int:
        """The group that is being calibrated, from 1; the last one when all are done; 0 for none."""
        by_name = {direction.name: direction for direction in self.directions}
        for number, group in enumerate(self.groups, 1):
            if any(by_name[name].operations.get("facetselfcal") != "done" for name in group):
                return number
        return len(self.groups)

    def stale_in(self, direction: str) -> dict[str, tuple[str, ...]]:
        """The stale operations of a direction, with their reasons."""
        return {found.operation: found.reasons for found in self.stale if found.direction == direction}

    def to_json(self) -> dict[str, Any]:
        """Plain values with a version: the promise that `checkfactor --json` makes."""
        content = asdict(self)
        directions = []
        for direction, plain in zip(self.directions, content["directions"], strict=True):
            planned = plain.pop("planned")
            plain["completed"] = list(direction.completed)
            plain["verdict"] = direction.verdict.to_json() if direction.verdict else None
            directions.append({**planned, **plain})
        promised: dict[str, Any] = as_json(
            {"version": JSON_VERSION, **content, "group": self.group, "directions": directions}
        )
        return promised
