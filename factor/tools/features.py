"""What WSClean was built with, asked of itself."""

from __future__ import annotations

import re

from factor.errors import InputError
from factor.tools.environment import Tools
from factor.tools.versions import version_text


def features(text: str) -> frozenset[str]:
    """The parts that ``wsclean --version`` says are there, in lower case: ``idg``, ``wgridder``."""
    return frozenset(name.lower() for name in re.findall(r"^(\w+) is available", text, re.MULTILINE))


def check_gridder(tools: Tools, *, use_idg: bool) -> None:
    """Refuse IDG where WSClean does not have it.

    Raises
    ------
    InputError
        When it is asked for but not there.
    """
    if use_idg and "idg" not in features(version_text(tools, tools.wsclean)):
        raise InputError(
            f"[imaging] wsclean_use_idg = True: {tools.wsclean} was built without IDG",
            "set wsclean_use_idg to False (its own w-gridder then does the work), or name a WSClean "
            "with IDG in the environment variable FACTOR_WSCLEAN",
        )
