"""Paths in a user's files after a move."""

from __future__ import annotations

from pathlib import Path

from factor.archive.inputs import restored_parset, with_words
from factor.parset.loader import load_text
from factor.workspace import Workspace

PARSET = """\
[global]
dir_working = /old/work   # here
DIR_MS=/old/data
[calibration]
# a comment stays
max_selfcal_loops = 3
[directions]
directions_file = ../lists/directions.txt
[cluster]
dir_local = /no/such/disk
[field.ms]
init_skymodel = /old/data/field.skymodel
"""


def test_parset(tmp_path: Path) -> None:
    """Every path leads into the restored folder; what is gone is switched off, the rest stays."""
    workspace = Workspace(tmp_path)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "chunks").mkdir()
    (tmp_path / "inputs/directions.txt").write_text("")
    text = restored_parset(PARSET, {"directions_file": "inputs/directions.txt"}, workspace)
    settings = load_text(text, tmp_path / "factor.parset")
    assert settings.globals.dir_working == tmp_path
    assert settings.globals.dir_ms == tmp_path / "chunks"
    assert settings.directions.directions_file == tmp_path / "inputs/directions.txt"
    assert settings.cluster.dir_local is None
    assert settings.init_skymodels == {}
    assert settings.calibration.max_selfcal_loops == 3
    assert "# a comment stays" in text


def test_words() -> None:
    """Only whole words are paths; the spacing of a table stays."""
    text = "east  a.reg   xa.reg\n"
    assert with_words(text, {"a.reg": "inputs/a.reg"}, Path("/new")) == "east  /new/inputs/a.reg   xa.reg\n"
