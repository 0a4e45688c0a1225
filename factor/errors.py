"""What can go wrong, and the exit status of each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def _told(message: str, hint: str) -> str:
    return f"{message}\n  -> {hint}" if hint else message


class FactorError(Exception):
    """A problem that is told to the user in one readable message, without a traceback.

    Parameters
    ----------
    message : str
        What is wrong: the file, the value and the limit.
    hint : str, optional
        What the user can do next.
    """

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return _told(self.message, self.hint)

    @property
    def parts(self) -> dict[str, str]:
        """What the record of a failed operation keeps beside the whole text."""
        return {"message": self.message, "hint": self.hint}


class InputError(FactorError):
    """Wrong usage or input: parset, measurement sets, sky models, directions, tools.

    Parameters
    ----------
    problems : str or sequence of str
        Every problem found, each naming file, value and limit.
    hint : str, optional
        What the user can do next.
    """

    exit_status = 2

    def __init__(self, problems: str | Sequence[str], hint: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems), hint)


def check_all(*checks: Callable[[], object]) -> None:
    """Make checks that do not depend on each other, and tell the problems of all of them at once.

    Raises
    ------
    InputError
        With every problem, each check's hint after its last one.
    """
    found: list[InputError] = []
    for check in checks:
        try:
            check()
        except InputError as error:
            found.append(error)
    if len(found) == 1:
        raise found[0]
    if found:
        raise InputError([
            problem
            for error in found
            for problem in (*error.problems[:-1], str(InputError(error.problems[-1], error.hint)))
        ])


class StepError(FactorError):
    """A step of an operation that failed.

    Parameters
    ----------
    step : str
        Name of the step, e.g. ``"solve fast phases, chunk 1, cycle 2"``.
    message : str
        The tool's own last error, or what is wrong with its outputs.
    log : str
        The log file that has everything the tool said.
    command : str
        The command to paste into a shell (empty for a step in Python).
    hint : str
        What helps, where the cause is well known.
    crashed : bool
        Whether the tool itself broke down: it may not do so again.
    """

    def __init__(
        self,
        step: str,
        message: str,
        log: str = "",
        command: str = "",
        hint: str = "",
        *,
        crashed: bool = False,
    ) -> None:
        lines = [f"step '{step}' failed: {message}"]
        if log:
            lines.append(f"  log: {log}")
        if command:
            lines.append(f"  to try it by hand:\n{command}")
        super().__init__("\n".join(lines), hint)
        self.step = step
        self.reason = message
        self.log = log
        self.command = command
        self.crashed = crashed

    @property
    def parts(self) -> dict[str, str]:
        """Step, the tool's own error, log, command, and what helps."""
        return {
            "step": self.step,
            "message": self.reason,
            "log": self.log,
            "command": self.command,
            "hint": self.hint,
        }


class NoRoomError(FactorError):
    """A disk has too little room for what is about to begin, or to note what was done.

    The run stops; no direction has failed.
    """


class Interrupted(KeyboardInterrupt):
    """The user (Ctrl-C) or the system (SIGTERM) asked the run to stop.

    As Python's own it is no `Exception`: whatever was being read or made then has not failed.

    Parameters
    ----------
    message : str
        What was stopped, and what is kept.
    hint : str, optional
        What the user can do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(_told(message, hint))
