"""What the user wants flagged: in data that are taken out of the chunks, never in the chunks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from factor.errors import InputError
from factor.parset import Settings
from factor.tools import runner
from factor.tools.dp3 import DP3Run, PreFlag, dp3_command
from factor.tools.environment import Tools

#: The options of [global] and the keys of DP3's preflagger that they are.
_KEYS = {"flag_abstime": "abstime", "flag_baseline": "baseline", "flag_freqrange": "freqrange"}


def flag_settings(settings: Settings) -> dict[str, str | None]:
    """The options that say what is flagged, by name."""
    return {name: getattr(settings.globals, name) for name in (*_KEYS, "flag_expr")}


def data_flags(settings: Settings) -> tuple[PreFlag, ...]:
    """The step that flags what the parset names; none when it names nothing."""
    given = flag_settings(settings)
    selections = tuple((name, key, str(given[name])) for name, key in _KEYS.items() if given[name])
    if not selections:
        return ()
    expression = given["flag_expr"] or " and ".join(name for name, _, _ in selections)
    return (PreFlag(selections, expression),)


def check_flags(settings: Settings, tools: Tools, ms: Path, column: str) -> None:
    """Let DP3 read the flagging options, with one time slot of the input.

    Parameters
    ----------
    settings : Settings
        The parset.
    tools : Tools
        The programs found.
    ms : Path
        A measurement set of the input, which is only read.
    column : str
        Its data.

    Raises
    ------
    InputError
        With each option that DP3 does not understand, and what it says.
    """
    for flags in data_flags(settings):
        if not _complaint(tools, ms, column, flags):
            return
        problems = []
        for name, key, value in flags.selections:
            said = _complaint(tools, ms, column, PreFlag(((name, key, value),), name))
            if said:
                problems.append(f"{settings.path}: [global] {name} = {value}: {said}")
        if not problems:
            said = _complaint(tools, ms, column, flags)
            problems = [f"{settings.path}: [global] flag_expr = {flags.expression}: {said}"]
        raise InputError(problems, "the syntax is that of DP3's preflagger")


def _complaint(tools: Tools, ms: Path, column: str, flags: PreFlag) -> str:
    """What DP3 says against a flagging step; empty when it can do it."""
    run = DP3Run((ms,), column, (flags,), times=1)
    with tempfile.TemporaryDirectory(prefix="factor-") as folder:
        result = runner.run(dp3_command(tools, run), Path(folder, "out"), Path(folder, "err"))
    return result.error
