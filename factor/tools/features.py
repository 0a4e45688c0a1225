"""What WSClean was built with, asked of itself."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from factor.errors import InputError
from factor.tools import runner
from factor.tools.command import Command
from factor.tools.environment import Tools


def features(version_text: str) -> frozenset[str]:
    """The parts that ``wsclean --version`` says are there, in lower case: ``idg``, ``wgridder``."""
    return frozenset(name.lower() for name in re.findall(r"^(\w+) is available", version_text, re.MULTILINE))


def wsclean_features(tools: Tools) -> frozenset[str]:
    """Ask WSClean for its parts."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = Command("WSClean", (str(tools.wsclean), "--version"), (), tools.environment)
        runner.run(command, out, Path(folder) / "err")
        return features(out.read_text(errors="replace"))


def check_gridder(tools: Tools, *, use_idg: bool) -> None:
    """Refuse IDG where WSClean does not have it.

    Raises
    ------
    InputError
        When it is asked for but not there.
    """
    if use_idg and "idg" not in wsclean_features(tools):
        raise InputError(
            f"[imaging] wsclean_use_idg = True: {tools.wsclean} was built without IDG",
            "set wsclean_use_idg to False (its own w-gridder then does the work), or name a WSClean "
            "with IDG in the environment variable FACTOR_WSCLEAN",
        )
