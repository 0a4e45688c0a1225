"""Resetting: what it would do, as a value; then doing it, so that a kill at any instant is no harm.

A reset is noted in ``state/`` before it begins. Then the subtractions are undone, chunk by
chunk; then records and products go; then the note. Each of these can be repeated, so that
the next run finishes what was interrupted. What was built on what is reset stays, and is
found stale by `factor.flow.status`.
"""

from __future__ import annotations

import difflib
import logging
import shutil
from collections.abc import Iterable, Sequence

from factor.errors import InputError
from factor.flow.standing import Standing
from factor.observation.model import Observation
from factor.operations import facetsub
from factor.state.intent import Reset, clear_intent, load_intent, save_intent
from factor.state.layout import load_layout
from factor.state.ledger import Ledger
from factor.workspace import FIELD, Workspace, base_operation

log = logging.getLogger("factor")

#: Stands for all directions.
ALL = "all"

#: What is made of an operation's products, and goes with them.
_MADE_OF = {
    "outlierpeel": ("facetsub",),
    "facetpeel": ("facetpeelimage", "facetsub"),
    "facetselfcal": ("facetsub",),
    "facetpeelimage": ("facetsub",),
}

_MOSAIC = "fieldmosaic"
_INITIAL = "initsubtract"


def check_reset(workspace: Workspace, directions: Sequence[str], operations: Sequence[str]) -> None:
    """Refuse names that nothing has, before anything is touched.

    Raises
    ------
    InputError
        When there is no such direction, or nothing to reset.
    """
    if _INITIAL in operations:
        raise InputError(
            f"-o {_INITIAL}: everything is built on the initial subtraction",
            f"delete {workspace.chunks}, {workspace.results} and {workspace.state} to begin again",
        )
    known = _known_directions(workspace)
    if not known:
        raise InputError(
            f"-r {','.join(directions)}: nothing was done in {workspace.root} yet", "leave out -r"
        )
    unknown = [name for name in directions if name not in {*known, FIELD, ALL}]
    if unknown:
        near = [m for name in unknown for m in difflib.get_close_matches(name, [*known, FIELD], 1)]
        hint = f"did you mean {', '.join(dict.fromkeys(near))}? " if near else ""
        raise InputError(
            f"-r {','.join(directions)}: there is no direction {', '.join(unknown)}; nothing was reset",
            f"{hint}directions are {', '.join([*known, FIELD])}, or {ALL}",
        )


def _known_directions(workspace: Workspace) -> tuple[str, ...]:
    """All directions of the layout, and those of which there are records."""
    kept = load_layout(workspace)
    names = () if kept is None else tuple(kept.facets)
    recorded = sorted({direction for _, direction in _existing(workspace)} - {*names, FIELD})
    return (*names, *recorded)


def _existing(workspace: Workspace) -> list[tuple[str, str]]:
    """Operations and directions that have a record or products."""
    products = {(path.parent.name, path.name) for path in workspace.results.glob("*/*") if path.is_dir()}
    return sorted(products.union(workspace.records()))


def reset_to_do(
    workspace: Workspace,
    observation: Observation,
    directions: Sequence[str],
    operations: Sequence[str],
) -> Reset:
    """What is to be reset before a run goes on: what an interrupted run left, and what is asked for."""
    pending = load_intent(workspace)
    if pending is not None:
        log.info("a reset was interrupted: it is finished first")
    asked = plan_reset(workspace, observation, directions, operations) if directions else Reset()
    if directions and asked.empty:
        what = f" -o {','.join(operations)}" if operations else ""
        log.warning("-r %s%s: nothing of that was done", ",".join(directions), what)
    return asked if pending is None else pending | asked


def subtracted_from(workspace: Workspace, observation: Observation) -> set[str]:
    """Directions that stand subtracted from at least one chunk."""
    files = [file for chunk in observation.chunks for file in chunk.files]
    return {entry.direction for file in files for entry in Ledger(workspace, file.path).outlook()}


def plan_reset(
    workspace: Workspace,
    observation: Observation,
    directions: Sequence[str],
    operations: Sequence[str],
) -> Reset:
    """What a reset would do.

    Parameters
    ----------
    workspace : Workspace
        Knows what is there.
    observation : Observation
        The chunks, whose ledgers know what stands subtracted.
    directions : sequence of str
        What to reset; ``all`` and ``field`` have their meanings.
    operations : sequence of str
        Operations to reset; all of them when empty.

    Returns
    -------
    Reset
        With what is made of the products of these operations.
    """
    if ALL in directions and not operations:
        return Reset(everything=True)
    known = _known_directions(workspace)
    names = {*known, FIELD} if ALL in directions else set(directions)
    wanted = {*operations, *(made for operation in operations for made in _MADE_OF.get(operation, ()))}

    def chosen(operation: str, direction: str) -> bool:
        base = base_operation(operation)
        if base == _INITIAL:
            return False
        if base == _MOSAIC and _MOSAIC in wanted:  # it has no other direction
            return True
        return direction in names and (not wanted or base in wanted)

    undoes = not wanted or "facetsub" in wanted
    undo = sorted(subtracted_from(workspace, observation) & names) if undoes else []
    found = [pair for pair in _existing(workspace) if chosen(*pair)]
    found += [("facetsub", name) for name in undo if ("facetsub", name) not in found]
    return Reset(tuple(undo), tuple(found))


def describe(reset: Reset, workspace: Workspace) -> list[str]:
    """What a reset does, in lines for a person."""
    if reset.everything:
        return [
            "all chunks go back to the data as they came",
            f"everything in {workspace.results} and {workspace.state} is deleted",
        ]
    lines = [f"the subtraction of {name} is undone" for name in reset.undo]
    by_direction: dict[str, list[str]] = {}
    for operation, direction in reset.delete:
        by_direction.setdefault(direction, []).append(operation)
    return lines + [
        f"{name}: products and records of {', '.join(operations)} are deleted"
        for name, operations in by_direction.items()
    ]


def begin_again(workspace: Workspace, observation: Observation) -> None:
    """Go back to the data as they came, and forget all that was done; it can be repeated."""
    _begin(Reset(everything=True), workspace)
    for chunk in observation.chunks:
        for file in chunk.files:
            Ledger(workspace, file.path).reset_all()
    for operation, direction in _existing(workspace):
        _forget(workspace, operation, direction)
    workspace.layout.unlink(missing_ok=True)
    clear_intent(workspace)


def carry_out(standing: Standing, reset: Reset) -> None:
    """Do a reset of some directions or operations; it can be repeated.

    Raises
    ------
    FactorError
        When a subtraction cannot be undone; the next run tries again.
    """
    engine = standing.engine
    if reset.empty:
        return
    _begin(reset, engine.workspace)
    _undo(standing, reset.undo)
    for operation, direction in reset.delete:
        shutil.rmtree(engine.scratch(operation, direction), ignore_errors=True)
        _forget(engine.workspace, operation, direction)
    clear_intent(engine.workspace)


def _begin(reset: Reset, workspace: Workspace) -> None:
    save_intent(workspace, reset)
    instant("noted")


def _undo(standing: Standing, directions: Iterable[str]) -> None:
    """Undo subtractions; where none is left, the data as they came are put back."""
    field, gone = standing.field, set(directions)
    ledgers = [Ledger(field.workspace, f.path) for chunk in field.observation.chunks for f in chunk.files]
    for ledger in ledgers:
        entries = {entry.direction for entry in ledger.subtracted()}
        if entries and entries <= gone:
            ledger.reset_all()
            instant("chunk undone")
    left = {entry.direction for ledger in ledgers for entry in ledger.subtracted()}
    for facet in (*field.outliers, *field.facets):
        if facet.name in gone & left:
            context = standing.engine.context("facetsub", facet.name)
            facetsub.undo(context, field, standing.change(facet, frozen=True))
            instant("direction undone")


def _forget(workspace: Workspace, operation: str, direction: str) -> None:
    """Delete a record, then the products: products without a record are no harm."""
    record = workspace.record(operation, direction)
    record.unlink(missing_ok=True)
    instant("record deleted")
    shutil.rmtree(workspace.products(operation, direction), ignore_errors=True)
    instant("products deleted")


def instant(name: str) -> None:
    """Do nothing: tests replace it to die at an instant of a reset."""
