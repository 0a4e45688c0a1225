"""Directions that are chosen once and then kept."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.directions.geometry import FieldGeometry
from factor.directions.model import Source
from factor.operations.layout.choosing import choose_directions
from factor.workspace import Workspace

FIELD = FieldGeometry(10.0, 50.0, 2.0)
SOURCES = [Source("a", 10.0, 50.0, 1.0, 0.1), Source("b", 11.0, 50.5, 0.5, 0.1)]


def _choose(work: Path, **changes: Any) -> list[str]:
    options = {
        "directions_file": None, "faceting_skymodel": None, "max_radius_deg": 3.0,
        "flux_min_for_merging_jy": 0.1, "size_max_arcmin": 2.0, "separation_max_arcmin": 9.0,
        "flux_min_jy": 0.3, "minimize_nonuniformity": False, "ndir_max": None,
    }  # fmt: skip
    settings: Any = SimpleNamespace(directions=SimpleNamespace(**{**options, **changes}))
    observation: Any = SimpleNamespace()
    chosen = choose_directions(settings, Workspace(work), observation, SOURCES, FIELD, keep=True)
    return [direction.name for direction in chosen]


def test_other_options_are_told_to_have_no_effect(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The user who raises flux_min_Jy wonders why nothing changes."""
    logging.getLogger("factor").propagate = True
    caplog.set_level(logging.WARNING, "factor")
    assert _choose(tmp_path) == ["a", "b"]
    assert _choose(tmp_path) == ["a", "b"]
    assert not caplog.records
    assert _choose(tmp_path, flux_min_jy=0.7, ndir_max=3) == ["a", "b"]
    (record,) = caplog.records
    assert "flux_min_Jy = 0.3 (now 0.7), ndir_max = None (now 3)" in record.getMessage()
    assert str(tmp_path / "factor_directions.txt") in record.getMessage()
    (tmp_path / "factor_directions.txt").unlink()
    assert _choose(tmp_path, flux_min_jy=0.7) == ["a"]
