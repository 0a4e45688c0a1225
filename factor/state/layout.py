"""The facets of a run as they were laid out first: later parts of it are held against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from factor.state.store import read_value, write_json
from factor.workspace import Workspace

#: Format of the layout's file; a newer one is refused.
LAYOUT_VERSION = 1


@dataclass(frozen=True)
class Layout:
    """Fingerprints, by name of the direction.

    Attributes
    ----------
    facets : mapping of str to str
        Of each facet's shape.
    sources : mapping of str to str
        Of the sources in it; none where an earlier version left the layout.
    """

    facets: Mapping[str, str]
    sources: Mapping[str, str]


def save_layout(workspace: Workspace, layout: Layout) -> None:
    """Write the layout, in place of an earlier one."""
    write_json(workspace.layout, asdict(layout), LAYOUT_VERSION)


def load_layout(workspace: Workspace) -> Layout | None:
    """Read the layout; None when there is none yet.

    Raises
    ------
    FactorError
        When it is damaged or of a newer format.
    """
    remedy = f"delete {workspace.state} and {workspace.results} to begin again"
    return read_value(workspace.layout, LAYOUT_VERSION, remedy, _layout)


def _layout(content: Mapping[str, Any]) -> Layout:
    return Layout(dict(content["facets"]), dict(content.get("sources", {})))
