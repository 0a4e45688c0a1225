"""The reset that is being done, noted before it begins so that the next run can finish it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from factor.files import sync_folder
from factor.state.store import read_value, write_json
from factor.workspace import Workspace, is_name

#: Format of the intent's file; a newer one is refused.
INTENT_VERSION = 1


@dataclass(frozen=True)
class Reset:
    """What a reset does.

    Attributes
    ----------
    undo : tuple of str
        Directions that no longer stand subtracted afterwards.
    delete : tuple of (operation, direction)
        What loses its record and its products.
    everything : bool
        Back to the data as they came, whatever was done.
    """

    undo: tuple[str, ...] = ()
    delete: tuple[tuple[str, str], ...] = ()
    everything: bool = False

    def __or__(self, other: Reset) -> Reset:
        """Both at once."""
        return Reset(
            tuple(dict.fromkeys((*self.undo, *other.undo))),
            tuple(dict.fromkeys((*self.delete, *other.delete))),
            self.everything or other.everything,
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.undo or self.delete or self.everything)


def save_intent(workspace: Workspace, reset: Reset) -> None:
    """Note a reset that is about to begin."""
    write_json(workspace.reset_intent, asdict(reset), INTENT_VERSION)


def load_intent(workspace: Workspace) -> Reset | None:
    """Read the reset that was begun and has not come to its end; None when there is none.

    Raises
    ------
    FactorError
        When the file is damaged or of a newer format.
    """
    path = workspace.reset_intent
    remedy = f"delete {path}, {workspace.results} and the rest of {workspace.state} to begin again"
    return read_value(path, INTENT_VERSION, remedy, _reset)


def clear_intent(workspace: Workspace) -> None:
    """Note that the reset is done."""
    workspace.reset_intent.unlink(missing_ok=True)
    sync_folder(workspace.reset_intent.parent)


def _reset(content: Mapping[str, Any]) -> Reset:
    for operation, direction in content["delete"]:
        if not (is_name(operation) and is_name(direction)):
            # What they name is deleted.
            raise ValueError(f"'{operation}/{direction}'")
    return Reset(
        tuple(str(name) for name in content["undo"]),
        tuple((operation, direction) for operation, direction in content["delete"]),
        bool(content["everything"]),
    )
