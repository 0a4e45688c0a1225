"""What went wrong in a run, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from factor.products.verdict import Verdict
from factor.progress.model import Failure
from factor.state.records import Record
from factor.workspace import SECOND_ATTEMPT, SECOND_ROUND, Workspace

#: The operation of self-calibration, and that of the second attempt.
ATTEMPTS = ("facetselfcal", SECOND_ATTEMPT)


def failures_of(
    workspace: Workspace, records: Sequence[Record], parset: str, message: str, *, goes_on: bool = False
) -> tuple[Failure, ...]:
    """All that went wrong and stands so.

    Parameters
    ----------
    workspace : Workspace
        The working directory.
    records : sequence of Record
        Of all operations.
    parset : str
        For the commands that are proposed; may be empty.
    message : str
        Why the run as a whole ended.
    goes_on : bool
        Whether the run goes on without a direction that fails.

    Returns
    -------
    tuple of Failure
        The latest last; the run's own only where no operation has one.
    """
    again = f"runfactor {parset or 'PARSET'}"
    tried_again = {r.direction for r in records if r.operation == ATTEMPTS[1] and r.status == "done"}
    records = [r for r in records if not (r.operation == ATTEMPTS[0] and r.direction in tried_again)]
    found = [(r.finished, _failed(r, again)) for r in records if r.status == "failed"]
    found += [(r.finished, _bad(workspace, r, _after_bad(r, again, goes_on))) for r in records if _is_bad(r)]
    if not found and message:
        text, _, hint = message.partition("\n  -> ")
        return (Failure("", "", "", text, "", "", hint or f"when it is mended, run again: {again}"),)
    return tuple(failure for _, failure in sorted(found, key=lambda pair: pair[0]))


def _failed(record: Record, again: str) -> Failure:
    parts = record.failure
    # Records of earlier versions have the text alone.
    message = parts.get("message") or record.error
    remedy = parts.get("hint", "")
    if parts.get("step"):
        first = f"{remedy}; then" if remedy else "when the cause is gone,"
        remedy = f"{first} run again: {again} (it goes on with this step)"
    remedy = remedy or f"when the cause is gone, run again: {again}"
    return Failure(
        direction=record.direction,
        operation=record.operation,
        step=parts.get("step", ""),
        message=message,
        log=parts.get("log", ""),
        command=parts.get("command", ""),
        remedy=remedy,
    )


def _is_bad(record: Record) -> bool:
    # Where the second round fails, the first one holds.
    if record.status != "done" or record.operation == SECOND_ROUND:
        return False
    verdict = record.results.get("verdict")
    return isinstance(verdict, dict) and not verdict.get("good", True)


def _after_bad(record: Record, again: str, goes_on: bool) -> str:
    """What becomes of a direction whose verdict is bad, and what the user can do."""
    mend = f"correct the direction or its settings and run again: {again}"
    if not goes_on:
        return f"{mend}; or set exit_on_selfcal_failure = False: its facet then borrows solutions"
    if record.operation == ATTEMPTS[0]:
        return f"it is tried once more when all others are done; or {mend}"
    return f"nothing is subtracted for it, and its facet, if it has one, borrows solutions; or {mend}"


def _bad(workspace: Workspace, record: Record, remedy: str) -> Failure:
    folder = workspace.products(record.operation, record.direction)
    verdict = Verdict.from_json(record.results["verdict"])
    looks = ", ".join(dict.fromkeys(check.look for check in verdict.failures if check.look))
    return Failure(
        direction=record.direction,
        operation=record.operation,
        step="verdict",
        message=verdict.explain(),
        log="",
        command="",
        remedy=f"look at {folder}{f' ({looks})' if looks else ''}; {remedy}",
    )
