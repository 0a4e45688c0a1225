"""What WSClean was built with."""

from __future__ import annotations

from pathlib import Path

import pytest

from factor.errors import InputError
from factor.tools.environment import Tools
from factor.tools.features import check_gridder, features
from factor.tools.versions import tell_versions

DEBIAN = "\nWSClean version 3.1.0 (2022-04-01)\nGPL version 3.\n\nWGridder is available.\n"
WHOLE = "WSClean version 3.4\nEveryBeam is available.\nIDG is available.\nWGridder is available.\n"


def wsclean(folder: Path, text: str) -> Tools:
    """A program that says what it was built with."""
    program = folder / "wsclean"
    program.write_text(f"#!/bin/sh\ncat <<END\n{text}END\n")
    program.chmod(0o755)
    return Tools(Path("/opt/bin/DP3"), program)


def test_features_are_read() -> None:
    """The lines of ``wsclean --version``."""
    assert features(DEBIAN) == {"wgridder"}
    assert features(WHOLE) == {"everybeam", "idg", "wgridder"}


def test_tools_that_do_not_start_are_all_told(tmp_path: Path) -> None:
    """A tool without one of its libraries is found before anything runs, with what the loader says."""
    tools = wsclean(tmp_path, DEBIAN)
    assert tell_versions(Tools(tools.wsclean, tools.wsclean)) == [
        f"DP3 of unknown version ({tools.wsclean})", f"WSClean 3.1.0 ({tools.wsclean})"
    ]
    tools.wsclean.write_text("#!/bin/sh\necho libboost.so.1: cannot open shared object file >&2\nexit 127\n")
    with pytest.raises(InputError) as caught:
        tell_versions(Tools(tools.wsclean, tools.wsclean))
    assert len(caught.value.problems) == 2
    assert str(caught.value).count("does not start: wsclean: libboost.so.1: cannot open") == 2


def test_idg_that_is_not_there(tmp_path: Path) -> None:
    """One error before anything runs, which names the option and what is missing."""
    with pytest.raises(InputError, match=r"wsclean_use_idg = True: .*wsclean was built without IDG"):
        check_gridder(wsclean(tmp_path, DEBIAN), use_idg=True)


def test_idg_that_is_there_or_not_asked_for(tmp_path: Path) -> None:
    """Nobody is kept from running for something that they do not want."""
    check_gridder(wsclean(tmp_path, WHOLE), use_idg=True)
    check_gridder(wsclean(tmp_path, DEBIAN), use_idg=False)
