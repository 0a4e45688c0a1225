"""The layout of a run, kept."""

from __future__ import annotations

import pytest

from factor.errors import FactorError
from factor.state.layout import Layout, load_layout, save_layout
from factor.workspace import Workspace


def test_round_trip(workspace: Workspace) -> None:
    """What later parts of a run are held against is what the first one had."""
    assert load_layout(workspace) is None
    layout = Layout({"east": "a", "west": "b"}, {"east": "c", "west": "d"})
    save_layout(workspace, layout)
    assert load_layout(workspace) == layout


def test_earlier_version_and_damage(workspace: Workspace) -> None:
    """A layout without sources is one; one without facets is told with what to do."""
    workspace.state.mkdir(parents=True, exist_ok=True)
    workspace.layout.write_text('{"version": 1, "facets": {"east": "a"}}')
    assert load_layout(workspace) == Layout({"east": "a"}, {})
    workspace.layout.write_text('{"version": 1}')
    with pytest.raises(FactorError, match="is damaged: wrong or missing entry 'facets'") as caught:
        load_layout(workspace)
    assert "to begin again" in caught.value.hint
