"""What a run is about to do, as a file: for checkfactor, which must not need the data to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from factor.state.layout import load_layout
from factor.state.records import Record
from factor.state.store import read_value, write_json
from factor.workspace import FIELD, Workspace, run_order

#: Format of the plan's file; a newer one is refused.
PLAN_VERSION = 1


@dataclass(frozen=True)
class PlannedDirection:
    """A direction and its facet.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Position of the calibrator.
    vertices : tuple of (ra_deg, dec_deg)
        Corners of the facet, in order, not closed.
    is_patch, is_target : bool
        A square around a calibrator outside the field, which is not imaged; a target with a
        facet of its own, which is not calibrated.
    flux_jy : float
        Apparent flux of the calibrator; 0 when it is not known.
    """

    name: str
    ra_deg: float
    dec_deg: float
    vertices: tuple[tuple[float, float], ...] = ()
    is_patch: bool = False
    is_target: bool = False
    flux_jy: float = 0.0


@dataclass(frozen=True)
class Work:
    """One operation of the plan.

    Attributes
    ----------
    operation : str
        Its name, e.g. ``facetimage_c15.0r-1.0t45.0u80.0``.
    directions : tuple of str
        What it will be done to.
    steps : int
        Roughly the number of its steps for one direction; 0 when it is not known.
    """

    operation: str
    directions: tuple[str, ...]
    steps: int = 0


@dataclass(frozen=True)
class Plan:
    """What a run is about to do.

    Attributes
    ----------
    parset : str
        The run's parset.
    centre_deg : tuple of float
        RA and Dec of the field.
    radius_deg : tuple of float
        Half axes of the faceting ellipse, east-west and north-south.
    bands, chunks : int
        Of the input.
    groups : tuple of tuple of str
        Directions that are self-calibrated side by side, group by group.
    work : tuple of Work
        The operations, in their order.
    stop_after : int or None
        The group after which the run stops; 0 where it only undoes subtractions.
    goes_on : bool
        Whether a direction that fails does not end the run.
    """

    parset: str
    centre_deg: tuple[float, float]
    radius_deg: tuple[float, float]
    bands: int
    chunks: int
    directions: tuple[PlannedDirection, ...]
    groups: tuple[tuple[str, ...], ...]
    work: tuple[Work, ...]
    stop_after: int | None = None
    goes_on: bool = False


def save_plan(workspace: Workspace, plan: Plan) -> None:
    """Write the plan of a run, in place of an earlier one."""
    write_json(workspace.plan, asdict(plan), PLAN_VERSION)


def load_plan(workspace: Workspace) -> Plan | None:
    """Read the plan of a run.

    Returns
    -------
    Plan or None
        None when there is none yet.

    Raises
    ------
    FactorError
        When it is damaged or of a newer format.
    """
    remedy = f"run runfactor again: it writes {workspace.plan} anew"
    return read_value(workspace.plan, PLAN_VERSION, remedy, _plan)


def plan_of_records(workspace: Workspace, records: Sequence[Record]) -> Plan:
    """What is known of the plan of a run that left none."""
    kept = load_layout(workspace)
    names = tuple(kept.facets) if kept else ()
    names += tuple(sorted({r.direction for r in records} - {*names, FIELD}))
    work: dict[str, list[str]] = {}
    for record in records:
        if record.direction != FIELD or record.operation.startswith("fieldmosaic"):
            work.setdefault(record.operation, []).append(record.direction)
    if kept:
        for operation in ("facetselfcal", "facetsub"):
            work[operation] = list(names)
    return Plan(
        parset="",
        centre_deg=(0.0, 0.0),
        radius_deg=(0.0, 0.0),
        bands=0,
        chunks=0,
        directions=tuple(PlannedDirection(name, 0.0, 0.0) for name in names),
        groups=(),
        work=tuple(Work(o, tuple(work[o])) for o in sorted(work, key=run_order)),
    )


def _plan(content: Mapping[str, Any]) -> Plan:
    return Plan(
        parset=str(content["parset"]),
        centre_deg=_pair(content["centre_deg"]),
        radius_deg=_pair(content["radius_deg"]),
        bands=int(content["bands"]),
        chunks=int(content["chunks"]),
        directions=tuple(
            PlannedDirection(**{**d, "vertices": tuple(map(_pair, d["vertices"]))})
            for d in content["directions"]
        ),
        groups=tuple(tuple(group) for group in content["groups"]),
        work=tuple(Work(w["operation"], tuple(w["directions"]), int(w["steps"])) for w in content["work"]),
        stop_after=None if content["stop_after"] is None else int(content["stop_after"]),
        goes_on=bool(content.get("goes_on", False)),
    )


def _pair(values: Any) -> tuple[float, float]:
    first, second = values
    return float(first), float(second)
