"""Would an operation be done again, and why: one value for the log, the dry run and checkfactor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from factor.files import DIGEST_LENGTH, content_digest
from factor.state.records import Record
from factor.workspace import Workspace

State = Literal["not run", "unfinished", "failed", "done", "stale"]

#: Begin of the names of settings that are fingerprints of what an operation is made from.
MADE_FROM = "from "

#: What later operations and users need; pictures may be deleted, data are the user's to keep.
_PRODUCTS = (".fits", ".h5", ".skymodel")

_STATES: Mapping[str, State] = {"running": "unfinished", "failed": "failed"}


@dataclass(frozen=True)
class Status:
    """How an operation on a direction stands.

    Attributes
    ----------
    state : State
        ``stale``: it was done, and would come out differently now.
    reasons : tuple of str
        Why it is stale.
    """

    state: State
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"stale because {'; '.join(self.reasons)}" if self.reasons else self.state


def status_of(
    workspace: Workspace,
    record: Record | None,
    settings: Mapping[str, Any] | None,
    load: Callable[[str, str], Record | None],
    more: Iterable[str] = (),
) -> Status:
    """How an operation stands.

    Parameters
    ----------
    workspace : Workspace
        Where its products are.
    record : Record or None
        What is known of it.
    settings : mapping or None
        What would shape it now, as JSON holds it; None when nothing beside its inputs does.
    load : callable
        Gives the record of another operation on a direction.
    more : iterable of str
        Other reasons why it is stale.
    """
    if record is None:
        return Status("not run")
    if record.status != "done":
        return Status(_STATES[record.status])
    reasons = [] if settings is None else changes(record.settings, settings)
    reasons += [*more, *_changed_inputs(record, load), *lost_products(workspace, record)]
    return Status("stale", tuple(dict.fromkeys(reasons))) if reasons else Status("done")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What became of each option and fingerprint, for a person."""
    return [
        _change(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _change(name: str, old: Any, new: Any) -> str:
    made_from = name.startswith(MADE_FROM)
    name = name.removeprefix(MADE_FROM)
    is_digest = any(len(str(value)) >= DIGEST_LENGTH for value in (old, new))
    if made_from or is_digest:
        # Fingerprints and long lists tell nothing.
        if old is None:
            return f"{name} is new"
        if new is None:
            return f"{name} was reset" if made_from else f"{name} is gone"
        return f"{name} was redone" if made_from else f"{name} changed"
    return f"{name} went from {old} to {new}"


def _changed_inputs(record: Record, load: Callable[[str, str], Record | None]) -> list[str]:
    reasons = []
    for name, finished in record.inputs.items():
        operation, _, direction = name.partition(" ")
        upstream = load(operation, direction)
        if upstream is None:
            reasons.append(f"{name} was reset")
        elif upstream.finished != finished:
            reasons.append(f"{name} was redone")
    return reasons


def note_products(workspace: Workspace, record: Record) -> dict[str, list[Any]]:
    """Sizes, times and digests of an operation's products, by path."""
    folder = workspace.products(record.operation, record.direction)
    scratch = workspace.scratch(record.operation, record.direction)
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _PRODUCTS):
        data = any(parent.suffix == ".ms" for parent in path.parents)
        if path.is_file() and not data and scratch not in path.parents:
            stat = path.stat()
            found[workspace.relative(path)] = [stat.st_size, stat.st_mtime_ns, content_digest(path)]
    return found


def lost_products(workspace: Workspace, record: Record) -> list[str]:
    """Products that are not there any more, or not as they were made."""
    reasons = []
    for name, (size, mtime_ns, digest) in record.products.items():
        path = workspace.resolve(name)
        try:
            stat = path.stat()
        except OSError:
            reasons.append(f"product {name} is missing")
            continue
        # A copy, or an archive, has other times.
        same = stat.st_size == size and (stat.st_mtime_ns == mtime_ns or content_digest(path) == digest)
        if not same:
            reasons.append(f"product {name} has changed")
    return reasons


def tell_stale(stale: Mapping[tuple[str, str], Iterable[str]]) -> list[str]:
    """Lines that say what is stale and why; directions with the same reasons share one.

    Parameters
    ----------
    stale : mapping of (operation, direction) to reasons
        What is stale.
    """
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (operation, direction), reasons in stale.items():
        grouped.setdefault((operation, tuple(reasons)), []).append(direction)
    return [
        f"{operation} of {', '.join(directions)}: {Status('stale', reasons)}"
        for (operation, reasons), directions in grouped.items()
    ]
