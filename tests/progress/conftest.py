"""Working directories as runs leave them, without the runs."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from factor.state.plan import Plan, PlannedDirection, Work, save_plan
from factor.state.pulse import Pulse, save_pulse
from factor.state.records import Record, StepRecord
from factor.state.store import StateStore
from factor.workspace import Workspace

GOOD = {"good": True, "skipped": False, "checks": []}
BAD = {
    "good": False,
    "skipped": False,
    "checks": [{"name": "flagged solutions", "value": 0.8, "limit": 0.5, "unit": "", "passed": False,
                "reason": "too few solutions are left", "key": "flagged", "look": "phases.png",
               "option": "max_flagged"}],
}


#: Begin and end of an operation, seconds ago; no end when it has not come to one.
Span = tuple[float, float | None]


def when(now: float, ago_s: float) -> str:
    """A time as records hold it."""
    return datetime.fromtimestamp(now - ago_s, UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Site:
    """A working directory in the making; times are in seconds before ``now``."""

    workspace: Workspace
    now: float

    def plan(self, names: tuple[str, ...] = ("a", "b", "c"), **changes: Any) -> None:
        directions = tuple(
            PlannedDirection(name, 217.0 + k, 52.0, ((217.0, 51.0), (218.0, 51.0), (217.5, 52.0)))
            for k, name in enumerate(names)
        )
        plan: dict[str, Any] = {
            "parset": "my.parset",
            "centre_deg": (217.5, 52.0),
            "radius_deg": (1.5, 1.6),
            "bands": 4,
            "chunks": 2,
            "directions": directions,
            "groups": (names[:1], names[1:]),
            "work": (Work("facetselfcal", names, 10), Work("facetsub", names),
                     Work("facetimage", names, 5), Work("fieldmosaic", ("field",), 1)),
        }
        save_plan(self.workspace, Plan(**{**plan, **changes}))

    def pulse(self, started: float, outcome: str = "", message: str = "") -> None:
        times = when(self.now, started), when(self.now, 0)
        save_pulse(self.workspace, Pulse(*times, outcome, message, 500.0, 900.0, 10**9, 2 * 10**9))

    def lock(self, pid: int | None = None, host: str = "", since: float = 1e5) -> None:
        content = {"host": host or socket.gethostname(), "pid": pid or os.getpid(), "process_start": "",
                   "since": when(self.now, since)}
        self.workspace.lock.write_text(json.dumps(content))

    def record(self, operation: str, direction: str, span: Span, **changes: Any) -> None:
        """A record from its begin to its end (None: not come to one) with ``n`` finished steps."""
        begin, end = span
        count = changes.pop("n", 10)
        step = StepRecord("x", (), when(self.now, begin), when(self.now, end or 0), 2.0, 100.0)
        values = {
            "status": "running" if end is None else "done",
            "started": when(self.now, begin),
            "finished": "" if end is None else when(self.now, end),
            "steps": {f"step {k}": step for k in range(count)},
            **changes,
        }
        StateStore(self.workspace).save(Record(operation, direction, **values))

    def calibrated(self, direction: str, span: Span, verdict: dict[str, Any] | None = None) -> None:
        self.record("facetselfcal", direction, span, results={"verdict": verdict or GOOD})
        if verdict is None:
            self.record("facetsub", direction, (span[1] or 0, span[1]), n=0)

    def middle(self) -> None:
        """A run in its second group: a is done, b runs, c waits for a processor."""
        self.plan()
        self.pulse(started=60)
        self.lock()
        self.calibrated("a", (55, 25))
        running = {"image b.wsclean_image01": when(self.now, 4), "mask": when(self.now, 1)}
        self.record("facetselfcal", "b", (20, None), n=5, running=running)
        self.record("facetselfcal", "c", (20, None), n=3)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An empty working directory."""
    import time

    workspace = Workspace(tmp_path / "work")
    workspace.root.mkdir()
    workspace.log.write_text("")
    return Site(workspace, time.time())
