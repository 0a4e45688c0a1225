"""Names from files that others wrote: none leads out of the working directory, none reaches a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factor.directions.file import read_directions
from factor.errors import FactorError, InputError
from factor.flow.reset import check_reset
from factor.parset.loader import load
from factor.state.intent import Reset, load_intent, save_intent
from factor.state.records import Record
from factor.state.store import StateStore
from factor.tools.environment import Tools
from factor.tools.wsclean import WSClean, wsclean_command
from factor.workspace import Workspace

HOSTILE = (
    "..", "../x", "../../etc/passwd", "/etc/passwd", ".hidden", "a/b", "a\\b", "a;touch$IFS_x", "$(touch)",
    "`touch`", "a|b", "a&b", "a*", "[a,b]", "a,b", "~root", "'a'", '"a"', "a=b", "\x00", "<script>",
)  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A working directory beside a folder that is nobody's business."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "work/state").mkdir(parents=True)
    return Workspace(tmp_path / "work")


@pytest.mark.parametrize("name", HOSTILE)
def test_directions(tmp_path: Path, name: str) -> None:
    """A direction's name becomes folders and files, and part of commands: refused with its line."""
    path = tmp_path / "directions.txt"
    row = "14:30:00,+52.00.00 False False 512 0 0 LD empty empty empty False 0.1 100"
    path.write_text(f"good {row}\n{name} {row}\n")
    with pytest.raises(InputError, match="line 2"):
        read_directions(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_reset(workspace: Workspace, name: str) -> None:
    """-r names what is deleted: only what the run knows."""
    (workspace.results / "facetsub/east").mkdir(parents=True)
    with pytest.raises(InputError, match="there is no direction"):
        check_reset(workspace, (name,), ())


@pytest.mark.parametrize("name", HOSTILE)
def test_state(workspace: Workspace, name: str) -> None:
    """State from elsewhere, as in an archive, cannot have anything outside deleted or written."""
    for pair in ((name, "east"), ("facetsub", name)):
        save_intent(workspace, Reset((), (pair,)))
        with pytest.raises(FactorError, match=r"reset\.json is damaged"):
            load_intent(workspace)
    record = Record("facetsub", "east", "done", "")
    path = workspace.record("facetsub", "east")
    for key in ("operation", "direction"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"version": 1, **record.to_json(), key: name}))
        with pytest.raises(FactorError, match=r"east\.json is damaged"):
            StateStore(workspace).all()


@pytest.mark.parametrize("name", ["a,b", "[a]", "a*", "a?", "{a}", "it's", 'a"b'])
def test_folders_that_tools_would_misread(tmp_path: Path, name: str) -> None:
    """DP3 takes [a,b] for a list and a* for all that begins with a, which may be other data."""
    (tmp_path / "data").mkdir()
    text = (
        "[global]\ndir_working = {}\ndir_ms = {}\n"
        "[directions]\nflux_min_Jy = 1\nsize_max_arcmin = 1\nseparation_max_arcmin = 1\n"
    )
    parset = tmp_path / "factor.parset"
    parset.write_text(text.format(tmp_path / f"x{name}x", tmp_path / "data"))
    with pytest.raises(InputError, match=r"dir_working = .*misread"):
        load(parset)
    (tmp_path / f"x{name}x").mkdir()
    parset.write_text(text.format(tmp_path / "work", tmp_path / f"x{name}x"))
    with pytest.raises(InputError, match=r"dir_ms = .*misread"):
        load(parset)


def test_commands_are_no_shell_lines() -> None:
    """What a user pastes is quoted; what Factor runs is a list of words."""
    tools = Tools(Path("/opt/wsclean"), Path("/opt/wsclean"))
    options = WSClean(name=Path("/w/a b;$(touch x)"), size=8, scale_arcsec=1.0)
    command = wsclean_command(tools, options, [Path("/w/`id`.ms")], threads=1, memory_gb=1.0)
    assert "/w/a b;$(touch x)" in command.argv
    assert "'/w/a b;$(touch x)'" in command.paste()
    assert "'/w/`id`.ms'" in command.paste()
