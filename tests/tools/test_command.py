"""A command as text: what users paste and what fingerprints see."""

from __future__ import annotations

import shlex

from factor.tools.command import Command


def test_paste_survives_a_shell() -> None:
    """A line from commands.log runs as it is, blanks and brackets included."""
    command = Command("DP3", ("/opt/my tools/DP3", "steps=[a,b]"), ("numthreads=2",), (("A", "x y"),))
    words = shlex.split(command.paste())
    assert words == ["env", "A=x y", "/opt/my tools/DP3", "numthreads=2", "steps=[a,b]"]


def test_resources_follow_the_program() -> None:
    """Threads and memory are part of the call, but apart from what decides the result."""
    command = Command("WSClean", ("wsclean", "-size", "10", "10", "a.ms"), ("-j", "3"))
    assert command.full_argv == ("wsclean", "-j", "3", "-size", "10", "10", "a.ms")
    assert "-j" not in command.argv
