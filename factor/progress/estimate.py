"""When a run will end, from its own rates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from factor.progress.model import Estimate, Operation
from factor.state.plan import Work
from factor.workspace import base_operation

#: Wall time of operations that were not begun yet, per direction, relative to that of facetselfcal:
#: of the simulated field of 4 bands and 41 minutes (the mosaic: of 10 facets).
_RELATIVE = {"facetsub": 0.03, "facetimage": 0.3, "fieldmosaic": 0.2}

#: Directions' worth of an operation that must be done before its rate is believed.
_ENOUGH = 0.2


def estimate(
    work: Sequence[Work], begun: Mapping[str, Sequence[Operation]], again: Collection[tuple[str, str]] = ()
) -> Estimate | None:
    """Time to the end of a run.

    The rate of an operation is the time during which it was done to any direction, over the
    number of directions that are through: what runs side by side counts once.

    Parameters
    ----------
    work : sequence of Work
        The plan.
    begun : mapping of str to sequence of Operation
        What was begun, by the name of the operation.
    again : collection of (operation, direction)
        What of it will be done once more.

    Returns
    -------
    Estimate or None
        None as long as nothing is known.
    """
    rates: dict[str, float] = {}
    left: dict[str, float] = {}
    for item in work:
        operations = [o for o in begun.get(item.operation, ()) if o.direction in item.directions]
        through = sum(operation.fraction for operation in operations)
        kept = sum(o.fraction for o in operations if (o.operation, o.direction) not in again)
        left[item.operation] = max(0.0, len(item.directions) - kept)
        if through >= _ENOUGH:
            rates[item.operation] = busy_s(operations) / through
    left_s, rough = 0.0, False
    for name, directions in left.items():
        rate = rates.get(name)
        if rate is None and directions:
            rough = True
            rate = _guess(name, rates)
            if rate is None:
                return None
        left_s += directions * (rate or 0.0)
    return Estimate(left_s, rough)


def _guess(name: str, rates: Mapping[str, float]) -> float | None:
    base = base_operation(name)
    siblings = [rate for other, rate in rates.items() if base_operation(other) == base]
    if siblings:
        return sum(siblings) / len(siblings)
    if "facetselfcal" not in rates or base not in _RELATIVE:
        return None
    return rates["facetselfcal"] * _RELATIVE[base]


def busy_s(operations: Iterable[Operation]) -> float:
    """Time during which any of some operations was being done, by this run or before."""
    spans = []
    for operation in operations:
        begin = moment(operation.started)
        if begin is not None:
            spans.append((begin - operation.earlier_s, begin + operation.elapsed_s))
    return covered_s(spans)


def covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Length of time that is covered by some spans."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def moment(text: str) -> float | None:
    """Seconds since 1970 of a time as records hold it; None when it is none."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
